#include "reactor/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/version.h"
#include "kube/audit.h"
#include "reactor/core.h"
#include "reactor/feed_body.h"
#include "reactor/feed_left.h"
#include "store/key.h"

enum list_audit_step {
	STEP_IDLE,   /* the timer, if set: when it is due */
	STEP_QUEUED, /* for its turn; the timer, if set: when that comes */
	STEP_ASKING, /* these three: it is its cluster's. Timer: no byte for too long */
	STEP_WAIT,   /* timer: judge again */
	STEP_LOOK,   /* timer: look again */
};

/* Owner: its feed. Life: audit_plan or audit_ask, to the feed's end, or to the answer where the
 * cluster is not audited by itself. */
struct list_audit {
	struct wheel_timer timer;
	struct list link; /* in the cluster's audits, while it is queued */
	struct feed *feed;
	enum list_audit_step step;
	struct audit audit;
	struct store_mark mark;
	struct cluster_waiter waiter;
	struct conn *conn;          /* borrow(until on_lost or our close); NULL: none */
	struct json_list *splitter; /* own, while a look is under way */
	bool whole;                 /* the page ended */
	uint64_t begun_ns, byte_ns; /* of the look */
	struct list asked;          /* struct reactor_note, own: answers */
};

static struct reactor *reactor_of(const struct list_audit *a)
{
	return a->feed->cluster->reactor;
}

static void set_timer(struct list_audit *a, uint64_t at_ns)
{
	wheel_set(&reactor_of(a)->wheel, &a->timer, at_ns);
}

static void set_timer_s(struct list_audit *a, uint64_t seconds)
{
	set_timer(a, reactor_of(a)->now_ns + seconds * KUBE_S);
}

/* --- the end of one --------------------------------------------------------------------------- */

static void drop_conn(struct list_audit *a)
{
	struct conn *c = a->conn;
	a->conn = NULL;
	cluster_unwait(&a->waiter);
	if (c)
		conn_close(c);
}

static void tell(struct list_audit *a, struct reactor_note *n, enum audit_next verdict)
{
	n->list = a->feed->id;
	n->cluster = a->feed->cluster->spec.cluster;
	n->verdict = verdict == AUDIT_EQUAL       ? REACTOR_AUDIT_EQUAL
	             : verdict == AUDIT_DIFFERENT ? REACTOR_AUDIT_DIFFERENT
	                                          : REACTOR_AUDIT_NO_VERDICT;
	snprintf(n->text, sizeof n->text, "%s", a->audit.text);
	core_note(reactor_of(a), n);
}

/* Once to be counted, and once to each who asked. */
static void tell_all(struct list_audit *a, enum audit_next verdict)
{
	struct reactor_note *n = core_note_new(reactor_of(a), REACTOR_AUDITED, 0);
	if (n)
		tell(a, n, verdict);
	for (struct list *it; (it = list_pop(&a->asked));)
		tell(a, CONTAINER_OF(it, struct reactor_note, link), verdict);
}

static void set_due(struct list_audit *a)
{
	struct cluster *c = a->feed->cluster;
	uint64_t period = c->spec.audit_s * KUBE_S; /* half of it to one and a half */
	a->step = STEP_IDLE;
	set_timer(a, period ? reactor_of(a)->now_ns + period / 2 + prng_below(&c->rng, period)
	                    : UINT64_MAX);
}

/* The next one's turn. By its timer: this may be deep in a callback of another one. */
static void pass_on(struct cluster *c)
{
	struct list *it = c->audits.next;
	c->auditing = NULL;
	if (it == &c->audits)
		return;
	struct list_audit *next = CONTAINER_OF(it, struct list_audit, link);
	list_unlink(it);
	c->auditing = next;
	set_timer_s(next, AUDIT_PACE_S);
}

static void audit_free(struct list_audit *a)
{
	struct feed *f = a->feed;
	set_timer(a, UINT64_MAX);
	audit_end(&a->audit);
	json_list_free(&a->splitter);
	f->audit = NULL;
	free(a);
}

/* a may be gone afterwards. */
static void finish(struct list_audit *a, enum audit_next verdict)
{
	struct feed *f = a->feed;
	struct cluster *c = f->cluster;
	char text[WATCH_TEXT_BYTES];
	snprintf(text, sizeof text, "%s", a->audit.text);
	drop_conn(a);
	tell_all(a, verdict);
	audit_end(&a->audit);
	json_list_free(&a->splitter);
	pass_on(c);
	if (c->spec.audit_s)
		set_due(a);
	else
		audit_free(a);
	if (verdict != AUDIT_DIFFERENT)
		return;
	struct watch_out out;
	c->reactor->errors++;
	watch_on_refused(&f->watch, ERR_KUBE_AUDIT, text, c->reactor->now_ns, &out);
	feed_run(f, &out);
}

static void give_up(struct list_audit *a, const char *why)
{
	finish(a, audit_give_up(&a->audit, why));
}

/* --- looking ---------------------------------------------------------------------------------- */

static struct audit_view view_of(const struct feed *f)
{
	const struct watch *w = &f->watch;
	return (struct audit_view){.rv = store_list_rv(f->list),
	        .digest = store_list_digest(f->list),
	        .live = w->whole && !w->relist && watch_list_state(w) == WATCH_LIST_LIVE,
	        .complete = w->after_bookmark};
}

static void look(struct list_audit *a)
{
	struct reactor *r = reactor_of(a);
	if (!feed_left_no_deep(a->feed)) {
		/* Their metadata need not be deep: the answer would have them. */
		give_up(a, "it has left out objects that are nested too deep");
		return;
	}
	struct audit_view now = view_of(a->feed);
	enum audit_next next = audit_look(&a->audit, &now);
	if (next == AUDIT_ASK && !a->splitter)
		a->splitter = json_list_new(r->config.event_bytes_max);
	if (next != AUDIT_ASK || !a->splitter) {
		finish(a, next != AUDIT_ASK ? next
		                            : audit_give_up(&a->audit, err_text(ERR_NO_MEMORY)));
		return;
	}
	a->step = STEP_ASKING;
	a->mark = store_list_mark(a->feed->list);
	a->begun_ns = a->byte_ns = r->now_ns;
	set_timer_s(a, AUDIT_SILENT_S);
	cluster_wait(a->feed->cluster, &a->waiter); /* it may be over now */
}

static void judge(struct list_audit *a)
{
	const struct store_list *l = a->feed->list;
	struct audit_view now = view_of(a->feed);
	now.retaken = store_list_mark(l).relists != a->mark.relists;
	now.known = store_list_digest_at(
	        l, version_number(span_of(a->audit.rv)), a->mark, &now.digest_then);
	enum audit_next next = audit_judge(&a->audit, &now);
	drop_conn(a);
	if (next != AUDIT_WAIT && next != AUDIT_LOOK_AGAIN) {
		finish(a, next);
		return;
	}
	a->step = next == AUDIT_WAIT ? STEP_WAIT : STEP_LOOK;
	set_timer_s(a, AUDIT_AGAIN_S);
}

static void ask(struct list_audit *a)
{
	struct reactor *r = reactor_of(a);
	struct errmsg m = {0};
	const char *accept;
	size_t n = audit_target(&a->audit, r->target, CORE_TARGET_BYTES, &accept);
	err_t err = n ? ERR_OK : errmsg_set(&m, ERR_LIMIT, "the request is too long");
	if (!err)
		err = conn_request(a->conn, (struct span){r->target, n}, span_of(accept),
		        a->feed->cluster->spec.gzip, &m);
	if (err)
		give_up(a, m.text);
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_ready(void *arg, struct conn *c)
{
	(void)c;
	ask(arg);
}

static void on_head(void *arg, struct conn *c, const struct http1_head *h)
{
	struct list_audit *a = arg;
	(void)c;
	enum audit_next next = audit_on_head(&a->audit, h->status);
	a->byte_ns = reactor_of(a)->now_ns;
	a->whole = false;
	json_list_reset(a->splitter);
	if (next != AUDIT_ASK)
		finish(a, next);
}

/* What follows from an object is its hash; the object itself is gone when this returns. */
static err_t on_item(struct list_audit *a, struct span item)
{
	struct json_object o;
	struct key k;
	err_t err = json_scan_object(reactor_of(a)->parser, item, false, NULL, &o);
	if (err == ERR_JSON_NAME)
		return ERR_OK; /* the list has left it out too */
	if (!err)
		err = key_init(&k, 0, 0, &o);
	if (!err)
		audit_on_item(&a->audit, k.object_hash);
	return err;
}

static void on_body(void *arg, struct conn *c, struct span data)
{
	struct list_audit *a = arg;
	err_t err = ERR_OK;
	(void)c;
	a->byte_ns = reactor_of(a)->now_ns;
	while (!err) {
		struct span item;
		switch (json_list_feed(a->splitter, &data, &item)) {
		case JSON_LIST_MORE: return;
		case JSON_LIST_END: a->whole = true; return;
		case JSON_LIST_ERROR: err = json_list_err(a->splitter); break;
		case JSON_LIST_ITEM: err = on_item(a, item); break;
		}
	}
	give_up(a, err_text(err));
}

static void on_body_end(void *arg, struct conn *c, bool reusable)
{
	struct list_audit *a = arg;
	struct json_list_meta meta;
	if (!reusable) {
		a->conn = NULL;
		conn_close(c);
	}
	if (!a->whole) {
		give_up(a, "the answer ended before its JSON did");
		return;
	}
	json_list_meta(a->splitter, &meta);
	enum audit_next next = audit_on_page(&a->audit, &meta);
	if (next == AUDIT_WAIT)
		judge(a);
	else if (next != AUDIT_ASK)
		finish(a, next);
	else if (reusable)
		ask(a);
	else
		cluster_wait(a->feed->cluster, &a->waiter);
}

static void on_lost(void *arg, struct conn *c, err_t err, const char *text)
{
	struct list_audit *a = arg;
	(void)c;
	(void)err;
	a->conn = NULL;
	give_up(a, text);
}

static const struct conn_user audit_user = {on_ready, on_head, on_body, on_body_end, on_lost, NULL};

static void granted(struct cluster_waiter *w)
{
	struct list_audit *a = CONTAINER_OF(w, struct list_audit, waiter);
	err_t err = ERR_OK;
	a->conn = conn_open(a->feed->cluster, &audit_user, a, &err);
	if (!a->conn)
		give_up(a, cluster_on_no_socket(a->feed->cluster, err, reactor_of(a)->now_ns));
}

static void refused(struct cluster_waiter *w, err_t err, const char *text)
{
	(void)err;
	give_up(CONTAINER_OF(w, struct list_audit, waiter), text);
}

/* --- when ------------------------------------------------------------------------------------- */

static struct list_audit *audit_of(struct feed *f)
{
	struct list_audit *a = f->audit ? f->audit : calloc(1, sizeof *a);
	if (!a || f->audit)
		return a;
	a->feed = f;
	wheel_timer_init(&a->timer, CORE_TIMER_AUDIT);
	list_init(&a->link);
	list_init(&a->asked);
	list_init(&a->waiter.link);
	a->waiter.granted = granted;
	a->waiter.refused = refused;
	f->audit = a;
	return a;
}

void audit_plan(struct feed *f)
{
	bool wanted = f->cluster->spec.audit_s;
	struct list_audit *a = wanted ? audit_of(f) : f->audit;
	if (!a || a->step != STEP_IDLE)
		return; /* what is under way ends first */
	if (wanted)
		set_due(a);
	else
		audit_free(a);
}

/* It is due. */
static void begin(struct list_audit *a)
{
	struct cluster *c = a->feed->cluster;
	a->step = STEP_QUEUED;
	set_timer(a, UINT64_MAX);
	if (c->auditing) {
		list_push(&c->audits, &a->link);
		return;
	}
	c->auditing = a;
	audit_begin(&a->audit, &a->feed->conf);
	look(a);
}

void audit_ask(struct feed *f, struct reactor_note *answer)
{
	struct list_audit *a = audit_of(f);
	if (!a) {
		answer->err = ERR_NO_MEMORY;
		core_note(f->cluster->reactor, answer);
		return;
	}
	list_push(&a->asked, &answer->link);
	if (a->step == STEP_IDLE)
		begin(a);
}

void audit_cancel(struct feed *f)
{
	struct list_audit *a = f->audit;
	if (!a)
		return;
	struct cluster *c = f->cluster;
	drop_conn(a);
	(void)audit_give_up(&a->audit, "the list was closed");
	for (struct list *it; (it = list_pop(&a->asked));)
		tell(a, CONTAINER_OF(it, struct reactor_note, link), AUDIT_NO_VERDICT);
	list_unlink(&a->link);
	if (c->auditing == a)
		pass_on(c);
	audit_free(a);
}

/* No byte for too long, or it drips. */
static void check_progress(struct list_audit *a)
{
	uint64_t silent_at = a->byte_ns + AUDIT_SILENT_S * KUBE_S;
	uint64_t end_at = a->begun_ns + AUDIT_LOOK_S * KUBE_S, now = reactor_of(a)->now_ns;
	if (now >= silent_at || now >= end_at)
		give_up(a, a->conn ? "no answer from the server in time" : "no connection in time");
	else
		set_timer(a, silent_at < end_at ? silent_at : end_at);
}

void audit_on_timer(struct wheel_timer *t)
{
	struct list_audit *a = CONTAINER_OF(t, struct list_audit, timer);
	switch (a->step) {
	case STEP_IDLE: begin(a); break;
	case STEP_QUEUED:
		audit_begin(&a->audit, &a->feed->conf);
		look(a);
		break;
	case STEP_ASKING: check_progress(a); break;
	case STEP_WAIT: judge(a); break;
	case STEP_LOOK: look(a); break;
	}
}
