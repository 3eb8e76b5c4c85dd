/* main.c - kubering, the command-line tool: which command, and its help. */
#include <stdio.h>
#include <string.h>

#include "include/kubering.h"
#include "kubering/args.h"
#include "kubering/commands.h"
#include "kubering/help.h"
#include "kubering/say.h"

enum { STDOUT_BYTES = 1 << 18 };

struct command {
	const char *name;
	enum args_command bit;
	int (*run)(const struct args *);
};

static const struct command commands[] = {
        {"get", COMMAND_GET, command_get},
        {"watch", COMMAND_WATCH, command_watch},
        {"status", COMMAND_STATUS, command_status},
        {"clusters", COMMAND_CLUSTERS, command_clusters},
        {"lists", COMMAND_LISTS, command_lists},
        {"top", COMMAND_TOP, command_top},
        {"doctor", COMMAND_DOCTOR, command_doctor},
        {"version", COMMAND_VERSION, command_version},
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct args a;
	int code = CODE_USAGE;
	if (!args_parse(&a, c->bit, argc, argv))
		say_note("kubering %s --help says more", c->name);
	else if (a.help)
		code = help_command(c->name);
	else
		code = c->run(&a);
	args_fini(&a);
	return say_close(code);
}

int main(int argc, char **argv)
{
	static char out[STDOUT_BYTES];
	setvbuf(stdout, out, _IOFBF, sizeof out);
	const char *name = argc > 1 ? argv[1] : "";
	if (strcmp(name, "--version") == 0) {
		printf("kubering %s (layout %s)\n", kr_version(), kr_layout_version());
		return say_close(CODE_OK);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
	        (strcmp(name, "help") == 0 && argc == 2))
		return say_close(help_all(stdout));
	if (strcmp(name, "help") == 0)
		return say_close(
		        find(argv[2]) ? help_command(argv[2]) : (help_all(stderr), CODE_USAGE));
	const struct command *c = find(name);
	if (!c) {
		if (*name)
			say_error("unknown command \"%s\"", name);
		help_all(stderr);
		return CODE_USAGE;
	}
	return run(c, argc - 1, argv + 1);
}
