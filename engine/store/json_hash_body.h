/* json_hash_body.h - private to json_hash*.c. The body is compiled once for each instruction set,
 * in a file of its own, because the hash picks its vectors when it is included. */
#ifndef KR_STORE_JSON_HASH_BODY_H
#define KR_STORE_JSON_HASH_BODY_H

#include <stdint.h>

#include "base/span.h"

uint64_t json_hash_avx2(struct span a, struct span b);
uint64_t json_hash_avx512(struct span a, struct span b);

#ifdef XXH_INLINE_ALL
static inline uint64_t json_hash_body(struct span a, struct span b)
{
	if (b.n == 0)
		return XXH3_64bits(a.p, a.n);
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, a.p, a.n);
	XXH3_64bits_update(&state, b.p, b.n);
	return XXH3_64bits_digest(&state);
}
#endif

#endif
