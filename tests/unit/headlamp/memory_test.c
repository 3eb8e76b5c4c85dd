/* Out of memory at the first, second, ... allocation, until none fails: the answer is ERR_NO_MEMORY
 * or NULL, nothing leaks (the sanitizer looks), and what was there before still works. The C files
 * are compiled in here with the failing allocator. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static long budget = -1; /* allocations that succeed before one fails; -1: all */
static bool hit;

static bool refuses(void)
{
	if (budget < 0)
		return false;
	bool no = budget == 0;
	hit |= no;
	budget -= no ? 0 : 1; /* and all after it */
	return no;
}
static void *test_calloc(size_t k, size_t n)
{
	return refuses() ? NULL : calloc(k, n);
}
static void *test_realloc(void *p, size_t n)
{
	return refuses() ? NULL : realloc(p, n);
}
static char *test_strndup(const char *p, size_t n)
{
	return refuses() ? NULL : strndup(p, n);
}
#define calloc  test_calloc
#define realloc test_realloc
#undef strndup
#define strndup test_strndup
#include "headlamp/backend.c"
#include "headlamp/envelope.c"
#include "headlamp/mux.c"
#include "headlamp/mux_key.c"
#undef calloc
#undef realloc
#undef strndup

#include "unit/json/doc.h"

#include <stdio.h>

static err_t read_once(void)
{
	static const char text[] =
	        "{\"clusterId\":\"c\",\"data\":\"{\\\"error\\\":\\\"no\\\"}\",\"type\":\"ERROR\"}";
	struct envelope_reader *r = envelope_reader_new(100);
	struct envelope e;
	struct errmsg m = {0};
	struct span d = doc(text);
	err_t err = r ? envelope_read(r, d, &e, &m) : ERR_NO_MEMORY;
	if (!err)
		assert_span(envelope_error(r, &e), "no");
	else
		assert_true(!r || m.code == ERR_NO_MEMORY);
	envelope_reader_free(&r);
	doc_free(&d);
	return err;
}

static err_t config_once(void)
{
	struct backend_clusters c;
	struct errmsg m = {0};
	err_t err = backend_read_config(
	        SPAN("{\"clusters\":[{\"name\":\"b\",\"error\":\"x\"},{\"name\":\"a\"}]}"), &c, &m);
	assert_int_equal(c.count, err ? 0 : 2);
	backend_clusters_fini(&c);
	return err;
}

enum { SUBS = 70 }; /* the tables grow */

static err_t subscribe_once(void)
{
	static struct mux_sub subs[SUBS];
	static char buf[MUX_MESSAGE_BYTES_MAX];
	struct mux *m = mux_new(1);
	size_t asked = 0, taken = 0;
	err_t err = m ? ERR_OK : ERR_NO_MEMORY;
	memset(subs, 0, sizeof subs);
	for (int i = 0; i < SUBS && !err; i++) {
		char path[16];
		snprintf(path, sizeof path, "/%d", i);
		err = mux_subscribe(m, &subs[i], SPAN("a"), span_of(path), SPAN("q"), 0);
		asked += !err;
	}
	if (asked && !err)
		err = mux_set_query(m, &subs[0], SPAN("a longer one"));
	if (m)
		mux_on_open(m, 0);
	while (m && mux_take(m, 0, buf, sizeof buf)) { /* what was asked for is sent */
		struct mux_key *k = m->probe;
		if (taken++ == 0) {
			assert_non_null(k);
			assert_non_null(memmem(buf, 200, k->query, k->query_bytes));
			answered(m, k, true, 0);
			k->sub->state = MUX_SUB_OPEN;
		}
	}
	assert_int_equal(taken, asked);
	for (int i = 0; i < SUBS && m; i++) {
		assert_true(subs[i].key || subs[i].state == MUX_SUB_IDLE);
		mux_unsubscribe(m, &subs[i]);
	}
	mux_free(&m);
	return err;
}

static void sweep(err_t (*once)(void), long least)
{
	long n = 0;
	do {
		hit = false;
		budget = n++;
		err_t err = once();
		budget = -1;
		/* A table that cannot grow is no error. */
		assert_true(err == ERR_OK || (hit && err == ERR_NO_MEMORY));
	} while (hit);
	assert_true(n > least);
}

static void reading_survives(void **state)
{
	(void)state;
	sweep(read_once, 3);
}

static void the_list_of_clusters_survives(void **state)
{
	(void)state;
	sweep(config_once, 4);
}

static void subscribing_survives(void **state)
{
	(void)state;
	sweep(subscribe_once, 3 * SUBS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reading_survives),
	        cmocka_unit_test(the_list_of_clusters_survives),
	        cmocka_unit_test(subscribing_survives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
