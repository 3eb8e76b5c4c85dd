#include "shm/write.h"

#include <string.h>

#include "base/check.h"

void write_init(
        struct write *w, struct shm_header *header, struct shm_entry *ring, uint32_t entries)
{
	CHECK(entries >= 2 && (entries & (entries - 1)) == 0);
	*w = (struct write){
	        .header = header, .ring = ring, .mask = entries - 1, .next = 1, .head = 1};
	WRITE_WORD(&header->head, 1);
	WRITE_RELEASE(&header->commit, 0);
}

uint64_t write_head_for(const struct write *w, uint64_t n)
{
	uint64_t entries = w->mask + 1;
	CHECK(n <= entries);
	/* The last of the n changes is next + n - 1; it takes the place of that minus entries, so
	 * the oldest that can stay is one above. */
	return w->next + n > entries + 1 ? w->next + n - entries : 1;
}

void write_room(struct write *w, uint64_t head)
{
	if (head > w->head) {
		CHECK(head <= w->commit + 1); /* S5 */
		w->head = head;
		WRITE_WORD(&w->header->head, head); /* W1; pairs with R5 */
	}
	WRITE_FENCE(); /* W2; pairs with R4: who sees a byte of a reuse sees the head that allowed
	                  it */
}

#ifdef WRITE_TSAN
void write_bytes(void *dst, const void *src, size_t n)
{
	char *d = dst;
	const char *s = src;
	for (; n > 0 && ((uintptr_t)d & 7) != 0; d++, s++, n--)
		WRITE_WORD(d, *s);
	for (; n >= 8; d += 8, s += 8, n -= 8) {
		uint64_t word;
		memcpy(&word, s, 8);
		WRITE_WORD((uint64_t *)(void *)d, word);
	}
	for (; n > 0; d++, s++, n--)
		WRITE_WORD(d, *s);
}
#else
void write_bytes(void *dst, const void *src, size_t n)
{
	if (n > 0)
		memcpy(dst, src, n);
}
#endif

void write_slot(struct shm_slot *slot, const struct shm_slot *v)
{
	uint32_t ver = slot->ver;
	WRITE_WORD(&slot->ver, ver + 1); /* odd; pairs with R2 */
	WRITE_FENCE();
	WRITE_WORD(&slot->state, v->state);
	WRITE_WORD(&slot->key_hash, v->key_hash);
	WRITE_WORD(&slot->seq, v->seq);
	WRITE_WORD(&slot->block, v->block);
	WRITE_WORD(&slot->object_hash, v->object_hash);
	WRITE_WORD(&slot->rv, v->rv);
	WRITE_WORD(&slot->list, v->list);
	WRITE_WORD(&slot->json_bytes, v->json_bytes);
	WRITE_WORD(&slot->version_at, v->version_at);
	WRITE_WORD(&slot->cut_at, v->cut_at);
	WRITE_RELEASE(&slot->ver, ver + 2); /* even; pairs with R2 */
}

uint64_t write_entry(struct write *w, const struct shm_entry *v)
{
	uint64_t seq = w->next++;
	struct shm_entry *e = &w->ring[seq & w->mask];
	CHECK(seq < w->head + w->mask + 1); /* S1: what stands here has been given up */
	WRITE_WORD(&e->list, v->list);
	WRITE_WORD(&e->list_gen, v->list_gen);
	WRITE_WORD(&e->op, v->op);
	WRITE_WORD(&e->flags, v->flags);
	WRITE_WORD(&e->slot, v->slot);
	WRITE_WORD(&e->aux, v->aux);
	WRITE_WORD(&e->new_block, v->new_block);
	WRITE_WORD(&e->old_block, v->old_block);
	WRITE_WORD(&e->prev, v->prev);
	WRITE_WORD(&e->digest, v->digest);
	WRITE_WORD(&e->rv, v->rv);
	WRITE_RELEASE(&e->seq, seq); /* W5; pairs with the follower's load of entry.seq */
	return seq;
}

void write_entry_digest(struct write *w, uint64_t seq, uint64_t digest)
{
	struct shm_entry *e = &w->ring[seq & w->mask];
	CHECK(e->seq == seq && seq > w->commit);
	WRITE_WORD(&e->digest, digest);
}

void write_row_start(struct shm_list *row, uint32_t gen, uint64_t identity)
{
	write_row_begin(row);
	WRITE_WORD(&row->gen, gen);
	WRITE_WORD(&row->state, SHM_LIST_IDLE);
	WRITE_WORD(&row->whole, 0);
	/* Pairs with read_last, which looks at these two words alone: who sees that nothing has
	 * changed sees that it is another list. */
	WRITE_RELEASE(&row->last_change, 0);
	for (uint64_t *at = &row->digest; at < (uint64_t *)(void *)(row + 1); at++)
		WRITE_WORD(at, 0);
	WRITE_WORD(&row->identity, identity);
	write_row_end(row);
}

void write_row_text(char *field, size_t bytes, const char *text, size_t n)
{
	if (n > bytes - 1)
		n = bytes - 1;
	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t word = 0;
		if (at > n && field[at] == 0)
			break; /* zero from here on: every text before this one left it so */
		if (at < n)
			memcpy(&word, text + at, n - at < 8 ? n - at : 8);
		WRITE_WORD((uint64_t *)(void *)(field + at), word);
	}
}

void write_commit(struct write *w)
{
	if (w->commit == w->next - 1)
		return;
	w->commit = w->next - 1;
	w->unsignalled = true;
	WRITE_RELEASE(&w->header->commit, w->commit); /* W6; pairs with R1 */
}

bool write_signal(struct write *w)
{
	if (!w->unsignalled)
		return false;
	w->unsignalled = false;
	WRITE_RELEASE(&w->header->futex, w->header->futex + 1);
	return true;
}

void write_heartbeat(struct write *w, uint64_t now_ns)
{
	WRITE_WORD(&w->header->heartbeat_ns, now_ns);
}

void write_stop(struct write *w)
{
	WRITE_RELEASE(&w->header->state, SHM_SHARD_STOPPED);
}
