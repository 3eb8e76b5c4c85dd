/* resting_writer.h - a writer that rests in the middle of a relist, for tests of what readers see
 * then: nothing of it is committed, and part of it stands in shared memory. Links with
 * --wrap=write_entry. While it rests it holds fake_lock. */
#ifndef KR_CLIENT_RESTING_WRITER_H
#define KR_CLIENT_RESTING_WRITER_H

#include <pthread.h>
#include <semaphore.h>

#include "client_world.h"
#include "shm/write.h"

enum { RELIST_VERSION = 100000 };

struct relist {
	unsigned first, count; /* of the objects that stay, as fake_sync */
	uint64_t object_rv;
	int rest_before; /* which of its entries, from 1; it may have fewer */
};

static struct {
	pthread_t thread;
	struct world *w;
	struct relist relist;
	sem_t rests, goes_on;
} writer;
static _Thread_local int entries_left;

uint64_t __real_write_entry(struct write *w, const struct shm_entry *e);
uint64_t __wrap_write_entry(struct write *w, const struct shm_entry *e);
uint64_t __wrap_write_entry(struct write *w, const struct shm_entry *e)
{
	if (entries_left > 0 && --entries_left == 0) {
		sem_post(&writer.rests);
		sem_wait(&writer.goes_on);
	}
	return __real_write_entry(w, e);
}

static void *write_relist(void *arg)
{
	const struct relist *r = &writer.relist;
	fake_lock(writer.w->d);
	entries_left = r->rest_before;
	fake_sync(fake_list(writer.w->d, "test", "pods"), r->first, r->count, r->object_rv,
	        RELIST_VERSION);
	fake_unlock(writer.w->d);
	if (entries_left > 0) /* it had no such entry */
		sem_post(&writer.rests);
	return arg;
}

/* Comes back when the writer rests, or is done. */
static inline void begin_relist(struct world *w, struct relist r)
{
	writer.w = w;
	writer.relist = r;
	assert_int_equal(sem_init(&writer.rests, 0, 0), 0);
	assert_int_equal(sem_init(&writer.goes_on, 0, 0), 0);
	assert_int_equal(pthread_create(&writer.thread, NULL, write_relist, NULL), 0);
	assert_int_equal(sem_wait(&writer.rests), 0);
}

static inline void end_relist(void)
{
	assert_int_equal(sem_post(&writer.goes_on), 0);
	assert_int_equal(pthread_join(writer.thread, NULL), 0);
}

#endif
