/* model_selector.h - label and field selectors with the grammar, and the error texts, of
 * k8s.io/apimachinery.
 *
 * Field labels: metadata.name and metadata.namespace everywhere, spec.nodeName of generated pods,
 * and what a custom kind declares (whose values the model does not know: such a term matches
 * nothing but "!="). Operators of fields: =, ==, !=.
 *
 * Limits: 4 KiB of text, 64 requirements. Not thread-safe. */
#ifndef KR_MODEL_MODEL_SELECTOR_H
#define KR_MODEL_MODEL_SELECTOR_H

#include "model/model_cluster.h"

struct model_selector; /* own text and requirements; labels and fields together */

/* Both texts may be empty: *out is NULL then, and everything matches. False: error has what the
 * server says in its 400 (no prefix). */
bool model_selector_parse(struct span labels, struct span fields, const struct model_kind *k,
        struct model_selector **out, struct model_text *error);
void model_selector_free(struct model_selector **s);
bool model_selector_match(const struct model_selector *s, const struct model_version *v);

#endif
