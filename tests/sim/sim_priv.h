/* sim_priv.h - inside of one simulated world.
 *
 *   sim_world.c    makes it, gives it its phases, takes it down
 *   sim_control.c  plays the control thread of its reactors
 *   sim_disturb.c  draws what happens to it
 *   sim_oracle.c   holds it to its promises
 */
#ifndef KR_TESTS_SIM_PRIV_H
#define KR_TESTS_SIM_PRIV_H

#include "model/model_workload.h"
#include "reactor/reactor.h"
#include "sim/sim_follow.h"
#include "sim/sim_net.h"
#include "sim/sim_world.h"

enum {
	SIM_MODELS_MAX = 4,   /* clusters of the model */
	SIM_CLUSTERS_MAX = 8, /* ways to them: what the reactor calls a cluster */
	SIM_REACTORS_MAX = 2,
	SIM_LISTS_MAX = 12,
	SIM_FOLLOWS = 2,
	SIM_KINDS = 4,
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

static inline struct model_cluster *sim_model_of(
        const struct sim_world *w, const struct sim_list *l)
{
	return w->server.clusters[w->way[l->cluster].model];
}

/* The control thread. */
void sim_control_send_address(struct sim_world *w, uint32_t cluster);
void sim_control_send_credential(struct sim_world *w, uint32_t cluster, bool renewed);
void sim_control_post_cluster(struct sim_world *w, uint32_t id, enum reactor_msg_type type);
void sim_control_add_cluster(struct sim_world *w, uint32_t id);
void sim_control_open_list(struct sim_world *w, struct sim_list *l);
void sim_control_post_fetch(struct sim_world *w, uint32_t c);
void sim_control_ask_audit(struct sim_world *w);
void sim_control_post_to(struct sim_world *w, uint32_t c, enum reactor_msg_type type, uint32_t id);
void sim_control_on_note(void *arg, struct reactor_note *n);
void sim_control_take_notes(struct sim_world *w);

/* Something happens; and everything that was drawn ends. */
void sim_disturb_draw(struct sim_world *w);
void sim_disturb_end(struct sim_world *w);

/* M2, after each turn. */
void sim_oracle_check(struct sim_world *w, struct sim_list *l);
/* M9, of a REACTOR_AUDITED: a list that was right all the time is never said to be wrong. */
void sim_oracle_audited(struct sim_world *w, const struct reactor_note *n);
/* M1: it is what the server is. */
bool sim_oracle_converged(struct sim_world *w, struct sim_list *l);
/* For a person: which lists are not, and what they say. */
void sim_oracle_report(struct sim_world *w);
/* Its followers take what is there, the slow one only now and then; all: to the end. */
void sim_oracle_follow(struct sim_world *w, struct sim_list *l, bool all);

#endif
