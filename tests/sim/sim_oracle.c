/* sim_oracle.c - what must be true of a list, after each turn and at the end (M1, M2, M7 of
 * ARCHITECTURE.md), and the followers that check the rest. */
#include <stdio.h>

#include "base/check.h"
#include "model/model_list.h"
#include "sim/sim_priv.h"

static bool in_history(struct sim_world *w, const struct sim_list *l, const struct shm_list *row)
{
	struct model_cluster *c = sim_model_of(w, l);
	for (uint32_t back = 0; back < 4; back++) {
		struct model_query q = {.kind = l->kind,
		        .ns = span_of(l->namespace_),
		        .selector = l->selector,
		        .rv = row->rv_num,
		        .timelines_back = back};
		struct model_list_sum sum;
		if (model_list_digest(c, &q, &sum) && sum.digest == row->digest &&
		        sum.objects == row->objects)
			return true;
	}
	return false;
}

/* For a person: what the server was at that version, and what we hold. */
static bool print_version(void *arg, const struct model_version *v)
{
	(void)arg;
	struct span key = model_object_key(v->object);
	fprintf(stderr, "  server %.*s rv %llu hash %016llx labels %p\n", (int)key.n, key.p,
	        (unsigned long long)v->rv, (unsigned long long)model_list_hash(v),
	        (const void *)v->labels);
	return true;
}

static void explain(struct sim_world *w, const struct sim_list *l, const struct shm_list *row)
{
	struct model_query q = {.kind = l->kind,
	        .ns = span_of(l->namespace_),
	        .selector = l->selector,
	        .rv = row->rv_num};
	fprintf(stderr, "labels \"%s\", cluster at rv %llu\n", l->labels,
	        (unsigned long long)sim_model_of(w, l)->rv);
	if (!model_list_at(sim_model_of(w, l), &q, print_version, NULL))
		fprintf(stderr, "  that version is compacted or in the future\n");
	for (size_t i = 0; l->following && i < l->follow[0].cap; i++)
		if (l->follow[0].table[i].live)
			fprintf(stderr, "  ours rv %llu hash %016llx\n",
			        (unsigned long long)l->follow[0].table[i].rv,
			        (unsigned long long)l->follow[0].table[i].hash);
}

/* M2: what is published is what the server was at that version. */
void sim_oracle_check(struct sim_world *w, struct sim_list *l)
{
	struct shm_list row;
	if (!l->open || read_row(l->shard, l->row, l->gen, &row) != READ_OK)
		return;
	w->clean &= row.state != SHM_LIST_PARKED; /* it asks again after minutes */
	if (!row.whole)
		return;
	/* A restore from backup gives versions a second meaning. A watch that resumes after the
	 * server has passed its version again cannot see that (nobody's can: only an audit of the
	 * whole list would); the next sync heals it. */
	uint32_t timeline = sim_model_of(w, l)->timeline;
	/* An event that comes late: nobody can see at once that one was left out, so what is
	 * published until the next sync may be no state of the server. All other faults must never
	 * lead to a wrong list. */
	uint64_t lies = w->server.faults.reordered;
	bool lied = timeline != l->timeline || lies != l->lies;
	if (lied)
		l->heals_at = l->synced + 2; /* one sync may have begun before it */
	l->tainted |= lied;
	l->timeline = timeline;
	l->lies = lies;
	if (row.last_change == l->seen_commit)
		return;
	l->seen_commit = row.last_change;
	if (l->following && l->follow[0].synced != l->synced) {
		l->synced = l->follow[0].synced;
		l->tainted &= l->synced < l->heals_at;
	}
	if (row.rv_num <= sim_model_of(w, l)->horizon)
		return; /* compacted: the server itself does not know any more */
	w->out->checks++;
	if (!l->tainted && !in_history(w, l, &row)) {
		fprintf(stderr,
		        "sim: list %u (%s/%s of c%u, state %u) published rv %s digest %016llx, "
		        "%llu objects: never so on the server\n",
		        l->id, l->namespace_, l->kind->resource, l->cluster, row.state, row.rv,
		        (unsigned long long)row.digest, (unsigned long long)row.objects);
		explain(w, l, &row);
		check_failed(
		        __FILE__, __LINE__, "M2: what is published was never so on the server");
	}
}

/* Of those that a restore from backup, or an event that came late, has told something else? */
static bool is_deceived(const struct sim_world *w, const struct sim_list *l)
{
	return l->tainted || l->timeline != sim_model_of(w, l)->timeline ||
	       l->lies != w->server.faults.reordered;
}

void sim_oracle_audited(struct sim_world *w, const struct reactor_note *n)
{
	w->audited += n->id != 0;
	if (n->id)
		return;
	w->out->audits[n->verdict]++;
	if (w->verbose)
		fprintf(stderr, "%8.3f s: audit of list %u: %d %s\n", (double)w->clock.now_ns / 1e9,
		        n->list, (int)n->verdict, n->text);
	CHECK(n->verdict != REACTOR_AUDIT_DIFFERENT || is_deceived(w, &w->list[n->list]));
}

bool sim_oracle_converged(struct sim_world *w, struct sim_list *l)
{
	struct shm_list row;
	struct model_query q = {
	        .kind = l->kind, .ns = span_of(l->namespace_), .selector = l->selector};
	struct model_list_sum sum;
	CHECK(model_list_digest(sim_model_of(w, l), &q, &sum));
	return l->open && read_row(l->shard, l->row, l->gen, &row) == READ_OK && row.whole &&
	       row.state == SHM_LIST_LIVE &&
	       ((l->tainted && !w->audit_s) ||
	               (row.digest == sum.digest && row.objects == sum.objects));
}

void sim_oracle_report(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->lists; i++) {
		struct sim_list *l = &w->list[i];
		struct shm_list row;
		if (sim_oracle_converged(w, l) || !l->open ||
		        read_row(l->shard, l->row, l->gen, &row) != READ_OK)
			continue;
		fprintf(stderr,
		        "sim: list %u (%s/%s of c%u) has not converged: state %u, whole %u, rv %s, "
		        "%llu objects, error %s: %s\n",
		        l->id, l->namespace_, l->kind->resource, l->cluster, row.state, row.whole,
		        row.rv, (unsigned long long)row.objects, row.error_name, row.error_text);
		explain(w, l, &row);
	}
}

void sim_oracle_follow(struct sim_world *w, struct sim_list *l, bool all)
{
	struct shm_list row;
	if (!l->open)
		return;
	if (!l->following && read_row(l->shard, l->row, l->gen, &row) == READ_OK && row.whole) {
		for (int i = 0; i < SIM_FOLLOWS; i++)
			sim_follow_init(&l->follow[i], l->store, l->row, l->gen);
		l->following = true;
	}
	for (int i = 0; l->following && i < SIM_FOLLOWS; i++) {
		/* the first keeps up, the second is slow: it is overrun now and then */
		if (i == 0 || all || prng_below(&w->rng, w->slow) == 0)
			while (sim_follow_step(&l->follow[i],
			        all || i == 0 ? 100000 : 1 + prng_below(&w->rng, 50)))
				;
	}
}
