/* relist_test.c - what a relist and a life of many changes take and give back: places of the ring,
 * notes of what retires, slots, blocks. */
#include "unit/store/store_world.h"

static struct store *store_of(uint32_t ring_entries, uint64_t shard_bytes)
{
	return test_store(&(struct store_config){.ring_entries = ring_entries,
	        .lists_max = 4,
	        .hash_seed = 5,
	        .block_segment_bytes = 1 << 20,
	        .shard_bytes_max = shard_bytes,
	        .retained_bytes_max = 1 << 20});
}

static void upsert(
        struct store_list *l, const char *name, const char *uid, uint64_t rv, size_t bytes)
{
	struct test_object t;
	char text[32];
	enum store_outcome what;
	snprintf(text, sizeof text, "%llu", (unsigned long long)rv);
	assert_ok(store_upsert(l, test_object(&t, "default", name, uid, text, bytes), 1, &what));
}

static void end(struct store *s, struct store_list *l)
{
	store_list_close(&l, 1);
	store_free(&s);
}

/* S1: what the head says is intact has not been written over. */
static void a_relist_makes_room_for_all_its_entries(void **state)
{
	(void)state;
	for (int recreated = 0; recreated < 2; recreated++) {
		enum { RING = 64, N = 6 };
		struct store *s = store_of(RING, 64 << 20);
		struct store_list *l = test_live_list(s, "pods", NULL);
		struct store_sync_result r;
		uint64_t rv = 10;
		char name[16];
		for (int i = 0; i < N; i++) {
			snprintf(name, sizeof name, "n%d", i);
			upsert(l, name, "u", rv++, 200);
		}
		for (int i = 0; i < 3 * RING; i++) /* the ring is full */
			upsert(l, "n0", "u", rv++, 200);
		uint64_t before = test_header(s)->commit;
		store_sync_begin(l, 1);
		for (int i = 0; i < N; i++) {
			struct test_object t;
			char text[32];
			snprintf(name, sizeof name, "n%d", i);
			snprintf(text, sizeof text, "%llu", (unsigned long long)rv++);
			assert_ok(store_sync_item(l,
			        test_object(&t, "default", name, recreated ? "v" : "u", text, 200),
			        1));
		}
		assert_ok(store_sync_commit(l, SPAN("900"), false, 1, &r));
		assert_false(r.reset);
		uint64_t commit = test_header(s)->commit, head = test_header(s)->head;
		assert_int_equal(commit - before, (recreated ? 2 * N : N) + 1);
		assert_true(commit - head < RING);
		for (uint64_t seq = head; seq <= commit; seq++)
			assert_int_equal(test_entry(s, seq)->seq, seq);
		end(s, l);
	}
}

static void a_list_of_any_size_may_become_empty(void **state)
{
	enum { N = 5000 }; /* more than are noted in one piece (RETIRE_CHUNK) */
	(void)state;
	struct store *s = store_of(64, 256 << 20);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct store_sync_result r;
	for (int i = 0; i < N; i++) { /* one by one: a sync would have left notes to spare */
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		upsert(l, name, "u", 10 + (uint64_t)i, 200);
	}
	store_sync_begin(l, 2);
	assert_ok(store_sync_commit(l, SPAN("9000"), false, 2, &r));
	assert_int_equal(r.deleted, N);
	assert_int_equal(test_row(s, l)->objects, 0);
	assert_int_equal(test_index_live(s), 0);
	end(s, l);
}

/* ADDED and DELETED of one object in a streaming list, before its end marker. */
static void what_came_and_went_within_a_sync_leaves_nothing(void **state)
{
	(void)state;
	struct store *s = store_of(64, 64 << 20);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct store_sync_result r;
	struct test_object t;
	store_sync_begin(l, 1);
	assert_ok(store_sync_item(l, test_simple(&t, "stays", 5), 1));
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		assert_ok(store_sync_item(l, test_simple(&t, name, 6), 1));
		assert_ok(store_sync_remove(l, test_simple(&t, name, 7)));
	}
	assert_ok(store_sync_commit(l, SPAN("10"), false, 1, &r));
	assert_int_equal(r.added, 1);
	assert_int_equal(test_row(s, l)->objects, 1);
	assert_int_equal(test_index_live(s), 1);
	assert_null(test_get(s, l, "default", "n0"));
	end(s, l);
}

/* Whatever comes and goes, for ever: the memory comes back. */
static void blocks_that_go_are_used_again(void **state)
{
	(void)state;
	for (int recreated = 0; recreated < 2; recreated++) {
		struct store *s = store_of(64, 24 << 20);
		struct store_list *l = test_live_list(s, "pods", NULL);
		uint64_t rv = 10;
		for (int i = 0; i < 20000; i++) { /* 40 MB of it */
			struct test_object t;
			enum store_outcome what;
			char text[32];
			upsert(l, "a", recreated && i % 2 ? "v" : "u", rv++, 2000);
			if (recreated)
				continue;
			snprintf(text, sizeof text, "%llu", (unsigned long long)rv++);
			assert_ok(store_delete(
			        l, test_object(&t, "default", "a", "u", text, 2000), 1, &what));
			assert_int_equal(what, STORE_DELETED);
			/* else there was no room for its last state */
			assert_true(test_entry(s, test_header(s)->commit)->new_block != 0);
		}
		assert_true(test_row(s, l)->objects == (uint64_t)recreated);
		end(s, l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_relist_makes_room_for_all_its_entries),
	        cmocka_unit_test(a_list_of_any_size_may_become_empty),
	        cmocka_unit_test(what_came_and_went_within_a_sync_leaves_nothing),
	        cmocka_unit_test(blocks_that_go_are_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
