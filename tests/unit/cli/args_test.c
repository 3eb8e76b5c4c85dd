/* args.c: flags stand before and behind the command, and what is wrong is said. */
#include "kubering/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 12 };

static void flags_may_stand_before_the_command(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		int at; /* of the command; 0: refused */
	} rows[] = {
	        {{"kubering", "status"}, 1},
	        {{"kubering", "--socket", "/x", "status"}, 3},
	        {{"kubering", "--socket=/x", "status"}, 2},
	        {{"kubering", "-o", "json", "--timeout", "1s", "lists"}, 5},
	        {{"kubering", "-ojson", "lists"}, 2},
	        {{"kubering", "-A", "get", "pods"}, 2},
	        {{"kubering", "--socket", "status", "status"}, 3}, /* a file called status */
	        {{"kubering", "-h", "status"}, 2},
	        {{"kubering"}, 1}, /* none */
	        {{"kubering", "--socket", "/x"}, 3},
	        {{"kubering", "--socket"}, 0},
	        {{"kubering", "--nonsense", "status"}, 0},
	        {{"kubering", "--", "status"}, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *argv[WORDS_MAX];
		int argc = 0;
		for (; rows[i].words[argc]; argc++)
			argv[argc] = (char *)(uintptr_t)rows[i].words[argc];
		if (args_command(argc, argv) != rows[i].at)
			fail_msg("row %zu: %d", i, args_command(argc, argv));
	}
}

static void a_flag_of_another_command_is_refused(void **state)
{
	struct args a;
	char *status[] = {"status", "--socket", "/x", "-A"}, *get[] = {"get", "-A", "pods"};
	(void)state;
	assert_false(args_parse(&a, COMMAND_STATUS, 4, status));
	assert_true(args_parse(&a, COMMAND_STATUS, 3, status));
	assert_string_equal(a.socket, "/x");
	assert_true(args_parse(&a, COMMAND_GET, 3, get));
	assert_true(a.all_namespaces);
	assert_string_equal(a.resource, "pods");
}

static void an_audit_takes_many_words_between_its_flags(void **state)
{
	struct args a;
	char *argv[] = {"audit", "-o", "json", "a/pods", "--timeout=1m", "b", "--", "-c"};
	(void)state;
	assert_true(args_parse(&a, COMMAND_AUDIT, 8, argv));
	assert_int_equal(a.word_count, 3);
	assert_string_equal(a.words[0], "a/pods");
	assert_string_equal(a.words[1], "b");
	assert_string_equal(a.words[2], "-c");
	assert_int_equal(a.output, OUTPUT_JSON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(flags_may_stand_before_the_command),
	        cmocka_unit_test(a_flag_of_another_command_is_refused),
	        cmocka_unit_test(an_audit_takes_many_words_between_its_flags)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
