/* rv.h - comparing resourceVersions. KEP-5504 (stable in 1.35): a version is a decimal integer > 0
 * without leading zeros, of any length, and two of one resource of one cluster may be ordered: the
 * longer is larger, then bytewise. Anything else (some aggregated servers) is opaque: only
 * equality. */
#ifndef KR_KUBE_RV_H
#define KR_KUBE_RV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum rv_order { RV_BEFORE, RV_EQUAL, RV_AFTER, RV_UNORDERED };

static inline bool rv_is_numeric(struct span rv)
{
	if (rv.n == 0 || rv.p[0] == '0')
		return false;
	for (size_t i = 0; i < rv.n; i++)
		if (rv.p[i] < '0' || rv.p[i] > '9')
			return false;
	return true;
}

static inline enum rv_order rv_compare(struct span a, struct span b)
{
	if (span_eq(a, b))
		return RV_EQUAL;
	if (!rv_is_numeric(a) || !rv_is_numeric(b))
		return RV_UNORDERED;
	if (a.n != b.n)
		return a.n < b.n ? RV_BEFORE : RV_AFTER;
	return memcmp(a.p, b.p, a.n) < 0 ? RV_BEFORE : RV_AFTER;
}

#endif
