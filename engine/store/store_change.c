#include "base/check.h"
#include "base/fetch.h"
#include "store/json_hash.h"
#include "store/store_priv.h"

/* Strings end here, JSON starts: at a multiple of 8. */
static uint64_t json_offset(const struct key *k)
{
	return (sizeof(struct shm_block) + k->strings_bytes + 7) & ~7ull;
}

uint32_t change_find(const struct store_list *l, const struct key *k)
{
	const struct store *s = l->store;
	uint64_t at = k->key_hash;
	for (uint32_t no; (no = index_next(&s->index, k->key_hash, &at)) != 0;) {
		const struct shm_slot *slot = slots_at(&s->slots, no);
		if (slot->key_hash != k->key_hash || slot->list != l->row)
			continue;
		uint64_t staged = l->sync.active ? slots_note(&s->slots, no)->staged : 0;
		if (key_matches(k, store_block(s, staged ? staged : slot->block)))
			return no;
	}
	return 0;
}

uint32_t change_find_live(const struct store_list *l, const struct key *k)
{
	const struct store *s = l->store;
	uint64_t at = k->key_hash;
	for (uint32_t no; (no = index_next(&s->index, k->key_hash, &at)) != 0;) {
		const struct shm_slot *slot = slots_at(&s->slots, no);
		if (slot->key_hash == k->key_hash && slot->list == l->row &&
		        slot->state == SHM_SLOT_LIVE && key_matches(k, store_block(s, slot->block)))
			return no;
	}
	return 0;
}

err_t change_key(struct store_list *l, const struct json_object *o)
{
	struct store *s = l->store;
	err_t e = key_init(&s->key, s->config.hash_seed, l->row, o);
	fetch(index_at(&s->index, s->key.key_hash), 1);
	if (e == ERR_JSON_LIMIT)
		return errmsg_set(list_refusal(l), e,
		        "name %zu of %d bytes, namespace %zu of %d, uid %zu of %d, version %zu of "
		        "%d",
		        o->name.n, JSON_NAME_MAX, o->namespace_.n, JSON_NAMESPACE_MAX, o->uid.n,
		        KEY_UID_MAX, o->resource_version.n, KEY_RV_MAX);
	return e;
}

enum version_order change_order(
        const struct key *k, uint64_t rv, const struct shm_block *b, bool *same_uid)
{
	*same_uid = span_eq(key_uid(k), key_block_uid(b));
	if (k->rv == 0 || rv == 0)
		return version_compare(key_rv(k), key_block_rv(b));
	if (k->rv == rv) /* the common case: no text is compared */
		return VERSION_EQUAL;
	return k->rv < rv ? VERSION_LESS : VERSION_GREATER;
}

static uint64_t block_bytes(const struct key *k, const struct json_object *o)
{
	return json_offset(k) + o->raw.n - o->cut.n;
}

uint64_t change_block_bytes(
        const struct store_list *l, const struct key *k, const struct json_object *o)
{
	return blocks_round(&l->store->blocks, block_bytes(k, o));
}

err_t change_block(struct store_list *l, const struct key *k, const struct json_object *o,
        uint64_t recv_ns, uint64_t *ref)
{
	struct store *s = l->store;
	uint64_t n = block_bytes(k, o), offset = json_offset(k);
	if (n > s->blocks.segment_bytes || n > UINT32_MAX)
		return errmsg_set(list_refusal(l), ERR_JSON_LIMIT,
		        "%.*s/%.*s has %zu bytes, a segment %llu; raise block_segment_bytes",
		        SPAN_ARG(o->namespace_), SPAN_ARG(o->name), o->raw.n,
		        (unsigned long long)s->blocks.segment_bytes);
	err_t e = store_block_take(s, n, ref, list_refusal(l));
	if (e != ERR_OK)
		return e;
	struct shm_block *b = store_block(s, *ref);
	struct span head = o->raw, tail = SPAN_NONE;
	if (o->cut.n > 0) { /* managedFields */
		head.n = (size_t)(o->cut.p - o->raw.p);
		tail = (struct span){o->cut.p + o->cut.n, o->raw.n - head.n - o->cut.n};
		CHECK(o->cut.p >= o->raw.p && head.n + o->cut.n <= o->raw.n);
	}
	fetch(b, n);                     /* a free block is cold: its lines come meanwhile */
	char *json = (char *)b + offset; /* W3 from here on */
	write_bytes(json, head.p, head.n);
	write_bytes(json + head.n, tail.p, tail.n);
	write_bytes(b + 1, key_strings(k), k->strings_bytes);
	struct shm_block header = {.bytes = (uint32_t)n,
	        .json_bytes = (uint32_t)(head.n + tail.n),
	        .json_hash = json_hash((struct span){json, head.n + tail.n}),
	        .recv_ns = recv_ns,
	        .list = l->row,
	        .namespace_bytes = k->namespace_bytes,
	        .name_bytes = k->name_bytes,
	        .uid_bytes = k->uid_bytes,
	        .rv_bytes = k->rv_bytes,
	        .json_offset = (uint32_t)offset,
	        .key_hash = k->key_hash,
	        .object_hash = k->object_hash};
	write_bytes(b, &header, sizeof header);
	return ERR_OK;
}

/* W5, or the seq of the bulk when there is no entry per object. */
static uint64_t emit(struct change *c, struct shm_entry *e)
{
	struct store_list *l = c->l;
	if (c->bulk_seq != 0)
		return c->bulk_seq;
	e->list = l->row;
	e->list_gen = (uint16_t)l->gen;
	e->flags |= c->flags;
	e->prev = l->last_change;
	e->digest = l->digest;
	e->rv = c->rv;
	l->last_change = write_entry(&l->store->shard.write, e);
	return l->last_change;
}

static uint64_t seq_next(const struct change *c)
{
	return c->bulk_seq ? c->bulk_seq : c->l->store->shard.write.next;
}

uint64_t change_mark(struct change *c, enum shm_op op, uint32_t aux)
{
	struct change alone = *c;
	alone.bulk_seq = 0;
	struct shm_entry e = {.op = (uint8_t)op, .aux = aux};
	return emit(&alone, &e);
}

/* What the block takes, by its header: that is in the cache, the allocator's map of it is not. */
static uint64_t bytes_of(const struct store *s, const struct shm_block *b)
{
	return blocks_round(&s->blocks, b->bytes);
}

/* The list without the object of this slot. Returns the bytes of its block. */
static uint64_t list_minus(struct store_list *l, const struct shm_slot *slot)
{
	uint64_t bytes = bytes_of(l->store, store_block(l->store, slot->block));
	l->digest -= slot->object_hash;
	l->objects--;
	l->json_bytes -= slot->json_bytes;
	l->live_bytes -= bytes;
	l->store->live_bytes -= bytes;
	return bytes;
}

static void list_plus(struct store_list *l, const struct shm_block *b, uint64_t bytes)
{
	l->digest += b->object_hash;
	l->objects++;
	l->json_bytes += b->json_bytes;
	l->live_bytes += bytes;
	l->store->live_bytes += bytes;
}

static void slot_fill(struct change *c, uint32_t no, uint64_t ref, uint64_t rv)
{
	struct shm_block *b = store_block(c->l->store, ref);
	uint64_t seq = seq_next(c);
	WRITE_WORD(&b->seq, seq);
	write_slot(slots_at(&c->l->store->slots, no), /* W4 */
	        &(struct shm_slot){.state = SHM_SLOT_LIVE,
	                .key_hash = b->key_hash,
	                .seq = seq,
	                .block = ref,
	                .object_hash = b->object_hash,
	                .rv = rv,
	                .list = c->l->row,
	                .json_bytes = b->json_bytes,
	                .version_at = c->version_at,
	                .cut_at = c->cut_at});
}

enum store_outcome change_put(struct change *c, uint32_t no, uint64_t ref, uint64_t rv)
{
	struct store_list *l = c->l;
	struct store *s = l->store;
	const struct shm_slot *slot = slots_at(&s->slots, no);
	struct shm_block *b = store_block(s, ref);
	uint64_t old = slot->state == SHM_SLOT_LIVE ? slot->block : 0, old_bytes = 0;
	bool recreated = old && !span_eq(key_block_uid(b), key_block_uid(store_block(s, old)));
	enum store_outcome what = STORE_ADDED;
	if (old)
		old_bytes = list_minus(l, slot);
	if (recreated) {
		struct shm_entry gone = {.op = SHM_OP_DELETED,
		        .flags = SHM_FLAG_RECREATED | SHM_FLAG_FINAL_STATE_UNKNOWN,
		        .slot = no,
		        .old_block = old};
		store_retire_block(s, emit(c, &gone), old, old_bytes);
	}
	list_plus(l, b, bytes_of(s, b));
	slot_fill(c, no, ref, rv);
	struct shm_entry e = {.op = SHM_OP_ADDED, .slot = no, .new_block = ref};
	if (recreated) {
		e.flags = SHM_FLAG_RECREATED;
		what = STORE_RECREATED;
	} else if (old) {
		e.op = SHM_OP_MODIFIED;
		e.old_block = old;
		what = STORE_MODIFIED;
	}
	uint64_t seq = emit(c, &e);
	if (old && !recreated)
		store_retire_block(s, seq, old, old_bytes);
	return what;
}

void change_slot_give(struct store_list *l, uint32_t no, uint64_t hash)
{
	index_remove(&l->store->index, hash, no);
	slots_give(&l->store->slots, &l->chain, no);
}

void change_drop(struct change *c, uint32_t no, uint64_t last)
{
	struct store_list *l = c->l;
	struct store *s = l->store;
	struct shm_slot *slot = slots_at(&s->slots, no);
	uint64_t old = slot->block, hash = slot->key_hash, seq = seq_next(c);
	uint64_t old_bytes = list_minus(l, slot);
	if (last)
		WRITE_WORD(&store_block(s, last)->seq, seq);
	write_slot(slot, &(struct shm_slot){.seq = seq, .list = l->row}); /* W4: FREE */
	struct shm_entry e = {.op = SHM_OP_DELETED,
	        .flags = last ? 0 : SHM_FLAG_FINAL_STATE_UNKNOWN,
	        .slot = no,
	        .new_block = last,
	        .old_block = old};
	seq = emit(c, &e);
	store_retire_block(s, seq, old, old_bytes);
	if (last)
		store_retire_block(s, seq, last, blocks_bytes(&s->blocks, last));
	change_slot_give(l, no, hash);
}
