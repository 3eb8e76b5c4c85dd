#include "wire/http1.h"

#include "base/check.h"
#include "wire/http1_head.h"

#include <stdlib.h>

/* States, and what each waits for:
 *
 *   IDLE         http1_begin()
 *   HEAD         the empty line of a head ──(1xx: again)
 *   CHUNK_SIZE   the end of the digits
 *   CHUNK_BWS    ';' after white space          CHUNK_EXT   CR
 *   CHUNK_LF     LF of the size line; size 0 → TRAILER, else CHUNK_DATA
 *   CHUNK_DATA   _left bytes → CHUNK_CR → CHUNK_NL → CHUNK_SIZE
 *   TRAILER      the empty line of the trailers → END
 *   LENGTH       _left bytes → END
 *   UNTIL_EOF    http1_eof()
 *   END          the next call, which reports it → IDLE
 *   RAW, FAILED  nothing; they stay
 */
enum state {
	ST_IDLE,
	ST_HEAD,
	ST_CHUNK_SIZE,
	ST_CHUNK_BWS,
	ST_CHUNK_EXT,
	ST_CHUNK_LF,
	ST_CHUNK_DATA,
	ST_CHUNK_CR,
	ST_CHUNK_NL,
	ST_TRAILER,
	ST_LENGTH,
	ST_UNTIL_EOF,
	ST_END,
	ST_RAW,
	ST_FAILED,
};

enum { CARRY_BYTES_FIRST = 1024 };

const struct http1_limits http1_limits_default = {
        .line_bytes_max = 8 * 1024,
        .head_bytes_max = 64 * 1024,
        .trailer_bytes_max = 8 * 1024,
        .chunk_ext_bytes_max = 1024,
        .header_count_max = 128,
        .interim_count_max = 8,
};

/* Value of a hex digit, plus 1; 0 for all other bytes. */
static const uint8_t hex_value[256] = {
        ['0'] = 1,
        ['1'] = 2,
        ['2'] = 3,
        ['3'] = 4,
        ['4'] = 5,
        ['5'] = 6,
        ['6'] = 7,
        ['7'] = 8,
        ['8'] = 9,
        ['9'] = 10,
        ['a'] = 11,
        ['b'] = 12,
        ['c'] = 13,
        ['d'] = 14,
        ['e'] = 15,
        ['f'] = 16,
        ['A'] = 11,
        ['B'] = 12,
        ['C'] = 13,
        ['D'] = 14,
        ['E'] = 15,
        ['F'] = 16,
};

/* The fed bytes, shrinking from the front. */
struct cursor {
	const char *p, *end;
};

static inline size_t left_in(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static void drop_carry(struct http1_parser *p)
{
	free(p->_carry);
	p->_carry = NULL;
	p->_carry_bytes = p->_carry_cap = 0;
}

static enum http1_result fail(struct http1_parser *p, err_t err, const char *why)
{
	p->err = err;
	p->_why = why;
	p->_state = ST_FAILED;
	drop_carry(p);
	return HTTP1_ERROR;
}

static void open_section(struct http1_parser *p, enum state state)
{
	p->_state = (uint8_t)state;
	p->_section_bytes = p->_line_bytes = 0;
	p->_lines = 0;
	p->_cr = false;
}

static void open_chunk(struct http1_parser *p)
{
	p->_state = ST_CHUNK_SIZE;
	p->_digits = 0;
	p->_left = 0;
}

void http1_init(struct http1_parser *p, const struct http1_limits *limits)
{
	*p = (struct http1_parser){
	        ._limits = limits ? limits : &http1_limits_default, ._keep_alive = true};
}

void http1_fini(struct http1_parser *p)
{
	drop_carry(p);
	p->_state = ST_FAILED;
}

void http1_begin(struct http1_parser *p, unsigned request_flags)
{
	CHECK(p->_state == ST_IDLE);
	CHECK(p->_keep_alive);
	p->_flags = (uint8_t)request_flags;
	p->_interim = 0;
	p->_offset = 0;
	open_section(p, ST_HEAD);
}

/* --- sections: a head or the trailers -------------------------------------------------------- */

static bool carry_append(struct http1_parser *p, const char *d, size_t n)
{
	size_t need = p->_carry_bytes + n;
	if (need > p->_carry_cap) {
		size_t cap = p->_carry_cap ? p->_carry_cap : CARRY_BYTES_FIRST;
		while (cap < need)
			cap *= 2;
		char *grown = realloc(p->_carry, cap);
		if (!grown)
			return false;
		p->_carry = grown;
		p->_carry_cap = (uint32_t)cap;
	}
	memcpy(p->_carry + p->_carry_bytes, d, n);
	p->_carry_bytes += (uint32_t)n;
	return true;
}

/* An answer that is not HTTP at all is refused at its first wrong byte, not after 8 KiB of it. */
static bool is_http_prefix(const struct http1_parser *p, const char *d, size_t n)
{
	static const char magic[] = "HTTP/1.";
	for (size_t at = p->_line_bytes, i = 0; at < sizeof magic - 1 && i < n; at++, i++)
		if (d[i] != magic[at])
			return false;
	return true;
}

/* One line, or the part of one that is there (has_lf: with its LF, which is not in n). Each check
 * fires at the same byte however the input is cut. */
static bool scan_line(struct http1_parser *p, const char *d, size_t n, bool has_lf)
{
	const struct http1_limits *l = p->_limits;
	bool head = p->_state == ST_HEAD;
	uint32_t section_max = head ? l->head_bytes_max : l->trailer_bytes_max;

	if (head && p->_lines == 0 && !is_http_prefix(p, d, n))
		return fail(p, ERR_HTTP_SYNTAX, "does not begin with HTTP/1."), false;
	if (n > 0)
		p->_cr = d[n - 1] == '\r';
	uint64_t line = (uint64_t)p->_line_bytes + n;
	uint64_t section = (uint64_t)p->_section_bytes + n + has_lf;
	if (head && p->_lines == 0 && line - p->_cr > l->line_bytes_max)
		return fail(p, ERR_HTTP_LIMIT, "status line too long"), false;
	if (section > section_max)
		return fail(p, ERR_HTTP_LIMIT, head ? "head too long" : "trailers too long"), false;
	p->_line_bytes = (uint32_t)line;
	p->_section_bytes = (uint32_t)section;
	if (!has_lf)
		return true;
	if (!p->_cr)
		return fail(p, ERR_HTTP_SYNTAX, "line ends in LF without CR"), false;
	if (p->_line_bytes > 1 && p->_lines == l->header_count_max + (head ? 1 : 0))
		return fail(p, ERR_HTTP_LIMIT, "too many header lines"), false;
	return true;
}

/* Takes bytes up to the end of the section. HTTP1_EVENT: *whole is the section, with its empty
 * line. */
static enum http1_result take_section(struct http1_parser *p, struct cursor *c, struct span *whole)
{
	const char *start = c->p;
	bool done = false;
	while (!done && c->p < c->end) {
		const char *lf = memchr(c->p, '\n', left_in(c));
		size_t n = lf ? (size_t)(lf - c->p) : left_in(c);
		if (!scan_line(p, c->p, n, lf != NULL))
			return HTTP1_ERROR;
		c->p += n + (lf != NULL);
		if (!lf)
			break;
		done = p->_line_bytes == 1;
		p->_lines++;
		p->_line_bytes = 0;
		p->_cr = false;
	}
	size_t taken = (size_t)(c->p - start);
	if (done && p->_carry_bytes == 0) {
		*whole = (struct span){start, taken};
		return HTTP1_EVENT;
	}
	if (taken > 0 && !carry_append(p, start, taken))
		return fail(p, ERR_NO_MEMORY, "no memory for a head that came in pieces");
	*whole = (struct span){p->_carry, p->_carry_bytes};
	return done ? HTTP1_EVENT : HTTP1_NEED_MORE;
}

static enum http1_result fail_at_line(struct http1_parser *p, const struct http1_fault *f)
{
	p->_lines = (uint16_t)f->line;
	p->_at_line = true;
	return fail(p, ERR_HTTP_SYNTAX, f->why);
}

static void enter_body(struct http1_parser *p, const struct http1_head *h)
{
	p->_keep_alive = h->keep_alive;
	switch (h->body) {
	case HTTP1_BODY_NONE: p->_state = ST_END; break;
	case HTTP1_BODY_CHUNKED: open_chunk(p); break;
	case HTTP1_BODY_EOF: p->_state = ST_UNTIL_EOF; break;
	case HTTP1_BODY_RAW: p->_state = ST_RAW; break;
	case HTTP1_BODY_LENGTH:
		p->_left = (uint64_t)h->content_length;
		p->_state = p->_left ? ST_LENGTH : ST_END;
		break;
	}
}

static enum http1_result feed_head(struct http1_parser *p, struct cursor *c, struct http1_event *ev)
{
	for (;;) {
		struct span whole;
		struct http1_fault fault;
		enum http1_result r = take_section(p, c, &whole);
		if (r != HTTP1_EVENT)
			return r;
		if (!http1_decode_head(whole, p->_flags, &ev->head, &fault))
			return fail_at_line(p, &fault);
		if (ev->head.status >= 200 || ev->head.body == HTTP1_BODY_RAW)
			break;
		if (p->_interim == p->_limits->interim_count_max)
			return fail(p, ERR_HTTP_LIMIT, "too many 1xx responses");
		p->_interim++;
		drop_carry(p);
		open_section(p, ST_HEAD);
	}
	enter_body(p, &ev->head);
	ev->type = HTTP1_EV_HEAD;
	return HTTP1_EVENT;
}

static enum http1_result feed_trailers(struct http1_parser *p, struct cursor *c)
{
	struct span whole;
	struct http1_fault fault;
	enum http1_result r = take_section(p, c, &whole);
	if (r != HTTP1_EVENT)
		return r;
	if (!http1_check_trailers(whole, &fault))
		return fail_at_line(p, &fault);
	drop_carry(p); /* END comes with this same call, and begin may follow it */
	p->_state = ST_END;
	return HTTP1_EVENT;
}

/* --- chunks (RFC 9112 7.1) ------------------------------------------------------------------- */

static bool take_size(struct http1_parser *p, struct cursor *c)
{
	uint64_t size = p->_left;
	unsigned digits = p->_digits, v;
	while (c->p < c->end && (v = hex_value[(uint8_t)*c->p]) != 0) {
		if (++digits > HTTP1_CHUNK_DIGITS_MAX)
			return fail(p, ERR_HTTP_LIMIT, "chunk size has too many digits"), false;
		size = size << 4 | (v - 1);
		c->p++;
	}
	p->_left = size;
	p->_digits = (uint8_t)digits;
	if (c->p == c->end)
		return true;
	if (digits == 0)
		return fail(p, ERR_HTTP_SYNTAX, "chunk size is not a hex number"), false;
	if (size > INT64_MAX)
		return fail(p, ERR_HTTP_LIMIT, "chunk size is too large"), false;
	p->_section_bytes = 0;
	char ch = *c->p++;
	if (ch == '\r')
		p->_state = ST_CHUNK_LF;
	else if (ch == ';')
		p->_state = ST_CHUNK_EXT;
	else if (ch == ' ' || ch == '\t')
		p->_state = ST_CHUNK_BWS;
	else
		return fail(p, ERR_HTTP_SYNTAX, "wrong byte behind a chunk size"), false;
	if (p->_state != ST_CHUNK_LF)
		p->_section_bytes = 1;
	return true;
}

/* Extensions are skipped, but only bytes that may stand in one, and not many. */
static bool take_ext(struct http1_parser *p, struct cursor *c)
{
	while (c->p < c->end) {
		char ch = *c->p;
		if (ch == '\r') {
			if (p->_state == ST_CHUNK_BWS)
				break;
			c->p++;
			p->_state = ST_CHUNK_LF;
			return true;
		}
		if (++p->_section_bytes > p->_limits->chunk_ext_bytes_max)
			return fail(p, ERR_HTTP_LIMIT, "chunk extension too long"), false;
		if (p->_state == ST_CHUNK_BWS && ch != ' ' && ch != '\t') {
			if (ch != ';')
				break;
			p->_state = ST_CHUNK_EXT;
		} else if (((uint8_t)ch < ' ' && ch != '\t') || ch == 0x7F) {
			return fail(p, ERR_HTTP_SYNTAX, "control byte in a chunk extension"), false;
		}
		c->p++;
	}
	if (c->p < c->end)
		return fail(p, ERR_HTTP_SYNTAX, "white space behind a chunk size"), false;
	return true;
}

static bool take_char(struct http1_parser *p, struct cursor *c, char want, enum state next)
{
	if (*c->p != want)
		return fail(p, ERR_HTTP_SYNTAX,
		               p->_state == ST_CHUNK_LF ? "chunk size line ends in CR without LF"
		                                        : "chunk is not followed by CR LF"),
		       false;
	c->p++;
	p->_state = (uint8_t)next;
	return true;
}

static void open_chunk_data(struct http1_parser *p)
{
	if (p->_left == 0)
		open_section(p, ST_TRAILER);
}

static enum http1_result take_body(
        struct http1_parser *p, struct cursor *c, enum state next, struct http1_event *ev)
{
	size_t n = left_in(c);
	if (n == 0)
		return HTTP1_NEED_MORE;
	if (n > p->_left)
		n = (size_t)p->_left;
	ev->type = HTTP1_EV_BODY;
	ev->data = (struct span){c->p, n};
	c->p += n;
	p->_left -= n;
	if (p->_left == 0)
		p->_state = (uint8_t)next;
	return HTTP1_EVENT;
}

/* Up to the next body bytes or the end of the trailers. */
static enum http1_result feed_chunks(
        struct http1_parser *p, struct cursor *c, struct http1_event *ev)
{
	while (c->p < c->end) {
		bool ok = true;
		switch ((enum state)p->_state) {
		case ST_CHUNK_CR: ok = take_char(p, c, '\r', ST_CHUNK_NL); break;
		case ST_CHUNK_NL:
			ok = take_char(p, c, '\n', ST_CHUNK_SIZE);
			if (ok)
				open_chunk(p);
			break;
		case ST_CHUNK_SIZE: ok = take_size(p, c); break;
		case ST_CHUNK_BWS:
		case ST_CHUNK_EXT: ok = take_ext(p, c); break;
		case ST_CHUNK_LF:
			ok = take_char(p, c, '\n', ST_CHUNK_DATA);
			if (ok)
				open_chunk_data(p);
			break;
		case ST_CHUNK_DATA: return take_body(p, c, ST_CHUNK_CR, ev);
		case ST_TRAILER: return feed_trailers(p, c);
		default: CHECK(false);
		}
		if (!ok)
			return HTTP1_ERROR;
	}
	return HTTP1_NEED_MORE;
}

/* --- entry points ---------------------------------------------------------------------------- */

static enum http1_result report_end(struct http1_parser *p, struct http1_event *ev)
{
	ev->type = HTTP1_EV_END;
	ev->keep_alive = p->_keep_alive;
	p->_state = ST_IDLE;
	return HTTP1_EVENT;
}

static enum http1_result feed(struct http1_parser *p, struct cursor *c, struct http1_event *ev)
{
	enum http1_result r;
	switch ((enum state)p->_state) {
	case ST_HEAD: return feed_head(p, c, ev);
	case ST_LENGTH: return take_body(p, c, ST_END, ev);
	case ST_UNTIL_EOF: p->_left = UINT64_MAX; return take_body(p, c, ST_UNTIL_EOF, ev);
	case ST_END: return report_end(p, ev);
	case ST_RAW:
		p->_left = UINT64_MAX;
		r = take_body(p, c, ST_RAW, ev);
		ev->type = HTTP1_EV_RAW;
		return r;
	case ST_IDLE:
		if (left_in(c) == 0)
			return HTTP1_NEED_MORE;
		return fail(p, ERR_HTTP_SYNTAX, "bytes when no response was due");
	case ST_FAILED: return HTTP1_ERROR;
	default: break;
	}
	r = feed_chunks(p, c, ev);
	return p->_state == ST_END ? report_end(p, ev) : r;
}

enum http1_result http1_feed(struct http1_parser *p, const char *data, size_t n, size_t *consumed,
        struct http1_event *ev)
{
	struct cursor c = {data, n ? data + n : data};
	if (UNLIKELY(p->_carry != NULL) && p->_state != ST_HEAD && p->_state != ST_TRAILER)
		drop_carry(p);
	enum http1_result r = feed(p, &c, ev);
	*consumed = (size_t)(c.p - data);
	p->_offset += *consumed;
	CHECK_SLOW(r != HTTP1_NEED_MORE || *consumed == n);
	return r;
}

bool http1_peek_chunk(struct span *rest, struct span *body)
{
	const char *p = rest->p, *end = rest->p + rest->n;
	size_t size = 0;
	if (rest->n < 6 || p[0] != '\r' || p[1] != '\n')
		return false;
	for (p += 2; p < end && hex_value[(uint8_t)*p] && size < 1u << 24; p++)
		size = size << 4 | (hex_value[(uint8_t)*p] - 1u);
	if (end - p < 3 || p[0] != '\r' || p[1] != '\n' || size == 0)
		return false;
	p += 2;
	size_t left = (size_t)(end - p);
	*body = (struct span){p, size < left ? size : left};
	*rest = (struct span){p + body->n, left - body->n};
	return true;
}

enum http1_result http1_eof(struct http1_parser *p, struct http1_event *ev)
{
	switch ((enum state)p->_state) {
	case ST_IDLE: return HTTP1_NEED_MORE;
	case ST_FAILED: return HTTP1_ERROR;
	case ST_END:
	case ST_UNTIL_EOF:
	case ST_RAW: p->_keep_alive = false; return report_end(p, ev);
	case ST_HEAD:
		if (p->_section_bytes == 0 && p->_interim == 0)
			return fail(p, ERR_CONN_CLOSED, "before an answer");
		return fail(p, ERR_HTTP_TRUNCATED, "inside the head");
	case ST_LENGTH: return fail(p, ERR_HTTP_TRUNCATED, "body shorter than Content-Length");
	default: return fail(p, ERR_HTTP_TRUNCATED, "chunked body without its last chunk");
	}
}

err_t http1_error(const struct http1_parser *p, struct errmsg *m)
{
	if (p->err == ERR_OK)
		return ERR_OK;
	if (p->_at_line)
		return errmsg_set(m, p->err, "%s, in line %u of the head or trailers", p->_why,
		        p->_lines + 1u);
	return errmsg_set(m, p->err, "%s, at byte %llu of the answer", p->_why,
	        (unsigned long long)p->_offset);
}

bool http1_busy(const struct http1_parser *p)
{
	return p->_state != ST_IDLE && p->_state != ST_FAILED;
}

size_t http1_bytes(const struct http1_parser *p)
{
	return p->_carry_cap;
}
