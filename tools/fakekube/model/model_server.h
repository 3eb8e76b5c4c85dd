/* model_server.h - what all connections of a server process share: clusters by name, who may do
 * what, faults, and who has work to do.
 *
 * Authentication: with no token configured, everybody is the admin. Else a request needs a
 * configured token (a wrong one: 401) or a client certificate that the host vouched for
 * (model_conn_set_user); without either it is system:anonymous, which may ask for /version and
 * /readyz only. Authorization: who is known may do all that no deny rule forbids.
 *
 * Limits: 64 tokens, 64 deny rules. Not thread-safe: one server, one thread. */
#ifndef KR_MODEL_MODEL_SERVER_H
#define KR_MODEL_MODEL_SERVER_H

#include "model/model_cluster.h"
#include "model/model_fault.h"

struct model_server_options {
	int64_t wall_s; /* UTC at now_ns == 0 */
	uint64_t seed;
	uint64_t bookmark_ns;  /* between bookmarks; 0 = 60 s as kube-apiserver */
	uint64_t freshness_ns; /* how long a list waits for a version that is not there yet; 0 = 3 s
	                        */
	const char *address;   /* what /api says of itself; NULL = 127.0.0.1:6443 */
	bool stamp;            /* objects carry fakekube.io/sent-ns */
	bool stamp_writes;     /* and fakekube.io/wrote-ns is the time when they were written */
	bool no_watchlist;     /* the feature gate WatchList is off, as in 1.33 */
	bool no_watchlist_gzip; /* as before 1.37 */
};

struct model_token {
	char token[128], user[64];
};

/* "*" matches anything. A name not given ("") as well. */
struct model_deny {
	char user[64], verb[16], group[64], resource[64], namespace_[64];
};

#define MODEL_TOKENS_MAX 64
#define MODEL_DENY_MAX   64

/* Owner: the host or a test. Life: init .. fini, after its connections. */
struct model_server {
	struct model_library library;
	struct model_faults faults;
	struct model_server_options options;
	struct model_token *tokens; /* own */
	struct model_deny *deny;    /* own */
	size_t token_count, deny_count;
	struct model_cluster **clusters; /* own; in the order of their creation */
	size_t cluster_count, cluster_cap;
	uint32_t *by_name; /* own; open addressing, index + 1 */
	size_t by_name_cap;
	struct list ready; /* of struct model_watcher: connections with something to send */
	struct prng random;
	struct model_text scratch, chunk; /* of the connection that is being served just now */
	struct model_text spare[32];      /* output buffers for whoever needs one */
	size_t spare_count;
	uint64_t requests, events, bookmarks, bytes; /* so far */
	size_t connections, watches;                 /* open now */
};

void model_server_init(struct model_server *s, const struct model_server_options *o);
void model_server_fini(
        struct model_server *s); /* frees the clusters; CHECKs that no connection is open */

/* name "" = the cluster of requests without /clusters/NAME. NULL if the name is taken. */
struct model_cluster *model_server_add_cluster(
        struct model_server *s, const struct model_cluster_options *o);
struct model_cluster *model_server_cluster(const struct model_server *s, struct span name);

/* False: too many, or too long. */
bool model_server_add_token(struct model_server *s, const char *token, const char *user);
bool model_server_remove_token(struct model_server *s, const char *token);
bool model_server_add_deny(struct model_server *s, const struct model_deny *rule);
void model_server_clear_deny(struct model_server *s);

#endif
