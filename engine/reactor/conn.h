/* conn.h - one connection: socket, TLS, HTTP/1.1, one request at a time, or a WebSocket after an
 * upgrade. It knows nothing of lists: its user gets heads, body bytes or messages, and ends.
 *
 * Handshakes are the dear part of a connection (0.2 to 1 ms of CPU): ten thousand that come at once
 * take turns, a few in each turn of the reactor, so that streams that are up keep their pace.
 *
 *   CONNECTING ── TCP up ──► HANDSHAKE ── TLS up ──► OPEN ── conn_close ──► CLOSING ── io's
 * on_closed ──► freed └──────────────── plain http:// ────────────┘
 *
 * The user may close from inside any of its callbacks; no further callback comes after
 * conn_close(). The memory goes with io's on_closed.
 */
#ifndef KR_REACTOR_CONN_H
#define KR_REACTOR_CONN_H

#include "base/list.h"
#include "base/wheel.h"
#include "io/io.h"
#include "wire/http1.h"

struct cluster;
struct conn;
struct conn_early;
struct conn_ws;
struct gzip;
struct tls_conn;

/* All on the reactor's thread, from inside io_tick(). */
struct conn_user {
	void (*on_ready)(void *arg, struct conn *c); /* a request may be sent */
	void (*on_head)(void *arg, struct conn *c, const struct http1_head *h);
	void (*on_body)(void *arg, struct conn *c,
	        struct span data); /* IO_SLACK readable bytes behind; until return */
	void (*on_body_end)(void *arg, struct conn *c, bool reusable);
	void (*on_lost)(void *arg, struct conn *c, err_t err,
	        const char *text); /* once; the conn closes itself after it */
	void (*on_message)(void *arg, struct conn *c,
	        struct span data); /* of a WebSocket, whole, IO_SLACK readable bytes behind; NULL:
	                              the user never upgrades */
};

enum {
	CONN_HANDSHAKE_S = 10, /* TLS must be up by then: a peer could drip it */
	CONN_PING_S = 4, /* a WebSocket that is silent for this long is asked whether it lives */
	CONN_PONG_S = 5, /* and is half-open when nothing came for this long after it */
	/* Plain bytes that wait to be sent: a server that does not read is given up. Those of TLS
	 * are bounded by TLS_OUTPUT_BYTES_MAX. */
	CONN_OUT_MAX = 4 << 20,
};

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN, CONN_CLOSING };

/* Owner: the cluster. Thread: its reactor. Life: conn_open to io's on_closed. */
struct conn {
	struct io_sock sock; /* first: io gives it back to us */
	uint8_t state;
	bool sending;
	bool probe;    /* the one connect that a shut gate let through, until it is answered */
	bool answered; /* an HTTP answer came on this connection */
	struct cluster *cluster; /* borrow(longer than the conn: clusters go after their conns) */
	const struct conn_user *user;
	void *arg;
	struct tls_conn *tls; /* own, NULL for http:// */
	struct gzip *gzip;    /* own, while a gzip body is read */
	struct http1_parser http;
	struct conn_ws *ws; /* own, from conn_upgrade on */
	char *out, *next;   /* own: plain bytes in flight, and what was written behind them */
	uint32_t out_bytes, next_bytes, next_cap; /* at most CONN_OUT_MAX and what grows it */
	uint32_t address;                         /* which of the cluster's addresses it goes to */
	struct wheel_timer timer;                 /* bounds the handshake; io bounds the connect */
	struct list link;                         /* in the cluster's conns */
	struct list shake;                        /* in the reactor's to_shake or shaking */
	struct conn_early *early; /* own: received in the handshake, while it waits its turn */
};

/* Starts a connection to the cluster's current address; callbacks follow later, never from inside.
 * NULL with *err: no address, no memory, no socket. */
struct conn *conn_open(
        struct cluster *cluster, const struct conn_user *user, void *arg, err_t *err);
/* Sends a GET. Legal in CONN_OPEN when no answer is due. ERR_ARGUMENT: a value does not belong in a
 * header (m says which). */
err_t conn_request(struct conn *c, struct span target, struct span accept, bool gzip,
        struct errmsg *m) MUST_USE;
/* Sends a GET that asks for a WebSocket. Legal where conn_request is. Its answer comes to on_head:
 * 101 when the server agreed (it was checked); then each message to on_message, and the orderly end
 * as on_body_end(reusable: false). Any other status is an ordinary answer with its body. */
struct conn_upgrade {
	struct span target, accept;
	const struct span *protocols; /* offered, in order; at most WS_PROTOCOLS_MAX */
	size_t protocol_count;
	uint32_t pong_s; /* silence after a ping that means half-open; 0: CONN_PONG_S */
};
err_t conn_upgrade(struct conn *c, const struct conn_upgrade *u, struct errmsg *m) MUST_USE;
/* One text message on an open WebSocket. ERR_LIMIT: so much waits to be sent already that there is
 * no room for it, and nothing of it was taken. */
err_t conn_send_text(struct conn *c, struct span text) MUST_USE;
/* What it logged in with is not to be used any more: its user hears that it is lost, and the server
 * is not blamed. */
void conn_retire(struct conn *c);
/* Its user loses it, in whatever state it is; that is no failure of the server. */
void conn_leave(struct conn *c, const char *why);
/* From any state, idempotent. */
void conn_close(struct conn *c);

/* io's handlers for sockets that are conns. */
void conn_on_connect(struct conn *c, err_t err);
void conn_on_recv(struct conn *c, char *data, size_t n);
void conn_on_end(struct conn *c, err_t err);
void conn_on_sent(struct conn *c);
void conn_on_closed(struct conn *c);
void conn_on_timer(struct conn *c);
/* Its turn has come: the next step of its handshake. It is in no list of the reactor's any more. */
void conn_shake(struct conn *c);

#endif
