/* epoll.h - the epoll implementation of io.h, private to this room: for hosts that refuse io_uring
 * (containers, hardened kernels).
 *
 * Edge triggered: one epoll_ctl per connection in its whole life. What an edge said is kept as a
 * flag until a call says EAGAIN, so the fairness bound costs no system call. One
 * receive buffer for all sockets: bytes are lent to the handler.
 */
#ifndef KR_IO_EPOLL_H
#define KR_IO_EPOLL_H

#include "io/io.h"

/* Returns 0 or -errno, then *step says what failed ("epoll_create1"). */
int epoll_open(const struct io_config *config, struct io **out, const char **step);

#endif
