/* wipe_test.c - what logs in is wiped: no memory that is given back holds any of it, from the
 * files, plugins and settings to the requests. */
#include "unit/control/file_rig.h"

#include "harness/given_back.h"

#define CANARY "s3cr3t-canary-"

static const char yaml[] =
        "apiVersion: kubering.io/v1alpha1\nkind: Config\n"
        "clusters: [{context: \"*\"}, {name: hub, headlamp: {url: \"http://127.0.0.1:9\","
        " contexts: [x], backendToken: " CANARY "hub, clusterToken: " CANARY "behind}}]\n";

#define CONTEXT(name) "- {name: " name ", context: {cluster: c, user: " name "}}\n"

/* The answer of the plugin comes in more than one piece. */
static const char *kubeconfig(struct scratch *s, const char *token)
{
	static char text[4096];
	const char *file = scratch_write(s, "token", CANARY "file\n");
	const char *plugin = scratch_script(s, "plugin",
	        "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
	        "\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"" CANARY "exec\"}}'\n"
	        "echo \"$SECRET\" >&2; printf '%9000s' ''");
	snprintf(text, sizeof text,
	        "apiVersion: v1\nkind: Config\ncontexts:\n" CONTEXT("token") CONTEXT("file")
	                CONTEXT("basic") CONTEXT(
	                        "exec") "clusters:\n"
	                                "- {name: c, cluster: {server: \"https://127.0.0.1:1\", "
	                                "insecure-skip-tls-verify: true}}\n"
	                                "users:\n"
	                                "- {name: token, user: {token: " CANARY "%s}}\n"
	                                "- {name: file, user: {tokenFile: %s}}\n"
	                                "- {name: basic, user: {username: u, password: " CANARY
	                                "password}}\n"
	                                "- {name: exec, user: {exec: {apiVersion: "
	                                "client.authentication.k8s.io/v1,"
	                                " interactiveMode: Never, command: %s, env: [{name: "
	                                "SECRET, value: " CANARY "env}]}}}\n",
	        token, file, plugin);
	return text;
}

static bool have_logged_in(const struct rig *g)
{
	bool all = true;
	for (uint32_t i = 0; i < g->control->clusters.by_name.count; i++) {
		const struct known_cluster *k = g->control->clusters.by_name.rows[i];
		all = all && (k->backend || (k->credential && k->sent));
	}
	return all;
}

static void log_in(struct rig *g)
{
	struct errmsg m = {0};
	struct loop *l = g->control->loop;
	for (uint32_t i = 0; i < g->control->clusters.by_name.count; i++)
		assert_int_equal(
		        clusters_place(g->control, g->control->clusters.by_name.rows[i], &m),
		        ERR_OK);
	for (int i = 0; i < 1000 && !have_logged_in(g); i++) {
		loop_turn(l, loop_now_ns(l) + 20000000);
		turn(g);
	}
	assert_true(have_logged_in(g));
}

/* The backend's request goes out in the clear, to this host. */
static void ask_backend(struct rig *g)
{
	bool said = false;
	for (unsigned i = 0; i < fake_io_count(&g->io); i++)
		fake_io_connected(fake_io_sock(&g->io, i), ERR_OK);
	turn(g);
	for (unsigned i = 0; i < fake_io_count(&g->io); i++) {
		struct fake_sock *s = fake_io_sock(&g->io, i);
		said |= s->sent && strstr(s->sent, CANARY "hub");
		if (s->sent)
			memset(s->sent, 0, s->sent_bytes); /* the test's own */
	}
	assert_true(said);
	turn(g);
}

static void nothing_is_left_of_a_login(void **state)
{
	struct rig g;
	given_back_watch(CANARY, sizeof CANARY - 1);
	rig_init(&g, *state, yaml, kubeconfig(*state, "one"));
	ask_backend(&g);
	log_in(&g);
	reload(&g, yaml, kubeconfig(*state, "two")); /* the first configuration stays to the end */
	log_in(&g);
	reload(&g, yaml, kubeconfig(*state, "three"));
	log_in(&g);
	rig_fini(&g);
	assert_int_equal(given_back_with_it, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                nothing_is_left_of_a_login, scratch_setup, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
