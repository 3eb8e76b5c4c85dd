/* yaml_out.h - JSON documents as YAML, in kubectl's style: keys sorted, lists not indented, strings
 * quoted only where YAML 1.1 would read something else. Numbers with a fraction are printed anew.
 */
#ifndef KR_KUBERING_YAML_OUT_H
#define KR_KUBERING_YAML_OUT_H

#include <stdbool.h>
#include <stdio.h>

#include "json/json.h"

struct yaml_out;
/* Owner: objects. f outlives it. */
struct yaml_out *yaml_out_new(FILE *f);
void yaml_out_free(struct yaml_out **y);
/* One document; from the second on with "---" before it. */
void yaml_out_document(struct yaml_out *y, struct json_node root);
/* Or one v1 List, item by item. */
void yaml_out_list_begin(struct yaml_out *y);
void yaml_out_add(struct yaml_out *y, struct json_node item);
void yaml_out_list_end(struct yaml_out *y);
/* Would a YAML 1.1 reader take these bytes, unquoted, for something else than a string? */
bool yaml_out_is_special(struct span s);

#endif
