/* fetch.h - hints to the cache. */
#ifndef KR_BASE_FETCH_H
#define KR_BASE_FETCH_H

#include <stddef.h>

/* Some bytes from p on are read soon. p need not be readable. */
static inline void fetch(const void *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 64)
		__builtin_prefetch((const char *)p + i);
}

#endif
