#include "host/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_BYTES_MAX 65536
#define ANSWER_WAIT_MS 1000

static void user_close(struct control_user *u)
{
	close(u->source.fd);
	u->source.fd = -1;
	model_text_fini(&u->in);
}

/* Answers are short but for list-at; a user who does not read for a second is dropped, since one
 * thread serves everything. */
static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0 && errno == EAGAIN) {
			struct pollfd pf = {.fd = fd, .events = POLLOUT};
			if (poll(&pf, 1, ANSWER_WAIT_MS) <= 0)
				return false;
			continue;
		}
		if (k < 0 && errno != EINTR)
			return false;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return true;
}

static bool run_lines(struct control_user *u)
{
	char *eol;
	size_t from = 0;
	bool ok = true;
	while (ok && (eol = memchr(u->in.p + from, '\n', u->in.n - from))) {
		struct model_text out = {0};
		u->waits = !command_run(u->control->target,
		        (struct span){u->in.p + from, (size_t)(eol - u->in.p) - from}, &out);
		if (u->waits) {
			model_text_fini(&out);
			break;
		}
		TEXT_LIT(&out, "\n");
		ok = send_all(u->source.fd, out.p, out.n);
		model_text_fini(&out);
		from = (size_t)(eol - u->in.p) + 1;
	}
	memmove(u->in.p, u->in.p + from, u->in.n - from);
	u->in.n -= from;
	return ok && u->in.n <= LINE_BYTES_MAX;
}

static void user_on_ready(struct serve_source *src, uint32_t events)
{
	struct control_user *u = CONTAINER_OF(src, struct control_user, source);
	char buf[4096];
	(void)events;
	ssize_t n = recv(src->fd, buf, sizeof buf, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		model_text_put(&u->in, buf, (size_t)n);
	if (n <= 0 || !run_lines(u))
		user_close(u);
}

static void listener_on_ready(struct serve_source *src, uint32_t events)
{
	struct control *c = CONTAINER_OF(src, struct control, listener);
	(void)events;
	int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	for (size_t i = 0; i < CONTROL_USERS_MAX; i++) {
		struct control_user *u = &c->users[i];
		if (u->source.fd >= 0)
			continue;
		*u = (struct control_user){.source = {user_on_ready, fd}, .control = c};
		if (!serve_watch(c->target->serve, &u->source))
			user_close(u);
		return;
	}
	close(fd);
}

bool control_init(struct control *c, struct command_target *t, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	*c = (struct control){.target = t, .path = path, .listener = {listener_on_ready, -1}};
	for (size_t i = 0; i < CONTROL_USERS_MAX; i++)
		c->users[i].source.fd = -1;
	if (strlen(path) >= sizeof a.sun_path) {
		fprintf(stderr, "fakekube: --control %s: the path is longer than %zu bytes\n", path,
		        sizeof a.sun_path - 1);
		return false;
	}
	memcpy(a.sun_path, path, strlen(path));
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	c->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t old = umask(0077);
	bool ok = c->listener.fd >= 0 &&
	          bind(c->listener.fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	          listen(c->listener.fd, 16) == 0 && serve_watch(t->serve, &c->listener);
	umask(old);
	if (!ok)
		fprintf(stderr, "fakekube: --control %s: %s\n", path, strerror(errno));
	return ok;
}

void control_turn(struct control *c)
{
	for (size_t i = 0; i < CONTROL_USERS_MAX; i++) {
		struct control_user *u = &c->users[i];
		if (u->source.fd >= 0 && u->waits && !run_lines(u))
			user_close(u);
	}
}

void control_fini(struct control *c)
{
	for (size_t i = 0; i < CONTROL_USERS_MAX; i++)
		if (c->users[i].source.fd >= 0)
			user_close(&c->users[i]);
	if (c->listener.fd >= 0) {
		close(c->listener.fd);
		unlink(c->path);
	}
}
