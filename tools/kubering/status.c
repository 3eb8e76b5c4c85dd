/* status.c - the daemon's own account of itself: status, clusters, lists, version. */
#include <stdlib.h>
#include <string.h>

#include "include/kubering.h"
#include "kubering/commands.h"
#include "kubering/print/json.h"
#include "kubering/report.h"
#include "kubering/say.h"
#include "kubering/source.h"
#include "kubering/text.h"

static void head(struct json_node s)
{
	struct text t = {0};
	struct span version = json_dom_string(json_dom_get(s, "version"));
	text_printf(&t, "kuberingd %.*s, up ", SPAN_ARG(version));
	report_add_age(&t, json_dom_get(s, "uptime_seconds"));
	text_printf(&t, ", io %.*s", SPAN_ARG(json_dom_string(json_dom_path(s, "io.kind"))));
	struct span why = json_dom_string(json_dom_path(s, "io.reason"));
	if (why.n > 0 && !span_eq(why, json_dom_string(json_dom_path(s, "io.kind"))))
		text_printf(&t, " (%.*s)", SPAN_ARG(why));
	struct json_iter it = {0};
	struct json_node n;
	unsigned reactors = 0, consumers = 0;
	while (json_dom_next(json_dom_get(s, "reactors"), &it, NULL, &n))
		reactors++;
	it = (struct json_iter){0};
	while (json_dom_next(json_dom_get(s, "consumers"), &it, NULL, &n))
		consumers++;
	text_printf(&t, ", %u reactor%s, %u consumer%s", reactors, reactors == 1 ? "" : "s",
	        consumers, consumers == 1 ? "" : "s");
	puts(text_cstr(&t));
	struct json_node c = json_dom_get(s, "configuration");
	static const struct {
		const char *key, *text;
	} notes[] = {{"error", "the last reload failed, the configuration before it is in force: "},
	        {"warning", "the last reload: "}, {"needs_restart", "waits for a restart: "}};
	for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
		struct span said = json_dom_string(json_dom_get(c, notes[i].key));
		if (said.n == 0)
			continue;
		text_clear(&t);
		text_add_safe(&t, said);
		printf("%s%s\n", notes[i].text, text_cstr(&t));
	}
	text_fini(&t);
}

int command_status(const struct args *a)
{
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node root;
	struct text raw = {0};
	int code = report_status(a, dom, &root, &raw);
	if (code == CODE_OK && a->output == OUTPUT_JSON) {
		fwrite(raw.p, 1, raw.n, stdout);
	} else if (code == CODE_OK) {
		head(root);
		putchar('\n');
		struct json_iter it = {0};
		struct json_node first;
		if (json_dom_next(json_dom_get(root, "backends"), &it, NULL, &first)) {
			report_backends(root, a);
			putchar('\n');
		}
		report_clusters(root, a);
		putchar('\n');
		report_lists(root, a);
	}
	text_fini(&raw);
	json_dom_free(&dom);
	return code;
}

/* A cluster that is not there has no lists either: without a word that looks like a quiet one. */
static int check_cluster(const struct args *a, struct json_node status)
{
	struct json_iter it = {0};
	struct json_node c;
	if (!a->cluster)
		return CODE_OK;
	while (json_dom_next(json_dom_get(status, "clusters"), &it, NULL, &c))
		if (span_is(json_dom_string(json_dom_get(c, "name")), a->cluster))
			return CODE_OK;
	say_error("no such cluster: \"%s\"; known clusters are listed by: kubering clusters",
	        a->cluster);
	return CODE_FAILED;
}

/* One member of the status: as a table, or as a JSON array. */
static int part(const struct args *a, const char *member, const char *cluster_key,
        void (*print)(struct json_node, const struct args *))
{
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node root, row;
	struct json_iter it = {0};
	struct text t = {0};
	int code = report_status(a, dom, &root, NULL);
	if (code == CODE_OK)
		code = check_cluster(a, root);
	if (code == CODE_OK && a->output == OUTPUT_JSON) {
		text_add_char(&t, '[');
		while (json_dom_next(json_dom_get(root, member), &it, NULL, &row)) {
			if (a->cluster && !span_is(json_dom_string(json_dom_get(row, cluster_key)),
			                          a->cluster))
				continue;
			if (t.n > 1)
				text_add_char(&t, ',');
			json_add_node(&t, row);
		}
		text_add_char(&t, ']');
		puts(text_cstr(&t));
	} else if (code == CODE_OK) {
		print(root, a);
	}
	text_fini(&t);
	json_dom_free(&dom);
	return code;
}

int command_clusters(const struct args *a)
{
	return part(a, "clusters", "name", report_clusters);
}

int command_lists(const struct args *a)
{
	return part(a, "lists", "cluster", report_lists);
}

int command_version(const struct args *a)
{
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node root = {0};
	struct text t = {0};
	int code = report_status(a, dom, &root, NULL);
	struct json_node version = json_dom_get(root, "version"),
	                 layout = json_dom_get(root, "layout");
	bool json = a->output == OUTPUT_JSON;
	text_printf(&t,
	        json ? "{\"client\":{\"version\":\"%s\",\"layout\":\"%s\"},\"daemon\":"
	             : "kubering   %s (layout %s)\n",
	        kr_version(), kr_layout_version());
	if (code != CODE_OK)
		text_add(&t, json                       ? SPAN("null}\n")
		             : code == CODE_UNREACHABLE ? SPAN("kuberingd  not reachable\n")
		                                        : SPAN("kuberingd  does not say\n"));
	else
		text_printf(&t,
		        json ? "{\"version\":\"%.*s\",\"layout\":\"%.*s\"}}\n"
		             : "kuberingd  %.*s (layout %.*s)\n",
		        SPAN_ARG(json_dom_string(version)), SPAN_ARG(json_dom_string(layout)));
	fputs(text_cstr(&t), stdout);
	text_fini(&t);
	json_dom_free(&dom);
	return code;
}
