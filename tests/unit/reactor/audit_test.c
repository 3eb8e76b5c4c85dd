/* audit_test.c - a list that misses something is found and taken again; one that does not is left
 * alone, whatever the server answers. */
#include "base/check.h"
#include "reactor/audit.h"
#include "unit/reactor/world.h"

#define BOOKMARK_JSON(rv)                                                                          \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{" \
	"\"resourceVersion\":\"" rv "\"}}}\n"

static struct feed *live(struct world *w)
{
	world_init(w);
	add_cluster(w, 0, false);
	struct feed *f = open_list(w, 0, 0);
	go_live(w, 0);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	return f;
}

static void event(struct world *w, const char *text)
{
	chunk(fake_io_sock(&w->io, 0), text, strlen(text));
	turn(w);
}

static void post_audit(struct world *w, uint32_t id, uint32_t list)
{
	struct reactor_msg *m = msg(REACTOR_AUDIT);
	m->id = id;
	m->list = list;
	post(w, m);
}

/* What was told of it: for the count, and to each of `asked` (ids from 1). */
static void expect_verdict(
        struct world *w, uint32_t asked, enum reactor_verdict verdict, const char *text)
{
	for (uint32_t i = 0; i <= asked; i++) {
		struct reactor_note *n = take_note(w, REACTOR_AUDITED);
		assert_non_null(n);
		assert_int_equal(n->id, i);
		assert_int_equal(n->err, ERR_OK);
		assert_int_equal(n->verdict, verdict);
		assert_non_null(strstr(n->text, text));
		reactor_note_free(&n);
	}
	assert_null(take_note(w, REACTOR_AUDITED));
	assert_null(cluster_at(w, 0)->auditing);
}

static void asks_once_and_keeps_nothing(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	post_audit(&w, 1, 0);
	post_audit(&w, 2, 0); /* the same audit answers both */
	connect_ok(&w, 1);
	struct fake_sock *s = fake_io_sock(&w.io, 1);
	assert_non_null(strstr(s->sent, "GET /api/v1/r0?limit=500&resourceVersion=10"
	                                "&resourceVersionMatch=Exact HTTP/1.1\r\n"));
	assert_non_null(strstr(s->sent, "Accept: application/json;as=PartialObjectMetadataList;"));
	answer(&w, s, "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
	expect_verdict(&w, 2, REACTOR_AUDIT_EQUAL, "1 objects at version 10");
	assert_null(f->audit);
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), 1);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	assert_int_equal(row_at(f)->relists, 0);
	world_fini(&w);
}

static void its_pages_come_on_one_connection(void **state)
{
	struct world w;
	(void)state;
	live(&w);
	event(&w, EVENT_JSON("ADDED", "b", "11"));
	post_audit(&w, 1, 0);
	connect_ok(&w, 1);
	struct fake_sock *s = fake_io_sock(&w.io, 1);
	answer(&w, s, "200 OK",
	        "{\"kind\":\"L\",\"metadata\":{\"resourceVersion\":\"11\",\"continue\":\"t1\"},"
	        "\"items\":[" ITEM_JSON("a", "5") "]}");
	assert_non_null(strstr(s->sent, "GET /api/v1/r0?limit=500&continue=t1 HTTP/1.1\r\n"));
	answer(&w, s, "200 OK", LIST_JSON("11", ITEM_JSON("b", "11")));
	expect_verdict(&w, 1, REACTOR_AUDIT_EQUAL, "2 objects at version 11");
	assert_int_equal(w.io.connects, 2);
	world_fini(&w);
}

/* The server never told of b. */
static void what_was_missed_is_found_and_mended(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	event(&w, EVENT_JSON("MODIFIED", "a", "12"));
	post_audit(&w, 1, 0);
	connect_ok(&w, 1);
	answer(&w, fake_io_sock(&w.io, 1), "200 OK",
	        LIST_JSON("12", ITEM_JSON("a", "12") "," ITEM_JSON("b", "11")));
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), 1);
	pass(&w, 7 * SEC); /* the event of b may be on its way still */
	assert_int_equal(fake_io_count(&w.io), 1);
	event(&w, BOOKMARK_JSON("13"));
	pass(&w, 5 * SEC); /* judged: once may be chance */
	assert_null(take_note(&w, REACTOR_AUDITED));
	pass(&w, 5 * SEC);
	connect_ok(&w, 1);
	assert_non_null(strstr(fake_io_sock(&w.io, 1)->sent, "resourceVersion=13&"));
	answer(&w, fake_io_sock(&w.io, 1), "200 OK",
	        LIST_JSON("13", ITEM_JSON("a", "12") "," ITEM_JSON("b", "11")));
	expect_verdict(&w, 1, REACTOR_AUDIT_DIFFERENT, "not what the server had at version 13");
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	assert_string_equal(row_at(f)->error_name, "KUBE_AUDIT");
	assert_non_null(strstr(row_at(f)->error_text, "audit"));
	pass(&w, 1 * SEC);
	connect_ok(&w, 0);
	assert_non_null(strstr(fake_io_sock(&w.io, 0)->sent, "GET /api/v1/r0?limit=500 HTTP"));
	answer(&w, fake_io_sock(&w.io, 0), "200 OK",
	        LIST_JSON("13", ITEM_JSON("a", "12") "," ITEM_JSON("b", "11")));
	fake_io_bytes(fake_io_sock(&w.io, 0), STREAM_HEAD);
	turn(&w);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	assert_int_equal(row_at(f)->objects, 2);
	assert_int_equal(row_at(f)->relists, 1);
	world_fini(&w);
}

/* Two objects changed in one transaction, and the question came between the two events. */
static void half_a_transaction_is_no_difference(void **state)
{
	struct world w;
	(void)state;
	live(&w);
	event(&w, EVENT_JSON("ADDED", "b", "12"));
	post_audit(&w, 1, 0);
	connect_ok(&w, 1);
	event(&w, EVENT_JSON("ADDED", "c", "12"));
	event(&w, EVENT_JSON("DELETED", "c", "14"));
	answer(&w, fake_io_sock(&w.io, 1), "200 OK",
	        LIST_JSON("12",
	                ITEM_JSON("a", "5") "," ITEM_JSON("b", "12") "," ITEM_JSON("c", "12")));
	expect_verdict(&w, 1, REACTOR_AUDIT_EQUAL, "3 objects at version 12");

	post_audit(&w, 1, 0); /* and behind the answer, which was faster */
	event(&w, EVENT_JSON("ADDED", "d", "15"));
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), 2);
	connect_ok(&w, 1);
	answer(&w, fake_io_sock(&w.io, 1), "200 OK",
	        LIST_JSON("14", ITEM_JSON("a", "5") "," ITEM_JSON("b", "12")));
	expect_verdict(&w, 1, REACTOR_AUDIT_EQUAL, "2 objects at version 14");
	post_audit(&w, 1, 0);
	connect_ok(&w, 1);
	answer(&w, fake_io_sock(&w.io, 1), "200 OK",
	        LIST_JSON("15", ITEM_JSON("a", "5") "," ITEM_JSON("b", "12") "," ITEM_JSON(
	                                "d", "15") "," ITEM_JSON("e", "15")));
	assert_null(take_note(&w, REACTOR_AUDITED));
	event(&w, EVENT_JSON("ADDED", "e", "15"));
	pass(&w, 6 * SEC);
	expect_verdict(&w, 1, REACTOR_AUDIT_EQUAL, "4 objects at version 15");
	world_fini(&w);
}

static void what_goes_wrong_is_no_verdict(void **state)
{
	static const char *const heads[] = {"410 Gone", "403 Forbidden", "404 Not Found",
	        "504 Gateway Timeout", "401 Unauthorized"};
	static const char *const bodies[] = {"", "{}", "{\"items\":[]}", "[]",
	        LIST_JSON("9", ITEM_JSON("a", "5")), LIST_JSON("10", "{}"),
	        LIST_JSON("10", "{\"metadata\":{\"name\":\"a\"}}"),
	        LIST_JSON("10", ITEM_JSON("a", "5")) "}"};
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	for (size_t i = 0; i < ARRAY_LEN(heads) + ARRAY_LEN(bodies); i++) {
		post_audit(&w, 1, 0);
		connect_ok(&w, 1);
		bool head = i < ARRAY_LEN(heads);
		answer(&w, fake_io_sock(&w.io, 1), head ? heads[i] : "200 OK",
		        head ? "no" : bodies[i - ARRAY_LEN(heads)]);
		expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "");
		turn(&w);
	}
	post_audit(&w, 1, 0);
	connect_ok(&w, 1);
	fake_io_bytes(fake_io_sock(&w.io, 1), "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{");
	fake_io_end(fake_io_sock(&w.io, 1), ERR_CONN_CLOSED);
	turn(&w);
	expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "");
	post_audit(&w, 1, 0);
	connect_ok(&w, 1);
	pass(&w, 29 * SEC);
	assert_null(take_note(&w, REACTOR_AUDITED));
	pass(&w, 2 * SEC);
	expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "no answer");
	post_audit(&w, 1, 7);
	struct reactor_note *n = take_note(&w, REACTOR_AUDITED);
	assert_int_equal(n->err, ERR_ARGUMENT);
	reactor_note_free(&n);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	assert_int_equal(row_at(f)->relists, 0);
	post_audit(&w, 1, 0);
	connect_fails(&w, 1);
	expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "");
	post_audit(&w, 1, 0); /* its gate is shut now */
	expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "");
	world_fini(&w);
}

static void a_list_taken_again_meanwhile_is_not_judged(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	post_audit(&w, 1, 0);
	connect_ok(&w, 1);
	event(&w, EVENT_JSON("MODIFIED", "a", "9")); /* out of order */
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", LIST_JSON("10", ITEM_JSON("x", "7")));
	expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "not live");
	post_audit(&w, 1, 0);
	expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "not live");
	world_fini(&w);
}

static void who_asks_is_answered_when_the_list_goes(void **state)
{
	struct world w;
	(void)state;
	live(&w);
	open_list(&w, 1, 0);
	post_audit(&w, 1, 0);
	post_audit(&w, 1, 1); /* waits for its turn */
	struct reactor_msg *m = msg(REACTOR_LIST_CLOSE);
	m->id = 1;
	post(&w, m);
	struct reactor_note *n = take_note(&w, REACTOR_AUDITED);
	assert_int_equal(n->verdict, REACTOR_AUDIT_NO_VERDICT);
	assert_int_equal(n->list, 1);
	reactor_note_free(&n);
	turn(&w); /* its connection goes */
	connect_ok(&w, 1);
	assert_non_null(strstr(fake_io_sock(&w.io, 1)->sent, "Exact"));
	m = msg(REACTOR_LIST_CLOSE);
	m->id = 0;
	post(&w, m);
	n = take_note(&w, REACTOR_AUDITED);
	assert_string_equal(n->text, "the list was closed");
	reactor_note_free(&n);
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), 0);
	open_list(&w, 2, 0);
	post_audit(&w, 1, 2);
	expect_verdict(&w, 1, REACTOR_AUDIT_NO_VERDICT, "not live");
	open_list(&w, 3, 0);
	world_fini(&w);
}

static void set_period(struct world *w, uint32_t seconds)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CHANGE);
	m->cluster = 0;
	m->cluster_spec = (struct cluster_spec){.name = strdup("c"),
	        .host = strdup("api.test:6443"),
	        .prefix = strdup(""),
	        .connects_per_s = 50,
	        .connects_burst = 100,
	        .audit_s = seconds,
	        .backend = REACTOR_NO_CLUSTER};
	post(w, m);
}

/* Passes time until an audit asks; returns the seconds. Bookmarks keep the list live. */
static uint64_t until_asked(struct world *w, uint64_t seconds_max)
{
	for (uint64_t s = 0; s <= seconds_max; s++) {
		if (fake_io_count(&w->io) > 1)
			return s;
		if (s % 30 == 0)
			event(w, BOOKMARK_JSON("10"));
		pass(w, SEC);
	}
	return UINT64_MAX;
}

static void by_the_setting_each_list_at_its_own_pace(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	assert_null(f->audit); /* the default */
	set_period(&w, 40);
	uint64_t first = 0;
	bool varies = false;
	for (int i = 0; i < 8; i++) {
		uint64_t s = until_asked(&w, 62);
		assert_in_range(s, 20, 61);
		varies |= i && s != first;
		first = i ? first : s;
		connect_ok(&w, 1);
		answer(&w, fake_io_sock(&w.io, 1), "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
		expect_verdict(&w, 0, REACTOR_AUDIT_EQUAL, "1 objects");
		turn(&w);
	}
	assert_true(varies);
	set_period(&w, 0);
	assert_null(f->audit);
	assert_true(until_asked(&w, 100) == UINT64_MAX);
	world_fini(&w);
}

static void one_at_a_time_in_a_cluster(void **state)
{
	struct world w;
	(void)state;
	live(&w);
	open_list(&w, 1, 0);
	connect_ok(&w, 1);
	answer(&w, fake_io_sock(&w.io, 1), "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
	fake_io_bytes(fake_io_sock(&w.io, 1), STREAM_HEAD);
	turn(&w);
	post_audit(&w, 1, 0);
	post_audit(&w, 2, 1);
	assert_int_equal(fake_io_count(&w.io), 3);
	connect_ok(&w, 2);
	answer(&w, fake_io_sock(&w.io, 2), "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), 2);
	pass(&w, AUDIT_PACE_S * SEC - SEC / 10);
	assert_int_equal(fake_io_count(&w.io), 2);
	pass(&w, SEC / 5);
	assert_int_equal(fake_io_count(&w.io), 3);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(asks_once_and_keeps_nothing),
	        cmocka_unit_test(its_pages_come_on_one_connection),
	        cmocka_unit_test(what_was_missed_is_found_and_mended),
	        cmocka_unit_test(half_a_transaction_is_no_difference),
	        cmocka_unit_test(what_goes_wrong_is_no_verdict),
	        cmocka_unit_test(a_list_taken_again_meanwhile_is_not_judged),
	        cmocka_unit_test(who_asks_is_answered_when_the_list_goes),
	        cmocka_unit_test(by_the_setting_each_list_at_its_own_pace),
	        cmocka_unit_test(one_at_a_time_in_a_cluster),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
