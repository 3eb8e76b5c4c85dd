/* http1: each case of the table is one byte stream and the transcript that must come of it. It is
 * run whole, byte by byte, and cut in two at every offset: the transcript may not depend on the
 * cut. */
#include "wire/http1.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRACE_BYTES (96 * 1024)

/* What one run said: "200 chunked keep|hello|END" and so on; adjacent body spans are joined. */
struct trace {
	char text[TRACE_BYTES];
	size_t n;
	bool in_body;
};

static void trace_add(struct trace *t, const char *p, size_t n)
{
	assert_true(t->n + n < sizeof t->text);
	memcpy(t->text + t->n, p, n);
	t->n += n;
	t->text[t->n] = 0;
}

static void trace_word(struct trace *t, const char *word)
{
	if (t->n > 0)
		trace_add(t, "|", 1);
	trace_add(t, word, strlen(word));
	t->in_body = false;
}

static void trace_body(struct trace *t, struct span s)
{
	assert_true(s.n > 0);
	if (!t->in_body)
		trace_word(t, "");
	t->in_body = true;
	trace_add(t, s.p, s.n);
}

static void trace_head(struct trace *t, const struct http1_head *h)
{
	static const char *const bodies[] = {"none", "length", "chunked", "eof", "raw"};
	static const char *const codings[] = {"", " gzip", " unknown-coding"};
	char word[64];
	snprintf(word, sizeof word, "%u %s%s%s", h->status, bodies[h->body], codings[h->coding],
	        h->keep_alive ? "" : " close");
	trace_word(t, word);
}

struct script {
	struct span bytes;
	unsigned flags;                    /* of each request */
	const struct http1_limits *limits; /* NULL: defaults */
	unsigned responses;                /* how many are asked for, one after the other */
	bool eof;                          /* the connection ends after the bytes */
};

struct run {
	const struct script *s;
	struct http1_parser p;
	struct trace *t;
	unsigned begun;
};

static void run_event(struct run *r, const struct http1_event *ev, struct span fed)
{
	switch (ev->type) {
	case HTTP1_EV_HEAD: trace_head(r->t, &ev->head); break;
	case HTTP1_EV_BODY:
	case HTTP1_EV_RAW:
		assert_true(ev->data.p >= fed.p &&
		            ev->data.p + ev->data.n <= fed.p + fed.n); /* in place */
		trace_body(r->t, ev->data);
		break;
	case HTTP1_EV_END:
		trace_word(r->t, "END");
		if (ev->keep_alive && r->begun < r->s->responses) {
			r->begun++;
			http1_begin(&r->p, r->s->flags);
		}
		break;
	}
}

/* Feeds one piece from memory of exactly its size, so that the address sanitizer sees one byte too
 * far. */
static bool run_feed(struct run *r, struct span piece)
{
	char *copy = malloc(piece.n ? piece.n : 1);
	assert_non_null(copy);
	if (piece.n)
		memcpy(copy, piece.p, piece.n);
	struct span left = {copy, piece.n};
	struct http1_event ev;
	enum http1_result res;
	for (;;) {
		size_t used = SIZE_MAX;
		res = http1_feed(&r->p, left.p, left.n, &used, &ev);
		assert_true(used <= left.n);
		if (res != HTTP1_EVENT)
			break;
		run_event(r, &ev, left);
		left.p += used;
		left.n -= used;
	}
	if (res == HTTP1_NEED_MORE)
		assert_int_equal(r->p.err, ERR_OK);
	free(copy);
	return res == HTTP1_NEED_MORE;
}

static void run_error(struct run *r)
{
	struct errmsg m;
	struct http1_event ev;
	size_t used;
	assert_int_not_equal(http1_error(&r->p, &m), ERR_OK);
	assert_int_equal(m.code, r->p.err);
	trace_word(r->t, err_name(m.code));
	/* sticky */
	assert_int_equal(http1_feed(&r->p, "HTTP/1.1 200 OK\r\n\r\n", 19, &used, &ev), HTTP1_ERROR);
	assert_int_equal(http1_eof(&r->p, &ev), HTTP1_ERROR);
	assert_int_equal(http1_bytes(&r->p), 0);
}

static void run_eof(struct run *r)
{
	struct http1_event ev;
	switch (http1_eof(&r->p, &ev)) {
	case HTTP1_EVENT: run_event(r, &ev, SPAN_NONE); break;
	case HTTP1_ERROR: run_error(r); break;
	case HTTP1_NEED_MORE: trace_word(r->t, "idle"); break;
	}
}

/* Cuts: 0 bytes for none, else the size of each piece but the last; first: the size of the first
 * piece only. */
static void run_script(const struct script *s, size_t first, size_t each, struct trace *t)
{
	struct run r = {.s = s, .t = t, .begun = 1};
	t->n = 0;
	t->text[0] = 0;
	t->in_body = false;
	http1_init(&r.p, s->limits);
	http1_begin(&r.p, s->flags);
	bool ok = true;
	size_t at = 0;
	do {
		size_t n = s->bytes.n - at;
		size_t cut = at == 0 && first ? first : each;
		if (cut && cut < n)
			n = cut;
		ok = run_feed(&r, (struct span){s->bytes.p + at, n});
		at += n;
	} while (ok && at < s->bytes.n);
	if (!ok)
		run_error(&r);
	else if (s->eof)
		run_eof(&r);
	http1_fini(&r.p);
}

static void run_cuts(const char *name, const struct script *s, const char *want)
{
	static struct trace whole, cut;
	run_script(s, 0, 0, &whole);
	if (want && strcmp(whole.text, want) != 0)
		fail_msg("%s\n  want %s\n  got  %s", name, want, whole.text);
	run_script(s, 0, 1, &cut);
	if (strcmp(whole.text, cut.text) != 0)
		fail_msg("%s, byte by byte\n  want %s\n  got  %s", name, whole.text, cut.text);
	for (size_t at = 1; at < s->bytes.n; at++) {
		run_script(s, at, 0, &cut);
		if (strcmp(whole.text, cut.text) != 0)
			fail_msg("%s, cut at %zu\n  want %s\n  got  %s", name, at, whole.text,
			        cut.text);
	}
}

/* --- the table ------------------------------------------------------------------------------- */

#define OK_      "HTTP/1.1 200 OK\r\n"
#define CHUNKED_ OK_ "Transfer-Encoding: chunked\r\n\r\n"
#define SYNTAX   "HTTP_SYNTAX"
#define LIMIT    "HTTP_LIMIT"
#define CUT      "HTTP_TRUNCATED"
#define C_SYNTAX "200 chunked|HTTP_SYNTAX"
#define C_LIMIT  "200 chunked|HTTP_LIMIT"

enum { EOF_ = 1, HEAD_ = 2, UP_ = 4, TWO_ = 8 };

#define CASE(name, how, bytes, want)                                                               \
	{                                                                                          \
		name, how, {bytes, sizeof(bytes) - 1}, want                                        \
	}
static const struct {
	const char *name;
	unsigned how;
	struct span bytes;
	const char *want;
} cases[] = {
        /* bodies */
        CASE("length", 0, OK_ "Content-Length: 5\r\n\r\nhello", "200 length|hello|END"),
        CASE("length 0", 0, OK_ "Content-Length: 0\r\n\r\n", "200 length|END"),
        CASE("length, name in another case", 0, OK_ "cOnTeNt-LeNgTh:3\r\n\r\nabc",
                "200 length|abc|END"),
        CASE("length with leading zeros", 0, OK_ "Content-Length: 0003\r\n\r\nabc",
                "200 length|abc|END"),
        CASE("length with white space around", 0, OK_ "Content-Length: \t 3 \t\r\n\r\nabc",
                "200 length|abc|END"),
        CASE("length, cut", EOF_, OK_ "Content-Length: 5\r\n\r\nhell", "200 length|hell|" CUT),
        CASE("length, cut before the body", EOF_, OK_ "Content-Length: 5\r\n\r\n",
                "200 length|" CUT),
        CASE("length, bytes behind", 0, OK_ "Content-Length: 2\r\n\r\nhix",
                "200 length|hi|END|" SYNTAX),
        CASE("length 2^63-1 is legal", 0, OK_ "Content-Length: 9223372036854775807\r\n\r\nab",
                "200 length|ab"),
        CASE("until the end", EOF_, OK_ "\r\nall of it", "200 eof close|all of it|END"),
        CASE("until the end, empty", EOF_, OK_ "\r\n", "200 eof close|END"),
        CASE("until the end, not ended", 0, OK_ "\r\nall", "200 eof close|all"),
        CASE("204", 0, "HTTP/1.1 204 No Content\r\n\r\n", "204 none|END"),
        CASE("204 with length 0", 0, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
                "204 none|END"),
        CASE("204 with a length", 0, "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na",
                SYNTAX),
        CASE("204 chunked", 0, "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                SYNTAX),
        CASE("304 with a length", 0, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                "304 none|END"),
        CASE("304 chunked", 0, "HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n",
                "304 none|END"),
        CASE("HEAD with a length", HEAD_, OK_ "Content-Length: 99\r\n\r\n", "200 none|END"),
        CASE("HEAD chunked", HEAD_, CHUNKED_, "200 none|END"),
        CASE("HEAD without anything", HEAD_, OK_ "\r\n", "200 none|END"),
        CASE("HEAD, but a body comes", HEAD_, OK_ "Content-Length: 1\r\n\r\nx",
                "200 none|END|" SYNTAX),
        CASE("a status without a body of its own", 0,
                "HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\n{}", "410 length|{}|END"),
        /* connection */
        CASE("close", EOF_, OK_ "Connection: close\r\nContent-Length: 1\r\n\r\na",
                "200 length close|a|END|idle"),
        CASE("close in a list", 0, OK_ "Connection: foo , Close,bar\r\nContent-Length: 1\r\n\r\na",
                "200 length close|a|END"),
        CASE("close in a second header", 0,
                OK_ "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
                "200 length close|a|END"),
        CASE("a token that only begins like close", 0,
                OK_ "Connection: closed\r\nContent-Length: 0\r\n\r\n", "200 length|END"),
        CASE("HTTP/1.0 closes", 0, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
                "200 length close|a|END"),
        CASE("HTTP/1.0 keep-alive", 0,
                "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na",
                "200 length|a|END"),
        CASE("HTTP/1.0 chunked", 0,
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", SYNTAX),
        CASE("two responses", TWO_, OK_ "Content-Length: 1\r\n\r\na" CHUNKED_ "1\r\nb\r\n0\r\n\r\n",
                "200 length|a|END|200 chunked|b|END"),
        CASE("two responses, the first without a body", TWO_,
                "HTTP/1.1 204 N\r\n\r\n" OK_ "Content-Length: 1\r\n\r\na",
                "204 none|END|200 length|a|END"),
        CASE("second response after close", TWO_,
                OK_ "Connection: close\r\nContent-Length: 0\r\n\r\n" OK_,
                "200 length close|END|" SYNTAX),
        CASE("end before an answer", EOF_, "", "CONN_CLOSED"),
        CASE("end before the second answer", EOF_ | TWO_, OK_ "Content-Length: 0\r\n\r\n",
                "200 length|END|CONN_CLOSED"),
        CASE("end inside the status line", EOF_, "HTTP/1.1 2", CUT),
        CASE("end inside the head", EOF_, OK_ "Content-Le", CUT),
        CASE("end after a 1xx", EOF_, "HTTP/1.1 100 Continue\r\n\r\n", CUT),
        CASE("end inside the empty line", EOF_, OK_ "\r", CUT),
        CASE("end when nothing was due", EOF_, OK_ "Content-Length: 0\r\n\r\n",
                "200 length|END|idle"),
        CASE("unasked response", 0, OK_ "Content-Length: 0\r\n\r\n" OK_ "\r\n",
                "200 length|END|" SYNTAX),
        /* chunks */
        CASE("chunk", 0, CHUNKED_ "5\r\nhello\r\n0\r\n\r\n", "200 chunked|hello|END"),
        CASE("chunks", 0, CHUNKED_ "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "200 chunked|hello|END"),
        CASE("no chunk", 0, CHUNKED_ "0\r\n\r\n", "200 chunked|END"),
        CASE("last chunk of many zeros", 0, CHUNKED_ "0000\r\n\r\n", "200 chunked|END"),
        CASE("hex in both cases", 0, CHUNKED_ "a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n\r\n",
                "200 chunked|0123456789abcdefghij|END"),
        CASE("size with leading zeros", 0, CHUNKED_ "0000000000000003\r\nabc\r\n0\r\n\r\n",
                "200 chunked|abc|END"),
        CASE("17 digits", 0, CHUNKED_ "00000000000000003\r\nabc\r\n0\r\n\r\n", C_LIMIT),
        CASE("size over 2^64", 0, CHUNKED_ "10000000000000000\r\n", C_LIMIT),
        CASE("size of 16 digits over 2^63-1", 0, CHUNKED_ "8000000000000000\r\n", C_LIMIT),
        CASE("size 2^63-1", 0, CHUNKED_ "7fffffffffffffff\r\nab", "200 chunked|ab"),
        CASE("size negative", 0, CHUNKED_ "-1\r\n", C_SYNTAX),
        CASE("size with 0x", 0, CHUNKED_ "0x5\r\nhello\r\n", C_SYNTAX),
        CASE("size empty", 0, CHUNKED_ "\r\nhello\r\n", C_SYNTAX),
        CASE("size not hex", 0, CHUNKED_ "g\r\n", C_SYNTAX),
        CASE("white space before the size", 0, CHUNKED_ " 5\r\nhello\r\n0\r\n\r\n", C_SYNTAX),
        CASE("white space behind the size", 0, CHUNKED_ "5 \r\nhello\r\n0\r\n\r\n", C_SYNTAX),
        CASE("size line ends in LF", 0, CHUNKED_ "5\nhello\r\n0\r\n\r\n", C_SYNTAX),
        CASE("size line ends in CR", 0, CHUNKED_ "5\rhello\r\n0\r\n\r\n", C_SYNTAX),
        CASE("chunk longer than its size", 0, CHUNKED_ "4\r\nhello\r\n0\r\n\r\n",
                "200 chunked|hell|" SYNTAX),
        CASE("chunk ends in LF", 0, CHUNKED_ "5\r\nhello\n0\r\n\r\n", "200 chunked|hello|" SYNTAX),
        CASE("chunk ends in CR CR", 0, CHUNKED_ "5\r\nhello\r\r\n", "200 chunked|hello|" SYNTAX),
        CASE("chunk without its end", 0, CHUNKED_ "5\r\nhello0\r\n\r\n",
                "200 chunked|hello|" SYNTAX),
        CASE("NUL behind the size", 0, CHUNKED_ "5\0\r\nhello\r\n", C_SYNTAX),
        CASE("extension", 0, CHUNKED_ "5;a\r\nhello\r\n0\r\n\r\n", "200 chunked|hello|END"),
        CASE("extension with a value", 0, CHUNKED_ "5;a=b;c=\"d e\"\r\nhello\r\n0;z\r\n\r\n",
                "200 chunked|hello|END"),
        CASE("extension behind white space", 0, CHUNKED_ "5 \t;a\r\nhello\r\n0\r\n\r\n",
                "200 chunked|hello|END"),
        CASE("extension empty", 0, CHUNKED_ "5;\r\nhello\r\n0\r\n\r\n", "200 chunked|hello|END"),
        CASE("extension without a semicolon", 0, CHUNKED_ "5 a\r\nhello\r\n", C_SYNTAX),
        CASE("LF in an extension", 0, CHUNKED_ "5;a\nb\r\nhello\r\n", C_SYNTAX),
        CASE("NUL in an extension", 0, CHUNKED_ "5;a\0b\r\nhello\r\n", C_SYNTAX),
        CASE("DEL in an extension", 0, CHUNKED_ "5;a\177\r\nhello\r\n", C_SYNTAX),
        CASE("CR without LF behind an extension", 0, CHUNKED_ "5;a\rb\r\nhello\r\n", C_SYNTAX),
        CASE("body bytes that look like chunks", 0, CHUNKED_ "7\r\n0\r\n\r\n5\r\r\n0\r\n\r\n",
                "200 chunked|0\r\n\r\n5\r|END"),
        CASE("cut in the size", EOF_, CHUNKED_ "5", "200 chunked|" CUT),
        CASE("cut in the chunk", EOF_, CHUNKED_ "5\r\nhel", "200 chunked|hel|" CUT),
        CASE("cut behind the chunk", EOF_, CHUNKED_ "5\r\nhello\r\n", "200 chunked|hello|" CUT),
        CASE("cut before the last empty line", EOF_, CHUNKED_ "0\r\n", "200 chunked|" CUT),
        CASE("cut inside the last empty line", EOF_, CHUNKED_ "0\r\n\r", "200 chunked|" CUT),
        CASE("bytes behind the last chunk", 0, CHUNKED_ "0\r\n\r\nx", "200 chunked|END|" SYNTAX),
        /* trailers */
        CASE("trailer", 0, CHUNKED_ "1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "200 chunked|a|END"),
        CASE("trailer with NUL", 0, CHUNKED_ "0\r\nX: a\0b\r\n\r\n", C_SYNTAX),
        CASE("trailer ends in LF", 0, CHUNKED_ "0\r\nX: a\n\r\n", C_SYNTAX),
        CASE("trailer section ends in LF", 0, CHUNKED_ "0\r\n\n", C_SYNTAX),
        CASE("trailer without a colon", 0, CHUNKED_ "0\r\nX\r\n\r\n", C_SYNTAX),
        CASE("trailer folded", 0, CHUNKED_ "0\r\nX: a\r\n b\r\n\r\n", C_SYNTAX),
        CASE("trailer changes the framing", 0, CHUNKED_ "0\r\nContent-Length: 1\r\n\r\n", C_SYNTAX),
        CASE("trailer, then the next response", TWO_,
                CHUNKED_ "0\r\nX: a\r\n\r\n" OK_ "Content-Length: 1\r\n\r\na",
                "200 chunked|END|200 length|a|END"),
        /* framing headers */
        CASE("two lengths, equal", 0, OK_ "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
                SYNTAX),
        CASE("two lengths, the first 0", 0, OK_ "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
                SYNTAX),
        CASE("two lengths, different", 0, OK_ "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
                SYNTAX),
        CASE("length as a list", 0, OK_ "Content-Length: 1, 1\r\n\r\na", SYNTAX),
        CASE("length with a sign", 0, OK_ "Content-Length: +1\r\n\r\na", SYNTAX),
        CASE("length negative", 0, OK_ "Content-Length: -1\r\n\r\na", SYNTAX),
        CASE("length hex", 0, OK_ "Content-Length: 0x1\r\n\r\na", SYNTAX),
        CASE("length empty", 0, OK_ "Content-Length:\r\n\r\na", SYNTAX),
        CASE("length with a space inside", 0, OK_ "Content-Length: 1 1\r\n\r\na", SYNTAX),
        CASE("length 2^63", 0, OK_ "Content-Length: 9223372036854775808\r\n\r\n", SYNTAX),
        CASE("length over 2^64", 0, OK_ "Content-Length: 18446744073709551617\r\n\r\na", SYNTAX),
        CASE("length and chunked", 0, OK_ "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                SYNTAX),
        CASE("chunked and length", 0, OK_ "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                SYNTAX),
        CASE("chunked, length 0", 0, OK_ "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
                SYNTAX),
        CASE("chunked in another case", 0, OK_ "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n",
                "200 chunked|END"),
        CASE("chunked twice", 0,
                OK_ "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", SYNTAX),
        CASE("chunked, chunked", 0, OK_ "Transfer-Encoding: chunked, chunked\r\n\r\n", SYNTAX),
        CASE("gzip, chunked", 0, OK_ "Transfer-Encoding: gzip, chunked\r\n\r\n", SYNTAX),
        CASE("chunked not last", 0, OK_ "Transfer-Encoding: chunked, gzip\r\n\r\n", SYNTAX),
        CASE("identity", 0, OK_ "Transfer-Encoding: identity\r\n\r\n", SYNTAX),
        CASE("xchunked", 0, OK_ "Transfer-Encoding: xchunked\r\n\r\n", SYNTAX),
        CASE("chunked with a parameter", 0, OK_ "Transfer-Encoding: chunked;a=b\r\n\r\n", SYNTAX),
        CASE("empty transfer coding", 0, OK_ "Transfer-Encoding:\r\n\r\n", SYNTAX),
        CASE("chunked behind vertical tab", 0, OK_ "Transfer-Encoding: \013chunked\r\n\r\n",
                SYNTAX),
        /* content coding */
        CASE("gzip", 0, OK_ "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
                "200 length gzip|END"),
        CASE("x-gzip", 0, OK_ "Content-Encoding: X-GZIP\r\nContent-Length: 0\r\n\r\n",
                "200 length gzip|END"),
        CASE("identity coding", 0, OK_ "Content-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
                "200 length|END"),
        CASE("br", 0, OK_ "Content-Encoding: br\r\nContent-Length: 0\r\n\r\n",
                "200 length unknown-coding|END"),
        CASE("gzip twice", 0, OK_ "Content-Encoding: gzip, gzip\r\nContent-Length: 0\r\n\r\n",
                "200 length unknown-coding|END"),
        CASE("gzip in two headers", 0,
                OK_ "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
                "200 length unknown-coding|END"),
        /* status line */
        CASE("no reason", 0, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 length|END"),
        CASE("no reason and no space", 0, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
                "200 length|END"),
        CASE("reason with high bytes", 0, "HTTP/1.1 200 \xc3\xa9\t!\r\nContent-Length: 0\r\n\r\n",
                "200 length|END"),
        CASE("reason with a control byte", 0, "HTTP/1.1 200 O\001K\r\nContent-Length: 0\r\n\r\n",
                SYNTAX),
        CASE("reason with NUL", 0, "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("reason with CR", 0, "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("status of two digits", 0, "HTTP/1.1 20 OK\r\n\r\n", SYNTAX),
        CASE("status of four digits", 0, "HTTP/1.1 2000 OK\r\n\r\n", SYNTAX),
        CASE("status with a letter", 0, "HTTP/1.1 2x0 OK\r\n\r\n", SYNTAX),
        CASE("status 099", 0, "HTTP/1.1 099 OK\r\n\r\n", SYNTAX),
        CASE("status 599", 0, "HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", "599 length|END"),
        CASE("status 600", 0, "HTTP/1.1 600 Odd\r\n\r\n", SYNTAX),
        CASE("two spaces", 0, "HTTP/1.1  200 OK\r\n\r\n", SYNTAX),
        CASE("no status", 0, "HTTP/1.1\r\n\r\n", SYNTAX),
        CASE("HTTP/1.2", 0, "HTTP/1.2 200 OK\r\n\r\n", SYNTAX),
        CASE("HTTP/2", 0, "HTTP/2 200\r\n\r\n", SYNTAX),
        CASE("HTTP/0.9", 0, "<html>", SYNTAX),
        CASE("lower case", 0, "http/1.1 200 OK\r\n\r\n", SYNTAX),
        CASE("TLS alert", 0, "\x15\x03\x01\x00\x02\x02\x46", SYNTAX),
        CASE("HTTP/2 settings frame", 0, "\0\0\022\004\0\0\0\0\0", SYNTAX),
        CASE("empty line first", 0, "\r\n" OK_ "Content-Length: 0\r\n\r\n", SYNTAX),
        CASE("status line ends in LF", 0, "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", SYNTAX),
        /* header lines */
        CASE("header ends in LF", 0, OK_ "Content-Length: 0\n\r\n", SYNTAX),
        CASE("head ends in LF", 0, OK_ "Content-Length: 0\r\n\n", SYNTAX),
        CASE("head ends in CR CR LF", 0, OK_ "Content-Length: 0\r\n\r\r\n\r\n", SYNTAX),
        CASE("folded header", 0, OK_ "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("folded first header", 0, OK_ " X: a\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("folded with a tab", 0, OK_ "X: a\r\n\tb\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("space before the colon", 0, OK_ "Content-Length : 0\r\n\r\n", SYNTAX),
        CASE("space in the name", 0, OK_ "Content Length: 0\r\n\r\n", SYNTAX),
        CASE("no name", 0, OK_ ": 0\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("no colon", 0, OK_ "X\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("NUL in a name", 0, OK_ "X\0Y: 1\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("NUL in a value", 0, OK_ "X: 1\0\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("CR in a value", 0, OK_ "X: 1\r2\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("DEL in a value", 0, OK_ "X: 1\177\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("high byte in a value", 0, OK_ "X: \xff\r\nContent-Length: 0\r\n\r\n",
                "200 length|END"),
        CASE("high byte in a name", 0, OK_ "X\xff: 1\r\nContent-Length: 0\r\n\r\n", SYNTAX),
        CASE("empty value", 0, OK_ "X:\r\nY: \r\nContent-Length: 0\r\n\r\n", "200 length|END"),
        CASE("all token bytes", 0, OK_ "!#$%&'*+-.^_`|~09azAZ: 1\r\nContent-Length: 0\r\n\r\n",
                "200 length|END"),
        CASE("colon in a value", 0, OK_ "X: a:b\r\nContent-Length: 0\r\n\r\n", "200 length|END"),
        /* 1xx */
        CASE("100", 0, "HTTP/1.1 100 Continue\r\n\r\n" OK_ "Content-Length: 1\r\n\r\na",
                "200 length|a|END"),
        CASE("103 with headers", 0,
                "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" OK_ "Content-Length: 0\r\n\r\n",
                "200 length|END"),
        CASE("100 chunked", 0, "HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                SYNTAX),
        CASE("100 with a length", 0, "HTTP/1.1 100 C\r\nContent-Length: 3\r\n\r\nabc", SYNTAX),
        CASE("100 does not close", 0,
                "HTTP/1.1 100 C\r\nConnection: close\r\n\r\n" OK_ "Content-Length: 0\r\n\r\n",
                "200 length|END"),
        CASE("101 unasked", 0, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", SYNTAX),
        CASE("101", UP_, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x02hi",
                "101 raw close|\x81\x02hi"),
        CASE("101 behind 100", UP_, "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 101 S\r\n\r\nHTTP/1.1 200",
                "101 raw close|HTTP/1.1 200"),
        CASE("101 then the end", UP_ | EOF_, "HTTP/1.1 101 S\r\n\r\nab", "101 raw close|ab|END"),
        CASE("200 instead of 101", UP_, OK_ "Content-Length: 2\r\n\r\nno", "200 length|no|END"),
        CASE("426 instead of 101", UP_, "HTTP/1.1 426 Up\r\nContent-Length: 0\r\n\r\n",
                "426 length|END"),
        CASE("101 with a length", UP_, "HTTP/1.1 101 S\r\nContent-Length: 2\r\n\r\nab", SYNTAX),
};

static void cases_do_not_depend_on_cuts(void **state)
{
	(void)state;
	assert_true(ARRAY_LEN(cases) >= 120);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned how = cases[i].how;
		struct script s = {
		        .bytes = cases[i].bytes,
		        .flags = (how & HEAD_ ? HTTP1_HEAD : 0u) | (how & UP_ ? HTTP1_UPGRADE : 0u),
		        .responses = how & TWO_ ? 2 : 1,
		        .eof = how & EOF_,
		};
		run_cuts(cases[i].name, &s, cases[i].want);
	}
}

/* --- limits: limit - 1 and limit pass, limit + 1 does not ------------------------------------ */

static const struct http1_limits small = {
        .line_bytes_max = 40,
        .head_bytes_max = 200,
        .trailer_bytes_max = 60,
        .chunk_ext_bytes_max = 20,
        .header_count_max = 6,
        .interim_count_max = 3,
};

/* head + fill times pad + tail */
static void run_padded(const char *head, char pad, size_t fill, const char *tail, const char *want)
{
	char bytes[512];
	size_t n = strlen(head), t = strlen(tail);
	assert_true(n + fill + t <= sizeof bytes);
	memcpy(bytes, head, n);
	memset(bytes + n, pad, fill);
	memcpy(bytes + n + fill, tail, t);
	struct script s = {.bytes = {bytes, n + fill + t}, .limits = &small, .responses = 1};
	char name[64];
	snprintf(name, sizeof name, "%.20s... with %zu", head, fill);
	run_cuts(name, &s, want);
}

static void around(const char *head, char pad, size_t limit, const char *tail, const char *good,
        const char *bad)
{
	size_t used = 0;
	for (const char *p = head; *p; p++)
		used++;
	assert_true(limit > used);
	run_padded(head, pad, limit - used - 1, tail, good);
	run_padded(head, pad, limit - used, tail, good);
	run_padded(head, pad, limit - used + 1, tail, bad);
}

static void limit_of_status_line(void **state)
{
	(void)state;
	around("HTTP/1.1 200 ", 'x', small.line_bytes_max, "\r\nContent-Length: 0\r\n\r\n",
	        "200 length|END", LIMIT);
}

static void limit_of_head(void **state)
{
	(void)state;
	const char *tail = "\r\nContent-Length: 0\r\n\r\n";
	around(OK_ "X: ", 'y', small.head_bytes_max - strlen(tail), tail, "200 length|END", LIMIT);
}

static void limit_of_trailers(void **state)
{
	(void)state;
	size_t before = strlen(CHUNKED_ "0\r\n");
	around(CHUNKED_ "0\r\nX: ", 'y', before + small.trailer_bytes_max - 4, "\r\n\r\n",
	        "200 chunked|END", C_LIMIT);
}

static void limit_of_chunk_extension(void **state)
{
	(void)state;
	size_t before = strlen(CHUNKED_ "1");
	around(CHUNKED_ "1;", 'y', before + small.chunk_ext_bytes_max, "\r\na\r\n0\r\n\r\n",
	        "200 chunked|a|END", C_LIMIT);
	around(CHUNKED_ "1 ", '\t', before + small.chunk_ext_bytes_max - 1, ";\r\na\r\n0\r\n\r\n",
	        "200 chunked|a|END", C_LIMIT);
}

static void run_repeated(
        const char *head, const char *each, size_t count, const char *tail, const char *want)
{
	char bytes[512];
	size_t n = (size_t)snprintf(bytes, sizeof bytes, "%s", head);
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(bytes + n, sizeof bytes - n, "%s", each);
	n += (size_t)snprintf(bytes + n, sizeof bytes - n, "%s", tail);
	assert_true(n < sizeof bytes);
	struct script s = {.bytes = {bytes, n}, .limits = &small, .responses = 1};
	run_cuts(each, &s, want);
}

static void limit_of_header_count(void **state)
{
	(void)state;
	for (size_t i = 4; i <= 6; i++)
		run_repeated(OK_, "a:b\r\n", i - 1, "Content-Length: 0\r\n\r\n", "200 length|END");
	run_repeated(OK_, "a:b\r\n", 6, "Content-Length: 0\r\n\r\n", LIMIT);
	run_repeated(CHUNKED_ "0\r\n", "a:b\r\n", 6, "\r\n", "200 chunked|END");
	run_repeated(CHUNKED_ "0\r\n", "a:b\r\n", 7, "\r\n", C_LIMIT);
}

static void limit_of_interim_count(void **state)
{
	(void)state;
	const char *interim = "HTTP/1.1 102 P\r\n\r\n", *last = OK_ "Content-Length: 0\r\n\r\n";
	run_repeated("", interim, 2, last, "200 length|END");
	run_repeated("", interim, 3, last, "200 length|END");
	run_repeated("", interim, 4, last, LIMIT);
}

static void default_limits_are_the_documented_ones(void **state)
{
	(void)state;
	const struct http1_limits *l = &http1_limits_default;
	assert_int_equal(l->line_bytes_max, 8192);
	assert_int_equal(l->head_bytes_max, 65536);
	assert_int_equal(l->trailer_bytes_max, 8192);
	assert_int_equal(l->chunk_ext_bytes_max, 1024);
	assert_int_equal(l->header_count_max, 128);
	assert_int_equal(l->interim_count_max, 8);
}

static void endless_head_ends_at_its_limit(void **state)
{
	(void)state;
	struct http1_parser p;
	struct http1_event ev;
	http1_init(&p, NULL);
	http1_begin(&p, HTTP1_PLAIN);
	size_t used, fed = 0, peak = 0;
	enum http1_result r = http1_feed(&p, OK_ "X: ", strlen(OK_ "X: "), &used, &ev);
	while (r == HTTP1_NEED_MORE && fed < 200000) {
		r = http1_feed(&p, "y", 1, &used, &ev);
		fed++;
		if (http1_bytes(&p) > peak)
			peak = http1_bytes(&p);
	}
	assert_int_equal(r, HTTP1_ERROR);
	assert_int_equal(p.err, ERR_HTTP_LIMIT);
	assert_true(fed < 65536);
	assert_true(peak <= 65536);
	http1_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(cases_do_not_depend_on_cuts),
	        cmocka_unit_test(limit_of_status_line),
	        cmocka_unit_test(limit_of_head),
	        cmocka_unit_test(limit_of_trailers),
	        cmocka_unit_test(limit_of_chunk_extension),
	        cmocka_unit_test(limit_of_header_count),
	        cmocka_unit_test(limit_of_interim_count),
	        cmocka_unit_test(default_limits_are_the_documented_ones),
	        cmocka_unit_test(endless_head_ends_at_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
