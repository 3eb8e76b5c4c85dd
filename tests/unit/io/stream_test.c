/* Bytes in and out of connections, on every kind: order, integrity, fairness, back-pressure, ends.
 */
#include "peer.h"
#include "rig.h"

static void connect_ok(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	assert_int_equal(c->box->s.state, IO_SOCK_OPEN);
	assert_int_equal(c->connects, 1);
	rig_free(r);
}

static void connect_refused(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct sockaddr_in addr;
	close(rig_listen(&addr, 1)); /* a port where nobody listens any more */
	r->addr = addr;
	struct conn *c = rig_start(r, 0, 0);
	RIG_UNTIL(r, c->connects == 1);
	assert_int_equal(c->connect_err, ERR_CONN_REFUSED);
	assert_int_equal(io_send(r->io, &c->box->s, "x", 1), ERR_CONN_CLOSED);
	rig_free(r);
}

static void connect_timeout(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct rig_hole hole = rig_hole_open();
	r->addr = hole.addr;
	uint64_t start = os_clock_ns();
	/* The later deadline first: the queue of deadlines is in order of time. */
	struct conn *late = rig_start(r, 0, 1000 * RIG_PATIENCE_S * 1000000000ull);
	struct conn *early = rig_start(r, 1, 30000000);
	RIG_UNTIL(r, early->connects == 1);
	assert_true(os_clock_ns() - start >= 30000000);
	assert_int_equal(early->connect_err, ERR_CONN_TIMEOUT);
	assert_int_equal(late->connects, 0);
	for (int i = 0; i < 10; i++)
		rig_tick(r, 0);
	assert_int_equal(early->connects, 1);
	rig_free(r);
	rig_hole_close(&hole);
}

static void connect_bad_address(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct io_sock s = {0};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr un = {.sa_family = AF_UNIX};
	const struct sockaddr *any = (const struct sockaddr *)&a6;
	assert_int_equal(io_connect(r->io, &s, any, sizeof a6 - 1, 0), ERR_ARGUMENT);
	assert_int_equal(io_connect(r->io, &s, &un, sizeof un, 0), ERR_ARGUMENT);
	assert_int_equal(s.impl, 0);
	io_close(r->io, &s); /* does nothing */
	assert_int_equal(io_send(r->io, &s, "x", 1), ERR_ARGUMENT);
	rig_free(r);
}

/* A broadcast address: the kernel refuses at once, which still arrives as on_connect. */
static void connect_unreachable(void **state)
{
	struct rig *r = rig_new(state, 4);
	r->addr.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	struct conn *c = rig_start(r, 0, 0);
	assert_int_equal(c->connects, 0);
	RIG_UNTIL(r, c->connects == 1);
	assert_int_equal(c->connect_err, ERR_CONN_UNREACHABLE);
	rig_free(r);
}

static void connect_ipv6(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0) {
		print_message("no IPv6 here\n");
	} else {
		assert_int_equal(listen(fd, 4), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
		struct conn *c = &r->conns[0];
		c->box = calloc(1, sizeof *c->box);
		assert_int_equal(
		        io_connect(r->io, &c->box->s, (struct sockaddr *)&a, n, 0), ERR_OK);
		RIG_UNTIL(r, c->connects == 1);
		c->peer = accept(fd, NULL, NULL);
		assert_int_equal(c->connect_err, ERR_OK);
		rig_peer_send(c, 1000);
		RIG_UNTIL(r, c->received == 1000);
	}
	if (fd >= 0)
		close(fd);
	rig_free(r);
}

/* Many sockets, pieces of random size in random order: every stream arrives whole and in order. */
static void receive_random_pieces(void **state)
{
	enum { N = 224, TOTAL = 48000 };
	struct rig *r = rig_new(state, N);
	struct prng rnd = {.s = 42};
	for (unsigned i = 0; i < N; i++)
		rig_start(r, i, 0);
	for (unsigned i = 0; i < N; i++)
		rig_accept(r, &r->conns[i]);
	/* Which peer belongs to which connection is unknown until it says so: all send one stream.
	 */
	for (unsigned i = 0; i < N; i++)
		r->conns[i].stream = 7;
	for (unsigned left = N; left > 0;) {
		struct conn *c = &r->conns[prng_below(&rnd, N)];
		if (c->peer_sent == TOTAL)
			continue;
		size_t n = prng_below(&rnd, 8) ? prng_below(&rnd, 300) + 1
		                               : prng_below(&rnd, 20000) + 1;
		rig_peer_send(c, n < TOTAL - c->peer_sent ? n : TOTAL - c->peer_sent);
		left -= c->peer_sent == TOTAL;
		if (prng_below(&rnd, 4) == 0)
			rig_tick(r, 0);
	}
	for (unsigned i = 0; i < N; i++)
		RIG_UNTIL(r, r->conns[i].received == TOTAL);
	struct io_counters n;
	io_counters(r->io, &n);
	assert_int_equal(n.recv_bytes, (uint64_t)N * TOTAL);
	assert_int_equal(n.connects, N);
	assert_true(n.recvs >= N);
	rig_free(r);
}

/* All sockets are full at once, with few buffers: receives end for want of one, and nothing is
 * lost. */
static void receive_starved(void **state)
{
	enum { N = 48, TOTAL = 150000 };
	struct rig_kind k = *rig_kind_of(state);
	k.recv_buffers = 1;
	struct rig *r = rig_new_with(&k, N, 0);
	for (unsigned i = 0; i < N; i++)
		rig_connect(r, i);
	for (unsigned sent = 0; sent < N;) {
		sent = 0;
		for (unsigned i = 0; i < N; i++) {
			struct conn *c = &r->conns[i];
			rig_peer_send(c, TOTAL - c->peer_sent);
			sent += c->peer_sent == TOTAL;
		}
		rig_tick(r, 0);
	}
	for (unsigned i = 0; i < N; i++)
		RIG_UNTIL(r, r->conns[i].received == TOTAL);
	struct io_counters n;
	io_counters(r->io, &n);
	assert_int_equal(n.recv_bytes, (uint64_t)N * TOTAL);
	if (k.kind == IO_KIND_URING) {
		assert_true(n.no_buffers > 0);
		assert_true(n.rearms >= n.no_buffers);
	}
	rig_free(r);
}

static struct conn *hot[3];

static void on_quiet(struct conn *c, char what)
{
	(void)c;
	for (size_t i = 0; what == 'r' && i < ARRAY_LEN(hot); i++)
		assert_true(hot[i]->received <= IO_AHEAD_BYTES);
}

/* A socket with megabytes waiting gets its share per turn, and one with a single line is not behind
 * it: each of the others has had one turn of the kernel at most. */
static void receive_fair(void **state)
{
	struct rig *r = rig_new(state, 8);
	struct conn *quiet = rig_connect(r, 3);
	for (unsigned i = 0; i < 3; i++)
		hot[i] = rig_connect(r, i);
	for (unsigned i = 0; i < 3; i++) {
		rig_peer_send(hot[i], 4 << 20);
		assert_true(hot[i]->peer_sent > 2 * IO_AHEAD_BYTES);
	}
	quiet->hook = on_quiet;
	rig_peer_send(quiet, 100);
	RIG_UNTIL(r, quiet->received == 100);
	for (unsigned i = 0; i < 3; i++)
		while (hot[i]->peer_sent < 4 << 20 || hot[i]->received < 4 << 20) {
			rig_peer_send(hot[i], (4 << 20) - hot[i]->peer_sent);
			rig_tick(r, os_clock_ns() + 2000000);
		}
	if (rig_kind_of(state)->kind == IO_KIND_EPOLL)
		assert_true(r->pass_max <= IO_PASS_BYTES);
	rig_free(r);
}

/* A socket that always has more than there are buffers for is received from after the others: a
 * line of another one comes in the tick that it is there for. (Not in every round: what is sent
 * over loopback may be on its way for a moment.) */
static void receive_beside_a_flood(void **state)
{
	enum { ROUNDS = 100 };
	struct rig *r = rig_new(state, 8);
	struct conn *quiet = rig_connect(r, 1), *flood = rig_connect(r, 0);
	unsigned at_once = 0;
	for (int i = 0; i < ROUNDS; i++) { /* from some round on, it has had its fill */
		rig_peer_send(flood, 4 << 20);
		rig_tick(r, 0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		rig_peer_send(flood, 4 << 20);
		rig_peer_send(quiet, 100);
		rig_tick(r, 0);
		at_once += quiet->received == quiet->peer_sent;
		RIG_UNTIL(r, quiet->received == quiet->peer_sent);
	}
	assert_in_range(at_once, ROUNDS * 9 / 10, ROUNDS); /* the flood first: half */
	size_t had = flood->received;                      /* which gets its share all the same */
	RIG_UNTIL(r, flood->received > had + IO_AHEAD_BYTES || flood->received == flood->peer_sent);
	rig_free(r);
}

/* Receives all that was sent; returns the longest piece that it came in. */
static size_t longest_piece(struct rig *r, struct conn *c)
{
	r->span_max = 0;
	RIG_UNTIL(r, c->received == c->peer_sent);
	return r->span_max;
}

/* A backlog comes in large pieces, and when it is gone, small buffers are posted again: many
 * sockets with a line each need many. */
static void receive_large(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	bool uring = rig_kind_of(state)->kind == IO_KIND_URING;
	const struct bufs *b = uring ? &uring_of(r->io)->bufs : NULL;
	for (int round = 0; round < 2; round++) {
		rig_peer_send(c, 4 << 20);
		assert_true(longest_piece(r, c) > BUFS_BYTES);
		for (int i = 0; i < 100; i++) {
			rig_peer_send(c, 1000);
			longest_piece(r, c);
		}
		assert_true(!uring || bufs_wanted(b) == b->posted_max);
	}
	rig_free(r);
}

/* One tick stays below its bound however many sockets are full; the rest follows without a wait. */
static void receive_bounded_tick(void **state)
{
	enum { N = 64 };
	struct rig *r = rig_new(state, N);
	for (unsigned i = 0; i < N; i++)
		rig_connect(r, i);
	for (unsigned i = 0; i < N; i++)
		rig_peer_send(&r->conns[i], 256 << 10);
	size_t sent = 0, received = 0;
	for (unsigned i = 0; i < N; i++)
		sent += r->conns[i].peer_sent;
	assert_true(sent > 2 * IO_TICK_BYTES);
	while (received < sent) {
		rig_tick(r, os_clock_ns() + 2000000);
		received = 0;
		for (unsigned i = 0; i < N; i++)
			received += r->conns[i].received;
	}
	assert_true(r->tick_bytes_max < IO_TICK_BYTES + IO_PASS_BYTES);
	if (strcmp(rig_kind_of(state)->name, "epoll") == 0)
		assert_true(r->tick_bytes_max >= IO_TICK_BYTES);
	rig_free(r);
}

static void end_after_bytes(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	size_t n = rig_peer_send(c, 300000);
	rig_peer_close(c, false);
	RIG_UNTIL(r, c->ends == 1);
	assert_int_equal(c->end_err, ERR_CONN_CLOSED);
	assert_int_equal(c->received, n);
	assert_int_equal(c->box->s.state, IO_SOCK_ENDED);
	assert_int_equal(io_send(r->io, &c->box->s, "x", 1), ERR_CONN_CLOSED);
	for (int i = 0; i < 5; i++)
		rig_tick(r, 0);
	assert_int_equal(c->ends, 1);
	rig_free(r);
}

static void end_by_reset(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	rig_peer_close(c, true);
	RIG_UNTIL(r, c->ends == 1);
	assert_int_equal(c->end_err, ERR_CONN_RESET);
	assert_int_equal(c->received, 0);
	rig_free(r);
}

static void ping_hook(struct conn *c, char what)
{
	if (what == 'r' && c->sents < 50)
		assert_int_equal(io_send(c->rig->io, &c->box->s, "ping", 4), ERR_OK);
}

/* Request and answer, with sends from inside on_recv. */
static void send_from_handler(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	c->hook = ping_hook;
	char buf[16];
	for (unsigned i = 1; i <= 50; i++) {
		rig_peer_send(c, 10);
		RIG_UNTIL(r, c->sents == i);
		assert_int_equal(recv(c->peer, buf, sizeof buf, 0), 4);
	}
	struct io_counters n;
	io_counters(r->io, &n);
	assert_int_equal(n.sent_bytes, 200);
	rig_free(r);
}

/* 4 MiB to a peer that reads slowly through a small window. */
static void send_large(void **state)
{
	enum { N = 4 << 20 };
	struct rig *r = rig_new(state, 4);
	int small = 32768;
	assert_int_equal(setsockopt(r->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	struct conn *c = rig_connect(r, 0);
	char *data = malloc(N), buf[10000];
	rig_fill(data, N, 3, 0);
	assert_int_equal(io_send(r->io, &c->box->s, data, N), ERR_OK);
	size_t got = 0;
	while (got < N) {
		rig_tick(r, os_clock_ns() + 500000);
		ssize_t n = recv(c->peer, buf, sizeof buf, MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], rig_byte(3, got + (size_t)i));
		got += n > 0 ? (size_t)n : 0;
		/* What the peer has and both socket buffers (at most 6 MiB) is all that can be out.
		 */
		if (c->sents)
			memset(data, 0, N); /* ours again */
	}
	RIG_UNTIL(r, c->sents == 1);
	assert_int_equal(io_send(r->io, &c->box->s, "", 0), ERR_OK);
	RIG_UNTIL(r, c->sents == 2);
	free(data);
	rig_free(r);
}

static void send_too_early(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_start(r, 0, 0);
	assert_int_equal(io_send(r->io, &c->box->s, "x", 1), ERR_ARGUMENT);
	rig_accept(r, c);
	RIG_UNTIL(r, c->connects == 1);
	rig_free(r);
}

/* The peer answers and resets while we send: on_sent gives the bytes back, on_end comes once. */
static void send_to_dead_peer(void **state)
{
	enum { N = 16 << 20 };
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	char *data = calloc(1, N);
	assert_int_equal(io_send(r->io, &c->box->s, data, N), ERR_OK);
	for (int i = 0; i < 3; i++)
		rig_tick(r, 0);
	assert_int_equal(c->sents, 0);
	rig_peer_close(c, true);
	RIG_UNTIL(r, c->ends == 1 && c->sents == 1);
	assert_true(c->end_err == ERR_CONN_RESET);
	free(data);
	rig_free(r);
}

/* Far more completions than the smallest completion queue holds. */
static void receive_burst(void **state)
{
	enum { N = 200 };
	struct rig *r = rig_new(state, N);
	for (unsigned i = 0; i < N; i++)
		rig_connect(r, i);
	for (unsigned round = 1; round <= 20; round++) {
		for (unsigned i = 0; i < N; i++)
			rig_peer_send(&r->conns[i], 10);
		for (unsigned i = 0; i < N; i++)
			RIG_UNTIL(r, r->conns[i].received == round * 10);
	}
	struct io_counters n;
	io_counters(r->io, &n);
	assert_true((r->aheads > 0) == (rig_kind_of(state)->kind == IO_KIND_URING));
	if (strcmp(rig_kind_of(state)->name, "uring tiny") == 0)
		assert_true(n.cq_overflows > 0);
	rig_free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(connect_ok),
	        cmocka_unit_test(connect_refused),
	        cmocka_unit_test(connect_timeout),
	        cmocka_unit_test(connect_bad_address),
	        cmocka_unit_test(connect_unreachable),
	        cmocka_unit_test(connect_ipv6),
	        cmocka_unit_test(receive_random_pieces),
	        cmocka_unit_test(receive_starved),
	        cmocka_unit_test(receive_fair),
	        cmocka_unit_test(receive_beside_a_flood),
	        cmocka_unit_test(receive_large),
	        cmocka_unit_test(receive_bounded_tick),
	        cmocka_unit_test(receive_burst),
	        cmocka_unit_test(end_after_bytes),
	        cmocka_unit_test(end_by_reset),
	        cmocka_unit_test(send_from_handler),
	        cmocka_unit_test(send_large),
	        cmocka_unit_test(send_too_early),
	        cmocka_unit_test(send_to_dead_peer),
	};
	return rig_main(tests, ARRAY_LEN(tests));
}
