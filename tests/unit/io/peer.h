/* peer.h - the other ends of the connections in the tests of io/: plain non-blocking sockets, and
 * an address that never answers. */
#ifndef KR_UNIT_IO_PEER_H
#define KR_UNIT_IO_PEER_H

#include "rig.h"

/* Writes the next n bytes of the stream, or what fits. Returns what was written. */
static inline size_t rig_peer_send(struct conn *c, size_t n)
{
	char buf[8192];
	size_t done = 0;
	while (done < n) {
		size_t part = n - done < sizeof buf ? n - done : sizeof buf;
		rig_fill(buf, part, c->stream, c->peer_sent);
		ssize_t w = send(c->peer, buf, part, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (w <= 0)
			break;
		c->peer_sent += (size_t)w;
		done += (size_t)w;
	}
	return done;
}
static inline void rig_peer_close(struct conn *c, bool reset)
{
	struct linger l = {.l_onoff = reset, .l_linger = 0};
	setsockopt(c->peer, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(c->peer);
	c->peer = -1;
}
/* The other end sees the end of the connection: the descriptor is really closed. */
static inline void rig_peer_sees_end(struct conn *c)
{
	char buf[8192];
	ssize_t n;
	uint64_t end = os_clock_ns() + RIG_PATIENCE_S * 1000000000ull;
	do {
		n = recv(c->peer, buf, sizeof buf, MSG_DONTWAIT);
		assert_true(os_clock_ns() < end);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	close(c->peer);
	c->peer = -1;
}

struct rig_hole { /* an address that never answers */
	int listener, fill[4];
	struct sockaddr_in addr;
};
/* A listener whose queue is full drops further SYNs: a black hole on this host. */
static inline struct rig_hole rig_hole_open(void)
{
	struct rig_hole h;
	h.listener = rig_listen(&h.addr, 0);
	for (size_t i = 0; i < ARRAY_LEN(h.fill); i++) {
		h.fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(h.fill[i], (struct sockaddr *)&h.addr, sizeof h.addr);
	}
	return h;
}
static inline void rig_hole_close(struct rig_hole *h)
{
	for (size_t i = 0; i < ARRAY_LEN(h->fill); i++)
		close(h->fill[i]);
	close(h->listener);
}

#endif
