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

static uint32_t opened(const struct rig *g)
{
	return g->control->consumers.rows[0]->by_list.count;
}

/* Every second one goes, as a reload does it. */
static void half_of_the_clusters_go_with_their_lists_and_no_others(void **state)
{
	struct rig g;
	(void)state;
	many_init(&g);
	for (int i = 0; i < LISTS; i++)
		rows[i] = open_one(&g, i, &handles[i]);
	assert_int_equal(opened(&g), LISTS);
	for (int i = 0; i < CLUSTERS; i += 2)
		clusters_remove(g.control, clusters_find(g.control, names[i]), "gone");
	assert_int_equal(opened(&g), LISTS / 2);
	for (int i = 0; i < 200 && g.control->lists.open > LISTS / 2; i++)
		both(&g);
	assert_int_equal(g.control->lists.open, LISTS / 2);
	for (int i = 1; i < CLUSTERS; i += 2) {
		uint32_t again, n = 0;
		LIST_EACH (it, &clusters_find(g.control, names[i])->lists)
			n++;
		assert_int_equal(n, KINDS);
		assert_int_equal(open_one(&g, i, &again), rows[i]);
	}
	for (int i = 0; i < LISTS; i++)
		close_one(&g, handles[i], ATTACH_OK); /* the handle of a list that went, too */
	rig_fini(&g);
}

static void turn_all(struct rig *g, err_t err)
{
	for (uint32_t i = 0; i < CLUSTERS; i++) {
		struct reactor_note n = {.type = REACTOR_CLUSTER_TURNED, .cluster = i, .err = err};
		snprintf(n.text, sizeof n.text, "refused");
		clusters_on_turned(g->control, &n);
	}
}

static void a_thousand_that_turn_at_once_are_fifty_lines_and_one(void **state)
{
	struct rig g;
	char text[96];
	(void)state;
	many_init(&g);
	struct clusters *t = &g.control->clusters;
	turn_all(&g, ERR_CONN_REFUSED);
	snprintf(text, sizeof text, "cluster \"%s\" is not reached: refused",
	        t->rows[CLUSTERS_TURNED_LINES - 1]->name);
	assert_string_equal(warned, text);
	turn_all(&g, ERR_CONN_REFUSED); /* nothing new */
	turn_all(&g, ERR_OK);
	assert_string_equal(warned, text);
	t->turned_timer.on_due(&t->turned_timer);
	snprintf(text, sizeof text,
	        "%d more clusters were not reached or not logged in to, and %d answered",
	        CLUSTERS - CLUSTERS_TURNED_LINES, CLUSTERS);
	assert_non_null(strstr(warned, text));
	warned[0] = 0;
	t->turned_timer.on_due(&t->turned_timer);
	assert_string_equal(warned, ""); /* nothing was left out */
	for (uint32_t i = 0; i < CLUSTERS; i++)
		t->rows[i]->logged_ns = 0; /* the minute is over */
	turn_all(&g, ERR_CONN_REFUSED);
	assert_non_null(strstr(warned, "is not reached")); /* by name again */
	rig_fini(&g);
}

static void discovery_says(struct rig *g, int status, const char *body)
{
	struct known_cluster *k = clusters_find(g->control, names[7]);
	struct reactor_note n = {.id = k->id, .http_status = status};
	k->discovering = true;
	k->discovery_next = discovery_new();
	k->discovery_step = 1; /* /api has been answered */
	n.body = strdup(body);
	n.body_bytes = strlen(body);
	questions_on_fetched(g->control, &n);
	free(n.body);
}

static void a_cluster_that_refuses_discovery_is_told_of_once(void **state)
{
	static const char refused[] = "cluster \"c7\" answered 401 to discovery: log in again";
	static const char nothing[] =
	        "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\","
	        "\"metadata\":{},\"items\":[]}";
	struct rig g;
	(void)state;
	many_init(&g);
	for (int i = 0; i < 2; i++) {
		warned[0] = 0;
		discovery_says(&g, 401, "");
		assert_non_null(strstr(warned, refused));
		warned[0] = 0;
		discovery_says(&g, 401, "");
		assert_string_equal(warned, "");
		discovery_says(&g, 200, nothing); /* then it may be told again */
	}
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(two_thousand_lists_of_a_thousand_clusters),
	        cmocka_unit_test(half_of_the_clusters_go_with_their_lists_and_no_others),
	        cmocka_unit_test(a_thousand_that_turn_at_once_are_fifty_lines_and_one),
	        cmocka_unit_test(a_cluster_that_refuses_discovery_is_told_of_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
