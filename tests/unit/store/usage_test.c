/* usage_test.c - what another thread is told of a shard that changes meanwhile. */
#include "store_world.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROUNDS = 20000, OBJECTS = 50, RING = 256, BYTES_MAX = 64 << 20 };

struct watcher {
	struct store *s;
	atomic_bool done;
	uint64_t wrong, looks;
};

static void *look(void *arg)
{
	struct watcher *w = arg;
	while (!atomic_load(&w->done)) {
		struct store_usage u;
		store_usage_told(w->s, &u);
		w->looks++;
		/* A difference of numbers of two moments is below zero now and then. */
		w->wrong += u.live_bytes > BYTES_MAX || u.retained_bytes > BYTES_MAX ||
		            u.slots_free > BYTES_MAX;
	}
	return NULL;
}

static void another_thread_is_told_numbers_that_were(void **state)
{
	(void)state;
	struct store_config config = {
	        .ring_entries = RING, .lists_max = 8, .block_segment_bytes = 1 << 20};
	struct watcher w = {.s = test_store(&config)};
	struct store_list *l = test_live_list(w.s, "pods", NULL);
	pthread_t thread;
	enum store_outcome what;
	assert_int_equal(pthread_create(&thread, NULL, look, &w), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct test_object t;
		char name[16];
		snprintf(name, sizeof name, "p%u", i % OBJECTS);
		err_t err = i / OBJECTS % 2
		                    ? store_delete(l, test_simple(&t, name, 1000 + i), i, &what)
		                    : store_upsert(l, test_simple(&t, name, 1000 + i), i, &what);
		assert_int_equal(err, ERR_OK);
		store_tick(w.s, i);
		store_tell_usage(w.s);
	}
	atomic_store(&w.done, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.wrong, 0);
	struct store_usage now, told;
	store_usage(w.s, &now);
	store_usage_told(w.s, &told);
	assert_memory_equal(&now, &told, sizeof now);
	assert_true(now.ring_commit > ROUNDS / 2);
	/* Not the shard's own words, which its thread is writing: what it has told. */
	struct test_object t;
	assert_int_equal(
	        store_upsert(l, test_simple(&t, "one more", 90000), ROUNDS, &what), ERR_OK);
	store_usage_told(w.s, &told);
	assert_memory_equal(&now, &told, sizeof now);
	store_tell_usage(w.s);
	store_usage_told(w.s, &told);
	assert_int_equal(told.ring_commit, now.ring_commit + 1);
	store_free(&w.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(another_thread_is_told_numbers_that_were),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
