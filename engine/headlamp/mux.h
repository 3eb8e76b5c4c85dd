/* mux.h - one multiplexer socket as a pure state machine: who is subscribed, what was asked, what
 * came for whom.
 *
 * What it has to live with (the backend's defects BM-n are in tests/headlamp.md): its key is
 * (cluster, path, userId) without the query (BM-1); a STATUS names neither query nor user (BM-3);
 * a second REQUEST of a live key is silent; requests are served one after the other, each blocked
 * by its dial for up to 45 s (BM-5); a backend that says "connected" and then nothing.
 *
 * How: every subscription has a user id of its own, never used before on this socket, so no key is
 * ever shared and a late frame of a former subscription finds nobody. A STATUS "closed" or "error"
 * of a path that several subscriptions share is resolved by asserting each of them again, a little
 * later (MUX_FORGET_MS), with the same key and the latest version: the backend ignores it for those
 * that live and opens the one that ended. At most one REQUEST to a cluster that has not yet
 * answered on this socket is under way; requests of clusters that have answered go before it. After
 * a watch has ended, its cluster gets one REQUEST at a time too, but does not queue up behind
 * those; when that fails, it counts as one that has not answered.
 *
 * Two things keep this safe where a STATUS can be read in two ways. A subscription that ends here
 * by a STATUS is also closed there, which is silent if it was so already: no watch is left behind.
 * And an assertion is not repeated before something came through the subscription: then all of that
 * path end, so that the back-off of whoever subscribes bounds what a server can cause that closes
 * every watch at once.
 */
#ifndef KR_HEADLAMP_MUX_H
#define KR_HEADLAMP_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "headlamp/envelope.h"

enum {
	MUX_ANSWER_S = 60,   /* a REQUEST is unanswered, and nothing else was answered for so long:
	                        the socket is silent (45 s is the backend's dial) */
	MUX_LATE_S = 180,    /* a REQUEST is unanswered for so long, though others are answered: its
	                        answer was lost, or all come too late for whoever asked (four dials
	                        are 180 s) */
	MUX_FORGET_MS = 100, /* the backend says that a watch has ended before it forgets its key: a
	                        REQUEST that comes at once finds it, one of 25 did, and is lost */
	MUX_USER_BYTES = 16, /* hex digits, as the frontend's */
	MUX_MESSAGE_BYTES_MAX = 16384,
};

enum mux_sub_state { MUX_SUB_IDLE, MUX_SUB_QUEUED, MUX_SUB_ASKED, MUX_SUB_OPEN };

struct mux_key; /* what the backend knows of a watch: it may outlive the subscription */

/* One watch on the socket. Owner: whoever subscribes (a feed); zeroed before the first use. The
 * fields are the mux's. */
struct mux_sub {
	void *owner;         /* set by the caller, never touched */
	struct mux_key *key; /* own: NULL when IDLE and told so */
	uint8_t state;
};

enum mux_event_type {
	MUX_NOTHING,  /* for nobody, or only noted */
	MUX_OPENED,   /* sub: the backend reached the cluster; documents follow */
	MUX_DOCUMENT, /* sub, data: one watch event, JSON_PADDING readable bytes behind */
	MUX_ENDED,    /* sub: the watch ended in an orderly or unknown way: ask again from the last
	                 version. It is IDLE now */
	MUX_FAILED,   /* sub, data: the backend's words: it could not be opened. It is IDLE now */
};
struct mux_event {
	enum mux_event_type type;
	struct mux_sub *sub;
	struct span data;
};

struct mux;
struct mux *mux_new(uint64_t seed);
/* All subscriptions gone. */
void mux_free(struct mux **m);

/* Asks for a watch: a REQUEST when the socket is open, else with the next one. From IDLE only.
 * path: absolute, of the cluster's own API ("/api/v1/pods"); query: without "?". ERR_ARGUMENT:
 * cluster or path empty (the backend drops such a frame without a word); ERR_LIMIT: the message
 * would be longer than MUX_MESSAGE_BYTES_MAX; ERR_NO_MEMORY. */
err_t mux_subscribe(struct mux *m, struct mux_sub *s, struct span cluster, struct span path,
        struct span query, uint64_t now_ns) MUST_USE;
/* Any state; a CLOSE follows if the backend knows it. s is IDLE and free of the mux afterwards, its
 * strings freed. */
void mux_unsubscribe(struct mux *m, struct mux_sub *s);
/* The version from which an assertion would ask again has moved: the query of a live subscription,
 * nothing is sent. ERR_ARGUMENT when IDLE; ERR_LIMIT, ERR_NO_MEMORY: the old one stays. */
err_t mux_set_query(struct mux *m, struct mux_sub *s, struct span query) MUST_USE;

/* The socket is up: what is queued goes out. */
void mux_on_open(struct mux *m, uint64_t now_ns);
/* The socket is gone. Every subscription that was asked or open is IDLE then, without an event that
 * says so; what is queued waits for the next socket. */
void mux_on_lost(struct mux *m);

/* One message. A frame that cannot be read is an error of the socket (ERR_HEADLAMP_FRAME): the
 * backend never sends one. One message may end or open several subscriptions: call mux_next_event()
 * until it says no, before the next message: the data is valid until then. */
err_t mux_on_message(struct mux *m, struct envelope_reader *r, struct span message, uint64_t now_ns,
        struct mux_event *ev, struct errmsg *e) MUST_USE;
bool mux_next_event(struct mux *m, struct mux_event *ev);

/* The next message to send, written to buf; 0: nothing to send now (or cap is too small for even
 * one: cap must be MUX_MESSAGE_BYTES_MAX or more). */
size_t mux_take(struct mux *m, uint64_t now_ns, char *buf, size_t cap);
/* Whose latest query mux_take() is about to send once more, because a STATUS was ambiguous: give it
 * by mux_set_query() first. NULL: nobody's. */
struct mux_sub *mux_wants_query(const struct mux *m, uint64_t now_ns);
/* When there may be something to take, or something is overdue: MUX_ANSWER_S after the oldest
 * unanswered REQUEST, or after the last answer, for the backend serves one after the other; but
 * MUX_LATE_S after that REQUEST at the latest. UINT64_MAX: never. */
uint64_t mux_deadline(const struct mux *m);
/* In how many seconds the answer should have come that has not; 0: none is overdue. Else the socket
 * should be given up. */
unsigned mux_overdue(const struct mux *m, uint64_t now_ns);
/* Which cluster's dial blocks the requests behind it, for status; empty: none. Valid until the next
 * call. */
struct span mux_blocked_by(const struct mux *m);

#endif
