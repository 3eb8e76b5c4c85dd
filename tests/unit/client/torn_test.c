/* torn_test.c - a borrowed text is replaced while it is read, at every load of it in turn: the
 * difference of two such texts may be nonsense, which kr_change_check tells, but nothing is read
 * beside them, nothing is written beside the buffer, and it comes to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/load_trap.h"
#include "include/kubering.h"

#ifdef LOAD_TRAP

static const char from[] = "{\"a\":{\"b\":[{}],\"d\":\"\\\"y\"},\"e\":\"\\n2345678\"}";
static const char to[] = "{\"a\":{\"b\":[{},1],\"d\":\"\\ny\"},\"e\":1}";
enum { BYTES = sizeof from - 1 + sizeof to - 1, LOADS_MAX = 2000 };

/* What stands there then, again and again. */
static const char *const others[] = {"}", "{", "\"", "\\", "1", "]}", "\"\\"};

static struct {
	char *at; /* both texts, at the end of the page */
	const char *other;
	size_t other_bytes;
	unsigned loads, when;
} t;

static void replace(size_t at)
{
	(void)at;
	if (t.loads++ != t.when)
		return;
	for (size_t i = 0; i < BYTES; i++)
		t.at[i] = t.other[i % t.other_bytes];
}

/* Is the text replaced before it is done? */
static bool run(const char *other, unsigned when)
{
	char buf[2 * BYTES + 1];
	size_t n = 0;
	memset(buf, '#', sizeof buf);
	memcpy(t.at, from, sizeof from - 1);
	memcpy(t.at + sizeof from - 1, to, sizeof to - 1);
	t.other = other;
	t.other_bytes = strlen(other);
	t.loads = 0;
	t.when = when;
	load_trap_begin(replace);
	int r = kr_merge_patch(t.at, sizeof from - 1, t.at + sizeof from - 1, sizeof to - 1, buf,
	        sizeof buf - 1, &n);
	load_trap_end();
	assert_true(r == KR_OK || r == KR_ERR_JSON || r == KR_ERR_LIMIT || r == KR_ERR_SPACE);
	assert_int_equal(buf[sizeof buf - 1], '#');
	return t.loads > when;
}

static void a_diff_of_what_is_being_replaced(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		unsigned when = 0;
		while (run(others[i], when))
			assert_true(++when < LOADS_MAX);
		assert_true(when > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_diff_of_what_is_being_replaced)};
	uint8_t *page = load_trap_page();
	if (!page)
		return 1;
	t.at = (char *)page + LOAD_TRAP_BYTES - BYTES;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
