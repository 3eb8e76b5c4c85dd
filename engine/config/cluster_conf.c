#include "config/cluster_conf.h"

#include <string.h>

void cluster_conf_fini(struct cluster_conf *c)
{
	arena_fini(&c->arena);
	*c = (struct cluster_conf){0};
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool cluster_conf_same_server(const struct cluster_conf *a, const struct cluster_conf *b)
{
	return a->server.tls == b->server.tls && a->server.port == b->server.port &&
	       same_text(a->server.host, b->server.host) &&
	       same_text(a->server.authority, b->server.authority) &&
	       same_text(a->server.path, b->server.path);
}

bool cluster_conf_same_login(const struct cluster_conf *a, const struct cluster_conf *b)
{
	return a->insecure == b->insecure && span_eq(a->ca_pem, b->ca_pem) &&
	       same_text(a->tls_server_name, b->tls_server_name) &&
	       credential_conf_equal(&a->credential, &b->credential);
}
