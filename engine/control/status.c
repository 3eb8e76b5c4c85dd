/* status.c - what people and scripts are told: reads the same rows that consumers read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/settings.h"
#include "control/core.h"
#include "control/questions.h"
#include "io/io.h"
#include "store/store.h"

static const char *cluster_word(enum cluster_state s)
{
	static const char *const words[] = {"idle", "connecting", "up", "down"};
	return words[s];
}

/* --- reactors and clusters --------------------------------------------------------------- */

static void write_counters(struct report *t, const struct reactor_status *s)
{
	report_cstr(t, "io", io_kind_name(s->io));
	report_uint(t, "clusters", s->clusters);
	report_uint(t, "connections", s->connections);
	report_uint(t, "lists", s->lists);
	report_uint(t, "events", s->events);
	report_uint(t, "bytes", s->bytes);
	report_uint(t, "errors", s->errors);
	report_uint(t, "turns", s->counters.ticks);
	report_uint(t, "completions", s->counters.completions);
	report_uint(t, "enters", s->counters.enters);
	report_seconds(t, "turn_max_seconds", s->turn_max_ns);
}

static void write_reactors(
        struct control *c, struct reactor_status *const *status, struct report *t)
{
	uint64_t now = loop_now_ns(c->loop);
	report_open(t, "reactors", '[');
	for (uint32_t i = 0; i < c->config.reactor_count; i++) {
		report_open(t, NULL, '{');
		report_uint(t, "reactor", i);
		uint64_t turned = reactor_turned_ns(c->reactors[i]);
		report_seconds(t, "turned_seconds_ago", now > turned ? now - turned : 0);
		report_bool(t, "answers", status && status[i]);
		if (status && status[i])
			write_counters(t, status[i]);
		report_close(t, '}');
	}
	report_close(t, ']');
}

/* By id of the cluster, NULL where no reactor told of it. NULL: out of memory. */
static const struct cluster_status **by_cluster(
        const struct control *c, struct reactor_status *const *status)
{
	const struct cluster_status **rows =
	        calloc(c->clusters.count + 1, sizeof(const struct cluster_status *));
	for (uint32_t r = 0; rows && status && r < c->config.reactor_count; r++)
		for (uint32_t i = 0; status[r] && i < status[r]->clusters; i++)
			if (status[r]->cluster[i].cluster < c->clusters.count)
				rows[status[r]->cluster[i].cluster] = &status[r]->cluster[i];
	return rows;
}

static void write_error(struct report *t, const char *key, err_t err, const char *text)
{
	if (!err) {
		report_cstr(t, key, NULL);
		return;
	}
	report_open(t, key, '{');
	report_cstr(t, "name", err_name(err));
	report_cstr(t, "text", text);
	report_close(t, '}');
}

/* What stands in its way, the cause before its effects. */
static void write_cluster_error(
        struct report *t, const struct known_cluster *k, const struct cluster_status *s)
{
	if (k->broken.code)
		write_error(t, "last_error", k->broken.code, k->broken.text);
	else if (k->unlisted.code)
		write_error(t, "last_error", k->unlisted.code, k->unlisted.text);
	else if (s && s->err)
		write_error(t, "last_error", s->err, s->text);
	else /* it answers, but perhaps not with what it has */
		write_error(t, "last_error", k->discovery_failed.code, k->discovery_failed.text);
}

static const char *state_of(const struct known_cluster *k, const struct cluster_status *s)
{
	if (k->broken.code)
		return "broken";
	return s ? cluster_word(s->state) : "idle";
}

static void write_cluster(const struct known_cluster *k, const struct cluster_status *s,
        uint64_t now, struct report *t)
{
	report_open(t, NULL, '{');
	report_cstr(t, "name", k->name);
	report_cstr(t, "server", k->broken.code ? NULL : k->conf.server.text);
	report_cstr(t, "strategy", strategy_name(s ? s->way : k->way));
	if (s && s->way_text[0])
		report_cstr(t, "strategy_reason", s->way_text);
	if (k->backend) {
		report_cstr(t, "backend", k->backend->name);
		report_cstr(t, "context", k->conf.context);
	}
	report_cstr(t, "state", state_of(k, s));
	report_uint(t, "lists", s ? s->lists : 0);
	report_uint(t, "connections", s ? s->connections : 0);
	report_bool(t, "streaming_lists", !s || !s->no_watch_list);
	report_seconds(t, "next_probe_seconds",
	        s && s->next_probe_ns != UINT64_MAX && s->next_probe_ns > now
	                ? s->next_probe_ns - now
	                : 0);
	write_cluster_error(t, k, s);
	const struct errmsg *credential = clusters_credential_error(k);
	if (credential)
		write_error(t, "credential_error", credential->code, credential->text);
	if (k->cert_expires_s > 0 && k->cert_expires_s != INT64_MAX)
		report_uint(t, "certificate_expires_unix", (uint64_t)k->cert_expires_s);
	report_close(t, '}');
}

static void write_clusters(
        struct control *c, const struct cluster_status *const *status, struct report *t)
{
	uint64_t now = loop_now_ns(c->loop);
	report_open(t, "clusters", '[');
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++) {
		const struct known_cluster *k = c->clusters.by_name.rows[i];
		write_cluster(k, status[k->id], now, t);
	}
	report_close(t, ']');
}

static void write_backends(
        struct control *c, const struct cluster_status *const *status, struct report *t)
{
	report_open(t, "backends", '[');
	for (uint32_t i = 0; i < c->backends.count; i++) {
		const struct backend *b = c->backends.rows[i];
		const struct known_cluster *k = b->self;
		const struct cluster_status *s = status[k->id];
		report_open(t, NULL, '{');
		report_cstr(t, "name", k->name);
		report_cstr(t, "server", k->broken.code ? NULL : k->conf.server.text);
		report_cstr(t, "state", state_of(k, s));
		report_bool(t, "answered", b->answered);
		report_uint(t, "contexts", b->listed);
		report_uint(t, "clusters", b->clusters.count);
		report_uint(t, "connections", s ? s->connections : 0);
		write_error(t, "last_error", b->failed.code, b->failed.text);
		report_close(t, '}');
	}
	report_close(t, ']');
}

/* --- lists ------------------------------------------------------------------------------- */

static void write_age(struct report *t, const char *key, uint64_t now, uint64_t at)
{
	if (at)
		report_seconds(t, key, now > at ? now - at : 0);
	else
		report_cstr(t, key, NULL);
}

static void write_row(struct report *t, const struct shm_list *r, uint64_t now)
{
	char digest[24];
	report_cstr(t, "state", shm_list_state_word(r->state));
	report_bool(t, "whole", r->whole);
	report_string(t, "resource_version", (struct span){r->rv, strnlen(r->rv, sizeof r->rv)});
	report_uint(t, "objects", r->objects);
	report_uint(t, "bytes", r->bytes);
	report_uint(t, "events", r->events);
	report_uint(t, "relists", r->relists);
	report_uint(t, "sync_objects", r->sync_objects);
	report_seconds(t, "stale_seconds",
	        r->stale_since_ns && now > r->stale_since_ns ? now - r->stale_since_ns : 0);
	write_age(t, "byte_age_seconds", now, r->last_byte_ns);
	write_age(t, "event_age_seconds", now, r->last_event_ns);
	write_age(t, "bookmark_age_seconds", now, r->last_bookmark_ns);
	if (r->last_error) {
		report_open(t, "last_error", '{');
		report_string(t, "name",
		        (struct span){r->error_name, strnlen(r->error_name, sizeof r->error_name)});
		report_string(t, "text",
		        (struct span){r->error_text, strnlen(r->error_text, sizeof r->error_text)});
		report_close(t, '}');
	} else {
		report_cstr(t, "last_error", NULL);
	}
	snprintf(digest, sizeof digest, "%016llx", (unsigned long long)r->digest);
	report_cstr(t, "digest", digest);
}

static void write_list(
        struct control *c, const struct open_list *l, struct list_reader *r, struct report *t)
{
	struct shm_list row;
	report_open(t, NULL, '{');
	report_uint(t, "id", l->id);
	report_cstr(t, "cluster", l->cluster->name);
	report_cstr(t, "group", l->group);
	report_cstr(t, "version", l->version);
	report_cstr(t, "resource", l->resource);
	report_cstr(t, "namespace", l->namespace_);
	report_cstr(t, "label_selector", l->labels);
	report_cstr(t, "field_selector", l->fields);
	report_cstr(t, "form", l->metadata_only ? "metadata" : "object");
	report_cstr(t, "realm", c->config.settings->realms[l->realm].name);
	report_uint(t, "consumers", l->refs);
	report_bool(t, "pinned", l->pinned);
	audits_write(&l->audits, t);
	left_out_write(&l->left_out, t);
	if (list_reader_row(r, l, &row))
		write_row(t, &row, loop_now_ns(c->loop));
	else
		report_cstr(t, "state", l->phase == LIST_CLOSING ? "closing" : "opening");
	report_close(t, '}');
}

/* A list of the configuration that is in no row yet: what its cluster has could not be asked, or
 * does not include it. */
static void write_unresolved(const struct question *q, uint64_t now, struct report *t)
{
	const struct settings_list *l = q->pin;
	report_open(t, NULL, '{');
	report_cstr(t, "cluster", q->cluster->name);
	report_cstr(t, "group", l->resource.group);
	report_cstr(t, "version", l->resource.version);
	report_cstr(t, "resource", l->resource.resource);
	report_cstr(t, "namespace", l->namespace_ ? l->namespace_ : "");
	report_cstr(t, "label_selector", l->label_selector ? l->label_selector : "");
	report_cstr(t, "field_selector", l->field_selector ? l->field_selector : "");
	report_cstr(t, "form", l->metadata_only ? "metadata" : "object");
	report_uint(t, "consumers", 0);
	report_bool(t, "pinned", true);
	report_cstr(t, "state", "unresolved");
	report_seconds(t, "stale_seconds", now - q->since_ns);
	write_error(t, "last_error", q->failed, q->failed_text ? q->failed_text : "");
	report_close(t, '}');
}

static void write_lists(struct control *c, struct report *t)
{
	struct list_reader *r = list_reader_new(c);
	report_open(t, "lists", '[');
	for (uint32_t i = 0; i < c->lists.count; i++)
		if (c->lists.rows[i] && !c->lists.rows[i]->ended)
			write_list(c, c->lists.rows[i], r, t);
	LIST_EACH (it, &c->questions) {
		const struct question *q = CONTAINER_OF(it, struct question, link);
		if (q->kind == QUESTION_PIN && q->failed)
			write_unresolved(q, loop_now_ns(c->loop), t);
	}
	report_close(t, ']');
	list_reader_free(&r);
}

static void write_consumers(struct control *c, struct report *t)
{
	uint64_t now = loop_now_ns(c->loop);
	report_open(t, "consumers", '[');
	for (uint32_t i = 0; i < REACTOR_CONSUMERS_MAX; i++) {
		const struct consumer *k = c->consumers.rows[i];
		if (!k || k->leaving)
			continue;
		report_open(t, NULL, '{');
		report_uint(t, "consumer", k->id);
		report_string(t, "name", (struct span){k->name, strnlen(k->name, sizeof k->name)});
		report_uint(t, "pid", k->pid);
		report_uint(t, "uid", k->uid);
		report_uint(t, "lists", k->opening_count);
		report_seconds(t, "attached_seconds", now - k->since_ns);
		report_close(t, '}');
	}
	report_close(t, ']');
}

static void write_shards(struct control *c, struct report *t)
{
	report_open(t, "shards", '[');
	for (uint32_t i = 0; i < CONTROL_SHARDS_MAX; i++) {
		struct store_usage u;
		if (!c->shards[i])
			continue;
		store_usage_told(c->shards[i], &u);
		report_open(t, NULL, '{');
		report_uint(t, "shard", i);
		report_uint(t, "live_bytes", u.live_bytes);
		report_uint(t, "retained_bytes", u.retained_bytes);
		report_uint(t, "staged_bytes", u.staged_bytes);
		report_uint(t, "free_bytes", u.free_bytes);
		report_uint(t, "segment_bytes", u.segment_bytes);
		report_uint(t, "slots", u.slots);
		report_uint(t, "ring_head", u.ring_head);
		report_uint(t, "ring_commit", u.ring_commit);
		report_close(t, '}');
	}
	report_close(t, ']');
}

void status_write(struct control *c, struct reactor_status *const *status, struct report *t)
{
	char incarnation[40];
	const struct cluster_status **clusters = by_cluster(c, status);
	if (!clusters) {
		t->failed = true;
		return;
	}
	snprintf(incarnation, sizeof incarnation, "%016llx%016llx",
	        (unsigned long long)c->config.incarnation[0],
	        (unsigned long long)c->config.incarnation[1]);
	report_open(t, NULL, '{');
	report_cstr(t, "version", KR_VERSION);
	report_printf(t, ",\"layout\":\"%d.%d\"", SHM_LAYOUT_MAJOR, SHM_LAYOUT_MINOR);
	report_cstr(t, "incarnation", incarnation);
	report_uint(t, "pid", (uint64_t)getpid());
	report_seconds(t, "uptime_seconds", loop_now_ns(c->loop) - c->started_ns);
	report_open(t, "io", '{');
	report_cstr(t, "kind", io_kind_name(c->io_kind));
	report_cstr(t, "reason", c->io_why);
	report_close(t, '}');
	reload_write(c, t);
	write_reactors(c, status, t);
	write_clusters(c, clusters, t);
	write_backends(c, clusters, t);
	free(clusters);
	write_lists(c, t);
	write_shards(c, t);
	write_consumers(c, t);
	report_close(t, '}');
	report_add(t, SPAN("\n"));
}
