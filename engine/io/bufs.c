#include "io/bufs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

_Static_assert((BUFS_RESERVE + 1) * IO_RECV_BUFFERS_MAX < BUFS_NONE, "buffer ids are 16 bits");
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

int bufs_init(struct bufs *b, struct io_uring *ring, unsigned posted, unsigned posted_min)
{
	unsigned total = posted * (BUFS_RESERVE + 1), entries = pow2_at_least(posted);
	*b = (struct bufs){
	        .posted_min = posted_min, .posted_max = posted, .ring_mask = entries - 1};
	b->mem_bytes = (size_t)total * BUFS_STRIDE;
	b->ring_bytes = entries * sizeof(struct io_uring_buf);
	b->mem = pages_new(b->mem_bytes, (size_t)posted * BUFS_STRIDE);
	b->ring = pages_new(b->ring_bytes, b->ring_bytes);
	b->held = calloc(total, sizeof *b->held);
	b->free = calloc(total, sizeof *b->free);
	int r = -ENOMEM;
	if (!b->mem || !b->ring || !b->held || !b->free)
		goto fail;
	struct io_uring_buf_reg reg = {
	        .ring_addr = (uintptr_t)b->ring, .ring_entries = entries, .bgid = BUFS_GROUP};
	r = io_uring_register_buf_ring(ring, &reg, 0);
	if (r < 0)
		goto fail;
	io_uring_buf_ring_init(b->ring);
	for (unsigned id = total; id-- > 0;)
		bufs_give(b, (uint16_t)id);
	return 0;
fail:
	bufs_fini(b);
	return r;
}

void bufs_fini(struct bufs *b)
{
	if (b->mem)
		munmap(b->mem, b->mem_bytes);
	if (b->ring)
		munmap(b->ring, b->ring_bytes);
	free(b->held);
	free(b->free);
	*b = (struct bufs){0};
}

void bufs_post(struct bufs *b)
{
	unsigned n = 0, wanted = bufs_wanted(b);
	while (b->posted < wanted && b->free_count > 0) {
		uint16_t id = b->free[--b->free_count];
		io_uring_buf_ring_add(
		        b->ring, bufs_at(b, id), IO_RECV_BYTES, id, (int)b->ring_mask, (int)n++);
		b->posted++;
	}
	if (n)
		io_uring_buf_ring_advance(b->ring, (int)n);
	CHECK_SLOW(b->posted > 0 || b->free_count == 0);
}
