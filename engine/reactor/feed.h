/* feed.h - one list at work: the watch machine decides, the connection carries, the store keeps.
 * This is where an event passes from bytes to a change: conn -> (gzip) -> lines or list items ->
 * json -> watch -> store. */
#ifndef KR_REACTOR_FEED_H
#define KR_REACTOR_FEED_H

#include "base/list.h"
#include "base/wheel.h"
#include "kube/watch.h"
#include "reactor/cluster.h"
#include "reactor/conn.h"
#include "store/store.h"
#include "json/json.h"

struct feed_left;
struct list_audit;
struct mux_sub;

/* Owner: the reactor. Thread: the reactor. Life: LIST_OPEN to LIST_CLOSE. */
struct feed {
	struct list link;         /* in the reactor's feeds */
	struct list cluster_link; /* in the cluster's feeds */
	uint32_t id, realm;
	struct cluster *cluster;
	struct conn *conn; /* borrow(until on_lost or our close); NULL: none */
	struct cluster_waiter waiter;
	struct wheel_timer timer;
	struct watch watch;
	struct watch_conf conf;  /* texts of spec */
	struct list_spec spec;   /* own */
	struct store *store;     /* borrow */
	struct store_list *list; /* own */
	struct store_budget budget;
	struct json_hint hint;
	struct json_list *splitter; /* own, while a LIST is read */
	char *carry;                /* own: the unfinished tail of an event, or a Status body */
	size_t carry_bytes, carry_cap;
	uint8_t body;             /* enum watch_body of the answer being read */
	uint8_t way;              /* enum strategy_way of the last watch that was asked for */
	bool way_works;           /* something came through it */
	uint8_t refusals;         /* of the multiplexer, in a row */
	struct list mux_link;     /* in the link's feeds, while it has a subscription */
	struct list_audit *audit; /* own; NULL: none is due */
	struct feed_left *left;   /* own; NULL: it never left anything out */
	struct mux_sub *sub;      /* own; NULL: never was on a multiplexer */
	bool secret;              /* of Secrets without values: feed_secret.h */
	bool list_whole;          /* the LIST document ended */
	bool resend;              /* the request waits for a new connection */
	bool credential_wanted;   /* 401: told when the next credential comes */
	uint64_t events;
	uint16_t *consumers; /* own: who is woken */
	uint32_t consumer_count, consumer_cap;
};

/* spec is moved. ERR_LIMIT, ERR_BUDGET, ERR_NO_MEMORY, ERR_SHM; m may stay empty. */
err_t feed_open(struct reactor *r, uint32_t id, struct cluster *c, struct list_spec *spec,
        struct feed **out, struct errmsg *m) MUST_USE;
void feed_start(struct feed *f);
void feed_close(struct feed **f);
void feed_on_timer(struct feed *f);
/* Its last word, before feed_close: why there will be no more of it. */
void feed_end(struct feed *f, err_t err, const char *text);
/* Its cluster is another server now. */
void feed_on_moved(struct feed *f);
void feed_on_credential(struct feed *f, bool ok, const char *text);
err_t feed_subscribe(struct feed *f, uint16_t consumer) MUST_USE;
void feed_unsubscribe(struct feed *f, uint16_t consumer);

#endif
