#include "config/pattern.h"

#include <stddef.h>
#include <string.h>

/* One [set] against c. *end is behind the set; NULL when it is not closed: then '[' is an ordinary
 * character. */
static bool pattern_set(const char *p, unsigned char c, const char **end)
{
	bool negate = *p == '!' || *p == '^', hit = false;
	if (negate)
		p++;
	for (const char *first = p; *p != '\0' && (*p != ']' || p == first); p++) {
		unsigned char low = (unsigned char)*p, high = low;
		if (p[1] == '-' && p[2] != ']' && p[2] != '\0') {
			high = (unsigned char)p[2];
			p += 2;
		}
		hit = hit || (c >= low && c <= high);
	}
	*end = *p == ']' ? p + 1 : NULL;
	return hit != negate;
}

/* Does one character of the pattern take c? *next is behind it. */
static bool pattern_one(const char *p, unsigned char c, const char **next)
{
	*next = p + 1;
	if (*p == '?')
		return true;
	if (*p == '[') {
		const char *end;
		bool hit = pattern_set(p + 1, c, &end);
		if (end) {
			*next = end;
			return hit;
		}
	}
	return (unsigned char)*p == c;
}

bool pattern_match(const char *pattern, const char *name)
{
	if (strcmp(pattern, name) == 0)
		return true;
	const char *star = NULL, *resume = NULL, *p = pattern, *s = name, *next;
	while (*s != '\0') {
		if (*p == '*') {
			star = ++p; /* try the empty string first, then one more each time we come
			               back */
			resume = s;
		} else if (*p != '\0' && pattern_one(p, (unsigned char)*s, &next)) {
			p = next;
			s++;
		} else if (star) {
			p = star;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}

bool pattern_is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}
