/* feed_secret_test.c - Secrets that are kept as metadata: no value of theirs comes into shared
 * memory, whoever wrote it where. */
#include "reactor/feed_secret.h"

#include "base/check.h"

#include "unit/reactor/world.h"

#define VALUE   "c3dvcmRmaXNo"
#define APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define COPY    "{\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":{\\\"p\\\":\\\"" VALUE "\\\"}}\\n"
#define META(name, rv, notes)                                                                      \
	"\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"u-" name                \
	"\",\"resourceVersion\":\"" rv "\",\"annotations\":{" notes "}}"
#define PARTIAL "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","
#define SECRET_EVENT(type, name, rv, notes)                                                        \
	"{\"type\":\"" type "\",\"object\":" PARTIAL META(name, rv, notes) "}}\n"

static struct world w;

static struct feed *open_secrets(bool metadata_only)
{
	struct reactor_msg *m = list_msg(0, 0, 0);
	world_init(&w);
	add_cluster(&w, 0, false);
	free(m->list_spec.resource);
	m->list_spec.resource = strdup("secrets");
	m->list_spec.metadata_only = metadata_only;
	post(&w, m);
	expect_note(&w, REACTOR_LIST_OPENED);
	connect_ok(&w, 0);
	return feed_at(&w, 0);
}

static void list_is(const char *items)
{
	char list[4096];
	snprintf(list, sizeof list, LIST_JSON("10", "%s"), items);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", list);
}

static void begin_stream(const char *items)
{
	list_is(items);
	fake_io_bytes(fake_io_sock(&w.io, 0), STREAM_HEAD);
	turn(&w);
}

static void hear(const char *events)
{
	chunk(fake_io_sock(&w.io, 0), events, strlen(events));
	turn(&w);
}

/* What is kept of an object. */
static struct span kept(const struct feed *f, const char *name)
{
	struct store_held held;
	assert_true(store_peek(f->list, SPAN("n"), span_of(name), &held));
	return held.known.json;
}

static bool holds(struct span s, const char *text)
{
	return memmem(s.p, s.n, text, strlen(text)) != NULL;
}

static void what_apply_wrote_down_is_not_kept(void **state)
{
	(void)state;
	struct feed *f = open_secrets(true);
	begin_stream(PARTIAL META("a", "5", "\"" APPLIED "\":\"" COPY "\",\"team\":\"x\"") "}");
	assert_int_equal(row_at(f)->objects, 1);
	assert_false(holds(kept(f, "a"), VALUE));
	assert_true(holds(kept(f, "a"), "\"" APPLIED "\":\"\""));
	assert_true(holds(kept(f, "a"), "\"team\":\"x\""));
	hear(SECRET_EVENT("ADDED", "b", "11", "\"" APPLIED "\" : \"" COPY "\""));
	assert_false(holds(kept(f, "b"), VALUE));
	/* Compared with what is there. */
	hear(SECRET_EVENT("MODIFIED", "b", "12", "\"" APPLIED "\" : \"" COPY "\""));
	assert_false(holds(kept(f, "b"), VALUE));
	assert_string_equal(f->watch.rv, "12");
	/* In two chunks. */
	hear("{\"type\":\"MODIFIED\",");
	hear("\"object\":" PARTIAL META("a", "13", "\"" APPLIED "\":\"" COPY "\"") "}}\n");
	assert_false(holds(kept(f, "a"), VALUE));
	assert_string_equal(f->watch.rv, "13");
	assert_int_equal(row_at(f)->objects, 2);
	assert_int_equal(row_at(f)->last_error, ERR_OK);
	world_fini(&w);
}

static void granted_values_are_kept_whole(void **state)
{
	(void)state;
	struct feed *f = open_secrets(false);
	begin_stream("{" META("a", "5", "\"" APPLIED "\":\"" COPY "\"") ",\"data\":{}}");
	assert_true(holds(kept(f, "a"), VALUE));
	world_fini(&w);
}

static void only_the_values_of_these_names_are_emptied(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	        {"{\"" APPLIED "\":\"\"}", "{\"" APPLIED "\":\"\"}"},
	        {"{\"" APPLIED "\":\"a\\\\\"}", "{\"" APPLIED "\":\"\"   }"},
	        {"{\"" APPLIED "\"\n:\t\"a\\\"b\",\"c\":\"d\"}",
	                "{\"" APPLIED "\"\n:\t\"\"    ,\"c\":\"d\"}"},
	        {"{\"objectset.rio.cattle.io/applied\":\"H4s\"}",
	                "{\"objectset.rio.cattle.io/applied\":\"\"   }"},
	        {"{\"f:" APPLIED "\":\"a\"}", "{\"f:" APPLIED "\":\"a\"}"},
	        {"{\"a\":\"\\\"" APPLIED "\\\":\\\"b\\\"\"}",
	                "{\"a\":\"\\\"" APPLIED "\\\":\\\"b\\\"\"}"},
	        {"[\"" APPLIED "\",\"a\"]", "[\"" APPLIED "\",\"a\"]"},
	        {"{\"" APPLIED "\":null}", "{\"" APPLIED "\":null}"},
	        {"{\"" APPLIED "\":\"cut", "{\"" APPLIED "\":\"cut"},
	        {"{\"" APPLIED "\":\"cut\\", "{\"" APPLIED "\":\"cut\\"},
	        {"{\"" APPLIED "\":", "{\"" APPLIED "\":"},
	        {"{\"" APPLIED "\"", "{\"" APPLIED "\""},
	        {"", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i][0]);
		char *doc = malloc(n ? n : 1); /* exactly: a byte behind it is not ours */
		memcpy(doc, rows[i][0], n);
		feed_secret_blank((struct span){doc, n});
		assert_memory_equal(doc, rows[i][1], n);
		free(doc);
	}
}

/* A proxy that drops Accept, or a server that does not know the form. */
static void whole_secrets_are_refused(void **state)
{
	(void)state;
	struct feed *f = open_secrets(true);
	list_is("{" META("a", "5", "") ",\"data\":{\"p\":\"" VALUE "\"}}");
	assert_int_equal(row_at(f)->objects, 0);
	assert_int_equal(row_at(f)->last_error, ERR_KUBE_WHOLE);
	world_fini(&w);

	f = open_secrets(true);
	begin_stream(PARTIAL META("a", "5", "") "}");
	hear("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Secret\",\"type\":\"\","
	     "\"metadata\":{\"resourceVersion\":\"11\"}}}\n");
	assert_int_equal(row_at(f)->last_error, ERR_OK); /* nothing of it is kept */
	hear("{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Secret\"," META(
	        "a", "12", "") ",\"data\":{\"p\":\"" VALUE "\"}}}\n");
	assert_false(holds(kept(f, "a"), VALUE));
	assert_int_equal(row_at(f)->last_error, ERR_KUBE_WHOLE);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_apply_wrote_down_is_not_kept),
	        cmocka_unit_test(granted_values_are_kept_whole),
	        cmocka_unit_test(whole_secrets_are_refused),
	        cmocka_unit_test(only_the_values_of_these_names_are_emptied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
