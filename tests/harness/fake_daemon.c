#include "harness/fake_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shm/attach.h"

/* The heart of a daemon on a busy machine: nobody shall take it for dead because its thread had to
 * wait. */
#define BEAT_AHEAD_NS (3600ull * 1000000000)

enum { CONSUMERS_MAX = 64, LISTS_MAX = 256, HANDLES_MAX = 4096, BEAT_MS = 100 };

#define MUST(cond) ((cond) ? (void)0 : must_failed(#cond, __LINE__))

static _Noreturn void must_failed(const char *what, int line)
{
	fprintf(stderr, "fake daemon: %s failed at line %d: %s\n", what, line, strerror(errno));
	abort();
}

struct consumer {
	int fd, event_fd;
	struct shm_consumer *page; /* NULL before HELLO */
};

struct open_list {
	char text[1024]; /* the strings of the spec, NUL between */
	size_t bytes;
	struct store_list *list;
};

union message {
	struct attach_head head;
	struct attach_hello hello;
	struct attach_welcome welcome;
	struct attach_spec spec;
	struct attach_list list;
	struct attach_ref ref;
	struct attach_segment segment;
	struct attach_query query;
	struct attach_document document;
	struct attach_error error;
};

struct answer {
	union message m;
	uint16_t type;
	size_t bytes;
	int fds[2];
	size_t fd_count;
};

struct fake_daemon {
	pthread_mutex_t mutex;
	pthread_cond_t turned; /* after every turn of the thread */
	pthread_t thread;
	int listen_fd, wake_fd; /* wake_fd: for the thread */
	char path[108];
	uint64_t incarnation[2];
	struct store *store;
	struct consumer consumers[CONSUMERS_MAX];
	unsigned consumer_count;
	struct open_list lists[LISTS_MAX];
	unsigned list_count;
	unsigned opens, closes;
	bool given[HANDLES_MAX]; /* handles that are open */
	_Atomic int lie;
	_Atomic bool beat, quit;
	bool ended;
	union {
		union message m;
		char bytes[ATTACH_BYTES_MAX];
	} in;
};

uint64_t fake_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void reply(struct consumer *c, const struct attach_head *to, struct answer *a)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 2)];
	} control;
	a->m.head = (struct attach_head){
	        ATTACH_MAGIC, ATTACH_VERSION, a->type, to->id, (uint32_t)a->bytes};
	struct iovec io = {&a->m, a->bytes};
	struct msghdr h = {.msg_iov = &io, .msg_iovlen = 1};
	if (a->fd_count > 0) {
		memset(&control, 0, sizeof control);
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * a->fd_count);
		struct cmsghdr *cm = CMSG_FIRSTHDR(&h);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * a->fd_count);
		memcpy(CMSG_DATA(cm), a->fds, sizeof(int) * a->fd_count);
	}
	(void)sendmsg(c->fd, &h, MSG_NOSIGNAL);
}

static void refuse(struct consumer *c, const struct attach_head *to, int code, const char *text)
{
	struct answer a = {.type = ATTACH_ERROR, .bytes = sizeof a.m.error};
	a.m.error.code = code;
	snprintf(a.m.error.text, sizeof a.m.error.text, "%s", text);
	reply(c, to, &a);
}

/* Whoever writes into it gets SIGPIPE. */
static int broken_pipe(void)
{
	int fds[2];
	MUST(pipe2(fds, O_CLOEXEC) == 0);
	close(fds[0]);
	return fds[1];
}

static void on_hello(struct fake_daemon *d, struct consumer *c, const union message *in)
{
	struct answer a = {.type = ATTACH_WELCOME, .bytes = sizeof a.m.welcome};
	int lie = d->lie;
	if (lie == FAKE_LIE_REFUSE) {
		refuse(c, &in->head, -4,
		        "user 0 is not in the policy: add it to consumers in kubering.yaml");
		return;
	}
	if (lie == FAKE_LIE_FLOOD) {
		a.type = ATTACH_BYE;
		a.bytes = sizeof a.m.head;
		for (int i = 0; i < 8; i++)
			reply(c, &in->head, &a);
		return;
	}
	int page_fd = memfd_create("consumer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(page_fd >= 0);
	if (lie != FAKE_LIE_NO_PAGE) {
		MUST(ftruncate(page_fd, sizeof *c->page) == 0);
		c->page =
		        mmap(NULL, sizeof *c->page, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
		MUST(c->page != MAP_FAILED);
	}
	if (lie != FAKE_LIE_PAGE)
		MUST(fcntl(page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	c->event_fd = lie == FAKE_LIE_PIPE
	                      ? broken_pipe()
	                      : eventfd(0, lie == FAKE_LIE_BLOCKING ? EFD_CLOEXEC
	                                                            : EFD_CLOEXEC | EFD_NONBLOCK);
	MUST(c->event_fd >= 0);
	memcpy(a.m.welcome.incarnation, d->incarnation, sizeof d->incarnation);
	a.m.welcome.layout_major = lie == FAKE_LIE_LAYOUT ? 9 : SHM_LAYOUT_MAJOR;
	a.m.welcome.layout_minor = SHM_LAYOUT_MINOR;
	snprintf(a.m.welcome.version, sizeof a.m.welcome.version, "0.0-fake");
	a.fds[0] = page_fd;
	a.fds[1] = c->event_fd;
	a.fd_count = lie == FAKE_LIE_NO_FDS ? 0 : 2;
	reply(c, &in->head, &a);
	close(page_fd);
}

static struct store_list *list_of(struct fake_daemon *d, const struct span s[ATTACH_STRINGS])
{
	char text[1024];
	size_t n = 0;
	for (int i = 0; i < ATTACH_STRINGS; i++) {
		MUST(n + s[i].n + 1 < sizeof text);
		if (s[i].n > 0)
			memcpy(text + n, s[i].p, s[i].n);
		n += s[i].n;
		text[n++] = '\0';
	}
	for (unsigned i = 0; i < d->list_count; i++)
		if (d->lists[i].bytes == n && memcmp(d->lists[i].text, text, n) == 0)
			return d->lists[i].list;
	MUST(d->list_count < LISTS_MAX);
	struct open_list *o = &d->lists[d->list_count];
	struct store_identity id = {.cluster = s[ATTACH_CLUSTER],
	        .group = s[ATTACH_GROUP],
	        .version = s[ATTACH_API_VERSION],
	        .resource = s[ATTACH_RESOURCE],
	        .namespace_ = s[ATTACH_NAMESPACE],
	        .labels = s[ATTACH_LABELS],
	        .fields = s[ATTACH_FIELDS],
	        .form = SPAN("object")};
	MUST(store_list_open(d->store, &id, NULL, NULL, &o->list) == ERR_OK);
	memcpy(o->text, text, n);
	o->bytes = n;
	d->list_count++;
	return o->list;
}

static void on_open(struct fake_daemon *d, struct consumer *c, const union message *in)
{
	struct answer a = {.type = ATTACH_LIST, .bytes = sizeof a.m.list};
	struct span s[ATTACH_STRINGS];
	const char *p = (const char *)in + sizeof in->spec,
	           *end = (const char *)in + in->head.bytes;
	for (int i = 0; i < ATTACH_STRINGS; i++) {
		MUST(in->spec.length[i] <= end - p);
		s[i] = (struct span){p, in->spec.length[i]};
		p += s[i].n;
	}
	if (span_is(s[ATTACH_CLUSTER], "nowhere"))
		return refuse(c, &in->head, -6, "no cluster \"nowhere\": see `kubering clusters`");
	if (span_is(s[ATTACH_RESOURCE], "nothings"))
		return refuse(c, &in->head, -7, "no resource \"nothings\" in v1");
	if (span_is(s[ATTACH_RESOURCE], "denied"))
		return refuse(c, &in->head, -4, "user 0 may not read \"denied\"");
	if (d->lie == FAKE_LIE_FULL || span_is(s[ATTACH_RESOURCE], "full"))
		return refuse(c, &in->head, -13, "limit of lists is reached");
	if (span_is(s[ATTACH_RESOURCE], "odd"))
		return refuse(c, &in->head, 77, "an error code that does not exist");
	struct store_list *l = list_of(d, s);
	MUST(d->opens + 1 < HANDLES_MAX);
	a.m.list.handle = ++d->opens;
	d->given[a.m.list.handle] = true;
	a.m.list.list = store_list_row(l, &a.m.list.list_gen);
	reply(c, &in->head, &a);
}

/* A descriptor that a client must refuse. */
static int bad_segment(enum fake_lie lie, uint64_t bytes)
{
	int fds[2];
	if (lie == FAKE_LIE_NOT_MEMFD) {
		MUST(pipe2(fds, O_CLOEXEC) == 0);
		close(fds[1]);
		return fds[0];
	}
	int fd = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(fd >= 0 && ftruncate(fd, (off_t)(lie == FAKE_LIE_SHORT ? 4096 : bytes)) == 0);
	if (lie == FAKE_LIE_SHORT)
		MUST(fcntl(fd, F_ADD_SEALS,
		             F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0);
	return fd;
}

static void on_segment(struct fake_daemon *d, struct consumer *c, const union message *in)
{
	struct answer a = {.type = ATTACH_SEGMENT_FD, .bytes = sizeof a.m.segment, .fd_count = 1};
	uint64_t bytes = 0;
	int lie = d->lie;
	int fd = store_segment(d->store, in->segment.segment, &bytes);
	if (fd < 0 || in->segment.shard != 0)
		return refuse(c, &in->head, -19, "no such segment");
	bool bad = lie == FAKE_LIE_UNSEALED || lie == FAKE_LIE_NOT_MEMFD ||
	           (lie == FAKE_LIE_SHORT && in->segment.segment > 0);
	if (bad)
		fd = bad_segment((enum fake_lie)lie, bytes);
	a.m.segment.shard = in->segment.shard;
	a.m.segment.segment = in->segment.segment;
	a.m.segment.bytes = bytes;
	a.fds[0] = fd;
	reply(c, &in->head, &a);
	if (bad)
		close(fd);
}

static void on_query(struct consumer *c, const union message *in)
{
	struct answer a = {.type = ATTACH_DOCUMENT, .bytes = sizeof a.m.document, .fd_count = 1};
	char text[512];
	const char *strings = (const char *)in + sizeof in->query;
	int n = snprintf(text, sizeof text,
	        "{\"kind\":%u,\"cluster\":\"%.*s\",\"resource\":\"%.*s\"}", in->query.kind,
	        in->query.length[0], strings, in->query.length[1], strings + in->query.length[0]);
	int fd = memfd_create("document", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(fd >= 0 && write(fd, text, (size_t)n) == n);
	a.m.document.bytes = (uint64_t)n;
	a.fds[0] = fd;
	reply(c, &in->head, &a);
	close(fd);
}

static void on_message(struct fake_daemon *d, struct consumer *c, const union message *in)
{
	struct answer ok = {.type = ATTACH_OK, .bytes = sizeof ok.m.head};
	if (d->lie == FAKE_LIE_SILENT)
		return;
	if (d->lie == FAKE_LIE_NONSENSE) {
		(void)send(c->fd, "nonsense", 8, MSG_NOSIGNAL);
		return;
	}
	if (d->lie == FAKE_LIE_CLOSE) {
		(void)shutdown(c->fd, SHUT_RDWR);
		return;
	}
	switch (in->head.type) {
	case ATTACH_HELLO: on_hello(d, c, in); break;
	case ATTACH_OPEN_LIST: on_open(d, c, in); break;
	case ATTACH_SEGMENT: on_segment(d, c, in); break;
	case ATTACH_QUERY: on_query(c, in); break;
	case ATTACH_CLOSE_LIST:
		MUST(in->ref.handle < HANDLES_MAX && d->given[in->ref.handle]);
		d->given[in->ref.handle] = false;
		d->closes++;
		reply(c, &in->head, &ok);
		break;
	default: refuse(c, &in->head, -19, "unknown request"); break;
	}
}

/* --- consumers ----------------------------------------------------------------------------------
 */

static void consumer_close(struct consumer *c)
{
	close(c->fd);
	if (c->page)
		munmap(c->page, sizeof *c->page);
	if (c->event_fd >= 0)
		close(c->event_fd);
}

static void drop_all(struct fake_daemon *d)
{
	for (unsigned i = 0; i < d->consumer_count; i++)
		consumer_close(&d->consumers[i]);
	d->consumer_count = 0;
	memset(d->given, 0, sizeof d->given);
}

static void accept_one(struct fake_daemon *d)
{
	int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	MUST(d->consumer_count < CONSUMERS_MAX);
	d->consumers[d->consumer_count++] = (struct consumer){.fd = fd, .event_fd = -1};
}

/* False: it has gone. */
static bool serve(struct fake_daemon *d, struct consumer *c)
{
	const union message *in = &d->in.m;
	ssize_t n = recv(c->fd, &d->in, sizeof d->in, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	MUST((size_t)n >= sizeof in->head && in->head.magic == ATTACH_MAGIC &&
	        in->head.version == ATTACH_VERSION && in->head.bytes == (size_t)n);
	on_message(d, c, in);
	return true;
}

static void turn(struct fake_daemon *d, const struct pollfd *p, unsigned n)
{
	fake_lock(d);
	unsigned kept = 0;
	for (unsigned i = 0; i < d->consumer_count; i++) {
		struct consumer *c = &d->consumers[i];
		bool ready = i < n && p[i + 2].fd == c->fd && p[i + 2].revents != 0;
		if (ready && !serve(d, c)) {
			consumer_close(c);
			continue;
		}
		d->consumers[kept++] = *c;
	}
	d->consumer_count = kept;
	if (p[0].revents)
		accept_one(d);
	if (d->beat)
		store_tick(d->store, fake_now() + BEAT_AHEAD_NS);
	MUST(pthread_cond_broadcast(&d->turned) == 0);
	pthread_mutex_unlock(&d->mutex);
}

static void *daemon_main(void *arg)
{
	struct fake_daemon *d = arg;
	while (!d->quit) {
		struct pollfd p[CONSUMERS_MAX + 2] = {{.fd = d->listen_fd, .events = POLLIN},
		        {.fd = d->wake_fd, .events = POLLIN}};
		fake_lock(d);
		unsigned n = d->consumer_count;
		for (unsigned i = 0; i < n; i++)
			p[i + 2] = (struct pollfd){.fd = d->consumers[i].fd, .events = POLLIN};
		pthread_mutex_unlock(&d->mutex);
		(void)poll(p, n + 2, BEAT_MS);
		if (p[1].revents) {
			uint64_t ignored;
			(void)!read(d->wake_fd, &ignored, sizeof ignored);
		}
		turn(d, p, n);
	}
	return NULL;
}

/* --- life ---------------------------------------------------------------------------------------
 */

struct fake_daemon *fake_new(const struct fake_config *config)
{
	struct fake_daemon *d = calloc(1, sizeof *d);
	struct errmsg msg = {.text = ""};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	MUST(d && strlen(config->path) < sizeof at.sun_path);
	snprintf(d->path, sizeof d->path, "%s", config->path);
	memcpy(d->incarnation, config->store.incarnation, sizeof d->incarnation);
	if (store_new(&config->store, &d->store, &msg) != ERR_OK) {
		fprintf(stderr, "fake daemon: %s\n", msg.text);
		abort();
	}
	store_tick(d->store, fake_now() + BEAT_AHEAD_NS);
	d->beat = true;
	MUST(pthread_mutex_init(&d->mutex, NULL) == 0);
	MUST(pthread_cond_init(&d->turned, NULL) == 0);
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	MUST(d->wake_fd >= 0 && d->listen_fd >= 0);
	unlink(d->path);
	memcpy(at.sun_path, d->path, strlen(d->path));
	MUST(bind(d->listen_fd, (const struct sockaddr *)&at, sizeof at) == 0);
	MUST(listen(d->listen_fd, 64) == 0);
	MUST(pthread_create(&d->thread, NULL, daemon_main, d) == 0);
	return d;
}

static void nudge(struct fake_daemon *d)
{
	uint64_t one = 1;
	MUST(write(d->wake_fd, &one, sizeof one) == sizeof one);
}

static void end(struct fake_daemon *d)
{
	d->quit = true;
	nudge(d);
	MUST(pthread_join(d->thread, NULL) == 0);
	unlink(d->path);
	close(d->listen_fd);
	drop_all(d);
	d->ended = true;
}

void fake_kill(struct fake_daemon *d)
{
	end(d);
}

void fake_stop(struct fake_daemon *d)
{
	struct answer bye = {.type = ATTACH_BYE, .bytes = sizeof bye.m.head};
	struct attach_head none = {0};
	fake_lock(d);
	store_stop(d->store);
	for (unsigned i = 0; i < d->consumer_count; i++)
		reply(&d->consumers[i], &none, &bye);
	pthread_mutex_unlock(&d->mutex);
	end(d);
}

void fake_free(struct fake_daemon **daemon)
{
	struct fake_daemon *d = *daemon;
	*daemon = NULL;
	if (!d)
		return;
	if (!d->ended)
		end(d);
	store_free(&d->store); /* the lists are not closed: a dead daemon closes nothing */
	close(d->wake_fd);
	pthread_cond_destroy(&d->turned);
	pthread_mutex_destroy(&d->mutex);
	free(d);
}

void fake_drop(struct fake_daemon *d)
{
	fake_lock(d);
	drop_all(d);
	pthread_mutex_unlock(&d->mutex);
	nudge(d);
}

void fake_lie(struct fake_daemon *d, enum fake_lie lie)
{
	d->lie = (int)lie;
}
void fake_beat(struct fake_daemon *d, bool on)
{
	fake_lock(d);
	d->beat = on;
	store_tick(
	        d->store, fake_now() + (on ? BEAT_AHEAD_NS : 0)); /* the last one, or the first */
	pthread_mutex_unlock(&d->mutex);
}

static unsigned locked_count(struct fake_daemon *d, const unsigned *what)
{
	fake_lock(d);
	unsigned n = *what;
	pthread_mutex_unlock(&d->mutex);
	return n;
}
unsigned fake_opens(struct fake_daemon *d)
{
	return locked_count(d, &d->opens);
}
unsigned fake_closes(struct fake_daemon *d)
{
	return locked_count(d, &d->closes);
}
unsigned fake_consumers(struct fake_daemon *d)
{
	return locked_count(d, &d->consumer_count);
}

static void await(struct fake_daemon *d, const unsigned *what, unsigned n)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	fake_lock(d);
	while (*what != n)
		MUST(pthread_cond_timedwait(&d->turned, &d->mutex, &until) == 0);
	pthread_mutex_unlock(&d->mutex);
}
void fake_await_consumers(struct fake_daemon *d, unsigned n)
{
	await(d, &d->consumer_count, n);
}
void fake_await_closes(struct fake_daemon *d, unsigned n)
{
	await(d, &d->closes, n);
}

void fake_block_eventfds(struct fake_daemon *d, bool full)
{
	fake_lock(d);
	for (unsigned i = 0; i < d->consumer_count; i++) {
		int fd = d->consumers[i].event_fd;
		MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
		for (uint64_t most = UINT64_MAX - 1; full && write(fd, &most, sizeof most) < 0;)
			most--; /* it holds something */
		MUST(fcntl(fd, F_SETFL, 0) == 0);
	}
	MUST(pthread_mutex_unlock(&d->mutex) == 0);
}

void fake_lock(struct fake_daemon *d)
{
	MUST(pthread_mutex_lock(&d->mutex) == 0);
}

void fake_unlock(struct fake_daemon *d)
{
	uint64_t one = 1;
	while (store_dirty_pop(d->store))
		;
	atomic_thread_fence(memory_order_seq_cst); /* client/wait.h */
	for (unsigned i = 0; i < d->consumer_count; i++) {
		const struct consumer *c = &d->consumers[i];
		if (c->page && __atomic_load_n(&c->page->waiting, __ATOMIC_RELAXED) != 0)
			(void)!write(c->event_fd, &one, sizeof one);
	}
	pthread_mutex_unlock(&d->mutex);
}

struct store *fake_store(struct fake_daemon *d)
{
	return d->store;
}

static void spec_of(struct span s[ATTACH_STRINGS], const char *cluster, const char *resource)
{
	for (int i = 0; i < ATTACH_STRINGS; i++)
		s[i] = SPAN_NONE;
	s[ATTACH_CLUSTER] = span_of(cluster);
	s[ATTACH_API_VERSION] = SPAN("v1");
	s[ATTACH_RESOURCE] = span_of(resource);
}

struct store_list *fake_list(struct fake_daemon *d, const char *cluster, const char *resource)
{
	return fake_list_in(d, cluster, resource, "");
}

struct store_list *fake_list_in(
        struct fake_daemon *d, const char *cluster, const char *resource, const char *namespace_)
{
	struct span s[ATTACH_STRINGS];
	spec_of(s, cluster, resource);
	s[ATTACH_NAMESPACE] = span_of(namespace_);
	return list_of(d, s);
}

void fake_close_list(struct fake_daemon *d, const char *cluster, const char *resource)
{
	struct store_list *l = fake_list(d, cluster, resource);
	for (unsigned i = 0; i < d->list_count; i++) {
		if (d->lists[i].list != l)
			continue;
		store_list_close(&d->lists[i].list, fake_now());
		d->lists[i].bytes = 0; /* the next one opens it anew */
	}
}
