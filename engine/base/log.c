#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level least_level = LOG_LEVEL_INFO; /* [init-only] */
static bool as_json;                                /* [init-only] */

void log_init(enum log_level least, bool json)
{
	least_level = least;
	as_json = json;
}

struct line {
	char p[LOG_LINE_BYTES];
	size_t n;
};

static void put(struct line *l, const char *s, size_t n)
{
	if (n > sizeof l->p - 1 - l->n)
		n = sizeof l->p - 1 - l->n; /* room for the newline */
	memcpy(l->p + l->n, s, n);
	l->n += n;
}

static void put_quoted(struct line *l, const char *s)
{
	put(l, "\"", 1);
	for (; *s; s++) {
		char e[8];
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			put(l, (char[]){'\\', *s}, 2);
		else if (c < 0x20 || c == 0x7F)
			put(l, e, (size_t)snprintf(e, sizeof e, "\\u%04x", c));
		else
			put(l, s, 1);
	}
	put(l, "\"", 1);
}

static void put_pair(struct line *l, const char *key, const char *value)
{
	if (as_json) {
		put(l, l->n > 1 ? "," : "", l->n > 1);
		put_quoted(l, key);
		put(l, ":", 1);
		put_quoted(l, value);
		return;
	}
	put(l, " ", l->n > 0);
	put(l, key, strlen(key));
	put(l, "=", 1);
	if (*value && !strpbrk(value, " \"=\\") && strspn(value, "\n\r\t") == 0)
		put(l, value, strlen(value));
	else
		put_quoted(l, value);
}

void log_line(enum log_level level, const char *msg, ...)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	struct line l = {.n = 0};
	char ts[40];
	struct timespec now;
	struct tm tm;
	if (level < least_level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(ts, sizeof ts, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ts + n, sizeof ts - n, ".%03ldZ", now.tv_nsec / 1000000);
	if (as_json)
		put(&l, "{", 1);
	put_pair(&l, "ts", ts);
	put_pair(&l, "level", names[level]);
	put_pair(&l, "msg", msg);
	va_list ap;
	va_start(ap, msg);
	for (int i = 0; i < LOG_FIELDS_MAX; i++) {
		const char *key = va_arg(ap, const char *);
		if (!key)
			break;
		const char *value = va_arg(ap, const char *);
		put_pair(&l, key, value ? value : "");
	}
	va_end(ap);
	if (as_json)
		put(&l, "}", 1);
	l.p[l.n++] = '\n';
	ssize_t w = write(STDERR_FILENO, l.p, l.n);
	(void)w; /* a full pipe must not stop the daemon */
}
