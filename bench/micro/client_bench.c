/* client_bench.c - what reading costs a consumer while a daemon writes, beside the bound of the
 * same machine.
 *
 * usage: client_bench [--seconds N] [--objects N] [--rate 100k/s|500k/s|flat]
 *                     [--what get|view|follow] [--only get|drain [--times N]]
 *                     [--retained MIB] [SHMCACHE]
 *   --rate, --what: with that writer only, that measurement only (bench/run)
 *   --only: that measurement only, N (10) times (for profilers)
 *   --retained: of replaced objects (limits.retainedBytes); else as a daemon by default
 *   SHMCACHE: the program limits/shmcache (the same work with nothing around it). It runs in the
 * same run, before and after ours; only ratios mean something.
 *
 * Writer: a real store behind the real attach protocol in a process of its own, on cpu 0: 32,768
 * objects of 3,632 bytes of JSON, random upserts at 100,000/s, 500,000/s, and as fast as it goes,
 * in ticks of 100 us, looked at eight ahead as the reactor does. Reader: libkubering on cpu 1.
 *
 * For each rate:
 *   get       kr_get of a random object, copied and checked; the same borrowed
 *   view      kr_view_begin to kr_view_end, every object copied and checked; begin: the scan alone
 *   follow    changes followed per second, with both objects copied; with the new one only
 *             (KR_NO_OLD); borrowed
 * With the writer asleep:
 *   drain     a backlog of changes, as many as are kept, and few
 * With no daemon at all:
 *   patch     kr_merge_patch of a pod whose status changed, beside a memcmp of the two
 *
 * Before a figure is printed, view digests, counts and sequence are checked; payload is summed, so
 * that it was read.
 */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "harness/fake_daemon.h"
#include "include/kubering.h"

enum {
	PAYLOAD = 3632,
	TICK_NS = 100000,
	RING = 65536,
	AHEAD = 8,
	FAR = 8000, /* changes: with their blocks nearly the 32 MiB that are kept for followers */
};

#define MUST(cond) ((cond) ? (void)0 : must_failed(#cond, __LINE__))

static _Noreturn void must_failed(const char *what, int line)
{
	fprintf(stderr, "client_bench: %s failed at line %d: %s\n", what, line,
	        kr_last_error(NULL));
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set);
}

/* --- the writer's process -----------------------------------------------------------------------
 */

struct orders {                /* shared with the writer */
	_Atomic uint64_t rate; /* per second; 0 = sleep, UINT64_MAX = flat out */
	_Atomic uint64_t written;
	_Atomic uint64_t burst; /* so many at once, then 0 */
	_Atomic bool ready, asleep;
	uint64_t retained; /* bytes, 0: by default; set before the writer begins */
};

struct writer {
	struct fake_daemon *d;
	struct store_list *list;
	struct json_object *objects; /* by number */
	char *raw;
	unsigned n;
	uint64_t rv;
	struct prng r;
};

static char *strings_new(unsigned n, const char *what)
{
	char *s = malloc((size_t)n * 32);
	for (unsigned i = 0; i < n; i++)
		snprintf(s + (size_t)i * 32, 32, "%s-%u", what, i);
	return s;
}

/* Eight digits, by hand, because printing would cost as much as what is measured. */
static void digits(char at[8], uint64_t v)
{
	for (int n = 8; n > 0; v /= 10)
		at[--n] = (char)('0' + v % 10);
}

static void writer_update(struct writer *w, const struct json_object *was, uint64_t now_ns)
{
	struct json_object o = *was; /* the version lives for this call only */
	char version[8];
	enum store_outcome what;
	digits(version, ++w->rv);
	o.resource_version = (struct span){version, sizeof version};
	MUST(store_upsert(w->list, &o, now_ns, &what) == ERR_OK);
}

/* The next few, with what the store has of them fetched step by step. */
static void writer_updates(struct writer *w, uint64_t n, uint64_t now_ns)
{
	const struct json_object *o[AHEAD];
	struct store_trace t[AHEAD];
	for (uint64_t i = 0; i < n; i++) {
		o[i] = &w->objects[prng_below(&w->r, w->n)];
		store_trace_begin(w->list, o[i]->namespace_, o[i]->name, &t[i]);
	}
	store_trace_rest(t, n);
	for (uint64_t i = 0; i < n; i++)
		writer_update(w, o[i], now_ns);
}

static void writer_init(struct writer *w, const struct orders *o, const char *path, unsigned n)
{
	struct fake_config config = {.path = path,
	        .store = {.incarnation = {1, 2},
	                .hash_seed = 42,
	                .ring_entries = RING,
	                .retained_bytes_max = o->retained}};
	struct store_sync_result result;
	char *names = strings_new(n, "pod"), *uids = strings_new(n, "6f1e5c1a-0000-4000-8000");
	*w = (struct writer){.d = fake_new(&config), .n = n, .rv = 10000000, .r = {7}};
	w->raw = malloc(PAYLOAD + 64);
	memset(w->raw, 'x', PAYLOAD + 64);
	memcpy(w->raw, "{\"x\":\"", 6);
	memcpy(w->raw + PAYLOAD - 2, "\"}", 2);
	w->objects = calloc(n, sizeof *w->objects);
	fake_lock(w->d);
	w->list = fake_list(w->d, "bench", "pods");
	store_sync_begin(w->list, fake_now());
	for (unsigned i = 0; i < n; i++) {
		w->objects[i] = (struct json_object){.raw = {w->raw, PAYLOAD},
		        .namespace_ = SPAN("default"),
		        .name = span_of(names + (size_t)i * 32),
		        .uid = span_of(uids + (size_t)i * 32),
		        .resource_version = SPAN("10000000")};
		MUST(store_sync_item(w->list, &w->objects[i], fake_now()) == ERR_OK);
	}
	MUST(store_sync_commit(w->list, SPAN("10000000"), false, fake_now(), &result) == ERR_OK);
	store_list_state(w->list, SHM_LIST_LIVE, ERR_OK, NULL, fake_now());
	fake_unlock(w->d);
}

static void writer_batch(struct writer *w, struct orders *o, uint64_t n)
{
	fake_lock(w->d);
	uint64_t now_ns = fake_now();
	for (uint64_t i = 0; i < n; i += AHEAD)
		writer_updates(w, n - i < AHEAD ? n - i : AHEAD, now_ns);
	fake_unlock(w->d);
	o->written += n;
}

static _Noreturn void writer_main(struct orders *o, const char *path, unsigned n)
{
	struct writer w;
	pin(0);
	writer_init(&w, o, path, n);
	for (unsigned i = 0; i < 4; i++) /* ring and retained bytes are full, memory is touched */
		writer_batch(&w, o, RING);
	o->ready = true;
	for (uint64_t next = fake_now();;) {
		uint64_t rate = o->rate, burst = o->burst;
		o->asleep = rate == 0 && burst == 0;
		if (burst > 0) {
			writer_batch(&w, o, burst);
			o->burst = 0;
		} else if (rate == 0) {
			usleep(200);
		} else if (rate == UINT64_MAX) {
			writer_batch(&w, o, 200);
		} else {
			writer_batch(&w, o, rate * TICK_NS / 1000000000);
			next += TICK_NS;
			if (next + 100 * TICK_NS <
			        fake_now()) /* behind: do not catch up in one go */
				next = fake_now();
			while (fake_now() < next)
				;
			continue;
		}
		next = fake_now();
	}
}

/* --- the reader ---------------------------------------------------------------------------------
 */

struct bench {
	struct orders *orders;
	struct kr_client *c;
	struct kr_list *l;
	unsigned n;
	double seconds;
	const char *only, *rate, *what;
	int times;    /* of what is measured alone */
	uint64_t sum; /* of payload, so that it is read */
	struct prng r;
};

static double now_s(void)
{
	return (double)fake_now() * 1e-9;
}

/* Time that this thread had a cpu: what differs from the wall clock was taken by others. */
static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A copy is read at both ends; of a loan the first byte, the rest is not fetched by anybody. */
static uint64_t touch(const struct kr_object *o, unsigned flags)
{
	size_t last = flags & KR_BORROW ? 0 : o->json_bytes - 1;
	return (uint64_t)(unsigned char)o->json[0] + (unsigned char)o->json[last];
}

static void bench_get(struct bench *b, const char *rate, unsigned flags)
{
	struct kr_object o;
	char name[32];
	uint64_t n = 0, torn = 0, w0 = b->orders->written;
	double t0 = now_s(), c0 = cpu_s(), t;
	do {
		for (int i = 0; i < 64; i++, n++) {
			unsigned v = (unsigned)prng_below(&b->r, b->n), at = 31;
			for (name[at] = '\0'; at == 31 || v > 0; v /= 10)
				name[--at] = (char)('0' + v % 10);
			memcpy(name + at - 4, "pod-", 4);
			MUST(kr_get(b->l, "default", name + at - 4, flags, &o) == KR_OK);
			b->sum += touch(&o, flags);
			torn += flags && kr_check(b->l, &o) != KR_OK;
		}
		t = now_s() - t0;
	} while (t < b->seconds);
	printf("get     %-8s %-8s %9.0f gets/s, %4.0f ns each (cpu %4.0f), torn %" PRIu64
	       " (writer did %.0f/s)\n",
	        rate, flags ? "borrowed" : "copied", (double)n / t, t / (double)n * 1e9,
	        (cpu_s() - c0) / (double)n * 1e9, torn, (double)(b->orders->written - w0) / t);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void bench_view(struct bench *b, const char *rate)
{
	enum { VIEWS = 2000, OVERRUNS_MAX = 200 };
	static double all[VIEWS], begin[VIEWS];
	struct kr_view v;
	struct kr_object o;
	unsigned n = 0, overruns = 0;
	double t0 = now_s(), c0 = cpu_s();
	uint64_t w0 = b->orders->written;
	while (n < VIEWS && (n < 3 || now_s() - t0 < b->seconds)) {
		double a = now_s();
		MUST(kr_view_begin(b->l, &v) == KR_OK);
		double c = now_s();
		uint64_t digest = 0, count = 0;
		int r;
		bool check = n % 16 == 0; /* hashing is not what is measured */
		while ((r = kr_view_next(&v, &o)) == KR_OK) {
			b->sum += touch(&o, 0);
			count++;
			if (check)
				digest += kr_object_hash(
				        o.namespace_, o.name, o.uid, o.resource_version);
		}
		kr_view_end(&v);
		if (r == KR_ERR_OVERRUN) {
			MUST(++overruns < OVERRUNS_MAX); /* too little is kept for this writer */
			continue;
		}
		MUST(r == KR_END && count == v.count && count == b->n);
		MUST(!check || digest == v.digest);
		begin[n] = c - a;
		all[n++] = now_s() - a;
	}
	double cpu = cpu_s() - c0;
	double writer = (double)(b->orders->written - w0) / (now_s() - t0);
	qsort(all, n, sizeof *all, by_value);
	qsort(begin, n, sizeof *begin, by_value);
	printf("view    %-8s %u objects: p50 %.1f ms, p99 %.1f ms (cpu mean %.1f; begin p50 %.2f "
	       "ms), %u "
	       "views, overruns %u (writer did %.0f/s)\n",
	        rate, b->n, all[n / 2] * 1e3, all[n * 99 / 100] * 1e3, cpu / (n + overruns) * 1e3,
	        begin[n / 2] * 1e3, n, overruns, writer);
}

static const char *flags_word(unsigned flags)
{
	return flags & KR_BORROW ? "borrowed" : flags & KR_NO_OLD ? "new" : "new+old";
}

static void bench_follow(struct bench *b, const char *rate, unsigned flags)
{
	struct kr_view v;
	struct kr_change ch;
	uint64_t n = 0, overruns = 0, seq = 0;
	MUST(kr_view_begin(b->l, &v) == KR_OK);
	kr_view_end(&v);
	double t0 = now_s(), t;
	uint64_t w0 = b->orders->written;
	do {
		for (int i = 0; i < 256; i++) {
			int r = kr_follow_next_flags(&v.follow, &ch, 0, flags);
			if (r == KR_TIMEOUT)
				continue;
			if (r == KR_ERR_OVERRUN) {
				overruns++;
				kr_follow_end(&v.follow);
				MUST(kr_view_begin(b->l, &v) == KR_OK);
				kr_view_end(&v);
				seq = 0;
				continue;
			}
			MUST(r == KR_OK);
			if (ch.type > KR_DELETED)
				continue;
			MUST(ch.seq > seq);
			seq = ch.seq;
			b->sum += touch(&ch.object, flags);
			n++;
		}
		t = now_s() - t0;
	} while (t < b->seconds);
	kr_follow_end(&v.follow);
	printf("follow  %-8s %-8s %9.0f changes/s followed, overruns %" PRIu64
	       " (writer did %.0f/s)\n",
	        rate, flags_word(flags), (double)n / t, overruns,
	        (double)(b->orders->written - w0) / t);
}

/* One backlog of changes, all there before the first is read. Returns the time of all of them. */
static double drain_once(struct bench *b, unsigned flags, unsigned backlog, double *cpu)
{
	struct kr_view v;
	struct kr_change ch;
	uint64_t n = 0;
	MUST(kr_view_begin(b->l, &v) == KR_OK);
	kr_view_end(&v);
	b->orders->burst = backlog;
	while (b->orders->burst > 0)
		usleep(50);
	double t0 = now_s(), c0 = cpu_s();
	for (n = 0;; n++) {
		int r = kr_follow_next_flags(&v.follow, &ch, 0, flags);
		if (r == KR_TIMEOUT)
			break;
		MUST(r == KR_OK);
		b->sum += touch(&ch.object, flags);
	}
	double t = now_s() - t0;
	*cpu = cpu_s() - c0;
	MUST(n == backlog);
	kr_follow_end(&v.follow);
	return t;
}

/* Far behind: most of the backlog is in memory only. Close behind: what a follower that keeps up
 * sees, in the shared cache. */
static void bench_drain(struct bench *b, unsigned flags)
{
	static const struct {
		const char *word;
		unsigned backlog, rounds;
	} cases[] = {{"far", FAR, 40}, {"close", 1000, 200}};
	for (int i = 0; i < 2; i++) {
		double best = 1e9, best_cpu = 1e9, cpu;
		for (unsigned round = 0; round < cases[i].rounds; round++) {
			double t = drain_once(b, flags, cases[i].backlog, &cpu);
			best = t < best ? t : best;
			best_cpu = cpu < best_cpu ? cpu : best_cpu;
		}
		double n = cases[i].backlog;
		printf("drain   %-8s %-8s %9.0f changes/s, %4.0f ns each (cpu %4.0f; best of %u "
		       "backlogs of "
		       "%.0f)\n",
		        cases[i].word, flags_word(flags), n / best, best / n * 1e9,
		        best_cpu / n * 1e9, cases[i].rounds, n);
	}
}

/* --- merge patch --------------------------------------------------------------------------------
 */

static size_t pod_text(char *to, unsigned restarts)
{
	char *p = to;
	p += sprintf(p, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-0\","
	                "\"labels\":{");
	for (int i = 0; i < 8; i++)
		p += sprintf(
		        p, "%s\"app.kubernetes.io/label-%d\":\"value-%d\"", i ? "," : "", i, i);
	p += sprintf(p, "}},\"spec\":{\"containers\":[");
	for (int i = 0; i < 3; i++) {
		p += sprintf(p, "%s{\"name\":\"c%d\",\"image\":\"registry/image:%d\",\"env\":[",
		        i ? "," : "", i, i);
		for (int k = 0; k < 10; k++)
			p += sprintf(p, "%s{\"name\":\"VARIABLE_%d\",\"value\":\"some value %d\"}",
			        k ? "," : "", k, k);
		p += sprintf(
		        p, "],\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"256Mi\"}}}");
	}
	p += sprintf(p,
	        "],\"nodeName\":\"node-17\"},\"status\":{\"phase\":\"Running\",\"conditions\":[");
	for (int i = 0; i < 4; i++)
		p += sprintf(p,
		        "%s{\"type\":\"T%d\",\"status\":\"True\",\"lastTransitionTime\":\"2024-11-"
		        "25T00:00:00Z\"}",
		        i ? "," : "", i);
	p += sprintf(p, "],\"restarts\":%u,\"podIP\":\"10.0.0.1\"}}", restarts);
	return (size_t)(p - to);
}

static void bench_patch(struct bench *b)
{
	enum { TIMES = 20000 };
	static char from[16384], to[16384], out[16384];
	size_t n = pod_text(from, 11), m = pod_text(to, 12), size = 0;
	double best = 1e9, compare = 1e9;
	for (int round = 0; round < 10; round++) {
		double t0 = cpu_s();
		for (int i = 0; i < TIMES; i++) {
			MUST(kr_merge_patch(from, n, to, m, out, sizeof out, &size) == KR_OK);
			b->sum += size;
		}
		double t1 = cpu_s();
		for (int i = 0; i < TIMES; i++) {
			int (*volatile cmp)(const void *, const void *, size_t) = memcmp;
			b->sum += (uint64_t)cmp(from, to, n < m ? n : m);
		}
		double t2 = cpu_s();
		if (t1 - t0 < best)
			best = t1 - t0;
		if (t2 - t1 < compare)
			compare = t2 - t1;
	}
	printf("patch   %zu bytes, one field changed: %.0f ns (%.1f GB/s), memcmp of both %.0f ns; "
	       "\"%.*s\"\n",
	        n, best / TIMES * 1e9, (double)n * TIMES / best * 1e-9, compare / TIMES * 1e9,
	        (int)size, out);
}

/* --- program ------------------------------------------------------------------------------------
 */

static void run_limit(const char *program)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	MUST(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

static bool wanted(const struct bench *b, const char *what)
{
	return !b->what || strcmp(b->what, what) == 0;
}

static void run_rates(struct bench *b)
{
	static const struct {
		const char *word;
		uint64_t rate;
	} rates[] = {{"100k/s", 100000}, {"500k/s", 500000}, {"flat out", UINT64_MAX}};
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		if (b->rate && strncmp(b->rate, rates[i].word, strlen(b->rate)) != 0)
			continue;
		b->orders->rate = rates[i].rate;
		if (wanted(b, "get")) {
			bench_get(b, rates[i].word, 0);
			bench_get(b, rates[i].word, KR_BORROW);
		}
		if (wanted(b, "view"))
			bench_view(b, rates[i].word);
		if (wanted(b, "follow")) {
			bench_follow(b, rates[i].word, 0);
			bench_follow(b, rates[i].word, KR_NO_OLD);
			bench_follow(b, rates[i].word, KR_BORROW);
		}
		fflush(stdout);
	}
	b->orders->rate = 0;
	while (!b->orders->asleep)
		usleep(100);
}

/* Every page that can be read has been: page tables of a consumer are filled once, not measured. */
static void warm_up(struct bench *b)
{
	printf("warm-up:\n");
	b->orders->rate = UINT64_MAX;
	for (int i = 0; i < 3; i++) {
		bench_view(b, "");
		bench_follow(b, "", 0);
	}
	printf("measured:\n");
}

static void run_all(struct bench *b)
{
	warm_up(b);
	run_rates(b);
	if (wanted(b, "follow")) {
		bench_drain(b, 0);
		bench_drain(b, KR_NO_OLD);
		bench_drain(b, KR_BORROW);
	}
	if (wanted(b, "patch"))
		bench_patch(b);
}

static void run_only(struct bench *b)
{
	bool get = strcmp(b->only, "get") == 0;
	for (int i = 0; i < b->times; i++) {
		static const unsigned flags[] = {0, KR_NO_OLD, KR_BORROW};
		for (int k = 0; k < 3; k++) {
			if (!get)
				bench_drain(b, flags[k]);
			else if (flags[k] != KR_NO_OLD)
				bench_get(b, "asleep", flags[k]);
		}
	}
}

static int run(struct bench *b, const char *path)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* not longer than the bench */
		writer_main(b->orders, path, b->n);
	}
	MUST(pid > 0);
	while (!b->orders->ready) {
		MUST(waitpid(pid, NULL, WNOHANG) == 0);
		usleep(1000);
	}
	pin(1);
	struct kr_options options = {.size = sizeof options, .socket_path = path};
	struct kr_list_spec spec = {
	        .size = sizeof spec, .cluster = "bench", .version = "v1", .resource = "pods"};
	MUST(kr_connect(&b->c, &options) == KR_OK);
	MUST(kr_list_open(b->c, &spec, &b->l) == KR_OK);
	if (b->only)
		run_only(b);
	else
		run_all(b);
	kr_close(b->c);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("checksum %" PRIu64 "\n", b->sum);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench b = {.n = 32768, .seconds = 1.0, .times = 10, .r = {3}};
	const char *limit = NULL;
	uint64_t retained = 0;
	char dir[] = "/tmp/client_bench-XXXXXX", path[64];
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			b.seconds = atof(argv[++i]);
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			b.only = argv[++i];
		else if (strcmp(argv[i], "--times") == 0 && i + 1 < argc)
			b.times = atoi(argv[++i]);
		else if (strcmp(argv[i], "--objects") == 0 && i + 1 < argc)
			b.n = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--rate") == 0 && i + 1 < argc)
			b.rate = argv[++i];
		else if (strcmp(argv[i], "--what") == 0 && i + 1 < argc)
			b.what = argv[++i];
		else if (strcmp(argv[i], "--retained") == 0 && i + 1 < argc)
			retained = strtoull(argv[++i], NULL, 10) << 20;
		else
			limit = argv[i];
	}
	b.orders = mmap(
	        NULL, sizeof *b.orders, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(b.orders != MAP_FAILED && mkdtemp(dir) && b.n > 0);
	b.orders->retained = retained;
	snprintf(path, sizeof path, "%s/sock", dir);
	if (limit)
		run_limit(limit);
	int r = run(&b, path);
	if (limit)
		run_limit(limit);
	unlink(path);
	rmdir(dir);
	return r;
}
