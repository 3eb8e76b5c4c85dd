/* watch_move.c - where a watch can go, and how: the table of its states and the moves between them.
 * What leads to which move is said in watch.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/sm.h"
#include "kube/watch_priv.h"

/* clang-format off */
/* Where we wait, and for what:
 *   CONNECTING  the gate, DNS, TCP, TLS     the reactor's deadline (it answers: on_ready, on_lost)
 *   ASKING      the head of an answer       WATCH_HEAD_S
 *   SYNCING     items, the end marker       WATCH_PROGRESS_S, WATCH_PAGE_S, WATCH_MARKER_S
 *   STREAMING   events, for ever            check_silence
 *   WAITING     back-off                    its end
 *   PARKED      the next probe              its time */
/* clang-format on */
static const struct sm_row states[] = {
        [WATCH_IDLE] = {"idle", SM_TO(WATCH_CONNECTING) | SM_TO(WATCH_CLOSED)},
        [WATCH_CONNECTING] = {"connecting", SM_TO(WATCH_ASKING) | SM_TO(WATCH_WAITING) |
                                                    SM_TO(WATCH_PARKED) | SM_TO(WATCH_CLOSED)},
        [WATCH_ASKING] = {"asking", SM_TO(WATCH_ASKING) | SM_TO(WATCH_SYNCING) |
                                            SM_TO(WATCH_STREAMING) | SM_TO(WATCH_WAITING) |
                                            SM_TO(WATCH_PARKED) | SM_TO(WATCH_CONNECTING) |
                                            SM_TO(WATCH_CLOSED)},
        [WATCH_SYNCING] = {"syncing", SM_TO(WATCH_ASKING) | SM_TO(WATCH_STREAMING) |
                                              SM_TO(WATCH_WAITING) | SM_TO(WATCH_CONNECTING) |
                                              SM_TO(WATCH_PARKED) | SM_TO(WATCH_CLOSED)},
        [WATCH_STREAMING] = {"streaming", SM_TO(WATCH_ASKING) | SM_TO(WATCH_CONNECTING) |
                                                  SM_TO(WATCH_WAITING) | SM_TO(WATCH_PARKED) |
                                                  SM_TO(WATCH_CLOSED)},
        [WATCH_WAITING] = {"waiting", SM_TO(WATCH_WAITING) | SM_TO(WATCH_CONNECTING) |
                                              SM_TO(WATCH_PARKED) | SM_TO(WATCH_CLOSED)},
        [WATCH_PARKED] = {"parked", SM_TO(WATCH_CONNECTING) | SM_TO(WATCH_CLOSED)},
        [WATCH_CLOSED] = {"closed", 0},
};

void watch_check(const struct watch *w)
{
	CHECK(!w->syncing || w->state == WATCH_ASKING || w->state == WATCH_SYNCING);
	CHECK(w->state != WATCH_STREAMING ||
	        (w->whole && w->rv[0] && w->request != WATCH_REQ_PAGE));
	CHECK(w->relist || w->rv[0]);
}

void watch_enter(struct watch *w, enum watch_state s)
{
	sm_move(states, &w->state, (uint8_t)s);
}

/* --- what it holds, and says ------------------------------------------------------------ */

void watch_drop_pages(struct watch *w)
{
	free(w->pages);
	w->pages = NULL;
}

bool watch_keep_pages(struct watch *w, const struct json_list_meta *meta)
{
	struct span rv = meta->resource_version, token = meta->continue_;
	watch_drop_pages(w);
	char *p = w->pages = malloc(rv.n + token.n + 2);
	if (!p)
		return false;
	memcpy(p, rv.p, rv.n);
	p[rv.n] = 0;
	memcpy(p + rv.n + 1, token.p, token.n);
	p[rv.n + 1 + token.n] = 0;
	return true;
}

void watch_say(struct watch *w, err_t err, const char *text)
{
	char *copy = NULL;
	if (err && text && asprintf(&copy, "%.*s", WATCH_TEXT_BYTES - 1, text) < 0)
		copy = NULL;
	free(w->text);
	w->text = copy;
	w->err = err;
}

void watch_abort_sync(struct watch *w, struct watch_out *out)
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

void watch_ask(struct watch *w, uint64_t now_ns, struct watch_out *out)
{
	if (!w->relist)
		w->request = WATCH_REQ_WATCH;
	else if (w->syncing && w->pages)
		w->request = WATCH_REQ_PAGE;
	else
		w->request = may_stream_list(w, now_ns) ? WATCH_REQ_STREAM_LIST : WATCH_REQ_PAGE;
	w->first_page = w->request == WATCH_REQ_PAGE && !w->pages;
	w->http_status = 0;
	w->events_seen = w->changes_seen = w->bookmark_seen = false;
	w->last_byte_ns = now_ns;
	watch_enter(w, WATCH_ASKING);
	w->deadline_ns = now_ns + WATCH_HEAD_S * KUBE_S;
	out->acts |= WATCH_SEND;
}

/* --- going down -------------------------------------------------------------------------- */

void watch_wait_until(struct watch *w, uint64_t at_ns, struct watch_out *out)
{
	watch_abort_sync(w, out);
	watch_enter(w, WATCH_WAITING);
	w->request = WATCH_REQ_NONE;
	w->deadline_ns = at_ns;
	out->acts |= WATCH_CLOSE | WATCH_STATE;
}

void watch_fail(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	watch_say(w, err, text);
	watch_wait_until(w, now_ns + backoff_fail(&w->backoff, &w->rng, now_ns), out);
}

void watch_park(
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
	watch_say(w, err, text);
	watch_abort_sync(w, out);
	watch_enter(w, WATCH_PARKED);
	w->request = WATCH_REQ_NONE;
	/* While we were not allowed to look, anything may have happened. A login that failed
	 * changes nothing about what may be seen: the stream resumes, or is told 410. */
	w->relist |= !login;
	w->deadline_ns = now_ns + backoff_jitter(&w->rng, step);
	out->acts |= WATCH_CLOSE | WATCH_STATE;
}

void watch_distrust(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out)
{
	w->relist = true;
	watch_fail(w, err, text, now_ns, out);
}

void watch_connect_again(struct watch *w, struct watch_out *out)
{
	watch_abort_sync(w, out);
	watch_enter(w, WATCH_CONNECTING);
	w->request = WATCH_REQ_NONE;
	w->deadline_ns = UINT64_MAX;
	out->acts |= WATCH_CONNECT | WATCH_STATE;
}
