/* discovery_test.c - names as kubectl resolves them, from both kinds of documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "kube/discovery.h"
#include "kube/url.h"

static const char core[] =
        "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"
        "v2\",\"metadata\":{},\"items\":[{\"metadata\":{},\"versions\":[{\"version\":\"v1\","
        "\"resources\":[{\"resource\":\"pods\",\"responseKind\":{\"group\":\"\",\"version\":\"v1\","
        "\"kind\":\"Pod\"},\"scope\":\"Namespaced\",\"singularResource\":\"pod\","
        "\"verbs\":[\"get\",\"list\",\"watch\"],\"shortNames\":[\"po\"],\"subresources\":[{"
        "\"subresource\":\"status\"}]},"
        "{\"resource\":\"events\",\"responseKind\":{\"kind\":\"Event\"},\"scope\":\"Namespaced\","
        "\"singularResource\":\"event\",\"verbs\":[\"list\",\"watch\"],\"shortNames\":[\"ev\"]},"
        "{\"resource\":\"nodes\",\"responseKind\":{\"kind\":\"Node\"},\"scope\":\"Cluster\","
        "\"singularResource\":\"node\",\"verbs\":[\"list\"],\"shortNames\":[\"no\"]}]}]}]}";
static const char groups[] =
        "{\"kind\":\"APIGroupDiscoveryList\",\"items\":[{\"metadata\":{\"name\":\"metrics.k8s.io\"}"
        ",\"versions\":[{\"version\":\"v1beta1\",\"resources\":["
        "{\"resource\":\"pods\",\"responseKind\":{\"kind\":\"PodMetrics\"},\"scope\":"
        "\"Namespaced\",\"singularResource\":\"\",\"verbs\":[\"list\"]}]}]},"
        "{\"metadata\":{\"name\":\"apps\"},\"versions\":[{\"version\":\"v1\",\"resources\":[{"
        "\"resource\":\"deployments\",\"responseKind\":{\"kind\":\"Deployment\"},"
        "\"scope\":\"Namespaced\",\"singularResource\":\"deployment\",\"verbs\":[\"list\","
        "\"watch\"],\"shortNames\":[\"deploy\"]}]},{\"version\":\"v1beta2\",\"resources\":["
        "{\"resource\":\"deployments\",\"responseKind\":{\"kind\":\"Deployment\"},\"scope\":"
        "\"Namespaced\",\"singularResource\":\"deployment\",\"verbs\":[\"list\"]}]}]}]}";

static struct discovery *both(void)
{
	struct discovery *d = discovery_new();
	assert_non_null(d);
	/* the order of the documents does not matter: core wins */
	assert_int_equal(discovery_add(d, span_of(groups)), ERR_OK);
	assert_int_equal(discovery_add(d, span_of(core)), ERR_OK);
	return d;
}

static void names_resolve_as_with_kubectl(void **s)
{
	static const struct {
		const char *name, *group, *version, *resource;
	} rows[] = {
	        {"pods", "", "v1", "pods"},
	        {"pod", "", "v1", "pods"},
	        {"po", "", "v1", "pods"},
	        {"Pod", "", "v1", "pods"},
	        {"pods.metrics.k8s.io", "metrics.k8s.io", "v1beta1", "pods"},
	        {"pods.v1beta1.metrics.k8s.io", "metrics.k8s.io", "v1beta1", "pods"},
	        {"deploy", "apps", "v1", "deployments"},
	        {"deployments.apps", "apps", "v1", "deployments"},
	        {"deployments.v1beta2.apps", "apps", "v1beta2", "deployments"},
	        {"pods.v1", "", "v1", "pods"},
	        {"nope", NULL, NULL, NULL},
	        {"pods.apps", NULL, NULL, NULL},
	        {"", NULL, NULL, NULL},
	        {".", NULL, NULL, NULL},
	};
	struct discovery *d = both();
	(void)s;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct discovery_resource *r = discovery_resolve(d, span_of(rows[i].name));
		if (!rows[i].group) {
			assert_null(r);
			continue;
		}
		assert_non_null(r);
		assert_string_equal(r->group, rows[i].group);
		assert_string_equal(r->version, rows[i].version);
		assert_string_equal(r->resource, rows[i].resource);
	}
	assert_true(discovery_resolve(d, SPAN("po"))->namespaced &&
	            discovery_resolve(d, SPAN("po"))->can_watch);
	assert_false(discovery_resolve(d, SPAN("no"))->namespaced ||
	             discovery_resolve(d, SPAN("no"))->can_watch);
	discovery_free(&d);
}

static void old_servers_are_asked_group_by_group(void **s)
{
	struct discovery *d = discovery_new();
	(void)s;
	assert_int_equal(
	        discovery_add(d, SPAN("{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}")), ERR_OK);
	assert_int_equal(
	        discovery_add(
	                d, SPAN("{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":\"apps\","
	                        "\"versions\":[{\"groupVersion\":\"apps/v1beta1\"},"
	                        "{\"groupVersion\":\"apps/"
	                        "v1\"}],\"preferredVersion\":{\"groupVersion\":\"apps/v1\"}}]}")),
	        ERR_OK);
	assert_string_equal(discovery_missing(d), "/api/v1");
	assert_string_equal(discovery_missing(d), "/apis/apps/v1"); /* the preferred one first */
	assert_string_equal(discovery_missing(d), "/apis/apps/v1beta1");
	assert_null(discovery_missing(d));
	assert_int_equal(
	        discovery_add(
	                d, SPAN("{\"kind\":\"APIResourceList\",\"groupVersion\":\"apps/"
	                        "v1\",\"resources\":[{\"name\":\"deployments\",\"singularName\":"
	                        "\"deployment\","
	                        "\"namespaced\":true,\"kind\":\"Deployment\",\"verbs\":[\"list\","
	                        "\"watch\"],\"shortNames\":[\"deploy\"]},{\"name\":\"deployments/"
	                        "status\",\"kind\":\"Deployment\",\"verbs\":[]}]}")),
	        ERR_OK);
	assert_int_equal(discovery_count(d), 1);
	assert_string_equal(discovery_resolve(d, SPAN("deploy"))->version, "v1");
	assert_non_null(discovery_find(d, SPAN("apps"), SPAN("v1"), SPAN("deployments")));
	assert_null(discovery_find(d, SPAN("apps"), SPAN("v2"), SPAN("deployments")));
	discovery_free(&d);
}

static void what_is_no_discovery_is_refused(void **s)
{
	struct discovery *d = discovery_new();
	(void)s;
	assert_int_equal(discovery_add(d, SPAN("<html>")), ERR_JSON_SYNTAX);
	assert_int_equal(discovery_add(d, SPAN("{\"kind\":\"Status\"}")), ERR_JSON_SHAPE);
	assert_int_equal(discovery_add(d, SPAN("[]")), ERR_JSON_SHAPE);
	discovery_free(&d);
}

static void targets_are_encoded_and_bounded(void **s)
{
	char buf[128];
	struct url u;
	bool first = true;
	(void)s;
	url_init(&u, buf, sizeof buf);
	url_collection(&u, &(struct url_collection){SPAN("/k8s/c-1"), SPAN("apps"), SPAN("v1"),
	                           SPAN("a b"), SPAN("deployments")});
	url_query(&u, &first, "labelSelector", SPAN("a=b,c in (d)"));
	url_query(&u, &first, "empty", SPAN_NONE);
	url_query(&u, &first, "x", SPAN("1"));
	size_t n = url_end(&u);
	assert_true(n > 0);
	buf[n] = 0;
	assert_string_equal(buf, "/k8s/c-1/apis/apps/v1/namespaces/a%20b/"
	                         "deployments?labelSelector=a%3Db%2Cc%20in%20%28d%29&x=1");
	for (size_t cap = 0; cap < n; cap++) {
		url_init(&u, buf, cap);
		first = true;
		url_collection(&u, &(struct url_collection){SPAN("/k8s/c-1"), SPAN("apps"),
		                           SPAN("v1"), SPAN("a b"), SPAN("deployments")});
		url_query(&u, &first, "labelSelector", SPAN("a=b,c in (d)"));
		url_query(&u, &first, "x", SPAN("1"));
		assert_int_equal(url_end(&u), 0);
	}
}

static struct discovery *of(const char *kind, const char *verb)
{
	char text[512];
	snprintf(text, sizeof text,
	        "{\"kind\":\"APIResourceList\",\"groupVersion\":\"apps/"
	        "v1\",\"resources\":[{\"name\":"
	        "\"things\",\"singularName\":\"thing\",\"kind\":\"%s\",\"namespaced\":true,"
	        "\"verbs\":"
	        "[\"list\",\"%s\"],\"shortNames\":[\"th\"]}]}",
	        kind, verb);
	struct discovery *d = discovery_new();
	assert_non_null(d);
	assert_int_equal(discovery_add(d, span_of(text)), ERR_OK);
	return d;
}

static void equal_ones_are_one(void **state)
{
	(void)state;
	struct discovery_pool pool;
	discovery_pool_init(&pool);
	struct discovery *d[5] = {of("Thing", "watch"), of("Thing", "watch"), of("Thinh", "watch"),
	        of("Thing", "get"), discovery_new()};
	for (size_t i = 0; i < 5; i++)
		discovery_share(&pool, &d[i]);
	assert_ptr_equal(d[0], d[1]);
	for (size_t i = 2; i < 5; i++)
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(d[i], d[k]);
	discovery_free(&d[0]);
	assert_null(d[0]);
	assert_string_equal(discovery_resolve(d[1], SPAN("th"))->resource, "things");
	for (size_t i = 1; i < 5; i++)
		discovery_free(&d[i]);
	d[0] = of("Thing", "watch"); /* the former one is gone from the pool */
	discovery_share(&pool, &d[0]);
	assert_true(pool.all.next != &pool.all);
	discovery_free(&d[0]);
	assert_true(pool.all.next == &pool.all);
}

/* A server names what it has, and we ask for what it names: never for another path, which may be
 * another cluster's where a proxy stands before both. */
static void names_that_lead_elsewhere_are_not_taken(void **s)
{
	static const char *const elsewhere[] = {"..", ".", "../../b/api", "a/../../b", "a/..",
	        "a b", "a?b=c", "a#b", "a%2Fb", "a\\n", "", "a/", "/a", "a/b/c", "\\u202ea"};
	char doc[512];
	(void)s;
	for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
		struct discovery *d = discovery_new();
		snprintf(doc, sizeof doc, "{\"kind\":\"APIVersions\",\"versions\":[\"%s\"]}",
		        elsewhere[i]);
		assert_int_equal(discovery_add(d, span_of(doc)), ERR_JSON_SHAPE);
		snprintf(doc, sizeof doc,
		        "{\"kind\":\"APIGroupList\",\"groups\":[{\"versions\":[{\"groupVersion\":"
		        "\"g/%s\"}]}]}",
		        elsewhere[i]);
		assert_int_equal(discovery_add(d, span_of(doc)), ERR_JSON_SHAPE);
		assert_null(discovery_missing(d));
		for (int at = 0; at < 3; at++) {
			snprintf(doc, sizeof doc,
			        "{\"kind\":\"APIGroupDiscoveryList\",\"items\":[{\"metadata\":{"
			        "\"name\":\"%s\"},\"versions\":[{\"version\":\"%s\",\"resources\":["
			        "{"
			        "\"resource\":\"%s\",\"responseKind\":{\"kind\":\"T\"},\"scope\":"
			        "\"Namespaced\",\"singularResource\":\"t\",\"verbs\":[\"list\"]}]}]"
			        "}]}",
			        at == 0 ? elsewhere[i] : "g.x", at == 1 ? elsewhere[i] : "v1",
			        at == 2 ? elsewhere[i] : "ts");
			assert_int_equal(discovery_add(d, span_of(doc)), ERR_OK);
			/* The core group has no name. */
			assert_int_equal(discovery_count(d), elsewhere[i][0] ? 0 : 1);
		}
		discovery_free(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names_resolve_as_with_kubectl),
	        cmocka_unit_test(old_servers_are_asked_group_by_group),
	        cmocka_unit_test(what_is_no_discovery_is_refused),
	        cmocka_unit_test(targets_are_encoded_and_bounded),
	        cmocka_unit_test(equal_ones_are_one),
	        cmocka_unit_test(names_that_lead_elsewhere_are_not_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
