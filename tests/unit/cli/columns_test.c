/* print/columns*.c and custom.c: cells of fixture objects, as kube-apiserver 1.37 prints them. */
#include "kubering/print/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kubering/print/custom.h"

#define NOW  1795514400 /* 2026-11-24T10:00:00Z */
#define META "\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2026-11-24T09:00:00Z\"}"

/* Prints one object and compares the row; columns are separated by '|' in want. One of both. */
static void expect_with(
        const struct columns *c, const struct custom *u, const char *json, const char *want)
{
	struct table t;
	struct json_dom *dom = json_dom_new();
	struct json_node root;
	struct text got = {0};
	assert_int_equal(json_dom_parse(dom, span_of(json), &root), ERR_OK);
	table_init(&t);
	if (c)
		columns_headers(c, &t);
	else
		custom_headers(u, &t);
	table_begin_row(&t, SPAN(""), false);
	if (c)
		columns_cells(c, root, NOW, &t);
	else
		custom_cells(u, root, NOW, &t);
	assert_int_equal(t.filled, t.columns);
	const char *cell = t.cells.p;
	for (unsigned i = 0; i < t.columns; i++, cell += strlen(cell) + 1)
		text_printf(&got, "%s%s", i ? "|" : "", cell);
	assert_string_equal(text_cstr(&got), want);
	text_fini(&got);
	table_fini(&t);
	json_dom_free(&dom);
}

static void expect(const char *group, const char *resource, const char *json, const char *want)
{
	struct source s = {.kind = {.group = (char *)(uintptr_t)group,
	                           .resource = (char *)(uintptr_t)resource}};
	struct columns *c = columns_open(NULL, &s);
	expect_with(c, NULL, json, want);
	columns_free(&c);
}

static void expect_pod(const char *spec_and_status, const char *want)
{
	struct text doc = {0};
	text_printf(&doc, "{" META ",%s}", spec_and_status);
	expect("", "pods", text_cstr(&doc), want);
	text_fini(&doc);
}

static void pods(void **state)
{
	(void)state;
	expect_pod("\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]},\"status\":{"
	           "\"phase\":\"Pending\"}",
	        "x|0/2|Pending|0|60m");
	expect_pod("\"spec\":{\"containers\":[{\"name\":\"a\"}]},\"status\":{\"phase\":\"Running\","
	           "\"containerStatuses\":[{\"name\":\"a\",\"ready\":true,"
	           "\"restartCount\":3,\"state\":{\"running\":{}},\"lastState\":{\"terminated\":{"
	           "\"finishedAt\":\"2026-11-24T09:58:00Z\"}}}]}",
	        "x|1/1|Running|3 (2m ago)|60m");
	expect_pod(
	        "\"spec\":{\"containers\":[{\"name\":\"a\"}]},\"status\":{\"phase\":\"Running\","
	        "\"containerStatuses\":[{\"name\":\"a\","
	        "\"restartCount\":1,\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}}]}",
	        "x|0/1|CrashLoopBackOff|1|60m");
	expect_pod("\"spec\":{\"containers\":[{\"name\":\"a\"}]},\"status\":{\"phase\":\"Failed\","
	           "\"containerStatuses\":[{\"name\":\"a\","
	           "\"state\":{\"terminated\":{\"exitCode\":137,\"signal\":9}}}]}",
	        "x|0/1|Signal:9|0|60m");
	expect_pod("\"spec\":{\"containers\":[{\"name\":\"a\"}],\"initContainers\":[{\"name\":"
	           "\"i\"},{\"name\":\"s\",\"restartPolicy\":\"Always\"}]},"
	           "\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\","
	           "\"state\":{\"running\":{}}}]}",
	        "x|0/2|Init:0/2|0|60m");
	expect_pod("\"spec\":{\"containers\":[{\"name\":\"a\"}],\"initContainers\":[{\"name\":"
	           "\"i\"}]},"
	           "\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\","
	           "\"state\":{\"terminated\":{\"exitCode\":1,\"reason\":\"Error\"}}}]}",
	        "x|0/1|Init:Error|0|60m");
	expect_pod("\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]},\"status\":{"
	           "\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\","
	           "\"status\":\"False\"}],\"containerStatuses\":[{\"name\":\"a\",\"state\":{"
	           "\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\"}}},"
	           "{\"name\":\"b\",\"ready\":true,\"state\":{\"running\":{}}}]}",
	        "x|1/2|NotReady|0|60m");
	expect("", "pods",
	        "{\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2026-11-24T09:00:00Z\","
	        "\"deletionTimestamp\":\"2026-11-24T09:59:00Z\"},"
	        "\"spec\":{\"containers\":[{}]},\"status\":{\"phase\":\"Running\"}}",
	        "x|0/1|Terminating|0|60m");
	expect("", "pods", "{}", "|0/0||0|<unknown>"); /* nothing at all is no crash */
}

static void workloads(void **state)
{
	(void)state;
	expect("apps", "deployments",
	        "{" META ",\"spec\":{\"replicas\":3},\"status\":{\"readyReplicas\":2,"
	        "\"updatedReplicas\":3}}",
	        "x|2/3|3|0|60m");
	expect("apps", "replicasets",
	        "{" META ",\"spec\":{\"replicas\":3},\"status\":{\"replicas\":1}}", "x|3|1|0|60m");
	expect("apps", "statefulsets", "{" META ",\"spec\":{\"replicas\":0}}", "x|0/0|60m");
	expect("apps", "daemonsets", "{" META ",\"status\":{\"desiredNumberScheduled\":4}}",
	        "x|4|0|0|0|0|<none>|60m");
	expect("batch", "jobs",
	        "{" META ",\"spec\":{\"completions\":2},\"status\":{\"succeeded\":2,\"startTime\":"
	        "\"2026-11-24T09:00:00Z\","
	        "\"completionTime\":\"2026-11-24T09:00:30Z\",\"conditions\":[{\"type\":"
	        "\"Complete\",\"status\":\"True\"}]}}",
	        "x|Complete|2/2|30s|60m");
	expect("batch", "cronjobs",
	        "{" META ",\"spec\":{\"schedule\":\"@daily\",\"suspend\":true},\"status\":{"
	        "\"active\":[{}],\"lastScheduleTime\":\"2026-11-24T00:00:00Z\"}}",
	        "x|@daily|<none>|True|1|10h|60m");
}

static void network(void **state)
{
	(void)state;
	expect("", "services",
	        "{" META
	        ",\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"10.0.0.1\",\"ports\":[{\"port\":"
	        "80,\"protocol\":\"TCP\"},{\"port\":53,\"protocol\":\"UDP\",\"nodePort\":30053}]}}",
	        "x|ClusterIP|10.0.0.1|<none>|80/TCP,53:30053/UDP|60m");
	expect("", "services",
	        "{" META ",\"spec\":{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.0.0.1\"}}",
	        "x|LoadBalancer|10.0.0.1|<pending>|<none>|60m");
	expect("", "services",
	        "{" META
	        ",\"spec\":{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.0.0.1\",\"externalIPs\":["
	        "\"9.9.9.9\"]},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"1.2.3.4\"}]}}}",
	        "x|LoadBalancer|10.0.0.1|1.2.3.4,9.9.9.9|<none>|60m");
	expect("", "endpoints",
	        "{" META ",\"subsets\":[{\"addresses\":[{\"ip\":\"1.1.1.1\"},{\"ip\":\"::1\"}],"
	        "\"ports\":[{\"port\":80},{\"port\":81}]}]}",
	        "x|1.1.1.1:80,[::1]:80,1.1.1.1:81 + 1 more...|60m");
	expect("networking.k8s.io", "ingresses",
	        "{" META ",\"spec\":{\"tls\":[{}],\"rules\":[{\"host\":\"a\"},{\"host\":\"b\"},{"
	        "\"host\":\"c\"},{\"host\":\"d\"}]}}",
	        "x|<none>|a,b,c + 1 more...||80, 443|60m");
}

static void core(void **state)
{
	(void)state;
	expect("", "configmaps", "{" META ",\"data\":{\"a\":\"1\"},\"binaryData\":{\"b\":\"\"}}",
	        "x|2|60m");
	expect("", "secrets", "{" META ",\"type\":\"Opaque\",\"data\":{\"a\":\"\"}}",
	        "x|Opaque|1|60m");
	expect("", "secrets", "{" META "}", "x|<withheld>|<withheld>|60m");
	expect("", "nodes",
	        "{\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2026-11-24T09:00:00Z\","
	        "\"labels\":{\"node-role.kubernetes.io/worker\":\"\","
	        "\"node-role.kubernetes.io/"
	        "control-plane\":\"\"}},\"spec\":{\"unschedulable\":true},\"status\":{"
	        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
	        "\"nodeInfo\":{\"kubeletVersion\":\"v1.37.2\"}}}",
	        "x|Ready,SchedulingDisabled|control-plane,worker|60m|v1.37.2");
	expect("", "events",
	        "{\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\"},\"type\":\"Normal\","
	        "\"reason\":\"R\",\"message\":\"m "
	        "\\n\",\"lastTimestamp\":\"2026-11-24T09:59:00Z\"}",
	        "60s|Normal|R|pod/p|m");
	expect("", "persistentvolumeclaims",
	        "{" META ",\"spec\":{\"accessModes\":[\"ReadWriteOnce\"]},\"status\":{\"phase\":"
	        "\"Pending\"}}",
	        "x|Pending|||||<unset>|60m");
	expect("", "somethings", "{" META "}", "x|60m");
}

static const char definition[] =
        "{\"spec\":{\"versions\":[{\"name\":\"v1alpha1\"},{\"name\":\"v1\","
        "\"additionalPrinterColumns\":["
        "{\"name\":\"Size\",\"type\":\"integer\",\"jsonPath\":\".spec.size\"},"
        "{\"name\":\"Ready\",\"type\":\"string\",\"jsonPath\":\".status.conditions[?(@.type=="
        "\\\"Ready\\\")].status\"},"
        "{\"name\":\"Second\",\"type\":\"string\",\"jsonPath\":\".spec.tags[1]\"},"
        "{\"name\":\"Note\",\"type\":\"string\",\"jsonPath\":\".metadata.annotations.a\\\\.b/c\"},"
        "{\"name\":\"Wide\",\"type\":\"string\",\"jsonPath\":\".x\",\"priority\":1},"
        "{\"name\":\"Age\",\"type\":\"date\",\"jsonPath\":\".metadata.creationTimestamp\"}]}]}}";

static void custom_columns(void **state)
{
	(void)state;
	assert_null(custom_new(SPAN(definition), "v1alpha1"));
	assert_null(custom_new(SPAN("{"), "v1"));
	struct custom *u = custom_new(SPAN(definition), "v1");
	assert_non_null(u);
	expect_with(NULL, u,
	        "{\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2026-11-24T09:00:00Z\","
	        "\"annotations\":{\"a.b/c\":\"hi\"}},\"spec\":{\"size\":7,\"tags\":[\"p\",\"q\"]},"
	        "\"status\":{\"conditions\":[{\"type\":\"Other\",\"status\":\"False\"},{\"type\":"
	        "\"Ready\",\"status\":\"True\"}]}}",
	        "x|7|True|q|hi|60m");
	expect_with(NULL, u, "{" META "}", "x|||||60m");
	custom_free(&u);
}

static void find(const char *path, const char *want)
{
	struct json_dom *dom = json_dom_new();
	struct json_node root;
	struct text t = {0};
	assert_int_equal(json_dom_parse(dom,
	                         SPAN("{\"a\":{\"b c\":[1,2,{\"k\":\"v\"}]},\"s\":\"t\"}"), &root),
	        ERR_OK);
	bool found = custom_find(root, path, false, NOW, &t);
	assert_int_equal(found, want != NULL);
	assert_string_equal(text_cstr(&t), want ? want : "");
	text_fini(&t);
	json_dom_free(&dom);
}

static void paths(void **state)
{
	(void)state;
	find(".s", "t");
	find(".a['b c'][0]", "1");
	find(".a['b c'][-1].k", "v");
	find(".a['b c'][*]", "1");
	find(".a['b c'][?(@.k!='w')].k", "v");
	find(".a['b c'][9]", NULL);
	find(".nothing.there", NULL);
	/* Broken ones find nothing, and end. */
	find(".a[", NULL);
	find(".a['b c'][?(", NULL);
	find(".a['b c'][?(@.k==\"v", NULL);
	find("a", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(pods), cmocka_unit_test(workloads),
	        cmocka_unit_test(network), cmocka_unit_test(core), cmocka_unit_test(custom_columns),
	        cmocka_unit_test(paths)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
