/* retire.h - what waits until nobody can be promised it any more: a FIFO of {change, thing}.
 *
 * A block replaced by change s, or the pages of a list closed by s, may be reused once head > s
 * (S1, S5). One queue for all: single changes, batches, bulk syncs (where no ring entry names the
 * old block), closed lists. It works in two steps, because head must be stored (W1, W2) before
 * anything is reused: retire_pass() moves the mark over what head lets go, retire_pop() hands
 * out what is before the mark.
 */
#ifndef KR_STORE_RETIRE_H
#define KR_STORE_RETIRE_H

#include <stdbool.h>
#include <stdint.h>

enum retire_kind { RETIRE_BLOCK, RETIRE_LIST };

struct retire_item {
	uint64_t seq;   /* goes when head > seq */
	uint64_t ref;   /* block reference; or first page of the list */
	uint64_t bytes; /* that it holds back */
	uint32_t kind;
	uint32_t row; /* of the list table, for RETIRE_LIST */
};

enum {
	RETIRE_CHUNK = 2047,      /* items: 64 KiB */
	RETIRE_CHUNKS_KEPT = 128, /* spare ones */
};

struct retire_chunk;

/* Owner: struct store. Thread: the reactor. Life: zeroed to retire_fini. */
struct retire {
	struct retire_chunk *front, *mark_chunk, *back, *spare;
	uint64_t bytes; /* behind the mark: retained for followers */
	uint32_t front_at, mark_at, back_at, spare_count;
};

void retire_fini(struct retire *r);
/* Room for n more pushes, so that they cannot fail. False: out of memory. */
bool retire_reserve(struct retire *r, uint64_t n);
/* A block. seq must not fall. What it returns is for who pushes something else, to say so at once.
 */
struct retire_item *retire_push(struct retire *r, uint64_t seq, uint64_t ref, uint64_t bytes);
/* Moves the mark over everything below head. */
void retire_pass(struct retire *r, uint64_t head);
/* The head that leaves at most bytes_max retained, without letting go of anything after `last`. */
uint64_t retire_head_for(const struct retire *r, uint64_t bytes_max, uint64_t last);
/* The oldest that is passed, NULL when there is none; gone with retire_pop. */
struct retire_item *retire_first(struct retire *r);
void retire_pop(struct retire *r);
/* One that will be the oldest soon, passed or not; NULL: none is known. */
struct retire_item *retire_ahead(struct retire *r);

#endif
