/* index.h - key -> slot, open addressing with linear probing, in shared memory.
 *
 * The table is doubled into a new segment when more than 6/10 of it is used (live and GONE), and
 * published by one store into header.index. Old segments stay as they were at that moment, for
 * readers that still look there; together they are smaller than the newest.
 *
 * A removed entry becomes "never used" if nothing follows it, and so do the GONE ones before it:
 * no probe that must succeed passes through them. So GONE entries do not pile up, and doubling for
 * their sake stays a rare exception.
 */
#ifndef KR_STORE_INDEX_H
#define KR_STORE_INDEX_H

#include "store/shard.h"

enum { INDEX_LOG2_MIN = 12, INDEX_LOG2_MAX = 31 };

/* Owner: struct store. Thread: the reactor. Life: index_init on. */
struct index {
	struct shard *shard; /* borrow */
	struct shm_index_entry *entries;
	uint32_t log2, used, live;
};

/* hash of the key that a slot holds: what index_reserve needs to double the table. */
typedef uint64_t (*index_hash_fn)(const void *arg, uint32_t slot);
/* Brings the slot's memory closer; may do nothing. */
typedef void (*index_prefetch_fn)(const void *arg, uint32_t slot);

struct index_slots { /* how the index sees slots */
	index_hash_fn hash;
	index_prefetch_fn prefetch;
	const void *arg;
};

err_t index_init(struct index *x, struct shard *shard, struct errmsg *msg) MUST_USE;
/* Room for one more. errors: ERR_SHM, ERR_BUDGET, ERR_LIMIT. */
err_t index_reserve(struct index *x, const struct index_slots *slots, struct errmsg *msg) MUST_USE;
/* Puts slot there; index_reserve came before, and no entry of that key is there. */
void index_insert(struct index *x, uint64_t hash, uint32_t slot);
/* The entry must be there. */
void index_remove(struct index *x, uint64_t hash, uint32_t slot);

/* Where the probe of a hash starts, for prefetching. */
static inline const struct shm_index_entry *index_at(const struct index *x, uint64_t hash)
{
	return &x->entries[hash & ((1ull << x->log2) - 1)];
}

/* The slots whose tag fits, one per call; 0 = no more. *at starts as hash. The caller compares. */
static inline uint32_t index_next(const struct index *x, uint64_t hash, uint64_t *at)
{
	uint64_t mask = (1ull << x->log2) - 1;
	for (;;) {
		const struct shm_index_entry *e = &x->entries[*at & mask];
		if (e->slot == 0)
			return 0;
		++*at;
		if (e->slot != SHM_INDEX_GONE && e->tag == (uint32_t)(hash >> 32))
			return e->slot;
	}
}

#endif
