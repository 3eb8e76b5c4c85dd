#include "control/lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/settings.h"
#include "control/core.h"

#define LISTS_AGAIN_NS 1000000000ull /* there was no memory for a message */

static void on_linger(struct loop_timer *t);

static char *key_of(const struct list_want *w, uint32_t realm)
{
	char *key = NULL;
	/* Lengths, so that no two wishes are written alike whatever bytes they hold. */
	if (asprintf(&key, "%zu %zu %zu %zu %zu %zu|%s%s%s%s%s%s%s|%d%d|%u", strlen(w->cluster),
	            strlen(w->group), strlen(w->version), strlen(w->resource),
	            strlen(w->namespace_), strlen(w->labels), w->cluster, w->group, w->version,
	            w->resource, w->namespace_, w->labels, w->fields, w->metadata_only,
	            w->keep_managed_fields, realm) < 0)
		return NULL;
	return key;
}

static struct open_list *find(const struct lists *t, const char *key)
{
	struct hash_node *n = hash_index_first(&t->by_key, hash_of_text(key, t->seed));
	for (; n; n = hash_index_next(n)) {
		struct open_list *l = CONTAINER_OF(n, struct open_list, by_key);
		if (!l->ended && strcmp(l->key, key) == 0)
			return l;
	}
	return NULL;
}

static err_t more_rows(struct lists *t)
{
	if (t->count == LISTS_MAX)
		return ERR_LIMIT;
	uint32_t count = t->count ? t->count * 2 : 64;
	struct open_list **rows = realloc(t->rows, count * sizeof(struct open_list *));
	if (!rows)
		return ERR_NO_MEMORY;
	t->rows = rows;
	uint32_t *next = realloc(t->next_free, count * sizeof *next);
	if (!next)
		return ERR_NO_MEMORY;
	t->next_free = next;
	for (uint32_t i = count; i-- > t->count;) { /* so that the lowest is taken first */
		rows[i] = NULL;
		next[i] = t->first_free;
		t->first_free = i;
	}
	t->count = count;
	return ERR_OK;
}

/* A row that row_put fills, and room for its key. */
static err_t find_room(struct lists *t)
{
	err_t err = t->first_free == UINT32_MAX ? more_rows(t) : ERR_OK;
	return err ? err : hash_index_reserve(&t->by_key);
}

static void row_put(struct lists *t, struct open_list *l)
{
	t->first_free = t->next_free[l->id];
	t->rows[l->id] = l;
	t->open++;
	hash_index_add(&t->by_key, &l->by_key, hash_of_text(l->key, t->seed));
	list_push(&l->cluster->lists, &l->of_cluster);
}

static void row_drop(struct lists *t, struct open_list *l)
{
	hash_index_remove(&t->by_key, &l->by_key);
	list_unlink(&l->of_cluster);
	if (l->opener) {
		l->opener->lists--;
		l->opener->lists_at[l->opener_at]--;
		user_put(&l->opener);
	}
	t->rows[l->id] = NULL;
	t->next_free[l->id] = t->first_free;
	t->first_free = l->id;
	t->open--;
}

static void list_free(struct open_list *l)
{
	free(l->key);
	free(l->group);
	free(l->version);
	free(l->resource);
	free(l->namespace_);
	free(l->labels);
	free(l->fields);
	free(l);
}

static struct open_list *list_new(
        struct control *c, const struct list_want *w, struct known_cluster *k, uint32_t realm)
{
	struct open_list *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	*l = (struct open_list){.realm = realm,
	        .cluster = k,
	        .control = c,
	        .metadata_only = w->metadata_only,
	        .keep_managed_fields = w->keep_managed_fields,
	        .key = key_of(w, realm),
	        .group = strdup(w->group),
	        .version = strdup(w->version),
	        .resource = strdup(w->resource),
	        .namespace_ = strdup(w->namespace_),
	        .labels = strdup(w->labels),
	        .fields = strdup(w->fields)};
	list_init(&l->waiters);
	list_init(&l->of_cluster);
	loop_timer_init(&l->linger, on_linger);
	if (l->key && l->group && l->version && l->resource && l->namespace_ && l->labels &&
	        l->fields)
		return l;
	list_free(l);
	return NULL;
}

static err_t post_open(struct control *c, struct open_list *l)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_LIST_OPEN);
	if (!m)
		return ERR_NO_MEMORY;
	m->cluster = l->cluster->id;
	m->list_spec = (struct list_spec){.list = l->id,
	        .cluster = l->cluster->id,
	        .realm = l->realm,
	        .group = strdup(l->group),
	        .version = strdup(l->version),
	        .resource = strdup(l->resource),
	        .namespace_ = strdup(l->namespace_),
	        .labels = strdup(l->labels),
	        .fields = strdup(l->fields),
	        .metadata_only = l->metadata_only,
	        .keep_managed_fields = l->keep_managed_fields,
	        .bytes_max = c->config.settings->limits.list_bytes};
	if (!m->list_spec.group || !m->list_spec.version || !m->list_spec.resource ||
	        !m->list_spec.namespace_ || !m->list_spec.labels || !m->list_spec.fields) {
		reactor_msg_free(&m);
		return ERR_NO_MEMORY;
	}
	l->phase = LIST_OPENING;
	control_post(c, l->cluster->reactor, m);
	return ERR_OK;
}

static void charge(struct open_list *l, struct user *u)
{
	l->opener = user_ref(u);
	u->lists++;
	u->lists_at[l->opener_at = l->cluster->reactor]++;
}

/* u: who wants it; NULL: the configuration. */
static err_t start(struct control *c, const struct list_want *w, uint32_t realm, struct user *u,
        struct open_list **out, struct errmsg *m)
{
	struct known_cluster *k = clusters_require(c, w->cluster, m);
	if (!k)
		return m->code;
	err_t err = clusters_place(c, k, m);
	if (!err && u)
		err = user_takes_list(c, u, k->reactor, m);
	if (err)
		return err;
	struct open_list *l = NULL;
	err = find_room(&c->lists);
	if (!err) {
		l = list_new(c, w, k, realm);
		err = l ? ERR_OK : ERR_NO_MEMORY;
	}
	if (!err) {
		l->id = c->lists.first_free;
		err = post_open(c, l);
	}
	if (err) {
		if (l)
			list_free(l);
		return errmsg_set(m, err, "list of %s in cluster \"%s\" (%u lists are open)",
		        w->resource, w->cluster, c->lists.open);
	}
	row_put(&c->lists, l);
	if (u)
		charge(l, u);
	*out = l;
	return ERR_OK;
}

static bool subscribe(
        struct control *c, const struct open_list *l, uint32_t consumer, enum reactor_msg_type type)
{
	struct reactor_msg *m = reactor_msg_new(type);
	if (!m)
		return false;
	m->id = consumer;
	m->list = l->id;
	control_post(c, l->cluster->reactor, m);
	return true;
}

/* tell: the SUBSCRIBE for it, taken. */
static void join(
        struct control *c, struct open_list *l, struct opening *o, struct reactor_msg *tell)
{
	l->refs++;
	loop_timer_set(c->loop, &l->linger, UINT64_MAX);
	opening_join(o, l);
	tell->id = o->consumer->id;
	tell->list = l->id;
	control_post(c, l->cluster->reactor, tell);
	if (l->phase == LIST_OPEN)
		attach_on_opened(o, ERR_OK, NULL);
	else
		list_push(&l->waiters, &o->waiting);
}

err_t lists_open(struct control *c, const struct list_want *w, uint32_t realm, struct opening *o,
        struct errmsg *m)
{
	char *key = key_of(w, realm);
	/* First: whoever joins without it is never woken. */
	struct reactor_msg *tell = o ? reactor_msg_new(REACTOR_SUBSCRIBE) : NULL;
	struct open_list *l = NULL;
	err_t err = key && (tell || !o) ? ERR_OK
	                                : errmsg_set(m, ERR_NO_MEMORY, "list of %s", w->resource);
	if (!err && !(l = find(&c->lists, key)))
		err = start(c, w, realm, o ? o->consumer->user : NULL, &l, m);
	free(key);
	if (err) {
		reactor_msg_free(&tell);
		return err;
	}
	if (l->phase == LIST_CLOSING)
		l->again = true;
	if (o)
		join(c, l, o, tell);
	else
		l->pinned = true;
	return ERR_OK;
}

void lists_leave(struct control *c, struct opening *o)
{
	struct open_list *l = o->list;
	list_unlink(&o->waiting);
	if (!l)
		return;
	opening_part(o);
	if (!consumer_has(o->consumer, l)) /* without memory it is woken for nothing, no more */
		(void)subscribe(c, l, o->consumer->id, REACTOR_UNSUBSCRIBE);
	CHECK(l->refs > 0);
	l->refs--;
	if (!l->refs && !l->pinned)
		loop_timer_set(c->loop, &l->linger,
		        loop_now_ns(c->loop) +
		                c->config.settings->limits.linger_seconds * 1000000000u);
}

void lists_unpin(struct control *c, struct open_list *l)
{
	l->pinned = false;
	if (!l->refs && l->phase == LIST_OPEN)
		loop_timer_set(c->loop, &l->linger,
		        loop_now_ns(c->loop) +
		                c->config.settings->limits.linger_seconds * 1000000000u);
}

/* A consumer keeps the handle; there is no list behind it any more. */
static void end_openings(const struct consumer *k, const struct open_list *l)
{
	for (struct hash_node *n; (n = hash_index_first(&k->by_list, l->id));)
		opening_part(CONTAINER_OF(n, struct opening, by_list));
}

void lists_end_cluster(struct control *c, struct known_cluster *k, const char *why)
{
	LIST_EACH_SAFE (of, &k->lists) {
		struct open_list *l = CONTAINER_OF(of, struct open_list, of_cluster);
		l->ended = true;
		l->pinned = l->again = false;
		loop_timer_set(c->loop, &l->linger, UINT64_MAX);
		for (struct list *it; (it = list_pop(&l->waiters));) {
			struct opening *o = CONTAINER_OF(it, struct opening, waiting);
			opening_part(o);
			attach_on_opened(o, ERR_UNKNOWN_CLUSTER, why);
		}
		for (uint32_t j = 0; l->refs && j < REACTOR_CONSUMERS_MAX; j++)
			if (c->consumers.rows[j])
				end_openings(c->consumers.rows[j], l);
		l->refs = 0;
	}
}

static void on_linger(struct loop_timer *t)
{
	struct open_list *l = CONTAINER_OF(t, struct open_list, linger);
	if (l->ended || l->refs || l->pinned || l->phase != LIST_OPEN)
		return;
	struct reactor_msg *m = reactor_msg_new(REACTOR_LIST_CLOSE);
	if (!m) {
		loop_timer_set(l->control->loop, t, loop_now_ns(l->control->loop) + LISTS_AGAIN_NS);
		return;
	}
	m->id = l->id;
	l->phase = LIST_CLOSING;
	control_post(l->control, l->cluster->reactor, m);
}

static void forget(struct control *c, struct open_list *l)
{
	loop_timer_set(c->loop, &l->linger, UINT64_MAX);
	row_drop(&c->lists, l);
	list_free(l);
}

void lists_forget_cluster(struct control *c, struct known_cluster *k)
{
	LIST_EACH_SAFE (of, &k->lists)
		forget(c, CONTAINER_OF(of, struct open_list, of_cluster));
}

static void warn_pinned(struct control *c, const struct open_list *l, const struct reactor_note *n)
{
	char text[2 * ERRMSG_BYTES + 256];
	l->cluster->fresh = true; /* what it lacked may be there with the next look */
	snprintf(text, sizeof text,
	        "cluster \"%s\": %s, which the configuration keeps open, cannot be opened: %s; it "
	        "is tried again",
	        l->cluster->name, l->resource, n->text[0] ? n->text : err_text(n->err));
	cluster_log_other(c, text);
}

void lists_on_opened(struct control *c, const struct reactor_note *n)
{
	struct open_list *l = c->lists.rows[n->id];
	if (!n->err) {
		l->phase = LIST_OPEN;
		l->shard = n->shard;
		l->row = n->row;
		l->gen = n->gen;
		c->shards[n->shard] = n->store;
	}
	for (struct list *it; (it = list_pop(&l->waiters));) {
		struct opening *o = CONTAINER_OF(it, struct opening, waiting);
		if (n->err) {
			l->refs--;
			opening_part(o);
		}
		attach_on_opened(o, n->err, n->text);
	}
	if (n->err && l->pinned)
		warn_pinned(c, l, n);
	if (n->err)
		forget(c, l);
	else if (!l->refs && !l->pinned && !l->ended) /* all left while it was opening */
		loop_timer_set(c->loop, &l->linger,
		        loop_now_ns(c->loop) +
		                c->config.settings->limits.linger_seconds * 1000000000u);
}

void lists_on_closed(struct control *c, uint32_t id)
{
	struct open_list *l = c->lists.rows[id];
	if (!l->again || c->stopping) {
		if (list_empty(&l->waiters))
			forget(c, l);
		return;
	}
	l->again = false;
	if (post_open(c, l)) {
		struct reactor_note n = {.id = id, .err = ERR_NO_MEMORY};
		lists_on_opened(c, &n);
		return;
	}
	/* After LIST_OPEN: before it the reactor knows no such list, and nobody would be woken. */
	struct list waiters;
	list_init(&waiters);
	list_move_all(&waiters, &l->waiters);
	for (struct list *it; (it = list_pop(&waiters));) {
		struct opening *o = CONTAINER_OF(it, struct opening, waiting);
		list_push(&l->waiters, it);
		if (subscribe(c, l, o->consumer->id, REACTOR_SUBSCRIBE))
			continue;
		list_unlink(&o->waiting);
		l->refs--;
		opening_part(o);
		attach_on_opened(o, ERR_NO_MEMORY, NULL);
	}
}

void lists_init(struct control *c)
{
	c->lists = (struct lists){.first_free = UINT32_MAX, .seed = prng_next(&c->rng)};
	loop_timer_init(&c->lists.look, lists_on_look);
}

void lists_fini(struct control *c)
{
	loop_timer_set(c->loop, &c->lists.look, UINT64_MAX);
	for (uint32_t i = 0; i < c->lists.count; i++)
		if (c->lists.rows[i])
			forget(c, c->lists.rows[i]);
	free(c->lists.rows);
	free(c->lists.next_free);
	hash_index_fini(&c->lists.by_key);
	c->lists = (struct lists){.first_free = UINT32_MAX};
}
