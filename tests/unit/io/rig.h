/* rig.h - what the tests of io/ share: one struct io of some kind, its connections, and the other
 * end of each.
 *
 * Everything runs in the test's thread: the other ends are plain non-blocking sockets that a test
 * drives between ticks. Each connection's io_sock lives in memory of its own, which on_closed
 * poisons and frees: any later touch is a report of the address sanitizer. What happened is logged
 * in struct conn, which stays. In every on_recv the bytes are compared with the stream of that
 * connection, the slack is read, and the bytes are overwritten, as a parser in place would do.
 */
#ifndef KR_UNIT_IO_RIG_H
#define KR_UNIT_IO_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/prng.h"
#include "io/epoll.h"
#include "io/io.h"
#include "io/os.h"
#include "io/uring.h"
#include "kinds.h"

enum { RIG_CONNS = 512, RIG_PATIENCE_S = 60 };

struct rig;
struct rig_box { /* the memory that on_closed gives back */
	struct io_sock s;
	unsigned conn;
};
struct conn {
	struct rig *rig;
	struct rig_box *box; /* NULL once closed */
	unsigned id;
	int peer; /* -1 = none */
	unsigned connects, ends, sents, closes, recvs;
	err_t connect_err, end_err;
	size_t received, peer_sent;
	uint64_t close_tick; /* the tick in which io_close was called */
	size_t recv_in_tick;
	uint64_t recv_tick;
	unsigned stream; /* which byte stream */
	void (*hook)(struct conn *c,
	        char what); /* called in a handler: 'c'onnect 'r'ecv 'e'nd 's'ent 'x' closed */
};
struct rig {
	struct io *io;
	struct conn conns[RIG_CONNS];
	int listener;
	struct sockaddr_in addr;
	unsigned wakes;
	uint64_t tick;
	size_t tick_bytes, tick_bytes_max, pass_max, span_max;
	unsigned aheads; /* calls of on_ahead */
	bool in_tick;
};

static inline char rig_byte(unsigned stream, size_t at)
{
	return (char)((at * 31 + (at >> 8) * 7 + stream * 131 + 17) & 0xff);
}
static inline void rig_fill(char *p, size_t n, unsigned stream, size_t at)
{
	for (size_t i = 0; i < n; i++)
		p[i] = rig_byte(stream, at + i);
}

static inline struct conn *rig_conn(struct rig *r, struct io_sock *s)
{
	return &r->conns[CONTAINER_OF(s, struct rig_box, s)->conn];
}
static inline void rig_hook(struct conn *c, char what)
{
	assert_int_equal(c->close_tick, 0); /* nothing but on_closed after io_close */
	if (c->hook)
		c->hook(c, what);
}
static inline void rig_on_connect(void *owner, struct io_sock *s, err_t err)
{
	struct conn *c = rig_conn(owner, s);
	c->connects++;
	c->connect_err = err;
	assert_int_equal(s->state, err == ERR_OK ? IO_SOCK_OPEN : IO_SOCK_ENDED);
	rig_hook(c, 'c');
}
static inline void rig_on_recv(void *owner, struct io_sock *s, char *data, size_t n)
{
	struct rig *r = owner;
	struct conn *c = rig_conn(r, s);
	assert_in_range(n, 1, IO_PASS_BYTES);
	assert_int_equal(c->ends, 0);
	volatile char slack = 0;
	for (size_t i = 0; i < n; i++)
		if (data[i] != rig_byte(c->stream, c->received + i))
			fail_msg("conn %u: wrong byte at %zu", c->id, c->received + i);
	for (size_t i = n; i < n + IO_SLACK; i++)
		slack = data[i];
	(void)slack;
	memset(data, 0xee, n);
	c->received += n;
	c->recvs++;
	if (c->recv_tick != r->tick)
		c->recv_in_tick = 0;
	c->recv_tick = r->tick;
	c->recv_in_tick += n;
	r->pass_max = c->recv_in_tick > r->pass_max ? c->recv_in_tick : r->pass_max;
	r->span_max = n > r->span_max ? n : r->span_max;
	r->tick_bytes += n;
	rig_hook(c, 'r');
}
static inline void rig_on_end(void *owner, struct io_sock *s, err_t err)
{
	struct conn *c = rig_conn(owner, s);
	c->ends++;
	c->end_err = err;
	rig_hook(c, 'e');
}
static inline void rig_on_sent(void *owner, struct io_sock *s)
{
	struct conn *c = rig_conn(owner, s);
	c->sents++;
	rig_hook(c, 's');
}
static inline void rig_on_closed(void *owner, struct io_sock *s)
{
	struct rig *r = owner;
	struct conn *c = rig_conn(r, s);
	assert_ptr_equal(&c->box->s, s);
	assert_int_not_equal(c->close_tick, 0);
	assert_true(r->tick > c->close_tick); /* a later tick */
	assert_int_equal(s->impl, 0);
	c->closes++;
	memset(c->box, 0xa5, sizeof *c->box);
	free(c->box);
	c->box = NULL;
	if (c->hook)
		c->hook(c, 'x');
}
static inline void rig_on_wake(void *owner)
{
	((struct rig *)owner)->wakes++;
}
/* What is said to come next does: these bytes, unless the socket is closed before. */
static inline void rig_on_ahead(void *owner, const struct io_ahead *a, size_t n)
{
	struct rig *r = owner;
	assert_true(r->in_tick);
	assert_in_range(n, 2, IO_AHEAD_MAX);
	for (size_t k = 0; k < n; k++) {
		const struct conn *c = rig_conn(r, a[k].s);
		assert_true(a[k].data.n > 0);
		for (size_t i = 0; i < a[k].data.n; i++)
			assert_true(a[k].data.p[i] == rig_byte(c->stream, c->received + i));
	}
	r->aheads++;
}
static const struct io_handlers rig_handlers = {rig_on_connect, rig_on_recv, rig_on_end,
        rig_on_sent, rig_on_closed, rig_on_wake, rig_on_ahead};

static inline int rig_listen(struct sockaddr_in *addr, int backlog)
{
	*addr = (struct sockaddr_in){
	        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof *addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)addr, n), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &n), 0);
	return fd;
}

static inline struct rig *rig_new_sharing(
        const struct rig_kind *k, unsigned sockets_max, unsigned descriptors_max, unsigned batch_us)
{
	struct rig *r = calloc(1, sizeof *r);
	assert_non_null(r);
	struct io_config c = {.kind = k->kind,
	        .sockets_max = sockets_max,
	        .descriptors_max = descriptors_max,
	        .recv_buffers = k->recv_buffers,
	        .batch_wait_us = batch_us,
	        .handlers = &rig_handlers,
	        .owner = r};
	const char *step;
	if (k->kind == IO_KIND_URING)
		assert_int_equal(uring_open(&c, &k->tuning, &r->io, &step), 0);
	else
		assert_int_equal(epoll_open(&c, &r->io, &step), 0);
	r->listener = rig_listen(&r->addr, 1024);
	for (unsigned i = 0; i < RIG_CONNS; i++) {
		r->conns[i] = (struct conn){.rig = r, .id = i, .stream = i, .peer = -1};
	}
	return r;
}
static inline struct rig *rig_new_with(
        const struct rig_kind *k, unsigned sockets_max, unsigned batch_us)
{
	return rig_new_sharing(k, sockets_max, 0, batch_us);
}
static inline struct rig *rig_new(void **state, unsigned sockets_max)
{
	return rig_new_with(rig_kind_of(state), sockets_max, 0);
}

static inline int rig_tick(struct rig *r, uint64_t deadline_ns)
{
	r->tick++;
	r->tick_bytes = 0;
	r->in_tick = true;
	int n = io_tick(r->io, deadline_ns);
	r->in_tick = false;
	r->tick_bytes_max = r->tick_bytes > r->tick_bytes_max ? r->tick_bytes : r->tick_bytes_max;
	return n;
}

/* Ticks until the condition holds; fails the test when it does not come to hold. */
#define RIG_UNTIL(r, cond)                                                                         \
	do {                                                                                       \
		uint64_t end_ = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;                    \
		while (!(cond)) {                                                                  \
			if (os_clock_ns() > end_)                                                  \
				fail_msg("never came: %s", #cond);                                 \
			rig_tick(r, os_clock_ns() + 2000000);                                      \
		}                                                                                  \
	} while (0)

static inline struct conn *rig_start(struct rig *r, unsigned id, uint64_t timeout_ns)
{
	struct conn *c = &r->conns[id];
	c->box = calloc(1, sizeof *c->box);
	assert_non_null(c->box);
	c->box->conn = id;
	assert_int_equal(io_connect(r->io, &c->box->s, (struct sockaddr *)&r->addr, sizeof r->addr,
	                         timeout_ns),
	        ERR_OK);
	return c;
}
static inline void rig_accept(struct rig *r, struct conn *c)
{
	uint64_t end = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;
	while ((c->peer = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
		assert_true(os_clock_ns() < end);
		rig_tick(r, os_clock_ns() + 1000000);
	}
}
/* A connection that is up, both ends. */
static inline struct conn *rig_connect(struct rig *r, unsigned id)
{
	struct conn *c = rig_start(r, id, 0);
	rig_accept(r, c);
	RIG_UNTIL(r, c->connects == 1);
	assert_int_equal(c->connect_err, ERR_OK);
	return c;
}

static inline void rig_close(struct conn *c)
{
	c->close_tick = c->rig->tick ? c->rig->tick : 1;
	if (c->rig->tick == 0)
		c->rig->tick = 1;
	io_close(c->rig->io, &c->box->s);
}
/* Closes what is left, checks that each came back exactly once and that no receive buffer is lost.
 */
static inline void rig_free(struct rig *r)
{
	for (unsigned i = 0; i < RIG_CONNS; i++) {
		struct conn *c = &r->conns[i];
		c->hook = NULL;
		if (c->box && !c->close_tick)
			rig_close(c);
		RIG_UNTIL(r, c->box == NULL);
		if (c->peer >= 0)
			close(c->peer);
	}
	if (io_kind_of(r->io) == IO_KIND_URING) {
		const struct bufs *b = &uring_of(r->io)->bufs;
		assert_int_equal(b->posted + b->free.count + b->free_large.count,
		        b->posted_max * (BUFS_RESERVE + 1) + BUFS_LARGE_ALL);
	}
	io_close_all(&r->io);
	assert_null(r->io);
	close(r->listener);
	free(r);
}

#endif
