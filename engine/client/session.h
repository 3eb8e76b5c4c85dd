/* session.h - attached or not: notices that the daemon has gone, attaches again, opens the lists
 * again. Runs inside the calls of the user, there is no thread: whoever waits pumps.
 *
 *      DOWN --try_ms--> connect, HELLO --> GREETING --WELCOME--> UP --lost--> DOWN
 *                          |                   |
 *                          +----- failed ------+--> DOWN, try_ms doubled (50 .. 500 ms)
 *
 * The end of a life is the end of the socket, or a shard that says STOPPED with a heartbeat older
 * than a second. Old mappings stay: lists serve the last whole state until the new daemon's is
 * whole (list.c, list_settle). Nothing here mixes two lives: a list changes over as a whole.
 */
#ifndef KR_CLIENT_SESSION_H
#define KR_CLIENT_SESSION_H

#include "client/client.h"

/* Attaches and waits for it, at most the client's timeout. On failure: code and text. */
int session_attach(struct kr_client *c);
/* Looks at the socket and drives the machine on; never waits for the daemon longer than one
 * question (a segment). */
void session_pump(struct kr_client *c, int64_t now_ns);
/* The same for callers that spin: a look at the clock instead of one at the socket, most of the
 * time. */
void session_glance(struct kr_client *c);
/* The life is over. why: for kr_last_error and status. */
void session_lost(struct kr_client *c, const char *why);
/* A message that nobody waits for: BYE, answers to lists opened again, late answers. */
void session_on_message(struct kr_client *c);

#endif
