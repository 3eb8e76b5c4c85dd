/* fake_io.h - io.h under a script: the test says what the network does, one event at a time, and
 * reads what was sent.
 *
 *     struct fake_sock *s = fake_io_sock(&f, 0);   the oldest socket that is not closed
 *     fake_io_connected(s, ERR_OK);                queued: happens inside the next io_tick()
 *     fake_io_bytes(s, "HTTP/1.1 200 OK\r\n...");
 *     fake_io_end(s, ERR_CONN_CLOSED);
 *
 * on_sent comes in the tick after io_send(), unless the socket is told to hold it; on_closed in the
 * tick after io_close(), unless the io is told to hold it. Time is f->now_ns, moved by the test.
 * The promises P1-P3 of io.h hold; breaking a rule of the caller (two sends, a send before the
 * connection) is a failed CHECK. */
#ifndef KR_TESTS_HARNESS_FAKE_IO_H
#define KR_TESTS_HARNESS_FAKE_IO_H

#include "base/list.h"
#include "io/io.h"

struct fake_io;

/* Owner: the io. Life: io_connect() to on_closed. */
struct fake_sock {
	struct list link;
	struct fake_io *io;
	struct io_sock *sock;
	struct sockaddr_storage address;
	bool open, closing;
	bool sending, hold_sent; /* a send is in flight; keep it there */
	struct list events;      /* what the script queued */
	char *sent;              /* own: everything sent so far, NUL-terminated */
	size_t sent_bytes;
};

struct fake_io {
	struct io io; /* first: this is a struct io */
	uint64_t now_ns;
	struct list socks;
	err_t connect_err;  /* of the next io_connect(), then ERR_OK again */
	err_t send_err;     /* of the next io_send(), then ERR_OK again */
	bool hold_closed;   /* no on_closed for now */
	uint64_t wanted_ns; /* deadline of the last tick */
	unsigned connects, notifies, wakes;
};

void fake_io_init(struct fake_io *f, const struct io_handlers *handlers, void *owner);
/* All sockets must be gone (CHECK). */
void fake_io_fini(struct fake_io *f);
/* The i-th socket that is not closed, in the order of io_connect(); NULL: there are fewer. */
struct fake_sock *fake_io_sock(const struct fake_io *f, unsigned i);
unsigned fake_io_count(const struct fake_io *f);
void fake_io_connected(struct fake_sock *s, err_t err);
void fake_io_bytes(struct fake_sock *s, const char *text);
void fake_io_data(struct fake_sock *s, const char *data, size_t n);
void fake_io_end(struct fake_sock *s, err_t err);
/* Forgets what was sent. */
void fake_io_sent_clear(struct fake_sock *s);

#endif
