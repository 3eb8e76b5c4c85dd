/* The multiplexer of the backend, defects included (BM-n of tests/headlamp.md). */
#include "model/model_backend_priv.h"

#include "base/check.h"
#include "model/model_envelope.h"

#include <stdlib.h>

#define MESSAGE_BYTES_MAX (64u << 20)
#define HEAD_BYTES_MAX    65536
#define HEARTBEAT_NS      30000000000ull

enum {
	CLOSE_PROTOCOL_ERROR = 1002,
	WRITE_BUFFER = 4096, /* of the real one's library: what fits is one frame */
	WRITE_LARGE = 2 * (WRITE_BUFFER + 14), /* with heads: what is longer goes past it */
};

/* One upstream watch. Owner: the front that asked first (BM-2). Life: REQUEST .. CLOSE, its end, or
 * the owner's. */
struct mux_entry {
	struct list of_front, of_table; /* of_table: while it is the one of its key (BM-16) */
	struct front *front;
	struct context *context;
	struct model_envelope ask;
	struct model_link *up; /* own; NULL while it hangs */
	struct model_text head, version;
	struct model_ws_in in;
	char accept[MODEL_WS_ACCEPT_BYTES + 1];
	uint64_t deadline_ns; /* of the dial, then of the next heartbeat */
	bool asked, connected, silent;
};

/* --- frames to the client --- */

static void put_frame(struct front *f, enum model_ws_opcode opcode, struct span payload)
{
	struct model_text t = {0};
	if (f->conn->closed == MODEL_OPEN) {
		model_ws_put(&t, opcode, payload, NULL);
		model_reply_raw(f->conn, t.p, t.n);
	}
	model_text_fini(&t);
}

/* In the frames in which the real one sends it: in one; a buffer each; or what is large in one that
 * is not the last, and an empty one behind it. */
static void write_message(struct model_text *t, const struct model_envelope_out *o)
{
	struct model_text json = {0};
	model_envelope_write(&json, o);
	bool large = json.n > WRITE_LARGE, last = false;
	for (size_t at = 0; !last;) {
		bool first = at == 0;
		size_t n = json.n - at;
		if (n > WRITE_BUFFER && !large)
			n = WRITE_BUFFER;
		last = at + n == json.n && !(large && first);
		model_ws_put_part(t, first ? MODEL_WS_TEXT : MODEL_WS_CONTINUATION, last,
		        (struct span){json.p + at, n});
		at += n;
	}
	model_text_fini(&json);
}

static void put_envelope(struct front *f, const struct model_envelope_out *o)
{
	struct model_text t = {0};
	if (f->conn->closed == MODEL_OPEN) {
		write_message(&t, o);
		model_reply_raw(f->conn, t.p, t.n);
	}
	model_text_fini(&t);
}

static struct model_envelope_out answer_to(const struct model_envelope *ask, const char *type)
{
	return (struct model_envelope_out){.cluster = model_text_as_span(&ask->cluster),
	        .path = model_text_as_span(&ask->path),
	        .query = model_text_as_span(&ask->query),
	        .user = model_text_as_span(&ask->user),
	        .type = type};
}

/* Without query and user (BM-3). */
static void put_status(
        struct front *f, const struct model_envelope *ask, const char *state, const char *error)
{
	struct model_envelope_out o = answer_to(ask, "STATUS");
	struct model_text t = {0};
	TEXT_LIT(&t, "{\"state\":");
	model_text_quoted(&t, span_of(state));
	TEXT_LIT(&t, ",\"error\":");
	model_text_quoted(&t, span_of(error));
	TEXT_LIT(&t, "}");
	o.query = o.user = SPAN_NONE;
	o.data = model_text_as_span(&t);
	put_envelope(f, &o);
	model_text_fini(&t);
}

static void put_error(struct front *f, const struct model_envelope *ask, const char *text)
{
	struct model_envelope_out o = answer_to(ask, "ERROR");
	struct model_text t = {0};
	TEXT_LIT(&t, "{\"error\":");
	model_text_quoted(&t, span_of(text));
	TEXT_LIT(&t, "}");
	o.data = model_text_as_span(&t);
	put_envelope(f, &o);
	model_text_fini(&t);
}

/* The defect drop-data: half a message, then the end of the socket. */
static bool dropped(struct front *f, const struct model_envelope_out *o)
{
	struct model_backend *b = f->backend;
	if (b->drop_data == 0 || --b->drop_data > 0)
		return false;
	struct model_text t = {0};
	write_message(&t, o);
	model_reply_raw(f->conn, t.p, t.n / 2);
	f->conn->closed = MODEL_CLOSED_CUT;
	model_text_fini(&t);
	return true;
}

static void put_data(struct mux_entry *e, bool binary, struct span payload)
{
	struct front *f = e->front;
	struct model_text version = {0}, text = {0};
	if (e->silent)
		return;
	if (!binary && model_envelope_version(payload, &version) &&
	        !span_eq(model_text_as_span(&version), model_text_as_span(&e->version))) {
		struct model_envelope_out o = answer_to(&e->ask, "COMPLETE"); /* BM-17 */
		put_envelope(f, &o);
		e->version.n = 0;
		model_text_span(&e->version, model_text_as_span(&version));
	}
	struct model_envelope_out o = answer_to(&e->ask, "DATA");
	if (binary)
		model_text_base64(&text, payload, false);
	o.binary = binary;
	o.data = binary ? model_text_as_span(&text) : payload;
	if (!dropped(f, &o))
		put_envelope(f, &o);
	f->conn->events++;
	model_text_fini(&version);
	model_text_fini(&text);
}

/* --- frames to the cluster --- */

static void up_send(struct mux_entry *e, enum model_ws_opcode opcode, struct span payload)
{
	uint32_t r = (uint32_t)prng_next(&e->front->backend->server->random);
	uint8_t mask[4] = {(uint8_t)r, (uint8_t)(r >> 8), (uint8_t)(r >> 16), (uint8_t)(r >> 24)};
	struct model_text t = {0};
	model_ws_put(&t, opcode, payload, mask);
	model_link_wake(e->up); /* there may be an answer at once */
	e->up->ops->send(e->up, model_text_as_span(&t), e->front->conn->now_ns);
	model_text_fini(&t);
}

static void up_ask(struct mux_entry *e)
{
	const struct context *x = e->context;
	struct model_server *s = e->front->backend->server;
	struct model_text t = {0}, key = {0}, token = {0};
	uint64_t raw[2] = {prng_next(&s->random), prng_next(&s->random)};
	model_text_base64(&key, (struct span){(const char *)raw, sizeof raw}, false);
	model_ws_accept(model_text_as_span(&key), e->accept);
	const struct model_text *q = &e->ask.query;
	model_text_printf(&t,
	        "GET %s%s%.*s%s%.*s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Go-http-client/1.1\r\n"
	        "Connection: Upgrade\r\nOrigin: %s\r\nSec-WebSocket-Key: %.*s\r\n"
	        "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n",
	        x->prefix, e->ask.path.p[0] == '/' ? "" : "/", (int)e->ask.path.n, e->ask.path.p,
	        q->n ? "?" : "", (int)q->n, q->n ? q->p : "", x->address, x->server, (int)key.n,
	        key.p);
	backend_cookie(model_text_as_span(&e->front->cookies), model_text_as_span(&e->ask.cluster),
	        &token);
	if (token.n) /* the kubeconfig's own token is not used here (BM-11) */
		model_text_printf(&t, "Authorization: Bearer %.*s\r\n", (int)token.n, token.p);
	TEXT_LIT(&t, "\r\n");
	e->up->ops->send(e->up, model_text_as_span(&t), e->front->conn->now_ns);
	e->asked = true;
	model_text_fini(&t);
	model_text_fini(&key);
	model_text_fini(&token);
}

/* --- entries --- */

static void entry_free(struct mux_entry *e)
{
	if (e->front->dialing == e)
		e->front->dialing = NULL;
	list_unlink(&e->of_front);
	list_unlink(&e->of_table);
	if (e->up) {
		list_unlink(&e->up->ready_link);
		e->up->ops->free(e->up);
	}
	model_envelope_fini(&e->ask);
	model_text_fini(&e->head);
	model_text_fini(&e->version);
	model_ws_in_fini(&e->in);
	free(e);
}

static bool same_text(const struct model_text *a, const struct model_text *b)
{
	return span_eq(model_text_as_span(a), model_text_as_span(b));
}

static size_t bucket_of(const struct model_envelope *ask)
{
	return backend_bucket(model_text_as_span(&ask->cluster));
}

/* The key has no query (BM-1) and no client (BM-2). */
static struct mux_entry *entry_of(struct model_backend *b, const struct model_envelope *ask)
{
	LIST_EACH (it, &b->table[bucket_of(ask)]) {
		struct mux_entry *e = CONTAINER_OF(it, struct mux_entry, of_table);
		if (same_text(&e->ask.path, &ask->path) && same_text(&e->ask.user, &ask->user) &&
		        same_text(&e->ask.cluster, &ask->cluster))
			return e;
	}
	return NULL;
}

static void failed(struct mux_entry *e, const char *why)
{
	struct model_text t = {0};
	model_text_printf(&t, "dialing WebSocket: %s", why);
	TEXT_LIT(&t, "\0");
	put_status(e->front, &e->ask, "error", t.p);
	put_error(e->front, &e->ask, t.p);
	model_text_fini(&t);
	entry_free(e);
}

static void ended(struct mux_entry *e)
{
	if (!e->silent)
		put_status(e->front, &e->ask, "closed", "");
	entry_free(e);
}

static void connected(struct mux_entry *e)
{
	struct front *f = e->front;
	struct mux_entry *old = entry_of(f->backend, &e->ask);
	if (old)
		list_unlink(&old->of_table); /* two dialed at once: the first lives on, unlisted */
	f->dialing = NULL;
	e->connected = true;
	e->silent = f->backend->mux == MUX_SILENT;
	e->deadline_ns = f->conn->now_ns + HEARTBEAT_NS;
	put_status(f, &e->ask, "connected", "");
	list_push(&f->backend->table[bucket_of(&e->ask)], &e->of_table);
	up_send(e, MODEL_WS_BINARY, model_text_as_span(&e->ask.data));
}

/* --- the dial --- */

static bool accepted(const struct mux_entry *e, struct span head)
{
	struct span line, name, value;
	if (!span_starts(head, SPAN("HTTP/1.1 101 ")))
		return false;
	head_line(&head, &line);
	while (head_line(&head, &line))
		if (head_field(line, &name, &value) && head_name_is(name, "Sec-WebSocket-Accept"))
			return span_is(value, e->accept);
	return false;
}

static bool take_answer(struct mux_entry *e)
{
	uint64_t now = e->front->conn->now_ns;
	struct span s = e->up->ops->peek(e->up, now);
	size_t had = e->head.n;
	model_text_span(&e->head, s);
	const char *end = e->head.n ? memmem(e->head.p, e->head.n, "\r\n\r\n", 4) : NULL;
	if (!end) {
		e->up->ops->consume(e->up, s.n, now);
		if (e->head.n > HEAD_BYTES_MAX)
			failed(e, "websocket: bad handshake");
		else if (s.n == 0 && e->up->ops->state(e->up, now) == MODEL_LINK_ENDED)
			failed(e, e->head.n ? "unexpected EOF" : "EOF");
		else
			return s.n > 0;
		return true;
	}
	size_t n = (size_t)(end - e->head.p) + 4;
	e->up->ops->consume(e->up, n - had, now);
	if (accepted(e, (struct span){e->head.p, n}))
		connected(e);
	else
		failed(e, "websocket: bad handshake");
	return true;
}

static bool dial_pump(struct mux_entry *e)
{
	uint64_t now = e->front->conn->now_ns;
	enum model_link_state state = e->up ? e->up->ops->state(e->up, now) : MODEL_LINK_DIALING;
	if (state == MODEL_LINK_FAILED) {
		char why[sizeof e->up->problem];
		memcpy(why, e->up->problem, sizeof why);
		failed(e, why);
		return true;
	}
	if (now >= e->deadline_ns) {
		failed(e, "context deadline exceeded");
		return true;
	}
	if (state == MODEL_LINK_DIALING)
		return false;
	if (!e->asked)
		up_ask(e);
	return take_answer(e);
}

/* --- a watch that is open --- */

static bool take_messages(struct mux_entry *e)
{
	enum model_ws_opcode opcode;
	struct span payload;
	struct front *f = e->front;
	while (f->conn->closed == MODEL_OPEN) {
		enum model_ws_got got = model_ws_next(&e->in, &opcode, &payload);
		if (got == MODEL_WS_MORE)
			return false;
		if (got == MODEL_WS_BROKEN || opcode == MODEL_WS_CLOSE) {
			if (got == MODEL_WS_MESSAGE) /* answered in kind */
				up_send(e, MODEL_WS_CLOSE,
				        (struct span){payload.p, payload.n < 2 ? 0 : 2});
			ended(e);
			return true;
		}
		if (opcode == MODEL_WS_PING)
			up_send(e, MODEL_WS_PONG, payload);
		else if (opcode != MODEL_WS_PONG)
			put_data(e, opcode == MODEL_WS_BINARY, payload);
	}
	return true;
}

static bool entry_pump(struct mux_entry *e)
{
	uint64_t now = e->front->conn->now_ns;
	if (!e->connected)
		return dial_pump(e);
	if (now >= e->deadline_ns) {
		e->deadline_ns = now + HEARTBEAT_NS;
		up_send(e, MODEL_WS_PING, SPAN_NONE);
	}
	struct span s = e->up->ops->peek(e->up, now);
	if (s.n == 0) {
		if (e->up->ops->state(e->up, now) != MODEL_LINK_ENDED)
			return false;
		ended(e);
		return true;
	}
	model_ws_in_feed(&e->in, s);
	e->up->ops->consume(e->up, s.n, now);
	take_messages(e);
	return true;
}

/* --- what the client sends --- */

static void request(struct front *f, struct model_envelope *ask)
{
	struct model_backend *b = f->backend;
	struct mux_entry *e = entry_of(b, ask);
	if (e) { /* nothing to the client; the cluster gets its bytes */
		up_send(e, MODEL_WS_BINARY, model_text_as_span(&ask->data));
		return;
	}
	struct context *x = backend_context(b, model_text_as_span(&ask->cluster));
	if (!x) { /* stateless contexts: never found (BM-12) */
		struct model_text t = {0};
		model_text_span(&t, model_text_as_span(&ask->cluster));
		model_text_span(&t, model_text_as_span(&ask->user));
		x = backend_context(b, model_text_as_span(&t));
		model_text_fini(&t);
	}
	if (!x || x->state == CONTEXT_INVALID) {
		put_error(f, ask, "getting cluster config: getting context: key not found");
		return;
	}
	e = calloc(1, sizeof *e);
	CHECK(e);
	e->front = f;
	e->context = x;
	e->ask = *ask;
	*ask = (struct model_envelope){0};
	e->in.limit = MESSAGE_BYTES_MAX;
	list_init(&e->of_table);
	list_push(&f->entries, &e->of_front);
	e->up = backend_dial(b, x, f->conn, f->conn->now_ns);
	if (e->up) {
		list_init(&e->up->ready_link);
		e->up->ready = &f->ready;
		e->up->entry = e;
	}
	e->deadline_ns = f->conn->now_ns + (e->up ? b->dial_ns : x->hang_ns);
	f->dialing = e;
}

static void close_watch(struct front *f, const struct model_envelope *ask)
{
	struct mux_entry *e = entry_of(f->backend, ask);
	if (!e)
		return;
	struct front *owner = e->front;
	ended(e);
	if (owner != f)
		model_conn_wake(owner->conn); /* not the sender's (BM-2) */
}

static bool cluster_name_is_empty(const struct model_text *name)
{
	for (size_t i = 0; i < name->n; i++) {
		char c = name->p[i], lower = (char)(c | 0x20);
		if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		        c == '_')
			return false;
	}
	return true;
}

static void message(struct front *f, struct span payload)
{
	struct model_envelope ask = {0};
	bool ok = model_envelope_read(&ask, payload) && ask.cluster.n && ask.path.n && ask.user.n &&
	          ask.type.n; /* else silence (BM-19) */
	struct span type = model_text_as_span(&ask.type);
	if (ok && span_is(type, "REQUEST") && cluster_name_is_empty(&ask.cluster)) {
		put_error(f, &ask, "invalid cluster name");
	} else if (ok && span_is(type, "REQUEST")) {
		request(f, &ask);
	} else if (ok && span_is(type, "CLOSE")) {
		close_watch(f, &ask);
	} else if (ok) {
		struct model_text t = {0};
		model_text_printf(&t, "unsupported message type: %.*s", SPAN_ARG(type));
		TEXT_LIT(&t, "\0");
		put_error(f, &ask, t.p);
		model_text_fini(&t);
	}
	model_envelope_fini(&ask);
}

static void client_closed(struct front *f, struct span body)
{
	char code[2] = {(char)(CLOSE_PROTOCOL_ERROR >> 8), (char)(CLOSE_PROTOCOL_ERROR & 255)};
	if (body.p)
		put_frame(f, MODEL_WS_CLOSE, (struct span){body.p, body.n < 2 ? 0 : 2});
	else
		put_frame(f, MODEL_WS_CLOSE, (struct span){code, 2});
	f->conn->closed = MODEL_CLOSED_CUT;
}

/* One frame of the client. While a dial is under way none is read, and no ping answered (BM-5). */
static bool read_client(struct front *f)
{
	struct model_conn *c = f->conn;
	enum model_ws_opcode opcode;
	struct span payload;
	if (f->dialing)
		return false;
	if (c->in.n) {
		model_ws_in_feed(&f->in, model_text_as_span(&c->in));
		model_text_fini(&c->in);
	}
	enum model_ws_got got = model_ws_next(&f->in, &opcode, &payload);
	if (got == MODEL_WS_MORE)
		return false;
	if (got == MODEL_WS_BROKEN || opcode == MODEL_WS_CLOSE)
		client_closed(f, got == MODEL_WS_BROKEN ? SPAN_NONE : payload);
	else if (opcode == MODEL_WS_PING)
		put_frame(f, MODEL_WS_PONG, payload);
	else if (opcode != MODEL_WS_PONG)
		message(f, payload);
	return true;
}

/* --- the whole --- */

void mux_start(struct front *f, struct span key, bool protocol)
{
	char accept[MODEL_WS_ACCEPT_BYTES + 1];
	struct model_text t = {0};
	model_ws_accept(key, accept);
	model_text_printf(&t,
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
	        "Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
	        accept, protocol ? "Sec-WebSocket-Protocol: headlamp.multiplexer.k8s.io\r\n" : "");
	model_reply_raw(f->conn, t.p, t.n);
	if (f->conn->hits)
		f->conn->hits->head_bytes = t.n;
	model_text_fini(&t);
	f->in.masked = true;
	f->in.limit = MESSAGE_BYTES_MAX;
	f->state = FRONT_MUX;
}

/* Pumps one entry; while it has something to do it stays on the list. True: something was done (and
 * the entry may be gone). */
static bool pump_one(struct mux_entry *e)
{
	struct front *f = e->front;
	if (e->up && list_empty(&e->up->ready_link))
		list_push(&f->ready, &e->up->ready_link);
	if (entry_pump(e))
		return true;
	uint64_t d = e->up ? e->up->ops->deadline_ns(e->up) : UINT64_MAX;
	if (e->up)
		list_unlink(&e->up->ready_link);
	if (e->deadline_ns < d)
		d = e->deadline_ns;
	if (d < f->next_ns)
		f->next_ns = d;
	return false;
}

/* Some entry's time has come: all are looked at. */
static void all_ready(struct front *f)
{
	f->next_ns = UINT64_MAX;
	LIST_EACH (it, &f->entries) {
		const struct mux_entry *e = CONTAINER_OF(it, struct mux_entry, of_front);
		if (e->up && list_empty(&e->up->ready_link))
			list_push(&f->ready, &e->up->ready_link);
	}
}

/* With thousands of watches on one socket, only those that have news are looked at. */
bool mux_pump(struct front *f)
{
	struct list due;
	list_init(&due);
	if (f->conn->now_ns >= f->next_ns)
		all_ready(f);
	for (struct list *n; (n = list_pop(&f->ready));)
		list_push(&due, n);
	bool did = f->dialing && pump_one(f->dialing);
	for (struct list *n; (n = list_pop(&due));) {
		struct mux_entry *e = CONTAINER_OF(n, struct model_link, ready_link)->entry;
		if (f->conn->closed == MODEL_OPEN &&
		        model_reply_pending(f->conn) < MODEL_PUMP_BYTES) {
			did |= pump_one(e);
			continue;
		}
		list_push(&f->ready, n);
		while ((n = list_pop(&due)))
			list_push(&f->ready, n);
		return true;
	}
	return f->conn->closed == MODEL_OPEN && (read_client(f) || did);
}

void mux_drop(struct front *f)
{
	for (struct list *n; (n = f->entries.next) != &f->entries;)
		entry_free(CONTAINER_OF(n, struct mux_entry, of_front));
}

uint64_t mux_deadline_ns(const struct front *f)
{
	return f->next_ns;
}

size_t mux_cut(struct front *f, const struct model_cluster *cluster, const struct model_kind *k,
        enum model_closed how)
{
	size_t n = 0;
	LIST_EACH (it, &f->entries)
		n += link_cut(CONTAINER_OF(it, struct mux_entry, of_front)->up, cluster, k, how);
	return n;
}
