/* model_list.h - the oracle: what a list was at a version, and its digest.
 *
 * The digest of a list is the sum, modulo 2^64, over its objects, of XXH3_64bits of namespace NUL
 * name NUL uid NUL resourceVersion NUL (the engine's D2 digest). The empty list has digest 0. */
#ifndef KR_MODEL_MODEL_LIST_H
#define KR_MODEL_MODEL_LIST_H

#include "model/model_selector.h"

struct model_query {
	const struct model_kind *kind;
	struct span ns;                        /* empty = all namespaces */
	const struct model_selector *selector; /* NULL = all */
	uint64_t rv;                           /* 0 = the present */
	uint32_t timelines_back; /* 0 = the present timeline, 1 = the one before the last restore,
	                            ... */
};

/* Called for each object in the order of keys. Return false to stop. The version is valid until the
 * next write. */
typedef bool (*model_list_fn)(void *arg, const struct model_version *v);

/* False: the cluster does not serve the kind, or the version is compacted, or lies in the future.
 */
bool model_list_at(
        struct model_cluster *c, const struct model_query *q, model_list_fn fn, void *arg);

struct model_list_sum {
	uint64_t digest, objects, rv;
};
bool model_list_digest(
        struct model_cluster *c, const struct model_query *q, struct model_list_sum *out);
/* The addend of one object. */
uint64_t model_list_hash(const struct model_version *v);

/* Whether the key of the object lies in the namespace (empty: always). */
static inline bool model_list_in(struct span ns, const struct model_object *o)
{
	return ns.n == 0 || span_eq(ns, model_object_ns(o));
}

#endif
