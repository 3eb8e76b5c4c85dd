/* audit.c - asks the daemon to compare its lists with their clusters, one after the other. */
#include <stdlib.h>
#include <string.h>

#include "include/kubering.h"
#include "kubering/commands.h"
#include "kubering/print/json.h"
#include "kubering/print/table.h"
#include "kubering/report.h"
#include "kubering/say.h"
#include "kubering/source.h"
#include "kubering/text.h"

#define AUDIT_WAIT_NS 900000000000ll

/* Owner: command_audit. */
struct run {
	const struct args *a;
	struct kr_client *client;
	struct table table;
	struct text json;
	bool *matched; /* by word */
	unsigned lists;
	int code;
};

/* "prod-eu" or "prod-eu/pods" or "prod-eu/deployments.apps"; a context name may hold slashes. */
static bool is_named(const char *word, struct span cluster, const char *resource)
{
	size_t n = strlen(word);
	if (n < cluster.n || memcmp(word, cluster.p, cluster.n) != 0)
		return false;
	const char *rest = word + cluster.n;
	if (!*rest)
		return true;
	size_t dot = strcspn(resource, ".");
	return *rest == '/' &&
	       (strcmp(rest + 1, resource) == 0 ||
	               (strlen(rest + 1) == dot && memcmp(rest + 1, resource, dot) == 0));
}

static bool is_wanted(struct run *r, struct json_node list, const char *resource)
{
	bool wanted = r->a->word_count == 0;
	struct span cluster = json_dom_string(json_dom_get(list, "cluster"));
	for (int i = 0; i < r->a->word_count; i++)
		if (is_named(r->a->words[i], cluster, resource))
			wanted = r->matched[i] = true;
	return wanted;
}

static void add_json(struct run *r, struct json_node list, struct span verdict, struct span why)
{
	static const char *const members[] = {"cluster", "group", "version", "resource",
	        "namespace", "label_selector", "field_selector", "form"};
	struct text *t = &r->json;
	text_add_char(t, t->n ? ',' : '[');
	text_add_char(t, '{');
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		text_printf(t, "\"%s\":", members[i]);
		json_add_node(t, json_dom_get(list, members[i]));
		text_add_char(t, ',');
	}
	text_printf(t, "\"verdict\":");
	json_add_string(t, verdict);
	text_printf(t, ",\"text\":");
	json_add_string(t, why);
	text_add_char(t, '}');
}

static void add_row(struct run *r, struct json_node list, const char *resource, struct span verdict,
        struct span why)
{
	struct text scope = {0};
	report_add_scope(&scope, list);
	table_begin_row(&r->table, SPAN(""), false);
	table_add_cell(&r->table, json_dom_string(json_dom_get(list, "cluster")));
	table_add_cell(&r->table, span_of(resource));
	table_add_cell(&r->table, (struct span){scope.p, scope.n});
	table_add_cell(&r->table, verdict);
	table_add_cell(&r->table, why);
	text_fini(&scope);
}

static void remember(struct run *r, int code)
{
	if (code != CODE_OK && r->code == CODE_OK)
		r->code = code;
}

static void audit_one(struct run *r, struct json_node list, const char *resource)
{
	struct text what = {0};
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node answer;
	struct span verdict, why;
	text_printf(&what, "audit %.*s %lld",
	        SPAN_ARG(json_dom_string(json_dom_get(list, "cluster"))),
	        (long long)json_dom_int(json_dom_get(list, "id"), -1));
	say_progress("auditing %s (%u lists so far)", resource, r->lists++);
	int code = source_query(r->client, text_cstr(&what), dom, &answer);
	remember(r, code);
	if (code == CODE_OK) {
		verdict = json_dom_string(json_dom_get(answer, "verdict"));
		why = json_dom_string(json_dom_get(answer, "text"));
		remember(r, span_is(verdict, "different") ? CODE_FAILED : CODE_OK);
		if (r->a->output == OUTPUT_JSON)
			add_json(r, list, verdict, why);
		else
			add_row(r, list, resource, verdict, why);
	}
	json_dom_free(&dom);
	text_fini(&what);
}

static void audit_all(struct run *r, struct json_node status)
{
	struct json_iter it = {0};
	struct json_node list;
	while (r->code != CODE_UNREACHABLE &&
	        json_dom_next(json_dom_get(status, "lists"), &it, NULL, &list)) {
		struct text resource = {0};
		report_add_resource(&resource, list);
		/* One of the configuration that its cluster does not have yet has no id. */
		if (is_wanted(r, list, text_cstr(&resource)) &&
		        json_dom_exists(json_dom_get(list, "id")))
			audit_one(r, list, text_cstr(&resource));
		text_fini(&resource);
	}
	say_progress_end();
	for (int i = 0; i < r->a->word_count; i++) {
		if (r->matched[i])
			continue;
		say_error("no list is open of \"%s\": CLUSTER or CLUSTER/RESOURCE, as kubering "
		          "lists shows them",
		        r->a->words[i]);
		remember(r, CODE_FAILED);
	}
}

static void print(struct run *r)
{
	if (r->a->output == OUTPUT_JSON)
		printf("%s%s]\n", r->json.n ? "" : "[", text_cstr(&r->json));
	else
		table_print(&r->table, stdout);
}

int command_audit(const struct args *a)
{
	static const char *const headers[] = {"CLUSTER", "RESOURCE", "NAMESPACE", "VERDICT", "WHY"};
	struct run r = {.a = a};
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node status;
	r.matched = text_alloc((size_t)a->word_count + 1);
	memset(r.matched, 0, (size_t)a->word_count + 1);
	table_init(&r.table);
	r.table.header_due = !a->no_headers;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		table_add_column(&r.table, span_of(headers[i]));
	r.code = source_connect_for(a, AUDIT_WAIT_NS, &r.client);
	if (r.code == CODE_OK)
		r.code = source_query(r.client, "status", dom, &status);
	if (r.code == CODE_OK) {
		audit_all(&r, status);
		print(&r);
	}
	table_fini(&r.table);
	text_fini(&r.json);
	free(r.matched);
	json_dom_free(&dom);
	kr_close(r.client);
	return r.code;
}
