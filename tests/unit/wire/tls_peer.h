/* tls_peer.h - what the TLS tests stand on: certificates made on the spot, and an OpenSSL server on
 * memory BIOs that plays the peer of one tls_conn. All functions fail the running test on any error
 * of their own. */
#ifndef KR_TESTS_UNIT_WIRE_TLS_PEER_H
#define KR_TESTS_UNIT_WIRE_TLS_PEER_H

#include "wire/tls.h"

#include "base/check.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WALL_S INT64_C(1800000000) /* the time of all tests */
#define DAY_S  INT64_C(86400)
#define SEC_NS UINT64_C(1000000000)

/* --- certificates ---------------------------------------------------------------------------- */

struct cert {
	X509 *x;
	EVP_PKEY *key;
};

struct cert_spec {
	const char *cn;
	const char *san;           /* "DNS:a,IP:127.0.0.1"; NULL: none */
	const char *eku;           /* NULL: serverAuth,clientAuth */
	const char *constraints;   /* name constraints of a CA */
	const struct cert *issuer; /* NULL: self-signed */
	const EVP_MD *md;          /* NULL: SHA-256 */
	int64_t from_s, to_s;      /* around WALL_S; 0, 0: -1 to +30 days */
	unsigned rsa_bits;         /* 0: P-256 */
	bool ca;
	ASN1_STRING *raw_dns; /* a DNS name as it is, for names with NUL */
};

static inline void cert_extend(X509 *x, const struct cert *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer->x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_true(X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

static inline void cert_raw_dns(X509 *x, ASN1_STRING *name)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *g = GENERAL_NAME_new();
	GENERAL_NAME_set0_value(g, GEN_DNS, name);
	sk_GENERAL_NAME_push(names, g);
	assert_true(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0));
	GENERAL_NAMES_free(names);
}

static inline struct cert cert_make(const struct cert_spec *s)
{
	static long serial = 1;
	struct cert c = {X509_new(), s->rsa_bits ? EVP_RSA_gen(s->rsa_bits) : EVP_EC_gen("P-256")};
	assert_non_null(c.x);
	assert_non_null(c.key);
	const struct cert *issuer = s->issuer ? s->issuer : &c;
	bool dated = s->from_s != 0 || s->to_s != 0;
	X509_set_version(c.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
	ASN1_TIME_set(X509_getm_notBefore(c.x), (time_t)(WALL_S + (dated ? s->from_s : -DAY_S)));
	ASN1_TIME_set(X509_getm_notAfter(c.x), (time_t)(WALL_S + (dated ? s->to_s : 30 * DAY_S)));
	X509_set_pubkey(c.x, c.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_UTF8,
	        (const unsigned char *)s->cn, -1, -1, 0);
	X509_set_issuer_name(c.x, X509_get_subject_name(issuer->x));
	cert_extend(c.x, issuer, NID_basic_constraints,
	        s->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	cert_extend(c.x, issuer, NID_subject_key_identifier, "hash");
	if (s->ca)
		cert_extend(c.x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	else
		cert_extend(
		        c.x, issuer, NID_ext_key_usage, s->eku ? s->eku : "serverAuth,clientAuth");
	if (s->san)
		cert_extend(c.x, issuer, NID_subject_alt_name, s->san);
	if (s->raw_dns)
		cert_raw_dns(c.x, s->raw_dns);
	if (s->constraints)
		cert_extend(c.x, issuer, NID_name_constraints, s->constraints);
	assert_true(X509_sign(c.x, issuer->key, s->md ? s->md : EVP_sha256()) > 0);
	return c;
}

static inline void cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	*c = (struct cert){0};
}

static inline struct span bio_take(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	char *copy = malloc((size_t)n + 1);
	assert_non_null(copy);
	memcpy(copy, p, (size_t)n);
	copy[n] = 0;
	BIO_free(b);
	return (struct span){copy, (size_t)n};
}

/* The caller frees span.p. */
static inline struct span cert_pem(const struct cert *c)
{
	BIO *b = BIO_new(BIO_s_mem());
	assert_true(PEM_write_bio_X509(b, c->x));
	return bio_take(b);
}

static inline struct span cert_key_pem(const struct cert *c, const char *password)
{
	BIO *b = BIO_new(BIO_s_mem());
	const EVP_CIPHER *cipher = password ? EVP_aes_128_cbc() : NULL;
	assert_true(PEM_write_bio_PKCS8PrivateKey(
	        b, c->key, cipher, password, password ? (int)strlen(password) : 0, NULL, NULL));
	return bio_take(b);
}

static inline struct tls_roots *roots_of(const struct cert *c)
{
	struct span pem = cert_pem(c);
	struct tls_roots *r;
	struct errmsg m;
	assert_int_equal(tls_roots_new(&r, pem, &m), ERR_OK);
	free((void *)(uintptr_t)pem.p);
	return r;
}

/* --- the server ------------------------------------------------------------------------------ */

struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	char got[8192]; /* plaintext of the client */
	size_t got_bytes;
};

/* chain: certificates sent behind cert, NULL-terminated, may be NULL. */
static inline void peer_init(
        struct peer *p, const struct cert *cert, const struct cert *const *chain, int version)
{
	memset(p, 0, sizeof *p);
	p->ctx = SSL_CTX_new(TLS_server_method());
	assert_non_null(p->ctx);
	SSL_CTX_set_security_level(p->ctx, 0);
	assert_true(SSL_CTX_use_certificate(p->ctx, cert->x));
	assert_true(SSL_CTX_use_PrivateKey(p->ctx, cert->key));
	for (; chain && *chain; chain++)
		assert_true(SSL_CTX_add1_chain_cert(p->ctx, (*chain)->x));
	if (version) {
		SSL_CTX_set_min_proto_version(p->ctx, version);
		SSL_CTX_set_max_proto_version(p->ctx, version);
	}
	SSL_CTX_set_session_id_context(p->ctx, (const unsigned char *)"t", 1);
	X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(p->ctx), (time_t)WALL_S);
}

/* A new connection of the same server. */
static inline void peer_open(struct peer *p)
{
	SSL_free(p->ssl);
	p->ssl = SSL_new(p->ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_accept_state(p->ssl);
	p->got_bytes = 0;
}

static inline void peer_fini(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	ERR_clear_error();
}

static inline void peer_demand_client_cert(struct peer *p, const struct cert *ca)
{
	X509_STORE_add_cert(SSL_CTX_get_cert_store(p->ctx), ca->x);
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

/* Lets the server work on what has come in. */
static inline void peer_step(struct peer *p)
{
	if (!SSL_is_init_finished(p->ssl))
		SSL_do_handshake(p->ssl);
	int n = 0;
	if (SSL_is_init_finished(p->ssl))
		while (p->got_bytes < sizeof p->got &&
		        (n = SSL_read(p->ssl, p->got + p->got_bytes,
		                 (int)(sizeof p->got - p->got_bytes))) > 0)
			p->got_bytes += (size_t)n;
	ERR_clear_error();
}

/* --- both ------------------------------------------------------------------------------------ */

struct link {
	struct tls_conn *c;
	struct peer *p;
	size_t first, each; /* size of the first piece and of each further one from the server; 0:
	                       no cut */
	uint64_t now_ns;
	err_t err; /* first error of the client */
	struct errmsg msg;
	char got[65536]; /* plaintext from the server */
	size_t got_bytes;
	size_t fed;
};

static inline void link_note(struct link *l, err_t e)
{
	assert_int_equal(ERR_peek_error(), 0); /* the queue is empty after each call */
	if (e != ERR_OK && l->err == ERR_OK)
		l->err = e;
}

static inline void link_drain(struct link *l)
{
	size_t n;
	struct errmsg m;
	do {
		err_t e =
		        tls_read(l->c, l->got + l->got_bytes, sizeof l->got - l->got_bytes, &n, &m);
		if (e != ERR_OK && l->err == ERR_OK)
			l->msg = m;
		link_note(l, e);
		l->got_bytes += n;
	} while (n > 0 && l->got_bytes < sizeof l->got);
}

/* Feeds from memory of exactly the size, for the address sanitizer. */
static inline void link_feed(struct link *l, const char *p, size_t n)
{
	while (n > 0) {
		size_t piece = l->fed == 0 && l->first ? l->first : l->each;
		if (piece == 0 || piece > n)
			piece = n;
		char *copy = malloc(piece);
		assert_non_null(copy);
		memcpy(copy, p, piece);
		struct errmsg m;
		err_t e = tls_feed(l->c, copy, piece, l->now_ns, &m);
		if (e != ERR_OK && l->err == ERR_OK)
			l->msg = m;
		link_note(l, e);
		link_drain(l);
		memset(copy, 0xEE, piece);
		free(copy);
		p += piece;
		n -= piece;
		l->fed += piece;
	}
}

/* The client's output to the server; true if there was any. */
static inline bool link_send(struct link *l)
{
	bool any = false;
	struct span s;
	while ((s = tls_take_output(l->c)).n > 0) {
		assert_int_equal(BIO_write(l->p->in, s.p, (int)s.n), s.n);
		tls_output_done(l->c, s.n);
		any = true;
	}
	return any;
}

/* The server's output to the client; true if there was any. */
static inline bool link_receive(struct link *l)
{
	char *p;
	long n = BIO_get_mem_data(l->p->out, &p);
	if (n <= 0)
		return false;
	char *copy = malloc((size_t)n);
	assert_non_null(copy);
	memcpy(copy, p, (size_t)n);
	(void)BIO_reset(l->p->out);
	link_feed(l, copy, (size_t)n);
	free(copy);
	return true;
}

/* Until both are silent. */
static inline void link_run(struct link *l)
{
	bool any = true;
	for (int turns = 0; any; turns++) {
		assert_true(turns < 100);
		any = link_send(l);
		peer_step(l->p);
		any |= link_receive(l);
	}
}

static inline void link_open(struct link *l, struct tls_config *config, struct peer *p)
{
	peer_open(p);
	l->p = p;
	l->err = ERR_OK;
	l->got_bytes = l->fed = 0;
	struct errmsg m;
	assert_int_equal(tls_conn_new(&l->c, config, WALL_S, &m), ERR_OK);
	assert_int_equal(ERR_peek_error(), 0);
}

static inline void link_server_writes(struct link *l, const char *data, size_t n)
{
	assert_int_equal(SSL_write(l->p->ssl, data, (int)n), n);
}

/* --- the scene: one CA, one good server, one client certificate ------------------------------ */

static struct {
	struct cert ca, other_ca, mid_ca, narrow_ca, leaf_ca, server, client;
	struct tls_roots *roots;
	struct span client_pem, client_key;
} scene;

static inline int scene_open(void **state)
{
	(void)state;
	scene.ca = cert_make(&(struct cert_spec){.cn = "test ca", .ca = true});
	scene.other_ca = cert_make(&(struct cert_spec){.cn = "other ca", .ca = true});
	scene.mid_ca =
	        cert_make(&(struct cert_spec){.cn = "mid ca", .ca = true, .issuer = &scene.ca});
	scene.narrow_ca = cert_make(&(struct cert_spec){.cn = "narrow ca",
	        .ca = true,
	        .constraints = "permitted;DNS:only.test",
	        .issuer = &scene.ca});
	scene.leaf_ca = cert_make(&(struct cert_spec){.cn = "no ca", .issuer = &scene.ca});
	scene.server = cert_make(&(struct cert_spec){.cn = "ignored",
	        .san = "DNS:api.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1",
	        .issuer = &scene.ca});
	scene.client = cert_make(&(struct cert_spec){
	        .cn = "jane", .issuer = &scene.ca, .from_s = -DAY_S, .to_s = 7 * DAY_S});
	scene.roots = roots_of(&scene.ca);
	scene.client_pem = cert_pem(&scene.client);
	scene.client_key = cert_key_pem(&scene.client, NULL);
	return 0;
}

static inline int scene_close(void **state)
{
	(void)state;
	cert_free(&scene.ca);
	cert_free(&scene.other_ca);
	cert_free(&scene.mid_ca);
	cert_free(&scene.narrow_ca);
	cert_free(&scene.leaf_ca);
	cert_free(&scene.server);
	cert_free(&scene.client);
	tls_roots_put(&scene.roots);
	free((void *)(uintptr_t)scene.client_pem.p);
	free((void *)(uintptr_t)scene.client_key.p);
	return 0;
}

/* Which record path config_for() asks for. */
static enum tls_records record_path = TLS_RECORDS_OWN;

static inline struct tls_config *config_for(
        const char *name, struct tls_roots *roots, bool client_cert)
{
	struct tls_spec s = {.roots = roots, .server_name = span_of(name), .records = record_path};
	if (client_cert) {
		s.cert_pem = scene.client_pem;
		s.key_pem = scene.client_key;
	}
	struct tls_config *c;
	struct errmsg m;
	if (tls_config_new(&c, &s, &m) != ERR_OK)
		fail_msg("%s", m.text);
	return c;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define REQUEST  "GET / HTTP/1.1\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\n\r\n"

static inline void converse(struct link *l)
{
	struct errmsg m;
	assert_int_equal(tls_state(l->c), TLS_OPEN);
	assert_int_equal(tls_write(l->c, REQUEST, strlen(REQUEST), &m), ERR_OK);
	link_run(l);
	assert_int_equal(l->p->got_bytes, strlen(REQUEST));
	assert_memory_equal(l->p->got, REQUEST, strlen(REQUEST));
	size_t before = l->got_bytes;
	link_server_writes(l, RESPONSE, strlen(RESPONSE));
	link_run(l);
	assert_int_equal(l->got_bytes - before, strlen(RESPONSE));
	assert_memory_equal(l->got + before, RESPONSE, strlen(RESPONSE));
	assert_int_equal(l->err, ERR_OK);
}

static inline struct link *link_new(void) /* too big for the stack */
{
	struct link *l = calloc(1, sizeof *l);
	assert_non_null(l);
	return l;
}

static inline void link_free(struct link *l)
{
	tls_conn_free(&l->c);
	assert_null(l->c);
	free(l);
}

#endif
