/* gzip.h - inflates a response body as it streams in (RFC 1952).
 *
 * Kubernetes 1.37 compresses a WatchList by closing one gzip member at each flush and starting the
 * next: so a body is any number of members, and the bytes of a member must come out as soon as they
 * are in, not when the next one starts. An empty body is a body of no members.
 *
 * Output goes into the caller's buffer, never more than its capacity per call. A server that sends
 * little and makes us write much is stopped: ratio and absolute size are limited. Holds about 40
 * KiB, so make one only for a response that says gzip.
 */
#ifndef KR_WIRE_GZIP_H
#define KR_WIRE_GZIP_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gzip_limits {
	uint64_t output_bytes_max; /* of the whole body; one more byte is ERR_LIMIT */
	uint64_t ratio_free_bytes; /* output below this may have any ratio */
	uint32_t ratio_max;        /* output / input beyond it is ERR_GZIP */
};
#define GZIP_RATIO_FREE_BYTES (1024 * 1024)
/* Copies are cheap (258 bytes for two or three): a list with the same ConfigMap in each namespace
 * reaches 93. A bomb comes to 229 with the fastest deflate, to 1028 with the best. */
#define GZIP_RATIO_MAX 200

/* Owner: the connection, for one response. Thread: its reactor. */
struct gzip;

/* All limits but ratio_free_bytes must be > 0 (CHECK). ERR_NO_MEMORY. */
err_t gzip_new(struct gzip **out, const struct gzip_limits *limits, struct errmsg *m) MUST_USE;
void gzip_free(struct gzip **g);

/* Takes bytes from the front of *in and writes *n of output into buf. ERR_OK with *n > 0: call
 * again, even if *in is empty. ERR_OK with *n == 0: *in is empty and nothing is held back.
 * ERR_GZIP: not gzip, damaged, bytes behind a member that start no member, or ratio; ERR_LIMIT:
 * size. Sticky. Output that came before the damage is given out first. */
err_t gzip_inflate(struct gzip *g, struct span *in, char *buf, size_t cap, size_t *n,
        struct errmsg *m) MUST_USE;
/* The body has ended: ERR_GZIP if a member is open. */
err_t gzip_finish(struct gzip *g, struct errmsg *m) MUST_USE;

uint64_t gzip_input_bytes(const struct gzip *g);
uint64_t gzip_output_bytes(const struct gzip *g);
/* Heap bytes held (zlib's window included). */
size_t gzip_bytes(const struct gzip *g);

#endif
