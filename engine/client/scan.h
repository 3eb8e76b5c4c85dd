/* scan.h - a list at exactly one position, taken while it is being written.
 *
 *   1. c0 = commit. Copy every slot of the list, page by page, with the change and the block that
 * it shows.
 *   2. Every few pages, and at the end, replay: walk the list's changes back from the newest to the
 * last replayed, and let each slot that was copied before take the newer of the two. The order does
 * not matter, so this is safe to repeat.
 *   3. At the end choose C = commit. What a slot shows from after C (a batch that is being written)
 * is taken back by the ring: the oldest change of that slot above C names the block that was there
 * at C. The result is the set of blocks at C. Their bytes are read later, and stay intact as long
 * as head <= C + 1 (S5) or the slot shows the same (S2).
 *
 * A RESET in between (S6), a page that changed hands, or an overrun: from the start, with shorter
 * steps. Memory: 17 bytes per slot.
 */
#ifndef KR_CLIENT_SCAN_H
#define KR_CLIENT_SCAN_H

#include "client/list.h"
#include "client/object.h"

struct scan_cell {
	uint64_t seq; /* change that wrote it; 0: known through the ring only; place 0: the page */
	uint64_t block; /* 0: no object; so at place 0 */
};

/* Owner: a view, or restart.c. Thread: the client's. Life: scan_take to scan_fini. */
struct scan {
	struct mapping *shard; /* shared(refs) */
	uint32_t row, gen;
	uint64_t position; /* C */
	uint64_t digest, count;
	char rv[SHM_RV_BYTES];
	bool whole;
	enum shm_list_state state;

	struct scan_cell *cells; /* own: SHM_PAGE_SLOTS for each page, by ordinal and place */
	uint32_t page_count, page_room;
	uint32_t page_limit; /* no shard has more, whatever a chain says */
	uint32_t next_page;  /* where the chain goes on, 0 = at its end */
	uint64_t replayed;   /* all changes up to here are in the cells of the pages copied */
	uint64_t newest;     /* highest seq that a slot showed */
	uint64_t ahead;      /* commit has to come to here for a batch to be whole */
	/* what is known of the list at one change of it */
	uint64_t known_seq, known_digest;
	bool sure; /* it was whole at or before `replayed` */

	uint64_t at; /* of scan_next */
};

/* Takes the list. On success *s holds a reference to the shard; scan_fini in any case. READ_CLOSED,
 * READ_STUCK, READ_GONE (again and again overrun), READ_NEED, READ_CORRUPT. *memory: it was memory
 * that failed. */
enum read_result scan_take(struct scan *s, const struct home *home, bool *memory);
/* The next object's guard; false at the end. */
bool scan_next(struct scan *s, struct object_guard *g);
/* Hint: the next few objects will be read. */
void scan_prefetch(const struct scan *s);
void scan_fini(struct scan *s);

#endif
