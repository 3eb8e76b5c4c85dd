#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/check.h"

/* Node memory is bounded by YAML_NODES_MAX, scalar bytes by YAML_BYTES_MAX. */
enum { YAML_ARENA_BYTES = 512 << 20, YAML_PAIRS_LINEAR_MAX = 16 };

struct yaml_frame { /* a mapping or list that is still open */
	struct yaml_node *node;
	size_t first; /* its children are pending[first ..] */
};

struct yaml_anchor {
	const char *name; /* in the arena */
	struct yaml_node *node;
};

/* Owner, thread and life: one call of yaml_load. */
struct yaml_builder {
	struct yaml *y;
	struct problem_list *problems;
	struct span bytes;
	yaml_parser_t parser;
	struct yaml_node **pending; /* own; children of the open containers, outermost first */
	size_t pending_count, pending_capacity;
	struct yaml_frame frames[YAML_DEPTH_MAX];
	uint32_t depth;
	struct yaml_anchor anchors[YAML_ANCHORS_MAX];
	uint32_t anchor_count;
	uint64_t weight; /* of all finished nodes and aliases */
	uint32_t documents;
	err_t err;
};

#define YAML_FAIL(b, mark, ...) (b)->err = yaml_fail((b), (mark), __VA_ARGS__)

static err_t yaml_fail(
        struct yaml_builder *b, yaml_mark_t mark, const char *what, const char *which)
{
	struct problem_place at = {b->y->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
	problem_add(b->problems, PROBLEM_LEVEL_ERROR, at, "%s%s", what, which);
	return ERR_CONFIG;
}

static err_t yaml_fail_memory(struct yaml_builder *b)
{
	problem_add(b->problems, PROBLEM_LEVEL_ERROR, (struct problem_place){b->y->file, 0, 0},
	        "out of memory");
	return b->err = ERR_NO_MEMORY;
}

/* The reader counts bytes, not lines. */
static yaml_mark_t yaml_mark_at(struct span bytes, size_t offset)
{
	yaml_mark_t m = {.index = offset};
	for (size_t i = 0; i < offset && i < bytes.n; i++) {
		m.column++;
		if (bytes.p[i] == '\n') {
			m.line++;
			m.column = 0;
		}
	}
	return m;
}

/* libyaml's texts are static and quote nothing of the document, so they are safe to show. */
static err_t yaml_fail_parser(struct yaml_builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *what = p->problem ? p->problem : "not valid YAML";
	if (p->error == YAML_MEMORY_ERROR)
		return yaml_fail_memory(b);
	if (p->error == YAML_READER_ERROR)
		return yaml_fail(b, yaml_mark_at(b->bytes, p->problem_offset), what, "");
	return yaml_fail(b, p->problem_mark, what, "");
}

static bool yaml_pend(struct yaml_builder *b, struct yaml_node *n)
{
	if (b->pending_count == b->pending_capacity) {
		size_t capacity = b->pending_capacity ? b->pending_capacity * 2 : 256;
		struct yaml_node **pending = realloc(b->pending, capacity * sizeof(*pending));
		if (!pending)
			return false;
		b->pending = pending;
		b->pending_capacity = capacity;
	}
	b->pending[b->pending_count++] = n;
	return true;
}

static struct yaml_node *yaml_node_new(
        struct yaml_builder *b, enum yaml_kind kind, const yaml_event_t *e)
{
	struct yaml_node *n = arena_alloc(&b->y->arena, sizeof *n);
	if (!n) {
		yaml_fail_memory(b);
		return NULL;
	}
	n->kind = kind;
	n->line = (uint32_t)e->start_mark.line + 1;
	n->column = (uint32_t)e->start_mark.column + 1;
	n->weight = 1;
	return n;
}

static struct yaml_anchor *yaml_anchor_find(struct yaml_builder *b, const char *name)
{
	for (uint32_t i = 0; i < b->anchor_count; i++)
		if (strcmp(b->anchors[i].name, name) == 0)
			return &b->anchors[i];
	return NULL;
}

static void yaml_anchor_set(
        struct yaml_builder *b, const yaml_char_t *name, struct yaml_node *node, yaml_mark_t mark)
{
	if (!name)
		return;
	struct yaml_anchor *a = yaml_anchor_find(b, (const char *)name);
	if (a) { /* an anchor may be given again; aliases mean the last one */
		a->node = node;
		return;
	}
	if (b->anchor_count == YAML_ANCHORS_MAX) {
		YAML_FAIL(b, mark, "too many anchors", "");
		return;
	}
	const char *copy = arena_copy(&b->y->arena, span_of((const char *)name));
	if (!copy) {
		yaml_fail_memory(b);
		return;
	}
	b->anchors[b->anchor_count++] = (struct yaml_anchor){copy, node};
}

/* A finished child: charged with all that it stands for, and handed to the open container or made
 * the root. */
static void yaml_add(struct yaml_builder *b, struct yaml_node *n, yaml_mark_t mark)
{
	b->weight += n->weight;
	if (b->weight > YAML_NODES_MAX)
		YAML_FAIL(b, mark, "too many nodes (aliases count as what they stand for)", "");
	else if (b->depth == 0)
		b->y->root = n;
	else if (!yaml_pend(b, n))
		yaml_fail_memory(b);
}

/* Core-schema tags change nothing but !!str; anything else would need a type that we do not have.
 */
static bool yaml_tag_allowed(const yaml_char_t *tag)
{
	static const char prefix[] = "tag:yaml.org,2002:";
	static const char *const known[] = {"str", "int", "bool", "null", "float", "map", "seq"};
	if (!tag)
		return true;
	const char *t = (const char *)tag;
	if (strcmp(t, "!") == 0)
		return true;
	if (strncmp(t, prefix, sizeof prefix - 1) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(t + sizeof prefix - 1, known[i]) == 0)
			return true;
	return false;
}

static void yaml_on_scalar(struct yaml_builder *b, const yaml_event_t *e)
{
	struct span text = {(const char *)e->data.scalar.value, e->data.scalar.length};
	if (!yaml_tag_allowed(e->data.scalar.tag)) {
		YAML_FAIL(b, e->start_mark, "unknown tag ", (const char *)e->data.scalar.tag);
		return;
	}
	if (memchr(text.p, '\0', text.n)) {
		YAML_FAIL(b, e->start_mark, "a NUL character inside a string", "");
		return;
	}
	struct yaml_node *n = yaml_node_new(b, YAML_KIND_SCALAR, e);
	if (!n)
		return;
	/* "!!str 12" is a string; "12" is whatever its reader wants. */
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && e->data.scalar.plain_implicit;
	n->text.p = arena_copy(&b->y->arena, text);
	n->text.n = text.n;
	if (!n->text.p) {
		yaml_fail_memory(b);
		return;
	}
	yaml_anchor_set(b, e->data.scalar.anchor, n, e->start_mark);
	if (b->err == ERR_OK)
		yaml_add(b, n, e->start_mark);
}

static void yaml_on_alias(struct yaml_builder *b, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	const struct yaml_anchor *a = yaml_anchor_find(b, name);
	if (!a) {
		YAML_FAIL(b, e->start_mark, "alias of an unknown anchor: *", name);
		return;
	}
	for (uint32_t i = 0; i < b->depth; i++) {
		if (b->frames[i].node == a->node) {
			YAML_FAIL(b, e->start_mark, "anchor contains itself: *", name);
			return;
		}
	}
	yaml_add(b, a->node, e->start_mark);
}

static void yaml_on_open(struct yaml_builder *b, enum yaml_kind kind, const yaml_event_t *e)
{
	bool map = kind == YAML_KIND_MAP;
	const yaml_char_t *tag = map ? e->data.mapping_start.tag : e->data.sequence_start.tag;
	if (!yaml_tag_allowed(tag)) {
		YAML_FAIL(b, e->start_mark, "unknown tag ", (const char *)tag);
		return;
	}
	if (b->depth == YAML_DEPTH_MAX) {
		YAML_FAIL(b, e->start_mark, "nested too deep", "");
		return;
	}
	struct yaml_node *n = yaml_node_new(b, kind, e);
	if (!n)
		return;
	yaml_anchor_set(b, map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor, n,
	        e->start_mark);
	b->frames[b->depth++] = (struct yaml_frame){n, b->pending_count};
}

static yaml_mark_t yaml_node_mark(const struct yaml_node *n)
{
	return (yaml_mark_t){.line = n->line - 1, .column = n->column - 1};
}

static int yaml_pair_order(const void *a, const void *b)
{
	struct span x = ((const struct yaml_pair *)a)->key->text;
	struct span y = ((const struct yaml_pair *)b)->key->text;
	int c = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
	return c ? c : (x.n > y.n) - (x.n < y.n);
}

static const struct yaml_node *yaml_pairs_twice(const struct yaml_pair *pairs, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (span_eq(pairs[i].key->text, pairs[j].key->text))
				return pairs[i].key;
	return NULL;
}

/* The second of two equal keys of a large mapping, found by sorting a copy. */
static const struct yaml_node *yaml_pairs_twice_large(
        struct yaml_builder *b, const struct yaml_pair *pairs, size_t n)
{
	struct yaml_pair *sorted = malloc(n * sizeof *sorted);
	if (!sorted) {
		yaml_fail_memory(b);
		return NULL;
	}
	memcpy(sorted, pairs, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, yaml_pair_order);
	const struct yaml_node *twice = NULL;
	for (size_t i = 1; i < n && !twice; i++) {
		const struct yaml_node *x = sorted[i - 1].key, *y = sorted[i].key;
		if (!span_eq(x->text, y->text))
			continue;
		bool later = y->line > x->line || (y->line == x->line && y->column > x->column);
		twice = later ? y : x;
	}
	free(sorted);
	return twice;
}

static void yaml_check_keys(struct yaml_builder *b, const struct yaml_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pairs[i].key->kind != YAML_KIND_SCALAR) {
			YAML_FAIL(b, yaml_node_mark(pairs[i].key), "a key must be a string", "");
			return;
		}
	}
	const struct yaml_node *twice = n <= YAML_PAIRS_LINEAR_MAX
	                                        ? yaml_pairs_twice(pairs, n)
	                                        : yaml_pairs_twice_large(b, pairs, n);
	if (twice)
		YAML_FAIL(b, yaml_node_mark(twice), "key given twice: ", twice->text.p);
}

/* Appends what map has and the first n pairs of out lack; returns the new count. */
static size_t yaml_merge_one(struct yaml_pair *out, size_t n, const struct yaml_node *map)
{
	size_t count = n;
	for (uint32_t i = 0; i < map->count; i++) {
		bool there = false;
		for (size_t j = 0; j < n && !there; j++)
			there = span_eq(out[j].key->text, map->pairs[i].key->text);
		if (!there)
			out[count++] = map->pairs[i];
	}
	return count;
}

/* "<<: *a" or "<<: [*a, *b]" (https://yaml.org/type/merge.html): keys that are not there yet are
 * taken over; the first source wins. */
static void yaml_merge(struct yaml_builder *b, struct yaml_node *map, uint32_t at)
{
	struct yaml_node *value = map->pairs[at].value;
	struct yaml_node **sources = value->kind == YAML_KIND_LIST ? value->items : &value;
	uint32_t source_count = value->kind == YAML_KIND_LIST ? value->count : 1;
	size_t total = map->count;
	for (uint32_t i = 0; i < source_count; i++) {
		if (sources[i]->kind != YAML_KIND_MAP) {
			YAML_FAIL(b, yaml_node_mark(map->pairs[at].key), "<< needs a mapping", "");
			return;
		}
		total += sources[i]->count;
	}
	if (total > YAML_PAIRS_LINEAR_MAX * 16) { /* the merge compares all with all */
		YAML_FAIL(b, yaml_node_mark(map->pairs[at].key), "<< merges too many keys", "");
		return;
	}
	struct yaml_pair *pairs = arena_array(&b->y->arena, total, sizeof *pairs);
	if (!pairs) {
		yaml_fail_memory(b);
		return;
	}
	size_t n = 0;
	for (uint32_t i = 0; i < map->count; i++)
		if (i != at)
			pairs[n++] = map->pairs[i];
	for (uint32_t i = 0; i < source_count; i++)
		n = yaml_merge_one(pairs, n, sources[i]);
	map->pairs = pairs;
	map->count = (uint32_t)n;
}

static void yaml_close_map(
        struct yaml_builder *b, struct yaml_node *map, struct yaml_node **children, size_t count)
{
	if (count / 2 > YAML_KEYS_MAX) {
		YAML_FAIL(b, yaml_node_mark(map), "too many keys in a mapping", "");
		return;
	}
	map->count = (uint32_t)(count / 2);
	map->pairs = arena_array(&b->y->arena, map->count, sizeof *map->pairs);
	if (!map->pairs) {
		yaml_fail_memory(b);
		return;
	}
	for (uint32_t i = 0; i < map->count; i++)
		map->pairs[i] = (struct yaml_pair){children[2 * i], children[2 * i + 1]};
	yaml_check_keys(b, map->pairs, map->count);
	for (uint32_t i = 0; i < map->count && b->err == ERR_OK; i++) {
		const struct yaml_node *key = map->pairs[i].key;
		if (key->plain && span_is(key->text, "<<")) {
			yaml_merge(b, map, i);
			break;
		}
	}
}

static void yaml_on_close(struct yaml_builder *b, const yaml_event_t *e)
{
	struct yaml_frame f = b->frames[--b->depth];
	struct yaml_node **children = b->pending ? b->pending + f.first : NULL;
	size_t count = b->pending_count - f.first;
	struct yaml_node *n = f.node;
	uint64_t weight = 1;
	for (size_t i = 0; i < count; i++)
		weight += children[i]->weight;
	b->weight -=
	        weight - 1; /* the children were charged one by one; yaml_add charges the whole */
	n->weight = (uint32_t)weight;
	if (n->kind == YAML_KIND_MAP) {
		yaml_close_map(b, n, children, count);
	} else {
		n->count = (uint32_t)count;
		n->items = arena_array(&b->y->arena, count, sizeof *n->items);
		if (!n->items)
			yaml_fail_memory(b);
		else if (count > 0)
			memcpy(n->items, children, count * sizeof(*children));
	}
	b->pending_count = f.first;
	if (b->err == ERR_OK)
		yaml_add(b, n, e->start_mark);
}

static void yaml_on_event(struct yaml_builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++ > 0)
			YAML_FAIL(b, e->start_mark, "a second document; only one is allowed", "");
		break;
	case YAML_SCALAR_EVENT: yaml_on_scalar(b, e); break;
	case YAML_ALIAS_EVENT: yaml_on_alias(b, e); break;
	case YAML_MAPPING_START_EVENT: yaml_on_open(b, YAML_KIND_MAP, e); break;
	case YAML_SEQUENCE_START_EVENT: yaml_on_open(b, YAML_KIND_LIST, e); break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT: yaml_on_close(b, e); break;
	default: break; /* stream start, document end, no event */
	}
}

/* Scalars may be credentials: wiped before libyaml frees them. */
static void yaml_event_wipe(yaml_event_t *e)
{
	if (e->type == YAML_SCALAR_EVENT)
		explicit_bzero(e->data.scalar.value, e->data.scalar.length);
	yaml_event_delete(e);
}

static void yaml_parser_wipe(yaml_parser_t *p)
{
	explicit_bzero(p->raw_buffer.start, (size_t)(p->raw_buffer.end - p->raw_buffer.start));
	explicit_bzero(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
	yaml_parser_delete(p);
}

static void yaml_build(struct yaml_builder *b)
{
	yaml_parser_set_input_string(&b->parser, (const unsigned char *)b->bytes.p, b->bytes.n);
	for (bool end = false; !end && b->err == ERR_OK;) {
		yaml_event_t e;
		if (!yaml_parser_parse(&b->parser, &e)) {
			b->err = yaml_fail_parser(b);
			return;
		}
		end = e.type == YAML_STREAM_END_EVENT;
		yaml_on_event(b, &e);
		yaml_event_wipe(&e);
	}
	if (b->err == ERR_OK && b->y->root && yaml_is_null(b->y->root))
		b->y->root = NULL;
}

err_t yaml_load(struct yaml *y, const char *file, struct span bytes, struct problem_list *problems)
{
	*y = (struct yaml){0};
	arena_init(&y->arena, YAML_ARENA_BYTES);
	if (bytes.n > YAML_BYTES_MAX) {
		problem_add(problems, PROBLEM_LEVEL_ERROR, (struct problem_place){file, 0, 0},
		        "larger than %d MiB", YAML_BYTES_MAX >> 20);
		return ERR_LIMIT;
	}
	struct yaml_builder *b = calloc(1, sizeof *b);
	y->file = arena_copy(&y->arena, span_of(file));
	if (!b || !y->file || !yaml_parser_initialize(&b->parser)) {
		problem_add(problems, PROBLEM_LEVEL_ERROR, (struct problem_place){file, 0, 0},
		        "out of memory");
		free(b);
		arena_fini(&y->arena);
		return ERR_NO_MEMORY;
	}
	b->y = y;
	b->problems = problems;
	b->bytes = bytes.p ? bytes : SPAN("");
	yaml_build(b);
	err_t e = b->err;
	yaml_parser_wipe(&b->parser);
	free(b->pending);
	free(b);
	if (e != ERR_OK)
		yaml_fini(y);
	return e;
}

void yaml_fini(struct yaml *y)
{
	arena_fini(&y->arena);
	y->root = NULL;
	y->file = NULL;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->kind != YAML_KIND_MAP)
		return NULL;
	for (uint32_t i = 0; i < map->count; i++)
		if (span_is(map->pairs[i].key->text, key))
			return map->pairs[i].value;
	return NULL;
}

static bool yaml_is_one_of(struct span text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(text, words[i]))
			return true;
	return false;
}

bool yaml_is_null(const struct yaml_node *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	if (!n)
		return true;
	return n->kind == YAML_KIND_SCALAR && n->plain &&
	       yaml_is_one_of(n->text, words, ARRAY_LEN(words));
}

bool yaml_bool(const struct yaml_node *n, bool *out)
{
	static const char *const yes[] = {
	        "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"};
	static const char *const no[] = {
	        "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"};
	if (!n || n->kind != YAML_KIND_SCALAR || !n->plain)
		return false;
	*out = yaml_is_one_of(n->text, yes, ARRAY_LEN(yes));
	return *out || yaml_is_one_of(n->text, no, ARRAY_LEN(no));
}

struct problem_place yaml_place(const struct yaml *y, const struct yaml_node *n)
{
	return (struct problem_place){y->file, n ? n->line : 0, n ? n->column : 0};
}

const char *yaml_kind_text(const struct yaml_node *n)
{
	bool ignored;
	if (yaml_is_null(n))
		return "nothing";
	if (n->kind != YAML_KIND_SCALAR)
		return n->kind == YAML_KIND_MAP ? "a mapping" : "a list";
	return yaml_bool(n, &ignored) ? "a boolean" : "a string";
}
