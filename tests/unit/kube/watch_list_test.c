/* watch_list_test.c - how the whole list is taken: in pages, as a stream, and what is done where a
 * server can do neither well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "watch_rig.h"

/* --- pages -------------------------------------------------------------------------------- */

static void the_pages_of_a_list_are_one_sync(void **s)
{
	struct rig r;
	struct json_list_meta last = {.resource_version = SPAN("100"), .saw_items = true};
	(void)s;
	rig_init(&r, false);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	assert_true(r.out.acts & WATCH_SYNC_BEGIN);
	watch_on_page(&r.w,
	        &(struct json_list_meta){
	                .resource_version = SPAN("100"), .continue_ = SPAN("t"), .saw_items = true},
	        r.now, &r.out);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	assert_false(r.out.acts & WATCH_SYNC_BEGIN); /* it would drop what the first page held */
	watch_on_page(&r.w, &last, r.now, &r.out);
	assert_true(r.out.acts & WATCH_SYNC_COMMIT);
	watch_fini(&r.w);
}

/* A token that aged once, while the server was slow: from then on the list was asked for in one
 * piece, which servers cut after a minute, for ever. */
static void a_list_without_pages_is_one_try(void **s)
{
	(void)s;
	for (int how = 0; how < 4; how++) {
		struct rig r;
		rig_init(&r, false);
		page(&r, "100", "t");
		status(&r, 410, (struct json_status){.code = 410}, -1);
		assert_false(has(target(&r), "limit="));
		if (how == 0) {
			r.now = r.w.deadline_ns; /* no head */
			watch_on_timer(&r.w, r.now, &r.out);
		} else if (how == 1) {
			status(&r, 504, (struct json_status){.code = 504}, -1);
		} else {
			watch_on_head(&r.w, 200, -1, r.now, &r.out);
			if (how == 2)
				watch_on_lost(&r.w, ERR_HTTP_TRUNCATED, "cut", r.now, &r.out);
			else
				watch_on_body_end(&r.w, true, r.now, &r.out);
		}
		again(&r);
		assert_true(has(target(&r), "limit=500"));
		watch_fini(&r.w);
	}
}

/* A server that sheds load answers 429 to one page of twenty: a list of a hundred began anew each
 * time, and added to the load. */
static void a_page_that_is_put_off_is_asked_for_again(void **s)
{
	static const int codes[] = {429, 502, 503, 504};
	(void)s;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		struct rig r;
		rig_init(&r, false);
		page(&r, "100", "t1");
		for (int n = 0; n < 3; n++) {
			status(&r, codes[i], (struct json_status){.code = codes[i]}, n ? -1 : 7);
			assert_int_equal(r.w.state, WATCH_WAITING);
			assert_false(r.out.acts & WATCH_SYNC_ABORT);
			assert_true(n || r.w.deadline_ns - r.now >= 7 * S);
			again(&r);
			assert_false(r.out.acts & WATCH_SYNC_ABORT);
			assert_true(has(target(&r), "limit=500&continue=t1"));
		}
		assert_int_equal(watch_on_head(&r.w, 200, -1, r.now, &r.out), WATCH_BODY_LIST);
		assert_false(r.out.acts & WATCH_SYNC_BEGIN);
		watch_on_page(&r.w,
		        &(struct json_list_meta){
		                .resource_version = SPAN("100"), .saw_items = true},
		        r.now, &r.out);
		assert_true(r.out.acts & WATCH_SYNC_COMMIT);
		watch_fini(&r.w);
	}
}

/* What is staged goes with whatever else ends the wait. */
static void a_page_that_was_put_off_is_given_up(void **s)
{
	(void)s;
	for (int how = 0; how < 4; how++) {
		struct rig r;
		rig_init(&r, false);
		page(&r, "100", "t1");
		status(&r, 429, (struct json_status){.code = 429}, -1);
		if (how > 1) {
			r.now = r.w.deadline_ns;
			watch_on_timer(&r.w, r.now, &r.out);
			assert_int_equal(r.w.state, WATCH_CONNECTING);
		}
		if (how == 0)
			watch_on_moved(&r.w, r.now, &r.out);
		else if (how == 1)
			watch_stop(&r.w, &r.out);
		else if (how == 2)
			watch_on_lost(&r.w, ERR_CONN_REFUSED, NULL, r.now, &r.out);
		else
			watch_on_moved(&r.w, r.now, &r.out);
		assert_true(r.out.acts & WATCH_SYNC_ABORT);
		if (how != 1) {
			if (r.w.state == WATCH_CONNECTING)
				watch_on_ready(&r.w, r.now, &r.out);
			else
				again(&r);
			assert_false(has(target(&r), "continue="));
		}
		watch_fini(&r.w);
	}
}

/* Aggregated servers: one that makes each page afresh, and one that reads no token. The first was
 * never there, the second was asked for its first page for ever, as fast as it answered. */
static void pages_that_lead_nowhere_are_done_without(void **s)
{
	static const struct {
		const char *rv, *token;
	} seconds[] = {{"101", ""}, {"101", "u"}, {"100", "t"}};
	(void)s;
	for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
		struct rig r;
		rig_init(&r, false);
		page(&r, "100", "t");
		page(&r, seconds[i].rv, seconds[i].token);
		assert_true(r.out.acts & WATCH_SYNC_ABORT);
		assert_int_equal(r.w.err, ERR_KUBE_ORDER);
		assert_int_equal(r.w.state, WATCH_WAITING);
		again(&r);
		assert_false(has(target(&r), "limit=") || has(target(&r), "continue="));
		page(&r, "102", "");
		assert_true(r.out.acts & WATCH_SYNC_COMMIT);
		watch_fini(&r.w);
	}
}

static void after_a_list_without_pages_the_next_has_them_again(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	page(&r, "100", "t");
	status(&r, 410, (struct json_status){.code = 410}, -1);
	assert_false(has(target(&r), "limit="));
	page(&r, "101", "");
	stream(&r);
	watch_on_lost(&r.w, ERR_HTTP_SYNTAX, "nonsense", r.now, &r.out);
	assert_relists(&r);
	watch_fini(&r.w);
}

/* A proxy's cache that has one entry for the list and for an object of that name, or for the list
 * and its table (tests/headlamp.md, HC-1, HC-2): it was published as an empty list. */
static void what_has_no_items_is_no_list(void **s)
{
	static const struct json_list_meta others[] = {
	        {.resource_version = SPAN("100"), .kind = SPAN("ConfigMap")},
	        {.resource_version = SPAN("100"), .kind = SPAN("Table")},
	        {.resource_version = SPAN("100"), .kind = SPAN("ist")},
	        {.resource_version = SPAN("100")}};
	static const struct json_list_meta empty = {
	        .resource_version = SPAN("100"), .kind = SPAN("PodList")};
	(void)s;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct rig r;
		rig_init(&r, false);
		watch_on_head(&r.w, 200, -1, r.now, &r.out);
		watch_on_page(&r.w, &others[i], r.now, &r.out);
		assert_true(r.out.acts & WATCH_SYNC_ABORT);
		assert_int_equal(r.w.err, ERR_JSON_SHAPE);
		again(&r);
		watch_on_head(&r.w, 200, -1, r.now, &r.out);
		watch_on_page(&r.w, &empty, r.now, &r.out); /* it may leave out what is empty */
		assert_true(r.out.acts & WATCH_SYNC_COMMIT);
		watch_fini(&r.w);
	}
}

/* The wait of a list that is refused again and again, at its longest. */
static uint64_t longest_wait(struct rig *r, void (*refuse)(struct rig *))
{
	uint64_t most = 0;
	for (int i = 0; i < 10; i++) {
		refuse(r);
		assert_true(r->out.acts & WATCH_SYNC_ABORT);
		if (r->w.deadline_ns - r->now > most)
			most = r->w.deadline_ns - r->now;
		again(r);
	}
	return most;
}

static void an_item_is_over_a_limit(struct rig *r)
{
	watch_on_head(&r->w, 200, -1, r->now, &r->out);
	watch_on_refused(&r->w, ERR_JSON_LIMIT, "version 80 of 63", r->now, &r->out);
	assert_string_equal(watch_text(&r->w), "version 80 of 63");
}

static void its_version_is_too_long(struct rig *r)
{
	char rv[WATCH_RV_MAX + 1] = "";
	memset(rv, 'e', WATCH_RV_MAX);
	page(r, rv, "");
	assert_true(has(watch_text(&r->w), "over 63 bytes"));
}

/* Karmada writes the versions of all its members into one: such a list
 * was taken anew every half minute, for ever. */
static void what_is_too_long_for_us_is_asked_for_seldom(void **s)
{
	static void (*const ways[])(struct rig *) = {
	        an_item_is_over_a_limit, its_version_is_too_long};
	(void)s;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		struct rig r;
		rig_init(&r, false);
		assert_true(longest_wait(&r, ways[i]) > WATCH_PARK_MAX_S / 2 * S);
		watch_fini(&r.w);
	}
}

/* The longest that we keep, of any form. */
static void a_version_of_63_bytes_is_kept(void **s)
{
	struct rig r;
	char rv[WATCH_RV_MAX] = "";
	(void)s;
	memset(rv, 'e', WATCH_RV_MAX - 1);
	rig_init(&r, false);
	page(&r, rv, "");
	assert_true(r.out.acts & WATCH_SYNC_COMMIT);
	assert_true(has(target(&r), rv));
	watch_fini(&r.w);
}

static void a_token_of_any_length_is_not_kept(void **s)
{
	static char token[WATCH_TOKEN_MAX + 2];
	(void)s;
	for (size_t n = WATCH_TOKEN_MAX; n <= WATCH_TOKEN_MAX + 1; n++) {
		struct rig r;
		memset(token, 'a', n);
		rig_init(&r, false);
		page(&r, "100", token);
		assert_int_equal(r.w.state, n > WATCH_TOKEN_MAX ? WATCH_WAITING : WATCH_ASKING);
		watch_fini(&r.w);
	}
}

/* --- streaming lists ---------------------------------------------------------------------- */

static void events_of_both_groups_are_listed_in_pages(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	r.conf.resource = "events";
	r.conf.group = "events.k8s.io";
	watch_on_lost(&r.w, ERR_CONN_RESET, NULL, r.now, &r.out);
	again(&r);
	assert_true(has(target(&r), "/events?limit=500"));
	watch_fini(&r.w);
}

/* A 403 may be of the list, which an administrator lifts in a minute; the others are of the server.
 */
static void a_streaming_list_that_was_denied_is_tried_again_soon(void **s)
{
	static const int codes[] = {403, 422};
	(void)s;
	for (size_t i = 0; i < 2; i++) {
		struct rig r;
		rig_init(&r, true);
		status(&r, codes[i], (struct json_status){.code = codes[i]}, -1);
		watch_on_lost(&r.w, ERR_CONN_RESET, NULL, r.now, &r.out);
		r.w.deadline_ns += WATCH_PARK_MIN_S * S;
		again(&r);
		assert_int_equal(has(target(&r), "sendInitialEvents"), codes[i] == 403);
		watch_fini(&r.w);
	}
}

/* A server that knows bookmarks, passes over sendInitialEvents, and sends one every 5 s (etcd's
 * progress notifications, of a resource without cache): the list was never there. */
static void bookmarks_without_the_marker_do_not_put_off_the_list(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	event(&r, JSON_EVENT_ADDED, "90", false);
	uint64_t since = r.now;
	for (int at = 91; r.w.state == WATCH_SYNCING; at++, r.now += 5 * S) {
		char rv[16];
		assert_true(r.now - since <= (WATCH_MARKER_S + 5) * S);
		snprintf(rv, sizeof rv, "%d", at);
		event(&r, JSON_EVENT_BOOKMARK, rv, false);
		watch_on_timer(&r.w, r.now, &r.out);
	}
	assert_int_equal(r.caps.no_watch_list_why, ERR_KUBE_NO_MARKER);
	watch_on_ready(&r.w, r.now, &r.out);
	assert_true(has(target(&r), "limit=500"));
	watch_fini(&r.w);
}

static void a_second_end_marker_is_a_bookmark(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	event(&r, JSON_EVENT_BOOKMARK, "95", true);
	assert_true(r.out.acts & WATCH_SYNC_COMMIT);
	assert_int_equal(event(&r, JSON_EVENT_BOOKMARK, "95", true), WATCH_APPLY_BOOKMARK);
	assert_int_equal(event(&r, JSON_EVENT_BOOKMARK, "97", true), WATCH_APPLY_BOOKMARK);
	assert_int_equal(r.out.acts, 0);
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_LIVE);
	watch_on_body_end(&r.w, true, r.now + 400 * S, &r.out);
	assert_true(has(target(&r), "resourceVersion=97"));
	watch_fini(&r.w);
}

/* Behind a server that was restored, "not older than" may be out of reach for ever. */
static void a_version_that_the_server_never_reaches_is_given_up(void **s)
{
	static const struct json_status late = {
	        .code = 504, .too_large_rv = true, .retry_after_seconds = 1};
	(void)s;
	for (int as_event = 0; as_event < 2; as_event++) {
		struct rig r;
		int tries = 0;
		rig_init(&r, true);
		watch_on_head(&r.w, 200, -1, r.now, &r.out);
		event(&r, JSON_EVENT_BOOKMARK, "95", true);
		error_event(&r, (struct json_status){.code = 410});
		watch_on_ready(&r.w, r.now, &r.out);
		for (; has(target(&r), "resourceVersion=95"); tries++) {
			assert_true(tries < WATCH_BACK_TRIES);
			if (as_event) {
				watch_on_head(&r.w, 200, -1, r.now, &r.out);
				error_event(&r, late);
			} else {
				status(&r, 504, late, -1);
			}
			assert_int_equal(r.w.err, ERR_KUBE_TOO_LARGE_RV);
			assert_in_range(r.w.deadline_ns - r.now, S, 2 * S + 1);
			again(&r);
		}
		assert_int_equal(tries, WATCH_BACK_TRIES);
		assert_true(has(target(&r), "sendInitialEvents"));
		watch_on_head(&r.w, 200, -1, r.now, &r.out);
		event(&r, JSON_EVENT_BOOKMARK, "40", true);
		assert_true(r.out.acts & WATCH_SYNC_COMMIT && r.out.version_back);
		watch_fini(&r.w);
	}
}

/* Cut before its first event: that says nothing about what the server can do. */
static void an_empty_answer_does_not_end_streaming_lists(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	watch_on_body_end(&r.w, true, r.now, &r.out);
	assert_int_equal(r.w.err, ERR_HTTP_TRUNCATED);
	again(&r);
	assert_true(has(target(&r), "sendInitialEvents"));
	watch_fini(&r.w);
	/* nor what came of the one before */
	rig_init(&r, true);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	event(&r, JSON_EVENT_ADDED, "90", false);
	watch_on_lost(&r.w, ERR_CONN_RESET, NULL, r.now, &r.out);
	again(&r);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	watch_on_body_end(&r.w, true, r.now, &r.out);
	assert_false(r.caps.no_watch_list);
	watch_fini(&r.w);
}

static void no_head(struct rig *r)
{
	r->now = r->w.deadline_ns;
	watch_on_timer(&r->w, r->now, &r->out);
}

static void cut_in_the_middle(struct rig *r)
{
	watch_on_head(&r->w, 200, -1, r->now, &r->out);
	event(r, JSON_EVENT_ADDED, "90", false);
	watch_on_lost(&r->w, ERR_CONN_RESET, NULL, r->now, &r->out);
}

static void ended_at_once(struct rig *r)
{
	watch_on_head(&r->w, 200, -1, r->now, &r->out);
	watch_on_body_end(&r->w, true, r->now, &r->out);
}

/* "watch" is passed over, and what comes is the list itself. */
static void not_read(struct rig *r)
{
	watch_on_head(&r->w, 200, -1, r->now, &r->out);
	watch_on_refused(&r->w, ERR_JSON_SHAPE, NULL, r->now, &r->out);
}

/* Behind a proxy that keeps an answer until it is whole, no head ever comes; others cut what lasts,
 * or pass over what they do not know. Such a list was asked for as a stream for ever, and never was
 * there. */
static void a_streaming_list_that_comes_to_nothing_is_taken_as_a_list(void **s)
{
	static void (*const ends[])(struct rig *) = {
	        no_head, cut_in_the_middle, ended_at_once, not_read};
	(void)s;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		struct rig r;
		rig_init(&r, true);
		for (int n = 0; n < WATCH_STREAMS_MAX; n++) {
			assert_true(has(target(&r), "sendInitialEvents"));
			ends[i](&r);
			again(&r);
		}
		assert_true(has(target(&r), "limit=500"));
		page(&r, "100", "");
		stream(&r);
		/* one that fails again in an hour does so once; one that comes whole is as new */
		for (int whole = 0; whole < 2; whole++) {
			watch_on_lost(&r.w, ERR_HTTP_SYNTAX, "nonsense", r.now, &r.out);
			r.w.deadline_ns += WATCH_REPROBE_S * S;
			again(&r);
			assert_true(has(target(&r), "sendInitialEvents"));
			if (whole) {
				watch_on_head(&r.w, 200, -1, r.now, &r.out);
				event(&r, JSON_EVENT_BOOKMARK, "101", true);
				watch_on_lost(&r.w, ERR_HTTP_SYNTAX, NULL, r.now, &r.out);
				again(&r);
			}
			ends[i](&r);
			again(&r);
			assert_int_equal(has(target(&r), "sendInitialEvents"), whole);
			if (!whole) {
				page(&r, "100", "");
				stream(&r);
			}
		}
		watch_fini(&r.w);
	}
}

/* 429, and what balancers say, is no word about streaming lists. */
static void a_server_that_is_away_is_asked_for_the_stream_again(void **s)
{
	static const int codes[] = {429, 502, 503, 504};
	(void)s;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		struct rig r;
		rig_init(&r, true);
		for (int n = 0; n < 10; n++) {
			status(&r, codes[i], (struct json_status){.code = codes[i]}, -1);
			again(&r);
			assert_true(has(target(&r), "sendInitialEvents"));
		}
		watch_fini(&r.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_pages_of_a_list_are_one_sync),
	        cmocka_unit_test(a_list_without_pages_is_one_try),
	        cmocka_unit_test(a_page_that_is_put_off_is_asked_for_again),
	        cmocka_unit_test(a_page_that_was_put_off_is_given_up),
	        cmocka_unit_test(pages_that_lead_nowhere_are_done_without),
	        cmocka_unit_test(after_a_list_without_pages_the_next_has_them_again),
	        cmocka_unit_test(what_has_no_items_is_no_list),
	        cmocka_unit_test(what_is_too_long_for_us_is_asked_for_seldom),
	        cmocka_unit_test(a_version_of_63_bytes_is_kept),
	        cmocka_unit_test(a_token_of_any_length_is_not_kept),
	        cmocka_unit_test(events_of_both_groups_are_listed_in_pages),
	        cmocka_unit_test(a_streaming_list_that_was_denied_is_tried_again_soon),
	        cmocka_unit_test(bookmarks_without_the_marker_do_not_put_off_the_list),
	        cmocka_unit_test(a_second_end_marker_is_a_bookmark),
	        cmocka_unit_test(a_version_that_the_server_never_reaches_is_given_up),
	        cmocka_unit_test(an_empty_answer_does_not_end_streaming_lists),
	        cmocka_unit_test(a_streaming_list_that_comes_to_nothing_is_taken_as_a_list),
	        cmocka_unit_test(a_server_that_is_away_is_asked_for_the_stream_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
