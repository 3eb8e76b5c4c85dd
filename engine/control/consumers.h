/* consumers.h - the processes that attached: one SOCK_SEQPACKET connection each. Who they are is
 * what the kernel says (SO_PEERCRED), not what they say. */
#ifndef KR_CONTROL_CONSUMERS_H
#define KR_CONTROL_CONSUMERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "control/lists.h"
#include "control/loop.h"
#include "reactor/reactor.h"
#include "shm/attach.h"

enum {
	CONSUMER_PER_UID_MAX = 256, /* connections of one user */
	CONSUMER_KEPT = 8, /* places beyond limits.consumersMax, for those who look after it */
	CONSUMER_OPENINGS_MAX = 65536,
	CONSUMER_QUESTIONS_MAX = 64, /* under way at one time */
	CONSUMER_STATUSES_MAX = 4,   /* of these, of status; or answered and not read yet */
	CONSUMER_SENDS_MAX =
	        64, /* answers waiting for a consumer that does not read: then it is cut off */
	/* Messages that a reactor has not handled: then no consumer is heard until it has, 20 MiB
	 * of them. */
	CONSUMERS_BACKLOG_MAX = 16384,
	CONSUMERS_UNHEARD_MS = 5,
};

/* Owner: control->consumers. Thread: control; page and eventfd are also used by the reactors until
 * they say CONSUMER_GONE. */
struct consumer {
	struct loop_fd fd;
	struct control *control;
	uint32_t id;
	bool greeted, leaving;
	bool unheard;         /* its messages wait in its socket */
	uint32_t gone_from;   /* reactors that have let it go */
	struct list goodbyes; /* struct reactor_msg, own: CONSUMER_REMOVE for each, made when it
	                         came: it can always go */
	uint32_t pid, uid, gid;
	struct user *user; /* shared(refs); NULL: turned away before it was known */
	gid_t *groups;     /* own */
	uint32_t group_count;
	char name[64];
	uint64_t since_ns;
	int page_fd, eventfd;                 /* own; -1 when not made */
	struct shm_consumer *page;            /* own mapping */
	struct list openings;                 /* struct opening */
	struct hash_index by_handle, by_list; /* the same; by_list: by the list's id */
	uint32_t opening_count, next_handle;
	struct list sends; /* answers that did not fit into the socket yet */
	uint32_t send_count;
	uint32_t question_count;
	uint32_t status_count; /* of these, of status */
	uint32_t status_sent;  /* since its socket was last seen empty */
};

struct consumers {
	struct loop_listener listener;
	char *path;  /* own: to be removed at the end */
	int lock_fd; /* held while we live: a second daemon finds it locked */
	struct consumer *rows[REACTOR_CONSUMERS_MAX];
	uint32_t count;
	uint64_t refused, cut_off; /* since the start */
	uint64_t refused_logged_ns;
	struct loop_timer again; /* set while some are unheard */
};

/* Makes the socket. ERR_CONFIG: another daemon serves it, or it cannot be made; the text says what
 * to do. */
err_t consumers_listen(struct control *c, struct errmsg *m) MUST_USE;
void consumers_fini(struct control *c);
void consumers_on_gone(struct control *c, uint32_t id);
/* Tells everyone BYE (an orderly stop). */
void consumers_bye(struct control *c);

/* An answer; fd >= 0 travels with it and is closed here. Cuts a consumer off that does not read. */
void consumer_send(struct consumer *k, struct attach_head *message, int fd);
/* May it have another status? One that does not read what it asked for may not: each is a memfd as
 * large as the daemon has lists, and ours until it is read. */
bool consumer_takes_status(struct consumer *k);
/* The first answer, with its page and its eventfd. */
void consumer_welcome(struct consumer *k, struct attach_head *message);
void consumer_fail(struct consumer *k, uint32_t request, int32_t code, err_t err, const char *text);
/* An opening's list is known, and is not its any more. */
void opening_join(struct opening *o, struct open_list *l);
void opening_part(struct opening *o);
/* Some opening of k is of that list. */
bool consumer_has(const struct consumer *k, const struct open_list *l);
/* It goes. The struct goes when the reactors have let go. */
void consumer_leave(struct consumer *k);
/* The same, but it is not its wish. */
void consumer_cut_off(struct consumer *k);
/* attach.c: one whole message. */
void attach_on_message(struct consumer *k, const char *bytes, size_t n);
/* attach.c: the list of an opening is open, or is not. */
void attach_on_opened(struct opening *o, err_t err, const char *text);

#endif
