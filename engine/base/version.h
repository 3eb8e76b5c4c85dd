/* version.h - order of resourceVersions (KEP-5504, guaranteed by Kubernetes since 1.35).
 *
 * Versions that are decimal numbers without leading zeros compare as numbers of any length. Any
 * other form (some aggregated API servers) is opaque: only equality means something.
 */
#ifndef KR_BASE_VERSION_H
#define KR_BASE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum version_order {
	VERSION_LESS,
	VERSION_EQUAL,
	VERSION_GREATER,
	VERSION_UNORDERED, /* different, and at least one is opaque */
};

/* A decimal number without leading zeros, of any length: only such versions can be ordered. */
bool version_is_decimal(struct span v);
/* The number; 0 when it is opaque or does not fit 64 bits. */
uint64_t version_number(struct span v);
/* a against b. */
enum version_order version_compare(struct span a, struct span b);

#endif
