/* watch_test.c - the list+watch machine, rule by rule (kube/watch.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "watch_rig.h"

static void streaming_list_asks_with_all_that_is_required(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	assert_true(has(target(&r), "/api/v1/"
	                            "pods?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&"
	                            "resourceVersionMatch=NotOlderThan"));
	assert_false(has(target(&r), "resourceVersion="));
	watch_fini(&r.w);
}

static void streaming_list_becomes_visible_at_its_marker_only(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	assert_int_equal(watch_on_head(&r.w, 200, -1, r.now, &r.out), WATCH_BODY_EVENTS);
	assert_true(r.out.acts & WATCH_SYNC_BEGIN);
	assert_int_equal(event(&r, JSON_EVENT_ADDED, "90", false), WATCH_APPLY_SYNC_ITEM);
	assert_int_equal(event(&r, JSON_EVENT_ADDED, "50", false),
	        WATCH_APPLY_SYNC_ITEM); /* not in version order */
	assert_int_equal(event(&r, JSON_EVENT_DELETED, "91", false), WATCH_APPLY_SYNC_REMOVE);
	assert_false(r.out.acts & WATCH_SYNC_COMMIT);
	event(&r, JSON_EVENT_BOOKMARK, "95", true);
	assert_true(r.out.acts & WATCH_SYNC_COMMIT);
	assert_true(span_is(r.out.rv, "95"));
	assert_int_equal(event(&r, JSON_EVENT_MODIFIED, "96", false), WATCH_APPLY_UPSERT);
	watch_fini(&r.w);
}

static void refused_streaming_list_costs_one_request_and_is_remembered(void **s)
{
	static const int codes[] = {400, 403, 406, 415, 422, 500, 501};
	(void)s;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		struct rig r;
		rig_init(&r, true);
		status(&r, codes[i], (struct json_status){.code = codes[i]}, -1);
		assert_true(r.out.acts & WATCH_SEND);
		assert_true(has(target(&r), "limit=500"));
		assert_true(r.caps.no_watch_list);
		watch_fini(&r.w);
	}
}

static void missing_marker_falls_back_by_its_deadline(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	event(&r, JSON_EVENT_ADDED, "90", false);
	r.now += WATCH_MARKER_S * S - 1;
	watch_on_timer(&r.w, r.now, &r.out);
	assert_int_equal(r.out.acts, 0);
	r.now += 1;
	watch_on_timer(&r.w, r.now, &r.out);
	assert_true(r.out.acts & WATCH_SYNC_ABORT && r.out.acts & WATCH_CONNECT);
	assert_int_equal(r.caps.no_watch_list_why, ERR_KUBE_NO_MARKER);
	watch_fini(&r.w);
}

static void streaming_list_is_tried_again_after_an_hour(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	status(&r, 422, (struct json_status){.code = 422}, -1);
	r.now += WATCH_REPROBE_S * S;
	watch_on_lost(&r.w, ERR_CONN_RESET, NULL, r.now, &r.out);
	r.now = r.w.deadline_ns;
	watch_on_timer(&r.w, r.now, &r.out);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_true(has(target(&r), "sendInitialEvents"));
	watch_fini(&r.w);
}

static void events_are_always_listed_in_pages(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	r.conf.resource = "events";
	watch_on_lost(&r.w, ERR_CONN_RESET, NULL, r.now, &r.out);
	r.now = r.w.deadline_ns;
	watch_on_timer(&r.w, r.now, &r.out);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_true(has(target(&r), "/api/v1/events?limit=500"));
	watch_fini(&r.w);
}

static void pages_follow_their_token_and_commit_once(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	page(&r, "100", "tok/en+");
	assert_false(r.out.acts & WATCH_SYNC_COMMIT);
	assert_true(has(target(&r), "continue=tok%2Fen%2B"));
	page(&r, "100", "next");
	page(&r, "100", "");
	assert_true(r.out.acts & WATCH_SYNC_COMMIT);
	watch_fini(&r.w);
}

static void expired_continue_lists_again_without_pages(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	page(&r, "100", "t");
	status(&r, 410, (struct json_status){.code = 410, .reason = SPAN("Expired")}, -1);
	assert_true(r.out.acts & WATCH_SYNC_ABORT && r.out.acts & WATCH_SEND);
	assert_false(has(target(&r), "limit=") || has(target(&r), "continue="));
	watch_fini(&r.w);
}

static void gone_in_each_of_its_places_relists(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r); /* as an ERROR event */
	struct json_event ev = {.type = JSON_EVENT_ERROR};
	struct json_status gone = {.code = 410, .reason = SPAN("Expired")};
	watch_on_event(&r.w, &ev, &gone, r.now, &r.out);
	assert_true(r.out.acts & WATCH_CONNECT);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_true(has(target(&r), "limit=500"));
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_RELISTING);
	watch_fini(&r.w);
	rig_live(&r); /* as an HTTP status of the next watch */
	watch_on_body_end(&r.w, true, r.now + 600 * S, &r.out);
	status(&r, 410, (struct json_status){0}, -1);
	assert_true(r.out.acts & WATCH_SEND && has(target(&r), "limit=500"));
	watch_fini(&r.w);
}

static void resume_uses_the_last_event_or_bookmark(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	assert_int_equal(event(&r, JSON_EVENT_ADDED, "105", false), WATCH_APPLY_UPSERT);
	assert_int_equal(event(&r, JSON_EVENT_BOOKMARK, "120", false), WATCH_APPLY_BOOKMARK);
	watch_on_body_end(&r.w, true, r.now + 400 * S, &r.out);
	assert_true(r.out.acts & WATCH_SEND && has(target(&r), "resourceVersion=120"));
	assert_int_equal(
	        watch_list_state(&r.w), WATCH_LIST_LIVE); /* an ordinary renewal is no news */
	watch_fini(&r.w);
}

static void versions_that_go_back_are_never_applied(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	event(&r, JSON_EVENT_ADDED, "105", false);
	assert_int_equal(event(&r, JSON_EVENT_MODIFIED, "105", false),
	        WATCH_APPLY_UPSERT); /* one transaction, many keys */
	assert_int_equal(event(&r, JSON_EVENT_MODIFIED, "104", false), WATCH_APPLY_NOTHING);
	assert_true(r.out.acts & WATCH_CLOSE);
	assert_int_equal(r.w.err, ERR_KUBE_ORDER);
	assert_true(r.w.relist);
	watch_fini(&r.w);
}

static void nothing_at_or_before_a_bookmark_comes_after_it(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	event(&r, JSON_EVENT_BOOKMARK, "120", false);
	assert_int_equal(event(&r, JSON_EVENT_MODIFIED, "120", false), WATCH_APPLY_NOTHING);
	assert_true(r.out.acts & WATCH_CLOSE);
	watch_fini(&r.w);
	rig_live(&r);
	assert_int_equal(event(&r, JSON_EVENT_BOOKMARK, "99", false), WATCH_APPLY_NOTHING);
	assert_int_equal(r.w.err, ERR_KUBE_ORDER);
	watch_fini(&r.w);
}

static void opaque_versions_are_taken_as_they_come(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	assert_int_equal(event(&r, JSON_EVENT_ADDED, "zzz", false), WATCH_APPLY_UPSERT);
	assert_int_equal(event(&r, JSON_EVENT_ADDED, "aaa", false), WATCH_APPLY_UPSERT);
	watch_fini(&r.w);
}

static void versions_of_any_length_are_ordered(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	assert_int_equal(
	        event(&r, JSON_EVENT_ADDED, "9007199254740993", false), WATCH_APPLY_UPSERT);
	assert_int_equal(event(&r, JSON_EVENT_BOOKMARK, "18446744073709551617", false),
	        WATCH_APPLY_BOOKMARK);
	assert_int_equal(
	        event(&r, JSON_EVENT_MODIFIED, "18446744073709551616", false), WATCH_APPLY_NOTHING);
	assert_int_equal(r.w.err, ERR_KUBE_ORDER);
	watch_fini(&r.w);
	rig_live(&r); /* one apart, beyond what a double tells apart */
	event(&r, JSON_EVENT_ADDED, "9007199254740993", false);
	assert_int_equal(
	        event(&r, JSON_EVENT_ADDED, "9007199254740992", false), WATCH_APPLY_NOTHING);
	watch_fini(&r.w);
}

/* Headlamp's list has no version after one (KL-1), and asks for "undefined". */
static void an_error_event_leaves_the_version(void **s)
{
	static const int codes[] = {500, 410};
	(void)s;
	for (size_t i = 0; i < 2; i++) {
		struct rig r;
		struct json_event ev = {.type = JSON_EVENT_ERROR};
		struct json_status st = {.code = codes[i]};
		rig_live(&r);
		event(&r, JSON_EVENT_ADDED, "105", false);
		assert_int_equal(
		        watch_on_event(&r.w, &ev, &st, r.now, &r.out), WATCH_APPLY_NOTHING);
		assert_string_equal(r.w.rv, "105");
		assert_true(r.out.acts & WATCH_CLOSE);
		r.now += 60 * S;
		watch_on_timer(&r.w, r.now, &r.out);
		watch_on_ready(&r.w, r.now, &r.out);
		assert_true(has(target(&r), i ? "limit=500" : "resourceVersion=105"));
		watch_fini(&r.w);
	}
}

static void a_watch_has_the_selectors_of_its_list_and_no_pages(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	r.conf.namespace_ = "n";
	r.conf.labels = "app=x";
	r.conf.fields = "metadata.name=a";
	assert_string_equal(target(&r), "/api/v1/namespaces/n/"
	                                "pods?labelSelector=app%3Dx&fieldSelector=metadata.name%"
	                                "3Da&limit=500");
	page(&r, "100", "t1");
	assert_true(has(target(&r), "&limit=500&continue=t1"));
	page(&r, "100", "");
	assert_true(has(target(&r), "/api/v1/namespaces/n/"
	                            "pods?labelSelector=app%3Dx&fieldSelector=metadata.name%3Da&"
	                            "watch=1&allowWatchBookmarks=true&resourceVersion=100&"
	                            "timeoutSeconds="));
	assert_false(has(target(&r), "limit") || has(target(&r), "continue"));
	watch_fini(&r.w);
}

static void a_server_behind_us_is_asked_three_times_then_believed(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	struct json_event ev = {.type = JSON_EVENT_ERROR};
	struct json_status gone = {.code = 410};
	watch_on_event(&r.w, &ev, &gone, r.now, &r.out);
	for (int i = 0; i < WATCH_BACK_TRIES; i++) {
		watch_on_ready(&r.w, r.now, &r.out);
		page(&r, "40", "");
		assert_true(r.out.acts & WATCH_SYNC_ABORT);
		assert_false(r.out.acts & WATCH_SYNC_COMMIT);
		r.now = r.w.deadline_ns;
		watch_on_timer(&r.w, r.now, &r.out);
	}
	watch_on_ready(&r.w, r.now, &r.out);
	page(&r, "40", "");
	assert_true(r.out.acts & WATCH_SYNC_COMMIT && r.out.version_back);
	watch_fini(&r.w);
}

static void unauthorized_refreshes_once_then_parks(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	assert_true(r.out.acts & WATCH_CREDENTIAL);
	watch_on_credential(&r.w, true, NULL, r.now, &r.out);
	assert_true(r.out.acts & WATCH_CONNECT);
	watch_on_ready(&r.w, r.now, &r.out);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	assert_false(r.out.acts & WATCH_CREDENTIAL);
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
	watch_fini(&r.w);
}

/* Regression: a token that became good again on the server was noticed after a minute, and
 * meanwhile the row said "401" without what to do. */
static void a_refused_login_is_probed_soon_and_says_what_to_do(void **s)
{
	struct rig r;
	uint64_t sum_ns = 0;
	(void)s;
	rig_init(&r, false);
	for (int n = 0; n < 20; n++) {
		status(&r, 401, (struct json_status){.code = 401}, -1);
		assert_true(r.out.acts & WATCH_CREDENTIAL); /* once per probe */
		if (n)
			assert_string_equal(r.w.text, "refused (401): log in again");
		watch_on_credential(&r.w, false, "refused (401): log in again", r.now, &r.out);
		assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
		assert_string_equal(r.w.text, "refused (401): log in again");
		uint64_t wait_ns = r.w.deadline_ns - r.now;
		assert_in_range(wait_ns, WATCH_LOGIN_MIN_S * S / 2, WATCH_LOGIN_MAX_S * S);
		if (n == 0)
			assert_true(wait_ns <= WATCH_LOGIN_MIN_S * S);
		sum_ns += wait_ns;
		r.now = r.w.deadline_ns;
		watch_on_timer(&r.w, r.now, &r.out);
		assert_true(r.out.acts & WATCH_CONNECT);
		watch_on_ready(&r.w, r.now, &r.out);
	}
	/* no hammering: once a minute in the long run */
	assert_true(sum_ns >= 15 * WATCH_LOGIN_MAX_S * S / 2);
	watch_fini(&r.w);
}

static void a_renewed_credential_that_is_refused_says_so(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	watch_on_credential(&r.w, true, NULL, r.now, &r.out);
	watch_on_ready(&r.w, r.now, &r.out);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
	assert_non_null(strstr(r.w.text, "log in again"));
	watch_fini(&r.w);
}

/* A login says nothing about what was missed: the stream resumes. And when another list was let in,
 * or a credential came, it does so at once. */
static void a_list_that_is_let_in_again_resumes(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
	r.now = r.w.deadline_ns;
	watch_on_timer(&r.w, r.now, &r.out);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_int_equal(r.w.request, WATCH_REQ_WATCH);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	watch_on_credential(&r.w, false, "no", r.now, &r.out);
	assert_int_equal(r.w.state, WATCH_PARKED);
	watch_on_credential(&r.w, true, NULL, r.now, &r.out);
	assert_true(r.out.acts & WATCH_CONNECT);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_int_equal(r.w.request, WATCH_REQ_WATCH);
	assert_string_equal(r.w.rv, "100");
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_LIVE);
	/* who waits for something else is not concerned */
	watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
	watch_on_credential(&r.w, true, NULL, r.now, &r.out);
	assert_int_equal(r.w.state, WATCH_WAITING);
	assert_int_equal(r.out.acts, 0);
	watch_fini(&r.w);
}

/* Versions of the server before say nothing about the one that the configuration names now. */
static void another_server_is_listed_and_its_versions_believed(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	watch_on_moved(&r.w, r.now, &r.out);
	assert_int_equal(r.out.acts, 0); /* its connection is about to be closed */
	watch_on_lost(&r.w, ERR_CONN_CLOSED, "another server", r.now, &r.out);
	assert_int_equal(r.w.state, WATCH_WAITING);
	watch_on_moved(&r.w, r.now, &r.out);
	assert_true(r.out.acts & WATCH_CONNECT);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_int_equal(r.w.request, WATCH_REQ_PAGE);
	page(&r, "7", "");
	assert_true(r.out.acts & WATCH_SYNC_COMMIT && r.out.version_back);
	assert_string_equal(r.w.rv, "7");
	watch_fini(&r.w);
}

static void forbidden_and_absent_are_probed_slowly_and_for_ever(void **s)
{
	static const int codes[] = {403, 404};
	(void)s;
	for (size_t i = 0; i < 2; i++) {
		struct rig r;
		rig_init(&r, false);
		for (int n = 0; n < 20; n++) {
			status(&r, codes[i], (struct json_status){.code = codes[i]}, -1);
			assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
			assert_in_range(r.w.deadline_ns - r.now, WATCH_PARK_MIN_S * S / 2,
			        WATCH_PARK_MAX_S * S);
			r.now = r.w.deadline_ns;
			watch_on_timer(&r.w, r.now, &r.out);
			assert_true(r.out.acts & WATCH_CONNECT);
			watch_on_ready(&r.w, r.now, &r.out);
		}
		watch_fini(&r.w);
	}
}

/* A bad selector: the same question gets the same answer, and who waits for the list must hear it.
 */
static void a_list_that_is_never_taken_is_parked(void **s)
{
	static const int codes[] = {400, 422};
	(void)s;
	for (size_t i = 0; i < 2; i++) {
		struct rig r;
		rig_init(&r, false);
		for (int n = 0; n < 20; n++) {
			status(&r, codes[i], (struct json_status){.code = codes[i]}, -1);
			assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
			assert_int_equal(r.w.err, ERR_KUBE_SERVER);
			assert_in_range(r.w.deadline_ns - r.now, WATCH_PARK_MIN_S * S / 2,
			        WATCH_PARK_MAX_S * S);
			r.now = r.w.deadline_ns;
			watch_on_timer(&r.w, r.now, &r.out);
			watch_on_ready(&r.w, r.now, &r.out);
		}
		page(&r, "100", ""); /* whatever it was, it is over */
		assert_true(r.out.acts & WATCH_SYNC_COMMIT);
		watch_fini(&r.w);
	}
}

static void a_list_that_was_there_is_not_parked_for_a_400(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	watch_on_body_end(&r.w, true, r.now + 400 * S, &r.out);
	for (int i = 0; i < 10; i++) {
		status(&r, 400, (struct json_status){.code = 400}, -1);
		assert_int_equal(watch_list_state(&r.w), WATCH_LIST_STALE);
		assert_in_range(r.w.deadline_ns - r.now, 0, BACKOFF_MAX_MS * 1000000ull);
		r.now = r.w.deadline_ns;
		watch_on_timer(&r.w, r.now, &r.out);
		watch_on_ready(&r.w, r.now, &r.out);
	}
	watch_fini(&r.w);
	rig_init(&r, false); /* a continue token that this server does not know: begin again soon */
	page(&r, "100", "t");
	status(&r, 400, (struct json_status){.code = 400}, -1);
	assert_int_equal(r.w.state, WATCH_WAITING);
	watch_fini(&r.w);
}

/* The other lists of the resource lost their way of listing for an hour. */
static void a_bad_selector_says_nothing_about_streaming_lists(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	status(&r, 400, (struct json_status){.code = 400}, -1);
	assert_true(r.caps.no_watch_list && has(target(&r), "limit=500"));
	status(&r, 400, (struct json_status){.code = 400}, -1);
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
	assert_in_range(r.caps.probe_again_ns - r.now, 0, WATCH_PARK_MIN_S * S);
	watch_fini(&r.w);
}

/* Regression: a server that has just started says 403 for a second; each cut connection before had
 * made the park longer, and the list stayed stale for minutes. */
static void a_passing_403_does_not_park_a_list_that_was_there(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int i = 0; i < 10; i++)
		backoff_fail(&r.w.backoff, &r.w.rng, r.now);
	watch_on_body_end(&r.w, true, r.now + 400 * S, &r.out);
	for (int i = 0; i < WATCH_DENIALS_MAX; i++) {
		status(&r, 403, (struct json_status){.code = 403}, -1);
		assert_int_equal(watch_list_state(&r.w), WATCH_LIST_STALE);
		assert_in_range(r.w.deadline_ns - r.now, 0, BACKOFF_MAX_MS * 1000000ull);
		r.now = r.w.deadline_ns;
		watch_on_timer(&r.w, r.now, &r.out);
		watch_on_ready(&r.w, r.now, &r.out);
	}
	status(&r, 403, (struct json_status){.code = 403}, -1);
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
	assert_in_range(r.w.deadline_ns - r.now, WATCH_PARK_MIN_S * S / 2, WATCH_PARK_MIN_S * S);
	watch_fini(&r.w);
}

static void retry_after_is_obeyed(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	status(&r, 429, (struct json_status){0}, 7);
	assert_in_range(r.w.deadline_ns - r.now, 7 * S, 8 * S + 1);
	watch_fini(&r.w);
	rig_init(&r, false);
	status(&r, 429, (struct json_status){0},
	        86400); /* a server cannot send us away for a day */
	assert_in_range(r.w.deadline_ns - r.now, 600 * S, 602 * S);
	watch_fini(&r.w);
}

static void server_errors_resume_then_relist(void **s)
{
	struct rig r;
	struct json_event ev = {.type = JSON_EVENT_ERROR};
	struct json_status broken = {.code = 500};
	(void)s;
	rig_live(&r);
	for (int i = 0; i < WATCH_RESUMES_MAX; i++) {
		assert_false(r.w.relist);
		watch_on_event(&r.w, &ev, &broken, r.now, &r.out);
		r.now = r.w.deadline_ns;
		watch_on_timer(&r.w, r.now, &r.out);
		watch_on_ready(&r.w, r.now, &r.out);
		if (i + 1 < WATCH_RESUMES_MAX)
			watch_on_head(&r.w, 200, -1, r.now, &r.out);
	}
	assert_true(has(target(&r), "limit=500"));
	watch_fini(&r.w);
}

static void silence_is_met_by_a_new_connection_then_by_a_list(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	event(&r, JSON_EVENT_BOOKMARK, "101", false);
	r.now += WATCH_BOOKMARK_S * S;
	watch_on_timer(&r.w, r.now, &r.out);
	assert_true(r.out.acts & WATCH_CONNECT);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_true(has(target(&r), "resourceVersion=101")); /* a dead path: resume */
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	r.now += WATCH_BOOKMARK_S * S;
	watch_on_timer(&r.w, r.now, &r.out);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_true(has(
	        target(&r), "limit=500")); /* a watch from the server's future is silent for ever */
	watch_fini(&r.w);
}

static void a_server_that_hangs_or_drips_is_left(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	r.now += WATCH_HEAD_S * S;
	watch_on_timer(&r.w, r.now, &r.out);
	assert_int_equal(r.w.err, ERR_CONN_TIMEOUT);
	watch_fini(&r.w);
	rig_init(&r, false);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	for (uint64_t end = r.now + WATCH_PAGE_S * S; r.w.state == WATCH_SYNCING; r.now += S) {
		assert_true(r.now <= end);
		watch_on_bytes(&r.w, r.now);
		watch_on_timer(&r.w, r.now, &r.out);
	}
	assert_true(r.out.acts & WATCH_SYNC_ABORT);
	watch_fini(&r.w);
}

static void watches_that_end_at_once_are_backed_off_from(void **s)
{
	struct rig r;
	int ends = 0;
	(void)s;
	rig_live(&r);
	while (r.w.state != WATCH_WAITING) {
		assert_true(++ends <= 4);
		watch_on_body_end(&r.w, true, r.now, &r.out);
		if (r.out.acts & WATCH_SEND)
			watch_on_head(&r.w, 200, -1, r.now, &r.out);
	}
	assert_int_equal(r.w.err, ERR_KUBE_SHORT_WATCH);
	watch_fini(&r.w);
}

/* A server or proxy that sends something and ends each watch at once: it was asked as fast as it
 * could answer, for ever. Nothing is missed, so the list is not taken again. */
static void watches_that_end_after_an_event_are_not_asked_for_at_once_for_ever(void **s)
{
	(void)s;
	for (int bookmarks = 0; bookmarks < 2; bookmarks++) {
		struct rig r;
		char rv[16];
		rig_live(&r);
		uint64_t end = r.now + 60 * S;
		int asked = 0;
		for (; r.now < end; asked++) {
			assert_true(asked < 150);
			snprintf(rv, sizeof rv, "%d", 101 + asked);
			event(&r, bookmarks ? JSON_EVENT_BOOKMARK : JSON_EVENT_MODIFIED, rv, false);
			watch_on_body_end(&r.w, true, r.now, &r.out);
			if (r.w.state == WATCH_WAITING) {
				assert_int_equal(r.w.err, ERR_KUBE_SHORT_WATCH);
				assert_in_range(r.w.deadline_ns - r.now, 1, S);
				r.now = r.w.deadline_ns;
				watch_on_timer(&r.w, r.now, &r.out);
				watch_on_ready(&r.w, r.now, &r.out);
			}
			assert_true(has(target(&r), rv));
			watch_on_head(&r.w, 200, -1, r.now, &r.out);
		}
		r.now += 400 * S; /* one that lives */
		watch_on_body_end(&r.w, true, r.now, &r.out);
		assert_true(r.out.acts & WATCH_SEND);
		watch_fini(&r.w);
	}
}

/* Compaction that is faster than the list, or a server whose watches never know the version that
 * its lists have: each turn costs it the whole list. */
static void a_watch_that_is_gone_after_each_list_is_backed_off_from(void **s)
{
	(void)s;
	for (int as_event = 0; as_event < 2; as_event++) {
		struct rig r;
		int lists = 0;
		rig_init(&r, false);
		while (r.w.state != WATCH_WAITING) {
			assert_true(++lists <= 4);
			page(&r, "100", "");
			if (as_event) {
				struct json_event ev = {.type = JSON_EVENT_ERROR};
				struct json_status gone = {.code = 410};
				watch_on_head(&r.w, 200, -1, r.now, &r.out);
				watch_on_event(&r.w, &ev, &gone, r.now, &r.out);
			} else {
				status(&r, 410, (struct json_status){.code = 410}, -1);
			}
			if (r.out.acts & WATCH_CONNECT)
				watch_on_ready(&r.w, r.now, &r.out);
		}
		assert_true(lists > 1); /* the first is answered at once */
		assert_int_equal(r.w.err, ERR_KUBE_EXPIRED);
		watch_fini(&r.w);
	}
}

/* A server or proxy that drops bookmarks, and a list that is never quiet. */
static void a_busy_streaming_list_without_marker_falls_back_too(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	/* What is there may take long, as long as it goes on. */
	for (int i = 0; i < 60; i++, r.now += S) {
		assert_int_equal(event(&r, JSON_EVENT_ADDED, "90", false), WATCH_APPLY_SYNC_ITEM);
		watch_on_timer(&r.w, r.now, &r.out);
		assert_int_equal(r.w.state, WATCH_SYNCING);
	}
	uint64_t end = r.now + (WATCH_MARKER_S + 1) * S;
	for (; r.w.state == WATCH_SYNCING; r.now += S) {
		assert_true(r.now <= end);
		event(&r, JSON_EVENT_MODIFIED, "91", false);
		event(&r, JSON_EVENT_ADDED, "92", false);
		watch_on_timer(&r.w, r.now, &r.out);
	}
	assert_true(r.caps.no_watch_list);
	assert_int_equal(r.caps.no_watch_list_why, ERR_KUBE_NO_MARKER);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_true(has(target(&r), "limit=500"));
	watch_fini(&r.w);
}

static void back_off_is_jittered_bounded_and_forgotten(void **s)
{
	struct backoff b = {0};
	struct prng rng = {3};
	(void)s;
	for (int i = 0; i < 50; i++) {
		uint64_t step = i < 6 ? (uint64_t)BACKOFF_FIRST_MS << i : BACKOFF_MAX_MS;
		assert_in_range(backoff_fail(&b, &rng, 1), step * 500000, step * 1000000);
	}
	backoff_ok(&b, 10 * S);
	assert_in_range(backoff_fail(&b, &rng, (10 + BACKOFF_HEALTHY_S) * S), 0,
	        BACKOFF_FIRST_MS * 1000000ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(streaming_list_asks_with_all_that_is_required),
	        cmocka_unit_test(streaming_list_becomes_visible_at_its_marker_only),
	        cmocka_unit_test(refused_streaming_list_costs_one_request_and_is_remembered),
	        cmocka_unit_test(missing_marker_falls_back_by_its_deadline),
	        cmocka_unit_test(streaming_list_is_tried_again_after_an_hour),
	        cmocka_unit_test(events_are_always_listed_in_pages),
	        cmocka_unit_test(pages_follow_their_token_and_commit_once),
	        cmocka_unit_test(expired_continue_lists_again_without_pages),
	        cmocka_unit_test(gone_in_each_of_its_places_relists),
	        cmocka_unit_test(resume_uses_the_last_event_or_bookmark),
	        cmocka_unit_test(versions_that_go_back_are_never_applied),
	        cmocka_unit_test(nothing_at_or_before_a_bookmark_comes_after_it),
	        cmocka_unit_test(opaque_versions_are_taken_as_they_come),
	        cmocka_unit_test(versions_of_any_length_are_ordered),
	        cmocka_unit_test(an_error_event_leaves_the_version),
	        cmocka_unit_test(a_watch_has_the_selectors_of_its_list_and_no_pages),
	        cmocka_unit_test(a_server_behind_us_is_asked_three_times_then_believed),
	        cmocka_unit_test(unauthorized_refreshes_once_then_parks),
	        cmocka_unit_test(a_refused_login_is_probed_soon_and_says_what_to_do),
	        cmocka_unit_test(a_renewed_credential_that_is_refused_says_so),
	        cmocka_unit_test(a_list_that_is_let_in_again_resumes),
	        cmocka_unit_test(another_server_is_listed_and_its_versions_believed),
	        cmocka_unit_test(forbidden_and_absent_are_probed_slowly_and_for_ever),
	        cmocka_unit_test(a_list_that_is_never_taken_is_parked),
	        cmocka_unit_test(a_list_that_was_there_is_not_parked_for_a_400),
	        cmocka_unit_test(a_bad_selector_says_nothing_about_streaming_lists),
	        cmocka_unit_test(a_passing_403_does_not_park_a_list_that_was_there),
	        cmocka_unit_test(retry_after_is_obeyed),
	        cmocka_unit_test(server_errors_resume_then_relist),
	        cmocka_unit_test(silence_is_met_by_a_new_connection_then_by_a_list),
	        cmocka_unit_test(a_server_that_hangs_or_drips_is_left),
	        cmocka_unit_test(watches_that_end_at_once_are_backed_off_from),
	        cmocka_unit_test(
	                watches_that_end_after_an_event_are_not_asked_for_at_once_for_ever),
	        cmocka_unit_test(a_busy_streaming_list_without_marker_falls_back_too),
	        cmocka_unit_test(a_watch_that_is_gone_after_each_list_is_backed_off_from),
	        cmocka_unit_test(back_off_is_jittered_bounded_and_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
