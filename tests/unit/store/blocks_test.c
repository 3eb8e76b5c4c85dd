/* The block allocator: sizes, waste, no overlap, granules come back. */
#include "store_world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/blocks.h"

struct world {
	struct shard shard;
	struct blocks blocks;
};

static struct world *world_new(uint64_t segment_bytes)
{
	struct world *w = calloc(1, sizeof *w);
	struct shard_config c = {.ring_entries = 16, .lists_max = 1, .in_process = true};
	assert_ok(shard_init(&w->shard, &c, NULL));
	blocks_init(&w->blocks, &w->shard, segment_bytes);
	return w;
}
static void world_free(struct world *w)
{
	blocks_fini(&w->blocks);
	shard_fini(&w->shard);
	free(w);
}

static void waste_is_bounded(void **state)
{
	(void)state;
	struct world *w = world_new(64 << 20);
	uint64_t last = 0, asked = 0, got = 0;
	for (uint64_t n = 1; n <= BLOCKS_SMALL_MAX; n++) {
		uint64_t r = blocks_round(&w->blocks, n);
		assert_true(r >= n && r % 64 == 0 && r >= last);
		if (n >= 2048)
			assert_true((r - n) * 32 < n + 32 * 64); /* 1/32 and the rounding to 64 */
		last = r;
		if (n >= 4096) {
			asked += n;
			got += r;
		}
	}
	assert_true(got - asked < asked * 32 / 1000); /* <= 3.2 % */
	assert_true(got - asked < asked * 17 / 1000); /* really about 1.6 % */
	/* the tail of a run is small too */
	for (uint32_t i = 2; i < BLOCKS_CLASSES; i++) {
		const struct blocks_class *c = &w->blocks.classes[i];
		uint64_t run = (uint64_t)c->granules * BLOCKS_GRANULE;
		uint64_t tail = run - (uint64_t)c->per_run * c->bytes;
		assert_true(c->per_run > 0 && c->per_run <= BLOCKS_RUN_MAX);
		if (c->bytes <= 64 << 10)
			assert_true(tail * 20 <= run);
	}
	world_free(w);
}

static void edges_of_sizes(void **state)
{
	(void)state;
	struct world *w = world_new(1 << 20);
	struct blocks *b = &w->blocks;
	assert_int_equal(blocks_round(b, 1), 128);
	assert_int_equal(blocks_round(b, 128), 128);
	assert_int_equal(blocks_round(b, 129), 192);
	assert_int_equal(blocks_round(b, 2048), 2048);
	assert_int_equal(blocks_round(b, 2049), 2112);
	assert_int_equal(blocks_round(b, 4096), 4096);
	assert_int_equal(blocks_round(b, 4097), 4224);
	assert_int_equal(blocks_round(b, BLOCKS_SMALL_MAX), BLOCKS_SMALL_MAX);
	assert_int_equal(blocks_round(b, BLOCKS_SMALL_MAX + 1), BLOCKS_SMALL_MAX + BLOCKS_GRANULE);
	assert_int_equal(blocks_round(b, 1 << 20), 1 << 20);
	assert_int_equal(blocks_round(b, (1 << 20) + 1), 0); /* larger than a segment */
	uint64_t ref;
	assert_ok(blocks_take(b, 1 << 20, &ref, NULL)); /* exactly a segment */
	memset(shard_block(&w->shard, ref), 1, 1 << 20);
	/* and the slack behind it is readable */
	const char *end = (const char *)shard_block(&w->shard, ref) + (1 << 20);
	for (int i = 0; i < SHM_SLACK; i++)
		assert_int_equal(end[i], 0);
	blocks_give(b, ref);
	world_free(w);
}

/* Random life of many blocks, each filled with its own byte: nobody writes into another. */
static void no_two_overlap(void **state)
{
	(void)state;
	enum { N = 600 };
	struct world *w = world_new(4 << 20);
	struct blocks *b = &w->blocks;
	struct {
		uint64_t ref, n;
	} *held = calloc(N, sizeof *held);
	struct prng r = {5};
	uint64_t used = 0;
	for (int step = 0; step < 60000; step++) {
		uint64_t i = prng_below(&r, N);
		if (held[i].ref) {
			const unsigned char *at =
			        (unsigned char *)shard_block(&w->shard, held[i].ref);
			unsigned char tag = (unsigned char)(held[i].ref >> 6 ^ held[i].n);
			for (uint64_t k = 0; k < held[i].n; k += 61)
				assert_int_equal(at[k], tag);
			assert_int_equal(at[held[i].n - 1], tag);
			assert_int_equal(blocks_bytes(b, held[i].ref), blocks_round(b, held[i].n));
			used -= blocks_round(b, held[i].n);
			blocks_give(b, held[i].ref);
			held[i].ref = 0;
		} else {
			uint64_t luck = prng_below(&r, 100);
			held[i].n = 1 + prng_below(&r, luck < 90   ? 9000
			                               : luck < 98 ? 200000
			                                           : 1500000);
			if (luck < 98 || step % 4 == 0) {
				assert_ok(blocks_take(b, held[i].n, &held[i].ref, NULL));
				assert_true((held[i].ref & 63) == 0 && held[i].ref != 0);
				memset(shard_block(&w->shard, held[i].ref),
				        (int)(held[i].ref >> 6 ^ held[i].n), held[i].n);
				used += blocks_round(b, held[i].n);
			}
		}
		assert_true(b->used_bytes == used);
	}
	for (int i = 0; i < N; i++)
		if (held[i].ref)
			blocks_give(b, held[i].ref);
	/* every granule is free again */
	assert_int_equal(b->used_bytes, 0);
	for (uint32_t i = 0; i < b->count; i++)
		assert_int_equal(b->segments[i].free_count, b->segment_granules);
	for (uint32_t i = 2; i < BLOCKS_CLASSES; i++)
		assert_true(b->classes[i].run == UINT32_MAX);
	free(held);
	world_free(w);
}

/* What one class gave back serves another: no second segment is made. */
static void granules_change_class(void **state)
{
	(void)state;
	struct world *w = world_new(1 << 20);
	struct blocks *b = &w->blocks;
	uint64_t *ref = calloc(8000, sizeof *ref);
	static const uint64_t sizes[] = {200, 3000, 9000, 70000, 250000, 1000000, 300};
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		uint64_t n = 0, round = blocks_round(b, sizes[s]);
		while (b->used_bytes + round <= (1 << 20) / 2 || n == 0)
			assert_ok(blocks_take(b, sizes[s], &ref[n++], NULL));
		assert_int_equal(b->count, 1);
		while (n > 0)
			blocks_give(b, ref[--n]);
	}
	free(ref);
	world_free(w);
}

static void reuse_before_growth(void **state)
{
	(void)state;
	struct world *w = world_new(256 << 10);
	struct blocks *b = &w->blocks;
	uint64_t ref[4], again;
	for (int i = 0; i < 4; i++)
		assert_ok(blocks_take(b, 60000, &ref[i], NULL));
	uint32_t segments = b->count;
	blocks_give(b, ref[2]);
	assert_ok(blocks_take(b, 60000, &again, NULL));
	assert_int_equal(b->count, segments);
	assert_true(again == ref[2]);
	world_free(w);
}

/* Also where all of a run had been taken. */
static void a_hole_in_a_full_run_is_found(void **state)
{
	(void)state;
	struct world *w = world_new(1 << 20);
	struct blocks *b = &w->blocks;
	uint64_t first, next, again;
	assert_ok(blocks_take(b, 1000, &first, NULL));
	uint32_t run = b->classes[16].run, more = b->classes[16].per_run;
	assert_int_equal(b->classes[16].bytes, 1024);
	while (--more > 0)
		assert_ok(blocks_take(b, 1000, &next, NULL));
	assert_true(b->classes[16].run != run);
	blocks_give(b, first);
	assert_ok(blocks_take(b, 1000, &again, NULL));
	assert_true(again == first);
	world_free(w);
}

/* Full segments are passed over, until something of them comes back. */
static void a_hole_in_an_early_segment_is_found(void **state)
{
	enum { FULL = 3 };
	(void)state;
	struct world *w = world_new(256 << 10);
	struct blocks *b = &w->blocks;
	uint64_t ref[FULL + 1], again;
	for (int i = 0; i <= FULL; i++)
		assert_ok(blocks_take(b, 256 << 10, &ref[i], NULL));
	for (int i = FULL; i >= 0; i--) {
		blocks_give(b, ref[i]);
		assert_ok(blocks_take(b, 256 << 10, &again, NULL));
		assert_true(again == ref[i]);
	}
	assert_int_equal(b->count, FULL + 1);
	world_free(w);
}

/* Free granules on both sides of 64 that are not, which are looked at as one word. */
static void what_is_in_between_ends_a_run(void **state)
{
	enum { WORD = 64 * BLOCKS_GRANULE };
	(void)state;
	struct world *w = world_new(3 * WORD);
	struct blocks *b = &w->blocks;
	uint64_t ref[3], both;
	for (int i = 0; i < 3; i++)
		assert_ok(blocks_take(b, WORD, &ref[i], NULL));
	assert_int_equal(b->count, 1);
	blocks_give(b, ref[0]);
	blocks_give(b, ref[2]);
	assert_ok(blocks_take(b, 2 * WORD, &both, NULL));
	assert_int_equal(b->count, 2);
	world_free(w);
}

static void double_give_is_caught(void **state)
{
	(void)state;
	struct world *w = world_new(256 << 10);
	uint64_t a, b;
	assert_ok(blocks_take(&w->blocks, 1000, &a, NULL));
	assert_ok(blocks_take(&w->blocks, 1000, &b, NULL));
	blocks_give(&w->blocks, a);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		blocks_give(&w->blocks, a);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(waste_is_bounded),
	        cmocka_unit_test(edges_of_sizes),
	        cmocka_unit_test(no_two_overlap),
	        cmocka_unit_test(granules_change_class),
	        cmocka_unit_test(reuse_before_growth),
	        cmocka_unit_test(a_hole_in_a_full_run_is_found),
	        cmocka_unit_test(a_hole_in_an_early_segment_is_found),
	        cmocka_unit_test(what_is_in_between_ends_a_run),
	        cmocka_unit_test(double_give_is_caught),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
