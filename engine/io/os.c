#include "io/os.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/io.h"

const struct os_option os_options[OS_OPTION_COUNT] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        /* Only probes find a peer that vanished from a stream on which we never send:
           TCP_USER_TIMEOUT alone counts what waits to be acknowledged, and nothing does. */
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, IO_KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, IO_KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, IO_KEEPALIVE_COUNT},
        /* Probes are not sent while our own bytes are unacknowledged or the peer's window is shut.
         */
        {IPPROTO_TCP, TCP_USER_TIMEOUT, IO_USER_TIMEOUT_MS},
};

err_t os_err(int err_no)
{
	switch (err_no) {
	case 0: return ERR_OK;
	case ECONNREFUSED: return ERR_CONN_REFUSED;
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE: return ERR_CONN_RESET;
	case ETIMEDOUT: return ERR_CONN_TIMEOUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case EPERM: /* a local packet filter */
	case EACCES: return ERR_CONN_UNREACHABLE;
	case ENOMEM:
	case ENOBUFS: return ERR_NO_MEMORY;
	case EMFILE:
	case ENFILE:
	case EADDRNOTAVAIL: /* the local ports to this address are used up */ return ERR_LIMIT;
	case EAFNOSUPPORT:
	case EINVAL: return ERR_ARGUMENT;
	default: return ERR_IO;
	}
}

uint64_t os_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool os_addr_ok(const struct sockaddr *addr, socklen_t addr_len)
{
	return (addr->sa_family == AF_INET && addr_len == sizeof(struct sockaddr_in)) ||
	       (addr->sa_family == AF_INET6 && addr_len == sizeof(struct sockaddr_in6));
}

err_t os_socket(int family, int flags, int *fd)
{
	int s = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (s < 0)
		return os_err(errno);
	for (int i = 0; i < OS_OPTION_COUNT; i++) {
		const struct os_option *o = &os_options[i];
		if (setsockopt(s, o->level, o->name, &o->value, sizeof o->value) != 0) {
			err_t err = os_err(errno);
			close(s);
			return err;
		}
	}
	*fd = s;
	return ERR_OK;
}
