#include "host/tls.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALID_S (30L * 86400)

struct cert {
	X509 *x;
	EVP_PKEY *key;
};

static void cert_fini(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	*c = (struct cert){0};
}

static bool add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok;
}

static bool set_serial(X509 *x)
{
	BIGNUM *n = BN_new();
	bool ok = n && BN_rand(n, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
	          BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok;
}

/* A certificate for a fresh P-256 key, signed by ca (itself if NULL). The caller adds extensions,
 * then signs. */
static bool make(struct cert *c, const struct cert *ca, const char *org, const char *name)
{
	c->key = EVP_EC_gen("P-256");
	c->x = X509_new();
	if (!c->key || !c->x || !X509_set_version(c->x, 2) || !set_serial(c->x))
		return false;
	X509_gmtime_adj(X509_getm_notBefore(c->x), -300);
	X509_gmtime_adj(X509_getm_notAfter(c->x), VALID_S);
	X509_NAME *n = X509_get_subject_name(c->x);
	if (org && !X509_NAME_add_entry_by_txt(
	                   n, "O", MBSTRING_UTF8, (const unsigned char *)org, -1, -1, 0))
		return false;
	if (!X509_NAME_add_entry_by_txt(
	            n, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0))
		return false;
	return X509_set_pubkey(c->x, c->key) &&
	       X509_set_issuer_name(c->x, ca ? X509_get_subject_name(ca->x) : n);
}

static bool sign(struct cert *c, const struct cert *ca)
{
	return X509_sign(c->x, ca ? ca->key : c->key, EVP_sha256()) > 0;
}

static char *bio_text(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	char *s = malloc((size_t)n + 1);
	if (s) {
		memcpy(s, p, (size_t)n);
		s[n] = 0;
	}
	BIO_free(b);
	return s;
}

static char *cert_pem(X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, x);
	return bio_text(b);
}

static char *key_pem(EVP_PKEY *k)
{
	BIO *b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL);
	return bio_text(b);
}

static bool make_all(struct cert *ca, struct cert *server, struct cert *client, const char *address)
{
	char san[256];
	snprintf(san, sizeof san, "IP:127.0.0.1,DNS:localhost%s%s",
	        strcmp(address, "127.0.0.1") ? ",IP:" : "",
	        strcmp(address, "127.0.0.1") ? address : "");
	return make(ca, NULL, NULL, "fakekube-ca") &&
	       add_ext(ca->x, ca->x, NID_basic_constraints, "critical,CA:TRUE") &&
	       add_ext(ca->x, ca->x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add_ext(ca->x, ca->x, NID_subject_key_identifier, "hash") && sign(ca, NULL) &&
	       make(server, ca, NULL, "fakekube") &&
	       add_ext(server->x, ca->x, NID_subject_alt_name, san) &&
	       add_ext(server->x, ca->x, NID_ext_key_usage, "serverAuth") && sign(server, ca) &&
	       make(client, ca, "system:masters", "admin") &&
	       add_ext(client->x, ca->x, NID_ext_key_usage, "clientAuth") && sign(client, ca);
}

static bool context(struct tls_server *t, const struct cert *ca, const struct cert *server)
{
	t->ctx = SSL_CTX_new(TLS_server_method());
	if (!t->ctx)
		return false;
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(
	        t->ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept here */
	SSL_CTX_set_num_tickets(t->ctx, 1);  /* as Go's server */
	SSL_CTX_set_session_id_context(t->ctx, (const unsigned char *)"fakekube", 8);
	SSL_CTX_set_verify(
	        t->ctx, SSL_VERIFY_PEER, NULL); /* asks for a certificate, goes on without */
	return SSL_CTX_use_certificate(t->ctx, server->x) &&
	       SSL_CTX_use_PrivateKey(t->ctx, server->key) &&
	       X509_STORE_add_cert(SSL_CTX_get_cert_store(t->ctx), ca->x) &&
	       SSL_CTX_add_client_CA(t->ctx, ca->x);
}

bool tls_server_init(struct tls_server *t, const char *address)
{
	*t = (struct tls_server){0};
	struct cert ca = {0}, server = {0}, client = {0};
	bool ok = make_all(&ca, &server, &client, address) && context(t, &ca, &server);
	if (ok) {
		t->ca_pem = cert_pem(ca.x);
		t->client_pem = cert_pem(client.x);
		t->client_key_pem = key_pem(client.key);
		ok = t->ca_pem && t->client_pem && t->client_key_pem;
	}
	cert_fini(&ca);
	cert_fini(&server);
	cert_fini(&client);
	if (!ok)
		fprintf(stderr, "fakekube: certificates cannot be made: %s\n",
		        ERR_error_string(ERR_get_error(), NULL));
	return ok;
}

void tls_server_fini(struct tls_server *t)
{
	SSL_CTX_free(t->ctx);
	free(t->ca_pem);
	free(t->client_pem);
	free(t->client_key_pem);
	*t = (struct tls_server){0};
}

bool tls_server_user(SSL *ssl, char *buf, size_t buf_bytes)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	return x && SSL_get_verify_result(ssl) == X509_V_OK &&
	       X509_NAME_get_text_by_NID(
	               X509_get_subject_name(x), NID_commonName, buf, (int)buf_bytes) > 0;
}
