/* json_event: any bytes as a watch event, as a list item, as a Status and as a DOM.
 *
 * Property: all kernels of tokens.h accept exactly what the naive reader accepts; json_scan_event
 * and json_scan_object then find the same fields as it does in its tree; raw without `cut` is the
 * same object without metadata.managedFields; nothing reads outside of document and slack. The
 * audit with simdjson On-Demand is on for every event. Byte 0 of the input chooses: slack content,
 * stripping, entry point. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "harness/json_naive.h"
#include "json/parser.h"

static struct json_parser *parsers[3];
static size_t parser_count;

static bool is_syntax(err_t e)
{
	return e == ERR_JSON_SYNTAX || e == ERR_JSON_DEPTH;
}

static void same_fields(const struct json_object *a, const struct json_object *b, bool whole)
{
	CHECK(a->raw.p == b->raw.p && a->raw.n == b->raw.n);
	if (!whole)
		return;
	CHECK(span_eq(a->kind, b->kind) && span_eq(a->api_version, b->api_version));
	CHECK(span_eq(a->name, b->name) && span_eq(a->namespace_, b->namespace_));
	CHECK(span_eq(a->uid, b->uid) && span_eq(a->resource_version, b->resource_version));
}

static void check_cut(const struct json_object *o)
{
	struct naive *whole = naive_parse(o->raw, JSON_DEPTH_MAX), *metadata, *managed;
	naive_find(whole, "metadata", &metadata);
	bool has = naive_find(metadata, "managedFields", &managed) > 0;
	CHECK(has == (o->cut.n > 0));
	if (has) {
		CHECK(o->cut.p > o->raw.p && o->cut.p + o->cut.n < o->raw.p + o->raw.n);
		size_t front = (size_t)(o->cut.p - o->raw.p), back = o->raw.n - front - o->cut.n;
		char *rest = malloc(front + back);
		memcpy(rest, o->raw.p, front);
		memcpy(rest + front, o->cut.p + o->cut.n, back);
		struct naive *cut = naive_parse((struct span){rest, front + back}, JSON_DEPTH_MAX);
		naive_remove(metadata, "managedFields");
		CHECK(naive_equal(cut, whole));
		naive_free(cut);
		free(rest);
	}
	naive_free(whole);
}

static void one_event(struct json_parser *p, struct span doc, const struct naive *tree, bool strip)
{
	struct json_event got, want;
	struct json_hint hint = {0};
	err_t e = json_scan_event(p, doc, strip, &hint, &got), expected = naive_event(tree, &want);
	CHECK(is_syntax(e) == (expected == ERR_JSON_SYNTAX));
	CHECK((e == ERR_OK) == (expected == ERR_OK));
	if (e)
		return;
	bool whole = got.type != JSON_EVENT_ERROR;
	CHECK(got.type == want.type && got.initial_events_end == want.initial_events_end);
	same_fields(&got.object, &want.object, whole);
	if (strip && whole)
		check_cut(&got.object);
	else
		CHECK(got.object.cut.n == 0);
}

static void one_object(struct json_parser *p, struct span doc, const struct naive *tree, bool strip)
{
	struct json_object got, want;
	struct json_hint hint = {0};
	err_t e = json_scan_object(p, doc, strip, &hint, &got),
	      expected = naive_object(tree, false, &want);
	CHECK(is_syntax(e) == (expected == ERR_JSON_SYNTAX));
	CHECK((e == ERR_OK) == (expected == ERR_OK));
	if (e)
		return;
	same_fields(&got, &want, true);
	if (strip)
		check_cut(&got);
}

static void one_status(struct json_parser *p, struct span doc, const struct naive *tree)
{
	struct json_status st;
	struct naive *kind;
	err_t e = json_scan_status(p, doc, &st);
	CHECK(is_syntax(e) == !tree);
	if (e || st.code == 0)
		return;
	CHECK(tree->type == NAIVE_OBJECT);
	naive_find(tree, "kind", &kind);
	CHECK(!kind || kind->type != NAIVE_STRING ||
	        span_is((struct span){kind->text, kind->text_n}, "Status"));
}

/* The DOM against the tree, all nodes. */
static void same_tree(struct json_node n, const struct naive *t)
{
	static const enum json_type types[] = {
	        JSON_NULL, JSON_BOOL, JSON_BOOL, JSON_INT, JSON_STRING, JSON_ARRAY, JSON_OBJECT};
	enum json_type type = json_dom_type(n);
	CHECK(type == types[t->type] || (type == JSON_DOUBLE && t->type == NAIVE_NUMBER));
	if (type == JSON_STRING)
		CHECK(span_eq(json_dom_string(n), (struct span){t->text, t->text_n}));
	if (type == JSON_BOOL)
		CHECK(json_dom_bool(n, t->type != NAIVE_TRUE) == (t->type == NAIVE_TRUE));
	struct json_iter it = {0};
	struct json_node value;
	struct span key;
	const struct naive *child = t->first;
	for (; json_dom_next(n, &it, &key, &value); child = child->next) {
		CHECK(child);
		if (child->key)
			CHECK(span_eq(key, (struct span){child->key->text, child->key->text_n}));
		same_tree(value, child);
	}
	CHECK(!child);
}

static void one_dom(struct span doc, const struct naive *tree)
{
	struct json_dom *d = json_dom_new();
	struct json_node root;
	err_t e = json_dom_parse(d, doc, &root);
	CHECK(is_syntax(e) == !tree);
	CHECK(json_dom_exists(root) == (e == ERR_OK));
	if (!e)
		same_tree(root, tree);
	json_dom_free(&d);
}

/* What is flattened is JSON if and only if the document is, and is no deeper than can be read. Who
 * it is does not change. */
static void one_flat(struct json_parser *p, struct span doc, const struct naive *tree)
{
	struct naive *all = naive_parse(doc, JSON_FLATTEN_DEPTH_MAX);
	struct json_event got, want;
	struct span flat;
	char *text;
	err_t e = json_flatten(p, doc, &flat, &text);
	struct naive *rest = e ? NULL : naive_parse(flat, JSON_DEPTH_MAX);
	CHECK((all != NULL) == (rest != NULL));
	CHECK(e || flat.n <= doc.n);
	if (tree && naive_event(tree, &want) == ERR_OK && want.type != JSON_EVENT_ERROR) {
		CHECK(json_scan_event(p, flat, false, NULL, &got) == ERR_OK);
		CHECK(got.type == want.type);
		CHECK(span_eq(got.object.name, want.object.name));
		CHECK(span_eq(got.object.namespace_, want.object.namespace_));
		CHECK(span_eq(got.object.resource_version, want.object.resource_version));
	}
	naive_free(rest);
	naive_free(all);
	free(text);
}

/* One for each kernel that this CPU has. */
static void open_parsers(void)
{
	for (int k = TOKENS_KERNEL_PORTABLE; k <= TOKENS_KERNEL_AVX512; k++) {
		parsers[parser_count] = parser_new(4096, 1 << 20, (enum tokens_kernel)k);
		parser_count += parsers[parser_count] != NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (!parser_count)
		open_parsers();
	uint8_t how = data[0];
	size_t n = size - 1;
	char *copy = malloc(n + JSON_PADDING);
	memcpy(copy, data + 1, n);
	/* What stands behind the document must not matter. */
	memset(copy + n, "\"}\\0"[how >> 4 & 3], JSON_PADDING);
	struct span doc = {copy, n};
	struct naive *tree = naive_parse(doc, JSON_DEPTH_MAX);
	for (size_t k = 0; k < parser_count; k++) {
		bool strip = how & 1;
		switch (how >> 1 & 7) {
		case 0: one_object(parsers[k], doc, tree, strip); break;
		case 1: one_status(parsers[k], doc, tree); break;
		case 2: one_dom(doc, tree); break;
		case 3: one_flat(parsers[k], doc, tree); break;
		default: one_event(parsers[k], doc, tree, strip); break;
		}
	}
	naive_free(tree);
	free(copy);
	return 0;
}
