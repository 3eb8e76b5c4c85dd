/* Dates of RFC 9110 5.6.7 and what Retry-After makes of them. The calendar is proleptic Gregorian,
 * without leap seconds, as Unix time is. */
#include "wire/http1.h"

#include "wire/http1_head.h"

struct date {
	int year, month, day, hour, minute, second; /* month 1..12 */
};

/* Reads exactly `digits` digits; -1 if they are not there. */
static int take_number(struct span *s, unsigned digits)
{
	int v = 0;
	if (s->n < digits)
		return -1;
	for (unsigned i = 0; i < digits; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return -1;
		v = v * 10 + (s->p[i] - '0');
	}
	s->p += digits;
	s->n -= digits;
	return v;
}

static bool take_text(struct span *s, struct span text)
{
	if (!span_starts(*s, text))
		return false;
	s->p += text.n;
	s->n -= text.n;
	return true;
}

static int take_month(struct span *s)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (int i = 0; i < 12; i++)
		if (take_text(s, (struct span){names + 3 * i, 3}))
			return i + 1;
	return -1;
}

static bool take_time(struct span *s, struct date *d)
{
	d->hour = take_number(s, 2);
	if (d->hour < 0 || !take_text(s, SPAN(":")))
		return false;
	d->minute = take_number(s, 2);
	if (d->minute < 0 || !take_text(s, SPAN(":")))
		return false;
	d->second = take_number(s, 2);
	return d->second >= 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", behind the comma; or "06-Nov-94", whose century is a guess. */
static bool take_fixdate(struct span *s, struct date *d)
{
	if (!take_text(s, SPAN(" ")))
		return false;
	d->day = take_number(s, 2);
	bool dashes = take_text(s, SPAN("-"));
	if (!dashes && !take_text(s, SPAN(" ")))
		return false;
	d->month = take_month(s);
	if (!take_text(s, dashes ? SPAN("-") : SPAN(" ")))
		return false;
	d->year = take_number(s, dashes ? 2 : 4);
	if (dashes && d->year >= 0)
		d->year += d->year >= 70 ? 1900 : 2000;
	return take_text(s, SPAN(" ")) && take_time(s, d) && take_text(s, SPAN(" GMT"));
}

/* "Sun Nov  6 08:49:37 1994", behind the day's name and its space. */
static bool take_asctime(struct span *s, struct date *d)
{
	d->month = take_month(s);
	if (!take_text(s, SPAN(" ")))
		return false;
	d->day = take_number(s, take_text(s, SPAN(" ")) ? 1 : 2);
	if (!take_text(s, SPAN(" ")) || !take_time(s, d) || !take_text(s, SPAN(" ")))
		return false;
	d->year = take_number(s, 4);
	return true;
}

static bool is_date(const struct date *d)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (d->year < 1900 || d->month < 1 || d->month > 12 || d->day < 1)
		return false;
	bool leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
	if (d->day > days[d->month - 1] + (d->month == 2 && leap))
		return false;
	return d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

/* Days since 1970-01-01. The year is counted from March, so that the leap day is its last. */
static int64_t days_of(const struct date *d)
{
	int64_t year = d->month <= 2 ? d->year - 1 : d->year;
	int64_t month = d->month <= 2 ? d->month + 9 : d->month - 3;
	int64_t day_of_year = (153 * month + 2) / 5 + d->day - 1;
	return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

bool http1_parse_date(struct span text, int64_t *unix_s)
{
	struct date d = {0};
	size_t name = 0; /* the day's name is not checked against the date */
	while (name < text.n && text.p[name] != ',' && text.p[name] != ' ')
		name++;
	if (name < 3 || name == text.n)
		return false;
	bool comma = text.p[name] == ',';
	struct span s = {text.p + name + 1, text.n - name - 1};
	if (!(comma ? take_fixdate(&s, &d) : take_asctime(&s, &d)) || s.n != 0 || !is_date(&d))
		return false;
	*unix_s = days_of(&d) * 86400 + d.hour * 3600 + d.minute * 60 + d.second;
	return true;
}

bool http1_retry_after(const struct http1_head *h, int64_t wall_s, int64_t *seconds)
{
	struct span v = h->retry_after;
	int64_t n = 0, then, now;
	size_t i = 0;
	for (; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		if (n < INT32_MAX)
			n = n * 10 + (v.p[i] - '0');
	if (v.n == 0)
		return false;
	if (i < v.n) {
		if (!http1_parse_date(v, &then))
			return false;
		if (!http1_parse_date(h->date, &now))
			now = wall_s;
		n = then > now ? then - now : 0;
	}
	*seconds = n < INT32_MAX ? n : INT32_MAX;
	return true;
}
