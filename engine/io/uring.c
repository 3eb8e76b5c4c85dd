#include "io/uring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "io/os.h"

/* --- entering the kernel --- */

/* Makes the prepared submissions visible. By hand, because liburing has no call that both submits
 * and waits with a minimum wait; the array is the identity, as liburing keeps it. */
static unsigned publish(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;
	unsigned tail = *sq->ktail;
	for (; sq->sqe_head != sq->sqe_tail; sq->sqe_head++, tail++)
		sq->array[tail & sq->ring_mask] = sq->sqe_head & sq->ring_mask;
	io_uring_smp_store_release(sq->ktail, tail);
	return tail - io_uring_smp_load_acquire(sq->khead);
}

void uring_enter(
        struct uring *u, unsigned min_complete, unsigned flags, const struct uring_wait_arg *arg)
{
	unsigned n = publish(u);
	if (u->ring.enter_ring_fd != u->ring.ring_fd)
		flags |= IORING_ENTER_REGISTERED_RING;
	if (arg)
		flags |= IORING_ENTER_EXT_ARG;
	u->io.counters.enters++;
	int r = io_uring_enter2((unsigned)u->ring.enter_ring_fd, n, min_complete, flags,
	        (sigset_t *)(uintptr_t)arg, sizeof *arg);
	/* Time is over, a signal, completions to be taken first (EBUSY), no memory for requests
	 * just now (EAGAIN): the next tick does the rest. Anything else means that a completion is
	 * lost or a pointer is wrong. */
	CHECK(r >= 0 || r == -ETIME || r == -EINTR || r == -EBUSY || r == -EAGAIN);
}

/* Waiting a little for more pays when at least two completions are expected within that time; else
 * the first one is worth more than the wake-up that a batch saves. */
static bool busy(const struct uring *u)
{
	return u->rate_n * u->batch_wait_us * 1000 > 2 * 256 * u->rate_ns;
}

static void rate_add(struct uring *u, int n, uint64_t ns)
{
	/* An idle hour is no different from an idle moment. */
	uint64_t cap = (uint64_t)u->batch_wait_us * 8000;
	u->rate_n += ((uint64_t)n << 8) - u->rate_n / 8;
	u->rate_ns += (ns < cap ? ns : cap) - u->rate_ns / 8;
}

static void enter_and_wait(struct uring *u, uint64_t deadline_ns)
{
	uint64_t now = deadline_ns ? os_clock_ns() : 0;
	uint64_t until = slot_next_deadline(&u->slots);
	if (deadline_ns < until)
		until = deadline_ns;
	bool stuck = !list_empty(&u->todo) || !list_empty(&u->starved) || !list_empty(&u->late);
	if (until <= now || slot_busy(&u->slots) || stuck) {
		const unsigned pending = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
		if (io_uring_sq_ready(&u->ring) ||
		        (IO_URING_READ_ONCE(*u->ring.sq.kflags) & pending))
			uring_enter(u, 0, IORING_ENTER_GETEVENTS, NULL);
		return;
	}
	uint64_t ns = until - now;
	struct __kernel_timespec ts = {
	        .tv_sec = (int64_t)(ns / 1000000000u), .tv_nsec = (int64_t)(ns % 1000000000u)};
	struct uring_wait_arg arg = {.sigmask_bytes = _NSIG / 8, .ts = (uintptr_t)&ts};
	unsigned n = 1;
	if (u->min_wait && u->batch_wait_us && busy(u)) {
		arg.min_wait_usec = u->batch_wait_us;
		n = uring_batch(u);
	}
	uring_enter(u, n, IORING_ENTER_GETEVENTS, &arg);
}

/* --- the table of functions --- */

static int uring_tick(struct io *io, uint64_t deadline_ns)
{
	struct uring *u = uring_of(io);
	uint64_t before = io->now_ns;
	io->counters.ticks++;
	uring_sqe_flush(u);
	enter_and_wait(u, deadline_ns);
	io->now_ns = os_clock_ns();
	int n = uring_cqe_collect(u);
	if (!list_empty(&u->late)) { /* U5 */
		uring_sqe_flush_late(u);
		uring_enter(u, 0, IORING_ENTER_GETEVENTS, NULL);
		n += uring_cqe_collect(u);
	}
	slot_expire(&u->slots, io->now_ns);
	rate_add(u, n, io->now_ns - before);
	/* The completion only ends the wait; the flag says that somebody called (pairs with
	 * uring_wake). */
	if (atomic_load_explicit(&u->wake_pending, memory_order_relaxed) &&
	        atomic_exchange_explicit(&u->wake_pending, 0, memory_order_acquire))
		io->handlers->on_wake(io->owner);
	slot_dispatch(&u->slots);
	return n;
}

static void uring_wake(struct io *io)
{
	struct uring *u = uring_of(io);
	/* Release: what the caller wrote before is seen by on_wake. A flag that is already set has
	 * an eventfd write behind it that the reactor has not answered yet. */
	if (atomic_exchange_explicit(&u->wake_pending, 1, memory_order_acq_rel))
		return;
	uint64_t v = 1;
	ssize_t r = write(u->wake_fd, &v, sizeof v);
	CHECK(r == sizeof v);
}

static void uring_notify(struct io *io, int eventfd)
{
	uring_sqe_notify(uring_of(io), eventfd);
}
static uint64_t uring_clock_ns(struct io *io)
{
	(void)io;
	return os_clock_ns();
}

static err_t uring_connect(struct io *io, struct io_sock *s, const struct sockaddr *addr,
        socklen_t addr_len, uint64_t timeout_ns)
{
	struct uring *u = uring_of(io);
	if (!os_addr_ok(addr, addr_len))
		return ERR_ARGUMENT;
	struct slot *x = slot_open(&u->slots, s, timeout_ns);
	if (!x)
		return ERR_LIMIT;
	struct uring_sock *k = uring_sock_of(x);
	memcpy(&k->addr, addr, addr_len);
	k->addr_len = addr_len;
	k->q_head = k->q_tail = BUFS_NONE;
	k->q_bytes = 0;
	k->flight = 0;
	k->cancel_tries = 0;
	k->armed_once = k->throttled = k->has_file = k->started = false;
	k->fd = (int)x->index - 1;
	if (!u->direct) {
		err_t err = os_socket(addr->sa_family, 0, &k->fd);
		if (err != ERR_OK) {
			slot_release(&u->slots, x);
			return err;
		}
		k->has_file = true;
	}
	uring_want(u, k);
	return ERR_OK;
}

static err_t uring_send(struct io *io, struct io_sock *s, const void *data, size_t n)
{
	struct uring *u = uring_of(io);
	struct slot *x = slot_of(&u->slots, s);
	bool now;
	err_t err = slot_send(&u->slots, x, data, n, &now);
	if (now)
		uring_want(u, uring_sock_of(x));
	return err;
}

/* Gives back all buffers of the socket's queue. */
static void drop_received(struct uring *u, struct uring_sock *k)
{
	while (k->q_head != BUFS_NONE) {
		uint16_t id = k->q_head;
		k->q_head = u->bufs.held[id].next;
		bufs_give(&u->bufs, id);
	}
	k->q_bytes = 0;
}

static void uring_close(struct io *io, struct io_sock *s)
{
	struct uring *u = uring_of(io);
	struct slot *x = slot_of(&u->slots, s);
	if (!x || x->state == IO_SOCK_CLOSING)
		return;
	slot_close(x);
	drop_received(u, uring_sock_of(x));
	uring_want(u, uring_sock_of(x));
}

/* slot_deliver_fn. The handler may close the socket: then the queue is empty when it returns. */
static size_t uring_deliver(struct slot_table *t, struct slot *x)
{
	struct uring *u = uring_of(t->io);
	struct uring_sock *k = uring_sock_of(x);
	size_t done = 0;
	while (k->q_head != BUFS_NONE) {
		uint16_t id = k->q_head;
		size_t n = u->bufs.held[id].n;
		if (done + n > IO_PASS_BYTES)
			break;
		k->q_head = u->bufs.held[id].next;
		k->q_bytes -= (uint32_t)n;
		t->io->handlers->on_recv(t->io->owner, x->s, bufs_at(&u->bufs, id), n);
		bufs_give(&u->bufs, id);
		done += n;
	}
	if (k->q_head == BUFS_NONE)
		x->due &= (uint8_t)~SLOT_RECV;
	bool throttled = k->q_bytes >= IO_PASS_BYTES;
	if (throttled != k->throttled) {
		k->throttled = throttled;
		uring_want(u, k);
	}
	return done;
}

static struct span uring_peek(struct slot_table *t, struct slot *x)
{
	const struct bufs *b = &uring_of(t->io)->bufs;
	uint16_t id = uring_sock_of(x)->q_head;
	return id == BUFS_NONE ? SPAN_NONE : (struct span){bufs_at(b, id), b->held[id].n};
}

/* --- open and close --- */

static bool drained(struct uring *u)
{
	for (struct list *it; (it = list_pop(&u->slots.run));) {
		struct slot *x = CONTAINER_OF(it, struct slot, run);
		if (x->due & SLOT_CLOSED)
			slot_release(&u->slots, x);
	}
	return u->slots.live == 0;
}

static void uring_close_all(struct io *io)
{
	struct uring *u = uring_of(io);
	for (uint32_t i = 1; i <= u->slots.count; i++) {
		struct slot *x = slot_at(&u->slots, i);
		if (x->s)
			uring_close(io, x->s);
	}
	uint64_t end = os_clock_ns() + (uint64_t)URING_DRAIN_MS * 1000000u;
	struct __kernel_timespec ts = {.tv_nsec = 1000000};
	struct uring_wait_arg arg = {.sigmask_bytes = _NSIG / 8, .ts = (uintptr_t)&ts};
	while (!drained(u) && os_clock_ns() < end) {
		uring_sqe_flush(u);
		uring_enter(u, slot_busy(&u->slots) ? 0 : 1, IORING_ENTER_GETEVENTS, &arg);
		uring_cqe_collect(u);
	}
	io_uring_queue_exit(&u->ring);
	bufs_fini(&u->bufs);
	slot_table_fini(&u->slots);
	close(u->wake_fd);
	free(u);
}

static const struct io_ops uring_ops = {
        .kind = IO_KIND_URING,
        .close_all = uring_close_all,
        .clock_ns = uring_clock_ns,
        .connect = uring_connect,
        .send = uring_send,
        .close = uring_close,
        .notify = uring_notify,
        .tick = uring_tick,
        .wake = uring_wake,
};

/* -ENOSYS when the kernel has a ring but not all that we need of it (gVisor, a filtered kernel). */
static int probe_opcodes(struct io_uring *ring, bool direct)
{
	static const uint8_t needed[] = {IORING_OP_CONNECT, IORING_OP_SEND, IORING_OP_RECV,
	        IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE, IORING_OP_POLL_ADD, IORING_OP_WRITE,
	        IORING_OP_SHUTDOWN, IORING_OP_SOCKET, IORING_OP_URING_CMD};
	enum { OPS = 64, DIRECT_ONLY = 2 };
	union {
		struct io_uring_probe p;
		char bytes[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)];
	} probe;
	memset(&probe, 0, sizeof probe);
	int r = io_uring_register_probe(ring, &probe.p, OPS);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(needed) - (direct ? 0 : DIRECT_ONLY); i++)
		if (!io_uring_opcode_supported(&probe.p, needed[i]))
			return -ENOSYS;
	return 0;
}

static int open_ring(struct uring *u, const struct io_config *c, const struct uring_tuning *t)
{
	unsigned cq = URING_CQ_ENTRIES;
	while (cq < 2 * c->sockets_max && cq < URING_CQ_ENTRIES_MAX)
		cq *= 2;
	struct io_uring_params p = {
	        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
	        .cq_entries = t->cq_entries ? t->cq_entries : cq,
	};
	int r = io_uring_queue_init_params(
	        t->sq_entries ? t->sq_entries : URING_SQ_ENTRIES, &u->ring, &p);
	if (r < 0)
		return r;
	u->direct = (p.features & KR_FEAT_RW_ATTR) && !t->no_direct;
	u->min_wait = (p.features & KR_FEAT_MIN_TIMEOUT) && !t->no_min_wait;
	if (!u->direct)
		slot_table_share(&u->slots, c);
	(void)io_uring_register_ring_fd(&u->ring); /* saves a lookup per enter; not needed */
	return 0;
}

/* Everything that hangs on the ring. On an error the caller closes the ring. */
static int open_rest(struct uring *u, const struct io_config *c, const char **step)
{
	*step = "io_uring_register(probe)";
	int r = probe_opcodes(&u->ring, u->direct);
	if (r < 0)
		return r;
	*step = "io_uring_register(files)";
	r = u->direct ? io_uring_register_files_sparse(&u->ring, c->sockets_max) : 0;
	if (r < 0)
		return r;
	unsigned posted = c->recv_buffers ? c->recv_buffers : URING_BUFFERS;
	u->slots.rounds = true;
	u->slots.peek = uring_peek;
	*step = "io_uring_register(buffers)";
	r = bufs_init(&u->bufs, &u->ring, posted, URING_BUFFERS_MIN);
	if (r < 0)
		return r;
	*step = "eventfd";
	u->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return u->wake_fd < 0 ? -errno : 0;
}

int uring_open(const struct io_config *config, const struct uring_tuning *tuning, struct io **out,
        const char **step)
{
	static const struct uring_tuning none = {0};
	*step = "memory";
	struct uring *u = calloc(1, sizeof *u);
	if (!u)
		return -ENOMEM;
	u->io = (struct io){.ops = &uring_ops,
	        .handlers = config->handlers,
	        .owner = config->owner,
	        .now_ns = os_clock_ns()};
	u->batch_wait_us = config->batch_wait_us;
	u->wake_fd = -1;
	list_init(&u->todo);
	list_init(&u->starved);
	list_init(&u->sated);
	list_init(&u->late);
	int r = -ENOMEM;
	if (!slot_table_init(&u->slots, &u->io, sizeof(struct uring_sock), uring_deliver,
	            config->sockets_max))
		goto fail;
	for (uint32_t i = 1; i <= config->sockets_max; i++)
		list_init(&uring_sock_of(slot_at(&u->slots, i))->todo);
	*step = "io_uring_setup";
	r = open_ring(u, config, tuning ? tuning : &none);
	if (r < 0)
		goto fail;
	r = open_rest(u, config, step);
	if (r < 0) {
		io_uring_queue_exit(&u->ring);
		goto fail;
	}
	*out = &u->io;
	return 0;
fail:
	bufs_fini(&u->bufs);
	slot_table_fini(&u->slots);
	free(u);
	return r;
}
