#include "client/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	SCAN_TRIES = 16,
	SCAN_STEP_MAX = 128, /* pages between two replays; halved by every try that failed */
	SCAN_STEP_MIN = 8,
	SCAN_SPINS = 64,       /* looks at commit before the ring is asked */
	SCAN_PATIENCE_MAX = 3, /* times 250 ms that a batch may take to become whole */
	SCAN_AHEAD = 4,
	SCAN_PAGES_FIRST = 16,
	SCAN_HEAP_BYTES_MAX = 16384,
	PLACES = SHM_PAGE_SLOTS, /* of a page here, the page itself at the first */
	/* not a read_result: a change lies in a page that the chain got after we were at its end */
	SCAN_MORE = 100,
	SCAN_AGAIN = 101,
	SCAN_MEMORY = 102,
};
#define SCAN_TAKEN_BACK UINT64_MAX /* seq of a cell that step 3 is at */

/* --- cells ----------------------------------------------------------------------------------- */

static size_t cells_bytes(uint32_t pages)
{
	return (size_t)pages * PLACES * sizeof(struct scan_cell);
}

/* Cells of many pages come from the system and go back to it: in a heap they would stay with the
 * host for good. Small ones come from the heap, because they cost no system call there. NULL: none.
 */
static struct scan_cell *cells_grown(struct scan_cell *old, uint32_t old_pages, uint32_t pages)
{
	size_t had = cells_bytes(old_pages), bytes = cells_bytes(pages);
	if (bytes <= SCAN_HEAP_BYTES_MAX)
		return realloc(old, bytes);
	if (had > SCAN_HEAP_BYTES_MAX) {
		void *at = mremap(old, had, bytes, MREMAP_MAYMOVE);
		return at == MAP_FAILED ? NULL : at;
	}
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (old)
		memcpy(at, old, had);
	free(old);
	return at;
}

static void cells_free(struct scan_cell *cells, uint32_t pages)
{
	if (cells_bytes(pages) > SCAN_HEAP_BYTES_MAX)
		munmap(cells, cells_bytes(pages));
	else
		free(cells);
}

static bool grow(struct scan *s)
{
	if (s->page_count < s->page_room)
		return true;
	uint32_t room = s->page_room ? s->page_room * 2 : SCAN_PAGES_FIRST;
	struct scan_cell *cells = cells_grown(s->cells, s->page_room, room);
	if (!cells)
		return false;
	s->cells = cells;
	s->page_room = room;
	return true;
}

/* The number of the page that a cell is of. */
static uint32_t page_of(const struct scan *s, uint64_t cell)
{
	return (uint32_t)s->cells[cell - cell % PLACES].seq;
}

/* The cell of a slot; SCAN_MORE when its page was not copied (yet). */
static int cell_of(struct scan *s, uint32_t slot, struct scan_cell **out)
{
	struct shm_page p;
	uint32_t place = slot % SHM_PAGE_SLOTS;
	if (place == 0)
		return READ_CORRUPT;
	enum read_result r = mapping_page(s->shard, slot >> 4, &p);
	if (r != READ_OK)
		return (int)r;
	if (p.list != s->row || p.list_gen != s->gen)
		return SCAN_AGAIN;
	if (p.ordinal >= s->page_count)
		return SCAN_MORE;
	size_t first = (size_t)p.ordinal * PLACES;
	if (page_of(s, first) != slot >> 4)
		return SCAN_AGAIN;
	*out = &s->cells[first + place];
	return READ_OK;
}

/* Step 1 for one page. */
static int copy_page(struct scan *s, uint32_t page)
{
	struct shm_page p;
	struct shm_slot slot;
	enum read_result r = mapping_page(s->shard, page, &p);
	if (r != READ_OK)
		return (int)r;
	if (p.list != s->row || p.list_gen != s->gen || p.ordinal != s->page_count ||
	        s->page_count >= s->page_limit)
		return SCAN_AGAIN;
	if (!grow(s))
		return SCAN_MEMORY;
	struct scan_cell *cell = &s->cells[(size_t)s->page_count * PLACES];
	*cell = (struct scan_cell){.seq = page};
	for (uint32_t place = 1; place < PLACES; place++) {
		r = mapping_slot(s->shard, page << 4 | place, &slot);
		if (r != READ_OK)
			return (int)r;
		bool live = slot.state == SHM_SLOT_LIVE && slot.list == s->row;
		cell[place] = (struct scan_cell){slot.seq, live ? slot.block : 0};
		if (slot.seq > s->newest)
			s->newest = slot.seq;
	}
	s->page_count++;
	s->next_page = p.next;
	return READ_OK;
}

/* --- step 2: replay -------------------------------------------------------------------------- */

static int apply(struct scan *s, const struct shm_entry *e)
{
	struct scan_cell *cell = NULL;
	if (e->op == SHM_OP_RESET || e->op == SHM_OP_SYNCED)
		s->sure = true;
	if (e->op == SHM_OP_RESET)
		return SCAN_AGAIN; /* S6: slots changed that the ring does not tell of */
	if (e->op == SHM_OP_STATE && e->aux == SHM_LIST_CLOSED)
		return READ_CLOSED;
	if (e->op > SHM_OP_DELETED || e->op == 0)
		return READ_OK;
	int r = cell_of(s, e->slot, &cell);
	if (r == READ_OK && e->seq > cell->seq)
		*cell = (struct scan_cell){e->seq, e->op == SHM_OP_DELETED ? 0 : e->new_block};
	return r;
}

static struct read_chain chain_from(const struct scan *s, uint64_t last, uint64_t after)
{
	return (struct read_chain){last, after, s->row, (uint16_t)s->gen, 0};
}

static int chain_end(enum read_result r)
{
	if (r == READ_NONE)
		return READ_OK;
	return r == READ_GONE ? SCAN_AGAIN : (int)r;
}

/* The list as it was after a change of it. */
static void know(struct scan *s, const struct shm_entry *e)
{
	s->known_seq = e->seq;
	s->known_digest = e->digest;
	s->rv[0] = '\0';
	if (e->rv != 0)
		snprintf(s->rv, sizeof s->rv, "%" PRIu64, e->rv);
}

/* Applies the changes in (replayed, c]; c is at or before commit, last is the list's newest change.
 * tail: the chain's end was reached, so a page that we have not must be copied first (SCAN_MORE);
 * otherwise the scan will come to it. */
static int replay(struct scan *s, uint64_t last, uint64_t c, bool tail)
{
	struct shm_entry e;
	struct read_chain chain = chain_from(s, last, s->replayed);
	bool first = true;
	enum read_result r;
	while ((r = read_chain_next(&s->shard->read, &chain, &e)) == READ_OK) {
		if (e.seq > c)
			continue;
		if (first)
			know(s, &e);
		first = false;
		int done = apply(s, &e);
		if (done != READ_OK && (done != SCAN_MORE || tail))
			return done;
	}
	if (r != READ_NONE)
		return chain_end(r);
	s->replayed = c;
	return READ_OK;
}

static int replay_now(struct scan *s)
{
	uint64_t c = read_commit(&s->shard->read), last = 0; /* R1, then S3 */
	enum read_result r = read_last(&s->shard->read, s->row, s->gen, &last);
	return r == READ_OK ? replay(s, last, c, false) : (int)r;
}

static int copy_pages(struct scan *s, uint32_t step)
{
	while (s->next_page != 0) {
		int r = copy_page(s, s->next_page);
		if (r == READ_OK && s->page_count % step == 0)
			r = replay_now(s);
		if (r != READ_OK)
			return r;
	}
	return READ_OK;
}

/* --- step 3: one position -------------------------------------------------------------------- */

/* The changes after c that are in the ring already, oldest first: of a batch that is being written,
 * mostly; its row comes last, so the chain does not lead to them. The oldest one of a slot names
 * what was there at c. */
static int take_back_all(struct scan *s, uint64_t c)
{
	struct shm_entry e;
	const struct read_shard *read = &s->shard->read;
	for (uint64_t seq = c + 1;
	        seq - c <= read->ring_mask && read_entry(read, seq, &e) == READ_OK; seq++) {
		struct scan_cell *cell = NULL;
		if (e.list != s->row || e.op > SHM_OP_RESET)
			continue;
		if (e.op == SHM_OP_RESET)
			return SCAN_MORE;
		int found = e.op <= SHM_OP_DELETED ? cell_of(s, e.slot, &cell) : SCAN_MORE;
		if (found == SCAN_MORE)
			continue; /* no object, or a new page: nothing of it was there at c */
		if (found != READ_OK)
			return found;
		if (cell->seq > c && cell->seq != SCAN_TAKEN_BACK)
			*cell = (struct scan_cell){SCAN_TAKEN_BACK, e.old_block};
	}
	return READ_OK;
}

/* Takes back what slots show from after c. SCAN_MORE: the ring does not tell of all of it (yet).
 * Cells that were taken back are right at c in any case, so that a later replay may start from
 * them. */
static int take_back(struct scan *s, uint64_t c)
{
	int r = take_back_all(s, c);
	size_t n = (size_t)s->page_count * PLACES;
	for (size_t i = 0; i < n; i++) {
		if (i % PLACES == 0)
			continue;
		if (s->cells[i].seq == SCAN_TAKEN_BACK)
			s->cells[i].seq = 0;
		else if (s->cells[i].seq > c && r == READ_OK)
			r = SCAN_MORE;
	}
	return r;
}

/* The digest of the list at c, when the newest change at or before c is seq. */
static bool digest_at(struct scan *s, uint64_t seq)
{
	struct shm_entry e;
	if (s->known_seq == seq)
		return true;
	if (seq == 0)
		e = (struct shm_entry){0};
	else if (read_entry(&s->shard->read, seq, &e) != READ_OK)
		return false;
	know(s, &e);
	s->known_seq = seq;
	return true;
}

static void count(struct scan *s, uint64_t c)
{
	size_t n = (size_t)s->page_count * PLACES;
	s->position = c;
	s->digest = s->known_digest;
	s->count = 0;
	for (size_t i = 0; i < n; i++)
		s->count += s->cells[i].block != 0;
}

/* The newest change of the list at or before c. */
static int newest_until(struct scan *s, uint64_t last, uint64_t c, uint64_t *seq)
{
	struct shm_entry e;
	struct read_chain chain = chain_from(s, last, c);
	enum read_result r;
	while ((r = read_chain_next(&s->shard->read, &chain, &e)) == READ_OK)
		;
	*seq = chain.next;
	return chain_end(r);
}

/* One attempt at a position. SCAN_MORE: not yet. */
static int settle(struct scan *s, bool by_ring)
{
	struct shm_list row;
	uint64_t seq = 0;
	uint64_t c = read_commit(&s->shard->read); /* R1, then S3 */
	enum read_result rr = mapping_row(s->shard, s->row, s->gen, &row);
	if (rr != READ_OK)
		return (int)rr;
	if (row.state == SHM_LIST_CLOSED)
		return READ_CLOSED;
	int r = replay(s, row.last_change, c, true);
	if (r != READ_OK)
		return r;
	bool exact = row.last_change <= c; /* the row is the list at c */
	s->ahead = row.last_change > s->newest ? row.last_change : s->newest;
	if (!by_ring && (!exact || s->newest > c))
		return SCAN_MORE;
	if (s->newest > c)
		r = take_back(s, c);
	if (r == READ_OK && !exact)
		r = newest_until(s, row.last_change, c, &seq);
	if (r != READ_OK)
		return r;
	if (exact) {
		s->known_seq = row.last_change;
		s->known_digest = row.digest;
		memcpy(s->rv, row.rv, sizeof s->rv);
	} else if (!digest_at(s, seq)) {
		return SCAN_MORE;
	}
	count(s, c);
	s->whole = row.whole && (exact || s->sure || s->count > 0);
	s->state = row.state <= SHM_LIST_CLOSED ? (enum shm_list_state)row.state : SHM_LIST_STALE;
	return READ_OK;
}

/* Pages that the chain has got since belong to it as well: behind the last one that was copied, or
 * the first one of a list that had none. */
static int chain_go_on(struct scan *s)
{
	struct shm_page tail;
	struct shm_list row;
	enum read_result r;
	if (s->page_count > 0) {
		r = mapping_page(s->shard, page_of(s, (size_t)(s->page_count - 1) * PLACES), &tail);
		s->next_page = r == READ_OK ? tail.next : 0;
	} else {
		r = mapping_row(s->shard, s->row, s->gen, &row);
		s->next_page = r == READ_OK ? row.first_page : 0;
	}
	return (int)r;
}

static int finish(struct scan *s, uint32_t step)
{
	int r = SCAN_MORE;
	for (int i = 0; r == SCAN_MORE && i < SCAN_SPINS * 2 + SCAN_PATIENCE_MAX; i++) {
		r = chain_go_on(s);
		if (r == READ_OK)
			r = copy_pages(s, step);
		if (r != READ_OK)
			return r;
		r = settle(s, i >= SCAN_SPINS);
		if (r != SCAN_MORE || i < SCAN_SPINS * 2)
			continue;
		struct patience p = {0};
		while (mapping_current(s->shard) && patience_left(&p) &&
		        read_commit(&s->shard->read) < s->ahead)
			;
	}
	return r == SCAN_MORE ? (int)READ_STUCK : r;
}

static int attempt(struct scan *s, uint32_t step)
{
	struct shm_list row;
	s->page_count = 0;
	s->newest = s->ahead = 0;
	s->page_limit = read_pages_max(&s->shard->read);
	s->replayed = read_commit(&s->shard->read); /* c0: before everything else (S3) */
	enum read_result r = mapping_row(s->shard, s->row, s->gen, &row);
	if (r != READ_OK)
		return (int)r;
	if (row.state == SHM_LIST_CLOSED)
		return READ_CLOSED;
	s->state = row.state < SHM_LIST_CLOSED ? (enum shm_list_state)row.state : SHM_LIST_STALE;
	if (!row.whole) { /* nothing is there yet: that is the state at c0 */
		s->position = s->replayed;
		s->digest = s->count = 0;
		s->rv[0] = '\0';
		s->whole = false;
		return READ_OK;
	}
	s->known_seq = row.last_change;
	s->known_digest = row.digest;
	memcpy(s->rv, row.rv, sizeof s->rv);
	s->sure = row.last_change <= s->replayed;
	s->next_page = row.first_page;
	int done = copy_pages(s, step);
	return done == READ_OK ? finish(s, step) : done;
}

/* --- public ---------------------------------------------------------------------------------- */

enum read_result scan_take(struct scan *s, const struct home *home, bool *memory)
{
	*s = (struct scan){.shard = mapping_ref(home->shard), .row = home->row, .gen = home->gen};
	*memory = false;
	int r = SCAN_AGAIN;
	uint32_t step = SCAN_STEP_MAX;
	struct patience p = {0};
	for (int i = 0; r == SCAN_AGAIN && i < SCAN_TRIES; i++) {
		r = attempt(s, step);
		if (step > SCAN_STEP_MIN)
			step /= 2;
		else
			(void)patience_left(&p);
	}
	if (r == SCAN_MEMORY)
		*memory = true;
	return r >= SCAN_MORE ? READ_GONE : (enum read_result)r;
}

bool scan_next(struct scan *s, struct object_guard *g)
{
	uint64_t n = (uint64_t)s->page_count * PLACES;
	while (s->at < n && s->cells[s->at].block == 0)
		s->at++;
	if (s->at >= n)
		return false;
	const struct scan_cell *cell = &s->cells[s->at];
	*g = (struct object_guard){
	        .position = s->position,
	        .slot = cell->seq ? page_of(s, s->at) << 4 | (uint32_t)(s->at % PLACES) : 0,
	        .seq = cell->seq,
	        .block = cell->block,
	};
	s->at++;
	return true;
}

void scan_prefetch(const struct scan *s)
{
	uint64_t n = (uint64_t)s->page_count * PLACES;
	for (uint64_t i = s->at, ahead = 0; i < n && ahead < SCAN_AHEAD; i++) {
		if (s->cells[i].block == 0)
			continue;
		/* The header of the furthest, more of those before: the hardware follows from
		 * there. */
		read_prefetch_block(&s->shard->read, s->cells[i].block, ahead == 0 ? 16 : 2);
		ahead++;
	}
}

void scan_fini(struct scan *s)
{
	mapping_put(&s->shard);
	cells_free(s->cells, s->page_room);
	*s = (struct scan){0};
}
