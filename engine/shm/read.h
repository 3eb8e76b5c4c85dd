/* read.h - the read half of the shared memory protocol: R1..R5 of layout.h. Runs inside other
 * people's processes.
 *
 * All bytes behind a mapping are hostile: they may be garbage, and they may change while they are
 * read. So every word is fetched once, every reference, length and alignment is checked against the
 * size of the mapping (never against a size that stands in it), every loop has a bound that does
 * not come from there, and nothing here stops the process, calls the system, allocates or looks at
 * a clock.
 *
 * What looks broken may just have been reused while it was read. So the caller first asks
 * read_intact() (or S2, read_slot) and only then says "corrupt".
 *
 * A reference may name a segment that is not mapped yet: READ_NEED, and `need` says which; map it,
 * hand it to read_map(), call again.
 *
 * Thread: any number of readers, each with its own struct read_shard; the writer (write.h) runs at
 * the same time in another process. ThreadSanitizer knows no fences: under it every word is loaded
 * with acquire and payload is copied by words, which together with write.h is at least as strong.
 */
#ifndef KR_SHM_READ_H
#define KR_SHM_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/layout.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define READ_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define READ_TSAN 1
#endif

#ifdef READ_TSAN
#define READ_FENCE() ((void)0)
#define READ_WORD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#else
#define READ_FENCE() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define READ_WORD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#endif
#define READ_ACQUIRE(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)

enum {
	READ_PROBES_MAX = 1 << 16, /* of one index look-up; an honest table needs a handful */
	READ_RING_ENTRIES_MAX = 1 << 28,
};

enum read_result {
	READ_OK = 0,
	READ_NONE,    /* no such thing, or the end */
	READ_NEED,    /* segment s->need is not mapped */
	READ_GONE,    /* it has left the ring */
	READ_STUCK,   /* the writer stopped inside a seqlock */
	READ_CLOSED,  /* the row belongs to another list by now */
	READ_CORRUPT, /* breaks the rules of layout.h */
	READ_VERSION, /* another major layout version */
};

struct read_map {
	const uint8_t *at; /* borrow; NULL = not mapped */
	uint64_t bytes;    /* as fstat said */
};

/* One shard as a reader sees it; 64 KiB, so on the heap. Owner: client/mapping.c. Thread: one at a
 * time. Life: as long as its mappings. */
struct read_shard {
	const struct shm_header *header; /* borrow: control segment */
	const uint8_t *ring;             /* borrow; NULL until segment 1 is mapped */
	/* copied from the header once and checked, never read again */
	uint64_t control_bytes, lists_offset, directory_offset, ring_mask;
	uint64_t incarnation[2], hash_seed;
	uint32_t lists_max, list_stride, slot_stride, entry_stride, page_bytes;
	uint16_t layout_major, layout_minor;
	uint32_t shard;
	uint32_t need; /* after READ_NEED */
	struct read_map maps[SHM_SEGMENTS_MAX];
};

/* Checks the control segment. READ_VERSION: layout_major and layout_minor say what it is.
 * READ_CORRUPT. */
enum read_result read_init(struct read_shard *s, const void *control, uint64_t bytes);
/* Row n of the segment directory. READ_NONE: there is no such segment (yet). */
enum read_result read_segment(const struct read_shard *s, uint32_t n, struct shm_segment_row *out);
/* Makes a mapping known; it must stay until the reader goes. READ_CORRUPT: the ring is too small.
 */
enum read_result read_map(struct read_shard *s, uint32_t n, const void *at, uint64_t bytes);
uint32_t read_segments(const struct read_shard *s); /* how many the directory names now */

/* R1. */
static inline uint64_t read_commit(const struct read_shard *s)
{
	return READ_ACQUIRE(&s->header->commit);
}
/* R4 + R5: after reading, is what change seq names still intact (S1)? */
static inline bool read_intact(const struct read_shard *s, uint64_t seq)
{
	READ_FENCE();
	return READ_WORD(&s->header->head) <= seq;
}
static inline uint64_t read_head(const struct read_shard *s)
{
	return READ_WORD(&s->header->head);
}

/* The row of a list, by seqlock. READ_CLOSED when its gen is another; READ_STUCK, READ_CORRUPT. */
enum read_result read_row(
        const struct read_shard *s, uint32_t list, uint32_t gen, struct shm_list *out);
/* Just last_change (S3: load commit first). READ_CLOSED, READ_CORRUPT. */
enum read_result read_last(
        const struct read_shard *s, uint32_t list, uint32_t gen, uint64_t *last_change);

/* A slot, by seqlock (R2). A page header. READ_NEED, READ_STUCK, READ_CORRUPT. */
enum read_result read_slot(struct read_shard *s, uint32_t slot, struct shm_slot *out);
enum read_result read_page(struct read_shard *s, uint32_t page, struct shm_page *out);
/* How many pages there can be: a bound for chains of them. */
uint32_t read_pages_max(const struct read_shard *s);

/* The ring entry of change seq, checked (R4, R5). READ_GONE: it has left the ring. */
enum read_result read_entry(const struct read_shard *s, uint64_t seq, struct shm_entry *out);
/* The same without the check afterwards (R4, R5), which is the caller's: read_intact(seq) after all
 * that the entry names was read. */
enum read_result read_entry_words(const struct read_shard *s, uint64_t seq, struct shm_entry *out);
/* Hints: the entry of change seq; the first lines of its new block, and of its old one; a slot or
 * page header; the first lines of a block. */
void read_prefetch_entry(const struct read_shard *s, uint64_t seq);
void read_prefetch_change(const struct read_shard *s, uint64_t seq, unsigned lines, bool old);
void read_prefetch_slot(const struct read_shard *s, uint32_t slot);
void read_prefetch_block(const struct read_shard *s, uint64_t block, unsigned lines);

/* The changes of one list, newest first, down to `after` (not included). */
struct read_chain {
	uint64_t next, after;
	uint32_t list;
	uint16_t gen; /* low 16 bits */
	uint64_t steps;
};
/* READ_NONE: `after` is reached; READ_GONE: a change above it has left the ring; READ_CLOSED;
 * READ_CORRUPT. */
enum read_result read_chain_next(
        const struct read_shard *s, struct read_chain *c, struct shm_entry *out);

/* Where a block lies, and how long it says it is; that much and SHM_SLACK more is mapped. Nothing
 * of it has been checked further. READ_NEED, READ_CORRUPT (or reused: ask read_intact). */
enum read_result read_block(
        struct read_shard *s, uint64_t block, const uint8_t **at, uint32_t *bytes);
/* R3: copies payload that may change meanwhile. */
void read_bytes(void *dst, const void *src, size_t n);

struct read_object { /* strings are NUL-terminated and hold no other NUL; they point into the block
	                given */
	const char *namespace_, *name, *uid, *rv, *json;
	uint32_t json_bytes;
	uint16_t namespace_bytes, name_bytes, uid_bytes, rv_bytes;
	uint64_t seq, recv_ns, json_hash, key_hash, object_hash;
};
/* Takes a block (or a copy of one) apart; false when it contradicts itself. */
bool read_object(const uint8_t *block, uint32_t bytes, struct read_object *out);

/* Index look-up: the slots whose key may be the one of this hash. They may be free or hold another
 * key (S7). */
struct read_probe {
	const struct shm_index_entry *table; /* borrow */
	uint64_t mask, at;
	uint32_t tag, steps;
	uint64_t
	        word; /* header.index when it began; another one afterwards: a miss means nothing */
};
enum read_result read_probe_begin(struct read_shard *s, uint64_t key_hash, struct read_probe *p);
/* READ_OK and *slot; READ_NONE at the end. */
enum read_result read_probe_next(struct read_probe *p, uint32_t *slot);

#endif
