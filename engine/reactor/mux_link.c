#include "reactor/mux_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "headlamp/backend.h"
#include "reactor/core.h"
#include "reactor/feed_stream.h"

static void granted(struct cluster_waiter *w);
static void refused(struct cluster_waiter *w, err_t err, const char *text);

static struct reactor *reactor_of(const struct mux_link *l)
{
	return l->backend->reactor;
}

struct mux_link *mux_link_of(struct cluster *backend)
{
	if (backend->mux)
		return backend->mux;
	struct reactor *r = backend->reactor;
	struct mux_link *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->backend = backend;
	l->mux = mux_new(prng_next(&r->rng));
	/* Whatever fits into a message: an event over the limit of events is the trouble of its
	 * list, which json/ tells it, and not of all that are on the socket. */
	l->reader = envelope_reader_new(r->ws_limits.message_bytes_max);
	list_init(&l->waiter.link);
	list_init(&l->waiting);
	list_init(&l->feeds);
	l->waiter.granted = granted;
	l->waiter.refused = refused;
	wheel_timer_init(&l->timer, CORE_TIMER_MUX);
	if (!l->mux || !l->reader)
		mux_link_free(&l);
	backend->mux = l;
	return l;
}

void mux_link_stop(struct mux_link *l)
{
	struct conn *c = l->conn;
	l->conn = NULL;
	l->state = MUX_LINK_DOWN;
	cluster_unwait(&l->waiter);
	wheel_set(&reactor_of(l)->wheel, &l->timer, UINT64_MAX);
	if (c)
		conn_close(c);
}

void mux_link_free(struct mux_link **lp)
{
	struct mux_link *l = *lp;
	*lp = NULL;
	if (!l)
		return;
	CHECK(list_empty(&l->waiting) && list_empty(&l->feeds) && !l->conn);
	wheel_set(&reactor_of(l)->wheel, &l->timer, UINT64_MAX);
	mux_free(&l->mux);
	envelope_reader_free(&l->reader);
	free(l);
}

/* --- who waits ---------------------------------------------------------------------------------
 */

static struct feed *feed_of(struct list *it)
{
	return CONTAINER_OF(CONTAINER_OF(it, struct cluster_waiter, link), struct feed, waiter);
}

static bool is_proven(const struct cluster *c, uint64_t now_ns)
{
	return c->answered_ns && now_ns - c->answered_ns < MUX_LINK_PROVEN_S * KUBE_S;
}

static void on_probe(struct fetch *p, err_t err, const char *text);

static void dismiss(struct mux_link *l, const struct cluster *only, err_t err, const char *text);

static void prove(struct mux_link *l, struct cluster *c)
{
	char target[CORE_TARGET_BYTES / 8];
	int n = snprintf(target, sizeof target, "%s/version", c->spec.prefix);
	c->probing = true;
	if (n > 0 && (size_t)n < sizeof target &&
	        fetch_probe(c, target, MUX_LINK_PROBE_S, on_probe))
		return;
	c->probing = false;
	dismiss(l, c, ERR_NO_MEMORY, "probe of the cluster");
}

static struct cluster *next_unproven(struct mux_link *l)
{
	LIST_EACH (it, &l->waiting)
		if (!feed_of(it)->cluster->probing)
			return feed_of(it)->cluster;
	return NULL;
}

/* Lets through who can go. They are taken out first: each may end, or wait again, in its callback.
 */
static void admit(struct mux_link *l)
{
	struct reactor *r = reactor_of(l);
	struct list go;
	list_init(&go);
	if (l->state != MUX_LINK_OPEN)
		return;
	LIST_EACH_SAFE (it, &l->waiting) {
		if (!is_proven(feed_of(it)->cluster, r->now_ns))
			continue;
		list_unlink(it);
		list_push(&go, it);
	}
	for (struct list *it; (it = list_pop(&go));)
		feed_on_mux_ready(feed_of(it));
	/* A probe may end at once, and its lists with it. */
	for (struct cluster *c; l->state == MUX_LINK_OPEN && (c = next_unproven(l));)
		prove(l, c);
}

/* The lists of this cluster that wait, or all of them with NULL, hear why they wait in vain. */
static void dismiss(struct mux_link *l, const struct cluster *only, err_t err, const char *text)
{
	struct list go;
	list_init(&go);
	LIST_EACH_SAFE (it, &l->waiting) {
		if (only && feed_of(it)->cluster != only)
			continue;
		list_unlink(it);
		list_push(&go, it);
	}
	for (struct list *it; (it = list_pop(&go));) {
		struct feed *f = feed_of(it);
		if (only) /* who refused it before is known now */
			f->refusals = 0;
		feed_on_mux_lost(f, err, text);
	}
}

static void on_probe(struct fetch *p, err_t err, const char *text)
{
	struct cluster *c = p->cluster;
	struct cluster *backend = core_cluster(c->reactor, c->spec.backend);
	char why[ERRMSG_BYTES];
	c->probing = false;
	if (!backend || !backend->mux)
		return;
	if (!err && p->http_status < 500) {
		/* Any answer of the cluster will do, also 403: it is there. (401 has its own way: a
		 * credential is asked for first.) */
		c->answered_ns = c->reactor->now_ns;
		admit(backend->mux);
		return;
	}
	if (err)
		snprintf(why, sizeof why, "%s", text ? text : err_text(err));
	else
		snprintf(why, sizeof why, "%s answers %d for this cluster", c->spec.host,
		        p->http_status);
	dismiss(backend->mux, c, err ? err : ERR_KUBE_SERVER, why);
}

/* --- the socket --------------------------------------------------------------------------------
 */

static void want(struct mux_link *l)
{
	if (l->state != MUX_LINK_DOWN || l->timer.at_ns != UINT64_MAX)
		return; /* on its way, or in back-off */
	l->state = MUX_LINK_CONNECTING;
	cluster_wait(l->backend, &l->waiter);
}

/* What of a failure is the way's fault is told to the clusters that would take it. */
static void blame(struct mux_link *l, enum strategy_failure how, const char *text)
{
	struct reactor *r = reactor_of(l);
	LIST_EACH (it, &r->clusters) {
		struct cluster *c = CONTAINER_OF(it, struct cluster, link);
		if (c->strategy && c->spec.backend == l->backend->spec.cluster)
			strategy_on_failure(
			        c->strategy, STRATEGY_MULTIPLEXED, how, text, r->now_ns);
	}
}

/* A proxy that knows no WebSockets may take the upgrade and cut what follows; a REQUEST may be what
 * the backend dies of. Where that is all that ever comes, it is a way that does not work. */
static void blame_end(struct mux_link *l, const char *text)
{
	bool wanted = !list_empty(&l->waiting) || !list_empty(&l->feeds);
	if (wanted && !l->answered)
		blame(l, STRATEGY_BROKEN, text);
}

/* The socket is gone, or could not be had: every list on it hears why, and it comes back after a
 * while. */
static void down(struct mux_link *l, err_t err, const char *text)
{
	struct reactor *r = reactor_of(l);
	struct conn *c = l->conn;
	bool was_open = l->state == MUX_LINK_OPEN;
	l->conn = NULL;
	l->state = MUX_LINK_DOWN;
	cluster_unwait(&l->waiter);
	if (c)
		conn_close(c);
	mux_on_lost(l->mux);
	wheel_set(&r->wheel, &l->timer, r->now_ns + backoff_fail(&l->backoff, &r->rng, r->now_ns));
	while (!list_empty(&l->feeds)) {
		struct feed *f = CONTAINER_OF(l->feeds.next, struct feed, mux_link);
		/* Perhaps its dial was what blocked the socket: it must not block the next one too.
		 */
		if (was_open && f->watch.state == WATCH_ASKING)
			f->cluster->answered_ns = 0;
		mux_link_unsubscribe(l, f);
		feed_on_mux_lost(f, err, text);
	}
	dismiss(l, NULL, err, text);
}

static bool next_message(struct mux_link *l)
{
	if (l->message_bytes)
		return true;
	uint64_t now_ns = reactor_of(l)->now_ns;
	struct mux_sub *s = mux_wants_query(l->mux, now_ns);
	if (s)
		feed_refresh_mux(s->owner, l->mux);
	l->message_bytes = mux_take(l->mux, now_ns, l->message, sizeof l->message);
	return l->message_bytes;
}

/* When a cluster has answered, its other lists ask at once, and there may be more of them than the
 * connection holds: the rest goes a little later. If it is never read, a ping does not get through
 * either. */
static void flush(struct mux_link *l)
{
	struct reactor *r = reactor_of(l);
	err_t err = ERR_OK;
	while (!err && l->state == MUX_LINK_OPEN && next_message(l)) {
		err = conn_send_text(l->conn, (struct span){l->message, l->message_bytes});
		if (!err)
			l->message_bytes = 0;
	}
	if (l->state != MUX_LINK_OPEN)
		return;
	if (err && err != ERR_LIMIT)
		down(l, err, "the Headlamp backend cannot be sent anything");
	else
		wheel_set(&r->wheel, &l->timer,
		        err ? r->now_ns + MUX_LINK_FULL_NS : mux_deadline(l->mux));
}

static void on_ready(void *arg, struct conn *c)
{
	struct mux_link *l = arg;
	struct errmsg m = {0};
	struct backend_protocols offer;
	char target[CORE_TARGET_BYTES / 8];
	l->answered = false;
	l->message_bytes = 0;
	backend_mux_protocols(&offer);
	int n = snprintf(target, sizeof target, "%s/wsMultiplexer", l->backend->spec.prefix);
	/* The backend answers a ping only between two messages of ours, each of which may block it.
	 */
	struct conn_upgrade u = {.target = {target, n < 0 ? 0 : (size_t)n},
	        .protocols = offer.at,
	        .protocol_count = offer.count,
	        .pong_s = MUX_ANSWER_S};
	err_t err = n < 0 || (size_t)n >= sizeof target
	                    ? errmsg_set(&m, ERR_LIMIT, "the backend's path is too long")
	                    : conn_upgrade(c, &u, &m);
	if (err && l->conn == c)
		down(l, err, m.text);
	else if (l->conn == c)
		wheel_set(&reactor_of(l)->wheel, &l->timer,
		        reactor_of(l)->now_ns + WATCH_HEAD_S * KUBE_S);
}

static void on_head(void *arg, struct conn *c, const struct http1_head *h)
{
	struct mux_link *l = arg;
	struct reactor *r = reactor_of(l);
	(void)c;
	if (h->status == 101) {
		l->state = MUX_LINK_OPEN;
		backoff_ok(&l->backoff, r->now_ns);
		mux_on_open(l->mux, r->now_ns);
		flush(l);
		admit(l);
		return;
	}
	char text[ERRMSG_BYTES];
	snprintf(text, sizeof text, "%s answered %d to the multiplexer's upgrade",
	        l->backend->spec.host, h->status);
	/* A proxy before a backend that starts says 502; that the way is not there is said by
	 * others. */
	bool passing = h->status == 429 || (h->status >= 500 && h->status != 501);
	blame(l, passing ? STRATEGY_BROKEN : STRATEGY_REFUSED, text);
	down(l, ERR_HEADLAMP_REFUSED, text);
}

static void on_body(void *arg, struct conn *c, struct span data)
{
	(void)arg;
	(void)c;
	(void)data;
}

static void on_body_end(void *arg, struct conn *c, bool reusable)
{
	static const char text[] = "the Headlamp backend closed the multiplexer's socket";
	(void)c;
	(void)reusable;
	blame_end(arg, text);
	down(arg, ERR_WS_CLOSED, text);
}

static void on_lost(void *arg, struct conn *c, err_t err, const char *text)
{
	struct mux_link *l = arg;
	l->conn = NULL; /* it closes itself */
	reactor_of(l)->errors++;
	if (err_class_of(err) == ERR_CLASS_PEER)
		blame(l, STRATEGY_BROKEN, text);
	else if (c->state == CONN_OPEN)
		blame_end(l, text);
	/* A broken frame says nothing of the lists: they resume, on a new socket. */
	down(l, err_class_of(err) == ERR_CLASS_PEER ? ERR_HEADLAMP_REFUSED : err, text);
}

static void dispatch(struct mux_link *l, const struct mux_event *ev)
{
	struct feed *f = ev->sub ? ev->sub->owner : NULL;
	switch (ev->type) {
	case MUX_NOTHING: break;
	case MUX_OPENED:
		l->answered = true;
		feed_on_mux_opened(f);
		break;
	case MUX_DOCUMENT: feed_on_mux_document(f, ev->data); break;
	case MUX_ENDED:
		mux_link_unsubscribe(l, f);
		feed_on_mux_ended(f);
		break;
	case MUX_FAILED:
		l->answered = true;
		mux_link_unsubscribe(l, f);
		feed_on_mux_failed(f, ev->data);
		break;
	}
}

static void on_message(void *arg, struct conn *c, struct span data)
{
	struct mux_link *l = arg;
	struct reactor *r = reactor_of(l);
	struct mux_event ev;
	struct errmsg m = {0};
	err_t err = mux_on_message(l->mux, l->reader, data, r->now_ns, &ev, &m);
	if (err) {
		r->errors++;
		blame(l, STRATEGY_BROKEN, m.text);
		down(l, ERR_HEADLAMP_REFUSED, m.text);
		return;
	}
	/* A list may close the link's last subscription, or the link itself may go down meanwhile.
	 */
	while (ev.type != MUX_NOTHING) {
		dispatch(l, &ev);
		if (l->conn != c || !mux_next_event(l->mux, &ev))
			break;
	}
	if (l->conn == c && l->state == MUX_LINK_OPEN)
		flush(l);
}

static const struct conn_user link_user = {
        on_ready, on_head, on_body, on_body_end, on_lost, on_message};

static void granted(struct cluster_waiter *w)
{
	struct mux_link *l = CONTAINER_OF(w, struct mux_link, waiter);
	err_t err = ERR_OK;
	l->conn = conn_open(l->backend, &link_user, l, &err);
	if (!l->conn) {
		down(l, err, cluster_on_no_socket(l->backend, err, reactor_of(l)->now_ns));
	}
}

static void refused(struct cluster_waiter *w, err_t err, const char *text)
{
	struct mux_link *l = CONTAINER_OF(w, struct mux_link, waiter);
	LIST_EACH (it, &l->waiting)
		feed_say_why(feed_of(it), err, text);
}

/* --- what lists ask ----------------------------------------------------------------------------
 */

void mux_link_wait(struct mux_link *l, struct feed *f)
{
	list_push(&l->waiting, &f->waiter.link);
	if (l->backend->err)
		feed_say_why(f, l->backend->err, l->backend->text);
	want(l);
	admit(l);
}

err_t mux_link_subscribe(struct mux_link *l, struct feed *f, struct span path, struct span query)
{
	struct reactor *r = reactor_of(l);
	CHECK(list_empty(&f->mux_link));
	if (!f->sub && !(f->sub = calloc(1, sizeof *f->sub)))
		return ERR_NO_MEMORY;
	f->sub->owner = f;
	err_t err = mux_subscribe(
	        l->mux, f->sub, span_of(f->cluster->spec.context), path, query, r->now_ns);
	if (err)
		return err;
	list_push(&l->feeds, &f->mux_link);
	f->cluster->mux_lists++;
	if (l->state != MUX_LINK_OPEN && l->backend->err)
		feed_say_why(f, l->backend->err, l->backend->text);
	want(l);
	flush(l);
	return ERR_OK;
}

void mux_link_unsubscribe(struct mux_link *l, struct feed *f)
{
	if (list_empty(&f->mux_link))
		return;
	list_unlink(&f->mux_link);
	f->cluster->mux_lists--;
	mux_unsubscribe(l->mux, f->sub);
	flush(l);
}

void mux_link_on_timer(struct mux_link *l)
{
	struct reactor *r = reactor_of(l);
	char text[ERRMSG_BYTES];
	if (l->state == MUX_LINK_DOWN) {
		if (!list_empty(&l->waiting) || !list_empty(&l->feeds))
			want(l);
		return;
	}
	if (l->state == MUX_LINK_CONNECTING) {
		snprintf(text, sizeof text,
		        "%s did not answer the multiplexer's upgrade within %d s",
		        l->backend->spec.host, WATCH_HEAD_S);
		blame(l, STRATEGY_SILENT, text);
		down(l, ERR_CONN_TIMEOUT, text);
		return;
	}
	unsigned overdue_s = mux_overdue(l->mux, r->now_ns);
	if (!overdue_s) {
		flush(l);
		return;
	}
	struct span who = mux_blocked_by(l->mux);
	snprintf(text, sizeof text, "the multiplexer did not answer within %u s (%.*s)", overdue_s,
	        SPAN_ARG(who));
	blame(l, STRATEGY_SILENT, text);
	down(l, ERR_CONN_SILENT, text);
}
