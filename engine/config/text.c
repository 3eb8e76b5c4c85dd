#include "config/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool text_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span text_trim(struct span s)
{
	while (s.n > 0 && text_is_blank(s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && text_is_blank(*s.p)) {
		s.p++;
		s.n--;
	}
	return s;
}

bool text_is_header(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

void text_fini(struct text *t)
{
	if (t->p)
		explicit_bzero(t->p, t->capacity);
	free(t->p);
	t->p = NULL;
	t->n = t->capacity = 0;
	t->broken = false;
}

/* Not realloc: it may leave a copy of the old bytes behind. */
static bool text_grow(struct text *t, size_t more)
{
	if (t->broken || more > t->bytes_max || t->n > t->bytes_max - more)
		return false;
	if (t->p && t->n + more < t->capacity)
		return true;
	size_t capacity = t->capacity ? t->capacity : 256;
	while (capacity <= t->n + more)
		capacity *= 2;
	char *p = malloc(capacity);
	if (!p)
		return false;
	if (t->p) {
		memcpy(p, t->p, t->n);
		explicit_bzero(t->p, t->capacity);
		free(t->p);
	}
	t->p = p;
	t->capacity = capacity;
	return true;
}

void text_push(struct text *t, struct span s)
{
	if (!text_grow(t, s.n)) {
		t->broken = true;
		return;
	}
	if (s.n > 0)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
	t->p[t->n] = '\0';
}

void text_push_json(struct text *t, struct span s)
{
	text_push(t, SPAN("\""));
	size_t from = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		char escape[8];
		int n = c < 0x20 ? snprintf(escape, sizeof escape, "\\u%04x", c)
		                 : snprintf(escape, sizeof escape, "\\%c", c);
		text_push(t, (struct span){s.p + from, i - from});
		text_push(t, (struct span){escape, (size_t)n});
		from = i + 1;
	}
	text_push(t, (struct span){s.p + from, s.n - from});
	text_push(t, SPAN("\""));
}

void text_push_base64(struct text *t, struct span bytes)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)bytes.p;
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t left = bytes.n - i;
		unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
		             (left > 2 ? p[i + 2] : 0);
		char out[4] = {digits[v >> 18], digits[v >> 12 & 63], '=', '='};
		if (left > 1)
			out[2] = digits[v >> 6 & 63];
		if (left > 2)
			out[3] = digits[v & 63];
		text_push(t, (struct span){out, 4});
	}
}
