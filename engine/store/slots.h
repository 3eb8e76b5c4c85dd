/* slots.h - slots and the pages that they come in. A page belongs to one list and stays with it
 * until the list is closed; within an open list, the slot of a deleted object is used again.
 *
 * Beside each slot stands its private half: what a sync has seen and staged for it.
 */
#ifndef KR_STORE_SLOTS_H
#define KR_STORE_SLOTS_H

#include "store/shard.h"

enum {
	SLOTS_PER_SEGMENT = SHM_SLOT_SEGMENT_BYTES / 64,
	SLOTS_PAGES = SLOTS_PER_SEGMENT / SHM_PAGE_SLOTS, /* per segment */
	SLOTS_PER_PAGE = SHM_PAGE_SLOTS - 1,
	SLOTS_PAGE_FULL = 0xfffe, /* places 1..15 */
};

struct slot_note {                   /* private half of a slot */
	uint64_t staged;             /* block of the sync under way, 0 = none */
	uint32_t seen;               /* sync that saw it, 0 = none */
	uint32_t version_at, cut_at; /* of `staged`: struct json_known */
};

struct page_note {
	uint32_t next; /* pages with a free place; or free pages. 0 = last */
	uint16_t used; /* bit per place */
	uint16_t _pad;
};

struct slots_segment {
	struct shm_slot *slot;  /* borrow(the shard's segment) */
	uint32_t number;        /* of the segment */
	struct slot_note *note; /* own */
	struct page_note *page; /* own */
};

/* Owner: struct store. Thread: the reactor. Life: slots_init to slots_fini. */
struct slots {
	struct shard *shard; /* borrow */
	uint32_t segment_count;
	uint32_t page_next; /* never used before, from here on */
	uint32_t page_free; /* stack of given back ones */
	uint64_t used, pages_used;
	struct slots_segment segment[SHM_SLOT_SEGMENTS_MAX];
};

/* The pages of one list. Owner: struct store_list. */
struct slots_chain {
	uint32_t list, list_gen;
	uint32_t first, last, count; /* page numbers; what the list's row says */
	uint32_t avail;              /* stack of pages with a free place */
};

void slots_init(struct slots *s, struct shard *shard);
void slots_fini(struct slots *s);

static inline struct shm_slot *slots_at(const struct slots *s, uint32_t slot)
{
	return &s->segment[slot >> 16].slot[slot & 0xffff];
}
static inline struct slot_note *slots_note(const struct slots *s, uint32_t slot)
{
	return &s->segment[slot >> 16].note[slot & 0xffff];
}
static inline struct page_note *slots_page(const struct slots *s, uint32_t page)
{
	return &s->segment[page / SLOTS_PAGES].page[page % SLOTS_PAGES];
}
/* A place in use that is not live is staged only. */
static inline bool slots_live(const struct slots *s, uint32_t slot)
{
	return slots_at(s, slot)->state == SHM_SLOT_LIVE;
}
/* The header of a page. */
static inline struct shm_page *slots_page_at(const struct slots *s, uint32_t page)
{
	return (struct shm_page *)(void *)slots_at(s, page << 4);
}

/* Makes sure that the chain has a free place, adding a page if not; true in *grown then: the row
 * must follow. errors: ERR_SHM, ERR_BUDGET, ERR_LIMIT, ERR_NO_MEMORY. */
err_t slots_reserve(
        struct slots *s, struct slots_chain *c, bool *grown, struct errmsg *msg) MUST_USE;
/* slots_reserve came before. The slot is FREE for consumers, its note empty. */
uint32_t slots_take(struct slots *s, struct slots_chain *c);
void slots_give(struct slots *s, struct slots_chain *c, uint32_t slot);
/* A page of a closed list, all its places given up: makes every slot FREE for good. Returns the
 * next page of its chain, 0 = it was the last. */
uint32_t slots_page_give(struct slots *s, uint32_t page);

/* Next slot in use of a chain, 0 at the end. *at = 0 to start. */
uint32_t slots_next(const struct slots *s, const struct slots_chain *c, uint32_t *at);

#endif
