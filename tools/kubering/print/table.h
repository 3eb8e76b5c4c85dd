/* table.h - rows as kubectl lays them out: left aligned, 3 spaces between columns, no column
 * narrower than 6 with them, nothing behind the last. Widths are remembered, so that rows printed
 * later line up with those printed before.
 */
#ifndef KR_KUBERING_TABLE_H
#define KR_KUBERING_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "kubering/text.h"

enum { TABLE_COLUMNS_MAX = 40, TABLE_PADDING = 3, TABLE_WIDTH_MIN = 6 };

struct table_row {
	size_t at;  /* first cell in cells */
	size_t key; /* where its sort key is in keys */
	bool dim;
};

/* Owner: whoever prints. Life: table_init to table_fini. */
struct table {
	struct text cells, keys; /* each cell and key ends with a NUL */
	struct table_row *rows;
	size_t n, cap;
	unsigned columns, filled;
	size_t width[TABLE_COLUMNS_MAX];
	struct text header;
	bool header_due;
};

void table_init(struct table *t);
void table_fini(struct table *t);
/* All columns before the first row. */
void table_add_column(struct table *t, struct span header);
/* Then for each row: begin, one cell per column. Missing cells are empty, surplus ones are dropped.
 * key orders the rows (bytewise). */
void table_begin_row(struct table *t, struct span key, bool dim);
/* Whatever it holds, it ends up as one line without control characters. */
void table_add_cell(struct table *t, struct span cell);
void table_sort(struct table *t);
/* Forgets all rows but the first n; not after table_sort. */
void table_rollback(struct table *t, size_t n);
/* Prints the header if it is due (never twice) and the rows, and forgets the rows. */
void table_print(struct table *t, FILE *f);

#endif
