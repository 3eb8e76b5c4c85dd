#include "control/metrics.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/core.h"
#include "control/report.h"

/* Owner: control->metrics. Life: accept to the end of its one answer. */
struct metrics_conn {
	struct list link;
	struct loop_fd fd;
	struct control *control;
	struct report answer;
	size_t sent, got;
	char request[METRICS_REQUEST_BYTES_MAX];
};

/* --- HTTP -------------------------------------------------------------------------------- */

static void close_conn(struct metrics_conn *k)
{
	int fd = k->fd.fd;
	loop_unwatch(k->control->loop, &k->fd);
	close(fd);
	list_unlink(&k->link);
	k->control->metrics.connection_count--;
	report_fini(&k->answer);
	free(k);
}

static void answer(struct metrics_conn *k)
{
	const struct control *c = k->control;
	struct report body = {0};
	int status = 200;
	const char *type = "text/plain; charset=utf-8";
	char *path = k->request + 4, *end = strpbrk(path, " ?\r");
	if (strncmp(k->request, "GET ", 4) != 0 || !end) {
		status = 400;
		report_printf(&body, "bad request\n");
	} else if (*end = 0, strcmp(path, "/metrics") == 0) {
		type = "text/plain; version=0.0.4; charset=utf-8";
		metrics_write(c, &body);
	} else if (strcmp(path, "/livez") == 0 || strcmp(path, "/healthz") == 0) {
		status = metrics_is_live(c) ? 200 : 503;
		report_printf(&body, status == 200 ? "ok" : "a reactor is stuck\n");
	} else if (strcmp(path, "/readyz") == 0) {
		status = metrics_is_live(c) && metrics_is_ready(c) ? 200 : 503;
		report_printf(&body, status == 200 ? "ok" : "first lists are still on their way\n");
	} else {
		status = 404;
		report_printf(&body, "there are /metrics, /livez and /readyz\n");
	}
	report_printf(&k->answer,
	        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
	        "close\r\n\r\n",
	        status,
	        status == 200   ? "OK"
	        : status == 503 ? "Service Unavailable"
	        : status == 404 ? "Not Found"
	                        : "Bad Request",
	        type, body.n);
	report_add(&k->answer, (struct span){body.p, body.n});
	k->answer.failed |= body.failed; /* half of the numbers is worse than no answer */
	report_fini(&body);
}

static void on_conn(struct loop_fd *f, uint32_t events)
{
	struct metrics_conn *k = CONTAINER_OF(f, struct metrics_conn, fd);
	(void)events;
	if (!k->answer.n) {
		ssize_t n = recv(
		        f->fd, k->request + k->got, sizeof k->request - 1 - k->got, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		k->got += n > 0 ? (size_t)n : 0;
		k->request[k->got] = 0;
		bool whole = strstr(k->request, "\r\n\r\n") != NULL;
		if (n <= 0 || (!whole && k->got == sizeof k->request - 1)) {
			close_conn(k);
			return;
		}
		if (!whole)
			return;
		answer(k);
	}
	ssize_t n = send(
	        f->fd, k->answer.p + k->sent, k->answer.n - k->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		k->sent += (size_t)n;
	if (k->answer.failed || k->sent == k->answer.n ||
	        (n < 0 && errno != EAGAIN && errno != EINTR))
		close_conn(k);
	else
		loop_set_events(k->control->loop, f, EPOLLOUT);
}

static void on_listener(struct loop_fd *f, uint32_t events)
{
	struct control *c = CONTAINER_OF(f, struct control, metrics.listener.sock);
	(void)events;
	int fd = loop_accept(&c->metrics.listener);
	if (fd < 0)
		return;
	/* When all places are taken the oldest goes: somebody connects and says nothing. */
	if (c->metrics.connection_count == METRICS_CONNECTIONS_MAX)
		close_conn(CONTAINER_OF(c->metrics.connections.next, struct metrics_conn, link));
	struct metrics_conn *k = calloc(1, sizeof *k);
	if (!k) {
		close(fd);
		return;
	}
	k->control = c;
	k->fd.on_ready = on_conn;
	list_push(&c->metrics.connections, &k->link);
	c->metrics.connection_count++;
	if (loop_watch(c->loop, &k->fd, fd, EPOLLIN)) {
		k->fd.fd = fd;
		close_conn(k);
	}
}

err_t metrics_listen(struct control *c, struct errmsg *m)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	        .sin_port = htons(c->config.metrics_port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;
	list_init(&c->metrics.connections);
	if (!c->config.metrics_port)
		return ERR_OK;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		(void)!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 64) < 0) {
		int e = errno;
		if (fd >= 0)
			close(fd);
		return errmsg_set(m, ERR_CONFIG,
		        "metrics cannot listen on 127.0.0.1:%u (%s): choose another port in "
		        "metrics.listen",
		        c->config.metrics_port, strerror(e));
	}
	return loop_listen(c->loop, &c->metrics.listener, fd, on_listener);
}

void metrics_fini(struct control *c)
{
	if (!c->metrics.listener.sock.watched)
		return;
	while (!list_empty(&c->metrics.connections))
		close_conn(CONTAINER_OF(c->metrics.connections.next, struct metrics_conn, link));
	loop_listener_close(&c->metrics.listener);
}
