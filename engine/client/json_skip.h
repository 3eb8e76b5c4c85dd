/* json_skip.h - stepping over JSON text, for patch.c: where a value or a string ends, whether two
 * strings mean the same. Nothing is parsed into anything.
 *
 * Everything takes `end` and never reads there or behind it. Functions that return a pointer give
 * NULL where the text ends too early or is no JSON as far as they look: brackets must pair, quotes
 * must close, a bare word must be a number or a literal.
 */
#ifndef KR_CLIENT_JSON_SKIP_H
#define KR_CLIENT_JSON_SKIP_H

#include <stdbool.h>
#include <stddef.h>

static inline const char *json_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* p stands on the opening quote; returns behind the closing one. */
const char *json_string(const char *p, const char *end);
/* Behind the value that starts at p. depth_max: how many containers may nest in it (<= 128). A
 * number or literal may end at end: whether it goes on behind is for the caller to know. */
const char *json_value(const char *p, const char *end, unsigned depth_max);
/* Two raw strings with their quotes: same value? Escapes are decoded on the way where there are
 * any. */
bool json_string_equal(const char *a, size_t a_bytes, const char *b, size_t b_bytes);
/* How many of the first n bytes are equal. */
size_t json_common(const char *a, const char *b, size_t n);

#endif
