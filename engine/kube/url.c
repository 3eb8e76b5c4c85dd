#include "kube/url.h"

#include <stdio.h>

void url_init(struct url *u, char *buf, size_t cap)
{
	*u = (struct url){.p = buf, .cap = cap};
}

void url_text(struct url *u, struct span s)
{
	if (u->full || s.n > u->cap - u->n) {
		u->full = true;
		return;
	}
	if (s.n)
		memcpy(u->p + u->n, s.p, s.n);
	u->n += s.n;
}

static bool unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void url_encoded(struct url *u, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char out[3] = {(char)c, hex[c >> 4], hex[c & 15]};
		if (unreserved((char)c)) {
			url_text(u, (struct span){out, 1});
		} else {
			out[0] = '%';
			url_text(u, (struct span){out, 3});
		}
	}
}

void url_collection(struct url *u, const struct url_collection *c)
{
	url_text(u, c->prefix);
	url_text(u, c->group.n ? SPAN("/apis/") : SPAN("/api/"));
	if (c->group.n) {
		url_encoded(u, c->group);
		url_text(u, SPAN("/"));
	}
	url_encoded(u, c->version);
	if (c->namespace_.n) {
		url_text(u, SPAN("/namespaces/"));
		url_encoded(u, c->namespace_);
	}
	url_text(u, SPAN("/"));
	url_encoded(u, c->resource);
}

void url_query(struct url *u, bool *first, const char *key, struct span value)
{
	if (!value.n)
		return;
	url_text(u, *first ? SPAN("?") : SPAN("&"));
	*first = false;
	url_text(u, span_of(key));
	url_text(u, SPAN("="));
	url_encoded(u, value);
}

size_t url_end(const struct url *u)
{
	return u->full ? 0 : u->n;
}
