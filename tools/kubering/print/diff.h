/* diff.h - a change of an object, field by field, for people: "status.phase: Pending -> Running".
 */
#ifndef KR_KUBERING_DIFF_H
#define KR_KUBERING_DIFF_H

#include "kubering/text.h"
#include "json/json.h"

/* Appends one line for each field that the merge patch (RFC 7386) changes in old, each with two
 * spaces before it. Lists, which a merge patch replaces whole, are compared element by element.
 * metadata.resourceVersion is left out: it changes always. */
void diff_add(struct text *t, struct json_node old, struct json_node patch);

#endif
