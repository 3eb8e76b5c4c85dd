/* mux_link.h - the multiplexer's socket of one Headlamp backend: its connection, its back-off, and
 * the lists of many clusters on it. headlamp/mux.h decides what is said; this carries it.
 *
 *   DOWN ── a list wants it ──► CONNECTING ── 101 ──► OPEN ── lost ──► DOWN (back-off, then again
 * while a list wants it)
 *
 * The backend handles the messages of one socket one after the other, each blocked by its dial for
 * up to 45 s (tests/headlamp.md, BM-5). So a list asks only while its cluster is known to answer:
 * one GET of the cluster's /version through the backend, shared by all its lists, goes before.
 */
#ifndef KR_REACTOR_MUX_LINK_H
#define KR_REACTOR_MUX_LINK_H

#include "base/list.h"
#include "base/wheel.h"
#include "headlamp/mux.h"
#include "kube/backoff.h"
#include "reactor/cluster.h"
#include "reactor/conn.h"

struct feed;

enum {
	MUX_LINK_PROBE_S = 10,
	MUX_LINK_PROVEN_S = 10,
	MUX_LINK_MESSAGE_BYTES = 16384,
	MUX_LINK_FULL_NS = 10000000, /* what the connection has no room for is tried again */
};

enum mux_link_state { MUX_LINK_DOWN, MUX_LINK_CONNECTING, MUX_LINK_OPEN };

/* Owner: the backend's cluster. Thread: its reactor. Life: from the first list that wants it to
 * cluster_free. */
struct mux_link {
	struct cluster *backend;        /* borrow */
	struct mux *mux;                /* own */
	struct envelope_reader *reader; /* own */
	struct conn *conn;              /* borrow(until on_lost or our close); NULL: none */
	struct cluster_waiter waiter;   /* in the backend's queue while CONNECTING */
	struct wheel_timer timer; /* DOWN: the end of the back-off; CONNECTING: of the upgrade;
	                             OPEN: the mux's deadline */
	struct backoff backoff;
	struct list
	        waiting; /* struct feed.waiter.link: want to resume, and wait for socket or proof */
	struct list feeds; /* struct feed.mux_link: have a subscription */
	uint8_t state;
	bool answered;        /* some REQUEST, on this socket */
	size_t message_bytes; /* of the one that is to be sent; 0: none is */
	char message[MUX_LINK_MESSAGE_BYTES];
};

/* NULL: out of memory. */
struct mux_link *mux_link_of(struct cluster *backend);
void mux_link_free(struct mux_link **l);
/* Closes its connection: no list is on it any more. */
void mux_link_stop(struct mux_link *l);

/* The list wants to resume its watch: feed_on_mux_ready() when the socket is open and the cluster
 * answers, or feed_on_mux_lost(). Either may come before it returns. */
void mux_link_wait(struct mux_link *l, struct feed *f);
/* REQUEST. path and query: as mux_subscribe. */
err_t mux_link_subscribe(
        struct mux_link *l, struct feed *f, struct span path, struct span query) MUST_USE;
void mux_link_unsubscribe(struct mux_link *l, struct feed *f);
void mux_link_on_timer(struct mux_link *l);

#endif
