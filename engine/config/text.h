/* text.h - what header values and JSON for exec plugins are made with.
 *
 * A growing text with a limit: appends never fail loudly, they set `broken`, which is asked once at
 * the end. The bytes are wiped when it goes. */
#ifndef KR_CONFIG_TEXT_H
#define KR_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Owner: whoever embeds it. Thread: one at a time. Life: {.bytes_max = N} to text_fini. */
struct text {
	char *p; /* own; NUL-terminated when not NULL */
	size_t n, capacity, bytes_max;
	bool broken; /* over the limit or out of memory: p is incomplete */
};

void text_fini(struct text *t);
void text_push(struct text *t, struct span s);
/* s as a JSON string, quotes included. s must be UTF-8 (libyaml and json/ vouch for it). */
void text_push_json(struct text *t, struct span s);
/* Standard base64 with padding (RFC 4648 section 4). */
void text_push_base64(struct text *t, struct span bytes);

/* Without white space at its ends. */
struct span text_trim(struct span s);
/* RFC 9110 5.5: visible characters, blanks and bytes above 0x7f. A line break would let a
 * kubeconfig or a plugin write headers of its own. */
bool text_is_header(struct span s);

#endif
