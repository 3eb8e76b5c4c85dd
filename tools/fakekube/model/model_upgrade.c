/* A watch over a WebSocket, as kube-apiserver serves it with golang.org/x/net/websocket
 * (recorded): a bare refusal, or 101 and one text frame per event. */
#include "model/model_conn_priv.h"

#include "base/check.h"

#include <stdlib.h>

#define MESSAGE_BYTES_MAX (256 * 1024)

enum { CLOSE_NORMAL = 1000, CLOSE_PROTOCOL_ERROR = 1002 };

static bool refuse(struct model_conn *c, struct span head)
{
	model_reply_raw(c, head.p, head.n);
	if (c->hits)
		c->hits->head_bytes = head.n;
	c->closed = MODEL_CLOSED_FIN;
	return false;
}

bool model_upgrade_admit(struct model_conn *c, const struct model_request *r)
{
	if (!r->upgrade)
		return true;
	const char *comma = r->protocols.n ? memchr(r->protocols.p, ',', r->protocols.n) : NULL;
	size_t first = comma ? (size_t)(comma - r->protocols.p) : 0;
	if (!r->has_origin)
		return refuse(c, SPAN("HTTP/1.1 403 Forbidden\r\n\r\n"));
	if (r->ws_key.n == 0 || (comma && first + 1 < r->protocols.n))
		return refuse(c, SPAN("HTTP/1.1 400 Bad Request\r\n\r\n"));
	c->upgrade = calloc(1, sizeof *c->upgrade);
	CHECK(c->upgrade);
	model_ws_accept(r->ws_key, c->upgrade->accept);
	c->upgrade->in.masked = true;
	c->upgrade->in.limit = MESSAGE_BYTES_MAX;
	if (first) {
		model_text_put(&c->upgrade->protocol, r->protocols.p, first);
		TEXT_LIT(&c->upgrade->protocol, "\0");
	}
	return true;
}

void model_upgrade_head(struct model_conn *c)
{
	struct model_text h = {0};
	model_text_printf(&h,
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
	        "Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
	        c->upgrade->accept);
	if (c->upgrade->protocol.n)
		model_text_printf(&h, "Sec-WebSocket-Protocol: %s\r\n", c->upgrade->protocol.p);
	TEXT_LIT(&h, "\r\n");
	model_reply_raw(c, h.p, h.n);
	if (c->hits)
		c->hits->head_bytes = h.n;
	model_text_fini(&h);
	c->keep = false; /* nothing after it */
}

void model_upgrade_frame(struct model_conn *c, enum model_ws_opcode opcode, const void *p, size_t n)
{
	struct model_text *t = &c->server->chunk; /* unused by a stream of frames */
	t->n = 0;
	model_ws_put(t, opcode, (struct span){p, n}, NULL);
	model_reply_raw(c, t->p, t->n);
	t->n = 0;
}

static void close_with(struct model_conn *c, unsigned code)
{
	char body[2] = {(char)(code >> 8), (char)code};
	model_upgrade_frame(c, MODEL_WS_CLOSE, body, 2);
}

/* The close frame is Go's own, and always says 1000: what the client's frame said is not looked at.
 */
static void client_ended(struct model_conn *c, bool broken)
{
	if (broken)
		close_with(c, CLOSE_PROTOCOL_ERROR);
	if (c->reply.open)
		model_reply_end(c);
}

void model_upgrade_read(struct model_conn *c)
{
	if (!c->reply.open || !c->reply.framed)
		return; /* the head is not sent yet */
	model_ws_in_feed(&c->upgrade->in, model_text_as_span(&c->in));
	model_text_fini(&c->in);
	enum model_ws_opcode opcode;
	struct span payload;
	for (;;) {
		enum model_ws_got got = model_ws_next(&c->upgrade->in, &opcode, &payload);
		if (got == MODEL_WS_MORE)
			return;
		if (got == MODEL_WS_BROKEN || opcode == MODEL_WS_CLOSE) {
			client_ended(c, got == MODEL_WS_BROKEN);
			return;
		}
		if (opcode == MODEL_WS_PING)
			model_upgrade_frame(c, MODEL_WS_PONG, payload.p, payload.n);
	}
}

void model_upgrade_free(struct model_conn *c)
{
	struct model_upgrade *u = c->upgrade;
	c->upgrade = NULL;
	if (!u)
		return;
	model_text_fini(&u->protocol);
	model_ws_in_fini(&u->in);
	free(u);
}
