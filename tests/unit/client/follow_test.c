#include "client_world.h"

#include <inttypes.h>

static void view_then_changes_without_a_gap(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	struct kr_list *l = world_followed(&w, 0, 40, &f, &v);
	assert_int_equal(v.whole, 1);
	assert_int_equal(v.count, 40);
	assert_string_equal(v.resource_version, "100");
	world_put(&w, "pods", "n3", 101);
	world_put(&w, "pods", "new", 102);
	world_delete(&w, "pods", "n7", 103);
	world_expect(&f, &v, &ch, KR_MODIFIED);
	assert_string_equal(ch.object.name, "n3");
	assert_string_equal(ch.resource_version, "101");
	assert_string_equal(ch.old_object.resource_version, "1");
	assert_ptr_equal(ch.list, l);
	uint64_t seq = ch.seq;
	world_expect(&f, &v, &ch, KR_ADDED);
	assert_int_equal(ch.seq, seq + 1);
	assert_string_equal(ch.object.name, "new");
	assert_string_equal(ch.object.namespace_, "default");
	assert_string_equal(ch.object.uid, "uid-new-1");
	assert_true(ch.object.recv_ns > 0);
	world_expect(&f, &v, &ch, KR_DELETED);
	assert_string_equal(ch.object.name, "n7");
	assert_string_equal(ch.object.resource_version, "103");
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	kr_follow_end(&v.follow);
	kr_follow_end(&v.follow); /* twice is fine */
	fold_fini(&f);
	world_fini(&w);
}

static void relist_comes_as_one_batch(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_followed(&w, 0, 20, &f, &v);
	fake_lock(w.d);
	fake_sync(fake_list(w.d, "test", "pods"), 10, 20, 1, 200); /* n0..n9 go, n20..n29 come */
	fake_unlock(w.d);
	unsigned added = 0, deleted = 0;
	do {
		assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
		assert_true(fold_change(&f, &ch));
		if (ch.type == KR_ADDED)
			added++;
		if (ch.type == KR_DELETED) {
			deleted++;
			assert_int_equal(ch.flags, KR_FINAL_STATE_UNKNOWN | KR_FROM_RELIST);
			assert_string_equal(ch.object.name, ch.old_object.name);
			assert_string_equal(ch.object.json, "");
			assert_int_equal(ch.object.json_hash, 0);
			assert_true(ch.old_object.json_bytes > 0);
		}
	} while (ch.type != KR_SYNCED);
	assert_string_equal(ch.resource_version, "200");
	assert_int_equal(added, 10);
	assert_int_equal(deleted, 10);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void recreated_is_deleted_then_added(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_followed(&w, 0, 3, &f, &v);
	fake_lock(w.d);
	fake_put(fake_list(w.d, "test", "pods"), "n1", 2, 105); /* another uid */
	fake_unlock(w.d);
	world_expect(&f, &v, &ch, KR_DELETED);
	assert_true(ch.flags & KR_RECREATED);
	world_expect(&f, &v, &ch, KR_ADDED);
	assert_true(ch.flags & KR_RECREATED);
	assert_string_equal(ch.object.uid, "uid-n1-2");
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void state_changes_are_told(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_followed(&w, 0, 3, &f, &v);
	fake_lock(w.d);
	store_list_state(fake_list(w.d, "test", "pods"), SHM_LIST_STALE, ERR_CONN_RESET, "reset",
	        fake_now());
	fake_unlock(w.d);
	world_expect(&f, &v, &ch, KR_STATE);
	assert_int_equal(ch.state, KR_LIST_STALE);
	assert_string_equal(ch.object.name, ""); /* never NULL */
	assert_string_equal(ch.old_object.json, "");
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void first_sync_reaches_a_follow_that_was_there(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	fold_init(&f);
	world_fold(l, &f, &v);
	assert_int_equal(v.whole, 0);
	assert_int_equal(v.count, 0);
	world_sync(&w, "pods", 9);
	do {
		assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
		if (!fold_change(&f, &ch)) { /* a RESET is as good: the list has to be taken */
			kr_follow_end(&v.follow);
			world_fold(l, &f, &v);
			break;
		}
	} while (ch.type != KR_SYNCED);
	assert_int_equal(f.count, 9);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void bulk_sync_is_a_reset(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	struct kr_list *l = world_followed(&w, 64, 500, &f, &v);
	assert_int_equal(f.count, 500);
	fake_lock(w.d);
	fake_sync(fake_list(w.d, "test", "pods"), 0, 400, 7, 300); /* more than the ring holds */
	fake_unlock(w.d);
	world_expect(&f, &v, &ch, KR_RESET);
	kr_follow_end(&v.follow);
	world_fold(l, &f, &v);
	assert_int_equal(f.count, 400);
	assert_string_equal(fold_rv(&f, "default", "n3"), "7");
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static uint64_t head_of(struct world *w)
{
	return __atomic_load_n(&header(w)->head, __ATOMIC_RELAXED);
}

/* Changes one object again and again; returns after how many changes the first of them has left the
 * ring, or after max. */
static unsigned push_until_gone(struct world *w, unsigned max)
{
	const struct shm_header *h = store_segment_at(fake_store(w->d), 0);
	uint64_t first = h->commit + 1;
	for (unsigned i = 1; i <= max; i++) {
		world_put(w, "pods", "n0", 100 + i);
		if (head_of(w) > first)
			return i;
	}
	return max;
}

/* The edge of the ring: as many changes as it holds are followed, one more is an overrun. */
static void overrun_is_told_at_the_edge(void **state)
{
	(void)state;
	enum { RING = 32 };
	unsigned limit = 1000;
	for (unsigned round = 0; round < 2; round++) {
		struct world w;
		struct kr_view v;
		struct fold f;
		struct kr_change ch;
		world_open(&w, RING);
		struct kr_list *l = world_list(&w, "pods");
		world_sync(&w, "pods", 4);
		fold_init(&f);
		world_fold(l, &f, &v);
		limit = push_until_gone(&w, limit);
		assert_in_range(limit, RING / 2, RING + 1);
		if (round == 0) { /* one change has gone */
			assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_ERR_OVERRUN);
			assert_non_null(strstr(kr_last_error(w.c), "take the list again"));
			assert_int_equal(
			        kr_follow_next(&v.follow, &ch, 0), KR_ERR_OVERRUN); /* for good */
			assert_non_null(strstr(kr_last_error(w.c), "new view"));
			kr_follow_end(&v.follow);
			world_fold(l, &f, &v);
			world_put(&w, "pods", "n0", 999);
			world_expect(&f, &v, &ch, KR_MODIFIED);
			limit--;
		} else { /* all but one: none has */
			for (unsigned i = 0; i < limit; i++)
				world_expect(&f, &v, &ch, KR_MODIFIED);
			assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
		}
		kr_follow_end(&v.follow);
		fold_fini(&f);
		world_fini(&w);
	}
}

static void lagging_is_told_at_three_quarters(void **state)
{
	(void)state;
	enum { RING = 64 };
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_open(&w, RING);
	struct kr_list *l = world_list(&w, "pods");
	world_sync(&w, "pods", 2);
	fold_init(&f);
	world_fold(l, &f, &v);
	enum { CHANGES = RING - 4 };
	for (unsigned i = 0; i < CHANGES; i++)
		world_put(&w, "pods", "n0", 101 + i);
	unsigned warned = 0;
	for (unsigned i = 0; i < CHANGES; i++) {
		world_expect(&f, &v, &ch, KR_MODIFIED);
		bool lag = (ch.flags & KR_LAGGING) != 0;
		unsigned behind = CHANGES - 1 - i;
		if (behind > RING * 3 / 4)
			assert_true(lag);
		if (behind < RING / 2)
			assert_false(lag);
		warned += lag;
	}
	assert_true(warned > 0 && warned < RING / 2);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void quiet_list_in_a_busy_shard_is_whole(void **state)
{
	(void)state;
	enum { RING = 64 };
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_open(&w, RING);
	struct kr_list *l = world_list(&w, "quiet");
	world_sync(&w, "quiet", 5);
	world_sync(&w, "busy", 5);
	fold_init(&f);
	world_fold(l, &f, &v);
	for (unsigned i = 0; i < RING * 4; i++)
		world_put(&w, "busy", "n0", 101 + i);
	assert_int_equal(
	        kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT); /* nothing of its own was lost */
	world_put(&w, "quiet", "n1", 500);
	for (unsigned i = 0; i < RING / 2; i++)
		world_put(&w, "busy", "n0", 1001 + i);
	world_expect(&f, &v, &ch, KR_MODIFIED);
	world_put(&w, "quiet", "n1", 501);
	for (unsigned i = 0; i < RING / 2; i++)
		world_put(&w, "busy", "n0", 2001 + i);
	world_put(&w, "quiet", "n1", 502);
	for (unsigned i = 0; i < RING / 2; i++)
		world_put(&w, "busy", "n0", 3001 + i);
	assert_int_equal(
	        kr_follow_next(&v.follow, &ch, 0), KR_ERR_OVERRUN); /* 501 is gone, 502 is there */
	kr_follow_end(&v.follow);
	world_fold(
	        l, &f, &v); /* a view of the quiet list, whose last change may have left the ring */
	assert_string_equal(fold_rv(&f, "default", "n1"), "502");
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

/* Longer than what one walk collects, with another list in between: order, each once. */
static void long_backlog_in_order(void **state)
{
	(void)state;
	enum { RING = 65536, CHANGES = 20000 };
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_open(&w, RING);
	struct kr_list *l = world_list(&w, "pods");
	world_sync(&w, "pods", 10);
	world_sync(&w, "other", 10);
	fold_init(&f);
	f.bytes = false; /* time */
	world_fold(l, &f, &v);
	fake_lock(w.d);
	for (unsigned i = 0; i < CHANGES; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%u", i % 10);
		fake_put(fake_list(w.d, "test", "pods"), name, 1, 101 + i);
		if (i % 3 == 0)
			fake_put(fake_list(w.d, "test", "other"), name, 1, 101 + i);
	}
	fake_unlock(w.d);
	for (unsigned i = 0; i < CHANGES; i++) {
		char rv[16];
		world_expect(&f, &v, &ch, KR_MODIFIED);
		snprintf(rv, sizeof rv, "%u", 101 + i);
		assert_string_equal(ch.resource_version, rv);
		if (i == CHANGES / 2) /* more comes while the backlog is worked off */
			world_put(&w, "pods", "last", 100000);
	}
	world_expect(&f, &v, &ch, KR_ADDED);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void borrowed_change_is_checked(void **state)
{
	(void)state;
	enum { RING = 16 };
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	world_open(&w, RING);
	struct kr_list *l = world_list(&w, "pods");
	world_sync(&w, "pods", 2);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	world_put(&w, "pods", "n0", 101);
	assert_int_equal(kr_follow_next_flags(&v.follow, &ch, WORLD_LONG_NS, KR_BORROW), KR_OK);
	assert_true(fake_json_is(
	        ch.object.json, ch.object.json_bytes, "default", "n0", "uid-n0-1", "101"));
	assert_int_equal(kr_change_check(&v.follow, &ch), KR_OK);
	for (unsigned i = 0; head_of(&w) <= ch.seq; i++) {
		assert_int_equal(kr_change_check(&v.follow, &ch), KR_OK); /* to the last one */
		world_put(&w, "pods", "n1", 101 + i);
	}
	assert_int_equal(kr_change_check(&v.follow, &ch), KR_ERR_TORN);
	uint64_t head = head_of(&w); /* S1 to the last number, for the object that was replaced */
	header(&w)->head = ch.seq;
	assert_int_equal(kr_check(l, &ch.old_object), KR_OK);
	header(&w)->head = ch.seq + 1;
	assert_int_equal(kr_check(l, &ch.old_object), KR_ERR_TORN);
	header(&w)->head = head;
	kr_follow_end(&v.follow);
	assert_int_equal(kr_change_check(&v.follow, &ch), KR_ERR_ARGUMENT);
	world_fini(&w);
}

static void no_old_leaves_the_old_object_empty(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	char buf[64];
	size_t size;
	struct kr_list *l = world_pods(&w, 0, 2);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	world_put(&w, "pods", "n0", 101);
	world_delete(&w, "pods", "n0", 102);
	fake_lock(w.d);
	fake_sync(fake_list(w.d, "test", "pods"), 5, 0, 1, 110); /* n1 goes unseen */
	fake_unlock(w.d);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		        kr_follow_next_flags(&v.follow, &ch, WORLD_LONG_NS, KR_NO_OLD), KR_OK);
		assert_string_equal(ch.object.name, i < 2 ? "n0" : "n1");
		assert_string_equal(ch.old_object.name, "");
		assert_int_equal(ch.old_object.json_bytes, 0);
	}
	assert_int_equal(ch.type, KR_DELETED);
	ch.type = KR_MODIFIED;
	assert_int_equal(
	        kr_change_diff(&ch, buf, sizeof buf, &size), KR_ERR_JSON); /* no old: no patch */
	assert_int_equal(kr_follow_next_flags(&v.follow, &ch, 0, 64), KR_ERR_ARGUMENT);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

static void change_diff_is_a_patch(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	char buf[1024];
	size_t size = 0;
	struct kr_list *l = world_pods(&w, 0, 2);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	world_put(&w, "pods", "n0", 101);
	world_put(&w, "pods", "fresh", 102);
	world_delete(&w, "pods", "n1", 103);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(kr_change_diff(&ch, buf, sizeof buf, &size), KR_OK);
	static const char start[] = "{\"metadata\":{\"resourceVersion\":\"101\"},\"spec\":\"";
	assert_memory_equal(buf, start, sizeof start - 1);
	size_t need = size;
	assert_int_equal(kr_change_diff(&ch, buf, need - 1, &size), KR_ERR_SPACE);
	assert_int_equal(size, need);
	assert_int_equal(kr_change_diff(&ch, buf, need, &size), KR_OK);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(kr_change_diff(&ch, buf, sizeof buf, &size), KR_OK);
	assert_int_equal(size, ch.object.json_bytes);
	assert_memory_equal(buf, ch.object.json, size);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_DELETED);
	assert_int_equal(kr_change_diff(&ch, buf, sizeof buf, &size), KR_OK);
	assert_int_equal(size, 4);
	assert_memory_equal(buf, "null", 4);
	ch.type = KR_SYNCED;
	assert_int_equal(kr_change_diff(&ch, buf, sizeof buf, &size), KR_ERR_ARGUMENT);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

static void any_is_fair(void **state)
{
	(void)state;
	enum { N = 3, EACH = 50 };
	static const char *const names[N] = {"a", "b", "c"};
	struct world w;
	struct kr_view v[N];
	struct kr_follow *follows[N];
	struct fold f[N];
	struct kr_change ch;
	size_t which = 99;
	unsigned seen[N] = {0};
	world_open(&w, 0);
	for (int i = 0; i < N; i++) {
		world_sync(&w, names[i], 2);
		fold_init(&f[i]);
		world_fold(world_list(&w, names[i]), &f[i], &v[i]);
		follows[i] = &v[i].follow;
	}
	assert_int_equal(kr_follow_any(follows, N, &which, &ch, 0), KR_TIMEOUT);
	for (unsigned i = 0; i < EACH; i++)
		for (int k = 0; k < N; k++)
			world_put(&w, names[k], "n0", 101 + i);
	for (unsigned i = 0; i < EACH * N; i++) {
		assert_int_equal(kr_follow_any(follows, N, &which, &ch, WORLD_LONG_NS), KR_OK);
		assert_true(which < N);
		assert_true(fold_change(&f[which], &ch));
		seen[which]++;
		for (int k = 0; k < N; k++) /* nobody is more than one ahead */
			assert_true(seen[which] <= seen[k] + 1);
	}
	assert_int_equal(kr_follow_any(follows, N, &which, &ch, 0), KR_TIMEOUT);
	assert_int_equal(kr_follow_any(follows, 0, &which, &ch, 0), KR_ERR_ARGUMENT);
	world_put(&w, "b", "n1", 900);
	assert_int_equal(
	        kr_follow_any_flags(follows, N, &which, &ch, WORLD_LONG_NS, KR_NO_OLD), KR_OK);
	assert_int_equal(which, 1);
	assert_true(ch.object.json_bytes > 0 && ch.old_object.json_bytes == 0);
	world_put(&w, "c", "n1", 900);
	assert_int_equal(
	        kr_follow_any_flags(follows, N, &which, &ch, WORLD_LONG_NS, KR_BORROW), KR_OK);
	assert_int_equal(kr_change_check(follows[which], &ch), KR_OK);
	assert_int_equal(kr_follow_any_flags(follows, N, &which, &ch, 0, 4), KR_ERR_ARGUMENT);
	struct kr_client *other = NULL;
	assert_int_equal(kr_connect(&other, &(struct kr_options){.size = sizeof(struct kr_options),
	                                            .socket_path = w.path}),
	        KR_OK);
	struct kr_list *l = NULL;
	struct kr_view elsewhere;
	assert_int_equal(kr_list_open(other,
	                         &(struct kr_list_spec){.size = sizeof(struct kr_list_spec),
	                                 .cluster = "test",
	                                 .version = "v1",
	                                 .resource = "a"},
	                         &l),
	        KR_OK);
	assert_int_equal(kr_view_begin(l, &elsewhere), KR_OK);
	assert_int_equal(kr_view_end(&elsewhere), KR_END); /* nothing was asked for */
	follows[1] = &elsewhere.follow;
	assert_int_equal(kr_follow_any(follows, N, &which, &ch, 0), KR_ERR_ARGUMENT);
	kr_follow_end(&elsewhere.follow);
	kr_close(other);
	for (int i = 0; i < N; i++) {
		kr_follow_end(&v[i].follow);
		fold_fini(&f[i]);
	}
	world_fini(&w);
}

static void closed_list_ends_the_follow(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v, late;
	struct kr_change ch;
	struct fold f;
	struct kr_list *l = world_followed(&w, 0, 2, &f, &v);
	fake_lock(w.d);
	fake_close_list(w.d, "test", "pods");
	fake_unlock(w.d);
	int r;
	while ((r = kr_follow_next(&v.follow, &ch, WORLD_LONG_NS)) == KR_OK)
		assert_int_equal(ch.type, KR_STATE);
	assert_int_equal(r, KR_ERR_CLOSED);
	assert_int_equal(ch.state, KR_LIST_CLOSED);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_ERR_CLOSED);
	assert_int_equal(kr_view_begin(l, &late), KR_ERR_CLOSED);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void arguments_are_checked(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_follow none = {{NULL}};
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	assert_int_equal(kr_follow_next(NULL, &ch, 0), KR_ERR_ARGUMENT);
	assert_int_equal(kr_follow_next(&none, &ch, 0), KR_ERR_ARGUMENT);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	assert_int_equal(kr_follow_next(&v.follow, NULL, 0), KR_ERR_ARGUMENT);
	kr_follow_end(&v.follow);
	kr_follow_end(NULL);
	kr_follow_end(&none);
	world_fini(&w);
}

/* Whatever order things are closed in, nothing is touched after it is gone (ASan looks). */
static void any_order_of_closing_is_safe(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_object o;
	struct kr_list *l = world_pods(&w, 0, 20);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	assert_int_equal(kr_view_next(&v, &o), KR_OK);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT); /* begun */
	kr_close(w.c);
	w.c = NULL;
	assert_int_equal(kr_view_next(&v, &o), KR_ERR_CLOSED);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_ERR_CLOSED);
	assert_true(kr_view_end(&v) != KR_OK);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(view_then_changes_without_a_gap),
	        cmocka_unit_test(relist_comes_as_one_batch),
	        cmocka_unit_test(recreated_is_deleted_then_added),
	        cmocka_unit_test(state_changes_are_told),
	        cmocka_unit_test(first_sync_reaches_a_follow_that_was_there),
	        cmocka_unit_test(bulk_sync_is_a_reset),
	        cmocka_unit_test(overrun_is_told_at_the_edge),
	        cmocka_unit_test(lagging_is_told_at_three_quarters),
	        cmocka_unit_test(quiet_list_in_a_busy_shard_is_whole),
	        cmocka_unit_test(long_backlog_in_order),
	        cmocka_unit_test(borrowed_change_is_checked),
	        cmocka_unit_test(no_old_leaves_the_old_object_empty),
	        cmocka_unit_test(change_diff_is_a_patch),
	        cmocka_unit_test(any_is_fair),
	        cmocka_unit_test(closed_list_ends_the_follow),
	        cmocka_unit_test(arguments_are_checked),
	        cmocka_unit_test(any_order_of_closing_is_safe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
