/* From a daemon to the next one: what each is told of lists that it did not open, and when a list
 * changes over. */
#include "client_world.h"

/* Its handle may be another's by now. */
static void a_handle_of_another_life_is_not_closed(void **state)
{
	(void)state;
	struct world w;
	struct kr_list_status s;
	struct kr_list *l = world_pods(&w, 0, 5);
	world_replace(&w);
	fake_lie(w.d, FAKE_LIE_FULL);
	do {
		world_ask(&w);
		world_status(l, &s);
	} while (strcmp(s.error_name, "DAEMON_REFUSED") != 0);
	kr_list_close(l);
	world_ask(&w);
	assert_int_equal(fake_closes(w.d), 0);
	world_fini(&w);
}

/* The list is closed while the new daemon's answer to its opening is on its way (0), has come (1),
 * or is mapped and not whole (2). */
static void what_the_new_daemon_gave_is_given_back(void **state)
{
	(void)state;
	for (int stage = 0; stage < 3; stage++) {
		struct world w;
		struct kr_list *l = world_pods(&w, 0, 5);
		world_replace(&w);
		world_ask(&w); /* attaches */
		if (stage == 0) {
			fake_lock(w.d); /* its thread waits */
			assert_int_equal(kr_list_wait_live(l, 0), KR_TIMEOUT); /* asks */
			kr_list_close(l);
			fake_unlock(w.d);
		}
		for (int i = 0; i < stage; i++)
			world_ask(&w); /* asks for it, and has the answer; maps it */
		if (stage > 0) {
			assert_int_equal(fake_opens(w.d), 1);
			kr_list_close(l);
		}
		world_ask(&w);
		world_ask(&w);
		assert_int_equal(fake_opens(w.d), 1);
		assert_int_equal(fake_closes(w.d), 1);
		world_fini(&w);
	}
}

/* And another one, while the answer of the one before to the opening is on its way (0), or has come
 * (1): what that one said is of no life any more. */
static void the_new_daemon_dies_too(void **state)
{
	(void)state;
	for (int come = 0; come < 2; come++) {
		struct world w;
		struct kr_list *l = world_pods(&w, 0, 5);
		world_replace(&w);
		world_ask(&w); /* attaches */
		if (come) {
			world_ask(&w);
			assert_int_equal(fake_opens(w.d), 1);
		} else {
			fake_lie(w.d, FAKE_LIE_SILENT);
			assert_int_equal(kr_list_wait_live(l, 0), KR_TIMEOUT); /* asks */
		}
		world_replace(&w);
		world_sync(&w, "others", 3);
		world_sync(&w, "pods", 5);
		assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
		assert_int_equal(fake_opens(w.d), 1);
		world_fini(&w);
	}
}

/* S3: the row of a batch is ahead of its commit. */
static void it_changes_over_to_what_is_committed(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	struct kr_list *l = world_pods(&w, 0, 5);
	assert_int_equal(kr_get(l, "default", "n0", 0, &o), KR_OK); /* now all is mapped */
	world_replace(&w);
	for (int i = 0; i < 3; i++)
		world_ask(&w); /* attaches; asks for the list; maps it */
	fake_lock(w.d);
	uint64_t commit = header(&w)->commit;
	fake_sync(fake_list(w.d, "test", "pods"), 3, 5, 9, 1000);
	uint64_t whole = header(&w)->commit;
	header(&w)->commit = commit;
	fake_unlock(w.d);
	assert_int_equal(kr_get(l, "default", "n0", 0, &o), KR_OK);
	assert_int_equal(kr_get(l, "default", "n7", 0, &o), KR_ERR_NOT_FOUND);
	header(&w)->commit = whole;
	assert_int_equal(kr_get(l, "default", "n0", 0, &o), KR_ERR_NOT_FOUND);
	assert_int_equal(kr_get(l, "default", "n7", 0, &o), KR_OK);
	world_fini(&w);
}

/* To wait would be in vain, though the old state is still served. */
static void a_list_that_the_new_daemon_may_not_read_is_parked(void **state)
{
	(void)state;
	struct world w;
	struct kr_list_status s;
	struct kr_list *l = world_pods(&w, 0, 5);
	world_replace(&w);
	fake_lock(w.d);
	store_list_state(fake_list(w.d, "test", "pods"), SHM_LIST_PARKED, ERR_KUBE_FORBIDDEN,
	        "pods is forbidden for user x", fake_now());
	fake_unlock(w.d);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_ERR_STALE);
	assert_non_null(strstr(kr_last_error(w.c), "pods is forbidden for user x"));
	world_status(l, &s);
	assert_int_equal(s.state, KR_LIST_PARKED);
	assert_int_equal(s.objects, 5);
	world_fini(&w);
}

/* Killed in the middle of the row: what there was is not known, but that it is dead is. */
static void a_daemon_that_died_in_a_row(void **state)
{
	(void)state;
	struct world w;
	struct kr_list_status s;
	char *json;
	size_t n;
	struct kr_list *l = world_pods(&w, 0, 5);
	row(&w, "pods")->ver++;
	fake_kill(w.d);
	fake_free(&w.d);
	assert_int_equal(kr_query(w.c, "status", &json, &n), KR_ERR_UNREACHABLE);
	world_status(l, &s);
	assert_int_equal(s.state, KR_LIST_STALE);
	assert_string_equal(s.error_name, "DAEMON_GONE");
	world_daemon(&w);
	world_sync(&w, "pods", 7);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	world_status(l, &s);
	assert_int_equal(s.objects, 7);
	world_fini(&w);
}

static void a_refusal_that_is_over_is_not_told(void **state)
{
	(void)state;
	struct world w;
	struct kr_list_status s;
	struct kr_list *l = world_pods(&w, 0, 5);
	world_replace(&w);
	fake_lie(w.d, FAKE_LIE_FULL);
	do {
		world_ask(&w);
		world_status(l, &s);
	} while (strcmp(s.error_name, "DAEMON_REFUSED") != 0);
	fake_lie(w.d, FAKE_LIE_NONE);
	while (fake_opens(w.d) == 0)
		assert_int_equal(kr_list_wait_live(l, 20000000), KR_TIMEOUT);
	world_ask(&w);
	world_status(l, &s);
	assert_string_equal(s.error_name, "DAEMON_REPLACED");
	world_fini(&w);
}

/* Its memory is still there for a loan, with a heart that beats no more. */
static void a_daemon_that_stopped_does_not_end_the_next(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	struct kr_list_status s;
	struct kr_list *l = world_pods(&w, 0, 5);
	assert_int_equal(kr_get(l, "default", "n1", KR_BORROW, &o), KR_OK);
	fake_beat(w.d, false);
	fake_stop(w.d);
	fake_free(&w.d);
	world_daemon(&w);
	world_sync(&w, "pods", 5);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	for (int i = 0; i < 3; i++) /* until the last beat is long ago */
		assert_int_equal(kr_list_wait_version(l, "999999", 500000000), KR_TIMEOUT);
	assert_int_equal(kr_check(l, &o), KR_OK);
	world_status(l, &s);
	assert_int_equal(s.state, KR_LIST_LIVE);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_handle_of_another_life_is_not_closed),
	        cmocka_unit_test(what_the_new_daemon_gave_is_given_back),
	        cmocka_unit_test(the_new_daemon_dies_too),
	        cmocka_unit_test(it_changes_over_to_what_is_committed),
	        cmocka_unit_test(a_list_that_the_new_daemon_may_not_read_is_parked),
	        cmocka_unit_test(a_daemon_that_died_in_a_row),
	        cmocka_unit_test(a_refusal_that_is_over_is_not_told),
	        cmocka_unit_test(a_daemon_that_stopped_does_not_end_the_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
