/* conn.h - one connection: socket, TLS, HTTP/1.1, one request at a time. It knows nothing of lists:
 * its user gets heads, body bytes and ends.
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
};

enum { CONN_HANDSHAKE_S = 10 }; /* TLS must be up by then (reliability.md H) */

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
	char *out, *next; /* own: plain request bytes in flight, and the request behind them */
	size_t out_bytes, next_bytes;
	uint32_t address;         /* which of the cluster's addresses it goes to */
	struct wheel_timer timer; /* bounds the handshake; io bounds the connect */
	struct list link;         /* in the cluster's conns */
};

/* Starts a connection to the cluster's current address; callbacks follow later, never from inside.
 * NULL with *err: no address, no memory, no socket. */
struct conn *conn_open(
        struct cluster *cluster, const struct conn_user *user, void *arg, err_t *err);
/* Sends a GET. Legal in CONN_OPEN when no answer is due. ERR_ARGUMENT: a value does not belong in a
 * header (m says which). */
err_t conn_request(struct conn *c, struct span target, struct span accept, bool gzip,
        struct errmsg *m) MUST_USE;
/* From any state, idempotent. */
void conn_close(struct conn *c);

/* io's handlers for sockets that are conns. */
void conn_on_connect(struct conn *c, err_t err);
void conn_on_recv(struct conn *c, char *data, size_t n);
void conn_on_end(struct conn *c, err_t err);
void conn_on_sent(struct conn *c);
void conn_on_closed(struct conn *c);
void conn_on_timer(struct conn *c);

#endif
