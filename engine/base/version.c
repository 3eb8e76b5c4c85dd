#include "base/version.h"

bool version_is_decimal(struct span v)
{
	if (v.n == 0 || v.p[0] == '0')
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	return true;
}

uint64_t version_number(struct span v)
{
	uint64_t number = 0;
	if (v.n == 0 || v.n > 20 || v.p[0] == '0')
		return 0;
	for (size_t i = 0; i < v.n; i++) {
		unsigned digit = (unsigned char)v.p[i] - '0';
		if (digit > 9)
			return 0;
		if (i == 19 && /* the only place where 64 bits may not do */
		        number > (UINT64_MAX - digit) / 10)
			return 0;
		number = number * 10 + digit;
	}
	return number;
}

enum version_order version_compare(struct span a, struct span b)
{
	if (span_eq(a, b))
		return VERSION_EQUAL;
	if (!version_is_decimal(a) || !version_is_decimal(b))
		return VERSION_UNORDERED;
	if (a.n != b.n)
		return a.n < b.n ? VERSION_LESS : VERSION_GREATER;
	return memcmp(a.p, b.p, a.n) < 0 ? VERSION_LESS : VERSION_GREATER;
}
