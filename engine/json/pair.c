#include "json/pair.h"

#include <stdint.h>

#include "json/tokens.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { PAIR_BACK_MAX = 4096, PAIR_NAME_MAX = 32, PAIR_ESCAPE_BYTES = 6 };

/* --- what is equal ---------------------------------------------------------------------------- */

/* 16 bytes: what every 64-bit processor compares at once. */
typedef uint64_t pair_vector __attribute__((vector_size(16)));

static inline pair_vector differ(const char *a, const char *b)
{
	pair_vector x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x ^ y;
}

static size_t equal_by_words(const char *a, const char *b, size_t n)
{
	size_t i = 0;
	for (; i + 64 <= n; i += 64) {
		pair_vector x = differ(a + i, b + i) | differ(a + i + 16, b + i + 16) |
		                differ(a + i + 32, b + i + 32) | differ(a + i + 48, b + i + 48);
		if (x[0] | x[1])
			break;
	}
	for (; i + 8 <= n; i += 8) {
		uint64_t x, y;
		memcpy(&x, a + i, sizeof x);
		memcpy(&y, b + i, sizeof y);
		if (x != y)
			return i + (size_t)__builtin_ctzll(x ^ y) / 8;
	}
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

#ifdef __x86_64__
#define WITH_AVX2 __attribute__((target("avx2")))

WITH_AVX2 static inline __m256i same_32(const char *a, const char *b)
{
	return _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(const void *)a),
	        _mm256_loadu_si256((const __m256i *)(const void *)b));
}

/* How many of 32 are equal, up to the first that is not. */
WITH_AVX2 static inline size_t equal_32(const char *a, const char *b)
{
	uint32_t differ = ~(uint32_t)_mm256_movemask_epi8(same_32(a, b));
	return differ ? (size_t)__builtin_ctz(differ) : 32;
}

/* n >= 32: the last step overlaps with the one before. */
WITH_AVX2 static size_t equal_avx2(const char *a, const char *b, size_t n)
{
	size_t i = 0, m;
	for (; i + 64 <= n; i += 64)
		if (_mm256_movemask_epi8(_mm256_and_si256(
		            same_32(a + i, b + i), same_32(a + i + 32, b + i + 32))) != -1)
			break;
	for (; i + 32 <= n; i += 32)
		if ((m = equal_32(a + i, b + i)) < 32)
			return i + m;
	return n - 32 + equal_32(a + n - 32, b + n - 32);
}
#endif

static size_t equal_bytes(const char *a, const char *b, size_t n)
{
#ifdef __x86_64__
	if (n >= 32 && __builtin_cpu_supports("avx2"))
		return equal_avx2(a, b, n);
#endif
	return equal_by_words(a, b, n);
}

void pair_equal(struct pair *p, const char *limit)
{
	size_t n = (size_t)(p->now_end - p->now), m = (size_t)(limit - p->was);
	n = equal_bytes(p->now, p->was, n < m ? n : m);
	p->now += n;
	p->was += n;
}

/* --- where we are in the old text ------------------------------------------------------------- */

/* The nearest byte before `at` that is no white space; NUL: there is none. */
static char before(const struct pair *p, const char *at)
{
	while (at > p->was_begin && tokens_is_space(at[-1]))
		at--;
	return at > p->was_begin ? at[-1] : '\0';
}

static char behind(const struct pair *p, const char *at)
{
	while (at < p->was_end && tokens_is_space(*at))
		at++;
	return at < p->was_end ? *at : '\0';
}

/* The nearest quote before `at` that is not escaped: backslashes stand in strings only, so one
 * behind an odd number of them is text. NULL: there is none, or, with *far, it, or where its
 * backslashes begin, is further away than we look: a megabyte of them would be gone through for
 * each token behind it. */
static const char *quote_before(const struct pair *p, const char *at, bool *far)
{
	size_t n = (size_t)(at - p->was_begin);
	*far = n > PAIR_BACK_MAX;
	const char *from = *far ? at - PAIR_BACK_MAX : p->was_begin;
	while ((at = memrchr(from, '"', (size_t)(at - from)))) {
		const char *q = at;
		while (q > from && q[-1] == '\\')
			q--;
		if (q == from && *far)
			return NULL;
		if (((at - q) & 1) == 0)
			return at;
	}
	return NULL;
}

enum place { PLACE_STRING, PLACE_BETWEEN, PLACE_UNKNOWN };

/* Is `at` inside of a string? The nearest quote before it opens a string or closes one: an opening
 * one stands behind { [ , or :, a closing one before } ] , or :. Text that looks like both is rare,
 * and stays unknown. *quote: the one that opens the string. */
static enum place place_of(const struct pair *p, const char *at, const char **quote)
{
	bool far;
	const char *q = quote_before(p, at, &far);
	if (!q)
		return far ? PLACE_UNKNOWN : PLACE_BETWEEN;
	char left = before(p, q), right = behind(p, q + 1);
	bool may_open = left == '{' || left == '[' || left == ',' || left == ':';
	bool may_close = right == '}' || right == ']' || right == ',' || right == ':';
	*quote = q;
	if (may_open == may_close)
		return PLACE_UNKNOWN;
	return may_open ? PLACE_STRING : PLACE_BETWEEN;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static bool is_scalar_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '+' || c == '.';
}

/* Goes over bytes that mean nothing in a string: ASCII, no quote, no backslash, no control
 * character. Eight at a time; the lowest bit that is set is exact. */
static const char *skip_text(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101u, top = 0x80 * ones;
	for (; end - p >= 8; p += 8) {
		uint64_t x;
		memcpy(&x, p, sizeof x);
		uint64_t quote = x ^ '"' * ones, slash = x ^ '\\' * ones;
		uint64_t stop = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
		                ((x - 0x20 * ones) & ~x) | x;
		if (stop & top)
			return p + __builtin_ctzll(stop & top) / 8;
	}
	return p;
}

/* Behind the string of which p is the inside, between two characters; NULL: what is left of it is
 * not good, or not plain ASCII. */
static const char *string_end(const char *p, const char *end)
{
	while ((p = skip_text(p, end)) < end) {
		unsigned char c = (unsigned char)*p;
		if (c == '"')
			return p + 1;
		if (c < 0x20 || c >= 0x80)
			return NULL;
		p++;
		if (c != '\\')
			continue;
		if (p == end)
			return NULL;
		if (*p == 'u') {
			if (!tokens_hex4(p + 1, end))
				return NULL;
			p += 4;
		} else if (!tokens_may_be_escaped(*p)) {
			return NULL;
		}
		p++;
	}
	return NULL;
}

/* Behind the string or scalar that begins at p, NULL: there is none, or it is not good. sure: so
 * many of its bytes need not be looked at. */
static const char *value_end(const char *p, const char *end, size_t sure)
{
	if (p == end)
		return NULL;
	if (*p == '"')
		return string_end(p + (sure ? sure : 1), end);
	if (!is_scalar_byte(*p) || !tokens_scalar_ok(p, end))
		return NULL;
	while (p < end && is_scalar_byte(*p))
		p++;
	return p;
}

/* Of the string that opens at `quote`, both texts have the same bytes up to `at`, and so both are
 * good up to there, if that is between two characters: ASCII stands before it, and no escape does.
 * Else 0. */
static size_t sure_bytes(const char *quote, const char *at)
{
	size_t n = (size_t)(at - quote);
	if (n <= PAIR_ESCAPE_BYTES)
		return 0;
	for (int i = 1; i <= PAIR_ESCAPE_BYTES; i++)
		if (at[-i] == '\\' || (unsigned char)at[-i] >= 0x80)
			return 0;
	return n;
}

bool pair_token(struct pair *p, struct pair_token *out)
{
	const char *at = p->was, *quote;
	size_t sure = 0;
	enum place place = place_of(p, at, &quote);
	if (place == PLACE_UNKNOWN)
		return false;
	if (place == PLACE_STRING) {
		at = quote;
		sure = sure_bytes(quote, p->was);
	} else {
		while (at > p->floor && is_scalar_byte(at[-1]))
			at--;
	}
	/* Since `floor` both were equal: the token begins at the same place in both. */
	if (at < p->floor)
		return false;
	const char *from = p->now - (p->was - at);
	const char *was_end = value_end(at, p->was_end, sure);
	const char *now_end = value_end(from, p->now_end, sure);
	if (!was_end || !now_end)
		return false;
	out->was = (struct span){at, (size_t)(was_end - at)};
	out->now = (struct span){from, (size_t)(now_end - from)};
	out->is_name = *at == '"' && behind(p, was_end) == ':';
	p->was = p->floor = was_end;
	p->now = now_end;
	return !out->is_name || *from == '"';
}

bool pair_member(const struct pair *p, const char *value, struct span *name)
{
	*name = SPAN_NONE;
	if (before(p, value) != ':')
		return true;
	const char *end = value;
	while (end[-1] != ':')
		end--;
	for (end--; tokens_is_space(end[-1]);)
		end--;
	const char *from = end - p->was_begin > PAIR_NAME_MAX ? end - PAIR_NAME_MAX : p->was_begin;
	const char *quote = memrchr(from, '"', (size_t)(end - 1 - from));
	if (memchr(quote ? quote : from, '\\', (size_t)(end - (quote ? quote : from))))
		return false;
	if (quote)
		*name = (struct span){quote, (size_t)(end - quote)};
	return true;
}
