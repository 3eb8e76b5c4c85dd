/* text.h - a growing string. Running out of memory ends the program: this is a tool, and nothing of
 * it is worth saving.
 *
 * Control characters that come from a cluster must not reach a terminal: text_add_safe is for
 * those.
 */
#ifndef KR_KUBERING_TEXT_H
#define KR_KUBERING_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Owner: whoever declares it. Thread: one. Life: {0} to text_fini. */
struct text {
	char *p; /* NUL behind n bytes once anything was added */
	size_t n, cap;
};

void text_fini(struct text *t);
/* Makes room for n more bytes. */
void text_reserve(struct text *t, size_t n);
void text_add(struct text *t, struct span s);
void text_add_char(struct text *t, char c);
void text_vprintf(struct text *t, const char *fmt, va_list ap)
        __attribute__((format(printf, 2, 0)));
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One line for a terminal: cut at the first line break ("..." says so), other control characters as
 * ^X. */
void text_add_safe(struct text *t, struct span s);
/* "" when empty; valid until the next call. */
const char *text_cstr(struct text *t);
void text_clear(struct text *t);
/* Width on a terminal as kubectl counts it: code points. */
size_t text_width(struct span s);

/* What a function of another room made: NULL, for want of memory, ends the program. */
void *text_need(void *made);
/* malloc that never fails, and a copy of a span as a C string. */
void *text_alloc(size_t n);
char *text_copy(struct span s);

#endif
