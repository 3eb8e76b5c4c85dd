/* Calls that fail or do less than asked: the calls below stand in for those of the libraries, and
 * fail while the rig is inside io_tick() or when told to. Nothing may be lost, doubled or leaked.
 */
#include "peer.h"
#include "rig.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static struct {
	struct rig *rig; /* whose ticks are disturbed */
	struct prng rnd;
	unsigned percent;
	uint64_t hits;
	int socket_errno, option_errno, ctl_errno; /* of io_connect */
} faults;

static bool strikes(void)
{
	if (!faults.rig || !faults.rig->in_tick || prng_below(&faults.rnd, 100) >= faults.percent)
		return false;
	faults.hits++;
	return true;
}

/* Replaces liburing's: the kernel took nothing, and says why. */
int io_uring_enter2(
        unsigned fd, unsigned n, unsigned min, unsigned flags, sigset_t *sig, size_t bytes)
{
	static const int errors[] = {EAGAIN, EBUSY, EINTR};
	if (strikes())
		return -errors[prng_below(&faults.rnd, ARRAY_LEN(errors))];
	long r = syscall(SYS_io_uring_enter, fd, n, min, flags, sig, bytes);
	return r < 0 ? -errno : (int)r;
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	if (strikes()) {
		errno = EINTR;
		return -1;
	}
	return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	if (strikes()) {
		if (n < 2 || prng_below(&faults.rnd, 2)) {
			errno = EINTR;
			return -1;
		}
		n = 1 + prng_below(&faults.rnd, n - 1);
	}
	return syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

int epoll_pwait2(
        int fd, struct epoll_event *ev, int max, const struct timespec *ts, const sigset_t *mask)
{
	if (strikes()) {
		errno = EINTR;
		return -1;
	}
	return (int)syscall(SYS_epoll_pwait2, fd, ev, max, ts, mask, _NSIG / 8);
}

static int refused(int err)
{
	errno = err;
	return -1;
}
int socket(int family, int type, int protocol)
{
	if (faults.socket_errno)
		return refused(faults.socket_errno);
	return (int)syscall(SYS_socket, family, type, protocol);
}
int setsockopt(int fd, int level, int name, const void *v, socklen_t n)
{
	if (faults.option_errno)
		return refused(faults.option_errno);
	return (int)syscall(SYS_setsockopt, fd, level, name, v, n);
}
int epoll_ctl(int fd, int op, int what, struct epoll_event *ev)
{
	if (faults.ctl_errno)
		return refused(faults.ctl_errno);
	return (int)syscall(SYS_epoll_ctl, fd, op, what, ev);
}

static void answer_hook(struct conn *c, char what)
{
	static const char request[3000];
	if ((what == 'c' && c->connect_err == ERR_OK) || (what == 's' && c->sents < 5))
		assert_int_equal(io_send(c->rig->io, &c->box->s, request, sizeof request), ERR_OK);
}

static size_t peer_drain(struct conn *c)
{
	char buf[4096];
	ssize_t n = recv(c->peer, buf, sizeof buf, MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

/* A third of all calls fail: every stream still arrives whole, every request goes out once, every
 * end is seen. */
static void every_call_may_fail(void **state)
{
	enum { N = 24, TOTAL = 60000 };
	for (unsigned percent = 5; percent <= 65; percent += 30) {
		struct rig *r = rig_new(state, N);
		faults.rig = r;
		faults.rnd = (struct prng){.s = percent};
		faults.percent = percent;
		size_t requested[N] = {0};
		for (unsigned i = 0; i < N; i++) {
			rig_start(r, i, 30000000000)->hook = answer_hook;
			rig_accept(r, &r->conns[i]);
		}
		for (unsigned done = 0; done < N;) {
			done = 0;
			for (unsigned i = 0; i < N; i++) {
				struct conn *c = &r->conns[i];
				size_t n = 1 + prng_below(&faults.rnd, 3000);
				rig_peer_send(
				        c, n < TOTAL - c->peer_sent ? n : TOTAL - c->peer_sent);
				requested[i] += peer_drain(c);
				done += c->peer_sent == TOTAL && requested[i] == 15000;
			}
			rig_tick(r, os_clock_ns() + 200000);
		}
		for (unsigned i = 0; i < N; i++) {
			struct conn *c = &r->conns[i];
			rig_peer_close(c, false);
			RIG_UNTIL(r, c->ends == 1);
			assert_int_equal(c->connects, 1);
			assert_int_equal(c->received, TOTAL);
			assert_int_equal(c->sents, 5);
			assert_int_equal(c->end_err, ERR_CONN_CLOSED);
		}
		assert_true(faults.hits > 0);
		rig_free(r); /* closes under the same weather */
		memset(&faults, 0, sizeof faults);
	}
}

static void connect_fails_at_once(void **state)
{
	struct rig *r = rig_new(state, 2);
	struct io_sock s = {0};
	const struct sockaddr *to = (struct sockaddr *)&r->addr;
	bool direct = io_kind_of(r->io) == IO_KIND_URING && uring_of(r->io)->direct;
	int before = dup(0);
	close(before);
	for (int i = 0; i < 10 && !direct; i++) {
		faults.socket_errno = EMFILE;
		assert_int_equal(io_connect(r->io, &s, to, sizeof r->addr, 0), ERR_LIMIT);
		faults.socket_errno = 0;
		faults.option_errno = ENOBUFS;
		assert_int_equal(io_connect(r->io, &s, to, sizeof r->addr, 0), ERR_NO_MEMORY);
		faults.option_errno = 0;
		if (io_kind_of(r->io) == IO_KIND_EPOLL) {
			faults.ctl_errno = ENOSPC;
			assert_int_equal(io_connect(r->io, &s, to, sizeof r->addr, 0), ERR_LIMIT);
			faults.ctl_errno = 0;
		}
		assert_int_equal(s.impl, 0);
		assert_int_equal(s.state, IO_SOCK_NONE);
	}
	int after = dup(0);
	close(after);
	assert_int_equal(after, before); /* no descriptor is left behind */
	rig_connect(r, 0);
	rig_connect(r, 1); /* nor an index */
	rig_free(r);
}

/* Direct descriptors do not count: with not one number left, connections still come up. */
static void descriptors_used_up(void **state)
{
	struct rig *r = rig_new(state, 4);
	bool direct = io_kind_of(r->io) == IO_KIND_URING && uring_of(r->io)->direct;
	int next = dup(0), peer;
	close(next);
	struct rlimit old, none = {(rlim_t)next, 0};
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	struct io_sock s = {0};
	if (direct) {
		struct conn *c = rig_start(r, 0, 0);
		RIG_UNTIL(r, c->connects == 1);
		assert_int_equal(c->connect_err, ERR_OK);
	} else {
		assert_int_equal(
		        io_connect(r->io, &s, (struct sockaddr *)&r->addr, sizeof r->addr, 0),
		        ERR_LIMIT);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	while ((peer = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		close(peer);
	rig_free(r);
}

/* The first link of the direct chain fails: one on_connect with its error, nothing left in flight.
 */
static void chain_fails_at_its_start(void **state)
{
	struct rig *r = rig_new(state, 4);
	if (io_kind_of(r->io) == IO_KIND_URING && uring_of(r->io)->direct) {
		struct conn *c = rig_start(r, 0, 0);
		struct uring_sock *k =
		        uring_sock_of(slot_at(&uring_of(r->io)->slots, c->box->s.impl));
		k->addr.any.sa_family = 250;
		RIG_UNTIL(r, c->connects == 1);
		assert_int_equal(c->connect_err, ERR_ARGUMENT);
		for (int i = 0; i < 10; i++)
			rig_tick(r, os_clock_ns() + 100000);
		assert_int_equal(c->connects, 1);
		assert_int_equal(k->flight, 0);
	}
	rig_free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_call_may_fail),
	        cmocka_unit_test(connect_fails_at_once),
	        cmocka_unit_test(descriptors_used_up),
	        cmocka_unit_test(chain_fails_at_its_start),
	};
	return rig_main(tests, ARRAY_LEN(tests));
}
