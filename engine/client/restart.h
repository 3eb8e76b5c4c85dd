/* restart.h - what changed between the last state of the old daemon and the first whole one of the
 * new, so that no consumer has a gap that it is not told of: what was deleted while no daemon ran
 * is handed out as DELETED.
 *
 * The old mappings are still there, so the consumer's state (old list at the position it has been
 * handed everything up to) and the new list are both read, matched by namespace and name, and
 * handed out as DELETED, ADDED and MODIFIED, then SYNCED, then STATE. The digest is carried along,
 * and the last one has to be that of the new list. Where any of this fails (something of the old
 * state was never mapped, is torn, or the sums differ), KR_RESET.
 */
#ifndef KR_CLIENT_RESTART_H
#define KR_CLIENT_RESTART_H

#include "client/follow.h"

/* The list of f has moved to another home: prepares the difference. KR_OK: call restart_step;
 * KR_TIMEOUT: f has moved, there is nothing to say; or f->reset is set. KR_ERR_MEMORY: try again.
 */
int restart_begin(struct follow *f);
/* The next change of it. KR_TIMEOUT: all is said, f has moved. */
int restart_step(struct follow *f, struct kr_change *ch);
/* Moves f to its list's home with KR_RESET as the next thing to say. Returns KR_TIMEOUT. */
int restart_reset(struct follow *f);
void restart_free(struct restart **r);

#endif
