#include "io/uring.h"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"

static const uint64_t one = 1; /* what a notify writes */

static uint64_t user_data(enum uring_op op, const struct slot *x)
{
	return (uint64_t)op << 56 | (uint64_t)(x->gen & 0xffffff) << 32 | x->index;
}

/* Room for n submissions in a row (a chain must not be cut by a submit). */
static bool sqe_room(struct uring *u, unsigned n)
{
	if (io_uring_sq_space_left(&u->ring) >= n)
		return true;
	uring_enter(u, 0, 0, NULL);
	return io_uring_sq_space_left(&u->ring) >= n;
}

static struct io_uring_sqe *sqe_take(struct uring *u)
{
	struct io_uring_sqe *q = io_uring_get_sqe(&u->ring);
	CHECK(q != NULL); /* sqe_room() came first */
	return q;
}

static void sqe_tag(struct uring *u, struct io_uring_sqe *q, enum uring_op op, struct uring_sock *k)
{
	if (u->direct && op != URING_OP_CANCEL && op != URING_OP_CANCEL_RECV &&
	        op != URING_OP_CLOSE)
		q->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(q, user_data(op, &k->slot));
	k->flight |= (uint16_t)URING_FLIGHT(op);
}

static void sqe_option(struct uring *u, struct uring_sock *k, const struct os_option *o)
{
	struct io_uring_sqe *q = sqe_take(u);
	io_uring_prep_rw(IORING_OP_URING_CMD, q, k->fd, NULL, 0, KR_SOCKET_OP_SETSOCKOPT);
	q->addr = (uint64_t)(uint32_t)o->name << 32 | (uint32_t)o->level;
	q->file_index = sizeof o->value;
	q->addr3 = (uintptr_t)&o->value;
	q->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	sqe_tag(u, q, URING_OP_CONNECT, k);
}

/* A chain of links posts one completion: of the link that failed (all later ones are then silent,
 * as IOSQE_CQE_SKIP_SUCCESS is set on those before), or of the connect. */
static bool emit_connect(struct uring *u, struct uring_sock *k)
{
	if (!sqe_room(u, URING_CHAIN))
		return false;
	if (u->direct) {
		struct io_uring_sqe *q = sqe_take(u);
		io_uring_prep_socket_direct(
		        q, k->addr.any.sa_family, SOCK_STREAM, 0, (unsigned)k->fd, 0);
		sqe_tag(u, q, URING_OP_CONNECT, k);
		q->flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
		for (int i = 0; i < OS_OPTION_COUNT; i++)
			sqe_option(u, k, &os_options[i]);
		k->has_file = true;
	}
	struct io_uring_sqe *q = sqe_take(u);
	io_uring_prep_connect(q, k->fd, &k->addr.any, k->addr_len);
	sqe_tag(u, q, URING_OP_CONNECT, k);
	k->started = true;
	return true;
}

static bool emit_recv(struct uring *u, struct uring_sock *k)
{
	if (!sqe_room(u, 1))
		return false;
	struct io_uring_sqe *q = sqe_take(u);
	io_uring_prep_recv_multishot(q, k->fd, NULL, 0, 0);
	q->flags |= IOSQE_BUFFER_SELECT;
	q->buf_group = BUFS_GROUP;
	if (k->armed_once)
		u->io.counters.rearms++;
	else
		q->ioprio |= IORING_RECVSEND_POLL_FIRST; /* the server speaks second */
	k->armed_once = true;
	k->served = false;
	sqe_tag(u, q, URING_OP_RECV, k);
	return true;
}

static bool emit_cancel_recv(struct uring *u, struct uring_sock *k)
{
	if (!sqe_room(u, 1))
		return false;
	struct io_uring_sqe *q = sqe_take(u);
	io_uring_prep_cancel64(q, user_data(URING_OP_RECV, &k->slot), 0);
	sqe_tag(u, q, URING_OP_CANCEL_RECV, k);
	return true;
}

static bool emit_send(struct uring *u, struct uring_sock *k)
{
	if (!sqe_room(u, 1))
		return false;
	size_t n = k->slot.send_left < INT32_MAX ? k->slot.send_left : INT32_MAX;
	struct io_uring_sqe *q = sqe_take(u);
	io_uring_prep_send(q, k->fd, k->slot.send_at, n, MSG_NOSIGNAL);
	sqe_tag(u, q, URING_OP_SEND, k);
	return true;
}

/* What a closing socket is cancelled by. The kernel hashes what is armed by its user_data, but
 * walks all of it to find a descriptor: 1 ms beside 20,000 sockets. A chain that has not come to
 * its connect yet is found by neither: hence the tries. By descriptor comes last, because user_data
 * was seen to miss (liburing#1375), and then shutdown, for which the kernel needs a worker thread.
 */
static void prep_cancel(struct uring *u, struct uring_sock *k, struct io_uring_sqe *q)
{
	static const enum uring_op ops[] = {URING_OP_CONNECT, URING_OP_SEND, URING_OP_RECV};
	for (unsigned i = 0; i < ARRAY_LEN(ops) && k->cancel_tries < URING_CANCEL_HASHED; i++)
		if (k->flight & URING_FLIGHT(ops[i])) {
			io_uring_prep_cancel64(
			        q, user_data(ops[i], &k->slot), IORING_ASYNC_CANCEL_ALL);
			return;
		}
	io_uring_prep_cancel_fd(
	        q, k->fd, IORING_ASYNC_CANCEL_ALL | (u->direct ? IORING_ASYNC_CANCEL_FD_FIXED : 0));
}

static bool emit_cancel_all(struct uring *u, struct uring_sock *k)
{
	if (k->cancel_tries > URING_CANCEL_TRIES)
		return true;
	if (!sqe_room(u, 1))
		return false;
	struct io_uring_sqe *q = sqe_take(u);
	bool last = k->cancel_tries == URING_CANCEL_TRIES;
	if (last)
		io_uring_prep_shutdown(q, k->fd, SHUT_RDWR);
	else
		prep_cancel(u, k, q);
	k->cancel_tries++;
	sqe_tag(u, q, URING_OP_CANCEL, k);
	if (last && u->direct)
		q->flags |= IOSQE_FIXED_FILE;
	return true;
}

static bool emit_close(struct uring *u, struct uring_sock *k)
{
	if (!sqe_room(u, 1))
		return false;
	struct io_uring_sqe *q = sqe_take(u);
	if (u->direct)
		io_uring_prep_close_direct(q, (unsigned)k->fd);
	else
		io_uring_prep_close(q, k->fd);
	k->has_file = false;
	sqe_tag(u, q, URING_OP_CLOSE, k);
	return true;
}

/* U3, one step. */
static bool emit_closing(struct uring *u, struct uring_sock *k)
{
	const unsigned requests = URING_FLIGHT(URING_OP_CONNECT) | URING_FLIGHT(URING_OP_RECV) |
	                          URING_FLIGHT(URING_OP_SEND);
	if (k->flight & (URING_FLIGHT(URING_OP_CANCEL) | URING_FLIGHT(URING_OP_CLOSE)))
		return true;
	if (k->flight & requests)
		return emit_cancel_all(u, k);
	if (k->flight) /* a cancel of the receive: its completion comes back here */
		return true;
	if (k->has_file)
		return emit_close(u, k);
	slot_due(&u->slots, &k->slot, SLOT_CLOSED);
	return true;
}

static bool emit_reading(struct uring *u, struct uring_sock *k)
{
	const struct slot *x = &k->slot;
	bool wanted = x->state == IO_SOCK_OPEN && !k->throttled;
	if (k->flight & URING_FLIGHT(URING_OP_RECV)) {
		if (wanted || (k->flight & URING_FLIGHT(URING_OP_CANCEL_RECV)))
			return true;
		return emit_cancel_recv(u, k);
	}
	/* On the starved list it waits for a buffer first (U5). */
	if (!wanted || !list_empty(&x->aux))
		return true;
	return emit_recv(u, k);
}

/* What the socket wants now. False: no room, come back. */
static bool emit(struct uring *u, struct uring_sock *k)
{
	const struct slot *x = &k->slot;
	switch ((enum io_sock_state)x->state) {
	case IO_SOCK_NONE: return true;
	case IO_SOCK_CLOSING: return emit_closing(u, k);
	case IO_SOCK_CONNECTING: return k->started || emit_connect(u, k);
	case IO_SOCK_OPEN:
	case IO_SOCK_ENDED: break;
	}
	if (x->send_left && !(k->flight & URING_FLIGHT(URING_OP_SEND)) && !emit_send(u, k))
		return false;
	return emit_reading(u, k);
}

static void emit_wake(struct uring *u)
{
	if (u->wake_armed || !sqe_room(u, 1))
		return;
	struct io_uring_sqe *q = sqe_take(u);
	/* Never read: each write is an edge of its own, and the counter lasts for 2^64 wakes. */
	io_uring_prep_poll_multishot(q, u->wake_fd, POLLIN);
	io_uring_sqe_set_data64(q, (uint64_t)URING_OP_WAKE << 56);
	u->wake_armed = true;
}

/* In this order, whatever else they want. */
static void arm_again(struct uring *u, struct list *from, unsigned most)
{
	for (; most > 0 && !list_empty(from); most--) {
		struct slot *x = CONTAINER_OF(list_pop(from), struct slot, aux);
		list_unlink(&uring_sock_of(x)->todo);
		uring_want(u, uring_sock_of(x));
	}
}

static void emit_todo(struct uring *u)
{
	while (!list_empty(&u->todo)) {
		struct uring_sock *k = CONTAINER_OF(u->todo.next, struct uring_sock, todo);
		if (!emit(u, k))
			return;
		list_unlink(&k->todo);
	}
}

void uring_sqe_flush(struct uring *u)
{
	bufs_post(&u->bufs);
	emit_wake(u);
	arm_again(u, &u->starved, u->bufs.posted);
	list_move_all(&u->late, &u->sated);
	emit_todo(u);
}

void uring_sqe_flush_late(struct uring *u)
{
	arm_again(u, &u->late, u->bufs.posted);
	list_move_all(&u->starved, &u->late);
	emit_todo(u);
}

void uring_sqe_notify(struct uring *u, int eventfd)
{
	u->io.counters.notifies++;
	if (!sqe_room(u, 1)) { /* the ring is stuck for a moment; consumers need not be */
		if (write(eventfd, &one, sizeof one) < 0)
			u->io.counters.notify_errors++;
		return;
	}
	struct io_uring_sqe *q = sqe_take(u);
	io_uring_prep_write(q, eventfd, &one, sizeof one, 0);
	/* A consumer can fill the counter of its eventfd, and make it blocking: the write is
	 * dropped then, unless it does so in the middle of it (bell.h). */
	q->rw_flags = RWF_NOWAIT;
	q->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(q, (uint64_t)URING_OP_NOTIFY << 56);
}
