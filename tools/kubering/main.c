/* main.c - kubering, the command-line tool: which command, and its help. */
#include <stdio.h>
#include <string.h>

#include "include/kubering.h"
#include "kubering/args.h"
#include "kubering/commands.h"
#include "kubering/help.h"
#include "kubering/say.h"
#include "kubering/text.h"

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
        {"reload", COMMAND_RELOAD, command_reload},
        {"audit", COMMAND_AUDIT, command_audit},
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

/* "kubering --socket X get pods": what stands before the command goes behind it, where the command
 * judges it. Returns where its name is now. */
static char **command_first(int at, char **argv)
{
	char *name = argv[at];
	memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
	argv[1] = name;
	return argv + 1;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int usage(void)
{
	help_all(stderr);
	return CODE_USAGE;
}

static void unknown_command(const char *word)
{
	static const char *const of_kubectl[] = {"annotate", "api-resources", "apply", "config",
	        "cp", "create", "delete", "describe", "edit", "exec", "explain", "label", "logs",
	        "patch", "port-forward", "replace", "rollout", "run", "scale", "wait"};
	for (size_t i = 0; i < sizeof of_kubectl / sizeof of_kubectl[0]; i++)
		if (strcmp(of_kubectl[i], word) == 0) {
			say_error("kubering only reads lists, it has no \"%s\": kubectl %s", word,
			        word);
			return;
		}
	struct text names = {0};
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		text_printf(&names, "%s%s", i ? ", " : "", commands[i].name);
	say_error("unknown command \"%s\": it is one of %s (kubering --help)", word,
	        text_cstr(&names));
	text_fini(&names);
}

static int help(const char *name)
{
	return find(name) ? help_command(name) : usage();
}

int main(int argc, char **argv)
{
	static char out[STDOUT_BYTES];
	setvbuf(stdout, out, _IOFBF, sizeof out);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("kubering %s (layout %s)\n", kr_version(), kr_layout_version());
		return say_close(CODE_OK);
	}
	int at = args_command(argc, argv);
	if (at == 0)
		return usage();
	if (at == argc) { /* flags only */
		for (int i = 1; i < argc; i++)
			if (is_help(argv[i]))
				return say_close(help_all(stdout));
		if (argc > 1)
			say_error("which command? For example: kubering status");
		return usage();
	}
	if (strcmp(argv[at], "help") == 0)
		return say_close(at + 1 < argc ? help(argv[at + 1]) : help_all(stdout));
	const struct command *c = find(argv[at]);
	if (!c) {
		unknown_command(argv[at]);
		return CODE_USAGE;
	}
	return run(c, argc - 1, command_first(at, argv));
}
