/* base64.h - base/base64.h with line breaks, which are ignored: kubeconfig `*-data` fields are
 * written by people and by `base64` with its 76-column lines. */
#ifndef KR_CONFIG_BASE64_H
#define KR_CONFIG_BASE64_H

#include <stdbool.h>

#include "base/span.h"
#include "config/arena.h"

/* Into arena, NUL behind it. false: not base64 (out->p NULL), or no memory left in the arena. */
bool base64_decode(struct span text, struct arena *arena, struct span *out);

#endif
