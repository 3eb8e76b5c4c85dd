#include "sim/sim_follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void map_segments(struct sim_follow *f)
{
	uint32_t n = read_segments(f->shard);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t bytes = 0;
		const void *at = store_segment_at(f->store, i);
		(void)store_segment(f->store, i, &bytes);
		if (at && !f->shard->maps[i].at)
			CHECK(read_map(f->shard, i, at, bytes) == READ_OK);
	}
}

static void mix(struct sim_follow *f, uint64_t v)
{
	f->trace = (f->trace ^ v) * 0x9E3779B97F4A7C15ull;
	f->trace ^= f->trace >> 29;
}

static struct sim_object *slot_of(struct sim_follow *f, uint64_t key)
{
	if (f->used * 2 >= f->cap) {
		struct sim_object *old = f->table;
		size_t old_cap = f->cap;
		f->cap = old_cap ? old_cap * 2 : 256;
		f->table = calloc(f->cap, sizeof *f->table);
		CHECK(f->table);
		f->used = 0;
		for (size_t i = 0; i < old_cap; i++)
			if (old[i].live)
				*slot_of(f, old[i].key) = old[i];
		free(old);
	}
	size_t i = key & (f->cap - 1);
	while (f->table[i].key && f->table[i].key != key)
		i = (i + 1) & (f->cap - 1);
	f->used += f->table[i].key == 0;
	f->table[i].key = key;
	return &f->table[i];
}

/* Everything anew, from the slots: a view. Single-threaded, so one pass is the state at commit. */
static void take_slot(void *arg, const struct shm_slot *slot, const struct shm_block *block)
{
	struct sim_follow *f = arg;
	struct read_object o;
	CHECK(read_object((const uint8_t *)block, block->bytes, &o));
	struct sim_object *s = slot_of(f, slot->key_hash);
	*s = (struct sim_object){slot->key_hash, slot->object_hash, slot->rv, {0}, true};
	strncpy(s->uid, o.uid, sizeof s->uid - 1);
	f->digest += slot->object_hash;
}

static void take_view(struct sim_follow *f)
{
	struct shm_list row;
	map_segments(f);
	memset(f->table, 0, f->cap * sizeof *f->table);
	f->used = 0;
	f->digest = 0;
	CHECK(read_row(f->shard, f->list, f->gen, &row) == READ_OK);
	f->position = read_commit(f->shard);
	for (uint32_t page = row.first_page, i = 0; page && i < row.page_count; i++) {
		struct shm_page p;
		CHECK(read_page(f->shard, page, &p) == READ_OK);
		for (uint32_t at = 1; at < SHM_PAGE_SLOTS; at++) {
			struct shm_slot slot;
			const uint8_t *block;
			uint32_t bytes;
			CHECK(read_slot(f->shard, page << 4 | at, &slot) == READ_OK);
			if (slot.state != SHM_SLOT_LIVE)
				continue;
			CHECK(read_block(f->shard, slot.block, &block, &bytes) == READ_OK);
			take_slot(f, &slot, (const struct shm_block *)(const void *)block);
		}
		page = p.next;
	}
	CHECK(f->digest == row.digest);
	f->whole = row.whole;
	f->rv = row.rv_num;
}

void sim_follow_init(struct sim_follow *f, struct store *s, uint32_t list, uint32_t gen)
{
	*f = (struct sim_follow){.store = s, .list = list, .gen = gen};
	f->shard = calloc(1, sizeof *f->shard);
	f->cap = 256;
	f->table = calloc(f->cap, sizeof *f->table);
	CHECK(f->shard && f->table);
	uint64_t bytes = 0;
	(void)store_segment(s, 0, &bytes);
	CHECK(read_init(f->shard, store_segment_at(s, 0), bytes) == READ_OK);
	take_view(f);
}

void sim_follow_fini(struct sim_follow *f)
{
	free(f->shard);
	free(f->table);
}

/* --- one change -------------------------------------------------------------------------- */

static void object_of(struct sim_follow *f, uint64_t block, struct read_object *o)
{
	const uint8_t *at;
	uint32_t bytes;
	map_segments(f);
	CHECK(read_block(f->shard, block, &at, &bytes) == READ_OK);
	CHECK(read_object(at, bytes, o));
	/* what is served to others is the JSON of that very object */
	CHECK(o->json_bytes > 2 && o->json[0] == '{' && o->json[o->json_bytes - 1] == '}');
}

static uint64_t number(const char *rv)
{
	return strtoull(rv, NULL, 10);
}

static void fold_added(struct sim_follow *f, const struct shm_entry *e)
{
	struct read_object o;
	object_of(f, e->new_block, &o);
	struct sim_object *s = slot_of(f, o.key_hash);
	CHECK(!s->live);
	*s = (struct sim_object){o.key_hash, o.object_hash, number(o.rv), {0}, true};
	strncpy(s->uid, o.uid, sizeof s->uid - 1);
	f->digest += o.object_hash;
}

static void fold_modified(struct sim_follow *f, const struct shm_entry *e)
{
	struct read_object o, old;
	object_of(f, e->new_block, &o);
	object_of(f, e->old_block, &old);
	struct sim_object *s = slot_of(f, o.key_hash);
	CHECK(s->live && s->hash == old.object_hash);
	CHECK(strcmp(s->uid, o.uid) == 0);                         /* M5 */
	CHECK(e->flags & SHM_FLAG_RELIST || number(o.rv) > s->rv); /* M4 */
	f->digest += o.object_hash - s->hash;
	s->hash = o.object_hash;
	s->rv = number(o.rv);
}

static void fold_deleted(struct sim_follow *f, const struct shm_entry *e)
{
	struct read_object old;
	object_of(f, e->old_block, &old);
	struct sim_object *s = slot_of(f, old.key_hash);
	CHECK(s->live && s->hash == old.object_hash);
	CHECK(e->new_block || e->flags & (SHM_FLAG_FINAL_STATE_UNKNOWN | SHM_FLAG_RECREATED));
	f->digest -= s->hash;
	s->live = false;
}

static bool fold(struct sim_follow *f, const struct shm_entry *e)
{
	mix(f, e->seq);
	mix(f, e->op);
	mix(f, e->digest);
	mix(f, e->rv);
	f->changes++;
	switch (e->op) {
	case SHM_OP_ADDED: fold_added(f, e); break;
	case SHM_OP_MODIFIED: fold_modified(f, e); break;
	case SHM_OP_DELETED: fold_deleted(f, e); break;
	case SHM_OP_SYNCED:
		f->synced++;
		f->whole = true;
		break;
	case SHM_OP_STATE: break;
	case SHM_OP_RESET:
		f->resets++;
		f->rv = 0;
		return false;
	default: CHECK(false);
	}
	CHECK(f->digest == e->digest);   /* D2 */
	CHECK(!e->rv || e->rv >= f->rv); /* M3 */
	f->rv = e->rv ? e->rv : f->rv;
	f->position = e->seq;
	return true;
}

size_t sim_follow_step(struct sim_follow *f, size_t most)
{
	enum { CHAIN = 4096 };
	static _Thread_local uint64_t seqs[CHAIN];
	uint64_t last = 0, commit = read_commit(f->shard);
	size_t n = 0, done = 0;
	if (read_last(f->shard, f->list, f->gen, &last) != READ_OK || last <= f->position)
		return 0;
	struct read_chain chain = {
	        .next = last, .after = f->position, .list = f->list, .gen = (uint16_t)f->gen};
	struct shm_entry e;
	enum read_result r;
	while ((r = read_chain_next(f->shard, &chain, &e)) == READ_OK) {
		CHECK(e.seq <= commit); /* single-threaded: nothing is half published */
		seqs[n++ % CHAIN] = e.seq;
	}
	if (r == READ_GONE || n > CHAIN) {
		f->overruns++;
		take_view(f);
		return 1;
	}
	CHECK(r == READ_NONE);
	for (size_t i = n; i-- > 0 && done < most; done++) {
		CHECK(read_entry(f->shard, seqs[i], &e) == READ_OK);
		CHECK(e.seq > f->position); /* D1 */
		if (!fold(f, &e)) {
			take_view(f);
			return done + 1;
		}
	}
	return done;
}
