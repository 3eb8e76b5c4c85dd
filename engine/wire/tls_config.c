#include "wire/tls_priv.h"

#include "base/check.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* TLS 1.2 suites with forward secrecy and AEAD only: what Go's servers offer. Of TLS 1.3 the
 * cheapest on machines with AES instructions goes first. */
static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char ciphers_13[] =
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const unsigned char alpn[] = "\x08http/1.1";

static BIO *bio_of(struct span s)
{
	return s.n <= INT_MAX ? BIO_new_mem_buf(s.p, (int)s.n) : NULL;
}

/* A PEM reader ends with this when there are no more blocks. */
static bool is_end_of_pem(void)
{
	unsigned long e = ERR_peek_last_error();
	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* --- trust anchors --------------------------------------------------------------------------- */

static err_t add_roots(struct tls_roots *r, BIO *pem, struct errmsg *m)
{
	for (;;) {
		X509 *x = PEM_read_bio_X509(pem, NULL, NULL, NULL);
		if (!x)
			break;
		int added = X509_STORE_add_cert(r->store, x);
		X509_free(x);
		if (!added)
			return tls_explain_config(ERR_TLS_CONFIG, m, "CA certificate");
		r->count++;
	}
	if (!is_end_of_pem()) {
		char what[64];
		snprintf(
		        what, sizeof what, "CA certificates: PEM block %d is broken", r->count + 1);
		return tls_explain_config(ERR_TLS_CONFIG, m, what);
	}
	ERR_clear_error();
	if (r->count == 0)
		return errmsg_set(m, ERR_TLS_CONFIG, "CA certificates: no PEM certificate in them");
	return ERR_OK;
}

static struct tls_roots *roots_alloc(struct errmsg *m)
{
	struct tls_roots *r = calloc(1, sizeof *r);
	X509_STORE *store = X509_STORE_new();
	if (!r || !store) {
		free(r);
		X509_STORE_free(store);
		ERR_clear_error();
		errmsg_set(m, ERR_NO_MEMORY, "TLS trust store");
		return NULL;
	}
	atomic_init(&r->refs, 1);
	r->store = store;
	return r;
}

static err_t roots_from(struct tls_roots **out, BIO *pem, struct errmsg *m)
{
	struct tls_roots *r = roots_alloc(m);
	if (!r)
		return ERR_NO_MEMORY;
	err_t e = add_roots(r, pem, m);
	if (e == ERR_OK)
		*out = r;
	else
		tls_roots_put(&r);
	return e;
}

err_t tls_roots_new(struct tls_roots **out, struct span pem, struct errmsg *m)
{
	*out = NULL;
	ERR_clear_error();
	if (pem.n == 0)
		return errmsg_set(m, ERR_TLS_CONFIG, "CA certificates: empty");
	BIO *bio = bio_of(pem);
	if (!bio)
		return tls_explain_config(ERR_NO_MEMORY, m, "CA certificates");
	err_t e = roots_from(out, bio, m);
	BIO_free(bio);
	return e;
}

err_t tls_roots_new_system(struct tls_roots **out, struct errmsg *m)
{
	const char *named = getenv("SSL_CERT_FILE");
	const char *const places[] = {named, "/etc/ssl/certs/ca-certificates.crt",
	        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
	*out = NULL;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		ERR_clear_error();
		BIO *bio = places[i] ? BIO_new_file(places[i], "rb") : NULL;
		ERR_clear_error();
		if (!bio) {
			if (i == 0 && named)
				break; /* named and not there: do not trust something else */
			continue;
		}
		err_t e = roots_from(out, bio, m);
		BIO_free(bio);
		if (e != ERR_OK)
			errmsg_prefix(m, "%s", places[i]);
		return e;
	}
	return errmsg_set(m, ERR_TLS_CONFIG,
	        "no CA bundle of this system found at %s; install ca-certificates, or give the "
	        "cluster a certificate-authority",
	        named ? named : places[1]);
}

struct tls_roots *tls_roots_get(struct tls_roots *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void tls_roots_put(struct tls_roots **r)
{
	struct tls_roots *x = *r;
	*r = NULL;
	if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	X509_STORE_free(x->store);
	free(x);
}

int tls_roots_count(const struct tls_roots *r)
{
	return r->count;
}

/* --- client certificate ---------------------------------------------------------------------- */

static int64_t unix_of(const ASN1_TIME *t)
{
	int days = 0, seconds = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	bool ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t);
	ASN1_TIME_free(epoch);
	return ok ? (int64_t)days * 86400 + seconds : 0;
}

/* A password would have to be asked for; a daemon has nobody to ask. */
static int refuse_password(char *buf, int size, int write, void *arg)
{
	(void)buf;
	(void)size;
	(void)write;
	*(bool *)arg = true;
	return -1;
}

static err_t read_key(struct span pem, EVP_PKEY **key, struct errmsg *m)
{
	bool encrypted = false;
	BIO *bio = bio_of(pem);
	*key = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &encrypted) : NULL;
	BIO_free(bio);
	if (*key)
		return ERR_OK;
	if (encrypted) {
		ERR_clear_error();
		return errmsg_set(
		        m, ERR_TLS_CONFIG, "client key is encrypted; give it without a passphrase");
	}
	if (!memmem(pem.p, pem.n, "PRIVATE KEY-----",
	            16)) { /* the decoder only says "unsupported" */
		ERR_clear_error();
		return errmsg_set(m, ERR_TLS_CONFIG, "client key: no PEM private key in it");
	}
	return tls_explain_config(ERR_TLS_CONFIG, m, "client key is broken");
}

static err_t read_chain(struct tls_config *c, BIO *pem, struct errmsg *m)
{
	int count = 0;
	X509 *x;
	c->chain = sk_X509_new_null();
	while (c->chain && (x = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL) {
		if (count++ == 0)
			c->leaf = x;
		else if (!sk_X509_push(c->chain, x)) {
			X509_free(x);
			return tls_explain_config(ERR_NO_MEMORY, m, "client certificate chain");
		}
	}
	if (!c->chain || !is_end_of_pem()) {
		char what[64];
		snprintf(
		        what, sizeof what, "client certificate: PEM block %d is broken", count + 1);
		return tls_explain_config(ERR_TLS_CONFIG, m, what);
	}
	ERR_clear_error();
	if (!c->leaf)
		return errmsg_set(
		        m, ERR_TLS_CONFIG, "client certificate: no PEM certificate in it");
	c->expiry = unix_of(X509_get0_notAfter(c->leaf));
	return ERR_OK;
}

static err_t load_client(struct tls_config *c, const struct tls_spec *s, struct errmsg *m)
{
	if (s->cert_pem.n == 0 && s->key_pem.n == 0)
		return ERR_OK;
	if (s->cert_pem.n == 0 || s->key_pem.n == 0)
		return errmsg_set(m, ERR_TLS_CONFIG, "%s is missing; both or none must be given",
		        s->key_pem.n == 0 ? "client key" : "client certificate");
	BIO *pem = bio_of(s->cert_pem);
	err_t e = pem ? read_chain(c, pem, m)
	              : tls_explain_config(ERR_NO_MEMORY, m, "client certificate");
	BIO_free(pem);
	if (e == ERR_OK)
		e = read_key(s->key_pem, &c->key, m);
	if (e != ERR_OK || X509_check_private_key(c->leaf, c->key) == 1)
		return e;
	ERR_clear_error();
	return errmsg_set(m, ERR_TLS_CONFIG,
	        "client key does not belong to the client certificate; give the two that were made "
	        "together");
}

/* --- the config ------------------------------------------------------------------------------ */

/* RFC 6066 3: SNI has no trailing dot and no address. */
static err_t set_name(struct tls_config *c, const struct tls_spec *s, struct errmsg *m)
{
	struct span n = s->server_name;
	if (n.n > 0 && n.p[n.n - 1] == '.')
		n.n--;
	if (n.n == 0 && !s->insecure)
		return errmsg_set(m, ERR_TLS_CONFIG, "server name is missing");
	if (n.n > TLS_NAME_BYTES_MAX)
		return errmsg_set(m, ERR_TLS_CONFIG, "server name is longer than 253 bytes");
	for (size_t i = 0; i < n.n; i++)
		if (n.p[i] <= ' ' || n.p[i] >= 0x7F)
			return errmsg_set(m, ERR_TLS_CONFIG,
			        "server name holds a byte that no host name has (byte %zu)", i + 1);
	if (n.n > 0)
		memcpy(c->name, n.p, n.n);
	c->name[n.n] = 0;
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(c->name);
	c->name_is_ip = ip != NULL;
	ASN1_OCTET_STRING_free(ip);
	ERR_clear_error();
	return ERR_OK;
}

/* PARTIAL_CHAIN: any certificate of the CA data is an anchor, also an intermediate or the server's
 * own. kubeconfigs that work with Go's verifier rest on it. */
static bool set_limits(SSL_CTX *ctx)
{
	X509_VERIFY_PARAM *vp = SSL_CTX_get0_param(ctx);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_verify_depth(ctx, TLS_CHAIN_DEPTH_MAX);
	SSL_CTX_set_max_cert_list(ctx, TLS_CERT_BYTES_MAX);
	SSL_CTX_set_read_ahead(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, tls_on_new_session);
	SSL_CTX_set_keylog_callback(ctx, tls_on_keylog);
	X509_VERIFY_PARAM_set_hostflags(
	        vp, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set_flags(vp, X509_V_FLAG_PARTIAL_CHAIN) &&
	       SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_cipher_list(ctx, ciphers_12) &&
	       SSL_CTX_set_ciphersuites(ctx, ciphers_13) &&
	       SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) == 0;
}

static BIO_METHOD *make_bio_method(void)
{
	BIO_METHOD *b = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "slice");
	if (b && BIO_meth_set_read_ex(b, tls_bio_read) && BIO_meth_set_write_ex(b, tls_bio_write) &&
	        BIO_meth_set_ctrl(b, tls_bio_ctrl))
		return b;
	BIO_meth_free(b);
	return NULL;
}

static void base_put(struct tls_base *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(b->ctx);
	BIO_meth_free(b->bio_method);
	tls_aead_free(&b->aead);
	free(b);
}

static struct tls_base *base_new(void)
{
	struct tls_base *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	atomic_init(&b->refs, 1);
	b->bio_method = make_bio_method();
	b->ctx = SSL_CTX_new(TLS_client_method());
	b->aead = tls_aead_new();
	if (b->bio_method && b->ctx && b->aead && set_limits(b->ctx))
		return b;
	base_put(b);
	return NULL;
}

static struct tls_base *base_for(const struct tls_spec *s)
{
	if (!s->share)
		return base_new();
	atomic_fetch_add_explicit(&s->share->base->refs, 1, memory_order_relaxed);
	return s->share->base;
}

static bool set_trust(SSL *ssl, const struct tls_config *c)
{
	X509_VERIFY_PARAM *vp = SSL_get0_param(ssl);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, tls_on_verify);
	if (!SSL_set1_verify_cert_store(ssl, c->roots->store))
		return false;
	if (c->name_is_ip)
		return X509_VERIFY_PARAM_set1_ip_asc(vp, c->name);
	return X509_VERIFY_PARAM_set1_host(vp, c->name, 0);
}

SSL *tls_config_make_ssl(struct tls_config *c)
{
	SSL *ssl = SSL_new(c->base->ctx);
	if (!ssl)
		return NULL;
	bool ok = true;
	if (c->insecure)
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	else
		ok = set_trust(ssl, c);
	if (ok && c->name[0] && !c->name_is_ip)
		ok = SSL_set_tlsext_host_name(ssl, c->name);
	if (ok && c->leaf)
		ok = SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1) == 1;
	if (ok)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

static err_t fill(struct tls_config *c, const struct tls_spec *s, struct errmsg *m)
{
	if (!s->insecure && !s->roots)
		return errmsg_set(m, ERR_TLS_CONFIG,
		        "no CA to verify the server with; set certificate-authority");
	if (s->roots)
		c->roots = tls_roots_get(s->roots);
	err_t e = set_name(c, s, m);
	if (e == ERR_OK)
		e = load_client(c, s, m);
	if (e != ERR_OK)
		return e;
	c->base = base_for(s);
	if (!c->base)
		return tls_explain_config(
		        ERR_peek_error() ? ERR_TLS_CONFIG : ERR_NO_MEMORY, m, "TLS context");
	/* What a connection could not use is better said now: a key that is too weak, for one. */
	SSL *trial = tls_config_make_ssl(c);
	if (!trial)
		return tls_explain_config(ERR_TLS_CONFIG, m, "client certificate");
	SSL_free(trial);
	return ERR_OK;
}

err_t tls_config_new(struct tls_config **out, const struct tls_spec *spec, struct errmsg *m)
{
	*out = NULL;
	ERR_clear_error();
	struct tls_config *c = calloc(1, sizeof *c + spec->server_name.n + 1);
	if (!c)
		return errmsg_set(m, ERR_NO_MEMORY, "TLS config");
	atomic_init(&c->refs, 1);
	c->insecure = spec->insecure;
	c->records = spec->records;
	c->expiry = INT64_MAX;
	err_t e = fill(c, spec, m);
	if (e != ERR_OK)
		tls_config_put(&c);
	*out = c;
	ERR_clear_error();
	return e;
}

struct tls_config *tls_config_get(struct tls_config *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void tls_config_put(struct tls_config **c)
{
	struct tls_config *x = *c;
	*c = NULL;
	if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	tls_config_drop_tickets(x);
	base_put(x->base);
	X509_free(x->leaf);
	EVP_PKEY_free(x->key);
	sk_X509_pop_free(x->chain, X509_free);
	tls_roots_put(&x->roots);
	free(x);
}

int64_t tls_config_expiry(const struct tls_config *c)
{
	return c->expiry;
}
