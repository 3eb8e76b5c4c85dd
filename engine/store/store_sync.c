/* First syncs and relists. What comes is staged: the note of a slot says that it was seen, and
 * holds the block that will replace what is there. A new object has a slot already, FREE for
 * everybody else, so that the index finds it when the same name comes twice. Nothing of it is
 * visible before commit, which publishes all of it at once. */
#include "base/check.h"
#include "store/store_priv.h"

/* --- begin and abort ------------------------------------------------------------------------ */

static void staged_give(struct store_list *l, struct slot_note *note)
{
	struct store *s = l->store;
	s->staged_bytes -= blocks_bytes(&s->blocks, note->staged);
	blocks_give(&s->blocks, note->staged); /* no reader has ever seen it */
	note->staged = 0;
}

/* The charge during a sync: what is there or what will be there, whichever is more. */
static err_t sync_charge(struct store_list *l, uint64_t bytes)
{
	return list_charge(l, bytes > l->live_bytes ? bytes : l->live_bytes);
}

void store_sync_abort(struct store_list *l)
{
	struct store *s = l->store;
	struct store_sync *y = &l->sync;
	if (!y->active)
		return;
	uint64_t staged = y->modified + y->recreated + y->added;
	for (uint32_t at = 0; staged > 0 && slots_next(&s->slots, &l->chain, &at) != 0;) {
		struct slot_note *note = slots_note(&s->slots, at);
		if (note->staged == 0)
			continue;
		staged_give(l, note);
		staged--;
		if (!slots_live(&s->slots, at))
			change_slot_give(l, at, slots_at(&s->slots, at)->key_hash);
	}
	*y = (struct store_sync){.id = y->id};
	err_t e = list_charge(l, l->live_bytes);
	CHECK(e == ERR_OK);
	WRITE_WORD(&l->shm->sync_objects, 0);
}

void store_sync_begin(struct store_list *l, uint64_t now_ns)
{
	(void)now_ns;
	store_sync_abort(l);
	l->sync.active = true;
	if (++l->sync.id == 0) /* 0 = never seen */
		l->sync.id = 1;
	WRITE_WORD(&l->shm->sync_objects, 0);
}

/* --- items ---------------------------------------------------------------------------------- */

/* Counts a seen slot in (sign 1) or out (-1). */
static void sync_count(struct store_list *l, uint32_t no, uint64_t sign)
{
	struct store *s = l->store;
	struct store_sync *y = &l->sync;
	const struct slot_note *note = slots_note(&s->slots, no);
	const struct shm_slot *slot = slots_at(&s->slots, no);
	uint64_t bytes = blocks_bytes(&s->blocks, note->staged ? note->staged : slot->block);
	y->seen += sign;
	y->bytes += sign * bytes;
	if (note->staged == 0) {
		y->unchanged += sign;
		y->kept_bytes += sign * bytes;
	} else if (!slots_live(&s->slots, no)) {
		y->added += sign;
	} else if (span_eq(key_block_uid(store_block(s, note->staged)),
	                   key_block_uid(store_block(s, slot->block)))) {
		y->modified += sign;
	} else {
		y->recreated += sign;
	}
}

/* Everything that can fail. no: 0 = a name that is new; seen: it came before in this sync. */
static err_t stage_reserve(struct store_list *l, uint32_t no, bool seen, uint64_t bytes)
{
	struct store *s = l->store;
	uint64_t before = 0, want;
	err_t e = ERR_OK;
	if (seen) {
		uint64_t staged = slots_note(&s->slots, no)->staged;
		before = blocks_bytes(&s->blocks, staged ? staged : slots_at(&s->slots, no)->block);
	} else {
		e = list_objects_check(l, l->sync.seen);
	}
	if (e == ERR_OK && no == 0)
		e = store_index_reserve(s, list_refusal(l));
	if (e == ERR_OK && no == 0)
		e = list_slot_reserve(l);
	want = l->sync.bytes - before + bytes;
	if (e == ERR_OK) /* not lowered before the block is there: see reserve_tight */
		e = sync_charge(l, want > l->sync.bytes ? want : l->sync.bytes);
	return e;
}

/* A slot for a new name: FREE for consumers, but with its key, so that the index finds it. */
static uint32_t stage_slot(struct store_list *l, const struct key *k)
{
	struct store *s = l->store;
	uint32_t no = slots_take(&s->slots, &l->chain);
	struct shm_slot *slot = slots_at(&s->slots, no);
	write_slot(slot,
	        &(struct shm_slot){.key_hash = k->key_hash, .seq = slot->seq, .list = l->row});
	index_insert(&s->index, k->key_hash, no);
	return no;
}

/* Stages o for a slot, or for a new one when no is 0. */
static err_t stage(struct store_list *l, uint32_t no, const struct json_object *o, uint64_t recv_ns)
{
	struct store *s = l->store;
	const struct key *k = &s->key;
	uint64_t ref;
	bool seen = no && slots_note(&s->slots, no)->seen == l->sync.id;
	err_t e = stage_reserve(l, no, seen, change_block_bytes(l, k, o));
	if (e == ERR_OK) {
		store_room(s, 0); /* W1, W2: the block may come from what that frees */
		e = change_block(l, k, o, recv_ns, &ref);
	}
	if (e != ERR_OK) {
		err_t lower = sync_charge(l, l->sync.bytes);
		CHECK(lower == ERR_OK);
		return e;
	}
	s->staged_bytes += blocks_bytes(&s->blocks, ref);
	if (seen)
		sync_count(l, no, (uint64_t)-1);
	if (no == 0)
		no = stage_slot(l, k);
	struct slot_note *note = slots_note(&s->slots, no);
	if (note->staged)
		staged_give(l, note);
	note->staged = ref;
	json_shape_marks(o, &note->version_at, &note->cut_at);
	note->seen = l->sync.id;
	sync_count(l, no, 1);
	err_t lower = seen ? sync_charge(l, l->sync.bytes) : ERR_OK;
	CHECK(lower == ERR_OK);
	return ERR_OK;
}

/* What comes is what we have. */
static err_t stage_unchanged(struct store_list *l, uint32_t no)
{
	struct store *s = l->store;
	uint64_t bytes = blocks_bytes(&s->blocks, slots_at(&s->slots, no)->block);
	err_t e = sync_charge(l, l->sync.bytes + bytes);
	if (e != ERR_OK)
		return e;
	slots_note(&s->slots, no)->seen = l->sync.id;
	sync_count(l, no, 1);
	return ERR_OK;
}

err_t store_sync_item(struct store_list *l, const struct json_object *o, uint64_t recv_ns)
{
	struct store *s = l->store;
	CHECK(l->sync.active);
	err_t e = change_key(l, o);
	if (e != ERR_OK)
		return e;
	uint32_t no = change_find(l, &s->key);
	bool unchanged = false;
	if (no != 0) {
		bool same;
		const struct slot_note *note = slots_note(&s->slots, no);
		const struct shm_slot *slot = slots_at(&s->slots, no);
		uint64_t rv = note->staged ? 0 : slot->rv; /* 0: compare the text */
		uint64_t ref = note->staged ? note->staged : slot->block;
		enum version_order order = change_order(&s->key, rv, store_block(s, ref), &same);
		bool seen = note->seen == l->sync.id;
		unchanged = same && order == VERSION_EQUAL;
		if (unchanged && seen)
			return ERR_OK; /* the same once more */
		if (order == VERSION_LESS && seen)
			return ERR_KUBE_ORDER; /* twice in one answer, the older one last (M8) */
		l->sync.lower |= order == VERSION_LESS;
	}
	e = unchanged ? stage_unchanged(l, no) : stage(l, no, o, recv_ns);
	WRITE_WORD(&l->shm->sync_objects, (uint32_t)l->sync.seen);
	return e;
}

err_t store_sync_remove(struct store_list *l, const struct json_object *o)
{
	struct store *s = l->store;
	const struct key *k = &s->key;
	CHECK(l->sync.active);
	err_t e = change_key(l, o);
	if (e != ERR_OK)
		return e;
	uint32_t no = change_find(l, k);
	if (no == 0 || slots_note(&s->slots, no)->seen != l->sync.id) {
		s->unknown_deletes += no == 0;
		return ERR_OK; /* not in the set that is being received */
	}
	struct slot_note *note = slots_note(&s->slots, no);
	sync_count(l, no, (uint64_t)-1);
	note->seen = 0;
	if (note->staged)
		staged_give(l, note);
	if (!slots_live(&s->slots, no))
		change_slot_give(l, no, k->key_hash);
	WRITE_WORD(&l->shm->sync_objects, (uint32_t)l->sync.seen);
	return ERR_OK;
}

/* --- commit --------------------------------------------------------------------------------- */

/* Why the batch is published as a whole (S6), 0 = it is not. */
static uint32_t bulk_reason(const struct store_list *l, uint64_t entries)
{
	const struct store_config *config = &l->store->config;
	if (!l->whole)
		return SHM_RESET_FIRST_SYNC;
	if (entries > config->ring_entries / 4)
		return SHM_RESET_TOO_MANY;
	if (l->live_bytes - l->sync.kept_bytes > store_retained_max(l->store) / 2)
		return SHM_RESET_TOO_MANY;
	return 0;
}

/* Everything that was staged; then everything that was not seen. */
static void sync_publish(struct change *c, uint64_t staged, uint64_t deletes)
{
	struct store_list *l = c->l;
	struct store *s = l->store;
	for (uint32_t at = 0; staged > 0 && slots_next(&s->slots, &l->chain, &at) != 0;) {
		struct slot_note *note = slots_note(&s->slots, at);
		uint64_t ref = note->staged;
		if (ref == 0)
			continue;
		note->staged = 0;
		s->staged_bytes -= blocks_bytes(&s->blocks, ref);
		c->version_at = note->version_at;
		c->cut_at = note->cut_at;
		change_put(c, at, ref, version_number(key_block_rv(store_block(s, ref))));
		staged--;
	}
	for (uint32_t at = 0; deletes > 0 && slots_next(&s->slots, &l->chain, &at) != 0;) {
		if (slots_note(&s->slots, at)->seen == l->sync.id)
			continue;
		change_drop(c, at, 0);
		deletes--;
	}
	CHECK(staged == 0 && deletes == 0);
}

err_t store_sync_commit(struct store_list *l, struct span rv, bool version_back, uint64_t now_ns,
        struct store_sync_result *out)
{
	struct store *s = l->store;
	struct store_sync *y = &l->sync;
	CHECK(y->active);
	if (rv.n == 0 || rv.n > KEY_RV_MAX || memchr(rv.p, 0, rv.n))
		return rv.n > KEY_RV_MAX ? ERR_JSON_LIMIT : ERR_JSON_SHAPE;
	uint64_t staged = y->modified + y->recreated + y->added;
	uint64_t deletes = l->objects - (y->unchanged + y->modified + y->recreated);
	uint64_t entries = staged + y->recreated + deletes + 2; /* RESET, SYNCED */
	err_t e = store_retire_reserve(s, staged + deletes, list_refusal(l));
	if (e != ERR_OK)
		return e;
	version_back |= y->lower || version_compare(rv, store_list_rv(l)) == VERSION_LESS;
	uint32_t bulk = bulk_reason(l, entries), reset = bulk;
	if (l->whole && version_back)
		reset = SHM_RESET_VERSION_BACK;
	store_room(s, bulk ? 2 : entries); /* W1, W2 */
	list_version_set(l, rv, version_number(rv));
	struct change c = {.l = l, .rv = l->rv_num, .flags = SHM_FLAG_RELIST};
	uint64_t reset_seq = reset ? change_mark(&c, SHM_OP_RESET, reset) : 0;
	c.bulk_seq = bulk ? reset_seq : 0;
	sync_publish(&c, staged, deletes);
	if (bulk)
		write_entry_digest(&s->shard.write, reset_seq, l->digest);
	change_mark(&c, SHM_OP_SYNCED, 0);
	*out = (struct store_sync_result){.added = y->added,
	        .modified = y->modified + y->recreated,
	        .deleted = deletes,
	        .unchanged = y->unchanged,
	        .reset = bulk != 0};
	*y = (struct store_sync){.id = y->id};
	e = list_charge(l, l->live_bytes);
	CHECK(e == ERR_OK);
	l->relists += l->whole;
	s->relists += l->whole;
	l->whole = 1;
	list_row(l);
	WRITE_WORD(&l->shm->sync_objects, 0);
	WRITE_WORD(&l->shm->last_event_ns, now_ns);
	write_commit(&s->shard.write); /* W6 */
	list_dirty(l);
	return ERR_OK;
}
