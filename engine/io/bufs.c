#include "io/bufs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

_Static_assert((BUFS_RESERVE + 1) * IO_RECV_BUFFERS_MAX + BUFS_LARGE_ALL < BUFS_NONE,
        "buffer ids are 16 bits");
_Static_assert(24 * BUFS_BYTES + BUFS_LARGE * IO_RECV_BYTES <= IO_AHEAD_BYTES, "P4");
_Static_assert(IO_RECV_BYTES <= UINT16_MAX, "bufs_held.n");

static unsigned pow2_at_least(unsigned n)
{
	unsigned p = 1;
	while (p < n)
		p *= 2;
	return p;
}

static void *pages_new(size_t bytes, size_t used_at_once)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	/* Both are wishes: huge pages make the first touch 50 times cheaper where the host allows
	 * them, and touching now keeps page faults (11-16 us each under some hypervisors) off the
	 * data path. */
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	(void)madvise(p, used_at_once, MADV_POPULATE_WRITE);
	return p;
}

static bool stack_init(struct bufs_stack *s, unsigned n)
{
	s->ids = calloc(n, sizeof *s->ids);
	return s->ids != NULL;
}

int bufs_init(struct bufs *b, struct io_uring *ring, unsigned posted, unsigned posted_min)
{
	unsigned small = posted * (BUFS_RESERVE + 1), entries = pow2_at_least(posted);
	*b = (struct bufs){.large_id = small,
	        .posted_min = posted_min,
	        .posted_max = posted,
	        .ring_mask = entries - 1};
	b->mem_bytes = (size_t)small * BUFS_STRIDE;
	b->large_bytes = (size_t)BUFS_LARGE_ALL * BUFS_LARGE_STRIDE;
	b->ring_bytes = entries * sizeof(struct io_uring_buf);
	b->mem = pages_new(b->mem_bytes, (size_t)posted * BUFS_STRIDE);
	b->large = pages_new(b->large_bytes, (size_t)BUFS_LARGE * BUFS_LARGE_STRIDE);
	b->ring = pages_new(b->ring_bytes, b->ring_bytes);
	b->held = calloc(small + BUFS_LARGE_ALL, sizeof *b->held);
	int r = -ENOMEM;
	if (!b->mem || !b->large || !b->ring || !b->held || !stack_init(&b->free, small) ||
	        !stack_init(&b->free_large, BUFS_LARGE_ALL))
		goto fail;
	struct io_uring_buf_reg reg = {
	        .ring_addr = (uintptr_t)b->ring, .ring_entries = entries, .bgid = BUFS_GROUP};
	r = io_uring_register_buf_ring(ring, &reg, 0);
	if (r < 0)
		goto fail;
	io_uring_buf_ring_init(b->ring);
	for (unsigned id = small + BUFS_LARGE_ALL; id-- > 0;)
		bufs_give(b, (uint16_t)id);
	return 0;
fail:
	bufs_fini(b);
	return r;
}

static void pages_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

void bufs_fini(struct bufs *b)
{
	pages_free(b->mem, b->mem_bytes);
	pages_free(b->large, b->large_bytes);
	pages_free(b->ring, b->ring_bytes);
	free(b->held);
	free(b->free.ids);
	free(b->free_large.ids);
	*b = (struct bufs){0};
}

void bufs_post(struct bufs *b)
{
	unsigned n = 0, wanted = bufs_wanted(b);
	while (b->posted < wanted) {
		bool large = bufs_want_large(b) && b->free_large.count > 0;
		struct bufs_stack *s = large ? &b->free_large : &b->free;
		if (s->count == 0)
			break;
		uint16_t id = s->ids[--s->count];
		io_uring_buf_ring_add(b->ring, bufs_at(b, id), large ? IO_RECV_BYTES : BUFS_BYTES,
		        id, (int)b->ring_mask, (int)n++);
		b->posted++;
	}
	if (n)
		io_uring_buf_ring_advance(b->ring, (int)n);
	CHECK_SLOW(b->posted > 0 || b->free.count == 0);
}
