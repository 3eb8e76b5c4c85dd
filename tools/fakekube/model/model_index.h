/* model_index.h - the objects of one resource in the order of their keys.
 *
 * The key is "namespace/name", or "name" where the resource has no namespaces, compared bytewise:
 * that is the order in which etcd and the watch cache keep objects and thus the order of pages.
 * Blocks of pointers, each sorted, so that an insert moves at most a block. Deleted objects stay in
 * the index for as long as the history needs them.
 *
 * Limits: key <= 64 KiB. Not thread-safe. */
#ifndef KR_MODEL_MODEL_INDEX_H
#define KR_MODEL_MODEL_INDEX_H

#include "base/prng.h"
#include "base/span.h"

#include <stdint.h>

struct model_version;
struct model_template;

/* One name of one resource; what it was at each version hangs on it.
 * Owner: the index. Life: first create .. the history no longer needs its last deletion. */
struct model_object {
	struct model_version *last; /* newest state, a deletion perhaps; never NULL once created */
	const struct model_template *look; /* how it is rendered */
	uint64_t seed;                     /* of everything in it that differs between objects */
	uint16_t ns_bytes, key_bytes;
	char key[]; /* namespace '/' name, NUL-terminated */
};

static inline struct span model_object_key(const struct model_object *o)
{
	return (struct span){o->key, o->key_bytes};
}
static inline struct span model_object_ns(const struct model_object *o)
{
	return (struct span){o->key, o->ns_bytes};
}
static inline struct span model_object_name(const struct model_object *o)
{
	size_t from = o->ns_bytes ? (size_t)o->ns_bytes + 1 : 0;
	return (struct span){o->key + from, o->key_bytes - from};
}

/* The number in the spec.nodeName of a generated pod. */
static inline unsigned model_object_node(const struct model_object *o)
{
	return (unsigned)(o->seed % 97);
}

struct model_index {
	struct model_index_block *blocks; /* own; never an empty block */
	size_t block_count, block_cap;
	size_t count;
};

/* A place in the index. Holds until the next insert or remove. */
struct model_index_at {
	size_t block, slot;
};

void model_index_fini(struct model_index *x); /* frees the objects too, not their versions */
struct model_object *model_index_find(const struct model_index *x, struct span key);
/* The object of that key, made if it is missing (last is NULL then). */
struct model_object *model_index_add(struct model_index *x, struct span ns, struct span name);
void model_index_remove(struct model_index *x, struct model_object *o); /* frees o */

/* The first object whose key is >= key; then each next one. NULL at the end. */
struct model_object *model_index_seek(
        const struct model_index *x, struct span key, struct model_index_at *at);
struct model_object *model_index_next(const struct model_index *x, struct model_index_at *at);
/* How many objects lie at and after the place. */
size_t model_index_rest(const struct model_index *x, struct model_index_at at);
/* The n-th object, n < count. */
struct model_object *model_index_nth(const struct model_index *x, size_t n);
/* Where the pointer to an object lies that is drawn with one draw (model_warm.h). NULL: there is
 * none, or there are many blocks. */
struct model_object **model_index_place(const struct model_index *x, struct prng *random);

#endif
