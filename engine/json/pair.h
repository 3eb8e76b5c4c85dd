/* pair.h - two JSON texts side by side, the old one known to be valid, to find out whether the new
 * one is the same but for the inside of some values.
 *
 * Why that is enough: a reader of JSON is a machine that sees one byte after the other. Where both
 * texts have been equal so far, it is in the same state in both. Where they differ inside of one
 * token that is a whole value in both (a string, a number, true, false, null), it is in the same
 * state again behind that token. So of the new text only these tokens have to be checked, and they
 * are. Everything else is "not sure", which is never wrong. */
#ifndef KR_JSON_PAIR_H
#define KR_JSON_PAIR_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

/* Owner: the caller's stack. Thread: any. Life: while both texts stay. */
struct pair {
	const char *now, *now_end; /* the new text: up to where it has been read, and its end */
	const char *was, *was_end; /* the old one */
	const char *was_begin;     /* from here on it is one valid object or array */
	const char *floor;         /* in the old text: the end of the last token that differed */
};

/* The token in which the two differ. */
struct pair_token {
	struct span now, was; /* strings with their quotes */
	bool is_name;         /* the name of a member, not a value */
};

static inline struct pair pair_of(struct span now, struct span was)
{
	return (struct pair){.now = now.p,
	        .now_end = now.p + now.n,
	        .was = was.p,
	        .was_end = was.p + was.n,
	        .was_begin = was.p,
	        .floor = was.p};
}
/* Goes on while both are equal, but not beyond `limit` in the old text. */
void pair_equal(struct pair *p, const char *limit);
/* Goes behind the token in which the two differ at this place. false: it is not one token, or the
 * new one is not well formed, or we cannot tell. */
bool pair_token(struct pair *p, struct pair_token *out) MUST_USE;
/* The name of the member whose value begins at `value` in the old text, with its quotes. Empty for
 * an element of an array, and for a name of more than 30 bytes. false: there are escapes in it. */
bool pair_member(const struct pair *p, const char *value, struct span *name) MUST_USE;

#endif
