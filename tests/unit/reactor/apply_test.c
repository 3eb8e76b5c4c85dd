/* apply_test.c - what one event does to a list, from its bytes to the row: A1-A7, the
 * A-... and the defects KL, LS, SO and V1 of tests/headlamp.md. */
#include "unit/reactor/world.h"

static struct world w;
static struct feed *f;

/* One object "a" at version 5, the list at 10. */
static int open_live(void **state)
{
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	f = open_list(&w, 0, 0);
	go_live(&w, 0);
	fake_io_sent_clear(fake_io_sock(&w.io, 0));
	return 0;
}

static int close_live(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

static void hear(const char *ev)
{
	chunk(fake_io_sock(&w.io, 0), ev, strlen(ev));
	turn(&w);
}

static void is(enum shm_list_state state, const char *version, uint64_t objects)
{
	assert_int_equal(row_at(f)->state, state);
	assert_string_equal(row_at(f)->rv, version);
	assert_int_equal(row_at(f)->objects, objects);
}

/* The list is taken anew, and kept as it was until then. */
static void is_distrusted(err_t err, const char *version, uint64_t objects)
{
	assert_int_equal(f->watch.err, err);
	assert_true(f->watch.relist);
	is(SHM_LIST_STALE, version, objects);
	pass(&w, SEC);
	connect_ok(&w, 0);
	assert_non_null(strstr(fake_io_sock(&w.io, 0)->sent, "GET /api/v1/r0?limit=500 "));
}

#define EVENT_OF_UID(type, name, uid, rv)                                                          \
	"{\"type\":\"" type "\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name       \
	"\",\"namespace\":\"n\"," uid "\"resourceVersion\":\"" rv "\"}}}\n"

static void added_modified_deleted(void **state)
{
	(void)state;
	uint64_t digest = row_at(f)->digest;
	hear(EVENT_JSON("ADDED", "b", "11")); /* A1 */
	is(SHM_LIST_LIVE, "11", 2);
	hear(EVENT_JSON("MODIFIED", "b", "12")); /* A2 */
	is(SHM_LIST_LIVE, "12", 2);
	hear(EVENT_JSON("MODIFIED", "c", "13")); /* A3: it was not known */
	is(SHM_LIST_LIVE, "13", 3);
	hear(EVENT_JSON("DELETED", "b", "14")); /* A4 */
	hear(EVENT_JSON("DELETED", "c", "15"));
	is(SHM_LIST_LIVE, "15", 1);
	assert_int_equal(row_at(f)->digest, digest); /* what is left is what was there */
	hear(EVENT_JSON("DELETED", "nobody", "16"));
	is(SHM_LIST_LIVE, "16", 1);
	hear(EVENT_JSON("ADDED", "a", "17")); /* of one that is known: replaced (4.1) */
	is(SHM_LIST_LIVE, "17", 1);
	assert_int_not_equal(row_at(f)->digest, digest);
	assert_int_equal(row_at(f)->relists, 0);
}

/* KL-4. */
static void many_changes_at_one_version_are_all_applied(void **state)
{
	(void)state;
	hear(EVENT_JSON("ADDED", "b", "11") EVENT_JSON("ADDED", "c", "11")
	                EVENT_JSON("DELETED", "a", "11"));
	is(SHM_LIST_LIVE, "11", 2);
}

static void the_same_event_again_changes_nothing(void **state)
{
	(void)state;
	hear(EVENT_JSON("ADDED", "b", "11"));
	uint64_t change = row_at(f)->last_change, digest = row_at(f)->digest;
	hear(EVENT_JSON("ADDED", "b", "11"));
	is(SHM_LIST_LIVE, "11", 2);
	assert_int_equal(row_at(f)->last_change, change);
	assert_int_equal(row_at(f)->digest, digest);
}

static void a_lower_version_is_not_applied(void **state)
{
	(void)state;
	hear(EVENT_JSON("ADDED", "b", "12"));
	hear(EVENT_JSON("DELETED", "a", "11"));
	is_distrusted(ERR_KUBE_ORDER, "12", 2);
}

/* KL-1: the version stays, so that the guard stays, and the next watch asks from it. A6. */
static void an_error_event_leaves_version_and_objects(void **state)
{
	(void)state;
	hear(EVENT_JSON("ADDED", "b", "12"));
	hear("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"metadata\":{},\"code\":500,"
	     "\"message\":\"etcd\"}}\n");
	is(SHM_LIST_STALE, "12", 2);
	assert_non_null(strstr(row_at(f)->error_text, "500 etcd"));
	pass(&w, SEC);
	connect_ok(&w, 0);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	assert_non_null(strstr(s->sent, "resourceVersion=12&"));
	fake_io_bytes(s, STREAM_HEAD);
	turn(&w);
	hear(EVENT_JSON("DELETED", "a", "11")); /* replayed: it would remove what lives */
	is_distrusted(ERR_KUBE_ORDER, "12", 2);
}

/* V1-1, KL-1: 410 is met by a list, at once; what the gap hid is found (V1-7). */
static void expired_takes_the_list_anew(void **state)
{
	(void)state;
	hear(EVENT_JSON("ADDED", "b", "12"));
	hear("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"metadata\":{},\"code\":410,"
	     "\"reason\":\"Expired\"}}\n");
	is(SHM_LIST_RESUMING, "12", 2);
	connect_ok(&w, 0);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	assert_non_null(strstr(s->sent, "GET /api/v1/r0?limit=500 "));
	answer(&w, s, "200 OK", LIST_JSON("30", ITEM_JSON("c", "29")));
	fake_io_bytes(s, STREAM_HEAD);
	turn(&w);
	is(SHM_LIST_LIVE, "30", 1);
	assert_int_equal(row_at(f)->relists, 1);
}

static void a_bookmark_moves_the_version_only(void **state)
{
	(void)state;
	uint64_t digest = row_at(f)->digest;
	hear("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
	     "\"resourceVersion\":\"20\"}}}\n");
	is(SHM_LIST_LIVE, "20", 1);
	assert_int_equal(row_at(f)->digest, digest);
}

/* V1-5: no number of 53 or 64 bits holds them. */
static void versions_are_compared_as_decimals_of_any_length(void **state)
{
	(void)state;
	hear(EVENT_JSON("ADDED", "b", "9007199254740992"));
	hear(EVENT_JSON("ADDED", "c", "9007199254740993"));
	is(SHM_LIST_LIVE, "9007199254740993", 3);
	hear(EVENT_JSON("ADDED", "d", "18446744073709551616"));
	hear(EVENT_JSON("ADDED", "e", "18446744073709551617"));
	is(SHM_LIST_LIVE, "18446744073709551617", 5);
	hear(EVENT_JSON("DELETED", "e", "18446744073709551616"));
	is_distrusted(ERR_KUBE_ORDER, "18446744073709551617", 5);
}

static void opaque_versions_are_taken_as_they_come(void **state)
{
	(void)state;
	hear(EVENT_JSON("ADDED", "b", "zzz"));
	hear(EVENT_JSON("ADDED", "c", "12abc")); /* no prefix of it counts */
	hear(EVENT_JSON("DELETED", "b", "aaa"));
	is(SHM_LIST_LIVE, "aaa", 2);
	assert_int_equal(row_at(f)->rv_num, 0);
}

/* SO-4, KL-5: identity is the name; the uid tells one life from the next. */
static void deleted_and_made_again_is_one_object(void **state)
{
	(void)state;
	hear(EVENT_JSON("DELETED", "a", "11"));
	is(SHM_LIST_LIVE, "11", 0); /* SO-1: it is gone, not kept as if alive */
	hear(EVENT_OF_UID("ADDED", "a", "\"uid\":\"second\",", "12"));
	is(SHM_LIST_LIVE, "12", 1);
	/* The DELETED was missed. */
	hear(EVENT_OF_UID("ADDED", "a", "\"uid\":\"third\",", "13"));
	is(SHM_LIST_LIVE, "13", 1);
	hear(EVENT_OF_UID("DELETED", "a", "\"uid\":\"third\",", "14"));
	is(SHM_LIST_LIVE, "14", 0);
}

/* No uid is not the same uid. */
static void objects_without_uid_are_told_apart_by_name(void **state)
{
	(void)state;
	hear(EVENT_OF_UID("ADDED", "b", "", "11"));
	hear(EVENT_OF_UID("ADDED", "c", "", "12"));
	hear(EVENT_OF_UID("MODIFIED", "c", "", "13"));
	is(SHM_LIST_LIVE, "13", 3);
	hear(EVENT_OF_UID("DELETED", "b", "", "14"));
	is(SHM_LIST_LIVE, "14", 2);
}

/* KL-2, A7: what cannot be applied is never skipped: the list is taken anew. */
static void an_event_that_cannot_be_applied_is_not_skipped(void **state)
{
	static const struct {
		const char *text;
		err_t err;
	} rows[] = {
	        {"{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\"}}\n", ERR_JSON_SHAPE},
	        {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n", ERR_JSON_SHAPE},
	        {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\"}}}\n",
	                ERR_JSON_SHAPE},
	        {"{\"type\":\"ADDED\",\"object\":null}\n", ERR_JSON_SHAPE},
	        {"{\"type\":\"ADDED\"}\n", ERR_JSON_SHAPE},
	        {"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}\n", ERR_JSON_SHAPE},
	        {EVENT_JSON("RENAMED", "a", "11"), ERR_KUBE_EVENT},
	        {"{}\n", ERR_JSON_SHAPE},
	        {"not json\n", ERR_JSON_SYNTAX},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		hear(rows[i].text);
		is_distrusted(rows[i].err, "10", 1);
		close_live(state);
		open_live(state);
	}
}

/* LS-1, V1-4: progress asks for nothing, and an object is replaced whole. */
static void events_ask_for_nothing(void **state)
{
	char ev[256];
	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(ev, sizeof ev, EVENT_JSON("MODIFIED", "a", "%d"), 11 + i);
		hear(ev);
	}
	is(SHM_LIST_LIVE, "1010", 1);
	assert_int_equal(fake_io_sock(&w.io, 0)->sent_bytes, 0);
	assert_int_equal(w.io.connects, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_live, close_live)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(added_modified_deleted),
	        TEST(many_changes_at_one_version_are_all_applied),
	        TEST(the_same_event_again_changes_nothing),
	        TEST(a_lower_version_is_not_applied),
	        TEST(an_error_event_leaves_version_and_objects),
	        TEST(expired_takes_the_list_anew),
	        TEST(a_bookmark_moves_the_version_only),
	        TEST(versions_are_compared_as_decimals_of_any_length),
	        TEST(opaque_versions_are_taken_as_they_come),
	        TEST(deleted_and_made_again_is_one_object),
	        TEST(objects_without_uid_are_told_apart_by_name),
	        TEST(an_event_that_cannot_be_applied_is_not_skipped),
	        TEST(events_ask_for_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
