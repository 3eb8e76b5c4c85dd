/* notify_test.c - what the service manager is told, also when it does not listen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "main/notify.h"

static char home[64];
static int manager;

static int make_manager(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void)state;
	snprintf(home, sizeof home, "/tmp/kubering-notify-XXXXXX");
	if (!mkdtemp(home))
		return -1;
	snprintf(a.sun_path, sizeof a.sun_path, "%s/s", home);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return setenv("NOTIFY_SOCKET", a.sun_path, 1) ||
	       bind(manager, (struct sockaddr *)&a, sizeof a);
}

static int remove_manager(void **state)
{
	(void)state;
	close(manager);
	(void)unlink(getenv("NOTIFY_SOCKET"));
	unsetenv("NOTIFY_SOCKET");
	return rmdir(home);
}

/* false: there is none. */
static bool hear(char text[128])
{
	ssize_t n = recv(manager, text, 127, 0);
	text[n > 0 ? n : 0] = 0;
	return n >= 0;
}

static void it_is_told_what_happens(void **state)
{
	char text[128];
	(void)state;
	notify_ready();
	assert_true(hear(text));
	assert_string_equal(text, "READY=1");
	notify_reloading();
	assert_true(hear(text));
	assert_int_equal(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	assert_true(strtoull(text + 27, NULL, 10) > 0);
	notify_stopping();
	assert_true(hear(text));
	assert_string_equal(text, "STOPPING=1");
}

static void one_that_does_not_read_stops_nobody(void **state)
{
	char text[128];
	(void)state;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;
	socklen_t n = sizeof a;
	assert_int_equal(getsockname(manager, (struct sockaddr *)&a, &n), 0);
	while (sendto(fd, "x", 1, 0, (struct sockaddr *)&a, n) == 1)
		;
	close(fd);
	notify_ready(); /* it would be here for ever */
	while (hear(text))
		assert_string_equal(text, "x");
	notify_ready();
	assert_true(hear(text));
	assert_string_equal(text, "READY=1");
}

static void without_a_manager_nothing_is_said(void **state)
{
	(void)state;
	notify_ready();
	assert_int_equal(setenv("NOTIFY_SOCKET", "/nonexistent/s", 1), 0);
	notify_ready();
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                it_is_told_what_happens, make_manager, remove_manager),
	        cmocka_unit_test_setup_teardown(
	                one_that_does_not_read_stops_nobody, make_manager, remove_manager),
	        cmocka_unit_test(without_a_manager_nothing_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
