/* quoted_body.h - private to quoted_avx*.c: the loop over blocks of 64 bytes, compiled for each
 * instruction set. Before it is included: QUOTED_TARGET, and
 *   struct block, block_load(p, &marks), block_put(to, block), block_drop(to, p, block, keep,
 * moves). */
#ifndef KR_HEADLAMP_QUOTED_BODY_H
#define KR_HEADLAMP_QUOTED_BODY_H
#ifdef QUOTED_TARGET

#include "base/check.h"
#include "headlamp/quoted.h"
#include "json/bits.h"

struct marks {
	uint64_t quote, backslash, control;
};
QUOTED_TARGET static inline struct block block_load(const char *p, struct marks *m);
/* The block as it is. */
QUOTED_TARGET static inline void block_put(char *to, struct block b);
/* What is kept of it; its bytes are at p. */
QUOTED_TARGET static inline size_t block_drop(
        char *to, const char *p, struct block b, uint64_t keep, const struct quoted_moves *m);

/* Where the loop stands still: at a byte that is the end, is refused, or belongs to an escape that
 * is more than a backslash to be dropped. (So is \/, which no server writes.) */
QUOTED_TARGET static inline bool quoted_blocks(struct quoted *q, const struct quoted_moves *moves)
{
	uint64_t carry = 0;
	while (q->p < q->end) {
		struct marks m;
		struct block b = block_load(q->p, &m);
		size_t left = (size_t)(q->end - q->p);
		uint64_t valid = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
		m.backslash &= valid;
		uint64_t escaped = bits_escaped(m.backslash, &carry);
		uint64_t drop = m.backslash & ~escaped;
		uint64_t closing = m.quote & ~escaped;
		uint64_t stop =
		        valid & (closing | m.control | (escaped & ~(m.quote | m.backslash)));
		if (LIKELY(!stop)) {
			q->to += block_drop(q->to, q->p, b, valid & ~drop, moves);
			q->p += left < 64 ? left : 64;
			continue;
		}
		uint64_t lowest = stop & -stop, before = lowest - 1;
		size_t n = (size_t)__builtin_ctzll(lowest);
		if (drop & before) {
			q->to += block_drop(q->to, q->p, b, before & ~drop, moves);
		} else { /* a field, as a rule */
			block_put(q->to, b);
			q->to += n;
		}
		q->p += n;
		if (lowest & m.control)
			return false;
		if (lowest & closing) {
			q->p++;
			return true;
		}
		q->p--; /* the backslash; it may have been the last byte of the block before */
		if (!quoted_escape(q))
			return false;
		carry = 0;
	}
	return false;
}

#endif
#endif
