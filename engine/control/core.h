/* core.h - the inside of the control thread, for the files of this room only. */
#ifndef KR_CONTROL_CORE_H
#define KR_CONTROL_CORE_H

#include <pthread.h>
#include <signal.h>

#include "base/list.h"
#include "base/prng.h"
#include "config/credential.h"
#include "control/audits.h"
#include "control/backends.h"
#include "control/clusters.h"
#include "control/consumers.h"
#include "control/control.h"
#include "control/lists.h"
#include "control/loop.h"
#include "control/metrics.h"
#include "control/reload.h"
#include "control/resolver.h"
#include "control/users.h"

enum { CONTROL_SHARDS_MAX = 4096 };

/* Owner: main. Thread: control, but for the mailbox and `stop`. Life: control_new to control_free.
 */
struct control {
	struct control_config config;
	struct loop *loop;
	struct resolver *resolver;
	struct credential_pool *credentials;
	struct loop_fd credentials_fd;
	struct loop_timer credentials_timer;
	struct prng rng;
	struct reactor **reactors; /* own array, borrowed reactors */
	struct list stops;         /* struct reactor_msg, own: a STOP for each */
	enum io_kind io_kind;
	const char *io_why;     /* borrow(main) */
	uint32_t *reactor_load; /* own: clusters on each */
	uint32_t reactors_stopped;
	struct store *shards[CONTROL_SHARDS_MAX]; /* by shard number, as the reactors told us */
	struct clusters clusters;
	struct backends backends;
	struct lists lists;
	struct consumers consumers;
	struct list users; /* struct user: who has consumers or lists */
	struct metrics metrics;
	struct reload reload;
	struct audits audits;
	struct list questions; /* status and resolve under way: struct question */
	uint32_t next_question;
	uint64_t started_ns;
	int64_t started_wall_s;
	bool stopping;
	bool stop_posted; /* the reactors end when they like, and their io with them: nothing is
	                     posted any more */
	volatile sig_atomic_t stop, reload_asked;
	pthread_mutex_t mailbox_lock; /* [any thread] */
	struct list mailbox;          /* struct reactor_note */
};

/* Forgets what a leaving consumer asked. */
void control_drop_questions(struct control *c, struct consumer *k);
void control_post(struct control *c, uint32_t reactor, struct reactor_msg *m);

#endif
