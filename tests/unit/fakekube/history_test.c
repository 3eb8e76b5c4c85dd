/* The history of a cluster against a naive replay: after each write the whole list is kept as a
 * string, and asked for again later. */
#include "drive.h"

#include "base/prng.h"
#include "model/model_render.h"

#define NAMES  40
#define WRITES 3000

/* Of libxxhash itself, for demo/cm1 u-1 201, demo/cm2 u-2 202 and the cluster-scoped n1 u-3 203. */
#define DIGEST_A 0x0993fcdfcb63dc78ull
#define DIGEST_B 0x13831e6efb2e4a64ull
#define DIGEST_C 0x5475e4827659f4e0ull

static bool put_item(void *arg, const struct model_version *v)
{
	struct model_text *t = arg;
	model_text_span(t, model_object_key(v->object));
	TEXT_LIT(t, " ");
	model_render_uid(v, t);
	model_text_printf(t, " %llu\n", (unsigned long long)v->rv);
	return true;
}

static char *list_text(struct model_cluster *c, const struct model_query *q)
{
	struct model_text t = {0};
	TEXT_LIT(&t, "");
	if (!model_list_at(c, q, put_item, &t)) {
		model_text_fini(&t);
		return NULL;
	}
	TEXT_LIT(&t, "\0");
	return t.p;
}

/* One object as the test keeps it. */
struct kept {
	bool there;
	uint64_t rv;
	char uid[40], app[8];
};

struct replay {
	struct kept objects[2][NAMES];
	struct {
		uint64_t rv;
		char *all, *ns1, *web;
	} at[WRITES + 1];
	size_t count;
};

static void key_of(int ns, int n, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "ns-%d/obj-%02d", ns, n);
}

/* What the lists are now, by the test's own account. */
static void keep(struct replay *r, uint64_t rv)
{
	struct model_text all = {0}, ns1 = {0}, web = {0};
	for (int ns = 0; ns < 2; ns++) {
		for (int n = 0; n < NAMES; n++) {
			const struct kept *k = &r->objects[ns][n];
			char key[32], line[128];
			key_of(ns, n, key, sizeof key);
			if (!k->there)
				continue;
			snprintf(line, sizeof line, "%s %s %llu\n", key, k->uid,
			        (unsigned long long)k->rv);
			model_text_str(&all, line);
			if (ns == 1)
				model_text_str(&ns1, line);
			if (strcmp(k->app, "web") == 0)
				model_text_str(&web, line);
		}
	}
	model_text_put(&all, "", 1);
	model_text_put(&ns1, "", 1);
	model_text_put(&web, "", 1);
	r->at[r->count].rv = rv;
	r->at[r->count].all = all.p;
	r->at[r->count].ns1 = ns1.p;
	r->at[r->count].web = web.p;
	r->count++;
}

static void learn(struct replay *r, struct drive *d, const struct model_kind *k, int ns, int n,
        const char *app)
{
	char key[32];
	key_of(ns, n, key, sizeof key);
	const struct model_object *o =
	        model_index_find(&model_cluster_store(d->cluster, k)->index, span_of(key));
	struct kept *kept = &r->objects[ns][n];
	kept->there = o && o->last->op != MODEL_DELETED;
	if (!kept->there)
		return;
	struct model_text uid = {0};
	model_render_uid(o->last, &uid);
	snprintf(kept->uid, sizeof kept->uid, "%.*s", (int)uid.n, uid.p);
	model_text_fini(&uid);
	kept->rv = o->last->rv;
	if (app)
		snprintf(kept->app, sizeof kept->app, "%s", app);
}

static void write_one(
        struct replay *r, struct drive *d, const struct model_kind *k, struct prng *rng)
{
	int ns = (int)prng_below(rng, 2), n = (int)prng_below(rng, NAMES);
	char key[32], nsname[8], name[16];
	key_of(ns, n, key, sizeof key);
	snprintf(nsname, sizeof nsname, "ns-%d", ns);
	snprintf(name, sizeof name, "obj-%02d", n);
	const char *app = prng_below(rng, 2) ? "web" : "db";
	char labels[16];
	snprintf(labels, sizeof labels, "app=%s", app);
	bool was = r->objects[ns][n].there;
	char old_uid[40];
	memcpy(old_uid, r->objects[ns][n].uid, sizeof old_uid);
	struct model_spec s = {.namespace_ = nsname, .name = name, .labels = labels};
	uint64_t rv, before = d->cluster->rv;
	switch (prng_below(rng, 5)) {
	case 0:
		rv = model_create(d->cluster, k, &s, d->now_ns);
		assert_int_equal(rv != 0, !was);
		learn(r, d, k, ns, n, was ? NULL : app);
		break;
	case 1:
		rv = model_delete(d->cluster, k, span_of(key), d->now_ns);
		assert_int_equal(rv != 0, was);
		learn(r, d, k, ns, n, NULL);
		assert_false(r->objects[ns][n].there);
		break;
	case 2:
		rv = model_recreate(d->cluster, k, span_of(key), d->now_ns);
		assert_int_equal(rv, was ? before + 2 : 0);
		if (was) { /* between the two versions it was not there */
			r->objects[ns][n].there = false;
			keep(r, rv - 1);
		}
		learn(r, d, k, ns, n, NULL);
		assert_true(!was || strcmp(old_uid, r->objects[ns][n].uid) != 0);
		break;
	case 3:
		rv = model_set_labels(d->cluster, k, span_of(key), labels, d->now_ns);
		learn(r, d, k, ns, n, was ? app : NULL);
		break;
	default:
		rv = model_patch_status(d->cluster, k, span_of(key), d->now_ns);
		learn(r, d, k, ns, n, NULL);
		break;
	}
	if (rv)
		keep(r, rv);
}

static void check_all(
        const struct replay *r, struct model_cluster *c, const struct model_kind *k, uint32_t back)
{
	struct model_selector *web;
	struct model_text error = {0};
	assert_true(model_selector_parse(SPAN("app=web"), SPAN_NONE, k, &web, &error));
	for (size_t i = 0; i < r->count; i++) {
		struct model_query q = {.kind = k, .rv = r->at[i].rv, .timelines_back = back};
		char *all = list_text(c, &q);
		q.ns = SPAN("ns-1");
		char *ns1 = list_text(c, &q);
		q.ns = SPAN_NONE;
		q.selector = web;
		char *some = list_text(c, &q);
		assert_string_equal(all, r->at[i].all);
		assert_string_equal(ns1, r->at[i].ns1);
		assert_string_equal(some, r->at[i].web);
		free(all);
		free(ns1);
		free(some);
	}
	model_selector_free(&web);
}

static void replay_free(struct replay *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->at[i].all);
		free(r->at[i].ns1);
		free(r->at[i].web);
	}
	free(r);
}

static void every_list_at_every_version(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	struct replay *r = calloc(1, sizeof *r);
	struct prng rng = {42};
	const struct model_kind *k = kind_of("", "pods");
	while (r->count < WRITES - 2)
		write_one(r, &d, k, &rng);
	check_all(r, d.cluster, k, 0);
	/* compaction takes away what lies below, and nothing else */
	size_t half = r->count / 2;
	model_cluster_compact(d.cluster, r->at[half].rv);
	struct model_query q = {.kind = k, .rv = r->at[half].rv - 1};
	struct model_list_sum sum;
	assert_false(model_list_digest(d.cluster, &q, &sum));
	for (size_t i = 0; i < half; i++) {
		free(r->at[i].all);
		free(r->at[i].ns1);
		free(r->at[i].web);
	}
	r->count -= half;
	memmove(r->at, r->at + half, r->count * sizeof *r->at);
	check_all(r, d.cluster, k, 0);
	/* a restore: the present is what it was, and the time before it can still be asked for */
	uint64_t to = r->at[r->count / 2].rv, last = d.cluster->rv;
	model_cluster_restore(d.cluster, to);
	assert_int_equal(d.cluster->rv, to);
	check_all(r, d.cluster, k, 1);
	q = (struct model_query){.kind = k};
	char *now = list_text(d.cluster, &q);
	assert_string_equal(now, r->at[r->count / 2].all);
	free(now);
	q.rv = to + 1;
	assert_null(list_text(d.cluster, &q));
	assert_int_equal(d.cluster->before->rv, last);
	/* all of it compacted: only what is there now is kept */
	model_cluster_compact(d.cluster, UINT64_MAX);
	assert_int_equal(model_cluster_store(d.cluster, k)->log_count, 0);
	assert_int_equal(model_cluster_store(d.cluster, k)->index.count,
	        model_cluster_store(d.cluster, k)->live);
	replay_free(r);
	drive_fini(&d);
}

static void the_digest_is_the_engines(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	struct model_query q = {.kind = kind_of("", "configmaps")};
	struct model_list_sum sum;
	assert_true(model_list_digest(d.cluster, &q, &sum));
	assert_int_equal(sum.digest, 0);
	model_create(d.cluster, q.kind,
	        &(struct model_spec){.namespace_ = "demo", .name = "cm1", .uid = "u-1"}, 0);
	model_create(d.cluster, q.kind,
	        &(struct model_spec){.namespace_ = "demo", .name = "cm2", .uid = "u-2"}, 0);
	assert_true(model_list_digest(d.cluster, &q, &sum));
	assert_int_equal(sum.objects, 2);
	assert_int_equal(sum.rv, 202);
	assert_true(sum.digest == DIGEST_A + DIGEST_B);
	q = (struct model_query){.kind = kind_of("", "nodes")};
	model_create(d.cluster, q.kind, &(struct model_spec){.name = "n1", .uid = "u-3"}, 0);
	assert_true(model_list_digest(d.cluster, &q, &sum));
	assert_true(sum.digest == DIGEST_C);
	drive_fini(&d);
}

static void history_has_a_length(void **state)
{
	(void)state;
	struct model_library lib;
	model_library_init(&lib, WALL_S, false);
	struct model_cluster *c = model_cluster_new(
	        &lib, &(struct model_cluster_options){.name = "x", .history_max = 100});
	const struct model_kind *k = kind_of("", "pods");
	struct model_spec s = {.namespace_ = "a", .name = "p"};
	model_create(c, k, &s, 0);
	for (int i = 0; i < 1000; i++)
		model_patch_status(c, k, SPAN("a/p"), 0);
	size_t kept = model_cluster_store(c, k)->log_count;
	assert_in_range(kept, 100, 126);
	assert_int_equal(c->horizon, c->rv - kept);
	model_cluster_free(&c);
	model_library_fini(&lib);
}

static void a_pin_keeps_what_a_list_needs(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	const struct model_kind *k = kind_of("", "configmaps");
	char name[16];
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "c%04d", i);
		make_configmap(&d, "a", name);
	}
	uint64_t rv = d.cluster->rv;
	drive_connect(&d);
	model_conn_feed(d.conn, SPAN("GET /api/v1/configmaps HTTP/1.1\r\n\r\n"), 0);
	struct span first = model_conn_peek(d.conn, 0);
	assert_in_range(first.n, 1, 600000);
	/* all of it goes away while the list is under way */
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "a/c%04d", i);
		model_delete(d.cluster, k, span_of(name), 0);
	}
	model_cluster_compact(d.cluster, UINT64_MAX);
	drive_take(&d);
	bool whole;
	struct model_text t = drive_unchunk(&d, &whole);
	assert_true(whole);
	assert_int_equal(count_of(t.p, "\"name\":\"c"), 3000);
	char want[80];
	snprintf(want, sizeof want, "\"metadata\":{\"resourceVersion\":\"%llu\"}",
	        (unsigned long long)rv);
	assert_contains(t.p, want);
	model_text_fini(&t);
	/* once it is out, nothing holds the old states any more */
	model_cluster_compact(d.cluster, UINT64_MAX);
	assert_int_equal(model_cluster_store(d.cluster, k)->index.count, 0);
	drive_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_list_at_every_version),
	        cmocka_unit_test(the_digest_is_the_engines),
	        cmocka_unit_test(history_has_a_length),
	        cmocka_unit_test(a_pin_keeps_what_a_list_needs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
