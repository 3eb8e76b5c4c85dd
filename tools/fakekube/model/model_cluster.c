#include "model/model_cluster.h"

#include "base/check.h"
#include "base/prng.h"
#include "model/model_blast.h"
#include "model/model_body.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>

#define FIRST_RV 1000

struct model_cluster *model_cluster_new(
        struct model_library *lib, const struct model_cluster_options *o)
{
	struct model_cluster *c = calloc(1, sizeof *c);
	CHECK(c);
	c->name = strdup(o->name ? o->name : "");
	CHECK(c->name);
	c->library = lib;
	c->seed = o->seed;
	c->rv = o->first_rv ? o->first_rv : FIRST_RV;
	c->horizon = c->rv;
	c->history_max = o->history_max;
	list_init(&c->pins);
	list_init(&c->answering);
	return c;
}

static void version_free(struct model_version *v)
{
	model_body_put(v->body);
	free(v);
}

static void chain_free(struct model_version *v)
{
	for (struct model_version *prev; v; v = prev) {
		prev = v->prev;
		version_free(v);
	}
}

static void store_free(struct model_store *st)
{
	struct model_index_at at;
	struct model_object *o = model_index_seek(&st->index, SPAN_NONE, &at);
	for (; o; o = model_index_next(&st->index, &at))
		chain_free(o->last);
	CHECK(list_empty(&st->watchers)); /* connections end before their cluster */
	model_blast_free(&st->blast);
	model_index_fini(&st->index);
	free(st->log);
	free(st);
}

void model_cluster_free(struct model_cluster **cp)
{
	struct model_cluster *c = *cp;
	*cp = NULL;
	for (struct model_cluster *before; c; c = before) {
		before = c->before;
		for (size_t i = 0; i < c->store_count; i++)
			store_free(c->stores[i]);
		free(c->stores);
		free(c->name);
		free(c);
	}
}

static struct model_store *store_find(const struct model_cluster *c, const struct model_kind *kind)
{
	for (size_t i = 0; i < c->store_count; i++)
		if (c->stores[i]->kind == kind)
			return c->stores[i];
	return NULL;
}

static struct model_store *store_make(struct model_cluster *c, const struct model_kind *kind)
{
	struct model_store *st = calloc(1, sizeof *st);
	CHECK(st);
	st->kind = kind;
	list_init(&st->watchers);
	c->stores = realloc(c->stores, (c->store_count + 1) * sizeof(struct model_store *));
	CHECK(c->stores);
	return c->stores[c->store_count++] = st;
}

struct model_store *model_cluster_store(struct model_cluster *c, const struct model_kind *kind)
{
	struct model_store *st = store_find(c, kind);
	if (st)
		return st->removed ? NULL : st;
	return kind->custom ? NULL : store_make(c, kind);
}

const struct model_kind *model_cluster_kind(
        struct model_cluster *c, struct span group, struct span version, struct span resource)
{
	const struct model_kind *k = model_kind_find(group, version, resource);
	if (k)
		return k;
	for (size_t at = 0; (k = model_cluster_custom(c, &at));)
		if (span_is(group, k->group) && span_is(resource, k->resource) &&
		        (version.n == 0 || span_is(version, k->version)))
			return k;
	return NULL;
}

const struct model_kind *model_cluster_custom(const struct model_cluster *c, size_t *at)
{
	while (*at < c->store_count) {
		const struct model_store *st = c->stores[(*at)++];
		if (st->kind->custom && !st->removed)
			return st->kind;
	}
	return NULL;
}

/* --- the log --- */

uint64_t model_store_after(const struct model_store *st, uint64_t rv)
{
	size_t lo = 0, hi = st->log_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (model_store_at(st, st->log_first + mid)->rv <= rv)
			lo = mid + 1;
		else
			hi = mid;
	}
	return st->log_first + lo;
}

static void wake(struct model_store *st)
{
	LIST_EACH (it, &st->watchers) {
		struct model_watcher *w = CONTAINER_OF(it, struct model_watcher, link);
		if (list_empty(&w->ready_link))
			list_push(w->ready, &w->ready_link);
	}
}

static void log_push(struct model_store *st, struct model_version *v)
{
	if (st->log_count == st->log_cap) {
		size_t cap = st->log_cap ? st->log_cap * 2 : 16;
		struct model_version **log = malloc(cap * sizeof(struct model_version *));
		CHECK(log);
		for (size_t i = 0; i < st->log_count; i++)
			log[(st->log_first + i) & (cap - 1)] =
			        model_store_at(st, st->log_first + i);
		free(st->log);
		st->log = log;
		st->log_cap = cap;
	}
	st->log[(st->log_first + st->log_count) & (st->log_cap - 1)] = v;
	st->log_count++;
}

/* Once nobody asks for less than v->rv, the states before v are not needed, and neither is a name
 * whose last state is a deletion. */
static void log_pop(struct model_store *st)
{
	struct model_version *v = model_store_at(st, st->log_first);
	st->log_first++;
	st->log_count--;
	chain_free(v->prev);
	v->prev = NULL;
	if (v->op != MODEL_DELETED || v->object->last != v)
		return;
	model_index_remove(&st->index, v->object);
	version_free(v);
}

/* What is physically needed: the horizon, or less while a list of an older version is being sent.
 */
static uint64_t cluster_floor(const struct model_cluster *c)
{
	uint64_t floor = c->horizon;
	LIST_EACH (it, &c->pins) {
		const struct model_pin *pin = CONTAINER_OF(it, struct model_pin, link);
		if (pin->rv < floor)
			floor = pin->rv;
	}
	return floor;
}

static void store_trim(struct model_store *st, uint64_t floor)
{
	while (st->log_count && model_store_at(st, st->log_first)->rv <= floor)
		log_pop(st);
}

void model_cluster_compact(struct model_cluster *c, uint64_t rv)
{
	if (rv > c->rv)
		rv = c->rv;
	if (rv > c->horizon)
		c->horizon = rv;
	uint64_t floor = cluster_floor(c);
	for (size_t i = 0; i < c->store_count; i++)
		store_trim(c->stores[i], floor);
}

void model_cluster_skip(struct model_cluster *c, uint64_t n)
{
	c->rv += n;
}

const struct model_version *model_object_at(const struct model_object *o, uint64_t rv)
{
	const struct model_version *v = o->last;
	while (v && v->rv > rv)
		v = v->prev;
	return v && v->op != MODEL_DELETED ? v : NULL;
}

/* --- writes --- */

/* The next state of an object: a copy of the last one (or of nothing) with the next version,
 * entered into the log. */
static struct model_version *append(struct model_cluster *c, struct model_store *st,
        struct model_object *o, enum model_op op, uint64_t now_ns)
{
	struct model_version *v = malloc(sizeof *v);
	CHECK(v);
	*v = o->last ? *o->last : (struct model_version){0};
	v->prev = o->last;
	v->object = o;
	v->op = op;
	v->rv = ++c->rv;
	v->stamp_ns = now_ns;
	v->changed_s = c->library->wall_s + (int64_t)(now_ns / 1000000000);
	model_body_get(v->body);
	o->last = v;
	log_push(st, v);
	wake(st);
	if (op == MODEL_ADDED)
		st->live++;
	else if (op == MODEL_DELETED)
		st->live--;
	/* A quarter at a time, so that compaction is not a walk over all stores at each write. */
	if (c->history_max && st->log_count > c->history_max + c->history_max / 4)
		model_cluster_compact(c,
		        model_store_at(st, st->log_first + st->log_count - c->history_max - 1)->rv);
	return v;
}

static struct model_object *present(
        struct model_cluster *c, struct model_store *st, struct span key)
{
	(void)c;
	struct model_object *o = st ? model_index_find(&st->index, key) : NULL;
	return o && o->last->op != MODEL_DELETED ? o : NULL;
}

static void key_of(const struct model_spec *s, struct model_text *key)
{
	if (s->namespace_ && *s->namespace_) {
		model_text_str(key, s->namespace_);
		TEXT_LIT(key, "/");
	}
	model_text_str(key, s->name);
}

static uint64_t create(struct model_cluster *c, struct model_store *st, const struct model_spec *s,
        uint64_t now_ns)
{
	struct span ns = span_of(s->namespace_);
	struct model_object *o = model_index_add(&st->index, ns, span_of(s->name));
	if (o->last && o->last->op != MODEL_DELETED)
		return 0;
	if (!o->last) {
		struct prng r = {c->seed ^ XXH3_64bits(o->key, o->key_bytes)};
		o->seed = prng_next(&r);
	}
	o->look = model_library_template(c->library, st->kind, s->bytes);
	struct model_body *old = o->last ? o->last->body : NULL;
	struct model_version *v = append(c, st, o, MODEL_ADDED, now_ns);
	model_body_put(old ? v->body : NULL);
	v->body = model_body_of(c->library, s, NULL);
	v->labels = model_labels_intern(&c->library->labels, s->labels);
	v->created_s = v->changed_s;
	v->generation = 1;
	v->changes = 0;
	struct prng r = {o->seed ^ v->rv};
	v->uid_seed = prng_next(&r);
	if (s->stamp_ns)
		v->stamp_ns = s->stamp_ns;
	return v->rv;
}

uint64_t model_create(struct model_cluster *c, const struct model_kind *k,
        const struct model_spec *s, uint64_t now_ns)
{
	struct model_store *st = model_cluster_store(c, k);
	return st ? create(c, st, s, now_ns) : 0;
}

uint64_t model_update(struct model_cluster *c, const struct model_kind *k,
        const struct model_spec *s, uint64_t now_ns)
{
	struct model_text key = {0};
	key_of(s, &key);
	struct model_store *st = model_cluster_store(c, k);
	struct model_object *o = present(c, st, model_text_as_span(&key));
	model_text_fini(&key);
	if (!o)
		return 0;
	struct model_body *old = o->last->body;
	struct model_version *v = append(c, st, o, MODEL_MODIFIED, now_ns);
	v->generation++;
	struct model_body *body = model_body_of(c->library, s, old);
	model_body_put(v->body);
	v->body = body;
	if (s->labels)
		v->labels = model_labels_intern(&c->library->labels, s->labels);
	if (s->stamp_ns)
		v->stamp_ns = s->stamp_ns;
	return v->rv;
}

uint64_t model_touch(struct model_cluster *c, struct model_store *st, struct model_object *o,
        uint64_t now_ns, uint64_t stamp_ns)
{
	struct model_version *v = append(c, st, o, MODEL_MODIFIED, now_ns);
	v->changes++;
	v->stamp_ns = stamp_ns;
	return v->rv;
}

struct model_version *model_repeat(
        struct model_cluster *c, struct model_store *st, struct model_object *o, uint64_t now_ns)
{
	return append(c, st, o, MODEL_MODIFIED, now_ns);
}

uint64_t model_patch_status(
        struct model_cluster *c, const struct model_kind *k, struct span key, uint64_t now_ns)
{
	struct model_store *st = model_cluster_store(c, k);
	struct model_object *o = present(c, st, key);
	return o ? model_touch(c, st, o, now_ns, now_ns) : 0;
}

uint64_t model_set_labels(struct model_cluster *c, const struct model_kind *k, struct span key,
        const char *labels, uint64_t now_ns)
{
	struct model_store *st = model_cluster_store(c, k);
	struct model_object *o = present(c, st, key);
	if (!o)
		return 0;
	struct model_version *v = append(c, st, o, MODEL_MODIFIED, now_ns);
	v->labels = model_labels_intern(&c->library->labels, labels);
	return v->rv;
}

uint64_t model_delete(
        struct model_cluster *c, const struct model_kind *k, struct span key, uint64_t now_ns)
{
	struct model_store *st = model_cluster_store(c, k);
	struct model_object *o = present(c, st, key);
	return o ? append(c, st, o, MODEL_DELETED, now_ns)->rv : 0;
}

uint64_t model_recreate(
        struct model_cluster *c, const struct model_kind *k, struct span key, uint64_t now_ns)
{
	struct model_store *st = model_cluster_store(c, k);
	struct model_object *o = present(c, st, key);
	if (!o)
		return 0;
	append(c, st, o, MODEL_DELETED, now_ns);
	struct model_version *v = append(c, st, o, MODEL_ADDED, now_ns);
	v->created_s = v->changed_s;
	v->generation = 1;
	v->changes = 0;
	if (v->body && v->body->uid[0]) { /* a uid that a caller chose names one life only */
		struct model_spec nothing = {.uid = ""};
		struct model_body *body = model_body_of(c->library, &nothing, v->body);
		model_body_put(v->body);
		v->body = body;
	}
	struct prng r = {o->seed ^ v->rv};
	v->uid_seed = prng_next(&r);
	return v->rv;
}

/* --- custom kinds --- */

static void crd_members(const struct model_kind *k, struct model_text *t)
{
	struct model_text names = {0};
	model_text_printf(
	        &names, "{\"plural\":\"%s\",\"singular\":\"%s\",", k->resource, k->singular);
	if (k->short_names[0])
		model_text_printf(&names, "\"shortNames\":[\"%s\"],", k->short_names);
	model_text_printf(&names, "\"kind\":\"%s\",\"listKind\":\"%sList\"}", k->kind, k->kind);
	model_text_printf(t,
	        "\"spec\":{\"group\":\"%s\",\"names\":%.*s,\"scope\":\"%s\",\"versions\":[{"
	        "\"name\":\"%s\",\"served\":"
	        "true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\","
	        "\"x-kubernetes-preserve-unknown-fields\":true}},\"additionalPrinterColumns\":[{"
	        "\"name\":\"Size\","
	        "\"type\":\"integer\",\"jsonPath\":\".spec.size\"}]}],\"conversion\":{\"strategy\":"
	        "\"None\"}},"
	        "\"status\":{\"conditions\":[],\"acceptedNames\":%.*s,\"storedVersions\":[\"%s\"]}",
	        k->group, (int)names.n, names.p, k->namespaced ? "Namespaced" : "Cluster",
	        k->version, (int)names.n, names.p, k->version);
	TEXT_LIT(t, "\0");
	model_text_fini(&names);
}

static const struct model_kind *crd_kind(void)
{
	return model_kind_find(
	        SPAN("apiextensions.k8s.io"), SPAN("v1"), SPAN("customresourcedefinitions"));
}

const struct model_kind *model_cluster_add_crd(
        struct model_cluster *c, const struct model_kind *like, uint64_t now_ns)
{
	const struct model_kind *k = model_library_custom(c->library, like);
	struct model_store *st = store_find(c, k);
	if (!st)
		st = store_make(c, k);
	st->removed = false;
	struct model_text name = {0}, members = {0};
	model_text_printf(&name, "%s.%s", k->resource, k->group);
	crd_members(k, &members);
	struct model_spec s = {.name = name.p, .members = members.p};
	model_create(c, crd_kind(), &s, now_ns);
	model_text_fini(&name);
	model_text_fini(&members);
	return k;
}

void model_cluster_remove_crd(struct model_cluster *c, const struct model_kind *k, uint64_t now_ns)
{
	struct model_store *st = store_find(c, k);
	if (!st || st->removed || !k->custom)
		return;
	uint64_t history_max = c->history_max;
	c->history_max =
	        0; /* compaction would take objects out of the index that is being walked */
	struct model_index_at at;
	struct model_object *o = model_index_seek(&st->index, SPAN_NONE, &at);
	for (; o; o = model_index_next(&st->index, &at))
		if (o->last->op != MODEL_DELETED)
			append(c, st, o, MODEL_DELETED, now_ns);
	c->history_max = history_max;
	st->removed = true;
	st->removed_ns = now_ns;
	wake(st);
	struct model_text name = {0};
	model_text_printf(&name, "%s.%s", k->resource, k->group);
	model_delete(c, crd_kind(), model_text_as_span(&name), now_ns);
	model_text_fini(&name);
}

/* --- restore --- */

static void copy_object(struct model_cluster *to, struct model_store *st,
        const struct model_object *from, uint64_t rv)
{
	const struct model_version *v = from->last;
	while (v && v->rv > rv)
		v = v->prev;
	if (!v || v->op == MODEL_DELETED)
		return;
	struct model_object *o =
	        model_index_add(&st->index, model_object_ns(from), model_object_name(from));
	o->look = from->look;
	o->seed = from->seed;
	struct model_version *copy = malloc(sizeof *copy);
	CHECK(copy);
	*copy = *v;
	copy->prev = NULL;
	copy->object = o;
	model_body_get(copy->body);
	o->last = copy;
	st->live++;
	(void)to;
}

/* The present moves into a cluster of its own (c->before), and what it was at rv is copied into an
 * empty one. The watches stay listed at the stores of c, so that they learn of it; their positions
 * mean nothing any more, which they see by the timeline. */
void model_cluster_restore(struct model_cluster *c, uint64_t rv)
{
	CHECK(rv >= c->horizon && rv <= c->rv);
	struct model_cluster *before = malloc(sizeof *before);
	CHECK(before);
	*before = *c;
	before->name = strdup(c->name);
	CHECK(before->name);
	list_init(&before->pins);
	c->before = before;
	c->stores = NULL;
	c->store_count = 0;
	c->rv = c->horizon = rv;
	c->timeline++;
	for (size_t i = 0; i < before->store_count; i++) {
		struct model_store *old = before->stores[i], *st = store_make(c, old->kind);
		st->removed = old->removed;
		st->removed_ns = old->removed_ns;
		st->log_first = old->log_first + old->log_count;
		if (!list_empty(&old->watchers)) {
			old->watchers.next->prev = &st->watchers;
			old->watchers.prev->next = &st->watchers;
			st->watchers = old->watchers;
			list_init(&old->watchers);
			wake(st);
		}
		struct model_index_at at;
		struct model_object *o = model_index_seek(&old->index, SPAN_NONE, &at);
		for (; o; o = model_index_next(&old->index, &at))
			copy_object(c, st, o, rv);
	}
}
