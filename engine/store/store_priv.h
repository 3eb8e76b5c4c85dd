/* store_priv.h - inside of store/: struct store and struct store_list, shared by store_*.c only.
 *
 *   store.c         life of a shard, memory, what waits for reuse, budgets
 *   store_list.c    rows of the list table: open, close, state, versions, liveness
 *   store_change.c  one change: slot, entry, digest, retirement; used by both of the next
 *   store_apply.c   the live stream: upsert, delete
 *   store_sync.c    first syncs and relists: staging, commit, abort
 */
#ifndef KR_STORE_STORE_PRIV_H
#define KR_STORE_STORE_PRIV_H

#include "base/version.h"
#include "store/blocks.h"
#include "store/index.h"
#include "store/key.h"
#include "store/retire.h"
#include "store/shard.h"
#include "store/slots.h"
#include "store/store.h"

enum {
	STORE_COLLECT_CHANGE = 8, /* things freed per change at most: more than a change retires */
	STORE_COLLECT_TICK = 512, /* and per tick: pages of closed lists, leftovers of bulk syncs */
	STORE_RETIRE_PER_LIST = 2, /* reserved for the close of each list: identity, pages */
	STORE_RETIRE_PER_CHANGE = 3,
};

struct store_row { /* private half of a row of the list table */
	uint32_t gen;
	uint32_t next; /* free rows, oldest first; UINT32_MAX = last */
};

struct store {
	struct shard shard;
	struct blocks blocks;
	struct index index;
	struct slots slots;
	struct retire retire;
	struct store_config config; /* defaults filled in */
	struct list lists, dirty;
	struct store_row *rows; /* own */
	uint32_t row_first, row_last;
	uint32_t list_count;
	uint64_t live_bytes, staged_bytes, unknown_deletes, relists;
	struct store_usage told; /* [any thread] atomic words */
	struct key key;          /* scratch: the key of the event under way */
	struct errmsg refusal;   /* the last of refused, NULL: of nobody. Lists are many */
	const struct store_list *refused;
};

/* The sync under way. The counters describe the set as it will be, object by object seen. */
struct store_sync {
	bool active;
	bool lower; /* an object came with a lower version than the one we hold */
	uint32_t id;
	uint64_t seen, unchanged, modified, recreated, added;
	uint64_t bytes;      /* of blocks of what was seen */
	uint64_t kept_bytes; /* of those, unchanged */
};

struct store_list {
	struct store *store;  /* borrow */
	struct shm_list *shm; /* its row */
	struct list node;     /* in store->lists */
	struct list dirty;    /* in store->dirty */
	struct store_budget *budget;
	void *owner;
	uint32_t row, gen;
	struct slots_chain chain;
	uint64_t last_change, digest, objects, json_bytes;
	uint64_t live_bytes; /* of blocks that slots name */
	uint64_t charged;    /* against the budgets */
	uint64_t rv_num, relists;
	uint32_t whole; /* 1 after the first sync */
	uint32_t rv_bytes;
	char rv[SHM_RV_BYTES];
	struct store_sync sync;
};

/* --- store.c -------------------------------------------------------------------------------- */

/* W1, W2 for n coming changes, then frees a bounded amount of what nobody is promised any more. */
void store_room(struct store *s, uint64_t n);
/* So many bytes are kept for followers. */
uint64_t store_retained_max(const struct store *s);
/* Room for n retirements; errors: ERR_NO_MEMORY. */
err_t store_retire_reserve(struct store *s, uint64_t n, struct errmsg *msg) MUST_USE;
/* bytes: blocks_bytes of it. */
void store_retire_block(struct store *s, uint64_t seq, uint64_t ref, uint64_t bytes);
/* Lets go of everything that only followers need, and frees all of it now. */
void store_give_up_all(struct store *s);
/* Would a block of that size be within shard_bytes_max, with nobody giving way? */
static inline bool store_fits(const struct store *s, uint64_t bytes)
{
	uint64_t max = s->config.shard_bytes_max;
	return bytes > 0 && (max == 0 || s->blocks.used_bytes + bytes <= max);
}
/* A block of n bytes within shard_bytes_max. errors: ERR_BUDGET, ERR_SHM, ERR_NO_MEMORY. */
err_t store_block_take(struct store *s, uint64_t n, uint64_t *ref, struct errmsg *msg) MUST_USE;
/* Room for one more key in the index. errors: ERR_SHM, ERR_BUDGET, ERR_LIMIT. */
err_t store_index_reserve(struct store *s, struct errmsg *msg) MUST_USE;

/* --- store_list.c --------------------------------------------------------------------------- */

/* Where a refusal of this list is written. */
struct errmsg *list_refusal(struct store_list *l);
/* Counts the list at `want` bytes against its budgets. errors: ERR_BUDGET, nothing changed. */
err_t list_charge(struct store_list *l, uint64_t want) MUST_USE;
/* Would `more` bytes on top of what is charged be within every budget? */
bool list_fits(const struct store_list *l, uint64_t more);
/* May a list that has `have` objects take one more? errors: ERR_LIMIT. */
err_t list_objects_check(struct store_list *l, uint64_t have) MUST_USE;
/* The version of the list follows v, but never back. True if it moved. */
bool list_version(struct store_list *l, struct span v, uint64_t number);
/* The version of the list is v, also if that is back. */
void list_version_set(struct store_list *l, struct span v, uint64_t number);
/* Row := the list as it is now, by seqlock. */
void list_row(struct store_list *l);
/* One event was received. */
void list_event(struct store_list *l, uint64_t recv_ns);
void list_dirty(struct store_list *l);
/* A place for one more object, and a row that says where. errors: ERR_SHM, ... in list_refusal. */
err_t list_slot_reserve(struct store_list *l) MUST_USE;

/* --- store_change.c ------------------------------------------------------------------------- */

/* How changes are published. */
struct change {
	struct store_list *l;
	uint64_t rv;                 /* numeric version of the list after it */
	uint64_t bulk_seq;           /* not 0: no entry per object, all slots carry this seq (S6) */
	uint8_t flags;               /* enum shm_op_flags of every entry */
	uint32_t version_at, cut_at; /* of the object that is put: struct json_known */
};
/* Finds the slot of a key, live or staged; 0 = none. */
uint32_t change_find(const struct store_list *l, const struct key *k);
/* The same among what is published: a staged block is not looked at. */
uint32_t change_find_live(const struct store_list *l, const struct key *k);
/* Writes o into a new block. Budgets of the list are the caller's. errors as
 * store_block_take, and ERR_JSON_LIMIT: larger than a segment. */
err_t change_block(struct store_list *l, const struct key *k, const struct json_object *o,
        uint64_t recv_ns, uint64_t *ref) MUST_USE;
/* The key of o, in store->key; a refusal is in list_refusal. */
err_t change_key(struct store_list *l, const struct json_object *o) MUST_USE;
/* How o stands to the block: same object, and which version is higher (o against the block). */
enum version_order change_order(
        const struct key *k, uint64_t rv, const struct shm_block *b, bool *same_uid);
/* Bytes that change_block will take; 0: it cannot. */
uint64_t change_block_bytes(
        const struct store_list *l, const struct key *k, const struct json_object *o);
/* The slot takes the block, whose object has the numeric version rv: ADDED, MODIFIED, or DELETED +
 * ADDED. */
enum store_outcome change_put(struct change *c, uint32_t slot, uint64_t ref, uint64_t rv);
/* The slot's object goes. last: block of its last state, 0 = unknown. */
void change_drop(struct change *c, uint32_t slot, uint64_t last);
/* An entry about the list itself. Returns its seq. */
uint64_t change_mark(struct change *c, enum shm_op op, uint32_t aux);
/* Staged-only or deleted: the slot leaves index and list. */
void change_slot_give(struct store_list *l, uint32_t slot, uint64_t hash);

static inline struct shm_block *store_block(const struct store *s, uint64_t ref)
{
	return shard_block(&s->shard, ref);
}

#endif
