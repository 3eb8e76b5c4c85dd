#include "model/model_ws.h"

#include "base/check.h"

/* --- SHA-1 (RFC 3174), for the handshake only --- */

static uint32_t rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80];
	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999u
		             : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1u
		             : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu
		                      : (b ^ c ^ d) + 0xca62c1d6u;
		uint32_t next = rol(a, 5) + f + e + w[i];
		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

static void sha1(struct span s, uint8_t out[20])
{
	uint32_t h[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
	uint8_t tail[128] = {0};
	size_t whole = s.n / 64 * 64, rest = s.n - whole;
	for (size_t i = 0; i < whole; i += 64)
		sha1_block(h, (const uint8_t *)s.p + i);
	if (rest)
		memcpy(tail, s.p + whole, rest);
	tail[rest] = 0x80;
	size_t end = rest < 56 ? 64 : 128;
	for (unsigned i = 0; i < 8; i++)
		tail[end - 1 - i] = (uint8_t)((uint64_t)s.n * 8 >> 8 * i);
	for (size_t i = 0; i < end; i += 64)
		sha1_block(h, tail + i);
	for (unsigned i = 0; i < 20; i++)
		out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* --- base64 --- */

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool model_ws_base64_decode(struct model_text *t, struct span s)
{
	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	if (s.n % 4 == 1)
		return false;
	uint32_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		int d = digit_of(s.p[i]);
		if (d < 0)
			return false;
		v = v << 6 | (uint32_t)d;
		if (i % 4 == 0)
			continue;
		char byte = (char)(v >> (6 - 2 * (i % 4)));
		model_text_put(t, &byte, 1);
	}
	return true;
}

void model_ws_accept(struct span key, char out[MODEL_WS_ACCEPT_BYTES + 1])
{
	struct model_text t = {0};
	uint8_t sum[20];
	model_text_span(&t, key);
	TEXT_LIT(&t, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	sha1(model_text_as_span(&t), sum);
	t.n = 0;
	model_text_base64(&t, (struct span){(const char *)sum, sizeof sum}, false);
	CHECK(t.n == MODEL_WS_ACCEPT_BYTES);
	memcpy(out, t.p, MODEL_WS_ACCEPT_BYTES);
	out[MODEL_WS_ACCEPT_BYTES] = 0;
	model_text_fini(&t);
}

/* --- frames out --- */

static void put(struct model_text *t, unsigned first, struct span payload, const uint8_t mask[4])
{
	uint8_t head[14] = {(uint8_t)first};
	size_t n = 2, width = payload.n < 126 ? 0 : payload.n < 65536 ? 2 : 8;
	head[1] = (uint8_t)(width == 0 ? payload.n : width == 2 ? 126 : 127);
	for (size_t i = 0; i < width; i++)
		head[n++] = (uint8_t)((uint64_t)payload.n >> 8 * (width - 1 - i));
	if (mask) {
		head[1] |= 0x80;
		memcpy(head + n, mask, 4);
		n += 4;
	}
	model_text_put(t, head, n);
	size_t from = t->n;
	model_text_span(t, payload);
	for (size_t i = 0; mask && i < payload.n; i++)
		t->p[from + i] = (char)(t->p[from + i] ^ mask[i % 4]);
}

void model_ws_put(struct model_text *t, enum model_ws_opcode opcode, struct span payload,
        const uint8_t mask[4])
{
	put(t, 0x80 | opcode, payload, mask);
}

void model_ws_put_part(
        struct model_text *t, enum model_ws_opcode opcode, bool last, struct span payload)
{
	put(t, (last ? 0x80 : 0) | opcode, payload, NULL);
}

/* --- frames in --- */

void model_ws_in_fini(struct model_ws_in *in)
{
	model_text_fini(&in->bytes);
	model_text_fini(&in->message);
	in->at = 0;
	in->opcode = 0;
}

void model_ws_in_feed(struct model_ws_in *in, struct span s)
{
	if (in->at) {
		memmove(in->bytes.p, in->bytes.p + in->at, in->bytes.n - in->at);
		in->bytes.n -= in->at;
		in->at = 0;
	}
	model_text_span(&in->bytes, s);
}

struct frame {
	unsigned opcode;
	bool fin;
	struct span payload;
};

/* One frame, unmasked where it lies. */
static enum model_ws_got next_frame(struct model_ws_in *in, struct frame *f)
{
	size_t n = in->bytes.n - in->at, head = 2;
	if (n < head)
		return MODEL_WS_MORE;
	char *p = in->bytes.p + in->at;
	uint8_t b0 = (uint8_t)p[0], b1 = (uint8_t)p[1];
	bool masked = b1 & 0x80, control = b0 & 8;
	uint64_t size = b1 & 127;
	*f = (struct frame){.opcode = b0 & 15, .fin = b0 & 0x80};
	if (masked != in->masked || (b0 & 0x70) || (control && (!f->fin || size > 125)))
		return MODEL_WS_BROKEN;
	size_t width = size == 126 ? 2 : size == 127 ? 8 : 0;
	head += width + (masked ? 4 : 0);
	if (n < head)
		return MODEL_WS_MORE;
	if (width)
		size = 0;
	for (size_t i = 0; i < width; i++)
		size = size << 8 | (uint8_t)p[2 + i];
	if (size > in->limit || in->message.n + size > in->limit)
		return MODEL_WS_BROKEN;
	if (n - head < size)
		return MODEL_WS_MORE;
	for (size_t i = 0; masked && i < size; i++)
		p[head + i] = (char)(p[head + i] ^ p[head - 4 + i % 4]);
	f->payload = (struct span){p + head, (size_t)size};
	in->at += head + (size_t)size;
	return MODEL_WS_MESSAGE;
}

enum model_ws_got model_ws_next(
        struct model_ws_in *in, enum model_ws_opcode *opcode, struct span *payload)
{
	if (in->opcode == 0)
		in->message.n = 0; /* the one handed out before */
	for (;;) {
		struct frame f;
		enum model_ws_got got = next_frame(in, &f);
		if (got != MODEL_WS_MESSAGE)
			return got;
		*payload = f.payload;
		*opcode = (enum model_ws_opcode)f.opcode;
		if (f.opcode >= MODEL_WS_CLOSE)
			return f.opcode <= MODEL_WS_PONG ? MODEL_WS_MESSAGE : MODEL_WS_BROKEN;
		if (f.opcode > MODEL_WS_BINARY || (f.opcode == 0) != (in->opcode != 0))
			return MODEL_WS_BROKEN;
		if (f.opcode && f.fin)
			return MODEL_WS_MESSAGE;
		if (f.opcode)
			in->opcode = f.opcode;
		model_text_span(&in->message, f.payload);
		if (!f.fin)
			continue;
		*opcode = (enum model_ws_opcode)in->opcode;
		*payload = model_text_as_span(&in->message);
		in->opcode = 0;
		return MODEL_WS_MESSAGE;
	}
}
