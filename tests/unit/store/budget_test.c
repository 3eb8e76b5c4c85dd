/* Budgets and limits at their edges: limit - 1, limit, limit + 1. Each object here takes 320 bytes.
 */
#include "store_world.h"

enum { OBJECT = 320, RING = 64 };
#define SMALL                                                                                      \
	(&(struct store_config){.ring_entries = RING,                                              \
	        .lists_max = 4,                                                                    \
	        .hash_seed = 5,                                                                    \
	        .block_segment_bytes = 1 << 20})

static err_t upsert(struct store_list *l, const char *name, uint64_t rv)
{
	struct test_object t;
	enum store_outcome what;
	return store_upsert(l, test_simple(&t, name, rv), 1, &what);
}
static err_t item(struct store_list *l, const char *name, uint64_t rv)
{
	struct test_object t;
	return store_sync_item(l, test_simple(&t, name, rv), 1);
}
static err_t commit(struct store_list *l, const char *rv)
{
	struct store_sync_result r;
	return store_sync_commit(l, test_span(rv), false, 1, &r);
}

static void list_budget_at_its_edge(void **state)
{
	(void)state;
	for (int off = -1; off <= 1; off++) {
		struct store *s = test_store(SMALL);
		struct store_budget b = {.name = "list",
		        .bytes_max = (uint64_t)(3 * OBJECT + off),
		        .setting = "list_bytes"};
		struct store_list *l = test_live_list(s, "pods", &b);
		assert_ok(upsert(l, "a", 10));
		assert_ok(upsert(l, "b", 11));
		assert_int_equal(b.bytes, 2 * OBJECT);
		uint64_t seq = test_header(s)->commit;
		struct store_usage u, v;
		store_usage(s, &u);
		assert_int_equal(upsert(l, "c", 12), off < 0 ? ERR_BUDGET : ERR_OK);
		if (off < 0) { /* nothing happened, and somebody can read why */
			assert_true(test_header(s)->commit == seq);
			assert_int_equal(b.bytes, 2 * OBJECT);
			store_usage(s, &v);
			assert_int_equal(v.live_bytes, u.live_bytes);
			assert_int_equal(v.retained_bytes, u.retained_bytes);
			const char *text = store_list_refusal(l);
			assert_non_null(
			        strstr(text, "memory budget is used up: list may hold 959 bytes"));
			assert_non_null(strstr(text, "holds 640, needs 320 more"));
			assert_non_null(strstr(text, "list_bytes"));
		} else {
			assert_string_equal(store_list_refusal(l), "");
			assert_int_equal(upsert(l, "d", 13), ERR_BUDGET);
			/* at the limit, objects may still change, and go */
			assert_ok(upsert(l, "a", 14));
			assert_ok(upsert(l, "a", 14)); /* unchanged */
			assert_int_equal(b.bytes, 3 * OBJECT);
			struct test_object t;
			enum store_outcome what;
			assert_ok(store_delete(l, test_simple(&t, "a", 15), 1, &what));
			assert_int_equal(b.bytes, 2 * OBJECT);
			assert_ok(upsert(l, "d", 16));
		}
		test_audit_list(s, l);
		store_list_close(&l, 1);
		assert_int_equal(b.bytes, 0);
		store_free(&s);
	}
}

/* A list in pages may have an object twice. It is charged once. */
static void what_comes_twice_in_a_list_fits_once(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_budget b = {.name = "list", .bytes_max = 2 * OBJECT, .setting = "list_bytes"};
	struct store_list *l = test_live_list(s, "pods", &b);
	store_sync_begin(l, 1);
	assert_ok(item(l, "a", 10));
	assert_ok(item(l, "b", 11));
	assert_ok(item(l, "b", 12));
	assert_int_equal(b.bytes, 2 * OBJECT);
	assert_int_equal(item(l, "c", 13), ERR_BUDGET);
	assert_ok(commit(l, "20"));
	assert_int_equal(b.bytes, 2 * OBJECT);
	test_audit_list(s, l);
	store_list_close(&l, 1);
	store_free(&s);
}

static void chain_of_budgets(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_budget cluster = {.name = "cluster prod-eu",
	        .bytes_max = 3 * OBJECT,
	        .setting = "clusters[].bytes_max"};
	struct store_budget one = {.name = "list", .bytes_max = 2 * OBJECT, .parent = &cluster};
	struct store_budget two = {
	        .name = "list", .bytes_max = 0, .parent = &cluster}; /* no limit */
	struct store_list *a = test_live_list(s, "a", &one), *b = test_live_list(s, "b", &two);
	assert_ok(upsert(a, "1", 10));
	assert_ok(upsert(a, "2", 11));
	assert_int_equal(upsert(a, "3", 12), ERR_BUDGET);
	assert_non_null(strstr(store_list_refusal(a), "raise its limit"));
	assert_ok(upsert(b, "1", 13));
	assert_int_equal(upsert(b, "2", 14), ERR_BUDGET);
	assert_non_null(strstr(store_list_refusal(b), "cluster prod-eu may hold 960"));
	assert_non_null(strstr(store_list_refusal(b), "clusters[].bytes_max"));
	assert_true(one.bytes == 2 * OBJECT && two.bytes == OBJECT && cluster.bytes == 3 * OBJECT);
	store_list_close(&a, 1); /* what one gives back, the other may take */
	assert_true(one.bytes == 0 && cluster.bytes == OBJECT);
	assert_ok(upsert(b, "2", 15));
	assert_ok(upsert(b, "3", 16));
	assert_int_equal(upsert(b, "4", 17), ERR_BUDGET);
	store_free(&s);
}

/* A relist is measured by what will be there, not by the sum of old and new. */
static void relist_within_the_budget(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_budget b = {.name = "list", .bytes_max = 4 * OBJECT};
	struct store_list *l = test_list(s, "pods", &b);
	store_sync_begin(l, 1);
	assert_ok(item(l, "a", 10));
	assert_ok(item(l, "b", 11));
	assert_ok(item(l, "c", 12));
	assert_int_equal(b.bytes, 3 * OBJECT);
	assert_ok(commit(l, "20"));
	assert_int_equal(b.bytes, 3 * OBJECT);

	store_sync_begin(l, 1); /* other names: 3 old + 4 new, 4 in the end */
	assert_ok(item(l, "d", 30));
	assert_ok(item(l, "e", 31));
	assert_ok(item(l, "f", 32));
	assert_int_equal(b.bytes, 3 * OBJECT);
	assert_ok(item(l, "g", 33)); /* limit */
	assert_int_equal(b.bytes, 4 * OBJECT);
	assert_int_equal(item(l, "h", 34), ERR_BUDGET); /* limit + 1 */
	assert_int_equal(item(l, "a", 10), ERR_BUDGET); /* unchanged, but one too many */
	store_sync_abort(l);
	assert_int_equal(b.bytes, 3 * OBJECT);
	assert_int_equal(store_list_objects(l), 3);

	store_sync_begin(l, 1);
	assert_ok(item(l, "d", 30));
	assert_ok(item(l, "d", 31)); /* replaced while staged */
	assert_ok(item(l, "e", 32));
	assert_ok(commit(l, "50"));
	assert_int_equal(b.bytes, 2 * OBJECT);
	test_audit_list(s, l);
	store_free(&s);
}

/* A reload may set a budget below what is there already. Then nothing is to fail but what would add
 * to it: least of all the way back after a refusal for another reason. */
static void a_budget_is_lowered_below_what_is_there(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.shard_bytes_max = 4096;
	struct store *s = test_store(&c);
	struct store_budget b = {.name = "cluster"};
	struct store_list *l = test_live_list(s, "pods", &b);
	struct test_object t;
	enum store_outcome what;
	assert_ok(store_upsert(l, test_object(&t, "default", "a", "uid-a", "10", 2000), 1, &what));
	assert_ok(store_upsert(l, test_object(&t, "default", "b", "uid-b", "11", 1000), 1, &what));
	uint64_t before = b.bytes;
	b.bytes_max = OBJECT;
	/* smaller than what it replaces; but the shard has no room for both at once */
	assert_int_equal(
	        store_upsert(l, test_object(&t, "default", "a", "uid-a", "12", 1500), 1, &what),
	        ERR_BUDGET);
	assert_non_null(strstr(store_list_refusal(l), "shard 0 may hold 4096 bytes"));
	assert_int_equal(b.bytes, before);
	assert_ok(store_upsert(
	        l, test_simple(&t, "b", 13), 1, &what)); /* smaller, and there is room */
	assert_true(b.bytes < before);
	before = b.bytes;

	b.bytes_max = 0; /* the same within a sync */
	struct store_list *m = test_list(s, "others", &b);
	store_sync_begin(m, 1);
	assert_ok(store_sync_item(m, test_object(&t, "default", "c", "uid-c", "20", 900), 1));
	uint64_t within = b.bytes;
	assert_true(within > before);
	b.bytes_max = OBJECT;
	assert_int_equal(store_sync_item(m, test_object(&t, "default", "c", "uid-c", "21", 800), 1),
	        ERR_BUDGET);
	assert_int_equal(b.bytes, within);
	store_list_close(&m, 1);
	assert_int_equal(b.bytes, before);
	test_audit_list(s, l);
	store_list_close(&l, 1);
	assert_int_equal(b.bytes, 0);
	store_free(&s);
}

static void objects_max_at_its_edge(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.objects_max = 3;
	struct store *s = test_store(&c);
	struct store_list *l = test_live_list(s, "pods", NULL);
	assert_ok(upsert(l, "a", 10));
	assert_ok(upsert(l, "b", 11));
	assert_ok(upsert(l, "c", 12)); /* limit */
	assert_int_equal(upsert(l, "d", 13), ERR_LIMIT);
	assert_non_null(strstr(store_list_refusal(l), "may hold 3 objects; raise objects_max"));
	assert_ok(upsert(l, "c", 14));
	store_sync_begin(l, 1);
	assert_ok(item(l, "x", 20));
	assert_ok(item(l, "y", 21));
	assert_ok(item(l, "a", 22));
	assert_ok(item(l, "a", 23)); /* a seen one is no new one */
	assert_int_equal(item(l, "z", 24), ERR_LIMIT);
	assert_ok(commit(l, "30"));
	assert_int_equal(store_list_objects(l), 3);
	store_free(&s);
}

/* All blocks: live, staged, and what followers may still want, which gives way first. */
static void shard_budget_takes_from_followers_first(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.shard_bytes_max = 128 + 6 * OBJECT; /* identity and six */
	struct store *s = test_store(&c);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct store_usage u;
	assert_ok(upsert(l, "a", 10));
	assert_ok(upsert(l, "b", 11));
	for (uint64_t rv = 20; rv < 60; rv++) {
		assert_ok(upsert(l, "a", rv));
		store_usage(s, &u);
		assert_true(u.live_bytes + u.retained_bytes <= c.shard_bytes_max);
	}
	assert_int_equal(u.retained_bytes, 4 * OBJECT); /* all that the budget leaves */
	assert_ok(upsert(l, "c", 60));
	assert_ok(upsert(l, "d", 61));
	assert_ok(upsert(l, "e", 62));
	assert_ok(upsert(l, "f", 63)); /* limit: six */
	store_usage(s, &u);
	assert_int_equal(u.retained_bytes, 0);
	assert_int_equal(upsert(l, "g", 64), ERR_BUDGET); /* limit + 1 */
	assert_non_null(strstr(store_list_refusal(l), "shard 0 may hold 2048 bytes"));
	assert_non_null(strstr(store_list_refusal(l), "raise shard_bytes_max"));
	assert_int_equal(upsert(l, "a", 65), ERR_BUDGET); /* a change needs both for a moment */
	/* a deletion is never refused: it goes without its last state */
	struct test_object t;
	enum store_outcome what;
	assert_ok(store_delete(l, test_simple(&t, "a", 66), 1, &what));
	assert_int_equal(what, STORE_DELETED);
	const struct shm_entry *e = test_entry(s, test_header(s)->commit);
	assert_true(e->new_block == 0 && e->old_block != 0);
	assert_int_equal(e->flags, SHM_FLAG_FINAL_STATE_UNKNOWN);
	assert_ok(upsert(l, "b", 67));
	test_audit_list(s, l);
	store_free(&s);
}

/* Adds objects until one is refused. Returns how many there are then. */
static unsigned fill(struct store_list *l)
{
	for (unsigned n = 0;; n++) {
		char name[16];
		snprintf(name, sizeof name, "p%u", n);
		err_t e = upsert(l, name, 10 + n);
		assert_true(n < 100000);
		if (e == ERR_OK)
			continue;
		assert_int_equal(e, ERR_BUDGET);
		return n;
	}
}

/* The system takes no memory of a shard back, and kills who goes over its limit: whatever the other
 * budgets let through, all shards together stay below it. */
static void all_shards_share_the_memory_that_there_is(void **state)
{
	(void)state;
	atomic_ullong taken = 0;
	struct store_config c = *SMALL;
	c.memory_bytes = &taken;
	c.memory_bytes_max = 1 << 20;
	struct store *s = test_store(&c), *t = test_store(&c);
	struct store_list *l = test_live_list(s, "pods", NULL),
	                  *m = test_live_list(t, "pods", NULL);
	struct store_usage u;
	unsigned n = fill(l);
	assert_true(n > 1000 && taken <= 1 << 20 && taken > 900 << 10);
	assert_non_null(strstr(store_list_refusal(l), "MemoryMax="));
	store_usage(s, &u);
	assert_true(u.memory_bytes == taken && u.memory_bytes_max == 1 << 20);
	assert_true(u.live_bytes < taken);
	assert_int_equal(fill(m), 0); /* the first one took all */
	/* A deletion is never refused; and what it leaves is used again, over and over. */
	struct test_object o;
	enum store_outcome what;
	assert_ok(store_delete(l, test_simple(&o, "p0", 100000), 1, &what));
	for (uint64_t rv = 100001; rv < 101000; rv++)
		assert_ok(upsert(l, "p1", rv));
	assert_true(taken <= 1 << 20);
	test_audit_list(s, l);
	store_free(&s);
	assert_true(fill(m) > 1000); /* what the one gave back, the other may take */
	assert_true(taken <= 1 << 20);
	test_audit_list(t, m);
	store_free(&t);
	assert_int_equal(taken, 0);
}

/* Retained bytes: the limit moves head, and never past what is committed. */
static void retained_bytes_move_head(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.retained_bytes_max = 5 * OBJECT;
	struct store *s = test_store(&c);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct store_usage u;
	uint64_t start = 0;
	for (uint64_t rv = 10; rv < 60; rv++) {
		assert_ok(upsert(l, "a", rv));
		store_tick(s, rv);
		store_usage(s, &u);
		if (rv == 10)
			start = u.ring_commit; /* replaced nothing */
		assert_true(u.retained_bytes <= 5 * OBJECT);
		uint64_t replaced = u.ring_commit - start;
		assert_int_equal(u.retained_bytes, (replaced < 5 ? replaced : 5) * OBJECT);
	}
	assert_int_equal(u.ring_head, u.ring_commit - 4); /* five entries with old blocks */
	store_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(list_budget_at_its_edge),
	        cmocka_unit_test(what_comes_twice_in_a_list_fits_once),
	        cmocka_unit_test(chain_of_budgets),
	        cmocka_unit_test(relist_within_the_budget),
	        cmocka_unit_test(a_budget_is_lowered_below_what_is_there),
	        cmocka_unit_test(objects_max_at_its_edge),
	        cmocka_unit_test(shard_budget_takes_from_followers_first),
	        cmocka_unit_test(all_shards_share_the_memory_that_there_is),
	        cmocka_unit_test(retained_bytes_move_head),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
