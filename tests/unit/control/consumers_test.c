/* consumers_test.c - the control thread with a raw client on its socket and a reactor on a scripted
 * io: what hostile packets do, what happens when descriptors run out, who is subscribed to what. */
#include <fcntl.h>
#include <sys/resource.h>

#include "unit/control/rig.h"

static void ask_list(struct rig *g, uint32_t id, const char *version, const char *namespace_)
{
	ask_strings(g, id,
	        (const char *const[ATTACH_STRINGS]){"c", "", version, "pods", namespace_, "", ""});
}

static void a_packet_longer_than_any_message_cuts_it_off(void **state)
{
	enum { BYTES = sizeof(struct attach_spec) + 7 * ATTACH_STRING_MAX };
	static char big[BYTES];
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	struct attach_spec s = {.head = {.type = ATTACH_OPEN_LIST, .id = 2}};
	for (int i = 0; i < ATTACH_STRINGS; i++)
		s.length[i] = ATTACH_STRING_MAX;
	memset(big, 'a', sizeof big);
	memcpy(big, &s, sizeof s);
	say(&g, big, sizeof big);
	assert_false(hear(&g, &r));
	for (int i = 0; i < 5; i++)
		both(&g);
	assert_int_equal(g.control->consumers.count, 0);
	rig_fini(&g);
}

static void no_descriptor_left_is_no_busy_loop(void **state)
{
	struct rig g;
	struct rlimit old, none;
	(void)state;
	rig_init(&g);
	g.client = dial(&g);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	int lowest = dup(g.client); /* every number below is taken */
	assert_true(lowest >= 0);
	close(lowest);
	none = (struct rlimit){(rlim_t)lowest, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	control_turn(&g);
	assert_int_equal(g.control->consumers.listener.events, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 0; i < 100 && !g.control->consumers.count; i++)
		both(&g);
	assert_int_equal(g.control->consumers.count, 1);
	rig_fini(&g);
}

/* Opened again while the reactor closes it: the new one must wake the consumer as the old one did.
 */
static void a_list_opened_again_while_it_closes_is_subscribed(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	ask_list(&g, 2, "v1", "");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	const struct feed *f = g.reactor->feed_by_id.rows[0];
	assert_int_equal(f->consumer_count, 1);
	struct attach_ref c = {
	        .head = {.type = ATTACH_CLOSE_LIST, .id = 3}, .handle = r.list.handle};
	say(&g, &c, sizeof c);
	for (int i = 0; i < 100 && g.control->lists.rows[0]->phase != LIST_CLOSING; i++)
		control_turn(&g);
	assert_int_equal(g.control->lists.rows[0]->phase, LIST_CLOSING);
	ask_list(&g, 4, "v1", "");
	control_turn(&g);
	assert_true(g.control->lists.rows[0]->again);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_OK);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	both(&g);
	f = g.reactor->feed_by_id.rows[0];
	assert_non_null(f);
	assert_int_equal(f->consumer_count, 1);
	rig_fini(&g);
}

static void names_that_are_paths_are_refused(void **state)
{
	static const char *const bad[][2] = {{"v1", "team-a/../kube-system"}, {"v1", ".."},
	        {"v1", "a%2fb"}, {"..", ""}, {"v1/namespaces/kube-system", ""}, {"v1", "a|b"},
	        {"v1", "a?x"}};
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ask_list(&g, 2, bad[i][0], bad[i][1]);
		assert_true(hear(&g, &r));
		assert_int_equal(r.head.type, ATTACH_ERROR);
		assert_int_equal(r.error.code, KR_ERR_ARGUMENT);
	}
	ask_list(&g, 2, "v1beta1", "team-a");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	rig_fini(&g);
}

static void questions_of_one_consumer_are_bounded(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	for (int i = 0; i <= CONSUMER_QUESTIONS_MAX; i++) {
		struct {
			struct attach_query q;
			char names[8];
		} m = {.q = {.head = {.type = ATTACH_QUERY, .id = 10},
		               .kind = ATTACH_QUERY_RESOLVE,
		               .length = {1, 4}}};
		memcpy(m.names, "cpods", 5);
		say(&g, &m, sizeof m.q + 5);
		control_turn(&g);
	}
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_int_equal(r.error.code, KR_ERR_LIMIT);
	assert_false(list_empty(&g.control->questions));
	close(g.client);
	g.client = -1;
	for (int i = 0; i < 10; i++)
		both(&g);
	assert_true(list_empty(&g.control->questions)); /* it left, and they with it */
	assert_int_equal(g.control->consumers.count, 0);
	rig_fini(&g);
}

static void what_is_no_socket_is_not_removed(void **state)
{
	struct rig g;
	struct errmsg m = {0};
	struct stat st;
	(void)state;
	rig_config(&g);
	int fd = open(g.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rig_control(&g, &m), ERR_CONFIG);
	assert_non_null(strstr(m.text, g.path));
	assert_int_equal(stat(g.path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(g.path);
	char lock[128];
	snprintf(lock, sizeof lock, "%s.lock", g.path);
	(void)!unlink(lock);
	rmdir(g.dir);
}

/* A typing error in --socket must not cut another program off. */
static void a_socket_that_others_serve_is_not_removed(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct rig g;
		struct errmsg m = {0};
		struct stat before, after;
		rig_config(&g);
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		snprintf(a.sun_path, sizeof a.sun_path, "%s", g.path);
		int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
		if (types[i] != SOCK_DGRAM)
			assert_int_equal(listen(fd, 1), 0);
		assert_int_equal(stat(g.path, &before), 0);
		assert_int_equal(rig_control(&g, &m), ERR_CONFIG);
		assert_non_null(strstr(m.text, g.path));
		assert_int_equal(stat(g.path, &after), 0);
		assert_true(before.st_ino == after.st_ino);
		close(fd); /* dead now: taken */
		assert_int_equal(rig_control(&g, &m), ERR_OK);
		control_free(&g.control);
		char lock[128];
		snprintf(lock, sizeof lock, "%s.lock", g.path);
		(void)!unlink(lock);
		rmdir(g.dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_packet_longer_than_any_message_cuts_it_off),
	        cmocka_unit_test(no_descriptor_left_is_no_busy_loop),
	        cmocka_unit_test(a_list_opened_again_while_it_closes_is_subscribed),
	        cmocka_unit_test(names_that_are_paths_are_refused),
	        cmocka_unit_test(questions_of_one_consumer_are_bounded),
	        cmocka_unit_test(what_is_no_socket_is_not_removed),
	        cmocka_unit_test(a_socket_that_others_serve_is_not_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
