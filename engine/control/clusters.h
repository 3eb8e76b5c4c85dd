/* clusters.h - the clusters that the configuration names. A cluster is known from the start, and
 * given to a reactor (with TLS material, credential, addresses) the first time somebody wants
 * something of it: ten thousand unused contexts cost ten thousand small structs. One broken context
 * breaks only itself.
 *
 * Clusters come when a Headlamp backend lists them (backends.h) and never go: an id is a row for
 * the life of the daemon. A backend has a row of its own, which no name leads to. */
#ifndef KR_CONTROL_CLUSTERS_H
#define KR_CONTROL_CLUSTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "config/cluster_conf.h"
#include "reactor/reactor.h"

struct control;
struct credential;
struct credential_source;
struct discovery;
struct tls_config;
struct tls_roots;

/* Owner: control->clusters. Thread: control. Life: clusters_load to clusters_fini. */
struct known_cluster {
	const char *name;          /* borrow(config), or in conf.arena */
	uint32_t id, reactor, qps; /* id: its row */
	bool watch_list, gzip;
	enum strategy_way way;
	bool way_auto;
	bool is_backend; /* stands for a Headlamp backend: holds no lists, has no name to be found
	                    by */
	struct known_cluster *backend; /* borrow: whose reactor, TLS roots and credential it shares;
	                                  NULL: a kubeconfig's. conf.context is its name there */
	const char *user;              /* borrow(config): Headlamp's user id; NULL: none */
	/* Of a backend, for the clusters behind it: borrow(config), and own; NULL: none. */
	const struct credential_conf *cluster_credential;
	struct credential_source *cluster_source;
	struct errmsg unlisted; /* code != ERR_OK: what the backend has against it; for status */
	bool placed;            /* a reactor has it */
	struct errmsg broken;   /* code != ERR_OK: why it cannot be used */
	struct cluster_conf conf;
	struct tls_roots *roots;          /* own */
	struct credential_source *source; /* own */
	struct credential *credential;    /* own: what the reactor has */
	bool sent;                        /* the reactor was told of a credential, or why not */
	bool asked_401;                   /* the reactor waits for a CLUSTER_CREDENTIAL */
	struct discovery *discovery;      /* own; NULL: not asked yet */
	struct discovery *discovery_next; /* own: the one under way */
	uint64_t discovered_ns;
	uint64_t logged_ns; /* last line about it, or what is behind it, being down or up */
	bool logged_down;
	struct list discovery_waiters;  /* struct question */
	struct errmsg discovery_failed; /* code != ERR_OK: why the last one failed; for status */
	bool discovering;
	uint64_t discover_again_ns; /* by then a step of discovery has its answer */
	uint32_t discovery_step;    /* answers so far of the discovery under way */
	int64_t cert_expires_s;
};

/* Clusters in the order of a key: their names, or with by_context their names at the backend. */
struct cluster_index {
	struct known_cluster **rows; /* own array */
	uint32_t count, capacity;
	bool by_context;
};
/* The first whose key is not before key: where it is, or would be. */
uint32_t cluster_index_at(const struct cluster_index *x, const char *key);
err_t cluster_index_add(struct cluster_index *x, struct known_cluster *k) MUST_USE;
void cluster_index_fini(struct cluster_index *x);

struct clusters {
	struct known_cluster **rows; /* own, by id; backends too */
	uint32_t count, capacity;
	struct cluster_index by_name;   /* without backends */
	struct tls_roots *system_roots; /* own, made at first need */
	struct tls_config *share; /* own: the first one; later ones are made cheaper from it */
};

/* Takes the clusters of the configuration; what is wrong with one stays with it. */
err_t clusters_load(struct control *c, struct errmsg *m) MUST_USE;
void clusters_fini(struct control *c);
struct known_cluster *clusters_find(const struct control *c, const char *name);
/* As clusters_find; NULL with a text that says why it is not known and what to do. */
struct known_cluster *clusters_require(const struct control *c, const char *name, struct errmsg *m);
/* A new row, zeroed but for id. NULL: out of memory. */
struct known_cluster *clusters_new(struct clusters *t);
/* Sees to it that a reactor has the cluster; ERR with a text when it is broken. */
err_t clusters_place(struct control *c, struct known_cluster *k, struct errmsg *m) MUST_USE;

/* A backend's requests carry more than they did: its sockets are made anew with it. */
void clusters_send_again(struct control *c, struct known_cluster *k);

void clusters_on_wants_addresses(struct control *c, uint32_t id);
void clusters_on_wants_credential(struct control *c, uint32_t id);
/* It is not reached, or answers again: a line for the log, at most one a minute of each cluster. */
void clusters_on_turned(struct control *c, const struct reactor_note *n);
/* The pool has news. */
void clusters_on_credentials(struct control *c);

#endif
