#include "kubering/duration.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SECONDS (10 * 366 * 86400.0)

static bool unit_of(const char **s, double *seconds)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600},
	        {"d", 86400}};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t n = strlen(units[i].name);
		if (strncmp(*s, units[i].name, n) == 0) {
			*s += n;
			*seconds = units[i].seconds;
			return true;
		}
	}
	return false;
}

bool duration_parse(const char *s, int64_t *ns)
{
	double sum = 0;
	bool first = true;
	if (!*s)
		return false;
	for (; *s; first = false) {
		char *end;
		double unit = 1;
		size_t digits = strspn(s, "0123456789.");
		double v = strtod(s, &end);
		if (digits == 0 || end != s + digits)
			return false; /* signs, hex, exponents, "inf", 1.2.3 */
		bool bare = *end == '\0' && first;
		s = end;
		if (!bare && !unit_of(&s, &unit))
			return false;
		sum += v * unit;
	}
	if (!(sum <= MAX_SECONDS))
		return false;
	*ns = (int64_t)llround(sum * 1e9);
	return true;
}

static void pair(
        char out[DURATION_BYTES], int64_t a, const char *unit_a, int64_t b, const char *unit_b)
{
	if (b == 0)
		snprintf(out, DURATION_BYTES, "%" PRId64 "%s", a, unit_a);
	else
		snprintf(out, DURATION_BYTES, "%" PRId64 "%s%" PRId64 "%s", a, unit_a, b, unit_b);
}

void duration_human(int64_t s, char out[DURATION_BYTES])
{
	int64_t m = s / 60, h = s / 3600, d = h / 24, y = d / 365;
	if (s < -1)
		snprintf(out, DURATION_BYTES, "<invalid>");
	else if (s < 0)
		pair(out, 0, "s", 0, "");
	else if (s < 60 * 2)
		pair(out, s, "s", 0, "");
	else if (m < 10)
		pair(out, m, "m", s % 60, "s");
	else if (m < 60 * 3)
		pair(out, m, "m", 0, "");
	else if (h < 8)
		pair(out, h, "h", m % 60, "m");
	else if (h < 48)
		pair(out, h, "h", 0, "");
	else if (h < 24 * 8)
		pair(out, d, "d", h % 24, "h");
	else if (d < 365 * 2)
		pair(out, d, "d", 0, "");
	else if (d < 365 * 8)
		pair(out, y, "y", d % 365, "d");
	else
		pair(out, y, "y", 0, "");
}

static bool digits(const char **p, const char *end, int n, int64_t *v)
{
	*v = 0;
	for (; n > 0; n--, (*p)++) {
		if (*p >= end || **p < '0' || **p > '9')
			return false;
		*v = *v * 10 + (**p - '0');
	}
	return true;
}

static bool one_of(const char **p, const char *end, const char *set)
{
	return *p < end && **p != '\0' && strchr(set, *(*p)++) != NULL;
}

/* Days from 1970-01-01 in the Gregorian calendar; years are counted from March. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t era = y / 400, yoe = y - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

bool duration_parse_time(struct span s, int64_t *unix_seconds)
{
	const char *p = s.p, *end = s.p + s.n;
	int64_t y, mo, d, h, mi, se, oh = 0, om = 0;
	if (s.n < 20 || !digits(&p, end, 4, &y) || !one_of(&p, end, "-") ||
	        !digits(&p, end, 2, &mo) || !one_of(&p, end, "-") || !digits(&p, end, 2, &d) ||
	        !one_of(&p, end, "Tt ") || !digits(&p, end, 2, &h) || !one_of(&p, end, ":") ||
	        !digits(&p, end, 2, &mi) || !one_of(&p, end, ":") || !digits(&p, end, 2, &se))
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || se > 60)
		return false;
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9';)
			p++;
	int64_t sign = 0;
	if (p < end && (*p == '+' || *p == '-')) {
		sign = *p++ == '+' ? 1 : -1;
		if (!digits(&p, end, 2, &oh) || !one_of(&p, end, ":") || !digits(&p, end, 2, &om))
			return false;
	} else if (!one_of(&p, end, "Zz")) {
		return false;
	}
	*unix_seconds = days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + se -
	                sign * (oh * 3600 + om * 60);
	return p == end;
}
