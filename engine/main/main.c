/* main.c - kuberingd: read the configuration, start a reactor per core and the control thread, stop
 * in order. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "config/arena.h"
#include "config/config.h"
#include "config/config_list.h"
#include "control/control.h"
#include "io/io.h"
#include "main/memory.h"
#include "main/notify.h"
#include "main/options.h"
#include "reactor/reactor.h"

enum {
	MAIN_REACTORS_MAX = 64,
	MAIN_SOCKETS_MAX = 32768,
	MAIN_OTHER_FILES = 1024,
	MAIN_FILES_OF_REACTOR = 16, /* ring, eventfd, the segments of a shard or two */
	MAIN_CHECK_BYTES = 1 << 20
};

/* For jemalloc: what was freed goes back to the system soon, also when nobody allocates any more,
 * as in a daemon whose 20,000 first lists are done. */
extern const char *malloc_conf;
const char *malloc_conf = "background_thread:true,dirty_decay_ms:2000";

/* One reactor and its thread. io is made on that thread: a ring belongs to one. */
struct worker {
	pthread_t thread;
	struct reactor *reactor;
	struct io *io;
	enum io_kind kind;
	unsigned batch_wait_us;
	uint32_t reactors; /* how many there are */
	uint64_t memory_bytes_max;
	struct errmsg why;
	err_t err;
	pthread_barrier_t *ready;
};

static struct control *running; /* for the signal handler only */

static void on_signal(int sig)
{
	if (running && sig == SIGHUP)
		control_reload(running);
	else if (running)
		control_stop(running);
}

/* A SIGHUP that comes while we start would end us. It waits until there is something to reload; the
 * reactors, which are started in between, leave it to the control thread. */
static void hold_reload(sigset_t *before)
{
	sigset_t hup;
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	CHECK(pthread_sigmask(SIG_BLOCK, &hup, before) == 0);
}

/* before: the signal mask that main found. */
static void catch_signals(const sigset_t *before)
{
	struct sigaction ours = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGTERM, &ours, NULL);
	sigaction(SIGINT, &ours, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ours, NULL);
	CHECK(pthread_sigmask(SIG_SETMASK, before, NULL) == 0);
}

/* --- configuration ----------------------------------------------------------------------- */

/* Those that were counted and not kept. text holds 80 bytes. */
static bool say_more(const struct problem_list *l, char *text)
{
	size_t more = l->errors + l->warnings - l->count;
	snprintf(text, 80, "and %zu more problems; mend these first, then --check again", more);
	return more > 0;
}

static void print_problems(const struct problem_list *l)
{
	char buf[PROBLEM_TEXT_BYTES + 512];
	for (size_t i = 0; i < l->count; i++)
		fprintf(stderr, "kuberingd: %s: %s\n",
		        l->rows[i].level == PROBLEM_LEVEL_ERROR ? "error" : "warning",
		        problem_format(&l->rows[i], buf, sizeof buf));
	if (say_more(l, buf))
		fprintf(stderr, "kuberingd: %s\n", buf);
}

static void options_for_config(const struct options *o, struct config_options *out)
{
	*out = (struct config_options){.settings_file = o->config,
	        .kubeconfig = o->kubeconfig,
	        .contexts = o->contexts,
	        .context_count = o->context_count,
	        .env = {.uid = geteuid(), .runtime_dir = getenv("XDG_RUNTIME_DIR")}};
	kubeconfig_source_from_env(&out->source);
}

/* The lists of the command line; says what is wrong with the first that is. */
static err_t add_lists(struct settings *s, const struct options *o, struct errmsg *m)
{
	err_t err = ERR_OK;
	for (size_t i = 0; !err && i < o->list_count; i++)
		err = config_list_add(s, o->lists[i], m);
	return err;
}

static int check(const struct options *o)
{
	struct problem_list problems;
	struct config_options co;
	options_for_config(o, &co);
	problem_list_init(&problems);
	err_t err = config_check(&co, getenv("PATH"), (int64_t)time(NULL), &problems);
	print_problems(&problems);
	problem_list_fini(&problems);
	struct settings scratch = {0};
	arena_init(&scratch.arena, MAIN_CHECK_BYTES);
	struct errmsg m = {0};
	if (!err && (err = add_lists(&scratch, o, &m)))
		fprintf(stderr, "kuberingd: %s\n", m.text);
	arena_fini(&scratch.arena);
	if (!err)
		puts("kuberingd: the configuration is good");
	return err ? 1 : 0;
}

/* That it may run on: taskset and AllowedCPUs= leave it fewer than there are. */
static uint64_t cores(void)
{
	cpu_set_t ours;
	if (sched_getaffinity(0, sizeof ours, &ours) == 0)
		return (uint64_t)CPU_COUNT(&ours);
	return (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

/* The command line wins over the file. */
static void override(struct settings *s, const struct options *o)
{
	if (o->socket)
		s->socket = o->socket;
	if (o->reactors)
		s->reactors = o->reactors;
	if (o->io)
		s->io = o->io[0] == 'a'   ? SETTINGS_IO_AUTO
		        : o->io[0] == 'u' ? SETTINGS_IO_URING
		                          : SETTINGS_IO_EPOLL;
	if (o->log_format)
		s->log_format = o->log_format[0] == 'j' ? SETTINGS_LOG_JSON : SETTINGS_LOG_LOGFMT;
	if (!s->reactors)
		s->reactors = cores();
	if (s->reactors > MAIN_REACTORS_MAX)
		s->reactors = MAIN_REACTORS_MAX;
}

/* What the command line adds. */
static err_t complete(struct config *config, const struct options *o, struct errmsg *m)
{
	struct settings *s = config->settings;
	err_t err = add_lists(s, o, m);
	_Static_assert(
	        (int)SETTINGS_REALMS_MAX == (int)REACTOR_REALMS_MAX, "settings.c is the judge");
	if (!err)
		override(s, o);
	return err;
}

static err_t load(const struct options *o, struct problem_list *problems, struct config **out,
        struct errmsg *m)
{
	struct config_options co;
	options_for_config(o, &co);
	err_t err = config_load(&co, problems, out);
	if (err)
		return problem_result(problems, m);
	err = complete(*out, o, m);
	if (err)
		config_free(out);
	return err;
}

static struct config *load_first(const struct options *o)
{
	struct problem_list problems;
	struct config *config = NULL;
	struct errmsg m = {0};
	problem_list_init(&problems);
	err_t err = load(o, &problems, &config, &m);
	print_problems(&problems);
	if (err && !problems.errors)
		fprintf(stderr, "kuberingd: %s\n", m.text);
	problem_list_fini(&problems);
	if (!err)
		log_init((enum log_level)config->settings->log_level,
		        config->settings->log_format == SETTINGS_LOG_JSON);
	return config;
}

/* --- reload ------------------------------------------------------------------------------ */

static void log_problems(const struct problem_list *l)
{
	char buf[PROBLEM_TEXT_BYTES + 512];
	for (size_t i = 0; i < l->count; i++)
		log_line(l->rows[i].level == PROBLEM_LEVEL_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
		        "configuration", "problem", problem_format(&l->rows[i], buf, sizeof buf),
		        NULL);
	if (say_more(l, buf))
		log_line(LOG_LEVEL_WARN, "configuration", "problem", buf, NULL);
}

/* On the control thread. */
static err_t load_again(void *arg, struct config **out, struct errmsg *m)
{
	struct problem_list problems;
	notify_reloading();
	problem_list_init(&problems);
	err_t err = load(arg, &problems, out, m);
	log_problems(&problems);
	problem_list_fini(&problems);
	return err;
}

static void loaded(void *arg, const char *text)
{
	(void)arg;
	if (text)
		log_line(LOG_LEVEL_INFO, "configuration reloaded", "clusters", text, NULL);
	notify_ready();
}

/* --- reactors ---------------------------------------------------------------------------- */

/* Of RLIMIT_NOFILE so much is for the sockets of each of them, where they share it; a ring's table
 * is bounded by it too. What they leave is for consumers, plugins, files and shared memory: else
 * nobody could attach, not even to see why. */
static unsigned sockets_max(uint32_t reactors)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return MAIN_SOCKETS_MAX;
	rlim_t n = r.rlim_cur;
	rlim_t others = n / 4 < MAIN_OTHER_FILES ? n / 4 : MAIN_OTHER_FILES;
	others += MAIN_FILES_OF_REACTOR * reactors;
	n = n > others ? (n - others) / reactors : 1;
	return n < 1 ? 1 : n > MAIN_SOCKETS_MAX ? MAIN_SOCKETS_MAX : (unsigned)n;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct io_config c = {.kind = w->kind,
	        .sockets_max = sockets_max(1),
	        .descriptors_max = sockets_max(w->reactors),
	        .batch_wait_us = w->batch_wait_us,
	        .handlers = &reactor_io_handlers,
	        .owner = w->reactor};
	w->err = io_open(&c, &w->io, &w->why);
	if (!w->err)
		reactor_set_io(w->reactor, w->io);
	pthread_barrier_wait(w->ready);
	if (w->err)
		return NULL;
	pthread_barrier_wait(w->ready); /* control is there */
	reactor_run(w->reactor);
	io_close_all(&w->io);
	return NULL;
}

static uint64_t random_word(void)
{
	uint64_t v = 0;
	CHECK(getrandom(&v, sizeof v, 0) == sizeof v);
	return v;
}

/* Of the memory that the system lets us have three quarters are for what lists hold. The rest is
 * for connections, rings, and whatever else is counted against us. */
static uint64_t memory_for_lists(const struct settings_limits *l)
{
	if (l->memory_bytes)
		return l->memory_bytes;
	return memory_limit("/proc/self/cgroup", "/sys/fs/cgroup") / 4 * 3;
}

static err_t make_reactor(
        struct worker *w, uint32_t index, const struct control_config *cc, struct control *control)
{
	static atomic_ullong memory_bytes; /* of all reactors */
	const struct settings_limits *l = &cc->settings->limits;
	struct reactor_config c = {.index = index,
	        .count = cc->reactor_count,
	        .incarnation = {cc->incarnation[0], cc->incarnation[1]},
	        .seed = random_word(),
	        .ring_entries = (uint32_t)l->ring_entries,
	        .lists_max = (uint32_t)l->lists_max,
	        .shard_bytes_max = l->shard_bytes,
	        .memory_bytes = &memory_bytes,
	        .memory_bytes_max = w->memory_bytes_max,
	        .retained_bytes_max = l->retained_bytes,
	        .objects_max = l->objects_max,
	        .event_bytes_max = (uint32_t)l->event_bytes_max,
	        .user_agent = "kuberingd/" KR_VERSION " (linux)",
	        .note = control_note,
	        .note_arg = control};
	return reactor_new(&c, &w->reactor);
}

static void raise_limit(__rlimit_resource_t which)
{
	struct rlimit r;
	if (getrlimit(which, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(which, &r);
	}
}

/* Descriptors are the first limit that thousands of sockets meet; rings are locked memory. */
static void raise_limits(void)
{
	raise_limit(RLIMIT_NOFILE);
	raise_limit(RLIMIT_MEMLOCK);
}

/* Before a credential is read: a core would hold it, and other processes of the user could read it.
 */
static void keep_memory_private(void)
{
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Shared memory, answers and the log are files to the kernel: what goes over the limit of their
 * size is an error then, not the end. */
static void outlive_large_files(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGXFSZ, &ignore, NULL);
}

static void warn(const char *text)
{
	log_line(LOG_LEVEL_WARN, text, NULL);
}

/* Ten thousand lines that a cluster is not reached, or one that says why before. */
static void warn_of_limit(size_t clusters, const struct worker *w, uint32_t reactors)
{
	char text[256];
	size_t room = 0;
	for (uint32_t i = 0; i < reactors; i++)
		room += io_sockets_max(w[i].io);
	if (clusters <= room)
		return;
	snprintf(text, sizeof text,
	        "%zu clusters are configured, and this limit of open files has room for %zu "
	        "connections: raise LimitNOFILE of the unit (ulimit -n), or use more reactors",
	        clusters, room);
	warn(text);
}

/* Of all reactors the one whose io is told: where not all have a ring, one without, and why. */
static const struct worker *least(const struct worker *w, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (io_kind_of(w[i].io) != IO_KIND_URING)
			return &w[i];
	return w;
}

/* w: the one whose io is told. */
static void announce(
        const struct control_config *cc, const struct worker *w, const struct config *config)
{
	char clusters[32], reactors[32];
	const char *io = io_kind_name(io_kind_of(w->io)), *why = w->why.text;
	snprintf(clusters, sizeof clusters, "%zu", config->cluster_count);
	snprintf(reactors, sizeof reactors, "%u", cc->reactor_count);
	log_line(LOG_LEVEL_INFO, "ready", "version", KR_VERSION, "socket", cc->socket_path,
	        "clusters", clusters, "reactors", reactors, "io", io,
	        strcmp(why, io) != 0 ? "why" : NULL, why, NULL);
	if (!config->cluster_count && !config->backend_count)
		log_line(LOG_LEVEL_WARN,
		        "no cluster is configured: set KUBECONFIG, pass --kubeconfig, or name "
		        "clusters in kubering.yaml",
		        NULL);
}

static int failed(const char *what, const char *text)
{
	log_line(LOG_LEVEL_ERROR, what, "error", text, NULL);
	return 1;
}

static int serve(struct control_config *cc, struct worker *w, struct control *control,
        const sigset_t *before)
{
	pthread_barrier_t ready;
	struct reactor *reactors[MAIN_REACTORS_MAX];
	uint64_t memory = memory_for_lists(&cc->settings->limits);
	pthread_barrier_init(&ready, NULL, cc->reactor_count + 1);
	for (uint32_t i = 0; i < cc->reactor_count; i++) {
		w[i].ready = &ready;
		w[i].batch_wait_us = (unsigned)cc->settings->batch_wait_us;
		w[i].memory_bytes_max = memory;
		w[i].reactors = cc->reactor_count;
		w[i].kind = cc->settings->io == SETTINGS_IO_URING   ? IO_KIND_URING
		            : cc->settings->io == SETTINGS_IO_EPOLL ? IO_KIND_EPOLL
		                                                    : IO_KIND_AUTO;
		err_t err = make_reactor(&w[i], i, cc, control);
		if (err)
			return failed("a reactor cannot be made", err_text(err));
		int wrong = pthread_create(&w[i].thread, NULL, work, &w[i]);
		if (wrong)
			return failed("a reactor has no thread: raise the limit of tasks "
			              "(TasksMax=), or use fewer reactors",
			        strerror(wrong));
		reactors[i] = w[i].reactor;
	}
	pthread_barrier_wait(&ready);
	for (uint32_t i = 0; i < cc->reactor_count; i++)
		if (w[i].err)
			return failed("a reactor cannot start", w[i].why.text);
	control_set_reactors(control, reactors);
	const struct worker *told = least(w, cc->reactor_count);
	control_set_io(control, io_kind_of(told->io), told->why.text);
	pthread_barrier_wait(&ready);
	announce(cc, told, cc->config);
	warn_of_limit(cc->config->cluster_count, w, cc->reactor_count);
	running = control;
	catch_signals(before);
	notify_ready();
	control_run(control);
	notify_stopping();
	bool stopped = control_end(control);
	running = NULL;
	if (!stopped) {
		failed("a reactor does not stop", "kuberingd ends without it");
		_exit(1); /* what it holds, a lock perhaps, nobody may wait for */
	}
	for (uint32_t i = 0; i < cc->reactor_count; i++)
		pthread_join(w[i].thread, NULL);
	pthread_barrier_destroy(&ready);
	return 0;
}

static int daemon_main(struct config *config, struct options *options, const sigset_t *before)
{
	extern char **environ;
	static struct worker workers[MAIN_REACTORS_MAX];
	struct errmsg m = {0};
	struct control *control = NULL;
	struct control_config cc = {.socket_path = config->settings->socket,
	        .config = config,
	        .settings = config->settings,
	        .incarnation = {random_word(), random_word()},
	        .seed = random_word(),
	        .metrics_port = config->settings->metrics_port,
	        .environ = environ,
	        .reactor_count = (uint32_t)config->settings->reactors,
	        .warn = warn,
	        .load = load_again,
	        .loaded = loaded,
	        .load_arg = options};
	if (control_new(&cc, &control, &m))
		return failed("cannot start", m.text);
	int status = serve(&cc, workers, control, before);
	if (status)
		return status; /* threads may be waiting for each other: the process ends here */
	control_free(&control);
	for (uint32_t i = 0; i < cc.reactor_count; i++)
		reactor_free(&workers[i].reactor);
	log_line(LOG_LEVEL_INFO, "stopped", NULL);
	return 0;
}

/* Who starts us with one of these closed would find our first sockets there, and what we log in one
 * of them. */
static void fill_standard_streams(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	CHECK(control_wipe_freed());
	fill_standard_streams();
	static struct options options;
	int status = options_parse(argc, argv, &options);
	if (status >= 0)
		return status;
	if (options.check)
		return check(&options);
	keep_memory_private();
	outlive_large_files();
	sigset_t before;
	hold_reload(&before);
	struct config *config = load_first(&options);
	if (!config)
		return 1;
	raise_limits();
	status = daemon_main(config, &options, &before);
	if (status == 0)
		config_free(&config);
	return status;
}
