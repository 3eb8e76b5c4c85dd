#include "kubering/print/custom.h"

#include <ctype.h>
#include <stdlib.h>

#include "kubering/print/columns.h"
#include "kubering/print/json.h"
#include "kubering/text.h"

#define WAIT_NS 5000000000ll

enum { KEY_BYTES = 320, STEPS_MAX = 64 };

struct custom_column {
	char *header, *path;
	bool is_time;
};

struct custom {
	struct custom_column column[TABLE_COLUMNS_MAX];
	unsigned n;
};

/* --- JSONPath ------------------------------------------------------------------------ */

struct find {
	struct text *out;
	int64_t now;
	bool is_time, found;
};

static void walk(struct find *f, struct json_node n, const char *path, unsigned steps);

static void leaf(struct find *f, struct json_node n)
{
	if (f->found || !json_dom_exists(n) || json_dom_type(n) == JSON_NULL)
		return; /* of several, the server's tables show the first */
	f->found = true;
	if (f->is_time)
		cell_age(f->out, n, f->now, "<unknown>");
	else
		cell_text(f->out, n, NULL);
}

/* A name up to '.' or '[', with backslashes taken away; a quoted one up to its quote. Returns
 * behind it. */
static const char *take_key(const char *p, const char *stop, char key[KEY_BYTES])
{
	size_t n = 0;
	for (; *p && !strchr(stop, *p); p++) {
		if (*p == '\\' && p[1])
			p++;
		if (n + 1 < KEY_BYTES)
			key[n++] = *p;
	}
	key[n] = '\0';
	return p;
}

/* "?(@.type=="Ready")]": every element that has it. path stands behind "[?(". */
static void filter(struct find *f, struct json_node array, const char *path, unsigned steps)
{
	char key[KEY_BYTES], want[KEY_BYTES];
	struct json_iter it = {0};
	struct json_node v;
	struct text have = {0};
	if (strncmp(path, "@.", 2) != 0)
		return;
	const char *p = take_key(path + 2, "=! )", key);
	while (*p == ' ')
		p++;
	bool equal = strncmp(p, "==", 2) == 0;
	if (!equal && strncmp(p, "!=", 2) != 0)
		return;
	for (p += 2; *p == ' ';)
		p++;
	char quote[2] = {*p, '\0'};
	bool quoted = *p == '"' || *p == '\'';
	p = take_key(quoted ? p + 1 : p, quoted ? quote : " )", want);
	const char *rest = strchr(p, ']');
	while (rest && json_dom_next(array, &it, NULL, &v)) {
		text_clear(&have);
		cell_text(&have, json_dom_path(v, key), NULL);
		if ((strcmp(text_cstr(&have), want) == 0) == equal)
			walk(f, v, rest + 1, steps);
	}
	text_fini(&have);
}

static void bracket(struct find *f, struct json_node n, const char *p, unsigned steps)
{
	char key[KEY_BYTES];
	struct json_iter it = {0};
	struct json_node v;
	if (p[0] == '?' && p[1] == '(') {
		filter(f, n, p + 2, steps);
	} else if (p[0] == '*' && p[1] == ']') {
		while (json_dom_next(n, &it, NULL, &v))
			walk(f, v, p + 2, steps);
	} else if (*p == '\'' || *p == '"') {
		char quote[2] = {*p, '\0'};
		p = take_key(p + 1, quote, key);
		if (p[0] && p[1] == ']')
			walk(f, json_dom_get(n, key), p + 2, steps);
	} else {
		char *end;
		long at = 0, want = strtol(p, &end, 10);
		if (end == p || *end != ']')
			return;
		if (want < 0)
			want += (long)cell_count(n);
		while (json_dom_next(n, &it, NULL, &v))
			if (at++ == want)
				walk(f, v, end + 1, steps);
	}
}

static void walk(struct find *f, struct json_node n, const char *path, unsigned steps)
{
	char key[KEY_BYTES];
	if (!json_dom_exists(n) || steps == STEPS_MAX)
		return;
	if (*path == '\0') {
		leaf(f, n);
	} else if (*path == '[') {
		bracket(f, n, path + 1, steps + 1);
	} else if (*path == '.') {
		const char *rest = take_key(path + 1, ".[", key);
		walk(f, *key ? json_dom_get(n, key) : n, rest, steps + 1);
	}
}

bool custom_find(struct json_node n, const char *path, bool is_time, int64_t now, struct text *out)
{
	struct find f = {.out = out, .now = now, .is_time = is_time};
	walk(&f, n, path, 0);
	return f.found;
}

/* --- the definition ------------------------------------------------------------------ */

static void add_column(struct custom *c, struct json_node col)
{
	if (c->n == TABLE_COLUMNS_MAX || json_dom_int(json_dom_get(col, "priority"), 0) > 0)
		return;
	struct custom_column *k = &c->column[c->n++];
	k->header = text_copy(json_dom_string(json_dom_get(col, "name")));
	for (char *p = k->header; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	k->path = text_copy(json_dom_string(json_dom_get(col, "jsonPath")));
	k->is_time = span_is(json_dom_string(json_dom_get(col, "type")), "date");
}

struct custom *custom_new(struct span definition, const char *version)
{
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node root, v, col;
	struct json_iter it = {0}, ct = {0};
	struct custom *c = text_alloc(sizeof *c);
	if (dom && json_dom_parse(dom, definition, &root) == ERR_OK)
		while (json_dom_next(json_dom_path(root, "spec.versions"), &it, NULL, &v))
			if (span_is(json_dom_string(json_dom_get(v, "name")), version))
				while (json_dom_next(json_dom_get(v, "additionalPrinterColumns"),
				        &ct, NULL, &col))
					add_column(c, col);
	json_dom_free(&dom);
	if (c->n == 0)
		custom_free(&c);
	return c;
}

struct custom *custom_open(struct kr_client *client, const struct source *source)
{
	struct custom *c = NULL;
	struct kr_list *list = NULL;
	struct kr_object o;
	struct text name = {0}, field = {0};
	text_printf(&name, "%s.%s", source->kind.resource, source->kind.group);
	text_printf(&field, "metadata.name=%s", text_cstr(&name));
	struct kr_list_spec spec = {.size = sizeof spec,
	        .cluster = source->cluster,
	        .group = "apiextensions.k8s.io",
	        .version = "v1",
	        .resource = "customresourcedefinitions",
	        .field_selector = text_cstr(&field)};
	if (kr_list_open(client, &spec, &list) == KR_OK &&
	        kr_list_wait_live(list, WAIT_NS) == KR_OK &&
	        kr_get(list, "", text_cstr(&name), 0, &o) == KR_OK)
		c = custom_new((struct span){o.json, o.json_bytes}, source->kind.version);
	kr_list_close(list);
	text_fini(&name);
	text_fini(&field);
	return c;
}

void custom_free(struct custom **c)
{
	for (unsigned i = 0; *c && i < (*c)->n; i++) {
		free((*c)->column[i].header);
		free((*c)->column[i].path);
	}
	free(*c);
	*c = NULL;
}

/* --- printing ------------------------------------------------------------------------ */

void custom_headers(const struct custom *c, struct table *t)
{
	table_add_column(t, SPAN("NAME"));
	for (unsigned i = 0; i < c->n; i++)
		table_add_column(t, span_of(c->column[i].header));
}

void custom_cells(const struct custom *c, struct json_node object, int64_t now, struct table *t)
{
	struct text cell = {0};
	table_add_cell(t, json_dom_string(json_dom_path(object, "metadata.name")));
	for (unsigned i = 0; i < c->n; i++) {
		text_clear(&cell);
		(void)custom_find(object, c->column[i].path, c->column[i].is_time, now, &cell);
		table_add_cell(t, (struct span){cell.p, cell.n});
	}
	text_fini(&cell);
}
