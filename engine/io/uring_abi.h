/* uring_abi.h - what the kernel has and liburing 2.3 has no name for. Each is probed at run time
 * (uring.c) before it is used. Newer headers define some of these as enum constants, hence the KR_
 * prefix.
 */
#ifndef KR_IO_URING_ABI_H
#define KR_IO_URING_ABI_H

#include <stdint.h>

enum {
	/* 6.12: a wait may ask for a batch and still return after min_wait_usec with less. */
	KR_FEAT_MIN_TIMEOUT = 1 << 15,
	/* 6.14. Stands for "6.13 or newer": there a closed direct descriptor is released at once.
	 * Before, it stayed open (no FIN) until every request that had been submitted earlier, of
	 * any socket, was over (liburing#1192); receives here are never over. */
	KR_FEAT_RW_ATTR = 1 << 16,
	/* IORING_OP_URING_CMD on a socket (6.7): setsockopt for a descriptor that has no number. */
	KR_SOCKET_OP_SETSOCKOPT = 3,
};

/* struct io_uring_getevents_arg as of 6.12; min_wait_usec was padding before, and must be 0 there.
 */
struct uring_wait_arg {
	uint64_t sigmask;
	uint32_t sigmask_bytes;
	uint32_t min_wait_usec;
	uint64_t ts;
};

#endif
