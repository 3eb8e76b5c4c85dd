/* The live stream: one event, one change (or DELETED + ADDED), one commit. */
#include "base/check.h"
#include "base/fetch.h"
#include "store/store_priv.h"

enum { STORE_TRACE_BYTES = 1024 };

static void publish(struct store_list *l, uint64_t recv_ns)
{
	list_event(l, recv_ns);
	list_row(l);
	write_commit(&l->store->shard.write); /* W6 */
	list_dirty(l);
}

/* Nothing changed but the position: no entry, no commit. */
static void moved_only(struct store_list *l, const struct key *k, uint64_t recv_ns)
{
	list_event(l, recv_ns);
	if (list_version(l, key_rv(k), k->rv))
		list_row(l);
}

/* What a new object needs beside its block. */
static err_t reserve_new(struct store_list *l)
{
	err_t e = list_objects_check(l, l->objects);
	if (e == ERR_OK)
		e = store_index_reserve(l->store, list_refusal(l));
	if (e == ERR_OK)
		e = list_slot_reserve(l);
	return e;
}

/* The block of a change that does not fit as easily as most: the budgets first, to the byte. */
static err_t reserve_tight(struct store_list *l, uint32_t no, const struct json_object *o,
        uint64_t recv_ns, uint64_t *ref)
{
	struct store *s = l->store;
	uint64_t bytes = change_block_bytes(l, &s->key, o);
	uint64_t old = no ? blocks_bytes(&s->blocks, slots_at(&s->slots, no)->block) : 0;
	uint64_t want = l->live_bytes - old + bytes;
	/* Not lowered before the block is there: what a budget that a reload made smaller has let
	 * go, it does not give back. */
	err_t e = list_charge(l, want > l->live_bytes ? want : l->live_bytes);
	if (e == ERR_OK)
		e = change_block(l, &s->key, o, recv_ns, ref);
	return e;
}

/* The charge follows the list. After the checks above, it cannot fail. */
static void recharge(struct store_list *l)
{
	err_t e = list_charge(l, l->live_bytes);
	CHECK(e == ERR_OK);
}

void store_trace_list(const struct store_list *l)
{
	fetch(l, offsetof(struct store_list, sync));
}

void store_trace_row(const struct store_list *l)
{
	fetch(l->shm, offsetof(struct shm_list, last_bookmark_ns));
}

void store_trace_begin(
        const struct store_list *l, struct span namespace_, struct span name, struct store_trace *t)
{
	const struct store *s = l->store;
	struct key k __attribute__((uninitialized)); /* clearing it would cost most */
	*t = (struct store_trace){0};
	if (key_init_name(&k, s->config.hash_seed, l->row, namespace_, name) != ERR_OK)
		return;
	*t = (struct store_trace){l, k.key_hash};
	fetch(index_at(&s->index, t->hash), 1);
}

static void fetch_block(const struct store *s, uint64_t ref)
{
	fetch(store_block(s, ref), STORE_TRACE_BYTES); /* the rest follows by itself */
}

void store_trace_rest(const struct store_trace *t, size_t n)
{
	const struct shm_slot *slots[STORE_TRACES_MAX];
	CHECK(n <= STORE_TRACES_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct store *s = t[i].list ? t[i].list->store : NULL;
		uint64_t at = t[i].hash;
		uint32_t no = s ? index_next(&s->index, t[i].hash, &at) : 0;
		slots[i] = no ? slots_at(&s->slots, no) : NULL;
		if (slots[i])
			fetch(slots[i], sizeof *slots[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (slots[i] && slots[i]->block)
			fetch_block(t[i].list->store, slots[i]->block);
}

bool store_peek(const struct store_list *l, struct span namespace_, struct span name,
        struct store_held *out)
{
	const struct store *s = l->store;
	/* not s->key: an event may be under way */
	struct key k __attribute__((uninitialized));
	if (key_init_name(&k, s->config.hash_seed, l->row, namespace_, name) != ERR_OK)
		return false;
	uint32_t no = change_find_live(l, &k);
	if (no == 0)
		return false;
	const struct shm_slot *slot = slots_at(&s->slots, no);
	const struct shm_block *b = store_block(s, slot->block);
	*out = (struct store_held){
	        .known = {.json = {(const char *)b + b->json_offset, b->json_bytes},
	                .name = key_block_name(b),
	                .namespace_ = key_block_namespace(b),
	                .uid = key_block_uid(b),
	                .version_at = slot->version_at,
	                .cut_at = slot->cut_at},
	        .resource_version = key_block_rv(b),
	        .rv = slot->rv,
	        .slot = no};
	return true;
}

/* What the event means for what is there (M4, M5, M8). no: 0 = nothing. */
static err_t judge(const struct store_list *l, uint32_t no, bool *unchanged)
{
	const struct store *s = l->store;
	*unchanged = false;
	if (no == 0)
		return ERR_OK;
	bool same;
	const struct shm_slot *slot = slots_at(&s->slots, no);
	enum version_order order =
	        change_order(&s->key, slot->rv, store_block(s, slot->block), &same);
	*unchanged = same && order == VERSION_EQUAL;
	if (order == VERSION_LESS || (order == VERSION_EQUAL && !same))
		return ERR_KUBE_ORDER;
	return ERR_OK;
}

static void apply(struct store_list *l, uint32_t no, const struct json_object *o, uint64_t ref,
        enum store_outcome *what)
{
	struct store *s = l->store;
	bool is_new = no == 0;
	if (is_new)
		no = slots_take(&s->slots, &l->chain);
	list_version(l, key_rv(&s->key), s->key.rv);
	struct change c = {.l = l, .rv = l->rv_num};
	json_shape_marks(o, &c.version_at, &c.cut_at);
	*what = change_put(&c, no, ref, s->key.rv);
	if (is_new) /* after the slot: who finds it in the index finds it whole */
		index_insert(&s->index, s->key.key_hash, no);
}

/* What every event of the live stream begins with: its key in s->key, and room for what it retires.
 */
static err_t begin_change(struct store_list *l, const struct json_object *o)
{
	CHECK(!l->sync.active);
	err_t e = change_key(l, o);
	return e != ERR_OK
	               ? e
	               : store_retire_reserve(l->store, STORE_RETIRE_PER_CHANGE, list_refusal(l));
}

/* Nearly every event is a change that fits: so its block is written first, and the look-up, three
 * cache misses, hides behind the copy (change_block). Where budgets are tight, the look-up comes
 * first, because only it tells by how many bytes the list grows. no: the slot, 0 = not known. */
static err_t upsert(struct store_list *l, uint32_t no, const struct json_object *o,
        uint64_t recv_ns, enum store_outcome *what)
{
	struct store *s = l->store;
	const struct key *k = &s->key;
	uint64_t ref = 0;
	bool unchanged;
	uint64_t bytes = change_block_bytes(l, k, o);
	store_room(s, 2); /* W1, W2 */
	if (store_fits(s, bytes) && list_fits(l, bytes) &&
	        change_block(l, k, o, recv_ns, &ref) != ERR_OK)
		ref = 0; /* again below, for the reason */
	if (no == 0)
		no = change_find(l, k);
	err_t e = judge(l, no, &unchanged);
	if (e == ERR_OK && !unchanged) {
		if (no == 0)
			e = reserve_new(l);
		if (e == ERR_OK && ref == 0)
			e = reserve_tight(l, no, o, recv_ns, &ref);
	}
	if (e != ERR_OK || unchanged) {
		if (ref != 0)
			blocks_give(&s->blocks, ref); /* no reader has seen it */
		recharge(l);
		if (e != ERR_OK)
			return e;
		moved_only(l, k, recv_ns);
		*what = STORE_UNCHANGED;
		return ERR_OK;
	}
	apply(l, no, o, ref, what);
	recharge(l);
	publish(l, recv_ns);
	return ERR_OK;
}

err_t store_upsert(struct store_list *l, const struct json_object *o, uint64_t recv_ns,
        enum store_outcome *what)
{
	err_t e = begin_change(l, o);
	return e != ERR_OK ? e : upsert(l, 0, o, recv_ns, what);
}

err_t store_replace(struct store_list *l, const struct store_held *held,
        const struct json_object *o, uint64_t recv_ns, enum store_outcome *what)
{
	struct store *s = l->store;
	const struct shm_slot *slot = slots_at(&s->slots, held->slot);
	CHECK(!l->sync.active && slot->state == SHM_SLOT_LIVE && slot->list == l->row);
	const struct shm_block *b = store_block(s, slot->block);
	err_t e = key_init_like(&s->key, l->row, b, o->resource_version);
	if (e == ERR_OK)
		e = store_retire_reserve(s, STORE_RETIRE_PER_CHANGE, list_refusal(l));
	return e != ERR_OK ? e : upsert(l, held->slot, o, recv_ns, what);
}

/* Is this the object that is there, and is the event not older? (M8) */
static bool delete_is_next(const struct store_list *l, uint32_t no)
{
	const struct store *s = l->store;
	const struct shm_slot *slot = slots_at(&s->slots, no);
	bool same;
	enum version_order order =
	        change_order(&s->key, slot->rv, store_block(s, slot->block), &same);
	return same && order != VERSION_LESS;
}

err_t store_delete(struct store_list *l, const struct json_object *o, uint64_t recv_ns,
        enum store_outcome *what)
{
	struct store *s = l->store;
	const struct key *k = &s->key;
	uint64_t ref;
	err_t e = begin_change(l, o);
	if (e != ERR_OK)
		return e;
	uint32_t no = change_find(l, k);
	if (no == 0) {
		s->unknown_deletes++;
		moved_only(l, k, recv_ns);
		*what = STORE_UNKNOWN;
		return ERR_OK;
	}
	if (!delete_is_next(l, no))
		return ERR_KUBE_ORDER; /* an older life, or a life that we have missed */
	store_room(s, 1);              /* W1, W2 */
	/* No room for the last state is no reason to keep a dead object: it goes without. */
	if (o->raw.n == 0 || change_block(l, k, o, recv_ns, &ref) != ERR_OK)
		ref = 0;
	list_version(l, key_rv(k), k->rv);
	struct change c = {.l = l, .rv = l->rv_num};
	change_drop(&c, no, ref);
	recharge(l);
	publish(l, recv_ns);
	*what = STORE_DELETED;
	return ERR_OK;
}
