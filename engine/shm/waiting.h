/* waiting.h - no wake-up is lost: both halves of the agreement about shm_consumer.waiting.
 *
 *   consumer   takes back old wake-ups; waiting_say; looks once more; sleeps; waiting_unsay
 *   daemon     commits; waiting_fence; wakes each whose waiting_take says so
 *
 * Each says something, then has a full fence, then looks at what the other says; so one of the two
 * sees the other (tests/model/wake_model.cc). The word belongs to the consumer,
 * who may write anything there: to the daemon it is a hint.
 */
#ifndef KR_SHM_WAITING_H
#define KR_SHM_WAITING_H

#include <stdbool.h>

#include "shm/layout.h"

/* gcc warns of fences, which its ThreadSanitizer does not model: these order words that are atomic
 * themselves. */
#ifdef __SANITIZE_THREAD__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif

static inline void waiting_say(struct shm_consumer *page)
{
	__atomic_store_n(&page->waiting, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with waiting_fence */
}
static inline void waiting_unsay(struct shm_consumer *page)
{
	__atomic_store_n(&page->waiting, 0, __ATOMIC_RELAXED);
}

static inline void waiting_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with waiting_say */
}
#ifdef __SANITIZE_THREAD__
#pragma GCC diagnostic pop
#endif

/* True once for each waiting_say, also where several reactors ask; wake it after that, not before:
 * whoever is awake may say so again at once. */
static inline bool waiting_take(struct shm_consumer *page)
{
	return __atomic_load_n(&page->waiting, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&page->waiting, 0, __ATOMIC_RELAXED);
}

#endif
