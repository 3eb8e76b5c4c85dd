/* watch_pages.c - the pages of a LIST: one snapshot at one version, from token to token
 * (Kubernetes API concepts, "Retrieving large results sets in chunks"). */
#include "kube/watch_priv.h"

#include <stdlib.h>

struct span watch_token(const struct watch *w)
{
	return w->pages ? span_of(w->pages + strlen(w->pages) + 1) : SPAN_NONE;
}

void watch_drop_pages(struct watch *w)
{
	free(w->pages);
	w->pages = NULL;
}

bool watch_keep_pages(struct watch *w, const struct json_list_meta *meta)
{
	struct span rv = meta->resource_version, token = meta->continue_;
	watch_drop_pages(w);
	char *p = w->pages = malloc(rv.n + token.n + 2);
	if (!p)
		return false;
	memcpy(p, rv.p, rv.n);
	p[rv.n] = 0;
	memcpy(p + rv.n + 1, token.p, token.n);
	p[rv.n + 1 + token.n] = 0;
	return true;
}

/* Servers in other languages than Go may leave out what is empty. */
bool watch_is_list(const struct json_list_meta *meta)
{
	struct span k = meta->kind;
	return meta->saw_items || (k.n >= 4 && memcmp(k.p + k.n - 4, "List", 4) == 0);
}

bool watch_follows(const struct watch *w, const struct json_list_meta *meta)
{
	return span_is(meta->resource_version, w->pages) &&
	       !span_eq(meta->continue_, watch_token(w));
}
