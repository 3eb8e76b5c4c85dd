#include "reactor/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/core.h"

static void tell_control(struct fetch *f, err_t err, const char *text)
{
	struct reactor *r = f->cluster->reactor;
	struct reactor_note *n = core_note_new(r, REACTOR_FETCHED, f->id);
	if (!n)
		return; /* control's own deadline answers */
	n->cluster = f->cluster->spec.cluster;
	n->err = err;
	n->http_status = f->http_status;
	if (!err) {
		n->body = f->body;
		n->body_bytes = f->body_bytes;
		f->body = NULL;
	}
	snprintf(n->text, sizeof n->text, "%s", text ? text : "");
	core_note(r, n);
}

static void finish(struct fetch *f, err_t err, const char *text)
{
	struct conn *c = f->conn;
	f->conn = NULL;
	if (c)
		conn_close(c);
	cluster_unwait(&f->waiter);
	wheel_set(&f->cluster->reactor->wheel, &f->timer, UINT64_MAX);
	list_unlink(&f->link);
	f->done(f, err, text);
	free(f->body);
	free(f->target);
	free(f->accept);
	free(f);
}

static void on_ready(void *arg, struct conn *c)
{
	struct fetch *f = arg;
	struct errmsg m = {0};
	err_t err = conn_request(c, span_of(f->target), span_of(f->accept), false, &m);
	if (err)
		finish(f, err, m.text);
}

static void on_head(void *arg, struct conn *c, const struct http1_head *h)
{
	struct fetch *f = arg;
	f->http_status = h->status;
	f->body_bytes = 0;
	if (h->status != 401 || f->credential_tried)
		return;
	f->credential_tried = f->credential_wanted = true;
	f->conn = NULL;
	conn_close(c);
	cluster_want_credential(f->cluster);
}

static void on_body(void *arg, struct conn *c, struct span data)
{
	struct fetch *f = arg;
	(void)c;
	if (data.n > REACTOR_FETCH_BYTES_MAX - f->body_bytes) {
		finish(f, ERR_HTTP_LIMIT, "answer over 32 MiB");
		return;
	}
	if (f->body_bytes + data.n > f->body_cap) {
		size_t cap = f->body_cap ? f->body_cap : 16384;
		while (cap < f->body_bytes + data.n)
			cap *= 2;
		char *p = realloc(f->body, cap);
		if (!p) {
			finish(f, ERR_NO_MEMORY, NULL);
			return;
		}
		f->body = p;
		f->body_cap = cap;
	}
	memcpy(f->body + f->body_bytes, data.p, data.n);
	f->body_bytes += data.n;
}

static void on_body_end(void *arg, struct conn *c, bool reusable)
{
	struct fetch *f = arg;
	(void)c;
	(void)reusable;
	finish(f, ERR_OK, NULL);
}

static void on_lost(void *arg, struct conn *c, err_t err, const char *text)
{
	struct fetch *f = arg;
	char where[ERRMSG_BYTES];
	f->conn = NULL;
	/* The text of a server that was never reached names it. */
	snprintf(where, sizeof where, "%s: %s", f->cluster->spec.host, text);
	finish(f, err, c->answered ? where : text);
}

static const struct conn_user fetch_user = {on_ready, on_head, on_body, on_body_end, on_lost, NULL};

static void granted(struct cluster_waiter *w)
{
	struct fetch *f = CONTAINER_OF(w, struct fetch, waiter);
	err_t err = ERR_OK;
	f->conn = conn_open(f->cluster, &fetch_user, f, &err);
	if (!f->conn) {
		uint64_t now_ns = f->cluster->reactor->now_ns;
		finish(f, err, cluster_on_no_socket(f->cluster, err, now_ns));
	}
}

/* A person waits for this one: better a quick answer than a late one. */
static void refused(struct cluster_waiter *w, err_t err, const char *text)
{
	finish(CONTAINER_OF(w, struct fetch, waiter), err, text);
}

static struct fetch *fetch_new(struct cluster *c, fetch_done *done)
{
	struct fetch *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->cluster = c;
	f->done = done;
	list_init(&f->waiter.link);
	f->waiter.granted = granted;
	f->waiter.refused = refused;
	wheel_timer_init(&f->timer, CORE_TIMER_FETCH);
	return f;
}

static void begin(struct fetch *f, uint32_t timeout_s)
{
	struct reactor *r = f->cluster->reactor;
	wheel_set(&r->wheel, &f->timer, r->now_ns + timeout_s * KUBE_S);
	list_push(&f->cluster->fetches, &f->link);
	cluster_wait(f->cluster, &f->waiter);
}

void fetch_start(struct cluster *c, struct reactor_msg *m)
{
	struct fetch *f = fetch_new(c, tell_control);
	if (!f)
		return; /* control's own deadline answers */
	f->id = m->id;
	f->target = m->fetch.target;
	f->accept = m->fetch.accept;
	m->fetch.target = m->fetch.accept = NULL;
	begin(f, FETCH_TIMEOUT_S);
}

bool fetch_probe(struct cluster *c, const char *target, uint32_t timeout_s, fetch_done *done)
{
	struct fetch *f = fetch_new(c, done);
	if (!f)
		return false;
	f->target = strdup(target);
	f->accept = strdup("application/json");
	if (!f->target || !f->accept) {
		free(f->target);
		free(f->accept);
		free(f);
		return false;
	}
	begin(f, timeout_s);
	return true;
}

bool fetch_on_credential(struct cluster *c, bool ok, const char *text)
{
	LIST_EACH (it, &c->fetches) {
		struct fetch *f = CONTAINER_OF(it, struct fetch, link);
		if (!f->credential_wanted)
			continue;
		f->credential_wanted = false;
		if (ok)
			cluster_wait(c, &f->waiter);
		else
			finish(f, ERR_KUBE_UNAUTHORIZED, text);
		return true;
	}
	return false;
}

void fetch_on_timer(struct fetch *f)
{
	finish(f, ERR_CONN_TIMEOUT,
	        f->conn ? "no answer from the server in time" : "no connection in time");
}

void fetch_cancel(struct fetch *f, err_t err, const char *text)
{
	finish(f, err, text);
}
