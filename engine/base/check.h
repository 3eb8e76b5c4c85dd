/* check.h - assertions that stay on.
 *
 * A bug and an error never share a path. CHECK() is for bugs: it stops the process with the place
 * and the condition, in every build. Errors (a bad server, a full budget, a missing file) are
 * values of enum err. Code that runs inside other people's processes (client/ and the read half of
 * shm/) may not use this file: there, a broken invariant is KR_ERR_CORRUPT.
 */
#ifndef KR_BASE_CHECK_H
#define KR_BASE_CHECK_H

#include <stdbool.h>

_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

/* CHECK_SLOW: too dear for the data path of a release; on in dev, tsan and fuzz builds. */
#ifdef KR_CHECK_SLOW
#define CHECK_SLOW(cond) CHECK(cond)
#else
#define CHECK_SLOW(cond) ((void)sizeof(cond))
#endif

/* NEVER(cond): a defensive branch that no test can reach. It counts as false in release and stops
 * the process elsewhere. */
#ifdef KR_CHECK_SLOW
#define NEVER(cond) ((cond) ? (check_failed(__FILE__, __LINE__, "NEVER(" #cond ")"), true) : false)
#else
#define NEVER(cond) __builtin_expect(!!(cond), 0)
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x)    __builtin_expect(!!(x), 1)
#define UNLIKELY(x)  __builtin_expect(!!(x), 0)

#endif
