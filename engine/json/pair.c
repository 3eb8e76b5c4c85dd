#include "json/pair.h"

#include <stdint.h>

#include "json/tokens.h"

enum { PAIR_BACK_MAX = 4096, PAIR_NAME_MAX = 32 };

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

static size_t equal_bytes(const char *a, const char *b, size_t n)
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

/* Backslashes stand in strings only, so a quote behind an odd number of them is text. */
static bool is_escaped(const struct pair *p, const char *quote)
{
	const char *q = quote;
	while (q > p->was_begin && q[-1] == '\\')
		q--;
	return (quote - q) & 1;
}

enum place { PLACE_STRING, PLACE_BETWEEN, PLACE_UNKNOWN };

/* Is `at` inside of a string? The nearest quote before it opens a string or closes one: an opening
 * one stands behind { [ , or :, a closing one before } ] , or :. Text that looks like both is rare,
 * and stays unknown. *quote: the one that opens the string. */
static enum place place_of(const struct pair *p, const char *at, const char **quote)
{
	const char *q = at;
	for (int i = 0;; i++) {
		if (q == p->was_begin)
			return PLACE_BETWEEN;
		if (i == PAIR_BACK_MAX)
			return PLACE_UNKNOWN;
		q--;
		if (*q == '"' && !is_escaped(p, q))
			break;
	}
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

/* Behind the string that opens at p; NULL: it is not good, or not plain ASCII. */
static const char *string_end(const char *p, const char *end)
{
	for (p = skip_text(p + 1, end); p < end; p++) {
		unsigned char c = (unsigned char)*p;
		if (c == '"')
			return p + 1;
		if (c < 0x20 || c >= 0x80)
			return NULL;
		if (c != '\\')
			continue;
		if (++p == end)
			return NULL;
		if (*p == 'u') {
			if (!tokens_hex4(p + 1, end))
				return NULL;
			p += 4;
		} else if (!tokens_may_be_escaped(*p)) {
			return NULL;
		}
	}
	return NULL;
}

/* Behind the string or scalar that begins at p, NULL: there is none, or it is not good. */
static const char *value_end(const char *p, const char *end)
{
	if (p == end)
		return NULL;
	if (*p == '"')
		return string_end(p, end);
	if (!is_scalar_byte(*p) || !tokens_scalar_ok(p, end))
		return NULL;
	while (p < end && is_scalar_byte(*p))
		p++;
	return p;
}

bool pair_token(struct pair *p, struct pair_token *out)
{
	const char *at = p->was, *quote;
	enum place place = place_of(p, at, &quote);
	if (place == PLACE_UNKNOWN)
		return false;
	if (place == PLACE_STRING)
		at = quote;
	else
		while (at > p->floor && is_scalar_byte(at[-1]))
			at--;
	/* Since `floor` both were equal: the token begins at the same place in both. */
	if (at < p->floor)
		return false;
	const char *from = p->now - (p->was - at);
	const char *was_end = value_end(at, p->was_end), *now_end = value_end(from, p->now_end);
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
	for (const char *q = end - 1; q > p->was_begin && end - q < PAIR_NAME_MAX;) {
		q--;
		if (*q == '\\')
			return false;
		if (*q == '"') {
			*name = (struct span){q, (size_t)(end - q)};
			return true;
		}
	}
	return true;
}
