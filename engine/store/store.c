#include "store/store.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/fetch.h"
#include "store/store_priv.h"

enum {
	RING_ENTRIES_MIN = 16,
	RING_ENTRIES_DEFAULT = 65536,
	LISTS_DEFAULT = 16384,
	LISTS_MAX = 1 << 20,
};
#define RETAINED_LEAST  (32ull << 20)
#define RETAINED_MOST   (256ull << 20)
#define RETAINED_SHARE  16 /* of what is live */
#define SEGMENT_DEFAULT (64ull << 20)
#define SEGMENT_MAX     ((4ull << 30) - BLOCKS_GRANULE) /* a run counts granules in 16 bits */
#define OBJECTS_DEFAULT (16ull << 20)
#define ROW_NONE        UINT32_MAX

static err_t config_check(struct store_config *c, struct errmsg *msg)
{
	c->ring_entries = c->ring_entries ? c->ring_entries : RING_ENTRIES_DEFAULT;
	c->lists_max = c->lists_max ? c->lists_max : LISTS_DEFAULT;
	c->block_segment_bytes = c->block_segment_bytes ? c->block_segment_bytes : SEGMENT_DEFAULT;
	c->objects_max = c->objects_max ? c->objects_max : OBJECTS_DEFAULT;
	uint32_t ring = c->ring_entries;
	uint64_t segment = c->block_segment_bytes;
	if (ring < RING_ENTRIES_MIN || (ring & (ring - 1)) != 0)
		return errmsg_set(msg, ERR_ARGUMENT,
		        "ring_entries is %u: a power of two from %d on", ring, RING_ENTRIES_MIN);
	if (segment % BLOCKS_GRANULE != 0 || segment > SEGMENT_MAX)
		return errmsg_set(msg, ERR_ARGUMENT,
		        "block_segment_bytes is %llu: a multiple of 64 KiB below 4 GiB",
		        (unsigned long long)segment);
	if (c->lists_max > LISTS_MAX)
		return errmsg_set(
		        msg, ERR_ARGUMENT, "lists_max is %u: at most %d", c->lists_max, LISTS_MAX);
	return ERR_OK;
}

static err_t rows_init(struct store *s, struct errmsg *msg)
{
	uint32_t n = s->config.lists_max;
	s->rows = calloc(n, sizeof *s->rows);
	if (!s->rows)
		return errmsg_set(msg, ERR_NO_MEMORY, "list table of %u rows", n);
	for (uint32_t i = 0; i < n; i++)
		s->rows[i].next = i + 1 < n ? i + 1 : ROW_NONE;
	s->row_first = 0;
	s->row_last = n - 1;
	return ERR_OK;
}

err_t store_new(const struct store_config *config, struct store **out, struct errmsg *msg)
{
	struct store_config c = *config;
	*out = NULL;
	err_t e = config_check(&c, msg);
	if (e != ERR_OK)
		return e;
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return errmsg_set(msg, ERR_NO_MEMORY, "shard");
	s->config = c;
	list_init(&s->lists);
	list_init(&s->dirty);
	e = shard_init(&s->shard,
	        &(struct shard_config){.shard = c.shard,
	                .realm = c.realm,
	                .ring_entries = c.ring_entries,
	                .lists_max = c.lists_max,
	                .incarnation = {c.incarnation[0], c.incarnation[1]},
	                .hash_seed = c.hash_seed,
	                .started_ns = c.started_ns,
	                .memory = c.memory_bytes,
	                .memory_max = c.memory_bytes_max,
	                .in_process = c.in_process},
	        msg);
	if (e != ERR_OK)
		goto fail;
	blocks_init(&s->blocks, &s->shard, c.block_segment_bytes);
	slots_init(&s->slots, &s->shard);
	e = index_init(&s->index, &s->shard, msg);
	if (e == ERR_OK)
		e = rows_init(s, msg);
	if (e != ERR_OK)
		goto fail;
	*out = s;
	return ERR_OK;
fail:
	shard_fini(&s->shard);
	free(s);
	return e;
}

void store_free(struct store **sp)
{
	struct store *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	for (struct list *n; (n = list_pop(&s->lists)) != NULL;)
		free(CONTAINER_OF(n, struct store_list, node));
	retire_fini(&s->retire);
	slots_fini(&s->slots);
	blocks_fini(&s->blocks);
	shard_fini(&s->shard);
	free(s->rows);
	free(s);
}

void store_stop(struct store *s)
{
	write_stop(&s->shard.write);
}

/* --- what waits for reuse ------------------------------------------------------------------- */

/* One page of a closed list; true when it was the last. Its slots become FREE before their blocks
 * can be written again (S2): write_slot has a release fence behind its odd ver. */
static bool collect_page(struct store *s, struct retire_item *item)
{
	uint32_t page = (uint32_t)item->ref, used = page ? slots_page(&s->slots, page)->used : 0;
	while (used != 0) {
		uint32_t no = page << 4 | (uint32_t)__builtin_ctz(used);
		struct shm_slot *slot = slots_at(&s->slots, no);
		uint64_t block = slot->block;
		used &= used - 1;
		index_remove(&s->index, slot->key_hash, no);
		write_slot(slot, &(struct shm_slot){.seq = slot->seq});
		blocks_give(&s->blocks, block);
	}
	if (page != 0)
		item->ref = slots_page_give(&s->slots, page);
	return item->ref == 0;
}

/* The row of a closed list. */
static void row_give(struct store *s, uint32_t row)
{
	s->rows[row].next = ROW_NONE;
	if (s->row_first == ROW_NONE)
		s->row_first = row;
	else
		s->rows[s->row_last].next = row;
	s->row_last = row;
}

static void collect(struct store *s, uint64_t steps)
{
	struct retire_item *item;
	for (; steps > 0 && (item = retire_first(&s->retire)) != NULL; steps--) {
		if (item->kind == RETIRE_BLOCK) {
			blocks_give(&s->blocks, item->ref);
		} else {
			if (!collect_page(s, item))
				continue;
			row_give(s, item->row);
		}
		retire_pop(&s->retire);
		item = retire_ahead(&s->retire);
		if (item && item->kind == RETIRE_BLOCK)
			blocks_prefetch(&s->blocks, item->ref);
	}
}

/* head moves to `head` at least; what that lets go becomes collectable. */
static void give_up(struct store *s, uint64_t head)
{
	struct write *w = &s->shard.write;
	write_room(w, head);
	retire_pass(&s->retire, w->head);
}

/* What a burst leaves behind stays in the segments: so it is small beside what they hold anyway. */
uint64_t store_retained_max(const struct store *s)
{
	uint64_t share = s->live_bytes / RETAINED_SHARE;
	if (s->config.retained_bytes_max)
		return s->config.retained_bytes_max;
	if (share < RETAINED_LEAST)
		return RETAINED_LEAST;
	return share < RETAINED_MOST ? share : RETAINED_MOST;
}

void store_room(struct store *s, uint64_t n)
{
	struct write *w = &s->shard.write;
	uint64_t ring = write_head_for(w, n);
	uint64_t bytes = retire_head_for(&s->retire, store_retained_max(s), w->commit);
	give_up(s, ring > bytes ? ring : bytes);
	collect(s, STORE_COLLECT_CHANGE);
}

void store_give_up_all(struct store *s)
{
	give_up(s, s->shard.write.commit + 1);
	collect(s, UINT64_MAX);
}

err_t store_retire_reserve(struct store *s, uint64_t n, struct errmsg *msg)
{
	uint64_t closes = (uint64_t)s->list_count * STORE_RETIRE_PER_LIST;
	if (retire_reserve(&s->retire, n + closes))
		return ERR_OK;
	return errmsg_set(
	        msg, ERR_NO_MEMORY, "%llu blocks waiting for reuse", (unsigned long long)n);
}

void store_retire_block(struct store *s, uint64_t seq, uint64_t ref, uint64_t bytes)
{
	retire_push(&s->retire, seq, ref, bytes);
}

/* --- memory --------------------------------------------------------------------------------- */

/* Followers' old blocks give way before an object is refused. */
static err_t budget_check(struct store *s, uint64_t need, struct errmsg *msg)
{
	uint64_t max = s->config.shard_bytes_max;
	if (max == 0 || s->blocks.used_bytes + need <= max)
		return ERR_OK;
	collect(s, UINT64_MAX);
	if (s->blocks.used_bytes + need > max) {
		uint64_t excess = s->blocks.used_bytes + need - max;
		uint64_t keep = s->retire.bytes > excess ? s->retire.bytes - excess : 0;
		give_up(s, retire_head_for(&s->retire, keep, s->shard.write.commit));
		collect(s, UINT64_MAX);
	}
	if (s->blocks.used_bytes + need <= max)
		return ERR_OK;
	return errmsg_set(msg, ERR_BUDGET,
	        "shard %u may hold %llu bytes, holds %llu, needs %llu more; raise shard_bytes_max "
	        "or "
	        "narrow the lists",
	        s->config.shard, (unsigned long long)max, (unsigned long long)s->blocks.used_bytes,
	        (unsigned long long)need);
}

err_t store_block_take(struct store *s, uint64_t n, uint64_t *ref, struct errmsg *msg)
{
	uint64_t need = blocks_round(&s->blocks, n);
	CHECK(need > 0);
	err_t e = budget_check(s, need, msg);
	if (e != ERR_OK)
		return e;
	e = blocks_take(&s->blocks, n, ref, msg);
	if (e == ERR_OK || (s->retire.bytes == 0 && !retire_first(&s->retire)))
		return e;
	store_give_up_all(s); /* no more memory to be had: live with what is there */
	return blocks_take(&s->blocks, n, ref, msg);
}

static uint64_t slot_hash(const void *slots, uint32_t no)
{
	return slots_at(slots, no)->key_hash;
}
static void slot_prefetch(const void *slots, uint32_t no)
{
	fetch(slots_at(slots, no), 1);
}

err_t store_index_reserve(struct store *s, struct errmsg *msg)
{
	return index_reserve(&s->index,
	        &(struct index_slots){
	                .hash = slot_hash, .prefetch = slot_prefetch, .arg = &s->slots},
	        msg);
}

/* --- for the reactor and the control thread ------------------------------------------------- */

void store_tick(struct store *s, uint64_t now_ns)
{
	struct write *w = &s->shard.write;
	write_heartbeat(w, now_ns);
	write_signal(w);
	give_up(s, retire_head_for(&s->retire, store_retained_max(s), w->commit));
	collect(s, STORE_COLLECT_TICK);
}

static bool segment_known(const struct store *s, uint32_t segment)
{
	/* Pairs with the release in shard.c: a segment below the count is whole. */
	return segment < __atomic_load_n(&s->shard.header->segment_count, __ATOMIC_ACQUIRE);
}

int store_segment(const struct store *s, uint32_t segment, uint64_t *bytes)
{
	*bytes = 0;
	if (!segment_known(s, segment))
		return -1;
	*bytes = s->shard.segments[segment].bytes;
	return s->shard.segments[segment].fd;
}

const void *store_segment_at(const struct store *s, uint32_t segment)
{
	return segment_known(s, segment) ? s->shard.segments[segment].at : NULL;
}

void store_usage(const struct store *s, struct store_usage *out)
{
	const struct blocks *b = &s->blocks;
	*out = (struct store_usage){.live_bytes = s->live_bytes,
	        .retained_bytes = b->used_bytes - s->live_bytes - s->staged_bytes,
	        .staged_bytes = s->staged_bytes,
	        .free_bytes = blocks_free_bytes(b),
	        .segment_bytes = s->shard.bytes,
	        .slots = s->slots.used,
	        .slots_free = s->slots.pages_used * SLOTS_PER_PAGE - s->slots.used,
	        .index_entries = 1ull << s->index.log2,
	        .ring_head = s->shard.write.head,
	        .ring_commit = s->shard.write.commit,
	        .unknown_deletes = s->unknown_deletes,
	        .relists = s->relists,
	        .memory_bytes = s->config.memory_bytes ? atomic_load(s->config.memory_bytes) : 0,
	        .memory_bytes_max = s->config.memory_bytes_max};
}

enum { USAGE_WORDS = sizeof(struct store_usage) / sizeof(uint64_t) };
_Static_assert(sizeof(struct store_usage) == USAGE_WORDS * sizeof(uint64_t), "words only");

void store_tell_usage(struct store *s)
{
	struct store_usage u;
	store_usage(s, &u);
	const uint64_t *from = (const uint64_t *)&u;
	uint64_t *to = (uint64_t *)&s->told;
	for (size_t i = 0; i < USAGE_WORDS; i++)
		__atomic_store_n(to + i, from[i], __ATOMIC_RELAXED);
}

void store_usage_told(const struct store *s, struct store_usage *out)
{
	const uint64_t *from = (const uint64_t *)&s->told;
	uint64_t *to = (uint64_t *)out;
	for (size_t i = 0; i < USAGE_WORDS; i++)
		to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
}

struct store_list *store_dirty_pop(struct store *s)
{
	struct list *n = list_pop(&s->dirty);
	return n ? CONTAINER_OF(n, struct store_list, dirty) : NULL;
}
