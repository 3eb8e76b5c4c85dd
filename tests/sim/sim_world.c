#include "sim/sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/model_list.h"
#include "model/model_workload.h"
#include "reactor/reactor.h"
#include "sim/sim_follow.h"
#include "sim/sim_net.h"

enum {
	SIM_MODELS_MAX = 4,   /* clusters of the model */
	SIM_CLUSTERS_MAX = 8, /* ways to them: what the reactor calls a cluster */
	SIM_REACTORS_MAX = 2,
	SIM_LISTS_MAX = 12,
	SIM_FOLLOWS = 2,
	SIM_KINDS = 4,
	SIM_SAFETY_S = 120,
	SIM_LIVE_S = 900, /* of a stream that a fault still sits on, until the server ends it */
	SIM_CLEAN_S = 90, /* M1 is 45 s; a connect in flight and one more failure come on top */
	SIM_TURNS_MAX = 4000000,
};
#define SIM_S ((uint64_t)1000000000)

struct sim_list {
	uint32_t id, cluster, reactor;
	const struct model_kind *kind;
	char namespace_[32];
	const char *labels;
	struct model_selector *selector;
	bool open, closing;
	uint32_t row, gen;
	struct store *store;
	struct read_shard *shard; /* own */
	struct sim_follow follow[SIM_FOLLOWS];
	bool following;
	uint64_t seen_commit; /* last_change that was checked */
	bool tainted; /* a fault told it a lie that cannot be seen at once; until the next sync */
	uint64_t synced;
	uint32_t timeline; /* restores of the cluster that this list has been told of */
	uint64_t lies;     /* events out of order that the server had sent when it was looked at */
	uint64_t heals_at; /* syncs after which such a thing is behind it */
};

/* One way to a cluster of the model. Several lead to the same one, and all must agree. */
struct sim_way {
	uint32_t model, reactor;
	enum strategy_way way;
	bool is_auto, through; /* through: the Headlamp backend */
	bool going;            /* between CLUSTER_REMOVE and CLUSTER_REMOVED */
	uint64_t asked_ns;     /* for its addresses, last */
	uint32_t moves;        /* how often the configuration named another server */
};

struct sim_world {
	struct prng rng;
	struct sim_clock clock;
	struct model_server server;
	struct model_backend *backend;
	struct model_workload work[SIM_MODELS_MAX][SIM_KINDS];
	const struct model_kind *kinds[SIM_KINDS];
	uint32_t models, clusters, reactors, lists;
	struct sim_way way[SIM_CLUSTERS_MAX + 1]; /* the last stands for the backend itself */
	struct reactor *reactor[SIM_REACTORS_MAX];
	struct sim_net net[SIM_REACTORS_MAX];
	struct sim_list list[SIM_LISTS_MAX];
	struct list notes;
	uint32_t stopped;
	uint32_t slow; /* turns between two looks of the slow followers, about */
	uint32_t fetches, fetched, asked, audited;
	uint32_t audit_s;      /* of all clusters */
	bool nameless, locked; /* DNS, or what makes credentials, does not answer as it should */
	bool verbose, faults_on, clean; /* clean: the second half has no fault left anywhere */
	struct sim_result *out;
};

/* --- the control thread of the world ----------------------------------------------------- */

static void on_note(void *arg, struct reactor_note *n)
{
	struct sim_world *w = arg;
	list_push(&w->notes, &n->link);
}

static void send_address(struct sim_world *w, uint32_t cluster)
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

static void send_credential(struct sim_world *w, uint32_t cluster, bool renewed)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_CLUSTER_CREDENTIAL);
	CHECK(m);
	m->cluster = cluster;
	m->err = w->locked ? ERR_CRED_EXEC : ERR_OK;
	m->credential.auth = w->locked ? NULL : auth_new();
	m->credential.renewed = renewed;
	reactor_post(w->reactor[w->way[cluster].reactor], m);
}

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
		        .note = on_note,
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

static void post_cluster(struct sim_world *w, uint32_t id, enum reactor_msg_type type)
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

static void add_cluster(struct sim_world *w, uint32_t id)
{
	post_cluster(w, id, REACTOR_CLUSTER_ADD);
	send_credential(w, id, false);
	send_address(w, id);
}

/* The backend first: its socket is a connection of the cluster that stands for it. */
static void add_clusters(struct sim_world *w)
{
	w->way[w->clusters] = (struct sim_way){.through = true};
	add_cluster(w, w->clusters);
	for (uint32_t i = 0; i < w->clusters; i++) {
		draw_way(w, i);
		add_cluster(w, i);
	}
}

static struct model_cluster *model_of(const struct sim_world *w, const struct sim_list *l)
{
	return w->server.clusters[w->way[l->cluster].model];
}

static void open_list(struct sim_world *w, struct sim_list *l)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_LIST_OPEN);
	CHECK(m);
	l->timeline = model_of(w, l)->timeline;
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
	open_list(w, l);
}

/* --- what the reactors say ------------------------------------------------------------------- */

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
		open_list(w, l);
}

static void on_removed(struct sim_world *w, uint32_t cluster)
{
	CHECK(w->way[cluster].going);
	w->way[cluster].going = false;
	w->way[cluster].asked_ns = 0;
	add_cluster(w, cluster);
	for (uint32_t i = 0; i < w->lists; i++)
		if (w->list[i].cluster == cluster)
			open_list(w, &w->list[i]);
}

/* DNS is not asked at a pace that is its own answers'. */
static void on_wants_addresses(struct sim_world *w, uint32_t cluster)
{
	struct sim_way *y = &w->way[cluster];
	CHECK(!y->asked_ns || w->clock.now_ns - y->asked_ns >= SIM_S / 10);
	y->asked_ns = w->clock.now_ns;
	send_address(w, cluster);
}

/* Of those that a restore from backup, or an event that came late, has told something else? */
static bool is_deceived(const struct sim_world *w, const struct sim_list *l)
{
	return l->tainted || l->timeline != model_of(w, l)->timeline ||
	       l->lies != w->server.faults.reordered;
}

/* M9: a list that was right all the time is never said to be wrong. */
static void on_audited(struct sim_world *w, const struct reactor_note *n)
{
	const struct sim_list *l = &w->list[n->list];
	w->audited += n->id != 0;
	if (n->id)
		return;
	w->out->audits[n->verdict]++;
	if (w->verbose)
		fprintf(stderr, "%8.3f s: audit of list %u: %d %s\n", (double)w->clock.now_ns / 1e9,
		        n->list, (int)n->verdict, n->text);
	CHECK(n->verdict != REACTOR_AUDIT_DIFFERENT || is_deceived(w, l));
}

static void take_notes(struct sim_world *w)
{
	for (struct list *it; (it = list_pop(&w->notes));) {
		struct reactor_note *n = CONTAINER_OF(it, struct reactor_note, link);
		switch (n->type) {
		case REACTOR_LIST_OPENED: on_opened(w, n); break;
		case REACTOR_LIST_CLOSED: on_list_closed(w, &w->list[n->id]); break;
		case REACTOR_CLUSTER_REMOVED: on_removed(w, n->cluster); break;
		case REACTOR_WANTS_ADDRESSES: on_wants_addresses(w, n->cluster); break;
		case REACTOR_WANTS_CREDENTIAL: send_credential(w, n->cluster, false); break;
		case REACTOR_FETCHED: w->fetched++; break;
		case REACTOR_AUDITED: on_audited(w, n); break;
		case REACTOR_STOPPED: w->stopped++; break;
		default: break;
		}
		reactor_note_free(&n);
	}
}

/* --- the oracle -------------------------------------------------------------------------- */

static bool in_history(struct sim_world *w, const struct sim_list *l, const struct shm_list *row)
{
	struct model_cluster *c = model_of(w, l);
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
	        (unsigned long long)model_of(w, l)->rv);
	if (!model_list_at(model_of(w, l), &q, print_version, NULL))
		fprintf(stderr, "  that version is compacted or in the future\n");
	for (size_t i = 0; l->following && i < l->follow[0].cap; i++)
		if (l->follow[0].table[i].live)
			fprintf(stderr, "  ours rv %llu hash %016llx\n",
			        (unsigned long long)l->follow[0].table[i].rv,
			        (unsigned long long)l->follow[0].table[i].hash);
}

/* M2: what is published is what the server was at that version. */
static void check_list(struct sim_world *w, struct sim_list *l)
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
	uint32_t timeline = model_of(w, l)->timeline;
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
	if (row.rv_num <= model_of(w, l)->horizon)
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

static bool converged(struct sim_world *w, struct sim_list *l)
{
	struct shm_list row;
	struct model_query q = {
	        .kind = l->kind, .ns = span_of(l->namespace_), .selector = l->selector};
	struct model_list_sum sum;
	CHECK(model_list_digest(model_of(w, l), &q, &sum));
	return l->open && read_row(l->shard, l->row, l->gen, &row) == READ_OK && row.whole &&
	       row.state == SHM_LIST_LIVE &&
	       ((l->tainted && !w->audit_s) ||
	               (row.digest == sum.digest && row.objects == sum.objects));
}

static void step_follows(struct sim_world *w, struct sim_list *l, bool all)
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

/* --- what happens ------------------------------------------------------------------------ */

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

/* What a backend does to those behind it: headlamp.md 2.10, 5. */
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

static void post_fetch(struct sim_world *w, uint32_t c)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_FETCH);
	CHECK(m);
	m->cluster = c;
	m->fetch.target = strdup("/version");
	m->fetch.accept = strdup("application/json");
	reactor_post(w->reactor[w->way[c].reactor], m);
	w->fetches++;
}

static void ask_audit(struct sim_world *w)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_AUDIT);
	const struct sim_list *l = &w->list[prng_below(&w->rng, w->lists)];
	CHECK(m);
	m->id = ++w->asked;
	m->list = l->id;
	reactor_post(w->reactor[l->reactor], m);
}

static void post_to(struct sim_world *w, uint32_t c, enum reactor_msg_type type, uint32_t id)
{
	struct reactor_msg *m = reactor_msg_new(type);
	CHECK(m);
	m->cluster = c;
	m->id = id;
	if (type == REACTOR_CLUSTER_REMOVE)
		m->err = ERR_UNKNOWN_CLUSTER;
	reactor_post(w->reactor[w->way[c].reactor], m);
}

/* A reload in the midst of it: other options, or another server, or none for a moment. */
static void reload(struct sim_world *w, uint32_t c)
{
	struct sim_way *y = &w->way[c];
	if (prng_below(&w->rng, 3) == 0) {
		y->going = true;
		post_to(w, c, REACTOR_CLUSTER_REMOVE, 0);
		return;
	}
	bool moved = prng_below(&w->rng, 2);
	y->moves += moved;
	post_cluster(w, c, REACTOR_CLUSTER_CHANGE);
	if (moved) {
		send_credential(w, c, false);
		send_address(w, c);
	}
}

static void close_a_list(struct sim_world *w)
{
	struct sim_list *l = &w->list[prng_below(&w->rng, w->lists)];
	if (!l->open || l->closing || w->way[l->cluster].going)
		return;
	l->closing = true;
	post_to(w, l->cluster, REACTOR_LIST_CLOSE, l->id);
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
	case 2: send_credential(w, c, true); break;
	case 3: post_fetch(w, c); break;
	case 4: close_a_list(w); break;
	case 5: w->net[w->way[c].reactor].no_sockets ^= true; break;
	case 6: ask_audit(w); break;
	default:
		if (!w->way[c].going)
			reload(w, c);
		break;
	}
}

static void disturb(struct sim_world *w)
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
	take_notes(w);
	for (uint32_t i = 0; i < w->lists; i++) {
		step_follows(w, &w->list[i], false);
		check_list(w, &w->list[i]);
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
			disturb(w);
	}
}

/* What a fault has begun goes on: an answer drips to its end, a socket that has lost events is
 * believed until it is opened again. Half of the runs end all of that too, or the limit of the
 * others would hide that a list comes back too late. */
static void heal(struct sim_world *w)
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
		send_credential(w, i, false);
}

static void report_unconverged(struct sim_world *w)
{
	for (uint32_t i = 0; i < w->lists; i++) {
		struct sim_list *l = &w->list[i];
		struct shm_list row;
		if (converged(w, l) || !l->open ||
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

static void liveness(struct sim_world *w)
{
	uint64_t began = w->clock.now_ns;
	for (;;) {
		uint64_t good = 0, end;
		bool clean = w->clean; /* one that only an audit can mend takes longer */
		for (uint32_t i = 0; i < w->lists; i++) {
			bool ok = converged(w, &w->list[i]);
			good += ok;
			clean &= ok || !w->list[i].tainted;
		}
		end = began + (clean ? SIM_CLEAN_S : SIM_LIVE_S) * SIM_S;
		if (good == w->lists)
			break;
		if (w->clock.now_ns >= end)
			report_unconverged(w);
		CHECK(w->clock.now_ns < end); /* M1 */
		if (w->verbose && (w->clock.now_ns - began) / (SIM_S / 4) % 240 == 239)
			report_unconverged(w);
		run_until(w, w->clock.now_ns + SIM_S / 4);
	}
	w->out->converged_ns = w->clock.now_ns - began;
	for (uint32_t i = 0; i < w->lists; i++)
		step_follows(w, &w->list[i], true);
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
	take_notes(w);
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
	heal(w);
	liveness(w);
	collect(w);
	tear_down(w);
	free(w);
}
