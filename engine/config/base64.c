#include "config/base64.h"

#include <stdint.h>

#include "base/base64.h"

bool base64_decode(struct span text, struct arena *arena, struct span *out)
{
	*out = SPAN_NONE;
	char *p = arena_alloc(arena, text.n / 4 * 3 + 4);
	if (!p)
		return false;
	size_t n = 0, digits = 0, padding = 0;
	uint32_t v = 0;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '\r' || c == '\n')
			continue;
		int digit = base64_digit(c);
		if (c == '=')
			padding++;
		else if (digit < 0 || padding > 0)
			return false;
		v = v << 6 | (digit < 0 ? 0 : (uint32_t)digit);
		if (++digits % 4 != 0)
			continue;
		if (padding > 2)
			return false;
		for (size_t k = 0; k < 3 - padding; k++)
			p[n++] = (char)(v >> (16 - 8 * k));
		v = 0;
	}
	if (digits % 4 != 0 || padding > 2)
		return false;
	p[n] = '\0';
	*out = (struct span){p, n};
	return true;
}
