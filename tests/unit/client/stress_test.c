/* One writer, many readers, rings so small that everybody is overrun: never a wrong record, never a
 * wrong digest (D1-D4 of ARCHITECTURE.md). */
#include "client_world.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/prng.h"

/* cmocka's assertions jump, which neither threads nor children may. */
#define MUST(cond)                                                                                 \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

enum { OBJECTS_MAX = 4096 };

struct stress_load {
	unsigned objects;
	bool hot; /* most changes are of one object, which never goes */
};

struct stress {
	struct world *w;
	_Atomic bool stop;
	struct stress_load load;
	unsigned generations[OBJECTS_MAX]; /* how often it was recreated */
	_Atomic uint64_t writes;
};

struct reader {
	struct stress *s;
	unsigned kind;
	struct kr_client *c;
	uint64_t changes, views, overruns, gets, resets;
};

static void write_one(struct stress *s, struct prng *r, uint64_t *rv)
{
	static _Thread_local struct fake_object o;
	enum store_outcome what;
	struct store_list *l = fake_list(s->w->d, "test", "pods");
	char name[16];
	unsigned n =
	        s->load.hot && prng_below(r, 10) ? 0 : (unsigned)prng_below(r, s->load.objects);
	snprintf(name, sizeof name, "n%u", n);
	bool drop = prng_below(r, 10) == 0 && !(s->load.hot && n == 0);
	if (!drop && prng_below(r, s->load.hot ? 4 : 40) == 0)
		s->generations[n]++; /* recreated */
	fake_object(&o, "default", name, 1 + s->generations[n], ++*rv, 150 + prng_below(r, 2000));
	err_t e = drop ? store_delete(l, &o.o, fake_now(), &what)
	               : store_upsert(l, &o.o, fake_now(), &what);
	MUST(e == ERR_OK);
	if (*rv % 3 == 0)
		fake_put(fake_list(s->w->d, "test", "other"), name, 1, *rv);
}

static void relist(struct stress *s, struct prng *r, uint64_t *rv)
{
	*rv += 10;
	fake_sync(fake_list(s->w->d, "test", "pods"), (unsigned)prng_below(r, s->load.objects / 2),
	        s->load.objects / 2, *rv, *rv + 1);
	memset(s->generations, 0, sizeof s->generations); /* fake_sync makes generation 1 */
	*rv += 2;
}

/* Runs until `writes` changes have been made, in ticks as a reactor does. */
static void write_all(struct stress *s, uint64_t writes, unsigned relist_every)
{
	struct prng r = {20241};
	uint64_t rv = 1000;
	while (s->writes < writes) {
		fake_lock(s->w->d);
		for (unsigned i = (unsigned)prng_below(&r, 20); i > 0; i--, s->writes++)
			write_one(s, &r, &rv);
		if (relist_every && prng_below(&r, relist_every) == 0)
			relist(s, &r, &rv);
		fake_unlock(s->w->d);
	}
	s->stop = true;
}

static struct kr_list *open_list(struct kr_client *c, const char *resource)
{
	struct kr_list *l = NULL;
	int r = kr_list_open(c,
	        &(struct kr_list_spec){.size = sizeof(struct kr_list_spec),
	                .cluster = "test",
	                .version = "v1",
	                .resource = resource},
	        &l);
	MUST(r == KR_OK);
	return l;
}

static bool take_view(struct reader *t, struct kr_list *l, struct fold *f, struct kr_view *v)
{
	for (;;) {
		int r = kr_view_begin(l, v);
		if (r == KR_OK)
			r = fold_view(f, v);
		t->views++;
		if (r == KR_OK)
			return true;
		MUST(r == KR_ERR_OVERRUN ||
		        r == KR_ERR_STUCK); /* a writer that the kernel put to sleep */
		t->overruns++;
	}
}

static void follow_all(struct reader *t, struct kr_list *l, unsigned lazy)
{
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	fold_init(&f);
	take_view(t, l, &f, &v);
	for (;;) {
		int r = kr_follow_next(&v.follow, &ch, 1000000);
		if (r == KR_TIMEOUT && t->s->stop)
			break;
		if (r == KR_TIMEOUT)
			continue;
		if (r == KR_OK && fold_change(&f, &ch)) {
			for (unsigned i = 0; i < lazy; i++)
				atomic_signal_fence(memory_order_seq_cst);
			continue;
		}
		MUST(r == KR_OK || r == KR_ERR_OVERRUN);
		t->resets += r == KR_OK;
		t->overruns += r != KR_OK;
		kr_follow_end(&v.follow);
		take_view(t, l, &f, &v);
	}
	t->changes = f.changes;
	kr_follow_end(&v.follow);
	fold_fini(&f);
}

static void get_all(struct reader *t, struct kr_list *l)
{
	struct prng r = {t->kind};
	struct kr_object o;
	while (!t->s->stop) {
		char name[16];
		const struct stress_load *load = &t->s->load;
		unsigned who =
		        load->hot && t->gets % 3 ? 0 : (unsigned)prng_below(&r, load->objects);
		snprintf(name, sizeof name, "n%u", who);
		int got = kr_get(l, "default", name, 0, &o);
		t->gets++;
		if ((got == KR_ERR_NOT_FOUND && (!load->hot || who > 0)) || got == KR_ERR_STUCK)
			continue; /* the hot one is recreated all the time, and there all the time
			           */
		MUST(got == KR_OK);
		MUST(strcmp(o.name, name) == 0);
		MUST(fake_json_is(
		        o.json, o.json_bytes, o.namespace_, o.name, o.uid, o.resource_version));
		uint64_t seen = t->gets % 2; /* borrowed: whole whenever kr_check says so */
		if (seen && kr_get(l, "default", name, KR_BORROW, &o) == KR_OK) {
			char copy[FAKE_JSON_MAX], uid[FAKE_TEXT_MAX], rv[64];
			size_t n = o.json_bytes < sizeof copy ? o.json_bytes : sizeof copy;
			memcpy(copy, o.json, n);
			snprintf(uid, sizeof uid, "%.300s", o.uid);
			snprintf(rv, sizeof rv, "%.60s", o.resource_version);
			if (kr_check(l, &o) == KR_OK)
				MUST(fake_json_is(copy, n, "default", name, uid, rv));
		}
	}
}

static void view_all(struct reader *t, struct kr_list *l)
{
	struct kr_view v;
	struct fold f;
	fold_init(&f);
	while (!t->s->stop)
		take_view(t, l, &f, &v);
	fold_fini(&f);
}

static void *reader_main(void *arg)
{
	struct reader *t = arg;
	MUST(kr_connect(&t->c, &(struct kr_options){.size = sizeof(struct kr_options),
	                               .socket_path = t->s->w->path,
	                               .timeout_ns = WORLD_LONG_NS}) == KR_OK);
	struct kr_list *l = open_list(t->c, t->kind == 1 ? "other" : "pods");
	switch (t->kind) {
	case 0:
	case 1: follow_all(t, l, 0); break;
	case 2: follow_all(t, l, 20000); break;
	case 3: view_all(t, l); break;
	default: get_all(t, l); break;
	}
	kr_close(t->c);
	return NULL;
}

static void run(struct stress_load load, uint32_t ring, uint64_t writes, unsigned relist_every)
{
	enum { READERS = 5 };
	struct world w;
	pthread_t threads[READERS];
	struct reader readers[READERS];
	world_init(&w, ring);
	static struct stress s;
	s = (struct stress){.w = &w, .load = load};
	world_sync(&w, "pods", load.objects);
	world_sync(&w, "other", 3);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.s = &s, .kind = i};
		assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &readers[i]), 0);
	}
	write_all(&s, writes, relist_every);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		const struct reader *t = &readers[i];
		print_message("ring %u, reader %u: %lu changes, %lu views, %lu overruns, %lu "
		              "resets, %lu gets\n",
		        ring, i, t->changes, t->views, t->overruns, t->resets, t->gets);
	}
	world_fini(&w);
}

static void tiny_ring(void **state)
{
	(void)state;
	run((struct stress_load){.objects = 40}, 16, 30000, 0);
}

static void small_ring_with_relists(void **state)
{
	(void)state;
	run((struct stress_load){.objects = 60}, 128, 30000, 30);
}

/* The same slot over and over, under a scan that takes a while. */
static void hot_object(void **state)
{
	(void)state;
	run((struct stress_load){.objects = 1500, .hot = true}, 4096, 60000, 0);
}

static void large_ring(void **state)
{
	(void)state;
	run((struct stress_load){.objects = 3000}, 16384, 30000, 400);
}

/* --- one change per view: where it falls into the scan is all that varies
 * ------------------------- */

enum { SINGLE_CHANGES = 3000, SINGLE_OBJECTS = 600 };

struct single {
	struct world *w;
	_Atomic uint64_t views;
	_Atomic bool stop;
};

static void *single_main(void *arg)
{
	struct single *t = arg;
	struct kr_client *c = NULL;
	struct kr_view v;
	struct kr_object o;
	MUST(kr_connect(&c, &(struct kr_options){.size = sizeof(struct kr_options),
	                            .socket_path = t->w->path,
	                            .timeout_ns = WORLD_LONG_NS}) == KR_OK);
	struct kr_list *l = open_list(c, "pods");
	for (; !t->stop; t->views++) {
		uint64_t digest = 0;
		MUST(kr_view_begin_flags(l, &v, KR_BORROW) == KR_OK);
		while (kr_view_next(&v, &o) == KR_OK)
			digest += kr_object_hash(o.namespace_, o.name, o.uid, o.resource_version);
		MUST(kr_view_end(&v) == KR_OK && digest == v.digest);
	}
	kr_close(c);
	return NULL;
}

static void one_change_per_view(void **state)
{
	(void)state;
	struct world w;
	pthread_t thread;
	struct prng r = {17};
	world_init(&w, 0);
	world_sync(&w, "pods", SINGLE_OBJECTS);
	struct single t = {.w = &w};
	assert_int_equal(pthread_create(&thread, NULL, single_main, &t), 0);
	for (unsigned i = 0; i < SINGLE_CHANGES; i++) {
		uint64_t seen = t.views;
		for (uint64_t spin = prng_below(&r, 4000); spin > 0; spin--)
			atomic_signal_fence(memory_order_seq_cst);
		world_put(&w, "pods", prng_below(&r, 2) ? "n0" : "n1", 101 + i);
		while (t.views == seen) /* the reader dies of what it finds wrong */
			sched_yield();
	}
	t.stop = true;
	pthread_join(thread, NULL);
	world_fini(&w);
}

/* Consumers that stop or die change nothing for anybody else: the writer never looks at them. */
static void dead_and_stopped_consumers(void **state)
{
	(void)state;
	enum { CHILDREN = 4 };
	struct world w;
	pid_t pids[CHILDREN];
	world_init(&w, 256);
	world_sync(&w, "pods", 50);
	static struct stress s;
	s = (struct stress){.w = &w, .load = {.objects = 50}};
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			struct reader t = {.s = &s, .kind = (unsigned)(i % 2 ? 0 : 4)};
			reader_main(&t); /* stop is never set in this process */
			_exit(0);
		}
	}
	fake_await_consumers(w.d, CHILDREN);
	struct prng r = {5};
	uint64_t rv = 1000;
	for (unsigned round = 0; round < 300; round++) {
		unsigned who = (unsigned)prng_below(&r, CHILDREN);
		if (round == 150)
			kill(pids[0], SIGKILL);
		if (round == 200)
			kill(pids[1], SIGKILL);
		if (who > 1)
			kill(pids[who], prng_below(&r, 2) ? SIGSTOP : SIGCONT);
		fake_lock(w.d);
		for (unsigned i = 0; i < 40; i++)
			write_one(&s, &r, &rv);
		fake_unlock(w.d);
	}
	for (int i = 0; i < 2; i++) { /* dead as soon as the kernel comes to it */
		int status = 0;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	for (int i = 2; i < CHILDREN; i++) { /* alive: none has found anything wrong */
		assert_int_equal(waitpid(pids[i], NULL, WNOHANG), 0);
		kill(pids[i], SIGCONT);
	}
	for (int i = 2; i < CHILDREN; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	fake_await_consumers(w.d, 0);
	assert_int_equal(world_connect(&w), KR_OK); /* and a new one sees the right thing */
	struct fold f;
	struct kr_view v;
	fold_init(&f);
	world_fold(open_list(w.c, "pods"), &f, &v);
	fold_fini(&f);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(dead_and_stopped_consumers), /* first: it forks */
	        cmocka_unit_test(tiny_ring),
	        cmocka_unit_test(small_ring_with_relists),
	        cmocka_unit_test(hot_object),
	        cmocka_unit_test(one_change_per_view),
	        cmocka_unit_test(large_ring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
