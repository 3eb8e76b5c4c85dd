/* lists_test.c - open lists of the control thread: which wishes share a list, who is subscribed to
 * it, and when it goes. */
#include "unit/control/rig.h"

enum { OBJECT = ATTACH_FORM_OBJECT, METADATA = ATTACH_FORM_METADATA };

static void wish(
        struct rig *g, uint32_t form, uint32_t flags, const char *labels, const char *fields)
{
	char buf[512];
	const char *strings[ATTACH_STRINGS] = {"c", "", "v1", "pods", "", labels, fields};
	struct attach_spec s = {
	        .head = {.type = ATTACH_OPEN_LIST, .id = 2}, .form = form, .flags = flags};
	size_t n = sizeof s;
	for (int i = 0; i < ATTACH_STRINGS; i++) {
		s.length[i] = (uint16_t)strlen(strings[i]);
		memcpy(buf + n, strings[i], s.length[i]);
		n += s.length[i];
	}
	memcpy(buf, &s, sizeof s);
	say(g, buf, n);
}

static struct attach_list opened(struct rig *g)
{
	union reply r;
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	return r.list;
}

static void close_handle(struct rig *g, uint32_t handle)
{
	union reply r;
	struct attach_ref c = {.head = {.type = ATTACH_CLOSE_LIST, .id = 3}, .handle = handle};
	say(g, &c, sizeof c);
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_OK);
}

static void settle(struct rig *g)
{
	for (int i = 0; i < 5; i++)
		both(g);
}

/* Who may see metadata alone must not be given the list of somebody who sees values. */
static void another_form_is_another_list(void **state)
{
	static const struct {
		uint32_t form, flags;
		const char *labels, *fields;
	} wishes[] = {{OBJECT, 0, "", ""}, {METADATA, 0, "", ""},
	        {OBJECT, ATTACH_KEEP_MANAGED_FIELDS, "", ""}, {OBJECT, 0, "a=b", ""},
	        {OBJECT, 0, "", "a=b"}};
	enum { N = sizeof wishes / sizeof wishes[0] };
	struct rig g;
	uint32_t row[N];
	(void)state;
	rig_init(&g);
	greet(&g);
	for (size_t i = 0; i < N; i++) {
		wish(&g, wishes[i].form, wishes[i].flags, wishes[i].labels, wishes[i].fields);
		row[i] = opened(&g).list;
		assert_int_equal(g.control->lists.open, i + 1);
		const struct open_list *l = g.control->lists.rows[i];
		assert_int_equal(l->metadata_only, wishes[i].form == METADATA);
		assert_int_equal(l->keep_managed_fields, wishes[i].flags != 0);
	}
	for (size_t i = 0; i < N; i++) { /* and the same one is the same */
		wish(&g, wishes[i].form, wishes[i].flags, wishes[i].labels, wishes[i].fields);
		assert_int_equal(opened(&g).list, row[i]);
		assert_int_equal(g.control->lists.open, N);
	}
	rig_fini(&g);
}

static void a_list_has_the_budget_of_the_settings(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	g.settings.limits.list_bytes = 1234567;
	greet(&g);
	wish(&g, OBJECT, 0, "", "");
	(void)opened(&g);
	const struct feed *f = g.reactor->feed_by_id.rows[0];
	assert_int_equal(f->budget.bytes_max, 1234567);
	rig_fini(&g);
}

static void a_consumer_is_woken_until_its_last_handle_is_closed(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	g.settings.limits.linger_seconds = 1000;
	greet(&g);
	wish(&g, OBJECT, 0, "", "");
	uint32_t first = opened(&g).handle;
	wish(&g, OBJECT, 0, "", "");
	uint32_t second = opened(&g).handle;
	assert_int_not_equal(first, second);
	const struct feed *f = g.reactor->feed_by_id.rows[0];
	close_handle(&g, first);
	settle(&g);
	assert_int_equal(f->consumer_count, 1);
	close_handle(&g, second);
	settle(&g);
	assert_int_equal(f->consumer_count, 0);
	assert_int_equal(g.control->lists.open, 1); /* it lingers */
	rig_fini(&g);
}

/* The time of a list has come: it closes unless somebody needs it. */
static void a_list_that_is_needed_does_not_close(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	g.settings.limits.linger_seconds = 1000;
	greet(&g);
	wish(&g, OBJECT, 0, "", "");
	uint32_t handle = opened(&g).handle;
	struct open_list *l = g.control->lists.rows[0];
	l->linger.on_due(&l->linger);
	assert_int_equal(l->phase, LIST_OPEN);
	close_handle(&g, handle);
	l->pinned = true;
	l->linger.on_due(&l->linger);
	assert_int_equal(l->phase, LIST_OPEN);
	l->pinned = false;
	l->linger.on_due(&l->linger);
	assert_int_equal(l->phase, LIST_CLOSING);
	settle(&g);
	assert_int_equal(g.control->lists.open, 0);
	assert_null(g.reactor->feed_by_id.rows[0]);
	rig_fini(&g);
}

static void a_list_whose_openers_left_before_it_was_there_goes(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	greet(&g);
	wish(&g, OBJECT, 0, "", "");
	for (int i = 0; i < 100 && !g.control->lists.open; i++)
		control_turn(&g);
	assert_int_equal(g.control->lists.rows[0]->phase, LIST_OPENING);
	close(g.client);
	g.client = -1;
	for (int i = 0; i < 100 && g.control->lists.rows[0]->refs; i++)
		control_turn(&g);
	assert_int_equal(g.control->lists.rows[0]->phase, LIST_OPENING);
	for (int i = 0; i < 20; i++)
		both(&g);
	assert_int_equal(g.control->lists.open, 0);
	rig_fini(&g);
}

/* Opened again while it closed, and left for good then. */
static void a_list_that_was_opened_again_goes_as_others(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	greet(&g);
	wish(&g, OBJECT, 0, "", "");
	close_handle(&g, opened(&g).handle);
	for (int i = 0; i < 100 && g.control->lists.rows[0]->phase != LIST_CLOSING; i++)
		control_turn(&g);
	wish(&g, OBJECT, 0, "", "");
	uint32_t handle = opened(&g).handle;
	close_handle(&g, handle);
	for (int i = 0; i < 20; i++)
		both(&g);
	assert_int_equal(g.control->lists.open, 0);
	assert_null(g.reactor->feed_by_id.rows[0]);
	rig_fini(&g);
}

/* Its cluster was removed: who has it open may close it, and who asks for it gets another. */
static void a_list_that_has_ended_is_not_given_out(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	g.settings.limits.linger_seconds = 1000;
	greet(&g);
	wish(&g, OBJECT, 0, "", "");
	struct attach_list old = opened(&g);
	lists_end_cluster(g.control, g.control->lists.rows[0]->cluster, "removed");
	wish(&g, OBJECT, 0, "", "");
	struct attach_list next = opened(&g);
	assert_int_equal(g.control->lists.open, 2);
	close_handle(&g, old.handle);
	settle(&g);
	const struct feed *f = g.reactor->feed_by_id.rows[1];
	assert_int_equal(f->consumer_count, 1);
	close_handle(&g, next.handle);
	rig_fini(&g);
}

static unsigned questions_about(const struct known_cluster *k)
{
	unsigned n = 0;
	LIST_EACH (it, &k->questions)
		n++;
	return n;
}

/* Its shard could not be made: no descriptor was left, or no memory. Both come back. */
static void one_that_is_to_be_kept_open_is_tried_again(void **state)
{
	struct settings_list pods = {
	        .clusters = "*", .resource = {.resource = "pods", .version = "v1", .group = ""}};
	const struct list_want want = {"c", "", "v1", "pods", "", "", "", false, false};
	struct rig g;
	struct errmsg m = {0};
	(void)state;
	rig_config(&g);
	g.settings.lists = &pods;
	g.settings.list_count = 1;
	rig_start(&g);
	struct known_cluster *k = clusters_find(g.control, "c");
	g.reactor->config.ring_entries = 3; /* here it is that */
	assert_int_equal(lists_open(g.control, &want, 0, NULL, &m), ERR_OK);
	settle(&g);
	assert_int_equal(g.control->lists.open, 0);
	assert_non_null(strstr(warned, "ring_entries is 3"));
	assert_non_null(strstr(warned, "it is tried again"));
	assert_int_equal(questions_about(k), 0);
	assert_true(k->fresh);
	for (int looks = 0; looks < 2; looks++) { /* the second finds that it is asked already */
		k->fresh = true;
		lists_on_look(&g.control->lists.look);
		assert_int_equal(questions_about(k), 1);
	}
	rig_fini(&g);
}

static void refused(struct rig *g, const char *part)
{
	union reply r;
	assert_true(hear(g, &r));
	assert_int_equal(r.head.type, ATTACH_ERROR);
	assert_int_equal(r.error.code, KR_ERR_LIMIT);
	assert_non_null(strstr(r.error.text, part));
}

static void wish_number(struct rig *g, int i)
{
	char labels[16];
	snprintf(labels, sizeof labels, "n=%d", i);
	wish(g, OBJECT, 0, labels, "");
}

/* By selectors a user makes as many lists as there can be. A quarter is left for others; root
 * and the daemon's own user may have all. */
static void one_user_cannot_take_all_lists(void **state)
{
	enum { LISTS = 16, MINE = LISTS - LISTS / 4, NOBODY = 65534 };
	static const uid_t both_of_them[] = {NOBODY, 0};
	struct rig g;
	uint32_t handle = 0;
	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can be another user */
	rig_init(&g);
	g.settings.limits.lists_max = LISTS;
	g.realm.uids = both_of_them;
	g.realm.uid_count = 2;
	assert_int_equal(chmod(g.dir, 0755), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	g.client = dial(&g);
	assert_int_equal(seteuid(0), 0);
	say_hello(&g);
	int nobody = g.client;
	for (int i = 0; i < MINE; i++) {
		wish_number(&g, i);
		handle = opened(&g).handle;
	}
	wish_number(&g, LISTS);
	refused(&g, "user 65534 has opened 12 lists");
	greet(&g);
	int root = g.client;
	for (int i = MINE; i < LISTS; i++) {
		wish_number(&g, i);
		(void)opened(&g);
	}
	g.client = nobody;
	wish_number(&g, MINE); /* of another: it takes no place */
	(void)opened(&g);
	close_handle(&g, handle);
	settle(&g);
	assert_int_equal(g.control->lists.open, LISTS - 1);
	wish_number(&g, LISTS);
	handle = opened(&g).handle;
	wish_number(&g, LISTS + 1);
	refused(&g, "user 65534");
	g.client = root; /* who joins does not pay, and keeps it open */
	wish_number(&g, LISTS);
	(void)opened(&g);
	g.client = nobody;
	close_handle(&g, handle);
	settle(&g);
	wish_number(&g, LISTS + 1);
	refused(&g, "user 65534");
	close(root);
	rig_fini(&g);
}

/* However many consumers it has. */
static void openings_of_one_user_are_bounded(void **state)
{
	struct rig g;
	(void)state;
	rig_init(&g);
	greet(&g);
	struct user *u = g.control->consumers.rows[0]->user;
	u->openings = USER_OPENINGS_MAX - 1; /* of others of its consumers */
	wish(&g, OBJECT, 0, "", "");
	uint32_t handle = opened(&g).handle;
	wish(&g, OBJECT, 0, "", "");
	refused(&g, "its user");
	close_handle(&g, handle);
	wish(&g, OBJECT, 0, "", "");
	(void)opened(&g);
	int leaves = g.client;
	greet(&g);
	close(leaves);
	settle(&g);
	assert_int_equal(u->openings, USER_OPENINGS_MAX - 1);
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(another_form_is_another_list),
	        cmocka_unit_test(a_list_has_the_budget_of_the_settings),
	        cmocka_unit_test(a_consumer_is_woken_until_its_last_handle_is_closed),
	        cmocka_unit_test(a_list_that_is_needed_does_not_close),
	        cmocka_unit_test(a_list_whose_openers_left_before_it_was_there_goes),
	        cmocka_unit_test(a_list_that_was_opened_again_goes_as_others),
	        cmocka_unit_test(a_list_that_has_ended_is_not_given_out),
	        cmocka_unit_test(one_that_is_to_be_kept_open_is_tried_again),
	        cmocka_unit_test(one_user_cannot_take_all_lists),
	        cmocka_unit_test(openings_of_one_user_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
