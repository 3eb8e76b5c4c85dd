/* columns_workloads.c - pods and what makes them. */
#include <inttypes.h>

#include "kubering/duration.h"
#include "kubering/print/columns.h"

/* --- pods: pkg/printers/internalversion printPod ------------------------------------- */

struct pod {
	struct json_node spec, status;
	struct text reason;
	int64_t total, ready, restarts, restartable, restarted_at, restartable_at, init;
};

static struct json_node named(struct json_node array, struct span name)
{
	struct json_iter it = {0};
	struct json_node v;
	while (json_dom_next(array, &it, NULL, &v))
		if (span_eq(json_dom_string(json_dom_get(v, "name")), name))
			return v;
	return (struct json_node){0};
}

static bool is_sidecar(struct json_node container)
{
	return span_is(json_dom_string(json_dom_get(container, "restartPolicy")), "Always");
}

static void set_reason(struct pod *p, const char *prefix, struct span reason)
{
	text_clear(&p->reason);
	text_printf(&p->reason, "%s%.*s", prefix, SPAN_ARG(reason));
}

/* Terminated without a reason: by signal, or with an exit code. */
static void set_exit(struct pod *p, const char *prefix, struct json_node terminated)
{
	struct span reason = json_dom_string(json_dom_get(terminated, "reason"));
	int64_t signal = json_dom_int(json_dom_get(terminated, "signal"), 0);
	if (reason.n > 0) {
		set_reason(p, prefix, reason);
		return;
	}
	text_clear(&p->reason);
	text_printf(&p->reason, "%s%s:%" PRId64, prefix, signal ? "Signal" : "ExitCode",
	        signal ? signal : json_dom_int(json_dom_get(terminated, "exitCode"), 0));
}

static void later(int64_t *at, struct json_node container_status)
{
	int64_t t;
	struct json_node finished =
	        json_dom_path(container_status, "lastState.terminated.finishedAt");
	if (duration_parse_time(json_dom_string(finished), &t) && t > *at)
		*at = t;
}

/* False: this init container is why the pod does not run yet. */
static bool init_done(struct pod *p, struct json_node cs, bool sidecar, int64_t i)
{
	struct json_node terminated = json_dom_path(cs, "state.terminated");
	struct span waiting = json_dom_string(json_dom_path(cs, "state.waiting.reason"));
	if (json_dom_exists(terminated) &&
	        json_dom_int(json_dom_get(terminated, "exitCode"), -1) == 0)
		return true;
	if (sidecar && json_dom_bool(json_dom_get(cs, "started"), false)) {
		p->ready += json_dom_bool(json_dom_get(cs, "ready"), false);
		return true;
	}
	if (json_dom_exists(terminated)) {
		set_exit(p, "Init:", terminated);
	} else if (waiting.n > 0 && !span_is(waiting, "PodInitializing")) {
		set_reason(p, "Init:", waiting);
	} else {
		text_clear(&p->reason);
		text_printf(&p->reason, "Init:%" PRId64 "/%" PRId64, i, p->init);
	}
	return false;
}

/* True: still initialising. */
static bool take_init(struct pod *p)
{
	struct json_node all = json_dom_get(p->spec, "initContainers"), c, cs;
	struct json_iter it = {0}, st = {0};
	while (json_dom_next(all, &it, NULL, &c)) {
		p->init++;
		p->total += is_sidecar(c);
	}
	for (int64_t i = 0;
	        json_dom_next(json_dom_get(p->status, "initContainerStatuses"), &st, NULL, &cs);
	        i++) {
		bool sidecar = is_sidecar(named(all, json_dom_string(json_dom_get(cs, "name"))));
		int64_t restarts = json_dom_int(json_dom_get(cs, "restartCount"), 0);
		p->restarts += restarts;
		later(&p->restarted_at, cs);
		if (sidecar) {
			p->restartable += restarts;
			later(&p->restartable_at, cs);
		}
		if (!init_done(p, cs, sidecar, i))
			return true;
	}
	return false;
}

/* Of the containers, the first that has a reason counts. */
static void take_containers(struct pod *p, struct json_node object)
{
	struct json_iter it = {0};
	struct json_node cs;
	bool running = false, told = false;
	p->restarts = p->restartable;
	p->restarted_at = p->restartable_at;
	while (json_dom_next(json_dom_get(p->status, "containerStatuses"), &it, NULL, &cs)) {
		struct json_node terminated = json_dom_path(cs, "state.terminated");
		struct span waiting = json_dom_string(json_dom_path(cs, "state.waiting.reason"));
		p->restarts += json_dom_int(json_dom_get(cs, "restartCount"), 0);
		later(&p->restarted_at, cs);
		if (waiting.n > 0) {
			if (!told)
				set_reason(p, "", waiting);
			told = true;
		} else if (json_dom_exists(terminated)) {
			if (!told)
				set_exit(p, "", terminated);
			told = true;
		} else if (json_dom_bool(json_dom_get(cs, "ready"), false) &&
		           json_dom_exists(json_dom_path(cs, "state.running"))) {
			running = true;
			p->ready++;
		}
	}
	if (running && span_is((struct span){p->reason.p, p->reason.n}, "Completed")) {
		bool ready = span_is(
		        json_dom_string(json_dom_get(cell_condition(object, "Ready"), "status")),
		        "True");
		set_reason(p, "", ready ? SPAN("Running") : SPAN("NotReady"));
	}
}

static void pod_read(struct pod *p, struct json_node object)
{
	*p = (struct pod){
	        .spec = json_dom_get(object, "spec"), .status = json_dom_get(object, "status")};
	struct span phase = json_dom_string(json_dom_get(p->status, "phase"));
	struct span reason = json_dom_string(json_dom_get(p->status, "reason"));
	set_reason(p, "", reason.n > 0 ? reason : phase);
	if (span_is(json_dom_string(json_dom_get(cell_condition(object, "PodScheduled"), "reason")),
	            "SchedulingGated"))
		set_reason(p, "", SPAN("SchedulingGated"));
	p->total = cell_count(json_dom_get(p->spec, "containers"));
	bool initialized = span_is(
	        json_dom_string(json_dom_get(cell_condition(object, "Initialized"), "status")),
	        "True");
	if (!take_init(p) || initialized)
		take_containers(p, object);
	if (json_dom_exists(json_dom_path(object, "metadata.deletionTimestamp"))) {
		if (span_is(reason, "NodeLost"))
			set_reason(p, "", SPAN("Unknown"));
		else if (!span_is(phase, "Succeeded") && !span_is(phase, "Failed"))
			set_reason(p, "", SPAN("Terminating"));
	}
}

static void pod_ready(struct json_node object, int64_t now, struct text *out)
{
	struct pod p;
	(void)now;
	pod_read(&p, object);
	text_printf(out, "%" PRId64 "/%" PRId64, p.ready, p.total);
	text_fini(&p.reason);
}

static void pod_status(struct json_node object, int64_t now, struct text *out)
{
	struct pod p;
	(void)now;
	pod_read(&p, object);
	text_add(out, (struct span){p.reason.p, p.reason.n});
	text_fini(&p.reason);
}

static void pod_restarts(struct json_node object, int64_t now, struct text *out)
{
	struct pod p;
	char age[DURATION_BYTES];
	pod_read(&p, object);
	text_printf(out, "%" PRId64, p.restarts);
	if (p.restarts > 0 && p.restarted_at > 0) {
		duration_human(now - p.restarted_at, age);
		text_printf(out, " (%s ago)", age);
	}
	text_fini(&p.reason);
}

static const struct column pods[] = {COLUMN_NAME, {"READY", CELL_WRITE, NULL, NULL, pod_ready},
        {"STATUS", CELL_WRITE, NULL, NULL, pod_status},
        {"RESTARTS", CELL_WRITE, NULL, NULL, pod_restarts}, COLUMN_AGE, COLUMN_END};

/* --- controllers --------------------------------------------------------------------- */

static void ready_of_desired(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	text_printf(out, "%" PRId64 "/%" PRId64,
	        json_dom_int(json_dom_path(object, "status.readyReplicas"), 0),
	        json_dom_int(json_dom_path(object, "spec.replicas"), 0));
}

static void labels_of(struct text *out, struct json_node labels)
{
	struct json_iter it = {0};
	struct json_node v;
	struct span key;
	struct cell_list l = {0};
	while (json_dom_next(labels, &it, &key, &v))
		if (cell_list_next(&l, out))
			text_printf(out, "%.*s=%.*s", SPAN_ARG(key), SPAN_ARG(json_dom_string(v)));
	cell_list_end(&l, out, "<none>");
}

static void node_selector(struct json_node object, int64_t now, struct text *out)
{
	(void)now;
	labels_of(out, json_dom_path(object, "spec.template.spec.nodeSelector"));
}

static const struct column deployments[] = {COLUMN_NAME,
        {"READY", CELL_WRITE, NULL, NULL, ready_of_desired},
        {"UP-TO-DATE", CELL_TEXT, "status.updatedReplicas", "0", NULL},
        {"AVAILABLE", CELL_TEXT, "status.availableReplicas", "0", NULL}, COLUMN_AGE, COLUMN_END};

static const struct column statefulsets[] = {
        COLUMN_NAME, {"READY", CELL_WRITE, NULL, NULL, ready_of_desired}, COLUMN_AGE, COLUMN_END};

static const struct column replicasets[] = {COLUMN_NAME,
        {"DESIRED", CELL_TEXT, "spec.replicas", "0", NULL},
        {"CURRENT", CELL_TEXT, "status.replicas", "0", NULL},
        {"READY", CELL_TEXT, "status.readyReplicas", "0", NULL}, COLUMN_AGE, COLUMN_END};

static const struct column daemonsets[] = {COLUMN_NAME,
        {"DESIRED", CELL_TEXT, "status.desiredNumberScheduled", "0", NULL},
        {"CURRENT", CELL_TEXT, "status.currentNumberScheduled", "0", NULL},
        {"READY", CELL_TEXT, "status.numberReady", "0", NULL},
        {"UP-TO-DATE", CELL_TEXT, "status.updatedNumberScheduled", "0", NULL},
        {"AVAILABLE", CELL_TEXT, "status.numberAvailable", "0", NULL},
        {"NODE SELECTOR", CELL_WRITE, NULL, NULL, node_selector}, COLUMN_AGE, COLUMN_END};

/* --- jobs ---------------------------------------------------------------------------- */

static bool holds(struct json_node object, const char *type)
{
	return span_is(
	        json_dom_string(json_dom_get(cell_condition(object, type), "status")), "True");
}

static void job_status(struct json_node object, int64_t now, struct text *out)
{
	const char *word = "Running";
	(void)now;
	if (holds(object, "Complete"))
		word = "Complete";
	else if (holds(object, "Failed"))
		word = "Failed";
	else if (json_dom_exists(json_dom_path(object, "metadata.deletionTimestamp")))
		word = "Terminating";
	else if (holds(object, "Suspended"))
		word = "Suspended";
	else if (holds(object, "FailureTarget"))
		word = "FailureTarget";
	else if (holds(object, "SuccessCriteriaMet"))
		word = "SuccessCriteriaMet";
	text_add(out, span_of(word));
}

static void job_completions(struct json_node object, int64_t now, struct text *out)
{
	int64_t done = json_dom_int(json_dom_path(object, "status.succeeded"), 0);
	int64_t want = json_dom_int(json_dom_path(object, "spec.completions"), -1);
	int64_t parallel = json_dom_int(json_dom_path(object, "spec.parallelism"), 0);
	(void)now;
	if (want >= 0)
		text_printf(out, "%" PRId64 "/%" PRId64, done, want);
	else if (parallel > 1)
		text_printf(out, "%" PRId64 "/1 of %" PRId64, done, parallel);
	else
		text_printf(out, "%" PRId64 "/1", done);
}

static void job_duration(struct json_node object, int64_t now, struct text *out)
{
	char age[DURATION_BYTES];
	int64_t start, end;
	if (!duration_parse_time(
	            json_dom_string(json_dom_path(object, "status.startTime")), &start))
		return;
	if (!duration_parse_time(
	            json_dom_string(json_dom_path(object, "status.completionTime")), &end))
		end = now;
	duration_human(end - start, age);
	text_add(out, span_of(age));
}

static void suspended(struct json_node object, int64_t now, struct text *out)
{
	struct json_node s = json_dom_path(object, "spec.suspend");
	(void)now;
	text_add(out, !json_dom_exists(s)       ? SPAN("<unset>")
	              : json_dom_bool(s, false) ? SPAN("True")
	                                        : SPAN("False"));
}

static const struct column jobs[] = {COLUMN_NAME, {"STATUS", CELL_WRITE, NULL, NULL, job_status},
        {"COMPLETIONS", CELL_WRITE, NULL, NULL, job_completions},
        {"DURATION", CELL_WRITE, NULL, NULL, job_duration}, COLUMN_AGE, COLUMN_END};

static const struct column cronjobs[] = {COLUMN_NAME,
        {"SCHEDULE", CELL_TEXT, "spec.schedule", NULL, NULL},
        {"TIMEZONE", CELL_TEXT, "spec.timeZone", "<none>", NULL},
        {"SUSPEND", CELL_WRITE, NULL, NULL, suspended},
        {"ACTIVE", CELL_COUNT, "status.active", NULL, NULL},
        {"LAST SCHEDULE", CELL_AGE, "status.lastScheduleTime", "<none>", NULL}, COLUMN_AGE,
        COLUMN_END};

const struct column_set columns_workloads[] = {
        {"pods", pods},
        {"deployments.apps", deployments},
        {"statefulsets.apps", statefulsets},
        {"replicasets.apps,replicationcontrollers", replicasets},
        {"daemonsets.apps", daemonsets},
        {"jobs.batch", jobs},
        {"cronjobs.batch", cronjobs},
        {NULL, NULL},
};
