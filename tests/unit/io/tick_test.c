/* The turn itself: waiting and its end, wakes from other threads, eventfds, counters, the options
 * of sockets. */
#include "peer.h"
#include "rig.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

static void deadline_is_kept(void **state)
{
	struct rig *r = rig_new(state, 4);
	for (int i = 0; i < 5; i++) { /* whatever set-up leaves behind */
		rig_tick(r, 0);
	}
	struct io_counters a, b;
	io_counters(r->io, &a);
	uint64_t start = os_clock_ns();
	while (os_clock_ns() < start + 20000000)
		assert_int_equal(rig_tick(r, start + 20000000), 0);
	io_counters(r->io, &b);
	/* It slept: neither spinning nor a wait cut into slices. */
	assert_true(b.ticks - a.ticks <= 4);
	assert_true(b.enters - a.enters <= 8);
	assert_true(io_now_ns(r->io) >= start + 20000000);
	assert_true(io_clock_ns(r->io) >= io_now_ns(r->io));
	rig_tick(r, start); /* in the past: does not wait */
	rig_free(r);
}

/* The end of a connect is a reason to return too. */
static void tick_ends_at_connect_deadline(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct rig_hole hole = rig_hole_open();
	r->addr = hole.addr;
	struct conn *c = rig_start(r, 0, 20000000);
	const uint64_t far = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;
	struct io_counters n;
	while (c->connects == 0) {
		rig_tick(r, far);
		io_counters(r->io, &n);
		assert_true(n.ticks < 20); /* nor does it spin until then */
	}
	assert_int_equal(c->connect_err, ERR_CONN_TIMEOUT);
	assert_true(os_clock_ns() < far);
	/* It was our deadline, not the kernel's (8 s later): the request is still there. */
	if (io_kind_of(r->io) == IO_KIND_URING) {
		struct uring *u = uring_of(r->io);
		const struct uring_sock *k = uring_sock_of(slot_at(&u->slots, c->box->s.impl));
		assert_int_equal(k->flight, URING_FLIGHT(URING_OP_CONNECT));
	}
	rig_free(r);
	rig_hole_close(&hole);
}

static void tick_waits_for_bytes(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	for (int i = 0; i < 5; i++)
		rig_tick(r, 0);
	rig_peer_send(c, 100);
	uint64_t end = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;
	while (c->received < 100)
		rig_tick(r, end);
	assert_true(os_clock_ns() < end); /* ended by the bytes, not by time */
	rig_free(r);
}

struct waker {
	struct io *io;
	_Atomic unsigned asked, seen;
	unsigned n;
};

static void *wake_in_turns(void *arg)
{
	struct waker *w = arg;
	for (unsigned i = 1; i <= w->n; i++) {
		atomic_store_explicit(&w->asked, i, memory_order_relaxed);
		io_wake(w->io);
		while (atomic_load(&w->seen) < i) {
		}
	}
	return NULL;
}

/* Each wake is waited for before the next: one that is lost would leave the tick asleep until its
 * far deadline. */
static void wake_is_never_lost(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct waker w = {.io = r->io, .n = 3000};
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, wake_in_turns, &w), 0);
	uint64_t end = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;
	for (unsigned wakes = 0; atomic_load(&w.seen) < w.n;) {
		rig_tick(r, end);
		assert_true(os_clock_ns() < end);
		if (r->wakes == wakes)
			continue;
		wakes = r->wakes;
		atomic_store(&w.seen, atomic_load_explicit(&w.asked, memory_order_relaxed));
	}
	pthread_join(t, NULL);
	assert_true(r->wakes >= 3000);
	rig_free(r);
}

static void *wake_often(void *arg)
{
	struct waker *w = arg;
	for (unsigned i = 0; i < w->n; i++) {
		atomic_fetch_add_explicit(&w->asked, 1, memory_order_relaxed);
		io_wake(w->io);
	}
	return NULL;
}

/* Many threads, coalesced: after the last wake there is one more on_wake, and it sees everything.
 */
static void wakes_from_many_threads(void **state)
{
	enum { THREADS = 4 };
	struct rig *r = rig_new_with(*state, 4, 200);
	struct waker w = {.io = r->io, .n = 5000};
	pthread_t t[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, wake_often, &w), 0);
	uint64_t end = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;
	for (unsigned wakes = 0, seen = 0; seen < THREADS * w.n;) {
		rig_tick(r, end);
		assert_true(os_clock_ns() < end);
		if (r->wakes != wakes)
			seen = atomic_load_explicit(&w.asked, memory_order_relaxed);
		wakes = r->wakes;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_true(r->wakes <= THREADS * w.n);
	rig_free(r);
}

/* Lets the ring complete a request of ours with this user_data. */
static void complete_as(struct uring *u, unsigned op, uint64_t user_data, uint64_t target)
{
	struct io_uring_sqe *q = io_uring_get_sqe(&u->ring);
	io_uring_prep_rw((int)op, q, -1, (void *)(uintptr_t)target, 0, 0);
	io_uring_sqe_set_data64(q, user_data);
}

/* The kernel may end the poll that wakes stand on (an overflow does): it is set up again. */
static void wake_survives_its_poll(void **state)
{
	struct rig *r = rig_new(state, 4);
	for (int i = 0; i < 3; i++)
		rig_tick(r, 0);
	if (io_kind_of(r->io) == IO_KIND_URING) {
		const uint64_t wake = (uint64_t)URING_OP_WAKE << 56;
		complete_as(uring_of(r->io), IORING_OP_ASYNC_CANCEL,
		        (uint64_t)URING_OP_CANCEL << 56, wake);
		RIG_UNTIL(r, !uring_of(r->io)->wake_armed);
	}
	rig_tick(r, 0);
	io_wake(r->io);
	uint64_t end = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;
	while (r->wakes == 0)
		rig_tick(r, end);
	assert_true(os_clock_ns() < end);
	rig_free(r);
}

/* A completion of an earlier life of an index says nothing about the life of now. */
static void late_completion_is_dropped(void **state)
{
	struct rig *r = rig_new(state, 1);
	struct conn *old = rig_connect(r, 0);
	uint64_t stale = 0;
	if (io_kind_of(r->io) == IO_KIND_URING) {
		const struct slot *x = slot_at(&uring_of(r->io)->slots, old->box->s.impl);
		stale = (uint64_t)URING_OP_RECV << 56 | (uint64_t)(x->gen & 0xffffff) << 32 |
		        x->index;
	}
	rig_close(old);
	RIG_UNTIL(r, old->closes == 1);
	struct conn *c = rig_connect(r, 1);
	for (int i = 0; i < 3; i++)
		rig_tick(r, 0);
	if (stale) { /* "the stream is over", from the grave */
		complete_as(uring_of(r->io), IORING_OP_NOP, stale, 0);
		for (int i = 0; i < 5; i++)
			rig_tick(r, os_clock_ns() + 100000);
	}
	assert_int_equal(c->ends, 0);
	rig_peer_send(c, 100);
	RIG_UNTIL(r, c->received == 100);
	rig_free(r);
}

/* More eventfds than the smallest submission queue has room for; a full one is dropped and counted,
 * and blocks nobody. */
static void notify_eventfds(void **state)
{
	enum { N = 40 };
	struct rig *r = rig_new(state, 4);
	int fd[N];
	uint64_t v = UINT64_MAX - 1;
	for (int i = 0; i < N; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(write(fd[N - 1], &v, sizeof v), sizeof v);
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < N; i++)
			io_notify(r->io, fd[i]);
		rig_tick(r, 0);
		for (int i = 0; i < N - 1; i++) {
			assert_int_equal(read(fd[i], &v, sizeof v), sizeof v);
			assert_int_equal(v, 1);
		}
	}
	/* Its consumer makes it blocking, to stop us. */
	assert_int_equal(fcntl(fd[N - 1], F_SETFL, 0), 0);
	io_notify(r->io, fd[N - 1]);
	struct io_counters n;
	do {
		rig_tick(r, 0);
		io_counters(r->io, &n);
	} while (n.notify_errors < 4);
	assert_int_equal(n.notifies, 3 * N + 1);
	assert_int_equal(n.notify_errors, 4);
	for (int i = 0; i < N; i++)
		close(fd[i]);
	rig_free(r);
}

/* Busy with a batch wait: bytes and wakes come through. */
static void batches_when_busy(void **state)
{
	enum { N = 32 };
	struct rig *r = rig_new_with(*state, N, 2000);
	for (unsigned i = 0; i < N; i++)
		rig_connect(r, i);
	for (unsigned round = 1; round <= 200; round++) {
		for (unsigned i = 0; i < N; i++)
			rig_peer_send(&r->conns[i], 50);
		if (round % 50 == 0) {
			io_wake(r->io);
			unsigned wakes = r->wakes;
			RIG_UNTIL(r, r->wakes > wakes);
		}
		for (unsigned i = 0; i < N; i++)
			RIG_UNTIL(r, r->conns[i].received == round * 50);
	}
	rig_free(r);
}

/* The descriptor behind a connection, as a number that getsockopt takes. */
static int descriptor_of(struct rig *r, struct conn *c)
{
	struct sockaddr_in want, got;
	socklen_t n = sizeof want;
	if (io_kind_of(r->io) == IO_KIND_URING && uring_of(r->io)->direct) {
		struct uring *u = uring_of(r->io);
		struct io_uring_sqe *q = io_uring_get_sqe(&u->ring);
		enum { OP_FIXED_FD_INSTALL = 54 };
		io_uring_prep_rw(OP_FIXED_FD_INSTALL, q, (int)c->box->s.impl - 1, NULL, 0, 0);
		q->flags |= IOSQE_FIXED_FILE;
		io_uring_sqe_set_data64(q, (uint64_t)URING_OP_NOTIFY << 56);
		uring_enter(u, 1, IORING_ENTER_GETEVENTS, NULL);
		struct io_uring_cqe *e;
		assert_int_equal(io_uring_peek_cqe(&u->ring, &e), 0);
		int fd = e->res;
		io_uring_cqe_seen(&u->ring, e);
		return fd;
	}
	assert_int_equal(getpeername(c->peer, (struct sockaddr *)&want, &n), 0);
	for (int fd = 3; fd < 200; fd++) {
		n = sizeof got;
		if (fd != c->peer && getsockname(fd, (struct sockaddr *)&got, &n) == 0 &&
		        got.sin_family == AF_INET && got.sin_port == want.sin_port)
			return dup(fd);
	}
	return -1;
}

static int option_of(int fd, int level, int name)
{
	int v = -1;
	socklen_t n = sizeof v;
	assert_int_equal(getsockopt(fd, level, name, &v, &n), 0);
	return v;
}

static void socket_options_are_set(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	for (int i = 0; i < 5; i++)
		rig_tick(r, 0);
	int fd = descriptor_of(r, c);
	assert_true(fd >= 0);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 2);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 6);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 8000);
	/* Timers of more than 2 s end in bursts: what of them a full backlog drops is lost. */
	assert_true(IO_KEEPALIVE_IDLE_S <= 2 && IO_KEEPALIVE_INTERVAL_S <= 2);
	/* Within 10 s: dead when a probe would be due at or after the user timeout. But not for
	 * five that were lost on the way. */
	int dead = IO_KEEPALIVE_IDLE_S, probes = 0;
	for (; dead * 1000 < IO_USER_TIMEOUT_MS; probes++)
		dead += IO_KEEPALIVE_INTERVAL_S;
	assert_true(probes > 5);
	assert_true(dead <= 10);
	close(fd);
	rig_free(r);
}

static void counters_count(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct io_counters n;
	struct conn *c = rig_connect(r, 0);
	rig_peer_send(c, 5000);
	RIG_UNTIL(r, c->received == 5000);
	assert_int_equal(io_send(r->io, &c->box->s, "12345", 5), ERR_OK);
	RIG_UNTIL(r, c->sents == 1);
	rig_close(c);
	RIG_UNTIL(r, c->closes == 1);
	io_counters(r->io, &n);
	assert_int_equal(n.connects, 1);
	assert_int_equal(n.closes, 1);
	assert_int_equal(n.recv_bytes, 5000);
	assert_int_equal(n.recvs, c->recvs);
	assert_int_equal(n.sent_bytes, 5);
	assert_true(n.completions >= 2);
	assert_int_equal(n.ticks, r->tick);
	assert_true(n.enters > 0);
	rig_free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(deadline_is_kept),
	        cmocka_unit_test(tick_ends_at_connect_deadline),
	        cmocka_unit_test(tick_waits_for_bytes),
	        cmocka_unit_test(wake_is_never_lost),
	        cmocka_unit_test(wakes_from_many_threads),
	        cmocka_unit_test(wake_survives_its_poll),
	        cmocka_unit_test(late_completion_is_dropped),
	        cmocka_unit_test(notify_eventfds),
	        cmocka_unit_test(batches_when_busy),
	        cmocka_unit_test(socket_options_are_set),
	        cmocka_unit_test(counters_count),
	};
	return rig_main(tests, ARRAY_LEN(tests));
}
