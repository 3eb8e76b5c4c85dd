#include "model/model_conn_priv.h"

#include "base/check.h"
#include "model/model_watch.h"

#include <stdlib.h>

#define INPUT_BYTES_MAX (256 * 1024)
#define MS_NS           1000000ull

/* --- faults --- */

const struct model_hit *model_conn_hit(const struct model_conn *c, enum model_fault_id id)
{
	for (size_t i = 0; c->hits && i < c->hits->count; i++)
		if (c->hits->v[i].id == id)
			return &c->hits->v[i];
	return NULL;
}

void model_conn_strike(struct model_conn *c, const struct model_fault_what *w)
{
	struct model_hit v[MODEL_HITS_MAX];
	size_t n = model_fault_match(&c->server->faults, w, v);
	if (c->hits) { /* what hit the last request is over; what hit the connection stays */
		c->hits->count = c->hits->conn_count;
		c->hits->base += c->hits->sent;
		c->hits->sent = c->hits->head_bytes = 0;
		c->hits->stalled = false;
	}
	if (n == 0)
		return;
	if (!c->hits)
		c->hits = calloc(1, sizeof *c->hits);
	CHECK(c->hits);
	for (size_t i = 0; i < n && c->hits->count < MODEL_HITS_MAX; i++)
		c->hits->v[c->hits->count++] = v[i];
	if (w->verb == MODEL_VERB_CONNECT)
		c->hits->conn_count = c->hits->count;
}

/* How many of the n bytes at hand may go in this piece, as one hit sees it. */
static size_t hit_limit(struct model_conn *c, size_t i, size_t n)
{
	struct model_hits *h = c->hits;
	const struct model_hit *v = &h->v[i];
	uint64_t sent = h->sent + (i < h->conn_count ? h->base : 0);
	uint64_t left = v->a > sent ? v->a - sent : 0;
	switch (v->id) {
	case MODEL_FAULT_CUT_FIN:
	case MODEL_FAULT_CUT_RST:
		if (left > 0)
			return left < n ? (size_t)left : n;
		model_conn_cut(
		        c, v->id == MODEL_FAULT_CUT_RST ? MODEL_CLOSED_RST : MODEL_CLOSED_CUT);
		return 0;
	case MODEL_FAULT_SPLIT: return v->a && v->a < n ? (size_t)v->a : n;
	case MODEL_FAULT_STALL:
		if (h->stalled || left > 0)
			return !h->stalled && left < n ? (size_t)left : n;
		h->stalled = true;
		h->until_ns = c->now_ns + v->b * MS_NS;
		return 0;
	case MODEL_FAULT_DRIP: return v->a && v->a < n ? (size_t)v->a : n;
	case MODEL_FAULT_SLOW_HEAD: return h->sent < h->head_bytes && n ? 1 : n;
	case MODEL_FAULT_SILENT: h->silent = left == 0; return left < n ? (size_t)left : n;
	default: return n;
	}
}

static void hit_sent(struct model_conn *c, size_t n)
{
	struct model_hits *h = c->hits;
	h->sent += n;
	for (size_t i = 0; i < h->count; i++) {
		const struct model_hit *v = &h->v[i];
		if (v->id == MODEL_FAULT_DRIP)
			h->until_ns = c->now_ns + v->b * MS_NS;
		else if (v->id == MODEL_FAULT_SLOW_HEAD && h->sent < h->head_bytes)
			h->until_ns = c->now_ns + v->a * MS_NS;
	}
}

/* --- life --- */

static struct model_conn *conn_new(
        struct model_server *s, struct model_cluster *only, struct span fault_name, uint64_t now_ns)
{
	struct model_conn *c = calloc(1, sizeof *c);
	CHECK(c);
	c->server = s;
	c->only = only;
	c->now_ns = now_ns;
	c->keep = true;
	list_init(&c->watcher.link);
	list_init(&c->watcher.ready_link);
	list_init(&c->of_cluster);
	c->watcher.ready = &s->ready;
	s->connections++;
	struct model_fault_what w = {.verb = MODEL_VERB_CONNECT, .cluster = fault_name};
	model_conn_strike(c, &w);
	if (model_conn_hit(c, MODEL_FAULT_CLOSE))
		c->closed = MODEL_CLOSED_CUT;
	if (c->hits)
		c->hits->deaf = model_conn_hit(c, MODEL_FAULT_NOT_READING) != NULL;
	return c;
}

struct model_conn *model_conn_new(
        struct model_server *s, struct model_cluster *only, uint64_t now_ns)
{
	return conn_new(s, only, only ? span_of(only->name) : SPAN_NONE, now_ns);
}

struct model_conn *model_conn_new_as(
        struct model_server *s, const char *fault_name, uint64_t now_ns)
{
	return conn_new(s, NULL, span_of(fault_name), now_ns);
}

static void drop_answer(struct model_conn *c)
{
	struct model_answer *a = c->answer;
	c->answer = NULL;
	list_unlink(&c->of_cluster);
	if (a)
		a->free(c, a);
}

/* An empty buffer goes back to the server, for the next connection that has something to say. */
static void give_back(struct model_conn *c)
{
	struct model_server *s = c->server;
	if (!c->out.p)
		return;
	c->out.n = c->out_at = 0;
	if (s->spare_count < ARRAY_LEN(s->spare) && c->out.cap <= 4 * MODEL_PUMP_BYTES)
		s->spare[s->spare_count++] = c->out;
	else
		model_text_fini(&c->out);
	c->out = (struct model_text){0};
}

void model_conn_free(struct model_conn **cp)
{
	struct model_conn *c = *cp;
	*cp = NULL;
	if (!c)
		return;
	drop_answer(c);
	if (c->speaker)
		c->speaker->free(c);
	c->server->chunk.n = 0;
	model_reply_abort(c);
	list_unlink(&c->of_cluster);
	list_unlink(&c->watcher.link);
	list_unlink(&c->watcher.ready_link);
	give_back(c);
	model_upgrade_free(c);
	model_text_fini(&c->in);
	free(c->hits);
	free(c->user);
	c->server->connections--;
	free(c);
}

void model_conn_set_user(struct model_conn *c, const char *user)
{
	free(c->user);
	c->user = user ? strdup(user) : NULL;
	CHECK(!user || c->user);
}

/* --- requests --- */

static enum model_verb verb_of(const struct model_request *r)
{
	if (r->target != MODEL_TARGET_RESOURCE)
		return MODEL_VERB_DISCOVERY;
	if (r->watch)
		return r->initial == MODEL_TRUE ? MODEL_VERB_WATCHLIST : MODEL_VERB_WATCH;
	if (r->name.n)
		return MODEL_VERB_GET;
	return r->has_token ? MODEL_VERB_CONTINUE : MODEL_VERB_LIST;
}

static void answer_head(struct model_conn *c, struct span head)
{
	struct model_request r;
	c->requests++;
	c->server->requests++;
	if (!model_request_parse(&r, head)) {
		model_request_fini(&r);
		c->keep = false;
		struct model_head h = {
		        .code = 400, .type = "text/plain; charset=utf-8", .close = true};
		model_reply_whole(c, &h, SPAN("400 Bad Request"));
		return;
	}
	if (r.close)
		c->keep = false;
	if (r.body_bytes) /* it is not read; so nothing after it can be */
		c->keep = false;
	struct model_fault_what w = {.verb = verb_of(&r), .resource = r.resource};
	w.cluster = c->only ? span_of(c->only->name) : r.cluster;
	model_conn_strike(c, &w);
	if (c->hits && model_conn_hit(c, MODEL_FAULT_NOT_READING))
		c->hits->deaf = true;
	if (!(c->hits && c->hits->deaf) && !model_answer_fault(c, &r))
		model_answer(c, &r);
	model_request_fini(&r);
}

/* Answers the next request if it is here. False: there is none. */
static bool next_request(struct model_conn *c)
{
	if (!c->in.n)
		return false;
	const char *end = memmem(c->in.p, c->in.n, "\r\n\r\n", 4);
	if (!end) {
		if (c->in.n > MODEL_HEAD_BYTES_MAX || c->eof)
			model_reply_abort(c);
		return false;
	}
	size_t n = (size_t)(end - c->in.p) + 4;
	/* Handled in a copy: the input buffer may be freed or grow meanwhile. */
	struct model_text head = {0};
	model_text_put(&head, c->in.p, n);
	memmove(c->in.p, c->in.p + n, c->in.n - n);
	c->in.n -= n;
	if (c->in.n == 0)
		model_text_fini(&c->in);
	answer_head(c, model_text_as_span(&head));
	model_text_fini(&head);
	return true;
}

/* An answer of a cluster that says nothing any more. */
static bool hangs(const struct model_conn *c)
{
	return c->answer->cluster && c->answer->cluster->silent;
}

static void pump(struct model_conn *c)
{
	if (c->mute || (c->hits && (c->hits->silent || c->hits->deaf)))
		return;
	if (c->speaker) {
		c->speaker->pump(c);
		return;
	}
	while (c->closed == MODEL_OPEN && model_reply_pending(c) < MODEL_PUMP_BYTES) {
		if (c->upgrade && c->in.n)
			model_upgrade_read(c);
		if (c->closed != MODEL_OPEN) {
			drop_answer(c);
		} else if (c->answer) {
			enum model_pumped p = MODEL_PUMP_WAIT;
			if (!hangs(c))
				p = c->answer->pump(c, c->answer);
			if (c->reply.open)
				model_reply_flush(c);
			if (p == MODEL_PUMP_WAIT)
				break;
			if (p == MODEL_PUMP_DONE)
				drop_answer(c);
		} else if (!next_request(c)) {
			if (c->eof && c->closed == MODEL_OPEN)
				c->closed = MODEL_CLOSED_FIN;
			break;
		}
	}
}

void model_conn_feed(struct model_conn *c, struct span in, uint64_t now_ns)
{
	c->now_ns = now_ns;
	if (c->closed != MODEL_OPEN || c->mute || (c->hits && (c->hits->deaf || c->hits->silent)))
		return;
	if (c->in.n + in.n > INPUT_BYTES_MAX && !c->speaker) {
		model_reply_abort(c);
		return;
	}
	model_text_span(&c->in, in);
	pump(c);
}

void model_conn_feed_eof(struct model_conn *c, uint64_t now_ns)
{
	c->now_ns = now_ns;
	c->eof = true;
	/* As Go's server: a client that closed its side has gone; a watch for it ends. */
	if (c->answer || c->mute)
		model_reply_abort(c);
	pump(c);
}

/* --- output --- */

struct span model_conn_peek(struct model_conn *c, uint64_t now_ns)
{
	c->now_ns = now_ns;
	if (c->hits && c->hits->until_ns > now_ns)
		return SPAN_NONE;
	if (c->closed != MODEL_CLOSED_RST)
		pump(c);
	size_t n = model_reply_pending(c);
	if (n == 0 && c->closed == MODEL_OPEN && c->answer && !c->hits)
		return model_blast_peek(c);
	for (size_t i = 0; c->hits && i < c->hits->count; i++)
		n = hit_limit(c, i, n);
	if (n == 0 || c->closed == MODEL_CLOSED_RST)
		return SPAN_NONE;
	return (struct span){c->out.p + c->out_at, n};
}

bool model_conn_has_own_text(const struct model_conn *c)
{
	const struct model_watch *w = model_watch_of(c);
	return w && !w->store->blast && !c->hits;
}

void model_conn_consume(struct model_conn *c, size_t n, uint64_t now_ns)
{
	c->now_ns = now_ns;
	c->server->bytes += n;
	if (n && model_reply_pending(c) == 0) {
		model_blast_consume(c, n);
		return;
	}
	CHECK(n <= model_reply_pending(c));
	c->out_at += n;
	if (c->hits)
		hit_sent(c, n);
	if (c->out_at == c->out.n)
		give_back(c);
	else if (c->out_at >=
	         MODEL_PUMP_BYTES) { /* a peer that is always behind must not make it grow */
		memmove(c->out.p, c->out.p + c->out_at, model_reply_pending(c));
		c->out.n -= c->out_at;
		c->out_at = 0;
	}
}

void model_conn_tick(struct model_conn *c, uint64_t now_ns)
{
	c->now_ns = now_ns;
	if (!(c->hits && c->hits->until_ns > now_ns))
		pump(c);
}

uint64_t model_conn_deadline_ns(const struct model_conn *c)
{
	if (c->closed != MODEL_OPEN || (c->hits && (c->hits->silent || c->hits->deaf)))
		return UINT64_MAX;
	if (c->hits && c->hits->until_ns > c->now_ns)
		return c->hits->until_ns;
	if (c->speaker)
		return c->speaker->deadline_ns(c);
	return c->answer && !hangs(c) ? c->answer->deadline_ns : UINT64_MAX;
}

enum model_closed model_conn_closed(const struct model_conn *c)
{
	if (c->closed != MODEL_CLOSED_RST && model_reply_pending(c))
		return MODEL_OPEN;
	return c->closed;
}

bool model_conn_wants_input(const struct model_conn *c)
{
	return !(c->hits && c->hits->deaf) && (!c->speaker || c->speaker->wants_input(c));
}

void model_conn_cut(struct model_conn *c, enum model_closed how)
{
	c->out.n = c->out_at = 0;
	model_reply_abort(c);
	c->closed = how;
	if (c->speaker)
		c->speaker->drop(c);
}

void model_conn_wake(struct model_conn *c)
{
	if (list_empty(&c->watcher.ready_link))
		list_push(&c->server->ready, &c->watcher.ready_link);
}

struct model_conn *model_conn_next_ready(struct model_server *s)
{
	for (struct list *n; (n = list_pop(&s->ready));) {
		struct model_conn *c = CONTAINER_OF(n, struct model_conn, watcher.ready_link);
		if (!c->on_ready)
			return c;
		c->on_ready(c); /* one behind another: that one is woken */
	}
	return NULL;
}

void model_conn_each(const struct model_cluster *cluster,
        void (*each)(void *arg, struct model_conn *c), void *arg)
{
	LIST_EACH_SAFE (it, &cluster->answering) {
		struct model_conn *c = CONTAINER_OF(it, struct model_conn, of_cluster);
		if (!c->on_ready) /* those are a backend's */
			each(arg, c);
	}
}

void model_conn_set_context(struct model_conn *c, void *context)
{
	c->context = context;
}
void *model_conn_context(const struct model_conn *c)
{
	return c->context;
}

void model_conn_describe(const struct model_conn *c, struct model_conn_info *out)
{
	*out = (struct model_conn_info){
	        .requests = c->requests, .events = c->events, .answering = c->answer != NULL};
	if (!c->answer)
		return;
	out->verb = c->answer->verb;
	out->kind = c->answer->kind;
	out->cluster = c->answer->cluster;
}

uint64_t model_conn_seen_rv(const struct model_conn *c, const struct model_cluster *cluster)
{
	const struct model_hit *lag = model_conn_hit(c, MODEL_FAULT_LAG);
	if (!lag)
		return cluster->rv;
	uint64_t seen = cluster->rv > lag->a ? cluster->rv - lag->a : 1;
	return seen < cluster->horizon ? cluster->horizon : seen;
}
