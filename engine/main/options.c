#include "main/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
        "kuberingd keeps Kubernetes lists up to date in shared memory, for every process on this "
        "host.\n"
        "\n"
        "Examples:\n"
        "  kuberingd                                     the current context of your kubeconfig\n"
        "  kuberingd --context 'prod-*' --list pods.v1   several clusters, one list kept open\n"
        "  kuberingd --config /etc/kubering/kubering.yaml --check\n"
        "\n"
        "Options:\n"
        "  --config FILE         kubering.yaml\n"
        "  --kubeconfig FILE     instead of $KUBECONFIG and ~/.kube/config\n"
        "  --context NAME        a context or a pattern; may be repeated (default: the current "
        "context)\n"
        "  --list LIST           RESOURCE[.VERSION][.GROUP][/NAMESPACE] to keep open; may be "
        "repeated\n"
        "  --socket PATH         where consumers attach\n"
        "  --reactors N          threads that hold connections (default: one per core)\n"
        "  --io auto|uring|epoll\n"
        "  --log-format logfmt|json\n"
        "  --check               validate everything that can be without connecting, and exit\n"
        "  --help, --version\n"
        "\n"
        "SIGHUP (or: kubering reload) reads the configuration again, if it has no error.\n"
        "Exit status: 0 ok, 1 failed, 2 usage.\n"
        "Usage: kuberingd [OPTION]...\n";

enum {
	OPT_CONFIG = 256,
	OPT_KUBECONFIG,
	OPT_CONTEXT,
	OPT_LIST,
	OPT_SOCKET,
	OPT_REACTORS,
	OPT_IO,
	OPT_LOG,
	OPT_CHECK,
	OPT_HELP,
	OPT_VERSION
};

static const struct option table[] = {
        {"config", required_argument, NULL, OPT_CONFIG},
        {"kubeconfig", required_argument, NULL, OPT_KUBECONFIG},
        {"context", required_argument, NULL, OPT_CONTEXT},
        {"list", required_argument, NULL, OPT_LIST},
        {"socket", required_argument, NULL, OPT_SOCKET},
        {"reactors", required_argument, NULL, OPT_REACTORS},
        {"io", required_argument, NULL, OPT_IO},
        {"log-format", required_argument, NULL, OPT_LOG},
        {"check", no_argument, NULL, OPT_CHECK},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {NULL, 0, NULL, 0},
};

static int wrong(const char *what, const char *value)
{
	fprintf(stderr, "kuberingd: %s: \"%s\"; see kuberingd --help\n", what, value);
	return OPTIONS_EXIT_USAGE;
}

static int one_of(const char *option, const char *value, const char *words)
{
	char list[64];
	snprintf(list, sizeof list, "%s", words);
	for (char *save = NULL, *w = strtok_r(list, "|", &save); w; w = strtok_r(NULL, "|", &save))
		if (strcmp(w, value) == 0)
			return -1;
	fprintf(stderr, "kuberingd: %s takes %s, not \"%s\"\n", option, words, value);
	return OPTIONS_EXIT_USAGE;
}

static int take(struct options *o, int opt)
{
	char *end = NULL;
	switch (opt) {
	case OPT_CONFIG: o->config = optarg; return -1;
	case OPT_KUBECONFIG: o->kubeconfig = optarg; return -1;
	case OPT_SOCKET: o->socket = optarg; return -1;
	case OPT_IO: o->io = optarg; return one_of("--io", optarg, "auto|uring|epoll");
	case OPT_LOG: o->log_format = optarg; return one_of("--log-format", optarg, "logfmt|json");
	case OPT_CHECK: o->check = true; return -1;
	case OPT_CONTEXT:
		if (o->context_count == OPTIONS_CONTEXTS_MAX)
			return wrong("too many --context", optarg);
		o->contexts[o->context_count++] = optarg;
		return -1;
	case OPT_LIST:
		if (o->list_count == OPTIONS_LISTS_MAX)
			return wrong("too many --list", optarg);
		o->lists[o->list_count++] = optarg;
		return -1;
	case OPT_REACTORS: {
		unsigned long n = strtoul(optarg, &end, 10);
		o->reactors = (unsigned)n;
		return *end || !n || n > 64 ? wrong("--reactors takes 1 to 64", optarg) : -1;
	}
	case OPT_HELP: fputs(usage, stdout); return 0;
	case OPT_VERSION: puts("kuberingd " KR_VERSION); return 0;
	default: fputs("see kuberingd --help\n", stderr); return OPTIONS_EXIT_USAGE;
	}
}

int options_parse(int argc, char **argv, struct options *o)
{
	memset(o, 0, sizeof *o);
	int at = 0;
	for (int opt; (opt = getopt_long(argc, argv, "", table, &at)) != -1;) {
		if (opt != '?' && table[at].has_arg && !*optarg) /* an unset variable of a script */
			return wrong("empty value of", table[at].name);
		int status = take(o, opt);
		if (status >= 0)
			return status;
	}
	return optind < argc ? wrong("unexpected argument", argv[optind]) : -1;
}
