/* wake_test.c - a host that sleeps on kr_fd while its daemon is replaced: what comes to pass at the
 * wrong moment, or in another call than kr_follow_next, is not lost. */
#include "client_world.h"

#include <poll.h>
#include <sched.h>

#include "base/err.h"
#include "client/list.h"
#include "client/wait.h"

static void (*before_arm)(void); /* once, between the last look at the socket and wait_arm */

void __real_wait_arm(struct kr_client *c);
void __wrap_wait_arm(struct kr_client *c);
void __wrap_wait_arm(struct kr_client *c)
{
	void (*now)(void) = before_arm;
	before_arm = NULL;
	if (now)
		now();
	__real_wait_arm(c);
}

static struct {
	struct world w;
	struct kr_list *l[2];
	struct kr_view v[2];
} t;
static const char *const names[] = {"a", "b"};

static bool readable(void)
{
	struct pollfd p = {.fd = kr_fd(t.w.c), .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void wait_fd(void)
{
	struct pollfd p = {.fd = kr_fd(t.w.c), .events = POLLIN};
	assert_int_equal(poll(&p, 1, (int)(WORLD_LONG_NS / 1000000)), 1);
}

static void take_all(void)
{
	struct kr_change ch;
	for (int i = 0; i < 2; i++)
		while (kr_follow_next(&t.v[i].follow, &ch, 0) == KR_OK)
			;
}

static void go_to_sleep(void)
{
	do
		take_all();
	while (readable());
}

static void begin(void)
{
	world_open(&t.w, 0);
	for (int i = 0; i < 2; i++) {
		t.l[i] = world_list(&t.w, names[i]);
		world_sync(&t.w, names[i], 3);
		assert_int_equal(kr_view_begin(t.l[i], &t.v[i]), KR_OK);
		kr_view_end(&t.v[i]);
	}
	assert_true(kr_fd(t.w.c) >= 0);
	go_to_sleep();
}

static void end(void)
{
	for (int i = 0; i < 2; i++)
		kr_follow_end(&t.v[i].follow);
	world_fini(&t.w);
}

/* The lists of the new daemon are opened and mapped, and not whole. */
static void replace(void)
{
	world_replace(&t.w);
	while (!t.l[0]->next.shard || !t.l[1]->next.shard) {
		wait_fd();
		take_all();
	}
	go_to_sleep();
}

static void sync_a(void)
{
	world_sync(&t.w, "a", 4);
}
static void sync_b(void)
{
	world_sync(&t.w, "b", 4);
}

/* The wake-up is taken back by wait_arm: so the list has to be looked at behind it. */
static void whole_just_before_it_sleeps(void **state)
{
	(void)state;
	struct kr_change ch;
	begin();
	replace();
	before_arm = sync_a;
	assert_int_equal(kr_follow_next(&t.v[0].follow, &ch, 0), KR_OK);
	assert_int_equal(ch.type, KR_ADDED);
	go_to_sleep();
	before_arm = sync_b;
	assert_int_equal(kr_follow_next(&t.v[0].follow, &ch, 0), KR_TIMEOUT);
	assert_true(readable()); /* for whoever is asked next */
	assert_int_equal(kr_follow_next(&t.v[1].follow, &ch, 0), KR_OK);
	assert_int_equal(ch.type, KR_ADDED);
	end();
}

static struct kr_list_status status_of(struct kr_list *l)
{
	struct kr_list_status s = {.size = sizeof s};
	assert_int_equal(kr_list_status(l, &s), KR_OK);
	sched_yield();
	return s;
}

/* A host that is busy with other calls: they attach it again, and empty the socket. */
static void other_calls_attach_again(void **state)
{
	(void)state;
	struct kr_change ch;
	begin();
	world_replace(&t.w);
	sync_a();
	sync_b();
	for (int i = 0; i < 2; i++)
		while (status_of(t.l[i]).objects != 4) /* those of the new daemon */
			;
	for (int i = 0; i < 2; i++) {
		assert_true(readable());
		assert_int_equal(kr_follow_next(&t.v[i].follow, &ch, 0), KR_OK);
		assert_int_equal(ch.type, KR_ADDED);
	}
	end();
}

/* The same, and the lists of the new daemon become whole later: it has to know by then that
 * somebody waits. */
static void other_calls_attach_again_and_nothing_is_armed(void **state)
{
	(void)state;
	struct kr_change ch;
	begin();
	world_replace(&t.w);
	fake_lock(t.w.d);
	for (int i = 0; i < 2; i++)
		store_list_state(fake_list(t.w.d, "test", names[i]), SHM_LIST_CONNECTING,
		        ERR_CONN_REFUSED, "refused", fake_now());
	fake_unlock(t.w.d);
	for (int i = 0; i < 2; i++)
		while (strcmp(status_of(t.l[i]).error_name, err_name(ERR_CONN_REFUSED)) != 0)
			;
	assert_true(readable());
	go_to_sleep();
	sync_a();
	wait_fd();
	assert_int_equal(kr_follow_next(&t.v[0].follow, &ch, 0), KR_OK);
	assert_int_equal(ch.type, KR_ADDED);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whole_just_before_it_sleeps),
	        cmocka_unit_test(other_calls_attach_again),
	        cmocka_unit_test(other_calls_attach_again_and_nothing_is_armed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
