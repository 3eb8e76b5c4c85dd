/* tokens_simd.h - what the kernels tokens_avx2.c and tokens_avx512.c share: the grammar as a matter
 * of neighbours. Private to them.
 *
 * Every value has a left side (is it a member, that is, behind a colon?) and a right side (do a
 * closing brace, or a comma and a key, say that it was a member?), and with that:
 *
 *   G1  which kind may follow which: the table `follows`
 *   G2  a string before a colon is a key; before it is `{` or `,`
 *   G3  both sides of a value agree
 *   G4  a bracket and its partner are of one kind
 *
 * G3 is checked on the spot for strings and scalars. For objects and arrays both sides are at
 * different brackets: these alone are brought together, by a stack or by their depth, and checked
 * for G3 and G4. Why that is enough: before `}` the right side of the last element says
 * member, so its left one does; then a key is before it (G1), before that a comma (G2), which with
 * the key says member of the element before, and so on down to the first one, whose key has `{`
 * before it. Before `]` none is a member by the same steps, so that none has a key.
 */
#ifndef KR_JSON_TOKENS_SIMD_H
#define KR_JSON_TOKENS_SIMD_H

#include "json/tokens.h"

#include <string.h>

#define BIT(token) (1u << (token))
#define VALUES     (BIT(TOKEN_OBJECT) | BIT(TOKEN_ARRAY) | BIT(TOKEN_STRING) | BIT(TOKEN_SCALAR))
#define ENDS       (BIT(TOKEN_COMMA) | BIT(TOKEN_OBJECT_END) | BIT(TOKEN_ARRAY_END))
static const uint8_t follows[16] __attribute__((aligned(16))) = {
        /* G1 */
        [TOKEN_OBJECT] = BIT(TOKEN_STRING) | BIT(TOKEN_OBJECT_END),
        [TOKEN_ARRAY] = VALUES | BIT(TOKEN_ARRAY_END),
        [TOKEN_OBJECT_END] = ENDS,
        [TOKEN_ARRAY_END] = ENDS,
        [TOKEN_COLON] = VALUES,
        [TOKEN_COMMA] = VALUES,
        [TOKEN_STRING] = ENDS | BIT(TOKEN_COLON),
        [TOKEN_SCALAR] = ENDS,
        [TOKEN_NONE] = 0xFF,
};
static const uint8_t one_bit[16] __attribute__((aligned(16))) = {
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        128,
        [TOKEN_NONE] = 0xFF,
};

/* Which bytes of the word are in ['low', 'high']? In their top bits. Byte by byte, neither x - low
 * nor x + (0x7F - high) may set that bit. */
static inline uint32_t in_range(uint32_t x, uint32_t low, uint32_t high)
{
	const uint32_t ones = 0x01010101u, top = 0x80 * ones;
	return ((x | top) - low * ones) & ~((x & ~top) + (0x7F - high) * ones) & ~x & top;
}

/* Four hexadecimal digits at p? No call in this loop: it would cost the registers of all constants.
 */
static inline bool is_hex4(const char *p)
{
	uint32_t x;
	memcpy(&x, p, 4);
	return (in_range(x, '0', '9') | in_range(x | 0x20202020u, 'a', 'f')) == 0x80808080u;
}

/* What a kernel is on a CPU that it was not written for. */
#define TOKENS_NO_KERNEL(kernel)                                                                   \
	size_t tokens_##kernel##_bytes(void)                                                       \
	{                                                                                          \
		return 0;                                                                          \
	}                                                                                          \
	bool tokens_##kernel##_possible(void)                                                      \
	{                                                                                          \
		return false;                                                                      \
	}                                                                                          \
	bool tokens_##kernel##_read(struct tokens *t, struct span doc)                             \
	{                                                                                          \
		(void)t, (void)doc;                                                                \
		return false;                                                                      \
	}

#endif
