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

/* Never changes; what was found is apart from it. name: with the closing quote, zeros behind it. */
struct flat_name {
	char name[16];
	uint8_t name_bytes; /* without the quote */
	bool is_bool;
};
#define FLAT(lit)                                                                                  \
	{                                                                                          \
		.name = lit "\"", .name_bytes = sizeof(lit) - 1                                    \
	}
#define FLAT_BOOL(lit)                                                                             \
	{                                                                                          \
		.name = lit "\"", .name_bytes = sizeof(lit) - 1, .is_bool = true                   \
	}

enum { FLAT_NAMES_MAX = 8 };
struct flat {
	const struct flat_name *names;
	size_t count;
	uint32_t seen, truth;             /* a bit each */
	struct span text[FLAT_NAMES_MAX]; /* only of those seen: flat_text */
};

static inline struct span flat_text(const struct flat *f, size_t i)
{
	return f->seen >> i & 1 ? f->text[i] : SPAN_NONE;
}

struct flat_strings {
	quoted_fn read;
	const struct quoted_moves *moves;
};

/* doc: QUOTED_SLACK readable bytes behind it. buf: room for doc.n bytes and the slack; the texts
 * are in it. NULL when it is good, else what is wrong; nothing of the document is in that text. */
const char *flat_read(const struct flat_strings *s, struct span doc, struct flat *f, char *buf);

#endif
