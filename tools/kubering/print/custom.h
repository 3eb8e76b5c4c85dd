/* custom.h - columns of custom resources: the additionalPrinterColumns of their definition, and the
 * part of JSONPath that these use: .a.b, .a['k'], .a[0], .a[*], .a[?(@.type=="Ready")].status.
 */
#ifndef KR_KUBERING_CUSTOM_H
#define KR_KUBERING_CUSTOM_H

#include <stdint.h>

#include "kubering/print/table.h"
#include "kubering/source.h"
#include "json/json.h"

struct custom;
/* Asks the daemon for the definition. NULL: there is none, or it names no columns. */
struct custom *custom_open(struct kr_client *client, const struct source *source);
/* From a CustomResourceDefinition as JSON. NULL: it has no columns for this version. */
struct custom *custom_new(struct span definition, const char *version);
void custom_free(struct custom **c);
void custom_headers(const struct custom *c, struct table *t);
void custom_cells(const struct custom *c, struct json_node object, int64_t now, struct table *t);

/* Appends the first that path finds in n. False: nothing. is_time: as an age. */
bool custom_find(struct json_node n, const char *path, bool is_time, int64_t now, struct text *out);

#endif
