/* json_shape_key and json_shape_event: what is read by comparing, and what is left to the reader of
 * everything. Whatever is read must be what that reader says. */
#include "json/shape.h"

#include "unit/json/one_parser.h"
#include "json/parser.h"

#include <stdio.h>

#define HEAD(type) "{\"type\":\"" type "\",\"object\":"
#define FIELDS                                                                                     \
	"[{\"manager\":\"m\",\"time\":\"2026-01-01T00:00:00Z\",\"fieldsV1\":{\"f:a\":{},"          \
	"\"k:{\\\"uid\\\":\\\"1\\\"}\":{}}}]"
#define META "\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\",\"resourceVersion\":\"42\""
#define SPEC                                                                                       \
	"\"spec\":{\"name\":\"c0\",\"env\":[{\"name\":\"A\",\"value\":\"x\"}],\"n\":12,\"ok\":"    \
	"true,\"probe\":null,\"ref\":{\"resourceVersion\":\"7\",\"uid\":\"u-2\"},\"text\":\"a "    \
	"\\\"b\\\" \\u00e9\",\"empty\":\"\",\"plain\":\"caf\xc3\xa9\"}"
#define POD(meta, rest) "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{" meta "}," rest "}"
/* managedFields as the last member, as a typed list prints it */
#define LAST  POD(META ",\"managedFields\":" FIELDS, SPEC)
#define FIRST POD("\"managedFields\":" FIELDS "," META, SPEC)
#define NONE  POD(META, SPEC)

/* An object as the store has it. */
struct held {
	struct json_known known;
	char *json, *strings;
};

static struct span keep(char **at, struct span s)
{
	struct span out = {memcpy(*at, s.p, s.n), s.n};
	*at += s.n;
	return out;
}

static struct held hold(const char *object)
{
	struct held h;
	struct json_object o;
	struct span d = doc(object);
	assert_int_equal(json_scan_object(parser, d, true, NULL, &o), ERR_OK);
	size_t front = o.cut.n ? (size_t)(o.cut.p - o.raw.p) : o.raw.n;
	h.json = calloc(1, o.raw.n - o.cut.n + JSON_PADDING);
	h.strings = malloc(o.name.n + o.namespace_.n + o.uid.n + 1);
	assert_true(h.json && h.strings);
	memcpy(h.json, o.raw.p, front);
	if (o.cut.n)
		memcpy(h.json + front, o.cut.p + o.cut.n, o.raw.n - front - o.cut.n);
	char *at = h.strings;
	h.known = (struct json_known){.json = {h.json, o.raw.n - o.cut.n},
	        .name = keep(&at, o.name),
	        .namespace_ = keep(&at, o.namespace_),
	        .uid = keep(&at, o.uid)};
	json_shape_marks(&o, &h.known.version_at, &h.known.cut_at);
	doc_free(&d);
	return h;
}

static void drop(struct held *h)
{
	free(h->json);
	free(h->strings);
}

/* The event's bytes against what is held: "yes" is compared with the reader of everything. */
static bool event_bytes(const struct held *h, struct span d)
{
	struct json_event got, want;
	struct json_hint hint = {.events = 1};
	if (!json_shape_event(parser, d, &h->known, &hint, &got)) {
		assert_int_equal(hint.events, 1);
		return false;
	}
	assert_int_equal(hint.events, 2);
	const struct json_object *o = &got.object, *q = &want.object;
	struct json_parser *other = json_parser_new(4096, LIMIT);
	assert_int_equal(json_scan_event(other, d, h->known.cut_at > 0, NULL, &want), ERR_OK);
	assert_int_equal(got.type, want.type);
	assert_false(got.initial_events_end || want.initial_events_end);
	assert_true(o->raw.p == q->raw.p && o->raw.n == q->raw.n);
	assert_true(o->cut.n == q->cut.n && (!o->cut.n || o->cut.p == q->cut.p));
	assert_true(span_eq(o->name, q->name) && span_eq(o->namespace_, q->namespace_));
	assert_true(span_eq(o->uid, q->uid) && span_eq(o->resource_version, q->resource_version));
	json_parser_free(&other);
	return true;
}

static bool event(const char *held_object, const char *text)
{
	struct held h = hold(held_object);
	struct span d = doc(text);
	bool yes = event_bytes(&h, d);
	doc_free(&d);
	drop(&h);
	return yes;
}

/* `object` with the first `from` replaced, as a MODIFIED event. The version is another one unless
 * the change is about it. */
static struct span changed(const char *object, const char *from, const char *to)
{
	char text[4096], versioned[4096];
	const char *v = strstr(object, "\"42\""), *at;
	assert_non_null(v);
	snprintf(versioned, sizeof versioned, "%.*s\"43\"%s", (int)(v - object), object, v + 4);
	at = strstr(versioned, from);
	assert_non_null(at);
	int n = snprintf(text, sizeof text, HEAD("MODIFIED") "%.*s%s%s}", (int)(at - versioned),
	        versioned, to, at + strlen(from));
	assert_true(n > 0 && n < (int)sizeof text);
	return doc_bytes(text, (size_t)n);
}

static bool change(const char *object, const char *from, const char *to)
{
	struct held h = hold(object);
	struct span d = changed(object, from, to);
	bool yes = event_bytes(&h, d);
	doc_free(&d);
	drop(&h);
	return yes;
}

static void values_may_differ(void **state)
{
	(void)state;
	static const char *const objects[] = {LAST, FIRST, NONE};
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		const char *o = objects[i];
		assert_true(change(o, "43", "43")); /* the version alone */
		assert_true(change(o, "43", "44440000001111"));
		assert_true(change(o, "43", "opaque-\x7e"));
		assert_true(change(o, ":12,", ":13,"));
		assert_true(change(o, ":12,", ":-1.5e3,"));
		assert_true(change(o, ":12,", ":\"12\","));
		assert_true(change(o, "true", "false"));
		assert_true(change(o, "null", "\"2026-01-01T00:00:00Z\""));
		assert_true(change(o, "null", "0"));
		assert_true(change(o, "\"x\"", "null"));
		assert_true(change(o, "\"x\"", "\"\""));
		assert_true(change(o, "\"x\"", "\"y and more\""));
		assert_true(change(o, "\"\"", "\"now \\n there \\u0041 is\""));
		assert_true(change(o, "a \\\"b\\\"", "a \\\"c\\\" d"));
		assert_true(change(o, "\\u00e9", "\\u00e8"));
	}
}

static void managed_fields_may_differ_in_names_too(void **state)
{
	(void)state;
	static const char *const objects[] = {LAST, FIRST};
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		const char *o = objects[i];
		for (int again = 0; again < 2; again++) { /* read whole, then compared */
			assert_true(change(o, "00:00:00Z", "11:22:33Z"));
			assert_true(change(o, "f:a", "f:b"));
			assert_true(change(o, "\\\"1\\\"", "\\\"2\\\""));
			assert_true(change(o, "\"m\"", "\"a longer name\""));
			assert_true(change(o, FIELDS, "[]"));
		}
	}
}

static void what_is_not_a_value_is_left_alone(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
	} no[] = {
	        {"43", "42"}, /* the same version */
	        {"43", ""},
	        {"43", "4\\u0033"},
	        {"\"43\"", "43"},
	        {"\"43\"", "null"},
	        {"\"web\"", "\"wex\""}, /* another object */
	        {"\"shop\"", "\"shoq\""},
	        {"\"u-1\"", "\"u-3\""},
	        {"\"Pod\"", "\"Pox\""},
	        {"\"v1\"", "\"v2\""},
	        {"\"c0\"", "\"c1\""}, /* named like identity, but is not: not worth a thought */
	        {"\"7\"", "\"8\""},
	        {"\"u-2\"", "\"u-4\""},
	        {"\"env\"", "\"enw\""}, /* a member's name */
	        {"\"n\":12", "\"n\":[12]"},
	        {"\"n\":12", "\"n\":{}"},
	        {"\"n\":12", "\"n\":12,\"m\":1"},
	        {"\"n\":12,", ""},
	        {":12,", ":12 ,"},
	        {":12,", ":1 2,"},
	        {":12,", ":012,"},
	        {":12,", ":1.,"},
	        {":12,", ":+1,"},
	        {":12,", ":12"},
	        {":12,", ":12:"},
	        {"true", "tru"},
	        {"true", "truef"},
	        {"null", "nulL"},
	        {"\"x\"", "\"x"},
	        {"\"x\"", "x\""},
	        {"\"x\"", "\"\t\""},
	        {"\"x\"", "\"\\x\""},
	        {"\"x\"", "\"\\u12g4\""},
	        {"\"x\"", "\"\xc3\xa9\""}, /* good, but not plain */
	        {"\"x\"", "\"\xff\""},
	        {"\"x\"", "\"y\":1"},
	        {"caf\xc3\xa9", "cafe"},
	        {"]", "}"},
	        {"}", ""},
	        {"}", "},"},
	};
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (change(NONE, no[i].from, no[i].to))
			fail_msg("%s -> %s was taken", no[i].from, no[i].to);
}

static void managed_fields_must_be_an_array_in_their_place(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "[", "]", "[}", "{}", "null", "[1,]", "[1]]", "[1],",
	        "[\"\xff\"]", "[01]", "[tru]", "[\"a\":1]", "[{\"a\"}]"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(change(LAST, FIELDS, bad[i]));
		assert_false(change(FIRST, FIELDS, bad[i]));
	}
	/* gone, or somewhere else than before */
	assert_false(change(LAST, ",\"managedFields\":" FIELDS, ""));
	assert_false(change(FIRST, "\"managedFields\":" FIELDS ",", ""));
	assert_false(change(NONE, "\"uid\"", "\"managedFields\":[],\"uid\""));
	assert_false(change(LAST, ",\"managedFields\"", ",\"managedfields\""));
	assert_false(change(LAST, ",\"managedFields\"", "\"managedFields\""));
	assert_false(change(FIRST, FIELDS ",", FIELDS));
	assert_false(change(
	        LAST, ",\"managedFields\":" FIELDS, ",\"managedFields\":[],\"managedFields\":[]"));
}

/* Around the cut, the old text decides what a comma means. No object without a name: so this one is
 * made by hand. */
static void the_only_member_has_no_comma(void **state)
{
	(void)state;
	struct held h = hold(NONE);
	struct json_event ev;
	static const char json[] = "{\"metadata\":{},\"v\":\"42\"}";
	h.known.json = (struct span){json, sizeof json - 1};
	h.known.cut_at = 13;
	h.known.version_at = 20;
	struct span d =
	        doc(HEAD("MODIFIED") "{\"metadata\":{,\"managedFields\":[]},\"v\":\"43\"}}");
	assert_false(json_shape_event(parser, d, &h.known, NULL, &ev));
	doc_free(&d);
	drop(&h);
}

static void only_a_modified_event_with_our_head_is_tried(void **state)
{
	(void)state;
	assert_true(event(NONE, HEAD("MODIFIED") POD("\"name\":\"web\",\"namespace\":\"shop\","
	                                             "\"uid\":\"u-1\",\"resourceVersion\":\"43\"",
	                                SPEC) "}"));
	static const char *const no[] = {"", "{", "{}", HEAD("MODIFIED"), HEAD("MODIFIED") "{",
	        HEAD("MODIFIED") "{}", HEAD("MODIFIED") "}"};
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(event(NONE, no[i]));
#define OTHER                                                                                      \
	POD("\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\",\"resourceVersion\":\"43\"",  \
	        SPEC)
	assert_false(event(NONE, HEAD("ADDED") OTHER "}"));
	assert_false(event(NONE, HEAD("DELETED") OTHER "}"));
	assert_false(event(NONE, HEAD("MODIFIED") OTHER));
	assert_false(event(NONE, HEAD("MODIFIED") OTHER "}}"));
	assert_false(event(NONE, HEAD("MODIFIED") OTHER ",\"more\":1}"));
	assert_false(event(NONE, "{\"object\":" OTHER ",\"type\":\"MODIFIED\"}"));
}

static void without_marks_nothing_is_tried_and_the_audit_has_its_turn(void **state)
{
	(void)state;
	struct held h = hold(NONE);
	struct span d = changed(NONE, "43", "43");
	struct json_event ev;
	struct json_hint hint = {0};
	assert_false(json_shape_event(parser, d, &h.known, &hint, &ev)); /* the first of a watch */
	assert_int_equal(json_scan_event(parser, d, true, &hint, &ev), ERR_OK);
	for (int i = 1; i < AUDIT_PERIOD; i++)
		assert_true(json_shape_event(parser, d, &h.known, &hint, &ev));
	assert_false(json_shape_event(parser, d, &h.known, &hint, &ev));
	assert_true(json_shape_event(parser, d, &h.known, NULL, &ev));
	h.known.version_at = 0;
	assert_false(json_shape_event(parser, d, &h.known, NULL, &ev));
	doc_free(&d);
	drop(&h);
}

/* An item of a list may have as many levels as a document; in an event it has one more. By itself
 * it is within the limit, and that is how it is kept. */
static void the_levels_are_those_of_the_known_object(void **state)
{
	(void)state;
	char deep[2 * JSON_DEPTH_MAX + 1] = {0}, object[2048], text[4096];
	memset(deep, '[', JSON_DEPTH_MAX - 1);
	memset(deep + JSON_DEPTH_MAX - 1, ']', JSON_DEPTH_MAX - 1);
	snprintf(object, sizeof object, "{\"metadata\":{" META "},\"a\":%s}", deep);
	struct held h = hold(object);
	memcpy(strstr(object, "42"), "43", 2);
	int n = snprintf(text, sizeof text, HEAD("MODIFIED") "%s}", object);
	assert_true(n > 0 && n < (int)sizeof text);
	struct span d = doc(text);
	struct json_event ev;
	assert_int_equal(json_scan_event(parser, d, true, NULL, &ev), ERR_JSON_DEPTH);
	assert_true(json_shape_event(parser, d, &h.known, NULL, &ev));
	assert_span(ev.object.resource_version, "43");
	assert_int_equal(json_scan_object(parser, ev.object.raw, true, NULL, &ev.object), ERR_OK);
	doc_free(&d);
	drop(&h);
}

/* From each of the numbers one looks back to the end of the text, and over the backslashes there.
 */
static void a_long_run_of_backslashes_is_not_looked_through(void **state)
{
	(void)state;
	for (size_t n = 3900; n <= 5000; n += 100) {
		char object[6000], text[6000];
		int head = snprintf(object, sizeof object, "{\"metadata\":{" META "},\"a\":[\"");
		memset(object + head, '\\', n);
		strcpy(object + head + n, "\",1,2,3,4]}");
		struct held h = hold(object);
		memcpy(strstr(object, "42"), "43", 2);
		memcpy(strstr(object, "1,2,3,4"), "5,6,7,8", 7);
		int bytes = snprintf(text, sizeof text, HEAD("MODIFIED") "%s}", object);
		assert_true(bytes > 0 && bytes < (int)sizeof text);
		struct span d = doc(text);
		assert_int_equal(event_bytes(&h, d), n <= 4000);
		doc_free(&d);
		drop(&h);
	}
}

/* Every byte, replaced, removed or doubled: whatever is taken must be right (event_bytes). */
static void no_changed_byte_is_taken_wrongly(void **state)
{
	(void)state;
	static const char bytes[] = "\"\\{}[],: \n0-e.tnu\x01\xc3\xff";
	static const char *const objects[] = {LAST, FIRST};
	size_t taken = 0;
	for (size_t k = 0; k < ARRAY_LEN(objects); k++) {
		struct held h = hold(objects[k]);
		struct span d = changed(objects[k], "43", "43");
		char *copy = malloc(d.n + 1 + JSON_PADDING);
		for (size_t i = 0; i < d.n; i++) {
			for (size_t b = 0; b < sizeof bytes - 1; b++) {
				memcpy(copy, d.p, d.n + JSON_PADDING);
				copy[i] = bytes[b];
				taken += event_bytes(&h, (struct span){copy, d.n});
				memcpy(copy + i + 1, d.p + i, d.n - i + JSON_PADDING);
				taken += event_bytes(&h, (struct span){copy, d.n + 1});
			}
			memcpy(copy, d.p, i);
			memcpy(copy + i, d.p + i + 1, d.n - i - 1 + JSON_PADDING);
			taken += event_bytes(&h, (struct span){copy, d.n - 1});
		}
		free(copy);
		doc_free(&d);
		drop(&h);
	}
	assert_true(taken > 100);
}

static void the_key_is_found_where_built_in_resources_have_it(void **state)
{
	(void)state;
	static const struct {
		const char *text, *namespace_, *name; /* name NULL: none */
	} cases[] = {
	        {HEAD("MODIFIED") LAST "}", "shop", "web"},
	        {HEAD("MODIFIED") "{\"metadata\":{\"name\":\"n\",\"generateName\":\"g-\","
	                          "\"namespace\":\"s\"",
	                "s", "n"},
	        {HEAD("MODIFIED") "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
	                          "\"n\",\"uid\":\"u\"}}}",
	                "", "n"},
	        {HEAD("MODIFIED") FIRST "}", "", NULL}, /* as custom resources may print it */
	        {HEAD("ADDED") LAST "}", "", NULL},
	        {HEAD("MODIFIED") "{\"metadata\":{\"name\":\"n", "", NULL},
	        {HEAD("MODIFIED") "{\"kind\":\"Node", "", NULL},
	        {HEAD("MODIFIED") "{\"kind\":\"Node\"", "", NULL},
	        {HEAD("MODIFIED") "{", "", NULL},
	        {HEAD("MODIFIED"), "", NULL},
	        {"", "", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span ns = SPAN_NONE, name = SPAN_NONE, d = doc(cases[i].text);
		bool yes = json_shape_key(d, &ns, &name);
		assert_int_equal(yes, cases[i].name != NULL);
		if (yes) {
			assert_span(name, cases[i].name);
			assert_span(ns, cases[i].namespace_);
		}
		doc_free(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(values_may_differ),
	        cmocka_unit_test(managed_fields_may_differ_in_names_too),
	        cmocka_unit_test(what_is_not_a_value_is_left_alone),
	        cmocka_unit_test(managed_fields_must_be_an_array_in_their_place),
	        cmocka_unit_test(the_only_member_has_no_comma),
	        cmocka_unit_test(only_a_modified_event_with_our_head_is_tried),
	        cmocka_unit_test(without_marks_nothing_is_tried_and_the_audit_has_its_turn),
	        cmocka_unit_test(the_levels_are_those_of_the_known_object),
	        cmocka_unit_test(a_long_run_of_backslashes_is_not_looked_through),
	        cmocka_unit_test(no_changed_byte_is_taken_wrongly),
	        cmocka_unit_test(the_key_is_found_where_built_in_resources_have_it),
	};
	return cmocka_run_group_tests(tests, open_parser, close_parser);
}
