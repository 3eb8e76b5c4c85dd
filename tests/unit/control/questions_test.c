/* questions_test.c - what resources a cluster has: how long an answer is believed, and that each
 * who asks has one in time, whatever the cluster does. The reactor is not let near the network: its
 * answers are made here. */
#include "unit/control/rig.h"

#include "harness/no_memory.h"
#include "reactor/fetch.h"

#define SECOND_NS 1000000000ull

#define DISCOVERY(groups)                                                                          \
	"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"                \
	"v2\",\"items\":[" groups "]}"
#define PODS PODS_OF("v1")
#define PODS_OF(version)                                                                           \
	"{\"metadata\":{},\"versions\":[{\"version\":\"" version                                   \
	"\",\"resources\":[{\"resource\":"                                                         \
	"\"pods\","                                                                                \
	"\"responseKind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},\"scope\":"         \
	"\"Namespaced\",\"singularResource\":\"pod\",\"verbs\":[\"list\",\"watch\"]}]}]}"

static struct known_cluster *cluster(const struct rig *g)
{
	return clusters_find(g->control, "c");
}

static void answers(struct rig *g, err_t err, int status, const char *body)
{
	no_memory_paused = true;
	struct reactor_note *n = calloc(1, sizeof *n);
	assert_non_null(n);
	list_init(&n->link);
	n->type = REACTOR_FETCHED;
	n->id = clusters_question(cluster(g));
	n->err = err;
	n->http_status = status;
	snprintf(n->text, sizeof n->text, "no route to it");
	n->body = strdup(body);
	n->body_bytes = strlen(body);
	no_memory_paused = false;
	control_note(g->control, n);
	control_turn(g);
}

/* The answer to what is being fetched. */
static void says(struct rig *g, err_t err, const char *body)
{
	answers(g, err, err ? 0 : 200, body);
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

static struct settings_list pins = {
        .clusters = "c", .resource = {.resource = "pods", .version = "", .group = ""}};

static void rig_pins(struct rig *g)
{
	rig_config(g);
	g->settings.lists = &pins;
	g->settings.list_count = 1;
	rig_start(g);
}

static void look(struct rig *g)
{
	g->control->lists.look.on_due(&g->control->lists.look);
	control_turn(g);
}

/* A list of the configuration waits for its cluster for ever, with pauses that grow: but for one
 * that does not answer, whose coming back nobody is told. */
static void a_pinned_list_is_resolved_again_and_again(void **state)
{
	struct rig g;
	(void)state;
	rig_pins(&g);
	lists_open_pinned(g.control);
	both(&g);
	struct question *q = first(&g);
	const unsigned most = QUESTION_PIN_DOUBLINGS_UNTOLD;
	for (unsigned i = 0; i < most + 4; i++) {
		unsigned doubled = i < most ? i : most;
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

/* It starts: it is reached, and answers 503 for some minutes. Nobody tells when that is over. */
static void a_cluster_that_starts_is_asked_often(void **state)
{
	static const struct {
		bool down;
		unsigned longest_s;
	} rows[] = {{false, 40}, {true, 320}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rig g;
		rig_pins(&g);
		lists_open_pinned(g.control);
		both(&g);
		struct question *q = first(&g);
		cluster(&g)->down = rows[i].down; /* this one is told of when it is back */
		for (int n = 0; n < 8; n++) {
			uint64_t before = loop_now_ns(g.control->loop);
			answers(&g, ERR_OK, 503, "");
			assert_int_equal(q->failed, ERR_HTTP_STATUS);
			uint64_t wait = q->deadline.timer.at_ns - before;
			assert_true(wait <= (rows[i].longest_s + 1) * SECOND_NS);
			assert_true(n < 7 || wait >= rows[i].longest_s * SECOND_NS);
			waits_again(&g, q, QUESTION_RESOLVE_S);
		}
		says_all(&g, DISCOVERY(PODS));
		both(&g);
		assert_int_equal(g.control->lists.open, 1);
		rig_fini(&g);
	}
}

/* A list of it that was refused with 401 is let in again. */
static void a_cluster_that_lets_in_is_asked_at_once(void **state)
{
	struct rig g;
	(void)state;
	rig_pins(&g);
	lists_open_pinned(g.control);
	both(&g);
	struct question *q = first(&g);
	says(&g, ERR_KUBE_UNAUTHORIZED, "");
	uint64_t now = loop_now_ns(g.control->loop);
	assert_true(q->deadline.timer.at_ns > now);
	clusters_on_lets_in(g.control, cluster(&g)->id);
	assert_true(q->deadline.timer.at_ns <= now);
	rig_fini(&g);
}

#define GROUP(name)                                                                                \
	"{\"name\":\"" name "\",\"versions\":[{\"groupVersion\":\"" name                           \
	"/v1\",\"version\":\"v1\"}]}"
#define RESOURCES(version, name)                                                                   \
	"{\"kind\":\"APIResourceList\",\"groupVersion\":\"" version                                \
	"\",\"resources\":[{\"name\":\"" name "\",\"singularName\":\"\",\"namespaced\":true,"      \
	"\"kind\":\"K\",\"verbs\":[\"list\",\"watch\"]}]}"

/* Without aggregated discovery each group is asked by itself. */
static void ask_in_groups(struct rig *g)
{
	says(g, ERR_OK, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}");
	says(g, ERR_OK,
	        "{\"kind\":\"APIGroupList\",\"groups\":[" GROUP("dead.io") "," GROUP(
	                "good.io") "]}");
	says(g, ERR_OK, RESOURCES("v1", "pods"));
}

/* The server behind one group hangs, or what is before it says 503: neither may hide the others,
 * nor is what it would have said "no such resource". */
static void a_group_that_is_dead_hides_no_other(void **state)
{
	(void)state;
	for (int hangs = 0; hangs < 2; hangs++) {
		struct rig g;
		rig_init(&g);
		greet(&g);
		ask(&g, "pods");
		ask(&g, "goods");
		ask(&g, "deads");
		ask_in_groups(&g);
		is_found(&g); /* pods, while it hangs */
		assert_true(cluster(&g)->discovering);
		answers(&g, hangs ? ERR_CONN_TIMEOUT : ERR_OK, hangs ? 0 : 503, "");
		says(&g, ERR_OK, RESOURCES("good.io/v1", "goods"));
		is_found(&g);
		is_refused(&g, KR_ERR_DAEMON, "has no answer to /apis/dead.io/v1");
		ask(&g, "goods");
		is_found(&g);
		cluster(&g)->discovered_ns -= DISCOVERY_RETRY_S * SECOND_NS;
		ask(&g, "deads");
		ask_in_groups(&g);
		says(&g, ERR_OK, RESOURCES("dead.io/v1", "deads"));
		is_found(&g);
		rig_fini(&g);
	}
}

/* Then it is not the group. */
static void a_cluster_that_goes_says_nothing_of_its_groups(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	greet(&g);
	ask(&g, "deads");
	ask_in_groups(&g);
	cluster(&g)->down = true;
	says(&g, ERR_CONN_REFUSED, "");
	assert_false(cluster(&g)->discovering);
	is_refused(&g, KR_ERR_DAEMON, "no route to it");
	cluster(&g)->down = false;
	ask(&g, "pods"); /* without the core group nothing is known */
	says(&g, ERR_OK, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}");
	says(&g, ERR_OK, "{\"kind\":\"APIGroupList\",\"groups\":[" GROUP("good.io") "]}");
	says(&g, ERR_CONN_TIMEOUT, "");
	is_refused(&g, KR_ERR_DAEMON, "no route to it");
	rig_fini(&g);
}

static const struct open_list *pinned_list(const struct rig *g)
{
	const struct open_list *found = NULL;
	for (uint32_t i = 0; i < g->control->lists.count; i++) {
		const struct open_list *l = g->control->lists.rows[i];
		if (!l || !l->pinned)
			continue;
		assert_null(found);
		found = l;
	}
	return found;
}

static void parks(const struct rig *g, const struct open_list *l, err_t err)
{
	const struct feed *f = g->reactor->feed_by_id.rows[l->id];
	store_list_state(f->list, SHM_LIST_PARKED, err, "404 page not found", g->io.now_ns);
}

/* The list of the configuration is open, by what the cluster has told. */
static void rig_pinned(struct rig *g, const char *api)
{
	rig_pins(g);
	g->settings.limits.linger_seconds = 1000;
	lists_open_pinned(g->control);
	both(g);
	says_all(g, api);
	both(g);
	control_turn(g);
}

/* The entry says which resource, not which version: v1beta1 is served no more, v1 is. The list was
 * parked on 404 for ever. */
static void a_pinned_list_follows_the_version_that_is_served(void **state)
{
	struct rig g;
	(void)state;
	rig_pinned(&g, DISCOVERY(PODS_OF("v1beta1")));
	const struct open_list *old = pinned_list(&g);
	assert_non_null(old);
	assert_string_equal(old->version, "v1beta1");
	look(&g); /* all is well */
	assert_ptr_equal(pinned_list(&g), old);
	parks(&g, old, ERR_KUBE_FORBIDDEN);
	look(&g); /* another reason */
	assert_ptr_equal(pinned_list(&g), old);
	assert_true(list_empty(&g.control->questions));
	parks(&g, old, ERR_KUBE_NOT_FOUND);
	look(&g);
	both(&g);
	cluster(&g)->fresh = true; /* for another reason */
	look(&g);
	assert_ptr_equal(first(&g), CONTAINER_OF(g.control->questions.prev, struct question, link));
	assert_true(cluster(&g)->discovering);
	says_all(&g, DISCOVERY(PODS_OF("v1")));
	both(&g);
	assert_true(list_empty(&g.control->questions));
	assert_string_equal(pinned_list(&g)->version, "v1");
	assert_int_equal(g.control->lists.open, 2); /* the other one lingers */
	rig_fini(&g);
}

/* A server that is confused for a while: it is the same list. */
static void a_pinned_list_that_is_served_again_stays(void **state)
{
	struct rig g;
	(void)state;
	rig_pinned(&g, DISCOVERY(PODS));
	const struct open_list *l = pinned_list(&g);
	parks(&g, l, ERR_KUBE_NOT_FOUND);
	look(&g);
	both(&g);
	assert_null(pinned_list(&g));
	says_all(&g, DISCOVERY(""));
	assert_int_equal(first(&g)->failed, ERR_UNKNOWN_RESOURCE); /* as status says */
	cluster(&g)->discovered_ns -= DISCOVERY_RETRY_S * SECOND_NS;
	waits_again(&g, first(&g), QUESTION_RESOLVE_S);
	both(&g);
	says_all(&g, DISCOVERY(PODS));
	both(&g);
	assert_ptr_equal(pinned_list(&g), l);
	assert_int_equal(g.control->lists.open, 1);
	rig_fini(&g);
}

/* Whichever allocation fails, it is open in the end. */
static void a_pinned_list_is_not_lost_for_want_of_memory(void **state)
{
	uint64_t n = 0;
	(void)state;
	do {
		struct rig g;
		rig_pins(&g);
		no_memory_failed = false;
		no_memory_in = ++n;
		lists_open_pinned(g.control);
		both(&g);
		both(&g);
		says_all(&g, DISCOVERY(PODS));
		both(&g);
		both(&g);
		no_memory_in = 0;
		for (int i = 0; i < 20 && !(pinned_list(&g) && pinned_list(&g)->phase == LIST_OPEN);
		        i++) {
			struct loop_timer *owed = &g.control->clusters.again; /* a credential */
			if (owed->timer.at_ns != UINT64_MAX)
				loop_timer_set(g.control->loop, owed, loop_now_ns(g.control->loop));
			look(&g);
			LIST_EACH (it, &g.control->questions) {
				struct question *q = CONTAINER_OF(it, struct question, link);
				loop_timer_set(g.control->loop, &q->deadline,
				        loop_now_ns(g.control->loop));
			}
			both(&g);
			if (cluster(&g)->discovering)
				says_all(&g, DISCOVERY(PODS));
			both(&g);
		}
		if (!pinned_list(&g))
			fail_msg("allocation %lu", n);
		rig_fini(&g);
	} while (no_memory_failed);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_not_there_is_looked_for_again_after_a_while),
	        cmocka_unit_test(what_is_there_is_believed_for_a_while),
	        cmocka_unit_test(who_asks_has_an_answer_in_time),
	        cmocka_unit_test(an_answer_that_is_lost_is_asked_for_again),
	        cmocka_unit_test(a_pinned_list_is_resolved_again_and_again),
	        cmocka_unit_test(a_cluster_that_starts_is_asked_often),
	        cmocka_unit_test(a_cluster_that_lets_in_is_asked_at_once),
	        cmocka_unit_test(a_group_that_is_dead_hides_no_other),
	        cmocka_unit_test(a_cluster_that_goes_says_nothing_of_its_groups),
	        cmocka_unit_test(a_pinned_list_follows_the_version_that_is_served),
	        cmocka_unit_test(a_pinned_list_that_is_served_again_stays),
	        cmocka_unit_test(a_pinned_list_is_not_lost_for_want_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
