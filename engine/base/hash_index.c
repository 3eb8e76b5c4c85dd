#include "base/hash_index.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

enum { HASH_INDEX_FIRST = 16 };

static struct hash_node **bucket_of(const struct hash_index *x, uint64_t hash)
{
	return &x->buckets[hash & (x->capacity - 1)];
}

static void put(struct hash_index *x, struct hash_node *n)
{
	struct hash_node **at = bucket_of(x, n->hash);
	n->next = *at;
	*at = n;
}

err_t hash_index_reserve(struct hash_index *x)
{
	if (x->count < x->capacity)
		return ERR_OK;
	uint32_t capacity = x->capacity ? x->capacity * 2 : HASH_INDEX_FIRST;
	struct hash_node **buckets = calloc(capacity, sizeof(struct hash_node *));
	if (!buckets)
		return x->capacity ? ERR_OK : ERR_NO_MEMORY; /* longer chains do as well */
	struct hash_index old = *x;
	x->buckets = buckets;
	x->capacity = capacity;
	for (uint32_t i = 0; i < old.capacity; i++)
		for (struct hash_node *n = old.buckets[i], *next; n; n = next) {
			next = n->next;
			put(x, n);
		}
	free(old.buckets);
	return ERR_OK;
}

void hash_index_add(struct hash_index *x, struct hash_node *n, uint64_t hash)
{
	CHECK(x->capacity);
	n->hash = hash;
	put(x, n);
	x->count++;
}

void hash_index_remove(struct hash_index *x, struct hash_node *n)
{
	CHECK(x->count);
	struct hash_node **at = bucket_of(x, n->hash);
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	n->next = NULL;
	x->count--;
}

struct hash_node *hash_index_next(const struct hash_node *n)
{
	struct hash_node *it = n->next;
	while (it && it->hash != n->hash)
		it = it->next;
	return it;
}

struct hash_node *hash_index_first(const struct hash_index *x, uint64_t hash)
{
	struct hash_node *n = x->capacity ? *bucket_of(x, hash) : NULL;
	return !n || n->hash == hash ? n : hash_index_next(&(struct hash_node){n->next, hash});
}

void hash_index_fini(struct hash_index *x)
{
	free(x->buckets);
	*x = (struct hash_index){0};
}

uint64_t hash_of_text(const char *text, uint64_t seed)
{
	return XXH3_64bits_withSeed(text, strlen(text), seed);
}

uint64_t hash_of_span(struct span s, uint64_t seed)
{
	return XXH3_64bits_withSeed(s.p, s.n, seed);
}
