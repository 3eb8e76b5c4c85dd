/* follow.h - every change of one list after a position, in order.
 *
 * A follower registers nothing: its position is here. It pays for the changes of its list only, by
 * walking the list's chain (last_change -> prev -> ...) back to its position, and handing out what
 * it passed, oldest first. It is overrun only if one of those has left the ring (S1); what other
 * lists of the shard do does not matter. Changes after `commit` are left for later, so a batch is
 * seen whole.
 *
 * A long backlog is walked once: every FOLLOW_MARK_EVERY changes the walk leaves a mark to start
 * the next one from.
 */
#ifndef KR_CLIENT_FOLLOW_H
#define KR_CLIENT_FOLLOW_H

#include "client/list.h"
#include "client/object.h"

enum {
	FOLLOW_SEQS = 4096, /* a power of two: found by one walk, handed out one by one */
	FOLLOW_MARK_EVERY = 2048,
	FOLLOW_MARKS = 256,
};

struct restart;

/* Owner: the user, through kr_follow. Thread: the client's. Life: the first kr_follow_next to
 * kr_follow_end. */
struct follow {
	struct list node;     /* in client->follows */
	struct kr_list *list; /* shared(refs) */
	struct home home;     /* own reference; differs from list->home after a restart, until the
	                         difference is handed out */
	uint64_t position;    /* newest change that was handed out */
	uint64_t digest;      /* of the list there */
	int failed;           /* sticky: KR_ERR_OVERRUN, KR_ERR_CLOSED */
	bool reset;           /* say KR_RESET next */
	bool told_stale;      /* the last KR_STATE was ours: no daemon */
	struct restart *restart; /* own: the difference that is being handed out */
	struct object_buf now, before;
	uint64_t commit,
	        window;     /* when seqs were filled: newest change, and how many the ring held */
	uint32_t have, top; /* have seqs are in the ring below seqs[top - 1] */
	uint32_t mark_count;
	uint64_t marks[FOLLOW_MARKS]; /* falling */
	uint64_t seqs[FOLLOW_SEQS];
};

struct follow_start { /* what the consumer has */
	uint64_t position, digest;
};
/* Sets up view->follow; nothing is allocated. */
void follow_prepare(struct kr_follow *k, struct kr_list *l, const struct home *home,
        const struct follow_start *start);
/* A change with nothing in it but its list. */
void follow_blank(struct follow *f, struct kr_change *ch, enum kr_type type);
/* DELETED with nothing known but what was there: object is old_object without its JSON. */
void follow_deleted_unknown(struct kr_change *ch);
/* From now on in this home. */
void follow_move(struct follow *f, const struct home *to, const struct follow_start *start);

#endif
