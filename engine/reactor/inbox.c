/* inbox.c - what the control thread asks of a reactor, message by message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reactor/audit.h"
#include "reactor/core.h"
#include "reactor/mux_link.h"

static void begin_note(
        struct reactor *r, struct reactor_note *n, enum reactor_note_type type, uint32_t id)
{
	list_init(&n->link);
	n->type = type;
	n->reactor = r->config.index;
	n->id = id;
}

struct reactor_note *core_note_new(struct reactor *r, enum reactor_note_type type, uint32_t id)
{
	struct reactor_note *n = calloc(1, sizeof *n);
	if (n)
		begin_note(r, n, type, id);
	return n;
}

struct reactor_note *core_answer(
        struct reactor *r, struct reactor_msg *m, enum reactor_note_type type, uint32_t id)
{
	struct reactor_note *n = m->answer;
	CHECK(n);
	m->answer = NULL;
	begin_note(r, n, type, id);
	return n;
}

void core_note(struct reactor *r, struct reactor_note *n)
{
	r->config.note(r->config.note_arg, n);
}

/* p NULL: forgets the id. */
static err_t table_set(struct core_table *t, uint32_t id, void *p)
{
	if (id >= t->count) {
		uint32_t count = id < 64 ? 64 : id + id / 2;
		void **rows = p ? realloc(t->rows, count * sizeof *rows) : NULL;
		if (!rows)
			return p ? ERR_NO_MEMORY : ERR_OK;
		memset(rows + t->count, 0, (count - t->count) * sizeof *rows);
		t->rows = rows;
		t->count = count;
	}
	t->rows[id] = p;
	return ERR_OK;
}

static void *row_of(const struct core_table *t, uint32_t id)
{
	return id < t->count ? t->rows[id] : NULL;
}

struct cluster *core_cluster(const struct reactor *r, uint32_t id)
{
	return row_of(&r->cluster_by_id, id);
}

static struct feed *feed_of(const struct reactor *r, uint32_t id)
{
	return row_of(&r->feed_by_id, id);
}

err_t core_store(struct reactor *r, uint32_t realm, struct store **out, struct errmsg *m)
{
	CHECK(realm < REACTOR_REALMS_MAX);
	if (!r->stores[realm]) {
		const struct reactor_config *c = &r->config;
		struct store_config sc = {.shard = realm * c->count + c->index,
		        .realm = realm,
		        .incarnation = {c->incarnation[0], c->incarnation[1]},
		        .hash_seed = prng_next(&r->rng),
		        .ring_entries = c->ring_entries,
		        .lists_max = c->lists_max,
		        .retained_bytes_max = c->retained_bytes_max,
		        .block_segment_bytes = c->block_segment_bytes,
		        .shard_bytes_max = c->shard_bytes_max,
		        .memory_bytes = c->memory_bytes,
		        .memory_bytes_max = c->memory_bytes_max,
		        .objects_max = c->objects_max,
		        .in_process = c->in_process};
		err_t err = store_new(&sc, &r->stores[realm], m);
		if (err)
			return err;
		store_tick(r->stores[realm], r->now_ns);
	}
	*out = r->stores[realm];
	return ERR_OK;
}

static void list_open(struct reactor *r, struct reactor_msg *m)
{
	struct reactor_note *n = core_answer(r, m, REACTOR_LIST_OPENED, m->list_spec.list);
	struct feed *f = NULL;
	struct cluster *c = core_cluster(r, m->list_spec.cluster);
	struct errmsg why = {0};
	n->err = c && !r->stopping ? feed_open(r, m->list_spec.list, c, &m->list_spec, &f, &why)
	                           : ERR_UNKNOWN_CLUSTER;
	memcpy(n->text, why.text, sizeof n->text);
	if (!n->err && (n->err = table_set(&r->feed_by_id, f->id, f)))
		feed_close(&f);
	if (!n->err) {
		n->cluster = c->spec.cluster;
		n->row = store_list_row(f->list, &n->gen);
		n->shard = f->realm * r->config.count + r->config.index;
		n->store = f->store;
	}
	core_note(r, n);
	if (f)
		feed_start(f);
}

static void list_close(struct reactor *r, struct reactor_msg *m)
{
	struct feed *f = feed_of(r, m->id);
	if (f) {
		feed_close(&f);
		(void)!table_set(&r->feed_by_id, m->id, NULL);
	}
	core_note(r, core_answer(r, m, REACTOR_LIST_CLOSED, m->id));
}

/* Without memory the cluster stays unknown, and opening a list of it says so: then it is given
 * again, twice perhaps. */
static void cluster_add(struct reactor *r, struct cluster_spec *spec)
{
	uint32_t id = spec->cluster;
	if (core_cluster(r, id))
		return;
	struct cluster *c = cluster_new(r, spec);
	if (c && table_set(&r->cluster_by_id, id, c))
		cluster_free(&c);
}

static void close_list_of(struct feed *f, const struct reactor_msg *why)
{
	struct reactor *r = f->cluster->reactor;
	uint32_t id = f->id;
	feed_end(f, why->err, why->text);
	feed_close(&f);
	(void)!table_set(&r->feed_by_id, id, NULL);
	struct reactor_note *n = core_note_new(r, REACTOR_LIST_CLOSED, id);
	if (n) /* else control takes CLUSTER_REMOVED for it */
		core_note(r, n);
}

/* Control removes those behind a backend before it; for the message about one of them there may
 * have been no memory. Its lists cannot stay on a link that goes. */
static void leave_backend(struct reactor *r, const struct cluster *b, const struct reactor_msg *why)
{
	LIST_EACH (it, &r->clusters) {
		struct cluster *c = CONTAINER_OF(it, struct cluster, link);
		if (c->spec.backend != b->spec.cluster)
			continue;
		LIST_EACH_SAFE (list, &c->feeds)
			close_list_of(CONTAINER_OF(list, struct feed, cluster_link), why);
		c->spec.backend = REACTOR_NO_CLUSTER; /* the id will be another's */
	}
}

static void cancel_fetches(struct cluster *c, err_t err, const char *text)
{
	for (struct list *it; (it = c->fetches.next) != &c->fetches;)
		fetch_cancel(CONTAINER_OF(it, struct fetch, link), err, text);
}

static void cluster_remove(struct reactor *r, struct reactor_msg *m)
{
	struct cluster *c = core_cluster(r, m->cluster);
	struct reactor_note *last = core_answer(r, m, REACTOR_CLUSTER_REMOVED, 0);
	last->cluster = m->cluster;
	if (!c) { /* there was no memory for it */
		core_note(r, last);
		return;
	}
	LIST_EACH_SAFE (it, &c->feeds)
		close_list_of(CONTAINER_OF(it, struct feed, cluster_link), m);
	cancel_fetches(c, ERR_UNKNOWN_CLUSTER, "the cluster was removed from the configuration");
	CHECK(c->list_count == 0);
	if (c->mux) {
		leave_backend(r, c, m);
		mux_link_stop(c->mux);
	}
	c->removed = last;
	(void)!table_set(&r->cluster_by_id, m->cluster, NULL);
	if (list_empty(&c->conns))
		cluster_free(&c);
}

/* It may know of the list already, and sleep: what has changed since then, or that the list is
 * closed (f NULL), has woken nobody. */
static void subscribe(struct reactor *r, struct feed *f, uint32_t consumer)
{
	if (f && feed_subscribe(f, (uint16_t)consumer))
		r->wake_always = r->consumers[consumer].wake_always = true;
	core_mark(r, consumer);
}

static void consumer_remove(struct reactor *r, struct reactor_msg *m)
{
	/* Most have closed their lists before. */
	for (struct list *it = r->feeds.next; it != &r->feeds && r->consumers[m->id].feeds;
	        it = it->next)
		feed_unsubscribe(CONTAINER_OF(it, struct feed, link), (uint16_t)m->id);
	r->consumers[m->id] = (struct consumer_row){.eventfd = -1};
}

static void status(struct reactor *r, struct reactor_msg *m)
{
	struct reactor_note *n = core_answer(r, m, REACTOR_STATUS_OF, m->id);
	core_tell_usage(r);
	uint32_t clusters = 0;
	LIST_EACH (it, &r->clusters)
		clusters++;
	n->status = calloc(1, sizeof *n->status + clusters * sizeof n->status->cluster[0]);
	if (n->status) {
		struct reactor_status *s = n->status;
		s->io = io_kind_of(r->io);
		io_counters(r->io, &s->counters);
		s->events = r->events;
		s->bytes = r->bytes;
		s->errors = r->errors;
		s->turn_max_ns = r->turn_max_ns;
		LIST_EACH (it, &r->clusters) {
			struct cluster_status *cs = &s->cluster[s->clusters++];
			cluster_status_of(CONTAINER_OF(it, struct cluster, link), cs);
			s->connections += cs->connections;
			s->lists += cs->lists;
		}
	}
	core_note(r, n);
}

static void stop(struct reactor *r, struct reactor_msg *m)
{
	r->stopping = true;
	if (!r->farewell)
		r->farewell = core_answer(r, m, REACTOR_STOPPED, 0);
	LIST_EACH (it, &r->clusters)
		cancel_fetches(CONTAINER_OF(it, struct cluster, link), ERR_STOPPING,
		        "the daemon is stopping");
	LIST_EACH_SAFE (it, &r->feeds) {
		struct feed *f = CONTAINER_OF(it, struct feed, link);
		feed_close(&f);
	}
	LIST_EACH (it, &r->clusters) {
		struct cluster *c = CONTAINER_OF(it, struct cluster, link);
		if (c->mux)
			mux_link_stop(c->mux);
	}
	/* Messages about these lists may still be on their way. */
	for (uint32_t i = 0; i < r->feed_by_id.count; i++)
		r->feed_by_id.rows[i] = NULL;
	for (uint32_t i = 0; i < REACTOR_REALMS_MAX; i++)
		if (r->stores[i])
			store_stop(r->stores[i]);
}

static void fetch(struct reactor *r, struct reactor_msg *m)
{
	struct cluster *c = core_cluster(r, m->cluster);
	if (c && !r->stopping) {
		fetch_start(c, m);
		return;
	}
	struct reactor_note *n = core_answer(r, m, REACTOR_FETCHED, m->id);
	n->err = ERR_UNKNOWN_CLUSTER;
	core_note(r, n);
}

static void audit(struct reactor *r, struct reactor_msg *m)
{
	struct feed *f = feed_of(r, m->list);
	struct reactor_note *n = core_answer(r, m, REACTOR_AUDITED, m->id);
	n->list = m->list;
	if (f) {
		audit_ask(f, n);
		return;
	}
	n->err = ERR_ARGUMENT;
	core_note(r, n);
}

void core_on_message(struct reactor *r, struct reactor_msg *m)
{
	struct cluster *c = core_cluster(r, m->cluster);
	struct feed *f;
	switch (m->type) {
	case REACTOR_CLUSTER_ADD: cluster_add(r, &m->cluster_spec); break;
	case REACTOR_CLUSTER_CHANGE:
		if (c)
			cluster_change(c, &m->cluster_spec, r->now_ns);
		break;
	case REACTOR_CLUSTER_REMOVE: cluster_remove(r, m); break;
	case REACTOR_CLUSTER_ADDRESSES:
		if (c)
			cluster_set_addresses(c, m, r->now_ns);
		break;
	case REACTOR_CLUSTER_CREDENTIAL:
		if (c)
			cluster_set_credential(c, m, r->now_ns);
		break;
	case REACTOR_LIST_OPEN: list_open(r, m); break;
	case REACTOR_LIST_CLOSE: list_close(r, m); break;
	case REACTOR_CONSUMER_ADD:
		CHECK(m->id < REACTOR_CONSUMERS_MAX);
		r->consumers[m->id] = (struct consumer_row){.eventfd = m->consumer.eventfd,
		        .page = m->consumer.page,
		        .foreign = m->consumer.foreign};
		if (m->consumer.foreign)
			(void)!bell_open(&r->bell); /* else as for everybody */
		break;
	case REACTOR_CONSUMER_REMOVE:
		consumer_remove(r, m);
		list_push(&r->leaving, &m->link);
		return; /* answered after the next turn */
	case REACTOR_SUBSCRIBE: subscribe(r, feed_of(r, m->list), m->id); break;
	case REACTOR_UNSUBSCRIBE:
		if ((f = feed_of(r, m->list)))
			feed_unsubscribe(f, (uint16_t)m->id);
		break;
	case REACTOR_FETCH: fetch(r, m); break;
	case REACTOR_STATUS: status(r, m); break;
	case REACTOR_AUDIT: audit(r, m); break;
	case REACTOR_STOP: stop(r, m); break;
	}
	reactor_msg_free(&m);
}
