/* Generated objects: valid JSON of the size that was asked for, with managedFields, the same in
 * each answer that shows them. */
#include "drive.h"
#include "json_check.h"

#include "model/model_render.h"
#include "model/model_text.h"

static struct model_text event_of(struct drive *d, const struct model_kind *k, const char *key)
{
	struct model_text t = {0};
	const struct model_object *o =
	        model_index_find(&model_cluster_store(d->cluster, k)->index, span_of(key));
	assert_non_null(o);
	model_render_event(&d->server.library, o->last, "ADDED", (struct model_look){0}, &t);
	TEXT_LIT(&t, "\0");
	t.n--;
	return t;
}

static size_t managed_bytes(const char *event)
{
	const char *p = strstr(event, "\"managedFields\":");
	assert_non_null(p);
	return json_document(p + 16, strlen(p + 16));
}

static void sizes_are_as_asked_for(void **state)
{
	(void)state;
	static const struct {
		const char *group, *resource;
		uint32_t bytes;
		unsigned percent; /* how far off it may be */
	} rows[] = {{"", "pods", 3600, 3}, {"", "pods", 14500, 3}, {"", "pods", 100000, 3},
	        {"", "pods", 1048576, 2}, {"", "configmaps", 2000, 6},
	        {"", "configmaps", 1048576, 2}, {"", "secrets", 4000, 4},
	        {"apps", "deployments", 6000, 4}, {"", "events", 1500, 6}, {"", "nodes", 9000, 4},
	        {"example.com", "widgets", 5000, 6}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct drive d;
		drive_init_with(&d, &(struct model_server_options){
		                            .wall_s = WALL_S, .stamp = true, .stamp_writes = true});
		const struct model_kind *w = model_cluster_add_crd(d.cluster,
		        &(struct model_kind){.group = "example.com",
		                .version = "v1",
		                .resource = "widgets",
		                .singular = "widget",
		                .kind = "Widget",
		                .namespaced = true},
		        0);
		const struct model_kind *k =
		        rows[i].group[0] == 'e' ? w : kind_of(rows[i].group, rows[i].resource);
		struct model_spec s = {.namespace_ = k->namespaced ? "ns-001" : NULL,
		        .name = "pod-0000001",
		        .bytes = rows[i].bytes,
		        .labels = "app=web,tier=front"};
		assert_true(model_create(d.cluster, k, &s, 5 * SECOND_NS));
		struct model_text t =
		        event_of(&d, k, k->namespaced ? "ns-001/pod-0000001" : "pod-0000001");
		assert_int_equal(json_document(t.p, t.n), t.n - 1);
		size_t off = t.n > rows[i].bytes ? t.n - rows[i].bytes : rows[i].bytes - t.n;
		if (off * 100 > (size_t)rows[i].bytes * rows[i].percent)
			fail_msg("%s of %u bytes: %zu", rows[i].resource, rows[i].bytes, t.n);
		assert_contains(t.p, "\"" MODEL_STAMP_KEY "\":\"00000000005000000000\"");
		assert_true(managed_bytes(t.p) > 40);
		if (rows[i].bytes == 14500)
			assert_in_range(managed_bytes(t.p), 4700, 5900); /* of a real Pod: 5.3 KB */
		model_text_fini(&t);
		drive_fini(&d);
	}
}

static void every_kind_is_json_in_every_answer(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	for (size_t i = 0; i < model_kind_count; i++) {
		const struct model_kind *k = &model_kinds[i];
		struct model_spec s = {.namespace_ = k->namespaced ? "a" : NULL,
		        .name = "x",
		        .labels = "l=1",
		        .annotations = "q=<&>\"\\\n"};
		assert_true(model_create(d.cluster, k, &s, 0));
		assert_true(model_patch_status(
		        d.cluster, k, k->namespaced ? SPAN("a/x") : SPAN("x"), 0));
		char url[200], api[64];
		model_kind_api_version(k, api, sizeof api);
		for (int form = 0; form < 5; form++) {
			static const char *const queries[] = {"", "?limit=1",
			        "?watch=1&allowWatchBookmarks=true&timeoutSeconds=1", "",
			        "?watch=1&timeoutSeconds=1"};
			snprintf(url, sizeof url, "/%s/%s/%s%s", k->group[0] ? "apis" : "api", api,
			        k->resource, queries[form]);
			drive_get(&d, url,
			        form >= 3 ? "Accept: application/json;as=PartialObjectMetadata\r\n"
			                  : NULL);
			drive_wait(&d, 2 * SECOND_NS);
			bool whole = true;
			struct model_text t = {0};
			if (strstr(d.got.p, "chunked"))
				t = drive_unchunk(&d, &whole);
			else
				model_text_str(&t, drive_body(&d));
			assert_true(whole);
			assert_true(t.n > 0);
			for (size_t at = 0; at < t.n;) {
				size_t n = json_document(t.p + at, t.n - at);
				if (n == 0)
					fail_msg("%s: not JSON at %zu: %.300s", url, at, t.p + at);
				at += n + 1; /* the line end */
			}
			model_text_fini(&t);
		}
	}
	drive_fini(&d);
}

static void a_state_is_the_same_wherever_it_is_shown(void **state)
{
	(void)state;
	struct drive d;
	drive_init_with(&d, &(struct model_server_options){
	                            .wall_s = WALL_S, .stamp = true, .stamp_writes = true});
	const struct model_kind *k = kind_of("", "pods");
	struct model_spec s = {.namespace_ = "a", .name = "p", .bytes = 3600};
	model_create(d.cluster, k, &s, SECOND_NS);
	uint64_t first = model_patch_status(d.cluster, k, SPAN("a/p"), 2 * SECOND_NS);
	model_patch_status(d.cluster, k, SPAN("a/p"), 3 * SECOND_NS);
	/* as the MODIFIED event that was sent then, and in the list at that version */
	char url[200];
	snprintf(url, sizeof url, "/api/v1/pods?watch=1&resourceVersion=%llu",
	        (unsigned long long)first - 1);
	drive_get(&d, url, NULL);
	bool whole;
	struct model_text t = drive_unchunk(&d, &whole);
	const char *event = strstr(t.p, "\"metadata\":");
	const char *end = strstr(t.p, "}}\n");
	struct model_text object = {0};
	model_text_put(&object, event, (size_t)(end - event));
	TEXT_LIT(&object, "\0");
	snprintf(url, sizeof url, "/api/v1/pods?resourceVersionMatch=Exact&resourceVersion=%llu",
	        (unsigned long long)first);
	drive_fresh(&d, url, NULL);
	struct model_text list = drive_unchunk(&d, &whole);
	assert_contains(list.p, object.p);
	model_text_fini(&object);
	model_text_fini(&list);
	model_text_fini(&t);
	drive_fini(&d);
}

static void quirks_break_what_they_say(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	make_configmap(&d, "a", "x");
	const struct model_object *o = model_index_find(
	        &model_cluster_store(d.cluster, kind_of("", "configmaps"))->index, SPAN("a/x"));
	static const struct {
		unsigned quirk;
		const char *lacks, *has;
		bool json;
	} rows[] = {
	        {MODEL_QUIRK_NO_METADATA, "metadata", "\"data\"", true},
	        {MODEL_QUIRK_NO_UID, "\"uid\"", "\"name\":\"x\"", true},
	        {MODEL_QUIRK_NO_NAME, "\"name\"", "\"uid\"", true},
	        {MODEL_QUIRK_RV_EMPTY, "\"201\"", "\"resourceVersion\":\"\"", true},
	        {MODEL_QUIRK_RV_ZERO, "\"201\"", "\"resourceVersion\":\"0\"", true},
	        {MODEL_QUIRK_RV_TEXT, "\"201\"", "\"resourceVersion\":\"abc\"", true},
	        {MODEL_QUIRK_RV_MISSING, "resourceVersion", "\"uid\"", true},
	        {MODEL_QUIRK_TWO_NAMES, "nothing", "\"name\":\"x\",\"name\":\"another\"", true},
	        {MODEL_QUIRK_DEEP, "nothing", "\"deep\":[[[[", true},
	        {MODEL_QUIRK_BAD_UTF8, "nothing", "\xff", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct model_text t = {0};
		model_render_object(&d.server.library, o->last,
		        (struct model_look){.typed = true, .quirks = rows[i].quirk}, &t);
		TEXT_LIT(&t, "\0");
		assert_lacks(t.p, rows[i].lacks);
		assert_contains(t.p, rows[i].has);
		assert_int_equal(json_document(t.p, t.n - 1) == t.n - 1, rows[i].json);
		model_text_fini(&t);
	}
	drive_fini(&d);
}

static void times_and_names(void **state)
{
	(void)state;
	static const struct {
		int64_t s;
		const char *rfc3339, *http;
	} rows[] = {{0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
	        {951782399, "2000-02-28T23:59:59Z", "Mon, 28 Feb 2000 23:59:59 GMT"},
	        {951868799, "2000-02-29T23:59:59Z", "Tue, 29 Feb 2000 23:59:59 GMT"},
	        {4107542399, "2100-02-28T23:59:59Z", "Sun, 28 Feb 2100 23:59:59 GMT"},
	        {4107542400, "2100-03-01T00:00:00Z", "Mon, 01 Mar 2100 00:00:00 GMT"},
	        {-1, "1969-12-31T23:59:59Z", "Wed, 31 Dec 1969 23:59:59 GMT"}};
	struct model_text t = {0};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		t.n = 0;
		model_text_time(&t, rows[i].s);
		assert_int_equal(t.n, 20);
		assert_memory_equal(t.p, rows[i].rfc3339, 20);
		t.n = 0;
		model_text_http_date(&t, rows[i].s);
		assert_memory_equal(t.p, rows[i].http, 29);
	}
	t.n = 0;
	model_text_uuid(&t, 1);
	assert_int_equal(t.n, 36);
	assert_int_equal(t.p[14], '4');
	assert_non_null(strchr("89ab", t.p[19]));
	t.n = 0;
	model_text_quoted(&t, SPAN("a\"b\\c\n<\x01\xc3\xa9"));
	TEXT_LIT(&t, "\0");
	assert_string_equal(t.p, "\"a\\\"b\\\\c\\n\\u003c\\u0001\xc3\xa9\"");
	static const char *const b64[] = {
	        "", "Zg", "Zm8", "Zm9v", "Zm9vYg"}; /* RFC 4648 10, without padding */
	for (size_t i = 0; i < 5; i++) {
		t.n = 0;
		model_text_base64(&t, (struct span){"foob", i}, true);
		TEXT_LIT(&t, "\0");
		assert_string_equal(t.p, b64[i]);
	}
	model_text_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sizes_are_as_asked_for),
	        cmocka_unit_test(every_kind_is_json_in_every_answer),
	        cmocka_unit_test(a_state_is_the_same_wherever_it_is_shown),
	        cmocka_unit_test(quirks_break_what_they_say),
	        cmocka_unit_test(times_and_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
