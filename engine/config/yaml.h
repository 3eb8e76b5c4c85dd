/* yaml.h - a YAML (or JSON) document as a small tree in which every node knows its line and column.
 *
 * libyaml splits the bytes into events; this makes nodes of them, in an arena, without recursion.
 * It is strict where a silent choice would hide a mistake: a key given twice, a second document, a
 * NUL inside a string and unknown tags are errors with their place. It is bounded where a document
 * could be an attack: bytes, nesting, anchors, and nodes after all aliases are expanded (an alias
 * costs what it stands for, so a "billion laughs" document is refused in linear time). Merge keys
 * (<<) work as in kubectl.
 *
 * An alias is the node that it stands for, not a copy: a node may have several parents and reports
 * the line where it was written.
 */
#ifndef KR_CONFIG_YAML_H
#define KR_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "config/arena.h"
#include "config/problem.h"

enum {
	YAML_BYTES_MAX = 64 << 20,
	YAML_DEPTH_MAX = 64,
	YAML_ANCHORS_MAX = 128,
	YAML_KEYS_MAX = 1024, /* of one mapping: looking up a key is linear */
	YAML_NODES_MAX =
	        2000000, /* aliases expanded; 10,000 clusters with all their fields need 400,000 */
};

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_MAP, YAML_KIND_LIST };

struct yaml_pair {
	struct yaml_node *key, *value; /* the key is a scalar */
};

struct yaml_node {
	enum yaml_kind kind;
	bool plain; /* a scalar without quotes, block style or !!str: true, 12 and null mean what
	               they say */
	uint32_t line, column; /* from 1 */
	uint32_t count;        /* pairs or items */
	uint32_t weight;       /* nodes in this tree, aliases expanded */
	union {
		struct span text; /* NUL behind it, none inside */
		struct yaml_pair *pairs;
		struct yaml_node **items;
	};
};

/* Owner: whoever embeds it. Thread: one at a time. Life: yaml_load to yaml_fini; nodes live as
 * long. Moved only before nodes are taken. */
struct yaml {
	struct arena arena; /* the nodes; wiped at the end, since kubeconfigs hold credentials */
	const char *file;   /* for messages; in the arena */
	struct yaml_node *root; /* NULL: an empty document */
};

/* Reads bytes. file is only a name for messages. On failure one problem row is added and *y needs
 * no yaml_fini. */
err_t yaml_load(struct yaml *y, const char *file, struct span bytes,
        struct problem_list *problems) MUST_USE;
void yaml_fini(struct yaml *y);

/* The value of a key; NULL if map is NULL, no map, or has no such key. Linear in the number of
 * keys. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* NULL, an empty plain scalar, ~, null, Null, NULL. */
bool yaml_is_null(const struct yaml_node *n);
/* The booleans of YAML 1.1, which is what kubectl takes: true yes on y, false no off n, in three
 * spellings; never quoted. */
bool yaml_bool(const struct yaml_node *n, bool *out);
struct problem_place yaml_place(const struct yaml *y, const struct yaml_node *n);
/* "a mapping", "a list", "a string", ...: the word for messages. */
const char *yaml_kind_text(const struct yaml_node *n);

#endif
