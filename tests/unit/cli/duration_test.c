/* duration.c: what kubectl would print, at the edges of each unit; and what --timeout takes. */
#include "kubering/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void human(void **state)
{
	static const struct {
		int64_t s;
		const char *want;
	} rows[] = {{-2, "<invalid>"}, {-1, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"},
	        {121, "2m1s"}, {599, "9m59s"}, {600, "10m"}, {10799, "179m"}, {10800, "3h"},
	        {10860, "3h1m"}, {8 * 3600 - 1, "7h59m"}, {8 * 3600, "8h"}, {48 * 3600 - 1, "47h"},
	        {48 * 3600, "2d"}, {49 * 3600, "2d1h"}, {8 * 86400 - 1, "7d23h"}, {8 * 86400, "8d"},
	        {730 * 86400 - 1, "729d"}, {730 * 86400, "2y"}, {731 * 86400, "2y1d"},
	        {365ll * 8 * 86400 - 1, "7y364d"}, {365ll * 8 * 86400, "8y"},
	        {365ll * 9 * 86400 + 86400, "9y"}};
	char out[DURATION_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		duration_human(rows[i].s, out);
		assert_string_equal(out, rows[i].want);
	}
}

static void parse(void **state)
{
	static const struct {
		const char *s;
		int64_t ns;
	} good[] = {{"30", 30000000000}, {"30s", 30000000000}, {"1m30s", 90000000000},
	        {"500ms", 500000000}, {"1.5s", 1500000000}, {"2h", 7200000000000}, {"0", 0},
	        {"0s", 0}, {"10us", 10000}, {"1d", 86400000000000}};
	static const char *const bad[] = {"", "s", "-1s", "1x", "1s2", "0s5", "1.2.3s", "inf",
	        "0x10", " 1s", "1s ", "4000d", "1e3s", "..."};
	int64_t ns;
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(duration_parse(good[i].s, &ns));
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(duration_parse(bad[i], &ns));
}

static void times(void **state)
{
	static const char *const bad[] = {"", "2026-11-25", "2026-13-25T10:00:00Z",
	        "2026-11-25T24:00:00Z", "2026-11-25T10:00:00", "2026-11-25T10:00:00Zx",
	        "2026-11-25T10:00:00+01", "2026-11-32T10:00:00Z", "2026-00-10T10:00:00Z"};
	int64_t t;
	(void)state;
	assert_true(duration_parse_time(SPAN("1970-01-01T00:00:00Z"), &t));
	assert_int_equal(t, 0);
	assert_true(duration_parse_time(SPAN("2000-02-29T23:59:59Z"), &t));
	assert_int_equal(t, 951868799);
	assert_true(duration_parse_time(SPAN("2026-11-24T10:00:00Z"), &t));
	assert_int_equal(t, 1795514400);
	assert_true(duration_parse_time(SPAN("2026-11-24T10:00:00.123456Z"), &t));
	assert_int_equal(t, 1795514400);
	assert_true(duration_parse_time(SPAN("2026-11-24T12:30:00+02:30"), &t));
	assert_int_equal(t, 1795514400);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(duration_parse_time((struct span){bad[i], strlen(bad[i])}, &t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(human), cmocka_unit_test(parse), cmocka_unit_test(times)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
