/* sim_main.c - runs seeds of the simulation: sim [--seed S] [--seeds N] [--replay N] [--verbose]. A
 * failed seed is named before the process ends; the same seed gives the same run, so `sim --seed S
 * --seeds 1 --verbose` shows it again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reactor/reactor.h"
#include "sim/sim_world.h"

static uint64_t current_seed;

static void on_abort(int sig)
{
	fprintf(stderr, "sim: FAILED at seed %llu; again with: sim --seed %llu --seeds 1\n",
	        (unsigned long long)current_seed, (unsigned long long)current_seed);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void add(struct sim_result *sum, const struct sim_result *r)
{
	sum->sim_ns += r->sim_ns;
	sum->events += r->events;
	sum->changes += r->changes;
	sum->checks += r->checks;
	sum->faults += r->faults;
	sum->relists += r->relists;
	sum->overruns += r->overruns;
	sum->resets += r->resets;
	sum->writes += r->writes;
	for (int v = 0; v < 3; v++)
		sum->audits[v] += r->audits[v];
	sum->converged_ns =
	        r->converged_ns > sum->converged_ns ? r->converged_ns : sum->converged_ns;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, seeds = 1, replay = 0;
	bool verbose = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--replay") == 0)
			replay = strtoull(argv[++i], NULL, 10);
		else
			return fprintf(stderr, "usage: sim [--seed S] [--seeds N] [--replay N] "
			                       "[--verbose]\n"),
			       2;
	}
	struct sim_result sum = {0}, r, again;
	signal(SIGABRT, on_abort);
	for (uint64_t i = 0; i < seeds; i++) {
		current_seed = seed + i;
		sim_world_run(current_seed, verbose, &r);
		if (i < replay) {
			sim_world_run(current_seed, verbose, &again);
			CHECK(again.trace == r.trace &&
			        again.sim_ns == r.sim_ns); /* one seed = one run */
		}
		add(&sum, &r);
		if (verbose)
			printf("seed %llu: trace %016llx, %llu changes, converged in %.1f s\n",
			        (unsigned long long)current_seed, (unsigned long long)r.trace,
			        (unsigned long long)r.changes, (double)r.converged_ns / 1e9);
	}
	printf("sim: %llu seeds (%llu run twice), %.1f simulated hours, %llu writes, %llu faults, "
	       "%llu changes followed, %llu lists checked against history, "
	       "%llu relists, %llu overruns told, %llu resets, audits: %llu equal, %llu different, "
	       "%llu without verdict, slowest convergence %.1f s\n",
	        (unsigned long long)seeds, (unsigned long long)replay, (double)sum.sim_ns / 3.6e12,
	        (unsigned long long)sum.writes, (unsigned long long)sum.faults,
	        (unsigned long long)sum.changes, (unsigned long long)sum.checks,
	        (unsigned long long)sum.relists, (unsigned long long)sum.overruns,
	        (unsigned long long)sum.resets, (unsigned long long)sum.audits[REACTOR_AUDIT_EQUAL],
	        (unsigned long long)sum.audits[REACTOR_AUDIT_DIFFERENT],
	        (unsigned long long)sum.audits[REACTOR_AUDIT_NO_VERDICT],
	        (double)sum.converged_ns / 1e9);
	return 0;
}
