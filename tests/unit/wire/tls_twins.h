/* tls_twins.h - two connections with the same traffic secrets: one reads by the own record path,
 * its twin by OpenSSL. Records are sealed here from those secrets, by other means than the code
 * under test; both get the same bytes in the same pieces. CHECK stops on any error of the twins
 * themselves; the caller compares. */
#ifndef KR_TESTS_UNIT_WIRE_TLS_TWINS_H
#define KR_TESTS_UNIT_WIRE_TLS_TWINS_H

#include "wire/tls_priv.h"

#include "base/check.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <stdlib.h>

enum { SIDE_BYTES = 1 << 18, READ_FILL = 0xA5 };

/* What one of the two did. */
struct twin_side {
	struct tls_conn *c;
	err_t err;
	bool may_touch; /* the error was found after the tag was checked */
	struct errmsg msg;
	size_t got_bytes, sent_bytes;
	char got[SIDE_BYTES];  /* plaintext */
	char sent[SIDE_BYTES]; /* what it wants to send */
};

struct twins {
	SSL_CTX *server_ctx;
	struct tls_config *config[2]; /* own, OpenSSL's */
	struct twin_side side[2];
	uint16_t suite;
	size_t secret_bytes, read_cap;
	uint8_t client_secret[48], server_secret[48]; /* of the first generation */
	uint8_t secret[48];                           /* of the server, now */
	uint64_t seq;
};

static inline size_t twins_hex(const char *line, uint8_t *out)
{
	const char *hex = strrchr(line, ' ') + 1;
	size_t n = strlen(hex) / 2;
	for (size_t i = 0; i < n; i++) {
		unsigned v;
		CHECK(sscanf(hex + 2 * i, "%2x", &v) == 1 && n <= 48);
		out[i] = (uint8_t)v;
	}
	return n;
}

static inline void twins_on_keylog(const SSL *ssl, const char *line)
{
	struct twins *t = SSL_get_app_data(ssl);
	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
		t->secret_bytes = twins_hex(line, t->client_secret);
	else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
		t->secret_bytes = twins_hex(line, t->server_secret);
}

/* The other implementation of HKDF-Expand-Label: OpenSSL's own. */
static inline void twins_expand(
        const struct twins *t, const uint8_t *secret, const char *label, uint8_t *out, size_t n)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	char digest[8], prefix[] = "tls13 ", name[16];
	uint8_t key[48];
	strcpy(digest, t->secret_bytes == 48 ? "SHA384" : "SHA256");
	strcpy(name, label);
	memcpy(key, secret, sizeof key);
	OSSL_PARAM params[] = {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, t->secret_bytes),
	        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, 6),
	        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, name, strlen(name)),
	        OSSL_PARAM_construct_end()};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	CHECK(ctx && EVP_KDF_derive(ctx, out, n, params) == 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

/* One record of the server with that inner plaintext (content, type, padding as the caller says).
 * Returns its bytes; out has room for n + 21. */
static inline size_t twins_seal(struct twins *t, const uint8_t *inner, size_t n, uint8_t *out)
{
	static const char *const ciphers[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
	uint8_t key[32], nonce[12];
	int len, none;
	twins_expand(t, t->secret, "key", key, t->suite == 0x1301 ? 16 : 32);
	twins_expand(t, t->secret, "iv", nonce, sizeof nonce);
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(t->seq >> 8 * i);
	t->seq++;
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, ciphers[t->suite - 0x1301], NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	memcpy(out, "\x17\x03\x03", 3);
	out[3] = (uint8_t)((n + 16) >> 8);
	out[4] = (uint8_t)(n + 16);
	CHECK(EVP_EncryptInit_ex2(ctx, cipher, key, nonce, NULL) == 1);
	CHECK(EVP_EncryptUpdate(ctx, NULL, &none, out, 5) == 1);
	CHECK(n == 0 || EVP_EncryptUpdate(ctx, out + 5, &len, inner, (int)n) == 1);
	CHECK(EVP_EncryptFinal_ex(ctx, out + 5 + n, &none) == 1);
	CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + 5 + n) == 1);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return n + 21;
}

/* The server's keys of the next generation. */
static inline void twins_update(struct twins *t)
{
	uint8_t next[48];
	twins_expand(t, t->secret, "traffic upd", next, t->secret_bytes);
	memcpy(t->secret, next, sizeof next);
	t->seq = 0;
}

/* --- feeding ---------------------------------------------------------------------------------- */

static inline void twin_note(struct twin_side *s, err_t e, const struct errmsg *m)
{
	CHECK(ERR_peek_error() == 0);
	if (e != ERR_OK && s->err == ERR_OK) {
		s->err = e;
		s->msg = *m;
	}
}

static inline void twin_flush(struct twin_side *s)
{
	struct span out;
	while ((out = tls_take_output(s->c)).n > 0) {
		CHECK(s->sent_bytes + out.n <= sizeof s->sent);
		memcpy(s->sent + s->sent_bytes, out.p, out.n);
		s->sent_bytes += out.n;
		tls_output_done(s->c, out.n);
	}
}

static inline void twin_drain(struct twin_side *s, size_t cap)
{
	struct errmsg m;
	char *buf = malloc(cap);
	err_t e;
	size_t n;
	CHECK(buf);
	do {
		memset(buf, READ_FILL, cap);
		e = tls_read(s->c, buf, cap, &n, &m);
		CHECK(n <= cap && s->got_bytes + n <= sizeof s->got);
		memcpy(s->got + s->got_bytes, buf, n);
		s->got_bytes += n;
		twin_note(s, e, &m);
		/* nothing behind what was given out: no plaintext that was not authentic */
		for (size_t i = n; e != ERR_OK && i < cap; i++)
			CHECK(buf[i] == (char)READ_FILL || buf[i] == 0 || s->may_touch);
	} while (e == ERR_OK && n > 0);
	free(buf);
}

static inline void twin_feed(struct twins *t, struct twin_side *s, const uint8_t *p, size_t n)
{
	struct errmsg m;
	char *copy = malloc(n ? n : 1); /* exact, for the sanitizer */
	CHECK(copy);
	memcpy(copy, p, n);
	twin_note(s, tls_feed(s->c, copy, n, 0, &m), &m);
	twin_drain(s, t->read_cap);
	free(copy);
	twin_flush(s);
}

/* piece 0: whole; first: size of the first piece, if not 0. */
static inline void twins_feed(
        struct twins *t, const uint8_t *p, size_t n, size_t first, size_t each)
{
	for (int i = 0; i < 2; i++)
		for (size_t at = 0, piece; at < n; at += piece) {
			piece = at == 0 && first ? first : each;
			if (piece == 0 || piece > n - at)
				piece = n - at;
			twin_feed(t, &t->side[i], p + at, piece);
		}
}

static inline void twins_write(struct twins *t, const char *p, size_t n)
{
	for (int i = 0; i < 2; i++) {
		struct errmsg m;
		if (tls_state(t->side[i].c) == TLS_OPEN)
			twin_note(&t->side[i], tls_write(t->side[i].c, p, n, &m), &m);
		twin_flush(&t->side[i]);
	}
}

static inline bool twins_agree(const struct twins *t)
{
	const struct twin_side *a = &t->side[0], *b = &t->side[1];
	return a->err == b->err && tls_state(a->c) == tls_state(b->c) &&
	       a->got_bytes == b->got_bytes && memcmp(a->got, b->got, a->got_bytes) == 0 &&
	       a->sent_bytes == b->sent_bytes && memcmp(a->sent, b->sent, a->sent_bytes) == 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static inline void twins_close_all(struct twins *t)
{
	tls_conn_free(&t->side[0].c);
	tls_conn_free(&t->side[1].c);
}

/* OpenSSL's twin makes a real handshake; the other one gets the secrets and begins after it. */
static inline void twins_open(struct twins *t)
{
	struct tls_conn **own = &t->side[0].c, **theirs = &t->side[1].c;
	SSL *server = SSL_new(t->server_ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL_set_bio(server, in, out);
	SSL_set_accept_state(server);
	SSL_set_app_data(server, t);
	twins_close_all(t);
	for (int i = 0; i < 2; i++) {
		t->side[i].err = ERR_OK;
		t->side[i].may_touch = true;
		t->side[i].got_bytes = t->side[i].sent_bytes = 0;
		CHECK(tls_conn_new(&t->side[i].c, t->config[i], 0, NULL) == ERR_OK);
	}
	for (int turn = 0; turn < 4; turn++) {
		struct span s;
		char *p;
		while ((s = tls_take_output(*theirs)).n > 0) {
			BIO_write(in, s.p, (int)s.n);
			tls_output_done(*theirs, s.n);
		}
		if (SSL_do_handshake(server) != 1)
			ERR_clear_error();
		long n = BIO_get_mem_data(out, &p);
		CHECK(tls_feed(*theirs, p, (size_t)n, 0, NULL) == ERR_OK);
		(void)BIO_reset(out);
	}
	CHECK(SSL_is_init_finished(server) && tls_state(*theirs) == TLS_OPEN);
	SSL_free(server);
	twin_flush(&t->side[0]); /* a ClientHello that nobody answers */
	t->side[0].sent_bytes = 0;
	tls_free_ssl(*own);
	memcpy((*own)->own->send.secret, t->client_secret, sizeof t->client_secret);
	memcpy((*own)->own->recv.secret, t->server_secret, sizeof t->server_secret);
	CHECK(tls_own_start(*own, t->suite));
	(*own)->state = TLS_OPEN;
	memcpy(t->secret, t->server_secret, sizeof t->secret);
	t->seq = 0;
}

static inline void twins_init(
        struct twins *t, X509 *cert, EVP_PKEY *key, uint16_t suite, enum tls_records own)
{
	static const char *const names[] = {
	        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
	memset(t, 0, sizeof *t);
	t->suite = suite;
	t->read_cap = 64 * 1024;
	t->server_ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_keylog_callback(t->server_ctx, twins_on_keylog);
	CHECK(SSL_CTX_use_certificate(t->server_ctx, cert) == 1);
	CHECK(SSL_CTX_use_PrivateKey(t->server_ctx, key) == 1);
	CHECK(SSL_CTX_set_min_proto_version(t->server_ctx, TLS1_3_VERSION) == 1);
	CHECK(SSL_CTX_set_ciphersuites(t->server_ctx, names[suite - 0x1301]) == 1);
	SSL_CTX_set_num_tickets(t->server_ctx, 0);
	for (int i = 0; i < 2; i++) {
		struct tls_spec s = {.server_name = SPAN("api.test"),
		        .insecure = true,
		        .records = i ? TLS_RECORDS_OPENSSL : own,
		        .share = i ? t->config[0] : NULL};
		CHECK(tls_config_new(&t->config[i], &s, NULL) == ERR_OK);
	}
}

static inline void twins_fini(struct twins *t)
{
	twins_close_all(t);
	tls_config_put(&t->config[0]);
	tls_config_put(&t->config[1]);
	SSL_CTX_free(t->server_ctx);
	ERR_clear_error();
}

#endif
