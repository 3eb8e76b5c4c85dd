/* rows.h - what get and watch share: a table over one or several lists, with CLUSTER and NAMESPACE
 * in front where they are needed.
 */
#ifndef KR_KUBERING_ROWS_H
#define KR_KUBERING_ROWS_H

#include "kubering/print/columns.h"
#include "kubering/print/table.h"
#include "kubering/source.h"
#include "json/json.h"

/* Owner: the command. Life: rows_open to rows_close. */
struct rows {
	struct table table;
	struct columns *columns; /* of the first source: the lists of one command are of one kind */
	struct json_dom *dom;
	bool cluster, namespace_, event;
};

void rows_open(struct rows *r, const struct sources *s, const struct args *a);
void rows_close(struct rows *r);
/* event: for the column EVENT; NULL where there is none. */
void rows_add(struct rows *r, const char *cluster, const struct kr_object *o, const char *event);
/* Orders objects by cluster, namespace and name. */
void rows_key(struct text *key, const char *cluster, const struct kr_object *o);

#endif
