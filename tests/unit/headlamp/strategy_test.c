/* strategy: which way is taken, when it is left, when the better one is tried again. */
#include "headlamp/strategy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define MUX    STRATEGY_MULTIPLEXED
#define LEGACY STRATEGY_LEGACY
#define HTTP   STRATEGY_HTTP

static struct strategy s;

static int start(void **state)
{
	(void)state;
	memset(&s, 0x5A, sizeof s);
	strategy_init(&s, MUX, true);
	return 0;
}

static bool fails(enum strategy_failure f, uint64_t at_s)
{
	return strategy_on_failure(&s, s.way, f, "the upgrade was refused (404)", at_s * SECOND);
}

static void the_first_choice_is_silent_about_it(void **state)
{
	(void)state;
	assert_int_equal(s.way, MUX);
	assert_string_equal(s.text, "");
	assert_true(s.reprobe_ns == UINT64_MAX);
	assert_false(strategy_on_timer(&s, UINT64_MAX - 1));
	assert_int_equal(s.way, MUX);
}

static void a_refusal_leaves_at_once(void **state)
{
	(void)state;
	strategy_on_works(&s, MUX, 0);
	assert_true(fails(STRATEGY_REFUSED, 10));
	assert_int_equal(s.way, LEGACY);
	assert_string_equal(s.text, "multiplexed: the upgrade was refused (404); next try in 60 s");
	assert_int_equal(s.reprobe_ns, 70 * SECOND);
	assert_true(fails(STRATEGY_REFUSED, 20));
	assert_int_equal(s.way, HTTP);
	assert_string_equal(
	        s.text, "legacy: the upgrade was refused (404); next try of multiplexed in 50 s");
	assert_int_equal(s.reprobe_ns, 70 * SECOND);
}

/* The timer is asked when something is begun, not when it fails. */
static void what_fails_after_the_next_try_is_due_says_so(void **state)
{
	(void)state;
	assert_true(fails(STRATEGY_REFUSED, 0));
	assert_true(fails(STRATEGY_SILENT, 61));
	assert_int_equal(s.way, HTTP);
	assert_string_equal(
	        s.text, "legacy: the upgrade was refused (404); next try of multiplexed in 0 s");
	assert_true(strategy_on_timer(&s, 61 * SECOND));
	assert_int_equal(s.way, MUX);
}

static void silence_leaves_at_once_what_never_worked(void **state)
{
	(void)state;
	assert_true(fails(STRATEGY_SILENT, 1));
	assert_int_equal(s.way, LEGACY);
	strategy_on_works(&s, LEGACY, 2 * SECOND);
	assert_false(fails(STRATEGY_SILENT, 3));
	assert_false(fails(STRATEGY_SILENT, 4));
	assert_true(fails(STRATEGY_SILENT, 5));
	assert_int_equal(s.way, HTTP);
}

static void only_losses_in_a_row_count(void **state)
{
	(void)state;
	uint64_t now = 0;
	for (int i = 0; i < 10; i++) {
		for (int k = 1; k < STRATEGY_TRIES; k++)
			assert_false(fails(STRATEGY_BROKEN, ++now));
		strategy_on_works(&s, MUX, now * SECOND);
	}
	for (int k = 1; k < STRATEGY_TRIES; k++)
		assert_false(fails(STRATEGY_BROKEN, ++now));
	assert_int_equal(s.way, MUX);
	assert_true(fails(STRATEGY_BROKEN, ++now));
	assert_int_equal(s.way, LEGACY);
}

/* The backend dies, and all lists of the cluster tell it. What never worked gets no such credit. */
static void what_many_lists_meet_at_once_is_one_loss(void **state)
{
	(void)state;
	assert_false(strategy_has_worked(&s, MUX));
	for (int i = 1; i <= STRATEGY_TRIES; i++)
		assert_true(fails(STRATEGY_BROKEN, 0) == (i == STRATEGY_TRIES));
	assert_true(strategy_on_restart(&s, 0));
	strategy_on_works(&s, MUX, 0);
	assert_true(strategy_has_worked(&s, MUX));
	for (uint64_t t = 1; t <= STRATEGY_TRIES; t++) {
		assert_int_equal(s.way, MUX);
		for (int i = 0; i < 1000; i++)
			assert_true(strategy_on_failure(&s, MUX, STRATEGY_BROKEN, "cut",
			                    t * SECOND + (uint64_t)i) ==
			            (t == STRATEGY_TRIES && i == 0));
	}
	assert_int_equal(s.way, LEGACY);
}

static void what_happens_on_another_way_changes_nothing(void **state)
{
	(void)state;
	assert_false(strategy_on_failure(&s, LEGACY, STRATEGY_REFUSED, "x", 0));
	assert_int_equal(s.way, MUX);
	fails(STRATEGY_REFUSED, 0);
	strategy_on_works(&s, MUX, 0); /* a stream of before */
	assert_int_equal(s.way, LEGACY);
	assert_true(s.text[0] != 0);
	assert_false(strategy_on_failure(&s, MUX, STRATEGY_REFUSED, "x", 0));
}

static void the_first_choice_is_tried_again_less_and_less_often(void **state)
{
	(void)state;
	uint64_t now = 0, wait = STRATEGY_REPROBE_MIN_S;
	for (int i = 0; i < 10; i++) {
		assert_true(fails(STRATEGY_BROKEN, now) == (i > 0)); /* a probe has one chance */
		if (i == 0)
			for (int k = 0; k < 2; k++)
				fails(STRATEGY_BROKEN, ++now);
		assert_int_equal(s.way, LEGACY);
		strategy_on_works(&s, LEGACY, now * SECOND);
		assert_int_equal(s.reprobe_ns, (now + wait) * SECOND);
		assert_false(strategy_on_timer(&s, s.reprobe_ns - 1));
		now += wait;
		assert_true(strategy_on_timer(&s, now * SECOND));
		assert_int_equal(s.way, MUX);
		assert_true(s.reprobe_ns == UINT64_MAX);
		wait = wait * 2 > STRATEGY_REPROBE_MAX_S ? STRATEGY_REPROBE_MAX_S : wait * 2;
	}
	assert_int_equal(wait, STRATEGY_REPROBE_MAX_S);
	strategy_on_works(&s, MUX, now * SECOND);
	assert_string_equal(s.text, "");
	assert_false(fails(STRATEGY_BROKEN, now)); /* it works: no probe any more */
	assert_true(fails(STRATEGY_REFUSED, now));
	assert_int_equal(s.reprobe_ns, (now + STRATEGY_REPROBE_MIN_S) * SECOND);
}

static void a_probe_that_fails_tries_the_next_best_too(void **state)
{
	(void)state;
	fails(STRATEGY_REFUSED, 0);
	fails(STRATEGY_REFUSED, 0);
	strategy_on_works(&s, HTTP, 0);
	assert_true(strategy_on_timer(&s, 60 * SECOND));
	assert_true(fails(STRATEGY_REFUSED, 61));
	assert_int_equal(s.way, LEGACY);
	assert_false(fails(STRATEGY_BROKEN, 62)); /* not the probe's one chance */
}

static void when_nothing_works_it_does_not_race_round(void **state)
{
	(void)state;
	assert_true(fails(STRATEGY_REFUSED, 0));
	assert_true(fails(STRATEGY_REFUSED, 1));
	assert_int_equal(s.way, HTTP);
	for (uint64_t t = 2; t < 60; t++)
		assert_false(fails(STRATEGY_REFUSED, t));
	assert_true(fails(STRATEGY_REFUSED, 60));
	assert_int_equal(s.way, MUX);
}

static void a_restart_starts_over(void **state)
{
	(void)state;
	fails(STRATEGY_REFUSED, 0);
	fails(STRATEGY_REFUSED, 0);
	assert_true(strategy_on_restart(&s, SECOND));
	assert_int_equal(s.way, MUX);
	assert_string_equal(s.text, "");
	assert_true(s.reprobe_ns == UINT64_MAX);
	assert_false(strategy_on_restart(&s, SECOND));
	assert_true(fails(STRATEGY_REFUSED, 2));
	assert_int_equal(s.reprobe_ns, 62 * SECOND);
	assert_int_equal(s.way, LEGACY);
}

static void another_first_choice_keeps_the_rest_in_order(void **state)
{
	(void)state;
	static const enum strategy_way order[][3] = {
	        {LEGACY, MUX, HTTP}, {HTTP, MUX, LEGACY}, {MUX, LEGACY, HTTP}};
	for (int i = 0; i < 3; i++) {
		strategy_init(&s, order[i][0], true);
		for (int k = 0; k < 3; k++) {
			assert_int_equal(s.way, order[i][k]);
			fails(STRATEGY_REFUSED, 0);
		}
		assert_true(strategy_on_timer(&s, 60 * SECOND));
		assert_int_equal(s.way, order[i][0]);
	}
}

static void a_fixed_way_stays(void **state)
{
	(void)state;
	for (int way = STRATEGY_DIRECT; way <= STRATEGY_HTTP; way++) {
		bool direct = way <= STRATEGY_WEBSOCKET;
		for (int is_auto = 0; is_auto <= direct; is_auto++) {
			strategy_init(&s, (enum strategy_way)way, is_auto);
			assert_int_equal(s.direct, direct);
			for (int i = 0; i < 5; i++)
				assert_false(fails(STRATEGY_REFUSED, 0));
			assert_false(strategy_on_timer(&s, UINT64_MAX));
			assert_false(strategy_on_restart(&s, 0));
			assert_int_equal(s.way, way);
			assert_string_equal(s.text, "");
		}
	}
}

static void a_long_text_is_cut_and_the_rest_stays(void **state)
{
	(void)state;
	char text[400];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	strategy_init(&s, HTTP, true);
	strategy_on_failure(&s, HTTP, STRATEGY_REFUSED, text, 0);
	strategy_on_failure(&s, MUX, STRATEGY_REFUSED, text, 0);
	assert_non_null(strstr(s.text, "xx; next try of http in 60 s"));
	strategy_on_failure(&s, LEGACY, STRATEGY_REFUSED, NULL, 0);
	assert_string_equal(s.text, "legacy: failed; next try of http in 60 s");
}

static void every_way_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(strategy_name(STRATEGY_DIRECT), "direct");
	assert_string_equal(strategy_name(STRATEGY_WEBSOCKET), "websocket");
	assert_string_equal(strategy_name(MUX), "multiplexed");
	assert_string_equal(strategy_name(LEGACY), "legacy");
	assert_string_equal(strategy_name(HTTP), "http");
}

#define TEST(f) cmocka_unit_test_setup(f, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_first_choice_is_silent_about_it),
	        TEST(a_refusal_leaves_at_once),
	        TEST(what_fails_after_the_next_try_is_due_says_so),
	        TEST(silence_leaves_at_once_what_never_worked),
	        TEST(only_losses_in_a_row_count),
	        TEST(what_many_lists_meet_at_once_is_one_loss),
	        TEST(what_happens_on_another_way_changes_nothing),
	        TEST(the_first_choice_is_tried_again_less_and_less_often),
	        TEST(a_probe_that_fails_tries_the_next_best_too),
	        TEST(when_nothing_works_it_does_not_race_round),
	        TEST(a_restart_starts_over),
	        TEST(another_first_choice_keeps_the_rest_in_order),
	        TEST(a_fixed_way_stays),
	        TEST(a_long_text_is_cut_and_the_rest_stays),
	        TEST(every_way_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
