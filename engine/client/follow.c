#include "client/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/restart.h"
#include "client/session.h"
#include "client/wait.h"

enum { /* words of kr_follow */
	WORD_LIST,
	WORD_FOLLOW,
	WORD_POSITION,
	WORD_INCARNATION_0,
	WORD_INCARNATION_1,
	WORD_ROW,
	WORD_GEN,
	WORD_DIGEST,
};

enum {
	AHEAD_ENTRY = 8, /* steps */
	AHEAD_HEAD = 4,
	HEAD_LINES = 3,      /* of an object: header and strings */
	PREFETCH_LINES = 12, /* of the next one, to be copied: the hardware goes on from there */
	FOLLOW_FLAGS = KR_BORROW | KR_NO_OLD,
	LAG_PARTS = 4, /* KR_LAGGING when more than 3 of 4 parts of the ring lie behind us */
};

/* --- life ------------------------------------------------------------------------------------ */

static void *word_of(uint64_t v)
{
	_Static_assert(sizeof(void *) == 8, "64-bit only: positions are 64 bits wide");
	return (void *)(uintptr_t)v;
}

static uint64_t word(const struct kr_follow *k, int i)
{
	return (uintptr_t)k->_private[i];
}

void follow_prepare(struct kr_follow *k, struct kr_list *l, const struct home *home,
        const struct follow_start *start)
{
	const struct read_shard *read = &home->shard->read;
	memset(k, 0, sizeof *k);
	k->_private[WORD_LIST] = l;
	k->_private[WORD_POSITION] = word_of(start->position);
	k->_private[WORD_DIGEST] = word_of(start->digest);
	k->_private[WORD_INCARNATION_0] = word_of(read->incarnation[0]);
	k->_private[WORD_INCARNATION_1] = word_of(read->incarnation[1]);
	k->_private[WORD_ROW] = word_of(home->row);
	k->_private[WORD_GEN] = word_of(home->gen);
}

static void home_copy(struct home *to, const struct home *from)
{
	*to = *from;
	to->shard = mapping_ref(from->shard);
}

void follow_move(struct follow *f, const struct home *to, const struct follow_start *start)
{
	struct home old = f->home;
	home_copy(&f->home, to);
	mapping_put(&old.shard);
	f->position = start->position;
	f->digest = start->digest;
	f->have = f->mark_count = 0;
}

/* The follow behind k, begun if it has not. */
static int follow_of(struct kr_follow *k, struct follow **out)
{
	if (!k || !k->_private[WORD_LIST])
		return KR_ERR_ARGUMENT;
	*out = k->_private[WORD_FOLLOW];
	if (*out)
		return KR_OK;
	struct kr_list *l = k->_private[WORD_LIST];
	int r = list_usable(l);
	if (r != KR_OK)
		return r;
	struct follow *f = malloc(sizeof *f);
	if (!f)
		return client_fail(l->client, KR_ERR_MEMORY, "out of memory");
	memset(f, 0, offsetof(struct follow, marks));
	f->list = l;
	l->refs++;
	home_copy(&f->home, &l->home);
	f->position = word(k, WORD_POSITION);
	f->digest = word(k, WORD_DIGEST);
	const struct read_shard *read = &f->home.shard->read;
	if (read->incarnation[0] != word(k, WORD_INCARNATION_0) ||
	        read->incarnation[1] != word(k, WORD_INCARNATION_1) ||
	        f->home.row != word(k, WORD_ROW) || f->home.gen != word(k, WORD_GEN)) {
		f->reset = true; /* the list moved between the view and now */
		f->position = read_commit(read);
	}
	list_push(&l->client->follows, &f->node);
	k->_private[WORD_FOLLOW] = f;
	*out = f;
	return KR_OK;
}

void kr_follow_end(struct kr_follow *follow)
{
	if (!follow)
		return;
	struct follow *f = follow->_private[WORD_FOLLOW];
	memset(follow, 0, sizeof *follow);
	if (!f)
		return;
	list_unlink(&f->node);
	restart_free(&f->restart);
	object_buf_fini(&f->now);
	object_buf_fini(&f->before);
	home_drop(&f->home);
	list_put(&f->list);
	free(f);
}

/* --- finding changes ------------------------------------------------------------------------- */

static int give_up(struct follow *f, int code)
{
	if (code == KR_ERR_OVERRUN || code == KR_ERR_CLOSED)
		f->failed = code;
	return code;
}

static int failed_again(struct follow *f)
{
	if (f->failed == KR_ERR_OVERRUN)
		return client_fail(f->list->client, f->failed,
		        "this follow was overrun: changes were lost; take a new view "
		        "(kr_view_begin)");
	return client_fail(f->list->client, f->failed, "the list was closed");
}

static void mark(struct follow *f, uint64_t seq)
{
	if (f->mark_count ==
	        FOLLOW_MARKS) { /* the oldest changes are wanted first: forget a new one */
		memmove(f->marks, f->marks + 1, (FOLLOW_MARKS - 1) * sizeof f->marks[0]);
		f->mark_count--;
	}
	f->marks[f->mark_count++] = seq;
}

/* Fills seqs with the oldest changes after position. KR_TIMEOUT: there are none. */
static int refill(struct follow *f)
{
	const struct read_shard *s = &f->home.shard->read;
	uint64_t commit = read_commit(s), last = 0; /* R1, then S3 */
	enum read_result r = read_last(s, f->home.row, f->home.gen, &last);
	if (r != READ_OK)
		return give_up(f, mapping_fail(f->home.shard, r));
	if (last <= f->position)
		return KR_TIMEOUT;
	while (f->mark_count > 0 && f->marks[f->mark_count - 1] <= f->position)
		f->mark_count--;
	bool marked = f->mark_count > 0;
	struct read_chain chain = {marked ? f->marks[--f->mark_count] : last, f->position,
	        f->home.row, (uint16_t)f->home.gen, 0};
	struct shm_entry e;
	uint32_t n = 0;
	while ((r = read_chain_next(s, &chain, &e)) == READ_OK) {
		if (e.seq > commit)
			continue;
		if (!marked && n > 0 && n % FOLLOW_MARK_EVERY == 0)
			mark(f, e.seq);
		f->seqs[n++ % FOLLOW_SEQS] = e.seq;
	}
	if (r != READ_NONE)
		return give_up(f, mapping_fail(f->home.shard, r));
	uint64_t head = read_head(s);
	f->commit = commit;
	f->window = head > 1 && head <= commit ? commit - head + 1 : s->ring_mask + 1;
	f->top = n;
	f->have = n < FOLLOW_SEQS ? n : FOLLOW_SEQS;
	return n > 0 ? KR_OK : KR_TIMEOUT;
}

/* --- handing one out ------------------------------------------------------------------------- */

static void version_text(char out[64], uint64_t v)
{
	char digits[20];
	unsigned n = 0;
	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	for (unsigned i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	out[n] = '\0';
}

void follow_blank(struct follow *f, struct kr_change *ch, enum kr_type type)
{
	ch->type = type;
	ch->flags = 0;
	ch->list = f->list;
	ch->seq = ch->digest = 0;
	ch->resource_version[0] = '\0';
	ch->state = KR_LIST_IDLE;
	object_none(&ch->object);
	object_none(&ch->old_object);
}

void follow_deleted_unknown(struct kr_change *ch)
{
	struct kr_object none;
	object_none(&none);
	ch->object = ch->old_object;
	ch->object.json = none.json;
	ch->object.json_bytes = 0;
	ch->object.json_hash = 0;
}

/* Loads one of the objects of a change; whether it is whole is checked once for all of them. */
static int load(struct follow *f, uint64_t seq, uint64_t block, struct object_buf *buf,
        unsigned flags, struct kr_object *out)
{
	struct object_guard guard = {.position = seq - 1, .block = block}; /* S1: head <= seq */
	return object_load(f->home.shard, &guard, buf, flags, out);
}

static int load_objects(
        struct follow *f, const struct shm_entry *e, struct kr_change *ch, unsigned flags)
{
	int r = KR_OK;
	bool old = e->op != SHM_OP_ADDED && !(flags & KR_NO_OLD);
	if (e->op == SHM_OP_DELETED && e->new_block == 0) { /* found missing by a relist */
		r = load(f, e->seq, e->old_block, &f->before, flags, &ch->old_object);
		if (r == KR_OK)
			follow_deleted_unknown(ch);
		if (!old)
			object_none(&ch->old_object);
		return r;
	}
	if (old)
		r = load(f, e->seq, e->old_block, &f->before, flags, &ch->old_object);
	return r == KR_OK ? load(f, e->seq, e->new_block, &f->now, flags, &ch->object) : r;
}

/* Out of the way: a row is large, and every change would clear it. */
static __attribute__((noinline)) void version_of_row(
        struct follow *f, uint64_t seq, struct kr_change *ch)
{
	struct shm_list row;
	const struct home *h = &f->home;
	if (mapping_row(h->shard, h->row, h->gen, &row) == READ_OK && row.last_change == seq)
		memcpy(ch->resource_version, row.rv, sizeof ch->resource_version);
}

/* Version of the list after the change, as far as the ring or the row tells. */
static void set_version(struct follow *f, const struct shm_entry *e, struct kr_change *ch)
{
	if (e->rv != 0)
		version_text(ch->resource_version, e->rv);
	else if (e->op <= SHM_OP_DELETED && !(e->flags & SHM_FLAG_RELIST))
		snprintf(ch->resource_version, sizeof ch->resource_version, "%s",
		        ch->object.resource_version);
	else
		version_of_row(f, e->seq, ch);
}

/* Has seq less than a quarter of the ring left? head is hot: it was just looked at. What the ring
 * holds is taken from refill: `commit` moves too often to be looked at for each change. */
static bool lagging(const struct follow *f, uint64_t seq)
{
	uint64_t head = read_head(&f->home.shard->read);
	if (head <= 1) /* nothing was given up yet: the ring is as large as its entries */
		return f->commit - seq > f->window / LAG_PARTS * (LAG_PARTS - 1) && f->commit > seq;
	return seq - head < f->window / LAG_PARTS && f->commit > seq;
}

/* The words of change seq are in *e and maybe its objects in *ch: are they true? */
static int check_change(struct follow *f, const struct shm_entry *e, int loaded)
{
	if (loaded != KR_OK && loaded != KR_ERR_CORRUPT)
		return loaded;
	if (!read_intact(&f->home.shard->read, e->seq)) /* R4, R5 for entry and objects */
		return mapping_fail(f->home.shard, READ_GONE);
	bool ours = e->list == f->home.row && e->list_gen == (uint16_t)f->home.gen && e->op != 0;
	return loaded == KR_OK && ours ? KR_OK : mapping_fail(f->home.shard, READ_CORRUPT);
}

/* Change seq. KR_TIMEOUT: one of a kind that this library does not know. */
static int hand_out(struct follow *f, uint64_t seq, struct kr_change *ch, unsigned flags)
{
	_Static_assert((int)KR_ADDED == SHM_OP_ADDED && (int)KR_RESET == SHM_OP_RESET, "types");
	_Static_assert((int)KR_FINAL_STATE_UNKNOWN == SHM_FLAG_FINAL_STATE_UNKNOWN &&
	                       (int)KR_FROM_RELIST == SHM_FLAG_RELIST &&
	                       (int)KR_RECREATED == SHM_FLAG_RECREATED,
	        "flags");
	struct shm_entry e;
	const struct read_shard *s = &f->home.shard->read;
	enum read_result rr = read_entry_words(s, seq, &e);
	if (rr != READ_OK)
		return give_up(f, mapping_fail(f->home.shard, rr));
	bool object = e.op <= SHM_OP_DELETED && e.op != 0;
	follow_blank(f, ch, (enum kr_type)e.op);
	int r = check_change(f, &e, object ? load_objects(f, &e, ch, flags) : KR_OK);
	if (r != KR_OK)
		return give_up(f, r);
	if (e.op > SHM_OP_RESET) { /* a later minor version of the layout */
		f->position = seq;
		return KR_TIMEOUT;
	}
	ch->flags = e.flags & (KR_FINAL_STATE_UNKNOWN | KR_FROM_RELIST | KR_RECREATED);
	if (lagging(f, seq))
		ch->flags |= KR_LAGGING;
	ch->seq = seq;
	ch->digest = f->digest = e.digest;
	set_version(f, &e, ch);
	if (e.op == SHM_OP_STATE) {
		ch->state = e.aux <= KR_LIST_CLOSED ? (enum kr_list_state)e.aux : KR_LIST_STALE;
		f->told_stale = false;
		if (ch->state == KR_LIST_CLOSED)
			f->failed = KR_ERR_CLOSED;
	}
	f->position = seq;
	return KR_OK;
}

/* What the next changes will touch, each some steps before it is needed: cache misses are what
 * following costs, and they overlap. */
static void prefetch(const struct follow *f, unsigned flags)
{
	const struct read_shard *s = &f->home.shard->read;
	bool old = !(flags & KR_NO_OLD);
	if (f->have >= AHEAD_ENTRY)
		read_prefetch_entry(s, f->seqs[(f->top - AHEAD_ENTRY) % FOLLOW_SEQS]);
	if (f->have >= AHEAD_HEAD)
		read_prefetch_change(
		        s, f->seqs[(f->top - AHEAD_HEAD) % FOLLOW_SEQS], HEAD_LINES, old);
	if (f->have >= 1 && !(flags & KR_BORROW))
		read_prefetch_change(s, f->seqs[(f->top - 1) % FOLLOW_SEQS], PREFETCH_LINES, old);
}

static int step_ring(struct follow *f, struct kr_change *ch, unsigned flags)
{
	for (;;) {
		int r = f->have > 0 ? KR_OK : refill(f);
		if (r != KR_OK)
			return r;
		uint64_t seq = f->seqs[--f->top % FOLLOW_SEQS];
		f->have--;
		prefetch(f, flags);
		r = hand_out(f, seq, ch, flags);
		if (r != KR_OK && r != KR_TIMEOUT && !f->failed) { /* memory: the same one again */
			f->top++;
			f->have++;
		}
		if (r != KR_TIMEOUT)
			return r;
	}
}

static int say_reset(struct follow *f, struct kr_change *ch)
{
	f->reset = f->told_stale = false;
	follow_blank(f, ch, KR_RESET);
	ch->flags = KR_FROM_RESTART;
	ch->seq = f->position;
	return KR_OK;
}

/* The rest of the old life lies in memory that was never mapped and cannot be any more: RESET, as
 * soon as there is a new one. */
static int orphaned(struct follow *f)
{
	return home_same(&f->home, &f->list->home) ? KR_TIMEOUT : restart_reset(f);
}

/* The next change that is there. KR_TIMEOUT: none. */
static int step(struct follow *f, struct kr_change *ch, unsigned flags)
{
	if (f->failed == KR_ERR_CLOSED && !home_same(&f->home, &f->list->home)) {
		f->failed = 0; /* closed by a daemon that has been replaced */
		(void)restart_reset(f);
	}
	if (f->failed)
		return failed_again(f);
	if (f->list->closed)
		return list_usable(f->list);
	for (;;) {
		if (f->reset)
			return say_reset(f, ch);
		int r = f->restart ? restart_step(f, ch) : step_ring(f, ch, flags);
		if (r == KR_ERR_UNREACHABLE && !mapping_current(f->home.shard))
			r = orphaned(f);
		if (f->reset)
			continue;
		if (r != KR_TIMEOUT || home_same(&f->home, &f->list->home))
			return r;
		r = restart_begin(f); /* all of the old life was handed out */
		if (r != KR_OK && !f->reset)
			return r;
	}
}

/* --- freshness ------------------------------------------------------------------------------- */

/* Says once that nobody writes the list any more, and once that somebody does again. KR_TIMEOUT: no
 * news. */
static int health(struct follow *f, struct kr_change *ch, int64_t now_ns)
{
	struct shm_list row;
	struct kr_client *c = f->list->client;
	const struct home *h = &f->home;
	bool fresh = c->phase == CLIENT_UP && f->list->home.life == c->life &&
	             home_same(h, &f->list->home) &&
	             mapping_beat_age_ns(h->shard, now_ns) <= CLIENT_BEAT_MAX_MS * NS_PER_MS;
	if (fresh != f->told_stale)
		return KR_TIMEOUT;
	follow_blank(f, ch, KR_STATE);
	ch->seq = f->position;
	ch->digest = f->digest;
	ch->state = KR_LIST_STALE;
	if (fresh) {
		if (mapping_row(h->shard, h->row, h->gen, &row) != READ_OK)
			return KR_TIMEOUT;
		if (row.state <= SHM_LIST_CLOSED)
			ch->state = (enum kr_list_state)row.state;
	}
	f->told_stale = !fresh;
	return KR_OK;
}

/* --- waiting --------------------------------------------------------------------------------- */

struct call { /* one kr_follow_next or kr_follow_any */
	struct kr_client *client;
	struct kr_follow *const *follows;
	size_t n, which;
	struct kr_change *change;
	unsigned flags;
};

static int call_step(struct call *k)
{
	struct kr_client *c = k->client;
	for (size_t i = 0; i < k->n; i++) {
		size_t at = c->any_next < k->n ? c->any_next : 0;
		c->any_next = at + 1;
		int r = step(k->follows[at]->_private[WORD_FOLLOW], k->change, k->flags);
		if (r != KR_TIMEOUT) {
			k->which = at;
			return r;
		}
	}
	return KR_TIMEOUT;
}

/* A list that is whole by now changes over: nobody is woken for that again. */
static void call_settle(const struct call *k)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct follow *f = k->follows[i]->_private[WORD_FOLLOW];
		(void)list_settle(f->list);
	}
}

static int call_health(struct call *k, int64_t now_ns)
{
	for (size_t i = 0; i < k->n; i++) {
		int r = health(k->follows[i]->_private[WORD_FOLLOW], k->change, now_ns);
		if (r != KR_TIMEOUT) {
			k->which = i;
			return r;
		}
	}
	return KR_TIMEOUT;
}

/* Is there anything for any follow of the client? Only asked before the descriptor is left armed.
 */
static bool anything_pending(struct kr_client *c)
{
	LIST_EACH (n, &c->follows) {
		struct follow *f = CONTAINER_OF(n, struct follow, node);
		if (f->failed || f->list->closed)
			continue;
		(void)list_settle(f->list);
		if (f->reset || f->restart || f->have > 0 || !home_same(&f->home, &f->list->home) ||
		        refill(f) != KR_TIMEOUT)
			return true;
	}
	return false;
}

/* Nothing came in time. With kr_fd in use the descriptor is armed, and stays readable if somebody
 * else has something. */
static int call_timeout(struct kr_client *c)
{
	if (!c->fd_used) {
		wait_disarm(c);
		return KR_TIMEOUT;
	}
	c->fd_armed = true;
	if (anything_pending(c))
		wait_signal(c);
	return KR_TIMEOUT;
}

/* A change is handed out although the descriptor was armed: it stays readable until KR_TIMEOUT. */
static int call_found(struct kr_client *c, int r)
{
	wait_disarm(c);
	wait_signal(c);
	return r;
}

static int call_run(struct call *k, int64_t timeout_ns)
{
	struct kr_client *c = k->client;
	int r = call_step(k);
	if (r != KR_TIMEOUT)
		return c->fd_armed ? call_found(c, r) : r;
	int64_t until = client_deadline(timeout_ns);
	for (;;) {
		int64_t now = client_clock_ns();
		if (timeout_ns > 0 || c->fd_used)
			session_pump(c, now);
		else
			session_glance(c);
		r = call_health(k, now);
		if (r != KR_TIMEOUT)
			return call_found(c, r);
		if (timeout_ns <= 0 && !c->fd_used)
			return call_step(k);
		wait_arm(c);
		call_settle(k);
		r = call_step(k); /* once more, after the fence */
		if (r != KR_TIMEOUT)
			return call_found(c, r);
		if (timeout_ns <= 0 || now >= until)
			return call_timeout(c);
		wait_block(c, until);
		r = call_step(k); /* what it was woken for, mostly: the socket can wait */
		if (r != KR_TIMEOUT)
			return call_found(c, r);
	}
}

int kr_follow_next_flags(
        struct kr_follow *follow, struct kr_change *change, int64_t timeout_ns, unsigned flags)
{
	struct follow *f = NULL;
	int r = follow_of(follow, &f);
	if (r != KR_OK)
		return r;
	struct kr_client *c = f->list->client;
	if (!change || (flags & ~(unsigned)FOLLOW_FLAGS))
		return client_fail(
		        c, KR_ERR_ARGUMENT, "kr_follow_next: change is NULL, or unknown flags");
	struct call k = {c, (struct kr_follow *const[]){follow}, 1, 0, change, flags};
	return call_run(&k, timeout_ns);
}

int kr_follow_next(struct kr_follow *follow, struct kr_change *change, int64_t timeout_ns)
{
	return kr_follow_next_flags(follow, change, timeout_ns, 0);
}

int kr_follow_any_flags(struct kr_follow *const *follows, size_t n, size_t *which,
        struct kr_change *change, int64_t timeout_ns, unsigned flags)
{
	struct kr_client *c = NULL;
	struct follow *f = NULL;
	if (!follows || n == 0 || !which || !change || (flags & ~(unsigned)FOLLOW_FLAGS))
		return KR_ERR_ARGUMENT;
	for (size_t i = 0; i < n; i++) {
		int r = follow_of(follows[i], &f);
		if (r == KR_OK && c && f->list->client != c)
			r = client_fail(
			        c, KR_ERR_ARGUMENT, "kr_follow_any: follows of two clients");
		if (r != KR_OK) {
			*which = i;
			return r;
		}
		c = f->list->client;
	}
	struct call k = {c, follows, n, 0, change, flags};
	int r = call_run(&k, timeout_ns);
	*which = k.which;
	return r;
}

int kr_follow_any(struct kr_follow *const *follows, size_t n, size_t *which,
        struct kr_change *change, int64_t timeout_ns)
{
	return kr_follow_any_flags(follows, n, which, change, timeout_ns, 0);
}

int kr_change_check(struct kr_follow *follow, const struct kr_change *change)
{
	if (!follow || !change || !follow->_private[WORD_FOLLOW])
		return KR_ERR_ARGUMENT;
	const struct follow *f = follow->_private[WORD_FOLLOW];
	if (change->flags & KR_FROM_RESTART) /* always a copy */
		return KR_OK;
	return read_intact(&f->home.shard->read, change->seq) ? KR_OK : KR_ERR_TORN;
}
