/* feed_body.h - the inside of a feed: what feed.c and feed_body.c share. */
#ifndef KR_REACTOR_FEED_BODY_H
#define KR_REACTOR_FEED_BODY_H

#include "reactor/feed.h"

/* Carries out what the watch decided. */
void feed_run(struct feed *f, const struct watch_out *o);
/* The store or the parser refused something: the watch decides what follows. */
void feed_refuse(struct feed *f, err_t err);

/* Bytes of the list or of its watch have come: it lives. */
void feed_on_bytes(struct feed *f);
/* What was read of something that is not whole goes. An idle stream holds no buffer, nor does a
 * list that waits: thousands of them would. */
void feed_drop_partial(struct feed *f);
/* One whole document of a watch. After it the connection may be gone: callers look at f->conn. */
void feed_on_document(struct feed *f, struct span doc);

/* struct conn_user */
void feed_on_head(void *arg, struct conn *c, const struct http1_head *h);
void feed_on_body(void *arg, struct conn *c, struct span data);
void feed_on_body_end(void *arg, struct conn *c, bool reusable);

#endif
