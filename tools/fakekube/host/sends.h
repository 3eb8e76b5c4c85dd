/* sends.h - many sends with one system call (io_uring), for a load of small events to thousands of
 * sockets: each send costs some 7 us in the kernel, and a system call of its own 1 to 2 us more.
 *
 * Nothing waits: a socket that takes no more says so. Where the kernel has no io_uring, or forbids
 * it, there is none of these, and the caller sends one by one. Not thread-safe. */
#ifndef KR_HOST_SENDS_H
#define KR_HOST_SENDS_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

/* So many go together: the last of them leaves some 50 us after it was put in. */
#define SENDS_MAX 8

struct sends;

/* NULL: not on this machine. */
struct sends *sends_new(void);
void sends_free(struct sends **s);
/* piece: borrow(until flush). False: it is full. */
bool sends_add(struct sends *s, int fd, struct span piece, void *who);
/* Sends what was put in. done, for each in that order: the bytes that were taken, or a negative
 * errno. It may not put in others. */
void sends_flush(struct sends *s, void (*done)(void *who, int result));

#endif
