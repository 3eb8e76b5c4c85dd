/* get.c - one object by its name: kr_get, kr_check.
 *
 * A hit needs no more than its guard. A miss is believed only if nothing of the list changed
 * meanwhile (the row's ver is the same), because an object that is deleted and added again may move
 * between two slots past a reader. A slot that is ahead of `commit` belongs to a batch that is not
 * whole: it is waited for a moment, then the ring says what was there before the batch (S3).
 */
#include "client/hash.h"
#include "client/list.h"
#include "client/session.h"

#include <string.h>

enum {
	GET_TRIES = 256,   /* look-ups that changes ran into, before the ring is asked */
	GET_MOVED = 100,   /* not a kr_result: look again */
	STRINGS_LINES = 5, /* of a block: header and strings, mostly */
	COPY_LINES = 64,   /* of one to be copied: the hardware goes on from there */
};

struct get {
	struct kr_list *list;
	struct mapping *shard; /* borrow: the list's home, for one call */
	const char *namespace_, *name;
	uint64_t hash;
	unsigned flags;
	struct kr_object *out;
};

/* Takes the block and sees whether it is the object asked for. KR_END: it is another one. */
static int take(struct get *g, const struct object_guard *guard)
{
	int r = object_take(g->shard, guard, &g->list->buf, g->flags, g->out);
	if (r == KR_ERR_OVERRUN)
		return GET_MOVED;
	if (r != KR_OK)
		return r;
	bool same = strcmp(g->out->namespace_, g->namespace_) == 0 &&
	            strcmp(g->out->name, g->name) == 0;
	return same ? KR_OK : KR_END;
}

/* One candidate of the index. KR_END: not this one (S7). commit: read before the slot was looked
 * at. A later one would vouch for nothing: the block that the slot named may have been replaced and
 * given up by then (S5). */
static int candidate(struct get *g, uint32_t number, uint64_t commit)
{
	struct shm_slot slot;
	struct shm_page page;
	read_prefetch_slot(&g->shard->read, number & ~(uint32_t)(SHM_PAGE_SLOTS - 1));
	enum read_result r = mapping_slot(g->shard, number, &slot);
	if (r != READ_OK)
		return mapping_fail(g->shard, r);
	bool live = slot.state == SHM_SLOT_LIVE;
	if (slot.list != g->list->home.row || (live && slot.key_hash != g->hash))
		return KR_END;
	if (slot.seq > commit && slot.seq > read_commit(&g->shard->read))
		return GET_MOVED; /* of a batch that is not whole; a free one may have been ours */
	if (!live)
		return KR_END;
	uint32_t lines = STRINGS_LINES; /* a loan is read by its borrower */
	if (!(g->flags & KR_BORROW))
		lines += slot.json_bytes / 64;
	read_prefetch_block(&g->shard->read, slot.block, lines < COPY_LINES ? lines : COPY_LINES);
	/* Whose is it? A row number is used again, a page is of one list and gen as long as it says
	 * so; and unlike the row nobody writes it all the time. */
	r = mapping_page(g->shard, number / SHM_PAGE_SLOTS, &page);
	if (r != READ_OK)
		return mapping_fail(g->shard, r);
	if (page.list != g->list->home.row || page.list_gen != g->list->home.gen)
		return KR_END;
	struct object_guard guard = {commit, number, slot.seq, slot.block};
	return take(g, &guard);
}

/* KR_OK, KR_END (no slot holds it; *index is the table that was searched), GET_MOVED, or an error.
 */
static int look_up(struct get *g, uint64_t *index)
{
	struct read_probe probe;
	uint64_t commit = read_commit(&g->shard->read); /* R1 */
	enum read_result r = mapping_probe(g->shard, g->hash, &probe);
	if (r != READ_OK)
		return mapping_fail(g->shard, r);
	*index = probe.word;
	uint32_t number = 0;
	while ((r = read_probe_next(&probe, &number)) == READ_OK) {
		int found = candidate(g, number, commit);
		if (found != KR_END)
			return found;
	}
	return r == READ_NONE ? KR_END : mapping_fail(g->shard, r);
}

static int not_found(struct get *g, const struct shm_list *row)
{
	return client_fail(g->list->client, KR_ERR_NOT_FOUND, "%s%s%s is not in the list%s",
	        g->namespace_, *g->namespace_ ? "/" : "", g->name,
	        row->whole ? "" : ", which has not had its first sync yet: kr_list_wait_live");
}

static int row_of(struct get *g, struct shm_list *row)
{
	const struct home *h = &g->list->home;
	enum read_result r = mapping_row(g->shard, h->row, h->gen, row);
	if (r == READ_OK && row->state == SHM_LIST_CLOSED)
		r = READ_CLOSED;
	return r == READ_OK ? KR_OK : mapping_fail(g->shard, r);
}

/* A look-up whose miss counts. */
static int look_twice(struct get *g)
{
	struct shm_list before, after;
	uint64_t index = 0;
	uint64_t commit = read_commit(&g->shard->read);
	int r = row_of(g, &before);
	if (r != KR_OK)
		return r;
	if (before.last_change > commit)
		return GET_MOVED;
	r = look_up(g, &index);
	if (r != KR_END)
		return r;
	/* A batch that is being written shows in the ring before it shows in the row: behind commit
	 * as it is by now, for other lists go on meanwhile. */
	struct shm_entry ahead;
	commit = read_commit(&g->shard->read);
	if (read_entry(&g->shard->read, commit + 1, &ahead) == READ_OK &&
	        ahead.list == g->list->home.row)
		return GET_MOVED;
	r = row_of(g, &after);
	if (r != KR_OK)
		return r;
	bool calm = before.ver == after.ver && index == READ_ACQUIRE(&g->shard->read.header->index);
	return calm ? not_found(g, &after) : GET_MOVED;
}

/* Is the entry about our object? KR_OK, KR_END: about another one; GET_MOVED: the ring does not
 * cover commit any more, so it is not known (R5: what was read counts only now). */
static int entry_is(struct get *g, const struct shm_entry *e, uint64_t commit)
{
	struct read_object o;
	const uint8_t *at = NULL;
	uint32_t bytes = 0;
	uint64_t block = e->new_block ? e->new_block : e->old_block;
	bool same = block && mapping_block(g->shard, block, &at, &bytes) == READ_OK &&
	            read_object(at, bytes, &o) && strcmp(o.namespace_, g->namespace_) == 0 &&
	            strcmp(o.name, g->name) == 0;
	if (!read_intact(&g->shard->read, commit + 1))
		return GET_MOVED;
	return same ? KR_OK : KR_END;
}

/* A batch that does not end, or whose writer is dead: what was there before it, by the changes
 * after commit that are in the ring already, oldest first. The look-up comes before them: what a
 * batch takes out of the index is in the ring by then. */
static int by_ring(struct get *g)
{
	struct shm_list row;
	struct shm_entry e;
	uint64_t index;
	const struct read_shard *read = &g->shard->read;
	struct object_guard guard = {.position = read_commit(read)};
	int r = row_of(g, &row);
	if (r != KR_OK)
		return r;
	int found = look_up(g, &index);
	if (found != KR_END && found != GET_MOVED)
		return found;
	for (uint64_t seq = guard.position + 1;
	        seq - guard.position <= read->ring_mask && read_entry(read, seq, &e) == READ_OK;
	        seq++) {
		if (e.list != g->list->home.row)
			continue;
		if (e.op == SHM_OP_RESET)
			return GET_MOVED; /* S6: the ring does not know */
		r = e.op <= SHM_OP_DELETED ? entry_is(g, &e, guard.position) : KR_END;
		if (r == KR_END)
			continue;
		guard.block = e.old_block;
		if (r == KR_OK)
			r = guard.block ? take(g, &guard) : not_found(g, &row);
		return r == KR_END ? GET_MOVED : r;
	}
	if (!read_intact(read, guard.position + 1))
		return GET_MOVED; /* it ended where the ring has gone on */
	return found == KR_END ? not_found(g, &row) : found;
}

int kr_get(struct kr_list *list, const char *namespace_, const char *name, unsigned flags,
        struct kr_object *object)
{
	int r = list_usable(list);
	if (r != KR_OK)
		return r;
	if (!name || !object || (flags & ~(unsigned)KR_BORROW))
		return client_fail(list->client, KR_ERR_ARGUMENT,
		        "kr_get: name or object is NULL, or unknown flags");
	session_glance(list->client);
	(void)list_settle(list);
	mapping_put(&list->retired); /* this call ends the loan of the one before it */
	list->lent = (flags & KR_BORROW) != 0;
	object_none(object);
	struct get g = {
	        list, list->home.shard, namespace_ ? namespace_ : "", name, 0, flags, object};
	g.hash = hash_key(g.shard->read.hash_seed, list->home.row, g.namespace_, name);
	uint64_t index;
	r = look_up(&g, &index);
	for (int i = 0; i < GET_TRIES && (r == KR_END || r == GET_MOVED); i++)
		r = look_twice(&g);
	struct patience patience = {0};
	while (r == GET_MOVED) {
		if (!patience_left(&patience))
			return mapping_fail(g.shard, READ_STUCK);
		r = by_ring(&g);
	}
	if (r != KR_OK)
		object_none(object);
	return r;
}

int kr_check(struct kr_list *list, const struct kr_object *object)
{
	struct object_guard guard;
	if (!list || !object)
		return KR_ERR_ARGUMENT;
	if (object_guard_of(list->home.shard, object, &guard))
		return object_intact(list->home.shard, &guard) ? KR_OK : KR_ERR_TORN;
	LIST_EACH (n, &list->client->shards) { /* lent before a restart, or by a view */
		struct mapping *s = CONTAINER_OF(n, struct mapping, node);
		if (object_guard_of(s, object, &guard))
			return object_intact(s, &guard) ? KR_OK : KR_ERR_TORN;
	}
	return client_fail(list->client, KR_ERR_TORN,
	        "the object was not borrowed from this list, or the daemon was replaced since");
}
