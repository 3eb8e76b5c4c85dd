/* http1: properties of the response parser on any bytes.
 *
 * 1. Cuts do not matter: whole, byte by byte and in odd pieces give the same events.
 * 2. A second decoder, written to be obvious and for a whole buffer only, agrees on accept, reject
 *    (with the code) or unfinished, and on the body bytes of one response.
 * 3. What is accepted here, Debian's http-parser accepts too, with the same status and body; and
 *    where we would use the connection again, so would it. It is the laxer of the two: nothing
 *    follows from its accepting. Left out: 101 (it stops there); bytes with HTAB (it takes none
 *    behind a Content-Length); keep-alive of HEAD (it answers before it knows) and of HTTP/1.0
 * (with both Connection tokens); a length beside a name that only begins with Transfer-Encoding (it
 *    takes that for the header itself).
 *
 * Input: one byte of flags (bit 0 HEAD, bit 1 upgrade asked, bit 2 the connection ends), then the
 * stream. */
#include "wire/http1.h"

#include "base/check.h"

#include <ctype.h>
#include <http_parser.h>
#include <stdlib.h>
#include <strings.h>

enum { STREAM_BYTES_MAX = 1 << 16, TRACE_BYTES = 1 << 18 };

/* Small, so that inputs of a few hundred bytes reach them. */
static const struct http1_limits limits = {
        .line_bytes_max = 200,
        .head_bytes_max = 600,
        .trailer_bytes_max = 100,
        .chunk_ext_bytes_max = 30,
        .header_count_max = 12,
        .interim_count_max = 3,
};

enum verdict { UNFINISHED, DONE, REJECTED };

struct answer {
	enum verdict verdict;
	err_t err;
	bool head, keep_alive;
	unsigned status;
	size_t n; /* of body */
	char body[STREAM_BYTES_MAX];
};

static void body_add(struct answer *a, const char *p, size_t n)
{
	CHECK(a->n + n <= sizeof a->body);
	memcpy(a->body + a->n, p, n);
	a->n += n;
}

/* --- 1: the parser under test ----------------------------------------------------------------- */

struct trace {
	size_t n;
	char p[TRACE_BYTES];
};

static void trace_add(struct trace *t, const void *p, size_t n)
{
	CHECK(t->n + n <= sizeof t->p);
	memcpy(t->p + t->n, p, n);
	t->n += n;
}

static void trace_event(struct trace *t, const struct http1_event *ev, bool *in_body)
{
	bool bytes = ev->type == HTTP1_EV_BODY || ev->type == HTTP1_EV_RAW;
	if (!bytes || !*in_body)
		trace_add(t, &ev->type, sizeof ev->type);
	*in_body = bytes;
	if (bytes)
		trace_add(t, ev->data.p, ev->data.n);
	if (ev->type == HTTP1_EV_END)
		trace_add(t, &ev->keep_alive, 1);
	if (ev->type != HTTP1_EV_HEAD)
		return;
	const struct http1_head *h = &ev->head;
	const int numbers[] = {
	        h->status, (int)h->body, (int)h->coding, h->keep_alive, h->version_minor};
	trace_add(t, numbers, sizeof numbers);
	trace_add(t, &h->content_length, sizeof h->content_length);
	const struct span spans[] = {h->reason, h->date, h->retry_after, h->fields};
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		trace_add(t, &spans[i].n, sizeof spans[i].n);
		if (spans[i].n)
			trace_add(t, spans[i].p, spans[i].n);
	}
}

static bool is_first_end(const struct http1_event *ev, unsigned responses)
{
	return ev->type == HTTP1_EV_END && responses == 1;
}

struct own {
	struct http1_parser p;
	struct trace *t;
	struct answer *a; /* of the first response; may be NULL */
	unsigned flags, responses;
	bool in_body;
};

static void own_event(struct own *o, const struct http1_event *ev)
{
	trace_event(o->t, ev, &o->in_body);
	struct answer *a = o->responses == 1 ? o->a : NULL;
	if (a && ev->type == HTTP1_EV_HEAD) {
		a->head = true;
		a->status = ev->head.status;
		a->keep_alive = ev->head.keep_alive;
	}
	if (a && (ev->type == HTTP1_EV_BODY || ev->type == HTTP1_EV_RAW))
		body_add(a, ev->data.p, ev->data.n);
	if (a && is_first_end(ev, o->responses))
		a->verdict = DONE;
	if (ev->type == HTTP1_EV_END && ev->keep_alive) {
		o->responses++;
		http1_begin(&o->p, o->flags);
	}
}

static bool own_feed(struct own *o, const uint8_t *p, size_t n)
{
	char *copy = malloc(n ? n : 1);
	CHECK(copy);
	memcpy(copy, p, n);
	size_t at = 0, used;
	struct http1_event ev;
	enum http1_result r;
	while ((r = http1_feed(&o->p, copy + at, n - at, &used, &ev)) == HTTP1_EVENT) {
		at += used;
		CHECK(at <= n);
		own_event(o, &ev);
	}
	CHECK(r == HTTP1_ERROR || at + used == n);
	free(copy);
	return r == HTTP1_NEED_MORE;
}

/* step 0: whole; 1: byte by byte; else cuts from a generator with that seed. */
static void own_run(const uint8_t *p, size_t n, uint8_t flags, unsigned step, struct own *o)
{
	struct http1_event ev;
	unsigned seed = step;
	bool ok = true;
	o->t->n = 0;
	o->responses = 1;
	o->in_body = false;
	o->flags = flags & 3u;
	http1_init(&o->p, &limits);
	http1_begin(&o->p, o->flags);
	size_t at = 0;
	do {
		seed = seed * 1103515245u + 12345u;
		size_t piece = step == 0 ? n : step == 1 ? 1 : 1 + (seed >> 16) % 40;
		if (piece > n - at)
			piece = n - at;
		ok = own_feed(o, p + at, piece);
		at += piece;
	} while (ok && at < n);
	if (ok && (flags & 4)) {
		enum http1_result r = http1_eof(&o->p, &ev);
		ok = r != HTTP1_ERROR;
		if (r == HTTP1_EVENT)
			own_event(o, &ev);
	}
	trace_add(o->t, &o->p.err, sizeof o->p.err);
	if (o->a && !ok && o->responses == 1 && o->a->verdict != DONE) {
		o->a->verdict = REJECTED;
		o->a->err = o->p.err;
	}
	if (!ok) {
		struct errmsg m;
		CHECK(http1_error(&o->p, &m) == o->p.err);
		CHECK(m.text[0] && memchr(m.text, 0, sizeof m.text));
	}
	http1_fini(&o->p);
}

/* --- 2: the obvious decoder ---------------------------------------------------------------------
 */

struct text {
	const uint8_t *p;
	size_t n, at;
};

static void naive_reject(struct answer *a, err_t e)
{
	a->verdict = REJECTED;
	a->err = e;
}

static bool naive_is_token(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] >= 127 || strchr("\"(),/:;<=>?@[\\]{}", p[i]))
			return false;
	return n > 0;
}

static bool naive_is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((p[i] < ' ' && p[i] != '\t') || p[i] == 127)
			return false;
	return true;
}

/* The section from t->at to its empty line. Its end, or 0 with the verdict set. */
static size_t naive_section(const struct text *t, struct answer *a, bool head)
{
	size_t max = head ? limits.head_bytes_max : limits.trailer_bytes_max, start = t->at,
	       lines = 0;
	for (size_t i = t->at, line = t->at; i < t->n; i++) {
		size_t in_line = i - line;
		if (head && lines == 0 && in_line < 7 && t->p[i] != (uint8_t) "HTTP/1."[in_line])
			return naive_reject(a, ERR_HTTP_SYNTAX), 0;
		bool may_end = t->p[i] == '\n' ||
		               (t->p[i] == '\r' && (i + 1 == t->n || t->p[i + 1] == '\n'));
		if (head && lines == 0 && in_line >= limits.line_bytes_max && !may_end)
			return naive_reject(a, ERR_HTTP_LIMIT), 0;
		if (i - start >= max)
			return naive_reject(a, ERR_HTTP_LIMIT), 0;
		if (t->p[i] != '\n')
			continue;
		if (in_line == 0 || t->p[i - 1] != '\r')
			return naive_reject(a, ERR_HTTP_SYNTAX), 0;
		if (in_line == 1)
			return i + 1;
		if (++lines > limits.header_count_max + (head ? 1u : 0u))
			return naive_reject(a, ERR_HTTP_LIMIT), 0;
		line = i + 1;
	}
	a->verdict = UNFINISHED;
	return 0;
}

struct naive_head {
	unsigned status, minor, lengths, codings;
	unsigned long long length;
	bool chunked, bad;
};

static bool naive_name_is(const uint8_t *p, size_t n, const char *name)
{
	return n == strlen(name) && strncasecmp((const char *)p, name, n) == 0;
}

/* Value of digits with blanks around; false if it is anything else or over 2^63-1. */
static bool naive_number(const uint8_t *p, size_t n, unsigned long long *out)
{
	while (n > 0 && (*p == ' ' || *p == '\t'))
		p++, n--;
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	unsigned __int128 v = 0;
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + p[i] - '0';
		if (v > INT64_MAX)
			return false;
	}
	*out = (unsigned long long)v;
	return true;
}

static bool naive_is_chunked(const uint8_t *p, size_t n)
{
	while (n > 0 && (*p == ' ' || *p == '\t'))
		p++, n--;
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	return naive_name_is(p, n, "chunked");
}

static void naive_field(const uint8_t *p, size_t n, struct naive_head *h, bool trailer)
{
	const uint8_t *colon = memchr(p, ':', n);
	size_t name = colon ? (size_t)(colon - p) : 0;
	if (!colon || !naive_is_token(p, name) || !naive_is_text(colon + 1, n - name - 1)) {
		h->bad = true;
		return;
	}
	bool length = naive_name_is(p, name, "content-length"),
	     coding = naive_name_is(p, name, "transfer-encoding");
	if (trailer) {
		h->bad |= length || coding;
	} else if (length) {
		h->lengths++;
		h->bad |= !naive_number(colon + 1, n - name - 1, &h->length);
	} else if (coding) {
		h->codings++;
		h->chunked = naive_is_chunked(colon + 1, n - name - 1);
		h->bad |= !h->chunked;
	}
}

static void naive_status(const uint8_t *p, size_t n, struct naive_head *h)
{
	h->bad = n < 12 || (p[7] != '0' && p[7] != '1') || p[8] != ' ' ||
	         (n > 12 && p[12] != ' ') || !naive_is_text(p, n);
	for (size_t i = 9; !h->bad && i < 12; i++) {
		h->bad = p[i] < '0' || p[i] > '9';
		h->status = h->status * 10 + p[i] - '0';
	}
	h->bad |= h->status < 100 || h->status > 599;
	if (!h->bad)
		h->minor = p[7] - '0';
}

static struct naive_head naive_lines(const struct text *t, size_t end, bool trailer)
{
	struct naive_head h = {0};
	size_t at = t->at;
	for (bool first = !trailer; at < end - 2; first = false) {
		const uint8_t *lf = memchr(t->p + at, '\n', end - at);
		size_t n = (size_t)(lf - t->p) - at - 1;
		bool was_bad = h.bad;
		if (first)
			naive_status(t->p + at, n, &h);
		else
			naive_field(t->p + at, n, &h, trailer);
		h.bad |= was_bad;
		at += n + 2;
	}
	return h;
}

static void naive_chunks(struct text *t, struct answer *a)
{
	for (;;) {
		unsigned __int128 size = 0;
		size_t digits = 0, ext = 0;
		for (; t->at < t->n && isxdigit(t->p[t->at]); t->at++) {
			char one[2] = {(char)t->p[t->at], 0};
			if (++digits > 16)
				return naive_reject(a, ERR_HTTP_LIMIT);
			size = size * 16 + strtoul(one, NULL, 16);
		}
		if (t->at == t->n)
			return;
		if (digits == 0)
			return naive_reject(a, ERR_HTTP_SYNTAX);
		if (size > INT64_MAX)
			return naive_reject(a, ERR_HTTP_LIMIT);
		bool semicolon = false;
		for (; t->at < t->n && t->p[t->at] != '\r'; t->at++) {
			uint8_t c = t->p[t->at];
			bool blank = c == ' ' || c == '\t';
			if (ext == 0 && !blank && c != ';')
				return naive_reject(a, ERR_HTTP_SYNTAX);
			if (++ext > limits.chunk_ext_bytes_max)
				return naive_reject(a, ERR_HTTP_LIMIT);
			semicolon |= c == ';';
			if ((!semicolon && !blank) || (c < ' ' && c != '\t') || c == 127)
				return naive_reject(a, ERR_HTTP_SYNTAX);
		}
		if (t->at == t->n)
			return;
		if (ext > 0 && !semicolon)
			return naive_reject(a, ERR_HTTP_SYNTAX);
		if (++t->at == t->n)
			return;
		if (t->p[t->at++] != '\n')
			return naive_reject(a, ERR_HTTP_SYNTAX);
		if (size == 0)
			break;
		size_t n = t->n - t->at;
		bool whole = size <= n;
		if (whole)
			n = (size_t)size;
		body_add(a, (const char *)t->p + t->at, n);
		t->at += n;
		for (int i = 0; i < 2; i++, t->at++) {
			if (!whole || t->at == t->n)
				return;
			if (t->p[t->at] != (uint8_t) "\r\n"[i])
				return naive_reject(a, ERR_HTTP_SYNTAX);
		}
	}
	size_t end = naive_section(t, a, false);
	if (end == 0)
		return;
	if (naive_lines(t, end, true).bad)
		return naive_reject(a, ERR_HTTP_SYNTAX);
	a->verdict = DONE;
}

static void naive_body(struct text *t, const struct naive_head *h, uint8_t flags, struct answer *a)
{
	size_t left = t->n - t->at;
	if (h->status == 204 || h->status == 304 || (flags & HTTP1_HEAD)) {
		a->verdict = DONE;
	} else if (h->chunked) {
		naive_chunks(t, a);
	} else if (h->lengths) {
		size_t n = h->length < left ? (size_t)h->length : left;
		body_add(a, (const char *)t->p + t->at, n);
		a->verdict = n == h->length ? DONE : UNFINISHED;
	} else {
		body_add(a, (const char *)t->p + t->at, left);
		a->verdict = flags & 4 ? DONE : UNFINISHED;
	}
}

static void naive_run(const uint8_t *p, size_t n, uint8_t flags, struct answer *a)
{
	struct text t = {p, n, 0};
	for (unsigned interim = 0;;) {
		size_t end = naive_section(&t, a, true);
		if (end == 0)
			break;
		struct naive_head h = naive_lines(&t, end, false);
		bool none = h.status < 200 || h.status == 204;
		if (h.bad || h.lengths > 1 || h.codings > 1 || (h.lengths && h.codings) ||
		        (h.codings && h.minor == 0) || (none && (h.codings || h.length)) ||
		        (h.status == 101 && !(flags & HTTP1_UPGRADE))) {
			naive_reject(a, ERR_HTTP_SYNTAX);
			break;
		}
		t.at = end;
		a->status = h.status;
		if (h.status == 101) {
			body_add(a, (const char *)p + end, n - end);
			a->verdict = flags & 4 ? DONE : UNFINISHED;
			break;
		}
		if (h.status >= 200) {
			a->head = true;
			naive_body(&t, &h, flags, a);
			break;
		}
		if (++interim > limits.interim_count_max) {
			naive_reject(a, ERR_HTTP_LIMIT);
			break;
		}
	}
	if (a->verdict == UNFINISHED && (flags & 4))
		naive_reject(a, n == 0 ? ERR_CONN_CLOSED : ERR_HTTP_TRUNCATED);
}

/* --- 3: http-parser ------------------------------------------------------------------------------
 */

struct theirs {
	struct answer *a;
	bool head_request;
};

static int their_headers(http_parser *p)
{
	struct theirs *t = p->data;
	t->a->status = p->status_code;
	if (p->status_code < 200)
		return 0;
	t->a->head = true;
	t->a->keep_alive = http_should_keep_alive(p);
	/* it would read a body behind 304 with a length */
	return t->head_request || p->status_code == 304 || p->status_code == 204;
}

static int their_body(http_parser *p, const char *at, size_t n)
{
	struct theirs *t = p->data;
	body_add(t->a, at, n);
	return 0;
}

static int their_end(http_parser *p)
{
	struct theirs *t = p->data;
	if (p->status_code < 200)
		return 0;
	t->a->verdict = DONE;
	http_parser_pause(p, 1);
	return 0;
}

static enum http_errno their_run(const uint8_t *p, size_t n, uint8_t flags, struct answer *a)
{
	struct theirs t = {a, flags & HTTP1_HEAD};
	http_parser parser;
	http_parser_settings settings;
	http_parser_settings_init(&settings);
	settings.on_headers_complete = their_headers;
	settings.on_body = their_body;
	settings.on_message_complete = their_end;
	http_parser_init(&parser, HTTP_RESPONSE);
	parser.data = &t;
	http_parser_execute(&parser, &settings, (const char *)p, n);
	if (a->verdict != DONE && HTTP_PARSER_ERRNO(&parser) == HPE_OK && (flags & 4))
		http_parser_execute(&parser, &settings, NULL, 0);
	if (a->verdict != DONE && HTTP_PARSER_ERRNO(&parser) != HPE_OK)
		a->verdict = REJECTED;
	return HTTP_PARSER_ERRNO(&parser);
}

/* --- together ------------------------------------------------------------------------------------
 */

static void compare(const uint8_t *p, size_t n, uint8_t flags, const struct answer *own)
{
	static struct answer naive, theirs;
	naive = (struct answer){0};
	theirs = (struct answer){0};
	naive_run(p, n, flags, &naive);
	CHECK(naive.verdict == own->verdict);
	CHECK(naive.n == own->n && memcmp(naive.body, own->body, own->n) == 0);
	CHECK(own->verdict != REJECTED || naive.err == own->err);
	if (!own->head || own->status == 101 || memchr(p, '\t', n))
		return;
	enum http_errno e = their_run(p, n, flags, &theirs);
	if (own->verdict == DONE && e != HPE_UNEXPECTED_CONTENT_LENGTH) {
		CHECK(theirs.verdict == DONE);
		CHECK(theirs.status == own->status);
		bool unsure = (flags & HTTP1_HEAD) || memcmp(p, "HTTP/1.0", 8) == 0;
		CHECK(theirs.keep_alive || !own->keep_alive || unsure);
		CHECK(theirs.n == own->n && memcmp(theirs.body, own->body, own->n) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace whole, cut;
	static struct answer answer;
	if (size < 1 || size > STREAM_BYTES_MAX)
		return 0;
	uint8_t flags = data[0];
	answer = (struct answer){0};
	struct own a = {.t = &whole, .a = &answer}, b = {.t = &cut};
	own_run(data + 1, size - 1, flags, 0, &a);
	for (unsigned step = 1; step < 4; step++) {
		own_run(data + 1, size - 1, flags, step, &b);
		CHECK(whole.n == cut.n && memcmp(whole.p, cut.p, cut.n) == 0);
	}
	compare(data + 1, size - 1, flags, &answer);
	return 0;
}
