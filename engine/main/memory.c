#include "main/memory.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* UINT64_MAX: there is no such file, or "max" in it. */
static uint64_t number_in(const char *path)
{
	char text[32] = "";
	FILE *f = fopen(path, "re");
	if (!f)
		return UINT64_MAX;
	bool there = fgets(text, sizeof text, f) && text[0] >= '0' && text[0] <= '9';
	fclose(f);
	return there ? strtoull(text, NULL, 10) : UINT64_MAX;
}

/* The limit of the group, and those of the groups around it. In a container the path is often the
 * host's, and what is mounted is our group itself: then only the last step finds a file. */
static uint64_t limit_up(const char *mount, char *group, const char *file)
{
	char path[PATH_MAX];
	uint64_t limit = UINT64_MAX;
	for (;;) {
		int n = snprintf(path, sizeof path, "%s%s/%s", mount, group, file);
		if (n > 0 && (size_t)n < sizeof path)
			limit = least(limit, number_in(path));
		char *slash = strrchr(group, '/');
		if (!slash)
			return limit;
		*slash = 0;
	}
}

/* Does the line "4:cpu,memory:/a/b" name the controller? */
static bool is_of_memory(char *controllers)
{
	for (char *save, *c = strtok_r(controllers, ",", &save); c; c = strtok_r(NULL, ",", &save))
		if (strcmp(c, "memory") == 0)
			return true;
	return false;
}

/* One line of /proc/self/cgroup. */
static uint64_t limit_of(char *line, const char *mount)
{
	char v1[PATH_MAX], copy[PATH_MAX];
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group)
		return UINT64_MAX;
	controllers++;
	*group++ = 0;
	group[strcspn(group, "\n")] = 0;
	if (controllers[0] == 0) { /* version 2; above `high` it is slowed down to nothing */
		snprintf(copy, sizeof copy, "%s", group);
		return least(
		        limit_up(mount, group, "memory.max"), limit_up(mount, copy, "memory.high"));
	}
	if (!is_of_memory(controllers))
		return UINT64_MAX;
	snprintf(v1, sizeof v1, "%s/memory", mount);
	return limit_up(v1, group, "memory.limit_in_bytes");
}

uint64_t memory_limit(const char *groups, const char *mount)
{
	char line[PATH_MAX];
	long pages = sysconf(_SC_PHYS_PAGES);
	uint64_t limit = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_MAX;
	FILE *f = fopen(groups, "re");
	while (f && fgets(line, sizeof line, f))
		limit = least(limit, limit_of(line, mount));
	if (f)
		fclose(f);
	return limit;
}
