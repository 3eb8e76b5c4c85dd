/* fetch_test.c - each word of shared memory is fetched once (read.h): what a consumer checks is
 * what it uses, whatever the daemon stores in between. A compiler may turn one copy in the source
 * into two loads, and what is read of the second was not checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/load_trap.h"

#pragma GCC visibility push(hidden) /* as in libkubering, where they are inlined */
#include "shm/read.c"               // NOLINT(bugprone-suspicious-include)
#pragma GCC visibility pop

#ifdef LOAD_TRAP

static uint8_t *page;
static unsigned fetched[LOAD_TRAP_BYTES]; /* loads that begin at this byte */

static void count(size_t at)
{
	fetched[at]++;
}

static void begin(void)
{
	memset(fetched, 0, sizeof fetched);
	load_trap_begin(count);
}

/* Of these bytes some were fetched, and none of them twice. */
static void end(size_t from, size_t bytes)
{
	unsigned all = 0;
	load_trap_end();
	for (size_t i = from; i < from + bytes; i++) {
		if (fetched[i] > 1)
			fail_msg("byte %zu was fetched %u times", i - from, fetched[i]);
		all += fetched[i];
	}
	assert_true(all > 0);
}

static void of_a_block(void **state)
{
	(void)state;
	struct read_object o;
	struct shm_block *b = (void *)page;
	*b = (struct shm_block){.bytes = sizeof *b + 18,
	        .json_bytes = 2,
	        .namespace_bytes = 1,
	        .name_bytes = 2,
	        .uid_bytes = 1,
	        .rv_bytes = 1,
	        .json_offset = sizeof *b + 16};
	memcpy(b + 1, "n\0na\0u\0001\0\0\0\0\0\0\0\0{}", 18);
	begin();
	bool good = read_object(page, sizeof *b + 18, &o);
	end(0, sizeof *b);
	assert_true(good);
	assert_string_equal(o.name, "na");
}

static void of_an_entry(void **state)
{
	(void)state;
	struct shm_entry e, *entry = (void *)page;
	static struct shm_header h = {.head = 1};
	struct read_shard *s = calloc(1, sizeof *s);
	assert_non_null(s);
	s->header = &h;
	s->ring = page;
	s->ring_mask = 1;
	s->entry_stride = sizeof e;
	entry[1] = (struct shm_entry){.seq = 1, .list = 2, .op = SHM_OP_ADDED, .new_block = 64};
	begin();
	enum read_result r = read_entry(s, 1, &e);
	end(sizeof e, sizeof e);
	assert_int_equal(r, READ_OK);
	assert_int_equal(e.new_block, 64);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(of_a_block),
	        cmocka_unit_test(of_an_entry),
	};
	page = load_trap_page();
	return page ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

#else

int main(void)
{
	return 0;
}

#endif
