/* store_world.h - what the tests of store/ share: a shard in process, objects by number, and an
 * auditor that recomputes everything the shard promises from the bytes that consumers see. */
#ifndef KR_STORE_WORLD_H
#define KR_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/prng.h"
#include "store/store.h"

#define assert_ok(e) assert_int_equal((e), ERR_OK)

/* One object in storage of its own, so that the spans stay valid. */
struct test_object {
	char namespace_[512], name[512], uid[512], rv[512];
	char json[2048];
	struct json_object o;
};

static inline struct span test_span(const char *s)
{
	return (struct span){s, strlen(s)};
}

/* json_bytes: how long the JSON is; its content depends on name, uid and rv. */
static inline struct json_object *test_object(struct test_object *t, const char *ns,
        const char *name, const char *uid, const char *rv, size_t json_bytes)
{
	if (json_bytes > sizeof t->json)
		json_bytes = sizeof t->json;
	snprintf(t->namespace_, sizeof t->namespace_, "%s", ns);
	snprintf(t->name, sizeof t->name, "%s", name);
	snprintf(t->uid, sizeof t->uid, "%s", uid);
	snprintf(t->rv, sizeof t->rv, "%s", rv);
	struct prng r = {XXH3_64bits(rv, strlen(rv)) ^ XXH3_64bits(name, strlen(name))};
	for (size_t i = 0; i < json_bytes; i++)
		t->json[i] = (char)('a' + prng_next(&r) % 26);
	if (json_bytes > 1) {
		t->json[0] = '{';
		t->json[json_bytes - 1] = '}';
	}
	t->o = (struct json_object){.raw = {t->json, json_bytes},
	        .name = test_span(t->name),
	        .namespace_ = test_span(t->namespace_),
	        .uid = test_span(t->uid),
	        .resource_version = test_span(t->rv)};
	return &t->o;
}

static inline struct json_object *test_simple(struct test_object *t, const char *name, uint64_t rv)
{
	char uid[80], text[32];
	snprintf(uid, sizeof uid, "uid-%s", name);
	snprintf(text, sizeof text, "%llu", (unsigned long long)rv);
	return test_object(t, "default", name, uid, text, 200);
}

static inline struct store *test_store(const struct store_config *config)
{
	struct store_config c = *config;
	struct store *s;
	struct errmsg msg = {.text = ""};
	c.in_process = true;
	assert_ok(store_new(&c, &s, &msg));
	return s;
}

static inline struct store_list *test_list(
        struct store *s, const char *resource, struct store_budget *budget)
{
	struct store_list *l;
	struct store_identity id = {.cluster = SPAN("test"),
	        .version = SPAN("v1"),
	        .resource = test_span(resource),
	        .form = SPAN("object")};
	assert_ok(store_list_open(s, &id, budget, NULL, &l));
	return l;
}

/* An empty list that is whole at version 1. */
static inline struct store_list *test_live_list(
        struct store *s, const char *resource, struct store_budget *budget)
{
	struct store_list *l = test_list(s, resource, budget);
	struct store_sync_result r;
	store_sync_begin(l, 1);
	assert_ok(store_sync_commit(l, SPAN("1"), false, 1, &r));
	return l;
}

/* --- the shard as consumers see it ---------------------------------------------------------- */

static inline const struct shm_header *test_header(const struct store *s)
{
	return store_segment_at(s, 0);
}
static inline const struct shm_entry *test_entry(const struct store *s, uint64_t seq)
{
	const struct shm_entry *ring = store_segment_at(s, 1);
	return &ring[seq & (test_header(s)->ring_entries - 1)];
}
static inline const struct shm_block *test_block(const struct store *s, uint64_t ref)
{
	const char *at = store_segment_at(s, (uint32_t)(ref >> SHM_BLOCK_SEGMENT_SHIFT));
	return (const struct shm_block *)(const void *)(at +
	                                                (ref & ((1ull << SHM_BLOCK_SEGMENT_SHIFT) -
	                                                               1)));
}
static inline const struct shm_list *test_row_at(const struct store *s, uint32_t row)
{
	const char *at = store_segment_at(s, 0);
	return (const struct shm_list *)(const void *)(at + test_header(s)->lists_offset +
	                                               (size_t)row * sizeof(struct shm_list));
}
static inline const struct shm_list *test_row(const struct store *s, const struct store_list *l)
{
	uint32_t gen;
	return test_row_at(s, store_list_row(l, &gen));
}
static inline const struct shm_slot *test_slot(const struct store *s, uint32_t slot)
{
	const struct shm_slot *at = store_segment_at(s, test_header(s)->slot_segments[slot >> 16]);
	return &at[slot & 0xffff];
}
static inline uint64_t test_block_hash(const struct store *s, uint64_t ref)
{
	const struct shm_block *b = test_block(s, ref);
	return ref ? XXH3_64bits(b, b->bytes) : 0;
}
/* A consumer's point get: through the index only. */
static inline const struct shm_slot *test_get(
        const struct store *s, const struct store_list *l, const char *ns, const char *name)
{
	char key[512];
	uint32_t gen, row = store_list_row(l, &gen);
	memcpy(key, &row, 4);
	size_t n = 4 + (size_t)snprintf(key + 4, sizeof key - 4, "%s%c%s", ns, 0, name) + 1;
	uint64_t hash = XXH3_64bits_withSeed(key, n, test_header(s)->hash_seed);
	uint64_t index = test_header(s)->index, mask = (1ull << (index & 63)) - 1;
	const struct shm_index_entry *e = store_segment_at(s, (uint32_t)(index >> 32));
	for (uint64_t at = hash; e[at & mask].slot != 0; at++) {
		if (e[at & mask].slot == SHM_INDEX_GONE || e[at & mask].tag != hash >> 32)
			continue;
		const struct shm_slot *slot = test_slot(s, e[at & mask].slot);
		if (slot->state != SHM_SLOT_LIVE || slot->key_hash != hash)
			continue;
		if (memcmp(test_block(s, slot->block) + 1, key + 4, n - 4) == 0)
			return slot;
	}
	return NULL;
}

/* Entries of the index that name a slot: as many as slots in use, or it litters. */
static inline uint64_t test_index_live(const struct store *s)
{
	uint64_t index = test_header(s)->index, live = 0;
	const struct shm_index_entry *e = store_segment_at(s, (uint32_t)(index >> 32));
	for (uint64_t i = 0; i < 1ull << (index & 63); i++)
		live += e[i].slot != 0 && e[i].slot != SHM_INDEX_GONE;
	return live;
}

/* Digest, count and JSON bytes of a list, from its pages alone. */
struct test_sum {
	uint64_t digest, objects, bytes;
};
static inline struct test_sum test_recount(const struct store *s, const struct store_list *l)
{
	struct test_sum sum = {0};
	const struct shm_list *row = test_row(s, l);
	uint32_t page = row->first_page, gen, no = store_list_row(l, &gen), pages = 0;
	for (; page != 0; pages++) {
		const struct shm_page *h = (const void *)test_slot(s, page << 4);
		assert_int_equal(h->list, no);
		assert_int_equal(h->list_gen, gen);
		assert_int_equal(h->ordinal, pages);
		for (uint32_t place = 1; place < SHM_PAGE_SLOTS; place++) {
			const struct shm_slot *slot = test_slot(s, page << 4 | place);
			assert_int_equal(slot->ver & 1, 0);
			if (slot->state != SHM_SLOT_LIVE)
				continue;
			const struct shm_block *b = test_block(s, slot->block);
			size_t strings = (size_t)b->namespace_bytes + b->name_bytes + b->uid_bytes +
			                 b->rv_bytes + 4;
			uint64_t hash = XXH3_64bits(b + 1, strings);
			const char *json = (const char *)b + b->json_offset;
			assert_int_equal(slot->list, no);
			assert_int_equal(b->list, no);
			assert_true(slot->seq == b->seq);
			assert_true(slot->object_hash == hash && b->object_hash == hash);
			assert_true(slot->key_hash == b->key_hash);
			assert_int_equal(slot->json_bytes, b->json_bytes);
			assert_int_equal(b->bytes, b->json_offset + b->json_bytes);
			assert_true(b->json_hash == XXH3_64bits(json, b->json_bytes));
			sum.digest += hash;
			sum.objects++;
			sum.bytes += b->json_bytes;
		}
		page = h->next;
	}
	assert_int_equal(pages, row->page_count);
	return sum;
}
static inline void test_audit_list(const struct store *s, const struct store_list *l)
{
	struct test_sum sum = test_recount(s, l);
	const struct shm_list *row = test_row(s, l);
	assert_true(sum.digest == store_list_digest(l) && sum.digest == row->digest);
	assert_true(sum.objects == store_list_objects(l) && sum.objects == row->objects);
	assert_true(sum.bytes == row->bytes);
	assert_int_equal(row->ver & 1, 0);
	assert_true(row->last_change <= test_header(s)->commit);
	assert_true(span_is(store_list_rv(l), row->rv));
}

#endif
