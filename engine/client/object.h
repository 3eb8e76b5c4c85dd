/* object.h - one object out of a block: copied and then checked, or borrowed.
 *
 * A guard says what has to hold for the block to be whole after it was read: either the ring still
 * covers the position (S1, S5: head <= position + 1), or the slot still shows the same change and
 * block (S2).
 */
#ifndef KR_CLIENT_OBJECT_H
#define KR_CLIENT_OBJECT_H

#include "client/mapping.h"

struct object_buf {  /* grows, never shrinks; KR_PADDING readable bytes behind what was put in */
	uint8_t *at; /* own */
	size_t bytes;
};

struct object_guard {
	uint64_t position;
	uint32_t slot; /* 0: only the position counts */
	uint64_t seq;  /* what the slot said */
	uint64_t block;
};

bool object_intact(struct mapping *s, const struct object_guard *g);
/* Hands out the object in g->block: copied into buf, or in place (KR_BORROW). KR_ERR_OVERRUN: it
 * was not intact any more (no text); KR_ERR_CORRUPT, KR_ERR_MEMORY, KR_ERR_UNREACHABLE,
 * KR_ERR_STUCK with a text. */
int object_take(struct mapping *s, const struct object_guard *g, struct object_buf *buf,
        unsigned flags, struct kr_object *out);
/* The same without the check afterwards, which is the caller's: until object_intact() nothing of
 * *out means anything, and KR_ERR_CORRUPT (without a text) may just be a block that was reused. */
int object_load(struct mapping *s, const struct object_guard *g, struct object_buf *buf,
        unsigned flags, struct kr_object *out);
/* No object: every string is "", so nobody runs into NULL. */
void object_none(struct kr_object *out);
/* The guard of an object that was handed out; false when it does not lie in this shard. */
bool object_guard_of(const struct mapping *s, const struct kr_object *o, struct object_guard *g);
void object_buf_fini(struct object_buf *b);

#endif
