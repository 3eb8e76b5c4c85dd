/* credential_conf.h - how one user of a kubeconfig proves who they are: what is written down, not
 * yet read or run.
 *
 * The parts are combined as client-go combines them: a token file wins over a token, and an exec
 * plugin is run for a user who has nothing else. Made by kubeconfig_resolve, consumed by
 * credential.h.
 */
#ifndef KR_CONFIG_CREDENTIAL_CONF_H
#define KR_CONFIG_CREDENTIAL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "config/arena.h"

/* Lines of credential_conf.impersonate: a request has room for that many, and a few more. */
enum { CREDENTIAL_IMPERSONATE_MAX = 60 };

struct credential_env {
	const char *name, *value;
};

/* An `exec` stanza (client.authentication.k8s.io). */
struct credential_exec_conf {
	const char *command; /* absolute if it had a '/', else looked up in PATH */
	const char *const *args;
	size_t arg_count;
	const struct credential_env *env;
	size_t env_count;
	const char *api_version;  /* "client.authentication.k8s.io/v1" or ".../v1beta1" */
	const char *install_hint; /* NULL: none */
	const char *cluster_info; /* JSON of spec.cluster; NULL unless provideClusterInfo */
};

/* Strings live in the arena of whoever made it; NULL or n == 0: not given. */
struct credential_conf {
	const char *user; /* the name of the entry, for messages */
	const char *token, *token_file;
	const char *username, *password;
	struct span cert_pem, key_pem;
	const char *cert_file, *key_file;
	const struct credential_exec_conf *exec; /* NULL if anything above is given */
	const char *impersonate; /* header lines "Impersonate-User: x\r\n...", to be sent as they
	                            are; NULL: none */
};

/* A deep copy into arena. false: no memory left in it. */
bool credential_conf_copy(
        const struct credential_conf *from, struct arena *arena, struct credential_conf *to);
/* Same exec plugin, same arguments, environment and cluster information? */
bool credential_exec_conf_equal(
        const struct credential_exec_conf *a, const struct credential_exec_conf *b);
/* Equal for equal ones. */
uint64_t credential_exec_conf_hash(const struct credential_exec_conf *x, uint64_t seed);
/* Would both log in alike? Names of files are compared, not what is in them: that is read again
 * anyway. */
bool credential_conf_equal(const struct credential_conf *a, const struct credential_conf *b);

#endif
