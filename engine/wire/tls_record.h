/* tls_record.h - records of TLS 1.3 after the handshake: the key schedule (RFC 8446 7), opening and
 * sealing (5.2). Private to wire/tls*.c. No connection, no state machine: keys and bytes.
 *
 * Opening is done by libipsec-mb where it is installed and passed its comparison with OpenSSL when
 * the backend was made, else by OpenSSL's EVP; sealing (requests, which are few) always by EVP. */
#ifndef KR_WIRE_TLS_RECORD_H
#define KR_WIRE_TLS_RECORD_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TLS_SUITES = 3,
	TLS_SECRET_BYTES_MAX = 48,
	TLS_KEY_BYTES_MAX = 32,
	TLS_IV_BYTES = 12,
	TLS_HEAD_BYTES = 5,
	TLS_TAG_BYTES = 16,
	TLS_PLAIN_BYTES_MAX = 1 << 14,
	TLS_CIPHER_BYTES_MAX = TLS_PLAIN_BYTES_MAX + 256,
	TLS_SEAL_OVERHEAD = TLS_HEAD_BYTES + 1 + TLS_TAG_BYTES,
};

/* Types of records (5.1) */
enum { TLS_TYPE_ALERT = 21, TLS_TYPE_HANDSHAKE = 22, TLS_TYPE_DATA = 23 };

struct tls_suite {
	uint16_t id; /* as on the wire (B.4) */
	uint8_t index, key_bytes, secret_bytes;
	bool gcm; /* has a limit of records per key (5.5) */
	const char *cipher;
};

/* The suite with this number; NULL: not one that is done here. */
const struct tls_suite *tls_suite_of(uint16_t id);

/* --- keys (tls_keys.c) ----------------------------------------------------------------------- */

/* One direction. Secret: wiped with the connection that it is in (tls_own_free). */
struct tls_keys {
	uint64_t seq; /* of the next record */
	uint8_t secret[TLS_SECRET_BYTES_MAX];
	uint8_t key[TLS_KEY_BYTES_MAX];
	uint8_t iv[TLS_IV_BYTES];
};

/* Reads the secret from a line of OpenSSL's key log ("<label> <random> <hex>"), if it has that
 * label and that many bytes. */
bool tls_secret_parse(const char *line, const char *label, uint8_t *secret, size_t n);
/* Key and IV of the secret that is in keys; the sequence begins anew. false: no memory. */
bool tls_keys_derive(struct tls_keys *keys, const struct tls_suite *suite);
/* The next generation, after a KeyUpdate (7.2). false: no memory, and the keys are useless. */
bool tls_keys_next(struct tls_keys *keys, const struct tls_suite *suite);
/* 5.3; the sequence moves on. */
void tls_keys_nonce(struct tls_keys *keys, uint8_t nonce[TLS_IV_BYTES]);

/* --- records (tls_record.c) ------------------------------------------------------------------ */

/* What opens and seals. Owner: a tls_base. Thread: made by one, then read by any. */
struct tls_aead;
/* One direction's keyed state for opening; about 1 KiB. Owner: a connection. */
struct tls_opener;

/* NULL: no memory, or OpenSSL has not got the ciphers. */
struct tls_aead *tls_aead_new(void);
void tls_aead_free(struct tls_aead **a);

/* NULL: no memory. evp: without libipsec-mb. */
struct tls_opener *tls_opener_new(
        const struct tls_aead *a, const struct tls_suite *suite, const uint8_t *key, bool evp);
void tls_opener_free(struct tls_opener **o); /* wipes the key */
size_t tls_opener_bytes(const struct tls_opener *o);
/* Hints to the cache: of the opener, and with step 1, when that has come, of what is behind it. */
void tls_opener_fetch(const struct tls_opener *o, unsigned step);
/* record: header and body, n bytes in all, n > TLS_HEAD_BYTES + TLS_TAG_BYTES. Writes n minus
 * these, with type and padding, to out. false: it is not authentic (or no memory), and out has been
 * wiped. The sequence moves on. */
bool tls_opener_open(
        struct tls_opener *o, struct tls_keys *keys, const uint8_t *record, size_t n, uint8_t *out);

/* Makes records with one EVP context, one after the other. */
struct tls_sealer {
	EVP_CIPHER_CTX *ctx;
};
bool tls_sealer_init(struct tls_sealer *s, const struct tls_aead *a, const struct tls_suite *suite,
        const uint8_t *key);
/* One record of n <= TLS_PLAIN_BYTES_MAX bytes: n + TLS_SEAL_OVERHEAD go to out. */
bool tls_sealer_seal(struct tls_sealer *s, struct tls_keys *keys, uint8_t type, const uint8_t *data,
        size_t n, uint8_t *out);
void tls_sealer_fini(struct tls_sealer *s);

#endif
