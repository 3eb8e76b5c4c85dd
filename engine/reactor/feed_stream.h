/* feed_stream.h - the ways that the watch of a list can take (headlamp/strategy.h): chunked HTTP, a
 * WebSocket of its own, or a backend's multiplexer. A LIST goes by HTTP, whatever the way. */
#ifndef KR_REACTOR_FEED_STREAM_H
#define KR_REACTOR_FEED_STREAM_H

#include "headlamp/mux.h"
#include "headlamp/strategy.h"
#include "reactor/feed.h"

/* Does what WATCH_CONNECT asks: a connection through the cluster's gate, or, for a watch that
 * resumes on the multiplexer, its turn there. */
void feed_connect(struct feed *f);
/* The watch that the list is about to ask for goes this way. */
enum strategy_way feed_way(struct feed *f);
/* Sends the watch by WebSocket on f->conn. */
err_t feed_upgrade(
        struct feed *f, struct span target, struct span accept, struct errmsg *m) MUST_USE;
/* Sends the watch over the multiplexer. */
void feed_send_mux(struct feed *f);
/* Takes the list off the multiplexer, if it is there. */
void feed_leave_mux(struct feed *f);

/* One message of a WebSocket (conn_user.on_message). */
void feed_on_message(void *arg, struct conn *c, struct span data);

/* The way failed before anything came, or went silent. */
void feed_blame_way(struct feed *f, enum strategy_failure how, const char *text);
/* Something came through it. */
void feed_praise_way(struct feed *f);
/* The connection is lost, and the watch does not know yet: what that says of the way. */
void feed_judge_loss(struct feed *f, const char *text);
/* An answer to an upgrade that says: there are no WebSockets here. */
bool feed_is_no_upgrade(const struct feed *f, int status);

/* mux_link.c's side. */
void feed_on_mux_ready(struct feed *f);
void feed_on_mux_opened(struct feed *f);
void feed_on_mux_document(struct feed *f, struct span data);
void feed_on_mux_ended(struct feed *f);
void feed_on_mux_failed(struct feed *f, struct span text);
void feed_on_mux_lost(struct feed *f, err_t err, const char *text);
/* The watch is about to be asked for once more: from the version that it has now. */
void feed_refresh_mux(struct feed *f, struct mux *m);
/* It waits, without a timer of its own: tells who reads the list why. */
void feed_say_why(struct feed *f, err_t err, const char *text);

#endif
