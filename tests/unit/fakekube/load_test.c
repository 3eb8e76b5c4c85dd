/* Profiles: what they say, and what they do as time goes on. */
#include "drive.h"

#include "host/load.h"

#include <unistd.h>

struct load_drive {
	struct model_server server;
	struct load load;
	struct model_text commands; /* those that were called for, each with ; */
	uint64_t wakes;
};

static void start(struct load_drive *d, uint32_t clusters)
{
	memset(d, 0, sizeof *d);
	model_server_init(&d->server, &(struct model_server_options){.wall_s = WALL_S});
	struct options o = {.clusters = clusters,
	        .objects = 4,
	        .object_bytes = 3600,
	        .namespaces = 1,
	        .resources = "pods,configmaps",
	        .history = 1000};
	assert_true(load_init(&d->load, &d->server, &o, 0));
}

static void finish(struct load_drive *d)
{
	load_fini(&d->load);
	model_server_fini(&d->server);
	model_text_fini(&d->commands);
}

static bool read_text(struct load_drive *d, const char *text)
{
	char name[] = "/tmp/fakekube-profile-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	load_fini(&(struct load){.phases = d->load.phases, .commands = d->load.commands});
	d->load.phase_count = d->load.command_count = 0;
	bool ok = load_read_profile(&d->load, name);
	unlink(name);
	return ok;
}

static void on_command(void *arg, const char *command)
{
	struct load_drive *d = arg;
	model_text_printf(&d->commands, "%s;", command);
}

/* Turn by turn until that moment, each when it was asked for. */
static void run_until(struct load_drive *d, uint64_t *now_ns, uint64_t end_ns)
{
	while (*now_ns < end_ns) {
		uint64_t next = load_turn(&d->load, *now_ns, on_command, d);
		assert_true(next >= *now_ns);
		d->wakes++;
		*now_ns = next < end_ns ? next : end_ns;
	}
}

static uint64_t writes_of(const struct load_drive *d, size_t cluster)
{
	return d->server.clusters[cluster]->rv;
}

static void built_in_ones_are_understood(void **state)
{
	(void)state;
	static const char *const names[] = {"steady", "rollout", "heartbeat", "mass-delete",
	        "gone-storm", "cut-storm", "rolling-restart", "dead", "flood"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct load_drive d;
		start(&d, 2);
		assert_true(load_read_profile(&d.load, names[i]));
		assert_true(d.load.repeat && d.load.phase_count > 0);
		uint64_t now = 0, before = writes_of(&d, 0);
		run_until(&d, &now, 2 * SECOND_NS);
		assert_true(writes_of(&d, 0) > before);
		finish(&d);
	}
}

static void what_is_no_profile_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "repeat\n", "do stats\n", "phase\n", "phase x\n",
	        "phase 0\n", "phase 1 rate\n", "phase 1 rate=x\n", "phase 1 rate=-1\n",
	        "phase 1 nothing=1\n", "phase 1 dead=101\n", "phases 1\n"};
	struct load_drive d;
	start(&d, 1);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (read_text(&d, texts[i]))
			fail_msg("taken: %s", texts[i]);
	assert_true(read_text(&d, "# a comment\n\nphase 1.5 rate=10 status=3 # more\ndo stats"));
	assert_int_equal(d.load.phase_count, 1);
	assert_string_equal(d.load.commands[0], "stats");
	finish(&d);
}

/* Writes until 3.5 s, with no turn between 0 and late. */
static uint64_t written_when_late(uint64_t late)
{
	struct load_drive d;
	start(&d, 1);
	assert_true(read_text(
	        &d, "phase 1 rate=100 status=1\nphase 1 rate=50 status=1\ndo compact *\nrepeat\n"));
	uint64_t before = writes_of(&d, 0), now = 0;
	load_turn(&d.load, now, on_command, &d);
	for (now = late; now <= 7 * SECOND_NS / 2;) {
		uint64_t next = load_turn(&d.load, now, on_command, &d);
		assert_true(next >= now);
		now = next;
	}
	TEXT_LIT(&d.commands, "\0");
	assert_string_equal(d.commands.p, "compact *;compact *;");
	uint64_t made = writes_of(&d, 0) - before;
	finish(&d);
	return made;
}

/* An open loop: who comes late makes up for it, over the end of a phase, too. */
static void late_turns_leave_out_no_write(void **state)
{
	(void)state;
	assert_int_equal(written_when_late(0), 100 + 50 + 100 + 26);
	assert_int_equal(written_when_late(SECOND_NS * 4 / 5), 276);
	assert_int_equal(written_when_late(7 * SECOND_NS / 2), 276);
}

static void a_rolling_restart_meets_each_cluster_once(void **state)
{
	(void)state;
	struct load_drive d;
	start(&d, 4);
	assert_true(read_text(&d, "phase 1 rate=1 restart=1 down=300\nphase 1 rate=1\n"));
	uint64_t now = 0;
	run_until(&d, &now, SECOND_NS / 2);
	TEXT_LIT(&d.commands, "\0");
	assert_string_equal(d.commands.p, "restart fake-1 300;restart fake-2 300;");
	d.commands.n--;
	run_until(&d, &now, 3 * SECOND_NS);
	TEXT_LIT(&d.commands, "\0");
	assert_string_equal(d.commands.p,
	        "restart fake-1 300;restart fake-2 300;restart fake-3 300;"
	        "restart fake-4 300;");
	finish(&d);
}

static void the_dead_come_back(void **state)
{
	(void)state;
	struct load_drive d;
	start(&d, 4);
	assert_true(read_text(&d, "phase 1 dead=25\nphase 1 dead=25\nphase 1\n"));
	uint64_t now = 0;
	run_until(&d, &now, 4 * SECOND_NS);
	TEXT_LIT(&d.commands, "\0");
	assert_string_equal(d.commands.p, "dead 25%;dead 0%;");
	finish(&d);
}

static void a_flood_is_of_one_cluster(void **state)
{
	(void)state;
	struct load_drive d;
	start(&d, 3);
	assert_true(
	        read_text(&d, "phase 1 rate=1000 status=1 flood=1 trickle=10\nphase 9 rate=0\n"));
	uint64_t now = 0, before[3];
	for (size_t i = 0; i < 3; i++)
		before[i] = writes_of(&d, i);
	run_until(&d, &now, 2 * SECOND_NS);
	assert_int_equal(writes_of(&d, 0) - before[0], 1000);
	assert_int_equal(writes_of(&d, 1) - before[1] + writes_of(&d, 2) - before[2], 10);
	assert_true(d.wakes >= 1000 && d.wakes < 1020); /* one for each, not more */
	finish(&d);
}

/* A turn that comes late writes all that was due, each with the time at which it was. */
static void late_writes_carry_their_time(void **state)
{
	(void)state;
	struct load_drive d;
	start(&d, 1);
	load_set_rate(&d.load, 1000, 0);
	load_turn(&d.load, 10500000, on_command, &d);
	const struct model_store *st = d.load.works[0].cluster->stores[0];
	uint64_t seen = 0;
	for (size_t s = 0; s < d.load.works[0].cluster->store_count; s++) {
		st = d.load.works[0].cluster->stores[s];
		for (uint64_t at = st->log_first; at < st->log_first + st->log_count; at++) {
			uint64_t stamp = model_store_at(st, at)->stamp_ns;
			assert_int_equal(stamp % 1000000, 0);
			seen |= 1u << stamp / 1000000;
		}
	}
	assert_int_equal(seen, (1u << 11) - 1);
	finish(&d);
}

static void works_are_found_by_cluster(void **state)
{
	(void)state;
	struct load_drive d;
	start(&d, 5);
	for (size_t i = 0; i < 5; i++) {
		struct model_cluster *c = d.server.clusters[i];
		const struct model_workload *w =
		        load_find(&d.load, c, load_resource(c, SPAN("configmaps")));
		assert_non_null(w);
		assert_ptr_equal(w->cluster, c);
		assert_null(load_find(&d.load, c, load_resource(c, SPAN("nodes"))));
	}
	finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(built_in_ones_are_understood),
	        cmocka_unit_test(what_is_no_profile_is_refused),
	        cmocka_unit_test(a_rolling_restart_meets_each_cluster_once),
	        cmocka_unit_test(the_dead_come_back),
	        cmocka_unit_test(a_flood_is_of_one_cluster),
	        cmocka_unit_test(late_writes_carry_their_time),
	        cmocka_unit_test(late_turns_leave_out_no_write),
	        cmocka_unit_test(works_are_found_by_cluster),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
