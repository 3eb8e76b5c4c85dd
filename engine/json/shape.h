/* shape.h - reads an event by comparing it with the object that it replaces.
 *
 * Most MODIFIED events are the object that is there but for a few values: its version, a time, a
 * count. That object was read and checked before, byte by byte, so what is equal need not be
 * checked again (pair.h says why). What the store does not keep, metadata.managedFields, is
 * compared with those of other objects that were read before: they differ in names and times only.
 *
 * The answer is "yes" or "not sure", and then json_scan_event() reads the event as if nothing had
 * been tried. A "yes" never differs from what json_scan_event() says but in what json_shape_event
 * names; tests/fuzz/json_shape_fuzz.c looks for one that does.
 */
#ifndef KR_JSON_SHAPE_H
#define KR_JSON_SHAPE_H

#include "json/json.h"

/* The object that is there: what json_scan_*() said of it when it was read. */
struct json_known {
	struct span json; /* the object without what was cut; JSON_PADDING readable bytes behind */
	struct span name, namespace_, uid;
	/* Offsets in json: of the value of metadata.resourceVersion, behind its quote; of the place
	 * where metadata.managedFields was cut out, 0 = nowhere. */
	uint32_t version_at, cut_at;
};

/* Whose event is it? A guess from its first members, for a look-up: a MODIFIED whose metadata
 * begin with name and namespace, as those of built-in resources do. Spans point into doc. false: no
 * such event. */
bool json_shape_key(struct span doc, struct span *namespace_, struct span *name) MUST_USE;

/* Is doc a MODIFIED event with another version of the known object? Then *out is what
 * json_scan_event() would say with strip_managed_fields, except that kind and api_version stay
 * empty, and that name, namespace_ and uid are the spans of `known`. doc: JSON_PADDING readable
 * bytes behind it. false: not sure; *out is meaningless. Takes its turn in the audit: hint. */
bool json_shape_event(struct json_parser *p, struct span doc, const struct json_known *known,
        struct json_hint *hint, struct json_event *out) MUST_USE;

/* Where the marks of struct json_known are in an object that was read; 0 for what is unknown. */
void json_shape_marks(const struct json_object *o, uint32_t *version_at, uint32_t *cut_at);

#endif
