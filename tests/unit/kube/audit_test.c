/* audit_test.c - when an audit says equal, different, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kube/audit.h"

static const struct watch_conf pods = {
        .prefix = "/clusters/x", .version = "v1", .resource = "pods", .namespace_ = "web"};

struct rig {
	struct audit a;
	struct audit_view v;
};

/* A list at version 100 with the digest 11. */
static void begin(struct rig *r, const struct watch_conf *conf)
{
	*r = (struct rig){.v = {.rv = SPAN("100"), .digest = 11, .live = true}};
	audit_begin(&r->a, conf);
	assert_int_equal(audit_look(&r->a, &r->v), AUDIT_ASK);
}

static const char *target(const struct audit *a)
{
	static char buf[WATCH_TARGET_MAX + 1];
	const char *accept;
	size_t n = audit_target(a, buf, WATCH_TARGET_MAX, &accept);
	assert_true(n > 0);
	buf[n] = 0;
	assert_string_equal(
	        accept, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
	return buf;
}

static enum audit_next page(struct rig *r, const char *rv, const char *token, uint64_t hash)
{
	assert_int_equal(audit_on_head(&r->a, 200), AUDIT_ASK);
	audit_on_item(&r->a, hash);
	return audit_on_page(&r->a, &(struct json_list_meta){.resource_version = span_of(rv),
	                                    .continue_ = span_of(token),
	                                    .saw_items = true});
}

/* What came since: the list is at rv now, and was at its version of then with that digest. */
static void moved_on(struct rig *r, const char *rv, uint64_t digest, uint64_t then)
{
	r->v.rv = span_of(rv);
	r->v.digest = digest;
	r->v.known = true;
	r->v.digest_then = then;
}

static void asks_at_exactly_its_version(void **state)
{
	struct rig r;
	(void)state;
	begin(&r, &pods);
	assert_string_equal(target(&r.a), "/clusters/x/api/v1/namespaces/web/pods?limit=500"
	                                  "&resourceVersion=100&resourceVersionMatch=Exact");
	/* A token names the version itself; the server takes none beside it. */
	assert_int_equal(page(&r, "100", "t/1", 5), AUDIT_ASK);
	assert_string_equal(
	        target(&r.a), "/clusters/x/api/v1/namespaces/web/pods?limit=500&continue=t%2F1");
	assert_int_equal(page(&r, "100", "", 6), AUDIT_WAIT);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_EQUAL);
	assert_string_equal(r.a.text, "2 objects at version 100");
	audit_end(&r.a);
}

static void keeps_its_selectors(void **state)
{
	const struct watch_conf web = {.version = "v1",
	        .group = "apps",
	        .resource = "deployments",
	        .labels = "app=web",
	        .fields = "metadata.name=a"};
	struct rig r;
	char small[20];
	const char *accept;
	(void)state;
	begin(&r, &web);
	assert_string_equal(target(&r.a),
	        "/apis/apps/v1/deployments?labelSelector=app%3Dweb"
	        "&fieldSelector=metadata.name%3Da&limit=500&resourceVersion=100"
	        "&resourceVersionMatch=Exact");
	assert_int_equal(audit_target(&r.a, small, sizeof small, &accept), 0);
	audit_end(&r.a);
}

static void what_is_not_live_is_not_judged(void **state)
{
	struct rig r = {.v = {.rv = SPAN("100"), .digest = 11}};
	(void)state;
	audit_begin(&r.a, &pods);
	assert_int_equal(audit_look(&r.a, &r.v), AUDIT_NO_VERDICT);
	r.v.live = true;
	r.v.rv = SPAN("v-100");
	assert_int_equal(audit_look(&r.a, &r.v), AUDIT_NO_VERDICT);
	r.v.rv = SPAN_NONE;
	assert_int_equal(audit_look(&r.a, &r.v), AUDIT_NO_VERDICT);
}

/* An answer that is another one than was asked for says nothing about the list. */
static void other_answers_are_no_verdict(void **state)
{
	static const int codes[] = {400, 401, 403, 404, 406, 410, 429, 500, 503, 504};
	struct rig r;
	(void)state;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		begin(&r, &pods);
		assert_int_equal(audit_on_head(&r.a, codes[i]), AUDIT_NO_VERDICT);
		assert_non_null(strstr(r.a.text, "100"));
	}
	begin(&r, &pods);
	assert_int_equal(page(&r, "101", "", 11), AUDIT_NO_VERDICT);
	begin(&r, &pods);
	assert_int_equal(page(&r, "", "", 11), AUDIT_NO_VERDICT);
	begin(&r, &pods);
	assert_int_equal(
	        audit_on_page(&r.a, &(struct json_list_meta){.resource_version = SPAN("100")}),
	        AUDIT_NO_VERDICT);
	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "next", 5), AUDIT_ASK);
	assert_int_equal(page(&r, "102", "", 6), AUDIT_NO_VERDICT);
	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "next", 5), AUDIT_ASK);
	assert_int_equal(audit_on_head(&r.a, 410), AUDIT_NO_VERDICT);
	audit_end(&r.a);
}

/* It was asked in the midst of a version's events: the rest of them belongs to it as well. */
static void the_last_change_of_the_version_counts(void **state)
{
	struct rig r;
	(void)state;
	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "105", 77, 30);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_EQUAL);
}

static void a_difference_counts_when_it_is_found_twice(void **state)
{
	struct rig r;
	(void)state;
	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "105", 12, 11);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_LOOK_AGAIN);
	assert_int_equal(audit_look(&r.a, &r.v), AUDIT_ASK);
	assert_non_null(strstr(target(&r.a), "resourceVersion=105&"));
	assert_int_equal(page(&r, "105", "", 31), AUDIT_WAIT);
	moved_on(&r, "106", 13, 12);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_DIFFERENT);
	assert_non_null(strstr(r.a.text, "at version 105 (1 objects)"));

	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "105", 12, 11);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_LOOK_AGAIN);
	assert_int_equal(audit_look(&r.a, &r.v), AUDIT_ASK);
	assert_int_equal(page(&r, "105", "", 12), AUDIT_WAIT);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_EQUAL);
}

/* The LIST may be faster than the stream. Nothing says yet that the version's events are all here.
 */
static void a_difference_waits_until_the_stream_is_past_it(void **state)
{
	struct rig r;
	(void)state;
	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "100", 11, 11);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_WAIT);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_WAIT);
	moved_on(&r, "100", 30, 30); /* here they are */
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_EQUAL);

	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "100", 11, 11);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_WAIT);
	r.v.complete = true; /* a bookmark: there is no more to come */
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_LOOK_AGAIN);

	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "100", 11, 11);
	for (int i = 0; i < AUDIT_WAITS_MAX; i++)
		assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_WAIT);
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_NO_VERDICT);
}

static void a_list_that_went_on_another_way_is_not_judged(void **state)
{
	struct rig r;
	(void)state;
	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "105", 12, 0);
	r.v.known = false;
	r.v.retaken = true;
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_NO_VERDICT);

	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
	moved_on(&r, "105", 12, 11);
	r.v.live = false;
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_NO_VERDICT);

	/* That it was right when it was asked stays true. */
	begin(&r, &pods);
	assert_int_equal(page(&r, "100", "", 11), AUDIT_WAIT);
	r.v = (struct audit_view){.rv = SPAN("7"), .retaken = true};
	assert_int_equal(audit_judge(&r.a, &r.v), AUDIT_EQUAL);
}

/* So many changes that the ring does not hold the version any more. */
static void what_it_was_may_be_forgotten(void **state)
{
	struct rig r;
	(void)state;
	begin(&r, &pods);
	for (int i = 1; i <= AUDIT_LOOKS_MAX; i++) {
		assert_int_equal(page(&r, "100", "", 30), AUDIT_WAIT);
		r.v.known = false;
		assert_int_equal(audit_judge(&r.a, &r.v),
		        i < AUDIT_LOOKS_MAX ? AUDIT_LOOK_AGAIN : AUDIT_NO_VERDICT);
		if (i < AUDIT_LOOKS_MAX)
			assert_int_equal(audit_look(&r.a, &r.v), AUDIT_ASK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(asks_at_exactly_its_version),
	        cmocka_unit_test(keeps_its_selectors),
	        cmocka_unit_test(what_is_not_live_is_not_judged),
	        cmocka_unit_test(other_answers_are_no_verdict),
	        cmocka_unit_test(the_last_change_of_the_version_counts),
	        cmocka_unit_test(a_difference_counts_when_it_is_found_twice),
	        cmocka_unit_test(a_difference_waits_until_the_stream_is_past_it),
	        cmocka_unit_test(a_list_that_went_on_another_way_is_not_judged),
	        cmocka_unit_test(what_it_was_may_be_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
