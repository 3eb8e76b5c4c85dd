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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(connects_are_paced),
	        cmocka_unit_test(a_dead_cluster_is_probed_by_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
