#include "model/model_list.h"

#include "model/model_render.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

bool model_list_at(
        struct model_cluster *c, const struct model_query *q, model_list_fn fn, void *arg)
{
	for (uint32_t i = 0; i < q->timelines_back && c; i++)
		c = c->before;
	if (!c)
		return false;
	struct model_store *st = model_cluster_store(c, q->kind);
	uint64_t rv = q->rv ? q->rv : c->rv;
	if (!st || rv < c->horizon || rv > c->rv)
		return false;
	struct model_text from = {0};
	model_text_span(&from, q->ns);
	if (q->ns.n)
		TEXT_LIT(&from, "/");
	struct model_index_at at;
	struct model_object *o = model_index_seek(&st->index, model_text_as_span(&from), &at);
	model_text_fini(&from);
	for (; o && model_list_in(q->ns, o); o = model_index_next(&st->index, &at)) {
		const struct model_version *v = model_object_at(o, rv);
		if (v && model_selector_match(q->selector, v) && !fn(arg, v))
			break;
	}
	return true;
}

static uint64_t hash_into(const struct model_version *v, struct model_text *scratch)
{
	scratch->n = 0;
	model_text_span(scratch, model_object_ns(v->object));
	TEXT_LIT(scratch, "\0");
	model_text_span(scratch, model_object_name(v->object));
	TEXT_LIT(scratch, "\0");
	model_render_uid(v, scratch);
	TEXT_LIT(scratch, "\0");
	model_text_u64(scratch, v->rv);
	TEXT_LIT(scratch, "\0");
	return XXH3_64bits(scratch->p, scratch->n);
}

uint64_t model_list_hash(const struct model_version *v)
{
	struct model_text scratch = {0};
	uint64_t h = hash_into(v, &scratch);
	model_text_fini(&scratch);
	return h;
}

/* The sum so far, and room to write keys in. */
struct adder {
	struct model_list_sum *sum;
	struct model_text scratch;
};

static bool add(void *arg, const struct model_version *v)
{
	struct adder *a = arg;
	a->sum->digest += hash_into(v, &a->scratch);
	a->sum->objects++;
	return true;
}

bool model_list_digest(
        struct model_cluster *c, const struct model_query *q, struct model_list_sum *out)
{
	*out = (struct model_list_sum){.rv = q->rv};
	struct adder a = {.sum = out};
	bool ok = model_list_at(c, q, add, &a);
	model_text_fini(&a.scratch);
	if (!ok)
		return false;
	for (uint32_t i = 0; i < q->timelines_back; i++)
		c = c->before;
	out->rv = q->rv ? q->rv : c->rv;
	return true;
}
