#include "kubering/print/columns.h"

#include <inttypes.h>
#include <stdlib.h>

#include "kubering/duration.h"
#include "kubering/print/custom.h"
#include "kubering/print/json.h"

struct columns {
	const struct column *fixed;
	struct custom *custom; /* or these */
};

static const struct column plain[] = {COLUMN_NAME, COLUMN_AGE, COLUMN_END};

/* --- cells --------------------------------------------------------------------------- */

void cell_text(struct text *out, struct json_node n, const char *otherwise)
{
	struct span s = json_dom_string(n);
	bool empty = !json_dom_exists(n) || json_dom_type(n) == JSON_NULL ||
	             (json_dom_type(n) == JSON_STRING && s.n == 0);
	if (empty)
		text_add(out, span_of(otherwise ? otherwise : ""));
	else if (json_dom_type(n) == JSON_STRING)
		text_add(out, s);
	else if (json_dom_type(n) == JSON_DOUBLE)
		text_printf(out, "%g", json_dom_double(n, 0));
	else
		json_add_node(out, n);
}

void cell_age(struct text *out, struct json_node time, int64_t now, const char *otherwise)
{
	char age[DURATION_BYTES];
	int64_t then;
	if (!duration_parse_time(json_dom_string(time), &then)) {
		text_add(out, span_of(otherwise ? otherwise : ""));
		return;
	}
	duration_human(now - then, age);
	text_add(out, span_of(age));
}

int64_t cell_count(struct json_node n)
{
	struct json_iter it = {0};
	struct json_node v;
	int64_t count = 0;
	while (json_dom_next(n, &it, NULL, &v))
		count++;
	return count;
}

struct json_node cell_condition(struct json_node object, const char *type)
{
	struct json_iter it = {0};
	struct json_node c, all = json_dom_path(object, "status.conditions");
	while (json_dom_next(all, &it, NULL, &c))
		if (span_is(json_dom_string(json_dom_get(c, "type")), type))
			return c;
	return (struct json_node){0};
}

bool cell_list_next(struct cell_list *l, struct text *out)
{
	bool shown = l->most == 0 || l->n < l->most;
	if (shown && l->n > 0)
		text_add_char(out, ',');
	l->n++;
	return shown;
}

void cell_list_end(struct cell_list *l, struct text *out, const char *otherwise)
{
	if (l->n == 0)
		text_add(out, span_of(otherwise));
	else if (l->most > 0 && l->n > l->most)
		text_printf(out, " + %" PRId64 " more...", l->n - l->most);
}

static void join(struct text *out, struct json_node array, const char *otherwise)
{
	struct json_iter it = {0};
	struct json_node v;
	struct cell_list l = {0};
	while (json_dom_next(array, &it, NULL, &v))
		if (cell_list_next(&l, out))
			cell_text(out, v, NULL);
	cell_list_end(&l, out, otherwise ? otherwise : "");
}

static void write_cell(
        const struct column *c, struct json_node object, int64_t now, struct text *out)
{
	switch (c->how) {
	case CELL_END: break;
	case CELL_TEXT: cell_text(out, json_dom_path(object, c->path), c->otherwise); break;
	case CELL_COUNT:
		text_printf(out, "%" PRId64, cell_count(json_dom_path(object, c->path)));
		break;
	case CELL_JOIN: join(out, json_dom_path(object, c->path), c->otherwise); break;
	case CELL_AGE: cell_age(out, json_dom_path(object, c->path), now, c->otherwise); break;
	case CELL_WRITE: c->write(object, now, out); break;
	}
}

/* --- which set ----------------------------------------------------------------------- */

static bool names(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, name, n) == 0 && (p[n] == '\0' || p[n] == ','))
			return true;
	}
	return false;
}

static const struct column *find_in(const struct column_set *sets, const char *name)
{
	for (; sets->resources; sets++)
		if (names(sets->resources, name))
			return sets->columns;
	return NULL;
}

static const struct column *find(const struct kind *k)
{
	const struct column_set *const all[] = {
	        columns_workloads, columns_network, columns_core, columns_other};
	const struct column *found = NULL;
	struct text name = {0};
	text_printf(&name, "%s%s%s", k->resource, *k->group ? "." : "", k->group);
	for (size_t i = 0; i < sizeof all / sizeof all[0] && !found; i++)
		found = find_in(all[i], text_cstr(&name));
	text_fini(&name);
	return found;
}

static struct columns *columns_new(const struct column *fixed, struct custom *custom)
{
	struct columns *c = text_alloc(sizeof *c);
	c->fixed = fixed;
	c->custom = custom;
	return c;
}

struct columns *columns_open(struct kr_client *client, const struct source *source)
{
	const struct column *fixed = find(&source->kind);
	struct custom *custom = NULL;
	/* The group of a custom resource is a domain; Kubernetes' own groups are in the tables or
	 * plain. */
	if (!fixed && client && strchr(source->kind.group, '.'))
		custom = custom_open(client, source);
	return columns_new(fixed ? fixed : plain, custom);
}

void columns_free(struct columns **c)
{
	if (*c)
		custom_free(&(*c)->custom);
	free(*c);
	*c = NULL;
}

/* --- printing ------------------------------------------------------------------------ */

void columns_headers(const struct columns *c, struct table *t)
{
	if (c->custom) {
		custom_headers(c->custom, t);
		return;
	}
	for (const struct column *k = c->fixed; k->how != CELL_END; k++)
		table_add_column(t, span_of(k->header));
}

void columns_cells(const struct columns *c, struct json_node object, int64_t now, struct table *t)
{
	struct text cell = {0};
	if (c->custom) {
		custom_cells(c->custom, object, now, t);
		return;
	}
	for (const struct column *k = c->fixed; k->how != CELL_END; k++) {
		text_clear(&cell);
		write_cell(k, object, now, &cell);
		table_add_cell(t, (struct span){cell.p, cell.n});
	}
	text_fini(&cell);
}
