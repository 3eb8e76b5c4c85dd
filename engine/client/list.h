/* list.h - an opened list, and where it lives.
 *
 * A home is a row of a shard in one life of the daemon. A list serves from `home`. After the daemon
 * was replaced it is opened again as `next`, and changes over (list_settle) when the next one is
 * whole, all at once: what kr_get, kr_view and status tell is of one life, always. Follows keep
 * their own home, so they notice the change of theirs and work out the difference (restart.c).
 */
#ifndef KR_CLIENT_LIST_H
#define KR_CLIENT_LIST_H

#include "client/client.h"
#include "client/mapping.h"
#include "client/object.h"

struct home {
	struct mapping *shard; /* shared(refs); NULL: none */
	uint32_t row, gen;
	uint32_t handle; /* names the opening to the daemon */
	uint64_t life;   /* of the client, in which it was opened */
};

/* Owner: the user, its views and its started follows (refs). Thread: the client's. Life:
 * kr_list_open until kr_list_close and the last of those is gone. */
struct kr_list {
	unsigned refs;
	bool closed; /* by the user */
	struct list node;
	struct kr_client *client; /* shared(refs) */
	struct home home, next;
	struct mapping *retired; /* shared(refs): what the last kr_get lent out of, home no more */
	bool lent;               /* it did: KR_BORROW */
	struct object_buf buf;   /* of kr_get */
	/* opening again */
	uint32_t open_id; /* of the request under way, 0 = none */
	int64_t retry_ns; /* not before */
	bool offered;     /* `offer` came and is not yet mapped */
	struct attach_list offer;
	char refusal[256]; /* why the new daemon does not open it; "" */
	/* what it is: own, the strings of attach_spec one behind the other */
	uint32_t form, flags;
	uint16_t length[ATTACH_STRINGS];
	char *text;
};

/* Puts the OPEN_LIST of l into the link. */
void list_ask_open(struct kr_list *l, uint32_t id);
/* Gives back an opening of the life that c is attached to. Waits for nobody: when the daemon's
 * queue is full, list_tell_owed says it later. */
void list_tell_close(struct kr_client *c, uint32_t handle);
void list_tell_owed(struct kr_client *c);
/* Changes over to the next home if that is whole by now. True if it did. */
bool list_settle(struct kr_list *l);
bool home_same(const struct home *a, const struct home *b);
void home_drop(struct home *h);
void list_put(struct kr_list **l);
/* May a call on this list go on? KR_ERR_CLOSED with a text otherwise. */
int list_usable(struct kr_list *l);

#endif
