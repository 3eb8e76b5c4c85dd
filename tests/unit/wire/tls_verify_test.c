/* tls, certificates: what must pass and what must not, from both sides, and the errors of configs.
 * Each refusal has the code and the text that a person needs, and nothing of the application was
 * sent. */
#include "unit/wire/tls_peer.h"

#include "base/check.h"

#include <stdio.h>

/* --- client certificates --------------------------------------------------------------------- */

static void client_certificate_is_asked_for(void **state)
{
	(void)state;
	static const struct {
		bool given, trusted;
		err_t want;
		const char *text;
	} rows[] = {
	        {true, true, ERR_OK, NULL},
	        {false, true, ERR_TLS_CLIENT_CERT, "none is set"},
	        {true, false, ERR_TLS_CLIENT_CERT, "its issuer and its expiry"},
	};
	for (size_t v = 0; v < ARRAY_LEN(versions); v++)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			struct tls_config *config =
			        config_for("api.test", scene.roots, rows[i].given);
			struct peer p;
			struct link *l = link_new();
			peer_init(&p, &scene.server, NULL, versions[v]);
			peer_demand_client_cert(&p, rows[i].trusted ? &scene.ca : &scene.other_ca);
			link_open(l, config, &p);
			link_run(l);
			/* OpenSSL's servers answer TLS 1.2 clients without one with
			 * handshake_failure */
			bool vague = v == 0 && !rows[i].given;
			assert_int_equal(l->err, vague ? ERR_TLS_HANDSHAKE : rows[i].want);
			if (rows[i].want != ERR_OK) {
				assert_int_equal(tls_state(l->c), TLS_FAILED);
				assert_int_equal(p.got_bytes, 0);
				assert_true(vague || strstr(l->msg.text, rows[i].text));
			} else {
				converse(l);
			}
			link_free(l);
			peer_fini(&p);
			tls_config_put(&config);
		}
}

/* --- certificates that must not pass, and those that must ------------------------------------ */

struct bad {
	const char *name, *host;
	struct cert_spec spec; /* of the server; issuer NULL: scene.ca, unless self_signed */
	bool self_signed;
	struct tls_roots *roots; /* NULL: scene.roots */
	err_t want;
	const char *text;
};

static void run_bad(const struct bad *b, int version)
{
	struct cert_spec spec = b->spec;
	if (!spec.issuer && !b->self_signed)
		spec.issuer = &scene.ca;
	struct cert cert = cert_make(&spec);
	struct tls_config *config = config_for(
	        b->host ? b->host : "api.test", b->roots ? b->roots : scene.roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &cert, NULL, version);
	link_open(l, config, &p);
	link_run(l);
	if (l->err != b->want || (b->want && !strstr(l->msg.text, b->text)))
		fail_msg("%s: got %s '%s', wanted %s '%s'", b->name, err_name(l->err),
		        l->err ? l->msg.text : "", err_name(b->want), b->text ? b->text : "");
	assert_int_equal(tls_state(l->c), b->want ? TLS_FAILED : TLS_OPEN);
	assert_int_equal(p.got_bytes, 0);
	if (b->want) { /* sticky, with the same text */
		struct errmsg m;
		size_t n;
		char buf[16];
		assert_int_equal(tls_read(l->c, buf, sizeof buf, &n, &m), b->want);
		assert_string_equal(m.text, l->msg.text);
		assert_int_equal(tls_write(l->c, "x", 1, &m), b->want);
		assert_int_equal(tls_eof(l->c, &m), b->want);
	}
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
	cert_free(&cert);
}

#define GOOD(what, asked, anchor, ...)                                                             \
	{                                                                                          \
		.name = what, .host = asked, .roots = anchor, .spec = {.cn = "x", __VA_ARGS__ }    \
	}
#define BAD(what, asked, anchor, code, says, ...)                                                  \
	{                                                                                          \
		.name = what, .host = asked, .roots = anchor, .want = code, .text = says,          \
		.spec = {                                                                          \
			.cn = "x",                                                                 \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define API .san = "DNS:api.test"

static void run_table(const struct bad *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t v = 0; v < ARRAY_LEN(versions); v++)
			run_bad(&rows[i], versions[v]);
}

static void good_certificates_pass(void **state)
{
	(void)state;
	struct tls_roots *mid = roots_of(&scene.mid_ca), *narrow = roots_of(&scene.narrow_ca);
	const struct bad rows[] = {
	        GOOD("plain", NULL, NULL, API),
	        GOOD("among many", NULL, NULL, .san = "DNS:a.test,DNS:api.test,IP:10.0.0.1"),
	        GOOD("in another case", "API.Test", NULL, API),
	        GOOD("with a dot behind", "api.test.", NULL, API),
	        GOOD("RSA", NULL, NULL, API, .rsa_bits = 2048),
	        GOOD("IP in the SAN", "10.1.2.3", NULL, .san = "IP:10.1.2.3"),
	        GOOD("IPv6 in the SAN", "fd00::1", NULL, .san = "IP:fd00:0:0:0:0:0:0:1"),
	        GOOD("wildcard", "a.wild.test", NULL, .san = "DNS:*.wild.test"),
	        GOOD("for servers only", NULL, NULL, API, .eku = "serverAuth"),
	        GOOD("expires in a second", NULL, NULL, API, .from_s = -DAY_S, .to_s = 1),
	        GOOD("intermediate as anchor", NULL, mid, API, .issuer = &scene.mid_ca),
	        GOOD("inside name constraints", "a.only.test", narrow, .san = "DNS:a.only.test",
	                .issuer = &scene.narrow_ca),
	};
	run_table(rows, ARRAY_LEN(rows));
	tls_roots_put(&mid);
	tls_roots_put(&narrow);
}

static void bad_certificates_are_refused(void **state)
{
	(void)state;
	struct tls_roots *other = roots_of(&scene.other_ca), *narrow = roots_of(&scene.narrow_ca),
	                 *leaf = roots_of(&scene.leaf_ca);
	const err_t no = ERR_TLS_VERIFY;
	const struct bad rows[] = {
	        BAD("wrong CA", NULL, other, no,
	                "unable to get local issuer certificate (/CN=x, depth 0); check "
	                "certificate-auth",
	                API),
	        BAD("missing intermediate", NULL, NULL, no, "unable to get local issuer", API,
	                .issuer = &scene.mid_ca),
	        BAD("issuer is no CA", NULL, leaf, no, "invalid CA certificate", API,
	                .issuer = &scene.leaf_ca),
	        BAD("expired", NULL, NULL, no,
	                "has expired Jan 15 07:59:59 2027 GMT (/CN=x, depth 0); renew", API,
	                .from_s = -9 * DAY_S, .to_s = -1),
	        BAD("not yet valid", NULL, NULL, no,
	                "not yet valid Jan 15 08:05:00 2027 GMT (/CN=x, depth 0); check the clocks",
	                API, .from_s = 300, .to_s = DAY_S),
	        BAD("for clients only", NULL, NULL, no, "not for a TLS server", API,
	                .eku = "clientAuth"),
	        BAD("RSA of 1024 bits", NULL, NULL, no, "EE certificate key too weak", API,
	                .rsa_bits = 1024),
	        BAD("SHA-1", NULL, NULL, no, "CA signature digest algorithm too weak", API,
	                .md = EVP_sha1()),
	        BAD("outside name constraints", NULL, narrow, no, "permitted subtree violation",
	                API, .issuer = &scene.narrow_ca),
	        {.name = "self-signed",
	                .spec = {.cn = "me", API},
	                .self_signed = true,
	                .want = no,
	                .text = "self-signed certificate (/CN=me, depth 0)"},
	};
	run_table(rows, ARRAY_LEN(rows));
	tls_roots_put(&other);
	tls_roots_put(&narrow);
	tls_roots_put(&leaf);
}

static void certificates_for_other_names_are_refused(void **state)
{
	(void)state;
	const err_t no = ERR_TLS_HOSTNAME;
	const struct bad rows[] = {
	        BAD("wrong host", NULL, NULL, no,
	                "asked for api.test, it is for b.test, 10.0.0.1; use such",
	                .san = "DNS:b.test,IP:10.0.0.1"),
	        {.name = "only in the CN",
	                .spec = {.cn = "api.test"},
	                .want = no,
	                .text = "no name at all"},
	        BAD("longer name", NULL, NULL, no, "xapi.test", .san = "DNS:xapi.test"),
	        BAD("parent name", NULL, NULL, no, "it is for test", .san = "DNS:test"),
	        BAD("IP not in the SAN", "10.1.2.4", NULL, no,
	                "asked for 10.1.2.4, it is for 10.1.2.3", .san = "IP:10.1.2.3"),
	        {.name = "IP only in the CN",
	                .host = "10.1.2.3",
	                .spec = {.cn = "10.1.2.3", API},
	                .want = no,
	                .text = "it is for api.test"},
	        BAD("IP as a DNS name", "10.1.2.3", NULL, no, "10.1.2.3", .san = "DNS:10.1.2.3"),
	        BAD("IPv6 not in the SAN", "fd00::2", NULL, no, "it is for fd00:0:0:0:0:0:0:1",
	                .san = "IP:fd00::1"),
	        BAD("wildcard, two labels", "a.b.wild.test", NULL, no, "*.wild.test",
	                .san = "DNS:*.wild.test"),
	        BAD("wildcard, no label", "wild.test", NULL, no, "*.wild.test",
	                .san = "DNS:*.wild.test"),
	        BAD("part of a wildcard", "ab.wild.test", NULL, no, "a*.wild.test",
	                .san = "DNS:a*.wild.test"),
	};
	run_table(rows, ARRAY_LEN(rows));
	ASN1_STRING *nul = ASN1_STRING_type_new(V_ASN1_IA5STRING);
	ASN1_STRING_set(nul, "api.test\0.evil.test", 19);
	const struct bad with_nul = {.name = "NUL in the name",
	        .spec = {.cn = "x", .raw_dns = nul},
	        .want = no,
	        .text = "api.test?.evil.test"};
	run_bad(&with_nul, TLS1_3_VERSION); /* takes the string */
}

static void own_certificate_can_be_the_anchor(void **state)
{
	(void)state;
	struct cert self = cert_make(&(struct cert_spec){.cn = "self", .san = "DNS:api.test"});
	struct tls_roots *roots = roots_of(&self);
	struct tls_config *config = config_for("api.test", roots, false);
	struct peer p;
	struct link *l = link_new();
	peer_init(&p, &self, NULL, 0);
	link_open(l, config, &p);
	link_run(l);
	converse(l);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
	tls_roots_put(&roots);
	cert_free(&self);
}

static void chain_depth_is_limited(void **state)
{
	(void)state;
	for (int cas = TLS_CHAIN_DEPTH_MAX - 1; cas <= TLS_CHAIN_DEPTH_MAX + 1; cas++) {
		struct cert chain[TLS_CHAIN_DEPTH_MAX + 2] = {{0}};
		const struct cert *sent[TLS_CHAIN_DEPTH_MAX + 2] = {0};
		const struct cert *issuer = &scene.ca;
		for (int i = 0; i < cas; i++) {
			char cn[] = "mid 0";
			cn[4] = (char)('0' + i);
			chain[i] = cert_make(
			        &(struct cert_spec){.cn = cn, .ca = true, .issuer = issuer});
			sent[i] = issuer = &chain[i];
		}
		struct cert leaf = cert_make(
		        &(struct cert_spec){.cn = "x", .san = "DNS:api.test", .issuer = issuer});
		struct tls_config *config = config_for("api.test", scene.roots, false);
		struct peer p;
		struct link *l = link_new();
		peer_init(&p, &leaf, sent, 0);
		link_open(l, config, &p);
		link_run(l);
		assert_int_equal(l->err, cas > TLS_CHAIN_DEPTH_MAX ? ERR_TLS_VERIFY : ERR_OK);
		link_free(l);
		peer_fini(&p);
		tls_config_put(&config);
		cert_free(&leaf);
		for (int i = 0; i < cas; i++)
			cert_free(&chain[i]);
	}
}

static void certificate_message_is_limited(void **state)
{
	(void)state;
	size_t der =
	        (size_t)i2d_X509(scene.mid_ca.x, NULL) + 5; /* TLS 1.3: length and extensions */
	for (int over = 0; over < 2; over++) {
		struct tls_config *config = config_for("api.test", scene.roots, false);
		static struct peer p;
		struct link *l = link_new();
		size_t count = TLS_CERT_BYTES_MAX / der - 4 + (over ? 8 : 0);
		peer_init(&p, &scene.server, NULL, TLS1_3_VERSION);
		for (size_t i = 0; i < count; i++)
			SSL_CTX_add1_chain_cert(p.ctx, scene.mid_ca.x);
		link_open(l, config, &p);
		link_run(l);
		assert_int_equal(l->err, over ? ERR_TLS_HANDSHAKE : ERR_OK);
		if (over)
			assert_non_null(strstr(l->msg.text, "excessive message size"));
		link_free(l);
		peer_fini(&p);
		tls_config_put(&config);
	}
}

static void insecure_verifies_nothing(void **state)
{
	(void)state;
	struct cert self = cert_make(&(struct cert_spec){
	        .cn = "z", .san = "DNS:z", .from_s = -9 * DAY_S, .to_s = -DAY_S});
	struct tls_spec s = {.insecure = true, .server_name = SPAN("api.test")};
	struct tls_config *config;
	struct errmsg m;
	struct peer p;
	struct link *l = link_new();
	assert_int_equal(tls_config_new(&config, &s, &m), ERR_OK);
	peer_init(&p, &self, NULL, 0);
	link_open(l, config, &p);
	link_run(l);
	converse(l);
	link_free(l);
	peer_fini(&p);
	tls_config_put(&config);
	cert_free(&self);
}

/* --- configs --------------------------------------------------------------------------------- */

static void refuses_config(const struct tls_spec *s, const char *text)
{
	struct tls_config *c = NULL;
	struct errmsg m;
	assert_int_equal(tls_config_new(&c, s, &m), ERR_TLS_CONFIG);
	assert_null(c);
	assert_int_equal(ERR_peek_error(), 0);
	if (!strstr(m.text, text))
		fail_msg("wanted '%s' in '%s'", text, m.text);
}

static void config_errors_name_the_field(void **state)
{
	(void)state;
	const struct tls_spec base = {.roots = scene.roots,
	        .server_name = SPAN("api.test"),
	        .cert_pem = scene.client_pem,
	        .key_pem = scene.client_key};
	struct span other_key = cert_key_pem(&scene.server, NULL);
	struct span locked = cert_key_pem(&scene.client, "s3cret");
	struct tls_spec s = base;
	s.roots = NULL;
	refuses_config(&s, "no CA to verify the server with");
	s = base;
	s.server_name = SPAN_NONE;
	refuses_config(&s, "server name is missing");
	s.server_name = SPAN("a b");
	refuses_config(&s, "byte 2");
	s.server_name = (struct span){"a\0b", 3};
	refuses_config(&s, "byte 2");
	char long_name[256];
	memset(long_name, 'a', sizeof long_name);
	s.server_name = (struct span){long_name, 254};
	refuses_config(&s, "longer than 253");
	s = base;
	s.key_pem = SPAN_NONE;
	refuses_config(&s, "client key is missing");
	s = base;
	s.cert_pem = SPAN_NONE;
	refuses_config(&s, "client certificate is missing");
	s = base;
	s.key_pem = other_key;
	refuses_config(&s, "client key does not belong to the client certificate");
	s.key_pem = locked;
	refuses_config(&s, "client key is encrypted");
	s.key_pem = SPAN("no pem at all");
	refuses_config(&s, "client key: no PEM private key");
	s.key_pem = SPAN("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	refuses_config(&s, "client key is broken");
	s = base;
	s.cert_pem = scene.client_key;
	refuses_config(&s, "client certificate: no PEM certificate");
	s.cert_pem = SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	refuses_config(&s, "client certificate: PEM block 1 is broken");
	s.cert_pem = SPAN("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
	refuses_config(&s, "client certificate: PEM block 1 is broken");
	struct cert weak = cert_make(&(struct cert_spec){.cn = "w", .rsa_bits = 1024});
	struct span weak_pem = cert_pem(&weak), weak_key = cert_key_pem(&weak, NULL);
	s.cert_pem = weak_pem;
	s.key_pem = weak_key;
	refuses_config(&s, "client certificate: ee key too small");
	s = base;
	s.server_name = (struct span){long_name, 253};
	struct tls_config *c;
	assert_int_equal(tls_config_new(&c, &s, NULL), ERR_OK);
	tls_config_put(&c);
	free((void *)(uintptr_t)other_key.p);
	free((void *)(uintptr_t)locked.p);
	free((void *)(uintptr_t)weak_pem.p);
	free((void *)(uintptr_t)weak_key.p);
	cert_free(&weak);
}

static void roots_errors_name_the_block(void **state)
{
	(void)state;
	struct tls_roots *r;
	struct errmsg m;
	struct span good = cert_pem(&scene.ca);
	char two[8192];
	assert_int_equal(tls_roots_new(&r, SPAN_NONE, &m), ERR_TLS_CONFIG);
	assert_non_null(strstr(m.text, "empty"));
	assert_int_equal(tls_roots_new(&r, SPAN("hello"), &m), ERR_TLS_CONFIG);
	assert_non_null(strstr(m.text, "no PEM certificate"));
	snprintf(two, sizeof two, "# text\n%s%s", good.p, good.p);
	assert_int_equal(tls_roots_new(&r, span_of(two), &m), ERR_OK);
	assert_int_equal(tls_roots_count(r), 2);
	assert_ptr_equal(tls_roots_get(r), r);
	struct tls_roots *again = r;
	tls_roots_put(&again);
	tls_roots_put(&r);
	assert_null(r);
	tls_roots_put(&r);
	snprintf(two, sizeof two,
	        "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good.p);
	assert_int_equal(tls_roots_new(&r, span_of(two), &m), ERR_TLS_CONFIG);
	assert_non_null(strstr(m.text, "PEM block 2 is broken"));
	two[good.n - 40] = 0; /* a file half written */
	assert_int_equal(tls_roots_new(&r, span_of(two), &m), ERR_TLS_CONFIG);
	assert_int_equal(ERR_peek_error(), 0);
	free((void *)(uintptr_t)good.p);
}

static void system_roots_are_found_or_named(void **state)
{
	(void)state;
	struct tls_roots *r;
	struct errmsg m;
	setenv("SSL_CERT_FILE", "/nonexistent/ca.pem", 1);
	assert_int_equal(tls_roots_new_system(&r, &m), ERR_TLS_CONFIG);
	assert_non_null(strstr(m.text, "/nonexistent/ca.pem"));
	unsetenv("SSL_CERT_FILE");
	err_t e = tls_roots_new_system(&r, &m);
	if (e == ERR_OK)
		assert_true(tls_roots_count(r) > 10);
	else
		assert_int_equal(e, ERR_TLS_CONFIG); /* a host without ca-certificates */
	tls_roots_put(&r);
}

/* OpenSSL's own state is shared, nothing of a cluster or a user is. */
static void configs_share_nothing_that_matters(void **state)
{
	(void)state;
	struct tls_roots *other = roots_of(&scene.other_ca);
	struct cert server2 = cert_make(
	        &(struct cert_spec){.cn = "x", .san = "DNS:two.test", .issuer = &scene.other_ca});
	struct tls_config *one = config_for("api.test", scene.roots, true), *two;
	struct tls_spec s = {.roots = other, .server_name = SPAN("two.test"), .share = one};
	static struct peer p[2];
	struct link *l = link_new();
	assert_int_equal(tls_config_new(&two, &s, NULL), ERR_OK);
	peer_init(&p[0], &scene.server, NULL, 0);
	peer_demand_client_cert(&p[0], &scene.ca);
	peer_init(&p[1], &server2, NULL, 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 2; i++) {
			link_open(l, i ? two : one, &p[i]);
			link_run(l);
			converse(l);
			assert_int_equal(tls_resumed(l->c), round);
			assert_int_equal(SSL_get0_peer_certificate(p[i].ssl) != NULL, i == 0);
			tls_conn_free(&l->c);
		}
	tls_config_put(&one); /* the other one goes on without it */
	link_open(l, two, &p[0]);
	link_run(l);
	assert_int_equal(l->err, ERR_TLS_VERIFY);
	tls_conn_free(&l->c);
	link_open(l, two, &p[1]);
	link_run(l);
	converse(l);
	link_free(l);
	tls_config_put(&two);
	tls_roots_put(&other);
	peer_fini(&p[0]);
	peer_fini(&p[1]);
	cert_free(&server2);
}

static void expiry_is_that_of_the_client_certificate(void **state)
{
	(void)state;
	struct tls_config *c = config_for("api.test", scene.roots, true);
	assert_int_equal(tls_config_expiry(c), WALL_S + 7 * DAY_S);
	tls_config_put(&c);
	c = config_for("api.test", scene.roots, false);
	assert_true(tls_config_expiry(c) == INT64_MAX);
	tls_config_put(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(client_certificate_is_asked_for),
	        cmocka_unit_test(good_certificates_pass),
	        cmocka_unit_test(bad_certificates_are_refused),
	        cmocka_unit_test(certificates_for_other_names_are_refused),
	        cmocka_unit_test(own_certificate_can_be_the_anchor),
	        cmocka_unit_test(chain_depth_is_limited),
	        cmocka_unit_test(certificate_message_is_limited),
	        cmocka_unit_test(insecure_verifies_nothing),
	        cmocka_unit_test(config_errors_name_the_field),
	        cmocka_unit_test(roots_errors_name_the_block),
	        cmocka_unit_test(system_roots_are_found_or_named),
	        cmocka_unit_test(configs_share_nothing_that_matters),
	        cmocka_unit_test(expiry_is_that_of_the_client_certificate),
	};
	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
