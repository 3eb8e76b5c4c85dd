#include "config/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/file.h"
#include "config/settings_priv.h"

enum {
	SETTINGS_ARENA_BYTES = 64 << 20,
	SETTINGS_QPS_MAX = 10000,
	SETTINGS_AUDIT_SECONDS_MAX = 7 * 86400,
};

#define SETTINGS_API_VERSION "kubering.io/v1alpha1"
#define SETTINGS_KIND        "Config"

struct settings_document {
	const char *api_version, *kind, *socket;
	uint64_t reactors, batch_wait_us;
	unsigned io, tls_records, exec_policy;
	const struct yaml_node *log, *metrics, *limits, *clusters, *lists, *realms;
	struct fields_texts kubeconfig, exec_allowlist;
};

static const struct fields_row document_rows[] = {
        FIELDS_ROW("apiVersion", TEXT, struct settings_document, api_version),
        FIELDS_ROW("kind", TEXT, struct settings_document, kind),
        FIELDS_ROW("socket", PATH, struct settings_document, socket),
        FIELDS_ROW("reactors", NUMBER, struct settings_document, reactors, .min = 0, .max = 64),
        FIELDS_ROW("io", WORD, struct settings_document, io, .words = {"auto", "uring", "epoll"}),
        FIELDS_ROW("batchWaitMicros", NUMBER, struct settings_document, batch_wait_us, .min = 0,
                .max = 100000),
        FIELDS_ROW("tlsRecords", WORD, struct settings_document, tls_records,
                .words = {"own", "evp", "openssl"}),
        FIELDS_ROW("log", NODE, struct settings_document, log),
        FIELDS_ROW("metrics", NODE, struct settings_document, metrics),
        FIELDS_ROW("limits", NODE, struct settings_document, limits),
        FIELDS_ROW("kubeconfig", PATHS, struct settings_document, kubeconfig),
        FIELDS_ROW("clusters", NODE, struct settings_document, clusters),
        FIELDS_ROW("lists", NODE, struct settings_document, lists),
        FIELDS_ROW("realms", NODE, struct settings_document, realms),
        FIELDS_ROW("execPolicy", WORD, struct settings_document, exec_policy,
                .words = {"AllowAll", "DenyAll", "Allowlist"}),
        FIELDS_ROW("execAllowlist", TEXTS, struct settings_document, exec_allowlist),
};

static const struct fields_row log_rows[] = {
        FIELDS_ROW("format", WORD, struct settings, log_format, .words = {"logfmt", "json"}),
        FIELDS_ROW("level", WORD, struct settings, log_level,
                .words = {"debug", "info", "warn", "error"}),
};

struct settings_metrics {
	const char *listen;
};

static const struct fields_row metrics_rows[] = {
        FIELDS_ROW("listen", TEXT, struct settings_metrics, listen),
};

#define LIMIT(name, kind, field, low, high)                                                        \
	FIELDS_ROW(name, kind, struct settings_limits, field, .min = low, .max = high)
#define GIB (1ull << 30)

static const struct fields_row limit_rows[] = {
        LIMIT("memoryBytes", BYTES, memory_bytes, 16 << 20, 1024 * GIB),
        LIMIT("shardBytes", BYTES, shard_bytes, 16 << 20, 1024 * GIB),
        LIMIT("listBytes", BYTES, list_bytes, 1 << 20, 1024 * GIB),
        LIMIT("clusterBytes", BYTES, cluster_bytes, 1 << 20, 1024 * GIB),
        LIMIT("objectsMax", NUMBER, objects_max, 1, 60000000),
        LIMIT("ringEntries", NUMBER, ring_entries, 1024, 1 << 26),
        LIMIT("retainedBytes", BYTES, retained_bytes, 1 << 20, 64 * GIB),
        LIMIT("eventBytesMax", BYTES, event_bytes_max, 64 << 10, 64 << 20),
        LIMIT("listsMax", NUMBER, lists_max, 1, 1000000),
        LIMIT("consumersMax", NUMBER, consumers_max, 1, 4096),
        LIMIT("lingerSeconds", NUMBER, linger_seconds, 0, 86400),
};

/* A Kubernetes list has at most 1.5 GB and a million objects (sig-scalability); a shard holds the
 * lists of many clusters. All are bounds, not reservations. */
static const struct settings_limits default_limits = {
        .shard_bytes = 4 * GIB,
        .list_bytes = 3 * GIB / 2,
        .cluster_bytes = 4 * GIB,
        .objects_max = 1000000,
        .ring_entries = 65536,
        .event_bytes_max = 8 << 20,
        .lists_max = 65536,
        .consumers_max = 1024, /* four users at least: CONSUMER_PER_UID_MAX */
        .linger_seconds = 30,
};

struct settings_cluster_fields {
	struct settings_cluster cluster;
	const struct yaml_node *headlamp;
};

static const struct fields_row cluster_rows[] = {
        FIELDS_ROW("name", TEXT, struct settings_cluster_fields, cluster.name),
        FIELDS_ROW("context", TEXT, struct settings_cluster_fields, cluster.context),
        FIELDS_ROW("kubeconfig", PATH, struct settings_cluster_fields, cluster.kubeconfig),
        FIELDS_ROW("strategy", WORD, struct settings_cluster_fields, cluster.strategy,
                .words = {"auto", "direct", "websocket", "multiplexed", "legacy", "http"}),
        FIELDS_ROW("qps", NUMBER, struct settings_cluster_fields, cluster.qps, .min = 1,
                .max = SETTINGS_QPS_MAX),
        FIELDS_ROW("auditSeconds", NUMBER, struct settings_cluster_fields, cluster.audit_s,
                .min = 0, .max = SETTINGS_AUDIT_SECONDS_MAX),
        FIELDS_ROW("watchList", WORD, struct settings_cluster_fields, cluster.watch_list,
                .words = {"auto", "never"}),
        FIELDS_ROW("compression", WORD, struct settings_cluster_fields, cluster.compression,
                .words = {"off", "auto"}),
        FIELDS_ROW("headlamp", NODE, struct settings_cluster_fields, headlamp),
};

struct settings_list_fields {
	struct settings_list list;
	const char *resource;
};

static const struct fields_row list_rows[] = {
        FIELDS_ROW("clusters", TEXT, struct settings_list_fields, list.clusters),
        FIELDS_ROW("resource", TEXT, struct settings_list_fields, resource),
        FIELDS_ROW("namespace", TEXT, struct settings_list_fields, list.namespace_),
        FIELDS_ROW("labelSelector", TEXT, struct settings_list_fields, list.label_selector),
        FIELDS_ROW("fieldSelector", TEXT, struct settings_list_fields, list.field_selector),
        FIELDS_ROW("metadataOnly", BOOL, struct settings_list_fields, list.metadata_only),
        FIELDS_ROW(
                "keepManagedFields", BOOL, struct settings_list_fields, list.keep_managed_fields),
};

/* --- sections ---------------------------------------------------------------------------- */

static void settings_read_metrics(struct fields *f, const struct yaml_node *map, struct settings *s)
{
	static const char local[] = "127.0.0.1:";
	struct settings_metrics metrics = {0};
	fields_read(f, map, "metrics", metrics_rows, ARRAY_LEN(metrics_rows), &metrics);
	const char *listen = metrics.listen;
	uint64_t port = 0;
	if (!listen || strcmp(listen, "off") == 0)
		return;
	if (strncmp(listen, local, sizeof local - 1) == 0 &&
	        fields_number(span_of(listen + sizeof local - 1), false, &port) && port > 0 &&
	        port <= 65535)
		s->metrics_port = (uint16_t)port;
	else
		fields_fail(f, yaml_get(map, "listen"), "metrics.listen",
		        "must be 127.0.0.1:PORT or off; put a proxy in front to reach it from "
		        "outside");
}

static void settings_read_limits(struct fields *f, const struct yaml_node *map, struct settings *s)
{
	struct settings_limits *l = &s->limits;
	fields_read(f, map, "limits", limit_rows, ARRAY_LEN(limit_rows), l);
	if ((l->ring_entries & (l->ring_entries - 1)) != 0) {
		fields_fail(f, yaml_get(map, "ringEntries"), "limits.ringEntries",
		        "must be a power of two");
		l->ring_entries = default_limits.ring_entries;
	}
	if (l->list_bytes > l->shard_bytes) {
		/* only what was written is a mistake; a default bends */
		if (yaml_get(map, "listBytes"))
			fields_fail(f, yaml_get(map, "listBytes"), "limits.listBytes",
			        "is larger than limits.shardBytes");
		l->list_bytes = l->shard_bytes;
	}
	if (l->retained_bytes > l->shard_bytes / 2)
		fields_fail(f, yaml_get(map, "retainedBytes"), "limits.retainedBytes",
		        "is more than half of limits.shardBytes");
}

static void settings_read_clusters(
        struct fields *f, const struct yaml_node *list, struct settings *s)
{
	size_t count = fields_items(f, list, "clusters");
	struct settings_cluster *clusters = arena_array(&s->arena, count, sizeof *clusters);
	for (size_t i = 0; clusters && i < count; i++) {
		const struct yaml_node *item = list->items[i];
		struct settings_cluster_fields c = {.cluster = {.qps = SETTINGS_QPS_DEFAULT,
		                                            .line = item->line,
		                                            .column = item->column}};
		char path[FIELDS_PATH_BYTES];
		snprintf(path, sizeof path, "clusters[%zu]", i);
		fields_read(f, item, path, cluster_rows, ARRAY_LEN(cluster_rows), &c);
		if (!c.cluster.context && !c.headlamp)
			c.cluster.context = c.cluster.name;
		if (!c.cluster.context && !c.headlamp)
			fields_fail(f, item, path, "needs a context (or a name that is one)");
		settings_read_headlamp(f, item, c.headlamp, path, &c.cluster);
		clusters[i] = c.cluster;
	}
	s->clusters = clusters;
	s->cluster_count = clusters ? count : 0;
}

static void settings_read_lists(struct fields *f, const struct yaml_node *list, struct settings *s)
{
	size_t count = fields_items(f, list, "lists");
	struct settings_list *lists = arena_array(&s->arena, count, sizeof *lists);
	for (size_t i = 0; lists && i < count; i++) {
		const struct yaml_node *item = list->items[i];
		struct settings_list_fields l = {.list = {.clusters = "*"}};
		char path[FIELDS_PATH_BYTES];
		snprintf(path, sizeof path, "lists[%zu]", i);
		fields_read(f, item, path, list_rows, ARRAY_LEN(list_rows), &l);
		l.list.line = item->line;
		l.list.column = item->column;
		if (!l.resource)
			fields_fail(f, item, path, "resource is missing");
		else if (!settings_resource_parse(l.resource, &s->arena, &l.list.resource))
			fields_fail(f, yaml_get(item, "resource"), path,
			        "resource must be RESOURCE[.VERSION][.GROUP] in lower case, such "
			        "as "
			        "pods.v1 or deployments.v1.apps");
		if (l.list.namespace_ && !settings_is_namespace(l.list.namespace_))
			fields_fail(f, yaml_get(item, "namespace"), path,
			        "namespace \"%.64s\" cannot be: one name of lower case letters, "
			        "digits and '-'; leave it out for all namespaces",
			        l.list.namespace_);
		lists[i] = l.list;
	}
	s->lists = lists;
	s->list_count = lists ? count : 0;
}

static void settings_read_policy(
        struct fields *f, const struct settings_document *d, struct settings *s)
{
	s->exec_policy = (struct exec_policy){
	        .mode = (enum exec_policy_mode)d->exec_policy,
	        .allowed = d->exec_allowlist.items,
	        .allowed_count = d->exec_allowlist.count,
	};
	for (size_t i = 0; i < d->exec_allowlist.count; i++) {
		const char *path = d->exec_allowlist.items[i];
		if (path[0] != '/' && strchr(path, '/'))
			fields_fail(f, yaml_get(f->yaml->root, "execAllowlist"), "execAllowlist",
			        "\"%.100s\" must be an absolute path, or a name to be found in "
			        "PATH",
			        path);
	}
	if (d->exec_allowlist.count > 0 && d->exec_policy != EXEC_POLICY_ALLOWLIST)
		fields_fail(f, yaml_get(f->yaml->root, "execAllowlist"), "execAllowlist",
		        "has no effect unless execPolicy is Allowlist");
}

static void settings_check_word(
        struct fields *f, const char *found, const char *key, const char *expected)
{
	const struct yaml_node *at = yaml_get(f->yaml->root, key);
	if (!found)
		fields_fail(f, at ? at : f->yaml->root, key, "is missing; write \"%s: %s\"", key,
		        expected);
	else if (strcmp(found, expected) != 0)
		fields_fail(f, at, key, "must be %s", expected);
}

static void settings_read_document(struct fields *f, struct settings *s)
{
	struct settings_document d = {.socket = s->socket, .batch_wait_us = s->batch_wait_us};
	const struct yaml_node *root = f->yaml->root;
	fields_read(f, root, "", document_rows, ARRAY_LEN(document_rows), &d);
	if (root->kind != YAML_KIND_MAP)
		return;
	settings_check_word(f, d.api_version, "apiVersion", SETTINGS_API_VERSION);
	settings_check_word(f, d.kind, "kind", SETTINGS_KIND);
	s->socket = d.socket;
	s->reactors = d.reactors;
	s->io = d.io;
	s->batch_wait_us = d.batch_wait_us;
	s->tls_records = d.tls_records;
	s->kubeconfig = d.kubeconfig;
	fields_read(f, d.log, "log", log_rows, ARRAY_LEN(log_rows), s);
	settings_read_metrics(f, d.metrics, s);
	settings_read_limits(f, d.limits, s);
	settings_read_clusters(f, d.clusters, s);
	settings_read_lists(f, d.lists, s);
	settings_read_policy(f, &d, s);
	/* `realms: []` grants nothing to anyone; only an absent key means the default */
	if (d.realms)
		settings_read_realms(f, d.realms, s);
}

/* --- load -------------------------------------------------------------------------------- */

static bool settings_set_defaults(struct settings *s, const struct settings_env *env)
{
	s->limits = default_limits;
	s->batch_wait_us = SETTINGS_BATCH_WAIT_DEFAULT;
	s->log_level = SETTINGS_LEVEL_INFO;
	if (env->uid == 0)
		s->socket = "/run/kubering/kubering.sock";
	else if (env->runtime_dir && env->runtime_dir[0] == '/')
		s->socket = arena_format(&s->arena, "%s/kubering.sock", env->runtime_dir);
	else
		s->socket =
		        arena_format(&s->arena, "/run/user/%u/kubering.sock", (unsigned)env->uid);
	return s->socket && settings_default_realm(s, env->uid);
}

static void settings_read_file(struct settings *s, const char *file, struct problem_list *problems)
{
	struct arena bytes_arena;
	struct file_bytes bytes;
	struct yaml yaml;
	const char *why;
	arena_init(&bytes_arena, 3 * (size_t)SETTINGS_BYTES_MAX);
	if (file_read(file, SETTINGS_BYTES_MAX, &bytes_arena, &bytes, &why) != ERR_OK) {
		problem_add(problems, PROBLEM_LEVEL_ERROR, (struct problem_place){file, 0, 0}, "%s",
		        why);
	} else if (yaml_load(&yaml, file, (struct span){bytes.p, bytes.n}, problems) == ERR_OK) {
		struct fields f = {
		        .yaml = &yaml,
		        .directory = file_directory(file, &s->arena),
		        .arena = &s->arena,
		        .problems = problems,
		};
		if (!yaml.root)
			problem_add(problems, PROBLEM_LEVEL_ERROR,
			        (struct problem_place){file, 1, 1},
			        "is empty; it must start with apiVersion: " SETTINGS_API_VERSION);
		else if (f.directory)
			settings_read_document(&f, s);
		yaml_fini(&yaml);
	}
	arena_fini(&bytes_arena);
}

err_t settings_load(const char *file, const struct settings_env *env, struct problem_list *problems,
        struct settings **out)
{
	size_t errors_before = problems->errors;
	struct settings *s = calloc(1, sizeof *s);
	*out = NULL;
	if (s)
		arena_init(&s->arena, SETTINGS_ARENA_BYTES);
	if (!s || !settings_set_defaults(s, env)) {
		problem_add(
		        problems, PROBLEM_LEVEL_ERROR, (struct problem_place){0}, "out of memory");
		settings_free(&s);
		return ERR_NO_MEMORY;
	}
	if (file) {
		s->file = arena_copy(&s->arena, span_of(file));
		settings_read_file(s, file, problems);
	}
	if (problems->errors > errors_before) {
		settings_free(&s);
		return ERR_CONFIG;
	}
	*out = s;
	return ERR_OK;
}

void settings_free(struct settings **p)
{
	struct settings *s = *p;
	if (!s)
		return;
	arena_fini(&s->arena);
	free(s);
	*p = NULL;
}
