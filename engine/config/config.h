/* config.h - from files to the clusters that the daemon serves: settings, kubeconfigs, and the
 * contexts chosen from them.
 *
 * Which contexts: those named on the command line (--context, patterns allowed); else those of
 * `clusters:` in kubering.yaml; else the current one. A context takes its options (qps, strategy,
 * ...) from the first entry of `clusters:` that matches it. A cluster that cannot be used is in the
 * result with its error, and the others work (one broken context must not break the rest).
 *
 * Of a Headlamp backend the clusters that its entry names are in the result; those that match a
 * pattern become known when it answers (control/backends.h), and get their names by the same rule.
 */
#ifndef KR_CONFIG_CONFIG_H
#define KR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/cluster_conf.h"
#include "config/kubeconfig.h"
#include "config/problem.h"
#include "config/settings.h"

enum { CONFIG_CLUSTERS_MAX = 20000 };

struct config_options {            /* the command line and the environment; borrowed for the call */
	const char *settings_file; /* --config; NULL: none */
	const char *kubeconfig;    /* --kubeconfig; NULL: not given */
	const char *const *contexts; /* --context */
	size_t context_count;
	struct kubeconfig_source source; /* .files is ignored */
	struct settings_env env;
};

/* A Headlamp backend: an entry of `clusters:` with `headlamp`. */
struct config_backend {
	const char *name;                     /* unique among backends */
	const struct settings_cluster *entry; /* its options; borrow(until config_free) */
	bool discovers;           /* entry->headlamp->contexts has patterns, or is empty */
	struct cluster_conf conf; /* own; as config_cluster.conf */
	/* Of the clusters behind it; borrow(until config_free). Empty: the backend's kubeconfig has
	 * what they ask for. */
	struct credential_conf cluster_credential;
	struct errmsg error; /* code ERR_OK: usable */
	struct problem_place place;
};

struct config_cluster {
	const char *name;                     /* unique; borrow(until config_free) */
	const char *context;                  /* of the kubeconfig, or of the backend */
	const struct config_backend *backend; /* then conf is empty; NULL: a kubeconfig's */
	bool gzip;                            /* ask for compressed lists */
	enum settings_strategy strategy;
	enum settings_watch_list watch_list;
	uint32_t qps, audit_s;
	struct cluster_conf conf;   /* own; all zero if error.code is set, or after config_take */
	struct errmsg error;        /* code ERR_OK: usable */
	struct problem_place place; /* of the context; borrow(until config_free) */
};

/* Owner: the daemon. Thread: control. Life: config_load to config_free. */
struct config {
	struct arena arena;
	struct settings *settings;       /* own */
	struct config_cluster *clusters; /* own; sorted by name */
	size_t cluster_count;
	struct config_backend *backends; /* own; in the order of the file */
	size_t backend_count;
};

/* Has no side effect beyond reading, so a reload that fails leaves the caller with its old config.
 * Problems: files that cannot be read, contexts that do not exist, names given twice (errors, which
 * fail the load); doubtful things (warnings). What is wrong with one cluster is in its error only.
 */
err_t config_load(const struct config_options *o, struct problem_list *problems,
        struct config **out) MUST_USE;
void config_free(struct config **c);
/* The conf of a cluster or backend moves to the caller, who calls cluster_conf_fini. */
struct cluster_conf config_take(struct cluster_conf *c);

/* --check: all that can be said without connecting, every problem with file, line and field. Beyond
 * config_load: a cluster that cannot be used is an error, credential files are read, certificates
 * are checked against wall_s, plugins are looked up. Returns ERR_OK or ERR_CONFIG. */
err_t config_check(const struct config_options *o, const char *search_path, int64_t wall_s,
        struct problem_list *problems);

#endif
