/* reload_test.c - the configuration read again, from real files: what the reactor is told, and that
 * nothing is left of what went (this is run under a leak checker). */
#include "unit/config/scratch.h"

#include "config/config.h"
#include "control/core.h"
#include "control/questions.h"
#include "control/report.h"
#include "harness/fake_io.h"
#include "reactor/core.h"

struct rig {
	struct scratch *scratch;
	char path[96];
	const char *yaml, *kubeconfig;
	struct config *config; /* of the start */
	struct control *control;
	struct reactor *reactor;
	struct fake_io io;
	unsigned ended, good; /* reloads */
};

static char warned[4096];
static void warn(const char *text)
{
	size_t n = strlen(warned);
	snprintf(warned + n, sizeof warned - n, "%s\n", text);
}

static err_t load(void *arg, struct config **out, struct errmsg *m)
{
	const struct rig *g = arg;
	struct problem_list problems;
	struct config_options o = {.settings_file = g->yaml,
	        .kubeconfig = g->kubeconfig,
	        .env = {.uid = geteuid(), .runtime_dir = g->scratch->dir}};
	problem_list_init(&problems);
	err_t err = config_load(&o, &problems, out);
	if (err)
		err = problem_result(&problems, m);
	problem_list_fini(&problems);
	return err;
}

static void loaded(void *arg, const char *text)
{
	struct rig *g = arg;
	g->ended++;
	g->good += text != NULL;
}

#define CONTEXT(name, port, token)                                                                 \
	"- {name: " name ", context: {cluster: " name ", user: " name "}}\n"
#define SERVER(name, port, token)                                                                  \
	"- {name: " name ", cluster: {server: \"http://127.0.0.1:" port "\"}}\n"
#define USER(name, port, token) "- {name: " name ", user: {token: " token "}}\n"
#define KUBECONFIG(rows)                                                                           \
	"apiVersion: v1\nkind: Config\ncontexts:\n" rows(CONTEXT) "clusters:\n" rows(              \
	        SERVER) "users:\n" rows(USER)
#define ONE(x)      x("a", "1", "t")
#define TWO(x)      x("a", "1", "t") x("b", "2", "t")
#define AWAY(x)     x("a", "3", "t")
#define MOVED(x)    x("a", "3", "t") x("b", "2", "t")
#define BRACKETS(x) x("'a[1]'", "1", "t")
#define LIST        "lists: [{resource: pods.v1}]\n"
#define HEAD        "apiVersion: kubering.io/v1alpha1\nkind: Config\nclusters: [{context: \"*\"}"
#define HUB         ", {name: hub, headlamp: {url: \"http://127.0.0.1:9\", contexts: [x, y]}}"

static void write_files(struct rig *g, const char *yaml, const char *kubeconfig)
{
	g->yaml = scratch_write(g->scratch, "kubering.yaml", yaml);
	g->kubeconfig = scratch_write(g->scratch, "kubeconfig", kubeconfig);
}

static void turn(struct rig *g)
{
	for (int i = 0; i < 6; i++) {
		reactor_turn(g->reactor, 0);
		loop_turn(g->control->loop, 0);
	}
}

static void rig_init(struct rig *g, struct scratch *s, const char *yaml, const char *kubeconfig)
{
	struct errmsg m = {0};
	warned[0] = 0;
	*g = (struct rig){.scratch = s};
	write_files(g, yaml, kubeconfig);
	assert_int_equal(load(g, &g->config, &m), ERR_OK);
	snprintf(g->path, sizeof g->path, "%s/socket", s->dir);
	struct control_config cc = {.socket_path = g->path,
	        .config = g->config,
	        .settings = g->config->settings,
	        .reactor_count = 1,
	        .warn = warn,
	        .load = load,
	        .loaded = loaded,
	        .load_arg = g};
	assert_int_equal(control_new(&cc, &g->control, &m), ERR_OK);
	struct reactor_config rc = {.count = 1,
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
	backends_start(g->control);
	lists_open_pinned(g->control);
	turn(g);
}

static void rig_fini(struct rig *g)
{
	g->control->stopping = true;
	consumers_bye(g->control);
	reactor_post(g->reactor, reactor_msg_new(REACTOR_STOP));
	while (!g->reactor->stopped)
		reactor_turn(g->reactor, 0);
	control_free(&g->control);
	reactor_free(&g->reactor);
	fake_io_fini(&g->io);
	config_free(&g->config);
}

static void reload(struct rig *g, const char *yaml, const char *kubeconfig)
{
	write_files(g, yaml, kubeconfig);
	reload_run(g->control);
	turn(g);
}

static unsigned open_lists(const struct rig *g)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < g->control->lists.count; i++)
		n += g->control->lists.rows[i] != NULL;
	return n;
}

static bool knows(const struct rig *g, const char *name)
{
	return clusters_find(g->control, name) != NULL;
}

/* Not one message more than the first: to say nothing is what keeps lists undisturbed. */
static void the_same_again_tells_the_reactor_nothing(void **state)
{
	struct rig g;
	rig_init(&g, *state, HEAD HUB "]\n" LIST, KUBECONFIG(TWO));
	unsigned connects = g.io.connects;
	for (int i = 0; i < 3; i++) {
		reload_run(g.control);
		assert_true(list_empty(&g.reactor->mailbox));
	}
	turn(&g);
	assert_int_equal(g.good, 3);
	assert_int_equal(g.io.connects, connects);
	assert_int_equal(
	        g.control->reload.added + g.control->reload.removed + g.control->reload.changed, 0);
	assert_string_equal(warned, "");
	rig_fini(&g);
}

static void clusters_come_move_and_go(void **state)
{
	struct rig g;
	rig_init(&g, *state, HEAD "]\n", KUBECONFIG(ONE));
	const struct known_cluster *a = clusters_find(g.control, "a");
	struct errmsg m = {0};
	assert_int_equal(clusters_place(g.control, clusters_find(g.control, "a"), &m), ERR_OK);
	turn(&g);
	for (int i = 0; i < 10; i++) {
		reload(&g, HEAD HUB "]\n", KUBECONFIG(TWO));
		assert_true(knows(&g, "b") && knows(&g, "x") && knows(&g, "y"));
		assert_ptr_equal(clusters_find(g.control, "a"), a);
		reload(&g, HEAD "]\n", KUBECONFIG(MOVED));
		assert_string_equal(core_cluster(g.reactor, a->id)->spec.host, "127.0.0.1:3");
		assert_int_equal(core_cluster(g.reactor, a->id)->address_count, 1);
		assert_int_equal(g.control->reload.changed, 1);
		assert_false(knows(&g, "x"));
		reload(&g, HEAD "]\n", KUBECONFIG(ONE));
		assert_false(knows(&g, "b"));
	}
	assert_int_equal(g.good, 30);
	/* rows are used again: a, b, the backend and its two */
	assert_true(g.control->clusters.count <= 5);
	assert_int_equal(g.control->clusters.by_name.count, 1);
	assert_int_equal(g.control->backends.count, 0);
	rig_fini(&g);
}

/* As while the reactors have not yet let go of what an earlier reload removed. Those behind the one
 * for which there is no row are kept, and what they borrow is the new configuration's. */
static void a_cluster_without_room_is_no_matter_of_the_others(void **state)
{
#define HUBS(contexts)                                                                             \
	", {name: hub, headlamp: {url: \"http://127.0.0.1:9\", contexts: " contexts "}}"
#define BEHIND(x) x("a", "1", "t") x("zz", "2", "t")
	struct rig g;
	rig_init(&g, *state, HEAD HUBS("[x]") "]\n", KUBECONFIG(BEHIND));
	reload(&g, HEAD HUBS("[x]") "]\n", KUBECONFIG(BEHIND)); /* what the start gave never goes */
	while (g.control->clusters.count < CONFIG_CLUSTERS_MAX)
		assert_non_null(clusters_new(&g.control->clusters));
	for (int i = 0; i < 3; i++) {
		reload(&g, HEAD HUBS("[x, y, z]") "]\n", KUBECONFIG(BEHIND));
		assert_int_equal(g.control->reload.partly.code, ERR_LIMIT);
		assert_non_null(strstr(g.control->reload.partly.text, "reload again"));
		assert_true(knows(&g, "a") && knows(&g, "zz"));
		assert_false(knows(&g, "z"));
	}
	assert_int_equal(g.good, 4);
	rig_fini(&g);
}

static void discovery_answers(struct rig *g, uint32_t question, int status, const char *body)
{
	struct reactor_note *n = calloc(1, sizeof *n);
	assert_non_null(n);
	list_init(&n->link);
	n->type = REACTOR_FETCHED;
	n->id = question;
	n->http_status = status;
	n->body = strdup(body);
	n->body_bytes = strlen(body);
	control_note(g->control, n);
}

static void discovery_says(struct rig *g, uint32_t question, const char *body)
{
	discovery_answers(g, question, 200, body);
}

/* What is asked of it now. */
static uint32_t fetch_of(const struct rig *g, const struct known_cluster *k)
{
	return CONTAINER_OF(core_cluster(g->reactor, k->id)->fetches.next, struct fetch, link)
	        ->answer->id;
}

static bool status_has(struct rig *g, const char *part)
{
	struct report doc = {0};
	status_write(g->control, NULL, &doc);
	assert_false(doc.failed);
	bool there = strstr(doc.p, part);
	report_fini(&doc);
	return there;
}

/* A list that is to be kept open is in the status also when its cluster does not have it. */
static void what_cannot_be_kept_open_is_in_the_status(void **state)
{
	struct rig g;
	static const char yaml[] = HEAD "]\nlists: [{resource: widgets.v1.shop, namespace: web}]\n";
	static const char row[] =
	        "{\"cluster\":\"a\",\"group\":\"shop\",\"version\":\"v1\",\"resource\":"
	        "\"widgets\",\"namespace\":\"web\",\"label_selector\":\"\",\"field_selector\":"
	        "\"\",\"form\":\"object\",\"consumers\":0,\"pinned\":true,\"state\":"
	        "\"unresolved\",";
	rig_init(&g, *state, yaml, KUBECONFIG(ONE));
	assert_false(status_has(&g, "unresolved")); /* it is just being asked for */
	uint32_t question = fetch_of(&g, g.control->clusters.rows[0]);
	for (int i = 0; i < 2; i++) {
		discovery_says(&g, question,
		        "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":"
		        "\"apidiscovery.k8s.io/v2\",\"items\":[]}");
		turn(&g);
	}
	assert_true(status_has(&g, row));
	assert_true(
	        status_has(&g, "\"last_error\":{\"name\":\"UNKNOWN_RESOURCE\",\"text\":\"cluster "
	                       "\\\"a\\\" has no resource \\\"widgets.v1.shop\\\""));
	reload(&g, HEAD "]\n", KUBECONFIG(ONE)); /* not wanted any more */
	assert_false(status_has(&g, "unresolved"));
	rig_fini(&g);
}

/* The answer of the old server is on its way while the file is read, and must not pass for the new
 * one's. */
static void discovery_begins_anew_at_another_server(void **state)
{
#define DISCOVERY(groups)                                                                          \
	"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"                \
	"v2\",\"items\":[" groups "]}"
#define PODS(version)                                                                              \
	"{\"metadata\":{},\"versions\":[{\"version\":\"" version "\",\"resources\":[{"             \
	"\"resource\":\"pods\",\"responseKind\":{\"group\":\"\",\"version\":\"" version            \
	"\",\"kind\":\"Pod\"},\"scope\":\"Namespaced\",\"singularResource\":\"pod\","              \
	"\"verbs\":[\"list\",\"watch\"]}]}]}"
	struct rig g;
	static const char yaml[] = HEAD "]\nlists: [{resource: pods}]\n";
	rig_init(&g, *state, yaml, KUBECONFIG(ONE));
	const struct known_cluster *a = clusters_find(g.control, "a");
	assert_true(a->discovering);
	uint32_t question = fetch_of(&g, a);
	discovery_says(&g, question, DISCOVERY(PODS("v1old")));
	turn(&g);
	assert_int_equal(a->discovery_step, 1);
	discovery_says(&g, question, DISCOVERY(""));
	write_files(&g, yaml, KUBECONFIG(AWAY));
	reload_run(g.control);
	turn(&g);
	assert_int_equal(open_lists(&g), 0);
	assert_true(a->discovering);
	assert_int_equal(a->discovery_step, 0);
	question = fetch_of(&g, a);
	discovery_says(&g, question, DISCOVERY(PODS("v1")));
	discovery_says(&g, question, DISCOVERY(""));
	turn(&g);
	assert_false(a->discovering);
	assert_int_equal(open_lists(&g), 1);
	assert_string_equal(g.control->lists.rows[0]->version, "v1");
	rig_fini(&g);
}

/* An aggregated API server that stands by itself, or a proxy that has only the core group. */
static void half_of_an_api_is_one(void **state)
{
	static const char html[] = "404 page not found\n";
	for (int half = 0; half < 3; half++) {
		struct rig g;
		rig_init(&g, *state, HEAD "]\nlists: [{resource: pods}]\n", KUBECONFIG(ONE));
		const struct known_cluster *a = clusters_find(g.control, "a");
		uint32_t question = fetch_of(&g, a);
		for (int i = 0; i < 2; i++) {
			bool there = i == half;
			discovery_answers(&g, question, there ? 200 : 404,
			        there ? DISCOVERY(PODS("v1")) : html);
			turn(&g);
		}
		assert_false(a->discovering);
		assert_int_equal(open_lists(&g), half < 2);
		assert_int_equal(a->discovery_failed.code, half < 2 ? ERR_OK : ERR_HTTP_STATUS);
		rig_fini(&g);
	}
}

static void a_name_may_go_from_a_backend_to_a_kubeconfig(void **state)
{
	struct rig g;
	rig_init(&g, *state,
	        HEAD ", {name: hub, headlamp: {url: \"http://127.0.0.1:9\", contexts: [b]}}]\n",
	        KUBECONFIG(ONE));
	assert_non_null(clusters_find(g.control, "b")->backend);
	reload(&g, HEAD ", {name: hub, headlamp: {url: \"http://127.0.0.1:9\", contexts: [b]}}]\n",
	        KUBECONFIG(TWO));
	assert_null(clusters_find(g.control, "b")->backend);
	assert_non_null(clusters_find(g.control, "hub/b")->backend);
	rig_fini(&g);
}

static void an_error_changes_nothing_and_is_kept_for_status(void **state)
{
	struct rig g;
	struct report t = {0};
	rig_init(&g, *state, HEAD "]\n", KUBECONFIG(TWO));
	const struct settings *before = g.control->config.settings;
	reload(&g, HEAD "]\nlimitz: 1\n", KUBECONFIG(ONE));
	assert_true(knows(&g, "b"));
	assert_ptr_equal(g.control->config.settings, before);
	assert_int_equal(g.ended, 1);
	assert_int_equal(g.good, 0);
	scratch_has(warned, "stays in force");
	reload_write(g.control, &t);
	scratch_has(t.p, "kubering.yaml:4:1");
	report_fini(&t);
	reload(&g, HEAD "]\n", ""); /* somebody is just writing it */
	assert_true(knows(&g, "a") && knows(&g, "b"));
	scratch_has(g.control->reload.failed.text, "half written");
	reload(&g, HEAD "]\n", KUBECONFIG(ONE));
	assert_false(knows(&g, "b"));
	assert_int_equal(g.control->reload.failed.code, ERR_OK);
	rig_fini(&g);
}

static void what_needs_a_restart_is_named_and_not_taken(void **state)
{
	struct rig g;
	rig_init(&g, *state, HEAD "]\n", KUBECONFIG(ONE));
	uint64_t entries = g.control->config.settings->limits.ring_entries;
	for (int i = 0; i < 2; i++) { /* until it is restarted, or the file says what it was */
		reload(&g,
		        HEAD "]\nio: epoll\nsocket: /elsewhere\nreactors: 7\n"
		             "limits: {ringEntries: 1024, lingerSeconds: 9}\n",
		        KUBECONFIG(ONE));
		assert_string_equal(
		        g.control->reload.restart, "socket, io, reactors, limits.ringEntries");
		assert_int_equal(g.control->config.settings->limits.ring_entries, entries);
		assert_int_equal(g.control->config.settings->limits.linger_seconds, 9);
	}
	scratch_has(warned, "need a restart: socket, io");
	reload(&g, HEAD "]\n", KUBECONFIG(ONE));
	assert_string_equal(g.control->reload.restart, "");
	rig_fini(&g);
}

#define REALM(name, resource)                                                                      \
	"{name: " name ", allow: {uids: [0]}, lists: [{resources: [" resource "]}]}"

#define SECRETS(values)                                                                            \
	"{name: web, allow: {uids: [0]}, lists: [{resources: [secrets]}], secretValues: " values "}"

/* Realms are numbers in shared memory. Others may follow; those that were there keep their place.
 */
static void realms_keep_their_numbers(void **state)
{
	struct rig g;
	rig_init(&g, *state, HEAD "]\nrealms: [" REALM("web", "pods") "]\n", KUBECONFIG(ONE));
	for (int i = 0; i < 3; i++) {
		reload(&g,
		        HEAD "]\nrealms: [" REALM("ops", "nodes") ", " REALM("web", "pods") "]\n",
		        KUBECONFIG(ONE));
		assert_string_equal(g.control->reload.restart, "realms");
		assert_int_equal(g.control->config.settings->realm_count, i ? 2 : 1);
		assert_string_equal(g.control->config.settings->realms[0].name, "web");
		reload(&g,
		        HEAD
		        "]\nrealms: [" REALM("web", "configmaps") ", " REALM("ops", "nodes") "]\n",
		        KUBECONFIG(ONE));
		assert_string_equal(g.control->reload.restart, "");
		assert_int_equal(g.control->config.settings->realm_count, 2);
		assert_string_equal(g.control->config.settings->realms[1].name, "ops");
		reload(&g, HEAD "]\nrealms: [" REALM("ops", "nodes") "]\n", KUBECONFIG(ONE));
		assert_string_equal(g.control->reload.restart, "realms");
		assert_int_equal(g.control->config.settings->realm_count, 2);
		reload(&g, HEAD "]\nrealms: [" REALM("ops", "pods") "]\n", KUBECONFIG(ONE));
		reload(&g,
		        HEAD "]\nrealms: [" REALM("web", "pods") ", " REALM("ops", "nodes") "]\n",
		        KUBECONFIG(ONE));
		assert_string_equal(g.control->reload.restart, "");
	}
	rig_fini(&g);
}

/* A consumer that attaches to the realm afterwards maps what is left of them. */
static void values_of_secrets_that_stay_are_told(void **state)
{
	static const char one[] = HEAD "]\nrealms: [" SECRETS("true") "]\n",
	                  none[] = HEAD "]\nrealms: [" SECRETS("false") "]\n";
	struct rig g;
	rig_init(&g, *state, one, KUBECONFIG(ONE));
	reload(&g, one, KUBECONFIG(ONE));
	assert_string_equal(warned, "");
	reload(&g, none, KUBECONFIG(ONE));
	scratch_has(warned, "realm \"web\": no more values of Secrets");
	warned[0] = 0;
	reload(&g, none, KUBECONFIG(ONE));
	reload(&g, one, KUBECONFIG(ONE));
	assert_string_equal(warned, "");
	rig_fini(&g);
}

/* Of a server that knows no aggregated discovery. */
static void one_broken_group_hides_no_other(void **state)
{
	struct rig g;
	rig_init(&g, *state, HEAD "]\nlists: [{resource: pods}]\n", KUBECONFIG(ONE));
	const struct known_cluster *a = clusters_find(g.control, "a");
	uint32_t question = fetch_of(&g, a);
	discovery_says(&g, question, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}");
	discovery_says(&g, question,
	        "{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":\"x.io\",\"versions\":[{"
	        "\"groupVersion\":\"x.io/v1\",\"version\":\"v1\"}]}]}");
	discovery_says(&g, question,
	        "{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":[{\"name\":"
	        "\"pods\",\"singularName\":\"pod\",\"namespaced\":true,\"kind\":\"Pod\",\"verbs\":"
	        "[\"list\",\"watch\"]}]}");
	turn(&g);
	assert_int_equal(a->discovery_step, 3);
	discovery_says(&g, question, "<html>log in</html>");
	turn(&g);
	assert_false(a->discovering);
	assert_int_equal(a->discovery_failed.code, ERR_OK);
	assert_int_equal(open_lists(&g), 1);
	rig_fini(&g);
}

static void lists_that_are_kept_open_follow_the_file(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	rig_init(&g, *state, HEAD "]\nlimits: {lingerSeconds: 0}\n", KUBECONFIG(TWO));
	/* as if discovery had answered: opened by an entry */
	struct list_want w = {"a", "", "v1", "pods", "", "", "", false, false};
	assert_int_equal(lists_open(g.control, &w, 0, NULL, &m), ERR_OK);
	turn(&g);
	reload(&g, HEAD "]\nlimits: {lingerSeconds: 0}\n" LIST, KUBECONFIG(TWO));
	assert_int_equal(open_lists(&g), 1);
	assert_true(g.control->lists.rows[0]->pinned);
	reload(&g,
	        HEAD "]\nlimits: {lingerSeconds: 0}\n"
	             "lists: [{resource: pods.v1, clusters: b}]\n",
	        KUBECONFIG(TWO));
	assert_false(g.control->lists.rows[0] && g.control->lists.rows[0]->pinned);
	while (open_lists(&g)) /* its linger ends with the clock's next tick */
		turn(&g);
	reload(&g, HEAD "]\n", KUBECONFIG(ONE)); /* with questions under way about both */
	assert_true(list_empty(&g.control->questions));
	rig_fini(&g);
}

/* Names match themselves, in lists: as in realms: and in what --check says (config/pattern.h). */
static void a_list_of_a_cluster_with_brackets_in_its_name_is_kept_open(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	rig_init(&g, *state, HEAD "]\nlists: [{resource: pods.v1, clusters: 'a[1]'}]\n",
	        KUBECONFIG(BRACKETS));
	assert_false(list_empty(&g.control->questions)); /* what "pods" is there */
	struct list_want w = {"a[1]", "", "v1", "pods", "", "", "", false, false};
	assert_int_equal(lists_open(g.control, &w, 0, NULL, &m), ERR_OK);
	assert_true(lists_is_pinned_by(
	        g.control, g.control->lists.rows[0], &g.control->config.settings->lists[0], false));
	rig_fini(&g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_same_again_tells_the_reactor_nothing),
	        TEST(clusters_come_move_and_go),
	        TEST(a_cluster_without_room_is_no_matter_of_the_others),
	        TEST(what_cannot_be_kept_open_is_in_the_status),
	        TEST(discovery_begins_anew_at_another_server),
	        TEST(half_of_an_api_is_one),
	        TEST(one_broken_group_hides_no_other),
	        TEST(a_name_may_go_from_a_backend_to_a_kubeconfig),
	        TEST(an_error_changes_nothing_and_is_kept_for_status),
	        TEST(what_needs_a_restart_is_named_and_not_taken),
	        TEST(realms_keep_their_numbers),
	        TEST(values_of_secrets_that_stay_are_told),
	        TEST(lists_that_are_kept_open_follow_the_file),
	        TEST(a_list_of_a_cluster_with_brackets_in_its_name_is_kept_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
