#include "store/json_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/json_hash_body.h"

static uint64_t hash_plain(struct span text)
{
	return json_hash_body(text);
}

json_hash_fn json_hash_of(enum json_hash_simd simd)
{
#ifdef __x86_64__
	if (simd == JSON_HASH_AVX512)
		return __builtin_cpu_supports("avx512f") ? json_hash_avx512 : NULL;
	if (simd == JSON_HASH_AVX2)
		return __builtin_cpu_supports("avx2") ? json_hash_avx2 : NULL;
#endif
	return simd == JSON_HASH_PLAIN ? hash_plain : NULL;
}

uint64_t json_hash(struct span text)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512f"))
		return json_hash_avx512(text);
	if (__builtin_cpu_supports("avx2"))
		return json_hash_avx2(text);
#endif
	return hash_plain(text);
}
