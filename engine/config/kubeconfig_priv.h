/* kubeconfig_priv.h - the inside of struct kubeconfig, shared by kubeconfig.c (load, merge) and
 * kubeconfig_resolve.c. */
#ifndef KR_CONFIG_KUBECONFIG_PRIV_H
#define KR_CONFIG_KUBECONFIG_PRIV_H

#include "config/kubeconfig.h"
#include "config/yaml.h"

enum kubeconfig_kind {
	KUBECONFIG_KIND_CLUSTER,
	KUBECONFIG_KIND_USER,
	KUBECONFIG_KIND_CONTEXT,
	KUBECONFIG_KIND_COUNT,
};

struct kubeconfig_file {
	struct yaml yaml;
	const char *directory; /* relative paths start here */
};

struct kubeconfig_entry {
	const char *name;
	const struct yaml_node *body; /* what is under cluster:, user:, context:; NULL: nothing */
	const struct yaml_node *item; /* the whole list item, for places */
	const struct kubeconfig_file *file;
	size_t file_index;
};

struct kubeconfig_table {                 /* sorted by name after the load */
	struct kubeconfig_entry *entries; /* own */
	size_t count, capacity;
};

/* Owner: config/config.c. Thread: control. Life: kubeconfig_load to kubeconfig_free; immutable in
 * between. */
struct kubeconfig {
	struct arena arena;
	struct kubeconfig_file *files; /* own; in the arena, file_count of them loaded */
	size_t file_count;
	struct kubeconfig_table tables[KUBECONFIG_KIND_COUNT];
	const char *current;
	const char *service_host, *service_port,
	        *service_dir; /* set: the only context is "in-cluster" */
	const char *pod_namespace;
};

const struct kubeconfig_entry *kubeconfig_find(
        const struct kubeconfig *kc, enum kubeconfig_kind kind, const char *name);

#endif
