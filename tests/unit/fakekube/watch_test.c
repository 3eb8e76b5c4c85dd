/* Watches: what is sent when, to whom, and how a stream ends. */
#include "drive.h"

#include <zlib.h>

#define CMS "/api/v1/configmaps"

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

static const struct model_kind *cms(void)
{
	return kind_of("", "configmaps");
}

static void bookmarks_come_each_minute_and_before_the_end(void **state)
{
	struct drive *d = *state;
	drive_get(d, CMS "?watch=1&resourceVersion=200&allowWatchBookmarks=true&timeoutSeconds=150",
	        NULL);
	drive_wait(d, 60 * SECOND_NS - 1);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 0);
	model_cluster_skip(d->cluster, 5);
	drive_wait(d, 1);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 1);
	assert_contains(
	        d->got.p, "\"resourceVersion\":\"205\""); /* of the server, not of the last event */
	drive_wait(d, 60 * SECOND_NS);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 2);
	drive_wait(d, 28 * SECOND_NS - 1);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 2);
	drive_wait(d, 1);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 3); /* 2 s before the deadline */
	drive_wait(d, 2 * SECOND_NS);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 3);
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
	/* not asked for: none */
	drive_get(d, CMS "?watch=1&resourceVersion=200&timeoutSeconds=150", NULL);
	drive_wait(d, 150 * SECOND_NS);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 0);
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
}

static void without_a_timeout_the_server_draws_one(void **state)
{
	struct drive *d = *state;
	drive_get(d, CMS "?watch=1&resourceVersion=200", NULL);
	drive_wait(d, 1800 * SECOND_NS - 1);
	assert_null(strstr(drive_body(d), "0\r\n"));
	drive_wait(d, 1800 * SECOND_NS + 1);
	assert_string_equal(drive_body(d), "0\r\n\r\n");
}

static void a_watch_goes_on_where_it_is_told(void **state)
{
	struct drive *d = *state;
	for (int i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof name, "c%d", i);
		make_configmap(d, "a", name); /* 201..205 */
	}
	drive_get(d, CMS "?watch=1&resourceVersion=203", NULL);
	assert_int_equal(count_of(d->got.p, "\"ADDED\""), 2);
	assert_contains(d->got.p, "\"name\":\"c3\"");
	assert_lacks(d->got.p, "\"name\":\"c2\"");
	model_cluster_compact(d->cluster, 203);
	drive_fresh(d, CMS "?watch=1&resourceVersion=203", NULL);
	assert_int_equal(count_of(d->got.p, "\"ADDED\""), 2);
	drive_fresh(d, CMS "?watch=1&resourceVersion=202", NULL);
	assert_contains(d->got.p, "too old resource version: 202 (203)");
}

/* As a real server: accepted and silent. */
static void a_version_of_the_future_is_silence(void **state)
{
	struct drive *d = *state;
	drive_get(d,
	        CMS "?watch=1&resourceVersion=1000&allowWatchBookmarks=true&timeoutSeconds=130",
	        NULL);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
	make_configmap(d, "a", "x");
	drive_take(d);
	drive_wait(d, 129 * SECOND_NS);
	assert_string_equal(drive_body(d), "");
	drive_wait(d, SECOND_NS);
	assert_string_equal(drive_body(d), "0\r\n\r\n");
}

static void objects_move_across_a_selector(void **state)
{
	struct drive *d = *state;
	model_create(d->cluster, cms(),
	        &(struct model_spec){.namespace_ = "a",
	                .name = "x",
	                .labels = "app=web",
	                .members = "\"data\":{}"},
	        0);
	model_create(d->cluster, cms(),
	        &(struct model_spec){.namespace_ = "a",
	                .name = "y",
	                .labels = "app=db",
	                .members = "\"data\":{}"},
	        0);
	drive_get(d,
	        "/api/v1/namespaces/a/"
	        "configmaps?watch=1&labelSelector=app%3Dweb&resourceVersion=202",
	        NULL);
	d->got.n = 0;
	model_set_labels(d->cluster, cms(), SPAN("a/x"), "app=db", 0); /* 203: leaves */
	drive_take(d);
	assert_contains(d->got.p, "{\"type\":\"DELETED\",");
	assert_contains(d->got.p, "\"resourceVersion\":\"203\"");
	assert_contains(d->got.p, "\"labels\":{\"app\":\"web\"}"); /* as it was while it matched */
	d->got.n = 0;
	model_set_labels(d->cluster, cms(), SPAN("a/y"), "app=web", 0); /* 204: enters */
	drive_take(d);
	assert_contains(d->got.p, "{\"type\":\"ADDED\",");
	assert_contains(d->got.p, "\"name\":\"y\"");
	d->got.n = 0;
	model_patch_status(d->cluster, cms(), SPAN("a/y"), 0); /* 205 */
	model_patch_status(d->cluster, cms(), SPAN("a/x"), 0); /* 206: not in it */
	model_delete(d->cluster, cms(), SPAN("a/x"), 0);       /* 207: neither */
	model_delete(d->cluster, cms(), SPAN("a/y"), 0);       /* 208 */
	model_create(d->cluster, cms(),
	        &(struct model_spec){.namespace_ = "b", .name = "z", .labels = "app=web"}, 0);
	drive_take(d);
	assert_int_equal(count_of(d->got.p, "{\"type\":"), 2);
	assert_contains(d->got.p, "{\"type\":\"MODIFIED\",");
	assert_contains(d->got.p, "{\"type\":\"DELETED\",");
	assert_contains(d->got.p, "\"resourceVersion\":\"208\"");
}

static void one_object_by_field_selector(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "a", "x");
	make_configmap(d, "a", "y");
	drive_get(d, CMS "?watch=1&fieldSelector=metadata.name%3Dy", NULL);
	assert_int_equal(count_of(d->got.p, "\"ADDED\""), 1);
	assert_contains(d->got.p, "\"name\":\"y\"");
}

static void a_streaming_list_is_one_version(void **state)
{
	struct drive *d = *state;
	for (int i = 0; i < 2000; i++) {
		char name[16];
		snprintf(name, sizeof name, "c%04d", i);
		model_create(d->cluster, cms(),
		        &(struct model_spec){.namespace_ = "a", .name = name}, 0);
	}
	uint64_t rv = d->cluster->rv;
	drive_connect(d);
	struct span request =
	        SPAN("GET " CMS "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&"
	             "resourceVersionMatch=NotOlderThan HTTP/1.1\r\n\r\n");
	model_conn_feed(d->conn, request, 0);
	d->got.n = 0;
	struct span s = model_conn_peek(d->conn, 0);
	assert_true(s.n < 600000); /* made as it is sent */
	model_text_put(&d->got, s.p, 1000);
	model_conn_consume(d->conn, 1000, 0);
	model_delete(d->cluster, cms(), SPAN("a/c1999"), 0);
	model_patch_status(d->cluster, cms(), SPAN("a/c1998"), 0);
	drive_take(d);
	bool whole;
	struct model_text t = drive_unchunk(d, &whole);
	assert_int_equal(count_of(t.p, "\"ADDED\""), 2000);
	char marker[64];
	snprintf(marker, sizeof marker, "\"resourceVersion\":\"%llu\",\"annotations\":{\"k8s.io",
	        (unsigned long long)rv);
	const char *end = strstr(t.p, marker);
	assert_non_null(end);
	assert_int_equal(count_of(end, "\"DELETED\""), 1); /* and then what happened meanwhile */
	assert_int_equal(count_of(end, "\"MODIFIED\""), 1);
	model_text_fini(&t);
}

static size_t inflate_member(const unsigned char *p, size_t n, struct model_text *out)
{
	z_stream z = {0};
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	static unsigned char buf[65536];
	union {
		const unsigned char *from;
		unsigned char *to;
	} in = {p};
	z.next_in = in.to;
	z.avail_in = (unsigned)n;
	int e;
	do {
		z.next_out = buf;
		z.avail_out = sizeof buf;
		e = inflate(&z, Z_NO_FLUSH);
		assert_true(e == Z_OK || e == Z_STREAM_END);
		model_text_put(out, buf, sizeof buf - z.avail_out);
	} while (e != Z_STREAM_END);
	size_t used = n - z.avail_in;
	inflateEnd(&z);
	return used;
}

static void a_streaming_list_is_compressed_a_member_per_flush(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "a", "x");
	static const char url[] = CMS "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&"
	                              "resourceVersionMatch=NotOlderThan&timeoutSeconds=5";
	drive_get(d, url, "Accept-Encoding: gzip\r\n");
	assert_contains(d->got.p, "\r\nContent-Encoding: gzip\r\n");
	make_configmap(d, "a", "y");
	drive_take(d);
	drive_wait(d, 5 * SECOND_NS);
	bool whole;
	struct model_text t = drive_unchunk(d, &whole), plain[3] = {{0}, {0}, {0}};
	assert_true(whole);
	size_t at = 0;
	static const unsigned char start[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff}; /* recorded */
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(t.p + at, start, sizeof start);
		at += inflate_member((const unsigned char *)t.p + at, t.n - at, &plain[i]);
		TEXT_LIT(&plain[i], "\0");
	}
	assert_int_equal(at, t.n);
	assert_contains(plain[0].p, "\"name\":\"x\"");
	assert_contains(plain[0].p, "initial-events-end");
	assert_contains(plain[1].p, "\"name\":\"y\"");
	assert_contains(plain[2].p, "BOOKMARK");
	for (int i = 0; i < 3; i++)
		model_text_fini(&plain[i]);
	model_text_fini(&t);
	/* a plain watch never is */
	drive_fresh(d, CMS "?watch=1", "Accept-Encoding: gzip\r\n");
	assert_lacks(d->got.p, "Content-Encoding");
}

static void a_list_is_compressed_above_128_kib(void **state)
{
	struct drive *d = *state;
	static char members[129000];
	memset(members, 'y', sizeof members - 1);
	memcpy(members, "\"data\":\"", 8);
	members[sizeof members - 2] = '"';
	model_create(d->cluster, cms(),
	        &(struct model_spec){.namespace_ = "a", .name = "x", .members = members}, 0);
	drive_get(d, CMS, "Accept-Encoding: gzip\r\n");
	assert_lacks(d->got.p, "Content-Encoding");
	size_t n = strlen(drive_body(d));
	assert_in_range(n, 129000, 131072);
	make_configmap(d, "b", "padding-so-that-the-list-is-longer-than-that");
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%d", i);
		make_configmap(d, "b", name);
	}
	drive_get(d, CMS, "Accept-Encoding: gzip\r\n");
	assert_contains(d->got.p, "\r\nContent-Encoding: gzip\r\n");
	assert_contains(d->got.p, "\r\nVary: Accept-Encoding\r\n");
	bool whole;
	struct model_text t = drive_unchunk(d, &whole), plain = {0};
	assert_true(whole);
	assert_int_equal(inflate_member((const unsigned char *)t.p, t.n, &plain), t.n);
	TEXT_LIT(&plain, "\0");
	assert_true(plain.n > 131072);
	assert_int_equal(count_of(plain.p, "\"namespace\":"), 12);
	model_text_fini(&t);
	model_text_fini(&plain);
	drive_get(d, CMS, NULL); /* not asked for */
	assert_lacks(d->got.p, "Content-Encoding");
}

static void a_crd_that_goes_takes_its_watches_with_it(void **state)
{
	struct drive *d = *state;
	struct model_kind like = {.group = "example.com",
	        .version = "v1",
	        .resource = "widgets",
	        .singular = "widget",
	        .kind = "Widget",
	        .namespaced = true};
	drive_get(d, "/apis/example.com/v1/widgets", NULL);
	assert_string_equal(drive_body(d), "404 page not found\n");
	const struct model_kind *k = model_cluster_add_crd(d->cluster, &like, 0);
	model_create(d->cluster, k, &(struct model_spec){.namespace_ = "a", .name = "w"}, 0);
	drive_get(d, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", NULL);
	assert_contains(d->got.p, "\"name\":\"widgets.example.com\"");
	drive_get(d, "/apis/example.com/v1/widgets?watch=1", NULL);
	assert_contains(d->got.p, "\"ADDED\"");
	d->got.n = 0;
	model_cluster_remove_crd(d->cluster, k, d->now_ns);
	drive_take(d);
	assert_contains(d->got.p, "\"DELETED\"");
	drive_wait(d, SECOND_NS - 1);
	assert_null(strstr(d->got.p, "\r\n0\r\n"));
	drive_wait(d, 1);
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
	drive_get(d, "/apis/example.com/v1/widgets", NULL);
	assert_string_equal(drive_body(d), "404 page not found\n");
	assert_ptr_equal(
	        model_cluster_add_crd(d->cluster, &like, 0), k); /* and back again, empty */
	drive_get(d, "/apis/example.com/v1/widgets", NULL);
	assert_contains(d->got.p, "\"items\":[],");
}

static void a_restore_cuts_and_goes_back(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "a", "x");
	make_configmap(d, "a", "y");
	drive_get(d, CMS "?watch=1&resourceVersion=202", NULL);
	model_cluster_restore(d->cluster, 201);
	assert_ptr_equal(model_conn_next_ready(&d->server), d->conn);
	drive_take(d);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_CUT);
	assert_lacks(drive_body(d), "0\r\n");
	drive_get(d, CMS, NULL);
	assert_contains(d->got.p, "\"metadata\":{\"resourceVersion\":\"201\"}");
	assert_lacks(d->got.p, "\"name\":\"y\"");
}

static void who_is_too_slow_is_cut_off(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "a", "x");
	drive_get(d, CMS "?watch=1&resourceVersion=201", NULL);
	for (int i = 0; i < 10; i++)
		model_patch_status(d->cluster, cms(), SPAN("a/x"), 0);
	model_cluster_compact(d->cluster, d->cluster->rv);
	drive_take(d);
	assert_string_equal(drive_body(d), "0\r\n\r\n");
}

static void requests_are_answered_in_turn(void **state)
{
	struct drive *d = *state;
	make_configmap(d, "a", "x");
	drive_connect(d);
	static const char two[] =
	        "GET /readyz HTTP/1.1\r\n\r\nGET " CMS
	        " HTTP/1.1\r\nConnection: close\r\n\r\nGET /version HTTP/1.1\r\n\r\n";
	for (size_t i = 0; i < sizeof two - 1; i++) /* byte by byte */
		model_conn_feed(d->conn, (struct span){two + i, 1}, 0);
	d->got.n = 0;
	drive_take(d);
	assert_int_equal(count_of(d->got.p, "HTTP/1.1 200 OK\r\n"), 2);
	assert_contains(d->got.p, "\r\nConnection: close\r\n");
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_FIN);
	/* what is no HTTP is refused, and a head without end too */
	drive_connect(d);
	model_conn_feed(d->conn, SPAN("hello\r\n\r\n"), 0);
	d->got.n = 0;
	drive_take(d);
	assert_starts(d->got.p, "HTTP/1.1 400 Bad Request\r\n");
	drive_connect(d);
	static char many[65536 + 1]; /* the limit and one */
	memset(many, 'a', sizeof many);
	model_conn_feed(d->conn, (struct span){many, sizeof many}, 0);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_CUT);
	/* the end of input ends a watch */
	drive_fresh(d, CMS "?watch=1", NULL);
	model_conn_feed_eof(d->conn, 0);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_CUT);
}

static void an_idle_watch_holds_no_buffer(void **state)
{
	struct drive *d = *state;
	drive_get(d, CMS "?watch=1&resourceVersion=200", NULL);
	assert_int_equal(d->server.spare_count, 1); /* it went back */
	assert_int_equal(d->server.watches, 1);
	model_conn_free(&d->conn);
	assert_int_equal(d->server.watches, 0);
	assert_int_equal(d->server.connections, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                bookmarks_come_each_minute_and_before_the_end, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                without_a_timeout_the_server_draws_one, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_watch_goes_on_where_it_is_told, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_version_of_the_future_is_silence, setup, teardown),
	        cmocka_unit_test_setup_teardown(objects_move_across_a_selector, setup, teardown),
	        cmocka_unit_test_setup_teardown(one_object_by_field_selector, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_streaming_list_is_one_version, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_streaming_list_is_compressed_a_member_per_flush, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_list_is_compressed_above_128_kib, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_crd_that_goes_takes_its_watches_with_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_restore_cuts_and_goes_back, setup, teardown),
	        cmocka_unit_test_setup_teardown(who_is_too_slow_is_cut_off, setup, teardown),
	        cmocka_unit_test_setup_teardown(requests_are_answered_in_turn, setup, teardown),
	        cmocka_unit_test_setup_teardown(an_idle_watch_holds_no_buffer, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
