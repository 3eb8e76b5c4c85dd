/* core.h - the inside of a reactor, for the files of this room only. */
#ifndef KR_REACTOR_CORE_H
#define KR_REACTOR_CORE_H

#include <pthread.h>

#include "base/wheel.h"
#include "io/bell.h"
#include "reactor/cluster.h"
#include "reactor/conn.h"
#include "reactor/feed.h"
#include "reactor/fetch.h"
#include "reactor/reactor.h"
#include "wire/ws.h"
#include "json/json.h"

enum {
	CORE_PLAIN_BYTES = 65536, /* decrypted or inflated bytes in one go */
	CORE_TARGET_BYTES = WATCH_TARGET_MAX,
	CORE_MAIL_PER_TURN = 64, /* messages; an open may cost 50 us, and streams wait meanwhile */
	CORE_CONNECTS_PER_TURN =
	        4, /* a chain of 7 requests each, of which io_uring does 20 in one enter: more than
	              it keeps up with would wait in front of what streams receive */
	CORE_SHAKES_PER_TURN = 2, /* steps of TLS handshakes, up to 1 ms each: the rest waits */
	CORE_REQUEST_BYTES =
	        65536, /* a request with a large token and many impersonation headers */
};

struct consumer_row {
	int eventfd; /* -1: free */
	struct shm_consumer *page;
	bool marked;      /* one of its lists changed in this turn */
	bool wake_always; /* a subscription found no memory: woken for every change instead of never
	                   */
	bool foreign;     /* of another user, who must not be able to block us (io/bell.h) */
	uint32_t feeds;   /* that wake it */
};

/* Dense ids to pointers. */
struct core_table {
	void **rows; /* own */
	uint32_t count;
};

/* Owner: whoever called reactor_new. Thread: the reactor, but for the mailbox. Life: reactor_new to
 * reactor_free. */
struct reactor {
	struct reactor_config config;
	struct io *io;    /* borrow */
	struct bell bell; /* for foreign consumers; open since the first of them came */
	uint64_t now_ns;
	struct wheel wheel;
	struct list clusters, feeds;
	struct list shaking;   /* struct conn: its TLS has received something (conn.c) */
	struct list to_shake;  /* struct conn: TCP is up, TLS is to be begun */
	struct list admitting; /* struct cluster: more waiters than this turn had connects for */
	uint32_t connects;     /* begun in this turn */
	uint32_t conn_count;   /* of all clusters */
	struct core_table cluster_by_id, feed_by_id;
	struct store *stores[REACTOR_REALMS_MAX]; /* own, by realm */

	struct ws_limits ws_limits; /* of every WebSocket: the largest event, and JSON in JSON */
	struct json_parser *parser; /* own */
	/* What was received behind the body that a connection hands out, and how far what its
	 * events are about is being fetched already. Addresses: nobody keeps them. */
	struct span ahead, fetched;
	const char *ahead_events[IO_AHEAD_MAX]; /* events for which ahead.c has done that */
	char *plain, *inflated;                 /* own: CORE_PLAIN_BYTES + IO_SLACK each */
	char *request, *target;                 /* own: scratch for writing requests */
	struct consumer_row *consumers;         /* own: REACTOR_CONSUMERS_MAX rows */
	uint16_t *marked;                       /* own: consumers to wake at the end of the turn */
	uint32_t marked_count;
	bool wake_always;    /* some consumer row says so */
	struct list mail;    /* struct reactor_msg: out of the mailbox, to be handled in turn */
	struct list leaving; /* CONSUMER_REMOVE messages to be acknowledged next turn: their eventfd
	                        may be in flight */
	uint64_t heartbeat_ns;
	uint64_t events, bytes, errors, turn_max_ns, busy_ns;
	uint64_t left_out;          /* objects: feed_left.h */
	struct reactor_counts told; /* [any thread] atomic words */
	bool stopping, stopped;
	struct reactor_note *farewell; /* own: the answer to STOP, until all connections are gone */
	struct prng rng;
	_Atomic uint64_t turned_ns;
	pthread_mutex_t
	        mailbox_lock;     /* [any thread] guards mailbox only; never held while working */
	struct list mailbox;      /* struct reactor_msg */
	_Atomic uint32_t waiting; /* in mailbox and mail */
};

enum core_timer {
	CORE_TIMER_CLUSTER,
	CORE_TIMER_FEED,
	CORE_TIMER_FETCH,
	CORE_TIMER_CONN,
	CORE_TIMER_AUDIT,
	CORE_TIMER_MUX
}; /* wheel_timer.kind */

/* A list of that consumer changed: it is woken at the end of the turn, if it waits. */
void core_mark(struct reactor *r, uint32_t consumer);
void core_note(struct reactor *r, struct reactor_note *n);
struct reactor_note *core_note_new(struct reactor *r, enum reactor_note_type type, uint32_t id);
/* The note that m brought with it for its answer; never NULL, once. */
struct reactor_note *core_answer(
        struct reactor *r, struct reactor_msg *m, enum reactor_note_type type, uint32_t id);
struct cluster *core_cluster(const struct reactor *r, uint32_t id);
/* What its shards hold, for the control thread to read. */
void core_tell_usage(struct reactor *r);
/* The shard of a realm, made at first use. */
err_t core_store(struct reactor *r, uint32_t realm, struct store **out, struct errmsg *m) MUST_USE;
/* Handles one message; takes it. */
void core_on_message(struct reactor *r, struct reactor_msg *m);

#endif
