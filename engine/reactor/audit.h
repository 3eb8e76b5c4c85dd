/* audit.h - the self-audits of one cluster's lists: one at a time, each a LIST of metadata through
 * the cluster's gate, folded as it comes (kube/audit.h decides). By the cluster's setting, each
 * list at its own pace, and when somebody asks. */
#ifndef KR_REACTOR_AUDIT_H
#define KR_REACTOR_AUDIT_H

#include "reactor/feed.h"

struct list_audit;

enum { AUDIT_PACE_S = 1 }; /* between two audits of one cluster that wait for their turn */

/* The setting of its cluster is known, or is another one: when it is due next. Without memory it is
 * not audited; nothing else suffers. */
void audit_plan(struct feed *f);
/* Somebody asks; takes the note for the answer. Asked twice it is audited once. */
void audit_ask(struct feed *f, struct reactor_note *answer);
/* The feed goes. */
void audit_cancel(struct feed *f);
void audit_on_timer(struct wheel_timer *t);

#endif
