/* load.h - writes at a rate: open loop, each with the time at which it was meant to happen; and
 *profiles, which change rate and kind of load as time goes on.
 *
 * A profile is text, one item a line:
 *	phase SECONDS [rate=R] [status=W] [update=W] [create=W] [delete=W] [recreate=W] [labels=W]
 *	        [burst=W] [burst-size=N] [flood=1 trickle=R] [restart=1 down=MS] [dead=PERCENT]
 *	do COMMAND  # a command of the control socket, at the start of the phase above it
 *	repeat      # after the last phase, start again
 *
 * flood: the rate goes to the first cluster, trickle is what all others get together. restart: the
 * servers of all clusters are restarted one after the other, spread over the phase, each refusing
 * for that long. dead: that share of the clusters takes requests and says nothing. */
#ifndef KR_HOST_LOAD_H
#define KR_HOST_LOAD_H

#include "host/options.h"
#include "model/model_server.h"
#include "model/model_workload.h"

#define LOAD_PHASES_MAX   64
#define LOAD_COMMANDS_MAX 256

struct load_phase {
	double seconds, rate, trickle;
	uint64_t down_ms, dead;
	bool flood, restart;
	struct model_weights weights;
	size_t first_command, command_count;
};

/* Writes at a rate to works [first, first + count). */
struct load_stream {
	double rate;
	uint64_t begun_ns, made; /* since the rate was set */
	size_t first, count;
};

/* Owner: main. Life: init .. fini. */
struct load {
	struct model_workload *works; /* own; one per cluster and resource, cluster by cluster */
	size_t work_count, per_cluster, clusters;
	struct load_stream main, trickle;
	struct load_stream restarts; /* its works are clusters */
	uint64_t down_ms, dead;
	struct prng random;
	struct load_phase *phases; /* own */
	char **commands;           /* own */
	size_t phase_count, command_count, phase;
	uint64_t phase_end_ns;
	bool repeat, started;
};

/* Makes the clusters and their first objects. False: a message was printed. */
bool load_init(struct load *l, struct model_server *s, const struct options *o, uint64_t now_ns);
void load_fini(struct load *l);
/* File or built-in name. False: a message was printed. */
bool load_read_profile(struct load *l, const char *name);

/* To all clusters alike. */
void load_set_rate(struct load *l, double rate, uint64_t now_ns);
void load_set_weights(struct load *l, const struct model_weights *w);
/* Does what is due. Returns when it wants to be called again. command is called for each "do" line
 * that is due. */
typedef void (*load_command_fn)(void *arg, const char *command);
uint64_t load_turn(struct load *l, uint64_t now_ns, load_command_fn command, void *arg);

/* The workload of that cluster and kind; NULL if it has none. */
struct model_workload *load_find(
        struct load *l, const struct model_cluster *c, const struct model_kind *k);
/* "pods", "deployments.apps", "widgets.v1.example.com". NULL: the cluster does not serve it. */
const struct model_kind *load_resource(struct model_cluster *c, struct span text);
/* Makes the cluster serve "widgets.v1.example.com" (kind Widget). NULL: the text is not of that
 * form. */
const struct model_kind *load_add_custom(
        struct model_cluster *c, struct span text, uint64_t now_ns);

#endif
