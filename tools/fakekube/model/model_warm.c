#include "model/model_warm.h"

#include "base/check.h"
#include "base/fetch.h"
#include "model/model_watch.h"

#define STORES_MAX 4 /* a load has one or two resources; more are not worth a hint */

static void lines(const void *p, size_t bytes)
{
	if (p)
		fetch(p, bytes);
}

static const struct model_store *store_of(const struct model_workload *w)
{
	const struct model_cluster *c = w->cluster;
	for (size_t i = 0; i < c->store_count && i < STORES_MAX; i++)
		if (c->stores[i]->kind == w->kind)
			return c->stores[i];
	return NULL;
}

static const struct model_conn *watcher_of(const struct model_store *st)
{
	return st && !list_empty(&st->watchers)
	               ? CONTAINER_OF(st->watchers.next, struct model_conn, watcher.link)
	               : NULL;
}

static void warm_stores(struct model_workload *const *works, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lines(works[i], sizeof *works[i]);
	for (size_t i = 0; i < n; i++)
		lines(works[i]->cluster, sizeof *works[i]->cluster);
	for (size_t i = 0; i < n; i++)
		lines(works[i]->cluster->stores, FETCH_LINE_BYTES);
	for (size_t i = 0; i < n; i++) {
		const struct model_cluster *c = works[i]->cluster;
		for (size_t k = 0; k < c->store_count && k < STORES_MAX; k++)
			lines(c->stores[k], sizeof *c->stores[k]);
	}
}

/* The place in the index that a workload would draw now; NULL: there are too many objects for it to
 * be worth a hint. */
static struct model_object **place_of(const struct model_workload *w, const struct model_store *st)
{
	const struct model_weights *g = &w->options.weights;
	struct prng ahead = w->random;
	if (g->create || g->update || g->status || g->delete_ || g->recreate || g->labels)
		prng_next(&ahead); /* which operation */
	return st ? model_index_place(&st->index, &ahead) : NULL;
}

void model_warm(struct model_workload *const *works, size_t n)
{
	const struct model_store *stores[MODEL_WARM_MAX];
	struct model_object **places[MODEL_WARM_MAX];
	CHECK(n <= MODEL_WARM_MAX);
	warm_stores(works, n);
	for (size_t i = 0; i < n; i++) {
		const struct model_store *st = stores[i] = store_of(works[i]);
		if (!st)
			continue;
		lines(st->index.blocks, 1);
		if (st->log)
			lines(&st->log[(st->log_first + st->log_count) & (st->log_cap - 1)], 1);
		lines(watcher_of(st), sizeof(struct model_conn));
	}
	for (size_t i = 0; i < n; i++) {
		const struct model_conn *c = watcher_of(stores[i]);
		lines(places[i] = place_of(works[i], stores[i]), 1);
		if (!c)
			continue;
		lines(c->answer, sizeof(struct model_watch));
		lines(c->context, 2 * FETCH_LINE_BYTES);
	}
	for (size_t i = 0; i < n; i++)
		if (places[i])
			lines(*places[i], FETCH_LINE_BYTES);
	for (size_t i = 0; i < n; i++)
		if (places[i] && *places[i])
			lines((*places[i])->last, sizeof(struct model_version));
}
