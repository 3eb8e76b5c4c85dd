/* bufs.h - the receive buffers of one ring, given to the kernel through a provided-buffer ring.
 *
 * Few are posted at a time, because the kernel takes them in order and so walks through all that
 * are posted: what it receives is to be parsed while it is still in the second-level cache. So
 * their number follows how full the last ones came, between posted_min and posted_max: single
 * events take a quarter of one. Sockets with a backlog fill it; for them a few large ones are
 * posted instead, so that fewer events are cut in two and each receive costs less per event
 * (measured: a fifth of the time per event of 3.6 KB). The rest is a reserve, taken last in first
 * out, that only comes into use while received bytes wait for their turn (the fairness bound of
 * io.h). A buffer is in one of three places: posted, free, or held by a socket's queue.
 *
 * Behind each buffer lie IO_SLACK bytes of its own, so that a reader beyond the end sees no other
 * socket's bytes.
 */
#ifndef KR_IO_BUFS_H
#define KR_IO_BUFS_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/io.h"

enum {
	BUFS_GROUP = 0,
	BUFS_RESERVE = 8, /* reserve buffers for each posted one */
	BUFS_BYTES = 16384,
	BUFS_STRIDE = BUFS_BYTES + IO_SLACK,
	BUFS_LARGE = 8, /* of IO_RECV_BYTES, posted at most */
	BUFS_LARGE_ALL = BUFS_LARGE * (BUFS_RESERVE + 1),
	BUFS_LARGE_STRIDE = IO_RECV_BYTES + IO_SLACK,
	BUFS_LARGE_FROM = BUFS_BYTES * 3 / 4, /* received on average: large ones pay */
	BUFS_HOT_BYTES = 512 << 10,           /* to be received before the first of it is parsed */
	BUFS_NONE = 0xffff, /* no buffer: ids are below 9 * (IO_RECV_BUFFERS_MAX + 8) */
};

/* What is known about a buffer that a socket holds. */
struct bufs_held {
	uint16_t next; /* in the socket's queue */
	uint16_t n;    /* bytes, 1..IO_RECV_BYTES */
};

/* Free ones of one size, last in first out. */
struct bufs_stack {
	uint16_t *ids; /* own */
	unsigned count;
};

/* Owner: struct uring. Thread: the reactor's. */
struct bufs {
	char *mem;   /* own: the small ones, ids from 0 on */
	char *large; /* own: the large ones, ids from large_id on */
	size_t mem_bytes, large_bytes;
	struct io_uring_buf_ring *ring; /* own; shared with the kernel */
	size_t ring_bytes;
	struct bufs_held *held; /* own; by id */
	struct bufs_stack free, free_large;
	unsigned large_id, posted, posted_min, posted_max, ring_mask;
	unsigned fill; /* 16 times the bytes of a receive, decaying average */
};

/* posted: at most so many at a time, 1..IO_RECV_BUFFERS_MAX; posted_min: at least (if free).
 * Returns 0 or -errno; on an error nothing is left behind. bufs_fini() comes after the ring is
 * closed. */
int bufs_init(struct bufs *b, struct io_uring *ring, unsigned posted, unsigned posted_min);
void bufs_fini(struct bufs *b);

/* Posts free buffers until bufs_wanted() are posted. */
void bufs_post(struct bufs *b);

static inline char *bufs_at(const struct bufs *b, uint16_t id)
{
	if (id >= b->large_id)
		return b->large + (size_t)(id - b->large_id) * BUFS_LARGE_STRIDE;
	return b->mem + (size_t)id * BUFS_STRIDE;
}
static inline bool bufs_want_large(const struct bufs *b)
{
	return b->fill / 16 >= BUFS_LARGE_FROM;
}
/* How many should be posted. */
static inline unsigned bufs_wanted(const struct bufs *b)
{
	unsigned n = bufs_want_large(b) ? BUFS_LARGE : BUFS_HOT_BYTES / (b->fill / 16 + 1);
	n = n > b->posted_min ? n : b->posted_min;
	return n < b->posted_max ? n : b->posted_max;
}
/* One was filled with n bytes. */
static inline void bufs_filled(struct bufs *b, unsigned n)
{
	b->fill += n - b->fill / 16;
}
/* The kernel filled one. */
static inline void bufs_taken(struct bufs *b)
{
	b->posted--;
}
/* Nobody reads it any more. */
static inline void bufs_give(struct bufs *b, uint16_t id)
{
	struct bufs_stack *s = id >= b->large_id ? &b->free_large : &b->free;
	s->ids[s->count++] = id;
}

#endif
