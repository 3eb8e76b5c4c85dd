#include "kube/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "kube/watch_priv.h"

static struct span rv_of(const struct watch *w)
{
	return span_of(w->rv);
}

/* Longer ones than we keep do not exist (decimal integers): such a server counts as broken. */
static bool is_usable_rv(struct span rv)
{
	return rv.n && rv.n < WATCH_RV_MAX && !memchr(rv.p, 0, rv.n);
}

static bool keep_rv(char *dst, struct span rv)
{
	if (!is_usable_rv(rv))
		return false;
	memcpy(dst, rv.p, rv.n);
	dst[rv.n] = 0;
	return true;
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

/* --- inputs: life ------------------------------------------------------------------------ */

void watch_start(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	(void)now_ns;
	*out = (struct watch_out){0};
	watch_connect_again(w, out);
}

void watch_stop(struct watch *w, struct watch_out *out)
{
	*out = (struct watch_out){0};
	watch_abort_sync(w, out);
	watch_enter(w, WATCH_CLOSED);
	w->deadline_ns = UINT64_MAX;
	out->acts |= WATCH_CLOSE;
}

void watch_on_ready(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state == WATCH_CONNECTING)
		watch_ask(w, now_ns, out);
	watch_check(w);
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
		watch_say(w, err, text);
		watch_wait_until(w, now_ns + prng_below(&w->rng, KUBE_S / 2), out);
	} else {
		watch_fail(w, err, text, now_ns, out);
	}
	watch_check(w);
}

void watch_on_credential(
        struct watch *w, bool ok, const char *text, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->err != ERR_KUBE_UNAUTHORIZED)
		return;
	if (ok && (w->state == WATCH_WAITING || w->state == WATCH_PARKED)) {
		watch_connect_again(w, out);
	} else if (!ok && w->state == WATCH_WAITING) {
		w->credential_tried = false; /* each probe may ask for one: the person may have
		                                logged in by then */
		watch_park(w, ERR_KUBE_UNAUTHORIZED, text, now_ns, out);
	}
	watch_check(w);
}

void watch_on_moved(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	(void)now_ns;
	*out = (struct watch_out){0};
	w->relist = true;
	w->credential_tried = false;
	w->denials = w->parks = w->errors_in_row = 0;
	w->back_tries = WATCH_BACK_TRIES; /* lower versions are believed: they are another count */
	if (w->state == WATCH_WAITING || w->state == WATCH_PARKED)
		watch_connect_again(w, out);
	watch_check(w);
}

/* Does silence of this stream mean anything? */
static bool sends_bookmarks(const struct watch *w)
{
	return w->bookmark_seen || w->caps->saw_bookmark;
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
	w->denials = w->parks = 0;
	w->stream_since_ns = w->last_bookmark_ns = now_ns;
	if (w->request == WATCH_REQ_WATCH) {
		watch_enter(w, WATCH_STREAMING);
		watch_say(w, ERR_OK, NULL);
		backoff_ok(&w->backoff, now_ns);
		w->deadline_ns = now_ns + WATCH_BOOKMARK_S * KUBE_S;
		/* A proxy may cut each stream before that: then check_silence is due now or never.
		 */
		if (!sends_bookmarks(w) && w->proof_ns + w->verify_ns < w->deadline_ns)
			w->deadline_ns = w->proof_ns + w->verify_ns;
		out->acts |= WATCH_STATE;
		watch_check(w);
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
	w->caps->no_watch_list = true;
	w->caps->no_watch_list_why = why;
	w->caps->probe_again_ns = now_ns + WATCH_REPROBE_S * KUBE_S;
	watch_abort_sync(w, out);
	if (reusable) {
		watch_ask(w, now_ns, out);
	} else {
		out->acts |= WATCH_CLOSE;
		watch_connect_again(w, out);
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
	watch_abort_sync(w, out);
	w->relist = true;
	w->unlimited = page; /* the token aged while we read: one answer without pages does not */
	watch_say(w, ERR_KUBE_EXPIRED, NULL);
	out->acts |= WATCH_STATE;
	/* The first 410s after health are answered at once; a server that says 410 to a fresh list
	 * is backed off from. That the list came whole is no health: it is what each turn costs. */
	if (backoff_end(&w->backoff, now_ns))
		w->expiries = 0;
	if (w->expiries == WATCH_EXPIRIES_MAX) {
		watch_fail(w, ERR_KUBE_EXPIRED, NULL, now_ns, out);
		return;
	}
	w->expiries++;
	if (reusable) {
		watch_ask(w, now_ns, out);
	} else {
		out->acts |= WATCH_CLOSE;
		watch_connect_again(w, out);
	}
}

static void too_large(struct watch *w, int retry_after_s, uint64_t now_ns, struct watch_out *out)
{
	w->relist = true;
	if (w->back_tries < WATCH_BACK_TRIES)
		w->back_tries++;
	watch_say(w, ERR_KUBE_TOO_LARGE_RV, NULL);
	watch_wait_until(w, retry_at(w, retry_after_s < 0 ? 1 : retry_after_s, now_ns), out);
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
		watch_park(w, ERR_KUBE_UNAUTHORIZED, more, now_ns, out);
		return;
	}
	w->credential_tried = true;
	if (w->err != ERR_KUBE_UNAUTHORIZED) { /* else what it says already tells what to do */
		char more[WATCH_TEXT_BYTES];
		snprintf(more, sizeof more, "%.100s: the credential is being renewed", text);
		watch_say(w, ERR_KUBE_UNAUTHORIZED, more);
	}
	watch_wait_until(w, now_ns + 60 * KUBE_S, out); /* bound, should the refresh never answer */
	out->acts |= WATCH_CREDENTIAL;
}

/* 403 and 404. A list that was there is asked for a few times with ordinary back-off first: a
 * kube-apiserver answers 403 for about a second after its start, before its RBAC caches are full,
 * and 404 while its discovery fills; parking for that would leave lists stale for minutes. */
static void deny(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	if (w->whole && w->denials < WATCH_DENIALS_MAX) {
		w->denials++;
		watch_fail(w, err, text, now_ns, out);
	} else {
		watch_park(w, err, text, now_ns, out);
	}
}

/* 400 and 422 of a LIST, a selector as a rule: the server has read the question and does not take
 * it. A list that was there once may meet this too, from a proxy or a server that starts. */
static bool is_never_taken(const struct watch *w, int code)
{
	return (code == 400 || code == 422) && !w->whole && w->request == WATCH_REQ_PAGE &&
	       w->first_page;
}

/* One rule table for HTTP answers and ERROR events: after the version is parsed, servers send most
 * errors as 200 + an ERROR event. */
static void on_failure(struct watch *w, int code, const struct json_status *st, bool reusable,
        uint64_t now_ns, struct watch_out *out)
{
	char text[WATCH_TEXT_BYTES];
	snprintf(text, sizeof text, "%d %.*s", code, SPAN_ARG(st->message));
	int retry = st->retry_after_seconds > 0 ? st->retry_after_seconds : w->retry_after_s;
	bool stream_list = w->request == WATCH_REQ_STREAM_LIST;
	if (body_says_expired(w, st)) {
		expired(w, reusable, now_ns, out);
	} else if (st->too_large_rv) {
		too_large(w, retry, now_ns, out);
	} else if (code == 401) {
		unauthorized(w, text, now_ns, out);
	} else if (code == 429) {
		watch_say(w, ERR_KUBE_GONE_SLOW, text);
		watch_wait_until(w, retry_at(w, retry, now_ns), out);
	} else if (stream_list && (code == 400 || code == 403 || code == 422 || code == 500)) {
		no_stream_list(w, ERR_KUBE_UNSUPPORTED, reusable, now_ns, out);
		if (code == 403) /* perhaps it is the list that is denied, not the way to take it */
			soon_stream_list(w, now_ns);
	} else if (code == 403) {
		deny(w, ERR_KUBE_FORBIDDEN, text, now_ns, out);
	} else if (code == 404 || code == 405) {
		deny(w, ERR_KUBE_NOT_FOUND, text, now_ns, out);
	} else if (code >= 300 && code < 400) {
		watch_park(w, ERR_HTTP_REDIRECT, text, now_ns, out);
	} else if (is_never_taken(w, code)) {
		soon_stream_list(w, now_ns);
		watch_park(w, ERR_KUBE_SERVER, text, now_ns, out);
	} else {
		w->relist |= ++w->errors_in_row >= WATCH_RESUMES_MAX || code == 400 || code == 422;
		watch_say(w, ERR_KUBE_SERVER, text);
		watch_wait_until(w, retry_at(w, retry, now_ns), out);
	}
}

void watch_on_status(struct watch *w, const struct json_status *st, bool reusable, uint64_t now_ns,
        struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state != WATCH_ASKING)
		return;
	on_failure(w, w->http_status, st, reusable, now_ns, out);
	watch_check(w);
}

/* --- inputs: a LIST ---------------------------------------------------------------------- */

static bool went_back(const struct watch *w, struct span rv)
{
	return w->rv[0] && version_compare(rv, rv_of(w)) == VERSION_LESS;
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
	if (!keep_rv(w->rv, rv)) {
		watch_distrust(
		        w, ERR_JSON_SHAPE, "list without a usable resourceVersion", now_ns, out);
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
	/* All pages of one continue chain are one snapshot at one version
	 * (kubernetes-watch.md 1.3). */
	if (!w->first_page && !span_is(meta->resource_version, w->pages)) {
		watch_distrust(w, ERR_KUBE_ORDER, "pages of one list have different versions",
		        now_ns, out);
	} else if (meta->continue_.n > WATCH_TOKEN_MAX || !is_usable_rv(meta->resource_version)) {
		watch_distrust(w, ERR_JSON_SHAPE,
		        "list without a usable resourceVersion or continue token", now_ns, out);
	} else if (meta->continue_.n) {
		if (watch_keep_pages(w, meta))
			watch_ask(w, now_ns, out);
		else
			watch_fail(w, ERR_NO_MEMORY, NULL, now_ns, out);
	} else if (commit(w, meta->resource_version, now_ns, out)) {
		watch_ask(w, now_ns, out);
	}
	watch_check(w);
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
	watch_say(w, ERR_OK, NULL);
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
	 * go on and on, nobody knows of a marker: a busy list must not wait for it until it is
	 * quiet. */
	w->changes_seen |= ev->type == JSON_EVENT_MODIFIED || ev->type == JSON_EVENT_DELETED;
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

static enum watch_apply on_bookmark(
        struct watch *w, struct span rv, uint64_t now_ns, struct watch_out *out)
{
	if (version_compare(rv, rv_of(w)) == VERSION_LESS || !keep_rv(w->rv, rv)) {
		watch_distrust(w, ERR_KUBE_ORDER, "bookmark with a lower version than the stream",
		        now_ns, out);
		return WATCH_APPLY_NOTHING;
	}
	w->after_bookmark = w->bookmark_seen = w->caps->saw_bookmark = true;
	w->last_bookmark_ns = now_ns;
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
	if (!in_order(w, rv) || !keep_rv(w->rv, rv)) {
		watch_distrust(w, ERR_KUBE_ORDER,
		        "event with a version that is not after the one before", now_ns, out);
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
	if (err == ERR_BUDGET || err == ERR_LIMIT || err == ERR_NO_MEMORY)
		watch_park(w, err, text, now_ns, out);
	else
		watch_distrust(w, err, text, now_ns, out);
	watch_check(w);
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
		watch_fail(w, ERR_KUBE_SHORT_WATCH, NULL, now_ns, out);
		return;
	}
	w->short_watches = WATCH_SHORT_MAX; /* no reason to take the list again */
	watch_say(w, ERR_KUBE_SHORT_WATCH, "the server ends each watch within a second");
	watch_wait_until(w, now_ns + backoff_jitter(&w->rng, KUBE_S), out);
}

void watch_on_body_end(struct watch *w, bool reusable, uint64_t now_ns, struct watch_out *out)
{
	*out = (struct watch_out){0};
	if (w->state == WATCH_SYNCING) {
		if (w->request == WATCH_REQ_STREAM_LIST && w->events_seen)
			no_stream_list(w, ERR_KUBE_NO_MARKER, reusable, now_ns, out);
		else
			watch_fail(w, ERR_HTTP_TRUNCATED, NULL, now_ns, out);
	} else if (w->state == WATCH_STREAMING) {
		/* The ordinary end: timeoutSeconds, or a server that shuts down. Resume at the last
		 * version. */
		if (ends_too_soon(w, now_ns)) {
			slow_down(w, now_ns, out);
		} else if (reusable) {
			watch_ask(w, now_ns, out);
		} else {
			out->acts |= WATCH_CLOSE;
			watch_connect_again(w, out);
		}
	}
	watch_check(w);
}

/* --- inputs: time ------------------------------------------------------------------------ */

/* Silence on a live stream (L1). TCP keepalive finds a dead peer in 10 s; this finds what it
 * cannot: a proxy that answers for a dead server, and a watch from a version in the server's
 * future, which is silent for ever (real-servers.md trap 2). */
static void check_silence(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	bool sends = sends_bookmarks(w);
	uint64_t last =
	        w->last_byte_ns > w->last_bookmark_ns ? w->last_byte_ns : w->last_bookmark_ns;
	if (!sends) /* watches are renewed every 5 to 10 min, which must not put this off */
		last = w->proof_ns;
	uint64_t limit = sends ? WATCH_BOOKMARK_S * KUBE_S : w->verify_ns;
	uint64_t end_at = w->stream_since_ns + WATCH_STREAM_S * KUBE_S;
	if (now_ns >= end_at) {
		watch_say(w, ERR_CONN_TIMEOUT,
		        "the server did not end the stream in time; resuming on a new connection");
		out->acts |= WATCH_CLOSE;
		watch_connect_again(w, out);
		return;
	}
	if (now_ns - last < limit) {
		w->deadline_ns = last + limit < end_at ? last + limit : end_at;
		return;
	}
	watch_say(w, ERR_CONN_SILENT,
	        sends ? "no bookmark for 75 s"
	              : "no byte for long; taking the list again to be sure");
	if (!sends && w->verify_ns < WATCH_VERIFY_MAX_S * KUBE_S)
		w->verify_ns *= 2;
	/* A dead path is met by a new connection; a silent server, by a list. */
	w->relist |= !sends || w->silences > 0;
	if (w->silences < 255)
		w->silences++;
	out->acts |= WATCH_CLOSE;
	watch_connect_again(w, out);
}

/* A LIST answer must go on coming, and come to its end. */
static void check_page(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	uint64_t silent_at = w->last_byte_ns + WATCH_PROGRESS_S * KUBE_S;
	uint64_t end_at = w->stream_since_ns + WATCH_PAGE_S * KUBE_S;
	if (now_ns >= silent_at)
		watch_fail(w, ERR_CONN_SILENT, "the list stopped coming for 30 s", now_ns, out);
	else if (now_ns >= end_at)
		watch_fail(w, ERR_CONN_TIMEOUT, "the list did not come to its end within 120 s",
		        now_ns, out);
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
	case WATCH_PARKED: watch_connect_again(w, out); break;
	case WATCH_ASKING:
		watch_fail(
		        w, ERR_CONN_TIMEOUT, "no answer from the server within 30 s", now_ns, out);
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
	watch_check(w);
}
