#include "control/consumers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "config/settings.h"
#include "control/core.h"
#include "include/kubering.h"

enum { ENDING_LOOKS = 20, ENDING_LOOK_NS = 10000000, CONSUMERS_LOG_S = 60 };

struct pending_send {
	struct list link;
	int fd;
	uint32_t bytes;
	char data[];
};

/* --- the socket -------------------------------------------------------------------------- */

#define SOCKET_EARLY ".new" /* behind the name of one that does not listen yet */
enum { SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof SOCKET_EARLY };

/* A lock beside the socket tells a living daemon from a socket file that a dead one left. */
static err_t take_lock(struct control *c, const char *path, struct errmsg *m)
{
	char lock[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	snprintf(lock, sizeof lock, "%s.lock", path);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errmsg_set(m, ERR_CONFIG,
		        "cannot make %s (%s): check the directory, or choose another path with "
		        "--socket",
		        lock, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return errmsg_set(m, ERR_CONFIG,
		        "another kuberingd serves %s: use that one, stop it, or choose another "
		        "path with --socket",
		        path);
	}
	c->consumers.lock_fd = fd;
	return ERR_OK;
}

static void make_directory(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	snprintf(dir, sizeof dir, "%s", path);
	char *slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		if (mkdir(dir, 0755) == 0)       /* if that fails, the lock says why */
			(void)!chmod(dir, 0755); /* whatever the umask: it is for consumers */
	}
}

static void on_listener(struct loop_fd *f, uint32_t events);
static void on_again(struct loop_timer *t);

/* path: checked against SOCKET_PATH_MAX; more: what stands behind it. */
static struct sockaddr_un address_of(const char *path, const char *more)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path, sizeof a.sun_path, "%s%s", path, more);
	CHECK((size_t)n < sizeof a.sun_path);
	return a;
}

/* The lock tells of kuberingd only; any program may listen there, with a socket of any type. */
static bool is_served(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 &&
	            errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return !dead;
}

/* What a dead daemon left. Anything else at that path is somebody's, and the new socket does not
 * get the name then. A daemon that is just ending gives up its lock a moment before its socket. */
static void remove_old_socket(const struct sockaddr_un *a)
{
	struct stat st;
	if (lstat(a->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	for (int i = 0; i < ENDING_LOOKS; i++) {
		if (!is_served(a)) {
			(void)!unlink(a->sun_path);
			return;
		}
		(void)nanosleep(&(struct timespec){0, ENDING_LOOK_NS}, NULL);
	}
}

/* A socket at that path. It gets its name when it listens and is open to all, so whoever finds it
 * can connect. -1: errno says why. */
static int listen_at(const char *path)
{
	struct sockaddr_un named = address_of(path, ""), early = address_of(path, SOCKET_EARLY);
	remove_old_socket(&named);
	remove_old_socket(&early); /* of a start that did not come to its end */
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool done = fd >= 0 && bind(fd, (struct sockaddr *)&early, sizeof early) == 0 &&
	            listen(fd, 1024) == 0 && chmod(early.sun_path, 0666) == 0 &&
	            link(early.sun_path, path) == 0;
	int e = errno == EEXIST ? EADDRINUSE : errno;
	(void)!unlink(early.sun_path);
	if (!done && fd >= 0)
		close(fd);
	errno = e;
	return done ? fd : -1;
}

err_t consumers_listen(struct control *c, struct errmsg *m)
{
	const char *path = c->config.socket_path;
	if (strlen(path) > SOCKET_PATH_MAX)
		return errmsg_set(m, ERR_CONFIG,
		        "socket path %s is longer than %d bytes: choose another with --socket",
		        path, (int)SOCKET_PATH_MAX);
	make_directory(path);
	err_t err = take_lock(c, path, m);
	if (err)
		return err;
	char *own = strdup(path);
	if (!own)
		return errmsg_set(m, ERR_NO_MEMORY, "socket of kuberingd");
	int fd = listen_at(path);
	if (fd < 0) {
		free(own);
		return errmsg_set(m, ERR_CONFIG,
		        "cannot listen on %s (%s): choose another path with --socket", path,
		        strerror(errno));
	}
	c->consumers.path = own;
	loop_timer_init(&c->consumers.again, on_again);
	return loop_listen(c->loop, &c->consumers.listener, fd, on_listener);
}

/* --- one consumer ------------------------------------------------------------------------ */

static void free_sends(struct consumer *k)
{
	for (struct list *it; (it = list_pop(&k->sends));) {
		struct pending_send *p = CONTAINER_OF(it, struct pending_send, link);
		if (p->fd >= 0)
			close(p->fd);
		free(p);
	}
	k->send_count = 0;
}

static void drop_mail(struct list *mail)
{
	for (struct list *it; (it = list_pop(mail));) {
		struct reactor_msg *m = CONTAINER_OF(it, struct reactor_msg, link);
		reactor_msg_free(&m);
	}
}

static void consumer_free(struct consumer *k)
{
	struct control *c = k->control;
	c->consumers.rows[k->id] = NULL;
	c->consumers.count--;
	if (k->page)
		munmap(k->page, sizeof *k->page);
	if (k->page_fd >= 0)
		close(k->page_fd);
	if (k->eventfd >= 0)
		close(k->eventfd);
	if (k->user && !k->leaving)
		k->user->consumers--;
	user_put(&k->user);
	hash_index_fini(&k->by_handle);
	hash_index_fini(&k->by_list);
	drop_mail(&k->goodbyes);
	free(k->groups);
	free(k);
}

void consumers_on_gone(struct control *c, uint32_t id)
{
	struct consumer *k = c->consumers.rows[id];
	if (k && ++k->gone_from == c->config.reactor_count)
		consumer_free(k);
}

/* A message to each reactor. false: out of memory; what there is, the caller drops. */
static bool write_mail(const struct consumer *k, enum reactor_msg_type type, struct list *mail)
{
	for (uint32_t i = 0; i < k->control->config.reactor_count; i++) {
		struct reactor_msg *m = reactor_msg_new(type);
		if (!m)
			return false;
		m->id = k->id;
		m->consumer.eventfd = k->eventfd;
		m->consumer.page = k->page;
		m->consumer.foreign = !user_is_ours(k->uid);
		list_push(mail, &m->link);
	}
	return true;
}

static void post_mail(struct control *c, struct list *mail)
{
	uint32_t i = 0;
	for (struct list *it; (it = list_pop(mail));)
		control_post(c, i++, CONTAINER_OF(it, struct reactor_msg, link));
}

void opening_join(struct opening *o, struct open_list *l)
{
	o->list = l;
	hash_index_add(&o->consumer->by_list, &o->by_list, l->id);
}

void opening_part(struct opening *o)
{
	hash_index_remove(&o->consumer->by_list, &o->by_list);
	o->list = NULL;
}

bool consumer_has(const struct consumer *k, const struct open_list *l)
{
	return hash_index_first(&k->by_list, l->id); /* ids are of one list each */
}

static void forget_statuses(struct consumer *k)
{
	k->user->statuses -= k->status_sent;
	k->status_sent = 0;
}

void consumer_leave(struct consumer *k)
{
	struct control *c = k->control;
	if (k->leaving)
		return;
	k->leaving = true;
	k->user->consumers--;
	for (struct list *it; (it = list_pop(&k->openings));) {
		struct opening *o = CONTAINER_OF(it, struct opening, link);
		lists_leave(c, o);
		free(o);
	}
	k->user->openings -= k->opening_count;
	hash_index_fini(&k->by_handle);
	control_drop_questions(c, k);
	forget_statuses(k);
	free_sends(k);
	int fd = k->fd.fd;
	loop_unwatch(c->loop, &k->fd);
	close(fd);
	post_mail(c, &k->goodbyes);
}

void consumer_cut_off(struct consumer *k)
{
	k->control->consumers.cut_off += !k->leaving;
	consumer_leave(k);
}

static bool send_fds(int sock, const void *data, uint32_t n, const int *fds, size_t fd_count)
{
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} u = {0};
	struct iovec iov = {(void *)(uintptr_t)data, n};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd_count) {
		h.msg_control = u.buf;
		h.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *cm = CMSG_FIRSTHDR(&h);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, fd_count * sizeof(int));
	}
	return sendmsg(sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static bool send_one(int sock, const void *data, uint32_t n, int fd)
{
	return send_fds(sock, data, n, &fd, fd >= 0);
}

void consumer_welcome(struct consumer *k, struct attach_head *m)
{
	m->magic = ATTACH_MAGIC;
	m->version = ATTACH_VERSION;
	if (!send_fds(k->fd.fd, m, m->bytes, (int[]){k->page_fd, k->eventfd}, 2))
		consumer_leave(k);
}

static void queue_send(struct consumer *k, const struct attach_head *m, int fd)
{
	struct pending_send *p =
	        k->send_count < CONSUMER_SENDS_MAX ? malloc(sizeof *p + m->bytes) : NULL;
	if (!p) {
		if (fd >= 0)
			close(fd);
		consumer_cut_off(k); /* it asks and does not read */
		return;
	}
	p->fd = fd;
	p->bytes = m->bytes;
	memcpy(p->data, m, m->bytes);
	list_push(&k->sends, &p->link);
	k->send_count++;
	loop_set_events(k->control->loop, &k->fd, EPOLLIN | EPOLLOUT);
}

static void sign(struct attach_head *m)
{
	m->magic = ATTACH_MAGIC;
	m->version = ATTACH_VERSION;
}

void consumer_send(struct consumer *k, struct attach_head *m, int fd)
{
	sign(m);
	if (k->leaving) {
		if (fd >= 0)
			close(fd);
		return;
	}
	bool sent = !k->send_count && send_one(k->fd.fd, m, m->bytes, fd);
	int why = errno;
	if (!sent && (k->send_count || why == EAGAIN)) {
		queue_send(k, m, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (sent)
		return;
	if (why == EPIPE || why == ECONNRESET)
		consumer_leave(k);
	else /* too many descriptors wait in its socket: to wait for it would be a loop */
		consumer_cut_off(k);
}

/* Has it read what it was sent? */
static void look_at_statuses(struct consumer *k)
{
	int unread = 0;
	if (k->status_sent && !k->leaving && !k->send_count &&
	        ioctl(k->fd.fd, SIOCOUTQ, &unread) == 0 && !unread)
		forget_statuses(k);
}

bool consumer_takes_status(struct consumer *k)
{
	const struct user *u = k->user;
	look_at_statuses(k);
	if (k->status_count + k->status_sent >= CONSUMER_STATUSES_MAX)
		return false;
	for (uint32_t i = 0; u->statuses >= USER_STATUSES_MAX && i < REACTOR_CONSUMERS_MAX; i++) {
		struct consumer *other = k->control->consumers.rows[i];
		if (other && other->user == u)
			look_at_statuses(other);
	}
	return u->statuses < USER_STATUSES_MAX;
}

static void flush_sends(struct consumer *k)
{
	while (!list_empty(&k->sends)) {
		struct pending_send *p = CONTAINER_OF(k->sends.next, struct pending_send, link);
		if (!send_one(k->fd.fd, p->data, p->bytes, p->fd)) {
			if (errno != EAGAIN)
				consumer_leave(k);
			return;
		}
		list_unlink(&p->link);
		if (p->fd >= 0)
			close(p->fd);
		free(p);
		k->send_count--;
	}
	loop_set_events(k->control->loop, &k->fd, EPOLLIN);
}

static struct attach_error error_of(uint32_t request, int32_t code, err_t err, const char *text)
{
	struct attach_error e = {.head = {.type = ATTACH_ERROR, .id = request, .bytes = sizeof e},
	        .code = code,
	        .err = (uint32_t)err};
	snprintf(e.text, sizeof e.text, "%s", text);
	return e;
}

void consumer_fail(struct consumer *k, uint32_t request, int32_t code, err_t err, const char *text)
{
	struct attach_error e = error_of(request, code, err, text);
	consumer_send(k, &e.head, -1);
}

/* What one message asks for may be several of ours: a reactor that hangs, or has much to do, does
 * not collect them. */
static bool is_behind(const struct control *c)
{
	for (uint32_t i = 0; i < c->config.reactor_count; i++)
		if (reactor_waiting(c->reactors[i]) > CONSUMERS_BACKLOG_MAX)
			return true;
	return false;
}

static void leave_unheard(struct consumer *k)
{
	struct control *c = k->control;
	k->unheard = true;
	loop_set_events(c->loop, &k->fd, k->send_count ? EPOLLOUT : 0);
	if (c->consumers.again.timer.at_ns == UINT64_MAX)
		loop_timer_set(c->loop, &c->consumers.again,
		        loop_now_ns(c->loop) + CONSUMERS_UNHEARD_MS * 1000000ull);
}

static void on_again(struct loop_timer *t)
{
	struct control *c = CONTAINER_OF(t, struct control, consumers.again);
	for (uint32_t i = 0; i < REACTOR_CONSUMERS_MAX; i++) {
		struct consumer *k = c->consumers.rows[i];
		if (!k || !k->unheard || k->leaving)
			continue;
		k->unheard = false;
		loop_set_events(c->loop, &k->fd, k->send_count ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
}

static void on_consumer(struct loop_fd *f, uint32_t events)
{
	struct consumer *k = CONTAINER_OF(f, struct consumer, fd);
	if (events & EPOLLOUT)
		flush_sends(k);
	if (!k->leaving && is_behind(k->control)) {
		if (events & EPOLLHUP)
			consumer_leave(k);
		else
			leave_unheard(k);
		return;
	}
	for (int i = 0; i < 16 && !k->leaving; i++) { /* bounded: others want their turn */
		char buf[ATTACH_BYTES_MAX];
		ssize_t n = recv(f->fd, buf, sizeof buf, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			consumer_leave(k);
			return;
		}
		if ((size_t)n > sizeof buf) { /* n is the packet's length (MSG_TRUNC) */
			consumer_cut_off(k);
			return;
		}
		attach_on_message(k, buf, (size_t)n);
	}
}

/* --- a new one --------------------------------------------------------------------------- */

/* Its own group and the others: with a directory service a user has hundreds. */
static bool read_groups(struct consumer *k, int fd, gid_t own)
{
	gid_t few[1];
	socklen_t n = sizeof few; /* too small: the kernel says how many bytes there are */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &n) < 0 && errno != ERANGE)
		n = 0;
	k->groups = malloc(sizeof own + n);
	if (!k->groups || (n && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, k->groups + 1, &n) < 0))
		return false;
	k->groups[0] = own;
	k->group_count = 1 + (uint32_t)(n / sizeof own);
	return true;
}

static bool who_is_it(struct consumer *k, int fd)
{
	struct ucred u;
	socklen_t n = sizeof u;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0)
		return false;
	k->pid = (uint32_t)u.pid;
	k->uid = u.uid;
	k->gid = u.gid;
	k->user = user_get(k->control, u.uid);
	if (k->user)
		k->user->consumers++;
	return k->user && read_groups(k, fd, u.gid);
}

static bool make_page(struct consumer *k)
{
	k->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->page_fd = memfd_create("kubering-consumer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (k->eventfd < 0 || k->page_fd < 0 || ftruncate(k->page_fd, sizeof *k->page) < 0 ||
	        fcntl(k->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return false;
	void *p = mmap(NULL, sizeof *k->page, PROT_READ | PROT_WRITE, MAP_SHARED, k->page_fd, 0);
	k->page = p == MAP_FAILED ? NULL : p;
	return k->page;
}

/* Room for one more, itself counted already; else text says which limit is reached. When others
 * have taken all places, root and the daemon's own user can still ask for its status and reload it.
 */
static bool within_quota(const struct control *c, const struct user *u, char *text, size_t cap)
{
	uint32_t max = (uint32_t)c->config.settings->limits.consumers_max;
	uint32_t kept = user_is_ours(u->uid) ? CONSUMER_KEPT : 0;
	if (u->consumers > CONSUMER_PER_UID_MAX)
		snprintf(text, cap,
		        "user %u has %d connections to kuberingd open, which is the most: close "
		        "some",
		        u->uid, CONSUMER_PER_UID_MAX);
	else if (c->consumers.count > max + kept)
		snprintf(text, cap,
		        "%u consumers are attached, which is the most: close some, or raise "
		        "`limits.consumersMax` of kubering.yaml",
		        max);
	else
		return true;
	return false;
}

/* Says why, and closes. Whoever has sent its HELLO already, or sends it now, still finds the
 * message in its socket (link_recv). It may try again and again: the log is told once a minute. */
static void turn_away(struct control *c, int fd, const char *text)
{
	struct attach_error e = error_of(0, KR_ERR_LIMIT, ERR_LIMIT, text);
	struct consumers *t = &c->consumers;
	uint64_t now = loop_now_ns(c->loop);
	char line[320];
	sign(&e.head);
	(void)send_one(fd, &e, sizeof e, -1);
	close(fd);
	t->refused++;
	if (t->refused_logged_ns && now - t->refused_logged_ns < CONSUMERS_LOG_S * 1000000000ull)
		return;
	t->refused_logged_ns = now;
	snprintf(line, sizeof line, "a consumer was turned away: %s", text);
	c->config.warn(line);
}

static struct consumer *new_consumer(struct control *c)
{
	uint32_t id = 0;
	while (id < REACTOR_CONSUMERS_MAX && c->consumers.rows[id])
		id++;
	struct consumer *k = id < REACTOR_CONSUMERS_MAX ? calloc(1, sizeof *k) : NULL;
	if (!k)
		return NULL;
	k->control = c;
	k->id = id;
	k->page_fd = k->eventfd = -1;
	k->since_ns = loop_now_ns(c->loop);
	k->fd.on_ready = on_consumer;
	list_init(&k->openings);
	list_init(&k->sends);
	list_init(&k->goodbyes);
	c->consumers.rows[id] = k;
	c->consumers.count++;
	return k;
}

static void admit(struct control *c, int fd)
{
	char text[256];
	struct list welcomes;
	struct consumer *k = new_consumer(c);
	list_init(&welcomes);
	if (!k || !who_is_it(k, fd)) {
		turn_away(c, fd, "kuberingd has no room for a consumer more");
	} else if (!within_quota(c, k->user, text, sizeof text)) {
		turn_away(c, fd, text);
	} else if (!make_page(k) || !write_mail(k, REACTOR_CONSUMER_ADD, &welcomes) ||
	           !write_mail(k, REACTOR_CONSUMER_REMOVE, &k->goodbyes) ||
	           loop_watch(c->loop, &k->fd, fd, EPOLLIN) != ERR_OK) {
		turn_away(c, fd,
		        "kuberingd is out of memory or descriptors for a consumer more: close "
		        "some, or raise its limit (ulimit -n)");
	} else {
		post_mail(c, &welcomes);
		return;
	}
	drop_mail(&welcomes);
	if (k)
		consumer_free(k);
}

static void on_listener(struct loop_fd *f, uint32_t events)
{
	struct control *c = CONTAINER_OF(f, struct control, consumers.listener.sock);
	(void)events;
	for (int i = 0; i < 16; i++) {
		int fd = loop_accept(&c->consumers.listener);
		if (fd < 0)
			return;
		admit(c, fd);
	}
}

void consumers_bye(struct control *c)
{
	loop_unwatch(c->loop,
	        &c->consumers.listener.sock); /* nobody new; the socket goes in consumers_fini */
	for (uint32_t i = 0; i < REACTOR_CONSUMERS_MAX; i++) {
		struct consumer *k = c->consumers.rows[i];
		if (!k || k->leaving)
			continue;
		struct attach_head bye = {.type = ATTACH_BYE, .bytes = sizeof bye};
		consumer_send(k, &bye, -1);
		consumer_leave(k);
	}
}

void consumers_fini(struct control *c)
{
	if (c->consumers.path) {
		loop_timer_set(c->loop, &c->consumers.again, UINT64_MAX);
		loop_listener_close(&c->consumers.listener);
		(void)!unlink(c->consumers.path);
	}
	for (uint32_t i = 0; i < REACTOR_CONSUMERS_MAX; i++)
		if (c->consumers.rows[i])
			consumer_free(c->consumers.rows[i]);
	if (c->consumers.lock_fd >= 0)
		close(c->consumers.lock_fd);
	free(c->consumers.path);
}
