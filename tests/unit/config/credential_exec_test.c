/* credential_exec.c and credential_answer.c with real plugins: missing, not executable, failing,
 * hanging, flooding, telling secrets, leaving children with the pipe. Time is passed in; tests
 * wait for the plugin's descriptor, with a deadline that only a bug reaches. */
#include "config/credential_exec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "scratch.h"

enum { WAIT_MS = 20000 };

#define V1      "client.authentication.k8s.io/v1"
#define V1BETA1 "client.authentication.k8s.io/v1beta1"
#define ANSWER(status)                                                                             \
	"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":" status "}"
#define SECRET "s3cr3t-canary-value"

static struct scratch_pair pair, other;
static const struct exec_policy allow_all;
static char path_variable[] = "PATH=/usr/bin:/bin";
static char own_variable[] = "OWN=from-us";
static char notify_variable[] = "NOTIFY_SOCKET=/run/x";
static char info_variable[] = "KUBERNETES_EXEC_INFO=stale";
static char *environment[] = {path_variable, own_variable, notify_variable, info_variable, NULL};

static struct credential_exec_conf conf_of(const char *command)
{
	return (struct credential_exec_conf){.command = command, .api_version = V1};
}

static err_t start(
        const struct credential_exec_conf *conf, struct credential_exec **x, struct errmsg *m)
{
	struct credential_exec_spec spec = {
	        conf, &allow_all, environment, CREDENTIAL_EXEC_TIMEOUT_NS};
	*m = (struct errmsg){0};
	return credential_exec_start(&spec, 1000, x, m);
}

/* Until the run is over. now_ns stands still unless the test moves it. */
static void wait_end(struct credential_exec *x, uint64_t now_ns)
{
	do {
		struct pollfd p = {.fd = credential_exec_fd(x), .events = POLLIN};
		if (poll(&p, 1, WAIT_MS) != 1)
			fail_msg("the plugin did not end");
	} while (!credential_exec_on_readable(x, now_ns));
}

struct ran {
	err_t err;
	struct errmsg m;
	struct credential_answer answer;
};

static void run(struct ran *r, const struct credential_exec_conf *conf)
{
	struct credential_exec *x;
	*r = (struct ran){0};
	r->err = start(conf, &x, &r->m);
	if (r->err != ERR_OK) {
		assert_null(x);
		return;
	}
	wait_end(x, 2000);
	assert_int_equal(credential_exec_deadline(x), UINT64_MAX);
	r->err = credential_exec_take(x, &r->answer, &r->m);
	credential_exec_free(&x);
	assert_null(x);
}

static void run_script(struct ran *r, struct scratch *s, const char *body)
{
	struct credential_exec_conf conf = conf_of(scratch_script(s, "plugin", body));
	run(r, &conf);
}

static char *slurp(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static pid_t read_pid(const char *path)
{
	long pid = strtol(slurp(path), NULL, 10);
	assert_true(pid > 1);
	return (pid_t)pid;
}

/* Waits until a killed process is gone: its pidfd becomes readable. */
static void assert_dies(pid_t pid)
{
	for (int i = 0; i < 1000; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		char stat[512] = "";
		ssize_t n = read(fd, stat, sizeof stat - 1);
		close(fd);
		if (n <= 0 || strstr(stat, ") Z ") || strstr(stat, ") X "))
			return;
		poll(NULL, 0,
		        10); /* a grandchild's end cannot be waited for; this bounds the asking */
	}
	fail_msg("process %d is still there", (int)pid);
}

static void exec_takes_a_token(void **state)
{
	struct ran r;
	run_script(&r, *state, "echo '" ANSWER("{\"token\":\"tok\"}") "'");
	assert_int_equal(r.err, ERR_OK);
	assert_true(span_is(r.answer.token, "tok"));
	assert_false(r.answer.has_expiry);
	credential_answer_fini(&r.answer);
}

static void exec_gives_the_environment_and_arguments(void **state)
{
	struct scratch *s = *state;
	char body[1024];
	const char *args[] = {"one", "two words", ""};
	const struct credential_env env[] = {{"OWN", "replaced"}, {"NEW", "a=b c"}};
	snprintf(body, sizeof body,
	        "env >%s/env\necho \"$#:$1:$2:$3\" >%s/args\nreadlink /proc/self/fd/0 >%s/stdin\n"
	        "ls /proc/$$/fd >%s/fds\nps -o pgid= -p $$ | tr -d ' ' >%s/pgid; echo $$ >%s/pid\n"
	        "echo '" ANSWER("{\"token\":\"t\"}") "'",
	        s->dir, s->dir, s->dir, s->dir, s->dir, s->dir);
	struct credential_exec_conf conf = conf_of(scratch_script(s, "plugin", body));
	conf.args = args;
	conf.arg_count = 3;
	conf.env = env;
	conf.env_count = 2;
	conf.cluster_info = "{\"server\":\"https://h\"}";
	int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
	struct ran r;
	run(&r, &conf);
	close(leak);
	assert_int_equal(r.err, ERR_OK);
	credential_answer_fini(&r.answer);
	const char *text = slurp(scratch_path(s, "env"));
	scratch_has(text, "OWN=replaced\n");
	scratch_has(text, "NEW=a=b c\n");
	scratch_has(text, "PATH=/usr/bin:/bin\n");
	scratch_has_not(text, "from-us");
	scratch_has_not(text, "NOTIFY_SOCKET");
	scratch_has_not(text, "stale");
	scratch_has(text,
	        "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
	        "\",\"spec\":{\"cluster\":{\"server\":\"https://h\"},\"interactive\":false}}\n");
	assert_string_equal(slurp(scratch_path(s, "args")), "3:one:two words:\n");
	assert_string_equal(slurp(scratch_path(s, "stdin")), "/dev/null\n");
	/* 0, 1, 2 and the script itself, which dash opens as 10 or so; never the leak */
	char fd[16];
	snprintf(fd, sizeof fd, "\n%d\n", leak);
	scratch_has_not(slurp(scratch_path(s, "fds")), fd);
	char pgid[32];
	snprintf(pgid, sizeof pgid, "%.31s", slurp(scratch_path(s, "pgid")));
	if (pgid[0] != '\0') /* ps may be missing */
		assert_string_equal(pgid, slurp(scratch_path(s, "pid")));
}

/* What the daemon ignores and blocks is none of the plugin's business: it would not end with its
 * pipes. */
static void exec_starts_with_signals_as_they_are_at_first(void **state)
{
	struct scratch *s = *state;
	char body[256];
	struct ran r;
	sigset_t some, before;
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	assert_int_equal(sigprocmask(SIG_BLOCK, &some, &before), 0);
	snprintf(body, sizeof body, "exec grep -E 'SigBlk|SigIgn' /proc/self/status >%s/signals",
	        s->dir);
	run_script(&r, s, body);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	signal(SIGPIPE, old);
	assert_int_equal(r.err, ERR_CRED_EXEC); /* it printed nothing */
	unsigned long long blocked = 1, ignored = 1;
	assert_int_equal(sscanf(slurp(scratch_path(s, "signals")), "SigBlk: %llx SigIgn: %llx",
	                         &blocked, &ignored),
	        2);
	assert_int_equal(blocked, 0);
	assert_int_equal(ignored & 0x7fffffff, 0); /* above are those of the C library */
}

static void exec_without_cluster_info(void **state)
{
	struct scratch *s = *state;
	char body[256];
	snprintf(
	        body, sizeof body, "printf %%s \"$KUBERNETES_EXEC_INFO\" >%s/info\nexit 3", s->dir);
	struct ran r;
	run_script(&r, s, body);
	assert_int_equal(r.err, ERR_CRED_EXEC);
	assert_string_equal(slurp(scratch_path(s, "info")),
	        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
	        "\",\"spec\":{\"interactive\":false}}");
}

static void exec_missing_program_gives_the_hint(void **state)
{
	struct scratch *s = *state;
	struct ran r;
	struct credential_exec_conf conf = conf_of("no-such-plugin-here");
	run(&r, &conf);
	assert_int_equal(r.err, ERR_CRED_EXEC);
	assert_string_equal(r.m.text,
	        "credential plugin failed: exec: executable no-such-plugin-here not found");
	conf.install_hint = "\033[1mInstall\033[0m it:\n\tbrew  install x\033[";
	run(&r, &conf);
	assert_string_equal(r.m.text,
	        "credential plugin failed: exec: executable no-such-plugin-here "
	        "not found; Install it: brew install x");
	conf = conf_of(scratch_write(s, "plain", "#!/bin/sh\n"));
	run(&r, &conf);
	scratch_has(r.m.text, "/plain not found");
	conf = conf_of(scratch_write(s, "bad", "#!/no/such/interpreter\n"));
	chmod(conf.command, 0700);
	run(&r, &conf);
	assert_int_equal(r.err, ERR_CRED_EXEC);
	scratch_has(r.m.text, "/bad No such file or directory");
}

static void exec_failures_say_how_it_ended(void **state)
{
	static const struct {
		const char *body, *problem;
	} rows[] = {
	        {"exit 1", "failed with exit code 1"},
	        {"echo out; echo 'profile prod not found' >&2; echo second >&2; exit 255",
	                "failed with exit code 255: profile prod not found"},
	        {"kill -9 $$", "died by signal 9"},
	        {"kill -TERM $$", "died by signal 15"},
	        {"exit 0", "it printed nothing"},
	        {"echo not json", "its answer is not an object"},
	        {"echo '{\"token\":\"" SECRET "\"'", "its answer is neither JSON nor YAML"},
	        {"echo '[]'", "its answer is not an object"},
	        {"echo '{}'", "its answer is not of kind ExecCredential"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ran r;
		run_script(&r, *state, rows[i].body);
		assert_int_equal(r.err, ERR_CRED_EXEC);
		scratch_has(r.m.text, "credential plugin failed: exec: executable /");
		scratch_has(r.m.text, rows[i].problem);
		scratch_has_not(r.m.text, "second");
		scratch_has_not(r.m.text, SECRET);
	}
}

static void exec_secrets_do_not_reach_messages(void **state)
{
	struct scratch *s = *state;
	const struct credential_env env[] = {{"CLIENT_SECRET", SECRET}, {"PROFILE", "prod"}};
	const char *args[] = {
	        "--oidc-client-secret", "arg-secret-1", "--token=arg-secret-2", "prod"};
	static const char *const bodies[] = {
	        "echo \"cannot use $CLIENT_SECRET with $2 and $3 of $PROFILE\" >&2; exit 1",
	        "echo \"password=$CLIENT_SECRET\" >&2; exit 1",
	        "echo line; echo harmless >&2; echo \"$CLIENT_SECRET $2 $3\" >&2; exit 1",
	        "echo \"$CLIENT_SECRET\"; echo 'Bearer '$2 >&2; exit 1",
	        "echo \"$CLIENT_SECRET $2 $3\"",
	        "echo '" ANSWER("{\"token\":\"\"}") "' | sed \"s/ExecCredential/$CLIENT_SECRET/\"",
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct ran r;
		struct credential_exec_conf conf = conf_of(scratch_script(s, "plugin", bodies[i]));
		conf.env = env;
		conf.env_count = 2;
		conf.args = args;
		conf.arg_count = 4;
		run(&r, &conf);
		assert_int_equal(r.err, ERR_CRED_EXEC);
		scratch_has_not(r.m.text, SECRET);
		scratch_has_not(r.m.text, "arg-secret");
		if (i == 0) /* what is no secret stays */
			scratch_has(r.m.text, "cannot use *** with *** and --token=*** of prod");
	}
}

static void exec_that_hangs_is_killed_with_its_group(void **state)
{
	struct scratch *s = *state;
	char body[256];
	snprintf(body, sizeof body, "sleep 1000 & echo $! >%s/child; echo waiting >&2; wait",
	        s->dir);
	struct credential_exec_conf conf = conf_of(scratch_script(s, "plugin", body));
	struct credential_exec_spec spec = {&conf, &allow_all, environment, 300};
	struct credential_exec *x;
	struct errmsg m = {0};
	assert_int_equal(credential_exec_start(&spec, 1000, &x, &m), ERR_OK);
	assert_int_equal(credential_exec_deadline(x), 1300);
	/* until it has said so, the child may not exist yet */
	struct pollfd p = {.fd = credential_exec_fd(x), .events = POLLIN};
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_false(credential_exec_on_readable(x, 1299));
	assert_int_equal(credential_exec_deadline(x), 1300);
	assert_false(credential_exec_on_readable(x, 1300));
	wait_end(x, 1300);
	struct credential_answer answer;
	assert_int_equal(credential_exec_take(x, &answer, &m), ERR_CRED_EXEC);
	scratch_has(m.text, "did not end within 3e-07 s and was killed: waiting");
	credential_exec_free(&x);
	assert_dies(read_pid(scratch_path(s, "child")));
}

static void exec_output_is_capped(void **state)
{
	struct scratch *s = *state;
	char body[512];
	const char *answer = ANSWER("{\"token\":\"t\"}");
	for (int over = 0; over < 2; over++) {
		snprintf(body, sizeof body, "printf %%s '%s'; head -c %zu /dev/zero | tr '\\0' ' '",
		        answer, CREDENTIAL_ANSWER_BYTES_MAX - strlen(answer) + (size_t)over);
		struct ran r;
		run_script(&r, s, body);
		assert_int_equal(r.err, over ? ERR_CRED_EXEC : ERR_OK);
		if (over)
			scratch_has(r.m.text, "printed more than 1 MiB");
		credential_answer_fini(&r.answer);
	}
	/* endless: only the kill ends it */
	struct ran r;
	run_script(&r, s, "exec cat /dev/zero");
	assert_int_equal(r.err, ERR_CRED_EXEC);
	scratch_has(r.m.text, "printed more than 1 MiB and was killed");
}

static void exec_much_on_stderr_is_dropped(void **state)
{
	struct ran r;
	run_script(&r, *state,
	        "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo '" ANSWER(
	                "{\"token\":\"t\"}") "'");
	assert_int_equal(r.err, ERR_OK);
	credential_answer_fini(&r.answer);
}

static void exec_a_child_that_keeps_the_pipe_open_does_not_matter(void **state)
{
	struct scratch *s = *state;
	char body[512];
	snprintf(body, sizeof body, "sleep 1000 & echo $! >%s/child; echo '%s'", s->dir,
	        ANSWER("{\"token\":\"t\"}"));
	struct ran r;
	run_script(&r, s, body);
	assert_int_equal(r.err, ERR_OK);
	assert_true(span_is(r.answer.token, "t"));
	credential_answer_fini(&r.answer);
	pid_t child = read_pid(scratch_path(s, "child"));
	assert_int_equal(
	        kill(child, 0), 0); /* a cache that a plugin leaves behind is its business */
	kill(child, SIGKILL);
	assert_dies(child);
}

static void exec_free_stops_a_run(void **state)
{
	struct scratch *s = *state;
	char body[256];
	snprintf(body, sizeof body, "echo $$ >%s/pid; echo started >&2; exec sleep 1000", s->dir);
	struct credential_exec_conf conf = conf_of(scratch_script(s, "plugin", body));
	struct credential_exec *x;
	struct errmsg m;
	assert_int_equal(start(&conf, &x, &m), ERR_OK);
	struct pollfd p = {.fd = credential_exec_fd(x), .events = POLLIN};
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	credential_exec_free(&x);
	assert_null(x);
	pid_t pid = read_pid(scratch_path(s, "pid"));
	assert_int_equal(kill(pid, 0), -1); /* reaped, not a zombie */
	assert_int_equal(errno, ESRCH);
	credential_exec_free(&x);
}

static void exec_policy_is_asked_before_anything_runs(void **state)
{
	struct scratch *s = *state;
	char body[256];
	snprintf(body, sizeof body, "touch %s/ran", s->dir);
	struct credential_exec_conf conf = conf_of(scratch_script(s, "plugin", body));
	const char *allowed[] = {"/usr/bin/aws"};
	const struct exec_policy policies[] = {
	        {EXEC_POLICY_DENY_ALL, NULL, 0}, {EXEC_POLICY_ALLOWLIST, allowed, 1}};
	static const char *const texts[] = {"execPolicy is DenyAll", "is not in execAllowlist"};
	for (size_t i = 0; i < 2; i++) {
		struct credential_exec_spec spec = {&conf, &policies[i], environment, 1000};
		struct credential_exec *x;
		struct errmsg m;
		assert_int_equal(credential_exec_start(&spec, 0, &x, &m), ERR_DENIED);
		assert_null(x);
		scratch_has(m.text, texts[i]);
	}
	assert_int_equal(access(scratch_path(s, "ran"), F_OK), -1);
	allowed[0] = conf.command;
	struct credential_exec_spec spec = {&conf, &policies[1], environment, 1000};
	struct credential_exec *x;
	struct errmsg m;
	assert_int_equal(credential_exec_start(&spec, 0, &x, &m), ERR_OK);
	wait_end(x, 0);
	credential_exec_free(&x);
	assert_int_equal(access(scratch_path(s, "ran"), F_OK), 0);
}

/* A list of programs is worth nothing where the kubeconfig says what they run. */
static void exec_allowlist_is_not_led_around(void **state)
{
	struct scratch *s = *state;
	char body[256];
	snprintf(body, sizeof body, ": >%s/ran", s->dir);
	(void)scratch_script(s, "helper", body);
	struct credential_env variable = {"PATH", s->dir};
	struct credential_exec_conf conf = conf_of(scratch_script(s, "plugin", "helper"));
	conf.env = &variable;
	conf.env_count = 1;
	const char *allowed[] = {conf.command};
	const struct exec_policy list = {EXEC_POLICY_ALLOWLIST, allowed, 1};
	struct credential_exec_spec spec = {&conf, &list, environment, 1000};
	struct credential_exec *x;
	struct errmsg m;
	static const char *const names[] = {
	        "PATH", "LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "BASH_FUNC_ls%%", "PYTHONPATH"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		variable.name = names[i];
		assert_int_equal(credential_exec_start(&spec, 0, &x, &m), ERR_DENIED);
		assert_null(x);
		scratch_has(m.text, names[i]);
	}
	variable.name = "AWS_PROFILE";
	assert_int_equal(credential_exec_start(&spec, 0, &x, &m), ERR_OK);
	wait_end(x, 0);
	credential_exec_free(&x);
	assert_int_equal(access(scratch_path(s, "ran"), F_OK), -1);
	variable.name = "PATH"; /* without a list it is as with kubectl */
	spec.policy = &allow_all;
	assert_int_equal(credential_exec_start(&spec, 0, &x, &m), ERR_OK);
	wait_end(x, 0);
	credential_exec_free(&x);
	assert_int_equal(access(scratch_path(s, "ran"), F_OK), 0);
}

#define YAML "kind: ExecCredential\napiVersion: " V1 "\n"

static void answer_is_checked_as_client_go_does(void **state)
{
	(void)state;
	const struct {
		const char *doc, *version, *problem; /* NULL: fine */
	} rows[] = {
	        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":\"2026-11-24T10:00:00Z\"}"), V1,
	                NULL},
	        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":null}"), V1, NULL},
	        {ANSWER("{\"token\":\"t\",\"extra\":[1]}") "\n", V1, NULL},
	        {ANSWER("{\"token\":\"t\"}"), V1BETA1, "has another apiVersion"},
	        {"{\"kind\":\"Other\",\"apiVersion\":\"" V1 "\",\"status\":{}}", V1, "not of kind"},
	        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"}", V1, "has no status"},
	        {ANSWER("null"), V1, "has no status"},
	        {ANSWER("[]"), V1, "has no status"},
	        {ANSWER("{}"), V1, "neither status.token nor a certificate"},
	        {ANSWER("{\"token\":5}"), V1, "neither status.token nor a certificate"},
	        {ANSWER("{\"clientCertificateData\":\"x\"}"), V1, "only one of"},
	        {ANSWER("{\"clientKeyData\":\"x\",\"token\":\"t\"}"), V1, "only one of"},
	        {ANSWER("{\"token\":\"a\\r\\nX: y\"}"), V1, "status.token has a control character"},
	        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}"), V1,
	                "no RFC 3339 time"},
	        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":5}"), V1, "no RFC 3339 time"},
	        {ANSWER("{\"clientCertificateData\":\"x\",\"clientKeyData\":\"y\"}"), V1, "no PEM"},
	        {"", V1, "printed nothing"},
	        {"{", V1, "neither JSON nor YAML"},
	        /* Regression: client-go reads YAML here, too. */
	        {YAML "status:\n  token: t\n", V1, NULL},
	        {YAML "status: {token: 5}\n", V1, "neither status.token nor a certificate"},
	        {YAML "status: {token: t, expirationTimestamp: soon}\n", V1, "no RFC 3339 time"},
	        {"please log in", V1, "is not an object"},
	        {"# nothing", V1, "is not an object"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct credential_answer a;
		struct errmsg m = {0};
		err_t e = credential_answer_parse(span_of(rows[i].doc), rows[i].version, &a, &m);
		if ((e == ERR_OK) != (rows[i].problem == NULL))
			fail_msg("%s: %s", rows[i].doc, m.text);
		if (rows[i].problem) {
			assert_int_equal(e, ERR_CRED_EXEC);
			scratch_has(m.text, rows[i].problem);
			continue;
		}
		assert_true(span_is(a.token, "t"));
		assert_int_equal(a.has_expiry, i == 0);
		if (i == 0)
			assert_int_equal(a.expires_s, 1795514400);
		credential_answer_fini(&a);
	}
}

/* PEM as a JSON string. */
static void json_escape(const char *pem, char *out)
{
	for (; *pem != '\0'; pem++) {
		if (*pem == '\n') {
			*out++ = '\\';
			*out++ = 'n';
		} else {
			*out++ = *pem;
		}
	}
	*out = '\0';
}

static void answer_takes_a_certificate_with_its_key(void **state)
{
	(void)state;
	static char cert[4096], key[4096], doc[12288];
	for (int mismatch = 0; mismatch < 2; mismatch++) {
		struct credential_answer a;
		struct errmsg m;
		json_escape(pair.cert, cert);
		json_escape(mismatch ? other.key : pair.key, key);
		snprintf(doc, sizeof doc,
		        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":"
		        "{\"clientCertificateData\":\"%s\",\"clientKeyData\":\"%s\"}}",
		        cert, key);
		err_t e = credential_answer_parse(span_of(doc), V1, &a, &m);
		assert_int_equal(e, mismatch ? ERR_CRED_EXEC : ERR_OK);
		if (mismatch) {
			scratch_has(m.text, "do not belong together");
			continue;
		}
		assert_true(span_is(a.cert_pem, pair.cert));
		assert_true(span_is(a.key_pem, pair.key));
		assert_int_equal(a.token.n, 0);
		credential_answer_fini(&a);
	}
}

static int group_setup(void **state)
{
	(void)state;
	scratch_pair_make(&pair, 2000000000);
	scratch_pair_make(&other, 2000000000);
	return 0;
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(exec_takes_a_token),
	        SCRATCH_TEST(exec_gives_the_environment_and_arguments),
	        SCRATCH_TEST(exec_starts_with_signals_as_they_are_at_first),
	        SCRATCH_TEST(exec_without_cluster_info),
	        SCRATCH_TEST(exec_missing_program_gives_the_hint),
	        SCRATCH_TEST(exec_failures_say_how_it_ended),
	        SCRATCH_TEST(exec_secrets_do_not_reach_messages),
	        SCRATCH_TEST(exec_that_hangs_is_killed_with_its_group),
	        SCRATCH_TEST(exec_output_is_capped),
	        SCRATCH_TEST(exec_much_on_stderr_is_dropped),
	        SCRATCH_TEST(exec_a_child_that_keeps_the_pipe_open_does_not_matter),
	        SCRATCH_TEST(exec_free_stops_a_run),
	        SCRATCH_TEST(exec_policy_is_asked_before_anything_runs),
	        SCRATCH_TEST(exec_allowlist_is_not_led_around),
	        cmocka_unit_test(answer_is_checked_as_client_go_does),
	        cmocka_unit_test(answer_takes_a_certificate_with_its_key),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
