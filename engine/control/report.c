#include "control/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

void report_fini(struct report *t)
{
	free(t->p);
	*t = (struct report){0};
}

static bool room(struct report *t, size_t more)
{
	if (t->failed)
		return false;
	if (t->n + more + 1 <= t->cap)
		return true;
	size_t cap = t->cap ? t->cap : 1024;
	while (cap < t->n + more + 1)
		cap *= 2;
	char *p = realloc(t->p, cap);
	t->failed = !p;
	if (!p)
		return false;
	t->p = p;
	t->cap = cap;
	return true;
}

void report_add(struct report *t, struct span s)
{
	if (!room(t, s.n))
		return;
	if (s.n)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
	t->p[t->n] = 0;
}

void report_printf(struct report *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !room(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->n += (size_t)n;
}

/* As long as nothing in it needs to be written differently. */
static size_t plain(const unsigned char *p, size_t n)
{
	size_t i = 0;
	while (i < n && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

static void escaped(struct report *t, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	for (size_t i = 0; i < s.n;) {
		size_t run = plain(p + i, s.n - i);
		report_add(t, (struct span){s.p + i, run});
		i += run;
		if (i == s.n)
			return;
		size_t len = utf8_at(p + i, s.n - i);
		if (!len) {
			report_add(t, SPAN(UTF8_REPLACEMENT));
			i++;
		} else if (p[i] == '"' || p[i] == '\\') {
			report_printf(t, "\\%c", p[i++]);
		} else if (p[i] < 0x20) {
			report_printf(t, "\\u%04x", p[i++]);
		} else {
			report_add(t, (struct span){s.p + i, len});
			i += len;
		}
	}
}

static void member(struct report *t, const char *key)
{
	if (t->comma)
		report_add(t, SPAN(","));
	t->comma = true;
	if (!key)
		return;
	report_add(t, SPAN("\""));
	report_add(t, span_of(key));
	report_add(t, SPAN("\":"));
}

/* A status of twenty thousand lists has half a million numbers, and the control thread serves
 * nobody else meanwhile: printf would be most of it. */
static void add_number(struct report *t, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	report_add(t, (struct span){digits + at, sizeof digits - at});
}

void report_open(struct report *t, const char *key, char bracket)
{
	member(t, key);
	report_add(t, (struct span){&bracket, 1});
	t->comma = false;
}

void report_close(struct report *t, char bracket)
{
	report_add(t, (struct span){&bracket, 1});
	t->comma = true;
}

void report_string(struct report *t, const char *key, struct span value)
{
	member(t, key);
	report_add(t, SPAN("\""));
	escaped(t, value);
	report_add(t, SPAN("\""));
}

void report_cstr(struct report *t, const char *key, const char *value)
{
	if (value) {
		report_string(t, key, span_of(value));
		return;
	}
	member(t, key);
	report_add(t, SPAN("null"));
}

void report_uint(struct report *t, const char *key, uint64_t value)
{
	member(t, key);
	add_number(t, value);
}

void report_seconds(struct report *t, const char *key, uint64_t ns)
{
	uint64_t ms = ns / 1000000u % 1000u;
	member(t, key);
	add_number(t, ns / 1000000000u);
	report_add(t, (struct span){(char[]){'.', (char)('0' + ms / 100),
	                                    (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)},
	                      4});
}

void report_bool(struct report *t, const char *key, bool value)
{
	member(t, key);
	report_add(t, value ? SPAN("true") : SPAN("false"));
}
