/* seal.h - TLS 1.3 records of a connection that OpenSSL has opened, made here (RFC 8446 5.2): for
 * --tls-own-records, a load of small events to thousands of sockets. OpenSSL's own way costs twice
 * as much there, as each connection's state is cold; this one is a cache line and a shared context.
 *
 * Only what the server sends. What it receives stays OpenSSL's, so a peer that asks for a key
 * update cannot be answered: OpenSSL would send with a sequence number of its own, and seal_broken
 * says so. Not thread-safe. */
#ifndef KR_HOST_SEAL_H
#define KR_HOST_SEAL_H

#include "base/span.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define SEAL_PLAIN_MAX  16384
#define SEAL_RECORD_MAX (SEAL_PLAIN_MAX + 5 + 1 + 16)

enum seal_type { SEAL_ALERT = 21, SEAL_DATA = 23 };

/* Owner: the connection, by seal_watch .. seal_free. */
struct seal {
	uint8_t key[32], iv[12];
	uint8_t key_bytes; /* 0: no secret yet */
	bool on, broken;
	uint64_t sent; /* records under this key */
};

/* Of the whole server: secrets are noted from then on. */
void seal_enable(SSL_CTX *ctx);
/* Before the handshake: the secret of that session will be in the result; own. */
struct seal *seal_watch(SSL *ssl);
/* Before seal_free, while the session goes on. */
void seal_unwatch(SSL *ssl);
void seal_free(struct seal **s);
/* After the handshake. False: OpenSSL goes on (not TLS 1.3, or another cipher than AES-GCM). */
bool seal_take_over(struct seal *s, const SSL *ssl);
/* OpenSSL has sent something meanwhile: the peer cannot read what follows. */
bool seal_broken(const struct seal *s);
/* One record of plain (at most SEAL_PLAIN_MAX bytes) to out (SEAL_RECORD_MAX). Returns its size; 0:
 * it failed. */
size_t seal_record(struct seal *s, enum seal_type type, struct span plain, unsigned char *out);

#endif
