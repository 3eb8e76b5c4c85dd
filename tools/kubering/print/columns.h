/* columns.h - which columns a kind has, and what stands in them: as kube-apiserver prints its
 * tables (pkg/printers/internalversion), and for custom resources by the additionalPrinterColumns
 * of their definition.
 *
 * A kind is a row of a table of tables; only cells that need arithmetic have code of their own.
 */
#ifndef KR_KUBERING_COLUMNS_H
#define KR_KUBERING_COLUMNS_H

#include <stdint.h>

#include "kubering/print/table.h"
#include "kubering/source.h"
#include "json/json.h"

enum cell_how {
	CELL_END,   /* of a table */
	CELL_TEXT,  /* string, number or boolean at path */
	CELL_COUNT, /* members of the array or object at path */
	CELL_JOIN,  /* the strings of the array at path, with commas */
	CELL_AGE,   /* time at path, as an age; "<unknown>" or otherwise */
	CELL_WRITE, /* write() */
};

typedef void (*cell_write_fn)(struct json_node object, int64_t now, struct text *out);

struct column {
	const char *header;
	enum cell_how how;
	const char *path;      /* json_dom_path */
	const char *otherwise; /* where there is nothing at path; NULL: "" */
	cell_write_fn write;
};

struct column_set {
	const char *resources; /* "pods" or "events,events.events.k8s.io": NAME or NAME.GROUP,
	                          commas between */
	const struct column *columns; /* up to CELL_END */
};

/* The sets of each file; each ends with resources == NULL. */
extern const struct column_set columns_workloads[], columns_network[], columns_core[],
        columns_other[];

#define COLUMN_NAME                                                                                \
	{                                                                                          \
		"NAME", CELL_TEXT, "metadata.name", NULL, NULL                                     \
	}
#define COLUMN_AGE                                                                                 \
	{                                                                                          \
		"AGE", CELL_AGE, "metadata.creationTimestamp", "<unknown>", NULL                   \
	}
#define COLUMN_CREATED                                                                             \
	{                                                                                          \
		"CREATED AT", CELL_TEXT, "metadata.creationTimestamp", "<unknown>", NULL           \
	}
#define COLUMN_END                                                                                 \
	{                                                                                          \
		NULL, CELL_END, NULL, NULL, NULL                                                   \
	}

/* How one list is printed. Owner: the command. Life: columns_open to columns_free. */
struct columns;
/* Never fails: what it does not know is NAME and AGE. client may be NULL: then custom resources are
 * printed that way too. */
struct columns *columns_open(struct kr_client *client, const struct source *source);
void columns_free(struct columns **c);
void columns_headers(const struct columns *c, struct table *t);
/* now: seconds since 1970. */
void columns_cells(const struct columns *c, struct json_node object, int64_t now, struct table *t);

/* For the tables: what stands at a path; otherwise if nothing does. */
void cell_text(struct text *out, struct json_node n, const char *otherwise);
/* Age of a time; otherwise if there is none. */
void cell_age(struct text *out, struct json_node time, int64_t now, const char *otherwise);
/* Members of an array or object. */
int64_t cell_count(struct json_node n);
/* Of status.conditions: the one of that type. */
struct json_node cell_condition(struct json_node object, const char *type);
/* One more of a list with commas; the first most are shown, then " + N more..." by cell_list_end.
 */
struct cell_list {
	int64_t n, most;
};
bool cell_list_next(struct cell_list *l, struct text *out);
void cell_list_end(struct cell_list *l, struct text *out, const char *otherwise);

#endif
