/* audits.h - what came of the self-audits (reactor/audit.h): counted, and a difference told to the
 * log. */
#ifndef KR_CONTROL_AUDITS_H
#define KR_CONTROL_AUDITS_H

#include <stdint.h>

#include "control/report.h"
#include "reactor/reactor.h"

struct control;

enum { AUDIT_VERDICTS = REACTOR_AUDIT_DIFFERENT + 1 };

/* By enum reactor_verdict. */
struct audits_of_list {
	uint32_t count[AUDIT_VERDICTS];
};

struct audits {
	uint64_t count[AUDIT_VERDICTS]; /* of all lists there ever were */
};

/* "equal", "different", "none" */
const char *audits_word(enum reactor_verdict v);
/* REACTOR_AUDITED for the count. Lines within the budget of cluster_log.c: were there a fault of
 * ours, all lists would differ. */
void audits_on_verdict(struct control *c, const struct reactor_note *n);
/* Nothing of a list that never was audited. */
void audits_write(const struct audits_of_list *l, struct report *t);

#endif
