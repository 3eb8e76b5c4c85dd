/* json_hash.h - XXH3_64bits of a document: what a block says about its JSON, so that a consumer can
 * check what it copied. The same value everywhere; it is compiled for several instruction sets,
 * because it is a third of the work of a change when memory is warm (measured for 3.6 KB: 100 ns,
 * with AVX2 64, with AVX-512 41). */
#ifndef KR_STORE_JSON_HASH_H
#define KR_STORE_JSON_HASH_H

#include <stdint.h>

#include "base/span.h"

uint64_t json_hash(struct span text);

/* For tests: one of them; NULL when this processor has not got it. */
enum json_hash_simd { JSON_HASH_PLAIN, JSON_HASH_AVX2, JSON_HASH_AVX512, JSON_HASH_KINDS };
typedef uint64_t (*json_hash_fn)(struct span text);
json_hash_fn json_hash_of(enum json_hash_simd simd);

#endif
