/* json_naive.h - JSON read the slow and obvious way: the oracle of engine/json.
 *
 * A recursive descent over bytes that builds a tree, written against RFC 8259 and json.h only; it
 * shares no code and no idea with what it judges. */
#ifndef KR_TESTS_JSON_NAIVE_H
#define KR_TESTS_JSON_NAIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "json/json.h"

enum naive_type {
	NAIVE_NULL,
	NAIVE_TRUE,
	NAIVE_FALSE,
	NAIVE_NUMBER,
	NAIVE_STRING,
	NAIVE_ARRAY,
	NAIVE_OBJECT
};

struct naive {
	enum naive_type type;
	const char *raw; /* as written, from its first to its last byte */
	size_t raw_n;
	char *text; /* of a string: its text; U+FFFD for a lone surrogate */
	size_t text_n;
	bool odd; /* of a string: it holds a NUL, or had a lone surrogate */
	struct naive *key, *first,
	        *next; /* of a member: its key; of a container: its first child; the next child */
};

/* NULL: not valid, or deeper than depth_max. */
struct naive *naive_parse(struct span doc, unsigned depth_max);
void naive_free(struct naive *n);
/* Levels of brackets: 0 for a scalar. */
unsigned naive_depth(const struct naive *n);
/* How many members have that name, and the last of them. */
size_t naive_find(const struct naive *object, const char *name, struct naive **last);
bool naive_equal(const struct naive *a, const struct naive *b);
/* Takes all members with that name out of the object. */
void naive_remove(struct naive *object, const char *name);

/* What json_scan_event, json_scan_object and the list splitter have to answer. ERR_JSON_SYNTAX when
 * doc is no JSON; otherwise ERR_OK or "some other error" (ERR_JSON_SHAPE). Spans point into the
 * tree. `cut` is not filled in. */
err_t naive_event(const struct naive *tree, struct json_event *out);
err_t naive_object(const struct naive *tree, bool in_event, struct json_object *out);

#endif
