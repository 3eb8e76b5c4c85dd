/* credential_priv.h - what credential.c, credential_source.c and credential_pool.c share. */
#ifndef KR_CONFIG_CREDENTIAL_PRIV_H
#define KR_CONFIG_CREDENTIAL_PRIV_H

#include "base/hash_index.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/wheel.h"
#include "config/credential.h"
#include "config/credential_answer.h"
#include "config/credential_exec.h"

enum credential_timer {         /* wheel_timer.kind: what is due, and of which field the timer is */
	CREDENTIAL_TIMER_TOKEN, /* read the token file */
	CREDENTIAL_TIMER_PEM,   /* read the certificate files */
	CREDENTIAL_TIMER_EXEC,  /* run the plugin */
	CREDENTIAL_TIMER_RUN,   /* the running plugin's deadline */
	CREDENTIAL_TIMER_COUNT,
};

/* A file's content, kept in its own arena so that the next reading replaces it whole. */
struct credential_part {
	struct arena arena;
	struct span bytes;
};

/* What is read or run again. Owner, thread and life: its source's. */
struct credential_work {
	struct credential_source *source;
	struct credential_part token, cert, key;
	struct credential_answer answer;
	uint32_t exec_failures; /* in a row */
	uint64_t refreshed_ns;  /* when a run started or a refresh was asked for; 0: never */
	struct wheel_timer timers[CREDENTIAL_TIMER_COUNT];
};

/* Owner: credential_pool. Thread: control. Life: credential_source_open to the last
 * credential_source_close. Many are nothing but what the kubeconfig holds: they are small. */
struct credential_source {
	struct list link;         /* in pool->sources */
	struct list waiting;      /* in pool->waiting: the plugin is due, but too many run */
	struct list news;         /* in pool->news */
	struct hash_node by_exec; /* in pool->by_exec */
	bool in_by_exec;          /* may be shared */
	struct credential_pool *pool;
	uint32_t users;
	bool has_answer;
	bool has_pair; /* certificate and key have been checked */
	bool asked;    /* credential_source_refresh wants to hear of the end */
	struct arena arena;
	struct credential_conf conf;                 /* own copy, in arena */
	struct credential *current;                  /* own reference */
	struct credential_exec *run;                 /* own; NULL: not running */
	struct credential_work *work;                /* own; NULL: no file and no plugin */
	struct errmsg *errors[CREDENTIAL_TIMER_RUN]; /* own, one per kind of work; NULL: none */
};

/* Owner: the daemon. Thread: control. */
struct credential_pool {
	struct credential_pool_conf conf;
	int epoll_fd;
	uint32_t running;
	struct list sources, waiting, news;
	struct hash_index by_exec; /* ten thousand clusters may have a plugin's command each */
	uint64_t exec_seed;        /* of its hashes */
	struct prng prng;
	struct wheel wheel;
};

/* A new credential of these parts; NULL: out of memory. Spans with n == 0 are left out; a token
 * wins over user and password. */
struct credential_parts {
	struct span token, username, password, cert_pem, key_pem;
	int64_t expires_s;
};
struct credential *credential_new(const struct credential_parts *parts);
bool credential_equal(const struct credential *a, const struct credential *b);

/* credential_source.c, called by the pool */
void credential_source_on_timer(
        struct credential_source *s, enum credential_timer kind, uint64_t now_ns, int64_t wall_s);
void credential_source_on_run(struct credential_source *s, uint64_t now_ns, int64_t wall_s);
void credential_source_run(struct credential_source *s, uint64_t now_ns);
/* Other plugins may run than before. */
void credential_source_on_policy(struct credential_source *s, uint64_t now_ns);

/* credential_pool.c, called by a source */
void credential_pool_push_news(struct credential_source *s);
/* A plugin of s is due: starts it now or when another one ends. */
void credential_pool_start(struct credential_source *s, uint64_t now_ns);
/* The plugin of s has ended or could not be started: its place is free. */
void credential_pool_ended(struct credential_pool *p, uint64_t now_ns);
bool credential_pool_watch(struct credential_source *s);

#endif
