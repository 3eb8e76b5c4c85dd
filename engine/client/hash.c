#include "client/hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "include/kubering.h"

enum { HASH_INLINE_BYTES = 1024 }; /* longer than any legal key; beyond it the hash is streamed */

struct hash_parts {
	const void *p[5];
	size_t n[5];
	unsigned count;
};

/* Out of the way: its state is large, and nobody has such names. */
static __attribute__((noinline)) uint64_t hash_stream(uint64_t seed, const struct hash_parts *parts)
{
	XXH3_state_t state;
	XXH3_INITSTATE(&state);
	XXH3_64bits_reset_withSeed(&state, seed);
	for (unsigned i = 0; i < parts->count; i++)
		XXH3_64bits_update(&state, parts->p[i], parts->n[i]);
	return XXH3_64bits_digest(&state);
}

static uint64_t hash_parts(uint64_t seed, const struct hash_parts *parts)
{
	char flat[HASH_INLINE_BYTES]
	        __attribute__((uninitialized)); /* clearing it would cost most */
	size_t bytes = 0;
	for (unsigned i = 0; i < parts->count; i++)
		bytes += parts->n[i];
	if (bytes > sizeof flat)
		return hash_stream(seed, parts);
	char *to = flat;
	for (unsigned i = 0; i < parts->count; i++) {
		memcpy(to, parts->p[i], parts->n[i]);
		to += parts->n[i];
	}
	return XXH3_64bits_withSeed(flat, bytes, seed);
}

/* The string and its NUL; NULL counts as "". */
static void hash_string(struct hash_parts *parts, const char *s)
{
	if (!s)
		s = "";
	parts->p[parts->count] = s;
	parts->n[parts->count++] = strlen(s) + 1;
}

uint64_t hash_key(uint64_t seed, uint32_t list, const char *namespace_, const char *name)
{
	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");
	struct hash_parts parts = {.p = {&list}, .n = {sizeof list}, .count = 1};
	hash_string(&parts, namespace_);
	hash_string(&parts, name);
	return hash_parts(seed, &parts);
}

uint64_t kr_object_hash(
        const char *namespace_, const char *name, const char *uid, const char *resource_version)
{
	struct hash_parts parts = {.count = 0};
	hash_string(&parts, namespace_);
	hash_string(&parts, name);
	hash_string(&parts, uid);
	hash_string(&parts, resource_version);
	return hash_parts(0, &parts); /* seed 0 is XXH3_64bits */
}
