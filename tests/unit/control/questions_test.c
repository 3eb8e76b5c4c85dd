/* questions_test.c - what resources a cluster has: how long an answer is believed, and that each
 * who asks has one in time, whatever the cluster does. The reactor is not let near the network: its
 * answers are made here. */
#include "unit/control/rig.h"

#include "reactor/fetch.h"

#define SECOND_NS 1000000000ull

#define DISCOVERY(groups)                                                                          \
	"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"                \
	"v2\",\"items\":[" groups "]}"
#define PODS                                                                                       \
	"{\"metadata\":{},\"versions\":[{\"version\":\"v1\",\"resources\":[{\"resource\":"         \
	"\"pods\","                                                                                \
	"\"responseKind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},\"scope\":"         \
	"\"Namespaced\",\"singularResource\":\"pod\",\"verbs\":[\"list\",\"watch\"]}]}]}"

static struct known_cluster *cluster(const struct rig *g)
{
	return clusters_find(g->control, "c");
}

/* The answer to what is being fetched. */
static void says(struct rig *g, err_t err, const char *body)
{
	struct reactor_note *n = calloc(1, sizeof *n);
	assert_non_null(n);
	list_init(&n->link);
	n->type = REACTOR_FETCHED;
	n->id = clusters_question(cluster(g));
	n->err = err;
	n->http_status = err ? 0 : 200;
	snprintf(n->text, sizeof n->text, "no route to it");
	n->body = strdup(body);
	n->body_bytes = strlen(body);
	control_note(g->control, n);
	control_turn(g);
}

/* /api and /apis. */
static void says_all(struct rig *g, const char *api)
{
	says(g, ERR_OK, api);
	says(g, ERR_OK, DISCOVERY(""));
}

static void ask(struct rig *g, const char *name)
{
	ask_name(g, "c", name);
	both(g);
	both(g);
}

/* Somebody has asked what "pods" is. */
static void init(struct rig *g)
{
	rig_init(g);
	greet(g);
	ask(g, "pods");
}

static uint32_t fetches(const struct rig *g)
{
	uint32_t n = 0;
	LIST_EACH (it, &core_cluster(g->reactor, cluster(g)->id)->fetches)
		n++;
	return n;
}

static void is_found(struct rig *g)
{
	union reply r;
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_DOCUMENT);
}

static void is_refused(struct rig *g, int code, const char *part)
{
	union reply r;
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_int_equal(r.error.code, code);
	assert_non_null(strstr(r.error.text, part));
}

/* A resource may be installed while the daemon runs; who asks for one that is not there does not
 * make the daemon ask the cluster each time. */
static void what_is_not_there_is_looked_for_again_after_a_while(void **state)
{
	struct rig g;
	(void)state;
	init(&g);
	struct known_cluster *k = cluster(&g);
	assert_true(k->discovering);
	says_all(&g, DISCOVERY(""));
	is_refused(&g, KR_ERR_UNKNOWN_RESOURCE, "has no resource");
	ask(&g, "pods");
	assert_false(k->discovering);
	is_refused(&g, KR_ERR_UNKNOWN_RESOURCE, "has no resource");
	k->discovered_ns -= DISCOVERY_RETRY_S * SECOND_NS;
	ask(&g, "pods");
	assert_true(k->discovering);
	says_all(&g, DISCOVERY(PODS));
	is_found(&g);
	rig_fini(&g);
}

/* And what is there is looked at again too; while the cluster is down, what was known still holds,
 * and what was not is no statement about its resources. */
static void what_is_there_is_believed_for_a_while(void **state)
{
	struct rig g;
	(void)state;
	init(&g);
	struct known_cluster *k = cluster(&g);
	says_all(&g, DISCOVERY(PODS));
	is_found(&g);
	ask(&g, "pods");
	assert_false(k->discovering);
	is_found(&g);
	k->discovered_ns -= DISCOVERY_FRESH_S * SECOND_NS;
	ask(&g, "pods");
	ask(&g, "widgets");
	assert_true(k->discovering);
	says(&g, ERR_CONN_UNREACHABLE, "");
	is_found(&g);
	is_refused(&g, KR_ERR_DAEMON, "no route to it");
	ask(&g, "pods");
	assert_true(k->discovering);
	says_all(&g, DISCOVERY(""));
	is_refused(&g, KR_ERR_UNKNOWN_RESOURCE, "has no resource");
	rig_fini(&g);
}

static struct question *first(const struct rig *g)
{
	assert_false(list_empty(&g->control->questions));
	return CONTAINER_OF(g->control->questions.next, struct question, link);
}

/* Its time is up; then it waits for so long. */
static void waits_again(struct rig *g, struct question *q, uint64_t seconds)
{
	uint64_t before = loop_now_ns(g->control->loop);
	loop_timer_set(g->control->loop, &q->deadline, before);
	for (int i = 0; i < 100 && q->deadline.timer.at_ns == before; i++)
		control_turn(g);
	uint64_t after = loop_now_ns(g->control->loop), pause = seconds * SECOND_NS;
	assert_in_range(q->deadline.timer.at_ns, before + pause, after + pause);
}

static void who_asks_has_an_answer_in_time(void **state)
{
	struct rig g;
	(void)state;
	init(&g);
	struct question *q = first(&g);
	uint64_t now = loop_now_ns(g.control->loop);
	assert_true(q->deadline.timer.at_ns <= now + QUESTION_RESOLVE_S * SECOND_NS);
	loop_timer_set(g.control->loop, &q->deadline, now);
	is_refused(&g, KR_TIMEOUT, "30 s");
	assert_true(list_empty(&g.control->questions));
	rig_fini(&g);
}

/* There was no memory for an answer, say: those who ask later do not wait for it too. */
static void an_answer_that_is_lost_is_asked_for_again(void **state)
{
	struct rig g;
	(void)state;
	init(&g);
	assert_int_equal(fetches(&g), 1);
	ask(&g, "pods");
	assert_int_equal(fetches(&g), 1);
	cluster(&g)->discover_again_ns = loop_now_ns(g.control->loop);
	ask(&g, "pods");
	assert_int_equal(fetches(&g), 2);
	says_all(&g, DISCOVERY(PODS));
	for (int i = 0; i < 3; i++)
		is_found(&g);
	rig_fini(&g);
}

/* A list of the configuration waits for its cluster for ever, with pauses that grow. */
static void a_pinned_list_is_resolved_again_and_again(void **state)
{
	struct rig g;
	struct settings_list pins = {
	        .clusters = "c", .resource = {.resource = "pods", .version = "", .group = ""}};
	(void)state;
	rig_config(&g);
	g.settings.lists = &pins;
	g.settings.list_count = 1;
	rig_start(&g);
	lists_open_pinned(g.control);
	both(&g);
	struct question *q = first(&g);
	for (unsigned i = 0; i < QUESTION_PIN_DOUBLINGS + 2; i++) {
		unsigned doubled = i < QUESTION_PIN_DOUBLINGS ? i : QUESTION_PIN_DOUBLINGS;
		assert_false(list_empty(&q->waiting));
		waits_again(&g, q, (uint64_t)QUESTION_PIN_AGAIN_S << doubled);
		assert_int_equal(q->failed, ERR_CONN_TIMEOUT);
		assert_true(list_empty(&q->waiting));
		waits_again(&g, q, QUESTION_RESOLVE_S);
	}
	says_all(&g, DISCOVERY(PODS));
	both(&g);
	assert_true(list_empty(&g.control->questions));
	assert_int_equal(g.control->lists.open, 1);
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_not_there_is_looked_for_again_after_a_while),
	        cmocka_unit_test(what_is_there_is_believed_for_a_while),
	        cmocka_unit_test(who_asks_has_an_answer_in_time),
	        cmocka_unit_test(an_answer_that_is_lost_is_asked_for_again),
	        cmocka_unit_test(a_pinned_list_is_resolved_again_and_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
