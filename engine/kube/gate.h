/* gate.h - one per cluster: who may connect now. It bounds the rate of connects (token bucket), and
 * it makes a dead cluster cost one timer: after a failed connect the gate is shut; one list at a
 * time probes, with back-off; the first success opens it for all. Pure; the waiting lists are the
 * reactor's. */
#ifndef KR_KUBE_GATE_H
#define KR_KUBE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "kube/backoff.h"

struct gate {
	uint32_t rate_per_s, burst; /* configured */
	uint64_t tokens_milli;      /* 1/1000 connects */
	uint64_t filled_ns;
	bool shut, probing;
	uint64_t open_at_ns; /* when shut: the next probe */
	struct backoff backoff;
};

static inline void gate_init(struct gate *g, uint32_t rate_per_s, uint32_t burst)
{
	*g = (struct gate){
	        .rate_per_s = rate_per_s, .burst = burst, .tokens_milli = burst * 1000ull};
}

/* May one list connect now? true takes a token. false: *retry_ns is when to ask again (UINT64_MAX:
 * when the probe is back). */
static inline bool gate_take(struct gate *g, uint64_t now_ns, uint64_t *retry_ns)
{
	if (g->shut) {
		*retry_ns = g->probing ? UINT64_MAX : g->open_at_ns;
		if (g->probing || now_ns < g->open_at_ns)
			return false;
		g->probing = true;
		return true;
	}
	uint64_t more =
	        (now_ns - g->filled_ns) / 1000000 * g->rate_per_s; /* ms x per s = thousandths */
	if (more) {
		g->tokens_milli += more;
		g->filled_ns = now_ns;
		if (g->tokens_milli > g->burst * 1000ull)
			g->tokens_milli = g->burst * 1000ull;
	}
	if (g->tokens_milli < 1000) {
		*retry_ns =
		        now_ns + (1000 - g->tokens_milli) * 1000000ull / g->rate_per_s + 1000000;
		return false;
	}
	g->tokens_milli -= 1000;
	return true;
}
/* The cluster answered (any HTTP answer counts). Returns true when the gate was shut: wake those
 * who wait. */
static inline bool gate_on_answer(struct gate *g, uint64_t now_ns)
{
	bool was = g->shut;
	g->shut = g->probing = false;
	backoff_ok(&g->backoff, now_ns);
	return was;
}
/* A connect (or handshake) failed: shut until the returned time. Failures of connects that were
 * under way when it shut are one failure. */
static inline uint64_t gate_on_failure(struct gate *g, struct prng *r, uint64_t now_ns)
{
	if (!g->shut || g->probing) {
		g->open_at_ns = now_ns + backoff_fail(&g->backoff, r, now_ns);
		g->shut = true;
		g->probing = false;
	}
	return g->open_at_ns;
}

/* The probe was given up by ourselves: another may go. */
static inline void gate_on_abandoned(struct gate *g)
{
	g->probing = false;
}

#endif
