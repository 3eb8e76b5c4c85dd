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
	const struct span groups[] = {SPAN("dev"), SPAN("ops")};
	const struct http1_field extra[] = {{SPAN("acme.com/role%"), SPAN("x")}};
	const struct http1_field more[] = {{SPAN("X-A"), SPAN("1")}, {SPAN("X-B"), SPAN("")}};
	struct http1_request r = {
	        .target = SPAN("/api/v1/pods?watch=1"),
	        .host = SPAN("[::1]:6443"),
	        .user_agent = SPAN("kuberingd/0.1"),
	        .accept = SPAN("application/json"),
	        .auth = HTTP1_AUTH_BEARER,
	        .token = SPAN("abc.def"),
	        .as_user = SPAN("jane doe"),
	        .as_uid = SPAN("7"),
	        .as_groups = groups,
	        .as_group_count = 2,
	        .as_extra = extra,
	        .as_extra_count = 1,
	        .fields = more,
	        .field_count = 2,
	};
	const char want[] = "GET /api/v1/pods?watch=1 HTTP/1.1\r\n"
	                    "Host: [::1]:6443\r\n"
	                    "User-Agent: kuberingd/0.1\r\n"
	                    "Accept: application/json\r\n"
	                    "Accept-Encoding: identity\r\n"
	                    "Authorization: Bearer abc.def\r\n"
	                    "Impersonate-User: jane doe\r\n"
	                    "Impersonate-Uid: 7\r\n"
	                    "Impersonate-Group: dev\r\n"
	                    "Impersonate-Group: ops\r\n"
	                    "Impersonate-Extra-acme.com%2Frole%25: x\r\n"
	                    "X-A: 1\r\n"
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

static void request_has_variants(void **state)
{
	(void)state;
	static const struct {
		const char *user, *password, *base64;
	} basic[] = {{"Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, {"a", "b", "YTpi"},
	        {"a", "", "YTo="}, {"", "", "Og=="}, {"ab", "c", "YWI6Yw=="}};
	for (size_t i = 0; i < ARRAY_LEN(basic); i++) {
		struct http1_request r = {.head = true,
		        .gzip = true,
		        .target = SPAN("/"),
		        .host = SPAN("h"),
		        .auth = HTTP1_AUTH_BASIC,
		        .user = span_of(basic[i].user),
		        .password = span_of(basic[i].password)};
		char buf[256], want[256];
		size_t n;
		assert_int_equal(http1_write_request(&r, buf, sizeof buf, &n, NULL), ERR_OK);
		int w = snprintf(want, sizeof want,
		        "HEAD / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nAuthorization: "
		        "Basic "
		        "%s\r\n\r\n",
		        basic[i].base64);
		assert_int_equal(n, w);
		assert_memory_equal(buf, want, n);
	}
}

static struct http1_request good_request(void)
{
	return (struct http1_request){.target = SPAN("/"), .host = SPAN("h")};
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
	        offsetof(struct http1_request, accept), offsetof(struct http1_request, as_user),
	        offsetof(struct http1_request, as_uid), offsetof(struct http1_request, host)};
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
		r = good_request();
		r.auth = HTTP1_AUTH_BEARER;
		r.token = evil[i];
		refuses(&r, "token");
		r = good_request();
		r.auth = HTTP1_AUTH_READY;
		r.authorization = evil[i];
		refuses(&r, "credential");
		r = good_request();
		r.auth = HTTP1_AUTH_BASIC;
		r.user = evil[i];
		refuses(&r, "user");
		r.user = SPAN("u");
		r.password = evil[i];
		refuses(&r, "password");
		r = good_request();
		r.as_user = SPAN("u");
		r.as_groups = &evil[i];
		r.as_group_count = 1;
		refuses(&r, "group");
		struct http1_field f = {SPAN("k"), evil[i]};
		r = good_request();
		r.as_user = SPAN("u");
		r.as_extra = &f;
		r.as_extra_count = 1;
		refuses(&r, "extra");
		r = good_request();
		r.fields = &f;
		r.field_count = 1;
		refuses(&r, "field value");
		f = (struct http1_field){evil[i], SPAN("v")};
		refuses(&r, "field name");
	}
}

/* Regression: a credential that a source has made ready went out as an extra header, whose name is
 * refused; no token user got through. */
static void request_sends_a_ready_credential_as_it_is(void **state)
{
	char buf[2048];
	size_t n = 0;
	(void)state;
	struct http1_request r = good_request();
	r.auth = HTTP1_AUTH_READY;
	r.authorization = SPAN("Bearer abc.def");
	assert_int_equal(http1_write_request(&r, buf, sizeof buf, &n, NULL), ERR_OK);
	assert_non_null(memmem(buf, n, "\r\nAuthorization: Bearer abc.def\r\n", 33));
	r.authorization = SPAN_NONE;
	refuses(&r, "empty credential");
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
	r.auth = HTTP1_AUTH_BEARER;
	refuses(&r, "empty token");
	r.token = SPAN("a b");
	refuses(&r, "space in token");
	r = good_request();
	r.auth = HTTP1_AUTH_BASIC;
	r.user = SPAN("a:b");
	refuses(&r, "colon in user");
	r = good_request();
	r.as_uid = SPAN("7");
	refuses(&r, "uid without user");
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
	        cmocka_unit_test(request_has_variants),
	        cmocka_unit_test(request_refuses_injection_everywhere),
	        cmocka_unit_test(request_sends_a_ready_credential_as_it_is),
	        cmocka_unit_test(request_refuses_what_makes_no_sense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
