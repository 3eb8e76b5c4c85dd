/* metrics_test.c - /metrics, /livez and /readyz: what a probe is told, and what hostile or
 * half-dead peers cost. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include "unit/control/rig.h"

/* One that stays ours: the socket stays bound to it, beside which only those who set SO_REUSEADDR
 * may be, as the daemon does. Behind bind(), or two of us could get the same. */
static uint16_t free_port(void)
{
	static int keeper = -1;
	const int one = 1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	if (keeper >= 0)
		close(keeper);
	keeper = fd;
	return ntohs(a.sin_port);
}

static void start(struct rig *g)
{
	rig_config(g);
	g->metrics_port = free_port();
	rig_start(g);
	g->io.now_ns = loop_now_ns(g->control->loop); /* else its reactor seems to be stuck */
}

static int call(const struct rig *g)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	        .sin_port = htons(g->metrics_port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* The status of the answer; 0: none, the connection was closed. */
static int status_of(struct rig *g, int fd)
{
	static char all[1 << 16];
	size_t n = 0;
	int status = 0;
	for (int i = 0; i < 200; i++) {
		ssize_t got = recv(fd, all + n, sizeof all - 1 - n, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			break;
		if (got > 0)
			n += (size_t)got;
		else
			both(g);
	}
	all[n] = 0;
	close(fd);
	(void)sscanf(all, "HTTP/1.1 %d", &status);
	return status;
}

static int get(struct rig *g, const char *path)
{
	char text[128];
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	int fd = call(g);
	assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
	return status_of(g, fd);
}

static void answers_what_it_is_asked(void **state)
{
	struct rig g;
	(void)state;
	start(&g);
	both(&g);
	assert_int_equal(get(&g, "/metrics"), 200);
	assert_int_equal(get(&g, "/livez?verbose"), 200);
	assert_int_equal(get(&g, "/readyz"), 200);
	assert_int_equal(get(&g, "/"), 404);
	assert_int_equal(get(&g, "/metricsx"), 404);
	int fd = call(&g);
	assert_int_equal(send(fd, "POST / HTTP/1.1\r\n\r\n", 19, MSG_NOSIGNAL), 19);
	assert_int_equal(status_of(&g, fd), 400);
	fd = call(&g);
	for (const char *p = "GET /livez HTTP/1.1\r\n\r\n"; *p; p++) {
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
		control_turn(&g);
	}
	assert_int_equal(status_of(&g, fd), 200);
	rig_fini(&g);
}

static void a_head_without_end_and_a_peer_without_words_go(void **state)
{
	static char big[METRICS_REQUEST_BYTES_MAX + 10];
	int silent[METRICS_CONNECTIONS_MAX + 1];
	struct rig g;
	(void)state;
	start(&g);
	memset(big, 'a', sizeof big);
	memcpy(big, "GET /", 5);
	int fd = call(&g);
	assert_true(send(fd, big, sizeof big, MSG_NOSIGNAL) > 0);
	assert_int_equal(status_of(&g, fd), 0);
	memset(big, 0, sizeof big);
	fd = call(&g);
	assert_true(send(fd, big, sizeof big, MSG_NOSIGNAL) > 0);
	assert_int_equal(status_of(&g, fd), 0);
	for (int i = 0; i <= METRICS_CONNECTIONS_MAX; i++)
		silent[i] = call(&g);
	for (int i = 0; i < 100 && g.control->metrics.connection_count < METRICS_CONNECTIONS_MAX;
	        i++)
		control_turn(&g);
	assert_int_equal(get(&g, "/livez"), 200);
	assert_true(g.control->metrics.connection_count <= METRICS_CONNECTIONS_MAX);
	for (int i = 0; i <= METRICS_CONNECTIONS_MAX; i++)
		close(silent[i]);
	rig_fini(&g);
}

/* The connection stays in the backlog, and the listener readable. */
static void no_descriptor_left_is_no_busy_loop(void **state)
{
	struct rig g;
	struct rlimit old, none;
	(void)state;
	start(&g);
	both(&g);
	int fd = call(&g);
	int lowest = dup(fd); /* every number below is taken */
	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){(rlim_t)lowest, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	control_turn(&g);
	assert_int_equal(g.control->metrics.listener.sock.events, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(send(fd, "GET /livez HTTP/1.1\r\n\r\n", 23, MSG_NOSIGNAL), 23);
	assert_int_equal(status_of(&g, fd), 200);
	rig_fini(&g);
}

/* It asks about a cluster that does not answer: that is its own affair. */
static void what_consumers_ask_is_no_readiness(void **state)
{
	struct {
		struct attach_query q;
		char names[8];
	} m = {.q = {.head = {.type = ATTACH_QUERY, .id = 10},
	               .kind = ATTACH_QUERY_RESOLVE,
	               .length = {1, 4}},
	        .names = "cpods"};
	struct rig g;
	(void)state;
	start(&g);
	greet(&g);
	assert_int_equal(get(&g, "/readyz"), 200);
	say(&g, &m, sizeof m.q + 5);
	for (int i = 0; i < 100 && list_empty(&g.control->questions); i++)
		control_turn(&g);
	assert_false(list_empty(&g.control->questions));
	assert_int_equal(get(&g, "/readyz"), 200);
	assert_false(list_empty(&g.control->questions));
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(answers_what_it_is_asked),
	        cmocka_unit_test(a_head_without_end_and_a_peer_without_words_go),
	        cmocka_unit_test(no_descriptor_left_is_no_busy_loop),
	        cmocka_unit_test(what_consumers_ask_is_no_readiness),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
