#include "config/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEM_ARENA_BYTES = 4 << 20 };

void problem_list_init(struct problem_list *l)
{
	*l = (struct problem_list){0};
	arena_init(&l->arena, PROBLEM_ARENA_BYTES);
}

void problem_list_fini(struct problem_list *l)
{
	free(l->rows);
	arena_fini(&l->arena);
	*l = (struct problem_list){0};
}

static struct problem *problem_row(struct problem_list *l)
{
	if (l->count == PROBLEM_ROWS_MAX)
		return NULL;
	if (l->count == l->capacity) {
		size_t capacity = l->capacity ? l->capacity * 2 : 16;
		struct problem *rows = realloc(l->rows, capacity * sizeof *rows);
		if (!rows)
			return NULL;
		l->rows = rows;
		l->capacity = capacity;
	}
	return &l->rows[l->count++];
}

void problem_add(struct problem_list *l, enum problem_level level, struct problem_place at,
        const char *fmt, ...)
{
	if (!l)
		return;
	if (level == PROBLEM_LEVEL_ERROR)
		l->errors++;
	else
		l->warnings++;
	char text[PROBLEM_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	struct problem *p = problem_row(l);
	if (!p)
		return;
	const char *kept = arena_copy(&l->arena, span_of(text));
	const char *file = at.file ? arena_copy(&l->arena, span_of(at.file)) : NULL;
	*p = (struct problem){level, at.line, at.column, file, kept ? kept : "(out of memory)"};
}

const char *problem_format(const struct problem *p, char *buf, size_t size)
{
	if (!p->file)
		snprintf(buf, size, "%s", p->text);
	else if (p->line == 0)
		snprintf(buf, size, "%s: %s", p->file, p->text);
	else
		snprintf(buf, size, "%s:%u:%u: %s", p->file, p->line, p->column, p->text);
	return buf;
}

err_t problem_result(const struct problem_list *l, struct errmsg *m)
{
	if (l->errors == 0)
		return ERR_OK;
	for (size_t i = 0; i < l->count; i++) {
		if (l->rows[i].level != PROBLEM_LEVEL_ERROR)
			continue;
		char text[PROBLEM_TEXT_BYTES + 64];
		problem_format(&l->rows[i], text, sizeof text);
		if (l->errors == 1)
			return errmsg_set(m, ERR_CONFIG, "%s", text);
		return errmsg_set(m, ERR_CONFIG, "%.190s (and %zu more)", text, l->errors - 1);
	}
	return errmsg_set(m, ERR_CONFIG, "%zu problems", l->errors);
}
