#include "config/redact.h"

#include <stdbool.h>
#include <stdint.h>
#include <strings.h>

#include "base/check.h"

static struct span redact_first_line(struct span t)
{
	while (t.n > 0 && (unsigned char)*t.p <= ' ') {
		t.p++;
		t.n--;
	}
	const char *end = t.n > 0 ? memchr(t.p, '\n', t.n) : NULL;
	if (end)
		t.n = (size_t)(end - t.p);
	while (t.n > 0 && (unsigned char)t.p[t.n - 1] <= ' ')
		t.n--;
	return t;
}

static bool redact_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool redact_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Both base64 alphabets and hex, without '/', '=' and '.': paths, host names and flags must stay
 * readable, and the parts of a JWT are long enough each. */
static bool redact_is_run(char c)
{
	return redact_is_letter(c) || redact_is_digit(c) || c == '_' || c == '-' || c == '+';
}

/* Length of what looks like a token at the start of t, else 0. */
static size_t redact_token(struct span t)
{
	size_t n = 0;
	bool digit = false;
	while (n < t.n && redact_is_run(t.p[n])) {
		digit = digit || redact_is_digit(t.p[n]);
		n++;
	}
	return n >= REDACT_RUN_MIN && digit ? n : 0;
}

static size_t redact_value(struct span t, const struct span *values, size_t count)
{
	size_t longest = 0;
	for (size_t i = 0; i < count; i++)
		if (values[i].n >= REDACT_VALUE_MIN && values[i].n > longest &&
		        span_starts(t, values[i]))
			longest = values[i].n;
	return longest;
}

/* "password: x", "token=x", "Authorization: Bearer x": length of the word and its separator, 0 if
 * there is none here. */
static size_t redact_keyword(struct span t)
{
	static const char *const words[] = {"password", "passwd", "token", "secret", "bearer",
	        "basic", "authorization", "api_key", "apikey", "access_key"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);
		if (t.n <= n || strncasecmp(t.p, words[i], n) != 0)
			continue;
		size_t at = n;
		while (at < t.n && (t.p[at] == '"' || t.p[at] == '\''))
			at++;
		size_t sep = at;
		while (at < t.n && (t.p[at] == ' ' || t.p[at] == ':' || t.p[at] == '='))
			at++;
		/* "token expired" is prose; only a sign, or a scheme name before its credential,
		 * makes it an assignment */
		bool sign = memchr(t.p + sep, ':', at - sep) || memchr(t.p + sep, '=', at - sep);
		bool scheme = words[i][0] == 'b' && at > sep;
		if (sign || scheme)
			return at;
	}
	return 0;
}

static size_t redact_word(struct span t)
{
	size_t n = 0;
	while (n < t.n && t.p[n] != ' ' && t.p[n] != ',' && t.p[n] != ';' && t.p[n] != '&')
		n++;
	return n;
}

struct redact_out {
	char *p;
	size_t n;
};

static void redact_put(struct redact_out *o, const char *p, size_t n)
{
	for (size_t i = 0; i < n && o->n < REDACT_LINE_MAX; i++) {
		unsigned char c = (unsigned char)p[i];
		o->p[o->n++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
}

void redact_line(struct span text, const struct span *values, size_t value_count,
        char out[REDACT_LINE_MAX + 1])
{
	struct redact_out o = {out, 0};
	struct span t = redact_first_line(text);
	while (t.n > 0 && o.n < REDACT_LINE_MAX) {
		size_t hide = redact_value(t, values, value_count);
		size_t keep = hide > 0 ? 0 : redact_keyword(t);
		if (keep > 0) {
			/* two words may follow each other: "Authorization: Bearer x" */
			struct span rest = {t.p + keep, t.n - keep};
			hide = redact_keyword(rest) > 0 ? 0 : redact_word(rest);
		} else if (hide == 0) {
			hide = redact_token(t);
			keep = hide > 0 ? 0 : 1;
		}
		redact_put(&o, t.p, keep);
		if (hide > 0)
			redact_put(&o, "***", 3);
		t.p += keep + hide;
		t.n -= keep + hide;
	}
	out[o.n] = '\0';
}
