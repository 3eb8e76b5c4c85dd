/* watch_life_test.c - what a list+watch machine remembers from one answer to the next, and what it
 * forgets: each of these is a list that is stale for minutes, or a server that is asked too often,
 * long after the answer that caused it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "watch_rig.h"

#define MS 1000000ull

/* --- what is not to be trusted ------------------------------------------------------------ */

static void what_breaks_the_protocol_is_listed_again(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	watch_on_lost(&r.w, ERR_HTTP_SYNTAX, "nonsense", r.now, &r.out);
	assert_relists(&r);
	watch_fini(&r.w);
	rig_live(&r); /* while one that was cut resumes */
	watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
	again(&r);
	assert_true(has(target(&r), "resourceVersion=100"));
	watch_fini(&r.w);
}

static void who_was_not_allowed_to_look_lists_again(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	watch_on_body_end(&r.w, true, r.now + 400 * S, &r.out);
	while (r.w.state != WATCH_PARKED) {
		status(&r, 403, (struct json_status){.code = 403}, -1);
		if (r.w.state == WATCH_WAITING)
			again(&r);
	}
	assert_relists(&r);
	watch_fini(&r.w);
}

static void a_request_that_is_bad_is_not_resumed_with(void **s)
{
	static const int codes[] = {400, 422};
	(void)s;
	for (size_t i = 0; i < 2; i++) {
		struct rig r;
		rig_live(&r);
		error_event(&r, (struct json_status){.code = codes[i]});
		assert_relists(&r);
		watch_fini(&r.w);
	}
}

static void expired_is_known_by_its_code_or_its_reason(void **s)
{
	static const struct json_status says[] = {
	        {.code = 410}, {.reason = SPAN("Expired")}, {.reason = SPAN("Gone")}};
	(void)s;
	for (size_t i = 0; i < 3; i++) {
		struct rig r;
		rig_live(&r);
		error_event(&r, says[i]);
		assert_int_equal(r.w.err, ERR_KUBE_EXPIRED);
		assert_relists(&r);
		watch_fini(&r.w);
	}
}

static void nothing_at_the_end_marker_comes_after_it(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, true);
	watch_on_head(&r.w, 200, -1, r.now, &r.out);
	event(&r, JSON_EVENT_BOOKMARK, "95", true);
	assert_int_equal(event(&r, JSON_EVENT_MODIFIED, "95", false), WATCH_APPLY_NOTHING);
	assert_int_equal(r.w.err, ERR_KUBE_ORDER);
	watch_fini(&r.w);
}

static void a_server_that_goes_back_twice_is_asked_again_twice(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int round = 0, at = 90; round < 2; round++, at -= 10) {
		char rv[16];
		int refused = 0;
		snprintf(rv, sizeof rv, "%d", at);
		error_event(&r, (struct json_status){.code = 410});
		assert_relists(&r);
		for (page(&r, rv, ""); !(r.out.acts & WATCH_SYNC_COMMIT); page(&r, rv, "")) {
			refused++;
			again(&r);
		}
		assert_int_equal(refused, WATCH_BACK_TRIES);
		assert_true(r.out.version_back);
		stream(&r);
		r.now += 200 * S; /* healthy: the next 410 is answered at once */
	}
	watch_fini(&r.w);
}

/* --- what an ERROR event may say ----------------------------------------------------------- */

static void an_error_event_waits_as_its_status_says(void **s)
{
	static const struct {
		struct json_status st;
		err_t err;
		uint64_t least, most;
	} rows[] = {{{.code = 429, .retry_after_seconds = 9}, ERR_KUBE_THROTTLED, 9 * S, 10 * S},
	        {{.code = 503, .retry_after_seconds = 4}, ERR_KUBE_SERVER, 4 * S, 5 * S},
	        {{.code = 504}, ERR_KUBE_SERVER, 250 * MS, 500 * MS},
	        {{.code = 500}, ERR_KUBE_SERVER, 250 * MS, 500 * MS},
	        {{.code = 200}, ERR_KUBE_SERVER, 250 * MS, 500 * MS},
	        {{.code = 0}, ERR_KUBE_SERVER, 250 * MS, 500 * MS}};
	(void)s;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rig r;
		rig_live(&r);
		event(&r, JSON_EVENT_ADDED, "105", false);
		/* what the head said long ago is not meant */
		r.w.retry_after_s = 77;
		error_event(&r, rows[i].st);
		assert_int_equal(r.w.err, rows[i].err);
		assert_true(rows[i].st.code || has(watch_text(&r.w), "500"));
		assert_int_equal(watch_list_state(&r.w), WATCH_LIST_STALE);
		assert_in_range(r.w.deadline_ns - r.now, rows[i].least, rows[i].most);
		again(&r);
		assert_true(has(target(&r), "resourceVersion=105"));
		watch_fini(&r.w);
	}
}

static void a_redirect_is_not_followed_but_parked(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	for (int i = 0; i < 3; i++) {
		status(&r, 302, (struct json_status){0}, -1);
		assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
		assert_int_equal(r.w.err, ERR_HTTP_REDIRECT);
		again(&r);
	}
	watch_fini(&r.w);
}

/* --- who is asked how often --------------------------------------------------------------- */

static void a_stream_that_is_cut_at_once_is_backed_off_from(void **s)
{
	struct rig r;
	uint64_t wait = 0;
	(void)s;
	rig_live(&r);
	for (int i = 0; i < 8; i++) {
		watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
		wait = r.w.deadline_ns - r.now;
		again(&r);
		stream(&r);
	}
	assert_true(wait >= BACKOFF_MAX_MS * MS / 2);
	/* and one that lived comes back soon */
	r.now += (BACKOFF_HEALTHY_S + 1) * S;
	watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
	assert_true(r.w.deadline_ns - r.now <= S / 2);
	watch_fini(&r.w);
}

/* The same for what fails otherwise: a minute of health forgets what was before. */
static void health_forgets_failures(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int i = 0; i < 8; i++) {
		watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
		again(&r);
		stream(&r);
	}
	r.now += 2 * BACKOFF_HEALTHY_S * S;
	watch_on_lost(&r.w, ERR_HTTP_SYNTAX, "nonsense", r.now, &r.out);
	assert_in_range(r.w.deadline_ns - r.now, BACKOFF_FIRST_MS * MS / 2, BACKOFF_FIRST_MS * MS);
	watch_fini(&r.w);
}

static void a_410_after_health_is_answered_at_once(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int i = 0; i < 3 * WATCH_EXPIRIES_MAX; i++) {
		r.now += 2 * BACKOFF_HEALTHY_S * S;
		error_event(&r, (struct json_status){.code = 410});
		assert_int_equal(r.w.state, WATCH_CONNECTING);
		assert_relists(&r);
		page(&r, "100", "");
		stream(&r);
	}
	watch_fini(&r.w);
}

static void lists_that_are_sent_away_together_do_not_come_back_together(void **s)
{
	uint64_t least = UINT64_MAX, most = 0;
	(void)s;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct rig r;
		rig_init(&r, false);
		r.w.rng.s = seed * 1000003;
		status(&r, 429, (struct json_status){0}, 7);
		uint64_t wait = r.w.deadline_ns - r.now;
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
		watch_fini(&r.w);
	}
	assert_true(least >= 7 * S && most - least > 200 * MS);
}

static void the_retry_after_of_the_body_counts_too(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	status(&r, 429, (struct json_status){.code = 429, .retry_after_seconds = 9}, -1);
	assert_in_range(r.w.deadline_ns - r.now, 9 * S, 10 * S + 1);
	watch_fini(&r.w);
}

static void a_resource_that_cannot_be_listed_is_parked(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	status(&r, 405, (struct json_status){.code = 405}, -1);
	assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
	/* where nothing that comes late moves it */
	uint64_t at = r.w.deadline_ns;
	watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
	assert_int_equal(r.out.acts, 0);
	assert_int_equal(r.w.deadline_ns, at);
	assert_int_equal(r.w.err, ERR_KUBE_NOT_FOUND);
	watch_fini(&r.w);
}

/* A role with get and list, without watch: the whole list was taken every 20 s, for ever. */
static void a_list_that_may_not_be_watched_is_taken_seldom(void **s)
{
	struct rig r;
	uint64_t wait = 0;
	(void)s;
	rig_init(&r, false);
	for (int i = 0; i < 8; i++) {
		page(&r, "100", "");
		while (r.w.state != WATCH_PARKED) {
			if (r.w.state == WATCH_WAITING)
				again(&r);
			status(&r, 403, (struct json_status){.code = 403}, -1);
		}
		assert_int_equal(r.w.err, ERR_KUBE_FORBIDDEN);
		wait = r.w.deadline_ns - r.now;
		assert_relists(&r);
	}
	assert_true(wait >= WATCH_PARK_MAX_S * S / 2);
	page(&r, "100", ""); /* what was granted counts */
	stream(&r);
	watch_on_refused(&r.w, ERR_BUDGET, "full", r.now, &r.out);
	assert_true(r.w.deadline_ns - r.now <= WATCH_PARK_MIN_S * S);
	watch_fini(&r.w);
}

static void a_limit_of_ours_parks_the_list(void **s)
{
	static const err_t ours[] = {ERR_BUDGET, ERR_LIMIT, ERR_NO_MEMORY, ERR_SHM};
	(void)s;
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
		struct rig r;
		rig_live(&r);
		watch_on_refused(&r.w, ours[i], "full", r.now, &r.out);
		assert_int_equal(watch_list_state(&r.w), WATCH_LIST_PARKED);
		assert_true(r.w.deadline_ns - r.now >= WATCH_PARK_MIN_S * S / 2);
		assert_relists(&r);
		watch_fini(&r.w);
	}
}

static void a_list_that_was_let_in_is_parked_anew_from_the_start(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	for (int i = 0; i < 6; i++) {
		status(&r, 404, (struct json_status){.code = 404}, -1);
		again(&r);
	}
	page(&r, "100", "");
	stream(&r);
	watch_on_refused(&r.w, ERR_BUDGET, "full", r.now, &r.out);
	assert_true(r.w.deadline_ns - r.now <= WATCH_PARK_MIN_S * S);
	watch_fini(&r.w);
}

/* --- credentials -------------------------------------------------------------------------- */

static void each_401_after_health_renews_the_credential(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int i = 0; i < 3; i++) {
		watch_on_body_end(&r.w, true, r.now += 400 * S, &r.out);
		status(&r, 401, (struct json_status){.code = 401}, -1);
		assert_true(r.out.acts & WATCH_CREDENTIAL);
		watch_on_credential(&r.w, true, NULL, r.now, &r.out);
		watch_on_ready(&r.w, r.now, &r.out);
		stream(&r);
	}
	watch_fini(&r.w);
}

static void another_server_may_ask_for_a_credential_of_its_own(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	watch_on_moved(&r.w, r.now, &r.out);
	assert_true(r.out.acts & WATCH_CONNECT);
	watch_on_ready(&r.w, r.now, &r.out);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	assert_true(r.out.acts & WATCH_CREDENTIAL);
	watch_fini(&r.w);
}

static void a_renewal_that_never_answers_is_not_waited_for(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	status(&r, 401, (struct json_status){.code = 401}, -1);
	assert_true(r.w.deadline_ns - r.now <= 60 * S);
	again(&r);
	watch_fini(&r.w);
}

/* --- streams ------------------------------------------------------------------------------ */

static void a_deletion_is_resumed_from(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	assert_int_equal(event(&r, JSON_EVENT_DELETED, "105", false), WATCH_APPLY_DELETE);
	watch_on_body_end(&r.w, true, r.now + 400 * S, &r.out);
	assert_true(has(target(&r), "resourceVersion=105"));
	watch_fini(&r.w);
}

/* Between five and ten minutes, and not all lists at once. */
static void watches_end_at_different_times(void **s)
{
	unsigned least = UINT32_MAX, most = 0;
	(void)s;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct rig r;
		unsigned seconds = 0;
		rig_live(&r);
		r.w.rng.s = seed * 1000003;
		watch_on_body_end(&r.w, true, r.now + 400 * S, &r.out);
		const char *at = strstr(target(&r), "&timeoutSeconds=");
		assert_non_null(at);
		assert_int_equal(sscanf(at, "&timeoutSeconds=%u", &seconds), 1);
		least = seconds < least ? seconds : least;
		most = seconds > most ? seconds : most;
		watch_fini(&r.w);
	}
	assert_true(least >= WATCH_TIMEOUT_MIN_S);
	assert_true(most < WATCH_TIMEOUT_MIN_S + WATCH_TIMEOUT_SPREAD_S);
	assert_true(most - least > WATCH_TIMEOUT_SPREAD_S / 2);
}

static void a_list_that_is_live_again_says_no_error(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	watch_on_lost(&r.w, ERR_CONN_RESET, "cut", r.now, &r.out);
	assert_int_equal(r.w.err, ERR_CONN_RESET);
	assert_string_equal(watch_text(&r.w), "cut");
	again(&r);
	stream(&r);
	assert_int_equal(r.w.err, ERR_OK);
	assert_string_equal(watch_text(&r.w), "");
	assert_true(r.out.acts & WATCH_STATE);
	watch_fini(&r.w);
}

/* Errors between which something came do not add up to a list; nor do those before one. */
static void errors_in_a_row_are_forgotten_by_what_comes(void **s)
{
	(void)s;
	for (int bookmark = 0; bookmark < 2; bookmark++) {
		struct rig r;
		rig_live(&r);
		for (int i = 0; i < 2 * WATCH_RESUMES_MAX; i++) {
			char rv[16];
			snprintf(rv, sizeof rv, "%d", 101 + i);
			event(&r, bookmark ? JSON_EVENT_BOOKMARK : JSON_EVENT_ADDED, rv, false);
			error_event(&r, (struct json_status){.code = 500});
			again(&r);
			stream(&r);
		}
		watch_fini(&r.w);
	}
}

static void errors_before_a_list_do_not_count_after_it(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int i = 0; i < WATCH_RESUMES_MAX; i++) {
		error_event(&r, (struct json_status){.code = 500});
		again(&r);
		if (i + 1 < WATCH_RESUMES_MAX)
			stream(&r);
	}
	page(&r, "100", "");
	stream(&r);
	error_event(&r, (struct json_status){.code = 500});
	again(&r);
	stream(&r); /* it resumes */
	watch_fini(&r.w);
}

/* A balancer says 503 for the ten seconds in which its servers restart: after the third, 3.5 s, all
 * lists were taken anew where resuming would have done. */
static void who_answers_for_a_server_that_is_away_says_nothing_about_the_version(void **s)
{
	static const int codes[] = {502, 503, 504};
	(void)s;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		struct rig r;
		rig_live(&r);
		watch_on_body_end(&r.w, true, r.now += 400 * S, &r.out);
		uint64_t since = r.now;
		while (r.now - since < 10 * S) {
			status(&r, codes[i], (struct json_status){0}, -1);
			assert_int_equal(watch_list_state(&r.w), WATCH_LIST_STALE);
			again(&r);
			assert_true(has(target(&r), "resourceVersion=100"));
		}
		stream(&r);
		/* for ever it is not believed that nothing was missed */
		watch_on_body_end(&r.w, true, r.now += 400 * S, &r.out);
		for (int n = 0; r.w.request != WATCH_REQ_PAGE; n++) {
			assert_true(n < WATCH_AWAY_MAX);
			status(&r, codes[i], (struct json_status){0}, -1);
			again(&r);
		}
		watch_fini(&r.w);
	}
}

static void short_watches_that_bring_events_are_no_reason_for_a_list(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int i = 0; i < 10; i++) {
		char rv[16];
		snprintf(rv, sizeof rv, "%d", 101 + i);
		event(&r, JSON_EVENT_ADDED, rv, false);
		watch_on_body_end(&r.w, true, r.now, &r.out);
		/* It is asked on, at the pace that it has at first, then a little slower. */
		assert_int_equal(r.w.state == WATCH_WAITING, i >= WATCH_SHORT_MAX);
		if (r.w.state == WATCH_WAITING)
			again(&r);
		stream(&r); /* from there, and no list */
	}
	/* those that bring none are not, whatever came before */
	watch_on_body_end(&r.w, true, r.now, &r.out);
	assert_int_equal(r.w.state, WATCH_WAITING);
	assert_int_equal(r.w.err, ERR_KUBE_SHORT_WATCH);
	watch_fini(&r.w);
}

/* Perhaps our version is what it stumbles over. */
static void short_watches_without_end_are_met_by_a_list(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	for (int i = 0; r.w.request != WATCH_REQ_PAGE; i++) {
		assert_true(i < 8);
		watch_on_body_end(&r.w, true, r.now, &r.out);
		if (r.w.state == WATCH_WAITING)
			again(&r);
		if (r.w.request == WATCH_REQ_WATCH)
			stream(&r);
	}
	watch_fini(&r.w);
}

/* Where no bookmarks come, silence means nothing: so the list is taken again after a while, though
 * the stream is renewed in between, by the server or by a proxy that cuts what is idle for a
 * minute. */
static void renewals_do_not_put_off_the_check_of_a_silent_list(void **s)
{
	static const uint64_t every_s[] = {50, 60, 100, 140};
	(void)s;
	for (size_t i = 0; i < sizeof every_s / sizeof every_s[0]; i++) {
		struct rig r;
		rig_live(&r);
		uint64_t since = r.now, renewal = r.now + every_s[i] * S;
		while (r.w.request != WATCH_REQ_PAGE) {
			assert_true(r.now - since <= (WATCH_VERIFY_S + 1) * S);
			if (r.w.deadline_ns <= renewal) {
				r.now = r.w.deadline_ns;
				watch_on_timer(&r.w, r.now, &r.out);
				if (r.w.state == WATCH_CONNECTING)
					watch_on_ready(&r.w, r.now, &r.out);
			} else {
				r.now = renewal;
				renewal += every_s[i] * S;
				watch_on_body_end(&r.w, true, r.now, &r.out);
				stream(&r);
			}
		}
		watch_fini(&r.w);
	}
}

/* How often a list that does not change is taken anew within a time, from a server that sends a
 * bookmark at every `gap` of a stream and ends its streams after 400 s. */
static unsigned lists_within(struct rig *r, uint64_t time_s, uint64_t gap_s)
{
	uint64_t until = r->now + time_s * S, began = r->now, bookmark = gap_s;
	unsigned lists = 0;
	while (r->now < until) {
		uint64_t mark = began + bookmark * S, end = began + 400 * S;
		bool at_mark = mark < end && mark <= r->w.deadline_ns;
		bool at_end = !at_mark && end <= r->w.deadline_ns;
		r->now = at_mark ? mark : at_end ? end : r->w.deadline_ns;
		if (at_mark) {
			bookmark += gap_s;
			(void)event(r, JSON_EVENT_BOOKMARK, "100", false);
			continue;
		}
		if (at_end)
			watch_on_body_end(&r->w, true, r->now, &r->out);
		else
			watch_on_timer(&r->w, r->now, &r->out);
		if (r->w.state == WATCH_CONNECTING)
			watch_on_ready(&r->w, r->now, &r->out);
		if (r->w.request == WATCH_REQ_PAGE) {
			lists++;
			page(r, "100", "");
		}
		if (r->w.state == WATCH_ASKING) {
			stream(r);
			began = r->now;
			bookmark = gap_s;
		}
	}
	return lists;
}

/* One every two minutes was taken for a dead path at 75 s, and the list was taken anew, for ever.
 */
static void bookmarks_may_be_rare(void **s)
{
	static const uint64_t gaps_s[] = {60, 90, 120, 149, 200, 290};
	(void)s;
	for (size_t i = 0; i < sizeof gaps_s / sizeof gaps_s[0]; i++) {
		struct rig r;
		rig_live(&r);
		/* at first nobody knows that they come */
		unsigned lists = lists_within(&r, 4 * 3600, gaps_s[i]);
		assert_true(gaps_s[i] < WATCH_VERIFY_S ? lists == 0 : lists <= 3);
		assert_int_equal(lists_within(&r, 4 * 3600, gaps_s[i]), 0);
		watch_fini(&r.w);
	}
}

/* kube-apiserver sends none before the first event after its start (without progress notifications
 * of its store): a list that was quiet since was taken anew every 75 s. */
static void bookmarks_may_end(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	assert_int_equal(lists_within(&r, 3600, 60), 0);
	assert_in_range(lists_within(&r, 4 * 3600, 1000000), 2, 8);
	assert_int_equal(r.w.verify_ns, WATCH_VERIFY_MAX_S * S);
	assert_true(lists_within(&r, 4 * 3600, 60) <= 1); /* they are back */
	r.now += WATCH_BOOKMARK_S * S;
	watch_on_timer(&r.w, r.now, &r.out);
	assert_int_equal(r.w.err, ERR_CONN_SILENT); /* and their silence means something again */
	watch_fini(&r.w);
}

/* A proxy that keeps an answer until it is whole: a list comes through, its watch never does. It
 * stayed as it was at first, for ever. */
static void a_watch_without_a_head_is_met_by_a_list(void **s)
{
	struct rig r;
	(void)s;
	rig_init(&r, false);
	for (int round = 0; round < 3; round++) {
		page(&r, "100", "");
		for (int i = 0; i < WATCH_RESUMES_MAX; i++) {
			assert_true(has(target(&r), "resourceVersion=100"));
			r.now = r.w.deadline_ns;
			watch_on_timer(&r.w, r.now, &r.out);
			assert_int_equal(r.w.err, ERR_CONN_TIMEOUT);
			again(&r);
		}
		assert_true(has(target(&r), "limit=500"));
	}
	watch_fini(&r.w);
}

/* A server that does not end its streams, and whose events go on: at 660 s it is left. */
static void a_stream_without_end_is_ended(void **s)
{
	struct rig r;
	(void)s;
	rig_live(&r);
	uint64_t since = r.now;
	r.w.verify_ns = WATCH_VERIFY_MAX_S * S;
	while (r.w.state == WATCH_STREAMING) {
		assert_true(r.now - since <= WATCH_STREAM_S * S);
		r.now = r.w.deadline_ns;
		watch_on_timer(&r.w, r.now, &r.out);
	}
	assert_int_equal(r.now - since, WATCH_STREAM_S * S);
	assert_true(r.out.acts & WATCH_CONNECT);
	watch_on_ready(&r.w, r.now, &r.out);
	stream(&r);
	watch_fini(&r.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_breaks_the_protocol_is_listed_again),
	        cmocka_unit_test(who_was_not_allowed_to_look_lists_again),
	        cmocka_unit_test(a_request_that_is_bad_is_not_resumed_with),
	        cmocka_unit_test(expired_is_known_by_its_code_or_its_reason),
	        cmocka_unit_test(nothing_at_the_end_marker_comes_after_it),
	        cmocka_unit_test(a_server_that_goes_back_twice_is_asked_again_twice),
	        cmocka_unit_test(a_stream_that_is_cut_at_once_is_backed_off_from),
	        cmocka_unit_test(health_forgets_failures),
	        cmocka_unit_test(a_410_after_health_is_answered_at_once),
	        cmocka_unit_test(lists_that_are_sent_away_together_do_not_come_back_together),
	        cmocka_unit_test(the_retry_after_of_the_body_counts_too),
	        cmocka_unit_test(a_resource_that_cannot_be_listed_is_parked),
	        cmocka_unit_test(a_list_that_may_not_be_watched_is_taken_seldom),
	        cmocka_unit_test(a_limit_of_ours_parks_the_list),
	        cmocka_unit_test(a_list_that_was_let_in_is_parked_anew_from_the_start),
	        cmocka_unit_test(each_401_after_health_renews_the_credential),
	        cmocka_unit_test(another_server_may_ask_for_a_credential_of_its_own),
	        cmocka_unit_test(a_renewal_that_never_answers_is_not_waited_for),
	        cmocka_unit_test(an_error_event_waits_as_its_status_says),
	        cmocka_unit_test(a_redirect_is_not_followed_but_parked),
	        cmocka_unit_test(a_deletion_is_resumed_from),
	        cmocka_unit_test(watches_end_at_different_times),
	        cmocka_unit_test(a_list_that_is_live_again_says_no_error),
	        cmocka_unit_test(errors_in_a_row_are_forgotten_by_what_comes),
	        cmocka_unit_test(errors_before_a_list_do_not_count_after_it),
	        cmocka_unit_test(
	                who_answers_for_a_server_that_is_away_says_nothing_about_the_version),
	        cmocka_unit_test(short_watches_that_bring_events_are_no_reason_for_a_list),
	        cmocka_unit_test(short_watches_without_end_are_met_by_a_list),
	        cmocka_unit_test(renewals_do_not_put_off_the_check_of_a_silent_list),
	        cmocka_unit_test(bookmarks_may_be_rare),
	        cmocka_unit_test(bookmarks_may_end),
	        cmocka_unit_test(a_watch_without_a_head_is_met_by_a_list),
	        cmocka_unit_test(a_stream_without_end_is_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
