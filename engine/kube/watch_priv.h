/* watch_priv.h - the moves of a watch, shared by watch*.c only. Each fills in what the reactor must
 * do: watch_out.acts.
 *
 *   watch.c         the inputs: what happened, and which move it leads to
 *   watch_move.c    the states and the moves
 *   watch_target.c  the request of the next move
 *   watch_state.c   what others see
 */
#ifndef KR_KUBE_WATCH_PRIV_H
#define KR_KUBE_WATCH_PRIV_H

#include "kube/watch.h"

/* CHECKs what must hold after each input. */
void watch_check(const struct watch *w);
void watch_enter(struct watch *w, enum watch_state s);

/* Why it is not live, or ERR_OK. Most lists are live most of the time: a text is memory of its own,
 * and without any err_text() must do. */
void watch_say(struct watch *w, err_t err, const char *text);

/* The chain of pages under way. false: no memory, and nothing is kept. */
bool watch_keep_pages(struct watch *w, const struct json_list_meta *meta);
void watch_drop_pages(struct watch *w);
void watch_abort_sync(struct watch *w, struct watch_out *out);

/* The next request, on the connection there is. */
void watch_ask(struct watch *w, uint64_t now_ns, struct watch_out *out);
/* A new connection, then the next request. */
void watch_connect_again(struct watch *w, struct watch_out *out);

void watch_wait_until(struct watch *w, uint64_t at_ns, struct watch_out *out);
/* Says why, and waits for its back-off. */
void watch_fail(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out);
/* The stream broke its own order, or the store refused an event: nothing of it can be trusted, so
 * the list is taken again (M8). */
void watch_distrust(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out);
/* Says why, and asks again after minutes (after seconds where only the login is missing). */
void watch_park(
        struct watch *w, err_t err, const char *text, uint64_t now_ns, struct watch_out *out);
#endif
