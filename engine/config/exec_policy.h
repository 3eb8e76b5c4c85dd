/* exec_policy.h - which credential plugins may run at all: AllowAll, DenyAll or an allow-list, as
 * kubectl's kuberc has it.
 *
 * A kubeconfig names programs, and the daemon runs them; so whoever writes a kubeconfig runs
 * commands as the daemon. AllowAll is the default, because it is kubectl's and a kubeconfig is
 * normally written by the one who starts the daemon. The list is matched against the resolved
 * absolute path, exactly; an entry without '/' is resolved in PATH first. With a list, a kubeconfig
 * may not set what makes a program run another one's code (PATH, LD_PRELOAD, BASH_ENV and the
 * like): the daemon's own environment may.
 */
#ifndef KR_CONFIG_EXEC_POLICY_H
#define KR_CONFIG_EXEC_POLICY_H

#include <stdbool.h>
#include <stddef.h>

enum exec_policy_mode { EXEC_POLICY_ALLOW_ALL, EXEC_POLICY_DENY_ALL, EXEC_POLICY_ALLOWLIST };

enum { EXEC_POLICY_PATH_MAX = 4096 };

/* Strings borrowed. {0} allows all. */
struct exec_policy {
	enum exec_policy_mode mode;
	const char *const *allowed;
	size_t allowed_count;
};

bool exec_policy_equal(const struct exec_policy *a, const struct exec_policy *b);
/* command as a path that can be executed: itself if it has a '/', else the first executable file in
 * search_path (as $PATH; NULL: nothing). Parts of search_path that are not absolute are skipped, as
 * Go does since 1.19. false: not found. */
bool exec_policy_find(
        const char *command, const char *search_path, char path[EXEC_POLICY_PATH_MAX]);
/* path: from exec_policy_find. */
bool exec_policy_allows(
        const struct exec_policy *policy, const char *path, const char *search_path);
/* name: of a variable that the kubeconfig sets for the plugin. */
bool exec_policy_allows_variable(const struct exec_policy *policy, const char *name);

#endif
