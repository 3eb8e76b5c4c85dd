/* mux_key.h - what a multiplexer remembers: clusters, their paths, and keys of the backend. Private
 * to mux*.c.
 *
 * A key is one user id, and so one watch at the backend. It lives as long as somebody is subscribed
 * through it, its REQUEST is unanswered or its CLOSE unsent. Paths live while they have keys,
 * clusters while they have paths. */
#ifndef KR_HEADLAMP_MUX_KEY_H
#define KR_HEADLAMP_MUX_KEY_H

#include "base/prng.h"
#include "headlamp/mux.h"

struct mux_node {
	struct mux_node *next;
	uint64_t hash;
};
struct mux_table {
	struct mux_node **rows; /* own */
	size_t row_count, count;
};

struct mux_cluster {
	struct mux_node node;
	struct list link;  /* in ready or cold, while something is queued */
	struct list queue; /* keys to ask for */
	size_t path_count;
	bool answered;         /* on this socket, and nothing has ended or failed since */
	bool doubted;          /* it had answered; then a watch ended: one REQUEST at a time */
	struct mux_key *probe; /* borrow: that one */
	size_t name_bytes;
	char name[];
};

struct mux_path {
	struct mux_node node;
	struct mux_cluster *cluster;
	struct list keys;
	struct list asked;     /* unanswered, in the order of their REQUESTs */
	uint64_t asserted_seq; /* of the last assertion */
	uint64_t close_seq;    /* of the last CLOSE */
	size_t closes;         /* CLOSEs whose STATUS may still come, unless close_seq is fenced */
	size_t text_bytes;
	char text[];
};

struct mux_key {
	struct mux_node node; /* hash: the user id as a number */
	struct mux_sub *sub;  /* borrow(until unsubscribed, or told that it ended) */
	struct mux_path *path;
	struct list of_path; /* in path->keys */
	struct list asked;   /* in path->asked */
	struct list sent;    /* in mux->sent */
	struct list queue;   /* in cluster->queue, or in mux->closes */
	struct list told;    /* in mux->ended: its owner does not know yet */
	char *query;         /* own: the latest */
	size_t query_bytes;
	uint64_t seq, asked_ns; /* of its first REQUEST */
	uint64_t due_ns;        /* of an assertion: not before */
	uint32_t requests;
	bool asserted; /* asked again because a STATUS was ambiguous; nothing has come since */
	char user[MUX_USER_BYTES + 1];
};

struct mux {
	struct prng prng;
	uint64_t seed;
	bool open;
	struct mux_table clusters, paths, keys;
	struct list ready, cold; /* clusters with a queue: they have answered, they have not */
	struct list closes;      /* keys */
	struct list sent;        /* keys, unanswered, in the order of their REQUESTs */
	struct list ended;       /* keys */
	struct mux_key *probe;   /* borrow: the one that was asked of a cold cluster */
	struct mux_event late;   /* what follows an OPENED */
	uint64_t seq;            /* of messages sent */
	uint64_t fenced;         /* all up to this one have been served */
	uint64_t answered_ns;
	char scratch[MUX_MESSAGE_BYTES_MAX];
};

bool mux_table_init(struct mux_table *t);
void mux_table_fini(struct mux_table *t);
/* Calls f with every node; f may take out the one that it is given. */
void mux_table_each(
        struct mux_table *t, struct mux *m, void (*f)(struct mux *m, struct mux_node *n));

/* A new key with an id that this mux has not used, in the tables, linked to nobody. NULL: out of
 * memory. */
struct mux_key *mux_key_new(
        struct mux *m, struct span cluster, struct span path, struct span query);
/* Frees it if nobody needs it any more. */
void mux_key_drop(struct mux *m, struct mux_key *k);
struct mux_key *mux_key_find(struct mux *m, struct span user);
struct mux_path *mux_path_find(struct mux *m, struct span cluster, struct span path);
bool mux_path_is(const struct mux_path *p, struct span cluster, struct span path);
bool mux_key_set_query(struct mux_key *k, struct span query);

#endif
