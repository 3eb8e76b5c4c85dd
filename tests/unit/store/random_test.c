/* The store against a trivial model: random events over several lists, with a small ring, tiny
 * segments and a tight retained budget, audited after every step from the bytes that consumers see:
 *  - objects, digest, counters of every list equal the model's
 *  - every entry from head to commit is there, chained by prev, and both its blocks are unharmed
 * (S1)
 *  - every block that a view of position C saw is unharmed while head <= C + 1 (S5)
 *  - fold: what a follower would hold after replaying the entries has the digest of the entry (D2)
 */
#include "store_world.h"

enum { LISTS = 4, NAMES = 48, VIEWS = 3, RING_MAX = 256 };

struct model_object {
	bool there;
	uint32_t life; /* which uid */
	uint64_t rv;
	uint32_t json_bytes;
};
struct model_list {
	struct store_list *l;
	uint64_t rv;
	bool whole;
	struct model_object object[NAMES];
};
struct shadow { /* of one ring entry, taken when it was published */
	uint64_t seq, new_hash, old_hash;
};
struct view { /* what somebody who scanned at `position` may still read */
	uint64_t position, n;
	uint64_t ref[LISTS * NAMES], hash[LISTS * NAMES];
};
/* A follower of one list: its own fold of the entries, by slot. */
struct fold {
	uint64_t position, digest;
	uint32_t row, gen;
	bool valid;
};
struct world {
	struct store *s;
	struct prng r;
	uint64_t rv, checked; /* version of the fake server; newest entry with a shadow */
	struct model_list list[LISTS];
	struct shadow shadow[RING_MAX];
	struct view view[VIEWS];
	struct fold fold[LISTS];
	uint64_t last[64]; /* newest entry per row */
	uint64_t resets, bulk, refused;
};

static uint64_t hash_object(const struct json_object *o)
{
	char text[1024];
	int n = snprintf(text, sizeof text, "%.*s%c%.*s%c%.*s%c%.*s", SPAN_ARG(o->namespace_), 0,
	        SPAN_ARG(o->name), 0, SPAN_ARG(o->uid), 0, SPAN_ARG(o->resource_version));
	return XXH3_64bits(text, (size_t)n + 1);
}

static struct json_object *object_of(
        struct test_object *t, uint32_t name, const struct model_object *m)
{
	char text[32], uid[32], rv[32];
	snprintf(text, sizeof text, "pod-%u", name);
	snprintf(uid, sizeof uid, "uid-%u-%u", name, m->life);
	snprintf(rv, sizeof rv, "%llu", (unsigned long long)m->rv);
	return test_object(t, name % 3 ? "default" : "kube-system", text, uid, rv, m->json_bytes);
}

/* --- audits --------------------------------------------------------------------------------- */

static void audit_model(struct world *w, struct model_list *m)
{
	struct test_object t;
	uint64_t digest = 0, objects = 0;
	struct store_usage u;
	store_usage(w->s, &u);
	assert_true(test_index_live(w->s) == u.slots);
	test_audit_list(w->s, m->l);
	for (uint32_t i = 0; i < NAMES; i++) {
		struct json_object *o = object_of(&t, i, &m->object[i]);
		const struct shm_slot *slot = test_get(w->s, m->l, t.namespace_, t.name);
		assert_int_equal(slot != NULL, m->object[i].there);
		if (!slot)
			continue;
		const struct shm_block *b = test_block(w->s, slot->block);
		assert_int_equal(b->json_bytes, o->raw.n);
		assert_memory_equal((const char *)b + b->json_offset, o->raw.p, o->raw.n);
		assert_true(slot->rv == m->object[i].rv);
		digest += hash_object(o);
		objects++;
	}
	assert_true(digest == store_list_digest(m->l));
	assert_true(objects == store_list_objects(m->l));
}

static void shadow_new_entries(struct world *w)
{
	const struct shm_header *h = test_header(w->s);
	for (uint64_t seq = w->checked + 1; seq <= h->commit; seq++) {
		const struct shm_entry *e = test_entry(w->s, seq);
		assert_true(e->seq == seq);
		assert_true(e->prev == w->last[e->list]);
		w->last[e->list] = e->op == SHM_OP_STATE && e->aux == SHM_LIST_CLOSED ? 0 : seq;
		w->resets += e->op == SHM_OP_RESET;
		w->shadow[seq % h->ring_entries] = (struct shadow){seq,
		        test_block_hash(w->s, e->new_block), test_block_hash(w->s, e->old_block)};
	}
	w->checked = h->commit;
}

static void audit_ring(struct world *w)
{
	const struct shm_header *h = test_header(w->s);
	assert_true(h->head >= 1 && h->head <= h->commit + 1);
	assert_true(h->commit < h->head + h->ring_entries);
	for (uint64_t seq = h->head; seq <= h->commit; seq++) {
		const struct shm_entry *e = test_entry(w->s, seq);
		const struct shadow *sh = &w->shadow[seq % h->ring_entries];
		assert_true(e->seq == seq && sh->seq == seq);
		assert_true(test_block_hash(w->s, e->new_block) == sh->new_hash);
		assert_true(test_block_hash(w->s, e->old_block) == sh->old_hash);
	}
	for (uint32_t i = 0; i < VIEWS; i++) {
		const struct view *v = &w->view[i];
		for (uint64_t j = 0; h->head <= v->position + 1 && j < v->n; j++)
			assert_true(test_block_hash(w->s, v->ref[j]) == v->hash[j]);
	}
}

/* D2 for a follower that reads its own list's chain: fold of the entries = digest they carry. */
static void audit_fold(struct world *w, uint32_t no)
{
	struct fold *f = &w->fold[no];
	const struct shm_header *h = test_header(w->s);
	uint32_t gen, row = store_list_row(w->list[no].l, &gen);
	if (f->valid && f->row == row && f->gen == gen && h->head <= f->position + 1) {
		for (uint64_t seq = f->position + 1; seq <= h->commit; seq++) {
			const struct shm_entry *e = test_entry(w->s, seq);
			if (e->list != row || e->list_gen != (uint16_t)gen)
				continue;
			if (e->op == SHM_OP_RESET) {
				f->digest = e->digest;
				if (e->aux == SHM_RESET_VERSION_BACK)
					break; /* a follower takes the list again here */
			}
			if (e->op == SHM_OP_MODIFIED || e->op == SHM_OP_DELETED)
				f->digest -= test_block(w->s, e->old_block)->object_hash;
			if (e->op == SHM_OP_MODIFIED || e->op == SHM_OP_ADDED)
				f->digest += test_block(w->s, e->new_block)->object_hash;
			assert_true(f->digest == e->digest);
		}
	}
	*f = (struct fold){h->commit, store_list_digest(w->list[no].l), row, gen, true};
}

static void view_add(void *arg, const struct shm_slot *slot, const struct shm_block *b)
{
	struct view *v = arg;
	v->ref[v->n] = slot->block;
	v->hash[v->n++] = XXH3_64bits(b, b->bytes);
}

static void view_take(struct world *w)
{
	struct view *v = &w->view[prng_below(&w->r, VIEWS)];
	v->n = 0;
	v->position = test_header(w->s)->commit;
	for (uint32_t i = 0; i < LISTS; i++)
		store_list_each(w->list[i].l, view_add, v);
}

/* --- steps ---------------------------------------------------------------------------------- */

static void step_upsert(struct world *w, struct model_list *m)
{
	struct test_object t;
	enum store_outcome what, want = STORE_ADDED;
	uint32_t i = (uint32_t)prng_below(&w->r, NAMES);
	struct model_object *o = &m->object[i], next = *o;
	uint64_t luck = prng_below(&w->r, 20);
	if (o->there && luck == 0) { /* the same again */
		assert_ok(store_upsert(m->l, object_of(&t, i, o), w->rv, &what));
		assert_int_equal(what, STORE_UNCHANGED);
		return;
	}
	if (o->there && luck == 1) { /* from the past */
		next.rv = o->rv - 1 - prng_below(&w->r, o->rv - 1 > 5 ? 5 : o->rv - 1);
		uint64_t before = test_header(w->s)->commit;
		if (next.rv == 0)
			return;
		assert_int_equal(
		        store_upsert(m->l, object_of(&t, i, &next), w->rv, &what), ERR_KUBE_ORDER);
		assert_true(test_header(w->s)->commit == before);
		return;
	}
	want = o->there ? STORE_MODIFIED : STORE_ADDED;
	if (o->there && luck == 2) {
		next.life++;
		want = STORE_RECREATED;
	}
	if (!o->there)
		next.life++;
	next.there = true;
	next.rv = ++w->rv;
	next.json_bytes = 2 + (uint32_t)prng_below(&w->r, luck == 3 ? 2000 : 300);
	assert_ok(store_upsert(m->l, object_of(&t, i, &next), w->rv, &what));
	assert_int_equal(what, want);
	*o = next;
	m->rv = w->rv;
}

static void step_delete(struct world *w, struct model_list *m)
{
	struct test_object t;
	enum store_outcome what;
	uint32_t i = (uint32_t)prng_below(&w->r, NAMES);
	struct model_object *o = &m->object[i];
	o->rv = ++w->rv;
	assert_ok(store_delete(m->l, object_of(&t, i, o), w->rv, &what));
	assert_int_equal(what, o->there ? STORE_DELETED : STORE_UNKNOWN);
	o->there = false;
	m->rv = w->rv;
}

/* The server's list changed in `changes` places while we were away. */
static void step_sync(struct world *w, struct model_list *m, uint64_t changes)
{
	struct test_object t;
	struct store_sync_result r;
	struct model_object next[NAMES];
	char rv[32];
	memcpy(next, m->object, sizeof next);
	bool back = m->whole && prng_below(&w->r, 12) == 0;
	for (uint64_t c = 0; c < changes; c++) {
		struct model_object *o = &next[prng_below(&w->r, NAMES)];
		uint64_t luck = prng_below(&w->r, 4);
		if (luck == 0) {
			o->there = false;
			continue;
		}
		if (!o->there || luck == 1)
			o->life++;
		o->there = true;
		o->rv = ++w->rv;
		o->json_bytes = 2 + (uint32_t)prng_below(&w->r, 400);
	}
	store_sync_begin(m->l, w->rv);
	uint64_t seen = 0;
	for (uint32_t i = 0; i < NAMES; i++) {
		struct model_object other = next[i];
		if (prng_below(&w->r, 10) == 0 && next[i].rv > 2) { /* twice in the answer */
			other.rv = m->object[i].there && m->object[i].rv == next[i].rv ? next[i].rv
			           : next[i].rv - 1 <= m->object[i].rv                 ? next[i].rv
			                                               : next[i].rv - 1;
			other.there = true;
			if (next[i].there || prng_below(&w->r, 2))
				assert_ok(store_sync_item(m->l, object_of(&t, i, &other), w->rv));
			if (!next[i].there || prng_below(&w->r, 2))
				assert_ok(store_sync_remove(m->l, object_of(&t, i, &other)));
		}
		if (next[i].there) {
			assert_ok(store_sync_item(m->l, object_of(&t, i, &next[i]), w->rv));
			seen++;
		}
	}
	assert_int_equal(test_row(w->s, m->l)->sync_objects, seen);
	audit_model(w, m); /* nothing of it is visible */
	if (prng_below(&w->r, 5) == 0) {
		store_sync_abort(m->l);
		return;
	}
	m->rv = ++w->rv;
	snprintf(rv, sizeof rv, "%llu", (unsigned long long)m->rv);
	assert_ok(store_sync_commit(m->l, test_span(rv), back, w->rv, &r));
	w->bulk += r.reset;
	m->whole = true;
	memcpy(m->object, next, sizeof next);
	struct store_usage u;
	store_usage(w->s, &u);
	assert_int_equal(u.staged_bytes, 0);
}

static void step_reopen(struct world *w, struct model_list *m)
{
	static const char *const names[] = {"pods", "nodes", "services", "events", "leases"};
	uint32_t gen, row = store_list_row(m->l, &gen);
	store_list_close(&m->l, w->rv);
	assert_null(m->l);
	assert_int_equal(test_row_at(w->s, row)->state, SHM_LIST_CLOSED);
	shadow_new_entries(w);
	m->l = test_list(w->s, names[prng_below(&w->r, 5)], NULL);
	for (uint32_t i = 0; i < NAMES; i++)
		m->object[i].there = false;
	m->whole = false;
	m->rv = 0;
}

static void step(struct world *w)
{
	struct model_list *m = &w->list[prng_below(&w->r, LISTS)];
	uint64_t luck = prng_below(&w->r, 1000);
	char rv[32];
	if (luck < 560) {
		step_upsert(w, m);
	} else if (luck < 800) {
		step_delete(w, m);
	} else if (luck < 860) {
		step_sync(w, m, prng_below(&w->r, 6));
	} else if (luck < 880) {
		step_sync(w, m, prng_below(&w->r, 2 * NAMES));
	} else if (luck < 890) {
		step_reopen(w, m);
	} else if (luck < 930) {
		store_list_state(m->l, (enum shm_list_state)prng_below(&w->r, 8), ERR_CONN_RESET,
		        "connection reset", w->rv);
	} else if (luck < 960) {
		snprintf(rv, sizeof rv, "%llu", (unsigned long long)++w->rv);
		store_bookmark(m->l, test_span(rv), w->rv);
	} else if (luck < 980) {
		store_tick(w->s, w->rv);
	} else {
		view_take(w);
	}
}

static void run(uint64_t seed, const struct store_config *config, uint64_t steps)
{
	struct world *w = calloc(1, sizeof *w);
	w->r.s = seed;
	w->s = test_store(config);
	w->rv = 10;
	for (uint32_t i = 0; i < LISTS; i++)
		w->list[i].l = test_list(w->s, "pods", NULL);
	for (uint64_t i = 0; i < steps; i++) {
		uint32_t no = (uint32_t)(i % LISTS);
		step(w);
		shadow_new_entries(w);
		audit_ring(w);
		audit_fold(w, no);
		test_audit_list(w->s, w->list[no].l);
		if (i % 16 == 0)
			audit_model(w, &w->list[no]);
	}
	assert_true(w->resets > 0 && w->bulk > 0);
	/* everything closed and let go: no block, no slot, no index entry is left behind */
	for (uint32_t i = 0; i < LISTS; i++)
		store_list_close(&w->list[i].l, w->rv);
	struct store_list *last = test_list(w->s, "last", NULL);
	struct test_object t;
	enum store_outcome what;
	for (uint64_t i = 1; i <= 2 * test_header(w->s)->ring_entries; i++)
		assert_ok(store_upsert(last, test_simple(&t, "last", i), i, &what));
	struct store_usage u;
	store_usage(w->s, &u);
	assert_int_equal(u.slots, 1);
	assert_int_equal(test_index_live(w->s), 1);
	store_free(&w->s);
	assert_null(w->s);
	free(w);
}

static void small_ring(void **state)
{
	(void)state;
	run(1,
	        &(struct store_config){.ring_entries = 16,
	                .lists_max = 8,
	                .block_segment_bytes = 64 << 10,
	                .hash_seed = 1},
	        60000);
}
static void small_retained(void **state)
{
	(void)state;
	run(2,
	        &(struct store_config){.ring_entries = 256,
	                .lists_max = 5,
	                .retained_bytes_max = 8 << 10,
	                .block_segment_bytes = 128 << 10,
	                .hash_seed = 77},
	        60000);
}
static void retained_zero_room(void **state)
{
	(void)state;
	run(3,
	        &(struct store_config){.ring_entries = 64,
	                .lists_max = 4,
	                .retained_bytes_max = 1,
	                .block_segment_bytes = 256 << 10},
	        60000);
}
static void wide_ring(void **state)
{
	(void)state;
	run(4,
	        &(struct store_config){
	                .ring_entries = 256, .lists_max = 32, .block_segment_bytes = 1 << 20},
	        60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(small_ring),
	        cmocka_unit_test(small_retained),
	        cmocka_unit_test(retained_zero_room),
	        cmocka_unit_test(wide_ring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
