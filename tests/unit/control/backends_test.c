/* backends_test.c - Headlamp backends on the control thread, with a reactor on a scripted io: what
 * is asked, which clusters an answer makes, and what people are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "control/core.h"
#include "control/questions.h"
#include "control/report.h"
#include "include/kubering.h"
#include "unit/control/reactor.h"

struct rig {
	char dir[64], path[96];
	struct settings settings;
	struct settings_realm realm;
	struct settings_grant grant;
	struct settings_list list;
	struct settings_headlamp headlamp;
	struct settings_cluster entry;
	struct config_backend backend;
	struct config_cluster clusters[2];
	struct config config;
	uid_t uid;
	struct control *control;
	struct reactor *reactors[2];
	struct fake_io io[2];
};

static char warned[2048]; /* all lines, in order */
static void warn(const char *text)
{
	size_t n = strlen(warned);
	snprintf(warned + n, sizeof warned - n, "%s\n", text);
}

static const char *const patterns[] = {"prod-*", "dev/x"};

static void rig_config(struct rig *g)
{
	*g = (struct rig){.uid = geteuid()};
	warned[0] = 0;
	snprintf(g->dir, sizeof g->dir, "/tmp/kr-control-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	snprintf(g->path, sizeof g->path, "%s/s", g->dir);
	g->realm = (struct settings_realm){.name = "r",
	        .uids = &g->uid,
	        .uid_count = 1,
	        .grants = &g->grant,
	        .grant_count = 1};
	g->headlamp = (struct settings_headlamp){.user = "u1", .contexts = {patterns, 2}};
	g->entry = (struct settings_cluster){.name = "hub",
	        .qps = 7,
	        .compression = SETTINGS_COMPRESSION_AUTO,
	        .headlamp = &g->headlamp};
	g->settings = (struct settings){.realms = &g->realm,
	        .realm_count = 1,
	        .limits = {.consumers_max = 100, .objects_max = 1000}};
	struct server_url here = {.text = "http://127.0.0.1:1/base",
	        .host = "127.0.0.1",
	        .authority = "127.0.0.1:1",
	        .path = "/base",
	        .port = 1};
	g->backend = (struct config_backend){.name = "hub",
	        .entry = &g->entry,
	        .discovers = true,
	        .conf = {.context = "hub", .server = here, .credential = {.token = "secret"}}};
	g->clusters[0] = (struct config_cluster){
	        .name = "dev/x", .context = "dev/x", .backend = &g->backend, .qps = 7};
	g->clusters[1] = (struct config_cluster){.name = "prod-1",
	        .context = "prod-1",
	        .conf = {.context = "prod-1", .server = here}};
	g->config = (struct config){.settings = &g->settings,
	        .clusters = g->clusters,
	        .cluster_count = 2,
	        .backends = &g->backend,
	        .backend_count = 1};
}

static void rig_start(struct rig *g)
{
	struct errmsg m = {0};
	struct control_config cc = {.socket_path = g->path,
	        .config = &g->config,
	        .settings = &g->settings,
	        .seed = 3,
	        .reactor_count = 2,
	        .warn = warn};
	assert_int_equal(control_new(&cc, &g->control, &m), ERR_OK);
	for (uint32_t i = 0; i < 2; i++) {
		g->reactors[i] = reactor_of_test(g->control, &g->io[i], i, 2);
	}
	control_set_reactors(g->control, g->reactors);
	backends_start(g->control); /* as control_run does */
	lists_open_pinned(g->control);
}

static void both(struct rig *g)
{
	for (uint32_t i = 0; i < 2; i++) {
		g->io[i].now_ns += 20000000;
		reactor_turn(g->reactors[i], 0);
	}
	loop_turn(g->control->loop, loop_now_ns(g->control->loop)); /* what is there, no waiting */
}

static void rig_fini(struct rig *g)
{
	consumers_bye(g->control);
	for (uint32_t i = 0; i < 2; i++) {
		reactor_post(g->reactors[i], reactor_msg_new(REACTOR_STOP));
		while (!g->reactors[i]->stopped)
			reactor_turn(g->reactors[i], 0);
	}
	control_free(&g->control);
	for (uint32_t i = 0; i < 2; i++) {
		reactor_free(&g->reactors[i]);
		fake_io_fini(&g->io[i]);
	}
	cluster_conf_fini(&g->backend.conf);
	char lock[128];
	snprintf(lock, sizeof lock, "%s.lock", g->path);
	(void)!unlink(lock);
	assert_int_equal(rmdir(g->dir), 0);
}

/* GET /config is on its way: the request that the backend sees. */
static struct fake_sock *asked(struct rig *g)
{
	uint32_t r = g->control->backends.rows[0]->self->reactor;
	for (int i = 0; i < 20; i++) {
		struct fake_sock *s = fake_io_sock(&g->io[r], 0);
		if (s && s->sent_bytes)
			return s;
		if (s && !s->open)
			fake_io_connected(s, ERR_OK);
		both(g);
	}
	fail_msg("nothing was asked");
	return NULL;
}

static void answer(struct rig *g, const char *status, const char *body)
{
	char text[2048];
	struct backend *b = g->control->backends.rows[0];
	if (!b->asking)
		b->timer.on_due(&b->timer); /* the minute is over */
	struct fake_sock *s = asked(g);
	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
	        strlen(body), body);
	fake_io_bytes(s, text);
	for (int i = 0; i < 20 && b->asking; i++)
		both(g);
	assert_false(b->asking);
	for (int i = 0; i < 5; i++)
		both(g);
}

#define LISTED(...) "{\"clusters\":[" __VA_ARGS__ "]}"
#define ONE(name)   "{\"name\":\"" name "\"}"

static const struct cluster_spec *spec_of(struct rig *g, const struct known_cluster *k)
{
	for (int i = 0; i < 20 && !core_cluster(g->reactors[k->reactor], k->id); i++)
		both(g);
	const struct cluster *c = core_cluster(g->reactors[k->reactor], k->id);
	assert_non_null(c);
	return &c->spec;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected \"%s\" in:\n%s", part, text);
}

static void a_backend_is_asked_with_its_token(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	rig_start(&g);
	const struct fake_sock *s = asked(&g);
	has(s->sent, "GET /base/config HTTP/1.1\r\n");
	has(s->sent, "X-HEADLAMP_BACKEND-TOKEN: secret\r\n");
	has(s->sent, "X-HEADLAMP-USER-ID: u1\r\n");
	assert_null(strstr(s->sent, "Authorization"));
	rig_fini(&g);
}

static void what_it_lists_becomes_clusters_beside_it(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	(void)state;
	rig_config(&g);
	rig_start(&g);
	assert_null(clusters_find(g.control, "prod-2"));
	answer(&g, "200 OK", LISTED(ONE("prod-2") "," ONE("test") "," ONE("dev--x")));
	struct known_cluster *k = clusters_find(g.control, "prod-2");
	assert_non_null(k);
	assert_null(clusters_find(g.control, "test"));   /* no pattern wants it */
	assert_null(clusters_find(g.control, "dev--x")); /* known as dev/x */
	assert_null(clusters_find(g.control, "hub"));
	assert_int_equal(g.control->clusters.by_name.count, 3);
	const struct known_cluster *self = g.control->backends.rows[0]->self;
	struct known_cluster *other = clusters_find(g.control, "prod-1");
	assert_int_equal(clusters_place(g.control, other, &m), ERR_OK);
	assert_int_not_equal(other->reactor, self->reactor); /* the least loaded */
	assert_int_equal(clusters_place(g.control, k, &m), ERR_OK);
	assert_int_equal(k->reactor, self->reactor);
	const struct cluster_spec *spec = spec_of(&g, k);
	assert_string_equal(spec->context, "prod-2");
	assert_string_equal(spec->prefix, "/base/clusters/prod-2");
	assert_string_equal(spec->host, "127.0.0.1:1");
	assert_string_equal(spec->user, "u1");
	assert_int_equal(spec->backend, self->id);
	assert_int_equal(spec->way, STRATEGY_MULTIPLEXED);
	assert_true(spec->way_auto);
	assert_true(spec->gzip);
	assert_int_equal(spec->connects_per_s, 7);
	spec = spec_of(&g, other);
	assert_int_equal(spec->backend, REACTOR_NO_CLUSTER);
	assert_int_equal(spec->way, STRATEGY_DIRECT);
	assert_false(spec->way_auto);
	assert_null(spec->context);
	spec = spec_of(&g, self);
	assert_int_equal(spec->backend, REACTOR_NO_CLUSTER);
	assert_string_equal(spec->prefix, "/base");
	k = clusters_find(g.control, "dev/x");
	assert_int_equal(clusters_place(g.control, k, &m), ERR_OK);
	assert_string_equal(spec_of(&g, k)->context, "dev--x");
	rig_fini(&g);
}

/* The multiplexer dials with the cookies that its socket's upgrade had: who is found later is not
 * among them, so it is opened anew. */
static void what_is_found_can_be_logged_in_to_on_the_shared_socket(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	g.backend.cluster_credential.token = "T";
	rig_start(&g);
	answer(&g, "200 OK", LISTED(ONE("prod-2")));
	struct known_cluster *self = g.control->backends.rows[0]->self;
	struct reactor *r = g.reactors[self->reactor];
	assert_string_equal(core_cluster(r, self->id)->auth->upgrade_cookie,
	        "headlamp-auth-dev--x.0=T; headlamp-auth-prod-2.0=T");
	g.control->backends.rows[0]->timer.on_due(&g.control->backends.rows[0]->timer);
	const struct fake_sock *s = asked(&g); /* the list of contexts needs none of them */
	has(s->sent, "GET /base/config HTTP/1.1\r\n");
	assert_null(strstr(s->sent, "headlamp-auth"));
	clusters_send_credential(g.control, self);
	const struct reactor_msg *m = CONTAINER_OF(r->mailbox.prev, struct reactor_msg, link);
	assert_int_equal(m->type, REACTOR_CLUSTER_CREDENTIAL);
	assert_true(m->credential.renewed);
	rig_fini(&g);
}

static void a_taken_name_is_prefixed_with_the_backend(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	rig_start(&g);
	struct known_cluster *before = clusters_find(g.control, "prod-1");
	answer(&g, "200 OK", LISTED(ONE("prod-1") "," ONE("dev--x")));
	assert_ptr_equal(clusters_find(g.control, "prod-1"), before);
	struct known_cluster *k = clusters_find(g.control, "hub/prod-1");
	assert_non_null(k);
	assert_string_equal(k->conf.context, "prod-1");
	/* said twice, it is there once */
	uint32_t count = g.control->clusters.count;
	answer(&g, "200 OK", LISTED(ONE("prod-1") "," ONE("dev--x")));
	assert_int_equal(g.control->clusters.count, count);
	rig_fini(&g);
}

static void a_name_that_cannot_be_given_is_told_once(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	g.clusters[0].name = "hub/prod-1"; /* and prod-1 is taken too */
	rig_start(&g);
	for (int i = 0; i < 2; i++)
		answer(&g, "200 OK", LISTED(ONE("prod-1") "," ONE("prod-\x7f") "," ONE("prod-3")));
	assert_non_null(clusters_find(g.control, "prod-3"));
	assert_int_equal(g.control->clusters.by_name.count, 3);
	assert_int_equal(g.control->backends.rows[0]->refused, 2);
	const char *said = strstr(warned, "lists contexts that cannot be served");
	assert_non_null(said);
	has(said, "the first: prod-1");
	assert_null(strstr(said + 1, "lists contexts that cannot be served"));
	rig_fini(&g);
}

static void a_vanished_context_keeps_its_cluster(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	rig_start(&g);
	answer(&g, "200 OK", LISTED(ONE("prod-2")));
	struct known_cluster *k = clusters_find(g.control, "prod-2");
	assert_int_equal(k->unlisted.code, ERR_OK);
	has(clusters_find(g.control, "dev/x")->unlisted.text,
	        "the backend does not list context \"dev--x\"");
	answer(&g, "200 OK", LISTED(""));
	has(clusters_find(g.control, "dev/x")->unlisted.text, "does not list"); /* and never did */
	assert_ptr_equal(clusters_find(g.control, "prod-2"), k);
	has(k->unlisted.text, "the backend no longer lists context \"prod-2\"");
	has(warned, "Headlamp backend \"hub\" lost a cluster");
	answer(&g, "200 OK", LISTED("{\"name\":\"prod-2\",\"error\":\"no user\"}"));
	has(k->unlisted.text, "the backend cannot use context \"prod-2\": no user");
	for (int i = 0; i < 2; i++) {
		answer(&g, "200 OK", LISTED(""));
		has(k->unlisted.text, "no longer lists context \"prod-2\"");
	}
	answer(&g, "200 OK", LISTED(ONE("prod-2")));
	assert_int_equal(k->unlisted.code, ERR_OK);
	rig_fini(&g);
}

/* Contexts that come and go do not take all rows there are. */
static void a_vanished_context_makes_room(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	(void)state;
	rig_config(&g);
	rig_start(&g);
	struct clusters *t = &g.control->clusters;
	while (t->count < CONFIG_CLUSTERS_MAX - 2)
		assert_non_null(clusters_new(t));
	answer(&g, "200 OK", LISTED(ONE("prod-2") "," ONE("prod-3")));
	answer(&g, "200 OK", LISTED(ONE("prod-3")));
	assert_non_null(clusters_find(g.control, "prod-2")); /* nobody needs the row */
	answer(&g, "200 OK", LISTED(ONE("prod-3") "," ONE("prod-4")));
	assert_null(clusters_find(g.control, "prod-2"));
	assert_non_null(clusters_find(g.control, "prod-3"));
	assert_non_null(clusters_find(g.control, "dev/x")); /* not listed, but configured */
	struct known_cluster *k = clusters_find(g.control, "prod-4");
	assert_non_null(k);
	/* One that a reactor has leaves its row with the reactor's last word. */
	assert_int_equal(clusters_place(g.control, k, &m), ERR_OK);
	for (int i = 0; i < 2; i++)
		answer(&g, "200 OK", LISTED(ONE("prod-3") "," ONE("prod-5")));
	assert_null(clusters_find(g.control, "prod-4"));
	assert_non_null(clusters_find(g.control, "prod-5"));
	assert_int_equal(t->count, CONFIG_CLUSTERS_MAX);
	rig_fini(&g);
}

static void a_backend_that_does_not_answer_is_told(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	(void)state;
	rig_config(&g);
	rig_start(&g);
	struct backend *b = g.control->backends.rows[0];
	assert_null(clusters_require(g.control, "prod-9", &m));
	assert_int_equal(m.code, ERR_UNKNOWN_CLUSTER);
	has(m.text,
	        "\"prod-9\" is not known: backend \"hub\" has not answered yet: it has been asked");
	assert_false(backends_were_asked(g.control));
	assert_null(clusters_require(g.control, "hub", &m));
	has(m.text, "\"hub\" is a Headlamp backend");
	for (int i = 0; i < 2; i++)
		answer(&g, "403 Forbidden", "no");
	assert_true(backends_were_asked(g.control));
	assert_int_equal(backends_answering(g.control), 0);
	assert_null(clusters_require(g.control, "prod-9", &m));
	has(m.text, "has not answered yet: unexpected HTTP status: 403 to GET /config: check");
	has(warned, "Headlamp backend \"hub\" has not answered yet");
	assert_null(strstr(strchr(warned, '\n') + 1, "has not answered yet")); /* once a minute */
	b->logged_ns -= BACKENDS_LOG_S * 1000000000ull;
	answer(&g, "200 OK", "[]");
	has(strchr(warned, '\n'), "has not answered yet");
	assert_int_equal(b->failed.code, ERR_HEADLAMP_CONFIG);
	answer(&g, "200 OK", LISTED(""));
	has(warned, "Headlamp backend \"hub\" answers; contexts that it lists: 0");
	assert_null(clusters_require(g.control, "prod-9", &m));
	has(m.text, "\"prod-9\"; known clusters are listed by");
	assert_int_equal(backends_answering(g.control), 1);
	rig_fini(&g);
}

static void turned(struct rig *g, const struct known_cluster *k, err_t err)
{
	struct reactor_note n = {.type = REACTOR_CLUSTER_TURNED, .cluster = k->id, .err = err};
	clusters_on_turned(g->control, &n);
}

static bool is_due(const struct rig *g)
{
	const struct backend *b = g->control->backends.rows[0];
	return b->timer.timer.at_ns <= loop_now_ns(g->control->loop);
}

static void what_is_back_has_the_backend_asked(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	rig_start(&g);
	struct backend *b = g.control->backends.rows[0];
	answer(&g, "200 OK", LISTED(""));
	const struct known_cluster *behind = clusters_find(g.control, "dev/x"),
	                           *other = clusters_find(g.control, "prod-1");
	turned(&g, b->self, ERR_OK);
	assert_false(is_due(&g)); /* it was asked just now */
	b->asked_ns -= BACKENDS_SOON_S * 1000000000ull;
	turned(&g, b->self, ERR_CONN_REFUSED);
	turned(&g, behind, ERR_CONN_REFUSED);
	turned(&g, other, ERR_OK);
	assert_false(is_due(&g));
	turned(&g, behind, ERR_OK);
	assert_true(is_due(&g));
	answer(&g, "200 OK", LISTED(""));
	b->asked_ns -= BACKENDS_SOON_S * 1000000000ull;
	turned(&g, b->self, ERR_OK);
	assert_true(is_due(&g));
	rig_fini(&g);
}

static void one_line_says_that_all_behind_a_backend_are_away(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	rig_start(&g);
	answer(&g, "200 OK", LISTED(ONE("prod-2") "," ONE("prod-3")));
	turned(&g, clusters_find(g.control, "prod-2"), ERR_CONN_REFUSED);
	turned(&g, clusters_find(g.control, "prod-3"), ERR_CONN_REFUSED);
	turned(&g, clusters_find(g.control, "prod-3"), ERR_OK);
	has(warned, "cluster \"prod-2\" is not reached");
	assert_null(strstr(warned, "cluster \"prod-3\""));
	turned(&g, clusters_find(g.control, "prod-1"), ERR_CONN_REFUSED);
	has(warned, "cluster \"prod-1\" is not reached");
	rig_fini(&g);
}

static void lists_of_the_settings_open_in_what_is_found(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	g.list = (struct settings_list){.clusters = "prod-2*",
	        .resource = {.resource = "pods", .version = "v1", .group = ""}};
	g.settings.lists = &g.list;
	g.settings.list_count = 1;
	rig_start(&g);
	assert_true(list_empty(&g.control->questions));
	answer(&g, "200 OK", LISTED(ONE("prod-2") "," ONE("prod-3")));
	struct known_cluster *k = clusters_find(g.control, "prod-2");
	assert_true(k->placed);
	assert_false(clusters_find(g.control, "prod-3")->placed);
	assert_false(list_empty(&g.control->questions));
	const struct question *q = CONTAINER_OF(g.control->questions.next, struct question, link);
	assert_int_equal(q->kind, QUESTION_PIN);
	assert_ptr_equal(q->cluster, k);
	assert_ptr_equal(q->pin, &g.list);
	rig_fini(&g);
}

static uint64_t pause_of(const struct rig *g, const struct question *q)
{
	uint64_t now = loop_now_ns(g->control->loop), at = q->deadline.timer.at_ns;
	return at > now ? at - now : 0;
}

/* Lists of a cluster that was away wait minutes for their next try. When it is back, all are due.
 */
static void what_is_back_has_its_lists_opened(void **state)
{
	struct rig g;
	(void)state;
	rig_config(&g);
	g.list = (struct settings_list){.clusters = "prod-1",
	        .resource = {.resource = "pods", .version = "v1", .group = ""}};
	g.settings.lists = &g.list;
	g.settings.list_count = 1;
	rig_start(&g);
	struct known_cluster *k = clusters_find(g.control, "prod-1");
	struct question *q = CONTAINER_OF(k->questions.next, struct question, about);
	assert_false(list_empty(&k->questions));
	for (int i = 0; i < 20 && !fake_io_sock(&g.io[k->reactor], 0); i++)
		both(&g);
	fake_io_connected(fake_io_sock(&g.io[k->reactor], 0), ERR_CONN_REFUSED);
	for (int i = 0; i < 20 && !q->failed; i++)
		both(&g);
	assert_int_equal(q->failed, ERR_CONN_REFUSED);
	assert_true(pause_of(&g, q) > 0);
	turned(&g, k, ERR_CONN_REFUSED);
	turned(&g, clusters_find(g.control, "dev/x"), ERR_OK); /* another one */
	assert_true(pause_of(&g, q) > 0);
	turned(&g, k, ERR_OK);
	assert_int_equal(pause_of(&g, q), 0);
	uint64_t later = loop_now_ns(g.control->loop) + 1000000000;
	loop_timer_set(g.control->loop, &q->deadline, later);
	clusters_send_credential(g.control, k); /* it was the login that failed */
	assert_int_equal(pause_of(&g, q), 0);
	loop_timer_set(g.control->loop, &q->deadline, later);
	q->failed = ERR_UNKNOWN_RESOURCE;
	turned(&g, k, ERR_OK);
	assert_true(pause_of(&g, q) > 0);
	rig_fini(&g);
}

static void note_of(struct rig *g, enum reactor_note_type type, const struct known_cluster *k)
{
	struct reactor_note *n = calloc(1, sizeof *n);
	assert_non_null(n);
	list_init(&n->link);
	n->type = type;
	n->cluster = k->id;
	control_note(g->control, n);
}

static unsigned clusters_of_reactors(const struct rig *g)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < 2; i++)
		LIST_EACH (it, &g->reactors[i]->clusters)
			n++;
	return n;
}

/* Everything that may still be on its way when the reactors have been told to stop: answers of a
 * backend, of DNS and of credentials, discovery. None of it reaches them, and nothing is left (this
 * is run under a leak checker). */
static void what_comes_while_it_stops_is_let_go(void **state)
{
	static const char body[] = LISTED(ONE("prod-2"));
	char text[1024];
	struct rig g;
	struct errmsg m = {0};
	(void)state;
	rig_config(&g);
	g.list = (struct settings_list){.clusters = "prod-2*",
	        .resource = {.resource = "pods", .version = "v1", .group = ""}};
	g.settings.lists = &g.list;
	g.settings.list_count = 1;
	g.clusters[1].conf.server.host = "localhost";
	rig_start(&g);
	struct known_cluster *k = clusters_find(g.control, "prod-1");
	assert_int_equal(clusters_place(g.control, k, &m), ERR_OK);
	struct fake_sock *s = asked(&g);
	both(&g);
	consumers_bye(g.control); /* as control_end does */
	g.control->stopping = g.control->stop_posted = true;
	unsigned known = clusters_of_reactors(&g);
	snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
	        strlen(body), body);
	fake_io_bytes(s, text);
	note_of(&g, REACTOR_WANTS_ADDRESSES, k);
	note_of(&g, REACTOR_WANTS_CREDENTIAL, k);
	control_reload(g.control);
	for (int i = 0; i < 50; i++)
		both(&g);
	assert_null(clusters_find(g.control, "prod-2"));
	assert_int_equal(clusters_of_reactors(&g), known);
	rig_fini(&g);
}

static void status_names_the_way_and_the_backend(void **state)
{
	struct rig g;
	struct report doc = {0};
	(void)state;
	rig_config(&g);
	rig_start(&g);
	answer(&g, "200 OK", LISTED(ONE("prod-2")));
	status_write(g.control, NULL, &doc);
	assert_false(doc.failed);
	has(doc.p, "{\"name\":\"prod-2\",\"server\":\"http://127.0.0.1:1/base/clusters/prod-2\","
	           "\"strategy\":\"multiplexed\",\"backend\":\"hub\",\"context\":\"prod-2\",");
	has(doc.p, "{\"name\":\"prod-1\",\"server\":\"http://127.0.0.1:1/base\","
	           "\"strategy\":\"direct\",\"state\":");
	has(doc.p, "\"backends\":[{\"name\":\"hub\",");
	has(doc.p, "does not list context \\\"dev--x\\\"");
	assert_null(strstr(doc.p, "secret"));
	report_fini(&doc);
	struct reactor_status *row = calloc(1, sizeof *row + sizeof row->cluster[0]);
	assert_non_null(row);
	struct errmsg m = {0};
	struct known_cluster *k = clusters_find(g.control, "prod-2");
	assert_int_equal(clusters_place(g.control, k, &m), ERR_OK);
	row->clusters = 1;
	row->cluster[0] = (struct cluster_status){
	        .cluster = k->id, .way = STRATEGY_LEGACY, .way_text = "multiplexer answered 404"};
	struct reactor_status *status[2] = {NULL, NULL};
	status[k->reactor] = row;
	status_write(g.control, status, &doc);
	has(doc.p, "\"strategy\":\"legacy\",\"strategy_reason\":\"multiplexer answered 404\"");
	report_fini(&doc);
	free(row);
	rig_fini(&g);
}

static void a_broken_backend_breaks_its_clusters_only(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	(void)state;
	rig_config(&g);
	cluster_conf_fini(&g.backend.conf);
	(void)errmsg_set(&g.backend.error, ERR_CRED_FILE, "ca.crt no such file");
	rig_start(&g);
	has(warned, "ca.crt no such file");
	assert_int_equal(
	        clusters_place(g.control, clusters_find(g.control, "dev/x"), &m), ERR_CRED_FILE);
	assert_int_equal(clusters_place(g.control, clusters_find(g.control, "prod-1"), &m), ERR_OK);
	for (int i = 0; i < 5; i++)
		both(&g);
	rig_fini(&g);
}

/* Its page and eventfd are used by every reactor: they stay until the last has let go. */
static void a_consumer_that_left_stays_until_no_reactor_uses_it(void **state)
{
	struct rig g;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void)state;
	rig_config(&g);
	rig_start(&g);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", g.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	for (int i = 0; i < 20 && !g.control->consumers.count; i++)
		both(&g);
	both(&g);
	const struct consumer *k = g.control->consumers.rows[0];
	assert_non_null(k);
	close(fd);
	for (int i = 0; i < 20 && !k->leaving; i++)
		loop_turn(g.control->loop, loop_now_ns(g.control->loop));
	assert_true(k->leaving);
	for (uint32_t i = 0; i < 2; i++) {
		assert_ptr_equal(g.control->consumers.rows[0], k);
		assert_int_equal(k->gone_from, i);
		for (int n = 0; n < 5; n++) {
			g.io[i].now_ns += 20000000;
			reactor_turn(g.reactors[i], 0);
			loop_turn(g.control->loop, loop_now_ns(g.control->loop));
		}
	}
	assert_null(g.control->consumers.rows[0]);
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_backend_is_asked_with_its_token),
	        cmocka_unit_test(what_it_lists_becomes_clusters_beside_it),
	        cmocka_unit_test(what_is_found_can_be_logged_in_to_on_the_shared_socket),
	        cmocka_unit_test(a_taken_name_is_prefixed_with_the_backend),
	        cmocka_unit_test(a_name_that_cannot_be_given_is_told_once),
	        cmocka_unit_test(a_vanished_context_keeps_its_cluster),
	        cmocka_unit_test(a_vanished_context_makes_room),
	        cmocka_unit_test(a_backend_that_does_not_answer_is_told),
	        cmocka_unit_test(what_is_back_has_the_backend_asked),
	        cmocka_unit_test(one_line_says_that_all_behind_a_backend_are_away),
	        cmocka_unit_test(lists_of_the_settings_open_in_what_is_found),
	        cmocka_unit_test(what_is_back_has_its_lists_opened),
	        cmocka_unit_test(what_comes_while_it_stops_is_let_go),
	        cmocka_unit_test(status_names_the_way_and_the_backend),
	        cmocka_unit_test(a_broken_backend_breaks_its_clusters_only),
	        cmocka_unit_test(a_consumer_that_left_stays_until_no_reactor_uses_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
