/* The HTTP side of the backend's model: routes, who may ask, what is passed on, and the legacy
 * WebSocket, held to what Headlamp 0.45.0 was seen to do. */
#include "backend_drive.h"

#define PODS   "/clusters/admin/api/v1/pods"
#define ORIGIN "Origin: http://x\r\n"
#define HEAD_101                                                                                   \
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"                              \
	"Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define DATE "Date: Tue, 24 Nov 2026 22:56:46 GMT\r\n"
#define TEXT "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"

static int setup(void **state)
{
	struct bench *b = malloc(sizeof *b);
	bench_init(b, &(struct model_backend_options){.check_host = true, .port = 4466});
	*state = b;
	return 0;
}

static int setup_token(void **state)
{
	struct bench *b = malloc(sizeof *b);
	bench_init(b, &(struct model_backend_options){.token = "desktop-token"});
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_fini(*state);
	free(*state);
	return 0;
}

static void make(struct bench *b, const char *name)
{
	make_configmap(&(struct drive){.cluster = b->cluster}, "demo", name);
}

static void config(void **state)
{
	struct bench *b = *state;
	assert_string_equal(bench_get(b, 0, "/config", NULL),
	        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" DATE
	        "Content-Length: 248\r\n\r\n"
	        "{\"clusters\":[{\"name\":\"admin\",\"server\":\"https://127.0.0.1:16443\","
	        "\"auth_type\":\"\",\"meta_data\":{\"source\":\"kubeconfig\"}},{\"name\":\"c1\","
	        "\"server\":\"http://127.0.0.1:8001\",\"auth_type\":\"\",\"meta_data\":{\"source\":"
	        "\"kubeconfig\"}}],\"isDynamicClusterEnabled\":false}\n");
}

static void refusals(void **state)
{
	struct bench *b = *state;
	assert_string_equal(bench_get(b, 0, "/clusters/nope/api/v1/pods", NULL),
	        "HTTP/1.1 404 Not Found\r\n" TEXT DATE "Content-Length: 14\r\n\r\nkey not found\n");
	bench_do(b, "context admin refuse");
	assert_string_equal(bench_get(b, 0, PODS, NULL),
	        "HTTP/1.1 502 Bad Gateway\r\n" DATE "Content-Length: 0\r\n\r\n");
	assert_starts(bench_get(b, 0, "/", NULL), "HTTP/1.1 404 Not Found\r\n");
	assert_int_equal(b->clients[0].conn != NULL, 1);
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_OPEN); /* kept all along */
	static const char *const bad[] = {
	        "nonsense\r\n\r\n", "GET x HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		bench_fresh(b, 0, "/config", NULL);
		b->clients[0].got.n = 0;
		bench_send(b, 0, span_of(bad[i]));
		assert_starts(b->clients[0].got.p, "HTTP/1.1 400 Bad Request\r\n");
		assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_CLOSED_FIN);
	}
}

static void the_host(void **state)
{
	struct bench *b = *state;
	static const struct {
		const char *host;
		bool ours;
	} rows[] = {{"localhost", true}, {"LOCALHOST:4466", true}, {"127.0.0.1", true},
	        {"[::1]:4466", true}, {"[::1]", true}, {"127.0.0.1:4467", false},
	        {"example.com", false}, {"localhost.example.com:4466", false}, {"", false}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct model_text t = {0};
		model_conn_free(&b->clients[0].conn);
		b->clients[0].conn = model_backend_accept(b->backend, b->now_ns);
		b->clients[0].got.n = 0;
		model_text_printf(&t, "GET /config HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i].host);
		bench_send(b, 0, model_text_as_span(&t));
		model_text_fini(&t);
		assert_starts(
		        b->clients[0].got.p, rows[i].ours ? "HTTP/1.1 200 " : "HTTP/1.1 403 ");
		if (!rows[i].ours)
			assert_contains(b->clients[0].got.p, "\r\n\r\ninvalid Host header\n");
	}
}

/* R1 of tests/headlamp.md. */
static void the_backend_token(void **state)
{
	struct bench *b = *state;
#define HEADER   "X-HEADLAMP_BACKEND-TOKEN: desktop-token\r\n"
#define PRIVATE  "base64url.headlamp.backend.authorization.k8s.io.ZGVza3RvcC10b2tlbg"
#define PROTOCOL "Sec-WebSocket-Protocol: "
	static const struct {
		const char *fields;
		bool let_in;
	} rows[] = {{"", false}, {HEADER, true}, {"X-Headlamp_Backend-Token: x\r\n", false},
	        {HEADER HEADER, false}, {PROTOCOL PRIVATE "\r\n", true},
	        {PROTOCOL "headlamp.multiplexer.k8s.io, " PRIVATE "\r\n", true},
	        {PROTOCOL "headlamp.multiplexer.k8s.io\r\n" PROTOCOL PRIVATE "\r\n", true},
	        {PROTOCOL PRIVATE ", " PRIVATE "\r\n", false}, {PROTOCOL PRIVATE "*\r\n", false},
	        {HEADER PROTOCOL PRIVATE "\r\n", true},
	        {HEADER PROTOCOL "base64url.headlamp.backend.authorization.k8s.io.eA\r\n", false}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char fields[1024];
		snprintf(fields, sizeof fields, UPGRADE "%s", rows[i].fields);
		assert_starts(bench_fresh(b, 0, "/config", fields),
		        rows[i].let_in ? "HTTP/1.1 200 " : "HTTP/1.1 403 Forbidden\r\n");
		if (!rows[i].let_in)
			assert_contains(b->clients[0].got.p, "\r\n\r\naccess denied\n");
		assert_starts(bench_fresh(b, 0, "/wsMultiplexer", fields),
		        rows[i].let_in ? "HTTP/1.1 101 " : "HTTP/1.1 403 Forbidden\r\n");
		assert_lacks(b->clients[0].got.p, "backend.authorization");
	}
	/* the private one is taken out before the API server counts */
	assert_starts(bench_fresh(b, 0, "/clusters/admin/api/v1/pods?watch=1",
	                      UPGRADE ORIGIN PROTOCOL "base64.binary.k8s.io, " PRIVATE "\r\n"),
	        HEAD_101 "Sec-Websocket-Protocol: base64.binary.k8s.io\r\nUpgrade: "
	                 "websocket\r\n\r\n");
}

/* --- what is passed on --- */

static void lists_on_one_connection(void **state)
{
	struct bench *b = *state;
	make(b, "x");
	for (int i = 0; i < 3; i++) {
		assert_starts(bench_get(b, 0, "/clusters/admin/api/v1/configmaps", NULL),
		        "HTTP/1.1 200 OK\r\n");
		assert_contains(b->clients[0].got.p, "{\"kind\":\"ConfigMapList\",");
		assert_lacks(b->clients[0].got.p, "Connection:");
	}
	for (int i = 0; i < 40; i++)
		make(b, (char[]){'a', (char)('0' + i), 0});
	bench_get(b, 0, "/clusters/admin/api/v1/configmaps", NULL); /* chunked */
	assert_contains(b->clients[0].got.p, "Transfer-Encoding: chunked\r\n");
	assert_string_equal(b->clients[0].got.p + b->clients[0].got.n - 5, "0\r\n\r\n");
	assert_starts(bench_get(b, 0, "/clusters/admin/apis/nope/v1/x", NULL), "HTTP/1.1 404 ");
	assert_contains(b->clients[0].got.p, "404 page not found\n");
	/* and a name that has to be decoded */
	assert_true(model_backend_add_cluster(
	        b->backend, b->cluster, &(struct model_context_options){.name = "a/b \xc3\xa9"}));
	assert_starts(
	        bench_get(b, 0, "/clusters/a--b__%C3%a9/version", NULL), "HTTP/1.1 200 OK\r\n");
	assert_starts(bench_get(b, 0, PODS, "Connection: close\r\n"), "HTTP/1.1 200 OK\r\n");
	assert_contains(b->clients[0].got.p, "\r\nConnection: close\r\n\r\n");
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_CLOSED_FIN);
}

static void a_watch_event_by_event(void **state)
{
	struct bench *b = *state;
	struct client *c = &b->clients[0];
	assert_starts(bench_get(b, 0,
	                      "/clusters/admin/api/v1/configmaps?watch=1&resourceVersion=306&"
	                      "timeoutSeconds=60",
	                      NULL),
	        "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 3; i++) {
		c->got.n = 0;
		make(b, (char[]){'a', (char)('0' + i), 0});
		bench_take(b);
		assert_int_equal(count_of(c->got.p, "{\"type\":\"ADDED\""), 1);
		assert_string_equal(c->got.p + c->got.n - 3, "\n\r\n");
	}
	c->got.n = 0;
	bench_wait(b, 60 * SECOND_NS);
	assert_string_equal(c->got.p, "0\r\n\r\n");
	assert_starts(bench_get(b, 0, "/config", NULL), "HTTP/1.1 200 OK\r\n");
	/* lost: no terminator */
	bench_get(b, 0, "/clusters/admin/api/v1/configmaps?watch=1&resourceVersion=306", NULL);
	c->got.n = 0;
	model_backend_cut(b->backend, b->cluster, NULL, MODEL_CLOSED_RST);
	bench_take(b);
	assert_int_equal(c->got.n, 0);
	assert_int_equal(model_conn_closed(c->conn), MODEL_CLOSED_CUT);
}

/* What a broken upstream makes of an answer: 502 before the head, the end of the connection after.
 */
static void broken_upstreams(void **state)
{
	struct bench *b = *state;
	static const struct {
		const char *rule;
		unsigned code; /* 0 = cut in the body */
	} rows[] = {{"close", 502}, {"cut-rst byte=20", 502}, {"head-garbage variant=2", 502},
	        {"head-garbage variant=4", 502}, {"head-garbage variant=5", 502},
	        {"head-garbage variant=6", 502}, {"endless-head", 502},
	        {"chunk-garbage variant=0", 0}, {"chunk-garbage variant=1", 0},
	        {"chunk-garbage variant=2", 0}, {"chunk-garbage variant=3", 0},
	        {"cut-fin byte=600", 0}, {"5xx code=503", 503}, {"429 seconds=1", 429}};
	make(b, "x");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct model_fault rule;
		struct model_text error = {0};
		assert_true(model_fault_parse(span_of(rows[i].rule), &rule, &error));
		model_fault_add(&b->server.faults, &rule);
		bench_fresh(b, 0, "/clusters/admin/api/v1/configmaps", NULL);
		model_fault_clear(&b->server.faults);
		char starts[32];
		snprintf(starts, sizeof starts, "HTTP/1.1 %u ", rows[i].code ? rows[i].code : 200);
		assert_starts(b->clients[0].got.p, starts);
		enum model_closed closed = model_conn_closed(b->clients[0].conn);
		if (closed != (rows[i].code ? MODEL_OPEN : MODEL_CLOSED_CUT))
			fail_msg("%s: %d", rows[i].rule, closed);
	}
}

/* The client is not kept waiting for what can be no answer any more. */
static void a_broken_chunk_ends_it(void **state)
{
	struct bench *b = *state;
	bench_get(b, 0, "/clusters/c1/x", NULL);
	TEXT_LIT(&b->script.say, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	                         "2;x=y\r\n{}\r\n");
	script_said(b);
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_OPEN);
	TEXT_LIT(&b->script.say, "2\r\n{}x");
	script_said(b);
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_CLOSED_CUT);
}

static void a_hanging_cluster(void **state)
{
	struct bench *b = *state;
	bench_do(b, "context admin hang 700");
	assert_int_equal(strlen(bench_get(b, 0, PODS, NULL)), 0);
	bench_wait(b, 700000000 - 1);
	assert_int_equal(b->clients[0].got.n, 0);
	bench_wait(b, 1);
	assert_starts(b->clients[0].got.p, "HTTP/1.1 502 ");
	/* a client that has gone is not waited for */
	bench_do(b, "context admin ok");
	bench_get(b, 0, PODS "?watch=1", NULL);
	assert_int_equal(b->server.watches, 1);
	model_conn_feed_eof(b->clients[0].conn, b->now_ns);
	assert_int_equal(b->server.watches, 0);
	assert_int_equal(model_conn_closed(b->clients[0].conn), MODEL_CLOSED_CUT);
}

static void what_the_cluster_sees(void **state)
{
	struct bench *b = *state;
	struct model_text *seen = &b->script.seen;
	assert_true(model_backend_add(b->backend, &(struct model_context_options){.name = "deep",
	                                                  .server = "https://h:1/a/b/",
	                                                  .address = "h:1",
	                                                  .token = "config",
	                                                  .open = script_open,
	                                                  .arg = &b->script}));
	bench_get(b, 0, "/clusters/deep/api/v1/pods?x=%20",
	        "Connection: keep-alive\r\nX-Other: y\r\nUser-Agent: me\r\n");
	TEXT_LIT(seen, "\0");
	assert_string_equal(seen->p,
	        "GET /a/b/api/v1/pods?x=%20 HTTP/1.1\r\nHost: h:1\r\nX-Other: y\r\nUser-Agent: "
	        "me\r\nAuthorization: Bearer config\r\nX-Forwarded-Host: "
	        "127.0.0.1:4466\r\nConnection: close\r\n\r\n");
	/* cookie before header before sub-protocol before kubeconfig */
	static const struct {
		const char *fields, *sent;
	} rows[] = {{"Authorization: Bearer own\r\n", "\r\nAuthorization: Bearer own\r\n"},
	        {"Authorization: Bearer own\r\nCookie: headlamp-auth-deep.1=b; "
	         "headlamp-auth-deep.0=a\r\n",
	                "\r\nAuthorization: Bearer ab\r\n"},
	        {UPGRADE "Sec-WebSocket-Protocol: v1, "
	                 "base64url.bearer.authorization.k8s.io.c2VzYW1l\r\n",
	                "\r\nAuthorization: Bearer sesame\r\nSec-WebSocket-Protocol: v1\r\n"},
	        {UPGRADE "Sec-WebSocket-Protocol: v1, "
	                 "base64url.headlamp.authorization.k8s.io.u\r\nUser-Agent: me\r\n",
	                "\r\nSec-WebSocket-Protocol: v1\r\n"},
	        {UPGRADE "Sec-WebSocket-Protocol: v1,base64url.headlamp.authorization.k8s.io.u\r\n",
	                "\r\nSec-WebSocket-Protocol: "
	                "v1,base64url.headlamp.authorization.k8s.io.u\r\n"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bench_fresh(b, 0, "/clusters/deep/x", rows[i].fields);
		TEXT_LIT(seen, "\0");
		assert_contains(seen->p, rows[i].sent);
		assert_int_equal(count_of(seen->p, "\r\nAuthorization:"), 1);
		bool upgrade = strncmp(rows[i].fields, "Upgrade", 7) == 0;
		assert_contains(
		        seen->p, upgrade ? "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		                         : "\r\nConnection: close\r\n");
		assert_lacks(seen->p, "User-Agent");
	}
}

static void bodies_go_on(void **state)
{
	struct bench *b = *state;
	struct model_text *seen = &b->script.seen;
	bench_ask(b, 0, "POST", "/clusters/c1/x", "Content-Length: 6\r\n");
	bench_send(b, 0, SPAN("abc"));
	bench_send(b, 0, SPAN("defGET /config HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	assert_true(seen->n > 10 && memcmp(seen->p + seen->n - 10, "\r\n\r\nabcdef", 10) == 0);
	TEXT_LIT(&b->script.say, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n"
	                         "Content-Length: 2\r\nConnection: close\r\n\r\n{}");
	script_said(b);
	assert_starts(b->clients[0].got.p,
	        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n" DATE "\r\n{}HTTP/1.1 200 OK\r\n");
}

static void set_token(void **state)
{
	struct bench *b = *state;
	bench_ask(b, 0, "POST", "/clusters/nobody/set-token", "Content-Length: 13\r\n");
	assert_int_equal(b->clients[0].got.n, 0);
	bench_send(b, 0, SPAN("{\"token\":\"T\"}"));
	assert_string_equal(b->clients[0].got.p,
	        "HTTP/1.1 200 OK\r\nSet-Cookie: headlamp-auth-nobody.0=T; Path=/clusters/nobody; "
	        "Max-Age=86400; HttpOnly; SameSite=Strict\r\n" DATE "Content-Length: 0\r\n\r\n");
	bench_ask(b, 0, "POST", "/clusters/nobody/set-token", "Content-Length: 12\r\n");
	bench_send(b, 0, SPAN("{\"token\":\"\"}"));
	assert_contains(b->clients[0].got.p, "nobody.0=; Path=/clusters/nobody; Max-Age=0;");
	bench_ask(b, 0, "POST", "/clusters/nobody/set-token", "Content-Length: 2\r\n");
	bench_send(b, 0, SPAN("{}"));
	assert_starts(b->clients[0].got.p, "HTTP/1.1 400 ");
	/* 3,800 bytes in each */
	struct model_text t = {0};
	TEXT_LIT(&t, "{\"token\":\"");
	for (int i = 0; i < 3801; i++)
		TEXT_LIT(&t, "x");
	TEXT_LIT(&t, "\"}");
	char length[64];
	snprintf(length, sizeof length, "Content-Length: %zu\r\n", t.n);
	bench_ask(b, 0, "POST", "/clusters/nobody/set-token", length);
	bench_send(b, 0, model_text_as_span(&t));
	model_text_fini(&t);
	assert_contains(b->clients[0].got.p, "xxx; Path");
	assert_contains(b->clients[0].got.p, "\r\nSet-Cookie: headlamp-auth-nobody.1=x; Path");
}

/* --- the legacy WebSocket --- */

static void legacy(void **state)
{
	struct bench *b = *state;
	struct client *c = &b->clients[0];
	make(b, "x");
	assert_starts(bench_get(b, 0, "/clusters/admin/api/v1/configmaps?watch=1&timeoutSeconds=3",
	                      UPGRADE ORIGIN "Sec-WebSocket-Protocol: base64.binary.k8s.io, "
	                                     "base64url.headlamp.authorization.k8s.io.u1\r\n"),
	        HEAD_101 "Sec-Websocket-Protocol: base64.binary.k8s.io\r\nUpgrade: "
	                 "websocket\r\n\r\n\x81\x7e");
	bench_frames(c);
	enum model_ws_opcode opcode;
	assert_starts(bench_next(b, 0, &opcode),
	        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",");
	bench_frame(b, 0, MODEL_WS_PING, "p"); /* answered by the API server */
	assert_string_equal(bench_next(b, 0, &opcode), "p");
	bench_wait(b, 3 * SECOND_NS);
	assert_string_equal(bench_next(b, 0, &opcode), "\x03\xe8");
	assert_int_equal(opcode, MODEL_WS_CLOSE);
	assert_int_equal(model_conn_closed(c->conn), MODEL_CLOSED_CUT);
	/* no sub-protocol */
	assert_starts(bench_get(b, 0, PODS "?watch=1", UPGRADE ORIGIN),
	        HEAD_101 "Upgrade: websocket\r\n\r\n");
	model_cluster_skip(b->cluster, 10);
	model_cluster_compact(b->cluster, 310);
	bench_fresh(b, 0, PODS "?watch=1&resourceVersion=1", UPGRADE ORIGIN);
	bench_frames(c);
	assert_contains(bench_next(b, 0, &opcode), "\"reason\":\"Expired\",\"code\":410}}\n");
	assert_string_equal(bench_next(b, 0, &opcode), "\x03\xe8");
}

static void legacy_refused(void **state)
{
	struct bench *b = *state;
	assert_string_equal(bench_get(b, 0, PODS "?watch=1", UPGRADE),
	        "HTTP/1.1 403 Forbidden\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	assert_string_equal(
	        bench_get(b, 0, PODS "?watch=1", UPGRADE ORIGIN "Sec-WebSocket-Protocol: a, b\r\n"),
	        "HTTP/1.1 400 Bad Request\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	model_server_add_token(&b->server, "T", "alice");
	assert_true(model_backend_add_cluster(
	        b->backend, b->cluster, &(struct model_context_options){.name = "nobody"}));
	assert_starts(bench_get(b, 0, "/clusters/nobody/api/v1/pods?watch=1", UPGRADE ORIGIN),
	        "HTTP/1.1 403 Forbidden\r\nAudit-Id: ");
	assert_contains(b->clients[0].got.p, "\"reason\":\"Forbidden\"");
	assert_starts(bench_get(b, 0, "/clusters/nobody/api/v1/pods?watch=1",
	                      UPGRADE ORIGIN "Cookie: headlamp-auth-nobody.0=T\r\n"),
	        HEAD_101);
	bench_do(b, "context admin refuse");
	assert_string_equal(bench_fresh(b, 0, PODS "?watch=1", UPGRADE ORIGIN),
	        "HTTP/1.1 502 Bad Gateway\r\n" DATE "Content-Length: 0\r\n\r\n");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CASE(config),
	        CASE(refusals),
	        CASE(the_host),
	        cmocka_unit_test_setup_teardown(the_backend_token, setup_token, teardown),
	        CASE(lists_on_one_connection),
	        CASE(a_watch_event_by_event),
	        CASE(broken_upstreams),
	        CASE(a_broken_chunk_ends_it),
	        CASE(a_hanging_cluster),
	        CASE(what_the_cluster_sees),
	        CASE(bodies_go_on),
	        CASE(set_token),
	        CASE(legacy),
	        CASE(legacy_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
