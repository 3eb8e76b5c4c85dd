#include "wire/ws_priv.h"

#include <string.h>

/* A state is a shift: rows[byte] holds, at each state, six bits that are the next state. So a byte
 * costs a load, which depends on nothing, and a shift, whatever the text is. */
enum {
	START = WS_UTF8_START,
	BAD = WS_UTF8_BAD,
	ONE = 12, /* continuation bytes still to come, of any value */
	TWO = 18,
	THREE = 24,
	AFTER_E0 = 30, /* the second byte has a narrower range: no overlong form, no surrogate, */
	AFTER_ED = 36, /* nothing above U+10FFFF (RFC 3629 4) */
	AFTER_F0 = 42,
	AFTER_F4 = 48,
};

#define ROW(start, one, two, three, e0, ed, f0, f4)                                                \
	((uint64_t)(start) << START | (uint64_t)BAD << BAD | (uint64_t)(one) << ONE |              \
	        (uint64_t)(two) << TWO | (uint64_t)(three) << THREE | (uint64_t)(e0) << AFTER_E0 | \
	        (uint64_t)(ed) << AFTER_ED | (uint64_t)(f0) << AFTER_F0 |                          \
	        (uint64_t)(f4) << AFTER_F4)
#define LEAD(next) ROW(next, BAD, BAD, BAD, BAD, BAD, BAD, BAD)

static const uint64_t rows[256] = {
        [0x00 ... 0x7F] = LEAD(START),
        [0x80 ... 0x8F] = ROW(BAD, START, ONE, TWO, BAD, ONE, BAD, TWO),
        [0x90 ... 0x9F] = ROW(BAD, START, ONE, TWO, BAD, ONE, TWO, BAD),
        [0xA0 ... 0xBF] = ROW(BAD, START, ONE, TWO, ONE, BAD, TWO, BAD),
        [0xC0 ... 0xC1] = LEAD(BAD),
        [0xC2 ... 0xDF] = LEAD(ONE),
        [0xE0] = LEAD(AFTER_E0),
        [0xE1 ... 0xEC] = LEAD(TWO),
        [0xED] = LEAD(AFTER_ED),
        [0xEE ... 0xEF] = LEAD(TWO),
        [0xF0] = LEAD(AFTER_F0),
        [0xF1 ... 0xF3] = LEAD(THREE),
        [0xF4] = LEAD(AFTER_F4),
        [0xF5 ... 0xFF] = LEAD(BAD),
};

enum { WIDE = 64, STEPS = 32 };

/* Past the ASCII at the front, as far as whole blocks of it go. */
static const char *skip_ascii(const char *p, const char *end)
{
	while (end - p >= WIDE) {
		uint64_t w[WIDE / 8], any = 0;
		memcpy(w, p, sizeof w);
		for (size_t i = 0; i < WIDE / 8; i++)
			any |= w[i];
		if (any & 0x8080808080808080u)
			break;
		p += WIDE;
	}
	while (end - p >= 8) {
		uint64_t w;
		memcpy(&w, p, sizeof w);
		if (w & 0x8080808080808080u)
			break;
		p += 8;
	}
	return p;
}

uint8_t ws_utf8(uint8_t state, const char *p, size_t n)
{
	const char *end = n ? p + n : p;
	uint64_t s = state;
	while (p < end && s != BAD) {
		if (s == START)
			p = skip_ascii(p, end);
		const char *stop = end - p > STEPS ? p + STEPS : end;
		while (p < stop)
			s = rows[(uint8_t)*p++] >> (s & 63);
		s &= 63;
	}
	return (uint8_t)s;
}
