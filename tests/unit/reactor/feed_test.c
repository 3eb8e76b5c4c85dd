/* feed_test.c - one list from bytes to rows: pages, stream, events cut anywhere, what is refused,
 * and connections that go at the worst moment. */
#include "base/check.h"
#include "unit/reactor/world.h"

/* A new world with one list, whose first request has been sent. */
static struct feed *asking(struct world *w)
{
	world_init(w);
	add_cluster(w, 0, false);
	struct feed *f = open_list(w, 0, 0);
	connect_ok(w, 0);
	return f;
}

static struct feed *live(struct world *w)
{
	add_cluster(w, 0, false);
	struct feed *f = open_list(w, 0, 0);
	go_live(w, 0);
	assert_int_equal(f->watch.state, WATCH_STREAMING);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	return f;
}

static void pages_then_stream_on_one_connection(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = asking(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	assert_non_null(strstr(s->sent, "GET /api/v1/r0?limit=500 HTTP/1.1\r\n"));
	assert_non_null(strstr(s->sent, "Host: api.test:6443\r\n"));
	answer(&w, s, "200 OK",
	        "{\"kind\":\"L\",\"metadata\":{\"resourceVersion\":\"10\",\"continue\":\"t1\"},"
	        "\"items\":[" ITEM_JSON("a", "5") "]}");
	assert_non_null(strstr(s->sent, "continue=t1"));
	assert_int_equal(row_at(f)->whole, 0); /* M2 */
	answer(&w, s, "200 OK", LIST_JSON("10", ITEM_JSON("b", "6")));
	assert_int_equal(row_at(f)->whole, 1);
	assert_int_equal(row_at(f)->objects, 2);
	assert_non_null(strstr(s->sent, "watch=1"));
	assert_non_null(strstr(s->sent, "resourceVersion=10"));
	assert_int_equal(w.io.connects, 1);
	world_fini(&w);
}

/* In the same piece it was not looked at, in the next one it was an error. */
static void what_stands_behind_a_list_is_checked_however_it_is_cut(void **state)
{
	static const char list[] = LIST_JSON("10", "");
	static const char *const more[] = {" \n", "\n}", "{}"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		for (int cut = 0; cut < 2; cut++) {
			struct world w;
			world_init(&w);
			add_cluster(&w, 0, false);
			struct feed *f = open_list(&w, 0, 0);
			connect_ok(&w, 0);
			struct fake_sock *s = fake_io_sock(&w.io, 0);
			char body[256];
			int n = snprintf(body, sizeof body, "%s%s", list, more[i]);
			fake_io_bytes(s, STREAM_HEAD);
			if (cut) {
				chunk(s, list, sizeof list - 1);
				chunk(s, more[i], strlen(more[i]));
			} else {
				chunk(s, body, (size_t)n);
			}
			fake_io_bytes(s, "0\r\n\r\n");
			turn(&w);
			assert_int_equal(row_at(f)->whole, i == 0);
			assert_int_equal(row_at(f)->last_error, i == 0 ? ERR_OK : ERR_JSON_SYNTAX);
			world_fini(&w);
		}
	}
}

/* Cut by a server (--request-timeout) or a proxy that ends the body in order all the same. */
static void a_list_whose_body_ends_before_its_json_is_not_there(void **state)
{
	static const char list[] = LIST_JSON("10", ITEM_JSON("a", "5"));
	(void)state;
	for (size_t n = 0; n < sizeof list; n++) {
		struct world w;
		char body[sizeof list];
		world_init(&w);
		add_cluster(&w, 0, false);
		struct feed *f = open_list(&w, 0, 0);
		connect_ok(&w, 0);
		memcpy(body, list, n);
		body[n] = 0;
		answer(&w, fake_io_sock(&w.io, 0), "200 OK", body);
		bool whole = n == sizeof list - 1;
		assert_int_equal(row_at(f)->whole, whole);
		assert_int_equal(row_at(f)->last_error, whole ? ERR_OK : ERR_HTTP_TRUNCATED);
		world_fini(&w);
	}
}

/* Of an aggregated server that writes the versions of several into one: what was said of it was
 * "object over the size limit". */
static void a_version_that_is_too_long_is_named(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = asking(&w);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK",
	        LIST_JSON("10", ITEM_JSON("a", "e30123456789abcdef0123456789abcdef0123456789abcdef0"
	                                       "123456789abcd")));
	assert_int_equal(row_at(f)->last_error, ERR_JSON_LIMIT);
	assert_int_equal(row_at(f)->state, SHM_LIST_PARKED);
	assert_non_null(strstr(row_at(f)->error_text, "version 64 of 63"));
	world_fini(&w);
}

static void an_event_may_be_cut_anywhere(void **state)
{
	static const char ev[] = EVENT_JSON("ADDED", "b", "11") EVENT_JSON("MODIFIED", "a", "12");
	(void)state;
	for (size_t cut = 0; cut < sizeof ev; cut += 3) {
		struct world w;
		world_init(&w);
		struct feed *f = live(&w);
		struct fake_sock *s = fake_io_sock(&w.io, 0);
		if (cut)
			chunk(s, ev, cut);
		if (cut < sizeof ev - 1)
			chunk(s, ev + cut, sizeof ev - 1 - cut);
		turn(&w);
		assert_int_equal(f->events, 2);
		assert_int_equal(row_at(f)->objects, 2);
		assert_string_equal(f->watch.rv, "12");
		assert_int_equal(f->carry_bytes, 0);
		world_fini(&w);
	}
}

static void an_event_over_the_limit_ends_the_stream(void **state)
{
	enum { LIMIT = 4096 }; /* of world_init */
	static char big[LIMIT + 2];
	(void)state;
	for (int more = 0; more < 2; more++) {
		struct world w;
		world_init(&w);
		struct feed *f = live(&w);
		static const char tail[] = EVENT_JSON("ADDED", "b", "11");
		size_t n = sizeof tail - 2, bytes = LIMIT + (size_t)more; /* without the newline */
		memset(big, ' ', bytes - n);
		memcpy(big + bytes - n, tail, n);
		struct fake_sock *s = fake_io_sock(&w.io, 0);
		chunk(s, big, bytes);
		chunk(s, "\n", 1);
		turn(&w);
		assert_int_equal(row_at(f)->objects, more ? 1 : 2);
		assert_int_equal(row_at(f)->last_error, more ? ERR_JSON_LIMIT : ERR_OK);
		assert_int_equal(f->watch.relist, more);
		world_fini(&w);
	}
}

static void a_status_may_be_plain_text(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = asking(&w);
	fake_io_bytes(fake_io_sock(&w.io, 0),
	        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n\r\n"
	        "404 page not found\n");
	turn(&w);
	assert_int_equal(f->watch.state, WATCH_PARKED);
	assert_int_equal(row_at(f)->last_error, ERR_KUBE_NOT_FOUND);
	assert_non_null(strstr(row_at(f)->error_text, "page not found"));
	pass(&w, 31 * SEC);
	assert_int_equal(w.io.connects, 2);
	world_fini(&w);
}

static void a_stream_that_ends_is_resumed_on_the_same_connection(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	static const char ev[] = EVENT_JSON("ADDED", "b", "11");
	chunk(s, ev, sizeof ev - 1);
	fake_io_sent_clear(s);
	fake_io_bytes(s, "0\r\n\r\n");
	turn(&w);
	assert_int_equal(f->watch.state, WATCH_ASKING);
	assert_non_null(strstr(s->sent, "resourceVersion=11"));
	assert_int_equal(w.io.connects, 1);
	world_fini(&w);
}

static struct fake_sock *next_connection(struct world *w)
{
	while (!fake_io_count(&w->io))
		pass(w, WHEEL_TICK_NS);
	connect_ok(w, 0);
	return fake_io_sock(&w->io, 0);
}

/* Lists whose servers are away, or refuse them, are many, and may stay so for weeks. */
static void what_was_read_in_part_goes_with_its_connection(void **state)
{
	static const char half[] = "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":";
	struct world w;
	(void)state;
	world_init(&w);
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	chunk(s, half, sizeof half - 1); /* of an event */
	turn(&w);
	assert_non_null(f->carry);
	fake_io_end(s, ERR_CONN_RESET);
	turn(&w);
	assert_null(f->carry);
	f->watch.relist = true;
	s = next_connection(&w);
	fake_io_bytes(s, STREAM_HEAD);
	chunk(s, half, sizeof half - 1); /* of a list */
	turn(&w);
	assert_non_null(f->splitter);
	fake_io_end(s, ERR_CONN_RESET);
	turn(&w);
	assert_null(f->splitter);
	while (f->watch.state != WATCH_PARKED) {
		answer(&w, next_connection(&w), "403 Forbidden",
		        "{\"kind\":\"Status\",\"code\":403,\"message\":\"because\"}");
		assert_null(f->carry);
	}
	assert_non_null(strstr(row_at(f)->error_text, "because"));
	world_fini(&w);
}

static void an_end_inside_an_event_is_no_clean_end(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	chunk(s, "{\"type\":", 8);
	fake_io_bytes(s, "0\r\n\r\n");
	turn(&w);
	assert_int_equal(row_at(f)->last_error, ERR_HTTP_TRUNCATED);
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	world_fini(&w);
}

/* The first page came with "Connection: close", so the next request needs a new connection; the
 * cluster dies, the request's deadline passes while it waits for the gate, and then the gate opens
 * while the list is in back-off. Several seeds: the jitter decides who is first. */
static void a_request_that_waits_for_a_connection_may_be_given_up(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 40; seed++) {
		struct world w;
		world_init_seed(&w, seed);
		add_cluster(&w, 0, false);
		struct feed *f = open_list(&w, 0, 0);
		open_list(&w, 1, 0);
		connect_ok(&w, 0);
		connect_fails(&w, 1); /* shuts the gate */
		struct fake_sock *s = fake_io_sock(&w.io, 0);
		fake_io_bytes(s, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
		                 "{\"kind\":\"L\",\"metadata\":{\"resourceVersion\":\"10\","
		                 "\"continue\":\"t\"},"
		                 "\"items\":[]}");
		turn(&w); /* the head opens the gate again: list 1 may be connecting */
		while (fake_io_sock(&w.io, 1))
			connect_fails(&w, 1);
		cluster_at(&w, 0)->gate.shut = true;
		cluster_at(&w, 0)->gate.open_at_ns = w.io.now_ns + 29900000000 + seed * 20000000;
		fake_io_end(s, ERR_CONN_CLOSED);
		turn(&w);
		assert_int_equal(f->watch.state, WATCH_ASKING);
		for (int i = 0; i < 4000; i++) {
			pass(&w, WHEEL_TICK_NS);
			for (unsigned k = 0; k < fake_io_count(&w.io); k++) {
				s = fake_io_sock(&w.io, k);
				if (!s->open && list_empty(&s->events))
					fake_io_connected(s, ERR_OK);
				else if (s->open && s->sent_bytes) {
					fake_io_sent_clear(s);
					fake_io_bytes(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
					                 "chunked\r\n\r\n");
				}
			}
		}
		world_fini(&w);
	}
}

/* A version that begins with NUL would be the empty one to everything that counts in C strings. */
static void a_version_with_nul_is_refused(void **state)
{
	static const char mark[] =
	        "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
	        "\"resourceVersion\":\"\\u0000\"}}}\n";
	struct world w;
	(void)state;
	struct feed *f = asking(&w);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", LIST_JSON("\\u0000", ""));
	assert_int_equal(row_at(f)->whole, 0);
	while (!fake_io_count(&w.io))
		pass(&w, WHEEL_TICK_NS);
	go_live(&w, 0);
	chunk(fake_io_sock(&w.io, 0), mark, sizeof mark - 1);
	turn(&w);
	assert_int_equal(f->watch.relist, 1);
	world_fini(&w);
}

/* Regression: a claim of a device with a byte that is no text, which an API server keeps and prints
 * as it is, and nobody could read any claim of the cluster. */
static void bytes_that_are_no_text_do_not_spoil_a_list(void **state)
{
#define OBJECT(rv, text)                                                                           \
	"{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"" rv                    \
	"\"},\"raw\":\"" text "\"}"
#define CHANGE(rv, text) "{\"type\":\"MODIFIED\",\"object\":" OBJECT(rv, text) "}\n"
	static const char changes[] = CHANGE("11", "\xff") CHANGE("12", "\x80z") CHANGE("13", "z");
	struct world w;
	(void)state;
	struct feed *f = asking(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	answer(&w, s, "200 OK", LIST_JSON("10", OBJECT("5", "x\xff\xc3\xa4")));
	assert_int_equal(row_at(f)->whole, 1);
	struct store_held held;
	assert_true(store_peek(f->list, SPAN_NONE, SPAN("a"), &held));
	assert_true(span_is(held.known.json, OBJECT("5", "x?\xc3\xa4")));
	fake_io_bytes(s, STREAM_HEAD);
	chunk(s, changes, sizeof changes - 1);
	turn(&w);
	assert_int_equal(f->events, 3);
	assert_string_equal(f->watch.rv, "13");
	assert_true(store_peek(f->list, SPAN_NONE, SPAN("a"), &held));
	assert_true(span_is(held.known.json, OBJECT("13", "z")));
	/* what is wrong elsewhere is refused as before */
	chunk(s, "{\"type\":\xff}\n", 11);
	turn(&w);
	assert_int_equal(row_at(f)->last_error, ERR_JSON_SYNTAX);
	world_fini(&w);
}

/* A server that answers more than it was asked, before our first send is through. */
static void answers_to_requests_that_were_not_sent(void **state)
{
	char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 75\r\n\r\n"
	              "{\"kind\":\"L\",\"metadata\":{\"resourceVersion\":\"10\","
	              "\"continue\":\"t1\"},\"items\":[]}";
	char *number = strstr(page, "t1") + 1;
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	struct feed *f = open_list(&w, 0, 0);
	fake_io_sock(&w.io, 0)->hold_sent = true;
	fake_io_connected(fake_io_sock(&w.io, 0), ERR_OK);
	for (int i = 0; i < 4; i++, ++*number)
		fake_io_bytes(fake_io_sock(&w.io, 0), page);
	turn(&w);
	assert_int_equal(row_at(f)->last_error, ERR_HTTP_SYNTAX);
	assert_int_equal(f->watch.state, WATCH_WAITING);
	world_fini(&w);
}

/* A watch from a version in the server's future is silent for ever, and is renewed every 5 to 10
 * minutes: the renewals must not put off the look at the list. */
static void renewals_do_not_put_off_the_verification(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	struct feed *f = live(&w);
	f->watch.verify_ns = 600 * SEC; /* as after two silences */
	unsigned listed = 0;
	for (int i = 0; i < 20 && !listed; i++) {
		struct fake_sock *s = fake_io_sock(&w.io, 0);
		fake_io_sent_clear(s);
		pass(&w, 200 * SEC);
		if (fake_io_sock(&w.io, 0) == s && s->open) {
			fake_io_bytes(s, "0\r\n\r\n");
			turn(&w);
			fake_io_bytes(s, STREAM_HEAD);
			turn(&w);
		} else {
			connect_ok(&w, 0);
			listed += strstr(fake_io_sock(&w.io, 0)->sent, "limit=500") != NULL;
		}
	}
	assert_int_equal(listed, 1);
	world_fini(&w);
}

/* timeoutSeconds is below 600: a stream that is older comes late, however busy it looks. */
static void a_stream_that_drips_is_left_in_the_end(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	f->watch.caps->silence_ns = WATCH_BOOKMARK_S * SEC; /* else it is verified long before */
	int i;
	for (i = 0; i < 100 && fake_io_sock(&w.io, 0) == s; i++) {
		chunk(s, " ", 1);
		pass(&w, 10 * SEC);
	}
	assert_true(i > 60 && i < 70);
	connect_ok(&w, 0);
	assert_non_null(strstr(fake_io_sock(&w.io, 0)->sent, "resourceVersion=10"));
	assert_int_equal(f->watch.relist, 0);
	world_fini(&w);
}

static void cannot_connect_at_all(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	w.io.connect_err = ERR_LIMIT;
	struct feed *f = open_list(&w, 0, 0);
	assert_int_equal(row_at(f)->last_error, ERR_LIMIT);
	assert_non_null(strstr(row_at(f)->error_text, "raise kuberingd's limit of open files"));
	assert_int_equal(fake_io_count(&w.io), 0);
	pass(&w, 2 * SEC);
	assert_int_equal(fake_io_count(&w.io), 1);
	world_fini(&w);
}

static void a_401_is_answered_by_one_refresh_at_a_time(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = asking(&w);
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	expect_note(&w, REACTOR_WANTS_CREDENTIAL);
	post_credential(&w, 0, ERR_CRED_EXEC, "not logged in");
	assert_int_equal(row_at(f)->last_error, ERR_KUBE_UNAUTHORIZED);
	assert_string_equal(row_at(f)->error_text, "not logged in");
	/* Still refused: it probes slowly, and each probe may ask for one refresh again. */
	unsigned asked = 0;
	for (int i = 0; i < 1000; i++) {
		pass(&w, SEC);
		struct fake_sock *s = fake_io_sock(&w.io, 0);
		if (s && !s->open)
			connect_ok(&w, 0);
		else if (s)
			answer(&w, s, "401 Unauthorized", "");
		struct reactor_note *n = take_note(&w, REACTOR_WANTS_CREDENTIAL);
		if (n) {
			asked++;
			reactor_note_free(&n);
			post_credential(&w, 0, ERR_CRED_EXEC, "not logged in");
		}
	}
	assert_true(asked >= 2 && asked < 30);
	world_fini(&w);
}

static void send_fails_at_once(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	struct feed *f = open_list(&w, 0, 0);
	w.io.send_err = ERR_CONN_RESET;
	connect_ok(&w, 0);
	assert_int_equal(row_at(f)->last_error, ERR_CONN_RESET);
	pass(&w, SEC);
	assert_int_equal(fake_io_count(&w.io), 1);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pages_then_stream_on_one_connection),
	        cmocka_unit_test(what_stands_behind_a_list_is_checked_however_it_is_cut),
	        cmocka_unit_test(a_list_whose_body_ends_before_its_json_is_not_there),
	        cmocka_unit_test(a_version_that_is_too_long_is_named),
	        cmocka_unit_test(an_event_may_be_cut_anywhere),
	        cmocka_unit_test(an_event_over_the_limit_ends_the_stream),
	        cmocka_unit_test(a_status_may_be_plain_text),
	        cmocka_unit_test(a_stream_that_ends_is_resumed_on_the_same_connection),
	        cmocka_unit_test(what_was_read_in_part_goes_with_its_connection),
	        cmocka_unit_test(an_end_inside_an_event_is_no_clean_end),
	        cmocka_unit_test(a_request_that_waits_for_a_connection_may_be_given_up),
	        cmocka_unit_test(a_version_with_nul_is_refused),
	        cmocka_unit_test(bytes_that_are_no_text_do_not_spoil_a_list),
	        cmocka_unit_test(answers_to_requests_that_were_not_sent),
	        cmocka_unit_test(renewals_do_not_put_off_the_verification),
	        cmocka_unit_test(a_stream_that_drips_is_left_in_the_end),
	        cmocka_unit_test(cannot_connect_at_all),
	        cmocka_unit_test(a_401_is_answered_by_one_refresh_at_a_time),
	        cmocka_unit_test(send_fails_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
