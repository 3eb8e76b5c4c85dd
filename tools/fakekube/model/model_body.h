/* model_body.h - the parts of an object that a caller wrote itself, instead of having them
 * generated. Reference counted: states share it. */
#ifndef KR_MODEL_MODEL_BODY_H
#define KR_MODEL_MODEL_BODY_H

#include "model/model_cluster.h"

struct model_body {
	uint32_t refs;
	bool has_members;
	char uid[40];                           /* "" = made of the seed */
	const struct model_labels *annotations; /* NULL = none */
	char *managed_fields;                   /* own; NULL = none */
	char *members;                          /* own; with the leading comma; "" = none */
	size_t members_bytes;
};

/* NULL if the spec gives nothing. old: what the state before had; what the spec leaves out is taken
 * from there. */
struct model_body *model_body_of(
        struct model_library *lib, const struct model_spec *s, struct model_body *old);
struct model_body *model_body_get(struct model_body *b); /* one more reference; NULL stays NULL */
void model_body_put(struct model_body *b);

#endif
