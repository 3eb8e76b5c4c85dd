/* io_bench.c - what receiving through io.h costs, per 3632 bytes (one Pod event), on one core.
 *
 * A child process fills every socket while the receiver sits still, then the receiver takes it all;
 * the figure is the receiver's thread CPU time, so other programs on the machine disturb it little.
 * No parsing: the handler counts bytes.
 *
 *   io_bench [-n SOCKETS] [-k KIB] [-r ROUNDS] [-t TURNS] [-b BUFFERS] [-w BATCH_US] [LIMIT]
 *   io_bench -R EVENTS/S [-s SECONDS] ...      paced: one event per write, sockets in turn; the
 * figure is CPU per cent
 *
 * LIMIT is a program that measures the bare kernel in the same way (options -m -n -k -r -b -B -W,
 * prints "... N ns per 3632 B"); its figure is taken in turns with ours and the ratio of the best
 * ones is printed: only figures of one run can be compared. Needs CPUs 0 and 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "io/io.h"

enum { EVENT_BYTES = 3632, ROUNDS_MAX = 1000, WARM_UP = 2 };

struct options {
	unsigned sockets, kib, rounds, turns, buffers, batch_us, rate, seconds;
	const char *limit;
};
struct shared {
	_Atomic unsigned go, filled;
	_Atomic bool stop;
	_Atomic uint64_t sent;
};
struct bench {
	struct io *io;
	struct io_sock *socks;
	unsigned connected;
	uint64_t bytes;
};
struct figure {
	double median, best; /* ns per event */
	double cpu;          /* paced: per cent of a core */
	struct io_counters n;
	double per_enter;
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

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void nap(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* --- the other end --- */

static void fill(const int *fd, const struct options *o)
{
	static const char event[EVENT_BYTES];
	for (unsigned i = 0; i < o->sockets; i++) {
		size_t left = (size_t)o->kib * 1024;
		while (left > 0) { /* one event per write, as a server does */
			size_t n = left < sizeof event ? left : sizeof event;
			ssize_t r = send(fd[i], event, n, MSG_NOSIGNAL);
			if (r <= 0)
				die("send");
			left -= (size_t)r;
		}
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Open loop: the time of each event is fixed before. A receiver that is too slow shows as full
 * sockets (events dropped). */
static void pace(const int *fd, const struct options *o, struct shared *sh)
{
	static const char event[EVENT_BYTES];
	const uint64_t start = now_ns();
	for (uint64_t n = 0; !atomic_load_explicit(&sh->stop, memory_order_relaxed); n++) {
		while ((now_ns() - start) * o->rate < n * 1000000000u)
			;
		ssize_t r =
		        send(fd[n % o->sockets], event, sizeof event, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r > 0)
			atomic_fetch_add_explicit(&sh->sent, (uint64_t)r, memory_order_relaxed);
	}
}

static _Noreturn void serve(int listener, const struct options *o, struct shared *sh)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(1);
	int *fd = calloc(o->sockets, sizeof *fd);
	for (unsigned i = 0; i < o->sockets; i++) {
		/* Without it the kernel holds small writes back until the receiver's ACK, and so
		 * works while we measure. */
		int one = 1, room = 262144;
		if ((fd[i] = accept(listener, NULL, NULL)) < 0 ||
		        setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) ||
		        setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room))
			die("accept");
	}
	for (unsigned round = 0; !atomic_load(&sh->stop);) {
		if (atomic_load(&sh->go) == round) {
			nap(50);
			continue;
		}
		if (o->rate)
			pace(fd, o, sh);
		else
			fill(fd, o);
		atomic_store(&sh->filled, ++round);
	}
	exit(0);
}

/* --- the receiver --- */

static void on_connect(void *owner, struct io_sock *s, err_t err)
{
	(void)s;
	if (err != ERR_OK) {
		fprintf(stderr, "connect: %s\n", err_text(err));
		exit(1);
	}
	((struct bench *)owner)->connected++;
}
static void on_recv(void *owner, struct io_sock *s, char *data, size_t n)
{
	(void)s, (void)data;
	((struct bench *)owner)->bytes += n;
}
static void on_end(void *owner, struct io_sock *s, err_t err)
{
	(void)owner, (void)s;
	fprintf(stderr, "stream ended: %s\n", err_text(err));
	exit(1);
}
static void on_other(void *owner, struct io_sock *s)
{
	(void)owner, (void)s;
}
static void on_wake(void *owner)
{
	(void)owner;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void connect_all(struct bench *b, const struct options *o, const struct sockaddr_in *addr)
{
	for (unsigned i = 0; i < o->sockets; i++) {
		if (io_connect(b->io, &b->socks[i], (const struct sockaddr *)addr, sizeof *addr,
		            0) != ERR_OK)
			die("io_connect");
		while (b->connected + 256 < i)
			io_tick(b->io, io_clock_ns(b->io) + 1000000);
	}
	while (b->connected < o->sockets)
		io_tick(b->io, io_clock_ns(b->io) + 1000000);
	for (int i = 0; i < 10; i++)
		io_tick(b->io, 0);
}

static struct figure drain(struct bench *b, const struct options *o, struct shared *sh)
{
	static double ns[ROUNDS_MAX];
	struct figure f = {0};
	struct io_counters before = {0};
	const uint64_t total = (uint64_t)o->sockets * o->kib * 1024;
	for (unsigned r = 0; r < o->rounds + WARM_UP; r++) {
		atomic_store(&sh->go, r + 1);
		while (atomic_load(&sh->filled) <= r)
			nap(50);
		nap(2000);
		if (r == WARM_UP)
			io_counters(b->io, &before);
		uint64_t until = b->bytes + total;
		double start = cpu_ns();
		while (b->bytes < until)
			io_tick(b->io, io_clock_ns(b->io) + 200000000);
		if (r >= WARM_UP)
			ns[r - WARM_UP] = (cpu_ns() - start) * EVENT_BYTES / (double)total;
	}
	io_counters(b->io, &f.n);
	f.per_enter = (double)(f.n.recvs - before.recvs) / (double)(f.n.enters - before.enters);
	qsort(ns, o->rounds, sizeof *ns, compare);
	f.best = ns[0];
	f.median = ns[o->rounds / 2];
	return f;
}

static struct figure follow(struct bench *b, const struct options *o, struct shared *sh)
{
	struct figure f = {0};
	struct io_counters before;
	atomic_store(&sh->go, 1);
	for (uint64_t end = now_ns() + 500000000; now_ns() < end;) /* warm-up */
		io_tick(b->io, end);
	io_counters(b->io, &before);
	uint64_t wall = now_ns(), end = wall + o->seconds * 1000000000ull, bytes = b->bytes,
	         sent = atomic_load(&sh->sent);
	double cpu = cpu_ns();
	while (now_ns() < end)
		io_tick(b->io, end);
	f.cpu = (cpu_ns() - cpu) / (double)(now_ns() - wall) * 100;
	sent = atomic_load(&sh->sent) - sent;
	f.best = f.median = (double)(b->bytes - bytes) / EVENT_BYTES / o->seconds;
	if ((double)(b->bytes - bytes) < (double)sent * 0.99)
		fprintf(stderr, "the receiver fell behind\n");
	io_counters(b->io, &f.n);
	f.per_enter = (double)(f.n.recvs - before.recvs) / (double)(f.n.enters - before.enters);
	return f;
}

static struct figure measure(enum io_kind kind, const struct options *o)
{
	static const struct io_handlers handlers = {
	        on_connect, on_recv, on_end, on_other, on_other, on_wake, NULL};
	struct shared *sh =
	        mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sockaddr_in addr = {
	        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof addr;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&addr, n) || listen(listener, 4096) ||
	        getsockname(listener, (struct sockaddr *)&addr, &n))
		die("listen");
	pid_t pid = fork();
	if (pid == 0)
		serve(listener, o, sh);
	pin(0);
	struct bench b = {.socks = calloc(o->sockets, sizeof *b.socks)};
	struct io_config c = {.kind = kind,
	        .sockets_max = o->sockets,
	        .recv_buffers = o->buffers,
	        .batch_wait_us = o->batch_us,
	        .handlers = &handlers,
	        .owner = &b};
	struct errmsg why;
	if (io_open(&c, &b.io, &why) != ERR_OK) {
		fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
	connect_all(&b, o, &addr);
	struct figure f = o->rate ? follow(&b, o, sh) : drain(&b, o, sh);
	atomic_store(&sh->stop, true);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	io_close_all(&b.io);
	free(b.socks);
	close(listener);
	munmap(sh, sizeof *sh);
	return f;
}

/* --- the bound --- */

static struct figure limit(const char *mode, const struct options *o)
{
	char command[512], line[1024] = "";
	snprintf(command, sizeof command, "%s -m %s -n %u -k %u -r %u -b %s -B 64 -W 64", o->limit,
	        mode, o->sockets, o->kib, o->rounds,
	        strcmp(mode, "epoll") == 0 ? "65536" : "16384");
	FILE *p = popen(command, "r");
	if (!p || !fgets(line, sizeof line, p))
		die(command);
	pclose(p);
	double median = 0, best = 0;
	const char *at = strstr(line, "GB/s median");
	while (at && at > line && at[-1] != ':')
		at--;
	if (!at || sscanf(at, " %lf GB/s median %lf best", &median, &best) != 2) {
		fprintf(stderr, "not understood: %s", line);
		exit(1);
	}
	return (struct figure){.median = EVENT_BYTES / median, .best = EVENT_BYTES / best};
}

static double limit_cpu(const char *mode, const struct options *o)
{
	char command[512], line[1024] = "";
	snprintf(command, sizeof command, "%s -m %s -n %u -s %u -R %u -b 16384 -B 64 -W 64 -M %u",
	        o->limit, mode, o->sockets, o->seconds, o->rate, o->batch_us);
	FILE *p = popen(command, "r");
	if (!p || !fgets(line, sizeof line, p))
		die(command);
	pclose(p);
	const char *at = strstr(line, "cpu ");
	return at ? strtod(at + 4, NULL) : 0;
}

static void compare_paced(enum io_kind kind, const struct options *o)
{
	for (unsigned i = 0; i < o->turns; i++) {
		struct figure f = measure(kind, o);
		printf("io %-8s n=%5u paced: %6.0f events/s, cpu %.0f %%, %.1f receives/enter",
		        io_kind_name(kind), o->sockets, f.best, f.cpu, f.per_enter);
		if (o->limit)
			printf("; limit cpu %.0f %%",
			        limit_cpu(kind == IO_KIND_EPOLL ? "epoll" : "mshot", o));
		printf("\n");
		fflush(stdout);
	}
}

static void compare_kind(enum io_kind kind, const struct options *o)
{
	struct figure ours = {.best = 1e9}, bound = {.best = 1e9};
	for (unsigned i = 0; i < o->turns; i++) {
		struct figure f = measure(kind, o);
		if (f.best < ours.best)
			ours = f;
		if (!o->limit)
			continue;
		f = limit(kind == IO_KIND_EPOLL ? "epoll" : "mshot", o);
		if (f.best < bound.best)
			bound = f;
	}
	printf("io %-8s n=%5u fill=%uK: %5.0f ns per 3632 B best, %5.0f median, %.1f "
	       "receives/enter, no_buffers=%lu "
	       "rearms=%lu",
	        io_kind_name(kind), o->sockets, o->kib, ours.best, ours.median, ours.per_enter,
	        (unsigned long)ours.n.no_buffers, (unsigned long)ours.n.rearms);
	if (o->limit)
		printf("; limit %5.0f best, %5.0f median; ratio %.2f best, %.2f median", bound.best,
		        bound.median, ours.best / bound.best, ours.median / bound.median);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct options o = {.kib = 16, .rounds = 40, .turns = 2, .batch_us = 100, .seconds = 2};
	for (int c; (c = getopt(argc, argv, "n:k:r:t:b:w:R:s:")) > 0;) {
		unsigned v = (unsigned)strtoul(optarg ? optarg : "0", NULL, 10);
		switch (c) {
		case 'n': o.sockets = v; break;
		case 'k': o.kib = v; break;
		case 'r': o.rounds = v; break;
		case 't': o.turns = v; break;
		case 'b': o.buffers = v; break;
		case 'w': o.batch_us = v; break;
		case 'R': o.rate = v; break;
		case 's': o.seconds = v; break;
		default: return 2;
		}
	}
	o.limit = argv[optind];
	if (o.kib == 0 || o.kib > 48 || o.rounds == 0 || o.rounds > ROUNDS_MAX || o.turns == 0) {
		fprintf(stderr, "io_bench: -k 1..48, -r 1..%d, -t 1..\n", ROUNDS_MAX);
		return 2;
	}
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	static const unsigned sizes[] = {2000, 8000};
	for (size_t i = 0; i < (o.sockets ? 1 : ARRAY_LEN(sizes)); i++) {
		struct options p = o;
		p.sockets = o.sockets ? o.sockets : sizes[i];
		void (*compare_fn)(enum io_kind, const struct options *) =
		        p.rate ? compare_paced : compare_kind;
		compare_fn(IO_KIND_URING, &p);
		compare_fn(IO_KIND_EPOLL, &p);
	}
	return 0;
}
