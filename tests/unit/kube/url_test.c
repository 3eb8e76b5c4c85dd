/* url_test.c - paths of collections and the encoding of what is put into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kube/url.h"

static void collections_of_all_kinds(void **s)
{
	static const struct {
		struct url_collection at;
		const char *text;
	} rows[] = {
	        {{SPAN(""), SPAN(""), SPAN("v1"), SPAN(""), SPAN("pods")}, "/api/v1/pods"},
	        {{SPAN(""), SPAN_NONE, SPAN("v1"), SPAN("n"), SPAN("pods")},
	                "/api/v1/namespaces/n/pods"},
	        {{SPAN(""), SPAN("apps"), SPAN("v1"), SPAN(""), SPAN("deployments")},
	                "/apis/apps/v1/deployments"},
	        {{SPAN("/clusters/a"), SPAN("apps"), SPAN("v1"), SPAN("n"), SPAN("deployments")},
	                "/clusters/a/apis/apps/v1/namespaces/n/deployments"},
	        {{SPAN(""), SPAN("x/y"), SPAN("v?"), SPAN("n#"), SPAN("p%")},
	                "/apis/x%2Fy/v%3F/namespaces/n%23/p%25"},
	};
	(void)s;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char buf[128];
		struct url u;
		url_init(&u, buf, sizeof buf - 1);
		url_collection(&u, &rows[i].at);
		buf[url_end(&u)] = 0;
		assert_string_equal(buf, rows[i].text);
	}
}

static void every_byte_of_a_value_is_encoded_or_plain(void **s)
{
	(void)s;
	for (int c = 1; c < 256; c++) {
		char buf[16], want[16], value = (char)c;
		struct url u;
		bool first = true;
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		             (c >= 'a' && c <= 'z') || strchr("-._~", c);
		url_init(&u, buf, sizeof buf - 1);
		url_query(&u, &first, "k", (struct span){&value, 1});
		buf[url_end(&u)] = 0;
		snprintf(want, sizeof want, plain ? "?k=%c" : "?k=%%%02X", c);
		assert_string_equal(buf, want);
		assert_false(first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(collections_of_all_kinds),
	        cmocka_unit_test(every_byte_of_a_value_is_encoded_or_plain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
