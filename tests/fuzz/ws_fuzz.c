/* ws: properties of the reader on any bytes.
 *
 * 1. Cuts do not matter: whole, byte by byte and in pieces that the input chooses give the same
 *    events and the same end.
 * 2. What is handed out may be read, with WS_SLACK bytes behind it when it was carried; what is
 * held stays within the limit.
 * 3. Debian's libwslay gives the same messages, control frames and close codes, or both refuse with
 *    the same code. Only these differences are accepted:
 *    - We refuse a close frame of one byte; it takes it for one without a code.
 *    - We accept the close codes 1012 to 1014, which were registered after it was written.
 *    - A bad frame that is not whole at the end of the input: we refuse at the first wrong byte of
 * a head, it waits for the whole head and a byte of payload; of a close it checks the reason as it
 * comes, we when it is whole. Zeros behind the input then bring the other one to refuse.
 *    - A close with both a bad code and a bad reason: 1002 and 1007.
 *    - It names no code for errors that it finds in a length, or in the form of a control frame.
 *    Left out: limits that it has not (frames, control frames in a row); unchecked text; inputs
 * that are larger than its buffer, as it skips two bytes of each part of a close that it gets.
 *
 * Input: one byte of flags (bit 0 small limits, bit 1 text is not checked), two bytes from which
 * the cuts are made, then the stream. */
#include "wire/ws.h"

#include "base/check.h"

#include <stdlib.h>
#include <wslay/wslay.h>

enum {
	HEAD_BYTES = 3,
	STREAM_BYTES_MAX = 1 << 16,
	TRACE_BYTES = 1 << 19,
	THEIR_BUFFER = 4096,
	PADDING = 160, /* more than the largest head and control frame */
	MESSAGE_BYTES_MAX = 700,
};

static const struct ws_limits plain = {.message_bytes_max = MESSAGE_BYTES_MAX,
        .frames_max = UINT32_MAX,
        .pings_run_max = UINT32_MAX};
static const struct ws_limits small = {
        .message_bytes_max = 100, .frames_max = 4, .pings_run_max = 3};

enum verdict { UNFINISHED, CLOSED, REFUSED };

struct answer {
	enum verdict verdict;
	unsigned code;     /* refused: what is told to the server; 0: nothing */
	unsigned received; /* closed: the code that came */
	bool odd_close;    /* a close frame of one byte was accepted */
	size_t n;
	uint8_t events[TRACE_BYTES];
};

static void note(struct answer *a, const void *p, size_t n)
{
	CHECK(a->n + n <= sizeof a->events);
	if (n > 0)
		memcpy(a->events + a->n, p, n);
	a->n += n;
}

static void note_event(struct answer *a, unsigned opcode, unsigned code, const void *data, size_t n)
{
	const uint32_t head[] = {opcode, code, (uint32_t)n};
	note(a, head, sizeof head);
	note(a, data, n);
}

/* --- 1, 2: the reader under test ---------------------------------------------------------------
 */

struct own {
	struct ws_parser p;
	const struct ws_limits *limits;
	struct answer *a;
	bool check_text;
};

static void own_event(struct own *o, const struct ws_event *ev, struct span fed)
{
	static const unsigned opcodes[] = {
	        [WS_EV_PING] = WS_PING, [WS_EV_PONG] = WS_PONG, [WS_EV_CLOSE] = WS_CLOSE};
	bool message = ev->type == WS_EV_MESSAGE;
	CHECK(!message || ev->opcode == WS_TEXT || ev->opcode == WS_BINARY);
	CHECK(!message || ev->data.n <= o->limits->message_bytes_max);
	CHECK(ev->data.p);
	bool in_place = ev->data.p >= fed.p && ev->data.p <= fed.p + fed.n;
	for (size_t i = 0; message && !in_place && i < WS_SLACK; i++)
		CHECK(ev->data.p[ev->data.n + i] == 0);
	note_event(
	        o->a, message ? ev->opcode : opcodes[ev->type], ev->code, ev->data.p, ev->data.n);
	if (ev->type == WS_EV_CLOSE) {
		o->a->verdict = CLOSED;
		o->a->received = ev->code;
	}
}

static bool own_feed(struct own *o, const uint8_t *p, size_t n)
{
	char *copy = malloc(n ? n : 1);
	CHECK(copy);
	memcpy(copy, p, n);
	size_t at = 0, used;
	struct ws_event ev;
	enum ws_result r;
	while ((r = ws_feed(&o->p, copy + at, n - at, &used, &ev)) == WS_EVENT) {
		at += used;
		CHECK(at <= n);
		own_event(o, &ev, (struct span){copy, n});
	}
	CHECK(r == WS_ERROR || at + used == n);
	CHECK(ws_bytes(&o->p) <= o->limits->message_bytes_max + (size_t)WS_SLACK);
	free(copy);
	return r == WS_NEED_MORE;
}

/* step 0: whole; 1: byte by byte; else cuts from a generator with that seed. */
static void own_run(const uint8_t *p, size_t n, unsigned step, struct own *o)
{
	unsigned seed = step;
	bool ok = true;
	o->a->n = 0;
	o->a->verdict = UNFINISHED;
	ws_init(&o->p, o->limits, o->check_text);
	for (size_t at = 0; ok && at < n;) {
		seed = seed * 1103515245u + 12345u;
		size_t piece = step == 0 ? n : step == 1 ? 1 : 1 + (seed >> 16) % 40;
		if (piece > n - at)
			piece = n - at;
		ok = own_feed(o, p + at, piece);
		at += piece;
	}
	CHECK(ok == (o->p.err == ERR_OK));
	if (!ok) {
		struct errmsg m;
		CHECK(o->a->verdict == UNFINISHED);
		CHECK(ws_error(&o->p, &m) == o->p.err && m.text[0]);
		o->a->verdict = REFUSED;
		o->a->code = ws_close_code(&o->p);
	}
	CHECK((ws_eof(&o->p) == ERR_OK) == (o->a->verdict == CLOSED));
	ws_fini(&o->p);
}

/* --- 3: libwslay -------------------------------------------------------------------------------
 */

struct theirs {
	const uint8_t *p;
	size_t n;
	struct answer *a;
};

static ssize_t their_recv(
        wslay_event_context_ptr ctx, uint8_t *buf, size_t cap, int flags, void *user)
{
	struct theirs *t = user;
	(void)flags;
	size_t n = cap < t->n ? cap : t->n;
	if (n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(buf, t->p, n);
	t->p += n;
	t->n -= n;
	return (ssize_t)n;
}

static ssize_t their_send(
        wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags, void *user)
{
	(void)ctx;
	(void)data;
	(void)flags;
	(void)user;
	return (ssize_t)n;
}

static int their_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t n, void *user)
{
	(void)ctx;
	(void)user;
	memset(buf, 7, n);
	return 0;
}

static void their_message(
        wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
	struct theirs *t = user;
	(void)ctx;
	if (arg->opcode != WSLAY_CONNECTION_CLOSE) {
		note_event(t->a, arg->opcode, 0, arg->msg, arg->msg_length);
		return;
	}
	t->a->verdict = CLOSED;
	t->a->odd_close = arg->msg_length == 1;
	t->a->received = arg->msg_length < 2 ? WS_CODE_NONE : arg->status_code;
	if (arg->msg_length < 2)
		note_event(t->a, WS_CLOSE, WS_CODE_NONE, NULL, 0);
	else
		note_event(t->a, WS_CLOSE, arg->status_code, arg->msg + 2, arg->msg_length - 2);
}

static void their_run(const uint8_t *p, size_t n, struct answer *a)
{
	const struct wslay_event_callbacks callbacks = {.recv_callback = their_recv,
	        .send_callback = their_send,
	        .genmask_callback = their_mask,
	        .on_msg_recv_callback = their_message};
	struct theirs t = {p, n, a};
	wslay_event_context_ptr ctx;
	a->n = 0;
	a->verdict = UNFINISHED;
	a->code = 0;
	a->odd_close = false;
	CHECK(wslay_event_context_client_init(&ctx, &callbacks, &t) == 0);
	wslay_event_config_set_max_recv_msg_length(ctx, MESSAGE_BYTES_MAX);
	int r = wslay_event_recv(ctx);
	CHECK(r == 0 || r == WSLAY_ERR_CALLBACK_FAILURE);
	if (a->verdict != CLOSED && !wslay_event_get_read_enabled(ctx)) {
		a->verdict = REFUSED;
		wslay_event_send(ctx);
		unsigned code = wslay_event_get_status_code_sent(ctx);
		a->code = code == WSLAY_CODE_NO_STATUS_RCVD || code == WSLAY_CODE_ABNORMAL_CLOSURE
		                  ? 0
		                  : code;
	}
	wslay_event_context_free(ctx);
}

/* --- together ----------------------------------------------------------------------------------
 */

static bool same_events(const struct answer *a, const struct answer *b)
{
	return a->n == b->n && memcmp(a->events, b->events, a->n) == 0;
}

/* The two differences in what a close frame may be. */
static bool excused(const struct answer *own, const struct answer *theirs)
{
	if (own->verdict == REFUSED && theirs->odd_close) {
		CHECK(own->code == 1002);
		return true;
	}
	bool newer = own->verdict == CLOSED && own->received >= 1012 && own->received <= 1014;
	CHECK(!newer || (theirs->verdict == REFUSED && theirs->code == 1002));
	return newer;
}

static void compare(struct own *o, const uint8_t *p, size_t n)
{
	static struct answer theirs;
	static uint8_t padded[THEIR_BUFFER];
	struct answer *own = o->a;
	if (n > THEIR_BUFFER - PADDING)
		return;
	own_run(p, n, 0, o);
	their_run(p, n, &theirs);
	if (excused(own, &theirs))
		return;
	CHECK(same_events(own, &theirs));
	if (own->verdict != theirs.verdict) {
		memcpy(padded, p, n);
		memset(padded + n, 0, PADDING);
		bool we_wait = own->verdict == UNFINISHED;
		CHECK(!we_wait || o->p._opcode == WS_CLOSE);
		own_run(padded, n + PADDING, 0, o);
		CHECK(!we_wait || o->p._opcode == WS_CLOSE); /* it was that frame */
		their_run(padded, n + PADDING, &theirs);
		if (excused(own, &theirs))
			return;
	}
	CHECK(same_events(own, &theirs));
	CHECK(own->verdict == theirs.verdict);
	CHECK(own->verdict != CLOSED || own->received == theirs.received);
	CHECK(own->verdict != REFUSED || own->code == theirs.code || theirs.code == 0 ||
	        (o->p._opcode == WS_CLOSE && own->code == 1002 && theirs.code == 1007));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct answer whole, cut;
	if (size < HEAD_BYTES || size > STREAM_BYTES_MAX)
		return 0;
	uint8_t flags = data[0];
	unsigned seed = 2u + data[1] + 256u * data[2];
	const uint8_t *p = data + HEAD_BYTES;
	size_t n = size - HEAD_BYTES;
	struct own o = {.limits = flags & 1 ? &small : &plain, .check_text = !(flags & 2)};
	o.a = &whole;
	own_run(p, n, 0, &o);
	o.a = &cut;
	const unsigned steps[] = {1, seed, seed + 1};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		own_run(p, n, steps[i], &o);
		CHECK(same_events(&whole, &cut));
		CHECK(whole.verdict == cut.verdict);
		CHECK(whole.verdict != REFUSED || whole.code == cut.code);
	}
	if (!(flags & 3))
		compare(&o, p, n);
	return 0;
}
