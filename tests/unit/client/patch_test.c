#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "harness/json_patch.h"
#include "include/kubering.h"

static char out[1 << 20];

static const char *patch(const char *from, const char *to)
{
	size_t size = 0;
	int r = kr_merge_patch(from, strlen(from), to, strlen(to), out, sizeof out - 1, &size);
	if (r != KR_OK)
		return kr_strerror(r);
	out[size] = '\0';
	return out;
}

static int result(const char *from, const char *to)
{
	size_t size = 0;
	return kr_merge_patch(from, strlen(from), to, strlen(to), out, sizeof out, &size);
}

/* The property: applied to from, the patch gives to (nulls aside). */
static void check(const char *from, size_t from_bytes, const char *to, size_t to_bytes)
{
	size_t size = 0;
	assert_int_equal(
	        kr_merge_patch(from, from_bytes, to, to_bytes, out, sizeof out, &size), KR_OK);
	char *exact = malloc(size); /* ASan sees a byte too many */
	size_t again = 0;
	assert_int_equal(
	        kr_merge_patch(from, from_bytes, to, to_bytes, exact, size, &again), KR_OK);
	assert_int_equal(again, size);
	if (size > 1)
		assert_int_equal(
		        kr_merge_patch(from, from_bytes, to, to_bytes, exact, size - 1, &again),
		        KR_ERR_SPACE);
	assert_int_equal(again, size);
	assert_int_equal(
	        kr_merge_patch(from, from_bytes, to, to_bytes, exact, size, &again), KR_OK);
	struct patch_value *a = patch_parse(from, from_bytes), *b = patch_parse(to, to_bytes);
	struct patch_value *p = patch_parse(exact, size);
	assert_non_null(a);
	assert_non_null(b);
	if (!p)
		fail_msg("no JSON: %.*s", (int)size, exact);
	a = patch_apply(a, p);
	patch_drop_nulls(a);
	patch_drop_nulls(b);
	if (!patch_equal(a, b))
		fail_msg("from %.*s to %.*s by %.*s", (int)from_bytes, from, (int)to_bytes, to,
		        (int)size, exact);
	patch_free(a);
	patch_free(b);
	free(exact);
}

static void check_text(const char *from, const char *to)
{
	check(from, strlen(from), to, strlen(to));
	check(to, strlen(to), from, strlen(from));
}

static void small_patches(void **state)
{
	(void)state;
	assert_string_equal(patch("{}", "{}"), "{}");
	assert_string_equal(patch(" {\"a\":1} ", "\n{\"a\": 1 }\n"), "{}");
	assert_string_equal(patch("{\"a\":1}", "{\"a\":2}"), "{\"a\":2}");
	assert_string_equal(patch("{\"a\":1}", "{}"), "{\"a\":null}");
	assert_string_equal(patch("{}", "{\"a\":1}"), "{\"a\":1}");
	assert_string_equal(
	        patch("{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"c\":3}"), "{\"b\":null}");
	assert_string_equal(patch("{\"a\":1,\"c\":3}", "{\"a\":1,\"b\":2,\"c\":3}"), "{\"b\":2}");
	assert_string_equal(patch("{\"a\":{\"b\":{\"c\":1,\"d\":2}},\"e\":5}",
	                            "{\"a\":{\"b\":{\"c\":1,\"d\":3}},\"e\":5}"),
	        "{\"a\":{\"b\":{\"d\":3}}}");
	assert_string_equal(patch("{\"a\":{\"x\":1},\"b\":{\"y\":1},\"c\":{}}",
	                            "{\"a\":{\"x\":2},\"b\":{\"y\":1},\"c\":{\"z\":0}}"),
	        "{\"a\":{\"x\":2},\"c\":{\"z\":0}}");
	assert_string_equal(
	        patch("{\"l\":[1,2,3]}", "{\"l\":[1,2]}"), "{\"l\":[1,2]}"); /* arrays whole */
	assert_string_equal(
	        patch("{\"a\":12}", "{\"a\":123}"), "{\"a\":123}"); /* a number that goes on */
	assert_string_equal(patch("{\"a\":123}", "{\"a\":12}"), "{\"a\":12}");
	assert_string_equal(patch("{\"a\":{\"b\":1}}", "{\"a\":[]}"), "{\"a\":[]}");
	assert_string_equal(patch("{\"a\":[]}", "{\"a\":{\"b\":1}}"), "{\"a\":{\"b\":1}}");
	assert_string_equal(patch("{\"a\":{\"b\":1}}", "{\"a\":{}}"), "{\"a\":{\"b\":null}}");
}

static void documents_that_are_no_objects_are_replaced(void **state)
{
	(void)state;
	assert_string_equal(patch("1", " 2 "), "2");
	assert_string_equal(patch("{}", "[1, 2]"), "[1, 2]");
	assert_string_equal(patch("[1]", "{\"a\":1}"), "{\"a\":1}");
	assert_string_equal(patch("{\"a\":1}", "null"), "null");
	assert_string_equal(patch("\"x\"", "\"x\""), "\"x\"");
}

static void order_does_not_matter(void **state)
{
	(void)state;
	assert_string_equal(patch("{\"a\":1,\"b\":{\"x\":1,\"y\":2},\"c\":3}",
	                            "{\"c\":3,\"b\":{\"y\":2,\"x\":1},\"a\":1}"),
	        "{}");
	assert_string_equal(
	        patch("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}", "{\"d\":4,\"a\":1,\"e\":5,\"b\":2}"),
	        "{\"e\":5,\"c\":null}");
}

static void strings_compare_by_value(void **state)
{
	(void)state;
	assert_string_equal(patch("{\"ab\":1}", "{\"a\\u0062\":1}"), "{}");
	assert_string_equal(patch("{\"k\":\"\\u00e9\\n\"}", "{\"k\":\"\xc3\xa9\\u000a\"}"), "{}");
	assert_string_equal(
	        patch("{\"k\":\"\\ud83d\\ude00\"}", "{\"k\":\"\xf0\x9f\x98\x80\"}"), "{}");
	assert_string_equal(patch("{\"k\":\"\\ud83d\"}", "{\"k\":\"\\uD83D\"}"), "{}");
	assert_string_equal(patch("{\"k\":\"\\/\"}", "{\"k\":\"/\"}"), "{}");
	assert_string_equal(patch("{\"k\":\"a\\\\\"}", "{\"k\":\"a\\\"\"}"), "{\"k\":\"a\\\"\"}");
	assert_string_equal(
	        patch("{\"k\":\"u0041\"}", "{\"k\":\"\\u0041\"}"), "{\"k\":\"\\u0041\"}");
	assert_string_equal(patch("{\"k\":1}", "{\"k\":1.0}"), "{\"k\":1.0}"); /* numbers by text */
}

/* What the RFC cannot say. */
static void nulls(void **state)
{
	(void)state;
	assert_string_equal(patch("{\"a\":null}", "{\"a\":null}"), "{}");
	assert_string_equal(patch("{\"a\":1}", "{\"a\":null}"), "{\"a\":null}");
	assert_string_equal(patch("{}", "{\"a\":null}"), "{}");
	assert_string_equal(patch("{\"a\":null}", "{\"a\":1}"), "{\"a\":1}");
	assert_string_equal(patch("{\"a\":null}", "{}"), "{\"a\":null}");
	assert_string_equal(patch("{\"a\":[1]}", "{\"a\":[null]}"), "{\"a\":[null]}");
	check_text(
	        "{\"a\":{\"b\":null,\"c\":1}}", "{\"a\":{\"b\":2,\"c\":null},\"d\":{\"e\":null}}");
	check_text("{\"a\":5}", "{\"a\":{\"b\":null,\"c\":[{\"d\":null}]}}");
}

static void what_is_no_json_is_refused(void **state)
{
	(void)state;
	static const char *const broken[] = {"", " ", "{", "{\"a\"", "{\"a\":", "{\"a\":}",
	        "{\"a\":1", "{\"a\":1,}", "{,\"a\":1}", "{\"a\":1}}", "{\"a\":1} x", "{a:1}",
	        "{\"a\":tru}", "{\"a\":nul}", "{\"a\":\"x}", "{\"a\":[1}}", "{\"a\":{]}",
	        "{\"a\" 1}", "x", "truex", "\"", "[", "[1", "{\"a\":1.2.x}", "{\"a\":1 \"b\":2}"};
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		assert_int_equal(result("{\"q\":1}", broken[i]), KR_ERR_JSON);
		assert_true(result(broken[i], "{\"q\":1}") != KR_ERR_SPACE);
	}
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
		if (broken[i][0] == '{')
			assert_int_equal(result(broken[i], "{\"q\":1}"), KR_ERR_JSON);
	size_t size;
	assert_int_equal(kr_merge_patch(NULL, 1, "{}", 2, out, sizeof out, &size), KR_ERR_ARGUMENT);
	assert_int_equal(kr_merge_patch("{}", 2, "{}", 2, NULL, 5, &size), KR_ERR_ARGUMENT);
	assert_int_equal(kr_merge_patch("{}", 2, "{}", 2, out, sizeof out, NULL), KR_ERR_ARGUMENT);
	assert_int_equal(kr_merge_patch("{}", 2, "{}", 2, NULL, 0, &size), KR_ERR_SPACE);
	assert_int_equal(size, 2);
	assert_int_equal(kr_change_diff(NULL, out, sizeof out, &size), KR_ERR_ARGUMENT);
}

/* depth objects around a value */
static char *nest(unsigned depth, char open, const char *value)
{
	char *s = malloc(depth * 6 + strlen(value) + 1), *p = s;
	for (unsigned i = 0; i < depth; i++)
		p = stpcpy(p, open == '{' ? "{\"a\":" : "[");
	p = stpcpy(p, value);
	for (unsigned i = 0; i < depth; i++)
		*p++ = open == '{' ? '}' : ']';
	*p = '\0';
	return s;
}

static void depth_is_bounded(void **state)
{
	(void)state;
	for (unsigned depth = 127; depth <= 129; depth++) {
		char *a = nest(depth, '{', "1"), *b = nest(depth, '{', "2");
		char *list = nest(depth - 1, '[', "2"), *member = malloc(strlen(list) + 8);
		int expected = depth <= 128 ? KR_OK : KR_ERR_JSON;
		assert_int_equal(result(a, b), expected);
		sprintf(member, "{\"a\":%s}", list);
		assert_int_equal(result("{\"a\":1}", member), expected);
		assert_int_equal(result("{\"b\":1}", member), expected);
		assert_int_equal(result(member, "{}"), expected);
		free(a);
		free(b);
		free(list);
		free(member);
	}
	char *deep = nest(100000, '[', "1");
	assert_int_equal(result("1", deep), KR_ERR_JSON);
	free(deep);
}

static size_t members(char *s, unsigned from, unsigned n, bool down)
{
	char *p = s;
	*p++ = '{';
	for (unsigned i = 0; i < n; i++)
		p += sprintf(
		        p, "%s\"key%06u\":%u", i ? "," : "", down ? from + n - 1 - i : from + i, 7);
	*p++ = '}';
	*p = '\0';
	return (size_t)(p - s);
}

/* Searching is bounded: a thousand members in reverse order are found, a hundred thousand are given
 * up in time. */
static void searching_is_bounded(void **state)
{
	(void)state;
	char *a = malloc(4 << 20), *b = malloc(4 << 20);
	size_t size;
	members(a, 0, 1000, false);
	members(b, 0, 1000, true);
	assert_string_equal(patch(a, b), "{}");
	size_t n = members(a, 0, 100000, false), m = members(b, 0, 100000, true);
	assert_int_equal(kr_merge_patch(a, n, b, m, out, sizeof out, &size), KR_ERR_LIMIT);
	m = members(b, 1, 100000, false); /* in order, one gone, one new: no searching */
	assert_int_equal(kr_merge_patch(a, n, b, m, out, sizeof out, &size), KR_OK);
	free(a);
	free(b);
}

/* --- property test -----------------------------------------------------------------------------
 */

struct gen {
	struct prng r;
	char *p;
	unsigned depth;
};

static void gen_text(struct gen *g, const char *s)
{
	g->p = stpcpy(g->p, s);
}

static void gen_space(struct gen *g)
{
	if (prng_below(&g->r, 8) == 0)
		gen_text(g, " ");
}

static void gen_name(struct gen *g, unsigned i)
{
	static const char *const plain[] = {
	        "a", "b", "name", "status", "c\\\"d", "\xc3\xa9", "x/y", "zz"};
	static const char *const other[] = {"\\u0061", "\\u0062", "n\\u0061me", "st\\u0061tus",
	        "c\\u0022d", "\\u00e9", "x\\/y", "z\\u007a"};
	gen_text(g, "\"");
	gen_text(g, prng_below(&g->r, 5) ? plain[i] : other[i]);
	gen_text(g, "\"");
}

static void gen_value(struct gen *g);

static void gen_object(struct gen *g)
{
	uint64_t with = prng_next(&g->r), turn = prng_below(&g->r, 4) ? 0 : prng_below(&g->r, 8);
	bool first = true;
	gen_text(g, "{");
	for (unsigned k = 0; k < 8; k++) {
		unsigned i = (unsigned)((k + turn) % 8);
		if (!(with >> i & 1))
			continue;
		if (!first)
			gen_text(g, ",");
		first = false;
		gen_space(g);
		gen_name(g, i);
		gen_text(g, ":");
		gen_space(g);
		gen_value(g);
	}
	gen_text(g, "}");
}

static void gen_array(struct gen *g)
{
	gen_text(g, "[");
	unsigned n = (unsigned)prng_below(&g->r, 4);
	for (unsigned i = 0; i < n; i++) {
		if (i)
			gen_text(g, ",");
		gen_value(g);
	}
	gen_text(g, "]");
}

static void gen_value(struct gen *g)
{
	static const char *const leaf[] = {"1", "12", "-0.5e3", "true", "false", "null", "\"\"",
	        "\"x\"", "\"\\u0041\"", "\"A\"", "\"a\\\\\"", "\"}\\\"{\"", "[]", "{}"};
	g->depth++;
	uint64_t what = prng_below(&g->r, g->depth > 4 ? 8 : 12);
	if (what < 8)
		gen_text(g, leaf[prng_below(&g->r, sizeof leaf / sizeof leaf[0])]);
	else if (what < 11)
		gen_object(g);
	else
		gen_array(g);
	g->depth--;
}

static void any_two_documents(void **state)
{
	(void)state;
	static char a[1 << 20], b[1 << 20];
	for (uint64_t seed = 1; seed <= 10000; seed++) {
		struct gen g = {.r = {seed}, .p = a};
		if (seed % 5)
			gen_object(&g);
		else
			gen_value(&g);
		size_t n = (size_t)(g.p - a);
		g.p = b;
		if (seed % 3 ==
		        0) { /* the same again, with one byte of luck: mostly equal documents */
			g.r.s = seed;
			if (seed % 5)
				gen_object(&g);
			else
				gen_value(&g);
			char *digit = strchr(b, '1');
			if (digit)
				*digit = '7';
		} else {
			gen_object(&g);
		}
		size_t m = (size_t)(g.p - b);
		check(a, n, b, m);
		check(b, m, a, n);
	}
}

/* Every prefix and every one-byte change of real documents: no crash, and exact buffers for ASan.
 */
static void torn_documents(void **state)
{
	(void)state;
	static const char from[] =
	        "{\"a\":{\"b\":[1,{\"c\":\"x\\u0041\"}],\"d\":null},\"e\":\"\\\\\",\"f\":-1.5}";
	static const char to[] =
	        "{\"a\":{\"b\":[1,{\"c\":\"xA\"}],\"g\":{}},\"f\":-1.5,\"e\":\"q\"}";
	size_t size;
	for (size_t cut = 0; cut < sizeof to; cut++) {
		char *p = malloc(cut + 1);
		memcpy(p, to, cut);
		char *exact = cut ? realloc(p, cut) : p;
		int r = kr_merge_patch(from, sizeof from - 1, exact, cut, out, sizeof out, &size);
		assert_int_equal(r, cut == sizeof to - 1 ? KR_OK : KR_ERR_JSON);
		(void)kr_merge_patch(exact, cut, from, sizeof from - 1, out, sizeof out, &size);
		free(exact);
		if (cut == sizeof to - 1)
			break;
	}
	for (size_t at = 0; at < sizeof to - 1; at++)
		for (int c = 0; c < 256; c++) {
			char copy[sizeof to - 1];
			memcpy(copy, to, sizeof copy);
			copy[at] = (char)c;
			(void)kr_merge_patch(
			        from, sizeof from - 1, copy, sizeof copy, out, sizeof out, &size);
			(void)kr_merge_patch(
			        copy, sizeof copy, to, sizeof to - 1, out, sizeof out, &size);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(small_patches),
	        cmocka_unit_test(documents_that_are_no_objects_are_replaced),
	        cmocka_unit_test(order_does_not_matter),
	        cmocka_unit_test(strings_compare_by_value),
	        cmocka_unit_test(nulls),
	        cmocka_unit_test(what_is_no_json_is_refused),
	        cmocka_unit_test(depth_is_bounded),
	        cmocka_unit_test(searching_is_bounded),
	        cmocka_unit_test(any_two_documents),
	        cmocka_unit_test(torn_documents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
