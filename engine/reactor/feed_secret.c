#include "reactor/feed_secret.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"

/* Between quotes: inside of a string its quotes are escaped, so it is found as a name only, or as a
 * value that no colon follows. */
static const struct span telling[] = {
        SPAN("\"kubectl.kubernetes.io/last-applied-configuration\""),
        SPAN("\"objectset.rio.cattle.io/applied\""),
        SPAN("\"banzaicloud.com/last-applied\""),
};

bool feed_secret_is(const struct list_spec *s)
{
	return s->metadata_only && !s->group[0] && strcmp(s->resource, "secrets") == 0;
}

static char *past_white(char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* Behind the string that starts at p; NULL: it has no end. */
static char *past_string(char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : NULL;
}

/* p: behind the name. */
static void blank_value(char *p, const char *end)
{
	p = past_white(p, end);
	if (p == end || *p != ':')
		return;
	p = past_white(p + 1, end);
	char *after = p < end && *p == '"' ? past_string(p, end) : NULL;
	if (!after)
		return;
	p[1] = '"';
	memset(p + 2, ' ', (size_t)(after - p) - 2);
}

void feed_secret_blank(struct span doc)
{
	char *begin = (char *)(uintptr_t)doc.p, *end = begin + doc.n;
	for (size_t i = 0; i < ARRAY_LEN(telling) && doc.n; i++) {
		char *p = begin;
		while ((p = memmem(p, (size_t)(end - p), telling[i].p, telling[i].n))) {
			p += telling[i].n;
			blank_value(p, end);
		}
	}
}
