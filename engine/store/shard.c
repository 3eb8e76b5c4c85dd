#include "store/shard.h"

#include <string.h>

#include "base/check.h"

enum { PAGE = 4096 };

static const char *const KIND_NAMES[] = {[SHM_CONTROL] = "kubering-control",
        [SHM_RING] = "kubering-ring",
        [SHM_INDEX] = "kubering-index",
        [SHM_SLOTS] = "kubering-slots",
        [SHM_BLOCKS] = "kubering-blocks"};

static uint64_t page_round(uint64_t n)
{
	return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static err_t segment_add(
        struct shard *s, enum shm_segment_kind kind, uint64_t bytes, struct errmsg *msg)
{
	bytes = page_round(bytes);
	err_t e = segment_open(
	        &s->segments[s->segment_count], KIND_NAMES[kind], bytes, s->in_process, msg);
	if (e == ERR_OK) {
		s->segment_count++;
		s->bytes += bytes;
	}
	return e;
}

/* The row first, then the count: whoever sees the count sees the row. */
static void announce(struct shard *s, uint32_t number, enum shm_segment_kind kind)
{
	struct shm_segment_row *row = &s->directory[number];
	row->kind = kind;
	row->ordinal = s->kinds[kind]++;
	row->bytes = s->segments[number].bytes;
	WRITE_RELEASE(&s->header->segment_count, number + 1);
}

static void header_fill(struct shard *s, const struct shard_config *c)
{
	struct shm_header *h = s->header;
	h->magic = SHM_MAGIC;
	h->layout_major = SHM_LAYOUT_MAJOR;
	h->layout_minor = SHM_LAYOUT_MINOR;
	h->header_bytes = SHM_HEADER_BYTES;
	h->incarnation[0] = c->incarnation[0];
	h->incarnation[1] = c->incarnation[1];
	h->shard = c->shard;
	h->realm = c->realm;
	h->hash_seed = c->hash_seed;
	h->ring_entries = c->ring_entries;
	h->lists_max = c->lists_max;
	h->list_stride = sizeof(struct shm_list);
	h->slot_stride = sizeof(struct shm_slot);
	h->entry_stride = sizeof(struct shm_entry);
	h->page_bytes = SHM_PAGE_SLOTS * sizeof(struct shm_slot);
	h->control_bytes = s->segments[0].bytes;
	h->directory_offset = SHM_HEADER_BYTES;
	h->lists_offset = SHM_HEADER_BYTES + SHM_SEGMENTS_MAX * sizeof(struct shm_segment_row);
	h->started_ns = c->started_ns;
}

err_t shard_init(struct shard *s, const struct shard_config *c, struct errmsg *msg)
{
	uint64_t directory = SHM_SEGMENTS_MAX * sizeof(struct shm_segment_row);
	uint64_t control = SHM_HEADER_BYTES + directory + (uint64_t)c->lists_max * SHM_LIST_BYTES;
	memset(s, 0, sizeof *s);
	s->in_process = c->in_process;
	s->memory = c->memory;
	s->memory_max = c->memory_max;
	err_t e = segment_add(s, SHM_CONTROL, control, msg);
	if (e == ERR_OK)
		e = segment_add(
		        s, SHM_RING, (uint64_t)c->ring_entries * sizeof(struct shm_entry), msg);
	if (e != ERR_OK) {
		shard_fini(s);
		return e;
	}
	char *at = s->segments[0].at;
	s->header = (struct shm_header *)(void *)at;
	s->directory = (struct shm_segment_row *)(void *)(at + SHM_HEADER_BYTES);
	s->rows = (struct shm_list *)(void *)(at + SHM_HEADER_BYTES + directory);
	header_fill(s, c);
	write_init(&s->write, s->header, s->segments[1].at, c->ring_entries);
	announce(s, 0, SHM_CONTROL);
	announce(s, 1, SHM_RING);
	WRITE_RELEASE(&s->header->state, SHM_SHARD_RUNNING);
	return ERR_OK;
}

static void give(struct shard *s, uint64_t bytes)
{
	if (s->memory)
		atomic_fetch_sub(s->memory, bytes);
	s->taken -= bytes;
}

void shard_fini(struct shard *s)
{
	for (uint32_t i = 0; i < s->segment_count; i++)
		segment_close(&s->segments[i]);
	s->segment_count = 0;
	give(s, s->taken);
}

err_t shard_take(struct shard *s, uint64_t bytes, struct errmsg *msg)
{
	if (!s->memory)
		return ERR_OK;
	uint64_t all = atomic_fetch_add(s->memory, bytes);
	s->taken += bytes;
	if (s->memory_max == 0 || all + bytes <= s->memory_max)
		return ERR_OK;
	give(s, bytes);
	return errmsg_set(msg, ERR_BUDGET,
	        "all lists hold %llu bytes, as many as may be: raise limits.memoryBytes or the "
	        "service's MemoryMax=, or narrow the lists",
	        (unsigned long long)all);
}

err_t shard_add(struct shard *s, enum shm_segment_kind kind, uint64_t bytes, uint32_t *number,
        struct errmsg *msg)
{
	if (s->segment_count == SHM_SEGMENTS_MAX)
		return errmsg_set(msg, ERR_LIMIT,
		        "a shard has at most %d segments; use more reactors", SHM_SEGMENTS_MAX);
	uint64_t whole = kind == SHM_INDEX ? bytes : 0;
	err_t e = shard_take(s, whole, msg);
	if (e != ERR_OK)
		return e;
	e = segment_add(s, kind, bytes, msg);
	if (e != ERR_OK) {
		give(s, whole);
		return e;
	}
	*number = s->segment_count - 1;
	s->segments[*number].used = whole;
	announce(s, *number, kind);
	return ERR_OK;
}
