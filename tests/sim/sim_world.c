#include "sim/sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/model_selector.h"
#include "reactor/reactor.h"
#include "sim/sim_priv.h"

enum {
	SIM_SAFETY_S = 120,
	SIM_LIVE_S = 900, /* of a stream that a fault still sits on, until the server ends it */
	SIM_CLEAN_S = 90, /* M1 is 45 s; a connect in flight and one more failure come on top */
	SIM_TURNS_MAX = 4000000,
};

/* --- making it --------------------------------------------------------------------------- */

static const struct model_kind *kind(const char *group, const char *version, const char *resource)
{
	const struct model_kind *k =
	        model_kind_find(span_of(group), span_of(version), span_of(resource));
	CHECK(k);
	return k;
}

static void make_clusters(struct sim_world *w)
{
	struct model_server_options o = {.wall_s = 1700000000,
	        .seed = prng_next(&w->rng),
	        .no_watchlist = prng_below(&w->rng, 4) == 0};
	model_server_init(&w->server, &o);
	w->kinds[0] = kind("", "v1", "pods");
	w->kinds[1] = kind("", "v1", "configmaps");
	w->kinds[2] = kind("apps", "v1", "deployments");
	w->kinds[3] = kind("", "v1", "nodes");
	w->backend = model_backend_new(&w->server, &(struct model_backend_options){0});
	CHECK(w->backend);
	for (uint32_t i = 0; i < w->models; i++) {
		char name[16];
		snprintf(name, sizeof name, "c%u", i);
		struct model_cluster_options co = {.name = name, .seed = prng_next(&w->rng)};
		struct model_cluster *c = model_server_add_cluster(&w->server, &co);
		CHECK(c && model_backend_add_cluster(
		                   w->backend, c, &(struct model_context_options){0}));
		for (int k = 0; k < SIM_KINDS; k++) {
			struct model_workload_options wo = {.seed = prng_next(&w->rng),
			        .namespaces = 3,
			        .bytes = 700,
			        .weights = {20, 30, 20, 15, 5, 10, 1, 20}};
			model_workload_init(&w->work[i][k], c, w->kinds[k], &wo);
			model_workload_fill(
			        &w->work[i][k], prng_below(&w->rng, 60), w->clock.now_ns);
		}
	}
}

static void make_reactors(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->reactors; i++) {
		struct reactor_config c = {.index = i,
		        .count = w->reactors,
		        .incarnation = {1, 2},
		        .seed = prng_next(&w->rng),
		        .ring_entries = 64u << prng_below(&w->rng, 5),
		        .lists_max = 64,
		        .block_segment_bytes = 1 << 22,
		        .in_process = true,
		        .user_agent = "sim",
		        .note = sim_control_on_note,
		        .note_arg = w};
		CHECK(reactor_new(&c, &w->reactor[i]) == ERR_OK);
		struct sim_net_options o = {.latency_min_ns = 100000,
		        .latency_max_ns = 100000 + prng_below(&w->rng, 20000000),
		        .piece_max = prng_below(&w->rng, 3) ? IO_RECV_BYTES : 200};
		sim_net_init(&w->net[i], &w->clock, &w->server, prng_next(&w->rng), &o,
		        &reactor_io_handlers, w->reactor[i]);
		w->net[i].backend = w->backend;
		reactor_set_io(w->reactor[i], &w->net[i].io);
	}
}

static void draw_way(struct sim_world *w, uint32_t id)
{
	struct sim_way *y = &w->way[id];
	y->model = id < w->models ? id : (uint32_t)prng_below(&w->rng, w->models);
	y->reactor = id % w->reactors;
	y->way = (enum strategy_way)prng_below(&w->rng, STRATEGY_HTTP + 1);
	y->through = y->way >= STRATEGY_MULTIPLEXED;
	if (!y->through)
		return;
	y->reactor = 0; /* with the backend: its socket carries the lists of all of them */
	if (prng_below(&w->rng, 2)) {
		y->is_auto = true;
		y->way = STRATEGY_MULTIPLEXED;
	}
}

/* The backend first: its socket is a connection of the cluster that stands for it. */
static void add_clusters(struct sim_world *w)
{
	w->way[w->clusters] = (struct sim_way){.through = true};
	sim_control_add_cluster(w, w->clusters);
	for (uint32_t i = 0; i < w->clusters; i++) {
		draw_way(w, i);
		sim_control_add_cluster(w, i);
	}
}

static void add_list(struct sim_world *w, uint32_t id)
{
	struct sim_list *l = &w->list[id];
	l->id = id;
	l->cluster = (uint32_t)prng_below(&w->rng, w->clusters);
	l->reactor = w->way[l->cluster].reactor;
	l->kind = w->kinds[prng_below(&w->rng, SIM_KINDS)];
	if (l->kind->namespaced && prng_below(&w->rng, 3) == 0)
		snprintf(l->namespace_, sizeof l->namespace_, "ns-00%u",
		        (unsigned)prng_below(&w->rng, 3));
	l->labels = prng_below(&w->rng, 4) == 0 ? "app=web" : "";
	struct model_text error = {0};
	CHECK(model_selector_parse(span_of(l->labels), SPAN_NONE, l->kind, &l->selector, &error));
	sim_control_open_list(w, l);
}

/* --- its life ---------------------------------------------------------------------------- */

static void write_something(struct sim_world *w)
{
	uint32_t c = (uint32_t)prng_below(&w->rng, w->models),
	         k = (uint32_t)prng_below(&w->rng, SIM_KINDS);
	w->out->writes += model_workload_step(&w->work[c][k], w->clock.now_ns, w->clock.now_ns);
}

static uint64_t earliest(struct sim_world *w)
{
	uint64_t next = UINT64_MAX;
	for (uint32_t i = 0; i < w->reactors; i++) {
		uint64_t at = sim_net_next_ns(&w->net[i]);
		next = at < next ? at : next;
		next = w->net[i].wanted_ns < next ? w->net[i].wanted_ns : next;
	}
	return next;
}

static void turn(struct sim_world *w, uint64_t until_ns)
{
	for (uint32_t i = 0; i < w->reactors; i++)
		reactor_turn(w->reactor[i], until_ns);
	sim_control_take_notes(w);
	for (uint32_t i = 0; i < w->lists; i++) {
		sim_oracle_follow(w, &w->list[i], false);
		sim_oracle_check(w, &w->list[i]);
	}
	uint64_t next = earliest(w);
	next = next < until_ns ? next : until_ns;
	if (next > w->clock.now_ns)
		w->clock.now_ns = next;
}

static void run_until(struct sim_world *w, uint64_t until_ns)
{
	for (uint64_t turns = 0; w->clock.now_ns < until_ns; turns++) {
		CHECK(turns < SIM_TURNS_MAX);
		turn(w, until_ns);
	}
}

static void safety(struct sim_world *w)
{
	uint64_t end = w->clock.now_ns + SIM_SAFETY_S * SIM_S;
	uint64_t write_every = 1 + prng_below(&w->rng, 40),
	         disturb_every = 20 + prng_below(&w->rng, 200);
	for (uint64_t step = 0; w->clock.now_ns < end; step++) {
		run_until(w, w->clock.now_ns + prng_below(&w->rng, 50000000) + 1);
		if (step % write_every == 0)
			write_something(w);
		if (w->faults_on && step % disturb_every == 0)
			sim_disturb_draw(w);
	}
}

static void liveness(struct sim_world *w)
{
	uint64_t began = w->clock.now_ns;
	for (;;) {
		uint64_t good = 0, end;
		bool clean = w->clean; /* one that only an audit can mend takes longer */
		for (uint32_t i = 0; i < w->lists; i++) {
			bool ok = sim_oracle_converged(w, &w->list[i]);
			good += ok;
			clean &= ok || !w->list[i].tainted;
		}
		end = began + (clean ? SIM_CLEAN_S : SIM_LIVE_S) * SIM_S;
		if (good == w->lists)
			break;
		if (w->clock.now_ns >= end)
			sim_oracle_report(w);
		CHECK(w->clock.now_ns < end); /* M1 */
		if (w->verbose && (w->clock.now_ns - began) / (SIM_S / 4) % 240 == 239)
			sim_oracle_report(w);
		run_until(w, w->clock.now_ns + SIM_S / 4);
	}
	w->out->converged_ns = w->clock.now_ns - began;
	for (uint32_t i = 0; i < w->lists; i++)
		sim_oracle_follow(w, &w->list[i], true);
}

static void collect(struct sim_world *w)
{
	struct sim_result *o = w->out;
	for (uint32_t i = 0; i < w->lists; i++) {
		struct sim_list *l = &w->list[i];
		struct shm_list row;
		CHECK(read_row(l->shard, l->row, l->gen, &row) == READ_OK);
		o->relists += row.relists;
		o->events += row.events;
		for (int k = 0; k < SIM_FOLLOWS; k++) {
			CHECK(l->follow[k].digest == row.digest);
			o->changes += l->follow[k].changes;
			o->overruns += l->follow[k].overruns;
			o->resets += l->follow[k].resets;
			o->trace = o->trace * 31 + l->follow[k].trace;
		}
	}
	o->sim_ns = w->clock.now_ns;
}

static void tear_down(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->lists; i++) {
		struct sim_list *l = &w->list[i];
		for (int k = 0; l->following && k < SIM_FOLLOWS; k++)
			sim_follow_fini(&l->follow[k]);
		model_selector_free(&l->selector);
		free(l->shard);
	}
	for (uint32_t i = 0; i < w->reactors; i++) {
		struct reactor_msg *m = reactor_msg_new(REACTOR_STOP);
		CHECK(m);
		reactor_post(w->reactor[i], m);
		while (reactor_turn(w->reactor[i], w->clock.now_ns))
			w->clock.now_ns += 1000000;
	}
	sim_control_take_notes(w);
	CHECK(w->stopped == w->reactors);
	CHECK(w->fetched == w->fetches && w->audited == w->asked); /* each is answered, once */
	for (uint32_t i = 0; i < w->reactors; i++) {
		reactor_free(&w->reactor[i]);
		sim_net_fini(&w->net[i]);
	}
	model_backend_free(&w->backend);
	model_server_fini(&w->server);
}

void sim_world_run(uint64_t seed, bool verbose, struct sim_result *out)
{
	struct sim_world *w = calloc(1, sizeof *w);
	CHECK(w);
	*out = (struct sim_result){0};
	w->rng = (struct prng){seed * 0x9E3779B97F4A7C15ull + 1};
	w->clock.now_ns = SIM_S;
	w->out = out;
	w->verbose = verbose;
	w->slow = 64u << seed % 6;
	w->audit_s = seed % 2 ? 20 : 0;
	w->faults_on = prng_below(&w->rng, 8) != 0;
	w->models = 1 + (uint32_t)prng_below(&w->rng, SIM_MODELS_MAX);
	w->clusters = w->models + (uint32_t)prng_below(&w->rng, SIM_CLUSTERS_MAX - w->models + 1);
	w->reactors = 1 + (uint32_t)prng_below(&w->rng, SIM_REACTORS_MAX);
	w->lists = 1 + (uint32_t)prng_below(&w->rng, SIM_LISTS_MAX);
	list_init(&w->notes);
	make_clusters(w);
	make_reactors(w);
	add_clusters(w);
	for (uint32_t i = 0; i < w->lists; i++)
		add_list(w, i);
	safety(w);
	sim_disturb_end(w);
	liveness(w);
	collect(w);
	tear_down(w);
	free(w);
}
