#include "model/model_index.h"

#include "base/check.h"

#include <stdlib.h>

#define BLOCK_SLOTS 512

struct model_index_block {
	struct model_object **slots; /* own */
	uint32_t count, cap;
};

static int key_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

void model_index_fini(struct model_index *x)
{
	for (size_t b = 0; b < x->block_count; b++) {
		for (uint32_t s = 0; s < x->blocks[b].count; s++)
			free(x->blocks[b].slots[s]);
		free(x->blocks[b].slots);
	}
	free(x->blocks);
	*x = (struct model_index){0};
}

/* The last block whose first key is <= key, or block 0. */
static size_t block_of(const struct model_index *x, struct span key)
{
	size_t lo = 0, hi = x->block_count;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		if (key_cmp(model_object_key(x->blocks[mid].slots[0]), key) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The first slot whose key is >= key. */
static uint32_t slot_of(const struct model_index_block *b, struct span key)
{
	uint32_t lo = 0, hi = b->count;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (key_cmp(model_object_key(b->slots[mid]), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct model_object *at_place(const struct model_index *x, struct model_index_at *at)
{
	while (at->block < x->block_count && at->slot >= x->blocks[at->block].count) {
		at->block++;
		at->slot = 0;
	}
	return at->block < x->block_count ? x->blocks[at->block].slots[at->slot] : NULL;
}

struct model_object *model_index_seek(
        const struct model_index *x, struct span key, struct model_index_at *at)
{
	*at = (struct model_index_at){0};
	if (x->block_count == 0)
		return NULL;
	at->block = block_of(x, key);
	at->slot = slot_of(&x->blocks[at->block], key);
	return at_place(x, at);
}

struct model_object *model_index_next(const struct model_index *x, struct model_index_at *at)
{
	at->slot++;
	return at_place(x, at);
}

size_t model_index_rest(const struct model_index *x, struct model_index_at at)
{
	size_t n = 0;
	for (size_t b = at.block; b < x->block_count; b++)
		n += x->blocks[b].count;
	return n - (n ? at.slot : 0);
}

struct model_object *model_index_nth(const struct model_index *x, size_t n)
{
	CHECK(n < x->count);
	size_t b = 0;
	for (; n >= x->blocks[b].count; b++)
		n -= x->blocks[b].count;
	return x->blocks[b].slots[n];
}

struct model_object **model_index_place(const struct model_index *x, struct prng *random)
{
	return x->block_count == 1 ? &x->blocks[0].slots[prng_below(random, x->count)] : NULL;
}

struct model_object *model_index_find(const struct model_index *x, struct span key)
{
	struct model_index_at at;
	struct model_object *o = model_index_seek(x, key, &at);
	return o && span_eq(model_object_key(o), key) ? o : NULL;
}

static void block_room(struct model_index_block *b)
{
	if (b->count < b->cap)
		return;
	b->cap = b->cap ? b->cap * 2 : 4;
	b->slots = realloc(b->slots, b->cap * sizeof *b->slots);
	CHECK(b->slots);
}

static void blocks_insert(struct model_index *x, size_t at)
{
	if (x->block_count == x->block_cap) {
		x->block_cap = x->block_cap ? x->block_cap * 2 : 1;
		x->blocks = realloc(x->blocks, x->block_cap * sizeof *x->blocks);
		CHECK(x->blocks);
	}
	memmove(x->blocks + at + 1, x->blocks + at, (x->block_count - at) * sizeof *x->blocks);
	x->blocks[at] = (struct model_index_block){0};
	x->block_count++;
}

/* A full block is cut in two; at its end, where a load in key order inserts, an empty one is begun
 * instead so that blocks fill up. */
static struct model_index_at split(struct model_index *x, struct model_index_at at)
{
	blocks_insert(x, at.block + 1);
	struct model_index_block *low = &x->blocks[at.block], *high = low + 1;
	if (at.slot == low->count)
		return (struct model_index_at){at.block + 1, 0};
	uint32_t keep = low->count / 2;
	while (high->cap < low->count - keep)
		high->cap = high->cap ? high->cap * 2 : 4;
	high->slots = malloc(high->cap * sizeof *high->slots);
	CHECK(high->slots);
	high->count = low->count - keep;
	memcpy(high->slots, low->slots + keep, high->count * sizeof *high->slots);
	low->count = keep;
	if (at.slot <= keep)
		return at;
	return (struct model_index_at){at.block + 1, at.slot - keep};
}

struct model_object *model_index_add(struct model_index *x, struct span ns, struct span name)
{
	size_t key_bytes = ns.n + (ns.n ? 1 : 0) + name.n;
	CHECK(key_bytes < UINT16_MAX && name.n > 0);
	struct model_object *o = calloc(1, sizeof *o + key_bytes + 1);
	CHECK(o);
	o->ns_bytes = (uint16_t)ns.n;
	o->key_bytes = (uint16_t)key_bytes;
	if (ns.n) {
		memcpy(o->key, ns.p, ns.n);
		o->key[ns.n] = '/';
	}
	memcpy(o->key + key_bytes - name.n, name.p, name.n);
	struct model_index_at at = {0};
	if (x->block_count == 0) {
		blocks_insert(x, 0);
	} else {
		at.block = block_of(x, model_object_key(o));
		at.slot = slot_of(&x->blocks[at.block], model_object_key(o));
		struct model_index_block *b = &x->blocks[at.block];
		if (at.slot < b->count &&
		        span_eq(model_object_key(b->slots[at.slot]), model_object_key(o))) {
			free(o);
			return b->slots[at.slot];
		}
		if (b->count == BLOCK_SLOTS)
			at = split(x, at);
	}
	struct model_index_block *b = &x->blocks[at.block];
	block_room(b);
	memmove(b->slots + at.slot + 1, b->slots + at.slot,
	        (b->count - at.slot) * sizeof *b->slots);
	b->slots[at.slot] = o;
	b->count++;
	x->count++;
	return o;
}

void model_index_remove(struct model_index *x, struct model_object *o)
{
	struct model_index_at at;
	CHECK(model_index_seek(x, model_object_key(o), &at) == o);
	struct model_index_block *b = &x->blocks[at.block];
	b->count--;
	memmove(b->slots + at.slot, b->slots + at.slot + 1,
	        (b->count - at.slot) * sizeof *b->slots);
	x->count--;
	free(o);
	if (b->count)
		return;
	free(b->slots);
	x->block_count--;
	memmove(x->blocks + at.block, x->blocks + at.block + 1,
	        (x->block_count - at.block) * sizeof *x->blocks);
}
