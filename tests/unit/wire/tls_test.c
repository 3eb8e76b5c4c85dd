/* tls: an OpenSSL server on memory BIOs plays the peer (tls_peer.h). Certificates are made on the
 * spot; wall time is WALL_S. Each call is checked to leave OpenSSL's error queue empty. */
#include "unit/wire/tls_peer.h"

#include "base/check.h"
#include "base/prng.h"

#include <stdio.h>

/* --- good connections ------------------------------------------------------------------------ */

static void good_connection_carries_both_ways_and_closes(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
		struct tls_config *config = config_for("api.test", scene.roots, false);
		struct peer p;
		struct link *l = link_new();
		peer_init(&p, &scene.server, NULL, versions[v]);
		link_open(l, config, &p);
		tls_config_put(&config); /* the connection holds it */
		assert_int_equal(tls_state(l->c), TLS_HANDSHAKING);
		link_run(l);
		assert_string_equal(tls_version(l->c), v ? "TLSv1.3" : "TLSv1.2");
		assert_string_equal(
		        SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), "api.test");
		converse(l);
		SSL_shutdown(p.ssl);
		link_run(l);
		assert_int_equal(tls_state(l->c), TLS_CLOSED_CLEAN);
		struct errmsg m;
		assert_int_equal(tls_eof(l->c, &m), ERR_OK);
		assert_int_equal(tls_write(l->c, "x", 1, &m), ERR_CONN_CLOSED);
		assert_int_equal(tls_feed(l->c, "ignored", 7, 0, &m), ERR_OK);
		assert_int_equal(l->err, ERR_OK);
		link_free(l);
		peer_fini(&p);
	}
}

static void handshake_does_not_depend_on_cuts(void **state)
{
	(void)state;
	struct tls_config *config = config_for("127.0.0.1", scene.roots, true);
	struct peer p;
	struct link *l = link_new();
	for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
		peer_init(&p, &scene.server, NULL, versions[v]);
		SSL_CTX_set_options(p.ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(p.ctx, SSL_SESS_CACHE_OFF);
		peer_demand_client_cert(&p, &scene.ca);
		l->first = 0;
		l->each = 1;
		link_open(l, config, &p);
		link_run(l);
		converse(l);
		size_t flight = l->fed;
		assert_true(flight > 500);
		tls_conn_free(&l->c);
		/* every offset of both flights, in TLS 1.3; every third in 1.2 */
		l->each = 0;
		for (size_t cut = 1; cut < flight; cut += v ? 1 : 3) {
			l->first = cut;
			link_open(l, config, &p);
			link_run(l);
			converse(l);
			tls_conn_free(&l->c);
		}
		peer_fini(&p);
	}
	link_free(l);
	tls_config_put(&config);
}

static void big_bodies_survive_any_cut(void **state)
{
	(void)state;
	enum { BYTES = 60000 };
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	struct prng r = {7};
	char *body = malloc(BYTES);
	for (size_t i = 0; i < BYTES; i++)
		body[i] = (char)prng_next(&r);
	peer_init(&p, &scene.server, NULL, 0);
	for (int round = 0; round < 40; round++) {
		l->each = 0;
		link_open(l, config, &p);
		link_run(l);
		l->each = 1 + prng_below(&r, 20000);
		for (size_t at = 0, n; at < BYTES; at += n) {
			n = 1 + prng_below(&r, 16384);
			if (n > BYTES - at)
				n = BYTES - at;
			link_server_writes(l, body + at, n);
			if (prng_below(&r, 3) == 0)
				link_run(l);
		}
		link_run(l);
		assert_int_equal(l->err, ERR_OK);
		assert_int_equal(l->got_bytes, BYTES);
		assert_memory_equal(l->got, body, BYTES);
		tls_conn_free(&l->c);
	}
	free(body);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

static void small_read_buffers_lose_nothing(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	static char body[5000], got[sizeof body];
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (char)(i * 7);
	peer_init(&p, &scene.server, NULL, 0);
	link_open(l, config, &p);
	link_run(l);
	link_server_writes(l, body, 3000);
	link_server_writes(l, body + 3000, 2000);
	char *wire;
	long n = BIO_get_mem_data(p.out, &wire);
	struct errmsg m;
	assert_int_equal(tls_feed(l->c, wire, (size_t)n, 0, &m), ERR_OK);
	size_t at = 0, one;
	do {
		size_t cap = sizeof got - at < 7 ? sizeof got - at : 7;
		assert_int_equal(tls_read(l->c, got + at, cap, &one, &m), ERR_OK);
		at += one;
	} while (one > 0);
	assert_int_equal(at, sizeof body);
	assert_memory_equal(got, body, sizeof body);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

static void sessions_are_resumed(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
		struct tls_config *config = config_for("api.test", scene.roots, false);
		struct tls_config *stranger = config_for("api.test", scene.roots, false);
		struct peer p;
		struct link *l = link_new();
		peer_init(&p, &scene.server, NULL, versions[v]);
		SSL_CTX_set_num_tickets(p.ctx, 5);
		for (int i = 0; i < 4; i++) {
			link_open(l, config, &p);
			link_run(l);
			converse(l);
			assert_int_equal(tls_resumed(l->c), i > 0);
			tls_conn_free(&l->c);
		}
		link_open(l, stranger, &p); /* tickets are of one config only */
		link_run(l);
		converse(l);
		assert_false(tls_resumed(l->c));
		tls_conn_free(&l->c);
		/* two are kept: of connections opened at the same time, two resume in TLS 1.3 */
		struct link *m = link_new();
		unsigned resumed = 0;
		struct tls_conn *c[3];
		for (int i = 0; i < 3; i++) {
			struct errmsg why;
			assert_int_equal(tls_conn_new(&c[i], config, WALL_S, &why), ERR_OK);
		}
		for (int i = 0; i < 3; i++) {
			peer_open(&p);
			m->p = &p;
			m->c = c[i];
			m->got_bytes = 0;
			link_run(m);
			resumed += tls_resumed(m->c);
			tls_conn_free(&m->c);
		}
		assert_int_equal(resumed, v ? TLS_TICKETS_KEPT : 1);
		link_free(m);
		link_free(l);
		peer_fini(&p);
		tls_config_put(&config);
		tls_config_put(&stranger);
	}
}

static void output_does_not_move_while_it_is_sent(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, 0);
	link_open(l, config, &p);
	link_run(l);
	struct errmsg m;
	char body[3000];
	memset(body, 'q', sizeof body);
	assert_int_equal(tls_write(l->c, body, sizeof body, &m), ERR_OK);
	struct span taken = tls_take_output(l->c);
	char *copy = malloc(taken.n);
	memcpy(copy, taken.p, taken.n);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tls_write(l->c, body, sizeof body, &m), ERR_OK);
	assert_ptr_equal(tls_take_output(l->c).p, taken.p);
	assert_memory_equal(copy, taken.p, taken.n);
	/* sent in odd pieces */
	struct span s;
	while ((s = tls_take_output(l->c)).n > 0) {
		size_t n = s.n < 700 ? s.n : 700;
		BIO_write(p.in, s.p, (int)n);
		tls_output_done(l->c, n);
		peer_step(&p);
	}
	assert_int_equal(p.got_bytes, sizeof p.got); /* 12000 bytes came, its buffer is full */
	free(copy);
	/* the limit: refused whole, and the connection lives on */
	char *much = calloc(1, TLS_OUTPUT_BYTES_MAX);
	assert_int_equal(tls_write(l->c, much, TLS_OUTPUT_BYTES_MAX, &m), ERR_LIMIT);
	assert_int_equal(tls_take_output(l->c).n, 0);
	assert_int_equal(tls_write(l->c, much, TLS_OUTPUT_BYTES_MAX - 4096, &m), ERR_OK);
	assert_int_equal(tls_write(l->c, much, 4096, &m), ERR_LIMIT);
	assert_int_equal(tls_state(l->c), TLS_OPEN);
	assert_true(tls_bytes(l->c) > TLS_OUTPUT_BYTES_MAX - 4096);
	free(much);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* --- broken peers ---------------------------------------------------------------------------- */

/* Answers the ClientHello with these bytes. */
static void answer_raw(const char *bytes, size_t n, size_t each, err_t want, const char *text)
{
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, 0);
	link_open(l, config, &p);
	l->each = each;
	link_feed(l, bytes, n);
	if (l->err != want || !strstr(l->msg.text, text))
		fail_msg("got %s '%s', wanted '%s'", err_name(l->err), l->err ? l->msg.text : "",
		        text);
	assert_int_equal(tls_state(l->c), TLS_FAILED);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

static void garbage_for_a_handshake_is_named(void **state)
{
	(void)state;
#define RAW(s) s, sizeof(s) - 1
	for (size_t each = 0; each < 3; each++) {
		answer_raw(RAW("HTTP/1.1 400 Bad Request\r\n\r\n"), each, ERR_TLS_HANDSHAKE,
		        "speaks plain HTTP");
		answer_raw(RAW("SSH-2.0-OpenSSH_9.2\r\n"), each, ERR_TLS_HANDSHAKE,
		        "does not speak TLS on this port");
		answer_raw(RAW("\x15\x03\x01\x00\x02\x02\x46"), each, ERR_TLS_HANDSHAKE,
		        "alert 'protocol version'; it must speak TLS 1.2");
		answer_raw(RAW("\x15\x03\x03\x00\x02\x02\x70"), each, ERR_TLS_HANDSHAKE,
		        "check tls-server-name");
		answer_raw(RAW("\x15\x03\x03\x00\x02\x02\x28"), each, ERR_TLS_HANDSHAKE,
		        "see the log of the server");
		answer_raw(RAW("\x16\x03\x03\x48\x01"), each, ERR_TLS_HANDSHAKE, "length");
		answer_raw(RAW("\x17\x03\x03\x00\x05hello"), each, ERR_TLS_HANDSHAKE, "");
		answer_raw(RAW("\x16\x03\x03\x00\x04\x0b\x00\x00\x00"), each, ERR_TLS_HANDSHAKE,
		        "unexpected message");
		/* ServerHello that says TLS 1.1 */
		answer_raw(RAW("\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02"
		               "0123456789abcdef0123456789abcdef\x00\xc0\x2f\x00"),
		        each, ERR_TLS_HANDSHAKE, "neither TLS 1.2 nor 1.3");
	}
}

static void endless_handshake_is_stopped(void **state)
{
	(void)state;
	/* HelloRequests are skipped in a handshake (RFC 5246 7.4.1.1), as often as they come */
	static const char record[5 + 16384] = {0x16, 0x03, 0x03, 0x40, 0x00};
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, 0);
	link_open(l, config, &p);
	unsigned records = 0;
	while (l->err == ERR_OK && records++ < 100)
		link_feed(l, record, sizeof record);
	assert_int_equal(l->err, ERR_TLS_HANDSHAKE);
	assert_true(l->fed <= TLS_HANDSHAKE_BYTES_MAX + sizeof record);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

static void old_versions_are_refused(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, TLS1_1_VERSION);
	SSL_CTX_set_cipher_list(p.ctx, "ALL:@SECLEVEL=0");
	link_open(l, config, &p);
	link_run(l);
	assert_int_equal(l->err, ERR_TLS_HANDSHAKE);
	assert_non_null(strstr(l->msg.text, "must speak TLS 1.2 or 1.3"));
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* The last 8 bytes of the random of a server that could do more say so (RFC 8446 4.1.3). */
static void forced_downgrade_is_noticed(void **state)
{
	(void)state;
	const char hello[] = "\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03"
	                     "0123456789abcdef01234567DOWNGRD\x01\x00\xc0\x2f\x00";
	answer_raw(hello, sizeof hello - 1, 0, ERR_TLS_HANDSHAKE, "downgrade was forced");
}

static int pick_h2(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
        unsigned in_bytes, void *arg)
{
	(void)ssl;
	assert_int_equal(in_bytes, 9);
	assert_memory_equal(in, "\x08http/1.1", 9);
	*out = (const unsigned char *)"h2";
	*n = 2;
	return *(int *)arg;
}

static void only_http1_is_agreed_on(void **state)
{
	(void)state;
	static int answers[] = {
	        SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_NOACK};
	static const char *const texts[] = {"TLS handshake failed", "it must speak HTTP/1.1", NULL};
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct tls_config *config = config_for("api.test", scene.roots, false);
		struct peer p;
		struct link *l = link_new();
		peer_init(&p, &scene.server, NULL, 0);
		SSL_CTX_set_alpn_select_cb(p.ctx, pick_h2, &answers[i]);
		link_open(l, config, &p);
		link_run(l);
		assert_int_equal(l->err, texts[i] ? ERR_TLS_HANDSHAKE : ERR_OK);
		if (texts[i])
			if (!strstr(l->msg.text, texts[i]))
				fail_msg("wanted '%s' in '%s'", texts[i], l->msg.text);
		link_free(l);
		peer_fini(&p);
		tls_config_put(&config);
	}
}

static void truncation_is_told_from_a_close(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	struct errmsg m;
	peer_init(&p, &scene.server, NULL, 0);
	link_open(l, config, &p);
	assert_int_equal(tls_eof(l->c, &m), ERR_TLS_TRUNCATED);
	assert_non_null(strstr(m.text, "is this a TLS port?"));
	assert_int_equal(tls_state(l->c), TLS_FAILED);
	tls_conn_free(&l->c);

	link_open(l, config, &p);
	link_feed(l, "\x16\x03\x03", 3);
	assert_int_equal(tls_eof(l->c, &m), ERR_TLS_TRUNCATED);
	assert_non_null(strstr(m.text, "in the handshake"));
	tls_conn_free(&l->c);

	link_open(l, config, &p);
	link_run(l);
	converse(l);
	assert_int_equal(tls_eof(l->c, &m), ERR_TLS_TRUNCATED);
	size_t n;
	char buf[16];
	assert_int_equal(tls_read(l->c, buf, sizeof buf, &n, NULL), ERR_TLS_TRUNCATED);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* Plaintext, then a record that is spoilt: the plaintext comes first, the error next. */
static void spoil(int version, size_t at, char byte, bool append)
{
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, version);
	link_open(l, config, &p);
	link_run(l);
	link_server_writes(l, "good", 4);
	char *wire, bytes[256];
	size_t first = (size_t)BIO_get_mem_data(p.out, &wire);
	link_server_writes(l, "evil", 4);
	size_t n = (size_t)BIO_get_mem_data(p.out, &wire);
	assert_true(n < sizeof bytes && first + at < n);
	memcpy(bytes, wire, n);
	bytes[first + at] = (char)(append ? byte : bytes[first + at] ^ byte);
	struct errmsg m;
	assert_int_equal(tls_feed(l->c, bytes, n, 0, &m), ERR_OK);
	char got[64];
	size_t got_bytes;
	assert_int_equal(tls_read(l->c, got, sizeof got, &got_bytes, &m), ERR_OK);
	assert_int_equal(got_bytes, 4);
	assert_memory_equal(got, "good", 4);
	assert_int_equal(tls_read(l->c, got, sizeof got, &got_bytes, &m), ERR_TLS_RECORD);
	assert_int_equal(got_bytes, 0);
	assert_int_equal(m.code, ERR_TLS_RECORD);
	assert_int_equal(tls_state(l->c), TLS_FAILED);
	assert_int_equal(ERR_peek_error(), 0);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

static void spoilt_records_are_refused(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
		spoil(versions[v], 7, 1, false);    /* cipher text */
		spoil(versions[v], 0, 0x40, false); /* type */
		spoil(versions[v], 1, 0x40, false); /* version */
		spoil(versions[v], 3, 0x7f, true);  /* length over 2^14+256 */
		for (size_t at = 5; at < 20; at++)
			spoil(versions[v], at, (char)0x80, false);
	}
}

static void server_alert_while_open_is_an_error(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, 0);
	link_open(l, config, &p);
	link_run(l);
	BIO_write(p.in, "\x17\x03\x03\x00\x20 this is no record of ours at all", 37);
	peer_step(&p); /* the server finds it spoilt and says so */
	link_run(l);
	assert_int_equal(l->err, ERR_TLS_RECORD);
	assert_non_null(strstr(l->msg.text, "alert 'bad record mac'"));
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* --- KeyUpdate, HelloRequest ----------------------------------------------------------------- */

static void update_keys(struct link *l, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_true(SSL_key_update(l->p->ssl, SSL_KEY_UPDATE_REQUESTED));
		assert_int_equal(SSL_do_handshake(l->p->ssl), 1);
		link_run(l);
	}
}

static void key_updates_are_answered_and_limited(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	link_open(l, config, &p);
	l->now_ns = 1000 * SEC_NS;
	link_run(l);
	update_keys(l, TLS_CONTROL_PER_MIN);
	assert_int_equal(l->err, ERR_OK);
	converse(l); /* with the new keys, both ways */
	l->now_ns += 60 * SEC_NS;
	update_keys(l, TLS_CONTROL_PER_MIN);
	assert_int_equal(l->err, ERR_OK);
	l->now_ns += 60 * SEC_NS - 1;
	update_keys(l, 1);
	assert_int_equal(l->err, ERR_TLS_RECORD);
	assert_non_null(strstr(l->msg.text, "more than 16 KeyUpdate"));
	assert_int_equal(tls_state(l->c), TLS_FAILED);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

static void renegotiation_is_refused(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, TLS1_2_VERSION);
	link_open(l, config, &p);
	link_run(l);
	converse(l);
	assert_true(SSL_renegotiate(p.ssl));
	SSL_do_handshake(p.ssl); /* HelloRequest */
	assert_true(link_receive(l));
	assert_int_equal(tls_state(l->c), TLS_OPEN);
	struct span s = tls_take_output(l->c);
	assert_true(s.n > 5 && s.p[0] == 0x15); /* a warning, no ClientHello */
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* Only what the server makes us answer can get here; requests are refused before. */
static void answers_to_the_server_have_a_limit_too(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	struct errmsg m;
	char *much = calloc(1, TLS_OUTPUT_BYTES_MAX);
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	link_open(l, config, &p);
	link_run(l);
	assert_int_equal(tls_write(l->c, much, TLS_OUTPUT_BYTES_MAX - 4096, &m), ERR_OK);
	while (tls_write(l->c, much, 1, &m) == ERR_OK)
		;
	for (unsigned i = 0; l->err == ERR_OK; i++) {
		assert_true(i < 8);
		assert_true(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED));
		assert_int_equal(SSL_do_handshake(p.ssl), 1);
		assert_true(link_receive(l));
	}
	assert_int_equal(l->err, ERR_LIMIT);
	assert_non_null(strstr(l->msg.text, "wait to be sent"));
	free(much);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good_connection_carries_both_ways_and_closes),
	        cmocka_unit_test(handshake_does_not_depend_on_cuts),
	        cmocka_unit_test(big_bodies_survive_any_cut),
	        cmocka_unit_test(small_read_buffers_lose_nothing),
	        cmocka_unit_test(sessions_are_resumed),
	        cmocka_unit_test(output_does_not_move_while_it_is_sent),
	        cmocka_unit_test(garbage_for_a_handshake_is_named),
	        cmocka_unit_test(endless_handshake_is_stopped),
	        cmocka_unit_test(old_versions_are_refused),
	        cmocka_unit_test(forced_downgrade_is_noticed),
	        cmocka_unit_test(only_http1_is_agreed_on),
	        cmocka_unit_test(truncation_is_told_from_a_close),
	        cmocka_unit_test(spoilt_records_are_refused),
	        cmocka_unit_test(server_alert_while_open_is_an_error),
	        cmocka_unit_test(key_updates_are_answered_and_limited),
	        cmocka_unit_test(renegotiation_is_refused),
	        cmocka_unit_test(answers_to_the_server_have_a_limit_too),
	};
	int failed = cmocka_run_group_tests_name("own records", tests, scene_open, scene_close);
	record_path = TLS_RECORDS_OPENSSL;
	return failed +
	       cmocka_run_group_tests_name("OpenSSL's records", tests, scene_open, scene_close);
}
