/* Identity of an object: layout, hashes, limits. And the hash of its JSON. */
#include "store_world.h"

#include "store/json_hash.h"
#include "store/key.h"

static char *text_of(size_t n, char c)
{
	static char text[4][JSON_NAME_MAX + 2];
	static int next;
	char *t = text[next++ % 4];
	memset(t, c, n);
	t[n] = 0;
	return t;
}

static void layout_and_hashes(void **state)
{
	(void)state;
	struct test_object t;
	struct key k;
	struct json_object *o = test_object(&t, "ns", "name", "uid", "123", 10);
	assert_ok(key_init(&k, 99, 0x01020304, o));
	static const char want[] = "\4\3\2\1ns\0name\0uid\0"
	                           "123";
	assert_memory_equal(k.bytes, want, sizeof want);
	assert_true(k.key_hash == XXH3_64bits_withSeed(want, 12, 99));
	assert_true(k.object_hash == XXH3_64bits(want + 4, sizeof want - 4));
	assert_true(span_is(key_uid(&k), "uid") && span_is(key_rv(&k), "123"));
	assert_true(k.rv == 123);
	assert_int_equal(k.strings_bytes, sizeof want - 4);
}

static void cluster_scoped_and_opaque(void **state)
{
	(void)state;
	struct test_object t;
	struct key k;
	assert_ok(key_init(&k, 0, 0, test_object(&t, "", "node", "", "abc", 10)));
	assert_true(k.rv == 0);
	assert_int_equal(k.namespace_bytes, 0);
	assert_int_equal(k.uid_bytes, 0);
	assert_int_equal(k.bytes[4], 0);
	assert_true(span_is(key_rv(&k), "abc"));
}

/* namespace "a" name "bc" is not namespace "ab" name "c" */
static void boundaries_count(void **state)
{
	(void)state;
	struct test_object t;
	struct key a, b;
	assert_ok(key_init(&a, 0, 0, test_object(&t, "a", "bc", "u", "1", 10)));
	assert_ok(key_init(&b, 0, 0, test_object(&t, "ab", "c", "u", "1", 10)));
	assert_true(a.key_hash != b.key_hash && a.object_hash != b.object_hash);
	assert_ok(key_init(&b, 0, 1, test_object(&t, "a", "bc", "u", "1", 10)));
	assert_true(a.key_hash != b.key_hash); /* another list */
	assert_true(a.object_hash == b.object_hash);
}

static void limits(void **state)
{
	(void)state;
	struct test_object t;
	struct key k;
	struct json_object *o = test_object(
	        &t, text_of(63, 'n'), "m", text_of(KEY_UID_MAX, 'u'), text_of(63, '1'), 10);
	o->name = test_span(text_of(JSON_NAME_MAX, 'm'));
	assert_ok(key_init(&k, 0, 0, o));
	assert_int_equal(k.strings_bytes + 4, KEY_BYTES_MAX);
	o->name = test_span(text_of(JSON_NAME_MAX + 1, 'm'));
	assert_int_equal(key_init(&k, 0, 0, o), ERR_JSON_LIMIT);
	assert_int_equal(key_init(&k, 0, 0, test_object(&t, text_of(64, 'n'), "m", "u", "1", 10)),
	        ERR_JSON_LIMIT);
	assert_int_equal(key_init(&k, 0, 0,
	                         test_object(&t, "n", "m", text_of(KEY_UID_MAX + 1, 'u'), "1", 10)),
	        ERR_JSON_LIMIT);
	assert_int_equal(key_init(&k, 0, 0, test_object(&t, "n", "m", "u", text_of(64, '1'), 10)),
	        ERR_JSON_LIMIT);
	assert_int_equal(
	        key_init(&k, 0, 0, test_object(&t, "n", "", "u", "1", 10)), ERR_JSON_SHAPE);
	assert_int_equal(
	        key_init(&k, 0, 0, test_object(&t, "n", "m", "u", "", 10)), ERR_JSON_SHAPE);
}

static void a_nul_inside_is_refused(void **state)
{
	(void)state;
	struct test_object t;
	struct key k;
	struct json_object *o = test_object(&t, "ns", "name", "uid", "123", 10);
	struct span *fields[] = {&o->namespace_, &o->name, &o->uid, &o->resource_version};
	for (int i = 0; i < 4; i++) {
		struct span was = *fields[i];
		*fields[i] = (struct span){"a\0b", 3};
		assert_int_equal(key_init(&k, 0, 0, o), ERR_JSON_SHAPE);
		*fields[i] = was;
	}
	assert_ok(key_init(&k, 0, 0, o));
}

static void json_hash_is_xxh3(void **state)
{
	(void)state;
	char text[5000];
	struct prng r = {3};
	json_hash_fn hash[JSON_HASH_KINDS + 1] = {json_hash};
	for (int i = 0; i < JSON_HASH_KINDS; i++)
		hash[i + 1] = json_hash_of((enum json_hash_simd)i);
	assert_non_null(hash[1 + JSON_HASH_PLAIN]);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)prng_next(&r);
	for (size_t n = 0; n < sizeof text; n += n < 300 ? 1 : 61) {
		uint64_t want = XXH3_64bits(text, n);
		for (int i = 0; i <= JSON_HASH_KINDS; i++) {
			if (hash[i]) /* this processor has it */
				assert_true(hash[i]((struct span){text, n}) == want);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(layout_and_hashes),
	        cmocka_unit_test(cluster_scoped_and_opaque),
	        cmocka_unit_test(boundaries_count),
	        cmocka_unit_test(limits),
	        cmocka_unit_test(a_nul_inside_is_refused),
	        cmocka_unit_test(json_hash_is_xxh3),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
