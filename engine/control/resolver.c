#include "control/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/list.h"

enum { RESOLVER_SOCKETS = ARES_GETSOCK_MAXNUM };

struct resolver_socket {
	struct loop_fd fd;
	struct resolver *resolver;
};

/* Tells a resolv.conf from the one that was there before. */
struct resolver_conf_state {
	dev_t dev;
	ino_t ino;
	off_t bytes;
	struct timespec written;
};

struct resolver {
	struct loop *loop;
	const char *conf; /* borrow */
	struct resolver_conf_state conf_state;
	ares_channel channel;
	resolver_fn on_answer;
	void *arg;
	struct loop_timer timer;
	struct resolver_socket sockets[RESOLVER_SOCKETS];
	uint32_t pending;
	struct list waiting; /* struct question: beyond RESOLVER_IN_FLIGHT */
	bool freeing;
};

struct question {
	struct list link; /* in the resolver's waiting */
	struct resolver *resolver;
	uint32_t id;
	uint16_t port;
	char *host; /* own */
};

static void follow_sockets(struct resolver *r);
static void start_some(struct resolver *r);

static void on_timer(struct loop_timer *t)
{
	struct resolver *r = CONTAINER_OF(t, struct resolver, timer);
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	start_some(r);
	follow_sockets(r);
}

static void on_socket(struct loop_fd *f, uint32_t events)
{
	struct resolver *r = CONTAINER_OF(f, struct resolver_socket, fd)->resolver;
	int fd = f->fd;
	ares_process_fd(r->channel, events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
	        events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	start_some(r);
	follow_sockets(r);
}

/* c-ares opens and closes sockets as it likes: after each step the loop is told what to wait for
 * now. */
static void follow_sockets(struct resolver *r)
{
	ares_socket_t fds[RESOLVER_SOCKETS];
	/* ARES_GETSOCK_WRITABLE shifts into the sign. */
	uint32_t bits = (uint32_t)ares_getsock(r->channel, fds, RESOLVER_SOCKETS);
	/* All first: a socket may have moved to another place in the table, and the kernel knows it
	 * once only. */
	for (int i = 0; i < RESOLVER_SOCKETS; i++)
		loop_unwatch(r->loop, &r->sockets[i].fd);
	for (int i = 0; i < RESOLVER_SOCKETS; i++) {
		struct resolver_socket *s = &r->sockets[i];
		uint32_t events = (bits >> i & 1 ? (uint32_t)EPOLLIN : 0) |
		                  (bits >> (i + RESOLVER_SOCKETS) & 1 ? (uint32_t)EPOLLOUT : 0);
		if (!events)
			continue;
		s->resolver = r;
		s->fd.on_ready = on_socket;
		if (loop_watch(r->loop, &s->fd, fds[i], events))
			continue; /* the timer still ends the question */
	}
	loop_timer_set(
	        r->loop, &r->timer, r->pending ? loop_now_ns(r->loop) + 100000000u : UINT64_MAX);
}

static struct resolver_conf_state state_of(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return (struct resolver_conf_state){0};
	return (struct resolver_conf_state){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool is_same(const struct resolver_conf_state *a, const struct resolver_conf_state *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->bytes == b->bytes &&
	       a->written.tv_sec == b->written.tv_sec && a->written.tv_nsec == b->written.tv_nsec;
}

/* true: it has a channel, which knows the name servers of now. */
static bool open_channel(struct resolver *r)
{
	struct ares_options o = {.timeout = RESOLVER_TIMEOUT_MS,
	        .tries = RESOLVER_TRIES,
	        .resolvconf_path = (char *)(uintptr_t)r->conf};
	ares_channel channel;
	struct resolver_conf_state state =
	        state_of(r->conf); /* before it is read: rather once too often */
	if (ares_init_options(
	            &channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF))
		return false;
	if (r->channel)
		ares_destroy(r->channel);
	r->channel = channel;
	r->conf_state = state;
	return true;
}

err_t resolver_new(
        struct loop *l, const char *conf, resolver_fn on_answer, void *arg, struct resolver **out)
{
	struct resolver *r = calloc(1, sizeof *r);
	if (!r)
		return ERR_NO_MEMORY;
	r->loop = l;
	r->on_answer = on_answer;
	r->arg = arg;
	loop_timer_init(&r->timer, on_timer);
	list_init(&r->waiting);
	r->conf = conf;
	if (ares_library_init(ARES_LIB_INIT_ALL) || !open_channel(r)) {
		free(r);
		return ERR_DNS;
	}
	*out = r;
	return ERR_OK;
}

static void question_free(struct question *q)
{
	free(q->host);
	free(q);
}

void resolver_free(struct resolver **rp)
{
	struct resolver *r = *rp;
	*rp = NULL;
	if (!r)
		return;
	r->freeing = true;
	for (int i = 0; i < RESOLVER_SOCKETS; i++)
		loop_unwatch(r->loop, &r->sockets[i].fd);
	loop_timer_set(r->loop, &r->timer, UINT64_MAX);
	ares_destroy(r->channel);
	for (struct list *it; (it = list_pop(&r->waiting));)
		question_free(CONTAINER_OF(it, struct question, link));
	ares_library_cleanup();
	free(r);
}

static void collect(const struct ares_addrinfo *info, struct resolver_answer *a)
{
	for (const struct ares_addrinfo_node *n = info->nodes;
	        n && a->count < RESOLVER_ADDRESSES_MAX; n = n->ai_next) {
		if (n->ai_addrlen > sizeof a->at[0])
			continue;
		memcpy(&a->at[a->count], n->ai_addr, n->ai_addrlen);
		a->bytes[a->count++] = n->ai_addrlen;
	}
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct question *q = arg;
	struct resolver *r = q->resolver;
	struct resolver_answer a = {0};
	(void)timeouts;
	r->pending--;
	if (status == ARES_SUCCESS && info)
		collect(info, &a);
	if (!a.count) {
		a.err = ERR_DNS;
		snprintf(a.text, sizeof a.text,
		        "%s: %s: %s; check the server URL and /etc/resolv.conf", err_text(ERR_DNS),
		        q->host, ares_strerror(status));
	}
	if (info)
		ares_freeaddrinfo(info);
	if (!r->freeing)
		r->on_answer(r->arg, q->id, &a);
	question_free(q);
}

static void start(struct resolver *r, struct question *q)
{
	char service[8];
	snprintf(service, sizeof service, "%u", q->port);
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
	        .ai_socktype = SOCK_STREAM,
	        .ai_flags = ARES_AI_NUMERICSERV};
	r->pending++;
	ares_getaddrinfo(r->channel, q->host, service, &hints, answered, q);
}

/* c-ares reads it once, and a daemon may start before the network does, or outlive it. false: the
 * questions under way come first. */
static bool is_up_to_date(struct resolver *r)
{
	struct resolver_conf_state now = state_of(r->conf);
	if (is_same(&now, &r->conf_state))
		return true;
	if (r->pending)
		return false;
	for (int i = 0; i < RESOLVER_SOCKETS; i++)
		loop_unwatch(r->loop, &r->sockets[i].fd);
	(void)open_channel(r); /* out of memory: the one that there is goes on */
	return true;
}

/* Not from an answer: c-ares is inside one of its own loops then. */
static void start_some(struct resolver *r)
{
	if (list_empty(&r->waiting) || !is_up_to_date(r))
		return;
	while (r->pending < RESOLVER_IN_FLIGHT) {
		struct list *it = list_pop(&r->waiting);
		if (!it)
			return;
		start(r, CONTAINER_OF(it, struct question, link));
	}
}

static bool literal(const char *host, uint16_t port, struct resolver_answer *a)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(&a->at[0], &v4, sizeof v4);
		a->bytes[0] = sizeof v4;
	} else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(&a->at[0], &v6, sizeof v6);
		a->bytes[0] = sizeof v6;
	} else {
		return false;
	}
	a->count = 1;
	return true;
}

void resolver_ask(struct resolver *r, uint32_t id, const char *host, uint16_t port)
{
	struct resolver_answer a = {0};
	if (literal(host, port, &a)) {
		r->on_answer(r->arg, id, &a);
		return;
	}
	struct question *q = malloc(sizeof *q);
	char *copy = strdup(host);
	if (!q || !copy) {
		free(q);
		free(copy);
		a.err = ERR_NO_MEMORY;
		r->on_answer(r->arg, id, &a);
		return;
	}
	*q = (struct question){.resolver = r, .id = id, .port = port, .host = copy};
	list_push(&r->waiting, &q->link);
	start_some(r);
	follow_sockets(r);
}
