/* The ordered index against a sorted array, and selectors against a table. */
#include "drive.h"

#include "base/prng.h"

#define KEYS 5000

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_order(const struct model_index *x, char **keys, size_t count)
{
	struct model_index_at at;
	struct model_object *o = model_index_seek(x, SPAN_NONE, &at);
	assert_int_equal(x->count, count);
	for (size_t i = 0; i < count; i++, o = model_index_next(x, &at)) {
		assert_non_null(o);
		assert_string_equal(o->key, keys[i]);
		assert_int_equal(model_index_rest(x, at), count - i);
	}
	assert_null(o);
	for (size_t i = 0; i < count; i += 97)
		assert_string_equal(model_index_nth(x, i)->key, keys[i]);
}

static void inserts_and_removes_keep_the_order(void **state)
{
	(void)state;
	struct prng rng = {3};
	struct model_index x = {0};
	char **keys = calloc(KEYS, sizeof(char *));
	size_t count = 0;
	for (int round = 0; round < 4; round++) {
		while (count < KEYS) {
			char ns[16], name[24], key[48];
			snprintf(ns, sizeof ns, "n%u", (unsigned)prng_below(&rng, 3));
			snprintf(name, sizeof name, round % 2 ? "%06u-x" : "%x",
			        (unsigned)prng_below(&rng, 1u << 20));
			snprintf(key, sizeof key, "%s/%s", ns, name);
			bool there = model_index_find(&x, span_of(key)) != NULL;
			struct model_object *o = model_index_add(&x, span_of(ns), span_of(name));
			assert_string_equal(o->key, key);
			assert_true(span_is(model_object_ns(o), ns) &&
			            span_is(model_object_name(o), name));
			if (!there)
				keys[count++] = strdup(key);
		}
		qsort(keys, count, sizeof(char *), by_text);
		check_order(&x, keys, count);
		for (size_t i = 0; i < KEYS / 4;
		        i++) { /* seek to a key that may be missing: the next one */
			size_t n = (size_t)prng_below(&rng, count);
			struct model_index_at at;
			char before[48];
			snprintf(before, sizeof before, "%s", keys[n]);
			before[strlen(before) - 1]--;
			struct model_object *o = model_index_seek(&x, span_of(before), &at);
			assert_true(strcmp(o->key, before) >= 0 && strcmp(o->key, keys[n]) <= 0);
		}
		for (size_t i = 0; i < KEYS * 3 / 4; i++) {
			size_t n = (size_t)prng_below(&rng, count);
			model_index_remove(&x, model_index_find(&x, span_of(keys[n])));
			assert_null(model_index_find(&x, span_of(keys[n])));
			free(keys[n]);
			keys[n] = keys[--count];
		}
		qsort(keys, count, sizeof(char *), by_text);
		check_order(&x, keys, count);
	}
	for (size_t i = 0; i < count; i++)
		free(keys[i]);
	free(keys);
	model_index_fini(&x);
}

/* "a-b" sorts before "a" as namespaces do in etcd, since '-' is below '/'. */
static void keys_sort_as_paths(void **state)
{
	(void)state;
	struct model_index x = {0};
	model_index_add(&x, SPAN("a"), SPAN("x"));
	model_index_add(&x, SPAN("a-b"), SPAN("x"));
	struct model_index_at at;
	assert_string_equal(model_index_seek(&x, SPAN_NONE, &at)->key, "a-b/x");
	assert_string_equal(model_index_next(&x, &at)->key, "a/x");
	model_index_fini(&x);
}

static bool matches(struct drive *d, const char *labels, const char *fields, const char *key)
{
	struct model_selector *s;
	struct model_text error = {0};
	const struct model_kind *k = kind_of("", "pods");
	if (!model_selector_parse(span_of(labels), span_of(fields), k, &s, &error))
		fail_msg("%s: %.*s", labels, (int)error.n, error.p);
	const struct model_object *o =
	        model_index_find(&model_cluster_store(d->cluster, k)->index, span_of(key));
	bool m = model_selector_match(s, o->last);
	model_selector_free(&s);
	return m;
}

static void selectors_match(void **state)
{
	(void)state;
	struct drive d;
	drive_init(&d);
	const struct model_kind *k = kind_of("", "pods");
	model_create(d.cluster, k,
	        &(struct model_spec){
	                .namespace_ = "a", .name = "x", .labels = "app=web,tier=front,n=5"},
	        0);
	model_create(d.cluster, k, &(struct model_spec){.namespace_ = "b", .name = "y"}, 0);
	static const struct {
		const char *labels, *fields;
		bool x, y; /* y has no labels */
	} rows[] = {{"", "", true, true}, {"app=web", "", true, false},
	        {"app==web", "", true, false}, {"app!=web", "", false, true},
	        {"app", "", true, false}, {"!app", "", false, true},
	        {"app in (db, web)", "", true, false}, {"app in (db)", "", false, false},
	        {"app notin (db)", "", true, true}, {"app notin (web,db)", "", false, true},
	        {"app=web,tier=front", "", true, false}, {"app=web,tier=back", "", false, false},
	        {"app=web,!gone", "", true, false}, {"n>4", "", true, false},
	        {"n<5", "", false, false}, {" app = web , tier ", "", true, false},
	        {"app=", "", false, false}, {"", "metadata.name=x", true, false},
	        {"", "metadata.name!=x", false, true}, {"", "metadata.namespace==b", false, true},
	        {"app=web", "metadata.namespace=a,metadata.name=x", true, false},
	        {"", "metadata.name=x,metadata.name=y", false, false}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (matches(&d, rows[i].labels, rows[i].fields, "a/x") != rows[i].x ||
		        matches(&d, rows[i].labels, rows[i].fields, "b/y") != rows[i].y)
			fail_msg("labels \"%s\" fields \"%s\"", rows[i].labels, rows[i].fields);
	}
	static const char *const bad[] = {
	        "=", "a in", "a in (", "a in (b", "a b", "a,", ",", "!", "a>", "()", "a in b)"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct model_selector *s;
		struct model_text error = {0};
		bool ok = model_selector_parse(span_of(bad[i]), SPAN_NONE, k, &s, &error);
		if (ok && strcmp(bad[i], "a>") != 0) /* an empty operand is an empty value */
			fail_msg("taken: %s", bad[i]);
		assert_true(ok || error.n > 0);
		model_selector_free(&s);
		model_text_fini(&error);
	}
	drive_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(inserts_and_removes_keep_the_order),
	        cmocka_unit_test(keys_sort_as_paths),
	        cmocka_unit_test(selectors_match),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
