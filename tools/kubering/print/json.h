/* json.h - objects as JSON for people and programs. What a server sent is passed on digit by digit:
 * nothing here goes through a number.
 */
#ifndef KR_KUBERING_PRINT_JSON_H
#define KR_KUBERING_PRINT_JSON_H

#include "kubering/source.h"
#include "kubering/text.h"
#include "json/json.h"

/* s as a JSON string with its quotes. */
void json_add_string(struct text *t, struct span s);
void json_add_double(struct text *t, double v);
/* A node as compact JSON. Its depth is bounded by the parser (JSON_DEPTH_MAX). Numbers with a
 * fraction are printed anew. */
void json_add_node(struct text *t, struct json_node n);
/* The object on one line, with apiVersion and kind where the server left them out (items of typed
 * lists), and with a member "cluster" unless cluster is NULL. json must have JSON_PADDING readable
 * bytes behind it. */
void json_add_object(struct text *t, struct json_parser *p, const struct kind *k,
        const char *cluster, struct span json);
/* Valid JSON, indented by 4 from the given level on; the first line is not. */
void json_add_pretty(struct text *t, struct span json, unsigned level);

#endif
