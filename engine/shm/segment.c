#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u /* Linux 6.3 */
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1 */
#endif

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };

static int memfd_new(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* a kernel that does not know NOEXEC_SEAL */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

static err_t refuse(struct errmsg *msg, const char *step, uint64_t bytes, int why)
{
	const char *todo = "see the system's memory and the memory limit of the service";
	if (why == EMFILE || why == ENFILE)
		todo = "raise LimitNOFILE of the service";
	else if (why == EFBIG)
		todo = "raise LimitFSIZE of the service (ulimit -f)";
	else if (why == EINVAL || why == EPERM)
		todo = "Linux 5.1 or newer with memfd seals is needed";
	else if (why == ENOENT || why == EACCES)
		todo = "/proc must be mounted and readable by the daemon";
	return errmsg_set(msg, ERR_SHM, "%s of a segment of %llu bytes: %s; %s", step,
	        (unsigned long long)bytes, strerror(why), todo);
}

/* Address space for s->bytes, aligned so that huge pages fit in; MAP_FAILED with errno. */
static void *reserve(uint64_t bytes)
{
	uint64_t spare = bytes >= SEGMENT_HUGE ? SEGMENT_HUGE : 0;
	char *all = mmap(
	        NULL, bytes + spare, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED || spare == 0)
		return all;
	uint64_t before = -(uintptr_t)all & (SEGMENT_HUGE - 1);
	if (before > 0)
		munmap(all, before);
	munmap(all + before + bytes, spare - before);
	return all + before;
}

/* From a fresh descriptor to a sealed one and a read-only one; names the step that failed. */
static const char *segment_seal(int fd, struct segment *s)
{
	char path[64];
	if (ftruncate(fd, (off_t)s->bytes) != 0)
		return "ftruncate";
	void *place = reserve(s->bytes);
	if (place == MAP_FAILED)
		return "mmap";
	s->at = place; /* from here on segment_close gives it back */
	if (mmap(place, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
	            fd, 0) == MAP_FAILED)
		return "mmap";
	void *at = place;
	if (madvise(at, s->bytes, MADV_DONTFORK) != 0)
		return "madvise(DONTFORK)";
	if (fchmod(fd, S_IRUSR) != 0)
		return "fchmod";
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		return "sealing";
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0)
		return "opening read-only";
	return NULL;
}

err_t segment_open(
        struct segment *s, const char *name, uint64_t bytes, bool in_process, struct errmsg *msg)
{
	CHECK(bytes > 0 && bytes % 4096 == 0);
	*s = (struct segment){.bytes = bytes, .fd = -1};
	if (in_process) {
		void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (at == MAP_FAILED)
			return refuse(msg, "mmap", bytes, errno);
		s->at = at;
		return ERR_OK;
	}
	int fd = memfd_new(name);
	if (fd < 0)
		return refuse(msg, "memfd_create", bytes, errno);
	const char *step = segment_seal(fd, s);
	int why = errno;
	close(fd);
	if (step) {
		segment_close(s);
		return refuse(msg, step, bytes, why);
	}
	return ERR_OK;
}

/* Whether the 2 MiB that are full now were filled fast, or nothing was before them. */
static bool filled_fast(struct segment *s)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	bool fast = s->filled_ns == 0 || now < s->filled_ns + SEGMENT_FAST_NS;
	s->filled_ns = now;
	return fast;
}

/* The next 2 MiB in one huge page. False: not here. */
static bool collapse(struct segment *s)
{
	char *next = (char *)s->at + s->huge;
	/* A hole as a whole is not taken for something to collapse. */
	(void)*(const volatile char *)next;
	return madvise(next, SEGMENT_HUGE, MADV_COLLAPSE) == 0;
}

void segment_use(struct segment *s, uint64_t to)
{
	if (s->huge == 0 && to <= SEGMENT_HUGE_LATE)
		return;
	while (s->huge < to && s->bytes - s->huge >= SEGMENT_HUGE) {
		if (s->fd < 0 || (filled_fast(s) && !collapse(s)))
			break;
		s->huge += SEGMENT_HUGE;
	}
	if (s->huge < to)
		s->huge = UINT64_MAX; /* an old kernel, no memory in one piece, or the tail */
}

void segment_close(struct segment *s)
{
	if (s->at)
		munmap(s->at, s->bytes);
	if (s->at && s->fd >= 0)
		close(s->fd);
	*s = (struct segment){.fd = -1};
}
