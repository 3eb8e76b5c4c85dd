#include "control/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "control/core.h"
#include "control/questions.h"
#include "control/report.h"

static const char removed_text[] = "the cluster was removed from the configuration";

/* --- settings ---------------------------------------------------------------------------- */

static void needs_restart(struct reload *r, const char *name)
{
	size_t n = strlen(r->restart);
	snprintf(r->restart + n, sizeof r->restart - n, "%s%s", n ? ", " : "", name);
}

static void keep_number(struct reload *r, const char *name, uint64_t *next, uint64_t now)
{
	if (*next == now)
		return;
	needs_restart(r, name);
	*next = now;
}

/* What the process was started with. */
static void keep_start(struct reload *r, struct settings *next, const struct settings *now)
{
	struct settings_limits *l = &next->limits;
	const struct settings_limits *m = &now->limits;
	if (strcmp(next->socket, now->socket) != 0)
		needs_restart(r, "socket");
	if (next->io != now->io)
		needs_restart(r, "io");
	if (next->tls_records != now->tls_records)
		needs_restart(r, "tlsRecords");
	if (next->log_format != now->log_format || next->log_level != now->log_level)
		needs_restart(r, "log");
	if (next->metrics_port != now->metrics_port)
		needs_restart(r, "metrics");
	next->socket = now->socket;
	next->io = now->io;
	next->tls_records = now->tls_records;
	next->log_format = now->log_format;
	next->log_level = now->log_level;
	next->metrics_port = now->metrics_port;
	keep_number(r, "reactors", &next->reactors, now->reactors);
	keep_number(r, "batchWaitMicros", &next->batch_wait_us, now->batch_wait_us);
	keep_number(r, "limits.memoryBytes", &l->memory_bytes, m->memory_bytes);
	keep_number(r, "limits.shardBytes", &l->shard_bytes, m->shard_bytes);
	keep_number(r, "limits.objectsMax", &l->objects_max, m->objects_max);
	keep_number(r, "limits.ringEntries", &l->ring_entries, m->ring_entries);
	keep_number(r, "limits.retainedBytes", &l->retained_bytes, m->retained_bytes);
	keep_number(r, "limits.eventBytesMax", &l->event_bytes_max, m->event_bytes_max);
	keep_number(r, "limits.listsMax", &l->lists_max, m->lists_max);
}

/* A realm's number is its place, and is written into segments. */
static bool realms_fit(const struct settings *next, const struct settings *now)
{
	for (size_t i = 0; i < now->realm_count; i++)
		if (i >= next->realm_count ||
		        strcmp(next->realms[i].name, now->realms[i].name) != 0)
			return false;
	return true;
}

/* --- clusters ---------------------------------------------------------------------------- */

static struct config_cluster *named(struct config *next, const char *name)
{
	size_t a = 0, b = next->cluster_count;
	while (a < b) {
		size_t at = a + (b - a) / 2;
		int order = strcmp(next->clusters[at].name, name);
		if (order == 0)
			return &next->clusters[at];
		if (order < 0)
			a = at + 1;
		else
			b = at;
	}
	return NULL;
}

static struct config_backend *backend_named(struct config *next, const char *name)
{
	for (size_t i = 0; i < next->backend_count; i++)
		if (strcmp(next->backends[i].name, name) == 0)
			return &next->backends[i];
	return NULL;
}

static void remove_backends(struct control *c, struct config *next)
{
	for (uint32_t i = c->backends.count; i-- > 0;) {
		struct backend *b = c->backends.rows[i];
		struct config_backend *from = backend_named(next, b->self->name);
		if (from && backends_keep(b, from))
			continue;
		c->reload.removed += b->clusters.count;
		backends_remove(c, b,
		        from ? "the configuration of its Headlamp backend has changed: open the "
		               "list again"
		             : "its Headlamp backend was removed from the configuration");
	}
}

/* A name of a kubeconfig may go to a backend, or come from one: that is another cluster. */
static void remove_clusters(struct control *c, struct config *next)
{
	for (uint32_t i = c->clusters.by_name.count; i-- > 0;) {
		struct known_cluster *k = c->clusters.by_name.rows[i];
		const struct config_cluster *from = named(next, k->name);
		bool stays = k->backend ? !from || from->backend : from && !from->backend;
		if (stays)
			continue;
		c->reload.removed++;
		clusters_remove(c, k, removed_text);
	}
}

static void keep_working(struct control *c, struct known_cluster *k, struct config_cluster *from)
{
	char text[2 * ERRMSG_BYTES];
	k->name = from->name;
	snprintf(text, sizeof text,
	        "cluster \"%s\" cannot be used as it is configured now, and goes on as before: %s",
	        k->name, from->error.text);
	cluster_log_other(c, text);
	if (!c->reload.partly.code)
		(void)errmsg_set(&c->reload.partly, from->error.code, "%s", text);
}

/* other_limits: the budget of a cluster is another one. */
static void update(
        struct control *c, struct known_cluster *k, struct config_cluster *from, bool other_limits)
{
	if (from->error.code && k->placed) {
		keep_working(c, k, from);
		return;
	}
	bool was_broken = k->broken.code;
	bool moved = !was_broken && !cluster_conf_same_server(&k->conf, &from->conf);
	bool login = !was_broken && !cluster_conf_same_login(&k->conf, &from->conf);
	bool options = clusters_set_options(k, from);
	k->fresh |= was_broken && !from->error.code;
	k->broken_told &= k->broken.code == from->error.code; /* texts have line and column */
	k->broken = from->error;
	cluster_conf_fini(&k->conf);
	k->conf = config_take(&from->conf);
	c->reload.changed += moved || login || options || k->fresh;
	if (moved || login || options || other_limits)
		clusters_change(c, k, moved, login);
}

static err_t add_backends(struct control *c, struct config *next)
{
	for (size_t i = 0; i < next->backend_count; i++) {
		struct backend *b = backends_find(c, next->backends[i].name);
		if (b)
			continue;
		err_t err = backends_add(c, &next->backends[i], &b);
		if (err)
			return err;
		backends_start_one(b);
	}
	return ERR_OK;
}

static err_t take_cluster(struct control *c, struct config_cluster *from, bool other_limits)
{
	struct known_cluster *k;
	if (from->backend) {
		const struct backend *b = backends_find(c, from->backend->name);
		if (!b)
			return ERR_NO_MEMORY; /* add_backends told of it */
		k = backends_cluster(b, from->context);
	} else {
		k = clusters_find(c, from->name);
	}
	if (!k) {
		err_t err = clusters_add(c, from);
		c->reload.added += !err;
		return err;
	}
	if (!from->backend)
		update(c, k, from, other_limits);
	return ERR_OK;
}

/* All, also behind one that cannot be taken: those that there are borrow from the configuration,
 * and the one before goes. */
static err_t take_clusters(struct control *c, struct config *next, bool other_limits)
{
	err_t err = add_backends(c, next);
	for (size_t i = 0; i < next->cluster_count; i++) {
		err_t e = take_cluster(c, &next->clusters[i], other_limits);
		err = err ? err : e;
	}
	for (uint32_t i = 0; other_limits && i < c->clusters.by_name.count; i++)
		if (c->clusters.by_name.rows[i]->backend)
			clusters_change(c, c->clusters.by_name.rows[i], false, false);
	return err;
}

/* --- lists that are kept open ------------------------------------------------------------ */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_entry(const struct settings_list *a, const struct settings_list *b)
{
	const struct settings_resource *x = &a->resource, *y = &b->resource;
	return strcmp(a->clusters, b->clusters) == 0 && strcmp(x->resource, y->resource) == 0 &&
	       strcmp(x->version, y->version) == 0 && strcmp(x->group, y->group) == 0 &&
	       same_text(a->namespace_, b->namespace_) &&
	       same_text(a->label_selector, b->label_selector) &&
	       same_text(a->field_selector, b->field_selector) &&
	       a->metadata_only == b->metadata_only &&
	       a->keep_managed_fields == b->keep_managed_fields;
}

static const struct settings_list *entry_in(
        const struct settings *s, const struct settings_list *other)
{
	for (size_t i = 0; i < s->list_count; i++)
		if (same_entry(&s->lists[i], other))
			return &s->lists[i];
	return NULL;
}

static const struct settings_list *entry_now(
        const struct control *c, const struct settings_list *old)
{
	return entry_in(c->config.settings, old);
}

static bool is_pinned(const struct control *c, const struct open_list *l)
{
	const struct settings *s = c->config.settings;
	/* Most are named in full. With hundreds of entries and of lists by them, to resolve each
	 * for each takes minutes. */
	for (size_t i = 0; i < s->list_count; i++)
		if (lists_is_pinned_by(c, l, &s->lists[i], true))
			return true;
	for (size_t i = 0; i < s->list_count; i++)
		if (lists_is_pinned_by(c, l, &s->lists[i], false))
			return true;
	return false;
}

static void pin(struct control *c, const struct settings *before)
{
	questions_repin(c, entry_now);
	for (uint32_t i = 0; i < c->lists.count; i++) {
		struct open_list *l = c->lists.rows[i];
		if (!l || l->ended || !l->pinned || is_pinned(c, l))
			continue;
		l->cluster->fresh = true; /* an entry may want it in another realm or form */
		lists_unpin(c, l);
	}
	const struct settings *s = c->config.settings;
	const struct cluster_index *x = &c->clusters.by_name;
	for (uint32_t i = 0; i < x->count; i++)
		if (x->rows[i]->fresh)
			lists_pin_cluster(c, x->rows[i]);
	for (size_t n = 0; n < s->list_count; n++) {
		if (entry_in(before, &s->lists[n]))
			continue;
		for (uint32_t i = 0; i < x->count; i++)
			lists_pin_entry(c, x->rows[i], &s->lists[n]);
	}
}

/* --- who may see what -------------------------------------------------------------------- */

static bool may_see(const struct control *c, const struct consumer *k, const struct open_list *l)
{
	const struct settings *s = c->config.settings;
	const struct settings_realm *realm = &s->realms[l->realm];
	struct settings_target t = {l->cluster->name, l->group, l->resource, l->namespace_};
	struct settings_peer peer = {k->uid, k->groups, k->group_count};
	bool values = !l->group[0] && strcmp(l->resource, "secrets") == 0 && !l->metadata_only;
	return settings_grants(s, realm, &t, &peer) &&
	       (!values || settings_secret_values(s, realm));
}

static const struct open_list *denied(const struct control *c, const struct consumer *k)
{
	LIST_EACH (it, &k->openings) {
		const struct opening *o = CONTAINER_OF(it, struct opening, link);
		if (o->list && !may_see(c, k, o->list))
			return o->list;
	}
	return NULL;
}

/* It may attach again, and is told then what it may not see. */
static void cut_off_denied(struct control *c)
{
	for (uint32_t i = 0; i < REACTOR_CONSUMERS_MAX; i++) {
		struct consumer *k = c->consumers.rows[i];
		const struct open_list *l = k && !k->leaving ? denied(c, k) : NULL;
		char text[512];
		if (!l)
			continue;
		snprintf(text, sizeof text,
		        "consumer %.60s (pid %u, user %u) may no longer see %.100s of cluster "
		        "\"%.100s\": it was cut off; what it has mapped it keeps until it ends",
		        k->name, k->pid, k->uid, l->resource, l->cluster->name);
		c->config.warn(text);
		consumer_cut_off(k);
	}
}

/* Whoever attaches to the realm later maps the same segments. */
static void say_what_stays(struct control *c, const struct settings *before)
{
	const struct settings *s = c->config.settings;
	char text[512];
	for (size_t i = 0; i < before->realm_count; i++) {
		if (!settings_secret_values(before, &before->realms[i]) ||
		        settings_secret_values(s, &s->realms[i]))
			continue;
		snprintf(text, sizeof text,
		        "realm \"%.100s\": no more values of Secrets are taken; those that were "
		        "stay in its memory until it is used again: restart kuberingd to end that",
		        s->realms[i].name);
		c->config.warn(text);
	}
}

/* --- all of it --------------------------------------------------------------------------- */

static void say_done(struct control *c)
{
	const struct reload *r = &c->reload;
	char text[1024];
	if (r->restart[0]) {
		snprintf(text, sizeof text, "changed settings that need a restart: %s", r->restart);
		c->config.warn(text);
	}
	snprintf(text, sizeof text, "%u clusters added, %u removed, %u changed", r->added,
	        r->removed, r->changed);
	c->config.loaded(c->config.load_arg, text);
}

/* Everything that was borrowed from the configuration before is borrowed from the next one. */
static void replace(struct control *c, struct config *next, bool fit)
{
	struct reload *r = &c->reload;
	struct config *old = r->config;
	r->config = next;
	if (fit) {
		config_free(&r->realms);
		r->kept_realms = false;
	} else if (!r->kept_realms) {
		r->realms = old; /* NULL: that of the start, which stays */
		r->kept_realms = true;
		return;
	}
	config_free(&old);
}

static void apply(struct control *c, struct config *next)
{
	struct reload *r = &c->reload;
	const struct settings *before = c->config.settings;
	bool fit = realms_fit(next->settings, before);
	bool other_limits = before->limits.cluster_bytes != next->settings->limits.cluster_bytes;
	r->added = r->removed = r->changed = 0;
	r->restart[0] = 0;
	r->partly = (struct errmsg){0};
	keep_start(r, next->settings, before);
	if (!fit) {
		needs_restart(r, "realms");
		next->settings->realms = before->realms;
		next->settings->realm_count = before->realm_count;
	}
	c->config.config = next;
	c->config.settings = next->settings;
	credential_pool_set_policy(
	        c->credentials, &next->settings->exec_policy, loop_now_ns(c->loop));
	remove_backends(c, next);
	remove_clusters(c, next);
	err_t err = take_clusters(c, next, other_limits);
	if (err)
		(void)errmsg_set(&r->partly, err, "some clusters are not known; reload again");
	cluster_log_broken(c);
	pin(c, before);
	clusters_on_credentials(c);
	cut_off_denied(c);
	say_what_stays(c, before);
	replace(c, next, fit);
	say_done(c);
}

/* An empty kubeconfig is no error, but half of a file that is being written looks like one: that
 * must not close everything. */
static err_t check_some(const struct control *c, const struct config *next, struct errmsg *m)
{
	if (next->cluster_count || next->backend_count || !c->clusters.by_name.count)
		return ERR_OK;
	return errmsg_set(m, ERR_CONFIG,
	        "no cluster is left of %u: is a kubeconfig empty, or only half written? Write it "
	        "beside and rename it; if it is meant, restart kuberingd",
	        c->clusters.by_name.count);
}

void reload_run(struct control *c)
{
	struct reload *r = &c->reload;
	struct config *next = NULL;
	if (!c->config.load)
		return;
	r->failed = (struct errmsg){0};
	err_t err = c->config.load(c->config.load_arg, &next, &r->failed);
	if (!err && (err = check_some(c, next, &r->failed)))
		config_free(&next);
	r->count++;
	r->at_ns = loop_now_ns(c->loop);
	r->failed.code = err;
	if (!err) {
		r->good_wall_s = (int64_t)time(NULL);
		apply(c, next);
		return;
	}
	char text[ERRMSG_BYTES + 128];
	snprintf(text, sizeof text,
	        "the configuration was not reloaded, the one before stays in force: %s",
	        r->failed.text);
	c->config.warn(text);
	c->config.loaded(c->config.load_arg, NULL);
}

void reload_write(const struct control *c, struct report *t)
{
	const struct reload *r = &c->reload;
	report_open(t, "configuration", '{');
	report_cstr(t, "file", c->config.settings->file);
	report_uint(t, "reloads", r->count);
	if (r->at_ns)
		report_seconds(t, "reloaded_seconds_ago", loop_now_ns(c->loop) - r->at_ns);
	report_cstr(t, "error", r->failed.code ? r->failed.text : NULL);
	report_cstr(t, "warning", r->partly.code ? r->partly.text : NULL);
	report_cstr(t, "needs_restart", r->restart[0] ? r->restart : NULL);
	report_uint(t, "added", r->added);
	report_uint(t, "removed", r->removed);
	report_uint(t, "changed", r->changed);
	report_close(t, '}');
}

void reload_fini(struct control *c)
{
	config_free(&c->reload.config);
	config_free(&c->reload.realms);
}
