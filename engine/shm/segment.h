/* segment.h - makes the memory that a shard lives in: fixed-size memfds that nobody but the
 * mapping made here can ever write.
 *
 * Order (tests/unit/shm/segment_test.c tries each attack against it): memfd_create -> final size ->
 * our own mapping, read-write -> mode 0400 -> seals SHRINK|GROW|FUTURE_WRITE|SEAL -> a second,
 * read-only description. Only that one is kept and handed out; the read-write descriptor is closed.
 * The mode is not the wall (an owner can change it back), the seals are. SHRINK is what saves
 * consumers from SIGBUS. A mapping does not survive fork, so a child (an exec plugin) has none.
 *
 * Memory is touched by its user, page by page: an untouched segment costs address space only. What
 * is used densely and fills fast asks for huge pages first (segment_use): a first touch costs 3.7
 * us per small page where it costs 0.5 us per 4 KiB of a huge one, and a random object is a miss of
 * the TLB less. But the kernel makes each of them wait for every CPU of the host: 3 to 9 ms where
 * one is busy. A first list has that time; a stream of changes, under which a segment grows little
 * by little, has not, and takes small pages.
 *
 * With in_process, plain anonymous memory takes the place of the memfd: simulation and unit tests.
 */
#ifndef KR_SHM_SEGMENT_H
#define KR_SHM_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Owner: the shard. Thread: made and closed by the reactor; at, bytes and fd never change between.
 * Life: segment_open to segment_close. */
struct segment {
	void *at;           /* read-write, zero-filled at the start */
	uint64_t bytes;     /* as asked for */
	int fd;             /* read-only description, for SCM_RIGHTS; -1 in process */
	uint64_t huge;      /* no huge page has to be asked for below this */
	uint64_t filled_ns; /* CLOCK_MONOTONIC when what lies below was full; 0: nothing yet */
	uint64_t used;      /* its owner's: nothing from here on was ever used */
};

enum {
	SEGMENT_HUGE = 2 << 20,        /* segments of that size and more are aligned to it */
	SEGMENT_HUGE_LATE = 512 << 10, /* so much of the first huge page is used before it is one */
	SEGMENT_FAST_NS = 100000000    /* to fill 2 MiB within this is fast: 20 MiB/s */
};

/* name: seen in /proc/PID/maps, at most 32 bytes. bytes: a multiple of the page size. On failure
 * nothing is held. errors: ERR_SHM; msg (may be NULL) says which step failed, why, what to do. */
err_t segment_open(struct segment *s, const char *name, uint64_t bytes, bool in_process,
        struct errmsg *msg) MUST_USE;
/* Bytes below `to` are about to be used, from the start of the segment on: brings huge pages where
 * the system has them (Linux 6.1, MADV_COLLAPSE), one system call per 2 MiB; without them, and if
 * the 2 MiB before took longer than SEGMENT_FAST_NS to fill, nothing. Content and consumers'
 * mappings stay. Costs at most the rest of one huge page in memory, and of the first one nothing
 * before a quarter of it is used. */
void segment_use(struct segment *s, uint64_t to);
/* Unmaps and closes. Mappings of consumers stay readable. A closed or zeroed segment is fine. */
void segment_close(struct segment *s);

#endif
