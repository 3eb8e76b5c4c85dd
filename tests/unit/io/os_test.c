/* The one place where errno becomes err_t. */
#include "io/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/check.h"

static void errno_has_a_meaning(void **state)
{
	(void)state;
	static const struct {
		int err_no;
		err_t err;
		enum err_class cls;
	} rows[] = {
	        {0, ERR_OK, ERR_CLASS_NONE},
	        {ECONNREFUSED, ERR_CONN_REFUSED, ERR_CLASS_RETRY},
	        {ECONNRESET, ERR_CONN_RESET, ERR_CLASS_RETRY},
	        {EPIPE, ERR_CONN_RESET, ERR_CLASS_RETRY},
	        {ETIMEDOUT, ERR_CONN_TIMEOUT, ERR_CLASS_RETRY},
	        {ENETUNREACH, ERR_CONN_UNREACHABLE, ERR_CLASS_RETRY},
	        {EHOSTUNREACH, ERR_CONN_UNREACHABLE, ERR_CLASS_RETRY},
	        {EPERM, ERR_CONN_UNREACHABLE, ERR_CLASS_RETRY},
	        {ENOBUFS, ERR_NO_MEMORY, ERR_CLASS_LOCAL},
	        {EMFILE, ERR_LIMIT, ERR_CLASS_LOCAL},
	        {EADDRNOTAVAIL, ERR_LIMIT, ERR_CLASS_LOCAL},
	        {EAFNOSUPPORT, ERR_ARGUMENT, ERR_CLASS_CALLER},
	        {EIO, ERR_IO, ERR_CLASS_LOCAL},
	        {99999, ERR_IO, ERR_CLASS_LOCAL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(os_err(rows[i].err_no), rows[i].err);
		assert_int_equal(err_class_of(os_err(rows[i].err_no)), rows[i].cls);
	}
}

static void addresses_have_their_length(void **state)
{
	(void)state;
	const socklen_t n4 = sizeof(struct sockaddr_in), n6 = sizeof(struct sockaddr_in6);
	struct sockaddr a = {.sa_family = AF_INET};
	assert_false(os_addr_ok(&a, n4 - 1));
	assert_true(os_addr_ok(&a, n4));
	assert_false(os_addr_ok(&a, n4 + 1));
	a.sa_family = AF_INET6;
	assert_false(os_addr_ok(&a, n6 - 1));
	assert_true(os_addr_ok(&a, n6));
	assert_false(os_addr_ok(&a, n6 + 1));
	a.sa_family = AF_UNIX;
	assert_false(os_addr_ok(&a, n4));
}

static void socket_of_no_family(void **state)
{
	(void)state;
	int fd = -1;
	assert_int_equal(os_socket(250, 0, &fd), ERR_ARGUMENT);
	assert_int_equal(fd, -1);
	assert_int_equal(os_socket(AF_INET, SOCK_NONBLOCK, &fd), ERR_OK);
	close(fd);
}

static void clock_goes_on(void **state)
{
	(void)state;
	uint64_t a = os_clock_ns(), b = os_clock_ns();
	assert_true(b >= a && a > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(errno_has_a_meaning),
	        cmocka_unit_test(addresses_have_their_length),
	        cmocka_unit_test(socket_of_no_family),
	        cmocka_unit_test(clock_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
