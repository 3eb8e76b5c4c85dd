/* fields.h - a mapping of our own configuration into a struct, by a table: one row per field with
 * its type and range.
 *
 * Strict: an unknown key is an error, with the nearest known one ("did you mean"); so is a value of
 * another type or out of range. Every mistake is one problem row with its line and its path
 * ("clusters[2].qps"); the field then keeps its default, and reading goes on.
 */
#ifndef KR_CONFIG_FIELDS_H
#define KR_CONFIG_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/problem.h"
#include "config/yaml.h"

enum { FIELDS_PATH_BYTES = 96, FIELDS_WORDS_MAX = 8 };

enum fields_type {
	FIELDS_TYPE_TEXT,   /* const char *: a non-empty string */
	FIELDS_TYPE_PATH,   /* const char *: a path; relative ones are relative to the file */
	FIELDS_TYPE_BOOL,   /* bool: true or false */
	FIELDS_TYPE_NUMBER, /* uint64_t: min..max */
	FIELDS_TYPE_BYTES,  /* uint64_t: min..max, with Ki, Mi, Gi */
	FIELDS_TYPE_WORD,   /* unsigned: index into words */
	FIELDS_TYPE_TEXTS,  /* struct fields_texts: a list of non-empty strings, or one string */
	FIELDS_TYPE_PATHS,  /* struct fields_texts: as TEXTS, each a path */
	FIELDS_TYPE_NODE, /* const struct yaml_node *: read by the caller; NULL if absent or null */
};

struct fields_texts {
	const char *const *items;
	size_t count;
};

struct fields_row {
	const char *name;
	enum fields_type type;
	size_t offset; /* of the field in the target struct */
	uint64_t min, max;
	const char *words[FIELDS_WORDS_MAX]; /* NULL behind the last */
};

/* FIELDS_ROW("qps", NUMBER, struct settings_cluster, qps, .min = 1, .max = 9) */
#define FIELDS_ROW(key, kind, owner, member, ...)                                                  \
	{                                                                                          \
		.name = key, .type = FIELDS_TYPE_##kind, .offset = offsetof(owner, member),        \
		__VA_ARGS__                                                                        \
	}

/* One reading of one file. */
struct fields {
	const struct yaml *yaml;
	const char *directory; /* of the file, for paths */
	struct arena *arena;   /* where texts are copied to */
	struct problem_list *problems;
};

/* Reads what map has into target, which holds the defaults. path: "" at the top. map NULL or null:
 * nothing is read. */
void fields_read(struct fields *f, const struct yaml_node *map, const char *path,
        const struct fields_row *rows, size_t row_count, void *target);
/* One problem row: "path: text". */
void fields_fail(struct fields *f, const struct yaml_node *at, const char *path, const char *fmt,
        ...) __attribute__((format(printf, 4, 5)));
/* The items of a list; reports and returns 0 if it is none. Absent: 0. */
size_t fields_items(struct fields *f, const struct yaml_node *list, const char *path);
/* A non-negative decimal number, with Ki/Mi/Gi if bytes. */
bool fields_number(struct span text, bool bytes, uint64_t *out);

#endif
