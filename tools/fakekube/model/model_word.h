/* model_word.h - the words of a line: of a command, of a fault, of a header. */
#ifndef KR_MODEL_MODEL_WORD_H
#define KR_MODEL_MODEL_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* Without spaces and tabs at its ends. */
static inline struct span model_word_trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Takes the next word of the line; empty: there is none left. */
static inline struct span model_word_take(struct span *line)
{
	while (line->n && (line->p[0] == ' ' || line->p[0] == '\t' || line->p[0] == '\r')) {
		line->p++;
		line->n--;
	}
	struct span w = {line->p, 0};
	while (w.n < line->n && w.p[w.n] != ' ' && w.p[w.n] != '\t' && w.p[w.n] != '\r')
		w.n++;
	line->p += w.n;
	line->n -= w.n;
	return w;
}

/* Decimal digits and nothing else. */
static inline bool model_word_u64(struct span s, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(s.p[i] - '0');
		if (d > 9 || *out > (UINT64_MAX - d) / 10)
			return false;
		*out = *out * 10 + d;
	}
	return s.n > 0;
}

#endif
