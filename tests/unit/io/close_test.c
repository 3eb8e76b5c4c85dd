/* io_close from every state: exactly one on_closed, in a later tick, nothing else after it, the
 * descriptor gone, the index free again. */
#include "peer.h"
#include "rig.h"

/* Closes c now and waits for its on_closed. */
static void close_and_check(struct rig *r, struct conn *c)
{
	struct conn before = *c;
	rig_close(c);
	if (c->box)
		io_close(r->io, &c->box->s); /* idempotent */
	assert_non_null(c->box);
	RIG_UNTIL(r, c->closes == 1);
	for (int i = 0; i < 5; i++)
		rig_tick(r, os_clock_ns() + 100000);
	assert_int_equal(c->closes, 1);
	assert_int_equal(c->connects, before.connects);
	assert_int_equal(c->recvs, before.recvs);
	assert_int_equal(c->ends, before.ends);
	assert_int_equal(c->sents, before.sents);
}

static void close_before_any_tick(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_start(r, 0, 0);
	close_and_check(r, c);
	assert_int_equal(c->connects, 0);
	rig_free(r);
}

static void close_while_connecting(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct rig_hole hole = rig_hole_open();
	r->addr = hole.addr;
	for (unsigned ticks = 0; ticks < 4; ticks++) {
		struct conn *c = rig_start(r, ticks, 0);
		for (unsigned i = 0; i < ticks; i++)
			rig_tick(r, 0);
		close_and_check(r, c);
		assert_int_equal(c->connects, 0);
	}
	rig_free(r);
	rig_hole_close(&hole);
}

static void close_after_timeout(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct rig_hole hole = rig_hole_open();
	r->addr = hole.addr;
	struct conn *c = rig_start(r, 0, 1000000);
	RIG_UNTIL(r, c->connects == 1);
	close_and_check(r, c);
	rig_free(r);
	rig_hole_close(&hole);
}

static void close_after_refusal(void **state)
{
	struct rig *r = rig_new(state, 4);
	close(rig_listen(&r->addr, 1));
	struct conn *c = rig_start(r, 0, 0);
	RIG_UNTIL(r, c->connects == 1);
	close_and_check(r, c);
	rig_free(r);
}

static void close_idle(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	for (int i = 0; i < 5; i++)
		rig_tick(r, 0);
	close_and_check(r, c);
	rig_peer_sees_end(c);
	rig_free(r);
}

static void close_with_bytes_waiting(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	rig_peer_send(c, 3 << 20);
	rig_tick(r, os_clock_ns() + 1000000000); /* some are in buffers now, more in the kernel */
	close_and_check(r, c);
	assert_true(c->received < c->peer_sent);
	rig_peer_sees_end(c);
	rig_free(r);
}

static void close_while_sending(void **state)
{
	enum { N = 16 << 20 };
	struct rig *r = rig_new(state, 4);
	struct conn *c = rig_connect(r, 0);
	char *data = calloc(1, N);
	assert_int_equal(io_send(r->io, &c->box->s, data, N), ERR_OK);
	for (int i = 0; i < 3; i++)
		rig_tick(r, 0);
	close_and_check(r, c);
	free(data); /* after on_closed the kernel has no business there */
	assert_int_equal(c->sents, 0);
	rig_peer_sees_end(c);
	rig_free(r);
}

static void close_after_end(void **state)
{
	struct rig *r = rig_new(state, 4);
	struct conn *a = rig_connect(r, 0), *b = rig_connect(r, 1);
	rig_peer_close(a, false);
	rig_peer_close(b, true);
	RIG_UNTIL(r, a->ends && b->ends);
	close_and_check(r, a);
	close_and_check(r, b);
	rig_free(r);
}

static void close_hook(struct conn *c, char what)
{
	static const char at[] = "cres";
	if (what == at[c->id])
		rig_close(c);
}

/* From inside each handler. */
static void close_in_handler(void **state)
{
	struct rig *r = rig_new(state, 4);
	for (unsigned i = 0; i < 4; i++) {
		struct conn *c = rig_start(r, i, 0);
		c->hook = close_hook;
		rig_accept(r, c);
		RIG_UNTIL(r, c->connects == 1);
	}
	rig_peer_send(&r->conns[1], 1 << 20);
	rig_peer_close(&r->conns[2], false);
	assert_int_equal(io_send(r->io, &r->conns[3].box->s, "hello", 5), ERR_OK);
	for (unsigned i = 0; i < 4; i++)
		RIG_UNTIL(r, r->conns[i].closes == 1);
	assert_int_equal(r->conns[1].recvs, 1);
	assert_int_equal(r->conns[2].ends, 1);
	assert_int_equal(r->conns[3].sents, 1);
	rig_free(r);
}

enum { CROWD = 200 };

static void close_other_hook(struct conn *c, char what)
{
	/* The first to receive closes all: those behind it in this very tick must hear nothing but
	 * on_closed. */
	if (what != 'r')
		return;
	for (unsigned i = 0; i < CROWD; i++)
		if (c->rig->conns[i].box && !c->rig->conns[i].close_tick)
			rig_close(&c->rig->conns[i]);
}

static void close_others_in_handler(void **state)
{
	struct rig *r = rig_new(state, CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		rig_connect(r, i)->hook = close_other_hook;
	for (unsigned i = 0; i < CROWD; i++)
		rig_peer_send(&r->conns[i], 1000);
	unsigned receivers = 0;
	for (unsigned i = 0; i < CROWD; i++) {
		RIG_UNTIL(r, r->conns[i].closes == 1);
		receivers += r->conns[i].recvs;
	}
	assert_int_equal(receivers, 1);
	rig_free(r);
}

static void reconnect_hook(struct conn *c, char what)
{
	struct rig *r = c->rig;
	if (what == 'x' && c->id < 40)
		rig_start(r, c->id + 1, 0);
}

/* io_connect from inside on_closed, with the table of size 1: the index is free at that moment. */
static void connect_in_on_closed(void **state)
{
	struct rig *r = rig_new(state, 1);
	struct io_sock over = {0};
	r->conns[0].hook = reconnect_hook;
	rig_start(r, 0, 0);
	for (unsigned i = 0; i <= 40; i++) {
		struct conn *c = &r->conns[i];
		RIG_UNTIL(r, c->connects == 1);
		assert_int_equal(c->connect_err, ERR_OK);
		assert_int_equal(
		        io_connect(r->io, &over, (struct sockaddr *)&r->addr, sizeof r->addr, 0),
		        ERR_LIMIT);
		assert_int_equal(over.impl, 0);
		c->hook = reconnect_hook;
		rig_close(c);
		RIG_UNTIL(r, c->closes == 1);
	}
	rig_free(r);
}

/* Where sockets are descriptors of the process, others need some too: a reactor has its share.
 * Where they are not, it has its table. */
static void no_more_descriptors_than_its_share(void **state)
{
	enum { SOCKETS = 8, SHARE = 2 };
	struct rig *r = rig_new_sharing(rig_kind_of(state), SOCKETS, SHARE, 0);
	struct io_sock over = {0};
	bool direct = io_kind_of(r->io) == IO_KIND_URING && uring_of(r->io)->direct;
	unsigned most = direct ? SOCKETS : SHARE;
	assert_int_equal(io_sockets_max(r->io), most);
	for (unsigned life = 0; life < 3; life++) {
		for (unsigned i = 0; i < most; i++)
			rig_connect(r, life * SOCKETS + i);
		assert_int_equal(
		        io_connect(r->io, &over, (struct sockaddr *)&r->addr, sizeof r->addr, 0),
		        ERR_LIMIT);
		for (unsigned i = 0; i < most; i++)
			rig_close(&r->conns[life * SOCKETS + i]);
		for (unsigned i = 0; i < most; i++)
			RIG_UNTIL(r, r->conns[life * SOCKETS + i].closes == 1);
	}
	rig_free(r);
}

/* Three indices, hundreds of lives: no life sees bytes of an earlier one (the rig compares each
 * byte with its own stream), and descriptors do not add up. */
static void reuse_of_indices(void **state)
{
	enum { LIVES = 300, INDICES = 3 };
	struct rig *r = rig_new(state, INDICES);
	struct prng rnd = {.s = 7};
	for (unsigned i = 0; i < LIVES; i++) {
		if (i >= INDICES)
			RIG_UNTIL(r, r->conns[i - INDICES].closes == 1);
		struct conn *c = rig_connect(r, i);
		size_t n = rig_peer_send(c, prng_below(&rnd, 200000));
		if (prng_below(&rnd, 2))
			for (unsigned t = 0; t < 2; t++)
				rig_tick(r, 0);
		if (prng_below(&rnd, 4) == 0)
			RIG_UNTIL(r, c->received == n);
		rig_close(c); /* with its bytes on the way */
		if (i >= 2)
			rig_peer_close(&r->conns[i - 2], prng_below(&rnd, 2));
	}
	struct io_counters n;
	RIG_UNTIL(r, r->conns[LIVES - 1].closes && r->conns[LIVES - 2].closes);
	io_counters(r->io, &n);
	assert_int_equal(n.connects, LIVES);
	assert_int_equal(n.closes, LIVES);
	rig_free(r);
}

/* io_close_all with everything going on at once: no handler runs, no memory of the owner is touched
 * afterwards. */
static void close_all_at_once(void **state)
{
	enum { N = 40 };
	struct rig *r = rig_new(state, N + 1);
	char *data = calloc(1, 8 << 20);
	for (unsigned i = 0; i < N; i++) {
		struct conn *c = rig_connect(r, i);
		rig_peer_send(c, 100000);
		if (i % 2)
			assert_int_equal(io_send(r->io, &c->box->s, data, 8 << 20), ERR_OK);
		if (i % 3 == 0)
			rig_close(c);
	}
	struct rig_hole hole = rig_hole_open();
	r->addr = hole.addr;
	rig_start(r, N, 0);
	rig_tick(r, 0);
	struct rig *before = malloc(sizeof *before);
	*before = *r;
	io_close_all(&r->io);
	assert_null(r->io);
	assert_memory_equal(before->conns, r->conns, sizeof r->conns);
	free(before);
	memset(data, 0xff, 8 << 20);
	free(data);
	for (unsigned i = 0; i <= N; i++) {
		free(r->conns[i].box);
		if (i < N)
			rig_peer_sees_end(&r->conns[i]);
	}
	close(r->listener);
	rig_hole_close(&hole);
	free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(close_before_any_tick),
	        cmocka_unit_test(close_while_connecting),
	        cmocka_unit_test(close_after_timeout),
	        cmocka_unit_test(close_after_refusal),
	        cmocka_unit_test(close_idle),
	        cmocka_unit_test(close_with_bytes_waiting),
	        cmocka_unit_test(close_while_sending),
	        cmocka_unit_test(close_after_end),
	        cmocka_unit_test(close_in_handler),
	        cmocka_unit_test(close_others_in_handler),
	        cmocka_unit_test(connect_in_on_closed),
	        cmocka_unit_test(no_more_descriptors_than_its_share),
	        cmocka_unit_test(reuse_of_indices),
	        cmocka_unit_test(close_all_at_once),
	};
	return rig_main(tests, ARRAY_LEN(tests));
}
