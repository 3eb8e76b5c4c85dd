/* The examples of engine/client/examples do what their first lines say, as programs of their own.
 */
#include "client_world.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { WORDS_MAX = 6 };

struct program {
	pid_t pid;
	int in, out;
	char text[1 << 16];
	size_t bytes;
};

/* The example with cluster "test" and these words behind it, NULL at their end. */
static void start(struct program *p, const char *example, const char *const *words)
{
	char path[4096];
	const char *argv[WORDS_MAX + 3] = {path, "test"};
	int in[2], out[2];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
	assert_true(n > 0);
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "kubering-example-");
	strcat(path, example);
	for (int i = 0; words[i]; i++)
		argv[2 + i] = words[i];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execv(path, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	p->in = in[1];
	p->out = out[0];
	p->bytes = 0;
	p->text[0] = '\0';
}

#define START(p, example, ...) start(p, example, (const char *const[]){__VA_ARGS__, NULL})

/* Reads what it prints until word is in it, or to its end (NULL). */
static void read_until(struct program *p, const char *word)
{
	while (!word || !strstr(p->text, word)) {
		struct pollfd f = {.fd = p->out, .events = POLLIN};
		assert_int_equal(poll(&f, 1, (int)(WORLD_LONG_NS / 1000000)), 1);
		ssize_t n = read(p->out, p->text + p->bytes, sizeof p->text - 1 - p->bytes);
		assert_true(n >= 0);
		if (n == 0) {
			if (word)
				fail_msg("no \"%s\" in: %s", word, p->text);
			return;
		}
		p->bytes += (size_t)n;
		p->text[p->bytes] = '\0';
	}
}

static int end(struct program *p)
{
	int status = 0;
	close(p->in); /* some end with it */
	read_until(p, NULL);
	close(p->out);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A daemon that the examples find; the test itself attaches to none. */
static void init(struct world *w)
{
	world_init(w, 0);
	assert_int_equal(setenv("KUBERING_SOCKET", w->path, 1), 0);
}

static void list_prints_the_list(void **state)
{
	(void)state;
	struct world w;
	static struct program p;
	init(&w);
	world_sync(&w, "pods", 3);
	START(&p, "list", "pods");
	assert_int_equal(end(&p), 0);
	assert_non_null(strstr(p.text, "default/n0 1 200 bytes\n"));
	assert_non_null(strstr(p.text, "default/n2 1 200 bytes\n"));
	assert_non_null(strstr(p.text, "3 objects at version 100\n"));
	START(&p, "list", "denied");
	assert_int_equal(end(&p), 1);
	assert_string_equal(p.text, "open: user 0 may not read \"denied\"\n");
	world_fini(&w);
	START(&p, "list", "pods");
	assert_int_equal(end(&p), 1);
	assert_non_null(strstr(p.text, "connect: no kuberingd at "));
}

static void follow_prints_changes(void **state)
{
	(void)state;
	struct world w;
	static struct program p;
	init(&w);
	world_sync(&w, "pods", 3);
	START(&p, "follow", "pods", "3");
	read_until(&p, "list of 3 objects at 100\n");
	world_put(&w, "pods", "n1", 101);
	read_until(
	        &p, "modified default/n1 {\"metadata\":{\"resourceVersion\":\"101\"},\"spec\":\"");
	world_put(&w, "pods", "n9", 102);
	world_delete(&w, "pods", "n0", 103);
	assert_int_equal(end(&p), 0);
	assert_non_null(strstr(p.text, "added default/n9\ndeleted default/n0\n"));
	world_fini(&w);
}

static void get_prints_the_object(void **state)
{
	(void)state;
	struct world w;
	static struct program p;
	init(&w);
	fake_lock(w.d);
	fake_sync(fake_list_in(w.d, "test", "pods", "default"), 0, 3, 1, 100);
	fake_unlock(w.d);
	START(&p, "get", "v1", "pods", "default", "n1");
	assert_int_equal(end(&p), 0);
	assert_non_null(strstr(p.text, "\"name\":\"n1\""));
	assert_int_equal(p.bytes, 200 + 1);
	START(&p, "get", "v1", "pods", "default", "n3");
	assert_int_equal(end(&p), 1);
	assert_string_equal(p.text, "get: default/n3 is not in the list\n");
	world_fini(&w);
}

/* It is there before the lists are, and goes on through a daemon that is replaced. */
static void poll_shows_several_lists(void **state)
{
	(void)state;
	struct world w;
	static struct program p;
	init(&w);
	START(&p, "poll", "pods", "nodes");
	read_until(&p, "pods: 0 objects, idle\nnodes: 0 objects, idle\n");
	world_sync(&w, "pods", 3);
	read_until(&p, "pods: 3 objects, live\n");
	world_sync(&w, "nodes", 2);
	read_until(&p, "nodes: 2 objects, live\n");
	world_put(&w, "pods", "n7", 101);
	read_until(&p, "pods: 4 objects, live\n");
	world_delete(&w, "nodes", "n0", 101);
	read_until(&p, "nodes: 1 objects, live\n");
	fake_free(&w.d);
	read_until(&p, "objects, stale: kuberingd at ");
	world_daemon(&w);
	world_sync(&w, "pods", 5);
	world_sync(&w, "nodes", 6);
	read_until(&p, "pods: 5 objects, live\n");
	read_until(&p, "nodes: 6 objects, live\n");
	assert_int_equal(end(&p), 0);
	world_fini(&w);
}

static void workers_act_on_each_name(void **state)
{
	(void)state;
	struct world w;
	static struct program p;
	init(&w);
	world_sync(&w, "pods", 2);
	START(&p, "workers", "pods");
	read_until(&p, "default/n0 is at 1\n");
	read_until(&p, "default/n1 is at 1\n");
	world_put(&w, "pods", "n1", 101);
	read_until(&p, "default/n1 is at 101\n");
	world_delete(&w, "pods", "n0", 102);
	read_until(&p, "default/n0 is gone\n");
	assert_int_equal(end(&p), 0);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(list_prints_the_list),
	        cmocka_unit_test(follow_prints_changes),
	        cmocka_unit_test(get_prints_the_object),
	        cmocka_unit_test(poll_shows_several_lists),
	        cmocka_unit_test(workers_act_on_each_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
