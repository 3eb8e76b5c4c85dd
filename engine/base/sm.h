/* sm.h - state machines as tables: a row per state, with its name and the states that may follow. A
 * move that the table does not allow is a bug and stops the process (CHECK), in every build: a
 * machine in an impossible state would serve wrong lists. */
#ifndef KR_BASE_SM_H
#define KR_BASE_SM_H

#include <stdint.h>

#include "base/check.h"

struct sm_row {
	const char *name;
	uint32_t next; /* bit s set: state s may follow */
};
#define SM_TO(s) (1u << (s))

static inline void sm_move(const struct sm_row *table, uint8_t *state, uint8_t to)
{
	CHECK(table[*state].next & SM_TO(to));
	*state = to;
}

#endif
