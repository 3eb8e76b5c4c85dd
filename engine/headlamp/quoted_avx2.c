/* quoted_avx2.c - AVX2: no compression, but a shuffle of 8 bytes by table. */
#include "headlamp/quoted.h"

#include "base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define QUOTED_TARGET __attribute__((target("avx2,bmi,popcnt")))

struct block {
	__m256i low, high;
};

#include "headlamp/quoted_body.h"

QUOTED_TARGET static inline uint64_t equal(struct block b, char c)
{
	__m256i all = _mm256_set1_epi8(c);
	uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b.low, all));
	uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b.high, all));
	return (uint64_t)high << 32 | low;
}

QUOTED_TARGET static inline uint64_t controls(struct block b)
{
	__m256i most = _mm256_set1_epi8(0x1F);
	struct block least = {_mm256_max_epu8(b.low, most), _mm256_max_epu8(b.high, most)};
	return equal(least, 0x1F);
}

QUOTED_TARGET static inline struct block block_load(const char *p, struct marks *m)
{
	struct block b = {_mm256_loadu_si256((const __m256i *)(const void *)p),
	        _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))};
	m->quote = equal(b, '"');
	m->backslash = equal(b, '\\');
	m->control = controls(b);
	return b;
}

QUOTED_TARGET static inline void block_put(char *to, struct block b)
{
	_mm256_storeu_si256((__m256i *)(void *)to, b.low);
	_mm256_storeu_si256((__m256i *)(void *)(to + 32), b.high);
}

QUOTED_TARGET static inline size_t block_drop(
        char *to, const char *p, struct block b, uint64_t keep, const struct quoted_moves *m)
{
	if (keep == UINT64_MAX) {
		block_put(to, b);
		return 64;
	}
	char *at = to;
	for (int i = 0; i < 8; i++, keep >>= 8) {
		__m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)(p + 8 * i));
		__m128i move = _mm_loadl_epi64((const __m128i *)(const void *)m->at[keep & 255]);
		_mm_storel_epi64((__m128i *)(void *)at, _mm_shuffle_epi8(eight, move));
		at += __builtin_popcountll(keep & 255);
	}
	return (size_t)(at - to);
}

QUOTED_TARGET bool quoted_avx2(struct quoted *q, const struct quoted_moves *m)
{
	return quoted_blocks(q, m);
}

#else
typedef int quoted_avx2_is_not_for_this_machine;
#endif
