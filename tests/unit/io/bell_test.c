/* Eventfds of consumers who would like to stop the daemon. */
#include "io/bell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint64_t full = UINT64_MAX - 1; /* eventfd(2): the most that write() adds up to */

static int event(uint64_t value)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(fd >= 0);
	if (value)
		assert_int_equal(write(fd, &value, sizeof value), sizeof value);
	return fd;
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static void rings_are_counted(void **state)
{
	(void)state;
	enum { MANY = 3000 }; /* more than the kernel keeps answers */
	struct bell b = {0};
	int fd = event(0), other = event(0);
	uint64_t v;
	assert_true(bell_open(&b));
	assert_true(bell_open(&b));
	for (int i = 0; i < MANY; i++)
		assert_true(bell_ring(&b, fd));
	assert_true(bell_ring(&b, other));
	assert_int_equal(read(fd, &v, sizeof v), sizeof v);
	assert_int_equal(v, MANY);
	assert_int_equal(read(other, &v, sizeof v), sizeof v);
	assert_int_equal(v, 1);
	assert_false(is_readable(fd));
	close(other);
	assert_false(bell_ring(&b, other)); /* no eventfd any more */
	assert_false(bell_ring(&b, b.null_fd));
	bell_close(&b);
	assert_false(bell_ring(&b, fd));
	bell_close(&b);
	close(fd);
}

static void full_and_blocking_waits_for_nobody(void **state)
{
	(void)state;
	struct bell b = {0};
	int fd = event(full);
	assert_true(bell_open(&b));
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	for (int i = 0; i < 3; i++)
		assert_true(bell_ring(&b, fd));
	assert_true(is_readable(fd));
	bell_close(&b);
	close(fd);
}

struct flipper {
	int fd;
	_Atomic bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	while (!f->stop) {
		(void)fcntl(f->fd, F_SETFL, 0);
		(void)fcntl(f->fd, F_SETFL, O_NONBLOCK);
	}
	return NULL;
}

/* write() behind a look at the flag stands still for ever after some 10,000 of these, io_uring's
 * after some 100,000. */
static void whoever_changes_the_flag_in_between_stops_nothing(void **state)
{
	(void)state;
	struct bell b = {0};
	struct flipper f = {.fd = event(full)};
	pthread_t t;
	assert_true(bell_open(&b));
	assert_int_equal(pthread_create(&t, NULL, flip, &f), 0);
	for (int i = 0; i < 200000; i++)
		assert_true(bell_ring(&b, f.fd));
	f.stop = true;
	pthread_join(t, NULL);
	bell_close(&b);
	close(f.fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rings_are_counted),
	        cmocka_unit_test(full_and_blocking_waits_for_nobody),
	        cmocka_unit_test(whoever_changes_the_flag_in_between_stops_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
