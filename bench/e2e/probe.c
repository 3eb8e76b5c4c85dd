/* probe.c - the consumer in bench/run: a process with libkubering that waits for a digest, measures
 * latency, or holds a list in memory.
 *
 *   probe digest  SOCKET CLUSTER RESOURCE HEX SECONDS     until the list has that digest; prints
 * how long that took probe latency SOCKET CLUSTER RESOURCE COUNT SECONDS   follows COUNT changes;
 * prints percentiles of now - the stamp inside the object probe hold    SOCKET CLUSTER RESOURCE
 * reads every object once, prints "holding N", and stays until its input ends
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kubering.h"

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int fail(const struct kr_client *c, const char *what, int r)
{
	fprintf(stderr, "probe: %s: %s (%s)\n", what, kr_strerror(r), kr_last_error(c));
	return 1;
}

static int wait_digest(struct kr_client *c, struct kr_list *l, uint64_t want, double seconds)
{
	uint64_t began = now_ns(), give_up = began + (uint64_t)(seconds * 1e9);
	struct kr_list_status s = {.size = sizeof s};
	for (;;) {
		int r = kr_list_status(l, &s);
		if (r)
			return fail(c, "status", r);
		if (s.whole && s.digest == want)
			break;
		if (now_ns() > give_up) {
			fprintf(stderr, "probe: digest %016llx, wanted %016llx\n",
			        (unsigned long long)s.digest, (unsigned long long)want);
			return 3;
		}
		struct timespec pause = {0, 200000};
		nanosleep(&pause, NULL);
	}
	printf("elapsed_ns %llu objects %llu events %llu relists %llu\n",
	        (unsigned long long)(now_ns() - began), (unsigned long long)s.objects,
	        (unsigned long long)s.events, (unsigned long long)s.relists);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* The stamp that fakekube puts into every object: CLOCK_MONOTONIC of the intended send time. */
static uint64_t stamp_of(const struct kr_object *o)
{
	static const char key[] = "\"fakekube.io/sent-ns\":\"";
	const char *p = memmem(o->json, o->json_bytes, key, sizeof key - 1);
	return p ? strtoull(p + sizeof key - 1, NULL, 10) : 0;
}

static int latency(struct kr_client *c, struct kr_list *l, size_t count, double seconds)
{
	uint64_t *total = calloc(count, sizeof *total), *socket = calloc(count, sizeof *socket);
	uint64_t give_up = now_ns() + (uint64_t)(seconds * 1e9);
	struct kr_view v;
	struct kr_change ch;
	size_t n = 0, warm = count / 10;
	int r = kr_view_begin(l, &v);
	if (r || !total || !socket)
		return fail(c, "view", r);
	kr_view_end(&v);
	puts("following");
	fflush(stdout);
	while (n < count && now_ns() < give_up) {
		r = kr_follow_next(&v.follow, &ch, 100000000);
		if (r == KR_TIMEOUT)
			continue;
		if (r)
			return fail(c, "follow", r);
		uint64_t sent = ch.type == KR_MODIFIED ? stamp_of(&ch.object) : 0;
		if (!sent)
			continue;
		total[n] = now_ns() - sent;
		socket[n++] = ch.object.recv_ns > sent ? ch.object.recv_ns - sent : 0;
	}
	kr_follow_end(&v.follow);
	if (n <= warm)
		return fprintf(stderr, "probe: only %zu changes came\n", n), 3;
	qsort(total + warm, n - warm, sizeof *total, by_value);
	qsort(socket + warm, n - warm, sizeof *socket, by_value);
	const uint64_t *t = total + warm, *s = socket + warm;
	size_t k = n - warm;
	printf("changes %zu p50_ns %llu p90_ns %llu p99_ns %llu max_ns %llu to_daemon_p50_ns %llu "
	       "to_daemon_p99_ns %llu\n",
	        k, (unsigned long long)t[k / 2], (unsigned long long)t[k * 9 / 10],
	        (unsigned long long)t[k * 99 / 100], (unsigned long long)t[k - 1],
	        (unsigned long long)s[k / 2], (unsigned long long)s[k * 99 / 100]);
	free(total);
	free(socket);
	return 0;
}

static int hold(struct kr_client *c, struct kr_list *l)
{
	struct kr_view v;
	struct kr_object o;
	uint64_t n = 0, sum = 0;
	int r = kr_view_begin_flags(l, &v, KR_BORROW);
	if (r)
		return fail(c, "view", r);
	for (; kr_view_next(&v, &o) == KR_OK; n++)
		for (size_t i = 0; i < o.json_bytes; i += 64)
			sum += (unsigned char)o.json[i];
	kr_view_end(&v);
	kr_follow_end(&v.follow);
	printf("holding %llu sum %llu\n", (unsigned long long)n, (unsigned long long)sum);
	fflush(stdout);
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct kr_client *c = NULL;
	struct kr_list *l = NULL;
	if (argc < 5)
		return fprintf(stderr, "usage: see the head of probe.c\n"), 2;
	struct kr_options o = {.size = sizeof o, .socket_path = argv[2], .name = "probe"};
	int r = kr_connect(&c, &o);
	if (r)
		return fail(NULL, "connect", r), 4;
	r = kr_list_open(c,
	        &(struct kr_list_spec){.size = sizeof(struct kr_list_spec),
	                .cluster = argv[3],
	                .version = "v1",
	                .resource = argv[4]},
	        &l);
	if (!r)
		r = kr_list_wait_live(l, 600 * 1000000000ll);
	if (r)
		return fail(c, "list", r);
	int status = 2;
	if (strcmp(argv[1], "digest") == 0 && argc == 7)
		status = wait_digest(c, l, strtoull(argv[5], NULL, 16), strtod(argv[6], NULL));
	else if (strcmp(argv[1], "latency") == 0 && argc == 7)
		status = latency(c, l, strtoull(argv[5], NULL, 10), strtod(argv[6], NULL));
	else if (strcmp(argv[1], "hold") == 0)
		status = hold(c, l);
	kr_list_close(l);
	kr_close(c);
	return status;
}
