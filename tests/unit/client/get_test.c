/* get_test.c - kr_get while the writer goes on: get.c itself, with the test between its looks at
 * shared memory, where elsewhere only the kernel's scheduler is. And a writer that rests in the
 * middle of a batch. */
#include "resting_writer.h"

#include "client/hash.h"
#include "client/list.h"
#include "client/session.h"

enum look { LOOK_COMMIT, LOOK_PROBE, LOOK_PAGE, LOOK_INTACT };
static void (*between)(enum look next); /* about to look at that */

static void before_look(enum look next)
{
	if (between)
		between(next);
}

static uint64_t commit_looked_at(const struct read_shard *s)
{
	before_look(LOOK_COMMIT);
	return read_commit(s);
}

static enum read_result probe_looked_at(
        struct mapping *s, uint64_t key_hash, struct read_probe *probe)
{
	before_look(LOOK_PROBE);
	return mapping_probe(s, key_hash, probe);
}

static enum read_result page_looked_at(struct mapping *s, uint32_t page, struct shm_page *out)
{
	before_look(LOOK_PAGE);
	return mapping_page(s, page, out);
}

/* The other way round: between the check and what comes after it. */
static bool intact_looked_at(const struct read_shard *s, uint64_t seq)
{
	bool yes = read_intact(s, seq);
	before_look(LOOK_INTACT);
	return yes;
}

#define read_commit(s)              commit_looked_at(s)
#define read_intact(s, seq)         intact_looked_at(s, seq)
#define mapping_probe(s, hash, out) probe_looked_at(s, hash, out)
#define mapping_page(s, page, out)  page_looked_at(s, page, out)
#include "client/get.c" // NOLINT(bugprone-suspicious-include)
#undef read_commit
#undef read_intact
#undef mapping_probe
#undef mapping_page

/* --- the world ----------------------------------------------------------------------------------
 */

static struct {
	struct world w;
	struct kr_list *l;
	unsigned looks[LOOK_INTACT + 1];
	bool done;
} t;

static void open_pods(uint32_t ring, unsigned count)
{
	memset(&t, 0, sizeof t);
	world_init(&t.w, ring);
	world_sync(&t.w, "pods", count);
	world_sync(&t.w, "others", 1);
	assert_int_equal(world_connect(&t.w), KR_OK);
	t.l = world_list(&t.w, "pods");
}

static void end(void)
{
	between = NULL;
	world_fini(&t.w);
}

/* Once around the ring: what is retired by now is used again, for an object of that name. */
static void lap(const char *name)
{
	uint64_t entries = t.w.config.ring_entries;
	for (uint64_t i = 0; i < 2 * entries; i++)
		world_put(&t.w, "others", name, 501 + i);
}

/* --- the tests ----------------------------------------------------------------------------------
 */

static void change_and_lap(enum look next)
{
	if (++t.looks[next] > 1)
		return;
	if (next == LOOK_PROBE) /* commit was looked at, the slot was not */
		world_put(&t.w, "pods", "n0", 101);
	if (next == LOOK_PAGE) { /* the slot was: it named the block of 101 */
		world_put(&t.w, "pods", "n0", 102);
		lap("n0");
	}
}

/* A commit that is read after the slot does not vouch for the block that the slot named: an object
 * of another list was handed out. */
static void a_block_that_was_given_up_is_not_taken(void **state)
{
	(void)state;
	struct kr_object o;
	open_pods(16, 1);
	between = change_and_lap;
	assert_int_equal(kr_get(t.l, "default", "n0", 0, &o), KR_OK);
	assert_string_equal(o.resource_version, "102");
	end();
}

static void relist_beside_others(enum look next)
{
	t.looks[next]++;
	if (t.done)
		return;
	if (next == LOOK_PROBE && t.looks[LOOK_PROBE] == 1)
		world_delete(&t.w, "pods", "n9", 101); /* so that it is not found at once */
	if (next == LOOK_COMMIT && t.looks[LOOK_COMMIT] == 2)
		world_put(&t.w, "pods", "n9", 102); /* and is there when the next look begins */
	if (next == LOOK_PROBE && t.looks[LOOK_PROBE] == 2) {
		t.done = true;
		world_put(&t.w, "others", "n0", 501);
		/* n8 and n9 are out of the index */
		begin_relist(&t.w, (struct relist){.count = 8, .object_rv = 1, .rest_before = 3});
	}
}

/* What a relist takes out is there until it is committed, also when other lists have committed
 * something in between. */
static void a_relist_is_seen_whole_or_not(void **state)
{
	(void)state;
	struct kr_object o;
	open_pods(256, 10);
	between = relist_beside_others;
	assert_int_equal(kr_get(t.l, "default", "n9", 0, &o), KR_OK);
	assert_true(t.done);
	assert_string_equal(o.resource_version, "102");
	end_relist();
	assert_int_equal(kr_get(t.l, "default", "n9", 0, &o), KR_ERR_NOT_FOUND);
	end();
}

/* It comes and goes, so that what is looked for is not found and that is not believed, until the
 * ring is asked: then it is there, and a relist begins that takes it out. */
static void come_and_go(enum look next)
{
	static uint64_t rv;
	static bool there;
	if (t.looks[LOOK_COMMIT] == 0) {
		rv = 100;
		there = true;
	}
	t.looks[next]++;
	if (t.done)
		return;
	if (next == LOOK_COMMIT && !there) {
		world_put(&t.w, "pods", "n9", ++rv);
		there = true;
	}
	if (next != LOOK_PROBE)
		return;
	if (t.looks[LOOK_PROBE] <= 1 + GET_TRIES) {
		world_delete(&t.w, "pods", "n9", ++rv);
		there = false;
	} else {
		t.done = true;
		begin_relist(&t.w, (struct relist){.count = 8, .object_rv = 1, .rest_before = 3});
	}
}

static void the_ring_knows_what_a_relist_takes_out(void **state)
{
	(void)state;
	struct kr_object o;
	open_pods(4096, 10);
	between = come_and_go;
	assert_int_equal(kr_get(t.l, "default", "n9", 0, &o), KR_OK);
	assert_true(t.done);
	assert_string_equal(o.name, "n9");
	end_relist();
	assert_int_equal(kr_get(t.l, "default", "n9", 0, &o), KR_ERR_NOT_FOUND);
	end();
}

static void go_on_and_lap(enum look next)
{
	if (next != LOOK_INTACT || t.done)
		return;
	t.done = true;
	end_relist();
	world_delete(&t.w, "pods", "n10", RELIST_VERSION + 1);
	lap("n5");
}

/* Whose the entry of a batch is says a block, and that counts only if the block was whole after it
 * was read. */
static void a_name_is_read_before_it_is_checked(void **state)
{
	(void)state;
	struct kr_object o;
	open_pods(256, 10);
	world_delete(&t.w, "pods", "n0", 101); /* n10 comes into its place, before n5 */
	/* n10 is added, n1 to n5 are modified */
	begin_relist(&t.w, (struct relist){1, 10, 102, 7});
	between = go_on_and_lap;
	assert_int_equal(kr_get(t.l, "default", "n5", 0, &o), KR_OK);
	assert_true(t.done);
	assert_string_equal(o.resource_version, "102");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_block_that_was_given_up_is_not_taken),
	        cmocka_unit_test(a_relist_is_seen_whole_or_not),
	        cmocka_unit_test(the_ring_knows_what_a_relist_takes_out),
	        cmocka_unit_test(a_name_is_read_before_it_is_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
