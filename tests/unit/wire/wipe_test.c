/* wipe_test.c - of the keys of a connection nothing is left in memory that is given back: not when
 * they change, and not at its end. */
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
		assert_int_equal(given_back_with_it, 0);
		given_back_watch(NULL, 0);
		peer_fini(&p);
		tls_config_put(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_keys_of_a_connection_go_with_it),
	};
	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
