/* report.h - a growing text, and JSON written into it (status, metrics, answers for people). Out of
 * memory makes it `failed`, and everything after that does nothing: check once at the end. */
#ifndef KR_CONTROL_REPORT_H
#define KR_CONTROL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct report {
	char *p; /* own; NUL-terminated once something was written */
	size_t n, cap;
	bool failed;
	bool comma; /* JSON: the next member needs one before it */
};

void report_fini(struct report *t);
void report_add(struct report *t, struct span s);
void report_printf(struct report *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* JSON: key NULL inside arrays. Bytes that are no UTF-8 are written as U+FFFD. */
void report_open(struct report *t, const char *key, char bracket); /* '{' or '[' */
void report_close(struct report *t, char bracket);                 /* '}' or ']' */
void report_string(struct report *t, const char *key, struct span value);
void report_cstr(struct report *t, const char *key, const char *value); /* NULL: null */
void report_uint(struct report *t, const char *key, uint64_t value);
void report_seconds(struct report *t, const char *key, uint64_t ns); /* 1.250 */
void report_bool(struct report *t, const char *key, bool value);

#endif
