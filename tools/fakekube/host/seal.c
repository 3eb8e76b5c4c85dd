#include "host/seal.h"

#include "base/check.h"

#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define TAG_BYTES    16
#define HEADER_BYTES 5
#define SECRET_MAX   48
#define SECRET_LABEL "SERVER_TRAFFIC_SECRET_0 "

static int slot_of_seal(void)
{
	static int slot = -1;
	if (slot < 0)
		slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	CHECK(slot >= 0);
	return slot;
}

/* RFC 8446 7.1, for what fits one block of the hash. */
static bool expand(const EVP_MD *md, struct span secret, const char *label, uint8_t *out, size_t n)
{
	uint8_t info[64], block[EVP_MAX_MD_SIZE];
	size_t label_bytes = strlen(label);
	unsigned block_bytes = 0;
	info[0] = 0;
	info[1] = (uint8_t)n;
	info[2] = (uint8_t)(6 + label_bytes);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, label_bytes);
	info[9 + label_bytes] = 0; /* no context */
	info[10 + label_bytes] = 1;
	if (!HMAC(md, secret.p, (int)secret.n, info, 11 + label_bytes, block, &block_bytes) ||
	        block_bytes < n)
		return false;
	memcpy(out, block, n);
	return true;
}

static size_t unhex(const char *hex, char *out, size_t cap)
{
	size_t n = 0;
	for (unsigned v; n < cap && sscanf(hex + 2 * n, "%2x", &v) == 1; n++)
		out[n] = (char)v;
	return n;
}

/* The line of a key log: LABEL CLIENT_RANDOM SECRET. */
static void on_secret(const SSL *ssl, const char *line)
{
	struct seal *s = SSL_get_ex_data(ssl, slot_of_seal());
	const char *hex = strrchr(line, ' ');
	char secret[SECRET_MAX];
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	if (!s || !hex || !cipher || strncmp(line, SECRET_LABEL, sizeof SECRET_LABEL - 1) != 0)
		return;
	size_t n = unhex(hex + 1, secret, sizeof secret);
	int nid = SSL_CIPHER_get_cipher_nid(cipher);
	size_t key = nid == NID_aes_128_gcm ? 16 : nid == NID_aes_256_gcm ? 32 : 0;
	const EVP_MD *md = SSL_CIPHER_get_handshake_digest(cipher);
	struct span span = {secret, n};
	if (key && expand(md, span, "key", s->key, key) &&
	        expand(md, span, "iv", s->iv, sizeof s->iv))
		s->key_bytes = (uint8_t)key;
	s->sent = 0;
}

/* Each record that OpenSSL sends. */
static void on_record(
        int write, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct seal *s = SSL_get_ex_data(ssl, slot_of_seal());
	(void)version;
	(void)p;
	(void)n;
	(void)arg;
	if (!s || !write || type != SSL3_RT_HEADER)
		return;
	s->sent++;
	s->broken = s->on;
}

void seal_enable(SSL_CTX *ctx)
{
	SSL_CTX_set_keylog_callback(ctx, on_secret);
	SSL_CTX_set_msg_callback(ctx, on_record);
}

struct seal *seal_watch(SSL *ssl)
{
	struct seal *s = calloc(1, sizeof *s);
	CHECK(s && SSL_set_ex_data(ssl, slot_of_seal(), s));
	return s;
}

void seal_unwatch(SSL *ssl)
{
	SSL_set_ex_data(ssl, slot_of_seal(), NULL);
}

void seal_free(struct seal **s)
{
	free(*s);
	*s = NULL;
}

bool seal_take_over(struct seal *s, const SSL *ssl)
{
	s->on = s->key_bytes && SSL_version(ssl) == TLS1_3_VERSION;
	return s->on;
}

bool seal_broken(const struct seal *s)
{
	return s->broken;
}

/* One for each length of the key, for all connections: a key is set for each record, which costs
 * less than a context that is not in the cache. */
static EVP_CIPHER_CTX *context_of(size_t key_bytes)
{
	static EVP_CIPHER_CTX *contexts[2];
	EVP_CIPHER_CTX **c = &contexts[key_bytes == 32];
	if (!*c) {
		*c = EVP_CIPHER_CTX_new();
		const EVP_CIPHER *cipher = key_bytes == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
		CHECK(*c && EVP_EncryptInit_ex(*c, cipher, NULL, NULL, NULL));
	}
	return *c;
}

size_t seal_record(struct seal *s, enum seal_type type, struct span plain, unsigned char *out)
{
	CHECK(s->on && plain.n <= SEAL_PLAIN_MAX);
	EVP_CIPHER_CTX *c = context_of(s->key_bytes);
	size_t body = plain.n + 1 + TAG_BYTES;
	unsigned char nonce[12], *to = out + HEADER_BYTES, type_byte = (unsigned char)type;
	memcpy(nonce, s->iv, sizeof nonce);
	for (size_t i = 0; i < 8; i++)
		nonce[sizeof nonce - 1 - i] ^= (unsigned char)(s->sent >> 8 * i);
	out[0] = SEAL_DATA;
	out[1] = out[2] = 3;
	out[3] = (unsigned char)(body >> 8);
	out[4] = (unsigned char)body;
	int n = 0, last = 0;
	if (!EVP_EncryptInit_ex(c, NULL, NULL, s->key, nonce) ||
	        !EVP_EncryptUpdate(c, NULL, &n, out, HEADER_BYTES) ||
	        !EVP_EncryptUpdate(c, to, &n, (const unsigned char *)plain.p, (int)plain.n) ||
	        !EVP_EncryptUpdate(c, to + n, &last, &type_byte, 1) ||
	        !EVP_EncryptFinal_ex(c, to + n + last, &last) ||
	        !EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, to + plain.n + 1))
		return 0;
	s->sent++;
	return HEADER_BYTES + body;
}
