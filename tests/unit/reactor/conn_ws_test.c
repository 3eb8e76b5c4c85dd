/* conn_ws_test.c - a list whose watch goes over a WebSocket: the upgrade, messages, control frames,
 * half-open paths, the ends that a server may choose, and what a refusal does. */
#include "unit/reactor/ws_peer.h"

static void add_ws_cluster(struct world *w)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_ADD);
	m->cluster_spec = (struct cluster_spec){.name = strdup("c"),
	        .host = strdup("api.test:6443"),
	        .prefix = strdup(""),
	        .connects_per_s = 50,
	        .connects_burst = 100,
	        .way = STRATEGY_WEBSOCKET,
	        .backend = REACTOR_NO_CLUSTER};
	post(w, m);
	post_credential(w, 0, ERR_OK, "");
	post_addresses(w, 0, 1);
}

static struct feed *live(struct world *w)
{
	world_init(w);
	add_ws_cluster(w);
	struct feed *f = open_list(w, 0, 0);
	connect_ok(w, 0);
	struct fake_sock *s = fake_io_sock(&w->io, 0);
	answer(w, s, "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
	assert_non_null(strstr(s->sent, "watch=1"));
	agree(w, s, NULL);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	fake_io_sent_clear(s);
	return f;
}

static void the_upgrade_says_what_an_apiserver_wants(void **state)
{
	struct world w;
	char value[128];
	(void)state;
	world_init(&w);
	add_ws_cluster(&w);
	open_list(&w, 0, 0);
	connect_ok(&w, 0);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	answer(&w, s, "200 OK", LIST_JSON("10", ""));
	header(s, "Origin", value, sizeof value); /* without it: a bare 403 */
	assert_string_equal(value, "http://api.test:6443");
	header(s, "Sec-WebSocket-Version", value, sizeof value);
	assert_string_equal(value, "13");
	assert_null(strstr(s->sent, "Sec-WebSocket-Protocol"));
	world_fini(&w);
}

static void events_come_as_messages(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	event(&w, s, EVENT_JSON("ADDED", "b", "11"));
	event(&w, s, EVENT_JSON("MODIFIED", "a", "12"));
	assert_int_equal(row_at(f)->objects, 2);
	assert_string_equal(row_at(f)->rv, "12");
	event(&w, s, EVENT_JSON("DELETED", "b", "13"));
	assert_int_equal(row_at(f)->objects, 1);
	frame(&w, s, OP_TEXT, "", 0); /* says nothing */
	frame(&w, s, OP_TEXT, "\n", 1);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	world_fini(&w);
}

static void pings_are_answered(void **state)
{
	struct world w;
	static char payload[PEER_TEXT];
	(void)state;
	live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	frame(&w, s, OP_PING, "abc", 3);
	assert_int_equal(sent_op(s, payload), OP_PONG);
	assert_string_equal(payload, "abc");
	world_fini(&w);
}

static void a_silent_path_is_found_within_ten_seconds(void **state)
{
	struct world w;
	static char payload[PEER_TEXT];
	(void)state;
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	pass(&w, 5 * SEC);
	assert_int_equal(sent_op(s, payload), OP_PING);
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	pass(&w, 5 * SEC - SEC / 2);
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	assert_int_equal(f->watch.err, ERR_CONN_SILENT);
	world_fini(&w);
}

static void any_byte_shows_that_it_lives(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	for (int i = 0; i < 10; i++) {
		pass(&w, 5 * SEC); /* a ping goes out after 4 */
		frame(&w, s, OP_PONG, "", 0);
		assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	}
	assert_int_equal(w.io.connects, 1);
	world_fini(&w);
}

static void close_1000_is_the_end_of_a_watch(void **state)
{
	struct world w;
	static char payload[PEER_TEXT];
	(void)state;
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	event(&w, s, EVENT_JSON("ADDED", "b", "11"));
	s->hold_sent = true;
	frame(&w, s, OP_CLOSE, "\x03\xE8", 2);
	assert_int_equal(sent_op(s, payload), OP_CLOSE);
	turn(&w);
	assert_int_equal(w.io.connects, 2); /* at once, from the last version */
	assert_int_equal(row_at(f)->relists, 0);
	connect_ok(&w, 0);
	assert_non_null(strstr(fake_io_sock(&w.io, 0)->sent, "resourceVersion=11"));
	world_fini(&w);
}

static void other_codes_are_a_loss(void **state)
{
	struct world w;
	(void)state;
	struct feed *f = live(&w);
	frame(&w, fake_io_sock(&w.io, 0), OP_CLOSE,
	        "\x03\xF3"
	        "broken",
	        8);
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	assert_int_equal(f->watch.err, ERR_WS_CLOSED);
	assert_non_null(strstr(f->watch.text, "1011"));
	assert_false(f->watch.relist);
	world_fini(&w);
}

static void a_broken_frame_ends_it_with_the_code_of_the_rfc(void **state)
{
	struct world w;
	static char payload[PEER_TEXT];
	(void)state;
	struct feed *f = live(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	s->hold_sent = true;
	fake_io_data(s, "\xF1\x00", 2); /* a reserved bit */
	turn(&w);
	assert_int_equal(sent_op(s, payload), OP_CLOSE);
	assert_memory_equal(payload, "\x03\xEA", 2); /* 1002 */
	assert_int_equal(f->watch.err, ERR_WS_PROTOCOL);
	assert_true(f->watch.relist);
	world_fini(&w);
}

static void a_refused_upgrade_is_an_ordinary_answer(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_ws_cluster(&w);
	struct feed *f = open_list(&w, 0, 0);
	connect_ok(&w, 0);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	answer(&w, s, "200 OK", LIST_JSON("10", ""));
	answer(&w, s, "410 Gone", "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}");
	assert_true(f->watch.relist);
	assert_int_equal(f->watch.err, ERR_KUBE_EXPIRED);
	world_fini(&w);
}

static void no_websockets_here_is_said(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_ws_cluster(&w);
	struct feed *f = open_list(&w, 0, 0);
	connect_ok(&w, 0);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	answer(&w, s, "200 OK", LIST_JSON("10", ""));
	answer(&w, s, "400 Bad Request", "");
	assert_int_equal(f->watch.err, ERR_HTTP_STATUS);
	assert_non_null(strstr(f->watch.text, "400 to a WebSocket upgrade"));
	assert_false(f->watch.relist); /* it says nothing about the list */
	world_fini(&w);
}

static void a_wrong_accept_is_no_upgrade(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_ws_cluster(&w);
	struct feed *f = open_list(&w, 0, 0);
	connect_ok(&w, 0);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	answer(&w, s, "200 OK", LIST_JSON("10", ""));
	fake_io_bytes(s, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
	                 "websocket\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n");
	turn(&w);
	assert_int_equal(f->watch.err, ERR_WS_HANDSHAKE);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_upgrade_says_what_an_apiserver_wants),
	        cmocka_unit_test(events_come_as_messages),
	        cmocka_unit_test(pings_are_answered),
	        cmocka_unit_test(a_silent_path_is_found_within_ten_seconds),
	        cmocka_unit_test(any_byte_shows_that_it_lives),
	        cmocka_unit_test(close_1000_is_the_end_of_a_watch),
	        cmocka_unit_test(other_codes_are_a_loss),
	        cmocka_unit_test(a_broken_frame_ends_it_with_the_code_of_the_rfc),
	        cmocka_unit_test(a_refused_upgrade_is_an_ordinary_answer),
	        cmocka_unit_test(no_websockets_here_is_said),
	        cmocka_unit_test(a_wrong_accept_is_no_upgrade),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
