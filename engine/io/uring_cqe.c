#include "io/uring.h"

#include <errno.h>

#include "base/check.h"
#include "io/os.h"

static void queue_received(struct uring *u, struct uring_sock *k, uint16_t id, unsigned n)
{
	u->bufs.held[id] = (struct bufs_held){.next = BUFS_NONE, .n = (uint16_t)n};
	if (k->q_head == BUFS_NONE)
		k->q_head = id;
	else
		u->bufs.held[k->q_tail].next = id;
	k->q_tail = id;
	k->q_bytes += n;
	k->served = true;
	bufs_filled(&u->bufs, n);
	u->io.counters.recvs++;
	u->io.counters.recv_bytes += n;
	slot_due(&u->slots, &k->slot, SLOT_RECV);
}

/* The multishot receive is over: bytes, an end, or a reason to arm it again. */
static void recv_over(struct uring *u, struct uring_sock *k, int res)
{
	struct slot *x = &k->slot;
	k->flight &= (uint16_t)~URING_FLIGHT(URING_OP_RECV);
	if (x->state == IO_SOCK_OPEN) {
		if (res == 0) {
			slot_ended(&u->slots, x, ERR_CONN_CLOSED);
		} else if (res == -ENOBUFS) {
			u->io.counters.no_buffers++;
			list_push(k->served ? &u->sated : &u->starved, &x->aux);
			return;
		} else if (res < 0 && res != -ECANCELED && res != -EINTR && res != -EAGAIN) {
			slot_ended(&u->slots, x, os_err(-res));
		}
	}
	uring_want(u, k);
}

static void on_recv(struct uring *u, struct uring_sock *k, const struct io_uring_cqe *c)
{
	/* The cancel of a throttled receive missed (liburing#1375): it shows itself, try again. */
	if (k->throttled && !(k->flight & URING_FLIGHT(URING_OP_CANCEL_RECV)))
		uring_want(u, k);
	if (!(c->flags & IORING_CQE_F_MORE))
		recv_over(u, k, c->res);
}

static void on_send(struct uring *u, struct uring_sock *k, int res)
{
	struct slot *x = &k->slot;
	k->flight &= (uint16_t)~URING_FLIGHT(URING_OP_SEND);
	if (x->state != IO_SOCK_OPEN && x->state != IO_SOCK_ENDED) {
		uring_want(u, k);
	} else if (res == -EAGAIN || res == -EINTR) {
		uring_want(u, k);
	} else if (res < 0) {
		slot_send_failed(&u->slots, x, os_err(-res));
		uring_want(u, k);
	} else {
		u->io.counters.sent_bytes += (unsigned)res;
		x->send_at += res;
		x->send_left -= (unsigned)res;
		if (x->send_left)
			uring_want(u, k);
		else
			slot_due(&u->slots, x, SLOT_SENT);
	}
}

static void on_socket(struct uring *u, struct uring_sock *k, const struct io_uring_cqe *c)
{
	enum uring_op op = (enum uring_op)(c->user_data >> 56);
	if (op == URING_OP_RECV) {
		on_recv(u, k, c);
		return;
	}
	if (op == URING_OP_SEND) {
		on_send(u, k, c->res);
		return;
	}
	k->flight &= (uint16_t)~URING_FLIGHT(op);
	if (op == URING_OP_CONNECT)
		slot_connected(&u->slots, &k->slot, os_err(-c->res));
	/* One that missed waits for the next sign of the receive (on_recv): asking again at
	 * once could spin. */
	if (op == URING_OP_CANCEL_RECV && k->slot.state != IO_SOCK_CLOSING)
		return;
	/* A cancel that found something: its completion is on the way, and wants the next step
	 * itself. */
	if (op != URING_OP_CANCEL || c->res <= 0 || !k->flight)
		uring_want(u, k);
}

/* One completion. */
static void on_cqe(struct uring *u, const struct io_uring_cqe *c)
{
	uint32_t index = (uint32_t)c->user_data;
	struct slot *x = index ? slot_at(&u->slots, index) : NULL;
	bool current = x && x->s && (x->gen & 0xffffff) == ((c->user_data >> 32) & 0xffffff);
	struct uring_sock *k = current ? uring_sock_of(x) : NULL;
	if (c->flags & IORING_CQE_F_BUFFER) {
		uint16_t id = (uint16_t)(c->flags >> IORING_CQE_BUFFER_SHIFT);
		bufs_taken(&u->bufs);
		if (current && x->state == IO_SOCK_OPEN && c->res > 0)
			queue_received(u, k, id, (unsigned)c->res);
		else
			bufs_give(&u->bufs, id);
	}
	if (current) {
		on_socket(u, k, c);
		return;
	}
	switch ((enum uring_op)(c->user_data >> 56)) {
	case URING_OP_WAKE: u->wake_armed = c->flags & IORING_CQE_F_MORE; break;
	case URING_OP_NOTIFY: u->io.counters.notify_errors++; break;
	default: break; /* an older generation: U2 */
	}
}

static int take_all(struct uring *u)
{
	struct io_uring_cqe *c;
	unsigned head, n = 0;
	io_uring_for_each_cqe(&u->ring, head, c)
	{
		on_cqe(u, c);
		n++;
	}
	io_uring_cq_advance(&u->ring, n);
	return (int)n;
}

int uring_cqe_collect(struct uring *u)
{
	int n = take_all(u);
	for (int i = 0; i < URING_REENTERS_MAX; i++) {
		unsigned flags = IO_URING_READ_ONCE(*u->ring.sq.kflags);
		if (flags & IORING_SQ_CQ_OVERFLOW)
			u->io.counters.cq_overflows++;
		else if (!(flags & IORING_SQ_TASKRUN) || n < URING_BACKLOG ||
		         n >= (int)uring_batch(u))
			break;
		uring_enter(u, 0, IORING_ENTER_GETEVENTS, NULL);
		n += take_all(u);
	}
	u->io.counters.completions += (unsigned)n;
	return n;
}
