#include "config/exec_policy.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

bool exec_policy_equal(const struct exec_policy *a, const struct exec_policy *b)
{
	if (a->mode != b->mode || a->allowed_count != b->allowed_count)
		return false;
	for (size_t i = 0; i < a->allowed_count; i++)
		if (strcmp(a->allowed[i], b->allowed[i]) != 0)
			return false;
	return true;
}

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

/* Of the loader, the C library, shells, and the interpreters that plugins are written in. */
bool exec_policy_allows_variable(const struct exec_policy *policy, const char *name)
{
	static const char *const whole[] = {"PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS",
	        "BASHOPTS", "PS4", "GCONV_PATH", "GLIBC_TUNABLES", "NODE_OPTIONS", "NODE_PATH",
	        "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLOUDSDK_PYTHON"};
	static const char *const begin[] = {"LD_", "BASH_FUNC_", "PYTHON", "PERL5", "RUBY"};
	if (policy->mode != EXEC_POLICY_ALLOWLIST)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		if (strcmp(name, whole[i]) == 0)
			return false;
	for (size_t i = 0; i < ARRAY_LEN(begin); i++)
		if (strncmp(name, begin[i], strlen(begin[i])) == 0)
			return false;
	return true;
}
