/* watch_target.c - what a watch asks for: path and query of its next request. */
#include <stdio.h>

#include "base/version.h"
#include "kube/watch_priv.h"

static void query_of_watch(struct watch *w, struct url *u, bool *first)
{
	char seconds[16];
	uint64_t s = WATCH_TIMEOUT_MIN_S + prng_below(&w->rng, WATCH_TIMEOUT_SPREAD_S);
	snprintf(seconds, sizeof seconds, "%u", (unsigned)s);
	url_query(u, first, "watch", SPAN("1"));
	url_query(u, first, "allowWatchBookmarks", SPAN("true"));
	if (w->request == WATCH_REQ_STREAM_LIST) {
		/* resourceVersionMatch is required with sendInitialEvents; no resourceVersion = a
		 * consistent read. With one, "not older than": the server says 504 rather than
		 * going back in time. */
		url_query(u, first, "sendInitialEvents", SPAN("true"));
		url_query(u, first, "resourceVersionMatch", SPAN("NotOlderThan"));
		if (w->back_tries < WATCH_BACK_TRIES && version_is_decimal(span_of(w->rv)))
			url_query(u, first, "resourceVersion", span_of(w->rv));
	} else {
		url_query(u, first, "resourceVersion", span_of(w->rv));
	}
	url_query(u, first, "timeoutSeconds", span_of(seconds));
}

void watch_target_begin(const struct watch_conf *c, struct url *u, bool *first)
{
	url_collection(
	        u, &(struct url_collection){span_of(c->prefix), span_of(c->group),
	                   span_of(c->version), span_of(c->namespace_), span_of(c->resource)});
	url_query(u, first, "labelSelector", span_of(c->labels));
	url_query(u, first, "fieldSelector", span_of(c->fields));
}

size_t watch_target(struct watch *w, char *buf, size_t cap, const char **accept)
{
	const struct watch_conf *c = w->conf;
	struct url u;
	bool first = true;
	url_init(&u, buf, cap);
	watch_target_begin(c, &u, &first);
	if (w->request == WATCH_REQ_PAGE) {
		if (!w->unlimited)
			url_query(&u, &first, "limit", SPAN("500"));
		url_query(&u, &first, "continue", watch_token(w));
	} else {
		query_of_watch(w, &u, &first);
	}
	_Static_assert(WATCH_PAGE_LIMIT == 500, "the literal above");
	*accept = "application/json";
	if (c->metadata_only)
		*accept =
		        w->request == WATCH_REQ_PAGE
		                ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
		                : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
	return url_end(&u);
}
