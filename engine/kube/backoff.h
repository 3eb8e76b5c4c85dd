/* backoff.h - full-jitter exponential back-off as values: nothing here sleeps. 0.5 s doubling to 30
 * s; the wait is uniform in [step/2, step], so that thousands of lists that fail together do not
 * come back together and none comes back at once. 60 s of health forget the past. */
#ifndef KR_KUBE_BACKOFF_H
#define KR_KUBE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

#define KUBE_S ((uint64_t)1000000000)
enum { BACKOFF_FIRST_MS = 500, BACKOFF_MAX_MS = 30000, BACKOFF_HEALTHY_S = 60 };

struct backoff {
	uint32_t failures;
	uint64_t healthy_since_ns; /* 0 = not healthy */
};

static inline uint64_t backoff_jitter(struct prng *r, uint64_t step_ns)
{
	return step_ns / 2 + prng_below(r, step_ns / 2 + 1);
}
/* What there was of health is over. true: it was enough to forget the past. */
static inline bool backoff_end(struct backoff *b, uint64_t now_ns)
{
	bool healthy =
	        b->healthy_since_ns && now_ns - b->healthy_since_ns >= BACKOFF_HEALTHY_S * KUBE_S;
	if (healthy)
		b->failures = 0;
	b->healthy_since_ns = 0;
	return healthy;
}
/* One more failure; returns how long to wait. */
static inline uint64_t backoff_fail(struct backoff *b, struct prng *r, uint64_t now_ns)
{
	(void)backoff_end(b, now_ns);
	uint64_t ms = b->failures < 7 ? (uint64_t)BACKOFF_FIRST_MS << b->failures : BACKOFF_MAX_MS;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	b->failures += b->failures < UINT32_MAX;
	return backoff_jitter(r, ms * 1000000);
}
static inline void backoff_ok(struct backoff *b, uint64_t now_ns)
{
	if (!b->healthy_since_ns)
		b->healthy_since_ns = now_ns;
}

#endif
