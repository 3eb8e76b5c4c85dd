/* options.h - the command line of kuberingd: its words are a contract with users' scripts. */
#ifndef KR_MAIN_OPTIONS_H
#define KR_MAIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { OPTIONS_LISTS_MAX = 256, OPTIONS_CONTEXTS_MAX = 4096, OPTIONS_EXIT_USAGE = 2 };

struct options { /* strings borrowed from argv */
	const char *config, *kubeconfig, *socket, *io, *log_format;
	const char *contexts[OPTIONS_CONTEXTS_MAX];
	size_t context_count;
	const char *lists[OPTIONS_LISTS_MAX]; /* RESOURCE[.VERSION][.GROUP][/NAMESPACE] */
	size_t list_count;
	unsigned reactors;
	bool check;
};

/* Fills *o. Returns -1 to go on, else the exit status (help and version were printed, or what is
 * wrong). */
int options_parse(int argc, char **argv, struct options *o);

#endif
