/* ws: conformance of the reading half with RFC 6455, in groups: 1 framing, 2 pings and pongs, 3
 * reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9 sizes, 10 automatic
 * fragmentation. A case is one byte stream and the transcript that must come of it, run whole, byte
 * by byte, and cut in two at every offset (of long ones: at the first and last few and some
 * between): the transcript may not depend on the cut. */
#include "wire/ws.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- transcripts ----------------------------------------------------------------------------- */

/* "text:hello|ping:x|close 1000:bye|end", or "...|protocol 1002". Data that is longer than 64 bytes
 * is shown by its length and a hash. */
struct trace {
	char text[4096];
	size_t n;
};

enum { SHOWN_BYTES_MAX = 64 };

/* Messages in more pieces than a server of ours may send: the rules are tested, not the limit. */
static const struct ws_limits limits = {
        .message_bytes_max = 16 << 20, .frames_max = 65536, .pings_run_max = 1024};

static void add(struct trace *t, const char *p, size_t n)
{
	assert_true(t->n + n < sizeof t->text);
	memcpy(t->text + t->n, p, n);
	t->n += n;
	t->text[t->n] = 0;
}

static void add_word(struct trace *t, const char *word)
{
	if (t->n > 0)
		add(t, "|", 1);
	add(t, word, strlen(word));
}

static void add_data(struct trace *t, struct span s)
{
	char word[64];
	uint64_t hash = 14695981039346656037u;
	bool same = true;
	add(t, ":", 1);
	if (s.n <= SHOWN_BYTES_MAX) {
		add(t, s.p, s.n);
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		hash = (hash ^ (uint8_t)s.p[i]) * 1099511628211u;
		same = same && s.p[i] == s.p[0];
	}
	if (same)
		snprintf(word, sizeof word, "%zu bytes of %c", s.n, s.p[0]);
	else
		snprintf(word, sizeof word, "%zu bytes %016llx", s.n, (unsigned long long)hash);
	add(t, word, strlen(word));
}

static void add_event(struct trace *t, const struct ws_event *ev)
{
	char word[32];
	switch (ev->type) {
	case WS_EV_MESSAGE: add_word(t, ev->opcode == WS_TEXT ? "text" : "binary"); break;
	case WS_EV_PING: add_word(t, "ping"); break;
	case WS_EV_PONG: add_word(t, "pong"); break;
	case WS_EV_CLOSE:
		snprintf(word, sizeof word, "close %u", ev->code);
		add_word(t, word);
		break;
	}
	add_data(t, ev->data);
}

static void add_end(struct trace *t, const struct ws_parser *p)
{
	char word[32];
	const char *name = p->err == ERR_WS_PROTOCOL ? "protocol"
	                   : p->err == ERR_WS_LIMIT  ? "limit"
	                   : p->err == ERR_WS_UTF8   ? "utf8"
	                                             : "?";
	if (p->err != ERR_OK) {
		snprintf(word, sizeof word, "%s %u", name, ws_close_code(p));
		add_word(t, word);
	} else if (ws_eof(p) == ERR_OK) {
		add_word(t, "end");
	} else if (ws_busy(p)) {
		add_word(t, "busy");
	}
}

/* A copy of just these bytes, so that the sanitizer sees a read past them. */
static bool feed_piece(struct ws_parser *p, const char *in, size_t n, struct trace *t)
{
	struct ws_event ev;
	enum ws_result r;
	char *copy = malloc(n ? n : 1);
	size_t at = 0, used;
	assert_non_null(copy);
	if (n > 0)
		memcpy(copy, in, n);
	while ((r = ws_feed(p, copy + at, n - at, &used, &ev)) == WS_EVENT) {
		at += used;
		assert_true(at <= n);
		add_event(t, &ev);
	}
	assert_true(r == WS_ERROR || at + used == n);
	free(copy);
	return r == WS_NEED_MORE;
}

/* Pieces of step bytes, the first of first bytes. */
static void run(struct span in, size_t first, size_t step, struct trace *t)
{
	struct ws_parser p;
	size_t at = 0, piece = first;
	t->n = 0;
	t->text[0] = 0;
	ws_init(&p, &limits, true);
	do {
		if (piece > in.n - at)
			piece = in.n - at;
		if (!feed_piece(&p, in.p + at, piece, t))
			break;
		at += piece;
		piece = step;
	} while (at < in.n);
	add_end(t, &p);
	ws_fini(&p);
}

static void compare(const char *name, size_t cut, const struct trace *t, struct span want)
{
	if (!span_eq((struct span){t->text, t->n}, want))
		fail_msg("%s, first piece of %zu: wanted '%.*s', got '%s'", name, cut,
		        SPAN_ARG(want), t->text);
}

static void check_case(const char *name, struct span in, struct span want, size_t stride)
{
	static struct trace t;
	bool huge = in.n > 2 << 20;
	size_t edge = huge ? 11 : 24;
	run(in, in.n, 1, &t);
	compare(name, in.n, &t, want);
	run(in, 1, huge ? 4099 : 1, &t);
	compare(name, 1, &t, want);
	for (size_t cut = 1; cut < in.n; cut += cut < edge || in.n - cut < edge ? 1 : stride) {
		run(in, cut, in.n, &t);
		compare(name, cut, &t, want);
	}
}

/* --- building streams ------------------------------------------------------------------------ */

struct stream {
	char *p;
	size_t n, cap;
};

static void put(struct stream *s, const void *p, size_t n)
{
	if (s->n + n > s->cap) {
		s->cap = (s->n + n) * 2;
		s->p = realloc(s->p, s->cap);
		assert_non_null(s->p);
	}
	if (n > 0)
		memcpy(s->p + s->n, p, n);
	s->n += n;
}

static void put_frame(struct stream *s, unsigned first, struct span payload)
{
	uint8_t head[10] = {(uint8_t)first};
	size_t length_bytes = payload.n < 126 ? 0 : payload.n < 65536 ? 2 : 8;
	head[1] = (uint8_t)(length_bytes == 0 ? payload.n : length_bytes == 2 ? 126 : 127);
	for (size_t i = 0; i < length_bytes; i++)
		head[2 + i] = (uint8_t)(payload.n >> 8 * (length_bytes - 1 - i));
	put(s, head, 2 + length_bytes);
	put(s, payload.p, payload.n);
}

/* payload in frames of each bytes */
static void put_fragments(struct stream *s, enum ws_opcode opcode, struct span payload, size_t each)
{
	for (size_t at = 0; at == 0 || at < payload.n; at += each) {
		bool last = payload.n - at <= each;
		struct span part = {payload.p + at, last ? payload.n - at : each};
		put_frame(s, (last ? 0x80u : 0) | (at == 0 ? (unsigned)opcode : 0), part);
	}
}

static struct span of(const struct stream *s)
{
	return (struct span){s->p, s->n};
}

static struct span said(const struct trace *t)
{
	return (struct span){t->text, t->n};
}

/* --- groups 1 to 5 and what can be written down of 6 and 7 -------------------------------------
 */

#define HELLO  "\x81\x05hello"
#define X25    "xxxxxxxxxxxxxxxxxxxxxxxxx"
#define X125   X25 X25 X25 X25 X25
#define BAD    "protocol 1002"
#define BAD8   "utf8 1007"
#define CLOSED "|close 1005:|end"
#define END    "\x88\x00"

struct row {
	const char *name;
	struct span in;
	const char *want;
};
#define CASE(name, in, want)                                                                       \
	{                                                                                          \
		name, {in, sizeof(in) - 1}, want                                                   \
	}

static const struct row rows[] = {
        CASE("1 text", HELLO, "text:hello"),
        CASE("1 text and close", HELLO END, "text:hello" CLOSED),
        CASE("1 empty text", "\x81\x00", "text:"),
        CASE("1 empty binary", "\x82\x00", "binary:"),
        CASE("1 binary of any bytes", "\x82\x04\x01\xFF\xC0\xFE", "binary:\x01\xFF\xC0\xFE"),
        CASE("1 two messages", HELLO "\x82\x02hi", "text:hello|binary:hi"),
        CASE("1 empty ones in a row", "\x81\x00\x82\x00\x81\x00", "text:|binary:|text:"),
        CASE("1 nothing", "", ""),
        CASE("1 half a head", "\x81", "busy"),
        CASE("1 half a payload", "\x81\x05hel", "busy"),
        CASE("1 half a length of 16 bits", "\x81\x7E\x01", "busy"),
        CASE("1 half a length of 64 bits", "\x81\x7F\x00\x00\x00\x00\x00\x01", "busy"),
        CASE("1 masked", "\x81\x85\x01\x02\x03\x04hello", BAD),
        CASE("1 masked, empty", "\x81\x80\x01\x02\x03\x04", BAD),
        CASE("1 masked control", "\x89\x80\x01\x02\x03\x04", BAD),
        CASE("1 masked behind a good one", HELLO "\x81\x80", "text:hello|" BAD),
        CASE("1 length 0 in 16 bits", "\x81\x7E\x00\x00", BAD),
        CASE("1 length 125 in 16 bits", "\x81\x7E\x00\x7D", BAD),
        CASE("1 length 126 in 64 bits", "\x81\x7F\0\0\0\0\0\0\x00\x7E", BAD),
        CASE("1 length 65535 in 64 bits", "\x81\x7F\0\0\0\0\0\0\xFF\xFF", BAD),
        CASE("1 length with the top bit", "\x81\x7F\x80\0\0\0\0\0\0\x01", BAD),
        CASE("1 largest length", "\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "limit 1009"),

        CASE("2 empty ping", "\x89\x00", "ping:"),
        CASE("2 ping", "\x89\x05hello", "ping:hello"),
        CASE("2 ping of any bytes", "\x89\x03\xFF\xFE\x01", "ping:\xFF\xFE\x01"),
        CASE("2 unasked pong", "\x8A\x00", "pong:"),
        CASE("2 pong with data, ping", "\x8A\x02hi\x89\x02ho", "pong:hi|ping:ho"),
        CASE("2 ping of 126 bytes", "\x89\x7E\x00\x7E" X125 "x", BAD),
        CASE("2 pong of 126 bytes", "\x8A\x7E\x00\x7E" X125 "x", BAD),
        CASE("2 ping with a length of 64 bits", "\x89\x7F\0\0\0\0\0\x01\0\0", BAD),
        CASE("2 ten pings",
                "\x89\x00\x89\x00\x89\x00\x89\x00\x89\x00\x89\x00\x89\x00\x89\x00"
                "\x89\x00\x89\x01z",
                "ping:|ping:|ping:|ping:|ping:|ping:|ping:|ping:|ping:|ping:z"),

        CASE("3 rsv3", "\x91\x05hello", BAD),
        CASE("3 rsv2", "\xA1\x05hello", BAD),
        CASE("3 rsv2 and 3 behind a good one", HELLO "\xB1\x05hello", "text:hello|" BAD),
        CASE("3 rsv1, which compression has", "\xC1\x05hello", BAD),
        CASE("3 rsv1 and 3, binary", "\xD2\x01x", BAD),
        CASE("3 rsv1 and 2, ping", "\xE9\x00", BAD),
        CASE("3 all, close", "\xF8\x00", BAD),
        CASE("3 rsv1 of a continuation", "\x01\x01x\xC0\x01y", BAD),

        CASE("4 opcode 3", "\x83\x00", BAD),
        CASE("4 opcode 4 with data", "\x84\x05hello", BAD),
        CASE("4 opcode 5", HELLO "\x85\x00\x89\x00", "text:hello|" BAD),
        CASE("4 opcode 6", HELLO "\x86\x05hello", "text:hello|" BAD),
        CASE("4 opcode 7", HELLO "\x87\x00", "text:hello|" BAD),
        CASE("4 opcode 11", "\x8B\x00", BAD),
        CASE("4 opcode 12 with data", "\x8C\x01x", BAD),
        CASE("4 opcode 13", HELLO "\x8D\x00", "text:hello|" BAD),
        CASE("4 opcode 14", HELLO "\x8E\x01x", "text:hello|" BAD),
        CASE("4 opcode 15", "\x8F\x00", BAD),
        CASE("4 opcode 3, not final", "\x03\x00", BAD),

        CASE("5 ping in fragments", "\x09\x01x\x80\x01y", BAD),
        CASE("5 pong in fragments", "\x0A\x01x\x80\x01y", BAD),
        CASE("5 close in fragments", "\x08\x00\x80\x00", BAD),
        CASE("5 two fragments", "\x01\x03hel\x80\x02lo", "text:hello"),
        CASE("5 two fragments, binary", "\x02\x03hel\x80\x02lo", "binary:hello"),
        CASE("5 ping between", "\x01\x03hel\x89\x01p\x80\x02lo", "ping:p|text:hello"),
        CASE("5 pings between, many",
                "\x01\x01h\x89\x01p\x00\x01i\x8A\x01q\x00\x00\x89\x00\x80\x01!",
                "ping:p|pong:q|ping:|text:hi!"),
        CASE("5 continuation of nothing", "\x80\x05hello", BAD),
        CASE("5 continuation of nothing, not final", "\x00\x05hello" HELLO, BAD),
        CASE("5 continuation behind a whole message", HELLO "\x80\x01x", "text:hello|" BAD),
        CASE("5 continuation behind fragments", "\x01\x01h\x80\x01i\x80\x01x", "text:hi|" BAD),
        CASE("5 ping, then continuation of nothing", "\x89\x00\x00\x01x", "ping:|" BAD),
        CASE("5 text inside a message", "\x01\x01h\x81\x01i", BAD),
        CASE("5 binary inside a message", "\x01\x01h\x82\x01i", BAD),
        CASE("5 a second beginning", "\x01\x01h\x01\x01i\x80\x01x", BAD),
        CASE("5 a second beginning behind an empty one", "\x01\x00\x01\x00", BAD),
        CASE("5 empty fragments", "\x01\x00\x00\x00\x80\x00", "text:"),
        CASE("5 empty fragments, then one", "\x01\x00\x00\x00\x80\x01x", "text:x"),
        CASE("5 one, then empty fragments", "\x02\x01x\x00\x00\x80\x00", "binary:x"),
        CASE("5 two messages in fragments", "\x01\x01h\x80\x01i\x02\x01h\x80\x01o",
                "text:hi|binary:ho"),
        CASE("5 never ended", "\x01\x01h\x00\x01i", "busy"),

        CASE("7 close", END, "close 1005:|end"),
        CASE("7 code", "\x88\x02\x03\xE8", "close 1000:|end"),
        CASE("7 code and reason",
                "\x88\x05\x03\xE9"
                "bye",
                "close 1001:bye|end"),
        CASE("7 longest reason", "\x88\x7D\x03\xE8" X25 X25 X25 X25 "xxxxxxxxxxxxxxxxxxxxxxx",
                "close 1000:123 bytes of x|end"),
        CASE("7 one byte", "\x88\x01\x03", BAD),
        CASE("7 of 126 bytes", "\x88\x7E\x00\x7E\x03\xE8" X125, BAD),
        CASE("7 reason that is not UTF-8", "\x88\x04\x03\xE8\xC3\x28", BAD8),
        CASE("7 reason that ends in a character", "\x88\x03\x03\xE8\xE2", BAD8),
        CASE("7 reason in UTF-8", "\x88\x05\x03\xE8\xE2\x82\xAC", "close 1000:\xE2\x82\xAC|end"),
        CASE("7 bad code and bad reason", "\x88\x03\x03\xED\xFF", BAD),
        CASE("7 text behind it", END HELLO, "close 1005:|end"),
        CASE("7 ping behind it", END "\x89\x00", "close 1005:|end"),
        CASE("7 two", END END, "close 1005:|end"),
        CASE("7 rubbish behind it", END "\xFF\xFF\xFF\xFF", "close 1005:|end"),
        CASE("7 inside a message", "\x01\x03hel" END "\x80\x02lo", "close 1005:|end"),
        CASE("7 behind a ping", "\x89\x01p" END, "ping:p" CLOSED),
        CASE("7 half", "\x88\x02\x03", ""),
};

static void rows_do_not_depend_on_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_case(rows[i].name, rows[i].in, span_of(rows[i].want), 1);
}

/* Every first byte of a frame, at the beginning and inside a message: RFC 6455 5.2 in one line
 * each. */
static void every_first_byte_is_judged(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		for (unsigned inside = 0; inside <= 1; inside++) {
			char in[16] = "\x02\x00";
			size_t n = inside ? 2 : 0;
			in[n++] = (char)b;
			in[n++] = 0;
			unsigned op = b & 15, fin = b >> 7;
			bool control = op >= 8 && op <= 10 && fin;
			bool data = inside ? op == 0 : op == 1 || op == 2;
			bool good = (b & 0x70) == 0 && (control || data);
			static struct trace t;
			run((struct span){in, n}, n, n, &t);
			assert_int_equal(good, strstr(t.text, BAD) == NULL);
			run((struct span){in, n - 1}, n, n, &t); /* known without the second */
			assert_int_equal(good, strstr(t.text, BAD) == NULL);
		}
	}
}

/* --- 6: UTF-8 -------------------------------------------------------------------------------- */

static const struct {
	struct span text;
	int bad; /* index of the first byte that cannot be right; -1: good; n: ends too early */
} texts[] = {
#define TEXT(s, bad)                                                                               \
	{                                                                                          \
		{s, sizeof(s) - 1}, bad                                                            \
	}
        TEXT("", -1),
        TEXT("Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC", -1),
        TEXT("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", -1),
        TEXT("\x00", -1),
        TEXT("\x7F\xC2\x80", -1),
        TEXT("\xDF\xBF\xE0\xA0\x80", -1),
        TEXT("\xED\x9F\xBF\xEE\x80\x80", -1), /* around the surrogates */
        TEXT("\xEF\xBF\xBD\xEF\xBF\xBE\xEF\xBF\xBF", -1),
        TEXT("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", -1), /* U+10000, U+10FFFF */
        TEXT("a\xF0\x9D\x84\x9E"
             "b",
                -1),
        TEXT("\xF1\x80\x80\x80\xF3\xBF\xBF\xBF", -1),
        TEXT("a\x80", 1),
        TEXT("\xBF", 0),
        TEXT("\xC0\xAF", 0), /* overlong */
        TEXT("\xC1\xBF", 0),
        TEXT("\xE0\x80\xAF", 1),
        TEXT("\xE0\x9F\xBF", 1),
        TEXT("\xF0\x80\x80\xAF", 1),
        TEXT("\xF0\x8F\xBF\xBF", 1),
        TEXT("\xED\xA0\x80", 1), /* surrogates */
        TEXT("\xED\xAF\xBF\xED\xBF\xBF", 1),
        TEXT("\xED\xBF\xBF", 1),
        TEXT("ab\xF4\x90\x80\x80", 3), /* above U+10FFFF */
        TEXT("\xF5\x80\x80\x80", 0),
        TEXT("\xF8\x88\x80\x80\x80", 0),
        TEXT("\xFC\x84\x80\x80\x80\x80", 0),
        TEXT("\xFE", 0),
        TEXT("a\xFF"
             "b",
                1),
        TEXT("\xC3(", 1), /* a character that is cut off by another */
        TEXT("\xE2\x82(", 2),
        TEXT("\xE2(\x82", 1),
        TEXT("\xF0\x9F\x98(", 3),
        TEXT("\xF0\x9F\xF0\x9F\x98\x80", 2),
        TEXT("\xC3\xC3\xA9", 1),
        TEXT("a\xC3", 2), /* cut off by the end */
        TEXT("\xE2\x82", 2),
        TEXT("\xF0\x9F\x98", 3),
};

static void text_is_checked_however_it_is_framed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct span text = texts[i].text;
		struct trace want = {.n = 0};
		add_word(&want, texts[i].bad < 0 ? "text" : BAD8);
		if (texts[i].bad < 0)
			add_data(&want, text);
		for (size_t each = 1; each <= text.n + 1; each++) {
			struct stream s = {0};
			put_fragments(&s, WS_TEXT, text, each);
			check_case("6", of(&s), said(&want), 1);
			free(s.p);
		}
		/* binary is nobody's business */
		struct stream s = {0};
		put_fragments(&s, WS_BINARY, text, 2);
		want = (struct trace){.n = 0};
		add_word(&want, "binary");
		add_data(&want, text);
		check_case("6 binary", of(&s), said(&want), 1);
		free(s.p);
	}
}

/* The connection fails with the first wrong byte, not with the end of the frame or message. */
static void text_fails_at_its_first_wrong_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct span text = texts[i].text;
		int bad = texts[i].bad;
		if (bad < 0 || (size_t)bad == text.n)
			continue;
		for (int fragments = 0; fragments <= 1; fragments++) {
			struct ws_parser p;
			struct ws_event ev;
			size_t used;
			ws_init(&p, NULL, true);
			assert_int_equal(ws_feed(&p, "\x01\x7D", 2, &used, &ev), WS_NEED_MORE);
			for (int at = 0; at <= bad; at++) {
				enum ws_result r = ws_feed(&p, text.p + at, 1, &used, &ev);
				assert_int_equal(r, at < bad ? WS_NEED_MORE : WS_ERROR);
				if (fragments && at == 0 && bad > 0) {
					/* the rest of the frame, then bytes of the next */
					ws_fini(&p);
					ws_init(&p, NULL, true);
					const char first[] = {1, 1, text.p[0], 0, 0x7D};
					r = ws_feed(&p, first, sizeof first, &used, &ev);
					assert_int_equal(r, WS_NEED_MORE);
				}
			}
			assert_int_equal(p.err, ERR_WS_UTF8);
			ws_fini(&p);
		}
	}
}

static void unchecked_text_passes_as_it_is(void **state)
{
	(void)state;
	struct ws_parser p;
	struct ws_event ev;
	size_t used;
	ws_init(&p, NULL, false);
	assert_int_equal(ws_feed(&p, "\x81\x02\xFF\xC3", 4, &used, &ev), WS_EVENT);
	assert_memory_equal(ev.data.p, "\xFF\xC3", 2);
	/* but not the reason of a close, which nobody else checks */
	assert_int_equal(ws_feed(&p, "\x88\x03\x03\xE8\xFF", 5, &used, &ev), WS_ERROR);
	assert_int_equal(p.err, ERR_WS_UTF8);
	ws_fini(&p);
}

/* --- 7: every close code --------------------------------------------------------------------- */

static void every_close_code_is_judged(void **state)
{
	(void)state;
	static const struct {
		unsigned first, last;
	} good[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
	for (unsigned code = 0; code < 65536; code++) {
		const char in[] = {(char)0x88, 4, (char)(code >> 8), (char)code, 'o', 'k'};
		static struct trace t;
		char want[32] = BAD;
		for (size_t i = 0; i < ARRAY_LEN(good); i++)
			if (code >= good[i].first && code <= good[i].last)
				snprintf(want, sizeof want, "close %u:ok|end", code);
		run((struct span){in, sizeof in}, sizeof in, 1, &t);
		assert_string_equal(t.text, want);
		if (code % 997 == 0 || code < 5001)
			run((struct span){in, sizeof in}, 3, 1, &t);
		assert_string_equal(t.text, want);
	}
}

/* --- 9 and 10: sizes ------------------------------------------------------------------------- */

static struct span filled(size_t n)
{
	char *p = malloc(n ? n : 1);
	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)('!' + (i * 31 + i / 93) % 93);
	return (struct span){p, n};
}

static void check_sized(enum ws_opcode opcode, size_t n, size_t each, size_t cuts)
{
	struct stream s = {0};
	struct span data = filled(n);
	struct trace want = {.n = 0};
	char name[64];
	snprintf(name, sizeof name, "9 %zu in frames of %zu", n, each);
	put_fragments(&s, opcode, data, each);
	put(&s, "\x89\x00", 2);
	add_word(&want, opcode == WS_TEXT ? "text" : "binary");
	add_data(&want, data);
	add_word(&want, "ping:");
	check_case(name, of(&s), said(&want), s.n / cuts + 1);
	free(s.p);
	free((void *)(uintptr_t)data.p);
}

static void sizes_around_each_form_of_the_length(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 124, 125, 126, 127, 128, 255, 256, 1000};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		check_sized(WS_TEXT, sizes[i], SIZE_MAX, SIZE_MAX);
		check_sized(WS_BINARY, sizes[i], SIZE_MAX, SIZE_MAX);
	}
	check_sized(WS_TEXT, 65534, SIZE_MAX, 50);
	check_sized(WS_TEXT, 65535, SIZE_MAX, 50);
	check_sized(WS_TEXT, 65536, SIZE_MAX, 50);
	check_sized(WS_BINARY, 65537, SIZE_MAX, 50);
}

static void sizes_up_to_the_limit(void **state)
{
	(void)state;
	check_sized(WS_TEXT, 1 << 20, SIZE_MAX, 4);
	check_sized(WS_BINARY, ws_limits_default.message_bytes_max, SIZE_MAX, 1);
	check_sized(WS_BINARY, ws_limits_default.message_bytes_max, 300000, 1);
}

static void sizes_in_fragments(void **state)
{
	(void)state;
	static const size_t each[] = {1, 64, 256, 1000, 4096, 16384, 65535, 65536};
	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		check_sized(WS_TEXT, each[i] < 64 ? 50000 : 1 << 18, each[i], 6);
		check_sized(WS_BINARY, each[i] * 2, each[i], 20);
		check_sized(WS_TEXT, each[i] * 2 + 1, each[i], 20);
	}
}

static void a_limit_of_many_frames_is_exact(void **state)
{
	(void)state;
	struct span data = filled(65537);
	for (size_t n = 65536; n <= 65537; n++) {
		struct stream s = {0};
		static struct trace t;
		put_fragments(&s, WS_BINARY, (struct span){data.p, n}, 1);
		run(of(&s), s.n, 1, &t);
		assert_int_equal(n == 65536, strncmp(t.text, "binary:65536 bytes", 18) == 0);
		assert_int_equal(n > 65536, strcmp(t.text, "limit 1009") == 0);
		run(of(&s), 5, 16384, &t);
		assert_int_equal(n > 65536, strcmp(t.text, "limit 1009") == 0);
		free(s.p);
	}
	free((void *)(uintptr_t)data.p);
}

/* A sender that cuts a message where its buffer ends, with pings and other messages around. */
static void automatic_fragmentation(void **state)
{
	(void)state;
	struct stream s = {0};
	struct span data = filled(65536);
	struct trace want = {.n = 0};
	put_fragments(&s, WS_TEXT, data, 1300);
	put(&s, HELLO, sizeof HELLO - 1);
	put_fragments(&s, WS_BINARY, (struct span){data.p, 40000}, 1301);
	put(&s, END, 2);
	add_word(&want, "text");
	add_data(&want, data);
	add_word(&want, "text:hello");
	add_word(&want, "binary");
	add_data(&want, (struct span){data.p, 40000});
	add_word(&want, "close 1005:");
	add_word(&want, "end");
	check_case("10", of(&s), said(&want), 991);
	free(s.p);
	free((void *)(uintptr_t)data.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rows_do_not_depend_on_cuts),
	        cmocka_unit_test(every_first_byte_is_judged),
	        cmocka_unit_test(text_is_checked_however_it_is_framed),
	        cmocka_unit_test(text_fails_at_its_first_wrong_byte),
	        cmocka_unit_test(unchecked_text_passes_as_it_is),
	        cmocka_unit_test(every_close_code_is_judged),
	        cmocka_unit_test(sizes_around_each_form_of_the_length),
	        cmocka_unit_test(sizes_up_to_the_limit),
	        cmocka_unit_test(sizes_in_fragments),
	        cmocka_unit_test(a_limit_of_many_frames_is_exact),
	        cmocka_unit_test(automatic_fragmentation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
