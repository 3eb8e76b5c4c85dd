/* ahead.h - fetches what the next sockets' events are about, before their turn.
 *
 * With thousands of sockets that have an event each, everything about a socket is cold: its
 * connection, its list, the object that changes. Each is found through the one before, so a socket
 * alone waits for memory eight times in a row. Here some sockets go through these steps together:
 * each step waits once for all of them. Nothing but prefetches happens: whatever the bytes turn out
 * to be, nothing is done with them. */
#ifndef KR_REACTOR_AHEAD_H
#define KR_REACTOR_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "io/io.h"

struct reactor;

/* io's on_ahead. */
void ahead_fetch(struct reactor *r, const struct io_ahead *a, size_t n);
/* Is the object that the event at this place is about on its way already? */
bool ahead_has(const struct reactor *r, const char *event);

#endif
