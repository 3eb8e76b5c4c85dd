/* fold.h - the consumer that proves the library right: a view and the changes after it, folded into
 * a set of its own, whose digest must be the one that the daemon says, after each and every change
 * (D2). Also checks that changes make sense: ADDED was not there, MODIFIED replaces what was, bytes
 * belong to the version (D3). Any deviation ends the test with a message.
 */
#ifndef KR_HARNESS_FOLD_H
#define KR_HARNESS_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/kubering.h"

struct fold_item {
	char *key;      /* own: namespace/name; NULL = empty place */
	char *uid, *rv; /* own; NULL = deleted */
};

struct fold {
	struct fold_item *items; /* own; open addressing */
	size_t room, used, count;
	uint64_t digest;
	uint64_t seq; /* of the last change of this incarnation */
	uint64_t changes, resets, restarts;
	bool bytes; /* objects are fake_object's: check every byte */
};

void fold_init(struct fold *f);
void fold_fini(struct fold *f);
/* Takes the view into an empty set, checks digest and count. Ends the view (not its follow).
 * KR_ERR_OVERRUN: begin again. */
int fold_view(struct fold *f, struct kr_view *v);
/* Applies and checks. False for KR_RESET: take a new view. */
bool fold_change(struct fold *f, const struct kr_change *ch);
/* rv of an object, NULL if it is not there. */
const char *fold_rv(const struct fold *f, const char *ns, const char *name);

#endif
