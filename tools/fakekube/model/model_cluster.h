/* model_cluster.h - the state of one API server and everything that it ever was.
 *
 * One counter gives the resourceVersion of each write, as etcd does. Each write is one entry in the
 * log of its resource, and each object keeps the chain of its states, so that a test can ask what
 * any list was at any version that is not compacted away (model_list.h). Connections (model_conn.h)
 * only read here, but for the faults restore, compact and recreate-between-pages.
 *
 * restore() is a restore from backup: versions go back, and the timeline before it stays askable.
 * compact() moves the horizon: what a watch or a list asks for below it is 410.
 *
 * Pure: no clock, no system call but for memory. Deterministic: the same calls give the same bytes.
 * Not thread-safe. */
#ifndef KR_MODEL_MODEL_CLUSTER_H
#define KR_MODEL_MODEL_CLUSTER_H

#include "base/list.h"
#include "model/model_index.h"
#include "model/model_template.h"

enum model_op { MODEL_ADDED = 1, MODEL_MODIFIED, MODEL_DELETED };

/* What a caller gave instead of the generated parts. Shared by the states of an object until it
 * gives another. */
struct model_body;
struct model_blast;

/* One state of one object. Owner: its store. Life: the write .. compaction, or cluster free. */
struct model_version {
	struct model_version *prev; /* the state before; NULL at the first that is kept */
	struct model_object *object;
	const struct model_labels *labels; /* NULL = none */
	struct model_body *body;           /* shared(refs); NULL = all generated */
	uint64_t rv;
	uint64_t uid_seed;
	uint64_t stamp_ns; /* when it was meant to be sent; the annotation fakekube.io/sent-ns */
	uint32_t generation, changes;
	int64_t created_s, changed_s;
	enum model_op op;
};

/* Somebody who wants to know of each write to a resource: put on its owner's list of those that
 * have work to do, once. Owner: the connection that embeds it. Life: linked while a watch is open.
 */
struct model_watcher {
	struct list link;       /* in model_store.watchers */
	struct list ready_link; /* in *ready, when there is something to do */
	struct list *ready;
};

/* One resource of one cluster. Owner: the cluster. */
struct model_store {
	const struct model_kind *kind;
	struct model_index index;
	struct model_version **log; /* own; by rv; ring of log_cap */
	size_t log_cap, log_count;
	uint64_t log_first;        /* position of the oldest entry; positions only grow */
	size_t live;               /* objects that are there now */
	struct list watchers;      /* of struct model_watcher */
	struct model_blast *blast; /* own; NULL = none (model_blast.h) */
	bool removed;              /* its CustomResourceDefinition is gone */
	uint64_t removed_ns;
};

/* Keeps the states at one version from being freed while a list of it is being sent. */
struct model_pin {
	struct list link;
	uint64_t rv;
};

struct model_cluster_options {
	const char *name; /* "" or the NAME of /clusters/NAME/ */
	uint64_t seed;
	uint64_t first_rv;    /* 0 = 1000 */
	uint64_t history_max; /* log entries kept per resource before the horizon moves; 0 = all */
};

/* Owner: the server or a test. Life: new .. free; connections end before it. */
struct model_cluster {
	char *name; /* own */
	struct model_library *library;
	uint64_t seed, rv, horizon, history_max;
	uint32_t timeline;            /* restores so far */
	struct model_cluster *before; /* own; the timeline before the last restore */
	struct model_store **stores;  /* own */
	size_t store_count;
	struct list pins; /* of struct model_pin */
	struct list
	        answering; /* of struct model_conn: lists, watches, and what it does not answer */
	/* A server that restarts refuses (each request resets its connection) until then; one that
	 * hangs takes requests and says nothing, on watches that are open neither. */
	uint64_t down_until_ns;
	bool silent;
	uint32_t number; /* in the order of creation, from 0 */
};

struct model_cluster *model_cluster_new(
        struct model_library *lib, const struct model_cluster_options *o);
void model_cluster_free(struct model_cluster **c);

/* The store of a resource, made at the first call. NULL if the cluster does not serve it (a custom
 * kind without its CRD). */
struct model_store *model_cluster_store(struct model_cluster *c, const struct model_kind *kind);
/* By names as in a URL: group "" is core; version may be empty (any). NULL if it does not serve it.
 */
const struct model_kind *model_cluster_kind(
        struct model_cluster *c, struct span group, struct span version, struct span resource);
/* The custom kinds that it serves, one after another; NULL at the end. Start with *at = 0. */
const struct model_kind *model_cluster_custom(const struct model_cluster *c, size_t *at);

/* What an object is made of. Absent strings: NULL. */
struct model_spec {
	const char *namespace_, *name;
	const char *labels;         /* "app=web,tier=db" */
	const char *annotations;    /* the same form */
	const char *members;        /* JSON after metadata, no comma first: "data":{"k":"v"}; NULL =
	                               generated */
	const char *managed_fields; /* JSON array; NULL = generated (none with members given) */
	const char *uid;
	uint32_t bytes;    /* of a generated object as an event; 0 = as the kind needs. See
	                      model_template.h */
	uint64_t stamp_ns; /* 0 = now_ns */
};

/* Each write returns the version that it made, or 0 if there is nothing to do it to (create: the
 * name is taken). */
uint64_t model_create(struct model_cluster *c, const struct model_kind *k,
        const struct model_spec *s, uint64_t now_ns);
/* Changes the spec (generation + 1); s may give labels, annotations, members anew: what is NULL
 * stays. */
uint64_t model_update(struct model_cluster *c, const struct model_kind *k,
        const struct model_spec *s, uint64_t now_ns);
/* Changes the status (generation stays). */
uint64_t model_patch_status(
        struct model_cluster *c, const struct model_kind *k, struct span key, uint64_t now_ns);
uint64_t model_set_labels(struct model_cluster *c, const struct model_kind *k, struct span key,
        const char *labels, uint64_t now_ns);
uint64_t model_delete(
        struct model_cluster *c, const struct model_kind *k, struct span key, uint64_t now_ns);
/* Delete and create again under the same name: two versions, another uid. Returns the second. */
uint64_t model_recreate(
        struct model_cluster *c, const struct model_kind *k, struct span key, uint64_t now_ns);
/* For the data path of loads: a status change of an object that is at hand, with its own stamp. */
uint64_t model_touch(struct model_cluster *c, struct model_store *st, struct model_object *o,
        uint64_t now_ns, uint64_t stamp_ns);

/* The same state once more, with another version: the data path of model_blast.h. */
struct model_version *model_repeat(
        struct model_cluster *c, struct model_store *st, struct model_object *o, uint64_t now_ns);

/* Makes the cluster serve a custom kind: creates the CustomResourceDefinition object. Returns the
 * kind. */
const struct model_kind *model_cluster_add_crd(
        struct model_cluster *c, const struct model_kind *like, uint64_t now_ns);
/* Deletes the CRD and every object of the kind; their watches end 1 s later, then it is 404. */
void model_cluster_remove_crd(struct model_cluster *c, const struct model_kind *k, uint64_t now_ns);

/* Other writes happened that no list of ours sees: the counter grows by n. */
void model_cluster_skip(struct model_cluster *c, uint64_t n);
/* Forgets what was below rv (capped at the present): 410 from now on. */
void model_cluster_compact(struct model_cluster *c, uint64_t rv);
/* Back to what it was at rv (not below the horizon). All its watches are cut. The old timeline
 * stays as c->before. */
void model_cluster_restore(struct model_cluster *c, uint64_t rv);

/* The oldest log position whose version is > rv. */
uint64_t model_store_after(const struct model_store *st, uint64_t rv);
/* The version at a position in [log_first, log_first + log_count). */
static inline struct model_version *model_store_at(const struct model_store *st, uint64_t pos)
{
	return st->log[pos & (st->log_cap - 1)];
}
/* The state of the object at rv; NULL if it was not there. */
const struct model_version *model_object_at(const struct model_object *o, uint64_t rv);

#endif
