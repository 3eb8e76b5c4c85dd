/* args.h - the command line. Flags may stand anywhere, before the command too; "--" ends them. */
#ifndef KR_KUBERING_ARGS_H
#define KR_KUBERING_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum args_output { OUTPUT_TABLE, OUTPUT_NAME, OUTPUT_JSON, OUTPUT_JSONL, OUTPUT_YAML };

/* Which command takes which flag: a bit per command. */
enum args_command {
	COMMAND_GET = 1,
	COMMAND_WATCH = 2,
	COMMAND_STATUS = 4,
	COMMAND_CLUSTERS = 8,
	COMMAND_LISTS = 16,
	COMMAND_TOP = 32,
	COMMAND_DOCTOR = 64,
	COMMAND_VERSION = 128,
	COMMAND_RELOAD = 256,
	COMMAND_AUDIT = 512,
};

/* Owner: main. Life: that of argv, which the strings point into; resource may be a copy
 * (args_fini). NULL: not given. */
struct args {
	const char *resource, *name;
	char **words; /* of audit: word_count of them */
	int word_count;
	const char *namespace_, *labels, *fields;
	const char *cluster, *socket;
	bool all_namespaces, all_clusters, no_headers, diff, watch_events, help;
	enum args_output output;
	int64_t timeout_ns; /* -1: not given; KR_FOREVER for 0 */
	char *owned;
};

/* Where the command stands: argv[0] is the program, and flags with their values may come first.
 * argc: there is none. 0: said what is wrong on stderr, the exit code is CODE_USAGE. */
int args_command(int argc, char **argv);
/* argv[0] is the command's name. False: said what is wrong on stderr, the exit code is CODE_USAGE.
 */
bool args_parse(struct args *a, enum args_command command, int argc, char **argv);
void args_fini(struct args *a);

#endif
