#include "control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/check.h"
#include "config/settings.h"
#include "control/core.h"
#include "control/questions.h"

enum { CONTROL_STOP_S = 5 };

/* --- credentials of the pool ------------------------------------------------------------- */

static void on_credentials_readable(struct loop_fd *f, uint32_t events)
{
	struct control *c = CONTAINER_OF(f, struct control, credentials_fd);
	(void)events;
	credential_pool_on_readable(c->credentials, loop_now_ns(c->loop), (int64_t)time(NULL));
	clusters_on_credentials(c);
}

static void on_credentials_due(struct loop_timer *t)
{
	struct control *c = CONTAINER_OF(t, struct control, credentials_timer);
	credential_pool_on_timer(c->credentials, loop_now_ns(c->loop), (int64_t)time(NULL));
	clusters_on_credentials(c);
}

static err_t open_credentials(struct control *c, struct errmsg *m)
{
	struct credential_pool_conf conf = {.policy = c->config.settings->exec_policy,
	        .environ = c->config.environ,
	        .seed = prng_next(&c->rng)};
	err_t err = credential_pool_new(&conf, loop_now_ns(c->loop), &c->credentials, m);
	if (err)
		return err;
	c->credentials_fd.on_ready = on_credentials_readable;
	loop_timer_init(&c->credentials_timer, on_credentials_due);
	return loop_watch(c->loop, &c->credentials_fd, credential_pool_fd(c->credentials), EPOLLIN);
}

/* --- addresses --------------------------------------------------------------------------- */

static void on_addresses(void *arg, uint32_t question, const struct resolver_answer *a)
{
	struct control *c = arg;
	const struct known_cluster *k = clusters_asked(c, question);
	if (k->gone || clusters_question(k) != question)
		return; /* of a server that it was before a reload */
	struct reactor_msg *m = reactor_msg_new(REACTOR_CLUSTER_ADDRESSES);
	_Static_assert((int)RESOLVER_ADDRESSES_MAX == (int)REACTOR_ADDRESSES_MAX, "the same bound");
	if (!m) {
		clusters_owe_addresses(c, k->id);
		return;
	}
	m->cluster = k->id;
	m->err = a->err;
	memcpy(m->text, a->text, sizeof m->text);
	m->addresses.count = a->count;
	memcpy(m->addresses.at, a->at, sizeof a->at);
	memcpy(m->addresses.bytes, a->bytes, sizeof a->bytes);
	control_post(c, k->reactor, m);
}

/* --- the reactors' notes ----------------------------------------------------------------- */

void control_note(void *control, struct reactor_note *n)
{
	struct control *c = control;
	pthread_mutex_lock(&c->mailbox_lock);
	list_push(&c->mailbox, &n->link);
	pthread_mutex_unlock(&c->mailbox_lock);
	loop_wake(c->loop);
}

void control_post(struct control *c, uint32_t reactor, struct reactor_msg *m)
{
	if (c->stop_posted)
		reactor_msg_free(&m);
	else
		reactor_post(c->reactors[reactor], m);
}

/* Of a cluster that a reload has removed, or of the server that it was before: nobody is
 * interested. */
static bool is_late(const struct control *c, const struct reactor_note *n)
{
	const struct known_cluster *k;
	switch (n->type) {
	case REACTOR_FETCHED:
		k = clusters_asked(c, n->id);
		return k->gone || clusters_question(k) != n->id;
	case REACTOR_WANTS_ADDRESSES:
	case REACTOR_WANTS_CREDENTIAL:
	case REACTOR_CLUSTER_TURNED:
	case REACTOR_CLUSTER_LETS_IN: return c->clusters.rows[n->cluster]->gone;
	default: return false;
	}
}

/* A cluster that its reactor does not know: it had no memory for it when it was given it. It is
 * given again when somebody wants something of it again. */
static void check_known(struct control *c, struct reactor_note *n)
{
	if (n->err != ERR_UNKNOWN_CLUSTER || c->stopping)
		return;
	struct known_cluster *k = n->type == REACTOR_LIST_OPENED ? c->lists.rows[n->id]->cluster
	                          : n->type == REACTOR_FETCHED   ? clusters_asked(c, n->id)
	                                                         : NULL;
	if (!k || k->gone)
		return;
	clusters_on_missing(c, k);
	n->err = ERR_NO_MEMORY;
	snprintf(n->text, sizeof n->text,
	        "kuberingd had no memory for cluster \"%.100s\"; ask again", k->name);
}

static void on_note(struct control *c, struct reactor_note *n)
{
	if (is_late(c, n)) {
		reactor_note_free(&n);
		return;
	}
	check_known(c, n);
	switch (n->type) {
	case REACTOR_LIST_OPENED: lists_on_opened(c, n); break;
	case REACTOR_LIST_CLOSED: lists_on_closed(c, n->id); break;
	case REACTOR_WANTS_ADDRESSES: clusters_on_wants_addresses(c, n->cluster); break;
	case REACTOR_WANTS_CREDENTIAL:
		clusters_on_wants_credential(c, n->cluster);
		clusters_on_credentials(c);
		break;
	case REACTOR_CONSUMER_GONE: consumers_on_gone(c, n->id); break;
	case REACTOR_FETCHED:
		if (clusters_asked(c, n->id)->is_backend)
			backends_on_fetched(c, n);
		else
			questions_on_fetched(c, n);
		break;
	case REACTOR_STATUS_OF: questions_on_status(c, n); break;
	case REACTOR_AUDITED:
		if (n->id)
			questions_on_audited(c, n);
		else
			audits_on_verdict(c, n);
		break;
	case REACTOR_CLUSTER_TURNED: clusters_on_turned(c, n); break;
	case REACTOR_CLUSTER_LETS_IN: clusters_on_lets_in(c, n->cluster); break;
	case REACTOR_LEFT_OUT: left_out_on_note(c, n); break;
	case REACTOR_CLUSTER_REMOVED: clusters_on_removed(c, n->cluster); break;
	case REACTOR_STOPPED: c->reactors_stopped++; break;
	}
	reactor_note_free(&n);
}

static void on_wake(void *arg)
{
	struct control *c = arg;
	struct list mail;
	list_init(&mail);
	pthread_mutex_lock(&c->mailbox_lock);
	for (struct list *it; (it = list_pop(&c->mailbox));)
		list_push(&mail, it);
	pthread_mutex_unlock(&c->mailbox_lock);
	for (struct list *it; (it = list_pop(&mail));)
		on_note(c, CONTAINER_OF(it, struct reactor_note, link));
}

/* --- life -------------------------------------------------------------------------------- */

/* All that starting and stopping the reactors takes: neither fails later. */
static bool take_memory(struct control *c)
{
	uint32_t count = c->config.reactor_count;
	c->reactors = calloc(count, sizeof(struct reactor *));
	c->reactor_load = calloc(count, sizeof *c->reactor_load);
	for (uint32_t i = 0; i < count; i++) {
		struct reactor_msg *m = reactor_msg_new(REACTOR_STOP);
		if (!m)
			return false;
		list_push(&c->stops, &m->link);
	}
	return c->reactors && c->reactor_load;
}

err_t control_new(const struct control_config *config, struct control **out, struct errmsg *m)
{
	struct control *c = calloc(1, sizeof *c);
	if (!c)
		return errmsg_set(m, ERR_NO_MEMORY, "control");
	c->config = *config;
	c->rng = (struct prng){config->seed};
	c->consumers.lock_fd = -1;
	pthread_mutex_init(&c->mailbox_lock, NULL);
	list_init(&c->mailbox);
	list_init(&c->questions);
	list_init(&c->users);
	lists_init(c);
	list_init(&c->stops);
	err_t err = take_memory(c) ? loop_new(&c->loop) : ERR_NO_MEMORY;
	if (err)
		errmsg_set(m, err, "event loop of the control thread");
	if (!err) {
		loop_on_wake(c->loop, on_wake, c);
		c->started_ns = loop_now_ns(c->loop);
		c->started_wall_s = c->reload.good_wall_s = (int64_t)time(NULL);
		err = resolver_new(c->loop, "/etc/resolv.conf", on_addresses, c, &c->resolver);
		if (err)
			errmsg_set(m, err, "name resolver cannot start");
	}
	if (!err)
		err = open_credentials(c, m);
	if (!err)
		err = clusters_load(c, m);
	if (!err)
		err = consumers_listen(c, m);
	if (!err)
		err = metrics_listen(c, m);
	if (err)
		control_free(&c);
	*out = c;
	return err;
}

void control_set_reactors(struct control *c, struct reactor *const *reactors)
{
	memcpy(c->reactors, reactors, c->config.reactor_count * sizeof(struct reactor *));
}

void control_set_io(struct control *c, enum io_kind kind, const char *why)
{
	c->io_kind = kind;
	c->io_why = why;
}

void control_stop(struct control *c)
{
	c->stop = 1;
	loop_wake(c->loop);
}

void control_reload(struct control *c)
{
	c->reload_asked = 1;
	loop_wake(c->loop);
}

static void stop_reactors(struct control *c)
{
	uint32_t i = 0;
	for (struct list *it; (it = list_pop(&c->stops));)
		control_post(c, i++, CONTAINER_OF(it, struct reactor_msg, link));
	c->stop_posted = true;
}

void control_run(struct control *c)
{
	cluster_log_broken(c);
	backends_start(c);
	lists_open_pinned(c);
	clusters_on_credentials(c);
	while (!c->stop) {
		loop_turn(c->loop, UINT64_MAX);
		if (c->reload_asked && !c->stop) {
			c->reload_asked = 0;
			reload_run(c);
		}
	}
}

bool control_end(struct control *c)
{
	c->stopping = true;
	consumers_bye(c);
	stop_reactors(c);
	uint64_t give_up = loop_now_ns(c->loop) + CONTROL_STOP_S * 1000000000ull;
	while (c->reactors_stopped < c->config.reactor_count && loop_now_ns(c->loop) < give_up)
		loop_turn(c->loop, give_up);
	return c->reactors_stopped == c->config.reactor_count;
}

void control_free(struct control **cp)
{
	struct control *c = *cp;
	*cp = NULL;
	if (!c)
		return;
	if (c->loop) {
		on_wake(c);
		questions_fini(c);
		metrics_fini(c);
		consumers_fini(c);
		lists_fini(c);
		backends_fini(c);
		clusters_fini(c);
		reload_fini(c);
		loop_unwatch(c->loop, &c->credentials_fd);
		if (c->credentials)
			credential_pool_free(&c->credentials);
		resolver_free(&c->resolver);
		loop_free(&c->loop);
	}
	pthread_mutex_destroy(&c->mailbox_lock);
	for (struct list *it; (it = list_pop(&c->stops));) {
		struct reactor_msg *m = CONTAINER_OF(it, struct reactor_msg, link);
		reactor_msg_free(&m);
	}
	free(c->reactors);
	free(c->reactor_load);
	free(c);
}
