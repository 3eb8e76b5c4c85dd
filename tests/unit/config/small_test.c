/* The small parts: pattern, base64, rfc3339, redact, server_url, file, pem, exec_policy, arena,
 * fields. */
#include "config/arena.h"

#include "config/base64.h"
#include "config/cluster_conf.h"
#include "config/exec_policy.h"
#include "config/fields.h"
#include "config/file.h"
#include "config/pattern.h"
#include "config/pem.h"
#include "config/redact.h"
#include "config/rfc3339.h"
#include "config/server_url.h"
#include "config/text.h"
#include "scratch.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void pattern_matches_like_a_shell(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *name;
		bool match;
	} rows[] = {
	        {"", "", true},
	        {"*", "", true},
	        {"?", "", false},
	        {"*", "a/b.c", true},
	        {"prod-*", "prod-eu", true},
	        {"prod-*", "prod", false},
	        {"prod-*", "xprod-eu", false},
	        {"*-eu", "prod-eu", true},
	        {"*-eu", "prod-eu2", false},
	        {"*a*b*", "xxaxxbxx", true},
	        {"*a*b*", "xxbxxaxx", false},
	        {"p?d", "pod", true},
	        {"p?d", "pd", false},
	        {"[ab]c", "bc", true},
	        {"[ab]c", "cc", false},
	        {"[a-c]x", "bx", true},
	        {"[!a-c]x", "bx", false},
	        {"[^a]x", "bx", true},
	        {"[]a]", "]", true},
	        {"[a", "[a", true},
	        {"a[", "a[", true},
	        {"x[1]", "x[1]", true},
	        {"x[1]", "x1", true},
	        {"Prod", "prod", false},
	        {"a**b", "ab", true},
	        {"[a-]", "-", true},
	        {"[", "x", false},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		if (pattern_match(rows[i].pattern, rows[i].name) != rows[i].match)
			fail_msg("%s on %s", rows[i].pattern, rows[i].name);
	assert_true(pattern_is_glob("a*"));
	assert_true(pattern_is_glob("[a]"));
	assert_false(pattern_is_glob("arn:aws:eks:eu-1:1:cluster/x"));
}

/* fnmatch needs time exponential in the number of stars here; the test would not come back. */
static void pattern_time_is_bounded(void **state)
{
	(void)state;
	char pattern[201] = "", name[2001] = "";
	for (int i = 0; i < 100; i++)
		memcpy(pattern + 2 * i, "*a", 3);
	memset(name, 'a', 2000);
	assert_true(pattern_match(pattern, name));
	pattern[199] = 'b';
	assert_false(pattern_match(pattern, name));
}

static void base64_reads_what_go_reads(void **state)
{
	(void)state;
	static const struct {
		const char *text, *bytes; /* NULL: refused */
	} rows[] = {
	        {"", ""},
	        {"aGk=", "hi"},
	        {"aGkh", "hi!"},
	        {"aA==", "h"},
	        {"aG\nk=\r\n", "hi"},
	        {"aGl=", "hi"}, /* the last two bits mean nothing */
	        {"aP==", "h"},
	        {"aGk", NULL},
	        {"aGk=x", NULL},
	        {"a===", NULL},
	        {"====", NULL},
	        {"aG k=", NULL},
	        {"aG-_", NULL},
	        {"aGk==", NULL},
	        {"=", NULL},
	        {"aA=a", NULL},
	        {"aGk=aGk=", NULL},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a;
		struct span out;
		arena_init(&a, 1024);
		bool fine = base64_decode(span_of(rows[i].text), &a, &out);
		if (fine != (rows[i].bytes != NULL))
			fail_msg("%s", rows[i].text);
		if (fine)
			assert_true(span_is(out, rows[i].bytes));
		arena_fini(&a);
	}
}

static void base64_round_trips(void **state)
{
	(void)state;
	char bytes[256];
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n <= 256; n++) {
		struct arena a;
		struct span out;
		struct text t = {.bytes_max = 1024};
		arena_init(&a, 1024);
		text_push_base64(&t, (struct span){bytes, n});
		assert_true(base64_decode((struct span){t.p, t.n}, &a, &out));
		assert_true(span_eq(out, (struct span){bytes, n}));
		text_fini(&t);
		arena_fini(&a);
	}
}

static void rfc3339_reads_times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t at; /* -1: refused */
	} rows[] = {
	        {"1970-01-01T00:00:00Z", 0},
	        {"2000-02-29T00:00:00Z", 951782400},
	        {"2026-11-24T10:00:00Z", 1795514400},
	        {"2026-11-24T12:00:00+02:00", 1795514400},
	        {"2026-11-24T09:30:00-00:30", 1795514400},
	        {"2026-11-24T10:00:00.999999Z", 1795514400},
	        {"2016-12-31T23:59:60Z", 1483228800},
	        {"1900-02-29T00:00:00Z", -1},
	        {"2026-13-01T00:00:00Z", -1},
	        {"2026-00-01T00:00:00Z", -1},
	        {"2026-04-31T00:00:00Z", -1},
	        {"2026-11-24T24:00:00Z", -1},
	        {"2026-11-24T10:60:00Z", -1},
	        {"2026-11-24T10:00:61Z", -1},
	        {"2026-11-24 10:00:00Z", -1},
	        {"2026-11-24T10:00:00", -1},
	        {"2026-11-24T10:00:00.Z", -1},
	        {"2026-11-24T10:00:00+0200", -1},
	        {"2026-11-24T10:00:00+24:00", -1},
	        {"", -1},
	        {"2026-11-24T10:00:00ZZ", -1},
	        {"2026-11-24t10:00:00z", -1},
	        {"2026-11-2", -1},
	        {"2026-11-24T10:00:00+02:0", -1},
	        {"2026-11-24T10:00:00+02:000", -1},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t at = 0;
		bool fine = rfc3339_parse(span_of(rows[i].text), &at);
		if (fine != (rows[i].at >= 0) || (fine && at != rows[i].at))
			fail_msg("%s: %d %lld", rows[i].text, fine, (long long)at);
	}
}

static void rfc3339_format_is_the_inverse(void **state)
{
	(void)state;
	char buf[RFC3339_BYTES];
	for (int64_t at = -62167219200; at < 253402300800; at += 86400 * 137 + 12345) {
		int64_t back;
		assert_true(rfc3339_parse(span_of(rfc3339_format(at, buf)), &back));
		assert_int_equal(back, at);
	}
	assert_string_equal(rfc3339_format(INT64_MAX, buf), "out of range");
	assert_string_equal(rfc3339_format(253402300799, buf), "9999-12-31T23:59:59Z");
}

static void redact_keeps_the_hint_and_hides_the_secret(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
	        {"", ""},
	        {"\n\n  plain text  \nsecond line", "plain text"},
	        {"Unable to locate profile prod", "Unable to locate profile prod"},
	        {"token=abc failed", "token=*** failed"},
	        {"Password: hunter2, sorry", "Password: ***, sorry"},
	        {"{\"client_secret\":\"x y\"}", "{\"client_secret\":*** y\"}"},
	        {"Authorization: Bearer abc.def", "Authorization: Bearer ***"},
	        {"got eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJpc3MiOiJodHRwczovLzEi.x", "got ***.***.x"},
	        {"0123456789abcdef0123", "***"},
	        {"0123456789abcdef012", "0123456789abcdef012"},
	        {"the token expired", "the token expired"},
	        {"https://login.example.com/oauth2/v2.0/authorize failed",
	                "https://login.example.com/oauth2/v2.0/authorize failed"},
	        {"known s3cr3t here", "known *** here"},
	        {"red\033[31mcolour\177", "red?[31mcolour?"},
	};
	const struct span secrets[] = {SPAN("s3cr3t"), SPAN("re")}; /* the second is too short */
	for (size_t i = 0; i < COUNT(rows); i++) {
		char line[REDACT_LINE_MAX + 1];
		redact_line(span_of(rows[i].in), secrets, 2, line);
		assert_string_equal(line, rows[i].out);
	}
}

static void redact_line_is_bounded(void **state)
{
	(void)state;
	char in[4096], line[REDACT_LINE_MAX + 1];
	memset(in, 'a', sizeof in);
	redact_line((struct span){in, sizeof in}, NULL, 0, line);
	assert_int_equal(strlen(line), REDACT_LINE_MAX);
	for (size_t n = 0; n < 200; n++) { /* never reads past what it got: ASan watches */
		char *exact = malloc(n + 1);
		memcpy(exact, in, n);
		redact_line((struct span){exact, n}, NULL, 0, line);
		assert_int_equal(strlen(line), n < REDACT_LINE_MAX ? n : REDACT_LINE_MAX);
		free(exact);
	}
}

static void server_url_takes_what_client_go_takes(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		bool tls_by_default;
		const char *text, *host, *path;
		int port;
		bool address;
	} rows[] = {
	        {"https://h", false, "https://h", "h", "", 443, false},
	        {"http://h", true, "http://h", "h", "", 80, false},
	        {"HTTPS://h:443", false, "https://h", "h", "", 443, false},
	        {"https://h:6443/", false, "https://h:6443", "h", "", 6443, false},
	        {"h", true, "https://h", "h", "", 443, false},
	        {"h:8080", false, "http://h:8080", "h", "", 8080, false},
	        {"h:8080/", false, "http://h:8080", "h", "", 8080, false},
	        {"https://r.example/k8s/clusters/c-1", false, "https://r.example/k8s/clusters/c-1",
	                "r.example", "/k8s/clusters/c-1", 443, false},
	        {"https://h/p//?q=1#f", false, "https://h/p", "h", "/p", 443, false},
	        {"https://h?q=https://x", false, "https://h", "h", "", 443, false},
	        {"https://127.0.0.1:1", false, "https://127.0.0.1:1", "127.0.0.1", "", 1, true},
	        {"https://[::1]:6443/x", false, "https://[::1]:6443/x", "::1", "/x", 6443, true},
	        {"[fd00::1]", true, "https://[fd00::1]", "fd00::1", "", 443, true},
	        {"https://h:65535", false, "https://h:65535", "h", "", 65535, false},
	        {"https://h/a%20b", false, "https://h/a%20b", "h", "/a%20b", 443, false},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a;
		struct server_url u;
		arena_init(&a, 4096);
		const char *wrong = server_url_parse(rows[i].in, rows[i].tls_by_default, &a, &u);
		if (wrong)
			fail_msg("%s: %s", rows[i].in, wrong);
		assert_string_equal(u.text, rows[i].text);
		assert_string_equal(u.host, rows[i].host);
		assert_string_equal(u.path, rows[i].path);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.host_is_address, rows[i].address);
		assert_int_equal(u.tls, strncmp(u.text, "https", 5) == 0);
		arena_fini(&a);
	}
}

static void server_url_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *in, *wrong;
	} rows[] = {
	        {"", "empty"},
	        {"https://", "no host"},
	        {"https:///x", "no host"},
	        {"ftp://h", "only http and https"},
	        {"unix:///run/x", "only http and https"},
	        {"h/path", "needs a scheme"},
	        {"https://h:", "port"},
	        {"https://h:0", "port"},
	        {"https://h:65536", "port"},
	        {"https://h:123456", "port"},
	        {"https://h:1a", "port"},
	        {"https://h:+1", "port"},
	        {"https://u:p@h", "user and password"},
	        {"https://::1", "brackets"},
	        {"https://[::1", "']'"},
	        {"https://[::1%25eth0]", "IPv6"},
	        {"https://[::1]x", "follows"},
	        {"https://[nope]", "IPv6"},
	        {"https://[]", "IPv6"},
	        {"https://h ost", "host name"},
	        {"https://h\r\nX: y", "host name"},
	        {"https://h/a b", "percent"},
	        {"https://h/a%2", "percent"},
	        {"https://h/a%zz", "percent"},
	        {"https://h/\xc3\xa9", "percent"},
	        {"https://\xc3\xa9", "host name"},
	        {"https://-h", "host name"},
	        {"https://a..b", "host name"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena a;
		struct server_url u;
		arena_init(&a, 4096);
		const char *wrong = server_url_parse(rows[i].in, true, &a, &u);
		if (!wrong)
			fail_msg("%s was taken", rows[i].in);
		scratch_has(wrong, rows[i].wrong);
		arena_fini(&a);
	}
	char in[SERVER_URL_BYTES_MAX + 2] = "https://h/";
	struct arena a;
	struct server_url u;
	arena_init(&a, 16384);
	memset(in + 10, 'a', SERVER_URL_BYTES_MAX - 10);
	assert_null(server_url_parse(in, true, &a, &u));
	in[SERVER_URL_BYTES_MAX] = 'a';
	assert_string_equal(server_url_parse(in, true, &a, &u), "is too long");
	arena_fini(&a);
}

static void file_reads_only_regular_files(void **state)
{
	struct scratch *s = *state;
	struct arena a;
	struct file_bytes b;
	const char *why;
	arena_init(&a, 1 << 20);
	const char *path = scratch_write(s, "f", "hello");
	assert_int_equal(file_read(path, 5, &a, &b, &why), ERR_OK);
	assert_string_equal(b.p, "hello");
	assert_int_equal(b.mode, 0600);
	assert_int_equal(file_read(path, 4, &a, &b, &why), ERR_LIMIT);
	assert_string_equal(why, "is too large");
	assert_int_equal(file_read(scratch_path(s, "none"), 9, &a, &b, &why), ERR_IO);
	assert_true(b.missing);
	assert_string_equal(why, "no such file");
	assert_int_equal(file_read(scratch_path(s, "f/x"), 9, &a, &b, &why), ERR_IO);
	assert_true(b.missing);
	assert_int_equal(file_read(s->dir, 9, &a, &b, &why), ERR_IO);
	assert_string_equal(why, "is a directory");
	assert_int_equal(mkfifo(scratch_path(s, "fifo"), 0600), 0);
	assert_int_equal(file_read(scratch_path(s, "fifo"), 9, &a, &b, &why), ERR_IO);
	scratch_has(why, "is a FIFO");
	assert_false(b.missing);
	assert_int_equal(file_read("/dev/zero", 9, &a, &b, &why), ERR_IO);
	assert_string_equal(why, "is not a regular file");
	assert_int_equal(file_read("/dev/null", 9, &a, &b, &why), ERR_OK);
	assert_int_equal(b.n, 0);
	assert_int_equal(
	        file_read("/proc/self/status", 65536, &a, &b, &why), ERR_OK); /* says size 0 */
	assert_true(b.n > 100);
	assert_int_equal(file_read("/proc/self/status", 100, &a, &b, &why), ERR_LIMIT);
	assert_int_equal(symlink("loop", scratch_path(s, "loop")), 0);
	assert_int_equal(file_read(scratch_path(s, "loop"), 9, &a, &b, &why), ERR_IO);
	assert_string_equal(file_directory("/a/b", &a), "/a");
	assert_string_equal(file_directory("/a", &a), "/");
	assert_string_equal(file_directory("a", &a), ".");
	assert_string_equal(file_resolve("/d", "x/y", &a), "/d/x/y");
	assert_string_equal(file_resolve("/d", "/x", &a), "/x");
	arena_fini(&a);
}

static void pem_tells_what_is_wrong(void **state)
{
	(void)state;
	static struct scratch_pair a, b;
	struct pem_facts facts;
	scratch_pair_make(&a, 2000000000);
	scratch_pair_make(&b, 1900000000);
	static char both[8192], broken[2048];
	snprintf(both, sizeof both, "# comment\n%s\n%s", a.cert, b.cert);
	assert_null(pem_check_certificates(span_of(both), &facts));
	assert_int_equal(facts.certificates, 2);
	assert_int_equal(facts.not_after_s, 1900000000);
	assert_null(pem_check_pair(span_of(a.cert), span_of(a.key), &facts));
	scratch_has(
	        pem_check_pair(span_of(a.cert), span_of(b.key), NULL), "do not belong together");
	scratch_has(pem_check_pair(span_of(a.cert), SPAN("x"), NULL), "no PEM private key");
	scratch_has(pem_check_certificates(SPAN(""), NULL), "no PEM certificate");
	scratch_has(pem_check_certificates(span_of(a.key), NULL), "no PEM certificate");
	snprintf(broken, sizeof broken, "%s", a.cert);
	broken[40] = broken[40] == 'A' ? 'B' : 'A';
	broken[41] = '!';
	scratch_has(pem_check_certificates(span_of(broken), NULL), "broken PEM");
	snprintf(both, sizeof both, "%s%.100s", a.cert, b.cert);
	scratch_has(pem_check_certificates(span_of(both), NULL), "behind a good one");
	/* asks no passphrase: it would hang here */
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(
	        bio, key, EVP_aes_128_cbc(), (const unsigned char *)"pw", 2, NULL, NULL);
	scratch_bio(bio, broken, sizeof broken);
	EVP_PKEY_free(key);
	scratch_has(pem_check_pair(span_of(a.cert), span_of(broken), NULL), "passphrase");
}

static void exec_policy_matches_resolved_paths(void **state)
{
	struct scratch *s = *state;
	char path[EXEC_POLICY_PATH_MAX], search[256];
	scratch_script(s, "bin/tool", "exit 0");
	scratch_write(s, "bin/plain", "no x bit");
	snprintf(search, sizeof search, "relative::/nowhere:%s/bin:/bin", s->dir);
	assert_true(exec_policy_find("tool", search, path));
	assert_string_equal(path, scratch_path(s, "bin/tool"));
	assert_false(exec_policy_find("plain", search, path));
	assert_false(exec_policy_find("tool", NULL, path));
	assert_false(exec_policy_find("bin", s->dir, path)); /* a directory */
	assert_true(exec_policy_find(scratch_path(s, "bin/tool"), NULL, path));
	assert_false(exec_policy_find(scratch_path(s, "bin/none"), NULL, path));

	const char *tool = scratch_path(s, "bin/tool");
	struct exec_policy p = {.mode = EXEC_POLICY_ALLOW_ALL};
	assert_true(exec_policy_allows(&p, tool, search));
	p.mode = EXEC_POLICY_DENY_ALL;
	assert_false(exec_policy_allows(&p, tool, search));
	const char *by_path[] = {"/usr/bin/other", tool}, *by_name[] = {"tool"},
	           *by_other[] = {"sh"};
	p = (struct exec_policy){EXEC_POLICY_ALLOWLIST, NULL, 0};
	assert_false(exec_policy_allows(&p, tool, search));
	p = (struct exec_policy){EXEC_POLICY_ALLOWLIST, by_path, 2};
	assert_true(exec_policy_allows(&p, tool, search));
	assert_false(exec_policy_allows(&p, "/bin/sh", search));
	p = (struct exec_policy){EXEC_POLICY_ALLOWLIST, by_name, 1};
	assert_true(exec_policy_allows(&p, tool, search));
	assert_false(exec_policy_allows(&p, "/elsewhere/tool", search)); /* same name, other file */
	p = (struct exec_policy){EXEC_POLICY_ALLOWLIST, by_other, 1};
	assert_false(exec_policy_allows(&p, tool, search));
}

static void arena_keeps_its_limit(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 64);
	assert_non_null(arena_alloc(&a, 1));
	assert_non_null(arena_alloc(&a, 48));
	assert_null(arena_alloc(&a, 1));
	arena_fini(&a);
	assert_non_null(arena_alloc(&a, 64));
	assert_null(arena_alloc(&a, 0));
	arena_fini(&a);
	arena_init(&a, SIZE_MAX);
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	for (size_t i = 0; i < 1000; i++) { /* small and large pieces side by side */
		unsigned char *p = arena_alloc(&a, i % 7 ? 40 : 9000);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_int_equal(p[0] | p[39], 0);
		memset(p, 0xff, i % 7 ? 40 : 9000);
	}
	arena_fini(&a);
}

static void fields_number_reads_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool bytes;
		int64_t value; /* -1: refused */
	} rows[] = {
	        {"0", false, 0},
	        {"12", false, 12},
	        {"12Ki", false, -1},
	        {"12Ki", true, 12288},
	        {"8Mi", true, 8 << 20},
	        {"2Gi", true, 2ll << 30},
	        {"1Ti", true, -1},
	        {"", true, -1},
	        {"-1", true, -1},
	        {"+1", true, -1},
	        {"1.5", true, -1},
	        {"Ki", true, -1},
	        {"1 Ki", true, -1},
	        {"99999999999999999999", true, -1},
	        {"18446744073709551615Gi", true, -1},
	        {"0x10", true, -1},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t v = 0;
		bool fine = fields_number(span_of(rows[i].text), rows[i].bytes, &v);
		if (fine != (rows[i].value >= 0) || (fine && v != (uint64_t)rows[i].value))
			fail_msg("%s", rows[i].text);
	}
}

/* A reload leaves alone what is the same; whatever differs must not be taken for it. */
static void every_field_of_a_login_counts(void **state)
{
	(void)state;
	static const char *const args[] = {"get-token"}, *const others[] = {"get-other"};
	struct credential_exec_conf exec = {.command = "/bin/x", .args = args, .arg_count = 1};
	struct credential_exec_conf other = {.command = "/bin/x", .args = others, .arg_count = 1};
	struct cluster_conf rows[] = {
	        {.insecure = false},
	        {.insecure = true},
	        {.ca_pem = SPAN("PEM")},
	        {.ca_pem = SPAN("PEN")},
	        {.tls_server_name = "a"},
	        {.tls_server_name = "b"},
	        {.credential = {.user = "u"}},
	        {.credential = {.token = "t"}},
	        {.credential = {.token = "s"}},
	        {.credential = {.token_file = "t"}},
	        {.credential = {.username = "t"}},
	        {.credential = {.password = "t"}},
	        {.credential = {.cert_pem = SPAN("t")}},
	        {.credential = {.key_pem = SPAN("t")}},
	        {.credential = {.cert_file = "t"}},
	        {.credential = {.key_file = "t"}},
	        {.credential = {.impersonate = "t"}},
	        {.credential = {.exec = &exec}},
	        {.credential = {.exec = &other}},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t k = 0; k < COUNT(rows); k++)
			if (cluster_conf_same_login(&rows[i], &rows[k]) != (i == k))
				fail_msg("rows %zu and %zu", i, k);
	assert_true(cluster_conf_same_server(&rows[0], &rows[1]));
}

static void every_part_of_an_address_counts(void **state)
{
	(void)state;
	static const char *const urls[] = {"https://a:1", "http://a:1", "https://b:1",
	        "https://a:2", "https://a:1/x", "https://a:1/y"};
	struct arena arena;
	struct cluster_conf rows[COUNT(urls)] = {0};
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < COUNT(urls); i++)
		assert_null(server_url_parse(urls[i], true, &arena, &rows[i].server));
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t k = 0; k < COUNT(rows); k++)
			if (cluster_conf_same_server(&rows[i], &rows[k]) != (i == k))
				fail_msg("%s and %s", urls[i], urls[k]);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pattern_matches_like_a_shell),
	        cmocka_unit_test(pattern_time_is_bounded),
	        cmocka_unit_test(base64_reads_what_go_reads),
	        cmocka_unit_test(base64_round_trips),
	        cmocka_unit_test(rfc3339_reads_times),
	        cmocka_unit_test(rfc3339_format_is_the_inverse),
	        cmocka_unit_test(redact_keeps_the_hint_and_hides_the_secret),
	        cmocka_unit_test(redact_line_is_bounded),
	        cmocka_unit_test(server_url_takes_what_client_go_takes),
	        cmocka_unit_test(server_url_refuses),
	        cmocka_unit_test_setup_teardown(
	                file_reads_only_regular_files, scratch_setup, scratch_teardown),
	        cmocka_unit_test(pem_tells_what_is_wrong),
	        cmocka_unit_test_setup_teardown(
	                exec_policy_matches_resolved_paths, scratch_setup, scratch_teardown),
	        cmocka_unit_test(arena_keeps_its_limit),
	        cmocka_unit_test(fields_number_reads_units),
	        cmocka_unit_test(every_field_of_a_login_counts),
	        cmocka_unit_test(every_part_of_an_address_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
