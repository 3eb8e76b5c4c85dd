/* model_labels.h - label sets (and annotations), each distinct set stored once per library and
 * shared by all objects of all clusters.
 *
 * Sets live as long as the table. Not thread-safe. */
#ifndef KR_MODEL_MODEL_LABELS_H
#define KR_MODEL_MODEL_LABELS_H

#include "model/model_text.h"

/* Pairs in the order of their keys: key NUL value NUL ... */
struct model_labels {
	struct model_labels *next; /* in the table's chain */
	uint64_t hash;
	uint32_t count, bytes;
	char text[];
};

struct model_labels_table {
	struct model_labels **chains; /* own */
	size_t chain_count, count;
};

void model_labels_fini(struct model_labels_table *t);
/* The set of "key=value,key2=value2" (any order, a later key wins). NULL for the empty set. Valid
 * until fini. */
const struct model_labels *model_labels_intern(struct model_labels_table *t, const char *pairs);

/* Walks the pairs: start with *at = 0; false at the end. */
bool model_labels_next(
        const struct model_labels *l, size_t *at, struct span *key, struct span *value);
/* False if the key is not in the set. l may be NULL. */
bool model_labels_get(const struct model_labels *l, struct span key, struct span *value);
/* Appends {"key":"value",...}, or nothing for NULL. */
void model_labels_json(const struct model_labels *l, struct model_text *out);

#endif
