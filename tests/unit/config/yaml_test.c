/* yaml.c and yaml_json.c: the tree, its places, and every limit at its edge. */
#include "config/yaml.h"

#include "config/yaml_json.h"
#include "scratch.h"

static err_t load(struct yaml *y, const char *text, struct problem_list *problems)
{
	return yaml_load(y, "f.yaml", span_of(text), problems);
}

static void yaml_reads_a_tree_with_places(void **state)
{
	(void)state;
	struct yaml y;
	assert_int_equal(load(&y, "a: 1\nlist:\n- x\n- {k: \"v\"}\n", NULL), ERR_OK);
	const struct yaml_node *list = yaml_get(y.root, "list");
	assert_int_equal(list->kind, YAML_KIND_LIST);
	assert_int_equal(list->count, 2);
	const struct yaml_node *v = yaml_get(list->items[1], "k");
	assert_string_equal(v->text.p, "v");
	assert_false(v->plain);
	assert_int_equal(v->line, 4);
	assert_int_equal(v->column, 7);
	assert_true(yaml_get(y.root, "a")->plain);
	assert_null(yaml_get(y.root, "b"));
	assert_null(yaml_get(list, "a"));
	assert_null(yaml_get(NULL, "a"));
	yaml_fini(&y);
}

static void yaml_empty_documents_have_no_root(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "\n\n", "# nothing\n", "---\n", "null\n", "~"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct yaml y;
		assert_int_equal(load(&y, texts[i], NULL), ERR_OK);
		assert_null(y.root);
		yaml_fini(&y);
	}
}

static void yaml_reads_json_and_byte_order_marks(void **state)
{
	(void)state;
	struct yaml y;
	assert_int_equal(load(&y, "{\n\t\"a\": [\"b\\/c\", 1, true, null]\n}\n", NULL), ERR_OK);
	assert_string_equal(yaml_get(y.root, "a")->items[0]->text.p, "b/c");
	yaml_fini(&y);
	assert_int_equal(load(&y,
	                         "\xef\xbb\xbf"
	                         "a: b\r\n",
	                         NULL),
	        ERR_OK);
	assert_string_equal(yaml_get(y.root, "a")->text.p, "b");
	yaml_fini(&y);
}

static void yaml_errors_name_file_line_and_column(void **state)
{
	(void)state;
	static const struct {
		const char *text, *problem;
	} rows[] = {
	        {"a: b\nc: [\n", "E f.yaml:3:1: "},
	        {"a: 1\nb: 2\na: 3\n", "E f.yaml:3:1: key given twice: a"},
	        {"x: {k: 1, k: 2}\n", "E f.yaml:1:11: key given twice: k"},
	        {"a: 1\n---\nb: 2\n", "E f.yaml:2:1: a second document"},
	        {"a:\n\tb: 1\n", "E f.yaml:2:1: found character that cannot start any token"},
	        {"a: \"b\\0c\"\n", "E f.yaml:1:4: a NUL character"},
	        {"? [a]\n: b\n", "E f.yaml:1:3: a key must be a string"},
	        {"a: !!binary aGk=\n", "E f.yaml:1:4: unknown tag tag:yaml.org,2002:binary"},
	        {"a: !mine {}\n", "E f.yaml:1:4: unknown tag !mine"},
	        {"a: *nope\n", "E f.yaml:1:4: alias of an unknown anchor: *nope"},
	        {"a: &x [*x]\n", "E f.yaml:1:8: anchor contains itself: *x"},
	        {"a: &x {b: {c: *x}}\n", "anchor contains itself: *x"},
	        {"a: {<<: 1}\n", "E f.yaml:1:5: << needs a mapping"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct problem_list problems;
		struct yaml y;
		problem_list_init(&problems);
		assert_int_equal(load(&y, rows[i].text, &problems), ERR_CONFIG);
		assert_int_equal(problems.errors, 1);
		scratch_has(scratch_problems(&problems), rows[i].problem);
		problem_list_fini(&problems);
	}
}

static void yaml_refuses_raw_nul_with_its_line(void **state)
{
	(void)state;
	static const char text[] = "a: b\nc: d\0e\n";
	struct problem_list problems;
	struct yaml y;
	problem_list_init(&problems);
	assert_int_equal(
	        yaml_load(&y, "f", (struct span){text, sizeof text - 1}, &problems), ERR_CONFIG);
	scratch_has(scratch_problems(&problems), "E f:2:5: control characters are not allowed");
	problem_list_fini(&problems);
}

static void yaml_merge_keys_work_as_in_kubectl(void **state)
{
	(void)state;
	struct yaml y;
	assert_int_equal(load(&y,
	                         "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
	                         "c: {<<: *a, x: 3}\nd:\n  <<: [*a, *b]\n  w: 0\ne: {\"<<\": 1}\n",
	                         NULL),
	        ERR_OK);
	const struct yaml_node *c = yaml_get(y.root, "c"), *d = yaml_get(y.root, "d");
	assert_int_equal(c->count, 2);
	assert_string_equal(yaml_get(c, "x")->text.p, "3");
	assert_string_equal(yaml_get(c, "y")->text.p, "1");
	assert_int_equal(d->count, 4);
	assert_string_equal(yaml_get(d, "y")->text.p, "1");
	assert_string_equal(yaml_get(d, "z")->text.p, "2");
	assert_non_null(yaml_get(yaml_get(y.root, "e"), "<<")); /* quoted: an ordinary key */
	yaml_fini(&y);
}

static char *nested(unsigned depth)
{
	char *text = calloc(1, 2 * depth + 1);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return text;
}

static void yaml_limits_nesting(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		struct problem_list problems;
		struct yaml y;
		problem_list_init(&problems);
		char *text = nested(YAML_DEPTH_MAX + (unsigned)over);
		err_t e = load(&y, text, &problems);
		assert_int_equal(e, over ? ERR_CONFIG : ERR_OK);
		if (over)
			scratch_has(scratch_problems(&problems), "f.yaml:1:65: nested too deep");
		else
			yaml_fini(&y);
		free(text);
		problem_list_fini(&problems);
	}
}

static void yaml_limits_anchors(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		char text[8192];
		size_t n = 0;
		for (int i = 0; i < YAML_ANCHORS_MAX + over; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "- &a%d x\n", i);
		struct yaml y;
		err_t e = load(&y, text, NULL);
		assert_int_equal(e, over ? ERR_CONFIG : ERR_OK);
		if (e == ERR_OK)
			yaml_fini(&y);
	}
}

static void yaml_limits_keys(void **state)
{
	(void)state;
	char *text = malloc(YAML_KEYS_MAX * 16);
	for (int over = 0; over < 2; over++) {
		size_t n = 0;
		for (int i = 0; i < YAML_KEYS_MAX + over; i++)
			n += (size_t)snprintf(text + n, 16, "k%d: v\n", i);
		struct problem_list problems;
		struct yaml y;
		problem_list_init(&problems);
		err_t e = load(&y, text, &problems);
		assert_int_equal(e, over ? ERR_CONFIG : ERR_OK);
		if (over)
			scratch_has(scratch_problems(&problems), "f.yaml:1:1: too many keys");
		else
			yaml_fini(&y);
		problem_list_fini(&problems);
	}
	free(text);
}

/* Nine levels of nine aliases stand for 10^9 nodes; they must be refused by counting, not by making
 * them. */
static void yaml_refuses_an_alias_bomb(void **state)
{
	(void)state;
	char text[2048] = "a0: &a0 x\n";
	for (int i = 1; i <= 9; i++) {
		size_t n = strlen(text);
		n += (size_t)snprintf(text + n, sizeof text - n, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			n += (size_t)snprintf(
			        text + n, sizeof text - n, "%s*a%d", k ? "," : "", i - 1);
		snprintf(text + n, sizeof text - n, "]\n");
	}
	struct problem_list problems;
	struct yaml y;
	problem_list_init(&problems);
	assert_int_equal(load(&y, text, &problems), ERR_CONFIG);
	scratch_has(scratch_problems(&problems), "too many nodes");
	problem_list_fini(&problems);
}

/* A list of 999 scalars is 1,000 nodes; with 1,998 aliases of it, 999 more scalars and the list
 * around them all, that is 2,000,000. */
static void yaml_limits_nodes_exactly(void **state)
{
	(void)state;
	size_t size = 65536, n;
	char *text = malloc(size);
	for (int over = 0; over < 2; over++) {
		n = (size_t)snprintf(text, size, "[&a [x");
		for (int i = 1; i < 999; i++)
			n += (size_t)snprintf(text + n, size - n, ",x");
		n += (size_t)snprintf(text + n, size - n, "]");
		for (int i = 0; i < 1998; i++)
			n += (size_t)snprintf(text + n, size - n, ", *a");
		for (int i = 0; i < 999 + over; i++)
			n += (size_t)snprintf(text + n, size - n, ",x");
		snprintf(text + n, size - n, "]");
		struct yaml y;
		err_t e = load(&y, text, NULL);
		assert_int_equal(e, over ? ERR_CONFIG : ERR_OK);
		if (e == ERR_OK) {
			assert_int_equal(y.root->weight, YAML_NODES_MAX);
			yaml_fini(&y);
		}
	}
	free(text);
}

static void yaml_refuses_more_than_64_mib(void **state)
{
	(void)state;
	struct yaml y;
	size_t n = YAML_BYTES_MAX + 1;
	char *text = malloc(n);
	memset(text, '\n', n);
	assert_int_equal(yaml_load(&y, "f", (struct span){text, n}, NULL), ERR_LIMIT);
	assert_int_equal(yaml_load(&y, "f", (struct span){text, n - 1}, NULL), ERR_OK);
	yaml_fini(&y);
	free(text);
}

static void yaml_finds_twice_given_keys_in_large_mappings(void **state)
{
	(void)state;
	char text[4096];
	size_t n = 0;
	for (int i = 0; i < 200; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "k%d: v\n", i);
	struct yaml y;
	assert_int_equal(load(&y, text, NULL), ERR_OK);
	assert_int_equal(y.root->count, 200);
	assert_non_null(yaml_get(y.root, "k199"));
	yaml_fini(&y);
	snprintf(text + n, sizeof text - n, "k7: again\n");
	struct problem_list problems;
	problem_list_init(&problems);
	assert_int_equal(load(&y, text, &problems), ERR_CONFIG);
	scratch_has(scratch_problems(&problems), "f.yaml:201:1: key given twice: k7");
	problem_list_fini(&problems);
}

static void yaml_booleans_are_those_of_yaml_1_1_and_never_quoted(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int value; /* -1: none */
	} rows[] = {
	        {"true", 1},
	        {"yes", 1},
	        {"On", 1},
	        {"y", 1},
	        {"FALSE", 0},
	        {"no", 0},
	        {"off", 0},
	        {"n", 0},
	        {"\"true\"", -1},
	        {"'no'", -1},
	        {"1", -1},
	        {"tRUE", -1},
	        {"", -1},
	        {"!!str true", -1},
	        {"[]", -1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[64];
		struct yaml y;
		bool value = false;
		snprintf(text, sizeof text, "a: %s\n", rows[i].text);
		assert_int_equal(load(&y, text, NULL), ERR_OK);
		bool is = yaml_bool(yaml_get(y.root, "a"), &value);
		assert_int_equal(is, rows[i].value >= 0);
		if (is)
			assert_int_equal(value, rows[i].value);
		yaml_fini(&y);
	}
}

static void yaml_turns_into_json(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *json;
	} rows[] = {
	        {"a: {b: [1, -2.5e+3, 007, 0x1F, yes, ~, 'x', \"1\"]}",
	                "{\"a\":{\"b\":[1,-2.5e+3,\"007\",\"0x1F\",true,null,\"x\",\"1\"]}}"},
	        {"- \"q\\\"b\\\\n\\nt\\t\\x01\"", "[\"q\\\"b\\\\n\\u000at\\u0009\\u0001\"]"},
	        {"{}", "{}"},
	        {"[[], {}, [{}]]", "[[],{},[{}]]"},
	        {"x", "\"x\""},
	        {"[1., .5, 1e, -, 1e5]", "[\"1.\",\".5\",\"1e\",\"-\",1e5]"},
	        {"a: &a [1]\nb: *a", "{\"a\":[1],\"b\":[1]}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct yaml y;
		struct text t = {.bytes_max = 1024};
		assert_int_equal(load(&y, rows[i].yaml, NULL), ERR_OK);
		yaml_json_push(&t, y.root);
		assert_false(t.broken);
		assert_string_equal(t.p, rows[i].json);
		text_fini(&t);
		yaml_fini(&y);
	}
}

static void yaml_json_stops_at_its_limits(void **state)
{
	(void)state;
	struct yaml y;
	assert_int_equal(load(&y, "[abc, def]", NULL), ERR_OK);
	for (size_t max = 0; max < 20; max++) {
		struct text t = {.bytes_max = max};
		yaml_json_push(&t, y.root);
		assert_int_equal(t.broken, max < strlen("[\"abc\",\"def\"]"));
		text_fini(&t);
	}
	yaml_fini(&y);
	/* depth 40 with an alias of depth 40 at its bottom is within the file's limit, but not
	 * within that of the text */
	char *half = nested(40), text[512];
	snprintf(text, sizeof text, "a: &a %s\nb: %.40s*a%s\n", half, half, half + 40);
	assert_int_equal(load(&y, text, NULL), ERR_OK);
	struct text t = {.bytes_max = 4096};
	yaml_json_push(&t, y.root);
	assert_true(t.broken);
	text_fini(&t);
	free(half);
	yaml_fini(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(yaml_reads_a_tree_with_places),
	        cmocka_unit_test(yaml_empty_documents_have_no_root),
	        cmocka_unit_test(yaml_reads_json_and_byte_order_marks),
	        cmocka_unit_test(yaml_errors_name_file_line_and_column),
	        cmocka_unit_test(yaml_refuses_raw_nul_with_its_line),
	        cmocka_unit_test(yaml_merge_keys_work_as_in_kubectl),
	        cmocka_unit_test(yaml_limits_nesting),
	        cmocka_unit_test(yaml_limits_anchors),
	        cmocka_unit_test(yaml_limits_keys),
	        cmocka_unit_test(yaml_refuses_an_alias_bomb),
	        cmocka_unit_test(yaml_limits_nodes_exactly),
	        cmocka_unit_test(yaml_refuses_more_than_64_mib),
	        cmocka_unit_test(yaml_finds_twice_given_keys_in_large_mappings),
	        cmocka_unit_test(yaml_booleans_are_those_of_yaml_1_1_and_never_quoted),
	        cmocka_unit_test(yaml_turns_into_json),
	        cmocka_unit_test(yaml_json_stops_at_its_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
