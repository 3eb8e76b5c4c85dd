/* uring.h - the io_uring implementation of io.h, private to this room (and its tests).
 *
 * One ring per reactor: uring.c opens it, waits, and is the table of functions; uring_sqe.c turns
 * what sockets want into submissions; uring_cqe.c turns completions into what is due for sockets.
 *
 * Rules:
 *
 * - U1 io_* calls do not touch the ring (but io_notify): they change the socket and put it on the
 *   todo list. The start of the next tick turns the list into submissions. So a full submission
 *   queue is no error anywhere: what does not fit stays on the list.
 *
 * - U2 Every request has user_data {operation, generation, index}, and every operation in flight
 *   has its bit in `flight`. A slot is given back only when no bit is left, after its descriptor
 *   was closed; completions of an older generation only give back their buffer.
 *
 * - U3 Closing a descriptor does not end its requests, and no FIN goes out while one holds the
 *   file (liburing#568). So: cancel all requests of the descriptor, wait for their completions,
 *   close it, wait for that.
 *
 * - U4 Receives run inside our own enter (DEFER_TASKRUN), so buffers are posted once per tick.
 *
 * - U5 A receive that ended for want of a buffer waits on the `starved` list, and at most as many
 *   are armed again per tick as buffers are posted. Its bytes stay in the socket. One that had some
 *   before they ran out is `sated`: it is armed when the next tick has received what all others
 *   have (`late`), because arming receives at once, and would take every buffer before them. If
 *   they leave none, it is starved.
 */
#ifndef KR_IO_URING_H
#define KR_IO_URING_H

#include <liburing.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "io/bufs.h"
#include "io/io.h"
#include "io/os.h"
#include "io/slot.h"
#include "io/uring_abi.h"

enum {
	URING_SQ_ENTRIES = 1024,
	URING_CQ_ENTRIES = 16384, /* at least; grows with sockets_max */
	URING_CQ_ENTRIES_MAX = 65536,
	URING_BUFFERS = 128,
	URING_BUFFERS_MIN = 12,   /* posted where receives come full: 544 KiB, with 8 large ones */
	URING_BATCH = 64,         /* completions that a busy wait asks for */
	URING_BACKLOG = 16,       /* so many in one enter hint at more: the kernel stops at 20 */
	URING_REENTERS_MAX = 4,   /* enters per tick beside the first, while a backlog shows */
	URING_CANCEL_HASHED = 14, /* tries by user_data */
	URING_CANCEL_TRIES = 16,  /* then shutdown */
	URING_DRAIN_MS = 2000,    /* bound of io_close_all */
	URING_CHAIN = 2 + OS_OPTION_COUNT, /* socket, options, connect */
};

enum uring_op {
	URING_OP_CONNECT, /* the whole chain that ends in connect: one completion */
	URING_OP_RECV,
	URING_OP_SEND,
	URING_OP_CANCEL,      /* of everything */
	URING_OP_CANCEL_RECV, /* throttled */
	URING_OP_CLOSE,
	URING_OP_NOTIFY,
	URING_OP_WAKE,
};
#define URING_FLIGHT(op) (1u << (op))

/* What tests change to reach the rare paths; NULL or zeroes = as it should be. */
struct uring_tuning {
	unsigned sq_entries, cq_entries;
	bool no_direct;   /* plain descriptors, as on a kernel before 6.14 */
	bool no_min_wait; /* as on a kernel before 6.12 */
};

/* Owner: struct uring. Thread: the reactor's. */
struct uring_sock {
	struct slot slot; /* slot.aux: open: on the starved list */
	struct list todo;
	uint16_t q_head, q_tail; /* received, not yet delivered: buffer ids */
	uint32_t q_bytes;
	bool served;     /* received something since it was armed */
	uint16_t flight; /* URING_FLIGHT bits */
	uint8_t cancel_tries;
	bool armed_once;
	bool throttled; /* too much waits: not read for now */
	bool has_file;  /* a descriptor may exist */
	bool started;   /* the connect was submitted */
	int fd;         /* direct: index in the ring's table; else the descriptor */
	socklen_t addr_len;
	union {
		struct sockaddr any;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} addr;
};

/* Owner: the reactor, through struct io. Thread: the reactor's, but wake_pending and wake_fd: any.
 * Life: uring_open to close_all. */
struct uring {
	struct io io;
	struct io_uring ring;
	struct slot_table slots;
	struct bufs bufs;
	struct list todo;    /* sockets that want something of the ring */
	struct list starved; /* sockets whose receive found no buffer (slot.aux) */
	struct list sated;   /* the same, but it had some before */
	struct list late;    /* those that were sated when the tick began */
	bool direct, min_wait;
	bool wake_armed;
	uint32_t batch_wait_us;
	uint64_t rate_n, rate_ns; /* decaying sums: completions (x 256), time */
	int wake_fd;
	_Atomic unsigned wake_pending;
};

static inline struct uring *uring_of(struct io *io)
{
	return CONTAINER_OF(io, struct uring, io);
}
static inline struct uring_sock *uring_sock_of(struct slot *x)
{
	return CONTAINER_OF(x, struct uring_sock, slot);
}

/* Completions that a busy wait asks for: half of the posted buffers at most. */
static inline unsigned uring_batch(const struct uring *u)
{
	unsigned half = (bufs_wanted(&u->bufs) + 1) / 2;
	return half < URING_BATCH ? half : URING_BATCH;
}

/* uring.c. Returns 0 or -errno, then *step says what failed ("io_uring_setup"). */
int uring_open(const struct io_config *config, const struct uring_tuning *tuning, struct io **out,
        const char **step);
/* Submits, and with IORING_ENTER_GETEVENTS takes completions in. Never fails: what was not taken
 * stays in the queue. */
void uring_enter(
        struct uring *u, unsigned min_complete, unsigned flags, const struct uring_wait_arg *arg);
/* The socket wants something of the ring. */
static inline void uring_want(struct uring *u, struct uring_sock *k)
{
	if (list_empty(&k->todo))
		list_push(&u->todo, &k->todo);
}

/* uring_sqe.c: posts buffers, turns the todo and starved lists into submissions. The sated are late
 * then: uring_sqe_flush_late(), when completions were taken in. */
void uring_sqe_flush(struct uring *u);
void uring_sqe_flush_late(struct uring *u);
void uring_sqe_notify(struct uring *u, int eventfd);

/* uring_cqe.c: takes in all completions that are there. Returns how many. */
int uring_cqe_collect(struct uring *u);

#endif
