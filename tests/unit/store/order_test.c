/* order_test.c - what stands in shared memory at the moment a change is committed (W4 to W6): the
 * page of the commit word may not be written, so the store of it stops in the handler, which looks
 * at what a consumer would see that reads just then. Without it only luck shows a swapped pair of
 * stores. */
#include <signal.h>
#include <sys/mman.h>

#include "unit/store/store_world.h"

static struct {
	const struct store *s;
	const struct store_list *l;
	struct shm_header *header;
	const void *at; /* where the first write to the page went */
	uint64_t commit, last_change, digest, objects, slot_seq;
	char rv[64];
	struct shm_entry entry; /* the newest one of the list */
	uint32_t slot;
} trap;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	const struct shm_list *row = test_row(trap.s, trap.l);
	trap.at = info->si_addr;
	trap.commit = trap.header->commit;
	trap.last_change = row->last_change;
	trap.digest = row->digest;
	trap.objects = row->objects;
	memcpy(trap.rv, row->rv, sizeof trap.rv);
	trap.entry = *test_entry(trap.s, row->last_change);
	trap.slot_seq = test_slot(trap.s, trap.slot)->seq;
	if (mprotect(trap.header, SHM_HEADER_BYTES, PROT_READ | PROT_WRITE) != 0)
		abort();
}

static void arm(const struct store *s, const struct store_list *l, uint32_t slot)
{
	trap.s = s;
	trap.l = l;
	trap.slot = slot;
	trap.header = (struct shm_header *)(uintptr_t)test_header(s);
	trap.at = NULL;
	assert_int_equal(mprotect(trap.header, SHM_HEADER_BYTES, PROT_READ), 0);
}

/* The write of commit was the first to its page, and all that it promises was there. */
static void assert_told(enum shm_op op)
{
	const struct shm_list *row = test_row(trap.s, trap.l);
	assert_ptr_equal(trap.at, &trap.header->commit);
	assert_true(trap.commit < trap.header->commit);
	assert_int_equal(trap.last_change, trap.header->commit);
	assert_int_equal(trap.entry.seq, trap.header->commit);
	assert_int_equal(trap.entry.op, op);
	assert_int_equal(trap.digest, row->digest);
	assert_int_equal(trap.objects, row->objects);
	assert_string_equal(trap.rv, row->rv);
	if (op <= SHM_OP_DELETED)
		assert_int_equal(trap.slot_seq, trap.header->commit);
}

static void at_commit_all_of_a_change_is_there(void **state)
{
	const struct store_config config = {.ring_entries = 256,
	        .lists_max = 8,
	        .block_segment_bytes = 1 << 20,
	        .shard_bytes_max = 64 << 20,
	        .retained_bytes_max = 1 << 20,
	        .objects_max = 1000};
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
	struct test_object t;
	enum store_outcome what;
	struct store_sync_result r;
	(void)state;
	assert_int_equal(sigaction(SIGSEGV, &act, &before), 0);
	struct store *s = test_store(&config);
	struct store_list *l = test_live_list(s, "pods", NULL);
	assert_ok(store_upsert(l, test_simple(&t, "a", 10), 10, &what)); /* pages are there now */
	uint32_t a = test_entry(s, test_header(s)->commit)->slot;

	arm(s, l, a + 1);
	assert_ok(store_upsert(l, test_simple(&t, "b", 11), 11, &what));
	assert_told(SHM_OP_ADDED);

	arm(s, l, a);
	assert_ok(store_upsert(l, test_simple(&t, "a", 12), 12, &what));
	assert_told(SHM_OP_MODIFIED);

	arm(s, l, a);
	assert_ok(store_delete(l, test_simple(&t, "a", 13), 13, &what));
	assert_told(SHM_OP_DELETED);

	store_sync_begin(l, 14);
	assert_ok(store_sync_item(l, test_simple(&t, "b", 14), 14));
	assert_ok(store_sync_item(l, test_simple(&t, "c", 15), 14));
	while (store_dirty_pop(s))
		;
	arm(s, l, a);
	assert_ok(store_sync_commit(l, SPAN("15"), false, 14, &r));
	assert_told(SHM_OP_SYNCED);
	assert_ptr_equal(store_dirty_pop(s), l); /* its followers are woken */
	assert_int_equal(trap.objects, 2);
	assert_string_equal(trap.rv, "15");

	store_list_close(&l, 20);
	store_free(&s);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(at_commit_all_of_a_change_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
