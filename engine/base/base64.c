#include "base/base64.h"

#include <stdint.h>

/* 0 to 63; -1: not of the alphabet. */
static int digit_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_in_place(char *p, size_t n, size_t *out)
{
	size_t pads = 0, to = 0;
	if (n % 4)
		return false;
	while (pads < 2 && pads < n && p[n - 1 - pads] == '=')
		pads++;
	uint32_t bits = 0;
	for (size_t i = 0; i < n - pads; i++) {
		int digit = digit_of((unsigned char)p[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4)
			p[to++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	*out = to;
	return true;
}
