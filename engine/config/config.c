#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/file.h"
#include "config/pattern.h"
#include "config/pem.h"

enum { CONFIG_ARENA_BYTES = 64 << 20, CONFIG_NAMES_SHOWN = 8 };

/* One kubeconfig of this load: the common one, or that of an entry of `clusters:`. */
struct config_kubeconfig {
	const char *path; /* NULL: the common one */
	struct kubeconfig *kc;
	bool *taken; /* own; per context: a cluster was made of it */
};

/* Owner, thread and life: one call of config_load. */
struct config_loader {
	const struct config_options *options;
	struct problem_list *problems;
	struct config *config;
	struct config_kubeconfig *kubeconfigs; /* own; the common one first */
	size_t kubeconfig_count;
	size_t capacity; /* of config->clusters */
	bool no_memory;
};

#define NOWHERE ((struct problem_place){NULL, 0, 0})

/* --- kubeconfigs ------------------------------------------------------------------------- */

static bool config_kubeconfig_open(
        struct config_loader *l, const char *path, const struct kubeconfig_source *source)
{
	size_t bytes = (l->kubeconfig_count + 1) * sizeof *l->kubeconfigs;
	struct config_kubeconfig *all = realloc(l->kubeconfigs, bytes);
	if (!all) {
		l->no_memory = true;
		return false;
	}
	l->kubeconfigs = all;
	struct config_kubeconfig *k = &all[l->kubeconfig_count];
	*k = (struct config_kubeconfig){.path = path};
	l->kubeconfig_count++; /* also when it fails: its problems are told once */
	if (kubeconfig_load(source, l->problems, &k->kc) != ERR_OK)
		return false;
	k->taken = calloc(kubeconfig_count(k->kc) + 1, sizeof *k->taken);
	if (!k->taken) {
		l->no_memory = true;
		kubeconfig_free(&k->kc);
	}
	return k->kc != NULL;
}

/* A broken $KUBECONFIG is nobody's concern if every entry has a kubeconfig of its own. */
static bool config_needs_common(const struct config_loader *l)
{
	const struct settings *s = l->config->settings;
	if (l->options->context_count > 0 || l->options->kubeconfig || s->cluster_count == 0)
		return true;
	for (size_t i = 0; i < s->cluster_count; i++)
		if (!s->clusters[i].kubeconfig && !s->clusters[i].headlamp)
			return true;
	return false;
}

static bool config_open_common(struct config_loader *l)
{
	const struct config_options *o = l->options;
	const struct fields_texts *files = &l->config->settings->kubeconfig;
	struct kubeconfig_source source = o->source;
	source.files = o->kubeconfig ? &o->kubeconfig : files->items;
	source.file_count = o->kubeconfig ? 1 : files->count;
	return config_kubeconfig_open(l, NULL, &source);
}

/* The kubeconfig of an entry; NULL: it could not be loaded, which has been told. */
static struct config_kubeconfig *config_kubeconfig_of(
        struct config_loader *l, const struct settings_cluster *entry)
{
	for (size_t i = 0; i < l->kubeconfig_count; i++) {
		struct config_kubeconfig *k = &l->kubeconfigs[i];
		bool same = k->path && entry->kubeconfig ? strcmp(k->path, entry->kubeconfig) == 0
		                                         : k->path == entry->kubeconfig;
		if (same)
			return k->kc ? k : NULL;
	}
	struct kubeconfig_source source = {.files = &entry->kubeconfig, .file_count = 1};
	if (!config_kubeconfig_open(l, entry->kubeconfig, &source))
		return NULL;
	return &l->kubeconfigs[l->kubeconfig_count - 1];
}

static void config_loader_fini(struct config_loader *l)
{
	for (size_t i = 0; i < l->kubeconfig_count; i++) {
		free(l->kubeconfigs[i].taken);
		kubeconfig_free(&l->kubeconfigs[i].kc);
	}
	free(l->kubeconfigs);
}

/* --- clusters ---------------------------------------------------------------------------- */

static struct config_cluster *config_cluster_new(struct config_loader *l)
{
	struct config *c = l->config;
	if (c->cluster_count == CONFIG_CLUSTERS_MAX) {
		problem_add(l->problems, PROBLEM_LEVEL_ERROR, NOWHERE, "more than %d clusters",
		        CONFIG_CLUSTERS_MAX);
		return NULL;
	}
	if (c->cluster_count == l->capacity) {
		size_t capacity = l->capacity ? l->capacity * 2 : 16;
		struct config_cluster *all = realloc(c->clusters, capacity * sizeof *all);
		if (!all) {
			l->no_memory = true;
			return NULL;
		}
		c->clusters = all;
		l->capacity = capacity;
	}
	struct config_cluster *n = &c->clusters[c->cluster_count++];
	memset(n, 0, sizeof *n);
	return n;
}

/* A copy for the life of the config. */
static const char *config_text(struct config_loader *l, const char *s)
{
	const char *copy = s ? arena_copy(&l->config->arena, span_of(s)) : NULL;
	l->no_memory = l->no_memory || (s && !copy);
	return copy ? copy : "";
}

static const struct settings_cluster *config_entry_for(
        const struct settings *s, const char *context)
{
	for (size_t i = 0; i < s->cluster_count; i++)
		if (s->clusters[i].context && !s->clusters[i].kubeconfig &&
		        pattern_match(s->clusters[i].context, context))
			return &s->clusters[i];
	return NULL;
}

static void config_set_options(struct config_cluster *c, const struct settings_cluster *entry)
{
	c->strategy = entry ? (enum settings_strategy)entry->strategy : SETTINGS_STRATEGY_DIRECT;
	c->watch_list =
	        entry ? (enum settings_watch_list)entry->watch_list : SETTINGS_WATCH_LIST_AUTO;
	c->qps = entry ? (uint32_t)entry->qps : SETTINGS_QPS_DEFAULT;
	c->audit_s = entry ? (uint32_t)entry->audit_s : 0;
	c->gzip = entry && entry->compression == SETTINGS_COMPRESSION_AUTO;
}

/* Context i of k becomes a cluster, unless it is one already. entry NULL: default options. */
static void config_add(struct config_loader *l, struct config_kubeconfig *k, size_t i,
        const struct settings_cluster *entry)
{
	if (k->taken[i])
		return;
	k->taken[i] = true;
	struct config_cluster *c = config_cluster_new(l);
	if (!c)
		return;
	const char *context = kubeconfig_name(k->kc, i);
	c->context = config_text(l, context);
	c->name = entry && entry->name ? config_text(l, entry->name) : c->context;
	config_set_options(c, entry);
	c->place = kubeconfig_place(k->kc, context);
	if (c->place.file)
		c->place.file = config_text(l, c->place.file);
	c->error.code = kubeconfig_resolve(k->kc, context, &c->conf, &c->error);
	c->gzip = c->gzip && !c->conf.disable_compression;
}

/* Adds all contexts of k that pattern selects; returns how many there are. */
static size_t config_add_matching(struct config_loader *l, struct config_kubeconfig *k,
        const char *pattern, const struct settings_cluster *entry)
{
	size_t one, matches = 0;
	if (kubeconfig_index(k->kc, pattern, &one)) {
		config_add(
		        l, k, one, entry ? entry : config_entry_for(l->config->settings, pattern));
		return 1;
	}
	if (!pattern_is_glob(pattern))
		return 0;
	for (size_t i = 0; i < kubeconfig_count(k->kc); i++) {
		const char *name = kubeconfig_name(k->kc, i);
		if (!pattern_match(pattern, name))
			continue;
		matches++;
		config_add(l, k, i, entry ? entry : config_entry_for(l->config->settings, name));
	}
	return matches;
}

/* "a, b, c": the first contexts there are, for messages. */
static const char *config_names(const struct kubeconfig *kc, char *buf, size_t size)
{
	size_t n = kubeconfig_count(kc);
	buf[0] = '\0';
	for (size_t i = 0; i < n && i < CONFIG_NAMES_SHOWN; i++) {
		size_t used = strlen(buf);
		snprintf(buf + used, size - used, "%s%.60s", i > 0 ? ", " : "",
		        kubeconfig_name(kc, i));
	}
	if (n > CONFIG_NAMES_SHOWN) {
		size_t used = strlen(buf);
		snprintf(buf + used, size - used, ", ...");
	}
	return n > 0 ? buf : "none";
}

/* --- Headlamp backends ------------------------------------------------------------------- */

static err_t config_backend_ca(struct config_backend *b, const char *path)
{
	struct file_bytes bytes;
	const char *why;
	err_t e = file_read(path, CLUSTER_CONF_CA_BYTES_MAX, &b->conf.arena, &bytes, &why);
	if (e == ERR_OK && !pem_has_block((struct span){bytes.p, bytes.n}, "CERTIFICATE"))
		why = "no PEM certificate inside";
	else if (e == ERR_OK)
		b->conf.ca_pem = (struct span){bytes.p, bytes.n};
	if (b->conf.ca_pem.n == 0)
		return errmsg_set(&b->error, ERR_CRED_FILE,
		        "%s:%u:%u: backend \"%.60s\": headlamp.certificateAuthority: %.160s %s",
		        b->place.file, b->place.line, b->place.column, b->name, path, why);
	b->conf.ca_file = path;
	return ERR_OK;
}

/* The strings are the settings', which live as long as the config; what is read is in the arena. */
static void config_backend_init(
        struct config_backend *b, const struct settings *s, const struct settings_cluster *entry)
{
	const struct settings_headlamp *h = entry->headlamp;
	*b = (struct config_backend){.name = entry->name,
	        .entry = entry,
	        .discovers = h->contexts.count == 0,
	        .place = {s->file, entry->line, entry->column},
	        .conf = {.context = entry->name,
	                .namespace_ = "default",
	                .server = h->server,
	                .insecure = h->insecure,
	                .credential = {.user = entry->name,
	                        .token = h->token,
	                        .token_file = h->token_file}}};
	b->cluster_credential = (struct credential_conf){.user = entry->name,
	        .token = h->cluster_token,
	        .token_file = h->cluster_token_file};
	arena_init(&b->conf.arena, CLUSTER_CONF_BYTES_MAX);
	for (size_t i = 0; i < h->contexts.count; i++)
		b->discovers = b->discovers || pattern_is_glob(h->contexts.items[i]);
	if (h->certificate_authority && config_backend_ca(b, h->certificate_authority))
		cluster_conf_fini(&b->conf);
}

static bool config_has_name(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->cluster_count; i++)
		if (strcmp(c->clusters[i].name, name) == 0)
			return true;
	return false;
}

static void config_add_context(
        struct config_loader *l, const struct config_backend *b, const char *context)
{
	bool taken = config_has_name(l->config, context);
	struct config_cluster *c = config_cluster_new(l);
	if (!c)
		return;
	config_set_options(c, b->entry);
	c->backend = b;
	c->context = context;
	c->name = taken ? arena_format(&l->config->arena, "%s/%s", b->name, context) : context;
	l->no_memory = l->no_memory || !c->name;
	c->name = c->name ? c->name : "";
	c->place = b->place;
	c->error = b->error;
	if (strlen(c->name) > CLUSTER_CONF_NAME_MAX)
		problem_add(l->problems, PROBLEM_LEVEL_ERROR, b->place,
		        "backend \"%.60s\": context \"%.60s...\" is longer than %d bytes", b->name,
		        context, CLUSTER_CONF_NAME_MAX);
}

static struct config_backend *config_backend_new(
        struct config_loader *l, const struct settings_cluster *entry)
{
	struct config *c = l->config;
	struct problem_place at = {c->settings->file, entry->line, entry->column};
	for (size_t i = 0; i < c->backend_count; i++)
		if (strcmp(c->backends[i].name, entry->name) == 0) {
			problem_add(l->problems, PROBLEM_LEVEL_ERROR, at,
			        "two Headlamp backends are called \"%.100s\"", entry->name);
			return NULL;
		}
	if (!c->backends) /* room for all: clusters point to them */
		c->backends = calloc(c->settings->cluster_count, sizeof *c->backends);
	if (!c->backends) {
		l->no_memory = true;
		return NULL;
	}
	config_backend_init(&c->backends[c->backend_count], c->settings, entry);
	return &c->backends[c->backend_count++];
}

static void config_add_backend(struct config_loader *l, const struct settings_cluster *entry)
{
	const struct config_backend *b = config_backend_new(l, entry);
	const struct fields_texts *contexts = &entry->headlamp->contexts;
	for (size_t i = 0; b && i < contexts->count; i++) {
		bool again = pattern_is_glob(contexts->items[i]);
		for (size_t k = 0; k < i && !again; k++)
			again = strcmp(contexts->items[k], contexts->items[i]) == 0;
		if (!again)
			config_add_context(l, b, contexts->items[i]);
	}
}

/* --- choosing ---------------------------------------------------------------------------- */

static void config_choose_named(struct config_loader *l)
{
	const struct config_options *o = l->options;
	struct config_kubeconfig *k = &l->kubeconfigs[0];
	char names[320];
	for (size_t i = 0; i < o->context_count; i++)
		if (config_add_matching(l, k, o->contexts[i], NULL) == 0)
			problem_add(l->problems, PROBLEM_LEVEL_ERROR, NOWHERE,
			        "--context %.100s: no such context; there are: %s", o->contexts[i],
			        config_names(k->kc, names, sizeof names));
}

static void config_choose_entry(struct config_loader *l, size_t i)
{
	const struct settings *s = l->config->settings;
	const struct settings_cluster *entry = &s->clusters[i];
	struct config_kubeconfig *k = config_kubeconfig_of(l, entry);
	struct problem_place at = {s->file, entry->line, entry->column};
	if (!k)
		return;
	size_t matches = config_add_matching(l, k, entry->context, entry);
	bool glob = pattern_is_glob(entry->context);
	if (matches == 0)
		problem_add(l->problems, glob ? PROBLEM_LEVEL_WARNING : PROBLEM_LEVEL_ERROR, at,
		        "clusters[%zu].context: %s\"%.100s\" in the kubeconfig", i,
		        glob ? "nothing matches " : "there is no context ", entry->context);
	else if (matches > 1 && entry->name)
		problem_add(l->problems, PROBLEM_LEVEL_ERROR, at,
		        "clusters[%zu].name: %zu contexts match \"%.100s\", but a name can be "
		        "given to one only",
		        i, matches, entry->context);
}

static void config_choose_entries(struct config_loader *l)
{
	const struct settings *s = l->config->settings;
	for (size_t i = 0; i < s->cluster_count; i++)
		if (!s->clusters[i].headlamp)
			config_choose_entry(l, i);
	/* behind the others: what a kubeconfig names has the plain name */
	for (size_t i = 0; i < s->cluster_count; i++)
		if (s->clusters[i].headlamp)
			config_add_backend(l, &s->clusters[i]);
}

static void config_choose_current(struct config_loader *l)
{
	struct config_kubeconfig *k = &l->kubeconfigs[0];
	const char *current = kubeconfig_current(k->kc);
	char names[320];
	config_names(k->kc, names, sizeof names);
	size_t i;
	if (kubeconfig_count(k->kc) == 0 && !current)
		problem_add(l->problems, PROBLEM_LEVEL_ERROR, NOWHERE,
		        "no cluster: there is no kubeconfig with a context; use --kubeconfig FILE, "
		        "kubeconfig: in kubering.yaml, or set KUBECONFIG");
	else if (!current)
		problem_add(l->problems, PROBLEM_LEVEL_ERROR, NOWHERE,
		        "no current-context is set; choose with --context; there are: %s", names);
	else if (!kubeconfig_index(k->kc, current, &i))
		problem_add(l->problems, PROBLEM_LEVEL_ERROR, NOWHERE,
		        "current-context \"%.100s\" does not exist; choose with --context; there "
		        "are: %s",
		        current, names);
	else
		config_add(l, k, i, config_entry_for(l->config->settings, current));
}

static int config_cluster_order(const void *a, const void *b)
{
	const struct config_cluster *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void config_check_names(struct config_loader *l)
{
	struct config *c = l->config;
	if (c->cluster_count > 0)
		qsort(c->clusters, c->cluster_count, sizeof *c->clusters, config_cluster_order);
	for (size_t i = 1; i < c->cluster_count; i++)
		if (strcmp(c->clusters[i - 1].name, c->clusters[i].name) == 0)
			problem_add(l->problems, PROBLEM_LEVEL_ERROR, c->clusters[i].place,
			        "two clusters are called \"%.100s\"; give one of them a name in "
			        "clusters:",
			        c->clusters[i].name);
}

static void config_tell(struct config_loader *l)
{
	for (size_t i = 0; i < l->config->cluster_count; i++) {
		const struct config_cluster *c = &l->config->clusters[i];
		for (unsigned k = 0; k < c->conf.warning_count; k++)
			problem_add(l->problems, PROBLEM_LEVEL_WARNING, c->place, "%s",
			        c->conf.warnings[k]);
	}
}

static void config_choose(struct config_loader *l)
{
	if (l->options->context_count > 0)
		config_choose_named(l);
	else if (l->config->settings->cluster_count > 0)
		config_choose_entries(l);
	else
		config_choose_current(l);
	config_check_names(l);
	config_tell(l);
}

err_t config_load(
        const struct config_options *o, struct problem_list *problems, struct config **out)
{
	size_t errors_before = problems->errors;
	struct config_loader l = {.options = o, .problems = problems};
	*out = NULL;
	l.config = calloc(1, sizeof *l.config);
	if (!l.config) {
		problem_add(problems, PROBLEM_LEVEL_ERROR, NOWHERE, "out of memory");
		return ERR_NO_MEMORY;
	}
	arena_init(&l.config->arena, CONFIG_ARENA_BYTES);
	err_t e = settings_load(o->settings_file, &o->env, problems, &l.config->settings);
	if (e == ERR_OK && (!config_needs_common(&l) || config_open_common(&l)))
		config_choose(&l);
	config_loader_fini(&l);
	if (l.no_memory)
		problem_add(problems, PROBLEM_LEVEL_ERROR, NOWHERE, "out of memory");
	if (problems->errors > errors_before) {
		config_free(&l.config);
		return l.no_memory ? ERR_NO_MEMORY : ERR_CONFIG;
	}
	*out = l.config;
	return ERR_OK;
}

void config_free(struct config **p)
{
	struct config *c = *p;
	if (!c)
		return;
	for (size_t i = 0; i < c->cluster_count; i++)
		cluster_conf_fini(&c->clusters[i].conf);
	for (size_t i = 0; i < c->backend_count; i++)
		cluster_conf_fini(&c->backends[i].conf);
	free(c->clusters);
	free(c->backends);
	settings_free(&c->settings);
	arena_fini(&c->arena);
	free(c);
	*p = NULL;
}

struct cluster_conf config_take(struct cluster_conf *c)
{
	struct cluster_conf conf = *c;
	*c = (struct cluster_conf){0};
	return conf;
}
