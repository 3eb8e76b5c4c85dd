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

static void turn_one(struct rig *g, uint32_t i, err_t err)
{
	struct reactor_note n = {.type = REACTOR_CLUSTER_TURNED, .cluster = i, .err = err};
	snprintf(n.text, sizeof n.text, "refused");
	clusters_on_turned(g->control, &n);
}

static void turn_all(struct rig *g, err_t err)
{
	for (uint32_t i = 0; i < CLUSTERS; i++)
		turn_one(g, i, err);
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
	        t->rows[CLUSTERS_LINES - 1]->name);
	assert_string_equal(warned, text);
	turn_all(&g, ERR_CONN_REFUSED); /* nothing new */
	turn_all(&g, ERR_OK);
	assert_string_equal(warned, text);
	t->turned.timer.on_due(&t->turned.timer);
	snprintf(text, sizeof text,
	        "%d more clusters were not reached or not logged in to, and %d answered",
	        CLUSTERS - CLUSTERS_LINES, CLUSTERS);
	assert_non_null(strstr(warned, text));
	warned[0] = 0;
	t->turned.timer.on_due(&t->turned.timer);
	assert_string_equal(warned, ""); /* nothing was left out */
	for (uint32_t i = 0; i < CLUSTERS; i++)
		t->rows[i]->logged_ns = 0; /* the minute is over */
	turn_all(&g, ERR_CONN_REFUSED);
	assert_non_null(strstr(warned, "is not reached")); /* by name again */
	rig_fini(&g);
}

static void discovery_says(struct rig *g, const char *name, int status, const char *body)
{
	struct known_cluster *k = clusters_find(g->control, name);
	struct reactor_note n = {.id = k->id, .http_status = status};
	k->discovering = true;
	discovery_free(&k->discovery_next); /* of a question that it has asked */
	k->discovery_next = discovery_new();
	k->discovery_step = 1; /* /api has been answered */
	n.body = strdup(body);
	n.body_bytes = strlen(body);
	questions_on_fetched(g->control, &n);
	free(n.body);
}

/* It goes, comes and goes within a minute, and stays away: the log must not end with its coming. */
static void the_last_word_about_a_cluster_is_true(void **state)
{
	struct rig g;
	(void)state;
	many_init(&g);
	struct clusters *t = &g.control->clusters;
	turn_one(&g, 7, ERR_CONN_REFUSED);
	turn_one(&g, 7, ERR_OK);
	assert_string_equal(warned, "cluster \"c7\" answers again");
	turn_one(&g, 7, ERR_CONN_REFUSED);
	turn_one(&g, 8, ERR_CONN_REFUSED);
	turn_one(&g, 8, ERR_OK);
	turn_one(&g, 8, ERR_CONN_REFUSED);
	turn_one(&g, 8, ERR_OK);
	assert_string_equal(warned, "cluster \"c8\" answers again");
	assert_int_not_equal(t->settle.timer.at_ns, UINT64_MAX);
	warnings = 0;
	loop_timer_set(g.control->loop, &t->settle, UINT64_MAX);
	t->settle.on_due(&t->settle);
	assert_non_null(strstr(warned, "cluster \"c7\" is not reached: still, or again"));
	t->settle.on_due(&t->settle);
	assert_int_equal(warnings, 1);
	turn_one(&g, 7, ERR_OK);
	assert_string_equal(warned, "cluster \"c7\" answers again");
	rig_fini(&g);
}

static void turned_down_and_let_in(struct rig *g)
{
	struct known_cluster *k = clusters_find(g->control, names[7]);
	cluster_log_login(g->control, k, ERR_KUBE_UNAUTHORIZED, "log in");
	assert_string_equal(warned, "cluster \"c7\" has no credential that is good: log in");
	warned[0] = 0;
	cluster_log_login(g->control, k, ERR_KUBE_UNAUTHORIZED, "log in"); /* nothing new */
	assert_string_equal(warned, "");
	clusters_on_lets_in(g->control, k->id);
	assert_string_equal(warned, "cluster \"c7\" takes its credential again");
	warned[0] = 0;
	clusters_on_lets_in(g->control, k->id);
	assert_string_equal(warned, "");
}

/* The same token, refused, taken again (its server was ill), and refused next week. */
static void each_time_that_a_login_is_refused_is_told(void **state)
{
	struct rig g;
	(void)state;
	many_init(&g);
	for (int i = 0; i < 2; i++)
		turned_down_and_let_in(&g);
	rig_fini(&g);
}

static const char nothing[] = "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery."
                              "k8s.io/v2\",\"metadata\":{},"
                              "\"items\":[]}";

static void a_cluster_that_refuses_discovery_is_told_of_once(void **state)
{
	static const char refused[] = "cluster \"c7\" answered 401 to discovery: log in again";
	struct rig g;
	(void)state;
	many_init(&g);
	for (int i = 0; i < 2; i++) {
		warned[0] = 0;
		discovery_says(&g, names[7], 401, "");
		assert_non_null(strstr(warned, refused));
		warned[0] = 0;
		discovery_says(&g, names[7], 401, "");
		assert_string_equal(warned, "");
		discovery_says(&g, names[7], 200, nothing); /* then it may be told again */
	}
	rig_fini(&g);
}

static void counts_the_rest(struct rig *g, unsigned rest)
{
	struct lines *other = &g->control->clusters.other;
	char text[64];
	assert_int_equal(warnings, CLUSTERS_LINES);
	other->timer.on_due(&other->timer);
	assert_int_equal(warnings, CLUSTERS_LINES + 1);
	snprintf(text, sizeof text, "%u more lines about clusters", rest);
	assert_non_null(strstr(warned, text));
	warnings = 0;
}

/* As many as the same missing file of authorities breaks. */
static void a_thousand_that_are_broken_are_fifty_lines_however_many_lists_are_kept(void **state)
{
	struct settings_list lists[] = {
	        {.clusters = "*", .resource = {.resource = "pods", .version = "v1", .group = ""}},
	        {.clusters = "*", .resource = {.resource = "nodes", .version = "v1", .group = ""}}};
	struct rig g;
	(void)state;
	many_init(&g);
	g.settings.lists = lists;
	g.settings.list_count = 2;
	for (uint32_t i = 0; i < CLUSTERS; i++)
		(void)errmsg_set(&g.control->clusters.rows[i]->broken, ERR_CRED_FILE, "no file");
	warnings = 0;
	cluster_log_broken(g.control);
	lists_open_pinned(g.control);
	counts_the_rest(&g, CLUSTERS - CLUSTERS_LINES);
	cluster_log_broken(g.control); /* a reload that changes nothing */
	assert_int_equal(warnings, 0);
	struct known_cluster *k = clusters_find(g.control, names[7]);
	k->broken = (struct errmsg){0};
	cluster_log_broken(g.control);
	(void)errmsg_set(&k->broken, ERR_CRED_FILE, "again no file");
	cluster_log_broken(g.control);
	assert_non_null(strstr(warned, "cluster \"c7\" cannot be used: "));
	assert_non_null(strstr(warned, "again no file"));
	assert_int_equal(warnings, 1);
	rig_fini(&g);
}

static void a_resource_that_a_thousand_lack_is_fifty_lines(void **state)
{
	struct settings_list lists[] = {{.clusters = "*",
	        .resource = {.resource = "widgets", .version = "", .group = "example.com"}}};
	struct rig g;
	(void)state;
	many_init(&g);
	g.settings.lists = lists;
	g.settings.list_count = 1;
	lists_open_pinned(g.control);
	warnings = 0;
	for (int i = 0; i < CLUSTERS; i++)
		discovery_says(&g, names[i], 200, nothing);
	assert_non_null(strstr(warned, "has no resource \"widgets.example.com\""));
	counts_the_rest(&g, CLUSTERS - CLUSTERS_LINES);
	rig_fini(&g);
}

/* Were there a fault of ours, an audit would find it everywhere. */
static void lists_that_an_audit_finds_different_are_fifty_lines(void **state)
{
	struct reactor_note n = {.type = REACTOR_AUDITED, .verdict = REACTOR_AUDIT_DIFFERENT};
	struct rig g;
	(void)state;
	many_init(&g);
	warnings = 0;
	snprintf(n.text, sizeof n.text, "not the objects of version 7");
	for (uint32_t i = 0; i < CLUSTERS_LINES + 3; i++) {
		open_one(&g, (int)i, &handles[i]);
		n.list = i;
		audits_on_verdict(g.control, &n);
	}
	assert_string_equal(warned, "cluster \"c49\": list of pods: not the objects of version 7");
	assert_int_equal(g.control->lists.rows[52]->audits.count[REACTOR_AUDIT_DIFFERENT], 1);
	counts_the_rest(&g, 3);
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(two_thousand_lists_of_a_thousand_clusters),
	        cmocka_unit_test(half_of_the_clusters_go_with_their_lists_and_no_others),
	        cmocka_unit_test(a_thousand_that_turn_at_once_are_fifty_lines_and_one),
	        cmocka_unit_test(the_last_word_about_a_cluster_is_true),
	        cmocka_unit_test(each_time_that_a_login_is_refused_is_told),
	        cmocka_unit_test(a_cluster_that_refuses_discovery_is_told_of_once),
	        cmocka_unit_test(
	                a_thousand_that_are_broken_are_fifty_lines_however_many_lists_are_kept),
	        cmocka_unit_test(a_resource_that_a_thousand_lack_is_fifty_lines),
	        cmocka_unit_test(lists_that_an_audit_finds_different_are_fifty_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
