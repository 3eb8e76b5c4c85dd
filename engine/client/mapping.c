#include "client/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1 */
#endif

enum {
	PATIENCE_YIELDS = 16,
	PATIENCE_NAPS = 55, /* 50 us, doubled to 5 ms: 250 ms in all */
	PATIENCE_NAP_MIN_NS = 50000,
	PATIENCE_NAP_MAX_NS = 5000000,
	GUARD_BYTES = 4096,
	HUGE_BYTES = 2 << 20, /* the daemon's huge pages are ours as well where they fit in whole */
};

bool patience_left(struct patience *p)
{
	if (p->tries >= PATIENCE_YIELDS + PATIENCE_NAPS)
		return false;
	if (p->tries++ < PATIENCE_YIELDS) {
		sched_yield();
	} else {
		unsigned doubled = p->tries - PATIENCE_YIELDS - 1;
		struct timespec nap = {
		        0, doubled < 6 ? PATIENCE_NAP_MIN_NS << doubled : PATIENCE_NAP_MAX_NS};
		nanosleep(&nap, NULL);
	}
	return true;
}

/* --- mappings -------------------------------------------------------------------------------- */

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES;
}

static void unmap(struct read_map *m)
{
	if (m->at)
		munmap((void *)(uintptr_t)m->at, page_up(m->bytes) + GUARD_BYTES);
	*m = (struct read_map){NULL, 0};
}

/* Zeros, aligned to a huge page if there is room for one in them; NULL with errno. */
static void *map_zeros(size_t all)
{
	size_t spare = all >= HUGE_BYTES ? HUGE_BYTES : 0;
	char *at = mmap(
	        NULL, all + spare, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)at & (HUGE_BYTES - 1);
	if (spare == 0)
		return at;
	if (before > 0)
		munmap(at, before);
	munmap(at + before + all, spare - before);
	return at + before;
}

/* Zeros first, the segment over them: what stays of the zeros is the page behind it. */
static const void *map_guarded(int fd, uint64_t bytes)
{
	size_t all = page_up(bytes) + GUARD_BYTES;
	void *zeros = map_zeros(all);
	if (!zeros)
		return NULL;
	void *at = mmap(zeros, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	if (at == MAP_FAILED) {
		int why = errno;
		munmap(zeros, all);
		errno = why;
		return NULL;
	}
	return at;
}

/* Is this a descriptor that cannot hurt us? */
static int check_sealed(struct mapping *s, uint32_t segment, int fd, uint64_t *bytes)
{
	struct kr_client *c = s->client;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	int need = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	if (seals < 0 || fstat(fd, &st) != 0)
		return client_fail(c, KR_ERR_CORRUPT,
		        "segment %u of shard %u is no memfd: what listens at %s is not kuberingd",
		        segment, s->number, c->socket_path);
	if ((seals & need) != need || !(seals & (F_SEAL_FUTURE_WRITE | F_SEAL_WRITE)))
		return client_fail(c, KR_ERR_CORRUPT,
		        "segment %u of shard %u is not sealed (seals 0x%x): not mapped, it could "
		        "be cut under us",
		        segment, s->number, (unsigned)seals);
	if (st.st_size <= 0)
		return client_fail(
		        c, KR_ERR_CORRUPT, "segment %u of shard %u is empty", segment, s->number);
	*bytes = (uint64_t)st.st_size;
	return KR_OK;
}

/* Maps the descriptor that came with an answer, which is in the link. */
static int map_answer(struct mapping *s, uint32_t segment, const void **at, uint64_t *bytes)
{
	struct kr_client *c = s->client;
	int fd = link_take_fd(&c->link, 0);
	if (fd < 0 && c->link.cut)
		return client_no_room(c, "a segment of shared memory");
	if (fd < 0)
		return client_fail(c, KR_ERR_CORRUPT,
		        "the daemon's answer for segment %u of shard %u has no descriptor", segment,
		        s->number);
	int r = check_sealed(s, segment, fd, bytes);
	if (r == KR_OK) {
		*at = map_guarded(fd, *bytes);
		if (!*at)
			r = client_fail(c, errno == ENOMEM ? KR_ERR_MEMORY : KR_ERR_SYSTEM,
			        "segment %u of shard %u (%llu bytes) cannot be mapped: %s; see the "
			        "address space limit (ulimit -v)",
			        segment, s->number, (unsigned long long)*bytes, strerror(errno));
	}
	close(fd);
	return r;
}

static void begin_question(struct mapping *s, uint32_t segment)
{
	struct kr_client *c = s->client;
	link_begin(&c->link, ATTACH_SEGMENT, client_id(c), sizeof c->link.out.segment);
	c->link.out.segment.shard = s->number;
	c->link.out.segment.segment = segment;
}

/* Asks for a segment and waits for it. Segment 0 has no row to hold it against. */
static int map_segment(struct mapping *s, uint32_t segment, const void **at, uint64_t *bytes)
{
	begin_question(s, segment);
	int r = client_ask(s->client, ATTACH_SEGMENT_FD);
	return r == KR_OK ? map_answer(s, segment, at, bytes) : r;
}

/* Takes a new mapping in, if it is what the directory says. */
static int adopt(struct mapping *s, uint32_t segment, const void *at, uint64_t bytes)
{
	struct shm_segment_row row;
	struct read_map m = {at, bytes};
	if (read_segment(&s->read, segment, &row) == READ_OK && row.bytes == bytes &&
	        !s->read.maps[segment].at && read_map(&s->read, segment, at, bytes) == READ_OK)
		return KR_OK;
	bool there = s->read.maps[segment].at != NULL; /* asked for twice */
	unmap(&m);
	if (there)
		return KR_OK;
	return client_fail(s->client, KR_ERR_CORRUPT,
	        "segment %u of shard %u has %llu bytes, its directory says something else", segment,
	        s->number, (unsigned long long)bytes);
}

static int fetch(struct mapping *s, uint32_t segment)
{
	struct kr_client *c = s->client;
	const void *at = NULL;
	uint64_t bytes = 0;
	if (!mapping_current(s))
		return client_fail(c, KR_ERR_UNREACHABLE,
		        "segment %u of shard %u was never mapped, and the daemon that had it is "
		        "gone; read again when the list is live",
		        segment, s->number);
	if (segment >= read_segments(&s->read))
		return client_fail(c, KR_ERR_CORRUPT,
		        "shard %u names segment %u, which its directory does not have", s->number,
		        segment);
	int r = map_segment(s, segment, &at, &bytes);
	return r == KR_OK ? adopt(s, segment, at, bytes) : r;
}

/* The first segment of the directory that was neither mapped nor refused; false: there is none. */
static bool missing(struct mapping *s, uint32_t *segment)
{
	uint32_t n = read_segments(&s->read);
	while (s->segments_seen < n && s->read.maps[s->segments_seen].at)
		s->segments_seen++;
	*segment = s->segments_seen;
	return s->segments_seen < n && mapping_current(s);
}

void mapping_catch_up(struct mapping *s)
{
	uint32_t segment;
	if (s->ask_id != 0 || !missing(s, &segment))
		return;
	begin_question(s, segment);
	uint32_t id = s->client->link.out.head.id;
	if (link_send(&s->client->link) == 0) /* else the queue is full: next time */
		s->ask_id = id;
}

void mapping_on_answer(struct mapping *s)
{
	const struct kr_client *c = s->client;
	const void *at = NULL;
	uint64_t bytes = 0;
	s->ask_id = 0;
	/* A segment that is refused is not asked for again here; whoever needs it asks, and is told
	 * why. */
	uint32_t segment = s->segments_seen++;
	if (c->link.in.head.type == ATTACH_SEGMENT_FD && c->link.in.segment.segment == segment &&
	        map_answer(s, segment, &at, &bytes) == KR_OK)
		(void)adopt(s, segment, at, bytes);
	mapping_catch_up(s);
}

/* --- life ------------------------------------------------------------------------------------ */

bool mapping_current(const struct mapping *s)
{
	const struct kr_client *c = s->client;
	return c->phase == CLIENT_UP && s->read.incarnation[0] == c->incarnation[0] &&
	       s->read.incarnation[1] == c->incarnation[1];
}

static void destroy(struct mapping *s)
{
	list_unlink(&s->node);
	for (uint32_t i = 0; i < SHM_SEGMENTS_MAX; i++)
		unmap(&s->read.maps[i]);
	free(s);
}

static int open_control(struct mapping *s)
{
	struct kr_client *c = s->client;
	const void *at = NULL;
	uint64_t bytes = 0;
	int r = map_segment(s, 0, &at, &bytes);
	if (r != KR_OK)
		return r;
	enum read_result rr = read_init(&s->read, at, bytes);
	s->read.maps[0] = (struct read_map){at, bytes}; /* unmapped by destroy, whatever it holds */
	if (rr == READ_VERSION)
		return client_fail(c, KR_ERR_VERSION,
		        "the daemon writes layout %u.%u, this library reads %u.x: install the "
		        "libkubering that belongs to the daemon",
		        s->read.layout_major, s->read.layout_minor, SHM_LAYOUT_MAJOR);
	if (rr != READ_OK)
		return client_fail(
		        c, KR_ERR_CORRUPT, "the control segment of shard %u is broken", s->number);
	if (!mapping_current(s))
		return client_fail(c, KR_ERR_CORRUPT,
		        "shard %u belongs to another life of the daemon than the one that answered",
		        s->number);
	return fetch(s, 1);
}

int mapping_get(struct kr_client *c, uint32_t number, struct mapping **out)
{
	LIST_EACH (n, &c->shards) {
		struct mapping *s = CONTAINER_OF(n, struct mapping, node);
		if (s->number == number && mapping_current(s)) {
			*out = mapping_ref(s);
			return KR_OK;
		}
	}
	struct mapping *s = calloc(1, sizeof *s);
	if (!s)
		return client_fail(c, KR_ERR_MEMORY, "out of memory");
	s->client = c;
	s->number = number;
	s->refs = 1;
	list_push(&c->shards, &s->node);
	int r = open_control(s);
	if (r != KR_OK) {
		destroy(s);
		return r;
	}
	for (uint32_t segment; missing(s, &segment) && fetch(s, segment) == KR_OK;)
		;
	*out = s;
	return KR_OK;
}

struct mapping *mapping_ref(struct mapping *s)
{
	s->refs++;
	return s;
}

void mapping_put(struct mapping **s)
{
	if (*s && --(*s)->refs == 0)
		destroy(*s);
	*s = NULL;
}

int64_t mapping_beat_age_ns(const struct mapping *s, int64_t now_ns)
{
	uint64_t beat = READ_ACQUIRE(&s->read.header->heartbeat_ns);
	if (beat == 0 || beat >= (uint64_t)now_ns)
		return 0;
	return now_ns - (int64_t)beat;
}

bool mapping_stopped(const struct mapping *s)
{
	return READ_ACQUIRE(&s->read.header->state) == SHM_SHARD_STOPPED;
}

/* --- reading --------------------------------------------------------------------------------- */

/* Can r be helped? A dead writer is not waited for. */
static bool help(struct mapping *s, enum read_result r, struct patience *p)
{
	if (r == READ_NEED)
		return (s->refused = fetch(s, s->read.need)) == KR_OK;
	return r == READ_STUCK && mapping_current(s) && patience_left(p);
}

enum read_result mapping_row(struct mapping *s, uint32_t list, uint32_t gen, struct shm_list *out)
{
	struct patience p = {0};
	enum read_result r;
	do
		r = read_row(&s->read, list, gen, out);
	while (r != READ_OK && help(s, r, &p));
	return r;
}

enum read_result mapping_slot(struct mapping *s, uint32_t slot, struct shm_slot *out)
{
	struct patience p = {0};
	enum read_result r;
	do
		r = read_slot(&s->read, slot, out);
	while (r != READ_OK && help(s, r, &p));
	return r;
}

enum read_result mapping_page(struct mapping *s, uint32_t page, struct shm_page *out)
{
	struct patience p = {0};
	enum read_result r;
	do
		r = read_page(&s->read, page, out);
	while (r != READ_OK && help(s, r, &p));
	return r;
}

enum read_result mapping_block(
        struct mapping *s, uint64_t block, const uint8_t **at, uint32_t *bytes)
{
	struct patience p = {0};
	enum read_result r;
	do
		r = read_block(&s->read, block, at, bytes);
	while (r != READ_OK && help(s, r, &p));
	return r;
}

enum read_result mapping_probe(struct mapping *s, uint64_t key_hash, struct read_probe *probe)
{
	struct patience p = {0};
	enum read_result r;
	do
		r = read_probe_begin(&s->read, key_hash, probe);
	while (r != READ_OK && help(s, r, &p));
	return r;
}

int mapping_fail(struct mapping *s, enum read_result r)
{
	struct kr_client *c = s->client;
	switch (r) {
	case READ_OK: return KR_OK;
	case READ_NONE: return KR_END;
	case READ_NEED: return s->refused;
	case READ_GONE:
		return client_fail(c, KR_ERR_OVERRUN,
		        "too slow: what was to be read has left the ring; take the list again");
	case READ_STUCK:
		return client_fail(c, KR_ERR_STUCK,
		        "the daemon is in the middle of a write to shard %u, or stopped there: ask "
		        "again, or wait for it to come back",
		        s->number);
	case READ_CLOSED: return client_fail(c, KR_ERR_CLOSED, "the list was closed");
	case READ_VERSION: return KR_ERR_VERSION;
	case READ_CORRUPT: break;
	}
	return client_fail(c, KR_ERR_CORRUPT,
	        "shard %u breaks the rules of its layout; restart kuberingd and report this",
	        s->number);
}
