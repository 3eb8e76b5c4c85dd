/* tls: the own record path beside OpenSSL's, on any records (unit/wire/tls_twins.h).
 *
 * The input says what the server seals and sends: good records and bad ones, messages after the
 * handshake, alerts, bytes that are no record, bits turned over. OpenSSL gets it whole, the own
 * path in pieces. Both must give out the same plaintext, end in the same state with the same error,
 * and have sent the same bytes. Only these differences are accepted:
 * - Data between the first four bytes of a message: OpenSSL lets it pass, we refuse (RFC 8446 5.1).
 * - Tickets that come when the SSL object is gone are not read: OpenSSL refuses a spoilt one.
 * - OpenSSL answers a KeyUpdate with the next thing that it sends, we at once: when the connection
 *   ends before that, the answer and the key of the last alert differ.
 * - A close_notify with a level that is not "warning" (levels mean nothing in TLS 1.3), anywhere
 *   after a user_canceled: OpenSSL takes it for an error without a reason.
 * Left out: sending while a message has come in part; OpenSSL cannot.
 *
 * Input: flags (bits 0-1 suite, bit 2 EVP, bit 3 small read buffer), one byte from which the pieces
 * are made, then operations: see step(). */
#include "unit/wire/tls_twins.h"

#include <stdio.h>

enum {
	HEAD_BYTES = 2,
	STREAM_BYTES = 1 << 17,
	OPERATIONS_MAX = 40,
	TOTAL_BYTES_MAX = SIDE_BYTES - STREAM_BYTES
};

struct input {
	const uint8_t *p;
	size_t n;
};

struct run {
	struct twins *t;
	size_t each; /* piece of the own path */
	size_t n, total;
	bool asked;    /* a KeyUpdate may wait for OpenSSL's answer */
	bool messages; /* any message may have been sent */
	bool canceled; /* a user_canceled has been sent */
	uint8_t bytes[STREAM_BYTES];
};

static uint8_t next_byte(struct input *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++;
}

static struct input next_bytes(struct input *in)
{
	size_t n = next_byte(in);
	struct input out = {in->p, n < in->n ? n : in->n};
	in->p += out.n;
	in->n -= out.n;
	return out;
}

static struct twins *twins_of(uint8_t flags)
{
	static struct twins all[6];
	static X509 *x;
	static EVP_PKEY *key;
	unsigned which = (flags & 3u) % 3 + (flags & 4 ? 3u : 0);
	struct twins *t = &all[which];
	if (!x) {
		x = X509_new();
		key = EVP_EC_gen("P-256");
		X509_gmtime_adj(X509_getm_notBefore(x), 0);
		X509_gmtime_adj(X509_getm_notAfter(x), 86400);
		CHECK(X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()) > 0);
	}
	if (!t->server_ctx)
		twins_init(t, x, key, (uint16_t)(0x1301 + which % 3),
		        which < 3 ? TLS_RECORDS_OWN : TLS_RECORDS_EVP);
	t->read_cap = flags & 8 ? 40 : 20000;
	twins_open(t);
	return t;
}

static void seal(struct run *r, uint8_t type, struct input content, size_t padding)
{
	static uint8_t inner[1024];
	memset(inner, 0, sizeof inner);
	if (content.n > 0)
		memcpy(inner, content.p, content.n);
	inner[content.n] = type;
	if (type == 21 && content.n == 2 && content.p[1] == SSL_AD_USER_CANCELLED)
		r->canceled = true;
	CHECK(r->n + content.n + padding + 22 <= sizeof r->bytes);
	r->n += twins_seal(r->t, inner, content.n + 1 + padding, r->bytes + r->n);
}

static void seal_update(struct run *r, uint8_t kind)
{
	const uint8_t message[] = {24, 0, 0, 1, kind};
	seal(r, 22, (struct input){message, sizeof message}, 0);
	if (kind <= 1)
		twins_update(r->t);
	r->asked = r->messages = true;
}

static void seal_big(struct run *r, uint8_t a, uint8_t b)
{
	static uint8_t body[17000];
	size_t n = ((size_t)a << 8 | b) % 16620;
	memset(body, 'x', sizeof body);
	body[n] = 23;
	if (r->n + n + 22 <= sizeof r->bytes - 4096)
		r->n += twins_seal(r->t, body, n + 1, r->bytes + r->n);
}

static void raw(struct run *r, struct input bytes)
{
	if (bytes.n > 0)
		memcpy(r->bytes + r->n, bytes.p, bytes.n);
	r->n += bytes.n;
}

static void check(struct run *r)
{
	const struct twin_side *own = &r->t->side[0], *theirs = &r->t->side[1];
	if (twins_agree(r->t))
		return;
	const struct tls_own *o = own->c->own;
	if (own->err == ERR_TLS_RECORD && o->message_have > 0 && o->message_have < 4 &&
	        strstr(own->msg.text, "data in the middle of a message"))
		return;
	if (theirs->err == ERR_TLS_RECORD && r->messages && own->got_bytes >= theirs->got_bytes &&
	        memcmp(own->got, theirs->got, theirs->got_bytes) == 0 &&
	        (strstr(theirs->msg.text, "length mismatch") ||
	                strstr(theirs->msg.text, "bad extension") ||
	                strstr(theirs->msg.text, "unsolicited extension") ||
	                strstr(theirs->msg.text, "invalid max early data") ||
	                strstr(theirs->msg.text, "duplicate")))
		return;
	if (own->err == ERR_TLS_RECORD && theirs->err == ERR_OK && r->asked &&
	        o->message_have == 4 && own->got_bytes == theirs->got_bytes)
		return;
	if (o->cancels == 4 && tls_state(own->c) != TLS_OPEN && theirs->err == ERR_TLS_RECORD &&
	        strstr(theirs->msg.text, "too many warn alerts"))
		return;
	if (tls_state(own->c) == TLS_CLOSED_CLEAN && theirs->err == ERR_TLS_RECORD && r->canceled &&
	        strstr(theirs->msg.text, "no reason given"))
		return;
	CHECK(own->err == theirs->err);
	CHECK(tls_state(own->c) == tls_state(theirs->c));
	CHECK(own->got_bytes == theirs->got_bytes);
	CHECK(memcmp(own->got, theirs->got, own->got_bytes) == 0);
	CHECK(r->asked && tls_state(own->c) != TLS_OPEN);
}

/* Sends on both, if OpenSSL can. */
static void say(struct run *r, size_t n)
{
	if (r->t->side[0].c->own->message_have > 0)
		return;
	twins_write(r->t, "request", n); /* brings OpenSSL's answer */
	r->asked = false;
}

/* Feeds what has been made. */
static bool flush(struct run *r)
{
	struct twins *t = r->t;
	size_t n, each = r->n > 2048 ? r->each * 64 : r->each; /* not too many of them */
	for (size_t at = 0; at < r->n && t->side[0].err == ERR_OK; at += n) {
		n = each < r->n - at && each ? each : r->n - at;
		twin_feed(t, &t->side[0], r->bytes + at, n);
	}
	twin_feed(t, &t->side[1], r->bytes, r->n);
	r->total += r->n;
	r->n = 0;
	if (t->side[0].err != ERR_OK || t->side[1].err != ERR_OK ||
	        tls_state(t->side[0].c) != TLS_OPEN) {
		check(r);
		return false;
	}
	say(r, 1);
	if (!r->asked)
		check(r);
	return true;
}

static bool step(struct run *r, struct input *in)
{
	uint8_t op = next_byte(in);
	switch (op & 15) {
	case 0:
	case 1: seal(r, 23, next_bytes(in), op >> 4); break;
	case 2: seal_big(r, next_byte(in), next_byte(in)); break;
	case 3:
		r->asked = r->messages = true;
		seal(r, 22, next_bytes(in), op >> 4);
		break;
	case 4: seal(r, 21, next_bytes(in), op >> 4); break;
	case 5: seal(r, next_byte(in), next_bytes(in), op >> 4); break;
	case 6: seal_update(r, op >> 4 & 1); break;
	case 7: seal_update(r, next_byte(in)); break;
	case 8: raw(r, next_bytes(in)); break;
	case 9: {
		size_t from = r->n;
		seal(r, 23, next_bytes(in), 0);
		size_t at = from + ((size_t)next_byte(in) << 4 | op >> 4) % (r->n - from);
		r->bytes[at] ^= (uint8_t)(1u << (next_byte(in) & 7));
		break;
	}
	case 10:
		if (!flush(r))
			return false;
		say(r, 1 + (op >> 4) % 7);
		break;
	case 11: /* the same record again */
		seal(r, 23, next_bytes(in), 0);
		if (r->n < sizeof r->bytes / 4) {
			memcpy(r->bytes + r->n, r->bytes, r->n);
			r->n *= 2;
		}
		break;
	default: return flush(r);
	}
	return r->n < sizeof r->bytes / 2 || flush(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;
	struct input in = {data, size};
	if (size < HEAD_BYTES)
		return 0;
	r = (struct run){.t = twins_of(next_byte(&in))};
	r.each = next_byte(&in);
	bool on = true;
	for (int i = 0; on && i < OPERATIONS_MAX && in.n > 0 && r.total < TOTAL_BYTES_MAX; i++)
		on = step(&r, &in);
	if (on)
		flush(&r);
	return 0;
}
