/* wake_model.cc - Relacy (C11 relaxed memory) model of waking up: two reactors that commit changes,
 * and a consumer that follows both and sleeps without a time limit on one eventfd.
 *
 * Proved within its bounds, over random executions: the consumer comes to see every change. A lost
 * wake-up is a deadlock.
 *
 * usage: wake_model MUTANT [ITERATIONS]
 *   MUTANT 0: the shipped code; exit 0 when it never sleeps for ever.
 *   MUTANT n: one step of it spoiled; must be found (exit 1), or the model proves nothing. */
#include <cstring>

#include <relacy/relacy.hpp>

#include "model_main.h"
#include "wake_words.h"

enum mutant {
	NONE,
	SAY_NO_FENCE,      /* the consumer may look before it has said that it waits */
	COMMIT_NO_FENCE,   /* a reactor may look whether anybody waits before it has committed */
	SAY_TOO_LATE,      /* the consumer looks, says that it waits, and sleeps */
	TAKE_TOO_EARLY,    /* a reactor looks whether anybody waits, and commits */
	TAKE_BEHIND_WAKE,  /* the reactor takes the word back when whom it woke may have said it
	                      again */
	DRAIN_BEHIND_LOOK, /* old wake-ups are taken back after the last look */
	MUTANTS
};
static int mutant;

enum { REACTORS = 2, CHANGES = 3 };

struct wake_model;
static wake_model *model; /* of the execution under way */

/* The kernel's: a counter behind a lock, and who sleeps on it. */
struct event {
	rl::mutex lock;
	rl::condition_variable raised;
	rl::var<unsigned> count;
	void reset() { VAR(count) = 0; }
	void raise()
	{
		lock.lock($);
		VAR(count) = VAR(count) + 1;
		raised.notify_all($);
		lock.unlock($);
	}
	bool drain()
	{
		lock.lock($);
		bool any = VAR(count) != 0;
		VAR(count) = 0;
		lock.unlock($);
		return any;
	}
	void await()
	{
		lock.lock($);
		while (VAR(count) == 0)
			raised.wait(lock, $);
		lock.unlock($);
	}
};

struct wake_model : rl::test_suite<wake_model, REACTORS + 1> {
	rl::atomic<uint32_t> commit[REACTORS], waiting;
	event ev;

	void before()
	{
		model = this;
		for (int i = 0; i < REACTORS; i++)
			commit[i].store(0, rl::mo_relaxed, $);
		waiting.store(0, rl::mo_relaxed, $);
		ev.reset();
	}

	void reactor(unsigned i)
	{
		for (uint32_t n = 1; n <= CHANGES; n++) {
			bool early = mutant == TAKE_TOO_EARLY && shipped_take();
			commit[i].store(n, rl::mo_release, $);
			shipped_fence();
			if (mutant == TAKE_BEHIND_WAKE) {
				if (waiting.load(rl::mo_relaxed, $)) {
					ev.raise();
					waiting.store(0, rl::mo_relaxed, $);
				}
			} else if (mutant == TAKE_TOO_EARLY ? early : shipped_take()) {
				ev.raise();
			}
		}
	}

	/* Takes what is there; true if that was something. */
	bool look(uint32_t seen[REACTORS])
	{
		bool news = false;
		for (int i = 0; i < REACTORS; i++) {
			uint32_t c = commit[i].load(rl::mo_acquire, $);
			news |= c != seen[i];
			seen[i] = c;
		}
		return news;
	}

	/* follow.c, call_run: look; arm; look; sleep. A host with a loop of its own sleeps outside,
	 * and stays armed. */
	void consumer()
	{
		uint32_t seen[REACTORS] = {};
		while (seen[0] + seen[1] < REACTORS * CHANGES) {
			bool late = mutant == SAY_TOO_LATE && look(seen);
			if (!late)
				shipped_arm();
			if (late || (mutant != SAY_TOO_LATE && look(seen))) {
				shipped_disarm();
				continue;
			}
			if (mutant == DRAIN_BEHIND_LOOK)
				ev.drain();
			if (rl::rand(2))
				shipped_block();
			else
				ev.await();
		}
	}

	void thread(unsigned i)
	{
		if (i < REACTORS)
			reactor(i);
		else
			consumer();
	}
};

/* --- the seam ------------------------------------------------------------------------------------
 */

static rl::memory_order order_of(int order)
{
	switch (order) {
	case __ATOMIC_SEQ_CST: return rl::mo_seq_cst;
	case __ATOMIC_ACQUIRE: return rl::mo_acquire;
	case __ATOMIC_RELEASE: return rl::mo_release;
	default: return rl::mo_relaxed;
	}
}

uint32_t wake_load(int order)
{
	return model->waiting.load(order_of(order), $);
}
void wake_store(uint32_t v, int order)
{
	model->waiting.store(v, order_of(order), $);
}
uint32_t wake_exchange(uint32_t v, int order)
{
	return model->waiting.exchange(v, order_of(order), $);
}
void wake_fence(const char *function)
{
	if ((mutant == SAY_NO_FENCE && strcmp(function, "waiting_say") == 0) ||
	        (mutant == COMMIT_NO_FENCE && strcmp(function, "waiting_fence") == 0))
		return;
	rl::atomic_thread_fence(rl::mo_seq_cst, $);
}
long wake_drain(void)
{
	return model->ev.drain() ? 8 : -1;
}
int wake_sleep(void)
{
	model->ev.await();
	return 1;
}

int main(int argc, char **argv)
{
	return model_main<wake_model>("wake_model", MUTANTS, &mutant, argc, argv);
}
