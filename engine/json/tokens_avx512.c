/* The fast kernel of tokens.h: AVX-512 with VBMI2 (Intel since Ice Lake, AMD since Zen 4).
 *
 * Pass 1 goes over the bytes, 64 at a time, and compresses the kinds and offsets of the tokens out
 * of each block. Pass 2 goes over the kinds, 64 at a time, and checks the grammar (tokens_simd.h).
 */
#include "json/tokens_simd.h"

#include "base/check.h"
#include "json/bits.h"
#include "json/json.h"
#include "json/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WITH_AVX512                                                                                \
	__attribute__((                                                                            \
	        target("avx512f,avx512bw,avx512vl,avx512cd,avx512vbmi,avx512vbmi2,bmi,bmi2,lzcnt," \
	               "popcnt,pclmul")))

enum { BLOCK = 64, CHUNK = 4096 }; /* bytes of a block; bytes between two looks at the room left */

/* What a byte can be. The low three bits are the enum token that starts with it. */
enum {
	CLASS_TOKEN = 7,
	CLASS_OPERATOR = 0x08, /* { } [ ] : , */
	CLASS_SPACE = 0x10,
	CLASS_ESCAPE = 0x40,  /* may come after a backslash */
	CLASS_CONTROL = 0x80, /* below 0x20 */
};
#define C 0x87 /* control */
#define W 0x97 /* white space that is a control */
#define E 0x47 /* may be escaped */
static const uint8_t classes[2][64] __attribute__((aligned(64))) = {
        {
                C, C, C, C, C, C, C, C, C, W, W, C, C, W, C, C, /* */
                C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, /* */
                /* space */ 0x17, 7, /* " */ 0x46, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* , */ 0x0D, 7, 7,
                /* / */ E, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* : */ 0x0C, 7, 7, 7, 7, 7, /* */
        },
        {
                7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* */
                7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* [ */ 0x09, /* \ */ E, /* ] */ 0x0B, 7, 7, 7, 7,
                /* b */ E, 7, 7, 7, /* f */ E, 7, 7, 7, 7, 7, 7, 7, /* n */ E, 7, /* */
                7, 7, /* r */ E, 7, /* t */ E, /* u */ E, 7, 7, 7, 7, 7, /* { */ 0x08, 7,
                /* } */ 0x0A, 7, 7, /* */
        },
};
#undef C
#undef W
#undef E

static const uint8_t iota[64] __attribute__((aligned(64))) = {
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
        19,
        20,
        21,
        22,
        23,
        24,
        25,
        26,
        27,
        28,
        29,
        30,
        31,
        32,
        33,
        34,
        35,
        36,
        37,
        38,
        39,
        40,
        41,
        42,
        43,
        44,
        45,
        46,
        47,
        48,
        49,
        50,
        51,
        52,
        53,
        54,
        55,
        56,
        57,
        58,
        59,
        60,
        61,
        62,
        63,
};

/* --- pass 1: bytes to tokens ---------------------------------------------------------------- */

struct pass1 {
	const char *doc;
	uint8_t *code; /* where the next token goes */
	uint32_t *pos;
	uint64_t in_string; /* all ones: the next block starts inside a string */
	uint64_t escaped;   /* 1: its first byte is escaped */
	uint64_t scalar;    /* 1: the byte before it is part of a scalar */
	uint64_t high;      /* not 0: there are bytes that are not ASCII */
	uint64_t bad;       /* not 0: not sure */
	size_t first_escape;
};

#define ALWAYS_INLINE WITH_AVX512 static inline __attribute__((always_inline))

ALWAYS_INLINE uint64_t prefix_xor(uint64_t x)
{
	__m128i ones = _mm_set1_epi8((char)0xFF);
	return (uint64_t)_mm_cvtsi128_si64(
	        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)x), ones, 0));
}

/* Backslashes in this block, or one at the end of the last: which bytes do they escape, and may
 * those be? at: offset of the block. What is read behind the document does not matter: a string
 * that reaches there is not closed. */
ALWAYS_INLINE uint64_t escapes(
        struct pass1 *s, __m512i in, uint64_t allowed, uint64_t backslash, size_t at)
{
	s->first_escape = at < s->first_escape ? at : s->first_escape; /* or a little later */
	uint64_t escaped = bits_escaped(backslash, &s->escaped);
	s->bad |= escaped & ~allowed;
	uint64_t hex = escaped & _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('u'));
	for (; hex; hex &= hex - 1)
		s->bad |= !is_hex4(s->doc + at + __builtin_ctzll(hex) + 1);
	return escaped;
}

/* Appends the tokens of one block, given the class of each byte. */
ALWAYS_INLINE void put_block(struct pass1 *s, __m512i class, uint64_t tokens, size_t at)
{
	__m512i code = _mm512_and_si512(class, _mm512_set1_epi8(CLASS_TOKEN));
	_mm512_storeu_si512(s->code, _mm512_maskz_compress_epi8(tokens, code));
	__m512i offset = _mm512_maskz_compress_epi8(tokens, _mm512_load_si512(iota));
	__m512i base = _mm512_set1_epi32((int)at);
	__m128i part = _mm512_castsi512_si128(offset);
	_mm512_storeu_si512(s->pos, _mm512_add_epi32(_mm512_cvtepu8_epi32(part), base));
	part = _mm512_extracti32x4_epi32(offset, 1);
	_mm512_storeu_si512(s->pos + 16, _mm512_add_epi32(_mm512_cvtepu8_epi32(part), base));
	unsigned count = (unsigned)__builtin_popcountll(tokens);
	if (UNLIKELY(count > 32)) {
		part = _mm512_extracti32x4_epi32(offset, 2);
		_mm512_storeu_si512(
		        s->pos + 32, _mm512_add_epi32(_mm512_cvtepu8_epi32(part), base));
		part = _mm512_extracti32x4_epi32(offset, 3);
		_mm512_storeu_si512(
		        s->pos + 48, _mm512_add_epi32(_mm512_cvtepu8_epi32(part), base));
	}
	s->code += count;
	s->pos += count;
}

ALWAYS_INLINE void read_block(struct pass1 *s, __m512i in, size_t at)
{
	__m512i low = _mm512_load_si512(classes[0]), upper = _mm512_load_si512(classes[1]);
	__m512i class = _mm512_permutex2var_epi8(low, in, upper); /* by the low 7 bits */
	uint64_t high = _mm512_movepi8_mask(in);
	uint64_t op = _mm512_test_epi8_mask(class, _mm512_set1_epi8(CLASS_OPERATOR)) & ~high;
	uint64_t space = _mm512_test_epi8_mask(class, _mm512_set1_epi8(CLASS_SPACE)) & ~high;
	uint64_t control = _mm512_movepi8_mask(class) & ~high;
	uint64_t quote = _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('"'));
	uint64_t backslash = _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('\\'));

	if (backslash | s->escaped) {
		uint64_t allowed = _mm512_test_epi8_mask(class, _mm512_set1_epi8(CLASS_ESCAPE));
		quote &= ~escapes(s, in, allowed & ~high, backslash, at);
	}
	uint64_t in_string = prefix_xor(quote) ^ s->in_string;
	s->in_string = (uint64_t)((int64_t)in_string >> 63);
	uint64_t scalar = ~(in_string | quote | op | space);
	uint64_t starts = scalar & ~(scalar << 1 | s->scalar);
	s->scalar = scalar >> 63;
	s->high |= high;
	s->bad |= (control & in_string) | (scalar & high);
	put_block(s, class, (op & ~in_string) | (quote & in_string) | starts, at);
}

/* From `at` to `stop`; the last block of the document may be shorter than the others. */
WITH_AVX512 static void read_chunk(struct pass1 *state, size_t at, size_t stop)
{
	struct pass1 s = *state; /* a copy that no store can touch stays in registers */
	for (; at + BLOCK <= stop; at += BLOCK)
		read_block(&s, _mm512_loadu_si512(s.doc + at), at);
	if (at < stop) {
		__mmask64 have = _bzhi_u64(~0ull, (unsigned)(stop - at));
		read_block(&s, _mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), have, s.doc + at), at);
	}
	*state = s;
}

static bool read_bytes(struct tokens *t)
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
	return !s.high || simd_utf8(doc.p, doc.n);
}

/* --- pass 2: the grammar -------------------------------------------------------------------- */

enum { STACK = 512 }; /* a power of two above JSON_DEPTH_MAX */

/* A bracket: its number among the tokens, times 8, and these bits. */
enum {
	BRACKET_ARRAY = 1,
	BRACKET_CLOSE = 2,
	BRACKET_MEMBER = 4, /* this side says that the container is a member of an object */
	BRACKET_TOKEN = 8,
};

enum {
	PART = 1024, /* tokens between two runs of the stack */
	LANES = 32,  /* of 16 bits */
};

/* Owner: struct tokens. Life: one document. `stack` is never cleared between documents. */
struct pass2 {
	uint64_t bad;
	uint32_t part;              /* number of its first token */
	uint32_t brackets, scalars; /* in the two arrays */
	uint32_t depth, depths;     /* depths: all depths, or-ed */
	uint32_t end;               /* the last token that has closed the first one */
	uint16_t bracket[PART + BLOCK + 2 * LANES];
	uint16_t scalar[PART + BLOCK + 2 * LANES]; /* number times 8 */
	uint32_t stack[STACK]; /* number among all tokens, times 8, and the bits */
};

size_t tokens_avx512_bytes(void)
{
	return sizeof(struct pass2);
}

WITH_AVX512 static inline uint64_t is(__m512i v, enum token k)
{
	return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8((char)k));
}

WITH_AVX512 static inline __m512i at_code(const uint8_t *code)
{
	return _mm512_loadu_si512(code);
}

/* Appends the numbers of the tokens in `which`, times 8, plus the byte that `bits` has for them.
 * Returns how many. */
ALWAYS_INLINE uint32_t put_tokens(uint16_t *to, uint64_t which, __m512i bits, uint32_t base)
{
	__m512i number = _mm512_maskz_compress_epi8(which, _mm512_load_si512(iota));
	__m512i bit = _mm512_maskz_compress_epi8(which, bits);
	__m512i first = _mm512_set1_epi16((short)base);
	for (uint32_t i = 0, n = (uint32_t)__builtin_popcountll(which);;) {
		__m512i v = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(number));
		v = _mm512_slli_epi16(_mm512_add_epi16(v, first), 3);
		v = _mm512_or_si512(v, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(bit)));
		_mm512_storeu_si512(to + i, v);
		i += LANES;
		if (LIKELY(i >= n))
			return n;
		number = _mm512_shuffle_i64x2(number, number, 0x4E); /* the upper half down */
		bit = _mm512_shuffle_i64x2(bit, bit, 0x4E);
	}
}

/* G1 to G3 for the tokens at, ..., at + 63. */
ALWAYS_INLINE void check_neighbours(struct pass2 *s, const uint8_t *code, uint32_t at)
{
	code += at;
	__m512i before = at_code(code - 1), v = at_code(code), v1 = at_code(code + 1);
	__m512i table =
	        _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)(const void *)follows));
	__m512i bits =
	        _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)(const void *)one_bit));
	uint64_t bad = _mm512_testn_epi8_mask(
	        _mm512_shuffle_epi8(table, v), _mm512_shuffle_epi8(bits, v1)); /* G1 */

	uint64_t string = is(v, TOKEN_STRING), scalar = is(v, TOKEN_SCALAR);
	uint64_t key = string & is(v1, TOKEN_COLON);
	bad |= key & ~(is(before, TOKEN_OBJECT) | is(before, TOKEN_COMMA)); /* G2 */

	uint64_t left = is(before, TOKEN_COLON);
	uint64_t next_key =
	        is(at_code(code + 2), TOKEN_STRING) & is(at_code(code + 3), TOKEN_COLON);
	uint64_t right = is(v1, TOKEN_OBJECT_END) | (is(v1, TOKEN_COMMA) & next_key);
	bad |= ((string & ~key) | scalar) & (left ^ right); /* G3 */

	uint64_t open = _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(TOKEN_OBJECT_END));
	uint64_t bracket = _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(TOKEN_COLON));
	uint64_t member = (left & open) | (right & ~open);
	__m512i attributes = _mm512_mask_add_epi8(v, member, v, _mm512_set1_epi8(BRACKET_MEMBER));
	s->bad |= bad;
	at -= s->part;
	s->brackets += put_tokens(s->bracket + s->brackets, bracket, attributes, at);
	s->scalars += put_tokens(s->scalar + s->scalars, scalar, _mm512_setzero_si512(), at);
}

/* An opening bracket whose next bracket closes it needs no stack. That is most of them: checks
 * those and takes them out. tokens_skip() sees by itself where they end. The outermost container
 * stays in: where it ends is looked at. */
WITH_AVX512 static void check_leaves(struct pass2 *s)
{
	const __m512i closing = _mm512_set1_epi16(BRACKET_CLOSE);
	uint32_t n = s->brackets, kept = 0;
	uint32_t behind_leaf = 0; /* 1: the first one of these is the end of a leaf */
	uint32_t keep_first = s->part == 0;
	uint64_t bad = 0;
	s->bracket[n] = 0; /* opens: so the last one is no leaf */
	for (uint32_t i = 0; i < n; i += LANES) {
		__m512i v = _mm512_loadu_si512(s->bracket + i);
		__m512i v1 = _mm512_loadu_si512(s->bracket + i + 1);
		__m512i differ = _mm512_xor_si512(v, v1);
		__mmask32 there = _bzhi_u32(~0u, n - i > LANES ? LANES : n - i);
		uint32_t leaf =
		        _mm512_testn_epi16_mask(v, closing) & _mm512_test_epi16_mask(v1, closing);
		leaf &= there & ~keep_first;
		keep_first = 0;
		bad |= _mm512_mask_test_epi16_mask(
		        leaf, differ, _mm512_set1_epi16(BRACKET_ARRAY | BRACKET_MEMBER));
		uint32_t keep = there & ~(leaf | leaf << 1 | behind_leaf);
		behind_leaf = leaf >> 31;
		/* Never ahead of what is read next. */
		_mm512_mask_storeu_epi16(s->bracket + kept,
		        _bzhi_u32(~0u, (unsigned)__builtin_popcount(keep)),
		        _mm512_maskz_compress_epi16(keep, v));
		kept += (uint32_t)__builtin_popcount(keep);
	}
	s->brackets = kept;
	s->bad |= bad;
}

/* The brackets of the part that are left. Without a branch: which way it goes is up to the
 * document. A wrong depth is found at the end. */
static void check_brackets(struct pass2 *s)
{
	uint32_t bad = 0, depth = s->depth, depths = s->depths, end = s->end;
	uint32_t base = s->part * BRACKET_TOKEN;
	for (uint32_t i = 0, n = s->brackets; i < n; i++) {
		uint32_t now = base + s->bracket[i], close = now / BRACKET_CLOSE & 1;
		depth -= close;
		uint32_t *top = &s->stack[depth % STACK];
		uint32_t differ = (*top ^ now) & (0 - close); /* 0 at an opening one */
		*top = now;
		bad |= differ & (BRACKET_ARRAY | BRACKET_MEMBER);
		end = (now ^ differ) / BRACKET_TOKEN ? end : now / BRACKET_TOKEN;
		depth += !close;
		depths |= depth; /* below 0 is very deep */
	}
	s->depth = depth;
	s->depths = depths;
	s->end = end;
	s->bad |= bad;
}

/* Which of the bytes `shift` bits up in each lane ends a scalar: , } ] */
ALWAYS_INLINE __mmask8 ends_at(__m512i x, __m512i shift)
{
	__m512i c = _mm512_and_si512(_mm512_srlv_epi64(x, shift), _mm512_set1_epi64(0xFF));
	__m512i lower = _mm512_or_si512(c, _mm512_set1_epi64(0x20));
	return _mm512_cmpeq_epi64_mask(c, _mm512_set1_epi64(',')) |
	       _mm512_cmpeq_epi64_mask(lower, _mm512_set1_epi64('}'));
}

/* Which lanes begin with an integer of at most seven digits? */
ALWAYS_INLINE __mmask8 integers(__m512i x)
{
	/* A byte is a digit if neither x - '0' nor x + (0x7F - '9') sets its top bit. */
	__m512i top = _mm512_set1_epi8((char)0x80);
	__m512i from_0 = _mm512_sub_epi8(_mm512_or_si512(x, top), _mm512_set1_epi8('0'));
	__m512i above_9 =
	        _mm512_add_epi8(_mm512_andnot_si512(top, x), _mm512_set1_epi8(0x7F - '9'));
	__m512i digit = _mm512_andnot_si512(_mm512_or_si512(above_9, x), from_0);
	__m512i other = _mm512_andnot_si512(digit, top);
	__m512i lowest = _mm512_and_si512(other, _mm512_sub_epi64(_mm512_setzero_si512(), other));
	/* Its bit number is 8 * digits + 7; without one it is -1. */
	__m512i bit = _mm512_sub_epi64(_mm512_set1_epi64(63), _mm512_lzcnt_epi64(lowest));
	__mmask8 one = _mm512_cmpeq_epi64_mask(bit, _mm512_set1_epi64(15));
	__mmask8 some = _mm512_cmpge_epi64_mask(bit, _mm512_set1_epi64(15));
	__m512i first = _mm512_and_si512(x, _mm512_set1_epi64(0xFF));
	__mmask8 zero = _mm512_cmpeq_epi64_mask(first, _mm512_set1_epi64('0'));
	return some & (one | ~zero) & ends_at(x, _mm512_sub_epi64(bit, _mm512_set1_epi64(7)));
}

ALWAYS_INLINE __mmask8 literals(__m512i x, const char *text, unsigned n)
{
	uint64_t word = 0;
	memcpy(&word, text, n);
	__m512i start = _mm512_and_si512(x, _mm512_set1_epi64((long long)((1ull << 8 * n) - 1)));
	return _mm512_cmpeq_epi64_mask(start, _mm512_set1_epi64((long long)word)) &
	       ends_at(x, _mm512_set1_epi64(8 * n));
}

/* Eight at a time the common ones, from the eight bytes where they start; whatever is left over one
 * by one. */
WITH_AVX512 static bool check_scalars(const struct pass2 *s, const struct tokens *t)
{
	const char *doc = t->doc.p, *end = doc + t->doc.n;
	for (uint32_t i = 0; i < s->scalars; i += 8) {
		__m128i number = _mm_loadu_si128((const __m128i *)(const void *)(s->scalar + i));
		__m256i token = _mm256_cvtepu16_epi32(_mm_srli_epi16(number, 3));
		const uint32_t *first = t->pos + s->part;
		__mmask8 there = (__mmask8)_bzhi_u32(0xFF, s->scalars - i > 8 ? 8 : s->scalars - i);
		__m256i none = _mm256_setzero_si256();
		__m256i pos =
		        _mm256_mmask_i32gather_epi32(none, there, token, first, sizeof *first);
		__m512i x = _mm512_mask_i32gather_epi64(_mm512_setzero_si512(), there, pos, doc, 1);
		__mmask8 plain = integers(x) | literals(x, "true", 4) | literals(x, "false", 5) |
		                 literals(x, "null", 4);
		for (uint32_t odd = there & ~(uint32_t)plain; odd; odd &= odd - 1) {
			uint32_t at = s->part + s->scalar[i + _tzcnt_u32(odd)] / BRACKET_TOKEN;
			if (!tokens_scalar_ok(doc + t->pos[at], end))
				return false;
		}
	}
	return true;
}

WITH_AVX512 static void check_part(struct pass2 *s, const struct tokens *t)
{
	s->brackets = s->scalars = 0;
	uint32_t stop = t->count - s->part > PART ? s->part + PART : t->count;
	for (uint32_t at = s->part; at < stop; at += BLOCK)
		check_neighbours(s, t->code, at);
	check_leaves(s);
	check_brackets(s);
}

static bool check_tokens(const struct tokens *t)
{
	struct pass2 *s = t->scratch;
	s->bad = 0;
	s->depth = s->depths = s->end = 0;
	for (s->part = 0; s->part < t->count; s->part += PART) {
		check_part(s, t);
		if (s->bad || !check_scalars(s, t))
			return false;
	}
	/* The last token empties the stack (so no string is open), and no other one: that would
	 * have been the partner of the first. */
	return s->depth == 0 && s->depths < JSON_DEPTH_MAX && s->end == t->count - 1;
}

bool tokens_avx512_read(struct tokens *t, struct span doc)
{
	t->doc = doc;
	t->count = 0;
	if (!read_bytes(t))
		return false;
	memset(t->code + t->count, TOKEN_NONE, TOKENS_SLACK);
	t->pos[t->count] = (uint32_t)doc.n;
	if (t->code[0] > TOKEN_ARRAY) /* too rare to be worth it here */
		return false;
	if (!check_tokens(t))
		return false;
	tokens_fill_depth(t);
	return true;
}

bool tokens_avx512_possible(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
	       __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512cd") &&
	       __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
	       __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
}

#else

TOKENS_NO_KERNEL(avx512)

#endif
