#include "control/audits.h"

#include <stdio.h>

#include "control/core.h"

const char *audits_word(enum reactor_verdict v)
{
	static const char *const words[] = {[REACTOR_AUDIT_NO_VERDICT] = "none",
	        [REACTOR_AUDIT_EQUAL] = "equal",
	        [REACTOR_AUDIT_DIFFERENT] = "different"};
	return words[v];
}

static void log_difference(struct control *c, const struct open_list *l, const char *text)
{
	struct audits *a = &c->audits;
	char line[ERRMSG_BYTES + 700], more[48] = "";
	uint64_t now = loop_now_ns(c->loop);
	if (a->logged_ns && now - a->logged_ns < AUDITS_LINE_S * 1000000000ull) {
		a->untold++;
		return;
	}
	if (a->untold)
		snprintf(more, sizeof more, " (and %u lists more)", a->untold);
	a->logged_ns = now;
	a->untold = 0;
	snprintf(line, sizeof line, "cluster \"%.200s\": list of %.100s%s%.100s%s%.64s: %s%s",
	        l->cluster->name, l->resource, l->group[0] ? "." : "", l->group,
	        l->namespace_[0] ? " in " : "", l->namespace_, text, more);
	c->config.warn(line);
}

void audits_on_verdict(struct control *c, const struct reactor_note *n)
{
	struct open_list *l = n->list < c->lists.count ? c->lists.rows[n->list] : NULL;
	c->audits.count[n->verdict]++;
	if (!l)
		return;
	l->audits.count[n->verdict]++;
	if (n->verdict == REACTOR_AUDIT_DIFFERENT)
		log_difference(c, l, n->text);
}

void audits_write(const struct audits_of_list *l, struct report *t)
{
	uint64_t all = 0;
	for (int v = 0; v < AUDIT_VERDICTS; v++)
		all += l->count[v];
	if (!all)
		return;
	report_open(t, "audits", '{');
	report_uint(t, "equal", l->count[REACTOR_AUDIT_EQUAL]);
	report_uint(t, "different", l->count[REACTOR_AUDIT_DIFFERENT]);
	report_uint(t, "inconclusive", l->count[REACTOR_AUDIT_NO_VERDICT]);
	report_close(t, '}');
}
