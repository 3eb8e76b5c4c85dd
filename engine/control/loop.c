#include "control/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

enum { LOOP_EVENTS = 64 };

struct loop {
	int epoll, wake;
	uint64_t now_ns;
	struct wheel wheel;
	void (*on_wake)(void *arg);
	void *wake_arg;
	struct epoll_event
	        ready[LOOP_EVENTS]; /* of the turn under way; unwatching blanks its row */
	int ready_count;
};

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

err_t loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof *l);
	if (!l)
		return ERR_NO_MEMORY;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN};
	if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &e) < 0) {
		loop_free(&l);
		return ERR_IO;
	}
	l->now_ns = clock_ns();
	wheel_init(&l->wheel, l->now_ns);
	*out = l;
	return ERR_OK;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;
	*lp = NULL;
	if (!l)
		return;
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->wake >= 0)
		close(l->wake);
	free(l);
}

uint64_t loop_now_ns(const struct loop *l)
{
	return l->now_ns;
}

err_t loop_watch(struct loop *l, struct loop_fd *f, int fd, uint32_t events)
{
	CHECK(!f->watched);
	struct epoll_event e = {.events = events, .data.ptr = f};
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		return errno == ENOSPC || errno == ENOMEM ? ERR_LIMIT : ERR_IO;
	f->fd = fd;
	f->events = events;
	f->watched = true;
	return ERR_OK;
}

void loop_set_events(struct loop *l, struct loop_fd *f, uint32_t events)
{
	CHECK(f->watched);
	if (f->events == events)
		return;
	struct epoll_event e = {.events = events, .data.ptr = f};
	f->events = events;
	CHECK(epoll_ctl(l->epoll, EPOLL_CTL_MOD, f->fd, &e) == 0);
}

void loop_unwatch(struct loop *l, struct loop_fd *f)
{
	if (!f->watched)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, f->fd, NULL);
	f->watched = false;
	for (int i = 0; i < l->ready_count; i++)
		if (l->ready[i].data.ptr == f)
			l->ready[i].data.ptr = NULL;
}

void loop_timer_init(struct loop_timer *t, void (*on_due)(struct loop_timer *t))
{
	wheel_timer_init(&t->timer, 0);
	t->on_due = on_due;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ns)
{
	wheel_set(&l->wheel, &t->timer, at_ns);
}

/* --- listening ------------------------------------------------------------------------------- */

static void on_listen_again(struct loop_timer *t)
{
	struct loop_listener *x = CONTAINER_OF(t, struct loop_listener, again);
	if (x->sock.watched)
		loop_set_events(x->loop, &x->sock, EPOLLIN);
}

err_t loop_listen(struct loop *l, struct loop_listener *x, int fd,
        void (*on_ready)(struct loop_fd *f, uint32_t events))
{
	x->loop = l;
	x->sock.fd = fd;
	x->sock.on_ready = on_ready;
	loop_timer_init(&x->again, on_listen_again);
	return loop_watch(l, &x->sock, fd, EPOLLIN);
}

int loop_accept(struct loop_listener *x)
{
	int fd = accept4(x->sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		loop_set_events(x->loop, &x->sock, 0);
		loop_timer_set(
		        x->loop, &x->again, loop_now_ns(x->loop) + LOOP_AWAY_MS * 1000000ull);
	}
	return fd;
}

void loop_listener_close(struct loop_listener *x)
{
	loop_unwatch(x->loop, &x->sock);
	loop_timer_set(x->loop, &x->again, UINT64_MAX);
	close(x->sock.fd);
}

void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake, &one, sizeof one);
	(void)n; /* EAGAIN: it is full, so it is readable already */
}

void loop_on_wake(struct loop *l, void (*on_wake)(void *arg), void *arg)
{
	l->on_wake = on_wake;
	l->wake_arg = arg;
}

static int wait_ms(const struct loop *l, uint64_t deadline_ns)
{
	uint64_t next = wheel_next_ns(&l->wheel);
	if (next != UINT64_MAX)
		next += WHEEL_TICK_NS;
	if (deadline_ns < next)
		next = deadline_ns;
	if (next == UINT64_MAX)
		return -1;
	uint64_t now = clock_ns();
	if (next <= now)
		return 0;
	uint64_t ms = (next - now + 999999) / 1000000;
	return ms > 60000 ? 60000 : (int)ms;
}

void loop_turn(struct loop *l, uint64_t deadline_ns)
{
	int n = epoll_wait(l->epoll, l->ready, LOOP_EVENTS, wait_ms(l, deadline_ns));
	l->ready_count = n < 0 ? 0 : n;
	l->now_ns = clock_ns();
	bool woken = false;
	for (int i = 0; i < l->ready_count; i++) {
		struct loop_fd *f = l->ready[i].data.ptr;
		if (f)
			f->on_ready(f, l->ready[i].events);
		woken = true;
	}
	l->ready_count = 0;
	if (woken) {
		uint64_t count;
		if (read(l->wake, &count, sizeof count) == sizeof count && l->on_wake)
			l->on_wake(l->wake_arg);
	}
	for (struct wheel_timer *t; (t = wheel_pop(&l->wheel, l->now_ns));) {
		struct loop_timer *lt = CONTAINER_OF(t, struct loop_timer, timer);
		lt->on_due(lt);
	}
}
