/* model_conn.h - one HTTP/1.1 connection, seen from the server: bytes in, bytes out, nothing else.
 *
 * The host feeds what it received, sends what it takes, and calls tick when deadline_ns has come.
 *It learns of connections that have new events from model_conn_next_ready. TLS, sockets and time
 *are the host's. All calls of one server come from one thread.
 *
 *	struct model_conn *c = model_conn_new(server, NULL, now);
 *	model_conn_feed(c, bytes, now);
 *	while ((s = model_conn_peek(c, now)).n) { k = send(s); model_conn_consume(c, k, now); } one
 *peek = one piece: faults cut here if (model_conn_closed(c) != MODEL_OPEN) close it
 *
 * Limits: a request head of 64 KiB; input beyond one unanswered request is kept up to 256 KiB, then
 *the connection is closed. An answer is generated as it is taken: at most about 256 KiB (and one
 *object) wait to be sent, and an idle connection holds no buffer at all. */
#ifndef KR_MODEL_MODEL_CONN_H
#define KR_MODEL_MODEL_CONN_H

#include "model/model_server.h"

struct model_conn;

enum model_closed {
	MODEL_OPEN,
	MODEL_CLOSED_FIN, /* close in an orderly way (with close_notify), once the output is sent */
	MODEL_CLOSED_CUT, /* end the TCP stream, without close_notify: a process that died */
	MODEL_CLOSED_RST  /* reset (SO_LINGER 0) */
};

/* only: the cluster of every request (a path /clusters/NAME is refused then), or NULL: by path,
 * else the cluster named "". */
struct model_conn *model_conn_new(
        struct model_server *s, struct model_cluster *only, uint64_t now_ns);
void model_conn_free(struct model_conn **c);
/* The name in a client certificate that the host verified; NULL: none. Copied. Call it before the
 * first feed. */
void model_conn_set_user(struct model_conn *c, const char *user);

void model_conn_feed(struct model_conn *c, struct span in, uint64_t now_ns);
/* The peer has closed its side. What is being answered is still sent. */
void model_conn_feed_eof(struct model_conn *c, uint64_t now_ns);
/* What may be sent now: one piece. Empty: nothing for now. Valid until the next call with this
 * connection. */
struct span model_conn_peek(struct model_conn *c, uint64_t now_ns);
/* What peek gives just now stays as it is until it is consumed, whatever others say. False: it may
 * be text of all (model_blast.h). */
bool model_conn_has_own_text(const struct model_conn *c);
void model_conn_consume(struct model_conn *c, size_t n, uint64_t now_ns);
/* Time has passed. There may be output afterwards. */
void model_conn_tick(struct model_conn *c, uint64_t now_ns);
/* When tick is due; UINT64_MAX: never. It changes with every call above. */
uint64_t model_conn_deadline_ns(const struct model_conn *c);
enum model_closed model_conn_closed(const struct model_conn *c);
/* False: do not receive (the fault not-reading). */
bool model_conn_wants_input(const struct model_conn *c);
/* The host closes it: cut by a control command. */
void model_conn_cut(struct model_conn *c, enum model_closed how);

/* It is put on the list of those that have something to do, once. */
void model_conn_wake(struct model_conn *c);
/* A connection with something to send because of a write to a cluster, and so on until NULL. */
struct model_conn *model_conn_next_ready(struct model_server *s);

/* The connections of the host that this cluster is answering, or leaves without an answer. Each may
 * be freed in its call. */
void model_conn_each(const struct model_cluster *cluster,
        void (*each)(void *arg, struct model_conn *c), void *arg);

/* For the host's own bookkeeping. */
void model_conn_set_context(struct model_conn *c, void *context);
void *model_conn_context(const struct model_conn *c);

/* What it is doing: for status lines and tests. */
struct model_conn_info {
	enum model_verb verb; /* of the request that is being answered */
	bool answering;
	const struct model_kind *kind; /* NULL: none */
	struct model_cluster *cluster; /* NULL: none */
	uint64_t requests, events;
};
void model_conn_describe(const struct model_conn *c, struct model_conn_info *out);

#endif
