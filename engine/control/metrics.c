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
#include "control/questions.h"
#include "control/report.h"
#include "store/store.h"

/* Owner: control->metrics. Life: accept to the end of its one answer. */
struct metrics_conn {
	struct list link;
	struct loop_fd fd;
	struct control *control;
	struct report answer;
	size_t sent, got;
	char request[METRICS_REQUEST_BYTES_MAX];
};

/* --- what there is to say ---------------------------------------------------------------- */

/* Sums over the lists, read from their rows. */
struct sums {
	uint64_t lists, live, stale, parked, pinned_waiting, objects, bytes, events, relists;
};

static void add_list(struct sums *s, const struct open_list *l, struct list_reader *r)
{
	struct shm_list row = {0};
	bool read = list_reader_row(r, l, &row);
	s->lists++;
	s->pinned_waiting += l->pinned && !(read && row.whole);
	if (!read)
		return;
	s->live += row.state == SHM_LIST_LIVE;
	s->parked += row.state == SHM_LIST_PARKED;
	s->stale += row.whole && row.state != SHM_LIST_LIVE;
	s->objects += row.objects;
	s->bytes += row.bytes;
	s->events += row.events;
	s->relists += row.relists;
}

static void sum_up(const struct control *c, struct sums *s)
{
	struct list_reader *r = list_reader_new(c);
	*s = (struct sums){0};
	for (uint32_t i = 0; r && i < c->lists.count; i++)
		if (c->lists.rows[i])
			add_list(s, c->lists.rows[i], r);
	list_reader_free(&r);
}

static void family(struct report *t, const char *name, const char *kind, const char *help)
{
	report_printf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void metric(
        struct report *t, const char *name, const char *kind, const char *help, uint64_t value)
{
	family(t, name, kind, help);
	report_printf(t, "%s %llu\n", name, (unsigned long long)value);
}

static uint64_t silence_ns(const struct control *c)
{
	uint64_t now = loop_now_ns(c->loop), worst = 0;
	for (uint32_t i = 0; i < c->config.reactor_count; i++) {
		uint64_t turned = reactor_turned_ns(c->reactors[i]);
		worst = now > turned && now - turned > worst ? now - turned : worst;
	}
	return worst;
}

static void write_metrics(const struct control *c, struct report *t)
{
	struct sums s;
	struct store_usage u, all = {0};
	sum_up(c, &s);
	for (uint32_t i = 0; i < CONTROL_SHARDS_MAX; i++) {
		if (!c->shards[i])
			continue;
		store_usage_told(c->shards[i], &u);
		all.live_bytes += u.live_bytes;
		all.retained_bytes += u.retained_bytes;
		all.segment_bytes += u.segment_bytes;
	}
	family(t, "kubering_build_info", "gauge", "Version of the daemon.");
	report_printf(t, "kubering_build_info{version=\"%s\"} 1\n", KR_VERSION);
	family(t, "kubering_io_backend_info", "gauge", "How the reactors talk to the kernel.");
	report_printf(t, "kubering_io_backend_info{backend=\"%s\"} 1\n", io_kind_name(c->io_kind));
	metric(t, "kubering_clusters", "gauge",
	        "Clusters that the configuration or a Headlamp backend names.",
	        c->clusters.by_name.count);
	metric(t, "kubering_headlamp_backends", "gauge", "Headlamp backends.", c->backends.count);
	metric(t, "kubering_headlamp_backends_answering", "gauge",
	        "Headlamp backends whose last list of clusters was good.", backends_answering(c));
	metric(t, "kubering_consumers", "gauge", "Attached processes.", c->consumers.count);
	metric(t, "kubering_lists", "gauge", "Open lists.", s.lists);
	metric(t, "kubering_lists_live", "gauge", "Lists that are whole and fresh.", s.live);
	metric(t, "kubering_lists_stale", "gauge", "Lists that are kept but not live.", s.stale);
	metric(t, "kubering_lists_parked", "gauge", "Lists that are forbidden or absent.",
	        s.parked);
	metric(t, "kubering_objects", "gauge", "Objects in all lists.", s.objects);
	metric(t, "kubering_object_bytes", "gauge", "JSON bytes of all objects.", s.bytes);
	metric(t, "kubering_open_lists_events", "gauge",
	        "Events applied to the lists that are open now.", s.events);
	metric(t, "kubering_open_lists_relists", "gauge", "Relists of the lists that are open now.",
	        s.relists);
	metric(t, "kubering_shm_live_bytes", "gauge", "Shared memory in use by objects.",
	        all.live_bytes);
	metric(t, "kubering_shm_retained_bytes", "gauge", "Replaced objects kept for followers.",
	        all.retained_bytes);
	metric(t, "kubering_shm_segment_bytes", "gauge", "Size of all segments.",
	        all.segment_bytes);
	family(t, "kubering_audits_total", "counter",
	        "Self-audits of lists (auditSeconds, kubering audit) by what came of them.");
	for (int v = 0; v < AUDIT_VERDICTS; v++)
		report_printf(t, "kubering_audits_total{verdict=\"%s\"} %llu\n",
		        audits_word((enum reactor_verdict)v),
		        (unsigned long long)c->audits.count[v]);
	family(t, "kubering_reactor_silence_seconds", "gauge",
	        "Longest time since a reactor turned.");
	report_printf(t, "kubering_reactor_silence_seconds %.3f\n", (double)silence_ns(c) / 1e9);
}

static bool is_live(const struct control *c)
{
	return silence_ns(c) < METRICS_STUCK_NS;
}

static bool is_ready(const struct control *c)
{
	struct sums s;
	if (loop_now_ns(c->loop) - c->started_ns > METRICS_READY_S * 1000000000ull)
		return true; /* one dead cluster must not keep the others from being served */
	sum_up(c, &s);
	return s.pinned_waiting == 0 && !questions_of_pins(c) && backends_were_asked(c);
}

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
		write_metrics(c, &body);
	} else if (strcmp(path, "/livez") == 0 || strcmp(path, "/healthz") == 0) {
		status = is_live(c) ? 200 : 503;
		report_printf(&body, status == 200 ? "ok" : "a reactor is stuck\n");
	} else if (strcmp(path, "/readyz") == 0) {
		status = is_live(c) && is_ready(c) ? 200 : 503;
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
