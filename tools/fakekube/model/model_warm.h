/* model_warm.h - hints to the processor: what the next writes to many clusters will touch.
 *
 * With thousands of clusters nothing of the next one is in the cache, and a write goes from its
 * workload to the object and to the connection that watches it by some ten pointers, each of which
 * would be waited for. So they are followed for a handful of writes side by side before these are
 * made. Nothing but speed depends on it: what is drawn here is not what will be. */
#ifndef KR_MODEL_MODEL_WARM_H
#define KR_MODEL_MODEL_WARM_H

#include "model/model_workload.h"

#define MODEL_WARM_MAX 32

/* n <= MODEL_WARM_MAX. */
void model_warm(struct model_workload *const *works, size_t n);

#endif
