/* The wall around shared memory: what a consumer may try with the descriptor it was given,
 * tried from a child that holds nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/segment.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { BYTES = 1 << 16 };

static int reopen(int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, flags);
}

/* --- attacks: each returns 0 when it was refused as it should be ---------------------------- */

static int map_writable(int fd)
{
	void *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at != MAP_FAILED;
}
static int write_bytes_of(int fd)
{
	return pwrite(fd, "x", 1, 0) >= 0;
}
static int reopen_and_map(int fd)
{
	int again = reopen(fd, O_RDWR); /* opens for the owner; the seal is the wall */
	return again >= 0 && map_writable(again);
}
static int reopen_and_write(int fd)
{
	int again = reopen(fd, O_RDWR);
	return again >= 0 && write_bytes_of(again);
}
static int chmod_reopen_and_map(int fd)
{
	fchmod(fd, 0600); /* an owner can */
	return reopen_and_map(fd);
}
static int protect(int fd)
{
	void *at = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	return at == MAP_FAILED || mprotect(at, BYTES, PROT_READ | PROT_WRITE) == 0;
}
static int reopen_and_protect(int fd)
{
	int again = reopen(fd, O_RDWR);
	return again >= 0 && protect(again);
}
static int punch_hole(int fd)
{
	int again = reopen(fd, O_RDWR), how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	return fallocate(fd, how, 0, 4096) == 0 || fallocate(again, how, 0, 4096) == 0;
}
static int remove_pages(int fd)
{
	void *at = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	return at == MAP_FAILED || madvise(at, 4096, MADV_REMOVE) == 0;
}
static int shrink(int fd)
{
	return ftruncate(fd, 0) == 0 || ftruncate(reopen(fd, O_RDWR), 0) == 0;
}
static int grow(int fd)
{
	return ftruncate(reopen(fd, O_RDWR), 2 * BYTES) == 0 ||
	       fallocate(reopen(fd, O_RDWR), 0, 0, 2 * BYTES) == 0;
}
static int add_seals(int fd)
{
	int again = reopen(fd, O_RDWR);
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0 ||
	       fcntl(again, F_ADD_SEALS, F_SEAL_WRITE) == 0 ||
	       fcntl(again, F_ADD_SEALS, F_SEAL_GROW) == 0;
}

static const struct {
	const char *name;
	int (*run)(int fd);
} ATTACKS[] = {{"map writable", map_writable}, {"write", write_bytes_of},
        {"reopen and map", reopen_and_map}, {"reopen and write", reopen_and_write},
        {"chmod, reopen, map", chmod_reopen_and_map}, {"mprotect", protect},
        {"reopen and mprotect", reopen_and_protect}, {"punch hole", punch_hole},
        {"remove pages", remove_pages}, {"shrink", shrink}, {"grow", grow},
        {"add seals", add_seals}};
enum { ATTACK_COUNT = sizeof ATTACKS / sizeof ATTACKS[0] };

/* In a child, so that a success can end in a signal. */
static int attack(int n, int fd)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(ATTACKS[n].run(fd) ? 1 : 0);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void attacks_are_refused(void **state)
{
	(void)state;
	struct segment s;
	struct errmsg msg;
	assert_int_equal(segment_open(&s, "test", BYTES, false, &msg), ERR_OK);
	char *own = s.at;
	const char *theirs = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, s.fd, 0);
	assert_true(theirs != MAP_FAILED);
	for (int i = 0; i < ATTACK_COUNT; i++) {
		memset(own, i + 1, BYTES);
		if (attack(i, s.fd))
			fail_msg("attack \"%s\" was not refused", ATTACKS[i].name);
		for (size_t at = 0; at < BYTES; at += 64)
			assert_int_equal(theirs[at], i + 1);
	}
	own[7] = 'k'; /* the engine still writes */
	assert_int_equal(theirs[7], 'k');
	munmap((void *)(uintptr_t)theirs, BYTES);
	segment_close(&s);
}

/* The attacks are real: without seals, most of them work. */
static void attacks_work_without_seals(void **state)
{
	(void)state;
	int worked = 0;
	for (int i = 0; i < ATTACK_COUNT; i++) {
		int fd = memfd_create("bare", MFD_ALLOW_SEALING);
		assert_true(fd >= 0 && ftruncate(fd, BYTES) == 0);
		worked += attack(i, fd);
		close(fd);
	}
	assert_true(worked >= 10);
}

static int count_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void descriptor_is_sealed_and_read_only(void **state)
{
	int before = count_descriptors();
	(void)state;
	struct segment s;
	struct stat st;
	assert_int_equal(segment_open(&s, "test", BYTES, false, NULL), ERR_OK);
	int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	assert_int_equal(fcntl(s.fd, F_GET_SEALS) & want, want);
	assert_int_equal(fcntl(s.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
	assert_int_equal(st.st_size, BYTES);
	segment_close(&s);
	assert_int_equal(s.fd, -1);
	assert_null(s.at);
	segment_close(&s); /* twice is fine */
	assert_int_equal(count_descriptors(), before);
}

static void child_does_not_inherit_the_mapping(void **state)
{
	(void)state;
	struct segment s;
	assert_int_equal(segment_open(&s, "test", BYTES, false, NULL), ERR_OK);
	unsigned char there;
	assert_int_equal(mincore(s.at, 4096, &there), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(mincore(s.at, 4096, &there) == -1 && errno == ENOMEM ? 0 : 1);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	segment_close(&s);
}

static void consumer_reads_after_close(void **state)
{
	(void)state;
	struct segment s;
	assert_int_equal(segment_open(&s, "test", BYTES, false, NULL), ERR_OK);
	const char *theirs = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, s.fd, 0);
	assert_true(theirs != MAP_FAILED);
	memset(s.at, 5, BYTES);
	segment_close(&s);
	for (size_t at = 0; at < BYTES; at++)
		assert_int_equal(theirs[at], 5);
	munmap((void *)(uintptr_t)theirs, BYTES);
}

static void in_process_is_plain_memory(void **state)
{
	(void)state;
	struct segment s;
	assert_int_equal(segment_open(&s, "test", BYTES, true, NULL), ERR_OK);
	assert_int_equal(s.fd, -1);
	const unsigned char *at = s.at;
	for (size_t i = 0; i < BYTES; i++)
		assert_int_equal(at[i], 0);
	memset(s.at, 9, BYTES);
	segment_close(&s);
}

static void running_out_of_descriptors_says_what_to_do(void **state)
{
	(void)state;
	struct segment s;
	struct errmsg msg = {.text = ""};
	struct rlimit old, none;
	int before = count_descriptors();
	int last = dup(0);
	close(last);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (int spare = 0; spare < 2; spare++) { /* the first or the second descriptor fails */
		none = old;
		none.rlim_cur = (rlim_t)(last + spare);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		err_t e = segment_open(&s, "test", BYTES, false, &msg);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(e, ERR_SHM);
		assert_int_equal(msg.code, ERR_SHM);
		assert_non_null(strstr(msg.text, "LimitNOFILE"));
		assert_null(s.at);
		assert_int_equal(count_descriptors(), before);
	}
}

static void the_limit_of_files_says_what_to_do(void **state)
{
	(void)state;
	struct segment s;
	struct errmsg msg = {.text = ""};
	struct rlimit old, little;
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN); /* as kuberingd does */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	little = old;
	little.rlim_cur = BYTES - 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	err_t e = segment_open(&s, "test", BYTES, false, &msg);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, before);
	assert_int_equal(e, ERR_SHM);
	assert_non_null(strstr(msg.text, "LimitFSIZE"));
}

static void too_large_is_an_error(void **state)
{
	(void)state;
	struct segment s;
	struct errmsg msg = {.text = ""};
	assert_int_equal(segment_open(&s, "test", 1ull << 62, false, &msg), ERR_SHM);
	assert_non_null(strstr(msg.text, "shared memory cannot be made"));
	assert_int_equal(segment_open(&s, "test", 1ull << 62, true, &msg), ERR_SHM);
}

/* Pages of the first n bytes that are in memory. */
static size_t resident(const struct segment *s, size_t n)
{
	unsigned char pages[(2 * SEGMENT_HUGE) / 4096];
	size_t count = 0;
	assert_true(n <= 2 * SEGMENT_HUGE);
	assert_int_equal(mincore(s->at, n, pages), 0);
	for (size_t i = 0; i < n / 4096; i++)
		count += pages[i] & 1;
	return count;
}

/* Where there are no huge pages, everything but the two "either" holds as well. */
static void use_brings_huge_pages_and_changes_nothing(void **state)
{
	(void)state;
	struct segment s;
	const size_t bytes = 2 * SEGMENT_HUGE + 4096;
	assert_int_equal(segment_open(&s, "test-huge", bytes, false, NULL), ERR_OK);
	assert_int_equal((uintptr_t)s.at % SEGMENT_HUGE, 0);
	char *at = s.at;
	const char *reader = mmap(NULL, bytes, PROT_READ, MAP_SHARED, s.fd, 0);
	assert_true(reader != MAP_FAILED);
	segment_use(&s, SEGMENT_HUGE_LATE); /* nearly nothing is used: nothing is spent */
	assert_int_equal(resident(&s, 2 * SEGMENT_HUGE), 0);
	at[0] = 'a';
	at[SEGMENT_HUGE_LATE] = 'b';
	assert_int_equal(reader[0], 'a');
	segment_use(&s, SEGMENT_HUGE_LATE + 1);
	bool huge = s.huge == SEGMENT_HUGE;
	assert_true(huge || s.huge == UINT64_MAX); /* either */
	if (huge)
		assert_int_equal(resident(&s, 2 * SEGMENT_HUGE), SEGMENT_HUGE / 4096);
	assert_true(at[0] == 'a' && at[SEGMENT_HUGE_LATE] == 'b' && at[1] == 0);
	at[1] = 'c';
	assert_true(reader[0] == 'a' && reader[1] == 'c' && reader[SEGMENT_HUGE_LATE] == 'b');
	segment_use(&s, SEGMENT_HUGE); /* there already */
	assert_true(!huge || s.huge == SEGMENT_HUGE);
	segment_use(&s, bytes); /* both, and the tail, which is too short to be one */
	assert_true(s.huge == UINT64_MAX);
	if (huge)
		assert_int_equal(
		        resident(&s, 2 * SEGMENT_HUGE), 2 * SEGMENT_HUGE / 4096); /* either */
	at[bytes - 1] = 'd';
	assert_int_equal(reader[bytes - 1], 'd');
	munmap((void *)(uintptr_t)reader, bytes);
	segment_close(&s);
	assert_int_equal(segment_open(&s, "test", SEGMENT_HUGE, true, NULL), ERR_OK);
	segment_use(&s, SEGMENT_HUGE); /* in process: plain memory stays what it is */
	assert_true(s.huge == UINT64_MAX);
	segment_close(&s);
}

/* Each huge page makes the writer wait for all CPUs: under a stream of changes that is a stall of
 * milliseconds for every list of the reactor. */
static void what_fills_slowly_gets_small_pages(void **state)
{
	(void)state;
	struct segment s;
	assert_int_equal(segment_open(&s, "test-slow", 3 * SEGMENT_HUGE, false, NULL), ERR_OK);
	segment_use(&s, SEGMENT_HUGE);
	if (s.huge == UINT64_MAX)
		skip(); /* no huge pages here */
	assert_int_equal(resident(&s, 2 * SEGMENT_HUGE), SEGMENT_HUGE / 4096);
	s.filled_ns -= SEGMENT_FAST_NS;
	segment_use(&s, SEGMENT_HUGE + 1); /* full long after the first: nothing is asked for */
	assert_int_equal(s.huge, 2 * SEGMENT_HUGE);
	assert_int_equal(resident(&s, 2 * SEGMENT_HUGE), SEGMENT_HUGE / 4096);
	s.filled_ns += SEGMENT_FAST_NS * 3600ull;
	segment_use(&s, 2 * SEGMENT_HUGE + 1); /* full soon after the second */
	assert_int_equal(s.huge, 3 * SEGMENT_HUGE);
	unsigned char page = 0;
	assert_int_equal(mincore((char *)s.at + 3 * SEGMENT_HUGE - 4096, 4096, &page), 0);
	assert_true(page & 1);
	segment_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(attacks_are_refused),
	        cmocka_unit_test(attacks_work_without_seals),
	        cmocka_unit_test(descriptor_is_sealed_and_read_only),
	        cmocka_unit_test(child_does_not_inherit_the_mapping),
	        cmocka_unit_test(consumer_reads_after_close),
	        cmocka_unit_test(in_process_is_plain_memory),
	        cmocka_unit_test(running_out_of_descriptors_says_what_to_do),
	        cmocka_unit_test(the_limit_of_files_says_what_to_do),
	        cmocka_unit_test(too_large_is_an_error),
	        cmocka_unit_test(use_brings_huge_pages_and_changes_nothing),
	        cmocka_unit_test(what_fills_slowly_gets_small_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
