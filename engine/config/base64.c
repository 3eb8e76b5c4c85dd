#include "config/base64.h"

#include "base/base64.h"

bool base64_decode(struct span text, struct arena *arena, struct span *out)
{
	*out = SPAN_NONE;
	char *p = arena_alloc(arena, text.n + 1);
	size_t n = 0;
	if (!p)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '\r' && text.p[i] != '\n')
			p[n++] = text.p[i];
	if (!base64_in_place(p, n, &n))
		return false;
	p[n] = '\0';
	*out = (struct span){p, n};
	return true;
}
