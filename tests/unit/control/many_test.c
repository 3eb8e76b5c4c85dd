/* many_test.c - a thousand clusters and two thousand lists of one consumer: each is found again by
 * its identity and by its handle, and status knows all of them. */
#include "unit/control/rig.h"

enum { CLUSTERS = 1000, KINDS = 2, LISTS = CLUSTERS * KINDS };

static const char *const kinds[KINDS] = {"pods", "configmaps"};
static char names[CLUSTERS][16];
static struct config_cluster many[CLUSTERS];
static uint32_t handles[LISTS], rows[LISTS];

static void many_init(struct rig *g)
{
	rig_config(g);
	for (int i = 0; i < CLUSTERS; i++) {
		snprintf(names[i], sizeof names[i], "c%d", i);
		many[i] = g->cluster;
		many[i].name = many[i].context = many[i].conf.context = names[i];
	}
	g->config.clusters = many;
	g->config.cluster_count = CLUSTERS;
	rig_start(g);
	greet(g);
}

static uint32_t open_one(struct rig *g, int i, uint32_t *handle)
{
	union reply r;
	ask_strings(g, 100,
	        (const char *const[ATTACH_STRINGS]){
	                names[i % CLUSTERS], "", "v1", kinds[i / CLUSTERS], "", "", ""});
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	*handle = r.list.handle;
	return r.list.list;
}

static void close_one(struct rig *g, uint32_t handle, enum attach_type answer)
{
	union reply r;
	struct attach_ref c = {.head = {.type = ATTACH_CLOSE_LIST, .id = 3}, .handle = handle};
	say(g, &c, sizeof c);
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, answer);
}

static void wanted_twice_they_are_the_same_and_one_closer_ends_none(struct rig *g)
{
	for (int i = 0; i < LISTS; i += 37) {
		uint32_t again;
		assert_int_equal(open_one(g, i, &again), rows[i]);
		assert_int_not_equal(again, handles[i]);
		const struct feed *f = g->reactor->feed_by_id.rows[i];
		close_one(g, handles[i], ATTACH_OK);
		both(g);
		assert_int_equal(f->consumer_count, 1); /* the other handle still follows */
		close_one(g, handles[i], ATTACH_ERROR);
		handles[i] = again;
	}
}

static int count_of(const char *text, const char *what)
{
	int n = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void status_tells_of_each(struct rig *g)
{
	struct report doc = {0};
	struct reactor_msg *m = reactor_msg_new(REACTOR_STATUS);
	assert_non_null(m);
	reactor_post(g->reactor, m);
	reactor_turn(g->reactor, 0);
	struct reactor_note *n = NULL;
	LIST_EACH (it, &g->control->mailbox)
		if (CONTAINER_OF(it, struct reactor_note, link)->type == REACTOR_STATUS_OF)
			n = CONTAINER_OF(it, struct reactor_note, link);
	assert_non_null(n);
	status_write(g->control, &n->status, &doc);
	assert_false(doc.failed);
	assert_int_equal(count_of(doc.p, "\"state\":\"connecting\",\"lists\":2"), CLUSTERS);
	assert_int_equal(count_of(doc.p, "\"resource\":\"configmaps\""), CLUSTERS);
	report_fini(&doc);
}

static void two_thousand_lists_of_a_thousand_clusters(void **state)
{
	struct rig g;
	(void)state;
	many_init(&g);
	for (int i = 0; i < LISTS; i++)
		rows[i] = open_one(&g, i, &handles[i]);
	assert_int_equal(g.control->lists.open, LISTS);
	assert_int_equal(g.control->lists.by_key.count, LISTS);
	wanted_twice_they_are_the_same_and_one_closer_ends_none(&g);
	status_tells_of_each(&g);
	for (int i = 0; i < LISTS; i++)
		close_one(&g, handles[i], ATTACH_OK);
	assert_int_equal(g.control->consumers.rows[0]->by_handle.count, 0);
	assert_int_equal(g.control->consumers.rows[0]->by_list.count, 0);
	for (int i = 0; i < 200 && g.control->lists.open; i++)
		both(&g);
	assert_int_equal(g.control->lists.open, 0);
	assert_int_equal(g.control->lists.by_key.count, 0);
	uint32_t handle;
	open_one(&g, 5, &handle); /* what was freed is used again */
	assert_true(g.control->lists.count <= 2048);
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(two_thousand_lists_of_a_thousand_clusters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
