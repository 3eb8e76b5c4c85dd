/* What the server says of itself: versions, groups, resources, in the two forms that clients ask
 * for. */
#include "model/model_conn_priv.h"

#define VERBS                                                                                      \
	"[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"update\","       \
	"\"watch\"]"
#define VERBS_NAMESPACES "[\"create\",\"delete\",\"get\",\"list\",\"patch\",\"update\",\"watch\"]"
#define VERBS_CUSTOM                                                                               \
	"[\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"create\",\"update\","       \
	"\"watch\"]"
#define VERBS_SUB "[\"get\",\"patch\",\"update\"]"

#define GROUPS_MAX 128

/* All kinds of a cluster: the built-in ones, then its custom ones. */
struct kinds {
	const struct model_cluster *cluster;
	size_t builtin, custom;
};

static const struct model_kind *next_kind(struct kinds *it)
{
	if (it->builtin < model_kind_count)
		return &model_kinds[it->builtin++];
	return model_cluster_custom(it->cluster, &it->custom);
}

static const char *verbs_of(const struct model_kind *k)
{
	if (k->custom)
		return VERBS_CUSTOM;
	return k->shape == MODEL_SHAPE_NAMESPACE ? VERBS_NAMESPACES : VERBS;
}

static void put_strings(struct model_text *t, const char *member, const char *list)
{
	if (!*list)
		return;
	model_text_printf(t, ",\"%s\":[", member);
	for (const char *sep = ""; *list; sep = ",") {
		size_t n = strcspn(list, ",");
		model_text_printf(t, "%s\"%.*s\"", sep, (int)n, list);
		list += n + (list[n] == ',');
	}
	TEXT_LIT(t, "]");
}

/* --- APIResourceList --- */

static void put_resource(struct model_text *t, const struct model_kind *k)
{
	model_text_printf(t,
	        "{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\","
	        "\"verbs\":%s",
	        k->resource, k->singular, k->namespaced ? "true" : "false", k->kind, verbs_of(k));
	put_strings(t, "shortNames", k->short_names);
	put_strings(t, "categories", k->categories);
	if (k->hash[0])
		model_text_printf(t, ",\"storageVersionHash\":\"%s\"", k->hash);
	TEXT_LIT(t, "}");
	for (const char *sub = k->subresources; *sub;) {
		size_t n = strcspn(sub, ",");
		bool scale = n == 5 && memcmp(sub, "scale", 5) == 0;
		model_text_printf(t,
		        ",{\"name\":\"%s/"
		        "%.*s\",\"singularName\":\"\",\"namespaced\":%s,%s\"kind\":\"%s\","
		        "\"verbs\":%s}",
		        k->resource, (int)n, sub, k->namespaced ? "true" : "false",
		        scale ? "\"group\":\"autoscaling\",\"version\":\"v1\"," : "",
		        scale ? "Scale" : k->kind,
		        n == 3   ? "[\"get\"]"
		        : n == 8 ? "[\"update\"]"
		                 : VERBS_SUB);
		sub += n + (sub[n] == ',');
	}
}

static bool put_resources(struct model_text *t, const struct model_cluster *cluster,
        struct span group, struct span version)
{
	TEXT_LIT(t, "{\"kind\":\"APIResourceList\",");
	if (group.n)
		model_text_printf(t, "\"apiVersion\":\"v1\",\"groupVersion\":\"%.*s/%.*s\"",
		        SPAN_ARG(group), SPAN_ARG(version));
	else
		model_text_printf(t, "\"groupVersion\":\"%.*s\"", SPAN_ARG(version));
	TEXT_LIT(t, ",\"resources\":[");
	struct kinds it = {.cluster = cluster};
	const char *sep = "";
	for (const struct model_kind *k; (k = next_kind(&it));) {
		if (!span_is(group, k->group) || !span_is(version, k->version))
			continue;
		model_text_str(t, sep);
		sep = ",";
		put_resource(t, k);
	}
	TEXT_LIT(t, "]}\n");
	return *sep != 0;
}

/* --- groups --- */

/* The named groups in the order of their first kind, each once. */
static size_t groups_of(const struct model_cluster *cluster, const char *groups[static GROUPS_MAX])
{
	size_t n = 0;
	struct kinds it = {.cluster = cluster};
	for (const struct model_kind *k; (k = next_kind(&it));) {
		size_t i = 0;
		while (i < n && strcmp(groups[i], k->group) != 0)
			i++;
		if (i == n && k->group[0] && n < GROUPS_MAX)
			groups[n++] = k->group;
	}
	return n;
}

/* The versions of a group, each once, in the order of the kinds; the first is the preferred one. */
static size_t versions_of(
        const struct model_cluster *cluster, const char *group, const char *versions[static 8])
{
	size_t n = 0;
	struct kinds it = {.cluster = cluster};
	for (const struct model_kind *k; (k = next_kind(&it));) {
		if (strcmp(k->group, group) != 0)
			continue;
		size_t i = 0;
		while (i < n && strcmp(versions[i], k->version) != 0)
			i++;
		if (i == n && n < 8)
			versions[n++] = k->version;
	}
	return n;
}

static void put_group_versions(
        struct model_text *t, const struct model_cluster *cluster, const char *group)
{
	const char *versions[8];
	size_t n = versions_of(cluster, group, versions);
	model_text_printf(t, "\"name\":\"%s\",\"versions\":[", group);
	for (size_t i = 0; i < n; i++)
		model_text_printf(t, "%s{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}",
		        i ? "," : "", group, versions[i], versions[i]);
	model_text_printf(t,
	        "],\"preferredVersion\":{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}}", group,
	        versions[0], versions[0]);
}

static void put_groups(struct model_text *t, const struct model_cluster *cluster)
{
	const char *groups[GROUPS_MAX];
	size_t n = groups_of(cluster, groups);
	TEXT_LIT(t, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (size_t i = 0; i < n; i++) {
		model_text_str(t, i ? ",{" : "{");
		put_group_versions(t, cluster, groups[i]);
	}
	TEXT_LIT(t, "]}\n");
}

static bool put_group(struct model_text *t, const struct model_cluster *cluster, struct span group)
{
	const char *groups[GROUPS_MAX];
	size_t n = groups_of(cluster, groups);
	for (size_t i = 0; i < n; i++) {
		if (!span_is(group, groups[i]))
			continue;
		TEXT_LIT(t, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",");
		put_group_versions(t, cluster, groups[i]);
		TEXT_LIT(t, "\n");
		return true;
	}
	return false;
}

/* --- APIGroupDiscoveryList --- */

static void put_aggregated_resource(struct model_text *t, const struct model_kind *k)
{
	/* kube-apiserver leaves group and version of the kind empty where they are those of the
	 * path; those of CRDs it fills in. */
	model_text_printf(t,
	        "{\"resource\":\"%s\",\"responseKind\":{\"group\":\"%s\",\"version\":\"%s\","
	        "\"kind\":\"%s\"},"
	        "\"scope\":\"%s\",\"singularResource\":\"%s\",\"verbs\":%s",
	        k->resource, k->custom ? k->group : "", k->custom ? k->version : "", k->kind,
	        k->namespaced ? "Namespaced" : "Cluster", k->singular, verbs_of(k));
	put_strings(t, "shortNames", k->short_names);
	put_strings(t, "categories", k->categories);
	if (*k->subresources)
		TEXT_LIT(t, ",\"subresources\":[");
	for (const char *sub = k->subresources; *sub;) {
		size_t n = strcspn(sub, ",");
		bool scale = n == 5 && memcmp(sub, "scale", 5) == 0;
		model_text_printf(t,
		        "%s{\"subresource\":\"%.*s\",\"responseKind\":{\"group\":\"%s\","
		        "\"version\":\"%s\",\"kind\":\"%s\"},"
		        "\"verbs\":%s}",
		        sub == k->subresources ? "" : ",", (int)n, sub, scale ? "autoscaling" : "",
		        scale ? "v1" : "", scale ? "Scale" : k->kind,
		        n == 3   ? "[\"get\"]"
		        : n == 8 ? "[\"update\"]"
		                 : VERBS_SUB);
		sub += n + (sub[n] == ',');
	}
	if (*k->subresources)
		TEXT_LIT(t, "]");
	TEXT_LIT(t, "}");
}

static void put_aggregated_group(
        struct model_text *t, const struct model_cluster *cluster, const char *group)
{
	const char *versions[8];
	size_t n = versions_of(cluster, group, versions);
	TEXT_LIT(t, "{\"metadata\":{");
	if (*group)
		model_text_printf(t, "\"name\":\"%s\"", group);
	TEXT_LIT(t, "},\"versions\":[");
	for (size_t i = 0; i < n; i++) {
		model_text_printf(
		        t, "%s{\"version\":\"%s\",\"resources\":[", i ? "," : "", versions[i]);
		struct kinds it = {.cluster = cluster};
		const char *sep = "";
		for (const struct model_kind *k; (k = next_kind(&it));) {
			if (strcmp(k->group, group) != 0 || strcmp(k->version, versions[i]) != 0)
				continue;
			model_text_str(t, sep);
			sep = ",";
			put_aggregated_resource(t, k);
		}
		TEXT_LIT(t, "],\"freshness\":\"Current\"}");
	}
	TEXT_LIT(t, "]}");
}

static void answer_aggregated(struct model_conn *c, const struct model_cluster *cluster, bool core)
{
	struct model_text t = {0};
	TEXT_LIT(&t, "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"
	             "v2\",\"metadata\":{},"
	             "\"items\":[");
	if (core) {
		put_aggregated_group(&t, cluster, "");
	} else {
		const char *groups[GROUPS_MAX];
		size_t n = groups_of(cluster, groups);
		for (size_t i = 0; i < n; i++) {
			if (i)
				TEXT_LIT(&t, ",");
			put_aggregated_group(&t, cluster, groups[i]);
		}
	}
	TEXT_LIT(&t, "]}\n");
	struct model_head h = {.code = 200,
	        .after = "Vary: Accept\r\n",
	        .type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"};
	model_reply_whole(c, &h, model_text_as_span(&t));
	model_text_fini(&t);
}

/* --- the rest --- */

static const char version_text[] =
        "{\n  \"major\": \"1\",\n  \"minor\": \"37\",\n  \"emulationMajor\": \"1\",\n  "
        "\"emulationMinor\": \"37\",\n"
        "  \"minCompatibilityMajor\": \"1\",\n  \"minCompatibilityMinor\": \"36\",\n  "
        "\"gitVersion\": \"v1.37.2\",\n"
        "  \"gitCommit\": \"$Format:%H$\",\n  \"gitTreeState\": \"\",\n  \"buildDate\": "
        "\"1970-01-01T00:00:00Z\",\n"
        "  \"goVersion\": \"go1.26.8\",\n  \"compiler\": \"gc\",\n  \"platform\": "
        "\"linux/amd64\"\n}";

/* False: there is nothing of that name. */
static bool document(struct model_text *t, struct model_conn *c,
        const struct model_cluster *cluster, const struct model_request *r)
{
	switch (r->target) {
	case MODEL_TARGET_VERSION: model_text_str(t, version_text); return true;
	case MODEL_TARGET_API:
		model_text_printf(t,
		        "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],"
		        "\"serverAddressByClientCIDRs\":[{\"clientCIDR\":"
		        "\"0.0.0.0/0\",\"serverAddress\":\"%s\"}]}\n",
		        c->server->options.address);
		return true;
	case MODEL_TARGET_APIS: put_groups(t, cluster); return true;
	case MODEL_TARGET_GROUP: return put_group(t, cluster, r->group);
	case MODEL_TARGET_VERSION_OF: return put_resources(t, cluster, r->group, r->version);
	case MODEL_TARGET_RESOURCE:
	case MODEL_TARGET_HEALTH:
	case MODEL_TARGET_OTHER: break;
	}
	return false;
}

bool model_discovery_answer(
        struct model_conn *c, struct model_cluster *cluster, const struct model_request *r)
{
	if (r->target == MODEL_TARGET_RESOURCE || r->target == MODEL_TARGET_OTHER)
		return false;
	if (r->target == MODEL_TARGET_HEALTH) {
		struct model_head h = {.code = 200,
		        .type = "text/plain; charset=utf-8",
		        .after = "X-Content-Type-Options: nosniff\r\n"};
		model_reply_whole(c, &h, SPAN("ok"));
		return true;
	}
	bool both = r->target == MODEL_TARGET_API || r->target == MODEL_TARGET_APIS;
	if (both && r->accept == MODEL_ACCEPT_DISCOVERY) {
		answer_aggregated(c, cluster, r->target == MODEL_TARGET_API);
		return true;
	}
	struct model_text t = {0};
	if (document(&t, c, cluster, r))
		model_reply_whole(c, &(struct model_head){.code = 200, .may_gzip = r->gzip},
		        model_text_as_span(&t));
	else
		model_not_found_page(c);
	model_text_fini(&t);
	return true;
}
