/* server_url.h - the `server` field of a kubeconfig cluster, taken apart.
 *
 * As client-go reads it (rest/url_utils.go): the scheme may be left out; then it is https if TLS
 * material is configured, else http, and no path may follow. A path prefix is kept, query and
 * fragment are dropped. Stricter than Go's parser where looseness helps an attacker or hides a
 * typing error: only http and https, no user and password, IPv6 in brackets, ports 1 to 65535,
 * ASCII host names.
 */
#ifndef KR_CONFIG_SERVER_URL_H
#define KR_CONFIG_SERVER_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "config/arena.h"

enum { SERVER_URL_BYTES_MAX = 2048, SERVER_URL_HOST_MAX = 253 };

struct server_url { /* strings in the arena given */
	bool tls;
	bool host_is_address;
	uint16_t port;         /* 443 or 80 if not given */
	const char *host;      /* without brackets */
	const char *authority; /* for the Host header: brackets kept, the scheme's own port left out
	                          (RFC 9110 7.2) */
	const char *
	        path; /* "" or "/k8s/clusters/c-1": percent-encoded as given, no slash at the end */
	const char *text; /* "https://authority/path" */
};

/* Fills *out. NULL on success, else what is wrong with it, as a static text that quotes nothing (a
 * URL may hold a password). Pure. */
const char *server_url_parse(
        const char *text, bool tls_by_default, struct arena *arena, struct server_url *out);

/* Is name a host name that a certificate or a URL may hold: letters, digits, '-', '_', '.'? */
bool server_url_is_host(struct span name);
/* An IPv6 address, without brackets and zone? */
bool server_url_is_address6(const char *text);

#endif
