/* watch_state.c - the states of a watch: which may follow which, what holds in them, and what
 * others see of them. */
#include "kube/watch_priv.h"

#include "base/check.h"
#include "base/sm.h"

/* clang-format off */
/* Where we wait, and for what:
 *   CONNECTING  the gate, DNS, TCP, TLS     the reactor's deadline (it answers: on_ready, on_lost)
 *   ASKING      the head of an answer       WATCH_HEAD_S
 *   SYNCING     items, the end marker       WATCH_PROGRESS_S, WATCH_PAGE_S, WATCH_MARKER_S
 *   STREAMING   events, for ever            check_silence
 *   WAITING     back-off                    its end
 *   PARKED      the next probe              its time */
/* clang-format on */
static const struct sm_row states[] = {
        [WATCH_IDLE] = {"idle", SM_TO(WATCH_CONNECTING) | SM_TO(WATCH_CLOSED)},
        [WATCH_CONNECTING] = {"connecting", SM_TO(WATCH_ASKING) | SM_TO(WATCH_WAITING) |
                                                    SM_TO(WATCH_PARKED) | SM_TO(WATCH_CLOSED)},
        [WATCH_ASKING] = {"asking", SM_TO(WATCH_ASKING) | SM_TO(WATCH_SYNCING) |
                                            SM_TO(WATCH_STREAMING) | SM_TO(WATCH_WAITING) |
                                            SM_TO(WATCH_PARKED) | SM_TO(WATCH_CONNECTING) |
                                            SM_TO(WATCH_CLOSED)},
        [WATCH_SYNCING] = {"syncing", SM_TO(WATCH_ASKING) | SM_TO(WATCH_STREAMING) |
                                              SM_TO(WATCH_WAITING) | SM_TO(WATCH_CONNECTING) |
                                              SM_TO(WATCH_PARKED) | SM_TO(WATCH_CLOSED)},
        [WATCH_STREAMING] = {"streaming", SM_TO(WATCH_ASKING) | SM_TO(WATCH_CONNECTING) |
                                                  SM_TO(WATCH_WAITING) | SM_TO(WATCH_PARKED) |
                                                  SM_TO(WATCH_CLOSED)},
        [WATCH_WAITING] = {"waiting", SM_TO(WATCH_WAITING) | SM_TO(WATCH_CONNECTING) |
                                              SM_TO(WATCH_PARKED) | SM_TO(WATCH_CLOSED)},
        [WATCH_PARKED] = {"parked", SM_TO(WATCH_CONNECTING) | SM_TO(WATCH_CLOSED)},
        [WATCH_CLOSED] = {"closed", 0},
};

void watch_invariant(const struct watch *w)
{
	bool put_off = w->pages && (w->state == WATCH_WAITING || w->state == WATCH_CONNECTING);
	CHECK(!w->syncing || w->state == WATCH_ASKING || w->state == WATCH_SYNCING || put_off);
	CHECK(w->state != WATCH_STREAMING ||
	        (w->whole && w->rv[0] && w->request != WATCH_REQ_PAGE));
	CHECK(w->relist || w->rv[0]);
}

void watch_enter(struct watch *w, enum watch_state s)
{
	sm_move(states, &w->state, (uint8_t)s);
}

const char *watch_text(const struct watch *w)
{
	return w->text ? w->text : w->err ? err_text(w->err) : "";
}

enum watch_list_state watch_list_state(const struct watch *w)
{
	switch ((enum watch_state)w->state) {
	case WATCH_IDLE: return WATCH_LIST_IDLE;
	case WATCH_CONNECTING: return w->whole ? WATCH_LIST_RESUMING : WATCH_LIST_CONNECTING;
	case WATCH_ASKING:
		if (!w->whole)
			return WATCH_LIST_LISTING;
		/* A renewal on a healthy path is no news: the list has missed nothing that the
		 * resumed stream will not bring. */
		return w->err ? (w->relist ? WATCH_LIST_RELISTING : WATCH_LIST_RESUMING)
		              : WATCH_LIST_LIVE;
	case WATCH_SYNCING: return w->whole ? WATCH_LIST_RELISTING : WATCH_LIST_LISTING;
	case WATCH_STREAMING: return WATCH_LIST_LIVE;
	case WATCH_WAITING: return w->whole ? WATCH_LIST_STALE : WATCH_LIST_CONNECTING;
	case WATCH_PARKED: return WATCH_LIST_PARKED;
	case WATCH_CLOSED: break;
	}
	return WATCH_LIST_CLOSED;
}
