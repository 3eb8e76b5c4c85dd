/* memory_test.c - the n-th allocation fails, for every n that a consumer's visit reaches: it is
 * answered, with a list or with an error; it is woken for the list that it has; it can leave, and
 * its place is free again. */
#include "unit/control/rig.h"

#include "harness/no_memory.h"

/* --- a visit -----------------------------------------------------------------------------------
 */

enum { TURNS = 300 };

static void hurry(struct loop *l, struct loop_timer *t)
{
	if (t->timer.at_ns != UINT64_MAX && t->timer.at_ns > loop_now_ns(l))
		loop_timer_set(l, t, loop_now_ns(l));
}

/* What is tried again later is tried now. */
static void turn(struct rig *g)
{
	struct control *c = g->control;
	hurry(c->loop, &c->clusters.again);
	for (uint32_t i = 0; i < c->lists.count; i++)
		if (c->lists.rows[i])
			hurry(c->loop, &c->lists.rows[i]->linger);
	loop_turn(c->loop, loop_now_ns(c->loop) + 1000000);
	g->io.now_ns += 2000000000;
	reactor_turn(g->reactor, 0);
}

/* The next message; false: it was cut off. Silence fails. */
static bool answer(struct rig *g, union reply *r)
{
	for (int i = 0; i < TURNS; i++) {
		ssize_t n = recv(g->client, r, sizeof *r, 0);
		if (n >= 0)
			return n > 0;
		if (errno == ECONNRESET)
			return false;
		assert_int_equal(errno, EAGAIN);
		turn(g);
	}
	fail_msg("no answer");
	return false;
}

static void tell(const struct rig *g, void *message, size_t n)
{
	struct attach_head *h = message;
	h->magic = ATTACH_MAGIC;
	h->version = ATTACH_VERSION;
	h->bytes = (uint32_t)n;
	(void)!send(g->client, message, n, MSG_NOSIGNAL); /* it may be cut off */
}

static bool is_memory_error(const union reply *r)
{
	return r->head.type == ATTACH_ERROR &&
	       (r->error.err == ERR_NO_MEMORY || r->error.err == ERR_LIMIT) &&
	       strstr(r->error.text, "memory");
}

static bool come(struct rig *g)
{
	union reply r;
	struct attach_hello h = {.head = {.type = ATTACH_HELLO, .id = 1},
	        .layout_major = SHM_LAYOUT_MAJOR,
	        .layout_minor = SHM_LAYOUT_MINOR,
	        .name = "test"};
	g->client = dial(g);
	tell(g, &h, sizeof h);
	if (!answer(g, &r))
		return false;
	if (r.head.type != ATTACH_WELCOME && !is_memory_error(&r) && !strstr(r.error.text, "room"))
		fail_msg("%s", r.error.text);
	return r.head.type == ATTACH_WELCOME;
}

static bool wakes(const struct rig *g, uint32_t consumer)
{
	const struct feed *f = NULL;
	for (uint32_t i = 0; !f && i < g->reactor->feed_by_id.count; i++)
		f = g->reactor->feed_by_id.rows[i];
	for (uint32_t i = 0; f && i < f->consumer_count; i++)
		if (f->consumers[i] == consumer)
			return true;
	return g->reactor->consumers[consumer].wake_always;
}

static uint32_t who(const struct rig *g)
{
	uint32_t id = 0;
	while (!g->control->consumers.rows[id] || g->control->consumers.rows[id]->leaving)
		id++;
	return id;
}

/* Opens a list and closes it. false: cut off, or refused. */
static bool look(struct rig *g)
{
	union reply r;
	ask_strings(g, 2, (const char *const[ATTACH_STRINGS]){"c", "", "v1", "pods", "", "", ""});
	if (!answer(g, &r))
		return false;
	if (r.head.type != ATTACH_LIST) {
		if (!is_memory_error(&r))
			fail_msg("%s", r.error.text);
		return false;
	}
	for (int i = 0; i < 3; i++)
		turn(g);
	assert_true(wakes(g, who(g)));
	struct attach_ref c = {
	        .head = {.type = ATTACH_CLOSE_LIST, .id = 3}, .handle = r.list.handle};
	tell(g, &c, sizeof c);
	return answer(g, &r) && r.head.type == ATTACH_OK;
}

static void leave(struct rig *g)
{
	close(g->client);
	g->client = -1;
	for (int i = 0; i < TURNS && (g->control->consumers.count || g->control->lists.open); i++)
		turn(g);
	assert_int_equal(g->control->consumers.count, 0);
	assert_int_equal(g->control->lists.open, 0);
}

/* Nothing is amiss once there is memory again. */
static void check_all_is_well(struct rig *g)
{
	assert_true(come(g) && look(g));
	const struct cluster *c = core_cluster(g->reactor, 0);
	for (int i = 0; i < TURNS && !(c->has_credential && c->address_count); i++)
		turn(g);
	assert_true(c->has_credential);
	assert_int_equal(c->address_count, 1);
	leave(g);
}

static void a_visit_ends_well_whichever_allocation_fails(void **state)
{
	uint64_t n = 0;
	(void)state;
	do {
		struct rig g;
		rig_init(&g);
		no_memory_failed = false;
		no_memory_in = ++n;
		if (come(&g))
			(void)look(&g);
		leave(&g);
		no_memory_in = 0;
		check_all_is_well(&g);
		rig_fini(&g);
	} while (no_memory_failed);
	assert_true(n > 50);
}

static void control_starts_or_says_why_not(void **state)
{
	uint64_t n = 0;
	err_t err;
	(void)state;
	do {
		struct rig g;
		struct errmsg m = {0};
		rig_config(&g);
		no_memory_failed = false;
		no_memory_in = ++n;
		err = rig_control(&g, &m);
		no_memory_in = 0;
		if (err) {
			assert_int_equal(err, ERR_NO_MEMORY);
			assert_string_not_equal(m.text, "");
			assert_null(g.control);
		}
		control_free(&g.control);
		assert_int_equal(access(g.path, F_OK), -1);
		char lock[128];
		snprintf(lock, sizeof lock, "%s.lock", g.path);
		(void)!unlink(lock);
		assert_int_equal(rmdir(g.dir), 0);
	} while (no_memory_failed);
	assert_int_equal(err, ERR_OK);
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_visit_ends_well_whichever_allocation_fails),
	        cmocka_unit_test(control_starts_or_says_why_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
