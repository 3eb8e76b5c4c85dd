/* settings_priv.h - what settings.c, settings_headlamp.c and settings_realm.c share. */
#ifndef KR_CONFIG_SETTINGS_PRIV_H
#define KR_CONFIG_SETTINGS_PRIV_H

#include "config/settings.h"

/* `headlamp` of an entry of `clusters:` (node, may be NULL) and what the strategy says about it.
 * path: of the entry. */
void settings_read_headlamp(struct fields *f, const struct yaml_node *item,
        const struct yaml_node *node, const char *path, struct settings_cluster *c);
/* `realms:` into s; s->realms is replaced. */
void settings_read_realms(struct fields *f, const struct yaml_node *list, struct settings *s);
/* The one realm without `realms:`. false: out of memory. */
bool settings_default_realm(struct settings *s, uid_t uid);
/* false: not RESOURCE[.VERSION][.GROUP], or out of memory. */
bool settings_resource_parse(const char *text, struct arena *arena, struct settings_resource *out);
/* What a namespace may be called. A list of another one is live and empty for ever. */
bool settings_is_namespace(const char *name);

#endif
