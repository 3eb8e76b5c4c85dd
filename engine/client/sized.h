/* sized.h - structs that users pass in start with their size_t size: an older program passes a
 * shorter one, a newer program a longer one. */
#ifndef KR_CLIENT_SIZED_H
#define KR_CLIENT_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Fills dst (known bytes, what this library knows) from src; what src does not have is zero. src
 * may be NULL: all zero. False: no size, or bytes behind what is known that are not zero, so that a
 * wish is never silently ignored. */
static inline bool sized_take(void *dst, size_t known, const void *src)
{
	size_t size = 0;
	memset(dst, 0, known);
	if (!src)
		return true;
	memcpy(&size, src, sizeof size);
	if (size < sizeof size || size > 65536)
		return false;
	for (size_t i = known; i < size; i++)
		if (((const char *)src)[i] != 0)
			return false;
	memcpy(dst, src, size < known ? size : known);
	return true;
}

/* Hands src (known bytes, starts with a size_t) out into a struct of the user; its size stays as it
 * is. */
static inline bool sized_give(void *dst, const void *src, size_t known)
{
	size_t size = 0;
	memcpy(&size, dst, sizeof size);
	if (size < sizeof size || size > 65536)
		return false;
	memset((char *)dst + sizeof size, 0, size - sizeof size);
	if (size > known)
		size = known;
	memcpy((char *)dst + sizeof size, (const char *)src + sizeof size, size - sizeof size);
	return true;
}

#endif
