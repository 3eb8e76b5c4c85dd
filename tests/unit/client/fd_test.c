/* kr_fd: never readable for nothing for long, never silent when there is something. */
#include "client_world.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/prng.h"

/* Waits for the descriptor; a lost wake-up ends here. */
static void wait_fd(struct world *w)
{
	struct pollfd p = {.fd = kr_fd(w->c), .events = POLLIN};
	assert_int_equal(poll(&p, 1, (int)(WORLD_LONG_NS / 1000000)), 1);
}

static bool readable(struct world *w)
{
	struct pollfd p = {.fd = kr_fd(w->c), .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void begin(struct kr_list *l, struct kr_view *v)
{
	assert_int_equal(kr_view_begin(l, v), KR_OK);
	kr_view_end(v);
}

static void armed_by_timeout(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_list *l = world_pods(&w, 0, 3);
	begin(l, &v);
	assert_true(readable(&w)); /* until the first KR_TIMEOUT */
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	world_put(&w, "pods", "n0", 101);
	wait_fd(&w);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_OK);
	assert_true(readable(&w)); /* not asked to the end yet */
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	/* A blocking call in between does not eat a wake-up. */
	assert_int_equal(kr_follow_next(&v.follow, &ch, 1000000), KR_TIMEOUT);
	assert_false(readable(&w));
	world_put(&w, "pods", "n0", 102);
	assert_int_equal(kr_list_wait_version(l, "102", WORLD_LONG_NS), KR_OK);
	wait_fd(&w);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_OK);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* Whoever has the other end of the eventfd may clear O_NONBLOCK, which is of both, and fill it. */
static void a_daemon_cannot_make_it_wait(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_list *l = world_pods(&w, 0, 3);
	begin(l, &v);
	assert_true(kr_fd(w.c) >= 0);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	alarm(20); /* the kernel's wait has no end */
	fake_block_eventfds(w.d, false);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	world_put(&w, "pods", "n0", 101);
	wait_fd(&w);
	fake_block_eventfds(w.d, true);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_OK);
	assert_true(readable(&w));
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	alarm(0);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* More closes than the daemon's queue holds: who does nothing but wait for kr_fd gets rid of all.
 */
static void what_is_owed_makes_it_readable(void **state)
{
	enum { LISTS = 1200 };
	static struct kr_list *lists[LISTS];
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_list *l = world_pods(&w, 0, 3);
	begin(l, &v);
	for (int i = 0; i < LISTS; i++)
		lists[i] = world_list(&w, "pods");
	assert_true(kr_fd(w.c) >= 0);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	fake_lock(w.d); /* its thread waits */
	for (int i = 0; i < LISTS; i++)
		kr_list_close(lists[i]);
	fake_unlock(w.d);
	while (fake_closes(w.d) < LISTS) {
		wait_fd(&w);
		assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	}
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* Two follows, one descriptor: what one call takes back, the other one still gets. */
static void two_follows_do_not_eat_each_others_wakes(void **state)
{
	(void)state;
	struct world w;
	struct kr_view a, b;
	struct kr_change ch;
	world_open(&w, 0);
	struct kr_list *la = world_list(&w, "a"), *lb = world_list(&w, "b");
	world_sync(&w, "a", 3);
	world_sync(&w, "b", 3);
	begin(la, &a);
	begin(lb, &b);
	assert_true(kr_fd(w.c) >= 0);
	assert_int_equal(kr_follow_next(&a.follow, &ch, 0), KR_TIMEOUT);
	assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	world_put(&w, "b", "n0", 101);
	wait_fd(&w);
	assert_int_equal(kr_follow_next(&a.follow, &ch, 0), KR_TIMEOUT); /* not the one */
	assert_true(readable(&w));
	assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_OK);
	world_put(&w, "a", "n0", 101); /* while b is being worked off */
	assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_TIMEOUT);
	assert_true(readable(&w));
	assert_int_equal(kr_follow_next(&a.follow, &ch, 0), KR_OK);
	assert_int_equal(kr_follow_next(&a.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	kr_follow_end(&a.follow);
	kr_follow_end(&b.follow);
	world_fini(&w);
}

struct writer {
	struct world *w;
	unsigned changes;
	_Atomic unsigned written;
};

/* Changes one by one, with pauses of any length around the consumer's arming; waits for nobody. */
static void *writer_main(void *arg)
{
	struct writer *t = arg;
	struct prng r = {99};
	for (unsigned i = 0; i < t->changes; i++) {
		world_put(t->w, "pods", "n0", 101 + i);
		t->written = i + 1;
		for (uint64_t spin = prng_below(&r, 4) ? prng_below(&r, 3000) : 100000; spin > 0;
		        spin--)
			atomic_signal_fence(memory_order_seq_cst);
	}
	return NULL;
}

static void no_wake_is_lost(void **state)
{
	(void)state;
	enum { CHANGES = 20000 };
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	pthread_t t;
	struct kr_list *l = world_pods(&w, 65536, 1);
	begin(l, &v);
	assert_true(kr_fd(w.c) >= 0);
	struct writer writer = {.w = &w, .changes = CHANGES};
	assert_int_equal(pthread_create(&t, NULL, writer_main, &writer), 0);
	unsigned got = 0, slept = 0;
	while (got < CHANGES) {
		int r = kr_follow_next(&v.follow, &ch, 0);
		if (r == KR_TIMEOUT) {
			wait_fd(&w);
			slept++;
			continue;
		}
		assert_int_equal(r, KR_OK);
		if (ch.type == KR_MODIFIED)
			got++;
	}
	pthread_join(t, NULL);
	print_message("%u changes, slept %u times\n", got, slept);
	assert_true(slept > 0);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* The end of the daemon and its return wake a program that only polls. */
static void restart_wakes(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_list *l = world_pods(&w, 0, 3);
	begin(l, &v);
	assert_true(kr_fd(w.c) >= 0);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	fake_kill(w.d);
	fake_free(&w.d);
	wait_fd(&w);
	int r;
	while ((r = kr_follow_next(&v.follow, &ch, 0)) == KR_TIMEOUT)
		wait_fd(&w);
	assert_int_equal(r, KR_OK);
	assert_int_equal(ch.type, KR_STATE);
	unsigned turns = 0; /* with no daemon, it is readable only to try again: 50 .. 500 ms */
	for (int i = 0; i < 5; i++, turns++) {
		assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
		assert_false(readable(&w));
		wait_fd(&w);
	}
	world_daemon(&w);
	world_sync(&w, "pods", 4);
	do {
		while ((r = kr_follow_next(&v.follow, &ch, 0)) == KR_TIMEOUT)
			wait_fd(&w);
		assert_int_equal(r, KR_OK);
		assert_true(readable(&w)); /* until KR_TIMEOUT */
	} while (ch.type != KR_SYNCED);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* Two follows, one descriptor, and b ends a batch of what one walk finds (follow.h) exactly where
 * the next one begins: that there is more is seen when a is asked. */
static void a_whole_batch_is_not_all(void **state)
{
	enum { BATCH = 4096, MARK = 2048 };
	(void)state;
	struct world w;
	struct kr_view a, b;
	struct kr_change ch;
	world_open(&w, 16384);
	struct kr_list *la = world_list(&w, "a"), *lb = world_list(&w, "b");
	world_sync(&w, "a", 1);
	world_sync(&w, "b", 1);
	begin(la, &a);
	begin(lb, &b);
	assert_true(kr_fd(w.c) >= 0);
	fake_lock(w.d);
	for (unsigned i = 0; i < BATCH + MARK; i++)
		fake_put(fake_list(w.d, "test", "b"), "n0", 1, 101 + i);
	fake_unlock(w.d);
	for (unsigned i = 0; i < BATCH; i++)
		assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_OK);
	assert_int_equal(kr_follow_next(&a.follow, &ch, 0), KR_TIMEOUT);
	assert_true(readable(&w));
	for (unsigned i = 0; i < MARK; i++)
		assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_OK);
	assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	kr_follow_end(&a.follow);
	kr_follow_end(&b.follow);
	world_fini(&w);
}

/* Nobody asks it any more: it must not make kr_fd readable for ever. */
static void what_has_failed_does_not_wake(void **state)
{
	(void)state;
	struct world w;
	struct kr_view a, b;
	struct kr_change ch;
	world_open(&w, 16);
	struct kr_list *la = world_list(&w, "a"), *lb = world_list(&w, "b");
	world_sync(&w, "a", 1);
	world_sync(&w, "b", 1);
	begin(la, &a);
	begin(lb, &b);
	assert_true(kr_fd(w.c) >= 0);
	assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_TIMEOUT);
	for (unsigned i = 0; i < 64; i++)
		world_put(&w, "b", "n0", 101 + i);
	assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_ERR_OVERRUN);
	assert_int_equal(kr_follow_next(&a.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	kr_follow_end(&b.follow);
	begin(lb, &b);
	assert_int_equal(kr_follow_next(&b.follow, &ch, 0), KR_TIMEOUT);
	world_put(&w, "b", "n0", 999);
	kr_list_close(lb); /* and not one of a list that was closed */
	assert_int_equal(kr_follow_next(&a.follow, &ch, 0), KR_TIMEOUT);
	assert_false(readable(&w));
	kr_follow_end(&a.follow);
	kr_follow_end(&b.follow);
	world_fini(&w);
}

/* What a child that the host forked keeps open: copies of the client's socket and eventfd. Puts
 * them into copies, returns how many. */
static unsigned copy_descriptors(const struct world *w, int copies[], unsigned max)
{
	enum { COPIES_FROM = 256 };
	unsigned n = 0;
	for (int fd = 0; fd < COPIES_FROM; fd++) {
		struct sockaddr_un peer = {.sun_path = ""};
		socklen_t bytes = sizeof peer;
		char path[32], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		bool socket = getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0 &&
		              strcmp(peer.sun_path, w->path) == 0;
		bool event = readlink(path, name, sizeof name - 1) > 0 &&
		             strcmp(name, "anon_inode:[eventfd]") == 0;
		if (socket || event) {
			assert_true(n < max);
			copies[n] = fcntl(fd, F_DUPFD_CLOEXEC, COPIES_FROM);
			assert_true(copies[n++] >= COPIES_FROM);
		}
	}
	return n;
}

/* An epoll set forgets a descriptor only when nobody has it open any more: a child of the host may,
 * and then the dead socket would make kr_fd readable for ever. */
static void what_a_child_keeps_open_does_not_wake(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	int r, copies[16];
	struct kr_list *l = world_pods(&w, 0, 3);
	begin(l, &v);
	assert_true(kr_fd(w.c) >= 0);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	unsigned n = copy_descriptors(&w, copies, 16);
	assert_true(n >= 2);
	fake_kill(w.d);
	fake_free(&w.d);
	world_daemon(&w);
	world_sync(&w, "pods", 4);
	do {
		while ((r = kr_follow_next(&v.follow, &ch, 0)) == KR_TIMEOUT)
			wait_fd(&w);
		assert_int_equal(r, KR_OK);
	} while (ch.type != KR_SYNCED);
	while (kr_follow_next(&v.follow, &ch, 0) == KR_OK)
		;
	assert_false(readable(&w));
	world_put(&w, "pods", "n0", 101);
	wait_fd(&w);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_OK);
	kr_follow_end(&v.follow);
	while (n > 0)
		close(copies[--n]);
	world_fini(&w);
}

/* The client's socket takes only a few questions at a time. */
static void shrink_queue(const struct world *w)
{
	int n = 0, little = 1; /* the kernel's least: 4 to 8 KiB */
	for (int fd = 0; fd < 256; fd++) {
		struct sockaddr_un peer = {.sun_path = ""};
		socklen_t bytes = sizeof peer;
		if (getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0 &&
		        strcmp(peer.sun_path, w->path) == 0)
			n += setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little) == 0;
	}
	assert_int_equal(n, 1);
}

static void take_all(struct kr_view *v)
{
	struct kr_change ch;
	int r;
	while ((r = kr_follow_next(&v->follow, &ch, 0)) == KR_OK)
		;
	assert_int_equal(r, KR_TIMEOUT);
}

static struct kr_list_status status_of(struct kr_list *l)
{
	struct kr_list_status s = {.size = sizeof s};
	assert_int_equal(kr_list_status(l, &s), KR_OK);
	return s;
}

/* A list that was refused is tried again, also when the client waited for something else in between
 * that was due sooner: room in its socket. The daemon stands still (fake_lock) while the client
 * asks, so that there is not enough. */
static void a_refused_list_is_tried_again_by_polling(void **state)
{
	(void)state;
	enum { LISTS = 60 };
	struct world w;
	struct kr_view v;
	struct kr_list *lists[LISTS];
	world_open(&w, 0);
	for (int i = 0; i < LISTS; i++) {
		char name[16];
		snprintf(name, sizeof name, "r%d", i);
		lists[i] = world_list(&w, name);
		world_sync(&w, name, 1);
	}
	begin(lists[0], &v);
	assert_true(kr_fd(w.c) >= 0);
	take_all(&v);
	fake_drop(w.d);
	fake_lock(w.d);
	wait_fd(&w);
	take_all(&v); /* it is gone */
	wait_fd(&w);
	take_all(&v); /* HELLO */
	shrink_queue(&w);
	fake_lie(w.d, FAKE_LIE_FULL);
	fake_unlock(w.d);
	do {
		wait_fd(&w);
		fake_lock(w.d);
		take_all(&v);
		fake_unlock(w.d);
	} while (strcmp(status_of(lists[0]).error_name, "DAEMON_REFUSED") != 0);
	fake_lie(w.d, FAKE_LIE_NONE);
	for (int i = 0; i < LISTS; i++)
		while (status_of(lists[i]).state != KR_LIST_LIVE) {
			wait_fd(&w);
			take_all(&v);
		}
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* A host that asks again and again, of its own accord, until just about the time at which the next
 * attempt to attach is due, and then waits. */
static void asking_does_not_eat_the_time_to_attach(void **state)
{
	(void)state;
	enum { ROUNDS = 12, TRY_NS = 500000000 };
	struct world w;
	struct kr_view v;
	struct kr_list *l = world_pods(&w, 0, 3);
	begin(l, &v);
	assert_true(kr_fd(w.c) >= 0);
	take_all(&v);
	fake_kill(w.d);
	fake_free(&w.d);
	for (int i = 0; i < 5; i++) { /* 50, 100, 200, 400 ms; from now on 500 */
		wait_fd(&w);
		take_all(&v);
	}
	for (uint64_t i = 0; i < ROUNDS; i++) {
		wait_fd(&w);
		uint64_t before = fake_now();
		take_all(&v);
		uint64_t after = fake_now();
		while (fake_now() < before + TRY_NS + (after - before) * i / ROUNDS)
			take_all(&v);
	}
	kr_follow_end(&v.follow);
	world_fini(&w);
}

static void fd_of_nothing(void **state)
{
	(void)state;
	assert_int_equal(kr_fd(NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(armed_by_timeout),
	        cmocka_unit_test(a_daemon_cannot_make_it_wait),
	        cmocka_unit_test(what_is_owed_makes_it_readable),
	        cmocka_unit_test(two_follows_do_not_eat_each_others_wakes),
	        cmocka_unit_test(a_whole_batch_is_not_all),
	        cmocka_unit_test(what_has_failed_does_not_wake),
	        cmocka_unit_test(no_wake_is_lost),
	        cmocka_unit_test(restart_wakes),
	        cmocka_unit_test(what_a_child_keeps_open_does_not_wake),
	        cmocka_unit_test(a_refused_list_is_tried_again_by_polling),
	        cmocka_unit_test(asking_does_not_eat_the_time_to_attach),
	        cmocka_unit_test(fd_of_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
