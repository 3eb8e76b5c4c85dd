#include "store/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/version.h"

/* A NUL inside a string would let two identities share one text. */
static bool has_nul(struct span s)
{
	return s.n > 0 && memchr(s.p, 0, s.n) != NULL;
}

static char *put(char *at, struct span s)
{
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	at[s.n] = 0;
	return at + s.n + 1;
}

static void put_list(struct key *k, uint32_t list)
{
	k->bytes[0] = (char)list;
	k->bytes[1] = (char)(list >> 8);
	k->bytes[2] = (char)(list >> 16);
	k->bytes[3] = (char)(list >> 24);
}

err_t key_init_name(
        struct key *k, uint64_t seed, uint32_t list, struct span namespace_, struct span name)
{
	if (namespace_.n > JSON_NAMESPACE_MAX || name.n > JSON_NAME_MAX)
		return ERR_JSON_LIMIT;
	put_list(k, list);
	const char *name_end = put(put(k->bytes + 4, namespace_), name);
	k->namespace_bytes = (uint16_t)namespace_.n;
	k->name_bytes = (uint16_t)name.n;
	k->name_end = (uint16_t)(name_end - k->bytes);
	k->key_hash = XXH3_64bits_withSeed(k->bytes, k->name_end, seed);
	return ERR_OK;
}

/* The last of the strings, and what follows from all of them. */
static void put_version(struct key *k, char *at, struct span version)
{
	const char *end = put(at, version);
	k->rv_bytes = (uint16_t)version.n;
	k->strings_bytes = (uint16_t)(end - (k->bytes + 4));
	k->object_hash = XXH3_64bits(k->bytes + 4, k->strings_bytes);
	k->rv = version_number(version);
}

err_t key_init(struct key *k, uint64_t seed, uint32_t list, const struct json_object *o)
{
	if (o->name.n == 0 || o->resource_version.n == 0)
		return ERR_JSON_SHAPE;
	if (o->uid.n > KEY_UID_MAX || o->resource_version.n > KEY_RV_MAX ||
	        key_init_name(k, seed, list, o->namespace_, o->name) != ERR_OK)
		return ERR_JSON_LIMIT;
	if (has_nul(o->name) || has_nul(o->namespace_) || has_nul(o->uid) ||
	        has_nul(o->resource_version))
		return ERR_JSON_SHAPE;
	k->uid_bytes = (uint16_t)o->uid.n;
	put_version(k, put(k->bytes + k->name_end, o->uid), o->resource_version);
	return ERR_OK;
}

err_t key_init_like(struct key *k, uint32_t list, const struct shm_block *b, struct span version)
{
	size_t n = (size_t)b->namespace_bytes + b->name_bytes + b->uid_bytes + 3;
	if (version.n > KEY_RV_MAX)
		return ERR_JSON_LIMIT;
	CHECK(4 + n + version.n < sizeof k->bytes);
	put_list(k, list);
	memcpy(k->bytes + 4, b + 1, n);
	k->namespace_bytes = b->namespace_bytes;
	k->name_bytes = b->name_bytes;
	k->name_end = (uint16_t)(4 + b->namespace_bytes + b->name_bytes + 2);
	k->uid_bytes = b->uid_bytes;
	k->key_hash = b->key_hash;
	put_version(k, k->bytes + 4 + n, version);
	return ERR_OK;
}

bool key_matches(const struct key *k, const struct shm_block *b)
{
	return b->namespace_bytes == k->namespace_bytes && b->name_bytes == k->name_bytes &&
	       memcmp(b + 1, key_strings(k), (size_t)k->name_end - 4) == 0;
}

struct span key_block_namespace(const struct shm_block *b)
{
	return (struct span){(const char *)(b + 1), b->namespace_bytes};
}

struct span key_block_name(const struct shm_block *b)
{
	return (struct span){(const char *)(b + 1) + b->namespace_bytes + 1, b->name_bytes};
}

struct span key_block_uid(const struct shm_block *b)
{
	const char *strings = (const char *)(b + 1);
	return (struct span){strings + b->namespace_bytes + b->name_bytes + 2, b->uid_bytes};
}

struct span key_block_rv(const struct shm_block *b)
{
	const char *strings = (const char *)(b + 1);
	return (struct span){
	        strings + b->namespace_bytes + b->name_bytes + b->uid_bytes + 3, b->rv_bytes};
}
