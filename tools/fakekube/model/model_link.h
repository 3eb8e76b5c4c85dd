/* model_link.h - one byte stream from a Headlamp backend to a cluster: to a cluster of the model in
 * this process (model_link_to_cluster), or to whatever the host can reach (host/upstream.c).
 *
 * Nothing is pushed: the backend takes what has come when its own client has room, and the link
 * says so (model_link_wake) when there is something new. */
#ifndef KR_MODEL_MODEL_LINK_H
#define KR_MODEL_MODEL_LINK_H

#include "model/model_conn.h"

struct model_link;

enum model_link_state {
	MODEL_LINK_DIALING,
	MODEL_LINK_OPEN,
	MODEL_LINK_ENDED, /* nothing more comes than what peek still gives */
	MODEL_LINK_FAILED /* it never opened: model_link.problem says why */
};

struct model_link_ops {
	enum model_link_state (*state)(struct model_link *l, uint64_t now_ns);
	void (*send)(struct model_link *l, struct span s, uint64_t now_ns);
	struct span (*peek)(struct model_link *l, uint64_t now_ns);
	void (*consume)(struct model_link *l, size_t n, uint64_t now_ns);
	uint64_t (*deadline_ns)(const struct model_link *l); /* UINT64_MAX: none */
	void (*free)(struct model_link *l);
};

/* Owner: the backend. Life: open .. ops->free. */
struct model_link {
	const struct model_link_ops *ops;
	struct model_conn *owner; /* borrow(until free): is woken */
	struct model_conn *inner; /* own; the other end in this process, or NULL */
	/* When there is news, ready_link is put on *ready (NULL: nobody asks which link it was). */
	struct list *ready, ready_link;
	void *entry;       /* of whoever set ready */
	char problem[160]; /* as Go words it: dial tcp 127.0.0.1:1: connect: ... */
};

/* There is something new: the owner's connection is woken. */
void model_link_wake(struct model_link *l);

/* arg: what the context was made with. Never NULL: what fails is FAILED. */
typedef struct model_link *(*model_link_open_fn)(
        void *arg, struct model_conn *owner, uint64_t now_ns);

/* user: the name in the client certificate; NULL = none. */
struct model_link *model_link_to_cluster(struct model_server *s, struct model_cluster *cluster,
        const char *user, struct model_conn *owner, uint64_t now_ns);

#endif
