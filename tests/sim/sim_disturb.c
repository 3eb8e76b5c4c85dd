/* sim_disturb.c - what happens to the world: faults of servers, of the backend, of the network and
 * of what control does, and their end. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "sim/sim_priv.h"

static void draw_fault(struct sim_world *w)
{
	struct model_fault rule = {0};
	do
		model_fault_draw(&w->rng, &rule);
	while (rule.id == MODEL_FAULT_EVENT_QUIRK || rule.id == MODEL_FAULT_LIST_QUIRK);
	if (rule.id == MODEL_FAULT_EVENT_HUGE)
		rule.b = 100000;
	/* A version that is made up but plausible cannot be told from a true one by anybody; one
	 * that goes back can. */
	if (rule.id == MODEL_FAULT_EVENT_OLD_RV) {
		rule.b = 1000000;
		rule.verbs = 1u << MODEL_VERB_WATCH;
	}
	if (model_fault_add(&w->server.faults, &rule))
		w->out->faults++;
	if (w->verbose) {
		struct model_text t = {0};
		model_fault_print(&rule, &t);
		fprintf(stderr, "%8.3f s: %.*s\n", (double)w->clock.now_ns / 1e9, (int)t.n, t.p);
		model_text_fini(&t);
	}
}

static void tell_backend(struct sim_world *w, struct span line)
{
	struct model_text answer = {0};
	model_backend_command(w->backend, line, w->clock.now_ns, &answer);
	CHECK(answer.n >= 2 && memcmp(answer.p, "ok", 2) == 0);
	if (w->verbose)
		fprintf(stderr, "%8.3f s: backend: %.*s\n", (double)w->clock.now_ns / 1e9,
		        SPAN_ARG(line));
	model_text_fini(&answer);
	w->out->faults++;
}

/* What a backend does to those behind it: tests/headlamp.md, BM-n. */
static void disturb_backend(struct sim_world *w)
{
	struct model_text line = {0};
	if (prng_below(&w->rng, 3) == 0)
		TEXT_LIT(&line, "clear");
	else
		model_backend_draw(w->backend, &w->rng, &line);
	tell_backend(w, model_text_as_span(&line));
	model_text_fini(&line);
}

/* A reload in the midst of it: other options, or another server, or none for a moment. */
static void reload(struct sim_world *w, uint32_t c)
{
	struct sim_way *y = &w->way[c];
	if (prng_below(&w->rng, 3) == 0) {
		y->going = true;
		sim_control_post_to(w, c, REACTOR_CLUSTER_REMOVE, 0);
		return;
	}
	bool moved = prng_below(&w->rng, 2);
	y->moves += moved;
	sim_control_post_cluster(w, c, REACTOR_CLUSTER_CHANGE);
	if (moved) {
		sim_control_send_credential(w, c, false);
		sim_control_send_address(w, c);
	}
}

static void close_a_list(struct sim_world *w)
{
	struct sim_list *l = &w->list[prng_below(&w->rng, w->lists)];
	if (!l->open || l->closing || w->way[l->cluster].going)
		return;
	l->closing = true;
	sim_control_post_to(w, l->cluster, REACTOR_LIST_CLOSE, l->id);
}

/* What the control thread does, or cannot do, meanwhile. */
static void disturb_control(struct sim_world *w, uint32_t c)
{
	static const char *const what[] = {"DNS", "credentials", "renewal", "fetch", "list closed",
	        "sockets", "audit", "reload"};
	uint64_t which = prng_below(&w->rng, ARRAY_LEN(what));
	if (w->verbose)
		fprintf(stderr, "%8.3f s: control: %s (cluster %u)\n",
		        (double)w->clock.now_ns / 1e9, what[which], c);
	w->out->faults++;
	switch (which) {
	case 0: w->nameless = !w->nameless; break;
	case 1: w->locked = !w->locked; break;
	case 2: sim_control_send_credential(w, c, true); break;
	case 3: sim_control_post_fetch(w, c); break;
	case 4: close_a_list(w); break;
	case 5: w->net[w->way[c].reactor].no_sockets ^= true; break;
	case 6: sim_control_ask_audit(w); break;
	default:
		if (!w->way[c].going)
			reload(w, c);
		break;
	}
}

void sim_disturb_draw(struct sim_world *w)
{
	uint32_t c = (uint32_t)prng_below(&w->rng, w->clusters), model = w->way[c].model;
	struct sim_net *n = &w->net[w->way[c].reactor];
	uint32_t peer = w->way[c].through ? SIM_NET_BACKEND : model;
	if (w->way[c].through && prng_below(&w->rng, 2)) {
		disturb_backend(w);
		return;
	}
	switch (prng_below(&w->rng, 10)) {
	case 0: sim_net_cut(n, peer); break;
	case 1: n->reach[peer] = SIM_REFUSED; break;
	case 2: n->reach[peer] = SIM_BLACK_HOLE; break;
	case 3:
	case 4: n->reach[peer] = SIM_UP; break;
	case 5:
		model_cluster_compact(w->server.clusters[model], w->server.clusters[model]->rv);
		break;
	case 6:
	case 7: disturb_control(w, c); break;
	default: draw_fault(w); break;
	}
}

/* What a fault has begun goes on: an answer drips to its end, a socket that has lost events is
 * believed until it is opened again. Half of the runs end all of that too, or the limit of the
 * others would hide that a list comes back too late. */
void sim_disturb_end(struct sim_world *w)
{
	w->clean = prng_below(&w->rng, 2);
	for (uint32_t i = 0; w->clean && i < w->reactors; i++)
		sim_net_cut(&w->net[i], SIM_NET_ALL);
	model_fault_clear(&w->server.faults);
	model_server_clear_deny(&w->server);
	for (uint32_t i = 0; i < w->reactors; i++) {
		memset(w->net[i].reach, 0, sizeof w->net[i].reach);
		w->net[i].no_sockets = false;
	}
	tell_backend(w, SPAN("clear"));
	w->nameless = w->locked = false;
	for (uint32_t i = 0; i <= w->clusters; i++) /* as control does, when there is one again */
		sim_control_send_credential(w, i, false);
}
