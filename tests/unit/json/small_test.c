/* number.h, unescape.h and member.h by themselves. */
#include "json/member.h"
#include "json/number.h"
#include "json/simd.h"
#include "json/unescape.h"

#include "unit/json/doc.h"

#include <stdio.h>

static void integers_fit_or_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} cases[] = {
	        {"0", true, 0},
	        {"-0", true, 0},
	        {"7", true, 7},
	        {"-12", true, -12},
	        {"9223372036854775807", true, INT64_MAX},
	        {"9223372036854775808", false, 0},
	        {"-9223372036854775808", true, INT64_MIN},
	        {"-9223372036854775809", false, 0},
	        {"99999999999999999999999", false, 0},
	        {"1.0", false, 0},
	        {"1e3", false, 0},
	        {"", false, 0},
	        {"-", false, 0},
	        {"true", false, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t v = 0;
		assert_int_equal(number_int(span_of(cases[i].text), &v), cases[i].ok);
		assert_true(v == cases[i].value);
	}
}

static void numbers_end_where_they_end(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int n; /* -1: no number */
	} cases[] = {
	        {"1,", 1},
	        {"-1.5e+3]", 7},
	        {"0}", 1},
	        {"0.1.2", 3},
	        {"1e5x", 3},
	        {"01", -1},
	        {"-", -1},
	        {"1.", -1},
	        {"1.e", -1},
	        {"1e", -1},
	        {".1", -1},
	        {"1.7976931348623157e308", 22},
	        {"1.7976931348623158e308", -1},
	        {"17976931348623157e292", 21},
	        {"17976931348623158e292", -1},
	        {"0.000017976931348623157e313", 27},
	        {"0.000017976931348623158e313", -1},
	        {"9e307", 5},
	        {"2e308", -1},
	        {"1e-999999999999", 15},
	        {"0e999999999999", 14},
	        {"0.000e400", 9},
	        {"1797693134862315.8e293", -1},
	        {"1797693134862315.7999e293", 25},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *p = cases[i].text, *end = number_end(p, p + strlen(p));
		assert_int_equal(end ? end - p : -1, cases[i].n);
	}
}

static void a_long_number_is_measured_by_its_first_digit(void **state)
{
	(void)state;
	char text[700];
	memset(text, '0', sizeof text);
	text[0] = '1';
	assert_null(number_end(text, text + 310));     /* 1e309 */
	assert_non_null(number_end(text, text + 309)); /* 1e308 */
	text[0] = '0';
	text[1] = '.';
	text[600] = '1';
	memcpy(text + 601, "e908", 4); /* times 10^-599 */
	assert_null(number_end(text, text + 605));
	memcpy(text + 601, "e907", 4);
	assert_ptr_equal(number_end(text, text + 605), text + 605);
}

static void escapes_become_text(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *text;
		bool lone;
	} cases[] = {
	        {"", "", false},
	        {"abc", "abc", false},
	        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", false},
	        {"\\u0041\\u007f", "A\x7F", false},
	        {"\\u0080\\u07ff", "\xC2\x80\xDF\xBF", false},
	        {"\\u0800\\uFFFF", "\xE0\xA0\x80\xEF\xBF\xBF", false},
	        {"\\ud800\\udc00", "\xF0\x90\x80\x80", false},
	        {"\\uDBFF\\uDFFF", "\xF4\x8F\xBF\xBF", false},
	        {"\\ud800", "\xEF\xBF\xBD", true},
	        {"\\udc00\\ud800x", "\xEF\xBF\xBD\xEF\xBF\xBDx", true},
	        {"\\ud800\\ud800\\udc00", "\xEF\xBF\xBD\xF0\x90\x80\x80", true},
	        {"\\ud800\\u0041",
	                "\xEF\xBF\xBD"
	                "A",
	                true},
	        {"\\ud800\\n", "\xEF\xBF\xBD\n", true},
	        {"a\\u00e9z", "a\xC3\xA9z", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char to[64], in_place[64];
		bool lone;
		struct span raw = span_of(cases[i].raw);
		size_t n = unescape(to, raw, &lone);
		assert_int_equal(n, strlen(cases[i].text));
		assert_memory_equal(to, cases[i].text, n);
		assert_int_equal(lone, cases[i].lone);
		memcpy(in_place, raw.p, raw.n);
		assert_int_equal(unescape(in_place, (struct span){in_place, raw.n}, NULL), n);
		assert_memory_equal(in_place, to, n);
		assert_true(unescape_equals(raw, span_of(cases[i].text)));
		assert_false(unescape_equals(raw, SPAN("other")));
	}
}

/* As a document prints them: with other bytes behind. */
static void only_whole_names_are_known(void **state)
{
	(void)state;
	static const char *const names[] = {"type", "object", "kind", "apiVersion", "metadata",
	        "name", "namespace", "uid", "resourceVersion", "managedFields", "annotations",
	        "k8s.io/initial-events-end", "code", "reason", "message", "details", "causes",
	        "retryAfterSeconds", "continue", "items"};
	assert_int_equal(ARRAY_LEN(names), MEMBER_COUNT - 1);
	uint32_t seen = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);
		struct span d = doc(names[i]);
		enum member_name k = member_name_of(d, false);
		assert_int_not_equal(k, MEMBER_OTHER);
		seen |= 1u << k;
		assert_int_equal(member_name_of(d, true), k);
		assert_int_equal(member_name_of((struct span){d.p, n - 1}, false), MEMBER_OTHER);
		assert_int_equal(member_name_of((struct span){d.p, n + 1}, false), MEMBER_OTHER);
		for (size_t at = 0; at < n; at++) { /* one byte wrong */
			char other[64] = {0};
			memcpy(other, names[i], n);
			other[at] ^= 1;
			struct span wrong = doc_bytes(other, n);
			assert_int_equal(member_name_of(wrong, false), MEMBER_OTHER);
			doc_free(&wrong);
		}
		doc_free(&d);
	}
	assert_int_equal(seen, (1u << MEMBER_COUNT) - 2);
}

/* The first `escapes` bytes as \\uXXXX, the others as they are. */
static struct span spelled(const char *name, size_t n, size_t escapes)
{
	char text[256];
	size_t at = 0;
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, i < escapes ? "\\u%04x" : "%c",
		        (unsigned char)name[i]);
	return doc_bytes(text, at);
}

static void names_are_known_however_they_are_spelled(void **state)
{
	(void)state;
	static const char *const names[] = {
	        "uid", "metadata", "resourceVersion", "k8s.io/initial-events-end"};
	static const enum member_name want[] = {
	        MEMBER_UID, MEMBER_METADATA, MEMBER_RESOURCE_VERSION, MEMBER_INITIAL_EVENTS_END};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);
		for (size_t escapes = 1; escapes <= n; escapes++) {
			struct span d = spelled(names[i], n, escapes), wrong;
			assert_int_equal(member_name_of(d, true), want[i]);
			doc_free(&d);
			char other[64] = {0};
			memcpy(other, names[i], n);
			other[n] = 'x';
			wrong = spelled(other, n + 1, escapes + 1);
			assert_int_equal(member_name_of(wrong, true), MEMBER_OTHER);
			doc_free(&wrong);
			other[escapes - 1] ^= 1;
			wrong = spelled(other, n, escapes);
			assert_int_equal(member_name_of(wrong, true), MEMBER_OTHER);
			doc_free(&wrong);
		}
	}
	struct span lone = doc("ui\\ud800"), nul = doc("uid\\u0000");
	assert_int_equal(member_name_of(lone, true), MEMBER_OTHER);
	assert_int_equal(member_name_of(nul, true), MEMBER_OTHER);
	doc_free(&lone);
	doc_free(&nul);
}

static void what_is_no_utf8_becomes_question_marks(void **state)
{
	(void)state;
	static const struct {
		const char *was, *is;
	} rows[] = {
	        {"", ""}, {"plain \x7f", "plain \x7f"},
	        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
	        {"\xff", "?"}, {"a\x80z", "a?z"}, {"\xc0\xaf", "??"}, /* overlong */
	        {"\xed\xa0\x80", "???"},                              /* a surrogate */
	        {"\xf4\x90\x80\x80", "????"},                         /* above U+10FFFF */
	        {"\xe2\x82", "??"},                                   /* cut off by the end, */
	        {"\xe2\x82\xc3\xa4", "??\xc3\xa4"},                   /* or by the next one */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].was);
		char *copy = malloc(n + 1);
		memcpy(copy, rows[i].was, n + 1);
		bool mended = json_mend_utf8((struct span){copy, n});
		assert_string_equal(copy, rows[i].is);
		assert_int_equal(mended, strcmp(rows[i].was, rows[i].is) != 0);
		free(copy);
	}
}

/* Otherwise the audit would be one that cannot fail. */
static void the_second_reader_sees_every_difference(void **state)
{
	(void)state;
	static const char text[] =
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web\",\"uid\":null,"
	        "\"resourceVersion\":\"42\"}}}";
	const struct simd_claim right = {.type = "ADDED",
	        .type_bytes = 5,
	        .has_object = true,
	        .text = {"web", NULL, NULL, "42"},
	        .text_bytes = {3, 0, 0, 2},
	        .object_at = 25,
	        .object_bytes = sizeof text - 1 - 26};
	struct simd *s = simd_new();
	struct span d = doc(text);
	assert_true(simd_agrees(s, d.p, d.n, &right));
	for (int i = 0; i < 8; i++) {
		struct simd_claim wrong = right;
		switch (i) {
		case 0: wrong.type = "DELET"; break;
		case 1: wrong.type_bytes = 4; break;
		case 2: wrong.text[0] = "wep"; break;
		case 3: wrong.text[1] = "ns", wrong.text_bytes[1] = 2; break;
		case 4: wrong.text[2] = "u", wrong.text_bytes[2] = 1; break;
		case 5: wrong.text_bytes[3] = 0; break;
		case 6: wrong.object_at++; break;
		default: wrong.object_bytes++; break;
		}
		assert_false(simd_agrees(s, d.p, d.n, &wrong));
	}
	static const char *const other[] = {"{\"type\":\"ADDED\"}",
	        "{\"type\":\"ADDED\",\"object\":[]}", "[]",
	        "{\"type\":\"ADDED\",\"object\":  {\"metadata\":7}}", "{\"type\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		struct span o = doc(other[i]);
		assert_false(simd_agrees(s, o.p, o.n, &right));
		doc_free(&o);
	}
	doc_free(&d);
	simd_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(integers_fit_or_are_refused),
	        cmocka_unit_test(numbers_end_where_they_end),
	        cmocka_unit_test(a_long_number_is_measured_by_its_first_digit),
	        cmocka_unit_test(escapes_become_text),
	        cmocka_unit_test(only_whole_names_are_known),
	        cmocka_unit_test(names_are_known_however_they_are_spelled),
	        cmocka_unit_test(what_is_no_utf8_becomes_question_marks),
	        cmocka_unit_test(the_second_reader_sees_every_difference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
