#include "client/json_skip.h"

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BYTES(c) (0x0101010101010101ull * (uint8_t)(c))

/* High bit set in each byte of w that is zero (exact for the lowest one, which is all that is
 * used). */
static inline uint64_t zero_bytes(uint64_t w)
{
	return (w - BYTES(1)) & ~w & BYTES(0x80);
}

static inline uint64_t word_at(const char *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof w);
	return w;
}

static inline unsigned low_byte(uint64_t marks)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (unsigned)__builtin_ctzll(marks) / 8;
#else
#error "the shared layout is little-endian"
#endif
}

size_t json_common(const char *a, const char *b, size_t n)
{
	size_t i = 0;
	for (; n - i >= 8; i += 8) {
		uint64_t differ = word_at(a + i) ^ word_at(b + i);
		if (differ)
			return i + low_byte(differ);
	}
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

const char *json_string(const char *p, const char *end)
{
	if (p == end || *p != '"')
		return NULL;
	p++;
	while (end - p >= 8) {
		uint64_t w = word_at(p);
		uint64_t marks = zero_bytes(w ^ BYTES('"')) | zero_bytes(w ^ BYTES('\\'));
		if (!marks) {
			p += 8;
			continue;
		}
		p += low_byte(marks);
		if (*p == '"')
			return p + 1;
		p += end - p >= 2 ? 2 : 1;
	}
	while (p < end) {
		if (*p == '"')
			return p + 1;
		p += *p == '\\' && end - p >= 2 ? 2 : 1;
	}
	return NULL;
}

static bool bare_ok(const char *p, size_t n)
{
	if (*p == 't')
		return n == 4 && memcmp(p, "true", 4) == 0;
	if (*p == 'f')
		return n == 5 && memcmp(p, "false", 5) == 0;
	if (*p == 'n')
		return n == 4 && memcmp(p, "null", 4) == 0;
	for (size_t i = 0; i < n; i++)
		if (!(p[i] >= '0' && p[i] <= '9') && !memchr("+-.eE", p[i], 5))
			return false;
	return *p == '-' || (*p >= '0' && *p <= '9');
}

/* A number or a literal. */
static const char *bare_end(const char *p, const char *end)
{
	const char *start = p;
	while (p < end && *p != ',' && *p != '}' && *p != ']' && *p != ' ' && *p != '\n' &&
	        *p != '\t' && *p != '\r')
		p++;
	return p > start && bare_ok(start, (size_t)(p - start)) ? p : NULL;
}

/* --- containers -------------------------------------------------------------------------------
 * 64 bytes at a time become three words of marks, one bit per byte: quotes, backslashes, brackets.
 * Brackets inside strings are masked out; what is left is taken one by one. Objects that did not
 * change are passed over like this, so it has to be fast: most of a merge patch is this function.
 */

struct marks {
	uint64_t quotes, backslashes, brackets;
};

/* '[' and ']' differ from '{' and '}' in bit 5 only, and no other two bytes become those by setting
 * it. */
enum { BRACKET_BIT = 0x20 };

#ifdef __SSE2__
static inline uint64_t mask_of(__m128i equal, unsigned quarter)
{
	return (uint64_t)(uint32_t)_mm_movemask_epi8(equal) << quarter * 16;
}

static inline struct marks marks_of(const char *p)
{
	struct marks m = {0, 0, 0};
	for (unsigned i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i * 16));
		__m128i b = _mm_or_si128(v, _mm_set1_epi8(BRACKET_BIT));
		b = _mm_or_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8('{')),
		        _mm_cmpeq_epi8(b, _mm_set1_epi8('}')));
		m.quotes |= mask_of(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), i);
		m.backslashes |= mask_of(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')), i);
		m.brackets |= mask_of(b, i);
	}
	return m;
}
#else
static inline struct marks marks_of(const char *p)
{
	struct marks m = {0, 0, 0};
	for (unsigned i = 0; i < 64; i++) {
		char b = (char)(p[i] | BRACKET_BIT);
		m.quotes |= (uint64_t)(p[i] == '"') << i;
		m.backslashes |= (uint64_t)(p[i] == '\\') << i;
		m.brackets |= (uint64_t)(b == '{' || b == '}') << i;
	}
	return m;
}
#endif

struct walk {              /* what one block of 64 bytes hands to the next */
	uint64_t kinds[2]; /* one bit per open container, 1 = object */
	unsigned depth, depth_max;
	uint64_t inside;  /* all ones inside a string */
	uint64_t escaped; /* 1: the first byte is behind a backslash */
};

/* Bytes that stand behind a backslash that is not escaped itself. */
static inline uint64_t escaped_bytes(struct walk *w, uint64_t backslashes)
{
	uint64_t escaped = w->escaped;
	backslashes &= ~escaped;
	w->escaped = 0;
	while (backslashes) {
		unsigned i = (unsigned)__builtin_ctzll(backslashes);
		uint64_t next = i < 63 ? 2ull << i : 0;
		escaped |= next;
		w->escaped = i == 63;
		backslashes &= backslashes - 1;
		backslashes &= ~next;
	}
	return escaped;
}

/* Bit i: an odd number of bits at or below i. */
static inline uint64_t parity_below(uint64_t m)
{
	for (unsigned shift = 1; shift < 64; shift *= 2)
		m ^= m << shift;
	return m;
}

/* Takes one bracket. 1: it closes the container that is being left; -1: it does not pair. */
static inline int walk_bracket(struct walk *w, char c)
{
	bool object = (c & BRACKET_BIT) != 0;
	if (c == '{' || c == '[') {
		if (w->depth == w->depth_max || w->depth == 128)
			return -1;
		uint64_t bit = 1ull << w->depth % 64;
		if (object)
			w->kinds[w->depth / 64] |= bit;
		else
			w->kinds[w->depth / 64] &= ~bit;
		w->depth++;
		return 0;
	}
	if (w->depth == 0) /* a borrowed text: what opened has been replaced since it was seen */
		return -1;
	w->depth--;
	if ((w->kinds[w->depth / 64] >> w->depth % 64 & 1) != object)
		return -1;
	return w->depth == 0;
}

/* Behind the container that starts at p. */
static const char *container_end(const char *p, const char *end, unsigned depth_max)
{
	struct walk w = {.depth_max = depth_max};
	char tail[64];
	for (const char *from = p; from < end; from += 64) {
		const char *block = from;
		if (end - from < 64) {
			memset(tail, 0, sizeof tail);
			memcpy(tail, from, (size_t)(end - from));
			block = tail;
		}
		struct marks m = marks_of(block);
		if (m.backslashes | w.escaped)
			m.quotes &= ~escaped_bytes(&w, m.backslashes);
		uint64_t inside = parity_below(m.quotes) ^ w.inside;
		w.inside = (uint64_t)((int64_t)inside >> 63);
		for (m.brackets &= ~inside; m.brackets; m.brackets &= m.brackets - 1) {
			unsigned i = (unsigned)__builtin_ctzll(m.brackets);
			int done = walk_bracket(&w, block[i]);
			if (done)
				return done > 0 ? from + i + 1 : NULL;
		}
	}
	return NULL;
}

const char *json_value(const char *p, const char *end, unsigned depth_max)
{
	if (p == end)
		return NULL;
	if (*p == '"')
		return json_string(p, end);
	if (*p == '{' || *p == '[')
		return container_end(p, end, depth_max);
	return bare_end(p, end);
}

/* --- strings by value ------------------------------------------------------------------------ */

/* Hands out the decoded bytes of a raw string, one at a time. */
struct decode {
	const char *p, *end;
	unsigned char pending[4];
	unsigned at, n;
};

static int hex4(const char *p, const char *end)
{
	int v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
		if (d < 0 || d > 15 || (c > '9' && (c | 32) < 'a'))
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* p stands behind "\u". A lone surrogate stays one, as three bytes; nothing valid looks the same.
 */
static void decode_unicode(struct decode *d)
{
	int v = hex4(d->p, d->end);
	if (v < 0)
		return;
	d->p += 4;
	uint32_t c = (uint32_t)v;
	if (c >= 0xd800 && c < 0xdc00 && d->end - d->p >= 6 && d->p[0] == '\\' && d->p[1] == 'u') {
		int low = hex4(d->p + 2, d->end);
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
			d->p += 6;
		}
	}
	unsigned char *o = d->pending;
	if (c < 0x80) {
		*o++ = (unsigned char)c;
	} else if (c < 0x800) {
		*o++ = (unsigned char)(0xc0 | c >> 6);
		*o++ = (unsigned char)(0x80 | (c & 0x3f));
	} else {
		if (c < 0x10000) {
			*o++ = (unsigned char)(0xe0 | c >> 12);
		} else {
			*o++ = (unsigned char)(0xf0 | c >> 18);
			*o++ = (unsigned char)(0x80 | (c >> 12 & 0x3f));
		}
		*o++ = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		*o++ = (unsigned char)(0x80 | (c & 0x3f));
	}
	d->at = 0;
	d->n = (unsigned)(o - d->pending);
}

/* The next byte, or -1. */
static int decode_next(struct decode *d)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	if (d->at < d->n)
		return d->pending[d->at++];
	if (d->p == d->end)
		return -1;
	char c = *d->p++;
	if (c != '\\' || d->p == d->end)
		return (unsigned char)c;
	c = *d->p++;
	if (c == 'u') {
		d->at = d->n = 0;
		decode_unicode(d);
		return d->at < d->n ? d->pending[d->at++] : 'u';
	}
	const char *simple = memchr(from, c, sizeof from - 1);
	return (unsigned char)(simple ? to[simple - from] : c);
}

bool json_string_equal(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	if (a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0)
		return true;
	if (!memchr(a, '\\', a_bytes) && !memchr(b, '\\', b_bytes))
		return false;
	struct decode x = {.p = a + 1, .end = a + a_bytes - 1};
	struct decode y = {.p = b + 1, .end = b + b_bytes - 1};
	for (;;) {
		int c = decode_next(&x);
		if (c != decode_next(&y))
			return false;
		if (c < 0)
			return true;
	}
}
