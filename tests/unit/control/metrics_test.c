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

static char all[1 << 16]; /* the last answer */

/* The status of the answer; 0: none, the connection was closed. */
static int status_of(struct rig *g, int fd)
{
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

/* The families, as they stand in the answer: HELP, TYPE and samples together, each name once, a
 * counter's ends in _total and no other does. */
static void what_it_says_is_a_page_of_prometheus(void **state)
{
	static char seen[1 << 16];
	struct rig g;
	char name[160] = "", kind[16] = "", what[160], mark[164];
	unsigned families = 0;
	(void)state;
	start(&g);
	both(&g);
	assert_int_equal(get(&g, "/metrics"), 200);
	seen[0] = 0;
	char *save, *body = strstr(all, "\r\n\r\n") + 4;
	for (char *line = strtok_r(body, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "# HELP %127s", what) == 1) {
			snprintf(name, sizeof name, "%s", what);
			snprintf(mark, sizeof mark, "<%s>", name);
			assert_null(strstr(seen, mark));
			strcat(seen, mark);
			assert_int_equal(line[strlen(line) - 1], '.');
			families++;
		} else if (sscanf(line, "# TYPE %127s %15s", what, kind) == 2) {
			size_t n = strlen(name);
			bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;
			assert_string_equal(what, name);
			assert_string_equal(kind, total ? "counter" : "gauge");
		} else {
			size_t n = strcspn(line, "{ ");
			double value;
			assert_int_equal(strncmp(line, name, n), 0);
			assert_int_equal(n, strlen(name));
			assert_int_equal(sscanf(strrchr(line, ' '), "%lf", &value), 1);
		}
	}
	assert_true(families > 30);
	rig_fini(&g);
}

static bool says(struct rig *g, const char *line)
{
	char whole[160];
	snprintf(whole, sizeof whole, "\n%s\n", line);
	assert_int_equal(get(g, "/metrics"), 200);
	return strstr(all, whole);
}

/* What alerts are made of. */
static void clusters_that_want_somebody_are_counted(void **state)
{
	struct rig g;
	struct reactor_note n = {.err = ERR_CONN_REFUSED};
	(void)state;
	start(&g);
	both(&g);
	struct known_cluster *k = clusters_find(g.control, "c");
	assert_true(says(&g, "kubering_clusters 1"));
	assert_true(says(&g, "kubering_clusters_unreachable 0"));
	clusters_on_turned(g.control, &n);
	assert_true(says(&g, "kubering_clusters_unreachable 1"));
	n.err = ERR_OK;
	clusters_on_turned(g.control, &n);
	assert_true(says(&g, "kubering_clusters_unreachable 0"));
	cluster_log_login(g.control, k, ERR_KUBE_UNAUTHORIZED, "log in");
	assert_true(says(&g, "kubering_clusters_login_failing 1"));
	clusters_on_lets_in(g.control, k->id);
	assert_true(says(&g, "kubering_clusters_login_failing 0"));
	assert_true(says(&g, "kubering_client_certificates_expired 0"));
	assert_null(strstr(all, "\nkubering_client_certificate_next_expiry_timestamp_seconds "));
	k->cert_expires_s = 4102444800;
	assert_true(
	        says(&g, "kubering_client_certificate_next_expiry_timestamp_seconds 4102444800"));
	k->cert_expires_s = 1;
	assert_true(says(&g, "kubering_client_certificates_expired 1"));
	k->cert_expires_s = INT64_MAX;
	struct settings_list pods = {
	        .clusters = "*", .resource = {.resource = "pods", .version = "v1", .group = ""}};
	g.settings.lists = &pods;
	g.settings.list_count = 1;
	assert_true(says(&g, "kubering_lists_unresolved 0"));
	lists_open_pinned(g.control);
	assert_true(says(&g, "kubering_lists_unresolved 1"));
	assert_null(strstr(all, "kubering_lists_failing{"));
	struct question *q = CONTAINER_OF(g.control->questions.next, struct question, link);
	q->failed = ERR_CONN_REFUSED;
	assert_true(says(&g, "kubering_lists_failing{error=\"CONN_REFUSED\"} 1"));
	(void)errmsg_set(&k->broken, ERR_CONFIG, "no server");
	assert_true(says(&g, "kubering_clusters_broken 1"));
	(void)errmsg_set(&g.control->reload.failed, ERR_CONFIG, "a comma");
	assert_true(says(&g, "kubering_config_last_reload_successful 0"));
	rig_fini(&g);
}

/* What its last consumer leaves is not there any more, but has been. */
static void counters_do_not_go_back(void **state)
{
	struct rig g;
	(void)state;
	start(&g);
	g.reactor->events = 70;
	g.reactor->bytes = 7000;
	g.reactor->errors = 7;
	g.reactor->left_out = 3;
	g.reactor->busy_ns = 1500000000;
	g.io.now_ns += 200000000; /* a heartbeat later */
	both(&g);
	assert_true(says(&g, "kubering_events_total 70"));
	assert_true(says(&g, "kubering_received_bytes_total 7000"));
	assert_true(says(&g, "kubering_stream_errors_total 7"));
	assert_true(says(&g, "kubering_objects_left_out_total 3"));
	assert_true(says(&g, "kubering_reactor_busy_seconds_total{reactor=\"0\"} 1.500"));
	rig_fini(&g);
}

static void memory_that_is_running_out_is_told(void **state)
{
	struct rig g;
	atomic_ullong taken = 0;
	char line[64];
	(void)state;
	start(&g);
	assert_true(says(&g, "kubering_shm_memory_ratio 0.000"));
	g.reactor->config.memory_bytes = &taken;
	g.reactor->config.memory_bytes_max = 1 << 20;
	greet(&g);
	ask_strings(&g, 2, (const char *const[ATTACH_STRINGS]){"c", "", "v1", "pods", "", "", ""});
	for (int i = 0; i < 20; i++) {
		g.io.now_ns += 100000000; /* its heartbeat tells */
		both(&g);
	}
	assert_true(taken > 0);
	snprintf(line, sizeof line, "kubering_shm_memory_ratio %.3f", (double)taken / (1 << 20));
	assert_true(says(&g, line));
	rig_fini(&g);
}

static void who_is_turned_away_and_cut_off_is_counted(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	start(&g);
	g.settings.limits.consumers_max = 4000;
	assert_true(says(&g, "kubering_consumers_max 4000"));
	g.client = dial(&g);
	assert_int_equal(send(g.client, "x", 1, MSG_NOSIGNAL), 1); /* not our protocol */
	assert_false(hear(&g, &r));
	close(g.client);
	g.client = -1;
	assert_true(says(&g, "kubering_consumers_cut_off_total 1"));
	assert_true(says(&g, "kubering_consumers_refused_total 0"));
	int many[CONSUMER_PER_UID_MAX + 2];
	warnings = 0;
	for (int i = 0; i < CONSUMER_PER_UID_MAX + 2; i++) {
		many[i] = dial(&g);
		control_turn(&g);
	}
	assert_true(says(&g, "kubering_consumers_refused_total 2"));
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(warned, "a consumer was turned away: user "));
	for (int i = 0; i < CONSUMER_PER_UID_MAX + 2; i++)
		close(many[i]);
	for (int i = 0; i < 40; i++)
		both(&g);
	assert_true(says(&g, "kubering_consumers_cut_off_total 1")); /* these went by themselves */
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(answers_what_it_is_asked),
	        cmocka_unit_test(a_head_without_end_and_a_peer_without_words_go),
	        cmocka_unit_test(no_descriptor_left_is_no_busy_loop),
	        cmocka_unit_test(what_consumers_ask_is_no_readiness),
	        cmocka_unit_test(what_it_says_is_a_page_of_prometheus),
	        cmocka_unit_test(clusters_that_want_somebody_are_counted),
	        cmocka_unit_test(counters_do_not_go_back),
	        cmocka_unit_test(memory_that_is_running_out_is_told),
	        cmocka_unit_test(who_is_turned_away_and_cut_off_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
