/* kinds.h - the implementations, and the corners of them, that every test of io/ runs with. */
#ifndef KR_UNIT_IO_KINDS_H
#define KR_UNIT_IO_KINDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "io/io.h"
#include "io/uring.h"

struct rig_kind {
	const char *name;
	enum io_kind kind;
	struct uring_tuning tuning;
	unsigned recv_buffers;
};
/* The kinds that every test runs with; "tiny" reaches the full queues. */
static const struct rig_kind rig_kinds[] = {
        {.name = "uring", .kind = IO_KIND_URING, .recv_buffers = 64},
        {.name = "uring plain",
                .kind = IO_KIND_URING,
                .tuning = {.no_direct = true, .no_min_wait = true},
                .recv_buffers = 64},
        {.name = "uring tiny",
                .kind = IO_KIND_URING,
                .tuning = {.sq_entries = 8, .cq_entries = 16},
                .recv_buffers = 128},
        {.name = "epoll", .kind = IO_KIND_EPOLL},
};

static inline const struct rig_kind *rig_kind_of(void **state)
{
	return *state;
}

/* Whether the kernel gives this process a ring; containers often refuse. Asked without our code,
 * which would be believed then. */
static inline bool ring_allowed(void)
{
	struct io_uring_params p = {0};
	long fd = syscall(SYS_io_uring_setup, 1, &p);
	if (fd >= 0)
		close((int)fd);
	else
		print_message("no io_uring for this process: %s\n", strerror(errno));
	return fd >= 0;
}

/* Runs each test with each kind. */
static inline int rig_main(const struct CMUnitTest *tests, size_t n)
{
	enum { MAX = 128 };
	static char names[MAX][64];
	struct CMUnitTest all[MAX];
	size_t at = 0;
	const bool rings = ring_allowed();
	for (size_t k = 0; k < ARRAY_LEN(rig_kinds); k++)
		for (size_t i = 0; i < n && (rings || rig_kinds[k].kind != IO_KIND_URING);
		        i++, at++) {
			assert_true(at < MAX);
			snprintf(names[at], sizeof names[at], "%s: %s", rig_kinds[k].name,
			        tests[i].name);
			all[at] = tests[i];
			all[at].name = names[at];
			all[at].initial_state = (void *)(uintptr_t)&rig_kinds[k];
		}
	return _cmocka_run_group_tests("io", all, at, NULL, NULL);
}

#endif
