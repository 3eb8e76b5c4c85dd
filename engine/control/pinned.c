/* pinned.c - the lists that the configuration keeps open, for every cluster that their pattern
 * matches.
 *
 * An entry need not say which version. A resource that is served in another one some day (v1beta1
 * goes when v1 has come) leaves a list behind that is parked on 404: so these are looked at now and
 * then, and what their entries mean is asked anew. */
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

/* What there was no memory, descriptor or row for is tried again with the next look. */
static void say_why_not(struct control *c, struct known_cluster *k, const struct errmsg *m)
{
	k->fresh |= err_class_of(m->code) == ERR_CLASS_LOCAL;
	cluster_log_other(c, m->text);
}

void pinned_open(struct control *c, struct known_cluster *k, const struct settings_list *l,
        const struct discovery_resource *r)
{
	struct errmsg m = {0};
	if (pin(c, k, l, r, &m))
		say_why_not(c, k, &m);
}

void lists_pin_entry(struct control *c, struct known_cluster *k, const struct settings_list *l)
{
	struct errmsg m = {0};
	if (k->broken.code || !pattern_match(l->clusters, k->name))
		return; /* broken: cluster_log_broken tells of it, once for all of its lists */
	if (clusters_place(c, k, &m))
		say_why_not(c, k, &m);
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

static void look_again(struct control *c)
{
	loop_timer_set(
	        c->loop, &c->lists.look, loop_now_ns(c->loop) + LISTS_LOOK_S * 1000000000ull);
}

void lists_open_pinned(struct control *c)
{
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++)
		lists_pin_cluster(c, c->clusters.by_name.rows[i]);
	look_again(c);
}

/* It is let go as if no entry named it. If the resource is there in the same version after all, the
 * entry's question brings it back before it closes. */
static void let_go_if_absent(struct control *c, struct open_list *l, struct list_reader *r)
{
	struct shm_list row;
	if (!l->pinned || l->ended || !list_reader_row(r, l, &row) ||
	        row.state != SHM_LIST_PARKED || row.last_error != ERR_KUBE_NOT_FOUND)
		return;
	questions_doubt(c, l->cluster);
	l->cluster->fresh = true;
	lists_unpin(c, l);
}

void lists_on_look(struct loop_timer *t)
{
	struct control *c = CONTAINER_OF(t, struct control, lists.look);
	struct list_reader *r = list_reader_new(c);
	for (uint32_t i = 0; i < c->lists.count; i++)
		if (c->lists.rows[i])
			let_go_if_absent(c, c->lists.rows[i], r);
	list_reader_free(&r);
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++)
		if (c->clusters.by_name.rows[i]->fresh)
			lists_pin_cluster(c, c->clusters.by_name.rows[i]);
	look_again(c);
}
