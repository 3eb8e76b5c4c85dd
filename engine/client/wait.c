#include "client/wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shm/waiting.h"

/* Never waits: O_NONBLOCK is of the file and not of the descriptor, and whoever has the other end
 * of it may clear it. */
static void drain(int fd)
{
	uint64_t ignored;
	struct iovec to = {&ignored, sizeof ignored};
	if (fd >= 0 && preadv2(fd, &to, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP)
		(void)!read(fd, &ignored, sizeof ignored); /* before Linux 5.8 */
}

void wait_arm(struct kr_client *c)
{
	drain(c->event_fd);
	if (c->signalled)
		drain(c->signal_fd);
	c->signalled = false;
	if (c->page)
		waiting_say(c->page);
}

void wait_disarm(struct kr_client *c)
{
	c->fd_armed = false;
	if (c->page)
		waiting_unsay(c->page);
}

void wait_signal(struct kr_client *c)
{
	uint64_t one = 1;
	if (c->signalled || c->signal_fd < 0)
		return;
	(void)!write(c->signal_fd, &one, sizeof one);
	c->signalled = true;
}

/* An attempt to attach again may be due before the caller's time is up. */
static int64_t next_look(const struct kr_client *c, int64_t now, int64_t until_ns)
{
	int64_t until = now + CLIENT_SLICE_MS * NS_PER_MS;
	if (c->phase == CLIENT_DOWN && c->next_try_ns < until)
		until = c->next_try_ns;
	if (c->phase == CLIENT_GREETING && c->greet_until_ns < until)
		until = c->greet_until_ns;
	return until_ns < until ? until_ns : until;
}

void wait_block(struct kr_client *c, int64_t until_ns)
{
	int64_t now = client_clock_ns(), ns = next_look(c, now, until_ns) - now;
	struct pollfd fds[2] = {
	        {.fd = c->event_fd, .events = POLLIN},
	        {.fd = c->link.fd, .events = POLLIN},
	};
	if (ns > 0) {
		struct timespec t = {ns / 1000000000, ns % 1000000000};
		int n = ppoll(fds, 2, &t, NULL); /* early and spurious returns are fine */
		c->quiet = n >= 0 && fds[1].revents == 0;
	}
	wait_disarm(c);
}

void wait_watch(struct kr_client *c, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};
	if (c->epoll_fd >= 0 && fd >= 0)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &e); /* EEXIST is fine */
}

void wait_unwatch(struct kr_client *c, int fd)
{
	if (c->epoll_fd >= 0 && fd >= 0)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void wait_timer(struct kr_client *c, int64_t at_ns)
{
	struct itimerspec t = {{0, 0}, {0, 0}};
	c->timer_ns = at_ns;
	if (c->timer_fd < 0)
		return;
	if (at_ns != INT64_MAX) {
		if (at_ns <= 0)
			at_ns = 1; /* 0 would disarm */
		t.it_value = (struct timespec){at_ns / 1000000000, at_ns % 1000000000};
	}
	(void)timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}
