/* Order of resourceVersions (KEP-5504). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "base/version.h"

static void numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t number;
	} rows[] = {{"1", 1}, {"9", 9}, {"10", 10}, {"1234567890", 1234567890},
	        {"9999999999999999999", 9999999999999999999ull}, /* 19 digits */
	        {"10000000000000000000", 10000000000000000000ull},
	        {"18446744073709551615", UINT64_MAX}, /* limit */
	        {"18446744073709551616", 0},          /* limit + 1 */
	        {"18446744073709551620", 0}, {"99999999999999999999", 0},
	        {"100000000000000000000", 0}, /* 21 digits */
	        {"", 0}, {"0", 0}, {"01", 0}, {"-1", 0}, {"+1", 0}, {" 1", 0}, {"1 ", 0}, {"1a", 0},
	        {"a1", 0}, {"1.0", 0}, {"0x1", 0}, {"1:", 0}, {"1/", 0}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (version_number(span_of(rows[i].text)) != rows[i].number)
			fail_msg("\"%s\"", rows[i].text);
}

static void order(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		enum version_order order;
	} rows[] = {{"1", "1", VERSION_EQUAL}, {"1", "2", VERSION_LESS}, {"9", "10", VERSION_LESS},
	        {"10", "9", VERSION_GREATER},
	        {"18446744073709551615", "18446744073709551616", VERSION_LESS},
	        {"99999999999999999999999999", "100000000000000000000000000", VERSION_LESS},
	        {"100000000000000000000000001", "100000000000000000000000000", VERSION_GREATER},
	        {"", "", VERSION_EQUAL}, {"", "1", VERSION_UNORDERED}, {"a", "a", VERSION_EQUAL},
	        {"a", "b", VERSION_UNORDERED}, {"a", "1", VERSION_UNORDERED},
	        {"01", "1", VERSION_UNORDERED}, {"0", "1", VERSION_UNORDERED},
	        {"01", "01", VERSION_EQUAL}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (version_compare(span_of(rows[i].a), span_of(rows[i].b)) != rows[i].order)
			fail_msg("\"%s\" against \"%s\"", rows[i].a, rows[i].b);
}

/* The text order and the number order are one order. */
static void text_and_number_agree(void **state)
{
	(void)state;
	struct prng r = {11};
	for (int i = 0; i < 200000; i++) {
		uint64_t a = prng_next(&r) >> prng_below(&r, 64),
		         b = prng_next(&r) >> prng_below(&r, 64);
		char at[32], bt[32];
		if (a == 0 || b == 0)
			continue;
		snprintf(at, sizeof at, "%llu", (unsigned long long)a);
		snprintf(bt, sizeof bt, "%llu", (unsigned long long)b);
		assert_true(version_number(span_of(at)) == a);
		enum version_order want = a < b   ? VERSION_LESS
		                          : a > b ? VERSION_GREATER
		                                  : VERSION_EQUAL;
		assert_int_equal(version_compare(span_of(at), span_of(bt)), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(numbers),
	        cmocka_unit_test(order),
	        cmocka_unit_test(text_and_number_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
