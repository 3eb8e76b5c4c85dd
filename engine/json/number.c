#include "json/number.h"

/* Beyond the length of any document, so that more digits before or behind the point cannot make up
 * for it. */
enum { EXPONENT_MAX = INT32_MAX };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* digits: the number without its sign; exponent: what stands behind its e. The place of the first
 * digit that is not 0 gives the magnitude. */
static bool is_finite(struct span digits, long exponent)
{
	static const char limit[] = "17976931348623158";
	long place = 0; /* of the digit being looked at: 10^place */
	size_t whole = 0;
	while (whole < digits.n && is_digit(digits.p[whole]))
		whole++;
	place = (long)whole - 1;
	size_t i = 0;
	for (; i < digits.n && (digits.p[i] == '0' || digits.p[i] == '.'); i++)
		place -= digits.p[i] == '0';
	if (i == digits.n || place + exponent < 308)
		return true;
	if (place + exponent > 308)
		return false;
	for (size_t k = 0; k < sizeof limit - 1; k++, i++) {
		if (i < digits.n && digits.p[i] == '.')
			i++;
		char d = i < digits.n ? digits.p[i] : '0';
		if (d != limit[k])
			return d < limit[k];
	}
	return false;
}

const char *number_end(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	const char *start = p;
	while (p < end && is_digit(*p))
		p++;
	if (p == start || (*start == '0' && p - start > 1))
		return NULL;
	if (p < end && *p == '.') {
		const char *fraction = ++p;
		while (p < end && is_digit(*p))
			p++;
		if (p == fraction)
			return NULL;
	}
	struct span digits = {start, (size_t)(p - start)};
	long exponent = 0;
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		bool minus = p < end && *p == '-';
		if (p < end && (*p == '-' || *p == '+'))
			p++;
		const char *first = p;
		for (; p < end && is_digit(*p); p++)
			exponent = exponent < EXPONENT_MAX ? exponent * 10 + (*p - '0') : exponent;
		if (p == first)
			return NULL;
		exponent = minus ? -exponent : exponent;
	}
	return is_finite(digits, exponent) ? p : NULL;
}

bool number_int(struct span text, int64_t *out)
{
	bool minus = text.n && text.p[0] == '-';
	int64_t v = 0;
	if (text.n == minus)
		return false;
	for (size_t i = minus; i < text.n; i++) {
		int digit = text.p[i] - '0';
		if (!is_digit(text.p[i]) || __builtin_mul_overflow(v, 10, &v) ||
		        __builtin_sub_overflow(
		                v, digit, &v)) /* downwards: INT64_MIN has no positive twin */
			return false;
	}
	if (!minus && v == INT64_MIN)
		return false;
	*out = minus ? v : -v;
	return true;
}
