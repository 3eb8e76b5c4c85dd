/* The list splitter: every body whole, byte by byte, cut at every place, and in pieces of every
 * length. */
#include "unit/json/doc.h"

#include <stdio.h>

enum { ITEM_BYTES_MAX = 300, ITEMS_MAX = 64 };

struct outcome {
	enum json_list_result end;
	err_t err;
	size_t items, in_place, bytes;
	char text[32768]; /* the items, each followed by a newline */
	char kind[64], resource_version[64], continue_[64];
	bool saw_items;
};

static void keep(char *to, struct span s)
{
	snprintf(to, 64, "%.*s", SPAN_ARG(s));
}

static void feed(struct json_list *s, struct span piece, struct outcome *o)
{
	struct span item, rest = piece;
	do {
		o->end = json_list_feed(s, &rest, &item);
		assert_true(rest.n <= piece.n && rest.p + rest.n == piece.p + piece.n);
		if (o->end != JSON_LIST_ITEM)
			continue;
		assert_true(item.n > 0 && o->items < ITEMS_MAX);
		o->items++;
		o->in_place += item.p >= piece.p && item.p < piece.p + piece.n;
		memcpy(o->text + o->bytes, item.p, item.n);
		o->bytes += item.n;
		o->text[o->bytes++] = '\n';
		o->text[o->bytes] = '\0';
	} while (rest.n && o->end != JSON_LIST_ERROR);
}

/* First `front` bytes, then pieces of `length`. */
static void run(struct json_list *s, const char *body, size_t n, size_t front, size_t length,
        struct outcome *o)
{
	json_list_reset(s);
	memset(o, 0, sizeof *o);
	for (size_t at = 0; at < n && o->end != JSON_LIST_ERROR;) {
		size_t piece = at == 0 && front ? front : length;
		piece = piece < n - at ? piece : n - at;
		struct span d = doc_bytes(body + at, piece);
		feed(s, d, o);
		doc_free(&d);
		at += piece;
	}
	o->err = json_list_err(s);
	struct json_list_meta meta;
	json_list_meta(s, &meta);
	keep(o->kind, meta.kind);
	keep(o->resource_version, meta.resource_version);
	keep(o->continue_, meta.continue_);
	o->saw_items = meta.saw_items;
}

static struct json_list *splitter;
static struct outcome whole, cut;

static int open_list(void **state)
{
	(void)state;
	splitter = json_list_new(ITEM_BYTES_MAX);
	return splitter ? 0 : -1;
}

static int close_list(void **state)
{
	(void)state;
	json_list_free(&splitter);
	assert_null(splitter);
	return 0;
}

/* Leaves the outcome in `whole`. */
static void split_bytes(const char *body, size_t n)
{
	run(splitter, body, n, 0, n, &whole);
	size_t in_place = whole.in_place;
	for (size_t k = 0; k < 2 * n; k++) {
		if (k < n)
			run(splitter, body, n, k, n, &cut); /* one cut */
		else
			run(splitter, body, n, 0, k - n + 1, &cut);
		whole.in_place = cut.in_place;
		assert_memory_equal(&cut, &whole, sizeof cut);
	}
	whole.in_place = in_place;
}

static void split(const char *body)
{
	split_bytes(body, strlen(body));
}

static void lists_of_typed_objects_are_split(void **state)
{
	(void)state;
	split("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
	      "\"100\",\"continue\":\"tok\",\"remainingItemCount\":7,"
	      "\"selfLink\":\"\"},\"items\":[{\"metadata\":{\"name\":\"a\",\"x\":\"}]\\\"\"}},{"
	      "\"metadata\":{\"name\":\"b\"},\"y\":[[{}],{\"z\":[]}]}]}\n");
	assert_int_equal(whole.end, JSON_LIST_END);
	assert_string_equal(whole.text, "{\"metadata\":{\"name\":\"a\",\"x\":\"}]\\\"\"}}\n{"
	                                "\"metadata\":{\"name\":\"b\"},\"y\":[[{}],{\"z\":[]}]}\n");
	assert_int_equal(whole.in_place, 2);
	assert_string_equal(whole.kind, "PodList");
	assert_string_equal(whole.resource_version, "100");
	assert_string_equal(whole.continue_, "tok");
	assert_true(whole.saw_items);
}

static void lists_with_sorted_keys_are_split(void **state)
{
	(void)state;
	split(" { \"apiVersion\" : \"example.org\\/v1\" , \"items\" : [ {\"a\":\"\\\\\"} , { } ] , "
	      "\"extra\" : [ {\"items\":[1]}, \"]\" ] ,\r\n"
	      "\t\"kind\":\"WidgetL\\u0069st\",\"metadata\":{\"continue\":\"\",\"resourceVersion\":"
	      "\"5\\u0035\"} } \n ");
	assert_int_equal(whole.end, JSON_LIST_END);
	assert_string_equal(whole.text, "{\"a\":\"\\\\\"}\n{ }\n");
	assert_string_equal(whole.kind, "WidgetList");
	assert_string_equal(whole.resource_version, "55");
	assert_string_equal(whole.continue_, "");
}

static void items_may_be_null_empty_or_absent(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		bool saw_items;
	} cases[] = {
	        {"{\"items\":null,\"metadata\":{\"resourceVersion\":\"1\"}}", true},
	        {"{\"items\":[],\"metadata\":{\"resourceVersion\":\"1\"}}", true},
	        {"{\"metadata\":{\"resourceVersion\":\"1\"},\"\\u0069tems\" : [ ]}", true},
	        {"{\"kind\":null,\"metadata\":{\"resourceVersion\":\"1\",\"continue\":null,"
	         "\"remainingItemCount\":null}}",
	                false},
	        {"{\"metadata\":{\"resourceVersion\":\"1\",\"items\":[{}]}}", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		split(cases[i].body);
		assert_int_equal(whole.end, JSON_LIST_END);
		assert_int_equal(whole.items, 0);
		assert_int_equal(whole.saw_items, cases[i].saw_items);
		assert_string_equal(whole.resource_version, "1");
	}
	split("{}");
	assert_int_equal(whole.end, JSON_LIST_END);
	split("{\"metadata\":null}");
	assert_int_equal(whole.end, JSON_LIST_END);
}

static void a_cut_body_never_ends(void **state)
{
	(void)state;
	static const char body[] = "{\"kind\":\"L\",\"items\":[{\"a\":1},{\"b\":[true]}],"
	                           "\"metadata\":{\"resourceVersion\":\"1\"},\"n\":12}";
	for (size_t n = 1; n < sizeof body - 1; n++) {
		run(splitter, body, n, 0, n, &whole);
		assert_true(whole.end == JSON_LIST_MORE || whole.end == JSON_LIST_ITEM);
		assert_int_equal(whole.err, ERR_OK);
	}
	split_bytes(body, 60);
	split(body);
	assert_int_equal(whole.end, JSON_LIST_END);
}

static void broken_bodies_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		err_t err;
	} cases[] = {
	        {"x", ERR_JSON_SYNTAX},
	        {"[]", ERR_JSON_SYNTAX},
	        {"null", ERR_JSON_SYNTAX},
	        {"\xEF\xBB\xBF{}", ERR_JSON_SYNTAX},
	        {"{,", ERR_JSON_SYNTAX},
	        {"{a", ERR_JSON_SYNTAX},
	        {"{\"a\",", ERR_JSON_SYNTAX},
	        {"{\"a\":,", ERR_JSON_SYNTAX},
	        {"{\"a\":1,}", ERR_JSON_SYNTAX},
	        {"{\"a\":1 2}", ERR_JSON_SYNTAX},
	        {"{\"a\":tru}", ERR_JSON_SYNTAX},
	        {"{\"a\":01}", ERR_JSON_SYNTAX},
	        {"{\"a\":\"\\x\"}", ERR_JSON_SYNTAX},
	        {"{\"a\":\"\n\"}", ERR_JSON_SYNTAX},
	        {"{\"\\z\":1}", ERR_JSON_SYNTAX},
	        {"{\"a\xFF\":1}", ERR_JSON_SYNTAX},
	        {"{\"a\":[1,]}", ERR_JSON_SYNTAX},
	        {"{\"a\":[}]", ERR_JSON_SYNTAX},
	        {"{\"metadata\":{]}", ERR_JSON_SYNTAX},
	        {"{\"metadata\":{\"a\":}}", ERR_JSON_SYNTAX},
	        {"{\"items\":[,", ERR_JSON_SYNTAX},
	        {"{\"items\":[{},]", ERR_JSON_SYNTAX},
	        {"{\"items\":[{} {", ERR_JSON_SYNTAX},
	        {"{\"items\":[}", ERR_JSON_SYNTAX},
	        {"{\"items\":[]]", ERR_JSON_SYNTAX},
	        {"{} x", ERR_JSON_SYNTAX},
	        {"{}{}", ERR_JSON_SYNTAX},
	        {"{}}", ERR_JSON_SYNTAX},
	        {"{\"items\":[1", ERR_JSON_SHAPE},
	        {"{\"items\":[{},null", ERR_JSON_SHAPE},
	        {"{\"items\":[[", ERR_JSON_SHAPE},
	        {"{\"items\":[\"", ERR_JSON_SHAPE},
	        {"{\"items\":{}}", ERR_JSON_SHAPE},
	        {"{\"items\":0}", ERR_JSON_SHAPE},
	        {"{\"items\":[],\"items\":", ERR_JSON_SHAPE},
	        {"{\"items\":null,\"item\\u0073\":", ERR_JSON_SHAPE},
	        {"{\"kind\":1}", ERR_JSON_SHAPE},
	        {"{\"kind\":\"A\",\"kind\":", ERR_JSON_SHAPE},
	        {"{\"metadata\":[]}", ERR_JSON_SHAPE},
	        {"{\"metadata\":\"\"}", ERR_JSON_SHAPE},
	        {"{\"metadata\":{},\"metadata\":", ERR_JSON_SHAPE},
	        {"{\"metadata\":{\"resourceVersion\":1}}", ERR_JSON_SHAPE},
	        {"{\"metadata\":{\"resourceVersion\":\"1\",\"resourceVersion\":\"1\"}}",
	                ERR_JSON_SHAPE},
	        {"{\"metadata\":{\"resourceVersion\":\"\\u0000\"}}", ERR_JSON_SHAPE},
	        {"{\"metadata\":{\"continue\":\"\\ud800\"}}", ERR_JSON_SHAPE},
	        {"{\"metadata\":{\"continue\":\"a\",\"continu\\u0065\":\"b\"}}", ERR_JSON_SHAPE},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		split(cases[i].body);
		assert_int_equal(whole.end, JSON_LIST_ERROR);
		assert_int_equal(whole.err, cases[i].err);
		struct span item, more = doc("{}"), rest = more;
		assert_int_equal(json_list_feed(splitter, &rest, &item), JSON_LIST_ERROR);
		assert_int_equal(rest.n, 2);
		doc_free(&more);
	}
}

static void a_broken_item_is_left_to_the_scanner(void **state)
{
	(void)state;
	split("{\"items\":[{\"a\":[}},{]]}");
	assert_int_equal(whole.end, JSON_LIST_END);
	assert_string_equal(whole.text, "{\"a\":[}}\n{]\n");
}

static void an_item_is_bounded(void **state)
{
	(void)state;
	char body[1024];
	for (size_t n = ITEM_BYTES_MAX - 1; n <= ITEM_BYTES_MAX + 1; n++) {
		int at = sprintf(body, "{\"items\":[{},{\"a\":\"");
		memset(body + at, 'x', n - 8);
		strcpy(body + (size_t)at + n - 8, "\"}]}");
		split(body);
		assert_int_equal(whole.items, n > ITEM_BYTES_MAX ? 1 : 2);
		assert_int_equal(whole.err, n > ITEM_BYTES_MAX ? ERR_JSON_LIMIT : ERR_OK);
	}
}

static void other_values_are_bounded(void **state)
{
	(void)state;
	size_t n = 1 << 18;
	char *body = malloc(n + 64);
	for (size_t over = 0; over < 2; over++) {
		int at = sprintf(body, "{\"a\":\"");
		memset(body + at, 'x', n);
		strcpy(body + (size_t)at + n - 2 + over, "\"}");
		size_t length = strlen(body);
		run(splitter, body, length, 0, length, &whole);
		run(splitter, body, length, 9, 1000, &cut);
		assert_int_equal(whole.err, over ? ERR_JSON_LIMIT : ERR_OK);
		assert_int_equal(cut.err, whole.err);
	}
	free(body);
}

/* Members that mean nothing: each costs as much as a kilobyte of items. */
static void the_members_of_the_body_are_bounded(void **state)
{
	(void)state;
	struct json_list *s = json_list_new(1 << 20);
	for (size_t members = 1023; members <= 1025; members++) {
		char body[8192] = "{\"items\":[]";
		size_t n = strlen(body);
		for (size_t i = 1; i < members; i++, n += 5)
			memcpy(body + n, ",\"\":1", 5);
		strcpy(body + n, "}");
		err_t want = members > 1024 ? ERR_JSON_LIMIT : ERR_OK;
		run(s, body, strlen(body), 0, 8192, &whole);
		run(s, body, strlen(body), 0, 1, &cut);
		assert_int_equal(whole.err, want);
		assert_int_equal(cut.err, want);
		assert_int_equal(whole.end, want ? JSON_LIST_ERROR : JSON_LIST_END);
	}
	json_list_free(&s);
}

/* Of an item: who reads it says what is too deep for a list. */
static void the_depth_is_bounded(void **state)
{
	(void)state;
	static char body[2 * JSON_FLATTEN_DEPTH_MAX + 64];
	static const size_t depths[] = {JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1,
	        JSON_FLATTEN_DEPTH_MAX, JSON_FLATTEN_DEPTH_MAX + 1};
	for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
		size_t depth = depths[i];
		struct json_list *s = json_list_new(1 << 20);
		for (int inner = 0; inner < 2; inner++) {
			size_t most = inner ? JSON_FLATTEN_DEPTH_MAX : JSON_DEPTH_MAX;
			err_t want = depth > most ? ERR_JSON_DEPTH : ERR_OK;
			size_t n = (size_t)sprintf(body, inner ? "{\"items\":[{\"a\":" : "{\"a\":");
			size_t levels = depth - (size_t)inner;
			memset(body + n, '[', levels);
			memset(body + n + levels, ']', levels);
			strcpy(body + n + 2 * levels, inner ? "}]}" : "}");
			run(s, body, strlen(body), 0, 4096, &whole);
			run(s, body, strlen(body), 0, 1, &cut);
			assert_int_equal(whole.err, want);
			assert_int_equal(cut.err, want);
		}
		json_list_free(&s);
	}
}

static void a_reset_forgets_everything(void **state)
{
	(void)state;
	split("{\"kind\":\"A\",\"metadata\":{\"resourceVersion\":\"1\",\"continue\":\"c\","
	      "\"remainingItemCount\":2},\"items\":[{\"a\":\"");
	assert_int_equal(whole.end, JSON_LIST_MORE);
	split("{\"items\":[{}]}");
	assert_int_equal(whole.end, JSON_LIST_END);
	assert_string_equal(whole.text, "{}\n");
	assert_string_equal(whole.kind, "");
	assert_string_equal(whole.resource_version, "");
	assert_string_equal(whole.continue_, "");
}

static void nothing_may_be_fed(void **state)
{
	(void)state;
	struct span item = SPAN("x"), rest = SPAN_NONE;
	json_list_reset(splitter);
	assert_int_equal(json_list_feed(splitter, &rest, &item), JSON_LIST_MORE);
	assert_null(item.p);
	struct span d = doc("{}  ");
	rest = d;
	assert_int_equal(json_list_feed(splitter, &rest, &item), JSON_LIST_END);
	assert_int_equal(rest.n, 0);
	assert_int_equal(json_list_feed(splitter, &rest, &item), JSON_LIST_END);
	rest = (struct span){d.p + 2, 2};
	assert_int_equal(json_list_feed(splitter, &rest, &item), JSON_LIST_END);
	assert_int_equal(rest.n, 0);
	doc_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lists_of_typed_objects_are_split),
	        cmocka_unit_test(lists_with_sorted_keys_are_split),
	        cmocka_unit_test(items_may_be_null_empty_or_absent),
	        cmocka_unit_test(a_cut_body_never_ends),
	        cmocka_unit_test(broken_bodies_are_refused),
	        cmocka_unit_test(a_broken_item_is_left_to_the_scanner),
	        cmocka_unit_test(an_item_is_bounded),
	        cmocka_unit_test(other_values_are_bounded),
	        cmocka_unit_test(the_members_of_the_body_are_bounded),
	        cmocka_unit_test(the_depth_is_bounded),
	        cmocka_unit_test(a_reset_forgets_everything),
	        cmocka_unit_test(nothing_may_be_fed),
	};
	return cmocka_run_group_tests(tests, open_list, close_list);
}
