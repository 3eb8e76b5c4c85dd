/* quoted_avx512.c - AVX-512 with VBMI2 (Intel since Ice Lake, AMD since Zen 4): a block is
 * compressed in one instruction. */
#include "headlamp/quoted.h"

#include "base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define QUOTED_TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi2,bmi,popcnt")))

struct block {
	__m512i v;
};

#include "headlamp/quoted_body.h"

QUOTED_TARGET static inline struct block block_load(const char *p, struct marks *m)
{
	__m512i v = _mm512_loadu_si512(p);
	m->quote = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('"'));
	m->backslash = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\\'));
	m->control = _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(0x20));
	return (struct block){v};
}

QUOTED_TARGET static inline void block_put(char *to, struct block b)
{
	_mm512_storeu_si512(to, b.v);
}

QUOTED_TARGET static inline size_t block_drop(
        char *to, const char *p, struct block b, uint64_t keep, const struct quoted_moves *m)
{
	(void)p;
	(void)m;
	/* Not the form that stores: it is microcode on Zen 4. */
	_mm512_storeu_si512(to, _mm512_maskz_compress_epi8(keep, b.v));
	return (size_t)__builtin_popcountll(keep);
}

QUOTED_TARGET bool quoted_avx512(struct quoted *q, const struct quoted_moves *m)
{
	return quoted_blocks(q, m);
}

#else
typedef int quoted_avx512_is_not_for_this_machine;
#endif
