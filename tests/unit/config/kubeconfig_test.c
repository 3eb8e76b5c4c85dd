/* kubeconfig.c: which files, in which order, merged how (client-go: tools/clientcmd/loader.go), and
 * what broken files say. */
#include "config/kubeconfig.h"

#include "scratch.h"

#define ENTRY(context, server)                                                                     \
	"clusters: [{name: " context ", cluster: {server: \"" server "\"}}]\n"                     \
	"contexts: [{name: " context ", context: {cluster: " context "}}]\n"

struct loaded {
	struct problem_list problems;
	struct kubeconfig *kc;
	err_t err;
};

static void load(struct loaded *l, const struct kubeconfig_source *source)
{
	problem_list_init(&l->problems);
	l->err = kubeconfig_load(source, &l->problems, &l->kc);
	assert_int_equal(l->err == ERR_OK, l->kc != NULL);
	assert_int_equal(l->err == ERR_OK, l->problems.errors == 0);
}

static void load_one(struct loaded *l, const char *path)
{
	load(l, &(struct kubeconfig_source){.files = &path, .file_count = 1});
}

static void unload(struct loaded *l)
{
	kubeconfig_free(&l->kc);
	problem_list_fini(&l->problems);
}

static void server_is(const struct kubeconfig *kc, const char *context, const char *server)
{
	struct cluster_conf c;
	struct errmsg m = {0};
	err_t e = kubeconfig_resolve(kc, context, &c, &m);
	if (e != ERR_OK)
		fail_msg("%s: %s", context, m.text);
	assert_string_equal(c.server.text, server);
	cluster_conf_fini(&c);
}

static void kubeconfig_flag_reads_that_file_only(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	const char *file = scratch_write(s, "f", ENTRY("a", "https://a") "current-context: a\n");
	const char *env = scratch_write(s, "e", ENTRY("b", "https://b"));
	load(&l, &(struct kubeconfig_source){
	                 .files = &file, .file_count = 1, .env = env, .home = s->dir});
	assert_int_equal(kubeconfig_count(l.kc), 1);
	assert_string_equal(kubeconfig_current(l.kc), "a");
	server_is(l.kc, "a", "https://a");
	assert_int_equal(l.problems.count, 0);
	unload(&l);
}

static void kubeconfig_flag_missing_file_is_an_error(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	load_one(&l, scratch_path(s, "none"));
	assert_int_equal(l.err, ERR_CONFIG);
	scratch_has(scratch_problems(&l.problems), "/none: no such file");
	struct errmsg m;
	assert_int_equal(problem_result(&l.problems, &m), ERR_CONFIG);
	scratch_has(m.text, "no such file");
	unload(&l);
}

static void kubeconfig_env_splits_skips_and_merges(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	scratch_write(s, "1", ENTRY("a", "https://a1"));
	scratch_write(s, "2", ENTRY("a", "https://a2") "current-context: a\n");
	scratch_write(s, "3", ENTRY("b", "https://b3") "current-context: b\n");
	char env[512];
	snprintf(env, sizeof env, ":%s/1::%s/missing:%s/2:%s/1:%s/3:", s->dir, s->dir, s->dir,
	        s->dir, s->dir);
	load(&l, &(struct kubeconfig_source){.env = env, .home = "/nonexistent"});
	assert_int_equal(l.err, ERR_OK);
	assert_int_equal(l.problems.count, 0);
	assert_int_equal(kubeconfig_count(l.kc), 2);
	assert_string_equal(kubeconfig_name(l.kc, 0), "a");
	assert_string_equal(kubeconfig_name(l.kc, 1), "b");
	assert_string_equal(kubeconfig_current(l.kc), "a"); /* the first that is not empty */
	server_is(l.kc, "a", "https://a1");
	server_is(l.kc, "b", "https://b3");
	unload(&l);
}

/* Regression: files behind the 256th were left out, and nothing said so. */
static void kubeconfig_has_room_for_all_files(void **state)
{
	enum { N = 400 };
	struct scratch *s = *state;
	struct loaded l;
	const char *last = scratch_write(s, "last", ENTRY("a", "https://a"));
	char names[N][16];
	const char *files[N];
	size_t size = N * sizeof names[0] + strlen(last) + 1, n = 0;
	char *env = malloc(size);
	for (int i = 0; i < N - 1; i++) {
		n += (size_t)snprintf(env + n, size - n, "/no%d:", i);
		snprintf(names[i], sizeof names[i], "/no%d", i);
		files[i] = names[i];
	}
	snprintf(env + n, size - n, "%s", last);
	load(&l, &(struct kubeconfig_source){.env = env});
	free(env);
	assert_int_equal(kubeconfig_count(l.kc), 1);
	server_is(l.kc, "a", "https://a");
	unload(&l);
	files[N - 1] = "/no";
	load(&l, &(struct kubeconfig_source){.files = files, .file_count = N});
	assert_int_equal(l.problems.errors, N); /* each is told */
	unload(&l);
}

static void kubeconfig_first_file_wins_the_whole_entry(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	scratch_write(s, "1", "users: [{name: red, user: {username: u, password: p}}]\n");
	scratch_write(s, "2",
	        "users: [{name: red, user: {token: t}}]\n"
	        "clusters: [{name: k, cluster: {server: 'https://h'}}]\n"
	        "contexts: [{name: c, context: {cluster: k, user: red}}]\n");
	char env[512];
	snprintf(env, sizeof env, "%s/1:%s/2", s->dir, s->dir);
	load(&l, &(struct kubeconfig_source){.env = env});
	struct cluster_conf c;
	assert_int_equal(kubeconfig_resolve(l.kc, "c", &c, NULL), ERR_OK);
	assert_string_equal(c.credential.username, "u");
	assert_null(c.credential.token);
	cluster_conf_fini(&c);
	unload(&l);
}

static void kubeconfig_all_missing_is_a_warning(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	char env[512];
	snprintf(env, sizeof env, "%s/x:%s/y", s->dir, s->dir);
	load(&l, &(struct kubeconfig_source){.env = env});
	assert_int_equal(l.err, ERR_OK);
	assert_int_equal(kubeconfig_count(l.kc), 0);
	assert_null(kubeconfig_current(l.kc));
	assert_int_equal(l.problems.warnings, 1);
	scratch_has(scratch_problems(&l.problems), "no kubeconfig found: /");
	unload(&l);
}

static void kubeconfig_home_is_the_last_resort(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	scratch_write(s, ".kube/config", ENTRY("h", "https://h"));
	load(&l, &(struct kubeconfig_source){.home = s->dir});
	server_is(l.kc, "h", "https://h");
	unload(&l);
	load(&l, &(struct kubeconfig_source){.env = "", .home = s->dir}); /* empty is not set */
	assert_int_equal(kubeconfig_count(l.kc), 1);
	unload(&l);
	load(&l, &(struct kubeconfig_source){.env = "/dev/null", .home = s->dir});
	assert_int_equal(l.err, ERR_OK);
	assert_int_equal(kubeconfig_count(l.kc), 0);
	unload(&l);
	load(&l, &(struct kubeconfig_source){0});
	assert_int_equal(l.err, ERR_OK);
	unload(&l);
}

static void kubeconfig_empty_sections_are_valid(void **state)
{
	struct scratch *s = *state;
	static const char *const texts[] = {"", "{}", "apiVersion: v1\nkind: Config\n",
	        "clusters: null\nusers:\ncontexts: []\ncurrent-context: ''\npreferences: {}\n",
	        "unknown: {deep: [1]}\nextensions: []\n",
	        "clusters: [{name: a}]\nusers: [{}]\ncontexts: [{name: c, context: null}]\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct loaded l;
		load_one(&l, scratch_write(s, "f", texts[i]));
		if (l.err != ERR_OK)
			fail_msg("%s: %s", texts[i], scratch_problems(&l.problems));
		unload(&l);
	}
}

static void kubeconfig_broken_files_name_the_place(void **state)
{
	struct scratch *s = *state;
	static const struct {
		const char *text, *problem;
	} rows[] = {
	        {"clusters: [\n", "/f:2:1: "},
	        {"- a\n", "/f:1:1: not a kubeconfig: expected a mapping, found a list"},
	        {"text\n", "/f:1:1: not a kubeconfig: expected a mapping, found a string"},
	        {"apiVersion: v2\n", "/f:1:13: apiVersion: must be v1 in a kubeconfig, found v2"},
	        {"kind: Pod\n", "/f:1:7: kind: must be Config in a kubeconfig, found Pod"},
	        {"kind: []\n", "/f:1:7: kind: must be Config"},
	        {"clusters: {a: b}\n", "/f:1:11: clusters: expected a list, found a mapping"},
	        {"users:\n- x\n", "/f:2:3: users: expected a mapping, found a string"},
	        {"users: [{name: [a]}]\n", "/f:1:16: name: expected a string, found a list"},
	        {"contexts: [{name: a, context: b}]\n", "/f:1:31: context: expected a mapping"},
	        {"current-context: {}\n", "/f:1:18: current-context: expected a string"},
	        {"users:\n- name: a\n- name: b\n- name: a\n",
	                "/f:4:3: duplicate name \"a\" in users; the first is at line 2"},
	        {"clusters: [{name: a}, {name: a}]\n", "duplicate name \"a\" in clusters"},
	        {"contexts: [{name: a}, {name: a}]\n", "duplicate name \"a\" in contexts"},
	        {"a: 1\na: 2\n", "/f:2:1: key given twice: a"},
	        {"a: 1\n---\n{}\n", "/f:2:1: a second document"},
	        {"\tclusters: []\n", "/f:1:1: found character that cannot start any token"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct loaded l;
		load_one(&l, scratch_write(s, "f", rows[i].text));
		assert_int_equal(l.err, ERR_CONFIG);
		scratch_has(scratch_problems(&l.problems), rows[i].problem);
		unload(&l);
	}
}

static void kubeconfig_one_broken_file_fails_the_load(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	scratch_write(s, "good", ENTRY("a", "https://a"));
	scratch_write(s, "bad1", "x: [\n");
	scratch_write(s, "bad2", "kind: Pod\n");
	char env[512];
	snprintf(env, sizeof env, "%s/good:%s/bad1:%s/bad2", s->dir, s->dir, s->dir);
	load(&l, &(struct kubeconfig_source){.env = env});
	assert_int_equal(l.err, ERR_CONFIG);
	assert_int_equal(l.problems.errors, 2); /* both are named in one run */
	scratch_has(scratch_problems(&l.problems), "/bad1:2:1");
	scratch_has(scratch_problems(&l.problems), "/bad2:1:7");
	unload(&l);
}

static void kubeconfig_refuses_what_is_no_file(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	load_one(&l, s->dir);
	scratch_has(scratch_problems(&l.problems), "is a directory");
	unload(&l);
	assert_int_equal(mkfifo(scratch_path(s, "fifo"), 0600), 0);
	load_one(&l, scratch_path(s, "fifo"));
	scratch_has(scratch_problems(&l.problems), "/fifo: is a FIFO");
	unload(&l);
	const char *big = scratch_write(s, "big", "a: b\n");
	assert_int_equal(truncate(big, 100 << 20), 0);
	load_one(&l, big);
	scratch_has(scratch_problems(&l.problems), "/big: is too large");
	unload(&l);
	/* a directory in the list is an error even though missing files are not */
	load(&l, &(struct kubeconfig_source){.env = s->dir});
	assert_int_equal(l.err, ERR_CONFIG);
	unload(&l);
	load_one(&l, scratch_write_bytes(s, "nul", "a: b\0c\n", 7));
	scratch_has(scratch_problems(&l.problems), "/nul:1:5: control characters");
	unload(&l);
}

static void kubeconfig_warns_when_others_may_read_or_write(void **state)
{
	struct scratch *s = *state;
	static const struct {
		mode_t mode;
		const char *warning; /* NULL: none */
	} rows[] = {
	        {0600, NULL},
	        {0400, NULL},
	        {0700, NULL},
	        {0640, "others may read"},
	        {0604, "others may read"},
	        {0660, "others may write"},
	        {0602, "others may write"},
	};
	const char *file = scratch_write(s, "f", ENTRY("a", "https://a"));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct loaded l;
		assert_int_equal(chmod(file, rows[i].mode), 0);
		load_one(&l, file);
		assert_int_equal(l.err, ERR_OK);
		assert_int_equal(l.problems.warnings, rows[i].warning != NULL);
		if (rows[i].warning)
			scratch_has(scratch_problems(&l.problems), rows[i].warning);
		unload(&l);
	}
}

static void kubeconfig_warns_of_a_proxy_in_the_environment(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	const char *file = scratch_write(s, "f", ENTRY("a", "https://a"));
	load(&l, &(struct kubeconfig_source){
	                 .files = &file, .file_count = 1, .https_proxy = "http://p:3128"});
	scratch_has(scratch_problems(&l.problems), "HTTPS_PROXY is set");
	unload(&l);
}

static void service_account(struct scratch *s, const char *ca)
{
	scratch_write(s, "sa/token", " tok\n");
	scratch_write(s, "sa/namespace", "kube-system\n");
	if (ca)
		scratch_write(s, "sa/ca.crt", ca);
}

static void kubeconfig_in_a_pod_makes_a_context(void **state)
{
	struct scratch *s = *state;
	struct scratch_pair pair;
	struct loaded l;
	struct cluster_conf c;
	scratch_pair_make(&pair, 2000000000);
	service_account(s, pair.cert);
	struct kubeconfig_source source = {.home = s->dir,
	        .service_host = "fd00::1",
	        .service_port = "443",
	        .service_dir = scratch_path(s, "sa")};
	load(&l, &source);
	assert_int_equal(l.problems.count, 0);
	assert_int_equal(kubeconfig_count(l.kc), 1);
	assert_string_equal(kubeconfig_name(l.kc, 0), "in-cluster");
	assert_string_equal(kubeconfig_current(l.kc), "in-cluster");
	assert_int_equal(kubeconfig_resolve(l.kc, "in-cluster", &c, NULL), ERR_OK);
	assert_string_equal(c.server.text, "https://[fd00::1]");
	assert_string_equal(c.server.host, "fd00::1");
	assert_string_equal(c.namespace_, "kube-system");
	assert_true(span_is(c.ca_pem, pair.cert));
	scratch_has(c.credential.token_file, "/sa/token");
	assert_int_equal(c.warning_count, 0);
	cluster_conf_fini(&c);
	unload(&l);
	source.pod_namespace = "team-a"; /* as kubectl does it in a pod */
	load(&l, &source);
	assert_int_equal(kubeconfig_resolve(l.kc, "in-cluster", &c, NULL), ERR_OK);
	assert_string_equal(c.namespace_, "team-a");
	cluster_conf_fini(&c);
	unload(&l);
}

static void kubeconfig_in_a_pod_survives_a_missing_ca(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	struct cluster_conf c;
	service_account(s, NULL);
	load(&l, &(struct kubeconfig_source){.service_host = "10.0.0.1",
	                 .service_port = "6443",
	                 .service_dir = scratch_path(s, "sa")});
	assert_int_equal(kubeconfig_resolve(l.kc, "in-cluster", &c, NULL), ERR_OK);
	assert_string_equal(c.server.text, "https://10.0.0.1:6443");
	assert_int_equal(c.ca_pem.n, 0);
	assert_null(c.ca_file);
	assert_int_equal(c.warning_count, 1);
	scratch_has(c.warnings[0], "system roots");
	cluster_conf_fini(&c);
	unload(&l);
}

static void kubeconfig_in_a_pod_only_without_a_kubeconfig(void **state)
{
	struct scratch *s = *state;
	struct loaded l;
	service_account(s, NULL);
	struct kubeconfig_source source = {.service_host = "10.0.0.1",
	        .service_port = "443",
	        .service_dir = scratch_path(s, "sa"),
	        .env = scratch_write(s, "f", ENTRY("a", "https://a"))};
	load(&l, &source);
	assert_string_equal(kubeconfig_name(l.kc, 0), "a");
	unload(&l);
	source.env = NULL;
	source.service_port = NULL;
	load(&l, &source);
	assert_int_equal(kubeconfig_count(l.kc), 0);
	unload(&l);
	source.service_port = "443";
	source.service_dir = s->dir; /* no token there */
	load(&l, &source);
	assert_int_equal(kubeconfig_count(l.kc), 0);
	unload(&l);
	source.service_dir = scratch_path(s, "sa");
	source.service_port = "no";
	load(&l, &source);
	struct cluster_conf c;
	struct errmsg m;
	assert_int_equal(kubeconfig_resolve(l.kc, "in-cluster", &c, &m), ERR_CONFIG);
	scratch_has(m.text, "KUBERNETES_SERVICE_PORT: the port must be a number");
	unload(&l);
}

static void kubeconfig_finds_each_of_many_contexts(void **state)
{
	struct scratch *s = *state;
	enum { N = 2000 };
	size_t size = N * 200, n = 0;
	char *text = malloc(size);
	const char *sections[] = {"clusters", "contexts"};
	for (int section = 0; section < 2; section++) {
		n += (size_t)snprintf(text + n, size - n, "%s:\n", sections[section]);
		for (int i = N; i-- > 0;)
			n += (size_t)snprintf(text + n, size - n,
			        section ? "- {name: c%d, context: {cluster: k%d}}\n"
			                : "- {name: k%d, cluster: {server: 'https://h%d'}}\n",
			        i, i);
	}
	struct loaded l;
	load_one(&l, scratch_write(s, "f", text));
	free(text);
	assert_int_equal(kubeconfig_count(l.kc), N);
	for (int i = 0; i < N; i++) {
		char context[16], server[32];
		size_t at;
		snprintf(context, sizeof context, "c%d", i);
		snprintf(server, sizeof server, "https://h%d", i);
		assert_true(kubeconfig_index(l.kc, context, &at));
		assert_string_equal(kubeconfig_name(l.kc, at), context);
		server_is(l.kc, context, server);
	}
	size_t at;
	assert_false(kubeconfig_index(l.kc, "c2000", &at));
	unload(&l);
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(kubeconfig_flag_reads_that_file_only),
	        SCRATCH_TEST(kubeconfig_flag_missing_file_is_an_error),
	        SCRATCH_TEST(kubeconfig_env_splits_skips_and_merges),
	        SCRATCH_TEST(kubeconfig_has_room_for_all_files),
	        SCRATCH_TEST(kubeconfig_first_file_wins_the_whole_entry),
	        SCRATCH_TEST(kubeconfig_all_missing_is_a_warning),
	        SCRATCH_TEST(kubeconfig_home_is_the_last_resort),
	        SCRATCH_TEST(kubeconfig_empty_sections_are_valid),
	        SCRATCH_TEST(kubeconfig_broken_files_name_the_place),
	        SCRATCH_TEST(kubeconfig_one_broken_file_fails_the_load),
	        SCRATCH_TEST(kubeconfig_refuses_what_is_no_file),
	        SCRATCH_TEST(kubeconfig_warns_when_others_may_read_or_write),
	        SCRATCH_TEST(kubeconfig_warns_of_a_proxy_in_the_environment),
	        SCRATCH_TEST(kubeconfig_in_a_pod_makes_a_context),
	        SCRATCH_TEST(kubeconfig_in_a_pod_survives_a_missing_ca),
	        SCRATCH_TEST(kubeconfig_in_a_pod_only_without_a_kubeconfig),
	        SCRATCH_TEST(kubeconfig_finds_each_of_many_contexts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
