/* unmatched_test.c - brackets that close nothing, on a parser that has seen nothing yet. The
 * number noted for them came from uninitialised memory, and was written
 * through. Dirty memory is handed to malloc first, so that this fails without the fix also outside
 * a sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json/json.h"

static void dirty_the_heap(void)
{
	enum { PIECES = 64 };
	void *p[PIECES];
	for (int i = 0; i < PIECES; i++) {
		size_t n = (size_t)1 << (8 + i % 10);
		p[i] = malloc(n);
		assert_non_null(p[i]);
		memset(p[i], 0xA5, n);
		__asm__ volatile("" : : "r"(p[i]) : "memory");
	}
	for (int i = 0; i < PIECES; i++)
		free(p[i]);
}

static void closers_without_openers_touch_nothing(void **s)
{
	(void)s;
	for (size_t closers = 1; closers < 400; closers += 7) {
		char doc[512 + JSON_PADDING] = "[8++";
		struct json_node root;
		memset(doc + 4, ']', closers);
		dirty_the_heap();
		struct json_dom *d = json_dom_new();
		struct json_parser *p = json_parser_new(1024, 1 << 20);
		struct json_object o;
		assert_true(d && p);
		assert_int_equal(
		        json_dom_parse(d, (struct span){doc, 4 + closers}, &root), ERR_JSON_SYNTAX);
		assert_int_not_equal(
		        json_scan_object(p, (struct span){doc, 4 + closers}, true, NULL, &o),
		        ERR_OK);
		json_dom_free(&d);
		json_parser_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(closers_without_openers_touch_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
