/* url.h - request targets: /api/v1/... and /apis/GROUP/VERSION/..., with the query values
 * percent-encoded (RFC 3986 unreserved characters stay). */
#ifndef KR_KUBE_URL_H
#define KR_KUBE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Appends into a caller's buffer; `full` is set when something did not fit, and then nothing more
 * is written. */
struct url {
	char *p;
	size_t n, cap;
	bool full;
};

void url_init(struct url *u, char *buf, size_t cap);
void url_text(struct url *u, struct span s);    /* as it is */
void url_encoded(struct url *u, struct span s); /* percent-encoded */
/* PREFIX/api/v1[/namespaces/NS]/RESOURCE or PREFIX/apis/GROUP/VERSION[/namespaces/NS]/RESOURCE */
struct url_collection {
	struct span prefix, group, version, namespace_, resource;
};
void url_collection(struct url *u, const struct url_collection *c);
/* ?key=value, then &key=value. first tells which; it is cleared. Empty values are left out. */
void url_query(struct url *u, bool *first, const char *key, struct span value);
/* Length when everything fitted, else 0. */
size_t url_end(const struct url *u);

#endif
