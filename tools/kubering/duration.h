/* duration.h - times as people write and read them. Pure. */
#ifndef KR_KUBERING_DURATION_H
#define KR_KUBERING_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { DURATION_BYTES = 32 };

/* "90s", "1m30s", "500ms", "2h", "1.5s" or plain seconds ("30"). False: none of these, or over 10
 * years. */
bool duration_parse(const char *s, int64_t *ns);
/* As kubectl prints an AGE (k8s.io/apimachinery duration.HumanDuration): at most two units, seconds
 * only below 10 minutes. "<invalid>" for a time more than a second in the future. */
void duration_human(int64_t seconds, char out[DURATION_BYTES]);
/* RFC 3339 as Kubernetes writes it ("2026-11-25T10:00:00Z", fractions and offsets allowed) to
 * seconds since 1970, fractions cut. */
bool duration_parse_time(struct span s, int64_t *unix_seconds);

#endif
