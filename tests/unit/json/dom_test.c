#include "unit/json/doc.h"

static const char text[] = " {\"a\":{\"b\":[10,{\"c\":\"x\\ty\\u00e9\"},-7.25e2,true,false,null]},"
                           "\"\":\"empty\",\"s\":\"\",\"k\\n\":1,"
                           "\"big\":9223372036854775807,\"over\":9223372036854775808,\"low\":-"
                           "9223372036854775808,\"deep\":[[],{},[[1]]]} ";

static struct json_dom *dom;
static struct json_node root;

static int open_dom(void **state)
{
	(void)state;
	dom = json_dom_new();
	return dom && !json_dom_parse(dom, SPAN(text), &root) ? 0 : -1;
}

static int close_dom(void **state)
{
	(void)state;
	json_dom_free(&dom);
	assert_null(dom);
	return 0;
}

static void paths_lead_to_values(void **state)
{
	(void)state;
	assert_int_equal(json_dom_int(json_dom_path(root, "a.b.0"), -1), 10);
	assert_span(json_dom_string(json_dom_path(root, "a.b.1.c")), "x\ty\xC3\xA9");
	assert_true(json_dom_double(json_dom_path(root, "a.b.2"), 0) == -725.0);
	assert_true(json_dom_double(json_dom_path(root, "a.b.0"), 0) == 10.0);
	assert_true(json_dom_bool(json_dom_path(root, "a.b.3"), false));
	assert_false(json_dom_bool(json_dom_path(root, "a.b.4"), true));
	assert_int_equal(json_dom_type(json_dom_path(root, "a.b.5")), JSON_NULL);
	assert_true(json_dom_exists(json_dom_path(root, "a.b.5")));
	assert_int_equal(json_dom_int(json_dom_path(root, "deep.2.0.0"), 0), 1);
	assert_span(json_dom_string(json_dom_get(root, "")), "empty");
	assert_int_equal(json_dom_int(json_dom_get(root, "k\n"), 0), 1);
}

static void types_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(json_dom_type(root), JSON_OBJECT);
	assert_int_equal(json_dom_type(json_dom_path(root, "a.b")), JSON_ARRAY);
	assert_int_equal(json_dom_type(json_dom_path(root, "a.b.0")), JSON_INT);
	assert_int_equal(json_dom_type(json_dom_path(root, "a.b.2")), JSON_DOUBLE);
	assert_int_equal(json_dom_type(json_dom_path(root, "a.b.3")), JSON_BOOL);
	assert_int_equal(json_dom_type(json_dom_path(root, "s")), JSON_STRING);
	assert_int_equal(json_dom_type(json_dom_path(root, "big")), JSON_INT);
	assert_true(json_dom_int(json_dom_path(root, "big"), 0) == INT64_MAX);
	assert_true(json_dom_int(json_dom_path(root, "low"), 0) == INT64_MIN);
	assert_int_equal(json_dom_type(json_dom_path(root, "over")), JSON_DOUBLE);
	assert_int_equal(json_dom_int(json_dom_path(root, "over"), -3), -3);
	assert_true(json_dom_double(json_dom_path(root, "over"), 0) == 9223372036854775808.0);
}

static void what_is_not_there_answers_nothing(void **state)
{
	(void)state;
	static const char *const paths[] = {"x", "a.x", "a.b.6", "a.b.-1", "a.b.x", "a.b.1.c.d",
	        "s.x", "a..b", "a.b.99999999999999999999"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct json_node n = json_dom_path(root, paths[i]);
		assert_false(json_dom_exists(n));
		assert_false(json_dom_exists(json_dom_path(n, "a")));
		assert_int_equal(json_dom_type(n), JSON_NULL);
		assert_int_equal(json_dom_string(n).n, 0);
		assert_int_equal(json_dom_int(n, 5), 5);
		assert_true(json_dom_double(n, 0.5) == 0.5);
		assert_true(json_dom_bool(n, true));
		struct json_iter it = {0};
		struct json_node value;
		assert_false(json_dom_next(n, &it, NULL, &value));
	}
	assert_false(json_dom_exists((struct json_node){0}));
	assert_false(json_dom_exists((struct json_node){dom, UINT64_MAX}));
	assert_false(json_dom_exists((struct json_node){dom, 3})); /* a colon */
	assert_int_equal(json_dom_string(root).n, 0);
	assert_true(json_dom_bool(json_dom_get(root, "s"), true));
}

static void iteration_visits_all_in_order(void **state)
{
	(void)state;
	static const char *const keys[] = {"a", "", "s", "k\n", "big", "over", "low", "deep"};
	struct json_iter it = {0};
	struct json_node value;
	struct span key;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		assert_true(json_dom_next(root, &it, &key, &value));
		assert_span(key, keys[i]);
	}
	assert_false(json_dom_next(root, &it, &key, &value));
	it = (struct json_iter){0};
	size_t count = 0;
	while (json_dom_next(json_dom_path(root, "a.b"), &it, &key, &value)) {
		assert_int_equal(key.n, 0);
		count++;
	}
	assert_int_equal(count, 6);
	it = (struct json_iter){0};
	assert_false(json_dom_next(json_dom_path(root, "deep.0"), &it, &key, &value));
	it = (struct json_iter){0};
	assert_false(json_dom_next(json_dom_path(root, "deep.1"), &it, &key, &value));
}

static void of_two_members_the_last_counts(void **state)
{
	(void)state;
	struct json_dom *d = json_dom_new();
	struct json_node n;
	assert_int_equal(json_dom_parse(d, SPAN("{\"a\":1,\"b\":2,\"a\":3}"), &n), ERR_OK);
	assert_int_equal(json_dom_int(json_dom_get(n, "a"), 0), 3);
	json_dom_free(&d);
}

static void a_failed_parse_leaves_no_nodes(void **state)
{
	(void)state;
	struct json_dom *d = json_dom_new();
	struct json_node old, n;
	assert_int_equal(json_dom_parse(d, SPAN("[1,2]"), &old), ERR_OK);
	assert_int_equal(json_dom_parse(d, SPAN("[1,"), &n), ERR_JSON_SYNTAX);
	assert_false(json_dom_exists(n));
	assert_false(json_dom_exists(old));
	assert_int_equal(json_dom_parse(d, SPAN_NONE, &n), ERR_JSON_SYNTAX);
	assert_int_equal(json_dom_parse(d, SPAN("\"\\ud800 \\ud83d\\ude00\""), &n), ERR_OK);
	assert_span(json_dom_string(n), "\xEF\xBF\xBD \xF0\x9F\x98\x80");
	assert_int_equal(json_dom_parse(d, SPAN("12"), &n), ERR_OK);
	assert_int_equal(json_dom_int(n, 0), 12);
	json_dom_free(&d);
}

static void the_deepest_document_is_walked(void **state)
{
	(void)state;
	char deep[2 * JSON_DEPTH_MAX], path[2 * JSON_DEPTH_MAX + 1];
	memset(deep, '[', JSON_DEPTH_MAX);
	memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	struct json_dom *d = json_dom_new();
	struct json_node n;
	assert_int_equal(json_dom_parse(d, (struct span){deep, sizeof deep}, &n), ERR_OK);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		memcpy(path + 2 * i, "0.", 2);
	path[2 * (JSON_DEPTH_MAX - 1) - 1] = '\0';
	assert_int_equal(json_dom_type(json_dom_path(n, path)), JSON_ARRAY);
	assert_true(json_dom_exists(json_dom_path(n, path)));
	json_dom_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(paths_lead_to_values),
	        cmocka_unit_test(types_are_told_apart),
	        cmocka_unit_test(what_is_not_there_answers_nothing),
	        cmocka_unit_test(iteration_visits_all_in_order),
	        cmocka_unit_test(of_two_members_the_last_counts),
	        cmocka_unit_test(a_failed_parse_leaves_no_nodes),
	        cmocka_unit_test(the_deepest_document_is_walked),
	};
	return cmocka_run_group_tests(tests, open_dom, close_dom);
}
