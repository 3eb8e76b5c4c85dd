/* sim_control.c - the control thread of the world: what it tells the reactors, and what they say to
 * it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reactor/reactor.h"
#include "sim/sim_priv.h"

void sim_control_send_address(struct sim_world *w, uint32_t cluster)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_CLUSTER_ADDRESSES);
	CHECK(m);
	m->cluster = cluster;
	m->addresses.count = !w->nameless;
	m->err = w->nameless ? ERR_DNS : ERR_OK;
	sim_net_address(w->way[cluster].through ? SIM_NET_BACKEND : w->way[cluster].model,
	        &m->addresses.at[0], &m->addresses.bytes[0]);
	reactor_post(w->reactor[w->way[cluster].reactor], m);
}

void sim_control_send_credential(struct sim_world *w, uint32_t cluster, bool renewed)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_CLUSTER_CREDENTIAL);
	CHECK(m);
	m->cluster = cluster;
	m->err = w->locked ? ERR_CRED_EXEC : ERR_OK;
	m->credential.auth = w->locked ? NULL : auth_new();
	m->credential.renewed = renewed;
	reactor_post(w->reactor[w->way[cluster].reactor], m);
}

void sim_control_post_cluster(struct sim_world *w, uint32_t id, enum reactor_msg_type type)
{
	const struct sim_way *y = &w->way[id];
	struct reactor_msg *m = reactor_msg_new(type);
	char name[16], host[16], context[16], prefix[32] = "";
	CHECK(m);
	snprintf(name, sizeof name, "w%u", id);
	snprintf(host, sizeof host, "sim%u", y->moves);
	snprintf(context, sizeof context, "c%u", y->model);
	bool lists = y->through && id < w->clusters;
	if (lists)
		snprintf(prefix, sizeof prefix, "/clusters/%s", context);
	m->cluster = id;
	m->cluster_spec = (struct cluster_spec){.cluster = id,
	        .name = strdup(name),
	        .host = strdup(host),
	        .prefix = strdup(prefix),
	        .gzip = prng_below(&w->rng, 2),
	        .watch_list = prng_below(&w->rng, 4) != 0,
	        .connects_per_s = 20,
	        .connects_burst = 40,
	        .audit_s = w->audit_s,
	        .way = y->way,
	        .way_auto = y->is_auto,
	        .backend = lists ? w->clusters : REACTOR_NO_CLUSTER,
	        .context = lists ? strdup(context) : NULL};
	reactor_post(w->reactor[y->reactor], m);
}

void sim_control_add_cluster(struct sim_world *w, uint32_t id)
{
	sim_control_post_cluster(w, id, REACTOR_CLUSTER_ADD);
	sim_control_send_credential(w, id, false);
	sim_control_send_address(w, id);
}

void sim_control_open_list(struct sim_world *w, struct sim_list *l)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_LIST_OPEN);
	CHECK(m);
	l->timeline = sim_model_of(w, l)->timeline;
	l->lies = w->server.faults.reordered;
	m->list_spec = (struct list_spec){.list = l->id,
	        .cluster = l->cluster,
	        .group = strdup(l->kind->group),
	        .version = strdup(l->kind->version),
	        .resource = strdup(l->kind->resource),
	        .namespace_ = strdup(l->namespace_),
	        .labels = strdup(l->labels),
	        .fields = strdup("")};
	reactor_post(w->reactor[l->reactor], m);
}

void sim_control_post_fetch(struct sim_world *w, uint32_t c)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_FETCH);
	CHECK(m);
	m->cluster = c;
	m->fetch.target = strdup("/version");
	m->fetch.accept = strdup("application/json");
	reactor_post(w->reactor[w->way[c].reactor], m);
	w->fetches++;
}

void sim_control_ask_audit(struct sim_world *w)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_AUDIT);
	const struct sim_list *l = &w->list[prng_below(&w->rng, w->lists)];
	CHECK(m);
	m->id = ++w->asked;
	m->list = l->id;
	reactor_post(w->reactor[l->reactor], m);
}

void sim_control_post_to(struct sim_world *w, uint32_t c, enum reactor_msg_type type, uint32_t id)
{
	struct reactor_msg *m = reactor_msg_new(type);
	CHECK(m);
	m->cluster = c;
	m->id = id;
	if (type == REACTOR_CLUSTER_REMOVE)
		m->err = ERR_UNKNOWN_CLUSTER;
	reactor_post(w->reactor[w->way[c].reactor], m);
}

/* --- what the reactors say ------------------------------------------------------------------- */

void sim_control_on_note(void *arg, struct reactor_note *n)
{
	struct sim_world *w = arg;
	list_push(&w->notes, &n->link);
}

static void on_opened(struct sim_world *w, const struct reactor_note *n)
{
	struct sim_list *l = &w->list[n->id];
	CHECK(n->err == ERR_OK);
	l->open = true;
	l->row = n->row;
	l->gen = n->gen;
	l->store = n->store;
	l->shard = calloc(1, sizeof *l->shard);
	CHECK(l->shard);
	uint64_t bytes = 0;
	(void)store_segment(n->store, 0, &bytes);
	CHECK(read_init(l->shard, store_segment_at(n->store, 0), bytes) == READ_OK);
}

static void on_list_closed(struct sim_world *w, struct sim_list *l)
{
	for (int i = 0; l->following && i < SIM_FOLLOWS; i++)
		sim_follow_fini(&l->follow[i]);
	free(l->shard);
	l->shard = NULL;
	l->following = l->open = l->closing = l->tainted = false;
	l->seen_commit = l->synced = l->heals_at = 0;
	if (!w->way[l->cluster].going)
		sim_control_open_list(w, l);
}

static void on_removed(struct sim_world *w, uint32_t cluster)
{
	CHECK(w->way[cluster].going);
	w->way[cluster].going = false;
	w->way[cluster].asked_ns = 0;
	sim_control_add_cluster(w, cluster);
	for (uint32_t i = 0; i < w->lists; i++)
		if (w->list[i].cluster == cluster)
			sim_control_open_list(w, &w->list[i]);
}

/* DNS is not asked at a pace that is its own answers'. */
static void on_wants_addresses(struct sim_world *w, uint32_t cluster)
{
	struct sim_way *y = &w->way[cluster];
	CHECK(!y->asked_ns || w->clock.now_ns - y->asked_ns >= SIM_S / 10);
	y->asked_ns = w->clock.now_ns;
	sim_control_send_address(w, cluster);
}

void sim_control_take_notes(struct sim_world *w)
{
	for (struct list *it; (it = list_pop(&w->notes));) {
		struct reactor_note *n = CONTAINER_OF(it, struct reactor_note, link);
		switch (n->type) {
		case REACTOR_LIST_OPENED: on_opened(w, n); break;
		case REACTOR_LIST_CLOSED: on_list_closed(w, &w->list[n->id]); break;
		case REACTOR_CLUSTER_REMOVED: on_removed(w, n->cluster); break;
		case REACTOR_WANTS_ADDRESSES: on_wants_addresses(w, n->cluster); break;
		case REACTOR_WANTS_CREDENTIAL:
			sim_control_send_credential(w, n->cluster, false);
			break;
		case REACTOR_FETCHED: w->fetched++; break;
		case REACTOR_AUDITED: sim_oracle_audited(w, n); break;
		case REACTOR_STOPPED: w->stopped++; break;
		default: break;
		}
		reactor_note_free(&n);
	}
}
