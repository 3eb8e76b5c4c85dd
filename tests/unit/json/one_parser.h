/* one_parser.h - the parser of a program's tests, and what opens and closes it. */
#ifndef KR_TESTS_JSON_ONE_PARSER_H
#define KR_TESTS_JSON_ONE_PARSER_H

#include "unit/json/doc.h"

enum { LIMIT = 1 << 20 };

static struct json_parser *parser;

static int open_parser(void **state)
{
	(void)state;
	parser = json_parser_new(4096, LIMIT);
	return parser ? 0 : -1;
}

static int close_parser(void **state)
{
	(void)state;
	json_parser_free(&parser);
	return 0;
}

#endif
