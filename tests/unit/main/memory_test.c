/* memory_test.c - which limit of the control groups holds, as the files of /sys tell it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "main/memory.h"

enum { MADE_MAX = 16 };
static char home[64], made[MADE_MAX][256];
static int made_count;

static int make_home(void **state)
{
	(void)state;
	snprintf(home, sizeof home, "/tmp/kubering-memory-XXXXXX");
	return mkdtemp(home) ? 0 : -1;
}

static int remove_home(void **state)
{
	(void)state;
	while (made_count > 0)
		(void)remove(made[--made_count]);
	return rmdir(home);
}

static void remember(const char *path)
{
	assert_true(made_count < MADE_MAX);
	snprintf(made[made_count++], sizeof made[0], "%s", path);
}

/* With the directories on its way. */
static void put(const char *path, const char *text)
{
	char full[256];
	snprintf(full, sizeof full, "%s/%s", home, path);
	for (char *slash = full + strlen(home) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		if (mkdir(full, 0700) == 0)
			remember(full);
	}
	if (access(full, F_OK) != 0)
		remember(full);
	FILE *f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static uint64_t limit(const char *groups)
{
	char path[128];
	put("cgroup", groups);
	snprintf(path, sizeof path, "%s/cgroup", home);
	return memory_limit(path, home);
}

static uint64_t all_there_is(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void without_limits_it_is_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(memory_limit("/nonexistent", home), all_there_is());
	assert_int_equal(limit(""), all_there_is());
	assert_int_equal(limit("no line\n0:\n"), all_there_is());
	put("a/memory.max", "max\n");
	put("a/memory.high", "max\n");
	assert_int_equal(limit("0::/a\n"), all_there_is());
	put("a/memory.max", "18446744073709551615\n");
	assert_int_equal(limit("0::/a\n"), all_there_is());
}

static void the_least_from_ours_up_holds(void **state)
{
	(void)state;
	put("slice/unit/memory.max", "3000000\n");
	put("slice/unit/memory.high", "max\n");
	assert_int_equal(limit("0::/slice/unit\n"), 3000000);
	put("slice/memory.max", "2000000\n");
	assert_int_equal(limit("0::/slice/unit\n"), 2000000);
	put("slice/unit/memory.high", "1500000\n");
	assert_int_equal(limit("0::/slice/unit\n"), 1500000);
	put("memory.max", "1000000\n");
	assert_int_equal(limit("0::/slice/unit\n"), 1000000);
	put("other/memory.max", "1\n");
	assert_int_equal(limit("0::/slice/unit\n"), 1000000);
}

/* The path is the host's; what is mounted is the container's own group. */
static void in_a_container(void **state)
{
	(void)state;
	put("memory.max", "5000000\n");
	assert_int_equal(limit("0::/\n"), 5000000);
	assert_int_equal(limit("0::/host/path/to/it\n"), 5000000);
	assert_int_equal(limit("0::/../outside\n"), 5000000);
}

static void version_1(void **state)
{
	static const char groups[] = "9:cpu,cpuacct:/x\n4:memory:/docker/1\n1:name=systemd:/y\n";
	(void)state;
	put("memory/docker/1/memory.limit_in_bytes", "4000000\n");
	put("memory/memory.limit_in_bytes", "9223372036854771712\n");
	assert_int_equal(limit(groups), 4000000);
	put("memory/memory.limit_in_bytes", "3000000\n");
	assert_int_equal(limit(groups), 3000000);
	assert_int_equal(limit("4:hugetlb,memory:/elsewhere\n"), 3000000);
	assert_int_equal(limit("9:cpu:/docker/1\n"), all_there_is());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                without_limits_it_is_what_there_is, make_home, remove_home),
	        cmocka_unit_test_setup_teardown(
	                the_least_from_ours_up_holds, make_home, remove_home),
	        cmocka_unit_test_setup_teardown(in_a_container, make_home, remove_home),
	        cmocka_unit_test_setup_teardown(version_1, make_home, remove_home),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
