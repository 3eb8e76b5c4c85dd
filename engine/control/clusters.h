/* clusters.h - the clusters that the configuration names. A cluster is known from the start, and
 * given to a reactor (with TLS material, credential, addresses) the first time somebody wants
 * something of it: ten thousand unused contexts cost ten thousand small structs. One broken context
 * breaks only itself.
 *
 * Clusters come when a Headlamp backend lists them (backends.h) or a reload names them (reload.h),
 * and go when a reload no longer does: no name leads to the row then, and its id is used again once
 * the reactor has said its last word. A backend has a row of its own, which no name leads to. */
#ifndef KR_CONTROL_CLUSTERS_H
#define KR_CONTROL_CLUSTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash_index.h"
#include "base/list.h"
#include "config/cluster_conf.h"
#include "control/loop.h"
#include "kube/discovery.h"
#include "reactor/reactor.h"

struct config_cluster;
struct control;
struct credential;
struct credential_source;
struct tls_config;
struct tls_roots;

enum { OWED_CREDENTIAL = 1, OWED_401 = 2, OWED_ADDRESSES = 4 };

/* Owner: control->clusters. Thread: control. Life: clusters_load to clusters_fini. */
struct known_cluster {
	struct list unused;        /* in clusters->unused when it stands for nothing */
	const char *name;          /* borrow(config), or in conf.arena */
	uint32_t id, reactor, qps; /* id: its row */
	uint32_t audit_s;          /* between two audits of one list, about; 0: none */
	bool watch_list, gzip;
	enum strategy_way way;
	bool way_auto;
	bool is_backend; /* stands for a Headlamp backend: holds no lists, has no name to be found
	                    by */
	struct known_cluster *backend; /* borrow: whose reactor, TLS roots and credential it shares;
	                                  NULL: a kubeconfig's. conf.context is its name there */
	bool found;                    /* only the backend's own list names it */
	const char *user;              /* borrow(config): Headlamp's user id; NULL: none */
	/* Of a backend, for the clusters behind it: borrow(config), and own; NULL: none. */
	const struct credential_conf *cluster_credential;
	struct credential_source *cluster_source;
	struct errmsg unlisted; /* code != ERR_OK: what the backend has against it; for status */
	bool placed;            /* a reactor has it */
	bool gone;              /* removed; notes about it are of no interest */
	bool fresh;             /* the lists that the configuration keeps open are not open yet */
	bool renew;             /* the next credential is another login: see reactor_msg */
	uint32_t epoch;         /* counts servers; tells late answers apart */
	struct errmsg broken;   /* code != ERR_OK: why it cannot be used */
	struct cluster_conf conf;
	struct tls_roots *roots; /* shared(refs) */
	struct hash_node by_ca;  /* while its roots are those of conf.ca_pem */
	bool in_ca_index;
	struct credential_source *source; /* own */
	struct hash_node by_source;       /* while it has one */
	struct credential *credential;    /* own: what the reactor has */
	bool sent;                        /* the reactor was told of a credential, or why not */
	bool asked_401;                   /* the reactor waits for a CLUSTER_CREDENTIAL */
	unsigned owed;                    /* OWED_*: what there was no memory to send */
	struct discovery *discovery;      /* shared(refs); NULL: not asked yet */
	struct discovery *discovery_next; /* own: the one under way */
	uint64_t discovered_ns;
	uint64_t logged_ns;     /* last line about it, or what is behind it, being down or up */
	bool down, logged_down; /* not reached: as it is, and as the log was told last */
	bool login_failed, discovery_refused, broken_told; /* so the log was told */
	struct list discovery_waiters;                     /* struct question */
	struct list questions;          /* struct question: all that are about it */
	struct list lists;              /* struct open_list: those that have not ended */
	struct errmsg discovery_failed; /* code != ERR_OK: why the last one failed; for status */
	bool discovering;
	uint64_t discover_again_ns; /* by then a step of discovery has its answer */
	uint32_t discovery_step;    /* answers so far of the discovery under way */
	const char *discovery_asks; /* borrow(discovery_next): path of a group */
	char discovery_lacks[96];   /* of one that did not answer the last one; "": none */
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
/* Harmless when it is not in there. */
void cluster_index_remove(struct cluster_index *x, const struct known_cluster *k);
void cluster_index_fini(struct cluster_index *x);

/* A budget of lines for the log. */
struct lines {
	struct loop_timer timer; /* runs while told > 0 */
	uint32_t told;           /* since the timer was set, or tried */
	uint32_t down, up, more; /* meanwhile, and not told */
};

struct clusters {
	struct known_cluster **rows; /* own, by id; backends too */
	uint32_t count, capacity;
	struct list unused;             /* rows whose id may be used again */
	struct cluster_index by_name;   /* without backends */
	struct hash_index by_ca;        /* by ca_pem: equal ones are one tls_roots */
	uint64_t ca_seed;               /* of its hashes, and of by_source's */
	struct hash_index by_source;    /* a plugin's answer may be of many */
	struct tls_roots *system_roots; /* own, made at first need */
	struct tls_config *share; /* own, of no cluster: all others are made cheaper from it */
	struct discovery_pool discoveries;
	struct lines turned, other;
	struct loop_timer settle; /* set while the log may be behind with one */
	struct loop_timer again;  /* set while one is owed something */
};

enum { CLUSTERS_LINES = 50, CLUSTERS_LINES_S = 10, CLUSTERS_LOG_S = 60 };

/* Takes the clusters of the configuration; what is wrong with one stays with it. */
err_t clusters_load(struct control *c, struct errmsg *m) MUST_USE;
void clusters_fini(struct control *c);
struct known_cluster *clusters_find(const struct control *c, const char *name);
/* As clusters_find; NULL with a text that says why it is not known and what to do. */
struct known_cluster *clusters_require(const struct control *c, const char *name, struct errmsg *m);
/* A new row, zeroed but for id. NULL: out of memory. */
struct known_cluster *clusters_new(struct clusters *t);
/* A cluster that the configuration names. */
err_t clusters_add(struct control *c, struct config_cluster *from) MUST_USE;
/* Its lists are closed, with the text as reason; k is not to be used afterwards. */
void clusters_remove(struct control *c, struct known_cluster *k, const char *why);
/* The reactor has said its last word about it. */
void clusters_on_removed(struct control *c, uint32_t id);
/* Its conf and options are new: login: the user or how the server is checked; moved: the server. */
void clusters_change(struct control *c, struct known_cluster *k, bool moved, bool login);
/* What the configuration says beside the conf. true: it is something else than before. */
bool clusters_set_options(struct known_cluster *k, const struct config_cluster *from);
/* Sees to it that a reactor has the cluster; ERR with a text when it is broken. */
err_t clusters_place(struct control *c, struct known_cluster *k, struct errmsg *m) MUST_USE;

/* The reactor that was given it has not got it. */
void clusters_on_missing(struct control *c, struct known_cluster *k);

/* Why its credential cannot be read or renewed, though the last good one may be in use. NULL: it
 * can, or nobody has wanted it yet. */
const struct errmsg *clusters_credential_error(const struct known_cluster *k);

/* Sends what there is to the reactor that has it: a credential, or why there is none. Of a backend
 * whose requests carry more than they did: its sockets are made anew with it. */
void clusters_send_credential(struct control *c, struct known_cluster *k);

void clusters_on_wants_addresses(struct control *c, uint32_t id);
/* There was no memory to pass them on: they are asked for again. */
void clusters_owe_addresses(struct control *c, uint32_t id);
/* What the resolver and the reactor (REACTOR_FETCH) are asked by: the row's id, and above
 * CLUSTERS_EPOCH_SHIFT its epoch, so that the answer of a server that it was before is known. */
enum { CLUSTERS_EPOCH_SHIFT = 20 };
uint32_t clusters_question(const struct known_cluster *k);
struct known_cluster *clusters_asked(const struct control *c, uint32_t question);
void clusters_on_wants_credential(struct control *c, uint32_t id);
/* It is not reached, or answers again: a line for the log. One that comes and goes is told of once
 * a minute; if it stays away the log's last word about it says so. When many turn, CLUSTERS_LINES
 * are told by name, the others in one line that counts them: ten thousand lines at once would push
 * everything else out of the log. */
void clusters_on_turned(struct control *c, const struct reactor_note *n);
/* What it refused with 401 it takes again: a line. */
void clusters_on_lets_in(struct control *c, uint32_t id);
/* cluster_tls.c. The TLS of new connections, with that credential's certificate; *out NULL: the
 * server wants none. errors: what tls_config_new and tls_roots_new say. */
err_t cluster_tls(struct control *c, struct known_cluster *k, const struct credential *cred,
        struct tls_config **out, struct errmsg *m) MUST_USE;
void cluster_drop_roots(struct clusters *t, struct known_cluster *k);
void cluster_log_init(struct control *c);
void cluster_log_fini(struct control *c);
/* Whatever else may be said of each of ten thousand clusters, or of each list of theirs: so many
 * lines, then a count. */
void cluster_log_other(struct control *c, const char *text);
/* Those that the configuration names and that cannot be used: a line each, until they can. */
void cluster_log_broken(struct control *c);
/* The reactor was given a credential, or told why there is none: a line once, until there is. */
void cluster_log_login(struct control *c, struct known_cluster *k, err_t err, const char *text);
/* Discovery has ended: an answer that is no answer, a line once, until there is one. */
void cluster_log_discovery(struct control *c, struct known_cluster *k, err_t err, const char *text);
/* The pool has been at work: it may have news, and when it is due next. */
void clusters_on_credentials(struct control *c);

#endif
