/* wake_shipped.c - the shipped text of shm/waiting.h and client/wait.c, its words and its system
 * calls handed to the model checker. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wake_words.h"

#define __atomic_load_n(p, order)        wake_load(order)
#define __atomic_store_n(p, v, order)    wake_store((v), (order))
#define __atomic_exchange_n(p, v, order) wake_exchange((v), (order))
#define __atomic_thread_fence(order)     wake_fence(__func__)
#define preadv2(fd, to, n, at, flags)    (errno = EAGAIN, wake_drain())
#define ppoll(fds, n, timeout, mask)     wake_sleep()

#include "../../engine/client/wait.c"

static struct shm_consumer page; /* a name for the word; it lies in the model */
static struct kr_client client = {.page = &page,
        .phase = CLIENT_UP,
        .link.fd = -1,
        .event_fd = 1,
        .epoll_fd = -1,
        .timer_fd = -1,
        .signal_fd = -1};

int64_t client_clock_ns(void)
{
	return 1;
}

void shipped_arm(void)
{
	wait_arm(&client);
}
void shipped_disarm(void)
{
	wait_disarm(&client);
}
void shipped_block(void)
{
	wait_block(&client, INT64_MAX);
}
void shipped_fence(void)
{
	waiting_fence();
}
bool shipped_take(void)
{
	return waiting_take(&page);
}
