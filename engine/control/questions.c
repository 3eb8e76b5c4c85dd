#include "control/questions.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/settings.h"
#include "control/core.h"
#include "include/kubering.h"
#include "kube/discovery.h"

static void on_deadline(struct loop_timer *t);

static struct question *ask(
        struct control *c, struct consumer *k, uint32_t request, enum question_kind kind)
{
	if (k && k->question_count >= CONSUMER_QUESTIONS_MAX) {
		consumer_fail(k, request, KR_ERR_LIMIT, ERR_LIMIT,
		        "too many questions at one time: wait for the answers");
		return NULL;
	}
	struct question *q = calloc(1, sizeof *q);
	if (!q) {
		if (k)
			consumer_fail(k, request, KR_ERR_MEMORY, ERR_NO_MEMORY,
			        "the daemon is out of memory");
		return NULL;
	}
	q->id = ++c->next_question;
	q->request = request;
	q->kind = kind;
	q->consumer = k;
	q->control = c;
	q->since_ns = loop_now_ns(c->loop);
	if (k) {
		k->question_count++;
		k->status_count += kind == QUESTION_STATUS;
		k->user->statuses += kind == QUESTION_STATUS;
	}
	list_init(&q->waiting);
	list_init(&q->about);
	loop_timer_init(&q->deadline, on_deadline);
	list_push(&c->questions, &q->link);
	return q;
}

static void forget(struct question *q)
{
	loop_timer_set(q->control->loop, &q->deadline, UINT64_MAX);
	list_unlink(&q->link);
	list_unlink(&q->waiting);
	list_unlink(&q->about);
	if (q->consumer) {
		q->consumer->question_count--;
		q->consumer->status_count -= q->kind == QUESTION_STATUS;
		q->consumer->user->statuses -= q->kind == QUESTION_STATUS;
	}
	for (uint32_t i = 0; q->status && i < q->control->config.reactor_count; i++)
		free(q->status[i]);
	free(q->status);
	free(q->failed_text);
	free(q->name);
	free(q);
}

void control_drop_questions(struct control *c, struct consumer *k)
{
	LIST_EACH_SAFE (it, &c->questions) {
		struct question *q = CONTAINER_OF(it, struct question, link);
		if (q->consumer == k)
			forget(q);
	}
}

void questions_fini(struct control *c)
{
	for (struct list *it; (it = c->questions.next) != &c->questions;)
		forget(CONTAINER_OF(it, struct question, link));
}

void questions_end_cluster(struct known_cluster *k, const char *why)
{
	k->discovering = false;
	/* One at a time: to answer one may cut its consumer off, and others with it. */
	for (struct list *it; (it = list_pop(&k->questions));) {
		struct question *q = CONTAINER_OF(it, struct question, about);
		struct consumer *asker = q->consumer;
		uint32_t request = q->request;
		forget(q);
		if (asker)
			consumer_fail(
			        asker, request, KR_ERR_UNKNOWN_CLUSTER, ERR_UNKNOWN_CLUSTER, why);
	}
}

/* A resource that it does not have keeps its pause: an answer is no news of that. */
void questions_on_answers(struct known_cluster *k)
{
	LIST_EACH (it, &k->questions) {
		struct question *q = CONTAINER_OF(it, struct question, about);
		if (q->kind != QUESTION_PIN || !list_empty(&q->waiting) || !q->failed ||
		        q->failed == ERR_UNKNOWN_RESOURCE)
			continue;
		q->tries = 0;
		loop_timer_set(q->control->loop, &q->deadline, loop_now_ns(q->control->loop));
	}
}

void questions_repin(
        struct control *c, const struct settings_list *(*entry_of)(
                                   const struct control *c, const struct settings_list *old))
{
	LIST_EACH_SAFE (it, &c->questions) {
		struct question *q = CONTAINER_OF(it, struct question, link);
		if (q->kind != QUESTION_PIN)
			continue;
		q->pin = entry_of(c, q->pin);
		if (!q->pin)
			forget(q);
	}
}

static int document(const struct report *doc)
{
	int fd = memfd_create("kubering-document", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;
	while (fd >= 0 && done < doc->n) {
		ssize_t n = write(fd, doc->p + done, doc->n - done);
		if (n <= 0) {
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fd >= 0)
		(void)!fcntl(
		        fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	return fd;
}

void questions_answer(struct control *c, struct consumer *k, uint32_t request, struct report *doc)
{
	(void)c;
	int fd = doc->failed ? -1 : document(doc);
	struct attach_document d = {
	        .head = {.type = ATTACH_DOCUMENT, .id = request, .bytes = sizeof d},
	        .bytes = doc->n};
	if (fd >= 0)
		consumer_send(k, &d.head, fd);
	else
		consumer_fail(k, request, KR_ERR_MEMORY, ERR_NO_MEMORY,
		        "the daemon cannot make the answer");
	report_fini(doc);
}

/* --- status ------------------------------------------------------------------------------ */

static void finish_status(struct question *q)
{
	struct report doc = {0};
	struct consumer *k = q->consumer;
	uint32_t request = q->request;
	struct control *c = q->control;
	status_write(c, q->status, &doc);
	forget(q);
	k->status_sent++;
	k->user->statuses++;
	questions_answer(c, k, request, &doc);
}

void questions_status(struct control *c, struct consumer *k, uint32_t request)
{
	if (!consumer_takes_status(k)) {
		consumer_fail(k, request, KR_ERR_LIMIT, ERR_LIMIT,
		        "too many questions at one time: read the answers first");
		return;
	}
	struct question *q = ask(c, k, request, QUESTION_STATUS);
	if (!q)
		return;
	q->status = calloc(c->config.reactor_count, sizeof(struct reactor_status *));
	for (uint32_t i = 0; q->status && i < c->config.reactor_count; i++) {
		struct reactor_msg *m = reactor_msg_new(REACTOR_STATUS);
		if (!m)
			continue;
		m->id = q->id;
		q->answers_due++;
		control_post(c, i, m);
	}
	/* A reactor that does not answer within a second is told about as such: that is status too.
	 */
	loop_timer_set(c->loop, &q->deadline, loop_now_ns(c->loop) + QUESTION_STATUS_NS);
}

/* That a reactor answers. NULL: whoever asked has left. */
static struct question *question_of(const struct control *c, uint32_t id, enum question_kind kind)
{
	LIST_EACH (it, &c->questions) {
		struct question *q = CONTAINER_OF(it, struct question, link);
		if (q->id == id && q->kind == kind)
			return q;
	}
	return NULL;
}

void questions_on_status(struct control *c, struct reactor_note *n)
{
	struct question *q = question_of(c, n->id, QUESTION_STATUS);
	if (!q || !q->status)
		return;
	free(q->status[n->reactor]);
	q->status[n->reactor] = n->status;
	n->status = NULL;
	if (--q->answers_due == 0)
		finish_status(q);
}

/* --- resolve ----------------------------------------------------------------------------- */

static void write_resource(
        struct report *t, const struct discovery_resource *r, const char *context_namespace)
{
	report_open(t, NULL, '{');
	report_cstr(t, "group", r->group);
	report_cstr(t, "version", r->version);
	report_cstr(t, "resource", r->resource);
	report_cstr(t, "singular", r->singular);
	report_cstr(t, "kind", r->kind);
	report_bool(t, "namespaced", r->namespaced);
	report_bool(t, "watch", r->can_list && r->can_watch);
	report_open(t, "short_names", '[');
	for (size_t i = 0; i < DISCOVERY_SHORT_NAMES_MAX && r->short_names[i]; i++)
		report_cstr(t, NULL, r->short_names[i]);
	report_close(t, ']');
	report_cstr(t, "context_namespace", context_namespace);
	report_close(t, '}');
}

static void answer_resolve(struct question *q, const struct discovery_resource *r)
{
	if (q->kind == QUESTION_PIN) {
		pinned_open(q->control, q->cluster, q->pin, r);
		forget(q);
		return;
	}
	struct report doc = {0};
	struct consumer *k = q->consumer;
	struct control *c = q->control;
	uint32_t request = q->request;
	const char *context_namespace = q->cluster->conf.namespace_;
	write_resource(&doc, r, context_namespace ? context_namespace : "default");
	forget(q);
	questions_answer(c, k, request, &doc);
}

/* When a cluster is reached or logged in to again, questions_on_answers() hears of it. One that
 * answers with errors while it starts, or does not answer, tells nobody when that is over. */
static uint8_t most_doublings(const struct question *q)
{
	bool told = q->cluster->down || q->cluster->login_failed;
	return told || q->failed == ERR_UNKNOWN_RESOURCE ? QUESTION_PIN_DOUBLINGS
	                                                 : QUESTION_PIN_DOUBLINGS_UNTOLD;
}

static void fail_resolve(struct question *q, int32_t code, err_t err, const char *text)
{
	if (q->kind == QUESTION_PIN) {
		/* A cluster that is down shows by its state; this shows in status only. */
		if (err == ERR_UNKNOWN_RESOURCE && !q->tries) {
			char more[320];
			snprintf(more, sizeof more,
			        "a list of the configuration cannot be opened, it is tried again: "
			        "%s",
			        text);
			cluster_log_other(q->control, more);
		}
		q->failed = err;
		free(q->failed_text);
		q->failed_text = strdup(text);
		list_unlink(&q->waiting);
		uint8_t most = most_doublings(q), doublings = q->tries < most ? q->tries : most;
		loop_timer_set(q->control->loop, &q->deadline,
		        loop_now_ns(q->control->loop) +
		                ((uint64_t)QUESTION_PIN_AGAIN_S << doublings) * 1000000000ull);
		if (q->tries < QUESTION_PIN_DOUBLINGS)
			q->tries++;
		return;
	}
	struct consumer *k = q->consumer;
	uint32_t request = q->request;
	forget(q);
	consumer_fail(k, request, code, err, text);
}

static void unknown(struct question *q, const struct known_cluster *k)
{
	char text[256];
	bool all = !k->discovery_lacks[0];
	snprintf(text, sizeof text, "cluster \"%s\" has no resource \"%s\"%s%s", k->name, q->name,
	        all ? "; kubectl api-resources lists what it has"
	            : " in what it tells; it has no answer to ",
	        k->discovery_lacks);
	fail_resolve(q, all ? KR_ERR_UNKNOWN_RESOURCE : KR_ERR_DAEMON, ERR_UNKNOWN_RESOURCE, text);
}

static bool fetch(struct control *c, const struct known_cluster *k, const char *path)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_FETCH);
	if (!m)
		return false;
	m->cluster = k->id;
	m->id = clusters_question(k);
	m->fetch.accept = strdup(DISCOVERY_ACCEPT);
	if (asprintf(&m->fetch.target, "%s%s", k->conf.server.path, path) < 0)
		m->fetch.target = NULL;
	if (!m->fetch.target || !m->fetch.accept) {
		reactor_msg_free(&m);
		return false;
	}
	control_post(c, k->reactor, m);
	return true;
}

static void discovery_done(struct control *c, struct known_cluster *k, err_t err, const char *text)
{
	struct list waiting;
	list_init(&waiting);
	k->discovering = false;
	k->discovery_failed.code = err;
	snprintf(k->discovery_failed.text, sizeof k->discovery_failed.text, "%s", text ? text : "");
	if (!err) { /* until it is whole, and while the cluster is down, what was known before still
		       holds */
		discovery_free(&k->discovery);
		k->discovery = k->discovery_next;
		k->discovery_next = NULL;
		discovery_share(&c->clusters.discoveries, &k->discovery);
		k->discovered_ns = loop_now_ns(c->loop);
	}
	cluster_log_discovery(c, k, err, text);
	discovery_free(&k->discovery_next);
	for (struct list *it; (it = list_pop(&k->discovery_waiters));)
		list_push(&waiting, it);
	for (struct list *it; (it = list_pop(&waiting));) {
		struct question *q = CONTAINER_OF(it, struct question, waiting);
		const struct discovery_resource *r =
		        k->discovery ? discovery_resolve(k->discovery, span_of(q->name)) : NULL;
		if (r)
			answer_resolve(q, r);
		else if (err)
			fail_resolve(q, KR_ERR_DAEMON, err, text);
		else
			unknown(q, k);
	}
}

static void discover(struct control *c, struct known_cluster *k)
{
	discovery_free(&k->discovery_next); /* of one whose answer was lost */
	k->discovery_next = discovery_new();
	k->discovery_step = 0;
	k->discovery_asks = NULL;
	k->discovery_lacks[0] = 0;
	k->discovering = true;
	k->discover_again_ns = loop_now_ns(c->loop) + DISCOVERY_LOST_S * 1000000000ull;
	if (!k->discovery_next || !fetch(c, k, "/api"))
		discovery_done(c, k, ERR_NO_MEMORY, "out of memory");
}

void questions_moved(struct control *c, struct known_cluster *k)
{
	if (!k->discovering)
		return;
	discovery_free(&k->discovery_next);
	k->discovering = false;
	if (!list_empty(&k->discovery_waiters))
		discover(c, k);
}

/* Takes what was fetched. An API server that stands by itself has no core group, and no /api: half
 * of an API is one. */
static err_t take_answer(
        struct known_cluster *k, const struct reactor_note *n, char *text, size_t size)
{
	bool half_is_there = k->discovery_step == 0 || !discovery_is_empty(k->discovery_next);
	err_t err = n->err;
	if (err) {
		snprintf(text, size, "cluster \"%s\": %s", k->name, n->text);
	} else if (n->http_status != 200) {
		err = n->http_status == 404 && half_is_there ? ERR_OK : ERR_HTTP_STATUS;
		snprintf(text, size, "cluster \"%s\" answered %d to discovery%s", k->name,
		        n->http_status,
		        n->http_status == 401 ? ": log in again, or fix the user in the kubeconfig"
		                              : "");
	} else {
		err = discovery_add(k->discovery_next, (struct span){n->body, n->body_bytes});
		snprintf(
		        text, size, "cluster \"%s\": discovery answer: %s", k->name, err_text(err));
	}
	return err;
}

/* One group that is broken, or hangs (an aggregated server that is down), must not hide the others.
 * A cluster that is not reached any more says nothing of its groups. */
static bool is_of_one_group(const struct known_cluster *k, err_t err)
{
	enum err_class class = err_class_of(err);
	return k->discovery_asks && strncmp(k->discovery_asks, "/apis/", 6) == 0 && !k->down &&
	       (class == ERR_CLASS_RETRY || class == ERR_CLASS_PEER);
}

/* Whoever waits for what is known by now has it, and does not wait for a group that hangs: the
 * groups come in the order in which they are preferred. */
static void answer_early(struct known_cluster *k)
{
	struct list waiting;
	list_init(&waiting);
	list_move_all(&waiting, &k->discovery_waiters);
	for (struct list *it; (it = list_pop(&waiting));) {
		struct question *q = CONTAINER_OF(it, struct question, waiting);
		const struct discovery_resource *r =
		        discovery_resolve(k->discovery_next, span_of(q->name));
		if (r)
			answer_resolve(q, r);
		else
			list_push(&k->discovery_waiters, &q->waiting);
	}
}

void questions_on_fetched(struct control *c, struct reactor_note *n)
{
	struct known_cluster *k = clusters_asked(c, n->id);
	char text[384];
	if (!k->discovering)
		return;
	err_t err = take_answer(k, n, text, sizeof text);
	if (err && !is_of_one_group(k, err)) {
		discovery_done(c, k, err, text);
		return;
	}
	if (err)
		snprintf(k->discovery_lacks, sizeof k->discovery_lacks, "%s", k->discovery_asks);
	else if (k->discovery_asks)
		answer_early(k);
	k->discover_again_ns = loop_now_ns(c->loop) + DISCOVERY_LOST_S * 1000000000ull;
	if (++k->discovery_step > 1)
		k->discovery_asks = discovery_missing(k->discovery_next);
	if (k->discovery_step > 1 && !k->discovery_asks)
		discovery_done(c, k, ERR_OK, NULL);
	else if (!fetch(c, k, k->discovery_asks ? k->discovery_asks : "/apis"))
		discovery_done(c, k, ERR_NO_MEMORY, "out of memory");
}

/* Answers from what discovery said before, or waits for it. */
static void look_up(struct question *q)
{
	struct control *c = q->control;
	struct known_cluster *k = q->cluster;
	uint64_t now = loop_now_ns(c->loop), age = now - k->discovered_ns;
	bool have = k->discovery && !k->discovering;
	const struct discovery_resource *r =
	        have ? discovery_resolve(k->discovery, span_of(q->name)) : NULL;
	if (r && age < DISCOVERY_FRESH_S * 1000000000ull) {
		answer_resolve(q, r);
		return;
	}
	if (have && !r && age < DISCOVERY_RETRY_S * 1000000000ull) {
		unknown(q, k);
		return;
	}
	list_push(&k->discovery_waiters, &q->waiting);
	loop_timer_set(c->loop, &q->deadline, now + QUESTION_RESOLVE_S * 1000000000ull);
	/* Each step is answered within 30 s; where a message was lost for want of memory, it is
	 * asked again. */
	if (!k->discovering || now >= k->discover_again_ns)
		discover(c, k);
}

void questions_resolve(struct control *c, struct consumer *consumer, uint32_t request,
        const char *cluster, const char *name)
{
	struct errmsg m = {0};
	struct known_cluster *k = clusters_require(c, cluster, &m);
	if (!k) {
		consumer_fail(consumer, request, KR_ERR_UNKNOWN_CLUSTER, m.code, m.text);
		return;
	}
	if (clusters_place(c, k, &m)) {
		consumer_fail(consumer, request, KR_ERR_DAEMON, m.code, m.text);
		return;
	}
	struct question *q = ask(c, consumer, request, QUESTION_RESOLVE);
	if (!q)
		return;
	q->cluster = k;
	list_push(&k->questions, &q->about);
	q->name = strdup(name);
	if (q->name)
		look_up(q);
	else
		fail_resolve(q, KR_ERR_MEMORY, ERR_NO_MEMORY, "the daemon is out of memory");
}

char *questions_name_of(const struct settings_resource *r)
{
	char *name = NULL;
	int n = asprintf(&name, "%s%s%s%s%s", r->resource, r->version[0] ? "." : "", r->version,
	        r->group[0] ? "." : "", r->group);
	return n < 0 ? NULL : name;
}

void questions_doubt(struct control *c, struct known_cluster *k)
{
	k->discovered_ns = loop_now_ns(c->loop) - DISCOVERY_FRESH_S * 1000000000ull;
}

void questions_pin(struct control *c, struct known_cluster *k, const struct settings_list *l)
{
	LIST_EACH (it, &k->questions) {
		const struct question *q = CONTAINER_OF(it, struct question, about);
		if (q->kind == QUESTION_PIN && q->pin == l)
			return;
	}
	char *name = questions_name_of(&l->resource);
	struct question *q = name ? ask(c, NULL, 0, QUESTION_PIN) : NULL;
	if (!q) {
		free(name);
		k->fresh = true;
		return;
	}
	q->cluster = k;
	list_push(&k->questions, &q->about);
	q->pin = l;
	q->name = name;
	look_up(q);
}

/* --- audit ------------------------------------------------------------------------------- */

/* NULL: there is no such list open. */
static struct open_list *list_of(const struct control *c, const char *cluster, const char *id)
{
	char *end;
	unsigned long at = strtoul(id, &end, 10);
	struct open_list *l = id[0] >= '0' && id[0] <= '9' && !*end && at < c->lists.count
	                              ? c->lists.rows[at]
	                              : NULL;
	bool is_it =
	        l && l->phase == LIST_OPEN && !l->ended && strcmp(l->cluster->name, cluster) == 0;
	return is_it ? l : NULL;
}

void questions_audit(struct control *c, struct consumer *k, uint32_t request, const char *cluster,
        const char *list)
{
	struct open_list *l = list_of(c, cluster, list);
	if (!user_is_ours(k->uid)) {
		consumer_fail(k, request, KR_ERR_DENIED, ERR_DENIED,
		        "an audit costs the API server a LIST: be kuberingd's user or root");
		return;
	}
	if (!l) {
		consumer_fail(k, request, KR_ERR_NOT_FOUND, ERR_ARGUMENT,
		        "there is no such list open any more");
		return;
	}
	struct reactor_msg *m = reactor_msg_new(REACTOR_AUDIT);
	struct question *q = m ? ask(c, k, request, QUESTION_AUDIT) : NULL;
	if (!m)
		consumer_fail(
		        k, request, KR_ERR_MEMORY, ERR_NO_MEMORY, "the daemon is out of memory");
	if (!q) {
		reactor_msg_free(&m);
		return;
	}
	q->cluster = l->cluster;
	list_push(&l->cluster->questions, &q->about);
	loop_timer_set(
	        c->loop, &q->deadline, loop_now_ns(c->loop) + QUESTION_AUDIT_S * 1000000000ull);
	m->id = q->id;
	m->list = l->id;
	control_post(c, l->cluster->reactor, m);
}

void questions_on_audited(struct control *c, const struct reactor_note *n)
{
	struct question *q = question_of(c, n->id, QUESTION_AUDIT);
	struct report doc = {0};
	if (!q)
		return;
	struct consumer *k = q->consumer;
	uint32_t request = q->request;
	forget(q);
	if (n->err) {
		consumer_fail(k, request, KR_ERR_DAEMON, n->err, err_text(n->err));
		return;
	}
	report_open(&doc, NULL, '{');
	report_cstr(&doc, "verdict", audits_word(n->verdict));
	report_cstr(&doc, "text", n->text);
	report_close(&doc, '}');
	questions_answer(c, k, request, &doc);
}

/* Its reactor may have had no memory for the cluster. */
static void pin_again(struct question *q)
{
	struct errmsg m = {0};
	if (clusters_place(q->control, q->cluster, &m))
		fail_resolve(q, KR_ERR_DAEMON, m.code, m.text);
	else
		look_up(q);
}

static void on_deadline(struct loop_timer *t)
{
	struct question *q = CONTAINER_OF(t, struct question, deadline);
	if (q->kind == QUESTION_STATUS)
		finish_status(q);
	else if (q->kind == QUESTION_PIN && list_empty(&q->waiting))
		pin_again(q);
	else if (q->kind == QUESTION_AUDIT)
		fail_resolve(q, KR_TIMEOUT, ERR_CONN_TIMEOUT, "the audit is not over");
	else
		fail_resolve(q, KR_TIMEOUT, ERR_CONN_TIMEOUT,
		        "the cluster did not answer discovery within 30 s");
}
