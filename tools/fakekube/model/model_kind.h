/* model_kind.h - the resources that the model serves: what discovery says of each, and what a zero
 * object of it looks like.
 *
 * Built-in kinds are one constant table, shared by all clusters. A custom kind belongs to the
 * cluster whose CustomResourceDefinition made it (model_cluster.h). Values are those that
 * kube-apiserver 1.37.2 prints (recorded). */
#ifndef KR_MODEL_MODEL_KIND_H
#define KR_MODEL_MODEL_KIND_H

#include "base/span.h"

/* How the objects of a kind are generated when no body is given. */
enum model_shape {
	MODEL_SHAPE_PLAIN, /* metadata and the zero members */
	MODEL_SHAPE_POD,
	MODEL_SHAPE_CONFIGMAP,
	MODEL_SHAPE_SECRET,
	MODEL_SHAPE_NODE,
	MODEL_SHAPE_EVENT,
	MODEL_SHAPE_SERVICE,
	MODEL_SHAPE_NAMESPACE,
	MODEL_SHAPE_DEPLOYMENT,
	MODEL_SHAPE_CUSTOM,
	MODEL_SHAPE_COUNT
};

struct model_kind {
	const char *group, *version; /* group "" = core */
	const char *resource, *singular, *kind;
	const char *short_names, *categories; /* comma separated, "" = none */
	const char *subresources;             /* comma separated: "status,scale" */
	const char *hash;                     /* storageVersionHash */
	const char *zero; /* members after metadata of a zero object, with the leading comma */
	const char *selectable; /* custom kinds: field labels besides the two of metadata, comma
	                           separated */
	enum model_shape shape;
	bool namespaced, custom;
};

/* The built-in kinds, in the order in which discovery prints them: grouped, core first. */
extern const struct model_kind model_kinds[];
extern const size_t model_kind_count;

/* NULL if there is none. version may be empty: any. */
const struct model_kind *model_kind_find(
        struct span group, struct span version, struct span resource);
/* "example.com/v1" or "v1". */
size_t model_kind_api_version(const struct model_kind *k, char *buf, size_t buf_bytes);

#endif
