/* rig.h - the control thread with a raw client on its socket and a reactor on a scripted io. */
#ifndef KR_TESTS_UNIT_CONTROL_RIG_H
#define KR_TESTS_UNIT_CONTROL_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "control/core.h"
#include "control/questions.h"
#include "include/kubering.h"
#include "unit/control/reactor.h"

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
	uint16_t metrics_port; /* 0: none */
};

static char warned[512];
static unsigned warnings;
static inline void warn(const char *text)
{
	warnings++;
	snprintf(warned, sizeof warned, "%s", text);
}

static inline void rig_config(struct rig *g)
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

static inline err_t rig_control(struct rig *g, struct errmsg *m)
{
	struct control_config cc = {.socket_path = g->path,
	        .config = &g->config,
	        .settings = &g->settings,
	        .seed = 3,
	        .reactor_count = 1,
	        .metrics_port = g->metrics_port,
	        .warn = warn};
	return control_new(&cc, &g->control, m);
}

/* rig_config came before. */
static inline void rig_start(struct rig *g)
{
	struct errmsg m = {0};
	assert_int_equal(rig_control(g, &m), ERR_OK);
	g->reactor = reactor_of_test(g->control, &g->io, 0, 1);
	control_set_reactors(g->control, &g->reactor);
}

static inline void rig_init(struct rig *g)
{
	rig_config(g);
	rig_start(g);
}

/* One turn of the control loop; it waits for up to 20 ms when nothing happens. */
static inline void control_turn(struct rig *g)
{
	loop_turn(g->control->loop, loop_now_ns(g->control->loop) + 20000000);
}

static inline void both(struct rig *g)
{
	control_turn(g);
	g->io.now_ns += 20000000;
	reactor_turn(g->reactor, 0);
}

static inline void rig_fini(struct rig *g)
{
	consumers_bye(g->control); /* as control_end does */
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

static inline int dial(const struct rig *g)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strncpy(a.sun_path, g->path, sizeof a.sun_path - 1);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static inline void say(const struct rig *g, void *message, size_t n)
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
static inline bool hear(struct rig *g, union reply *r)
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

static inline void say_hello(struct rig *g)
{
	union reply r;
	struct attach_hello h = {.head = {.type = ATTACH_HELLO, .id = 1},
	        .layout_major = SHM_LAYOUT_MAJOR,
	        .layout_minor = SHM_LAYOUT_MINOR,
	        .name = "test"};
	say(g, &h, sizeof h);
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_WELCOME);
}

static inline void greet(struct rig *g)
{
	g->client = dial(g);
	say_hello(g);
}

/* An OPEN_LIST of these strings, in the order of enum attach_spec_string. */
static inline void ask_strings(
        struct rig *g, uint32_t id, const char *const strings[ATTACH_STRINGS])
{
	char buf[512];
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

static inline void ask_name(const struct rig *g, const char *cluster, const char *name)
{
	struct {
		struct attach_query q;
		char names[64];
	} m = {.q = {.head = {.type = ATTACH_QUERY, .id = 10},
	               .kind = ATTACH_QUERY_RESOLVE,
	               .length = {(uint16_t)strlen(cluster), (uint16_t)strlen(name)}}};
	int n = snprintf(m.names, sizeof m.names, "%s%s", cluster, name);
	say(g, &m, sizeof m.q + (size_t)n);
}

#endif
