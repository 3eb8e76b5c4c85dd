/* First syncs and relists: nothing is visible before commit; the exact entries after it. */
#include "store_world.h"

#include <pthread.h>

enum { RING = 64 };
#define SMALL                                                                                      \
	(&(struct store_config){.ring_entries = RING,                                              \
	        .lists_max = 4,                                                                    \
	        .hash_seed = 5,                                                                    \
	        .block_segment_bytes = 1 << 20})

static void item(struct store_list *l, const char *name, uint64_t rv)
{
	struct test_object t;
	assert_ok(store_sync_item(l, test_simple(&t, name, rv), 1000));
}
static void item_uid(struct store_list *l, const char *name, const char *uid, uint64_t rv)
{
	struct test_object t;
	char text[32];
	snprintf(text, sizeof text, "%llu", (unsigned long long)rv);
	assert_ok(store_sync_item(l, test_object(&t, "default", name, uid, text, 200), 1000));
}
static void items(struct store_list *l, uint32_t from, uint32_t to, uint64_t rv)
{
	char name[16];
	for (uint32_t i = from; i < to; i++) {
		snprintf(name, sizeof name, "p%u", i);
		item(l, name, rv + i);
	}
}
static struct store_sync_result commit(struct store_list *l, uint64_t rv, bool back)
{
	struct store_sync_result r;
	char text[32];
	snprintf(text, sizeof text, "%llu", (unsigned long long)rv);
	assert_ok(store_sync_commit(l, test_span(text), back, 5000, &r));
	return r;
}
/* A list of n objects p0.., versions 100.., whole at 1000. */
static struct store_list *full_list(struct store *s, uint32_t n)
{
	struct store_list *l = test_list(s, "pods", NULL);
	store_sync_begin(l, 1);
	items(l, 0, n, 100);
	commit(l, 1000, false);
	return l;
}
static void expect(
        const struct store *s, uint64_t seq, enum shm_op op, unsigned flags, unsigned aux)
{
	const struct shm_entry *e = test_entry(s, seq);
	assert_true(e->seq == seq);
	assert_int_equal(e->op, op);
	assert_int_equal(e->flags, flags);
	assert_int_equal(e->aux, aux);
}

/* --- first sync ----------------------------------------------------------------------------- */

static void first_sync_is_reset_and_synced(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_list(s, "pods", NULL);
	const struct shm_list *row = test_row(s, l);
	struct store_usage u;
	store_sync_begin(l, 1);
	items(l, 0, 500, 100);
	assert_int_equal(row->sync_objects, 500);
	assert_int_equal(row->whole, 0);
	assert_int_equal(test_header(s)->commit, 0);
	assert_int_equal(store_list_objects(l), 0);
	assert_null(test_get(s, l, "default", "p7"));
	test_audit_list(s, l);
	store_usage(s, &u);
	assert_int_equal(u.staged_bytes, 500 * 320);
	struct store_sync_result r = commit(l, 1000, false);
	assert_true(r.added == 500 && r.modified == 0 && r.deleted == 0 && r.reset);
	assert_int_equal(test_header(s)->commit, 2);
	expect(s, 1, SHM_OP_RESET, SHM_FLAG_RELIST, SHM_RESET_FIRST_SYNC);
	expect(s, 2, SHM_OP_SYNCED, SHM_FLAG_RELIST, 0);
	assert_true(test_entry(s, 1)->digest == store_list_digest(l));
	assert_true(test_entry(s, 2)->digest == store_list_digest(l));
	assert_true(test_entry(s, 2)->prev == 1 && test_entry(s, 2)->rv == 1000);
	assert_int_equal(test_get(s, l, "default", "p7")->seq, 1); /* S6 */
	assert_true(row->whole == 1 && row->last_change == 2 && row->relists == 0);
	assert_true(row->sync_objects == 0 && row->objects == 500);
	assert_true(span_is(store_list_rv(l), "1000"));
	test_audit_list(s, l);
	store_free(&s);
}

static void empty_first_sync(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_list(s, "pods", NULL);
	store_sync_begin(l, 1);
	struct store_sync_result r = commit(l, 7, false);
	assert_true(r.added == 0 && r.unchanged == 0);
	assert_int_equal(test_header(s)->commit, 2);
	assert_int_equal(test_row(s, l)->whole, 1);
	store_free(&s);
}

/* --- relist in place --------------------------------------------------------------------- */

static void unchanged_relist_touches_nothing(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 100);
	struct shm_slot before = *test_get(s, l, "default", "p7");
	struct store_usage u, v;
	uint64_t seq = test_header(s)->commit;
	store_usage(s, &u);
	store_sync_begin(l, 1);
	items(l, 0, 100, 100);
	store_usage(s, &v);
	assert_memory_equal(&u, &v, sizeof u); /* no memory at all */
	struct store_sync_result r = commit(l, 2000, false);
	assert_true(r.unchanged == 100 && r.added + r.modified + r.deleted == 0 && !r.reset);
	assert_true(test_header(s)->commit == seq + 1);
	expect(s, seq + 1, SHM_OP_SYNCED, SHM_FLAG_RELIST, 0);
	assert_memory_equal(test_get(s, l, "default", "p7"), &before, sizeof before);
	assert_int_equal(test_row(s, l)->relists, 1);
	assert_true(span_is(store_list_rv(l), "2000"));
	store_free(&s);
}

static void changes_then_deletes_then_synced(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 10);
	uint64_t seq = test_header(s)->commit;
	uint64_t p9 = test_get(s, l, "default", "p9")->block;
	store_sync_begin(l, 1);
	items(l, 0, 7, 100); /* p7, p8, p9 are gone */
	item(l, "p3", 2003); /* newer than what this answer said before */
	item(l, "new", 2004);
	item_uid(l, "p5", "reborn", 2005);
	struct store_sync_result r = commit(l, 3000, false);
	assert_true(
	        r.added == 1 && r.modified == 2 && r.deleted == 3 && r.unchanged == 5 && !r.reset);
	unsigned rel = SHM_FLAG_RELIST, gone = rel | SHM_FLAG_FINAL_STATE_UNKNOWN;
	/* in the order of slots: p3, p5 (twice), new */
	expect(s, seq + 1, SHM_OP_MODIFIED, rel, 0);
	expect(s, seq + 2, SHM_OP_DELETED, gone | SHM_FLAG_RECREATED, 0);
	expect(s, seq + 3, SHM_OP_ADDED, rel | SHM_FLAG_RECREATED, 0);
	expect(s, seq + 4, SHM_OP_ADDED, rel, 0);
	expect(s, seq + 5, SHM_OP_DELETED, gone, 0);
	expect(s, seq + 6, SHM_OP_DELETED, gone, 0);
	expect(s, seq + 7, SHM_OP_DELETED, gone, 0);
	expect(s, seq + 8, SHM_OP_SYNCED, rel, 0);
	assert_true(test_header(s)->commit == seq + 8);
	assert_true(
	        test_entry(s, seq + 7)->old_block == p9 && test_entry(s, seq + 7)->new_block == 0);
	for (uint64_t i = seq + 1; i <= seq + 8; i++) {
		assert_true(test_entry(s, i)->prev == i - 1);
		assert_true(test_entry(s, i)->rv == 3000);
	}
	assert_true(test_entry(s, seq + 8)->digest == store_list_digest(l));
	test_audit_list(s, l);
	store_free(&s);
}

static void nothing_is_visible_before_commit(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 10);
	uint64_t seq = test_header(s)->commit, digest = store_list_digest(l);
	uint64_t block = test_get(s, l, "default", "p3")->block;
	store_sync_begin(l, 1);
	item(l, "p3", 2000);
	item(l, "new", 2001);
	assert_true(test_header(s)->commit == seq && store_list_digest(l) == digest);
	assert_true(test_get(s, l, "default", "p3")->block == block);
	assert_null(test_get(s, l, "default", "new"));
	assert_non_null(test_get(s, l, "default", "p9"));
	test_audit_list(s, l);
	store_free(&s);
}

/* --- twice in one answer, removals, abort ------------------------------------------------ */

static void same_name_twice(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 3);
	struct test_object t;
	struct store_usage u;
	store_sync_begin(l, 1);
	items(l, 0, 3, 100);
	item(l, "new", 2000);
	item(l, "new", 2000); /* the same: once */
	item(l, "new", 2002); /* newer: replaces */
	item(l, "p0", 2001);
	item(l, "p0", 2003);
	assert_int_equal(store_sync_item(l, test_simple(&t, "new", 2001), 1), ERR_KUBE_ORDER);
	assert_int_equal(test_row(s, l)->sync_objects, 4);
	store_usage(s, &u);
	assert_int_equal(u.staged_bytes, 2 * 320);
	struct store_sync_result r = commit(l, 3000, false);
	assert_true(r.added == 1 && r.modified == 1 && r.unchanged == 2 && r.deleted == 0);
	assert_int_equal(test_get(s, l, "default", "new")->rv, 2002);
	assert_int_equal(test_get(s, l, "default", "p0")->rv, 2003);
	test_audit_list(s, l);
	store_free(&s);
}

static void removed_before_the_end_marker(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 3);
	struct test_object t;
	struct store_usage u;
	store_sync_begin(l, 1);
	items(l, 0, 3, 100);
	item(l, "new", 2000);
	item(l, "p1", 2001);
	assert_ok(store_sync_remove(l, test_simple(&t, "new", 2002)));
	assert_ok(store_sync_remove(l, test_simple(&t, "p1", 2002)));
	assert_ok(store_sync_remove(l, test_simple(&t, "p2", 2002)));
	assert_ok(store_sync_remove(l, test_simple(&t, "p2", 2002))); /* again: nothing */
	assert_ok(store_sync_remove(l, test_simple(&t, "ghost", 2002)));
	store_usage(s, &u);
	assert_int_equal(u.staged_bytes, 0);
	assert_int_equal(u.unknown_deletes, 1);
	item(l, "new", 2003); /* and there again */
	struct store_sync_result r = commit(l, 3000, false);
	assert_true(r.added == 1 && r.unchanged == 1 && r.deleted == 2 && r.modified == 0);
	assert_null(test_get(s, l, "default", "p1"));
	assert_non_null(test_get(s, l, "default", "p0"));
	test_audit_list(s, l);
	store_free(&s);
}

static void abort_gives_everything_back(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 10);
	struct store_usage u, v;
	uint64_t seq = test_header(s)->commit;
	store_sync_abort(l); /* none under way */
	store_usage(s, &u);
	for (int i = 0; i < 50; i++) {
		store_sync_begin(l, 1); /* gives back the one before, too */
		items(l, 5, 30, 2000);
		assert_int_equal(test_row(s, l)->sync_objects, 25);
	}
	store_sync_abort(l);
	store_usage(s, &v);
	assert_int_equal(v.staged_bytes, 0);
	assert_int_equal(v.slots, u.slots);
	assert_int_equal(v.live_bytes, u.live_bytes);
	assert_int_equal(v.retained_bytes, u.retained_bytes);
	assert_int_equal(test_row(s, l)->sync_objects, 0);
	assert_true(test_header(s)->commit == seq);
	test_audit_list(s, l);
	/* the list lives on, and so does the next sync */
	struct test_object t;
	enum store_outcome what;
	assert_ok(store_upsert(l, test_simple(&t, "p6", 5000), 1, &what));
	assert_int_equal(what, STORE_MODIFIED);
	store_sync_begin(l, 1);
	items(l, 0, 5, 100);
	struct store_sync_result r = commit(l, 6000, false);
	assert_true(r.unchanged == 5 && r.deleted == 5);
	store_sync_begin(l, 1);
	items(l, 0, 9, 7000);
	store_list_close(&l, 1); /* in the middle of one */
	store_usage(s, &v);
	assert_int_equal(v.staged_bytes, 0);
	assert_int_equal(v.live_bytes, 0);
	store_free(&s);
}

/* --- too many for the ring --------------------------------------------------------------- */

/* changed objects + RESET + SYNCED against ring_entries / 4 */
static void bulk_begins_above_a_quarter_of_the_ring(void **state)
{
	(void)state;
	for (uint32_t changed = RING / 4 - 3; changed <= RING / 4; changed++) {
		struct store *s = test_store(SMALL);
		struct store_list *l = full_list(s, 40);
		uint64_t seq = test_header(s)->commit;
		bool bulk = changed + 2 > RING / 4;
		store_sync_begin(l, 1);
		items(l, 0, changed, 2000);
		items(l, changed, 40, 100);
		struct store_sync_result r = commit(l, 3000, false);
		assert_int_equal(r.modified, changed);
		assert_int_equal(r.reset, bulk);
		assert_true(test_header(s)->commit == seq + (bulk ? 2 : changed + 1));
		if (bulk) {
			expect(s, seq + 1, SHM_OP_RESET, SHM_FLAG_RELIST, SHM_RESET_TOO_MANY);
			expect(s, seq + 2, SHM_OP_SYNCED, SHM_FLAG_RELIST, 0);
			assert_true(test_get(s, l, "default", "p0")->seq == seq + 1);
			assert_true(test_get(s, l, "default", "p39")->seq < seq); /* untouched */
		} else {
			expect(s, seq + 1, SHM_OP_MODIFIED, SHM_FLAG_RELIST, 0);
		}
		test_audit_list(s, l);
		store_free(&s);
	}
}

static void bulk_begins_above_half_of_the_retained_bytes(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		struct store_config c = *SMALL;
		c.retained_bytes_max = 2 * 5 * 320; /* half of it: five objects */
		struct store *s = test_store(&c);
		struct store_list *l = full_list(s, 40);
		store_sync_begin(l, 1);
		items(l, 0, 5 + (uint32_t)more, 2000); /* limit, limit + 1 */
		items(l, 5 + (uint32_t)more, 40, 100);
		assert_int_equal(commit(l, 3000, false).reset, more);
		test_audit_list(s, l);
		store_free(&s);
	}
}

struct seen {
	uint64_t n, ref[64], hash[64];
};
static void see(void *arg, const struct shm_slot *slot, const struct shm_block *b)
{
	struct seen *v = arg;
	v->ref[v->n] = slot->block;
	v->hash[v->n++] = XXH3_64bits(b, b->bytes);
}

/* S6: whoever meets a slot of a bulk that is being written finds its RESET in the ring. Without it
 * a look-up by key would take an object that is being deleted for one that never was. */
struct watcher {
	const struct store *s;
	const struct shm_slot *slot;
	uint64_t met, alone; /* slots ahead of commit; of them those without a RESET */
	bool stop;           /* [atomic] */
};

static void *watch_slot(void *arg)
{
	struct watcher *w = arg;
	const struct shm_header *h = test_header(w->s);
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		uint64_t commit = __atomic_load_n(&h->commit, __ATOMIC_ACQUIRE);
		uint64_t seq = __atomic_load_n(&w->slot->seq, __ATOMIC_ACQUIRE);
		if (seq <= commit)
			continue;
		const struct shm_entry *e = test_entry(w->s, commit + 1);
		bool there = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE) == commit + 1 &&
		             __atomic_load_n(&e->op, __ATOMIC_RELAXED) == SHM_OP_RESET;
		if (__atomic_load_n(&h->commit, __ATOMIC_ACQUIRE) != commit)
			continue; /* it is committed by now */
		__atomic_fetch_add(&w->met, 1, __ATOMIC_RELEASE);
		w->alone += !there;
	}
	return NULL;
}

static void bulk_shows_in_the_ring_before_its_slots(void **state)
{
	(void)state;
	enum { OBJECTS = 4000, ROUNDS = 2000, MEETINGS = 20 };
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, OBJECTS);
	struct watcher w = {.s = s, .slot = test_get(s, l, "default", "p0")};
	pthread_t thread;
	assert_non_null(w.slot);
	assert_int_equal(pthread_create(&thread, NULL, watch_slot, &w), 0);
	for (uint64_t round = 1;
	        round <= ROUNDS && __atomic_load_n(&w.met, __ATOMIC_ACQUIRE) < MEETINGS; round++) {
		store_sync_begin(l, 1);
		items(l, 0, OBJECTS, 10000 * round);
		assert_true(commit(l, 10000 * round + 9999, false).reset);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_true(w.met > 0);
	assert_int_equal(w.alone, 0);
	test_audit_list(s, l);
	store_free(&s);
}

/* S5, S6: no ring entry names what a bulk replaced, but a view of before reads on. */
static void bulk_keeps_what_views_hold(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 60);
	struct seen v = {0};
	struct store_usage u;
	struct test_object t;
	enum store_outcome what;
	uint64_t position = test_header(s)->commit, checked = 0;
	store_list_each(l, see, &v);
	assert_int_equal(v.n, 60);
	store_sync_begin(l, 1);
	items(l, 0, 30, 2000); /* p30.. are deleted */
	assert_true(commit(l, 3000, false).reset);
	store_usage(s, &u);
	assert_int_equal(u.retained_bytes, 60 * 320);
	for (uint64_t rv = 4000; test_header(s)->head <= position + 1; rv++) {
		for (uint64_t i = 0; i < v.n; i++)
			assert_true(test_block_hash(s, v.ref[i]) == v.hash[i]);
		checked++;
		assert_ok(store_upsert(l, test_simple(&t, "busy", rv), 1, &what));
	}
	/* as long as RESET is in the ring, of which a live event keeps two entries free */
	assert_int_equal(checked, RING - 2);
	for (uint64_t rv = 5000; rv < 5100; rv++) /* collected bit by bit */
		assert_ok(store_upsert(l, test_simple(&t, "busy", rv), 1, &what));
	store_usage(s, &u);
	assert_true(u.retained_bytes <= RING * 320);
	store_free(&s);
}

/* --- versions that go back --------------------------------------------------------------- */

static void version_back_says_reset_first(void **state)
{
	(void)state;
	enum { TOLD, LIST_LOWER, ITEM_LOWER };
	for (int why = TOLD; why <= ITEM_LOWER; why++) {
		struct store *s = test_store(SMALL);
		struct store_list *l = full_list(s, 10);
		uint64_t seq = test_header(s)->commit;
		store_sync_begin(l, 1);
		items(l, 0, 9, 100);
		item(l, "p9", why == ITEM_LOWER ? 5 : 109);
		struct store_sync_result r = commit(l, why == LIST_LOWER ? 500 : 2000, why == TOLD);
		assert_false(r.reset); /* few changes: each is published */
		expect(s, seq + 1, SHM_OP_RESET, SHM_FLAG_RELIST, SHM_RESET_VERSION_BACK);
		if (why == ITEM_LOWER)
			expect(s, seq + 2, SHM_OP_MODIFIED, SHM_FLAG_RELIST, 0);
		expect(s, test_header(s)->commit, SHM_OP_SYNCED, SHM_FLAG_RELIST, 0);
		assert_true(test_header(s)->commit == seq + (why == ITEM_LOWER ? 3 : 2));
		assert_true(span_is(store_list_rv(l), why == LIST_LOWER ? "500" : "2000"));
		test_audit_list(s, l);
		store_free(&s);
	}
}

static void version_back_in_bulk_is_one_reset(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 60);
	uint64_t seq = test_header(s)->commit;
	store_sync_begin(l, 1);
	items(l, 0, 60, 1);
	assert_true(commit(l, 500, true).reset);
	assert_true(test_header(s)->commit == seq + 2);
	expect(s, seq + 1, SHM_OP_RESET, SHM_FLAG_RELIST, SHM_RESET_VERSION_BACK);
	test_audit_list(s, l);
	store_free(&s);
}

static void opaque_versions_are_replaced(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_list(s, "pods", NULL);
	struct test_object t;
	struct store_sync_result r;
	for (int round = 0; round < 2; round++) {
		store_sync_begin(l, 1);
		assert_ok(store_sync_item(l, test_object(&t, "", "a", "u", "same", 50), 1));
		assert_ok(store_sync_item(
		        l, test_object(&t, "", "b", "u", round ? "aaa" : "zzz", 50), 1));
		assert_ok(store_sync_commit(l, test_span(round ? "A" : "Z"), false, 1, &r));
	}
	assert_true(r.unchanged == 1 && r.modified == 1 && !r.reset);
	assert_true(span_is(store_list_rv(l), "A"));
	store_free(&s);
}

static void commit_needs_a_version(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = full_list(s, 5);
	struct store_sync_result r;
	char longest[64];
	memset(longest, '9', sizeof longest);
	store_sync_begin(l, 1);
	items(l, 0, 5, 2000);
	uint64_t seq = test_header(s)->commit;
	assert_int_equal(store_sync_commit(l, SPAN_NONE, false, 1, &r), ERR_JSON_SHAPE);
	assert_int_equal(store_sync_commit(l, SPAN("1\0002"), false, 1, &r), ERR_JSON_SHAPE);
	assert_int_equal(
	        store_sync_commit(l, (struct span){longest, 64}, false, 1, &r), ERR_JSON_LIMIT);
	assert_true(test_header(s)->commit == seq);
	assert_ok(store_sync_commit(l, (struct span){longest, 63}, false, 1, &r)); /* still there */
	assert_int_equal(r.modified, 5);
	store_free(&s);
}

/* --- after a live stream ----------------------------------------------------------------- */

static void objects_from_before_the_first_sync(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_list(s, "pods", NULL);
	struct test_object t;
	enum store_outcome what;
	assert_ok(store_upsert(l, test_simple(&t, "p1", 101), 1, &what));
	assert_ok(store_upsert(l, test_simple(&t, "gone", 50), 1, &what));
	store_sync_begin(l, 1);
	items(l, 0, 3, 100);
	struct store_sync_result r = commit(l, 1000, false);
	assert_true(r.added == 2 && r.unchanged == 1 && r.deleted == 1 && r.reset);
	test_audit_list(s, l);
	store_free(&s);
}

static void relist_with_few_changes_takes_little_memory(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.ring_entries = 4096;
	c.block_segment_bytes = 8 << 20;
	struct store *s = test_store(&c);
	struct store_list *l = full_list(s, 10000);
	struct store_usage u, v;
	store_usage(s, &u);
	store_sync_begin(l, 1);
	items(l, 0, 100, 20000); /* 1 % */
	items(l, 100, 10000, 100);
	store_usage(s, &v);
	uint64_t before = u.live_bytes, peak = v.live_bytes + v.staged_bytes + v.retained_bytes;
	assert_true(peak * 10 <= before * 11); /* 1.1 times */
	assert_int_equal(v.staged_bytes, 100 * 320);
	assert_int_equal(commit(l, 30000, false).modified, 100);
	store_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(first_sync_is_reset_and_synced),
	        cmocka_unit_test(empty_first_sync),
	        cmocka_unit_test(unchanged_relist_touches_nothing),
	        cmocka_unit_test(changes_then_deletes_then_synced),
	        cmocka_unit_test(nothing_is_visible_before_commit),
	        cmocka_unit_test(same_name_twice),
	        cmocka_unit_test(removed_before_the_end_marker),
	        cmocka_unit_test(abort_gives_everything_back),
	        cmocka_unit_test(bulk_begins_above_a_quarter_of_the_ring),
	        cmocka_unit_test(bulk_begins_above_half_of_the_retained_bytes),
	        cmocka_unit_test(bulk_shows_in_the_ring_before_its_slots),
	        cmocka_unit_test(bulk_keeps_what_views_hold),
	        cmocka_unit_test(version_back_says_reset_first),
	        cmocka_unit_test(version_back_in_bulk_is_one_reset),
	        cmocka_unit_test(opaque_versions_are_replaced),
	        cmocka_unit_test(commit_needs_a_version),
	        cmocka_unit_test(objects_from_before_the_first_sync),
	        cmocka_unit_test(relist_with_few_changes_takes_little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
