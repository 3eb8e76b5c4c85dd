/* The key schedule of TLS 1.3 from the traffic secrets on (RFC 8446 7.1 to 7.3). */
#include "wire/tls_record.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>

static const struct tls_suite suites[TLS_SUITES] = {
        {0x1301, 0, 16, 32, true, "AES-128-GCM"},
        {0x1302, 1, 32, 48, true, "AES-256-GCM"},
        {0x1303, 2, 32, 32, false, "ChaCha20-Poly1305"},
};

const struct tls_suite *tls_suite_of(uint16_t id)
{
	for (size_t i = 0; i < TLS_SUITES; i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool tls_secret_parse(const char *line, const char *label, uint8_t *secret, size_t n)
{
	size_t label_bytes = strlen(label);
	if (strncmp(line, label, label_bytes) != 0 || line[label_bytes] != ' ')
		return false;
	const char *hex = strchr(line + label_bytes + 1, ' ');
	if (!hex++ || strlen(hex) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_of(hex[2 * i]), low = hex_of(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		secret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* HKDF-Expand-Label with an empty context and no more than one block of output, which is one HMAC
 * (RFC 5869 2.3). */
static bool expand(const struct tls_suite *suite, const uint8_t *secret, const char *label,
        uint8_t *out, size_t n)
{
	uint8_t info[32], block[EVP_MAX_MD_SIZE];
	unsigned block_bytes = 0;
	size_t label_bytes = strlen(label), at = 0;
	CHECK(n <= suite->secret_bytes && label_bytes < 16);
	info[at++] = 0;
	info[at++] = (uint8_t)n;
	info[at++] = (uint8_t)(6 + label_bytes);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, label_bytes);
	at += 6 + label_bytes;
	info[at++] = 0; /* context */
	info[at++] = 1; /* number of the block */
	const EVP_MD *md = suite->secret_bytes == 48 ? EVP_sha384() : EVP_sha256();
	bool ok = HMAC(md, secret, suite->secret_bytes, info, at, block, &block_bytes) != NULL;
	if (ok)
		memcpy(out, block, n);
	OPENSSL_cleanse(block, sizeof block);
	return ok;
}

bool tls_keys_derive(struct tls_keys *keys, const struct tls_suite *suite)
{
	keys->seq = 0;
	return expand(suite, keys->secret, "key", keys->key, suite->key_bytes) &&
	       expand(suite, keys->secret, "iv", keys->iv, TLS_IV_BYTES);
}

bool tls_keys_next(struct tls_keys *keys, const struct tls_suite *suite)
{
	uint8_t next[TLS_SECRET_BYTES_MAX];
	bool ok = expand(suite, keys->secret, "traffic upd", next, suite->secret_bytes);
	if (ok)
		memcpy(keys->secret, next, suite->secret_bytes);
	OPENSSL_cleanse(next, sizeof next);
	return ok && tls_keys_derive(keys, suite);
}

void tls_keys_nonce(struct tls_keys *keys, uint8_t nonce[TLS_IV_BYTES])
{
	CHECK(keys->seq < UINT64_MAX); /* 5.3: it must not wrap */
	uint64_t seq = __builtin_bswap64(keys->seq++), low;
	memcpy(nonce, keys->iv, TLS_IV_BYTES);
	memcpy(&low, nonce + 4, sizeof low);
	low ^= seq;
	memcpy(nonce + 4, &low, sizeof low);
}
