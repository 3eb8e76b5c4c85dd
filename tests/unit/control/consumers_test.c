/* consumers_test.c - the control thread with a raw client on its socket and a reactor on a scripted
 * io: what hostile packets do, what happens when descriptors run out, who is subscribed to what. */
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
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
	assert_int_equal(g.control->consumers.listener.sock.events, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 0; i < 100 && !g.control->consumers.count; i++)
		both(&g);
	assert_int_equal(g.control->consumers.count, 1);
	rig_fini(&g);
}

static struct attach_list with_a_list(struct rig *g)
{
	union reply r;
	rig_init(g);
	greet(g);
	ask_list(g, 2, "v1", "");
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	return r.list;
}

/* Opened again while the reactor closes it: the new one must wake the consumer as the old one did.
 */
static void a_list_opened_again_while_it_closes_is_subscribed(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	r.list = with_a_list(&g);
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

/* Opens and closes over and over, as fast as it is heard. */
static void open_and_close(struct rig *g, uint32_t times, uint32_t *handle)
{
	union reply r;
	for (uint32_t i = 0; i < times; i++) {
		ask_list(g, 2, "v1", "");
		struct attach_ref c = {
		        .head = {.type = ATTACH_CLOSE_LIST, .id = 3}, .handle = ++*handle};
		say(g, &c, sizeof c);
	}
	control_turn(g);
	while (recv(g->client, &r, sizeof r, 0) > 0)
		assert_int_not_equal(r.head.type, ATTACH_ERROR);
}

static void what_a_reactor_does_not_get_to_is_bounded(void **state)
{
	enum { BATCH = 8 }; /* pairs: as many messages as are heard at a time */
	struct rig g;
	union reply r;
	(void)state;
	r.list = with_a_list(&g);
	uint32_t handle = r.list.handle, before = 0, more = 1;
	for (int i = 0; more && i < 2 * CONSUMERS_BACKLOG_MAX / BATCH; i++) {
		before = reactor_waiting(g.reactor);
		open_and_close(&g, BATCH, &handle);
		more = reactor_waiting(g.reactor) - before;
	}
	assert_int_equal(more, 0); /* it hangs: no more is heard */
	assert_true(before > CONSUMERS_BACKLOG_MAX);
	assert_true(before <= CONSUMERS_BACKLOG_MAX + 2 * BATCH);
	unsigned oks = 0;
	while (reactor_waiting(g.reactor)) /* and goes on */
		reactor_turn(g.reactor, 0);
	while (hear(&g, &r) && r.list.handle != handle)
		oks += r.head.type == ATTACH_OK;
	assert_int_equal(oks, BATCH - 1);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_OK);
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

/* What is there to be read; descriptors are closed. How many documents are among it.
 */
static int read_documents(struct rig *g, int *refused)
{
	int documents = 0;
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} u;
	union reply r;
	struct iovec iov = {&r, sizeof r};
	for (;;) {
		struct msghdr h = {.msg_iov = &iov,
		        .msg_iovlen = 1,
		        .msg_control = u.buf,
		        .msg_controllen = sizeof u.buf};
		if (recvmsg(g->client, &h, MSG_CMSG_CLOEXEC) <= 0)
			return documents;
		const struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		if (c)
			close(*(const int *)(const void *)CMSG_DATA(c));
		documents += r.head.type == ATTACH_DOCUMENT;
		*refused += r.head.type == ATTACH_ERROR && r.error.code == KR_ERR_LIMIT;
	}
}

/* Each is a memfd of some megabytes in a large daemon, charged to it. */
static void documents_that_nobody_reads_are_few(void **state)
{
	struct attach_query q = {
	        .head = {.type = ATTACH_QUERY, .id = 10}, .kind = ATTACH_QUERY_STATUS};
	int refused = 0;
	struct rig g;
	(void)state;
	rig_init(&g);
	greet(&g);
	for (int i = 0; i < 100; i++) {
		say(&g, &q, sizeof q);
		both(&g);
	}
	for (int i = 0; i < 10; i++)
		both(&g);
	assert_int_equal(g.control->consumers.count, 1);
	assert_int_equal(read_documents(&g, &refused), CONSUMER_STATUSES_MAX);
	assert_int_equal(refused, 100 - CONSUMER_STATUSES_MAX);
	for (int i = 0; i < 3 * CONSUMER_STATUSES_MAX; i++) { /* who reads them gets more */
		union reply r;
		say(&g, &q, sizeof q);
		assert_true(hear(&g, &r));
		assert_int_equal(r.head.type, ATTACH_DOCUMENT);
	}
	rig_fini(&g);
}

/* However many consumers one user has. */
static void documents_of_one_user_are_few(void **state)
{
	enum { CONSUMERS = USER_STATUSES_MAX / CONSUMER_STATUSES_MAX };
	struct attach_query q = {
	        .head = {.type = ATTACH_QUERY, .id = 10}, .kind = ATTACH_QUERY_STATUS};
	int refused = 0, fds[CONSUMERS];
	union reply r;
	struct rig g;
	(void)state;
	rig_init(&g);
	for (int i = 0; i < CONSUMERS; i++) {
		greet(&g);
		fds[i] = g.client;
		for (int n = 0; n < CONSUMER_STATUSES_MAX; n++)
			say(&g, &q, sizeof q);
		for (int n = 0; n < 5; n++)
			both(&g);
	}
	greet(&g);
	int last = g.client;
	say(&g, &q, sizeof q);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_int_equal(r.error.code, KR_ERR_LIMIT);
	g.client = fds[0]; /* another one of his reads what it has */
	assert_int_equal(read_documents(&g, &refused), CONSUMER_STATUSES_MAX);
	assert_int_equal(refused, 0);
	close(fds[1]); /* and one leaves */
	g.client = last;
	for (int i = 0; i < CONSUMER_STATUSES_MAX; i++) {
		say(&g, &q, sizeof q);
		assert_true(hear(&g, &r));
		assert_int_equal(r.head.type, ATTACH_DOCUMENT);
	}
	const struct user *u = g.control->consumers.rows[0]->user;
	assert_true(u->statuses <= USER_STATUSES_MAX);
	for (int i = 0; i < CONSUMERS; i++)
		if (i != 1)
			close(fds[i]);
	for (int i = 0; i < 10; i++)
		both(&g);
	assert_int_equal(u->consumers, 1);
	assert_true(u->statuses <= CONSUMER_STATUSES_MAX);
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

/* Knocks until it is told to stop; counts how often somebody was there who did not listen. */
struct knocker {
	struct sockaddr_un to;
	atomic_bool stop;
	unsigned refused, let_in;
};

static void *knock(void *arg)
{
	struct knocker *k = arg;
	while (!atomic_load(&k->stop)) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		int r = connect(fd, (struct sockaddr *)&k->to, sizeof k->to);
		k->let_in += r == 0;
		k->refused += r < 0 && errno == ECONNREFUSED;
		close(fd);
	}
	return NULL;
}

/* A consumer may wait for the socket's file: when it is there, it must be let in. */
static void a_socket_that_is_there_listens(void **state)
{
	struct rig g;
	struct knocker k = {.to.sun_family = AF_UNIX};
	struct errmsg m = {0};
	pthread_t thread;
	(void)state;
	rig_config(&g);
	strcpy(k.to.sun_path, g.path);
	for (int i = 0; i < 300; i++) {
		atomic_store(&k.stop, false);
		assert_int_equal(pthread_create(&thread, NULL, knock, &k), 0);
		assert_int_equal(rig_control(&g, &m), ERR_OK);
		atomic_store(&k.stop, true);
		assert_int_equal(pthread_join(thread, NULL), 0);
		control_free(&g.control);
	}
	assert_int_equal(k.refused, 0);
	char lock[128];
	snprintf(lock, sizeof lock, "%s.lock", g.path);
	(void)!unlink(lock);
	assert_int_equal(rmdir(g.dir), 0); /* nothing else is left there */
}

/* With a directory service a user has hundreds: the one that a realm names may be the last. */
static void a_user_of_many_groups_is_in_all_of_them(void **state)
{
	enum { GROUPS = 300, LAST = 70000 + GROUPS - 1 };
	gid_t before[256], many[GROUPS];
	struct rig g;
	union reply r;
	(void)state;
	int count = getgroups(256, before);
	assert_true(count >= 0);
	for (gid_t i = 0; i < GROUPS; i++)
		many[i] = 70000 + i;
	if (setgroups(GROUPS, many) < 0)
		skip(); /* only root can be in groups at will */
	rig_init(&g);
	g.realm.uid_count = 0;
	g.realm.gids = &(gid_t){LAST};
	g.realm.gid_count = 1;
	greet(&g);
	ask_list(&g, 2, "v1", "");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	assert_int_equal(g.control->consumers.rows[0]->group_count, 1 + GROUPS);
	assert_int_equal(setgroups(0, NULL), 0);
	close(g.client);
	greet(&g);
	ask_list(&g, 2, "v1", "");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_int_equal(r.error.code, KR_ERR_DENIED);
	assert_int_equal(setgroups((size_t)count, before), 0);
	rig_fini(&g);
}

/* Else whoever may see one cluster makes the daemon connect to all, and reads their APIs. */
static void a_cluster_that_it_may_not_see_is_not_asked(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	g.grant.clusters = (struct fields_texts){(const char *const[]){"other"}, 1};
	greet(&g);
	ask_name(&g, "c", "pods");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_int_equal(r.error.code, KR_ERR_DENIED);
	assert_non_null(strstr(r.error.text, "may not see pods of cluster \"c\""));
	assert_false(clusters_find(g.control, "c")->placed);
	ask_name(&g, "unknown", "pods"); /* nor does it learn which there are */
	assert_true(hear(&g, &r));
	assert_int_equal(r.error.code, KR_ERR_DENIED);
	g.grant.clusters = (struct fields_texts){(const char *const[]){"c"}, 1};
	ask_name(&g, "c", "pods");
	for (int i = 0; i < 100 && !clusters_find(g.control, "c")->placed; i++)
		both(&g);
	assert_true(clusters_find(g.control, "c")->placed);
	rig_fini(&g);
}

/* What everyone may connect to, also who may see nothing. */
static void one_user_cannot_take_all_places(void **state)
{
	struct settings_env env = {.uid = 1};
	struct problem_list problems;
	struct settings *s;
	(void)state;
	problem_list_init(&problems);
	assert_int_equal(settings_load(NULL, &env, &problems, &s), ERR_OK);
	assert_true(s->limits.consumers_max >= 2 * CONSUMER_PER_UID_MAX);
	assert_true(s->limits.consumers_max + CONSUMER_KEPT <= REACTOR_CONSUMERS_MAX);
	settings_free(&s);
	problem_list_fini(&problems);
}

/* As that user: another connection; true: it was let in. */
static bool comes_in(struct rig *g, uid_t uid, int *fd)
{
	union reply r;
	assert_int_equal(seteuid(uid), 0);
	*fd = dial(g);
	assert_int_equal(seteuid(0), 0);
	uint32_t before = g->control->consumers.count;
	control_turn(g);
	if (g->control->consumers.count > before)
		return true;
	assert_true(recv(*fd, &r, sizeof r, 0) > 0);
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_non_null(strstr(r.error.text, "consumersMax"));
	return false;
}

/* Others have taken all places: who looks after the daemon can still ask what is going on. */
static void places_are_kept_for_root(void **state)
{
	enum { PLACES = 2, NOBODY = 65534 };
	struct rig g;
	int fds[PLACES + CONSUMER_KEPT + 3];
	size_t n = 0;
	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can be another user */
	rig_init(&g);
	assert_int_equal(chmod(g.dir, 0755), 0);
	g.settings.limits.consumers_max = PLACES;
	for (int i = 0; i < PLACES; i++)
		assert_true(comes_in(&g, NOBODY, &fds[n++]));
	assert_false(comes_in(&g, NOBODY, &fds[n++]));
	for (int i = 0; i < CONSUMER_KEPT; i++)
		assert_true(comes_in(&g, 0, &fds[n++]));
	assert_false(comes_in(&g, 0, &fds[n++]));
	assert_false(comes_in(&g, NOBODY, &fds[n++]));
	while (n > 0)
		close(fds[--n]);
	rig_fini(&g);
}

/* A name matches itself, as everywhere else: it may hold brackets, and a backslash is no escape. */
static void a_pinned_list_finds_its_cluster_by_its_name(void **state)
{
	static const char *const names[] = {"c[1]", "a\\b", "c"};
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct rig g;
		struct settings_list pins = {.clusters = names[i],
		        .resource = {.resource = "pods", .version = "v1", .group = ""}};
		rig_config(&g);
		g.cluster.name = g.cluster.context = names[i];
		g.settings.lists = &pins;
		g.settings.list_count = 1;
		rig_start(&g);
		lists_open_pinned(g.control);
		if (list_empty(&g.control->questions))
			fail_msg("%s", names[i]);
		rig_fini(&g);
	}
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

/* A HELLO's answer, with its descriptors: the page and the eventfd. */
static void greet_for(struct rig *g, int fds[2])
{
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} u;
	union reply r;
	struct iovec iov = {&r, sizeof r};
	struct attach_hello h = {.head = {.type = ATTACH_HELLO, .id = 1},
	        .layout_major = SHM_LAYOUT_MAJOR,
	        .layout_minor = SHM_LAYOUT_MINOR,
	        .name = "test"};
	g->client = dial(g);
	say(g, &h, sizeof h);
	for (int i = 0; i < 100; i++) {
		struct msghdr m = {.msg_iov = &iov,
		        .msg_iovlen = 1,
		        .msg_control = u.buf,
		        .msg_controllen = sizeof u.buf};
		if (recvmsg(g->client, &m, MSG_CMSG_CLOEXEC) > 0) {
			assert_int_equal(r.head.type, ATTACH_WELCOME);
			assert_non_null(CMSG_FIRSTHDR(&m));
			memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), 2 * sizeof(int));
			return;
		}
		both(g);
	}
	fail_msg("no welcome");
}

/* The daemon reads and writes it too: cut by a consumer, that would be a SIGBUS. */
static void the_page_of_a_consumer_is_sealed(void **state)
{
	struct rig g;
	int fds[2];
	(void)state;
	rig_init(&g);
	greet_for(&g, fds);
	assert_int_equal(fcntl(fds[0], F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(ftruncate(fds[0], 0), -1);
	close(fds[0]);
	close(fds[1]);
	rig_fini(&g);
}

/* Where the limits are, exactly; and who has left makes room at once, though the reactors have not
 * let go of it. */
static void places_are_limited_by_user_and_by_all(void **state)
{
	struct rig g;
	union reply r;
	struct rlimit files;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max; /* four descriptors each, both ends are ours */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (int by_user = 0; by_user < 2; by_user++) {
		enum { ALL = 5 };
		int fds[CONSUMER_PER_UID_MAX];
		int n = by_user ? CONSUMER_PER_UID_MAX
		                : ALL + CONSUMER_KEPT; /* it is our own user */
		rig_init(&g);
		g.settings.limits.consumers_max = by_user ? 4096 : ALL;
		for (int i = 0; i < n; i++) {
			greet(&g);
			fds[i] = g.client;
		}
		g.client = dial(&g);
		assert_true(hear(&g, &r));
		assert_int_equal(r.head.type, ATTACH_ERROR);
		assert_int_equal(r.error.code, KR_ERR_LIMIT);
		assert_non_null(strstr(r.error.text, by_user ? "user " : "consumersMax"));
		assert_int_equal(g.control->consumers.count, n);
		close(g.client);
		for (int i = 0; i < n; i++)
			close(fds[i]);
		if (by_user)
			for (int i = 0; i < 20; i++)
				control_turn(&g); /* the reactor has not answered */
		else
			for (int i = 0; i < 20; i++)
				both(&g);
		greet(&g);
		rig_fini(&g);
	}
}

static void its_own_group_counts(void **state)
{
	struct rig g;
	union reply r;
	gid_t before[256], own = getegid();
	int count = getgroups(256, before);
	(void)state;
	assert_true(count >= 0);
	if (setgroups(0, NULL) < 0)
		count = -1; /* then it is perhaps among the others too */
	rig_init(&g);
	g.realm.uid_count = 0;
	g.realm.gids = &own;
	g.realm.gid_count = 1;
	greet(&g);
	assert_int_equal(g.control->consumers.rows[0]->groups[0], own);
	ask_list(&g, 2, "v1", "");
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	if (count >= 0)
		assert_int_equal(setgroups((size_t)count, before), 0);
	rig_fini(&g);
}

/* The socket's room for answers is small, so that some wait in the daemon. */
static void greet_narrow(struct rig *g)
{
	greet(g);
	int fd = g->control->consumers.rows[0]->fd.fd, small = 1;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
}

static void answers_wait_for_a_slow_reader_in_their_order(void **state)
{
	enum { N = CONSUMER_SENDS_MAX / 2 };
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet_narrow(&g);
	const struct consumer *k = g.control->consumers.rows[0];
	for (uint32_t i = 0; i < N; i++) {
		ask_list(&g, 100 + i, "..", ""); /* an error each */
		control_turn(&g);
		control_turn(&g);
	}
	assert_true(k->send_count > 0);
	for (uint32_t i = 0; i < N; i++) {
		if (i == N / 2) { /* one more, behind those that wait */
			ask_list(&g, 100 + N, "..", "");
			control_turn(&g);
		}
		assert_true(hear(&g, &r));
		assert_int_equal(r.head.id, 100 + i);
	}
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.id, 100 + N);
	control_turn(&g);
	assert_int_equal(k->send_count, 0);
	assert_int_equal(k->fd.events, EPOLLIN); /* else the loop would spin */
	rig_fini(&g);
}

static void who_asks_and_does_not_read_is_cut_off(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	greet_narrow(&g);
	const struct consumer *k = g.control->consumers.rows[0];
	for (int i = 0; i < 2 * CONSUMER_SENDS_MAX && !k->leaving; i++) {
		assert_true(k->send_count <= CONSUMER_SENDS_MAX);
		ask_list(&g, 2, "..", "");
		control_turn(&g);
	}
	assert_true(k->leaving);
	rig_fini(&g);
}

static void who_is_attached_is_told_that_the_daemon_stops(void **state)
{
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	consumers_bye(g.control);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_BYE);
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_packet_longer_than_any_message_cuts_it_off),
	        cmocka_unit_test(no_descriptor_left_is_no_busy_loop),
	        cmocka_unit_test(a_list_opened_again_while_it_closes_is_subscribed),
	        cmocka_unit_test(what_a_reactor_does_not_get_to_is_bounded),
	        cmocka_unit_test(names_that_are_paths_are_refused),
	        cmocka_unit_test(questions_of_one_consumer_are_bounded),
	        cmocka_unit_test(documents_that_nobody_reads_are_few),
	        cmocka_unit_test(documents_of_one_user_are_few),
	        cmocka_unit_test(a_cluster_that_it_may_not_see_is_not_asked),
	        cmocka_unit_test(one_user_cannot_take_all_places),
	        cmocka_unit_test(what_is_no_socket_is_not_removed),
	        cmocka_unit_test(a_socket_that_is_there_listens),
	        cmocka_unit_test(places_are_kept_for_root),
	        cmocka_unit_test(a_pinned_list_finds_its_cluster_by_its_name),
	        cmocka_unit_test(a_user_of_many_groups_is_in_all_of_them),
	        cmocka_unit_test(a_socket_that_others_serve_is_not_removed),
	        cmocka_unit_test(the_page_of_a_consumer_is_sealed),
	        cmocka_unit_test(places_are_limited_by_user_and_by_all),
	        cmocka_unit_test(its_own_group_counts),
	        cmocka_unit_test(answers_wait_for_a_slow_reader_in_their_order),
	        cmocka_unit_test(who_asks_and_does_not_read_is_cut_off),
	        cmocka_unit_test(who_is_attached_is_told_that_the_daemon_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
