/* reactor.h - the reactor of a control test: small, without a thread, on a scripted io. */
#ifndef KR_TESTS_UNIT_CONTROL_REACTOR_H
#define KR_TESTS_UNIT_CONTROL_REACTOR_H

#include "control/control.h"
#include "harness/fake_io.h"
#include "reactor/core.h"

/* The index-th of count. */
static inline struct reactor *reactor_of_test(
        struct control *c, struct fake_io *io, uint32_t index, uint32_t count)
{
	struct reactor *r = NULL;
	struct reactor_config rc = {.index = index,
	        .count = count,
	        .seed = 7,
	        .ring_entries = 256,
	        .lists_max = 8192,
	        .shard_bytes_max = 64 << 20,
	        .retained_bytes_max = 1 << 20,
	        .block_segment_bytes = 1 << 22,
	        .objects_max = 1000,
	        .user_agent = "test/1",
	        .in_process = true,
	        .note = control_note,
	        .note_arg = c};
	assert_int_equal(reactor_new(&rc, &r), ERR_OK);
	fake_io_init(io, &reactor_io_handlers, r);
	reactor_set_io(r, &io->io);
	return r;
}

#endif
