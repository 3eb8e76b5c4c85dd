/* metrics.h - /metrics, /livez, /readyz on 127.0.0.1: a tiny HTTP/1.1 server on the control
 * thread's loop, for scrapers and probes. One request per connection.
 *
 *   /livez   200 while every reactor turns (the watchdog); never 503 because a cluster is down
 *   /readyz  200 once the lists that the configuration keeps open are live or have had their time
 *   /metrics Prometheus text format 0.0.4; aggregates, no series per cluster (10,000 clusters x 50
 * resources would be too many)
 */
#ifndef KR_CONTROL_METRICS_H
#define KR_CONTROL_METRICS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"
#include "control/loop.h"

struct control;
struct report;

enum {
	METRICS_CONNECTIONS_MAX = 32,
	METRICS_REQUEST_BYTES_MAX = 4096,
	METRICS_QUIET_S = 180, /* bookmarks come about once a minute */
	METRICS_STUCK_NS = 5000000000,
	METRICS_READY_S = 60
};

struct metrics {
	struct loop_listener listener;
	struct list connections; /* struct metrics_conn */
	uint32_t connection_count;
};

/* port 0: nothing. ERR_CONFIG: the port is taken; the text says what to do. */
err_t metrics_listen(struct control *c, struct errmsg *m) MUST_USE;
void metrics_fini(struct control *c);

/* metrics_text.c */
void metrics_write(const struct control *c, struct report *t);
bool metrics_is_live(const struct control *c);
bool metrics_is_ready(const struct control *c);

#endif
