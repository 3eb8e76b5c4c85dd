/* gate_test.c - who may connect to a cluster, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kube/gate.h"

static void connects_are_paced(void **s)
{
	struct gate g;
	uint64_t now = 100 * KUBE_S, retry = 0;
	(void)s;
	gate_init(&g, 10, 5);
	for (int i = 0; i < 5; i++)
		assert_true(gate_take(&g, now, &retry));
	assert_false(gate_take(&g, now, &retry));
	assert_in_range(retry - now, 1, KUBE_S / 10 + 2000000);
	assert_true(gate_take(&g, retry, &retry));
	int taken = 0;
	for (uint64_t t = now + KUBE_S; t < now + 11 * KUBE_S; t += 1000000)
		taken += gate_take(&g, t, &retry);
	assert_in_range(taken, 95, 106); /* ten a second, for ten seconds, and what was saved up */
}

static void a_dead_cluster_is_probed_by_one(void **s)
{
	struct gate g;
	struct prng rng = {1};
	uint64_t now = 100 * KUBE_S, retry = 0;
	(void)s;
	gate_init(&g, 100, 100);
	assert_true(gate_take(&g, now, &retry));
	assert_true(gate_take(&g, now, &retry));
	uint64_t at = gate_on_failure(&g, &rng, now);
	assert_int_equal(gate_on_failure(&g, &rng, now),
	        at); /* the other one that was under way: the same failure */
	assert_false(gate_take(&g, at - 1, &retry));
	assert_int_equal(retry, at);
	assert_true(gate_take(&g, at, &retry));
	assert_false(gate_take(&g, at + 3600 * KUBE_S, &retry)); /* a probe is under way */
	assert_true(retry == UINT64_MAX);
	gate_on_abandoned(&g);
	assert_true(gate_take(&g, at, &retry));
	assert_true(gate_on_answer(&g, at));
	assert_true(gate_take(&g, at, &retry) && gate_take(&g, at, &retry));
}

/* Each probe that fails shuts it for longer, and another may go afterwards, for ever. */
static void failed_probes_are_followed_by_others_further_apart(void **s)
{
	struct gate g;
	struct prng rng = {1};
	uint64_t now = 100 * KUBE_S, retry = 0, wait = 0;
	(void)s;
	gate_init(&g, 100, 100);
	gate_on_failure(&g, &rng, now);
	for (int i = 0; i < 12; i++) {
		now = g.open_at_ns;
		assert_true(gate_take(&g, now, &retry));
		wait = gate_on_failure(&g, &rng, now) - now;
		assert_in_range(wait, BACKOFF_FIRST_MS * 500000ull, BACKOFF_MAX_MS * 1000000ull);
	}
	assert_true(wait >= BACKOFF_MAX_MS * 500000ull);
	/* A minute of answers, and the next failure is the first. */
	now = g.open_at_ns;
	assert_true(gate_take(&g, now, &retry));
	assert_true(gate_on_answer(&g, now));
	now += BACKOFF_HEALTHY_S * KUBE_S;
	assert_true(gate_on_failure(&g, &rng, now) - now <= BACKOFF_FIRST_MS * 1000000ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(connects_are_paced),
	        cmocka_unit_test(a_dead_cluster_is_probed_by_one),
	        cmocka_unit_test(failed_probes_are_followed_by_others_further_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
