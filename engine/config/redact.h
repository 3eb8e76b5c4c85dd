/* redact.h - makes a line that a foreign program wrote fit for an error text.
 *
 * What an exec plugin prints on stderr is the best hint a person can get, and may hold a secret. So
 * error texts carry its first line only, and of that: no control characters, no values that we know
 * to be secret, nothing that looks like a token (a run of at least REDACT_RUN_MIN characters of the
 * base64 and hex alphabets with a digit in it), nothing that follows a word such as "password".
 * Each becomes "***". This is a filter, not a proof: a secret of ordinary words gets through, so
 * the rest of stderr is dropped.
 */
#ifndef KR_CONFIG_REDACT_H
#define KR_CONFIG_REDACT_H

#include <stddef.h>

#include "base/span.h"

enum {
	REDACT_RUN_MIN = 20,
	REDACT_VALUE_MIN = 4, /* shorter values are too common to be secret */
	REDACT_LINE_MAX = 160,
};

/* The first non-blank line of text, redacted, at most REDACT_LINE_MAX bytes, into out
 * (REDACT_LINE_MAX + 1 bytes, NUL-terminated). values: known secrets, may be NULL. Pure. */
void redact_line(struct span text, const struct span *values, size_t value_count,
        char out[REDACT_LINE_MAX + 1]);

#endif
