/* client.h - what a client is made of. The files of libkubering around it:
 *
 *   link      the socket, message by message
 *   session   attached, lost, attached again
 *   wait      waking up
 *   mapping   the segments of one shard; fetches those that are needed
 *   scan      a list at one position
 *   object    one object, copied or borrowed, and checked
 *   list      lists: open, status, wait
 *   get       one object by its name
 *   view      public face of scan
 *   follow    changes, one after another
 *   restart   the difference between two lives of the daemon
 *   patch     merge patches, over json_skip
 *
 * No file here aborts, prints, starts a thread or installs a handler. One client belongs to one
 * thread at a time, so there is no lock. Lifetimes: a list holds its client, views and started
 * follows hold their list and their shard; so views and follows may be ended in any order, after
 * kr_close too.
 */
#ifndef KR_CLIENT_CLIENT_H
#define KR_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "client/link.h"
#include "include/kubering.h"

enum {
	CLIENT_ERROR_BYTES = 512,
	CLIENT_TRY_MIN_MS = 50, /* between attempts to attach again */
	CLIENT_TRY_MAX_MS = 500,
	CLIENT_BEAT_MAX_MS = 1000, /* older: the daemon does not turn (it beats every 250 ms) */
	CLIENT_SLICE_MS = 250,     /* longest sleep between two looks at the heartbeat */
	CLIENT_CHECK_MS = 10,      /* a caller that spins has the socket looked at this often */
};
#define NS_PER_MS 1000000ll

enum client_phase {
	CLIENT_DOWN,     /* no socket; tried again at next_try_ns */
	CLIENT_GREETING, /* HELLO sent, WELCOME awaited */
	CLIENT_UP,
};

/* Owner: the user, and its lists (refs). Thread: one at a time. Life: kr_connect until kr_close and
 * the last list is gone. */
struct kr_client {
	unsigned refs;
	bool closed;    /* by the user: nothing is asked any more */
	bool fd_used;   /* kr_fd was called: leave the descriptor armed */
	bool fd_armed;  /* and it is: page->waiting is 1, nothing was there */
	bool signalled; /* signal_fd is readable */
	bool quiet;     /* the last wait saw nothing on the socket: it need not be asked again */
	enum client_phase phase;
	uint64_t life; /* counts attachments; what was opened in another one is opened again */
	uint64_t incarnation[2];
	struct link link;
	uint32_t last_id, greet_id;
	/* what WELCOME brought */
	struct shm_consumer *page; /* own: the only memory that we write and the daemon reads */
	int event_fd;              /* own */
	int epoll_fd, timer_fd;    /* own; -1 until kr_fd */
	int signal_fd;             /* own; with them: an eventfd that nobody else has */
	int64_t timer_ns;          /* what timer_fd is set to; INT64_MAX: not */
	/* outage */
	int64_t down_since_ns, next_try_ns, try_ms, greet_until_ns;
	int64_t checked_ns; /* when the socket was last looked at */
	char why[256];      /* what ended the last life */

	struct list lists;   /* kr_list.node */
	struct list follows; /* follow.node, started ones */
	struct list shards;  /* shard.node */
	size_t any_next;     /* where kr_follow_any goes on: fairness */

	int64_t timeout_ns;
	uint32_t
	        *owed; /* own; handles that the daemon is to be told to close: its queue was full */
	size_t owed_count, owed_room;
	char *socket_path; /* own */
	char name[64];
	char error[CLIENT_ERROR_BYTES];
};

int64_t client_clock_ns(void);        /* CLOCK_MONOTONIC */
int64_t client_clock_coarse_ns(void); /* the same, some ms behind, for a tenth of the price */
/* When a wait of timeout_ns that starts now ends; saturates. */
int64_t client_deadline(int64_t timeout_ns);

/* Writes the text of kr_last_error and returns code. c may be NULL: the thread's. */
int client_fail(struct kr_client *c, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* The daemon's words in an ATTACH_ERROR that is in c->link.in. */
int client_refused(struct kr_client *c);

/* Sends c->link.out and waits for its answer of type want, at most the client's timeout; it is then
 * in c->link.in. */
int client_ask(struct kr_client *c, enum attach_type want);
uint32_t client_id(struct kr_client *c);
/* The answer in c->link.in came without a descriptor for `what` because this process cannot have
 * one more: KR_ERR_SYSTEM. */
int client_no_room(struct kr_client *c, const char *what);

void client_put(struct kr_client **c);

#endif
