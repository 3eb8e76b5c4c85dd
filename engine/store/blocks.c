#include "store/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fetch.h"

#define RUN_NONE UINT32_MAX

enum { SEGMENT_TAIL = 4096 }; /* never used: SHM_SLACK readable bytes behind the last block */
_Static_assert((int)SHM_SLACK <= (int)SEGMENT_TAIL, "slack fits the tail");

/* --- classes ------------------------------------------------------------------------------------
 * A block of u units of 64 bytes: up to 32 units the class is u. Above, with 2^b < u <= 2^(b+1),
 * the 32 classes of that doubling are 2^b + k * 2^(b-5), k = 1..32. */
static uint32_t class_of(uint64_t n)
{
	uint32_t u = (uint32_t)((n + BLOCKS_ALIGN - 1) / BLOCKS_ALIGN);
	if (u <= 32)
		return u < 2 ? 2
		             : u; /* 128 bytes at least: BLOCKS_RUN_MAX of them fill a granule */
	uint32_t b = 31 - (uint32_t)__builtin_clz(u - 1);
	return 32 * (b - 4) + ((u - 1 - (1u << b)) >> (b - 5)) + 1;
}

static uint32_t class_bytes(uint32_t class)
{
	if (class <= 32)
		return class * BLOCKS_ALIGN;
	uint32_t b = 4 + (class - 1) / 32, k = (class - 1) % 32 + 1;
	return ((1u << b) + (k << (b - 5))) * BLOCKS_ALIGN;
}

/* The shortest run whose tail is below 1/64 of it, else the one with the smallest tail. */
static void class_init(struct blocks_class *c, uint32_t class, uint32_t granules_max)
{
	uint64_t best = UINT64_MAX;
	*c = (struct blocks_class){.bytes = class_bytes(class), .run = RUN_NONE};
	c->inverse = (uint32_t)(((1ull << 32) + c->bytes - 1) / c->bytes);
	for (uint32_t g = 1; g <= granules_max; g++) {
		uint32_t bytes = g * BLOCKS_GRANULE, n = bytes / c->bytes;
		if (n == 0)
			continue;
		if (n > BLOCKS_RUN_MAX)
			break;
		uint64_t tail = ((uint64_t)(bytes - n * c->bytes) << 20) / bytes;
		if (tail >= best)
			continue;
		best = tail;
		c->granules = (uint16_t)g;
		c->per_run = (uint16_t)n;
		if (tail < (1u << 20) / 64)
			break;
	}
}

void blocks_init(struct blocks *b, struct shard *shard, uint64_t segment_bytes)
{
	CHECK(segment_bytes >= BLOCKS_GRANULE && segment_bytes % BLOCKS_GRANULE == 0);
	CHECK(segment_bytes / BLOCKS_GRANULE <= UINT16_MAX); /* run and run_of */
	*b = (struct blocks){.shard = shard,
	        .segment_bytes = segment_bytes,
	        .segment_granules = (uint32_t)(segment_bytes / BLOCKS_GRANULE)};
	uint32_t granules = b->segment_granules;
	if (granules > BLOCKS_RUN_GRANULES)
		granules = BLOCKS_RUN_GRANULES;
	for (uint32_t i = 2; i < BLOCKS_CLASSES; i++)
		class_init(&b->classes[i], i, granules);
}

static void segment_forget(struct blocks_segment *s)
{
	free(s->free);
	free(s->run_of);
	free(s->run);
}

void blocks_fini(struct blocks *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		segment_forget(&b->segments[i]);
	free(b->segments);
	b->segments = NULL;
	b->count = 0;
}

static uint32_t large_granules(uint64_t n)
{
	return (uint32_t)((n + BLOCKS_GRANULE - 1) / BLOCKS_GRANULE);
}

uint64_t blocks_round(const struct blocks *b, uint64_t n)
{
	if (n > b->segment_bytes)
		return 0;
	if (n <= BLOCKS_SMALL_MAX && b->classes[class_of(n)].per_run > 0)
		return b->classes[class_of(n)].bytes;
	return (uint64_t)large_granules(n) * BLOCKS_GRANULE;
}

/* --- granules ------------------------------------------------------------------------------- */

static bool segments_grow(struct blocks *b)
{
	if (b->count < b->capacity)
		return true;
	uint32_t capacity = b->capacity ? b->capacity * 2 : 16;
	struct blocks_segment *more = realloc(b->segments, capacity * sizeof *more);
	if (!more)
		return false;
	b->segments = more;
	b->capacity = capacity;
	return true;
}

static err_t segment_add(struct blocks *b, struct errmsg *msg)
{
	uint32_t n = b->segment_granules, words = (n + 63) / 64;
	struct blocks_segment s = {.free_count = n, .longest = n};
	if (!segments_grow(b))
		return errmsg_set(msg, ERR_NO_MEMORY, "table of block segments");
	s.free = calloc(words, sizeof *s.free);
	s.run_of = calloc(n, sizeof *s.run_of);
	s.run = calloc(n, sizeof *s.run);
	err_t e = ERR_NO_MEMORY;
	if (!s.free || !s.run_of || !s.run)
		errmsg_set(msg, e, "maps of a block segment");
	else
		e = shard_add(
		        b->shard, SHM_BLOCKS, b->segment_bytes + SEGMENT_TAIL, &s.number, msg);
	if (e != ERR_OK) {
		segment_forget(&s);
		return e;
	}
	for (uint32_t i = 0; i < n; i++)
		s.free[i / 64] |= 1ull << (i % 64);
	b->segments[b->count++] = s;
	return ERR_OK;
}

static bool granule_is_free(const struct blocks_segment *s, uint32_t i)
{
	return s->free[i / 64] >> (i % 64) & 1;
}

/* First fit; true if n free granules stand in a row, from *at on. */
static bool granules_find(const struct blocks_segment *s, uint32_t total, uint32_t n, uint32_t *at)
{
	uint32_t run = 0;
	for (uint32_t i = 0; i < total; i++) {
		if (i % 64 == 0 && s->free[i / 64] == 0) { /* a full word: on to the next */
			run = 0;
			i += 63;
			continue;
		}
		run = granule_is_free(s, i) ? run + 1 : 0;
		if (run == n) {
			*at = i + 1 - n;
			return true;
		}
	}
	return false;
}

static void granules_mark(struct blocks_segment *s, uint32_t at, uint32_t n, bool is_free)
{
	for (uint32_t i = at; i < at + n; i++) {
		CHECK(granule_is_free(s, i) != is_free);
		s->free[i / 64] ^= 1ull << (i % 64);
		s->run_of[i] = (uint16_t)at;
	}
	s->free_count = is_free ? s->free_count + n : s->free_count - n;
	if (is_free || s->longest > s->free_count)
		s->longest = s->free_count;
}

/* A run of n granules anywhere, in the lowest segment that has one; ordinal << 16 | granule. */
static err_t run_take(struct blocks *b, uint32_t n, uint32_t *id, struct errmsg *msg)
{
	uint32_t i, at = 0;
	while (b->first < b->count && b->segments[b->first].free_count == 0)
		b->first++;
	for (i = b->first; i < b->count; i++) {
		struct blocks_segment *s = &b->segments[i];
		if (s->longest < n)
			continue;
		if (granules_find(s, b->segment_granules, n, &at))
			break;
		s->longest = n - 1;
	}
	err_t e = i == b->count ? segment_add(b, msg) : ERR_OK;
	if (e != ERR_OK)
		return e;
	e = shard_use(b->shard, b->segments[i].number, i == 0 ? BLOCKS_LEAN : 0,
	        (uint64_t)(at + n) * BLOCKS_GRANULE, msg);
	if (e != ERR_OK)
		return e;
	granules_mark(&b->segments[i], at, n, false);
	b->segments[i].run[at] = (struct blocks_run){.granules = (uint16_t)n};
	*id = i << 16 | at;
	return ERR_OK;
}

static struct blocks_run *run_at(const struct blocks *b, uint32_t id)
{
	return &b->segments[id >> 16].run[id & 0xffff];
}

static void run_give(struct blocks *b, uint32_t id)
{
	uint32_t ordinal = id >> 16;
	granules_mark(&b->segments[ordinal], id & 0xffff, run_at(b, id)->granules, true);
	if (ordinal < b->first)
		b->first = ordinal;
}

/* --- runs of one class ---------------------------------------------------------------------- */

static void run_link(struct blocks *b, uint32_t id)
{
	struct blocks_run *r = run_at(b, id);
	struct blocks_class *c = &b->classes[r->class];
	r->next = c->run;
	r->prev = RUN_NONE;
	if (c->run != RUN_NONE)
		run_at(b, c->run)->prev = id;
	c->run = id;
}

static void run_unlink(struct blocks *b, uint32_t id)
{
	struct blocks_run *r = run_at(b, id);
	if (r->prev == RUN_NONE)
		b->classes[r->class].run = r->next;
	else
		run_at(b, r->prev)->next = r->next;
	if (r->next != RUN_NONE)
		run_at(b, r->next)->prev = r->prev;
}

static err_t class_refill(struct blocks *b, uint32_t class, struct errmsg *msg)
{
	struct blocks_class *c = &b->classes[class];
	uint32_t id;
	err_t e = run_take(b, c->granules, &id, msg);
	if (e != ERR_OK)
		return e;
	struct blocks_run *r = run_at(b, id);
	r->class = (uint16_t) class;
	r->free_count = c->per_run;
	for (uint32_t i = 0; i < c->per_run; i++)
		r->free[i / 64] |= 1ull << (i % 64);
	run_link(b, id);
	return ERR_OK;
}

static uint64_t ref_of(const struct blocks *b, uint32_t id, uint64_t offset)
{
	uint64_t number = b->segments[id >> 16].number;
	return number << SHM_BLOCK_SEGMENT_SHIFT |
	       ((uint64_t)(id & 0xffff) * BLOCKS_GRANULE + offset);
}

static uint32_t run_of_ref(const struct blocks *b, uint64_t ref, uint32_t *offset)
{
	uint32_t number = (uint32_t)(ref >> SHM_BLOCK_SEGMENT_SHIFT);
	uint32_t ordinal = b->shard->directory[number].ordinal;
	uint64_t at = ref & ((1ull << SHM_BLOCK_SEGMENT_SHIFT) - 1);
	CHECK(ordinal < b->count && b->segments[ordinal].number == number);
	uint32_t first = b->segments[ordinal].run_of[at / BLOCKS_GRANULE];
	*offset = (uint32_t)(at - (uint64_t)first * BLOCKS_GRANULE);
	return ordinal << 16 | first;
}

err_t blocks_take(struct blocks *b, uint64_t n, uint64_t *ref, struct errmsg *msg)
{
	err_t e;
	uint32_t id;
	CHECK(n > 0 && n <= b->segment_bytes);
	uint32_t class = n <= BLOCKS_SMALL_MAX ? class_of(n) : 0;
	struct blocks_class *c = &b->classes[class];
	if (c->per_run == 0) {
		e = run_take(b, large_granules(n), &id, msg);
		if (e != ERR_OK)
			return e;
		*ref = ref_of(b, id, 0);
		b->used_bytes += (uint64_t)run_at(b, id)->granules * BLOCKS_GRANULE;
		return ERR_OK;
	}
	if (c->run == RUN_NONE) {
		e = class_refill(b, class, msg);
		if (e != ERR_OK)
			return e;
	}
	struct blocks_run *r = run_at(b, c->run);
	uint32_t word = r->hint;
	while (r->free[word] == 0)
		word++;
	uint32_t bit = (uint32_t)__builtin_ctzll(r->free[word]);
	r->free[word] &= r->free[word] - 1;
	r->hint = (uint16_t)word;
	*ref = ref_of(b, c->run, (uint64_t)(word * 64 + bit) * c->bytes);
	b->used_bytes += c->bytes;
	if (--r->free_count == 0)
		run_unlink(b, c->run);
	return ERR_OK;
}

uint64_t blocks_bytes(const struct blocks *b, uint64_t ref)
{
	uint32_t offset;
	const struct blocks_run *r = run_at(b, run_of_ref(b, ref, &offset));
	return r->class ? b->classes[r->class].bytes : (uint64_t)r->granules * BLOCKS_GRANULE;
}

void blocks_give(struct blocks *b, uint64_t ref)
{
	uint32_t offset, id = run_of_ref(b, ref, &offset);
	struct blocks_run *r = run_at(b, id);
	if (r->class == 0) {
		CHECK(offset == 0);
		b->used_bytes -= (uint64_t)r->granules * BLOCKS_GRANULE;
		run_give(b, id);
		return;
	}
	const struct blocks_class *c = &b->classes[r->class];
	uint32_t i = (uint32_t)((uint64_t)offset * c->inverse >> 32), word = i / 64;
	CHECK(i * c->bytes == offset && i < c->per_run && !(r->free[word] >> (i % 64) & 1));
	r->free[word] |= 1ull << (i % 64);
	if (word < r->hint)
		r->hint = (uint16_t)word;
	b->used_bytes -= c->bytes;
	if (r->free_count++ == 0)
		run_link(b, id);
	if (r->free_count == c->per_run) {
		run_unlink(b, id);
		run_give(b, id);
	}
}

void blocks_prefetch(const struct blocks *b, uint64_t ref)
{
	uint32_t offset;
	const struct blocks_run *r = run_at(b, run_of_ref(b, ref, &offset));
	fetch(r, sizeof *r);
}
