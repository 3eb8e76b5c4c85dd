/* flat.h - one JSON object whose members we know by name: strings and booleans. Private to this
 * room.
 *
 * All of the text is checked against RFC 8259 but for UTF-8 and the size of numbers, also the
 * members that are skipped. Depth at most JSON_DEPTH_MAX. A known member that is there twice, or is
 * of another type, is refused. */
#ifndef KR_HEADLAMP_FLAT_H
#define KR_HEADLAMP_FLAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "headlamp/quoted.h"

struct flat {
	const char *name;
	size_t name_bytes;
	bool is_bool;
	bool seen, value;
	struct span text;
};
#define FLAT(lit)                                                                                  \
	{                                                                                          \
		.name = (lit), .name_bytes = sizeof(lit) - 1                                       \
	}
#define FLAT_BOOL(lit)                                                                             \
	{                                                                                          \
		.name = (lit), .name_bytes = sizeof(lit) - 1, .is_bool = true                      \
	}

struct flat_strings {
	quoted_fn read;
	const struct quoted_moves *moves;
};

/* doc: QUOTED_SLACK readable bytes behind it. buf: room for doc.n bytes and the slack; the texts
 * are in it. NULL when it is good, else what is wrong; nothing of the document is in that text. */
const char *flat_read(
        const struct flat_strings *s, struct span doc, struct flat *f, size_t count, char *buf);

#endif
