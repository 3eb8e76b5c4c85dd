#include "model/model_text.h"

#include "base/check.h"
#include "base/prng.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void model_text_fini(struct model_text *t)
{
	free(t->p);
	*t = (struct model_text){0};
}

char *model_text_reserve(struct model_text *t, size_t n)
{
	if (t->cap - t->n >= n)
		return t->p + t->n;
	size_t cap = t->cap ? t->cap : 256;
	while (cap - t->n < n)
		cap *= 2;
	t->p = realloc(t->p, cap);
	CHECK(t->p);
	t->cap = cap;
	return t->p + t->n;
}

void model_text_printf(struct model_text *t, const char *fmt, ...)
{
	for (size_t room = 128;;) {
		char *at = model_text_reserve(t, room);
		va_list ap;
		va_start(ap, fmt);
		int n = vsnprintf(at, t->cap - t->n, fmt, ap);
		va_end(ap);
		CHECK(n >= 0);
		if ((size_t)n < t->cap - t->n) {
			t->n += (size_t)n;
			return;
		}
		room = (size_t)n + 1;
	}
}

void model_text_u64(struct model_text *t, uint64_t v)
{
	char buf[20];
	size_t at = sizeof buf;
	do {
		buf[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	model_text_put(t, buf + at, sizeof buf - at);
}

static void quote_one(struct model_text *t, unsigned char c)
{
	switch (c) {
	case '"': TEXT_LIT(t, "\\\""); return;
	case '\\': TEXT_LIT(t, "\\\\"); return;
	case '\n': TEXT_LIT(t, "\\n"); return;
	case '\r': TEXT_LIT(t, "\\r"); return;
	case '\t': TEXT_LIT(t, "\\t"); return;
	case '\b': TEXT_LIT(t, "\\b"); return;
	case '\f': TEXT_LIT(t, "\\f"); return;
	default: model_text_printf(t, "\\u%04x", c);
	}
}

void model_text_quoted(struct model_text *t, struct span s)
{
	TEXT_LIT(t, "\"");
	size_t from = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
		if (plain)
			continue;
		model_text_put(t, s.p + from, i - from);
		quote_one(t, c);
		from = i + 1;
	}
	model_text_put(t, s.p + from, s.n - from);
	TEXT_LIT(t, "\"");
}

#define TIME_BYTES 20

struct civil {
	int64_t year;
	unsigned month, day, hour, minute, second, weekday;
};

/* Days to a date of the proleptic Gregorian calendar, by the 400-year era; years start in March so
 * that the leap day is last. */
static struct civil civil_of(int64_t unix_s)
{
	int64_t days = unix_s / 86400, rest = unix_s % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	struct civil c = {.day = doy - (153 * mp + 2) / 5 + 1, .month = mp < 10 ? mp + 3 : mp - 9};
	c.year = (int64_t)yoe + era * 400 + (c.month <= 2);
	c.hour = (unsigned)(rest / 3600);
	c.minute = (unsigned)(rest % 3600 / 60);
	c.second = (unsigned)(rest % 60);
	c.weekday = (unsigned)(((days % 7) + 11) % 7); /* 1 January 1970 was a Thursday (4) */
	return c;
}

static void put_digits(char *at, uint64_t v, unsigned width)
{
	for (unsigned i = width; i-- > 0; v /= 10)
		at[i] = (char)('0' + v % 10);
}

static void format_time(char *at, int64_t unix_s)
{
	struct civil c = civil_of(unix_s);
	memcpy(at, "0000-00-00T00:00:00Z", TIME_BYTES);
	put_digits(at, (uint64_t)c.year, 4);
	put_digits(at + 5, c.month, 2);
	put_digits(at + 8, c.day, 2);
	put_digits(at + 11, c.hour, 2);
	put_digits(at + 14, c.minute, 2);
	put_digits(at + 17, c.second, 2);
}

/* An object has two times, a list mostly the same ones: those that were written last are kept. */
void model_text_time(struct model_text *t, int64_t unix_s)
{
	static _Thread_local struct {
		int64_t unix_s;
		char text[TIME_BYTES];
		bool known;
	} kept[8];
	size_t i = (uint64_t)unix_s % ARRAY_LEN(kept);
	if (!kept[i].known || kept[i].unix_s != unix_s) {
		format_time(kept[i].text, unix_s);
		kept[i].unix_s = unix_s;
		kept[i].known = true;
	}
	model_text_put(t, kept[i].text, TIME_BYTES);
}

void model_text_http_date(struct model_text *t, int64_t unix_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c = civil_of(unix_s);
	model_text_printf(t, "%.3s, %02u %.3s %04lld %02u:%02u:%02u GMT", days + 3 * c.weekday,
	        c.day, months + 3 * (c.month - 1), (long long)c.year, c.hour, c.minute, c.second);
}

void model_text_uuid(struct model_text *t, uint64_t seed)
{
	static const char hex[] = "0123456789abcdef";
	struct prng r = {seed};
	uint64_t half[2] = {prng_next(&r), prng_next(&r)};
	half[0] = (half[0] & ~0xf000ull) | 0x4000ull;
	half[1] = (half[1] & ~(3ull << 62)) | (2ull << 62);
	char *at = model_text_reserve(t, 36);
	for (unsigned i = 0, nibble = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			at[i] = '-';
			continue;
		}
		at[i] = hex[(half[nibble / 16] >> (60 - 4 * (nibble % 16))) & 15];
		nibble++;
	}
	t->n += 36;
}

void model_text_base64(struct model_text *t, struct span s, bool url)
{
	static const char abc[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char abc_url[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *digits = url ? abc_url : abc;
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i < 3 ? s.n - i : 3;
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < left ? (unsigned char)s.p[i + k] : 0);
		char out[4] = {digits[v >> 18], digits[v >> 12 & 63],
		        left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};
		model_text_put(t, out, url ? left + 1 : 4);
	}
}
