/* feed_left.h - what a list leaves out: objects that an API server takes and we cannot hold. Their
 * names are longer than JSON_NAME_MAX or have a NUL in them (of roles and their bindings anything
 * may be one), or they are nested deeper than JSON_DEPTH_MAX. Were such a list refused as a whole,
 * whoever may create one object could take it from everybody.
 *
 * Only what is well formed but for that is left out; what is broken is refused, as everywhere.
 *   - A name never changes, so an object whose name cannot be held was never in the list.
 *   - Depth does. What becomes too deep goes from the list, as if it were deleted; when it is
 *     shallow again it comes as something new.
 */
#ifndef KR_REACTOR_FEED_LEFT_H
#define KR_REACTOR_FEED_LEFT_H

#include "reactor/feed.h"

/* deep: never less than there are; how many of them are shallow by now is not known until the list
 * is taken again. */
struct feed_left_count {
	uint32_t names, deep;
};

/* Of lists that have left something out. Owner: its feed. */
struct feed_left {
	struct feed_left_count live, sync, told; /* sync: of the one that is under way */
	char namespace_[JSON_NAMESPACE_MAX + 1]; /* of the last of them */
};

/* Is it an error of an object that is well formed, and cannot be held? */
static inline bool feed_left_is(err_t err)
{
	return err == ERR_JSON_NAME || err == ERR_JSON_DEPTH;
}

/* err, with which doc (an item, or an event) was refused: may it be left out? *out is what was read
 * of it, and is filled in where it was too deep; it points into *text then, own. ERR_JSON_NAME or
 * ERR_JSON_DEPTH: for this. Any other error: refuse it for that. */
err_t feed_left_read(struct feed *f, struct span doc, bool is_event, err_t err,
        struct json_event *out, char **text) MUST_USE;
/* Counts one of a sync. */
err_t feed_left_item(struct feed *f, err_t why, const struct json_object *o) MUST_USE;
/* Counts an event of the stream (`was_live`: its object was in the list until now), and says so if
 * it is the first. */
err_t feed_left_event(
        struct feed *f, err_t why, const struct json_event *ev, bool was_live) MUST_USE;
/* A sync has begun; is the list now. */
void feed_left_begin(struct feed *f);
void feed_left_commit(struct feed *f);
/* Is it known to hold all that has a name? */
bool feed_left_no_deep(const struct feed *f);

#endif
