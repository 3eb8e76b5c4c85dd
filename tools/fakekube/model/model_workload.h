/* model_workload.h - writes to a cluster, drawn by a seed: the life of a cluster for tests and
 * loads.
 *
 * One workload drives one resource of one cluster. fill() makes the first objects, in the order of
 * their keys; step() draws one operation by the weights. Names count up and are never used again,
 * except by recreate, which is there for that. Not thread-safe. */
#ifndef KR_MODEL_MODEL_WORKLOAD_H
#define KR_MODEL_MODEL_WORKLOAD_H

#include "base/prng.h"
#include "model/model_cluster.h"

/* Relative frequencies of the operations; all zero: status changes only. */
struct model_weights {
	uint32_t create, update, status, delete_, recreate, labels, burst;
	uint32_t burst_size; /* writes of one burst: status changes of objects side by side */
};

struct model_workload_options {
	uint64_t seed;
	uint32_t namespaces;  /* ns-000...; at least 1 where the kind has namespaces */
	uint32_t bytes;       /* of an object; 0 = as the kind needs */
	uint64_t objects_max; /* creates become deletes above it; 0 = twice what fill made */
	struct model_weights weights;
};

struct model_workload {
	struct model_cluster *cluster;
	const struct model_kind *kind;
	struct model_workload_options options;
	struct prng random;
	uint64_t next_name;
};

void model_workload_init(struct model_workload *w, struct model_cluster *c,
        const struct model_kind *k, const struct model_workload_options *o);
void model_workload_fill(struct model_workload *w, uint64_t objects, uint64_t now_ns);
/* stamp_ns: when these writes were meant to be sent. Returns how many writes it made: 0 if there
 * was nothing to do it to. */
uint64_t model_workload_step(struct model_workload *w, uint64_t now_ns, uint64_t stamp_ns);
/* n writes in a row, each the operation named by one of the words above ("status", "create", ...).
 * False: no such operation. */
bool model_workload_run(
        struct model_workload *w, struct span operation, uint64_t n, uint64_t now_ns);

/* A weight by its name, as in profiles: "status", "burst-size", ... False: no such weight. */
bool model_weights_set(struct model_weights *w, struct span name, uint32_t value);

#endif
