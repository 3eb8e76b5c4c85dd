/* file_rig.h - the control thread and a reactor on a scripted io, with a configuration that is read
 * from real files, and read again. */
#ifndef KR_TESTS_UNIT_CONTROL_FILE_RIG_H
#define KR_TESTS_UNIT_CONTROL_FILE_RIG_H

#include "unit/config/scratch.h"

#include "config/config.h"
#include "control/core.h"
#include "control/questions.h"
#include "unit/control/reactor.h"

struct rig {
	struct scratch *scratch;
	char path[96];
	const char *yaml, *kubeconfig;
	struct config *config; /* of the start */
	struct control *control;
	struct reactor *reactor;
	struct fake_io io;
	unsigned ended, good; /* reloads */
};

static char warned[4096];
static inline void warn(const char *text)
{
	size_t n = strlen(warned);
	snprintf(warned + n, sizeof warned - n, "%s\n", text);
}

static inline err_t load(void *arg, struct config **out, struct errmsg *m)
{
	const struct rig *g = arg;
	struct problem_list problems;
	struct config_options o = {.settings_file = g->yaml,
	        .kubeconfig = g->kubeconfig,
	        .env = {.uid = geteuid(), .runtime_dir = g->scratch->dir}};
	problem_list_init(&problems);
	err_t err = config_load(&o, &problems, out);
	if (err)
		err = problem_result(&problems, m);
	problem_list_fini(&problems);
	return err;
}

static inline void loaded(void *arg, const char *text)
{
	struct rig *g = arg;
	g->ended++;
	g->good += text != NULL;
}

static inline void write_files(struct rig *g, const char *yaml, const char *kubeconfig)
{
	g->yaml = scratch_write(g->scratch, "kubering.yaml", yaml);
	g->kubeconfig = scratch_write(g->scratch, "kubeconfig", kubeconfig);
}

static inline void turn(struct rig *g)
{
	for (int i = 0; i < 6; i++) {
		reactor_turn(g->reactor, 0);
		loop_turn(g->control->loop, 0);
	}
}

static inline void rig_init(
        struct rig *g, struct scratch *s, const char *yaml, const char *kubeconfig)
{
	struct errmsg m = {0};
	warned[0] = 0;
	*g = (struct rig){.scratch = s};
	write_files(g, yaml, kubeconfig);
	assert_int_equal(load(g, &g->config, &m), ERR_OK);
	snprintf(g->path, sizeof g->path, "%s/socket", s->dir);
	struct control_config cc = {.socket_path = g->path,
	        .config = g->config,
	        .settings = g->config->settings,
	        .reactor_count = 1,
	        .warn = warn,
	        .load = load,
	        .loaded = loaded,
	        .load_arg = g};
	assert_int_equal(control_new(&cc, &g->control, &m), ERR_OK);
	g->reactor = reactor_of_test(g->control, &g->io, 0, 1);
	control_set_reactors(g->control, &g->reactor);
	backends_start(g->control);
	lists_open_pinned(g->control);
	turn(g);
}

static inline void rig_fini(struct rig *g)
{
	g->control->stopping = true;
	consumers_bye(g->control);
	reactor_post(g->reactor, reactor_msg_new(REACTOR_STOP));
	while (!g->reactor->stopped)
		reactor_turn(g->reactor, 0);
	control_free(&g->control);
	reactor_free(&g->reactor);
	fake_io_fini(&g->io);
	config_free(&g->config);
}

static inline void reload(struct rig *g, const char *yaml, const char *kubeconfig)
{
	write_files(g, yaml, kubeconfig);
	reload_run(g->control);
	turn(g);
}

#endif
