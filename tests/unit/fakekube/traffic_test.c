/* The recorded answers of a real kube-apiserver 1.37.2, byte for byte. */
#include "drive.h"

#define STATUS                                                                                     \
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","       \
	"\"message\":"
#define LIST_OPTIONS                                                                               \
	"\"reason\":\"Invalid\",\"details\":{\"group\":\"meta.k8s.io\",\"kind\":\"ListOptions\","  \
	"\"causes\":["
#define CMS "/api/v1/namespaces/demo/configmaps"

static int setup(void **state)
{
	struct drive *d = malloc(sizeof *d);
	drive_init(d);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	drive_fini(*state);
	free(*state);
	return 0;
}

static void one_configmap(struct drive *d)
{
	model_cluster_skip(d->cluster, 19);
	uint64_t rv = model_create(d->cluster, kind_of("", "configmaps"),
	        &(struct model_spec){.namespace_ = "demo",
	                .name = "cm1",
	                .members = "\"data\":{\"k\":\"v\"}",
	                .uid = "1d9b58e2-0000-4000-8000-000000000001",
	                .managed_fields = "[{\"manager\":\"kuberingd\"}]"},
	        0);
	assert_int_equal(rv, 220);
	model_cluster_skip(d->cluster, 13);
}

#define CM1_META                                                                                   \
	"\"metadata\":{\"name\":\"cm1\",\"namespace\":\"demo\",\"uid\":\"1d9b58e2-0000-4000-8000-" \
	"000000000001\","                                                                          \
	"\"resourceVersion\":\"220\",\"creationTimestamp\":\"2026-11-24T22:56:46Z\","              \
	"\"managedFields\":[{\"manager\":"                                                         \
	"\"kuberingd\"}]}"

static void a_short_list_has_a_length(void **state)
{
	struct drive *d = *state;
	one_configmap(d);
	drive_get(d, CMS, NULL);
	static const char body[] = "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"metadata\":"
	                           "{\"resourceVersion\":\"233\"},"
	                           "\"items\":[{" CM1_META ",\"data\":{\"k\":\"v\"}}]}\n";
	assert_string_equal(drive_body(d), body);
	char length[40];
	snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n\r\n", sizeof body - 1);
	assert_contains(d->got.p, length);
	assert_lacks(d->got.p, "Transfer-Encoding");
}

static void heads_come_in_the_order_of_go(void **state)
{
	struct drive *d = *state;
	drive_get(d, CMS, NULL);
	static const char *const order[] = {
	        "HTTP/1.1 200 OK\r\nAudit-Id: ", "\r\nCache-Control: no-cache, private\r\n",
	        "\r\nContent-Type: application/json\r\n",
	        "\r\nX-Kubernetes-Pf-Flowschema-Uid: ", "\r\nX-Kubernetes-Pf-Prioritylevel-Uid: ",
	        "\r\nDate: Tue, 24 Nov 2026 22:56:46 GMT\r\n", "\r\nContent-Length: "};
	const char *at = d->got.p;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		const char *next = strstr(at, order[i]);
		if (!next)
			fail_msg("not in its place: %s", order[i]);
		at = next;
	}
}

static void a_page_says_where_to_go_on(void **state)
{
	struct drive *d = *state;
	for (int i = 1; i <= 5; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%d", i);
		make_configmap(d, "demo", name);
	}
	model_cluster_skip(d->cluster, 35);
	assert_int_equal(d->cluster->rv, 240);
	drive_get(d, CMS "?limit=2", NULL);
	assert_contains(d->got.p, "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"metadata\":{"
	                          "\"resourceVersion\":\"240\",\"continue\":"
	                          "\"eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjQwLCJzdGFydCI6Ii9wMlx1MD"
	                          "AwMCJ9\",\"remainingItemCount\":3},"
	                          "\"items\":[{\"metadata\":{\"name\":\"p1\"");
	/* of all namespaces the key has the namespace in front; with a selector there is no count
	 */
	drive_get(d, "/api/v1/configmaps?limit=2", NULL);
	assert_contains(d->got.p,
	        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjQwLCJzdGFydCI6Ii9kZW1vL3AyXHUwMDAwIn0");
	drive_get(d, CMS "?limit=2&fieldSelector=metadata.name!%3Dx", NULL);
	assert_contains(d->got.p, "\"continue\":");
	assert_lacks(d->got.p, "remainingItemCount");
	/* the second and the last page, written to meanwhile: one version, no change seen */
	make_configmap(d, "demo", "p0");
	drive_get(d,
	        CMS "?limit=2&continue="
	            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjQwLCJzdGFydCI6Ii9wMlx1MDAwMCJ9",
	        NULL);
	assert_contains(d->got.p, "\"resourceVersion\":\"240\",\"continue\":"
	                          "\"eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjQwLCJzdGFydCI6Ii9wNFx1MD"
	                          "AwMCJ9\",\"remainingItemCount\":1}");
	drive_get(d,
	        CMS "?limit=2&continue="
	            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjQwLCJzdGFydCI6Ii9wNFx1MDAwMCJ9",
	        NULL);
	assert_contains(d->got.p, "\"metadata\":{\"resourceVersion\":\"240\"},\"items\":[{"
	                          "\"metadata\":{\"name\":\"p5\"");
	/* the cache has no pages */
	drive_get(d, CMS "?limit=2&resourceVersion=0", NULL);
	assert_int_equal(count_of(d->got.p, "\"name\":\"p"), 6);
	assert_lacks(d->got.p, "continue");
}

static void a_custom_list_is_sorted(void **state)
{
	struct drive *d = *state;
	const struct model_kind *k = model_cluster_add_crd(d->cluster,
	        &(struct model_kind){.group = "example.com",
	                .version = "v1",
	                .resource = "widgets",
	                .singular = "widget",
	                .kind = "Widget",
	                .short_names = "wd",
	                .namespaced = true},
	        0);
	static const char *const names[] = {"w1", "w2", "w3"};
	for (int i = 0; i < 3; i++)
		model_create(d->cluster, k,
		        &(struct model_spec){.namespace_ = "demo",
		                .name = names[i],
		                .labels = "a=b",
		                .annotations = "x=y",
		                .members = "\"spec\":{\"size\":1}",
		                .managed_fields = "[{\"apiVersion\":\"example.com/v1\"}]",
		                .uid = "1d617fed-973f-4a64-b25d-e35190d819d2"},
		        0);
	model_cluster_skip(d->cluster, 242 - d->cluster->rv);
	drive_get(d, "/apis/example.com/v1/widgets?limit=2", NULL);
	const char *body = drive_body(d);
	assert_contains(body,
	        "{\"apiVersion\":\"example.com/v1\",\"items\":[{\"apiVersion\":\"example.com/"
	        "v1\",\"kind\":\"Widget\",\"metadata\":{"
	        "\"annotations\":{\"x\":\"y\"},\"creationTimestamp\":\"2026-11-24T22:56:46Z\","
	        "\"generation\":1,\"labels\":{\"a\":\"b\"},"
	        "\"managedFields\":[{\"apiVersion\":\"example.com/"
	        "v1\"}],\"name\":\"w1\",\"namespace\":\"demo\",\"resourceVersion\":\"202\","
	        "\"uid\":\"1d617fed-973f-4a64-b25d-e35190d819d2\"},\"spec\":{\"size\":1}},{");
	assert_contains(body,
	        "}],\"kind\":\"WidgetList\",\"metadata\":{\"continue\":"
	        "\"eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjQyLCJzdGFydCI6Ii9kZW1vL3cyX"
	        "HUwMDAwIn0\",\"remainingItemCount\":1,\"resourceVersion\":\"242\"}}\n");
	drive_get(d, "/apis/example.com/v1", NULL);
	assert_contains(drive_body(d),
	        "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"example."
	        "com/v1\",\"resources\":[{\"name\":\"widgets\","
	        "\"singularName\":\"widget\",\"namespaced\":true,\"kind\":\"Widget\",\"verbs\":["
	        "\"delete\",\"deletecollection\",\"get\","
	        "\"list\",\"patch\",\"create\",\"update\",\"watch\"],\"shortNames\":[\"wd\"]");
	drive_get(d, "/apis/example.com/v1/namespaces/demo/widgets/nope", NULL);
	assert_string_equal(drive_body(d), STATUS "\"widgets.example.com \\\"nope\\\" not "
	                                          "found\",\"reason\":\"NotFound\",\"details\":{"
	                                          "\"name\":\"nope\",\"group\":\"example.com\","
	                                          "\"kind\":\"widgets\"},\"code\":404}\n");
}

static void a_watch_sends_its_head_at_once_and_a_chunk_per_flush(void **state)
{
	struct drive *d = *state;
	drive_get(d, CMS "?watch=1&resourceVersion=200&allowWatchBookmarks=true", NULL);
	assert_contains(d->got.p, "HTTP/1.1 200 OK\r\n");
	assert_contains(d->got.p, "\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_string_equal(drive_body(d), "");
	d->got.n = 0;
	const struct model_kind *k = kind_of("", "configmaps");
	struct model_spec s = {.namespace_ = "demo",
	        .name = "w1",
	        .members = "\"data\":{\"a\":\"1\"}",
	        .uid = "u"};
	model_create(d->cluster, k, &s, 0);
	assert_ptr_equal(model_conn_next_ready(&d->server), d->conn);
	assert_null(model_conn_next_ready(&d->server));
	drive_take(d);
	static const char added[] =
	        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\","
	        "\"metadata\":{\"name\":\"w1\",\"namespace\":"
	        "\"demo\",\"uid\":\"u\",\"resourceVersion\":\"201\",\"creationTimestamp\":\"2026-"
	        "11-24T22:56:46Z\"},\"data\":{\"a\":\"1\"}}}\n";
	char want[600];
	snprintf(want, sizeof want, "%zx\r\n%s\r\n", sizeof added - 1, added);
	assert_string_equal(d->got.p, want);
	/* three events that are ready together: one chunk, three lines; the deletion carries its
	 * own version */
	d->got.n = 0;
	model_update(d->cluster, k,
	        &(struct model_spec){
	                .namespace_ = "demo", .name = "w1", .members = "\"data\":{\"a\":\"2\"}"},
	        0);
	model_delete(d->cluster, k, SPAN("demo/w1"), 0);
	make_configmap(d, "demo", "w2");
	drive_take(d);
	assert_int_equal(count_of(d->got.p, "\r\n"), 2);
	assert_int_equal(count_of(d->got.p, "}}\n"), 3);
	assert_contains(d->got.p, "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"ConfigMap\","
	                          "\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"w1\"");
	assert_contains(d->got.p, "{\"type\":\"DELETED\"");
	assert_contains(d->got.p, "\"resourceVersion\":\"203\",\"creationTimestamp\":\"2026-11-"
	                          "24T22:56:46Z\"},\"data\":{\"a\":\"2\"}}}\n");
}

static void chunks_are_cut_where_gos_buffer_is_full(void **state)
{
	struct drive *d = *state;
	char members[700];
	memset(members, 'x', sizeof members);
	memcpy(members, "\"data\":\"", 8);
	members[600] = '"';
	members[601] = 0;
	for (int i = 0; i < 4; i++) {
		char name[16];
		snprintf(name, sizeof name, "c%d", i);
		model_create(d->cluster, kind_of("", "configmaps"),
		        &(struct model_spec){
		                .namespace_ = "demo", .name = name, .members = members},
		        0);
	}
	drive_get(d, CMS "?watch=1&resourceVersion=200&timeoutSeconds=1", NULL);
	assert_starts(drive_body(d), "800\r\n"); /* recorded: 800, then the rest */
	bool whole;
	struct model_text t = drive_unchunk(d, &whole);
	assert_int_equal(count_of(t.p, "}}\n"), 4);
	assert_false(whole);
	model_text_fini(&t);
	drive_wait(d, SECOND_NS);
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
	assert_int_equal(
	        model_conn_closed(d->conn), MODEL_OPEN); /* reusable after an orderly end */
}

static void bookmarks_look_as_recorded(void **state)
{
	struct drive *d = *state;
	static const struct {
		const char *path, *object;
	} rows[] = {
	        {"/api/v1/pods",
	                "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
	                "\"200\"},\"spec\":{\"containers\":null},\"status\":{}}"},
	        {"/api/v1/configmaps", "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":"
	                               "{\"resourceVersion\":\"200\"}}"},
	        {"/apis/apps/v1/deployments",
	                "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/"
	                "v1\",\"metadata\":{\"resourceVersion\":\"200\"},\"spec\":{\"replicas\":0,"
	                "\"selector\":null,\"template\":{\"metadata\":{},\"spec\":{\"containers\":"
	                "null}},\"strategy\":{}},\"status\":{}}"},
	        {"/apis/apps/v1/daemonsets",
	                "{\"kind\":\"DaemonSet\",\"apiVersion\":\"apps/"
	                "v1\",\"metadata\":{\"resourceVersion\":\"200\",\"annotations\":{"
	                "\"deprecated.daemonset.template.generation\":\"0\"}},"},
	        {"/api/v1/events",
	                "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"metadata\":{"
	                "\"resourceVersion\":\"200\"},\"involvedObject\":{},\"source\":{},"
	                "\"firstTimestamp\":null,\"lastTimestamp\":null,\"eventTime\":null,"
	                "\"reportingComponent\":\"\",\"reportingInstance\":\"\"}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char url[200];
		snprintf(url, sizeof url, "%s?watch=1&resourceVersion=200&allowWatchBookmarks=true",
		        rows[i].path);
		drive_fresh(d, url, NULL);
		drive_wait(d, 60 * SECOND_NS);
		assert_contains(d->got.p, "{\"type\":\"BOOKMARK\",\"object\":");
		assert_contains(d->got.p, rows[i].object);
		assert_lacks(d->got.p, "initial-events-end");
	}
}

static void a_streaming_list_ends_with_its_marker(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "demo", "cm1");
	model_cluster_skip(d->cluster, 37);
	drive_get(d,
	        CMS "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch="
	            "NotOlderThan&resourceVersion=",
	        NULL);
	bool whole;
	struct model_text t = drive_unchunk(d, &whole);
	assert_starts(t.p, "{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",");
	assert_contains(t.p, "}}\n{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"ConfigMap\","
	                     "\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"238\","
	                     "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n");
	model_text_fini(&t);
	/* recorded: also for a watch from no version that allows bookmarks, without being asked */
	drive_fresh(d, CMS "?watch=1&allowWatchBookmarks=true", NULL);
	assert_contains(d->got.p, "k8s.io/initial-events-end");
	drive_fresh(d, CMS "?watch=1", NULL);
	assert_contains(d->got.p, "ADDED");
	assert_lacks(d->got.p, "BOOKMARK");
}

static void metadata_alone(void **state)
{
	struct drive *d = *state;
	one_configmap(d);
	static const char accept[] =
	        "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1\r\n";
	drive_get(d, CMS, accept);
	assert_string_equal(drive_body(d),
	        "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/"
	        "v1\",\"metadata\":{\"resourceVersion\":\"233\"},"
	        "\"items\":[{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/"
	        "v1\"," CM1_META "}]}\n");
	static const char one[] =
	        "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1\r\n";
	drive_get(d, CMS "/cm1", one);
	assert_string_equal(drive_body(d),
	        "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\"," CM1_META
	        "}\n");
	drive_get(d, CMS "?watch=1&allowWatchBookmarks=true", one);
	assert_contains(d->got.p,
	        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"PartialObjectMetadata\","
	        "\"apiVersion\":\"meta.k8s.io/v1\"," CM1_META "}}\n");
	assert_contains(d->got.p,
	        "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"PartialObjectMetadata\","
	        "\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
	        "\"resourceVersion\":\"233\",\"annotations\":{\"k8s.io/"
	        "initial-events-end\":\"true\"}}}}\n");
}

/* --- errors --- */

static const struct {
	const char *query, *head, *body;
} refused[] = {
        {"?resourceVersion=5&continue=abc", "400 Bad Request",
                STATUS "\"specifying resource version is not allowed when using "
                       "continue\",\"reason\":\"BadRequest\",\"code\":400}\n"},
        {"?continue=abc", "400 Bad Request",
                STATUS "\"invalid continue token: continue key is not valid: invalid "
                       "character 'i' looking for beginning of value\","
                       "\"reason\":\"BadRequest\",\"code\":400}\n"},
        {"?continue=!!", "400 Bad Request",
                STATUS "\"invalid continue token: continue key is not valid: illegal "
                       "base64 data at input byte 0\",\"reason\":"
                       "\"BadRequest\",\"code\":400}\n"},
        {"?fieldSelector=foo%3Dx", "400 Bad Request",
                STATUS "\"\\\"foo\\\" is not a known field selector: only "
                       "\\\"metadata.name\\\", \\\"metadata.namespace\\\"\",\"reason\":"
                       "\"BadRequest\",\"code\":400}\n"},
        {"?fieldSelector=foo", "400 Bad Request",
                STATUS "\"invalid selector: 'foo'; can't understand "
                       "'foo'\",\"reason\":\"BadRequest\",\"code\":400}\n"},
        {"?labelSelector=a+in+x", "400 Bad Request",
                STATUS "\"unable to parse requirement: found 'x' expected: "
                       "'('\",\"reason\":\"BadRequest\",\"code\":400}\n"},
        {"?labelSelector=%3D%3D", "400 Bad Request",
                STATUS "\"found '==', expected: !, identifier, or 'end of "
                       "string'\",\"reason\":\"BadRequest\",\"code\":400}\n"},
        {"?resourceVersion=abc", "400 Bad Request",
                STATUS "\"invalid resource version: resourceVersion: Invalid value: "
                       "\\\"abc\\\": strconv.ParseUint: parsing \\\"abc\\\": "
                       "invalid syntax\",\"reason\":\"BadRequest\",\"code\":400}\n"},
        {"?limit=abc", "400 Bad Request",
                STATUS "\"strconv.ParseInt: parsing \\\"abc\\\": invalid "
                       "syntax\",\"reason\":\"BadRequest\",\"code\":400}\n"},
        {"?watch=1&resourceVersion=abc", "500 Internal Server Error",
                STATUS "\"resourceVersion: Invalid value: \\\"abc\\\": strconv.ParseUint: "
                       "parsing \\\"abc\\\": invalid syntax\",\"code\":500}\n"},
        {"?resourceVersionMatch=Exact", "422 Unprocessable Entity",
                STATUS "\"ListOptions.meta.k8s.io \\\"\\\" is invalid: "
                       "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden "
                       "unless resourceVersion is provided\"," LIST_OPTIONS
                       "{\"reason\":\"FieldValueForbidden\",\"message\":\"Forbidden: "
                       "resourceVersionMatch is forbidden unless "
                       "resourceVersion is "
                       "provided\",\"field\":\"resourceVersionMatch\"}]},\"code\":422}\n"},
        {"?resourceVersionMatch=Foo&resourceVersion=5", "422 Unprocessable Entity",
                STATUS "\"ListOptions.meta.k8s.io \\\"\\\" is invalid: resourceVersionMatch: "
                       "Unsupported value: \\\"Foo\\\": supported "
                       "values: \\\"Exact\\\", \\\"NotOlderThan\\\", \\\"\\\"\"," LIST_OPTIONS
                       "{\"reason\":\"FieldValueNotSupported\",\"message\":\"Unsupported value: "
                       "\\\"Foo\\\": supported values: "
                       "\\\"Exact\\\", \\\"NotOlderThan\\\", "
                       "\\\"\\\"\",\"field\":\"resourceVersionMatch\"}]},\"code\":422}\n"},
        {"?sendInitialEvents=true", "422 Unprocessable Entity",
                STATUS "\"ListOptions.meta.k8s.io \\\"\\\" is invalid: sendInitialEvents: "
                       "Forbidden: sendInitialEvents is forbidden for "
                       "list\"," LIST_OPTIONS "{\"reason\":\"FieldValueForbidden\",\"message\":"
                       "\"Forbidden: sendInitialEvents is "
                       "forbidden for list\",\"field\":\"sendInitialEvents\"}]},\"code\":422}\n"},
        {"?watch=1&resourceVersionMatch=Exact&sendInitialEvents=true", "422 Unprocessable Entity",
                STATUS "\"ListOptions.meta.k8s.io \\\"\\\" is invalid: "
                       "[resourceVersionMatch: Forbidden: sendInitialEvents requires "
                       "setting resourceVersionMatch to NotOlderThan, "
                       "resourceVersionMatch: Unsupported value: \\\"Exact\\\": supported "
                       "values: \\\"NotOlderThan\\\"]\"," LIST_OPTIONS
                       "{\"reason\":\"FieldValueForbidden\",\"message\":\"Forbidden: "
                       "sendInitialEvents requires setting "
                       "resourceVersionMatch to "
                       "NotOlderThan\",\"field\":\"resourceVersionMatch\"},{\"reason\":"
                       "\"FieldValueNotSupported\",\"message\":\"Unsupported value: "
                       "\\\"Exact\\\": supported values: "
                       "\\\"NotOlderThan\\\"\",\"field\":\"resourceVersionMatch\"}]},"
                       "\"code\":422}\n"},
        {"?watch=1&resourceVersionMatch=NotOlderThan", "422 Unprocessable Entity",
                STATUS "\"ListOptions.meta.k8s.io \\\"\\\" is invalid: "
                       "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden "
                       "for watch unless sendInitialEvents is provided\"," LIST_OPTIONS
                       "{\"reason\":\"FieldValueForbidden\",\"message\":\"Forbidden: "
                       "resourceVersionMatch is forbidden for watch unless "
                       "sendInitialEvents is "
                       "provided\",\"field\":\"resourceVersionMatch\"}]},\"code\":422}\n"},
};

static void bad_requests(void **state)
{
	struct drive *d = *state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char url[200], head[64];
		snprintf(url, sizeof url, CMS "%s", refused[i].query);
		drive_get(d, url, NULL);
		snprintf(head, sizeof head, "HTTP/1.1 %s\r\n", refused[i].head);
		if (strncmp(d->got.p, head, strlen(head)) != 0)
			fail_msg("%s: %.60s", refused[i].query, d->got.p);
		assert_string_equal(drive_body(d), refused[i].body);
		assert_int_equal(model_conn_closed(d->conn), MODEL_OPEN);
	}
	drive_get(d, "/api/v1/pods?fieldSelector=foo%3Dx", NULL);
	assert_string_equal(drive_body(d), STATUS
	        "\"field label not supported: foo\",\"reason\":\"BadRequest\",\"code\":400}\n");
}

static void gone_in_each_of_its_places(void **state)
{
	struct drive *d = *state;
	for (int i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%d", i);
		make_configmap(d, "demo", name);
	}
	drive_get(d, CMS "?limit=2", NULL);
	model_cluster_skip(d->cluster, 75);
	model_cluster_compact(d->cluster, 278);
	drive_get(d, CMS "?watch=1&resourceVersion=1", NULL);
	assert_string_equal(strstr(drive_body(d), "\r\n") + 2,
	        "{\"type\":\"ERROR\",\"object\":" STATUS
	        "\"too old resource version: 1 (278)\",\"reason\":\"Expired\",\"code\":410}}\n"
	        "\r\n0\r\n\r\n");
	drive_get(d, CMS "?resourceVersion=203&resourceVersionMatch=Exact", NULL);
	assert_starts(d->got.p, "HTTP/1.1 410 Gone\r\n");
	assert_string_equal(drive_body(d),
	        STATUS "\"The resourceVersion for the provided list is too "
	               "old.\",\"reason\":\"Expired\",\"code\":410}\n");
	/* the token of the page, at version 203 */
	drive_get(d,
	        CMS "?limit=2&continue="
	            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjAzLCJzdGFydCI6Ii9wMlx1MDAwMCJ9",
	        NULL);
	assert_starts(d->got.p, "HTTP/1.1 410 Gone\r\n");
	assert_starts(drive_body(d),
	        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{\"continue\":"
	        "\"eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoicDJcdTAwMDAifQ\"},"
	        "\"status\":\"Failure\",\"message\":\"The provided "
	        "continue parameter is too old to display a consistent list result. You can start "
	        "a new list without the continue "
	        "parameter, or use");
	/* and with the token from that answer the list goes on at the newest version */
	drive_get(d,
	        CMS "?limit=2&continue="
	            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoicDFcdTAwMDAifQ",
	        NULL);
	assert_contains(d->got.p, "\"metadata\":{\"resourceVersion\":\"278\"},\"items\":[{"
	                          "\"metadata\":{\"name\":\"p2\"");
	/* at the horizon itself everything works */
	drive_get(d, CMS "?resourceVersion=278&resourceVersionMatch=Exact", NULL);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
}

static void too_large_versions(void **state)
{
	struct drive *d = *state;
	model_cluster_skip(d->cluster, 48);
	drive_get(d, CMS "?resourceVersion=99999999", NULL);
	assert_int_equal(d->got.n, 0);
	drive_wait(d, 3 * SECOND_NS - 1);
	assert_int_equal(d->got.n, 0);
	drive_wait(d, 1);
	assert_starts(d->got.p, "HTTP/1.1 504 Gateway Timeout\r\n");
	assert_contains(d->got.p, "\r\nRetry-After: 1\r\n");
	static const char doc[] =
	        STATUS "\"Timeout: Too large resource version: 99999999, current: "
	               "248\",\"reason\":\"Timeout\",\"details\":{\"causes\":[{"
	               "\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource "
	               "version\"}],\"retryAfterSeconds\":1},\"code\":504}";
	assert_starts(drive_body(d), doc);
	drive_get(d,
	        CMS "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
	            "resourceVersion=99999999",
	        NULL);
	assert_int_equal(d->got.n, 0);
	drive_wait(d, 3 * SECOND_NS);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
	assert_contains(d->got.p, "{\"type\":\"ERROR\",\"object\":");
	assert_contains(d->got.p, doc);
	/* reached in time */
	drive_get(d, CMS "?resourceVersion=250", NULL);
	assert_int_equal(d->got.n, 0);
	make_configmap(d, "demo", "a");
	make_configmap(d, "demo", "b");
	assert_ptr_equal(model_conn_next_ready(&d->server), d->conn);
	drive_take(d);
	assert_contains(d->got.p, "\"resourceVersion\":\"250\"");
}

static void not_found_and_not_allowed(void **state)
{
	struct drive *d = *state;
	drive_get(d, "/apis/nope/v1/x", NULL);
	assert_starts(d->got.p, "HTTP/1.1 404 Not Found\r\n");
	assert_contains(d->got.p,
	        "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n");
	assert_string_equal(drive_body(d), "404 page not found\n");
	drive_get(d, "/api/v1/nope", NULL);
	assert_string_equal(drive_body(d),
	        STATUS "\"the server could not find the requested "
	               "resource\",\"reason\":\"NotFound\",\"details\":{},\"code\":404}\n");
	drive_get(d, CMS "/nope", NULL);
	assert_string_equal(drive_body(d),
	        STATUS "\"configmaps \\\"nope\\\" not "
	               "found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"nope\","
	               "\"kind\":\"configmaps\"},\"code\":404}\n");
	drive_get(d, CMS, "Accept: text/html\r\n");
	assert_starts(d->got.p, "HTTP/1.1 406 Not Acceptable\r\n");
	assert_string_equal(drive_body(d),
	        "{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {},\n  "
	        "\"status\": \"Failure\",\n  \"message\": \"406: Not "
	        "Acceptable\\n\\nAvailable representations: application/json, application/yaml, "
	        "application/vnd.kubernetes.protobuf, "
	        "application/json;stream=watch, "
	        "application/vnd.kubernetes.protobuf;stream=watch\",\n  \"reason\": "
	        "\"NotAcceptable\",\n  "
	        "\"details\": {},\n  \"code\": 406\n}");
	struct span del = SPAN("DELETE /api HTTP/1.1\r\nUser-Agent: k\r\n\r\n");
	d->got.n = 0;
	model_conn_feed(d->conn, del, 0);
	drive_take(d);
	assert_starts(d->got.p, "HTTP/1.1 405 Method Not Allowed\r\n");
	assert_string_equal(drive_body(d), STATUS
	        "\"the server does not allow this method on the requested resource\",\"reason\":"
	        "\"MethodNotAllowed\",\"details\":{},\"code\":405}\n");
}

static void who_may(void **state)
{
	struct drive *d = *state;
	assert_true(model_server_add_token(&d->server, "good", "viewer"));
	drive_get(d, "/api/v1/pods", "Authorization: Bearer nope\r\n");
	assert_starts(d->got.p, "HTTP/1.1 401 Unauthorized\r\n");
	assert_string_equal(drive_body(d),
	        STATUS "\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n");
	drive_get(d, "/api/v1/pods", NULL);
	assert_starts(d->got.p, "HTTP/1.1 403 Forbidden\r\n");
	assert_contains(d->got.p, "\r\nX-Content-Type-Options: nosniff\r\n");
	assert_string_equal(drive_body(d), STATUS
	        "\"pods is forbidden: User \\\"system:anonymous\\\" cannot list resource "
	        "\\\"pods\\\" in API group \\\"\\\" at the cluster "
	        "scope\",\"reason\":\"Forbidden\",\"details\":{\"kind\":\"pods\"},\"code\":403}\n");
	drive_get(d, "/version", NULL);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
	drive_get(d, "/nope", NULL);
	assert_string_equal(drive_body(d), STATUS "\"forbidden: User \\\"system:anonymous\\\" "
	                                          "cannot get path \\\"/nope\\\"\",\"reason\":"
	                                          "\"Forbidden\",\"details\":{},\"code\":403}\n");
	model_server_add_deny(&d->server,
	        &(struct model_deny){.user = "viewer", .verb = "watch", .resource = "secrets"});
	drive_get(d, "/api/v1/namespaces/demo/secrets?watch=1", "Authorization: Bearer good\r\n");
	assert_string_equal(drive_body(d),
	        STATUS "\"secrets is forbidden: User \\\"viewer\\\" cannot watch resource "
	               "\\\"secrets\\\" in API group \\\"\\\" in the namespace "
	               "\\\"demo\\\"\",\"reason\":\"Forbidden\",\"details\":{\"kind\":\"secrets\"},"
	               "\"code\":403}\n");
	drive_get(d, "/api/v1/namespaces/demo/secrets", "Authorization: Bearer good\r\n");
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
	/* the last token taken away lets nobody in */
	assert_true(model_server_remove_token(&d->server, "good"));
	drive_get(d, "/api/v1/pods", "Authorization: Bearer good\r\n");
	assert_starts(d->got.p, "HTTP/1.1 401");
	drive_get(d, "/api/v1/pods", "Authorization: Bearer \r\n");
	assert_starts(d->got.p, "HTTP/1.1 401");
	drive_connect(d);
	model_conn_set_user(d->conn, "admin");
	drive_get(d, "/api/v1/pods", NULL);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
}

static void pretty_for_people(void **state)
{
	struct drive *d = *state;
	model_server_add_token(&d->server, "good", "viewer");
	drive_connect(d);
	model_conn_feed(d->conn,
	        SPAN("GET /api/v1/pods HTTP/1.1\r\nUser-Agent: curl/7.88.1\r\nAuthorization: "
	             "Bearer nope\r\n\r\n"),
	        0);
	drive_take(d);
	assert_contains(d->got.p, "Content-Length: 157\r\n"); /* recorded */
	assert_string_equal(drive_body(d), "{\n  \"kind\": \"Status\",\n  \"apiVersion\": "
	                                   "\"v1\",\n  \"metadata\": {},\n  \"status\": "
	                                   "\"Failure\",\n  \"message\": \"Unauthorized\",\n  "
	                                   "\"reason\": \"Unauthorized\",\n  \"code\": 401\n}");
}

static void discovery(void **state)
{
	struct drive *d = *state;
	drive_get(d, "/api", NULL);
	assert_string_equal(drive_body(d),
	        "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[{"
	        "\"clientCIDR\":"
	        "\"0.0.0.0/0\",\"serverAddress\":\"127.0.0.1:6443\"}]}\n");
	drive_get(d, "/apis/apps", NULL);
	assert_string_equal(drive_body(d),
	        "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"apps\",\"versions\":[{"
	        "\"groupVersion\":\"apps/v1\",\"version\":\"v1\"}],"
	        "\"preferredVersion\":{\"groupVersion\":\"apps/v1\",\"version\":\"v1\"}}\n");
	drive_get(d, "/apis/apps/v1", NULL);
	assert_contains(d->got.p, "{\"name\":\"deployments/"
	                          "scale\",\"singularName\":\"\",\"namespaced\":true,\"group\":"
	                          "\"autoscaling\",\"version\":\"v1\",\"kind\":"
	                          "\"Scale\",\"verbs\":[\"get\",\"patch\",\"update\"]},{\"name\":"
	                          "\"deployments/status\"");
	drive_get(d, "/apis",
	        "Accept: "
	        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/"
	        "json\r\n");
	assert_contains(d->got.p,
	        "Content-Type: "
	        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList\r\n");
	bool whole;
	struct model_text t = drive_unchunk(d, &whole);
	assert_true(whole);
	assert_contains(t.p,
	        "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"
	        "v2\",\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"apps\"},");
	assert_contains(t.p,
	        "{\"resource\":\"deployments\",\"responseKind\":{\"group\":\"\",\"version\":\"\","
	        "\"kind\":\"Deployment\"},\"scope\":\"Namespaced\","
	        "\"singularResource\":\"deployment\",\"verbs\":[\"create\",\"delete\","
	        "\"deletecollection\",\"get\",\"list\",\"patch\",\"update\","
	        "\"watch\"],\"shortNames\":[\"deploy\"],\"categories\":[\"all\"],\"subresources\":["
	        "{\"subresource\":\"scale\",\"responseKind\":{"
	        "\"group\":\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\"},\"verbs\":["
	        "\"get\",\"patch\",\"update\"]},{\"subresource\":\"status\","
	        "\"responseKind\":{\"group\":\"\",\"version\":\"\",\"kind\":\"Deployment\"},"
	        "\"verbs\":[\"get\",\"patch\",\"update\"]}]}");
	model_text_fini(&t);
	drive_get(d, "/readyz", NULL);
	assert_contains(d->got.p,
	        "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n");
	assert_string_equal(drive_body(d), "ok");
	drive_get(d, "/version", NULL);
	assert_contains(d->got.p, "Content-Length: 345\r\n"); /* recorded */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_short_list_has_a_length, setup, teardown),
	        cmocka_unit_test_setup_teardown(heads_come_in_the_order_of_go, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_page_says_where_to_go_on, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_custom_list_is_sorted, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_watch_sends_its_head_at_once_and_a_chunk_per_flush, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                chunks_are_cut_where_gos_buffer_is_full, setup, teardown),
	        cmocka_unit_test_setup_teardown(bookmarks_look_as_recorded, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_streaming_list_ends_with_its_marker, setup, teardown),
	        cmocka_unit_test_setup_teardown(metadata_alone, setup, teardown),
	        cmocka_unit_test_setup_teardown(bad_requests, setup, teardown),
	        cmocka_unit_test_setup_teardown(gone_in_each_of_its_places, setup, teardown),
	        cmocka_unit_test_setup_teardown(too_large_versions, setup, teardown),
	        cmocka_unit_test_setup_teardown(not_found_and_not_allowed, setup, teardown),
	        cmocka_unit_test_setup_teardown(who_may, setup, teardown),
	        cmocka_unit_test_setup_teardown(pretty_for_people, setup, teardown),
	        cmocka_unit_test_setup_teardown(discovery, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
