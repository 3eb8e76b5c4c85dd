#include "config/exec_policy.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool exec_policy_is_program(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool exec_policy_find(const char *command, const char *search_path, char path[EXEC_POLICY_PATH_MAX])
{
	if (strchr(command, '/')) {
		int n = snprintf(path, EXEC_POLICY_PATH_MAX, "%s", command);
		return n > 0 && n < EXEC_POLICY_PATH_MAX && exec_policy_is_program(path);
	}
	for (const char *p = search_path ? search_path : ""; *p != '\0';) {
		size_t n = strcspn(p, ":");
		if (n > 0 && n < EXEC_POLICY_PATH_MAX && p[0] == '/') {
			int len =
			        snprintf(path, EXEC_POLICY_PATH_MAX, "%.*s/%s", (int)n, p, command);
			if (len > 0 && len < EXEC_POLICY_PATH_MAX && exec_policy_is_program(path))
				return true;
		}
		p += n + (p[n] == ':');
	}
	return false;
}

bool exec_policy_allows(const struct exec_policy *policy, const char *path, const char *search_path)
{
	if (policy->mode != EXEC_POLICY_ALLOWLIST)
		return policy->mode == EXEC_POLICY_ALLOW_ALL;
	for (size_t i = 0; i < policy->allowed_count; i++) {
		char found[EXEC_POLICY_PATH_MAX];
		const char *allowed = policy->allowed[i];
		if (!strchr(allowed, '/') && exec_policy_find(allowed, search_path, found))
			allowed = found;
		if (strcmp(allowed, path) == 0)
			return true;
	}
	return false;
}
