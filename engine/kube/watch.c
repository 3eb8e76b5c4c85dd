#include "kube/watch_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"

static struct span rv_of(const struct watch *w)
{
	return span_of(w->rv);
}

void watch_init(
        struct watch *w, const struct watch_conf *conf, struct watch_caps *caps, uint64_t seed)
{
	*w = (struct watch){.conf = conf,
	        .caps = caps,
	        .rng = {seed},
	        .relist = true,
	        .deadline_ns = UINT64_MAX,
	        .verify_ns = WATCH_VERIFY_S * KUBE_S};
}

void watch_fini(struct watch *w)
{
	free(w->pages);
	free(w->text);
	w->pages = w->text = NULL;
}

/* Most lists are live most of the time: a text is memory of its own. Without any err_text() must
 * do. */
static void say(struct watch *w, err_t err, const char *text)
{
	char *copy = NULL;
	if (err && text && asprintf(&copy, "%.*s", WATCH_TEXT_BYTES - 1, text) < 0)
		copy = NULL;
	free(w->text);
	w->text = copy;
	w->err = err;
}

static void abort_sync(struct watch *w, struct watch_out *out)
{
	if (w->syncing)
		out->acts |= WATCH_SYNC_ABORT;
	w->syncing = false;
	watch_drop_pages(w);
}

/* --- what to ask next -------------------------------------------------------------------- */

static bool is_core_events(const struct watch_conf *c)
{
	/* Events bypass the watch cache: a streaming list of them scans etcd (perf-tests#4384). */
	return span_is(span_of(c->resource), "events") &&
	       (!c->group || !*c->group || strcmp(c->group, "events.k8s.io") == 0);
}

static bool may_stream_list(struct watch *w, uint64_t now_ns)
{
	if (!w->conf->watch_list || is_core_events(w->conf))
		return false;
	if (w->caps->no_watch_list && now_ns >= w->caps->probe_again_ns)
		w->caps->no_watch_list = false;
	return !w->caps->no_watch_list;
}

static void ask(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	if (!w->relist)
		w->request = WATCH_REQ_WATCH;
	else if (w->syncing && w->pages)
		w->request = WATCH_REQ_PAGE;
	else
		w->request = may_stream_list(w, now_ns) ? WATCH_REQ_STREAM_LIST : WATCH_REQ_PAGE;
	w->first_page = w->request == WATCH_REQ_PAGE && !w->pages;
	w->http_status = 0;
	w->events_seen = w->changes_seen = false;
	w->last_byte_ns = now_ns;
	watch_enter(w, WATCH_ASKING);
	w->deadline_ns = now_ns + WATCH_HEAD_S * KUBE_S;
	out->acts |= WATCH_SEND;
}

/* --- going down -------------------------------------------------------------------------- */

static void pause_until(struct watch *w, uint64_t at_ns, struct watch_out *out)
{
	/* A whole list that does not come within the server's minute never will: pages may. */
	if (w->request == WATCH_REQ_PAGE && w->first_page)
		w->unlimited = false;
	watch_enter(w, WATCH_WAITING);
	w->request = WATCH_REQ_NONE;
	w->deadline_ns = at_ns;
	out->acts |= WATCH_CLOSE | WATCH_STATE;
}

static void wait_until(struct watch *w, uint64_t at_ns, struct watch_out *out)
{
	abort_sync(w, out);
	pause_until(w, at_ns, out);
}

static void remember_no_stream_list(struct watch *w, err_t why, uint64_t now_ns)
{
	w->caps->no_watch_list = true;
	w->caps->no_watch_list_why = why;
	w->caps->probe_again_ns = now_ns + WATCH_REPROBE_S * KUBE_S;
}

/* A streaming list that fails and fails is perhaps the way's trouble: a proxy that keeps an answer
 * until it is whole, one that cuts it, a server that takes it for something else. */
static void fail(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	if (w->request == WATCH_REQ_STREAM_LIST && w->streams_failed < WATCH_STREAMS_MAX)
		w->streams_failed++;
	if (w->request == WATCH_REQ_STREAM_LIST && w->streams_failed == WATCH_STREAMS_MAX)
		remember_no_stream_list(w, err, now_ns);
	say(w, err, text);
	wait_until(w, now_ns + backoff_fail(&w->backoff, &w->rng, now_ns), out);
}

static void park(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	bool login = err == ERR_KUBE_UNAUTHORIZED;
	uint64_t most = (login ? WATCH_LOGIN_MAX_S : WATCH_PARK_MAX_S) * KUBE_S;
	uint64_t step = (login ? WATCH_LOGIN_MIN_S : WATCH_PARK_MIN_S) * KUBE_S
	                << (w->parks < 4 ? w->parks : 4);
	if (step > most)
		step = most;
	if (w->parks < UINT8_MAX)
		w->parks++;
	w->backoff.healthy_since_ns = 0;
	say(w, err, text);
	abort_sync(w, out);
	watch_enter(w, WATCH_PARKED);
	w->request = WATCH_REQ_NONE;
	/* While we were not allowed to look, anything may have happened. A login that failed
	 * changes nothing about what may be seen: the stream resumes, or is told 410. */
	w->relist |= !login;
	w->deadline_ns = now_ns + backoff_jitter(&w->rng, step);
	out->acts |= WATCH_CLOSE | WATCH_STATE;
}

/* 403 and 404. A list that was there is asked for a few times with ordinary back-off first: a
 * kube-apiserver answers 403 for about a second after its start, before its RBAC caches are full,
 * and 404 while its discovery fills; parking for that would leave lists stale for minutes. */
static void deny(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	if (w->whole && w->denials < WATCH_DENIALS_MAX) {
		w->denials++;
		fail(w, err, text, now_ns, out);
	} else {
		park(w, err, text, now_ns, out);
	}
}

/* 400 and 422 of a LIST, a selector as a rule: the server has read the question and does not take
 * it. A list that was there once may meet this too, from a proxy or a server that starts. */
static bool is_never_taken(const struct watch *w, int code)
{
	return (code == 400 || code == 422) && !w->whole && w->request == WATCH_REQ_PAGE &&
	       w->first_page;
}

/* The stream broke its own order, or the store refused an event: nothing of it can be trusted, so
 * the list is taken again (M8). */
static void distrust(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	w->relist = true;
	fail(w, err, text, now_ns, out);
}

static void connect_again(struct watch *w, struct watch_out *out)
{
	watch_enter(w, WATCH_CONNECTING);
	w->request = WATCH_REQ_NONE;
	w->deadline_ns = UINT64_MAX;
	out->acts |= WATCH_CONNECT | WATCH_STATE;
}

/* --- inputs: life ------------------------------------------------------------------------ */

void watch_start(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	(void)now_ns;
	*out = (struct watch_out){0};
	connect_again(w, out);
}

void watch_stop(struct watch *w, struct watch_out *out)
{
	*out = (struct watch_out){0};
	abort_sync(w, out);
	watch_enter(w, WATCH_CLOSED);
	w->deadline_ns = UINT64_MAX;
	out->acts |= WATCH_CLOSE;
}

void watch_on_ready(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state == WATCH_CONNECTING)
		ask(w, now_ns, out);
	watch_invariant(w);
}

void watch_on_lost(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state == WATCH_CLOSED || w->state == WATCH_WAITING || w->state == WATCH_PARKED)
		return;
	if (err_class_of(err) == ERR_CLASS_PEER)
		w->relist = true;
	/* A stream that lived for a while and was cut comes back at once; the gate and the next
	 * failure slow it down. */
	bool lived = w->state == WATCH_STREAMING &&
	             now_ns - w->stream_since_ns > BACKOFF_HEALTHY_S * KUBE_S;
	if (lived && err_class_of(err) == ERR_CLASS_RETRY) {
		say(w, err, text);
		wait_until(w, now_ns + prng_below(&w->rng, KUBE_S / 2), out);
	} else {
		fail(w, err, text, now_ns, out);
	}
	watch_invariant(w);
}

void watch_on_credential(
        struct watch *w, bool ok, const char *text, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->err != ERR_KUBE_UNAUTHORIZED)
		return;
	if (ok && (w->state == WATCH_WAITING || w->state == WATCH_PARKED)) {
		connect_again(w, out);
	} else if (!ok && w->state == WATCH_WAITING) {
		w->credential_tried = false; /* each probe may ask for one: the person may have
		                                logged in by then */
		park(w, ERR_KUBE_UNAUTHORIZED, text, now_ns, out);
	}
	watch_invariant(w);
}

void watch_on_moved(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	(void)now_ns;
	*out = (struct watch_out){0};
	if (w->state != WATCH_SYNCING) /* else it is ended with the connection */
		abort_sync(w, out);
	w->relist = true;
	w->credential_tried = false;
	w->denials = w->parks = w->errors_in_row = 0;
	w->back_tries = WATCH_BACK_TRIES; /* lower versions are believed: they are another count */
	if (w->state == WATCH_WAITING || w->state == WATCH_PARKED)
		connect_again(w, out);
	watch_invariant(w);
}

/* --- inputs: answers --------------------------------------------------------------------- */

enum watch_body watch_on_head(
        struct watch *w, int status, int retry_after_s, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	w->http_status = (uint16_t)status;
	w->retry_after_s = retry_after_s;
	w->last_byte_ns = now_ns;
	if (status != 200) {
		w->deadline_ns = now_ns + WATCH_PROGRESS_S * KUBE_S;
		return WATCH_BODY_STATUS;
	}
	w->credential_tried = false;
	if (w->request != WATCH_REQ_PAGE) /* who may list may not watch, perhaps */
		w->denials = w->parks = 0;
	w->stream_since_ns = w->last_bookmark_ns = now_ns;
	if (w->request == WATCH_REQ_WATCH) {
		watch_enter(w, WATCH_STREAMING);
		say(w, ERR_OK, NULL);
		backoff_ok(&w->backoff, now_ns);
		w->deadline_ns = now_ns + WATCH_BOOKMARK_S * KUBE_S;
		/* A proxy may cut each stream before that: then check_silence is due now or never.
		 */
		if (!w->caps->silence_ns && w->proof_ns + w->verify_ns < w->deadline_ns)
			w->deadline_ns = w->proof_ns + w->verify_ns;
		out->acts |= WATCH_STATE;
		watch_invariant(w);
		return WATCH_BODY_EVENTS;
	}
	watch_enter(w, WATCH_SYNCING);
	if (!w->syncing)
		out->acts |= WATCH_SYNC_BEGIN | WATCH_STATE;
	w->syncing = true;
	bool stream = w->request == WATCH_REQ_STREAM_LIST;
	w->deadline_ns = now_ns + (stream ? WATCH_MARKER_S : WATCH_PROGRESS_S) * KUBE_S;
	return stream ? WATCH_BODY_EVENTS : WATCH_BODY_LIST;
}

/* A streaming list that this server cannot do: remember, and take the LIST on the same connection
 * if there is one. */
static void no_stream_list(
        struct watch *w, err_t why, bool reusable, uint64_t now_ns, struct watch_out *out)
{
	remember_no_stream_list(w, why, now_ns);
	abort_sync(w, out);
	if (reusable) {
		ask(w, now_ns, out);
	} else {
		out->acts |= WATCH_CLOSE;
		connect_again(w, out);
	}
}

/* It was this list that was refused: that says nothing about the way, which others share. */
static void soon_stream_list(struct watch *w, uint64_t now_ns)
{
	if (w->caps->no_watch_list_why == ERR_KUBE_UNSUPPORTED)
		w->caps->probe_again_ns = now_ns + WATCH_PARK_MIN_S * KUBE_S;
}

static uint64_t retry_at(struct watch *w, int retry_after_s, uint64_t now_ns)
{
	if (retry_after_s < 0)
		return now_ns + backoff_fail(&w->backoff, &w->rng, now_ns);
	if (retry_after_s > 600)
		retry_after_s = 600; /* a server cannot send us away for a day */
	uint64_t wait = (uint64_t)retry_after_s * KUBE_S;
	return now_ns + wait + backoff_jitter(&w->rng, KUBE_S);
}

static void expired(struct watch *w, bool reusable, uint64_t now_ns, struct watch_out *out)
{
	bool page = w->request == WATCH_REQ_PAGE && !w->first_page;
	abort_sync(w, out);
	w->relist = true;
	w->unlimited = page; /* the token aged while we read: one answer without pages does not */
	say(w, ERR_KUBE_EXPIRED, NULL);
	out->acts |= WATCH_STATE;
	/* The first 410s after health are answered at once; a server that says 410 to a fresh list
	 * is backed off from. That the list came whole is no health: it is what each turn costs. */
	if (backoff_end(&w->backoff, now_ns))
		w->expiries = 0;
	if (w->expiries == WATCH_EXPIRIES_MAX) {
		fail(w, ERR_KUBE_EXPIRED, NULL, now_ns, out);
		return;
	}
	w->expiries++;
	if (reusable) {
		ask(w, now_ns, out);
	} else {
		out->acts |= WATCH_CLOSE;
		connect_again(w, out);
	}
}

static void too_large(struct watch *w, int retry_after_s, uint64_t now_ns, struct watch_out *out)
{
	w->relist = true;
	if (w->back_tries < WATCH_BACK_TRIES)
		w->back_tries++;
	say(w, ERR_KUBE_TOO_LARGE_RV, NULL);
	wait_until(w, retry_at(w, retry_after_s < 0 ? 1 : retry_after_s, now_ns), out);
}

static bool body_says_expired(const struct watch *w, const struct json_status *st)
{
	return w->http_status == 410 || st->code == 410 || span_is(st->reason, "Expired") ||
	       span_is(st->reason, "Gone");
}

static void unauthorized(struct watch *w, const char *text, uint64_t now_ns, struct watch_out *out)
{
	if (w->credential_tried) {
		char more[WATCH_TEXT_BYTES];
		snprintf(more, sizeof more,
		        "%.60s: it refuses what was renewed too: log in again, or fix the user in "
		        "the kubeconfig",
		        text);
		w->credential_tried = false;
		park(w, ERR_KUBE_UNAUTHORIZED, more, now_ns, out);
		return;
	}
	w->credential_tried = true;
	if (w->err != ERR_KUBE_UNAUTHORIZED) { /* else what it says already tells what to do */
		char more[WATCH_TEXT_BYTES];
		snprintf(more, sizeof more, "%.100s: the credential is being renewed", text);
		say(w, ERR_KUBE_UNAUTHORIZED, more);
	}
	wait_until(w, now_ns + 60 * KUBE_S, out); /* bound, should the refresh never answer */
	out->acts |= WATCH_CREDENTIAL;
}

/* Whoever answers for a server that is away (a balancer, a proxy, the aggregator) has looked
 * neither at the request nor at its version. */
static bool is_away(int code)
{
	return code == 502 || code == 503 || code == 504;
}

/* Answers that a LIST may not get. 404 and 405 are of the resource. */
static bool refuses_stream_list(const struct watch *w, int code)
{
	return w->request == WATCH_REQ_STREAM_LIST && code != 404 && code != 405 &&
	       !is_away(code) && (code < 300 || code >= 400);
}

/* "Not now", of the request and not of the list: what came of its pages stays, and the page is
 * asked for again. A list of a hundred pages would never come to its end on a server that sheds
 * load. */
static void put_off(
        struct watch *w, err_t err, const char *text, uint64_t at_ns, struct watch_out *out)
{
	say(w, err, text);
	if (!w->pages)
		abort_sync(w, out);
	pause_until(w, at_ns, out);
}

/* One rule table for HTTP answers and ERROR events: after the version is parsed, servers send most
 * errors as 200 + an ERROR event. */
static void on_failure(struct watch *w, int code, const struct json_status *st, bool reusable,
        uint64_t now_ns, struct watch_out *out)
{
	char text[WATCH_TEXT_BYTES];
	snprintf(text, sizeof text, "%d %.*s", code, SPAN_ARG(st->message));
	int retry = st->retry_after_seconds > 0 ? st->retry_after_seconds : w->retry_after_s;
	if (body_says_expired(w, st)) {
		expired(w, reusable, now_ns, out);
	} else if (st->too_large_rv) {
		too_large(w, retry, now_ns, out);
	} else if (code == 401) {
		unauthorized(w, text, now_ns, out);
	} else if (code == 429) {
		put_off(w, ERR_KUBE_THROTTLED, text, retry_at(w, retry, now_ns), out);
	} else if (refuses_stream_list(w, code)) {
		no_stream_list(w, ERR_KUBE_UNSUPPORTED, reusable, now_ns, out);
		if (code == 403) /* perhaps it is the list that is denied, not the way to take it */
			soon_stream_list(w, now_ns);
	} else if (code == 403) {
		deny(w, ERR_KUBE_FORBIDDEN, text, now_ns, out);
	} else if (code == 404 || code == 405) {
		deny(w, ERR_KUBE_NOT_FOUND, text, now_ns, out);
	} else if (code >= 300 && code < 400) {
		park(w, ERR_HTTP_REDIRECT, text, now_ns, out);
	} else if (is_never_taken(w, code)) {
		soon_stream_list(w, now_ns);
		park(w, ERR_KUBE_SERVER, text, now_ns, out);
	} else if (is_away(code)) {
		w->relist |= ++w->errors_in_row >= WATCH_AWAY_MAX;
		put_off(w, ERR_KUBE_SERVER, text, retry_at(w, retry, now_ns), out);
	} else {
		w->relist |= ++w->errors_in_row >= WATCH_RESUMES_MAX || code == 400 || code == 422;
		say(w, ERR_KUBE_SERVER, text);
		wait_until(w, retry_at(w, retry, now_ns), out);
	}
}

void watch_on_status(struct watch *w, const struct json_status *st, bool reusable, uint64_t now_ns,
        struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state != WATCH_ASKING)
		return;
	on_failure(w, w->http_status, st, reusable, now_ns, out);
	watch_invariant(w);
}

/* --- inputs: a LIST ---------------------------------------------------------------------- */

static bool went_back(const struct watch *w, struct span rv)
{
	return w->rv[0] && version_compare(rv, rv_of(w)) == VERSION_LESS;
}

/* What is too long today is so tomorrow: some aggregated servers write several versions into one.
 */
static void no_version(struct watch *w, struct span rv, uint64_t now_ns, struct watch_out *out)
{
	if (rv.n < WATCH_RV_MAX)
		distrust(w, ERR_JSON_SHAPE, "list without a usable resourceVersion", now_ns, out);
	else
		park(w, ERR_JSON_LIMIT, "the list has a resourceVersion of over 63 bytes", now_ns,
		        out);
}

/* The sync is whole: publish it, unless the server is behind what we have (M3: a lagging server is
 * asked again a few times before it is believed). */
static bool commit(struct watch *w, struct span rv, uint64_t now_ns, struct watch_out *out)
{
	bool back = went_back(w, rv);
	if (back && w->back_tries < WATCH_BACK_TRIES) {
		too_large(w, 1, now_ns, out);
		return false;
	}
	if (!watch_keep_version(w->rv, rv)) {
		no_version(w, rv, now_ns, out);
		return false;
	}
	watch_drop_pages(w);
	w->whole = true;
	w->relist = w->syncing = w->unlimited = w->after_bookmark = false;
	w->back_tries = w->errors_in_row = 0;
	w->proof_ns = now_ns;
	out->acts |= WATCH_SYNC_COMMIT;
	out->rv = rv_of(w);
	out->version_back = back;
	return true;
}

void watch_on_page(
        struct watch *w, const struct json_list_meta *meta, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state != WATCH_SYNCING || w->request != WATCH_REQ_PAGE)
		return;
	if (!watch_is_list(meta)) {
		distrust(w, ERR_JSON_SHAPE, "the answer is no list: it has no items", now_ns, out);
	} else if (!w->first_page && !watch_follows(w, meta)) {
		w->unlimited = true; /* this server has no pages that are of any use */
		distrust(w, ERR_KUBE_ORDER,
		        "the pages of one list have different versions, or no end", now_ns, out);
	} else if (!watch_is_version(meta->resource_version)) {
		no_version(w, meta->resource_version, now_ns, out);
	} else if (meta->continue_.n > WATCH_TOKEN_MAX) {
		distrust(w, ERR_JSON_SHAPE, "list without a usable continue token", now_ns, out);
	} else if (meta->continue_.n) {
		if (watch_keep_pages(w, meta))
			ask(w, now_ns, out);
		else
			fail(w, ERR_NO_MEMORY, NULL, now_ns, out);
	} else if (commit(w, meta->resource_version, now_ns, out)) {
		ask(w, now_ns, out);
	}
	watch_invariant(w);
}

/* --- inputs: a stream -------------------------------------------------------------------- */

static enum watch_apply on_error_event(
        struct watch *w, const struct json_status *st, uint64_t now_ns, struct watch_out *out)
{
	w->retry_after_s = -1;
	w->http_status = 0;
	on_failure(w, st->code ? st->code : 500, st, false, now_ns, out);
	return WATCH_APPLY_NOTHING;
}

static enum watch_apply on_end_marker(
        struct watch *w, struct span rv, uint64_t now_ns, struct watch_out *out)
{
	if (!commit(w, rv, now_ns, out))
		return WATCH_APPLY_NOTHING;
	watch_enter(w, WATCH_STREAMING);
	w->streams_failed = 0;
	say(w, ERR_OK, NULL);
	backoff_ok(&w->backoff, now_ns);
	w->last_bookmark_ns = now_ns;
	w->after_bookmark = true;
	w->deadline_ns = now_ns + WATCH_BOOKMARK_S * KUBE_S;
	out->acts |= WATCH_STATE;
	return WATCH_APPLY_NOTHING;
}

static enum watch_apply on_initial_event(
        struct watch *w, const struct json_event *ev, uint64_t now_ns, struct watch_out *out)
{
	/* What is there comes as ADDED, then perhaps some changes, then the marker. Where changes
	 * go on and on, or bookmarks without it, nobody knows of a marker: a busy list must not
	 * wait for it until it is quiet. */
	w->changes_seen |= ev->type != JSON_EVENT_ADDED;
	if (!w->changes_seen)
		w->deadline_ns = now_ns + WATCH_MARKER_S * KUBE_S;
	switch (ev->type) {
	case JSON_EVENT_BOOKMARK:
		return ev->initial_events_end
		               ? on_end_marker(w, ev->object.resource_version, now_ns, out)
		               : WATCH_APPLY_NOTHING;
	case JSON_EVENT_DELETED: return WATCH_APPLY_SYNC_REMOVE;
	default: return WATCH_APPLY_SYNC_ITEM;
	}
}

/* M6, M8: versions of a stream never go back, and nothing at or before a bookmark comes after it.
 * Equal versions do come: events of one etcd transaction (a lease that ends deletes many keys at
 * one revision). The store refuses a second event of one key at one version by itself. */
static bool in_order(const struct watch *w, struct span rv)
{
	switch (version_compare(rv, rv_of(w))) {
	case VERSION_LESS: return false;
	case VERSION_EQUAL: return !w->after_bookmark;
	default: return true;
	}
}

/* Servers of their own kind may send them less often. */
static void learn_silence(struct watch *w, uint64_t now_ns)
{
	uint64_t gap = now_ns - w->last_bookmark_ns, silence = gap + gap / 4;
	if (silence < WATCH_BOOKMARK_S * KUBE_S)
		silence = WATCH_BOOKMARK_S * KUBE_S;
	if (silence <= WATCH_BOOKMARK_MAX_S * KUBE_S && silence > w->caps->silence_ns)
		w->caps->silence_ns = silence;
	w->last_bookmark_ns = now_ns;
}

static enum watch_apply on_bookmark(
        struct watch *w, struct span rv, uint64_t now_ns, struct watch_out *out)
{
	if (version_compare(rv, rv_of(w)) == VERSION_LESS || !watch_keep_version(w->rv, rv)) {
		distrust(w, ERR_KUBE_ORDER, "bookmark with a lower version than the stream", now_ns,
		        out);
		return WATCH_APPLY_NOTHING;
	}
	w->after_bookmark = true;
	learn_silence(w, now_ns);
	w->errors_in_row = w->silences = 0;
	return WATCH_APPLY_BOOKMARK;
}

enum watch_apply watch_on_event(struct watch *w, const struct json_event *ev,
        const struct json_status *st, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state != WATCH_STREAMING && w->state != WATCH_SYNCING)
		return WATCH_APPLY_NOTHING; /* bytes that were under way when we gave the stream up
		                             */
	if (ev->type == JSON_EVENT_ERROR)
		return on_error_event(w, st, now_ns, out);
	w->events_seen = true;
	w->proof_ns = now_ns;
	if (w->state == WATCH_SYNCING)
		return on_initial_event(w, ev, now_ns, out);
	struct span rv = ev->object.resource_version;
	if (ev->type == JSON_EVENT_BOOKMARK)
		return on_bookmark(w, rv, now_ns, out);
	if (!in_order(w, rv) || !watch_keep_version(w->rv, rv)) {
		distrust(w, ERR_KUBE_ORDER, "event with a version that is not after the one before",
		        now_ns, out);
		return WATCH_APPLY_NOTHING;
	}
	w->after_bookmark = false;
	w->errors_in_row = w->silences = 0;
	return ev->type == JSON_EVENT_DELETED ? WATCH_APPLY_DELETE : WATCH_APPLY_UPSERT;
}

void watch_on_refused(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state != WATCH_STREAMING && w->state != WATCH_SYNCING && w->state != WATCH_ASKING)
		return;
	/* An object of a list that is over a limit is there in the next one too. In a stream it may
	 * be no object at all, but what never ends. */
	bool stays =
	        err == ERR_JSON_LIMIT && w->state == WATCH_SYNCING && w->request == WATCH_REQ_PAGE;
	if (stays || err_class_of(err) == ERR_CLASS_LOCAL)
		park(w, err, text, now_ns, out);
	else
		distrust(w, err, text, now_ns, out);
	watch_invariant(w);
}

/* Some watches in a row lived for less than a second. */
static bool ends_too_soon(struct watch *w, uint64_t now_ns)
{
	if (now_ns - w->stream_since_ns >= KUBE_S)
		w->short_watches = 0;
	else if (w->short_watches < 255)
		w->short_watches++;
	return w->short_watches > WATCH_SHORT_MAX;
}

/* A server that ends every watch at once is backed off from (client-go's "very short watch"). One
 * that sends something first is of use still: it is asked, but not as often as it can answer. */
static void slow_down(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	if (!w->events_seen) {
		w->relist |= w->short_watches > 2 * WATCH_SHORT_MAX + 1;
		fail(w, ERR_KUBE_SHORT_WATCH, NULL, now_ns, out);
		return;
	}
	w->short_watches = WATCH_SHORT_MAX; /* no reason to take the list again */
	say(w, ERR_KUBE_SHORT_WATCH, "the server ends each watch within a second");
	wait_until(w, now_ns + backoff_jitter(&w->rng, KUBE_S), out);
}

void watch_on_body_end(struct watch *w, bool reusable, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state == WATCH_SYNCING) {
		if (w->request == WATCH_REQ_STREAM_LIST && w->events_seen)
			no_stream_list(w, ERR_KUBE_NO_MARKER, reusable, now_ns, out);
		else
			fail(w, ERR_HTTP_TRUNCATED, NULL, now_ns, out);
	} else if (w->state == WATCH_STREAMING) {
		/* The ordinary end: timeoutSeconds, or a server that shuts down. Resume at the last
		 * version. */
		if (ends_too_soon(w, now_ns)) {
			slow_down(w, now_ns, out);
		} else if (reusable) {
			ask(w, now_ns, out);
		} else {
			out->acts |= WATCH_CLOSE;
			connect_again(w, out);
		}
	}
	watch_invariant(w);
}

/* --- inputs: time ------------------------------------------------------------------------ */

/* Silence on a live stream. TCP keepalive finds a dead peer in 10 s; this finds what it
 * cannot: a proxy that answers for a dead server, and a watch from a version in the server's
 * future, which is silent for ever (e2e test trap.restore). */
static void check_silence(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	bool expected = w->caps->silence_ns, again = w->silences > 0;
	uint64_t last =
	        w->last_byte_ns > w->last_bookmark_ns ? w->last_byte_ns : w->last_bookmark_ns;
	if (!expected) /* watches are renewed every 5 to 10 min, which must not put this off */
		last = w->proof_ns;
	uint64_t limit = expected ? w->caps->silence_ns : w->verify_ns;
	uint64_t end_at = w->stream_since_ns + WATCH_STREAM_S * KUBE_S;
	if (now_ns >= end_at) {
		say(w, ERR_CONN_TIMEOUT,
		        "the server did not end the stream in time; resuming on a new connection");
		out->acts |= WATCH_CLOSE;
		connect_again(w, out);
		return;
	}
	if (now_ns - last < limit) {
		w->deadline_ns = last + limit < end_at ? last + limit : end_at;
		return;
	}
	say(w, ERR_CONN_SILENT,
	        expected ? "no bookmark in time"
	                 : "no byte for long; taking the list again to be sure");
	if (!expected)
		w->verify_ns *= 2;
	if (w->verify_ns > WATCH_VERIFY_MAX_S * KUBE_S)
		w->verify_ns = WATCH_VERIFY_MAX_S * KUBE_S;
	/* A dead path is met by a new connection; a silent server, by a list. If that shows nothing
	 * missed, bookmarks have ended: some come only from the first event after a restart on. */
	w->relist |= !expected || again;
	if (again)
		w->caps->silence_ns = 0;
	if (w->silences < 255)
		w->silences++;
	out->acts |= WATCH_CLOSE;
	connect_again(w, out);
}

/* A LIST answer must go on coming, and come to its end. */
static void check_page(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	uint64_t silent_at = w->last_byte_ns + WATCH_PROGRESS_S * KUBE_S;
	uint64_t end_at = w->stream_since_ns + WATCH_PAGE_S * KUBE_S;
	if (now_ns >= silent_at)
		fail(w, ERR_CONN_SILENT, "the list stopped coming for 30 s", now_ns, out);
	else if (now_ns >= end_at)
		fail(w, ERR_CONN_TIMEOUT, "the list did not come to its end within 120 s", now_ns,
		        out);
	else
		w->deadline_ns = silent_at < end_at ? silent_at : end_at;
}

void watch_on_timer(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (now_ns < w->deadline_ns)
		return;
	w->deadline_ns = UINT64_MAX;
	switch ((enum watch_state)w->state) {
	case WATCH_WAITING:
	case WATCH_PARKED: connect_again(w, out); break;
	case WATCH_ASKING:
		/* Perhaps no stream comes through: a list does, now and then. */
		w->relist |= ++w->errors_in_row >= WATCH_RESUMES_MAX;
		fail(w, ERR_CONN_TIMEOUT, "no answer from the server within 30 s", now_ns, out);
		break;
	case WATCH_SYNCING:
		if (w->request == WATCH_REQ_STREAM_LIST)
			no_stream_list(w, ERR_KUBE_NO_MARKER, false, now_ns, out);
		else
			check_page(w, now_ns, out);
		break;
	case WATCH_STREAMING: check_silence(w, now_ns, out); break;
	default: break;
	}
	watch_invariant(w);
}
