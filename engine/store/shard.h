/* shard.h - the segments of one shard: makes them, numbers them, announces them in the directory.
 *
 * Numbers are never reused and rows never change, so a consumer that mapped segment n may keep it
 * for the life of the daemon. Growth is one more segment, on the slow path only.
 */
#ifndef KR_STORE_SHARD_H
#define KR_STORE_SHARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "shm/layout.h"
#include "shm/segment.h"
#include "shm/write.h"

/* Owner: struct store. Thread: the reactor; segments below header->segment_count (acquire): any.
 * Life: shard_init to shard_fini. */
struct shard {
	struct shm_header *header;         /* in segment 0 */
	struct shm_segment_row *directory; /* in segment 0 */
	struct shm_list *rows;             /* in segment 0 */
	struct write write;
	uint64_t bytes; /* sum of all segments */
	/* borrow: what all shards of the process have taken; NULL = nobody counts. memory_max 0 =
	 * no limit */
	atomic_ullong *memory;
	uint64_t memory_max, taken; /* taken: of that, this one */
	uint32_t segment_count;
	uint32_t kinds[SHM_BLOCKS + 1]; /* segments of each kind */
	bool in_process;
	struct segment segments[SHM_SEGMENTS_MAX];
};

struct shard_config {
	uint32_t shard, realm, ring_entries, lists_max;
	uint64_t incarnation[2], hash_seed, started_ns, memory_max;
	atomic_ullong *memory;
	bool in_process;
};

/* Makes CONTROL and RING, fills in the header. errors: ERR_SHM, with nothing held. */
err_t shard_init(struct shard *s, const struct shard_config *config, struct errmsg *msg) MUST_USE;
void shard_fini(struct shard *s);
/* One more segment, announced; an INDEX is taken as a whole, because it is hashed. errors: ERR_SHM;
 * ERR_BUDGET; ERR_LIMIT: SHM_SEGMENTS_MAX. */
err_t shard_add(struct shard *s, enum shm_segment_kind kind, uint64_t bytes, uint32_t *number,
        struct errmsg *msg) MUST_USE;
/* So much more memory, which never goes back. errors: ERR_BUDGET: all shards together have what
 * they may. */
err_t shard_take(struct shard *s, uint64_t bytes, struct errmsg *msg) MUST_USE;
/* The segment is used up to `to` from now on: takes what it was not used for yet, and asks for huge
 * pages (segment_use), but what lies below `from` stays in small ones. errors: as shard_take. */
MUST_USE static inline err_t shard_use(
        struct shard *s, uint32_t number, uint64_t from, uint64_t to, struct errmsg *msg)
{
	struct segment *g = &s->segments[number];
	if (to > g->used) {
		err_t e = shard_take(s, to - g->used, msg);
		if (e != ERR_OK)
			return e;
		g->used = to;
	}
	if (to > from && g->huge < from)
		g->huge = from;
	if (to > from && to > g->huge)
		segment_use(g, to);
	return ERR_OK;
}
static inline void *shard_at(const struct shard *s, uint32_t number)
{
	return s->segments[number].at;
}
/* The block that a reference names. It must be one of ours. */
static inline struct shm_block *shard_block(const struct shard *s, uint64_t ref)
{
	uint64_t offset = ref & ((1ull << SHM_BLOCK_SEGMENT_SHIFT) - 1);
	char *at = s->segments[ref >> SHM_BLOCK_SEGMENT_SHIFT].at;
	return (struct shm_block *)(void *)(at + offset);
}

#endif
