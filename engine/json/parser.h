/* parser.h - what is inside a json_parser. Private to this room and its tests. */
#ifndef KR_JSON_PARSER_H
#define KR_JSON_PARSER_H

#include "json/json.h"
#include "json/tokens.h"

enum { PARSER_CUTS = 32, PARSER_CUT_BYTES_MAX = 32768 };

/* metadata.managedFields of an object that was read, good JSON. */
struct shape_cut {
	char *text; /* own */
	uint32_t n, capacity;
};

/* How often the second reader looks at an event of a watch: at the first, then at one in so many.
 */
enum { AUDIT_PERIOD = 1024, AUDIT_BYTES_MAX = 1 << 20 };

/* Owner: a reactor or thread. Thread: that one. Life: new to free. */
struct json_parser {
	struct tokens tokens;
	size_t limit_bytes;
	char *text; /* own: strings that had escapes, of the last document */
	size_t text_used, text_capacity;
	uint64_t disputes;
	struct shape_cut cuts[PARSER_CUTS]; /* by length: shape.c */
};

/* json_parser_new with a chosen kernel. NULL also when this CPU has not that kernel. */
struct json_parser *parser_new(size_t capacity, size_t limit_bytes, enum tokens_kernel kernel);

/* tokens_read within the limit of this parser; forgets the strings of the last document. */
err_t parser_read(struct json_parser *p, struct span doc);

/* The text of the string token `at`, valid until the next parser_read. *odd: there is a NUL in it,
 * or there was a lone surrogate, which is now U+FFFD: no key can be made of it. */
err_t parser_text(struct json_parser *p, uint32_t at, struct span *out, bool *odd);

#endif
