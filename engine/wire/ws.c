#include "wire/ws.h"

#include "base/check.h"
#include "wire/ws_priv.h"

#include <stdlib.h>

/* States, and what each waits for:
 *
 *   HEAD      the end of a frame's head → DATA or CONTROL
 *   DATA      _left bytes of a data frame → HEAD; of the last one of a message: MESSAGE
 *   CONTROL   _left bytes of a control frame → HEAD, or CLOSED behind a close
 *   CLOSED    nothing: what comes is thrown away (RFC 6455 1.4)
 *   FAILED    nothing
 *
 * A frame without payload passes DATA or CONTROL within the call that read its head. */
enum state { ST_HEAD, ST_DATA, ST_CONTROL, ST_CLOSED, ST_FAILED };

enum {
	FIN = 0x80, /* first byte of a head */
	RESERVED = 0x70,
	OPCODE = 0x0F,
	IS_CONTROL = 0x08,
	MASKED = 0x80, /* second byte */
	LENGTH = 0x7F,
	LENGTH_16 = 126,
	LENGTH_64 = 127,
	CARRY_BYTES_FIRST = 1024, /* of a message whose size is not known */
};

const struct ws_limits ws_limits_default = {
        .message_bytes_max = 16 * 1024 * 1024,
        .frames_max = 4096, /* of one message: each costs bookkeeping, however small it is */
        .pings_run_max = 1024,
};

/* The fed bytes, shrinking from the front. */
struct cursor {
	const char *p, *end;
};

static inline size_t left_in(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static void drop_carry(struct ws_parser *p)
{
	free(p->_carry);
	p->_carry = NULL;
	p->_carry_bytes = p->_carry_cap = 0;
	p->_handed = false;
}

static enum ws_result fail(struct ws_parser *p, err_t err, const char *why)
{
	p->err = err;
	p->_why = why;
	p->_state = ST_FAILED;
	p->_in_message = false;
	drop_carry(p);
	return WS_ERROR;
}

static bool broken(struct ws_parser *p, const char *why)
{
	fail(p, ERR_WS_PROTOCOL, why);
	return false;
}

static bool over(struct ws_parser *p, const char *why)
{
	fail(p, ERR_WS_LIMIT, why);
	return false;
}

void ws_init(struct ws_parser *p, const struct ws_limits *limits, bool check_text)
{
	*p = (struct ws_parser){
	        ._limits = limits ? limits : &ws_limits_default, ._check_text = check_text};
	CHECK(p->_limits->message_bytes_max <= INT32_MAX);
}

void ws_fini(struct ws_parser *p)
{
	drop_carry(p);
	p->_state = ST_FAILED;
	p->_in_message = false;
}

/* --- heads (RFC 6455 5.2) ------------------------------------------------------------------------
 */

static bool check_first(struct ws_parser *p, uint8_t b)
{
	uint8_t opcode = b & OPCODE;
	if (b & RESERVED)
		return broken(p, "a reserved bit is set, but no extension was agreed on");
	if (opcode & IS_CONTROL) {
		if (opcode > WS_PONG)
			return broken(p, "reserved opcode of a control frame");
		if (!(b & FIN))
			return broken(p, "fragmented control frame");
		/* Pongs are what we have asked for: an idle connection has nothing else. */
		if (opcode == WS_PING && p->_pings >= p->_limits->pings_run_max)
			return over(p, "too many pings in a row without data");
		return true;
	}
	if (opcode > WS_BINARY)
		return broken(p, "reserved opcode of a data frame");
	if (opcode == WS_CONTINUATION && !p->_in_message)
		return broken(p, "continuation frame outside a message");
	if (opcode != WS_CONTINUATION && p->_in_message)
		return broken(p, "a message begins inside another one");
	if (p->_frames >= p->_limits->frames_max)
		return over(p, "message of too many frames");
	return true;
}

static bool check_second(struct ws_parser *p, uint8_t opcode, uint8_t b)
{
	if (b & MASKED)
		return broken(p, "masked frame from the server");
	if (!(opcode & IS_CONTROL))
		return true;
	if (b > WS_CONTROL_MAX)
		return broken(p, "control frame of more than 125 bytes");
	if (opcode == WS_CLOSE && b == 1)
		return broken(p, "close frame of one byte, which is no close code");
	return true;
}

/* Big-endian (network order). */
static uint64_t number_at(const uint8_t *b, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | b[i];
	return v;
}

/* The head at b. Its size; 0: not whole yet, or p->err says what is wrong. The rules are checked in
 * the order of the bytes that they are about, so the answer does not depend on how much is there.
 */
static size_t read_head(struct ws_parser *p, const uint8_t *b, size_t n)
{
	if (!check_first(p, b[0]) || n < 2 || !check_second(p, b[0] & OPCODE, b[1]))
		return 0;
	size_t size = b[1] == LENGTH_64 ? 10 : b[1] == LENGTH_16 ? 4 : 2;
	uint64_t bytes = b[1];
	if (size == 10 && n > 2 && b[2] & 0x80)
		return broken(p, "payload length of more than 63 bits"), 0;
	if (n < size)
		return 0;
	if (size > 2) {
		bytes = number_at(b + 2, size - 2);
		if (bytes < LENGTH_16 || (size == 10 && bytes <= UINT16_MAX))
			return broken(p, "payload length is not in its shortest form"), 0;
	}
	if (!(b[0] & IS_CONTROL) && bytes > p->_limits->message_bytes_max - p->_carry_bytes)
		return over(p, "too many bytes"), 0;
	p->_opcode = b[0] & OPCODE;
	p->_fin = b[0] & FIN;
	p->_left = bytes;
	return size;
}

static void enter_payload(struct ws_parser *p)
{
	p->_head_bytes = 0;
	if (p->_opcode & IS_CONTROL) {
		p->_pings += p->_opcode == WS_PING;
		p->_control_bytes = 0;
		p->_state = ST_CONTROL;
		return;
	}
	p->_frames++;
	if (p->_left > 0)
		p->_pings = 0;
	if (p->_opcode != WS_CONTINUATION) {
		p->_message_opcode = p->_opcode;
		CHECK_SLOW(p->_utf8 == WS_UTF8_START); /* as each text before left it */
	}
	p->_in_message = true;
	p->_state = ST_DATA;
}

static bool take_head(struct ws_parser *p, struct cursor *c)
{
	size_t n = left_in(c), had = p->_head_bytes;
	if (n == 0)
		return true;
	if (LIKELY(had == 0)) {
		p->_frame_number++;
		size_t size = read_head(p, (const uint8_t *)c->p, n);
		c->p += size;
		if (size > 0)
			enter_payload(p);
		if (size > 0 || p->err != ERR_OK)
			return size > 0;
	}
	size_t take = sizeof p->_head - had;
	if (take > n)
		take = n;
	memcpy(p->_head + had, c->p, take);
	size_t size = read_head(p, p->_head, had + take);
	if (p->err != ERR_OK)
		return false;
	p->_head_bytes = (uint8_t)(had + take);
	c->p += size > 0 ? size - had : take;
	if (size > 0)
		enter_payload(p);
	return true;
}

/* --- messages ------------------------------------------------------------------------------------
 */

/* Room for the rest of this frame: exactly that when it is the last one, else twice as much as
 * before. The head was checked, so it is never more than message_bytes_max and the slack. */
static bool reserve(struct ws_parser *p)
{
	size_t need = p->_carry_bytes + (size_t)p->_left, cap = need;
	if (need <= p->_carry_cap)
		return true;
	if (!p->_fin) {
		cap = p->_carry_cap ? (size_t)p->_carry_cap * 2 : CARRY_BYTES_FIRST;
		if (cap > p->_limits->message_bytes_max)
			cap = p->_limits->message_bytes_max;
		if (cap < need)
			cap = need;
	}
	char *grown = realloc(p->_carry, cap + WS_SLACK);
	if (!grown)
		return false;
	p->_carry = grown;
	p->_carry_cap = (uint32_t)cap;
	return true;
}

static void report_message(struct ws_parser *p, struct span data, struct ws_event *ev)
{
	*ev = (struct ws_event){
	        .type = WS_EV_MESSAGE, .opcode = (enum ws_opcode)p->_message_opcode, .data = data};
	p->_in_message = false;
	p->_frames = 0;
	p->_state = ST_HEAD;
}

static enum ws_result take_data(struct ws_parser *p, struct cursor *c, struct ws_event *ev)
{
	bool whole = left_in(c) >= p->_left, last = whole && p->_fin;
	size_t n = whole ? (size_t)p->_left : left_in(c);
	const char *data = c->p;
	if (p->_check_text && p->_message_opcode == WS_TEXT) {
		p->_utf8 = ws_utf8(p->_utf8, data, n);
		if (p->_utf8 == WS_UTF8_BAD)
			return fail(p, ERR_WS_UTF8, "wrong byte in a text message");
		if (last && p->_utf8 != WS_UTF8_START)
			return fail(p, ERR_WS_UTF8, "text message ends inside a character");
	}
	if (last && p->_carry_bytes == 0) {
		c->p += n;
		report_message(p, (struct span){data, n}, ev);
		return WS_EVENT;
	}
	if (n > 0) {
		if (!reserve(p))
			return fail(p, ERR_NO_MEMORY, "for a message that came in pieces");
		memcpy(p->_carry + p->_carry_bytes, data, n);
		p->_carry_bytes += (uint32_t)n;
		p->_left -= n;
		c->p += n;
	}
	if (!whole)
		return WS_NEED_MORE;
	p->_state = ST_HEAD;
	if (!last)
		return WS_NEED_MORE;
	memset(p->_carry + p->_carry_bytes, 0, WS_SLACK);
	report_message(p, (struct span){p->_carry, p->_carry_bytes}, ev);
	p->_handed = true;
	return WS_EVENT;
}

/* --- control frames (RFC 6455 5.5) ---------------------------------------------------------------
 */

bool ws_code_is_legal(unsigned code)
{
	/* 1004 is undefined; 1005, 1006 and 1015 are for what was not on the wire (7.4.1); up to
	 * 2999 only the registry defines codes, and it ends at 1014 */
	if (code >= 1000 && code <= 1014)
		return code < 1004 || code > 1006;
	return code >= 3000 && code <= 4999;
}

static enum ws_result read_close(struct ws_parser *p, struct span s, struct ws_event *ev)
{
	ev->type = WS_EV_CLOSE;
	ev->code = WS_CODE_NONE;
	if (s.n >= 2) {
		ev->code = (uint16_t)number_at((const uint8_t *)s.p, 2);
		ev->data = (struct span){s.p + 2, s.n - 2};
		if (!ws_code_is_legal(ev->code))
			return fail(p, ERR_WS_PROTOCOL, "close code that may not be sent");
		if (ws_utf8(WS_UTF8_START, ev->data.p, ev->data.n) != WS_UTF8_START)
			return fail(p, ERR_WS_UTF8, "the reason of a close frame");
	}
	p->_state = ST_CLOSED;
	p->_in_message = false;
	drop_carry(p);
	return WS_EVENT;
}

static enum ws_result take_control(struct ws_parser *p, struct cursor *c, struct ws_event *ev)
{
	size_t n = left_in(c) < p->_left ? left_in(c) : (size_t)p->_left;
	struct span s = {c->p, n};
	c->p += n;
	p->_left -= n;
	if (p->_left > 0 || p->_control_bytes > 0) {
		if (n > 0)
			memcpy(p->_control + p->_control_bytes, s.p, n);
		p->_control_bytes += (uint8_t)n;
		s = (struct span){(const char *)p->_control, p->_control_bytes};
	}
	if (p->_left > 0)
		return WS_NEED_MORE;
	p->_state = ST_HEAD;
	*ev = (struct ws_event){.opcode = (enum ws_opcode)p->_opcode, .data = s};
	if (p->_opcode == WS_CLOSE)
		return read_close(p, s, ev);
	ev->type = p->_opcode == WS_PING ? WS_EV_PING : WS_EV_PONG;
	return WS_EVENT;
}

/* --- entry points --------------------------------------------------------------------------------
 */

static enum ws_result feed(struct ws_parser *p, struct cursor *c, struct ws_event *ev)
{
	enum ws_result r = WS_NEED_MORE;
	do {
		if (p->_state == ST_HEAD && !take_head(p, c))
			return WS_ERROR;
		switch ((enum state)p->_state) {
		case ST_HEAD: break; /* not whole */
		case ST_DATA: r = take_data(p, c, ev); break;
		case ST_CONTROL: r = take_control(p, c, ev); break;
		case ST_CLOSED: c->p = c->end; break;
		case ST_FAILED: return WS_ERROR;
		}
	} while (r == WS_NEED_MORE && left_in(c) > 0);
	return r;
}

enum ws_result ws_feed(
        struct ws_parser *p, const char *data, size_t n, size_t *consumed, struct ws_event *ev)
{
	struct cursor c = {data, n ? data + n : data};
	if (UNLIKELY(p->_handed))
		drop_carry(p);
	enum ws_result r = feed(p, &c, ev);
	*consumed = (size_t)(c.p - data);
	CHECK_SLOW(r != WS_NEED_MORE || *consumed == n);
	return r;
}

err_t ws_error(const struct ws_parser *p, struct errmsg *m)
{
	if (p->err == ERR_OK)
		return ERR_OK;
	return errmsg_set(m, p->err, "%s, in frame %llu of the connection", p->_why,
	        (unsigned long long)p->_frame_number);
}

uint16_t ws_close_code(const struct ws_parser *p)
{
	switch (p->err) {
	case ERR_WS_UTF8: return 1007;
	case ERR_WS_LIMIT:
	case ERR_NO_MEMORY: return 1009;
	default: return 1002;
	}
}

err_t ws_eof(const struct ws_parser *p)
{
	return p->_state == ST_CLOSED ? ERR_OK : ERR_WS_CLOSED;
}

bool ws_busy(const struct ws_parser *p)
{
	if (p->_state == ST_CLOSED || p->_state == ST_FAILED)
		return false;
	return p->_in_message || (p->_head_bytes > 0 && !(p->_head[0] & IS_CONTROL));
}

size_t ws_bytes(const struct ws_parser *p)
{
	return p->_carry ? (size_t)p->_carry_cap + WS_SLACK : 0;
}
