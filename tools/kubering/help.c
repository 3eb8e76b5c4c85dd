#include "kubering/help.h"

#include <string.h>

#include "kubering/say.h"

struct help {
	const char *name, *text, *examples, *options, *usage;
};

#define SELECT                                                                                     \
	"  -n, --namespace NS       namespace (that of the context if neither -n nor -A is "       \
	"given)\n"                                                                                 \
	"  -A, --all-namespaces     all namespaces\n"                                              \
	"  -l, --selector S         label selector, evaluated by the server\n"                     \
	"      --field-selector S   field selector, evaluated by the server\n"                     \
	"      --cluster C          cluster (context name); needed when there are several. Also "  \
	"--context\n"                                                                              \
	"      --all-clusters       all clusters; json objects get a member \"cluster\"\n"

#define EACH                                                                                       \
	"      --timeout D          such as 30s, 1m30s or 500ms; 0 = for ever\n"                   \
	"      --socket PATH        of kuberingd; else $KUBERING_SOCKET, "                         \
	"$XDG_RUNTIME_DIR/kubering.sock (not root)\n"                                              \
	"                           if it is there, /run/kubering/kubering.sock\n"                 \
	"  -h, --help               this text\n"

#define ABOUT                                                                                      \
	"  -o, --output FORM        table or json\n"                                               \
	"      --no-headers         no line of column names\n"

static const struct help texts[] = {
        {"get",
                "Print a list, or one object of it, as kuberingd holds it: whole and fresh, or not "
                "at all.",
                "  kubering get pods -A\n"
                "  kubering get deploy/web -n shop -o yaml\n"
                "  kubering get nodes --all-clusters\n"
                "  kubering get pods -l app=web -o jsonl | jq -r .status.podIP\n",
                SELECT "  -o, --output FORM        table, name, json (a v1 List), jsonl (an object "
                       "a line) or yaml\n"
                       "      --no-headers         no line of column names\n" EACH
                       "\nWithout --timeout it gives up when nothing has moved for 30 s. The first "
                       "get of a list opens its watch,\n"
                       "which stays open for a while: the next get answers from memory.\n",
                "  kubering get RESOURCE [NAME] [options]\n  kubering get RESOURCE/NAME "
                "[options]\n"},
        {"watch", "Print a list, then every change of it, in order, each exactly once.",
                "  kubering watch pods -A\n"
                "  kubering watch deployments -n shop --diff\n"
                "  kubering watch configmaps --all-clusters -A -o jsonl\n",
                SELECT
                "  -o, --output FORM        table, name, json, jsonl or yaml\n"
                "      --diff               only what changed, field by field; with -o jsonl as "
                "RFC 7386 merge patches\n"
                "      --output-watch-events  a column EVENT in the table\n"
                "      --no-headers         no line of column names\n" EACH
                "\n-o jsonl prints one line for each change:\n"
                "  "
                "{\"type\":T,\"cluster\":C,\"resource_version\":V,\"digest\":D,\"object\":{...}}\n"
                "T is ADDED, MODIFIED or DELETED; or, without object: SYNCED (the set is whole at "
                "V), STALE (no longer fresh),\n"
                "LIVE (fresh again), RESET (forget the set: it follows as ADDED and SYNCED). The "
                "first set comes as ADDED, without a\n"
                "version, and one SYNCED. D is the digest of the set after the line. With --diff, "
                "MODIFIED has namespace, name\n"
                "and patch instead of object. With --timeout it ends with exit code 3.\n",
                "  kubering watch RESOURCE [NAME] [options]\n"},
        {"status", "What the daemon does: clusters, lists, freshness, errors.",
                "  kubering status\n  kubering status -o json | jq '.lists[] | select(.state != "
                "\"live\")'\n",
                ABOUT EACH, "  kubering status [options]\n"},
        {"clusters", "The clusters that the daemon knows.", "  kubering clusters\n",
                "      --cluster C          only this one\n" ABOUT EACH,
                "  kubering clusters [options]\n"},
        {"lists", "The lists that the daemon keeps up to date.",
                "  kubering lists\n  kubering lists --cluster prod-eu -o json\n",
                "      --cluster C          only those of this one\n" ABOUT EACH,
                "  kubering lists [options]\n"},
        {"top",
                "Events per second and size of each list, busiest first; refreshes itself on a "
                "terminal, else prints one second.",
                "  kubering top\n  kubering top --timeout 10s\n", ABOUT EACH,
                "  kubering top [options]\n"},
        {"doctor",
                "Check everything from the socket to each list, and say what to do. Exit code 1 if "
                "something is broken.",
                "  kubering doctor\n  kubering doctor -o json\n",
                "  -o, --output FORM        table or json\n" EACH, "  kubering doctor [options]\n"},
        {"version", "Versions of this program and of the daemon.", "  kubering version -o json\n",
                "  -o, --output FORM        table or json\n" EACH,
                "  kubering version [options]\n"},
        {"reload",
                "Make the daemon read its configuration again, as SIGHUP does, and say what came "
                "of it.",
                "  kubering reload\n",
                "  -o, --output FORM        table or json\n" EACH
                "\nThe whole configuration is checked first: with an error in it nothing changes, "
                "and the exit code is 1.\nOnly the daemon's user and root may do it.\n",
                "  kubering reload [options]\n"},
        {"audit",
                "Compare lists that are open with what their clusters hold. Exit code 1 if one "
                "differs.",
                "  kubering audit\n"
                "  kubering audit prod-eu/pods prod-eu/deployments.apps\n"
                "  kubering audit prod-eu -o json\n",
                ABOUT EACH
                "\nEach list costs its API server a LIST of metadata at exactly the version that "
                "the list is at; one at a time.\nVerdicts: equal; different (found twice; the "
                "daemon takes the list again); none, with the reason: the list is\nnot live, or "
                "the server does not say what it held then. A list that differs at first is "
                "looked at for up to two\nminutes. Only the daemon's user and root may do it. "
                "auditSeconds of kubering.yaml does it by itself.\n",
                "  kubering audit [CLUSTER[/RESOURCE]...] [options]\n"},
};

int help_all(FILE *f)
{
	fputs("kubering: Kubernetes lists that kuberingd keeps in shared memory, at a "
	      "terminal.\n\nCommands:\n",
	        f);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		fprintf(f, "  %-10s %s\n", texts[i].name, texts[i].text);
	fputs("\nExamples:\n  kubering get pods -A\n  kubering watch deployments -n shop --diff\n  "
	      "kubering doctor\n"
	      "\nExit codes: 0 ok, 1 failed, 2 usage, 3 timed out, 4 daemon not reachable.\n"
	      "\nUsage:\n  kubering [options] COMMAND [options]\n  kubering COMMAND --help\n",
	        f);
	return CODE_OK;
}

int help_command(const char *name)
{
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const struct help *h = &texts[i];
		if (strcmp(h->name, name) == 0)
			printf("%s\n\nExamples:\n%s\nOptions:\n%s\nUsage:\n%s", h->text,
			        h->examples, h->options, h->usage);
	}
	return CODE_OK;
}
