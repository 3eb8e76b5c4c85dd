/* ws_priv.h - what the files wire/ws*.c share. */
#ifndef KR_WIRE_WS_PRIV_H
#define KR_WIRE_WS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* States of ws_utf8() that its callers know; the others are inside a character. */
enum { WS_UTF8_START = 0, WS_UTF8_BAD = 6 };

/* Validates UTF-8 (RFC 3629) that comes in pieces: the state after these bytes, beginning with
 * WS_UTF8_START. Text may end in WS_UTF8_START only; BAD stays. */
uint8_t ws_utf8(uint8_t state, const char *p, size_t n);

/* May this code be on the wire (7.4, and the registry that 11.7 opened)? */
bool ws_code_is_legal(unsigned code);

#endif
