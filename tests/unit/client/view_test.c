/* Views: the list at exactly one position, whatever the writer does or was doing when it died. */
#include "client_world.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static struct shm_slot *slots(struct world *w)
{
	return (void *)(uintptr_t)store_segment_at(fake_store(w->d), header(w)->slot_segments[0]);
}

static struct shm_entry *entry(struct world *w, uint64_t seq)
{
	char *ring = (void *)(uintptr_t)store_segment_at(fake_store(w->d), 1);
	return (void *)(ring + (seq & (header(w)->ring_entries - 1)) * sizeof(struct shm_entry));
}

static void sizes(void **state)
{
	(void)state;
	static const unsigned counts[] = {0, 1, 14, 15, 16, 30, 31, 2000, 5000};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct world w;
		struct kr_view v;
		struct fold f;
		world_open(&w, 0);
		struct kr_list *l = world_list(&w, "pods");
		world_sync(&w, "pods", counts[i]);
		fold_init(&f);
		world_fold(l, &f, &v);
		assert_int_equal(v.whole, 1);
		assert_int_equal(f.count, counts[i]);
		assert_string_equal(v.resource_version, "100");
		fold_fini(&f);
		world_fini(&w);
	}
}

static size_t address_space(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return pages * 4096;
}

/* Zero under a sanitizer. */
static size_t heap_in_use(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

/* What a large view takes is not in the host's heap, which would keep it, and is unmapped after. */
static void a_view_gives_its_memory_back(void **state)
{
	(void)state;
	enum { VIEWS = 64, CELLS_BYTES = 5000 / 15 * 256 };
	struct world w;
	struct kr_view v;
	size_t space = 0;
	struct kr_list *l = world_pods(&w, 0, 5000);
	for (int i = 0; i < VIEWS; i++) {
		size_t heap = heap_in_use();
		assert_int_equal(kr_view_begin(l, &v), KR_OK);
		assert_true(heap_in_use() < heap + CELLS_BYTES / 2);
		kr_view_end(&v);
		kr_follow_end(&v.follow);
		if (i == 0)
			space = address_space();
	}
	assert_true(address_space() < space + VIEWS / 2 * CELLS_BYTES);
	world_fini(&w);
}

static void a_view_stays_at_its_position(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_object o;
	unsigned n = 0;
	struct kr_list *l = world_pods(&w, 0, 100);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	for (unsigned i = 0; i < 50; i++) { /* all of this comes after it */
		char name[16];
		snprintf(name, sizeof name, "n%u", i);
		world_put(&w, "pods", name, 200 + i);
		world_put(&w, "pods", "new", 1000 + i);
	}
	world_delete(&w, "pods", "n99", 2000);
	while (kr_view_next(&v, &o) == KR_OK) {
		assert_string_equal(o.resource_version, "1");
		n++;
	}
	assert_int_equal(n, 100);
	assert_int_equal(kr_view_next(&v, &o), KR_END);
	assert_int_equal(kr_view_end(&v), KR_OK);
	assert_int_equal(kr_view_end(&v), KR_ERR_ARGUMENT); /* already */
	world_fini(&w);
}

static void an_old_view_is_overrun_where_objects_were_replaced(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_object o;
	struct kr_list *l = world_pods(&w, 16, 4);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	for (unsigned i = 0; i < 100; i++)
		world_put(&w, "pods", "other", 200 + i);
	unsigned n = 0; /* untouched ones are there as long as they live (S2) */
	while (kr_view_next(&v, &o) == KR_OK)
		n++;
	assert_int_equal(n, 4);
	assert_int_equal(kr_view_end(&v), KR_OK);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	for (unsigned i = 0; i < 100; i++)
		world_put(&w, "pods", "n2", 400 + i);
	int r;
	while ((r = kr_view_next(&v, &o)) == KR_OK)
		assert_string_not_equal(o.name, "n2");
	assert_int_equal(r, KR_ERR_OVERRUN);
	assert_int_equal(kr_view_next(&v, &o), KR_ERR_OVERRUN); /* for good */
	assert_int_equal(kr_view_end(&v), KR_ERR_OVERRUN);
	world_fini(&w);
}

/* S5 to the last number: what C + 1 replaced may be read while head <= C + 1, and not when it is C
 * + 2. */
static void the_edge_of_a_position(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_object o;
	struct kr_list *l = world_pods(&w, 0, 1);
	for (unsigned more = 0; more < 2; more++) {
		assert_int_equal(kr_view_begin(l, &v), KR_OK);
		uint64_t position = header(&w)->commit, head = header(&w)->head;
		world_put(&w, "pods", "n0", 101 + more);
		header(&w)->head = position + 1 + more;
		assert_int_equal(kr_view_next(&v, &o), more ? KR_ERR_OVERRUN : KR_OK);
		header(&w)->head = head;
		kr_view_end(&v);
	}
	world_fini(&w);
}

static void half_a_view_says_so(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_object o;
	struct kr_list *l = world_pods(&w, 0, 2);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	assert_int_equal(kr_view_next(&v, &o), KR_OK);
	assert_int_equal(kr_view_end(&v), KR_END);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	assert_int_equal(kr_view_next(&v, &o), KR_OK);
	assert_int_equal(kr_view_next(&v, &o), KR_OK);
	assert_int_equal(
	        kr_view_end(&v), KR_OK); /* all were handed out, KR_END was not waited for */
	assert_int_equal(kr_view_begin(l, NULL), KR_ERR_ARGUMENT);
	assert_int_equal(kr_view_begin_flags(l, &v, KR_NO_OLD), KR_ERR_ARGUMENT);
	memset(&v, 0x5a, sizeof v); /* as a stack holds it */
	assert_int_equal(kr_view_begin(NULL, &v), KR_ERR_ARGUMENT);
	assert_int_equal(kr_view_end(&v), KR_ERR_ARGUMENT); /* nothing to end, and no harm */
	kr_follow_end(&v.follow);
	assert_int_equal(kr_view_next(NULL, &o), KR_ERR_ARGUMENT);
	world_fini(&w);
}

static void borrowed_views_do_not_copy(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_object o, again;
	struct kr_list *l = world_pods(&w, 0, 3);
	assert_int_equal(kr_view_begin_flags(l, &v, KR_BORROW), KR_OK);
	while (kr_view_next(&v, &o) == KR_OK) {
		assert_int_equal(kr_get(l, o.namespace_, o.name, KR_BORROW, &again), KR_OK);
		assert_ptr_equal(o.json, again.json);
		assert_int_equal(kr_check(l, &o), KR_OK);
	}
	assert_int_equal(kr_view_end(&v), KR_OK);
	world_fini(&w);
}

/* Is the list, by view and by get, exactly what `before` is? */
static void same_as(struct kr_list *l, const struct fold *before, struct kr_view *v)
{
	struct kr_object o;
	struct fold f;
	fold_init(&f);
	world_fold(l, &f, v);
	assert_int_equal(v->digest, before->digest);
	assert_int_equal(v->count, before->count);
	assert_string_equal(v->resource_version, "102");
	for (unsigned i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%u", i);
		const char *rv = fold_rv(before, "default", name);
		assert_int_equal(kr_get(l, "default", name, 0, &o), rv ? KR_OK : KR_ERR_NOT_FOUND);
		if (rv) {
			assert_string_equal(o.resource_version, rv);
			assert_string_equal(fold_rv(&f, "default", name), rv);
		} else {
			assert_null(fold_rv(&f, "default", name));
		}
	}
	fold_fini(&f);
}

/* A batch that is written but not committed is not there: the ring says what was before (S3). It
 * stays so for a dead writer. */
static void an_uncommitted_batch_is_taken_back(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct fold f;
	struct kr_list *l = world_pods(&w, 0, 60);
	world_put(&w, "pods", "n7", 101);
	world_delete(&w, "pods", "n8", 102);
	fold_init(&f);
	world_fold(l, &f, &v);
	struct shm_list *r = row(&w, "pods"), old = *r;
	uint64_t commit = header(&w)->commit;
	fake_lock(w.d); /* drops 20, changes 40, adds 40 */
	fake_sync(fake_list(w.d, "test", "pods"), 20, 80, 5, 200);
	struct shm_list new = *r;
	uint64_t whole = header(&w)->commit;
	header(&w)->commit = commit; /* as a reader sees it at the end of the batch */
	fake_unlock(w.d);
	assert_true(whole > commit + 60);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	kr_follow_end(&v.follow);
	same_as(l, &f, &v);
	*r = old; /* and before its end, when the row does not know of it yet */
	r->ver = new.ver;
	r->first_page = new.first_page;
	r->page_count = new.page_count;
	same_as(l, &f, &v);
	*r = new;
	header(&w)->commit = whole;
	do {
		assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
		assert_true(fold_change(&f, &ch));
	} while (ch.type != KR_SYNCED);
	assert_int_equal(f.count, 80);
	kr_follow_end(&v.follow);
	world_fold(l, &f, &v);
	assert_int_equal(v.count, 80);
	fold_fini(&f);
	world_fini(&w);
}

/* Memory as it stands in the middle of a batch: slots up to one change, entries up to another, row
 * and commit from before. */
struct half {
	struct world *w;
	struct shm_slot old[128], new[128]; /* of the first pages */
	struct shm_list old_row, new_row;
	uint64_t commit, whole;
};

static void half_make(struct half *h, uint64_t slots_to, uint64_t entries_to)
{
	struct shm_slot *at = slots(h->w);
	for (int i = 0; i < 128; i++) /* page headers: pages come before what is in them */
		at[i] = i % SHM_PAGE_SLOTS == 0 || h->new[i].seq <= slots_to ? h->new[i]
		                                                             : h->old[i];
	for (uint64_t seq = h->commit + 1; seq <= h->whole; seq++)
		entry(h->w, seq)->seq = seq <= entries_to ? seq : 0;
	bool done = entries_to == h->whole;
	*row(h->w, "pods") = done ? h->new_row : h->old_row;
	row(h->w, "pods")->ver = h->new_row.ver;
	row(h->w, "pods")->first_page = h->new_row.first_page;
	header(h->w)->commit = h->commit;
}

static void every_step_of_a_batch(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	static struct half h;
	struct kr_list *l = world_pods(&w, 0, 20);
	h.w = &w;
	h.commit = header(&w)->commit;
	h.old_row = *row(&w, "pods");
	memcpy(h.old, slots(&w), sizeof h.old);
	fake_lock(w.d);
	fake_sync(fake_list(w.d, "test", "pods"), 5, 20, 5, 200); /* 5 go, 15 change, 5 come */
	h.whole = header(&w)->commit;
	h.new_row = *row(&w, "pods");
	memcpy(h.new, slots(&w), sizeof h.new);
	fake_unlock(w.d);
	assert_true(h.whole - h.commit >= 25);
	for (uint64_t step = h.commit; step <= h.whole; step++) {
		half_make(&h, step, step);
		fold_init(&f);
		assert_int_equal(kr_view_begin(l, &v), KR_OK);
		assert_int_equal(v.digest, h.old_row.digest);
		assert_int_equal(fold_view(&f, &v), KR_OK);
		assert_int_equal(f.count, 20);
		fold_fini(&f);
	}
	half_make(&h, h.commit + 9, h.commit + 8); /* between W4 and W5: not even the ring knows */
	assert_int_equal(kr_view_begin(l, &v), KR_ERR_STUCK);
	half_make(&h, h.whole, h.whole);
	header(&w)->commit = h.whole;
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	assert_int_equal(v.digest, h.new_row.digest);
	kr_view_end(&v);
	world_fini(&w);
}

static void a_writer_that_died_in_a_slot_is_stuck(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_object o;
	struct kr_change ch;
	struct kr_list *l = world_pods(&w, 0, 5);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	assert_int_equal(kr_get(l, "default", "n3", 0, &o), KR_OK);
	struct shm_slot *s = &slots(&w)[o._private[1] & 0xffff];
	s->ver++; /* odd */
	assert_int_equal(kr_get(l, "default", "n3", 0, &o), KR_ERR_STUCK);
	assert_non_null(strstr(kr_last_error(w.c), "middle of a write"));
	assert_int_equal(kr_get(l, "default", "n2", 0, &o), KR_OK); /* the others are fine */
	struct kr_view late;
	assert_int_equal(kr_view_begin(l, &late), KR_ERR_STUCK);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT); /* needs no slot */
	s->ver++;
	assert_int_equal(kr_get(l, "default", "n3", 0, &o), KR_OK);
	row(&w, "pods")->ver++;
	struct kr_list_status status = {.size = sizeof status};
	assert_int_equal(kr_list_status(l, &status), KR_ERR_STUCK);
	assert_int_equal(kr_view_begin(l, &late), KR_ERR_STUCK);
	row(&w, "pods")->ver++;
	assert_int_equal(kr_view_begin(l, &late), KR_OK);
	kr_view_end(&late);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

static void what_breaks_the_rules_is_corrupt(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v, bad;
	struct kr_object o;
	struct kr_change ch;
	struct kr_list *l = world_pods(&w, 0, 40);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	world_put(&w, "pods", "n1", 101);
	struct shm_entry *e = entry(&w, header(&w)->commit), good = *e;
	struct kr_follow again = v.follow;
#define BROKEN(change)                                                                             \
	do {                                                                                       \
		struct kr_follow k = again;                                                        \
		change;                                                                            \
		assert_int_equal(kr_follow_next(&k, &ch, 0), KR_ERR_CORRUPT);                      \
		kr_follow_end(&k);                                                                 \
		*e = good;                                                                         \
	} while (0)
	BROKEN(e->list++);
	BROKEN(e->prev = e->seq);
	BROKEN(e->op = 0);
	BROKEN(e->new_block = 1ull << 40); /* the ring itself */
	BROKEN(e->new_block += 4);
	BROKEN(e->new_block |= (1ull << 40) - 64);
	BROKEN(e->old_block = 0);
	BROKEN(e->new_block = 5000ull << 40);
	BROKEN(e->new_block = 4000ull << 40); /* a segment that the directory does not have */
#undef BROKEN
	struct kr_follow k = again; /* a kind of a later minor version is passed over */
	e->op = 77;
	assert_int_equal(kr_follow_next(&k, &ch, 0), KR_TIMEOUT);
	kr_follow_end(&k);
	*e = good;
	assert_int_equal(kr_get(l, "default", "n9", 0, &o), KR_OK);
	struct shm_slot *s = &slots(&w)[o._private[1] & 0xffff], kept = *s;
	s->block = 3ull << 40 | 1;
	assert_int_equal(kr_get(l, "default", "n9", 0, &o), KR_ERR_CORRUPT);
	assert_int_equal(kr_view_begin(l, &bad), KR_OK);
	int r;
	while ((r = kr_view_next(&bad, &o)) == KR_OK)
		;
	assert_int_equal(r, KR_ERR_CORRUPT);
	assert_int_equal(kr_view_end(&bad), KR_ERR_CORRUPT);
	*s = kept;
	uint32_t first = row(&w, "pods")->first_page;
	struct shm_page *p = (void *)&slots(&w)[(first & 0xfff) << 4];
	struct shm_page page = *p;
	p->next = first; /* a loop */
	assert_true(kr_view_begin(l, &bad) < 0);
	p->next = UINT32_MAX;
	assert_true(kr_view_begin(l, &bad) < 0);
	*p = page;
	p->list_gen++;
	assert_true(kr_view_begin(l, &bad) < 0);
	*p = page;
	assert_int_equal(kr_view_begin(l, &bad), KR_OK);
	kr_view_end(&bad);
	world_fini(&w);
}

enum { FIRST_ROUNDS = 200, FIRST_WORLDS = 3 };

struct first_writer {
	struct world *w;
	_Atomic unsigned go, done; /* rounds */
};

static void *first_main(void *arg)
{
	struct first_writer *t = arg;
	for (unsigned round = 1; round <= FIRST_ROUNDS; round++) {
		while (t->go < round)
			sched_yield();
		world_put(t->w, "first", "n0", 101);
		t->done = round;
	}
	return NULL;
}

/* The first object of an empty list brings its first page: a view that began before it was there is
 * whole all the same, with the object or without. */
static void first_rounds(void)
{
	struct world w;
	pthread_t t;
	world_open(&w, 0);
	struct first_writer writer = {.w = &w};
	assert_int_equal(pthread_create(&t, NULL, first_main, &writer), 0);
	for (unsigned round = 1; round <= FIRST_ROUNDS; round++) {
		struct kr_view v = {.count = 0};
		struct kr_list *l = world_list(&w, "first");
		world_sync(&w, "first", 0);
		writer.go = round;
		while (v.count == 0) {
			int r = kr_view_begin(l, &v);
			if (r != KR_OK)
				fail_msg("round %u: %s", round, kr_last_error(w.c));
			kr_view_end(&v);
		}
		while (writer.done < round)
			sched_yield();
		kr_list_close(l);
		fake_lock(w.d);
		fake_close_list(w.d, "test", "first");
		fake_unlock(w.d);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	world_fini(&w);
}

static void the_first_object_of_a_list_may_come_at_any_moment(void **state)
{
	(void)state;
	for (int i = 0; i < FIRST_WORLDS; i++)
		first_rounds();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sizes),
	        cmocka_unit_test(a_view_gives_its_memory_back),
	        cmocka_unit_test(a_view_stays_at_its_position),
	        cmocka_unit_test(an_old_view_is_overrun_where_objects_were_replaced),
	        cmocka_unit_test(the_edge_of_a_position),
	        cmocka_unit_test(half_a_view_says_so),
	        cmocka_unit_test(borrowed_views_do_not_copy),
	        cmocka_unit_test(an_uncommitted_batch_is_taken_back),
	        cmocka_unit_test(every_step_of_a_batch),
	        cmocka_unit_test(a_writer_that_died_in_a_slot_is_stuck),
	        cmocka_unit_test(what_breaks_the_rules_is_corrupt),
	        cmocka_unit_test(the_first_object_of_a_list_may_come_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
