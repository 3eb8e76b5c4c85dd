#include "kubering/print/rows.h"

#include <string.h>
#include <time.h>

#include "kubering/text.h"

void rows_open(struct rows *r, const struct sources *s, const struct args *a)
{
	*r = (struct rows){.dom = text_need(json_dom_new()),
	        .cluster = s->show_cluster,
	        .namespace_ = s->show_namespace,
	        .event = a->watch_events};
	table_init(&r->table);
	r->table.header_due = !a->no_headers;
	if (r->event) {
		table_add_column(&r->table, SPAN("EVENT"));
		r->table.width[0] = sizeof "MODIFIED" - 1 + TABLE_PADDING; /* it will come */
	}
	if (r->cluster)
		table_add_column(&r->table, SPAN("CLUSTER"));
	if (r->namespace_)
		table_add_column(&r->table, SPAN("NAMESPACE"));
	r->columns = columns_open(s->client, &s->v[0]);
	columns_headers(r->columns, &r->table);
}

void rows_close(struct rows *r)
{
	table_fini(&r->table);
	columns_free(&r->columns);
	json_dom_free(&r->dom);
}

void rows_key(struct text *key, const char *cluster, const struct kr_object *o)
{
	text_clear(key);
	text_printf(key, "%s\001%s\001%s", cluster, o->namespace_, o->name);
}

void rows_add(struct rows *r, const char *cluster, const struct kr_object *o, const char *event)
{
	struct json_node root;
	struct text key = {0};
	rows_key(&key, cluster, o);
	table_begin_row(
	        &r->table, (struct span){key.p, key.n}, event && strcmp(event, "DELETED") == 0);
	text_fini(&key);
	if (r->event)
		table_add_cell(&r->table, span_of(event));
	if (r->cluster)
		table_add_cell(&r->table, span_of(cluster));
	if (r->namespace_)
		table_add_cell(&r->table, span_of(o->namespace_));
	if (json_dom_parse(r->dom, (struct span){o->json, o->json_bytes}, &root) == ERR_OK)
		columns_cells(r->columns, root, (int64_t)time(NULL), &r->table);
	else
		table_add_cell(&r->table, span_of(o->name));
}
