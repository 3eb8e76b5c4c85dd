/* host/sends.c: each of several sends with one system call has the result that send(2) would have
 * had, and they are told in order. */
#include "host/sends.h"

#include "base/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int results[2 * SENDS_MAX];
static size_t told;

static void on_done(void *who, int result)
{
	assert_int_equal((uintptr_t)who, told); /* in the order in which they were put in */
	results[told++] = result;
}

static void open_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static struct sends *sends_or_skip(void)
{
	struct sends *s = sends_new();
	told = 0;
	if (!s) {
		print_message("this machine has no io_uring, or forbids it\n");
		skip();
	}
	return s;
}

static void each_socket_gets_its_own(void **state)
{
	(void)state;
	struct sends *s = sends_or_skip();
	for (int round = 0; round < 3; round++) { /* the ring goes round */
		int fds[SENDS_MAX][2];
		char text[SENDS_MAX][16], got[16];
		told = 0;
		for (uintptr_t i = 0; i < SENDS_MAX; i++) {
			open_pair(fds[i]);
			int n = snprintf(text[i], sizeof text[i], "to %d of %d", (int)i, round);
			assert_true(sends_add(
			        s, fds[i][0], (struct span){text[i], (size_t)n}, (void *)i));
		}
		assert_false(sends_add(s, fds[0][0], SPAN("one more"), NULL));
		sends_flush(s, on_done);
		assert_int_equal(told, SENDS_MAX);
		for (int i = 0; i < SENDS_MAX; i++) {
			assert_int_equal(results[i], strlen(text[i]));
			assert_int_equal(read(fds[i][1], got, sizeof got), results[i]);
			assert_memory_equal(got, text[i], (size_t)results[i]);
			close(fds[i][0]);
			close(fds[i][1]);
		}
	}
	sends_flush(s, on_done); /* of nothing */
	assert_int_equal(told, SENDS_MAX);
	sends_free(&s);
	assert_null(s);
}

static void what_a_socket_does_not_take(void **state)
{
	(void)state;
	struct sends *s = sends_or_skip();
	enum { LARGE = 4 << 20 };
	char *large = calloc(1, LARGE);
	int full[2], closed[2], good[2];
	assert_non_null(large);
	open_pair(full);
	open_pair(closed);
	open_pair(good);
	close(closed[1]);
	assert_true(sends_add(s, full[0], (struct span){large, LARGE}, (void *)0));
	assert_true(sends_add(s, closed[0], SPAN("nobody reads"), (void *)1));
	assert_true(sends_add(s, full[0], SPAN("no room"), (void *)2));
	assert_true(sends_add(s, -1, SPAN("no socket"), (void *)3));
	assert_true(sends_add(s, good[0], SPAN("the others do not suffer"), (void *)4));
	sends_flush(s, on_done);
	assert_int_equal(told, 5);
	assert_true(results[0] > 0 && results[0] < LARGE); /* a piece */
	assert_int_equal(results[1], -EPIPE);              /* and no SIGPIPE */
	assert_int_equal(results[2], -EAGAIN);             /* and nobody waited */
	assert_int_equal(results[3], -EBADF);
	assert_int_equal(results[4], strlen("the others do not suffer"));
	int fds[] = {full[0], full[1], closed[0], good[0], good[1]};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	free(large);
	sends_free(&s);
	sends_free(&s); /* of none */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_socket_gets_its_own),
	        cmocka_unit_test(what_a_socket_does_not_take),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
