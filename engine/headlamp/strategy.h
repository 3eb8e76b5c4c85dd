/* strategy.h - which way a cluster's watches take through a Headlamp backend, and why.
 *
 * `auto` tries the multiplexer, then one WebSocket per list, then a chunked HTTP watch through the
 * proxy. What worked is remembered; a way that was refused, silent or broken is tried again after a
 * while, and at once after the backend has restarted. Pure; one per cluster and reactor.
 */
#ifndef KR_HEADLAMP_STRATEGY_H
#define KR_HEADLAMP_STRATEGY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum strategy_way {
	STRATEGY_DIRECT,      /* kube-apiserver, chunked HTTP */
	STRATEGY_WEBSOCKET,   /* kube-apiserver, one WebSocket per list */
	STRATEGY_MULTIPLEXED, /* Headlamp: one WebSocket for all lists */
	STRATEGY_LEGACY,      /* Headlamp: one WebSocket per list */
	STRATEGY_HTTP,        /* Headlamp: chunked HTTP through its proxy */
};
const char *strategy_name(
        enum strategy_way w); /* "direct", "websocket", "multiplexed", "legacy", "http" */

enum {
	STRATEGY_TRIES = 3,
	STRATEGY_APART_S = 1, /* of a way that has worked, what several lists meet within it is one
	                         failure */
	STRATEGY_REPROBE_MIN_S = 60,
	STRATEGY_REPROBE_MAX_S = 3600
};

enum strategy_failure {
	STRATEGY_REFUSED, /* the upgrade was answered with something else than 101 (404, 400, 403):
	                     this way is not there */
	STRATEGY_SILENT,  /* it said yes and then nothing */
	STRATEGY_BROKEN,  /* it broke the protocol, or ended STRATEGY_TRIES times in a row before
	                     anything came */
};

/* Owner: the reactor's cluster. Zeroed and strategy_init'ed; fields are private but way, wanted and
 * text. */
struct strategy {
	enum strategy_way way;
	bool is_auto, direct;    /* direct: no backend; `way` never changes */
	enum strategy_way first; /* the choice of the settings: what is tried again */
	bool worked[5];          /* by way: something came through it in this life of the backend */
	bool has_failed[5];      /* by way: given up, and not tried again since */
	bool probing;            /* trying the first choice once more: one failure is enough */
	uint8_t failures[5], reprobes;
	uint64_t counted_ns[5];            /* by way: the last failure that raised `failures` */
	uint64_t failed_ns[5], reprobe_ns; /* UINT64_MAX: nothing better to try */
	char text[160]; /* why it is this way and not a better one; "" : the first choice, or fixed
	                   by the settings */
};

/* way: the fixed one, or with is_auto the first to try. */
void strategy_init(struct strategy *s, enum strategy_way way, bool is_auto);
/* Since the backend's last restart, and since it was left. */
bool strategy_has_worked(const struct strategy *s, enum strategy_way way);
/* An event, or an answered subscription, came through the way in use. */
void strategy_on_works(struct strategy *s, enum strategy_way way, uint64_t now_ns);
/* Returns true when `way` has changed: streams that run stay as they are, the next ones take the
 * new way. A single loss of a way that has worked is no reason to leave it: only STRATEGY_TRIES in
 * a row, or a refusal, is. Silence of a way that has never worked, and any failure of one that is
 * tried once more, is reason enough. Where every way has failed, none is tried again before
 * STRATEGY_REPROBE_MIN_S. Failures of another way than the one in use change nothing. text: what
 * happened ("the upgrade was refused (404)"). */
bool strategy_on_failure(struct strategy *s, enum strategy_way way, enum strategy_failure f,
        const char *text, uint64_t now_ns);
/* The backend was away and is back: what failed in its former life may work now. True when `way`
 * has changed. */
bool strategy_on_restart(struct strategy *s, uint64_t now_ns);
/* At reprobe_ns: try the best way once more. True when `way` has changed. */
bool strategy_on_timer(struct strategy *s, uint64_t now_ns);

#endif
