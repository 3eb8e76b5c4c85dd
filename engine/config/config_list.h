/* config_list.h - lists named on the command line: `--list RESOURCE[.VERSION][.GROUP][/NAMESPACE]`,
 * kept open in every cluster that is served. */
#ifndef KR_CONFIG_CONFIG_LIST_H
#define KR_CONFIG_CONFIG_LIST_H

#include "base/err.h"
#include "config/settings.h"

/* Adds one to settings->lists. ERR_CONFIG says what is wrong with the text. Before others read the
 * settings. */
err_t config_list_add(struct settings *s, const char *text, struct errmsg *m) MUST_USE;

#endif
