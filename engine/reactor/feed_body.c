#include "reactor/feed_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "reactor/ahead.h"
#include "reactor/core.h"
#include "reactor/feed_left.h"
#include "reactor/feed_secret.h"
#include "reactor/feed_stream.h"

enum { FEED_STATUS_BYTES_MAX = 65536, FEED_CARRY_FIRST = 4096 };

static struct reactor *reactor_of(const struct feed *f)
{
	return f->cluster->reactor;
}
static uint64_t now_of(const struct feed *f)
{
	return reactor_of(f)->now_ns;
}

/* Appends to the carry, with slack behind for the parser. */
static err_t carry(struct feed *f, struct span s, size_t bytes_max)
{
	if (s.n > bytes_max - f->carry_bytes)
		return ERR_JSON_LIMIT;
	size_t need = f->carry_bytes + s.n + JSON_PADDING;
	if (need > f->carry_cap) {
		size_t cap = f->carry_cap ? f->carry_cap : FEED_CARRY_FIRST;
		while (cap < need)
			cap *= 2;
		char *p = realloc(f->carry, cap);
		if (!p)
			return ERR_NO_MEMORY;
		f->carry = p;
		f->carry_cap = cap;
	}
	if (s.n)
		memcpy(f->carry + f->carry_bytes, s.p, s.n);
	f->carry_bytes += s.n;
	return ERR_OK;
}

void feed_drop_partial(struct feed *f)
{
	if (!f->carry && !f->splitter)
		return;
	free(f->carry);
	f->carry = NULL;
	f->carry_bytes = f->carry_cap = 0;
	json_list_free(&f->splitter);
}

/* --- events -------------------------------------------------------------------------------------
 */

/* held: the object that the event was compared with, NULL: it was read by itself. */
static err_t apply(struct feed *f, enum watch_apply what, const struct json_event *ev,
        const struct store_held *held)
{
	enum store_outcome outcome;
	const struct json_object *o = &ev->object;
	switch (what) {
	case WATCH_APPLY_UPSERT:
		return held ? store_replace(f->list, held, o, now_of(f), &outcome)
		            : store_upsert(f->list, o, now_of(f), &outcome);
	case WATCH_APPLY_DELETE: return store_delete(f->list, o, now_of(f), &outcome);
	case WATCH_APPLY_SYNC_ITEM: return store_sync_item(f->list, o, now_of(f));
	case WATCH_APPLY_SYNC_REMOVE: return store_sync_remove(f->list, o);
	case WATCH_APPLY_BOOKMARK: store_bookmark(f->list, o->resource_version, now_of(f)); break;
	case WATCH_APPLY_NOTHING: break;
	}
	return ERR_OK;
}

static void on_event(struct feed *f, const struct json_event *ev, const struct json_status *st,
        const struct store_held *held)
{
	struct watch_out out;
	reactor_of(f)->events++;
	f->events++;
	feed_praise_way(f);
	enum watch_apply what = watch_on_event(&f->watch, ev, st, now_of(f), &out);
	err_t err = apply(f, what, ev, held);
	if (err)
		feed_refuse(f, err);
	else if (out.acts || f->watch.deadline_ns < f->timer.at_ns)
		feed_run(f, &out);
}

/* Instead of what would be done with the object of an event, if it could be held. */
static enum watch_apply apply_without(enum watch_apply what, err_t why)
{
	bool name = why == ERR_JSON_NAME; /* it is not in the list, and never was */
	switch (what) {
	case WATCH_APPLY_UPSERT:
	case WATCH_APPLY_DELETE: return name ? WATCH_APPLY_BOOKMARK : WATCH_APPLY_DELETE;
	case WATCH_APPLY_SYNC_ITEM:
	case WATCH_APPLY_SYNC_REMOVE: return name ? WATCH_APPLY_NOTHING : WATCH_APPLY_SYNC_REMOVE;
	default: return what;
	}
}

/* An event that json_scan_event has refused with err because its object cannot be held. */
static void on_left_out(struct feed *f, struct span doc, err_t err, struct json_event *ev)
{
	char *text;
	const struct json_status none = {0};
	struct watch_out out;
	uint64_t objects = store_list_objects(f->list);
	err_t why = feed_left_read(f, doc, true, err, ev, &text);
	if (!feed_left_is(why)) {
		feed_refuse(f, why);
		free(text);
		return;
	}
	reactor_of(f)->events++;
	f->events++;
	feed_praise_way(f);
	enum watch_apply what = watch_on_event(&f->watch, ev, &none, now_of(f), &out);
	/* What is left of its bytes is not what it is: it goes without its last state. */
	ev->object.raw = ev->object.cut = SPAN_NONE;
	err = apply(f, apply_without(what, why), ev, NULL);
	if (!err && what != WATCH_APPLY_NOTHING)
		err = feed_left_event(f, why, ev, store_list_objects(f->list) != objects);
	free(text);
	if (err)
		feed_refuse(f, err);
	else
		feed_run(f, &out);
}

/* Most events are the object that is there but for a few values (json/shape.h). false: this one is
 * not, or we cannot tell. Every event comes by here first. */
static bool on_known_document(struct feed *f, struct span doc)
{
	struct json_event ev;
	const struct json_status none = {0};
	struct span namespace_, name;
	struct store_held held;
	if (UNLIKELY(f->secret))
		feed_secret_blank(doc);
	if (!json_shape_key(doc, &namespace_, &name) ||
	        !store_peek(f->list, namespace_, name, &held) ||
	        !json_shape_event(reactor_of(f)->parser, doc, &held.known, &f->hint, &ev))
		return false;
	on_event(f, &ev, &none, &held);
	return true;
}

/* Accept asks for metadata, but a proxy may drop it, and then Secrets come whole. */
static bool is_too_much(const struct feed *f, const struct json_object *o)
{
	return UNLIKELY(f->spec.metadata_only) && o->more;
}

static void on_new_document(struct feed *f, struct span doc)
{
	struct json_parser *p = reactor_of(f)->parser;
	struct json_event ev;
	struct json_status st = {0};
	bool strip = !f->spec.keep_managed_fields;
	err_t err = json_scan_event(p, doc, strip, &f->hint, &ev);
	if (UNLIKELY(err == ERR_JSON_SYNTAX) && json_mend_utf8(doc))
		err = json_scan_event(p, doc, strip, &f->hint, &ev);
	if (UNLIKELY(feed_left_is(err))) {
		on_left_out(f, doc, err, &ev);
		return;
	}
	if (!err && ev.type == JSON_EVENT_ERROR)
		err = json_scan_status(p, ev.object.raw, &st);
	else if (!err && ev.type != JSON_EVENT_BOOKMARK && is_too_much(f, &ev.object))
		err = ERR_KUBE_WHOLE;
	if (err)
		feed_refuse(f, err);
	else
		on_event(f, &ev, &st, NULL);
}

void feed_on_document(struct feed *f, struct span doc)
{
	if (!on_known_document(f, doc))
		on_new_document(f, doc);
}

/* The line that data begins with, taken off it. false: it has no end yet. */
static bool take_line(struct span *data, struct span *line)
{
	const char *end = data->n ? memchr(data->p, '\n', data->n) : NULL;
	*line = (struct span){data->p, end ? (size_t)(end - data->p) : data->n};
	data->p += line->n + (end != NULL);
	data->n -= line->n + (end != NULL);
	return end != NULL;
}

/* Several events are there, in this body or in the chunks behind it: what the store has of their
 * objects is fetched step by step for all of them, so that each step waits for memory once. Hints:
 * whatever these bytes turn out to be, nothing is done with them. */
static void fetch_ahead(struct feed *f, struct span body)
{
	struct reactor *r = reactor_of(f);
	struct store_trace traces[STORE_TRACES_MAX];
	struct span rest = r->ahead, namespace_, name;
	const char *from = body.p;
	size_t found = 0;
	if (from >= r->fetched.p && from < r->fetched.p + r->fetched.n)
		return;
	do {
		if (!ahead_has(r, body.p) && json_shape_key(body, &namespace_, &name))
			store_trace_begin(f->list, namespace_, name, &traces[found++]);
		r->fetched = (struct span){from, (size_t)(body.p + body.n - from)};
	} while (found < STORE_TRACES_MAX && http1_peek_chunk(&rest, &body));
	store_trace_rest(traces, found);
}

/* Documents end with a newline, which JSON has inside strings only as an escape. The incomplete
 * tail is carried, whole events are read in place.
 *
 * Servers send an event a chunk. So if a chunk is, up to the newline at its end, like an object
 * that is there, nobody need look for where its event ends. */
static void on_events(struct feed *f, struct conn *c, struct span data)
{
	uint32_t max = reactor_of(f)->config.event_bytes_max;
	struct span tried = SPAN_NONE;
	fetch_ahead(f, data);
	if (!f->carry_bytes && data.n > 1 && data.p[data.n - 1] == '\n') {
		tried = (struct span){data.p, data.n - 1};
		if (on_known_document(f, tried))
			return;
	}
	while (data.n && f->conn == c) {
		struct span line;
		bool whole = take_line(&data, &line);
		if (!whole || f->carry_bytes) {
			err_t err = carry(f, line, max);
			if (err) {
				feed_refuse(f, err);
				return;
			}
			if (!whole)
				return;
			line = (struct span){f->carry, f->carry_bytes};
		}
		if (line.n && line.n == tried.n)
			on_new_document(f, line);
		else if (line.n)
			feed_on_document(f, line);
		feed_drop_partial(f);
	}
}

/* --- lists ------------------------------------------------------------------------------- */

/* An item that json_scan_object has refused with err because it cannot be held. */
static err_t leave_out(struct feed *f, struct span item, err_t err, const struct json_object *o)
{
	char *text;
	struct json_event ev = {.object = *o};
	err = feed_left_read(f, item, false, err, &ev, &text);
	if (feed_left_is(err))
		err = feed_left_item(f, err, &ev.object);
	free(text);
	return err;
}

static bool on_item(struct feed *f, struct span item)
{
	struct json_object o;
	struct reactor *r = reactor_of(f);
	if (UNLIKELY(f->secret))
		feed_secret_blank(item);
	bool strip = !f->spec.keep_managed_fields;
	err_t err = json_scan_object(r->parser, item, strip, &f->hint, &o);
	if (UNLIKELY(err == ERR_JSON_SYNTAX) && json_mend_utf8(item))
		err = json_scan_object(r->parser, item, strip, &f->hint, &o);
	if (!err && is_too_much(f, &o))
		err = ERR_KUBE_WHOLE;
	if (!err)
		err = store_sync_item(f->list, &o, now_of(f));
	else if (feed_left_is(err))
		err = leave_out(f, item, err, &o);
	if (err)
		feed_refuse(f, err);
	return !err;
}

static void on_list(struct feed *f, struct conn *c, struct span data)
{
	while (f->conn == c) {
		struct span item;
		switch (json_list_feed(f->splitter, &data, &item)) {
		case JSON_LIST_MORE: return;
		case JSON_LIST_END: f->list_whole = true; return;
		case JSON_LIST_ERROR: feed_refuse(f, json_list_err(f->splitter)); return;
		case JSON_LIST_ITEM:
			if (!on_item(f, item))
				return;
			break;
		}
	}
}

/* --- heads, bodies, ends ----------------------------------------------------------------- */

static int retry_after(const struct http1_head *h)
{
	int64_t s = -1;
	if (!http1_retry_after(h, (int64_t)time(NULL), &s))
		return -1;
	return s > 86400 ? 86400 : (int)s;
}

static err_t ready_splitter(struct feed *f)
{
	if (!f->splitter)
		f->splitter = json_list_new(reactor_of(f)->config.event_bytes_max);
	if (!f->splitter)
		return ERR_NO_MEMORY;
	json_list_reset(f->splitter);
	f->list_whole = false;
	return ERR_OK;
}

/* There are no WebSockets here. That says nothing about the list. */
static void no_upgrade(struct feed *f, int status)
{
	struct watch_out out;
	char text[ERRMSG_BYTES];
	snprintf(text, sizeof text, "%s answered %d to a WebSocket upgrade", f->cluster->spec.host,
	        status);
	feed_blame_way(f, STRATEGY_REFUSED, text);
	watch_on_lost(&f->watch, ERR_HTTP_STATUS, text, now_of(f), &out);
	feed_run(f, &out);
}

void feed_on_head(void *arg, struct conn *c, const struct http1_head *h)
{
	struct feed *f = arg;
	struct watch_out out;
	bool refused = f->watch.err == ERR_KUBE_UNAUTHORIZED;
	CHECK(f->conn == c);
	if (feed_is_no_upgrade(f, h->status)) {
		no_upgrade(f, h->status);
		return;
	}
	int status = h->status == 101 ? 200 : h->status; /* a WebSocket that was agreed to */
	if (status < 500)
		f->cluster->answered_ns = now_of(f);
	f->body = (uint8_t)watch_on_head(
	        &f->watch, status, h->retry_after.n ? retry_after(h) : -1, now_of(f), &out);
	err_t err = f->body == WATCH_BODY_LIST ? ready_splitter(f) : ERR_OK;
	feed_run(f, &out);
	if (err)
		feed_refuse(f, err);
	if (refused && status == 200)
		cluster_on_login(f->cluster);
}

void feed_on_bytes(struct feed *f)
{
	watch_on_bytes(&f->watch, now_of(f));
	store_list_byte(f->list, now_of(f));
}

void feed_on_body(void *arg, struct conn *c, struct span data)
{
	struct feed *f = arg;
	feed_on_bytes(f);
	switch ((enum watch_body)f->body) {
	case WATCH_BODY_EVENTS: on_events(f, c, data); break;
	case WATCH_BODY_LIST: on_list(f, c, data); break;
	case WATCH_BODY_STATUS:
		/* What is over the limit is not needed to know what went wrong. */
		if (f->carry_bytes + data.n <= FEED_STATUS_BYTES_MAX &&
		        carry(f, data, FEED_STATUS_BYTES_MAX))
			feed_drop_partial(f);
		break;
	}
}

static void end_of_status(struct feed *f, bool reusable, struct watch_out *out)
{
	struct json_status st = {0};
	struct span body = {f->carry, f->carry_bytes};
	/* 404 of an unknown API and 429 are text/plain (e2e tests trap.not_found, trap.too_many):
	 * what is no Status stays zero. */
	if (!body.n || json_scan_status(reactor_of(f)->parser, body, &st)) {
		while (body.n && (body.p[body.n - 1] == '\n' || body.p[body.n - 1] == '\r'))
			body.n--;
		st = (struct json_status){.message = body.n < 200 ? body : SPAN_NONE};
	}
	watch_on_status(&f->watch, &st, reusable, now_of(f), out);
	feed_drop_partial(f);
}

static void end_of_list(struct feed *f, struct watch_out *out)
{
	struct json_list_meta meta;
	if (!f->list_whole) {
		watch_on_lost(&f->watch, ERR_HTTP_TRUNCATED, "the list ended before its JSON did",
		        now_of(f), out);
		out->acts |= WATCH_CLOSE;
		return;
	}
	json_list_meta(f->splitter, &meta);
	watch_on_page(&f->watch, &meta, now_of(f), out);
	if (!meta.continue_.n)
		json_list_free(&f->splitter);
}

void feed_on_body_end(void *arg, struct conn *c, bool reusable)
{
	struct feed *f = arg;
	struct watch_out out = {0};
	CHECK(f->conn == c);
	if (!reusable) {
		/* Close first, so that whatever is asked next goes over a new connection. */
		f->conn = NULL;
		conn_close(c);
	}
	switch ((enum watch_body)f->body) {
	case WATCH_BODY_STATUS: end_of_status(f, reusable, &out); break;
	case WATCH_BODY_LIST: end_of_list(f, &out); break;
	case WATCH_BODY_EVENTS:
		if (f->carry_bytes)
			watch_on_lost(&f->watch, ERR_HTTP_TRUNCATED,
			        "the stream ended inside an event", now_of(f), &out);
		else
			watch_on_body_end(&f->watch, reusable, now_of(f), &out);
		feed_drop_partial(f);
		break;
	}
	feed_run(f, &out);
}
