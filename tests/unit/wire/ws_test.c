/* ws: the handshake, error texts, limits at their edges, memory (what is held, what happens when
 * the n-th allocation fails), UTF-8, and what is written. Whole streams are in
 * ws_conformance_test.c. */
/* own include order: realloc() of ws.c is replaced */
#include <stdlib.h>

static unsigned own_calls, own_fail_at; /* 0: never */
static void *own_realloc(void *p, unsigned long n)
{
	if (++own_calls == own_fail_at)
		return NULL;
	void *grown = realloc(p, n);
	if (grown && !p)
		__builtin_memset(grown, 0xAA, n); /* not by chance what it should become */
	return grown;
}
#define realloc(p, n) own_realloc(p, n)
#include "wire/ws.c"
#undef realloc

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/crypto.h>

/* --- handshake ------------------------------------------------------------------------------- */

#define KEY     "dGhlIHNhbXBsZSBub25jZQ=="
#define S101    "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define GOOD    S101 UPGRADE ACCEPT

static const struct span offered[] = {
        {"headlamp.multiplexer.k8s.io", 27}, {"base64.binary.k8s.io", 20}};

static const struct {
	const char *head, *why; /* why NULL: accepted */
} answers[] = {
        {GOOD, NULL},
        {GOOD "Sec-WebSocket-Protocol: base64.binary.k8s.io\r\n", NULL},
        {GOOD "sec-websocket-protocol:headlamp.multiplexer.k8s.io  \r\n", NULL},
        /* as the Go libraries write it, which is how both servers answer */
        {S101 "Connection: Upgrade\r\nSec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
              "Sec-Websocket-Protocol: base64.binary.k8s.io\r\nUpgrade: websocket\r\n",
                NULL},
        {S101 "UPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n" ACCEPT, NULL},
        {S101 "Upgrade: websocket\r\nConnection: a\r\nConnection: b ,upgrade,\r\n" ACCEPT, NULL},
        {GOOD "Sec-WebSocket-Extensions:\r\n", NULL},
        {GOOD "Upgrade: websocket\r\n", NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" UPGRADE ACCEPT, "answered 200 instead of 101"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n", "answered 403 instead of 101"},
        {"HTTP/1.0 101 Switching Protocols\r\n" UPGRADE ACCEPT, "of HTTP/1.0"},
        {S101 "Connection: Upgrade\r\n" ACCEPT, "no Upgrade header"},
        {S101 "Upgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT, "Upgrade is not websocket"},
        {S101 "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" ACCEPT,
                "Upgrade is not websocket"},
        {GOOD "Upgrade: h2c\r\n", "Upgrade is not websocket"},
        {S101 "Upgrade: h2c\r\n" UPGRADE ACCEPT, "Upgrade is not websocket"},
        {S101 "Upgrade: websocket\r\n" ACCEPT, "Connection does not say upgrade"},
        {S101 "Upgrade: websocket\r\nConnection: upgrades, up\r\n" ACCEPT,
                "Connection does not say upgrade"},
        {S101 UPGRADE, "no Sec-WebSocket-Accept"},
        {GOOD ACCEPT, "more than one Sec-WebSocket-Accept"},
        {S101 UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n", "our key"},
        {S101 UPGRADE "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n", "our key"},
        {S101 UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n", "our key"},
        {S101 UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo==\r\n", "our key"},
        {S101 UPGRADE "Sec-WebSocket-Accept:\r\n", "our key"},
        {GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n", "uses an extension"},
        {GOOD "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n", "uses an extension"},
        {GOOD "Sec-WebSocket-Protocol: base64.binary.k8s.i\r\n", "was not offered"},
        {GOOD "Sec-WebSocket-Protocol: BASE64.binary.k8s.io\r\n", "was not offered"},
        {GOOD "Sec-WebSocket-Protocol: base64.binary.k8s.io, x\r\n", "was not offered"},
        {GOOD "Sec-WebSocket-Protocol:\r\n", "was not offered"},
        {GOOD "Sec-WebSocket-Protocol: base64.binary.k8s.io\r\n"
              "Sec-WebSocket-Protocol: base64.binary.k8s.io\r\n",
                "more than one Sec-WebSocket-Protocol"},
};

static err_t check_answer_text(const char *head, size_t offers, struct errmsg *m)
{
	char text[1024];
	struct http1_parser p;
	struct http1_event ev;
	size_t used;
	snprintf(text, sizeof text, "%s\r\n", head);
	http1_init(&p, NULL);
	http1_begin(&p, HTTP1_UPGRADE);
	assert_int_equal(http1_feed(&p, text, strlen(text), &used, &ev), HTTP1_EVENT);
	err_t e = ws_check_upgrade(&ev.head, KEY, offered, offers, m);
	http1_fini(&p);
	return e;
}

static void handshake_is_accepted_or_names_its_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct errmsg m = {.text = ""};
		err_t e = check_answer_text(answers[i].head, ARRAY_LEN(offered), &m);
		if ((e == ERR_OK) != !answers[i].why ||
		        (answers[i].why && !strstr(m.text, answers[i].why)))
			fail_msg("%s: wanted '%s', got '%s'", answers[i].head,
			        answers[i].why ? answers[i].why : "ok", m.text);
		assert_int_equal(e, answers[i].why ? ERR_WS_HANDSHAKE : ERR_OK);
	}
}

static void sub_protocol_without_an_offer_is_refused(void **state)
{
	(void)state;
	const char *head = GOOD "Sec-WebSocket-Protocol: headlamp.multiplexer.k8s.io\r\n";
	assert_int_equal(check_answer_text(head, 1, NULL), ERR_OK);
	assert_int_equal(check_answer_text(head, 0, NULL), ERR_WS_HANDSHAKE);
	assert_int_equal(check_answer_text(GOOD, 0, NULL), ERR_OK);
}

static void key_is_base64_of_the_nonce(void **state)
{
	(void)state;
	char key[WS_KEY_BYTES + 1] = {0};
	key[WS_KEY_BYTES] = '!';
	ws_key((const uint8_t *)"the sample nonce", key);
	assert_memory_equal(key, KEY "!", WS_KEY_BYTES + 1);
}

/* --- memory of OpenSSL, whose n-th allocation can be made to fail ------------------------------
 */

static struct {
	bool on;
	unsigned calls, fail_at;
} mem;

static void *mem_alloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem.on && ++mem.calls == mem.fail_at ? NULL : malloc(n);
}
static void *mem_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem.on && ++mem.calls == mem.fail_at ? NULL : (realloc)(p, n);
}
static void mem_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static void handshake_survives_every_failed_allocation(void **state)
{
	(void)state;
	unsigned failed = 0;
	assert_int_equal(check_answer_text(GOOD, 0, NULL), ERR_OK); /* warm */
	for (mem.fail_at = 1;; mem.fail_at++) {
		mem.calls = 0;
		mem.on = true;
		err_t e = check_answer_text(GOOD, 0, NULL);
		mem.on = false;
		assert_true(e == ERR_OK || e == ERR_NO_MEMORY);
		failed += e == ERR_NO_MEMORY;
		if (mem.calls < mem.fail_at)
			break;
	}
	assert_true(failed > 0);
	assert_int_equal(check_answer_text(GOOD, 0, NULL), ERR_OK);
}

/* --- errors ---------------------------------------------------------------------------------- */

struct bytes {
	const char *p;
	size_t n;
};
#define BYTES(lit)                                                                                 \
	{                                                                                          \
		(lit), sizeof(lit) - 1                                                             \
	}

static void errors_name_code_rule_and_frame(void **state)
{
	(void)state;
	static const struct {
		struct bytes in;
		err_t err;
		unsigned close;
		const char *text;
	} rules[] = {
	        {BYTES("\xC1\x00"), ERR_WS_PROTOCOL, 1002, "a reserved bit is set"},
	        {BYTES("\x83\x00"), ERR_WS_PROTOCOL, 1002, "reserved opcode of a data frame"},
	        {BYTES("\x8B\x00"), ERR_WS_PROTOCOL, 1002, "reserved opcode of a control frame"},
	        {BYTES("\x09\x00"), ERR_WS_PROTOCOL, 1002, "fragmented control frame"},
	        {BYTES("\x80\x00"), ERR_WS_PROTOCOL, 1002, "continuation frame outside a message"},
	        {BYTES("\x01\x01s\x81\x00"), ERR_WS_PROTOCOL, 1002,
	                "a message begins inside another one, in frame 2"},
	        {BYTES("\x81\x80"), ERR_WS_PROTOCOL, 1002, "masked frame"},
	        {BYTES("\x89\x7E"), ERR_WS_PROTOCOL, 1002, "more than 125 bytes"},
	        {BYTES("\x88\x01s"), ERR_WS_PROTOCOL, 1002, "no close code"},
	        {BYTES("\x88\x02\x03\xED"), ERR_WS_PROTOCOL, 1002, "may not be sent"},
	        {BYTES("\x81\x7E\x00\x7D"), ERR_WS_PROTOCOL, 1002, "shortest form"},
	        {BYTES("\x81\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF"), ERR_WS_PROTOCOL, 1002,
	                "shortest form"},
	        {BYTES("\x81\x7F\x80"), ERR_WS_PROTOCOL, 1002, "63 bits"},
	        {BYTES("\x82\x00\x81\x00\x81\x03s\xC0\x80"), ERR_WS_UTF8, 1007,
	                "wrong byte in a text message, in frame 3 of the connection"},
	        {BYTES("\x81\x02s\xC3"), ERR_WS_UTF8, 1007, "ends inside a character"},
	        {BYTES("\x88\x03\x03\xE8\xFF"), ERR_WS_UTF8, 1007, "reason of a close frame"},
	        {BYTES("\x81\x7F\x00\x00\x00\x00\x01\x00\x00\x01"), ERR_WS_LIMIT, 1009,
	                "too many bytes"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct ws_parser p;
		struct ws_event ev;
		struct errmsg m = {.text = ""};
		size_t at = 0, used;
		enum ws_result r;
		ws_init(&p, NULL, true);
		assert_int_equal(ws_error(&p, &m), ERR_OK);
		while ((r = ws_feed(&p, rules[i].in.p + at, rules[i].in.n - at, &used, &ev)) ==
		        WS_EVENT)
			at += used;
		assert_int_equal(r, WS_ERROR);
		assert_int_equal(ws_error(&p, &m), rules[i].err);
		assert_int_equal(m.code, rules[i].err);
		assert_int_equal(ws_close_code(&p), rules[i].close);
		if (!strstr(m.text, rules[i].text) || !strstr(m.text, err_text(rules[i].err)))
			fail_msg("wanted '%s' in '%s'", rules[i].text, m.text);
		assert_non_null(strstr(m.text, ", in frame "));
		/* sticky, and nothing is held */
		assert_int_equal(ws_feed(&p, "\x81\x00", 2, &used, &ev), WS_ERROR);
		assert_int_equal(used, 0);
		assert_int_equal(ws_bytes(&p), 0);
		assert_false(ws_busy(&p));
		assert_int_equal(ws_eof(&p), ERR_WS_CLOSED);
		ws_fini(&p);
	}
}

static void eof_is_good_behind_a_close_only(void **state)
{
	(void)state;
	struct ws_parser p;
	struct ws_event ev;
	size_t used;
	ws_init(&p, NULL, true);
	assert_int_equal(ws_eof(&p), ERR_WS_CLOSED);
	assert_int_equal(ws_feed(&p, "\x81\x01x\x88\x00\x81", 6, &used, &ev), WS_EVENT);
	assert_int_equal(used, 3);
	assert_int_equal(ws_eof(&p), ERR_WS_CLOSED);
	assert_int_equal(ws_feed(&p, "\x88\x00\xFF", 3, &used, &ev), WS_EVENT);
	assert_int_equal(used, 2);
	assert_int_equal(ev.type, WS_EV_CLOSE);
	assert_int_equal(ev.code, WS_CODE_NONE);
	assert_int_equal(ws_eof(&p), ERR_OK);
	/* what follows is thrown away, whatever it is */
	assert_int_equal(ws_feed(&p, "\xFF\xFF\xFF", 3, &used, &ev), WS_NEED_MORE);
	assert_int_equal(used, 3);
	assert_int_equal(ws_feed(&p, NULL, 0, &used, &ev), WS_NEED_MORE);
	assert_int_equal(ws_eof(&p), ERR_OK);
	ws_fini(&p);
}

/* --- limits ---------------------------------------------------------------------------------- */

static const struct ws_limits small = {
        .message_bytes_max = 200, .frames_max = 5, .pings_run_max = 3};

/* Feeds all, whole or byte by byte: the events are counted; ERR_OK or the error. */
static err_t run(const struct ws_limits *l, const char *in, size_t n, size_t step, unsigned *events)
{
	struct ws_parser p;
	struct ws_event ev;
	size_t used, at = 0;
	enum ws_result r = WS_NEED_MORE;
	*events = 0;
	ws_init(&p, l, true);
	while (at < n && r != WS_ERROR) {
		size_t piece = step < n - at ? step : n - at;
		for (;;) {
			r = ws_feed(&p, in + at, piece, &used, &ev);
			at += used;
			piece -= used;
			if (r != WS_EVENT)
				break;
			++*events;
		}
		assert_true(!p._carry || ws_bytes(&p) <= l->message_bytes_max + (size_t)WS_SLACK);
	}
	err_t e = p.err;
	ws_fini(&p);
	return e;
}

static void expect(const char *in, size_t n, err_t want, unsigned want_events)
{
	static const size_t steps[] = {SIZE_MAX, 1, 7};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		unsigned events;
		assert_int_equal(run(&small, in, n, steps[i], &events), want);
		assert_int_equal(events, want_events);
	}
}

static size_t put_frame(char *to, unsigned first, size_t n)
{
	size_t h = 2;
	to[0] = (char)first;
	to[1] = (char)(n < 126 ? n : 126);
	if (n >= 126) {
		to[2] = (char)(n >> 8);
		to[3] = (char)n;
		h = 4;
	}
	memset(to + h, 'x', n);
	return h + n;
}

static void limit_of_message_bytes(void **state)
{
	(void)state;
	char in[1024];
	for (size_t size = 199; size <= 201; size++) {
		bool good = size <= small.message_bytes_max;
		/* one frame */
		size_t n = put_frame(in, 0x82, size);
		expect(in, n, good ? ERR_OK : ERR_WS_LIMIT, good);
		/* in two, the second makes it too many; then one of two bytes */
		n = put_frame(in, 0x02, 150);
		n += put_frame(in + n, 0x80, size - 150);
		n += put_frame(in + n, 0x82, 2);
		expect(in, n, good ? ERR_OK : ERR_WS_LIMIT, good ? 2 : 0);
	}
	/* each message has the limit for itself */
	size_t n = put_frame(in, 0x82, 200);
	n += put_frame(in + n, 0x81, 200);
	n += put_frame(in + n, 0x02, 200);
	n += put_frame(in + n, 0x80, 0);
	expect(in, n, ERR_OK, 3);
	/* told by the head alone, before a byte of payload is there */
	expect("\x82\x7E\x00\xC9", 4, ERR_WS_LIMIT, 0);
	expect("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10, ERR_WS_LIMIT, 0);
	n = put_frame(in, 0x02, 200);
	memcpy(in + n, "\x00\x01", 2);
	expect(in, n + 2, ERR_WS_LIMIT, 0);
}

static void limit_of_frames(void **state)
{
	(void)state;
	for (unsigned frames = 4; frames <= 6; frames++) {
		for (size_t each = 0; each <= 1; each++) {
			char in[128];
			size_t n = 0;
			bool good = frames <= small.frames_max;
			for (unsigned i = 0; i < frames; i++) {
				unsigned fin = i + 1 == frames ? 0x80 : 0;
				n += put_frame(in + n, fin | (i == 0 ? WS_BINARY : 0u), each);
				if (each == 0)
					continue; /* nothing would end the run of these */
				n += put_frame(in + n, 0x89, 0); /* do not count */
				n += put_frame(in + n, 0x8A, 1);
			}
			unsigned events = good ? frames * (each ? 2 : 0) + 1 : 5 * (each ? 2 : 0);
			expect(in, n, good ? ERR_OK : ERR_WS_LIMIT, events);
		}
	}
	/* the count begins again */
	expect("\x01\x00\x00\x00\x00\x00\x00\x00\x80\x00\x01\x00\x80\x00", 14, ERR_OK, 2);
}

static void limit_of_pings_in_a_row(void **state)
{
	(void)state;
#define PING "\x89\x00"
#define PONG "\x8A\x01x"
	static const struct {
		struct bytes in;
		err_t err;
		unsigned events;
	} rows[] = {
	        {BYTES(PING PONG), ERR_OK, 2},
	        {BYTES(PING PONG PING), ERR_OK, 3},
	        {BYTES(PING PONG PING PONG PING PONG), ERR_OK, 6},
	        {BYTES(PING PONG PING PONG PING PONG PING), ERR_WS_LIMIT, 6},
	        {BYTES(PONG PONG PONG PONG PONG), ERR_OK, 5}, /* asked for, perhaps */
	        {BYTES(PING PING PING "\x89"), ERR_WS_LIMIT, 3},
	        {BYTES(PING PING PING "\x81\x01x" PING PING PING), ERR_OK, 7},
	        {BYTES(PING PING PING "\x01\x01x" PING PING PING "\x80\x00"), ERR_OK, 7},
	        /* frames without data between do not help */
	        {BYTES(PING PING PING "\x81\x00" PING), ERR_WS_LIMIT, 4},
	        {BYTES("\x01\x01x" PING "\x00\x00" PING "\x00\x00" PING "\x00\x00" PING),
	                ERR_WS_LIMIT, 3},
	        {BYTES(PING PING PING "\x88\x00"), ERR_OK, 4},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(rows[i].in.p, rows[i].in.n, rows[i].err, rows[i].events);
}

static void default_limits_are_the_documented_ones(void **state)
{
	(void)state;
	assert_int_equal(ws_limits_default.message_bytes_max, 16777216);
	assert_int_equal(ws_limits_default.frames_max, 4096);
	assert_int_equal(ws_limits_default.pings_run_max, 1024);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void whole_frame_is_handed_out_in_place(void **state)
{
	(void)state;
	const char in[] = "\x81\x05hello\x01\x00\x89\x01p\x00\x00\x80\x03hey\x82\x00";
	struct ws_parser p;
	struct ws_event ev;
	size_t used, at = 0, n = sizeof in - 1;
	const char *at_hello = in + 2, *at_p = in + 11, *at_hey = in + 16;
	own_calls = 0;
	ws_init(&p, NULL, true);
	assert_int_equal(ws_feed(&p, in, n, &used, &ev), WS_EVENT);
	assert_int_equal(ev.type, WS_EV_MESSAGE);
	assert_int_equal(ev.opcode, WS_TEXT);
	assert_ptr_equal(ev.data.p, at_hello);
	assert_int_equal(ev.data.n, 5);
	at += used;
	assert_int_equal(ws_feed(&p, in + at, n - at, &used, &ev), WS_EVENT);
	assert_int_equal(ev.type, WS_EV_PING);
	assert_ptr_equal(ev.data.p, at_p);
	assert_true(ws_busy(&p));
	at += used;
	/* also the only frame of a message that has bytes */
	assert_int_equal(ws_feed(&p, in + at, n - at, &used, &ev), WS_EVENT);
	assert_ptr_equal(ev.data.p, at_hey);
	assert_false(ws_busy(&p));
	at += used;
	assert_int_equal(ws_feed(&p, in + at, n - at, &used, &ev), WS_EVENT);
	assert_int_equal(ev.opcode, WS_BINARY);
	assert_int_equal(ev.data.n, 0);
	assert_non_null(ev.data.p);
	assert_int_equal(at + used, n);
	assert_int_equal(own_calls, 0);
	ws_fini(&p);
}

static void carried_message_takes_one_allocation_and_gives_it_back(void **state)
{
	(void)state;
	enum { BYTES_ALL = 1 << 20, PIECE = 16384 };
	struct ws_parser p;
	struct ws_event ev;
	size_t used;
	char *piece = malloc(PIECE);
	assert_non_null(piece);
	memset(piece, 'x', PIECE);
	ws_init(&p, NULL, true);
	own_calls = 0;
	assert_int_equal(ws_feed(&p, "\x81\x7F\0\0\0\0\0\x10\0\0", 10, &used, &ev), WS_NEED_MORE);
	assert_int_equal(ws_bytes(&p), 0); /* a head alone costs nothing */
	assert_true(ws_busy(&p));
	for (size_t i = 0; i < BYTES_ALL / PIECE; i++) {
		bool last = (i + 1) * PIECE == BYTES_ALL;
		assert_int_equal(
		        ws_feed(&p, piece, PIECE, &used, &ev), last ? WS_EVENT : WS_NEED_MORE);
		assert_int_equal(used, PIECE);
		assert_int_equal(ws_bytes(&p), BYTES_ALL + WS_SLACK);
	}
	assert_int_equal(own_calls, 1);
	assert_int_equal(ev.data.n, BYTES_ALL);
	for (size_t i = 0; i < WS_SLACK; i++) /* may be read (the sanitizer looks), and is zero */
		assert_int_equal(ev.data.p[ev.data.n + i], 0);
	assert_int_equal(ws_feed(&p, NULL, 0, &used, &ev), WS_NEED_MORE);
	assert_int_equal(ws_bytes(&p), 0);
	free(piece);
	ws_fini(&p);
}

static void carry_of_fragments_grows_by_doubling_up_to_the_limit(void **state)
{
	(void)state;
	static const struct ws_limits l = {
	        .message_bytes_max = 50000, .frames_max = 65536, .pings_run_max = 1};
	struct ws_parser p;
	struct ws_event ev;
	size_t used;
	ws_init(&p, &l, false);
	own_calls = 0;
	assert_int_equal(ws_feed(&p, "\x02\x01x", 3, &used, &ev), WS_NEED_MORE);
	for (size_t i = 1; i < 49999; i++) {
		assert_int_equal(ws_feed(&p, "\x00\x01x", 3, &used, &ev), WS_NEED_MORE);
		assert_true(ws_bytes(&p) <= 50000 + WS_SLACK);
	}
	assert_int_equal(ws_bytes(&p), 50000 + WS_SLACK);
	assert_int_equal(own_calls, 7); /* 1 K, 2 K ... 32 K, all */
	assert_int_equal(ws_feed(&p, "\x80\x01y", 3, &used, &ev), WS_EVENT);
	assert_int_equal(ev.data.n, 50000);
	assert_int_equal(ev.data.p[49998], 'x');
	assert_int_equal(ev.data.p[49999], 'y');
	/* ended with the message still held */
	ws_fini(&p);
}

static void carry_of_a_last_frame_is_exact(void **state)
{
	(void)state;
	struct ws_parser p;
	struct ws_event ev;
	size_t used;
	char in[1024];
	ws_init(&p, NULL, true);
	assert_int_equal(ws_feed(&p, "\x81\x05h", 3, &used, &ev), WS_NEED_MORE);
	assert_int_equal(ws_bytes(&p), 5 + WS_SLACK);
	assert_int_equal(ws_feed(&p, "ello", 4, &used, &ev), WS_EVENT);
	assert_memory_equal(ev.data.p, "hello", 5);
	size_t n = put_frame(in, 0x01, 900);
	assert_int_equal(ws_feed(&p, in, n, &used, &ev), WS_NEED_MORE);
	assert_int_equal(ws_bytes(&p), 1024 + WS_SLACK);
	n = put_frame(in, 0x80, 125);
	assert_int_equal(ws_feed(&p, in, n - 1, &used, &ev), WS_NEED_MORE);
	assert_int_equal(ws_bytes(&p), 1025 + WS_SLACK);
	assert_int_equal(ws_feed(&p, in + n - 1, 1, &used, &ev), WS_EVENT);
	assert_int_equal(ev.data.n, 1025);
	ws_fini(&p);
}

static void close_and_errors_free_what_is_carried(void **state)
{
	(void)state;
	static const struct bytes ends[] = {BYTES("\x88\x00"), BYTES("\x8F\x00")};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct ws_parser p;
		struct ws_event ev;
		size_t used;
		ws_init(&p, NULL, true);
		assert_int_equal(ws_feed(&p, "\x01\x05he", 4, &used, &ev), WS_NEED_MORE);
		assert_true(ws_bytes(&p) > 0);
		assert_int_equal(ws_feed(&p, "llo", 3, &used, &ev), WS_NEED_MORE);
		assert_int_equal(
		        ws_feed(&p, ends[i].p, ends[i].n, &used, &ev), i ? WS_ERROR : WS_EVENT);
		assert_int_equal(ws_bytes(&p), 0);
		assert_false(ws_busy(&p));
		ws_fini(&p);
	}
}

static void busy_is_from_the_first_byte_of_a_message_to_its_last(void **state)
{
	(void)state;
	const char in[] = "\x89\x01p\x01\x01s\x89\x01p\x80\x01t\x89\x00";
	struct ws_parser p;
	struct ws_event ev;
	size_t used;
	ws_init(&p, NULL, true);
	for (size_t i = 0; i < sizeof in - 1; i++) {
		ws_feed(&p, in + i, 1, &used, &ev);
		assert_int_equal(used, 1);
		assert_int_equal(ws_busy(&p), i >= 3 && i < 11);
	}
	ws_fini(&p);
}

static void every_failed_allocation_ends_the_connection(void **state)
{
	(void)state;
	char in[8192];
	size_t n = put_frame(in, 0x01, 700);
	n += put_frame(in + n, 0x89, 3);
	n += put_frame(in + n, 0x00, 900);
	n += put_frame(in + n, 0x80, 3000);
	n += put_frame(in + n, 0x82, 2000);
	unsigned events, failed = 0;
	for (own_fail_at = 1;; own_fail_at++) {
		own_calls = 0;
		err_t e = run(&ws_limits_default, in, n, 100, &events);
		if (own_calls < own_fail_at) {
			assert_int_equal(e, ERR_OK);
			assert_int_equal(events, 3);
			break;
		}
		assert_int_equal(e, ERR_NO_MEMORY);
		assert_true(events < 3);
		failed++;
	}
	assert_int_equal(failed, 4); /* 1 K, 2 K, the last frame; the second message */
	own_fail_at = 1;
	own_calls = 0;
	struct ws_parser p;
	struct ws_event ev;
	struct errmsg m;
	size_t used;
	ws_init(&p, NULL, true);
	assert_int_equal(ws_feed(&p, "\x81\x05h", 3, &used, &ev), WS_ERROR);
	assert_int_equal(ws_error(&p, &m), ERR_NO_MEMORY);
	assert_int_equal(ws_close_code(&p), 1009);
	assert_non_null(strstr(m.text, "came in pieces"));
	ws_fini(&p);
	own_fail_at = 0;
}

static void idle_parser_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct ws_parser) <= 232);
}

/* --- UTF-8 ----------------------------------------------------------------------------------- */

/* By arithmetic: the code point that is encoded, in its one form. 0: no character; else its size.
 */
static size_t naive_char(const uint8_t *b, size_t n)
{
	static const uint32_t first_of[] = {0, 0, 0x80, 0x800, 0x10000};
	if (b[0] < 0x80)
		return 1;
	size_t size = b[0] >= 0xF8 ? 0 : b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : b[0] >= 0xC0 ? 2 : 0;
	if (size == 0 || size > n)
		return 0;
	uint32_t v = b[0] & (0xFFu >> (size + 1));
	for (size_t i = 1; i < size; i++) {
		if ((b[i] & 0xC0) != 0x80)
			return 0;
		v = v << 6 | (b[i] & 0x3Fu);
	}
	bool good = v >= first_of[size] && v <= 0x10FFFF && !(v >= 0xD800 && v <= 0xDFFF);
	return good ? size : 0;
}

static bool naive_utf8(const uint8_t *b, size_t n)
{
	while (n > 0) {
		size_t size = naive_char(b, n);
		if (size == 0)
			return false;
		b += size;
		n -= size;
	}
	return true;
}

static void utf8_agrees_with_arithmetic(void **state)
{
	(void)state;
	/* every value of one to three bytes; of four, every lead and both ends of every range */
	static const uint8_t edges[] = {0, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
	        0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xFF};
	for (uint32_t v = 0; v < 1u << 24; v++) {
		const uint8_t b[] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
		if (b[0] != 0 && b[0] < 0xC0 && b[0] != 'A' && b[0] != 0x80)
			continue;
		bool good = ws_utf8(WS_UTF8_START, (const char *)b, 3) == WS_UTF8_START;
		if (good != naive_utf8(b, 3))
			fail_msg("%06x", v);
	}
	for (unsigned lead = 0; lead < 256; lead++)
		for (unsigned v = 0; v < 4096; v++) {
			const uint8_t b[] = {
			        (uint8_t)lead, edges[v >> 8], edges[v >> 4 & 15], edges[v & 15]};
			bool good = ws_utf8(WS_UTF8_START, (const char *)b, 4) == WS_UTF8_START;
			if (good != naive_utf8(b, 4))
				fail_msg("%02x %03x", lead, v);
		}
}

static void utf8_is_checked_at_every_place_of_a_text(void **state)
{
	(void)state;
	static const char *const chars[] = {
	        "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\xA0\x80", "\xFF", "\xE2\x82"};
	for (size_t i = 0; i < ARRAY_LEN(chars); i++) {
		size_t n = strlen(chars[i]);
		bool good = naive_utf8((const uint8_t *)chars[i], n);
		for (size_t at = 0; at < 200; at++) {
			char text[256];
			memset(text, 'a', sizeof text);
			memcpy(text + at, chars[i], n);
			uint8_t s = ws_utf8(WS_UTF8_START, text, sizeof text);
			assert_int_equal(s, good ? WS_UTF8_START : WS_UTF8_BAD);
			for (size_t cut = at; cut <= at + n; cut++) { /* in two pieces */
				s = ws_utf8(WS_UTF8_START, text, cut);
				s = ws_utf8(s, text + cut, sizeof text - cut);
				assert_int_equal(s, good ? WS_UTF8_START : WS_UTF8_BAD);
			}
		}
	}
	assert_int_equal(ws_utf8(WS_UTF8_BAD, "a", 1), WS_UTF8_BAD);
	assert_int_equal(ws_utf8(WS_UTF8_START, NULL, 0), WS_UTF8_START);
}

/* --- writing: read back by the server's half ---------------------------------------------------
 */

struct sent {
	unsigned opcode;
	size_t n, head;
	char data[70000];
};

/* What a server does with it (RFC 6455 5.2, 5.3): final, masked, shortest length. */
static void serve(const char *out, size_t n, struct sent *s)
{
	const uint8_t *b = (const uint8_t *)out;
	assert_true(n >= 6);
	assert_int_equal(b[0] & 0xF0, 0x80);
	assert_true(b[1] & 0x80);
	s->opcode = b[0] & 15;
	s->n = b[1] & 0x7F;
	s->head = 2;
	if (s->n == 126) {
		s->n = (size_t)b[2] << 8 | b[3];
		assert_true(s->n >= 126);
		s->head = 4;
	} else if (s->n == 127) {
		for (size_t i = 2; i < 10; i++)
			s->n = s->n << 8 | b[i]; /* 127 falls out at the top */
		assert_true(s->n > 65535);
		s->head = 10;
	}
	assert_int_equal(n, s->head + 4 + s->n);
	for (size_t i = 0; i < s->n; i++)
		s->data[i] = (char)(b[s->head + 4 + i] ^ b[s->head + i % 4]);
	s->head += 4;
}

static void written_frame_is_read_back_by_a_server(void **state)
{
	(void)state;
	static const size_t sizes[] = {
	        0, 1, 3, 7, 8, 9, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537};
	static const uint8_t mask[4] = {0x37, 0xFA, 0x00, 0xFF};
	struct sent *s = malloc(sizeof *s);
	char *payload = malloc(70000), *out = malloc(70000);
	assert_true(s && payload && out);
	for (size_t i = 0; i < 70000; i++)
		payload[i] = (char)(i * 7 + i / 256);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i], head = n < 126 ? 6 : n < 65536 ? 8 : 14;
		enum ws_opcode op = n <= 125 && i % 3 == 0 ? WS_PONG : i % 2 ? WS_TEXT : WS_BINARY;
		struct span data = {n ? payload : NULL, n};
		/* one byte too few, and nothing is written; the same bytes fit exactly */
		out[0] = '?';
		assert_int_equal(ws_write_frame(op, data, mask, out, head + n - 1), 0);
		assert_int_equal(ws_write_frame(op, data, mask, out, 0), 0);
		assert_int_equal(out[0], '?');
		out[head + n] = '?';
		assert_int_equal(ws_write_frame(op, data, mask, out, head + n), head + n);
		assert_int_equal(out[head + n], '?');
		assert_true(head <= WS_FRAME_HEAD_MAX);
		serve(out, head + n, s);
		assert_int_equal(s->opcode, op);
		assert_int_equal(s->n, n);
		assert_int_equal(s->head, head);
		assert_memory_equal(s->data, payload, n);
		if (n > 8) /* it is masked indeed */
			assert_memory_not_equal(out + head, payload, n);
	}
	free(s);
	free(payload);
	free(out);
}

static void written_close_is_read_back_by_a_server(void **state)
{
	(void)state;
	static const uint8_t mask[4] = {1, 2, 3, 4};
	static struct sent s;
	char out[WS_CONTROL_MAX + WS_FRAME_HEAD_MAX];
	char reason[200];
	memset(reason, 'r', sizeof reason);
	size_t n = ws_write_close(1000, SPAN("done"), mask, out, sizeof out);
	serve(out, n, &s);
	assert_int_equal(s.opcode, WS_CLOSE);
	assert_int_equal(s.n, 6);
	assert_memory_equal(s.data,
	        "\x03\xE8"
	        "done",
	        6);
	n = ws_write_close(WS_CODE_NONE, SPAN_NONE, mask, out, sizeof out);
	serve(out, n, &s);
	assert_int_equal(s.n, 0);
	for (size_t r = 122; r <= 124; r++) {
		n = ws_write_close(4999, (struct span){reason, r}, mask, out, sizeof out);
		serve(out, n, &s);
		assert_int_equal(s.n, r < 123 ? r + 2 : 125);
		assert_memory_equal(s.data, "\x13\x87", 2);
		assert_memory_equal(s.data + 2, reason, s.n - 2);
	}
	/* the reason is cut before a character, not inside it */
	for (size_t at = 118; at <= 123; at++) {
		memset(reason, 'r', sizeof reason);
		memcpy(reason + at, "\xF0\x9F\x98\x80", 4);
		n = ws_write_close(1002, (struct span){reason, 150}, mask, out, sizeof out);
		serve(out, n, &s);
		assert_int_equal(s.n, 2 + (at + 4 <= 123 ? 123 : at));
		assert_true(naive_utf8((const uint8_t *)s.data + 2, s.n - 2));
	}
	assert_int_equal(ws_write_close(1000, SPAN("done"), mask, out, 11), 0);
	assert_int_equal(ws_write_close(1000, SPAN("done"), mask, out, 12), 12);
}

int main(void)
{
	if (CRYPTO_set_mem_functions(mem_alloc, mem_realloc, mem_free) != 1)
		return 1;
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(handshake_is_accepted_or_names_its_rule),
	        cmocka_unit_test(sub_protocol_without_an_offer_is_refused),
	        cmocka_unit_test(key_is_base64_of_the_nonce),
	        cmocka_unit_test(handshake_survives_every_failed_allocation),
	        cmocka_unit_test(errors_name_code_rule_and_frame),
	        cmocka_unit_test(eof_is_good_behind_a_close_only),
	        cmocka_unit_test(limit_of_message_bytes),
	        cmocka_unit_test(limit_of_frames),
	        cmocka_unit_test(limit_of_pings_in_a_row),
	        cmocka_unit_test(default_limits_are_the_documented_ones),
	        cmocka_unit_test(whole_frame_is_handed_out_in_place),
	        cmocka_unit_test(carried_message_takes_one_allocation_and_gives_it_back),
	        cmocka_unit_test(carry_of_fragments_grows_by_doubling_up_to_the_limit),
	        cmocka_unit_test(carry_of_a_last_frame_is_exact),
	        cmocka_unit_test(close_and_errors_free_what_is_carried),
	        cmocka_unit_test(busy_is_from_the_first_byte_of_a_message_to_its_last),
	        cmocka_unit_test(every_failed_allocation_ends_the_connection),
	        cmocka_unit_test(idle_parser_is_small),
	        cmocka_unit_test(utf8_agrees_with_arithmetic),
	        cmocka_unit_test(utf8_is_checked_at_every_place_of_a_text),
	        cmocka_unit_test(written_frame_is_read_back_by_a_server),
	        cmocka_unit_test(written_close_is_read_back_by_a_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
