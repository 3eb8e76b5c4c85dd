/* bits.h - strings in bitmaps: bit i of a word says something about byte i of a block of 64. Shared
 * by the kernels of this room.
 *
 * Both functions carry one bit of state from block to block. Langdale and Lemire, "Parsing
 * Gigabytes of JSON per Second" (2019), section 3.1, is where the two ideas come from. */
#ifndef KR_JSON_BITS_H
#define KR_JSON_BITS_H

#include <stdint.h>

/* Which bytes are taken literally because an odd run of backslashes ends just before them? *carry:
 * is byte 0 one of them; then: of the next block.
 *
 * Adding 1 at the start of a run ripples through it and lands behind it. Runs that start on even
 * bits and land on odd ones, or the other way round, are odd. */
static inline uint64_t bits_escaped(uint64_t backslash, uint64_t *carry)
{
	const uint64_t even = 0x5555555555555555u;
	uint64_t first = *carry;
	backslash &= ~first; /* an escaped backslash escapes nothing */
	uint64_t behind = backslash << 1 | first;
	uint64_t start_odd = backslash & ~even & ~behind;
	uint64_t landed;
	*carry = __builtin_add_overflow(start_odd, backslash, &landed);
	/* Runs that start on odd bits have become the bit behind them; all others are where they
	 * were. */
	return (even ^ (landed << 1)) & behind;
}

#endif
