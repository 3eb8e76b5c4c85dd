/* model_template.h - how generated objects of one kind and size look: text with slots, made once
 * and shared by all objects of all clusters.
 *
 * An object is not stored as text; it is a seed and a few counters, and its text is written from
 * the template when somebody asks. So ten thousand clusters cost little, and every state that an
 * object ever had can be written again, byte for byte.
 *
 * Not thread-safe (model_library_template adds to the library). */
#ifndef KR_MODEL_MODEL_TEMPLATE_H
#define KR_MODEL_MODEL_TEMPLATE_H

#include "model/model_kind.h"
#include "model/model_labels.h"

/* In the text of a template, MODEL_SLOT and the character of a slot stand for a value of the
 * object. */
#define MODEL_SLOT "\001"
enum model_slot {
	MODEL_SLOT_NAME = 'n',
	MODEL_SLOT_NAMESPACE = 's',
	MODEL_SLOT_HEX = 'h',     /* 8 hex digits of the seed */
	MODEL_SLOT_SUFFIX = 'x',  /* 5 characters of the seed */
	MODEL_SLOT_NODE = 'N',    /* 0..96 */
	MODEL_SLOT_IP = 'p',      /* 10.a.b.c */
	MODEL_SLOT_CREATED = 'w', /* time */
	MODEL_SLOT_CHANGED = 'W', /* time of the last change */
	MODEL_SLOT_CHANGES = 'c', /* status changes so far */
	MODEL_SLOT_GENERATION = 'g',
	MODEL_SLOT_READY = 'R', /* True or False, by the count of changes */
	MODEL_SLOT_STAMP = 'S', /* 20 digits: CLOCK_MONOTONIC of the intended send time */
	MODEL_SLOT_WROTE = 'T'  /* 20 digits: that of the moment when it is written out */
};

/* Text up to each slot, then the rest. */
struct model_part {
	char *text; /* own; without the marks */
	struct model_part_slot {
		uint32_t at;
		char slot;
	} * slots; /* own; by at */
	uint32_t bytes, slot_count;
};

struct model_program; /* model_proto.h */

struct model_template {
	const struct model_kind *kind;
	uint32_t bytes;  /* of one object as a watch event shows it; 0 = what the kind needs */
	bool generation; /* metadata.generation is printed */
	struct model_part annotations; /* members of metadata.annotations */
	struct model_part managed; /* metadata.managedFields with its brackets, in struct order */
	struct model_part managed_sorted; /* the same with sorted keys; custom kinds only */
	struct model_part members;        /* what follows metadata, with the leading comma */
	/* The same as protobuf, for kinds that have it (else NULL): annotations and managed are
	 * fields of the ObjectMeta, members those of the object. Own. */
	struct model_program *proto_annotations, *proto_managed, *proto_members;
	struct model_text
	        head; /* "kind":"Pod","apiVersion":"v1" (custom kinds: the other way round) */
};

/* What all clusters share. Owner: the server or a test. Life: longer than every cluster that uses
 * it. */
struct model_library {
	int64_t wall_s;    /* UTC seconds at now_ns == 0 */
	bool stamp;        /* objects carry the annotations fakekube.io/sent-ns and wrote-ns; set
	                      before the first template is made */
	bool stamp_writes; /* wrote-ns is a time; else it is 0, and an object of one version has
	                      the same bytes for everyone, as with a real server */
	struct model_labels_table labels;
	struct model_template **templates; /* own */
	struct model_kind **customs;       /* own */
	size_t template_count, custom_count;
};

#define MODEL_STAMP_KEY   "fakekube.io/sent-ns"
#define MODEL_WROTE_KEY   "fakekube.io/wrote-ns"
#define MODEL_STAMP_BYTES 20

void model_library_init(struct model_library *lib, int64_t wall_s, bool stamp);
void model_library_fini(struct model_library *lib);
/* The template of that kind and size, made at the first call. bytes <= 8 MiB. */
const struct model_template *model_library_template(
        struct model_library *lib, const struct model_kind *kind, uint32_t bytes);
/* The custom kind with these fields, stored once. Strings are copied; absent ones may be NULL. */
const struct model_kind *model_library_custom(
        struct model_library *lib, const struct model_kind *like);

/* How much is filled in: bytes decides on the shape (how many containers), the pads on the length.
 */
struct model_size {
	uint32_t bytes;
	size_t pad, managed_pad;
};
struct model_generated {
	struct model_text annotations, managed, members;
};
/* Writes the parts of a template (model_generate.c). */
void model_generate(
        const struct model_kind *kind, const struct model_size *size, struct model_generated *out);

#endif
