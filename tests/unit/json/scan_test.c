/* json_scan_event and json_scan_object: fields, places, orders, limits. Every case runs on all
 * kernels. */
#include "json/parser.h"

#include "harness/json_naive.h"
#include "unit/json/doc.h"

#include <stdio.h>

enum { LIMIT = 1 << 20 };
static struct json_parser *parsers[3];
static size_t parser_count;

static int open_parsers(void **state)
{
	(void)state;
	parsers[0] = parser_new(4096, LIMIT, TOKENS_KERNEL_PORTABLE);
	assert_non_null(parsers[0]);
	parser_count = 1;
	for (int k = TOKENS_KERNEL_AVX2; k <= TOKENS_KERNEL_AVX512; k++) {
		parsers[parser_count] = parser_new(4096, LIMIT, (enum tokens_kernel)k);
		parser_count += parsers[parser_count] != NULL;
	}
	return 0;
}

static int close_parsers(void **state)
{
	(void)state;
	for (size_t k = 0; k < parser_count; k++)
		json_parser_free(&parsers[k]);
	assert_null(parsers[0]);
	return 0;
}

/* The answers of all parsers are alike; the last one stays valid until the next call. */
static err_t event(struct span d, struct json_event *out)
{
	err_t e = ERR_OK;
	for (size_t k = 0; k < parser_count; k++) {
		struct json_hint hint = {0};
		err_t got = json_scan_event(parsers[k], d, true, &hint, out);
		assert_true(k == 0 || got == e);
		e = got;
		assert_int_equal(json_parser_disputes(parsers[k]), 0);
	}
	return e;
}

static err_t event_error(const char *text)
{
	struct json_event ev;
	struct span d = doc(text);
	err_t e = event(d, &ev);
	doc_free(&d);
	return e;
}

static err_t object_error(const char *text)
{
	struct json_object o;
	struct span d = doc(text);
	err_t e = ERR_OK;
	for (size_t k = 0; k < parser_count; k++) {
		struct json_hint hint = {0};
		e = json_scan_object(parsers[k], d, true, &hint, &o);
	}
	doc_free(&d);
	return e;
}

#define OBJECT(metadata)                                                                           \
	"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{" metadata "},\"spec\":{}}"
#define EVENT(type, metadata) "{\"type\":\"" type "\",\"object\":" OBJECT(metadata) "}"

#define WHO "\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\",\"resourceVersion\":\"42\""

static void the_fields_of_an_event_are_found(void **state)
{
	(void)state;
	struct json_event ev;
	struct span d = doc(EVENT("MODIFIED", WHO));
	assert_int_equal(event(d, &ev), ERR_OK);
	assert_int_equal(ev.type, JSON_EVENT_MODIFIED);
	assert_span(ev.object.raw, OBJECT(WHO));
	assert_ptr_equal(ev.object.raw.p, strstr(d.p, "{\"kind"));
	assert_span(ev.object.kind, "Pod");
	assert_span(ev.object.api_version, "v1");
	assert_span(ev.object.name, "web");
	assert_span(ev.object.namespace_, "shop");
	assert_span(ev.object.uid, "u-1");
	assert_span(ev.object.resource_version, "42");
	assert_int_equal(ev.object.cut.n, 0);
	assert_false(ev.initial_events_end);
	doc_free(&d);
}

static void all_types_are_known_and_no_other(void **state)
{
	(void)state;
	static const char *const good[] = {EVENT("ADDED", WHO), EVENT("MODIFIED", WHO),
	        EVENT("DELETED", WHO), EVENT("BOOKMARK", WHO), EVENT("ERROR", WHO)};
	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		struct json_event ev;
		struct span d = doc(good[i]);
		assert_int_equal(event(d, &ev), ERR_OK);
		assert_int_equal(ev.type, i);
		assert_span(ev.object.raw, OBJECT(WHO));
		doc_free(&d);
	}
	assert_int_equal(event_error(EVENT("", WHO)), ERR_KUBE_EVENT);
	assert_int_equal(event_error(EVENT("added", WHO)), ERR_KUBE_EVENT);
	assert_int_equal(event_error(EVENT("ADDED ", WHO)), ERR_KUBE_EVENT);
	assert_int_equal(event_error(EVENT("ADDEDADDED", WHO)), ERR_KUBE_EVENT);
	assert_int_equal(event_error(EVENT("ADD\\u0045D", WHO)), ERR_OK);
}

/* {type, object} in both orders, the members of object and metadata in 24 orders each, with and
 * without white space. */
static void order_and_white_space_are_free(void **state)
{
	(void)state;
	static const char *const meta[] = {"\"name\" : \"web\"", "\"uid\" :\"u-1\"",
	        "\"resourceVersion\":\t\"42\"",
	        "\"managedFields\": [ {\"name\":\"no\",\"uid\":\"no\"} ]"};
	static const char *const object[] = {"\"kind\":\"W\"",
	        "\"spec\":{\"metadata\":{\"name\":\"no\"}}", "\"status\" : []", NULL};
	for (unsigned order = 0; order < 24 * 4; order++) {
		unsigned perm[4] = {0, 1, 2, 3};
		for (unsigned i = 3, r = order; i > 0; r /= i + 1, i--) {
			unsigned j = r % (i + 1), t = perm[i];
			perm[i] = perm[j];
			perm[j] = t;
		}
		char metadata[512], body[4096], text[8192];
		const char *space = order & 32 ? " \n" : "";
		snprintf(metadata, sizeof metadata, "\"metadata\":{%s%s%s,%s%s,%s%s,%s%s}", space,
		        meta[perm[0]], space, space, meta[perm[1]], meta[perm[2]], space,
		        meta[perm[3]], space);
		const char *part[4];
		for (int i = 0; i < 4; i++)
			part[i] = object[perm[i]] ? object[perm[i]] : metadata;
		snprintf(body, sizeof body, "{%s%s,%s%s%s,%s,%s}", space, part[0], part[1], space,
		        space, part[2], part[3]);
		if (order & 64)
			snprintf(text, sizeof text, "%s{\"object\"%s:%s,\"type\":\"ADDED\"}", space,
			        space, body);
		else
			snprintf(text, sizeof text, "{%s\"type\":\"ADDED\",\"object\":%s%s}%s",
			        space, space, body, space);
		struct json_event ev;
		struct span d = doc(text);
		assert_int_equal(event(d, &ev), ERR_OK);
		assert_span(ev.object.raw, body);
		assert_span(ev.object.name, "web");
		assert_span(ev.object.uid, "u-1");
		assert_span(ev.object.resource_version, "42");
		assert_span(ev.object.kind, "W");
		assert_int_equal(ev.object.namespace_.n, 0);
		assert_true(ev.object.cut.n > 20);
		doc_free(&d);
	}
}

static void names_in_other_places_do_not_count(void **state)
{
	(void)state;
	struct json_event ev;
	struct span d =
	        doc("{\"metadata\":{\"name\":\"0\"},\"name\":\"0\",\"type\":\"ADDED\",\"object\":{"
	            "\"name\":\"1\",\"uid\":\"1\",\"type\":\"T\","
	            "\"metadata\":{\"labels\":{\"name\":\"2\",\"uid\":\"2\",\"metadata\":\"2\"},"
	            "\"annotations\":{\"resourceVersion\":\"3\","
	            "\"k8s.io/"
	            "initial-events-end\":\"true\"},\"ownerReferences\":[{\"kind\":\"4\",\"name\":"
	            "\"4\",\"uid\":\"4\"}],"
	            "\"managedFields\":[{\"apiVersion\":\"5\",\"f\":{\"name\":{},\"managedFields\":"
	            "{}}}],\"name\":\"web\",\"metadata\":{\"name\":\"6\"},"
	            "\"resourceVersion\":\"42\"},\"spec\":{\"template\":{\"metadata\":{\"name\":"
	            "\"7\",\"uid\":\"7\",\"managedFields\":[7]}}},"
	            "\"managedFields\":[8],\"resourceVersion\":\"8\"}}");
	assert_int_equal(event(d, &ev), ERR_OK);
	assert_span(ev.object.name, "web");
	assert_int_equal(ev.object.uid.n, 0);
	assert_int_equal(ev.object.kind.n, 0);
	assert_int_equal(ev.object.api_version.n, 0);
	assert_span(ev.object.resource_version, "42");
	assert_false(ev.initial_events_end); /* it is no bookmark */
	assert_memory_equal(ev.object.cut.p, "\"managedFields\":[{\"apiVersion\":\"5\"", 33);
	doc_free(&d);
}

static void escapes_are_resolved_where_they_matter(void **state)
{
	(void)state;
	struct json_event ev;
	struct span d = doc("{\"typ\\u0065\":\"ADDED\",\"object\":{\"kind\":\"P\\u006fd\","
	                    "\"m\\u0065tadata\":{\"n\\u0061me\":\"w\\\"\\u00e9"
	                    "\\ud83d\\ude00\\/"
	                    "b\",\"namespace\":\"s\\u0068op\",\"\\u0075id\":\"\\u0075\","
	                    "\"resourceVersion\":\"\\u0034\\u0032\"}}}");
	assert_int_equal(event(d, &ev), ERR_OK);
	assert_int_equal(ev.type, JSON_EVENT_ADDED);
	assert_span(ev.object.kind, "Pod");
	assert_span(ev.object.name, "w\"\xC3\xA9\xF0\x9F\x98\x80/b");
	assert_span(ev.object.namespace_, "shop");
	assert_span(ev.object.uid, "u");
	assert_span(ev.object.resource_version, "42");
	doc_free(&d);
}

static void a_name_seen_twice_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        EVENT("ADDED", WHO ",\"name\":\"x\""),
	        EVENT("ADDED", WHO ",\"n\\u0061me\":\"web\""),
	        EVENT("ADDED", WHO ",\"namespace\":\"shop\""),
	        EVENT("ADDED", WHO ",\"uid\":\"u-1\""),
	        EVENT("ADDED", WHO ",\"resourceVersion\":\"42\""),
	        EVENT("ADDED", WHO ",\"managedFields\":[],\"managedFields\":[]"),
	        EVENT("ADDED", WHO ",\"annotations\":{},\"annotations\":{}"),
	        "{\"type\":\"ADDED\",\"type\":\"ADDED\",\"object\":" OBJECT(WHO) "}",
	        "{\"type\":\"ADDED\",\"object\":" OBJECT(WHO) ",\"object\":" OBJECT(WHO) "}",
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{" WHO "},\"metadata\":{" WHO "}}}",
	        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"A\",\"kind\":\"A\",\"metadata\":{" WHO
	        "}}}",
	        "{\"type\":\"ADDED\",\"object\":{\"apiVersion\":\"A\",\"apiVersion\":\"A\","
	        "\"metadata\":{" WHO "}}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(event_error(bad[i]), ERR_JSON_SHAPE);
	assert_int_equal(
	        event_error(EVENT("ADDED", WHO ",\"labels\":{\"a\":1,\"a\":2},\"x\":1,\"x\":2")),
	        ERR_OK);
}

static void what_must_be_there_must_be_there(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "{}",
	        "[]",
	        "1",
	        "\"type\"",
	        "null",
	        "{\"type\":\"ADDED\"}",
	        "{\"object\":" OBJECT(WHO) "}",
	        "{\"type\":null,\"object\":" OBJECT(WHO) "}",
	        "{\"type\":1,\"object\":" OBJECT(WHO) "}",
	        "{\"type\":\"ADDED\",\"object\":null}",
	        "{\"type\":\"ADDED\",\"object\":[]}",
	        "{\"type\":\"ERROR\",\"object\":[]}",
	        "{\"type\":\"ERROR\"}",
	        "{\"type\":\"ADDED\",\"object\":{}}",
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":null}}",
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":[]}}",
	        EVENT("ADDED", ""),
	        EVENT("ADDED", "\"name\":\"a\""),
	        EVENT("ADDED", "\"name\":\"a\",\"resourceVersion\":\"\""),
	        EVENT("ADDED", "\"name\":\"a\",\"resourceVersion\":null"),
	        EVENT("ADDED", "\"name\":\"a\",\"resourceVersion\":42"),
	        EVENT("ADDED", "\"resourceVersion\":\"1\""),
	        EVENT("ADDED", "\"name\":\"\",\"resourceVersion\":\"1\""),
	        EVENT("ADDED", "\"name\":null,\"resourceVersion\":\"1\""),
	        EVENT("ADDED", "\"name\":7,\"resourceVersion\":\"1\""),
	        EVENT("ADDED", "\"name\":[\"a\"],\"resourceVersion\":\"1\""),
	        EVENT("DELETED", "\"name\":\"a\",\"namespace\":true,\"resourceVersion\":\"1\""),
	        EVENT("DELETED", "\"name\":\"a\",\"uid\":{},\"resourceVersion\":\"1\""),
	        EVENT("BOOKMARK", "\"name\":\"a\""),
	        EVENT("BOOKMARK", ""),
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(event_error(bad[i]), ERR_JSON_SHAPE);
	assert_int_equal(
	        event_error(EVENT("ADDED", "\"name\":\"a\",\"resourceVersion\":\"0\"")), ERR_OK);
	assert_int_equal(
	        event_error(EVENT("ADDED",
	                "\"name\":\"a\",\"uid\":null,\"resourceVersion\":\"eyJ4IjoxfQ==\"")),
	        ERR_OK);
	assert_int_equal(event_error("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\","
	                             "\"resourceVersion\":\"1\"}}"),
	        ERR_JSON_SYNTAX);
}

static void items_need_a_name_but_no_version(void **state)
{
	(void)state;
	struct json_object o;
	struct json_hint hint = {0};
	struct span d = doc(" {\"metadata\":{\"name\":\"n\",\"managedFields\":[]},\"x\":0} ");
	assert_int_equal(json_scan_object(parsers[0], d, true, &hint, &o), ERR_OK);
	assert_span(o.name, "n");
	assert_true(o.more);
	assert_span(o.raw, "{\"metadata\":{\"name\":\"n\",\"managedFields\":[]},\"x\":0}");
	assert_span(o.cut, ",\"managedFields\":[]");
	assert_int_equal(
	        o.kind.n + o.api_version.n + o.namespace_.n + o.uid.n + o.resource_version.n, 0);
	assert_int_equal(json_scan_object(parsers[0], d, false, NULL, &o), ERR_OK);
	assert_int_equal(o.cut.n, 0);
	doc_free(&d);
	d = doc("{\"kind\":\"k\",\"metadata\":{\"name\":\"n\",\"spec\":{}},\"apiVersion\":\"v\"}");
	assert_int_equal(json_scan_object(parsers[0], d, true, NULL, &o), ERR_OK);
	assert_false(o.more);
	doc_free(&d);
	assert_int_equal(
	        object_error("{\"metadata\":{\"resourceVersion\":\"1\"}}"), ERR_JSON_SHAPE);
	assert_int_equal(object_error("{\"metadata\":{\"name\":\"n\",\"resourceVersion\":1}}"),
	        ERR_JSON_SHAPE);
	assert_int_equal(object_error("{\"name\":\"n\"}"), ERR_JSON_SHAPE);
	assert_int_equal(object_error("[]"), ERR_JSON_SHAPE);
	assert_int_equal(object_error("{\"metadata\":{\"name\":\"n\"},}"), ERR_JSON_SYNTAX);
}

/* key, longest value: n bytes are accepted, n + 1 refused; also when every byte is written as an
 * escape of six. */
static void words_are_bounded(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		size_t bytes_max;
	} words[] = {{"name", JSON_NAME_MAX}, {"namespace", JSON_NAMESPACE_MAX},
	        {"uid", JSON_UID_MAX}, {"resourceVersion", JSON_VERSION_MAX}};
	static char value[6 * (JSON_NAME_MAX + 1) + 1], text[sizeof value + 64];
	for (size_t w = 0; w < ARRAY_LEN(words); w++) {
		for (size_t over = 0; over < 2; over++) {
			for (int escaped = 0; escaped < 2; escaped++) {
				value[0] = '\0';
				char *to = value;
				for (size_t i = 0; i < words[w].bytes_max + over; i++)
					to += sprintf(to, "%s", escaped ? "\\u0061" : "a");
				snprintf(text, sizeof text, "{\"metadata\":{\"%s\":\"%s\"%s}}",
				        words[w].key, value, w == 0 ? "" : ",\"name\":\"n\"");
				err_t want = w == 0 ? ERR_JSON_NAME : ERR_JSON_SHAPE;
				assert_int_equal(object_error(text), over ? want : ERR_OK);
			}
		}
	}
}

/* Regression: one role with such a name, which an API server takes, and no list of roles was read.
 */
static void names_are_longer_than_those_of_hosts(void **state)
{
	(void)state;
	char text[512];
	snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"%0300d\"}}", 7);
	assert_int_equal(object_error(text), ERR_OK);
}

static void words_that_are_no_text_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "a\\u0000", "\\u0000", "\\ud800", "a\\udfffb", "\\ud83dx", "\\ude00\\ud83d"};
	static const char *const keys[] = {"name", "namespace", "uid", "resourceVersion"};
	char text[256];
	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
			snprintf(text, sizeof text, "{\"metadata\":{\"%s\":\"%s\"%s}}", keys[k],
			        bad[i], k == 0 ? "" : ",\"name\":\"n\"");
			assert_int_equal(
			        object_error(text), k == 0 ? ERR_JSON_NAME : ERR_JSON_SHAPE);
		}
	}
	assert_int_equal(
	        object_error(
	                "{\"metadata\":{\"name\":\"n\",\"labels\":{\"\\ud800\":\"\\u0000\"}}}"),
	        ERR_OK);
	assert_int_equal(
	        object_error("{\"metadata\":{\"name\":\"\xED\xA0\x80\"}}"), ERR_JSON_SYNTAX);
}

static void a_bookmark_needs_a_version_only(void **state)
{
	(void)state;
	static const struct {
		const char *annotations;
		bool end;
	} cases[] = {
	        {"\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}", true},
	        {"\"annotations\":{\"a\":\"b\",\"k8s.io/"
	         "initial-events-end\":\"tru\\u0065\",\"c\":\"d\"}",
	                true},
	        {"\"annotations\":{\"k8s.io/initial-event\\u0073-end\":\"true\"}", true},
	        {"\"annotations\":{\"k8s.io/initial-events-end\":\"false\"}", false},
	        {"\"annotations\":{\"k8s.io/initial-events-end\":\"\"}", false},
	        {"\"annotations\":{\"k8s.io/initial-events-end\":true}", false},
	        {"\"annotations\":{\"k8s.io/initial-events-enD\":\"true\"}", false},
	        {"\"annotations\":{}", false},
	        {"\"annotations\":null", false},
	        {"\"labels\":{\"k8s.io/initial-events-end\":\"true\"}", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[512];
		struct json_event ev;
		snprintf(text, sizeof text,
		        "{\"%s\":\"BOOKMARK\",\"object\":{\"metadata\":{\"creationTimestamp\":null,"
		        "%s,\"resourceVersion\":\"77\"}}}",
		        "type", cases[i].annotations);
		struct span d = doc(text);
		assert_int_equal(event(d, &ev), ERR_OK);
		assert_int_equal(ev.initial_events_end, cases[i].end);
		assert_span(ev.object.resource_version, "77");
		doc_free(&d);
	}
}

/* raw without the cut, as text. */
static void cut_leaves(const char *metadata, const char *want)
{
	char text[512], rest[512];
	struct json_object o;
	snprintf(text, sizeof text, "{\"metadata\":{%s}}", metadata);
	struct span d = doc(text);
	for (size_t k = 0; k < parser_count; k++) {
		assert_int_equal(json_scan_object(parsers[k], d, true, NULL, &o), ERR_OK);
		size_t front = (size_t)(o.cut.p - o.raw.p), n = o.raw.n - o.cut.n;
		memcpy(rest, o.raw.p, front);
		memcpy(rest + front, o.cut.p + o.cut.n, n - front);
		rest[n] = '\0';
		assert_string_equal(rest, want);
		assert_int_equal(object_error(rest), ERR_OK);
	}
	doc_free(&d);
}

static void the_cut_takes_one_comma_along(void **state)
{
	(void)state;
	cut_leaves("\"managedFields\":[{\"a\":[\"]\"]}],\"name\":\"n\"",
	        "{\"metadata\":{\"name\":\"n\"}}");
	cut_leaves("\"name\":\"n\",\"managedFields\":[],\"x\":1",
	        "{\"metadata\":{\"name\":\"n\",\"x\":1}}");
	cut_leaves("\"name\":\"n\",\"managedFields\":[]", "{\"metadata\":{\"name\":\"n\"}}");
	cut_leaves(
	        "\"name\":\"n\" , \"managedFields\" : null ", "{\"metadata\":{\"name\":\"n\" }}");
	cut_leaves(
	        " \"managedFields\" : \"x\" , \"name\":\"n\"", "{\"metadata\":{ \"name\":\"n\"}}");
	cut_leaves("\"name\":\"n\",\"managed\\u0046ields\":{}", "{\"metadata\":{\"name\":\"n\"}}");
	/* the only member: possible in a bookmark that nobody sends, but json_scan_object wants a
	 * name */
	struct json_event ev;
	struct span d =
	        doc("{\"type\":\"ADDED\",\"object\":{\"metadata\":{ \"managedFields\":[1] }}}");
	assert_int_equal(event(d, &ev), ERR_JSON_SHAPE);
	assert_span(ev.object.cut, "\"managedFields\":[1] ");
	doc_free(&d);
}

static void only_the_object_of_an_error_is_taken(void **state)
{
	(void)state;
	struct json_event ev;
	struct span d = doc("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"metadata\":{},"
	                    "\"code\":410} }");
	assert_int_equal(event(d, &ev), ERR_OK);
	assert_span(ev.object.raw, "{\"kind\":\"Status\",\"metadata\":{},\"code\":410}");
	assert_int_equal(ev.object.name.n + ev.object.kind.n, 0);
	doc_free(&d);
	d = doc("{\"object\":{},\"type\":\"ERROR\"}");
	assert_int_equal(event(d, &ev), ERR_OK);
	assert_span(ev.object.raw, "{}");
	doc_free(&d);
}

static void a_document_over_the_limit_is_refused(void **state)
{
	(void)state;
	size_t n = strlen(EVENT("ADDED", WHO));
	struct span d = doc(EVENT("ADDED", WHO));
	struct json_event ev;
	for (size_t limit = n - 1; limit <= n + 1; limit++) {
		struct json_parser *p = json_parser_new(0, limit);
		assert_int_equal(json_scan_event(p, d, true, NULL, &ev),
		        limit < n ? ERR_JSON_LIMIT : ERR_OK);
		json_parser_free(&p);
	}
	doc_free(&d);
}

static void a_parser_grows_and_goes_on_after_errors(void **state)
{
	(void)state;
	enum { NUMBERS = 200000 };
	char *text = malloc(2 * NUMBERS + 256);
	assert_non_null(text);
	char *to = stpcpy(text,
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"big\\u0041\","
	        "\"resourceVersion\":\"1\"},\"spec\":[");
	for (int i = 0; i < NUMBERS; i++)
		to = stpcpy(to, "1,");
	strcpy(to, "1]}}");
	struct span d = doc(text);
	for (int round = 0; round < 3; round++) {
		struct json_event ev;
		assert_int_equal(event_error("{"), ERR_JSON_SYNTAX);
		assert_int_equal(event(d, &ev), ERR_OK);
		assert_span(ev.object.name, "bigA");
		assert_int_equal(event_error(EVENT("ADDED", WHO)), ERR_OK);
		assert_int_equal(event_error("{\"type\":\"ADDED\",\"object\":" OBJECT(WHO)),
		        ERR_JSON_SYNTAX);
	}
	doc_free(&d);
	free(text);
}

/* The first event of a watch and then one in 1024 is read by On-Demand too; both accept what they
 * read. */
static void the_second_reader_agrees(void **state)
{
	(void)state;
	struct span d = doc(EVENT("ADDED", WHO ",\"managedFields\":[{}]"));
	struct json_hint hint = {0};
	struct json_event ev;
	for (int i = 0; i < 3000; i++)
		assert_int_equal(
		        json_scan_event(parsers[parser_count - 1], d, true, &hint, &ev), ERR_OK);
	assert_int_equal(json_parser_disputes(parsers[parser_count - 1]), 0);
	doc_free(&d);
}

/* Who leaves out an object for its name must not leave out one that is broken. */
static void a_name_that_cannot_be_held_is_told_apart(void **state)
{
	(void)state;
#define NUL     "\"name\":\"a\\u0000b\""
#define VERSION "\"resourceVersion\":\"9\""
	struct json_event ev;
	struct span d = doc(EVENT("DELETED", NUL ",\"namespace\":\"shop\"," VERSION));
	assert_int_equal(event(d, &ev), ERR_JSON_NAME);
	assert_int_equal(ev.type, JSON_EVENT_DELETED);
	assert_span(ev.object.name, "");
	assert_span(ev.object.namespace_, "shop");
	assert_span(ev.object.resource_version, "9");
	doc_free(&d);
	d = doc("{\"object\":" OBJECT(NUL "," VERSION) ",\"type\":\"MODIFIED\"}");
	assert_int_equal(event(d, &ev), ERR_JSON_NAME);
	assert_int_equal(ev.type, JSON_EVENT_MODIFIED);
	doc_free(&d);
	static const char *const bad[] = {
	        EVENT("ADDED", NUL),
	        EVENT("BOOKMARK", NUL "," VERSION),
	        EVENT("ADDED", NUL "," VERSION "," NUL),
	        EVENT("ADDED", NUL "," VERSION ",\"name\":\"a\""),
	        EVENT("ADDED", NUL ",\"uid\":\"\\u0000\"," VERSION),
	        EVENT("ADDED", NUL ",\"namespace\":7," VERSION),
	        "{\"type\":\"ADDED\",\"object\":" OBJECT(NUL "," VERSION) ",\"object\":{}}",
	        "{\"type\":\"ADDED\",\"object\":" OBJECT(NUL "," VERSION) ",\"type\":\"ADDED\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(event_error(bad[i]), ERR_JSON_SHAPE);
	assert_int_equal(event_error(EVENT("PURGED", NUL "," VERSION)), ERR_KUBE_EVENT);
	assert_int_equal(event_error(EVENT("ADDED", NUL "," VERSION) "x"), ERR_JSON_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_fields_of_an_event_are_found),
	        cmocka_unit_test(all_types_are_known_and_no_other),
	        cmocka_unit_test(order_and_white_space_are_free),
	        cmocka_unit_test(names_in_other_places_do_not_count),
	        cmocka_unit_test(escapes_are_resolved_where_they_matter),
	        cmocka_unit_test(a_name_seen_twice_is_refused),
	        cmocka_unit_test(what_must_be_there_must_be_there),
	        cmocka_unit_test(items_need_a_name_but_no_version),
	        cmocka_unit_test(words_are_bounded),
	        cmocka_unit_test(names_are_longer_than_those_of_hosts),
	        cmocka_unit_test(a_name_that_cannot_be_held_is_told_apart),
	        cmocka_unit_test(words_that_are_no_text_are_refused),
	        cmocka_unit_test(a_bookmark_needs_a_version_only),
	        cmocka_unit_test(the_cut_takes_one_comma_along),
	        cmocka_unit_test(only_the_object_of_an_error_is_taken),
	        cmocka_unit_test(a_document_over_the_limit_is_refused),
	        cmocka_unit_test(a_parser_grows_and_goes_on_after_errors),
	        cmocka_unit_test(the_second_reader_agrees),
	};
	return cmocka_run_group_tests(tests, open_parsers, close_parsers);
}
