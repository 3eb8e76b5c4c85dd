/* backends.h - Headlamp backends: where some clusters come from, and the way to them.
 *
 * A backend is placed on one reactor, and its clusters on the same one, because they share its
 * sockets. It is asked for its clusters (GET /config) at start, every minute, and at once when it
 * answers again after it was away; while it does not answer, every few seconds, and the reactor's
 * gate spaces what really goes out. What it lists and the settings' patterns let through becomes a
 * cluster; what is no longer listed keeps its row, with an error, until the row is needed.
 *
 * What a backend says is foreign: names are checked before they become clusters, and their number
 * is bounded (CONFIG_CLUSTERS_MAX).
 *
 * A reload keeps a backend whose entry says the same as before, with its sockets and clusters; else
 * it goes with all of them, and the new one is asked for its own.
 */
#ifndef KR_CONTROL_BACKENDS_H
#define KR_CONTROL_BACKENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "control/clusters.h"
#include "control/loop.h"

struct config_backend;
struct config_cluster;
struct control;
struct reactor_note;

enum {
	BACKENDS_ASK_S = 60,
	BACKENDS_AGAIN_S = 10, /* after a failure */
	BACKENDS_SOON_S = 5,   /* after the last time, however many clusters turn */
	BACKENDS_LOG_S = 60,   /* one line about a backend that does not answer */
};

/* Owner: control->backends. Thread: control. Life: backends_load to backends_fini. */
struct backend {
	struct control *control;
	const struct config_backend *conf; /* borrow(config) */
	struct known_cluster *self;        /* its row among the clusters */
	struct cluster_index clusters;     /* by context: those behind it */
	struct loop_timer timer;           /* when it is asked again */
	uint64_t asked_ns;
	bool asking, answered;    /* answered: at least once, well */
	struct errmsg failed;     /* code ERR_OK: the last answer was good, or none was due */
	uint64_t logged_ns;       /* 0: never */
	uint32_t listed, refused; /* in its last answer: contexts; those that could not be taken */
};

struct backends {
	struct backend **rows; /* own, and own each */
	uint32_t count;
};

/* Before the clusters: a row for each backend. */
err_t backends_load(struct control *c) MUST_USE;
/* One more, while the reactors run or before; its named clusters are the caller's to add. */
err_t backends_add(struct control *c, struct config_backend *from, struct backend **out) MUST_USE;
/* With all its clusters. Frees b. */
void backends_remove(struct control *c, struct backend *b, const char *why);
/* false: it says something else than b's entry did. true: b borrows from it now. */
bool backends_keep(struct backend *b, struct config_backend *from);
struct backend *backends_find(const struct control *c, const char *name);
/* NULL: it has no cluster of that context. */
struct known_cluster *backends_cluster(const struct backend *b, const char *context);
/* Places it, and asks. */
void backends_start_one(struct backend *b);
/* A cluster behind one goes. */
void backends_forget_cluster(struct control *c, const struct known_cluster *k);
/* A cluster that the configuration names. */
err_t backends_add_named(struct control *c, const struct config_cluster *from) MUST_USE;
/* The reactors are there: places them and asks. */
void backends_start(struct control *c);
void backends_fini(struct control *c);
void backends_on_fetched(struct control *c, const struct reactor_note *n);
/* It answers again, or something behind it does: where its own sockets are few, that is the sign.
 */
void backends_on_answers(struct control *c, const struct known_cluster *self);
/* Why there is no cluster of that name, if a backend is the reason. false: none is. */
bool backends_excuse(const struct control *c, const char *cluster, struct errmsg *m);
/* Each has answered or failed at least once. */
bool backends_were_asked(const struct control *c);
uint32_t backends_answering(const struct control *c);

#endif
