/* consumers_test.c - the control thread with a raw client on its socket and a reactor on a scripted
 * io: what hostile packets do, what happens when descriptors run out, who is subscribed to what. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "control/core.h"
#include "control/questions.h"
#include "harness/fake_io.h"
#include "include/kubering.h"
#include "reactor/core.h"

struct rig {
	char dir[64], path[96];
	struct settings settings;
	struct settings_realm realm;
	struct settings_grant grant;
	uid_t uid;
	struct config config;
	struct config_cluster cluster;
	struct control *control;
	struct reactor *reactor;
	struct fake_io io;
	int client;
};

static char warned[512];
static void warn(const char *text)
{
	snprintf(warned, sizeof warned, "%s", text);
}

static void rig_config(struct rig *g)
{
	*g = (struct rig){.client = -1, .uid = geteuid()};
	snprintf(g->dir, sizeof g->dir, "/tmp/kr-control-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	snprintf(g->path, sizeof g->path, "%s/s", g->dir);
	g->realm = (struct settings_realm){.name = "r",
	        .uids = &g->uid,
	        .uid_count = 1,
	        .grants = &g->grant,
	        .grant_count = 1};
	g->settings = (struct settings){.realms = &g->realm,
	        .realm_count = 1,
	        .limits = {.consumers_max = 100, .objects_max = 1000}};
	g->cluster = (struct config_cluster){.name = "c",
	        .context = "c",
	        .conf = {.context = "c",
	                .server = {.text = "http://127.0.0.1:1",
	                        .host = "127.0.0.1",
	                        .authority = "127.0.0.1:1",
	                        .path = "",
	                        .port = 1}}};
	g->config = (struct config){
	        .settings = &g->settings, .clusters = &g->cluster, .cluster_count = 1};
}

static err_t rig_control(struct rig *g, struct errmsg *m)
{
	struct control_config cc = {.socket_path = g->path,
	        .config = &g->config,
	        .settings = &g->settings,
	        .seed = 3,
	        .reactor_count = 1,
	        .warn = warn};
	return control_new(&cc, &g->control, m);
}

static void rig_init(struct rig *g)
{
	struct errmsg m = {0};
	rig_config(g);
	assert_int_equal(rig_control(g, &m), ERR_OK);
	struct reactor_config rc = {.count = 1,
	        .seed = 7,
	        .ring_entries = 256,
	        .lists_max = 64,
	        .shard_bytes_max = 64 << 20,
	        .retained_bytes_max = 1 << 20,
	        .block_segment_bytes = 1 << 22,
	        .objects_max = 1000,
	        .user_agent = "test/1",
	        .in_process = true,
	        .note = control_note,
	        .note_arg = g->control};
	assert_int_equal(reactor_new(&rc, &g->reactor), ERR_OK);
	fake_io_init(&g->io, &reactor_io_handlers, g->reactor);
	reactor_set_io(g->reactor, &g->io.io);
	control_set_reactors(g->control, &g->reactor);
}

/* One turn of the control loop; it waits for up to 20 ms when nothing happens. */
static void control_turn(struct rig *g)
{
	loop_turn(g->control->loop, loop_now_ns(g->control->loop) + 20000000);
}

static void both(struct rig *g)
{
	control_turn(g);
	g->io.now_ns += 20000000;
	reactor_turn(g->reactor, 0);
}

static void rig_fini(struct rig *g)
{
	consumers_bye(g->control); /* as control_run does at its end */
	if (g->client >= 0)
		close(g->client);
	struct reactor_msg *m = reactor_msg_new(REACTOR_STOP);
	reactor_post(g->reactor, m);
	while (!g->reactor->stopped)
		reactor_turn(g->reactor, 0);
	control_free(&g->control);
	reactor_free(&g->reactor);
	fake_io_fini(&g->io);
	assert_int_equal(access(g->path, F_OK), -1);
	char lock[128];
	snprintf(lock, sizeof lock, "%s.lock", g->path);
	(void)!unlink(lock);
	assert_int_equal(rmdir(g->dir), 0);
}

static int dial(const struct rig *g)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strncpy(a.sun_path, g->path, sizeof a.sun_path - 1);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void say(const struct rig *g, void *message, size_t n)
{
	struct attach_head *h = message;
	h->magic = ATTACH_MAGIC;
	h->version = ATTACH_VERSION;
	h->bytes = (uint32_t)n;
	assert_int_equal(send(g->client, message, n, MSG_NOSIGNAL), n);
}

union reply {
	struct attach_head head;
	struct attach_error error;
	struct attach_list list;
	char bytes[512];
};

/* The next message; false: none within a bound of turns, or the connection ended. */
static bool hear(struct rig *g, union reply *r)
{
	for (int i = 0; i < 100; i++) {
		ssize_t n = recv(g->client, r, sizeof *r, 0);
		if (n >= 0)
			return n > 0;
		assert_int_equal(errno, EAGAIN);
		both(g);
	}
	return false;
}

static void greet(struct rig *g)
{
	union reply r;
	struct attach_hello h = {.head = {.type = ATTACH_HELLO, .id = 1},
	        .layout_major = SHM_LAYOUT_MAJOR,
	        .layout_minor = SHM_LAYOUT_MINOR,
	        .name = "test"};
	g->client = dial(g);
	say(g, &h, sizeof h);
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_WELCOME);
}

static void ask_list(struct rig *g, uint32_t id, const char *version, const char *namespace_)
{
	char buf[512];
	const char *strings[ATTACH_STRINGS] = {"c", "", version, "pods", namespace_, "", ""};
	struct attach_spec s = {.head = {.type = ATTACH_OPEN_LIST, .id = id}};
	size_t n = sizeof s;
	for (int i = 0; i < ATTACH_STRINGS; i++) {
		s.length[i] = (uint16_t)strlen(strings[i]);
		memcpy(buf + n, strings[i], s.length[i]);
		n += s.length[i];
	}
	memcpy(buf, &s, sizeof s);
	say(g, buf, n);
}

static void a_packet_longer_than_any_message_cuts_it_off(void **state)
{
	enum { BYTES = sizeof(struct attach_spec) + 7 * ATTACH_STRING_MAX };
	static char big[BYTES];
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	struct attach_spec s = {.head = {.type = ATTACH_OPEN_LIST, .id = 2}};
	for (int i = 0; i < ATTACH_STRINGS; i++)
		s.length[i] = ATTACH_STRING_MAX;
	memset(big, 'a', sizeof big);
	memcpy(big, &s, sizeof s);
	say(&g, big, sizeof big);
	assert_false(hear(&g, &r));
	for (int i = 0; i < 5; i++)
		both(&g);
	assert_int_equal(g.control->consumers.count, 0);
	rig_fini(&g);
}

static void no_descriptor_left_is_no_busy_loop(void **state)
{
	struct rig g;
	struct rlimit old, none;
	(void)state;
	rig_init(&g);
	g.client = dial(&g);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	int lowest = dup(g.client); /* every number below is taken */
	assert_true(lowest >= 0);
	close(lowest);
	none = (struct rlimit){(rlim_t)lowest, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	control_turn(&g);
	assert_int_equal(g.control->consumers.listener.events, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 0; i < 100 && !g.control->consumers.count; i++)
		both(&g);
	assert_int_equal(g.control->consumers.count, 1);
	rig_fini(&g);
}

/* Opened again while the reactor closes it: the new one must wake the consumer as the old one did.
 */
static void a_list_opened_again_while_it_closes_is_subscribed(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	ask_list(&g, 2, "v1", "");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	const struct feed *f = g.reactor->feed_by_id.rows[0];
	assert_int_equal(f->consumer_count, 1);
	struct attach_ref c = {
	        .head = {.type = ATTACH_CLOSE_LIST, .id = 3}, .handle = r.list.handle};
	say(&g, &c, sizeof c);
	for (int i = 0; i < 100 && g.control->lists.rows[0]->phase != LIST_CLOSING; i++)
		control_turn(&g);
	assert_int_equal(g.control->lists.rows[0]->phase, LIST_CLOSING);
	ask_list(&g, 4, "v1", "");
	control_turn(&g);
	assert_true(g.control->lists.rows[0]->again);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_OK);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	both(&g);
	f = g.reactor->feed_by_id.rows[0];
	assert_non_null(f);
	assert_int_equal(f->consumer_count, 1);
	rig_fini(&g);
}

static void names_that_are_paths_are_refused(void **state)
{
	static const char *const bad[][2] = {{"v1", "team-a/../kube-system"}, {"v1", ".."},
	        {"v1", "a%2fb"}, {"..", ""}, {"v1/namespaces/kube-system", ""}, {"v1", "a|b"},
	        {"v1", "a?x"}};
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ask_list(&g, 2, bad[i][0], bad[i][1]);
		assert_true(hear(&g, &r));
		assert_int_equal(r.head.type, ATTACH_ERROR);
		assert_int_equal(r.error.code, KR_ERR_ARGUMENT);
	}
	ask_list(&g, 2, "v1beta1", "team-a");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	rig_fini(&g);
}

static void questions_of_one_consumer_are_bounded(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	for (int i = 0; i <= CONSUMER_QUESTIONS_MAX; i++) {
		struct {
			struct attach_query q;
			char names[8];
		} m = {.q = {.head = {.type = ATTACH_QUERY, .id = 10},
		               .kind = ATTACH_QUERY_RESOLVE,
		               .length = {1, 4}}};
		memcpy(m.names, "cpods", 5);
		say(&g, &m, sizeof m.q + 5);
		control_turn(&g);
	}
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_int_equal(r.error.code, KR_ERR_LIMIT);
	assert_false(list_empty(&g.control->questions));
	close(g.client);
	g.client = -1;
	for (int i = 0; i < 10; i++)
		both(&g);
	assert_true(list_empty(&g.control->questions)); /* it left, and they with it */
	assert_int_equal(g.control->consumers.count, 0);
	rig_fini(&g);
}

static void what_is_no_socket_is_not_removed(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	struct stat st;
	(void)state;
	rig_config(&g);
	int fd = open(g.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rig_control(&g, &m), ERR_CONFIG);
	assert_non_null(strstr(m.text, g.path));
	assert_int_equal(stat(g.path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(g.path);
	char lock[128];
	snprintf(lock, sizeof lock, "%s.lock", g.path);
	(void)!unlink(lock);
	rmdir(g.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_packet_longer_than_any_message_cuts_it_off),
	        cmocka_unit_test(no_descriptor_left_is_no_busy_loop),
	        cmocka_unit_test(a_list_opened_again_while_it_closes_is_subscribed),
	        cmocka_unit_test(names_that_are_paths_are_refused),
	        cmocka_unit_test(questions_of_one_consumer_are_bounded),
	        cmocka_unit_test(what_is_no_socket_is_not_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
