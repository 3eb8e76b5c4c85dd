/* key.h - the identity of one object in one list, laid out once the way that every hash and every
 * block wants it:
 *
 *   list number (4 bytes LE) | namespace NUL name NUL uid NUL resourceVersion NUL
 *   '------------- key_hash, seeded -----------'
 *                            '----------- object_hash (S4), strings of a block -'
 */
#ifndef KR_STORE_KEY_H
#define KR_STORE_KEY_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "shm/layout.h"
#include "json/json.h"

enum {
	KEY_UID_MAX = 255, /* UUIDs have 36 */
	KEY_RV_MAX = SHM_RV_BYTES - 1,
	KEY_BYTES_MAX = 4 + JSON_NAMESPACE_MAX + JSON_NAME_MAX + KEY_UID_MAX + KEY_RV_MAX + 4,
};

/* Owner: the caller's stack. Thread: the reactor. Life: one event. */
struct key {
	uint64_t key_hash, object_hash;
	uint64_t rv; /* numeric, 0 if opaque */
	uint16_t namespace_bytes, name_bytes, uid_bytes, rv_bytes;
	uint16_t name_end;      /* offset behind the NUL of the name */
	uint16_t strings_bytes; /* of the four strings with their NULs */
	char bytes[KEY_BYTES_MAX];
};

/* errors: ERR_JSON_LIMIT: a string is too long; ERR_JSON_SHAPE: no name, no version, or a NUL. */
err_t key_init(struct key *k, uint64_t seed, uint32_t list, const struct json_object *o) MUST_USE;
/* The part of it that a look-up needs: key_hash and what key_matches compares. errors:
 * ERR_JSON_LIMIT. */
err_t key_init_name(struct key *k, uint64_t seed, uint32_t list, struct span namespace_,
        struct span name) MUST_USE;
/* The key of the object in the block, with another version. errors: ERR_JSON_LIMIT. */
err_t key_init_like(
        struct key *k, uint32_t list, const struct shm_block *b, struct span version) MUST_USE;
static inline const char *key_strings(const struct key *k)
{
	return k->bytes + 4;
}
static inline struct span key_uid(const struct key *k)
{
	return (struct span){k->bytes + k->name_end, k->uid_bytes};
}
static inline struct span key_rv(const struct key *k)
{
	return (struct span){k->bytes + k->name_end + k->uid_bytes + 1, k->rv_bytes};
}

/* Does the block hold this namespace and name? */
bool key_matches(const struct key *k, const struct shm_block *b);
/* The strings in a block. */
struct span key_block_namespace(const struct shm_block *b);
struct span key_block_name(const struct shm_block *b);
struct span key_block_uid(const struct shm_block *b);
struct span key_block_rv(const struct shm_block *b);

#endif
