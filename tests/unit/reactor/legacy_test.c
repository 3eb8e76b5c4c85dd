/* legacy_test.c - a Headlamp backend without its multiplexer: one WebSocket per list through the
 * cluster's prefix (ids: tests/headlamp.md), what a message may be, and what an end does to the
 * others. */
#include "unit/reactor/backend_world.h"

/* List `id` of cluster "a" is live at version 10 on a socket of its own. */
static struct fake_sock *go_live_legacy(uint32_t id)
{
	char target[32], watch[64];
	open_list(&w, id, 1);
	snprintf(target, sizeof target, "/clusters/a/api/v1/r%u", id);
	answer_list(target);
	snprintf(watch, sizeof watch, "GET %s?watch=1&", target);
	struct fake_sock *s = must_send(watch);
	agree(&w, s, "base64.binary.k8s.io");
	is_at(id, SHM_LIST_LIVE, "10");
	return s;
}

static void encode(const char *text, char *out)
{
	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)strlen(text));
}

/* L1. */
static void the_upgrade_offers_what_the_backend_takes_out_again(void **state)
{
	char value[256];
	(void)state;
	open_backend(STRATEGY_LEGACY, true);
	add_behind(3, STRATEGY_LEGACY, true, "u1");
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r0?watch=1&allowWatchBookmarks="
	                                "true&resourceVersion=10&");
	header(s, "Sec-WebSocket-Protocol", value, sizeof value);
	assert_string_equal(value, "base64.binary.k8s.io");
	header(s, "Origin", value, sizeof value);
	assert_string_equal(value, "http://hl.test:4466");
	open_list(&w, 1, 3);
	answer_list("/clusters/c/api/v1/r1");
	s = must_send("GET /clusters/c/api/v1/r1?watch=1&");
	header(s, "Sec-WebSocket-Protocol", value, sizeof value);
	assert_string_equal(
	        value, "base64.binary.k8s.io, base64url.headlamp.authorization.k8s.io.u1");
	world_fini(&w);
}

static void a_user_that_is_no_token_is_not_sent(void **state)
{
	(void)state;
	open_backend(STRATEGY_LEGACY, true);
	add_behind(3, STRATEGY_LEGACY, true, "a, b");
	struct feed *f = open_list(&w, 0, 3);
	answer_list("/clusters/c/api/v1/r0");
	assert_null(sock_that_sent(&w, "watch=1"));
	assert_int_equal(f->watch.err, ERR_ARGUMENT);
	assert_non_null(strstr(f->watch.text, "headlamp.user"));
	world_fini(&w);
}

static void a_base_path_stays_in_front(void **state)
{
	(void)state;
	world_init(&w);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_ADD);
	m->cluster_spec = (struct cluster_spec){.name = strdup("H"),
	        .host = strdup("hl.test:4466"),
	        .prefix = strdup("/headlamp"),
	        .connects_per_s = 50,
	        .connects_burst = 100,
	        .backend = REACTOR_NO_CLUSTER};
	post(&w, m);
	m = msg(REACTOR_CLUSTER_ADD);
	m->cluster = 1;
	m->cluster_spec = (struct cluster_spec){.cluster = 1,
	        .name = strdup("a"),
	        .host = strdup("hl.test:4466"),
	        .prefix = strdup("/headlamp/clusters/a"),
	        .connects_per_s = 50,
	        .connects_burst = 100,
	        .way = STRATEGY_MULTIPLEXED,
	        .context = strdup("a")};
	post(&w, m);
	for (uint32_t id = 0; id < 2; id++) {
		post_credential(&w, id, ERR_OK, "");
		post_addresses(&w, id, 1);
	}
	peer = NULL;
	open_list(&w, 0, 1);
	answer_list("/headlamp/clusters/a/api/v1/r0");
	dial(&w);
	peer = must_send("GET /headlamp/wsMultiplexer HTTP/1.1\r\n");
	heard = 0;
	agree(&w, peer, NULL);
	hear_request("a", "/api/v1/r0", "10"); /* FM-8: the cluster's own path */
	world_fini(&w);
}

static void a_message_is_text_or_binary_json_or_base64(void **state)
{
	char text[1024];
	(void)state;
	open_backend(STRATEGY_LEGACY, true);
	struct fake_sock *s = go_live_legacy(0);
	event(&w, s, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	event(&w, s, " \r\n\t" EVENT_JSON("ADDED", "c", "12"));
	is_at(0, SHM_LIST_LIVE, "12");
	const char *ev = EVENT_JSON("ADDED", "d", "13");
	frame(&w, s, OP_BINARY, ev, strlen(ev));
	is_at(0, SHM_LIST_LIVE, "13");
	encode(EVENT_JSON("ADDED", "e", "14"), text);
	event(&w, s, text);
	is_at(0, SHM_LIST_LIVE, "14");
	encode(EVENT_JSON("DELETED", "e", "15") " ", text); /* another padding */
	strcat(text, "\n");
	frame(&w, s, OP_BINARY, text, strlen(text));
	is_at(0, SHM_LIST_LIVE, "15");
	event(&w, s, "Cg=="); /* a line end: says nothing */
	event(&w, s, " \n");
	is_at(0, SHM_LIST_LIVE, "15");
	assert_int_equal(row_at(feed_at(&w, 0))->objects, 4);
	world_fini(&w);
}

/* LG-8: it is told, by the state of that list, and met by a LIST. */
static void a_message_that_is_broken_is_of_one_list(void **state)
{
	static const char *const broken[] = {"not base64", "abc", "ab=c", "QUJD", "{", "W10="};
	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		open_backend(STRATEGY_LEGACY, true);
		struct fake_sock *s = go_live_legacy(0), *t = go_live_legacy(1);
		event(&w, s, broken[i]);
		struct feed *f = feed_at(&w, 0);
		assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
		assert_int_equal(f->watch.err, i < 5 ? ERR_JSON_SYNTAX : ERR_JSON_SHAPE);
		assert_true(f->watch.relist);
		event(&w, t, EVENT_JSON("ADDED", "b", "11"));
		is_at(1, SHM_LIST_LIVE, "11");
		pass(&w, SEC);
		answer_list("/clusters/a/api/v1/r0");
		world_fini(&w);
	}
}

/* LG-5, L5. */
static void a_list_that_leaves_closes_its_socket_in_every_state(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		open_backend(STRATEGY_LEGACY, true);
		struct fake_sock *t = go_live_legacy(1);
		open_list(&w, 0, 1);
		assert_int_equal(fake_io_count(&w.io), 2);
		if (i > 0)
			dial(&w);
		if (i > 1)
			answer_list("/clusters/a/api/v1/r0");
		if (i > 2)
			agree(&w, must_send("GET /clusters/a/api/v1/r0?watch=1"), NULL);
		close_list(0);
		turn(&w);
		assert_int_equal(fake_io_count(&w.io), 1);
		event(&w, t, EVENT_JSON("ADDED", "b", "11"));
		is_at(1, SHM_LIST_LIVE, "11");
		world_fini(&w);
	}
}

/* V1-3. */
static void a_list_that_leaves_in_its_back_off_does_not_come_back(void **state)
{
	(void)state;
	open_backend(STRATEGY_LEGACY, true);
	fake_io_end(go_live_legacy(0), ERR_CONN_RESET);
	turn(&w);
	is_at(0, SHM_LIST_STALE, "10");
	unsigned connects = w.io.connects;
	close_list(0);
	pass(&w, 60 * SEC);
	assert_int_equal(w.io.connects, connects);
	world_fini(&w);
}

/* LG-6, V1-7: from the last version, at once, and only the one that ended. */
static void an_end_is_resumed_and_is_of_one_list(void **state)
{
	(void)state;
	open_backend(STRATEGY_LEGACY, true);
	struct fake_sock *s = go_live_legacy(0), *t = go_live_legacy(1);
	event(&w, s, EVENT_JSON("ADDED", "b", "11"));
	frame(&w, s, OP_CLOSE, "\x03\xE8", 2);
	turn(&w);
	dial(&w);
	s = must_send("GET /clusters/a/api/v1/r0?watch=1&allowWatchBookmarks=true&"
	              "resourceVersion=11&");
	event(&w, t, EVENT_JSON("ADDED", "b", "12"));
	is_at(1, SHM_LIST_LIVE, "12");
	agree(&w, s, "base64.binary.k8s.io");
	is_at(0, SHM_LIST_LIVE, "11");
	assert_int_equal(row_at(feed_at(&w, 0))->relists, 0);
	world_fini(&w);
}

/* LG-4, LG-7: nothing is left behind that the next try would take for a socket. */
static void a_handshake_that_fails_is_tried_again(void **state)
{
	(void)state;
	open_backend(STRATEGY_LEGACY, false);
	struct feed *f = open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	answer(&w, must_send("GET /clusters/a/api/v1/r0?watch=1&"), "502 Bad Gateway", "");
	assert_int_equal(f->watch.err, ERR_KUBE_SERVER);
	pass(&w, 2 * SEC);
	dial(&w);
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r0?watch=1&");
	agree(&w, s, NULL);
	is_at(0, SHM_LIST_LIVE, "10");
	assert_int_equal(fake_io_count(&w.io), 1);
	world_fini(&w);
}

static void where_there_are_no_websockets_it_goes_by_http(void **state)
{
	(void)state;
	open_backend(STRATEGY_LEGACY, true);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	answer(&w, must_send("GET /clusters/a/api/v1/r0?watch=1&"), "400 Bad Request", "");
	assert_int_equal(cluster_at(&w, 1)->strategy->way, STRATEGY_MULTIPLEXED);
	pass(&w, 2 * SEC);
	dial(&w);
	answer(&w, must_send("GET /wsMultiplexer "), "404 Not Found", "");
	assert_non_null(strstr(way_text(1, STRATEGY_HTTP), "multiplexed: "));
	pass(&w, 2 * SEC);
	dial(&w);
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r0?watch=1&");
	assert_null(strstr(s->sent, "Upgrade"));
	fake_io_bytes(s, STREAM_HEAD);
	turn(&w);
	chunk(s, EVENT_JSON("ADDED", "b", "11"), strlen(EVENT_JSON("ADDED", "b", "11")));
	turn(&w);
	is_at(0, SHM_LIST_LIVE, "11");
	world_fini(&w);
}

/* It is agreed to each time, and that is all. A quiet list whose stream is lost now and then is
 * none of these. */
static void a_stream_that_is_cut_before_anything_came(void **state)
{
	(void)state;
	open_backend(STRATEGY_LEGACY, true);
	unsigned losses = 0;
	struct fake_sock *s = go_live_legacy(0);
	for (int quiet = 1; quiet >= 0; quiet--) {
		for (int i = 0; i < STRATEGY_TRIES; i++) {
			assert_string_equal(way_text(1, STRATEGY_LEGACY), "");
			for (int n = 0; quiet && n < 11; n++) {
				pass(&w, SEC);
				frame(&w, s, OP_PONG, "", 0);
			}
			fake_io_end(s, ERR_CONN_RESET);
			pass(&w, (SEC / 2 << losses++) + SEC);
			dial(&w);
			if (quiet || i + 1 < STRATEGY_TRIES) {
				s = must_send("GET /clusters/a/api/v1/r0?watch=1&");
				agree(&w, s, "base64.binary.k8s.io");
				is_at(0, SHM_LIST_LIVE, "10");
			}
		}
	}
	assert_non_null(strstr(way_text(1, STRATEGY_MULTIPLEXED), "legacy: connection reset"));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_upgrade_offers_what_the_backend_takes_out_again),
	        cmocka_unit_test(a_user_that_is_no_token_is_not_sent),
	        cmocka_unit_test(a_base_path_stays_in_front),
	        cmocka_unit_test(a_message_is_text_or_binary_json_or_base64),
	        cmocka_unit_test(a_message_that_is_broken_is_of_one_list),
	        cmocka_unit_test(a_list_that_leaves_closes_its_socket_in_every_state),
	        cmocka_unit_test(a_list_that_leaves_in_its_back_off_does_not_come_back),
	        cmocka_unit_test(an_end_is_resumed_and_is_of_one_list),
	        cmocka_unit_test(a_handshake_that_fails_is_tried_again),
	        cmocka_unit_test(where_there_are_no_websockets_it_goes_by_http),
	        cmocka_unit_test(a_stream_that_is_cut_before_anything_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
