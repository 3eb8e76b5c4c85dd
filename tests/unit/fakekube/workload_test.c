/* Workloads are drawn by seed; a blast is the same events as the ordinary way sends. */
#include "drive.h"

#include "model/model_blast.h"
#include "model/model_workload.h"

static struct model_weights all_weights(void)
{
	return (struct model_weights){.create = 5,
	        .update = 5,
	        .status = 50,
	        .delete_ = 5,
	        .recreate = 5,
	        .labels = 5,
	        .burst = 2,
	        .burst_size = 7};
}

static uint64_t run_workload(uint64_t seed, uint64_t *writes)
{
	struct drive d;
	drive_init(&d);
	struct model_workload w;
	model_workload_init(&w, d.cluster, kind_of("", "pods"),
	        &(struct model_workload_options){
	                .seed = seed, .namespaces = 3, .weights = all_weights()});
	model_workload_fill(&w, 50, 0);
	assert_int_equal(model_cluster_store(d.cluster, w.kind)->live, 50);
	*writes = 0;
	for (int i = 0; i < 2000; i++) {
		uint64_t before = d.cluster->rv,
		         made = model_workload_step(&w, (uint64_t)i, (uint64_t)i);
		assert_int_equal(d.cluster->rv - before, made);
		*writes += made;
		assert_in_range(model_cluster_store(d.cluster, w.kind)->live, 0, 100);
	}
	struct model_list_sum sum;
	struct model_query q = {.kind = w.kind};
	assert_true(model_list_digest(d.cluster, &q, &sum));
	drive_fini(&d);
	return sum.digest;
}

static void the_same_seed_is_the_same_life(void **state)
{
	(void)state;
	uint64_t a, b, c;
	uint64_t one = run_workload(1, &a), again = run_workload(1, &b),
	         other = run_workload(2, &c);
	assert_true(one == again && a == b);
	assert_true(one != other);
	assert_true(a > 2000); /* bursts */
}

static void operations_by_name(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	struct model_workload w;
	model_workload_init(
	        &w, d.cluster, kind_of("", "pods"), &(struct model_workload_options){.seed = 1});
	model_workload_fill(&w, 10, 0);
	struct model_store *st = model_cluster_store(d.cluster, w.kind);
	assert_true(model_workload_run(&w, SPAN("delete"), 4, 0));
	assert_int_equal(st->live, 6);
	assert_true(model_workload_run(&w, SPAN("create"), 3, 0));
	assert_int_equal(st->live, 9);
	uint64_t rv = d.cluster->rv;
	assert_true(model_workload_run(&w, SPAN("recreate"), 2, 0));
	assert_int_equal(d.cluster->rv, rv + 4);
	assert_true(model_workload_run(&w, SPAN("burst"), 5, 0));
	assert_true(d.cluster->rv > rv + 4 && d.cluster->rv <= rv + 9);
	assert_false(model_workload_run(&w, SPAN("nothing"), 1, 0));
	assert_true(model_workload_run(&w, SPAN("delete"), 100, 0)); /* more than there are */
	assert_int_equal(st->live, 0);
	struct model_weights g = {0};
	assert_true(model_weights_set(&g, SPAN("burst-size"), 9) && g.burst_size == 9);
	assert_true(model_weights_set(&g, SPAN("delete"), 3) && g.delete_ == 3);
	assert_false(model_weights_set(&g, SPAN("x"), 3));
	drive_fini(&d);
}

/* The lines of a watch, through pieces of a size that cuts events anywhere. */
static struct model_text lines_of(struct drive *d, const char *url, size_t piece)
{
	drive_connect(d);
	struct model_text r = {0};
	model_text_printf(&r, "GET %s HTTP/1.1\r\n\r\n", url);
	model_conn_feed(d->conn, model_text_as_span(&r), d->now_ns);
	model_text_fini(&r);
	d->got.n = 0;
	for (struct span s; (s = model_conn_peek(d->conn, d->now_ns)).n;) {
		size_t n = s.n < piece ? s.n : piece;
		model_text_put(&d->got, s.p, n);
		model_conn_consume(d->conn, n, d->now_ns);
	}
	TEXT_LIT(&d->got, "\0");
	d->got.n--;
	bool whole;
	return drive_unchunk(d, &whole);
}

static void a_blast_is_the_events_of_the_log(void **state)
{
	(void)state;
	struct drive d;
	drive_init_with(&d, &(struct model_server_options){
	                            .wall_s = WALL_S, .stamp = true, .stamp_writes = true});
	struct model_workload w;
	const struct model_kind *k = kind_of("", "pods");
	model_workload_init(&w, d.cluster, k,
	        &(struct model_workload_options){.seed = 1, .namespaces = 2, .bytes = 3600});
	model_workload_fill(&w, 37, 0);
	model_cluster_skip(d.cluster, 960 - d.cluster->rv);
	char url[100], other[140];
	snprintf(url, sizeof url, "/api/v1/pods?watch=1&resourceVersion=%llu",
	        (unsigned long long)d.cluster->rv);
	snprintf(other, sizeof other, "%s&fieldSelector=metadata.name!%%3Dx",
	        url); /* not served from the text */
	struct model_blast_result result;
	assert_false(
	        model_blast(d.cluster, kind_of("", "nodes"), 10, 0, 0, &result)); /* no objects */
	assert_true(model_blast(d.cluster, k, 500, 77, 0, &result));
	assert_int_equal(result.objects, 37);
	assert_int_equal(result.first_rv, 1001); /* 961..1460 would change their width on the way */
	assert_int_equal(result.last_rv, 1500);
	assert_int_equal(d.cluster->rv, 1500);
	model_patch_status(d.cluster, k,
	        model_object_key(model_index_nth(&model_cluster_store(d.cluster, k)->index, 0)),
	        80);
	struct model_text want = lines_of(&d, other, 1 << 20);
	assert_int_equal(count_of(want.p, "\"MODIFIED\""), 501);
	static const size_t sizes[] = {1 << 20, 1000, 4096, 7};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct model_text got = lines_of(&d, url, sizes[i]);
		assert_int_equal(got.n, want.n);
		assert_memory_equal(got.p, want.p, want.n);
		model_text_fini(&got);
	}
	model_text_fini(&want);
	/* from the middle, and two at the same time */
	snprintf(url, sizeof url, "/api/v1/pods?watch=1&resourceVersion=%u", 1250);
	struct model_text half = lines_of(&d, url, 1 << 20);
	assert_int_equal(count_of(half.p, "\"MODIFIED\""), 251);
	assert_contains(half.p, "\"resourceVersion\":\"1251\"");
	assert_lacks(half.p, "\"resourceVersion\":\"1250\"");
	model_text_fini(&half);
	/* a second blast is refused while somebody is in the first, and taken afterwards */
	drive_connect(&d);
	model_conn_feed(
	        d.conn, SPAN("GET /api/v1/pods?watch=1&resourceVersion=1000 HTTP/1.1\r\n\r\n"), 0);
	struct span s = model_conn_peek(d.conn, 0);
	model_conn_consume(d.conn, s.n, 0); /* the head */
	s = model_conn_peek(d.conn, 0);
	model_conn_consume(d.conn, 5000, 0);
	assert_false(model_blast(d.cluster, k, 10, 0, 0, &result));
	d.got.n = 0;
	drive_take(&d);
	assert_true(model_blast(d.cluster, k, 10, 0, 0, &result));
	d.got.n = 0;
	drive_take(&d);
	assert_int_equal(count_of(d.got.p, "\"MODIFIED\""), 10);
	drive_fini(&d);
}

static void digits_of(char *at, unsigned long long v)
{
	char text[21];
	snprintf(text, sizeof text, "%020llu", v);
	memcpy(at, text, 20);
}

/* How many events of a blast carry that moment of writing. */
static size_t written_at(const struct model_text *t, unsigned long long ns, bool proto)
{
	char what[60] = "fakekube.io/wrote-ns\x12\x14";
	size_t n = strlen(what), found = 0;
	if (!proto)
		n = (size_t)snprintf(what, sizeof what, "fakekube.io/wrote-ns\":\"");
	digits_of(what + n, ns);
	for (const char *p = t->p; (p = memmem(p, (size_t)(t->p + t->n - p), what, n + 20)); p++)
		found++;
	return found;
}

#define MS 1000000ull

/* What is offered again is stamped again, but for the event of which a part is out. */
static void a_blast_is_stamped_as_it_goes(void **state)
{
	(void)state;
	for (int proto = 0; proto < 2; proto++) {
		struct drive d;
		drive_init_with(&d, &(struct model_server_options){
		                            .wall_s = WALL_S, .stamp = true, .stamp_writes = true});
		struct model_workload w;
		const struct model_kind *k = kind_of("", "pods");
		model_workload_init(&w, d.cluster, k,
		        &(struct model_workload_options){.seed = 1, .bytes = 3600});
		model_workload_fill(&w, 8, 0);
		drive_fresh(&d, "/api/v1/pods?watch=1&resourceVersion=208",
		        proto ? "Accept: application/vnd.kubernetes.protobuf\r\n" : NULL);
		struct model_blast_result r;
		d.now_ns = 100 * MS;
		d.got.n = 0;
		assert_true(model_blast(d.cluster, k, 8, 50 * MS, 0, &r));
		struct span s = model_conn_peek(d.conn, 200 * MS);
		model_text_put(&d.got, s.p, 1000); /* a part of the first */
		model_conn_consume(d.conn, 1000, 200 * MS);
		s = model_conn_peek(d.conn, 300 * MS);
		model_conn_consume(
		        d.conn, 0, 300 * MS); /* nothing taken: perhaps in a record of TLS */
		s = model_conn_peek(d.conn, 400 * MS);
		model_text_span(&d.got, s);
		model_conn_consume(d.conn, s.n, 400 * MS);
		drive_take(&d);
		assert_int_equal(written_at(&d.got, 200 * MS, proto), 1);
		assert_int_equal(written_at(&d.got, 300 * MS, proto), 7);
		assert_int_equal(written_at(&d.got, 400 * MS, proto), 0);
		char first[8], last[8];
		snprintf(first, sizeof first, "%llu", (unsigned long long)r.first_rv);
		snprintf(last, sizeof last, "%llu", (unsigned long long)r.last_rv);
		assert_non_null(memmem(d.got.p, d.got.n, first, strlen(first)));
		assert_non_null(memmem(d.got.p, d.got.n, last, strlen(last)));
		drive_fini(&d);
	}
}

/* A server that restarts resets what it was asked, and one that hangs says nothing more. */
static void restarts_and_hangs(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	make_configmap(&d, "a", "b");
	d.cluster->down_until_ns = 100;
	drive_fresh(&d, "/api/v1/configmaps", NULL);
	assert_int_equal(d.got.n, 0);
	assert_int_equal(model_conn_closed(d.conn), MODEL_CLOSED_RST);
	d.now_ns = 100;
	assert_starts(drive_fresh(&d, "/api/v1/configmaps", NULL), "HTTP/1.1 200");
	drive_fresh(&d, "/api/v1/configmaps?watch=1&resourceVersion=201", NULL);
	d.cluster->silent = true;
	d.got.n = 0;
	make_configmap(&d, "a", "c");
	drive_wait(&d, 3600 * SECOND_NS); /* no event, no bookmark, no end */
	assert_int_equal(d.got.n, 0);
	assert_int_equal(model_conn_closed(d.conn), MODEL_OPEN);
	assert_true(model_conn_deadline_ns(d.conn) == UINT64_MAX);
	drive_fresh(&d, "/api/v1/configmaps", NULL);
	assert_int_equal(d.got.n, 0);
	assert_int_equal(model_conn_closed(d.conn), MODEL_OPEN);
	model_conn_feed_eof(d.conn, d.now_ns); /* a client that gives up */
	assert_int_not_equal(model_conn_closed(d.conn), MODEL_OPEN);
	d.cluster->silent = false;
	assert_starts(drive_fresh(&d, "/api/v1/configmaps", NULL), "HTTP/1.1 200");
	drive_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_same_seed_is_the_same_life),
	        cmocka_unit_test(operations_by_name),
	        cmocka_unit_test(a_blast_is_the_events_of_the_log),
	        cmocka_unit_test(a_blast_is_stamped_as_it_goes),
	        cmocka_unit_test(restarts_and_hangs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
