/* follow.c - kubering's part in bench/peers: one consumer that follows the Pods of all namespaces,
 * with the same commands as the peers have (bench/peers/README.md). The driver adds what the daemon
 * needs.
 *
 *   follow SOCKET MODE     MODE: borrow (objects read where they lie) or copy; then ",kept" keeps
 *                          managedFields
 */
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "kubering.h"

#define FOREVER_NS (600 * 1000000000ll)

static struct {
	struct kr_client *client;
	struct kr_list *list;
	struct kr_view view;
	bool following;
	unsigned flags;
	uint64_t began_ns, synced_ns, synced_cpu_ns, objects;
	uint64_t adds, updates, deletes, torn, overruns, latencies[1024];
} f;

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "follow: %s: %s (%s)\n", what, kr_strerror(r), kr_last_error(f.client));
	exit(1);
}

/* 16 buckets per power of two. */
static unsigned bucket(uint64_t v)
{
	if (v < 16)
		return (unsigned)v;
	unsigned e = 63 - (unsigned)__builtin_clzll(v);
	return (e - 3) * 16 + (unsigned)(v >> (e - 4) & 15);
}

static uint64_t lowest(unsigned b)
{
	return b < 16 ? b : (uint64_t)(16 + b % 16) << (b / 16 - 1);
}

static uint64_t stamp_of(const struct kr_object *o)
{
	static const char key[] = "\"fakekube.io/sent-ns\":\"";
	const char *p = memmem(o->json, o->json_bytes, key, sizeof key - 1);
	return p ? strtoull(p + sizeof key - 1, NULL, 10) : 0;
}

/* Reads every object once, as a handler is called once for each, and follows from there. */
static void take_view(void)
{
	struct kr_object o;
	int r;
	must(kr_view_begin_flags(f.list, &f.view, f.flags), "view");
	while ((r = kr_view_next(&f.view, &o)) == KR_OK) {
		if (!stamp_of(&o))
			must(KR_ERR_DAEMON, "an object without fakekube.io/sent-ns");
		f.adds++;
	}
	must(r == KR_END ? 0 : r, "view");
	must(kr_view_end(&f.view), "view");
	f.objects = f.view.count;
	f.following = true;
}

static void handle(const struct kr_change *c)
{
	uint64_t sent = 0, late = 0;
	if (c->type == KR_ADDED)
		f.adds++;
	else if (c->type == KR_DELETED)
		f.deletes++;
	if (c->type != KR_MODIFIED)
		return;
	sent = stamp_of(&c->object);
	late = now_ns();
	late = sent && late > sent ? late - sent : 0;
	if (f.flags & KR_BORROW && kr_change_check(&f.view.follow, c))
		f.torn++;
	f.latencies[bucket(late)]++;
	f.updates++;
}

/* Everything that is there; then the descriptor is armed again. */
static void follow(void)
{
	struct kr_change c;
	int r = 0;
	while (f.following && (r = kr_follow_next_flags(&f.view.follow, &c, 0, f.flags)) == KR_OK) {
		if (c.type == KR_RESET)
			must(KR_ERR_OVERRUN, "the set changed as a whole");
		handle(&c);
	}
	if (r == KR_ERR_OVERRUN) {
		f.overruns++;
		kr_follow_end(&f.view.follow);
		take_view();
	} else if (f.following && r != KR_TIMEOUT)
		must(r, "follow");
}

static void print_kib(const char *file, const char *field, const char *key)
{
	char line[256];
	unsigned long long n;
	FILE *in = fopen(file, "r");
	while (in && fgets(line, sizeof line, in))
		if (strncmp(line, field, strlen(field)) == 0 &&
		        sscanf(line + strlen(field), ": %llu", &n) == 1)
			printf(",\"%s\":%llu", key, n * 1024);
	if (in)
		fclose(in);
}

static void count(const char *phase, bool memory)
{
	struct kr_list_status s = {.size = sizeof s};
	must(kr_list_status(f.list, &s), "status");
	printf("{\"phase\":\"%s\",\"events\":%" PRIu64 ",\"adds\":%" PRIu64 ",\"updates\":%" PRIu64
	       ",\"deletes\":%" PRIu64 ",\"torn\":%" PRIu64 ",\"overruns\":%" PRIu64
	       ",\"lists\":%" PRIu64 ",\"cpu_ns\":%" PRIu64 ",\"content\":\"application/json\"",
	        phase, f.adds + f.updates + f.deletes, f.adds, f.updates, f.deletes, f.torn,
	        f.overruns, s.relists + 1, cpu_ns());
	if (memory) {
		print_kib("/proc/self/smaps_rollup", "Pss", "pss");
		print_kib("/proc/self/smaps_rollup", "Rss", "rss");
		print_kib("/proc/self/status", "VmHWM", "hwm");
	}
	puts("}");
}

static uint64_t fnv(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

static void digest(void)
{
	struct kr_view v;
	struct kr_object o;
	uint64_t sum = 0, n = 0;
	must(kr_view_begin(f.list, &v), "view");
	for (; kr_view_next(&v, &o) == KR_OK; n++) {
		uint64_t h = fnv(fnv(0xcbf29ce484222325u, o.namespace_), "/");
		sum += fnv(fnv(fnv(h, o.name), "/"), o.resource_version);
	}
	must(kr_view_end(&v), "view");
	kr_follow_end(&v.follow);
	printf("{\"phase\":\"digest\",\"objects\":%" PRIu64 ",\"digest\":\"%016" PRIx64 "\"}\n", n,
	        sum);
}

static void latency(void)
{
	static const struct {
		const char *name;
		double share;
	} asked[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"max_ns", 1}};
	uint64_t n = 0, sum = 0;
	unsigned b = 0;
	for (unsigned i = 0; i < 1024; i++)
		n += f.latencies[i];
	printf("{\"phase\":\"latency\",\"count\":%" PRIu64, n);
	for (unsigned i = 0; i < 4; i++) {
		while (n && (double)sum < asked[i].share * (double)n)
			sum += f.latencies[b++];
		printf(",\"%s\":%" PRIu64, asked[i].name, lowest(b ? b - 1 : 0));
	}
	puts("}");
	memset(f.latencies, 0, sizeof f.latencies);
}

static void answer(const char *word)
{
	if (strcmp(word, "synced") == 0)
		printf("{\"phase\":\"synced\",\"objects\":%" PRIu64 ",\"wall_ns\":%" PRIu64
		       ",\"cpu_ns\":%" PRIu64 "}\n",
		        f.objects, f.synced_ns, f.synced_cpu_ns);
	else if (strcmp(word, "count") == 0)
		count(word, false);
	else if (strcmp(word, "stat") == 0 || strcmp(word, "gc") == 0)
		count(word, true);
	else if (strcmp(word, "digest") == 0)
		digest();
	else if (strcmp(word, "latency") == 0)
		latency();
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[64];
	f.began_ns = now_ns();
	if (argc != 3)
		return fprintf(stderr, "usage: follow SOCKET MODE\n"), 2;
	f.flags = strncmp(argv[2], "borrow", 6) == 0 ? KR_BORROW : 0;
	struct kr_options o = {.size = sizeof o, .socket_path = argv[1], .name = "follow"};
	must(kr_connect(&f.client, &o), "connect");
	struct kr_list_spec spec = {.size = sizeof spec,
	        .cluster = "fake-1",
	        .version = "v1",
	        .resource = "pods",
	        .keep_managed_fields = strstr(argv[2], ",kept") != NULL};
	must(kr_list_open(f.client, &spec, &f.list), "list");
	must(kr_list_wait_live(f.list, FOREVER_NS), "list");
	take_view();
	f.synced_ns = now_ns() - f.began_ns;
	f.synced_cpu_ns = cpu_ns();
	setvbuf(stdin, NULL, _IONBF, 0); /* what poll says about it is true */
	struct pollfd fds[2] = {
	        {.fd = 0, .events = POLLIN}, {.fd = kr_fd(f.client), .events = POLLIN}};
	for (;;) {
		follow();
		if (poll(fds, 2, -1) < 0 || (fds[0].revents & (POLLIN | POLLHUP))) {
			if (!fgets(line, sizeof line, stdin))
				break;
			line[strcspn(line, "\n")] = 0;
			follow();
			answer(line);
		}
	}
	kr_follow_end(&f.view.follow);
	kr_list_close(f.list);
	kr_close(f.client);
	return 0;
}
