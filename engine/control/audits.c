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
	char line[ERRMSG_BYTES + 700];
	snprintf(line, sizeof line, "cluster \"%.200s\": list of %.100s%s%.100s%s%.64s: %s",
	        l->cluster->name, l->resource, l->group[0] ? "." : "", l->group,
	        l->namespace_[0] ? " in " : "", l->namespace_, text);
	cluster_log_other(c, line);
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
	for (int v = 0; v < AUDIT_VERDICTS; v++)
		report_uint(t, audits_word((enum reactor_verdict)v), l->count[v]);
	report_close(t, '}');
}
