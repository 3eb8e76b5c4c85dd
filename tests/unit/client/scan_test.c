/* scan_test.c - a view is the list at one position, whatever happens between any two of the scan's
 * looks at shared memory: scan.c itself, with something happening before its n-th look, for every n
 * that there is. The view's objects have to add up to its digest, and the changes behind it have to
 * lead to what the list is in the end. */
#include "resting_writer.h"

#include "client/list.h"
#include "client/object.h"

static void before_look(void);

#define LOOK(call) (before_look(), (call))

static inline uint64_t commit_looked_at(const struct read_shard *s)
{
	return LOOK(read_commit(s));
}
static inline enum read_result last_looked_at(
        const struct read_shard *s, uint32_t list, uint32_t gen, uint64_t *out)
{
	return LOOK(read_last(s, list, gen, out));
}
static inline enum read_result chain_looked_at(
        const struct read_shard *s, struct read_chain *c, struct shm_entry *out)
{
	return LOOK(read_chain_next(s, c, out));
}
static inline enum read_result entry_looked_at(
        const struct read_shard *s, uint64_t seq, struct shm_entry *out)
{
	return LOOK(read_entry(s, seq, out));
}
static inline enum read_result row_looked_at(
        struct mapping *s, uint32_t list, uint32_t gen, struct shm_list *out)
{
	return LOOK(mapping_row(s, list, gen, out));
}
static inline enum read_result slot_looked_at(
        struct mapping *s, uint32_t slot, struct shm_slot *out)
{
	return LOOK(mapping_slot(s, slot, out));
}
static inline enum read_result page_looked_at(
        struct mapping *s, uint32_t page, struct shm_page *out)
{
	return LOOK(mapping_page(s, page, out));
}

#define read_commit     commit_looked_at
#define read_last       last_looked_at
#define read_chain_next chain_looked_at
#define read_entry      entry_looked_at
#define mapping_row     row_looked_at
#define mapping_slot    slot_looked_at
#define mapping_page    page_looked_at
#include "client/scan.c" // NOLINT(bugprone-suspicious-include)
#undef read_commit
#undef read_last
#undef read_chain_next
#undef read_entry
#undef mapping_row
#undef mapping_slot
#undef mapping_page

enum { OBJECTS = 17, LOOKS_MAX = 10000, NEVER = 1 << 30 };

static struct {
	struct world w;
	unsigned looks, when,
	        until; /* something happens before look `when`; a rest ends at `until` */
	void (*happens)(void);
	bool rests;
} t;

static void before_look(void)
{
	unsigned now = t.looks++;
	if (now == t.when)
		t.happens();
	if (now == t.until && t.rests) {
		t.rests = false;
		end_relist();
	}
}

/* --- what happens -------------------------------------------------------------------------------
 */

static void nothing(void) {}
static void put_first(void)
{
	world_put(&t.w, "pods", "n0", 1000);
}
static void put_last(void)
{
	world_put(&t.w, "pods", "n16", 1000);
}
static void put_both_twice(void)
{
	for (unsigned i = 0; i < 4; i++)
		world_put(&t.w, "pods", i % 2 ? "n0" : "n16", 1000 + i);
}
static void add(void)
{
	world_put(&t.w, "pods", "new", 1000);
}
static void add_pages(void)
{
	char name[16];
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "new%u", i);
		world_put(&t.w, "pods", name, 1000 + i);
	}
}
static void drop_first(void)
{
	world_delete(&t.w, "pods", "n0", 1000);
}
static void drop_and_add(void)
{
	world_delete(&t.w, "pods", "n3", 1000);
	world_put(&t.w, "pods", "in its place", 1001);
	world_put(&t.w, "pods", "n3", 1002);
}
static void recreate(void)
{
	fake_lock(t.w.d);
	fake_put(fake_list(t.w.d, "test", "pods"), "n2", 2, 1000);
	fake_unlock(t.w.d);
}
static void lap(void)
{
	for (unsigned i = 0; i < 2 * t.w.config.ring_entries; i++)
		world_put(&t.w, "others", "n0", 1000 + i);
}
static void change_and_lap(void)
{
	put_first();
	drop_and_add();
	lap();
}
static void relist(void)
{
	fake_lock(t.w.d);
	fake_sync(fake_list(t.w.d, "test", "pods"), 3, OBJECTS, 500, 2000);
	fake_unlock(t.w.d);
}

/* --- the check ----------------------------------------------------------------------------------
 */

static void open_world(uint32_t ring)
{
	world_init(&t.w, ring);
	world_sync(&t.w, "pods", OBJECTS);
	world_sync(&t.w, "others", 1);
	assert_int_equal(world_connect(&t.w), KR_OK);
}

static void follow_to_the_end(struct kr_list *l, struct fold *f, struct kr_view *v)
{
	struct kr_change ch;
	int r;
	while ((r = kr_follow_next(&v->follow, &ch, 0)) != KR_TIMEOUT) {
		if (r == KR_OK && fold_change(f, &ch))
			continue;
		assert_true(r == KR_OK || r == KR_ERR_OVERRUN);
		kr_follow_end(&v->follow);
		world_fold(l, f, v);
	}
	kr_follow_end(&v->follow);
}

/* One view, with that happening in it. False: it had no such look. */
static bool one_view(uint32_t ring, unsigned when, unsigned until)
{
	struct kr_view v;
	struct fold f;
	struct kr_list_status s;
	open_world(ring);
	struct kr_list *l = world_list(&t.w, "pods");
	fold_init(&f);
	t.looks = 0;
	t.when = when;
	t.until = until;
	world_fold(l, &f, &v);
	bool happened = t.looks > when;
	t.when = NEVER;
	if (t.rests) {
		t.rests = false;
		end_relist();
	}
	follow_to_the_end(l, &f, &v);
	world_status(l, &s);
	assert_int_equal(f.digest, s.digest);
	assert_int_equal(f.count, s.objects);
	fold_fini(&f);
	world_fini(&t.w);
	return happened;
}

/* rest: how many looks after it began, a rest ends. */
static void at_every_look(uint32_t ring, void (*happens)(void), unsigned rest)
{
	unsigned when = 0;
	t.happens = happens;
	while (one_view(ring, when, when + rest))
		assert_true(++when < LOOKS_MAX);
	assert_true(when > OBJECTS);
}

static void single_changes(void **state)
{
	(void)state;
	at_every_look(256, nothing, 0);
	at_every_look(256, put_first, 0);
	at_every_look(256, put_last, 0);
	at_every_look(256, put_both_twice, 0);
	at_every_look(256, add, 0);
	at_every_look(256, drop_first, 0);
	at_every_look(256, drop_and_add, 0);
	at_every_look(256, recreate, 0);
}

static void many_changes(void **state)
{
	(void)state;
	at_every_look(256, add_pages, 0);
	at_every_look(16, add_pages, 0);
	at_every_look(16, change_and_lap, 0);
	at_every_look(256, relist, 0);
	at_every_look(16, relist, 0); /* in bulk */
}

static int rest_before;

static void rest_in_a_relist(void)
{
	t.rests = true;
	begin_relist(&t.w, (struct relist){2, OBJECTS, 500, rest_before});
}

/* n0 and n1 go, two are new, all others change: 19 entries and SYNCED, before one of which it
 * rests. In bulk there are two. As long as it rests, the view is that before it, by the ring, or
 * the scan goes round. */
static void half_a_relist(void **state)
{
	static const unsigned rests[] = {1, 30, 400};
	static const int befores[] = {1, 2, 10, 18, 20};
	(void)state;
	for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
		for (size_t j = 0; j < sizeof befores / sizeof befores[0]; j++) {
			rest_before = befores[j];
			at_every_look(256, rest_in_a_relist, rests[i]);
		}
		rest_before = 2;
		at_every_look(16, rest_in_a_relist, rests[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(single_changes),
	        cmocka_unit_test(many_changes),
	        cmocka_unit_test(half_a_relist),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
