/* get.c - the list as it is now. */
#include <stdlib.h>
#include <string.h>

#include "kubering/commands.h"
#include "kubering/print/json.h"
#include "kubering/print/objects.h"
#include "kubering/print/rows.h"
#include "kubering/say.h"
#include "kubering/text.h"

#define WAIT_FRESH_NS 30000000000ll /* with no --timeout: so long nothing may move */

enum { TRIES = 10, OBJECT_BYTES_MAX = 1 << 30 };

/* One object, as a line of JSON. */
struct item {
	const struct source *source;
	size_t key, name, line, line_end; /* offsets into text */
};

/* Everything that is to be printed, because it is printed in order. */
struct get {
	const struct args *args;
	struct sources sources;
	struct rows rows; /* table */
	struct json_parser *parser;
	struct text text;
	struct item *items; /* everything else */
	size_t n, cap;
};

static void add_item(struct get *g, const struct source *v, const struct kr_object *o)
{
	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 256;
		struct item *items = realloc(g->items, cap * sizeof *items);
		if (!items) {
			say_error("out of memory");
			exit(CODE_FAILED);
		}
		g->items = items;
		g->cap = cap;
	}
	struct item *i = &g->items[g->n++];
	struct text key = {0};
	rows_key(&key, v->cluster, o);
	i->source = v;
	i->key = g->text.n;
	text_add(&g->text, (struct span){key.p, key.n});
	text_add_char(&g->text, '\0');
	text_fini(&key);
	i->name = g->text.n;
	text_add(&g->text, span_of(o->name));
	text_add_char(&g->text, '\0');
	i->line = g->text.n;
	if (g->args->output != OUTPUT_NAME)
		json_add_object(&g->text, g->parser, &v->kind,
		        g->sources.show_cluster ? v->cluster : NULL,
		        (struct span){o->json, o->json_bytes});
	i->line_end = g->text.n;
}

static void add(struct get *g, const struct source *v, const struct kr_object *o)
{
	if (g->args->output == OUTPUT_TABLE)
		rows_add(&g->rows, v->cluster, o, NULL);
	else
		add_item(g, v, o);
}

static void undo(struct get *g, size_t rows, size_t items)
{
	table_rollback(&g->rows.table, rows);
	if (items < g->n)
		g->text.n = g->items[items].key;
	g->n = items;
}

/* The whole list at one position; again if the reader was too slow for it. */
static int take_list(struct get *g, const struct source *v)
{
	int r = KR_OK;
	for (int i = 0; i < TRIES; i++) {
		struct kr_view view;
		struct kr_object o;
		size_t rows = g->rows.table.n, items = g->n;
		r = kr_view_begin(v->list, &view);
		while (r == KR_OK && (r = kr_view_next(&view, &o)) == KR_OK)
			add(g, v, &o);
		if (r == KR_END)
			r = kr_view_end(&view);
		else
			(void)kr_view_end(&view);
		if (r == KR_OK)
			return CODE_OK;
		undo(g, rows, items);
		if (r != KR_ERR_OVERRUN)
			break;
	}
	return say_result(g->sources.client, r, v->cluster);
}

static int take_one(struct get *g, const struct source *v)
{
	struct kr_object o;
	const char *ns = v->namespace_;
	int r = kr_get(v->list, ns, g->args->name, 0, &o);
	if (r == KR_OK) {
		add(g, v, &o);
		return CODE_OK;
	}
	if (r != KR_ERR_NOT_FOUND)
		return say_result(g->sources.client, r, v->cluster);
	say_error("%s%s%s \"%s\" not found in cluster %s%s%s", v->kind.resource,
	        *v->kind.group ? "." : "", v->kind.group, g->args->name, v->cluster,
	        *ns ? ", namespace " : "", ns);
	return CODE_FAILED;
}

static int by_key(const void *a, const void *b, void *text)
{
	const struct item *x = a, *y = b;
	return strcmp((const char *)text + x->key, (const char *)text + y->key);
}

static void print_items(struct get *g)
{
	struct objects out;
	bool list = !g->args->name || g->args->all_clusters;
	if (g->n > 1)
		qsort_r(g->items, g->n, sizeof *g->items, by_key, g->text.p);
	if (!list && g->n == 0)
		return;
	objects_open(&out, stdout, g->args->output, list);
	for (size_t i = 0; i < g->n; i++) {
		const struct item *it = &g->items[i];
		objects_add(&out, &it->source->kind, g->text.p + it->name,
		        (struct span){g->text.p + it->line, it->line_end - it->line});
	}
	objects_close(&out);
}

static void print_rows(struct get *g)
{
	const struct args *a = g->args;
	const struct source *v = &g->sources.v[0];
	if (g->rows.table.n > 0) {
		table_sort(&g->rows.table);
		table_print(&g->rows.table, stdout);
	} else if (!a->name && *v->namespace_) {
		say_note("No resources found in %s namespace.", v->namespace_);
	} else if (!a->name) {
		say_note("No resources found");
	}
}

int command_get(const struct args *a)
{
	struct get g = {.args = a};
	int code = sources_open(&g.sources, a);
	if (code == CODE_OK)
		code = sources_wait(&g.sources, a, SOURCE_LIVE, WAIT_FRESH_NS);
	if (code == CODE_OK) {
		g.parser = text_need(json_parser_new(1 << 16, OBJECT_BYTES_MAX));
		rows_open(&g.rows, &g.sources, a);
		for (size_t i = 0; i < g.sources.n; i++) {
			int c = a->name ? take_one(&g, &g.sources.v[i])
			                : take_list(&g, &g.sources.v[i]);
			code = code ? code : c;
		}
		if (a->output == OUTPUT_TABLE)
			print_rows(&g);
		else
			print_items(&g);
		rows_close(&g.rows);
		json_parser_free(&g.parser);
		code = code ? code : g.sources.code;
	}
	free(g.items);
	text_fini(&g.text);
	sources_close(&g.sources);
	return code;
}
