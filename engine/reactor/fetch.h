/* fetch.h - one GET: connects through the cluster's gate, collects the body, tells who asked: the
 * control thread by a note (discovery, version), or a function of this room (a probe). */
#ifndef KR_REACTOR_FETCH_H
#define KR_REACTOR_FETCH_H

#include "base/list.h"
#include "base/wheel.h"
#include "reactor/cluster.h"
#include "reactor/conn.h"

enum { FETCH_TIMEOUT_S = 30 };

struct fetch;
/* f->http_status and f->body are its to read; f goes when it returns. */
typedef void fetch_done(struct fetch *f, err_t err, const char *text);

/* Owner: the reactor. Life: from REACTOR_FETCH to its note. */
struct fetch {
	struct list link;
	struct cluster *cluster;
	struct reactor_note *answer; /* own: for the control thread; NULL: a probe's */
	struct conn *conn;
	struct cluster_waiter waiter;
	struct wheel_timer timer;
	char *target, *accept;
	char *body;
	size_t body_bytes, body_cap;
	int http_status;
	fetch_done *done;
	bool credential_tried, credential_wanted; /* 401: one refresh, then once more */
};

/* For the control thread. Takes target and accept out of m. */
void fetch_start(struct cluster *c, struct reactor_msg *m);
/* For this room. done may come before it returns. false: out of memory, done does not come. */
bool fetch_probe(
        struct cluster *c, const char *target, uint32_t timeout_s, fetch_done *done) MUST_USE;
void fetch_on_timer(struct fetch *f);
/* Tells one fetch of c that waits for a credential; false: none waits. It may end, and others with
 * it: so the caller asks until none waits. */
bool fetch_on_credential(struct cluster *c, bool ok, const char *text);
/* The connections of c are of a former login: those that ask wait for a credential again, which is
 * here. */
void fetch_on_renewed(struct cluster *c);
/* Ends it with an error (stop, cluster removed). */
void fetch_cancel(struct fetch *f, err_t err, const char *text);

#endif
