/* doc.h - documents for the tests of engine/json: exactly as long as they are, with the slack that
 * is promised and not a byte more, so that the address sanitizer sees whoever reads further. */
#ifndef KR_TESTS_JSON_DOC_H
#define KR_TESTS_JSON_DOC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "json/json.h"

#define assert_span(got, text)                                                                     \
	do {                                                                                       \
		struct span got_ = (got);                                                          \
		assert_int_equal(got_.n, strlen(text));                                            \
		assert_memory_equal(got_.p ? got_.p : "", (text), got_.n);                         \
	} while (0)

static inline struct span doc_bytes(const void *p, size_t n)
{
	char *copy = malloc(n + JSON_PADDING);
	assert_non_null(copy);
	if (n)
		memcpy(copy, p, n);
	memset(copy + n, '"', JSON_PADDING);
	return (struct span){copy, n};
}

static inline struct span doc(const char *text)
{
	return doc_bytes(text, strlen(text));
}

static inline void doc_free(struct span *d)
{
	union {
		const char *borrowed;
		char *own;
	} p = {d->p};
	free(p.own);
	*d = SPAN_NONE;
}

#endif
