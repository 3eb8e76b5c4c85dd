/* os.h - what both implementations ask the kernel for in the same way: the clock, the options of a
 * socket, and the one place where errno becomes err_t. -errno exists in this room only.
 */
#ifndef KR_IO_OS_H
#define KR_IO_OS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

enum { OS_OPTION_COUNT = 6 };

struct os_option {
	int level, name, value;
};

/* What every socket gets before it connects. */
extern const struct os_option os_options[OS_OPTION_COUNT];

/* errno (positive) of a socket call. */
err_t os_err(int err_no);

uint64_t os_clock_ns(void);

/* An IPv4 or IPv6 address of its right length. */
bool os_addr_ok(const struct sockaddr *addr, socklen_t addr_len);

/* A TCP socket with os_options; flags as for socket(2), beside SOCK_STREAM | SOCK_CLOEXEC. */
err_t os_socket(int family, int flags, int *fd) MUST_USE;

#endif
