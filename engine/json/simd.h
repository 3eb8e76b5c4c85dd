/* simd.h - what json.cc takes from simdjson, as C. Private to this room. Nothing here throws or
 * aborts. */
#ifndef KR_JSON_SIMD_H
#define KR_JSON_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SIMD_PADDING = 64 }; /* readable bytes behind a document; also JSON_PADDING */

enum simd_result { SIMD_OK, SIMD_SYNTAX, SIMD_NO_MEMORY };

/* One stage-1 parser and one On-Demand parser. Not thread-safe. NULL: out of memory. */
struct simd *simd_new(void);
void simd_free(struct simd **s);

/* Stage 1: the offsets of { } [ ] : , of opening quotes and of the first bytes of scalars, in
 * order; valid until the next call. It also checks UTF-8, that every string is closed, and that no
 * string holds a control character. */
enum simd_result simd_index(
        struct simd *s, const char *doc, size_t n, const uint32_t **offsets, uint32_t *count);

bool simd_utf8(const char *p, size_t n);

/* The nearest double of a valid JSON number, whatever the locale. */
double simd_double(const char *p, size_t n);

/* The fields that json_scan_event or json_scan_object finds, read a second time with On-Demand: do
 * they agree? NULL strings mean "absent or empty". doc: SIMD_PADDING readable bytes behind it. */
struct simd_claim {
	const char *type; /* NULL: the document is the object, not an event */
	size_t type_bytes;
	bool has_object;     /* the rest is filled in */
	const char *text[4]; /* name, namespace, uid, resourceVersion */
	size_t text_bytes[4];
	size_t object_at, object_bytes; /* where the object starts in doc, and its length */
};
bool simd_agrees(struct simd *s, const char *doc, size_t n, const struct simd_claim *claim);

#ifdef __cplusplus
}
#endif

#endif
