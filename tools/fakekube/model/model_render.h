/* model_render.h - the text of objects, events and bookmarks, as kube-apiserver prints them: struct
 * order for built-in kinds, sorted keys for custom ones; kind and apiVersion in events and single
 * objects and in the items of custom lists only. */
#ifndef KR_MODEL_MODEL_RENDER_H
#define KR_MODEL_MODEL_RENDER_H

#include "model/model_cluster.h"

/* What a hostile or broken server does to an object. */
enum model_quirk {
	MODEL_QUIRK_NO_METADATA = 1 << 0,
	MODEL_QUIRK_NO_UID = 1 << 1,
	MODEL_QUIRK_NO_NAME = 1 << 2,
	MODEL_QUIRK_RV_EMPTY = 1 << 3,
	MODEL_QUIRK_RV_ZERO = 1 << 4,
	MODEL_QUIRK_RV_TEXT = 1 << 5, /* "abc" */
	MODEL_QUIRK_RV_MISSING = 1 << 6,
	MODEL_QUIRK_TWO_NAMES = 1 << 7, /* the key "name" twice, with different values */
	MODEL_QUIRK_DEEP = 1 << 8,      /* a member nested 1,000 deep */
	MODEL_QUIRK_BAD_UTF8 = 1 << 9   /* a byte 0xff in an annotation's value */
};

struct model_look {
	bool typed;     /* kind and apiVersion are printed */
	bool meta_only; /* as PartialObjectMetadata */
	unsigned quirks;
	uint64_t rv;        /* printed instead of the version's own; 0 = its own */
	size_t extra_bytes; /* a member of that size is added */
	uint64_t wrote_ns;  /* the annotation fakekube.io/wrote-ns */
};

void model_render_object(const struct model_library *lib, const struct model_version *v,
        struct model_look look, struct model_text *out);
/* {"type":"ADDED","object":{...}}\n */
void model_render_event(const struct model_library *lib, const struct model_version *v,
        const char *type, struct model_look look, struct model_text *out);
/* The same as protobuf (model_proto.h); for kinds that have it. The object: its fields, without a
 * frame. */
void model_render_proto(const struct model_library *lib, const struct model_version *v,
        struct model_look look, struct model_text *out);
void model_render_proto_event(const struct model_library *lib, const struct model_version *v,
        const char *type, struct model_look look, struct model_text *out);
/* The value that stands in a slot of text. */
void model_render_slot(
        const struct model_version *v, char slot, uint64_t wrote_ns, struct model_text *out);
/* {"type":"BOOKMARK",...}\n; end_marker: with the annotation k8s.io/initial-events-end. */
void model_render_bookmark(const struct model_kind *k, uint64_t rv, bool end_marker, bool meta_only,
        struct model_text *out);
/* The uid of a state, 36 characters. */
void model_render_uid(const struct model_version *v, struct model_text *out);

#endif
