/* resolver.h - DNS by c-ares on the control thread's loop. Names in, addresses out; IP literals and
 * unix time are no business of DNS and answer at once. */
#ifndef KR_CONTROL_RESOLVER_H
#define KR_CONTROL_RESOLVER_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "control/loop.h"

enum {
	RESOLVER_ADDRESSES_MAX = 8,
	RESOLVER_TIMEOUT_MS = 2000,
	RESOLVER_TRIES = 2,
	RESOLVER_IN_FLIGHT = 64, /* names asked for at one time: ten thousand queries in one burst
	                            are lost in a socket's buffer, and each loss costs a timeout */
};

struct resolver_answer {
	err_t err;
	char text[ERRMSG_BYTES];
	uint32_t count;
	struct sockaddr_storage at[RESOLVER_ADDRESSES_MAX];
	socklen_t bytes[RESOLVER_ADDRESSES_MAX];
};
typedef void (*resolver_fn)(void *arg, uint32_t id, const struct resolver_answer *a);

struct resolver;

/* conf: /etc/resolv.conf, but for tests; it is read again when it has changed. */
err_t resolver_new(struct loop *l, const char *conf, resolver_fn on_answer, void *arg,
        struct resolver **out) MUST_USE;
void resolver_free(struct resolver **r);
/* on_answer(arg, id, ...) comes once, perhaps from inside this call. */
void resolver_ask(struct resolver *r, uint32_t id, const char *host, uint16_t port);

#endif
