/* tls_ticket_test.c - what is kept of a session, and the cut that makes it small. */
#include "unit/wire/tls_peer.h"

#include "base/check.h"
#include "wire/tls_priv.h"

/* in, cut of tag A3, out; out_bytes 0: it is no SEQUENCE of whole items. */
struct cut_row {
	const char *what;
	uint8_t in[16];
	size_t in_bytes;
	uint8_t out[16];
	size_t out_bytes;
};

static const struct cut_row cuts[] = {
        {"nothing of that kind", {0x30, 3, 2, 1, 7}, 5, {0x30, 3, 2, 1, 7}, 5},
        {"in the middle", {0x30, 8, 2, 1, 7, 0xA3, 1, 9, 4, 0}, 10, {0x30, 5, 2, 1, 7, 4, 0}, 7},
        {"first and last", {0x30, 8, 0xA3, 1, 9, 4, 0, 0xA3, 1, 9}, 10, {0x30, 2, 4, 0}, 4},
        {"nothing else", {0x30, 3, 0xA3, 1, 9}, 5, {0x30, 0}, 2},
        {"long lengths", {0x30, 0x82, 0, 8, 0xA3, 0x81, 1, 9, 2, 0x81, 1, 5}, 12,
                {0x30, 0x82, 0, 4, 2, 0x81, 1, 5}, 8},
        {"the tag inside of another item stays", {0x30, 5, 4, 3, 0xA3, 1, 9}, 7,
                {0x30, 5, 4, 3, 0xA3, 1, 9}, 7},
        {"no sequence", {0x31, 3, 2, 1, 7}, 5, {0}, 0},
        {"a byte too many", {0x30, 3, 2, 1, 7, 0}, 6, {0}, 0},
        {"a byte missing", {0x30, 3, 2, 1}, 4, {0}, 0},
        {"an item longer than the rest", {0x30, 3, 2, 2, 7}, 5, {0}, 0},
        {"an item without a length", {0x30, 4, 2, 1, 7, 2}, 6, {0}, 0},
        {"indefinite length", {0x30, 0x80, 2, 1, 7, 0, 0}, 7, {0}, 0},
        {"length of nine bytes", {0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 11, {0}, 0},
        {"length cut off", {0x30, 0x82, 0}, 3, {0}, 0},
        {"one byte", {0x30}, 1, {0}, 0},
        {"empty", {0}, 0, {0}, 0},
};

static void an_item_is_cut_out_of_a_sequence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		const struct cut_row *r = &cuts[i];
		uint8_t *der = malloc(r->in_bytes + !r->in_bytes); /* its end is the sanitizer's */
		memcpy(der, r->in, r->in_bytes);
		size_t n = tls_der_cut(der, r->in_bytes, 0xA3);
		if (n != r->out_bytes || (n && memcmp(der, r->out, n) != 0))
			fail_msg("%s: %zu bytes", r->what, n);
		free(der);
	}
}

/* Whatever the bytes are, it stays within them, and what it makes it can read. */
static void any_bytes_are_cut_or_refused(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 200000; seed++) {
		uint8_t bytes[12] = {0x30};
		uint32_t x = seed * 2654435761u;
		for (size_t i = 1; i < sizeof bytes; i++) {
			x = x * 1664525u + 1013904223u;
			bytes[i] = (uint8_t)(x >> 24) % 5 ? (uint8_t)((x >> 16) % 12) : 0xA3;
		}
		bytes[1] = (uint8_t)(sizeof bytes - 2);
		uint8_t *der = malloc(sizeof bytes);
		memcpy(der, bytes, sizeof bytes);
		size_t n = tls_der_cut(der, sizeof bytes, 0xA3);
		assert_true(n <= sizeof bytes);
		if (n)
			assert_int_equal(tls_der_cut(der, n, 0xA3), n);
		free(der);
	}
}

/* Both kinds of session, with and without a client certificate, are small, without the server's
 * certificate, and good for another connection. */
static void what_is_kept_is_small_and_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(versions); i++) {
		bool login = i % 2;
		struct tls_config *config = config_for("api.test", scene.roots, login);
		struct peer p;
		struct link *l = link_new();
		peer_init(&p, &scene.server, NULL, versions[i / 2]);
		if (login) {
			peer_demand_client_cert(&p, &scene.ca);
			SSL_CTX_set_session_id_context(p.ctx, (const unsigned char *)"t", 1);
		}
		link_open(l, config, &p);
		link_run(l);
		converse(l);
		tls_conn_free(&l->c);
		const struct tls_ticket *kept = atomic_load(&config->tickets[0]);
		assert_non_null(kept);
		assert_true(kept->bytes < 2048);
		SSL_SESSION *s = tls_config_take_ticket(config);
		assert_non_null(s);
		assert_null(SSL_SESSION_get0_peer(s));
		tls_config_drop_tickets(config);
		assert_null(tls_config_take_ticket(config));
		tls_config_give_ticket(config, s);
		SSL_SESSION_free(s);
		link_open(l, config, &p);
		link_run(l);
		converse(l);
		assert_true(tls_resumed(l->c));
		link_free(l);
		peer_fini(&p);
		tls_config_put(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_item_is_cut_out_of_a_sequence),
	        cmocka_unit_test(any_bytes_are_cut_or_refused),
	        cmocka_unit_test(what_is_kept_is_small_and_good),
	};
	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
