/* The examples of engine/client/examples do what their first lines say, as programs of their own.
 */
#include "client_world.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct program {
	pid_t pid;
	int out;
	char text[1 << 16];
	size_t bytes;
};

static void start(struct program *p, const char *example, const char *resource, const char *changes)
{
	char path[4096];
	int fds[2];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
	assert_true(n > 0);
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "kubering-example-");
	strcat(path, example);
	assert_int_equal(pipe(fds), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		execl(path, path, "test", resource, changes, NULL);
		_exit(127);
	}
	close(fds[1]);
	p->out = fds[0];
	p->bytes = 0;
	p->text[0] = '\0';
}

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
	read_until(p, NULL);
	close(p->out);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void list_prints_the_list(void **state)
{
	(void)state;
	struct world w;
	static struct program p;
	world_init(&w, 0);
	w.c = NULL;
	assert_int_equal(setenv("KUBERING_SOCKET", w.path, 1), 0);
	world_sync(&w, "pods", 3);
	start(&p, "list", "pods", NULL);
	assert_int_equal(end(&p), 0);
	assert_non_null(strstr(p.text, "default/n0 1 200 bytes\n"));
	assert_non_null(strstr(p.text, "default/n2 1 200 bytes\n"));
	assert_non_null(strstr(p.text, "3 objects at version 100\n"));
	start(&p, "list", "denied", NULL);
	assert_int_equal(end(&p), 1);
	assert_string_equal(p.text, "open: user 0 may not read \"denied\"\n");
	world_fini(&w);
	start(&p, "list", "pods", NULL);
	assert_int_equal(end(&p), 1);
	assert_non_null(strstr(p.text, "connect: no kuberingd at "));
}

static void follow_prints_changes(void **state)
{
	(void)state;
	struct world w;
	static struct program p;
	world_init(&w, 0);
	w.c = NULL;
	assert_int_equal(setenv("KUBERING_SOCKET", w.path, 1), 0);
	world_sync(&w, "pods", 3);
	start(&p, "follow", "pods", "3");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(list_prints_the_list),
	        cmocka_unit_test(follow_prints_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
