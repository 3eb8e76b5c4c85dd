/* sim_follow.h - a consumer of the simulation: follows one list through the read half of shm/,
 * keeps its own fold, and checks what it is promised:
 *
 *   D1  each change once, in order
 *   D2  the fold is the digest that the change carries
 *   M3  versions do not go back without RESET
 *   M4  versions of one object rise
 *   M5  recreate = DELETED + ADDED
 *   D4  overrun is told, nothing wrong before it
 */
#ifndef KR_TESTS_SIM_FOLLOW_H
#define KR_TESTS_SIM_FOLLOW_H

#include "shm/read.h"
#include "store/store.h"

struct sim_object {
	uint64_t key, hash, rv;
	char uid[64];
	bool live;
};

struct sim_follow {
	struct read_shard *shard; /* own */
	struct store *store;      /* borrow */
	uint32_t list, gen;
	uint64_t position; /* changes up to it are folded */
	uint64_t digest, rv;
	struct sim_object *table; /* own; open addressing by key */
	size_t cap, used;
	uint64_t changes, resets, overruns, synced;
	bool whole;
	uint64_t trace; /* hash over everything that was seen */
};

void sim_follow_init(struct sim_follow *f, struct store *s, uint32_t list, uint32_t gen);
void sim_follow_fini(struct sim_follow *f);
/* Takes at most `most` changes; returns how many. CHECKs every promise. */
size_t sim_follow_step(struct sim_follow *f, size_t most);

#endif
