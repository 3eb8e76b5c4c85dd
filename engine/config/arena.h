/* arena.h - memory of one document: taken piece by piece, given back all at once, wiped when it
 * goes.
 *
 * Kubeconfigs and credentials are read into arenas, so everything in this room that may hold a
 * secret passes through arena_fini(), which overwrites every byte before it frees it. An arena has
 * a byte limit, so a hostile document runs into ERR_LIMIT instead of into the memory of the
 * machine. Pieces are zeroed and aligned for any type.
 */
#ifndef KR_CONFIG_ARENA_H
#define KR_CONFIG_ARENA_H

#include <stddef.h>

#include "base/span.h"

struct arena_block;

/* Owner: whoever embeds it. Thread: one at a time. Life: arena_init to arena_fini; may be moved by
 * assignment (blocks are on the heap). */
struct arena {
	struct arena_block *head; /* own; newest first */
	size_t used, bytes_max;
	size_t usual; /* of the last block that was not for one large piece */
};

void arena_init(struct arena *a, size_t bytes_max);
/* Wipes and frees; the arena is then empty and may be used again. */
void arena_fini(struct arena *a);
/* Zeroed bytes. NULL: over the limit or out of memory. n may be 0. */
void *arena_alloc(struct arena *a, size_t n);
/* An array of count items of item_bytes each; NULL also if the product overflows. */
void *arena_array(struct arena *a, size_t count, size_t item_bytes);
/* A copy with a NUL behind it. NULL as arena_alloc. */
char *arena_copy(struct arena *a, struct span s);
char *arena_format(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
