#include "host/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
        "usage: fakekube --kubeconfig-out FILE [--port P] [--clusters N] [--objects N] "
        "[option...]\n"
        "Serves N Kubernetes API servers behind one port, each with its own objects and history.\n"
        "\n"
        "  --port P             TCP port; 0 (default) takes a free one and prints it\n"
        "  --bind ADDR          address to listen on (default 127.0.0.1)\n"
        "  --clusters N         clusters fake-1 .. fake-N under /clusters/NAME (default 1)\n"
        "  --objects N          objects of each resource in each cluster (default 100)\n"
        "  --object-bytes B     size of a generated object, to 8 MiB (default 3600)\n"
        "  --namespaces N       namespaces they lie in (default 4)\n"
        "  --resources LIST     comma separated: pods,configmaps,deployments,events,nodes,...; a "
        "custom one as\n"
        "                       widgets.v1.example.com (default pods)\n"
        "  --rate EVENTS/S      writes per second over all clusters (default 0)\n"
        "  --profile FILE|NAME  phases of load; names: steady rollout heartbeat mass-delete "
        "gone-storm cut-storm\n"
        "                       rolling-restart dead flood\n"
        "  --faults FILE        fault rules, one a line (model/model_fault.h)\n"
        "  --tls                HTTPS with a CA made at start; its certificate goes into the "
        "kubeconfig\n"
        "  --client-cert        with --tls: the kubeconfig has a client certificate instead of a "
        "token\n"
        "  --tls-own-records    with --tls: what is sent is sealed without OpenSSL's record layer, "
        "for loads\n"
        "  --token T            the bearer token that is asked for (default: none is)\n"
        "  --headlamp PORT      a Headlamp backend on that port of 127.0.0.1 (0: a free one), "
        "plain "
        "HTTP; the contexts\n"
        "                       of its kubeconfig are the clusters\n"
        "  --headlamp-token T   the backend token that it asks for (HEADLAMP_BACKEND_TOKEN)\n"
        "  --upstream NAME=HOST:PORT[/PATH][,CA_FILE[,CERT_FILE,KEY_FILE|,token:T]]\n"
        "                       with --headlamp, again and again: its contexts are these API "
        "servers and not the model's\n"
        "  --history N          log entries kept per resource, then 410 (default 1000000)\n"
        "  --preload EVENTS     at the first watch of fake-1's first resource, send so many events "
        "at full speed\n"
        "  --seed S             of everything drawn (default 1)\n"
        "  --duration S         end after so many seconds (default: at SIGINT, SIGTERM or the "
        "command quit)\n"
        "  --control PATH       UNIX socket for one-line commands; `help` lists them\n"
        "  --kubeconfig-out F   written before the line \"ready port=P\" is printed\n"
        "  --no-stamp           objects without the annotations fakekube.io/sent-ns and wrote-ns\n"
        "  --stamp-writes       wrote-ns is the time when an event was written; else it is 0, and "
        "an\n"
        "                       object of one version has the same bytes for everyone\n"
        "  --no-watchlist       the feature gate WatchList is off\n"
        "  --no-watchlist-gzip  watches with initial events are never compressed (as before 1.37)\n"
        "  --quiet              no closing line with counts on stderr\n";

enum opt {
	OPT_PORT = 256,
	OPT_BIND,
	OPT_CLUSTERS,
	OPT_OBJECTS,
	OPT_OBJECT_BYTES,
	OPT_NAMESPACES,
	OPT_RESOURCES,
	OPT_RATE,
	OPT_PROFILE,
	OPT_FAULTS,
	OPT_TLS,
	OPT_CLIENT_CERT,
	OPT_OWN_RECORDS,
	OPT_TOKEN,
	OPT_HEADLAMP,
	OPT_HEADLAMP_TOKEN,
	OPT_UPSTREAM,
	OPT_HISTORY,
	OPT_PRELOAD,
	OPT_SEED,
	OPT_DURATION,
	OPT_CONTROL,
	OPT_KUBECONFIG,
	OPT_NO_STAMP,
	OPT_STAMP_WRITES,
	OPT_NO_WATCHLIST,
	OPT_NO_WATCHLIST_GZIP,
	OPT_QUIET,
	OPT_HELP
};

static const struct option longs[] = {{"port", 1, 0, OPT_PORT}, {"bind", 1, 0, OPT_BIND},
        {"clusters", 1, 0, OPT_CLUSTERS}, {"objects", 1, 0, OPT_OBJECTS},
        {"object-bytes", 1, 0, OPT_OBJECT_BYTES}, {"namespaces", 1, 0, OPT_NAMESPACES},
        {"resources", 1, 0, OPT_RESOURCES}, {"rate", 1, 0, OPT_RATE},
        {"profile", 1, 0, OPT_PROFILE}, {"faults", 1, 0, OPT_FAULTS}, {"tls", 0, 0, OPT_TLS},
        {"tls-own-records", 0, 0, OPT_OWN_RECORDS}, {"client-cert", 0, 0, OPT_CLIENT_CERT},
        {"token", 1, 0, OPT_TOKEN}, {"headlamp", 1, 0, OPT_HEADLAMP},
        {"headlamp-token", 1, 0, OPT_HEADLAMP_TOKEN}, {"upstream", 1, 0, OPT_UPSTREAM},
        {"history", 1, 0, OPT_HISTORY}, {"preload", 1, 0, OPT_PRELOAD}, {"seed", 1, 0, OPT_SEED},
        {"duration", 1, 0, OPT_DURATION}, {"control", 1, 0, OPT_CONTROL},
        {"kubeconfig-out", 1, 0, OPT_KUBECONFIG}, {"no-stamp", 0, 0, OPT_NO_STAMP},
        {"stamp-writes", 0, 0, OPT_STAMP_WRITES}, {"no-watchlist", 0, 0, OPT_NO_WATCHLIST},
        {"no-watchlist-gzip", 0, 0, OPT_NO_WATCHLIST_GZIP}, {"quiet", 0, 0, OPT_QUIET},
        {"help", 0, 0, OPT_HELP}, {0, 0, 0, 0}};

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == 0 && errno == 0 && *out >= min &&
	       *out <= max;
}

static bool number32(const char *text, uint64_t min, uint64_t max, uint32_t *out)
{
	uint64_t v;
	if (!number(text, min, max, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool set_flag(struct options *o, int opt)
{
	switch ((enum opt)opt) {
	case OPT_TLS: o->tls = true; return true;
	case OPT_CLIENT_CERT: o->client_cert = true; return true;
	case OPT_OWN_RECORDS: o->own_records = true; return true;
	case OPT_NO_STAMP: o->no_stamp = true; return true;
	case OPT_STAMP_WRITES: o->stamp_writes = true; return true;
	case OPT_NO_WATCHLIST: o->no_watchlist = true; return true;
	case OPT_NO_WATCHLIST_GZIP: o->no_watchlist_gzip = true; return true;
	case OPT_QUIET: o->quiet = true; return true;
	default: return false;
	}
}

static bool set_text(struct options *o, int opt, const char *v)
{
	switch ((enum opt)opt) {
	case OPT_BIND: o->bind = v; return true;
	case OPT_RESOURCES: o->resources = v; return true;
	case OPT_PROFILE: o->profile = v; return true;
	case OPT_FAULTS: o->faults = v; return true;
	case OPT_TOKEN: o->token = v; return true;
	case OPT_UPSTREAM:
		if (o->upstream_count == OPTIONS_UPSTREAMS_MAX)
			return false;
		o->upstreams[o->upstream_count++] = v;
		return true;
	case OPT_HEADLAMP_TOKEN: o->headlamp_token = v; return *v != 0;
	case OPT_CONTROL: o->control = v; return true;
	case OPT_KUBECONFIG: o->kubeconfig_out = v; return true;
	default: return false;
	}
}

static bool set_number(struct options *o, int opt, const char *v)
{
	uint64_t n;
	char *end;
	switch ((enum opt)opt) {
	case OPT_PORT:
		if (!number(v, 0, 65535, &n))
			return false;
		o->port = (uint16_t)n;
		return true;
	case OPT_HEADLAMP:
		o->headlamp = number(v, 0, 65535, &n);
		o->headlamp_port = (uint16_t)n;
		return o->headlamp;
	case OPT_CLUSTERS: return number32(v, 1, 100000, &o->clusters);
	case OPT_OBJECTS: return number32(v, 0, 10000000, &o->objects);
	case OPT_OBJECT_BYTES: return number32(v, 0, 8u << 20, &o->object_bytes);
	case OPT_NAMESPACES: return number32(v, 1, 1000, &o->namespaces);
	case OPT_HISTORY: return number(v, 1, 1ull << 32, &o->history);
	case OPT_PRELOAD: return number(v, 0, 1ull << 32, &o->preload);
	case OPT_SEED: return number(v, 0, UINT64_MAX, &o->seed);
	case OPT_DURATION: return number(v, 1, 1ull << 32, &o->duration_s);
	case OPT_RATE:
		o->rate = strtod(v, &end);
		return *v && !*end && o->rate >= 0 && o->rate <= 1e8;
	default: return false;
	}
}

int options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){.bind = "127.0.0.1",
	        .resources = "pods",
	        .clusters = 1,
	        .objects = 100,
	        .object_bytes = 3600,
	        .namespaces = 4,
	        .seed = 1,
	        .history = 1000000};
	int opt, index = 0;
	while ((opt = getopt_long(argc, argv, "h", longs, &index)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		if (opt == '?') {
			fputs("fakekube: see --help\n", stderr);
			return 3;
		}
		if (set_flag(o, opt) || set_text(o, opt, optarg) || set_number(o, opt, optarg))
			continue;
		fprintf(stderr, "fakekube: --%s %s: not a value that it takes; see --help\n",
		        longs[index].name, optarg);
		return 3;
	}
	if (optind < argc) {
		fprintf(stderr, "fakekube: \"%s\" is not an option; see --help\n", argv[optind]);
		return 3;
	}
	if (!o->kubeconfig_out) {
		fputs("fakekube: --kubeconfig-out FILE is missing: where shall the way to the "
		      "clusters be written?\n",
		        stderr);
		return 3;
	}
	if ((o->headlamp_token || o->upstream_count) && !o->headlamp) {
		fprintf(stderr, "fakekube: --%s needs --headlamp\n",
		        o->headlamp_token ? "headlamp-token" : "upstream");
		return 3;
	}
	if ((o->client_cert || o->own_records) && !o->tls) {
		fprintf(stderr, "fakekube: --%s needs --tls\n",
		        o->client_cert ? "client-cert" : "tls-own-records");
		return 3;
	}
	return 0;
}
