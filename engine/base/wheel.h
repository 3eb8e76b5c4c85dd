/* wheel.h - timers: a hashed wheel of 10 ms ticks, 4096 slots (41 s); later deadlines stay in their
 * slot for more rounds. Arming and cancelling are a list operation each. A timer may fire up to one
 * tick late, never early. Not thread-safe; time comes in. */
#ifndef KR_BASE_WHEEL_H
#define KR_BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

enum { WHEEL_SLOTS = 4096, WHEEL_TICK_NS = 10000000 };

struct wheel_timer {
	struct list link;
	uint64_t at_ns; /* UINT64_MAX: not armed */
	uint32_t kind;  /* the owner's: what the timer is a field of */
};
struct wheel {
	struct list slots[WHEEL_SLOTS];
	uint64_t tick;    /* everything due before it has fired */
	uint64_t next_ns; /* no timer is due before this (a lower bound) */
	uint32_t armed;
};

void wheel_init(struct wheel *w, uint64_t now_ns);
void wheel_timer_init(struct wheel_timer *t, uint32_t kind);
/* Arms or moves a timer; at_ns UINT64_MAX cancels it. */
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t at_ns);
/* The next timer that is due at now_ns, unarmed; NULL when there is none. Call until NULL. */
struct wheel_timer *wheel_pop(struct wheel *w, uint64_t now_ns);
/* When to call wheel_pop next: a lower bound of the earliest deadline, UINT64_MAX when nothing is
 * armed. */
uint64_t wheel_next_ns(const struct wheel *w);

#endif
