/* upstream.h - --upstream: real API servers behind the backend, each a context of it. TLS with a CA
 * file and a client certificate (HTTP, legacy WebSocket and multiplexer) or a token (not the
 * multiplexer: BM-11), or plain TCP without a CA file.
 *
 * A link's input is read ahead by at most 256 KiB; what a slow client does not take stays in the
 * kernel. Names are resolved once, at the start. */
#ifndef KR_HOST_UPSTREAM_H
#define KR_HOST_UPSTREAM_H

#include "host/options.h"
#include "host/serve.h"

#include <sys/socket.h>

#define UPSTREAMS_MAX OPTIONS_UPSTREAMS_MAX

/* Owner: struct upstreams. */
struct upstream {
	struct upstreams *all;
	char *name, *host, *address, *path, *token; /* own; address: host:port; token NULL = none */
	struct sockaddr_storage to;
	socklen_t to_bytes;
	SSL_CTX *tls; /* own; NULL = plain */
};

/* Owner: main. Life: init .. fini, which comes after the backend's connections. */
struct upstreams {
	struct upstream v[UPSTREAMS_MAX];
	size_t count;
	struct serve *serve;
	struct list dead; /* links to be freed at the end of the turn */
};

void upstreams_init(struct upstreams *u, struct serve *s);
void upstreams_fini(struct upstreams *u);
/* NAME=HOST:PORT[/PATH][,CA_FILE[,CERT_FILE,KEY_FILE | ,token:TOKEN]] becomes a context of the
 * backend. False: a message was printed. */
bool upstreams_add(struct upstreams *u, struct model_backend *b, const char *text);
/* Once a turn. */
void upstreams_bury(struct upstreams *u);

#endif
