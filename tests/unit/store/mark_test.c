/* What a list's digest was at a version, looked up later (store_list_digest_at). */
#include "base/check.h"
#include "store_world.h"

static const struct store_config small = {
        .ring_entries = 64, .lists_max = 4, .hash_seed = 5, .block_segment_bytes = 1 << 20};

static void put(struct store_list *l, const char *name, uint64_t rv)
{
	struct test_object t;
	enum store_outcome what;
	assert_ok(store_upsert(l, test_simple(&t, name, rv), 1000, &what));
}

static void expect_then(
        const struct store_list *l, uint64_t rv, struct store_mark mark, uint64_t digest)
{
	uint64_t got = 0;
	assert_true(store_list_digest_at(l, rv, mark, &got));
	assert_true(got == digest);
}

static void the_last_change_of_a_version_counts(void **state)
{
	(void)state;
	struct store *s = test_store(&small);
	struct store_list *l = test_live_list(s, "pods", NULL);
	put(l, "a", 1011);
	struct store_mark mark = store_list_mark(l);
	expect_then(l, 1011, mark, store_list_digest(l));
	put(l, "b", 1011);
	uint64_t then = store_list_digest(l);
	expect_then(l, 1011, mark, then);
	put(l, "a", 1013);
	put(l, "c", 1014);
	expect_then(l, 1011, mark, then);
	expect_then(l, 1012, mark, then); /* a bookmark's */
	expect_then(l, 1014, mark, store_list_digest(l));
	store_free(&s);
}

static void what_the_ring_has_lost_is_not_known(void **state)
{
	(void)state;
	struct store *s = test_store(&small);
	struct store_list *l = test_live_list(s, "pods", NULL),
	                  *other = test_live_list(s, "x", NULL);
	uint64_t got;
	put(l, "a", 1011);
	struct store_mark mark = store_list_mark(l);
	uint64_t then = store_list_digest(l);
	for (uint64_t rv = 1011; rv < 1100; rv++)
		put(other, "o", rv);
	expect_then(l, 1011, mark, then); /* nothing has happened to it */
	put(l, "b", 1012);
	assert_false(store_list_digest_at(l, 1011, mark, &got));
	expect_then(l, 1012, mark, store_list_digest(l));
	store_free(&s);
}

static void a_relist_ends_it(void **state)
{
	(void)state;
	struct store *s = test_store(&small);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct store_sync_result r;
	uint64_t got;
	put(l, "a", 1011);
	struct store_mark mark = store_list_mark(l);
	store_sync_begin(l, 1);
	assert_ok(store_sync_commit(l, SPAN("1020"), false, 1, &r));
	assert_false(store_list_digest_at(l, 1011, mark, &got));
	mark = store_list_mark(l);
	expect_then(l, 1020, mark, 0);
	store_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_last_change_of_a_version_counts),
	        cmocka_unit_test(what_the_ring_has_lost_is_not_known),
	        cmocka_unit_test(a_relist_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
