/* ring_model.cc - Relacy (C11 relaxed memory) model of ring, slots, rows and reuse by head: one
 * writer, a follower of the ring, and a reader of slots.
 *
 * Proved within its bounds, over random executions: whatever R5 (or S2) lets pass is one whole
 * version of the object; the follower misses nothing between two overruns; the chain from a row
 * reaches everything up to commit (S3); a bulk keeps what views hold (S5, S6); what a row says of
 * its next list is not taken for news of the one before (S8).
 *
 * usage: ring_model MUTANT [ITERATIONS]
 *   MUTANT 0: the shipped code; exit 0 when no execution breaks an assertion.
 *   MUTANT n: one access of it spoiled; must be found (exit 1), or the model proves nothing.
 *
 * Memory: words of shared memory are cells of 4 bytes, each a Relacy atomic. A 64-bit access is two
 * cell accesses, which is weaker than the machine; values above 32 bits do not occur. */
#include <cstring>

#include <relacy/relacy.hpp>

#include "model_main.h"
#include "ring_words.h"

extern "C" {
#define _Static_assert static_assert
#include "shm/read.h"
#include "shm/write.h"
#include "store/retire.h"
}

enum mutant {
	NONE,
	NO_W2_FENCE,         /* head may be seen after the reuse it allows */
	W1_AFTER_REUSE,      /* head is stored when it is too late */
	HEAD_ONE_LESS,       /* one change too many is promised */
	EARLY_REUSE,         /* a block goes one change before its entry */
	SLOT_NO_FENCE,       /* fields may be seen before the odd ver */
	SLOT_EVEN_RELAXED,   /* the even ver may be seen before the fields */
	SLOT_NEVER_ODD,      /* nobody is warned */
	COMMIT_RELAXED,      /* commit may be seen before what it covers */
	COMMIT_BEFORE_ENTRY, /* commit is stored first */
	PAYLOAD_AFTER_SLOT,  /* the slot names a block that is not written yet */
	ROW_AFTER_COMMIT,    /* last_change comes after the commit that covers it (S3) */
	NO_R4_FENCE,         /* head may be read before the payload */
	R5_ONE_MORE,         /* a change that has just been given up is accepted */
	R5_ASKS_COMMIT,      /* commit says nothing about reuse */
	R2_NO_FENCE,         /* ver is read again before the fields are */
	R2_NOT_ACQUIRE,      /* fields may be read before the first ver */
	R2_NO_SECOND_LOOK,   /* ver is not compared */
	R1_RELAXED,          /* commit is read without what it covers */
	BULK_RETIRES_EARLY,  /* blocks of a bulk go with the change before */
	HALF_A_BATCH,        /* commit is stored in the middle of one */
	ROW_START_RELAXED,   /* another list's last_change may be seen before its gen */
	LAST_RELAXED,        /* the same, by the reader */
	MUTANTS
};
static int mutant;

/* Blocks are few, and the one that was freed last is taken first: reuse follows at once. */
enum { RING = 4, SLOTS = 2, WORDS = 2, BLOCKS = 8, CHANGES = 12 };

/* What the shipped code sees as memory. Only the writer reads it plainly; readers get the cells. */
struct memory {
	struct shm_header header;
	struct shm_list row;
	struct shm_entry ring[RING];
	struct shm_slot slot[SHM_PAGE_SLOTS];
	uint64_t block[BLOCKS][WORDS];
};
enum {
	HOT = 7, /* commit, head, last_change, gen */
	CELLS_RING = HOT,
	CELLS_SLOT = CELLS_RING + RING * 16,
	CELLS_BLOCK = CELLS_SLOT + SLOTS * 16,
	CELLS = CELLS_BLOCK + BLOCKS * WORDS * 2,
};

struct ring_model;
static ring_model *model; /* of the execution under way */

struct ring_model : rl::test_suite<ring_model, 3> {
	rl::atomic<uint32_t> cell[CELLS];
	memory m;
	struct write w;
	struct retire retire;
	struct read_shard shard[2];
	uint64_t free_block[BLOCKS], free_count;
	uint64_t live[SLOTS], deferred_head, retained;

	/* Address -> cell, -1: not shared (constant after the start). */
	int cell_of(const void *p) const
	{
		const char *at = (const char *)p;
		auto in = [&](const void *from, size_t bytes, int first) {
			size_t offset = (size_t)(at - (const char *)from);
			return at >= (const char *)from && offset < bytes
			               ? first + (int)(offset / 4)
			               : -1;
		};
		int c = in(&m.header.commit, 8, 0);
		c = c >= 0 ? c : in(&m.header.head, 8, 2);
		c = c >= 0 ? c : in(&m.row.last_change, 8, 4);
		c = c >= 0 ? c : in(&m.row.gen, 4, 6);
		c = c >= 0 ? c : in(m.ring, sizeof m.ring, CELLS_RING);
		c = c >= 0 ? c : in(&m.slot[1], SLOTS * 64, CELLS_SLOT);
		return c >= 0 ? c : in(m.block, sizeof m.block, CELLS_BLOCK);
	}

	void before()
	{
		model = this;
		memset(&m, 0, sizeof m);
		for (int i = 0; i < CELLS; i++)
			cell[i].store(0, rl::memory_order_relaxed);
		m.header.slot_segments[0] = 2;
		model_store(&m.row.gen, 4, 1, __ATOMIC_RELAXED, "", "");
		write_init(&w, &m.header, m.ring, RING);
		memset(&retire, 0, sizeof retire);
		for (int i = 0; i < 2; i++) {
			struct read_shard *s = &shard[i];
			memset(s, 0, offsetof(struct read_shard, maps));
			memset(s->maps, 0, 4 * sizeof s->maps[0]);
			s->header = &m.header;
			s->ring = (const uint8_t *)m.ring;
			s->ring_mask = RING - 1;
			s->slot_stride = s->entry_stride = 64;
			s->lists_max = 1;
			s->lists_offset = offsetof(memory, row) - offsetof(memory, header);
			s->list_stride = sizeof m.row;
			s->page_bytes = 1024;
			s->maps[2].at = (const uint8_t *)m.slot;
			s->maps[2].bytes = sizeof m.slot;
		}
		free_count = deferred_head = 0;
		for (uint64_t b = 1; b < BLOCKS; b++)
			free_block[free_count++] = b;
		live[0] = live[1] = 0;
	}
	void after() { retire_fini(&retire); }

	/* --- writer: what store.c and store_change.c do, with blocks of two words
	 * ------------------- */

	uint64_t tag(uint64_t seq, int slot, int word) { return seq * 16 + slot * 4 + word + 1; }

	void room(uint64_t n)
	{
		uint64_t head = write_head_for(&w, n);
		uint64_t bytes = retire_head_for(&retire, retained, w.commit);
		head = head > bytes ? head : bytes;
		write_room(&w, head);
		retire_pass(&retire, w.head + (mutant == EARLY_REUSE));
		while (struct retire_item *i = retire_first(&retire)) {
			free_block[free_count++] = i->ref;
			retire_pop(&retire);
		}
	}
	uint64_t take(uint64_t seq, int slot)
	{
		RL_ASSERT(free_count > 0);
		uint64_t b = free_block[--free_count];
		if (mutant != PAYLOAD_AFTER_SLOT)
			fill(b, seq, slot);
		return b;
	}
	void fill(uint64_t b, uint64_t seq, int slot)
	{
		uint64_t words[WORDS];
		for (int i = 0; i < WORDS; i++)
			words[i] = tag(seq, slot, i);
		write_bytes(m.block[b], words, sizeof words);
	}
	void put(int slot, uint64_t b, uint64_t seq)
	{
		struct shm_slot v;
		memset(&v, 0, sizeof v);
		v.state = SHM_SLOT_LIVE;
		v.seq = seq;
		v.block = b;
		write_slot(&m.slot[1 + slot], &v);
		if (mutant == PAYLOAD_AFTER_SLOT)
			fill(b, seq, slot);
	}
	uint64_t entry(enum shm_op op, int slot, uint64_t b, uint64_t old)
	{
		struct shm_entry e;
		memset(&e, 0, sizeof e);
		e.op = (uint8_t)op;
		e.slot = (uint32_t)slot;
		e.new_block = b;
		e.old_block = old;
		e.prev = w.next - 1;
		return write_entry(&w, &e);
	}
	void retire_old(uint64_t seq, uint64_t b)
	{
		retire_reserve(&retire, 1);
		if (b)
			retire_push(&retire, seq, b, 1);
	}
	void change(int slot)
	{
		uint64_t seq = w.next, b = take(seq, slot), old = live[slot];
		put(slot, b, seq);
		if (mutant == COMMIT_BEFORE_ENTRY)
			model_store(&m.header.commit, 8, seq, __ATOMIC_RELEASE, "", "");
		entry(SHM_OP_MODIFIED, slot, b, old);
		retire_old(seq, old);
		live[slot] = b;
		if (mutant != ROW_AFTER_COMMIT)
			model_row(&m.row, seq);
	}
	/* S6: every slot anew under one seq, no entry names the old blocks. */
	void bulk()
	{
		uint64_t seq = w.next;
		for (int slot = 0; slot < SLOTS; slot++) {
			uint64_t b = take(seq, slot), old = live[slot];
			put(slot, b, seq);
			retire_old(mutant == BULK_RETIRES_EARLY ? seq - 1 : seq, old);
			live[slot] = b;
		}
		entry(SHM_OP_RESET, 0, 0, 0);
		entry(SHM_OP_SYNCED, 0, 0, 0);
		model_row(&m.row, seq + 1);
	}
	void writer()
	{
		retained = rl::rand(3); /* blocks: head moves by bytes, or by the ring */
		for (int n = 0; w.next <= CHANGES; n++) {
			if (n == 3) {
				room(2);
				bulk();
			} else if (n == 2) { /* a batch: two changes, one commit */
				room(2);
				change(0);
				if (mutant == HALF_A_BATCH)
					write_commit(&w);
				change(1);
			} else {
				room(1);
				change(n & 1);
			}
			uint64_t last = w.next - 1;
			write_commit(&w);
			if (mutant == ROW_AFTER_COMMIT)
				model_row(&m.row, last);
			if (mutant == W1_AFTER_REUSE && deferred_head)
				model_store(
				        &m.header.head, 8, deferred_head, __ATOMIC_RELAXED, "", "");
		}
		/* S8: the list was closed by the last change, and its row is another one's. */
		write_room(&w, w.commit + 1);
		write_row_start(&m.row, 2, 0);
	}

	/* --- readers
	 * ------------------------------------------------------------------------------ */

	/* A reader may lose its core for as long as several changes take. */
	void stall()
	{
		for (unsigned n = rl::rand(3) * 70; n > 0; n--)
			rl::yield(1, $);
	}
	void copy(uint64_t b, uint64_t *words)
	{
		RL_ASSERT(b < BLOCKS); /* the range check of R3 is read.c's, and not modelled */
		read_bytes(words, m.block[b], WORDS * 8);
	}
	bool intact(const struct read_shard *s, uint64_t seq)
	{
		if (mutant == R5_ASKS_COMMIT) {
			model_fence(__ATOMIC_ACQUIRE, "");
			return model_commit(s) < seq + RING;
		}
		return model_intact(s, seq + (mutant == R5_ONE_MORE));
	}
	/* S8: a row that is another list's says so, or what it said as ours. */
	uint64_t last_or_closed(struct read_shard *s)
	{
		uint64_t last = 0;
		enum read_result r = read_last(s, 0, 1, &last);
		RL_ASSERT(r == READ_OK || r == READ_CLOSED);
		return r == READ_OK ? last : UINT64_MAX;
	}
	void follower(struct read_shard *s)
	{
		uint64_t p = 0;
		for (int n = 0; n < 9; n++) {
			uint64_t commit = model_commit(s), words[WORDS], old[WORDS];
			RL_ASSERT(last_or_closed(s) >= commit); /* S3 */
			RL_ASSERT(
			        commit != 3 && commit != 5); /* inside the batch, inside the bulk */
			if (p >= commit)
				continue;
			struct shm_entry e;
			enum read_result r = read_entry(s, p + 1, &e);
			RL_ASSERT(r == READ_OK || r == READ_GONE);
			if (r != READ_OK) { /* overrun: only if it really has left */
				model_fence(__ATOMIC_ACQUIRE, "");
				RL_ASSERT(model_head(s) > p + 1);
				p = commit;
				continue;
			}
			p++;
			stall();
			RL_ASSERT(e.seq == p && e.prev == p - 1);
			if (e.new_block)
				copy(e.new_block, words);
			if (e.old_block)
				copy(e.old_block, old);
			if (!intact(s, p))
				continue;
			for (int i = 0; i < WORDS && e.new_block; i++)
				RL_ASSERT(words[i] == tag(p, (int)e.slot, i));
			for (int i = 0; i < WORDS && e.old_block; i++)
				RL_ASSERT(old[i] % 16 == tag(0, (int)e.slot, i) &&
				          old[i] < tag(p, 0, 0) && old[i] / 16 == old[0] / 16);
		}
	}
	/* A small view: both slots at one position, then what they named, then the check. */
	void viewer(struct read_shard *s)
	{
		for (int n = 0; n < 5; n++) {
			struct shm_slot slot[SLOTS], again;
			uint64_t words[SLOTS][WORDS], commit = model_commit(s);
			bool stuck = false;
			for (int i = 0; i < SLOTS; i++)
				stuck |= read_slot(s, 1 + (uint32_t)i, &slot[i]) != READ_OK;
			if (stuck)
				continue;
			stall();
			for (int i = 0; i < SLOTS; i++)
				if (slot[i].block)
					copy(slot[i].block, words[i]);
			bool whole = intact(s, commit + 1);
			for (int i = 0; i < SLOTS; i++) {
				if (!slot[i].block)
					continue;
				bool same = whole;
				if (!same) { /* S2: the slot is still the one seen */
					model_fence(__ATOMIC_ACQUIRE, "");
					same = read_slot(s, 1 + (uint32_t)i, &again) == READ_OK &&
					       again.seq == slot[i].seq;
				}
				for (int j = 0; j < WORDS && same; j++)
					RL_ASSERT(words[i][j] == tag(slot[i].seq, i, j));
			}
		}
		/* Who has looked at the row never before, and looks just as it becomes another
		 * one's. */
		while (model_commit(s) < CHANGES)
			rl::yield(1, $);
		for (int n = 0; n < 3; n++)
			RL_ASSERT(last_or_closed(s) >= CHANGES);
	}
	void thread(unsigned i)
	{
		if (i == 0)
			writer();
		else if (i == 1)
			follower(&shard[0]);
		else
			viewer(&shard[1]);
	}
};

/* --- the seam: accesses of the shipped code, spoiled where the mutant says so
 * ---------------------- */

static rl::memory_order order_of(int order)
{
	switch (order) {
	case __ATOMIC_ACQUIRE: return rl::mo_acquire;
	case __ATOMIC_RELEASE: return rl::mo_release;
	default: return rl::mo_relaxed;
	}
}

static bool in(const char *function, const char *name)
{
	return strcmp(function, name) == 0;
}
/* macros leave parentheses around an expression */
static bool of(const char *what, const char *name)
{
	return strncmp(what, "(", 1) == 0 && strncmp(what + 1, name, strlen(name)) == 0 &&
	       in(what + 1 + strlen(name), ")");
}

uint64_t model_load(const void *at, size_t bytes, int order, const char *function, const char *what)
{
	static struct {
		uint32_t ver;
	} first; /* of the seqlock read under way; executions are fibers of one thread */
	int c = model->cell_of(at);
	uint64_t v = 0;
	if (c < 0) {
		memcpy(&v, at, bytes);
		return v;
	}
	if ((mutant == R2_NOT_ACQUIRE && in(function, "read_locked")) ||
	        (mutant == R1_RELAXED && in(function, "read_commit")) ||
	        (mutant == LAST_RELAXED && in(function, "read_last")))
		order = __ATOMIC_RELAXED;
	if (mutant == R2_NO_SECOND_LOOK && in(function, "read_locked") && of(what, "ver") &&
	        order == __ATOMIC_RELAXED)
		return first.ver;
	v = model->cell[c].load(order_of(order), $);
	if (bytes == 8)
		v |= (uint64_t)model->cell[c + 1].load(order_of(order), $) << 32;
	else if (bytes < 4)
		v = v >> (8 * ((uintptr_t)at & 3)) & ((1ull << (8 * bytes)) - 1);
	if (of(what, "ver") && order == __ATOMIC_ACQUIRE)
		first.ver = (uint32_t)v;
	return v;
}

void model_store(
        void *at, size_t bytes, uint64_t v, int order, const char *function, const char *what)
{
	int c = model->cell_of(at);
	if (mutant == W1_AFTER_REUSE && in(function, "write_room")) {
		model->deferred_head = v;
		return;
	}
	if (mutant == HEAD_ONE_LESS && in(function, "write_room") && v > 1)
		v--;
	if (mutant == SLOT_NEVER_ODD && in(function, "write_slot") && of(what, "&slot->ver") &&
	        order == __ATOMIC_RELAXED)
		return;
	if ((mutant == SLOT_EVEN_RELAXED && in(function, "write_slot")) ||
	        (mutant == COMMIT_RELAXED && in(function, "write_commit")) ||
	        (mutant == ROW_START_RELAXED && in(function, "write_row_start")))
		order = __ATOMIC_RELAXED;
	memcpy(at, &v, bytes); /* what the writer itself reads */
	if (c < 0)
		return;
	uint32_t words[2];
	memcpy(words, (char *)((uintptr_t)at & ~(uintptr_t)3), bytes == 8 ? 8 : 4);
	if (bytes == 8)
		model->cell[c + 1].store(words[1], order_of(order), $);
	model->cell[c].store(words[0], order_of(order), $);
}

void model_fence(int order, const char *function)
{
	if ((mutant == NO_W2_FENCE && in(function, "write_room")) ||
	        (mutant == SLOT_NO_FENCE && in(function, "write_slot")) ||
	        (mutant == NO_R4_FENCE && in(function, "read_intact")) ||
	        (mutant == R2_NO_FENCE && in(function, "read_locked")))
		return;
	rl::atomic_thread_fence(order_of(order), $);
}

void model_pause(void)
{
	rl::yield(1, $);
}

/* Payload: relaxed words where it is shared, plain bytes where it is not. */
void *model_copy(void *to, const void *from, size_t n)
{
	bool shared_to = model->cell_of(to) >= 0, shared_from = model->cell_of(from) >= 0;
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v;
		if (shared_from)
			v = model_load((const char *)from + i, 8, __ATOMIC_RELAXED, "", "");
		else
			memcpy(&v, (const char *)from + i, 8);
		if (shared_to)
			model_store((char *)to + i, 8, v, __ATOMIC_RELAXED, "", "");
		else
			memcpy((char *)to + i, &v, 8);
	}
	return to;
}

int main(int argc, char **argv)
{
	return model_main<ring_model>("ring_model", MUTANTS, &mutant, argc, argv);
}
