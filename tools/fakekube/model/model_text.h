/* model_text.h - a growing byte buffer and the few formats that an API server writes: JSON strings
 * as Go escapes them, times, uids.
 *
 * Memory that cannot be had ends the process (CHECK): this is a test tool, and a model that answers
 * half is worse than none. Not thread-safe; every buffer has one owner. */
#ifndef KR_MODEL_MODEL_TEXT_H
#define KR_MODEL_MODEL_TEXT_H

#include "base/span.h"

#include <stdint.h>

/* Owner: whoever embeds it. Life: init (or all zero) .. fini. */
struct model_text {
	char *p;
	size_t n, cap;
};

void model_text_fini(struct model_text *t); /* back to all zero */
/* Room for n more bytes; returns where they go. The pointer holds until the next call. */
char *model_text_reserve(struct model_text *t, size_t n);
void model_text_printf(struct model_text *t, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
void model_text_u64(struct model_text *t, uint64_t v);
/* A JSON string with its quotes; <, > and & come as \u003c and so on, as Go's encoder writes them.
 */
void model_text_quoted(struct model_text *t, struct span s);
/* RFC 3339 in UTC with seconds: 2026-11-24T22:56:46Z. */
void model_text_time(struct model_text *t, int64_t unix_s);
/* RFC 9110 5.6.7: Tue, 24 Nov 2026 22:56:46 GMT. */
void model_text_http_date(struct model_text *t, int64_t unix_s);
/* A version 4 UUID made of the seed: the same seed gives the same uid. */
void model_text_uuid(struct model_text *t, uint64_t seed);
/* RFC 4648 4, with padding; url: 5, without. */
void model_text_base64(struct model_text *t, struct span s, bool url);

static inline void model_text_put(struct model_text *t, const void *p, size_t n)
{
	if (t->cap - t->n < n)
		model_text_reserve(t, n);
	if (n)
		memcpy(t->p + t->n, p, n);
	t->n += n;
}
static inline void model_text_span(struct model_text *t, struct span s)
{
	model_text_put(t, s.p, s.n);
}
static inline void model_text_str(struct model_text *t, const char *s)
{
	model_text_put(t, s, strlen(s));
}
static inline struct span model_text_as_span(const struct model_text *t)
{
	return (struct span){t->p, t->n};
}
#define TEXT_LIT(t, lit) model_text_put((t), (lit), sizeof(lit) - 1)

#endif
