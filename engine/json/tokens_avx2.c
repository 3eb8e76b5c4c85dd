/* The kernel of tokens.h for AVX2 with BMI and carry-less multiplication (Intel since Haswell, all
 * AMD Zen).
 *
 * Pass 1 goes over the bytes, 64 at a time: bitmaps of what each byte is, then the first bytes and
 * the places of the tokens, picked out of each eight bytes by a table. What is rare in a block
 * (backslashes, control characters, bytes that are not ASCII) costs one test when it is not there.
 * Pass 2 goes over the tokens, 32 at a time: first byte to kind, the grammar (tokens_simd.h), and
 * how deep each token is. It notes the scalars, which are then checked one by one.
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
	uint8_t *code; /* where the first byte of the next token goes */
	uint32_t *pos;
	uint64_t in_string; /* all ones: the next block starts inside a string */
	uint64_t escaped;   /* 1: its first byte is escaped */
	uint64_t scalar;    /* 1: the byte before it is part of a scalar */
	uint64_t bad;       /* not 0: not sure */
	size_t first_escape;
	size_t first_high, behind_high; /* all bytes that are not ASCII are in between */
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

ALWAYS_INLINE __m256i bytes_at(const void *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

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

/* " { } [ ] : , and three control characters, which are bad anyway. */
ALWAYS_INLINE uint64_t operators(struct block b)
{
	__m128i table = _mm_setr_epi8(0, 0, '"', 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0);
	__m256i bit = _mm256_set1_epi8(0x20); /* tells [ and {, ] and } apart */
	struct block lower = {_mm256_or_si256(b.low, bit), _mm256_or_si256(b.high, bit)};
	return equal(lower, lookup(table, b));
}

/* Control characters. */
ALWAYS_INLINE uint64_t controls(struct block b)
{
	__m256i v = _mm256_set1_epi8(0x1F);
	return equal(b, (struct block){_mm256_min_epu8(b.low, v), _mm256_min_epu8(b.high, v)});
}

/* Is there a backslash, a control character or a byte that is not ASCII? */
ALWAYS_INLINE uint32_t unusual(struct block b)
{
	__m256i backslash = _mm256_set1_epi8('\\'), space = _mm256_set1_epi8(' ');
	__m256i low = _mm256_or_si256(
	        _mm256_cmpeq_epi8(b.low, backslash), _mm256_cmpgt_epi8(space, b.low));
	__m256i high = _mm256_or_si256(
	        _mm256_cmpeq_epi8(b.high, backslash), _mm256_cmpgt_epi8(space, b.high));
	return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(low, high));
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

/* A block in which something is unusual. Returns the bytes that are escaped. */
ALWAYS_INLINE uint64_t look_closer(struct pass1 *s, struct block in, size_t at, uint64_t *control)
{
	uint64_t backslash = is_char(in, '\\');
	*control = controls(in);
	if (mask(in)) {
		s->first_high = at < s->first_high ? at : s->first_high;
		s->behind_high = at + BLOCK;
	}
	return backslash | s->escaped ? escapes(s, in, backslash, at) : 0;
}

/* For each set of bits in a byte: their numbers, in order, a byte each. */
#define PICK(m, bit)                                                                               \
	((uint64_t)((m) >> (bit)&1) * (bit) << 8 * __builtin_popcount((m) & ((1 << (bit)) - 1)))
#define PICK_1(m)                                                                                  \
	(PICK(m, 1) | PICK(m, 2) | PICK(m, 3) | PICK(m, 4) | PICK(m, 5) | PICK(m, 6) | PICK(m, 7))
#define PICK_4(m)  PICK_1(m), PICK_1((m) + 1), PICK_1((m) + 2), PICK_1((m) + 3)
#define PICK_16(m) PICK_4(m), PICK_4((m) + 4), PICK_4((m) + 8), PICK_4((m) + 12)
#define PICK_64(m) PICK_16(m), PICK_16((m) + 16), PICK_16((m) + 32), PICK_16((m) + 48)
static const uint64_t pick[256] = {PICK_64(0), PICK_64(64), PICK_64(128), PICK_64(192)};

/* Of 32 bytes, eight at a time: what is written too much is overwritten. n: how many tokens of the
 * block are there already. Returns how many there are then. */
ALWAYS_INLINE size_t put_half(struct pass1 *s, uint32_t tokens, size_t at, size_t n)
{
	const char *p = s->doc + at;
	__m256i base = _mm256_set1_epi32((int)at), eight = _mm256_set1_epi32(8);
	__asm__("" : "+x"(eight)); /* not made anew each time */
#pragma GCC unroll 4
	for (int i = 0; i < BLOCK / 2; i += 8) {
		uint32_t eighth = tokens >> i & 0xFF;
		__m128i which = _mm_loadl_epi64((const __m128i *)(const void *)&pick[eighth]);
		__m128i text = _mm_loadl_epi64((const __m128i *)(const void *)(p + i));
		_mm_storel_epi64((__m128i *)(void *)(s->code + n), _mm_shuffle_epi8(text, which));
		_mm256_storeu_si256((__m256i *)(void *)(s->pos + n),
		        _mm256_add_epi32(_mm256_cvtepu8_epi32(which), base));
		base = _mm256_add_epi32(base, eight);
		__asm__("" : "+x"(base)); /* nor 8 + 8 */
		n += (size_t)_mm_popcnt_u32(eighth);
	}
	return n;
}

/* Halves without a token are inside of long strings. */
ALWAYS_INLINE void put_block(struct pass1 *s, uint64_t tokens, size_t at)
{
	size_t n = 0;
	if ((uint32_t)tokens)
		n = put_half(s, (uint32_t)tokens, at, n);
	if (tokens >> 32)
		n = put_half(s, (uint32_t)(tokens >> 32), at + BLOCK / 2, n);
	s->code += n;
	s->pos += n;
}

ALWAYS_INLINE void read_block(struct pass1 *s, const void *text, size_t at)
{
	struct block in = {bytes_at(text), bytes_at((const char *)text + 32)};
	uint64_t quote = is_char(in, '"'), op = operators(in), space = spaces(in), control = 0;
	if (UNLIKELY(unusual(in) | s->escaped))
		quote &= ~look_closer(s, in, at, &control);
	uint64_t in_string = prefix_xor(quote) ^ s->in_string;
	/* from behind the opening quote to the closing one */
	uint64_t text_bytes = in_string << 1 | (s->in_string & 1);
	s->in_string = (uint64_t)((int64_t)in_string >> 63);
	uint64_t scalar = ~(text_bytes | op | space);
	uint64_t starts = scalar & ~(scalar << 1 | s->scalar);
	s->scalar = scalar >> 63;
	s->bad |= control & (in_string | ~space);
	put_block(s, (op & ~text_bytes) | starts, at);
}

/* From `at` to `stop`; the last block of the document may be shorter than the others. */
WITH_AVX2 static void read_chunk(struct pass1 *state, size_t at, size_t stop)
{
	struct pass1 s = *state; /* a copy that no store can touch stays in registers */
	for (; at + BLOCK <= stop; at += BLOCK)
		read_block(&s, s.doc + at, at);
	if (at < stop) {
		char last[BLOCK];
		memset(last, ' ', sizeof last);
		memcpy(last, s.doc + at, stop - at);
		read_block(&s, last, at);
	}
	*state = s;
}

enum { SCALARS = 1024 };

/* Owner: struct tokens. Life: one document. */
struct scratch {
	uint32_t scalar[SCALARS + BLOCK]; /* numbers of tokens, not yet checked */
	uint8_t open[256]; /* by depth: the last bracket there; of this document, for who reads it
	                    */
};

size_t tokens_avx2_bytes(void)
{
	return sizeof(struct scratch);
}

static bool read_bytes(struct tokens *t)
{
	struct span doc = t->doc;
	struct pass1 s = {.doc = doc.p, .first_escape = doc.n, .first_high = doc.n};
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
	if (s.first_high >= s.behind_high)
		return true;
	/* The blocks before and behind are ASCII: no character reaches over there. */
	size_t behind = s.behind_high < doc.n ? s.behind_high : doc.n;
	return simd_utf8(doc.p + s.first_high, behind - s.first_high);
}

/* --- pass 2: the grammar -------------------------------------------------------------------- */

enum { DEPTH_MAX = 240 }; /* deeper ones are left to the portable kernel: depths are bytes here */

/* A bracket. */
enum {
	SIDE_ARRAY = 1,
	SIDE_MEMBER = 4,
	SIDE_BOTH = SIDE_ARRAY | SIDE_MEMBER,
	SIDE_CHECKED =
	        4, /* shift: a closing one has both bits there too: they are to be compared */
};

struct pass2 {
	__m256i before, v; /* the 32 tokens before and the ones looked at */
	__m256i depth;     /* where those begin; in all bytes */
	__m256i bad;
	__m256i deepest, outermost; /* outermost: how many tokens are at depth 0 */
};

/* Which of 64 tokens are what. */
struct found {
	uint64_t brackets, scalars;
	uint64_t members; /* brackets whose side says that the container is a member */
	uint64_t empty;   /* { before } and [ before ] */
};

ALWAYS_INLINE __m256i is(__m256i v, enum token k)
{
	return _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)k));
}

ALWAYS_INLINE __m256i table_of(const uint8_t *table)
{
	return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)table));
}

/* The kinds of 32 tokens by their first bytes. A space, which begins none, is TOKEN_NONE. */
ALWAYS_INLINE __m256i kinds(const uint8_t *first)
{
	const __m256i known = _mm256_broadcastsi128_si256(
	        _mm_setr_epi8(' ', 0, '"', 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0));
	const __m256i kind =
	        _mm256_broadcastsi128_si256(_mm_setr_epi8(TOKEN_NONE, 0, TOKEN_STRING, 0, 0, 0, 0,
	                0, 0, 0, TOKEN_COLON, TOKEN_OBJECT, TOKEN_COMMA, TOKEN_OBJECT_END, 0, 0));
	const __m256i bit = _mm256_set1_epi8(0x20); /* not in [ and ] */
	__m256i x = bytes_at(first);
	__m256i is_known =
	        _mm256_cmpeq_epi8(_mm256_or_si256(x, bit), _mm256_shuffle_epi8(known, x));
	__m256i array = _mm256_srli_epi16(_mm256_andnot_si256(x, bit), 5); /* _OBJECT + 1 */
	__m256i k = _mm256_or_si256(_mm256_shuffle_epi8(kind, x), array);
	return _mm256_blendv_epi8(_mm256_set1_epi8(TOKEN_SCALAR), k, is_known);
}

/* What comes `n` tokens later; across: the upper half of v and the lower one of what follows. */
#define LATER(v, across, n) _mm256_alignr_epi8(across, v, n)

/* Of bytes: each one and all before it, added up. */
ALWAYS_INLINE __m256i prefix_sum(__m256i x)
{
	x = _mm256_add_epi8(x, _mm256_slli_si256(x, 1));
	x = _mm256_add_epi8(x, _mm256_slli_si256(x, 2));
	x = _mm256_add_epi8(x, _mm256_slli_si256(x, 4));
	x = _mm256_add_epi8(x, _mm256_slli_si256(x, 8));
	__m256i last = _mm256_shuffle_epi8(x, _mm256_set1_epi8(15));
	return _mm256_add_epi8(x, _mm256_permute2x128_si256(last, last, 0x08));
}

/* The depth of each of the 32 tokens; of a bracket, that outside of it. */
ALWAYS_INLINE __m256i depths(struct pass2 *s, __m256i opens, __m256i closes)
{
	__m256i sum = _mm256_add_epi8(prefix_sum(_mm256_sub_epi8(closes, opens)), s->depth);
	__m256i last = _mm256_shuffle_epi8(sum, _mm256_set1_epi8(15));
	s->depth = _mm256_permute2x128_si256(last, last, 0x11);
	__m256i depth = _mm256_add_epi8(sum, opens);
	__m256i one = _mm256_andnot_si256(is(s->v, TOKEN_NONE), _mm256_set1_epi8(1));
	__m256i outside = _mm256_cmpeq_epi8(depth, _mm256_setzero_si256());
	s->deepest = _mm256_max_epu8(s->deepest, depth);
	s->outermost = _mm256_adds_epu8(s->outermost, _mm256_and_si256(outside, one));
	return depth;
}

/* G1 to G3 for 32 tokens, and what G4 needs; i: which half of the 64 they are. after: the 32 behind
 * them; depth, side: of the 64 tokens. */
ALWAYS_INLINE void check_neighbours(
        struct pass2 *s, __m256i after, uint8_t *depth, uint8_t *side, int i, struct found *found)
{
	const __m256i none = _mm256_setzero_si256();
	__m256i v = s->v, across = _mm256_permute2x128_si256(v, after, 0x21);
	__m256i before = _mm256_alignr_epi8(v, _mm256_permute2x128_si256(s->before, v, 0x21), 15);
	__m256i v1 = LATER(v, across, 1);
	__m256i may = _mm256_shuffle_epi8(table_of(follows), v);
	__m256i does = _mm256_shuffle_epi8(table_of(one_bit), v1);
	__m256i bad = _mm256_cmpeq_epi8(_mm256_and_si256(may, does), none); /* G1 */

	__m256i string = is(v, TOKEN_STRING), scalar = is(v, TOKEN_SCALAR);
	__m256i key = _mm256_and_si256(string, is(v1, TOKEN_COLON));
	__m256i key_after = _mm256_or_si256(is(before, TOKEN_OBJECT), is(before, TOKEN_COMMA));
	bad = _mm256_or_si256(bad, _mm256_andnot_si256(key_after, key)); /* G2 */

	__m256i left = is(before, TOKEN_COLON);
	__m256i next_key = _mm256_and_si256(
	        is(LATER(v, across, 2), TOKEN_STRING), is(LATER(v, across, 3), TOKEN_COLON));
	__m256i right = _mm256_or_si256(
	        is(v1, TOKEN_OBJECT_END), _mm256_and_si256(is(v1, TOKEN_COMMA), next_key));
	__m256i value = _mm256_or_si256(_mm256_andnot_si256(key, string), scalar);
	bad = _mm256_or_si256(bad, _mm256_and_si256(value, _mm256_xor_si256(left, right))); /* G3 */
	s->bad = _mm256_or_si256(s->bad, bad);

	/* { and [ have a left side, } and ] a right one */
	__m256i opens = _mm256_cmpgt_epi8(_mm256_set1_epi8(TOKEN_OBJECT_END), v);
	__m256i bracket = _mm256_cmpgt_epi8(_mm256_set1_epi8(TOKEN_COLON), v);
	__m256i closes = _mm256_andnot_si256(opens, bracket);
	__m256i member = _mm256_blendv_epi8(right, left, opens);
	__m256i bits = _mm256_or_si256(_mm256_and_si256(v, _mm256_set1_epi8(SIDE_ARRAY)),
	        _mm256_and_si256(member, _mm256_set1_epi8(SIDE_MEMBER)));
	bits = _mm256_or_si256(
	        bits, _mm256_and_si256(closes, _mm256_set1_epi8(SIDE_BOTH << SIDE_CHECKED)));
	_mm256_storeu_si256((__m256i *)(void *)(side + 32 * i), bits);
	_mm256_storeu_si256((__m256i *)(void *)(depth + 32 * i), depths(s, opens, closes));
	__m256i partner = _mm256_add_epi8(v, _mm256_set1_epi8(TOKEN_OBJECT_END));
	__m256i empty = _mm256_and_si256(opens, _mm256_cmpeq_epi8(partner, v1));
	found->brackets |= (uint64_t)(uint32_t)_mm256_movemask_epi8(bracket) << 32 * i;
	found->scalars |= (uint64_t)(uint32_t)_mm256_movemask_epi8(scalar) << 32 * i;
	found->members |= (uint64_t)(uint32_t)_mm256_movemask_epi8(member) << 32 * i;
	found->empty |= (uint64_t)(uint32_t)_mm256_movemask_epi8(empty) << 32 * i;
	s->before = v;
	s->v = after;
}

/* G3 and G4 for containers: both brackets say the same. A closing one belongs to the last one
 * before it that is at the same depth. Returns not 0 if they differ. */
ALWAYS_INLINE uint32_t check_brackets(
        uint8_t *open, const uint8_t *depth, const uint8_t *side, const struct found *found)
{
	/* {} and [] that are alike on both sides are done. */
	uint64_t empty = found->empty & ~(found->members ^ found->members >> 1) & INT64_MAX;
	uint64_t left = found->brackets & ~(empty | empty << 1);
	uint32_t differ = 0;
	for (; left; left &= left - 1) {
		uint64_t i = _tzcnt_u64(left);
		uint32_t now = side[i];
		differ |= (open[depth[i]] ^ now) & now >> SIDE_CHECKED;
		open[depth[i]] = (uint8_t)now;
	}
	return differ;
}

/* An integer of at most seven digits, true, false or null at p, and behind it , } or ] ? Without a
 * branch for which it is. */
ALWAYS_INLINE bool is_plain(const char *p)
{
	uint64_t x;
	memcpy(&x, p, 8);
	const uint64_t ones = 0x0101010101010101u, top = 0x80 * ones;
	uint64_t off = x ^ '0' * ones; /* a digit: 0 to 9 */
	uint64_t other = (((off & ~top) + (0x7F - 9) * ones) | off) & top;
	uint32_t digits = (uint32_t)_tzcnt_u64(other) / 8;
	bool number = (digits > 1 && (uint8_t)off != 0) | (digits == 1);
	bool is_false = (x & 0xFFFFFFFFFFu) == 0x65736C6166u;
	bool literal = is_false | ((uint32_t)x == 0x65757274u) | ((uint32_t)x == 0x6C6C756Eu);
	uint32_t length = number ? digits : is_false ? 5 : 4;
	uint8_t behind = (uint8_t)(x >> (8 * length & 63));
	return (number | literal) & (length < 8) & ((behind == ',') | ((behind | 0x20) == '}'));
}

WITH_AVX2 static bool check_scalars(
        const struct tokens *t, const uint32_t *no, const uint32_t *stop)
{
	struct span doc = t->doc;
	for (; no < stop; no++) {
		const char *p = doc.p + t->pos[*no];
		if (UNLIKELY(!is_plain(p)) && !tokens_scalar_ok(p, doc.p + doc.n))
			return false;
	}
	return true;
}

/* A few at a time: what is written too much is overwritten. which: of the 64 tokens from `at`. */
ALWAYS_INLINE uint32_t *put_scalars(uint32_t *to, uint64_t which, uint32_t at)
{
	for (int i = 0; i < 3; i++) {
		*to = at + (uint32_t)_tzcnt_u64(which);
		to += which != 0;
		which &= which - 1;
	}
	for (; which; which &= which - 1)
		*to++ = at + (uint32_t)_tzcnt_u64(which);
	return to;
}

ALWAYS_INLINE bool is_zero(__m256i v)
{
	return _mm256_testz_si256(v, v);
}

ALWAYS_INLINE uint64_t sum_of(__m256i v)
{
	__m256i sums = _mm256_sad_epu8(v, _mm256_setzero_si256());
	return (uint64_t)_mm256_extract_epi64(sums, 0) + (uint64_t)_mm256_extract_epi64(sums, 1) +
	       (uint64_t)_mm256_extract_epi64(sums, 2) + (uint64_t)_mm256_extract_epi64(sums, 3);
}

/* Turns the first bytes of the tokens into their kinds, too. */
WITH_AVX2 static bool check_tokens(struct tokens *t)
{
	struct scratch *scratch = t->scratch;
	const __m256i zero = _mm256_setzero_si256();
	struct pass2 s = {.before = _mm256_set1_epi8(TOKEN_NONE),
	        .v = kinds(t->code),
	        .depth = zero,
	        .bad = zero,
	        .deepest = zero,
	        .outermost = zero};
	uint32_t differ = 0, *scalars = scratch->scalar;
	for (uint32_t at = 0; at < t->count; at += 64) {
		uint8_t *code = t->code + at, *depth = t->depth + at, side[64];
		struct found found = {0};
		for (int i = 0; i < 2; i++) {
			__m256i after = kinds(code + 32 * (i + 1));
			_mm256_storeu_si256((__m256i *)(void *)(code + 32 * i), s.v);
			check_neighbours(&s, after, depth, side, i, &found);
		}
		differ |= check_brackets(scratch->open, depth, side, &found);
		scalars = put_scalars(scalars, found.scalars, at);
		if (UNLIKELY(scalars >= scratch->scalar + SCALARS)) {
			if (!check_scalars(t, scratch->scalar, scalars))
				return false;
			scalars = scratch->scalar;
		}
	}
	/* Two tokens are at depth 0: the first one, and the one that closes it, which so is the
	 * last. (Below 0 is very deep.) */
	return !differ && is_zero(s.bad) && is_zero(s.depth) && sum_of(s.outermost) == 2 &&
	       is_zero(_mm256_subs_epu8(s.deepest, _mm256_set1_epi8((char)DEPTH_MAX))) &&
	       check_scalars(t, scratch->scalar, scalars);
}

bool tokens_avx2_read(struct tokens *t, struct span doc)
{
	t->doc = doc;
	t->count = 0;
	if (!read_bytes(t))
		return false;
	memset(t->code + t->count, ' ', TOKENS_SLACK);
	t->pos[t->count] = (uint32_t)doc.n;
	if ((t->code[0] | 0x20) != '{') /* too rare to be worth it here */
		return false;
	bool good = check_tokens(t);
	memset(t->code + t->count, TOKEN_NONE, TOKENS_SLACK);
	return good;
}

bool tokens_avx2_possible(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
	       __builtin_cpu_supports("pclmul");
}

#else

TOKENS_NO_KERNEL(avx2)

#endif
