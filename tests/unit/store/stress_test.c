/* One writer (the real store), two readers that follow R1..R5 of layout.h to the letter, in threads
 * over the same memory. Every word of every object says which version it belongs to, so that one
 * torn word among millions is seen. The ring is short and the retained bytes are few: most of what
 * a reader touches is reused under its eyes. Also the ThreadSanitizer's view of the protocol: there
 * the fences vanish and every word is acquired (see shm/write.h). */
#include "store_world.h"

#include <pthread.h>
#include <sched.h>

#include "shm/write.h"

enum { NAMES = 40, RING = 64, WORDS = 100, READERS = 2 };
#ifdef KR_CHECK_SLOW
enum { EVENTS = 60000 };
#else
enum { EVENTS = 400000 };
#endif

#ifdef WRITE_TSAN
#define READ_FENCE() ((void)0)
#define READ_ORDER   __ATOMIC_ACQUIRE
#else
#define READ_FENCE() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define READ_ORDER   __ATOMIC_RELAXED
#endif
#define READ_WORD(p)    __atomic_load_n((p), READ_ORDER)
#define READ_ACQUIRE(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)

struct world {
	struct store *s;
	struct store_list *l;
	const struct shm_header *header;
	uint32_t row;
	bool stop; /* [atomic] */
};
struct reader {
	struct world *w;
	struct prng r;
	pthread_t thread;
	uint64_t got, followed, rows, discarded, overruns, folds;
	const char *broken; /* the first thing that was wrong */
};
struct copy {
	struct shm_block block;
	uint64_t words[64 + WORDS];
};

static void payload(char *json, uint64_t rv)
{
	uint64_t tag = rv * 0x9E3779B97F4A7C15ull;
	for (int i = 0; i < WORDS; i++)
		memcpy(json + i * 8, &tag, 8);
}

/* --- reader --------------------------------------------------------------------------------- */

static void broken(struct reader *d, const char *what)
{
	if (!d->broken)
		d->broken = what;
}

static void load(void *to, const void *from, size_t bytes)
{
	const uint64_t *f = from;
	uint64_t *t = to;
	for (size_t i = 0; i < bytes / 8; i++)
		t[i] = READ_WORD(&f[i]);
}

/* R2. A writer that has lost its core leaves ver odd for as long as that takes, so the spins are
 * bounded and repeated with the core given up in between; only a writer that is gone ends them. */
static bool load_locked(void *to, const void *from, size_t bytes)
{
	const uint32_t *ver = from;
	for (int turn = 0; turn < 100000; turn++) {
		for (int i = 0; i < 64; i++) {
			uint32_t v = READ_ACQUIRE(ver);
			if (v & 1)
				continue;
			load(to, from, bytes);
			READ_FENCE();
			if (READ_WORD(ver) == v)
				return true;
		}
		sched_yield();
	}
	return false;
}

/* R3: bytes of the block, checked against what a test may hold. False: what it says makes no sense,
 * which is fine as long as R5 discards it. */
static bool load_block(struct reader *d, uint64_t ref, struct copy *c)
{
	const char *at = (const char *)test_block(d->w->s, ref);
	load(&c->block, at, sizeof c->block);
	uint64_t bytes = c->block.bytes;
	if (bytes < sizeof c->block || bytes > sizeof *c || c->block.json_bytes != WORDS * 8 ||
	        c->block.json_offset + c->block.json_bytes != bytes || c->block.json_offset % 8)
		return false;
	load(c->words, at + sizeof c->block, (bytes - sizeof c->block + 7) & ~7ull);
	return true;
}

/* What R5 has let pass must be one version, whole. */
static void check_block(struct reader *d, const struct copy *c, bool sane)
{
	if (!sane) {
		broken(d, "a block that passed R5 makes no sense");
		return;
	}
	const char *strings = (const char *)c->words;
	uint64_t json = c->block.json_offset / 8 - sizeof c->block / 8, rv = 0;
	const char *text =
	        strings + c->block.namespace_bytes + c->block.name_bytes + c->block.uid_bytes + 3;
	for (int i = 0; i < c->block.rv_bytes; i++)
		rv = rv * 10 + (uint64_t)(text[i] - '0');
	for (uint64_t i = 0; i < WORDS; i++)
		if (c->words[json + i] != rv * 0x9E3779B97F4A7C15ull)
			broken(d, "torn words");
	if (c->block.json_hash != XXH3_64bits(&c->words[json], WORDS * 8))
		broken(d, "json_hash");
	size_t n = (size_t)(text - strings) + c->block.rv_bytes + 1u;
	if (c->block.object_hash != XXH3_64bits(strings, n))
		broken(d, "object_hash");
}

/* Point get of a random slot. */
static void get(struct reader *d)
{
	struct shm_slot slot;
	struct copy c;
	const struct shm_header *h = d->w->header;
	uint32_t no = 1u << 4 | (1 + (uint32_t)prng_below(&d->r, 15)); /* the first page */
	no += (uint32_t)prng_below(&d->r, 3) << 4;
	uint64_t commit = READ_ACQUIRE(&h->commit); /* R1 */
	if (READ_WORD(&h->slot_segments[0]) == 0)
		return;
	if (!load_locked(&slot, test_slot(d->w->s, no), sizeof slot)) {
		broken(d, "slot stuck");
		return;
	}
	if (slot.state != SHM_SLOT_LIVE)
		return;
	bool sane = load_block(d, slot.block, &c);
	READ_FENCE();                           /* R4 */
	if (READ_WORD(&h->head) > commit + 1) { /* R5 */
		d->discarded++;
		return;
	}
	check_block(d, &c, sane);
	if (sane && (c.block.seq != slot.seq || c.block.object_hash != slot.object_hash))
		broken(d, "slot and block differ");
	d->got++;
}

/* S2: whatever head says, a block is whole while its slot still names the same change. */
static void get_by_slot(struct reader *d)
{
	struct shm_slot slot, again;
	struct copy c;
	uint32_t no = 1u << 4 | (1 + (uint32_t)prng_below(&d->r, 15));
	(void)READ_ACQUIRE(&d->w->header->commit);
	if (READ_WORD(&d->w->header->slot_segments[0]) == 0)
		return;
	const struct shm_slot *at = test_slot(d->w->s, no);
	if (!load_locked(&slot, at, sizeof slot) || slot.state != SHM_SLOT_LIVE)
		return;
	bool sane = load_block(d, slot.block, &c);
	READ_FENCE();
	again.ver = READ_WORD(&at->ver);
	if (again.ver != slot.ver)
		return;
	check_block(d, &c, sane);
	d->got++;
}

static void read_row(struct reader *d)
{
	struct shm_list row;
	uint64_t commit = READ_ACQUIRE(&d->w->header->commit);
	if (!load_locked(&row, test_row_at(d->w->s, d->w->row), sizeof row)) {
		broken(d, "row stuck");
		return;
	}
	if (row.rv_num != strtoull(row.rv, NULL, 10))
		broken(d, "rv and its text differ");
	if (row.bytes != row.objects * WORDS * 8)
		broken(d, "objects and bytes differ");
	(void)commit;
	d->rows++;
}

/* Follows every change; *p: last one taken; *digest: fold so far, if it is known. */
static void follow(struct reader *d, uint64_t *p, uint64_t *digest, bool *known)
{
	const struct shm_header *h = d->w->header;
	uint64_t commit = READ_ACQUIRE(&h->commit); /* R1 */
	if (*p >= commit)
		return;
	uint64_t seq = *p + 1;
	struct shm_entry e;
	struct copy new_, old;
	const struct shm_entry *at = test_entry(d->w->s, seq);
	uint64_t there = READ_ACQUIRE(&at->seq);
	load(&e, at, sizeof e);
	READ_FENCE();
	bool lost = there != seq || READ_WORD(&h->head) > seq, sane_new = true, sane_old = true;
	if (!lost) { /* the references are good: now what they name */
		sane_new = !e.new_block || load_block(d, e.new_block, &new_);
		sane_old = !e.old_block || load_block(d, e.old_block, &old);
		READ_FENCE();                     /* R4 */
		lost = READ_WORD(&h->head) > seq; /* R5 */
	}
	if (lost) {
		d->overruns++;
		*p = commit;
		*known = false;
		return;
	}
	if (e.new_block)
		check_block(d, &new_, sane_new);
	if (e.old_block)
		check_block(d, &old, sane_old);
	if (*known && e.op != SHM_OP_RESET) {
		if (e.op == SHM_OP_DELETED || e.op == SHM_OP_MODIFIED)
			*digest -= old.block.object_hash;
		if (e.op == SHM_OP_ADDED || e.op == SHM_OP_MODIFIED)
			*digest += new_.block.object_hash;
		if (*digest != e.digest)
			broken(d, "fold and digest differ (D2)");
		d->folds++;
	}
	*digest = e.digest;
	*known = true;
	*p = seq;
	d->followed++;
}

static void *reader_run(void *arg)
{
	struct reader *d = arg;
	uint64_t p = 0, digest = 0;
	bool known = false;
	while (!READ_ACQUIRE(&d->w->stop)) {
		for (int i = 0; i < 8; i++)
			follow(d, &p, &digest, &known);
		get(d);
		get_by_slot(d);
		read_row(d);
	}
	return NULL;
}

/* --- writer --------------------------------------------------------------------------------- */

static struct json_object *object_of(struct test_object *t, uint64_t name, uint64_t rv)
{
	char text[16], uid[16], version[24];
	snprintf(text, sizeof text, "p%u", (unsigned)name);
	snprintf(uid, sizeof uid, "u%u", (unsigned)(rv % 97 == 0));
	snprintf(version, sizeof version, "%llu", (unsigned long long)rv);
	test_object(t, "ns", text, uid, version, 0);
	payload(t->json, rv);
	t->o.raw = (struct span){t->json, WORDS * 8};
	return &t->o;
}

static void relist(struct world *w, struct prng *r, uint64_t *rv)
{
	struct test_object t;
	struct store_sync_result out;
	char text[24];
	uint64_t keep = prng_below(r, NAMES + 1);
	store_sync_begin(w->l, 1);
	for (uint64_t i = 0; i < keep; i++)
		assert_ok(store_sync_item(w->l, object_of(&t, i, ++*rv), 1));
	snprintf(text, sizeof text, "%llu", (unsigned long long)++*rv);
	assert_ok(store_sync_commit(w->l, test_span(text), false, 1, &out));
}

static void write_events(struct world *w)
{
	struct prng r = {42};
	struct test_object t;
	enum store_outcome what;
	uint64_t rv = 10;
	for (int i = 0; i < EVENTS; i++) {
		uint64_t luck = prng_below(&r, 1000), name = prng_below(&r, NAMES);
		if (luck < 900)
			assert_ok(store_upsert(w->l, object_of(&t, name, ++rv), 1, &what));
		else if (luck == 999 && i % 8 == 0)
			relist(w, &r, &rv);
		else if (luck < 995) { /* a delete needs the right uid */
			const struct shm_slot *slot;
			char text[16];
			snprintf(text, sizeof text, "p%u", (unsigned)name);
			slot = test_get(w->s, w->l, "ns", text);
			struct json_object *o = object_of(&t, name, ++rv);
			if (slot)
				snprintf(
				        t.uid, sizeof t.uid, "u%u", (unsigned)(slot->rv % 97 == 0));
			o->uid = test_span(t.uid);
			assert_ok(store_delete(w->l, o, 1, &what));
		}
		if (i % 16 == 0) { /* and let the readers have a look in between */
			store_tick(w->s, (uint64_t)i);
			sched_yield();
		}
	}
}

static void readers_never_take_a_torn_word(void **state)
{
	(void)state;
	struct store_config c = {.ring_entries = RING,
	        .lists_max = 1,
	        .retained_bytes_max = 32 << 10,
	        .block_segment_bytes = 256 << 10};
	struct world w = {.s = test_store(&c)};
	struct reader readers[READERS];
	uint32_t gen;
	w.l = test_live_list(w.s, "pods", NULL);
	w.header = test_header(w.s);
	w.row = store_list_row(w.l, &gen);
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.w = &w, .r = {(uint64_t)i + 1}};
		assert_int_equal(
		        pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]), 0);
	}
	write_events(&w);
	/* a last stretch in which the readers can keep up, however the cores were shared before */
	struct test_object t;
	enum store_outcome what;
	for (uint64_t i = 0; i < 2000; i++) {
		assert_ok(store_upsert(w.l, object_of(&t, i % NAMES, 1000000000 + i), 1, &what));
		sched_yield();
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	uint64_t got = 0, followed = 0, folds = 0;
	for (int i = 0; i < READERS; i++) {
		struct reader *d = &readers[i];
		assert_int_equal(pthread_join(d->thread, NULL), 0);
		if (d->broken)
			fail_msg("reader %d: %s", i, d->broken);
		got += d->got;
		followed += d->followed;
		folds += d->folds;
		print_message("reader %d: got %llu, discarded %llu, followed %llu, overruns %llu\n",
		        i, (unsigned long long)d->got, (unsigned long long)d->discarded,
		        (unsigned long long)d->followed, (unsigned long long)d->overruns);
	}
	assert_true(got > 0 && followed > 0 && folds > 0);
	test_audit_list(w.s, w.l);
	store_free(&w.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(readers_never_take_a_torn_word)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
