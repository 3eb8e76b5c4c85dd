/* kubeconfig.h - finds, reads and merges kubeconfig files exactly as kubectl does, and turns a
 * context into a cluster_conf.
 *
 * Finding: --kubeconfig FILE (that file only, must exist); else $KUBECONFIG (colon-separated; empty
 * parts and repetitions skipped, missing files skipped); else ~/.kube/config. Merging: the first
 * file that names a cluster, user or context wins the whole entry; the first non-empty
 * current-context wins. Relative paths are relative to the file that has them. Unknown fields are
 * ignored.
 *
 * A file that cannot be read or parsed fails the load, and names the place. What is wrong with one
 * context, its cluster or its user fails kubeconfig_resolve for that context only. No kubeconfig at
 * all, inside a pod: one context "in-cluster" from the service account.
 *
 * Deliberately stricter than kubectl: a key given twice, a second document, a context that names an
 * unknown user (kubectl goes anonymous), and proxy-url (not supported yet) are errors. More
 * lenient: an unquoted number is taken as text.
 */
#ifndef KR_CONFIG_KUBECONFIG_H
#define KR_CONFIG_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/cluster_conf.h"
#include "config/problem.h"

#define KUBECONFIG_IN_CLUSTER  "in-cluster"
#define KUBECONFIG_SERVICE_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* Where to look. All strings are borrowed for the call; NULL: not set. The environment comes in as
 * values, so that tests need none. */
struct kubeconfig_source {
	const char *const *files; /* --kubeconfig, or `kubeconfig:` of kubering.yaml: these only,
	                             each must exist */
	size_t file_count;
	const char *env;           /* $KUBECONFIG */
	const char *home;          /* $HOME */
	const char *service_host;  /* $KUBERNETES_SERVICE_HOST */
	const char *service_port;  /* $KUBERNETES_SERVICE_PORT */
	const char *service_dir;   /* NULL: KUBECONFIG_SERVICE_DIR */
	const char *pod_namespace; /* $POD_NAMESPACE: wins over the service account's */
	const char
	        *https_proxy; /* $HTTPS_PROXY or $https_proxy: only to warn that it is not used */
};

/* Fills all but files from the environment of the process. Strings stay valid until the environment
 * changes. */
void kubeconfig_source_from_env(struct kubeconfig_source *s);

struct kubeconfig;

/* Reads files: control thread only. Errors and warnings (permissions, nothing found) go to
 * problems. On failure *out is NULL and problems has at least one error. Nothing found at all is a
 * valid, empty kubeconfig. */
err_t kubeconfig_load(const struct kubeconfig_source *s, struct problem_list *problems,
        struct kubeconfig **out) MUST_USE;
void kubeconfig_free(struct kubeconfig **kc);

/* Contexts, sorted by name. Names are valid until kubeconfig_free. */
size_t kubeconfig_count(const struct kubeconfig *kc);
const char *kubeconfig_name(const struct kubeconfig *kc, size_t i);
/* false: no such context. */
bool kubeconfig_index(const struct kubeconfig *kc, const char *context, size_t *i);
/* NULL: none is set. It may name a context that does not exist. */
const char *kubeconfig_current(const struct kubeconfig *kc);
/* Where a context is defined, for messages. */
struct problem_place kubeconfig_place(const struct kubeconfig *kc, const char *context);

/* Makes *out of a context; reads the CA file if there is one, but no credential file, and runs
 * nothing. On failure m says "FILE:LINE:COL: field: what", and *out needs no fini. Codes:
 * ERR_UNKNOWN_CLUSTER (no such context), ERR_CONFIG, ERR_CRED_FILE (CA file), ERR_NO_MEMORY. */
err_t kubeconfig_resolve(const struct kubeconfig *kc, const char *context, struct cluster_conf *out,
        struct errmsg *m) MUST_USE;

#endif
