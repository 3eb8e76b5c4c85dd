#include "config/rfc3339.h"

#include <stdio.h>

/* n digits at text[at]; -1 if they are not there. */
static int rfc3339_number(struct span t, size_t at, size_t n)
{
	int v = 0;
	if (at + n > t.n)
		return -1;
	for (size_t i = at; i < at + n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return -1;
		v = v * 10 + (t.p[i] - '0');
	}
	return v;
}

static bool rfc3339_is(struct span t, size_t at, char c)
{
	return at < t.n && t.p[at] == c;
}

static bool rfc3339_leap(int y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int rfc3339_days_in(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[m - 1] + (m == 2 && rfc3339_leap(y));
}

/* Days from 1970-01-01 to y-m-d in the proleptic Gregorian calendar; a year starts in March here,
 * so the leap day is its last. */
static int64_t rfc3339_days(int y, int m, int d)
{
	int64_t year = m <= 2 ? y - 1 : y;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

/* "Z" or "+hh:mm" from at to the end, in seconds. */
static bool rfc3339_offset(struct span t, size_t at, int64_t *out)
{
	*out = 0;
	if (rfc3339_is(t, at, 'Z'))
		return at + 1 == t.n;
	if (!rfc3339_is(t, at, '+') && !rfc3339_is(t, at, '-'))
		return false;
	int h = rfc3339_number(t, at + 1, 2), m = rfc3339_number(t, at + 4, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59 || t.p[at + 3] != ':' || at + 6 != t.n)
		return false;
	*out = (t.p[at] == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return true;
}

bool rfc3339_parse(struct span t, int64_t *unix_s)
{
	int year = rfc3339_number(t, 0, 4), month = rfc3339_number(t, 5, 2);
	int day = rfc3339_number(t, 8, 2), hour = rfc3339_number(t, 11, 2);
	int minute = rfc3339_number(t, 14, 2), second = rfc3339_number(t, 17, 2);
	if (!rfc3339_is(t, 4, '-') || !rfc3339_is(t, 7, '-') || !rfc3339_is(t, 10, 'T') ||
	        !rfc3339_is(t, 13, ':') || !rfc3339_is(t, 16, ':'))
		return false;
	if (year < 0 || month < 1 || month > 12 || day < 1 || day > rfc3339_days_in(year, month))
		return false;
	/* 60 is a leap second (RFC 3339 5.6); it counts as the first second of the next minute. */
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	size_t at = 19;
	if (rfc3339_is(t, at, '.')) {
		size_t first = ++at;
		while (at < t.n && t.p[at] >= '0' && t.p[at] <= '9')
			at++;
		if (at == first)
			return false;
	}
	int64_t offset;
	if (!rfc3339_offset(t, at, &offset))
		return false;
	*unix_s = rfc3339_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
	          offset;
	return true;
}

const char *rfc3339_format(int64_t unix_s, char buf[RFC3339_BYTES])
{
	if (unix_s < -62167219200 || unix_s > 253402300799) {
		snprintf(buf, RFC3339_BYTES, "out of range");
		return buf;
	}
	int64_t days = unix_s / 86400, seconds = unix_s % 86400;
	if (seconds < 0) {
		seconds += 86400;
		days--;
	}
	days += 719468; /* the inverse of rfc3339_days */
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t m = (5 * day_of_year + 2) / 153;
	unsigned day = (unsigned)(day_of_year - (153 * m + 2) / 5 + 1) % 100;
	unsigned month = (unsigned)(m < 10 ? m + 3 : m - 9) % 100;
	unsigned year = (unsigned)(year_of_era + era * 400 + (month <= 2)) % 10000;
	snprintf(buf, RFC3339_BYTES, "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month, day,
	        (unsigned)(seconds / 3600) % 100, (unsigned)(seconds / 60 % 60),
	        (unsigned)(seconds % 60));
	return buf;
}
