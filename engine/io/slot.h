/* slot.h - what uring.c and epoll.c share: the table of sockets, which handlers are due for each,
 * and the run queue that calls them.
 *
 * An implementation first collects what the kernel has to say into the slots (slot_due and friends;
 * no handler runs), then calls slot_dispatch(). So handlers may call anything, and the order of
 * handlers per socket is decided in one place: slot_run().
 *
 * A slot is free -> (slot_open) connecting -> open -> ended -> closing -> (SLOT_CLOSED dispatched)
 * free. The generation changes when it is freed, so that a late completion of an earlier life can
 * be told apart.
 */
#ifndef KR_IO_SLOT_H
#define KR_IO_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "io/io.h"

enum slot_due {
	SLOT_CONNECT = 1,
	SLOT_RECV = 2, /* received bytes wait */
	SLOT_SENT = 4,
	SLOT_END = 8,
	SLOT_CLOSED = 16,
};

/* Owner: the implementation's table, first field of its own struct. Thread: the reactor's. */
struct slot {
	struct io_sock *s;    /* borrow(until on_closed); NULL = free */
	struct list run;      /* in the run queue, or in the free list */
	struct list aux;      /* connecting: by deadline; later the implementation's own */
	uint64_t deadline_ns; /* of the connect */
	const char *send_at;  /* borrow(until on_sent or on_closed) */
	size_t send_left;
	uint32_t index; /* 1.. */
	uint32_t gen;
	err_t connect_err, end_err;
	uint8_t state; /* enum io_sock_state */
	uint8_t due;   /* enum slot_due, many */
	bool sending;  /* between io_send and on_sent */
};

struct slot_table;
/* Hands received bytes to on_recv, at most IO_PASS_BYTES, and clears SLOT_RECV when none are left.
 * Returns the bytes. */
typedef size_t (*slot_deliver_fn)(struct slot_table *t, struct slot *x);

/* The first bytes that deliver would hand out. */
typedef struct span (*slot_peek_fn)(struct slot_table *t, struct slot *x);

struct slot_table {
	struct io *io;
	char *base; /* own: count structs of stride bytes, each with a struct slot first */
	size_t stride;
	uint32_t count, live;
	slot_deliver_fn deliver;
	slot_peek_fn peek; /* NULL: nothing has been received before deliver */
	bool rounds;       /* deliver hands out what is here already: turn by turn, in this tick */
	struct list free, run, connecting;
};

/* Allocates the table. False: out of memory. */
bool slot_table_init(struct slot_table *t, struct io *io, size_t stride, slot_deliver_fn deliver,
        unsigned count);
void slot_table_fini(struct slot_table *t);

/* index 1..count. */
static inline struct slot *slot_at(const struct slot_table *t, uint32_t index)
{
	return (struct slot *)(void *)(t->base + (size_t)(index - 1) * t->stride);
}
/* The slot behind a socket; NULL when it is not in use. */
static inline struct slot *slot_of(const struct slot_table *t, const struct io_sock *s)
{
	return s->impl ? slot_at(t, s->impl) : NULL;
}

/* What io_config says of descriptors holds for the table: each of its sockets takes one. */
void slot_table_share(struct slot_table *t, const struct io_config *c);
/* Takes a free slot for s and starts the clock of its connect. NULL: all are in use. */
struct slot *slot_open(struct slot_table *t, struct io_sock *s, uint64_t timeout_ns);
/* Gives a slot back, with no handler: io_connect failed at once, or all is being torn down. */
void slot_release(struct slot_table *t, struct slot *x);

/* Adds a handler to call; nothing is due any more for a closing socket but on_closed. */
void slot_due(struct slot_table *t, struct slot *x, enum slot_due what);
/* The connect is over, either way; only the first call counts. */
void slot_connected(struct slot_table *t, struct slot *x, err_t err);
/* The stream is over; only the first call counts. */
void slot_ended(struct slot_table *t, struct slot *x, err_t err);
/* A send failed: the bytes are the owner's again. What was received before is still to be read, so
 * the stream ends when the read side says so, except where it would not. */
void slot_send_failed(struct slot_table *t, struct slot *x, err_t err);
/* io_send: checks the state and takes the bytes. *now is set when the implementation has something
 * to do. */
err_t slot_send(
        struct slot_table *t, struct slot *x, const void *data, size_t n, bool *now) MUST_USE;
/* io_close: no handler is due any more; the slot leaves every queue of the table. */
void slot_close(struct slot *x);

/* Fails the connects whose time is over. */
void slot_expire(struct slot_table *t, uint64_t now_ns);
/* When slot_expire has something to do; UINT64_MAX = never. */
uint64_t slot_next_deadline(const struct slot_table *t);

/* Runs the handlers that are due, bounded as io.h promises; what is left stays queued (slot_busy).
 * Returns the number of slots run. */
int slot_dispatch(struct slot_table *t);
static inline bool slot_busy(const struct slot_table *t)
{
	return !list_empty(&t->run);
}

#endif
