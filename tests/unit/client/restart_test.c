/* The daemon dies and another one comes: nothing is lost, nothing is mixed. */
#include "client_world.h"

#include "base/prng.h"
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Follows until a change of this type has been folded. */
static void until(struct fold *f, struct kr_view *v, struct kr_change *ch, enum kr_type type)
{
	do {
		int r = kr_follow_next(&v->follow, ch, WORLD_LONG_NS);
		if (r != KR_OK)
			fail_msg("kr_follow_next: %s", kr_strerror(r));
		(void)fold_change(f, ch);
	} while (ch->type != type);
}

static void sync_range(
        struct world *w, const char *resource, unsigned first, unsigned count, uint64_t rv)
{
	fake_lock(w->d);
	fake_sync(fake_list(w->d, "test", resource), first, count, rv, 1000);
	fake_unlock(w->d);
}

static void the_old_state_is_served_and_marked_stale(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	struct kr_object o;
	struct kr_list_status s;
	struct kr_list *l = world_followed(&w, 0, 20, &f, &v);
	world_put(&w, "pods", "n1", 101); /* not followed yet when it dies */
	fake_kill(w.d);
	fake_free(&w.d);
	world_expect(&f, &v, &ch, KR_MODIFIED); /* the old ring is worked off first */
	world_expect(&f, &v, &ch, KR_STATE);
	assert_int_equal(ch.state, KR_LIST_STALE);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT); /* once */
	world_status(l, &s);
	assert_int_equal(s.state, KR_LIST_STALE);
	assert_int_equal(s.whole, 1);
	assert_int_equal(s.objects, 20);
	assert_string_equal(s.error_name, "DAEMON_GONE");
	assert_non_null(strstr(s.error_text, "went away"));
	assert_true(s.stale_ns > 0);
	assert_int_equal(kr_get(l, "default", "n1", 0, &o), KR_OK);
	assert_string_equal(o.resource_version, "101");
	struct kr_view again;
	struct fold g;
	fold_init(&g);
	world_fold(l, &g, &again);
	assert_int_equal(g.digest, f.digest);
	assert_int_equal(kr_list_wait_live(l, 1000000), KR_TIMEOUT);
	char *json;
	size_t n;
	assert_int_equal(kr_query(w.c, "status", &json, &n), KR_ERR_UNREACHABLE);
	assert_non_null(strstr(kr_last_error(w.c), "start it"));
	struct kr_list *other;
	assert_int_equal(kr_list_open(w.c,
	                         &(struct kr_list_spec){.size = sizeof(struct kr_list_spec),
	                                 .cluster = "test",
	                                 .version = "v1",
	                                 .resource = "x"},
	                         &other),
	        KR_ERR_UNREACHABLE);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	fold_fini(&g);
	world_fini(&w);
}

/* Of n0..n29: n0..n9 are gone, n10..n27 as they were, n28 has another uid, n29 is newer; n30..n34
 * are new. Returns the digest. */
static uint64_t sync_differently(struct world *w)
{
	static struct fake_object o;
	struct store_sync_result result;
	fake_lock(w->d);
	struct store_list *l = fake_list(w->d, "test", "pods");
	store_sync_begin(l, fake_now());
	for (unsigned i = 10; i < 35; i++) {
		char name[16];
		uint64_t rv = i < 29 ? 1 : i == 29 ? 60 : 70;
		snprintf(name, sizeof name, "n%u", i);
		fake_object(&o, "default", name, i == 28 ? 2 : 1, rv, 200);
		assert_int_equal(store_sync_item(l, &o.o, fake_now()), ERR_OK);
	}
	assert_int_equal(store_sync_commit(l, SPAN("500"), false, fake_now(), &result), ERR_OK);
	store_list_state(l, SHM_LIST_LIVE, ERR_OK, NULL, fake_now());
	uint64_t digest = store_list_digest(l);
	fake_unlock(w->d);
	return digest;
}

static void the_difference_is_handed_out(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	struct kr_object o;
	struct kr_list_status s;
	unsigned seen[8] = {0}, recreated = 0;
	struct kr_list *l = world_followed(&w, 64, 30, &f, &v);
	for (unsigned i = 0; i < 50; i++) { /* the old ring goes round, the new one will not */
		world_put(&w, "pods", "passing", 1000 + 2 * i);
		world_delete(&w, "pods", "passing", 1001 + 2 * i);
		until(&f, &v, &ch, KR_DELETED);
	}
	world_put(&w, "pods", "n29", 50);
	world_replace(&w);
	until(&f, &v, &ch, KR_STATE);  /* n29, then stale */
	while (fake_opens(w.d) == 0) { /* attached again, the list opened again, but not whole */
		assert_int_equal(kr_follow_next(&v.follow, &ch, 10000000), KR_TIMEOUT);
	}
	assert_int_equal(kr_get(l, "default", "n0", 0, &o), KR_OK); /* still the old one */
	while (world_status(l, &s), strcmp(s.error_name, "DAEMON_REPLACED") != 0)
		assert_int_equal(kr_follow_next(&v.follow, &ch, 10000000), KR_TIMEOUT);
	assert_int_equal(s.state, KR_LIST_STALE);
	assert_int_equal(s.whole, 1);
	uint64_t digest = sync_differently(&w);
	do {
		assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
		assert_true(fold_change(&f, &ch));
		assert_true(ch.flags & KR_FROM_RESTART);
		assert_int_equal(kr_change_check(&v.follow, &ch), KR_OK); /* a copy */
		assert_ptr_equal(ch.list, l);
		seen[ch.type]++;
		recreated += (ch.flags & KR_RECREATED) != 0;
		if (ch.type == KR_DELETED)
			assert_true(ch.flags & KR_FINAL_STATE_UNKNOWN);
	} while (ch.type != KR_SYNCED);
	assert_int_equal(seen[KR_DELETED], 11);
	assert_int_equal(seen[KR_ADDED], 6);
	assert_int_equal(seen[KR_MODIFIED], 1);
	assert_int_equal(recreated, 2);
	assert_string_equal(ch.resource_version, "500");
	assert_int_equal(ch.digest, digest);
	assert_int_equal(f.digest, digest);
	assert_string_equal(fold_rv(&f, "default", "n29"), "60");
	world_expect(&f, &v, &ch, KR_STATE);
	assert_int_equal(ch.state, KR_LIST_LIVE);
	world_put(&w, "pods", "n30", 80); /* and on with the new one */
	world_expect(&f, &v, &ch, KR_MODIFIED);
	assert_int_equal(ch.flags, 0);
	assert_int_equal(kr_get(l, "default", "n0", 0, &o), KR_ERR_NOT_FOUND);
	world_status(l, &s);
	assert_int_equal(s.state, KR_LIST_LIVE);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

/* No follow, only gets and status: the list changes over by itself. */
static void without_a_follow(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	struct kr_list *l = world_pods(&w, 0, 5);
	assert_int_equal(kr_get(l, "default", "n0", KR_BORROW, &o), KR_OK);
	world_replace(&w);
	sync_range(&w, "pods", 3, 5, 9);
	assert_true(
	        fake_json_is(o.json, o.json_bytes, "default", "n0", o.uid, "1")); /* still mapped */
	assert_int_equal(kr_list_wait_version(l, "1000", WORLD_LONG_NS), KR_OK);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	assert_true(fake_json_is(o.json, o.json_bytes, "default", "n0", o.uid, "1"));
	assert_int_equal(kr_get(l, "default", "n0", 0, &o), KR_ERR_NOT_FOUND);
	assert_int_equal(kr_get(l, "default", "n7", 0, &o), KR_OK);
	world_fini(&w);
}

/* Views and follows of both lives at once: each stays in its own. */
static void two_lives_are_never_mixed(void **state)
{
	(void)state;
	struct world w;
	struct kr_view old, new;
	struct kr_change ch;
	struct kr_object o;
	struct kr_list *l = world_pods(&w, 0, 50);
	assert_int_equal(kr_view_begin(l, &old), KR_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(kr_view_next(&old, &o), KR_OK);
	world_replace(&w);
	sync_range(&w, "pods", 0, 80, 9);
	assert_int_equal(kr_list_wait_version(l, "1000", WORLD_LONG_NS), KR_OK);
	assert_int_equal(kr_view_begin(l, &new), KR_OK);
	unsigned n = 10, m = 0;
	while (kr_view_next(&old, &o) == KR_OK) {
		assert_string_equal(o.resource_version, "1");
		n++;
	}
	assert_int_equal(n, 50);
	assert_int_equal(kr_view_end(&old), KR_OK);
	while (kr_view_next(&new, &o) == KR_OK) {
		assert_string_equal(o.resource_version, "9");
		m++;
	}
	assert_int_equal(m, 80);
	assert_int_equal(kr_view_end(&new), KR_OK);
	/* A follow that was never begun in the life of its view cannot know the difference, and
	 * says so. */
	assert_int_equal(kr_follow_next(&old.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_RESET);
	world_put(&w, "pods", "n1", 10);
	assert_int_equal(kr_follow_next(&new.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_MODIFIED);
	kr_follow_end(&old.follow);
	kr_follow_end(&new.follow);
	world_fini(&w);
}

static void overrun_before_the_end_is_a_reset_or_overrun(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	struct kr_list *l = world_followed(&w, 16, 5, &f, &v);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	for (unsigned i = 0; i < 100; i++)
		world_put(&w, "pods", "n1", 101 + i);
	world_replace(&w);
	sync_range(&w, "pods", 0, 5, 900);
	int r = kr_follow_next(&v.follow, &ch, WORLD_LONG_NS);
	assert_true(r == KR_ERR_OVERRUN || (r == KR_OK && ch.type == KR_RESET));
	kr_follow_end(&v.follow);
	assert_int_equal(kr_list_wait_version(l, "1000", WORLD_LONG_NS), KR_OK);
	world_fold(l, &f, &v);
	assert_string_equal(fold_rv(&f, "default", "n1"), "900");
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

/* What the old daemon wrote last lies in segments that this client had not mapped when it died. */
static void the_end_was_never_mapped(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	static struct fake_object o;
	enum store_outcome what;
	struct kr_list *l = world_followed(&w, 0, 5, &f, &v);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	fake_lock(w.d);
	for (unsigned i = 0; i < 5500;
	        i++) { /* 9 MB in segments of 4; what is found with two walks */
		fake_object(&o, "default", "n1", 1, 101 + i, i < 1000 ? 200 : 2000);
		assert_int_equal(
		        store_upsert(fake_list(w.d, "test", "pods"), &o.o, fake_now(), &what),
		        ERR_OK);
	}
	fake_unlock(w.d);
	world_replace(&w);
	sync_range(&w, "pods", 0, 7, 9000);
	int r;
	while ((r = kr_follow_next(&v.follow, &ch, WORLD_LONG_NS)) == KR_OK && fold_change(&f, &ch))
		assert_true(ch.type == KR_MODIFIED ||
		            ch.type == KR_STATE); /* what could be read, in order */
	assert_int_equal(r, KR_OK);
	assert_int_equal(ch.type, KR_RESET);
	world_put(&w, "pods", "n1", 9001); /* nothing of the old ring is asked for in the new one */
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_string_equal(ch.object.resource_version, "9001");
	kr_follow_end(&v.follow);
	world_fold(l, &f, &v);
	assert_int_equal(f.count, 7);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

static void a_list_that_was_never_whole_moves_quietly(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	fold_init(&f);
	world_fold(l, &f, &v);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	world_replace(&w);
	until(&f, &v, &ch, KR_STATE); /* stale */
	while (fake_opens(w.d) == 0)
		(void)kr_follow_next(&v.follow, &ch, 10000000);
	world_sync(&w, "pods", 7);
	for (;;) {
		assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
		if (!fold_change(&f, &ch)) {
			kr_follow_end(&v.follow);
			world_fold(l, &f, &v);
			break;
		}
		if (ch.type == KR_SYNCED)
			break;
	}
	assert_int_equal(f.count, 7);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

/* The same daemon closed our socket and lives on: the memory is the same, so nothing is lost and
 * nothing is said twice. */
static void the_same_life_again(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	struct kr_list *l = world_followed(&w, 0, 5, &f, &v);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	fake_drop(w.d);
	world_put(&w, "pods", "n1", 101);
	until(&f, &v, &ch, KR_MODIFIED);
	while (kr_list_wait_live(l, 0) == KR_TIMEOUT)
		if (kr_follow_next(&v.follow, &ch, 10000000) == KR_OK) {
			assert_int_equal(ch.type, KR_STATE);
			assert_true(fold_change(&f, &ch));
		}
	world_put(&w, "pods", "n2", 102);
	until(&f, &v, &ch, KR_MODIFIED);
	assert_int_equal(f.resets + f.restarts, 0);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	world_fini(&w);
}

/* Shards of dead daemons that are mapped somewhere in this process. */
static unsigned control_segments(void)
{
	char line[512];
	unsigned n = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		n += strstr(line, "memfd:kubering-control") != NULL;
	fclose(f);
	return n;
}

static void settle(struct world *w, struct kr_list *l)
{
	world_replace(w);
	world_sync(w, "pods", 5);
	int r;
	do
		r = kr_list_wait_live(l, 20000000);
	while (r != KR_OK || fake_opens(w->d) == 0);
}

/* The memory of a dead daemon is kept for a loan that is out, and for nothing else: nobody else
 * holds it, so it would be paid for twice. */
static void the_old_memory_goes_with_the_last_use(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_object o, seen;
	struct kr_list *l = world_pods(&w, 0, 5);
	assert_int_equal(kr_get(l, "default", "n1", 0, &o), KR_OK); /* a copy holds nothing */
	settle(&w, l);
	assert_int_equal(control_segments(), 2); /* the daemon's, and ours of it */
	assert_int_equal(kr_get(l, "default", "n1", KR_BORROW, &o), KR_OK);
	assert_int_equal(kr_view_begin_flags(l, &v, KR_BORROW), KR_OK);
	assert_int_equal(kr_view_next(&v, &seen), KR_OK);
	for (int i = 0; i < 3; i++) {
		settle(&w, l);
		assert_int_equal(control_segments(), 3);
		assert_true(fake_json_is(o.json, o.json_bytes, "default", "n1", o.uid, "1"));
		assert_int_equal(kr_check(l, &o), KR_OK);
		assert_int_equal(kr_check(l, &seen), KR_OK);
	}
	assert_int_equal(kr_get(l, "default", "n1", 0, &o), KR_OK); /* ends it */
	assert_int_equal(control_segments(), 3);
	assert_int_equal(kr_check(l, &seen), KR_OK);
	kr_view_end(&v);
	assert_int_equal(control_segments(), 2);
	assert_int_equal(kr_check(l, &seen), KR_ERR_TORN);
	world_fini(&w);
}

/* The socket was lost while a segment was being asked for ahead: after the same life has come
 * again, segments are asked for ahead as before, so that they are there when the daemon is not. */
static void segments_are_fetched_ahead_after_a_lost_question(void **state)
{
	(void)state;
	struct world w;
	struct kr_object o;
	world_open(&w, 0);
	struct kr_list *l = world_list(&w, "pods");
	fake_lie(w.d, FAKE_LIE_SILENT);
	world_sync(&w, "pods", 20000);
	assert_int_equal(kr_list_wait_live(l, 0), KR_OK); /* asks for the first new segment */
	fake_drop(w.d);
	fake_lie(w.d, FAKE_LIE_NONE);
	while (fake_opens(w.d) < 2)
		(void)kr_list_wait_live(l, 20000000);
	for (int i = 0; i < 32; i++)
		world_ask(&w); /* each takes the answer before it, which asks on */
	fake_kill(w.d);
	fake_free(&w.d);
	if (kr_get(l, "default", "n19999", 0, &o) != KR_OK)
		fail_msg("%s", kr_last_error(w.c));
	world_fini(&w);
}

static void the_new_daemon_refuses(void **state)
{
	(void)state;
	struct world w;
	struct kr_list_status s;
	struct kr_list *l = world_pods(&w, 0, 5);
	fake_kill(w.d);
	fake_free(&w.d);
	world_daemon(&w);
	fake_lie(w.d, FAKE_LIE_REFUSE);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(kr_list_wait_live(l, 20000000), KR_TIMEOUT);
		world_status(l, &s);
		assert_int_equal(s.state, KR_LIST_STALE);
	}
	fake_lie(w.d, FAKE_LIE_UNSEALED); /* attaches, but its memory is not taken */
	while (fake_opens(w.d) == 0)
		assert_int_equal(kr_list_wait_live(l, 20000000), KR_TIMEOUT);
	assert_int_equal(kr_list_wait_live(l, 300000000), KR_TIMEOUT);
	fake_await_closes(w.d, fake_opens(w.d)); /* what cannot be used is given back */
	fake_lie(w.d, FAKE_LIE_NONE);
	world_sync(&w, "pods", 5);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	world_fini(&w);
}

static void an_orderly_stop_says_why(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_list_status s;
	struct kr_list *l = world_pods(&w, 0, 5);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	fake_stop(w.d);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_STATE);
	world_status(l, &s);
	assert_non_null(strstr(s.error_text, "is stopping"));
	fake_free(&w.d);
	world_daemon(&w);
	world_sync(&w, "pods", 5);
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	fake_kill(w.d); /* and this one has not said so */
	do
		(void)kr_list_wait_live(l, 1000000);
	while (world_status(l, &s), s.state == KR_LIST_LIVE);
	assert_non_null(strstr(s.error_text, "went away"));
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* It said that it stopped, its heart does not beat, and yet somebody holds on to the socket. */
static void a_stopped_daemon_that_keeps_its_socket(void **state)
{
	(void)state;
	struct world w;
	struct kr_view v;
	struct kr_change ch;
	struct kr_list_status s;
	struct kr_list *l = world_pods(&w, 0, 5);
	assert_int_equal(kr_view_begin(l, &v), KR_OK);
	kr_view_end(&v);
	assert_int_equal(kr_follow_next(&v.follow, &ch, 0), KR_TIMEOUT);
	fake_lock(w.d);
	store_stop(fake_store(w.d));
	fake_unlock(w.d);
	fake_lie(w.d, FAKE_LIE_SILENT); /* nobody to attach to */
	fake_beat(w.d, false);
	assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
	assert_int_equal(ch.type, KR_STATE);
	assert_int_equal(ch.state, KR_LIST_STALE);
	do
		world_status(l, &s);
	while (strcmp(s.error_name, "DAEMON_GONE") != 0);
	assert_non_null(strstr(s.error_text, "has stopped"));
	assert_int_equal(s.state, KR_LIST_STALE);
	kr_follow_end(&v.follow);
	world_fini(&w);
}

/* Several follows of several lists, several deaths in a row. */
static void many_follows_many_lives(void **state)
{
	(void)state;
	enum { LISTS = 3, FOLLOWS = 2, LIVES = 4 };
	static const char *const names[LISTS] = {"a", "b", "c"};
	struct world w;
	struct kr_list *l[LISTS];
	struct kr_view v[LISTS * FOLLOWS];
	struct fold f[LISTS * FOLLOWS];
	struct kr_follow *follows[LISTS * FOLLOWS];
	struct kr_change ch;
	size_t which;
	world_open(&w, 0);
	for (int i = 0; i < LISTS; i++) {
		l[i] = world_list(&w, names[i]);
		world_sync(&w, names[i], 20);
	}
	for (int i = 0; i < LISTS * FOLLOWS; i++) {
		fold_init(&f[i]);
		world_fold(l[i % LISTS], &f[i], &v[i]);
		follows[i] = &v[i].follow;
	}
	for (unsigned life = 1; life <= LIVES; life++) {
		while (kr_follow_any(follows, LISTS * FOLLOWS, &which, &ch, 0) == KR_OK)
			assert_true(fold_change(&f[which], &ch));
		world_replace(&w);
		for (int i = 0; i < LISTS; i++)
			sync_range(&w, names[i], life * 5, 20, life + 1);
		unsigned synced = 0;
		while (synced < LISTS * FOLLOWS) {
			assert_int_equal(
			        kr_follow_any(follows, LISTS * FOLLOWS, &which, &ch, WORLD_LONG_NS),
			        KR_OK);
			assert_true(fold_change(&f[which], &ch));
			synced += ch.type == KR_SYNCED;
		}
		for (int i = 0; i < LISTS * FOLLOWS; i++) {
			assert_int_equal(f[i].count, 20);
			assert_int_equal(f[i].digest, f[i % LISTS].digest);
		}
	}
	for (int i = 0; i < LISTS * FOLLOWS; i++) {
		kr_follow_end(&v[i].follow);
		fold_fini(&f[i]);
	}
	world_fini(&w);
}

/* --- SIGKILL of a real process, at any point of what it writes ----------------------------------
 */

/* The daemon's process: syncs, then changes things as fast as it can until it is killed. */
static _Noreturn void daemon_process(struct world *w)
{
	uint64_t rv = w->life * 1000000;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* not longer than the test */
	world_daemon(w);
	for (;;) {
		fake_lock(w->d);
		fake_sync(fake_list(w->d, "test", "pods"), (unsigned)(rv % 7), 40, rv, rv);
		fake_unlock(w->d);
		for (unsigned i = 0; i < 200; i++) {
			char name[16];
			snprintf(name, sizeof name, "n%u", i % 50);
			fake_lock(w->d);
			if (i % 9 == 8)
				fake_delete(fake_list(w->d, "test", "pods"), name, 1, ++rv);
			else
				fake_put(fake_list(w->d, "test", "pods"), name, 1, ++rv);
			fake_unlock(w->d);
		}
		rv += 1000;
	}
}

static pid_t start(struct world *w)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		daemon_process(w);
	w->life++; /* as world_daemon does in the child */
	return pid;
}

/* In whichever life, and between two: an object that is found is whole, and the last whole state is
 * served also where a batch was never finished. */
static void look(struct kr_list *l, unsigned i)
{
	char name[16];
	struct kr_object o;
	struct kr_view v;
	snprintf(name, sizeof name, "n%u", i % 50);
	int r = kr_get(l, "default", name, 0, &o);
	if (r == KR_OK)
		assert_true(fake_json_is(
		        o.json, o.json_bytes, "default", name, o.uid, o.resource_version));
	else
		assert_int_equal(r, KR_ERR_NOT_FOUND);
	if (i % 16)
		return;
	while ((r = kr_view_begin(l, &v)) == KR_ERR_OVERRUN)
		;
	assert_int_equal(r, KR_OK);
	assert_true(v.whole);
	uint64_t n = 0;
	while ((r = kr_view_next(&v, &o)) == KR_OK)
		n++;
	assert_true(r == KR_END || r == KR_ERR_OVERRUN);
	assert_true(n == v.count || r == KR_ERR_OVERRUN);
	kr_view_end(&v);
}

static void killed_anywhere(void **state)
{
	(void)state;
	enum { KILLS = 12 };
	struct world w = {
	        .config = {.lists_max = 16, .ring_entries = 4096, .block_segment_bytes = 4 << 20}};
	struct kr_view v;
	struct fold f;
	struct kr_change ch;
	struct prng r = {4711};
	strcpy(w.dir, "/tmp/kr-test-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	snprintf(w.path, sizeof w.path, "%s/sock", w.dir);
	pid_t pid = start(&w);
	uint64_t late = fake_now() + (uint64_t)WORLD_LONG_NS;
	while (world_connect(&w) != KR_OK) {
		assert_true(fake_now() < late);
		sched_yield();
	}
	struct kr_list *l = world_list(&w, "pods");
	assert_int_equal(kr_list_wait_live(l, WORLD_LONG_NS), KR_OK);
	fold_init(&f);
	world_fold(l, &f, &v);
	unsigned retaken = 0, limit = 300;
	for (unsigned kill_at = 0, n = 0; kill_at < KILLS; n++) {
		int got = kr_follow_next(&v.follow, &ch, WORLD_LONG_NS);
		if (got == KR_ERR_OVERRUN || (got == KR_OK && !fold_change(&f, &ch))) {
			retaken++; /* said openly: the way back works */
			kr_follow_end(&v.follow);
			int again;
			while ((again = kr_view_begin(l, &v)) == KR_ERR_STUCK ||
			        again == KR_ERR_OVERRUN ||
			        (again == KR_OK && (again = fold_view(&f, &v)) == KR_ERR_OVERRUN))
				(void)kr_list_wait_live(l, 50000000);
			assert_int_equal(again, KR_OK);
			continue;
		}
		assert_int_equal(got, KR_OK);
		look(l, n);
		if (n < limit)
			continue;
		limit = 50 + (unsigned)prng_below(&r, 1500);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		for (unsigned i = 0; i < 100; i++)
			look(l, i);
		pid = start(&w);
		kill_at++;
		n = 0;
	}
	assert_true(f.restarts > 0);
	print_message(
	        "killed %d times: %lu changes, %lu differences, %lu resets, %u lists taken again\n",
	        KILLS, f.changes, f.restarts, f.resets, retaken);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	kr_follow_end(&v.follow);
	fold_fini(&f);
	kr_close(w.c);
	unlink(w.path);
	assert_int_equal(rmdir(w.dir), 0);
}

/* Positions are of one life: where the one before stood says nothing about what there is to come.
 */
static void a_follow_begun_in_the_next_life_has_its_changes(void **state)
{
	(void)state;
	for (unsigned older = 0; older <= 40; older += 40) {
		struct world w;
		struct kr_view v;
		struct kr_change ch;
		struct kr_list *l = world_pods(&w, 0, 5);
		for (unsigned i = 0; i < older; i++)
			world_put(&w, "pods", "n1", 101 + i);
		assert_int_equal(kr_view_begin(l, &v), KR_OK);
		(void)kr_view_end(&v); /* of the view, only where it stood is wanted */
		world_replace(&w);
		sync_range(&w, "pods", 0, 5, 9);
		assert_int_equal(kr_list_wait_version(l, "1000", WORLD_LONG_NS), KR_OK);
		for (unsigned i = 0; i < 40 - older; i++)
			world_put(&w, "pods", "n2", 1001 + i);
		assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
		assert_int_equal(ch.type, KR_RESET);
		world_put(&w, "pods", "n1", 2000);
		assert_int_equal(kr_follow_next(&v.follow, &ch, WORLD_LONG_NS), KR_OK);
		assert_int_equal(ch.type, KR_MODIFIED);
		assert_string_equal(ch.object.resource_version, "2000");
		kr_follow_end(&v.follow);
		world_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(killed_anywhere), /* first: it forks */
	        cmocka_unit_test(the_old_state_is_served_and_marked_stale),
	        cmocka_unit_test(the_difference_is_handed_out),
	        cmocka_unit_test(without_a_follow),
	        cmocka_unit_test(two_lives_are_never_mixed),
	        cmocka_unit_test(overrun_before_the_end_is_a_reset_or_overrun),
	        cmocka_unit_test(the_end_was_never_mapped),
	        cmocka_unit_test(a_list_that_was_never_whole_moves_quietly),
	        cmocka_unit_test(the_same_life_again),
	        cmocka_unit_test(the_old_memory_goes_with_the_last_use),
	        cmocka_unit_test(segments_are_fetched_ahead_after_a_lost_question),
	        cmocka_unit_test(the_new_daemon_refuses),
	        cmocka_unit_test(an_orderly_stop_says_why),
	        cmocka_unit_test(a_stopped_daemon_that_keeps_its_socket),
	        cmocka_unit_test(many_follows_many_lives),
	        cmocka_unit_test(a_follow_begun_in_the_next_life_has_its_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
