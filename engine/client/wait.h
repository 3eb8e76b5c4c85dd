/* wait.h - waking up. The daemon writes our eventfd once per turn if a list of ours changed and
 * page->waiting is 1.
 * No wake-up is lost: shm/waiting.h says how.
 */
#ifndef KR_CLIENT_WAIT_H
#define KR_CLIENT_WAIT_H

#include "client/client.h"

/* Takes back old wake-ups and says "waiting". The caller looks at what it waits for once more, then
 * blocks or disarms. */
void wait_arm(struct kr_client *c);
void wait_disarm(struct kr_client *c);
/* Sleeps until woken, the socket speaks, or until_ns; at most CLIENT_SLICE_MS. Disarms. */
void wait_block(struct kr_client *c, int64_t until_ns);
/* Leaves kr_fd readable, if it is used: something is there that this call did not take, or a follow
 * has to look again: whatever other calls take from the socket, kr_fd does not tell of any more. */
void wait_signal(struct kr_client *c);
/* Watches socket, eventfd and timer with kr_fd; after each change of one of them. */
void wait_watch(struct kr_client *c, int fd);
/* Before fd is closed: a child of the host may have it open still, and epoll goes by that. */
void wait_unwatch(struct kr_client *c, int fd);
/* When kr_fd shall become readable by itself (outage, a list to be asked for again); INT64_MAX:
 * not. Remembered for a kr_fd that is made later. It stays readable until this is called again: by
 * session_pump, once it has done what was due. */
void wait_timer(struct kr_client *c, int64_t at_ns);

#endif
