/* watch_state.c - what others see of a watch. */
#include "kube/watch.h"

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
