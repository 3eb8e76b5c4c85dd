#include "unit/json/one_parser.h"

static void an_expired_version_is_read(void **state)
{
	(void)state;
	struct json_status st;
	struct span d = doc("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{\"continue\":"
	                    "\"eyJ2\\u0022\"},\"status\":\"Failure\","
	                    "\"message\":\"too old resource version: 1 "
	                    "(2)\\n\",\"reason\":\"Expired\",\"code\":410}");
	assert_int_equal(json_scan_status(parser, d, &st), ERR_OK);
	assert_int_equal(st.code, 410);
	assert_span(st.reason, "Expired");
	assert_span(st.message, "too old resource version: 1 (2)\n");
	assert_false(st.too_large_rv);
	assert_int_equal(st.retry_after_seconds, 0);
	doc_free(&d);
}

static void details_are_read(void **state)
{
	(void)state;
	struct json_status st;
	struct span d = doc("{\"code\":504,\"details\":{\"causes\":[{},7,[],{\"reason\":\"Other\"},"
	                    "{\"message\":\"m\",\"reason\":"
	                    "\"ResourceVersionTooLarge\"},{\"reason\":\"Last\"}],"
	                    "\"retryAfterSeconds\":1},\"reason\":\"Timeout\"}");
	assert_int_equal(json_scan_status(parser, d, &st), ERR_OK);
	assert_int_equal(st.code, 504);
	assert_true(st.too_large_rv);
	assert_int_equal(st.retry_after_seconds, 1);
	assert_span(st.reason, "Timeout");
	doc_free(&d);
	d = doc("{\"details\":{\"causes\":[],\"retryAfterSeconds\":30,\"x\":0},\"kind\":\"Status\","
	        "\"code\":429}");
	assert_int_equal(json_scan_status(parser, d, &st), ERR_OK);
	assert_false(st.too_large_rv);
	assert_int_equal(st.retry_after_seconds, 30);
	assert_int_equal(st.code, 429);
	doc_free(&d);
}

static void anything_else_has_no_code(void **state)
{
	(void)state;
	static const char *const other[] = {"{}", "[]", "null", "1", "\"Status\"",
	        "[{\"code\":410}]", "{\"kind\":\"Pod\",\"code\":410}",
	        "{\"code\":410,\"kind\":\"PodList\",\"reason\":\"x\"}", "{\"code\":\"410\"}",
	        "{\"code\":4.1e2}", "{\"code\":null}", "{\"code\":{}}", "{\"code\":99999999999}",
	        "{\"code\":-99999999999999999999}"};
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		struct json_status st = {.code = 1};
		struct span d = doc(other[i]);
		assert_int_equal(json_scan_status(parser, d, &st), ERR_OK);
		assert_int_equal(st.code, 0);
		assert_int_equal(st.reason.n, 0);
		doc_free(&d);
	}
}

static void mistyped_members_are_passed_over(void **state)
{
	(void)state;
	struct json_status st;
	struct span d = doc("{\"kind\":\"Status\",\"code\":500,\"reason\":7,\"message\":[],"
	                    "\"metadata\":[],\"details\":{\"causes\":{},"
	                    "\"retryAfterSeconds\":-5}}");
	assert_int_equal(json_scan_status(parser, d, &st), ERR_OK);
	assert_int_equal(st.code, 500);
	assert_int_equal(st.retry_after_seconds, 0);
	assert_int_equal(st.reason.n + st.message.n, 0);
	doc_free(&d);
}

static void what_is_no_json_is_an_error(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "", "404 page not found", "<html>", "{\"code\":410", "{\"code\":410}x"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct json_status st;
		struct span d = doc(bad[i]);
		assert_int_equal(json_scan_status(parser, d, &st), ERR_JSON_SYNTAX);
		assert_int_equal(st.code, 0);
		doc_free(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_expired_version_is_read),
	        cmocka_unit_test(details_are_read),
	        cmocka_unit_test(anything_else_has_no_code),
	        cmocka_unit_test(mistyped_members_are_passed_over),
	        cmocka_unit_test(what_is_no_json_is_an_error),
	};
	return cmocka_run_group_tests(tests, open_parser, close_parser);
}
