/* model_proto.h - the protobuf of kube-apiserver, made of the JSON that this model prints.
 *
 * A table (model_proto_table.c) says which member of the JSON is which field of which message; a
 * member that it does not know is left out, as a typed server would. So there is one description of
 * what an object looks like, and what the two forms say is the same. A part of a template is
 * translated once, slots and all, into a program that then writes it for any object.
 *
 * Forms: an object or a list alone is "k8s\0" and a runtime.Unknown around it; an event of a watch
 * is four bytes of length (big endian) and a metav1.WatchEvent, whose object is such an Unknown
 * again. */
#ifndef KR_MODEL_MODEL_PROTO_H
#define KR_MODEL_MODEL_PROTO_H

#include "model/model_cluster.h"

enum model_proto_type {
	MODEL_PROTO_STRING,
	MODEL_PROTO_INT,
	MODEL_PROTO_BOOL,
	MODEL_PROTO_MESSAGE,
	MODEL_PROTO_TIME,         /* metav1.Time: seconds since 1970 */
	MODEL_PROTO_QUANTITY,     /* resource.Quantity: its text */
	MODEL_PROTO_RAW,          /* metav1.FieldsV1: the JSON itself */
	MODEL_PROTO_MAP,          /* of strings */
	MODEL_PROTO_MAP_QUANTITY, /* of resource.Quantity */
	MODEL_PROTO_ELSEWHERE     /* kind and apiVersion: in the Unknown */
};

struct model_proto_field {
	const char *name;
	uint8_t name_bytes, number;
	uint8_t via; /* number of the message around it that JSON does not show (an embedded
	                struct); 0 = none */
	enum model_proto_type type;
	const struct model_proto_message *of; /* MODEL_PROTO_MESSAGE */
};
struct model_proto_message {
	const struct model_proto_field *fields;
	size_t count;
};

extern const struct model_proto_message model_proto_object_meta, model_proto_status;
/* NULL: the kind is answered as JSON only. */
const struct model_proto_message *model_proto_of(const struct model_kind *k);
/* The list of that kind. */
const struct model_proto_message *model_proto_list_of(const struct model_kind *k);

/* Appends the fields of an object's members (without its braces). unknown, if not NULL, is set to
 * the first member that the table does not have. False: not JSON, or of another type than the table
 * says. */
bool model_proto_members(const struct model_proto_message *m, struct span members,
        struct model_text *out, struct span *unknown);

/* The translation of a part of a template. Owner: the template. */
struct model_program;
struct model_program *model_program_new(const struct model_proto_message *m, struct span members);
void model_program_free(struct model_program **p);
/* Writes the part for that state of an object. */
void model_program_run(const struct model_program *p, const struct model_version *v,
        uint64_t wrote_ns, struct model_text *out);

/* --- framing --- */

/* A field whose length is known when it has been written: open returns where its content begins.
 * width: bytes of the length that are put aside (what is right is found at the end, for a move of
 * the content). */
size_t model_proto_open(struct model_text *t, unsigned number, unsigned width);
void model_proto_close(struct model_text *t, size_t content, unsigned width);
void model_proto_varint(struct model_text *t, uint64_t v);
void model_proto_string(struct model_text *t, unsigned number, struct span s);
unsigned model_proto_varint_bytes(uint64_t v);

/* "k8s\0" and an Unknown up to its raw field, of so many bytes; then the content; then the tail. */
void model_proto_unknown_head(
        struct model_text *t, const char *api_version, const char *kind, uint64_t raw_bytes);
void model_proto_unknown_tail(struct model_text *t);
#define MODEL_PROTO_TYPE       "application/vnd.kubernetes.protobuf"
#define MODEL_PROTO_TYPE_WATCH "application/vnd.kubernetes.protobuf;stream=watch"

/* An event: begin, the object's fields, end. */
struct model_proto_event {
	size_t frame, object, extension, raw;
};
void model_proto_event_begin(struct model_text *t, const char *type, const char *api_version,
        const char *kind, struct model_proto_event *e);
void model_proto_event_end(struct model_text *t, const struct model_proto_event *e);
/* The event that a line of the JSON stream is; m: of its object. False: it could not be read. */
bool model_proto_line(const struct model_proto_message *m, const char *api_version,
        const char *kind, struct span line, struct model_text *out);

#endif
