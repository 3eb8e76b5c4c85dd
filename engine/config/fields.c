#include "config/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "config/file.h"

enum { FIELDS_NAME_MAX = 32, FIELDS_NEAR_MAX = 2, FIELDS_ITEMS_MAX = 100000 };

void fields_fail(
        struct fields *f, const struct yaml_node *at, const char *path, const char *fmt, ...)
{
	char text[PROBLEM_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	problem_add(f->problems, PROBLEM_LEVEL_ERROR, yaml_place(f->yaml, at), "%s%s%s", path,
	        path[0] ? ": " : "", text);
}

/* --- did you mean ------------------------------------------------------------------------ */

/* Levenshtein distance without regard to case and '_'; both names shorter than FIELDS_NAME_MAX. */
static unsigned fields_distance(const char *a, const char *b)
{
	unsigned row[FIELDS_NAME_MAX];
	size_t n = strlen(b);
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; *a != '\0'; a++) {
		if (*a == '_')
			continue;
		unsigned diagonal = row[0];
		row[0] = (unsigned)i++;
		for (size_t j = 1; j <= n; j++) {
			unsigned cost = (*a | 0x20) != (b[j - 1] | 0x20);
			unsigned best = diagonal + cost;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

static const char *fields_nearest(const char *name, const struct fields_row *rows, size_t row_count)
{
	const char *nearest = NULL;
	unsigned least = FIELDS_NEAR_MAX + 1;
	if (strlen(name) >= FIELDS_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < row_count; i++) {
		unsigned d = fields_distance(name, rows[i].name);
		if (d < least && d < strlen(rows[i].name)) {
			least = d;
			nearest = rows[i].name;
		}
	}
	return nearest;
}

static void fields_unknown(struct fields *f, const struct yaml_node *key, const char *path,
        const struct fields_row *rows, size_t row_count)
{
	const char *nearest = fields_nearest(key->text.p, rows, row_count);
	if (nearest)
		fields_fail(f, key, path, "unknown field \"%.64s\"; did you mean \"%s\"?",
		        key->text.p, nearest);
	else
		fields_fail(f, key, path, "unknown field \"%.64s\"", key->text.p);
}

/* --- values ------------------------------------------------------------------------------ */

bool fields_number(struct span text, bool bytes, uint64_t *out)
{
	static const char *const units[] = {"Ki", "Mi", "Gi"};
	uint64_t v = 0;
	size_t i = 0;
	for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		        __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
			return false;
	if (i == 0)
		return false;
	struct span unit = {text.p + i, text.n - i};
	for (unsigned u = 0; bytes && u < ARRAY_LEN(units); u++) {
		if (span_is(unit, units[u])) {
			*out = v << (10 * (u + 1));
			return *out >> (10 * (u + 1)) == v;
		}
	}
	*out = v;
	return unit.n == 0;
}

static void fields_read_number(struct fields *f, const struct yaml_node *n, const char *path,
        const struct fields_row *row, uint64_t *out)
{
	bool bytes = row->type == FIELDS_TYPE_BYTES;
	uint64_t v;
	if (n->kind != YAML_KIND_SCALAR || !fields_number(n->text, bytes, &v))
		fields_fail(f, n, path, "expected a number%s, found %s",
		        bytes ? " of bytes (such as 4096, 64Ki, 8Mi or 1Gi)" : "",
		        n->kind == YAML_KIND_SCALAR ? "something else" : yaml_kind_text(n));
	else if (v < row->min || v > row->max)
		fields_fail(f, n, path, "must be from %llu to %llu", (unsigned long long)row->min,
		        (unsigned long long)row->max);
	else
		*out = v;
}

static void fields_read_word(struct fields *f, const struct yaml_node *n, const char *path,
        const struct fields_row *row, unsigned *out)
{
	char all[128] = "";
	for (unsigned i = 0; i < FIELDS_WORDS_MAX && row->words[i]; i++) {
		if (n->kind == YAML_KIND_SCALAR && span_is(n->text, row->words[i])) {
			*out = i;
			return;
		}
		size_t used = strlen(all);
		snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", row->words[i]);
	}
	fields_fail(f, n, path, "must be one of: %s", all);
}

/* NULL: reported. */
static const char *fields_text(
        struct fields *f, const struct yaml_node *n, const char *path, bool is_path)
{
	if (n->kind != YAML_KIND_SCALAR) {
		fields_fail(f, n, path, "expected a string, found %s", yaml_kind_text(n));
		return NULL;
	}
	if (n->text.n == 0) {
		fields_fail(f, n, path, "must not be empty");
		return NULL;
	}
	if (is_path && n->text.p[0] == '~') {
		fields_fail(f, n, path, "~ is not expanded; write the whole path");
		return NULL;
	}
	const char *text = is_path ? file_resolve(f->directory, n->text.p, f->arena)
	                           : arena_copy(f->arena, n->text);
	if (!text)
		fields_fail(f, n, path, "out of memory");
	return text;
}

size_t fields_items(struct fields *f, const struct yaml_node *list, const char *path)
{
	if (yaml_is_null(list))
		return 0;
	if (list->kind != YAML_KIND_LIST) {
		fields_fail(f, list, path, "expected a list, found %s", yaml_kind_text(list));
		return 0;
	}
	if (list->count > FIELDS_ITEMS_MAX) {
		fields_fail(f, list, path, "has more than %d items", FIELDS_ITEMS_MAX);
		return 0;
	}
	return list->count;
}

static void fields_read_texts(struct fields *f, const struct yaml_node *n, const char *path,
        bool is_path, struct fields_texts *out)
{
	bool one = n->kind == YAML_KIND_SCALAR;
	size_t count = one ? 1 : fields_items(f, n, path);
	const char **texts = arena_array(f->arena, count, sizeof(*texts));
	if (!texts) {
		fields_fail(f, n, path, "out of memory");
		return;
	}
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		texts[kept] = fields_text(f, one ? n : n->items[i], path, is_path);
		kept += texts[kept] != NULL;
	}
	*out = (struct fields_texts){texts, kept};
}

static void fields_read_value(struct fields *f, const struct yaml_node *n, const char *path,
        const struct fields_row *row, void *out)
{
	const char *text;
	bool value;
	switch (row->type) {
	case FIELDS_TYPE_TEXT:
	case FIELDS_TYPE_PATH:
		text = fields_text(f, n, path, row->type == FIELDS_TYPE_PATH);
		if (text)
			*(const char **)out = text;
		return;
	case FIELDS_TYPE_BOOL:
		/* YAML 1.1 also has yes and on; in our own file there is one way to say it */
		if (yaml_bool(n, &value) && strcasecmp(n->text.p, value ? "true" : "false") == 0)
			*(bool *)out = value;
		else
			fields_fail(f, n, path, "must be true or false");
		return;
	case FIELDS_TYPE_NUMBER:
	case FIELDS_TYPE_BYTES: fields_read_number(f, n, path, row, out); return;
	case FIELDS_TYPE_WORD: fields_read_word(f, n, path, row, out); return;
	case FIELDS_TYPE_TEXTS: fields_read_texts(f, n, path, false, out); return;
	case FIELDS_TYPE_PATHS: fields_read_texts(f, n, path, true, out); return;
	case FIELDS_TYPE_NODE: *(const struct yaml_node **)out = n; return;
	}
}

void fields_read(struct fields *f, const struct yaml_node *map, const char *path,
        const struct fields_row *rows, size_t row_count, void *target)
{
	if (yaml_is_null(map))
		return;
	if (map->kind != YAML_KIND_MAP) {
		fields_fail(f, map, path, "expected a mapping, found %s", yaml_kind_text(map));
		return;
	}
	for (uint32_t i = 0; i < map->count; i++) {
		const struct yaml_node *key = map->pairs[i].key, *value = map->pairs[i].value;
		const struct fields_row *row = NULL;
		for (size_t k = 0; k < row_count && !row; k++)
			if (span_is(key->text, rows[k].name))
				row = &rows[k];
		if (!row) {
			fields_unknown(f, key, path, rows, row_count);
			continue;
		}
		char sub[FIELDS_PATH_BYTES];
		snprintf(sub, sizeof sub, "%s%s%s", path, path[0] ? "." : "", row->name);
		if (!yaml_is_null(value)) /* a key without a value means the default */
			fields_read_value(f, value, sub, row, (char *)target + row->offset);
	}
}
