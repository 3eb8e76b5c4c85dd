#include "kubering/report.h"

#include <inttypes.h>
#include <stdlib.h>

#include "include/kubering.h"
#include "kubering/duration.h"
#include "kubering/print/columns.h"
#include "kubering/print/table.h"
#include "kubering/say.h"
#include "kubering/source.h"

int report_status(
        const struct args *a, struct json_dom *dom, struct json_node *root, struct text *raw)
{
	struct kr_client *client = NULL;
	char *json = NULL;
	size_t bytes = 0;
	int code = source_connect(a, &client);
	if (code != CODE_OK)
		return code;
	int r = kr_query(client, "status", &json, &bytes);
	if (r != KR_OK)
		code = say_result(client, r, NULL);
	if (code == CODE_OK && json_dom_parse(dom, (struct span){json, bytes}, root)) {
		say_error("the daemon's answer is not JSON");
		code = CODE_FAILED;
	}
	if (code == CODE_OK && raw)
		text_add(raw, (struct span){json, bytes});
	free(json);
	kr_close(client);
	return code;
}

void report_add_bytes(struct text *t, double bytes)
{
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
	unsigned u = 0;
	for (; bytes >= 1024 && u < 5; u++)
		bytes /= 1024;
	text_printf(t, bytes < 10 && u > 0 ? "%.1f%s" : "%.0f%s", bytes, units[u]);
}

void report_add_age(struct text *t, struct json_node seconds)
{
	char age[DURATION_BYTES];
	if (!json_dom_exists(seconds) || json_dom_type(seconds) == JSON_NULL) {
		text_add_char(t, '-');
		return;
	}
	duration_human((int64_t)json_dom_double(seconds, 0), age);
	text_add(t, span_of(age));
}

void report_add_resource(struct text *t, struct json_node list)
{
	struct span group = json_dom_string(json_dom_get(list, "group"));
	text_add(t, json_dom_string(json_dom_get(list, "resource")));
	if (group.n > 0)
		text_printf(t, ".%.*s", SPAN_ARG(group));
}

void report_add_scope(struct text *t, struct json_node list)
{
	struct span labels = json_dom_string(json_dom_get(list, "label_selector"));
	struct span fields = json_dom_string(json_dom_get(list, "field_selector"));
	cell_text(t, json_dom_get(list, "namespace"), "*");
	if (labels.n > 0)
		text_printf(t, " -l %.*s", SPAN_ARG(labels));
	if (fields.n > 0)
		text_printf(t, " --field-selector %.*s", SPAN_ARG(fields));
}

/* --- tables -------------------------------------------------------------------------- */

static void add_text(struct table *t, struct json_node n, const char *otherwise)
{
	struct text cell = {0};
	cell_text(&cell, n, otherwise);
	table_add_cell(t, (struct span){cell.p, cell.n});
	text_fini(&cell);
}

static void begin(struct table *t, const struct args *a, const char *const *headers)
{
	table_init(t);
	t->header_due = !a->no_headers;
	for (; *headers; headers++)
		table_add_column(t, span_of(*headers));
}

static bool wanted(const struct args *a, struct json_node row, const char *key)
{
	return !a->cluster || span_is(json_dom_string(json_dom_get(row, key)), a->cluster);
}

void report_clusters(struct json_node status, const struct args *a)
{
	static const char *const headers[] = {
	        "CLUSTER", "STATE", "STRATEGY", "LISTS", "CONNECTIONS", "SERVER", "ERROR", NULL};
	struct table t;
	struct json_iter it = {0};
	struct json_node c;
	begin(&t, a, headers);
	while (json_dom_next(json_dom_get(status, "clusters"), &it, NULL, &c)) {
		if (!wanted(a, c, "name"))
			continue;
		table_begin_row(&t, SPAN(""), false);
		add_text(&t, json_dom_get(c, "name"), NULL);
		add_text(&t, json_dom_get(c, "state"), NULL);
		add_text(&t, json_dom_get(c, "strategy"), NULL);
		add_text(&t, json_dom_get(c, "lists"), "0");
		add_text(&t, json_dom_get(c, "connections"), "0");
		add_text(&t, json_dom_get(c, "server"), "-");
		add_text(&t, json_dom_path(c, "last_error.text"), "");
	}
	table_print(&t, stdout);
	table_fini(&t);
}

void report_backends(struct json_node status, const struct args *a)
{
	static const char *const headers[] = {
	        "BACKEND", "ANSWERED", "CONTEXTS", "CLUSTERS", "SERVER", "ERROR", NULL};
	struct table t;
	struct json_iter it = {0};
	struct json_node b;
	begin(&t, a, headers);
	while (json_dom_next(json_dom_get(status, "backends"), &it, NULL, &b)) {
		table_begin_row(&t, SPAN(""), false);
		add_text(&t, json_dom_get(b, "name"), NULL);
		add_text(&t, json_dom_get(b, "answered"), NULL);
		add_text(&t, json_dom_get(b, "contexts"), "0");
		add_text(&t, json_dom_get(b, "clusters"), "0");
		add_text(&t, json_dom_get(b, "server"), "-");
		add_text(&t, json_dom_path(b, "last_error.text"), "");
	}
	table_print(&t, stdout);
	table_fini(&t);
}

static void list_row(struct table *t, struct json_node l)
{
	struct text cell = {0};
	table_begin_row(t, SPAN(""), false);
	add_text(t, json_dom_get(l, "cluster"), NULL);
	report_add_resource(&cell, l);
	table_add_cell(t, (struct span){cell.p, cell.n});
	text_clear(&cell);
	report_add_scope(&cell, l);
	table_add_cell(t, (struct span){cell.p, cell.n});
	add_text(t, json_dom_get(l, "state"), NULL);
	add_text(t, json_dom_get(l, "objects"), "-");
	text_clear(&cell);
	report_add_bytes(&cell, json_dom_double(json_dom_get(l, "bytes"), 0));
	table_add_cell(t, (struct span){cell.p, cell.n});
	add_text(t, json_dom_get(l, "events"), "-");
	add_text(t, json_dom_get(l, "relists"), "-");
	text_clear(&cell);
	report_add_age(&cell, json_dom_get(l, "byte_age_seconds"));
	table_add_cell(t, (struct span){cell.p, cell.n});
	add_text(t, json_dom_get(l, "consumers"), "-");
	add_text(t, json_dom_path(l, "last_error.text"), "");
	text_fini(&cell);
}

void report_lists(struct json_node status, const struct args *a)
{
	static const char *const headers[] = {"CLUSTER", "RESOURCE", "NAMESPACE", "STATE",
	        "OBJECTS", "BYTES", "EVENTS", "RELISTS", "AGE", "CONSUMERS", "ERROR", NULL};
	struct table t;
	struct json_iter it = {0};
	struct json_node l;
	begin(&t, a, headers);
	while (json_dom_next(json_dom_get(status, "lists"), &it, NULL, &l))
		if (wanted(a, l, "cluster"))
			list_row(&t, l);
	table_print(&t, stdout);
	table_fini(&t);
}
