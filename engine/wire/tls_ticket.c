/* tls_ticket.c - the sessions that a config keeps for its next connections.
 *
 * A slot owns its ticket, and an exchange moves that ownership: no lock, and no ticket is ever in
 * two hands. Tickets of TLS 1.3 are for one use (RFC 8446 C.4), so taking one empties its slot.
 *
 * OpenSSL's object holds the server's chain, decoded: 8 KiB, twice for each of ten thousand
 * clusters. A session that is resumed shows no certificate (4.6.1: its key proves who is there), so
 * ours are kept without. */
#include "wire/tls_priv.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
	DER_SEQUENCE = 0x30,
	DER_LONG = 0x80,     /* of a length: so many bytes of it follow */
	DER_LENGTH_MAX = 4,  /* bytes of a length */
	SESSION_PEER = 0xA3, /* SSL_SESSION_ASN1: peer [3] EXPLICIT, constructed */
	SESSION_BYTES_MAX = 256 << 10,
};

/* --- ASN.1 ----------------------------------------------------------------------------------- */

/* Reads tag and length at p. Returns the bytes of both, and *body those that follow; 0: it does not
 * fit in n. */
static size_t der_head(const uint8_t *p, size_t n, size_t *body)
{
	size_t head = 2, size = n > 1 ? p[1] : 0;
	if (n < 2)
		return 0;
	if (size & DER_LONG) {
		size_t digits = size & (DER_LONG - 1);
		if (digits == 0 || digits > DER_LENGTH_MAX || digits > n - head)
			return 0;
		size = 0;
		for (size_t i = 0; i < digits; i++)
			size = size << 8 | p[head + i];
		head += digits;
	}
	*body = size;
	return size <= n - head ? head : 0;
}

size_t tls_der_cut(uint8_t *der, size_t n, uint8_t tag)
{
	size_t all, body, head = der_head(der, n, &all);
	if (head == 0 || der[0] != DER_SEQUENCE || head + all != n)
		return 0;
	size_t to = head;
	for (size_t at = head, item; at < n; at += item) {
		size_t item_head = der_head(der + at, n - at, &body);
		if (item_head == 0)
			return 0;
		item = item_head + body;
		if (der[at] == tag)
			continue;
		memmove(der + to, der + at, item);
		to += item;
	}
	/* The length keeps its form, which may be longer than DER wants; OpenSSL reads BER. */
	size_t left = to - head;
	if (head == 2)
		der[1] = (uint8_t)left;
	for (size_t i = head; i > 2; left >>= 8)
		der[--i] = (uint8_t)left;
	OPENSSL_cleanse(der + to, n - to);
	return to;
}

/* --- tickets --------------------------------------------------------------------------------- */

static void ticket_free(struct tls_ticket *t)
{
	if (t)
		OPENSSL_cleanse(t, sizeof *t + t->bytes);
	free(t);
}

/* NULL: no memory, or it cannot be written down. */
static struct tls_ticket *ticket_new(const SSL_SESSION *session)
{
	int most = i2d_SSL_SESSION(session, NULL);
	if (most <= 0 || most > SESSION_BYTES_MAX)
		return NULL;
	uint8_t *der = malloc((size_t)most), *end = der;
	struct tls_ticket *t = NULL;
	size_t n = 0;
	if (der && i2d_SSL_SESSION(session, &end) == most)
		n = tls_der_cut(der, (size_t)most, SESSION_PEER);
	if (n > 0)
		t = malloc(sizeof *t + n);
	if (t) {
		t->bytes = (uint32_t)n;
		memcpy(t->der, der, n);
	}
	if (der)
		OPENSSL_cleanse(der, (size_t)most);
	free(der);
	return t;
}

SSL_SESSION *tls_config_take_ticket(struct tls_config *c)
{
	for (size_t i = 0; i < TLS_TICKETS_KEPT; i++) {
		struct tls_ticket *t = atomic_exchange(&c->tickets[i], NULL);
		if (!t)
			continue;
		const uint8_t *der = t->der;
		SSL_SESSION *s = d2i_SSL_SESSION(NULL, &der, (long)t->bytes);
		ticket_free(t);
		if (!s)
			ERR_clear_error(); /* no memory: a full handshake does as well */
		return s;
	}
	return NULL;
}

void tls_config_give_ticket(struct tls_config *c, const SSL_SESSION *session)
{
	struct tls_ticket *t = ticket_new(session);
	for (size_t i = 0; i < TLS_TICKETS_KEPT && t; i++)
		t = atomic_exchange(&c->tickets[i], t);
	ticket_free(t);
}

void tls_config_drop_tickets(struct tls_config *c)
{
	for (size_t i = 0; i < TLS_TICKETS_KEPT; i++)
		ticket_free(atomic_exchange(&c->tickets[i], NULL));
}
