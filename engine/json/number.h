/* number.h - JSON numbers: RFC 8259 section 6. */
#ifndef KR_JSON_NUMBER_H
#define KR_JSON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* The byte behind the number at p; NULL when there is none, or when it is too large for a double,
 * so that no reader could hold it: from 1.7976931348623158e308 on. */
const char *number_end(const char *p, const char *end);

/* A whole valid number without fraction and exponent that fits. */
bool number_int(struct span text, int64_t *out);

#endif
