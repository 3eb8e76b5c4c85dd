/* pinned.c - the lists that the configuration keeps open, for every cluster that their pattern
 * matches. */
#include <fnmatch.h>
#include <string.h>

#include "config/settings.h"
#include "control/core.h"
#include "control/questions.h"
#include "kube/discovery.h"

static uint32_t realm_of(const struct control *c, const char *cluster, const char *group,
        const char *resource, const char *namespace_)
{
	const struct settings *s = c->config.settings;
	const struct settings_realm *r =
	        settings_realm_for(s, cluster, group, resource, namespace_);
	return r ? (uint32_t)(r - s->realms) : UINT32_MAX;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static err_t pin(struct control *c, const struct known_cluster *k, const struct settings_list *l,
        const struct discovery_resource *r, struct errmsg *m)
{
	uint32_t realm = realm_of(c, k->name, r->group, r->resource, l->namespace_);
	if (realm == UINT32_MAX)
		return errmsg_set(m, ERR_DENIED,
		        "no realm covers %s of cluster \"%s\": nobody could read it", r->resource,
		        k->name);
	struct list_want w = {k->name, r->group, r->version, r->resource, or_empty(l->namespace_),
	        or_empty(l->label_selector), or_empty(l->field_selector), l->metadata_only,
	        l->keep_managed_fields};
	if (!w.group[0] && strcmp(w.resource, "secrets") == 0 &&
	        !settings_secret_values(c->config.settings, &c->config.settings->realms[realm]))
		w.metadata_only = true;
	return lists_open(c, &w, realm, NULL, m);
}

void pinned_open(struct control *c, const struct known_cluster *k, const struct settings_list *l,
        const struct discovery_resource *r)
{
	struct errmsg m = {0};
	if (pin(c, k, l, r, &m))
		c->config.warn(m.text);
}

void lists_pin_cluster(struct control *c, struct known_cluster *k)
{
	const struct settings *s = c->config.settings;
	for (size_t i = 0; i < s->list_count; i++) {
		struct errmsg m = {0};
		if (fnmatch(s->lists[i].clusters, k->name, 0) != 0)
			continue;
		if (clusters_place(c, k, &m))
			c->config.warn(m.text);
		else
			questions_pin(c, k, &s->lists[i]);
	}
}

void lists_open_pinned(struct control *c)
{
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++)
		lists_pin_cluster(c, c->clusters.by_name.rows[i]);
}
