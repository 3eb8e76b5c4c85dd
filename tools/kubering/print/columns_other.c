/* columns_other.c - definitions, rights, leases and the like: mostly paths. */
#include <inttypes.h>

#include "kubering/print/columns.h"

static void crd_versions(struct json_node object, int64_t now, struct text *out)
{
	struct json_iter it = {0};
	struct json_node v;
	struct cell_list l = {0};
	(void)now;
	while (json_dom_next(json_dom_path(object, "spec.versions"), &it, NULL, &v))
		if (cell_list_next(&l, out))
			text_printf(out, "%.*s%s",
			        SPAN_ARG(json_dom_string(json_dom_get(v, "name"))),
			        json_dom_bool(json_dom_get(v, "storage"), false) ? "(storage)"
			                                                         : "");
}

static const struct column definitions[] = {COLUMN_NAME,
        {"SCOPE", CELL_TEXT, "spec.scope", NULL, NULL},
        {"VERSIONS", CELL_WRITE, NULL, NULL, crd_versions}, COLUMN_CREATED, COLUMN_END};

static void binding_role(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	text_printf(out, "%.*s/%.*s",
	        SPAN_ARG(json_dom_string(json_dom_path(object, "roleRef.kind"))),
	        SPAN_ARG(json_dom_string(json_dom_path(object, "roleRef.name"))));
}

static void api_service(struct json_node object, int64_t now, struct text *out)
{
	struct json_node s = json_dom_path(object, "spec.service");
	(void)now;
	if (!json_dom_exists(s) || json_dom_type(s) == JSON_NULL)
		text_add(out, SPAN("Local"));
	else
		text_printf(out, "%.*s/%.*s",
		        SPAN_ARG(json_dom_string(json_dom_get(s, "namespace"))),
		        SPAN_ARG(json_dom_string(json_dom_get(s, "name"))));
}

static void api_available(struct json_node object, int64_t now, struct text *out)
{
	struct json_node c = cell_condition(object, "Available");
	struct span status = json_dom_string(json_dom_get(c, "status"));
	(void)now;
	text_printf(out, "%.*s", SPAN_ARG(status.n > 0 ? status : SPAN("Unknown")));
	if (status.n > 0 && !span_is(status, "True"))
		text_printf(out, " (%.*s)", SPAN_ARG(json_dom_string(json_dom_get(c, "reason"))));
}

static void pod_selector(struct json_node object, int64_t now, struct text *out)
{
	struct json_iter it = {0};
	struct json_node v;
	struct span key;
	struct cell_list l = {0};
	(void)now;
	while (json_dom_next(json_dom_path(object, "spec.podSelector.matchLabels"), &it, &key, &v))
		if (cell_list_next(&l, out))
			text_printf(out, "%.*s=%.*s", SPAN_ARG(key), SPAN_ARG(json_dom_string(v)));
	cell_list_end(&l, out, "<none>");
}

static const struct column bindings[] = {
        COLUMN_NAME, {"ROLE", CELL_WRITE, NULL, NULL, binding_role}, COLUMN_AGE, COLUMN_END};

static const struct column created[] = {COLUMN_NAME, COLUMN_CREATED, COLUMN_END};

static const struct column leases[] = {COLUMN_NAME,
        {"HOLDER", CELL_TEXT, "spec.holderIdentity", NULL, NULL}, COLUMN_AGE, COLUMN_END};

static const struct column services[] = {COLUMN_NAME,
        {"SERVICE", CELL_WRITE, NULL, NULL, api_service},
        {"AVAILABLE", CELL_WRITE, NULL, NULL, api_available}, COLUMN_AGE, COLUMN_END};

static const struct column policies[] = {COLUMN_NAME,
        {"POD-SELECTOR", CELL_WRITE, NULL, NULL, pod_selector}, COLUMN_AGE, COLUMN_END};

static const struct column budgets[] = {COLUMN_NAME,
        {"MIN AVAILABLE", CELL_TEXT, "spec.minAvailable", "N/A", NULL},
        {"MAX UNAVAILABLE", CELL_TEXT, "spec.maxUnavailable", "N/A", NULL},
        {"ALLOWED DISRUPTIONS", CELL_TEXT, "status.disruptionsAllowed", "0", NULL}, COLUMN_AGE,
        COLUMN_END};

static const struct column priorities[] = {COLUMN_NAME, {"VALUE", CELL_TEXT, "value", "0", NULL},
        {"GLOBAL-DEFAULT", CELL_TEXT, "globalDefault", "false", NULL}, COLUMN_AGE,
        {"PREEMPTIONPOLICY", CELL_TEXT, "preemptionPolicy", "PreemptLowerPriority", NULL},
        COLUMN_END};

static const struct column webhooks[] = {
        COLUMN_NAME, {"WEBHOOKS", CELL_COUNT, "webhooks", NULL, NULL}, COLUMN_AGE, COLUMN_END};

static void schema_dangling(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	cell_text(out, json_dom_get(cell_condition(object, "Dangling"), "status"), "?");
}

static const struct column flow_schemas[] = {COLUMN_NAME,
        {"PRIORITYLEVEL", CELL_TEXT, "spec.priorityLevelConfiguration.name", NULL, NULL},
        {"MATCHINGPRECEDENCE", CELL_TEXT, "spec.matchingPrecedence", NULL, NULL},
        {"DISTINGUISHERMETHOD", CELL_TEXT, "spec.distinguisherMethod.type", "<none>", NULL},
        COLUMN_AGE, {"MISSINGPL", CELL_WRITE, NULL, NULL, schema_dangling}, COLUMN_END};

static void address_parent(struct json_node object, int64_t now, struct text *out)
{
	static const char *const fields[] = {"group", "resource", "namespace", "name"};
	struct json_node parent = json_dom_path(object, "spec.parentRef");
	bool any = false;
	(void)now;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct span s = json_dom_string(json_dom_get(parent, fields[i]));
		if (s.n == 0)
			continue;
		text_printf(out, "%s%.*s", any ? (i == 1 ? "." : "/") : "", SPAN_ARG(s));
		any = true;
	}
}

static const struct column addresses[] = {
        COLUMN_NAME, {"PARENTREF", CELL_WRITE, NULL, NULL, address_parent}, COLUMN_END};

static const struct column runtimes[] = {
        COLUMN_NAME, {"HANDLER", CELL_TEXT, "handler", NULL, NULL}, COLUMN_AGE, COLUMN_END};

static const struct column csi_nodes[] = {
        COLUMN_NAME, {"DRIVERS", CELL_COUNT, "spec.drivers", NULL, NULL}, COLUMN_AGE, COLUMN_END};

const struct column_set columns_other[] = {
        {"customresourcedefinitions.apiextensions.k8s.io", definitions},
        {"rolebindings.rbac.authorization.k8s.io,clusterrolebindings.rbac.authorization.k8s.io",
                bindings},
        {"roles.rbac.authorization.k8s.io,clusterroles.rbac.authorization.k8s.io,limitranges,"
         "csistoragecapacities.storage.k8s.io",
                created},
        {"leases.coordination.k8s.io", leases},
        {"apiservices.apiregistration.k8s.io", services},
        {"networkpolicies.networking.k8s.io", policies},
        {"poddisruptionbudgets.policy", budgets},
        {"priorityclasses.scheduling.k8s.io", priorities},
        {"mutatingwebhookconfigurations.admissionregistration.k8s.io,"
         "validatingwebhookconfigurations.admissionregistration.k8s.io",
                webhooks},
        {"flowschemas.flowcontrol.apiserver.k8s.io", flow_schemas},
        {"ipaddresses.networking.k8s.io", addresses},
        {"runtimeclasses.node.k8s.io", runtimes},
        {"csinodes.storage.k8s.io", csi_nodes},
        {NULL, NULL},
};
