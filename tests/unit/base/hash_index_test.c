/* hash_index_test.c - finding, removing and growing; how long the walks are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash_index.h"

enum { MANY = 20000 };

static void nothing_is_in_an_empty_one(void **state)
{
	struct hash_index x = {0};
	(void)state;
	assert_null(hash_index_first(&x, 0));
	hash_index_fini(&x);
	hash_index_fini(&x);
}

static void equal_hashes_are_all_found(void **state)
{
	struct hash_index x = {0};
	struct hash_node n[5];
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(hash_index_reserve(&x), ERR_OK);
		hash_index_add(&x, &n[i], i < 3 ? 16 : 32); /* one bucket */
	}
	for (int gone = 0; gone < 3; gone++) {
		int found = 0;
		for (struct hash_node *it = hash_index_first(&x, 16); it; it = hash_index_next(it))
			found++;
		assert_int_equal(found, 3 - gone);
		hash_index_remove(&x, &n[gone]);
	}
	assert_null(hash_index_first(&x, 16));
	assert_non_null(hash_index_first(&x, 32));
	assert_int_equal(x.count, 2);
	hash_index_fini(&x);
}

static void many_names_stay_in_short_chains(void **state)
{
	struct hash_index x = {0};
	struct hash_node *n = calloc(MANY, sizeof *n);
	char name[32];
	uint32_t longest = 0;
	(void)state;
	assert_non_null(n);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "cluster-%d", i);
		assert_int_equal(hash_index_reserve(&x), ERR_OK);
		hash_index_add(&x, &n[i], hash_of_text(name, 9));
	}
	for (uint32_t b = 0; b < x.capacity; b++) {
		uint32_t length = 0;
		for (const struct hash_node *it = x.buckets[b]; it; it = it->next)
			length++;
		longest = length > longest ? length : longest;
	}
	assert_true(longest <= 10);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "cluster-%d", i);
		assert_ptr_equal(hash_index_first(&x, hash_of_text(name, 9)), &n[i]);
	}
	assert_null(hash_index_first(&x, hash_of_text("cluster-0", 10))); /* another seed */
	for (int i = 0; i < MANY; i++)
		hash_index_remove(&x, &n[i]);
	assert_int_equal(x.count, 0);
	hash_index_fini(&x);
	free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_is_in_an_empty_one),
	        cmocka_unit_test(equal_hashes_are_all_found),
	        cmocka_unit_test(many_names_stay_in_short_chains),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
