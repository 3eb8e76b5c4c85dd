/* sim_world.h - one seed = one world: clusters (the API-server model), reactors on a simulated
 * network, lists, followers at their own pace, writes, and faults drawn by the seed (each seed its
 * own mix). A safety phase with faults, then a liveness phase without, in which everything must
 * converge.
 *
 * Oracle (ARCHITECTURE.md, M and D): after each turn, what a list publishes must be what the
 * server was at that version (M2), by digest against the model's own history; followers check D1,
 * D2, M3, M4, M5; at the end every list equals the server's present (M1), also those with
 * selectors (M7). Every second seed has audits on (M9): they never call a list different that was
 * right all the time, and at the end those are right too that no stream could have told that they
 * were wrong. */
#ifndef KR_TESTS_SIM_WORLD_H
#define KR_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct sim_result {
	uint64_t trace; /* equal for equal seeds */
	uint64_t sim_ns, events, changes, checks, faults, relists, overruns, resets, writes;
	uint64_t audits[3];    /* by enum reactor_verdict */
	uint64_t converged_ns; /* longest time to converge after the faults ended */
};
/* Runs one seed to its end; CHECK stops the process where a promise is broken. verbose: says what
 * it does. */
void sim_world_run(uint64_t seed, bool verbose, struct sim_result *out);

#endif
