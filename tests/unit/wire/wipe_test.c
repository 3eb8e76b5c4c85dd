/* wipe_test.c - of the keys of a connection nothing is left in memory that is given back: not when
 * they change, and not at its end; by OpenSSL neither. */
#include "unit/wire/tls_peer.h"

#include "harness/given_back.h"
#include "wire/tls_priv.h"

enum { KINDS = 4 };

/* The secret of one direction, or its key. */
static const uint8_t *secret_of(const struct tls_conn *c, int kind, size_t *n)
{
	const struct tls_keys *k = kind % 2 ? &c->own->send : &c->own->recv;
	*n = kind < 2 ? c->own->suite->secret_bytes : c->own->suite->key_bytes;
	return kind < 2 ? k->secret : k->key;
}

static void the_keys_of_a_connection_go_with_it(void **state)
{
	static uint8_t secret[TLS_SECRET_BYTES_MAX];
	(void)state;
	for (int i = 0; i < 2 * KINDS; i++) {
		struct peer p;
		size_t n = 0;
		struct tls_config *config = config_for("api.test", scene.roots, false);
		struct link *l = link_new();
		peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
		link_open(l, config, &p);
		link_run(l);
		converse(l);
		assert_non_null(l->c->own);
		memcpy(secret, secret_of(l->c, i % KINDS, &n), sizeof secret);
		given_back_watch(secret, n);
		if (i >= KINDS) { /* new keys in both directions */
			assert_true(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED));
			link_server_writes(l, RESPONSE, strlen(RESPONSE));
			link_run(l);
			assert_memory_not_equal(secret_of(l->c, i % KINDS, &n), secret, n);
		}
		link_free(l);
		peer_fini(&p); /* an SSL object that has the secrets in it to its end */
		assert_int_equal(given_back_with_it, 0);
		given_back_watch(NULL, 0);
		tls_config_put(&config);
	}
}

static void what_openssl_frees_is_wiped(void **state)
{
	(void)state;
	static const char secret[] = "a secret in the middle of a block";
	char *p = OPENSSL_malloc(1000);
	given_back_watch(secret, sizeof secret);
	memcpy(p + 500, secret, sizeof secret);
	p = OPENSSL_realloc(p, 600); /* where it is */
	assert_memory_equal(p + 500, secret, sizeof secret);
	p = OPENSSL_realloc(p, 100000); /* elsewhere */
	assert_memory_equal(p + 500, secret, sizeof secret);
	assert_null(OPENSSL_realloc(p, 0));
	p = OPENSSL_realloc(NULL, 1000);
	memcpy(p, secret, sizeof secret);
	OPENSSL_free(p);
	OPENSSL_free(NULL);
	assert_int_equal(given_back_with_it, 0);
	given_back_watch(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_openssl_frees_is_wiped),
	        cmocka_unit_test(the_keys_of_a_connection_go_with_it),
	};
	if (!tls_wipe_freed())
		return 1;
	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
