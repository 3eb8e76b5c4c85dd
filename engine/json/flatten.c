/* json_flatten: who an object is that is nested deeper than all else here can read.
 *
 * One pass over the bytes. A container that closes with JSON_FLATTEN_HEIGHT levels in it is read as
 * a document of its own, which checks it, and emptied; so what is around it never gets higher than
 * that, and each byte is read once however deep it all is. An empty container stays in its place,
 * and not a scalar, because what stands beside it must not make one token with it. */
#include "json/json.h"

#include "json/parser.h"
#include "json/simd.h"

#include <stdlib.h>

enum { FLATTEN_LEVELS_KEPT = 3 };

struct flatten_level {
	uint32_t at;     /* of its opening bracket, in the copy */
	uint32_t height; /* levels in it so far */
};

struct flatten {
	struct json_parser *parser;
	char *text;
	size_t n;
	uint32_t depth;
	struct flatten_level level[JSON_FLATTEN_DEPTH_MAX + 1];
};

static err_t flatten_open(struct flatten *f)
{
	if (f->depth == JSON_FLATTEN_DEPTH_MAX)
		return ERR_JSON_DEPTH;
	f->level[++f->depth] = (struct flatten_level){.at = (uint32_t)(f->n - 1)};
	return ERR_OK;
}

/* The bracket is the last byte of the copy. Whether it is of the right kind is found by who reads
 * what it closes. */
static err_t flatten_close(struct flatten *f)
{
	if (f->depth == 0)
		return ERR_JSON_SYNTAX;
	struct flatten_level l = f->level[f->depth--];
	uint32_t height = l.height + 1;
	if (height >= JSON_FLATTEN_HEIGHT && f->depth >= FLATTEN_LEVELS_KEPT) {
		err_t e = parser_read(f->parser, (struct span){f->text + l.at, f->n - l.at});
		if (e)
			return e;
		f->text[l.at + 1] = f->text[f->n - 1];
		f->n = l.at + 2;
		height = 1;
	}
	if (f->level[f->depth].height < height)
		f->level[f->depth].height = height;
	return ERR_OK;
}

static err_t flatten_all(struct flatten *f, struct span doc)
{
	bool in_string = false, escaped = false;
	err_t e = ERR_OK;
	for (size_t i = 0; i < doc.n && !e; i++) {
		char c = doc.p[i];
		bool literal = escaped;
		f->text[f->n++] = c;
		escaped = in_string && c == '\\' && !literal;
		if (c == '"' && !literal)
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			e = flatten_open(f);
		else if (!in_string && (c == '}' || c == ']'))
			e = flatten_close(f);
	}
	/* What is open still may be of any depth. */
	return !e && (f->depth || in_string) ? ERR_JSON_SYNTAX : e;
}

err_t json_flatten(struct json_parser *p, struct span doc, struct span *flat, char **text)
{
	*flat = SPAN_NONE;
	*text = NULL;
	if (doc.n > p->limit_bytes || doc.n > TOKENS_BYTES_MAX)
		return ERR_JSON_LIMIT;
	struct flatten *f = calloc(1, sizeof *f);
	char *copy = malloc(doc.n + JSON_PADDING);
	if (!f || !copy) {
		free(f);
		free(copy);
		return ERR_NO_MEMORY;
	}
	f->parser = p;
	f->text = copy;
	err_t e = flatten_all(f, doc);
	*flat = (struct span){copy, f->n};
	memset(copy + f->n, ' ', JSON_PADDING);
	free(f);
	if (!e) {
		*text = copy;
		return ERR_OK;
	}
	free(copy);
	*flat = SPAN_NONE;
	return e;
}
