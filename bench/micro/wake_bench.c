/* wake_bench.c - what the machine allows on the way from a socket to a consumer: nothing is done
 * but waking.
 *
 *   wake_bench [-g GAP_US] [-n COUNT] [-b BYTES]
 *
 * Each GAP_US a thread on CPU 0 stamps a message and
 *   eventfd   writes an eventfd that a thread on CPU 1 sleeps on: one wake across CPUs;
 *   chain     sends BYTES (3632) over loopback TCP to a thread on CPU 1, which sleeps in epoll,
 * receives all, and writes an eventfd on which a thread on CPU 0 sleeps: socket to consumer with no
 * work. Printed are histograms (bench/e2e/histogram.h) of now - stamp, the first tenth left out.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../e2e/histogram.h"

enum { BYTES_MAX = 65536 };

struct wake {
	uint64_t gap_ns;
	size_t count, bytes;
	int from, to;             /* the socket's ends */
	int event;                /* what the last thread sleeps on */
	int cpu;                  /* of the last thread */
	_Atomic uint64_t *stamps; /* own; of each message: many may be on their way */
	struct histogram *h;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(size_t cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The last thread: sleeps, and takes the time when it runs. */
static void *consume(void *arg)
{
	struct wake *w = arg;
	pin((size_t)w->cpu);
	for (size_t i = 0; i < w->count; i++) {
		uint64_t v;
		if (read(w->event, &v, sizeof v) != sizeof v)
			die("eventfd");
		uint64_t now = now_ns();
		if (i >= w->count / 10)
			histogram_add(w->h, now - atomic_load(&w->stamps[i]));
	}
	return NULL;
}

/* The middle thread: from the socket to the eventfd. */
static void *relay(void *arg)
{
	struct wake *w = arg;
	static char buffer[BYTES_MAX];
	struct epoll_event e = {.events = EPOLLIN};
	int ep = epoll_create1(0);
	pin(1);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, w->to, &e) < 0)
		die("epoll");
	for (size_t i = 0; i < w->count; i++) {
		for (size_t had = 0; had < w->bytes;) {
			if (epoll_wait(ep, &e, 1, -1) < 1)
				continue;
			ssize_t n = recv(w->to, buffer, w->bytes - had, MSG_DONTWAIT);
			if (n <= 0)
				die("recv");
			had += (size_t)n;
		}
		if (write(w->event, &(uint64_t){1}, 8) != 8)
			die("eventfd");
	}
	close(ep);
	return NULL;
}

/* Open loop: the time of each message is fixed before. */
static void produce(struct wake *w)
{
	static const char message[BYTES_MAX];
	uint64_t next = now_ns() + 50000000;
	pin(0);
	for (size_t i = 0; i < w->count; i++, next += w->gap_ns) {
		struct timespec t = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		atomic_store(&w->stamps[i], now_ns());
		ssize_t n = w->from < 0 ? write(w->event, &(uint64_t){1}, 8)
		                        : send(w->from, message, w->bytes, MSG_NOSIGNAL);
		if (n <= 0)
			die("send");
	}
}

static void connect_pair(struct wake *w)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	w->from = socket(AF_INET, SOCK_STREAM, 0);
	if (l < 0 || w->from < 0 || bind(l, (void *)&a, n) < 0 || listen(l, 1) < 0 ||
	        getsockname(l, (void *)&a, &n) < 0 || connect(w->from, (void *)&a, n) < 0)
		die("socket");
	w->to = accept(l, NULL, NULL);
	if (w->to < 0 || setsockopt(w->from, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
		die("socket");
	close(l);
}

static void run(struct wake w, bool chain)
{
	pthread_t last, middle;
	w.event = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	w.h = calloc(1, sizeof *w.h);
	w.stamps = calloc(w.count, sizeof *w.stamps);
	w.from = w.to = -1;
	w.cpu = chain ? 0 : 1;
	if (w.event < 0 || !w.h || !w.stamps)
		die("eventfd");
	if (chain)
		connect_pair(&w);
	if (pthread_create(&last, NULL, consume, &w) ||
	        (chain && pthread_create(&middle, NULL, relay, &w)))
		die("thread");
	produce(&w);
	pthread_join(last, NULL);
	if (chain) {
		pthread_join(middle, NULL);
		close(w.from);
		close(w.to);
	}
	histogram_print(w.h, chain ? "chain" : "eventfd");
	close(w.event);
	free(w.stamps);
	free(w.h);
}

int main(int argc, char **argv)
{
	struct wake w = {.gap_ns = 5000000, .count = 1000, .bytes = 3632};
	for (int o; (o = getopt(argc, argv, "g:n:b:")) > 0;) {
		if (o == 'g')
			w.gap_ns = strtoull(optarg, NULL, 10) * 1000;
		else if (o == 'n')
			w.count = strtoull(optarg, NULL, 10);
		else if (o == 'b')
			w.bytes = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (w.gap_ns == 0 || w.count < 10 || w.bytes == 0 || w.bytes > BYTES_MAX)
		return fprintf(stderr, "usage: see the head of wake_bench.c\n"), 2;
	run(w, false);
	run(w, true);
	return 0;
}
