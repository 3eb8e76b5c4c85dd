#include "base/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

static enum log_level least_level = LOG_LEVEL_INFO; /* [init-only] */
static bool as_json;                                /* [init-only] */

void log_init(enum log_level least, bool json)
{
	least_level = least;
	as_json = json;
}

/* Lines that stderr did not take: nobody reads it, or its disk is full. */
static atomic_ullong lost, lost_ever;
static atomic_bool is_torn; /* the last one is there in part, without its end */

unsigned long long log_lost(void)
{
	return atomic_load_explicit(&lost_ever, memory_order_relaxed);
}

static void lose(void)
{
	atomic_fetch_add(&lost, 1);
	atomic_fetch_add(&lost_ever, 1);
}

/* A closing quote, a closing bracket, the newline: room for them is never given away. */
enum { LOG_END_BYTES = 3, QUOTE_BYTES = 8 };

struct line {
	char p[LOG_LINE_BYTES];
	size_t n;
};

static size_t room(const struct line *l)
{
	size_t max = sizeof l->p - LOG_END_BYTES;
	return l->n < max ? max - l->n : 0;
}

static void put(struct line *l, const char *s, size_t n)
{
	if (n > room(l))
		n = room(l);
	memcpy(l->p + l->n, s, n);
	l->n += n;
}

/* One character as it stands between quotes; *s moves behind it. */
static size_t quote(const char **s, char out[QUOTE_BYTES])
{
	unsigned char c = (unsigned char)**s;
	size_t len = utf8_at((const unsigned char *)*s, strlen(*s));
	*s += len ? len : 1;
	if (!len)
		return (size_t)snprintf(out, QUOTE_BYTES, UTF8_REPLACEMENT);
	if (c == '"' || c == '\\')
		return (size_t)snprintf(out, QUOTE_BYTES, "\\%c", c);
	if (c < 0x20 || c == 0x7F)
		return (size_t)snprintf(out, QUOTE_BYTES, "\\u%04x", c);
	memcpy(out, *s - len, len);
	return len;
}

static void put_quoted(struct line *l, const char *s)
{
	char one[QUOTE_BYTES];
	put(l, "\"", 1);
	while (*s) {
		size_t n = quote(&s, one);
		if (n > room(l))
			break;
		put(l, one, n);
	}
	l->p[l->n++] = '"';
}

/* Can it stand without quotes? What is no text, ends lines or moves cursors cannot. */
static bool is_plain(const char *s)
{
	const char *p = s;
	for (; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7F || strchr("\"=\\", *p))
			return false;
	return p != s;
}

static void put_pair(struct line *l, const char *key, const char *value)
{
	if (room(l) < strlen(key) + 8)
		return; /* the line is full */
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
	if (is_plain(value))
		put(l, value, strlen(value));
	else
		put_quoted(l, value);
}

static void begin(struct line *l, enum log_level level, const char *msg)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	char ts[40];
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(ts, sizeof ts, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ts + n, sizeof ts - n, ".%03ldZ", now.tv_nsec / 1000000);
	l->n = 0;
	if (as_json)
		put(l, "{", 1);
	put_pair(l, "ts", ts);
	put_pair(l, "level", names[level]);
	put_pair(l, "msg", msg);
}

/* false: it is not in the log, or not whole. */
static bool end(struct line *l)
{
	if (as_json)
		l->p[l->n++] = '}';
	l->p[l->n++] = '\n';
	if (atomic_load(&is_torn) && write(STDERR_FILENO, "\n", 1) != 1)
		return false;
	ssize_t w = write(STDERR_FILENO, l->p, l->n);
	atomic_store(&is_torn, w > 0 && (size_t)w < l->n);
	return w == (ssize_t)l->n;
}

/* A pipe or terminal whose reader has stopped must not stop the daemon. One that can be written to
 * takes a whole line: pipe(7) says so for what is not longer than PIPE_BUF. */
_Static_assert((int)LOG_LINE_BYTES <= PIPE_BUF, "a line is one write that does not wait");
static bool can_write(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	return poll(&p, 1, 0) != 0;
}

static void tell_lost(void)
{
	struct line l;
	char count[24];
	unsigned long long n = atomic_exchange(&lost, 0);
	if (!n)
		return;
	snprintf(count, sizeof count, "%llu", n);
	begin(&l, LOG_LEVEL_WARN,
	        "log lines were lost, because stderr was not read or its disk was full");
	put_pair(&l, "lines", count);
	if (!end(&l))
		atomic_fetch_add(&lost, n);
}

void log_line(enum log_level level, const char *msg, ...)
{
	struct line l;
	va_list ap;
	if (level < least_level)
		return;
	if (can_write())
		tell_lost();
	if (!can_write()) { /* again: that was a line too */
		lose();
		return;
	}
	begin(&l, level, msg);
	va_start(ap, msg);
	for (int i = 0; i < LOG_FIELDS_MAX; i++) {
		const char *key = va_arg(ap, const char *);
		if (!key)
			break;
		const char *value = va_arg(ap, const char *);
		put_pair(&l, key, value ? value : "");
	}
	va_end(ap);
	if (!end(&l))
		lose();
}
