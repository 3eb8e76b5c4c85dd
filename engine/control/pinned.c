/* pinned.c - the lists that the configuration keeps open, for every cluster that their pattern
 * matches. */
#include <stdlib.h>
#include <string.h>

#include "config/pattern.h"
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
		cluster_log_other(c, m.text);
}

void lists_pin_entry(struct control *c, struct known_cluster *k, const struct settings_list *l)
{
	struct errmsg m = {0};
	if (k->broken.code || !pattern_match(l->clusters, k->name))
		return; /* broken: cluster_log_broken tells of it, once for all of its lists */
	if (clusters_place(c, k, &m))
		cluster_log_other(c, m.text);
	else
		questions_pin(c, k, l);
}

void lists_pin_cluster(struct control *c, struct known_cluster *k)
{
	const struct settings *s = c->config.settings;
	k->fresh = false;
	for (size_t i = 0; i < s->list_count; i++)
		lists_pin_entry(c, k, &s->lists[i]);
}

/* A question under way opens it anyway; one that is open is found to be so. */
static bool is_asked(const struct known_cluster *k, const struct settings_list *l)
{
	LIST_EACH (it, &k->questions) {
		const struct question *q = CONTAINER_OF(it, struct question, about);
		if (q->kind == QUESTION_PIN && q->pin == l)
			return true;
	}
	return false;
}

void lists_pin_again(struct control *c)
{
	const struct settings *s = c->config.settings;
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++) {
		struct known_cluster *k = c->clusters.by_name.rows[i];
		for (size_t n = 0; k->unpinned && n < s->list_count; n++)
			if (!is_asked(k, &s->lists[n]))
				lists_pin_entry(c, k, &s->lists[n]);
		k->unpinned = false;
	}
}

/* By what discovery said when it was opened: the entry may have a short name. */
static bool is_resource_of(const struct open_list *l, const struct settings_resource *want)
{
	char *name = l->cluster->discovery ? questions_name_of(want) : NULL;
	const struct discovery_resource *r =
	        name ? discovery_resolve(l->cluster->discovery, span_of(name)) : NULL;
	free(name);
	if (!r)
		return strcmp(want->resource, l->resource) == 0;
	return strcmp(r->resource, l->resource) == 0 && strcmp(r->group, l->group) == 0 &&
	       strcmp(r->version, l->version) == 0;
}

static bool is_named_in_full(const struct open_list *l, const struct settings_resource *want)
{
	return strcmp(want->resource, l->resource) == 0 && want->version[0] &&
	       strcmp(want->version, l->version) == 0 && strcmp(want->group, l->group) == 0;
}

bool lists_is_pinned_by(const struct control *c, const struct open_list *l,
        const struct settings_list *entry, bool in_full)
{
	if (in_full && !is_named_in_full(l, &entry->resource))
		return false;
	bool secret = !l->group[0] && strcmp(l->resource, "secrets") == 0;
	uint32_t realm = realm_of(c, l->cluster->name, l->group, l->resource, entry->namespace_);
	if (realm != l->realm || !pattern_match(entry->clusters, l->cluster->name))
		return false;
	bool metadata =
	        entry->metadata_only || (secret && !settings_secret_values(c->config.settings,
	                                                   &c->config.settings->realms[realm]));
	return metadata == l->metadata_only &&
	       entry->keep_managed_fields == l->keep_managed_fields &&
	       strcmp(or_empty(entry->namespace_), l->namespace_) == 0 &&
	       strcmp(or_empty(entry->label_selector), l->labels) == 0 &&
	       strcmp(or_empty(entry->field_selector), l->fields) == 0 &&
	       (in_full || is_resource_of(l, &entry->resource));
}

void lists_open_pinned(struct control *c)
{
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++)
		lists_pin_cluster(c, c->clusters.by_name.rows[i]);
}
