/* objects.h - whole objects in the forms name, json, jsonl and yaml, one after the other.
 */
#ifndef KR_KUBERING_OBJECTS_H
#define KR_KUBERING_OBJECTS_H

#include <stdio.h>

#include "kubering/args.h"
#include "kubering/source.h"
#include "kubering/text.h"

struct yaml_out;

/* Owner: the command. Life: objects_open to objects_close. */
struct objects {
	FILE *file;
	enum args_output form;
	bool list; /* as a v1 List (json, yaml), else object after object */
	struct yaml_out *yaml;
	struct json_dom *dom;
	struct text text;
	size_t n;
};

void objects_open(struct objects *o, FILE *f, enum args_output form, bool list);
/* line: what json_add_object made of the object. */
void objects_add(struct objects *o, const struct kind *k, const char *name, struct span line);
void objects_close(struct objects *o);

#endif
