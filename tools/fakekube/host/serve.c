#include "host/serve.h"

#include "base/check.h"
#include "host/seal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TICK_SHIFT  23 /* 8.4 ms */
#define EVENTS_MAX  256
#define TURN_BYTES  (1u << 20)
#define INPUT_BYTES 8192
#define LINGER_NS   1000000000ull
#define BACKLOG     65535 /* the kernel takes net.core.somaxconn if that is less */
#define ACCEPTS_MAX 256

/* Owner: struct serve. Life: accept .. the end of the turn in which it was closed. */
struct serve_conn {
	struct serve_source source;
	struct serve *serve;
	struct model_conn *model; /* own; NULL once it is closing */
	SSL *ssl;                 /* own; NULL = plain */
	struct seal *seal;        /* own; NULL = OpenSSL makes the records */
	char *rest;               /* own; of a sealed record: what the socket did not take */
	size_t rest_bytes, rest_at;
	unsigned char *record; /* in serve.records, while it is being sent */
	size_t record_bytes;
	struct list all_link, timer_link, again_link; /* again_link is also that of the dead */
	uint64_t deadline_ns;
	uint32_t events; /* what epoll is asked for */
	bool blocked;    /* the socket takes no more */
	bool handshaken, lingering, dead;
	bool sending; /* a piece of it is in serve.sends */
};

uint64_t serve_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- timers --- */

/* A deadline beyond the wheel waits in its last slot and is put in again from there. */
static void timer_set(struct serve_conn *c, uint64_t deadline_ns)
{
	struct serve *s = c->serve;
	if (deadline_ns == c->deadline_ns && !list_empty(&c->timer_link))
		return;
	list_unlink(&c->timer_link);
	c->deadline_ns = deadline_ns;
	if (deadline_ns == UINT64_MAX)
		return;
	uint64_t tick = (deadline_ns >> TICK_SHIFT) + 1;
	if (tick <= s->wheel_at)
		tick = s->wheel_at + 1;
	if (tick > s->wheel_at + SERVE_WHEEL_SLOTS - 1)
		tick = s->wheel_at + SERVE_WHEEL_SLOTS - 1;
	list_push(&s->wheel[tick % SERVE_WHEEL_SLOTS], &c->timer_link);
}

/* --- a connection --- */

static void set_blocked(struct serve_conn *c, bool blocked)
{
	c->serve->blocked += (size_t)blocked - (size_t)c->blocked;
	c->blocked = blocked;
}

/* --- sealed records: a record whose number is used up goes out whole, sooner or later --- */

static void rest_drop(struct serve_conn *c)
{
	free(c->rest);
	c->rest = NULL;
	c->rest_bytes = c->rest_at = 0;
}

static void rest_keep(struct serve_conn *c, const unsigned char *p, size_t n)
{
	CHECK(!c->rest);
	if (!n)
		return;
	c->rest = malloc(n);
	CHECK(c->rest);
	memcpy(c->rest, p, n);
	c->rest_bytes = n;
}

static ssize_t plain_send(struct serve_conn *c, const void *p, size_t n)
{
	ssize_t sent = send(c->source.fd, p, n, MSG_NOSIGNAL);
	return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* 1: nothing waits; 0: the socket takes no more for now; -1: it is broken. */
static int rest_send(struct serve_conn *c)
{
	if (!c->rest)
		return 1;
	ssize_t n = plain_send(c, c->rest + c->rest_at, c->rest_bytes - c->rest_at);
	if (n < 0)
		return -1;
	c->rest_at += (size_t)n;
	if (c->rest_at < c->rest_bytes)
		return 0;
	rest_drop(c);
	return 1;
}

/* As much of the piece as one record holds. */
static struct span one_record(struct span s)
{
	return (struct span){s.p, s.n < SEAL_PLAIN_MAX ? s.n : SEAL_PLAIN_MAX};
}

static ssize_t sealed_send(struct serve_conn *c, enum seal_type type, struct span s)
{
	static unsigned char record[SEAL_RECORD_MAX];
	int r = rest_send(c);
	if (r <= 0 || seal_broken(c->seal))
		return r < 0 || seal_broken(c->seal) ? -1 : 0;
	s = one_record(s);
	size_t bytes = seal_record(c->seal, type, s, record);
	ssize_t n = bytes ? plain_send(c, record, bytes) : -1;
	if (n < 0)
		return -1;
	rest_keep(c, record + n, bytes - (size_t)n);
	return (ssize_t)s.n;
}

static void conn_kill(struct serve_conn *c, bool reset)
{
	if (c->dead)
		return;
	c->dead = true;
	if (reset) {
		struct linger l = {.l_onoff = 1};
		setsockopt(c->source.fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	}
	set_blocked(c, false);
	list_unlink(&c->timer_link);
	list_unlink(&c->again_link);
	list_push(&c->serve->dead, &c->again_link);
	model_conn_free(&c->model);
	SSL_free(c->ssl);
	c->ssl = NULL;
	seal_free(&c->seal);
	rest_drop(c);
	close(c->source.fd);
	c->source.fd = -1;
}

static void listen_for(struct serve *s, uint32_t events)
{
	serve_interest(s, &s->listener, events);
	if (s->front.fd >= 0)
		serve_interest(s, &s->front, events);
}

static void bury(struct serve *s)
{
	for (struct list *n; (n = list_pop(&s->dead));) {
		struct serve_conn *c = CONTAINER_OF(n, struct serve_conn, again_link);
		list_unlink(&c->all_link);
		free(c);
		if (s->listener_off)
			listen_for(s, EPOLLIN);
		s->listener_off = false;
	}
}

/* A close() with unread input would send RST; so: our end first, then wait for theirs a little. */
static void conn_linger(struct serve_conn *c, bool notify)
{
	if (c->seal && notify)
		sealed_send(c, SEAL_ALERT, SPAN("\1\0")); /* close_notify */
	else if (c->ssl && notify && c->handshaken)
		SSL_shutdown(c->ssl);
	ERR_clear_error();
	shutdown(c->source.fd, SHUT_WR);
	model_conn_free(&c->model);
	c->lingering = true;
	set_blocked(c, false);
	timer_set(c, c->serve->now_ns + LINGER_NS);
}

/* Bytes sent; 0: the socket takes no more for now; -1: it is broken. */
static ssize_t conn_send(struct serve_conn *c, struct span s)
{
	if (!c->ssl)
		return plain_send(c, s.p, s.n);
	if (c->seal)
		return sealed_send(c, SEAL_DATA, s);
	ERR_clear_error();
	size_t n = 0;
	if (SSL_write_ex(c->ssl, s.p, s.n, &n))
		return (ssize_t)n;
	int e = SSL_get_error(c->ssl, 0);
	return e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ ? 0 : -1;
}

static void conn_flush(struct serve_conn *c)
{
	struct serve *s = c->serve;
	size_t sent = 0;
	int rest = rest_send(c);
	if (rest < 0) {
		conn_kill(c, false);
		return;
	}
	set_blocked(c, rest == 0);
	while (!c->blocked) {
		if (sent >= TURN_BYTES) { /* before the peek: what is peeked at is stamped */
			if (list_empty(&c->again_link))
				list_push(&s->again, &c->again_link);
			return;
		}
		s->now_ns = serve_clock_ns(); /* events are stamped with it */
		struct span piece = model_conn_peek(c->model, s->now_ns);
		if (piece.n == 0)
			return;
		ssize_t n = conn_send(c, piece);
		if (n < 0) {
			conn_kill(c, false);
			return;
		}
		model_conn_consume(c->model, (size_t)n, s->now_ns);
		sent += (size_t)n;
		set_blocked(c, n == 0);
	}
}

static void conn_interest(struct serve_conn *c)
{
	uint32_t want = c->blocked ? EPOLLOUT : 0;
	if (!c->model || model_conn_wants_input(c->model))
		want |= EPOLLIN;
	if (want == c->events)
		return;
	c->events = want;
	serve_interest(c->serve, &c->source, want);
}

/* After anything happened to it: send, close, set the timer, tell epoll. */
static void conn_settle(struct serve_conn *c)
{
	if (c->dead || c->lingering || (c->ssl && !c->handshaken))
		return;
	conn_flush(c);
	if (c->dead)
		return;
	enum model_closed closed = model_conn_closed(c->model);
	if (closed == MODEL_CLOSED_RST)
		conn_kill(c, true);
	else if (closed != MODEL_OPEN && !c->rest)
		conn_linger(c, closed == MODEL_CLOSED_FIN);
	else
		timer_set(c, model_conn_deadline_ns(c->model));
	if (!c->dead)
		conn_interest(c);
}

/* Like conn_send, for input; -2: the peer has closed its side. */
static ssize_t conn_recv(struct serve_conn *c, char *buf, size_t bytes)
{
	if (!c->ssl) {
		ssize_t n = recv(c->source.fd, buf, bytes, 0);
		return n > 0 ? n : n == 0 ? -2 : errno == EAGAIN || errno == EINTR ? 0 : -1;
	}
	ERR_clear_error();
	size_t n = 0;
	if (SSL_read_ex(c->ssl, buf, bytes, &n))
		return (ssize_t)n;
	int e = SSL_get_error(c->ssl, 0);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return 0;
	return e == SSL_ERROR_ZERO_RETURN ? -2 : -1;
}

static void conn_read(struct serve_conn *c)
{
	char buf[INPUT_BYTES];
	for (;;) {
		ssize_t n = conn_recv(c, buf, sizeof buf);
		if (n == 0)
			return;
		if (n == -1 || (n == -2 && c->lingering)) {
			conn_kill(c, false);
			return;
		}
		if (n == -2) {
			model_conn_feed_eof(c->model, c->serve->now_ns);
			return;
		}
		if (!c->lingering)
			model_conn_feed(c->model, (struct span){buf, (size_t)n}, c->serve->now_ns);
		if (!c->ssl &&
		        ((size_t)n < sizeof buf || (c->model && !model_conn_wants_input(c->model))))
			return;
	}
}

static void seal_drop(struct serve_conn *c)
{
	seal_unwatch(c->ssl);
	seal_free(&c->seal);
}

static void conn_handshake(struct serve_conn *c)
{
	ERR_clear_error();
	int r = SSL_accept(c->ssl);
	if (r == 1) {
		char user[64];
		c->handshaken = true;
		c->serve->handshakes++;
		if (c->seal && !seal_take_over(c->seal, c->ssl))
			seal_drop(c);
		if (tls_server_user(c->ssl, user, sizeof user))
			model_conn_set_user(c->model, user);
		return;
	}
	int e = SSL_get_error(c->ssl, r);
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		conn_kill(c, false);
	else {
		set_blocked(c, e == SSL_ERROR_WANT_WRITE);
		conn_interest(c);
	}
}

static void conn_on_ready(struct serve_source *src, uint32_t events)
{
	struct serve_conn *c = CONTAINER_OF(src, struct serve_conn, source);
	if (c->dead)
		return;
	if (c->ssl && !c->handshaken) {
		conn_handshake(c);
		if (c->dead || !c->handshaken)
			return;
	}
	if (events & EPOLLERR)
		conn_kill(c, false);
	else if (events & (EPOLLIN | EPOLLHUP))
		conn_read(c);
	conn_settle(c);
}

/* model: own. */
static void conn_new(struct serve *s, int fd, struct model_conn *model, SSL_CTX *tls)
{
	struct serve_conn *c = calloc(1, sizeof *c);
	CHECK(c);
	c->source = (struct serve_source){conn_on_ready, fd};
	c->serve = s;
	list_init(&c->timer_link);
	list_init(&c->again_link);
	list_push(&s->all, &c->all_link);
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->model = model;
	model_conn_set_context(c->model, c);
	if (tls) {
		c->ssl = SSL_new(tls);
		CHECK(c->ssl && SSL_set_fd(c->ssl, fd));
		c->seal = s->records ? seal_watch(c->ssl) : NULL;
	}
	c->events = EPOLLIN;
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &c->source};
	CHECK(epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) == 0);
	s->accepted++;
	conn_settle(c);
}

/* The listener stays readable: watching it would be a loop. */
static void out_of_descriptors(struct serve *s)
{
	if (s->refused++ == 0)
		fprintf(stderr, "fakekube: no descriptor is left for another connection; raise the "
		                "hard limit (ulimit -Hn)\n");
	s->listener_off = true;
	listen_for(s, 0);
}

/* False: there is none for now. */
static bool accept_one(struct serve *s, const struct serve_source *src, int *fd)
{
	*fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (*fd >= 0)
		return true;
	if (errno == EMFILE || errno == ENFILE)
		out_of_descriptors(s);
	return false;
}

static void listener_on_ready(struct serve_source *src, uint32_t events)
{
	struct serve *s = CONTAINER_OF(src, struct serve, listener);
	int fd;
	(void)events;
	for (int i = 0; i < ACCEPTS_MAX && accept_one(s, src, &fd); i++)
		conn_new(s, fd, model_conn_new(s->model, NULL, s->now_ns), s->tls);
}

static void front_on_ready(struct serve_source *src, uint32_t events)
{
	struct serve *s = CONTAINER_OF(src, struct serve, front);
	int fd;
	(void)events;
	for (int i = 0; i < ACCEPTS_MAX && accept_one(s, src, &fd); i++)
		conn_new(s, fd, model_backend_accept(s->backend, s->now_ns), NULL);
}

/* --- the whole --- */

bool serve_watch(struct serve *s, struct serve_source *src)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = src};
	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, src->fd, &e) == 0;
}

void serve_interest(struct serve *s, struct serve_source *src, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = src};
	epoll_ctl(s->epoll, EPOLL_CTL_MOD, src->fd, &e);
}

static int listen_on(const char *bind_to, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	if (inet_pton(AF_INET, bind_to, &a.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	/* Inherited by what is accepted. Pacing by timers (bbr, where it is the default) measures
	 * the kernel's timers and not the client. */
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

static unsigned read_backlog(void)
{
	unsigned n = 0;
	FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
	if (f && fscanf(f, "%u", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n && n < BACKLOG ? n : BACKLOG;
}

bool serve_init(struct serve *s, struct model_server *model, SSL_CTX *tls, const char *bind_to,
        uint16_t port)
{
	*s = (struct serve){.model = model, .tls = tls, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	s->front = (struct serve_source){front_on_ready, -1};
	s->listener = (struct serve_source){listener_on_ready, listen_on(bind_to, port)};
	if (s->epoll < 0 || s->listener.fd < 0) {
		fprintf(stderr, "fakekube: cannot listen on %s:%u: %s\n", bind_to, port,
		        strerror(errno));
		return false;
	}
	s->backlog = read_backlog();
	s->sends = sends_new();
	list_init(&s->again);
	list_init(&s->dead);
	list_init(&s->all);
	for (size_t i = 0; i < SERVE_WHEEL_SLOTS; i++)
		list_init(&s->wheel[i]);
	s->now_ns = serve_clock_ns();
	s->wheel_at = s->now_ns >> TICK_SHIFT;
	return serve_watch(s, &s->listener);
}

void serve_own_records(struct serve *s)
{
	s->records = malloc((size_t)SENDS_MAX * SEAL_RECORD_MAX);
	CHECK(s->records);
	seal_enable(s->tls);
}

void serve_fini(struct serve *s)
{
	LIST_EACH (it, &s->all)
		conn_kill(CONTAINER_OF(it, struct serve_conn, all_link), false);
	bury(s);
	sends_free(&s->sends);
	free(s->records);
	close(s->listener.fd);
	if (s->front.fd >= 0)
		close(s->front.fd);
	close(s->epoll);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	return getsockname(fd, (struct sockaddr *)&a, &n) == 0 ? ntohs(a.sin_port) : 0;
}

uint16_t serve_port(const struct serve *s)
{
	return port_of(s->listener.fd);
}

static bool front_open(struct serve *s)
{
	s->front.fd = listen_on("127.0.0.1", s->front_port);
	return s->front.fd >= 0 && serve_watch(s, &s->front);
}

bool serve_backend(struct serve *s, struct model_backend *b, uint16_t port)
{
	s->backend = b;
	s->front_port = port;
	if (!front_open(s)) {
		fprintf(stderr, "fakekube: cannot listen on 127.0.0.1:%u: %s\n", port,
		        strerror(errno));
		return false;
	}
	s->front_port = port_of(s->front.fd); /* a restart comes back on the same one */
	return true;
}

/* A restart of the backend: the port is closed, and opened again when its time has come. */
static void front_follow(struct serve *s)
{
	bool wanted = s->backend && model_backend_listens(s->backend, s->now_ns);
	if (!s->backend || wanted == (s->front.fd >= 0))
		return;
	if (wanted) {
		front_open(s); /* if somebody else has it, the next turn tries again */
		return;
	}
	close(s->front.fd);
	s->front.fd = -1;
}

static void on_timer(struct serve_conn *c)
{
	struct serve *s = c->serve;
	if (c->deadline_ns > s->now_ns) {
		timer_set(c, c->deadline_ns); /* it was beyond the wheel */
		return;
	}
	if (c->lingering) {
		conn_kill(c, false);
		return;
	}
	model_conn_tick(c->model, s->now_ns);
	conn_settle(c);
}

static void run_timers(struct serve *s)
{
	uint64_t now = s->now_ns >> TICK_SHIFT;
	for (uint64_t turns = 0; s->wheel_at < now && turns < SERVE_WHEEL_SLOTS; turns++) {
		s->wheel_at++;
		struct list due;
		list_init(&due);
		for (struct list *n; (n = list_pop(&s->wheel[s->wheel_at % SERVE_WHEEL_SLOTS]));)
			list_push(&due, n);
		for (struct list *n; (n = list_pop(&due));)
			on_timer(CONTAINER_OF(n, struct serve_conn, timer_link));
	}
	s->wheel_at = now;
}

/* What was not taken, and an error, is seen again where it is sent once more. */
static void on_sent(void *who, int result)
{
	struct serve_conn *c = who;
	c->sending = false;
	if (c->seal) {
		size_t n = result > 0 ? (size_t)result : 0;
		rest_keep(c, c->record + n, c->record_bytes - n);
	} else if (result > 0) {
		model_conn_consume(c->model, (size_t)result, c->serve->now_ns);
	}
	conn_settle(c);
}

/* The piece becomes a record, which has its place until it is sent. */
static bool seal_piece(struct serve_conn *c, struct span *piece, size_t at)
{
	struct span plain = one_record(*piece);
	c->record = c->serve->records + at * SEAL_RECORD_MAX;
	c->record_bytes = seal_record(c->seal, SEAL_DATA, plain, c->record);
	model_conn_consume(c->model, plain.n, c->serve->now_ns);
	*piece = (struct span){(const char *)c->record, c->record_bytes};
	return c->record_bytes > 0;
}

/* What it has to say goes with that of others. at: how many do already. False: it is no piece of
 * its own, or there is nothing. */
static bool send_together(struct serve_conn *c, size_t at)
{
	struct serve *s = c->serve;
	if (!s->sends || (c->ssl && !c->seal) || c->blocked || !model_conn_has_own_text(c->model))
		return false;
	if (c->seal && (!c->handshaken || c->rest || seal_broken(c->seal)))
		return false;
	s->now_ns = serve_clock_ns(); /* events are stamped with it */
	struct span piece = model_conn_peek(c->model, s->now_ns);
	if (piece.n && c->seal && !seal_piece(c, &piece, at))
		return false;
	c->sending = piece.n && sends_add(s->sends, c->source.fd, piece, c);
	return c->sending;
}

void serve_flush_ready(struct serve *s)
{
	size_t together = 0;
	front_follow(s);
	for (struct model_conn *m; (m = model_conn_next_ready(s->model));) {
		struct serve_conn *c = model_conn_context(m);
		if (c->sending || (c->blocked && model_conn_closed(m) == MODEL_OPEN))
			continue;
		if (!send_together(c, together)) {
			conn_settle(c);
		} else if (++together == SENDS_MAX) {
			sends_flush(s->sends, on_sent);
			together = 0;
		}
	}
	if (together)
		sends_flush(s->sends, on_sent);
}

static void run_again(struct serve *s)
{
	struct list now;
	list_init(&now);
	for (struct list *n; (n = list_pop(&s->again));)
		list_push(&now, n);
	for (struct list *n; (n = list_pop(&now));)
		conn_settle(CONTAINER_OF(n, struct serve_conn, again_link));
}

void serve_turn(struct serve *s, uint64_t until_ns)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now = serve_clock_ns(), next_tick = (s->wheel_at + 1) << TICK_SHIFT;
	if (until_ns > next_tick)
		until_ns = next_tick;
	uint64_t wait = until_ns > now && list_empty(&s->again) ? until_ns - now : 0;
	struct timespec t = {
	        .tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
	int n = epoll_pwait2(s->epoll, events, EVENTS_MAX, &t, NULL);
	s->now_ns = serve_clock_ns();
	for (int i = 0; i < n; i++) {
		struct serve_source *src = events[i].data.ptr;
		src->on_ready(src, events[i].events);
	}
	serve_flush_ready(s);
	run_again(s);
	run_timers(s);
	bury(s);
}

bool serve_drained(const struct serve *s)
{
	return s->blocked == 0 && list_empty(&s->again) && list_empty(&s->model->ready);
}

struct cut {
	const struct model_kind *kind;
	enum model_closed how;
	size_t n;
};

static void cut_one(void *arg, struct model_conn *m)
{
	struct cut *cut = arg;
	struct serve_conn *c = model_conn_context(m);
	struct model_conn_info info;
	model_conn_describe(m, &info);
	if (cut->kind && info.kind != cut->kind)
		return;
	model_conn_cut(m, cut->how);
	conn_settle(c);
	cut->n++;
}

size_t serve_cut(struct serve *s, const struct model_cluster *cluster, const struct model_kind *k,
        enum model_closed how)
{
	struct cut cut = {.kind = k, .how = how};
	if (cluster) {
		model_conn_each(cluster, cut_one, &cut);
	} else {
		LIST_EACH (it, &s->all) {
			struct serve_conn *c = CONTAINER_OF(it, struct serve_conn, all_link);
			if (!c->dead && !c->lingering)
				cut_one(&cut, c->model);
		}
	}
	if (s->backend)
		cut.n += model_backend_cut(s->backend, cluster, k, how);
	return cut.n;
}
