#include "client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "client/follow.h"
#include "client/list.h"
#include "client/session.h"
#include "client/sized.h"
#include "client/wait.h"

enum {
	DOCUMENT_BYTES_MAX = 1 << 30,
	TIMEOUT_DEFAULT_S = 5,
};

/* kr_last_error(NULL): of the last kr_connect that failed in this thread; there is no client to
 * keep it. */
static _Thread_local char connect_error[CLIENT_ERROR_BYTES];

int64_t client_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t client_clock_coarse_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t client_deadline(int64_t timeout_ns)
{
	int64_t now = timeout_ns > 0 ? client_clock_ns() : 0;
	return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

int client_fail(struct kr_client *c, int code, const char *fmt, ...)
{
	int saved = errno;
	char text[CLIENT_ERROR_BYTES]; /* an argument may be the old text */
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	memcpy(c ? c->error : connect_error, text, sizeof text);
	errno = saved;
	return code;
}

/* --- questions to the daemon ----------------------------------------------------------------- */

uint32_t client_id(struct kr_client *c)
{
	if (++c->last_id == 0) /* 0 is "no request" */
		c->last_id = 1;
	return c->last_id;
}

int client_refused(struct kr_client *c)
{
	const struct attach_error *e = &c->link.in.error;
	int code = e->code <= KR_ERR_ARGUMENT && e->code >= KR_ERR_DAEMON ? e->code : KR_ERR_DAEMON;
	return client_fail(c, code, "%s", e->text);
}

int client_no_room(struct kr_client *c, const char *what)
{
	errno = EMFILE;
	return client_fail(c, KR_ERR_SYSTEM,
	        "no room for the descriptor of %s: raise the limit of open files of this program "
	        "(ulimit -n)",
	        what);
}

static int lost(struct kr_client *c, const char *how)
{
	char why[256];
	snprintf(why, sizeof why, "kuberingd at %s %s", c->socket_path, how);
	session_lost(c, why);
	return client_fail(c, KR_ERR_UNREACHABLE,
	        "%s; the library attaches again by itself when it is back", why);
}

/* Waits for one side of the socket to be ready; false at until_ns. */
static bool ready(struct kr_client *c, short events, int64_t until_ns)
{
	struct pollfd p = {.fd = c->link.fd, .events = events};
	int64_t ns = until_ns - client_clock_ns();
	if (ns <= 0)
		return false;
	struct timespec t = {ns / 1000000000, ns % 1000000000};
	(void)ppoll(&p, 1, &t, NULL);
	return true;
}

static int no_answer(struct kr_client *c)
{
	return client_fail(c, KR_ERR_UNREACHABLE,
	        "kuberingd at %s did not answer in %.1f s: it is overloaded or stopped",
	        c->socket_path, (double)c->timeout_ns * 1e-9);
}

static int send_out(struct kr_client *c, int64_t until_ns)
{
	int r;
	while ((r = link_send(&c->link)) == -EAGAIN)
		if (!ready(c, POLLOUT, until_ns))
			return no_answer(c);
	return r == 0 ? KR_OK : lost(c, "went away");
}

int client_ask(struct kr_client *c, enum attach_type want)
{
	uint32_t id = c->link.out.head.id;
	int64_t until = client_deadline(c->timeout_ns);
	int r = send_out(c, until);
	while (r == KR_OK) {
		int got = link_recv(&c->link);
		if (got == -EAGAIN || got == 1) {
			if (got == 1 && c->link.in.head.id == id && c->link.in.head.type == want)
				return KR_OK;
			if (got == 1 && c->link.in.head.id == id &&
			        c->link.in.head.type == ATTACH_ERROR)
				return client_refused(c);
			if (got == 1)
				session_on_message(c);
			else if (!ready(c, POLLIN, until))
				return no_answer(c);
			if (client_clock_ns() >= until)
				return no_answer(c);
			continue;
		}
		r = lost(c, got == -EPROTO ? "spoke nonsense" : "went away");
	}
	return r;
}

/* --- connect and close ----------------------------------------------------------------------- */

static char *default_path(void)
{
	static const char system_path[] = "/run/kubering/kubering.sock";
	const char *env = secure_getenv("KUBERING_SOCKET");
	if (env && *env)
		return strdup(env);
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");
	if (geteuid() == 0)
		return strdup(system_path);
	char *own = NULL; /* where kuberingd of this user listens (config/settings.c) */
	int n = dir && dir[0] == '/' ? asprintf(&own, "%s/kubering.sock", dir)
	                             : asprintf(&own, "/run/user/%u/kubering.sock", geteuid());
	if (n < 0)
		return NULL;
	if (access(own, F_OK) != 0 && access(system_path, F_OK) == 0) {
		free(own);
		return strdup(system_path);
	}
	return own;
}

static struct kr_client *client_new(const struct kr_options *o)
{
	struct kr_client *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->refs = 1;
	c->event_fd = c->epoll_fd = c->timer_fd = c->signal_fd = -1;
	link_init(&c->link);
	list_init(&c->lists);
	list_init(&c->follows);
	list_init(&c->shards);
	c->timeout_ns = o->timeout_ns > 0 ? o->timeout_ns : TIMEOUT_DEFAULT_S * 1000 * NS_PER_MS;
	snprintf(c->name, sizeof c->name, "%s", o->name ? o->name : program_invocation_short_name);
	c->socket_path = o->socket_path ? strdup(o->socket_path) : default_path();
	if (!c->socket_path) {
		free(c);
		return NULL;
	}
	return c;
}

int kr_connect(struct kr_client **client, const struct kr_options *options)
{
	struct kr_options o;
	if (!client)
		return client_fail(NULL, KR_ERR_ARGUMENT, "kr_connect: client is NULL");
	*client = NULL;
	if (!sized_take(&o, sizeof o, options))
		return client_fail(NULL, KR_ERR_ARGUMENT,
		        "kr_options.size is not set, or the struct holds fields that this "
		        "library does not know");
	struct kr_client *c = client_new(&o);
	if (!c)
		return client_fail(NULL, KR_ERR_MEMORY, "out of memory");
	int r = session_attach(c);
	if (r != KR_OK) {
		(void)client_fail(NULL, r, "%s", c->error);
		client_put(&c);
		return r;
	}
	connect_error[0] = '\0';
	*client = c;
	return KR_OK;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void client_put(struct kr_client **client)
{
	struct kr_client *c = *client;
	*client = NULL;
	if (!c || --c->refs > 0)
		return;
	link_close(&c->link);
	if (c->page)
		munmap(c->page, sizeof *c->page);
	close_fd(&c->event_fd);
	close_fd(&c->epoll_fd);
	close_fd(&c->timer_fd);
	close_fd(&c->signal_fd);
	free(c->owed);
	free(c->socket_path);
	free(c);
}

void kr_close(struct kr_client *client)
{
	if (!client || client->closed)
		return;
	client->closed = true; /* the end of the socket closes the lists at the daemon */
	client->phase = CLIENT_DOWN;
	link_close(&client->link);
	while (!list_empty(&client->lists)) /* kr_list_close unlinks */
		kr_list_close(CONTAINER_OF(client->lists.next, struct kr_list, node));
	client_put(&client);
}

int kr_fd(struct kr_client *client)
{
	if (!client)
		return -1;
	if (client->epoll_fd >= 0)
		return client->epoll_fd;
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	client->signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->epoll_fd < 0 || client->timer_fd < 0 || client->signal_fd < 0) {
		int why = errno;
		close_fd(&client->epoll_fd);
		close_fd(&client->timer_fd);
		close_fd(&client->signal_fd);
		errno = why;
		(void)client_fail(
		        client, KR_ERR_SYSTEM, "no epoll or timer descriptor: %s", strerror(why));
		return -1;
	}
	wait_watch(client, client->event_fd);
	wait_watch(client, client->link.fd);
	wait_watch(client, client->timer_fd);
	wait_watch(client, client->signal_fd);
	wait_timer(client, client->timer_ns);
	client->fd_used = true;
	wait_signal(client); /* armed by the first kr_follow_next that finds nothing */
	return client->epoll_fd;
}

/* --- kr_query -------------------------------------------------------------------------------- */

/* "resolve CLUSTER RESOURCE" or "audit CLUSTER ID" taken apart, or one word. False: not a
 * question. */
static bool ask_what(struct kr_client *c, const char *what)
{
	static const char resolve[] = "resolve ", audit[] = "audit ";
	struct attach_query *q = &c->link.out.query;
	bool audits = strncmp(what, audit, sizeof audit - 1) == 0;
	link_begin(&c->link, ATTACH_QUERY, client_id(c), sizeof *q);
	if (strcmp(what, "status") == 0) {
		q->kind = ATTACH_QUERY_STATUS;
		return true;
	}
	if (!audits && strncmp(what, resolve, sizeof resolve - 1) != 0)
		return false;
	const char *cluster = what + (audits ? sizeof audit : sizeof resolve) - 1;
	const char *gap =
	        strrchr(cluster, ' '); /* a context name may hold spaces, what follows not */
	if (!gap || gap == cluster || gap[1] == '\0')
		return false;
	size_t n = (size_t)(gap - cluster), m = strlen(gap + 1);
	if (n > ATTACH_STRING_MAX || m > ATTACH_STRING_MAX)
		return false;
	q->kind = audits ? ATTACH_QUERY_AUDIT : ATTACH_QUERY_RESOLVE;
	q->length[0] = (uint16_t)n;
	q->length[1] = (uint16_t)m;
	return link_add(&c->link, cluster, n) && link_add(&c->link, gap + 1, m);
}

static int read_document(struct kr_client *c, int fd, char **json, size_t *bytes)
{
	struct stat st;
	uint64_t n = c->link.in.document.bytes;
	if (fd < 0 && c->link.cut)
		return client_no_room(c, "the daemon's document");
	if (fd < 0 || fstat(fd, &st) != 0 || n > (uint64_t)st.st_size)
		return client_fail(
		        c, KR_ERR_CORRUPT, "the daemon's document is shorter than it says");
	if (n > DOCUMENT_BYTES_MAX)
		return client_fail(c, KR_ERR_LIMIT, "the daemon's document is larger than %d bytes",
		        DOCUMENT_BYTES_MAX);
	char *text = malloc(n + 1);
	if (!text)
		return client_fail(c, KR_ERR_MEMORY, "no memory for a document of %llu bytes",
		        (unsigned long long)n);
	size_t have = 0;
	while (have < n) {
		ssize_t got = pread(fd, text + have, n - have, (off_t)have);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			break;
		have += got > 0 ? (size_t)got : 0;
	}
	if (have < n) {
		free(text);
		return client_fail(c, KR_ERR_CORRUPT, "the daemon's document cannot be read");
	}
	text[n] = '\0';
	*json = text;
	*bytes = n;
	return KR_OK;
}

int kr_query(struct kr_client *client, const char *what, char **json, size_t *bytes)
{
	if (!client)
		return KR_ERR_ARGUMENT;
	if (!what || !json || !bytes)
		return client_fail(client, KR_ERR_ARGUMENT, "kr_query: an argument is NULL");
	*json = NULL;
	*bytes = 0;
	session_pump(client, client_clock_ns());
	int r = session_attach(client);
	if (r != KR_OK)
		return r;
	if (!ask_what(client, what))
		return client_fail(client, KR_ERR_ARGUMENT,
		        "kr_query knows \"status\", \"resolve CLUSTER RESOURCE\" and \"audit "
		        "CLUSTER ID\", not \"%.100s\"",
		        what);
	bool of_cluster = client->link.out.query.kind != ATTACH_QUERY_STATUS;
	r = client_ask(client, ATTACH_DOCUMENT);
	/* The daemon itself answers at once: this answer waits for a cluster, or for what it needs
	 * to log in there. */
	if (r == KR_ERR_UNREACHABLE && of_cluster && client->phase == CLIENT_UP)
		return client_fail(client, KR_TIMEOUT,
		        "no answer to \"%.200s\" in %.1f s: the daemon still asks the cluster, or "
		        "waits for its credential plugin",
		        what, (double)client->timeout_ns * 1e-9);
	if (r != KR_OK)
		return r;
	int fd = link_take_fd(&client->link, 0);
	r = read_document(client, fd, json, bytes);
	close_fd(&fd);
	return r;
}

/* --- words ----------------------------------------------------------------------------------- */

const char *kr_last_error(const struct kr_client *client)
{
	return client ? client->error : connect_error;
}

const char *kr_version(void)
{
	return KR_VERSION;
}

const char *kr_layout_version(void)
{
	_Static_assert(SHM_LAYOUT_MAJOR == 1 && SHM_LAYOUT_MINOR == 0, "the text below");
	return "1.0";
}

const char *kr_strerror(int result)
{
	switch (result) {
	case KR_OK: return "ok";
	case KR_END: return "no more objects";
	case KR_TIMEOUT: return "nothing happened in time";
	case KR_ERR_ARGUMENT: return "invalid argument";
	case KR_ERR_MEMORY: return "out of memory";
	case KR_ERR_UNREACHABLE: return "daemon not reachable";
	case KR_ERR_DENIED: return "denied by the daemon's policy";
	case KR_ERR_VERSION: return "daemon and library speak different versions";
	case KR_ERR_UNKNOWN_CLUSTER: return "unknown cluster";
	case KR_ERR_UNKNOWN_RESOURCE: return "unknown resource";
	case KR_ERR_NOT_FOUND: return "no such object";
	case KR_ERR_OVERRUN: return "too slow: changes were lost, take the list again";
	case KR_ERR_TORN: return "borrowed bytes were replaced, read again";
	case KR_ERR_CORRUPT: return "shared memory breaks its own rules";
	case KR_ERR_STUCK: return "the daemon is, or stopped, in the middle of a write";
	case KR_ERR_LIMIT: return "a limit is reached";
	case KR_ERR_CLOSED: return "the list was closed";
	case KR_ERR_SPACE: return "buffer too small";
	case KR_ERR_SYSTEM: return "system call failed";
	case KR_ERR_JSON: return "not JSON, or nested too deep";
	case KR_ERR_STALE: return "the list is not live";
	case KR_ERR_DAEMON: return "refused by the daemon";
	default: return "unknown result";
	}
}
