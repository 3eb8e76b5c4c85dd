/* report_test.c - JSON as it is written: commas, escapes, bytes that are no UTF-8; held against the
 * engine's own parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "control/report.h"
#include "json/json.h"

static void writes_members_with_commas_where_they_belong(void **s)
{
	struct report t = {0};
	(void)s;
	report_open(&t, NULL, '{');
	report_open(&t, "empty", '[');
	report_close(&t, ']');
	report_open(&t, "two", '[');
	report_uint(&t, NULL, 0);
	report_uint(&t, NULL, UINT64_MAX);
	report_close(&t, ']');
	report_cstr(&t, "none", NULL);
	report_cstr(&t, "text", "x");
	report_bool(&t, "yes", true);
	report_bool(&t, "no", false);
	report_open(&t, "inner", '{');
	report_seconds(&t, "seconds", 1250000000u);
	report_seconds(&t, "little", 999999u);
	report_close(&t, '}');
	report_seconds(&t, "last", 59999999999u);
	report_close(&t, '}');
	assert_false(t.failed);
	assert_string_equal(t.p,
	        "{\"empty\":[],\"two\":[0,18446744073709551615],\"none\":null,\"text\":\"x\","
	        "\"yes\":true,"
	        "\"no\":false,\"inner\":{\"seconds\":1.250,\"little\":0.000},\"last\":59.999}");
	assert_int_equal(t.n, strlen(t.p));
	report_fini(&t);
	assert_null(t.p);
}

static void string_is(const char *bytes, size_t n, const char *expected)
{
	struct report t = {0};
	report_string(&t, NULL, (struct span){bytes, n});
	assert_string_equal(t.p, expected);
	report_fini(&t);
}
#define STRING_IS(bytes, expected) string_is(bytes, sizeof bytes - 1, "\"" expected "\"")

static void escapes_what_json_wants_escaped(void **s)
{
	(void)s;
	STRING_IS("", "");
	STRING_IS("a\"b\\c/d", "a\\\"b\\\\c/d");
	STRING_IS("\t\n\r\x01\x1f\x20\x7f", "\\u0009\\u000a\\u000d\\u0001\\u001f \x7f");
	STRING_IS("a\0b", "a\\u0000b");
}

/* The first and last code point of each length, and their neighbours that are none (RFC 3629). */
static void replaces_what_is_no_utf8(void **s)
{
#define BAD "\xEF\xBF\xBD"
	(void)s;
	STRING_IS("\xC2\x80 \xDF\xBF", "\xC2\x80 \xDF\xBF");
	STRING_IS("\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF",
	        "\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF");
	STRING_IS("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF");
	STRING_IS("\x80", BAD);
	STRING_IS("\xC1\xBF", BAD BAD);         /* overlong */
	STRING_IS("\xE0\x9F\xBF", BAD BAD BAD); /* overlong */
	STRING_IS("\xED\xA0\x80", BAD BAD BAD); /* a surrogate */
	STRING_IS("\xF0\x8F\xBF\xBF", BAD BAD BAD BAD);
	STRING_IS("\xF4\x90\x80\x80", BAD BAD BAD BAD); /* over U+10FFFF */
	STRING_IS("\xF5\x80\x80\x80", BAD BAD BAD BAD);
	STRING_IS("\xC3", BAD); /* cut off at the end */
	STRING_IS("\xE2\x82", BAD BAD);
	STRING_IS("\xF0\x9F\x98", BAD BAD BAD);
	STRING_IS("\xE2\x82z", BAD BAD "z");
}

/* Whatever the bytes, a strict parser takes the text, and valid UTF-8 comes back as it was. */
static void random_bytes_make_json(void **s)
{
	struct prng rng = {7};
	struct json_dom *dom = json_dom_new();
	(void)s;
	for (int round = 0; round < 3000; round++) {
		char bytes[40];
		struct report t = {0};
		struct json_node root;
		size_t n = prng_below(&rng, sizeof bytes + 1);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(prng_below(&rng, 3) ? prng_below(&rng, 256)
			                                      : prng_below(&rng, 36));
		report_open(&t, NULL, '{');
		report_string(&t, "v", (struct span){bytes, n});
		report_close(&t, '}');
		assert_int_equal(json_dom_parse(dom, (struct span){t.p, t.n}, &root), ERR_OK);
		struct span back = json_dom_string(json_dom_get(root, "v"));
		if (!strstr(t.p, "\xEF\xBF\xBD")) {
			assert_int_equal(back.n, n);
			assert_memory_equal(back.p, bytes, n);
		}
		report_fini(&t);
	}
	json_dom_free(&dom);
}

static void grows_past_its_first_room(void **s)
{
	struct report t = {0};
	char part[101];
	(void)s;
	memset(part, 'x', sizeof part - 1);
	part[100] = '\0';
	for (int i = 0; i < 500; i++)
		report_printf(&t, "%s", part);
	for (size_t n = 1022; n <= 1026; n++) { /* around the first room */
		struct report edge = {0};
		for (size_t i = 0; i < n; i++)
			report_add(&edge, SPAN("y"));
		assert_int_equal(strlen(edge.p), n);
		report_fini(&edge);
	}
	assert_int_equal(t.n, 50000);
	assert_int_equal(strlen(t.p), 50000);
	report_fini(&t);
}

static void after_a_failure_nothing_is_written(void **s)
{
	struct report t = {0};
	(void)s;
	report_cstr(&t, NULL, "whole");
	size_t n = t.n;
	t.failed = true;
	report_uint(&t, "more", 1);
	report_printf(&t, "%d", 2);
	assert_int_equal(t.n, n);
	assert_string_equal(t.p, "\"whole\"");
	report_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(writes_members_with_commas_where_they_belong),
	        cmocka_unit_test(escapes_what_json_wants_escaped),
	        cmocka_unit_test(replaces_what_is_no_utf8),
	        cmocka_unit_test(random_bytes_make_json),
	        cmocka_unit_test(grows_past_its_first_room),
	        cmocka_unit_test(after_a_failure_nothing_is_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
