/* The queue of what waits for reuse. */
#include "store_world.h"

#include "store/retire.h"

static void push(struct retire *r, uint64_t seq, uint64_t ref)
{
	assert_true(retire_reserve(r, 1));
	retire_push(r, seq, ref, 10);
}

static void nothing_before_its_time(void **state)
{
	(void)state;
	struct retire r = {0};
	assert_null(retire_first(&r));
	retire_pass(&r, 100);
	push(&r, 5, 50);
	push(&r, 5, 51);
	push(&r, 6, 60);
	assert_null(retire_first(&r));
	retire_pass(&r, 5); /* head 5: change 5 is still promised */
	assert_null(retire_first(&r));
	assert_int_equal(r.bytes, 30);
	retire_pass(&r, 6);
	assert_int_equal(r.bytes, 10);
	assert_int_equal(retire_first(&r)->ref, 50);
	retire_pop(&r);
	assert_int_equal(retire_first(&r)->ref, 51);
	retire_pop(&r);
	assert_null(retire_first(&r));
	retire_fini(&r);
}

static void head_for_bytes(void **state)
{
	(void)state;
	struct retire r = {0};
	for (uint64_t seq = 1; seq <= 10; seq++)
		push(&r, seq, seq);
	assert_int_equal(retire_head_for(&r, 100, 10), 0); /* limit: nothing to give up */
	assert_int_equal(retire_head_for(&r, 99, 10), 2);
	assert_int_equal(retire_head_for(&r, 90, 10), 2);
	assert_int_equal(retire_head_for(&r, 89, 10), 3);
	assert_int_equal(retire_head_for(&r, 0, 10), 11);
	assert_int_equal(retire_head_for(&r, 0, 4), 5); /* not past `last` */
	retire_pass(&r, 3);
	assert_int_equal(retire_head_for(&r, 80, 10), 0);
	assert_int_equal(retire_head_for(&r, 79, 10), 4);
	retire_fini(&r);
}

/* Across many chunks, in order, exactly once. */
static void long_queues(void **state)
{
	(void)state;
	struct retire r = {0};
	struct prng p = {4};
	uint64_t pushed = 0, popped = 0, head = 0;
	for (int step = 0; step < 4000; step++) {
		for (uint64_t n = prng_below(&p, step % 7 ? 300 : 9000); n > 0; n--, pushed++)
			push(&r, pushed, pushed);
		if (prng_below(&p, 3))
			continue;
		head += prng_below(&p, pushed - head + 1);
		retire_pass(&r, head);
		assert_int_equal(r.bytes, (pushed - head) * 10);
		uint64_t most = prng_below(&p, 12000);
		for (struct retire_item *i; most > 0 && (i = retire_first(&r)) != NULL; most--) {
			assert_int_equal(i->ref, popped++);
			retire_pop(&r);
		}
		assert_true(popped <= head);
		assert_true(most == 0 || popped == head);
	}
	assert_true(pushed > 100000 && popped > 50000);
	retire_fini(&r);
	assert_null(retire_first(&r));
}

static void spare_chunks_are_bounded(void **state)
{
	(void)state;
	struct retire r = {0};
	uint64_t n = (uint64_t)(RETIRE_CHUNKS_KEPT + 50) * RETIRE_CHUNK;
	assert_true(retire_reserve(&r, n));
	for (uint64_t i = 0; i < n; i++)
		retire_push(&r, i, 0, 0);
	assert_int_equal(r.spare_count, 0);
	retire_pass(&r, n);
	while (retire_first(&r))
		retire_pop(&r);
	assert_int_equal(r.spare_count, RETIRE_CHUNKS_KEPT);
	retire_fini(&r);
}

static void ahead_looks_past_the_oldest(void **state)
{
	(void)state;
	struct retire r = {0};
	assert_null(retire_ahead(&r));
	assert_true(retire_reserve(&r, RETIRE_CHUNK + 2));
	for (uint64_t i = 0; i < RETIRE_CHUNK + 2; i++) {
		retire_push(&r, i, i, 0);
		if (i < 2)
			assert_null(retire_ahead(&r));
		else /* not passed yet, and already known */
			assert_int_equal(retire_ahead(&r)->ref, 2);
	}
	retire_pass(&r, RETIRE_CHUNK + 2);
	for (uint64_t i = 0; i < RETIRE_CHUNK + 2; i++) {
		const struct retire_item *a = retire_ahead(&r);
		assert_true(!a || a->ref == i + 2);
		if (i + 2 < RETIRE_CHUNK)
			assert_non_null(a);
		assert_int_equal(retire_first(&r)->ref, i);
		retire_pop(&r);
	}
	assert_null(retire_ahead(&r));
	retire_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_before_its_time),
	        cmocka_unit_test(head_for_bytes),
	        cmocka_unit_test(long_queues),
	        cmocka_unit_test(spare_chunks_are_bounded),
	        cmocka_unit_test(ahead_looks_past_the_oldest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
