#include "client/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/list.h"
#include "client/wait.h"

enum {
	RETRY_REFUSED_MS = 1000,
	MESSAGES_MAX = 1024, /* taken at once */
};

/* --- DOWN ------------------------------------------------------------------------------------ */

static void try_later(struct kr_client *c, int64_t now_ns)
{
	c->phase = CLIENT_DOWN;
	wait_unwatch(c, c->link.fd);
	link_close(&c->link);
	c->try_ms = c->try_ms == 0 ? CLIENT_TRY_MIN_MS : c->try_ms * 2;
	if (c->try_ms > CLIENT_TRY_MAX_MS)
		c->try_ms = CLIENT_TRY_MAX_MS;
	c->next_try_ns = now_ns + c->try_ms * NS_PER_MS;
	wait_timer(c, c->next_try_ns);
}

void session_lost(struct kr_client *c, const char *why)
{
	int64_t now = client_clock_ns();
	if (c->phase == CLIENT_UP) {
		c->down_since_ns = now;
		c->try_ms = 0;
	}
	snprintf(c->why, sizeof c->why, "%s", why);
	LIST_EACH (n, &c->lists) {
		struct kr_list *l = CONTAINER_OF(n, struct kr_list, node);
		l->open_id = 0;
		l->offered = false;
		l->retry_ns = 0;
		home_drop(&l->next); /* what was not whole yet is of no use */
	}
	wait_signal(c);
	c->owed_count = 0;
	LIST_EACH (n, &c->shards) /* no answer comes any more; the same life may come again */
		CONTAINER_OF(n, struct mapping, node)->ask_id = 0;
	try_later(c, now);
}

static int refuse_connect(struct kr_client *c, int why)
{
	if (why == ENOENT || why == ENOTDIR || why == ECONNREFUSED)
		return client_fail(c, KR_ERR_UNREACHABLE,
		        "no kuberingd at %s (%s): start it, or set KUBERING_SOCKET", c->socket_path,
		        why == ECONNREFUSED ? "connection refused" : "no such socket");
	if (why == EPROTOTYPE)
		return client_fail(c, KR_ERR_UNREACHABLE,
		        "what listens at %s is not kuberingd: set KUBERING_SOCKET to its socket",
		        c->socket_path);
	if (why == EACCES || why == EPERM)
		return client_fail(c, KR_ERR_DENIED,
		        "this user may not connect to %s: ask for access to the socket",
		        c->socket_path);
	if (why == ENAMETOOLONG)
		return client_fail(c, KR_ERR_ARGUMENT, "socket path is longer than 107 bytes: %s",
		        c->socket_path);
	if (why == EAGAIN)
		return client_fail(c, KR_ERR_UNREACHABLE,
		        "kuberingd at %s does not accept connections: it is overloaded or stopped",
		        c->socket_path);
	errno = why;
	return client_fail(
	        c, KR_ERR_SYSTEM, "connecting to %s failed: %s", c->socket_path, strerror(why));
}

/* DOWN -> GREETING, or stays. */
static int say_hello(struct kr_client *c, int64_t now_ns)
{
	int r = link_open(&c->link, c->socket_path);
	if (r < 0) {
		try_later(c, now_ns);
		return refuse_connect(c, -r);
	}
	wait_watch(c, c->link.fd);
	c->greet_id = client_id(c);
	link_begin(&c->link, ATTACH_HELLO, c->greet_id, sizeof c->link.out.hello);
	struct attach_hello *hello = &c->link.out.hello;
	hello->layout_major = SHM_LAYOUT_MAJOR;
	hello->layout_minor = SHM_LAYOUT_MINOR;
	hello->pid_hint = (uint32_t)getpid();
	memcpy(hello->name, c->name, sizeof hello->name);
	r = link_send(&c->link);
	if (r < 0 && r != -EPIPE) { /* EPIPE: turned away; why, greeted() reads */
		try_later(c, now_ns);
		return refuse_connect(c, -r);
	}
	c->phase = CLIENT_GREETING;
	c->greet_until_ns = client_deadline(c->timeout_ns); /* saturates */
	wait_timer(c, c->greet_until_ns);
	return KR_OK;
}

/* --- GREETING -------------------------------------------------------------------------------- */

/* Our page must not be cut under us either. */
static struct shm_consumer *map_page(int fd)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) != 0 ||
	        st.st_size < (off_t)sizeof(struct shm_consumer))
		return NULL;
	void *at =
	        mmap(NULL, sizeof(struct shm_consumer), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* An eventfd has no file type. */
static bool is_event_fd(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0 &&
	       fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static int on_welcome(struct kr_client *c)
{
	const struct attach_welcome *w = &c->link.in.welcome;
	if (w->layout_major != SHM_LAYOUT_MAJOR)
		return client_fail(c, KR_ERR_VERSION,
		        "kuberingd %s writes layout %u.%u, this library reads %u.x: install the "
		        "libkubering that belongs to the daemon",
		        w->version, w->layout_major, w->layout_minor, SHM_LAYOUT_MAJOR);
	int page_fd = link_take_fd(&c->link, 0), event_fd = link_take_fd(&c->link, 1);
	struct shm_consumer *page = page_fd >= 0 ? map_page(page_fd) : NULL;
	if (page_fd >= 0)
		close(page_fd);
	if (!page || !is_event_fd(event_fd)) {
		if (page)
			munmap(page, sizeof *page);
		if (event_fd >= 0)
			close(event_fd);
		if (event_fd < 0 && c->link.cut)
			return client_no_room(c, "a page or an eventfd");
		return client_fail(c, KR_ERR_CORRUPT,
		        "what listens at %s gave no sealed page and eventfd: it is not kuberingd",
		        c->socket_path);
	}
	if (c->page)
		munmap(c->page, sizeof *c->page);
	wait_unwatch(c, c->event_fd);
	if (c->event_fd >= 0)
		close(c->event_fd);
	c->page = page;
	c->event_fd = event_fd;
	c->incarnation[0] = w->incarnation[0];
	c->incarnation[1] = w->incarnation[1];
	c->phase = CLIENT_UP;
	c->life++;
	c->try_ms = 0;
	c->why[0] = '\0';
	wait_watch(c, event_fd);
	wait_timer(c, INT64_MAX);
	wait_signal(c); /* the new page says nothing yet: a follow has to arm it */
	return KR_OK;
}

/* GREETING -> UP or DOWN. KR_TIMEOUT: nothing came yet. */
static int greeted(struct kr_client *c, int64_t now_ns)
{
	int r = link_recv(&c->link);
	if (r == -EAGAIN) {
		if (now_ns < c->greet_until_ns)
			return KR_TIMEOUT;
		r = client_fail(c, KR_ERR_UNREACHABLE,
		        "kuberingd at %s took the connection and does not answer: it is "
		        "overloaded or stopped",
		        c->socket_path);
	} else if (r != 1) {
		r = client_fail(c, KR_ERR_UNREACHABLE,
		        "what listens at %s closed the connection without a word", c->socket_path);
	} else if (c->link.in.head.type == ATTACH_ERROR) {
		r = client_refused(c);
	} else if (c->link.in.head.type == ATTACH_WELCOME && c->link.in.head.id == c->greet_id) {
		r = on_welcome(c);
	} else { /* a BYE of the old one, perhaps */
		if (now_ns < c->greet_until_ns)
			return KR_TIMEOUT;
		r = client_fail(c, KR_ERR_UNREACHABLE,
		        "what listens at %s talks, but does not answer", c->socket_path);
	}
	if (r != KR_OK)
		try_later(c, now_ns);
	return r;
}

int session_attach(struct kr_client *c)
{
	int64_t until = client_deadline(c->timeout_ns);
	if (c->phase == CLIENT_UP)
		return KR_OK;
	int r = KR_OK;
	if (c->phase == CLIENT_DOWN)
		r = say_hello(c, client_clock_ns());
	while (r == KR_OK || r == KR_TIMEOUT) {
		int64_t now = client_clock_ns();
		r = greeted(c, now);
		if (c->phase == CLIENT_UP)
			return KR_OK;
		if (r == KR_TIMEOUT && now >= until)
			c->greet_until_ns = now;
		struct pollfd p = {.fd = c->link.fd, .events = POLLIN};
		struct timespec slice = {0, CLIENT_SLICE_MS * NS_PER_MS};
		if (r == KR_TIMEOUT && now < until)
			(void)ppoll(&p, 1, &slice, NULL);
	}
	return r;
}

/* --- UP -------------------------------------------------------------------------------------- */

static struct kr_list *list_waiting(struct kr_client *c, uint32_t id)
{
	LIST_EACH (n, &c->lists) {
		struct kr_list *l = CONTAINER_OF(n, struct kr_list, node);
		if (l->open_id == id)
			return l;
	}
	return NULL;
}

void session_on_message(struct kr_client *c)
{
	const union link_message *m = &c->link.in;
	if (m->head.type == ATTACH_BYE) {
		snprintf(c->why, sizeof c->why, "kuberingd at %s is stopping", c->socket_path);
		return;
	}
	LIST_EACH (n, &c->shards) {
		struct mapping *s = CONTAINER_OF(n, struct mapping, node);
		if (m->head.id != 0 && s->ask_id == m->head.id) {
			mapping_on_answer(s);
			return;
		}
	}
	struct kr_list *l = m->head.id ? list_waiting(c, m->head.id) : NULL;
	if (!l) { /* late, or an OK that nobody waits for */
		if (m->head.type == ATTACH_LIST)
			list_tell_close(c, m->list.handle);
		return;
	}
	wait_signal(c);
	l->open_id = 0;
	l->refusal[0] = '\0';
	if (m->head.type == ATTACH_LIST) {
		l->offer = m->list;
		l->offered = true;
		return;
	}
	const char *text = m->head.type == ATTACH_ERROR ? m->error.text : "unexpected answer";
	snprintf(l->refusal, sizeof l->refusal, "%s", text);
	l->retry_ns = client_clock_ns() + RETRY_REFUSED_MS * NS_PER_MS;
}

static void receive(struct kr_client *c)
{
	bool quiet = c->quiet;
	c->quiet = false;
	if (quiet)
		return;
	for (int i = 0; i < MESSAGES_MAX && c->phase == CLIENT_UP; i++) {
		int r = link_recv(&c->link);
		if (r == -EAGAIN)
			return;
		if (r == 1) {
			session_on_message(c);
			continue;
		}
		char why[256];
		if (c->why[0] != '\0')
			snprintf(why, sizeof why, "%s", c->why);
		else
			snprintf(why, sizeof why, "kuberingd at %s %s", c->socket_path,
			        r == -EPROTO ? "spoke nonsense" : "went away");
		session_lost(c, why);
	}
}

/* A stopped daemon that holds on to its socket. */
static void check_beats(struct kr_client *c, int64_t now_ns)
{
	LIST_EACH (n, &c->shards) {
		const struct mapping *s = CONTAINER_OF(n, struct mapping, node);
		if (mapping_current(s) && mapping_stopped(s) &&
		        mapping_beat_age_ns(s, now_ns) > CLIENT_BEAT_MAX_MS * NS_PER_MS) {
			session_lost(c, "kuberingd has stopped");
			return;
		}
	}
}

/* Has the list still to be asked for in this life? */
static bool to_ask(const struct kr_client *c, const struct kr_list *l)
{
	return !l->closed && l->home.life != c->life && l->next.life != c->life && l->open_id == 0;
}

/* Maps what was offered, asks for what was not asked yet. */
static void reopen(struct kr_client *c, struct kr_list *l, int64_t now_ns)
{
	if (!to_ask(c, l))
		return;
	if (l->offered) {
		struct mapping *s = NULL;
		struct attach_list offer = l->offer;
		l->offered = false;
		if (mapping_get(c, offer.shard, &s) == KR_OK) {
			home_drop(&l->next);
			l->next =
			        (struct home){s, offer.list, offer.list_gen, offer.handle, c->life};
			(void)list_settle(l);
			return;
		}
		list_tell_close(c, offer.handle); /* asked for again, it is another one */
		l->retry_ns = now_ns + RETRY_REFUSED_MS * NS_PER_MS;
	}
	if (c->phase != CLIENT_UP || now_ns < l->retry_ns)
		return;
	uint32_t id = client_id(c);
	list_ask_open(l, id);
	if (link_send(&c->link) == 0) /* else the queue is full */
		l->open_id = id;
}

/* When the next list is to be asked for: one that was refused has its time, one for which the queue
 * had no room is tried again soon. */
static int64_t next_ask(const struct kr_client *c, int64_t now_ns)
{
	int64_t at = INT64_MAX, soon = now_ns + CLIENT_TRY_MIN_MS * NS_PER_MS;
	LIST_EACH (n, &c->lists) {
		const struct kr_list *l = CONTAINER_OF(n, struct kr_list, node);
		int64_t due = l->retry_ns > now_ns ? l->retry_ns : soon;
		if (to_ask(c, l) && due < at)
			at = due;
	}
	return at;
}

static void keep_up(struct kr_client *c, int64_t now_ns)
{
	list_tell_owed(c);
	LIST_EACH_SAFE (n, &c->lists) {
		if (c->phase != CLIENT_UP)
			return;
		struct kr_list *l = CONTAINER_OF(n, struct kr_list, node);
		reopen(c, l, now_ns);
		(void)list_settle(l);
	}
	LIST_EACH (n, &c->shards)
		mapping_catch_up(CONTAINER_OF(n, struct mapping, node));
	int64_t at = next_ask(c, now_ns);
	if (c->phase == CLIENT_UP && at != c->timer_ns)
		wait_timer(c, at);
}

void session_pump(struct kr_client *c, int64_t now_ns)
{
	if (c->closed)
		return;
	c->checked_ns = now_ns;
	if (c->phase == CLIENT_DOWN && now_ns >= c->next_try_ns)
		(void)say_hello(c, now_ns);
	if (c->phase == CLIENT_GREETING)
		(void)greeted(c, now_ns);
	if (c->phase == CLIENT_UP)
		receive(c);
	if (c->phase == CLIENT_UP)
		check_beats(c, now_ns);
	if (c->phase == CLIENT_UP)
		keep_up(c, now_ns);
}

void session_glance(struct kr_client *c)
{
	if (client_clock_coarse_ns() - c->checked_ns >= CLIENT_CHECK_MS * NS_PER_MS)
		session_pump(c, client_clock_ns());
}
