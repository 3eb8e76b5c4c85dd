/* Passing an answer of a cluster on: as Go's ReverseProxy does it. The body goes on byte for byte
 * as it comes, so each event of a watch at once; its framing is followed to know whether it was
 * whole. */
#include "model/model_backend_priv.h"

#include "base/check.h"
#include "model/model_word.h"

#include <stdlib.h>

#define ANSWER_HEAD_MAX (1u << 20)
#define INTERIMS_MAX    5

/* --- where a body ends --- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of the framing. */
static void chunk_byte(struct body_track *b, char c)
{
	int d = hex_digit(c);
	switch (b->part) {
	case CHUNK_SIZE:
		if (d >= 0 && b->left <= UINT64_MAX >> 8) {
			b->left = b->left << 4 | (uint64_t)d;
			b->line++;
			return;
		}
		b->broken = d >= 0 || b->line == 0 || (c != '\r' && c != '\n' && c != ';');
		b->part = CHUNK_EXTENSION;
		if (c != '\n')
			return;
		/* fallthrough */
	case CHUNK_EXTENSION:
		if (c == '\n') {
			b->part = b->left ? CHUNK_DATA : CHUNK_TRAILER;
			b->line = 0;
		}
		return;
	case CHUNK_DATA_END:
		b->broken = c != '\r' && c != '\n';
		if (c == '\n') {
			b->part = CHUNK_SIZE;
			b->line = 0;
		}
		return;
	case CHUNK_TRAILER:
		if (c == '\n') {
			b->done = b->line == 0;
			b->line = 0;
		} else if (c != '\r') {
			b->line++;
		}
		return;
	case CHUNK_DATA: return;
	}
}

static size_t chunks_take(struct body_track *b, const char *p, size_t n)
{
	size_t at = 0;
	while (at < n && !b->done && !b->broken) {
		if (b->part != CHUNK_DATA) {
			chunk_byte(b, p[at++]);
			continue;
		}
		size_t k = n - at < b->left ? n - at : (size_t)b->left;
		at += k;
		b->left -= k;
		if (b->left == 0)
			b->part = CHUNK_DATA_END;
	}
	return at;
}

/* Bytes of p that belong to the body. */
static size_t body_take(struct body_track *b, const char *p, size_t n)
{
	if (b->done)
		return 0;
	if (b->form == BODY_CHUNKED)
		return chunks_take(b, p, n);
	if (b->form != BODY_LENGTH)
		return b->form == BODY_TO_END ? n : 0;
	size_t k = n < b->left ? n : (size_t)b->left;
	b->left -= k;
	b->done = b->left == 0;
	return k;
}

/* --- the way there --- */

void relay_start(
        struct front *f, struct context *x, bool upgrade, bool head_only, uint64_t body_bytes)
{
	struct relay *r = &f->relay;
	struct model_conn *c = f->conn;
	r->context = x;
	r->upgrade = upgrade;
	r->head_only = head_only;
	r->body_left = body_bytes;
	r->up = backend_dial(f->backend, x, c, c->now_ns);
	r->deadline_ns = c->now_ns + (r->up ? f->backend->dial_ns : x->hang_ns);
	f->state = FRONT_RELAY;
}

void relay_drop(struct front *f)
{
	struct relay *r = &f->relay;
	if (r->up)
		r->up->ops->free(r->up);
	model_text_fini(&r->ask);
	model_text_fini(&r->answer);
	*r = (struct relay){0};
}

static void next(struct front *f)
{
	relay_drop(f);
	f->state = FRONT_HTTP;
	if (!f->keep && f->conn->closed == MODEL_OPEN)
		f->conn->closed = MODEL_CLOSED_FIN;
}

static bool bad_gateway(struct front *f)
{
	f->keep = f->keep && f->relay.body_left == 0;
	relay_drop(f);
	f->state = FRONT_HTTP;
	front_answer(f, 502, "", SPAN_NONE);
	return true;
}

static bool send_body(struct front *f)
{
	struct relay *r = &f->relay;
	struct model_conn *c = f->conn;
	size_t n = c->in.n < r->body_left ? c->in.n : (size_t)r->body_left;
	if (n == 0)
		return false;
	r->up->ops->send(r->up, (struct span){c->in.p, n}, c->now_ns);
	memmove(c->in.p, c->in.p + n, c->in.n - n);
	c->in.n -= n;
	r->body_left -= n;
	return true;
}

/* --- the head of the answer --- */

struct answer_head {
	unsigned code;
	struct span accept, protocol;
	uint64_t length;
	bool has_length, chunked, close;
};

static bool answer_field(struct answer_head *h, struct span name, struct span value)
{
	if (head_name_is(name, "Content-Length")) {
		uint64_t n;
		if (!model_word_u64(value, &n) || (h->has_length && n != h->length))
			return false;
		h->length = n;
		h->has_length = true;
	} else if (head_name_is(name, "Transfer-Encoding")) {
		h->chunked = head_name_is(value, "chunked");
		return h->chunked;
	} else if (head_name_is(name, "Sec-WebSocket-Accept")) {
		h->accept = value;
	} else if (head_name_is(name, "Sec-WebSocket-Protocol")) {
		h->protocol = value;
	}
	return true;
}

static bool answer_read(struct answer_head *h, struct span head)
{
	struct span line, name, value;
	*h = (struct answer_head){0};
	if (!head_line(&head, &line) || line.n < 12 || !span_starts(line, SPAN("HTTP/1.")))
		return false;
	for (int i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return false;
		h->code = h->code * 10 + (unsigned)(line.p[i] - '0');
	}
	while (head_line(&head, &line))
		if (line.p[0] == ' ' || line.p[0] == '\t')
			continue; /* folded: Go takes it */
		else if (!head_field(line, &name, &value) || !answer_field(h, name, value))
			return false;
	return true;
}

static void put_101(struct front *f, const struct answer_head *h)
{
	struct model_text t = {0};
	model_text_printf(&t,
	        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
	        "Sec-Websocket-Accept: %.*s\r\n",
	        SPAN_ARG(h->accept));
	if (h->protocol.n)
		model_text_printf(&t, "Sec-Websocket-Protocol: %.*s\r\n", SPAN_ARG(h->protocol));
	TEXT_LIT(&t, "Upgrade: websocket\r\n\r\n");
	model_reply_raw(f->conn, t.p, t.n);
	if (f->conn->hits)
		f->conn->hits->head_bytes = t.n;
	model_text_fini(&t);
	f->state = FRONT_SPLICE;
}

/* The fields go on but for those of the connection. A body that only the end of the connection
 * bounds is chunked. */
static void put_head(struct front *f, const struct answer_head *h, struct span head)
{
	struct relay *r = &f->relay;
	struct model_text t = {0};
	struct span line, name, value;
	bool dated = false;
	head_line(&head, &line);
	model_text_printf(&t, "%.*s\r\n", SPAN_ARG(line));
	while (head_line(&head, &line)) {
		bool ok = head_field(line, &name, &value);
		if (ok && (head_name_is(name, "Connection") || head_name_is(name, "Keep-Alive")))
			continue;
		dated |= ok && head_name_is(name, "Date");
		model_text_printf(&t, "%.*s\r\n", SPAN_ARG(line));
	}
	if (!dated) {
		TEXT_LIT(&t, "Date: ");
		model_text_http_date(&t, model_conn_wall_s(f->conn));
		TEXT_LIT(&t, "\r\n");
	}
	bool empty = h->code == 204 || h->code == 304 || r->head_only;
	r->body.form = empty           ? BODY_NONE
	               : h->chunked    ? BODY_CHUNKED
	               : h->has_length ? BODY_LENGTH
	                               : BODY_TO_END;
	r->body.left = r->body.form == BODY_LENGTH ? h->length : 0;
	r->body.done = empty || (r->body.form == BODY_LENGTH && h->length == 0);
	if (r->body.form == BODY_TO_END)
		TEXT_LIT(&t, "Transfer-Encoding: chunked\r\n");
	if (!f->keep)
		TEXT_LIT(&t, "Connection: close\r\n");
	TEXT_LIT(&t, "\r\n");
	model_reply_raw(f->conn, t.p, t.n);
	if (f->conn->hits)
		f->conn->hits->head_bytes = t.n;
	model_text_fini(&t);
}

/* Looks for the end of the head. False: it is not here yet. */
static bool take_head(struct front *f)
{
	struct relay *r = &f->relay;
	struct model_conn *c = f->conn;
	struct span s = r->up->ops->peek(r->up, c->now_ns);
	size_t had = r->answer.n;
	model_text_span(&r->answer, s);
	const char *end = r->answer.n ? memmem(r->answer.p, r->answer.n, "\r\n\r\n", 4) : NULL;
	size_t n = end ? (size_t)(end - r->answer.p) + 4 : r->answer.n;
	r->up->ops->consume(r->up, n - had, c->now_ns);
	r->answer.n = n;
	if (!end) {
		if (r->answer.n > ANSWER_HEAD_MAX)
			return bad_gateway(f);
		if (s.n == 0 && r->up->ops->state(r->up, c->now_ns) == MODEL_LINK_ENDED)
			return bad_gateway(f);
		return s.n > 0;
	}
	struct answer_head h;
	struct span head = {r->answer.p, n};
	if (!answer_read(&h, head) || (h.code == 101 && !r->upgrade))
		return bad_gateway(f);
	if (h.code > 101 || h.code < 100 || h.code == 101) {
		r->headed = true;
		if (h.code == 101)
			put_101(f, &h);
		else
			put_head(f, &h, head);
	} else if (++r->interims > INTERIMS_MAX) {
		return bad_gateway(f);
	}
	r->answer.n = 0; /* after 100 Continue, another head comes */
	return true;
}

/* --- the body --- */

static void put_piece(struct front *f, const char *p, size_t n)
{
	if (f->relay.body.form != BODY_TO_END) {
		model_reply_raw(f->conn, p, n);
		return;
	}
	struct model_text t = {0};
	model_text_printf(&t, "%zx\r\n", n);
	model_text_put(&t, p, n);
	TEXT_LIT(&t, "\r\n");
	model_reply_raw(f->conn, t.p, t.n);
	model_text_fini(&t);
}

static bool take_body(struct front *f)
{
	struct relay *r = &f->relay;
	struct model_conn *c = f->conn;
	if (r->body.done) {
		next(f);
		return true;
	}
	struct span s = r->up->ops->peek(r->up, c->now_ns);
	if (s.n) {
		size_t n = body_take(&r->body, s.p, s.n);
		put_piece(f, s.p, n);
		r->up->ops->consume(r->up, s.n, c->now_ns);
		if (r->body.broken)
			c->closed = MODEL_CLOSED_CUT;
		return true;
	}
	if (r->up->ops->state(r->up, c->now_ns) != MODEL_LINK_ENDED)
		return false;
	if (r->body.form == BODY_TO_END) {
		model_reply_raw(c, "0\r\n\r\n", 5);
		next(f);
	} else {
		c->closed = MODEL_CLOSED_CUT; /* without the terminator, as it came */
	}
	return true;
}

/* --- a WebSocket --- */

static bool splice(struct front *f)
{
	struct relay *r = &f->relay;
	struct model_conn *c = f->conn;
	bool did = c->in.n > 0;
	if (did)
		r->up->ops->send(r->up, model_text_as_span(&c->in), c->now_ns);
	model_text_fini(&c->in);
	struct span s = r->up->ops->peek(r->up, c->now_ns);
	model_reply_raw(c, s.p, s.n);
	r->up->ops->consume(r->up, s.n, c->now_ns);
	if (s.n == 0 && r->up->ops->state(r->up, c->now_ns) == MODEL_LINK_ENDED)
		c->closed = MODEL_CLOSED_CUT;
	return did || s.n;
}

bool relay_pump(struct front *f)
{
	struct relay *r = &f->relay;
	uint64_t now = f->conn->now_ns;
	if (!r->up)
		return now >= r->deadline_ns && bad_gateway(f);
	enum model_link_state state = r->up->ops->state(r->up, now);
	if (state == MODEL_LINK_FAILED)
		return bad_gateway(f);
	if (state == MODEL_LINK_DIALING)
		return now >= r->deadline_ns && bad_gateway(f);
	if (!r->asked) {
		r->asked = true;
		r->up->ops->send(r->up, model_text_as_span(&r->ask), now);
		model_text_fini(&r->ask);
	}
	if (f->state == FRONT_SPLICE)
		return splice(f);
	if (send_body(f))
		return true;
	return r->headed ? take_body(f) : take_head(f);
}

uint64_t relay_deadline_ns(const struct front *f)
{
	const struct relay *r = &f->relay;
	if (!r->up)
		return r->deadline_ns;
	uint64_t d = r->up->ops->deadline_ns(r->up);
	return !r->asked && r->deadline_ns < d ? r->deadline_ns : d;
}
