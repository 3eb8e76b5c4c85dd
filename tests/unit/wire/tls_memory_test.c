/* tls, memory: what an idle connection holds, and what happens when the n-th allocation fails, of
 * OpenSSL and of tls.c itself. The scene is that of tls_test.c. */
#include <stdlib.h>

/* Allocations of tls.c and tls_own.c fail when told to; those of OpenSSL have their own switch
 * below. */
static unsigned own_calls, own_fail_at;

static void *own_alloc(void *p)
{
	if (p && ++own_calls == own_fail_at) {
		free(p);
		return NULL;
	}
	return p;
}

#define malloc(n)    own_alloc((malloc)(n))
#define calloc(n, m) own_alloc((calloc)(n, m))
#include "wire/tls.c"
#include "wire/tls_own.c"
#undef malloc
#undef calloc

#include "unit/wire/tls_peer.h"

#include "base/check.h"

/* --- counted memory of OpenSSL, whose n-th allocation can be made to fail -------------------- */

static struct {
	bool on; /* count, and fail */
	size_t live;
	unsigned calls, fail_at; /* 0: never */
} mem;

/* NULL without the address sanitizer. */
__attribute__((weak)) void __lsan_ignore_object(const void *p);

struct mem_head {
	size_t n;
	bool counted;
	char pad[7];
};

static void *mem_alloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (mem.on && ++mem.calls == mem.fail_at)
		return NULL;
	struct mem_head *h = malloc(sizeof *h + n);
	if (!h)
		return NULL;
	*h = (struct mem_head){.n = n, .counted = mem.on};
	if (mem.fail_at && __lsan_ignore_object)
		__lsan_ignore_object(h); /* OpenSSL itself drops some small objects then */
	if (mem.on)
		mem.live += n;
	return h + 1;
}

static void mem_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (!p)
		return;
	struct mem_head *h = (struct mem_head *)p - 1;
	if (h->counted)
		mem.live -= h->n;
	free(h);
}

static void *mem_realloc(void *p, size_t n, const char *file, int line)
{
	if (!p)
		return mem_alloc(n, file, line);
	struct mem_head *h = (struct mem_head *)p - 1;
	void *q = mem_alloc(n, file, line);
	if (q) {
		memcpy(q, p, h->n < n ? h->n : n);
		mem_free(p, file, line);
	}
	return q;
}

/* --- memory ---------------------------------------------------------------------------------- */

static void idle_connection_is_as_small_as_said(void **state)
{
	(void)state;
	static const char *const names[] = {"own", "own by EVP", "OpenSSL's"};
	for (int kind = TLS_RECORDS_OWN; kind <= TLS_RECORDS_OPENSSL; kind++) {
		record_path = (enum tls_records)kind;
		struct tls_config *config = config_for("api.test", scene.roots, false);
		struct peer p;
		struct link *l = link_new();
		peer_init(&p, &scene.server, NULL, 0);
		link_open(l, config, &p); /* once, for what is made only once */
		link_run(l);
		tls_conn_free(&l->c);
		mem.live = 0;
		mem.on = true;
		link_open(l, config, &p);
		link_run(l);
		converse(l);
		/* what is not the connection's: the server, and the sessions that it left */
		SSL_free(p.ssl);
		p.ssl = NULL;
		for (int i = 0; i < TLS_TICKETS_KEPT; i++)
			SSL_SESSION_free(tls_config_take_ticket(config));
		mem.on = false;
		size_t idle = mem.live;
		print_message("%s records, idle: %zu bytes of OpenSSL, tls_bytes %zu\n",
		        names[kind], idle, tls_bytes(l->c));
		if (kind == TLS_RECORDS_OPENSSL) {
			assert_true(idle <= TLS_CONN_BYTES);
			assert_true(idle >= TLS_CONN_BYTES / 2);
		} else {
			assert_true(tls_bytes(l->c) <= TLS_CONN_OWN_BYTES);
			assert_true(idle <= TLS_CONN_OWN_BYTES); /* no SSL object */
			assert_null(l->c->ssl);
		}
		assert_int_equal(tls_take_output(l->c).n, 0);
		link_free(l);
		peer_fini(&p);
		tls_config_put(&config);
	}
	record_path = TLS_RECORDS_OWN;
}

/* The client's side of one connection; the server's allocations do not fail. */
static err_t sweep_once(struct tls_config *config, struct peer *p)
{
	struct tls_conn *c = NULL;
	struct errmsg m;
	char buf[4096];
	size_t n;
	peer_open(p);
	mem.on = true;
	err_t e = tls_conn_new(&c, config, WALL_S, &m);
	for (int turn = 0; e == ERR_OK && turn < 6; turn++) {
		struct span s;
		while ((s = tls_take_output(c)).n > 0) {
			mem.on = false;
			BIO_write(p->in, s.p, (int)s.n);
			mem.on = true;
			tls_output_done(c, s.n);
		}
		mem.on = false;
		peer_step(p);
		if (turn == 3)
			SSL_write(p->ssl, RESPONSE, (int)strlen(RESPONSE));
		char *wire;
		long got = BIO_get_mem_data(p->out, &wire);
		mem.on = true;
		e = tls_feed(c, wire, (size_t)got, 0, &m);
		do {
			if (e == ERR_OK)
				e = tls_read(c, buf, sizeof buf, &n, &m);
		} while (e == ERR_OK && n > 0);
		mem.on = false;
		(void)BIO_reset(p->out);
		mem.on = true;
		if (e == ERR_OK && turn == 2)
			e = tls_write(c, REQUEST, strlen(REQUEST), &m);
	}
	if (e == ERR_OK)
		assert_int_equal(tls_state(c), TLS_OPEN);
	tls_conn_free(&c);
	mem.on = false;
	assert_int_equal(ERR_peek_error(), 0);
	return e;
}

static void failing_allocations_are_survived(void **state)
{
	(void)state;
	struct peer p;
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	SSL_CTX_set_num_tickets(p.ctx, 0);
	struct tls_config *config = config_for("api.test", scene.roots, true);
	peer_demand_client_cert(&p, &scene.ca);
	mem.fail_at = 0;
	assert_int_equal(sweep_once(config, &p), ERR_OK);
	mem.calls = 0;
	assert_int_equal(sweep_once(config, &p), ERR_OK);
	unsigned total = mem.calls, failed = 0;
	assert_true(total > 100);
	for (unsigned at = 1; at <= total; at += 9) {
		mem.calls = 0;
		mem.fail_at = at;
		mem.live = 0;
		err_t e = sweep_once(config, &p);
		mem.fail_at = 0;
		failed += e != ERR_OK;
		/* caches of OpenSSL come and go; a connection would be more than 10 KiB */
		if (mem.live + 1024 > 2048)
			fail_msg("allocation %u of %u: %zu bytes leaked", at, total, mem.live);
		bool tls = e >= ERR_TLS_HANDSHAKE && e <= ERR_TLS_CLIENT_CERT;
		if (e != ERR_OK && e != ERR_NO_MEMORY && !tls)
			fail_msg("allocation %u of %u: %s", at, total, err_name(e));
	}
	print_message("%u allocations, %u failures reported\n", total, failed);
	assert_true(failed > 50); /* OpenSSL does without many of them */
	assert_int_equal(sweep_once(config, &p), ERR_OK);
	tls_config_put(&config);
	peer_fini(&p);
}

static void failing_allocations_of_our_own_too(void **state)
{
	(void)state;
	struct peer p;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	peer_init(&p, &scene.server, NULL, 0);
	own_calls = own_fail_at = 0;
	assert_int_equal(sweep_once(config, &p), ERR_OK);
	unsigned total = own_calls;
	assert_true(total >= 4); /* the connection, and output for two flights and a request */
	for (unsigned at = 1; at <= total; at++) {
		own_calls = 0;
		own_fail_at = at;
		assert_int_equal(sweep_once(config, &p), ERR_NO_MEMORY);
	}
	own_fail_at = 0;
	assert_int_equal(sweep_once(config, &p), ERR_OK);
	tls_config_put(&config);
	peer_fini(&p);
}

static void failing_allocations_of_configs_are_survived(void **state)
{
	(void)state;
	struct span ca = cert_pem(&scene.ca);
	struct tls_spec s = {.server_name = SPAN("127.0.0.1"),
	        .cert_pem = scene.client_pem,
	        .key_pem = scene.client_key};
	unsigned at = 1, failed = 0;
	for (bool done = false; !done; at += 7) {
		struct tls_config *c = NULL;
		struct errmsg m;
		mem.calls = 0;
		mem.live = 0;
		mem.fail_at = at;
		mem.on = true;
		err_t e = tls_roots_new(&s.roots, ca, &m);
		if (e == ERR_OK)
			e = tls_config_new(&c, &s, &m);
		tls_config_put(&c);
		tls_roots_put(&s.roots);
		mem.on = false;
		mem.fail_at = 0;
		done = mem.calls < at;
		failed += e != ERR_OK;
		assert_true(e == ERR_OK || e == ERR_NO_MEMORY || e == ERR_TLS_CONFIG);
		assert_int_equal(ERR_peek_error(), 0);
		if (mem.live + 1024 > 2048)
			fail_msg("allocation %u: %zu bytes leaked", at, mem.live);
	}
	assert_true(failed > 20);
	free((void *)(uintptr_t)ca.p);
}

int main(void)
{
	if (!CRYPTO_set_mem_functions(mem_alloc, mem_realloc, mem_free))
		return 1;
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(idle_connection_is_as_small_as_said),
	        cmocka_unit_test(failing_allocations_are_survived),
	        cmocka_unit_test(failing_allocations_of_our_own_too),
	        cmocka_unit_test(failing_allocations_of_configs_are_survived),
	};
	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
