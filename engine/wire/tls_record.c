/* Opening and sealing of records (RFC 8446 5.2), over EVP or libipsec-mb. */
#include "wire/tls_record.h"

#include "base/check.h"
#include "base/fetch.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#ifdef KR_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

struct tls_aead {
	EVP_CIPHER *ciphers[TLS_SUITES];
#ifdef KR_IPSEC_MB
	aes_gcm_pre_t pre[TLS_SUITES]; /* NULL: not by libipsec-mb */
	aes_gcm_enc_dec_t dec[TLS_SUITES];
#endif
	bool ipsec_mb;
};

enum { MB_ALIGN = 64 }; /* what libipsec-mb asks for */

/* One allocation, so that an opener that is cold is waited for once. */
struct tls_opener {
	EVP_CIPHER_CTX *evp; /* NULL: libipsec-mb, and the key that it has expanded is behind */
#ifdef KR_IPSEC_MB
	aes_gcm_enc_dec_t dec;
	alignas(MB_ALIGN) struct gcm_key_data key[];
#endif
};

enum {
	EVP_CTX_BYTES = 1176,    /* of OpenSSL 3.0, measured */
	EVP_CTX_OWN_BYTES = 192, /* of these, what we have a pointer to */
	PROBE_BYTES = 1000,
};
#ifdef KR_IPSEC_MB
enum {
	MB_KEY_BYTES = (sizeof(struct gcm_key_data) + MB_ALIGN - 1) / MB_ALIGN * MB_ALIGN,
	OPENER_BYTES_MAX = sizeof(struct tls_opener) + MB_KEY_BYTES,
};
#else
enum { OPENER_BYTES_MAX = sizeof(struct tls_opener) };
#endif

/* --- libipsec-mb ----------------------------------------------------------------------------- */

#ifdef KR_IPSEC_MB
static void ipsec_mb_find(struct tls_aead *a)
{
	IMB_MGR *mgr = alloc_mb_mgr(0);
	if (!mgr)
		return;
	init_mb_mgr_auto(mgr, NULL);
	if (imb_get_errno(mgr) == 0) { /* the functions stay when the manager goes */
		a->pre[0] = mgr->gcm128_pre;
		a->dec[0] = mgr->gcm128_dec;
		a->pre[1] = mgr->gcm256_pre;
		a->dec[1] = mgr->gcm256_dec;
		a->ipsec_mb = true;
	}
	free_mb_mgr(mgr);
}

static bool ipsec_mb_open(struct tls_opener *o, const uint8_t nonce[TLS_IV_BYTES],
        const uint8_t *record, size_t cipher_bytes, uint8_t *out)
{
	struct gcm_context_data ctx;
	uint8_t tag[TLS_TAG_BYTES];
	const uint8_t *body = record + TLS_HEAD_BYTES;
	o->dec(o->key, &ctx, out, body, cipher_bytes, nonce, record, TLS_HEAD_BYTES, tag,
	        sizeof tag);
	return CRYPTO_memcmp(tag, body + cipher_bytes, sizeof tag) == 0;
}

static struct tls_opener *ipsec_mb_new(const struct tls_aead *a, unsigned index, const uint8_t *key)
{
	struct tls_opener *o = aligned_alloc(MB_ALIGN, OPENER_BYTES_MAX);
	if (!o)
		return NULL;
	o->evp = NULL;
	o->dec = a->dec[index];
	a->pre[index](key, o->key);
	return o;
}

static bool probe(const struct tls_aead *a, uint16_t id)
{
	const struct tls_suite *suite = tls_suite_of(id);
	static const uint8_t key[TLS_KEY_BYTES_MAX] = "a key for nothing but the probe";
	uint8_t data[PROBE_BYTES], record[PROBE_BYTES + TLS_SEAL_OVERHEAD], out[PROBE_BYTES + 1];
	struct tls_keys seal = {.seq = 5, .iv = "twelve bytes"}, open = seal;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	struct tls_sealer s = {0};
	struct tls_opener *o = tls_opener_new(a, suite, key, false);
	bool ok = o && tls_sealer_init(&s, a, suite, key) &&
	          tls_sealer_seal(&s, &seal, TLS_TYPE_DATA, data, sizeof data, record) &&
	          tls_opener_open(o, &open, record, sizeof record, out) &&
	          memcmp(out, data, sizeof data) == 0 && out[sizeof data] == TLS_TYPE_DATA;
	record[sizeof record - 1] ^= 1;
	open.seq = 5;
	ok = ok && !tls_opener_open(o, &open, record, sizeof record, out);
	tls_sealer_fini(&s);
	tls_opener_free(&o);
	return ok;
}
#endif

/* --- life ------------------------------------------------------------------------------------ */

struct tls_aead *tls_aead_new(void)
{
	struct tls_aead *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	for (uint16_t i = 0; i < TLS_SUITES; i++) {
		const struct tls_suite *suite = tls_suite_of((uint16_t)(0x1301 + i));
		a->ciphers[i] = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
		if (!a->ciphers[i]) {
			tls_aead_free(&a);
			return NULL;
		}
	}
#ifdef KR_IPSEC_MB
	ipsec_mb_find(a);
	if (a->ipsec_mb && !(probe(a, 0x1301) && probe(a, 0x1302)))
		a->ipsec_mb = false;
	ERR_clear_error();
#endif
	return a;
}

void tls_aead_free(struct tls_aead **a)
{
	struct tls_aead *x = *a;
	*a = NULL;
	if (!x)
		return;
	for (size_t i = 0; i < TLS_SUITES; i++)
		EVP_CIPHER_free(x->ciphers[i]);
	free(x);
}

/* --- opening --------------------------------------------------------------------------------- */

static struct tls_opener *evp_new(
        const struct tls_aead *a, const struct tls_suite *suite, const uint8_t *key)
{
	struct tls_opener *o = aligned_alloc(alignof(struct tls_opener), sizeof *o);
	EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
	if (o && evp && EVP_DecryptInit_ex2(evp, a->ciphers[suite->index], key, NULL, NULL) == 1) {
		o->evp = evp;
		return o;
	}
	EVP_CIPHER_CTX_free(evp);
	free(o);
	return NULL;
}

struct tls_opener *tls_opener_new(
        const struct tls_aead *a, const struct tls_suite *suite, const uint8_t *key, bool evp)
{
#ifdef KR_IPSEC_MB
	if (!evp && a->ipsec_mb && suite->gcm)
		return ipsec_mb_new(a, suite->index, key);
#endif
	(void)evp;
	return evp_new(a, suite, key);
}

void tls_opener_free(struct tls_opener **o)
{
	struct tls_opener *x = *o;
	*o = NULL;
	if (!x)
		return;
	EVP_CIPHER_CTX_free(x->evp); /* wipes what it holds */
#ifdef KR_IPSEC_MB
	if (!x->evp)
		OPENSSL_cleanse(x->key, sizeof *x->key);
#endif
	free(x);
}

size_t tls_opener_bytes(const struct tls_opener *o)
{
#ifdef KR_IPSEC_MB
	if (!o->evp)
		return OPENER_BYTES_MAX;
#endif
	return sizeof *o + EVP_CTX_BYTES;
}

void tls_opener_fetch(const struct tls_opener *o, unsigned step)
{
	if (step == 0)
		fetch(o, OPENER_BYTES_MAX);
	else if (o->evp)
		fetch(o->evp, EVP_CTX_OWN_BYTES);
}

/* The tag goes in with the nonce: one call into the provider less than by itself. */
static bool evp_open(EVP_CIPHER_CTX *ctx, const uint8_t *nonce, const uint8_t *record,
        size_t cipher_bytes, uint8_t *out)
{
	const uint8_t *body = record + TLS_HEAD_BYTES;
	int n = 0, none = 0;
	uint8_t tag[TLS_TAG_BYTES];
	memcpy(tag, body + cipher_bytes, sizeof tag);
	const OSSL_PARAM params[] = {
	        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, sizeof tag),
	        OSSL_PARAM_END};
	return EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, params) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, record, TLS_HEAD_BYTES) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n, body, (int)cipher_bytes) == 1 &&
	       n == (int)cipher_bytes && EVP_DecryptFinal_ex(ctx, out + n, &none) == 1;
}

bool tls_opener_open(
        struct tls_opener *o, struct tls_keys *keys, const uint8_t *record, size_t n, uint8_t *out)
{
	uint8_t nonce[TLS_IV_BYTES];
	size_t cipher_bytes = n - TLS_HEAD_BYTES - TLS_TAG_BYTES;
	CHECK(n > TLS_HEAD_BYTES + TLS_TAG_BYTES);
	tls_keys_nonce(keys, nonce);
	bool ok;
#ifdef KR_IPSEC_MB
	if (!o->evp)
		ok = ipsec_mb_open(o, nonce, record, cipher_bytes, out);
	else
#endif
		ok = evp_open(o->evp, nonce, record, cipher_bytes, out);
	if (UNLIKELY(!ok))
		OPENSSL_cleanse(out, cipher_bytes);
	return ok;
}

/* --- sealing --------------------------------------------------------------------------------- */

bool tls_sealer_init(struct tls_sealer *s, const struct tls_aead *a, const struct tls_suite *suite,
        const uint8_t *key)
{
	s->ctx = EVP_CIPHER_CTX_new();
	return s->ctx &&
	       EVP_EncryptInit_ex2(s->ctx, a->ciphers[suite->index], key, NULL, NULL) == 1;
}

bool tls_sealer_seal(struct tls_sealer *s, struct tls_keys *keys, uint8_t type, const uint8_t *data,
        size_t n, uint8_t *out)
{
	uint8_t nonce[TLS_IV_BYTES], *body = out + TLS_HEAD_BYTES;
	size_t body_bytes = n + 1 + TLS_TAG_BYTES;
	int a = 0, b = 0, none = 0;
	CHECK(n <= TLS_PLAIN_BYTES_MAX);
	tls_keys_nonce(keys, nonce);
	const uint8_t head[TLS_HEAD_BYTES] = {
	        TLS_TYPE_DATA, 3, 3, (uint8_t)(body_bytes >> 8), (uint8_t)body_bytes};
	memcpy(out, head, sizeof head);
	return EVP_EncryptInit_ex2(s->ctx, NULL, NULL, nonce, NULL) == 1 &&
	       EVP_EncryptUpdate(s->ctx, NULL, &none, head, sizeof head) == 1 &&
	       (n == 0 || EVP_EncryptUpdate(s->ctx, body, &a, data, (int)n) == 1) &&
	       EVP_EncryptUpdate(s->ctx, body + a, &b, &type, 1) == 1 && a + b == (int)n + 1 &&
	       EVP_EncryptFinal_ex(s->ctx, body + n + 1, &none) == 1 &&
	       EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES, body + n + 1) == 1;
}

void tls_sealer_fini(struct tls_sealer *s)
{
	EVP_CIPHER_CTX_free(s->ctx);
	s->ctx = NULL;
}
