#include "reactor/feed_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "headlamp/backend.h"
#include "reactor/core.h"
#include "reactor/feed_body.h"
#include "reactor/mux_link.h"

enum {
	FEED_REFUSALS_MAX = 2, /* of the multiplexer, before a LIST is to say why */
	FEED_CUT_S = 10,       /* a stream that lived longer without an event was a quiet one */
};

static uint64_t now_of(const struct feed *f)
{
	return f->cluster->reactor->now_ns;
}

/* --- which way ---------------------------------------------------------------------------------
 */

enum strategy_way feed_way(struct feed *f)
{
	struct strategy *s = f->cluster->strategy;
	if (!s)
		return f->cluster->spec.way;
	strategy_on_timer(s, now_of(f));
	/* The form of an object is asked for by the Accept header, which the multiplexer does not
	 * pass on: whole Secrets would come where metadata was asked for. */
	if (s->way == STRATEGY_MULTIPLEXED && f->spec.metadata_only)
		return STRATEGY_LEGACY;
	/* It refuses this list alone, though it may be listed: another way says why, or works. */
	if (s->way == STRATEGY_MULTIPLEXED && s->is_auto && f->refusals > FEED_REFUSALS_MAX)
		return STRATEGY_LEGACY;
	return s->way;
}

static struct mux_link *link_of(const struct feed *f)
{
	struct cluster *backend = core_cluster(f->cluster->reactor, f->cluster->spec.backend);
	return backend ? mux_link_of(backend) : NULL;
}

void feed_connect(struct feed *f)
{
	bool mux = feed_way(f) == STRATEGY_MULTIPLEXED;
	/* A list by stream would have the backend dial a cluster that has not answered yet, and
	 * everything on the socket wait for it. */
	f->conf.watch_list = f->cluster->spec.watch_list && !mux;
	struct mux_link *l = mux && !f->watch.relist ? link_of(f) : NULL;
	if (l)
		mux_link_wait(l, f);
	else
		cluster_wait(f->cluster, &f->waiter);
}

void feed_blame_way(struct feed *f, enum strategy_failure how, const char *text)
{
	struct strategy *s = f->cluster->strategy;
	if (s)
		strategy_on_failure(s, (enum strategy_way)f->way, how, text, now_of(f));
}

void feed_praise_way(struct feed *f)
{
	if (f->way_works)
		return;
	f->way_works = true;
	if (f->cluster->strategy)
		strategy_on_works(f->cluster->strategy, (enum strategy_way)f->way, now_of(f));
}

/* A stream through a backend that was cut: the backend restarted, most often, and what it could not
 * do before it may do now. But where each is cut before anything came, the way is of no use, though
 * it says yes each time: so does a proxy that knows no WebSockets and lets the upgrade pass. */
void feed_judge_loss(struct feed *f, const char *text)
{
	bool streams = f->watch.state == WATCH_STREAMING;
	bool cut = streams && !f->way_works &&
	           now_of(f) - f->watch.stream_since_ns < FEED_CUT_S * KUBE_S;
	bool asks = f->watch.state == WATCH_ASKING && f->watch.request != WATCH_REQ_PAGE;
	if (asks || cut)
		feed_blame_way(f, STRATEGY_BROKEN, text);
	else if (streams && f->way_works && f->cluster->strategy)
		strategy_on_restart(f->cluster->strategy, now_of(f));
}

/* --- a WebSocket of its own --------------------------------------------------------------------
 */

err_t feed_upgrade(struct feed *f, struct span target, struct span accept, struct errmsg *m)
{
	struct backend_protocols offer = {.count = 0};
	const char *user = f->cluster->spec.user;
	err_t err = ERR_OK;
	if (f->cluster->spec.context)
		err = backend_legacy_protocols(span_of(user), &offer);
	if (err)
		return errmsg_set(m, err, "headlamp.user \"%s\" cannot be asked for: %s", user,
		        err_text(err));
	struct conn_upgrade u = {.target = target,
	        .accept = accept,
	        .protocols = offer.at,
	        .protocol_count = offer.count};
	return conn_upgrade(f->conn, &u, m);
}

bool feed_is_no_upgrade(const struct feed *f, int status)
{
	bool asked = f->watch.request != WATCH_REQ_PAGE &&
	             (f->way == STRATEGY_WEBSOCKET || f->way == STRATEGY_LEGACY);
	return asked && (status == 400 || status == 405 || status == 426 || status == 501);
}

static bool is_white(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* A message is one event with a newline behind it. */
static struct span trim(struct span s)
{
	while (s.n && is_white(s.p[s.n - 1]))
		s.n--;
	for (; s.n && is_white(s.p[0]); s.n--)
		s.p++;
	return s;
}

/* A server that takes the sub-protocol base64.binary.k8s.io at its word: none does that for a
 * watch, but it may. Rare, so the copy has no buffer of its own. */
static void on_base64(struct feed *f, struct span text)
{
	size_t n = 0;
	char *p = malloc(text.n + JSON_PADDING);
	if (!p) {
		feed_refuse(f, ERR_NO_MEMORY);
		return;
	}
	memcpy(p, text.p, text.n);
	if (base64_in_place(p, text.n, &n)) {
		memset(p + n, 0, JSON_PADDING);
		struct span doc = trim((struct span){p, n});
		if (doc.n)
			feed_on_document(f, doc);
	} else {
		feed_refuse(f, ERR_JSON_SYNTAX);
	}
	free(p);
}

void feed_on_message(void *arg, struct conn *c, struct span data)
{
	struct feed *f = arg;
	CHECK(f->conn == c);
	feed_on_bytes(f);
	data = trim(data);
	if (data.n && data.p[0] != '{')
		on_base64(f, data);
	else if (data.n)
		feed_on_document(f, data);
}

/* --- the multiplexer ---------------------------------------------------------------------------
 */

/* The cluster's own path and the query: what watch_target wrote behind the backend's prefix. */
static bool split_target(struct feed *f, struct span *path, struct span *query)
{
	const char *accept;
	char *target = f->cluster->reactor->target;
	size_t n = watch_target(&f->watch, target, CORE_TARGET_BYTES, &accept);
	size_t prefix = f->conf.prefix ? strlen(f->conf.prefix) : 0;
	if (n <= prefix)
		return false;
	struct span s = {target + prefix, n - prefix};
	const char *mark = memchr(s.p, '?', s.n);
	*path = (struct span){s.p, mark ? (size_t)(mark - s.p) : s.n};
	*query = mark ? (struct span){mark + 1, s.n - path->n - 1} : SPAN_NONE;
	return true;
}

void feed_send_mux(struct feed *f)
{
	struct span path, query;
	struct watch_out out;
	struct mux_link *l = link_of(f);
	f->hint = (struct json_hint){0};
	err_t err = !l ? ERR_NO_MEMORY : !split_target(f, &path, &query) ? ERR_LIMIT : ERR_OK;
	if (!err)
		err = mux_link_subscribe(l, f, path, query);
	if (err) {
		watch_on_lost(&f->watch, err, err_text(err), now_of(f), &out);
		feed_run(f, &out);
	}
}

void feed_refresh_mux(struct feed *f, struct mux *m)
{
	struct span path, query;
	/* If it cannot be said, the old one stays: what comes again is out of order, and the list
	 * is taken anew. */
	if (split_target(f, &path, &query))
		(void)!mux_set_query(m, f->sub, query);
}

void feed_leave_mux(struct feed *f)
{
	if (!list_empty(&f->mux_link))
		mux_link_unsubscribe(link_of(f), f);
}

void feed_on_mux_ready(struct feed *f)
{
	struct watch_out out;
	watch_on_ready(&f->watch, now_of(f), &out);
	feed_run(f, &out);
}

void feed_on_mux_opened(struct feed *f)
{
	struct watch_out out;
	f->cluster->answered_ns = now_of(f);
	if (f->watch.state != WATCH_ASKING)
		return; /* it had ended, and was opened again from the last version: nothing is
		           missing */
	f->refusals = 0;
	bool refused = f->watch.err == ERR_KUBE_UNAUTHORIZED;
	f->body = (uint8_t)watch_on_head(&f->watch, 200, -1, now_of(f), &out);
	store_list_byte(f->list, now_of(f));
	feed_run(f, &out);
	if (refused)
		cluster_on_login(f->cluster);
}

void feed_on_mux_document(struct feed *f, struct span data)
{
	feed_on_mux_opened(f);
	feed_on_bytes(f);
	data = trim(data);
	if (data.n)
		feed_on_document(f, data);
}

void feed_on_mux_ended(struct feed *f)
{
	struct watch_out out;
	watch_on_body_end(&f->watch, false, now_of(f), &out);
	feed_run(f, &out);
}

/* Then a refusal is the trouble of this list alone, not of the way. */
static bool others_stream(const struct feed *f)
{
	LIST_EACH (it, &link_of(f)->feeds) {
		const struct feed *o = CONTAINER_OF(it, struct feed, mux_link);
		if (o->cluster == f->cluster && o->watch.state == WATCH_STREAMING)
			return true;
	}
	return false;
}

/* The backend has one text for 401, 403, 404 and much else ("bad handshake"). A LIST tells them
 * apart, and what is to be done about each; so after a second refusal it is asked.
 *
 * A cluster that is away is refused too, all its lists one after the other, and that is no fault of
 * a way that has worked. So the first refusal of a list says only that what the cluster answered
 * before is no proof any more (mux_link.h): what is refused once more, after a new one, is. */
void feed_on_mux_failed(struct feed *f, struct span text)
{
	struct watch_out out;
	char why[ERRMSG_BYTES];
	snprintf(why, sizeof why, "the Headlamp backend says: %.*s", SPAN_ARG(text));
	bool alone = others_stream(f);
	bool untried = !strategy_has_worked(f->cluster->strategy, STRATEGY_MULTIPLEXED);
	if (!alone && (untried || f->refusals))
		feed_blame_way(f, STRATEGY_BROKEN, why);
	if (!alone)
		f->cluster->answered_ns = 0;
	if (f->refusals < FEED_REFUSALS_MAX + alone)
		f->refusals++;
	if (f->refusals < FEED_REFUSALS_MAX) {
		feed_on_mux_lost(f, ERR_HEADLAMP_REFUSED, why);
		return;
	}
	f->cluster->reactor->errors++;
	watch_on_refused(&f->watch, ERR_HEADLAMP_REFUSED, why, now_of(f), &out);
	feed_run(f, &out);
}

void feed_on_mux_lost(struct feed *f, err_t err, const char *text)
{
	struct watch_out out;
	f->cluster->reactor->errors++;
	watch_on_lost(&f->watch, err, text, now_of(f), &out);
	feed_run(f, &out);
}

void feed_say_why(struct feed *f, err_t err, const char *text)
{
	enum shm_list_state s = f->watch.whole ? SHM_LIST_STALE : SHM_LIST_CONNECTING;
	store_list_state(f->list, s, err, text, now_of(f));
}
