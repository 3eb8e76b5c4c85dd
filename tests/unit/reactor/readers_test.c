/* readers_test.c - several consumers of one list: one watch, each of them woken, and none of them
 * takes the list along when it leaves (tests/headlamp.md, LG-1 to LG-3). */
#include <sys/eventfd.h>
#include <unistd.h>

#include "unit/reactor/backend_world.h"

enum { READERS = 3 };
static struct shm_consumer pages[READERS];
static int fds[READERS];

static void add_reader(uint32_t id)
{
	struct reactor_msg *m = msg(REACTOR_CONSUMER_ADD);
	m->id = id;
	m->consumer.eventfd = fds[id] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	m->consumer.page = &pages[id];
	post(&w, m);
	m = msg(REACTOR_SUBSCRIBE);
	m->id = id;
	post(&w, m);
}

static void remove_reader(uint32_t id)
{
	struct reactor_msg *m = msg(REACTOR_CONSUMER_REMOVE);
	m->id = id;
	post(&w, m);
	turn(&w);
	expect_note(&w, REACTOR_CONSUMER_GONE);
	close(fds[id]);
}

static void unsubscribe(uint32_t id)
{
	struct reactor_msg *m = msg(REACTOR_UNSUBSCRIBE);
	m->id = id;
	post(&w, m);
}

/* Who waited and was woken by this event: a bit each. */
static unsigned woken_by(const struct said *q, const char *text)
{
	unsigned woken = 0;
	for (int i = 0; i < READERS; i++)
		__atomic_store_n(&pages[i].waiting, 1, __ATOMIC_RELAXED);
	say(q, "DATA", text, false);
	for (int i = 0; i < READERS; i++)
		woken |= (unsigned)!pages[i].waiting << i;
	return woken;
}

static void each_is_woken_and_none_takes_the_list_along(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	for (uint32_t i = 0; i < READERS; i++)
		add_reader(i);
	assert_int_equal(woken_by(&q, EVENT_JSON("ADDED", "b", "11")), 7);
	remove_reader(0); /* the first, which opened it in Headlamp's way of counting */
	assert_int_equal(woken_by(&q, EVENT_JSON("ADDED", "c", "12")), 6);
	unsubscribe(2);
	assert_int_equal(woken_by(&q, EVENT_JSON("ADDED", "d", "13")), 2);
	add_reader(0);
	assert_int_equal(woken_by(&q, EVENT_JSON("ADDED", "e", "14")), 3);
	is_at(0, SHM_LIST_LIVE, "14");
	nothing_said(); /* all that time it was one watch */
	assert_int_equal(fake_io_count(&w.io), 1);
	for (uint32_t i = 0; i < READERS; i++)
		remove_reader(i);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_is_woken_and_none_takes_the_list_along),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
