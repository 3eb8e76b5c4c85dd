/* reload.c - asks the daemon to read its configuration again, and waits for what comes of it. The
 * asking is a signal: the kernel sees to it that only the daemon's user and root may. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "include/kubering.h"
#include "kubering/commands.h"
#include "kubering/print/json.h"
#include "kubering/report.h"
#include "kubering/say.h"
#include "kubering/source.h"
#include "kubering/text.h"

#define RELOAD_WAIT_NS 30000000000ll
#define RELOAD_LOOK_NS 20000000

static int64_t count_of(struct json_node configuration)
{
	return json_dom_int(json_dom_get(configuration, "reloads"), -1);
}

static int print_result(const struct args *a, struct json_node configuration)
{
	struct span error = json_dom_string(json_dom_get(configuration, "error")),
	            warning = json_dom_string(json_dom_get(configuration, "warning")),
	            restart = json_dom_string(json_dom_get(configuration, "needs_restart"));
	if (a->output == OUTPUT_JSON) {
		struct text t = {0};
		json_add_node(&t, configuration);
		puts(text_cstr(&t));
		text_fini(&t);
	}
	if (error.n > 0) {
		say_error("nothing has changed: %.*s", SPAN_ARG(error));
		return CODE_FAILED;
	}
	if (warning.n > 0)
		say_warning("%.*s", SPAN_ARG(warning));
	if (restart.n > 0)
		say_warning("these take effect at the next start: %.*s", SPAN_ARG(restart));
	if (a->output != OUTPUT_JSON)
		printf("reloaded: %" PRId64 " clusters added, %" PRId64 " removed, %" PRId64
		       " changed\n",
		        json_dom_int(json_dom_get(configuration, "added"), 0),
		        json_dom_int(json_dom_get(configuration, "removed"), 0),
		        json_dom_int(json_dom_get(configuration, "changed"), 0));
	return CODE_OK;
}

/* The daemon may live in another PID namespace (a container), where its number is another process's
 * here: that one must not get the signal. */
static bool is_daemon(int64_t pid)
{
	char path[64], name[32] = "";
	snprintf(path, sizeof path, "/proc/%" PRId64 "/comm", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	bool read = fgets(name, sizeof name, f) != NULL;
	fclose(f);
	return read && strcmp(name, "kuberingd\n") == 0;
}

static int await(const struct args *a, int64_t before)
{
	int64_t wait = a->timeout_ns >= 0 ? a->timeout_ns : RELOAD_WAIT_NS;
	int64_t start = source_clock_ns();
	for (;;) {
		struct json_dom *dom = text_need(json_dom_new());
		struct json_node root;
		int code = report_status(a, dom, &root, NULL);
		struct json_node now = json_dom_get(root, "configuration");
		bool done = code != CODE_OK || count_of(now) > before;
		if (done && code == CODE_OK)
			code = print_result(a, now);
		json_dom_free(&dom);
		if (done)
			return code;
		if (wait != KR_FOREVER && source_clock_ns() - start >= wait) {
			say_error("timed out: the daemon has not read its configuration yet");
			return CODE_TIMED_OUT;
		}
		(void)nanosleep(&(struct timespec){0, RELOAD_LOOK_NS}, NULL);
	}
}

int command_reload(const struct args *a)
{
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node root;
	int code = report_status(a, dom, &root, NULL);
	int64_t pid = 0, before = -1;
	if (code == CODE_OK) {
		pid = json_dom_int(json_dom_get(root, "pid"), 0);
		before = count_of(json_dom_get(root, "configuration"));
	}
	json_dom_free(&dom);
	if (code != CODE_OK)
		return code;
	if (pid <= 1 || before < 0) {
		say_error("this daemon cannot reload: restart it");
		return CODE_FAILED;
	}
	if (!is_daemon(pid)) {
		say_error(
		        "process %" PRId64
		        ", which the daemon says that it is, is no kuberingd here: does it run in "
		        "a container? Send SIGHUP to it there",
		        pid);
		return CODE_FAILED;
	}
	if (kill((pid_t)pid, SIGHUP) != 0) {
		say_error("cannot signal kuberingd (pid %" PRId64
		          "): %s: be its user or root, or systemctl reload kuberingd",
		        pid, strerror(errno));
		return CODE_FAILED;
	}
	return await(a, before);
}
