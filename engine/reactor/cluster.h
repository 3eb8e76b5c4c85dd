/* cluster.h - what one reactor knows of one cluster: where it is, how to log in, whether it
 * answers, and who waits to connect. */
#ifndef KR_REACTOR_CLUSTER_H
#define KR_REACTOR_CLUSTER_H

#include <netinet/in.h>

#include "base/list.h"
#include "base/prng.h"
#include "base/wheel.h"
#include "headlamp/strategy.h"
#include "kube/gate.h"
#include "kube/watch.h"
#include "reactor/reactor.h"
#include "store/store.h"

struct list_audit;
struct mux_link;

/* Capabilities of one resource, shared by the lists of it. Owner: the cluster. Some are kept for
 * lists to come. */
struct cluster_caps {
	struct list link;
	struct watch_caps caps;
	char *key;      /* group/version/resource */
	uint32_t lists; /* that have it */
};
enum { CLUSTER_CAPS_KEPT = 256 };

/* Somebody who wants a connection. `granted` is called when the gate lets it; the queue is fair
 * (first come, first served). */
struct cluster_waiter {
	struct list link; /* in cluster->waiting when queued */
	void (*granted)(struct cluster_waiter *w);
	void (*refused)(struct cluster_waiter *w, err_t err,
	        const char *text); /* told while it waits: the cluster is down, and why */
};

struct cluster_address {
	union {
		struct sockaddr any;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
	socklen_t bytes;
};

/* Owner: the reactor. Thread: the reactor. Life: CLUSTER_ADD to CLUSTER_REMOVE. */
struct cluster {
	struct list link; /* in the reactor's clusters */
	struct reactor *reactor;
	struct cluster_spec spec; /* own */
	struct auth *auth;        /* shared(refs) */
	struct tls_config *tls;   /* shared(refs) */
	bool has_credential, credential_asked, addresses_asked;
	bool credential_unasked;         /* there was no memory to ask */
	bool credential_failed;          /* the last CLUSTER_CREDENTIAL was an error */
	struct reactor_note *removed;    /* own: CLUSTER_REMOVED, for when it goes, with its last
	                                    connection; NULL: it stays */
	struct cluster_address *address; /* own: address_count of them */
	uint32_t address_count, address_next;
	struct gate gate;
	struct prng rng;
	struct wheel_timer timer;    /* the gate's: the one timer of a dead cluster */
	struct list waiting;         /* struct cluster_waiter */
	struct list admit;           /* in the reactor's admitting */
	struct list conns;           /* struct conn */
	struct list caps;            /* struct cluster_caps */
	struct list feeds;           /* struct feed: its cluster_link */
	struct list fetches;         /* struct fetch */
	struct list audits;          /* struct list_audit: wait for their turn */
	struct list_audit *auditing; /* borrow(the feed's): whose turn it is; NULL: nobody's */
	struct store_budget budget;
	uint32_t conn_count, list_count, caps_count;
	uint64_t resolved_ns;
	struct strategy *strategy; /* own; NULL: not through a backend, the way is the spec's */
	uint64_t answered_ns; /* through a backend: when the cluster behind it last showed that it
	                         lives */
	bool probing;         /* mux_link.c asks whether it does */
	uint32_t mux_lists;   /* have a subscription on the multiplexer */
	struct mux_link
	        *mux; /* own; of a cluster that stands for a backend; NULL: nobody wanted it */
	err_t err;    /* of the last failure, ERR_OK once it answers */
	char *text;   /* own: what it says; NULL: nothing ever failed, or no memory for it */
};

struct cluster *cluster_new(struct reactor *r, struct cluster_spec *spec /* moved */);
/* Tells control, if it was removed, that nothing more will be heard of it. No lists, conns closed
 * or closing: the caller saw to it. */
void cluster_free(struct cluster **c);
/* For a list, which gives them back: cluster_caps_put. NULL: out of memory. */
struct watch_caps *cluster_caps_of(
        struct cluster *c, const char *group, const char *version, const char *resource);
void cluster_caps_put(struct watch_caps *caps);

/* Asks for a connection: granted() now or later. Harmless when already queued. */
void cluster_wait(struct cluster *c, struct cluster_waiter *w);
void cluster_unwait(struct cluster_waiter *w);
/* Looks at the queue: after a timer, an answer, an address, a credential. */
void cluster_admit(struct cluster *c, uint64_t now_ns);
/* An HTTP answer came: it is alive. */
void cluster_on_answer(struct cluster *c, uint64_t now_ns);
/* A connection could not be made. Everyone who waits hears why. */
void cluster_on_failure(struct cluster *c, err_t err, const char *text, uint64_t now_ns);
/* A connection could not even be begun: as cluster_on_failure. Returns its text. */
const char *cluster_on_no_socket(struct cluster *c, err_t err, uint64_t now_ns);
/* The probe of a shut gate was given up: let another try. */
void cluster_on_abandoned(struct cluster *c);
void cluster_set_addresses(struct cluster *c, const struct reactor_msg *m, uint64_t now_ns);
/* Takes the references of m. */
void cluster_set_credential(struct cluster *c, struct reactor_msg *m, uint64_t now_ns);
void cluster_want_credential(struct cluster *c);
/* A list that was refused (401) is let in: the others need not wait for their own probes. */
void cluster_on_login(struct cluster *c);
/* Options and, perhaps, another server: nothing that was learnt or sent there counts any more. spec
 * gets the old strings. */
void cluster_change(struct cluster *c, struct cluster_spec *spec, uint64_t now_ns);
void cluster_status_of(const struct cluster *c, struct cluster_status *out);

#endif
