/* The write half alone: what each step leaves in memory, and its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/write.h"

enum { ENTRIES = 16 };

struct world {
	struct shm_header header;
	struct shm_entry ring[ENTRIES];
	struct write w;
};

static int setup(void **state)
{
	struct world *x = calloc(1, sizeof *x);
	write_init(&x->w, &x->header, x->ring, ENTRIES);
	*state = x;
	return 0;
}
static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void start_is_empty(void **state)
{
	struct world *x = *state;
	assert_int_equal(x->header.commit, 0);
	assert_int_equal(x->header.head, 1);
	write_commit(&x->w); /* nothing to commit */
	assert_int_equal(x->header.commit, 0);
	assert_false(write_signal(&x->w));
	assert_int_equal(x->header.futex, 0);
}

static void entry_is_written_whole(void **state)
{
	struct world *x = *state;
	struct shm_entry e = {.seq = 999,
	        .list = 1,
	        .list_gen = 2,
	        .op = 3,
	        .flags = 4,
	        .slot = 5,
	        .aux = 6,
	        .new_block = 7,
	        .old_block = 8,
	        .prev = 9,
	        .digest = 10,
	        .rv = 11};
	write_room(&x->w, write_head_for(&x->w, 1));
	assert_int_equal(write_entry(&x->w, &e), 1);
	assert_int_equal(x->header.commit, 0); /* not before W6 */
	write_commit(&x->w);
	assert_int_equal(x->header.commit, 1);
	e.seq = 1; /* numbered by the ring, not by the caller */
	assert_memory_equal(&x->ring[1], &e, sizeof e);
}

static void slot_ver_is_even_and_rises(void **state)
{
	(void)state;
	struct shm_slot slot = {.ver = 41 + 1};
	struct shm_slot v = {.ver = 7,
	        .state = SHM_SLOT_LIVE,
	        .key_hash = 1,
	        .seq = 2,
	        .block = 3,
	        .object_hash = 4,
	        .rv = 5,
	        .list = 6,
	        .json_bytes = 7};
	write_slot(&slot, &v);
	assert_int_equal(slot.ver, 44); /* of the slot, not of v */
	v.ver = 44;
	assert_memory_equal(&slot, &v, sizeof v);
	slot.ver = UINT32_MAX - 1; /* wraps to an even number */
	write_slot(&slot, &v);
	assert_int_equal(slot.ver, 0);
}

static void row_ver_is_odd_inside(void **state)
{
	(void)state;
	struct shm_list row = {0};
	write_row_begin(&row);
	assert_int_equal(row.ver, 1);
	write_row_end(&row);
	assert_int_equal(row.ver, 2);
}

static void row_text_is_cut_and_filled(void **state)
{
	(void)state;
	char field[16];
	memset(field, 'x', sizeof field);
	write_row_text(field, sizeof field, "abc", 3);
	assert_memory_equal(field, "abc\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	write_row_text(field, sizeof field, "123456789012345", 15); /* limit */
	assert_memory_equal(field, "123456789012345", 16);
	write_row_text(field, sizeof field, "1234567890123456", 16); /* limit + 1 */
	assert_memory_equal(field, "123456789012345", 16);
	write_row_text(field, sizeof field, "", 0);
	assert_int_equal(field[0], 0);
	assert_int_equal(field[15], 0);
}

static void head_for_leaves_exactly_the_ring(void **state)
{
	struct world *x = *state;
	assert_int_equal(write_head_for(&x->w, 0), 1);
	assert_int_equal(write_head_for(&x->w, ENTRIES), 1); /* 1..16 all fit */
	for (uint64_t seq = 1; seq <= 5 * ENTRIES; seq++) {
		uint64_t head = write_head_for(&x->w, 1);
		assert_int_equal(head, seq <= ENTRIES ? 1 : seq - ENTRIES + 1);
		write_room(&x->w, head);
		assert_int_equal(x->header.head, head);
		assert_int_equal(write_entry(&x->w, &(struct shm_entry){.op = 1}), seq);
		write_commit(&x->w);
		/* S1: everything from head on is there */
		for (uint64_t s = head; s <= seq; s++)
			assert_int_equal(x->ring[s & (ENTRIES - 1)].seq, s);
	}
	/* a batch as large as the ring gives up everything, and no more (S5) */
	assert_int_equal(write_head_for(&x->w, ENTRIES), x->w.commit + 1);
}

static void head_never_falls(void **state)
{
	struct world *x = *state;
	for (int i = 0; i < 8; i++)
		write_entry(&x->w, &(struct shm_entry){.op = 1});
	write_commit(&x->w);
	write_room(&x->w, 5);
	write_room(&x->w, 3);
	assert_int_equal(x->header.head, 5);
	write_room(&x->w, 9); /* commit + 1 */
	assert_int_equal(x->header.head, 9);
}

static void signal_once_per_commit(void **state)
{
	struct world *x = *state;
	write_entry(&x->w, &(struct shm_entry){.op = 1});
	write_entry(&x->w, &(struct shm_entry){.op = 1});
	assert_false(write_signal(&x->w));
	write_commit(&x->w);
	assert_true(write_signal(&x->w));
	assert_false(write_signal(&x->w));
	assert_int_equal(x->header.futex, 1);
	write_heartbeat(&x->w, 77);
	assert_int_equal(x->header.heartbeat_ns, 77);
	write_stop(&x->w);
	assert_int_equal(x->header.state, SHM_SHARD_STOPPED);
}

/* --- bugs of the caller stop the process ---------------------------------------------------- */

static void entry_without_room(struct world *x)
{
	for (int i = 0; i <= ENTRIES; i++) {
		write_entry(&x->w, &(struct shm_entry){.op = 1});
		write_commit(&x->w);
	}
}
static void head_past_commit(struct world *x)
{
	write_room(&x->w, 2);
}
static void more_than_the_ring(struct world *x)
{
	(void)write_head_for(&x->w, ENTRIES + 1);
}

static void aborts(struct world *x, void (*run)(struct world *))
{
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		run(x);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
static void broken_promises_are_caught(void **state)
{
	aborts(*state, entry_without_room);
	aborts(*state, head_past_commit);
	aborts(*state, more_than_the_ring);
}

static void bytes_at_every_alignment(void **state)
{
	(void)state;
	uint64_t words[16];
	char *to = (char *)words;
	char from[80];
	for (size_t i = 0; i < sizeof from; i++)
		from[i] = (char)(i + 1);
	for (size_t at = 0; at < 16; at++) {
		for (size_t n = 0; n < 64; n++) {
			memset(words, 0, sizeof words);
			write_bytes(to + at, from, n);
			for (size_t i = 0; i < sizeof words; i++)
				assert_int_equal(to[i], i < at || i >= at + n ? 0 : from[i - at]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(start_is_empty, setup, teardown),
	        cmocka_unit_test_setup_teardown(entry_is_written_whole, setup, teardown),
	        cmocka_unit_test(slot_ver_is_even_and_rises),
	        cmocka_unit_test(row_ver_is_odd_inside),
	        cmocka_unit_test(row_text_is_cut_and_filled),
	        cmocka_unit_test_setup_teardown(head_for_leaves_exactly_the_ring, setup, teardown),
	        cmocka_unit_test_setup_teardown(head_never_falls, setup, teardown),
	        cmocka_unit_test_setup_teardown(signal_once_per_commit, setup, teardown),
	        cmocka_unit_test_setup_teardown(broken_promises_are_caught, setup, teardown),
	        cmocka_unit_test(bytes_at_every_alignment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
