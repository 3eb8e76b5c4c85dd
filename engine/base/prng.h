/* prng.h - splitmix64: jitter and simulation. Deterministic by seed; not for secrets. */
#ifndef KR_BASE_PRNG_H
#define KR_BASE_PRNG_H

#include <stdint.h>

struct prng {
	uint64_t s;
};

static inline uint64_t prng_next(struct prng *r)
{
	uint64_t z = (r->s += 0x9E3779B97F4A7C15ull);
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return z ^ (z >> 31);
}
/* Uniform in [0, n); n > 0. The bias of the multiply-shift is below 2^-32 for n < 2^32. */
static inline uint64_t prng_below(struct prng *r, uint64_t n)
{
	return (uint64_t)(((__uint128_t)prng_next(r) * n) >> 64);
}

#endif
