#include "wire/http1_head.h"

#include "base/check.h"

/* Classes of bytes: T may stand in a token (RFC 9110 5.6.2), V in a field value or a reason phrase
 * (RFC 9110 5.5: HTAB, SP, VCHAR, obs-text). Every T is a V. */
enum { V = 1, T = 2, B = V | T };
static const uint8_t classes[256] = {
        ['\t'] = V,
        [' '] = V,
        ['!'] = B,
        ['"'] = V,
        ['#'] = B,
        ['$'] = B,
        ['%'] = B,
        ['&'] = B,
        ['\''] = B,
        ['('] = V,
        [')'] = V,
        ['*'] = B,
        ['+'] = B,
        [','] = V,
        ['-'] = B,
        ['.'] = B,
        ['/'] = V,
        ['0' ... '9'] = B,
        [':'] = V,
        [';'] = V,
        ['<'] = V,
        ['='] = V,
        ['>'] = V,
        ['?'] = V,
        ['@'] = V,
        ['A' ... 'Z'] = B,
        ['['] = V,
        ['\\'] = V,
        [']'] = V,
        ['^'] = B,
        ['_'] = B,
        ['`'] = B,
        ['a' ... 'z'] = B,
        ['{'] = V,
        ['|'] = B,
        ['}'] = V,
        ['~'] = B,
        [0x80 ... 0xFF] = V,
};

static bool all_of(struct span s, uint8_t class)
{
	uint8_t seen = class;
	for (size_t i = 0; i < s.n; i++)
		seen &= classes[(uint8_t)s.p[i]];
	return seen == class;
}

bool http1_is_token(struct span s)
{
	return s.n > 0 && all_of(s, T);
}
bool http1_is_value(struct span s)
{
	return all_of(s, V);
}

static inline char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool http1_name_is(struct span name, struct span lower_name)
{
	if (name.n != lower_name.n)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (lower(name.p[i]) != lower_name.p[i])
			return false;
	return true;
}

struct span http1_trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* The next line without its CR LF. http1.c has seen to it that each line has one. */
static struct span take_line(struct span *rest)
{
	const char *lf = memchr(rest->p, '\n', rest->n);
	CHECK(lf && lf > rest->p);
	struct span line = {rest->p, (size_t)(lf - rest->p) - 1};
	rest->n -= line.n + 2;
	rest->p += line.n + 2;
	return line;
}

static bool bad(struct http1_fault *f, const char *why)
{
	f->why = why;
	return false;
}

/* What the headers say about the body, before the rules are applied. */
struct framing {
	bool chunked, close, keep_alive;
};

/* status-line = "HTTP/1." DIGIT SP 3DIGIT [ SP reason ]. The SP before an empty reason is often
 * forgotten; nothing can be smuggled by that. */
static bool decode_status_line(struct span l, struct http1_head *h, struct http1_fault *f)
{
	if (l.n < 12 || (l.p[7] != '1' && l.p[7] != '0') || l.p[8] != ' ')
		return bad(f, "status line is not of HTTP/1.1 or HTTP/1.0");
	unsigned status = 0;
	for (int i = 9; i < 12; i++) {
		if (l.p[i] < '0' || l.p[i] > '9')
			return bad(f, "status is not three digits");
		status = status * 10 + (unsigned)(l.p[i] - '0');
	}
	if (l.n > 12 && l.p[12] != ' ')
		return bad(f, "status is not three digits");
	if (status < 100 || status > 599)
		return bad(f, "status is not within 100 to 599");
	h->status = (uint16_t)status;
	h->version_minor = (uint8_t)(l.p[7] - '0');
	if (l.n > 13)
		h->reason = (struct span){l.p + 13, l.n - 13};
	if (!http1_is_value(h->reason))
		return bad(f, "control byte in the status line");
	return true;
}

/* field-line = name ":" OWS value OWS (RFC 9112 5) */
static bool split_field(struct span l, struct http1_field *out, struct http1_fault *f)
{
	if (l.n > 0 && (l.p[0] == ' ' || l.p[0] == '\t'))
		return bad(f, "folded header line (obs-fold)");
	const char *colon = memchr(l.p, ':', l.n);
	if (!colon)
		return bad(f, "header line without a colon");
	out->name = (struct span){l.p, (size_t)(colon - l.p)};
	if (out->name.n > 0 && (colon[-1] == ' ' || colon[-1] == '\t'))
		return bad(f, "white space before the colon of a header");
	if (!http1_is_token(out->name))
		return bad(f, "header name is not a token");
	struct span value = {colon + 1, l.n - out->name.n - 1};
	if (!http1_is_value(value))
		return bad(f, "control byte in a header value");
	out->value = http1_trim(value);
	return true;
}

bool http1_next_field(struct span *rest, struct http1_field *field)
{
	struct http1_fault fault;
	return rest->n > 0 && !NEVER(!split_field(take_line(rest), field, &fault));
}

static bool decode_length(struct span v, struct http1_head *h, struct http1_fault *f)
{
	if (h->content_length >= 0)
		return bad(f, "more than one Content-Length");
	if (v.n == 0)
		return bad(f, "Content-Length is not a number");
	int64_t n = 0;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return bad(f, "Content-Length is not a number");
		if (__builtin_mul_overflow(n, 10, &n) ||
		        __builtin_add_overflow(n, v.p[i] - '0', &n))
			return bad(f, "Content-Length is too large");
	}
	h->content_length = n;
	return true;
}

bool http1_next_token(struct span *rest, struct span *token)
{
	if (rest->n == 0)
		return false;
	const char *comma = memchr(rest->p, ',', rest->n);
	size_t n = comma ? (size_t)(comma - rest->p) : rest->n;
	*token = http1_trim((struct span){rest->p, n});
	n += comma != NULL;
	rest->p += n;
	rest->n -= n;
	return true;
}

static void decode_connection(struct span v, struct framing *fr)
{
	for (struct span token; http1_next_token(&v, &token);) {
		if (http1_name_is(token, SPAN("close")))
			fr->close = true;
		else if (http1_name_is(token, SPAN("keep-alive")))
			fr->keep_alive = true;
	}
}

/* Any second coding, listed or repeated, makes the whole unknown. */
static void decode_coding(struct span v, struct http1_head *h)
{
	if (v.n == 0 || http1_name_is(v, SPAN("identity")))
		return;
	bool gzip = http1_name_is(v, SPAN("gzip")) || http1_name_is(v, SPAN("x-gzip"));
	h->coding = gzip && h->coding == HTTP1_IDENTITY ? HTTP1_GZIP : HTTP1_UNKNOWN_CODING;
}

static bool decode_field(const struct http1_field *x, struct http1_head *h, struct framing *fr,
        struct http1_fault *f)
{
	if (http1_name_is(x->name, SPAN("content-length")))
		return decode_length(x->value, h, f);
	if (http1_name_is(x->name, SPAN("transfer-encoding"))) {
		if (fr->chunked || !http1_name_is(x->value, SPAN("chunked")))
			return bad(f, "Transfer-Encoding is not exactly chunked");
		fr->chunked = true;
		return true;
	}
	if (http1_name_is(x->name, SPAN("connection"))) {
		decode_connection(x->value, fr);
		return true;
	}
	if (http1_name_is(x->name, SPAN("content-encoding"))) {
		decode_coding(x->value, h);
		return true;
	}
	struct span *shown = http1_name_is(x->name, SPAN("date"))          ? &h->date
	                     : http1_name_is(x->name, SPAN("retry-after")) ? &h->retry_after
	                                                                   : NULL;
	if (shown && !shown->p)
		*shown = x->value;
	return true;
}

/* RFC 9112 6.3, with everything that it calls an error made one. */
static bool decide_body(unsigned request_flags, const struct framing *fr, struct http1_head *h,
        struct http1_fault *f)
{
	bool bodiless = h->status < 200 || h->status == 204;
	if (fr->chunked && h->content_length >= 0)
		return bad(f, "both Content-Length and Transfer-Encoding");
	if (fr->chunked && h->version_minor == 0)
		return bad(f, "Transfer-Encoding in an HTTP/1.0 answer");
	if (bodiless && (fr->chunked || h->content_length > 0))
		return bad(f, "a status that has no body announces one");
	if (h->status == 101 && !(request_flags & HTTP1_UPGRADE))
		return bad(f, "101 without an upgrade having been asked for");

	h->keep_alive = !fr->close && (h->version_minor == 1 || fr->keep_alive);
	if (h->status == 101) {
		h->body = HTTP1_BODY_RAW;
		h->keep_alive = false;
	} else if (bodiless || h->status == 304 || (request_flags & HTTP1_HEAD)) {
		h->body = HTTP1_BODY_NONE;
	} else if (fr->chunked) {
		h->body = HTTP1_BODY_CHUNKED;
	} else if (h->content_length >= 0) {
		h->body = HTTP1_BODY_LENGTH;
	} else {
		h->body = HTTP1_BODY_EOF;
		h->keep_alive = false;
	}
	return true;
}

bool http1_decode_head(
        struct span bytes, unsigned request_flags, struct http1_head *h, struct http1_fault *f)
{
	struct framing framing = {0};
	*h = (struct http1_head){.content_length = -1};
	*f = (struct http1_fault){0};
	if (!decode_status_line(take_line(&bytes), h, f))
		return false;
	CHECK(bytes.n >= 2);
	h->fields = (struct span){bytes.p, bytes.n - 2};
	for (struct span rest = h->fields; rest.n > 0;) {
		struct http1_field field;
		f->line++;
		if (!split_field(take_line(&rest), &field, f) ||
		        !decode_field(&field, h, &framing, f))
			return false;
	}
	return decide_body(request_flags, &framing, h, f);
}

bool http1_check_trailers(struct span bytes, struct http1_fault *f)
{
	*f = (struct http1_fault){0};
	CHECK(bytes.n >= 2);
	for (struct span rest = {bytes.p, bytes.n - 2}; rest.n > 0;) {
		struct http1_field field;
		f->line++;
		if (!split_field(take_line(&rest), &field, f))
			return false;
		if (http1_name_is(field.name, SPAN("content-length")) ||
		        http1_name_is(field.name, SPAN("transfer-encoding")))
			return bad(f, "framing header among the trailers");
	}
	return true;
}
