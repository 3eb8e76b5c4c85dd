/* The multiplexer of the backend's model, held to recorded traffic of Headlamp 0.45.0 (the texts
 * below) and to its known defects (BM-n of tests/headlamp.md). */
#include "backend_drive.h"

#define PATH "/api/v1/namespaces/demo/configmaps"
#define STATUS(cluster, path, state, error)                                                        \
	"{\"clusterId\":\"" cluster "\",\"path\":\"" path                                          \
	"\",\"query\":\"\",\"userId\":\"\",\"data\":\"{\\\"state\\\":\\\"" state                   \
	"\\\",\\\"error\\\":\\\"" error "\\\"}\",\"type\":\"STATUS\"}"
#define FRAME(cluster, path, query, rest)                                                          \
	"{\"clusterId\":\"" cluster "\",\"path\":\"" path "\",\"query\":\"" query                  \
	"\",\"userId\":\"u1\"," rest "}"

static int setup(void **state)
{
	struct bench *b = malloc(sizeof *b);
	bench_init(b, &(struct model_backend_options){0});
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_fini(*state);
	free(*state);
	return 0;
}

/* --- appendix A --- */

static void say(struct bench *b, enum model_ws_opcode opcode, struct span payload)
{
	model_ws_put(&b->script.say, opcode, payload, NULL);
	model_link_wake(&b->script.open->link);
}

/* The upstream has seen one empty binary frame since the last call, and nothing else. */
static void expect_one_empty_frame(struct bench *b)
{
	struct model_ws_in in = {.masked = true, .limit = 100};
	enum model_ws_opcode opcode;
	struct span payload;
	bench_take(b);
	model_ws_in_feed(&in, model_text_as_span(&b->script.seen));
	assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MESSAGE);
	assert_int_equal(opcode, MODEL_WS_BINARY);
	assert_int_equal(payload.n, 0);
	assert_int_equal(in.at, in.bytes.n);
	model_ws_in_fini(&in);
	b->script.seen.n = 0;
}

/* The upstream answers the upgrade it has seen. */
static void answer_upgrade(struct bench *b)
{
	struct script *s = &b->script;
	TEXT_LIT(&s->seen, "\0");
	const char *key = strstr(s->seen.p, "Sec-WebSocket-Key: ");
	assert_non_null(key);
	key += strlen("Sec-WebSocket-Key: ");
	char accept[MODEL_WS_ACCEPT_BYTES + 1];
	model_ws_accept((struct span){key, strcspn(key, "\r")}, accept);
	model_text_printf(&s->say,
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
	        "Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
	        accept);
	s->seen.n = 0;
	script_said(b);
}

static void open_c1(struct bench *b, size_t client)
{
	bench_message(
	        b, client, "c1", "/api/v1/pods", "watch=1&resourceVersion=5", "u1", "REQUEST");
	answer_upgrade(b);
	expect_line(b, client, STATUS("c1", "/api/v1/pods", "connected", ""));
}

#define C1(rest) FRAME("c1", "/api/v1/pods", "watch=1\\u0026resourceVersion=5", rest)

static void the_recorded_sequence(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "c1", "/api/v1/pods", "watch=1&resourceVersion=5", "u1", "REQUEST");
	TEXT_LIT(&b->script.seen, "\0");
	assert_starts(b->script.seen.p, "GET /api/v1/pods?watch=1&resourceVersion=5 HTTP/1.1\r\n");
	assert_contains(b->script.seen.p, "\r\nOrigin: http://127.0.0.1:8001\r\n");
	assert_contains(b->script.seen.p, "\r\nUpgrade: websocket\r\n");
	assert_lacks(b->script.seen.p, "Sec-WebSocket-Protocol");
	assert_lacks(b->script.seen.p, "Sec-WebSocket-Extensions");
	assert_lacks(b->script.seen.p, "Authorization");
	answer_upgrade(b);
	expect_line(b, 0, STATUS("c1", "/api/v1/pods", "connected", ""));
	expect_one_empty_frame(b);
	say(b, MODEL_WS_TEXT,
	        SPAN("{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a<"
	             "b>&"
	             "c\",\"uid\":\"1\",\"resourceVersion\":\"6\"}}}\n"));
	say(b, MODEL_WS_TEXT,
	        SPAN("{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":"
	             "\"x\",\"uid\":\"1\",\"resourceVersion\":\"6\"}}}\n"));
	say(b, MODEL_WS_TEXT,
	        SPAN("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
	             "\"resourceVersion\":\"9\"}}}\n"));
	say(b, MODEL_WS_TEXT,
	        SPAN("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
	             "\"metadata\":{},\"status\":\"Failure\",\"reason\":\"Expired\",\"code\":410}}"
	             "\n"));
	say(b, MODEL_WS_TEXT, SPAN("not json"));
	say(b, MODEL_WS_BINARY, SPAN("\x01\x02\x03\xff"));
	expect_line(b, 0, C1("\"type\":\"COMPLETE\""));
	expect_line(b, 0,
	        C1("\"data\":\"{\\\"type\\\":\\\"ADDED\\\",\\\"object\\\":{\\\"kind\\\":"
	           "\\\"Pod\\\","
	           "\\\"metadata\\\":{\\\"name\\\":\\\"a\\u003cb\\u003e\\u0026c\\\",\\\"uid\\\":"
	           "\\\"1\\\",\\\"resourceVersion\\\":\\\"6\\\"}}}\\n\",\"type\":\"DATA\""));
	expect_line(b, 0,
	        C1("\"data\":\"{\\\"type\\\":\\\"MODIFIED\\\",\\\"object\\\":{\\\"kind\\\":"
	           "\\\"Pod\\\","
	           "\\\"metadata\\\":{\\\"name\\\":\\\"x\\\",\\\"uid\\\":\\\"1\\\","
	           "\\\"resourceVersion\\\":\\\"6\\\"}}}\\n\",\"type\":\"DATA\""));
	expect_line(b, 0, C1("\"type\":\"COMPLETE\""));
	expect_line(b, 0,
	        C1("\"data\":\"{\\\"type\\\":\\\"BOOKMARK\\\",\\\"object\\\":{\\\"kind\\\":"
	           "\\\"Pod\\\","
	           "\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"9\\\"}}}\\n\",\"type\":"
	           "\"DATA\""));
	expect_line(b, 0,
	        C1("\"data\":\"{\\\"type\\\":\\\"ERROR\\\",\\\"object\\\":{\\\"kind\\\":"
	           "\\\"Status\\\","
	           "\\\"apiVersion\\\":\\\"v1\\\",\\\"metadata\\\":{},\\\"status\\\":"
	           "\\\"Failure\\\","
	           "\\\"reason\\\":\\\"Expired\\\",\\\"code\\\":410}}\\n\",\"type\":\"DATA\""));
	expect_line(b, 0, C1("\"data\":\"not json\",\"type\":\"DATA\""));
	expect_line(b, 0, C1("\"data\":\"AQID/w==\",\"binary\":true,\"type\":\"DATA\""));
	expect_nothing(b, 0);
	/* a second identical REQUEST */
	bench_message(b, 0, "c1", "/api/v1/pods", "watch=1&resourceVersion=5", "u1", "REQUEST");
	expect_one_empty_frame(b);
	expect_nothing(b, 0);
	/* the API server closes */
	say(b, MODEL_WS_CLOSE, SPAN("\x03\xe8"));
	expect_line(b, 0, STATUS("c1", "/api/v1/pods", "closed", ""));
	expect_nothing(b, 0);
	/* and again, until CLOSE */
	open_c1(b, 0);
	assert_int_equal(b->script.opened, 2);
	bench_message(b, 0, "c1", "/api/v1/pods", "anything", "u1", "CLOSE");
	expect_line(b, 0, STATUS("c1", "/api/v1/pods", "closed", ""));
	assert_int_equal(b->script.freed, 2);
}

/* The first frame's first byte, and how many bytes of payload; *at moves behind it. */
static uint8_t take_frame(const struct model_text *t, size_t *at, size_t *size)
{
	const uint8_t *p = (const uint8_t *)t->p + *at;
	size_t head = p[1] == 126 ? 4 : 2;
	assert_true(*at + head <= t->n && p[1] <= 126);
	*size = head == 4 ? (size_t)p[2] << 8 | p[3] : p[1];
	*at += head + *size;
	assert_true(*at <= t->n);
	return p[0];
}

/* As the library of the real one cuts them: its buffer holds 4096 bytes, and what is more than two
 * of them with their heads does not go through it. */
static void long_messages_are_cut(void **state)
{
	struct bench *b = *state;
	static const struct {
		size_t message, count, sizes[3];
	} rows[] = {{4096, 1, {4096}}, {4097, 2, {4096, 1}}, {8192, 2, {4096, 4096}},
	        {8220, 3, {4096, 4096, 28}}, {8221, 2, {8221, 0}}, {60000, 2, {60000, 0}}};
	static char text[65536];
	const char *empty = C1("\"data\":\"\",\"type\":\"DATA\"");
	bench_mux(b, 0, NULL);
	open_c1(b, 0);
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct model_text *got = &b->clients[0].got;
		size_t at = 0, size, n = rows[i].message - strlen(empty) - 1;
		say(b, MODEL_WS_TEXT, (struct span){text, n});
		bench_take(b);
		for (size_t k = 0; k < rows[i].count; k++) {
			uint8_t first = take_frame(got, &at, &size);
			assert_int_equal(first & 0x80, k + 1 == rows[i].count ? 0x80 : 0);
			assert_int_equal(first & 15, k ? MODEL_WS_CONTINUATION : MODEL_WS_TEXT);
			assert_int_equal(size, rows[i].sizes[k]);
		}
		assert_int_equal(at, got->n);
		enum model_ws_opcode opcode;
		assert_int_equal(strlen(bench_next(b, 0, &opcode)), rows[i].message);
		assert_int_equal(opcode, MODEL_WS_TEXT);
	}
}

static void what_is_no_utf8(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	open_c1(b, 0);
	say(b, MODEL_WS_TEXT, SPAN("\xff \xe2\x80\xa8\xe2\x80\xa9 \xc3\xa9 \x7f \b\f\x01"));
	expect_line(b, 0,
	        C1("\"data\":\"\\ufffd \\u2028\\u2029 \xc3\xa9 \x7f "
	           "\\b\\f\\u0001\",\"type\":\"DATA\""));
}

/* The version is looked for at the top, then in the object; half a document has none. */
static void versions(void **state)
{
	struct bench *b = *state;
	static const struct {
		const char *text;
		bool complete;
	} rows[] = {{"{\"metadata\":{\"resourceVersion\":\"1\"},\"object\":{\"metadata\":{"
	             "\"resourceVersion\":\"2\"}}}",
	                    true},
	        {"{\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}", false},
	        {"{\"object\":{\"metadata\":{\"resourceVersion\":\"2\"}}", false},
	        {"{\"object\":{\"spec\":{\"resourceVersion\":\"3\"},\"metadata\":{\"x\":[1,-2.5e+3,"
	         "{}],\"resourceVersion\":\"2\"}}}",
	                true},
	        {"{\"object\":{\"metadata\":{\"resourceVersion\":\"2\"}}}", false},
	        {"{\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}", false},
	        {"{\"object\":{\"metadata\":{\"resourceVersion\":7}}}", false},
	        {"[{\"metadata\":{\"resourceVersion\":\"8\"}}]", false},
	        {"{\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}} x", false}};
	bench_mux(b, 0, NULL);
	open_c1(b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum model_ws_opcode opcode;
		say(b, MODEL_WS_TEXT, span_of(rows[i].text));
		const char *line = bench_next(b, 0, &opcode);
		if (rows[i].complete) {
			assert_contains(line, "\"type\":\"COMPLETE\"}");
			line = bench_next(b, 0, &opcode);
		}
		if (!strstr(line, "\"type\":\"DATA\"}"))
			fail_msg("row %zu: %s", i, line);
	}
	expect_nothing(b, 0);
}

static void the_upstream_is_answered(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	open_c1(b, 0);
	expect_one_empty_frame(b);
	say(b, MODEL_WS_PING, SPAN("abc"));
	bench_take(b);
	struct model_ws_in in = {.masked = true, .limit = 100};
	enum model_ws_opcode opcode;
	struct span payload;
	model_ws_in_feed(&in, model_text_as_span(&b->script.seen));
	assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MESSAGE);
	assert_int_equal(opcode, MODEL_WS_PONG);
	assert_true(span_is(payload, "abc"));
	/* a heartbeat each 30 s */
	b->script.seen.n = 0;
	bench_wait(b, 30 * SECOND_NS - 1);
	assert_int_equal(b->script.seen.n, 0);
	bench_wait(b, 1);
	model_ws_in_feed(&in, model_text_as_span(&b->script.seen));
	assert_int_equal(model_ws_next(&in, &opcode, &payload), MODEL_WS_MESSAGE);
	assert_int_equal(opcode, MODEL_WS_PING);
	model_ws_in_fini(&in);
	expect_nothing(b, 0);
}

/* --- recorded: one watch from start to end --- */

#define ADMIN(rest) FRAME("admin", PATH, "watch=1\\u0026resourceVersion=306", rest)

static void one_watch_from_start_to_end(void **state)
{
	struct bench *b = *state;
	const struct model_kind *cms = kind_of("", "configmaps");
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	expect_nothing(b, 0);
	/* the API server's own escapes, escaped once more */
	model_create(b->cluster, cms,
	        &(struct model_spec){.namespace_ = "demo",
	                .name = "mx",
	                .members = "\"data\":{\"a\":\"\\u003cb\\u003e\\u0026c\"}"},
	        0);
	expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
	enum model_ws_opcode opcode;
	const char *line = bench_next(b, 0, &opcode);
	assert_starts(line,
	        "{\"clusterId\":\"admin\",\"path\":\"" PATH
	        "\",\"query\":\"watch=1\\u0026resourceVersion=306\",\"userId\":\"u1\",\"data\":\"{"
	        "\\\"type\\\":\\\"ADDED\\\",\\\"object\\\":{\\\"kind\\\":\\\"ConfigMap\\\","
	        "\\\"apiVersion\\\":\\\"v1\\\",\\\"metadata\\\":{\\\"name\\\":\\\"mx\\\","
	        "\\\"namespace\\\":\\\"demo\\\",");
	assert_contains(line, ",\\\"resourceVersion\\\":\\\"307\\\",");
	static const char tail[] =
	        ",\\\"data\\\":{\\\"a\\\":\\\"\\\\u003cb\\\\u003e\\\\u0026c\\\"}}}"
	        "\\n\",\"type\":\"DATA\"}\n";
	assert_string_equal(line + strlen(line) - strlen(tail), tail);
	model_patch_status(b->cluster, cms, SPAN("demo/mx"), 0);
	model_delete(b->cluster, cms, SPAN("demo/mx"), 0);
	static const char *const types[] = {"\\\"MODIFIED\\\"", "\\\"DELETED\\\""};
	for (int i = 0; i < 2; i++) {
		expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
		assert_contains(bench_next(b, 0, &opcode), types[i]);
	}
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "CLOSE");
	expect_line(b, 0, STATUS("admin", PATH, "closed", ""));
	expect_nothing(b, 0);
	assert_int_equal(b->server.watches, 0);
}

/* By timeout, and by a cut. */
static void the_upstream_ends(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&timeoutSeconds=5", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	bench_wait(b, 5 * SECOND_NS - 1);
	expect_nothing(b, 0);
	bench_wait(b, 1);
	expect_line(b, 0, STATUS("admin", PATH, "closed", ""));
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	assert_int_equal(
	        model_backend_cut(b->backend, b->cluster, kind_of("", "pods"), MODEL_CLOSED_RST),
	        0);
	assert_int_equal(model_backend_cut(b->backend, b->cluster, NULL, MODEL_CLOSED_RST), 1);
	expect_line(b, 0, STATUS("admin", PATH, "closed", ""));
	expect_nothing(b, 0);
}

static void gone(void **state)
{
	struct bench *b = *state;
	model_cluster_skip(b->cluster, 10);
	model_cluster_compact(b->cluster, 310);
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	expect_line(b, 0,
	        FRAME("admin", PATH, "watch=1\\u0026resourceVersion=1",
	                "\"data\":\"{\\\"type\\\":\\\"ERROR\\\",\\\"object\\\":{\\\"kind\\\":"
	                "\\\"Status\\\",\\\"apiVersion\\\":\\\"v1\\\",\\\"metadata\\\":{},"
	                "\\\"status\\\":\\\"Failure\\\",\\\"message\\\":\\\"too old resource "
	                "version: 1 "
	                "(310)\\\",\\\"reason\\\":\\\"Expired\\\",\\\"code\\\":410}}\\n\","
	                "\"type\":\"DATA\""));
	expect_line(b, 0, STATUS("admin", PATH, "closed", ""));
	expect_nothing(b, 0);
}

/* --- recorded: errors --- */

#define BAD_HANDSHAKE "dialing WebSocket: websocket: bad handshake"
#define REFUSED       "dialing WebSocket: dial tcp 127.0.0.1:1: connect: connection refused"
#define DEADLINE      "dialing WebSocket: context deadline exceeded"
#define ERROR(cluster, path, query, text)                                                          \
	FRAME(cluster, path, query,                                                                \
	        "\"data\":\"{\\\"error\\\":\\\"" text "\\\"}\",\"type\":\"ERROR\"")

static void errors(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "nope", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0,
	        ERROR("nope", PATH, "watch=1",
	                "getting cluster config: getting context: key not found"));
	bench_message(b, 0, "admin", "/apis/nope/v1/x", "watch=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", "/apis/nope/v1/x", "error", BAD_HANDSHAKE));
	expect_line(b, 0, ERROR("admin", "/apis/nope/v1/x", "watch=1", BAD_HANDSHAKE));
	bench_message(b, 0, "admin", PATH, "", "u1", "REQUEST"); /* a LIST */
	expect_line(b, 0, STATUS("admin", PATH, "error", BAD_HANDSHAKE));
	expect_line(b, 0, ERROR("admin", PATH, "", BAD_HANDSHAKE));
	assert_string_equal(bench_do(b, "context admin refuse"), "ok");
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "error", REFUSED));
	expect_line(b, 0, ERROR("admin", PATH, "watch=1", REFUSED));
	b->script.state = MODEL_LINK_FAILED;
	bench_message(b, 0, "c1", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("c1", PATH, "error", REFUSED));
	expect_line(b, 0, ERROR("c1", PATH, "watch=1", REFUSED));
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "WATCH");
	expect_line(b, 0, ERROR("admin", PATH, "watch=1", "unsupported message type: WATCH"));
	bench_message(b, 0, "...", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0, ERROR("...", PATH, "watch=1", "invalid cluster name"));
	expect_nothing(b, 0);
}

static void silence(void **state)
{
	struct bench *b = *state;
	static const char *const rows[] = {"not json", "", "[]", "null", "{}",
	        "{\"clusterId\":\"admin\",\"path\":\"/x\",\"userId\":\"u1\"}",
	        "{\"clusterId\":\"admin\",\"path\":\"/x\",\"userId\":\"\",\"type\":\"REQUEST\"}",
	        "{\"clusterId\":\"admin\",\"path\":7,\"userId\":\"u\",\"type\":\"REQUEST\"}",
	        "{\"clusterId\":\"nope\",\"path\":\"/x\",\"userId\":\"u\",\"type\":\"REQUEST\","
	        "\"data\":7}",
	        "{\"clusterId\":\"nope\",\"path\":\"/x\",\"userId\":\"u\",\"type\":\"REQUEST\","
	        "\"binary\":\"x\"}",
	        "{\"clusterId\":\"nope\",\"path\":\"/x\",\"userId\":\"u\",\"type\":\"REQUEST\"} x",
	        "{\"clusterId\":\"admin\",\"path\":\"/x\",\"userId\":\"u1\",\"type\":\"CLOSE\"}"};
	bench_mux(b, 0, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bench_frame(b, 0, MODEL_WS_TEXT, rows[i]);
		expect_nothing(b, 0);
	}
	/* names in any case, unknown fields, a binary frame, escapes */
	bench_frame(b, 0, MODEL_WS_BINARY,
	        "{\"CLUSTERID\":\"n\\u006fpe\",\"Path\":\"\\/x\",\"USERID\":\"u1\",\"Type\":"
	        "\"REQUEST\",\"binary\":true,\"other\":[{}],\"data\":null}");
	expect_line(b, 0,
	        ERROR("nope", "/x", "", "getting cluster config: getting context: key not found"));
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_OPEN);
}

/* --- defects --- */

/* BM-1: the query is not part of the key. */
static void a_second_query_of_a_path_gets_nothing(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	bench_message(b, 0, "admin", PATH, "watch=1&labelSelector=a%3Db", "u1", "REQUEST");
	expect_nothing(b, 0);
	assert_int_equal(b->server.watches, 1);
	bench_message(b, 0, "admin", PATH, "watch=1&labelSelector=a%3Db", "u1", "CLOSE");
	expect_line(b, 0, STATUS("admin", PATH, "closed", "")); /* of the first one */
	assert_int_equal(b->server.watches, 0);
	/* another user is another key */
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u2", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	assert_int_equal(b->server.watches, 2);
}

/* BM-2: the key belongs to who asked first. */
static void two_clients_with_one_key(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_mux(b, 1, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	bench_message(b, 1, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	model_create(b->cluster, kind_of("", "configmaps"),
	        &(struct model_spec){.namespace_ = "demo", .name = "x"}, 0);
	expect_nothing(b, 1);
	expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
	enum model_ws_opcode opcode;
	assert_contains(bench_next(b, 0, &opcode), "\"type\":\"DATA\"}");
	bench_message(b, 1, "admin", PATH, "", "u1", "CLOSE");
	expect_nothing(b, 1);
	expect_line(b, 0, STATUS("admin", PATH, "closed", ""));
	/* who leaves takes only its own watches along */
	bench_message(b, 1, "admin", PATH, "watch=1", "u2", "REQUEST");
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST");
	assert_int_equal(b->server.watches, 2);
	model_conn_free(&b->clients[0].conn);
	assert_int_equal(b->server.watches, 1);
	model_conn_feed_eof(b->clients[1].conn, b->now_ns);
	assert_int_equal(b->server.watches, 0);
}

/* Two that dial one key at once: the later one takes the key, the other lives on (BM-16). */
static void two_dials_of_one_key(void **state)
{
	struct bench *b = *state;
	bench_do(b, "context admin ok");
	bench_mux(b, 0, NULL);
	bench_mux(b, 1, NULL);
	struct model_fault rule;
	struct model_text error = {0};
	assert_true(model_fault_parse(
	        SPAN("stall byte=0 ms=1000 verb=watch nth=1 count=1"), &rule, &error));
	model_fault_add(&b->server.faults, &rule);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_nothing(b, 0);
	bench_message(b, 1, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 1, STATUS("admin", PATH, "connected", ""));
	bench_wait(b, SECOND_NS);
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	bench_message(b, 1, "admin", PATH, "", "u1", "CLOSE"); /* ends that of client 0 */
	expect_line(b, 0, STATUS("admin", PATH, "closed", ""));
	model_create(b->cluster, kind_of("", "configmaps"),
	        &(struct model_spec){.namespace_ = "demo", .name = "x"}, 0);
	expect_line(b, 1, ADMIN("\"type\":\"COMPLETE\""));
	assert_int_equal(b->server.watches, 1);
}

/* BM-5: while it dials it reads nothing, 45 s per cluster, one after another. */
static void a_dead_cluster_blocks_the_client(void **state)
{
	struct bench *b = *state;
	b->script.state = MODEL_LINK_DIALING;
	bench_mux(b, 0, NULL);
	bench_mux(b, 1, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	bench_message(b, 0, "c1", "/a", "watch=1", "u1", "REQUEST");
	bench_message(b, 0, "c1", "/b", "watch=1", "u1", "REQUEST");
	bench_frame(b, 0, MODEL_WS_PING, "p");
	bench_message(b, 0, "admin", "/apis/apps/v1/deployments", "watch=1", "u1", "REQUEST");
	/* what is open goes on, and so does the other client */
	model_create(b->cluster, kind_of("", "configmaps"),
	        &(struct model_spec){.namespace_ = "demo", .name = "x"}, 0);
	expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
	enum model_ws_opcode opcode;
	assert_contains(bench_next(b, 0, &opcode), "\"type\":\"DATA\"}");
	bench_frame(b, 1, MODEL_WS_PING, "q");
	assert_string_equal(bench_next(b, 1, &opcode), "q");
	assert_int_equal(opcode, MODEL_WS_PONG);
	bench_wait(b, 45 * SECOND_NS - 1);
	expect_nothing(b, 0);
	bench_wait(b, 1);
	expect_line(b, 0, STATUS("c1", "/a", "error", DEADLINE));
	expect_line(b, 0, ERROR("c1", "/a", "watch=1", DEADLINE));
	expect_nothing(b, 0);
	bench_wait(b, 45 * SECOND_NS - 1);
	expect_nothing(b, 0);
	bench_wait(b, 1);
	expect_line(b, 0, STATUS("c1", "/b", "error", DEADLINE));
	expect_line(b, 0, ERROR("c1", "/b", "watch=1", DEADLINE));
	assert_string_equal(bench_next(b, 0, &opcode), "p");
	assert_int_equal(opcode, MODEL_WS_PONG);
	expect_line(b, 0, STATUS("admin", "/apis/apps/v1/deployments", "connected", ""));
	expect_nothing(b, 0);
}

/* An answer that begins and does not end is no answer. */
static void the_dial_includes_the_handshake(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "c1", "/a", "watch=1", "u1", "REQUEST");
	TEXT_LIT(&b->script.say, "HTTP/1.1 101 Switching");
	script_said(b);
	bench_wait(b, 45 * SECOND_NS - 1);
	expect_nothing(b, 0);
	bench_wait(b, 1);
	expect_line(b, 0, STATUS("c1", "/a", "error", DEADLINE));
	expect_line(b, 0, ERROR("c1", "/a", "watch=1", DEADLINE));
	bench_message(b, 0, "c1", "/a", "watch=1", "u1", "REQUEST");
	b->script.state = MODEL_LINK_ENDED;
	script_said(b);
	expect_line(b, 0, STATUS("c1", "/a", "error", "dialing WebSocket: EOF"));
	expect_line(b, 0, ERROR("c1", "/a", "watch=1", "dialing WebSocket: EOF"));
	/* 101 with another key's answer */
	b->script.state = MODEL_LINK_OPEN;
	bench_message(b, 0, "c1", "/a", "watch=1", "u1", "REQUEST");
	TEXT_LIT(&b->script.say,
	        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n");
	script_said(b);
	expect_line(b, 0, STATUS("c1", "/a", "error", BAD_HANDSHAKE));
	expect_line(b, 0, ERROR("c1", "/a", "watch=1", BAD_HANDSHAKE));
}

/* BM-10, BM-11: only the cookie and the client certificate count. */
static void credentials(void **state)
{
	struct bench *b = *state;
	model_server_add_token(&b->server, "T", "alice");
	assert_true(model_backend_add_cluster(b->backend, b->cluster,
	        &(struct model_context_options){.name = "token/a b", .token = "T"}));
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST"); /* a certificate */
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	bench_message(b, 0, "token--a__b", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("token--a__b", PATH, "error", BAD_HANDSHAKE));
	bench_mux(b, 1, "Authorization: Bearer T\r\n");
	bench_message(b, 1, "token--a__b", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 1, STATUS("token--a__b", PATH, "error", BAD_HANDSHAKE));
	bench_mux(b, 1, "Cookie: a=b; headlamp-auth-token--a__b.0=T\r\n");
	bench_message(b, 1, "token--a__b", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 1, STATUS("token--a__b", PATH, "connected", ""));
}

/* --- the client's socket --- */

static void the_upgrade(void **state)
{
	struct bench *b = *state;
	static const char head[] =
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
	        "Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
	char expected[512];
	snprintf(expected, sizeof expected, "%s\r\n", head);
	assert_string_equal(bench_fresh(b, 0, "/wsMultiplexer", UPGRADE), expected);
	assert_string_equal(
	        bench_fresh(b, 0, "/wsMultiplexer", UPGRADE "Sec-WebSocket-Protocol: nonsense\r\n"),
	        expected);
	snprintf(expected, sizeof expected,
	        "%sSec-WebSocket-Protocol: headlamp.multiplexer.k8s.io\r\n\r\n", head);
	assert_string_equal(bench_fresh(b, 0, "/wsMultiplexer",
	                            UPGRADE "Sec-WebSocket-Protocol: a, "
	                                    "headlamp.multiplexer.k8s.io\r\n"),
	        expected);
	assert_starts(bench_fresh(b, 0, "/wsMultiplexer", NULL), "HTTP/1.1 400 Bad Request\r\n");
	assert_contains(b->clients[0].got.p, "\r\n\r\nBad Request\n");
	assert_starts(bench_get(b, 0, "/wsMultiplexer/", UPGRADE), "HTTP/1.1 404 ");
}

static void pings_and_the_end(void **state)
{
	struct bench *b = *state;
	enum model_ws_opcode opcode;
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	bench_frame(b, 0, MODEL_WS_PING, "hello");
	assert_string_equal(bench_next(b, 0, &opcode), "hello");
	assert_int_equal(opcode, MODEL_WS_PONG);
	bench_frame(b, 0, MODEL_WS_CLOSE,
	        "\x03\xe8"
	        "bye");
	assert_string_equal(bench_next(b, 0, &opcode), "\x03\xe8");
	assert_int_equal(opcode, MODEL_WS_CLOSE);
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_CLOSED_CUT);
	assert_int_equal(b->server.watches, 0);
	/* a frame without a mask */
	bench_mux(b, 0, NULL);
	bench_send(b, 0, SPAN("\x81\x01x"));
	assert_string_equal(bench_next(b, 0, &opcode), "\x03\xea");
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_CLOSED_CUT);
}

/* --- switches --- */

static void refused_and_silent(void **state)
{
	struct bench *b = *state;
	assert_string_equal(bench_do(b, "mux refuse"), "ok");
	assert_starts(bench_fresh(b, 0, "/wsMultiplexer", UPGRADE), "HTTP/1.1 404 Not Found\r\n");
	assert_string_equal(bench_do(b, "mux silent"), "ok");
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&timeoutSeconds=5", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	make_configmap(&(struct drive){.cluster = b->cluster}, "demo", "x");
	bench_wait(b, 10 * SECOND_NS); /* neither event nor end */
	expect_nothing(b, 0);
	enum model_ws_opcode opcode;
	bench_frame(b, 0, MODEL_WS_PING, "p");
	assert_string_equal(bench_next(b, 0, &opcode), "p");
	assert_string_equal(bench_do(b, "mux ok"), "ok");
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
}

static void a_cluster_hangs_for_a_while(void **state)
{
	struct bench *b = *state;
	assert_string_equal(bench_do(b, "context admin hang 200"), "ok");
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST");
	bench_message(b, 0, "c1", "/a", "watch=1", "u1", "REQUEST");
	bench_wait(b, SECOND_NS / 5 - 1);
	expect_nothing(b, 0);
	assert_int_equal(b->script.opened, 0);
	bench_wait(b, 1);
	expect_line(b, 0, STATUS("admin", PATH, "error", DEADLINE));
	expect_line(b, 0, ERROR("admin", PATH, "watch=1", DEADLINE));
	assert_int_equal(b->script.opened, 1);
	assert_string_equal(bench_do(b, "context admin hang"), "ok"); /* 45 s */
	bench_mux(b, 1, NULL);
	bench_message(b, 1, "admin", PATH, "watch=1", "u1", "REQUEST");
	bench_wait(b, 45 * SECOND_NS - 1);
	expect_nothing(b, 1);
	bench_wait(b, 1);
	expect_line(b, 1, STATUS("admin", PATH, "error", DEADLINE));
}

static void a_context_becomes_invalid(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	assert_string_equal(bench_do(b, "context admin invalid"), "ok");
	bench_message(b, 0, "admin", "/api/v1/pods", "watch=1", "u1", "REQUEST");
	expect_line(b, 0,
	        ERROR("admin", "/api/v1/pods", "watch=1",
	                "getting cluster config: getting context: key not found"));
	assert_starts(
	        bench_get(b, 1, "/clusters/admin/api/v1/pods", NULL), "HTTP/1.1 404 Not Found\r\n");
	assert_contains(b->clients[1].got.p, "\r\n\r\nkey not found\n");
	assert_lacks(bench_get(b, 1, "/config", NULL), "admin");
	/* what is open goes on (BM-18) */
	make_configmap(&(struct drive){.cluster = b->cluster}, "demo", "x");
	expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
}

static void a_restart(void **state)
{
	struct bench *b = *state;
	bench_mux(b, 0, NULL);
	bench_mux(b, 1, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	assert_string_equal(bench_do(b, "restart 1500"), "ok");
	for (size_t i = 0; i < 2; i++) {
		expect_nothing(b, i);
		assert_int_equal(model_conn_closed(b->clients[i].conn), MODEL_CLOSED_RST);
	}
	assert_int_equal(b->server.watches, 0);
	assert_false(model_backend_listens(b->backend, b->now_ns + 1500000000 - 1));
	assert_true(model_backend_listens(b->backend, b->now_ns + 1500000000));
	assert_int_equal(model_backend_down_until_ns(b->backend), b->now_ns + 1500000000);
	/* the key is free: another client may own it now */
	bench_wait(b, 1500000000);
	bench_mux(b, 1, NULL);
	bench_message(b, 1, "admin", PATH, "watch=1", "u1", "REQUEST");
	expect_line(b, 1, STATUS("admin", PATH, "connected", ""));
	assert_contains(bench_do(b, "status"), "ok mux=ok connections=2 watches=1 restarts=1 "
	                                       "dialing=0 context:admin=ok context:c1=ok");
}

static void data_is_cut_in_its_middle(void **state)
{
	struct bench *b = *state;
	struct drive d = {.cluster = b->cluster};
	bench_mux(b, 0, NULL);
	bench_message(b, 0, "admin", PATH, "watch=1&resourceVersion=306", "u1", "REQUEST");
	expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
	assert_string_equal(bench_do(b, "drop-data 2"), "ok");
	make_configmap(&d, "demo", "x");
	make_configmap(&d, "demo", "y");
	enum model_ws_opcode opcode;
	expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
	assert_contains(bench_next(b, 0, &opcode), "\"type\":\"DATA\"}");
	expect_line(b, 0, ADMIN("\"type\":\"COMPLETE\""));
	assert_null(bench_next(b, 0, &opcode));
	struct client *c = &b->clients[0];
	assert_true(c->in.bytes.n - c->in.at > 100); /* a part of a frame is there */
	assert_int_equal(model_conn_closed(c->conn), MODEL_CLOSED_CUT);
	assert_int_equal(b->server.watches, 0);
}

/* Each kind of command is drawn, and taken. */
static void drawn_commands(void **state)
{
	struct bench *b = *state;
	static const char *const kinds[] = {"mux refuse", "mux silent", "drop-data ", "restart ",
	        "context admin hang ", "context admin hang", "context c1 refuse",
	        "context c1 invalid"};
	bool seen[sizeof kinds / sizeof *kinds] = {0};
	struct prng r = {1};
	for (int i = 0; i < 1000; i++) {
		struct model_text t = {0};
		model_backend_draw(b->backend, &r, &t);
		TEXT_LIT(&t, "\0");
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			seen[k] |= strncmp(t.p, kinds[k], strlen(kinds[k])) == 0;
		assert_string_equal(bench_do(b, t.p), "ok");
		model_text_fini(&t);
	}
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
		if (!seen[k])
			fail_msg("never drawn: %s", kinds[k]);
	bench_do(b, "mux silent");
	bench_do(b, "context admin invalid");
	assert_string_equal(bench_do(b, "clear"), "ok");
	assert_contains(bench_do(b, "status"), "mux=ok ");
	assert_contains(bench_do(b, "status"), " context:admin=ok context:c1=ok");
	assert_int_equal(b->script.opened, 0);
}

static void commands_say_what_is_wrong(void **state)
{
	struct bench *b = *state;
	static const char *const rows[] = {"", "nope", "mux", "mux x", "mux ok x", "context",
	        "context nope ok", "context admin", "context admin hang x", "drop-data x",
	        "restart x", "restart 1 2"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_starts(
		        bench_do(b, rows[i]), "error not status | clear | mux ok|refuse|silent");
	assert_starts(bench_do(b, "status"), "ok mux=ok ");
}

/* The faults of any connection strike here too. */
static void faults_of_the_transport(void **state)
{
	struct bench *b = *state;
	static const char *const rules[] = {"cut-rst byte=160 verb=mux",
	        "cut-fin byte=160 verb=connect cluster=headlamp", "half-open byte=160 verb=mux",
	        "split bytes=3 verb=mux", "close verb=mux"};
	static const enum model_closed closed[] = {
	        MODEL_CLOSED_RST, MODEL_CLOSED_CUT, MODEL_OPEN, MODEL_OPEN, MODEL_CLOSED_CUT};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		struct model_fault rule;
		struct model_text error = {0};
		assert_true(model_fault_parse(span_of(rules[i]), &rule, &error));
		model_fault_add(&b->server.faults, &rule);
		bench_fresh(b, 0, "/wsMultiplexer", UPGRADE);
		if (i < 4) {
			assert_starts(b->clients[0].got.p, "HTTP/1.1 101 ");
			bench_message(b, 0, "admin", PATH, "watch=1", "u1", "REQUEST");
		}
		assert_int_equal(b->clients[0].got.n, i < 3    ? 160
		                                      : i == 3 ? b->clients[0].got.n
		                                               : 0);
		assert_int_equal(model_conn_closed(b->clients[0].conn), closed[i]);
		model_fault_clear(&b->server.faults);
		if (i == 3) {
			bench_frames(&b->clients[0]);
			expect_line(b, 0, STATUS("admin", PATH, "connected", ""));
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_recorded_sequence),
	        TEST(long_messages_are_cut),
	        TEST(what_is_no_utf8),
	        TEST(versions),
	        TEST(the_upstream_is_answered),
	        TEST(one_watch_from_start_to_end),
	        TEST(the_upstream_ends),
	        TEST(gone),
	        TEST(errors),
	        TEST(silence),
	        TEST(a_second_query_of_a_path_gets_nothing),
	        TEST(two_clients_with_one_key),
	        TEST(two_dials_of_one_key),
	        TEST(a_dead_cluster_blocks_the_client),
	        TEST(the_dial_includes_the_handshake),
	        TEST(credentials),
	        TEST(the_upgrade),
	        TEST(pings_and_the_end),
	        TEST(refused_and_silent),
	        TEST(a_cluster_hangs_for_a_while),
	        TEST(a_context_becomes_invalid),
	        TEST(a_restart),
	        TEST(data_is_cut_in_its_middle),
	        TEST(drawn_commands),
	        TEST(commands_say_what_is_wrong),
	        TEST(faults_of_the_transport),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
