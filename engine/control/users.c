#include "control/users.h"

#include <stdlib.h>
#include <unistd.h>

#include "config/settings.h"
#include "control/core.h"

struct user *user_get(struct control *c, uid_t uid)
{
	LIST_EACH (it, &c->users) {
		struct user *u = CONTAINER_OF(it, struct user, link);
		if (u->uid == uid)
			return user_ref(u);
	}
	struct user *u = calloc(1, sizeof *u + c->config.reactor_count * sizeof u->lists_at[0]);
	if (!u)
		return NULL;
	u->uid = uid;
	u->refs = 1;
	list_push(&c->users, &u->link);
	return u;
}

struct user *user_ref(struct user *u)
{
	u->refs++;
	return u;
}

void user_put(struct user **up)
{
	struct user *u = *up;
	*up = NULL;
	if (!u || --u->refs > 0)
		return;
	list_unlink(&u->link);
	free(u);
}

bool user_is_ours(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

err_t user_takes_list(
        const struct control *c, const struct user *u, uint32_t reactor, struct errmsg *m)
{
	uint64_t there = c->config.settings->limits.lists_max;
	uint64_t most = there - there / USER_LISTS_PARTS;
	bool room =
	        u->lists_at[reactor] < most && u->lists < LISTS_MAX - LISTS_MAX / USER_LISTS_PARTS;
	if (room || user_is_ours(u->uid))
		return ERR_OK;
	return errmsg_set(m, ERR_LIMIT,
	        "user %u has opened %u lists, as many as one user may: close some, or raise "
	        "`limits.listsMax` of kubering.yaml",
	        u->uid, u->lists);
}
