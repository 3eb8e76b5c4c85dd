/* bell.h - raising an eventfd that somebody holds who means us no good.
 *
 * O_NONBLOCK belongs to the open file, so whoever shares an eventfd can take it away, and whoever
 * has filled its counter makes a write() to it wait then, for ever. To look at the flag first does
 * not help: it is changed between the look and the write, after some thousand tries; inside
 * io_uring's RWF_NOWAIT as well, which is a look and a write too. What cannot wait is a signal from
 * within the kernel: an AIO request that is done tells the eventfd that it names
 * (IOCB_FLAG_RESFD), and a full counter stays full. So a bell reads nothing from /dev/null.
 */
#ifndef KR_IO_BELL_H
#define KR_IO_BELL_H

#include <stdbool.h>

/* Owner: whoever embeds it, zeroed. Thread: one at a time. Life: bell_open to bell_close. */
struct bell {
	unsigned long context; /* 0: not open */
	int null_fd;
};

/* false: this kernel has no AIO, or gives us none (fs.aio-max-nr). Idempotent. */
bool bell_open(struct bell *b);
void bell_close(struct bell *b);
/* Adds 1 to an eventfd, and never waits. false: not open, no eventfd, or no memory. */
bool bell_ring(struct bell *b, int eventfd);

#endif
