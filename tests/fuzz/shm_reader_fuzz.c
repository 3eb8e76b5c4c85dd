/* shm_reader: whatever bytes are in the shared memory, also while they change, libkubering reads
 * inside the mappings only, comes to an end, and hands out what the header promises
 * (ARCHITECTURE.md, invariant 4).
 *
 * A real store writes two lists, with replaced and deleted objects, in small segments. Each input
 * is a program that changes words of that image (header, rows, ring, pages, blocks, index: by kind,
 * so that the words that matter are hit) and then reads it through the public functions. Every
 * mapping has a page in front and behind that nobody may touch. Some inputs are read while a second
 * thread goes on changing what the program changed.
 *
 * Properties: no access outside (SIGSEGV), no endless loop (-timeout), strings end inside the
 * object, JSON and KR_PADDING behind it are readable, a view hands out no more than its count,
 * follows give rising sequences, results are results; with no change at all everything reads well.
 *
 * Input: flags (1), number of changes (1), changes (13 each: kind, index, offset 2, how, value 8),
 * then one byte per read. */
#include "client/follow.h"
#include "client/list.h"
#include "client/session.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "harness/fake_daemon.h"

enum {
	SEGMENTS_MAX = 32,
	CHANGES_MAX = 48,
	CHANGE_BYTES = 13,
	RING = 64,
	OBJECTS = 40,
	PAGE = 4096
};

struct image_segment {
	uint8_t *at;
	uint64_t bytes;
	enum shm_segment_kind kind;
};

struct image {
	struct image_segment segments[SEGMENTS_MAX];
	unsigned count, slots, blocks, index; /* numbers of the first of a kind */
	uint32_t row[2], gen[2];
	uint64_t lists_offset;
};

struct undo {
	uint8_t *at;
	uint64_t old, new;
	unsigned width;
};

static struct image image;
static struct undo undo[CHANGES_MAX];
static unsigned undo_count;
static struct mapping mapping;

/* --- the image ----------------------------------------------------------------------------------
 */

static void fill_list(struct store *s, const char *resource, unsigned which)
{
	static struct fake_object o;
	struct store_list *l;
	enum store_outcome what;
	struct store_identity id = {
	        .cluster = SPAN("test"), .version = SPAN("v1"), .resource = span_of(resource)};
	CHECK(store_list_open(s, &id, NULL, NULL, &l) == ERR_OK);
	image.row[which] = store_list_row(l, &image.gen[which]);
	fake_sync(l, 0, OBJECTS, 1, 100);
	for (unsigned i = 0; i < 30; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%u", i % 7);
		fake_object(&o, "default", name, 1 + i / 28, 101 + i, 150 + i * 20);
		CHECK(store_upsert(l, &o.o, fake_now(), &what) == ERR_OK);
	}
	fake_delete(l, "n9", 1, 200);
	store_bookmark(l, SPAN("300"), fake_now());
}

/* Between two pages that nobody may touch. */
static uint8_t *guarded(uint64_t bytes)
{
	CHECK(bytes % PAGE == 0);
	uint8_t *at = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED);
	CHECK(mprotect(at + PAGE, bytes, PROT_READ | PROT_WRITE) == 0);
	return at + PAGE;
}

static void image_make(void)
{
	struct errmsg msg = {.text = ""};
	struct store *s;
	struct shm_segment_row row;
	struct store_config config = {.ring_entries = RING,
	        .lists_max = 4,
	        .block_segment_bytes = 65536,
	        .incarnation = {1, 2},
	        .hash_seed = 3,
	        .in_process = true};
	CHECK(store_new(&config, &s, &msg) == ERR_OK);
	fill_list(s, "pods", 0);
	fill_list(s, "secrets", 1);
	const struct shm_header *h = store_segment_at(s, 0);
	const struct shm_segment_row *rows = (const void *)((const char *)h + h->directory_offset);
	image.lists_offset = h->lists_offset;
	image.count = h->segment_count;
	CHECK(image.count <= SEGMENTS_MAX);
	for (unsigned i = 0; i < image.count; i++) {
		row = rows[i];
		struct image_segment *g = &image.segments[i];
		*g = (struct image_segment){guarded(row.bytes), row.bytes, row.kind};
		memcpy(g->at, store_segment_at(s, i), row.bytes);
		if (row.kind == SHM_SLOTS && !image.slots)
			image.slots = i;
		if (row.kind == SHM_BLOCKS && !image.blocks)
			image.blocks = i;
		if (row.kind == SHM_INDEX && !image.index)
			image.index = i;
	}
	store_free(&s);
}

/* --- changes ------------------------------------------------------------------------------------
 */

static uint64_t get(const uint8_t *p, unsigned width)
{
	uint64_t v = 0;
	memcpy(&v, p, width);
	return v;
}

/* Where a change hits: a word of something that matters. */
static uint8_t *target(unsigned kind, unsigned index, unsigned offset, unsigned width)
{
	unsigned segment = 0;
	uint64_t at;
	switch (kind % 8) {
	case 0: at = offset % 1024; break;
	case 1:
		at = image.lists_offset + index % 4 * SHM_LIST_BYTES + offset % SHM_LIST_BYTES;
		break;
	case 2:
	case 3: segment = 1, at = index % RING * 64ull + offset % 64; break;
	case 4: segment = image.slots, at = index % 12 * 1024ull + offset % 1024; break;
	case 5:
		segment = image.slots, at = index % 12 * 1024ull + offset % 64;
		break; /* page header */
	case 6:
		segment = image.blocks,
		at = index % 128 * 64ull * (1 + offset / 64 % 8) + offset % 64;
		break;
	default:
		segment = image.index, at = index * 8ull * (1 + offset / 8 % 64) + offset % 8;
		break;
	}
	at -= at % width;
	return at + width <= image.segments[segment].bytes ? image.segments[segment].at + at : NULL;
}

static void change(const uint8_t *p)
{
	unsigned width = 1u << (p[4] & 3), how = p[4] >> 2 & 3;
	uint8_t *at = target(p[0], p[1], (unsigned)get(p + 2, 2), width);
	if (!at)
		return;
	uint64_t old = get(at, width), value = get(p + 5, 8);
	uint64_t new = how == 0   ? value
	               : how == 1 ? old + (uint64_t)(int8_t)value
	               : how == 2 ? old ^ value
	                          : ~0ull;
	undo[undo_count++] = (struct undo){at, old, new, width};
	memcpy(at, &new, width);
}

static void take_back(void)
{
	while (undo_count > 0) {
		const struct undo *u = &undo[--undo_count];
		memcpy(u->at, &u->old, u->width);
	}
}

static _Atomic bool stop;

/* Goes on changing what the program changed, there and back; without pause and without a lock: that
 * is the point. */
__attribute__((no_sanitize("thread"))) static void *mutate(void *arg)
{
	(void)arg;
	while (!stop)
		for (unsigned i = 0; i < undo_count; i++) {
			const struct undo *u = &undo[i];
			memcpy(u->at, &u->old, u->width);
			memcpy(u->at, &u->new, u->width);
		}
	return NULL;
}

/* --- reads --------------------------------------------------------------------------------------
 */

static volatile unsigned sink;

static void check_result(int r)
{
	CHECK(r <= KR_TIMEOUT && r >= KR_ERR_DAEMON);
}

static void check_object(const struct kr_object *o, bool copied)
{
	for (size_t i = 0; i < o->json_bytes + KR_PADDING; i += 32)
		sink += (unsigned char)o->json[i];
	sink += (unsigned char)o->json[o->json_bytes + KR_PADDING - 1];
	if (!copied)
		return;
	size_t n = strlen(o->namespace_) + strlen(o->name) + strlen(o->uid) +
	           strlen(o->resource_version);
	CHECK(n < 4 * 65536);
}

static void read_view(struct kr_list *l, unsigned flags, bool quiet)
{
	struct kr_view v;
	struct kr_object o;
	uint64_t n = 0;
	int r = kr_view_begin_flags(l, &v, flags);
	check_result(r);
	CHECK(!quiet || r == KR_OK);
	if (r != KR_OK)
		return;
	while ((r = kr_view_next(&v, &o)) == KR_OK) {
		check_object(&o, !(flags & KR_BORROW));
		(void)kr_check(l, &o);
		CHECK(++n <= v.count);
	}
	check_result(r);
	CHECK(!quiet || (r == KR_END && n == v.count));
	check_result(kr_view_end(&v));
}

static void read_follow(struct kr_list *l, unsigned flags, uint64_t position)
{
	struct kr_follow k;
	struct kr_change ch;
	struct follow_start start = {position, 0};
	uint64_t seq = 0;
	int r = KR_OK;
	follow_prepare(&k, l, &l->home, &start);
	for (unsigned i = 0; i < 3 * RING; i++) {
		r = kr_follow_next_flags(&k, &ch, 0, flags);
		check_result(r);
		if (r != KR_OK)
			break;
		check_object(&ch.object, !(flags & KR_BORROW));
		check_object(&ch.old_object, !(flags & KR_BORROW));
		(void)kr_change_check(&k, &ch);
		if (ch.type <= KR_DELETED) {
			CHECK(ch.seq > seq);
			seq = ch.seq;
		}
		sink += strlen(ch.resource_version) > 0;
	}
	CHECK(r != KR_OK); /* the ring holds no more than that */
	kr_follow_end(&k);
}

static void read_get(struct kr_list *l, unsigned i, unsigned flags)
{
	struct kr_object o;
	char name[16];
	snprintf(name, sizeof name, "n%u", i);
	int r = kr_get(l, "default", name, flags, &o);
	check_result(r);
	if (r == KR_OK) {
		check_object(&o, !(flags & KR_BORROW));
		if (!(flags & KR_BORROW))
			CHECK(strcmp(o.name, name) == 0);
	}
	(void)kr_check(l, &o);
}

static void read_one(struct kr_list *l, unsigned what, bool quiet)
{
	struct kr_list_status s = {.size = sizeof s};
	switch (what % 8) {
	case 0: read_view(l, 0, quiet); break;
	case 1: read_view(l, KR_BORROW, quiet); break;
	case 2: read_follow(l, what & 64 ? KR_NO_OLD : 0, what >> 3 & 7 ? what >> 3 : 0); break;
	case 3: read_follow(l, KR_BORROW, 0); break;
	case 4:
	case 5: read_get(l, what >> 3, 0); break;
	case 6: read_get(l, what >> 3, KR_BORROW); break;
	default:
		check_result(kr_list_status(l, &s));
		check_result(kr_list_wait_version(l, "250", 0));
		CHECK(strlen(s.error_text) < sizeof s.error_text);
		break;
	}
}

/* --- one input ----------------------------------------------------------------------------------
 */

static bool map_image(struct kr_client *c)
{
	memset(&mapping, 0, sizeof mapping);
	if (read_init(&mapping.read, image.segments[0].at, image.segments[0].bytes) != READ_OK)
		return false;
	for (unsigned i = 1; i < image.count; i++)
		if (read_map(&mapping.read, i, image.segments[i].at, image.segments[i].bytes) !=
		        READ_OK)
			return false;
	mapping.client = c;
	mapping.refs = 1; /* never the last: nothing is unmapped */
	list_init(&mapping.node);
	return true;
}

static void client_make(struct kr_client *c)
{
	memset(c, 0, sizeof *c);
	c->refs = 1;
	c->event_fd = c->epoll_fd = c->timer_fd = -1;
	c->next_try_ns = INT64_MAX; /* no daemon, and none is looked for */
	c->timeout_ns = 1;
	link_init(&c->link);
	list_init(&c->lists);
	list_init(&c->follows);
	list_init(&c->shards);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kr_client client;
	if (image.count == 0)
		image_make();
	if (size < 2)
		return 0;
	unsigned flags = data[0], changes = data[1] % CHANGES_MAX, which = flags >> 7;
	data += 2;
	size -= 2;
	for (; changes > 0 && size >= CHANGE_BYTES;
	        changes--, data += CHANGE_BYTES, size -= CHANGE_BYTES)
		change(data);
	client_make(&client);
	bool quiet = undo_count == 0;
	bool restless = !quiet && (flags & 31) == 31; /* threads are dear */
	pthread_t thread;
	if (map_image(&client)) {
		char spec[] = "cv1pods";
		struct kr_list list = {.refs = 1000,
		        .client = &client,
		        .text = spec,
		        .length = {[ATTACH_CLUSTER] = 1,
		                [ATTACH_API_VERSION] = 2,
		                [ATTACH_RESOURCE] = 4}};
		list.home = (struct home){&mapping, image.row[which], image.gen[which], 0, 0};
		stop = false;
		if (restless)
			CHECK(pthread_create(&thread, NULL, mutate, NULL) == 0);
		for (size_t i = 0; i < size && i < (restless ? 4u : 12u); i++)
			read_one(&list, data[i], quiet);
		stop = true;
		if (restless)
			CHECK(pthread_join(thread, NULL) == 0);
		object_buf_fini(&list.buf);
	}
	take_back();
	return 0;
}
