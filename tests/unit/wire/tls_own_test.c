/* tls_own: the own record path beside OpenSSL's, on the same bytes (tls_twins.h): the same
 * plaintext, the same error, and the same bytes sent, alerts and answers included. Then the taking
 * over itself, with a real server. */
#include "unit/wire/tls_peer.h"
#include "unit/wire/tls_twins.h"

#include "base/prng.h"

#include <stdio.h>

enum { WIRE_BYTES = 1 << 18, KINDS = 6 };

static const struct kind {
	uint16_t suite;
	enum tls_records own;
} kinds[KINDS] = {
        {0x1301, TLS_RECORDS_OWN},
        {0x1302, TLS_RECORDS_OWN},
        {0x1303, TLS_RECORDS_OWN},
        {0x1301, TLS_RECORDS_EVP},
        {0x1302, TLS_RECORDS_EVP},
        {0x1303, TLS_RECORDS_EVP},
};

static struct twins twins[KINDS];
static uint8_t wire[WIRE_BYTES];
static size_t wire_bytes;

static int open_all(void **state)
{
	scene_open(state);
	for (int i = 0; i < KINDS; i++)
		twins_init(
		        &twins[i], scene.server.x, scene.server.key, kinds[i].suite, kinds[i].own);
	return 0;
}

static int close_all(void **state)
{
	for (int i = 0; i < KINDS; i++)
		twins_fini(&twins[i]);
	return scene_close(state);
}

/* Adds a record to wire. */
static void add(struct twins *t, uint8_t type, const void *content, size_t n, size_t padding)
{
	uint8_t *inner = calloc(1, n + 1 + padding);
	if (n > 0)
		memcpy(inner, content, n);
	inner[n] = type;
	assert_true(wire_bytes + n + padding + 22 <= sizeof wire);
	wire_bytes += twins_seal(t, inner, n + 1 + padding, wire + wire_bytes);
	free(inner);
}

#define ADD(t, type, literal) add(t, type, literal, sizeof(literal) - 1, 0)
#define DATA                  23
#define HANDSHAKE             22
#define ALERT                 21
#define TICKET                "\x04\x00\x00\x12\x00\x00\x0e\x10zzzz\x01n\x00\x04tick\x00\x00"

static void add_update(struct twins *t, bool asked)
{
	const uint8_t message[] = {24, 0, 0, 1, asked};
	add(t, HANDSHAKE, message, sizeof message, 0);
	twins_update(t);
}

static void start(struct twins *t)
{
	twins_open(t);
	wire_bytes = 0;
}

/* OpenSSL answers a KeyUpdate with the next thing that it sends, we at once: let both send. */
static void settle(struct twins *t)
{
	twins_write(t, "x", 1);
}

static void compare(struct twins *t, const char *what)
{
	settle(t);
	const struct twin_side *a = &t->side[0], *b = &t->side[1];
	if (!twins_agree(t))
		fail_msg("%s, suite %x: %s '%s' state %d, %zu read, %zu sent; OpenSSL %s '%s' "
		         "state %d, %zu read, %zu sent",
		        what, t->suite, err_name(a->err), a->err ? a->msg.text : "",
		        tls_state(a->c), a->got_bytes, a->sent_bytes, err_name(b->err),
		        b->err ? b->msg.text : "", tls_state(b->c), b->got_bytes, b->sent_bytes);
}

/* Feeds wire and wants this to be the end of it for both. */
static void feed(struct twins *t, const char *what, err_t want)
{
	twins_feed(t, wire, wire_bytes, 0, 0);
	compare(t, what);
	if (t->side[0].err != want)
		fail_msg("%s: %s, wanted %s", what, err_name(t->side[0].err), err_name(want));
}

/* --- good records ---------------------------------------------------------------------------- */

static void records_of_every_size(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 31, 255, 256, 1208, 3632, 8191, 16383,
	        16384},
	                    paddings[] = {0, 1, 17, 239};
	static uint8_t body[16384];
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i * 31 >> 3);
	for (int k = 0; k < KINDS; k++) {
		struct twins *t = &twins[k];
		size_t want = 0;
		start(t);
		for (size_t p = 0; p < ARRAY_LEN(paddings); p++) {
			wire_bytes = 0;
			for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
				add(t, DATA, body, sizes[i], paddings[p]);
				want += sizes[i];
			}
			feed(t, "sizes", ERR_OK);
		}
		assert_int_equal(t->side[0].got_bytes, want);
	}
}

/* A run with everything in it that a good server may send. */
static void add_short_run(struct twins *t)
{
	static const char ticket[] = TICKET;
	wire_bytes = 0;
	ADD(t, DATA, "hello");
	ADD(t, HANDSHAKE, TICKET);
	ADD(t, DATA, "");
	add(t, DATA, "padded", 6, 9);
	add_update(t, false);
	ADD(t, DATA, "by the second key");
	ADD(t, HANDSHAKE, TICKET TICKET);
	add_update(t, true);
	ADD(t, ALERT, "\x01\x5a"); /* user_canceled */
	ADD(t, DATA, "by the third");
	add(t, HANDSHAKE, ticket, 3, 0); /* a ticket over three records */
	add(t, HANDSHAKE, ticket + 3, 7, 0);
	add(t, HANDSHAKE, ticket + 10, sizeof ticket - 11, 0);
	ADD(t, DATA, "end");
	ADD(t, ALERT, "\x01\x00");
	ADD(t, DATA, "after the end");
}

static void cuts_at_every_offset(void **state)
{
	(void)state;
	for (int k = 0; k < KINDS; k++) {
		struct twins *t = &twins[k];
		size_t caps[] = {65536, 7};
		start(t);
		add_short_run(t);
		size_t n = wire_bytes, step = k < 1 ? 1 : 17;
		for (size_t cut = 0; cut < n; cut += step) {
			start(t);
			add_short_run(t);
			t->read_cap = caps[cut & 1];
			twins_feed(t, wire, wire_bytes, cut, cut == 0 ? 1 : 0);
			compare(t, "cut");
			assert_int_equal(tls_state(t->side[0].c), TLS_CLOSED_CLEAN);
			assert_int_equal(t->side[0].got_bytes, 5 + 6 + 17 + 12 + 3);
			assert_true(t->side[0].sent_bytes > 0); /* the answer to the KeyUpdate */
		}
		t->read_cap = 65536;
	}
}

static void long_runs_in_random_pieces(void **state)
{
	(void)state;
	static uint8_t body[16384];
	struct prng r = {11};
	for (int round = 0; round < 12; round++) {
		struct twins *t = &twins[round % KINDS];
		start(t);
		t->read_cap = prng_below(&r, 2) ? 65536 : 1 + prng_below(&r, 20000);
		size_t want = 0;
		while (wire_bytes < 180000) {
			size_t n = prng_below(&r, 4) ? 3632 : prng_below(&r, sizeof body);
			for (size_t i = 0; i < n; i++)
				body[i] = (uint8_t)prng_next(&r);
			add(t, DATA, body, n, prng_below(&r, 5) ? 0 : prng_below(&r, 240));
			want += n;
			if (prng_below(&r, 20) == 0)
				add_update(t, prng_below(&r, 2));
			if (prng_below(&r, 10) == 0)
				ADD(t, HANDSHAKE, TICKET);
		}
		for (size_t at = 0, n; at < wire_bytes; at += n) {
			n = 1 + prng_below(&r, prng_below(&r, 2) ? 100 : 40000);
			if (n > wire_bytes - at)
				n = wire_bytes - at;
			twins_feed(t, wire + at, n, 0, 0);
			if (prng_below(&r, 4) == 0)
				twins_write(t, (const char *)body, 1 + prng_below(&r, 300));
		}
		compare(t, "long");
		assert_int_equal(t->side[0].err, ERR_OK);
		assert_int_equal(t->side[0].got_bytes, want);
		t->read_cap = 65536;
	}
}

/* --- bad records ----------------------------------------------------------------------------- */

static void every_bit_counts(void **state)
{
	(void)state;
	for (int k = 0; k < KINDS; k++) {
		struct twins *t = &twins[k];
		for (size_t bit = 0; bit < (5 + 9 + 16) * 8; bit += k < 1 ? 1 : 11) {
			start(t);
			ADD(t, DATA, "good");
			size_t first = wire_bytes;
			ADD(t, DATA, "evil one");
			assert_int_equal(wire_bytes - first, 5 + 9 + 16);
			wire[first + bit / 8] ^= (uint8_t)(1u << bit % 8);
			t->side[0].may_touch = false;
			/* a longer length waits for more */
			memset(wire + wire_bytes, 0, 17000);
			wire_bytes += 17000;
			feed(t, "bit", ERR_TLS_RECORD);
			assert_int_equal(t->side[0].got_bytes, 4);
			assert_memory_equal(t->side[0].got, "good", 4);
			assert_int_equal(tls_state(t->side[0].c), TLS_FAILED);
		}
	}
}

struct bad {
	const char *what;
	err_t want;
	void (*make)(struct twins *t);
};

static const uint8_t zeros[17000];

static void bad_type(struct twins *t)
{
	ADD(t, 24, "x");
}
static void bad_ccs_inside(struct twins *t)
{
	ADD(t, 20, "\x01");
}
static void bad_all_zero(struct twins *t)
{
	add(t, 0, zeros, 40, 3);
}
static void bad_too_long(struct twins *t)
{
	add(t, DATA, memset(wire + 200000, 'x', 16385), 16385, 0);
}
static void bad_way_too_long(struct twins *t)
{
	add(t, DATA, zeros, 16624, 1);
}
static void bad_no_type(struct twins *t)
{
	wire_bytes += twins_seal(t, zeros, 0, wire + wire_bytes);
}
static void bad_no_tag(struct twins *t)
{
	(void)t;
	memcpy(wire + wire_bytes,
	        "\x17\x03\x03\x00\x0f"
	        "123456789012345",
	        20);
	wire_bytes += 20;
}
static void bad_empty_record(struct twins *t)
{
	(void)t;
	memcpy(wire + wire_bytes, "\x17\x03\x03\x00\x00", 5);
	wire_bytes += 5;
}
static void bad_plain_ccs(struct twins *t)
{
	(void)t;
	memcpy(wire + wire_bytes, "\x14\x03\x03\x00\x01\x01", 6);
	wire_bytes += 6;
}
static void bad_plain_alert(struct twins *t)
{
	(void)t;
	memcpy(wire + wire_bytes, "\x15\x03\x03\x00\x02\x01\x00", 7);
	wire_bytes += 7;
}
static void bad_empty_handshake(struct twins *t)
{
	ADD(t, HANDSHAKE, "");
}
static void bad_empty_alert(struct twins *t)
{
	ADD(t, ALERT, "");
}
static void bad_short_alert(struct twins *t)
{
	ADD(t, ALERT, "\x01");
}
static void bad_long_alert(struct twins *t)
{
	ADD(t, ALERT, "\x01\x00\x00");
}
static void good_empties(struct twins *t)
{
	for (int i = 0; i < 32; i++)
		ADD(t, DATA, "");
	ADD(t, DATA, "x");
	for (int i = 0; i < 32; i++)
		ADD(t, DATA, "");
}
static void bad_empties(struct twins *t)
{
	good_empties(t);
	ADD(t, DATA, "");
}
static void good_cancels(struct twins *t)
{
	for (int i = 0; i < 8; i++) {
		ADD(t, ALERT, "\x01\x5a");
		if (i == 3)
			ADD(t, DATA, "x");
	}
}
static void bad_cancels(struct twins *t)
{
	good_cancels(t);
	ADD(t, ALERT, "\x01\x5a");
}
static void bad_alert_failure(struct twins *t)
{
	ADD(t, ALERT, "\x02\x28");
}
static void bad_alert_warning(struct twins *t)
{
	ADD(t, ALERT, "\x01\x28");
}
static void bad_alert_cert(struct twins *t)
{
	ADD(t, ALERT, "\x02\x74");
}
static void good_fatal_close(struct twins *t)
{
	ADD(t, ALERT, "\x02\x00");
}
static void bad_update_not_last(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x18\x00\x00\x01\x00" TICKET);
}
static void bad_update_kind(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x18\x00\x00\x01\x02");
}
static void bad_update_long(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x18\x00\x00\x02\x00\x00");
}
static void bad_update_empty(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x18\x00\x00\x00");
}
static void bad_update_old_key(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x18\x00\x00\x01\x00");
	ADD(t, DATA, "by the old key");
}
static void bad_updates(struct twins *t)
{
	for (int i = 0; i < TLS_CONTROL_PER_MIN; i++)
		add_update(t, i & 1);
	ADD(t, DATA, "x");
	add_update(t, true);
}
static void bad_ticket_short(struct twins *t)
{
	ADD(t, HANDSHAKE,
	        "\x04\x00\x00\x0d"
	        "123456789abcd");
}
static void bad_ticket_long(struct twins *t)
{
	ADD(t, HANDSHAKE,
	        "\x04\x02\x01\x0b"
	        "1");
}
static void bad_cert_request(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x0d\x00\x00\x03\x00\x00\x00");
}
static void bad_hello_request(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x00\x00\x00\x00");
}
static void bad_finished(struct twins *t)
{
	ADD(t, HANDSHAKE, "\x14\x00\x00\x01\x00");
}
static void bad_interleaved(struct twins *t)
{
	add(t, HANDSHAKE, TICKET, 9, 0);
	ADD(t, DATA, "x");
}
static void good_close_in_message(struct twins *t)
{
	add(t, HANDSHAKE, TICKET, 9, 0);
	ADD(t, ALERT, "\x01\x00");
}

static const struct bad bad[] = {
        {"unknown type", ERR_TLS_RECORD, bad_type},
        {"CCS inside", ERR_TLS_RECORD, bad_ccs_inside},
        {"zeros only", ERR_TLS_RECORD, bad_all_zero},
        {"16385 bytes", ERR_TLS_RECORD, bad_too_long},
        {"16641 bytes", ERR_TLS_RECORD, bad_way_too_long},
        {"no type", ERR_TLS_RECORD, bad_no_type},
        {"no tag", ERR_TLS_RECORD, bad_no_tag},
        {"nothing at all", ERR_TLS_RECORD, bad_empty_record},
        {"CCS", ERR_TLS_RECORD, bad_plain_ccs},
        {"alert in the clear", ERR_TLS_RECORD, bad_plain_alert},
        {"empty handshake", ERR_TLS_RECORD, bad_empty_handshake},
        {"empty alert", ERR_TLS_RECORD, bad_empty_alert},
        {"short alert", ERR_TLS_RECORD, bad_short_alert},
        {"long alert", ERR_TLS_RECORD, bad_long_alert},
        {"32 empty records", ERR_OK, good_empties},
        {"33 empty records", ERR_TLS_RECORD, bad_empties},
        {"4 user_canceled", ERR_OK, good_cancels},
        {"5 user_canceled", ERR_TLS_RECORD, bad_cancels},
        {"alert handshake_failure", ERR_TLS_RECORD, bad_alert_failure},
        {"the same as a warning", ERR_TLS_RECORD, bad_alert_warning},
        {"alert certificate_required", ERR_TLS_CLIENT_CERT, bad_alert_cert},
        {"fatal close_notify", ERR_OK, good_fatal_close},
        {"KeyUpdate, then more", ERR_TLS_RECORD, bad_update_not_last},
        {"KeyUpdate 2", ERR_TLS_RECORD, bad_update_kind},
        {"KeyUpdate of two bytes", ERR_TLS_RECORD, bad_update_long},
        {"KeyUpdate of none", ERR_TLS_RECORD, bad_update_empty},
        {"the old key", ERR_TLS_RECORD, bad_update_old_key},
        {"17 KeyUpdates", ERR_TLS_RECORD, bad_updates},
        {"short ticket", ERR_TLS_RECORD, bad_ticket_short},
        {"long ticket", ERR_TLS_RECORD, bad_ticket_long},
        {"CertificateRequest", ERR_TLS_RECORD, bad_cert_request},
        {"HelloRequest", ERR_TLS_RECORD, bad_hello_request},
        {"Finished", ERR_TLS_RECORD, bad_finished},
        {"data in a message", ERR_TLS_RECORD, bad_interleaved},
        {"close in a message", ERR_OK, good_close_in_message},
};

static void bad_servers_are_refused_alike(void **state)
{
	(void)state;
	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < ARRAY_LEN(bad); i++)
			for (size_t each = 0; each < (k ? 1 : 2); each++) {
				struct twins *t = &twins[k];
				start(t);
				ADD(t, DATA, "first");
				bad[i].make(t);
				twins_feed(t, wire, wire_bytes, 0, each);
				compare(t, bad[i].what);
				if (t->side[0].err != bad[i].want)
					fail_msg("%s: %s", bad[i].what, err_name(t->side[0].err));
			}
}

/* --- sending --------------------------------------------------------------------------------- */

static void what_is_sent_is_the_same(void **state)
{
	(void)state;
	static char body[50000];
	static const size_t sizes[] = {0, 1, 300, 16383, 16384, 16385, 32768, 50000};
	memset(body, 'r', sizeof body);
	for (int k = 0; k < KINDS; k++) {
		struct twins *t = &twins[k];
		start(t);
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			twins_write(t, body, sizes[i]);
			wire_bytes = 0;
			add_update(t, i & 1);
			feed(t, "write", ERR_OK);
		}
	}
}

static void truncation_is_told(void **state)
{
	(void)state;
	struct errmsg m;
	for (size_t cut = 0; cut < 27; cut++) {
		struct twins *t = &twins[cut % KINDS];
		start(t);
		ADD(t, DATA, "12345");
		assert_int_equal(wire_bytes, 27);
		wire_bytes = cut;
		feed(t, "cut", ERR_OK);
		assert_int_equal(t->side[0].got_bytes, 0);
		for (int i = 0; i < 2; i++)
			assert_int_equal(tls_eof(t->side[i].c, &m), ERR_TLS_TRUNCATED);
	}
}

/* RFC 8446 5.5: before the limit comes a new key; receiving, one is asked for. */
static void keys_do_not_live_for_ever(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	struct errmsg m;
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(p.ctx, "TLS_AES_128_GCM_SHA256");
	link_open(l, config, &p);
	link_run(l);
	converse(l);
	assert_int_equal(l->c->own->records_per_key, UINT64_C(1) << 24);
	l->c->own->records_per_key = 5;
	for (unsigned i = 0; i < 12; i++) {
		p.got_bytes = 0;
		assert_int_equal(tls_write(l->c, REQUEST, strlen(REQUEST), &m), ERR_OK);
		link_run(l);
		assert_int_equal(p.got_bytes, strlen(REQUEST));
		assert_true(l->c->own->send.seq <= 5);
	}
	uint8_t before[48];
	memcpy(before, l->c->own->recv.secret, sizeof before);
	for (unsigned i = 0; i < 12; i++) {
		link_server_writes(l, RESPONSE, strlen(RESPONSE));
		link_run(l);
	}
	assert_int_equal(l->err, ERR_OK);
	assert_int_equal(l->got_bytes, 13 * strlen(RESPONSE));
	assert_memory_not_equal(before, l->c->own->recv.secret, 32);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* --- taking over ----------------------------------------------------------------------------- */

/* Tickets and the first data come together, cut anywhere; the object goes with the data, the
 * tickets stay. */
static void tickets_before_data_are_kept(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	size_t flight = 0;
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	SSL_CTX_set_num_tickets(p.ctx, 1);
	for (size_t cut = 0; cut == 0 || cut < flight; cut += 5) {
		link_open(l, config, &p);
		link_send(l);
		peer_step(&p);
		link_receive(l);
		assert_int_equal(tls_state(l->c), TLS_OPEN);
		assert_int_equal(tls_resumed(l->c), cut > 0);
		assert_non_null(l->c->ssl);
		assert_int_equal(l->c->own->recv.seq, 0);
		assert_int_equal(l->c->own->send.seq, 0);
		link_send(l);
		peer_step(&p); /* Finished: tickets */
		link_server_writes(l, RESPONSE, strlen(RESPONSE));
		char *bytes;
		flight = (size_t)BIO_get_mem_data(p.out, &bytes);
		l->fed = 0;
		l->first = cut;
		link_receive(l);
		l->first = 0;
		assert_int_equal(l->err, ERR_OK);
		assert_int_equal(l->got_bytes, strlen(RESPONSE));
		assert_int_equal(l->c->tickets, 1);
		assert_null(l->c->ssl);
		assert_int_equal(l->c->own->recv.seq, 2);
		converse(l);
		tls_conn_free(&l->c);
	}
	assert_true(flight > 200);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* A record that OpenSSL does not see moves its sequence away from ours: a ticket behind it cannot
 * be read by it any more, and the connection must not die of that. */
static void tickets_behind_what_openssl_does_not_see(void **state)
{
	(void)state;
	static struct twins t;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(p.ctx, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_num_tickets(p.ctx, 0);
	SSL_CTX_set_keylog_callback(p.ctx, twins_on_keylog);
	for (int kind = 0; kind < 4; kind++) {
		link_open(l, config, &p);
		SSL_set_app_data(p.ssl, &t);
		link_run(l);
		assert_non_null(l->c->ssl);
		t.suite = 0x1301;
		t.seq = 0;
		memcpy(t.secret, t.server_secret, sizeof t.secret);
		wire_bytes = 0;
		ADD(&t, HANDSHAKE, TICKET);
		if (kind == 0) {
			ADD(&t, ALERT, "\x01\x5a"); /* user_canceled */
		} else if (kind == 1) {
			add_update(&t, false);
		} else if (kind == 2) {
			add(&t, HANDSHAKE, TICKET, 9, 0); /* over two records */
			add(&t, HANDSHAKE, &TICKET[9], sizeof TICKET - 10, 0);
		} else {
			ADD(&t, DATA, "");
		}
		ADD(&t, HANDSHAKE, TICKET);
		ADD(&t, DATA, "hello");
		link_feed(l, (const char *)wire, wire_bytes);
		if (l->err != ERR_OK)
			fail_msg("%d, %s: %s", kind, err_name(l->err), l->msg.text);
		assert_int_equal(l->got_bytes, 5);
		assert_int_equal(l->c->tickets, 1);
		tls_conn_free(&l->c);
	}
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

/* Data behind the server's Finished, in the same piece: the server may, before ours has come. */
static void data_right_behind_finished(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	size_t flight = 0;
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	for (size_t back = 0; back < 60; back += 3) {
		size_t put;
		char *bytes;
		link_open(l, config, &p);
		link_send(l);
		char none[8];
		size_t got;
		SSL_set_max_early_data(p.ssl, 0);
		SSL_read_early_data(p.ssl, none, sizeof none, &got);
		assert_int_equal(SSL_write_early_data(p.ssl, RESPONSE, strlen(RESPONSE), &put), 1);
		flight = (size_t)BIO_get_mem_data(p.out, &bytes);
		l->first = flight - back;
		link_receive(l);
		assert_int_equal(l->err, ERR_OK);
		assert_int_equal(l->got_bytes, strlen(RESPONSE));
		assert_memory_equal(l->got, RESPONSE, strlen(RESPONSE));
		assert_null(l->c->ssl);
		tls_conn_free(&l->c);
		ERR_clear_error();
	}
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

static void openssl_stays_where_it_should(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		record_path = i == 0 ? TLS_RECORDS_OPENSSL : TLS_RECORDS_OWN;
		struct tls_config *config = config_for("api.test", scene.roots, false);
		struct peer p;
		struct link *l = link_new();
		peer_init(&p, &scene.server, NULL, i == 1 ? TLS1_2_VERSION : TLS1_3_VERSION);
		link_open(l, config, &p);
		link_run(l);
		converse(l);
		if (i < 2) {
			assert_non_null(l->c->ssl);
			assert_null(l->c->own);
		} else {
			assert_null(l->c->ssl);
			assert_string_equal(tls_version(l->c), "TLSv1.3");
		}
		link_free(l);
		peer_fini(&p);
		tls_config_put(&config);
	}
	record_path = TLS_RECORDS_OWN;
}

/* --- keys ------------------------------------------------------------------------------------ */

static void secrets_are_read_from_the_key_log(void **state)
{
	(void)state;
	uint8_t s[48];
	assert_true(tls_secret_parse("A 00ff 0aFF10", "A", s, 3));
	assert_memory_equal(s, "\x0a\xff\x10", 3);
	static const char *const wrong[] = {"A 00ff 0aFF1", "A 00ff 0aFF1000", "A 00ff", "A",
	        "AB 00ff 0aFF10", "A 00ff 0aFG10", "B 00ff 0aFF10", ""};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(tls_secret_parse(wrong[i], "A", s, 3));
}

/* RFC 8448 3, the server's application traffic secret and what follows from it. */
static void keys_are_those_of_rfc_8448(void **state)
{
	(void)state;
	static const char secret[] =
	        "S 0 a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
	static const uint8_t key[] = {0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef, 0xc2, 0x6b,
	        0xb9, 0xf2, 0xac, 0x92, 0xe3, 0x56};
	static const uint8_t iv[] = {
	        0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83, 0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84};
	struct tls_keys k = {.seq = 9};
	assert_true(tls_secret_parse(secret, "S", k.secret, 32));
	assert_true(tls_keys_derive(&k, tls_suite_of(0x1301)));
	assert_memory_equal(k.key, key, sizeof key);
	assert_memory_equal(k.iv, iv, sizeof iv);
	assert_int_equal(k.seq, 0);
	assert_null(tls_suite_of(0x1304));
}

/* Who is fed rarely has no keyed opener between feeds; who is fed often keeps it, up to the first
 * feed after a pause. */
static void the_opener_goes_with_a_pause(void **state)
{
	(void)state;
	struct tls_config *config = config_for("api.test", scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
	SSL_CTX_set_num_tickets(p.ctx, 0);
	l->now_ns = 1000 * SEC_NS;
	link_open(l, config, &p);
	link_run(l);
	assert_non_null(l->c->own);
	for (int round = 0; round < 3; round++) {
		l->now_ns += TLS_PAUSE_NS;
		for (int i = 0; i < TLS_BUSY_FEEDS; i++) {
			link_server_writes(l, RESPONSE, strlen(RESPONSE));
			link_run(l);
			assert_null(l->c->own->opener);
			l->now_ns += TLS_PAUSE_NS - 1;
		}
		link_server_writes(l, RESPONSE, strlen(RESPONSE));
		link_run(l);
		assert_non_null(l->c->own->opener);
	}
	converse(l);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(records_of_every_size),
	        cmocka_unit_test(cuts_at_every_offset),
	        cmocka_unit_test(long_runs_in_random_pieces),
	        cmocka_unit_test(every_bit_counts),
	        cmocka_unit_test(bad_servers_are_refused_alike),
	        cmocka_unit_test(what_is_sent_is_the_same),
	        cmocka_unit_test(truncation_is_told),
	        cmocka_unit_test(keys_do_not_live_for_ever),
	        cmocka_unit_test(tickets_before_data_are_kept),
	        cmocka_unit_test(tickets_behind_what_openssl_does_not_see),
	        cmocka_unit_test(the_opener_goes_with_a_pause),
	        cmocka_unit_test(data_right_behind_finished),
	        cmocka_unit_test(openssl_stays_where_it_should),
	        cmocka_unit_test(secrets_are_read_from_the_key_log),
	        cmocka_unit_test(keys_are_those_of_rfc_8448),
	};
	return cmocka_run_group_tests(tests, open_all, close_all);
}
