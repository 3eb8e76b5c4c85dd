#include "kubering/print/table.h"

#include <stdlib.h>
#include <string.h>

#include "kubering/say.h"

void table_init(struct table *t)
{
	*t = (struct table){.header_due = true};
}

void table_fini(struct table *t)
{
	text_fini(&t->cells);
	text_fini(&t->keys);
	text_fini(&t->header);
	free(t->rows);
	*t = (struct table){0};
}

static void widen(struct table *t, unsigned column, struct span cell)
{
	size_t w = text_width(cell) + TABLE_PADDING;
	if (w > t->width[column])
		t->width[column] = w;
}

void table_add_column(struct table *t, struct span header)
{
	if (t->columns >= TABLE_COLUMNS_MAX)
		return;
	size_t at = t->header.n;
	t->width[t->columns] = TABLE_WIDTH_MIN;
	text_add_safe(&t->header, header);
	widen(t, t->columns++, (struct span){t->header.p + at, t->header.n - at});
	text_add_char(&t->header, '\0');
}

static void end_row(struct table *t)
{
	for (; t->n > 0 && t->filled < t->columns; t->filled++)
		text_add_char(&t->cells, '\0');
}

void table_begin_row(struct table *t, struct span key, bool dim)
{
	end_row(t);
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct table_row *rows = text_alloc(cap * sizeof *rows);
		if (t->n > 0)
			memcpy(rows, t->rows, t->n * sizeof *rows);
		free(t->rows);
		t->rows = rows;
		t->cap = cap;
	}
	t->rows[t->n++] = (struct table_row){t->cells.n, t->keys.n, dim};
	t->filled = 0;
	text_add(&t->keys, key);
	text_add_char(&t->keys, '\0');
}

void table_add_cell(struct table *t, struct span cell)
{
	if (t->n == 0 || t->filled >= t->columns)
		return;
	size_t at = t->cells.n;
	text_add_safe(&t->cells, cell);
	if (t->filled + 1 < t->columns) /* nothing is behind the last */
		widen(t, t->filled, (struct span){t->cells.p + at, t->cells.n - at});
	text_add_char(&t->cells, '\0');
	t->filled++;
}

void table_rollback(struct table *t, size_t n)
{
	if (n >= t->n)
		return;
	t->cells.n = t->rows[n].at;
	t->keys.n = t->rows[n].key;
	t->n = n;
	t->filled = t->columns;
}

static int by_key(const void *a, const void *b, void *keys)
{
	const struct table_row *x = a, *y = b;
	const char *p = keys;
	int r = strcmp(p + x->key, p + y->key);
	return r ? r : (x->at > y->at) - (x->at < y->at);
}

void table_sort(struct table *t)
{
	end_row(t);
	if (t->n > 1)
		qsort_r(t->rows, t->n, sizeof *t->rows, by_key, t->keys.p);
}

static void print_row(const struct table *t, const char *cell, FILE *f)
{
	for (unsigned i = 0; i < t->columns; i++) {
		size_t n = strlen(cell);
		fwrite(cell, 1, n, f);
		if (i + 1 < t->columns)
			fprintf(f, "%*s", (int)(t->width[i] - text_width((struct span){cell, n})),
			        "");
		cell += n + 1;
	}
}

void table_print(struct table *t, FILE *f)
{
	end_row(t);
	if (t->columns == 0)
		return;
	if (t->header_due) {
		print_row(t, t->header.p, f);
		fputc('\n', f);
	}
	t->header_due = false;
	for (size_t i = 0; i < t->n; i++) {
		const char *dim = t->rows[i].dim ? say_color(f, SAY_DIM) : "";
		fputs(dim, f);
		print_row(t, t->cells.p + t->rows[i].at, f);
		fputs(*dim ? say_color(f, SAY_PLAIN) : "", f);
		fputc('\n', f);
	}
	t->n = 0;
	t->filled = t->columns;
	text_clear(&t->cells);
	text_clear(&t->keys);
}
