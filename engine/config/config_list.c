#include "config/config_list.h"

#include <string.h>

#include "config/settings_priv.h"

err_t config_list_add(struct settings *s, const char *text, struct errmsg *m)
{
	char resource[512];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	if (!n || n >= sizeof resource || (slash && !slash[1]))
		return errmsg_set(m, ERR_CONFIG,
		        "--list \"%s\": want RESOURCE[.VERSION][.GROUP][/NAMESPACE]", text);
	memcpy(resource, text, n);
	resource[n] = 0;
	struct settings_list *lists = arena_alloc(&s->arena, (s->list_count + 1) * sizeof *lists);
	if (!lists)
		return errmsg_set(m, ERR_NO_MEMORY, "--list \"%s\"", text);
	if (s->list_count)
		memcpy(lists, s->lists, s->list_count * sizeof *lists);
	struct settings_list *l = &lists[s->list_count];
	*l = (struct settings_list){.clusters = "*", .namespace_ = slash ? slash + 1 : NULL};
	if (!settings_resource_parse(resource, &s->arena, &l->resource))
		return errmsg_set(m, ERR_CONFIG,
		        "--list \"%s\": \"%s\" is no RESOURCE[.VERSION][.GROUP]", text, resource);
	if (l->namespace_ && !settings_is_namespace(l->namespace_))
		return errmsg_set(m, ERR_CONFIG,
		        "--list \"%s\": \"%s\" cannot be a namespace: lower case letters, digits "
		        "and '-'",
		        text, l->namespace_);
	s->lists = lists;
	s->list_count++;
	return ERR_OK;
}
