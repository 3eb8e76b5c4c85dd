/* flatten_test.c - who an object is that is nested too deep to be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/json/one_parser.h"
#include "json/parser.h"

/* before, then that many levels around `inside`, then after; the brackets are { and [ in turn. */
static char *nested(const char *before, unsigned levels, const char *inside, const char *after)
{
	size_t from = strlen(before), in = strlen(inside);
	char *text = malloc(from + 6 * (size_t)levels + in + strlen(after) + 1), *p = text + from;
	assert_non_null(text);
	memcpy(text, before, from);
	for (unsigned i = 0; i < levels; i++)
		p = i % 2 ? (memcpy(p, "{\"a\":", 5), p + 5) : (*p = '[', p + 1);
	memcpy(p, inside, in);
	p += in;
	for (unsigned i = levels; i-- > 0;)
		*p++ = i % 2 ? '}' : ']';
	strcpy(p, after);
	return text;
}

#define BEFORE                                                                                     \
	"{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\","     \
	"\"uid\":\"u\",\"resourceVersion\":\"7\"},\"spec\":"
#define AFTER ",\"more\":[1,{}]}}"

/* What the event with that in it is, read flat. ERR_OK: it is all there. */
static err_t read_event(char *text)
{
	struct span d = doc(text), flat;
	struct json_event ev;
	char *own;
	err_t e = json_flatten(parser, d, &flat, &own);
	if (!e) {
		e = json_scan_event(parser, flat, false, NULL, &ev);
		assert_true(flat.n <= d.n);
	}
	if (!e) {
		assert_int_equal(ev.type, JSON_EVENT_MODIFIED);
		assert_span(ev.object.name, "b");
		assert_span(ev.object.namespace_, "n");
		assert_span(ev.object.uid, "u");
		assert_span(ev.object.resource_version, "7");
	}
	free(own);
	free(text);
	doc_free(&d);
	return e;
}

static void the_identity_is_found_however_deep_it_is(void **state)
{
	(void)state;
	static const unsigned depths[] = {0, 1, 126, 127, 128, 129, 253, 254, 255, 256, 300, 384,
	        511, 512, 513, 9000, JSON_FLATTEN_DEPTH_MAX - 2};
	for (unsigned i = 0; i < ARRAY_LEN(depths); i++)
		assert_int_equal(read_event(nested(BEFORE, depths[i], "\"[\\\"{\"", AFTER)), 0);
	assert_int_equal(
	        read_event(nested(BEFORE, JSON_FLATTEN_DEPTH_MAX - 1, "1", AFTER)), ERR_JSON_DEPTH);
	/* also where metadata is what is deep, as managedFields make it */
	char *managed = nested(
	        "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"managedFields\":", 300, "1",
	        ",\"name\":\"b\",\"namespace\":\"n\",\"uid\":\"u\","
	        "\"resourceVersion\":\"7\"}}}");
	assert_int_equal(read_event(managed), ERR_OK);
}

static void what_is_broken_is_found_however_deep_it_is(void **state)
{
	(void)state;
	static const char *const bad[] = {"x", "01", "1 2", "1,", "[}", "{\"a\"}", "\"\\x\"",
	        "\"\xff\"", "\"", "\"\n\"", "nul", "1]", "\\\"", "[]1", "1[]"};
	static const unsigned depths[] = {0, 100, 127, 128, 129, 300, 1000};
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		for (unsigned k = 0; k < ARRAY_LEN(depths); k++)
			assert_int_equal(read_event(nested(BEFORE, depths[k], bad[i], AFTER)),
			        ERR_JSON_SYNTAX);
	/* beside what is deep: it must not become one token with what is left of that */
	static const char *const beside[] = {"e5", ".5", "0", "l", "\"a\"", "[]", "{}", "\xff"};
	for (unsigned i = 0; i < ARRAY_LEN(beside); i++) {
		char after[64], before[512];
		snprintf(after, sizeof after, "%s" AFTER, beside[i]);
		assert_int_equal(read_event(nested(BEFORE, 300, "1", after)), ERR_JSON_SYNTAX);
		snprintf(before, sizeof before, BEFORE "%s", beside[i]);
		assert_int_equal(read_event(nested(before, 300, "1", AFTER)), ERR_JSON_SYNTAX);
	}
	assert_int_equal(read_event(nested(BEFORE, 300, "1", "}}}}")), ERR_JSON_SYNTAX);
	assert_int_equal(read_event(nested(BEFORE, 300, "1", "}")), ERR_JSON_SYNTAX);
	assert_int_equal(
	        read_event(nested(BEFORE, 300, "1", ",\"metadata\":{}}}")), ERR_JSON_SHAPE);
}

static void it_is_bounded(void **state)
{
	struct json_parser *small = json_parser_new(64, 64);
	char text[128];
	struct span flat;
	char *own;
	(void)state;
	memset(text, ' ', sizeof text);
	assert_int_equal(json_flatten(small, (struct span){text, 65}, &flat, &own), ERR_JSON_LIMIT);
	assert_null(own);
	assert_int_equal(json_flatten(small, (struct span){text, 64}, &flat, &own), ERR_OK);
	free(own);
	json_parser_free(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_identity_is_found_however_deep_it_is),
	        cmocka_unit_test(what_is_broken_is_found_however_deep_it_is),
	        cmocka_unit_test(it_is_bounded),
	};
	return cmocka_run_group_tests(tests, open_parser, close_parser);
}
