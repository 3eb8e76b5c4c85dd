/* Lists: point gets, status, waits. */
#include "client_world.h"

#include <pthread.h>

static void get_finds_what_is_there(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	assert_int_equal(kr_get(l, "default", "n1", 0, &o), KR_ERR_NOT_FOUND);
	assert_non_null(strstr(kr_last_error(w.c), "not had its first sync yet: kr_list_wait"));
	assert_string_equal(o.name, ""); /* never NULL */
	world_sync(&w, "pods", 1000);
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%u", i);
		assert_int_equal(kr_get(l, "default", name, 0, &o), KR_OK);
		assert_string_equal(o.name, name);
		assert_true(fake_json_is(o.json, o.json_bytes, "default", name, o.uid, "1"));
		for (int k = 0; k < KR_PADDING; k++)
			assert_int_equal(o.json[o.json_bytes + (size_t)k], 0);
	}
	assert_int_equal(kr_get(l, "default", "n1000", 0, &o), KR_ERR_NOT_FOUND);
	assert_string_equal(kr_last_error(w.c), "default/n1000 is not in the list");
	assert_int_equal(kr_get(l, "other", "n1", 0, &o), KR_ERR_NOT_FOUND);
	assert_int_equal(kr_get(l, NULL, "n1", 0, &o), KR_ERR_NOT_FOUND);
	world_put(&w, "pods", "n5", 101);
	assert_int_equal(kr_get(l, "default", "n5", 0, &o), KR_OK);
	assert_string_equal(o.resource_version, "101");
	world_delete(&w, "pods", "n5", 102);
	assert_int_equal(kr_get(l, "default", "n5", 0, &o), KR_ERR_NOT_FOUND);
	world_put(&w, "pods", "n5", 103);
	assert_int_equal(kr_get(l, "default", "n5", 0, &o), KR_OK);
	assert_int_equal(kr_get(l, "default", NULL, 0, &o), KR_ERR_ARGUMENT);
	assert_int_equal(kr_get(l, "default", "n5", 0, NULL), KR_ERR_ARGUMENT);
	assert_int_equal(kr_get(l, "default", "n5", KR_NO_OLD, &o), KR_ERR_ARGUMENT);
	assert_int_equal(kr_get(NULL, "default", "n5", 0, &o), KR_ERR_ARGUMENT);
	kr_list_close(l);
	world_fini(&w);
}

static void lists_do_not_see_each_other(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	world_open(&w, 0);
	struct kr_list *a = world_list(&w, "pods"), *b = world_list(&w, "secrets");
	world_sync(&w, "pods", 3);
	fake_lock(w.d);
	fake_sync(fake_list(w.d, "test", "secrets"), 2, 3, 1, 100);
	fake_unlock(w.d);
	assert_int_equal(kr_get(a, "default", "n0", 0, &o), KR_OK);
	assert_int_equal(kr_get(b, "default", "n0", 0, &o), KR_ERR_NOT_FOUND);
	assert_int_equal(kr_get(b, "default", "n4", 0, &o), KR_OK);
	assert_int_equal(kr_get(a, "default", "n4", 0, &o), KR_ERR_NOT_FOUND);
	world_fini(&w);
}

static void borrowed_object_is_checked(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o, same;
	struct kr_view v;
	struct kr_list *l = world_pods(&w, 16, 3);
	assert_int_equal(kr_get(l, "default", "n1", KR_BORROW, &o), KR_OK);
	assert_true(fake_json_is(o.json, o.json_bytes, "default", "n1", o.uid, "1"));
	assert_int_equal(kr_check(l, &o), KR_OK);
	assert_int_equal(kr_get(l, "default", "n1", KR_BORROW, &same), KR_OK);
	assert_ptr_equal(o.json, same.json); /* no copy */
	for (unsigned i = 0; i < 100; i++)   /* the ring goes round, the object stays (S2) */
		world_put(&w, "pods", "n2", 101 + i);
	assert_int_equal(kr_check(l, &o), KR_OK);
	assert_int_equal(kr_get(l, "default", "n1", KR_BORROW, &o), KR_OK);
	world_put(&w, "pods", "n1", 300); /* replaced, not yet reused (S1) */
	assert_int_equal(kr_check(l, &o), KR_OK);
	assert_true(fake_json_is(o.json, o.json_bytes, "default", "n1", o.uid, "1"));
	for (unsigned i = 0; i < 100; i++)
		world_put(&w, "pods", "n2", 401 + i);
	assert_int_equal(kr_check(l, &o), KR_ERR_TORN);
	assert_int_equal(kr_view_begin_flags(l, &v, KR_BORROW), KR_OK);
	assert_int_equal(kr_view_next(&v, &o), KR_OK);
	assert_int_equal(kr_check(l, &o), KR_OK);
	kr_view_end(&v);
	assert_int_equal(kr_get(l, "default", "n1", 0, &o), KR_OK); /* a copy is no loan */
	assert_int_equal(kr_check(l, &o), KR_ERR_TORN);
	assert_int_equal(kr_check(l, NULL), KR_ERR_ARGUMENT);
	assert_int_equal(kr_check(NULL, &o), KR_ERR_ARGUMENT);
	world_fini(&w);
}

static void get_status(struct kr_list *l, struct kr_list_status *s)
{
	*s = (struct kr_list_status){.size = sizeof *s};
	assert_int_equal(kr_list_status(l, s), KR_OK);
	assert_int_equal(s->size, sizeof *s);
}

static void status_tells_of_the_row(void **state)
{
	(void)state;
	struct world w;
	struct kr_list_status s;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	get_status(l, &s);
	assert_int_equal(s.state, KR_LIST_IDLE);
	assert_int_equal(s.whole, 0);
	assert_int_equal(s.byte_age_ns, -1);
	assert_int_equal(s.bookmark_age_ns, -1);
	assert_true(s.stale_ns > 0);
	world_sync(&w, "pods", 10);
	get_status(l, &s);
	assert_int_equal(s.state, KR_LIST_LIVE);
	assert_int_equal(s.whole, 1);
	assert_int_equal(s.objects, 10);
	assert_true(s.bytes >= 2000);
	assert_string_equal(s.resource_version, "100");
	assert_int_equal(s.stale_ns, 0);
	fake_lock(w.d);
	struct store_list *sl = fake_list(w.d, "test", "pods");
	assert_int_equal(s.digest, store_list_digest(sl));
	store_bookmark(sl, SPAN("150"), fake_now());
	store_list_byte(sl, fake_now());
	fake_unlock(w.d);
	get_status(l, &s);
	assert_string_equal(s.resource_version, "150");
	assert_true(s.bookmark_age_ns >= 0 && s.bookmark_age_ns < WORLD_LONG_NS);
	assert_true(s.byte_age_ns >= 0 && s.byte_age_ns < WORLD_LONG_NS);
	fake_lock(w.d);
	store_list_state(sl, SHM_LIST_PARKED, ERR_KUBE_FORBIDDEN, "pods is forbidden for user x",
	        fake_now());
	fake_unlock(w.d);
	get_status(l, &s);
	assert_int_equal(s.state, KR_LIST_PARKED);
	assert_string_equal(s.error_name, "KUBE_FORBIDDEN");
	assert_non_null(strstr(s.error_text, "pods is forbidden for user x"));
	assert_true(s.stale_ns > 0);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_ERR_STALE);
	assert_non_null(strstr(kr_last_error(w.c), "pods is forbidden for user x"));
	assert_null(strstr(kr_last_error(w.c), "resolve"));
	fake_lock(w.d);
	store_list_state(sl, SHM_LIST_PARKED, ERR_KUBE_NOT_FOUND, "404", fake_now());
	fake_unlock(w.d);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_ERR_STALE);
	assert_string_equal(kr_last_error(w.c),
	        "pods of cluster test are parked and asked for again only now and then: 404 (are "
	        "group, version, plural and namespace right? kr_query \"resolve\" knows)");
	struct kr_list_status small = {
	        .size = offsetof(struct kr_list_status, digest), .digest = 77};
	assert_int_equal(kr_list_status(l, &small), KR_OK); /* an older program */
	assert_int_equal(small.digest, 77);
	small.size = 0;
	assert_int_equal(kr_list_status(l, &small), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_status(l, NULL), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_status(NULL, &s), KR_ERR_ARGUMENT);
	world_fini(&w);
}

static void a_group_is_no_part_of_the_version(void **state)
{
	(void)state;
	struct world w;
	struct kr_list *l;
	struct kr_list_spec spec = {.size = sizeof spec,
	        .cluster = "test",
	        .version = "apps/v1", /* as manifests write it */
	        .resource = "deployments"};
	world_open(&w, 0);
	assert_int_equal(kr_list_open(w.c, &spec, &l), KR_ERR_ARGUMENT);
	assert_null(l);
	assert_non_null(strstr(kr_last_error(w.c), "\"apps/v1\" belongs into kr_list_spec.group"));
	world_fini(&w);
}

/* The daemon is there, its socket is open, but it does not turn. */
static void a_hanging_daemon_is_stale(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_list_status s;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods"), *closed = world_list(&w, "gone");
	world_sync(&w, "pods", 2);
	fake_lock(w.d);
	store_list_state(fake_list(w.d, "test", "gone"), SHM_LIST_CLOSED, ERR_OK, NULL, fake_now());
	fake_unlock(w.d);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	fake_beat(w.d, false);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_STATE);
	assert_int_equal(ch.state, KR_LIST_STALE);
	get_status(l, &s);
	assert_int_equal(s.state, KR_LIST_STALE);
	assert_true(s.stale_ns > 1000000000);
	assert_string_equal(s.error_name, "DAEMON_HANGS");
	assert_int_equal(kr_list_wait_live(l, 0), KR_TIMEOUT);
	get_status(closed, &s); /* for good, whatever becomes of the daemon */
	assert_int_equal(s.state, KR_LIST_CLOSED);
	fake_beat(w.d, true);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_STATE);
	assert_int_equal(ch.state, KR_LIST_LIVE);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

struct later {
	struct world *w;
	void (*run)(struct world *w);
};

static void *later_main(void *arg)
{
	struct later *l = arg;
	l->run(l->w);
	return NULL;
}

static void sync_it(struct world *w)
{
	world_sync(w, "pods", 5);
}
static void put_it(struct world *w)
{
	world_put(w, "pods", "n0", 777);
}
static void bookmark_it(struct world *w)
{
	fake_lock(w->d);
	store_bookmark(fake_list(w->d, "test", "pods"), SPAN("1000"), fake_now());
	fake_unlock(w->d);
}

static void waits_end_when_it_is_so(void **state)
{
	(void)state;
	struct world w;
	pthread_t t;
	struct later sync = {&w, sync_it}, put = {&w, put_it}, bookmark = {&w, bookmark_it};
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	assert_int_equal(kr_list_wait_live(l, 0), KR_TIMEOUT);
	assert_int_equal(kr_list_wait_live(l, 1000000), KR_TIMEOUT);
	assert_string_equal(kr_last_error(w.c), "gave up waiting for pods of cluster test: idle");
	assert_int_equal(kr_list_wait_version(l, "1", 0), KR_TIMEOUT);
	assert_string_equal(kr_last_error(w.c), "gave up waiting for pods of cluster test: idle");
	assert_int_equal(pthread_create(&t, NULL, later_main, &sync), 0);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	pthread_join(t, NULL);
	assert_int_equal(kr_list_wait_version(l, "100", 0), KR_OK);
	assert_int_equal(kr_list_wait_version(l, "99", 0), KR_OK); /* shorter is less */
	assert_int_equal(kr_list_wait_version(l, "101", 0), KR_TIMEOUT);
	assert_string_equal(kr_last_error(w.c),
	        "gave up waiting for version 101 of pods of cluster test: live at 100");
	assert_int_equal(kr_list_wait_version(l, "1000", 0), KR_TIMEOUT); /* longer is more */
	assert_int_equal(kr_list_wait_version(l, "v1", 0), KR_TIMEOUT);   /* no number at all */
	assert_int_equal(pthread_create(&t, NULL, later_main, &put), 0);
	assert_int_equal(kr_list_wait_version(l, "777", WORLD_LONG_NS), KR_OK);
	pthread_join(t, NULL);
	struct kr_object o; /* read your own writes */
	assert_int_equal(kr_get(l, "default", "n0", 0, &o), KR_OK);
	assert_string_equal(o.resource_version, "777");
	assert_int_equal(pthread_create(&t, NULL, later_main, &bookmark), 0);
	assert_int_equal(kr_list_wait_version(l, "1000", KR_FOREVER), KR_OK);
	pthread_join(t, NULL);
	assert_int_equal(kr_list_wait_version(l, NULL, 0), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_wait_version(l, "", 0), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_wait_version(NULL, "1", 0), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_wait_live(NULL, 0), KR_ERR_ARGUMENT);
	fake_lock(w.d);
	fake_close_list(w.d, "test", "pods");
	fake_unlock(w.d);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_ERR_CLOSED);
	world_fini(&w);
}

/* S3: the row of a batch is ahead of its commit. */
static void a_version_is_reached_when_it_is_committed(void **state)
{
	(void)state;
	struct world w;
	struct kr_list *l = world_pods(&w, 0, 3);
	world_put(&w, "pods", "n0", 777);
	header(&w)->commit--;
	assert_int_equal(kr_list_wait_version(l, "777", 0), KR_TIMEOUT);
	assert_int_equal(kr_list_wait_live(l, 0), KR_TIMEOUT);
	header(&w)->commit++;
	assert_int_equal(kr_list_wait_version(l, "777", 0), KR_OK);
	world_fini(&w);
}

/* Opaque versions (some aggregated APIs) compare by equality only. */
static void opaque_versions(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	static struct fake_object o;
	enum store_outcome what;
	struct store_sync_result result;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	fake_lock(w.d);
	struct store_list *s = fake_list(w.d, "test", "pods");
	store_sync_begin(s, fake_now());
	assert_int_equal(store_sync_commit(s, SPAN("abc"), false, fake_now(), &result), ERR_OK);
	store_list_state(s, SHM_LIST_LIVE, ERR_OK, NULL, fake_now());
	fake_unlock(w.d);
	assert_int_equal(kr_list_wait_version(l, "abc", 0), KR_OK);
	assert_int_equal(kr_list_wait_version(l, "abd", 0), KR_TIMEOUT);
	assert_int_equal(kr_list_wait_version(l, "5", 0), KR_TIMEOUT);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	assert_string_equal(v.resource_version, "abc");
	kr_view_end(&v);
	fake_object(&o, "default", "n0", 1, 0, 200);
	fake_lock(w.d);
	assert_int_equal(store_upsert(s, &o.o, fake_now(), &what), ERR_OK);
	fake_unlock(w.d);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_string_equal(ch.resource_version, "v");
	kr_follow_end(&v.follow);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(get_finds_what_is_there),
	        cmocka_unit_test(lists_do_not_see_each_other),
	        cmocka_unit_test(borrowed_object_is_checked),
	        cmocka_unit_test(status_tells_of_the_row),
	        cmocka_unit_test(a_group_is_no_part_of_the_version),
	        cmocka_unit_test(a_hanging_daemon_is_stale),
	        cmocka_unit_test(waits_end_when_it_is_so),
	        cmocka_unit_test(a_version_is_reached_when_it_is_committed),
	        cmocka_unit_test(opaque_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
