/* given_back.h - free and realloc that look whether what they are given still holds a secret. For
 * one file of a test program that is linked with --wrap=free,--wrap=realloc (tests/CMakeLists.txt).
 */
#ifndef KR_HARNESS_GIVEN_BACK_H
#define KR_HARNESS_GIVEN_BACK_H

#include <malloc.h>
#include <stdio.h>
#include <string.h>

static const void *given_back_secret; /* borrow */
static size_t given_back_bytes;
static unsigned given_back_with_it; /* blocks that held it */

/* Must not lie in memory that is freed meanwhile. */
static inline void given_back_watch(const void *secret, size_t n)
{
	given_back_secret = secret;
	given_back_bytes = n;
	given_back_with_it = 0;
}

static void given_back_look(void *p, const void *caller)
{
	if (!p || !given_back_bytes ||
	        !memmem(p, malloc_usable_size(p), given_back_secret, given_back_bytes))
		return;
	given_back_with_it++;
	fprintf(stderr, "given back with a secret in it at %p\n", caller);
}

void __real_free(void *p);
void *__real_realloc(void *p, size_t n);
void __wrap_free(void *p);
void *__wrap_realloc(void *p, size_t n);

void __wrap_free(void *p)
{
	given_back_look(p, __builtin_return_address(0));
	__real_free(p);
}
void *__wrap_realloc(void *p, size_t n) /* it may leave a copy behind */
{
	given_back_look(p, __builtin_return_address(0));
	return __real_realloc(p, n);
}

#endif
