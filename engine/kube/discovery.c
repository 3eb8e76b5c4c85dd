#include "kube/discovery.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "json/json.h"

enum { TEXT_CHUNK = 8192 };

struct text_chunk {
	struct text_chunk *next;
	size_t used, cap;
	char bytes[];
};

struct discovery {
	struct list link; /* in a pool */
	uint32_t refs;
	uint64_t digest;         /* of all rows, once it is shared */
	struct text_chunk *text; /* own: all strings */
	size_t text_bytes;
	struct discovery_resource *rows; /* own, in the order of preference */
	size_t count, cap;
	char **missing; /* own: paths to ask for, given out from the front */
	size_t missing_count, missing_next;
};

struct discovery *discovery_new(void)
{
	struct discovery *d = calloc(1, sizeof *d);
	if (d) {
		list_init(&d->link);
		d->refs = 1;
	}
	return d;
}

void discovery_free(struct discovery **dp)
{
	struct discovery *d = *dp;
	*dp = NULL;
	if (!d || --d->refs > 0)
		return;
	list_unlink(&d->link);
	for (struct text_chunk *c = d->text, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	for (size_t i = 0; i < d->missing_count; i++)
		free(d->missing[i]);
	free(d->missing);
	free(d->rows);
	free(d);
}

static const char *keep(struct discovery *d, struct span s)
{
	struct text_chunk *c = d->text;
	if (d->text_bytes + s.n + 1 > DISCOVERY_TEXT_MAX)
		return NULL;
	if (!c || c->cap - c->used < s.n + 1) {
		size_t cap = s.n + 1 > TEXT_CHUNK ? s.n + 1 : TEXT_CHUNK;
		c = malloc(sizeof *c + cap);
		if (!c)
			return NULL;
		*c = (struct text_chunk){.next = d->text, .cap = cap};
		d->text = c;
	}
	char *p = c->bytes + c->used;
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = 0;
	c->used += s.n + 1;
	d->text_bytes += s.n + 1;
	return p;
}

static struct span text_of(struct json_node n, const char *key)
{
	return json_dom_string(json_dom_get(n, key));
}

static bool lists(struct json_node strings, const char *wanted)
{
	struct json_iter it = {0};
	struct json_node v;
	while (json_dom_next(strings, &it, NULL, &v))
		if (span_is(json_dom_string(v), wanted))
			return true;
	return false;
}

/* A group, a version, a resource: DNS labels and subdomains. They become parts of paths, and what
 * is before the server may read ".." and "%2F" as another path than the one that the policy judged.
 */
static bool is_plain(struct span s)
{
	bool ok = s.n > 0 && s.p[0] != '.';
	for (size_t i = 0; ok && i < s.n; i++) {
		char c = s.p[i];
		ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		     c == '-' || c == '.' || c == '_';
	}
	return ok;
}

/* One resource as either kind of document describes it; they differ in three key names. */
struct row_keys {
	const char *plural, *singular, *kind;
};

static err_t add_row(struct discovery *d, struct span group, struct span version,
        struct json_node r, const struct row_keys *keys)
{
	struct span plural = text_of(r, keys->plural);
	if (!is_plain(plural) || !is_plain(version) || (group.n && !is_plain(group)))
		return ERR_OK; /* pods/status and the like are no lists */
	if (d->count == DISCOVERY_RESOURCES_MAX)
		return ERR_LIMIT;
	if (d->count == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 128;
		struct discovery_resource *rows = realloc(d->rows, cap * sizeof *rows);
		if (!rows)
			return ERR_NO_MEMORY;
		d->rows = rows;
		d->cap = cap;
	}
	struct discovery_resource *row = &d->rows[d->count];
	struct json_node verbs = json_dom_get(r, "verbs");
	*row = (struct discovery_resource){.group = keep(d, group),
	        .version = keep(d, version),
	        .resource = keep(d, plural),
	        .singular = keep(d, text_of(r, keys->singular)),
	        .kind = keep(d, json_dom_string(json_dom_path(r, keys->kind))),
	        .namespaced = span_is(text_of(r, "scope"), "Namespaced") ||
	                      json_dom_bool(json_dom_get(r, "namespaced"), false),
	        .can_list = lists(verbs, "list"),
	        .can_watch = lists(verbs, "watch")};
	if (!row->group || !row->version || !row->resource || !row->singular || !row->kind)
		return ERR_LIMIT;
	struct json_iter it = {0};
	struct json_node name;
	for (size_t i = 0; json_dom_next(json_dom_get(r, "shortNames"), &it, NULL, &name) &&
	                   i < DISCOVERY_SHORT_NAMES_MAX;
	        i++)
		row->short_names[i] = keep(d, json_dom_string(name));
	d->count++;
	return ERR_OK;
}

static err_t add_rows(struct discovery *d, struct span group, struct span version,
        struct json_node resources, const struct row_keys *keys)
{
	struct json_iter it = {0};
	struct json_node r;
	while (json_dom_next(resources, &it, NULL, &r)) {
		err_t err = add_row(d, group, version, r, keys);
		if (err)
			return err;
	}
	return ERR_OK;
}

static err_t add_aggregated(struct discovery *d, struct json_node root)
{
	static const struct row_keys keys = {"resource", "singularResource", "responseKind.kind"};
	struct json_iter gi = {0};
	struct json_node group;
	while (json_dom_next(json_dom_get(root, "items"), &gi, NULL, &group)) {
		struct span name = json_dom_string(json_dom_path(group, "metadata.name"));
		struct json_iter vi = {0};
		struct json_node v;
		while (json_dom_next(json_dom_get(group, "versions"), &vi, NULL, &v)) {
			err_t err = add_rows(d, name, text_of(v, "version"),
			        json_dom_get(v, "resources"), &keys);
			if (err)
				return err;
		}
	}
	return ERR_OK;
}

static err_t miss(struct discovery *d, const char *prefix, struct span group_version)
{
	const char *slash = group_version.n ? memchr(group_version.p, '/', group_version.n) : NULL;
	size_t head = slash ? (size_t)(slash - group_version.p) : group_version.n;
	if (!is_plain((struct span){group_version.p, head}) || d->missing_count >= 4096)
		return ERR_JSON_SHAPE;
	if (slash && !is_plain((struct span){slash + 1, group_version.n - head - 1}))
		return ERR_JSON_SHAPE;
	char **p = realloc(d->missing, (d->missing_count + 1) * sizeof *p);
	if (!p)
		return ERR_NO_MEMORY;
	d->missing = p;
	size_t n = strlen(prefix) + group_version.n + 1;
	char *path = malloc(n);
	if (!path)
		return ERR_NO_MEMORY;
	memcpy(path, prefix, strlen(prefix));
	memcpy(path + strlen(prefix), group_version.p, group_version.n);
	path[n - 1] = 0;
	d->missing[d->missing_count++] = path;
	return ERR_OK;
}

static err_t add_versions(struct discovery *d, struct json_node root)
{
	struct json_iter it = {0};
	struct json_node v;
	err_t err = ERR_OK;
	while (!err && json_dom_next(json_dom_get(root, "versions"), &it, NULL, &v))
		err = miss(d, "/api/", json_dom_string(v));
	return err;
}

static err_t add_groups(struct discovery *d, struct json_node root)
{
	struct json_iter gi = {0};
	struct json_node group;
	err_t err = ERR_OK;
	while (!err && json_dom_next(json_dom_get(root, "groups"), &gi, NULL, &group)) {
		struct span preferred =
		        json_dom_string(json_dom_path(group, "preferredVersion.groupVersion"));
		if (preferred.n)
			err = miss(d, "/apis/", preferred);
		struct json_iter vi = {0};
		struct json_node v;
		while (!err && json_dom_next(json_dom_get(group, "versions"), &vi, NULL, &v))
			if (!span_eq(text_of(v, "groupVersion"), preferred))
				err = miss(d, "/apis/", text_of(v, "groupVersion"));
	}
	return err;
}

static err_t add_resources(struct discovery *d, struct json_node root)
{
	static const struct row_keys keys = {"name", "singularName", "kind"};
	struct span gv = text_of(root, "groupVersion"), group = SPAN_NONE, version = gv;
	const char *slash = gv.n ? memchr(gv.p, '/', gv.n) : NULL;
	if (slash) {
		group = (struct span){gv.p, (size_t)(slash - gv.p)};
		version = (struct span){slash + 1, gv.n - group.n - 1};
	}
	return add_rows(d, group, version, json_dom_get(root, "resources"), &keys);
}

err_t discovery_add(struct discovery *d, struct span document)
{
	struct json_node root;
	struct json_dom *dom = json_dom_new();
	if (!dom)
		return ERR_NO_MEMORY;
	err_t err = json_dom_parse(dom, document, &root);
	if (!err) {
		struct span kind = text_of(root, "kind");
		err = span_is(kind, "APIGroupDiscoveryList") ? add_aggregated(d, root)
		      : span_is(kind, "APIVersions")         ? add_versions(d, root)
		      : span_is(kind, "APIGroupList")        ? add_groups(d, root)
		      : span_is(kind, "APIResourceList")     ? add_resources(d, root)
		                                             : ERR_JSON_SHAPE;
	}
	json_dom_free(&dom);
	return err;
}

/* --- sharing -------------------------------------------------------------------------------- */

static const char *const *texts_of(const struct discovery_resource *r, size_t i)
{
	const char *const *first[] = {&r->group, &r->version, &r->resource, &r->singular, &r->kind};
	return i < ARRAY_LEN(first) ? first[i] : &r->short_names[i - ARRAY_LEN(first)];
}

enum { TEXTS = 5 + DISCOVERY_SHORT_NAMES_MAX };

static uint64_t mix(uint64_t digest, uint64_t v)
{
	return (digest ^ v) * 0x100000001b3u; /* FNV-1a */
}

static uint64_t digest_of(const struct discovery *d)
{
	uint64_t digest = 0xcbf29ce484222325u;
	for (size_t i = 0; i < d->count; i++) {
		const struct discovery_resource *r = &d->rows[i];
		for (size_t k = 0; k < TEXTS; k++) {
			for (const char *p = *texts_of(r, k); p && *p; p++)
				digest = mix(digest, (unsigned char)*p);
			digest = mix(digest, 0x100);
		}
		digest = mix(
		        digest, (uint64_t)(r->namespaced | r->can_list << 1 | r->can_watch << 2));
	}
	return digest;
}

static bool equal(const struct discovery *a, const struct discovery *b)
{
	if (a->digest != b->digest || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct discovery_resource *r = &a->rows[i], *q = &b->rows[i];
		for (size_t k = 0; k < TEXTS; k++) {
			const char *x = *texts_of(r, k), *y = *texts_of(q, k);
			if ((x == NULL) != (y == NULL) || (x && strcmp(x, y) != 0))
				return false;
		}
		if (r->namespaced != q->namespaced || r->can_list != q->can_list ||
		        r->can_watch != q->can_watch)
			return false;
	}
	return true;
}

void discovery_pool_init(struct discovery_pool *p)
{
	list_init(&p->all);
}

void discovery_share(struct discovery_pool *p, struct discovery **dp)
{
	struct discovery *d = *dp;
	CHECK(d->refs == 1 && list_empty(&d->link));
	d->digest = digest_of(d);
	LIST_EACH (it, &p->all) {
		struct discovery *other = CONTAINER_OF(it, struct discovery, link);
		if (!equal(d, other))
			continue;
		other->refs++;
		discovery_free(dp);
		*dp = other;
		return;
	}
	list_push(&p->all, &d->link);
}

const char *discovery_missing(struct discovery *d)
{
	return d->missing_next < d->missing_count ? d->missing[d->missing_next++] : NULL;
}

/* --- asking --------------------------------------------------------------------------------------
 */

static bool same(const char *a, struct span b)
{
	return b.n && strlen(a) == b.n && strncasecmp(a, b.p, b.n) == 0;
}

static bool is_called(const struct discovery_resource *r, struct span name)
{
	if (same(r->resource, name) || same(r->singular, name) || same(r->kind, name))
		return true;
	for (size_t i = 0; i < DISCOVERY_SHORT_NAMES_MAX && r->short_names[i]; i++)
		if (same(r->short_names[i], name))
			return true;
	return false;
}

/* The core group is the one without a name. */
static bool is_group(const struct discovery_resource *r, struct span group)
{
	return group.n ? same(r->group, group) : !r->group[0];
}

static const struct discovery_resource *first(const struct discovery *d, struct span name,
        const struct span *version, const struct span *group)
{
	const struct discovery_resource *best = NULL;
	for (size_t i = 0; i < d->count; i++) {
		const struct discovery_resource *r = &d->rows[i];
		if (!is_called(r, name) || (version && !same(r->version, *version)) ||
		        (group && !is_group(r, *group)))
			continue;
		if (!r->group[0])
			return r; /* the core group comes first, wherever its document came */
		if (!best)
			best = r;
	}
	return best;
}

const struct discovery_resource *discovery_resolve(const struct discovery *d, struct span name)
{
	const char *dot = name.n ? memchr(name.p, '.', name.n) : NULL;
	if (!dot)
		return first(d, name, NULL, NULL);
	struct span head = {name.p, (size_t)(dot - name.p)};
	struct span rest = {dot + 1, name.n - head.n - 1};
	const char *dot2 = rest.n ? memchr(rest.p, '.', rest.n) : NULL;
	const struct discovery_resource *r = NULL;
	if (dot2) {
		struct span version = {rest.p, (size_t)(dot2 - rest.p)};
		struct span group = {dot2 + 1, rest.n - version.n - 1};
		r = first(d, head, &version, &group);
	}
	if (!r)
		r = first(d, head, NULL, &rest);
	if (!r) { /* "pods.v1": the core group has no name to write */
		struct span core = SPAN("");
		r = first(d, head, &rest, &core);
	}
	return r;
}

const struct discovery_resource *discovery_find(
        const struct discovery *d, struct span group, struct span version, struct span resource)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct discovery_resource *r = &d->rows[i];
		if (span_is(group, r->group) && span_is(version, r->version) &&
		        span_is(resource, r->resource))
			return r;
	}
	return NULL;
}

size_t discovery_count(const struct discovery *d)
{
	return d->count;
}

bool discovery_is_empty(const struct discovery *d)
{
	return !d->count && d->missing_next == d->missing_count;
}
