/* Attaching: what the daemon says, what it must not say, and what the user is told. */
#include "client_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static int connect_to(const char *path, int64_t timeout_ns, struct kr_client **c)
{
	return kr_connect(c, &(struct kr_options){.size = sizeof(struct kr_options),
	                             .socket_path = path,
	                             .timeout_ns = timeout_ns});
}

static int open_list(struct kr_client *c, const char *cluster, const char *resource)
{
	struct kr_list *l = (void *)c;
	int r = kr_list_open(c,
	        &(struct kr_list_spec){.size = sizeof(struct kr_list_spec),
	                .cluster = cluster,
	                .version = "v1",
	                .resource = resource},
	        &l);
	if (r != KR_OK)
		assert_null(l);
	return r;
}

static unsigned open_fds(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void no_daemon_is_told_with_what_to_do(void **state)
{
	(void)state;
	struct kr_client *c = (void *)state;
	char path[200];
	assert_int_equal(connect_to("/tmp/kr-no-such-socket", 0, &c), KR_ERR_UNREACHABLE);
	assert_null(c);
	assert_string_equal(kr_last_error(NULL),
	        "no kuberingd at /tmp/kr-no-such-socket (no such socket): "
	        "start it, or set KUBERING_SOCKET");
	memset(path, 'x', sizeof path);
	path[108] = '\0';
	assert_int_equal(connect_to(path, 0, &c), KR_ERR_ARGUMENT);
	assert_int_equal(setenv("KUBERING_SOCKET", "/tmp/kr-from-env", 1), 0);
	assert_int_equal(kr_connect(&c, NULL), KR_ERR_UNREACHABLE);
	assert_non_null(strstr(kr_last_error(NULL), "/tmp/kr-from-env"));
	assert_int_equal(unsetenv("KUBERING_SOCKET"), 0);
	struct world w; /* a socket that nobody listens at */
	world_init(&w, 0);
	fake_free(&w.d);
	FILE *f = fopen(w.path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(connect_to(w.path, 0, &c), KR_ERR_UNREACHABLE);
	assert_non_null(strstr(kr_last_error(NULL), "connection refused"));
	char below[200]; /* a file where a directory should be */
	snprintf(below, sizeof below, "%s/x", w.path);
	assert_int_equal(connect_to(below, 0, &c), KR_ERR_UNREACHABLE);
	unlink(w.path);
	struct sockaddr_un other = {.sun_family = AF_UNIX}; /* another program's */
	snprintf(other.sun_path, sizeof other.sun_path, "%s", w.path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&other, sizeof other), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(connect_to(w.path, 0, &c), KR_ERR_UNREACHABLE);
	assert_non_null(strstr(kr_last_error(NULL), "is not kuberingd"));
	close(fd);
	world_fini(&w);
}

static void options_are_sized(void **state)
{
	(void)state;
	struct world w;
	struct kr_client *c = NULL;
	struct {
		struct kr_options o;
		char later[16];
	} more = {.o = {.size = sizeof more, .name = "test"}};
	world_init(&w, 0);
	more.o.socket_path = w.path;
	assert_int_equal(
	        kr_connect(&c, &more.o), KR_OK); /* a newer program that asks for nothing new */
	kr_close(c);
	more.later[3] = 1;
	assert_int_equal(kr_connect(&c, &more.o), KR_ERR_ARGUMENT);
	assert_non_null(strstr(kr_last_error(NULL), "size"));
	struct kr_options o = {.size = 0, .socket_path = w.path};
	assert_int_equal(kr_connect(&c, &o), KR_ERR_ARGUMENT);
	o.size = offsetof(struct kr_options, timeout_ns); /* an older program */
	assert_int_equal(kr_connect(&c, &o), KR_OK);
	kr_close(c);
	assert_int_equal(kr_connect(NULL, &o), KR_ERR_ARGUMENT);
	kr_close(NULL);
	world_fini(&w);
}

static void versions_and_words(void **state)
{
	(void)state;
	assert_string_equal(kr_layout_version(), "1.0");
	assert_string_equal(kr_version(), KR_VERSION);
	for (int r = KR_ERR_DAEMON; r <= KR_TIMEOUT; r++)
		assert_string_not_equal(kr_strerror(r), "unknown result");
	assert_string_equal(kr_strerror(KR_ERR_DAEMON - 1), "unknown result");
	assert_string_equal(kr_strerror(KR_TIMEOUT + 1), "unknown result");
}

/* Every lie of a peer ends in its code, with a text, and nothing left open. */
static void lies_about_the_client(void **state)
{
	(void)state;
	static const struct {
		enum fake_lie lie;
		int result;
		const char *text;
	} cases[] = {
	        {FAKE_LIE_LAYOUT, KR_ERR_VERSION, "layout 9.0, this library reads 1.x"},
	        {FAKE_LIE_NO_FDS, KR_ERR_CORRUPT, "not kuberingd"},
	        {FAKE_LIE_PAGE, KR_ERR_CORRUPT, "not kuberingd"},
	        {FAKE_LIE_PIPE, KR_ERR_CORRUPT, "not kuberingd"},
	        {FAKE_LIE_NO_PAGE, KR_ERR_CORRUPT, "not kuberingd"},
	        {FAKE_LIE_NONSENSE, KR_ERR_UNREACHABLE, "closed the connection"},
	        {FAKE_LIE_CLOSE, KR_ERR_UNREACHABLE, "closed the connection"},
	        {FAKE_LIE_SILENT, KR_ERR_UNREACHABLE, "does not answer"},
	        {FAKE_LIE_FLOOD, KR_ERR_UNREACHABLE, "answer"},
	        {FAKE_LIE_REFUSE, KR_ERR_DENIED, "not in the policy"},
	};
	struct world w;
	struct kr_client *c = NULL;
	world_init(&w, 0);
	unsigned before = open_fds();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fake_lie(w.d, cases[i].lie);
		assert_int_equal(connect_to(w.path, 200000000, &c), cases[i].result);
		if (!strstr(kr_last_error(NULL), cases[i].text))
			fail_msg("lie %d: %s", cases[i].lie, kr_last_error(NULL));
		assert_null(c);
	}
	fake_lie(w.d, FAKE_LIE_NONE);
	fake_await_consumers(w.d, 0);
	assert_int_equal(open_fds(), before);
	world_fini(&w);
}

static void lies_about_segments(void **state)
{
	(void)state;
	static const struct {
		enum fake_lie lie;
		int result;
		const char *text;
	} cases[] = {
	        {FAKE_LIE_UNSEALED, KR_ERR_CORRUPT, "not sealed"},
	        {FAKE_LIE_SHORT, KR_ERR_CORRUPT, "its directory says"},
	        {FAKE_LIE_NOT_MEMFD, KR_ERR_CORRUPT, "no memfd"},
	        {FAKE_LIE_SILENT, KR_ERR_UNREACHABLE, "did not answer in 0.2 s"},
	        {FAKE_LIE_NONSENSE, KR_ERR_UNREACHABLE, "spoke nonsense"},
	        {FAKE_LIE_CLOSE, KR_ERR_UNREACHABLE, "attaches again by itself"},
	};
	struct world w;
	world_init(&w, 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fake_lie(w.d, FAKE_LIE_NONE);
		assert_int_equal(connect_to(w.path, 200000000, &w.c), KR_OK);
		fake_lie(w.d, cases[i].lie);
		assert_int_equal(open_list(w.c, "test", "pods"), cases[i].result);
		if (!strstr(kr_last_error(w.c), cases[i].text))
			fail_msg("lie %d: %s", cases[i].lie, kr_last_error(w.c));
		fake_lie(w.d, FAKE_LIE_NONE);
		assert_int_equal(
		        open_list(w.c, "test", "pods"), KR_OK); /* the client is still good */
		kr_close(w.c);
	}
	w.c = NULL;
	world_fini(&w);
}

/* What the daemon grants and the client cannot use is given back: else its watch would go on for
 * nobody, and every attempt would add one. */
static void openings_that_come_to_nothing_are_given_back(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 0);
	assert_int_equal(connect_to(w.path, 200000000, &w.c), KR_OK);
	fake_lie(w.d, FAKE_LIE_UNSEALED);
	assert_int_equal(open_list(w.c, "test", "pods"), KR_ERR_CORRUPT);
	assert_non_null(strstr(kr_last_error(w.c), "not sealed"));
	assert_int_equal(fake_opens(w.d), 1);
	fake_await_closes(w.d, 1);
	fake_lie(w.d, FAKE_LIE_NONE);
	fake_lock(w.d); /* the daemon's thread waits, its answer will be late */
	assert_int_equal(open_list(w.c, "test", "pods"), KR_ERR_UNREACHABLE);
	fake_unlock(w.d);
	char *json;
	size_t n;
	assert_int_equal(kr_query(w.c, "status", &json, &n), KR_OK); /* answered after it */
	free(json);
	assert_int_equal(fake_opens(w.d), 2);
	fake_await_closes(w.d, 2);
	world_fini(&w);
}

/* A call that may wait for ever is none that the library makes, whatever it is given. */
static void an_eventfd_that_blocks(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 0);
	fake_lie(w.d, FAKE_LIE_BLOCKING);
	assert_int_equal(world_connect(&w), KR_OK);
	assert_int_equal(kr_list_wait_live(world_list(&w, "pods"), 0), KR_TIMEOUT);
	world_fini(&w);
}

static void refusals_keep_their_code_and_text(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	assert_int_equal(open_list(w.c, "nowhere", "pods"), KR_ERR_UNKNOWN_CLUSTER);
	assert_string_equal(kr_last_error(w.c), "no cluster \"nowhere\": see `kubering clusters`");
	assert_int_equal(open_list(w.c, "test", "nothings"), KR_ERR_UNKNOWN_RESOURCE);
	assert_int_equal(open_list(w.c, "test", "denied"), KR_ERR_DENIED);
	assert_int_equal(open_list(w.c, "test", "full"), KR_ERR_LIMIT);
	assert_int_equal(open_list(w.c, "test", "odd"), KR_ERR_DAEMON); /* no code of ours */
	assert_string_equal(kr_last_error(w.c), "an error code that does not exist");
	world_fini(&w);
}

static void specs_are_checked(void **state)
{
	(void)state;
	struct world w;
	struct kr_list *l;
	char text[5000];
	world_open(&w, 0);
	struct kr_list_spec good = {
	        .size = sizeof good, .cluster = "test", .version = "v1", .resource = "pods"};
	struct kr_list_spec s = good;
	memset(text, 'x', sizeof text);
	text[4096] = '\0';
	s.label_selector = text;
	text[4096] = 'x';
	text[4097] = '\0';
	assert_int_equal(kr_list_open(w.c, &s, &l), KR_ERR_ARGUMENT);
	text[4096] = '\0';
	s.field_selector = s.cluster = s.group = text; /* each fits, together they do not */
	assert_int_equal(kr_list_open(w.c, &s, &l), KR_ERR_ARGUMENT);
	s = good;
	s.cluster = NULL;
	assert_int_equal(kr_list_open(w.c, &s, &l), KR_ERR_ARGUMENT);
	s = good;
	s.version = "";
	assert_int_equal(kr_list_open(w.c, &s, &l), KR_ERR_ARGUMENT);
	s = good;
	s.size = 4;
	assert_int_equal(kr_list_open(w.c, &s, &l), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_open(w.c, NULL, &l), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_open(w.c, &good, NULL), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_open(NULL, &good, &l), KR_ERR_ARGUMENT);
	assert_int_equal(kr_list_open(w.c, &good, &l), KR_OK);
	kr_list_close(l);
	kr_list_close(NULL);
	fake_await_closes(w.d, 1); /* the daemon is told */
	world_fini(&w);
}

static void queries(void **state)
{
	(void)state;
	struct world w;
	char *json = NULL;
	size_t n = 0;
	world_open(&w, 0);
	assert_int_equal(kr_query(w.c, "status", &json, &n), KR_OK);
	assert_string_equal(json, "{\"kind\":1,\"cluster\":\"\",\"resource\":\"\"}");
	assert_int_equal(n, strlen(json));
	free(json);
	assert_int_equal(kr_query(w.c, "resolve my cluster deploy", &json, &n), KR_OK);
	assert_string_equal(
	        json, "{\"kind\":2,\"cluster\":\"my cluster\",\"resource\":\"deploy\"}");
	free(json);
	assert_int_equal(kr_query(w.c, "audit my cluster 12", &json, &n), KR_OK);
	assert_string_equal(json, "{\"kind\":4,\"cluster\":\"my cluster\",\"resource\":\"12\"}");
	free(json);
	static const char *const bad[] = {"", "statu", "doctor", "resolve", "resolve ", "resolve x",
	        "resolve x ", "resolve  x", "audit", "audit ", "audit x"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(kr_query(w.c, bad[i], &json, &n), KR_ERR_ARGUMENT);
		assert_null(json);
	}
	assert_int_equal(kr_query(w.c, NULL, &json, &n), KR_ERR_ARGUMENT);
	assert_int_equal(kr_query(NULL, "status", &json, &n), KR_ERR_ARGUMENT);
	assert_non_null(strstr(kr_last_error(w.c), "NULL"));
	world_fini(&w);
}

/* Whether the daemon is there, and whether a cluster answers it, are two things: scripts tell them
 * apart by exit codes. */
static void a_cluster_that_does_not_answer_is_no_missing_daemon(void **state)
{
	(void)state;
	struct world w;
	char *json = NULL;
	size_t n = 0;
	world_init(&w, 0);
	assert_int_equal(connect_to(w.path, 200000000, &w.c), KR_OK);
	fake_lie(w.d, FAKE_LIE_SILENT);
	assert_int_equal(kr_query(w.c, "resolve hangs pods", &json, &n), KR_TIMEOUT);
	assert_non_null(strstr(kr_last_error(w.c), "hangs pods"));
	assert_int_equal(kr_query(w.c, "status", &json, &n), KR_ERR_UNREACHABLE);
	fake_lie(w.d, FAKE_LIE_CLOSE);
	assert_int_equal(kr_query(w.c, "resolve hangs pods", &json, &n), KR_ERR_UNREACHABLE);
	world_fini(&w);
}

/* Documents for which nobody waits any more come with a descriptor each. */
static void late_answers_leave_no_descriptor(void **state)
{
	enum { LATE = 5 };
	(void)state;
	struct world w;
	char *json;
	size_t n;
	world_init(&w, 0);
	assert_int_equal(connect_to(w.path, 50000000, &w.c), KR_OK);
	unsigned before = 0;
	for (int i = 0; i < 2; i++) {
		fake_lock(w.d); /* its thread waits */
		for (int k = 0; k < i * LATE; k++)
			assert_int_equal(kr_query(w.c, "status", &json, &n), KR_ERR_UNREACHABLE);
		fake_unlock(w.d);
		while (kr_query(w.c, "status", &json, &n) != KR_OK)
			;
		free(json);
		fake_lock(w.d); /* it holds none that it sends just now */
		unsigned after = open_fds();
		fake_unlock(w.d);
		assert_true(i == 0 || after == before);
		before = after;
	}
	world_fini(&w);
}

/* Nothing is left open by a client that lived. */
static void no_descriptor_is_kept(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 0);
	world_sync(&w, "pods", 100);
	unsigned before = open_fds();
	for (int i = 0; i < 20; i++) {
		assert_int_equal(world_connect(&w), KR_OK);
		assert_true(kr_fd(w.c) >= 0);
		assert_int_equal(kr_fd(w.c), kr_fd(w.c));
		struct kr_view v;
		struct kr_object o;
		assert_int_equal(kr_view_begin(world_list(&w, "pods"), &v), KR_OK);
		while (kr_view_next(&v, &o) == KR_OK)
			;
		assert_int_equal(kr_view_end(&v), KR_OK);
		kr_close(w.c);
	}
	w.c = NULL;
	fake_await_consumers(w.d, 0);
	assert_int_equal(open_fds(), before);
	world_fini(&w);
}

/* A daemon that is busy for a while, and more to close than its queue holds: none is forgotten. */
static void many_closes_at_once(void **state)
{
	enum { LISTS = 600 };
	static struct kr_list *lists[LISTS];
	(void)state;
	struct world w;
	char *json;
	size_t n;
	world_open(&w, 0);
	for (int i = 0; i < LISTS; i++)
		lists[i] = world_list(&w, "pods");
	fake_lock(w.d); /* its thread waits */
	for (int i = 0; i < LISTS; i++)
		kr_list_close(lists[i]);
	fake_unlock(w.d);
	for (int i = 0; i < LISTS && fake_closes(w.d) < LISTS; i++) {
		assert_int_equal(kr_query(w.c, "status", &json, &n), KR_OK);
		free(json);
	}
	fake_await_closes(w.d, LISTS);
	world_fini(&w);
}

/* It ended before it could be told: its handles are nothing that the next one knows of. */
static void closes_that_a_dead_daemon_was_not_told_of(void **state)
{
	enum { LISTS = 600 };
	static struct kr_list *lists[LISTS];
	(void)state;
	struct world w;
	world_open(&w, 0);
	for (int i = 0; i < LISTS; i++)
		lists[i] = world_list(&w, "pods");
	fake_lock(w.d); /* its thread waits */
	for (int i = 0; i < LISTS; i++)
		kr_list_close(lists[i]);
	fake_unlock(w.d);
	fake_kill(w.d);
	fake_free(&w.d);
	world_daemon(&w);
	for (int i = 0; i < 3; i++)
		world_ask(&w);
	assert_int_equal(fake_closes(w.d), 0);
	world_fini(&w);
}

/* A child of the host may close what it inherited: the parent's lists stay. */
static void a_child_closes(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	int status;
	struct kr_list *l = world_pods(&w, 0, 3);
	assert_true(kr_fd(w.c) >= 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		kr_close(w.c);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	char *json;
	size_t n;
	assert_int_equal(
	        kr_query(w.c, "status", &json, &n), KR_OK); /* answered after what it said */
	free(json);
	assert_int_equal(fake_closes(w.d), 0);
	assert_int_equal(kr_get(l, "default", "n1", 0, &o), KR_OK);
	world_fini(&w);
}

/* KR_FOREVER is a time like any other. */
static void a_client_with_all_the_time(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 0);
	assert_int_equal(connect_to(w.path, KR_FOREVER, &w.c), KR_OK);
	assert_int_equal(open_list(w.c, "test", "pods"), KR_OK);
	world_fini(&w);
}

/* From here on no descriptor can be had, but for `more`. Returns the limit as it was. */
static struct rlimit no_descriptors(unsigned more)
{
	struct rlimit old, none;
	int next = 0;
	while (fcntl(next, F_GETFD) != -1 || more-- > 0)
		next++;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	return old;
}

/* A host that has used up its descriptors does not lose the daemon for it: what is mapped is read
 * on, what is not is told with the reason, and taken when there is room again. */
static void a_host_without_descriptors(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	struct kr_view v;
	struct kr_change ch;
	char *json;
	size_t n;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	world_sync(&w, "pods", 20000); /* more than a segment of blocks */
	struct rlimit old = no_descriptors(0);
	assert_int_equal(kr_get(l, "default", "n19999", 0, &o), KR_ERR_SYSTEM);
	assert_int_equal(errno, EMFILE);
	assert_non_null(strstr(kr_last_error(w.c), "limit of open files"));
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_RESET); /* of the sync: nobody went away */
	assert_int_equal(fake_consumers(w.d), 1);
	struct kr_list_status s = {.size = sizeof s};
	assert_int_equal(kr_list_status(l, &s), KR_OK);
	assert_int_equal(s.state, KR_LIST_LIVE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(kr_get(l, "default", "n19999", 0, &o), KR_OK);
	assert_string_equal(o.name, "n19999");
	assert_int_equal(kr_query(w.c, "status", &json, &n), KR_OK);
	free(json);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

static void connecting_without_descriptors(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 0);
	for (unsigned more = 1; more <= 3; more++) { /* socket, page, eventfd */
		int status;
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct kr_client *c;
			(void)no_descriptors(more);
			int r = connect_to(w.path, WORLD_LONG_NS, &c), why = errno;
			if (more == 3)
				_exit(r == KR_OK ? 0 : 1);
			bool told = strstr(kr_last_error(NULL), "limit of open files") != NULL;
			_exit(r == KR_ERR_SYSTEM && why == EMFILE && told ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
	world_fini(&w);
}

/* Not root and without $XDG_RUNTIME_DIR, as in a cron job or behind su: the daemon and its
 * consumers mean the same place. */
static void without_a_runtime_directory_it_is_that_of_the_user(void **state)
{
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct kr_client *c;
		char path[64];
		if (geteuid() == 0 && setresuid(65533, 65533, 65533) != 0)
			_exit(77);
		unsetenv("XDG_RUNTIME_DIR");
		unsetenv("KUBERING_SOCKET");
		snprintf(path, sizeof path, "/run/user/%u/kubering.sock", geteuid());
		bool system_wide = access("/run/kubering/kubering.sock", F_OK) == 0;
		_exit(system_wide || (kr_connect(&c, NULL) == KR_ERR_UNREACHABLE &&
		                             strstr(kr_last_error(NULL), path)));
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
		fail_msg("status %x", status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(no_daemon_is_told_with_what_to_do),
	        cmocka_unit_test(without_a_runtime_directory_it_is_that_of_the_user),
	        cmocka_unit_test(options_are_sized),
	        cmocka_unit_test(versions_and_words),
	        cmocka_unit_test(lies_about_the_client),
	        cmocka_unit_test(lies_about_segments),
	        cmocka_unit_test(openings_that_come_to_nothing_are_given_back),
	        cmocka_unit_test(an_eventfd_that_blocks),
	        cmocka_unit_test(refusals_keep_their_code_and_text),
	        cmocka_unit_test(specs_are_checked),
	        cmocka_unit_test(queries),
	        cmocka_unit_test(a_cluster_that_does_not_answer_is_no_missing_daemon),
	        cmocka_unit_test(late_answers_leave_no_descriptor),
	        cmocka_unit_test(no_descriptor_is_kept),
	        cmocka_unit_test(many_closes_at_once),
	        cmocka_unit_test(closes_that_a_dead_daemon_was_not_told_of),
	        cmocka_unit_test(a_child_closes),
	        cmocka_unit_test(a_client_with_all_the_time),
	        cmocka_unit_test(a_host_without_descriptors),
	        cmocka_unit_test(connecting_without_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
