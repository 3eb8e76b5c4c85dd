#include "host/sends.h"

#include "base/check.h"

#include <liburing.h>
#include <stdlib.h>

struct sends {
	struct io_uring ring;
	void *who[SENDS_MAX];
	int result[SENDS_MAX];
	unsigned count;
};

struct sends *sends_new(void)
{
	struct sends *s = calloc(1, sizeof *s);
	CHECK(s);
	struct io_uring_params p = {.flags = IORING_SETUP_SUBMIT_ALL};
	if (io_uring_queue_init_params(SENDS_MAX, &s->ring, &p) == 0)
		return s;
	free(s);
	return NULL;
}

void sends_free(struct sends **sp)
{
	struct sends *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	io_uring_queue_exit(&s->ring);
	free(s);
}

bool sends_add(struct sends *s, int fd, struct span piece, void *who)
{
	if (s->count == SENDS_MAX)
		return false;
	struct io_uring_sqe *e = io_uring_get_sqe(&s->ring);
	CHECK(e);
	io_uring_prep_send(e, fd, piece.p, piece.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	io_uring_sqe_set_data64(e, s->count);
	s->who[s->count] = who;
	s->result[s->count++] = -EAGAIN;
	return true;
}

/* What the kernel has done. */
static unsigned reap(struct sends *s)
{
	struct io_uring_cqe *e;
	unsigned head, n = 0;
	io_uring_for_each_cqe(&s->ring, head, e)
	{
		s->result[e->user_data] = e->res;
		n++;
	}
	io_uring_cq_advance(&s->ring, n);
	return n;
}

void sends_flush(struct sends *s, void (*done)(void *who, int result))
{
	unsigned count = s->count;
	for (unsigned have = 0; have < count; have += reap(s)) {
		/* All are over when it returns: a send that does not wait is done as it is taken.
		 */
		int e = io_uring_submit_and_wait(&s->ring, count - have);
		CHECK(e >= 0 || e == -EINTR || e == -EAGAIN || e == -EBUSY);
	}
	s->count = 0;
	for (unsigned i = 0; i < count; i++)
		done(s->who[i], s->result[i]);
}
