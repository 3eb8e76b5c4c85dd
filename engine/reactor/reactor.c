#include "reactor/reactor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reactor/ahead.h"
#include "reactor/audit.h"
#include "reactor/core.h"
#include "reactor/mux_link.h"
#include "shm/waiting.h"

enum {
	REACTOR_HEARTBEAT_NS = 100000000,
	REACTOR_EVENT_BYTES = 8 << 20,
	REACTOR_PARSER_BYTES = 1 << 20
};

/* --- io's handlers: sockets are connections -----------------------------------------------------
 */

static struct conn *conn_of(struct io_sock *s)
{
	return CONTAINER_OF(s, struct conn, sock);
}

static void tick_time(struct reactor *r)
{
	r->now_ns = io_now_ns(r->io);
}

static void on_connect(void *owner, struct io_sock *s, err_t err)
{
	tick_time(owner);
	conn_on_connect(conn_of(s), err);
}
static void on_recv(void *owner, struct io_sock *s, char *data, size_t n)
{
	tick_time(owner);
	conn_on_recv(conn_of(s), data, n);
}
static void on_end(void *owner, struct io_sock *s, err_t err)
{
	tick_time(owner);
	conn_on_end(conn_of(s), err);
}
static void on_sent(void *owner, struct io_sock *s)
{
	tick_time(owner);
	conn_on_sent(conn_of(s));
}
static void on_closed(void *owner, struct io_sock *s)
{
	tick_time(owner);
	conn_on_closed(conn_of(s));
}
static void on_wake(void *owner)
{
	(void)owner; /* the turn looks into the mailbox anyway */
}

static void on_ahead(void *owner, const struct io_ahead *a, size_t n)
{
	ahead_fetch(owner, a, n);
}

const struct io_handlers reactor_io_handlers = {
        on_connect, on_recv, on_end, on_sent, on_closed, on_wake, on_ahead};

/* --- life -------------------------------------------------------------------------------- */

static err_t take_memory(struct reactor *r)
{
	r->parser = json_parser_new(REACTOR_PARSER_BYTES, r->config.event_bytes_max);
	r->plain = malloc(CORE_PLAIN_BYTES + IO_SLACK);
	r->inflated = malloc(CORE_PLAIN_BYTES + IO_SLACK);
	r->request = malloc(CORE_REQUEST_BYTES);
	r->target = malloc(CORE_TARGET_BYTES);
	r->consumers = calloc(REACTOR_CONSUMERS_MAX, sizeof *r->consumers);
	r->marked = calloc(REACTOR_CONSUMERS_MAX, sizeof *r->marked);
	if (!r->parser || !r->plain || !r->inflated || !r->request || !r->target || !r->consumers ||
	        !r->marked)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < REACTOR_CONSUMERS_MAX; i++)
		r->consumers[i].eventfd = -1;
	return ERR_OK;
}

err_t reactor_new(const struct reactor_config *config, struct reactor **out)
{
	struct reactor *r = calloc(1, sizeof *r);
	if (!r)
		return ERR_NO_MEMORY;
	r->config = *config;
	if (!r->config.event_bytes_max)
		r->config.event_bytes_max = REACTOR_EVENT_BYTES;
	r->rng = (struct prng){config->seed};
	r->ws_limits = ws_limits_default;
	/* Quotes are every eighth byte of an event: in a multiplexer's message it is half as long
	 * again. */
	r->ws_limits.message_bytes_max =
	        2 * (r->config.event_bytes_max < 1u << 29 ? r->config.event_bytes_max : 1u << 29);
	pthread_mutex_init(&r->mailbox_lock, NULL);
	list_init(&r->mailbox);
	list_init(&r->clusters);
	list_init(&r->feeds);
	list_init(&r->admitting);
	list_init(&r->shaking);
	list_init(&r->to_shake);
	list_init(&r->mail);
	list_init(&r->leaving);
	err_t err = take_memory(r);
	if (err)
		reactor_free(&r);
	*out = r;
	return err;
}

void reactor_set_io(struct reactor *r, struct io *io)
{
	r->io = io;
	r->now_ns = io_clock_ns(io);
	wheel_init(&r->wheel, r->now_ns);
}

static void drop_messages(struct list *l)
{
	for (struct list *it; (it = list_pop(l));) {
		struct reactor_msg *m = CONTAINER_OF(it, struct reactor_msg, link);
		reactor_msg_free(&m);
	}
}

void reactor_free(struct reactor **rp)
{
	struct reactor *r = *rp;
	*rp = NULL;
	if (!r)
		return;
	CHECK(list_empty(&r->feeds) && list_empty(&r->clusters));
	drop_messages(&r->mailbox);
	drop_messages(&r->mail);
	drop_messages(&r->leaving);
	for (uint32_t i = 0; i < REACTOR_REALMS_MAX; i++)
		if (r->stores[i])
			store_free(&r->stores[i]);
	bell_close(&r->bell);
	json_parser_free(&r->parser);
	free(r->plain);
	free(r->inflated);
	free(r->request);
	free(r->target);
	free(r->consumers);
	free(r->marked);
	free(r->cluster_by_id.rows);
	free(r->feed_by_id.rows);
	reactor_note_free(&r->farewell);
	pthread_mutex_destroy(&r->mailbox_lock);
	free(r);
}

void reactor_post(struct reactor *r, struct reactor_msg *m)
{
	pthread_mutex_lock(&r->mailbox_lock);
	list_push(&r->mailbox, &m->link);
	atomic_fetch_add_explicit(&r->waiting, 1, memory_order_relaxed);
	io_wake(r->io); /* inside the lock: once the reactor can see a STOP it may be gone, and its
	                   io with it */
	pthread_mutex_unlock(&r->mailbox_lock);
}

uint32_t reactor_waiting(const struct reactor *r)
{
	return atomic_load_explicit(&r->waiting, memory_order_relaxed);
}

uint64_t reactor_turned_ns(const struct reactor *r)
{
	return atomic_load_explicit(&r->turned_ns, memory_order_relaxed);
}

/* --- a turn: completions (inside io_tick), messages, timers, wakes ----------------------- */

static void take_mail(struct reactor *r)
{
	pthread_mutex_lock(&r->mailbox_lock);
	list_move_all(&r->mail, &r->mailbox);
	pthread_mutex_unlock(&r->mailbox_lock);
	struct list *it;
	for (int i = 0; i < CORE_MAIL_PER_TURN && (it = list_pop(&r->mail)); i++) {
		core_on_message(r, CONTAINER_OF(it, struct reactor_msg, link));
		atomic_fetch_sub_explicit(&r->waiting, 1, memory_order_relaxed);
	}
}

/* A cluster that is not done goes to the end of the queue, and only when nothing is left to give.
 */
static void admit_some(struct reactor *r)
{
	struct list *it;
	r->connects = 0;
	while (r->connects < CORE_CONNECTS_PER_TURN && (it = list_pop(&r->admitting)))
		cluster_admit(CONTAINER_OF(it, struct cluster, admit), r->now_ns);
}

/* Streams that are up go before: a turn has a few steps of handshakes. What has begun goes before
 * what has not: its server waits, and so do its ten seconds. */
static void shake_some(struct reactor *r)
{
	for (int i = 0; i < CORE_SHAKES_PER_TURN; i++) {
		struct list *it = list_pop(&r->shaking);
		if (!it)
			it = list_pop(&r->to_shake);
		if (!it)
			return;
		conn_shake(CONTAINER_OF(it, struct conn, shake));
	}
}

/* Something waits for the next turn: it does not sleep. */
static bool has_work(const struct reactor *r)
{
	return !list_empty(&r->mail) || !list_empty(&r->admitting) || !list_empty(&r->shaking) ||
	       !list_empty(&r->to_shake);
}

static void fire_timers(struct reactor *r)
{
	for (struct wheel_timer *t; (t = wheel_pop(&r->wheel, r->now_ns));) {
		switch ((enum core_timer)t->kind) {
		case CORE_TIMER_CLUSTER:
			cluster_admit(CONTAINER_OF(t, struct cluster, timer), r->now_ns);
			break;
		case CORE_TIMER_FEED: feed_on_timer(CONTAINER_OF(t, struct feed, timer)); break;
		case CORE_TIMER_FETCH: fetch_on_timer(CONTAINER_OF(t, struct fetch, timer)); break;
		case CORE_TIMER_AUDIT: audit_on_timer(t); break;
		case CORE_TIMER_CONN: conn_on_timer(CONTAINER_OF(t, struct conn, timer)); break;
		case CORE_TIMER_MUX:
			mux_link_on_timer(CONTAINER_OF(t, struct mux_link, timer));
			break;
		}
	}
}

void core_mark(struct reactor *r, uint32_t consumer)
{
	struct consumer_row *row = &r->consumers[consumer];
	if (row->marked || row->eventfd < 0)
		return;
	row->marked = true;
	r->marked[r->marked_count++] = (uint16_t)consumer;
}

static void mark_consumers(struct reactor *r, struct store *s)
{
	bool any = false;
	for (struct store_list *l; (l = store_dirty_pop(s)); any = true) {
		const struct feed *f = store_list_owner(l);
		if (!f)
			continue; /* the daemon is stopping; its consumers were marked then */
		for (uint32_t i = 0; i < f->consumer_count; i++)
			core_mark(r, f->consumers[i]);
	}
	for (uint32_t i = 0; any && r->wake_always && i < REACTOR_CONSUMERS_MAX; i++)
		if (r->consumers[i].wake_always)
			core_mark(r, i);
}

/* One wake per consumer per turn, and only for those who wait (shm/waiting.h). */
static void wake_consumers(struct reactor *r)
{
	for (uint32_t i = 0; i < REACTOR_REALMS_MAX; i++)
		if (r->stores[i])
			mark_consumers(r, r->stores[i]);
	if (!r->marked_count)
		return;
	waiting_fence();
	for (uint32_t i = 0; i < r->marked_count; i++) {
		struct consumer_row *row = &r->consumers[r->marked[i]];
		row->marked = false;
		if (row->eventfd < 0)
			continue;
		if (waiting_take(row->page) &&
		        (!row->foreign || !bell_ring(&r->bell, row->eventfd)))
			io_notify(r->io, row->eventfd);
	}
	r->marked_count = 0;
}

static void tell_counts(struct reactor *r)
{
	__atomic_store_n(&r->told.events, r->events, __ATOMIC_RELAXED);
	__atomic_store_n(&r->told.bytes, r->bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&r->told.errors, r->errors, __ATOMIC_RELAXED);
	__atomic_store_n(&r->told.busy_ns, r->busy_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&r->told.left_out, r->left_out, __ATOMIC_RELAXED);
}

void reactor_counts_told(const struct reactor *r, struct reactor_counts *out)
{
	out->events = __atomic_load_n(&r->told.events, __ATOMIC_RELAXED);
	out->bytes = __atomic_load_n(&r->told.bytes, __ATOMIC_RELAXED);
	out->errors = __atomic_load_n(&r->told.errors, __ATOMIC_RELAXED);
	out->busy_ns = __atomic_load_n(&r->told.busy_ns, __ATOMIC_RELAXED);
	out->left_out = __atomic_load_n(&r->told.left_out, __ATOMIC_RELAXED);
}

void core_tell_usage(struct reactor *r)
{
	tell_counts(r);
	for (uint32_t i = 0; i < REACTOR_REALMS_MAX; i++)
		if (r->stores[i])
			store_tell_usage(r->stores[i]);
}

static void tick_stores(struct reactor *r)
{
	for (uint32_t i = 0; i < REACTOR_REALMS_MAX; i++)
		if (r->stores[i])
			store_tick(r->stores[i], r->now_ns);
}

static void acknowledge_leavers(struct reactor *r, struct list *leavers)
{
	for (struct list *it; (it = list_pop(leavers));) {
		struct reactor_msg *m = CONTAINER_OF(it, struct reactor_msg, link);
		core_note(r, core_answer(r, m, REACTOR_CONSUMER_GONE, m->id));
		reactor_msg_free(&m);
	}
}

static uint64_t turn_deadline(const struct reactor *r, uint64_t deadline_ns)
{
	if (has_work(r))
		return 0;
	uint64_t next = wheel_next_ns(&r->wheel);
	if (next != UINT64_MAX)
		next += WHEEL_TICK_NS;
	if (r->heartbeat_ns + REACTOR_HEARTBEAT_NS < next)
		next = r->heartbeat_ns + REACTOR_HEARTBEAT_NS;
	return next < deadline_ns ? next : deadline_ns;
}

static void finish_stop(struct reactor *r)
{
	if (r->conn_count)
		return;
	LIST_EACH_SAFE (it, &r->clusters) {
		struct cluster *c = CONTAINER_OF(it, struct cluster, link);
		cluster_free(&c);
	}
	r->stopped = true;
	core_note(r, r->farewell);
	r->farewell = NULL;
}

bool reactor_turn(struct reactor *r, uint64_t deadline_ns)
{
	struct list leavers;
	list_init(&leavers);
	for (struct list *it; (it = list_pop(&r->leaving));)
		list_push(&leavers, it);
	io_tick(r->io, turn_deadline(r, deadline_ns));
	tick_time(r);
	uint64_t began = r->now_ns;
	admit_some(r);
	take_mail(r);
	shake_some(r);
	fire_timers(r);
	wake_consumers(r);
	if (r->now_ns - r->heartbeat_ns >= REACTOR_HEARTBEAT_NS) {
		r->heartbeat_ns = r->now_ns;
		core_tell_usage(r);
	}
	tick_stores(r);
	acknowledge_leavers(r, &leavers);
	atomic_store_explicit(&r->turned_ns, r->now_ns, memory_order_relaxed);
	uint64_t took = io_clock_ns(r->io) - began; /* with the handlers, without the sleep */
	r->turn_max_ns = took > r->turn_max_ns ? took : r->turn_max_ns;
	r->busy_ns += took;
	if (r->stopping && !r->stopped)
		finish_stop(r);
	return !r->stopped;
}

void reactor_run(struct reactor *r)
{
	while (reactor_turn(r, UINT64_MAX))
		;
}
