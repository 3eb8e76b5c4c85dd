#include "kubering/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void out_of_memory(void)
{
	fputs("error: out of memory\n", stderr);
	exit(1);
}

void *text_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *text_copy(struct span s)
{
	char *p = text_alloc(s.n + 1);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

void text_fini(struct text *t)
{
	free(t->p);
	*t = (struct text){0};
}

void text_reserve(struct text *t, size_t n)
{
	if (n < t->cap - t->n) /* one byte stays for the NUL; cap is 0 only when n is */
		return;
	if (n > SIZE_MAX / 4 || t->cap > SIZE_MAX / 4)
		out_of_memory();
	size_t cap = t->cap * 2 > t->n + n + 64 ? t->cap * 2 : t->n + n + 64;
	char *p = realloc(t->p, cap);
	if (!p)
		out_of_memory();
	t->p = p;
	t->cap = cap;
}

void text_add(struct text *t, struct span s)
{
	text_reserve(t, s.n);
	if (s.n > 0)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
	t->p[t->n] = '\0';
}

void text_add_char(struct text *t, char c)
{
	text_add(t, (struct span){&c, 1});
}

void text_vprintf(struct text *t, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n > 0) {
		text_reserve(t, (size_t)n);
		vsnprintf(t->p + t->n, (size_t)n + 1, fmt, again);
		t->n += (size_t)n;
	}
	va_end(again);
}

/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069: what follows them is shown in another order
 * than it has. */
static bool is_reordering(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	if (n < 3 || u[0] != 0xe2)
		return false;
	if (u[1] == 0x80)
		return u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xaa && u[2] <= 0xae);
	return u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9;
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_vprintf(t, fmt, ap);
	va_end(ap);
}

void text_add_safe(struct text *t, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '\n' || c == '\r' || c == '\f') {
			text_add(t, SPAN("..."));
			return;
		}
		if (c < 0x20 || c == 0x7f) {
			text_add_char(t, '^');
			text_add_char(t, (char)(c ^ 0x40));
		} else if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0) {
			text_add_char(t, '?'); /* C1 controls, which terminals obey too */
			i++;
		} else if (is_reordering(s.p + i, s.n - i)) {
			text_add_char(t, '?');
			i += 2;
		} else {
			text_add_char(t, (char)c);
		}
	}
}

const char *text_cstr(struct text *t)
{
	return t->p ? t->p : "";
}

void text_clear(struct text *t)
{
	t->n = 0;
	if (t->p)
		t->p[0] = '\0';
}

size_t text_width(struct span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}
