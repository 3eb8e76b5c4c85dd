/* left_out_test.c - what people are told of lists that are without some of their objects. */
#include "unit/control/rig.h"

static void tell(struct rig *g, uint32_t list, uint32_t names, uint32_t deep, const char *in)
{
	struct reactor_note *n = core_note_new(g->reactor, REACTOR_LEFT_OUT, list);
	assert_non_null(n);
	n->left_names = names;
	n->left_deep = deep;
	snprintf(n->text, sizeof n->text, "%s", in);
	warned[0] = '\0';
	warnings = 0;
	core_note(g->reactor, n);
	for (int i = 0; i < 3; i++)
		both(g);
}

static void is_written(const struct open_list *l, const char *json)
{
	struct report t = {0};
	report_open(&t, NULL, '{');
	left_out_write(&l->left_out, &t);
	report_close(&t, '}');
	assert_false(t.failed);
	assert_string_equal(t.p, json);
	report_fini(&t);
}

static void the_log_and_who_asks_are_told(void **state)
{
	static const char *const pods[ATTACH_STRINGS] = {"c", "", "v1", "pods", "", "", ""};
	struct rig g;
	union reply r;
	(void)state;
	rig_init(&g);
	greet(&g);
	ask_strings(&g, 2, pods);
	assert_true(hear(&g, &r));
	assert_int_equal(r.head.type, ATTACH_LIST);
	const struct open_list *l = g.control->lists.rows[0];
	is_written(l, "{}");
	tell(&g, l->id, 2, 1, "shop");
	assert_int_equal(warnings, 1);
	assert_string_equal(warned,
	        "cluster \"c\": list of pods is without 3 objects that cannot be held: 2 with a "
	        "name of more than 2048 bytes or with NUL, 1 nested in more than 256 levels; the "
	        "last in namespace shop");
	is_written(l, "{\"left_out\":{\"names\":2,\"deep\":1}}");
	tell(&g, l->id, 0, 7, "");
	assert_string_equal(warned,
	        "cluster \"c\": list of pods is without 7 objects that cannot be "
	        "held: 7 nested in more than 256 levels");
	is_written(l, "{\"left_out\":{\"names\":0,\"deep\":7}}");
	tell(&g, l->id, 0, 0, ""); /* it has all of them again */
	assert_int_equal(warnings, 0);
	is_written(l, "{}");
	/* its lines are among those that are counted when there are too many */
	for (unsigned i = 0; i < 1000; i++)
		left_out_on_note(g.control, &(struct reactor_note){.id = l->id, .left_deep = 1});
	assert_in_range(warnings, 1, 999);
	tell(&g, 12345, 1, 1, ""); /* of a list that nobody knows: it is closed */
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_log_and_who_asks_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
