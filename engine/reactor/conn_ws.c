#include "reactor/conn_ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reactor/core.h"

static struct reactor *reactor_of(const struct conn *c)
{
	return c->cluster->reactor;
}

void conn_ws_free(struct conn_ws **wp)
{
	struct conn_ws *w = *wp;
	*wp = NULL;
	if (!w)
		return;
	ws_fini(&w->parser);
	if (w->protocols)
		explicit_bzero(w->protocols, strlen(w->protocols)); /* it may hold a token */
	free(w->protocols);
	free(w);
}

bool conn_ws_is_open(const struct conn *c)
{
	return c->ws && c->ws->open;
}

/* --- asking ------------------------------------------------------------------------------------
 */

static bool join(struct conn_ws *w, const struct conn_upgrade *u)
{
	size_t n = 1;
	for (size_t i = 0; i < u->protocol_count; i++)
		n += u->protocols[i].n + 2;
	char *p = w->protocols = malloc(n);
	if (!p)
		return false;
	for (size_t i = 0; i < u->protocol_count; i++) {
		if (i) {
			memcpy(p, ", ",
			        2); /* Headlamp finds its own protocols only by comma and space */
			p += 2;
		}
		w->offered[i] = (struct span){p, u->protocols[i].n};
		memcpy(p, u->protocols[i].p, u->protocols[i].n);
		p += u->protocols[i].n;
	}
	*p = 0;
	w->offered_count = u->protocol_count;
	return true;
}

static struct conn_ws *ws_new(struct reactor *r, const struct conn_upgrade *u)
{
	struct conn_ws *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	/* json/ validates every document that is in a message: once is enough. */
	ws_init(&w->parser, &r->ws_limits, false);
	uint8_t nonce[WS_NONCE_BYTES];
	for (size_t i = 0; i < sizeof nonce; i++)
		nonce[i] = (uint8_t)prng_next(&r->rng);
	ws_key(nonce, w->key);
	w->pong_s = u->pong_s ? u->pong_s : CONN_PONG_S;
	if (!join(w, u))
		conn_ws_free(&w);
	return w;
}

err_t conn_upgrade(struct conn *c, const struct conn_upgrade *u, struct errmsg *m)
{
	CHECK(!c->ws && u->protocol_count <= WS_PROTOCOLS_MAX);
	struct conn_ws *w = ws_new(reactor_of(c), u);
	if (!w)
		return errmsg_set(m, ERR_NO_MEMORY, "WebSocket");
	char origin[300];
	/* A kube-apiserver refuses a WebSocket without Origin by a bare 403; any will do. */
	int n = snprintf(origin, sizeof origin, "http%s://%s", c->cluster->spec.tls ? "s" : "",
	        c->cluster->spec.host);
	if (n < 0 || (size_t)n >= sizeof origin) {
		conn_ws_free(&w);
		return errmsg_set(m, ERR_LIMIT, "the server's name is too long");
	}
	const struct auth *a = c->cluster->auth;
	struct http1_field fields[CONN_FIELDS_MAX] = {{SPAN("Upgrade"), SPAN("websocket")},
	        {SPAN("Connection"), SPAN("Upgrade")}, {SPAN("Sec-WebSocket-Version"), SPAN("13")},
	        {SPAN("Sec-WebSocket-Key"), {w->key, WS_KEY_BYTES}},
	        {SPAN("Origin"), span_of(origin)}};
	size_t count = 5;
	if (w->offered_count)
		fields[count++] =
		        (struct http1_field){SPAN("Sec-WebSocket-Protocol"), span_of(w->protocols)};
	if (a && a->upgrade_cookie)
		fields[count++] = (struct http1_field){SPAN("Cookie"), span_of(a->upgrade_cookie)};
	struct http1_request q = {.target = u->target, .accept = u->accept};
	c->ws = w;
	err_t err = conn_ask(c, &q, fields, count, HTTP1_UPGRADE, m);
	if (err)
		conn_ws_free(&c->ws);
	return err;
}

void conn_ws_on_head(struct conn *c, const struct http1_head *h)
{
	struct reactor *r = reactor_of(c);
	struct conn_ws *w = c->ws;
	struct errmsg m = {0};
	if (h->status != 101) {
		conn_ws_free(&c->ws);
		c->user->on_head(c->arg, c, h);
		return;
	}
	err_t err = ws_check_upgrade(h, w->key, w->offered, w->offered_count, &m);
	if (err) {
		conn_lost(c, err, m.text);
		return;
	}
	w->open = true;
	w->heard_ns = r->now_ns;
	wheel_set(&r->wheel, &c->timer, r->now_ns + CONN_PING_S * KUBE_S);
	c->user->on_head(c->arg, c, h);
}

/* --- frames out --------------------------------------------------------------------------------
 */

/* Masks keep scripts in browsers from writing what a proxy would take for HTTP (RFC 6455 10.3). Our
 * messages are our own, so the reactor's jitter is good enough. */
static void mask_of(struct reactor *r, uint8_t mask[4])
{
	uint64_t x = prng_next(&r->rng);
	memcpy(mask, &x, 4);
}

static err_t send_frame(struct conn *c, enum ws_opcode op, struct span payload, struct errmsg *m)
{
	struct reactor *r = reactor_of(c);
	uint8_t mask[4];
	mask_of(r, mask);
	size_t n = ws_write_frame(op, payload, mask, r->request, CORE_REQUEST_BYTES);
	if (!n)
		return errmsg_set(m, ERR_LIMIT, "message of %zu bytes", payload.n);
	return conn_write(c, r->request, n, m);
}

err_t conn_send_text(struct conn *c, struct span text)
{
	struct errmsg m = {0};
	CHECK(conn_ws_is_open(c));
	return c->state == CONN_OPEN ? send_frame(c, WS_TEXT, text, &m) : ERR_CONN_CLOSED;
}

static void send_close(struct conn *c, uint16_t code)
{
	struct reactor *r = reactor_of(c);
	struct errmsg m = {0};
	uint8_t mask[4];
	mask_of(r, mask);
	size_t n = ws_write_close(code, SPAN_NONE, mask, r->request, CORE_REQUEST_BYTES);
	if (n && c->state == CONN_OPEN)
		(void)!conn_write(c, r->request, n, &m);
}

/* --- messages in -------------------------------------------------------------------------------
 */

/* 1000 is the end of a watch, 1001 a server that goes down in order, 1005 a close without a code.
 */
static void on_close(struct conn *c, const struct ws_event *ev)
{
	char text[ERRMSG_BYTES];
	bool orderly = ev->code == 1000 || ev->code == 1001 || ev->code == 1005;
	snprintf(text, sizeof text, "WebSocket closed by the server with code %u: %.*s", ev->code,
	        SPAN_ARG(ev->data));
	send_close(c, orderly ? 1000 : ev->code);
	if (c->state == CONN_CLOSING)
		return;
	if (!orderly) {
		conn_lost(c, ERR_WS_CLOSED, text);
		return;
	}
	c->user->on_body_end(c->arg, c, false);
	conn_close(c);
}

/* The last ping of what came at once. Of several the last is answered (RFC 6455 5.5.3): a server
 * must not make us send, and encrypt, a frame for every two bytes of its own. */
struct last_ping {
	bool is_there;
	uint8_t bytes;
	char payload[WS_CONTROL_MAX];
};

static void pong(struct conn *c, const struct last_ping *p)
{
	struct errmsg m = {0};
	err_t err = send_frame(c, WS_PONG, (struct span){p->payload, p->bytes}, &m);
	if (err && c->state != CONN_CLOSING)
		conn_lost(c, err, m.text);
}

static void on_event(struct conn *c, const struct ws_event *ev, struct last_ping *p)
{
	switch (ev->type) {
	case WS_EV_MESSAGE: c->user->on_message(c->arg, c, ev->data); break;
	case WS_EV_PING:
		p->is_there = true;
		p->bytes = (uint8_t)ev->data.n;
		if (ev->data.n)
			memcpy(p->payload, ev->data.p, ev->data.n);
		break;
	case WS_EV_PONG: break;
	case WS_EV_CLOSE: on_close(c, ev); break;
	}
}

void conn_ws_on_bytes(struct conn *c, struct span data)
{
	struct reactor *r = reactor_of(c);
	struct conn_ws *w = c->ws;
	w->heard_ns = r->now_ns;
	if (w->pinged_ns) /* else the silence that follows would be found only after pong_s more */
		wheel_set(&r->wheel, &c->timer, r->now_ns + CONN_PING_S * KUBE_S);
	w->pinged_ns = 0;
	struct last_ping ping;
	ping.is_there = false; /* the rest is written before it is read */
	while (c->state == CONN_OPEN) {
		struct ws_event ev;
		size_t used = 0;
		enum ws_result res = ws_feed(&w->parser, data.p, data.n, &used, &ev);
		data.p += used;
		data.n -= used;
		if (res == WS_NEED_MORE)
			break;
		if (res == WS_ERROR) {
			struct errmsg m = {0};
			err_t err = ws_error(&w->parser, &m);
			send_close(c, ws_close_code(&w->parser));
			conn_lost(c, err, m.text);
			return;
		}
		on_event(c, &ev, &ping);
	}
	if (ping.is_there && c->state == CONN_OPEN)
		pong(c, &ping);
}

/* Keepalive of TCP finds a dead host; this finds a proxy that lives before a dead server. */
void conn_ws_on_timer(struct conn *c)
{
	struct reactor *r = reactor_of(c);
	struct conn_ws *w = c->ws;
	struct errmsg m = {0};
	uint64_t next = w->heard_ns + CONN_PING_S * KUBE_S;
	if (w->pinged_ns) {
		conn_lost(c, ERR_CONN_SILENT, "no answer to a WebSocket ping");
		return;
	}
	if (r->now_ns >= next) {
		err_t err = send_frame(c, WS_PING, SPAN_NONE, &m);
		if (err || c->state != CONN_OPEN) {
			conn_lost(c, err ? err : ERR_CONN_RESET, m.text);
			return;
		}
		w->pinged_ns = r->now_ns;
		next = r->now_ns + w->pong_s * KUBE_S;
	}
	wheel_set(&r->wheel, &c->timer, next);
}
