/* The hash that consumers check themselves with is XXH3 of what the header says, for any length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "include/kubering.h"

static uint64_t expected(const char *const s[4])
{
	static char flat[16384];
	size_t n = 0;
	for (int i = 0; i < 4; i++) {
		size_t bytes = strlen(s[i]) + 1;
		memcpy(flat + n, s[i], bytes);
		n += bytes;
	}
	return XXH3_64bits(flat, n);
}

static void is_xxh3_of_the_strings(void **state)
{
	(void)state;
	static char lengths[4][4096];
	const char *s[4] = {"default", "web-0", "6f1e0000-0000-4000-8000-000000000001", "12345"};
	assert_int_equal(kr_object_hash(s[0], s[1], s[2], s[3]), expected(s));
	const char *none[4] = {"", "", "", ""};
	assert_int_equal(kr_object_hash("", "", "", ""), expected(none));
	assert_int_equal(kr_object_hash(NULL, NULL, NULL, NULL), expected(none));
	for (size_t n = 240; n < 264;
	        n++) { /* around the 1024 bytes that are hashed in one piece */
		for (int i = 0; i < 4; i++) {
			memset(lengths[i], 'a' + i, n);
			lengths[i][n] = '\0';
			s[i] = lengths[i];
		}
		assert_int_equal(kr_object_hash(s[0], s[1], s[2], s[3]), expected(s));
	}
	memset(lengths[1], 'x', 4095);
	lengths[1][4095] = '\0';
	assert_int_equal(kr_object_hash(s[0], s[1], s[2], s[3]), expected(s));
}

/* NUL between the strings keeps ("ab", "c") and ("a", "bc") apart. */
static void parts_do_not_run_together(void **state)
{
	(void)state;
	assert_int_not_equal(kr_object_hash("ab", "c", "", ""), kr_object_hash("a", "bc", "", ""));
	assert_int_not_equal(kr_object_hash("", "a", "", ""), kr_object_hash("a", "", "", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(is_xxh3_of_the_strings),
	        cmocka_unit_test(parts_do_not_run_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
