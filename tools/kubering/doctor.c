/* doctor.c - from the socket to each list: what is wrong, and what to do about it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "include/kubering.h"
#include "kubering/commands.h"
#include "kubering/duration.h"
#include "kubering/print/json.h"
#include "kubering/report.h"
#include "kubering/say.h"
#include "kubering/source.h"
#include "kubering/text.h"

enum {
	FILES_WANTED = 65536,    /* a descriptor for each connection, and some */
	TURN_SECONDS_MAX = 5,    /* since a reactor last turned */
	QUIET_SECONDS_MAX = 180, /* bookmarks come about once a minute */
	EXPIRY_DAYS = 7,         /* of a client certificate: time to renew it */
	DAY_SECONDS = 24 * 3600,
	SORT_SHOWN = 20, /* clusters or lists with the same error, or without */
	SORTS_MAX = 64,
};

enum verdict { VERDICT_OK, VERDICT_WARNING, VERDICT_BROKEN };

/* Those that are well, or have the same error. */
struct sort {
	struct span error; /* its name; n == 0: none */
	enum verdict verdict;
	unsigned count;
};

struct doctor {
	bool json;
	unsigned count[3];
	struct sort sorts[SORTS_MAX]; /* of clusters, or of lists */
	unsigned sort_count;
	struct text out;
};

static const char *const words[] = {"ok", "warning", "broken"};
static const enum say_color colors[] = {SAY_GREEN, SAY_YELLOW, SAY_RED};

static void check(
        struct doctor *d, enum verdict v, const char *name, const char *text, const char *remedy)
{
	d->count[v]++;
	if (d->json) {
		text_printf(&d->out, "%s{\"result\":\"%s\",\"check\":", d->out.n > 1 ? "," : "",
		        words[v]);
		json_add_string(&d->out, span_of(name));
		text_add(&d->out, SPAN(",\"text\":"));
		json_add_string(&d->out, span_of(text));
		text_add(&d->out, SPAN(",\"remedy\":"));
		json_add_string(&d->out, span_of(remedy));
		text_add_char(&d->out, '}');
		return;
	}
	text_printf(&d->out, "%s%-8s%s ", say_color(stdout, colors[v]), words[v],
	        say_color(stdout, SAY_PLAIN));
	text_add_safe(&d->out, span_of(name));
	text_add(&d->out, SPAN(": "));
	text_add_safe(&d->out, span_of(text));
	text_add_char(&d->out, '\n');
	if (*remedy)
		text_printf(&d->out, "         -> %s\n", remedy);
}

/* NULL: there are too many. */
static struct sort *sort_of(struct doctor *d, enum verdict v, struct span error)
{
	for (unsigned i = 0; i < d->sort_count; i++)
		if (d->sorts[i].verdict == v && span_eq(d->sorts[i].error, error))
			return &d->sorts[i];
	if (d->sort_count == SORTS_MAX)
		return NULL;
	d->sorts[d->sort_count] = (struct sort){error, v, 0};
	return &d->sorts[d->sort_count++];
}

/* One of thousands: for people, those of one sort are soon only counted, or what else is wrong
 * drowns in them. error: of the status, which outlives the checks. */
static void check_one_of(struct doctor *d, enum verdict v, const char *name, const char *text,
        const char *remedy, struct json_node error)
{
	struct sort *s = sort_of(d, v, json_dom_string(json_dom_get(error, "name")));
	if (s && ++s->count > SORT_SHOWN && !d->json)
		d->count[v]++;
	else
		check(d, v, name, text, remedy);
}

static void end_of_kind(struct doctor *d, const char *kind)
{
	for (unsigned i = 0; i < d->sort_count && !d->json; i++) {
		const struct sort *s = &d->sorts[i];
		if (s->count <= SORT_SHOWN)
			continue;
		text_printf(&d->out, "%s%-8s%s %s: %u more%s%.*s\n",
		        say_color(stdout, colors[s->verdict]), words[s->verdict],
		        say_color(stdout, SAY_PLAIN), kind, s->count - SORT_SHOWN,
		        s->verdict == VERDICT_OK ? " are well"
		        : s->error.n             ? " have the same error: "
		                                 : " like these",
		        SPAN_ARG(s->error));
	}
	d->sort_count = 0;
}

/* --- what to do ---------------------------------------------------------------------- */

struct remedy {
	const char *part; /* of the error's name */
	const char *text;
};

static const struct remedy remedies[] = {
        {"KUBE_UNAUTHORIZED", "log in again, or fix the user of this context in the kubeconfig"},
        {"CRED_EXPIRED", "log in again: the credential of this context has expired"},
        {"CRED_FILE", "the token, key or certificate file named in the kubeconfig: is it there, "
                      "may the daemon read it?"},
        {"CRED_EXEC", "run the exec plugin of this context by hand, as the daemon's user"},
        {"KUBE_FORBIDDEN", "grant get, list and watch on this resource; to see: kubectl auth can-i "
                           "watch RESOURCE -A"},
        {"KUBE_NOT_FOUND",
                "the server does not have this resource (any more), or it cannot be watched: "
                "kubectl api-resources -o wide"},
        {"UNKNOWN_RESOURCE", "install what brings it, or take it out of `lists` of kubering.yaml; "
                             "it is asked for again by itself"},
        {"KUBE_SERVER", "it is asked again by itself; where the server says 400 or 422: is the "
                        "selector right?"},
        {"KUBE_THROTTLED",
                "the server throttles (API Priority and Fairness); it is asked again later"},
        {"KUBE_EXPIRED",
                "the server forgets faster than the watch resumes; it is listed again by itself"},
        {"KUBE_SHORT_WATCH",
                "something on the way ends long requests: raise the timeout of the proxy"},
        {"CONN_REFUSED",
                "is the API server running, and is the server address in the kubeconfig right?"},
        {"CONN_", "the network between this host and the server: firewall, VPN, proxy"},
        {"DNS", "the host name in the kubeconfig does not resolve on this host"},
        {"TLS_CLIENT_CERT", "the server refuses the client certificate: log in again"},
        {"TLS_", "certificate-authority and server in the kubeconfig do not fit what the server "
                 "shows"},
        {"HTTP_REDIRECT", "the server address in the kubeconfig leads to a login page or a proxy"},
        {"BUDGET", "give the daemon more memory in its configuration, or keep fewer lists"},
        {"LIMIT", "a limit of the daemon is reached: raise it in its configuration"},
        {"CONFIG", "kuberingd --check names file, line and field"},
};

static const char *remedy_for(struct json_node error)
{
	struct span name = json_dom_string(json_dom_get(error, "name"));
	for (size_t i = 0; name.n > 0 && i < sizeof remedies / sizeof remedies[0]; i++)
		if (memmem(name.p, name.n, remedies[i].part, strlen(remedies[i].part)))
			return remedies[i].text;
	return name.n > 0 ? "it is tried again by itself, less and less often" : "";
}

static void add_error(struct text *t, struct json_node error)
{
	struct span text = json_dom_string(json_dom_get(error, "text"));
	if (text.n > 0)
		text_printf(t, ": %.*s", SPAN_ARG(text));
}

/* --- checks -------------------------------------------------------------------------- */

static void check_daemon(struct doctor *d, struct json_node s)
{
	struct text t = {0};
	struct span version = json_dom_string(json_dom_get(s, "version"));
	bool same = span_is(version, kr_version());
	text_printf(&t, "kuberingd %.*s, kubering %s, layout %s", SPAN_ARG(version), kr_version(),
	        kr_layout_version());
	check(d, same ? VERDICT_OK : VERDICT_WARNING, "versions", text_cstr(&t),
	        same ? "" : "they work together, but install the same release of both");
	text_fini(&t);
}

static const char *said(struct text *t, struct span s)
{
	text_add(t, s);
	return text_cstr(t);
}

static void check_configuration(struct doctor *d, struct json_node s)
{
	struct json_node c = json_dom_get(s, "configuration");
	struct text t = {0};
	struct span error = json_dom_string(json_dom_get(c, "error")),
	            warning = json_dom_string(json_dom_get(c, "warning")),
	            restart = json_dom_string(json_dom_get(c, "needs_restart"));
	if (error.n > 0) {
		text_printf(&t, "the last reload failed, the one before is in force: %.*s",
		        SPAN_ARG(error));
		check(d, VERDICT_BROKEN, "configuration", text_cstr(&t),
		        "kuberingd --check names file, line and field; then kubering reload");
	} else if (warning.n > 0) {
		check(d, VERDICT_WARNING, "configuration", said(&t, warning),
		        "fix that cluster's context, then kubering reload");
	} else if (restart.n > 0) {
		check(d, VERDICT_WARNING, "configuration", said(&t, restart),
		        "these settings were changed, and take effect at the next start");
	} else {
		check(d, VERDICT_OK, "configuration", "in force as it was read last", "");
	}
	text_fini(&t);
}

static bool has_ring(struct json_node s)
{
	struct span kind = json_dom_string(json_dom_path(s, "io.kind"));
	return span_is(kind, "io_uring") || span_is(kind, "uring");
}

static void check_io(struct doctor *d, struct json_node s)
{
	struct text t = {0};
	struct span kind = json_dom_string(json_dom_path(s, "io.kind")),
	            why = json_dom_string(json_dom_path(s, "io.reason"));
	bool ring = has_ring(s);
	text_printf(&t, "%.*s", SPAN_ARG(kind));
	if (why.n > 0 && !span_eq(kind, why))
		text_printf(&t, " (%.*s)", SPAN_ARG(why));
	check(d, ring ? VERDICT_OK : VERDICT_WARNING, "io", text_cstr(&t),
	        ring ? ""
	             : "it works, with more system calls: allow io_uring (seccomp profile, sysctl "
	               "kernel.io_uring_disabled), or say --io epoll");
	text_fini(&t);
}

static void check_limits(struct doctor *d, struct json_node s)
{
	struct rlimit files, locked;
	struct text t = {0};
	int64_t pid = json_dom_int(json_dom_get(s, "pid"), 0);
	if (prlimit((pid_t)pid, RLIMIT_NOFILE, NULL, &files) != 0 ||
	        prlimit((pid_t)pid, RLIMIT_MEMLOCK, NULL, &locked) != 0)
		return; /* another user's process */
	const char *whose = pid > 0 ? "the daemon" : "this shell (the daemon's may differ)";
	text_printf(&t, "%" PRIu64 " open files for %s", (uint64_t)files.rlim_cur, whose);
	bool enough =
	        files.rlim_cur >= FILES_WANTED || (pid == 0 && files.rlim_max >= FILES_WANTED);
	check(d, enough ? VERDICT_OK : VERDICT_WARNING, "nofile", text_cstr(&t),
	        enough ? ""
	               : "for thousands of clusters: LimitNOFILE=1048576 in the unit, or ulimit "
	                 "-n");
	text_clear(&t);
	if (locked.rlim_cur == RLIM_INFINITY)
		text_printf(&t, "unlimited for %s", whose);
	else
		text_printf(&t, "%" PRIu64 " KiB for %s", (uint64_t)locked.rlim_cur / 1024, whose);
	bool locks = has_ring(s) || locked.rlim_cur >= (8u << 20);
	check(d, locks ? VERDICT_OK : VERDICT_WARNING, "memlock", text_cstr(&t),
	        locks ? ""
	              : "rings of io_uring count against it: LimitMEMLOCK=infinity in the "
	                "unit, or ulimit -l");
	text_fini(&t);
}

static void check_reactors(struct doctor *d, struct json_node s)
{
	struct json_iter it = {0};
	struct json_node r;
	struct text t = {0};
	unsigned n = 0;
	bool all = true;
	while (json_dom_next(json_dom_get(s, "reactors"), &it, NULL, &r)) {
		double ago = json_dom_double(json_dom_get(r, "turned_seconds_ago"), 0);
		bool answers = json_dom_bool(json_dom_get(r, "answers"), false);
		n++;
		if (answers && ago <= TURN_SECONDS_MAX)
			continue;
		all = false;
		text_clear(&t);
		text_printf(&t, "reactor %" PRId64 " last turned %.1f s ago",
		        json_dom_int(json_dom_get(r, "reactor"), 0), ago);
		check(d, VERDICT_BROKEN, "reactors", text_cstr(&t),
		        "its lists are stale: is the host starved of CPU? Else restart kuberingd "
		        "and report it");
	}
	text_clear(&t);
	text_printf(&t, "%u, all turning", n);
	if (all)
		check(d, VERDICT_OK, "reactors", text_cstr(&t), "");
	text_fini(&t);
}

/* Where clusters come from: those of a backend that has not answered are not even known. */
static unsigned check_backends(struct doctor *d, struct json_node s)
{
	struct json_iter it = {0};
	struct json_node b;
	struct text name = {0}, t = {0};
	unsigned n = 0;
	while (json_dom_next(json_dom_get(s, "backends"), &it, NULL, &b)) {
		struct json_node error = json_dom_get(b, "last_error");
		bool bad = span_is(json_dom_string(json_dom_get(b, "state")), "broken") ||
		           json_dom_type(error) == JSON_OBJECT;
		bool answered = json_dom_bool(json_dom_get(b, "answered"), false);
		n++;
		text_clear(&name);
		text_clear(&t);
		text_printf(
		        &name, "backend %.*s", SPAN_ARG(json_dom_string(json_dom_get(b, "name"))));
		text_printf(&t, "%s, %" PRId64 " clusters", answered ? "answers" : "no answer yet",
		        json_dom_int(json_dom_get(b, "clusters"), 0));
		if (bad)
			add_error(&t, error);
		check(d, bad ? VERDICT_BROKEN : VERDICT_OK, text_cstr(&name), text_cstr(&t),
		        bad ? "is the Headlamp backend running, and are headlamp.url and "
		              "headlamp.backendToken right? It is asked again every 10 s"
		            : "");
	}
	text_fini(&name);
	text_fini(&t);
	return n;
}

/* Of a cluster that is well: what will end that. NULL: nothing known; else the remedy. */
static const char *add_outlook(struct text *t, struct json_node cluster)
{
	struct json_node error = json_dom_get(cluster, "credential_error");
	int64_t now = (int64_t)time(NULL),
	        at = json_dom_int(json_dom_get(cluster, "certificate_expires_unix"), INT64_MAX);
	char age[DURATION_BYTES];
	if (json_dom_type(error) == JSON_OBJECT) {
		text_add(t, SPAN(", but its credential cannot be renewed"));
		add_error(t, error);
		return remedy_for(error);
	}
	if (at == INT64_MAX || at - now > EXPIRY_DAYS * DAY_SECONDS)
		return NULL;
	duration_human(at > now ? at - now : now - at, age);
	text_printf(t,
	        at > now ? ", but its client certificate expires in %s"
	                 : ", but its client certificate expired %s ago",
	        age);
	return "renew it in the kubeconfig (a file is read again by itself), then kubering reload";
}

static void check_clusters(struct doctor *d, struct json_node s)
{
	struct json_iter it = {0};
	struct json_node c;
	struct text name = {0}, t = {0};
	unsigned n = check_backends(d, s);
	while (json_dom_next(json_dom_get(s, "clusters"), &it, NULL, &c)) {
		struct span state = json_dom_string(json_dom_get(c, "state"));
		struct json_node error = json_dom_get(c, "last_error");
		bool bad = span_is(state, "broken") || span_is(state, "down");
		const char *remedy = bad ? remedy_for(error) : NULL;
		n++;
		text_clear(&name);
		text_clear(&t);
		text_printf(
		        &name, "cluster %.*s", SPAN_ARG(json_dom_string(json_dom_get(c, "name"))));
		text_printf(&t, "%.*s", SPAN_ARG(state));
		if (bad || span_is(state, "connecting"))
			add_error(&t, error);
		else if (span_is(state, "idle"))
			text_add(&t, SPAN(" (nobody has asked for a list of it)"));
		if (!bad)
			remedy = add_outlook(&t, c);
		check_one_of(d,
		        bad      ? VERDICT_BROKEN
		        : remedy ? VERDICT_WARNING
		                 : VERDICT_OK,
		        text_cstr(&name), text_cstr(&t), remedy ? remedy : "", error);
	}
	end_of_kind(d, "clusters");
	if (n == 0)
		check(d, VERDICT_BROKEN, "clusters", "none",
		        "start kuberingd with --kubeconfig FILE or --config FILE");
	text_fini(&name);
	text_fini(&t);
}

/* Objects that the list is without: their names, or how deep they are, cannot be held. */
static int64_t left_out_of(struct json_node l)
{
	struct json_node left = json_dom_get(l, "left_out");
	return json_dom_int(json_dom_get(left, "names"), 0) +
	       json_dom_int(json_dom_get(left, "deep"), 0);
}

static void check_list(struct doctor *d, struct json_node l)
{
	struct text name = {0}, scope = {0}, t = {0};
	struct span state = json_dom_string(json_dom_get(l, "state"));
	struct json_node error = json_dom_get(l, "last_error");
	double quiet = json_dom_double(json_dom_get(l, "byte_age_seconds"), 0);
	text_printf(&name, "list %.*s/", SPAN_ARG(json_dom_string(json_dom_get(l, "cluster"))));
	report_add_resource(&name, l);
	report_add_scope(&scope, l);
	if (strcmp(text_cstr(&scope), "*") != 0)
		text_printf(&name, " -n %s", text_cstr(&scope));
	text_printf(&t, "%.*s", SPAN_ARG(state));
	if (!span_is(state, "live")) {
		text_add(&t, SPAN(" for "));
		report_add_age(&t, json_dom_get(l, "stale_seconds"));
		add_error(&t, error);
		/* A selector that the server refuses is a matter of whoever asked. */
		bool broken = span_is(state, "parked") &&
		              !span_is(json_dom_string(json_dom_get(error, "name")), "KUBE_SERVER");
		check_one_of(d, broken ? VERDICT_BROKEN : VERDICT_WARNING, text_cstr(&name),
		        text_cstr(&t), remedy_for(error), error);
	} else if (quiet > QUIET_SECONDS_MAX) {
		text_printf(&t, ", but no byte for %.0f s", quiet);
		check_one_of(d, VERDICT_WARNING, text_cstr(&name), text_cstr(&t),
		        "a proxy on the way may hold the stream back", error);
	} else {
		int64_t left = left_out_of(l);
		text_printf(
		        &t, ", %" PRId64 " objects", json_dom_int(json_dom_get(l, "objects"), 0));
		if (left)
			text_printf(&t, ", without %" PRId64 " that cannot be held", left);
		check_one_of(d, left ? VERDICT_WARNING : VERDICT_OK, text_cstr(&name),
		        text_cstr(&t),
		        left ? "a name with NUL or of more than 2048 bytes, or more than 256 "
		               "levels: the log of kuberingd says which, and a namespace"
		             : "",
		        error);
	}
	text_fini(&name);
	text_fini(&scope);
	text_fini(&t);
}

int command_doctor(const struct args *a)
{
	struct doctor d = {.json = a->output == OUTPUT_JSON};
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node s, l;
	struct json_iter it = {0};
	int code = report_status(a, dom, &s, NULL);
	if (d.json)
		text_add_char(&d.out, '[');
	if (code != CODE_OK) {
		bool gone = code == CODE_UNREACHABLE;
		check(&d, VERDICT_BROKEN, "socket",
		        gone ? "the daemon does not answer (see the message on stderr)"
		             : "the daemon tells nothing (see the message on stderr)",
		        gone ? "systemctl status kuberingd; journalctl -u kuberingd; or point "
		               "--socket at it"
		             : "the message says what to do");
	} else {
		check(&d, VERDICT_OK, "socket", "the daemon answers", "");
		check_daemon(&d, s);
		check_configuration(&d, s);
		check_io(&d, s);
		check_limits(&d, s);
		check_reactors(&d, s);
		check_clusters(&d, s);
		while (json_dom_next(json_dom_get(s, "lists"), &it, NULL, &l))
			check_list(&d, l);
		end_of_kind(&d, "lists");
	}
	if (d.json)
		text_add(&d.out, SPAN("]\n"));
	fputs(text_cstr(&d.out), stdout);
	if (!d.json)
		printf("\n%u ok, %u warnings, %u broken\n", d.count[VERDICT_OK],
		        d.count[VERDICT_WARNING], d.count[VERDICT_BROKEN]);
	text_fini(&d.out);
	json_dom_free(&dom);
	return code != CODE_OK ? code : d.count[VERDICT_BROKEN] ? CODE_FAILED : CODE_OK;
}
