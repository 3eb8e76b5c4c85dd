/* problem.h - what is wrong with a configuration: one row per problem, with file, line, column and
 * field.
 *
 * Readers do not stop at the first mistake: they add a row and go on, so that `kuberingd --check`
 * names everything in one run. A load that has at least one row of level ERROR fails, and its
 * struct errmsg is made from the first of them. Texts never hold a secret: they quote names, paths,
 * and the words of our own file, never the value of a credential field.
 */
#ifndef KR_CONFIG_PROBLEM_H
#define KR_CONFIG_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/arena.h"

enum {
	PROBLEM_ROWS_MAX = 1000, /* further ones are counted, not kept: a broken file must not fill
	                            the terminal */
	PROBLEM_TEXT_BYTES = 512,
};

enum problem_level { PROBLEM_LEVEL_WARNING, PROBLEM_LEVEL_ERROR };

struct problem {
	enum problem_level level;
	uint32_t line, column; /* from 1; 0 = the whole file, or no file at all */
	const char *file;      /* NULL: not about a file */
	const char *text;      /* "field: what, and what to do" */
};

/* Owner: whoever embeds it. Thread: one at a time. Life: problem_list_init to problem_list_fini. */
struct problem_list {
	struct problem *rows; /* own */
	size_t count, capacity;
	size_t errors, warnings; /* all of them, also those that were not kept */
	struct arena arena;
};

/* A place in a file. file NULL or line 0: as in struct problem. */
struct problem_place {
	const char *file;
	uint32_t line, column;
};

void problem_list_init(struct problem_list *l);
void problem_list_fini(struct problem_list *l);
/* Copies file and text. l may be NULL: nothing is kept. */
void problem_add(struct problem_list *l, enum problem_level level, struct problem_place at,
        const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* "FILE:LINE:COL: text", cut to size; what a person or a log sees. Returns buf. */
const char *problem_format(const struct problem *p, char *buf, size_t size);
/* ERR_OK if there is no error in l, else ERR_CONFIG with the first one as text (and how many more
 * there are). */
err_t problem_result(const struct problem_list *l, struct errmsg *m);

#endif
