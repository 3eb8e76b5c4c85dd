/* WATCH: the initial events, then the log of the resource, filtered; bookmarks; the ends
 * (apiserver: pkg/endpoints/handlers/watch.go, pkg/storage/cacher). */
#include "model/model_watch.h"

#include "base/check.h"
#include "model/model_list.h"
#include "model/model_proto.h"
#include "model/model_word.h"

#include <stdlib.h>

#define SECOND_NS    1000000000ull
#define CRD_GRACE_NS SECOND_NS /* recorded: the stream ends 1 s after its CRD was deleted */
#define EVENT_BATCH  256

static void watch_free(struct model_conn *c, struct model_answer *a)
{
	struct model_watch *w = CONTAINER_OF(a, struct model_watch, a);
	list_unlink(&c->watcher.link);
	list_unlink(&c->watcher.ready_link);
	list_unlink(&w->pin.link);
	model_selector_free(&w->selector);
	model_text_fini(&w->ns);
	model_text_fini(&w->next);
	model_text_fini(&w->held);
	c->server->watches--;
	free(w);
}

/* --- one event --- */

/* A line of JSON becomes the same event as protobuf. */
static void to_proto(struct model_text *line, const struct model_proto_message *m, const char *api,
        const char *kind)
{
	struct model_text t = {0};
	if (!model_proto_line(m, api, kind, model_text_as_span(line), &t))
		t.n = 0; /* what a fault bent beyond JSON is nothing here */
	model_text_fini(line);
	*line = t;
}

static void line_to_proto(struct model_text *line, const struct model_kind *k)
{
	char api[128];
	model_kind_api_version(k, api, sizeof api);
	to_proto(line, model_proto_of(k), api, k->kind);
}

static void send_line(struct model_conn *c, const struct model_text *t)
{
	if (t == &c->out)
		model_reply_written(c);
	else
		model_reply_write(c, t->p, t->n);
	c->events++;
	c->server->events++;
}

static const struct model_hit *event_hit(
        const struct model_conn *c, const struct model_watch *w, enum model_fault_id id)
{
	const struct model_hit *h = model_conn_hit(c, id);
	return h && (h->a == 0 || h->a == w->events) ? h : NULL;
}

static void send_error(struct model_conn *c, struct model_text *status, bool proto)
{
	struct model_text t = {0};
	TEXT_LIT(&t, "{\"type\":\"ERROR\",\"object\":");
	model_text_span(&t, model_text_as_span(status));
	TEXT_LIT(&t, "}\n");
	if (proto)
		to_proto(&t, &model_proto_status, "v1", "Status");
	model_reply_write(c, t.p, t.n);
	model_text_fini(&t);
	model_text_fini(status);
}

static void error_of_code(unsigned code, struct model_text *out)
{
	if (code == 410)
		model_status_expired(out, 1, 2);
	else
		model_status_internal(out, code ? code : 500, "the model was told to fail");
}

/* Faults that take the event's place, all followed by the end. True: it did. */
static bool event_replaced(
        struct model_conn *c, struct model_watch *w, const struct model_text *line)
{
	const struct model_hit *h = model_conn_hit(c, MODEL_FAULT_WATCH_CLOSE_AFTER);
	w->ending = model_conn_hit(c, MODEL_FAULT_WATCH_CLOSE_BEFORE) || (h && w->events > h->a);
	if (w->ending)
		return true;
	if (event_hit(c, w, MODEL_FAULT_EVENT_HALF)) {
		model_reply_write(c, line->p, line->n / 2);
		w->ending = true;
	}
	h = event_hit(c, w, MODEL_FAULT_EVENT_ERROR);
	if (h && !w->ending) {
		struct model_text s = {0};
		error_of_code((unsigned)h->b, &s);
		send_error(c, &s, w->proto);
		w->ending = true;
	}
	return w->ending;
}

static void render_faulty(struct model_conn *c, struct model_watch *w,
        const struct model_version *v, const char *type, uint64_t rv, struct model_text *t)
{
	const struct model_hit *h = event_hit(c, w, MODEL_FAULT_EVENT_QUIRK);
	struct model_look look = {.meta_only = w->meta,
	        .rv = rv,
	        .quirks = h ? (unsigned)h->b : 0,
	        .wrote_ns = model_conn_wrote_ns(c)};
	if (event_hit(c, w, MODEL_FAULT_EVENT_UNKNOWN))
		type = "PATCHED";
	if (event_hit(c, w, MODEL_FAULT_EVENT_UTF8))
		look.quirks |= MODEL_QUIRK_BAD_UTF8;
	if ((h = event_hit(c, w, MODEL_FAULT_EVENT_HUGE)))
		look.extra_bytes = h->b < (64u << 20) ? h->b : 64u << 20;
	if ((h = event_hit(c, w, MODEL_FAULT_EVENT_OLD_RV)))
		look.rv = v->rv > h->b ? v->rv - h->b : 1;
	model_render_event(&c->server->library, v, type, look, t);
	if (w->proto)
		line_to_proto(t, w->a.kind);
}

static void event_faulty(struct model_conn *c, struct model_watch *w, const struct model_version *v,
        const char *type, uint64_t rv)
{
	struct model_text *t = &c->server->scratch;
	w->events++;
	t->n = 0;
	render_faulty(c, w, v, type, rv, t);
	if (event_replaced(c, w, t))
		return;
	if (w->held.n == 0 && event_hit(c, w, MODEL_FAULT_EVENT_REORDER)) {
		model_text_span(&w->held, model_text_as_span(t));
		c->server->faults.reordered++;
		return;
	}
	send_line(c, t);
	if (event_hit(c, w, MODEL_FAULT_EVENT_DUPLICATE))
		send_line(c, t);
	if (w->held.n)
		send_line(c, &w->held);
	model_text_fini(&w->held);
}

static void event(struct model_conn *c, struct model_watch *w, const struct model_version *v,
        const char *type, uint64_t rv)
{
	if (c->hits) {
		event_faulty(c, w, v, type, rv);
		return;
	}
	struct model_text *t = model_reply_in_place(c);
	if (!t) {
		t = &c->server->scratch;
		t->n = 0;
	}
	w->events++;
	struct model_look look = {
	        .meta_only = w->meta, .rv = rv, .wrote_ns = model_conn_wrote_ns(c)};
	if (w->proto)
		model_render_proto_event(&c->server->library, v, type, look, t);
	else
		model_render_event(&c->server->library, v, type, look, t);
	send_line(c, t);
}

/* --- phases --- */

static enum model_pumped end(struct model_conn *c)
{
	model_reply_end(c);
	return MODEL_PUMP_DONE;
}

static void set_deadline(struct model_conn *c, struct model_watch *w)
{
	uint64_t d = w->end_ns;
	if (w->bookmarks && w->bookmark_ns < d)
		d = w->bookmark_ns;
	if (w->store->removed && w->store->removed_ns + CRD_GRACE_NS < d)
		d = w->store->removed_ns + CRD_GRACE_NS;
	if (model_conn_hit(c, MODEL_FAULT_LAG) && c->now_ns + SECOND_NS / 10 < d)
		d = c->now_ns + SECOND_NS / 10; /* what it may see moves with other resources too */
	w->a.deadline_ns = d;
}

static void send_bookmark(struct model_conn *c, struct model_watch *w, bool marker)
{
	uint64_t rv = w->seen;
	const struct model_hit *low = model_conn_hit(c, MODEL_FAULT_BOOKMARK_LOW);
	if (low && !marker)
		rv = rv > low->a ? rv - low->a : 1;
	struct model_text *t = &c->server->scratch;
	t->n = 0;
	model_render_bookmark(w->a.kind, rv, marker, w->meta, t);
	if (w->proto)
		line_to_proto(t, w->a.kind);
	model_reply_write(c, t->p, t->n);
	c->server->bookmarks++;
	if (!marker && model_conn_hit(c, MODEL_FAULT_WATCH_CLOSE_BOOKMARK))
		w->ending = true;
}

/* The list at w->seen, event by event, a batch per call. */
static enum model_pumped pump_initial(struct model_conn *c, struct model_watch *w)
{
	struct model_index_at at;
	const struct model_index *x = &w->store->index;
	struct span ns = model_text_as_span(&w->ns);
	struct model_object *o = model_index_seek(x, model_text_as_span(&w->next), &at);
	for (unsigned n = 0; o && model_list_in(ns, o); o = model_index_next(x, &at)) {
		const struct model_version *v = model_object_at(o, w->seen);
		if (!v || !model_selector_match(w->selector, v))
			continue;
		if (n++ == EVENT_BATCH || model_reply_pending(c) >= MODEL_PUMP_BYTES) {
			w->next.n = 0;
			model_text_span(&w->next, model_object_key(o));
			return MODEL_PUMP_MORE;
		}
		event(c, w, v, "ADDED", 0);
		if (w->ending)
			return end(c);
	}
	list_unlink(&w->pin.link);
	w->phase = WATCH_LIVE;
	if (w->marker)
		send_bookmark(c, w, true);
	return MODEL_PUMP_MORE;
}

/* What one entry of the log is to this watch: nothing, or an event; synthetic ones where an object
 * moves across the selector. */
static void pump_entry(struct model_conn *c, struct model_watch *w, const struct model_version *v)
{
	if (v->rv <= w->start_rv || !model_list_in(model_text_as_span(&w->ns), v->object))
		return;
	if (!w->selector) {
		static const char *const types[] = {"", "ADDED", "MODIFIED", "DELETED"};
		event(c, w, v, types[v->op], 0);
		return;
	}
	bool had = v->op != MODEL_ADDED && v->prev && model_selector_match(w->selector, v->prev);
	bool has = v->op != MODEL_DELETED && model_selector_match(w->selector, v);
	if (has)
		event(c, w, v, had ? "MODIFIED" : "ADDED", 0);
	else if (had) /* the content is the last that matched, the version that of the change */
		event(c, w, v->op == MODEL_DELETED ? v : v->prev, "DELETED", v->rv);
}

static bool pump_log(struct model_conn *c, struct model_watch *w)
{
	uint64_t seen = model_conn_seen_rv(c, w->a.cluster);
	const struct model_store *st = w->store;
	unsigned n = 0;
	while (w->pos < st->log_first + st->log_count && !w->ending) {
		const struct model_version *v = model_store_at(st, w->pos);
		if (v->rv > seen)
			break;
		if (n++ == EVENT_BATCH || model_reply_pending(c) >= MODEL_PUMP_BYTES)
			return true;
		if (model_blast_serves(c, w))
			return true;
		w->pos++;
		w->seen = v->rv > w->seen ? v->rv : w->seen;
		pump_entry(c, w, v);
	}
	if (seen > w->seen)
		w->seen = seen;
	return false;
}

static enum model_pumped pump_live(struct model_conn *c, struct model_watch *w)
{
	if (model_blast_serves(c, w)) {
		w->a.deadline_ns = UINT64_MAX;
		return MODEL_PUMP_WAIT;
	}
	if (w->pos < w->store->log_first) /* too slow: it is cut off, as the watch cache does */
		return end(c);
	bool more = pump_log(c, w);
	if (w->ending)
		return end(c);
	if (more)
		return MODEL_PUMP_MORE;
	if (w->bookmarks && c->now_ns >= w->bookmark_ns && w->start_rv <= w->seen) {
		/* About once a minute, and about 2 s before the end. */
		bool low = model_conn_hit(c, MODEL_FAULT_BOOKMARK_LOW);
		w->bookmark_ns = c->now_ns + (low ? SECOND_NS : c->server->options.bookmark_ns);
		uint64_t last = w->end_ns > 2 * SECOND_NS ? w->end_ns - 2 * SECOND_NS : 0;
		if (c->now_ns < last && w->bookmark_ns > last)
			w->bookmark_ns = last;
		send_bookmark(c, w, false);
	} else if (w->bookmarks && c->now_ns >= w->bookmark_ns) {
		w->bookmark_ns =
		        w->end_ns; /* a version of the future is waited for in silence (recorded) */
	}
	bool removed = w->store->removed && c->now_ns >= w->store->removed_ns + CRD_GRACE_NS;
	if (w->ending || removed || c->now_ns >= w->end_ns)
		return end(c);
	set_deadline(c, w);
	return MODEL_PUMP_WAIT;
}

/* The server waits for the version asked for before it sends its head, and says that it did not
 * come inside the stream. */
static enum model_pumped pump_fresh(struct model_conn *c, struct model_watch *w)
{
	uint64_t seen = model_conn_seen_rv(c, w->a.cluster);
	bool refuse = model_conn_hit(c, MODEL_FAULT_TOO_LARGE_RV) != NULL;
	if (seen < w->need_rv && !refuse && c->now_ns < w->a.deadline_ns)
		return MODEL_PUMP_WAIT;
	model_reply_begin(c, &(struct model_head){.code = 200,
	                             .type = w->proto ? MODEL_PROTO_TYPE_WATCH : NULL,
	                             .stream = true,
	                             .gzip_stream = w->gzip});
	if (seen < w->need_rv || refuse) {
		struct model_text s = {0};
		model_status_too_large(&s, w->need_rv, seen);
		send_error(c, &s, w->proto);
		return end(c);
	}
	w->seen = seen;
	w->phase = w->initial ? WATCH_INITIAL : WATCH_LIVE;
	if (w->initial) {
		w->start_rv = seen;
		w->pin.rv = seen;
		list_push(&w->a.cluster->pins, &w->pin.link);
	} else if (w->start_rv < w->a.cluster->horizon) {
		struct model_text s = {0};
		model_status_expired(&s, w->start_rv, w->a.cluster->horizon);
		send_error(c, &s, w->proto);
		return end(c);
	}
	if (w->start_rv > w->seen)
		w->seen = 0; /* no bookmark before that version is reached */
	w->pos = model_store_after(w->store, w->start_rv);
	return MODEL_PUMP_MORE;
}

static enum model_pumped watch_pump(struct model_conn *c, struct model_answer *a)
{
	struct model_watch *w = CONTAINER_OF(a, struct model_watch, a);
	if (w->timeline != a->cluster->timeline) {
		model_reply_abort(c);
		return MODEL_PUMP_DONE;
	}
	switch (w->phase) {
	case WATCH_FRESH: return pump_fresh(c, w);
	case WATCH_INITIAL: return pump_initial(c, w);
	case WATCH_LIVE: return pump_live(c, w);
	}
	return MODEL_PUMP_DONE;
}

struct model_watch *model_watch_of(const struct model_conn *c)
{
	return c->answer && c->answer->pump == watch_pump
	               ? CONTAINER_OF(c->answer, struct model_watch, a)
	               : NULL;
}

/* --- the request --- */

static bool validate(struct model_conn *c, const struct model_request *r, enum model_maybe initial,
        struct span match)
{
	static const char field[] = "resourceVersionMatch";
	struct model_cause causes[5];
	size_t n = 0;
	struct model_text value = {0};
	bool gate_off =
	        c->server->options.no_watchlist || model_conn_hit(c, MODEL_FAULT_WATCHLIST_422);
	if (initial != MODEL_UNSET && !span_is(match, "NotOlderThan"))
		causes[n++] = (struct model_cause){field,
		        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
		        "NotOlderThan",
		        false};
	if (initial != MODEL_UNSET && gate_off)
		causes[n++] = (struct model_cause){"sendInitialEvents",
		        "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList "
		        "feature gate is enabled",
		        false};
	if (match.n && initial == MODEL_UNSET)
		causes[n++] = (struct model_cause){field,
		        "Forbidden: resourceVersionMatch is forbidden for watch unless "
		        "sendInitialEvents is provided",
		        false};
	if (match.n && !span_is(match, "NotOlderThan")) {
		model_text_printf(&value,
		        "Unsupported value: \"%.*s\": supported values: \"NotOlderThan\"",
		        SPAN_ARG(match));
		TEXT_LIT(&value, "\0");
		causes[n++] = (struct model_cause){field, value.p, true};
	}
	if (match.n && r->has_token)
		causes[n++] = (struct model_cause){field,
		        "Forbidden: resourceVersionMatch is forbidden when continue is provided",
		        false};
	if (n) {
		struct model_text t = {0};
		model_status_invalid(&t, causes, n);
		TEXT_LIT(&t, "\n");
		model_reply_whole(c, &(struct model_head){.code = 422}, model_text_as_span(&t));
		model_text_fini(&t);
	}
	model_text_fini(&value);
	return n == 0;
}

/* False: answered. A watch that cannot read its version answers 500 without a reason (recorded). */
static bool parse_rv(struct model_conn *c, const struct model_request *r, uint64_t *rv)
{
	*rv = 0;
	if (r->rv.n == 0 || model_word_u64(r->rv, rv))
		return true;
	struct model_text t = {0};
	model_text_printf(&t,
	        "resourceVersion: Invalid value: \"%.*s\": strconv.ParseUint: parsing \"%.*s\": "
	        "invalid syntax",
	        SPAN_ARG(r->rv), SPAN_ARG(r->rv));
	struct model_status s = {.code = 500, .message = model_text_as_span(&t)};
	model_reply_status(c, &s, r->pretty);
	model_text_fini(&t);
	return false;
}

/* Faults that answer a watch with a head and little more. True: done. */
static bool answered_by_fault(struct model_conn *c, const struct model_request *r, bool proto)
{
	struct model_head h = {
	        .code = 200, .type = proto ? MODEL_PROTO_TYPE_WATCH : NULL, .stream = true};
	bool empty = model_conn_hit(c, MODEL_FAULT_WATCH_CLOSE_AT_ONCE) != NULL;
	bool gone = model_conn_hit(c, MODEL_FAULT_GONE_EVENT) != NULL;
	bool broken = model_conn_hit(c, MODEL_FAULT_WATCHLIST_500) && r->initial == MODEL_TRUE;
	if (!empty && !gone && !broken)
		return false;
	struct model_text s = {0};
	model_reply_begin(c, &h);
	if (gone) {
		uint64_t rv = 1;
		if (r->rv.n)
			model_word_u64(r->rv, &rv);
		model_status_expired(&s, rv, rv + 1);
		send_error(c, &s, proto);
	} else if (broken) {
		model_status_internal(&s, 500,
		        "a watch stream was requested by the client but the required storage "
		        "feature "
		        "RequestWatchProgress is disabled");
		send_error(c, &s, proto);
	}
	model_reply_end(c);
	return true;
}

static uint64_t end_of(struct model_conn *c, const struct model_request *r)
{
	uint64_t seconds = 0;
	if (r->timeout.n)
		model_word_u64(r->timeout, &seconds);
	if (seconds == 0) /* --min-request-timeout 1800, up to twice that */
		seconds = 1800 + prng_below(&c->server->random, 1801);
	if (seconds > 365 * 86400)
		seconds = 365 * 86400;
	return c->now_ns + seconds * SECOND_NS;
}

/* A WebSocket has text frames only here. */
static bool wants_proto(const struct model_store *st, const struct model_request *r)
{
	return r->protobuf && !r->upgrade && model_proto_of(st->kind);
}

static struct model_watch *watch_new(struct model_conn *c, struct model_cluster *cluster,
        struct model_store *st, const struct model_request *r)
{
	struct model_watch *w = calloc(1, sizeof *w);
	CHECK(w);
	w->a = (struct model_answer){.pump = watch_pump,
	        .free = watch_free,
	        .kind = st->kind,
	        .cluster = cluster,
	        .verb = r->initial == MODEL_TRUE ? MODEL_VERB_WATCHLIST : MODEL_VERB_WATCH};
	w->store = st;
	w->timeline = cluster->timeline;
	w->proto = wants_proto(st, r);
	w->meta = r->accept == MODEL_ACCEPT_META && !w->proto;
	list_init(&w->pin.link);
	model_text_span(&w->ns, r->ns);
	model_text_span(&w->next, r->ns);
	w->end_ns = end_of(c, r);
	w->bookmarks = r->bookmarks && !model_conn_hit(c, MODEL_FAULT_NO_BOOKMARKS);
	w->bookmark_ns = c->now_ns + c->server->options.bookmark_ns;
	if (w->end_ns > 2 * SECOND_NS && w->bookmark_ns > w->end_ns - 2 * SECOND_NS)
		w->bookmark_ns = w->end_ns - 2 * SECOND_NS;
	if (model_conn_hit(c, MODEL_FAULT_BOOKMARK_LOW))
		w->bookmark_ns = c->now_ns + SECOND_NS;
	list_push(&st->watchers, &c->watcher.link);
	c->server->watches++;
	return w;
}

void model_watch_open(struct model_conn *c, struct model_cluster *cluster, struct model_store *st,
        const struct model_request *r)
{
	bool proto = wants_proto(st, r);
	bool from_now = r->rv.n == 0 || span_is(r->rv, "0");
	bool unknown = model_conn_hit(c, MODEL_FAULT_WATCHLIST_IGNORED) != NULL;
	enum model_maybe initial = unknown ? MODEL_UNSET : r->initial;
	struct span match = unknown ? SPAN_NONE : r->match;
	/* With the gate on, a watch from no version is given its initial events in the new way
	 * (SetListOptionsDefaults). */
	bool defaulted = !unknown && initial == MODEL_UNSET && match.n == 0 && from_now &&
	                 !c->server->options.no_watchlist;
	if (!validate(c, r, defaulted ? MODEL_TRUE : initial,
	            defaulted ? SPAN("NotOlderThan") : match))
		return;
	uint64_t rv;
	struct model_selector *selector;
	struct model_text error = {0};
	if (!model_selector_parse(r->labels, r->fields, st->kind, &selector, &error)) {
		model_bad_request(c, r, model_text_as_span(&error));
		model_text_fini(&error);
		return;
	}
	if (!parse_rv(c, r, &rv) || !model_upgrade_admit(c, r) || answered_by_fault(c, r, proto)) {
		model_selector_free(&selector);
		return;
	}
	struct model_watch *w = watch_new(c, cluster, st, r);
	w->selector = selector;
	w->initial = initial == MODEL_TRUE || (initial == MODEL_UNSET && from_now);
	w->marker = (initial == MODEL_TRUE || defaulted) && r->bookmarks &&
	            !model_conn_hit(c, MODEL_FAULT_NO_MARKER);
	w->gzip = initial == MODEL_TRUE && r->gzip && !r->upgrade &&
	          !c->server->options.no_watchlist_gzip;
	w->need_rv = initial == MODEL_TRUE ? rv : 0;
	w->start_rv = rv;
	if (initial == MODEL_FALSE && from_now)
		w->start_rv = model_conn_seen_rv(c, cluster);
	w->a.deadline_ns = c->now_ns + c->server->options.freshness_ns;
	c->answer = &w->a;
}
