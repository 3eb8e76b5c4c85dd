/* base64.h - reading base64 (RFC 4648 section 4) as Go's encoding/base64 does: bits that the last
 * digit has too many may be anything. */
#ifndef KR_BASE_BASE64_H
#define KR_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* With padding, and nothing beside the alphabet. Decodes p[0, n) into itself; *out bytes are left.
 * false: it is no base64, and p is spoilt. */
bool base64_in_place(char *p, size_t n, size_t *out);

#endif
