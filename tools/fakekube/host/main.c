/* fakekube: N Kubernetes API servers behind one port, for tests and loads. See --help and
 * model/model_server.h. */
#include "host/command.h"
#include "host/control.h"
#include "host/kubeconfig.h"
#include "host/load.h"
#include "host/options.h"
#include "host/serve.h"
#include "host/tls.h"
#include "host/upstream.h"
#include "model/model_blast.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS    1000000000ull
#define IDLE_WAIT_NS SECOND_NS
#define SPARE_FDS    64 /* listeners, control, the standard ones, what libraries open */

/* Everything that main owns, in the order in which it is made. */
struct fakekube {
	struct options options;
	struct model_server model;
	struct model_backend *backend;
	struct tls_server tls;
	struct load load;
	struct serve serve;
	struct upstreams upstreams;
	struct command_target target;
	struct control control;
	struct serve_source signals;
	bool has_model, has_serve, has_control, blasted;
};

static void signals_on_ready(struct serve_source *src, uint32_t events)
{
	struct fakekube *f = CONTAINER_OF(src, struct fakekube, signals);
	struct signalfd_siginfo info;
	(void)events;
	if (read(src->fd, &info, sizeof info) == sizeof info)
		f->target.quit = true;
}

static bool watch_signals(struct fakekube *f)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	f->signals = (struct serve_source){
	        signals_on_ready, signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
	return f->signals.fd >= 0 && serve_watch(&f->serve, &f->signals);
}

/* Thousands of sockets: as many descriptors as we may have, and more with the right to. */
static uint64_t raise_limit(uint64_t wanted)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return UINT64_MAX;
	rlim_t max = r.rlim_max;
	r.rlim_cur = r.rlim_max = wanted > max ? (rlim_t)wanted : max;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0) {
		r.rlim_cur = r.rlim_max = max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	return r.rlim_cur;
}

/* False: not even one watch of each cluster could be served. */
static bool check_limit(uint32_t clusters)
{
	uint64_t one = clusters + SPARE_FDS, two = one + clusters, has = raise_limit(two);
	if (has < two)
		fprintf(stderr,
		        "fakekube: --clusters %u: %s watch%s of each take%s %llu descriptors, and "
		        "the "
		        "hard limit is %llu; raise it (ulimit -Hn)\n",
		        clusters, has < one ? "one" : "two", has < one ? "" : "es",
		        has < one ? "s" : "", (unsigned long long)(has < one ? one : two),
		        (unsigned long long)has);
	return has >= one;
}

static bool read_faults(struct fakekube *f)
{
	FILE *in = fopen(f->options.faults, "r");
	if (!in) {
		fprintf(stderr, "fakekube: --faults %s: %s\n", f->options.faults, strerror(errno));
		return false;
	}
	char line[1024];
	bool ok = true;
	for (unsigned n = 1; ok && fgets(line, sizeof line, in); n++) {
		struct model_fault rule;
		struct model_text error = {0};
		ok = model_fault_parse((struct span){line, strcspn(line, "\n")}, &rule, &error);
		if (ok && rule.id != MODEL_FAULT_COUNT &&
		        !model_fault_add(&f->model.faults, &rule)) {
			ok = false;
			model_text_printf(&error, "more than %d rules", MODEL_FAULTS_MAX);
		}
		if (!ok)
			fprintf(stderr, "fakekube: %s, line %u: %.*s\n", f->options.faults, n,
			        (int)error.n, error.p);
		model_text_fini(&error);
	}
	fclose(in);
	return ok;
}

/* The backend's kubeconfig is the one that is written, a context for each cluster; or what
 * --upstream says. */
static bool init_backend(struct fakekube *f)
{
	const struct options *o = &f->options;
	f->backend = model_backend_new(&f->model,
	        &(struct model_backend_options){.token = o->headlamp_token, .check_host = true});
	char address[64];
	snprintf(address, sizeof address, "%s:%u", o->bind, serve_port(&f->serve));
	upstreams_init(&f->upstreams, &f->serve);
	for (uint32_t i = 0; i < o->upstream_count; i++)
		if (!upstreams_add(&f->upstreams, f->backend, o->upstreams[i]))
			return false;
	for (size_t i = 0; i < f->model.cluster_count && !o->upstream_count; i++) {
		struct model_cluster *c = f->model.clusters[i];
		char server[320];
		snprintf(server, sizeof server, "%s://%s/clusters/%s", o->tls ? "https" : "http",
		        address, c->name);
		model_backend_add_cluster(f->backend, c,
		        &(struct model_context_options){.server = server,
		                .address = address,
		                .token = o->client_cert ? NULL : o->token,
		                .user = o->client_cert ? "admin" : NULL});
	}
	if (!serve_backend(&f->serve, f->backend, o->headlamp_port))
		return false;
	model_backend_set_port(f->backend, f->serve.front_port);
	return true;
}

static bool init(struct fakekube *f)
{
	struct options *o = &f->options;
	uint64_t now = serve_clock_ns();
	struct model_server_options mo = {.seed = o->seed,
	        .stamp = !o->no_stamp,
	        .stamp_writes = o->stamp_writes,
	        .no_watchlist = o->no_watchlist,
	        .no_watchlist_gzip = o->no_watchlist_gzip,
	        .wall_s = (int64_t)time(NULL) - (int64_t)(now / SECOND_NS)};
	model_server_init(&f->model, &mo);
	f->has_model = true;
	if (o->token && !model_server_add_token(&f->model, o->token, "admin")) {
		fprintf(stderr, "fakekube: --token: at most 127 bytes, and not empty\n");
		return false;
	}
	if (o->client_cert &&
	        !o->token) /* any token will do: without one, everybody would be let in */
		model_server_add_token(
		        &f->model, "unused-since-a-client-certificate-is-asked-for", "nobody");
	if (!load_init(&f->load, &f->model, o, now) ||
	        (o->profile && !load_read_profile(&f->load, o->profile)))
		return false;
	if ((o->faults && !read_faults(f)) || (o->tls && !tls_server_init(&f->tls, o->bind)))
		return false;
	if (!serve_init(&f->serve, &f->model, f->tls.ctx, o->bind, o->port))
		return false;
	f->has_serve = true;
	if (o->own_records)
		serve_own_records(&f->serve);
	if (o->headlamp && !init_backend(f))
		return false;
	f->target = (struct command_target){&f->serve, &f->load, &f->model, f->backend, false};
	if (o->control && !control_init(&f->control, &f->target, o->control))
		return false;
	f->has_control = o->control != NULL;
	return watch_signals(f) && kubeconfig_write(o, &f->model, &f->tls, serve_port(&f->serve));
}

static void fini(struct fakekube *f)
{
	if (f->has_control)
		control_fini(&f->control);
	if (f->has_serve)
		serve_fini(&f->serve);
	upstreams_fini(&f->upstreams);
	model_backend_free(&f->backend);
	load_fini(&f->load);
	tls_server_fini(&f->tls);
	if (f->has_model)
		model_server_fini(&f->model);
}

static void run_command(void *arg, const char *command)
{
	struct fakekube *f = arg;
	struct model_text out = {0};
	command_run(&f->target, span_of(command), &out);
	if (span_starts(model_text_as_span(&out), SPAN("error")))
		fprintf(stderr, "fakekube: profile: %s: %.*s\n", command, (int)out.n, out.p);
	model_text_fini(&out);
}

/* --preload: as soon as somebody watches. */
static void preload(struct fakekube *f, uint64_t now_ns)
{
	if (f->blasted || !f->options.preload || f->model.watches == 0 || f->load.work_count == 0)
		return;
	struct model_blast_result r;
	f->blasted = true;
	if (!model_blast(f->load.works[0].cluster, f->load.works[0].kind, f->options.preload,
	            now_ns, 0, &r))
		fprintf(stderr,
		        "fakekube: --preload: the first resource of fake-1 has no objects\n");
}

static void loop(struct fakekube *f)
{
	uint64_t start = serve_clock_ns();
	uint64_t end =
	        f->options.duration_s ? start + f->options.duration_s * SECOND_NS : UINT64_MAX;
	while (!f->target.quit) {
		uint64_t now = serve_clock_ns();
		if (now >= end)
			return;
		preload(f, now);
		uint64_t next = load_turn(&f->load, now, run_command, f);
		if (next > end)
			next = end;
		f->serve.now_ns = now;
		serve_flush_ready(&f->serve);
		serve_turn(&f->serve, next < now + IDLE_WAIT_NS ? next : now + IDLE_WAIT_NS);
		upstreams_bury(&f->upstreams);
		if (f->has_control)
			control_turn(&f->control);
	}
}

int main(int argc, char **argv)
{
	static struct fakekube f; /* some 50 KB */
	int e = options_parse(&f.options, argc, argv);
	if (e)
		return e - 1;
	if (!check_limit(f.options.clusters))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	bool ok = init(&f);
	if (ok) {
		printf("ready port=%u", serve_port(&f.serve));
		if (f.backend)
			printf(" headlamp=%u", f.serve.front_port);
		printf("\n");
		fflush(stdout);
		loop(&f);
		if (!f.options.quiet)
			fprintf(stderr,
			        "fakekube: %llu connections, %llu requests, %llu events, %llu "
			        "bytes\n",
			        (unsigned long long)f.serve.accepted,
			        (unsigned long long)f.model.requests,
			        (unsigned long long)f.model.events,
			        (unsigned long long)f.model.bytes);
	}
	fini(&f);
	return ok ? 0 : 1;
}
