/* histogram.h - latencies in log-linear buckets: 64 to a power of two, so a value is kept
 * within 1.6 % whatever its size, and nothing is sorted, sampled or dropped. bench/figures.py reads
 * what is printed. */
#ifndef KR_BENCH_HISTOGRAM_H
#define KR_BENCH_HISTOGRAM_H

#include <inttypes.h>
#include <stdio.h>

enum { HISTOGRAM_SUB_BITS = 6, HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS, HISTOGRAM_OCTAVES = 40 };

struct histogram {
	uint64_t n, max;
	uint64_t count[HISTOGRAM_SUB * HISTOGRAM_OCTAVES];
};

static inline unsigned histogram_index(uint64_t v)
{
	if (v < HISTOGRAM_SUB)
		return (unsigned)v;
	unsigned shift = 63 - (unsigned)__builtin_clzll(v) - HISTOGRAM_SUB_BITS;
	unsigned i = (shift + 1) * HISTOGRAM_SUB + (unsigned)(v >> shift) - HISTOGRAM_SUB;
	return i < HISTOGRAM_SUB * HISTOGRAM_OCTAVES ? i : HISTOGRAM_SUB * HISTOGRAM_OCTAVES - 1;
}

/* The smallest value of a bucket. */
static inline uint64_t histogram_low(unsigned i)
{
	if (i < HISTOGRAM_SUB)
		return i;
	return (uint64_t)(HISTOGRAM_SUB + i % HISTOGRAM_SUB) << (i / HISTOGRAM_SUB - 1);
}

static inline void histogram_add(struct histogram *h, uint64_t v)
{
	h->count[histogram_index(v)]++;
	h->n++;
	h->max = v > h->max ? v : h->max;
}

/* "hist NAME max M LOW:COUNT LOW:COUNT ..." */
static inline void histogram_print(const struct histogram *h, const char *name)
{
	printf("hist %s max %" PRIu64, name, h->max);
	for (unsigned i = 0; i < HISTOGRAM_SUB * HISTOGRAM_OCTAVES; i++)
		if (h->count[i] > 0)
			printf(" %" PRIu64 ":%" PRIu64, histogram_low(i), h->count[i]);
	putchar('\n');
}

#endif
