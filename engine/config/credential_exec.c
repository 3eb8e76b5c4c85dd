#include "config/credential_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "config/redact.h"
#include "config/text.h"

enum {
	CREDENTIAL_EXEC_ENV_BYTES_MAX = 4 << 20,
	CREDENTIAL_EXEC_CHUNK_BYTES = 8192,
	CREDENTIAL_EXEC_SECRETS_MAX = 32,
	CREDENTIAL_EXEC_HINT_MAX = 120,
	CREDENTIAL_EXEC_BURY_MS = 1000,
	CREDENTIAL_EXEC_WHY_BYTES = 64,
};

/* Owner: credential.c (one source). Thread: control. Life: credential_exec_start to
 * credential_exec_free; the child is reaped by then. */
struct credential_exec {
	const struct credential_exec_conf *conf; /* borrow(until credential_exec_free) */
	pid_t pid;
	bool reaped;
	int wait_status;
	int epoll_fd, pid_fd, out_fd, err_fd; /* -1: closed */
	uint64_t deadline_ns, timeout_ns;
	char killed[CREDENTIAL_EXEC_WHY_BYTES]; /* why we killed it; "": we did not */
	struct text out;
	char err[CREDENTIAL_EXEC_STDERR_MAX];
	size_t err_n;
};

/* --- environment ------------------------------------------------------------------------- */

static const char *credential_exec_getenv(char *const *ours, const char *name)
{
	size_t n = strlen(name);
	for (; ours && *ours; ours++)
		if (strncmp(*ours, name, n) == 0 && (*ours)[n] == '=')
			return *ours + n + 1;
	return NULL;
}

/* Is this variable of ours replaced, or none of the plugin's business? The latter name descriptors
 * that the plugin does not get. */
static bool credential_exec_env_hidden(
        const char *variable, const struct credential_exec_conf *conf)
{
	static const char *const hidden[] = {"KUBERNETES_EXEC_INFO", "NOTIFY_SOCKET", "LISTEN_PID",
	        "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"};
	size_t n = strcspn(variable, "=");
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		if (strlen(hidden[i]) == n && memcmp(hidden[i], variable, n) == 0)
			return true;
	for (size_t i = 0; i < conf->env_count; i++)
		if (strlen(conf->env[i].name) == n && memcmp(conf->env[i].name, variable, n) == 0)
			return true;
	return false;
}

static char *credential_exec_info(const struct credential_exec_conf *conf, struct arena *arena)
{
	return arena_format(arena,
	        "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\",\"spec\":{"
	        "%s%s"
	        "%s\"interactive\":false}}",
	        conf->api_version, conf->cluster_info ? "\"cluster\":" : "",
	        conf->cluster_info ? conf->cluster_info : "", conf->cluster_info ? "," : "");
}

/* NULL: out of memory. */
static char **credential_exec_environ(
        const struct credential_exec_conf *conf, char *const *ours, struct arena *arena)
{
	size_t count = 0, n = 0;
	while (ours && ours[count])
		count++;
	char **env = arena_array(arena, count + conf->env_count + 2, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (!credential_exec_env_hidden(ours[i], conf))
			env[n++] = ours[i];
	for (size_t i = 0; i < conf->env_count; i++) {
		env[n] = arena_format(arena, "%s=%s", conf->env[i].name, conf->env[i].value);
		if (!env[n++])
			return NULL;
	}
	env[n] = credential_exec_info(conf, arena);
	return env[n] ? env : NULL;
}

/* argv[0] is the command as written, as Go's os/exec does. */
static char **credential_exec_argv(const struct credential_exec_conf *conf, struct arena *arena)
{
	char **argv = arena_array(arena, conf->arg_count + 2, sizeof(*argv));
	if (!argv)
		return NULL;
	for (size_t i = 0; i <= conf->arg_count; i++) {
		argv[i] = arena_copy(arena, span_of(i == 0 ? conf->command : conf->args[i - 1]));
		if (!argv[i])
			return NULL;
	}
	return argv;
}

/* --- start ------------------------------------------------------------------------------- */

/* The hint is for a terminal: colours and line ends are taken out of it. */
static void credential_exec_hint(const char *hint, char out[CREDENTIAL_EXEC_HINT_MAX + 1])
{
	size_t n = 0;
	for (const char *p = hint ? hint : ""; *p != '\0' && n < CREDENTIAL_EXEC_HINT_MAX; p++) {
		if (*p == '\033' && p[1] == '[') { /* ECMA-48 CSI: parameters, then one final byte
			                              from '@' to '~' */
			p += 2;
			while (*p != '\0' && (*p < '@' || *p > '~'))
				p++;
			if (*p == '\0')
				break;
		} else if ((unsigned char)*p > ' ' && *p != 0x7f) {
			out[n++] = *p;
		} else if (n > 0 && out[n - 1] != ' ') {
			out[n++] = ' ';
		}
	}
	out[n] = '\0';
}

static err_t credential_exec_missing(
        const struct credential_exec_conf *conf, const char *why, struct errmsg *m)
{
	char hint[CREDENTIAL_EXEC_HINT_MAX + 1];
	credential_exec_hint(conf->install_hint, hint);
	return errmsg_set(m, ERR_CRED_EXEC, "exec: executable %.80s %s%s%s", conf->command, why,
	        hint[0] ? "; " : "", hint);
}

static bool credential_exec_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	/* below 3, the dup2 of one descriptor would close another */
	if (fds[0] > 2 && fds[1] > 2 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0)
		return true;
	close(fds[0]);
	close(fds[1]);
	errno = EBADF;
	return false;
}

static int credential_exec_attributes(
        posix_spawnattr_t *attr, posix_spawn_file_actions_t *actions, int out_fd, int err_fd)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int e = posix_spawnattr_setflags(
	        attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	e = e ? e : posix_spawnattr_setpgroup(attr, 0);
	e = e ? e : posix_spawnattr_setsigmask(attr, &none);
	e = e ? e : posix_spawnattr_setsigdefault(attr, &all);
	e = e ? e : posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	e = e ? e : posix_spawn_file_actions_adddup2(actions, out_fd, 1);
	e = e ? e : posix_spawn_file_actions_adddup2(actions, err_fd, 2);
	return e ? e : posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

/* posix_spawn, not fork: the daemon has threads and maps much memory; it also returns the error of
 * execve. */
static int credential_exec_spawn(struct credential_exec *x, const char *path, char **argv,
        char **env, const int child_fds[2])
{
	posix_spawnattr_t attr;
	posix_spawn_file_actions_t actions;
	int e = posix_spawnattr_init(&attr);
	if (e)
		return e;
	e = posix_spawn_file_actions_init(&actions);
	if (e) {
		posix_spawnattr_destroy(&attr);
		return e;
	}
	e = credential_exec_attributes(&attr, &actions, child_fds[0], child_fds[1]);
	if (!e)
		e = posix_spawn(&x->pid, path, &actions, &attr, argv, env);
	if (e)
		x->pid = 0;
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return e;
}

static bool credential_exec_watch(struct credential_exec *x)
{
	const int fds[] = {x->out_fd, x->err_fd, x->pid_fd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		struct epoll_event ev = {.events = EPOLLIN};
		if (epoll_ctl(x->epoll_fd, EPOLL_CTL_ADD, fds[i], &ev) < 0)
			return false;
	}
	return true;
}

static err_t credential_exec_launch(struct credential_exec *x,
        const struct credential_exec_spec *spec, const char *path, struct errmsg *m)
{
	struct arena scratch; /* the environment may hold secrets */
	arena_init(&scratch, CREDENTIAL_EXEC_ENV_BYTES_MAX);
	char **argv = credential_exec_argv(spec->conf, &scratch);
	char **env = credential_exec_environ(spec->conf, spec->environ, &scratch);
	int out[2] = {-1, -1}, err[2] = {-1, -1}, e = ENOMEM;
	if (argv && env) {
		x->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		bool ready =
		        x->epoll_fd >= 0 && credential_exec_pipe(out) && credential_exec_pipe(err);
		const int child_fds[2] = {out[1], err[1]};
		e = ready ? credential_exec_spawn(x, path, argv, env, child_fds) : errno;
	}
	arena_fini(&scratch);
	x->out_fd = out[0];
	x->err_fd = err[0];
	if (out[1] >= 0)
		close(out[1]);
	if (err[1] >= 0)
		close(err[1]);
	if (e)
		return credential_exec_missing(spec->conf, strerror(e), m);
	x->pid_fd = pidfd_open(x->pid, 0);
	if (x->pid_fd < 0 || !credential_exec_watch(x))
		return errmsg_set(m, ERR_IO, "pidfd_open or epoll_ctl: %s", strerror(errno));
	return ERR_OK;
}

err_t credential_exec_start(const struct credential_exec_spec *spec, uint64_t now_ns,
        struct credential_exec **out, struct errmsg *m)
{
	char path[EXEC_POLICY_PATH_MAX];
	const char *search_path = credential_exec_getenv(spec->environ, "PATH");
	*out = NULL;
	if (spec->policy->mode == EXEC_POLICY_DENY_ALL)
		return errmsg_set(m, ERR_DENIED, "exec: executable %.80s: execPolicy is DenyAll",
		        spec->conf->command);
	if (!exec_policy_find(spec->conf->command, search_path, path))
		return credential_exec_missing(spec->conf, "not found", m);
	if (!exec_policy_allows(spec->policy, path, search_path))
		return errmsg_set(
		        m, ERR_DENIED, "exec: executable %.140s is not in execAllowlist", path);
	for (size_t i = 0; i < spec->conf->env_count; i++)
		if (!exec_policy_allows_variable(spec->policy, spec->conf->env[i].name))
			return errmsg_set(m, ERR_DENIED,
			        "exec: executable %.80s: with execAllowlist, exec.env may not set "
			        "%.40s, which lets other programs run",
			        spec->conf->command, spec->conf->env[i].name);
	struct credential_exec *x = calloc(1, sizeof *x);
	if (!x)
		return errmsg_set(m, ERR_NO_MEMORY, "exec: executable %.80s", spec->conf->command);
	x->conf = spec->conf;
	x->epoll_fd = x->pid_fd = x->out_fd = x->err_fd = -1;
	x->timeout_ns = spec->timeout_ns;
	x->deadline_ns = now_ns + spec->timeout_ns;
	x->out.bytes_max = CREDENTIAL_ANSWER_BYTES_MAX;
	err_t e = credential_exec_launch(x, spec, path, m);
	if (e != ERR_OK)
		credential_exec_free(&x);
	*out = x;
	return e;
}

int credential_exec_fd(const struct credential_exec *x)
{
	return x->epoll_fd;
}
uint64_t credential_exec_deadline(const struct credential_exec *x)
{
	return x->deadline_ns;
}

/* --- run --------------------------------------------------------------------------------- */

static void credential_exec_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Only before the leader is reaped: until then its pid, and so the group, cannot be someone else's.
 */
static void credential_exec_kill(struct credential_exec *x, const char *why)
{
	CHECK(!x->reaped);
	if (!x->killed[0])
		snprintf(x->killed, sizeof x->killed, "%s", why);
	kill(-x->pid, SIGKILL);
	kill(x->pid, SIGKILL); /* it may have left its group */
	x->deadline_ns = UINT64_MAX;
}

static void credential_exec_reap(struct credential_exec *x)
{
	if (x->reaped)
		return;
	pid_t r;
	do
		r = waitpid(x->pid, &x->wait_status, WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return;
	if (r < 0) /* someone else has reaped it: nothing is known about its end */
		x->wait_status = -1;
	x->reaped = true;
}

static void credential_exec_keep(struct credential_exec *x, int fd, const char *p, size_t n)
{
	if (fd == x->out_fd) {
		text_push(&x->out, (struct span){p, n});
		return;
	}
	size_t room = sizeof x->err - x->err_n;
	memcpy(x->err + x->err_n, p, n < room ? n : room);
	x->err_n += n < room ? n : room;
}

/* Reads what is there, up to bytes_max; at the end of the stream the descriptor is closed, since it
 * would stay readable. */
static void credential_exec_drain(struct credential_exec *x, int *fd, size_t bytes_max)
{
	char chunk[CREDENTIAL_EXEC_CHUNK_BYTES];
	for (size_t got = 0; *fd >= 0 && got < bytes_max;) {
		ssize_t n = read(*fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			credential_exec_close(fd);
			break;
		}
		credential_exec_keep(x, *fd, chunk, (size_t)n);
		got += (size_t)n;
	}
	explicit_bzero(chunk, sizeof chunk);
}

static bool credential_exec_step(struct credential_exec *x)
{
	bool was_reaped = x->reaped;
	credential_exec_reap(x); /* before reading, so that all it wrote is in the pipes */
	size_t bytes_max = CREDENTIAL_EXEC_TURN_BYTES;
	if (x->reaped) /* the last turn: whatever a pipe can hold, but not what a left-over child
	                  goes on writing */
		bytes_max = CREDENTIAL_ANSWER_BYTES_MAX + 1;
	credential_exec_drain(x, &x->out_fd, bytes_max);
	credential_exec_drain(x, &x->err_fd, bytes_max);
	if (x->out.broken && !x->killed[0]) {
		if (x->reaped)
			snprintf(x->killed, sizeof x->killed, "printed more than 1 MiB");
		else
			credential_exec_kill(x, "printed more than 1 MiB and was killed");
	}
	if (x->reaped) {
		x->deadline_ns = UINT64_MAX;
		credential_exec_close(
		        &x->pid_fd); /* nothing may make the descriptor readable again */
		credential_exec_close(&x->out_fd);
		credential_exec_close(&x->err_fd);
	}
	return x->reaped && !was_reaped;
}

bool credential_exec_on_readable(struct credential_exec *x, uint64_t now_ns)
{
	if (credential_exec_step(x))
		return true;
	if (!x->reaped && now_ns >= x->deadline_ns) {
		char why[CREDENTIAL_EXEC_WHY_BYTES];
		snprintf(why, sizeof why, "did not end within %g s and was killed",
		        (double)x->timeout_ns / 1e9);
		credential_exec_kill(x, why);
	}
	return false;
}

/* --- end --------------------------------------------------------------------------------- */

static bool credential_exec_has(const char *text, size_t n, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i + len <= n; i++)
		if (strncasecmp(text + i, word, len) == 0)
			return true;
	return false;
}

/* Does a variable or a flag of this name hold a secret? AWS_PROFILE does not, and its value is the
 * best part of the plugin's message. */
static bool credential_exec_is_secret(const char *name, size_t n)
{
	return credential_exec_has(name, n, "secret") || credential_exec_has(name, n, "token") ||
	       credential_exec_has(name, n, "passw") ||
	       credential_exec_has(name, n, "credential") || credential_exec_has(name, n, "key");
}

/* Values that the plugin got from us and that must not come back in a message. */
static size_t credential_exec_secrets(const struct credential_exec_conf *conf, struct span *out)
{
	size_t n = 0;
	for (size_t i = 0; i < conf->env_count && n < CREDENTIAL_EXEC_SECRETS_MAX; i++)
		if (credential_exec_is_secret(conf->env[i].name, strlen(conf->env[i].name)))
			out[n++] = span_of(conf->env[i].value);
	for (size_t i = 0; i < conf->arg_count && n < CREDENTIAL_EXEC_SECRETS_MAX; i++) {
		const char *arg = conf->args[i];
		size_t name = strcspn(arg, "=");
		if (arg[0] != '-' || !credential_exec_is_secret(arg, name))
			continue;
		if (arg[name] == '=')
			out[n++] = span_of(arg + name + 1);
		else if (i + 1 < conf->arg_count)
			out[n++] = span_of(conf->args[i + 1]);
	}
	return n;
}

static err_t credential_exec_failed(const struct credential_exec *x, struct errmsg *m)
{
	struct span secrets[CREDENTIAL_EXEC_SECRETS_MAX];
	size_t secret_count = credential_exec_secrets(x->conf, secrets);
	char line[REDACT_LINE_MAX + 1];
	redact_line((struct span){x->err, x->err_n}, secrets, secret_count, line);
	const char *colon = line[0] ? ": " : "";
	const char *command = x->conf->command;
	if (x->killed[0])
		return errmsg_set(m, ERR_CRED_EXEC, "exec: executable %.80s %s%s%s", command,
		        x->killed, colon, line);
	if (x->wait_status == -1)
		return errmsg_set(m, ERR_CRED_EXEC,
		        "exec: executable %.80s: its exit code was lost%s%s", command, colon, line);
	if (WIFSIGNALED(x->wait_status))
		return errmsg_set(m, ERR_CRED_EXEC, "exec: executable %.80s died by signal %d%s%s",
		        command, WTERMSIG(x->wait_status), colon, line);
	return errmsg_set(m, ERR_CRED_EXEC, "exec: executable %.80s failed with exit code %d%s%s",
	        command, WEXITSTATUS(x->wait_status), colon, line);
}

err_t credential_exec_take(
        struct credential_exec *x, struct credential_answer *out, struct errmsg *m)
{
	CHECK(x->reaped);
	*out = (struct credential_answer){0};
	if (x->killed[0] || x->wait_status != 0)
		return credential_exec_failed(x, m);
	struct errmsg why = {0};
	struct span doc = {x->out.p ? x->out.p : "", x->out.n};
	err_t e = credential_answer_parse(doc, x->conf->api_version, out, &why);
	if (e == ERR_OK)
		return ERR_OK;
	/* why.text starts with the text of its code, which errmsg_set puts there again */
	return errmsg_set(m, e, "exec: executable %.80s: %s", x->conf->command,
	        why.text + strlen(err_text(e)) + 2);
}

/* The child is dead or dying: killed processes end at once, unless they hang in the kernel; then it
 * stays a zombie until we end. */
static void credential_exec_bury(struct credential_exec *x)
{
	credential_exec_kill(x, "is not wanted any more");
	struct pollfd p = {.fd = x->pid_fd, .events = POLLIN};
	if (x->pid_fd >= 0)
		poll(&p, 1, CREDENTIAL_EXEC_BURY_MS);
	credential_exec_reap(x);
}

void credential_exec_free(struct credential_exec **p)
{
	struct credential_exec *x = *p;
	if (!x)
		return;
	if (x->pid > 0 && !x->reaped)
		credential_exec_bury(x);
	credential_exec_close(&x->pid_fd);
	credential_exec_close(&x->out_fd);
	credential_exec_close(&x->err_fd);
	credential_exec_close(&x->epoll_fd);
	text_fini(&x->out);
	explicit_bzero(x->err, sizeof x->err);
	free(x);
	*p = NULL;
}
