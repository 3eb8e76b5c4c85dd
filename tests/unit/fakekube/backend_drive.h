/* backend_drive.h - for the tests of the Headlamp backend's model: a backend, several clients of
 * it, and an upstream whose every byte the test writes. */
#ifndef KR_UNIT_FAKEKUBE_BACKEND_DRIVE_H
#define KR_UNIT_FAKEKUBE_BACKEND_DRIVE_H

#include "drive.h"

#include "model/model_backend.h"
#include "model/model_ws.h"

#define CLIENTS 3
#define UPGRADE                                                                                    \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* An upstream that is written by hand. */
struct scripted {
	struct model_link link;
	struct script *script;
	size_t at;
};
struct script {
	struct scripted *open; /* the newest; NULL = freed */
	struct model_text seen, say;
	enum model_link_state state;
	size_t opened, freed;
};

struct client {
	struct model_conn *conn;
	struct model_text got;
	struct model_ws_in in;
};

struct bench {
	struct model_server server;
	struct model_backend *backend;
	struct model_cluster *cluster; /* context "admin" */
	struct script script;          /* context "c1" */
	struct client clients[CLIENTS];
	uint64_t now_ns;
};

static enum model_link_state scripted_state(struct model_link *l, uint64_t now_ns)
{
	struct scripted *s = (struct scripted *)l;
	(void)now_ns;
	return s->script->state;
}
static void scripted_send(struct model_link *l, struct span p, uint64_t now_ns)
{
	struct scripted *s = (struct scripted *)l;
	(void)now_ns;
	model_text_span(&s->script->seen, p);
}
static struct span scripted_peek(struct model_link *l, uint64_t now_ns)
{
	struct scripted *s = (struct scripted *)l;
	(void)now_ns;
	return (struct span){s->script->say.p + s->at, s->script->say.n - s->at};
}
static void scripted_consume(struct model_link *l, size_t n, uint64_t now_ns)
{
	struct scripted *s = (struct scripted *)l;
	(void)now_ns;
	s->at += n;
}
static uint64_t scripted_deadline(const struct model_link *l)
{
	(void)l;
	return UINT64_MAX;
}
static void scripted_free(struct model_link *l)
{
	struct scripted *s = (struct scripted *)l;
	s->script->freed++;
	if (s->script->open == s)
		s->script->open = NULL;
	free(s);
}

static inline struct model_link *script_open(void *arg, struct model_conn *owner, uint64_t now_ns)
{
	static const struct model_link_ops ops = {scripted_state, scripted_send, scripted_peek,
	        scripted_consume, scripted_deadline, scripted_free};
	struct scripted *s = calloc(1, sizeof *s);
	(void)now_ns;
	s->script = arg;
	s->link.ops = &ops;
	s->link.owner = owner;
	strcpy(s->link.problem, "dial tcp 127.0.0.1:1: connect: connection refused");
	s->script->open = s;
	s->script->opened++;
	s->script->seen.n = s->script->say.n = 0;
	return &s->link;
}

static inline void bench_init(struct bench *b, const struct model_backend_options *o)
{
	memset(b, 0, sizeof *b);
	model_server_init(&b->server, &(struct model_server_options){.wall_s = WALL_S, .seed = 1});
	b->cluster = model_server_add_cluster(&b->server,
	        &(struct model_cluster_options){.name = "fake-1", .seed = 7, .first_rv = 306});
	b->backend = model_backend_new(&b->server, o);
	assert_true(model_backend_add_cluster(b->backend, b->cluster,
	        &(struct model_context_options){
	                .name = "admin", .server = "https://127.0.0.1:16443", .user = "admin"}));
	b->script.state = MODEL_LINK_OPEN;
	assert_true(model_backend_add(b->backend, &(struct model_context_options){.name = "c1",
	                                                  .server = "http://127.0.0.1:8001",
	                                                  .address = "127.0.0.1:8001",
	                                                  .open = script_open,
	                                                  .arg = &b->script}));
}

static inline void bench_fini(struct bench *b)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		model_conn_free(&b->clients[i].conn);
		model_text_fini(&b->clients[i].got);
		model_ws_in_fini(&b->clients[i].in);
	}
	model_backend_free(&b->backend);
	model_server_fini(&b->server);
	assert_int_equal(b->script.opened, b->script.freed); /* no link is left */
	model_text_fini(&b->script.seen);
	model_text_fini(&b->script.say);
}

static inline void client_take(struct bench *b, struct client *c)
{
	for (struct span s; c->conn && (s = model_conn_peek(c->conn, b->now_ns)).n;) {
		model_text_span(&c->got, s);
		model_conn_consume(c->conn, s.n, b->now_ns);
	}
	TEXT_LIT(&c->got, "\0");
	c->got.n--;
}

/* Takes from those that say they have something, and from nobody else: as a host does it. */
static inline void bench_take(struct bench *b)
{
	for (struct model_conn *m; (m = model_conn_next_ready(&b->server));)
		for (size_t i = 0; i < CLIENTS; i++)
			if (b->clients[i].conn == m)
				client_take(b, &b->clients[i]);
}

/* The upstream has said something. */
static inline void script_said(struct bench *b)
{
	model_link_wake(&b->script.open->link);
	bench_take(b);
}

/* Deadline by deadline. */
static inline void bench_wait(struct bench *b, uint64_t ns)
{
	uint64_t end = b->now_ns + ns;
	for (;;) {
		struct client *first = NULL;
		uint64_t next = UINT64_MAX;
		bench_take(b);
		for (size_t i = 0; i < CLIENTS; i++) {
			struct model_conn *c = b->clients[i].conn;
			uint64_t d = c ? model_conn_deadline_ns(c) : UINT64_MAX;
			if (d < next)
				first = &b->clients[i];
			next = d < next ? d : next;
		}
		if (!first || next > end)
			break;
		b->now_ns = next > b->now_ns ? next : b->now_ns;
		model_conn_tick(first->conn, b->now_ns);
		client_take(b, first);
		assert_true(model_conn_deadline_ns(first->conn) > b->now_ns);
	}
	b->now_ns = end;
	bench_take(b);
}

static inline void bench_send(struct bench *b, size_t i, struct span s)
{
	model_conn_feed(b->clients[i].conn, s, b->now_ns);
	client_take(b, &b->clients[i]);
	bench_take(b);
}

static inline const char *bench_ask(
        struct bench *b, size_t i, const char *method, const char *url, const char *fields)
{
	struct client *c = &b->clients[i];
	if (c->conn && model_conn_closed(c->conn) != MODEL_OPEN)
		model_conn_free(&c->conn);
	if (!c->conn)
		c->conn = model_backend_accept(b->backend, b->now_ns);
	struct model_text t = {0};
	model_text_printf(&t, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:4466\r\n%s\r\n", method, url,
	        fields ? fields : "");
	c->got.n = 0;
	bench_send(b, i, model_text_as_span(&t));
	model_text_fini(&t);
	return c->got.p;
}

static inline const char *bench_get(struct bench *b, size_t i, const char *url, const char *fields)
{
	return bench_ask(b, i, "GET", url, fields);
}

/* On a connection of its own. */
static inline const char *bench_fresh(
        struct bench *b, size_t i, const char *url, const char *fields)
{
	model_conn_free(&b->clients[i].conn);
	return bench_get(b, i, url, fields);
}

static inline const char *bench_do(struct bench *b, const char *command)
{
	static char answer[1024];
	struct model_text t = {0};
	model_backend_command(b->backend, span_of(command), b->now_ns, &t);
	snprintf(answer, sizeof answer, "%.*s", (int)t.n, t.p);
	model_text_fini(&t);
	bench_take(b);
	return answer;
}

/* --- WebSocket clients --- */

/* Drops the head of the answer, so that got holds frames only. */
static inline void bench_frames(struct client *c)
{
	char *body = strstr(c->got.p, "\r\n\r\n");
	assert_non_null(body);
	body += 4;
	c->got.n -= (size_t)(body - c->got.p);
	memmove(c->got.p, body, c->got.n);
	model_ws_in_fini(&c->in);
	c->in.limit = 1u << 24;
}

static inline void bench_mux(struct bench *b, size_t i, const char *fields)
{
	char all[1024];
	snprintf(all, sizeof all, UPGRADE "%s", fields ? fields : "");
	assert_starts(bench_fresh(b, i, "/wsMultiplexer", all),
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
	        "Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
	bench_frames(&b->clients[i]);
}

static inline void bench_frame(
        struct bench *b, size_t i, enum model_ws_opcode opcode, const char *text)
{
	static const uint8_t mask[4] = {9, 8, 7, 6};
	struct model_text t = {0};
	model_ws_put(&t, opcode, span_of(text), mask);
	bench_send(b, i, model_text_as_span(&t));
	model_text_fini(&t);
}

static inline void bench_message(struct bench *b, size_t i, const char *cluster, const char *path,
        const char *query, const char *user, const char *type)
{
	struct model_text t = {0};
	model_text_printf(&t,
	        "{\"clusterId\":\"%s\",\"path\":\"%s\",\"query\":\"%s\",\"userId\":\"%s\","
	        "\"type\":\"%s\"}",
	        cluster, path, query, user, type);
	TEXT_LIT(&t, "\0");
	bench_frame(b, i, MODEL_WS_TEXT, t.p);
	model_text_fini(&t);
}

/* The next message that came; NULL: none. Valid until the next call for that client. */
static inline const char *bench_next(struct bench *b, size_t i, enum model_ws_opcode *opcode)
{
	static char text[CLIENTS][65536];
	struct client *c = &b->clients[i];
	struct span payload;
	bench_take(b);
	model_ws_in_feed(&c->in, model_text_as_span(&c->got));
	c->got.n = 0;
	enum model_ws_got got = model_ws_next(&c->in, opcode, &payload);
	assert_int_not_equal(got, MODEL_WS_BROKEN);
	if (got == MODEL_WS_MORE)
		return NULL;
	snprintf(text[i], sizeof text[i], "%.*s", SPAN_ARG(payload));
	return text[i];
}

static inline void expect_line(struct bench *b, size_t i, const char *line)
{
	enum model_ws_opcode opcode;
	const char *got = bench_next(b, i, &opcode);
	if (!got)
		fail_msg("nothing came; expected %s", line);
	size_t n = strlen(got);
	assert_int_equal(opcode, MODEL_WS_TEXT);
	assert_true(n && got[n - 1] == '\n');
	if (strlen(line) != n - 1 || strncmp(line, got, n - 1) != 0)
		fail_msg("expected: %s\nbut got:  %s", line, got);
}

static inline void expect_nothing(struct bench *b, size_t i)
{
	enum model_ws_opcode opcode;
	const char *got = bench_next(b, i, &opcode);
	if (got)
		fail_msg("came: %s", got);
	assert_int_equal(b->clients[i].in.at, b->clients[i].in.bytes.n); /* not even a part */
}

#endif
