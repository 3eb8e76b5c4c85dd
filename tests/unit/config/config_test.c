/* config.c and config_check.c: which contexts become clusters, with which options, and what --check
 * finds. */
#include "config/config.h"

#include "scratch.h"

#define HEAD "apiVersion: kubering.io/v1alpha1\nkind: Config\n"
#define WALL 1795514400 /* 2026-11-24T10:00:00Z */

static struct scratch_pair pair, old_pair, other;

static const char kubeconfig[] =
        "current-context: prod-eu\n"
        "clusters:\n- {name: k, cluster: {server: 'https://h'}}\n- {name: bad, cluster: {}}\n"
        "users:\n- {name: u, user: {token: t}}\n"
        "contexts:\n"
        "- {name: prod-eu, context: {cluster: k, user: u}}\n"
        "- {name: prod-us, context: {cluster: k, user: u}}\n"
        "- {name: dev, context: {cluster: k}}\n"
        "- {name: broken, context: {cluster: bad}}\n";

struct loaded {
	struct problem_list problems;
	struct config *config;
	err_t err;
	char names[512]; /* of the clusters, with spaces between */
};

/* settings NULL: no --config. Contexts: from the command line, NULL-terminated, may be NULL. */
static void options(struct config_options *o, struct scratch *s, const char *settings,
        const char *const *contexts)
{
	*o = (struct config_options){.contexts = contexts, .env = {.uid = 1}};
	while (contexts && contexts[o->context_count])
		o->context_count++;
	o->source.env = scratch_write(s, "kc", kubeconfig);
	if (settings) {
		char text[4096];
		snprintf(text, sizeof text, HEAD "%s", settings);
		o->settings_file = scratch_write(s, "k.yaml", text);
	}
}

static void load(struct loaded *l, const struct config_options *o)
{
	*l = (struct loaded){0};
	problem_list_init(&l->problems);
	l->err = config_load(o, &l->problems, &l->config);
	assert_int_equal(l->err == ERR_OK, l->config != NULL);
	for (size_t i = 0; l->config && i < l->config->cluster_count; i++) {
		size_t n = strlen(l->names);
		snprintf(l->names + n, sizeof l->names - n, "%s%s", i ? " " : "",
		        l->config->clusters[i].name);
	}
}

static void unload(struct loaded *l)
{
	config_free(&l->config);
	problem_list_fini(&l->problems);
}

static void config_chooses_contexts(void **state)
{
	static const struct {
		const char *settings;
		const char *contexts[4];
		const char *names, *problem; /* names NULL: the load fails */
	} rows[] = {
	        {NULL, {NULL}, "prod-eu", NULL},
	        {NULL, {"dev"}, "dev", NULL},
	        {NULL, {"prod-*", "dev"}, "dev prod-eu prod-us", NULL},
	        {NULL, {"dev", "dev", "d*"}, "dev", NULL},
	        {NULL, {"*"}, "broken dev prod-eu prod-us", NULL},
	        {NULL, {"dev", "nope"}, NULL,
	                "--context nope: no such context; there are: broken, dev, prod-eu, "
	                "prod-us"},
	        {NULL, {"n*"}, NULL, "--context n*: no such context"},
	        {"io: auto\n", {NULL}, "prod-eu", NULL},
	        {"clusters: [{context: 'prod-*'}]\n", {NULL}, "prod-eu prod-us", NULL},
	        {"clusters: [{context: 'prod-*'}]\n", {"dev"}, "dev", NULL},
	        {"clusters: [{name: eu, context: prod-eu}, {context: 'prod-*'}]\n", {NULL},
	                "eu prod-us", NULL},
	        {"clusters: [{context: nope}]\n", {NULL}, NULL,
	                "/k.yaml:3:12: clusters[0].context: there is no context \"nope\""},
	        {"clusters: [{context: 'n*'}, {context: dev}]\n", {NULL}, "dev", "W /tmp"},
	        {"clusters: [{name: x, context: 'prod-*'}]\n", {NULL}, NULL,
	                "clusters[0].name: 2 contexts match \"prod-*\""},
	        {"clusters: [{name: dev, context: prod-eu}, {context: dev}]\n", {NULL}, NULL,
	                "two clusters are called \"dev\""},
	        {"clusters: []\n", {NULL}, "prod-eu", NULL},
	        {"oi: auto\n", {NULL}, NULL, "unknown field \"oi\""},
	        {"kubeconfig: missing\n", {NULL}, NULL, "/missing: no such file"},
	        {"clusters: [{context: a, kubeconfig: missing}]\n", {NULL}, NULL,
	                "/missing: no such file"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config_options o;
		struct loaded l;
		options(&o, *state, rows[i].settings, rows[i].contexts);
		load(&l, &o);
		if ((l.err == ERR_OK) != (rows[i].names != NULL))
			fail_msg("row %zu: %s", i, scratch_problems(&l.problems));
		if (rows[i].names)
			assert_string_equal(l.names, rows[i].names);
		if (rows[i].problem)
			scratch_has(scratch_problems(&l.problems), rows[i].problem);
		else
			assert_int_equal(l.problems.count, 0);
		unload(&l);
	}
}

static void config_without_any_kubeconfig_says_what_to_do(void **state)
{
	struct config_options o;
	struct loaded l;
	options(&o, *state, NULL, NULL);
	o.source.env = "/dev/null";
	load(&l, &o);
	assert_int_equal(l.err, ERR_CONFIG);
	scratch_has(
	        scratch_problems(&l.problems), "no cluster: there is no kubeconfig with a context");
	scratch_has(scratch_problems(&l.problems), "kubeconfig: in kubering.yaml");
	unload(&l);
	o.source.env = scratch_write(*state, "kc", "contexts: [{name: a}]\n");
	load(&l, &o);
	scratch_has(scratch_problems(&l.problems),
	        "no current-context is set; choose with --context; "
	        "there are: a");
	unload(&l);
	o.source.env = scratch_write(*state, "kc", "current-context: x\ncontexts: [{name: a}]\n");
	load(&l, &o);
	scratch_has(scratch_problems(&l.problems), "current-context \"x\" does not exist");
	unload(&l);
}

static void config_flag_beats_settings_beats_environment(void **state)
{
	struct scratch *s = *state;
	static const char one[] =
	        "contexts: [{name: %s, context: {cluster: k}}]\ncurrent-context: %s\n"
	        "clusters: [{name: k, cluster: {server: 'https://%s'}}]\n";
	char text[512];
	struct config_options o;
	struct loaded l;
	options(&o, s, "kubeconfig: from-settings\n", NULL);
	snprintf(text, sizeof text, one, "a", "a", "a");
	scratch_write(s, "from-settings", text);
	load(&l, &o);
	assert_string_equal(l.names, "a");
	unload(&l);
	snprintf(text, sizeof text, one, "b", "b", "b");
	o.kubeconfig = scratch_write(s, "from-flag", text);
	load(&l, &o);
	assert_string_equal(l.names, "b");
	unload(&l);
}

static void config_entries_give_options(void **state)
{
	struct scratch *s = *state;
	static const char *const contexts[] = {"*", NULL};
	struct config_options o;
	struct loaded l;
	options(&o, s,
	        "clusters:\n- {context: prod-us, qps: 9}\n- {name: eu, context: 'prod-e*', qps: 8, "
	        "watchList: never, auditSeconds: 60}\n- {context: 'prod-*', qps: 7}\n",
	        contexts);
	load(&l, &o);
	/* named on the command line, and options by the first entry that matches */
	assert_string_equal(l.names, "broken dev eu prod-us");
	static const uint32_t qps[] = {SETTINGS_QPS_DEFAULT, SETTINGS_QPS_DEFAULT, 8, 9};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(l.config->clusters[i].qps, qps[i]);
	assert_int_equal(l.config->clusters[2].watch_list, SETTINGS_WATCH_LIST_NEVER);
	assert_int_equal(l.config->clusters[2].audit_s, 60);
	assert_int_equal(l.config->clusters[3].audit_s, 0);
	assert_string_equal(l.config->clusters[2].context, "prod-eu");
	assert_int_equal(l.config->clusters[3].watch_list, SETTINGS_WATCH_LIST_AUTO);
	unload(&l);
}

static void config_entries_have_kubeconfigs_of_their_own(void **state)
{
	struct scratch *s = *state;
	struct config_options o;
	struct loaded l;
	scratch_write(s, "edge",
	        "contexts: [{name: dev, context: {cluster: k}}, {name: x, context: {cluster: k}}]\n"
	        "clusters: [{name: k, cluster: {server: 'https://edge'}}]\n");
	options(&o, s,
	        "clusters:\n- {context: dev}\n- {name: dev2, context: dev, kubeconfig: edge}\n"
	        "- {context: '*', kubeconfig: edge}\n",
	        NULL);
	load(&l, &o);
	assert_string_equal(l.names, "dev dev2 x");
	assert_string_equal(l.config->clusters[0].conf.server.text, "https://h");
	assert_string_equal(l.config->clusters[1].conf.server.text, "https://edge");
	scratch_has(l.config->clusters[1].place.file, "/edge");
	unload(&l);
	/* if all have their own, the common one is not even looked at */
	options(&o, s, "clusters: [{context: x, kubeconfig: edge}]\n", NULL);
	o.source.env = scratch_write(s, "kc", "broken: [\n");
	load(&l, &o);
	assert_int_equal(l.problems.count, 0);
	assert_string_equal(l.names, "x");
	unload(&l);
}

static void config_backends_bring_the_clusters_they_name(void **state)
{
	struct scratch *s = *state;
	struct config_options o;
	struct loaded l;
	/* no kubeconfig is needed when all entries are backends */
	options(&o, s,
	        "clusters:\n- {name: hub, strategy: legacy, qps: 9, compression: auto, headlamp: "
	        "{url: "
	        "'https://h', backendToken: t, contexts: [b, 'p*', a/x, b]}}\n"
	        "- {name: two, headlamp: {url: 'https://i', contexts: [b]}}\n"
	        "- {name: three, headlamp: {url: 'https://j', certificateAuthority: none, "
	        "contexts: "
	        "[c]}}\n",
	        NULL);
	o.source.env = scratch_write(s, "kc", "broken: [\n");
	load(&l, &o);
	assert_int_equal(l.problems.count, 0);
	assert_string_equal(l.names, "a/x b c two/b");
	assert_int_equal(l.config->backend_count, 3);
	const struct config_backend *hub = &l.config->backends[0];
	assert_true(hub->discovers);
	assert_false(l.config->backends[1].discovers);
	assert_string_equal(hub->conf.credential.token, "t");
	assert_string_equal(hub->conf.server.text, "https://h");
	const struct config_cluster *c = l.config->clusters;
	assert_ptr_equal(c[1].backend, hub);
	assert_string_equal(c[1].context, "b");
	assert_int_equal(c[1].strategy, SETTINGS_STRATEGY_LEGACY);
	assert_int_equal(c[1].qps, 9);
	assert_true(c[1].gzip);
	assert_ptr_equal(c[3].backend, hub + 1);
	assert_string_equal(c[3].context, "b");
	assert_false(c[3].gzip);
	/* one that cannot be used leaves the others */
	assert_int_equal(l.config->backends[2].error.code, ERR_CRED_FILE);
	assert_int_equal(c[2].error.code, ERR_CRED_FILE);
	assert_int_equal(c[1].error.code, ERR_OK);
	unload(&l);
}

static void config_a_kubeconfig_has_the_plain_name(void **state)
{
	struct scratch *s = *state;
	static const char *const contexts[] = {"dev", NULL};
	static const char hub[] = "clusters:\n- {name: hub, headlamp: {url: 'https://h', contexts: "
	                          "[dev]}}\n- {context: "
	                          "dev}\n";
	struct config_options o;
	struct loaded l;
	options(&o, s, hub, NULL);
	load(&l, &o);
	assert_string_equal(l.names, "dev hub/dev");
	assert_null(l.config->clusters[0].backend);
	unload(&l);
	/* --context chooses from the kubeconfig */
	options(&o, s, hub, contexts);
	load(&l, &o);
	assert_string_equal(l.names, "dev");
	assert_int_equal(l.config->backend_count, 0);
	unload(&l);
	options(&o, s,
	        "clusters: [{name: h, headlamp: {url: 'https://h'}}, {name: h, headlamp: {url: "
	        "'https://i'}}]\n",
	        NULL);
	load(&l, &o);
	scratch_has(scratch_problems(&l.problems),
	        "/k.yaml:3:53: two Headlamp backends are called \"h\"");
	unload(&l);
}

static void config_compression_is_what_both_files_allow(void **state)
{
	struct scratch *s = *state;
	struct config_options o;
	struct loaded l;
	options(&o, s, "clusters: [{context: '*', compression: auto}]\n", NULL);
	o.source.env = scratch_write(s, "kc",
	        "clusters:\n- {name: k, cluster: {server: 'https://h'}}\n- {name: n, cluster: "
	        "{server: "
	        "'https://h', disable-compression: true}}\n"
	        "contexts: [{name: a, context: {cluster: k}}, {name: b, context: {cluster: n}}]\n");
	load(&l, &o);
	assert_true(l.config->clusters[0].gzip);
	assert_false(l.config->clusters[1].gzip);
	unload(&l);
	options(&o, s, NULL, NULL);
	load(&l, &o);
	assert_false(l.config->clusters[0].gzip);
	unload(&l);
}

static void config_broken_context_leaves_the_others(void **state)
{
	static const char *const contexts[] = {"broken", "dev", NULL};
	struct config_options o;
	struct loaded l;
	options(&o, *state, NULL, contexts);
	load(&l, &o);
	assert_int_equal(l.err, ERR_OK);
	assert_int_equal(l.config->clusters[0].error.code, ERR_CONFIG);
	scratch_has(l.config->clusters[0].error.text, "cluster \"bad\": server: is missing");
	assert_int_equal(l.config->clusters[1].error.code, ERR_OK);
	/* what is taken outlives the rest */
	struct cluster_conf taken = config_take(&l.config->clusters[1].conf);
	unload(&l);
	assert_string_equal(taken.server.text, "https://h");
	cluster_conf_fini(&taken);
	cluster_conf_fini(&taken);
}

static void config_reload_of_a_broken_file_keeps_the_old(void **state)
{
	struct config_options o;
	struct loaded l, again;
	options(&o, *state, "reactors: 3\n", NULL);
	load(&l, &o);
	options(&o, *state, "reactors: 3\nreactors: 4\n", NULL);
	load(&again, &o);
	assert_int_equal(again.err, ERR_CONFIG);
	unload(&again);
	assert_int_equal(l.config->settings->reactors, 3);
	assert_string_equal(l.config->clusters[0].conf.credential.token, "t");
	unload(&l);
}

/* --- check ------------------------------------------------------------------------------- */

static void check(struct loaded *l, const struct config_options *o)
{
	*l = (struct loaded){0};
	problem_list_init(&l->problems);
	l->err = config_check(o, "/usr/bin:/bin", WALL, &l->problems);
	assert_int_equal(l->err == ERR_OK, l->problems.errors == 0);
}

/* A kubeconfig of one context with this cluster and user. */
static void check_one(struct loaded *l, struct scratch *s, const char *cluster, const char *user,
        const char *settings)
{
	struct config_options o;
	char text[1024];
	options(&o, s, settings, NULL);
	snprintf(text, sizeof text,
	        "current-context: c\nclusters: [{name: k, cluster: %s}]\nusers: [{name: u, user: "
	        "%s}]\n"
	        "contexts: [{name: c, context: {cluster: k, user: u}}]\n",
	        cluster, user);
	o.source.env = scratch_write(s, "kc", text);
	check(l, &o);
}

static void check_finds_what_needs_no_connection(void **state)
{
	struct scratch *s = *state;
	scratch_write(s, "good.crt", pair.cert);
	scratch_write(s, "good.key", pair.key);
	scratch_write(s, "old.crt", old_pair.cert);
	scratch_write(s, "old.key", old_pair.key);
	scratch_write(s, "other.key", other.key);
	scratch_write(s, "soon.crt", other.cert);
	char both[2 * sizeof pair.cert];
	snprintf(both, sizeof both, "%s%s", old_pair.cert, pair.cert);
	scratch_write(s, "both.crt", both);
	scratch_write(s, "token", "t\n");
	scratch_write(s, "blank", "\n");
	scratch_script(s, "plugin", "exit 0");
#define HTTPS  "{server: 'https://h'}"
#define PLUGIN "{exec: {command: ./plugin, apiVersion: client.authentication.k8s.io/v1beta1}}"
	static const struct {
		const char *cluster, *user, *settings, *problem; /* problem NULL: fine */
	} rows[] = {
	        {HTTPS, "{}", NULL, NULL},
	        {HTTPS, "{tokenFile: token}", NULL, NULL},
	        {HTTPS, "{client-certificate: good.crt, client-key: good.key}", NULL, NULL},
	        {"{server: h, certificate-authority: good.crt}", "{}", NULL, NULL},
	        {HTTPS, PLUGIN, NULL, NULL},
	        {"{}", "{}", NULL, "E /"},
	        {HTTPS, "{tokenFile: none}", NULL, "/kc:4:12: context \"c\": tokenFile /"},
	        {HTTPS, "{tokenFile: none}", NULL, "/none: no such file"},
	        {HTTPS, "{tokenFile: blank}", NULL, "/blank: is empty"},
	        {HTTPS, "{client-certificate: good.crt, client-key: none}", NULL, "client-key /"},
	        {HTTPS, "{client-certificate: good.crt, client-key: other.key}", NULL,
	                "do not belong together"},
	        {HTTPS, "{client-certificate: old.crt, client-key: old.key}", NULL,
	                "old.crt: has expired at 2001-09-09T01:46:40Z"},
	        {HTTPS, "{client-certificate: soon.crt, client-key: other.key}", NULL, "W /"},
	        {HTTPS, "{client-certificate: soon.crt, client-key: other.key}", NULL,
	                "soon.crt: expires soon, at 2026-12-08T09:59:59Z"},
	        {"{server: h, certificate-authority: old.crt}", "{}", NULL,
	                "old.crt: has expired at 2001-09-09T01:46:40Z"},
	        /* what a rotation leaves behind harms nobody */
	        {"{server: h, certificate-authority: both.crt}", "{}", NULL, "W /"},
	        {"{server: h, certificate-authority: both.crt}", "{}", NULL,
	                "both.crt: one of its 2 certificates has expired at 2001-09-09T01:46:40Z"},
	        {"{server: h, insecure-skip-tls-verify: true}", "{}", NULL, "W /"},
	        {HTTPS, PLUGIN, "execPolicy: DenyAll\n", "execPolicy is DenyAll"},
	        {HTTPS, PLUGIN, "execPolicy: Allowlist\nexecAllowlist: [/usr/bin/aws]\n",
	                "plugin: is not in execAllowlist"},
	        {HTTPS,
	                "{exec: {command: no-such-plugin, apiVersion: "
	                "client.authentication.k8s.io/v1beta1}}",
	                NULL, "exec.command no-such-plugin: not found or not executable"},
	        {"{server: 'http://h'}", "{token: t}", NULL, "its credential is not used"},
	        {HTTPS, "{}", "lists: [{clusters: nope, resource: pods}]\n",
	                "lists[0].clusters: no cluster matches \"nope\""},
	        {HTTPS, "{}", "lists: [{resource: pods.v1}]\nrealms: []\n",
	                "lists[0]: no realm covers it for 1 of 1 clusters"},
	        {HTTPS, "{}", "lists: [{resource: pods.v1}]\n", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct loaded l;
		check_one(&l, s, rows[i].cluster, rows[i].user, rows[i].settings);
		if (!rows[i].problem && l.problems.count > 0)
			fail_msg("row %zu: %s", i, scratch_problems(&l.problems));
		if (rows[i].problem)
			scratch_has(scratch_problems(&l.problems), rows[i].problem);
		unload(&l);
	}
}

static void check_reads_what_backends_need(void **state)
{
	struct scratch *s = *state;
	scratch_write(s, "good.crt", pair.cert);
	scratch_write(s, "old.crt", old_pair.cert);
	scratch_write(s, "token", "t\n");
	scratch_write(s, "blank", "\n");
#define HUB(more) "clusters: [{name: hub, headlamp: {url: 'https://h'" more "}}]\n"
	static const struct {
		const char *settings, *problem; /* problem NULL: fine */
	} rows[] = {
	        {HUB(", backendTokenFile: token, certificateAuthority: good.crt"), NULL},
	        {HUB(", backendTokenFile: none"),
	                "/k.yaml:3:12: backend \"hub\": headlamp.backendTokenFile /"},
	        {HUB(", backendTokenFile: blank"), "/blank: is empty"},
	        {HUB(", clusterTokenFile: token"), NULL},
	        {HUB(", clusterTokenFile: blank"), "headlamp.clusterTokenFile"},
	        {HUB(", certificateAuthority: none"),
	                "/k.yaml:3:12: backend \"hub\": headlamp.certificateAuthority: /"},
	        {HUB(", certificateAuthority: token"), "no PEM certificate inside"},
	        {HUB(", certificateAuthority: old.crt"), "has expired at"},
	        {HUB(", insecureSkipTlsVerify: true"),
	                "backend \"hub\": headlamp.insecureSkipTlsVerify: anyone"},
	        /* what the backend has is not known here */
	        {HUB("") "lists: [{clusters: p1, resource: pods.v1}]\n", NULL},
	        {HUB(", contexts: [a]") "lists: [{clusters: p1, resource: pods.v1}]\n",
	                "lists[0].clusters: no cluster matches \"p1\""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct loaded l;
		check_one(&l, s, HTTPS, "{}", rows[i].settings);
		if (!rows[i].problem && l.problems.count > 0)
			fail_msg("row %zu: %s", i, scratch_problems(&l.problems));
		if (rows[i].problem)
			scratch_has(scratch_problems(&l.problems), rows[i].problem);
		unload(&l);
	}
}

static void check_tells_every_problem_of_every_cluster(void **state)
{
	static const char *const contexts[] = {"*", NULL};
	struct config_options o;
	struct loaded l;
	options(&o, *state, NULL, contexts);
	check(&l, &o);
	assert_int_equal(l.problems.errors, 1);
	scratch_has(scratch_problems(&l.problems), "/kc:4:24: cluster \"bad\": server: is missing");
	scratch_has_not(scratch_problems(&l.problems), "configuration error");
	unload(&l);
}

static int group_setup(void **state)
{
	(void)state;
	scratch_pair_make(&pair, 2000000000);
	scratch_pair_make(&old_pair, 1000000000);
	scratch_pair_make(&other, WALL + 14 * 86400 - 1);
	return 0;
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(config_chooses_contexts),
	        SCRATCH_TEST(config_without_any_kubeconfig_says_what_to_do),
	        SCRATCH_TEST(config_flag_beats_settings_beats_environment),
	        SCRATCH_TEST(config_entries_give_options),
	        SCRATCH_TEST(config_entries_have_kubeconfigs_of_their_own),
	        SCRATCH_TEST(config_backends_bring_the_clusters_they_name),
	        SCRATCH_TEST(config_a_kubeconfig_has_the_plain_name),
	        SCRATCH_TEST(config_compression_is_what_both_files_allow),
	        SCRATCH_TEST(config_broken_context_leaves_the_others),
	        SCRATCH_TEST(config_reload_of_a_broken_file_keeps_the_old),
	        SCRATCH_TEST(check_finds_what_needs_no_connection),
	        SCRATCH_TEST(check_reads_what_backends_need),
	        SCRATCH_TEST(check_tells_every_problem_of_every_cluster),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
