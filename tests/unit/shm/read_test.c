/* The read half against memory made by hand: what is right is read, what breaks the rules is
 * refused, whatever it is. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/check.h"
#include "shm/read.h"
#include "shm/write.h"

enum {
	RING = 8,
	LISTS = 4,
	CONTROL_BYTES = 16384,
	DIRECTORY = 4096,
	ROWS = 8192,
	BLOCK_BYTES = 8192,
};

/* A shard of five segments, all mapped but the last. Heap, exact sizes: ASan guards both ends. */
struct image {
	struct shm_header *h;
	struct shm_segment_row *directory;
	struct shm_list *rows;
	struct shm_entry *ring;
	struct shm_slot *slots;
	struct shm_index_entry *index;
	uint8_t *blocks;
	struct read_shard *r;
};

static struct image *image_new(void)
{
	struct image *m = calloc(1, sizeof *m);
	m->h = calloc(1, CONTROL_BYTES);
	m->directory = (void *)((char *)m->h + DIRECTORY);
	m->rows = (void *)((char *)m->h + ROWS);
	m->ring = calloc(RING, sizeof *m->ring);
	m->slots = calloc(65536, sizeof *m->slots);
	m->index = calloc(16, sizeof *m->index);
	m->blocks = calloc(1, BLOCK_BYTES);
	m->r = calloc(1, sizeof *m->r);
	*m->h = (struct shm_header){
	        .magic = SHM_MAGIC,
	        .layout_major = SHM_LAYOUT_MAJOR,
	        .header_bytes = SHM_HEADER_BYTES,
	        .incarnation = {1, 2},
	        .ring_entries = RING,
	        .lists_max = LISTS,
	        .list_stride = sizeof(struct shm_list),
	        .slot_stride = sizeof(struct shm_slot),
	        .entry_stride = sizeof(struct shm_entry),
	        .page_bytes = 1024,
	        .control_bytes = CONTROL_BYTES,
	        .directory_offset = DIRECTORY,
	        .lists_offset = ROWS,
	        .head = 1,
	        .segment_count = 5,
	        .index = 2ull << 32 | 4,
	        .slot_segments = {3},
	};
	m->directory[4] = (struct shm_segment_row){SHM_BLOCKS, 0, BLOCK_BYTES};
	return m;
}

static void image_map(struct image *m)
{
	assert_int_equal(read_init(m->r, m->h, CONTROL_BYTES), READ_OK);
	assert_int_equal(read_map(m->r, 1, m->ring, RING * sizeof *m->ring), READ_OK);
	assert_int_equal(read_map(m->r, 2, m->index, 16 * sizeof *m->index), READ_OK);
	assert_int_equal(read_map(m->r, 3, m->slots, 65536 * sizeof *m->slots), READ_OK);
	assert_int_equal(read_map(m->r, 4, m->blocks, BLOCK_BYTES), READ_OK);
}

static struct image *image_mapped(void)
{
	struct image *m = image_new();
	image_map(m);
	return m;
}

static void image_free(struct image *m)
{
	free(m->h);
	free(m->ring);
	free(m->slots);
	free(m->index);
	free(m->blocks);
	free(m->r);
	free(m);
}

static void header_is_checked(void **state)
{
	(void)state;
	struct image *m = image_new();
	struct shm_header good = *m->h, *h = m->h;
	assert_int_equal(read_init(m->r, h, CONTROL_BYTES), READ_OK);
	assert_int_equal(read_init(m->r, h, SHM_HEADER_BYTES - 1), READ_CORRUPT);
	assert_int_equal(read_init(m->r, (char *)h + 4, CONTROL_BYTES - 4), READ_CORRUPT);
#define BROKEN(change, result)                                                                     \
	do {                                                                                       \
		change;                                                                            \
		assert_int_equal(read_init(m->r, h, CONTROL_BYTES), result);                       \
		*h = good;                                                                         \
	} while (0)
	BROKEN(h->magic++, READ_CORRUPT);
	BROKEN(h->layout_major++, READ_VERSION);
	BROKEN(h->layout_minor++, READ_OK);
	BROKEN(h->ring_entries = 0, READ_CORRUPT);
	BROKEN(h->ring_entries = 1, READ_CORRUPT);
	BROKEN(h->ring_entries = 6, READ_CORRUPT);
	BROKEN(h->ring_entries = 1u << 31, READ_CORRUPT);
	BROKEN(h->list_stride = sizeof(struct shm_list) - 8, READ_CORRUPT);
	BROKEN(h->list_stride = sizeof(struct shm_list) + 4, READ_CORRUPT);
	BROKEN(h->list_stride = sizeof(struct shm_list) + 8, READ_OK); /* a later minor */
	BROKEN(h->list_stride = UINT32_MAX - 7, READ_CORRUPT);
	BROKEN(h->slot_stride = 0, READ_CORRUPT);
	BROKEN(h->slot_stride = 72, READ_CORRUPT); /* 16 of them do not fit the page */
	BROKEN(h->entry_stride = 56, READ_CORRUPT);
	BROKEN(h->page_bytes = 1023, READ_CORRUPT);
	BROKEN(h->lists_max = UINT32_MAX, READ_CORRUPT);
	BROKEN(h->lists_max = (CONTROL_BYTES - ROWS) / sizeof(struct shm_list), READ_OK);
	BROKEN(h->lists_max = (CONTROL_BYTES - ROWS) / sizeof(struct shm_list) + 1, READ_CORRUPT);
	BROKEN(h->lists_offset = UINT64_MAX - 7, READ_CORRUPT);
	BROKEN(h->lists_offset = ROWS + 4, READ_CORRUPT);
	BROKEN(h->directory_offset = CONTROL_BYTES, READ_CORRUPT);
	BROKEN(h->directory_offset = UINT64_MAX - 15, READ_CORRUPT);
#undef BROKEN
	image_free(m);
}

static void directory_is_checked(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	struct shm_segment_row row;
	assert_int_equal(read_segments(m->r), 5);
	assert_int_equal(read_segment(m->r, 4, &row), READ_OK);
	assert_int_equal(row.kind, SHM_BLOCKS);
	assert_int_equal(row.bytes, BLOCK_BYTES);
	assert_int_equal(read_segment(m->r, 5, &row), READ_NONE);
	m->h->segment_count = UINT32_MAX;
	assert_int_equal(read_segments(m->r), SHM_SEGMENTS_MAX);
	assert_int_equal(read_segment(m->r, (CONTROL_BYTES - DIRECTORY) / 16 - 1, &row), READ_OK);
	assert_int_equal(read_segment(m->r, (CONTROL_BYTES - DIRECTORY) / 16, &row), READ_CORRUPT);
	assert_int_equal(read_segment(m->r, UINT32_MAX, &row), READ_NONE);
	assert_int_equal(read_map(m->r, 0, m->ring, 512), READ_CORRUPT);
	assert_int_equal(read_map(m->r, SHM_SEGMENTS_MAX, m->ring, 512), READ_CORRUPT);
	assert_int_equal(read_map(m->r, 1, m->ring, RING * sizeof *m->ring - 1), READ_CORRUPT);
	assert_int_equal(read_map(m->r, 2, (char *)m->ring + 4, 64), READ_CORRUPT);
	image_free(m);
}

static void rows_are_read_by_seqlock(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	struct shm_list row;
	uint64_t last;
	m->rows[2] = (struct shm_list){.gen = 7, .last_change = 9, .digest = 11};
	memset(m->rows[2].rv, 'x', sizeof row.rv); /* no NUL */
	memset(m->rows[2].error_text, 'x', sizeof row.error_text);
	memset(m->rows[2].error_name, 'x', sizeof row.error_name);
	assert_int_equal(read_row(m->r, 2, 7, &row), READ_OK);
	assert_int_equal(row.digest, 11);
	assert_int_equal(strlen(row.rv), sizeof row.rv - 1);
	assert_int_equal(strlen(row.error_text), sizeof row.error_text - 1);
	assert_int_equal(strlen(row.error_name), sizeof row.error_name - 1);
	assert_int_equal(read_row(m->r, 2, 8, &row), READ_CLOSED);
	assert_int_equal(read_last(m->r, 2, 7, &last), READ_OK);
	assert_int_equal(last, 9);
	assert_int_equal(read_last(m->r, 2, 6, &last), READ_CLOSED);
	assert_int_equal(read_row(m->r, LISTS, 7, &row), READ_CORRUPT);
	assert_int_equal(read_last(m->r, UINT32_MAX, 7, &last), READ_CORRUPT);
	m->rows[2].ver = 5; /* odd: the writer is dead */
	assert_int_equal(read_row(m->r, 2, 7, &row), READ_STUCK);
	image_free(m);
}

static void slots_and_pages_are_checked(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	struct shm_slot slot;
	struct shm_page page;
	m->slots[5 << 4 | 3] = (struct shm_slot){.seq = 42, .state = SHM_SLOT_LIVE};
	*(struct shm_page *)(void *)&m->slots[5 << 4] = (struct shm_page){1, 2, 3, 4, {0}};
	assert_int_equal(read_slot(m->r, 5 << 4 | 3, &slot), READ_OK);
	assert_int_equal(slot.seq, 42);
	assert_int_equal(read_page(m->r, 5, &page), READ_OK);
	assert_int_equal(page.list, 1);
	assert_int_equal(page.next, 4);
	assert_int_equal(
	        read_slot(m->r, 5 << 4, &slot), READ_CORRUPT); /* that is the page header */
	assert_int_equal(read_page(m->r, 0, &page), READ_CORRUPT);
	assert_int_equal(read_page(m->r, UINT32_MAX, &page), READ_CORRUPT);
	assert_int_equal(read_page(m->r, 1u << 28 | 5, &page), READ_CORRUPT); /* no slot number */
	assert_int_equal(read_page(m->r, 0xfff, &page), READ_OK); /* the last of the segment */
	assert_int_equal(read_slot(m->r, 1u << 16 | 1, &slot), READ_CORRUPT); /* no such segment */
	assert_int_equal(read_slot(m->r, UINT32_MAX, &slot), READ_CORRUPT);
	m->h->slot_segments[1] = 9; /* there, but not mapped */
	assert_int_equal(read_slot(m->r, 1u << 16 | 1, &slot), READ_NEED);
	assert_int_equal(m->r->need, 9);
	m->h->slot_segments[1] = UINT16_MAX;
	assert_int_equal(read_slot(m->r, 1u << 16 | 1, &slot), READ_CORRUPT);
	m->h->slot_segments[1] = 4; /* a segment that is shorter than a page table */
	assert_int_equal(read_slot(m->r, 1u << 16 | 7 << 4 | 15, &slot), READ_OK);
	assert_int_equal(read_slot(m->r, 1u << 16 | 8 << 4 | 1, &slot), READ_CORRUPT);
	assert_int_equal(read_pages_max(m->r), 2 * 4096);
	assert_int_equal(read_map(m->r, 4, m->blocks, BLOCK_BYTES - 8), READ_OK); /* in a slot */
	assert_int_equal(read_slot(m->r, 1u << 16 | 7 << 4 | 15, &slot), READ_CORRUPT);
	assert_int_equal(read_slot(m->r, SHM_SLOT_SEGMENTS_MAX << 16 | 1, &slot), READ_CORRUPT);
	m->slots[5 << 4 | 3].ver = 1;
	assert_int_equal(read_slot(m->r, 5 << 4 | 3, &slot), READ_STUCK);
	image_free(m);
}

static void put_entry(struct image *m, uint64_t seq, uint64_t prev)
{
	m->ring[seq & (RING - 1)] = (struct shm_entry){
	        .seq = seq, .list = 2, .list_gen = 7, .op = SHM_OP_MODIFIED, .prev = prev};
}

static void entries_leave_the_ring(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	struct shm_entry e;
	put_entry(m, 9, 4);
	m->h->head = 9;
	assert_int_equal(read_entry(m->r, 9, &e), READ_OK);
	assert_int_equal(e.prev, 4);
	assert_int_equal(read_entry(m->r, 1, &e), READ_GONE);  /* overwritten */
	assert_int_equal(read_entry(m->r, 17, &e), READ_GONE); /* not there yet */
	m->h->head = 10;
	assert_int_equal(read_entry(m->r, 9, &e), READ_GONE); /* given up */
	assert_false(read_intact(m->r, 9));
	assert_true(read_intact(m->r, 10));
	assert_int_equal(read_head(m->r), 10);
	m->h->commit = 12;
	assert_int_equal(read_commit(m->r), 12);
	image_free(m);
}

static enum read_result walk(struct image *m, uint64_t from, uint64_t after, unsigned *n)
{
	struct shm_entry e;
	struct read_chain c = {from, after, 2, 7, 0};
	enum read_result r;
	for (*n = 0; (r = read_chain_next(m->r, &c, &e)) == READ_OK; ++*n)
		;
	return r;
}

static void chains_are_walked_and_bounded(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	unsigned n;
	put_entry(m, 7, 5);
	put_entry(m, 5, 2);
	put_entry(m, 2, 0);
	assert_int_equal(walk(m, 7, 0, &n), READ_NONE);
	assert_int_equal(n, 3);
	assert_int_equal(walk(m, 7, 2, &n), READ_NONE);
	assert_int_equal(n, 2);
	assert_int_equal(walk(m, 7, 3, &n), READ_NONE); /* a position between two changes */
	assert_int_equal(n, 2);
	assert_int_equal(walk(m, 7, 7, &n), READ_NONE);
	assert_int_equal(n, 0);
	assert_int_equal(walk(m, 0, 0, &n), READ_NONE);
	m->h->head = 3;
	assert_int_equal(walk(m, 7, 2, &n), READ_NONE); /* what has gone was not wanted */
	assert_int_equal(walk(m, 7, 1, &n), READ_GONE);
	m->h->head = 1;
	put_entry(m, 5, 5); /* hostile: a loop */
	assert_int_equal(walk(m, 7, 0, &n), READ_CORRUPT);
	put_entry(m, 5, 6); /* forwards */
	assert_int_equal(walk(m, 7, 0, &n), READ_CORRUPT);
	put_entry(m, 5, 2);
	m->ring[5].list = 1;
	assert_int_equal(walk(m, 7, 0, &n), READ_CORRUPT);
	m->ring[5].list = 2;
	m->ring[5].list_gen = 8;
	assert_int_equal(walk(m, 7, 0, &n), READ_CLOSED);
	struct read_shard *r = m->r; /* no ring mapped at all */
	assert_int_equal(read_init(r, m->h, CONTROL_BYTES), READ_OK);
	struct shm_entry e;
	assert_int_equal(read_entry(r, 7, &e), READ_CORRUPT);
	read_prefetch_entry(r, 7);
	read_prefetch_change(r, 7, 4, true);
	image_free(m);
}

#define REF(offset) (4ull << SHM_BLOCK_SEGMENT_SHIFT | (uint64_t)(offset))

static void blocks_stay_inside_their_segment(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	const uint8_t *at = NULL;
	uint32_t bytes = 0;
	struct shm_block *b = (void *)(m->blocks + 128);
	b->bytes = 200;
	assert_int_equal(read_block(m->r, REF(128), &at, &bytes), READ_OK);
	assert_ptr_equal(at, b);
	assert_int_equal(bytes, 200);
	b->bytes = BLOCK_BYTES - 128 - SHM_SLACK; /* to the last byte, slack included */
	assert_int_equal(read_block(m->r, REF(128), &at, &bytes), READ_OK);
	b->bytes++;
	assert_int_equal(read_block(m->r, REF(128), &at, &bytes), READ_CORRUPT);
	b->bytes = UINT32_MAX;
	assert_int_equal(read_block(m->r, REF(128), &at, &bytes), READ_CORRUPT);
	b->bytes = 63;
	assert_int_equal(read_block(m->r, REF(128), &at, &bytes), READ_CORRUPT);
	assert_int_equal(read_block(m->r, REF(132), &at, &bytes), READ_CORRUPT); /* not aligned */
	assert_int_equal(read_block(m->r, REF(BLOCK_BYTES - 128), &at, &bytes), READ_CORRUPT);
	assert_int_equal(read_block(m->r, REF(BLOCK_BYTES), &at, &bytes), READ_CORRUPT);
	assert_int_equal(read_block(m->r, REF((1ull << 40) - 8), &at, &bytes), READ_CORRUPT);
	assert_int_equal(read_block(m->r, 0, &at, &bytes), READ_CORRUPT);
	assert_int_equal(read_block(m->r, UINT64_MAX - 7, &at, &bytes), READ_CORRUPT);
	assert_int_equal(read_block(m->r, 77ull << 40, &at, &bytes), READ_NEED);
	assert_int_equal(m->r->need, 77);
	read_prefetch_block(m->r, REF(BLOCK_BYTES - 64), 100); /* hints do not run over either */
	read_prefetch_block(m->r, 77ull << 40, 100);
	read_prefetch_block(m->r, UINT64_MAX, 100);
	image_free(m);
}

/* The smallest whole object: "n" / "na" / "u" / "1", json {} */
static uint32_t put_object(uint8_t *at)
{
	struct shm_block b = {.seq = 3,
	        .json_bytes = 2,
	        .namespace_bytes = 1,
	        .name_bytes = 2,
	        .uid_bytes = 1,
	        .rv_bytes = 1,
	        .json_offset = 64 + 16,
	        .bytes = 64 + 18};
	memcpy(at, &b, sizeof b);
	memcpy(at + 64, "n\0na\0u\0001\0", 9);
	memcpy(at + 80, "{}", 2);
	return b.bytes;
}

static void objects_are_taken_apart(void **state)
{
	(void)state;
	uint8_t *at = malloc(64 + 18); /* exact: ASan sees a byte too many */
	struct read_object o;
	uint32_t n = put_object(at);
	assert_true(read_object(at, n, &o));
	assert_string_equal(o.namespace_, "n");
	assert_string_equal(o.name, "na");
	assert_string_equal(o.uid, "u");
	assert_string_equal(o.rv, "1");
	assert_int_equal(o.json_bytes, 2);
	assert_memory_equal(o.json, "{}", 2);
	struct shm_block good, *b = (void *)at;
	good = *b;
#define BROKEN(change)                                                                             \
	do {                                                                                       \
		change;                                                                            \
		assert_false(read_object(at, n, &o));                                              \
		*b = good;                                                                         \
	} while (0)
	BROKEN(b->bytes--);
	BROKEN(b->bytes++);
	BROKEN(b->json_bytes = 3);
	BROKEN(b->json_bytes = UINT32_MAX);
	BROKEN(b->json_offset = 63);
	BROKEN(b->json_offset = 64 + 8); /* into the strings */
	BROKEN(b->json_offset = 64 + 19);
	BROKEN(b->json_offset = UINT32_MAX);
	BROKEN(b->namespace_bytes = 2); /* a NUL inside */
	BROKEN(b->namespace_bytes = 0); /* not at its end */
	BROKEN(b->namespace_bytes = UINT16_MAX);
	BROKEN(b->name_bytes = 1);
	BROKEN(b->uid_bytes = 2);
	BROKEN(b->rv_bytes = 0);
	BROKEN(b->rv_bytes = UINT16_MAX);
#undef BROKEN
	assert_false(read_object(at, 63, &o));
	free(at);
}

static void probes_end(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	struct read_probe p;
	uint32_t slot = 0;
	uint64_t hash = 7ull << 32 | 14; /* tag 7, place 14 */
	m->index[14] = (struct shm_index_entry){100, 7};
	m->index[15] = (struct shm_index_entry){SHM_INDEX_GONE, 7};
	m->index[0] = (struct shm_index_entry){101, 8};
	m->index[1] = (struct shm_index_entry){102, 7};
	assert_int_equal(read_probe_begin(m->r, hash, &p), READ_OK);
	assert_int_equal(read_probe_next(&p, &slot), READ_OK);
	assert_int_equal(slot, 100);
	assert_int_equal(
	        read_probe_next(&p, &slot), READ_OK); /* round the corner, over the gone one */
	assert_int_equal(slot, 102);
	assert_int_equal(read_probe_next(&p, &slot), READ_NONE);
	for (int i = 0; i < 16; i++) /* hostile: full */
		m->index[i] = (struct shm_index_entry){SHM_INDEX_GONE, 0};
	assert_int_equal(read_probe_begin(m->r, hash, &p), READ_OK);
	assert_int_equal(read_probe_next(&p, &slot), READ_NONE);
	m->h->index = 2ull << 32 | 5; /* larger than its segment */
	assert_int_equal(read_probe_begin(m->r, hash, &p), READ_CORRUPT);
	m->h->index = 2ull << 32 | 63;
	assert_int_equal(read_probe_begin(m->r, hash, &p), READ_CORRUPT);
	m->h->index = 2ull << 32 | UINT32_MAX;
	assert_int_equal(read_probe_begin(m->r, hash, &p), READ_CORRUPT);
	m->h->index = 50ull << 32 | 4;
	assert_int_equal(read_probe_begin(m->r, hash, &p), READ_NEED);
	m->h->index = 0;
	assert_int_equal(read_probe_begin(m->r, hash, &p), READ_CORRUPT);
	image_free(m);
}

/* A table so full that an honest look-up would never walk it: the bound holds. */
static void probes_are_bounded(void **state)
{
	(void)state;
	struct image *m = image_mapped();
	struct read_probe p;
	uint32_t slot;
	size_t n = 1u << 17;
	struct shm_index_entry *big = calloc(n, sizeof *big);
	for (size_t i = 0; i < n; i++)
		big[i].slot = SHM_INDEX_GONE;
	assert_int_equal(read_map(m->r, 6, big, n * sizeof *big), READ_OK);
	m->h->index = 6ull << 32 | 17;
	assert_int_equal(read_probe_begin(m->r, 0, &p), READ_OK);
	assert_int_equal(read_probe_next(&p, &slot), READ_CORRUPT);
	free(big);
	image_free(m);
}

/* Any alignment, any length. */
static void bytes_are_copied(void **state)
{
	(void)state;
	uint8_t from[64], to[80];
	for (unsigned i = 0; i < sizeof from; i++)
		from[i] = (uint8_t)(i * 7 + 1);
	for (unsigned at = 0; at < 9; at++)
		for (unsigned n = 0; n < 40; n++) {
			memset(to, 0, sizeof to);
			read_bytes(to + 8, from + at, n);
			assert_memory_equal(to + 8, from + at, n);
			assert_int_equal(to[7], 0);
			assert_int_equal(to[8 + n], 0);
		}
}

/* --- writer and reader on the same memory: what ThreadSanitizer can judge ------------------------
 */

enum { OVERLAPS = 20000, PAYLOAD_WORDS = 30 };

struct pair {
	struct image *m;
	struct write w;
	_Atomic bool stop;
};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Object k of change s: every word of it says so. The block of s - RING is used again by s. */
static void publish(struct pair *p, uint64_t s)
{
	uint64_t words[PAYLOAD_WORDS + 8];
	struct shm_block *b = (void *)(p->m->blocks + s % (RING + 2) * 384);
	write_room(&p->w, write_head_for(&p->w, 1));
	for (int i = 0; i < PAYLOAD_WORDS + 8; i++)
		words[i] = s;
	((struct shm_block *)(void *)words)->bytes = sizeof words;
	write_bytes(b, words, sizeof words);
	uint64_t block = 4ull << SHM_BLOCK_SEGMENT_SHIFT | (uint64_t)((uint8_t *)b - p->m->blocks);
	write_slot(&p->m->slots[1 << 4 | 1],
	        &(struct shm_slot){.state = SHM_SLOT_LIVE, .seq = s, .block = block, .rv = s});
	struct shm_list *row = &p->m->rows[2];
	uint64_t prev = row->last_change;
	CHECK(write_entry(&p->w, &(struct shm_entry){.list = 2,
	                                 .list_gen = 7,
	                                 .op = SHM_OP_MODIFIED,
	                                 .new_block = block,
	                                 .prev = prev,
	                                 .digest = s,
	                                 .rv = s}) == s);
	write_row_begin(row);
	WRITE_WORD(&row->last_change, s);
	WRITE_WORD(&row->digest, s);
	WRITE_WORD(&row->rv_num, s);
	write_row_end(row);
	write_commit(&p->w);
}

static void *publish_all(void *arg)
{
	struct pair *p = arg;
	for (uint64_t s = 1; !p->stop; s++)
		publish(p, s);
	return NULL;
}

/* The block of change s, if it is still s's: every word says s. */
static void read_payload(struct pair *p, uint64_t block, uint64_t s, uint64_t *whole)
{
	uint64_t words[512];
	const uint8_t *at = NULL;
	uint32_t bytes = 0;
	enum read_result r = read_block(p->m->r, block, &at, &bytes);
	if (r == READ_OK && bytes <= sizeof words)
		read_bytes(words, at, bytes);
	if (!read_intact(p->m->r, s))
		return;
	CHECK(r == READ_OK && bytes == (PAYLOAD_WORDS + 8) * 8);
	for (int i = 0; i < PAYLOAD_WORDS + 8; i++)
		CHECK(words[i] == s || i == 1); /* 1: bytes */
	++*whole;
}

static void writer_and_reader_share_memory(void **state)
{
	(void)state;
	struct pair p = {.m = image_mapped()};
	struct shm_list row;
	struct shm_slot slot;
	struct shm_entry e;
	pthread_t t;
	uint64_t whole = 0, commit = 0, deadline = now_ns() + 10000000000u;
	p.m->rows[2].gen = 7;
	write_init(&p.w, p.m->h, p.m->ring, RING);
	assert_int_equal(pthread_create(&t, NULL, publish_all, &p), 0);
	/* Until reads and writes have overlapped often enough to say something, if there are two
	 * cpus. */
	for (unsigned overlaps = 0; overlaps < OVERLAPS && now_ns() < deadline;) {
		uint64_t now = read_commit(p.m->r); /* R1 */
		CHECK(now >= commit);
		overlaps += now > commit;
		commit = now;
		/* STUCK: a writer that never pauses and a reader slowed down by its sanitizer. */
		enum read_result r = read_row(p.m->r, 2, 7, &row);
		CHECK(r == READ_OK || r == READ_STUCK);
		if (r == READ_OK) {
			CHECK(row.last_change >= commit); /* S3 */
			CHECK(row.digest == row.last_change && row.rv_num == row.last_change);
		}
		r = read_slot(p.m->r, 1 << 4 | 1, &slot);
		CHECK(r == READ_OK || r == READ_STUCK);
		if (r != READ_OK)
			continue;
		CHECK(slot.seq == slot.rv && slot.seq >= commit);
		if (slot.seq > 0)
			read_payload(&p, slot.block, slot.seq, &whole);
		if (commit > 0 && read_entry(p.m->r, commit, &e) == READ_OK) {
			CHECK(e.digest == commit && e.rv == commit && e.prev == commit - 1);
			read_payload(&p, e.new_block, commit, &whole);
		}
	}
	p.stop = true;
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_true(whole > 0);
	image_free(p.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(header_is_checked),
	        cmocka_unit_test(directory_is_checked),
	        cmocka_unit_test(rows_are_read_by_seqlock),
	        cmocka_unit_test(slots_and_pages_are_checked),
	        cmocka_unit_test(entries_leave_the_ring),
	        cmocka_unit_test(chains_are_walked_and_bounded),
	        cmocka_unit_test(blocks_stay_inside_their_segment),
	        cmocka_unit_test(objects_are_taken_apart),
	        cmocka_unit_test(probes_end),
	        cmocka_unit_test(probes_are_bounded),
	        cmocka_unit_test(bytes_are_copied),
	        cmocka_unit_test(writer_and_reader_share_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
