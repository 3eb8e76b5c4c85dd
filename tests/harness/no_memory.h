/* no_memory.h - the n-th allocation fails. For one file of a test program that is linked with
 * --wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup (tests/CMakeLists.txt). Of the thread
 * that sets it: what others allocate neither counts nor fails. */
#ifndef KR_HARNESS_NO_MEMORY_H
#define KR_HARNESS_NO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static _Thread_local uint64_t no_memory_in; /* how many until one fails, it included; 0: none */
static _Thread_local bool no_memory_paused; /* the test's own allocations: neither */
static _Thread_local bool no_memory_failed; /* one has */

static bool no_memory_now(void)
{
	if (no_memory_paused || no_memory_in == 0 || --no_memory_in > 0)
		return false;
	no_memory_failed = true;
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
	return no_memory_now() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t bytes)
{
	return no_memory_now() ? NULL : __real_calloc(n, bytes);
}
void *__wrap_realloc(void *p, size_t n)
{
	return no_memory_now() ? NULL : __real_realloc(p, n);
}
char *__wrap_strdup(const char *s)
{
	return no_memory_now() ? NULL : __real_strdup(s);
}

#endif
