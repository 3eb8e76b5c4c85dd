/* blocks.h - the allocator of the blocks that objects live in.
 *
 * Everything it knows lies in private memory: a block is handed out and taken back without reading
 * or writing one byte of it, because consumers may be reading it (S1, S2).
 *
 *   segment  64 MiB (configurable), cut into granules of 64 KiB
 *   run      1..16 granules in a row, cut into blocks of one class; or one large block
 *   class    multiples of 64 bytes up to 2 KiB, then 32 per doubling up to 256 KiB: a block is at
 *            most 1/32 larger than asked for (3.1 %), 1.6 % on average; the tail of a run wastes
 *            at most about 2 % of address space (0.6 % on average), and touches no memory in the
 *            first segment; later ones are taken in huge pages, where it counts
 *   large    above 256 KiB: a run of its own, whole granules, up to a whole segment
 *
 * A run that is empty again gives its granules back, for any class. Segments stay: sealed memory
 * cannot be given back to the system page by page (shm/segment.h).
 */
#ifndef KR_STORE_BLOCKS_H
#define KR_STORE_BLOCKS_H

#include "store/shard.h"

enum {
	BLOCKS_ALIGN = 64,
	BLOCKS_GRANULE = 64 << 10,
	BLOCKS_LEAN = 8 << 20, /* of the first segment: what no block takes of it costs nothing */
	BLOCKS_SMALL_MAX = 256 << 10,
	BLOCKS_CLASSES = 257, /* class 0 is unused; see class_of() */
	BLOCKS_RUN_GRANULES = 16,
	BLOCKS_RUN_MAX = 512, /* blocks in a run */
};

struct blocks_class {
	uint32_t bytes;    /* of one block */
	uint32_t inverse;  /* 2^32 / bytes, rounded up: exact for multiples within a run */
	uint32_t run;      /* first run with a free block, RUN_NONE: none */
	uint16_t granules; /* of one run */
	uint16_t per_run;  /* blocks in one run; 0: this class does not fit a segment */
};

struct blocks_run {
	uint64_t free[BLOCKS_RUN_MAX / 64]; /* bit set = free */
	uint32_t next, prev;                /* runs of the class with free blocks */
	uint16_t class;                     /* 0 = large */
	uint16_t granules;
	uint16_t free_count;
	uint16_t hint; /* no free block in words below this one */
};

struct blocks_segment {
	uint32_t number;        /* of the segment */
	uint32_t free_count;    /* granules */
	uint32_t longest;       /* no run of free granules is longer */
	uint64_t *free;         /* own; one bit per granule, set = free */
	uint16_t *run_of;       /* own; granule -> first granule of its run */
	struct blocks_run *run; /* own; by first granule */
};

/* Owner: struct store. Thread: the reactor. Life: blocks_init to blocks_fini. */
struct blocks {
	struct shard *shard; /* borrow */
	uint64_t segment_bytes;
	uint64_t used_bytes; /* of blocks handed out, as rounded */
	uint32_t segment_granules;
	uint32_t count, capacity;
	uint32_t first; /* no granule is free in segments below this one */
	struct blocks_segment *segments;
	struct blocks_class classes[BLOCKS_CLASSES];
};

/* segment_bytes: a multiple of BLOCKS_GRANULE, below 4 GiB. Makes no segment yet. */
void blocks_init(struct blocks *b, struct shard *shard, uint64_t segment_bytes);
/* The private memory; the segments are the shard's. */
void blocks_fini(struct blocks *b);

/* What a block of n bytes really takes; 0: larger than a segment. */
uint64_t blocks_round(const struct blocks *b, uint64_t n);
/* The same for a block that is there. */
uint64_t blocks_bytes(const struct blocks *b, uint64_t ref);
/* n must have a blocks_round. errors: ERR_SHM, ERR_BUDGET, ERR_LIMIT (segments), ERR_NO_MEMORY. */
err_t blocks_take(struct blocks *b, uint64_t n, uint64_t *ref, struct errmsg *msg) MUST_USE;
void blocks_give(struct blocks *b, uint64_t ref);
/* Fetches what blocks_give of it will change. */
void blocks_prefetch(const struct blocks *b, uint64_t ref);
/* Bytes of all BLOCKS segments that are in no block. */
static inline uint64_t blocks_free_bytes(const struct blocks *b)
{
	return b->count * b->segment_bytes - b->used_bytes;
}

#endif
