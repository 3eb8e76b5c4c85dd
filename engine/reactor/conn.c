#include "reactor/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "reactor/conn_ws.h"
#include "reactor/core.h"
#include "wire/gzip.h"
#include "wire/tls.h"

static struct reactor *reactor_of(const struct conn *c)
{
	return c->cluster->reactor;
}

/* Certificates are checked against wall time; it is read once per connection, not on the data path.
 */
static int64_t wall_seconds(void)
{
	return (int64_t)time(NULL);
}

/* What is sent in the clear may hold a token: to a Headlamp backend on this host. */
static void wipe(char **bytes, size_t n)
{
	if (*bytes)
		explicit_bzero(*bytes, n);
	free(*bytes);
	*bytes = NULL;
}

static void release(struct conn *c)
{
	list_unlink(&c->link);
	c->cluster->conn_count--;
	reactor_of(c)->conn_count--;
	if (c->tls)
		tls_conn_free(&c->tls);
	gzip_free(&c->gzip);
	conn_ws_free(&c->ws);
	http1_fini(&c->http);
	wipe(&c->out, c->out_bytes);
	wipe(&c->next, c->next_bytes);
	free(c);
}

/* An address that does not answer gives way to the next; one that does is kept. To go round in turn
 * would, where one of two is dead (localhost: ::1, then 127.0.0.1), fail every second connect and
 * shut the gate each time. */
static void leave_address(const struct conn *c)
{
	struct cluster *k = c->cluster;
	if (k->address_next % k->address_count == c->address)
		k->address_next++;
}

struct conn *conn_open(struct cluster *cluster, const struct conn_user *user, void *arg, err_t *err)
{
	*err = ERR_NO_MEMORY;
	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	*c = (struct conn){.state = CONN_CONNECTING,
	        .cluster = cluster,
	        .user = user,
	        .arg = arg,
	        .probe = cluster->gate.probing};
	list_init(&c->link);
	list_init(&c->shake);
	wheel_timer_init(&c->timer, CORE_TIMER_CONN);
	http1_init(&c->http, NULL);
	uint32_t at = c->address = cluster->address_next % cluster->address_count;
	const struct cluster_address *to = &cluster->address[at];
	*err = io_connect(
	        cluster->reactor->io, &c->sock, &to->any, to->bytes, IO_CONNECT_TIMEOUT_S * KUBE_S);
	if (*err) {
		leave_address(c);
		http1_fini(&c->http);
		free(c);
		return NULL;
	}
	list_push(&cluster->conns, &c->link);
	cluster->conn_count++;
	cluster->reactor->conn_count++;
	return c;
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSING)
		return;
	c->state = CONN_CLOSING;
	c->user = NULL;
	if (c->probe)
		cluster_on_abandoned(c->cluster);
	c->probe = false;
	wheel_set(&reactor_of(c)->wheel, &c->timer, UINT64_MAX);
	list_unlink(&c->shake);
	free(c->early);
	c->early = NULL;
	io_close(reactor_of(c)->io, &c->sock);
}

void conn_lost(struct conn *c, err_t err, const char *text)
{
	if (c->state == CONN_CLOSING)
		return;
	const struct conn_user *user = c->user;
	struct cluster *k = c->cluster;
	bool probe = c->probe;
	c->probe = false;
	/* A server that never answered on this connection counts as not reached, also when TCP and
	 * TLS came up. Connects that were under way when the gate shut say nothing new: only the
	 * probe's failure counts then. */
	if (!c->answered) {
		leave_address(c);
		if (probe || !k->gate.shut)
			cluster_on_failure(k, err, text, reactor_of(c)->now_ns);
	} else if (probe) { /* conn_leave() */
		cluster_on_abandoned(k);
	}
	char where[ERRMSG_BYTES];
	snprintf(where, sizeof where, "%s: %s", k->spec.host, text);
	if (c->state != CONN_CLOSING)
		user->on_lost(c->arg, c, err, c->answered ? text : where);
	conn_close(c);
}

void conn_retire(struct conn *c)
{
	if (c->state == CONN_HANDSHAKE || c->state == CONN_OPEN) /* else it has not logged in yet */
		conn_leave(c, "the credential was renewed");
}

void conn_leave(struct conn *c, const char *why)
{
	c->answered = true;
	conn_lost(c, ERR_CONN_CLOSED, why);
}

/* Sends what TLS has to say, or what was written; one send at a time. */
static void flush(struct conn *c)
{
	if (c->sending || c->state == CONN_CLOSING)
		return;
	if (!c->tls && !c->out) {
		c->out = c->next;
		c->out_bytes = c->next_bytes;
		c->next = NULL;
		c->next_bytes = c->next_cap = 0;
	}
	struct span s = c->tls ? tls_take_output(c->tls) : (struct span){c->out, c->out_bytes};
	if (!s.n)
		return;
	c->sending = true;
	c->out_bytes = (uint32_t)s.n;
	err_t err = io_send(reactor_of(c)->io, &c->sock, s.p, s.n);
	if (err) {
		c->sending = false;
		conn_lost(c, err, err_text(err));
	}
}

void conn_on_sent(struct conn *c)
{
	if (c->state == CONN_CLOSING)
		return;
	c->sending = false;
	if (c->tls)
		tls_output_done(c->tls, c->out_bytes);
	wipe(&c->out, c->out_bytes);
	c->out_bytes = 0;
	flush(c);
}

static void ready(struct conn *c)
{
	c->state = CONN_OPEN;
	wheel_set(&reactor_of(c)->wheel, &c->timer, UINT64_MAX);
	c->user->on_ready(c->arg, c);
}

void conn_on_connect(struct conn *c, err_t err)
{
	if (c->state == CONN_CLOSING)
		return;
	if (err) {
		conn_lost(c, err, err_text(err));
		return;
	}
	if (c->cluster->spec.tls)
		list_push(&reactor_of(c)->to_shake, &c->shake);
	else
		ready(c);
}

/* --- handshakes, each in its turn --------------------------------------------------------------
 */

/* Bytes of a handshake that wait. A server's flight is 1 to 5 KiB. */
struct conn_early {
	size_t n, cap;
	char bytes[];
};

static err_t keep_early(struct conn *c, const char *data, size_t n)
{
	struct conn_early *e = c->early;
	size_t have = e ? e->n : 0, cap = e ? e->cap : 0;
	if (have + n > TLS_HANDSHAKE_BYTES_MAX)
		return ERR_LIMIT;
	if (have + n > cap) {
		cap = have + n > 2 * cap ? have + n : 2 * cap;
		e = realloc(e, sizeof *e + cap + IO_SLACK);
		if (!e)
			return ERR_NO_MEMORY;
		*e = (struct conn_early){have, cap};
		c->early = e;
	}
	memcpy(e->bytes + have, data, n);
	e->n += n;
	return ERR_OK;
}

static void begin_tls(struct conn *c)
{
	struct errmsg m = {0};
	err_t err = c->cluster->tls
	                    ? tls_conn_new(&c->tls, c->cluster->tls, wall_seconds(), &m)
	                    : errmsg_set(&m, ERR_TLS_CONFIG, "no TLS material for this cluster");
	if (err) {
		conn_lost(c, err, m.text);
		return;
	}
	c->state = CONN_HANDSHAKE;
	wheel_set(&reactor_of(c)->wheel, &c->timer,
	        reactor_of(c)->now_ns + CONN_HANDSHAKE_S * KUBE_S);
	flush(c);
	if (c->early && c->state == CONN_HANDSHAKE)
		list_push(&reactor_of(c)->shaking, &c->shake);
}

static void feed_tls(struct conn *c, const char *data, size_t n);

/* What it has kept goes to TLS, in one piece. */
static void feed_early(struct conn *c)
{
	struct conn_early *e = c->early;
	c->early = NULL;
	feed_tls(c, e->bytes, e->n);
	free(e);
}

void conn_shake(struct conn *c)
{
	if (c->state == CONN_CONNECTING)
		begin_tls(c);
	else if (c->early)
		feed_early(c);
}

void conn_on_timer(struct conn *c)
{
	if (c->state == CONN_HANDSHAKE)
		conn_lost(c, ERR_CONN_TIMEOUT,
		        "TLS handshake not done within 10 s; is this a TLS port?");
	else if (c->state == CONN_OPEN && c->ws)
		conn_ws_on_timer(c);
}

/* What is written while a send is under way waits behind it. */
static err_t queue_plain(struct conn *c, const char *bytes, size_t n, struct errmsg *m)
{
	if (c->next_bytes + n > CONN_OUT_MAX)
		return errmsg_set(m, ERR_LIMIT, "the server does not read what it is sent");
	if (c->next_bytes + n > c->next_cap) {
		size_t need = c->next_bytes + n;
		size_t cap = 2 * (size_t)c->next_cap > need ? 2 * (size_t)c->next_cap : need;
		char *p = malloc(cap); /* realloc may leave a copy behind */
		if (!p)
			return errmsg_set(m, ERR_NO_MEMORY, "request");
		if (c->next)
			memcpy(p, c->next, c->next_bytes);
		wipe(&c->next, c->next_bytes);
		c->next = p;
		c->next_cap = (uint32_t)cap;
	}
	memcpy(c->next + c->next_bytes, bytes, n);
	c->next_bytes += (uint32_t)n;
	return ERR_OK;
}

err_t conn_write(struct conn *c, const char *bytes, size_t n, struct errmsg *m)
{
	err_t err = c->tls ? tls_write(c->tls, bytes, n, m) : queue_plain(c, bytes, n, m);
	if (!err)
		flush(c);
	return err;
}

err_t conn_ask(struct conn *c, struct http1_request *q, const struct http1_field *more,
        size_t more_count, unsigned flags, struct errmsg *m)
{
	CHECK(c->state == CONN_OPEN && more_count <= CONN_FIELDS_MAX);
	/* An answer may be here before on_sent of its request is; one to a request that was not
	 * even given to the kernel may not. */
	if (c->next)
		return errmsg_set(
		        m, ERR_HTTP_SYNTAX, "an answer came to a request that was not sent yet");
	struct reactor *r = reactor_of(c);
	const struct auth *a = c->cluster->auth;
	struct http1_field fields[CONN_FIELDS_MAX + AUTH_FIELDS_MAX];
	q->host = span_of(c->cluster->spec.host);
	q->user_agent = span_of(r->config.user_agent);
	/* client-go loads credentials only for https; so do we: a token never goes out in the clear
	 */
	if (a && c->cluster->spec.tls)
		q->authorization = span_of(a->authorization);
	for (size_t i = 0; i < more_count; i++)
		fields[q->field_count++] = more[i];
	for (size_t i = 0; a && i < a->field_count && i < AUTH_FIELDS_MAX; i++)
		fields[q->field_count++] = (struct http1_field){
		        span_of(a->fields[i].name), span_of(a->fields[i].value)};
	q->fields = fields;
	size_t n = 0;
	err_t err = http1_write_request(q, r->request, CORE_REQUEST_BYTES, &n, m);
	if (!err) {
		http1_begin(&c->http, flags);
		err = conn_write(c, r->request, n, m);
	}
	explicit_bzero(r->request,
	        n < CORE_REQUEST_BYTES ? n : CORE_REQUEST_BYTES); /* it holds the token */
	return err;
}

err_t conn_request(
        struct conn *c, struct span target, struct span accept, bool gzip, struct errmsg *m)
{
	struct http1_request q = {.target = target, .accept = accept, .gzip = gzip};
	return conn_ask(c, &q, NULL, 0, HTTP1_PLAIN, m);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void http_failed(struct conn *c)
{
	struct errmsg m = {0};
	err_t err = http1_error(&c->http, &m);
	conn_lost(c, err, m.text);
}

static void body_gzip(struct conn *c, struct span data)
{
	struct reactor *r = reactor_of(c);
	struct errmsg m = {0};
	while (c->state == CONN_OPEN && c->gzip) {
		size_t n = 0;
		err_t err = gzip_inflate(c->gzip, &data, r->inflated, CORE_PLAIN_BYTES, &n, &m);
		if (err) {
			conn_lost(c, err, m.text);
			return;
		}
		if (!n)
			return;
		c->user->on_body(c->arg, c, (struct span){r->inflated, n});
	}
}

static void on_head(struct conn *c, const struct http1_head *h)
{
	c->answered = true;
	c->probe = false;
	cluster_on_answer(c->cluster, reactor_of(c)->now_ns);
	gzip_free(&c->gzip);
	if (c->ws) {
		conn_ws_on_head(c, h);
		return;
	}
	if (h->coding == HTTP1_UNKNOWN_CODING) {
		conn_lost(c, ERR_HTTP_ENCODING, "content-encoding is neither identity nor gzip");
		return;
	}
	if (h->coding == HTTP1_GZIP) {
		struct gzip_limits limits = {4ull << 30, GZIP_RATIO_FREE_BYTES, GZIP_RATIO_MAX};
		struct errmsg m = {0};
		err_t err = gzip_new(&c->gzip, &limits, &m);
		if (err) {
			conn_lost(c, err, m.text);
			return;
		}
	}
	c->user->on_head(c->arg, c, h);
}

static void on_body_end(struct conn *c, bool keep_alive)
{
	struct errmsg m = {0};
	if (c->gzip && gzip_finish(c->gzip, &m)) {
		conn_lost(c, ERR_GZIP, m.text);
		return;
	}
	gzip_free(&c->gzip);
	c->user->on_body_end(c->arg, c, keep_alive);
}

static void on_event(struct conn *c, const struct http1_event *ev)
{
	switch (ev->type) {
	case HTTP1_EV_HEAD: on_head(c, &ev->head); break;
	case HTTP1_EV_BODY:
		if (c->gzip)
			body_gzip(c, ev->data);
		else
			c->user->on_body(c->arg, c, ev->data);
		break;
	case HTTP1_EV_END: on_body_end(c, ev->keep_alive); break;
	case HTTP1_EV_RAW: conn_ws_on_bytes(c, ev->data); break;
	}
}

static void on_plain(struct conn *c, const char *data, size_t n)
{
	reactor_of(c)->fetched = SPAN_NONE;
	while (c->state == CONN_OPEN) {
		struct http1_event ev;
		size_t used = 0;
		enum http1_result res = http1_feed(&c->http, data, n, &used, &ev);
		data += used;
		n -= used;
		reactor_of(c)->ahead = c->gzip ? SPAN_NONE : (struct span){data, n};
		if (res == HTTP1_NEED_MORE)
			return;
		if (res == HTTP1_ERROR) {
			http_failed(c);
			return;
		}
		on_event(c, &ev);
	}
}

static void drain_tls(struct conn *c)
{
	struct reactor *r = reactor_of(c);
	struct errmsg m = {0};
	for (;;) {
		size_t n = 0;
		err_t err = tls_read(c->tls, r->plain, CORE_PLAIN_BYTES, &n, &m);
		if (n && c->state == CONN_OPEN)
			on_plain(c, r->plain, n);
		if (c->state == CONN_CLOSING)
			return;
		if (err) {
			conn_lost(c, err, m.text);
			return;
		}
		if (!n)
			break;
	}
	if (tls_state(c->tls) == TLS_CLOSED_CLEAN)
		conn_on_end(c, ERR_CONN_CLOSED);
}

static void feed_tls(struct conn *c, const char *data, size_t n)
{
	struct reactor *r = reactor_of(c);
	struct errmsg m = {0};
	err_t err = tls_feed(c->tls, data, n, r->now_ns, &m);
	flush(c); /* also the alert of a failed handshake */
	if (c->state == CONN_CLOSING)
		return;
	if (err) {
		conn_lost(c, err, m.text);
		return;
	}
	if (c->state == CONN_HANDSHAKE && tls_state(c->tls) != TLS_HANDSHAKING)
		ready(c);
	if (c->state == CONN_OPEN)
		drain_tls(c);
	if (c->state != CONN_CLOSING)
		flush(c);
}

void conn_on_recv(struct conn *c, char *data, size_t n)
{
	struct reactor *r = reactor_of(c);
	r->bytes += n;
	if (c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_OPEN && !c->tls) {
		on_plain(c, data, n);
		return;
	}
	if (c->state == CONN_OPEN) {
		feed_tls(c, data, n);
		return;
	}
	err_t err = keep_early(c, data, n);
	if (err)
		conn_lost(c, err, err_text(err));
	else if (c->state == CONN_HANDSHAKE && list_empty(&c->shake))
		list_push(&r->shaking, &c->shake);
}

void conn_on_end(struct conn *c, err_t err)
{
	if (c->state == CONN_CLOSING)
		return;
	if (c->early && c->state == CONN_HANDSHAKE)
		feed_early(c); /* perhaps it says why */
	if (c->state == CONN_CLOSING)
		return;
	struct errmsg m = {0};
	bool clean = err == ERR_CONN_CLOSED;
	if (clean && c->tls && tls_eof(c->tls, &m)) {
		conn_lost(c, m.code, m.text);
		return;
	}
	if (clean && c->state == CONN_OPEN && !conn_ws_is_open(c)) {
		struct http1_event ev;
		enum http1_result res = http1_eof(&c->http, &ev);
		if (res == HTTP1_EVENT) {
			on_body_end(c, false);
		} else if (res == HTTP1_ERROR) {
			http_failed(c);
			return;
		}
	}
	conn_lost(c, err, err_text(err));
}

void conn_on_closed(struct conn *c)
{
	CHECK(c->state == CONN_CLOSING);
	struct cluster *cluster = c->cluster;
	release(c);
	if (cluster->removed && list_empty(&cluster->conns))
		cluster_free(&cluster);
}
