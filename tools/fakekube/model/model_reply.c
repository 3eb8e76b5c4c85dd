/* Framing of answers as Go's net/http does it: a body that fits its buffer of 2,048 bytes has a
 * Content-Length, a longer one is chunked, and chunks are cut where that buffer runs full or is
 * flushed (recorded: 0x800, then the rest). */
#include "model/model_conn_priv.h"

#include "base/check.h"

#include <stdlib.h>
#include <zlib.h>

#define GO_BUFFER_BYTES  2048
#define CHUNK_LINE_BYTES 20 /* at most */
#define GZIP_FROM_BYTES  (128 * 1024)

static void out_take(struct model_conn *c)
{
	struct model_server *s = c->server;
	if (!c->out.p && s->spare_count)
		c->out = s->spare[--s->spare_count];
}

static void out_put(struct model_conn *c, const void *p, size_t n)
{
	out_take(c);
	model_text_put(&c->out, p, n);
}

void model_reply_raw(struct model_conn *c, const void *p, size_t n)
{
	out_put(c, p, n);
}

/* The line before a chunk of n bytes, so that it ends at end. Returns its length. */
static size_t put_chunk_line(char *end, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	char *at = end;
	*--at = '\n';
	*--at = '\r';
	for (size_t v = n; v; v >>= 4)
		*--at = hex[v & 15];
	return (size_t)(end - at);
}

static void put_chunk(struct model_conn *c, const void *p, size_t n)
{
	char line[CHUNK_LINE_BYTES];
	size_t line_bytes = put_chunk_line(line + sizeof line, n);
	out_put(c, line + sizeof line - line_bytes, line_bytes);
	out_put(c, p, n);
	out_put(c, "\r\n", 2);
}

static void chunk_flush(struct model_conn *c)
{
	struct model_text *b = &c->server->chunk;
	if (b->n)
		put_chunk(c, b->p, b->n);
	b->n = 0;
}

/* bufio.Writer.Write: what does not fit fills the buffer up and empties it; a large piece meets an
 * empty buffer and goes past it. */
static void chunk_write(struct model_conn *c, const char *p, size_t n)
{
	struct model_text *b = &c->server->chunk;
	while (n > GO_BUFFER_BYTES - b->n) {
		size_t k = n;
		if (b->n) {
			k = GO_BUFFER_BYTES - b->n;
			model_text_put(b, p, k);
			chunk_flush(c);
		} else {
			put_chunk(c, p, n);
		}
		p += k;
		n -= k;
	}
	model_text_put(b, p, n);
}

static void body_put(struct model_conn *c, const char *p, size_t n)
{
	if (c->reply.chunked)
		chunk_write(c, p, n);
	else
		out_put(c, p, n);
}

/* --- gzip --- */

static void gzip_open(struct model_reply *r)
{
	static gz_header go_header = {.os = 255}; /* as Go's writer: 1f8b08000000000004ff */
	r->z = calloc(1, sizeof *r->z);
	CHECK(r->z);
	CHECK(deflateInit2(r->z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	CHECK(deflateSetHeader(r->z, &go_header) == Z_OK);
}

static void gzip_put(struct model_conn *c, const void *p, size_t n, int flush)
{
	z_stream *z = c->reply.z;
	unsigned char buf[4096];
	union {
		const void *from;
		unsigned char *to;
	} in = {p}; /* zlib does not write there; its type says it might */
	z->next_in = in.to;
	z->avail_in = (unsigned)n;
	do {
		z->next_out = buf;
		z->avail_out = sizeof buf;
		int e = deflate(z, flush);
		CHECK(e == Z_OK || e == Z_STREAM_END || e == Z_BUF_ERROR);
		body_put(c, (const char *)buf, sizeof buf - z->avail_out);
	} while (z->avail_out == 0);
}

static void gzip_close(struct model_reply *r)
{
	if (!r->z)
		return;
	deflateEnd(r->z);
	free(r->z);
	r->z = NULL;
}

/* --- heads --- */

/* The order is that of Go: its map of fields sorted, then Date and the length. */
static void send_head(struct model_conn *c, bool chunked, size_t length)
{
	struct model_reply *r = &c->reply;
	struct model_server *s = c->server;
	struct model_text h = {0};
	const char *before = r->fields, *after = before ? before + strlen(before) + 1 : "";
	model_text_printf(
	        &h, "HTTP/1.1 %u %s\r\nAudit-Id: ", r->code, model_status_phrase(r->code));
	model_text_uuid(&h, prng_next(&s->random));
	TEXT_LIT(&h, "\r\nCache-Control: no-cache, private\r\n");
	if (r->z)
		TEXT_LIT(&h, "Content-Encoding: gzip\r\n");
	if (before)
		model_text_str(&h, before);
	model_text_printf(&h, "Content-Type: %s\r\n%s", r->type, after);
	if (r->z && !r->gzip_flush)
		TEXT_LIT(&h, "Vary: Accept-Encoding\r\n");
	if (r->code != 401) /* the flow is chosen after authentication */
		TEXT_LIT(&h,
		        "X-Kubernetes-Pf-Flowschema-Uid: e44a1834-61a6-4285-b874-c29e14f03ebb\r\n"
		        "X-Kubernetes-Pf-Prioritylevel-Uid: "
		        "16fd486a-a037-43bd-b7c3-ad8ff6f5970e\r\n");
	TEXT_LIT(&h, "Date: ");
	model_text_http_date(&h, model_conn_wall_s(c));
	if (!chunked)
		model_text_printf(&h, "\r\nContent-Length: %zu", length);
	if (r->close)
		TEXT_LIT(&h, "\r\nConnection: close");
	if (chunked)
		TEXT_LIT(&h, "\r\nTransfer-Encoding: chunked");
	TEXT_LIT(&h, "\r\n\r\n");
	out_put(c, h.p, h.n);
	if (c->hits)
		c->hits->head_bytes = h.n;
	model_text_fini(&h);
	r->head_sent = true;
	r->chunked = chunked;
}

void model_reply_begin(struct model_conn *c, const struct model_head *h)
{
	struct model_reply *r = &c->reply;
	CHECK(!r->open && c->server->chunk.n == 0);
	r->code = (uint16_t)h->code;
	r->type = h->type ? h->type : "application/json";
	r->open = true;
	r->head_sent = r->chunked = false;
	r->may_gzip = h->may_gzip;
	r->gzip_flush = h->gzip_stream;
	r->close = h->close || !c->keep;
	if (h->before || h->after) {
		size_t b = h->before ? strlen(h->before) : 0, a = h->after ? strlen(h->after) : 0;
		r->fields = calloc(1, b + a + 2);
		CHECK(r->fields);
		memcpy(r->fields, b ? h->before : "", b);
		memcpy(r->fields + b + 1, a ? h->after : "", a);
	}
	r->framed = h->stream && c->upgrade;
	if (r->framed) {
		r->head_sent = r->close = true;
		model_upgrade_head(c);
		return;
	}
	if (h->gzip_stream || model_conn_hit(c, MODEL_FAULT_GZIP_UNASKED))
		gzip_open(r);
	if (h->stream)
		send_head(c, true, 0);
}

void model_reply_write(struct model_conn *c, const void *p, size_t n)
{
	struct model_reply *r = &c->reply;
	CHECK(r->open);
	if (r->framed) {
		model_upgrade_frame(c, MODEL_WS_TEXT, p, n);
		return;
	}
	if (!r->head_sent) {
		model_text_put(&r->pre, p, n);
		if (r->pre.n <= (r->may_gzip ? GZIP_FROM_BYTES : GO_BUFFER_BYTES))
			return;
		if (r->may_gzip && !r->z)
			gzip_open(r);
		send_head(c, true, 0);
		p = r->pre.p;
		n = r->pre.n;
	}
	if (r->z)
		gzip_put(c, p, n, Z_NO_FLUSH);
	else
		body_put(c, p, n);
	model_text_fini(&r->pre);
}

struct model_text *model_reply_in_place(struct model_conn *c)
{
	const struct model_reply *r = &c->reply;
	if (!r->open || !r->chunked || !r->head_sent || r->z || r->framed || c->server->chunk.n ||
	        c->out.n)
		return NULL;
	out_take(c);
	model_text_reserve(&c->out, CHUNK_LINE_BYTES);
	c->out.n = c->out_at = CHUNK_LINE_BYTES;
	return &c->out;
}

void model_reply_written(struct model_conn *c)
{
	size_t n = c->out.n - CHUNK_LINE_BYTES;
	if (n > GO_BUFFER_BYTES) {
		c->out_at -= put_chunk_line(c->out.p + CHUNK_LINE_BYTES, n);
		out_put(c, "\r\n", 2);
		return;
	}
	c->out.n = c->out_at = 0;
	chunk_write(c, c->out.p + CHUNK_LINE_BYTES, n);
}

void model_reply_flush(struct model_conn *c)
{
	struct model_reply *r = &c->reply;
	if (!r->head_sent || r->framed)
		return;
	if (r->z && r->gzip_flush && r->z->total_in) {
		gzip_put(c, NULL, 0, Z_FINISH);
		CHECK(deflateReset(r->z) == Z_OK);
	}
	chunk_flush(c);
}

static void reply_close(struct model_conn *c)
{
	struct model_reply *r = &c->reply;
	gzip_close(r);
	model_text_fini(&r->pre);
	free(r->fields);
	r->fields = NULL;
	r->open = r->framed = false;
	if (r->close && c->closed == MODEL_OPEN)
		c->closed = MODEL_CLOSED_FIN;
}

void model_reply_end(struct model_conn *c)
{
	struct model_reply *r = &c->reply;
	CHECK(r->open);
	if (r->framed)
		model_upgrade_frame(c, MODEL_WS_CLOSE, "\x03\xe8", 2); /* 1000 */
	if (!r->head_sent) {
		bool chunked = r->pre.n > GO_BUFFER_BYTES || r->z;
		send_head(c, chunked, r->pre.n);
		if (r->z)
			gzip_put(c, r->pre.p, r->pre.n, Z_NO_FLUSH);
		else
			body_put(c, r->pre.p, r->pre.n);
	}
	if (r->z && (!r->gzip_flush || r->z->total_in))
		gzip_put(c, NULL, 0, Z_FINISH);
	if (r->chunked) {
		chunk_flush(c);
		out_put(c, "0\r\n\r\n", 5);
	}
	reply_close(c);
}

void model_reply_abort(struct model_conn *c)
{
	c->server->chunk.n = 0;
	if (c->closed == MODEL_OPEN)
		c->closed = MODEL_CLOSED_CUT;
	if (c->reply.open)
		reply_close(c);
}

void model_reply_whole(struct model_conn *c, const struct model_head *h, struct span body)
{
	model_reply_begin(c, h);
	model_reply_write(c, body.p, body.n);
	model_reply_end(c);
}

void model_reply_status(struct model_conn *c, const struct model_status *s, bool pretty)
{
	struct model_text t = {0};
	model_status_json(s, pretty, &t);
	if (!pretty)
		TEXT_LIT(&t, "\n");
	model_reply_whole(c, &(struct model_head){.code = s->code}, model_text_as_span(&t));
	model_text_fini(&t);
}
