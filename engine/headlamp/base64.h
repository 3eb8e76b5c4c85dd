/* base64.h - base64 of the wire (RFC 4648 section 4, with its padding and nothing beside the
 * alphabet): binary DATA of the multiplexer, and messages of the sub-protocol base64.binary.k8s.io.
 */
#ifndef KR_HEADLAMP_BASE64_H
#define KR_HEADLAMP_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes p[0, n) into itself; *out bytes are left. false: it is no base64, and p is spoilt. */
bool base64_in_place(char *p, size_t n, size_t *out);

#endif
