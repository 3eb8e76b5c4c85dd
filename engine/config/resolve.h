/* resolve.h - one call of kubeconfig_resolve: typed reading of the fields of a kubeconfig entry,
 * with messages that name file, line and field.
 *
 * Private to kubeconfig_resolve.c, resolve_user.c and resolve_exec.c. Every function that can fail
 * leaves its text in r->m and returns the code, so callers only pass it on. Texts go to the arena
 * of r->out.
 */
#ifndef KR_CONFIG_RESOLVE_H
#define KR_CONFIG_RESOLVE_H

#include "config/kubeconfig_priv.h"

enum { RESOLVE_WHAT_BYTES = 64, RESOLVE_STRINGS_MAX = 1024 };

struct resolver {
	struct cluster_conf *out;
	struct errmsg *m;
	const struct kubeconfig_entry *entry; /* whose fields are being read */
	char what[RESOLVE_WHAT_BYTES];        /* `user "x"`, for messages */
};

/* From here on the fields of entry are read; kind: "cluster", "user", "context". */
void resolve_enter(struct resolver *r, const struct kubeconfig_entry *entry, const char *kind);
/* ERR_CONFIG with "FILE:LINE:COL: what: field: text which". at NULL: the entry. field NULL: none.
 */
err_t resolve_fail(struct resolver *r, const struct yaml_node *at, const char *field,
        const char *text, const char *which);
err_t resolve_memory(struct resolver *r);
/* A row of out->warnings: "user "x": text". */
void resolve_warn(struct resolver *r, const char *text);

/* A string; absent, null and "" give NULL. */
err_t resolve_text(
        struct resolver *r, const struct yaml_node *map, const char *field, const char **out);
/* Absent: false. A quoted "true" is a string, and an error. */
err_t resolve_bool(struct resolver *r, const struct yaml_node *map, const char *field, bool *out);
/* A path, relative to the file that has it. */
err_t resolve_path(
        struct resolver *r, const struct yaml_node *map, const char *field, const char **out);
/* FIELD-data (base64) or FIELD (a path), never both. */
err_t resolve_data_or_file(struct resolver *r, const struct yaml_node *map, const char *file_field,
        struct span *data, const char **file);
/* A list of strings, at most RESOLVE_STRINGS_MAX. */
err_t resolve_strings(struct resolver *r, const struct yaml_node *map, const char *field,
        const char *const **out, size_t *count);

/* A user entry (resolve_user.c) but for its exec stanza, which may need the cluster
 * (resolve_exec.c). */
err_t resolve_user(struct resolver *r);
/* Has it anything but an exec plugin? */
bool resolve_has_credential(const struct credential_conf *c);
err_t resolve_exec(
        struct resolver *r, const struct yaml_node *body, const struct yaml_node *cluster);

#endif
