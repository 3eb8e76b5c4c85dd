/* log_test.c - lines on stderr: what is in them, and that nobody has to read them. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

enum { PATIENCE_S = 60 }; /* whoever waits for the reader waits for ever: the alarm ends the test */

struct sink { /* stderr, as long as it is ours */
	int read_fd, write_fd, old;
};

static void sink_init(struct sink *s)
{
	int fds[2];
	fflush(stderr);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	*s = (struct sink){fds[0], fds[1], dup(STDERR_FILENO)};
	assert_true(s->old >= 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
}

/* What is there, without waiting. */
static size_t take(const struct sink *s, char *out, size_t size)
{
	assert_int_equal(fcntl(s->read_fd, F_SETFL, O_NONBLOCK), 0);
	size_t n = 0;
	for (ssize_t got; n < size - 1 && (got = read(s->read_fd, out + n, size - 1 - n)) > 0;)
		n += (size_t)got;
	out[n] = 0;
	return n;
}

static void sink_fini(struct sink *s)
{
	assert_int_equal(dup2(s->old, STDERR_FILENO), STDERR_FILENO);
	close(s->old), close(s->read_fd), close(s->write_fd);
}

/* The line without its time. */
static void line_of(bool json, const char *key, const char *value, char *out, size_t size)
{
	struct sink s;
	char buf[2 * LOG_LINE_BYTES];
	log_init(LOG_LEVEL_INFO, json);
	sink_init(&s);
	log_line(LOG_LEVEL_WARN, "m", key, value, NULL);
	size_t n = take(&s, buf, sizeof buf);
	sink_fini(&s);
	assert_true(n > 0 && n <= LOG_LINE_BYTES);
	assert_int_equal(buf[n - 1], '\n');
	assert_ptr_equal(strchr(buf, '\n'), buf + n - 1);
	buf[n - 1] = 0;
	const char *from = strstr(buf, json ? "\"level\"" : "level");
	assert_non_null(from);
	snprintf(out, size, "%s", from);
}

static void nobody_has_to_read_it(void **state)
{
	static char all[1 << 17];
	struct sink s;
	(void)state;
	log_init(LOG_LEVEL_INFO, false);
	sink_init(&s);
	assert_int_equal(fcntl(s.write_fd, F_SETFL, O_NONBLOCK), 0);
	while (write(s.write_fd, "full\n", 5) == 5)
		continue;
	assert_int_equal(fcntl(s.write_fd, F_SETFL, 0), 0);
	alarm(PATIENCE_S);
	log_line(LOG_LEVEL_WARN, "one", NULL);
	log_line(LOG_LEVEL_WARN, "two", NULL);
	alarm(0);
	size_t n = take(&s, all, sizeof all);
	assert_true(n > 4096);
	assert_null(strstr(all, "one"));
	log_line(LOG_LEVEL_WARN, "three", NULL);
	log_line(LOG_LEVEL_WARN, "four", NULL);
	take(&s, all, sizeof all);
	const char *lost = strstr(all, "lines=2");
	assert_non_null(lost);
	assert_true(lost < strstr(all, "msg=three"));
	assert_non_null(strstr(all, "msg=four"));
	assert_null(strstr(lost + 1, "lines="));
	sink_fini(&s);
}

/* The disk under a file is full in the middle of a line, and then is not. RLIMIT_FSIZE stands for
 * it: a write of what fits, then errors. */
static void what_a_full_disk_has_not_taken_is_counted(void **state)
{
	struct rlimit before, full;
	struct sink s;
	char all[4 * LOG_LINE_BYTES];
	unsigned long long ever = log_lost();
	FILE *file = tmpfile();
	(void)state;
	assert_non_null(file);
	log_init(LOG_LEVEL_INFO, false);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	sink_init(&s);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	log_line(LOG_LEVEL_WARN, "one", NULL);
	full = before;
	full.rlim_cur = (rlim_t)lseek(STDERR_FILENO, 0, SEEK_CUR) + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	log_line(LOG_LEVEL_WARN, "two", NULL);
	log_line(LOG_LEVEL_WARN, "three", NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	log_line(LOG_LEVEL_WARN, "four", NULL);
	log_line(LOG_LEVEL_WARN, "five", NULL);
	ssize_t n = pread(STDERR_FILENO, all, sizeof all - 1, 0);
	sink_fini(&s);
	fclose(file);
	assert_true(n > 0);
	all[n] = 0;
	assert_int_equal(log_lost() - ever, 2);
	const char *lost = strstr(all, "lines=2\n");
	assert_non_null(lost);
	assert_null(strstr(lost + 1, "lines="));
	assert_true(lost < strstr(all, "msg=four\n"));
	assert_non_null(strstr(all, "msg=five\n"));
	const char *line = lost;
	while (strncmp(line, "\nts=", 4) != 0)
		assert_ptr_not_equal(--line, all);
	assert_true(
	        strstr(line + 4, "ts=") > lost); /* what there is of "two" is a line of its own */
}

static void a_value_ends_no_line_and_moves_no_cursor(void **state)
{
	char out[LOG_LINE_BYTES];
	(void)state;
	line_of(false, "k", "plain-1", out, sizeof out);
	assert_string_equal(out, "level=warn msg=m k=plain-1");
	line_of(false, "k", "", out, sizeof out);
	assert_string_equal(out, "level=warn msg=m k=\"\"");
	line_of(false, "k", "a\nb", out, sizeof out);
	assert_string_equal(out, "level=warn msg=m k=\"a\\u000ab\"");
	line_of(false, "k", "a\033[2Jb", out, sizeof out);
	assert_string_equal(out, "level=warn msg=m k=\"a\\u001b[2Jb\"");
	line_of(false, "k", "a\x7f", out, sizeof out);
	assert_string_equal(out, "level=warn msg=m k=\"a\\u007f\"");
}

/* A message that was cut in the middle of a character, or a name that never was text. */
static void json_is_utf8(void **state)
{
	char out[LOG_LINE_BYTES];
	(void)state;
	line_of(true, "k", "gr\xc3\xbc\xc3\x9f", out, sizeof out);
	assert_string_equal(out, "\"level\":\"warn\",\"msg\":\"m\",\"k\":\"gr\xc3\xbc\xc3\x9f\"}");
	line_of(true, "k", "gr\xc3", out, sizeof out);
	assert_string_equal(out, "\"level\":\"warn\",\"msg\":\"m\",\"k\":\"gr\xef\xbf\xbd\"}");
	line_of(false, "k", "\xff", out, sizeof out);
	assert_string_equal(out, "level=warn msg=m k=\"\xef\xbf\xbd\"");
}

/* A line that is too long is cut, and is a line all the same. */
static void what_is_too_long_is_cut(void **state)
{
	static char value[2 * LOG_LINE_BYTES];
	char out[2 * LOG_LINE_BYTES];
	(void)state;
	for (size_t n = LOG_LINE_BYTES - 120; n < LOG_LINE_BYTES + 10; n++) {
		static const char *const whole[] = {
		        "", "\\\"", "\\\"\\u000a", "\\\"\\u000a\xc3\xbc"};
		memset(value, 'x', n);
		memcpy(value + n, "\"\n\xc3\xbc", 5);
		for (int json = 0; json < 2; json++) {
			line_of(json, "k", value, out, sizeof out);
			char *tail = strrchr(out, 'x') + 1;
			size_t i = 0, length = strlen(tail);
			assert_true(length > (size_t)json);
			assert_string_equal(tail + length - 1 - json, json ? "\"}" : "\"");
			tail[length - 1 - (size_t)json] = 0;
			while (i < 4 && strcmp(tail, whole[i]) != 0)
				i++;
			assert_true(i < 4);
		}
	}
	for (int json = 0; json < 2; json++) { /* what comes behind it is left out whole */
		struct sink s;
		log_init(LOG_LEVEL_INFO, json);
		memset(value, '"', LOG_LINE_BYTES);
		sink_init(&s);
		log_line(LOG_LEVEL_WARN, "m", "k", value, "next", "x", NULL);
		size_t n = take(&s, out, sizeof out);
		sink_fini(&s);
		assert_true(n <= LOG_LINE_BYTES);
		assert_string_equal(out + n - 2 - json, json ? "\"}\n" : "\"\n");
		assert_null(strstr(out, "next"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nobody_has_to_read_it),
	        cmocka_unit_test(what_a_full_disk_has_not_taken_is_counted),
	        cmocka_unit_test(a_value_ends_no_line_and_moves_no_cursor),
	        cmocka_unit_test(json_is_utf8),
	        cmocka_unit_test(what_is_too_long_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
