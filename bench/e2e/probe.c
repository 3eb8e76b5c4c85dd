/* probe.c - the consumer in bench/run: a process with libkubering.
 *
 *   probe digest SOCKET CLUSTER RESOURCE HEX SECONDS
 *                  until the list has that digest; says how long that took
 *   probe digests SOCKET SECONDS
 *                  the same for each line "CLUSTER RESOURCE HEX" of its input
 *   probe latency SOCKET CLUSTERS RESOURCE COUNT SECONDS
 *                  follows COUNT changes; prints histograms (histogram.h)
 *   probe count SOCKET CLUSTERS RESOURCE
 *                  counts the changes until its input ends and none comes
 *   probe rates SOCKET CLUSTERS RESOURCE WINDOW_MS
 *                  changes per window of time until its input ends
 *   probe newest SOCKET CLUSTERS RESOURCE
 *                  when the daemon received the newest object
 *   probe hold SOCKET CLUSTER RESOURCE
 *                  reads every object once and stays until its input ends
 *
 * CLUSTERS is a name or a range of them, "fake-1..64". What follows prints "following" once it
 * does.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "kubering.h"

enum { LISTS_MAX = 1024, WINDOWS_MAX = 100000 };

struct probe {
	struct kr_client *c;
	struct kr_list *lists[LISTS_MAX];
	struct kr_view views[LISTS_MAX];
	struct kr_follow *follows[LISTS_MAX];
	size_t count;
};

static struct probe p;

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static int fail(const char *what, int r)
{
	fprintf(stderr, "probe: %s: %s (%s)\n", what, kr_strerror(r), kr_last_error(p.c));
	return 1;
}

/* --- lists ------------------------------------------------------------------------------------ */

static int open_list(const char *cluster, const char *resource, struct kr_list **l)
{
	return kr_list_open(p.c,
	        &(struct kr_list_spec){.size = sizeof(struct kr_list_spec),
	                .cluster = cluster,
	                .version = "v1",
	                .resource = resource},
	        l);
}

/* All are asked for before one is waited for. */
static int open_lists(const char *clusters, const char *resource)
{
	const char *dash = strrchr(clusters, '-'), *dots = dash ? strstr(dash, "..") : NULL;
	unsigned long first = dots ? strtoul(dash + 1, NULL, 10) : 0;
	unsigned long last = dots ? strtoul(dots + 2, NULL, 10) : 0;
	if (last < first || last - first >= LISTS_MAX)
		return KR_ERR_ARGUMENT;
	for (unsigned long i = first; i <= last; i++) {
		char name[128];
		if (dots)
			snprintf(name, sizeof name, "%.*s%lu", (int)(dash + 1 - clusters), clusters,
			        i);
		else
			snprintf(name, sizeof name, "%s", clusters);
		int r = open_list(name, resource, &p.lists[p.count]);
		if (r)
			return r;
		p.count++;
	}
	for (size_t i = 0; i < p.count; i++) {
		int r = kr_list_wait_live(p.lists[i], 600 * 1000000000ll);
		if (r)
			return r;
	}
	return 0;
}

static int follow_lists(void)
{
	for (size_t i = 0; i < p.count; i++) {
		int r = kr_view_begin(p.lists[i], &p.views[i]);
		if (r)
			return r;
		kr_view_end(&p.views[i]);
		p.follows[i] = &p.views[i].follow;
	}
	struct kr_change ch; /* a follow begins with the first question */
	size_t which;
	int r = kr_follow_any(p.follows, p.count, &which, &ch, 0);
	puts("following");
	fflush(stdout);
	return r == KR_TIMEOUT ? 0 : r;
}

static bool input_ended(void)
{
	char byte;
	struct pollfd in = {.fd = 0, .events = POLLIN};
	return poll(&in, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

/* --- digest, digests -------------------------------------------------------------------------- */

static int wait_digest(struct kr_list *l, uint64_t want, double seconds, struct kr_list_status *s)
{
	uint64_t give_up = now_ns() + (uint64_t)(seconds * 1e9);
	*s = (struct kr_list_status){.size = sizeof *s};
	for (;;) {
		int r = kr_list_status(l, s);
		if (r)
			return fail("status", r);
		if (s->whole && s->digest == want)
			return 0;
		if (now_ns() > give_up) {
			fprintf(stderr, "probe: digest %016" PRIx64 ", wanted %016" PRIx64 "\n",
			        s->digest, want);
			return 3;
		}
		nanosleep(&(struct timespec){0, 200000}, NULL);
	}
}

static int digest(char **argv)
{
	struct kr_list_status s;
	uint64_t began = now_ns();
	int r = wait_digest(p.lists[0], strtoull(argv[5], NULL, 16), strtod(argv[6], NULL), &s);
	if (!r)
		printf("elapsed_ns %" PRIu64 " objects %" PRIu64 " events %" PRIu64
		       " relists %" PRIu64 "\n",
		        now_ns() - began, s.objects, s.events, s.relists);
	return r;
}

static int digests(double seconds)
{
	char cluster[128], resource[64];
	uint64_t want;
	unsigned n = 0;
	for (; scanf("%127s %63s %" SCNx64, cluster, resource, &want) == 3; n++) {
		struct kr_list *l;
		struct kr_list_status s;
		int r = open_list(cluster, resource, &l);
		if (r)
			return fail(cluster, r);
		r = wait_digest(l, want, seconds, &s);
		if (r)
			return fprintf(stderr, "probe: %s %s differs\n", cluster, resource), r;
		kr_list_close(l);
	}
	printf("checked %u\n", n);
	return 0;
}

/* --- latency ---------------------------------------------------------------------------------- */

/* CLOCK_MONOTONIC in an annotation of fakekube: sent-ns is when the write was meant to happen,
 * wrote-ns when the event was given to the socket (older servers do not say). */
static uint64_t stamp_of(const struct kr_object *o, const char *key)
{
	const char *at = memmem(o->json, o->json_bytes, key, strlen(key));
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static struct histogram sent_h, wrote_h, to_daemon_h, from_daemon_h;

static void latency_add(const struct kr_object *o, uint64_t now, uint64_t sent)
{
	uint64_t wrote = stamp_of(o, "\"fakekube.io/wrote-ns\":\"");
	histogram_add(&sent_h, now > sent ? now - sent : 0);
	histogram_add(&to_daemon_h, o->recv_ns > sent ? o->recv_ns - sent : 0);
	histogram_add(&from_daemon_h, now > o->recv_ns ? now - o->recv_ns : 0);
	if (wrote)
		histogram_add(&wrote_h, now > wrote ? now - wrote : 0);
}

static int latency(size_t count, double seconds)
{
	uint64_t give_up = now_ns() + (uint64_t)(seconds * 1e9);
	size_t n = 0, warm = count / 10, which;
	struct kr_change ch;
	int r = follow_lists();
	if (r)
		return fail("follow", r);
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	while (n < count && now_ns() < give_up) {
		r = kr_follow_any(p.follows, p.count, &which, &ch, 100000000);
		uint64_t now = now_ns();
		if (r == KR_TIMEOUT)
			continue;
		if (r)
			return fail("follow", r);
		uint64_t sent = ch.type == KR_MODIFIED
		                        ? stamp_of(&ch.object, "\"fakekube.io/sent-ns\":\"")
		                        : 0;
		if (sent && n++ >= warm)
			latency_add(&ch.object, now, sent);
	}
	if (n < count)
		return fprintf(stderr, "probe: only %zu of %zu changes came\n", n, count), 3;
	printf("changes %zu cpu_ns %" PRIu64 "\n", n, clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	histogram_print(&sent_h, "sent");
	histogram_print(&to_daemon_h, "to_daemon");
	histogram_print(&from_daemon_h, "from_daemon");
	if (wrote_h.n > 0)
		histogram_print(&wrote_h, "wrote");
	return 0;
}

/* --- count, rates ----------------------------------------------------------------------------- */

static int count(void)
{
	uint64_t types[KR_RESET + 1] = {0}, from_relist = 0, overruns = 0;
	struct kr_change ch;
	size_t which;
	bool ended = false;
	int r = follow_lists();
	if (r)
		return fail("follow", r);
	for (;;) {
		r = kr_follow_any(p.follows, p.count, &which, &ch, 100000000);
		if (r == KR_TIMEOUT && ended)
			break;
		ended = ended || input_ended();
		if (r == KR_TIMEOUT)
			continue;
		if (r == KR_ERR_OVERRUN && ++overruns)
			break;
		if (r)
			return fail("follow", r);
		types[ch.type]++;
		from_relist += ch.type <= KR_DELETED && (ch.flags & KR_FROM_RELIST) != 0;
	}
	printf("added %" PRIu64 " modified %" PRIu64 " deleted %" PRIu64 " resets %" PRIu64
	       " from_relist %" PRIu64 " overruns %" PRIu64 "\n",
	        types[KR_ADDED], types[KR_MODIFIED], types[KR_DELETED], types[KR_RESET],
	        from_relist, overruns);
	return 0;
}

static int rates(uint64_t window_ns)
{
	static uint32_t windows[WINDOWS_MAX];
	struct kr_change ch;
	size_t which;
	int r = follow_lists();
	if (r)
		return fail("follow", r);
	uint64_t began = now_ns(), at = 0;
	for (unsigned turn = 0; turn % 64 != 0 || !input_ended(); turn++) {
		r = kr_follow_any(p.follows, p.count, &which, &ch, 1000000);
		if (r && r != KR_TIMEOUT)
			return fail("follow", r);
		at = (now_ns() - began) / window_ns;
		if (at >= WINDOWS_MAX)
			return fprintf(stderr, "probe: too many windows\n"), 1;
		windows[at] += r == KR_OK && ch.type <= KR_DELETED;
	}
	printf("windows %" PRIu64 " %" PRIu64, began, window_ns);
	for (uint64_t i = 0; i < at; i++) /* the last is not whole */
		printf(" %u", windows[i]);
	putchar('\n');
	return 0;
}

/* --- newest, hold ----------------------------------------------------------------------------- */

static int newest(void)
{
	uint64_t recv = 0, n = 0;
	for (size_t i = 0; i < p.count; i++) {
		struct kr_object o;
		int r = kr_view_begin(p.lists[i], &p.views[i]);
		for (; !r && (r = kr_view_next(&p.views[i], &o)) == KR_OK; n++)
			recv = o.recv_ns > recv ? o.recv_ns : recv;
		if (r != KR_END)
			return fail("view", r);
		kr_view_end(&p.views[i]);
	}
	printf("newest %" PRIu64 " objects %" PRIu64 "\n", recv, n);
	return 0;
}

static int hold(void)
{
	struct kr_view v;
	struct kr_object o;
	uint64_t n = 0, sum = 0;
	int r = kr_view_begin_flags(p.lists[0], &v, KR_BORROW);
	if (r)
		return fail("view", r);
	for (; kr_view_next(&v, &o) == KR_OK; n++)
		for (size_t i = 0; i < o.json_bytes; i += 64)
			sum += (unsigned char)o.json[i];
	kr_view_end(&v);
	kr_follow_end(&v.follow);
	printf("holding %" PRIu64 " sum %" PRIu64 "\n", n, sum);
	fflush(stdout);
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

static int work(int argc, char **argv)
{
	const char *mode = argv[1];
	if (strcmp(mode, "digest") == 0 && argc == 7)
		return digest(argv);
	if (strcmp(mode, "latency") == 0 && argc == 7)
		return latency(strtoull(argv[5], NULL, 10), strtod(argv[6], NULL));
	if (strcmp(mode, "count") == 0 && argc == 5)
		return count();
	if (strcmp(mode, "rates") == 0 && argc == 6)
		return rates(strtoull(argv[5], NULL, 10) * 1000000u);
	if (strcmp(mode, "newest") == 0 && argc == 5)
		return newest();
	if (strcmp(mode, "hold") == 0 && argc == 5)
		return hold();
	return fprintf(stderr, "usage: see the head of probe.c\n"), 2;
}

int main(int argc, char **argv)
{
	bool many = argc == 4 && strcmp(argv[1], "digests") == 0;
	if (argc < 5 && !many)
		return fprintf(stderr, "usage: see the head of probe.c\n"), 2;
	struct kr_options o = {.size = sizeof o,
	        .socket_path = argv[2],
	        .name = "probe",
	        .timeout_ns = 120 * 1000000000ll};
	int r = kr_connect(&p.c, &o);
	if (r)
		return fail("connect", r), 4;
	if (!many)
		r = open_lists(argv[3], argv[4]);
	int status = r ? fail("list", r) : many ? digests(strtod(argv[3], NULL)) : work(argc, argv);
	for (size_t i = 0; i < p.count; i++) {
		if (p.follows[i])
			kr_follow_end(p.follows[i]);
		kr_list_close(p.lists[i]);
	}
	kr_close(p.c);
	return status;
}
