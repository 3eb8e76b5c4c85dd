/* json_hash_avx512.c - the hash compiled for AVX512, whatever the rest of the room is compiled for.
 */
#ifdef __x86_64__

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
#endif

#define XXH_VECTOR 3 /* XXH_AVX512 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/json_hash_body.h"

uint64_t json_hash_avx512(struct span text)
{
	return json_hash_body(text);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int json_hash_avx512_is_not_for_this_machine;
#endif
