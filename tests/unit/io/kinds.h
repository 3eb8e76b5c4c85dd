/* kinds.h - the implementations, and the corners of them, that every test of io/ runs with. */
#ifndef KR_UNIT_IO_KINDS_H
#define KR_UNIT_IO_KINDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

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

/* Runs each test with each kind. */
static inline int rig_main(const struct CMUnitTest *tests, size_t n)
{
	enum { MAX = 128 };
	static char names[MAX][64];
	struct CMUnitTest all[MAX];
	size_t at = 0;
	for (size_t k = 0; k < ARRAY_LEN(rig_kinds); k++)
		for (size_t i = 0; i < n; i++, at++) {
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
