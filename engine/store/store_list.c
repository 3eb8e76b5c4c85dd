#include <stdlib.h>

#include "base/check.h"
#include "store/json_hash.h"
#include "store/store_priv.h"

enum { IDENTITY_BYTES_MAX = 32768, DIGEST_CHANGES_MAX = 65536 };

/* --- open and close ------------------------------------------------------------------------- */

static uint64_t identity_bytes(const struct store_identity *id)
{
	return id->cluster.n + id->group.n + id->version.n + id->resource.n + id->namespace_.n +
	       id->labels.n + id->fields.n + id->form.n + 8;
}

/* A block whose JSON is the strings, each with its NUL. */
static void identity_write(
        struct store *s, uint32_t row, const struct store_identity *id, uint64_t ref)
{
	const struct span parts[] = {id->cluster, id->group, id->version, id->resource,
	        id->namespace_, id->labels, id->fields, id->form};
	struct shm_block *b = store_block(s, ref);
	char *strings = (char *)(b + 1), *at = strings;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		write_bytes(at, parts[i].p, parts[i].n);
		write_bytes(at + parts[i].n, "", 1);
		at += parts[i].n + 1;
	}
	uint32_t n = (uint32_t)(at - strings);
	struct shm_block header = {.bytes = (uint32_t)sizeof header + n,
	        .json_bytes = n,
	        .json_hash = json_hash((struct span){strings, n}),
	        .list = row,
	        .json_offset = sizeof header};
	write_bytes(b, &header, sizeof header);
}

/* The row of a closed list is reused here and nowhere else: another gen tells its old readers. */
static void row_start(struct store_list *l, uint64_t identity)
{
	struct shm_header *h = l->store->shard.header;
	write_row_start(l->shm, l->gen, identity);
	if (l->row >= h->list_count)
		WRITE_RELEASE(&h->list_count, l->row + 1);
}

/* A free row; those of closed lists that followers may still look at are the last resort. */
static bool row_take(struct store *s, uint32_t *row)
{
	if (s->row_first == UINT32_MAX)
		store_give_up_all(s);
	*row = s->row_first;
	if (*row == UINT32_MAX)
		return false;
	s->row_first = s->rows[*row].next;
	return true;
}

err_t store_list_open(struct store *s, const struct store_identity *id, struct store_budget *budget,
        void *owner, struct store_list **out)
{
	uint64_t n = identity_bytes(id), ref;
	*out = NULL;
	if (n > IDENTITY_BYTES_MAX)
		return ERR_LIMIT;
	struct store_list *l = calloc(1, sizeof *l);
	if (!l)
		return ERR_NO_MEMORY;
	store_room(s, 0);
	err_t e = store_retire_reserve(s, STORE_RETIRE_PER_LIST, NULL);
	if (e == ERR_OK)
		e = store_block_take(s, sizeof(struct shm_block) + n, &ref, NULL);
	if (e != ERR_OK)
		goto fail;
	if (!row_take(s, &l->row)) {
		blocks_give(&s->blocks, ref);
		e = ERR_LIMIT;
		goto fail;
	}
	struct store_row *note = &s->rows[l->row];
	note->gen = note->gen + 1 ? note->gen + 1 : 1;
	l->store = s;
	l->shm = &s->shard.rows[l->row];
	l->gen = note->gen;
	l->budget = budget;
	l->owner = owner;
	l->chain = (struct slots_chain){.list = l->row, .list_gen = l->gen};
	list_init(&l->dirty);
	list_push(&s->lists, &l->node);
	s->list_count++;
	s->live_bytes += blocks_bytes(&s->blocks, ref);
	identity_write(s, l->row, id, ref);
	row_start(l, ref);
	*out = l;
	return ERR_OK;
fail:
	free(l);
	return e;
}

void store_list_close(struct store_list **lp, uint64_t now_ns)
{
	struct store_list *l = *lp;
	*lp = NULL;
	if (!l)
		return;
	struct store *s = l->store;
	store_sync_abort(l);
	if (l->shm->state != SHM_LIST_CLOSED) /* else it says why */
		store_list_state(l, SHM_LIST_CLOSED, ERR_OK, NULL, now_ns);
	uint64_t identity = l->shm->identity;
	s->live_bytes -= blocks_bytes(&s->blocks, identity) + l->live_bytes;
	store_retire_block(s, l->last_change, identity, blocks_bytes(&s->blocks, identity));
	struct retire_item *item =
	        retire_push(&s->retire, l->last_change, l->chain.first, l->live_bytes);
	item->kind = RETIRE_LIST;
	item->row = l->row;
	err_t e = list_charge(l, 0);
	CHECK(e == ERR_OK);
	list_unlink(&l->dirty);
	list_unlink(&l->node);
	s->list_count--;
	if (s->refused == l)
		s->refused = NULL;
	free(l);
}

/* --- small questions ------------------------------------------------------------------------ */

uint32_t store_list_row(const struct store_list *l, uint32_t *gen)
{
	*gen = l->gen;
	return l->row;
}
void *store_list_owner(const struct store_list *l)
{
	return l->owner;
}

void store_list_disown(struct store_list *l)
{
	l->owner = NULL;
	l->budget = NULL; /* the owner's too */
}

uint64_t store_list_objects(const struct store_list *l)
{
	return l->objects;
}
uint64_t store_list_digest(const struct store_list *l)
{
	return l->digest;
}

struct store_mark store_list_mark(const struct store_list *l)
{
	return (struct store_mark){l->relists, l->last_change};
}

bool store_list_digest_at(
        const struct store_list *l, uint64_t rv, struct store_mark mark, uint64_t *digest)
{
	const struct write *w = &l->store->shard.write;
	uint64_t seq = l->last_change;
	if (mark.relists != l->relists || l->rv_num == 0)
		return false;
	if (mark.change == seq || l->rv_num <= rv) {
		*digest = l->digest;
		return true;
	}
	for (uint32_t n = 0; n < DIGEST_CHANGES_MAX; n++) {
		const struct shm_entry *e = &w->ring[seq & w->mask];
		if (seq == 0 || e->seq != seq || e->rv == 0)
			break;
		if (e->rv <= rv) {
			*digest = e->digest;
			return true;
		}
		seq = e->prev;
	}
	return false;
}
struct span store_list_rv(const struct store_list *l)
{
	return (struct span){l->rv, l->rv_bytes};
}
struct errmsg *list_refusal(struct store_list *l)
{
	struct store *s = l->store;
	if (s->refused != l) {
		s->refused = l;
		s->refusal.code = ERR_OK;
		s->refusal.text[0] = '\0';
	}
	return &s->refusal;
}
const char *store_list_refusal(const struct store_list *l)
{
	return l->store->refused == l ? l->store->refusal.text : "";
}
err_t store_list_refused(const struct store_list *l)
{
	return l->store->refused == l ? l->store->refusal.code : ERR_OK;
}

void store_list_each(const struct store_list *l, store_object_fn fn, void *arg)
{
	const struct store *s = l->store;
	for (uint32_t at = 0; slots_next(&s->slots, &l->chain, &at) != 0;) {
		const struct shm_slot *slot = slots_at(&s->slots, at);
		if (slot->state == SHM_SLOT_LIVE)
			fn(arg, slot, store_block(s, slot->block));
	}
}

/* --- budgets -------------------------------------------------------------------------------- */

static err_t charge_refuse(struct store_list *l, const struct store_budget *b, uint64_t more)
{
	return errmsg_set(list_refusal(l), ERR_BUDGET,
	        "%s may hold %llu bytes, holds %llu, needs %llu more; raise %s or narrow the list",
	        b->name ? b->name : "a budget", (unsigned long long)b->bytes_max,
	        (unsigned long long)b->bytes, (unsigned long long)more,
	        b->setting ? b->setting : "its limit");
}

static bool budget_fits(const struct store_budget *b, uint64_t more)
{
	return b->bytes_max == 0 || (more <= b->bytes_max && b->bytes <= b->bytes_max - more);
}

bool list_fits(const struct store_list *l, uint64_t more)
{
	const struct store_budget *b = l->budget;
	while (b && budget_fits(b, more))
		b = b->parent;
	return b == NULL;
}

err_t list_charge(struct store_list *l, uint64_t want)
{
	if (want > l->charged) {
		uint64_t more = want - l->charged;
		for (struct store_budget *b = l->budget; b; b = b->parent)
			if (!budget_fits(b, more))
				return charge_refuse(l, b, more);
	}
	for (struct store_budget *b = l->budget; b; b = b->parent)
		b->bytes = b->bytes - l->charged + want;
	l->charged = want;
	return ERR_OK;
}

err_t list_objects_check(struct store_list *l, uint64_t have)
{
	uint64_t max = l->store->config.objects_max;
	if (have < max)
		return ERR_OK;
	return errmsg_set(list_refusal(l), ERR_LIMIT,
	        "a list may hold %llu objects; raise objects_max or narrow the list",
	        (unsigned long long)max);
}

/* --- the row -------------------------------------------------------------------------------- */

void list_version_set(struct store_list *l, struct span v, uint64_t number)
{
	CHECK(v.n < sizeof l->rv);
	if (v.n > 0)
		memcpy(l->rv, v.p, v.n);
	l->rv[v.n] = 0;
	l->rv_bytes = (uint32_t)v.n;
	l->rv_num = number;
}

bool list_version(struct store_list *l, struct span v, uint64_t number)
{
	if (number != 0 && l->rv_num != 0) {
		if (number <= l->rv_num)
			return false;
	} else {
		enum version_order order = version_compare(v, store_list_rv(l));
		if (order == VERSION_EQUAL || order == VERSION_LESS)
			return false;
	}
	list_version_set(l, v, number);
	return true;
}

void list_row(struct store_list *l)
{
	struct shm_list *row = l->shm;
	write_row_begin(row);
	WRITE_WORD(&row->whole, l->whole);
	WRITE_WORD(&row->relists, l->relists);
	WRITE_WORD(&row->digest, l->digest);
	WRITE_WORD(&row->objects, l->objects);
	WRITE_WORD(&row->bytes, l->json_bytes);
	WRITE_WORD(&row->rv_num, l->rv_num);
	write_row_text(row->rv, sizeof row->rv, l->rv, l->rv_bytes);
	WRITE_WORD(&row->first_page, l->chain.first);
	WRITE_WORD(&row->page_count, l->chain.count);
	WRITE_WORD(&row->last_change, l->last_change); /* S3: before the commit that covers it */
	write_row_end(row);
}

void list_event(struct store_list *l, uint64_t recv_ns)
{
	WRITE_WORD(&l->shm->events, l->shm->events + 1);
	WRITE_WORD(&l->shm->last_event_ns, recv_ns);
}

void list_dirty(struct store_list *l)
{
	if (list_empty(&l->dirty))
		list_push(&l->store->dirty, &l->dirty);
	l->store->shard.write.unsignalled = true;
}

err_t list_slot_reserve(struct store_list *l)
{
	bool grown;
	err_t e = slots_reserve(&l->store->slots, &l->chain, &grown, list_refusal(l));
	if (e == ERR_OK && grown)
		list_row(l); /* pages come before what is in them */
	return e;
}

void store_bookmark(struct store_list *l, struct span rv, uint64_t now_ns)
{
	WRITE_WORD(&l->shm->last_bookmark_ns, now_ns);
	list_event(l, now_ns);
	if (!l->whole || rv.n == 0 || rv.n > KEY_RV_MAX)
		return;
	if (!list_version(l, rv, version_number(rv)))
		return;
	list_row(l);
	list_dirty(l); /* somebody may wait for a version */
}

void store_list_byte(struct store_list *l, uint64_t now_ns)
{
	WRITE_WORD(&l->shm->last_byte_ns, now_ns);
}

/* --- state ---------------------------------------------------------------------------------- */

static void row_error(struct shm_list *row, err_t err, const char *text)
{
	const char *name = err == ERR_OK ? "" : err_name(err);
	if (err == ERR_OK || !text)
		text = "";
	WRITE_WORD(&row->last_error, (uint32_t)err);
	write_row_text(row->error_text, sizeof row->error_text, text, strlen(text));
	write_row_text(row->error_name, sizeof row->error_name, name, strlen(name));
}

void store_list_state(struct store_list *l, enum shm_list_state state, err_t err, const char *text,
        uint64_t now_ns)
{
	struct store *s = l->store;
	struct shm_list *row = l->shm;
	bool moved = row->state != state;
	if (moved) {
		store_room(s, 1);
		struct change c = {.l = l, .rv = l->rv_num};
		change_mark(&c, SHM_OP_STATE, state);
	}
	write_row_begin(row);
	WRITE_WORD(&row->state, state);
	WRITE_WORD(&row->last_change, l->last_change);
	if (moved)
		WRITE_WORD(&row->state_since_ns, now_ns);
	if (state == SHM_LIST_LIVE)
		WRITE_WORD(&row->stale_since_ns, 0);
	else if (row->stale_since_ns == 0)
		WRITE_WORD(&row->stale_since_ns, now_ns);
	row_error(row, err, text);
	write_row_end(row);
	write_commit(&s->shard.write);
	list_dirty(l);
}
