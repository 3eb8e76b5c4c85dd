#include "config/settings.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/pattern.h"
#include "config/settings_priv.h"

enum {
	SETTINGS_RESOURCE_MAX = 63 + 1 + 253, /* "resource.group" */
	SETTINGS_ID_MAX = 0xfffffffe,         /* the last 32-bit id means "none" to the kernel */
	SETTINGS_NSS_BYTES = 8192,
	SETTINGS_NSS_BYTES_MAX = 16 << 20,
};

struct settings_realm_fields {
	const char *name;
	const struct yaml_node *allow, *lists;
	bool secret_values;
};

static const struct fields_row realm_rows[] = {
        FIELDS_ROW("name", TEXT, struct settings_realm_fields, name),
        FIELDS_ROW("allow", NODE, struct settings_realm_fields, allow),
        FIELDS_ROW("lists", NODE, struct settings_realm_fields, lists),
        FIELDS_ROW("secretValues", BOOL, struct settings_realm_fields, secret_values),
};

struct settings_allow {
	struct fields_texts uids, gids, users, groups;
};

static const struct fields_row allow_rows[] = {
        FIELDS_ROW("uids", TEXTS, struct settings_allow, uids),
        FIELDS_ROW("gids", TEXTS, struct settings_allow, gids),
        FIELDS_ROW("users", TEXTS, struct settings_allow, users),
        FIELDS_ROW("groups", TEXTS, struct settings_allow, groups),
};

static const struct fields_row grant_rows[] = {
        FIELDS_ROW("clusters", TEXTS, struct settings_grant, clusters),
        FIELDS_ROW("resources", TEXTS, struct settings_grant, resources),
        FIELDS_ROW("namespaces", TEXTS, struct settings_grant, namespaces),
};

/* Resources that people write without their group; without it they would grant nothing, silently.
 */
static const struct {
	const char *resource, *group;
} grouped[] = {
        {"deployments", "apps"},
        {"replicasets", "apps"},
        {"statefulsets", "apps"},
        {"daemonsets", "apps"},
        {"controllerrevisions", "apps"},
        {"jobs", "batch"},
        {"cronjobs", "batch"},
        {"ingresses", "networking.k8s.io"},
        {"ingressclasses", "networking.k8s.io"},
        {"networkpolicies", "networking.k8s.io"},
        {"horizontalpodautoscalers", "autoscaling"},
        {"poddisruptionbudgets", "policy"},
        {"roles", "rbac.authorization.k8s.io"},
        {"rolebindings", "rbac.authorization.k8s.io"},
        {"clusterroles", "rbac.authorization.k8s.io"},
        {"clusterrolebindings", "rbac.authorization.k8s.io"},
        {"storageclasses", "storage.k8s.io"},
        {"volumeattachments", "storage.k8s.io"},
        {"csinodes", "storage.k8s.io"},
        {"csidrivers", "storage.k8s.io"},
        {"endpointslices", "discovery.k8s.io"},
        {"leases", "coordination.k8s.io"},
        {"customresourcedefinitions", "apiextensions.k8s.io"},
        {"apiservices", "apiregistration.k8s.io"},
        {"priorityclasses", "scheduling.k8s.io"},
        {"runtimeclasses", "node.k8s.io"},
        {"certificatesigningrequests", "certificates.k8s.io"},
};

/* --- RESOURCE[.VERSION][.GROUP] ---------------------------------------------------------- */

static size_t settings_digits(const char *p)
{
	return strspn(p, "0123456789");
}

/* v1, v2beta1, v1alpha3: what no group starts with. */
static bool settings_is_version(struct span s)
{
	char text[16];
	if (s.n < 2 || s.n >= sizeof text || s.p[0] != 'v')
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	const char *p = text + 1;
	size_t n = settings_digits(p);
	if (n == 0)
		return false;
	p += n;
	if (strncmp(p, "alpha", 5) == 0)
		p += 5;
	else if (strncmp(p, "beta", 4) == 0)
		p += 4;
	else
		return *p == '\0';
	n = settings_digits(p);
	return n > 0 && p[n] == '\0';
}

/* Lower case letters, digits, '-'; with dots if a subdomain. */
static bool settings_is_label(struct span s, bool dots)
{
	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool inner = i > 0 && i + 1 < s.n;
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!plain && !(inner && (c == '-' || (dots && c == '.'))))
			return false;
	}
	return true;
}

bool settings_is_namespace(const char *name)
{
	return strlen(name) <= SETTINGS_NAME_MAX && settings_is_label(span_of(name), false);
}

bool settings_resource_parse(const char *text, struct arena *arena, struct settings_resource *out)
{
	size_t n = strcspn(text, ".");
	struct span resource = {text, n}, version = SPAN(""), group = SPAN("");
	bool has_group = false;
	if (text[n] == '.') {
		struct span rest = span_of(text + n + 1);
		struct span first = {rest.p, strcspn(rest.p, ".")};
		if (settings_is_version(first)) {
			version = first;
			bool more = rest.n > first.n;
			group = more ? span_of(rest.p + first.n + 1) : SPAN("");
		} else {
			group = rest;
		}
		has_group = true;
		if (version.n == 0 && group.n == 0)
			return false; /* "pods." */
	}
	if (!settings_is_label(resource, false) || (group.n > 0 && !settings_is_label(group, true)))
		return false;
	*out = (struct settings_resource){arena_copy(arena, resource), arena_copy(arena, version),
	        arena_copy(arena, group), has_group};
	return out->resource && out->version && out->group;
}

/* --- reading realms ---------------------------------------------------------------------- */

static void settings_read_ids(struct fields *f, const struct yaml_node *at, const char *path,
        const struct fields_texts *texts, uint32_t *out, size_t *count)
{
	for (size_t i = 0; i < texts->count; i++) {
		uint64_t id;
		if (fields_number(span_of(texts->items[i]), false, &id) && id <= SETTINGS_ID_MAX)
			out[(*count)++] = (uint32_t)id;
		else
			fields_fail(f, at, path, "\"%.40s\" is no id", texts->items[i]);
	}
}

/* Of how many bytes an entry is nobody says: a group of a directory service names all its members.
 */
static bool settings_find_user(const char *name, uint32_t *id)
{
	struct passwd pw, *found = NULL;
	int e = ERANGE;
	for (size_t n = SETTINGS_NSS_BYTES; e == ERANGE && n <= SETTINGS_NSS_BYTES_MAX; n *= 2) {
		char *buf = malloc(n);
		e = buf ? getpwnam_r(name, &pw, buf, n, &found) : ENOMEM;
		free(buf);
	}
	if (e != 0 || !found)
		return false;
	*id = pw.pw_uid;
	return true;
}

static bool settings_find_group(const char *name, uint32_t *id)
{
	struct group gr, *found = NULL;
	int e = ERANGE;
	for (size_t n = SETTINGS_NSS_BYTES; e == ERANGE && n <= SETTINGS_NSS_BYTES_MAX; n *= 2) {
		char *buf = malloc(n);
		e = buf ? getgrnam_r(name, &gr, buf, n, &found) : ENOMEM;
		free(buf);
	}
	if (e != 0 || !found)
		return false;
	*id = gr.gr_gid;
	return true;
}

typedef bool (*settings_find_fn)(const char *name, uint32_t *id);

/* Names are looked up once, at load: a consumer is then judged without asking anyone. */
static void settings_read_names(struct fields *f, const struct yaml_node *at,
        const struct fields_texts *texts, settings_find_fn find, uint32_t *out, size_t *count)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (find(texts->items[i], &out[*count]))
			(*count)++;
		else
			fields_fail(f, at, "realms", "no such %s on this host: \"%.40s\"",
			        find == settings_find_user ? "user" : "group", texts->items[i]);
	}
}

static void settings_read_allow(
        struct fields *f, const struct yaml_node *map, const char *path, struct settings_realm *r)
{
	struct settings_allow a = {0};
	char sub[FIELDS_PATH_BYTES + 8];
	snprintf(sub, sizeof sub, "%s.allow", path);
	fields_read(f, map, sub, allow_rows, ARRAY_LEN(allow_rows), &a);
	uid_t *uids = arena_array(f->arena, a.uids.count + a.users.count, sizeof *uids);
	gid_t *gids = arena_array(f->arena, a.gids.count + a.groups.count, sizeof *gids);
	if (!uids || !gids) {
		fields_fail(f, map, path, "out of memory");
		return;
	}
	settings_read_ids(f, yaml_get(map, "uids"), sub, &a.uids, uids, &r->uid_count);
	settings_read_ids(f, yaml_get(map, "gids"), sub, &a.gids, gids, &r->gid_count);
	settings_read_names(
	        f, yaml_get(map, "users"), &a.users, settings_find_user, uids, &r->uid_count);
	settings_read_names(
	        f, yaml_get(map, "groups"), &a.groups, settings_find_group, gids, &r->gid_count);
	r->uids = uids;
	r->gids = gids;
}

static void settings_check_resources(struct fields *f, const struct yaml_node *at, const char *path,
        const struct settings_grant *g)
{
	for (size_t i = 0; i < g->resources.count; i++)
		for (size_t k = 0; k < ARRAY_LEN(grouped); k++)
			if (strcmp(g->resources.items[i], grouped[k].resource) == 0)
				fields_fail(f, at, path, "%s are in group %s: write %s.%s",
				        grouped[k].resource, grouped[k].group, grouped[k].resource,
				        grouped[k].group);
}

static void settings_read_grants(
        struct fields *f, const struct yaml_node *list, const char *path, struct settings_realm *r)
{
	char sub[FIELDS_PATH_BYTES + 32];
	snprintf(sub, sizeof sub, "%s.lists", path);
	size_t count = fields_items(f, list, sub);
	struct settings_grant *grants = arena_array(f->arena, count, sizeof *grants);
	if (!grants) {
		fields_fail(f, list, sub, "out of memory");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct yaml_node *item = list->items[i];
		snprintf(sub, sizeof sub, "%s.lists[%zu]", path, i);
		fields_read(f, item, sub, grant_rows, ARRAY_LEN(grant_rows), &grants[i]);
		settings_check_resources(f, yaml_get(item, "resources"), sub, &grants[i]);
		/* an empty list is a list of nothing, and must not turn into everything */
		for (size_t k = 0; k < ARRAY_LEN(grant_rows); k++) {
			const struct yaml_node *n = yaml_get(item, grant_rows[k].name);
			if (n && n->kind == YAML_KIND_LIST && n->count == 0)
				fields_fail(f, n, sub,
				        "%s is empty; leave it out for all, or take the "
				        "entry out for none",
				        grant_rows[k].name);
		}
	}
	r->grants = grants;
	r->grant_count = count;
}

static bool settings_realm_is_named(const struct settings_realm *r, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (r[i].name && strcmp(r[i].name, name) == 0)
			return true;
	return false;
}

static void settings_read_realm(
        struct fields *f, const struct yaml_node *item, struct settings_realm *realms, size_t i)
{
	struct settings_realm *r = &realms[i];
	struct settings_realm_fields fields = {0};
	char path[FIELDS_PATH_BYTES];
	snprintf(path, sizeof path, "realms[%zu]", i);
	fields_read(f, item, path, realm_rows, ARRAY_LEN(realm_rows), &fields);
	r->secret_values = fields.secret_values;
	if (!fields.name || strlen(fields.name) > SETTINGS_NAME_MAX ||
	        !settings_is_label(span_of(fields.name), false))
		fields_fail(f, item, path, "needs a name of lower case letters, digits and '-'");
	else if (settings_realm_is_named(realms, i, fields.name))
		fields_fail(f, item, path, "there is a realm \"%s\" already", fields.name);
	else
		r->name = fields.name;
	if (!fields.allow)
		fields_fail(f, item, path,
		        "allow is missing: nobody would be let in; write allow: {users: [...]}");
	else
		settings_read_allow(f, fields.allow, path, r);
	if (!fields.lists)
		fields_fail(f, item, path,
		        "lists is missing: nothing would be granted; for everything write "
		        "lists: [{clusters: \"*\"}]");
	else
		settings_read_grants(f, fields.lists, path, r);
}

void settings_read_realms(struct fields *f, const struct yaml_node *list, struct settings *s)
{
	size_t count = fields_items(f, list, "realms");
	if (count > SETTINGS_REALMS_MAX) {
		fields_fail(f, list, "realms", "%zu realms, at most %d are served", count,
		        SETTINGS_REALMS_MAX);
		return;
	}
	struct settings_realm *realms = arena_array(&s->arena, count, sizeof *realms);
	for (size_t i = 0; realms && i < count; i++)
		settings_read_realm(f, list->items[i], realms, i);
	s->realms = realms;
	s->realm_count = realms ? count : 0;
}

bool settings_default_realm(struct settings *s, uid_t uid)
{
	struct settings_realm *r = arena_alloc(&s->arena, sizeof *r);
	struct settings_grant *all = arena_alloc(&s->arena, sizeof *all);
	uid_t *uids = arena_array(&s->arena, 2, sizeof *uids);
	if (!r || !all || !uids)
		return false;
	uids[0] = uid;
	uids[1] = 0;
	*r = (struct settings_realm){
	        .name = "default", .uids = uids, .uid_count = 2, .grants = all, .grant_count = 1};
	s->realms = r;
	s->realm_count = 1;
	return true;
}

/* --- policy ------------------------------------------------------------------------------ */

static bool settings_any_matches(const struct fields_texts *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (pattern_match(patterns->items[i], name))
			return true;
	return patterns->count == 0;
}

/* All namespaces at once: only a pattern that matches every name covers them. */
static bool settings_covers_namespace(const struct settings_grant *g, const char *namespace_)
{
	if (namespace_ && namespace_[0] != '\0')
		return settings_any_matches(&g->namespaces, namespace_);
	for (size_t i = 0; i < g->namespaces.count; i++)
		if (strcmp(g->namespaces.items[i], "*") == 0)
			return true;
	return g->namespaces.count == 0;
}

static bool settings_covers(const struct settings_realm *r, const struct settings_target *t)
{
	char name[SETTINGS_RESOURCE_MAX + 1];
	bool core = !t->group || t->group[0] == '\0';
	if (strpbrk(t->resource, "./")) /* "pods.evil" must not pass for group "evil", nor a
	                                   subresource for its parent */
		return false;
	int n = snprintf(
	        name, sizeof name, "%s%s%s", t->resource, core ? "" : ".", core ? "" : t->group);
	if (n < 0 || (size_t)n >= sizeof name)
		return false;
	for (size_t i = 0; i < r->grant_count; i++) {
		const struct settings_grant *g = &r->grants[i];
		if (settings_any_matches(&g->clusters, t->cluster) &&
		        settings_any_matches(&g->resources, name) &&
		        settings_covers_namespace(g, t->namespace_))
			return true;
	}
	return false;
}

const struct settings_realm *settings_realm_for(const struct settings *s, const char *cluster,
        const char *group, const char *resource, const char *namespace_)
{
	const struct settings_target t = {cluster, group, resource, namespace_};
	for (size_t i = 0; i < s->realm_count; i++)
		if (settings_covers(&s->realms[i], &t))
			return &s->realms[i];
	return NULL;
}

bool settings_allows(const struct settings *s, const struct settings_realm *realm, uid_t uid,
        const gid_t *gids, size_t gid_count)
{
	CHECK(realm >= s->realms && realm < s->realms + s->realm_count);
	for (size_t i = 0; i < realm->uid_count; i++)
		if (realm->uids[i] == uid)
			return true;
	for (size_t i = 0; i < realm->gid_count; i++)
		for (size_t k = 0; k < gid_count; k++)
			if (realm->gids[i] == gids[k])
				return true;
	return false;
}

bool settings_secret_values(const struct settings *s, const struct settings_realm *realm)
{
	CHECK(realm >= s->realms && realm < s->realms + s->realm_count);
	return realm->secret_values;
}

bool settings_grants(const struct settings *s, const struct settings_realm *realm,
        const struct settings_target *target, const struct settings_peer *peer)
{
	return settings_covers(realm, target) &&
	       settings_allows(s, realm, peer->uid, peer->gids, peer->gid_count);
}

bool settings_sees_cluster(
        const struct settings *s, const char *cluster, const struct settings_peer *peer)
{
	for (size_t i = 0; i < s->realm_count; i++) {
		const struct settings_realm *r = &s->realms[i];
		if (!settings_allows(s, r, peer->uid, peer->gids, peer->gid_count))
			continue;
		for (size_t k = 0; k < r->grant_count; k++)
			if (settings_any_matches(&r->grants[k].clusters, cluster))
				return true;
	}
	return false;
}

const struct settings_realm *settings_admit(const struct settings *s,
        const struct settings_target *target, const struct settings_peer *peer)
{
	for (size_t i = 0; i < s->realm_count; i++)
		if (settings_grants(s, &s->realms[i], target, peer))
			return &s->realms[i];
	return NULL;
}
