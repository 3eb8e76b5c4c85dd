/* Fault sweep: the n-th allocation or mapping fails, for every n that the scenario reaches. After
 * each: a typed error, no leak (the sanitizer watches), nothing half applied, and the shard goes
 * on. The room is compiled into this program, with its allocations counted. */
#include "store_world.h"

#include <sys/mman.h>

static uint64_t countdown; /* 0: nothing fails */
static uint64_t failed;

static bool fault(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed++;
	return true;
}
static void *fault_calloc(size_t n, size_t bytes)
{
	return fault() ? NULL : calloc(n, bytes);
}
static void *fault_malloc(size_t bytes)
{
	return fault() ? NULL : malloc(bytes);
}
static void *fault_realloc(void *p, size_t bytes)
{
	return fault() ? NULL : realloc(p, bytes);
}
static void *fault_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	return fault() ? MAP_FAILED : mmap(at, n, prot, flags, fd, offset);
}

#define calloc  fault_calloc
#define malloc  fault_malloc
#define realloc fault_realloc
#define mmap    fault_mmap
#include "../../../engine/shm/segment.c"
#include "../../../engine/store/blocks.c"
#define publish index_publish
#include "../../../engine/store/index.c"
#undef publish
#include "../../../engine/store/retire.c"
#define segment_add shard_segment_add
#include "../../../engine/store/shard.c"
#undef segment_add
#define segment_add slots_segment_add
#include "../../../engine/store/slots.c"
#undef segment_add
#include "../../../engine/store/store.c"
#include "../../../engine/store/store_apply.c"
#include "../../../engine/store/store_list.c"
#include "../../../engine/store/store_sync.c"
#undef calloc
#undef malloc
#undef realloc
#undef mmap

enum { OBJECTS = 5000 };

static bool is_memory_error(err_t e)
{
	return e == ERR_NO_MEMORY || e == ERR_SHM;
}

/* Runs to the end whatever fails; returns how many operations were refused. */
static uint64_t scenario(struct store *s)
{
	uint64_t refused = 0, rv = 1;
	struct store_list *l = NULL, *other = NULL;
	struct store_identity id = {.cluster = SPAN("c"), .resource = SPAN("pods")};
	struct test_object t;
	struct store_sync_result r;
	enum store_outcome what;
	char name[32];
	while (!l) { /* each of these is tried until it works */
		err_t e = store_list_open(s, &id, NULL, NULL, &l);
		assert_true(e == ERR_OK || is_memory_error(e));
		refused += e != ERR_OK;
	}
	for (bool done = false; !done;) {
		done = true;
		store_sync_begin(l, rv);
		for (int i = 0; done && i < OBJECTS; i++) {
			snprintf(name, sizeof name, "p%d", i);
			err_t e = store_sync_item(l, test_simple(&t, name, 10), rv);
			assert_true(e == ERR_OK || is_memory_error(e));
			done = e == ERR_OK;
		}
		if (done) {
			err_t e = store_sync_commit(l, SPAN("100"), false, rv, &r);
			assert_true(e == ERR_OK || is_memory_error(e));
			done = e == ERR_OK;
		}
		refused += !done;
		test_audit_list(s, l);
	}
	while (!other) {
		err_t e = store_list_open(s, &id, NULL, NULL, &other);
		refused += e != ERR_OK;
	}
	for (int i = 0; i < 200; i++) {
		err_t e;
		rv = 1000 + (uint64_t)i;
		snprintf(name, sizeof name, "p%d", i * 7);
		struct json_object *o = test_object(&t, "default", name, "u", "", 1900);
		snprintf(t.rv, sizeof t.rv, "%d", 1000 + i);
		o->resource_version = test_span(t.rv);
		o->uid = span_of("uid-");
		while ((e = store_upsert(i % 2 ? l : other, o, rv, &what)) != ERR_OK) {
			assert_true(is_memory_error(e));
			assert_true(strlen(store_list_refusal(i % 2 ? l : other)) > 0);
			refused++;
		}
		if (i % 3)
			continue;
		while ((e = store_delete(i % 2 ? l : other, o, rv, &what)) != ERR_OK) {
			assert_true(is_memory_error(e));
			refused++;
		}
		assert_int_equal(what, STORE_DELETED);
	}
	test_audit_list(s, l);
	test_audit_list(s, other);
	store_list_close(&other, rv);
	store_list_close(&l, rv);
	store_give_up_all(s);
	struct store_usage u;
	store_usage(s, &u);
	assert_true(u.live_bytes == 0 && u.staged_bytes == 0 && u.slots == 0);
	assert_true(u.retained_bytes == 0);
	return refused;
}

static void every_allocation_fails_once(void **state)
{
	(void)state;
	struct store_config c = {.ring_entries = 2048,
	        .lists_max = 2,
	        .block_segment_bytes = 256 << 10,
	        .in_process = true};
	uint64_t reached = 0, errors = 0;
	for (uint64_t n = 1;; n++) {
		struct store *s;
		struct errmsg msg = {.text = ""};
		countdown = n;
		failed = 0;
		err_t e = store_new(&c, &s, &msg);
		if (e != ERR_OK) {
			assert_true(is_memory_error(e) && failed == 1 && strlen(msg.text) > 0);
			assert_null(s);
			reached++;
			continue;
		}
		errors += scenario(s);
		store_free(&s);
		countdown = 0;
		if (failed == 0)
			break; /* n is past the last allocation */
		reached++;
	}
	assert_true(reached > 30); /* the sweep has swept something */
	assert_true(errors > 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
