/* The index: probes, removal without litter, doubling, and what a reader of an old table sees. */
#include "store_world.h"

#include "store/index.h"

enum { KEYS = 20000 };

struct world {
	struct shard shard;
	struct index x;
	uint64_t hash[KEYS + 1];
	bool there[KEYS + 1];
};

static uint64_t hash_of(const void *arg, uint32_t slot)
{
	return ((const uint64_t *)arg)[slot];
}
static void no_prefetch(const void *arg, uint32_t slot)
{
	(void)arg;
	(void)slot;
}

static struct world *world_new(uint64_t hash_mask)
{
	struct world *w = calloc(1, sizeof *w);
	struct shard_config c = {.ring_entries = 16, .lists_max = 1, .in_process = true};
	struct prng r = {9};
	assert_ok(shard_init(&w->shard, &c, NULL));
	assert_ok(index_init(&w->x, &w->shard, NULL));
	for (uint32_t i = 1; i <= KEYS; i++)
		w->hash[i] = prng_next(&r) & hash_mask;
	return w;
}
static void world_free(struct world *w)
{
	shard_fini(&w->shard);
	free(w);
}

static bool find_in(const struct index *x, uint64_t hash, uint32_t slot)
{
	uint64_t at = hash;
	for (uint32_t no; (no = index_next(x, hash, &at)) != 0;)
		if (no == slot)
			return true;
	return false;
}

static void put(struct world *w, uint32_t slot)
{
	struct index_slots s = {hash_of, no_prefetch, w->hash};
	assert_ok(index_reserve(&w->x, &s, NULL));
	index_insert(&w->x, w->hash[slot], slot);
	w->there[slot] = true;
}
static void drop(struct world *w, uint32_t slot)
{
	index_remove(&w->x, w->hash[slot], slot);
	w->there[slot] = false;
}

static void audit(struct world *w)
{
	uint32_t live = 0, used = 0;
	for (uint64_t i = 0; i < 1ull << w->x.log2; i++) {
		used += w->x.entries[i].slot != 0;
		live += w->x.entries[i].slot != 0 && w->x.entries[i].slot != SHM_INDEX_GONE;
	}
	assert_int_equal(used, w->x.used);
	assert_int_equal(live, w->x.live);
	assert_true((uint64_t)used * 10 <= (6ull << w->x.log2) + 10);
}

static void random_life(uint64_t mask, uint32_t keys)
{
	struct world *w = world_new(mask);
	struct prng r = {1};
	for (int step = 0; step < 400000; step++) {
		uint32_t slot = 1 + (uint32_t)prng_below(&r, keys);
		if (w->there[slot])
			drop(w, slot);
		else
			put(w, slot);
		if (step % 50000 == 0) {
			audit(w);
			for (uint32_t i = 1; i <= keys; i++)
				assert_int_equal(find_in(&w->x, w->hash[i], i), w->there[i]);
		}
	}
	for (uint32_t i = 1; i <= keys; i++)
		if (w->there[i])
			drop(w, i);
	audit(w);
	assert_int_equal(w->x.live, 0);
	assert_int_equal(w->x.used, 0); /* no litter is left when everything is gone */
	world_free(w);
}

static void many_keys(void **state)
{
	(void)state;
	random_life(UINT64_MAX, KEYS);
}
static void long_clusters(void **state) /* 64 places of one table: probes run long */
{
	(void)state;
	random_life(0xffffffff0000003full, 1000);
}
static void clusters_wrap_around(void **state)
{
	(void)state;
	struct world *w = world_new(UINT64_MAX);
	uint64_t last = (1ull << INDEX_LOG2_MIN) - 1;
	for (uint32_t i = 1; i <= 8; i++)
		w->hash[i] = last | (uint64_t)i << 32;
	for (uint32_t i = 1; i <= 8; i++)
		put(w, i);
	drop(w, 4);
	drop(w, 7);
	assert_true(find_in(&w->x, w->hash[8], 8));
	drop(w, 8); /* takes the GONE of 7 with it, across the end */
	assert_int_equal(w->x.used, 6);
	drop(w, 1);
	for (uint32_t i = 2; i <= 6; i++)
		assert_int_equal(find_in(&w->x, w->hash[i], i), i != 4);
	world_free(w);
}

/* Steady churn at constant size must not make the table grow for ever. */
static void churn_does_not_grow(void **state)
{
	(void)state;
	struct world *w = world_new(UINT64_MAX);
	struct prng r = {2};
	for (uint32_t i = 1; i <= 2000; i++)
		put(w, i);
	for (int step = 0; step < 2000000; step++) {
		uint32_t out = 1 + (uint32_t)prng_below(&r, KEYS),
		         in = 1 + (uint32_t)prng_below(&r, KEYS);
		if (!w->there[out] || w->there[in])
			continue;
		drop(w, out);
		put(w, in);
	}
	assert_int_equal(w->x.live, 2000);
	assert_true(w->x.log2 <= INDEX_LOG2_MIN + 1); /* one doubling for litter at most */
	world_free(w);
}

static void doubling_is_at_six_tenths(void **state)
{
	(void)state;
	struct world *w = world_new(UINT64_MAX);
	uint32_t limit = (1u << INDEX_LOG2_MIN) / 10 * 6, segments = w->shard.segment_count;
	uint64_t before = w->shard.header->index;
	for (uint32_t i = 1; i <= limit; i++)
		put(w, i);
	assert_true(w->shard.header->index == before); /* limit */
	struct index old = w->x;
	put(w, limit + 1); /* limit + 1 */
	assert_int_equal(w->x.log2, INDEX_LOG2_MIN + 1);
	assert_int_equal(w->shard.segment_count, segments + 1);
	assert_int_equal(w->shard.header->index & 63, INDEX_LOG2_MIN + 1);
	assert_int_equal(w->shard.header->index >> 32, segments);
	for (uint32_t i = 1; i <= limit; i++) { /* a reader with the old one misses nothing old */
		assert_true(find_in(&old, w->hash[i], i));
		assert_true(find_in(&w->x, w->hash[i], i));
	}
	assert_false(find_in(&old, w->hash[limit + 1], limit + 1));
	world_free(w);
}

/* Tried again with each new object: numbers of segments are never used again. */
static void a_table_that_may_not_grow_costs_no_segment(void **state)
{
	(void)state;
	struct world *w = world_new(UINT64_MAX);
	struct index_slots s = {hash_of, no_prefetch, w->hash};
	uint32_t limit = (1u << INDEX_LOG2_MIN) / 10 * 6, segments = w->shard.segment_count;
	uint64_t twice = sizeof(struct shm_index_entry) << (INDEX_LOG2_MIN + 1);
	atomic_ullong taken = 0;
	w->shard.memory = &taken;
	w->shard.memory_max = twice - 1;
	for (uint32_t i = 1; i <= limit; i++)
		put(w, i);
	for (uint32_t i = 0; i < SHM_SEGMENTS_MAX; i++)
		assert_int_equal(index_reserve(&w->x, &s, NULL), ERR_BUDGET);
	assert_int_equal(w->shard.segment_count, segments);
	assert_int_equal(taken, 0);
	w->shard.memory_max = twice;
	put(w, limit + 1);
	assert_int_equal(w->shard.segment_count, segments + 1);
	assert_int_equal(taken, twice);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(many_keys),
	        cmocka_unit_test(long_clusters),
	        cmocka_unit_test(clusters_wrap_around),
	        cmocka_unit_test(churn_does_not_grow),
	        cmocka_unit_test(doubling_is_at_six_tenths),
	        cmocka_unit_test(a_table_that_may_not_grow_costs_no_segment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
