/* text.h - a growing text with a limit, for the JSON handed to exec plugins. Appends never fail
 * loudly: they set `broken`, which is asked once at the end. The bytes are wiped when it goes. */
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

#endif
