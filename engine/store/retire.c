#include "store/retire.h"

#include <stdlib.h>

#include "base/check.h"

struct retire_chunk {
	struct retire_chunk *next;
	struct retire_item item[RETIRE_CHUNK];
};

void retire_fini(struct retire *r)
{
	struct retire_chunk *lists[] = {r->front, r->spare};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (struct retire_chunk *c = lists[i], *next; c; c = next) {
			next = c->next;
			free(c);
		}
	}
	*r = (struct retire){0};
}

bool retire_reserve(struct retire *r, uint64_t n)
{
	uint64_t room = r->back ? RETIRE_CHUNK - r->back_at : 0;
	while (room + (uint64_t)r->spare_count * RETIRE_CHUNK < n) {
		struct retire_chunk *c = malloc(sizeof *c);
		if (!c)
			return false;
		c->next = r->spare;
		r->spare = c;
		r->spare_count++;
	}
	return true;
}

/* The fields come in registers: read back from where the caller has just put them together, two at
 * a time, they would wait until all that was stored before them, a cold block, has left the core.
 */
struct retire_item *retire_push(struct retire *r, uint64_t seq, uint64_t ref, uint64_t bytes)
{
	if (!r->back || r->back_at == RETIRE_CHUNK) {
		struct retire_chunk *c = r->spare;
		CHECK(c != NULL); /* retire_reserve came before */
		r->spare = c->next;
		r->spare_count--;
		c->next = NULL;
		if (r->back)
			r->back->next = c;
		else
			r->front = r->mark_chunk = c;
		r->back = c;
		r->back_at = 0;
	}
	CHECK_SLOW(!r->back_at || r->back->item[r->back_at - 1].seq <= seq);
	struct retire_item *item = &r->back->item[r->back_at++];
	*item = (struct retire_item){.seq = seq, .ref = ref, .bytes = bytes, .kind = RETIRE_BLOCK};
	r->bytes += bytes;
	return item;
}

/* A cursor at the end of a chunk stands at the start of the next one, if there is one. */
static bool cursor_normal(const struct retire *r, struct retire_chunk **c, uint32_t *at)
{
	if (*c && *at == RETIRE_CHUNK && (*c)->next) {
		*c = (*c)->next;
		*at = 0;
	}
	return *c && !(*c == r->back && *at == r->back_at) && *at < RETIRE_CHUNK;
}

void retire_pass(struct retire *r, uint64_t head)
{
	while (cursor_normal(r, &r->mark_chunk, &r->mark_at)) {
		const struct retire_item *item = &r->mark_chunk->item[r->mark_at];
		if (item->seq >= head)
			return;
		r->bytes -= item->bytes;
		r->mark_at++;
	}
}

uint64_t retire_head_for(const struct retire *r, uint64_t bytes_max, uint64_t last)
{
	struct retire_chunk *c = r->mark_chunk;
	uint32_t at = r->mark_at;
	uint64_t left = r->bytes, head = 0;
	while (left > bytes_max && cursor_normal(r, &c, &at)) {
		if (c->item[at].seq > last)
			break;
		head = c->item[at].seq + 1;
		left -= c->item[at++].bytes;
	}
	return head;
}

/* The first chunk is used up and the mark has left it. */
static void front_recycle(struct retire *r)
{
	struct retire_chunk *done = r->front;
	r->front = done->next;
	r->front_at = 0;
	if (r->spare_count >= RETIRE_CHUNKS_KEPT) {
		free(done);
		return;
	}
	done->next = r->spare;
	r->spare = done;
	r->spare_count++;
}

struct retire_item *retire_first(struct retire *r)
{
	if (r->front_at == RETIRE_CHUNK && r->front != r->mark_chunk)
		front_recycle(r);
	if (r->front == r->mark_chunk && r->front_at == r->mark_at)
		return NULL;
	return &r->front->item[r->front_at];
}

void retire_pop(struct retire *r)
{
	CHECK(retire_first(r) != NULL);
	r->front_at++;
}

struct retire_item *retire_ahead(struct retire *r)
{
	enum { AHEAD = 2 };
	uint32_t at = r->front_at + AHEAD, end = r->front == r->back ? r->back_at : RETIRE_CHUNK;
	return r->front && at < end ? &r->front->item[at] : NULL;
}
