#include "config/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block is twice as large as the one before: small documents stay small (there are two for each
 * of ten thousand clusters), large ones take few blocks. */
enum { ARENA_BLOCK_MIN = 96, ARENA_BLOCK_MAX = 256 << 10, ARENA_PIECE_MIN = 256 };

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a, size_t bytes_max)
{
	*a = (struct arena){.bytes_max = bytes_max};
}

void arena_fini(struct arena *a)
{
	for (struct arena_block *b = a->head, *next; b; b = next) {
		next = b->next;
		explicit_bzero(b->bytes, b->used);
		free(b);
	}
	a->head = NULL;
	a->used = a->usual = 0;
}

static struct arena_block *arena_grow(struct arena *a, size_t n)
{
	size_t usual = a->usual == 0                     ? ARENA_BLOCK_MIN
	               : a->usual >= ARENA_BLOCK_MAX / 2 ? ARENA_BLOCK_MAX
	                                                 : 2 * a->usual;
	/* A piece that would leave much of a block empty gets its own. */
	bool own = n > usual || (n >= ARENA_PIECE_MIN && n > usual / 4);
	size_t size = own ? n : usual;
	struct arena_block *b = calloc(1, sizeof *b + size);
	if (!b)
		return NULL;
	b->size = size;
	if (!own)
		a->usual = usual;
	if (a->head && own) { /* go on filling the one in use */
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	if (n > a->bytes_max)
		return NULL;
	n = (n + align - 1) & ~(align - 1);
	if (n == 0)
		n = align;
	if (n > a->bytes_max - a->used)
		return NULL;
	struct arena_block *b = a->head;
	if (!b || n > b->size - b->used)
		b = arena_grow(a, n);
	if (!b)
		return NULL;
	void *p = b->bytes + b->used;
	b->used += n;
	a->used += n;
	return p;
}

void *arena_array(struct arena *a, size_t count, size_t item_bytes)
{
	size_t n;
	return __builtin_mul_overflow(count, item_bytes, &n) ? NULL : arena_alloc(a, n);
}

char *arena_copy(struct arena *a, struct span s)
{
	char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;
	if (p && s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

char *arena_format(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
