/* pattern.h - shell patterns over names of clusters, resources and namespaces: * ? [abc] [a-z]
 * [!x]. Unlike fnmatch(3), time is at most pattern length x name length whatever the pattern, and a
 * name always matches itself, even with brackets in it. */
#ifndef KR_CONFIG_PATTERN_H
#define KR_CONFIG_PATTERN_H

#include <stdbool.h>

/* '/' and '.' are ordinary characters. "*" matches the empty name. Any thread. */
bool pattern_match(const char *pattern, const char *name);
/* Has it a special character at all? */
bool pattern_is_glob(const char *pattern);

#endif
