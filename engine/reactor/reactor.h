/* reactor.h - a core's worth of the engine: its io, its connections, its lists, its shards (one per
 * realm). It is the one room that knows all the others.
 *
 * Two sides talk by messages only, and neither waits for the other: control -> reactor by
 * reactor_post() (any thread), reactor -> control by the `note` function given at start (called on
 * the reactor's thread; it must not block). Everything slow is on the other side: DNS, credential
 * plugins, the UNIX socket. Ids: the control thread numbers clusters, lists, consumers and fetches;
 * the reactor repeats the numbers.
 *
 * A cluster belongs to one reactor with all its lists: its gate, back-off, capabilities and
 * credential have one owner, so one dead cluster costs one timer and no lock. New clusters go to
 * the reactor with the least load.
 */
#ifndef KR_REACTOR_REACTOR_H
#define KR_REACTOR_REACTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "headlamp/strategy.h"
#include "io/io.h"
#include "shm/layout.h"

struct tls_config;
struct store;
struct reactor;

enum {
	REACTOR_CONSUMERS_MAX = 4104, /* the highest limits.consumersMax, and CONSUMER_KEPT */
	REACTOR_ADDRESSES_MAX = 8,
	REACTOR_FETCH_BYTES_MAX = 32 << 20,
	REACTOR_REALMS_MAX = 64,
};
#define REACTOR_NO_CLUSTER UINT32_MAX

/* --- what control gives ------------------------------------------------------------------ */

/* How requests of a cluster prove who they are. Immutable, counted; the memory is wiped when the
 * last reference goes. Any thread. */
enum { AUTH_FIELDS_MAX = 64 };
struct auth_field {
	char *name, *value;
};
struct auth {
	atomic_int refs;
	char *authorization;       /* value of the Authorization header, or NULL */
	struct auth_field *fields; /* Impersonate-* headers */
	size_t field_count;        /* <= AUTH_FIELDS_MAX */
	char *upgrade_cookie;      /* Cookie of a WebSocket's upgrade only, or NULL */
};
struct auth *auth_new(
        void); /* all NULL; fill it with strdup'ed strings before sharing. NULL: out of memory */
void auth_put(struct auth **a);

/* One cluster. The reactor keeps the strings and references it is given (message owns them until it
 * is handled). */
struct cluster_spec {
	uint32_t cluster; /* id, dense from 0 */
	char *name;
	char *host;   /* Host header value: "10.0.0.1:6443" */
	char *prefix; /* path of the server URL without the last slash, "" mostly */
	bool tls, gzip, watch_list;
	uint32_t connects_per_s, connects_burst;
	uint64_t bytes_max; /* budget of the cluster, 0 = none */
	uint32_t audit_s;   /* between two self-audits of a list, about; 0 = none */

	/* The way of its watches. Through a Headlamp backend host and prefix are the backend's
	 * ("/clusters/NAME"), and `backend` is the id of the cluster that stands for the backend
	 * itself: the multiplexer's socket is a connection of that one. It must have been added to
	 * the same reactor before. */
	enum strategy_way way;
	bool way_auto;    /* way is only the first to be tried */
	uint32_t backend; /* REACTOR_NO_CLUSTER: none */
	char *context;    /* its name at the backend, "clusterId" of messages; NULL: no backend */
	char *user;       /* Headlamp's user id, sent as a sub-protocol; NULL: none */
};

struct list_spec {
	uint32_t list; /* id */
	uint32_t cluster, realm;
	char *group, *version, *resource, *namespace_, *labels, *fields;
	bool metadata_only, keep_managed_fields;
	uint64_t bytes_max; /* budget of the list, 0 = none */
};

enum reactor_msg_type {
	REACTOR_CLUSTER_ADD, /* spec.cluster; then CREDENTIAL and ADDRESSES arrive in any order */
	REACTOR_CLUSTER_CHANGE, /* spec.cluster: other options, or another server; then its lists
	                           are taken again there, once CREDENTIAL and ADDRESSES came */
	REACTOR_CLUSTER_REMOVE, /* its lists are closed, err and text say why; each is answered by
	                           LIST_CLOSED, then CLUSTER_REMOVED comes */
	REACTOR_CLUSTER_ADDRESSES,  /* addresses; none + err/text: the name was not resolved */
	REACTOR_CLUSTER_CREDENTIAL, /* auth and tls (references move to the reactor); err/text
	                               instead: there is none now */
	REACTOR_LIST_OPEN,
	REACTOR_LIST_CLOSE,      /* id */
	REACTOR_CONSUMER_ADD,    /* id, eventfd, page */
	REACTOR_CONSUMER_REMOVE, /* id; answered by REACTOR_CONSUMER_GONE */
	REACTOR_SUBSCRIBE,
	REACTOR_UNSUBSCRIBE, /* id = consumer, list */
	REACTOR_FETCH,       /* id, cluster, target, accept: one GET; answered by REACTOR_FETCHED */
	REACTOR_STATUS,      /* id; answered by REACTOR_STATUS_OF */
	REACTOR_AUDIT,       /* id, list: audited soon; answered by REACTOR_AUDITED */
	REACTOR_STOP,        /* closes everything; reactor_run returns */
};

/* One message; heap, owned by the receiver once posted. reactor_msg_new zeroes it. */
struct reactor_msg {
	struct list link;
	enum reactor_msg_type type;
	uint32_t id, cluster, list;
	union {
		struct cluster_spec cluster_spec;
		struct list_spec list_spec;
		struct {
			struct sockaddr_storage at[REACTOR_ADDRESSES_MAX];
			socklen_t bytes[REACTOR_ADDRESSES_MAX];
			uint32_t count;
		} addresses;
		struct {
			struct auth *auth;      /* may be NULL: anonymous */
			struct tls_config *tls; /* NULL for http:// */
			bool renewed; /* another client certificate than before, or another user
			                 or authority: connections that were made with the old
			                 one are to be closed; their lists resume on new ones */
		} credential;
		struct {
			int eventfd;
			struct shm_consumer *page; /* borrowed until REACTOR_CONSUMER_GONE */
			bool foreign; /* of another user than ours, and of one who may not kill
			                 us anyway */
		} consumer;
		struct {
			char *target, *accept;
		} fetch;
	};
	err_t err;
	char text[ERRMSG_BYTES];
	/* Own: of a message that is answered, the answer, made with it: what was asked for is
	 * answered also when there is no memory left. */
	struct reactor_note *answer;
};
struct reactor_msg *reactor_msg_new(enum reactor_msg_type type); /* NULL: out of memory */
void reactor_msg_free(struct reactor_msg **m);                   /* with everything it still owns */

/* --- what comes back --------------------------------------------------------------------- */

enum reactor_note_type {
	REACTOR_LIST_OPENED,      /* id; err, or shard, row, gen, store */
	REACTOR_LIST_CLOSED,      /* id: nothing refers to it any more */
	REACTOR_WANTS_ADDRESSES,  /* cluster: (re)resolve its host */
	REACTOR_WANTS_CREDENTIAL, /* cluster: 401; force a refresh, then send CLUSTER_CREDENTIAL in
	                             any case */
	REACTOR_CONSUMER_GONE,    /* id: eventfd and page are free */
	REACTOR_FETCHED,          /* id; err/text, or http_status, body */
	REACTOR_STATUS_OF,        /* id; status */
	REACTOR_CLUSTER_TURNED,   /* cluster: err and text why it is not reached, or ERR_OK: it
	                             answers again, or is another server's by now */
	REACTOR_CLUSTER_LETS_IN,  /* cluster: what it has refused with 401, it takes again */
	REACTOR_AUDITED,          /* list, cluster, verdict, text why. id 0: for the count, once per
	                             audit; else of whoever asked, err: it is not known */
	REACTOR_LEFT_OUT,         /* id (a list), cluster, left_names and left_deep: how many of its
	                             objects are left out, other than when it was told last; text:
	                             the namespace of one of them */
	REACTOR_CLUSTER_REMOVED,  /* cluster: the last that is heard of it; the id may be used again
	                           */
	REACTOR_STOPPED,
};

enum reactor_verdict { REACTOR_AUDIT_NO_VERDICT, REACTOR_AUDIT_EQUAL, REACTOR_AUDIT_DIFFERENT };
enum cluster_state { CLUSTER_IDLE, CLUSTER_CONNECTING, CLUSTER_UP, CLUSTER_DOWN };
struct cluster_status {
	uint32_t cluster, lists, connections;
	enum cluster_state state;
	err_t err;
	bool no_watch_list; /* some resource fell back to LIST + WATCH */
	uint64_t next_probe_ns, bytes;
	char text[ERRMSG_BYTES];
	enum strategy_way way; /* that new watches take */
	char way_text[160];    /* why not a better one; "" when it is the first choice or fixed */
};
struct reactor_status {
	uint32_t clusters, connections, lists;
	enum io_kind io;
	struct io_counters counters;
	uint64_t events, bytes, errors, turn_max_ns;
	struct cluster_status cluster[]; /* `clusters` of them */
};
struct reactor_note {
	struct list link; /* for the receiver's queue */
	enum reactor_note_type type;
	uint32_t reactor, id, cluster;
	uint32_t shard, row, gen;
	uint32_t list;
	enum reactor_verdict verdict;
	uint32_t left_names, left_deep; /* by what cannot be held of them */
	struct store *store; /* borrowed: lives as long as the reactor; store_segment() may be
	                        called from any thread */
	err_t err;
	int http_status;
	char *body; /* own */
	size_t body_bytes;
	struct reactor_status *status; /* own */
	char text[ERRMSG_BYTES];
};
void reactor_note_free(struct reactor_note **n);

/* --- life -------------------------------------------------------------------------------- */

struct reactor_config {
	uint32_t index, count; /* this reactor of how many; shard number = realm * count + index */
	uint64_t incarnation[2];
	uint64_t seed; /* jitter; the simulation's determinism */
	uint32_t ring_entries, lists_max;
	uint64_t shard_bytes_max, retained_bytes_max, block_segment_bytes, objects_max;
	/* Shared by all reactors; must outlive them (store.h); NULL: no limit. */
	atomic_ullong *memory_bytes;
	uint64_t memory_bytes_max;
	uint32_t event_bytes_max; /* one watch event or list item; 0 = 8 MiB */
	const char *user_agent;
	bool in_process;                                 /* shards in plain memory: simulation */
	void (*note)(void *arg, struct reactor_note *n); /* takes ownership of n; called on the
	                                                    reactor's thread, must not block */
	void *note_arg;
};

/* io: made by the caller on the thread that will run the reactor; owned by the caller. handlers for
 * it: reactor_io_handlers, owner = the reactor. */
extern const struct io_handlers reactor_io_handlers;
err_t reactor_new(const struct reactor_config *config, struct reactor **out) MUST_USE;
void reactor_set_io(struct reactor *r, struct io *io);
void reactor_free(struct reactor **r);

/* Any thread. The message belongs to the reactor afterwards. */
void reactor_post(struct reactor *r, struct reactor_msg *m);
/* Messages that it has not handled yet. Any thread. */
uint32_t reactor_waiting(const struct reactor *r);

/* One turn of at most until deadline_ns (the simulator calls this); then timers, messages, wakes.
 * false: stopped. */
bool reactor_turn(struct reactor *r, uint64_t deadline_ns);
/* Turns until REACTOR_STOP. */
void reactor_run(struct reactor *r);
/* Monotonic time of the last turn, for the watchdog. Any thread. */
uint64_t reactor_turned_ns(const struct reactor *r);
/* Since the start, as of its last heartbeat (100 ms). Any thread; each number is whole. */
struct reactor_counts {
	uint64_t events, bytes, errors;
	uint64_t busy_ns;  /* in turns: all but the waiting for something to happen */
	uint64_t left_out; /* objects that could not be held, by each list that left them out */
};
void reactor_counts_told(const struct reactor *r, struct reactor_counts *out);

#endif
