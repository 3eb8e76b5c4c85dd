/* hash_index.h - finds structs by a 64-bit hash of their key. The node is a field of what is found;
 * equal hashes are told apart by the caller. With ten thousand clusters a walk over all lists, once
 * per list, is a hundred million steps. */
#ifndef KR_BASE_HASH_INDEX_H
#define KR_BASE_HASH_INDEX_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct hash_node {
	struct hash_node *next; /* borrow: in its bucket */
	uint64_t hash;
};

/* Owner: whoever embeds it; zeroed is empty. Thread: the owner's. */
struct hash_index {
	struct hash_node **buckets; /* own */
	uint32_t count, capacity;   /* capacity: of buckets, a power of two; 0: none yet */
};

/* Sees to it that the next hash_index_add has a place. */
err_t hash_index_reserve(struct hash_index *x) MUST_USE;
/* hash_index_reserve came before. n must stay where it is. */
void hash_index_add(struct hash_index *x, struct hash_node *n, uint64_t hash);
/* n must be in x. */
void hash_index_remove(struct hash_index *x, struct hash_node *n);
/* A node with that hash; NULL: none. hash_index_next: another one with the same hash. */
struct hash_node *hash_index_first(const struct hash_index *x, uint64_t hash);
struct hash_node *hash_index_next(const struct hash_node *n);
/* The nodes are left as they are. */
void hash_index_fini(struct hash_index *x);

/* Of a NUL-terminated text. seed: random, so that nobody can aim for collisions. */
uint64_t hash_of_text(const char *text, uint64_t seed);
uint64_t hash_of_span(struct span s, uint64_t seed);

#endif
