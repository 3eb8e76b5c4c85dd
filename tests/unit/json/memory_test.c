/* Out of memory at the first, second, ... allocation, until none fails: the answer is ERR_NO_MEMORY
 * or NULL, nothing leaks (the sanitizer looks), and the same object works right afterwards. The C
 * files are compiled in here with the failing allocator. */
#include <stdbool.h>
#include <stdlib.h>

static long budget = -1; /* allocations that succeed before one fails; -1: all */
static bool sticky;      /* and all after it */
static bool hit;

static bool refuses(void)
{
	if (budget < 0)
		return false;
	bool no = budget == 0;
	hit |= no;
	budget -= no ? !sticky : 1;
	return no;
}

static void *test_malloc(size_t n)
{
	return refuses() ? NULL : malloc(n);
}
static void *test_calloc(size_t k, size_t n)
{
	return refuses() ? NULL : calloc(k, n);
}
static void *test_realloc(void *p, size_t n)
{
	return refuses() ? NULL : realloc(p, n);
}
#define malloc  test_malloc
#define calloc  test_calloc
#define realloc test_realloc
#include "json/dom.c"
#include "json/tokens.c"
#define is_space list_is_space
#define step     list_step
#include "json/list.c"
#define wanted_of_metadata scan_wanted_of_metadata
#include "json/scan.c"
#undef malloc
#undef calloc
#undef realloc

#include "unit/json/doc.h"

static const char event[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"w\\u0065b\","
                            "\"resourceVersion\":\"1\"}}}";
static const char body[] =
        "{\"kind\":\"L\",\"items\":[{\"a\":1}],\"metadata\":{\"resourceVersion\":\"1\"}}";

static err_t scan_once(struct span d, struct json_parser **p)
{
	struct json_event ev;
	if (!*p)
		*p = json_parser_new(1, 1 << 20);
	err_t e = *p ? json_scan_event(*p, d, true, NULL, &ev) : ERR_NO_MEMORY;
	if (!e)
		assert_span(ev.object.name, "web");
	return e;
}

static err_t split_once(struct span d, struct json_list **s)
{
	if (!*s)
		*s = json_list_new(1000);
	if (!*s)
		return ERR_NO_MEMORY;
	json_list_reset(*s);
	size_t items = 0;
	for (size_t at = 0; at < d.n;) {
		struct span item, piece = {d.p + at, 1};
		enum json_list_result r = json_list_feed(*s, &piece, &item);
		if (r == JSON_LIST_ERROR)
			return json_list_err(*s);
		items += r == JSON_LIST_ITEM;
		at += 1 - piece.n;
	}
	assert_int_equal(items, 1);
	return ERR_OK;
}

static err_t parse_once(struct span d, struct json_dom **dom)
{
	struct json_node root;
	if (!*dom)
		*dom = json_dom_new();
	return *dom ? json_dom_parse(*dom, d, &root) : ERR_NO_MEMORY;
}

enum { SCAN, SPLIT, PARSE, WAYS };

/* One failure may be made up for, when another kernel finds memory; if all fail from then on, the
 * error is out of memory. */
static err_t try_once(int way, long n, struct span d, void **object)
{
	budget = n;
	hit = false;
	err_t e = way == SCAN    ? scan_once(d, (struct json_parser **)object)
	          : way == SPLIT ? split_once(d, (struct json_list **)object)
	                         : parse_once(d, (struct json_dom **)object);
	budget = -1;
	assert_true(e == ERR_OK || (e == ERR_NO_MEMORY && hit));
	assert_false(sticky && hit && e == ERR_OK);
	return e;
}

static void drop(int way, void **object)
{
	if (way == SCAN)
		json_parser_free((struct json_parser **)object);
	else if (way == SPLIT)
		json_list_free((struct json_list **)object);
	else
		json_dom_free((struct json_dom **)object);
}

/* What is left over of a failure is used for the next try (keep), or thrown away. */
static void every_allocation_may_fail(void **state)
{
	(void)state;
	struct span docs[WAYS] = {doc(event), doc(body), doc(event)};
	for (int mode = 0; mode < 4 * WAYS; mode++) {
		int way = mode / 4;
		bool keep = mode & 1;
		sticky = mode & 2;
		void *object = NULL;
		long n = 0;
		do {
			(void)try_once(way, n++, docs[way], &object);
			bool failed = hit;
			if (failed && object && keep)
				assert_int_equal(try_once(way, -1, docs[way], &object), ERR_OK);
			if (!keep)
				drop(way, &object);
			hit = failed;
		} while (hit);
		assert_true(n > (keep ? 1 : 4));
		drop(way, &object);
	}
	for (int way = 0; way < WAYS; way++)
		doc_free(&docs[way]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
