/* loop_test.c - descriptors, timers and wakes of the control thread's loop; each wait has a
 * deadline, and none decides by its length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/list.h"
#include "control/loop.h"

#define MS       1000000ull
#define PATIENCE (20000 * MS)

struct end { /* of a socket pair, with what happened to it */
	struct loop_fd f;
	struct loop *loop;
	struct end *other; /* to be unwatched from inside the callback */
	int calls;
	uint32_t events;
};
struct alarm {
	struct loop_timer t;
	struct loop *loop;
	struct alarm *cancel;
	uint64_t again_ns, fired_ns;
	int calls;
};

static void on_ready(struct loop_fd *f, uint32_t events)
{
	struct end *e = CONTAINER_OF(f, struct end, f);
	char byte;
	e->calls++;
	e->events = events;
	if (events & EPOLLIN)
		(void)!recv(f->fd, &byte, 1, MSG_DONTWAIT);
	if (e->other)
		loop_unwatch(e->loop, &e->other->f);
}

static void on_due(struct loop_timer *t)
{
	struct alarm *a = CONTAINER_OF(t, struct alarm, t);
	a->calls++;
	a->fired_ns = loop_now_ns(a->loop);
	if (a->cancel)
		loop_timer_set(a->loop, &a->cancel->t, UINT64_MAX);
	if (a->again_ns)
		loop_timer_set(a->loop, t, a->fired_ns + a->again_ns);
}

static int setup(void **s)
{
	return loop_new((struct loop **)s) == ERR_OK ? 0 : -1;
}

static int teardown(void **s)
{
	loop_free((struct loop **)s);
	assert_null(*s);
	loop_free((struct loop **)s); /* NULL is fine */
	return 0;
}

static void watch(struct loop *l, struct end *e, int fd, uint32_t events)
{
	*e = (struct end){.f.on_ready = on_ready, .loop = l};
	assert_int_equal(loop_watch(l, &e->f, fd, events), ERR_OK);
	assert_true(e->f.watched);
}

static void tells_what_is_ready(void **s)
{
	struct loop *l = *s;
	struct end e;
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	watch(l, &e, sv[0], EPOLLIN);
	loop_turn(l, 0); /* a deadline that has passed: looks, and does not wait */
	assert_int_equal(e.calls, 0);
	assert_int_equal(write(sv[1], "ab", 2), 2);
	loop_turn(l, loop_now_ns(l) + PATIENCE);
	assert_int_equal(e.calls, 1);
	loop_turn(l, loop_now_ns(l) + PATIENCE); /* level-triggered: the second byte */
	assert_int_equal(e.calls, 2);
	loop_set_events(l, &e.f, EPOLLOUT);
	loop_turn(l, loop_now_ns(l) + PATIENCE);
	assert_int_equal(e.events, EPOLLOUT);
	loop_set_events(l, &e.f, EPOLLIN);
	close(sv[1]);
	loop_turn(l, loop_now_ns(l) + PATIENCE);
	assert_true(e.events & (EPOLLIN | EPOLLHUP));
	loop_unwatch(l, &e.f);
	loop_unwatch(l, &e.f); /* twice is fine */
	assert_false(e.f.watched);
	loop_turn(l, 0);
	assert_int_equal(e.calls, 4);
	close(sv[0]);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **s)
{
	struct loop_fd f = {.on_ready = on_ready};
	assert_int_equal(loop_watch(*s, &f, -1, EPOLLIN), ERR_IO);
	assert_false(f.watched);
}

/* Both are ready in one turn, and the first to be told unwatches the other: the other is not told
 * any more. */
static void unwatched_in_a_callback_means_no_more_callbacks(void **s)
{
	struct loop *l = *s;
	struct end a, b;
	int x[2], y[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, x), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, y), 0);
	watch(l, &a, x[0], EPOLLIN);
	watch(l, &b, y[0], EPOLLIN);
	a.other = &b;
	b.other = &a;
	assert_int_equal(write(x[1], "a", 1), 1);
	assert_int_equal(write(y[1], "b", 1), 1);
	loop_turn(l, loop_now_ns(l) + PATIENCE);
	assert_int_equal(a.calls + b.calls, 1);
	loop_turn(l, 0);
	assert_int_equal(a.calls + b.calls, 1);
	loop_unwatch(l, &a.f);
	loop_unwatch(l, &b.f);
	close(x[0]), close(x[1]), close(y[0]), close(y[1]);
}

static void timers_fire_once_and_never_early(void **s)
{
	struct loop *l = *s;
	struct alarm a = {.loop = l}, never = {.loop = l};
	loop_timer_init(&a.t, on_due);
	loop_timer_init(&never.t, on_due);
	uint64_t start = loop_now_ns(l), due = start + 15 * MS;
	loop_timer_set(l, &a.t, due);
	loop_timer_set(l, &never.t, due);
	loop_timer_set(l, &never.t, UINT64_MAX);
	while (!a.calls && loop_now_ns(l) < start + PATIENCE)
		loop_turn(l, start + PATIENCE);
	assert_int_equal(a.calls, 1);
	assert_true(a.fired_ns >= due);
	loop_timer_set(l, &a.t, loop_now_ns(l)); /* set again after it fired; due already */
	while (a.calls < 2 && loop_now_ns(l) < start + PATIENCE)
		loop_turn(l, start + PATIENCE);
	loop_turn(l, 0);
	assert_int_equal(a.calls, 2);
	assert_int_equal(never.calls, 0);
}

static void timers_may_set_and_cancel_timers(void **s)
{
	struct loop *l = *s;
	struct alarm late = {.loop = l}, a = {.loop = l, .cancel = &late, .again_ns = 1 * MS};
	uint64_t start = loop_now_ns(l);
	loop_timer_init(&a.t, on_due);
	loop_timer_init(&late.t, on_due);
	loop_timer_set(l, &a.t, start + 1 * MS);
	loop_timer_set(l, &late.t, start + 400 * MS);
	while (a.calls < 3 && loop_now_ns(l) < start + PATIENCE)
		loop_turn(l, start + PATIENCE);
	assert_int_equal(a.calls, 3);
	assert_int_equal(late.calls, 0);
	loop_timer_set(l, &a.t, UINT64_MAX);
	loop_turn(l, loop_now_ns(l) + 500 * MS); /* past what was cancelled */
	assert_int_equal(late.calls, 0);
}

static void on_wake(void *arg)
{
	++*(int *)arg;
}

static void *wake_often(void *l)
{
	for (int i = 0; i < 1000; i++)
		loop_wake(l);
	return NULL;
}

/* Wakes of another thread come together or one by one, but the last is never lost. */
static void a_wake_ends_a_turn(void **s)
{
	struct loop *l = *s;
	int wakes = 0;
	pthread_t t;
	loop_on_wake(l, on_wake, &wakes);
	loop_wake(l);
	loop_wake(l);
	loop_turn(l, UINT64_MAX);
	assert_int_equal(wakes, 1);
	loop_turn(l, 0);
	assert_int_equal(wakes, 1);
	assert_int_equal(pthread_create(&t, NULL, wake_often, l), 0);
	loop_turn(l, UINT64_MAX);
	assert_int_equal(pthread_join(t, NULL), 0);
	loop_turn(l, 0);
	assert_in_range(wakes, 2, 1001);
	int before = wakes;
	loop_turn(l, 0);
	assert_int_equal(wakes, before);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(tells_what_is_ready),
	        TEST(a_descriptor_that_cannot_be_watched_is_an_error),
	        TEST(unwatched_in_a_callback_means_no_more_callbacks),
	        TEST(timers_fire_once_and_never_early),
	        TEST(timers_may_set_and_cancel_timers),
	        TEST(a_wake_ends_a_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
