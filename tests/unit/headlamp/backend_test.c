/* backend: names, paths, sub-protocols, and the list of clusters as a backend prints it. */
#include "headlamp/backend.h"

#include "unit/json/doc.h"

#include <stdio.h>

static char out[8192];

static void a_context_gets_the_name_of_the_backend(void **state)
{
	(void)state;
	static const struct {
		const char *context, *name;
	} cases[] = {{"admin", "admin"}, {"a/b", "a--b"}, {"a b", "a__b"}, {"/ /", "--__--"},
	        {"arn:aws:eks:eu-west-1:1:cluster/x", "arn:aws:eks:eu-west-1:1:cluster--x"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].name);
		struct span context = span_of(cases[i].context);
		assert_span(((struct span){out, backend_cluster_name(context, out, sizeof out)}),
		        cases[i].name);
		assert_int_equal(backend_cluster_name(context, out, n), n);
		assert_int_equal(backend_cluster_name(context, out, n - 1), 0);
	}
	assert_int_equal(backend_cluster_name(SPAN_NONE, out, sizeof out), 0);
}

static void the_prefix_is_encoded(void **state)
{
	(void)state;
	static const struct {
		const char *base, *name, *prefix;
	} cases[] = {{"", "admin", "/clusters/admin"},
	        {"/headlamp", "a--b", "/headlamp/clusters/a--b"},
	        {"", "arn:aws:x@y", "/clusters/arn%3Aaws%3Ax%40y"},
	        {"", "a/b?c", "/clusters/a%2Fb%3Fc"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = backend_prefix(
		        span_of(cases[i].base), span_of(cases[i].name), out, sizeof out);
		assert_span(((struct span){out, n}), cases[i].prefix);
		assert_int_equal(
		        backend_prefix(span_of(cases[i].base), span_of(cases[i].name), out, n - 1),
		        0);
	}
}

static void a_legacy_watch_offers_one_protocol_and_the_user(void **state)
{
	(void)state;
	static struct backend_protocols p;
	assert_int_equal(backend_legacy_protocols(SPAN_NONE, &p), ERR_OK);
	assert_int_equal(p.count, 1);
	assert_span(p.at[0], "base64.binary.k8s.io");
	assert_int_equal(backend_legacy_protocols(SPAN("9872e4f36eaadb0e_-Z"), &p), ERR_OK);
	assert_int_equal(p.count, 2);
	assert_span(p.at[0], "base64.binary.k8s.io");
	assert_span(p.at[1], "base64url.headlamp.authorization.k8s.io.9872e4f36eaadb0e_-Z");
}

static void a_user_that_would_break_the_header_is_refused(void **state)
{
	(void)state;
	static struct backend_protocols p;
	static const char *const bad[] = {"a b", "a,b", "a\r\nb", "a=", "\xC3\xA9", "a.b", "a/b"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(backend_legacy_protocols(span_of(bad[i]), &p), ERR_ARGUMENT);
	memset(out, 'u', sizeof out);
	size_t most =
	        BACKEND_PROTOCOL_BYTES_MAX - strlen("base64url.headlamp.authorization.k8s.io.");
	assert_int_equal(backend_legacy_protocols((struct span){out, most}, &p), ERR_OK);
	assert_int_equal(p.at[1].n, BACKEND_PROTOCOL_BYTES_MAX);
	assert_int_equal(backend_legacy_protocols((struct span){out, most + 1}, &p), ERR_LIMIT);
}

static void the_multiplexer_has_its_own(void **state)
{
	(void)state;
	static struct backend_protocols p;
	backend_mux_protocols(&p);
	assert_int_equal(p.count, 1);
	assert_span(p.at[0], "headlamp.multiplexer.k8s.io");
}

static err_t config(const char *json, struct backend_clusters *c, struct errmsg *m)
{
	*m = (struct errmsg){0};
	return backend_read_config(span_of(json), c, m);
}

static void clusters_are_read_sorted_and_once(void **state)
{
	(void)state;
	struct backend_clusters c;
	struct errmsg m;
	static const char json[] =
	        "{\"isDynamicClusterEnabled\":false,\"clusters\":["
	        "{\"name\":\"kind-b\",\"server\":\"https://127.0.0.1:1\",\"auth_type\":\"\","
	        "\"meta_data\":{\"source\":\"kubeconfig\"}},"
	        "{\"name\":\"broken\",\"auth_type\":\"\",\"error\":\"no \\\"server\\\"\"},"
	        "{\"name\":\"kind-a\",\"error\":\"twice\"},{\"name\":\"kind-a\",\"error\":null},"
	        "{\"name\":\"kind-a\",\"error\":\"\"}]}";
	assert_int_equal(config(json, &c, &m), ERR_OK);
	assert_int_equal(c.count, 3);
	assert_string_equal(c.rows[0].name, "broken");
	assert_string_equal(c.rows[0].error, "no \"server\"");
	assert_string_equal(c.rows[1].name, "kind-a");
	assert_null(c.rows[1].error);
	assert_string_equal(c.rows[2].name, "kind-b");
	assert_null(c.rows[2].error);
	backend_clusters_fini(&c);
	assert_int_equal(c.count, 0);
	backend_clusters_fini(&c);
}

static void no_clusters_are_no_error(void **state)
{
	(void)state;
	struct backend_clusters c;
	struct errmsg m;
	assert_int_equal(config("{\"clusters\":null}", &c, &m), ERR_OK);
	assert_int_equal(c.count, 0);
	assert_int_equal(config(" {\"clusters\":[]}\n", &c, &m), ERR_OK);
	assert_int_equal(c.count, 0);
}

static void many_clusters_fit_and_a_long_name_cannot_be_used(void **state)
{
	(void)state;
	struct backend_clusters c;
	struct errmsg m;
	char *json = malloc(64000);
	size_t n = (size_t)sprintf(json, "{\"clusters\":[{\"name\":\"%0254d\"}", 1);
	for (int i = 0; i < 200; i++)
		n += (size_t)sprintf(json + n, ",{\"name\":\"c%d\"}", i * 7 % 200);
	sprintf(json + n, ",{\"name\":\"%0253d\"}]}", 2);
	assert_int_equal(config(json, &c, &m), ERR_OK);
	assert_int_equal(c.count, 202);
	for (size_t i = 1; i < c.count; i++)
		assert_true(strcmp(c.rows[i - 1].name, c.rows[i].name) < 0);
	assert_non_null(c.rows[0].error); /* the longer one: more zeros before its digit */
	assert_null(c.rows[1].error);
	backend_clusters_fini(&c);
	free(json);
}

static void what_is_no_config_says_why(void **state)
{
	(void)state;
	static const struct {
		const char *json, *part;
	} cases[] = {
	        {"", "0 bytes that start with '?'"},
	        {"<!doctype html>", "start with '<'"},
	        {"{\"clusters\":[}", "should be JSON"},
	        {"[]", "it is an array"},
	        {"null", "it is null"},
	        {"{}", "there is nothing"},
	        {"{\"clusters\":{}}", "there is an object"},
	        {"{\"clusters\":true}", "there is a boolean"},
	        {"{\"clusters\":[{\"name\":\"a\"},{}]}", "entry 1 of \"clusters\""},
	        {"{\"clusters\":[7]}", "has nothing"},
	        {"{\"clusters\":[{\"name\":1.5}]}", "has a number"},
	        {"{\"clusters\":[{\"name\":\"\"}]}", "an unusable one"},
	        {"{\"clusters\":[{\"name\":\"a\\u0000b\"}]}", "an unusable one"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct backend_clusters c;
		struct errmsg m;
		assert_int_equal(config(cases[i].json, &c, &m), ERR_HEADLAMP_CONFIG);
		assert_int_equal(m.code, ERR_HEADLAMP_CONFIG);
		assert_non_null(strstr(m.text, cases[i].part));
		assert_int_equal(c.count, 0);
		assert_null(c.rows);
	}
}

static void a_cluster_token_goes_as_the_cookie_of_the_backend(void **state)
{
	(void)state;
	static char buf[16384], token[9000], want[16384];
	size_t n = 0;
	assert_int_equal(
	        backend_add_cookie(SPAN("kind-a"), SPAN("T"), buf, sizeof buf, &n), ERR_OK);
	/* what is no letter, digit, "-" or "_" goes from the name, and what is over 50 */
	assert_int_equal(
	        backend_add_cookie(SPAN("a.b@c/d_"), SPAN("x=/+y"), buf, sizeof buf, &n), ERR_OK);
	static const char both[] = "headlamp-auth-kind-a.0=T; headlamp-auth-abcd_.0=x=/+y";
	assert_int_equal(n, sizeof both - 1);
	assert_memory_equal(buf, both, n);

	memset(token, 't', sizeof token);
	n = 0;
	assert_int_equal(
	        backend_add_cookie(SPAN("c"), (struct span){token, 3801}, buf, sizeof buf, &n),
	        ERR_OK);
	snprintf(want, sizeof want, "headlamp-auth-c.0=%.3800s; headlamp-auth-c.1=t", token);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(buf, want, n);

	n = 0;
	assert_int_equal(
	        backend_add_cookie((struct span){token, 60}, SPAN("T"), buf, sizeof buf, &n),
	        ERR_OK);
	assert_int_equal(n, strlen("headlamp-auth-") + 50 + strlen(".0=T"));
}

static void a_token_that_is_no_cookie_is_refused(void **state)
{
	(void)state;
	char buf[64];
	size_t n = 0;
	static const char *const bad[] = {
	        "", "a b", "a;b", "a,b", "a\"b", "a\\b", "a\x7f", "a\r\nX: y"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
		        backend_add_cookie(SPAN("c"), span_of(bad[i]), buf, sizeof buf, &n),
		        ERR_ARGUMENT);
	assert_int_equal(n, 0);
	size_t exact = strlen("headlamp-auth-c.0=tok");
	assert_int_equal(backend_add_cookie(SPAN("c"), SPAN("tok"), buf, exact - 1, &n), ERR_LIMIT);
	assert_int_equal(n, 0);
	assert_int_equal(backend_add_cookie(SPAN("c"), SPAN("tok"), buf, sizeof buf, &n), ERR_OK);
	assert_int_equal(n, exact);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_context_gets_the_name_of_the_backend),
	        cmocka_unit_test(the_prefix_is_encoded),
	        cmocka_unit_test(a_legacy_watch_offers_one_protocol_and_the_user),
	        cmocka_unit_test(a_user_that_would_break_the_header_is_refused),
	        cmocka_unit_test(the_multiplexer_has_its_own),
	        cmocka_unit_test(a_cluster_token_goes_as_the_cookie_of_the_backend),
	        cmocka_unit_test(a_token_that_is_no_cookie_is_refused),
	        cmocka_unit_test(clusters_are_read_sorted_and_once),
	        cmocka_unit_test(no_clusters_are_no_error),
	        cmocka_unit_test(many_clusters_fit_and_a_long_name_cannot_be_used),
	        cmocka_unit_test(what_is_no_config_says_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
