/* model_ws.h - WebSocket frames (RFC 6455 5) as the servers that are modelled here see them, and
 * the few encodings of the opening handshake. On its own on purpose: it shares nothing with the
 * client of engine/wire, so that neither hides an error of the other.
 *
 * Limits: a message up to the limit given. No extensions: a frame with a reserved bit is broken. */
#ifndef KR_MODEL_MODEL_WS_H
#define KR_MODEL_MODEL_WS_H

#include "model/model_text.h"

enum model_ws_opcode {
	MODEL_WS_CONTINUATION = 0,
	MODEL_WS_TEXT = 1,
	MODEL_WS_BINARY = 2,
	MODEL_WS_CLOSE = 8,
	MODEL_WS_PING = 9,
	MODEL_WS_PONG = 10
};

#define MODEL_WS_ACCEPT_BYTES 28
/* The answer to a Sec-WebSocket-Key (4.2.2): 28 characters and a NUL. */
void model_ws_accept(struct span key, char out[MODEL_WS_ACCEPT_BYTES + 1]);

/* RFC 4648, either alphabet, with or without padding. False: not base64. */
bool model_ws_base64_decode(struct model_text *t, struct span s);

/* One frame with FIN. mask NULL: unmasked, as a server sends. */
void model_ws_put(struct model_text *t, enum model_ws_opcode opcode, struct span payload,
        const uint8_t mask[4]);

/* A part of a message, unmasked: the first has its opcode, the others are continuations. */
void model_ws_put_part(
        struct model_text *t, enum model_ws_opcode opcode, bool last, struct span payload);

enum model_ws_got {
	MODEL_WS_MORE,    /* a whole message is not here yet */
	MODEL_WS_MESSAGE, /* *opcode and *payload: a whole message or control frame */
	MODEL_WS_BROKEN   /* a protocol error: nothing after it can be read */
};

/* Puts messages together. Owner: whoever embeds it. Life: all zero .. fini. */
struct model_ws_in {
	struct model_text bytes, message;
	size_t at;
	unsigned opcode; /* of the message under way; 0 = none */
	bool masked;     /* what must come: masked from a client, unmasked from a server */
	size_t limit;    /* bytes of a message */
};
void model_ws_in_fini(struct model_ws_in *in);
void model_ws_in_feed(struct model_ws_in *in, struct span s);
/* The next message; *payload is valid until the next call with in. */
enum model_ws_got model_ws_next(
        struct model_ws_in *in, enum model_ws_opcode *opcode, struct span *payload);

#endif
