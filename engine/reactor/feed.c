#include "reactor/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reactor/audit.h"
#include "reactor/core.h"
#include "reactor/feed_body.h"
#include "reactor/feed_left.h"
#include "reactor/feed_secret.h"
#include "reactor/feed_stream.h"

_Static_assert((int)WATCH_LIST_LIVE == (int)SHM_LIST_LIVE &&
                       (int)WATCH_LIST_CLOSED == (int)SHM_LIST_CLOSED &&
                       (int)WATCH_LIST_PARKED == (int)SHM_LIST_PARKED,
        "kube/ and shm/ number the states of a list alike");

static void granted(struct cluster_waiter *w);
static void refused(struct cluster_waiter *w, err_t err, const char *text);

static uint64_t now_of(const struct feed *f)
{
	return f->cluster->reactor->now_ns;
}

static void set_identity(struct feed *f, struct store_identity *id)
{
	const struct list_spec *s = &f->spec;
	f->conf = (struct watch_conf){.prefix = f->cluster->spec.prefix,
	        .group = s->group,
	        .version = s->version,
	        .resource = s->resource,
	        .namespace_ = s->namespace_,
	        .labels = s->labels,
	        .fields = s->fields,
	        .metadata_only = s->metadata_only,
	        .watch_list = f->cluster->spec.watch_list};
	*id = (struct store_identity){.cluster = span_of(f->cluster->spec.name),
	        .group = span_of(s->group),
	        .version = span_of(s->version),
	        .resource = span_of(s->resource),
	        .namespace_ = span_of(s->namespace_),
	        .labels = span_of(s->labels),
	        .fields = span_of(s->fields),
	        .form = s->metadata_only ? SPAN("metadata") : SPAN("object")};
}

err_t feed_open(struct reactor *r, uint32_t id, struct cluster *c, struct list_spec *spec,
        struct feed **out, struct errmsg *m)
{
	struct feed *f = calloc(1, sizeof *f);
	if (!f)
		return ERR_NO_MEMORY;
	f->id = id;
	f->cluster = c;
	f->realm = spec->realm;
	f->spec = *spec;
	*spec = (struct list_spec){0};
	f->secret = feed_secret_is(&f->spec);
	list_init(&f->link);
	list_init(&f->cluster_link);
	list_init(&f->waiter.link);
	list_init(&f->mux_link);
	f->waiter.granted = granted;
	f->waiter.refused = refused;
	wheel_timer_init(&f->timer, CORE_TIMER_FEED);
	struct store_identity identity;
	set_identity(f, &identity);

	f->budget = (struct store_budget){
	        .name = "list", .bytes_max = f->spec.bytes_max, .parent = &c->budget};
	struct watch_caps *caps =
	        cluster_caps_of(c, f->spec.group, f->spec.version, f->spec.resource);
	err_t err = caps ? core_store(r, f->realm, &f->store, m) : ERR_NO_MEMORY;
	if (!err)
		err = store_list_open(f->store, &identity, &f->budget, f, &f->list);
	if (err) {
		if (caps)
			cluster_caps_put(caps);
		f->cluster = NULL;
		feed_close(&f);
		return err;
	}
	watch_init(&f->watch, &f->conf, caps, prng_next(&r->rng));
	list_push(&r->feeds, &f->link);
	list_push(&c->feeds, &f->cluster_link);
	c->list_count++;
	audit_plan(f);
	*out = f;
	return ERR_OK;
}

static void free_spec(struct list_spec *s)
{
	free(s->group);
	free(s->version);
	free(s->resource);
	free(s->namespace_);
	free(s->labels);
	free(s->fields);
}

/* The daemon ends, the list does not: followers wait for its next life. */
static void leave_list(struct feed *f)
{
	struct reactor *r = f->cluster->reactor;
	store_list_state(
	        f->list, SHM_LIST_STALE, ERR_STOPPING, "the daemon is stopping", r->now_ns);
	for (uint32_t i = 0; i < f->consumer_count; i++)
		core_mark(r, f->consumers[i]);
	store_list_disown(f->list);
}

void feed_close(struct feed **fp)
{
	struct feed *f = *fp;
	*fp = NULL;
	if (f->cluster) {
		struct reactor *r = f->cluster->reactor;
		struct watch_out out;
		audit_cancel(f);
		watch_stop(&f->watch, &out);
		feed_run(f, &out);
		cluster_unwait(&f->waiter);
		wheel_set(&r->wheel, &f->timer, UINT64_MAX);
		if (r->stopping && f->list)
			leave_list(f);
		else
			store_list_close(&f->list, r->now_ns);
		watch_fini(&f->watch);
		cluster_caps_put(f->watch.caps);
		for (uint32_t i = 0; i < f->consumer_count; i++)
			r->consumers[f->consumers[i]].feeds--;
		list_unlink(&f->link);
		list_unlink(&f->cluster_link);
		f->cluster->list_count--;
	}
	feed_drop_partial(f);
	free(f->left);
	free(f->sub);
	free(f->consumers);
	free_spec(&f->spec);
	free(f);
}

void feed_end(struct feed *f, err_t err, const char *text)
{
	struct reactor *r = f->cluster->reactor;
	store_list_state(f->list, SHM_LIST_CLOSED, err, text, r->now_ns);
	for (uint32_t i = 0; i < f->consumer_count; i++)
		core_mark(r, f->consumers[i]);
}

void feed_on_moved(struct feed *f)
{
	struct watch_out out;
	watch_on_moved(&f->watch, now_of(f), &out);
	feed_run(f, &out);
}

void feed_start(struct feed *f)
{
	struct watch_out out;
	watch_start(&f->watch, now_of(f), &out);
	feed_run(f, &out);
}

/* --- doing what the watch decided ------------------------------------------------------------- */

static void drop_conn(struct feed *f)
{
	struct conn *c = f->conn;
	f->conn = NULL;
	feed_drop_partial(f);
	/* A request that waits for a connection is given up with it: else the gate's answer would
	 * send it in a state that asks for nothing. */
	f->resend = false;
	cluster_unwait(&f->waiter);
	feed_leave_mux(f);
	if (c)
		conn_close(c);
}

/* Writes the request, and sends it the way it goes. */
static err_t ask(struct feed *f, bool upgrade, struct errmsg *m)
{
	struct reactor *r = f->cluster->reactor;
	const char *accept = NULL;
	size_t n = watch_target(&f->watch, r->target, CORE_TARGET_BYTES, &accept);
	struct span target = {r->target, n};
	if (!n)
		return errmsg_set(m, ERR_LIMIT, "selectors make the request longer than %d bytes",
		        CORE_TARGET_BYTES);
	return upgrade ? feed_upgrade(f, target, span_of(accept), m)
	               : conn_request(f->conn, target, span_of(accept), f->cluster->spec.gzip, m);
}

static void send_request(struct feed *f)
{
	struct errmsg m = {0};
	bool stream = f->watch.request != WATCH_REQ_PAGE;
	if (stream) {
		f->way = (uint8_t)feed_way(f);
		f->way_works = false;
	}
	if (stream && f->way == STRATEGY_MULTIPLEXED) {
		drop_conn(f);
		feed_send_mux(f);
		return;
	}
	if (!f->conn || f->conn->state != CONN_OPEN || http1_busy(&f->conn->http)) {
		/* The old connection cannot carry it: take a new one, and send this very request
		 * there. */
		drop_conn(f);
		f->resend = true;
		cluster_wait(f->cluster, &f->waiter);
		return;
	}
	f->resend = false;
	f->hint = (struct json_hint){0};
	bool upgrade = stream && (f->way == STRATEGY_WEBSOCKET || f->way == STRATEGY_LEGACY);
	err_t err = ask(f, upgrade, &m);
	if (err) {
		struct watch_out out;
		drop_conn(f);
		watch_on_lost(&f->watch, err, m.text, now_of(f), &out);
		feed_run(f, &out);
	}
}

/* false: the store refused, and the watch has decided anew. */
static bool commit_sync(struct feed *f, const struct watch_out *o)
{
	struct store_sync_result res;
	err_t err = store_sync_commit(f->list, o->rv, o->version_back, now_of(f), &res);
	if (err) {
		feed_refuse(f, err);
		return false;
	}
	feed_left_commit(f);
	if (res.added || res.modified || res.deleted)
		f->watch.verify_ns =
		        WATCH_VERIFY_S * KUBE_S; /* something was missed: look again soon */
	return true;
}

static void publish(struct feed *f)
{
	store_list_state(f->list, (enum shm_list_state)watch_list_state(&f->watch), f->watch.err,
	        watch_text(&f->watch), now_of(f));
}

void feed_run(struct feed *f, const struct watch_out *o)
{
	if (o->acts & WATCH_SYNC_ABORT)
		store_sync_abort(f->list);
	if (o->acts & WATCH_CLOSE)
		drop_conn(f);
	if (o->acts & WATCH_SYNC_BEGIN) {
		store_sync_begin(f->list, now_of(f));
		feed_left_begin(f);
	}
	if (o->acts & WATCH_SYNC_COMMIT && !commit_sync(f, o))
		return;
	if (o->acts & WATCH_STATE)
		publish(f);
	if (o->acts & WATCH_CREDENTIAL) {
		f->credential_wanted = true;
		cluster_want_credential(f->cluster);
	}
	wheel_set(&f->cluster->reactor->wheel, &f->timer, f->watch.deadline_ns);
	if (o->acts & WATCH_CONNECT) {
		drop_conn(f);
		feed_connect(f);
	}
	if (o->acts & WATCH_SEND)
		send_request(f);
}

void feed_refuse(struct feed *f, err_t err)
{
	struct watch_out out;
	char text[ERRMSG_BYTES];
	/* The store says which limit, and what raises it. */
	const char *why =
	        err == store_list_refused(f->list) ? store_list_refusal(f->list) : err_text(err);
	snprintf(text, sizeof text, "%s (%s)", why, f->spec.resource);
	watch_on_refused(&f->watch, err, text, now_of(f), &out);
	f->cluster->reactor->errors++;
	feed_run(f, &out);
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_ready(void *arg, struct conn *c)
{
	struct feed *f = arg;
	struct watch_out out;
	CHECK(f->conn == c);
	if (f->resend) {
		send_request(f);
		return;
	}
	watch_on_ready(&f->watch, now_of(f), &out);
	feed_run(f, &out);
}

static void on_lost(void *arg, struct conn *c, err_t err, const char *text)
{
	struct feed *f = arg;
	struct watch_out out;
	CHECK(f->conn == c);
	f->conn = NULL;
	feed_drop_partial(f);
	f->resend = false;
	f->cluster->reactor->errors++;
	feed_judge_loss(f, text);
	watch_on_lost(&f->watch, err, text, now_of(f), &out);
	feed_run(f, &out);
}

static const struct conn_user feed_user = {
        on_ready, feed_on_head, feed_on_body, feed_on_body_end, on_lost, feed_on_message};

static void granted(struct cluster_waiter *w)
{
	struct feed *f = CONTAINER_OF(w, struct feed, waiter);
	err_t err = ERR_OK;
	CHECK(!f->conn);
	f->conn = conn_open(f->cluster, &feed_user, f, &err);
	if (!f->conn) {
		struct watch_out out;
		const char *text = cluster_on_no_socket(f->cluster, err, now_of(f));
		watch_on_lost(&f->watch, err, text, now_of(f), &out);
		feed_run(f, &out);
	}
}

static void refused(struct cluster_waiter *w, err_t err, const char *text)
{
	feed_say_why(CONTAINER_OF(w, struct feed, waiter), err, text);
}

/* The way's share of what the timer found. */
static void judge_way(struct feed *f, uint8_t state, uint8_t request)
{
	bool stream = request == WATCH_REQ_WATCH || request == WATCH_REQ_STREAM_LIST;
	/* On the multiplexer a request may wait behind the dial of another cluster, or for the
	 * socket: mux_link.c judges that. */
	if (stream && state == WATCH_ASKING && f->way != STRATEGY_MULTIPLEXED)
		feed_blame_way(f, STRATEGY_BROKEN, watch_text(&f->watch));
	else if (state == WATCH_STREAMING && f->watch.err == ERR_CONN_SILENT)
		feed_blame_way(f, STRATEGY_SILENT, watch_text(&f->watch));
}

void feed_on_timer(struct feed *f)
{
	struct watch_out out;
	uint8_t state = f->watch.state, request = f->watch.request;
	watch_on_timer(&f->watch, now_of(f), &out);
	if (f->watch.state != state)
		judge_way(f, state, request);
	feed_run(f, &out);
}

void feed_on_credential(struct feed *f, bool ok, const char *text)
{
	struct watch_out out;
	f->credential_wanted = false;
	watch_on_credential(&f->watch, ok, text, now_of(f), &out);
	feed_run(f, &out);
}

/* --- who is woken ------------------------------------------------------------------------------
 */

err_t feed_subscribe(struct feed *f, uint16_t consumer)
{
	for (uint32_t i = 0; i < f->consumer_count; i++)
		if (f->consumers[i] == consumer)
			return ERR_OK;
	if (f->consumer_count == f->consumer_cap) {
		uint32_t cap = f->consumer_cap ? f->consumer_cap * 2 : 4;
		uint16_t *p = realloc(f->consumers, cap * sizeof *p);
		if (!p)
			return ERR_NO_MEMORY;
		f->consumers = p;
		f->consumer_cap = cap;
	}
	f->consumers[f->consumer_count++] = consumer;
	f->cluster->reactor->consumers[consumer].feeds++;
	return ERR_OK;
}

void feed_unsubscribe(struct feed *f, uint16_t consumer)
{
	for (uint32_t i = 0; i < f->consumer_count; i++)
		if (f->consumers[i] == consumer) {
			f->consumers[i] = f->consumers[--f->consumer_count];
			f->cluster->reactor->consumers[consumer].feeds--;
			return;
		}
}
