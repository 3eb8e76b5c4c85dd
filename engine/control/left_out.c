#include "control/left_out.h"

#include <stdio.h>

#include "control/core.h"
#include "json/json.h"

static void log_left_out(struct control *c, const struct open_list *l, const char *namespace_)
{
	char line[1024], names[96] = "", deep[96] = "", where[128] = "";
	const struct left_out *o = &l->left_out;
	unsigned long long all = (unsigned long long)o->names + o->deep;
	if (o->names)
		snprintf(names, sizeof names, "%u with a name of more than %d bytes or with NUL",
		        o->names, JSON_NAME_MAX);
	if (o->deep)
		snprintf(deep, sizeof deep, "%s%u nested in more than %d levels",
		        o->names ? ", " : "", o->deep, JSON_DEPTH_MAX);
	if (namespace_[0])
		snprintf(where, sizeof where, "; the last in namespace %.64s", namespace_);
	snprintf(line, sizeof line,
	        "cluster \"%.200s\": list of %.100s%s%.100s%s%.64s is without %llu object%s that "
	        "cannot be held: %s%s%s",
	        l->cluster->name, l->resource, l->group[0] ? "." : "", l->group,
	        l->namespace_[0] ? " in " : "", l->namespace_, all, all == 1 ? "" : "s", names,
	        deep, where);
	cluster_log_other(c, line);
}

void left_out_on_note(struct control *c, const struct reactor_note *n)
{
	struct open_list *l = n->id < c->lists.count ? c->lists.rows[n->id] : NULL;
	if (!l)
		return;
	l->left_out = (struct left_out){.names = n->left_names, .deep = n->left_deep};
	if (n->left_names || n->left_deep)
		log_left_out(c, l, n->text);
}

void left_out_write(const struct left_out *l, struct report *t)
{
	if (!l->names && !l->deep)
		return;
	report_open(t, "left_out", '{');
	report_uint(t, "names", l->names);
	report_uint(t, "deep", l->deep);
	report_close(t, '}');
}
