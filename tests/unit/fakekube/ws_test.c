/* Frames and handshake texts of model_ws, and a watch over a WebSocket as kube-apiserver serves it
 * (recorded of 1.37.2). */
#include "drive.h"

#include "model/model_blast.h"
#include "model/model_ws.h"

#define CMS "/api/v1/namespaces/demo/configmaps"
#define UPGRADE                                                                                    \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ORIGIN "Origin: http://x\r\n"
#define HEAD_101                                                                                   \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static int setup(void **state)
{
	struct drive *d = malloc(sizeof *d);
	drive_init(d);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	drive_fini(*state);
	free(*state);
	return 0;
}

/* --- model_ws --- */

static void base64_both_ways(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
	        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\x01\x02\x03\xff", "AQID/w=="}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct model_text t = {0}, back = {0};
		model_text_base64(&t, span_of(rows[i][0]), false);
		assert_true(span_is(model_text_as_span(&t), rows[i][1]));
		assert_true(model_ws_base64_decode(&back, span_of(rows[i][1])));
		assert_true(span_is(model_text_as_span(&back), rows[i][0]));
		model_text_fini(&t);
		model_text_fini(&back);
	}
	struct model_text t = {0};
	assert_true(
	        model_ws_base64_decode(&t, SPAN("AQID_w"))); /* the other alphabet, no padding */
	assert_memory_equal(t.p, "\x01\x02\x03\xff", 4);
	assert_false(model_ws_base64_decode(&t, SPAN("A")));
	assert_false(model_ws_base64_decode(&t, SPAN("AB*C")));
	model_text_fini(&t);
}

static void accept_of_keys_of_all_lengths(void **state)
{
	(void)state;
	char out[MODEL_WS_ACCEPT_BYTES + 1];
	model_ws_accept(SPAN("dGhlIHNhbXBsZSBub25jZQ=="), out); /* RFC 6455 1.3 */
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	/* one and two blocks of SHA-1 behind the last whole one */
	model_ws_accept(SPAN("x"), out);
	assert_string_equal(out, "JVxkmtKFjDcI/Pm/AGPEKSN6wT8=");
	model_ws_accept(SPAN("0123456789012345678901234567890123456789"), out);
	assert_string_equal(out, "XmAFJRIepQoKOqPFOfF5mREBo98=");
}

/* Every length form, masked and not, fed byte by byte. */
static void frames_come_back(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536};
	static const uint8_t mask[4] = {1, 2, 3, 250};
	for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
		size_t n = sizes[i / 2];
		char *p = malloc(n + 1);
		memset(p, 'a', n);
		struct model_text t = {0};
		struct model_ws_in in = {.masked = i & 1, .limit = 65536};
		model_ws_put(&t, MODEL_WS_TEXT, (struct span){p, n}, i & 1 ? mask : NULL);
		enum model_ws_opcode opcode;
		struct span payload;
		for (size_t at = 0; at < t.n; at++) {
			assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MORE);
			model_ws_in_feed(&in, (struct span){t.p + at, 1});
		}
		assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MESSAGE);
		assert_int_equal(opcode, MODEL_WS_TEXT);
		assert_int_equal(payload.n, n);
		assert_memory_equal(payload.p, p, n);
		assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MORE);
		model_ws_in_fini(&in);
		model_text_fini(&t);
		free(p);
	}
}

static void fragments_with_a_ping_between(void **state)
{
	(void)state;
	struct model_ws_in in = {.limit = 100};
	model_ws_in_feed(&in, SPAN("\x01\x02"
	                           "ab"
	                           "\x89\x01"
	                           "p"
	                           "\x00\x01"
	                           "c"
	                           "\x80\x01"
	                           "d"));
	enum model_ws_opcode opcode;
	struct span payload;
	assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MESSAGE);
	assert_int_equal(opcode, MODEL_WS_PING);
	assert_true(span_is(payload, "p"));
	assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MESSAGE);
	assert_int_equal(opcode, MODEL_WS_TEXT);
	assert_true(span_is(payload, "abcd"));
	model_ws_in_fini(&in);
}

static void broken_frames(void **state)
{
	(void)state;
	static const struct span rows[] = {SPAN("\x81\x81"
	                                        "1234a"), /* masked where it must not */
	        SPAN("\xc1\x01"
	             "a"), /* a reserved bit */
	        SPAN("\x83\x01"
	             "a"), /* an unknown opcode */
	        SPAN("\x80\x01"
	             "a"), /* a continuation of nothing */
	        SPAN("\x01\x01"
	             "a\x81\x01"
	             "b"),                /* a new message inside another */
	        SPAN("\x09\x00"),         /* a control frame in parts */
	        SPAN("\x89\x7e\x00\x7e"), /* a long control frame */
	        SPAN("\x81\x7e\x01\x00"), /* over the limit */
	        SPAN("\x8b\x00"),
	        SPAN("\x01\x02"
	             "ab"
	             "\x80\x7e\x00\xfe")}; /* over it in parts */
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct model_ws_in in = {.limit = 255};
		enum model_ws_opcode opcode;
		struct span payload;
		model_ws_in_feed(&in, rows[i]);
		enum model_ws_got got = model_ws_next(&in, &opcode, &payload);
		if (got != MODEL_WS_BROKEN)
			fail_msg("row %zu: %d", i, got);
		model_ws_in_fini(&in);
	}
}

/* --- the watch --- */

/* Everything after the head, as messages. */
struct messages {
	struct model_ws_in in;
	enum model_ws_opcode opcode;
	struct span payload;
};

static void open_messages(struct messages *m, const struct drive *d)
{
	*m = (struct messages){.in.limit = 1u << 20};
	const char *body = drive_body(d);
	model_ws_in_feed(&m->in, (struct span){body, d->got.n - (size_t)(body - d->got.p)});
}

static void expect_text(struct messages *m, const char *starts)
{
	assert_int_equal(model_ws_next(&m->in, &m->opcode, &m->payload), MODEL_WS_MESSAGE);
	assert_int_equal(m->opcode, MODEL_WS_TEXT);
	if (!span_starts(m->payload, span_of(starts)))
		fail_msg("%.*s", SPAN_ARG(m->payload));
	assert_int_equal(m->payload.p[m->payload.n - 1], '\n'); /* the newline is inside */
}

/* Nothing but a close 1000 follows, and then the end of the connection. */
static void expect_end(struct messages *m, const struct drive *d)
{
	assert_int_equal(model_ws_next(&m->in, &m->opcode, &m->payload), MODEL_WS_MESSAGE);
	assert_int_equal(m->opcode, MODEL_WS_CLOSE);
	assert_true(span_is(m->payload, "\x03\xe8"));
	assert_int_equal(model_ws_next(&m->in, &m->opcode, &m->payload), MODEL_WS_MORE);
	assert_int_equal(m->in.at, m->in.bytes.n);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_FIN);
	model_ws_in_fini(&m->in);
}

static void the_recorded_watch(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "demo", "cm1");
	drive_get(d, CMS "?watch=1&timeoutSeconds=2",
	        UPGRADE ORIGIN "Sec-WebSocket-Protocol: base64.binary.k8s.io\r\n");
	assert_starts(d->got.p, HEAD_101 "Sec-WebSocket-Protocol: base64.binary.k8s.io\r\n\r\n"
	                                 "\x81\x7e");
	make_configmap(d, "demo", "cm2");
	drive_wait(d, 2 * SECOND_NS - 1);
	assert_int_equal(model_conn_closed(d->conn), MODEL_OPEN);
	drive_wait(d, 1);
	struct messages m;
	open_messages(&m, d);
	expect_text(&m, "{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",");
	expect_text(&m, "{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",");
	expect_end(&m, d);
}

static void sub_protocols(void **state)
{
	struct drive *d = *state;
	assert_starts(drive_fresh(d, CMS "?watch=1", UPGRADE ORIGIN), HEAD_101 "\r\n");
	assert_starts(drive_fresh(d, CMS "?watch=1",
	                      UPGRADE ORIGIN "Sec-WebSocket-Protocol: nonsense\r\n"),
	        HEAD_101 "Sec-WebSocket-Protocol: nonsense\r\n\r\n");
	static const char *const two[] = {"Sec-WebSocket-Protocol: a, b\r\n",
	        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"};
	for (size_t i = 0; i < 2; i++) {
		char fields[512];
		snprintf(fields, sizeof fields, "%s%s", UPGRADE ORIGIN, two[i]);
		assert_string_equal(
		        drive_fresh(d, CMS "?watch=1", fields), "HTTP/1.1 400 Bad Request\r\n\r\n");
		assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_FIN);
	}
}

static void without_origin(void **state)
{
	struct drive *d = *state;
	assert_string_equal(
	        drive_get(d, CMS "?watch=1", UPGRADE), "HTTP/1.1 403 Forbidden\r\n\r\n");
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_FIN);
	/* and with one that is no URI: tried on kube-apiserver 1.37.2 */
	static const struct {
		const char *origin;
		bool taken;
	} rows[] = {{"", false}, {"x", false}, {"null", false}, {"/x", true}, {"http://x", true},
	        {"a:b", true}, {"kuberingd", false}, {"127.0.0.1:80", false}, {"http://a b", false},
	        {"*", true}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char fields[512];
		snprintf(fields, sizeof fields, UPGRADE "Origin: %s\r\n", rows[i].origin);
		assert_starts(drive_fresh(d, CMS "?watch=1", fields),
		        rows[i].taken ? HEAD_101 "\r\n" : "HTTP/1.1 403 Forbidden\r\n\r\n");
	}
}

static void a_token_among_the_protocols(void **state)
{
	struct drive *d = *state;
	model_server_add_token(&d->server, "sesame", "alice");
	assert_starts(drive_get(d, CMS "?watch=1",
	                      UPGRADE ORIGIN "Sec-WebSocket-Protocol: v1, "
	                                     "base64url.bearer.authorization.k8s.io.c2VzYW1l\r\n"),
	        HEAD_101 "Sec-WebSocket-Protocol: v1\r\n\r\n");
	static const char *const refused[] = {
	        "base64url.bearer.authorization.k8s.io.c2VzYW1l",     /* alone */
	        "v1, base64url.bearer.authorization.k8s.io.c2VzYW",   /* another token */
	        "v1, base64url.bearer.authorization.k8s.io.c2VzYW1*", /* none */
	        "v1, base64url.bearer.authorization.k8s.io."};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char fields[512];
		snprintf(fields, sizeof fields, "%sSec-WebSocket-Protocol: %s\r\n", UPGRADE ORIGIN,
		        refused[i]);
		drive_fresh(d, CMS "?watch=1", fields);
		assert_starts(d->got.p, "HTTP/1.1 401 Unauthorized\r\n");
		assert_contains(d->got.p, "\"reason\":\"Unauthorized\",\"code\":401}");
	}
	/* no token at all: system:anonymous may not */
	assert_starts(drive_fresh(d, CMS "?watch=1", UPGRADE ORIGIN), "HTTP/1.1 403 Forbidden\r\n");
	assert_contains(d->got.p, "\"reason\":\"Forbidden\"");
}

/* What is refused before the upgrade is an ordinary answer, and a list is one too. */
static void ordinary_answers(void **state)
{
	struct drive *d = *state;
	assert_starts(drive_get(d, "/apis/nope/v1/x?watch=1", UPGRADE ORIGIN),
	        "HTTP/1.1 404 Not Found\r\n");
	assert_starts(drive_get(d, CMS "?watch=1&labelSelector=(", UPGRADE ORIGIN),
	        "HTTP/1.1 400 Bad Request\r\nAudit-Id");
	assert_starts(drive_get(d, CMS "?watch=1&resourceVersion=abc", UPGRADE ORIGIN),
	        "HTTP/1.1 500 Internal Server Error\r\n");
	assert_starts(drive_get(d, CMS, UPGRADE ORIGIN), "HTTP/1.1 200 OK\r\n");
	assert_contains(d->got.p, "\"kind\":\"ConfigMapList\"");
	/* Connection: Upgrade and Upgrade: websocket both */
	assert_starts(drive_get(d, CMS "?watch=1", "Upgrade: websocket\r\n" ORIGIN),
	        "HTTP/1.1 200 OK\r\n");
}

static void gone_is_a_text_frame(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "demo", "a");
	make_configmap(d, "demo", "b");
	model_cluster_compact(d->cluster, 202);
	drive_get(d, CMS "?watch=1&resourceVersion=1", UPGRADE ORIGIN);
	struct messages m;
	open_messages(&m, d);
	expect_text(&m, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
	                "\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource "
	                "version: 1 (202)\",\"reason\":\"Expired\",\"code\":410}}\n");
	expect_end(&m, d);
}

static void feed(struct drive *d, struct span s)
{
	d->got.n = 0;
	model_conn_feed(d->conn, s, d->now_ns);
	drive_take(d);
}

/* The rendered chunks of a blast are not for it. */
static void a_blast_comes_in_frames(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "demo", "a");
	drive_get(d, "/api/v1/configmaps?watch=1&resourceVersion=201", UPGRADE ORIGIN);
	struct model_blast_result r;
	assert_true(model_blast(d->cluster, kind_of("", "configmaps"), 3, 0, 0, &r));
	drive_take(d);
	struct messages m;
	open_messages(&m, d);
	for (int i = 0; i < 3; i++)
		expect_text(&m, "{\"type\":\"MODIFIED\",");
	assert_int_equal(model_ws_next(&m.in, &m.opcode, &m.payload), MODEL_WS_MORE);
	assert_int_equal(m.in.at, m.in.bytes.n);
	model_ws_in_fini(&m.in);
}

static void what_the_client_sends(void **state)
{
	struct drive *d = *state;
	drive_get(d, CMS "?watch=1", UPGRADE ORIGIN);
	feed(d, SPAN("\x89\x83\0\0\0\0abc"));
	assert_int_equal(d->got.n, 5);
	assert_memory_equal(d->got.p,
	        "\x8a\x03"
	        "abc",
	        5);
	feed(d, SPAN("\x82\x80\0\0\0\0"
	             "\x81\x81\0\0\0\0x"
	             "\x8a\x80\0\0\0\0"));
	assert_int_equal(d->got.n, 0);
	make_configmap(d, "demo", "x");
	drive_take(d);
	assert_contains(d->got.p + 4, "{\"type\":\"ADDED\",");
	feed(d, SPAN("\x88\x82\1\2\3\4\x02\xef")); /* 1005 */
	assert_int_equal(d->got.n, 4);
	assert_memory_equal(d->got.p, "\x88\x02\x03\xe8", 4);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_FIN);
	assert_int_equal(d->server.watches, 0);
	/* without a mask: 1002 first */
	drive_fresh(d, CMS "?watch=1", UPGRADE ORIGIN);
	feed(d, SPAN("\x81\x01x"));
	assert_memory_equal(d->got.p, "\x88\x02\x03\xea", 4);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_FIN);
}

/* Frames that come with the request are read as soon as there is a stream. */
static void frames_before_the_answer(void **state)
{
	struct drive *d = *state;
	drive_connect(d);
	static const char request[] =
	        "GET " CMS
	        "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion="
	        "300&allowWatchBookmarks=true HTTP/1.1\r\nHost: x\r\n" UPGRADE ORIGIN
	        "\r\n\x89\x80\0\0\0\0";
	feed(d, (struct span){request, sizeof request - 1});
	assert_int_equal(d->got.n, 0);
	model_cluster_skip(d->cluster, 200);
	drive_wait(d, 3 * SECOND_NS);
	assert_starts(d->got.p, HEAD_101 "\r\n");
	assert_non_null(memmem(d->got.p, d->got.n, "\x8a", 2)); /* and its length 0 */
	assert_non_null(memmem(d->got.p, d->got.n, "initial-events-end", 18));
}

static void faults_of_the_transport(void **state)
{
	struct drive *d = *state;
	static const char *const rules[] = {"cut-rst byte=150 verb=watch", "cut-fin byte=150",
	        "half-open byte=150", "split bytes=7", "stall byte=150 ms=1000",
	        "event-half-line event=1", "watch-close-at-once"};
	static const enum model_closed closed[] = {MODEL_CLOSED_RST, MODEL_CLOSED_CUT, MODEL_OPEN,
	        MODEL_OPEN, MODEL_OPEN, MODEL_CLOSED_FIN, MODEL_CLOSED_FIN};
	make_configmap(d, "demo", "a");
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		struct model_fault rule;
		struct model_text error = {0};
		assert_true(model_fault_parse(span_of(rules[i]), &rule, &error));
		model_fault_add(&d->server.faults, &rule);
		drive_fresh(d, CMS "?watch=1", UPGRADE ORIGIN);
		model_fault_clear(&d->server.faults);
		assert_starts(d->got.p, HEAD_101 "\r\n");
		assert_int_equal(model_conn_closed(d->conn), closed[i]);
		if (i < 3 || i == 4)
			assert_int_equal(d->got.n, 150);
		drive_wait(d, SECOND_NS);
		struct messages m;
		open_messages(&m, d);
		if (i == 3 || i == 4)
			expect_text(&m, "{\"type\":\"ADDED\",");
		if (i == 5) { /* half of the event is a whole frame */
			assert_int_equal(
			        model_ws_next(&m.in, &m.opcode, &m.payload), MODEL_WS_MESSAGE);
			assert_true(span_starts(m.payload, SPAN("{\"type\":\"ADDED\",")));
			assert_int_not_equal(m.payload.p[m.payload.n - 1], '\n');
		}
		if (closed[i] == MODEL_CLOSED_FIN)
			expect_end(&m, d);
		model_ws_in_fini(&m.in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(base64_both_ways),
	        cmocka_unit_test(accept_of_keys_of_all_lengths),
	        cmocka_unit_test(frames_come_back),
	        cmocka_unit_test(fragments_with_a_ping_between),
	        cmocka_unit_test(broken_frames),
	        cmocka_unit_test_setup_teardown(the_recorded_watch, setup, teardown),
	        cmocka_unit_test_setup_teardown(sub_protocols, setup, teardown),
	        cmocka_unit_test_setup_teardown(without_origin, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_token_among_the_protocols, setup, teardown),
	        cmocka_unit_test_setup_teardown(ordinary_answers, setup, teardown),
	        cmocka_unit_test_setup_teardown(gone_is_a_text_frame, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_blast_comes_in_frames, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_the_client_sends, setup, teardown),
	        cmocka_unit_test_setup_teardown(frames_before_the_answer, setup, teardown),
	        cmocka_unit_test_setup_teardown(faults_of_the_transport, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
