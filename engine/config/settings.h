/* settings.h - kubering.yaml: what the daemon does, and who may see what. engine/main/kubering.yaml
 * shows every setting with its default.
 *
 * The file is optional. It is strict (fields.h): a typing error is an error with line and column.
 * Loading has no side effect, so a daemon that is told to reload a broken file keeps the settings
 * that it has (control/reload.h: what a reload changes).
 *
 * strategy. Without `headlamp`: direct (auto is the same) or websocket, both to the kube-apiserver.
 * With it: auto, multiplexed, legacy or http. The entry then needs a name, the backend's; its
 * clusters are its contexts: those named are known from the start, those that match a pattern (all,
 * when `contexts` is left out) once the backend has listed them. A cluster is called by its
 * context's name, or BACKEND/CONTEXT where that name is taken; of two backends that list the same
 * name, the first to answer has it: give them distinct `contexts` where policy rests on names.
 * --context chooses from kubeconfigs, and then no backend is asked.
 *
 * compression: off by default: on fast links a server's gzip costs more time than it saves, one of
 * its cores per LIST; auto asks for it, across a WAN.
 *
 * Policy. A realm grants its lists to those it allows; nothing else is granted. A pattern of
 * `resources` is matched against "pods" for the core group and "deployments.apps" for others, so
 * "pods" does not grant pods.metrics.k8s.io. A list over all namespaces needs namespaces "*" (or
 * none given); a pattern such as "team-*" never covers it. Without `realms` there is one,
 * "default", for the user the daemon runs as and root, over everything; of Secrets only metadata.
 */
#ifndef KR_CONFIG_SETTINGS_H
#define KR_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/exec_policy.h"
#include "config/fields.h"
#include "config/problem.h"
#include "config/server_url.h"

enum {
	SETTINGS_BYTES_MAX = 4 << 20,
	SETTINGS_NAME_MAX = 63,
	SETTINGS_REALMS_MAX = 64,
	SETTINGS_QPS_DEFAULT = 5,          /* as client-go */
	SETTINGS_BATCH_WAIT_DEFAULT = 200, /* us */
};

/* The values are the order of the words in settings.c. */
enum settings_io { SETTINGS_IO_AUTO, SETTINGS_IO_URING, SETTINGS_IO_EPOLL };
enum settings_records { SETTINGS_RECORDS_OWN, SETTINGS_RECORDS_EVP, SETTINGS_RECORDS_OPENSSL };
enum settings_log_format { SETTINGS_LOG_LOGFMT, SETTINGS_LOG_JSON };
enum settings_log_level {
	SETTINGS_LEVEL_DEBUG,
	SETTINGS_LEVEL_INFO,
	SETTINGS_LEVEL_WARN,
	SETTINGS_LEVEL_ERROR,
};
enum settings_strategy {
	SETTINGS_STRATEGY_AUTO, /* only with headlamp: settings.c makes it DIRECT elsewhere */
	SETTINGS_STRATEGY_DIRECT,
	SETTINGS_STRATEGY_WEBSOCKET,
	SETTINGS_STRATEGY_MULTIPLEXED,
	SETTINGS_STRATEGY_LEGACY,
	SETTINGS_STRATEGY_HTTP,
};
enum settings_compression { SETTINGS_COMPRESSION_OFF, SETTINGS_COMPRESSION_AUTO };
enum settings_watch_list { SETTINGS_WATCH_LIST_AUTO, SETTINGS_WATCH_LIST_NEVER };

struct settings_limits {
	uint64_t memory_bytes; /* shared memory of all; 0: by what the system has (main/memory.h) */
	uint64_t shard_bytes;  /* shared memory of one reactor and realm */
	uint64_t list_bytes;   /* objects of one list */
	uint64_t cluster_bytes; /* objects of one cluster */
	uint64_t objects_max;   /* of one list */
	uint64_t ring_entries;  /* of one shard; a power of two */
	/* replaced objects of one shard, for followers and views that are behind; 0: by what is
	 * live (store.h) */
	uint64_t retained_bytes;
	uint64_t event_bytes_max; /* of one event */
	uint64_t lists_max;       /* of one shard */
	uint64_t consumers_max;   /* attached at once */
	uint64_t linger_seconds;  /* how long a list stays after its last consumer */
};

struct settings_headlamp {
	const char *url;
	struct server_url server;       /* url taken apart */
	const char *token, *token_file; /* backendToken; at most one of them */
	/* clusterToken: what the clusters behind it ask for; at most one of them */
	const char *cluster_token, *cluster_token_file;
	const char *user;                  /* NULL: none; letters, digits, '-', '_' */
	struct fields_texts contexts;      /* names and patterns; count 0: all */
	const char *certificate_authority; /* a file; NULL: system roots */
	bool insecure;
};

struct settings_cluster {
	const char *name;       /* NULL: the name of the context */
	const char *context;    /* a name or a pattern; NULL with headlamp */
	const char *kubeconfig; /* NULL: the common one */
	unsigned strategy;      /* enum settings_strategy */
	uint64_t qps;           /* requests per second at most */
	uint64_t audit_s;       /* between two self-audits of a list, about; 0: none */
	unsigned watch_list;    /* enum settings_watch_list */
	unsigned compression;   /* enum settings_compression */
	const struct settings_headlamp *headlamp; /* NULL: a kubeconfig context */
	uint32_t line, column;                    /* for messages */
};

struct settings_resource { /* RESOURCE[.VERSION][.GROUP] */
	const char *resource;
	const char *version; /* "" not given */
	const char *group;   /* "" core group, or not given */
	bool has_group; /* false: only the resource is known; whoever knows the API finds the group
	                 */
};

struct settings_list {
	const char *clusters; /* a pattern over cluster names */
	struct settings_resource resource;
	const char *namespace_;                      /* NULL: all */
	const char *label_selector, *field_selector; /* NULL: none */
	bool metadata_only, keep_managed_fields;
	uint32_t line, column;
};

struct settings_grant { /* patterns; count 0: everything */
	struct fields_texts clusters, resources, namespaces;
};

struct settings_realm {
	const char *name;
	const uid_t *uids; /* of `uids` and `users` */
	size_t uid_count;
	const gid_t *gids; /* of `gids` and `groups` */
	size_t gid_count;
	const struct settings_grant *grants;
	size_t grant_count;
	/* Taken back by a reload it stops new values. Those that were mirrored stay in the realm's
	 * memory until it is used again: a restart ends that. */
	bool secret_values;
};

/* Owner: the daemon. Thread: any may read. Life: settings_load to settings_free. The fields that a
 * command line overrides (socket, reactors, io, log_format) may be set before others read it. */
struct settings {
	struct arena arena;
	const char *file; /* NULL: defaults */
	const char *socket;
	uint64_t reactors;      /* 0: one per core */
	uint64_t batch_wait_us; /* io.h: how long a busy reactor waits for more */
	unsigned io;            /* enum settings_io */
	unsigned tls_records;   /* enum settings_records */
	unsigned log_format, log_level;
	uint16_t metrics_port; /* on 127.0.0.1; 0: off */
	struct settings_limits limits;
	struct fields_texts kubeconfig;
	const struct settings_cluster *clusters;
	size_t cluster_count;
	const struct settings_list *lists;
	size_t list_count;
	const struct settings_realm *realms;
	size_t realm_count;
	struct exec_policy exec_policy;
};

/* What the defaults depend on. */
struct settings_env {
	uid_t uid;               /* of the daemon */
	const char *runtime_dir; /* $XDG_RUNTIME_DIR, NULL if not set */
};

/* file NULL: the defaults. Reads the file and the user database; changes nothing. Problems of all
 * levels go to problems; if one is an error, the load fails and *out is NULL. Control thread. */
err_t settings_load(const char *file, const struct settings_env *env, struct problem_list *problems,
        struct settings **out) MUST_USE;
void settings_free(struct settings **s);

/* --- policy: pure, any thread -------------------------------------------------------------- */

/* The first realm that covers a list; NULL: none, so nobody may see it. namespace_ NULL or "": all
 * namespaces, or a resource without. */
const struct settings_realm *settings_realm_for(const struct settings *s, const char *cluster,
        const char *group, const char *resource, const char *namespace_);
/* Is a process with these ids allowed in the realm? gids: primary and supplementary ones. */
bool settings_allows(const struct settings *s, const struct settings_realm *realm, uid_t uid,
        const gid_t *gids, size_t gid_count);
/* May the realm hold the values of Secrets? If not, Secrets are taken as metadata only. */
bool settings_secret_values(const struct settings *s, const struct settings_realm *realm);

struct settings_target { /* a list, as in settings_realm_for */
	const char *cluster, *group, *resource, *namespace_;
};
struct settings_peer { /* a consumer, as the kernel vouches for it */
	uid_t uid;
	const gid_t *gids;
	size_t gid_count;
};
/* May the peer see anything at all of that cluster? */
bool settings_sees_cluster(
        const struct settings *s, const char *cluster, const struct settings_peer *peer);
/* The decision for one request: the first realm that covers the list and allows the peer. The same
 * list may exist in two realms, once for each set of people, never in one segment for both. NULL:
 * not permitted. */
const struct settings_realm *settings_admit(const struct settings *s,
        const struct settings_target *target, const struct settings_peer *peer);
/* Does this realm cover the list and allow the peer? For one that has it open already. */
bool settings_grants(const struct settings *s, const struct settings_realm *realm,
        const struct settings_target *target, const struct settings_peer *peer);

#endif
