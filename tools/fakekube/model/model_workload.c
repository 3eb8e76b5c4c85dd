#include "model/model_workload.h"

#include "base/check.h"

#include <stdio.h>

enum op { OP_CREATE, OP_UPDATE, OP_STATUS, OP_DELETE, OP_RECREATE, OP_LABELS, OP_BURST, OP_COUNT };

static const char *const op_names[OP_COUNT] = {
        "create", "update", "status", "delete", "recreate", "labels", "burst"};

/* Label sets that objects move between: few, so that selectors match many. */
static const char *const label_sets[] = {"app=web,tier=front", "app=web,tier=back",
        "app=db,tier=back", "app=cache", "app=web,canary=true,tier=front"};

void model_workload_init(struct model_workload *w, struct model_cluster *c,
        const struct model_kind *k, const struct model_workload_options *o)
{
	*w = (struct model_workload){.cluster = c, .kind = k, .options = *o, .random = {o->seed}};
	if (w->options.namespaces == 0)
		w->options.namespaces = 1;
	if (w->options.weights.burst_size == 0)
		w->options.weights.burst_size = 100;
}

static uint64_t create(struct model_workload *w, uint64_t now_ns, uint64_t stamp_ns)
{
	char ns[32] = "", name[96];
	if (w->kind->namespaced)
		snprintf(
		        ns, sizeof ns, "ns-%03u", (unsigned)(w->next_name % w->options.namespaces));
	snprintf(name, sizeof name, "%s-%07llu", w->kind->singular,
	        (unsigned long long)w->next_name);
	struct model_spec s = {.namespace_ = ns,
	        .name = name,
	        .bytes = w->options.bytes,
	        .stamp_ns = stamp_ns,
	        .labels = label_sets[prng_below(&w->random, ARRAY_LEN(label_sets))]};
	w->next_name++;
	return model_create(w->cluster, w->kind, &s, now_ns) ? 1 : 0;
}

void model_workload_fill(struct model_workload *w, uint64_t objects, uint64_t now_ns)
{
	for (uint64_t i = 0; i < objects; i++)
		create(w, now_ns, now_ns);
	if (w->options.objects_max == 0)
		w->options.objects_max = objects * 2 < 16 ? 16 : objects * 2;
}

/* Some object that is there now. */
static struct model_object *pick(struct model_workload *w, struct model_store *st)
{
	if (!st || st->live == 0)
		return NULL;
	for (int tries = 0; tries < 64; tries++) {
		struct model_object *o =
		        model_index_nth(&st->index, prng_below(&w->random, st->index.count));
		if (o->last->op != MODEL_DELETED)
			return o;
	}
	struct model_index_at at; /* nearly all are deletions that the history keeps: take the first
	                             that is not */
	struct model_object *o = model_index_seek(&st->index, SPAN_NONE, &at);
	while (o && o->last->op == MODEL_DELETED)
		o = model_index_next(&st->index, &at);
	return o;
}

static uint64_t burst(
        struct model_workload *w, struct model_store *st, uint64_t now_ns, uint64_t stamp_ns)
{
	struct model_object *first = pick(w, st);
	struct model_index_at at;
	struct model_object *o =
	        first ? model_index_seek(&st->index, model_object_key(first), &at) : NULL;
	uint64_t n = 0;
	for (; o && n < w->options.weights.burst_size; o = model_index_next(&st->index, &at)) {
		if (o->last->op == MODEL_DELETED)
			continue;
		uint64_t history = w->cluster->history_max;
		w->cluster->history_max = 0; /* nothing may leave the index while it is walked */
		model_touch(w->cluster, st, o, now_ns, stamp_ns);
		w->cluster->history_max = history;
		n++;
	}
	return n;
}

static uint64_t change(
        struct model_workload *w, struct model_object *o, enum op op, uint64_t now_ns)
{
	struct model_cluster *c = w->cluster;
	char ns[256], name[256];
	snprintf(ns, sizeof ns, "%.*s", SPAN_ARG(model_object_ns(o)));
	snprintf(name, sizeof name, "%.*s", SPAN_ARG(model_object_name(o)));
	struct model_text key = {0};
	model_text_span(&key, model_object_key(o));
	struct span k = model_text_as_span(&key);
	uint64_t made = 0;
	if (op == OP_UPDATE)
		made = model_update(c, w->kind,
		               &(struct model_spec){.namespace_ = ns, .name = name}, now_ns) != 0;
	else if (op == OP_DELETE)
		made = model_delete(c, w->kind, k, now_ns) != 0;
	else if (op == OP_RECREATE)
		made = model_recreate(c, w->kind, k, now_ns) ? 2 : 0;
	else if (op == OP_LABELS)
		made = model_set_labels(c, w->kind, k,
		               label_sets[prng_below(&w->random, ARRAY_LEN(label_sets))],
		               now_ns) != 0;
	model_text_fini(&key);
	return made;
}

/* stamps only differ from now where writes are paced; then they are status changes, creations and
 * bursts. */
static uint64_t run(struct model_workload *w, enum op op, uint64_t now_ns, uint64_t stamp_ns)
{
	struct model_store *st = model_cluster_store(w->cluster, w->kind);
	if (op == OP_CREATE && st && w->options.objects_max && st->live >= w->options.objects_max)
		op = OP_DELETE;
	if (op == OP_CREATE)
		return create(w, now_ns, stamp_ns);
	if (op == OP_BURST)
		return burst(w, st, now_ns, stamp_ns);
	struct model_object *o = pick(w, st);
	if (!o)
		return 0;
	if (op != OP_STATUS)
		return change(w, o, op, stamp_ns);
	model_touch(w->cluster, st, o, now_ns, stamp_ns);
	return 1;
}

uint64_t model_workload_step(struct model_workload *w, uint64_t now_ns, uint64_t stamp_ns)
{
	const struct model_weights *g = &w->options.weights;
	const uint32_t weights[OP_COUNT] = {
	        g->create, g->update, g->status, g->delete_, g->recreate, g->labels, g->burst};
	uint64_t sum = 0;
	for (int i = 0; i < OP_COUNT; i++)
		sum += weights[i];
	if (sum == 0)
		return run(w, OP_STATUS, now_ns, stamp_ns);
	uint64_t at = prng_below(&w->random, sum);
	int op = 0;
	while (at >= weights[op])
		at -= weights[op++];
	return run(w, (enum op)op, now_ns, stamp_ns);
}

bool model_workload_run(
        struct model_workload *w, struct span operation, uint64_t n, uint64_t now_ns)
{
	int op = 0;
	while (op < OP_COUNT && !span_is(operation, op_names[op]))
		op++;
	if (op == OP_COUNT)
		return false;
	if (op == OP_BURST) {
		struct model_workload one = *w;
		one.options.weights.burst_size = (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX);
		run(&one, OP_BURST, now_ns, now_ns);
		w->random = one.random;
		return true;
	}
	for (uint64_t i = 0; i < n; i++)
		run(w, (enum op)op, now_ns, now_ns);
	return true;
}

bool model_weights_set(struct model_weights *w, struct span name, uint32_t value)
{
	uint32_t *const fields[OP_COUNT] = {&w->create, &w->update, &w->status, &w->delete_,
	        &w->recreate, &w->labels, &w->burst};
	if (span_is(name, "burst-size")) {
		w->burst_size = value;
		return true;
	}
	for (int i = 0; i < OP_COUNT; i++) {
		if (!span_is(name, op_names[i]))
			continue;
		*fields[i] = value;
		return true;
	}
	return false;
}
