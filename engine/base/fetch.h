/* fetch.h - hints to the cache. The only place of __builtin_prefetch: gcc takes a function that
 * does nothing else for one without effect, and drops the calls of it, unless something forbids
 * that. */
#ifndef KR_BASE_FETCH_H
#define KR_BASE_FETCH_H

#include <stddef.h>
#include <stdint.h>

enum { FETCH_LINE_BYTES = 64 };

/* The bytes from p on are read or written soon: all lines that they touch. p need not be readable.
 * x86-64 without more knows one hint for both. */
static inline void fetch(const void *p, size_t bytes)
{
	const char *end = (const char *)p + bytes;
	uintptr_t first = (uintptr_t)p & ~(uintptr_t)(FETCH_LINE_BYTES - 1);
	for (const char *line = (const char *)first; line < end; line += FETCH_LINE_BYTES)
		__builtin_prefetch(line);
	__asm__ volatile("");
}

#endif
