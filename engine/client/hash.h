/* hash.h - the two hashes of layout.h: of an object (the digest is their sum, S4) and of a key (the
 * index). XXH3, taken from the header of Debian's libxxhash-dev at compile time, so that
 * libkubering depends on libc only. The public one is kr_object_hash() in kubering.h. */
#ifndef KR_CLIENT_HASH_H
#define KR_CLIENT_HASH_H

#include <stdint.h>

/* Key of the index: XXH3_64bits_withSeed(list number (4 bytes LE), namespace NUL name NUL). Strings
 * of any length. */
uint64_t hash_key(uint64_t seed, uint32_t list, const char *namespace_, const char *name);

#endif
