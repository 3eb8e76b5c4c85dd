/* The backend under random clients, faults, switches and restarts, drawn by a seed: it never says
 * what cannot be read, forgets nothing that it owns, and works again when all is well. */
#include "backend_drive.h"

#include "base/prng.h"

#define STEPS 6000

static const char *const paths[] = {"/api/v1/namespaces/demo/configmaps", "/api/v1/pods",
        "/apis/apps/v1/deployments", "/apis/nope/v1/x"};
static const char *const queries[] = {
        "watch=1", "watch=1&resourceVersion=306", "watch=1&timeoutSeconds=2", "watch=x&", ""};
static const char *const types[] = {"REQUEST", "REQUEST", "REQUEST", "CLOSE", "NONSENSE"};
static const char *const contexts[] = {"admin", "second", "nope"};
static const char *const rules[] = {"cut-rst byte=400 count=1", "cut-fin byte=900 count=1",
        "split bytes=9 count=2", "stall byte=200 ms=900 count=1", "half-open byte=500 count=1",
        "drip bytes=40 ms=5 count=1", "close count=1", "410 count=1", "5xx code=503 count=1",
        "event-half-line event=1 count=1", "event-bad-utf8 event=1 count=1",
        "head-garbage variant=6 count=1", "chunk-garbage variant=0 count=1",
        "cut-rst byte=700 verb=mux count=1", "stall byte=300 ms=500 verb=mux count=1",
        "half-open byte=300 verb=connect cluster=headlamp count=1", "not-reading count=1"};
static const char *const urls[] = {"/config", "/", "/wsMultiplexer",
        "/clusters/admin/api/v1/configmaps", "/clusters/second/api/v1/pods?watch=1",
        "/clusters/nope/x", "/clusters/admin/version"};

#define PICK(r, table) (table)[prng_below((r), sizeof(table) / sizeof *(table))]

/* What came is frames of whole JSON lines, or control frames. */
static void read_frames(struct client *c)
{
	enum model_ws_opcode opcode;
	struct span payload;
	enum model_ws_got got;
	model_ws_in_feed(&c->in, model_text_as_span(&c->got));
	c->got.n = 0;
	while ((got = model_ws_next(&c->in, &opcode, &payload)) == MODEL_WS_MESSAGE)
		if (opcode == MODEL_WS_TEXT) {
			assert_true(span_starts(payload, SPAN("{\"clusterId\":\"")));
			assert_int_equal(payload.p[payload.n - 1], '\n');
		}
	assert_int_equal(got, MODEL_WS_MORE);
}

static void open_some(struct bench *b, struct prng *r, size_t i, bool *mux)
{
	char fields[300];
	struct client *c = &b->clients[i];
	bool upgrade = prng_below(r, 2);
	snprintf(fields, sizeof fields, "%s%s", upgrade ? UPGRADE : "",
	        prng_below(r, 2) ? "Origin: http://x\r\n" : "");
	*mux = false;
	model_ws_in_fini(&c->in);
	if (!model_backend_listens(b->backend, b->now_ns))
		return;
	if (prng_below(r, 2)) {
		bench_fresh(b, i, PICK(r, urls), fields);
		c->got.n = 0;
		return;
	}
	bench_fresh(b, i, "/wsMultiplexer", UPGRADE);
	*mux = c->got.n && strncmp(c->got.p, "HTTP/1.1 101", 12) == 0 &&
	       strstr(c->got.p, "\r\n\r\n");
	if (*mux)
		bench_frames(c);
}

/* A message in two halves, now and then nonsense. */
static void say_some(struct bench *b, struct prng *r, size_t i)
{
	static const uint8_t mask[4] = {1, 1, 2, 3};
	struct model_text json = {0}, frame = {0};
	model_text_printf(&json,
	        "{\"clusterId\":\"%s\",\"path\":\"%s\",\"query\":\"%s\",\"userId\":\"u%u\","
	        "\"type\":"
	        "\"%s\"}",
	        PICK(r, contexts), PICK(r, paths), PICK(r, queries), (unsigned)prng_below(r, 2),
	        PICK(r, types));
	if (prng_below(r, 20) == 0)
		json.p[prng_below(r, json.n)] = (char)prng_next(r);
	model_ws_put(&frame, prng_below(r, 12) ? MODEL_WS_TEXT : MODEL_WS_PING,
	        json.n < 126 ? model_text_as_span(&json) : SPAN("x"), mask);
	if (json.n >= 126) {
		frame.n = 0;
		model_ws_put(&frame, MODEL_WS_TEXT, model_text_as_span(&json), mask);
	}
	size_t half = prng_below(r, frame.n + 1);
	bench_send(b, i, (struct span){frame.p, half});
	bench_send(b, i, (struct span){frame.p + half, frame.n - half});
	model_text_fini(&json);
	model_text_fini(&frame);
}

static void break_some(struct bench *b, struct prng *r)
{
	struct model_text line = {0};
	model_backend_draw(b->backend, r, &line);
	TEXT_LIT(&line, "\0");
	assert_string_equal(bench_do(b, prng_below(r, 3) ? line.p : "clear"), "ok");
	model_text_fini(&line);
}

static void step(struct bench *b, struct prng *r, bool mux[CLIENTS])
{
	size_t i = prng_below(r, CLIENTS);
	struct client *c = &b->clients[i];
	char name[32];
	switch (prng_below(r, 12)) {
	case 0: open_some(b, r, i, &mux[i]); break;
	case 1:
		if (prng_below(r, 3) == 0)
			break_some(b, r);
		break;
	case 2:
		if (prng_below(r, 3) == 0) {
			struct model_fault rule;
			struct model_text error = {0};
			assert_true(model_fault_parse(span_of(PICK(r, rules)), &rule, &error));
			if (!model_fault_add(&b->server.faults, &rule))
				model_fault_clear(&b->server.faults);
		}
		break;
	case 3: bench_wait(b, prng_below(r, 800) * 1000000); break;
	case 4:
		model_backend_cut(b->backend, prng_below(r, 2) ? b->cluster : NULL, NULL,
		        prng_below(r, 2) ? MODEL_CLOSED_RST : MODEL_CLOSED_CUT);
		break;
	case 5:
		if (c->conn && prng_below(r, 4) == 0)
			model_conn_feed_eof(c->conn, b->now_ns);
		break;
	case 6:
	case 7:
		snprintf(name, sizeof name, "c%u", (unsigned)prng_below(r, 1000));
		make_configmap(&(struct drive){.cluster = b->cluster}, "demo", name);
		break;
	default:
		if (mux[i] && c->conn && model_conn_closed(c->conn) == MODEL_OPEN)
			say_some(b, r, i);
	}
	bench_take(b);
	for (i = 0; i < CLIENTS; i++) {
		if (mux[i])
			read_frames(&b->clients[i]);
		b->clients[i].got.n = 0;
	}
}

static void soak(uint64_t seed)
{
	struct bench b;
	struct prng r = {seed};
	bool mux[CLIENTS] = {0};
	bench_init(&b, &(struct model_backend_options){0});
	assert_true(model_backend_add_cluster(
	        b.backend, b.cluster, &(struct model_context_options){.name = "second"}));
	for (int i = 0; i < STEPS; i++)
		step(&b, &r, mux);
	/* all is well again */
	model_fault_clear(&b.server.faults);
	bench_do(&b, "clear");
	bench_do(&b, "restart");
	assert_int_equal(b.server.watches, 0);
	bench_mux(&b, 0, NULL);
	bench_message(&b, 0, "admin", "/api/v1/configmaps", "watch=1&resourceVersion=100000", "u",
	        "REQUEST");
	enum model_ws_opcode opcode;
	assert_contains(bench_next(&b, 0, &opcode), "connected");
	assert_null(bench_next(&b, 0, &opcode));
	bench_fini(&b);
}

static void whatever_happens(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		soak(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_happens)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
