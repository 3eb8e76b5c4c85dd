/* feed_secret.h - metadata of Secrets that tells no values.
 *
 * Who applies objects writes the whole of them into an annotation, to find out next time what was
 * taken away: `kubectl apply` does. Of a Secret that is its values, in what the server calls
 * metadata. So these annotations are emptied where Secrets are kept as metadata, in place and
 * before anybody reads them: "..." becomes "" and white space, and what is kept is as long as
 * before.
 */
#ifndef KR_REACTOR_FEED_SECRET_H
#define KR_REACTOR_FEED_SECRET_H

#include "base/span.h"
#include "reactor/reactor.h"

/* Is this a list of Secrets without values? */
bool feed_secret_is(const struct list_spec *s);
/* One event or object, in writable memory. What is no JSON stays no JSON. */
void feed_secret_blank(struct span doc);

#endif
