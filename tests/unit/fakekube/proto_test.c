/* Protobuf: the same Pod as the JSON, field by field; the frames of lists, objects and watches; who
 * gets it. */
#include "proto_walk.h"

#include "model/model_proto.h"
#include "model/model_render.h"

#define PROTO "Accept: application/vnd.kubernetes.protobuf,application/json\r\n"

static void start(struct drive *d)
{
	drive_init_with(
	        d, &(struct model_server_options){
	                   .wall_s = WALL_S, .seed = 1, .stamp = true, .stamp_writes = true});
}

static void make_pod(struct drive *d, const char *name, const char *labels, uint32_t bytes)
{
	struct model_spec s = {
	        .namespace_ = "ns-000", .name = name, .labels = labels, .bytes = bytes};
	assert_true(model_create(d->cluster, kind_of("", "pods"), &s, 5 * SECOND_NS));
}

static const struct model_version *last_of(struct drive *d, const char *key)
{
	const struct model_store *st = model_cluster_store(d->cluster, kind_of("", "pods"));
	const struct model_object *o = model_index_find(&st->index, span_of(key));
	assert_non_null(o);
	return o->last;
}

static struct model_text json_of(struct drive *d, const struct model_version *v)
{
	struct model_text t = {0};
	model_render_object(
	        &d->server.library, v, (struct model_look){.typed = true, .wrote_ns = 777}, &t);
	TEXT_LIT(&t, "\0");
	t.n--;
	return t;
}

/* Both ways of writing it, and both ways of reading it. */
static void same_pod(struct drive *d, const struct model_version *v)
{
	struct model_text json = json_of(d, v), fast = {0}, slow = {0}, a = {0}, b = {0};
	struct span unknown;
	model_render_proto(&d->server.library, v, (struct model_look){.wrote_ns = 777}, &fast);
	assert_true(model_proto_members(model_proto_of(kind_of("", "pods")),
	        (struct span){json.p + 1, json.n - 2}, &slow, &unknown));
	if (unknown.p)
		fail_msg("the table lacks %.*s", SPAN_ARG(unknown));
	assert_int_equal(fast.n, slow.n);
	assert_memory_equal(fast.p, slow.p, slow.n);
	walk_wire(model_text_as_span(&fast), "", &a);
	assert_int_equal(*walk_json(json.p, "", &b), 0);
	TEXT_LIT(&a, "\0");
	TEXT_LIT(&b, "\0");
	assert_string_equal(a.p, b.p);
	model_text_fini(&json);
	model_text_fini(&fast);
	model_text_fini(&slow);
	model_text_fini(&a);
	model_text_fini(&b);
}

static void every_field_is_the_one_of_the_json(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {0, 3600, 14500, 100000, 1048576};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct drive d;
		start(&d);
		make_pod(&d, "a", "app=web,tier=front", sizes[i]);
		make_pod(&d, "without-labels", NULL, sizes[i]);
		same_pod(&d, last_of(&d, "ns-000/a"));
		same_pod(&d, last_of(&d, "ns-000/without-labels"));
		for (unsigned n = 0; n < 200; n++) /* a count of two bytes on the wire */
			model_patch_status(
			        d.cluster, kind_of("", "pods"), SPAN("ns-000/a"), n * SECOND_NS);
		same_pod(&d, last_of(&d, "ns-000/a"));
		model_update(d.cluster, kind_of("", "pods"),
		        &(struct model_spec){.namespace_ = "ns-000",
		                .name = "a",
		                .annotations = "a=\"<b>\",z=2"},
		        0);
		same_pod(&d, last_of(&d, "ns-000/a"));
		drive_fini(&d);
	}
}

static void what_is_not_in_the_table_is_said(void **state)
{
	(void)state;
	const struct model_proto_message *m = model_proto_of(kind_of("", "pods"));
	struct model_text t = {0};
	struct span unknown;
	assert_true(model_proto_members(
	        m, SPAN("\"spec\":{\"later\":[{\"a\":\"]}\"}],\"nodeName\":\"n\"}"), &t, &unknown));
	assert_true(span_is(unknown, "later"));
	assert_int_equal(t.n, 5);
	assert_memory_equal(t.p, "\x12\x03\x52\x01n", 5);
	static const char *const broken[] = {"\"spec\":{", "\"spec\":\"x\"",
	        "\"spec\":{\"priority\":x}", "\"spec\":{\"nodeName\":\"\\q\"}",
	        "\"spec\":{\"nodeName\":\"\\u12\"}", "\"status\":{\"startTime\":\"today\"}",
	        "\"spec\":{}}"};
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		assert_false(model_proto_members(m, span_of(broken[i]), &t, NULL));
	t.n = 0;
	assert_true(model_proto_members(m,
	        SPAN("\"spec\":{\"nodeName\":\"\\ud83d\\ude00\\ud800\\n\",\"priority\":-1}"), &t,
	        NULL));
	assert_int_equal(t.n, 2 + 2 + 8 + 2 + 10);
	assert_memory_equal(t.p + 4,
	        "\xf0\x9f\x98\x80\xef\xbf\xbd\n\xc8\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	        20);
	model_text_fini(&t);
	assert_null(model_proto_of(kind_of("", "configmaps")));
}

/* --- frames --- */

/* "k8s\0" and an Unknown; returns its raw field. */
static struct span unknown_of(struct span s, const char *api_version, const char *kind)
{
	assert_true(s.n > 4);
	assert_memory_equal(s.p, "k8s", 4);
	struct wire w = wire_of((struct span){s.p + 4, s.n - 4}), type;
	unsigned number;
	uint64_t value;
	struct span bytes, raw;
	assert_true(wire_next(&w, &number, &value, &bytes) && number == 1);
	type = wire_of(bytes);
	assert_true(wire_next(&type, &number, &value, &bytes) && number == 1);
	assert_true(span_is(bytes, api_version));
	assert_true(wire_next(&type, &number, &value, &bytes) && number == 2);
	assert_true(span_is(bytes, kind));
	assert_true(wire_next(&w, &number, &value, &raw) && number == 2);
	for (unsigned want = 3; want <= 4; want++) /* no encoding, no content type */
		assert_true(
		        wire_next(&w, &number, &value, &bytes) && number == want && bytes.n == 0);
	assert_false(wire_next(&w, &number, &value, &bytes));
	return raw;
}

/* The field of that path; the first one of it. */
static struct span field_of(struct span message, unsigned n, ...)
{
	va_list ap;
	va_start(ap, n);
	while (n--) {
		struct wire w = wire_of(message);
		unsigned want = va_arg(ap, unsigned), number;
		uint64_t value;
		do
			assert_true(wire_next(&w, &number, &value, &message));
		while (number != want);
	}
	va_end(ap);
	return message;
}

struct event {
	struct span type, raw;
};

/* The next event of a stream. */
static bool next_event(struct span *s, const char *kind, struct event *e)
{
	if (s->n == 0)
		return false;
	const unsigned char *p = (const unsigned char *)s->p;
	assert_true(s->n > 4);
	size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	assert_true(n <= s->n - 4);
	struct span frame = {s->p + 4, n};
	s->p += n + 4;
	s->n -= n + 4;
	e->type = field_of(frame, 1, 1u);
	e->raw = unknown_of(field_of(frame, 2, 2u, 1u), "v1", kind);
	return true;
}

static size_t items_in(struct span list)
{
	struct wire w = wire_of(list);
	unsigned number;
	uint64_t value;
	struct span bytes;
	size_t n = 0;
	while (wire_next(&w, &number, &value, &bytes))
		n += number == 2;
	return n;
}

static void lists_and_objects(void **state)
{
	(void)state;
	struct drive d;
	start(&d);
	for (int i = 0; i < 200; i++) {
		char name[16];
		snprintf(name, sizeof name, "pod-%03d", i);
		make_pod(&d, name, "app=web", 3600);
	}
	bool whole;
	drive_fresh(&d, "/api/v1/pods", PROTO);
	assert_contains(d.got.p, "Content-Type: application/vnd.kubernetes.protobuf\r\n");
	struct model_text body = drive_unchunk(&d, &whole);
	assert_true(whole);
	struct span list = unknown_of(model_text_as_span(&body), "v1", "PodList");
	assert_int_equal(items_in(list), 200);
	assert_true(span_is(field_of(list, 2, 1u, 2u), "400"));
	assert_true(span_is(field_of(list, 3, 2u, 1u, 1u), "pod-000"));
	model_text_fini(&body);
	drive_fresh(&d, "/api/v1/pods?limit=7", PROTO);
	body = drive_unchunk(&d, &whole);
	list = unknown_of(model_text_as_span(&body), "v1", "PodList");
	assert_int_equal(items_in(list), 7);
	assert_true(field_of(list, 2, 1u, 3u).n > 10); /* continue */
	struct wire w = wire_of(field_of(list, 1, 1u));
	unsigned number;
	uint64_t value = 0;
	struct span bytes;
	while (wire_next(&w, &number, &value, &bytes) && number != 4) {
	}
	assert_int_equal(value, 193);
	model_text_fini(&body);
	drive_fresh(&d, "/api/v1/namespaces/ns-000/pods/pod-009", PROTO);
	body = drive_unchunk(&d, &whole);
	struct span pod = unknown_of(model_text_as_span(&body), "v1", "Pod");
	assert_true(span_is(field_of(pod, 2, 1u, 1u), "pod-009"));
	model_text_fini(&body);
	drive_fini(&d);
}

static void who_gets_it(void **state)
{
	(void)state;
	static const struct {
		const char *url, *accept;
		bool proto;
	} rows[] = {{"/api/v1/pods", "application/vnd.kubernetes.protobuf", true},
	        {"/api/v1/pods", "application/vnd.kubernetes.protobuf,application/json", true},
	        {"/api/v1/pods", "application/json,application/vnd.kubernetes.protobuf", false},
	        {"/api/v1/pods",
	                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;"
	                "g=meta.k8s.io;v=v1,application/json",
	                false},
	        {"/api/v1/configmaps", "application/vnd.kubernetes.protobuf,application/json",
	                false},
	        {"/api/v1", "application/vnd.kubernetes.protobuf,application/json", false}};
	struct drive d;
	start(&d);
	make_pod(&d, "a", NULL, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char field[200];
		snprintf(field, sizeof field, "Accept: %s\r\n", rows[i].accept);
		drive_fresh(&d, rows[i].url, field);
		assert_starts(d.got.p, "HTTP/1.1 200");
		if ((strstr(d.got.p, "Content-Type: application/vnd.kubernetes.protobuf\r\n") !=
		            NULL) != rows[i].proto)
			fail_msg("%s as %s: %.300s", rows[i].url, rows[i].accept, d.got.p);
	}
	drive_fresh(&d, "/api/v1/configmaps", "Accept: application/vnd.kubernetes.protobuf\r\n");
	assert_starts(d.got.p, "HTTP/1.1 406");
	drive_fini(&d);
}

static void watches(void **state)
{
	(void)state;
	struct drive d;
	start(&d);
	make_pod(&d, "a", "app=web", 14500);
	make_pod(&d, "b", NULL, 0);
	bool whole;
	struct event e;
	drive_fresh(&d,
	        "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
	        "allowWatchBookmarks=true",
	        PROTO);
	assert_contains(
	        d.got.p, "Content-Type: application/vnd.kubernetes.protobuf;stream=watch\r\n");
	d.now_ns = 9 * SECOND_NS;
	model_patch_status(d.cluster, kind_of("", "pods"), SPAN("ns-000/b"), d.now_ns);
	model_delete(d.cluster, kind_of("", "pods"), SPAN("ns-000/a"), d.now_ns);
	drive_take(&d);
	struct model_text body = drive_unchunk(&d, &whole);
	struct span s = model_text_as_span(&body);
	static const char *const types[] = {"ADDED", "ADDED", "BOOKMARK", "MODIFIED", "DELETED"};
	static const char *const rvs[] = {"201", "202", "202", "203", "204"};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		assert_true(next_event(&s, "Pod", &e));
		assert_true(span_is(e.type, types[i]));
		assert_true(span_is(field_of(e.raw, 2, 1u, 6u), rvs[i]));
		if (i == 2)
			assert_true(span_is(
			        field_of(e.raw, 3, 1u, 12u, 1u), "k8s.io/initial-events-end"));
	}
	assert_false(next_event(&s, "Pod", &e));
	model_text_fini(&body);
	/* 410 as an event: a Status */
	model_cluster_compact(d.cluster, 204);
	drive_fresh(&d, "/api/v1/pods?watch=1&resourceVersion=200", PROTO);
	body = drive_unchunk(&d, &whole);
	s = model_text_as_span(&body);
	assert_true(next_event(&s, "Status", &e));
	assert_true(span_is(e.type, "ERROR"));
	assert_true(span_is(field_of(e.raw, 1, 4u), "Expired"));
	assert_true(whole);
	model_text_fini(&body);
	drive_fini(&d);
}

/* --- stamps --- */

static void a_stamp_of_the_intention_and_one_of_the_deed(void **state)
{
	(void)state;
	for (int proto = 0; proto < 2; proto++) {
		struct drive d;
		start(&d);
		make_pod(&d, "a", NULL, 0);
		drive_fresh(&d, "/api/v1/pods?watch=1&resourceVersion=201", proto ? PROTO : NULL);
		const struct model_kind *k = kind_of("", "pods");
		struct model_store *st = model_cluster_store(d.cluster, k);
		model_touch(d.cluster, st, model_index_nth(&st->index, 0), 70, 12);
		d.now_ns = 345;
		d.got.n = 0;
		drive_take(&d);
		const char *sent = proto ? "fakekube.io/sent-ns\x12\x14"
		                           "00000000000000000012"
		                         : "\"fakekube.io/sent-ns\":\"00000000000000000012\"";
		const char *wrote = proto ? "fakekube.io/wrote-ns\x12\x14"
		                            "00000000000000000345"
		                          : "\"fakekube.io/wrote-ns\":\"00000000000000000345\"";
		assert_non_null(memmem(d.got.p, d.got.n, sent, strlen(sent)));
		assert_non_null(memmem(d.got.p, d.got.n, wrote, strlen(wrote)));
		drive_fini(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_field_is_the_one_of_the_json),
	        cmocka_unit_test(what_is_not_in_the_table_is_said),
	        cmocka_unit_test(lists_and_objects),
	        cmocka_unit_test(who_gets_it),
	        cmocka_unit_test(watches),
	        cmocka_unit_test(a_stamp_of_the_intention_and_one_of_the_deed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
