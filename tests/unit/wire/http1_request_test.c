/* http1: the request writer, and all the places where a value could smuggle a header. */
#include "wire/http1.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- requests -------------------------------------------------------------------------------- */

static void request_is_written_in_full(void **state)
{
	(void)state;
	const struct http1_field more[] = {{SPAN("Impersonate-User"), SPAN("jane doe")},
	        {SPAN("Impersonate-Group"), SPAN("dev")}, {SPAN("Impersonate-Group"), SPAN("ops")},
	        {SPAN("X-B"), SPAN("")}};
	struct http1_request r = {
	        .target = SPAN("/api/v1/pods?watch=1"),
	        .host = SPAN("[::1]:6443"),
	        .user_agent = SPAN("kuberingd/0.1"),
	        .accept = SPAN("application/json"),
	        .authorization = SPAN("Bearer abc.def"),
	        .fields = more,
	        .field_count = ARRAY_LEN(more),
	};
	const char want[] = "GET /api/v1/pods?watch=1 HTTP/1.1\r\n"
	                    "Host: [::1]:6443\r\n"
	                    "User-Agent: kuberingd/0.1\r\n"
	                    "Accept: application/json\r\n"
	                    "Accept-Encoding: identity\r\n"
	                    "Authorization: Bearer abc.def\r\n"
	                    "Impersonate-User: jane doe\r\n"
	                    "Impersonate-Group: dev\r\n"
	                    "Impersonate-Group: ops\r\n"
	                    "X-B: \r\n"
	                    "\r\n";
	size_t n = 0;
	struct errmsg m;
	char buf[1024];
	assert_int_equal(http1_write_request(&r, buf, sizeof buf, &n, &m), ERR_OK);
	assert_int_equal(n, sizeof want - 1);
	assert_memory_equal(buf, want, n);
	/* the size is known without a buffer, and exactly that size is enough */
	size_t need = 0;
	assert_int_equal(http1_write_request(&r, NULL, 0, &need, &m), ERR_LIMIT);
	assert_int_equal(need, n);
	char *exact = malloc(n);
	assert_int_equal(http1_write_request(&r, exact, n, &need, &m), ERR_OK);
	assert_memory_equal(exact, want, n);
	assert_int_equal(http1_write_request(&r, exact, n - 1, &need, &m), ERR_LIMIT);
	assert_int_equal(need, n);
	free(exact);
}

static struct http1_request good_request(void)
{
	return (struct http1_request){.target = SPAN("/"), .host = SPAN("h")};
}

static void what_is_not_said_is_left_out(void **state)
{
	(void)state;
	const char want[] = "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n";
	struct http1_request r = good_request();
	char buf[256];
	size_t n;
	r.gzip = true;
	assert_int_equal(http1_write_request(&r, buf, sizeof buf, &n, NULL), ERR_OK);
	assert_int_equal(n, sizeof want - 1);
	assert_memory_equal(buf, want, n);
}

static void refuses(const struct http1_request *r, const char *name)
{
	char buf[512];
	size_t n = 77;
	struct errmsg m;
	if (http1_write_request(r, buf, sizeof buf, &n, &m) != ERR_ARGUMENT)
		fail_msg("%s was accepted", name);
	assert_int_equal(n, 0);
	assert_null(strstr(m.text, "s3cret"));
}

static void request_refuses_injection_everywhere(void **state)
{
	(void)state;
	static const struct span evil[] = {{"s3cret\r\nX: y", 12}, {"s3cret\n", 7}, {"s3cret\r", 7},
	        {"s3\0cret", 7}, {"s3cret\001", 7}, {"s3cret\177", 7}};
	static const size_t places[] = {offsetof(struct http1_request, user_agent),
	        offsetof(struct http1_request, accept),
	        offsetof(struct http1_request, authorization),
	        offsetof(struct http1_request, host)};
	for (size_t i = 0; i < ARRAY_LEN(evil); i++) {
		struct http1_request r;
		for (size_t k = 0; k < ARRAY_LEN(places); k++) {
			r = good_request();
			memcpy((char *)&r + places[k], &evil[i], sizeof evil[i]);
			refuses(&r, "a plain value");
		}
		char target[32] = "/";
		memcpy(target + 1, evil[i].p, evil[i].n);
		r = good_request();
		r.target = (struct span){target, evil[i].n + 1};
		refuses(&r, "target");
		struct http1_field f = {SPAN("k"), evil[i]};
		r = good_request();
		r.fields = &f;
		r.field_count = 1;
		refuses(&r, "field value");
		f = (struct http1_field){evil[i], SPAN("v")};
		refuses(&r, "field name");
	}
}

static void request_refuses_what_makes_no_sense(void **state)
{
	(void)state;
	struct http1_request r = good_request();
	r.target = SPAN_NONE;
	refuses(&r, "no target");
	r.target = SPAN("api");
	refuses(&r, "relative target");
	r.target = SPAN("/a b");
	refuses(&r, "space in target");
	r.target = SPAN("/a#b");
	refuses(&r, "fragment");
	r.target = SPAN("/\xc3\xa9");
	refuses(&r, "high byte in target");
	r = good_request();
	r.host = SPAN_NONE;
	refuses(&r, "no host");
	r.host = SPAN("a/b");
	refuses(&r, "path in host");
	r = good_request();
	r.user_agent = SPAN(" x");
	refuses(&r, "space first");
	static const char *const ours[] = {"host", "Content-Length", "Transfer-Encoding",
	        "authorization", "Accept-Encoding", "", "a b"};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		struct http1_field f = {span_of(ours[i]), SPAN("v")};
		r = good_request();
		r.fields = &f;
		r.field_count = 1;
		refuses(&r, ours[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(request_is_written_in_full),
	        cmocka_unit_test(what_is_not_said_is_left_out),
	        cmocka_unit_test(request_refuses_injection_everywhere),
	        cmocka_unit_test(request_refuses_what_makes_no_sense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
