/* users.h - what each user has of that which is there for all. Limits of one connection would not
 * hold: a user has as many as CONSUMER_PER_UID_MAX. */
#ifndef KR_CONTROL_USERS_H
#define KR_CONTROL_USERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"

struct control;

enum {
	USER_OPENINGS_MAX = 262144, /* of all its consumers: each costs the daemon 0.2 KiB */
	/* One part of so many of limits.listsMax, at each reactor, and of LISTS_MAX is for others.
	 */
	USER_LISTS_PARTS = 4,
	USER_STATUSES_MAX = 32, /* asked for and not read, of all its consumers */
};

/* Owner: those who hold a reference (consumers, lists). Thread: control. */
struct user {
	struct list link; /* in control->users */
	uint32_t refs;
	uid_t uid;
	uint32_t consumers; /* without those that leave */
	uint32_t openings, statuses;
	uint32_t lists;      /* that it opened, for as long as they are there, whoever joined */
	uint32_t lists_at[]; /* of these, by reactor */
};

/* With a reference. NULL: out of memory. */
struct user *user_get(struct control *c, uid_t uid);
struct user *user_ref(struct user *u);
void user_put(struct user **u);
/* Root and the daemon's own user look after it: what is kept from others is not kept from them. */
bool user_is_ours(uid_t uid);
/* May it open one more list at that reactor? A platform with one user for all must find room, and
 * whoever else there is a place. */
err_t user_takes_list(
        const struct control *c, const struct user *u, uint32_t reactor, struct errmsg *m) MUST_USE;

#endif
