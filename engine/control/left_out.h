/* left_out.h - which lists are without some of their objects (reactor/feed_left.h): told to the log
 * when that begins and when a list that is taken again is without others, and to who asks. */
#ifndef KR_CONTROL_LEFT_OUT_H
#define KR_CONTROL_LEFT_OUT_H

#include <stdint.h>

#include "control/report.h"
#include "reactor/reactor.h"

struct control;

/* Of one list, by what cannot be held of them; as of the last line. */
struct left_out {
	uint32_t names, deep;
};

/* REACTOR_LEFT_OUT. */
void left_out_on_note(struct control *c, const struct reactor_note *n);
/* Nothing of a list that has all. */
void left_out_write(const struct left_out *l, struct report *t);

#endif
