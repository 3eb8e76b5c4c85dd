/* The kernel of tokens.h for AVX2 with BMI and carry-less multiplication (Intel since Haswell, all
 * AMD Zen): the algorithm of tokens_avx512.c, cut for registers of 32 bytes without compression.
 *
 * Pass 1 goes over the bytes, 64 at a time: bitmaps of what each byte is, then the tokens one by
 * one out of the bitmap. It also checks the scalars: integers and literals, which are nearly all,
 * in place; other numbers one by one at the end. Pass 2 goes over the kinds, 32 at a time
 * (tokens_simd.h).
 */
#include "json/tokens_simd.h"

#include "base/check.h"
#include "json/bits.h"
#include "json/json.h"
#include "json/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* No pdep and pext: they are microcode on Zen 1 and 2. */
#define WITH_AVX2     __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul")))
#define ALWAYS_INLINE WITH_AVX2 static inline __attribute__((always_inline))

enum { BLOCK = 64, CHUNK = 4096 }; /* bytes of a block; bytes between two looks at the room left */

/* --- pass 1: bytes to tokens ---------------------------------------------------------------- */

struct pass1 {
	const char *doc;
	uint8_t *code; /* where the next token goes */
	uint32_t *pos;
	uint64_t in_string; /* all ones: the next block starts inside a string */
	uint64_t escaped;   /* 1: its first byte is escaped */
	uint64_t scalar;    /* 1: the byte before it is part of a scalar */
	uint64_t digit;     /* 1: and a digit */
	uint64_t zero;      /* 1: and the first one of that scalar, and 0 */
	uint64_t high;      /* not 0: there are bytes that are not ASCII */
	uint64_t bad;       /* not 0: not sure */
	uint64_t numbers;   /* not 0: there are numbers that are no plain integers */
	size_t first_escape;
};

ALWAYS_INLINE uint64_t prefix_xor(uint64_t x)
{
	__m128i ones = _mm_set1_epi8((char)0xFF);
	return (uint64_t)_mm_cvtsi128_si64(
	        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)x), ones, 0));
}

/* 64 bytes. */
struct block {
	__m256i low, high;
};

ALWAYS_INLINE uint64_t mask(struct block b)
{
	return (uint32_t)_mm256_movemask_epi8(b.low) |
	       (uint64_t)(uint32_t)_mm256_movemask_epi8(b.high) << 32;
}

ALWAYS_INLINE uint64_t equal(struct block b, struct block v)
{
	return mask(
	        (struct block){_mm256_cmpeq_epi8(b.low, v.low), _mm256_cmpeq_epi8(b.high, v.high)});
}

ALWAYS_INLINE uint64_t is_char(struct block b, char c)
{
	__m256i v = _mm256_set1_epi8(c);
	return equal(b, (struct block){v, v});
}

/* By the low four bits; 0 for a byte that is not ASCII. */
ALWAYS_INLINE struct block lookup(__m128i table, struct block b)
{
	__m256i t = _mm256_broadcastsi128_si256(table);
	return (struct block){_mm256_shuffle_epi8(t, b.low), _mm256_shuffle_epi8(t, b.high)};
}

/* No byte is equal to an entry 0: byte 0 looks at the first one. */
ALWAYS_INLINE uint64_t spaces(struct block b)
{
	__m128i table = _mm_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0);
	return equal(b, lookup(table, b));
}

/* { } [ ] : , and two control characters, which are bad anyway. */
ALWAYS_INLINE uint64_t operators(struct block b)
{
	__m128i table = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0);
	__m256i bit = _mm256_set1_epi8(0x20); /* tells [ and {, ] and } apart */
	struct block lower = {_mm256_or_si256(b.low, bit), _mm256_or_si256(b.high, bit)};
	return equal(lower, lookup(table, b));
}

ALWAYS_INLINE uint64_t at_most(struct block b, uint8_t max)
{
	__m256i v = _mm256_set1_epi8((char)max);
	return equal(b, (struct block){_mm256_min_epu8(b.low, v), _mm256_min_epu8(b.high, v)});
}

ALWAYS_INLINE uint64_t digits(struct block b)
{
	__m256i v = _mm256_set1_epi8('0');
	return at_most((struct block){_mm256_sub_epi8(b.low, v), _mm256_sub_epi8(b.high, v)}, 9);
}

/* Which bytes may come behind a backslash: one bit for each upper half that there is. */
ALWAYS_INLINE uint64_t escapable(struct block b)
{
	const __m128i by_low = _mm_setr_epi8(0, 0, /* " b r */ 1 | 4 | 8, 0, /* t */ 8, /* u */ 8,
	        /* f */ 4, 0, 0, 0, 0, 0, /* \ */ 2, 0, /* n */ 4, /* / */ 1);
	const __m128i by_high = _mm_setr_epi8(0, 0, 1, 0, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0);
	__m256i half = _mm256_set1_epi8(0x0F), none = _mm256_setzero_si256();
	struct block high = {_mm256_and_si256(_mm256_srli_epi16(b.low, 4), half),
	        _mm256_and_si256(_mm256_srli_epi16(b.high, 4), half)};
	struct block x = lookup(by_low, b), y = lookup(by_high, high);
	x.low = _mm256_and_si256(x.low, y.low);
	x.high = _mm256_and_si256(x.high, y.high);
	return ~equal(x, (struct block){none, none});
}

/* Backslashes in this block, or one at the end of the last: which bytes do they escape, and may
 * those be? at: offset of the block. What is read behind the document does not matter: a string
 * that reaches there is not closed. */
ALWAYS_INLINE uint64_t escapes(struct pass1 *s, struct block in, uint64_t backslash, size_t at)
{
	s->first_escape = at < s->first_escape ? at : s->first_escape; /* or a little later */
	uint64_t escaped = bits_escaped(backslash, &s->escaped);
	s->bad |= escaped & ~escapable(in);
	uint64_t hex = escaped & is_char(in, 'u');
	for (; hex; hex &= hex - 1)
		s->bad |= !is_hex4(s->doc + at + _tzcnt_u64(hex) + 1);
	return escaped;
}

/* true, false, null at p. Whatever ends a scalar ends it here too: quotes are left to G1. */
ALWAYS_INLINE bool is_literal(const char *p)
{
	uint64_t x;
	memcpy(&x, p, 8);
	bool is_false = (x & 0xFFFFFFFFFFu) == 0x65736C6166u;
	bool other = (uint32_t)x == 0x65757274u || (uint32_t)x == 0x6C6C756Eu;
	uint8_t behind = (uint8_t)(x >> (is_false ? 40 : 32));
	/* , } ] or something rarer, which is looked at again */
	return (is_false | other) & ((behind == ',') | ((behind | 0x20) == '}'));
}

/* starts: of scalars; scalar: all bytes of them. */
ALWAYS_INLINE void check_scalars(
        struct pass1 *s, struct block in, uint64_t starts, uint64_t scalar, size_t at)
{
	uint64_t digit = digits(in) & scalar, zero = starts & is_char(in, '0');
	/* A digit and then something else, a leading zero: a number of a rarer kind, or none. */
	s->numbers |= (digit << 1 | s->digit) & scalar & ~digit;
	s->numbers |= (zero << 1 | s->zero) & digit;
	s->numbers |= digit == ~0ull; /* perhaps too many for a double */
	s->digit = digit >> 63;
	s->zero = zero >> 63;
	for (uint64_t other = starts & ~digit; other; other &= other - 1)
		s->numbers |= !is_literal(s->doc + at + _tzcnt_u64(other));
}

/* Eight tokens, or fewer: what is written too much is overwritten. */
ALWAYS_INLINE uint64_t put_eight(struct pass1 *s, uint64_t tokens, uint32_t i, size_t at)
{
	for (uint32_t k = i; k < i + 8; k++) {
		uint32_t pos = (uint32_t)at + (uint32_t)_tzcnt_u64(tokens);
		s->pos[k] = pos;
		s->code[k] = tokens_codes[(uint8_t)s->doc[pos]];
		tokens &= tokens - 1;
	}
	return tokens;
}

ALWAYS_INLINE void put_block(struct pass1 *s, uint64_t tokens, size_t at)
{
	uint32_t count = (uint32_t)_mm_popcnt_u64(tokens);
	tokens = put_eight(s, tokens, 0, at);
	if (count > 8) {
		tokens = put_eight(s, tokens, 8, at);
		for (uint32_t i = 16; UNLIKELY(i < count); i += 8)
			tokens = put_eight(s, tokens, i, at);
	}
	s->code += count;
	s->pos += count;
}

ALWAYS_INLINE void read_block(struct pass1 *s, struct block in, size_t at)
{
	uint64_t quote = is_char(in, '"'), backslash = is_char(in, '\\');
	uint64_t op = operators(in), space = spaces(in), high = mask(in);
	if (backslash | s->escaped)
		quote &= ~escapes(s, in, backslash, at);
	uint64_t in_string = prefix_xor(quote) ^ s->in_string;
	s->in_string = (uint64_t)((int64_t)in_string >> 63);
	uint64_t scalar = ~(in_string | quote | op | space);
	uint64_t starts = scalar & ~(scalar << 1 | s->scalar);
	s->scalar = scalar >> 63;
	s->high |= high;
	s->bad |= (at_most(in, 0x1F) & (in_string | ~space)) | (scalar & high);
	check_scalars(s, in, starts, scalar, at);
	put_block(s, (op & ~in_string) | (quote & in_string) | starts, at);
}

/* From `at` to `stop`; the last block of the document may be shorter than the others. */
WITH_AVX2 static void read_chunk(struct pass1 *state, size_t at, size_t stop)
{
	struct pass1 s = *state; /* a copy that no store can touch stays in registers */
	for (; at + BLOCK <= stop; at += BLOCK) {
		const __m256i *p = (const __m256i *)(const void *)(s.doc + at);
		read_block(
		        &s, (struct block){_mm256_loadu_si256(p), _mm256_loadu_si256(p + 1)}, at);
	}
	if (at < stop) {
		char last[BLOCK];
		memset(last, ' ', sizeof last);
		memcpy(last, s.doc + at, stop - at);
		const __m256i *p = (const __m256i *)(const void *)last;
		read_block(
		        &s, (struct block){_mm256_loadu_si256(p), _mm256_loadu_si256(p + 1)}, at);
	}
	*state = s;
}

static bool read_bytes(struct tokens *t, bool *numbers)
{
	struct span doc = t->doc;
	struct pass1 s = {.doc = doc.p, .first_escape = doc.n};
	for (size_t at = 0; at < doc.n; at += CHUNK) {
		if (!tokens_reserve(t, t->count + CHUNK))
			return false;
		s.code = t->code + t->count;
		s.pos = t->pos + t->count;
		read_chunk(&s, at, doc.n - at > CHUNK ? at + CHUNK : doc.n);
		t->count = (uint32_t)(s.code - t->code);
		if (s.bad)
			return false;
	}
	t->first_escape = s.first_escape;
	*numbers = s.numbers != 0;
	return !s.high || simd_utf8(doc.p, doc.n);
}

/* --- pass 2: the grammar -------------------------------------------------------------------- */

/* Owner: struct tokens. Life: one document. `stack` is never cleared between documents, but it must
 * begin as zeroes: a bracket that closes nothing notes whatever number stands there, so each must
 * be that of some token of a document that `match` had room for. */
struct pass2 {
	uint32_t bad;
	uint32_t depth, depths; /* depths: all depths, or-ed */
	uint32_t stack[STACK];  /* number of the token, times 8, and the bits */
};

size_t tokens_avx2_bytes(void)
{
	return sizeof(struct pass2);
}

ALWAYS_INLINE __m256i is(__m256i v, enum token k)
{
	return _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)k));
}

ALWAYS_INLINE __m256i at_code(const uint8_t *code)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)code);
}

ALWAYS_INLINE __m256i table_of(const uint8_t *table)
{
	return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)table));
}

/* Without a branch for the kind: which one comes is up to the document. A wrong depth is found at
 * the end. brackets: of the tokens from `at`; member: what their sides say. */
ALWAYS_INLINE void check_brackets(
        struct pass2 *s, const struct tokens *t, uint32_t brackets, uint32_t member, uint32_t at)
{
	uint32_t bad = 0, depth = s->depth, depths = s->depths;
	for (; brackets; brackets &= brackets - 1) {
		uint32_t i = _tzcnt_u32(brackets), no = at + i;
		uint32_t now =
		        no * BRACKET_TOKEN | t->code[no] | (member >> i & 1) * BRACKET_MEMBER;
		uint32_t close = now / BRACKET_CLOSE & 1;
		depth -= close;
		uint32_t *top = &s->stack[depth % STACK];
		uint32_t differ = (*top ^ now) & (0 - close); /* 0 at an opening one */
		*top = now;
		bad |= differ & (BRACKET_ARRAY | BRACKET_MEMBER);
		t->match[(now ^ differ) / BRACKET_TOKEN] = no;
		depth += !close;
		depths |= depth; /* below 0 is very deep */
	}
	s->depth = depth;
	s->depths = depths;
	s->bad |= bad;
}

/* G1 to G4 for the tokens at, ..., at + 31. */
ALWAYS_INLINE void check_neighbours(struct pass2 *s, const struct tokens *t, uint32_t at)
{
	const uint8_t *code = t->code + at;
	const __m256i none = _mm256_setzero_si256();
	__m256i before = at_code(code - 1), v = at_code(code), v1 = at_code(code + 1);
	__m256i may = _mm256_shuffle_epi8(table_of(follows), v);
	__m256i does = _mm256_shuffle_epi8(table_of(one_bit), v1);
	__m256i bad = _mm256_cmpeq_epi8(_mm256_and_si256(may, does), none); /* G1 */

	__m256i string = is(v, TOKEN_STRING), scalar = is(v, TOKEN_SCALAR);
	__m256i key = _mm256_and_si256(string, is(v1, TOKEN_COLON));
	__m256i key_after = _mm256_or_si256(is(before, TOKEN_OBJECT), is(before, TOKEN_COMMA));
	bad = _mm256_or_si256(bad, _mm256_andnot_si256(key_after, key)); /* G2 */

	__m256i left = is(before, TOKEN_COLON);
	__m256i next_key = _mm256_and_si256(
	        is(at_code(code + 2), TOKEN_STRING), is(at_code(code + 3), TOKEN_COLON));
	__m256i right = _mm256_or_si256(
	        is(v1, TOKEN_OBJECT_END), _mm256_and_si256(is(v1, TOKEN_COMMA), next_key));
	__m256i value = _mm256_or_si256(_mm256_andnot_si256(key, string), scalar);
	bad = _mm256_or_si256(bad, _mm256_and_si256(value, _mm256_xor_si256(left, right))); /* G3 */
	s->bad |= (uint32_t)_mm256_movemask_epi8(bad);

	/* { and [ have a left side, } and ] a right one */
	__m256i opens = _mm256_cmpgt_epi8(_mm256_set1_epi8(TOKEN_OBJECT_END), v);
	__m256i bracket = _mm256_cmpgt_epi8(_mm256_set1_epi8(TOKEN_COLON), v);
	__m256i member = _mm256_blendv_epi8(right, left, opens);
	check_brackets(s, t, (uint32_t)_mm256_movemask_epi8(bracket),
	        (uint32_t)_mm256_movemask_epi8(member), at);
}

WITH_AVX2 static bool check_tokens(const struct tokens *t)
{
	struct pass2 *s = t->scratch;
	s->bad = s->depth = s->depths = 0;
	for (uint32_t at = 0; at < t->count; at += 32)
		check_neighbours(s, t, at);
	/* The last token empties the stack (so no string is open), and no other one: that would
	 * have been the partner of the first. */
	return !s->bad && s->depth == 0 && s->depths < JSON_DEPTH_MAX &&
	       t->match[0] == t->count - 1;
}

/* The rare case: a number that is no plain integer, or white space behind a literal. */
static bool check_numbers(const struct tokens *t)
{
	const char *doc = t->doc.p, *end = doc + t->doc.n;
	for (uint32_t i = 0; i < t->count; i++)
		if (t->code[i] == TOKEN_SCALAR && !tokens_scalar_ok(doc + t->pos[i], end))
			return false;
	return true;
}

bool tokens_avx2_read(struct tokens *t, struct span doc)
{
	bool numbers;
	t->doc = doc;
	t->count = 0;
	if (!read_bytes(t, &numbers))
		return false;
	memset(t->code + t->count, TOKEN_NONE, TOKENS_SLACK);
	t->pos[t->count] = (uint32_t)doc.n;
	if (t->code[0] > TOKEN_ARRAY) /* too rare to be worth it here */
		return false;
	return check_tokens(t) && (!numbers || check_numbers(t));
}

bool tokens_avx2_possible(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
	       __builtin_cpu_supports("pclmul");
}

#else

size_t tokens_avx2_bytes(void)
{
	return 0;
}
bool tokens_avx2_possible(void)
{
	return false;
}
bool tokens_avx2_read(struct tokens *t, struct span doc)
{
	(void)t, (void)doc;
	return false;
}

#endif
