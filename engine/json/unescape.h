/* unescape.h - the text of a JSON string whose escapes are known to be legal (tokens.h has checked
 * them). */
#ifndef KR_JSON_UNESCAPE_H
#define KR_JSON_UNESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Writes the text of `raw` to dst and returns its length, which is at most raw.n; dst may be raw.p.
 * A lone surrogate, which no UTF-8 can hold, becomes U+FFFD; *lone (may be NULL) is set if there
 * was one. */
size_t unescape(char *dst, struct span raw, bool *lone);

/* Does `raw`, which may hold escapes, spell `text`? */
bool unescape_equals(struct span raw, struct span text);

#endif
