/* json_hash_body.h - private to json_hash*.c. The body is compiled once for each instruction set,
 * in a file of its own, because the hash picks its vectors when it is included. */
#ifndef KR_STORE_JSON_HASH_BODY_H
#define KR_STORE_JSON_HASH_BODY_H

#include <stdint.h>

#include "base/span.h"

uint64_t json_hash_avx2(struct span text);
uint64_t json_hash_avx512(struct span text);

#ifdef XXH_INLINE_ALL
static inline uint64_t json_hash_body(struct span text)
{
	return XXH3_64bits(text.p, text.n);
}
#endif

#endif
