/* write.h - the write half of the shared memory protocol: W1..W6 of layout.h, and nothing else.
 *
 * One writer per shard. Nothing here waits, allocates, or reads a word that a consumer writes.
 *
 *   write_room     W1 + W2   what is about to be reused is given up first
 *   write_bytes    W3        payload of a block
 *   write_slot     W4        slot, by seqlock
 *   write_entry    W5        ring entry of the next change
 *   write_row_*    W5        row of the list, by seqlock
 *   write_commit   W6        all of it becomes visible
 *
 * Who may run at the same time: any number of readers (R1..R5) in any process; no second writer.
 *
 * ThreadSanitizer knows no fences (google/sanitizers#1415). Under it fences vanish, every relaxed
 * store becomes a release store, and payload is stored by words: at least as strong, so what it
 * finds is real, and the same source is what runs.
 */
#ifndef KR_SHM_WRITE_H
#define KR_SHM_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/layout.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define WRITE_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define WRITE_TSAN 1
#endif

#ifdef WRITE_TSAN
#define WRITE_FENCE() ((void)0)
#define WRITE_ORDER   __ATOMIC_RELEASE
#else
#define WRITE_FENCE() __atomic_thread_fence(__ATOMIC_RELEASE)
#define WRITE_ORDER   __ATOMIC_RELAXED
#endif
/* One word of shared memory, relaxed: ordered by a fence or a release store nearby. */
#define WRITE_WORD(p, v)    __atomic_store_n((p), (v), WRITE_ORDER)
#define WRITE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* Owner: the shard. Thread: its reactor. Life: as long as the control and ring segments. */
struct write {
	struct shm_header *header; /* borrow */
	struct shm_entry *ring;    /* borrow */
	uint64_t mask;
	uint64_t next;    /* number of the next change */
	uint64_t commit;  /* newest that is whole */
	uint64_t head;    /* oldest that is intact */
	bool unsignalled; /* committed something since write_signal */
};

/* entries: a power of two. Sets commit 0 and head 1. */
void write_init(
        struct write *w, struct shm_header *header, struct shm_entry *ring, uint32_t entries);

/* Lowest head that leaves the ring room for n more changes. n <= entries. */
uint64_t write_head_for(const struct write *w, uint64_t n);
/* W1, W2. Before every change or batch, also if head stays: what was freed since the last one is
 * reused after this fence only. head never falls and never passes commit + 1 (S5). */
void write_room(struct write *w, uint64_t head);

/* W3. dst: shared memory that no reader has been shown. */
void write_bytes(void *dst, const void *src, size_t n);

/* W4. Everything but ver is taken from v. */
void write_slot(struct shm_slot *slot, const struct shm_slot *v);

/* W5. Fills in seq and returns it. The list's row must follow before write_commit. */
uint64_t write_entry(struct write *w, const struct shm_entry *e);
/* The digest of an entry that is not committed yet: of a RESET that was written before its slots
 * (S6). */
void write_entry_digest(struct write *w, uint64_t seq, uint64_t digest);

/* W5. Between the two, fields are stored with WRITE_WORD. */
static inline void write_row_begin(struct shm_list *row)
{
	WRITE_WORD(&row->ver, row->ver + 1); /* odd; pairs with R2 */
	WRITE_FENCE();
}
static inline void write_row_end(struct shm_list *row)
{
	WRITE_RELEASE(&row->ver, row->ver + 1); /* even; pairs with R2 */
}
/* A whole row for another list: IDLE, and nothing yet. What was there before was given up (S8). */
void write_row_start(struct shm_list *row, uint32_t gen, uint64_t identity);
/* A text of a row, cut to fit, NUL-terminated and NUL-filled. bytes: size of the field, % 8 == 0.
 */
void write_row_text(char *field, size_t bytes, const char *text, size_t n);

/* W6. Everything up to the last write_entry is whole. No-op when there is nothing new. */
void write_commit(struct write *w);

/* Raises the futex word if something was committed since the last call; the wake itself is the
 * caller's. True if so. */
bool write_signal(struct write *w);
void write_heartbeat(struct write *w, uint64_t now_ns);
void write_stop(struct write *w);

#endif
