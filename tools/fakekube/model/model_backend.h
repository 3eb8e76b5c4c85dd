/* model_backend.h - a Headlamp backend 0.45.0 in front of clusters, as it was recorded, its
 * defects (BM-n of tests/headlamp.md) included: /config, /clusters/NAME/... over HTTP and
 * WebSocket, POST set-token, /wsMultiplexer.
 *
 * A connection to it is a struct model_conn like any other: model_backend_accept makes it, the rest
 * of model_conn.h drives it, and the faults of the transport (verb=connect with cluster=headlamp,
 * verb=mux) strike it as they strike any other.
 *
 *	struct model_backend *b = model_backend_new(server, &options);
 *	model_backend_add_cluster(b, cluster, &(struct model_context_options){.name = "a"});
 *	if (model_backend_listens(b, now))
 *		conn = model_backend_accept(b, now); else the connection is refused
 *
 * Not modelled: BM-6 and BM-7 (a client that does not read only stops its own watches), the HTTP
 * cache, OIDC, stateless contexts. Life: the server outlives the backend, the backend its
 * connections. One thread, that of the server. */
#ifndef KR_MODEL_MODEL_BACKEND_H
#define KR_MODEL_MODEL_BACKEND_H

#include "model/model_link.h"

struct model_backend;

struct model_backend_options {
	const char *token; /* HEADLAMP_BACKEND_TOKEN; NULL = none is asked for */
	bool check_host;   /* it listens on loopback: Host must say so */
	uint16_t port;     /* that Host may name then */
	uint64_t dial_ns;  /* how long a dial may take; 0 = 45 s */
};

/* A context of the backend's kubeconfig. Strings are copied. */
struct model_context_options {
	const char *name;    /* "/" becomes "--", " " becomes "__" */
	const char *server;  /* its URL; the path in it is put before every request's */
	const char *address; /* host:port of it, for the texts of errors; NULL = 127.0.0.1:1 */
	const char *token; /* of the kubeconfig: used by HTTP and legacy, not by the multiplexer */
	const char *user;  /* the name in its client certificate: used by all */
	model_link_open_fn open;
	void *arg;
};

struct model_backend *model_backend_new(
        struct model_server *s, const struct model_backend_options *o);
void model_backend_free(struct model_backend **b);
void model_backend_set_port(struct model_backend *b, uint16_t port);
/* False: the name is taken. */
bool model_backend_add(struct model_backend *b, const struct model_context_options *o);
/* A cluster of the model; o->name NULL = the cluster's; open and arg are not looked at. */
bool model_backend_add_cluster(
        struct model_backend *b, struct model_cluster *c, const struct model_context_options *o);

/* False: a restart is under way and nobody listens. */
bool model_backend_listens(const struct model_backend *b, uint64_t now_ns);
/* When it will listen again. */
uint64_t model_backend_down_until_ns(const struct model_backend *b);
struct model_conn *model_backend_accept(struct model_backend *b, uint64_t now_ns);
/* Cuts the backend's own connections to a cluster of the model (NULL: any) that are busy with a
 * resource (NULL: any). Returns how many. */
size_t model_backend_cut(struct model_backend *b, const struct model_cluster *cluster,
        const struct model_kind *k, enum model_closed how);

/* What is wrong with it, by one line; the answer begins with "ok" or "error":
 *	status
 *	mux ok | refuse | silent       refuse: 404 on /wsMultiplexer; silent: STATUS connected, then
 *	                               nothing, for watches that are opened from now on
 *	context NAME ok                as it should be
 *	context NAME refuse            the cluster is down: 502; "connection refused"
 *	context NAME hang [MS]         a dial takes that long (45000), then fails
 *	context NAME invalid           it is not in the kubeconfig: 404; "key not found"
 *	drop-data [N]                  the Nth DATA frame from now on ends in its middle, with its
 *	                               socket (0: none does)
 *	clear                          all switches as they should be
 *	restart [MS]                   all sockets reset, all state lost; it listens again after MS
 */
void model_backend_command(
        struct model_backend *b, struct span line, uint64_t now_ns, struct model_text *out);
/* A command that breaks something, drawn by a seed; "clear" makes up for all of them. */
void model_backend_draw(const struct model_backend *b, struct prng *r, struct model_text *line);

#endif
