/* http1: what the events of one response say, error texts, and dates. The transcripts of whole
 * streams are in http1_test.c. */
/* own include order: realloc() of http1.c is replaced */
#include <stdlib.h>

static _Bool no_memory; /* for the carry of http1.c */
#define realloc(p, n) (no_memory ? NULL : (realloc)(p, n))
#include "wire/http1.c"
#undef realloc

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define OK_      "HTTP/1.1 200 OK\r\n"
#define CHUNKED_ OK_ "Transfer-Encoding: chunked\r\n\r\n"

/* --- events ---------------------------------------------------------------------------------- */

static void head_shows_selected_headers(void **state)
{
	(void)state;
	static const char status[] = "HTTP/1.1 429 Too Many Requests\r\n";
	static const char text[] =
	        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
	        "Retry-After: 7\r\nretry-after: 9\r\nLocation:/x\r\n"
	        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Flow: one\r\nx-flow: two\r\n"
	        "Empty:\r\nContent-Length: 12\r\n\r\n";
	for (size_t cut = 0; cut < sizeof text - 1; cut += 7) {
		struct http1_parser p;
		struct http1_event ev;
		size_t used = 0;
		http1_init(&p, NULL);
		http1_begin(&p, HTTP1_PLAIN);
		if (cut)
			assert_int_equal(http1_feed(&p, text, cut, &used, &ev), HTTP1_NEED_MORE);
		assert_int_equal(
		        http1_feed(&p, text + cut, sizeof text - 1 - cut, &used, &ev), HTTP1_EVENT);
		assert_int_equal(ev.type, HTTP1_EV_HEAD);
		assert_int_equal(cut > 0, http1_bytes(&p) > 0); /* in place when whole */
		const struct http1_head *h = &ev.head;
		assert_int_equal(h->status, 429);
		assert_int_equal(h->version_minor, 1);
		assert_int_equal(h->content_length, 12);
		assert_true(span_is(h->reason, "Too Many Requests"));
		assert_true(span_is(h->retry_after, "7"));
		assert_true(span_is(h->date, "Sun, 06 Nov 1994 08:49:37 GMT"));
		assert_int_equal(h->fields.n, sizeof text - 1 - sizeof status + 1 - 2);
		assert_memory_equal(h->fields.p, text + sizeof status - 1, h->fields.n);
		assert_int_equal(http1_feed(&p, "{", 1, &used, &ev), HTTP1_EVENT);
		assert_int_equal(http1_bytes(&p), 0); /* given back with the next call */
		http1_fini(&p);
	}
}

static void each_chunk_is_one_span_in_place(void **state)
{
	(void)state;
	const char text[] = CHUNKED_ "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
	const char *want[] = {"abc", "defg"};
	struct http1_parser p;
	struct http1_event ev;
	http1_init(&p, NULL);
	http1_begin(&p, HTTP1_PLAIN);
	assert_true(http1_busy(&p));
	size_t at = 0, used, n = sizeof text - 1;
	assert_int_equal(http1_feed(&p, text, n, &used, &ev), HTTP1_EVENT);
	at += used;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(http1_feed(&p, text + at, n - at, &used, &ev), HTTP1_EVENT);
		assert_int_equal(ev.type, HTTP1_EV_BODY);
		assert_true(span_is(ev.data, want[i]));
		assert_ptr_equal(ev.data.p, strstr(text, want[i]));
		at += used;
	}
	assert_int_equal(http1_feed(&p, text + at, n - at, &used, &ev), HTTP1_EVENT);
	assert_int_equal(ev.type, HTTP1_EV_END);
	assert_true(ev.keep_alive);
	assert_int_equal(at + used, n);
	assert_int_equal(http1_feed(&p, NULL, 0, &used, &ev), HTTP1_NEED_MORE);
	assert_false(http1_busy(&p));
	http1_fini(&p);
}

static void errors_name_the_rule_and_not_the_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *rule;
	} rules[] = {
	        {OK_ "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
	                "more than one Content-Length"},
	        {OK_ "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	                "both Content-Length and"},
	        {OK_ "a: b\r\n s3cret\r\n\r\n", "obs-fold"},
	        {OK_ "s3cret : b\r\n\r\n", "before the colon"},
	        {OK_ "s3cret\r\n\r\n", "without a colon, in line 2"},
	        {"\x15\x03s3cret", "does not begin with HTTP/1."},
	        {CHUNKED_ "s3cret\r\n", "chunk size is not a hex number, at byte 47"},
	        {OK_ "s3cret: a\n", "LF without CR"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct http1_parser p;
		struct http1_event ev;
		struct errmsg m;
		size_t used, at = 0;
		http1_init(&p, NULL);
		http1_begin(&p, HTTP1_PLAIN);
		const char *b = rules[i].bytes;
		while (http1_feed(&p, b + at, strlen(b) - at, &used, &ev) == HTTP1_EVENT)
			at += used;
		assert_int_equal(http1_error(&p, &m), ERR_HTTP_SYNTAX);
		if (!strstr(m.text, rules[i].rule))
			fail_msg("wanted '%s' in '%s'", rules[i].rule, m.text);
		assert_null(strstr(m.text, "s3cret"));
		http1_fini(&p);
	}
}

static void ended_connection_is_not_used_again(void **state)
{
	(void)state;
	struct http1_parser p;
	struct http1_event ev;
	const char text[] = OK_ "Content-Length: 0\r\n\r\n";
	size_t used;
	http1_init(&p, NULL);
	http1_begin(&p, HTTP1_PLAIN);
	assert_int_equal(http1_feed(&p, text, sizeof text - 1, &used, &ev), HTTP1_EVENT);
	assert_true(ev.head.keep_alive);
	assert_int_equal(http1_eof(&p, &ev), HTTP1_EVENT);
	assert_int_equal(ev.type, HTTP1_EV_END);
	assert_false(ev.keep_alive);
	http1_fini(&p);
}

static void head_in_pieces_without_memory_is_an_error(void **state)
{
	(void)state;
	struct http1_parser p;
	struct http1_event ev;
	struct errmsg m;
	size_t used;
	http1_init(&p, NULL);
	http1_begin(&p, HTTP1_PLAIN);
	assert_int_equal(http1_error(&p, &m), ERR_OK);
	no_memory = true;
	assert_int_equal(http1_feed(&p, OK_, 5, &used, &ev), HTTP1_ERROR);
	no_memory = false;
	assert_int_equal(http1_error(&p, &m), ERR_NO_MEMORY);
	http1_fini(&p);
}

static void idle_parser_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct http1_parser) <= 128);
}

/* --- dates ----------------------------------------------------------------------------------- */

static void dates_are_read_in_three_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t unix_s; /* -1: refused */
	} dates[] = {
	        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
	        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
	        {"Sun Nov  6 08:49:37 1994", 784111777},
	        {"Wed Nov 16 08:49:37 1994", 784975777},
	        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
	        {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
	        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
	        {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
	        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
	        {"Mon, 29 Feb 2100 00:00:00 GMT", -1},
	        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
	        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
	        {"Sun, 06 Nov 1994 24:00:00 GMT", -1},
	        {"Sun, 06 Nov 1994 08:60:00 GMT", -1},
	        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
	        {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
	        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
	        {"Sun, 06 Foo 1994 08:49:37 GMT", -1},
	        {"Sun, 06 Nov 1994 08:49", -1},
	        {"", -1},
	        {"Sun", -1},
	        {"Sun,", -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		int64_t got = -1;
		bool ok = http1_parse_date(span_of(dates[i].text), &got);
		if (ok != (dates[i].unix_s >= 0) || (ok && got != dates[i].unix_s))
			fail_msg("%s: %d %lld", dates[i].text, ok, (long long)got);
	}
}

static void retry_after_takes_seconds_or_a_date(void **state)
{
	(void)state;
	const char *date = "Sun, 06 Nov 1994 08:49:37 GMT",
	           *later = "Sun, 06 Nov 1994 08:50:00 GMT";
	static const int64_t none = -1;
	const struct {
		const char *after, *date;
		int64_t wall_s, want;
	} rows[] = {
	        {"0", NULL, 0, 0},
	        {"1", NULL, 0, 1},
	        {"86400", NULL, 0, 86400},
	        {"99999999999999999999", NULL, 0, INT32_MAX},
	        {"-5", NULL, 0, none},
	        {"1.5", NULL, 0, none},
	        {"soon", NULL, 0, none},
	        {NULL, NULL, 0, none},
	        {later, date, 0, 23},         /* the server's own clock counts */
	        {later, NULL, 784111770, 30}, /* else ours */
	        {later, "nonsense", 784111770, 30},
	        {date, later, 0, 0}, /* in the past */
	        {"Fri, 31 Dec 9999 23:59:59 GMT", date, 0, INT32_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http1_head h = {
		        .retry_after = span_of(rows[i].after), .date = span_of(rows[i].date)};
		int64_t got = none;
		bool ok = http1_retry_after(&h, rows[i].wall_s, &got);
		assert_int_equal(ok, rows[i].want != none);
		assert_int_equal(got, rows[i].want);
	}
}

static void a_chunk_is_peeked_at_from_behind_the_last(void **state)
{
	(void)state;
	static const struct {
		const char *rest, *body, *then; /* body NULL: none can be told */
	} cases[] = {
	        {"\r\n5\r\nhello\r\n0\r\n\r\n", "hello", "\r\n0\r\n\r\n"},
	        {"\r\n1a\r\nshort", "short", ""},
	        {"\r\nA\r\n0123456789", "0123456789", ""},
	        {"\r\n0\r\n\r\n", NULL, NULL},
	        {"\r\nxy\r\nhello", NULL, NULL},
	        {"\r\n5;x=y\r\nhello", NULL, NULL}, /* not what our servers write */
	        {"\r\nfffffffff\r\nhello", NULL, NULL},
	        {"5\r\nhello", NULL, NULL},
	        {"\r\n5\r\n", NULL, NULL},
	        {"\r\n55555", NULL, NULL},
	        {"\r", NULL, NULL},
	        {"", NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].rest);
		char *exact = malloc(n ? n : 1); /* the sanitizer sees who reads further */
		memcpy(exact, cases[i].rest, n);
		struct span rest = {exact, n}, body = SPAN_NONE;
		assert_int_equal(http1_peek_chunk(&rest, &body), cases[i].body != NULL);
		if (cases[i].body) {
			assert_true(span_is(body, cases[i].body));
			assert_true(span_is(rest, cases[i].then));
		}
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_chunk_is_peeked_at_from_behind_the_last),
	        cmocka_unit_test(head_shows_selected_headers),
	        cmocka_unit_test(each_chunk_is_one_span_in_place),
	        cmocka_unit_test(errors_name_the_rule_and_not_the_bytes),
	        cmocka_unit_test(ended_connection_is_not_used_again),
	        cmocka_unit_test(head_in_pieces_without_memory_is_an_error),
	        cmocka_unit_test(idle_parser_is_small),
	        cmocka_unit_test(dates_are_read_in_three_forms),
	        cmocka_unit_test(retry_after_takes_seconds_or_a_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
