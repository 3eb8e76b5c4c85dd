#include "headlamp/quoted.h"

#include "json/unescape.h"

void quoted_moves_init(struct quoted_moves *m)
{
	for (unsigned mask = 0; mask < 256; mask++) {
		unsigned n = 0;
		for (unsigned bit = 0; bit < 8; bit++)
			if (mask >> bit & 1)
				m->at[mask][n++] = (uint8_t)bit;
		while (n < 8)
			m->at[mask][n++] = 0x80; /* a zero */
	}
}

/* Four hexadecimal digits at p, before end; -1: they are not. */
static int32_t hex4(const char *p, const char *end)
{
	int32_t v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int c = (unsigned char)p[i], digit = c - '0';
		if (c >= 'A')
			digit = (c | 0x20) - 'a' < 6 && (c | 0x20) >= 'a' ? (c | 0x20) - 'a' + 10
			                                                  : -1;
		else if (c > '9')
			digit = -1;
		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

static bool unicode_escape(struct quoted *q)
{
	int32_t unit = hex4(q->p + 2, q->end);
	if (unit < 0)
		return false;
	if (unit < 0x80) { /* \u0026 of a query: what Go's encoder makes of & < > */
		*q->to++ = (char)unit;
		q->p += 6;
		return true;
	}
	size_t n = 6;
	if (unit >= 0xD800 && unit < 0xDC00 && q->end - q->p >= 12 && q->p[6] == '\\' &&
	        q->p[7] == 'u') {
		int32_t low = hex4(q->p + 8, q->end);
		if (low >= 0xDC00 && low <= 0xDFFF)
			n = 12;
	}
	q->to += unescape(q->to, (struct span){q->p, n}, NULL);
	q->p += n;
	return true;
}

bool quoted_escape(struct quoted *q)
{
	if (q->end - q->p < 2)
		return false;
	char c = q->p[1];
	switch (c) {
	case '"':
	case '\\':
	case '/': break;
	case 'b': c = '\b'; break;
	case 'f': c = '\f'; break;
	case 'n': c = '\n'; break;
	case 'r': c = '\r'; break;
	case 't': c = '\t'; break;
	case 'u': return unicode_escape(q);
	default: return false;
	}
	*q->to++ = c;
	q->p += 2;
	return true;
}

/* Is any byte of x a quote, a backslash or a control character? The lowest byte marked really is
 * one. */
static uint64_t special8(uint64_t x)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t quote = x ^ '"' * ones, backslash = x ^ '\\' * ones;
	return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
	               ((x - 0x20 * ones) & ~x)) &
	       0x80 * ones;
}

static bool portable(struct quoted *q, const struct quoted_moves *m)
{
	(void)m;
	while (q->p < q->end) {
		uint64_t x;
		memcpy(&x, q->p, 8);
		memcpy(q->to, &x, 8);
		if (q->end - q->p >= 8 && !special8(x)) {
			q->p += 8;
			q->to += 8;
			continue;
		}
		unsigned char c = (unsigned char)*q->p;
		if (c == '"') {
			q->p++;
			return true;
		}
		if (c < 0x20 || (c == '\\' && !quoted_escape(q)))
			return false;
		if (c != '\\') {
			q->p++;
			q->to++;
		}
	}
	return false;
}

quoted_fn quoted_of(enum quoted_kernel k)
{
#if defined(__x86_64__)
	if (k == QUOTED_AVX512)
		return __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw")
		               ? quoted_avx512
		               : NULL;
	if (k == QUOTED_AVX2)
		return __builtin_cpu_supports("avx2") ? quoted_avx2 : NULL;
#endif
	return k == QUOTED_PORTABLE ? portable : NULL;
}

quoted_fn quoted_best(void)
{
	quoted_fn best = NULL;
	for (int k = QUOTED_AVX512; !best; k--)
		best = quoted_of((enum quoted_kernel)k);
	return best;
}
