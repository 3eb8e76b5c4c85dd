#include "json/unescape.h"

#include <stdint.h>

static uint32_t hex4(const char *p)
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++) {
		uint32_t c = (unsigned char)p[i];
		v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

/* The code point of the \uXXXX at p (and of the second half of a pair behind it). Returns the bytes
 * read. */
static size_t code_point(const char *p, const char *end, uint32_t *cp, bool *lone)
{
	*cp = hex4(p + 2);
	if (*cp < 0xD800 || *cp > 0xDFFF)
		return 6;
	if (*cp < 0xDC00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
		uint32_t low = hex4(p + 8);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			*cp = 0x10000 + ((*cp - 0xD800) << 10 | (low - 0xDC00));
			return 12;
		}
	}
	*cp = 0xFFFD;
	*lone = true;
	return 6;
}

static size_t put_utf8(char *dst, uint32_t cp)
{
	if (cp < 0x80) {
		dst[0] = (char)cp;
		return 1;
	}
	size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = n - 1; i > 0; i--, cp >>= 6)
		dst[i] = (char)(0x80 | (cp & 0x3F));
	dst[0] = (char)(lead[n] | cp);
	return n;
}

static char simple(char c)
{
	switch (c) {
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	default: return c; /* " \ / */
	}
}

size_t unescape(char *dst, struct span raw, bool *lone)
{
	const char *p = raw.p, *end = raw.p + raw.n;
	char *to = dst;
	bool ignored;
	if (!lone)
		lone = &ignored;
	*lone = false;
	while (p < end) {
		if (*p != '\\') {
			const char *stop = memchr(p, '\\', (size_t)(end - p));
			size_t plain = (size_t)((stop ? stop : end) - p);
			memmove(to, p, plain);
			to += plain;
			p += plain;
			continue;
		}
		if (p[1] != 'u') {
			*to++ = simple(p[1]);
			p += 2;
			continue;
		}
		uint32_t cp;
		p += code_point(p, end, &cp, lone);
		to += put_utf8(to, cp); /* 1 to 4 bytes for the 6 or 12 that were read */
	}
	return (size_t)(to - dst);
}

bool unescape_equals(struct span raw, struct span text)
{
	char buf[256];
	if (raw.n < text.n || raw.n > sizeof buf)
		return false;
	return span_eq((struct span){buf, unescape(buf, raw, NULL)}, text);
}
