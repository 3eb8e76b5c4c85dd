/* io.h - the seam between the engine and the kernel. Nothing else in the engine makes a system call
 * on the data path.
 *
 * Three implementations of one table of functions: uring.c (io_uring, one ring per reactor),
 * epoll.c (the same promises where io_uring is refused), tests/sim (a simulated network and clock,
 * driven by a seed). A reactor owns one struct io and calls it from its own thread only, with the
 * one exception of io_wake().
 *
 * Life of a socket: io_connect() -> on_connect(err) once -> on_recv()* in order, and io_send() /
 * on_sent() -> io_close() -> exactly one on_closed(); only then may the memory of the struct
 * io_sock be reused. Errors and EOF arrive as on_end() once; the owner answers with io_close().
 *
 * Promises of every implementation:
 *
 * - P1 Handlers run inside io_tick() only, never inside another io_* call. Any io_* call but
 *   io_tick() and io_close_all() may be made from a handler.
 *
 * - P2 After io_close() the only handler that still comes for this socket is on_closed(), in a
 *   later tick. Bytes given to io_send() must stay until on_sent() or on_closed().
 *
 * - P3 Order per socket: on_connect, on_recv..., on_end. Nothing that the peer sent before its FIN
 *   is lost; after a reset, what was already received is delivered before on_end.
 *
 * - P4 Fairness: sockets that have bytes take turns of at most IO_PASS_BYTES, and a tick starts no
 *   turn after IO_TICK_BYTES in all; the rest waits for the next tick, which then does not sleep.
 *   With epoll a socket has one turn per tick. With io_uring the kernel has received already, up to
 *   IO_AHEAD_BYTES of one socket (32 buffers are its bound for one turn of a multishot receive, and
 *   few of them are large): that is delivered in the same tick, turn by turn, while it is in the
 *   cache. If some is left all the same, the socket is not read again until less than
 *   IO_PASS_BYTES are. A socket that has taken all buffers comes after all others in the next tick.
 *
 * - P5 No allocation after io_open().
 *
 * struct io_sock is embedded in whoever waits for it (a connection); the implementation keeps its
 * own state behind `impl` (an index), so an idle socket costs no private receive buffer.
 */
#ifndef KR_IO_IO_H
#define KR_IO_IO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

enum {
	IO_RECV_BYTES = 61440, /* largest receive buffer: three full TLS records, 16 Pod events */
	IO_SLACK = 64, /* readable bytes behind every span given to on_recv (JSON_PADDING) */
	IO_PASS_BYTES = 65536,      /* of one socket per turn; also the largest span of on_recv */
	IO_AHEAD_BYTES = 1 << 20,   /* of one socket, received by the kernel before its turn */
	IO_TICK_BYTES = 2 << 20,    /* of all sockets per tick */
	IO_AHEAD_MAX = 8,           /* sockets that on_ahead hears of at a time */
	IO_SOCKETS_MAX = 1 << 20,   /* largest sockets_max */
	IO_RECV_BUFFERS_MAX = 4096, /* largest recv_buffers */
	IO_CONNECT_TIMEOUT_S = 5,
	/* A peer that is gone without a word is noticed 8 s after its last byte; 10 are promised.
	 * Thousands of sockets are probed at once if their timers end at once, and of those packets
	 * loopback and veth take 1000 (net.core.netdev_max_backlog) and drop the rest. Linux rounds
	 * a timer of more than about 2 s up to 256 ms (HZ 250), a shorter one to 32: with 3 s and
	 * three probes 3,200 of 20,000 streams were lost that way, with 3 s and five probes 725,
	 * and with 2 s none: the sockets stay as far apart as they connected. */
	IO_KEEPALIVE_IDLE_S = 2,
	IO_KEEPALIVE_INTERVAL_S = 1,
	IO_KEEPALIVE_COUNT = 6,
	/* Unacknowledged bytes. Linux lets TCP_USER_TIMEOUT replace the keepalive count: the
	 * connection dies when a probe would be due at or after it (2, 3, 4, 5, 6, 7, 8 s). */
	IO_USER_TIMEOUT_MS = 8000,
};

enum io_kind { IO_KIND_AUTO, IO_KIND_URING, IO_KIND_EPOLL, IO_KIND_SIM };

enum io_sock_state {
	IO_SOCK_NONE,       /* not in use, or on_closed has come */
	IO_SOCK_CONNECTING, /* io_connect was called */
	IO_SOCK_OPEN,
	IO_SOCK_ENDED,   /* nothing more will be read: connect failed, or the stream is over */
	IO_SOCK_CLOSING, /* io_close was called */
};

struct io;
struct io_sock;

/* A socket, and the bytes that its on_recv will get first. */
struct io_ahead {
	struct io_sock *s;
	struct span data;
};

/* All are called from inside io_tick(), on the reactor's thread. */
struct io_handlers {
	/* The connection is up (ERR_OK) or not; after an error the owner still calls io_close(). */
	void (*on_connect)(void *owner, struct io_sock *s, err_t err);
	/* 1..IO_PASS_BYTES bytes in order. data is writable (parsers work in place), with IO_SLACK
	 * readable bytes behind; it is lent until the handler returns. */
	void (*on_recv)(void *owner, struct io_sock *s, char *data, size_t n);
	/* The stream is over: ERR_CONN_CLOSED (FIN), _RESET, _TIMEOUT (keepalive)... Once, after
	 * all on_recv. */
	void (*on_end)(void *owner, struct io_sock *s, err_t err);
	/* The bytes given to io_send() are out, or the socket died (on_end follows): their memory
	 * is the owner's again. */
	void (*on_sent)(void *owner, struct io_sock *s);
	/* The implementation has forgotten the socket; io_connect(s) may be called at once. */
	void (*on_closed)(void *owner, struct io_sock *s);
	/* Somebody called io_wake(). Coalesced: one call may stand for many wakes. */
	void (*on_wake)(void *owner);
	/* May be NULL. These sockets, 2..IO_AHEAD_MAX, come next: a chance to fetch what they are
	 * about. Nothing may be called or changed here. */
	void (*on_ahead)(void *owner, const struct io_ahead *a, size_t n);
};

/* Owner: whoever embeds it. Thread: the reactor's. Life: zeroed before the first io_connect(); from
 * io_connect() to on_closed() it must not move. */
struct io_sock {
	uint32_t impl; /* private: index of the implementation's own state; 0 = none */
	uint8_t state; /* enum io_sock_state; written by the implementation only */
	uint8_t flags; /* private */
};

struct io_config {
	enum io_kind kind;
	unsigned sockets_max; /* bound of connections at one time, 1..IO_SOCKETS_MAX */
	/* The same where each takes a descriptor of the process, as with epoll; 0 = sockets_max */
	unsigned descriptors_max;
	unsigned recv_buffers;  /* posted receive buffers, 64-128; 0 = 128 */
	unsigned batch_wait_us; /* longest wait for a batch when busy; 0 = never (lowest latency) */
	const struct io_handlers *handlers;
	void *owner; /* handed to every handler */
};

/* Makes the implementation that config->kind asks for (IO_KIND_SIM is not made here). AUTO tries
 * io_uring and falls back to epoll when io_uring is refused or not known (ENOSYS, EPERM, EINVAL, a
 * missing opcode) or when its rings are more than RLIMIT_MEMLOCK lets through (ENOMEM; if memory is
 * short indeed, epoll says so), never on EMFILE, which stays visible as ERR_LIMIT. why (or NULL)
 * receives one sentence: for `kubering status` on success, the error otherwise. Call it on the
 * thread that will call io_tick(): the ring accepts one thread only. */
err_t io_open(const struct io_config *config, struct io **out, struct errmsg *why) MUST_USE;
/* Cancels everything, drains (bounded), frees, sets *io to NULL; no handler runs any more.
 * Reactor's thread. */
void io_close_all(struct io **io);
const char *io_kind_name(enum io_kind k);

struct io_counters {
	uint64_t ticks, completions;
	uint64_t enters; /* system calls to wait, submit, receive or send */
	uint64_t recv_bytes, sent_bytes, recvs;
	uint64_t rearms;       /* receives armed again after the first time */
	uint64_t no_buffers;   /* receives ended because no buffer was posted; nothing is lost */
	uint64_t cq_overflows; /* completions that had to wait in the kernel; nothing is lost */
	uint64_t connects, closes;
	uint64_t notifies, notify_errors; /* eventfd writes asked for, and refused by the kernel */
};

/* --- how an implementation plugs in (uring.c, epoll.c, tests/sim) --- */
struct io_ops {
	enum io_kind kind;
	void (*close_all)(struct io *io);
	uint64_t (*clock_ns)(struct io *io);
	err_t (*connect)(struct io *io, struct io_sock *s, const struct sockaddr *addr,
	        socklen_t addr_len, uint64_t timeout_ns);
	err_t (*send)(struct io *io, struct io_sock *s, const void *data, size_t n);
	void (*close)(struct io *io, struct io_sock *s);
	void (*notify)(struct io *io, int eventfd);
	int (*tick)(struct io *io, uint64_t deadline_ns);
	void (*wake)(struct io *io);
};

/* The head of every implementation's own struct.
 * Owner: the implementation. Thread: the reactor's (but wake). Life: io_open() to io_close_all().
 */
struct io {
	const struct io_ops *ops;
	const struct io_handlers *handlers;
	void *owner;
	uint64_t now_ns;
	unsigned sockets_max; /* that there may be at one time */
	struct io_counters counters;
};

/* --- the calls --- */
static inline enum io_kind io_kind_of(const struct io *io)
{
	return io->ops->kind;
}

/* How many sockets there may be at one time. Any thread, once it is open. */
static inline unsigned io_sockets_max(const struct io *io)
{
	return io->sockets_max;
}

/* Monotonic nanoseconds, read once per tick (cheap to call). */
static inline uint64_t io_now_ns(const struct io *io)
{
	return io->now_ns;
}

/* A fresh reading for latency stamps; the simulator's clock in tests. */
static inline uint64_t io_clock_ns(struct io *io)
{
	return io->ops->clock_ns(io);
}

/* Reactor's thread. */
static inline void io_counters(const struct io *io, struct io_counters *out)
{
	*out = io->counters;
}

/* Starts a TCP connection over IPv4 or IPv6 (TCP_NODELAY, keepalive and user timeout as above);
 * on_connect comes within timeout_ns (0 = IO_CONNECT_TIMEOUT_S). addr is copied. On an error
 * (ERR_LIMIT: io_sockets_max or descriptors are used up; ERR_ARGUMENT: no such address family) the
 * socket is not in use and no handler will come for it. */
MUST_USE static inline err_t io_connect(struct io *io, struct io_sock *s,
        const struct sockaddr *addr, socklen_t addr_len, uint64_t timeout_ns)
{
	return io->ops->connect(io, s, addr, addr_len, timeout_ns);
}

/* Sends all of data, however many system calls it takes. One send at a time per socket (a second
 * one before on_sent is a bug); data must stay until on_sent. An error (the stream has ended, or is
 * not open) means: nothing was taken, no on_sent. */
MUST_USE static inline err_t io_send(struct io *io, struct io_sock *s, const void *data, size_t n)
{
	return io->ops->send(io, s, data, n);
}

/* Ends the socket from any state; on_closed follows in a later tick. Bytes not yet sent are
 * dropped. Idempotent, and does nothing on a socket that is not in use. */
static inline void io_close(struct io *io, struct io_sock *s)
{
	io->ops->close(io, s);
}

/* Writes 1 to an eventfd, batched with this tick's other operations. The eventfd must be
 * EFD_NONBLOCK (a write that would block is dropped and counted) and stay open until the next
 * io_tick() has returned. Whoever shares it can still block the reactor, by changing that flag in
 * the right moment: bell.h is for those who might. */
static inline void io_notify(struct io *io, int eventfd)
{
	io->ops->notify(io, eventfd);
}

/* One turn: submits what is queued, waits for completions until deadline_ns (monotonic; 0 = do not
 * wait), then runs the handlers. Adaptive: idle -> returns at the first completion; busy (many
 * completions per batch_wait_us) -> waits up to batch_wait_us for a batch. It does not wait while
 * handlers are due. Returns the number of completions handled. */
static inline int io_tick(struct io *io, uint64_t deadline_ns)
{
	return io->ops->tick(io, deadline_ns);
}

/* Any thread. Makes the current or next io_tick() return and calls on_wake. */
static inline void io_wake(struct io *io)
{
	io->ops->wake(io);
}

#endif
