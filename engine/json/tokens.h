/* tokens.h - one JSON document as a checked list of tokens.
 *
 * Reading a document does two things at once: it checks all of it against RFC 8259 (UTF-8, strings,
 * escapes, numbers, literals, grammar, depth), and it leaves behind where every token is and of
 * which kind it is. Whoever reads the document afterwards walks tokens, not bytes, and need not be
 * careful: what is in the list is well formed. A Pod of 3.6 KB has about 690 tokens.
 *
 * Three kernels do it. The portable one rests on the first stage of simdjson, which has a version
 * for each CPU, and walks its index with a plain state machine. The other two, for AVX2 and for
 * AVX-512, make the token list themselves and check the grammar 32 or 64 tokens at a time; they
 * only ever say "good" or "not sure", and then the portable one decides. So a bug in a fast kernel
 * can cost validity only by saying "good", which is what tests/fuzz looks for.
 */
#ifndef KR_JSON_TOKENS_H
#define KR_JSON_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/err.h"
#include "base/span.h"

enum token {
	TOKEN_OBJECT,     /* { */
	TOKEN_ARRAY,      /* [ */
	TOKEN_OBJECT_END, /* } */
	TOKEN_ARRAY_END,  /* ] */
	TOKEN_COLON,
	TOKEN_COMMA,
	TOKEN_STRING, /* at its opening quote */
	TOKEN_SCALAR, /* number, true, false, null: at its first byte */
	TOKEN_NONE,   /* behind the last token */
};

enum {
	TOKENS_SLACK = 128, /* tokens behind the last one that a kernel may write and read */
	TOKENS_BYTES_MAX = INT32_MAX,   /* of a document: positions are 32 bits */
	TOKENS_FAST_BYTES_MAX = 1 << 28 /* fast kernels have 29 bits for the number of a token */
};

enum tokens_kernel {
	TOKENS_KERNEL_BEST,
	TOKENS_KERNEL_PORTABLE,
	TOKENS_KERNEL_AVX2,
	TOKENS_KERNEL_AVX512,
};

struct tokens;
/* A fast kernel: false when it is not sure or out of memory. */
typedef bool (*tokens_fast_fn)(struct tokens *t, struct span doc);

/* Owner: a parser, a splitter or a DOM. Thread: one. Life: until fini; the content until the next
 * read. */
struct tokens {
	uint8_t *code; /* enum token, TOKENS_SLACK times TOKEN_NONE behind the last */
	uint32_t *pos; /* own: offset into doc; pos[count] == doc.n */
	/* own: how many containers each token is in, modulo 256; a bracket is not in its own. For
	 * tokens_skip(). */
	uint8_t *depth;
	uint8_t *code_memory; /* own: `code` is TOKENS_SLACK behind it; code[-1] is TOKEN_NONE */
	uint32_t count, capacity;
	struct span doc;     /* borrow(until the next read) */
	size_t first_escape; /* no backslash before this offset */
	struct simd *simd;   /* own */
	tokens_fast_fn fast; /* NULL: the portable kernel alone */
	void *scratch;       /* own: of the fast kernel */
};

/* ERR_NO_MEMORY; ERR_ARGUMENT when this CPU has not what the kernel asked for needs. */
err_t tokens_init(struct tokens *t, size_t token_count, enum tokens_kernel kernel) MUST_USE;
void tokens_fini(struct tokens *t);

/* doc: JSON_PADDING readable bytes behind it. ERR_JSON_SYNTAX, _DEPTH, _LIMIT (longer than
 * TOKENS_BYTES_MAX), ERR_NO_MEMORY. */
err_t tokens_read(struct tokens *t, struct span doc) MUST_USE;

/* Room for `count` more tokens and the slack. Of the kernels. */
bool tokens_reserve(struct tokens *t, size_t count);
/* Fills in depth for all tokens; the document is known to be good. Of the kernels. */
void tokens_fill_depth(struct tokens *t);
/* Is there one whole number, true, false or null at p, followed by something that may follow it? Of
 * the kernels. */
bool tokens_scalar_ok(const char *p, const char *end);
/* May c stand behind a backslash? */
bool tokens_may_be_escaped(char c);
/* Four hexadecimal digits at p, before end? */
bool tokens_hex4(const char *p, const char *end);

/* What kind of token begins with that byte. Of the kernels. */
extern const uint8_t tokens_codes[256];

/* tokens_avx2.c, tokens_avx512.c */
bool tokens_avx2_possible(void);
size_t tokens_avx2_bytes(void); /* of its scratch */
bool tokens_avx2_read(struct tokens *t, struct span doc);
bool tokens_avx512_possible(void);
size_t tokens_avx512_bytes(void);
bool tokens_avx512_read(struct tokens *t, struct span doc);

/* The next token from `at` on at that depth. It must be there. */
static inline uint32_t tokens_find_depth(const struct tokens *t, uint32_t at, uint8_t depth)
{
#if defined(__SSE2__)
	for (const __m128i wanted = _mm_set1_epi8((char)depth);; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(t->depth + at));
		unsigned there = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, wanted));
		if (there)
			return at + (unsigned)__builtin_ctz(there);
	}
#else
	while (t->depth[at] != depth)
		at++;
	return at;
#endif
}

/* The token behind the value that starts at `at`. In a container other than the outermost one no
 * depth is 256 more than its own. */
static inline uint32_t tokens_skip(const struct tokens *t, uint32_t at)
{
	if (t->code[at] > TOKEN_ARRAY)
		return at + 1;
	return at ? tokens_find_depth(t, at + 1, t->depth[at]) + 1 : t->count;
}

/* White space of JSON (RFC 8259 2). */
static inline bool tokens_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The byte behind the value that ends before token `next`: only white space is between them. */
static inline const char *tokens_end_before(const struct tokens *t, uint32_t next)
{
	const char *end = t->doc.p + t->pos[next];
	while (tokens_is_space(end[-1]))
		end--;
	return end;
}

/* What is between the quotes of a string, as it is written. Escapes are still in it if
 * tokens_escaped() says so. */
static inline struct span tokens_string(const struct tokens *t, uint32_t at)
{
	const char *p = t->doc.p + t->pos[at] + 1;
	return (struct span){p, (size_t)(tokens_end_before(t, at + 1) - 1 - p)};
}

/* Reads up to 7 bytes behind the string, which are there. */
static inline bool tokens_escaped(const struct tokens *t, struct span string)
{
	if ((size_t)(string.p - t->doc.p) + string.n <= t->first_escape)
		return false;
	const uint64_t ones = 0x0101010101010101u;
	for (size_t i = 0; i < string.n; i += 8) {
		uint64_t x;
		memcpy(&x, string.p + i, 8);
		x ^= '\\' * ones;
		x = (x - ones) & ~x &
		    0x80 * ones; /* the lowest bit set: a byte that was a backslash */
		if (x && i + (size_t)__builtin_ctzll(x) / 8 < string.n)
			return true;
	}
	return false;
}

/* The text of a scalar. */
static inline struct span tokens_scalar(const struct tokens *t, uint32_t at)
{
	const char *p = t->doc.p + t->pos[at];
	return (struct span){p, (size_t)(tokens_end_before(t, at + 1) - p)};
}

#endif
