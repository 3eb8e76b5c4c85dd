#include "kubering/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/kubering.h"
#include "kubering/text.h"

static void wipe(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

/* Names and messages in it may be of a server that is not ours to trust. */
static void put_safe(const char *fmt, va_list ap)
{
	struct text raw = {0}, safe = {0};
	text_vprintf(&raw, fmt, ap);
	text_add_safe(&safe, (struct span){raw.p, raw.n});
	fputs(text_cstr(&safe), stderr);
	text_fini(&raw);
	text_fini(&safe);
}

static void line(const char *label, enum say_color color, const char *fmt, va_list ap)
{
	wipe();
	if (label)
		fprintf(stderr, "%s%s:%s ", say_color(stderr, color), label,
		        say_color(stderr, SAY_PLAIN));
	put_safe(fmt, ap);
	fputc('\n', stderr);
}

void say_error(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line("error", SAY_RED, fmt, ap);
	va_end(ap);
}

void say_warning(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line("warning", SAY_YELLOW, fmt, ap);
	va_end(ap);
}

void say_note(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	line(NULL, SAY_PLAIN, fmt, ap);
	va_end(ap);
}

int say_result(const struct kr_client *client, int result, const char *subject)
{
	const char *why = kr_last_error(client);
	if (!*why)
		why = kr_strerror(result);
	if (subject)
		say_error("%s: %s", subject, why);
	else
		say_error("%s", why);
	if (result == KR_TIMEOUT)
		return CODE_TIMED_OUT;
	return result == KR_ERR_UNREACHABLE ? CODE_UNREACHABLE : CODE_FAILED;
}

void say_progress(const char *fmt, ...)
{
	va_list ap;
	if (!isatty(STDERR_FILENO))
		return;
	wipe();
	fputs("\033[?7l", stderr); /* cut at the edge: what wraps, wipe() could not take back */
	va_start(ap, fmt);
	put_safe(fmt, ap);
	va_end(ap);
	fputs("\033[?7h", stderr);
	fflush(stderr);
}

void say_progress_end(void)
{
	wipe();
}

const char *say_color(FILE *f, enum say_color color)
{
	static const char *const codes[] = {
	        "\033[0m", "\033[31m", "\033[32m", "\033[33m", "\033[2m", "\033[1m"};
	const char *off = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	if ((off && *off) || (term && strcmp(term, "dumb") == 0) || !isatty(fileno(f)))
		return "";
	return codes[color];
}

int say_close(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	say_error("cannot write to stdout: %s", strerror(errno));
	return code ? code : CODE_FAILED;
}
