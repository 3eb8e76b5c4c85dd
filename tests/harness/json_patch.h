/* json_patch.h - the oracle for kr_merge_patch: a slow, plain JSON reader, RFC 7386's own
 * algorithm, and comparison. Shares no code with engine/client/patch.c.
 */
#ifndef KR_HARNESS_JSON_PATCH_H
#define KR_HARNESS_JSON_PATCH_H

#include <stdbool.h>
#include <stddef.h>

struct patch_value; /* a JSON value; numbers are kept as text */

/* NULL: not JSON (RFC 8259, strict), deeper than 128, or a name twice in an object. */
struct patch_value *patch_parse(const char *p, size_t n);
void patch_free(struct patch_value *v);
/* RFC 7386 section 2: takes target and patch, gives the result. */
struct patch_value *patch_apply(struct patch_value *target, struct patch_value *patch);
/* Drops the members whose value is null, except inside arrays. */
void patch_drop_nulls(struct patch_value *v);
/* Same value; numbers by text. */
bool patch_equal(const struct patch_value *a, const struct patch_value *b);

#endif
