/* conn_ws.h - the WebSocket half of a connection, and what it and conn.c need of each other. For
 * these two files only. */
#ifndef KR_REACTOR_CONN_WS_H
#define KR_REACTOR_CONN_WS_H

#include "reactor/conn.h"
#include "wire/ws.h"

enum { CONN_FIELDS_MAX = 8 };

/* Owner: the conn. Life: conn_upgrade to the conn's end, or to an answer that is no upgrade. */
struct conn_ws {
	struct ws_parser parser;
	char key[WS_KEY_BYTES];
	char *protocols; /* own: the header's value, "a, b" */
	struct span offered[WS_PROTOCOLS_MAX];
	size_t offered_count;
	uint64_t heard_ns, pinged_ns; /* pinged_ns 0: no ping is out */
	uint32_t pong_s;
	bool open; /* the server agreed */
};

void conn_ws_free(struct conn_ws **w);
bool conn_ws_is_open(const struct conn *c);
void conn_ws_on_head(struct conn *c, const struct http1_head *h);
void conn_ws_on_bytes(struct conn *c, struct span data);
void conn_ws_on_timer(struct conn *c);

/* conn.c's side. */
void conn_lost(struct conn *c, err_t err, const char *text);
err_t conn_write(struct conn *c, const char *bytes, size_t n, struct errmsg *m) MUST_USE;
/* Sends q with the cluster's host, credential and headers, and `more` before these. */
err_t conn_ask(struct conn *c, struct http1_request *q, const struct http1_field *more,
        size_t more_count, unsigned flags, struct errmsg *m) MUST_USE;

#endif
