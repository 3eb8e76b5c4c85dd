/* cluster_conf.h - one cluster, ready to be connected to: what kubeconfig_resolve makes of a
 * context. */
#ifndef KR_CONFIG_CLUSTER_CONF_H
#define KR_CONFIG_CLUSTER_CONF_H

#include <stdbool.h>

#include "config/arena.h"
#include "config/credential_conf.h"
#include "config/server_url.h"

enum {
	CLUSTER_CONF_NAME_MAX = 253,
	CLUSTER_CONF_CA_BYTES_MAX = 1 << 20,
	CLUSTER_CONF_WARNINGS_MAX = 4,
	CLUSTER_CONF_BYTES_MAX = 8 << 20,
};

/* Owner: whoever embeds it; owns its arena, so it may be moved by assignment (ownership moves with
 * it). Thread: one at a time; reading it from several is fine once it no longer changes. Life:
 * kubeconfig_resolve to cluster_conf_fini, which wipes the credentials inside. */
struct cluster_conf {
	struct arena arena;
	const char *context;    /* the name of the context */
	const char *namespace_; /* of the context; "default" if it names none */
	struct server_url server;
	struct span ca_pem;          /* n == 0: system roots */
	const char *ca_file;         /* where ca_pem came from; NULL: from the kubeconfig itself */
	const char *tls_server_name; /* for SNI and verification; NULL: the host */
	bool insecure;               /* do not verify the server's certificate */
	bool disable_compression;    /* send no Accept-Encoding: gzip */
	struct credential_conf
	        credential; /* empty for http: credentials never travel in the clear */
	const char *warnings[CLUSTER_CONF_WARNINGS_MAX];
	unsigned warning_count;
};

/* The same server, as far as its address tells. */
bool cluster_conf_same_server(const struct cluster_conf *a, const struct cluster_conf *b);
/* The same user, shown to a server that is checked in the same way. */
bool cluster_conf_same_login(const struct cluster_conf *a, const struct cluster_conf *b);
/* Harmless on a zeroed struct and when called twice. */
void cluster_conf_fini(struct cluster_conf *c);

#endif
