/* print/: tables, JSON, YAML and differences, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kubering/print/diff.h"
#include "kubering/print/json.h"
#include "kubering/print/objects.h"
#include "kubering/print/table.h"
#include "kubering/print/yaml_out.h"

/* What is printed to f. */
struct capture {
	FILE *f;
	char *p;
	size_t n;
};

static void capture_begin(struct capture *c)
{
	*c = (struct capture){0};
	c->f = open_memstream(&c->p, &c->n);
	assert_non_null(c->f);
}

static void capture_expect(struct capture *c, const char *want)
{
	fclose(c->f);
	assert_string_equal(c->p, want);
	free(c->p);
}

static void row(struct table *t, const char *key, const char *a, const char *b)
{
	table_begin_row(t, span_of(key), false);
	table_add_cell(t, span_of(a));
	table_add_cell(t, span_of(b));
}

static void table_layout(void **state)
{
	struct table t;
	struct capture c;
	(void)state;
	capture_begin(&c);
	table_init(&t);
	table_add_column(&t, SPAN("A"));
	table_add_column(&t, SPAN("LONG"));
	row(&t, "2", "x", "second");
	row(&t, "1", "xy", "first");
	table_sort(&t);
	table_print(&t, c.f);
	row(&t, "", "four", ""); /* wider than the 6 of before: 4 + 3 */
	table_print(&t, c.f);
	row(&t, "", "z", "remembered");
	table_print(&t, c.f);
	capture_expect(&c, "A     LONG\nxy    first\nx     second\nfour   \nz      remembered\n");
	table_fini(&t);
}

static void table_edges(void **state)
{
	struct table t;
	struct capture c;
	(void)state;
	capture_begin(&c);
	table_init(&t);
	t.header_due = false;
	table_add_column(&t, SPAN("A"));
	table_add_column(&t, SPAN("B"));
	row(&t, "", "\033[31m", "one\ntwo");     /* nothing for the terminal to obey, one line */
	row(&t, "", "Gr\303\274\303\237e", "x"); /* 5 wide */
	table_begin_row(&t, SPAN(""), false);    /* short of cells */
	table_add_cell(&t, SPAN("only"));
	row(&t, "", "surplus", "b");
	table_add_cell(&t, SPAN("dropped"));
	table_print(&t, c.f);
	capture_expect(
	        &c, "^[[31m    one...\nGr\303\274\303\237e     x\nonly      \nsurplus   b\n");
	table_fini(&t);
}

/* "user\u202egpj.exe" would be read as "userexe.jpg"; the C1 control CSI begins a command as ESC [
 * does. */
static void text_of_others_commands_no_terminal(void **state)
{
	static const char *const rows[][2] = {
	        {"a\xe2\x80\xae"
	         "b\xe2\x80\xac"
	         "c",
	                "a?b?c"},
	        {"\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xaa\xe2\x81\xa6\xe2\x81\xa9", "?????"},
	        {"\xe2\x80\x90\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa\xe2\x82\xac",
	                "\xe2\x80\x90\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa\xe2\x82\xac"},
	        {"\xc2\x9b"
	         "31m\033[0m\x7f\b",
	                "?31m^[[0m^?^H"},
	        {"cut\xe2\x80", "cut\xe2\x80"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text t = {0};
		text_add_safe(&t, span_of(rows[i][0]));
		assert_string_equal(text_cstr(&t), rows[i][1]);
		text_fini(&t);
	}
}

static void table_rolls_back(void **state)
{
	struct table t;
	struct capture c;
	(void)state;
	capture_begin(&c);
	table_init(&t);
	table_add_column(&t, SPAN("A"));
	table_add_column(&t, SPAN("B"));
	row(&t, "2", "keep", "1");
	row(&t, "3", "drop", "2");
	row(&t, "4", "drop", "3");
	table_rollback(&t, 1);
	row(&t, "1", "new", "4");
	table_sort(&t);
	table_print(&t, c.f);
	capture_expect(&c, "A      B\nnew    4\nkeep   1\n");
	table_fini(&t);
}

/* --- JSON ---------------------------------------------------------------------------- */

static struct kind pod_kind = {.group = "",
        .version = "v1",
        .resource = "pods",
        .kind = "Pod",
        .namespaced = true,
        .api_version = "v1"};

static char *padded(const char *s)
{
	char *p = calloc(1, strlen(s) + JSON_PADDING + 1);
	assert_non_null(p);
	memcpy(p, s, strlen(s));
	return p;
}

static void expect_object(const char *in, const char *cluster, const char *want)
{
	struct json_parser *p = json_parser_new(4096, 1 << 20);
	struct text t = {0};
	char *doc = padded(in);
	json_add_object(&t, p, &pod_kind, cluster, span_of(doc));
	assert_string_equal(text_cstr(&t), want);
	text_fini(&t);
	free(doc);
	json_parser_free(&p);
}

static void object_gets_kind(void **state)
{
	(void)state;
	expect_object("{\"metadata\":{\"name\":\"a\"}}", NULL,
	        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}");
	expect_object("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}", NULL,
	        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}");
	expect_object("{\"kind\":\"X\",\"apiVersion\":\"y\",\"metadata\":{\"name\":\"a\"}}", "c\"1",
	        "{\"cluster\":\"c\\\"1\",\"kind\":\"X\",\"apiVersion\":\"y\",\"metadata\":{"
	        "\"name\":\"a\"}}");
	/* Digits stay as they are; a server that prints prettily does not break the line. */
	expect_object("{\n \"kind\":\"X\",\"apiVersion\":\"y\",\n "
	              "\"metadata\":{\"name\":\"a\"},\"n\":1.50e3}",
	        NULL,
	        "{  \"kind\":\"X\",\"apiVersion\":\"y\",  "
	        "\"metadata\":{\"name\":\"a\"},\"n\":1.50e3}");
}

static void pretty(void **state)
{
	struct text t = {0};
	(void)state;
	json_add_pretty(&t, SPAN("{\"a\":[1,{\"b\":\"x{,}\\\"[\"}],\"e\":{},\"f\":[ ]}"), 0);
	assert_string_equal(text_cstr(&t),
	        "{\n    \"a\": [\n        1,\n        {\n            \"b\": \"x{,}\\\"[\"\n        "
	        "}\n    ],\n    \"e\": {},\n    \"f\": []\n}");
	text_fini(&t);
}

static void doubles(void **state)
{
	static const struct {
		double v;
		const char *want;
	} rows[] = {{1.5, "1.5"}, {0.1, "0.1"}, {12345678901234567890.0, "12345678901234567000"},
	        {1e21, "1e+21"}, {-2.0, "-2"}, {1e20, "100000000000000000000"}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text t = {0};
		json_add_double(&t, rows[i].v);
		assert_string_equal(text_cstr(&t), rows[i].want);
		text_fini(&t);
	}
}

static void lists(void **state)
{
	static const char line[] = "{\"kind\":\"Pod\"}";
	struct objects o;
	struct capture c;
	(void)state;
	capture_begin(&c);
	objects_open(&o, c.f, OUTPUT_JSON, true);
	objects_close(&o);
	capture_expect(&c,
	        "{\n    \"apiVersion\": \"v1\",\n    \"items\": [],\n    \"kind\": \"List\",\n "
	        "   \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n");
	capture_begin(&c);
	objects_open(&o, c.f, OUTPUT_JSON, true);
	objects_add(&o, &pod_kind, "a", SPAN(line));
	objects_add(&o, &pod_kind, "b", SPAN(line));
	objects_close(&o);
	capture_expect(&c, "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n        {\n          "
	                   "  \"kind\": \"Pod\"\n        },\n        {\n            \"kind\": "
	                   "\"Pod\"\n        }\n    ],\n    \"kind\": \"List\",\n    \"metadata\": "
	                   "{\n        \"resourceVersion\": \"\"\n    }\n}\n");
	capture_begin(&c);
	objects_open(&o, c.f, OUTPUT_NAME, false);
	objects_add(&o, &pod_kind, "a", SPAN(""));
	struct kind deployment = {.group = "apps", .kind = "Deployment"};
	objects_add(&o, &deployment, "d", SPAN(""));
	objects_close(&o);
	capture_expect(&c, "pod/a\ndeployment.apps/d\n");
}

static void yaml(void **state)
{
	struct objects o;
	struct capture c;
	(void)state;
	capture_begin(&c);
	objects_open(&o, c.f, OUTPUT_YAML, false);
	objects_add(&o, &pod_kind, "a",
	        SPAN("{\"b\":\"x\",\"a\":[{\"q\":1}],\"s\":\"12:30\",\"m\":\"1\\n2\\n\",\"e\":{},"
	             "\"i\":\"10.0.0.1\",\"z\":null}"));
	objects_add(&o, &pod_kind, "a", SPAN("{\"k\":true}"));
	objects_close(&o);
	capture_expect(&c, "a:\n- q: 1\nb: x\ne: {}\ni: 10.0.0.1\nm: |\n  1\n  2\ns: \"12:30\"\nz: "
	                   "null\n---\nk: true\n");
}

static void yaml_quotes(void **state)
{
	static const char *const special[] = {"", "~", "null", "Yes", "n", "on", "1", "-1", "0x1f",
	        "0b1", "1_000", "1.5", ".5", "1.", "1e3", "+1", ".inf", ".NaN", "12:30",
	        "2026-01-01", "2026-01-01T00:00:00Z", "<<"};
	static const char *const plain[] = {"a", "10.0.0.1", "1.2.3", "v1", "1a", "0x1g", "-", "1e",
	        "2026-01", "2026-01-01x", "yes please", ".", "e3"};
	(void)state;
	for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
		assert_true(yaml_out_is_special(span_of(special[i])));
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		assert_false(yaml_out_is_special(span_of(plain[i])));
}

/* --- differences --------------------------------------------------------------------- */

static void expect_diff(const char *old, const char *patch, const char *want)
{
	struct json_dom *a = json_dom_new(), *b = json_dom_new();
	struct json_node x, y;
	struct text t = {0};
	assert_int_equal(json_dom_parse(a, span_of(old), &x), ERR_OK);
	assert_int_equal(json_dom_parse(b, span_of(patch), &y), ERR_OK);
	diff_add(&t, x, y);
	assert_string_equal(text_cstr(&t), want);
	text_fini(&t);
	json_dom_free(&a);
	json_dom_free(&b);
}

static void diffs(void **state)
{
	(void)state;
	expect_diff("{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":3}}", "  a.b: 1 -> 3\n");
	expect_diff("{\"a\":1}", "{\"a\":null}", "  a: 1 -> (none)\n");
	expect_diff("{}", "{\"a.b\":\"x\"}", "  [\"a.b\"]: (none) -> \"x\"\n");
	expect_diff("{\"l\":[{\"x\":1,\"y\":2},5]}", "{\"l\":[{\"x\":1,\"z\":3},6,7]}",
	        "  l[0].z: (none) -> 3\n  l[0].y: 2 -> (none)\n  l[1]: 5 -> 6\n  l[2]: (none) -> "
	        "7\n");
	expect_diff("{\"metadata\":{\"resourceVersion\":\"1\"},\"a\":1}",
	        "{\"metadata\":{\"resourceVersion\":\"2\"},\"a\":{}}", "  a: 1 -> {}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table_layout),
	        cmocka_unit_test(table_edges), cmocka_unit_test(table_rolls_back),
	        cmocka_unit_test(text_of_others_commands_no_terminal),
	        cmocka_unit_test(object_gets_kind), cmocka_unit_test(pretty),
	        cmocka_unit_test(doubles), cmocka_unit_test(lists), cmocka_unit_test(yaml),
	        cmocka_unit_test(yaml_quotes), cmocka_unit_test(diffs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
