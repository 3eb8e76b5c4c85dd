/* loop.h - the control thread's own small event loop: descriptors and timers. Nothing here is on
 * the data path; clarity over speed.
 *
 * Thread: all of it belongs to the control thread, but for loop_wake(). */
#ifndef KR_CONTROL_LOOP_H
#define KR_CONTROL_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/wheel.h"

struct loop;

/* A descriptor to wait for. Owner: whoever embeds it. Life: loop_watch to loop_unwatch; may be
 * unwatched from any callback. */
struct loop_fd {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT */
	void (*on_ready)(struct loop_fd *f, uint32_t events);
	bool watched;
};
struct loop_timer {
	struct wheel_timer timer;
	void (*on_due)(struct loop_timer *t);
};

err_t loop_new(struct loop **out) MUST_USE;
void loop_free(struct loop **l);
uint64_t loop_now_ns(const struct loop *l);

err_t loop_watch(struct loop *l, struct loop_fd *f, int fd, uint32_t events) MUST_USE;
void loop_set_events(struct loop *l, struct loop_fd *f, uint32_t events);
void loop_unwatch(struct loop *l, struct loop_fd *f);
/* A socket that listens. Without a descriptor or memory left, what has come stays in its backlog
 * and the socket readable: it looks away for a moment, or the loop spins. Owner: whoever embeds it.
 * Life: loop_listen to loop_listener_close. */
enum { LOOP_AWAY_MS = 200 };
struct loop_listener {
	struct loop_fd sock;
	struct loop_timer again;
	struct loop *loop; /* borrow */
};
/* fd: listening and non-blocking. on_ready gets &x->sock. */
err_t loop_listen(struct loop *l, struct loop_listener *x, int fd,
        void (*on_ready)(struct loop_fd *f, uint32_t events)) MUST_USE;
/* The next connection, non-blocking and the caller's; -1: none now. */
int loop_accept(struct loop_listener *x);
/* Also of one that was unwatched before. */
void loop_listener_close(struct loop_listener *x);
void loop_timer_init(struct loop_timer *t, void (*on_due)(struct loop_timer *t));
/* UINT64_MAX cancels. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ns);
/* One turn: waits for something, at most until deadline_ns. */
void loop_turn(struct loop *l, uint64_t deadline_ns);
/* Any thread, also a signal handler: the current or next turn returns and calls on_wake. */
void loop_wake(struct loop *l);
void loop_on_wake(struct loop *l, void (*on_wake)(void *arg), void *arg);

#endif
