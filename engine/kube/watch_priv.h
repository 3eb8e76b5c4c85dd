/* watch_priv.h - the inside of a watch: what watch.c and watch_state.c share. */
#ifndef KR_KUBE_WATCH_PRIV_H
#define KR_KUBE_WATCH_PRIV_H

#include "kube/watch.h"

void watch_enter(struct watch *w, enum watch_state s);
/* CHECKs what holds between two inputs. */
void watch_invariant(const struct watch *w);

#endif
