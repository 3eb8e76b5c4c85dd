#include "kubering/args.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "include/kubering.h"
#include "kubering/duration.h"
#include "kubering/say.h"
#include "kubering/text.h"

enum {
	LISTING = COMMAND_GET | COMMAND_WATCH,
	EVERY = 0x3ff,
};

enum value { VALUE_FLAG, VALUE_STRING, VALUE_OUTPUT, VALUE_DURATION };

struct option {
	const char *name;
	char letter;
	enum value value;
	unsigned commands;
	size_t offset;
};

#define AT(field) offsetof(struct args, field)
static const struct option options[] = {
        {"namespace", 'n', VALUE_STRING, LISTING, AT(namespace_)},
        {"all-namespaces", 'A', VALUE_FLAG, LISTING, AT(all_namespaces)},
        {"selector", 'l', VALUE_STRING, LISTING, AT(labels)},
        {"field-selector", 0, VALUE_STRING, LISTING, AT(fields)},
        {"cluster", 0, VALUE_STRING, LISTING | COMMAND_LISTS | COMMAND_CLUSTERS, AT(cluster)},
        {"context", 0, VALUE_STRING, LISTING | COMMAND_LISTS | COMMAND_CLUSTERS, AT(cluster)},
        {"all-clusters", 0, VALUE_FLAG, LISTING, AT(all_clusters)},
        {"output", 'o', VALUE_OUTPUT, EVERY, AT(output)},
        {"timeout", 0, VALUE_DURATION, EVERY, AT(timeout_ns)},
        {"no-headers", 0, VALUE_FLAG, EVERY & ~(COMMAND_VERSION | COMMAND_DOCTOR), AT(no_headers)},
        {"diff", 0, VALUE_FLAG, COMMAND_WATCH, AT(diff)},
        {"output-watch-events", 0, VALUE_FLAG, COMMAND_WATCH, AT(watch_events)},
        {"socket", 0, VALUE_STRING, EVERY, AT(socket)},
        {"help", 'h', VALUE_FLAG, EVERY, AT(help)},
};
#undef AT

static bool parse_output(struct args *a, enum args_command command, const char *v)
{
	static const char *const words[] = {"table", "name", "json", "jsonl", "yaml"};
	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(v, words[i]) != 0)
			continue;
		bool listing = command & LISTING;
		if (!listing && i != OUTPUT_TABLE && i != OUTPUT_JSON)
			break;
		a->output = (enum args_output)i;
		return true;
	}
	say_error("-o %s: this command knows %s", v,
	        command & LISTING ? "table, name, json, jsonl and yaml" : "table and json");
	return false;
}

static bool parse_timeout(struct args *a, const char *v)
{
	if (!duration_parse(v, &a->timeout_ns)) {
		say_error("--timeout %s: not a duration such as 30s, 1m30s or 500ms", v);
		return false;
	}
	if (a->timeout_ns == 0)
		a->timeout_ns = KR_FOREVER;
	return true;
}

static bool set(struct args *a, enum args_command command, const struct option *o, const char *v)
{
	switch (o->value) {
	case VALUE_FLAG: *(bool *)((char *)a + o->offset) = true; return true;
	case VALUE_STRING: *(const char **)((char *)a + o->offset) = v; return true;
	case VALUE_OUTPUT: return parse_output(a, command, v);
	case VALUE_DURATION: return parse_timeout(a, v);
	}
	return false;
}

/* "-n", "--namespace" or "--namespace=x" (*inline_value) or "-nx". */
static const struct option *find(const char *arg, const char **inline_value)
{
	*inline_value = NULL;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		const struct option *o = &options[i];
		size_t n = strlen(o->name);
		if (arg[1] == '-') {
			if (strncmp(arg + 2, o->name, n) != 0 ||
			        (arg[2 + n] != '\0' && arg[2 + n] != '='))
				continue;
			*inline_value = arg[2 + n] == '=' ? arg + 3 + n : NULL;
			return o;
		}
		if (o->letter && arg[1] == o->letter &&
		        (o->value != VALUE_FLAG || arg[2] == '\0')) {
			*inline_value = arg[2] == '=' ? arg + 3 : arg[2] ? arg + 2 : NULL;
			return o;
		}
	}
	return NULL;
}

/* argv's own places take them: behind those that are still to be read there are none. */
static bool take_word(struct args *a, char **argv, int at)
{
	if (!a->words)
		a->words = argv + at;
	a->words[a->word_count++] = argv[at];
	return true;
}

static bool take_positional(struct args *a, enum args_command command, const char *arg)
{
	if (!(command & LISTING)) {
		say_error("unexpected argument \"%s\"", arg);
		return false;
	}
	const char *slash = strchr(arg, '/');
	if (!a->resource && slash && slash[1]) { /* pod/name, as kubectl takes it */
		a->owned = text_copy((struct span){arg, (size_t)(slash - arg)});
		a->resource = a->owned;
		a->name = slash + 1;
	} else if (!a->resource) {
		a->resource = arg;
	} else if (!a->name) {
		a->name = arg;
	} else {
		say_error("unexpected argument \"%s\": one RESOURCE and one NAME at a time", arg);
		return false;
	}
	return true;
}

/* Flags that do not go together. */
static bool check(const struct args *a, enum args_command command)
{
	if (!(command & LISTING) || a->help)
		return true;
	if (!a->resource || !*a->resource)
		say_error("which RESOURCE? For example: kubering get pods -A");
	else if (strpbrk(a->resource, " ,/"))
		say_error("\"%s\" is not one RESOURCE, such as pods, deploy or deployments.v1.apps",
		        a->resource);
	else if (a->cluster && a->all_clusters)
		say_error("--cluster and --all-clusters exclude each other");
	else if (a->namespace_ && a->all_namespaces)
		say_error("-n and -A exclude each other");
	else if (a->name && a->all_namespaces)
		say_error("a resource cannot be retrieved by name across all namespaces: give -n "
		          "NAMESPACE");
	else if (a->name && (a->labels || a->fields))
		say_error("a NAME and selectors exclude each other");
	else if (a->diff && a->output != OUTPUT_TABLE && a->output != OUTPUT_JSONL)
		say_error("--diff prints text, or with -o jsonl merge patches");
	else if (a->watch_events && (a->diff || a->output != OUTPUT_TABLE))
		say_error("--output-watch-events is for tables; -o jsonl always has the type");
	else
		return true;
	return false;
}

/* What hands that know kubectl type, and what it is here. */
static const char *flag_of_kubectl(const char *arg)
{
	static const char *const words[][2] = {
	        {"-w", "kubering watch RESOURCE does that"},
	        {"--watch", "kubering watch RESOURCE does that"},
	        {"--watch-only", "kubering watch RESOURCE -o jsonl, from its line SYNCED on"},
	        {"--show-labels", "-o json has them"},
	        {"-L", "-o json has them"},
	        {"--sort-by", "tables are sorted by namespace and name; -o jsonl | jq sorts else"},
	        {"--kubeconfig", "it is kuberingd that reads it"},
	};
	size_t n = strcspn(arg, "=");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i][0]) == n && strncmp(words[i][0], arg, n) == 0)
			return words[i][1];
	return NULL;
}

/* No selector selects everything, as in kubectl. */
static bool may_be_empty(const struct option *o)
{
	return o->offset == offsetof(struct args, labels) ||
	       o->offset == offsetof(struct args, fields);
}

static bool take_option(struct args *a, enum args_command command, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *value;
	const struct option *o = find(arg, &value);
	if (!o || !(o->commands & command)) {
		const char *hint = flag_of_kubectl(arg);
		say_error("%s: not a flag of this command%s%s", arg, hint ? ": " : "",
		        hint ? hint : "");
		return false;
	}
	if (o->value == VALUE_FLAG && value) {
		say_error("%s: this flag takes no value", arg);
		return false;
	}
	if (o->value != VALUE_FLAG && !value) {
		if (*i + 1 >= argc) {
			say_error("%s needs a value", arg);
			return false;
		}
		value = argv[++*i];
	}
	if (o->value == VALUE_STRING && !*value && !may_be_empty(o)) {
		/* an unset variable of a script must not turn into every namespace */
		say_error("%s is empty%s", arg,
		        o->letter == 'n' ? "; for all namespaces say -A" : "");
		return false;
	}
	return set(a, command, o, value);
}

int args_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *value;
		if (arg[0] != '-' || !arg[1])
			return i;
		const struct option *o = strcmp(arg, "--") == 0 ? NULL : find(arg, &value);
		if (!o) {
			say_error("unknown flag %s before the command", arg);
			return 0;
		}
		if (o->value == VALUE_FLAG || value)
			continue;
		if (++i == argc) {
			say_error("%s needs a value", arg);
			return 0;
		}
	}
	return argc;
}

bool args_parse(struct args *a, enum args_command command, int argc, char **argv)
{
	bool flags = true;
	*a = (struct args){.timeout_ns = -1};
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		bool ok = true;
		if (flags && strcmp(arg, "--") == 0)
			flags = false;
		else if (flags && arg[0] == '-' && arg[1])
			ok = take_option(a, command, argc, argv, &i);
		else if (command == COMMAND_AUDIT)
			ok = take_word(a, argv, i);
		else
			ok = take_positional(a, command, arg);
		if (!ok)
			return false;
	}
	return check(a, command);
}

void args_fini(struct args *a)
{
	free(a->owned);
	a->owned = NULL;
}
