/* rfc3339.h - RFC 3339 times, as in ExecCredential's expirationTimestamp: "2026-11-24T10:00:00Z",
 * "...T10:00:00.123+02:00". */
#ifndef KR_CONFIG_RFC3339_H
#define KR_CONFIG_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { RFC3339_BYTES = 21 }; /* "2026-11-24T10:00:00Z" and NUL */

/* Seconds since 1970 UTC, fractions cut. false: not RFC 3339, or no such day. Pure. */
bool rfc3339_parse(struct span text, int64_t *unix_s);
/* In UTC; years 0 to 9999, outside of them "out of range". Returns buf. */
const char *rfc3339_format(int64_t unix_s, char buf[RFC3339_BYTES]);

#endif
