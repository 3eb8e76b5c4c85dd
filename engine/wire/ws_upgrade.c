#include "base/check.h"
#include "wire/http1_head.h"
#include "wire/ws.h"
#include "wire/ws_priv.h"

#include <openssl/evp.h>

enum { SHA1_BYTES = 20, ACCEPT_BYTES = 28, CLOSE_REASON_MAX = WS_CONTROL_MAX - 2 };

void ws_key(const uint8_t nonce[WS_NONCE_BYTES], char key[WS_KEY_BYTES])
{
	char text[WS_KEY_BYTES + 1]; /* a NUL is written too */
	int n = EVP_EncodeBlock((unsigned char *)text, nonce, WS_NONCE_BYTES);
	CHECK(n == WS_KEY_BYTES);
	memcpy(key, text, WS_KEY_BYTES);
}

/* --- the answer to an upgrade (RFC 6455 4.1) -----------------------------------------------------
 */

/* What the headers say. */
struct answer {
	struct span accept, protocol;
	unsigned accepts, protocols, upgrades;
	bool upgrade_is_websocket, connection_upgrade, extension;
};

static bool list_has(struct span list, struct span lower_token)
{
	for (struct span token; http1_next_token(&list, &token);)
		if (http1_name_is(token, lower_token))
			return true;
	return false;
}

static void read_field(struct span name, struct span value, struct answer *a)
{
	if (http1_name_is(name, SPAN("upgrade"))) {
		bool websocket = http1_name_is(value, SPAN("websocket"));
		a->upgrade_is_websocket = websocket && (a->upgrade_is_websocket || !a->upgrades);
		a->upgrades++;
	} else if (http1_name_is(name, SPAN("connection"))) {
		a->connection_upgrade |= list_has(value, SPAN("upgrade"));
	} else if (http1_name_is(name, SPAN("sec-websocket-accept"))) {
		a->accept = value;
		a->accepts++;
	} else if (http1_name_is(name, SPAN("sec-websocket-protocol"))) {
		a->protocol = value;
		a->protocols++;
	} else if (http1_name_is(name, SPAN("sec-websocket-extensions"))) {
		a->extension |= value.n > 0;
	}
}

/* base64(SHA-1(key and the GUID of RFC 6455 1.3)) */
static bool accept_of(const char key[WS_KEY_BYTES], char accept[ACCEPT_BYTES + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[WS_KEY_BYTES + sizeof guid - 1];
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	memcpy(text, key, WS_KEY_BYTES);
	memcpy(text + WS_KEY_BYTES, guid, sizeof guid - 1);
	if (EVP_Digest(text, sizeof text, digest, &n, EVP_sha1(), NULL) != 1)
		return false;
	CHECK(n == SHA1_BYTES);
	return EVP_EncodeBlock((unsigned char *)accept, digest, SHA1_BYTES) == ACCEPT_BYTES;
}

static const char *check_answer(const struct http1_head *h, const struct answer *a)
{
	if (h->version_minor == 0)
		return "the answer is of HTTP/1.0";
	if (a->upgrades == 0)
		return "no Upgrade header";
	if (!a->upgrade_is_websocket)
		return "Upgrade is not websocket";
	if (!a->connection_upgrade)
		return "Connection does not say upgrade";
	if (a->accepts != 1)
		return a->accepts ? "more than one Sec-WebSocket-Accept"
		                  : "no Sec-WebSocket-Accept";
	if (a->extension)
		return "the server uses an extension, but none was offered";
	if (a->protocols > 1)
		return "more than one Sec-WebSocket-Protocol";
	return NULL;
}

err_t ws_check_upgrade(const struct http1_head *h, const char key[WS_KEY_BYTES],
        const struct span *offered, size_t offered_count, struct errmsg *m)
{
	CHECK(offered_count <= WS_PROTOCOLS_MAX);
	struct answer a = {0};
	struct http1_field field;
	char accept[ACCEPT_BYTES + 1];
	if (h->status != 101)
		return errmsg_set(
		        m, ERR_WS_HANDSHAKE, "the server answered %u instead of 101", h->status);
	for (struct span rest = h->fields; http1_next_field(&rest, &field);)
		read_field(field.name, field.value, &a);
	const char *why = check_answer(h, &a);
	if (why)
		return errmsg_set(m, ERR_WS_HANDSHAKE, "%s", why);
	if (!accept_of(key, accept))
		return errmsg_set(m, ERR_NO_MEMORY, "to check Sec-WebSocket-Accept");
	if (!span_eq(a.accept, (struct span){accept, ACCEPT_BYTES}))
		return errmsg_set(m, ERR_WS_HANDSHAKE,
		        "Sec-WebSocket-Accept does not answer our key: a cache, or no WebSocket "
		        "server");
	bool known = !a.protocols;
	for (size_t i = 0; i < offered_count; i++)
		known |= span_eq(a.protocol, offered[i]);
	if (!known)
		return errmsg_set(m, ERR_WS_HANDSHAKE,
		        "the server picked a sub-protocol that was not offered");
	return ERR_OK;
}

/* --- writing -------------------------------------------------------------------------------------
 */

static size_t put_head(enum ws_opcode opcode, uint64_t n, uint8_t head[WS_FRAME_HEAD_MAX])
{
	size_t length_bytes = n < 126 ? 0 : n <= UINT16_MAX ? 2 : 8;
	head[0] = (uint8_t)(0x80 | opcode);
	head[1] = (uint8_t)(0x80 | (length_bytes == 0 ? n : length_bytes == 2 ? 126 : 127));
	for (size_t i = 0; i < length_bytes; i++)
		head[2 + i] = (uint8_t)(n >> 8 * (length_bytes - 1 - i));
	return 2 + length_bytes;
}

/* to = from with the mask over it, which begins with its first byte (5.3). */
static void put_masked(char *to, struct span from, const uint8_t mask[4])
{
	uint64_t wide, w;
	size_t i = 0;
	memcpy(&wide, mask, 4);
	memcpy((char *)&wide + 4, mask, 4);
	for (; from.n - i >= sizeof w; i += sizeof w) {
		memcpy(&w, from.p + i, sizeof w);
		w ^= wide;
		memcpy(to + i, &w, sizeof w);
	}
	for (; i < from.n; i++)
		to[i] = (char)((uint8_t)from.p[i] ^ mask[i % 4]);
}

size_t ws_write_frame(
        enum ws_opcode opcode, struct span payload, const uint8_t mask[4], char *out, size_t cap)
{
	uint8_t head[WS_FRAME_HEAD_MAX];
	bool control = opcode >= WS_CLOSE;
	CHECK(opcode == WS_TEXT || opcode == WS_BINARY || (control && opcode <= WS_PONG));
	CHECK(!control || payload.n <= WS_CONTROL_MAX);
	size_t n = put_head(opcode, payload.n, head);
	memcpy(head + n, mask, 4);
	n += 4;
	if (cap < n || cap - n < payload.n)
		return 0;
	memcpy(out, head, n);
	put_masked(out + n, payload, mask);
	return n + payload.n;
}

size_t ws_write_close(
        uint16_t code, struct span reason, const uint8_t mask[4], char *out, size_t cap)
{
	char payload[WS_CONTROL_MAX] = {(char)(code >> 8), (char)code};
	if (code == WS_CODE_NONE)
		return ws_write_frame(WS_CLOSE, SPAN_NONE, mask, out, cap);
	CHECK(ws_code_is_legal(code));
	size_t n = reason.n;
	if (n > CLOSE_REASON_MAX) /* not inside a character: the bytes 10xxxxxx continue one */
		for (n = CLOSE_REASON_MAX; n > 0 && ((uint8_t)reason.p[n] & 0xC0) == 0x80;)
			n--;
	if (n > 0)
		memcpy(payload + 2, reason.p, n);
	return ws_write_frame(WS_CLOSE, (struct span){payload, n + 2}, mask, out, cap);
}
