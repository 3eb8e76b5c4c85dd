/* backend.h - a Headlamp backend as a way to clusters: the texts of its HTTP side, as
 * Headlamp 0.45.0 has them (its backend/cmd/headlamp.go, stateless.go and backend/pkg/auth).
 *
 * Everything of one cluster lies under /clusters/NAME/: a LIST, a watch by chunked HTTP and a watch
 * by WebSocket alike. Pure: texts in, texts out.
 */
#ifndef KR_HEADLAMP_BACKEND_H
#define KR_HEADLAMP_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum {
	BACKEND_NAME_MAX = 253,
	BACKEND_PROTOCOLS_MAX = 3,
	BACKEND_COOKIE_PIECE = 3800, /* of a token, in one cookie */
	BACKEND_COOKIE_NAME_MAX = 50,
	BACKEND_PROTOCOL_BYTES_MAX = 1024, /* one sub-protocol: a token in base64url may be long */
};

/* The name under which the backend serves a kubeconfig context: "/" becomes "--", " " becomes "__".
 * Returns its length, 0: does not fit or is empty. */
size_t backend_cluster_name(struct span context, char *out, size_t cap);
/* BASE/clusters/NAME, NAME percent-encoded as a path segment. base: path of the backend's URL
 * without its last slash. 0: does not fit. */
size_t backend_prefix(struct span base, struct span name, char *out, size_t cap);

/* The sub-protocols of one legacy watch or of the multiplexer's socket. A kube-apiserver takes at
 * most one (two or more: a bare 400), so only what the backend itself takes out again may stand
 * beside it. */
struct backend_protocols {
	struct span at[BACKEND_PROTOCOLS_MAX];
	size_t count;
	char bytes[2 * BACKEND_PROTOCOL_BYTES_MAX];
};
/* base64.binary.k8s.io, then base64url.headlamp.authorization.k8s.io.USER when user is not empty.
 * ERR_LIMIT; ERR_ARGUMENT: a user that is not [A-Za-z0-9_-]. The backend token goes as the header
 * X-HEADLAMP_BACKEND-TOKEN, never as a sub-protocol: one form is enough, and two that differ are
 * refused. */
err_t backend_legacy_protocols(struct span user, struct backend_protocols *out) MUST_USE;
/* headlamp.multiplexer.k8s.io. */
void backend_mux_protocols(struct backend_protocols *out);

/* Appends to a Cookie header's value what the backend's set-token would have made a browser send
 * for that cluster (backend/pkg/auth/cookies.go): "headlamp-auth-NAME.0=TOKEN", long tokens in
 * pieces, "; " between. The backend makes the Authorization of its requests to the cluster out of
 * it. *n: bytes that stand in out already, and afterwards. ERR_LIMIT; ERR_ARGUMENT: the token has
 * a byte that may not be in a cookie. */
err_t backend_add_cookie(
        struct span name, struct span token, char *out, size_t cap, size_t *n) MUST_USE;

/* The answer of GET BASE/config: one entry of "clusters". */
struct backend_cluster {
	char *name;  /* own */
	char *error; /* own; NULL: the backend can use it */
};
struct backend_clusters {
	struct backend_cluster *rows; /* own; sorted by name, each once */
	size_t count;
};
/* ERR_HEADLAMP_CONFIG with a text that says what was expected and what came; ERR_NO_MEMORY. On an
 * error *out is empty. A name over BACKEND_NAME_MAX is an error of its row. */
err_t backend_read_config(
        struct span json, struct backend_clusters *out, struct errmsg *m) MUST_USE;
void backend_clusters_fini(struct backend_clusters *c);

#endif
