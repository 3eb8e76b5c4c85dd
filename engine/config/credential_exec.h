/* credential_exec.h - one run of an exec credential plugin: start it, poll one descriptor, take the
 * answer.
 *
 * The plugin runs in its own process group, with our environment plus `exec.env` and
 * KUBERNETES_EXEC_INFO, /dev/null as standard input, no descriptor of ours, default signals. It is
 * done when its process ends: a child that keeps the pipe open does not matter. A plugin that
 * hangs or floods must cost nobody but its own user, so it has bounds: timeout_ns of life,
 * CREDENTIAL_ANSWER_BYTES_MAX of standard output; beyond either, the whole group is killed. Of
 * standard error the first CREDENTIAL_EXEC_STDERR_MAX bytes are kept, and only one redacted line
 * of that ever reaches an error text (redact.h).
 *
 * Never blocks; waits for no child but its own pid. The process must not reap with waitpid(-1), nor
 * ignore SIGCHLD.
 */
#ifndef KR_CONFIG_CREDENTIAL_EXEC_H
#define KR_CONFIG_CREDENTIAL_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/credential_answer.h"
#include "config/credential_conf.h"
#include "config/exec_policy.h"

enum {
	CREDENTIAL_EXEC_STDERR_MAX = 4096,
	CREDENTIAL_EXEC_TURN_BYTES =
	        256 << 10, /* read per pipe and call, so that a flood does not hold up the thread */
};
#define CREDENTIAL_EXEC_TIMEOUT_NS (30ull * 1000000000ull)

struct credential_exec_spec { /* borrowed for the call, conf until credential_exec_free */
	const struct credential_exec_conf *conf;
	const struct exec_policy *policy;
	char *const *environ; /* NULL-terminated "NAME=value"; PATH is looked up in it */
	uint64_t timeout_ns;  /* CREDENTIAL_EXEC_TIMEOUT_NS; shorter in tests */
};

struct credential_exec;

/* Starts the plugin. ERR_CRED_EXEC (not found, not executable, process limit), ERR_DENIED (policy),
 * ERR_NO_MEMORY, ERR_IO. */
err_t credential_exec_start(const struct credential_exec_spec *spec, uint64_t now_ns,
        struct credential_exec **out, struct errmsg *m) MUST_USE;
/* Poll it for reading. Valid until credential_exec_free. */
int credential_exec_fd(const struct credential_exec *x);
/* When credential_exec_on_readable wants to be called though nothing is readable. */
uint64_t credential_exec_deadline(const struct credential_exec *x);
/* True once, when the run is over: then credential_exec_take. */
bool credential_exec_on_readable(struct credential_exec *x, uint64_t now_ns);
/* The answer of a finished run; moves it to *out. On failure m says why, never with a secret. */
err_t credential_exec_take(
        struct credential_exec *x, struct credential_answer *out, struct errmsg *m) MUST_USE;
/* Also before the end: then the group is killed. Wipes what was read. */
void credential_exec_free(struct credential_exec **x);

#endif
