#include "io/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "io/os.h"
#include "io/slot.h"

enum { EVENTS_MAX = 512 };

/* Owner: struct epoll. Thread: the reactor's. */
struct epoll_sock {
	struct slot slot;
	int fd;
	bool readable, writable; /* by the last edge, until EAGAIN or a short count */
	bool hup;                /* a FIN or an error is behind the bytes: read until it shows */
};

/* Owner: the reactor, through struct io. Thread: the reactor's, but wake_pending and wake_fd: any.
 * Life: epoll_open to close_all. */
struct epoll {
	struct io io;
	struct slot_table slots;
	struct list dying; /* closed since the last tick: slot.run */
	char *buffer;      /* own: IO_PASS_BYTES + IO_SLACK */
	int fd, wake_fd;
	bool coarse; /* no epoll_pwait2 (Linux 5.11): milliseconds */
	_Atomic unsigned wake_pending;
	struct epoll_event events[EVENTS_MAX];
};

static struct epoll *epoll_of(struct io *io)
{
	return CONTAINER_OF(io, struct epoll, io);
}
static struct epoll_sock *sock_of(struct slot *x)
{
	return CONTAINER_OF(x, struct epoll_sock, slot);
}

static uint64_t tag_of(const struct slot *x)
{
	return (uint64_t)x->gen << 32 | x->index;
}

static void send_some(struct epoll *e, struct epoll_sock *k)
{
	struct slot *x = &k->slot;
	while (x->send_left && k->writable) {
		e->io.counters.enters++;
		ssize_t n = send(k->fd, x->send_at, x->send_left, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			e->io.counters.sent_bytes += (size_t)n;
			x->send_at += n;
			x->send_left -= (size_t)n;
			if (x->send_left == 0)
				slot_due(&e->slots, x, SLOT_SENT);
		} else if (errno == EAGAIN) {
			k->writable = false;
		} else if (errno != EINTR) {
			slot_send_failed(&e->slots, x, os_err(errno));
			/* The read side says when it is over (slot_send_failed). */
			k->readable = k->hup = true;
			if (x->state == IO_SOCK_OPEN)
				slot_due(&e->slots, x, SLOT_RECV);
		}
	}
}

static void connect_done(struct epoll *e, struct epoll_sock *k)
{
	int err = 0;
	socklen_t n = sizeof err;
	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
		err = errno;
	slot_connected(&e->slots, &k->slot, os_err(err));
}

static void on_event(struct epoll *e, struct epoll_sock *k, uint32_t events)
{
	struct slot *x = &k->slot;
	if (x->state == IO_SOCK_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		connect_done(e, k);
	if (x->state != IO_SOCK_OPEN)
		return;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		k->hup = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		k->readable = true;
		slot_due(&e->slots, x, SLOT_RECV);
	}
	if (events & EPOLLOUT) {
		k->writable = true;
		send_some(e, k);
	}
}

/* One receive; false when this socket has nothing more to give now. */
static bool recv_once(struct epoll *e, struct epoll_sock *k, size_t *room)
{
	struct slot *x = &k->slot;
	e->io.counters.enters++;
	ssize_t n = recv(k->fd, e->buffer, *room, MSG_DONTWAIT);
	if (n > 0) {
		/* A short count means that the socket is empty; a later byte is a new edge
		 * (epoll(7)). */
		k->readable = k->hup || (size_t)n == *room;
		*room -= (size_t)n;
		e->io.counters.recvs++;
		e->io.counters.recv_bytes += (size_t)n;
		e->io.handlers->on_recv(e->io.owner, x->s, e->buffer, (size_t)n);
	} else if (n == 0) {
		k->readable = false;
		slot_ended(&e->slots, x, ERR_CONN_CLOSED);
	} else if (errno == EAGAIN) {
		k->readable = false;
	} else if (errno != EINTR) {
		k->readable = false;
		slot_ended(&e->slots, x, os_err(errno));
	}
	return k->readable && x->state == IO_SOCK_OPEN;
}

/* slot_deliver_fn. */
static size_t epoll_deliver(struct slot_table *t, struct slot *x)
{
	struct epoll *e = epoll_of(t->io);
	struct epoll_sock *k = sock_of(x);
	size_t room = IO_PASS_BYTES;
	bool more = k->readable && x->state == IO_SOCK_OPEN;
	while (more && room)
		more = recv_once(e, k, &room);
	if (!more)
		x->due &= (uint8_t)~SLOT_RECV;
	return IO_PASS_BYTES - room;
}

/* --- the table of functions --- */

static int wait_events(struct epoll *e, uint64_t deadline_ns)
{
	uint64_t now = deadline_ns ? os_clock_ns() : 0;
	uint64_t until = slot_next_deadline(&e->slots);
	if (deadline_ns < until)
		until = deadline_ns;
	uint64_t ns = until > now && !slot_busy(&e->slots) ? until - now : 0;
	e->io.counters.enters++;
	if (!e->coarse) {
		struct timespec ts = {
		        .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
		int n = epoll_pwait2(e->fd, e->events, EVENTS_MAX, &ts, NULL);
		if (n >= 0 || errno != ENOSYS)
			return n;
		e->coarse = true;
	}
	uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);
	return epoll_wait(e->fd, e->events, EVENTS_MAX, ms < INT32_MAX ? (int)ms : INT32_MAX);
}

static void reap(struct epoll *e)
{
	for (struct list *it; (it = list_pop(&e->dying));)
		slot_due(&e->slots, CONTAINER_OF(it, struct slot, run), SLOT_CLOSED);
}

static int epoll_tick(struct io *io, uint64_t deadline_ns)
{
	struct epoll *e = epoll_of(io);
	io->counters.ticks++;
	reap(e);
	int n = wait_events(e, deadline_ns);
	CHECK(n >= 0 || errno == EINTR);
	io->now_ns = os_clock_ns();
	for (int i = 0; i < n; i++) {
		uint64_t tag = e->events[i].data.u64;
		uint32_t index = (uint32_t)tag;
		if (index == 0) /* the wake-up: it only had to end the wait */
			continue;
		struct slot *x = slot_at(&e->slots, index);
		if (x->s && tag_of(x) == tag)
			on_event(e, sock_of(x), e->events[i].events);
	}
	slot_expire(&e->slots, io->now_ns);
	if (n > 0)
		io->counters.completions += (unsigned)n;
	/* Pairs with epoll_wake. */
	if (atomic_load_explicit(&e->wake_pending, memory_order_relaxed) &&
	        atomic_exchange_explicit(&e->wake_pending, 0, memory_order_acquire))
		io->handlers->on_wake(io->owner);
	slot_dispatch(&e->slots);
	return n > 0 ? n : 0;
}

static void epoll_wake(struct io *io)
{
	struct epoll *e = epoll_of(io);
	/* Release: what the caller wrote before is seen by on_wake. */
	if (atomic_exchange_explicit(&e->wake_pending, 1, memory_order_acq_rel))
		return;
	uint64_t v = 1;
	ssize_t r = write(e->wake_fd, &v, sizeof v); /* never read: each write is an edge */
	CHECK(r == sizeof v);
}

static void epoll_notify(struct io *io, int eventfd)
{
	uint64_t v = 1;
	io->counters.notifies++;
	io->counters.enters++;
	/* Whoever shares the eventfd can make it blocking; then it gets no wakes. Between check and
	 * write it still could (bell.h). */
	int flags = fcntl(eventfd, F_GETFL);
	if (flags < 0 || !(flags & O_NONBLOCK) || write(eventfd, &v, sizeof v) < 0)
		io->counters.notify_errors++;
}

static uint64_t epoll_clock_ns(struct io *io)
{
	(void)io;
	return os_clock_ns();
}

static err_t epoll_connect(struct io *io, struct io_sock *s, const struct sockaddr *addr,
        socklen_t addr_len, uint64_t timeout_ns)
{
	struct epoll *e = epoll_of(io);
	if (!os_addr_ok(addr, addr_len))
		return ERR_ARGUMENT;
	struct slot *x = slot_open(&e->slots, s, timeout_ns);
	if (!x)
		return ERR_LIMIT;
	struct epoll_sock *k = sock_of(x);
	k->readable = k->writable = k->hup = false;
	err_t err = os_socket(addr->sa_family, SOCK_NONBLOCK, &k->fd);
	if (err != ERR_OK) {
		slot_release(&e->slots, x);
		return err;
	}
	if (connect(k->fd, addr, addr_len) != 0 && errno != EINPROGRESS) {
		slot_connected(&e->slots, x, os_err(errno));
		return ERR_OK;
	}
	struct epoll_event ev = {
	        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = tag_of(x)};
	if (epoll_ctl(e->fd, EPOLL_CTL_ADD, k->fd, &ev) != 0) {
		err = errno == ENOSPC ? ERR_LIMIT : os_err(errno);
		close(k->fd);
		slot_release(&e->slots, x);
	}
	return err;
}

static err_t epoll_send(struct io *io, struct io_sock *s, const void *data, size_t n)
{
	struct epoll *e = epoll_of(io);
	struct slot *x = slot_of(&e->slots, s);
	bool now;
	err_t err = slot_send(&e->slots, x, data, n, &now);
	if (now)
		send_some(e, sock_of(x));
	return err;
}

static void epoll_close(struct io *io, struct io_sock *s)
{
	struct epoll *e = epoll_of(io);
	struct slot *x = slot_of(&e->slots, s);
	if (!x || x->state == IO_SOCK_CLOSING)
		return;
	slot_close(x);
	close(sock_of(x)->fd);
	list_push(&e->dying, &x->run);
}

/* --- open and close --- */

static void epoll_free(struct epoll *e)
{
	if (e->fd >= 0)
		close(e->fd);
	if (e->wake_fd >= 0)
		close(e->wake_fd);
	slot_table_fini(&e->slots);
	free(e->buffer);
	free(e);
}

static void epoll_close_all(struct io *io)
{
	struct epoll *e = epoll_of(io);
	for (uint32_t i = 1; i <= e->slots.count; i++) {
		struct slot *x = slot_at(&e->slots, i);
		if (!x->s)
			continue;
		epoll_close(io, x->s);
		slot_release(&e->slots, x);
	}
	epoll_free(e);
}

static const struct io_ops epoll_ops = {
        .kind = IO_KIND_EPOLL,
        .close_all = epoll_close_all,
        .clock_ns = epoll_clock_ns,
        .connect = epoll_connect,
        .send = epoll_send,
        .close = epoll_close,
        .notify = epoll_notify,
        .tick = epoll_tick,
        .wake = epoll_wake,
};

int epoll_open(const struct io_config *config, struct io **out, const char **step)
{
	*step = "memory";
	struct epoll *e = calloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	e->io = (struct io){.ops = &epoll_ops,
	        .handlers = config->handlers,
	        .owner = config->owner,
	        .now_ns = os_clock_ns()};
	e->fd = e->wake_fd = -1;
	list_init(&e->dying);
	int r = -ENOMEM;
	e->buffer = calloc(1, IO_PASS_BYTES + IO_SLACK);
	if (!e->buffer || !slot_table_init(&e->slots, &e->io, sizeof(struct epoll_sock),
	                          epoll_deliver, config->sockets_max))
		goto fail;
	slot_table_share(&e->slots, config);
	*step = "epoll_create1";
	e->fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->fd < 0)
		goto fail_errno;
	*step = "eventfd";
	e->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (e->wake_fd < 0)
		goto fail_errno;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
	*step = "epoll_ctl";
	if (epoll_ctl(e->fd, EPOLL_CTL_ADD, e->wake_fd, &ev) != 0)
		goto fail_errno;
	*out = &e->io;
	return 0;
fail_errno:
	r = -errno;
fail:
	epoll_free(e);
	return r;
}
