/* columns_core.c - configuration, nodes, namespaces, events, storage. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "kubering/print/columns.h"

static const struct column namespaces[] = {
        COLUMN_NAME, {"STATUS", CELL_TEXT, "status.phase", NULL, NULL}, COLUMN_AGE, COLUMN_END};

static void configmap_data(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	text_printf(out, "%" PRId64,
	        cell_count(json_dom_get(object, "data")) +
	                cell_count(json_dom_get(object, "binaryData")));
}

static const struct column configmaps[] = {
        COLUMN_NAME, {"DATA", CELL_WRITE, NULL, NULL, configmap_data}, COLUMN_AGE, COLUMN_END};

/* Of secrets only the metadata is mirrored, unless the policy grants more. */
static void secret_data(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	if (json_dom_exists(json_dom_get(object, "type")))
		text_printf(out, "%" PRId64, cell_count(json_dom_get(object, "data")));
	else
		text_add(out, SPAN("<withheld>"));
}

static const struct column secrets[] = {COLUMN_NAME,
        {"TYPE", CELL_TEXT, "type", "<withheld>", NULL},
        {"DATA", CELL_WRITE, NULL, NULL, secret_data}, COLUMN_AGE, COLUMN_END};

/* --- nodes --------------------------------------------------------------------------- */

static void node_status(struct json_node object, int64_t now, struct text *out)
{
	struct json_node ready = cell_condition(object, "Ready");
	(void)now;
	if (!json_dom_exists(ready))
		text_add(out, SPAN("Unknown"));
	else
		text_add(out, span_is(json_dom_string(json_dom_get(ready, "status")), "True")
		                      ? SPAN("Ready")
		                      : SPAN("NotReady"));
	if (json_dom_bool(json_dom_path(object, "spec.unschedulable"), false))
		text_add(out, SPAN(",SchedulingDisabled"));
}

static int by_text(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int r = n ? memcmp(x->p, y->p, n) : 0;
	return r ? r : (x->n > y->n) - (x->n < y->n);
}

static void node_roles(struct json_node object, int64_t now, struct text *out)
{
	enum { ROLES_MAX = 16 };
	static const char prefix[] = "node-role.kubernetes.io/";
	struct span roles[ROLES_MAX], key;
	struct json_iter it = {0};
	struct json_node v;
	struct cell_list l = {0};
	size_t n = 0;
	(void)now;
	while (n < ROLES_MAX &&
	        json_dom_next(json_dom_path(object, "metadata.labels"), &it, &key, &v)) {
		if (span_starts(key, SPAN(prefix)) && key.n > sizeof prefix - 1)
			roles[n++] = (struct span){
			        key.p + sizeof prefix - 1, key.n - (sizeof prefix - 1)};
		else if (span_is(key, "kubernetes.io/role") && json_dom_string(v).n > 0)
			roles[n++] = json_dom_string(v);
	}
	qsort(roles, n, sizeof roles[0], by_text);
	for (size_t i = 0; i < n; i++)
		if (cell_list_next(&l, out))
			text_add(out, roles[i]);
	cell_list_end(&l, out, "<none>");
}

static const struct column nodes[] = {COLUMN_NAME, {"STATUS", CELL_WRITE, NULL, NULL, node_status},
        {"ROLES", CELL_WRITE, NULL, NULL, node_roles}, COLUMN_AGE,
        {"VERSION", CELL_TEXT, "status.nodeInfo.kubeletVersion", NULL, NULL}, COLUMN_END};

/* --- events, of both groups ---------------------------------------------------------- */

static struct json_node first_of(struct json_node object, const char *const *paths)
{
	struct json_node n = {0};
	for (; *paths; paths++) {
		n = json_dom_path(object, *paths);
		if (json_dom_exists(n) && json_dom_type(n) != JSON_NULL)
			return n;
	}
	return n;
}

static void event_seen(struct json_node object, int64_t now, struct text *out)
{
	static const char *const paths[] = {"series.lastObservedTime", "lastTimestamp",
	        "deprecatedLastTimestamp", "firstTimestamp", "deprecatedFirstTimestamp",
	        "eventTime", NULL};
	cell_age(out, first_of(object, paths), now, "<unknown>");
}

static void event_object(struct json_node object, int64_t now, struct text *out)
{
	static const char *const paths[] = {"involvedObject", "regarding", NULL};
	struct json_node about = first_of(object, paths);
	struct span kind = json_dom_string(json_dom_get(about, "kind"));
	(void)now;
	for (size_t i = 0; i < kind.n; i++)
		text_add_char(out, (char)tolower((unsigned char)kind.p[i]));
	text_add_char(out, '/');
	text_add(out, json_dom_string(json_dom_get(about, "name")));
}

static void event_message(struct json_node object, int64_t now, struct text *out)
{
	static const char *const paths[] = {"message", "note", NULL};
	struct span s = json_dom_string(first_of(object, paths));
	(void)now;
	while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	text_add(out, s);
}

static const struct column events[] = {{"LAST SEEN", CELL_WRITE, NULL, NULL, event_seen},
        {"TYPE", CELL_TEXT, "type", NULL, NULL}, {"REASON", CELL_TEXT, "reason", NULL, NULL},
        {"OBJECT", CELL_WRITE, NULL, NULL, event_object},
        {"MESSAGE", CELL_WRITE, NULL, NULL, event_message}, COLUMN_END};

/* --- storage ------------------------------------------------------------------------- */

static void access_modes(struct text *out, struct json_node modes)
{
	static const char *const words[][2] = {{"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"},
	        {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
	struct cell_list l = {0};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct json_iter it = {0};
		struct json_node m;
		bool found = false;
		while (!found && json_dom_next(modes, &it, NULL, &m))
			found = span_is(json_dom_string(m), words[i][0]);
		if (found && cell_list_next(&l, out))
			text_add(out, span_of(words[i][1]));
	}
}

static void volume_modes(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	access_modes(out, json_dom_path(object, "spec.accessModes"));
}

static void claim_modes(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	if (json_dom_string(json_dom_path(object, "spec.volumeName")).n > 0)
		access_modes(out, json_dom_path(object, "status.accessModes"));
}

static void claim_capacity(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	if (json_dom_string(json_dom_path(object, "spec.volumeName")).n > 0)
		cell_text(out, json_dom_path(object, "status.capacity.storage"), NULL);
}

static void terminating_or_phase(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	if (json_dom_exists(json_dom_path(object, "metadata.deletionTimestamp")))
		text_add(out, SPAN("Terminating"));
	else
		cell_text(out, json_dom_path(object, "status.phase"), NULL);
}

static void storage_class(struct json_node object, int64_t now, struct text *out)
{
	struct json_node annotations = json_dom_path(object, "metadata.annotations");
	struct span old = json_dom_string(
	        json_dom_get(annotations, "volume.beta.kubernetes.io/storage-class"));
	(void)now;
	if (old.n > 0)
		text_add(out, old);
	else
		cell_text(out, json_dom_path(object, "spec.storageClassName"), NULL);
}

static void volume_claim(struct json_node object, int64_t now, struct text *out)
{
	struct json_node c = json_dom_path(object, "spec.claimRef");
	(void)now;
	if (json_dom_exists(c))
		text_printf(out, "%.*s/%.*s",
		        SPAN_ARG(json_dom_string(json_dom_get(c, "namespace"))),
		        SPAN_ARG(json_dom_string(json_dom_get(c, "name"))));
}

static void class_name(struct json_node object, int64_t now, struct text *out)
{
	struct json_node a = json_dom_path(object, "metadata.annotations");
	(void)now;
	text_add(out, json_dom_string(json_dom_path(object, "metadata.name")));
	if (span_is(json_dom_string(json_dom_get(a, "storageclass.kubernetes.io/is-default-class")),
	            "true") ||
	        span_is(json_dom_string(json_dom_get(
	                        a, "storageclass.beta.kubernetes.io/is-default-class")),
	                "true"))
		text_add(out, SPAN(" (default)"));
}

static const struct column volumes[] = {COLUMN_NAME,
        {"CAPACITY", CELL_TEXT, "spec.capacity.storage", NULL, NULL},
        {"ACCESS MODES", CELL_WRITE, NULL, NULL, volume_modes},
        {"RECLAIM POLICY", CELL_TEXT, "spec.persistentVolumeReclaimPolicy", NULL, NULL},
        {"STATUS", CELL_WRITE, NULL, NULL, terminating_or_phase},
        {"CLAIM", CELL_WRITE, NULL, NULL, volume_claim},
        {"STORAGECLASS", CELL_WRITE, NULL, NULL, storage_class},
        {"VOLUMEATTRIBUTESCLASS", CELL_TEXT, "spec.volumeAttributesClassName", "<unset>", NULL},
        {"REASON", CELL_TEXT, "status.reason", NULL, NULL}, COLUMN_AGE, COLUMN_END};

static const struct column claims[] = {COLUMN_NAME,
        {"STATUS", CELL_WRITE, NULL, NULL, terminating_or_phase},
        {"VOLUME", CELL_TEXT, "spec.volumeName", NULL, NULL},
        {"CAPACITY", CELL_WRITE, NULL, NULL, claim_capacity},
        {"ACCESS MODES", CELL_WRITE, NULL, NULL, claim_modes},
        {"STORAGECLASS", CELL_WRITE, NULL, NULL, storage_class},
        {"VOLUMEATTRIBUTESCLASS", CELL_TEXT, "spec.volumeAttributesClassName", "<unset>", NULL},
        COLUMN_AGE, COLUMN_END};

static const struct column storage_classes[] = {{"NAME", CELL_WRITE, NULL, NULL, class_name},
        {"PROVISIONER", CELL_TEXT, "provisioner", NULL, NULL},
        {"RECLAIMPOLICY", CELL_TEXT, "reclaimPolicy", "Delete", NULL},
        {"VOLUMEBINDINGMODE", CELL_TEXT, "volumeBindingMode", "Immediate", NULL},
        {"ALLOWVOLUMEEXPANSION", CELL_TEXT, "allowVolumeExpansion", "false", NULL}, COLUMN_AGE,
        COLUMN_END};

const struct column_set columns_core[] = {
        {"namespaces", namespaces},
        {"configmaps", configmaps},
        {"secrets", secrets},
        {"nodes", nodes},
        {"events,events.events.k8s.io", events},
        {"persistentvolumes", volumes},
        {"persistentvolumeclaims", claims},
        {"storageclasses.storage.k8s.io", storage_classes},
        {NULL, NULL},
};
