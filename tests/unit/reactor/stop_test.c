/* stop_test.c - REACTOR_STOP while things are under way, and consumers that come and go. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "unit/reactor/world.h"

static void with_connections_in_every_state(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	go_live(&w, 0);
	open_list(&w, 1, 0);
	connect_ok(&w, 1);   /* asking */
	open_list(&w, 2, 0); /* connecting */
	post_fetch(&w, 0);
	add_cluster_only(&w, 1, false, false); /* no address, no credential */
	open_list(&w, 3, 1);
	post_fetch(&w, 1);
	w.io.hold_closed = true;
	post(&w, msg(REACTOR_STOP));
	expect_note(&w, REACTOR_FETCHED);
	expect_note(&w, REACTOR_FETCHED);
	assert_null(take_note(&w, REACTOR_STOPPED));
	/* What was on its way when STOP came. */
	struct reactor_msg *m = msg(REACTOR_SUBSCRIBE);
	m->id = 1;
	m->list = 0;
	post(&w, m);
	m = msg(REACTOR_UNSUBSCRIBE);
	m->id = 1;
	m->list = 1;
	post(&w, m);
	m = msg(REACTOR_LIST_CLOSE);
	m->id = 2;
	post(&w, m);
	post(&w, list_msg(9, 0, 0));
	post_fetch(&w, 0);
	post_credential(&w, 0, ERR_OK, "");
	post_addresses(&w, 1, 1);
	w.io.hold_closed = false;
	turn(&w);
	turn(&w);
	expect_note(&w, REACTOR_STOPPED);
	world_fini(&w);
}

static void a_consumer_is_woken_once_and_let_go_after_a_turn(void **state)
{
	struct world w;
	struct shm_consumer page = {0};
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	struct reactor_msg *m = msg(REACTOR_CONSUMER_ADD);
	m->id = 5;
	m->consumer.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int fd = m->consumer.eventfd;
	m->consumer.page = &page;
	post(&w, m);
	m = msg(REACTOR_SUBSCRIBE);
	m->id = 5;
	post(&w, m);
	w.io.notifies = 0;
	__atomic_store_n(&page.waiting, 1, __ATOMIC_RELAXED);
	go_live(&w, 0);
	assert_int_equal(w.io.notifies, 1);
	assert_int_equal(page.waiting, 0);
	static const char ev[] = EVENT_JSON("ADDED", "b", "11");
	chunk(fake_io_sock(&w.io, 0), ev, sizeof ev - 1);
	turn(&w);
	assert_int_equal(w.io.notifies, 1); /* it does not wait */
	m = msg(REACTOR_CONSUMER_REMOVE);
	m->id = 5;
	post(&w, m);
	assert_null(take_note(&w, REACTOR_CONSUMER_GONE)); /* its eventfd may be in flight */
	turn(&w);
	expect_note(&w, REACTOR_CONSUMER_GONE);
	close(fd);
	world_fini(&w);
}

/* Who opens a list that others have open is told at once where it lies; its SUBSCRIBE waits in the
 * mailbox meanwhile. What changes in between it has looked for before, and sleeps. */
static void a_change_before_the_subscription_wakes_too(void **state)
{
	(void)state;
	for (int closed = 0; closed < 2; closed++) {
		struct world w;
		struct shm_consumer page = {0};
		world_init(&w);
		add_cluster(&w, 0, false);
		open_list(&w, 0, 0);
		struct reactor_msg *m = msg(REACTOR_CONSUMER_ADD);
		int fd = m->consumer.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		m->id = 5;
		m->consumer.page = &page;
		post(&w, m);
		w.io.notifies = 0;
		__atomic_store_n(&page.waiting, 1, __ATOMIC_RELAXED);
		if (closed)
			post(&w, msg(REACTOR_CLUSTER_REMOVE));
		else
			go_live(&w, 0);
		assert_int_equal(w.io.notifies, 0);
		m = msg(REACTOR_SUBSCRIBE);
		m->id = 5;
		post(&w, m);
		assert_int_equal(w.io.notifies, 1);
		assert_int_equal(page.waiting, 0);
		world_fini(&w);
		close(fd);
	}
}

/* The eventfd of another user's process is never written to: it could make that wait (io/bell.h).
 */
static void a_consumer_of_another_user_cannot_block_the_reactor(void **state)
{
	struct world w;
	struct shm_consumer page = {0};
	uint64_t full = UINT64_MAX - 1;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	struct reactor_msg *m = msg(REACTOR_CONSUMER_ADD);
	m->id = 5;
	int fd = m->consumer.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	m->consumer.page = &page;
	m->consumer.foreign = true;
	post(&w, m);
	m = msg(REACTOR_SUBSCRIBE);
	m->id = 5;
	post(&w, m);
	w.io.notifies = 0;
	assert_int_equal(write(fd, &full, sizeof full), sizeof full);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	__atomic_store_n(&page.waiting, 1, __ATOMIC_RELAXED);
	go_live(&w, 0);
	assert_int_equal(page.waiting, 0);
	assert_int_equal(w.io.notifies, 0);
	assert_int_equal(read(fd, &full, sizeof full), sizeof full);
	assert_int_equal(full, UINT64_MAX); /* rung */
	m = msg(REACTOR_CONSUMER_REMOVE);
	m->id = 5;
	post(&w, m);
	turn(&w);
	turn(&w);
	expect_note(&w, REACTOR_CONSUMER_GONE);
	close(fd);
	world_fini(&w);
}

static void slow_note(void *arg, struct reactor_note *n)
{
	struct world *w = arg;
	w->io.now_ns += 7000000;
	world_note(w, n);
}

static void the_longest_turn_is_known(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	pass(&w, SEC); /* time between turns is sleep */
	post(&w, msg(REACTOR_STATUS));
	struct reactor_note *n = take_note(&w, REACTOR_STATUS_OF);
	assert_int_equal(n->status->turn_max_ns, 0);
	reactor_note_free(&n);
	w.r->config.note = slow_note;
	open_list(&w, 0, 0);
	w.r->config.note = world_note;
	turn(&w);
	post(&w, msg(REACTOR_STATUS));
	n = take_note(&w, REACTOR_STATUS_OF);
	assert_int_equal(n->status->turn_max_ns, 7000000);
	reactor_note_free(&n);
	world_fini(&w);
}

/* A removed cluster, or the end of the daemon: who sleeps on the list would else learn of it never.
 */
static void the_end_of_a_list_wakes_who_waits_for_it(void **state)
{
	(void)state;
	for (int stop = 0; stop < 2; stop++) {
		struct world w;
		struct shm_consumer page = {0};
		world_init(&w);
		add_cluster(&w, 0, false);
		const struct shm_list *row = row_at(open_list(&w, 0, 0));
		struct reactor_msg *m = msg(REACTOR_CONSUMER_ADD);
		int fd = m->consumer.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		m->id = 5;
		m->consumer.page = &page;
		post(&w, m);
		m = msg(REACTOR_SUBSCRIBE);
		m->id = 5;
		m->list = 0;
		post(&w, m);
		go_live(&w, 0);
		turn(&w);
		turn(&w);
		__atomic_store_n(&page.waiting, 1, __ATOMIC_RELAXED);
		unsigned notifies = w.io.notifies;
		if (stop) {
			post(&w, msg(REACTOR_STOP));
			assert_int_equal(row->state, SHM_LIST_STALE);
		} else {
			m = msg(REACTOR_CLUSTER_REMOVE);
			m->err = ERR_UNKNOWN_CLUSTER;
			snprintf(m->text, sizeof m->text, "removed");
			post(&w, m);
			assert_int_equal(row->state, SHM_LIST_CLOSED);
		}
		turn(&w);
		assert_int_equal(page.waiting, 0);
		assert_int_equal(w.io.notifies, notifies + 1);
		world_fini(&w);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(with_connections_in_every_state),
	        cmocka_unit_test(a_consumer_is_woken_once_and_let_go_after_a_turn),
	        cmocka_unit_test(a_change_before_the_subscription_wakes_too),
	        cmocka_unit_test(a_consumer_of_another_user_cannot_block_the_reactor),
	        cmocka_unit_test(the_longest_turn_is_known),
	        cmocka_unit_test(the_end_of_a_list_wakes_who_waits_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
