#include "headlamp/mux.h"

#include <stdlib.h>

#include "base/check.h"
#include "headlamp/mux_key.h"

#define KEY(node, member) CONTAINER_OF(node, struct mux_key, member)

static const uint64_t answer_ns = MUX_ANSWER_S * UINT64_C(1000000000);
static const uint64_t late_ns = MUX_LATE_S * UINT64_C(1000000000);
static const uint64_t forget_ns = MUX_FORGET_MS * UINT64_C(1000000);

struct mux *mux_new(uint64_t seed)
{
	struct mux *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->prng.s = seed;
	m->seed = prng_next(&m->prng);
	struct list *lists[] = {&m->ready, &m->cold, &m->closes, &m->sent, &m->ended};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_init(lists[i]);
	if (!mux_table_init(&m->clusters) || !mux_table_init(&m->paths) ||
	        !mux_table_init(&m->keys))
		mux_free(&m);
	return m;
}

static void forget(struct mux *m, struct mux_node *n)
{
	struct mux_key *k = CONTAINER_OF(n, struct mux_key, node);
	CHECK(!k->sub);
	list_unlink(&k->sent);
	list_unlink(&k->asked);
	list_unlink(&k->queue);
	mux_key_drop(m, k);
}

void mux_free(struct mux **pm)
{
	struct mux *m = *pm;
	if (!m)
		return;
	m->probe = NULL;
	mux_table_each(&m->keys, m, forget);
	mux_table_fini(&m->keys);
	mux_table_fini(&m->paths);
	mux_table_fini(&m->clusters);
	free(m);
	*pm = NULL;
}

/* --- What is to be sent --------------------------------------------------------------------- */

/* In the list that it belongs to, at its end. */
static void place(struct mux *m, struct mux_cluster *c)
{
	list_unlink(&c->link);
	if (list_empty(&c->queue))
		return;
	if (c->answered || (c->doubted && !c->probe))
		list_push(&m->ready, &c->link);
	else if (!c->doubted)
		list_push(&m->cold, &c->link);
}

static void enqueue(struct mux *m, struct mux_key *k)
{
	struct mux_cluster *c = k->path->cluster;
	list_push(&c->queue, &k->queue);
	if (list_empty(&c->link))
		place(m, c);
}

static void dequeue(struct mux *m, struct mux_key *k)
{
	list_unlink(&k->queue);
	if (list_empty(&k->path->cluster->queue))
		list_unlink(&k->path->cluster->link);
	(void)m;
}

/* Instead of whatever else was to be said about it. */
static void enqueue_close(struct mux *m, struct mux_key *k)
{
	dequeue(m, k);
	list_push(&m->closes, &k->queue);
}

static size_t write_key(const struct mux_key *k, bool close, char *buf, size_t cap)
{
	struct envelope_request q = {
	        .cluster = {k->path->cluster->name, k->path->cluster->name_bytes},
	        .path = {k->path->text, k->path->text_bytes},
	        .query = {k->query, k->query_bytes},
	        .user = {k->user, MUX_USER_BYTES},
	        .close = close,
	};
	return envelope_write(&q, buf, cap);
}

/* Would it fit? Six bytes for one is the worst. */
static bool fits(struct mux *m, struct span cluster, struct span path, struct span query)
{
	size_t n = cluster.n + path.n + query.n;
	if (n < (MUX_MESSAGE_BYTES_MAX - 128) / 6)
		return true;
	if (n > MUX_MESSAGE_BYTES_MAX)
		return false;
	static const char user[MUX_USER_BYTES + 1] = "0123456789abcdef";
	struct envelope_request q = {cluster, path, query, {user, MUX_USER_BYTES}, false};
	return envelope_write(&q, m->scratch, sizeof m->scratch) > 0;
}

static size_t take_close(struct mux *m, char *buf, size_t cap)
{
	struct mux_key *k = KEY(m->closes.next, queue);
	struct mux_path *p = k->path;
	size_t n = write_key(k, true, buf, cap);
	if (!n)
		return 0;
	if (p->close_seq <= m->fenced)
		p->closes = 0;
	p->closes++;
	p->close_seq = ++m->seq;
	list_unlink(&k->queue);
	mux_key_drop(m, k);
	return n;
}

/* The REQUEST whose turn it is; NULL: none. */
static struct mux_key *next_request(const struct mux *m)
{
	const struct list *from = !list_empty(&m->ready) ? &m->ready : &m->cold;
	if (list_empty(from) || (from == &m->cold && m->probe))
		return NULL;
	struct mux_cluster *c = CONTAINER_OF(from->next, struct mux_cluster, link);
	return KEY(c->queue.next, queue);
}

static bool is_assertion(const struct mux_key *k)
{
	return k && k->sub->state == MUX_SUB_OPEN;
}

struct mux_sub *mux_wants_query(const struct mux *m, uint64_t now_ns)
{
	struct mux_key *k = m->open && list_empty(&m->closes) ? next_request(m) : NULL;
	return is_assertion(k) && now_ns >= k->due_ns ? k->sub : NULL;
}

size_t mux_take(struct mux *m, uint64_t now_ns, char *buf, size_t cap)
{
	if (!m->open)
		return 0;
	if (!list_empty(&m->closes))
		return take_close(m, buf, cap);
	struct mux_key *k = next_request(m);
	if (!k || (is_assertion(k) && now_ns < k->due_ns))
		return 0;
	struct mux_cluster *c = k->path->cluster;
	size_t n = write_key(k, false, buf, cap);
	if (!n)
		return 0;
	list_unlink(&k->queue);
	k->requests++;
	uint64_t seq = ++m->seq;
	if (is_assertion(k)) {
		k->asserted = true;
		k->path->asserted_seq = seq;
		place(m, c);
		return n;
	}
	k->sub->state = MUX_SUB_ASKED;
	k->seq = seq;
	k->asked_ns = now_ns;
	list_push(&m->sent, &k->sent);
	list_push(&k->path->asked, &k->asked);
	if (c->doubted)
		c->probe = k;
	else if (!c->answered)
		m->probe = k;
	place(m, c); /* behind the other clusters */
	return n;
}

/* --- Subscriptions -------------------------------------------------------------------------- */

/* The key has no subscription any more. */
static struct mux_sub *detach(struct mux *m, struct mux_key *k)
{
	struct mux_sub *s = k->sub;
	list_unlink(&k->told);
	k->sub = NULL;
	s->key = NULL;
	s->state = MUX_SUB_IDLE;
	if (m->late.sub == s)
		m->late = (struct mux_event){0};
	mux_key_drop(m, k);
	return s;
}

err_t mux_subscribe(struct mux *m, struct mux_sub *s, struct span cluster, struct span path,
        struct span query, uint64_t now_ns)
{
	(void)now_ns;
	CHECK(s->state == MUX_SUB_IDLE);
	if (!cluster.n || !path.n)
		return ERR_ARGUMENT;
	if (!fits(m, cluster, path, query))
		return ERR_LIMIT;
	struct mux_key *k = mux_key_new(m, cluster, path, query);
	if (!k)
		return ERR_NO_MEMORY;
	if (s->key)
		detach(m, s->key); /* the end that was not fetched is old news */
	k->sub = s;
	s->key = k;
	s->state = MUX_SUB_QUEUED;
	enqueue(m, k);
	return ERR_OK;
}

void mux_unsubscribe(struct mux *m, struct mux_sub *s)
{
	struct mux_key *k = s->key;
	if (!k)
		return;
	if (s->state == MUX_SUB_QUEUED)
		dequeue(m, k);
	else if (s->state != MUX_SUB_IDLE)
		enqueue_close(m, k);
	detach(m, k);
}

err_t mux_set_query(struct mux *m, struct mux_sub *s, struct span query)
{
	if (s->state == MUX_SUB_IDLE)
		return ERR_ARGUMENT;
	const struct mux_path *p = s->key->path;
	if (!fits(m, (struct span){p->cluster->name, p->cluster->name_bytes},
	            (struct span){p->text, p->text_bytes}, query))
		return ERR_LIMIT;
	return mux_key_set_query(s->key, query) ? ERR_OK : ERR_NO_MEMORY;
}

/* --- What comes ----------------------------------------------------------------------------- */

/* By a STATUS, which may have been meant for another one: so it is closed there as well. */
static void end(struct mux *m, struct mux_key *k)
{
	k->sub->state = MUX_SUB_IDLE;
	enqueue_close(m, k);
	list_push(&m->ended, &k->told);
}

/* From now on one request after the other; after an end (doubted) those of this cluster, after a
 * failure those of all that have not answered. Assertions have no answer to wait for: they cannot
 * be kept waiting, nor let one dead cluster block the others many times. */
static void turn_cold(struct mux *m, struct mux_cluster *c, bool doubted)
{
	bool was = c->answered;
	c->answered = false;
	c->doubted = doubted && (was || c->doubted);
	LIST_EACH_SAFE (it, &c->queue) {
		struct mux_key *k = KEY(it, queue);
		if (was && k->sub->state == MUX_SUB_OPEN)
			end(m, k);
	}
	place(m, c);
}

static void answered(struct mux *m, struct mux_key *k, bool reached, uint64_t now_ns)
{
	struct mux_cluster *c = k->path->cluster;
	list_unlink(&k->sent);
	list_unlink(&k->asked);
	if (k->seq > m->fenced)
		m->fenced = k->seq;
	m->answered_ns = now_ns;
	if (m->probe == k)
		m->probe = NULL;
	if (c->probe == k)
		c->probe = NULL;
	if (!reached) {
		turn_cold(m, c, false);
	} else if (!c->answered) {
		c->answered = true;
		c->doubted = false;
		place(m, c);
	}
}

static void on_connected(struct mux *m, struct mux_path *p, uint64_t now_ns, struct mux_event *ev)
{
	m->answered_ns = now_ns;
	if (list_empty(&p->asked)) /* an assertion has opened it again: its owner need not know */
		return;
	struct mux_key *k = KEY(p->asked.next, asked);
	answered(m, k, true, now_ns);
	if (!k->sub) {
		mux_key_drop(m, k);
		return;
	}
	k->sub->state = MUX_SUB_OPEN;
	*ev = (struct mux_event){.type = MUX_OPENED, .sub = k->sub};
}

/* A watch of that path has ended; which one, the STATUS does not say. */
static void on_end(struct mux *m, struct mux_path *p, bool failed, uint64_t now_ns)
{
	bool dialled = !list_empty(&p->asked) || p->asserted_seq > m->fenced;
	if (failed && dialled) /* an ERROR follows that says whose it was */
		return;
	bool expected = !failed && p->closes && p->close_seq > m->fenced;
	if (expected)
		p->closes--;
	size_t open = 0;
	LIST_EACH (it, &p->keys) {
		struct mux_key *k = KEY(it, of_path);
		open += k->sub && k->sub->state == MUX_SUB_OPEN;
	}
	bool sure = !expected && open == 1;
	LIST_EACH (it, &p->keys) {
		struct mux_key *k = KEY(it, of_path);
		if (!k->sub || k->sub->state != MUX_SUB_OPEN)
			continue;
		if (sure || !p->cluster->answered || (k->asserted && !expected)) {
			end(m, k);
			continue;
		}
		k->due_ns = now_ns + forget_ns;
		if (list_empty(&k->queue))
			enqueue(m, k);
	}
	if (sure)
		turn_cold(m, p->cluster, true);
}

static void on_status(struct mux *m, struct envelope_reader *r, const struct envelope *e,
        uint64_t now_ns, struct mux_event *ev)
{
	struct span text;
	struct mux_path *p = mux_path_find(m, e->cluster, e->path);
	if (!p)
		return;
	switch (envelope_status(r, e, &text)) {
	case ENVELOPE_CONNECTED: on_connected(m, p, now_ns, ev); break;
	case ENVELOPE_CLOSED: on_end(m, p, false, now_ns); break;
	case ENVELOPE_FAILED: on_end(m, p, true, now_ns); break;
	case ENVELOPE_UNKNOWN: break;
	}
}

/* The key that a frame names; NULL: nobody's. One that was never sent has no answer, whoever has
 * guessed it: it waits for its turn to be asked. */
static struct mux_key *addressee(struct mux *m, const struct envelope *e)
{
	struct mux_key *k = mux_key_find(m, e->user);
	return k && k->requests && mux_path_is(k->path, e->cluster, e->path) ? k : NULL;
}

/* A Headlamp before 0.43 names the cluster only (envelope.h). Then it is the REQUEST that is being
 * served: the oldest one without an answer. */
static struct mux_key *refused(struct mux *m, const struct envelope *e)
{
	if (e->user.n || list_empty(&m->sent))
		return addressee(m, e);
	struct mux_key *k = KEY(m->sent.next, sent);
	const struct mux_cluster *c = k->path->cluster;
	return span_eq((struct span){c->name, c->name_bytes}, e->cluster) ? k : NULL;
}

static void on_data(struct mux *m, const struct envelope *e, uint64_t now_ns, struct mux_event *ev)
{
	struct mux_key *k = addressee(m, e);
	if (!k)
		return;
	k->asserted = false;
	bool news = !list_empty(&k->sent); /* a STATUS for two was taken for the other one's */
	if (news)
		answered(m, k, true, now_ns);
	if (!k->sub) {
		mux_key_drop(m, k);
		return;
	}
	if (k->sub->state == MUX_SUB_IDLE)
		return;
	struct mux_event document = {MUX_DOCUMENT, k->sub, e->data};
	*ev = document;
	if (news) {
		k->sub->state = MUX_SUB_OPEN;
		*ev = (struct mux_event){.type = MUX_OPENED, .sub = k->sub};
		m->late = document;
	}
}

static void on_error(struct mux *m, struct envelope_reader *r, const struct envelope *e,
        uint64_t now_ns, struct mux_event *ev)
{
	m->answered_ns = now_ns; /* whoever it was for: the backend goes on to the next one */
	struct mux_key *k = refused(m, e);
	if (!k)
		return;
	if (k->sub && k->sub->state == MUX_SUB_OPEN)
		dequeue(m,
		        k); /* or it would end with the others of its cluster, and without words */
	if (!list_empty(&k->sent))
		answered(m, k, false, now_ns);
	else
		turn_cold(m, k->path->cluster, false);
	if (!k->sub) {
		mux_key_drop(m, k);
		return;
	}
	if (k->sub->state == MUX_SUB_IDLE) /* its end is known already */
		return;
	if (k->requests > 1 || !e->user.n) /* another one may be under way that succeeds */
		enqueue_close(m, k);
	*ev = (struct mux_event){MUX_FAILED, detach(m, k), envelope_error(r, e)};
}

err_t mux_on_message(struct mux *m, struct envelope_reader *r, struct span message, uint64_t now_ns,
        struct mux_event *ev, struct errmsg *msg)
{
	struct envelope e;
	*ev = (struct mux_event){.type = MUX_NOTHING};
	CHECK(m->late.type == MUX_NOTHING);
	err_t err = envelope_read(r, message, &e, msg);
	if (err)
		return err;
	switch (e.type) {
	case ENVELOPE_DATA: on_data(m, &e, now_ns, ev); break;
	case ENVELOPE_STATUS: on_status(m, r, &e, now_ns, ev); break;
	case ENVELOPE_ERROR: on_error(m, r, &e, now_ns, ev); break;
	case ENVELOPE_COMPLETE: /* says nothing that DATA does not */
	case ENVELOPE_OTHER: break;
	}
	if (ev->type == MUX_NOTHING)
		(void)mux_next_event(m, ev);
	return ERR_OK;
}

bool mux_next_event(struct mux *m, struct mux_event *ev)
{
	*ev = m->late;
	m->late = (struct mux_event){.type = MUX_NOTHING};
	if (ev->type != MUX_NOTHING)
		return true;
	if (list_empty(&m->ended))
		return false;
	*ev = (struct mux_event){MUX_ENDED, detach(m, KEY(m->ended.next, told)), SPAN_NONE};
	return true;
}

/* --- The socket ----------------------------------------------------------------------------- */

void mux_on_open(struct mux *m, uint64_t now_ns)
{
	CHECK(!m->open);
	m->open = true;
	m->answered_ns = now_ns;
}

static void lose_key(struct mux *m, struct mux_node *n)
{
	struct mux_key *k = CONTAINER_OF(n, struct mux_key, node);
	list_unlink(&k->sent);
	list_unlink(&k->asked);
	if (k->sub && k->sub->state == MUX_SUB_QUEUED)
		return;
	dequeue(m, k);
	if (k->sub && k->sub->state != MUX_SUB_IDLE)
		detach(m, k);
	else
		mux_key_drop(m, k);
}

static void lose_path(struct mux *m, struct mux_node *n)
{
	struct mux_path *p = CONTAINER_OF(n, struct mux_path, node);
	(void)m;
	p->close_seq = p->asserted_seq = 0;
	p->closes = 0;
}

static void lose_cluster(struct mux *m, struct mux_node *n)
{
	struct mux_cluster *c = CONTAINER_OF(n, struct mux_cluster, node);
	c->answered = c->doubted = false;
	c->probe = NULL;
	place(m, c);
}

void mux_on_lost(struct mux *m)
{
	m->open = false;
	m->probe = NULL;
	m->late = (struct mux_event){.type = MUX_NOTHING};
	mux_table_each(&m->keys, m, lose_key);
	mux_table_each(&m->paths, m, lose_path);
	mux_table_each(&m->clusters, m, lose_cluster);
}

/* When the oldest REQUEST is overdue. */
static uint64_t overdue_at(const struct mux *m)
{
	if (list_empty(&m->sent))
		return UINT64_MAX;
	uint64_t asked = KEY(m->sent.next, sent)->asked_ns;
	uint64_t silent = (asked > m->answered_ns ? asked : m->answered_ns) + answer_ns;
	return silent < asked + late_ns ? silent : asked + late_ns;
}

uint64_t mux_deadline(const struct mux *m)
{
	const struct mux_key *k = m->open ? next_request(m) : NULL;
	uint64_t at = overdue_at(m);
	return is_assertion(k) && k->due_ns < at ? k->due_ns : at;
}

unsigned mux_overdue(const struct mux *m, uint64_t now_ns)
{
	if (now_ns < overdue_at(m))
		return 0;
	return now_ns < m->answered_ns + answer_ns ? MUX_LATE_S : MUX_ANSWER_S;
}

struct span mux_blocked_by(const struct mux *m)
{
	if (list_empty(&m->sent))
		return SPAN_NONE;
	const struct mux_cluster *c = KEY(m->sent.next, sent)->path->cluster;
	return (struct span){c->name, c->name_bytes};
}
