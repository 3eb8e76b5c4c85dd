/* wheel_test.c - timers against a plain list of deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "base/wheel.h"

enum { TIMERS = 300 };
#define TICK ((uint64_t)WHEEL_TICK_NS)

static struct wheel wheel;

static void fires_never_early_and_at_most_a_tick_late(void **s)
{
	static struct wheel_timer t[TIMERS];
	static uint64_t due[TIMERS];
	struct prng rng = {42};
	uint64_t now = 777 * TICK + 5;
	(void)s;
	wheel_init(&wheel, now);
	for (int i = 0; i < TIMERS; i++) {
		wheel_timer_init(&t[i], (uint32_t)i);
		due[i] = UINT64_MAX;
	}
	for (int round = 0; round < 20000; round++) {
		uint32_t i = (uint32_t)prng_below(&rng, TIMERS);
		uint64_t at = prng_below(&rng, 4) == 0
		                      ? UINT64_MAX
		                      : now + prng_below(&rng, prng_below(&rng, 8) ? 200 * TICK
		                                                                   : 9000 * TICK);
		wheel_set(&wheel, &t[i], at);
		due[i] = at;
		now += prng_below(&rng, prng_below(&rng, 50) ? TICK / 2 : 6000 * TICK);
		for (struct wheel_timer *f; (f = wheel_pop(&wheel, now));) {
			assert_true(due[f->kind] <= now);
			due[f->kind] = UINT64_MAX;
		}
		uint64_t first = UINT64_MAX;
		for (int k = 0; k < TIMERS; k++) {
			assert_true(due[k] == UINT64_MAX ||
			            due[k] + TICK > now); /* nothing is left that is a tick late */
			first = due[k] < first ? due[k] : first;
		}
		assert_true(wheel_next_ns(&wheel) <= first);
		assert_true((wheel.armed == 0) == (first == UINT64_MAX));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fires_never_early_and_at_most_a_tick_late)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
