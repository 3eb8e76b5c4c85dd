/* fetch.h - one GET for the control thread (discovery, version): connects through the cluster's
 * gate, collects the body, answers with a note. */
#ifndef KR_REACTOR_FETCH_H
#define KR_REACTOR_FETCH_H

#include "base/list.h"
#include "base/wheel.h"
#include "reactor/cluster.h"
#include "reactor/conn.h"

enum { FETCH_TIMEOUT_S = 30 };

/* Owner: the reactor. Life: from REACTOR_FETCH to its note. */
struct fetch {
	struct list link;
	uint32_t id;
	struct cluster *cluster;
	struct conn *conn;
	struct cluster_waiter waiter;
	struct wheel_timer timer;
	char *target, *accept;
	char *body;
	size_t body_bytes, body_cap;
	int http_status;
	bool credential_tried, credential_wanted; /* 401: one refresh, then once more */
};

/* Takes target and accept out of m. */
void fetch_start(struct reactor *r, struct cluster *c, struct reactor_msg *m);
void fetch_on_timer(struct fetch *f);
/* Tells one fetch of c that waits for a credential; false: none waits. It may end, and others with
 * it: so the caller asks until none waits. */
bool fetch_on_credential(struct cluster *c, bool ok, const char *text);
/* Ends it with an error (stop, cluster removed). */
void fetch_cancel(struct fetch *f, err_t err, const char *text);

#endif
