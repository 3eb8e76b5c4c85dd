/* memory_test.c - the n-th allocation of the library fails, for every n that a program reaches: it
 * is told, and the same call again goes on where it was. Nothing is lost and nothing comes twice.
 * */
#include "client_world.h"

#include "harness/no_memory.h"

/* A call of the library; once more if there was no memory for it. */
#define CALL(r, call)                                                                              \
	do {                                                                                       \
		no_memory_paused = false;                                                          \
		(r) = (call);                                                                      \
		if ((r) == KR_ERR_MEMORY)                                                          \
			(r) = (call);                                                              \
		no_memory_paused = true;                                                           \
	} while (0)

enum { OBJECTS = 20, CHANGES = 5 };

static struct kr_list *open_list(struct world *w)
{
	const struct kr_options o = {
	        .size = sizeof o, .socket_path = w->path, .timeout_ns = WORLD_LONG_NS};
	const struct kr_list_spec spec = {
	        .size = sizeof spec, .cluster = "test", .version = "v1", .resource = "pods"};
	struct kr_list *l;
	int r;
	CALL(r, kr_connect(&w->c, &o));
	assert_int_equal(r, KR_OK);
	CALL(r, kr_list_open(w->c, &spec, &l));
	assert_int_equal(r, KR_OK);
	return l;
}

static void look_at_all(struct kr_list *l, struct kr_view *v)
{
	bool seen[OBJECTS] = {false};
	struct kr_object o;
	int r;
	CALL(r, kr_view_begin(l, v));
	assert_int_equal(r, KR_OK);
	for (unsigned i = 0; i < OBJECTS; i++) {
		CALL(r, kr_view_next(v, &o));
		assert_int_equal(r, KR_OK);
		unsigned long n = strtoul(o.name + 1, NULL, 10);
		assert_true(n < OBJECTS && !seen[n]);
		seen[n] = true;
	}
	CALL(r, kr_view_next(v, &o));
	assert_int_equal(r, KR_END);
	assert_int_equal(kr_view_end(v), KR_OK);
}

/* One of them too large for the buffer that was there. */
static void change_some(struct world *w)
{
	static struct fake_object o;
	enum store_outcome what;
	fake_lock(w->d);
	for (unsigned i = 0; i < CHANGES; i++) {
		fake_object(&o, "default", "n3", 1, 101 + i, i == 2 ? 6000 : 200);
		assert_int_equal(
		        store_upsert(fake_list(w->d, "test", "pods"), &o.o, fake_now(), &what),
		        ERR_OK);
	}
	fake_unlock(w->d);
}

/* n0 to n9 are gone in the next life, n10 to n19 newer, n20 to n29 new. */
static void follow_into_the_next_life(struct world *w, struct kr_view *v)
{
	unsigned seen[8] = {0};
	struct kr_change ch;
	int r;
	fake_kill(w->d);
	fake_free(&w->d);
	world_daemon(w);
	fake_lock(w->d);
	fake_sync(fake_list(w->d, "test", "pods"), OBJECTS / 2, OBJECTS, 7, 200);
	fake_unlock(w->d);
	do {
		CALL(r, kr_follow_next(&v->follow, &ch, WORLD_LONG_NS));
		assert_int_equal(r, KR_OK);
		seen[ch.type]++;
	} while (ch.type != KR_SYNCED);
	assert_int_equal(seen[KR_DELETED], OBJECTS / 2);
	assert_int_equal(seen[KR_MODIFIED], OBJECTS / 2);
	assert_int_equal(seen[KR_ADDED], OBJECTS / 2);
}

static void whichever_allocation_fails(void **state)
{
	uint64_t n = 0;
	(void)state;
	do {
		struct world w;
		struct kr_view v;
		struct kr_change ch;
		struct kr_object o;
		int r;
		no_memory_failed = false;
		no_memory_paused = true;
		no_memory_in = ++n;
		world_init(&w, 0);
		struct kr_list *l = open_list(&w);
		world_sync(&w, "pods", OBJECTS);
		look_at_all(l, &v);
		CALL(r, kr_get(l, "default", "n1", 0, &o));
		assert_int_equal(r, KR_OK);
		CALL(r, kr_follow_next(&v.follow, &ch, 0));
		assert_int_equal(r, KR_TIMEOUT);
		change_some(&w);
		for (unsigned i = 0; i < CHANGES; i++) {
			char rv[16];
			CALL(r, kr_follow_next(&v.follow, &ch, WORLD_LONG_NS));
			assert_int_equal(r, KR_OK);
			snprintf(rv, sizeof rv, "%u", 101 + i);
			assert_string_equal(ch.object.resource_version, rv);
		}
		follow_into_the_next_life(&w, &v);
		kr_follow_end(&v.follow);
		world_fini(&w);
	} while (no_memory_failed);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whichever_allocation_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
