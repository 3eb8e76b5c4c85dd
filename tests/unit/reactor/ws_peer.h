/* ws_peer.h - the server's side of a WebSocket, for tests on the scripted io. */
#ifndef KR_TESTS_UNIT_REACTOR_WS_PEER_H
#define KR_TESTS_UNIT_REACTOR_WS_PEER_H

#include "unit/reactor/world.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { PEER_TEXT = 12000 };

/* The value of a header of the newest request. */
static inline void header(const struct fake_sock *s, const char *name, char *out, size_t cap)
{
	const char *at = NULL;
	for (const char *p = s->sent; (p = strstr(p, name)); p++)
		at = p;
	assert_non_null(at);
	at += strlen(name) + 2;
	snprintf(out, cap, "%.*s", (int)strcspn(at, "\r"), at);
}

/* 101, with the sub-protocol or without one (NULL). What was sent before is forgotten. */
static __attribute__((noinline, unused)) void agree(
        struct world *w, struct fake_sock *s, const char *protocol)
{
	char key[64], text[128], head[512];
	unsigned char sum[SHA_DIGEST_LENGTH];
	unsigned char accept[64];
	header(s, "Sec-WebSocket-Key", key, sizeof key);
	snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	assert_int_equal(EVP_Digest(text, strlen(text), sum, NULL, EVP_sha1(), NULL), 1);
	EVP_EncodeBlock(accept, sum, sizeof sum);
	snprintf(head, sizeof head,
	        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-Websocket-Accept: "
	        "%s\r\nUpgrade: websocket\r\n%s%s%s\r\n",
	        (char *)accept, protocol ? "Sec-Websocket-Protocol: " : "",
	        protocol ? protocol : "", protocol ? "\r\n" : "");
	fake_io_sent_clear(s);
	fake_io_bytes(s, head);
	turn(w);
}

static __attribute__((noinline, unused)) void frame(
        struct world *w, struct fake_sock *s, int op, const char *data, size_t n)
{
	static char buf[PEER_TEXT + 4];
	size_t head = n < 126 ? 2 : 4;
	assert_true(n + head <= sizeof buf);
	buf[0] = (char)(0x80 | op);
	buf[1] = (char)(n < 126 ? n : 126);
	if (head == 4) {
		buf[2] = (char)(n >> 8);
		buf[3] = (char)n;
	}
	if (n)
		memcpy(buf + head, data, n);
	fake_io_data(s, buf, head + n);
	turn(w);
}

static inline void event(struct world *w, struct fake_sock *s, const char *text)
{
	frame(w, s, OP_TEXT, text, strlen(text));
}

/* The frame at *at of what was sent; moves *at behind it. Returns its opcode, -1: none. */
static inline int sent_frame(const struct fake_sock *s, size_t *at, char *payload)
{
	const unsigned char *p = (const unsigned char *)s->sent + *at;
	size_t left = s->sent_bytes - *at, head = 6;
	if (left < head)
		return -1;
	assert_int_equal(p[0] & 0xF0, 0x80);
	assert_int_equal(p[1] & 0x80, 0x80); /* a client masks */
	size_t n = p[1] & 0x7F;
	if (n == 126) {
		n = (size_t)p[2] << 8 | p[3];
		head = 8;
	}
	assert_true(n < PEER_TEXT && left >= head + n);
	for (size_t i = 0; i < n; i++)
		payload[i] = (char)(p[head + i] ^ p[head - 4 + i % 4]);
	payload[n] = 0;
	*at += head + n;
	return p[0] & 15;
}

/* The first one since fake_io_sent_clear(). */
static __attribute__((noinline, unused)) int sent_op(const struct fake_sock *s, char *payload)
{
	size_t at = 0;
	return sent_frame(s, &at, payload);
}

/* The newest open socket that sent this; NULL: none. */
static inline struct fake_sock *sock_that_sent(struct world *w, const char *what)
{
	struct fake_sock *found = NULL;
	for (unsigned i = 0; i < fake_io_count(&w->io); i++) {
		struct fake_sock *s = fake_io_sock(&w->io, i);
		if (s->sent_bytes && memmem(s->sent, s->sent_bytes, what, strlen(what)))
			found = s;
	}
	return found;
}

/* Every connect that is under way succeeds. */
static inline void dial(struct world *w)
{
	for (unsigned i = 0; i < fake_io_count(&w->io); i++)
		if (!fake_io_sock(&w->io, i)->open)
			fake_io_connected(fake_io_sock(&w->io, i), ERR_OK);
	turn(w);
}

#endif
