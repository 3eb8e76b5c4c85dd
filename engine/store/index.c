#include "store/index.h"

#include <string.h>

#include "base/check.h"

static void publish(struct index *x, uint32_t segment, uint32_t log2)
{
	x->entries = shard_at(x->shard, segment);
	x->log2 = log2;
	WRITE_RELEASE(&x->shard->header->index, (uint64_t)segment << 32 | log2);
}

err_t index_init(struct index *x, struct shard *shard, struct errmsg *msg)
{
	uint32_t segment = 0;
	*x = (struct index){.shard = shard};
	err_t e = shard_add(
	        shard, SHM_INDEX, sizeof(struct shm_index_entry) << INDEX_LOG2_MIN, &segment, msg);
	if (e == ERR_OK)
		publish(x, segment, INDEX_LOG2_MIN);
	return e;
}

/* Copies all live entries of the table into a larger one that no reader has seen yet. */
static void copy_all(const struct index *x, const struct index_slots *slots,
        struct shm_index_entry *to, uint32_t log2)
{
	enum { AHEAD = 16 }; /* one cache miss per slot, overlapped */
	uint64_t entries = 1ull << x->log2, mask = (1ull << log2) - 1;
	for (uint64_t i = 0; i < entries; i++) {
		if (i + AHEAD < entries) {
			uint32_t later = x->entries[i + AHEAD].slot;
			if (later != 0 && later != SHM_INDEX_GONE)
				slots->prefetch(slots->arg, later);
		}
		const struct shm_index_entry *e = &x->entries[i];
		if (e->slot == 0 || e->slot == SHM_INDEX_GONE)
			continue;
		uint64_t at = slots->hash(slots->arg, e->slot);
		while (to[at & mask].slot != 0)
			at++;
		to[at & mask] = *e;
	}
}

err_t index_reserve(struct index *x, const struct index_slots *slots, struct errmsg *msg)
{
	uint64_t entries = 1ull << x->log2;
	if (LIKELY((uint64_t)x->used + 1 <= entries / 10 * 6))
		return ERR_OK;
	uint32_t segment = 0, log2 = x->log2 + 1;
	if (log2 > INDEX_LOG2_MAX)
		return errmsg_set(msg, ERR_LIMIT, "the index of a shard holds at most 2^%d entries",
		        INDEX_LOG2_MAX);
	err_t e = shard_add(
	        x->shard, SHM_INDEX, sizeof(struct shm_index_entry) << log2, &segment, msg);
	if (e != ERR_OK)
		return e;
	e = shard_use(x->shard, segment, 0, sizeof(struct shm_index_entry) << log2, msg);
	CHECK(e == ERR_OK); /* it was taken as a whole */
	copy_all(x, slots, shard_at(x->shard, segment), log2);
	publish(x, segment, log2); /* release: who sees the new table sees its entries */
	x->used = x->live;
	return ERR_OK;
}

void index_insert(struct index *x, uint64_t hash, uint32_t slot)
{
	uint64_t mask = (1ull << x->log2) - 1, at = hash;
	while (x->entries[at & mask].slot != 0 && x->entries[at & mask].slot != SHM_INDEX_GONE)
		at++;
	struct shm_index_entry *e = &x->entries[at & mask];
	if (e->slot == 0)
		x->used++;
	x->live++;
	WRITE_WORD(&e->tag, (uint32_t)(hash >> 32));
	WRITE_RELEASE(&e->slot, slot); /* pairs with the reader's acquire load of slot, then tag */
}

void index_remove(struct index *x, uint64_t hash, uint32_t slot)
{
	uint64_t mask = (1ull << x->log2) - 1, at = hash;
	while (x->entries[at & mask].slot != slot) {
		CHECK(x->entries[at & mask].slot != 0);
		at++;
	}
	x->live--;
	if (x->entries[(at + 1) & mask].slot != 0) {
		WRITE_RELEASE(&x->entries[at & mask].slot, SHM_INDEX_GONE);
		return;
	}
	do { /* last of its cluster: it and the GONE ones before it have never been */
		WRITE_RELEASE(&x->entries[at & mask].slot, 0);
		x->used--;
		at--;
	} while (x->entries[at & mask].slot == SHM_INDEX_GONE);
}
