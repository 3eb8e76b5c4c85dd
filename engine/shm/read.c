#include "shm/read.h"

#include <string.h>

#include "base/fetch.h"

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* --- header, directory, mappings ------------------------------------------------------------- */

static bool stride_ok(uint32_t stride, size_t least)
{
	return stride >= least && stride % 8 == 0;
}

/* Is [offset, offset + count * stride) inside a mapping of so many bytes? count and stride are <
 * 2^32. */
static bool range_ok(uint64_t offset, uint64_t count, uint64_t stride, uint64_t bytes)
{
	return offset % 8 == 0 && offset <= bytes && count * stride <= bytes - offset;
}

enum read_result read_init(struct read_shard *s, const void *control, uint64_t bytes)
{
	const struct shm_header *h = control;
	memset(s, 0, sizeof *s);
	if (bytes < SHM_HEADER_BYTES || ((uintptr_t)control & 7) != 0 ||
	        READ_ACQUIRE(&h->magic) != SHM_MAGIC)
		return READ_CORRUPT;
	s->layout_major = READ_WORD(&h->layout_major);
	s->layout_minor = READ_WORD(&h->layout_minor);
	if (s->layout_major != SHM_LAYOUT_MAJOR)
		return READ_VERSION;
	s->header = h;
	s->control_bytes = bytes;
	s->incarnation[0] = READ_WORD(&h->incarnation[0]);
	s->incarnation[1] = READ_WORD(&h->incarnation[1]);
	s->hash_seed = READ_WORD(&h->hash_seed);
	s->shard = READ_WORD(&h->shard);
	s->lists_max = READ_WORD(&h->lists_max);
	s->list_stride = READ_WORD(&h->list_stride);
	s->slot_stride = READ_WORD(&h->slot_stride);
	s->entry_stride = READ_WORD(&h->entry_stride);
	s->page_bytes = READ_WORD(&h->page_bytes);
	s->lists_offset = READ_WORD(&h->lists_offset);
	s->directory_offset = READ_WORD(&h->directory_offset);
	uint32_t entries = READ_WORD(&h->ring_entries);
	s->ring_mask = (uint64_t)entries - 1;
	if (entries < 2 || entries > READ_RING_ENTRIES_MAX || (entries & (entries - 1)) != 0)
		return READ_CORRUPT;
	if (!stride_ok(s->list_stride, sizeof(struct shm_list)) ||
	        !stride_ok(s->slot_stride, sizeof(struct shm_slot)) ||
	        !stride_ok(s->entry_stride, sizeof(struct shm_entry)) ||
	        !stride_ok(s->page_bytes, (size_t)s->slot_stride * SHM_PAGE_SLOTS))
		return READ_CORRUPT;
	if (!range_ok(s->lists_offset, s->lists_max, s->list_stride, bytes) ||
	        !range_ok(s->directory_offset, 2, sizeof(struct shm_segment_row), bytes))
		return READ_CORRUPT;
	s->maps[0] = (struct read_map){control, bytes};
	return READ_OK;
}

uint32_t read_segments(const struct read_shard *s)
{
	uint32_t n = READ_ACQUIRE(&s->header->segment_count);
	return n < SHM_SEGMENTS_MAX ? n : SHM_SEGMENTS_MAX;
}

enum read_result read_segment(const struct read_shard *s, uint32_t n, struct shm_segment_row *out)
{
	if (n >= read_segments(s))
		return READ_NONE;
	if (!range_ok(s->directory_offset, (uint64_t)n + 1, sizeof *out, s->control_bytes))
		return READ_CORRUPT;
	const struct shm_segment_row *row =
	        (const void *)((const uint8_t *)s->header + s->directory_offset + n * sizeof *row);
	out->kind = READ_WORD(&row->kind);
	out->ordinal = READ_WORD(&row->ordinal);
	out->bytes = READ_WORD(&row->bytes);
	return READ_OK;
}

enum read_result read_map(struct read_shard *s, uint32_t n, const void *at, uint64_t bytes)
{
	if (n == 0 || n >= SHM_SEGMENTS_MAX || ((uintptr_t)at & 7) != 0)
		return READ_CORRUPT;
	if (n == 1) {
		if (!range_ok(0, s->ring_mask + 1, s->entry_stride, bytes))
			return READ_CORRUPT;
		s->ring = at;
	}
	s->maps[n] = (struct read_map){at, bytes};
	return READ_OK;
}

static enum read_result map_of(struct read_shard *s, uint64_t segment, const struct read_map **out)
{
	if (segment == 0 || segment >= SHM_SEGMENTS_MAX)
		return READ_CORRUPT;
	if (!s->maps[segment].at) {
		s->need = (uint32_t)segment;
		return READ_NEED;
	}
	*out = &s->maps[segment];
	return READ_OK;
}

/* --- seqlocks -------------------------------------------------------------------------------- */

/* Fetches each word once, which a memcpy does not promise: what is checked is what is used. bytes %
 * 8 == 0. */
static inline void load_words(void *dst, const void *src, size_t bytes)
{
	const uint64_t *from = src;
	uint64_t *to = dst;
	for (size_t i = 0; i < bytes / 8; i++)
		to[i] = READ_WORD(&from[i]);
}

/* R2. dst holds a whole value when true. bytes % 8 == 0; ver is the first word of src. */
static inline bool read_locked(const void *src, void *dst, size_t bytes)
{
	const uint32_t *ver = src;
	for (int spin = 0; spin < SHM_SPINS_MAX; spin++) {
		uint32_t v = READ_ACQUIRE(ver); /* pairs with the even store of W4 */
		if ((v & 1) == 0) {
			load_words(dst, src, bytes);
			READ_FENCE(); /* pairs with the fence after the odd store of W4 */
			if (READ_WORD(ver) == v)
				return true;
		}
		pause_cpu();
	}
	return false;
}

static const struct shm_list *row_at(const struct read_shard *s, uint32_t list)
{
	if (list >= s->lists_max)
		return NULL;
	return (const void *)((const uint8_t *)s->header + s->lists_offset +
	                      (uint64_t)list * s->list_stride);
}

enum read_result read_row(
        const struct read_shard *s, uint32_t list, uint32_t gen, struct shm_list *out)
{
	const struct shm_list *row = row_at(s, list);
	if (!row)
		return READ_CORRUPT;
	if (!read_locked(row, out, sizeof *out))
		return READ_STUCK;
	out->rv[sizeof out->rv - 1] = '\0';
	out->error_text[sizeof out->error_text - 1] = '\0';
	out->error_name[sizeof out->error_name - 1] = '\0';
	return out->gen == gen ? READ_OK : READ_CLOSED;
}

enum read_result read_last(
        const struct read_shard *s, uint32_t list, uint32_t gen, uint64_t *last_change)
{
	const struct shm_list *row = row_at(s, list);
	if (!row)
		return READ_CORRUPT;
	/* Pairs with the fence of write_row_begin, so that the entry is there (S3); and with
	 * write_row_start, so that what another list says is not taken for this one's. */
	*last_change = READ_ACQUIRE(&row->last_change);
	return READ_WORD(&row->gen) == gen ? READ_OK : READ_CLOSED;
}

/* --- slots and pages ------------------------------------------------------------------------- */

static enum read_result slot_at(struct read_shard *s, uint32_t slot, const void **out)
{
	const struct read_map *map = NULL;
	uint32_t ordinal = slot >> 16;
	if (ordinal >= SHM_SLOT_SEGMENTS_MAX)
		return READ_CORRUPT;
	enum read_result r = map_of(s, READ_ACQUIRE(&s->header->slot_segments[ordinal]), &map);
	if (r != READ_OK)
		return r;
	uint64_t at = (uint64_t)(slot >> 4 & 0xfff) * s->page_bytes +
	              (uint64_t)(slot % SHM_PAGE_SLOTS) * s->slot_stride;
	if (at > map->bytes || map->bytes - at < sizeof(struct shm_slot))
		return READ_CORRUPT;
	*out = map->at + at;
	return READ_OK;
}

enum read_result read_slot(struct read_shard *s, uint32_t slot, struct shm_slot *out)
{
	const void *at = NULL;
	if (slot % SHM_PAGE_SLOTS == 0)
		return READ_CORRUPT;
	enum read_result r = slot_at(s, slot, &at);
	if (r != READ_OK)
		return r;
	return read_locked(at, out, sizeof *out) ? READ_OK : READ_STUCK;
}

enum read_result read_page(struct read_shard *s, uint32_t page, struct shm_page *out)
{
	const void *at = NULL;
	if (page == 0 || page > UINT32_MAX >> 4)
		return READ_CORRUPT;
	enum read_result r = slot_at(s, page << 4, &at);
	if (r != READ_OK)
		return r;
	const struct shm_page *p = at;
	*out = (struct shm_page){
	        .list = READ_ACQUIRE(&p->list),
	        .list_gen = READ_ACQUIRE(&p->list_gen),
	        .ordinal = READ_ACQUIRE(&p->ordinal),
	        .next = READ_ACQUIRE(&p->next),
	};
	return READ_OK;
}

uint32_t read_pages_max(const struct read_shard *s)
{
	uint32_t segments = 0;
	for (uint32_t i = 0; i < SHM_SLOT_SEGMENTS_MAX; i++)
		if (READ_WORD(&s->header->slot_segments[i]) != 0)
			segments++;
	return segments << 12;
}

/* --- the ring -------------------------------------------------------------------------------- */

static inline const struct shm_entry *entry_at(const struct read_shard *s, uint64_t seq)
{
	return (const void *)(s->ring + (seq & s->ring_mask) * s->entry_stride);
}

enum read_result read_entry_words(const struct read_shard *s, uint64_t seq, struct shm_entry *out)
{
	if (!s->ring)
		return READ_CORRUPT;
	const struct shm_entry *e = entry_at(s, seq);
	out->seq = READ_ACQUIRE(&e->seq); /* pairs with the release store of W5 */
	if (out->seq != seq)
		return READ_GONE;
	out->list = READ_WORD(&e->list);
	out->list_gen = READ_WORD(&e->list_gen);
	out->op = READ_WORD(&e->op);
	out->flags = READ_WORD(&e->flags);
	out->slot = READ_WORD(&e->slot);
	out->aux = READ_WORD(&e->aux);
	out->new_block = READ_WORD(&e->new_block);
	out->old_block = READ_WORD(&e->old_block);
	out->prev = READ_WORD(&e->prev);
	out->digest = READ_WORD(&e->digest);
	out->rv = READ_WORD(&e->rv);
	return READ_OK;
}

enum read_result read_entry(const struct read_shard *s, uint64_t seq, struct shm_entry *out)
{
	enum read_result r = read_entry_words(s, seq, out);
	if (r == READ_OK && !read_intact(s, seq))
		r = READ_GONE;
	return r;
}

enum read_result read_chain_next(
        const struct read_shard *s, struct read_chain *c, struct shm_entry *out)
{
	if (c->next <= c->after)
		return READ_NONE;
	if (c->steps++ > s->ring_mask)
		return READ_GONE; /* more than the ring can hold */
	enum read_result r = read_entry(s, c->next, out);
	if (r != READ_OK)
		return r;
	if (out->list != c->list || out->prev >= out->seq)
		return READ_CORRUPT;
	if (out->list_gen != c->gen)
		return READ_CLOSED;
	c->next = out->prev;
	return READ_OK;
}

/* Hints only: nothing of what is loaded here is believed. */
void read_prefetch_entry(const struct read_shard *s, uint64_t seq)
{
	if (s->ring)
		fetch(entry_at(s, seq), sizeof(struct shm_entry));
}

void read_prefetch_slot(const struct read_shard *s, uint32_t slot)
{
	uint32_t ordinal = slot >> 16;
	if (ordinal >= SHM_SLOT_SEGMENTS_MAX)
		return;
	uint32_t segment = READ_WORD(&s->header->slot_segments[ordinal]);
	uint64_t at = (uint64_t)(slot >> 4 & 0xfff) * s->page_bytes +
	              (uint64_t)(slot % SHM_PAGE_SLOTS) * s->slot_stride;
	if (segment < SHM_SEGMENTS_MAX && at < s->maps[segment].bytes)
		fetch(s->maps[segment].at + at, 1);
}

void read_prefetch_block(const struct read_shard *s, uint64_t block, unsigned lines)
{
	uint64_t segment = block >> SHM_BLOCK_SEGMENT_SHIFT;
	uint64_t at = block & ((1ull << SHM_BLOCK_SEGMENT_SHIFT) - 1);
	if (segment >= SHM_SEGMENTS_MAX || at >= s->maps[segment].bytes)
		return;
	uint64_t max = s->maps[segment].bytes - at, bytes = (uint64_t)lines * FETCH_LINE_BYTES;
	fetch(s->maps[segment].at + at, bytes < max ? bytes : max);
}

void read_prefetch_change(const struct read_shard *s, uint64_t seq, unsigned lines, bool old)
{
	if (!s->ring)
		return;
	const struct shm_entry *e = entry_at(s, seq);
	read_prefetch_block(s, READ_WORD(&e->new_block), lines);
	if (old)
		read_prefetch_block(s, READ_WORD(&e->old_block), lines);
}

/* --- blocks ---------------------------------------------------------------------------------- */

enum read_result read_block(
        struct read_shard *s, uint64_t block, const uint8_t **at, uint32_t *bytes)
{
	const struct read_map *map = NULL;
	enum read_result r = map_of(s, block >> SHM_BLOCK_SEGMENT_SHIFT, &map);
	if (r != READ_OK)
		return r;
	uint64_t offset = block & ((1ull << SHM_BLOCK_SEGMENT_SHIFT) - 1);
	if (offset % 8 != 0 || offset > map->bytes ||
	        map->bytes - offset < sizeof(struct shm_block) + SHM_SLACK)
		return READ_CORRUPT;
	const struct shm_block *b = (const void *)(map->at + offset);
	uint32_t n = READ_WORD(&b->bytes);
	if (n < sizeof *b || n > map->bytes - offset - SHM_SLACK)
		return READ_CORRUPT;
	*at = (const uint8_t *)b;
	*bytes = n;
	return READ_OK;
}

#ifdef READ_TSAN
void read_bytes(void *dst, const void *src, size_t n)
{
	char *d = dst;
	const char *s = src;
	for (; n > 0 && ((uintptr_t)s & 7) != 0; d++, s++, n--)
		*d = READ_WORD(s);
	for (; n >= 8; d += 8, s += 8, n -= 8) {
		uint64_t word = READ_WORD((const uint64_t *)(const void *)s);
		memcpy(d, &word, 8);
	}
	for (; n > 0; d++, s++, n--)
		*d = READ_WORD(s);
}
#else
void read_bytes(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
}
#endif

/* One string of a block: n bytes and a NUL at *at, none before. */
static const char *string_at(const uint8_t *block, uint32_t limit, uint32_t *at, uint32_t n)
{
	const char *p = (const char *)block + *at;
	if (n >= limit - *at || memchr(p, '\0', n + 1) != p + n)
		return NULL;
	*at += n + 1;
	return p;
}

bool read_object(const uint8_t *block, uint32_t bytes, struct read_object *out)
{
	struct shm_block b __attribute__((uninitialized));
	if (bytes < sizeof b)
		return false;
	load_words(&b, block, sizeof b); /* it may be in place, where it changes */
	/* one by one: this is in every path, and clearing *out first costs as much again */
	out->json_bytes = b.json_bytes;
	out->namespace_bytes = b.namespace_bytes;
	out->name_bytes = b.name_bytes;
	out->uid_bytes = b.uid_bytes;
	out->rv_bytes = b.rv_bytes;
	out->seq = b.seq;
	out->recv_ns = b.recv_ns;
	out->json_hash = b.json_hash;
	out->key_hash = b.key_hash;
	out->object_hash = b.object_hash;
	out->namespace_ = out->name = out->uid = out->rv = out->json = NULL;
	if (b.bytes != bytes || b.json_offset < sizeof b || b.json_offset > bytes ||
	        b.json_bytes > bytes - b.json_offset)
		return false;
	uint32_t at = sizeof b;
	out->namespace_ = string_at(block, b.json_offset, &at, b.namespace_bytes);
	if (!out->namespace_)
		return false;
	out->name = string_at(block, b.json_offset, &at, b.name_bytes);
	if (!out->name)
		return false;
	out->uid = string_at(block, b.json_offset, &at, b.uid_bytes);
	if (!out->uid)
		return false;
	out->rv = string_at(block, b.json_offset, &at, b.rv_bytes);
	out->json = (const char *)block + b.json_offset;
	return out->rv != NULL;
}

/* --- the index ------------------------------------------------------------------------------- */

enum read_result read_probe_begin(struct read_shard *s, uint64_t key_hash, struct read_probe *p)
{
	const struct read_map *map = NULL;
	uint64_t word = READ_ACQUIRE(&s->header->index);
	enum read_result r = map_of(s, word >> 32, &map);
	if (r != READ_OK)
		return r;
	uint32_t log2 = (uint32_t)word;
	if (log2 > 40 || (sizeof(struct shm_index_entry) << log2) > map->bytes)
		return READ_CORRUPT;
	uint64_t mask = (1ull << log2) - 1;
	*p = (struct read_probe){
	        .table = (const void *)map->at,
	        .mask = mask,
	        .at = key_hash & mask,
	        .tag = (uint32_t)(key_hash >> 32),
	        .word = word,
	};
	return READ_OK;
}

enum read_result read_probe_next(struct read_probe *p, uint32_t *slot)
{
	while (p->steps <= p->mask) {
		if (p->steps++ == READ_PROBES_MAX)
			return READ_CORRUPT;
		const struct shm_index_entry *e = &p->table[p->at];
		p->at = (p->at + 1) & p->mask;
		uint32_t found = READ_ACQUIRE(&e->slot);
		if (found == 0)
			return READ_NONE;
		if (found != SHM_INDEX_GONE && READ_WORD(&e->tag) == p->tag) {
			*slot = found;
			return READ_OK;
		}
	}
	return READ_NONE;
}
