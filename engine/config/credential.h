/* credential.h - credentials that stay valid: sources that read token files and certificates again,
 * run exec plugins again, and hand out immutable, reference-counted results.
 *
 * A source belongs to one user of a kubeconfig. It starts working when it is opened, refreshes by
 * itself, and keeps the last good credential when a refresh fails:
 *
 *   static parts       once
 *   token file         every 45 to 50 s (kubelet rotates at 80 % of a token's life; client-go reads
 *                      every 50 s)
 *   certificate files  every 5 min; a pair that does not belong together is half rotated and not
 *                      taken
 *   exec plugin        at 80 to 90 % of the life of its answer, jittered; without expiry never;
 *                      after a failure 5 s to 5 min, doubling
 *
 * A 401 asks for one refresh at once (credential_source_refresh), whoever of many lists sees it
 * first. Sources with the same exec plugin, arguments, environment and cluster information are one
 * source (client-go: one authenticator per distinct config).
 *
 * All sources of a process live in a pool, which has one descriptor to poll, one deadline, a bound
 * on plugins that run at once, and a queue of sources that have news. Pool and sources: control
 * thread only. struct credential: any thread.
 */
#ifndef KR_CONFIG_CREDENTIAL_H
#define KR_CONFIG_CREDENTIAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "config/arena.h"
#include "config/credential_conf.h"
#include "config/exec_policy.h"

enum {
	CREDENTIAL_TOKEN_BYTES_MAX = 1 << 20,
	CREDENTIAL_PEM_BYTES_MAX = 1 << 20,
	CREDENTIAL_RUNNING_MAX = 8, /* exec plugins at once, if the pool says nothing else */
};

/* What goes to a server. Immutable. Owner: its references. Thread: any. Life: the last
 * credential_put wipes and frees it. */
struct credential {
	_Atomic uint32_t _refs;
	struct arena _arena;
	struct span authorization; /* value of the Authorization header: "Bearer x", "Basic x"; n ==
	                              0: send none */
	struct span cert_pem, key_pem; /* client certificate; n == 0: none */
	int64_t expires_s;             /* seconds since 1970, as the plugin said; 0: unknown */
};

/* Another reference to the same. Any thread. */
struct credential *credential_get(struct credential *c);
/* Gives one reference back and nulls the pointer; NULL is allowed. Any thread. */
void credential_put(struct credential **c);
/* The bare bearer token; n == 0: it has none. Valid as long as c is. */
struct span credential_token(const struct credential *c);
/* A changed certificate means: close the connections that were made with the old one. A changed
 * token does not (it is checked per request). Either may be NULL. */
bool credential_same_certificate(const struct credential *a, const struct credential *b);

struct credential_pool_conf {
	struct exec_policy policy; /* borrow(until credential_pool_free) */
	char *const *environ;      /* borrow(until credential_pool_free): for plugins */
	uint64_t exec_timeout_ns;  /* 0: CREDENTIAL_EXEC_TIMEOUT_NS */
	uint32_t running_max;      /* 0: CREDENTIAL_RUNNING_MAX */
	uint64_t seed;             /* of the jitter */
};

struct credential_pool;
struct credential_source;

err_t credential_pool_new(const struct credential_pool_conf *conf, uint64_t now_ns,
        struct credential_pool **out, struct errmsg *m) MUST_USE;
/* All sources must be closed. */
void credential_pool_free(struct credential_pool **p);
/* After a reload: for runs from now on. If it is another one, plugins that came to nothing under
 * the old one are due. What policy points to is borrowed as in credential_pool_conf. */
void credential_pool_set_policy(
        struct credential_pool *p, const struct exec_policy *policy, uint64_t now_ns);
/* Poll it for reading, then call credential_pool_on_readable. */
int credential_pool_fd(const struct credential_pool *p);
/* When credential_pool_on_timer wants to be called; UINT64_MAX: never. Early calls are harmless. */
uint64_t credential_pool_deadline(const struct credential_pool *p);
/* now_ns: monotonic. wall_s: seconds since 1970. */
void credential_pool_on_readable(struct credential_pool *p, uint64_t now_ns, int64_t wall_s);
void credential_pool_on_timer(struct credential_pool *p, uint64_t now_ns, int64_t wall_s);
/* The next source with news: another credential, another error, or the end of a refresh that was
 * asked for. NULL: no more. Several clusters may share the source that comes out. */
struct credential_source *credential_pool_pop(struct credential_pool *p);

/* Copies conf. Static parts and files are there on return; the first run of a plugin is under way.
 * Only ERR_NO_MEMORY fails the call; what else goes wrong is news. */
err_t credential_source_open(struct credential_pool *p, const struct credential_conf *conf,
        uint64_t now_ns, int64_t wall_s, struct credential_source **out) MUST_USE;
/* The last one to close stops a plugin that runs. Nulls the pointer. */
void credential_source_close(struct credential_source **s);
/* A new reference to the present credential; NULL: there is none yet (credential_source_error says
 * why, or the plugin still runs). A user without any credential gets one with empty parts. */
struct credential *credential_source_get(struct credential_source *s);
/* The last failure; NULL: none since the last success. With a credential at hand it is a warning:
 * the last good one goes on. */
const struct errmsg *credential_source_error(const struct credential_source *s);
/* The server answered 401 to `rejected` (as got from credential_source_get; NULL: to a request
 * without). Starts one refresh, at most every 10 s; its end is news. If the source has a newer
 * credential already, that is news at once. Returns false if there is nothing that could be
 * refreshed. */
bool credential_source_refresh(
        struct credential_source *s, const struct credential *rejected, uint64_t now_ns);

#endif
