/* left_test.c - objects that an API server takes and nobody here can hold: the list is live without
 * them, and says so; what is broken is refused as ever. */
#include "base/check.h"
#include "reactor/feed_left.h"
#include "unit/reactor/world.h"

#define OF_NAME(name, namespace, rv)                                                               \
	"\"metadata\":{\"name\":\"" name                                                           \
	"\",\"namespace\":\"" namespace "\",\"uid\":\"u-b\","                                      \
	                                "\"resourceVersion\":\"" rv "\"}"

static struct world w;
static struct feed *f;
static char long_name[3001], deep[601], text[8192];

static int open_feed(void **state)
{
	(void)state;
	memset(long_name, 'x', sizeof long_name - 1);
	memset(deep, '[', 300);
	memset(deep + 300, ']', 300);
	world_init(&w);
	add_cluster(&w, 0, false);
	f = open_list(&w, 0, 0);
	return 0;
}

static int close_feed(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

/* Lists at version 10 with a at 5 and whatever else. */
static void list_alone(const char *more)
{
	static char body[8192];
	connect_ok(&w, 0);
	snprintf(body, sizeof body, LIST_JSON("10", "%s" ITEM_JSON("a", "5")), more);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", body);
}

/* Then the stream opens. */
static void list_with(const char *more)
{
	list_alone(more);
	fake_io_bytes(fake_io_sock(&w.io, 0), STREAM_HEAD);
	turn(&w);
}

static void hear(const char *ev)
{
	chunk(fake_io_sock(&w.io, 0), ev, strlen(ev));
	turn(&w);
}

/* b of namespace n, 300 levels deep. */
static void hear_deep(const char *type, const char *rv)
{
	snprintf(text, sizeof text,
	        "{\"type\":\"%s\",\"object\":{\"spec\":%s,\"metadata\":{\"name\":\"b\","
	        "\"namespace\":\"n\",\"uid\":\"u-b\",\"resourceVersion\":\"%s\"}}}\n",
	        type, deep, rv);
	hear(text);
}

static void hear_long(const char *type, const char *rv)
{
	snprintf(text, sizeof text,
	        "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\","
	        "\"resourceVersion\":\"%s\"}}}\n",
	        type, long_name, rv);
	hear(text);
}

static void is_live(const char *version, uint64_t objects)
{
	assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	assert_int_equal(row_at(f)->last_error, ERR_OK);
	assert_string_equal(row_at(f)->rv, version);
	assert_string_equal(f->watch.rv, version);
	assert_int_equal(row_at(f)->objects, objects);
	assert_int_equal(row_at(f)->relists, 0);
}

static void is_told(uint32_t names, uint32_t levels, const char *namespace_)
{
	struct reactor_note *n = take_note(&w, REACTOR_LEFT_OUT);
	assert_non_null(n);
	assert_int_equal(n->id, f->id);
	assert_int_equal(n->cluster, 0);
	assert_int_equal(n->left_names, names);
	assert_int_equal(n->left_deep, levels);
	assert_string_equal(n->text, namespace_);
	reactor_note_free(&n);
}

static void nothing_is_told(void)
{
	assert_null(take_note(&w, REACTOR_LEFT_OUT));
}

/* The operation of the last change but `back`. */
static uint8_t op_of(unsigned back)
{
	const struct shm_entry *e =
	        &w.r->stores[0]->shard.write.ring[(f->list->last_change - back) &
	                                          (w.r->config.ring_entries - 1)];
	return e->op;
}

static bool has_b(void)
{
	struct store_held held;
	return store_peek(f->list, SPAN("n"), SPAN("b"), &held);
}

static void a_list_is_live_without_them(void **state)
{
	(void)state;
	snprintf(text, sizeof text,
	        "{" OF_NAME("a\\u0000b", "evil", "6") "},{\"metadata\":{\"name\":\"%s\"}},"
	                                              "{\"spec\":%s," OF_NAME("b", "m", "7") "},",
	        long_name, deep);
	list_with(text);
	is_live("10", 1);
	is_told(2, 1, "m");
	nothing_is_told();
	assert_int_equal(w.r->left_out, 3);
	uint64_t digest = row_at(f)->digest;
	world_fini(&w);
	open_feed(state);
	list_with("");
	is_live("10", 1);
	nothing_is_told();
	assert_int_equal(row_at(f)->digest, digest);
}

static void events_of_names_that_cannot_be_held_change_nothing(void **state)
{
	(void)state;
	list_with("");
	uint64_t digest = row_at(f)->digest, change = f->list->last_change;
	hear_long("ADDED", "11");
	is_live("11", 1);
	is_told(1, 0, "n");
	hear("{\"type\":\"ADDED\",\"object\":{" OF_NAME("\\u0000", "m", "12") "}}\n");
	hear_long("MODIFIED", "13");
	hear_long("DELETED", "14");
	is_live("14", 1);
	assert_int_equal(row_at(f)->digest, digest);
	assert_int_equal(f->list->last_change, change);
	assert_int_equal(f->left->live.names, 1);
	nothing_is_told(); /* once is enough */
	assert_int_equal(w.r->left_out, 2);
	hear(EVENT_JSON("ADDED", "b", "15"));
	is_live("15", 2);
}

static void what_becomes_too_deep_goes_and_comes_back(void **state)
{
	(void)state;
	list_with("");
	uint64_t digest = row_at(f)->digest;
	hear(EVENT_JSON("ADDED", "b", "11"));
	assert_true(has_b());
	hear_deep("MODIFIED", "12");
	assert_false(has_b());
	is_live("12", 1);
	assert_int_equal(op_of(0), SHM_OP_DELETED);
	assert_int_equal(row_at(f)->digest, digest);
	is_told(0, 1, "n");
	hear_deep("MODIFIED", "13"); /* it is not there: nothing */
	is_live("13", 1);
	assert_int_equal(f->left->live.deep, 1);
	hear(EVENT_JSON("MODIFIED", "b", "14"));
	is_live("14", 2);
	assert_int_equal(op_of(0), SHM_OP_ADDED);
	hear_deep("DELETED", "15");
	is_live("15", 1);
	assert_int_equal(op_of(0), SHM_OP_DELETED);
	hear_deep("ADDED", "16");
	is_live("16", 1);
	hear_deep("DELETED", "17");
	is_live("17", 1);
	assert_int_equal(row_at(f)->digest, digest);
	assert_int_equal(w.r->errors, 0);
	nothing_is_told();
}

static void a_streaming_list_is_live_without_them(void **state)
{
	(void)state;
	world_fini(&w);
	world_init(&w);
	add_cluster(&w, 0, true);
	f = open_list(&w, 0, 0);
	connect_ok(&w, 0);
	fake_io_bytes(fake_io_sock(&w.io, 0), STREAM_HEAD);
	hear(EVENT_JSON("ADDED", "a", "5"));
	hear_long("ADDED", "6");
	hear_deep("ADDED", "7");
	hear(EVENT_JSON("ADDED", "b", "8"));
	hear_deep("MODIFIED", "9"); /* the same b: it was shallow for a moment */
	assert_int_equal(row_at(f)->whole, 0);
	hear("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
	     "\"resourceVersion\":\"10\",\"annotations\":{"
	     "\"k8s.io/initial-events-end\":\"true\"}}}}\n");
	is_live("10", 1);
	assert_false(has_b());
	assert_int_equal(f->left->live.names, 1);
	assert_true(f->left->live.deep >= 1);
}

static void what_is_broken_is_refused_as_ever(void **state)
{
	(void)state;
	static const char *const bad[] = {"{\"spec\":%s," OF_NAME("b", "n", "7") ",}",
	        "{\"spec\":%s}", "{\"spec\":%sx," OF_NAME("b", "n", "7") "}",
	        "{\"spec\":[1 2],\"more\":%s," OF_NAME("b", "n", "7") "}",
	        "{\"more\":%s," OF_NAME("b\\u0000", "\\u0000", "7") "}"};
	list_with("");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char object[2048];
		snprintf(object, sizeof object, bad[i], deep);
		snprintf(text, sizeof text, "{\"type\":\"MODIFIED\",\"object\":%s}\n", object);
		hear(text);
		assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
		assert_true(f->watch.relist);
		/* and in the list that is taken then, twice */
		while (!fake_io_count(&w.io))
			pass(&w, WHEEL_TICK_NS);
		snprintf(text, sizeof text, "%s,", object);
		list_alone(text);
		assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
		while (!fake_io_count(&w.io))
			pass(&w, WHEEL_TICK_NS);
		list_with("");
		assert_int_equal(row_at(f)->state, SHM_LIST_LIVE);
	}
	assert_int_equal(row_at(f)->objects, 1);
	assert_int_equal(w.r->left_out, 0);
	nothing_is_told();
}

/* A list that is taken again tells what it is without then. */
static void the_count_follows_the_list(void **state)
{
	(void)state;
	list_with("{" OF_NAME("\\u0000", "m", "6") "},");
	is_told(1, 0, "m");
	hear("{\"type\":\"MODIFIED\",\"object\":{}}\n"); /* broken: taken again */
	while (!fake_io_count(&w.io))
		pass(&w, WHEEL_TICK_NS);
	list_with("{" OF_NAME("\\u0000", "m", "6") "},");
	nothing_is_told();
	hear("{\"type\":\"MODIFIED\",\"object\":{}}\n");
	while (!fake_io_count(&w.io))
		pass(&w, WHEEL_TICK_NS);
	list_with("");
	is_told(0, 0, "m");
}

static void ask_audit(const char *item)
{
	struct reactor_msg *m = msg(REACTOR_AUDIT);
	m->id = 1;
	post(&w, m);
	if (!item)
		return;
	connect_ok(&w, 1);
	snprintf(text, sizeof text, LIST_JSON("10", "%s" ITEM_JSON("a", "5")), item);
	answer(&w, fake_io_sock(&w.io, 1), "200 OK", text);
}

static void expect_verdict(enum reactor_verdict verdict, const char *why)
{
	for (int i = 0; i < 2; i++) {
		struct reactor_note *n = take_note(&w, REACTOR_AUDITED);
		assert_non_null(n);
		assert_int_equal(n->verdict, verdict);
		assert_non_null(strstr(n->text, why));
		reactor_note_free(&n);
	}
}

static void an_audit_leaves_out_the_same(void **state)
{
	(void)state;
	static const char item[] = "{" OF_NAME("a\\u0000b", "m", "6") "},";
	list_with(item);
	ask_audit(item);
	expect_verdict(REACTOR_AUDIT_EQUAL, "1 objects at version 10");
}

static void an_audit_of_a_list_without_deep_ones_says_nothing(void **state)
{
	(void)state;
	snprintf(text, sizeof text, "{\"spec\":%s," OF_NAME("b", "n", "7") "},", deep);
	list_with(text);
	ask_audit(NULL); /* there is nothing to ask */
	expect_verdict(REACTOR_AUDIT_NO_VERDICT, "nested too deep");
	is_live("10", 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_feed, close_feed)
	const struct CMUnitTest tests[] = {
	        TEST(a_list_is_live_without_them),
	        TEST(events_of_names_that_cannot_be_held_change_nothing),
	        TEST(what_becomes_too_deep_goes_and_comes_back),
	        TEST(a_streaming_list_is_live_without_them),
	        TEST(what_is_broken_is_refused_as_ever),
	        TEST(the_count_follows_the_list),
	        TEST(an_audit_leaves_out_the_same),
	        TEST(an_audit_of_a_list_without_deep_ones_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
