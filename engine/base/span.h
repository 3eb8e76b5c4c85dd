/* span.h - bytes that somebody else owns: a pointer and a length, never NUL-terminated. A span says
 * nothing about lifetime; whoever hands one out says until when it holds. Libc only, so that
 * client/ may use it. */
#ifndef KR_BASE_SPAN_H
#define KR_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

#define SPAN(lit) ((struct span){(lit), sizeof(lit) - 1})
#define SPAN_NONE ((struct span){NULL, 0})
/* for printf("%.*s") */
#define SPAN_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct span span_of(const char *cstr)
{
	return (struct span){cstr, cstr ? strlen(cstr) : 0};
}
static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool span_is(struct span a, const char *cstr)
{
	return span_eq(a, span_of(cstr));
}
static inline bool span_starts(struct span a, struct span prefix)
{
	return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

#endif
