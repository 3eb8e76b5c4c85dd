/* clang-format off */
/* watch.h - what keeps one list up to date: LIST + WATCH as a pure state machine. No socket, no
 * clock, no memory of objects: inputs are what happened, outputs are what the reactor must do.
 * Semantics: Kubernetes API concepts, "Efficient detection of changes"; KEP-956 (bookmarks),
 * KEP-3157 (streaming lists), KEP-5504 (order of versions). M1-M8 are of ARCHITECTURE.md.
 *
 *   IDLE
 *    | start                                        page (SEND)
 *    v              ready            200, LIST     +----------+     last page: commit
 *   CONNECTING ----------> ASKING ---------------> SYNCING ----+--------------------> ASKING (watch)
 *    ^   ^                   |  200, watch                     | end marker: commit
 *    |   |                   +-----------------> STREAMING <---+
 *    |   |                                          |  the stream ends: ASKING, from the last version
 *    |   +--- back-off --- WAITING <--- any error --+  410, order broken: the same, with a LIST
 *    +------ slow probe -- PARKED  <--- 403, 404, budget, a LIST that is never taken (400, 422)
 *
 * There is no terminal state but CLOSED, which only watch_stop() enters. A sync never becomes
 * visible before it is whole (M2): the store stages it between WATCH_SYNC_BEGIN and
 * WATCH_SYNC_COMMIT. A consumer keeps the old list, marked stale with the reason, until then.
 */
/* clang-format on */
#ifndef KR_KUBE_WATCH_H
#define KR_KUBE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/prng.h"
#include "base/span.h"
#include "kube/backoff.h"
#include "json/json.h"

enum {
	WATCH_PAGE_LIMIT = 500,
	WATCH_TOKEN_MAX = 4096, /* continue token */
	WATCH_RV_MAX = 64,
	WATCH_TEXT_BYTES = 160,    /* a longer text is cut */
	WATCH_TARGET_MAX = 12288,  /* path + query */
	WATCH_TIMEOUT_MIN_S = 300, /* timeoutSeconds: random in [300, 600), as client-go, so that
	                              renewals do not come together */
	WATCH_TIMEOUT_SPREAD_S = 300,
	WATCH_HEAD_S = 30, /* no head of an answer within this: give up (a server whose etcd hangs
	                      says nothing for 60 s; e2e test trap.hung_store) */
	WATCH_PROGRESS_S = 30, /* no byte of a LIST body within this */
	WATCH_STREAM_S = 660,  /* a stream that the server has not ended by then (timeoutSeconds is
	                          below 600) lags behind: it drips */
	WATCH_PAGE_S = 120,    /* a LIST answer that is not whole by then: servers cut it at 60 s
	                          (--request-timeout), so it drips */
	WATCH_MARKER_S = 10,   /* streaming list: no end marker within this after the last of the
	                          first ADDED: fall back to LIST */
	WATCH_BOOKMARK_S =
	        75, /* where bookmarks come, every 60 s as a rule, silence means a dead path */
	WATCH_BOOKMARK_MAX_S = 240, /* of rarer ones: a stream lasts longer than that */
	WATCH_VERIFY_S = 150, /* no bookmarks come: relist to find out, doubling up to
	                         WATCH_VERIFY_MAX_S while nothing was missed */
	WATCH_VERIFY_MAX_S = 3600,
	WATCH_PARK_MIN_S = 30,
	WATCH_PARK_MAX_S = 300,
	WATCH_LOGIN_MIN_S = 5, /* parked on 401: a token may become good again at any time; the gate
	                          bounds what many lists of one cluster ask together */
	WATCH_LOGIN_MAX_S = 60,
	WATCH_RESUMES_MAX = 3, /* errors of the server in a row before a relist */
	/* The same where others answer for it (502, 503, 504): a minute and more. A list that
	 * changes much is expired by then. */
	WATCH_AWAY_MAX = 8,
	WATCH_EXPIRIES_MAX =
	        2,             /* 410s that are answered at once, before they are backed off from */
	WATCH_BACK_TRIES = 3,  /* answers older than what we have before they are believed (M3) */
	WATCH_SHORT_MAX = 2,   /* watches of less than a second that are renewed at once */
	WATCH_DENIALS_MAX = 3, /* 403 or 404 of a list that was there, before it is parked */
	WATCH_STREAMS_MAX = 3, /* streaming lists in a row that came to nothing, before a LIST */
	WATCH_REPROBE_S = 3600, /* a refused streaming list is tried again after this */
};

/* What is remembered of one resource of one cluster, shared by its lists. Owner: the cluster. */
struct watch_caps {
	bool no_watch_list; /* streaming lists are refused, ignored or broken here */
	err_t no_watch_list_why;
	uint64_t probe_again_ns;
	/* Silence of a stream that means something: WATCH_BOOKMARK_S, or more where bookmarks are
	 * rarer. 0: they do not come, or too seldom, and it means nothing. */
	uint64_t silence_ns;
};

struct watch_conf { /* set once, borrowed for the life of the watch; texts may be NULL for "" */
	const char *prefix; /* path of the server URL, "" or "/k8s/clusters/c-1" */
	const char *group, *version, *resource, *namespace_, *labels, *fields; /* group "" = core */
	bool metadata_only;
	bool watch_list; /* streaming lists allowed by the settings */
};

enum watch_state {
	WATCH_IDLE,
	WATCH_CONNECTING,
	WATCH_ASKING,
	WATCH_SYNCING,
	WATCH_STREAMING,
	WATCH_WAITING,
	WATCH_PARKED,
	WATCH_CLOSED
};
enum watch_request { WATCH_REQ_NONE, WATCH_REQ_PAGE, WATCH_REQ_STREAM_LIST, WATCH_REQ_WATCH };

/* Thread: the reactor of the list. Life: from watch_init to watch_fini. */
struct watch {
	const struct watch_conf *conf;
	struct watch_caps *caps;
	struct prng rng;
	struct backoff backoff;
	uint8_t state, request;
	bool whole;   /* a sync was committed once: there is a list to keep */
	bool relist;  /* the next request starts a sync (first time, 410, order broken) */
	bool syncing; /* between SYNC_BEGIN and COMMIT/ABORT */
	bool first_page;
	bool unlimited;        /* its pages were of no use: the next list has no limit */
	bool credential_tried; /* 401 answered by one refresh already */
	bool events_seen;      /* since the stream's head */
	bool changes_seen;   /* of a streaming list: something else than ADDED before the marker */
	bool after_bookmark; /* rv came from a bookmark (M6) */
	uint8_t errors_in_row, back_tries, short_watches, silences, denials, parks;
	uint8_t streams_failed; /* streaming lists that came to nothing, since one came whole */
	uint8_t expiries;       /* 410s that were answered at once, since it was healthy */
	uint16_t http_status;   /* of the answer under way, 0 = none */
	char rv[WATCH_RV_MAX];  /* last event or bookmark; "" = none */
	err_t err;              /* why it is not live */
	int retry_after_s;      /* < 0: none was said */
	char *text;             /* own: of err; NULL: err_text() says it all (watch_text) */
	/* Version of the list that is being received, and behind its NUL the continue token; own,
	 * NULL = first page. */
	char *pages;
	uint64_t deadline_ns; /* next watch_on_timer; UINT64_MAX = none */
	uint64_t last_byte_ns, stream_since_ns, last_bookmark_ns, verify_ns;
	uint64_t proof_ns; /* last event, bookmark or whole list: a renewal of the stream proves
	                      nothing */
};

enum watch_act {
	WATCH_CONNECT =
	        1, /* get a connection (through the cluster's gate), then watch_on_ready() */
	WATCH_SEND =
	        2, /* send the request that watch_target() writes, on the connection there is */
	WATCH_CLOSE = 4, /* drop the connection */
	WATCH_SYNC_BEGIN = 8,
	WATCH_SYNC_COMMIT = 16, /* at version out->rv; out->version_back */
	WATCH_SYNC_ABORT = 32,
	WATCH_STATE = 64,       /* publish watch_list_state(), w->err, watch_text() */
	WATCH_CREDENTIAL = 128, /* refresh the credential, then watch_on_credential() */
};
struct watch_out {
	unsigned acts;
	struct span rv;
	bool version_back;
};
enum watch_apply {
	WATCH_APPLY_NOTHING,
	WATCH_APPLY_UPSERT,
	WATCH_APPLY_DELETE,
	WATCH_APPLY_SYNC_ITEM,
	WATCH_APPLY_SYNC_REMOVE,
	WATCH_APPLY_BOOKMARK
};
enum watch_body { WATCH_BODY_LIST, WATCH_BODY_EVENTS, WATCH_BODY_STATUS };

void watch_init(
        struct watch *w, const struct watch_conf *conf, struct watch_caps *caps, uint64_t seed);
void watch_fini(struct watch *w);
/* Why it is not live; "" when it is. Valid until the next input. */
const char *watch_text(const struct watch *w);

/* Every input below fills *out afresh and sets w->deadline_ns. */
void watch_start(struct watch *w, uint64_t now_ns, struct watch_out *out);
void watch_stop(struct watch *w, struct watch_out *out);
/* The connection is up and idle. */
void watch_on_ready(struct watch *w, uint64_t now_ns, struct watch_out *out);
/* Path and query of the request to send; *accept is the Accept value (static). Returns bytes
 * written, 0 if cap is too small. */
size_t watch_target(struct watch *w, char *buf, size_t cap, const char **accept);
/* The head of the answer: tells what the body is. retry_after_s < 0: none. */
enum watch_body watch_on_head(
        struct watch *w, int status, int retry_after_s, uint64_t now_ns, struct watch_out *out);
/* A body that is no list and no stream is whole; st is zeroed when it was no Status (404 and 429
 * are text/plain). reusable: as below. */
void watch_on_status(struct watch *w, const struct json_status *st, bool reusable, uint64_t now_ns,
        struct watch_out *out);
/* LIST body: each item is WATCH_APPLY_SYNC_ITEM without asking; this is its end. The reactor sends
 * the next page when told to (WATCH_SEND). */
void watch_on_page(
        struct watch *w, const struct json_list_meta *meta, uint64_t now_ns, struct watch_out *out);
/* One event. st is set for ERROR events only. Versions are checked here (M6, M8); the store checks
 * each key (M4). */
enum watch_apply watch_on_event(struct watch *w, const struct json_event *ev,
        const struct json_status *st, uint64_t now_ns, struct watch_out *out);
/* The store applied (ERR_OK) or refused (ERR_KUBE_ORDER, ERR_BUDGET, ...), or the event could not
 * be read (ERR_JSON_*). Only errors need a call. */
void watch_on_refused(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out);
/* The body ended in an orderly way (0-chunk). reusable: the connection can take another request.
 * For LIST pages call watch_on_page instead. */
void watch_on_body_end(struct watch *w, bool reusable, uint64_t now_ns, struct watch_out *out);
/* The connection could not be made, or is gone. */
void watch_on_lost(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out);
void watch_on_timer(struct watch *w, uint64_t now_ns, struct watch_out *out);
/* The server is another one: its versions and capabilities say nothing about those before. */
void watch_on_moved(struct watch *w, uint64_t now_ns, struct watch_out *out);
/* ok: a fresh credential is there, or the old one is taken again: a list that was refused asks at
 * once. Others are not concerned. */
void watch_on_credential(
        struct watch *w, bool ok, const char *text, uint64_t now_ns, struct watch_out *out);
static inline void watch_on_bytes(struct watch *w, uint64_t now_ns)
{
	w->last_byte_ns = now_ns;
}

/* The state to publish: numbers of enum shm_list_state (kube/ may not include shm/; the reactor
 * asserts that they agree). */
enum watch_list_state {
	WATCH_LIST_IDLE,
	WATCH_LIST_CONNECTING,
	WATCH_LIST_LISTING,
	WATCH_LIST_LIVE,
	WATCH_LIST_STALE,
	WATCH_LIST_RESUMING,
	WATCH_LIST_RELISTING,
	WATCH_LIST_PARKED,
	WATCH_LIST_CLOSED
};
enum watch_list_state watch_list_state(const struct watch *w);

#endif
