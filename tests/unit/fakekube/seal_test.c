/* host/seal.c: an OpenSSL client reads the records made there as if OpenSSL had made them. */
#include "host/seal.h"

#include "base/check.h"

#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- two ends on memory ---------------------------------------------------------------------- */

struct pair {
	SSL_CTX *client_ctx, *server_ctx;
	SSL *client, *server;
	BIO *to_client, *to_server; /* borrow */
	struct seal *seal;
};

static void certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	assert_true(key && x);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	assert_true(X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()) > 0);
	assert_true(SSL_CTX_use_certificate(ctx, x) && SSL_CTX_use_PrivateKey(ctx, key));
	X509_free(x);
	EVP_PKEY_free(key);
}

static void pair_open(struct pair *p, int version, const char *suite)
{
	*p = (struct pair){.client_ctx = SSL_CTX_new(TLS_client_method()),
	        .server_ctx = SSL_CTX_new(TLS_server_method())};
	certify(p->server_ctx);
	assert_true(SSL_CTX_set_max_proto_version(p->client_ctx, version));
	assert_true(SSL_CTX_set_ciphersuites(p->client_ctx, suite));
	seal_enable(p->server_ctx);
	p->client = SSL_new(p->client_ctx);
	p->server = SSL_new(p->server_ctx);
	p->to_client = BIO_new(BIO_s_mem());
	p->to_server = BIO_new(BIO_s_mem());
	BIO_up_ref(p->to_client);
	BIO_up_ref(p->to_server);
	SSL_set_bio(p->client, p->to_client, p->to_server);
	SSL_set_bio(p->server, p->to_server, p->to_client);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
	p->seal = seal_watch(p->server);
	for (int i = 0;
	        i < 10 && !(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server));
	        i++) {
		SSL_do_handshake(p->client);
		SSL_do_handshake(p->server);
	}
	assert_true(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server));
}

static void pair_close(struct pair *p)
{
	seal_unwatch(p->server);
	seal_free(&p->seal);
	SSL_free(p->client);
	SSL_free(p->server);
	SSL_CTX_free(p->client_ctx);
	SSL_CTX_free(p->server_ctx);
}

/* What the client makes of a record with n bytes of data. */
static void send_data(struct pair *p, size_t n)
{
	static char plain[SEAL_PLAIN_MAX], read[SEAL_PLAIN_MAX + 1];
	static unsigned char record[SEAL_RECORD_MAX];
	for (size_t i = 0; i < n; i++)
		plain[i] = (char)(i * 31 + n);
	size_t bytes = seal_record(p->seal, SEAL_DATA, (struct span){plain, n}, record);
	assert_int_equal(bytes, n + 5 + 1 + 16);
	assert_int_equal(BIO_write(p->to_client, record, (int)bytes), bytes);
	assert_int_equal(SSL_read(p->client, read, sizeof read), n);
	assert_memory_equal(read, plain, n);
}

/* --- */

static void records(const char *suite)
{
	struct pair p;
	pair_open(&p, TLS1_3_VERSION, suite);
	assert_true(seal_take_over(p.seal, p.server));
	static const size_t sizes[] = {1, 2, 15, 16, 17, 1000, 3632, SEAL_PLAIN_MAX};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		send_data(&p, sizes[i]);
	for (int i = 0; i < 300; i++) /* the second byte of the sequence number, too */
		send_data(&p, 40);
	assert_false(seal_broken(p.seal));

	/* RFC 8446 6.1: close_notify is a warning (1), number 0. */
	static unsigned char record[SEAL_RECORD_MAX];
	char byte;
	size_t n = seal_record(p.seal, SEAL_ALERT, (struct span){"\1\0", 2}, record);
	assert_int_equal(BIO_write(p.to_client, record, (int)n), n);
	assert_int_equal(
	        SSL_get_error(p.client, SSL_read(p.client, &byte, 1)), SSL_ERROR_ZERO_RETURN);
	pair_close(&p);
}

static void a_client_reads_them(void **state)
{
	(void)state;
	records("TLS_AES_128_GCM_SHA256");
	records("TLS_AES_256_GCM_SHA384");
}

static void what_openssl_has_sent_counts(void **state)
{
	(void)state;
	struct pair p;
	char read[8];
	pair_open(&p, TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256");
	assert_int_equal(SSL_write(p.server, "before", 6), 6);
	assert_int_equal(SSL_read(p.client, read, sizeof read), 6);
	assert_true(seal_take_over(p.seal, p.server));
	send_data(&p, 100);
	pair_close(&p);
}

static void others_stay_with_openssl(void **state)
{
	(void)state;
	struct pair p;
	pair_open(&p, TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256");
	assert_false(seal_take_over(p.seal, p.server));
	pair_close(&p);
	pair_open(&p, TLS1_2_VERSION, "TLS_AES_128_GCM_SHA256");
	assert_false(seal_take_over(p.seal, p.server));
	pair_close(&p);
}

static void an_answer_to_a_key_update_breaks_it(void **state)
{
	(void)state;
	struct pair p;
	char read[8];
	pair_open(&p, TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256");
	assert_true(seal_take_over(p.seal, p.server));
	send_data(&p, 100);
	assert_true(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED));
	assert_int_equal(SSL_write(p.client, "hello", 5), 5);
	assert_int_equal(SSL_read(p.server, read, sizeof read), 5);
	SSL_write(p.server, "x", 1); /* with it goes OpenSSL's own update */
	assert_true(seal_broken(p.seal));
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_client_reads_them),
	        cmocka_unit_test(what_openssl_has_sent_counts),
	        cmocka_unit_test(others_stay_with_openssl),
	        cmocka_unit_test(an_answer_to_a_key_update_breaks_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
