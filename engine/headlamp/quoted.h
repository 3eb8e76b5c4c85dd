/* quoted.h - a JSON string is read once: checked, and unescaped on the way. Private to this room.
 *
 * What is read are documents inside a string, where every quote of the document is \": one escape
 * in 8 bytes, at places that no branch predictor guesses. So the kernels do not jump from escape to
 * escape: of 64 bytes they drop the backslashes that escape a quote, a backslash or a slash, and
 * only \n, \u and the like go one by one.
 */
#ifndef KR_HEADLAMP_QUOTED_H
#define KR_HEADLAMP_QUOTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { QUOTED_SLACK = 64 }; /* bytes behind `end` that are read, and behind the text written */

struct quoted {
	const char *p, *end; /* p: behind the opening quote; then behind the closing one */
	char *to;            /* room for end - p bytes and the slack; then behind the text */
};

/* For the AVX2 kernel: how to move the bytes of 8 that are kept to the front, by mask. */
struct quoted_moves {
	uint8_t at[256][8];
};
void quoted_moves_init(struct quoted_moves *m);

/* False: no closing quote before end, a control character, or a broken escape. A lone surrogate
 * escape becomes U+FFFD. UTF-8 is passed on as it is. */
typedef bool (*quoted_fn)(struct quoted *q, const struct quoted_moves *m);

/* The best one of this processor, and for tests each of them; NULL: this processor has not got it.
 */
enum quoted_kernel { QUOTED_PORTABLE, QUOTED_AVX2, QUOTED_AVX512, QUOTED_KERNELS };
quoted_fn quoted_best(void);
quoted_fn quoted_of(enum quoted_kernel k);

/* Of the kernels: the one escape at q->p, which is a backslash. */
bool quoted_escape(struct quoted *q);
bool quoted_avx2(struct quoted *q, const struct quoted_moves *m);
bool quoted_avx512(struct quoted *q, const struct quoted_moves *m);

#endif
