#include "store/slots.h"

#include <stdlib.h>

#include "base/check.h"

void slots_init(struct slots *s, struct shard *shard)
{
	/* Page 0 is left out: a slot number, a page number and `next` of 0 mean "none". */
	*s = (struct slots){.shard = shard, .page_next = 1};
}

void slots_fini(struct slots *s)
{
	for (uint32_t i = 0; i < s->segment_count; i++) {
		free(s->segment[i].note);
		free(s->segment[i].page);
	}
	s->segment_count = 0;
}

static err_t segment_add(struct slots *s, struct errmsg *msg)
{
	uint32_t number = 0;
	if (s->segment_count == SHM_SLOT_SEGMENTS_MAX)
		return errmsg_set(msg, ERR_LIMIT, "a shard has at most %d slots; use more reactors",
		        SHM_SLOT_SEGMENTS_MAX * SLOTS_PER_SEGMENT);
	struct slots_segment *g = &s->segment[s->segment_count];
	g->note = calloc(SLOTS_PER_SEGMENT, sizeof *g->note);
	g->page = calloc(SLOTS_PAGES, sizeof *g->page);
	err_t e = ERR_NO_MEMORY;
	if (!g->note || !g->page)
		errmsg_set(msg, e, "notes of a slot segment");
	else
		e = shard_add(s->shard, SHM_SLOTS, SHM_SLOT_SEGMENT_BYTES, &number, msg);
	if (e != ERR_OK) {
		free(g->note);
		free(g->page);
		return e;
	}
	g->slot = shard_at(s->shard, number);
	g->number = number;
	WRITE_RELEASE(&s->shard->header->slot_segments[s->segment_count++], (uint16_t)number);
	return ERR_OK;
}

err_t slots_reserve(struct slots *s, struct slots_chain *c, bool *grown, struct errmsg *msg)
{
	*grown = false;
	if (LIKELY(c->avail != 0))
		return ERR_OK;
	uint32_t page = s->page_free;
	if (page == 0) {
		if (s->page_next / SLOTS_PAGES >= s->segment_count) {
			err_t e = segment_add(s, msg);
			if (e != ERR_OK)
				return e;
		}
		page = s->page_next;
		err_t e = shard_use(s->shard, s->segment[page / SLOTS_PAGES].number, 0,
		        (uint64_t)(page % SLOTS_PAGES + 1) *
		                sizeof(struct shm_slot[SHM_PAGE_SLOTS]),
		        msg);
		if (e != ERR_OK)
			return e;
		s->page_next++;
	} else {
		s->page_free = slots_page(s, page)->next;
	}
	*slots_page(s, page) = (struct page_note){0};
	struct shm_page *h = slots_page_at(s, page);
	WRITE_WORD(&h->next, 0);
	WRITE_WORD(&h->list, c->list);
	WRITE_WORD(&h->ordinal, c->count);
	WRITE_RELEASE(&h->list_gen, c->list_gen);
	if (c->last != 0) /* release: who follows `next` finds the header whole */
		WRITE_RELEASE(&slots_page_at(s, c->last)->next, page);
	else
		c->first = page;
	c->last = page;
	c->count++;
	c->avail = page;
	s->pages_used++;
	*grown = true;
	return ERR_OK;
}

uint32_t slots_take(struct slots *s, struct slots_chain *c)
{
	uint32_t page = c->avail;
	CHECK(page != 0);
	struct page_note *n = slots_page(s, page);
	uint32_t place = (uint32_t)__builtin_ctz((unsigned)~n->used & SLOTS_PAGE_FULL);
	n->used |= (uint16_t)(1u << place);
	if (n->used == SLOTS_PAGE_FULL)
		c->avail = n->next;
	s->used++;
	uint32_t slot = page << 4 | place;
	*slots_note(s, slot) = (struct slot_note){0};
	return slot;
}

void slots_give(struct slots *s, struct slots_chain *c, uint32_t slot)
{
	struct page_note *n = slots_page(s, slot >> 4);
	CHECK(n->used >> (slot & 15) & 1);
	if (n->used == SLOTS_PAGE_FULL) {
		n->next = c->avail;
		c->avail = slot >> 4;
	}
	n->used &= (uint16_t) ~(1u << (slot & 15));
	*slots_note(s, slot) = (struct slot_note){0};
	s->used--;
}

uint32_t slots_page_give(struct slots *s, uint32_t page)
{
	struct shm_page *h = slots_page_at(s, page);
	uint32_t next = h->next;
	struct page_note *n = slots_page(s, page);
	WRITE_RELEASE(&h->list_gen, 0);
	for (uint32_t place = 1; place <= SLOTS_PER_PAGE; place++) {
		struct shm_slot *slot = slots_at(s, page << 4 | place);
		if (slot->state != SHM_SLOT_FREE)
			write_slot(slot, &(struct shm_slot){.seq = slot->seq});
	}
	s->used -= (uint64_t)__builtin_popcount(n->used);
	s->pages_used--;
	*n = (struct page_note){.next = s->page_free};
	s->page_free = page;
	return next;
}

uint32_t slots_next(const struct slots *s, const struct slots_chain *c, uint32_t *at)
{
	uint32_t page = *at >> 4, place = *at & 15;
	if (*at == 0)
		page = c->first;
	while (page != 0) {
		uint32_t rest = (uint32_t)slots_page(s, page)->used >> (place + 1) << (place + 1);
		if (rest != 0) {
			*at = page << 4 | (uint32_t)__builtin_ctz(rest);
			return *at;
		}
		page = slots_page_at(s, page)->next;
		place = 0;
	}
	return 0;
}
