/* ws.h - the client half of WebSocket (RFC 6455): the upgrade, reading messages, writing frames.
 * Bytes in, bytes out.
 *
 * After the 101 every byte of the connection goes through ws_feed(), which hands out whole messages
 * and control frames. A message of one frame that lies whole in the fed bytes is handed out in
 * place; one that came in pieces is carried in a buffer from malloc, bounded by message_bytes_max
 * and given back when it is over. So an idle connection holds this struct and nothing else.
 *
 * Strict on purpose (RFC 6455 5, 7.4): a masked frame from the server, a reserved bit or opcode, a
 * length that is not in its shortest form, a control frame that is fragmented or over 125 bytes, a
 * continuation of nothing, a message begun inside another, a close code that may not be on the
 * wire, text that is not UTF-8: each ends the connection with the code that the RFC names.
 * Extensions are never offered; an answer that names one is refused.
 */
#ifndef KR_WIRE_WS_H
#define KR_WIRE_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "wire/http1.h"

enum {
	WS_KEY_BYTES = 24, /* Sec-WebSocket-Key: base64 of 16 bytes */
	WS_NONCE_BYTES = 16,
	WS_CONTROL_MAX = 125,   /* payload of ping, pong, close (5.5) */
	WS_FRAME_HEAD_MAX = 14, /* of a frame that we write: 2 + 8 + mask */
	WS_PROTOCOLS_MAX = 4,
	WS_CODE_NONE = 1005, /* a close without a code (7.4.1) */
};

struct ws_limits {
	uint32_t message_bytes_max; /* one message, all its frames; exactly this passes. <= 2^31-1
	                             */
	uint32_t frames_max;        /* frames of one message */
	uint32_t pings_run_max;     /* pings without a byte of data between */
};
extern const struct ws_limits ws_limits_default; /* 16 MiB, 4096, 1024 */

/* --- upgrade (RFC 6455 4.1) ---------------------------------------------------------------------
 */

/* Sec-WebSocket-Key of 16 random bytes, which the caller gives: pure rooms have no dice. */
void ws_key(const uint8_t nonce[WS_NONCE_BYTES], char key[WS_KEY_BYTES]);
/* Is this 101 the answer to that key? offered: the sub-protocols that were sent, in order, may be
 * none; the server may pick one of them or none. Header names, and the tokens of Upgrade and
 * Connection, in any case; a sub-protocol exactly as it was offered. ERR_WS_HANDSHAKE, with a text
 * that says which rule; ERR_NO_MEMORY. While the HEAD event is valid. */
err_t ws_check_upgrade(const struct http1_head *h, const char key[WS_KEY_BYTES],
        const struct span *offered, size_t offered_count, struct errmsg *m) MUST_USE;

/* --- reading ------------------------------------------------------------------------------------
 */

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10
};

enum ws_event_type {
	WS_EV_MESSAGE, /* data: one whole message, opcode says text or binary; may be empty */
	WS_EV_PING,    /* data: send it back in a pong */
	WS_EV_PONG,    /* data */
	WS_EV_CLOSE,   /* code (WS_CODE_NONE: none was sent), data: the reason; nothing follows:
	                  what else comes is thrown away */
};
struct ws_event {
	enum ws_event_type type;
	enum ws_opcode opcode; /* MESSAGE: WS_TEXT or WS_BINARY */
	uint16_t code;         /* CLOSE */
	struct span data; /* borrow(until the next call or until the fed bytes go). A message has as
	                     many readable bytes behind it as the fed bytes had behind theirs, at
	                     least WS_SLACK when it was carried */
};
enum { WS_SLACK = 64 }; /* = JSON_PADDING: what is carried can be parsed in place too */

enum ws_result {
	WS_NEED_MORE, /* all fed bytes are consumed */
	WS_EVENT,     /* ev is filled; call again with the rest, even if that is empty */
	WS_ERROR,     /* p->err; sticky; ws_close_code() says what to tell the server */
};

/* Owner: the connection. Thread: its reactor. Life: ws_init .. ws_fini. Fields are private, but err
 * may be read. */
struct ws_parser {
	const struct ws_limits *_limits;
	char *_carry; /* own: a message in pieces */
	uint32_t _carry_bytes, _carry_cap;
	uint64_t _left;         /* of the frame's payload */
	uint64_t _frame_number; /* of the connection, for messages about errors */
	uint32_t _frames, _pings;
	const char *_why; /* the rule that was broken: static text */
	err_t err;
	uint8_t _head[10], _head_bytes, _state, _opcode, _message_opcode, _utf8;
	uint8_t _control[WS_CONTROL_MAX], _control_bytes;
	bool _fin, _check_text, _in_message, _handed;
};

/* limits may be NULL. check_text: validate UTF-8 of text messages as RFC 6455 8.1 wants; false is
 * for a caller that validates every message itself (json/ does). */
void ws_init(struct ws_parser *p, const struct ws_limits *limits, bool check_text);
void ws_fini(struct ws_parser *p);
enum ws_result ws_feed(
        struct ws_parser *p, const char *data, size_t n, size_t *consumed, struct ws_event *ev);
/* After WS_ERROR: code, rule and where; no byte that the server sent. Returns p->err:
 * ERR_WS_PROTOCOL, ERR_WS_LIMIT, ERR_WS_UTF8 or ERR_NO_MEMORY. */
err_t ws_error(const struct ws_parser *p, struct errmsg *m);
/* After WS_ERROR: 1002, 1007 or (limits, memory) 1009 (7.4.1). */
uint16_t ws_close_code(const struct ws_parser *p);
/* The connection ended: ERR_OK after a CLOSE was read, ERR_WS_CLOSED otherwise. */
err_t ws_eof(const struct ws_parser *p);
/* A message has begun and is not whole. */
bool ws_busy(const struct ws_parser *p);
/* Heap bytes held now. */
size_t ws_bytes(const struct ws_parser *p);

/* --- writing ------------------------------------------------------------------------------------
 */

/* One final, masked frame (5.1: a client masks all it sends). mask: 4 random bytes. Returns the
 * bytes written to out, which never needs more than payload.n + WS_FRAME_HEAD_MAX; 0 when cap is
 * too small. payload may not overlap out, and that of a control frame is at most WS_CONTROL_MAX
 * bytes (CHECK). */
size_t ws_write_frame(
        enum ws_opcode opcode, struct span payload, const uint8_t mask[4], char *out, size_t cap);
/* A close frame with a code that may be on the wire (CHECK) and a reason, in UTF-8, that is cut at
 * 123 bytes, before the character that does not fit. WS_CODE_NONE: a frame without code and reason,
 * as the answer to one that had none (5.5.1). */
size_t ws_write_close(
        uint16_t code, struct span reason, const uint8_t mask[4], char *out, size_t cap);

#endif
