/* yaml_json.h - a YAML tree as JSON text, as kubectl converts it: a plain true, 12 or null becomes
 * a boolean, number or null, everything else a string. Of the plugin configuration in `extensions`
 * of a kubeconfig cluster, and of a plugin's answer. */
#ifndef KR_CONFIG_YAML_JSON_H
#define KR_CONFIG_YAML_JSON_H

#include "config/text.h"
#include "config/yaml.h"

/* Appends n (NULL: null). Too large for out's limit: out->broken. Bounded by that limit and by
 * YAML_DEPTH_MAX. */
void yaml_json_push(struct text *out, const struct yaml_node *n);

#endif
