#include "config/kubeconfig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "config/file.h"
#include "config/kubeconfig_priv.h"

enum {
	KUBECONFIG_ARENA_BYTES = 16 << 20,
	KUBECONFIG_TOKEN_BYTES_MAX = 1 << 20,
};

static const struct {
	const char *section, *body;
} kinds[KUBECONFIG_KIND_COUNT] = {
        [KUBECONFIG_KIND_CLUSTER] = {"clusters", "cluster"},
        [KUBECONFIG_KIND_USER] = {"users", "user"},
        [KUBECONFIG_KIND_CONTEXT] = {"contexts", "context"},
};

struct kubeconfig_paths {
	const char **path; /* in the arena; room for all that are named */
	size_t count;
	bool must_exist;
};

static const char *kubeconfig_getenv(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] != '\0' ? value : NULL;
}

void kubeconfig_source_from_env(struct kubeconfig_source *s)
{
	s->env = kubeconfig_getenv("KUBECONFIG");
	s->home = kubeconfig_getenv("HOME");
	s->service_host = kubeconfig_getenv("KUBERNETES_SERVICE_HOST");
	s->service_port = kubeconfig_getenv("KUBERNETES_SERVICE_PORT");
	s->service_dir = NULL;
	s->pod_namespace = kubeconfig_getenv("POD_NAMESPACE");
	s->https_proxy = kubeconfig_getenv("HTTPS_PROXY");
	if (!s->https_proxy)
		s->https_proxy = kubeconfig_getenv("https_proxy");
}

/* --- which files ------------------------------------------------------------------------- */

static void kubeconfig_paths_push(struct kubeconfig_paths *p, const char *path)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->path[i], path) == 0)
			return;
	p->path[p->count++] = path;
}

static bool kubeconfig_paths_reserve(struct kubeconfig_paths *p, size_t count, struct arena *arena)
{
	p->path = arena_array(arena, count, sizeof(*p->path));
	return p->path != NULL;
}

static bool kubeconfig_paths_split(
        struct kubeconfig_paths *p, const char *list, struct arena *arena)
{
	size_t parts = 1;
	for (const char *colon = list; (colon = strchr(colon, ':')); colon++)
		parts++;
	if (!kubeconfig_paths_reserve(p, parts, arena))
		return false;
	while (*list != '\0') {
		size_t n = strcspn(list, ":");
		if (n > 0) {
			const char *path = arena_copy(arena, (struct span){list, n});
			if (!path)
				return false;
			kubeconfig_paths_push(p, path);
		}
		list += n + (list[n] == ':');
	}
	return true;
}

static bool kubeconfig_paths_find(
        struct kubeconfig_paths *p, const struct kubeconfig_source *s, struct arena *arena)
{
	*p = (struct kubeconfig_paths){.must_exist = s->file_count > 0};
	if (s->file_count == 0 && s->env && s->env[0] != '\0')
		return kubeconfig_paths_split(p, s->env, arena);
	if (!kubeconfig_paths_reserve(p, s->file_count + 1, arena))
		return false;
	for (size_t i = 0; i < s->file_count; i++)
		kubeconfig_paths_push(p, s->files[i]);
	if (s->file_count > 0 || !s->home)
		return true;
	const char *path = arena_format(arena, "%s/.kube/config", s->home);
	if (path)
		kubeconfig_paths_push(p, path);
	return path != NULL;
}

/* --- one file ---------------------------------------------------------------------------- */

static bool kubeconfig_table_push(struct kubeconfig_table *t, const struct kubeconfig_entry *e)
{
	if (t->count == t->capacity) {
		size_t capacity = t->capacity ? t->capacity * 2 : 16;
		struct kubeconfig_entry *entries = realloc(t->entries, capacity * sizeof *entries);
		if (!entries)
			return false;
		t->entries = entries;
		t->capacity = capacity;
	}
	t->entries[t->count++] = *e;
	return true;
}

static void kubeconfig_expected(struct problem_list *problems, struct problem_place at,
        const char *field, const char *what, const struct yaml_node *found)
{
	problem_add(problems, PROBLEM_LEVEL_ERROR, at, "%s: expected %s, found %s", field, what,
	        yaml_kind_text(found));
}

static void kubeconfig_read_item(struct kubeconfig *kc, enum kubeconfig_kind kind,
        const struct yaml_node *item, struct problem_list *problems)
{
	const struct kubeconfig_file *file = &kc->files[kc->file_count];
	struct problem_place at = yaml_place(&file->yaml, item);
	if (item->kind != YAML_KIND_MAP) {
		kubeconfig_expected(problems, at, kinds[kind].section, "a mapping", item);
		return;
	}
	const struct yaml_node *name = yaml_get(item, "name");
	const struct yaml_node *body = yaml_get(item, kinds[kind].body);
	if (name && name->kind != YAML_KIND_SCALAR) {
		kubeconfig_expected(
		        problems, yaml_place(&file->yaml, name), "name", "a string", name);
		return;
	}
	if (!yaml_is_null(body) && body->kind != YAML_KIND_MAP) {
		kubeconfig_expected(problems, yaml_place(&file->yaml, body), kinds[kind].body,
		        "a mapping", body);
		return;
	}
	struct kubeconfig_entry e = {
	        .name = yaml_is_null(name) ? "" : name->text.p,
	        .body = yaml_is_null(body) ? NULL : body,
	        .item = item,
	        .file = file,
	        .file_index = kc->file_count,
	};
	if (!kubeconfig_table_push(&kc->tables[kind], &e))
		problem_add(problems, PROBLEM_LEVEL_ERROR, at, "out of memory");
}

static void kubeconfig_read_section(
        struct kubeconfig *kc, enum kubeconfig_kind kind, struct problem_list *problems)
{
	const struct yaml *y = &kc->files[kc->file_count].yaml;
	const struct yaml_node *list = yaml_get(y->root, kinds[kind].section);
	if (yaml_is_null(list))
		return;
	if (list->kind != YAML_KIND_LIST) {
		kubeconfig_expected(
		        problems, yaml_place(y, list), kinds[kind].section, "a list", list);
		return;
	}
	for (uint32_t i = 0; i < list->count; i++)
		kubeconfig_read_item(kc, kind, list->items[i], problems);
}

/* A word of the head: absent, or exactly this. */
static void kubeconfig_check_word(
        const struct yaml *y, const char *key, const char *expected, struct problem_list *problems)
{
	const struct yaml_node *n = yaml_get(y->root, key);
	if (yaml_is_null(n) || (n->kind == YAML_KIND_SCALAR && span_is(n->text, expected)))
		return;
	problem_add(problems, PROBLEM_LEVEL_ERROR, yaml_place(y, n),
	        "%s: must be %s in a kubeconfig, found %.40s", key, expected,
	        n->kind == YAML_KIND_SCALAR ? n->text.p : yaml_kind_text(n));
}

static void kubeconfig_read_document(struct kubeconfig *kc, struct problem_list *problems)
{
	const struct yaml *y = &kc->files[kc->file_count].yaml;
	if (!y->root)
		return;
	if (y->root->kind != YAML_KIND_MAP) {
		problem_add(problems, PROBLEM_LEVEL_ERROR, yaml_place(y, y->root),
		        "not a kubeconfig: expected a mapping, found %s", yaml_kind_text(y->root));
		return;
	}
	kubeconfig_check_word(y, "apiVersion", "v1", problems);
	kubeconfig_check_word(y, "kind", "Config", problems);
	for (int kind = 0; kind < KUBECONFIG_KIND_COUNT; kind++)
		kubeconfig_read_section(kc, (enum kubeconfig_kind)kind, problems);
	const struct yaml_node *current = yaml_get(y->root, "current-context");
	if (yaml_is_null(current) || kc->current)
		return;
	if (current->kind != YAML_KIND_SCALAR)
		kubeconfig_expected(
		        problems, yaml_place(y, current), "current-context", "a string", current);
	else if (current->text.n > 0)
		kc->current = current->text.p;
}

static void kubeconfig_warn_mode(const char *path, mode_t mode, struct problem_list *problems)
{
	struct problem_place at = {path, 0, 0};
	if (mode & (S_IWGRP | S_IWOTH))
		problem_add(problems, PROBLEM_LEVEL_WARNING, at,
		        "others may write it (mode %04o) and so run commands as this user; "
		        "chmod 600 it",
		        (unsigned)mode);
	else if (mode & (S_IRGRP | S_IROTH))
		problem_add(problems, PROBLEM_LEVEL_WARNING, at,
		        "others may read the credentials in it (mode %04o); chmod 600 it",
		        (unsigned)mode);
}

/* Returns false if the file is not there. */
static bool kubeconfig_read_file(
        struct kubeconfig *kc, const char *path, bool must_exist, struct problem_list *problems)
{
	struct kubeconfig_file *file = &kc->files[kc->file_count];
	struct arena bytes_arena;
	struct file_bytes bytes;
	const char *why;
	arena_init(&bytes_arena, 2 * (size_t)YAML_BYTES_MAX);
	err_t e = file_read(path, YAML_BYTES_MAX, &bytes_arena, &bytes, &why);
	if (e != ERR_OK) {
		arena_fini(&bytes_arena);
		if (bytes.missing && !must_exist)
			return false;
		problem_add(problems, PROBLEM_LEVEL_ERROR, (struct problem_place){path, 0, 0}, "%s",
		        why);
		return true;
	}
	e = yaml_load(&file->yaml, path, (struct span){bytes.p, bytes.n}, problems);
	if (e == ERR_OK) {
		if (file->yaml.root)
			kubeconfig_warn_mode(path, bytes.mode, problems);
		file->directory = file_directory(path, &kc->arena);
		kubeconfig_read_document(kc, problems);
		kc->file_count++;
		if (!file->directory)
			problem_add(problems, PROBLEM_LEVEL_ERROR,
			        (struct problem_place){path, 0, 0}, "out of memory");
	}
	arena_fini(&bytes_arena);
	return true;
}

/* --- merge ------------------------------------------------------------------------------- */

static int kubeconfig_order(const void *a, const void *b)
{
	const struct kubeconfig_entry *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	if (c != 0)
		return c;
	if (x->file_index != y->file_index)
		return x->file_index < y->file_index ? -1 : 1;
	return x->item->line < y->item->line ? -1 : x->item->line > y->item->line;
}

/* Sorted by name and file: the first of each name wins the whole entry. */
static void kubeconfig_merge(
        struct kubeconfig_table *t, enum kubeconfig_kind kind, struct problem_list *problems)
{
	if (t->count == 0)
		return;
	qsort(t->entries, t->count, sizeof *t->entries, kubeconfig_order);
	size_t kept = 1;
	for (size_t i = 1; i < t->count; i++) {
		const struct kubeconfig_entry *e = &t->entries[i], *before = e - 1;
		bool same = strcmp(e->name, t->entries[kept - 1].name) == 0;
		if (same && strcmp(e->name, before->name) == 0 &&
		        e->file_index == before->file_index)
			problem_add(problems, PROBLEM_LEVEL_ERROR,
			        yaml_place(&e->file->yaml, e->item),
			        "duplicate name \"%.200s\" in %s; the first is at line %u", e->name,
			        kinds[kind].section, before->item->line);
		if (!same)
			t->entries[kept++] = *e;
	}
	t->count = kept;
}

/* --- in a pod ---------------------------------------------------------------------------- */

static void kubeconfig_try_in_cluster(struct kubeconfig *kc, const struct kubeconfig_source *s)
{
	if (!s->service_host || !s->service_port)
		return;
	const char *dir = s->service_dir ? s->service_dir : KUBECONFIG_SERVICE_DIR;
	struct arena scratch;
	arena_init(&scratch, 2 * KUBECONFIG_TOKEN_BYTES_MAX);
	struct file_bytes token;
	const char *why, *path = arena_format(&scratch, "%s/token", dir);
	bool there = path &&
	             file_read(path, KUBECONFIG_TOKEN_BYTES_MAX, &scratch, &token, &why) == ERR_OK;
	arena_fini(&scratch);
	if (!there)
		return;
	kc->service_host = arena_copy(&kc->arena, span_of(s->service_host));
	kc->service_port = arena_copy(&kc->arena, span_of(s->service_port));
	if (s->pod_namespace)
		kc->pod_namespace = arena_copy(&kc->arena, span_of(s->pod_namespace));
	if (kc->service_host && kc->service_port && !kc->pod_namespace == !s->pod_namespace)
		kc->service_dir = arena_copy(&kc->arena, span_of(dir));
	if (kc->service_dir)
		kc->current = KUBECONFIG_IN_CLUSTER;
}

/* --- load -------------------------------------------------------------------------------- */

static void kubeconfig_warn(const struct kubeconfig *kc, const struct kubeconfig_source *s,
        const struct kubeconfig_paths *paths, size_t found, struct problem_list *problems)
{
	struct problem_place nowhere = {NULL, 0, 0};
	if (kc->service_dir == NULL && paths->count > 0 && found == 0)
		problem_add(problems, PROBLEM_LEVEL_WARNING, nowhere,
		        "no kubeconfig found: %s%s not there", paths->path[0],
		        paths->count > 1 ? " and the others of $KUBECONFIG are" : " is");
	if (s->https_proxy && kubeconfig_count(kc) > 0)
		problem_add(problems, PROBLEM_LEVEL_WARNING, nowhere,
		        "HTTPS_PROXY is set, but proxies are not supported yet: kubering connects "
		        "directly");
}

err_t kubeconfig_load(
        const struct kubeconfig_source *s, struct problem_list *problems, struct kubeconfig **out)
{
	*out = NULL;
	size_t errors_before = problems->errors, found = 0;
	struct kubeconfig_paths paths;
	struct kubeconfig *kc = calloc(1, sizeof *kc);
	if (kc) {
		arena_init(&kc->arena, KUBECONFIG_ARENA_BYTES);
		if (kubeconfig_paths_find(&paths, s, &kc->arena))
			kc->files = arena_array(&kc->arena, paths.count, sizeof *kc->files);
	}
	if (!kc || !kc->files) {
		problem_add(
		        problems, PROBLEM_LEVEL_ERROR, (struct problem_place){0}, "out of memory");
		kubeconfig_free(&kc);
		return ERR_NO_MEMORY;
	}
	for (size_t i = 0; i < paths.count; i++)
		found += kubeconfig_read_file(kc, paths.path[i], paths.must_exist, problems);
	for (int kind = 0; kind < KUBECONFIG_KIND_COUNT; kind++)
		kubeconfig_merge(&kc->tables[kind], (enum kubeconfig_kind)kind, problems);
	if (s->file_count == 0 && kubeconfig_count(kc) == 0 && !kc->current)
		kubeconfig_try_in_cluster(kc, s);
	kubeconfig_warn(kc, s, &paths, found, problems);
	if (problems->errors > errors_before) {
		kubeconfig_free(&kc);
		return ERR_CONFIG;
	}
	*out = kc;
	return ERR_OK;
}

void kubeconfig_free(struct kubeconfig **p)
{
	struct kubeconfig *kc = *p;
	if (!kc)
		return;
	for (size_t i = 0; i < kc->file_count; i++)
		yaml_fini(&kc->files[i].yaml);
	for (int kind = 0; kind < KUBECONFIG_KIND_COUNT; kind++)
		free(kc->tables[kind].entries);
	arena_fini(&kc->arena);
	free(kc);
	*p = NULL;
}

/* --- asking ------------------------------------------------------------------------------ */

const struct kubeconfig_entry *kubeconfig_find(
        const struct kubeconfig *kc, enum kubeconfig_kind kind, const char *name)
{
	const struct kubeconfig_table *t = &kc->tables[kind];
	size_t low = 0, high = t->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, t->entries[mid].name);
		if (c == 0)
			return &t->entries[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

size_t kubeconfig_count(const struct kubeconfig *kc)
{
	return kc->service_dir ? 1 : kc->tables[KUBECONFIG_KIND_CONTEXT].count;
}

const char *kubeconfig_name(const struct kubeconfig *kc, size_t i)
{
	CHECK(i < kubeconfig_count(kc));
	return kc->service_dir ? KUBECONFIG_IN_CLUSTER
	                       : kc->tables[KUBECONFIG_KIND_CONTEXT].entries[i].name;
}

bool kubeconfig_index(const struct kubeconfig *kc, const char *context, size_t *i)
{
	const struct kubeconfig_entry *e = kubeconfig_find(kc, KUBECONFIG_KIND_CONTEXT, context);
	*i = e ? (size_t)(e - kc->tables[KUBECONFIG_KIND_CONTEXT].entries) : 0;
	return e || (kc->service_dir && strcmp(context, KUBECONFIG_IN_CLUSTER) == 0);
}

const char *kubeconfig_current(const struct kubeconfig *kc)
{
	return kc->current;
}

struct problem_place kubeconfig_place(const struct kubeconfig *kc, const char *context)
{
	const struct kubeconfig_entry *e = kubeconfig_find(kc, KUBECONFIG_KIND_CONTEXT, context);
	return e ? yaml_place(&e->file->yaml, e->item) : (struct problem_place){0};
}
