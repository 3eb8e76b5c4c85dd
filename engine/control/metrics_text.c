/* metrics_text.c - what /metrics, /livez and /readyz say. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "config/settings.h"
#include "control/core.h"
#include "control/questions.h"
#include "control/report.h"
#include "store/store.h"

/* --- one family each --------------------------------------------------------------------- */

static void family(struct report *t, const char *name, const char *kind, const char *help)
{
	report_printf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void number(struct report *t, const char *name, const char *kind, const char *help,
        unsigned long long value)
{
	family(t, name, kind, help);
	report_printf(t, "%s %llu\n", name, value);
}

static void gauge(struct report *t, const char *name, const char *help, uint64_t value)
{
	number(t, name, "gauge", help, value);
}

static void counter(struct report *t, const char *name, const char *help, uint64_t value)
{
	number(t, name, "counter", help, value);
}

static void fraction(struct report *t, const char *name, const char *help, double value)
{
	family(t, name, "gauge", help);
	report_printf(t, "%s %.3f\n", name, value);
}

/* --- lists ------------------------------------------------------------------------------- */

/* Sums over the lists, read from their rows. */
struct sums {
	uint64_t lists, live, stale, parked, quiet, pinned_waiting, objects, bytes, events, relists;
	uint64_t unresolved;         /* of the configuration, and in no row yet */
	uint64_t failing[ERR_COUNT]; /* not live, by the last error */
};

static void add_list(
        struct sums *s, const struct open_list *l, struct list_reader *r, uint64_t now_ns)
{
	struct shm_list row = {0};
	bool read = list_reader_row(r, l, &row), live = row.state == SHM_LIST_LIVE;
	s->lists++;
	s->pinned_waiting += l->pinned && !(read && row.whole);
	if (!read)
		return;
	s->live += live;
	s->quiet += live && now_ns > row.last_byte_ns + METRICS_QUIET_S * 1000000000ull;
	s->parked += row.state == SHM_LIST_PARKED;
	s->stale += row.whole && !live;
	s->failing[row.last_error < ERR_COUNT ? row.last_error : ERR_OK] += !live;
	s->objects += row.objects;
	s->bytes += row.bytes;
	s->events += row.events;
	s->relists += row.relists;
}

static void sum_up(const struct control *c, struct sums *s)
{
	struct list_reader *r = list_reader_new(c);
	*s = (struct sums){0};
	for (uint32_t i = 0; r && i < c->lists.count; i++)
		if (c->lists.rows[i] && !c->lists.rows[i]->ended)
			add_list(s, c->lists.rows[i], r, loop_now_ns(c->loop));
	list_reader_free(&r);
	LIST_EACH (it, &c->questions) {
		const struct question *q = CONTAINER_OF(it, struct question, link);
		s->unresolved += q->kind == QUESTION_PIN;
		s->failing[q->kind == QUESTION_PIN ? q->failed : ERR_OK]++;
	}
}

static void write_lists(const struct control *c, struct report *t)
{
	struct sums s;
	sum_up(c, &s);
	gauge(t, "kubering_lists", "Open lists.", s.lists);
	gauge(t, "kubering_lists_live", "Lists that are whole and fresh.", s.live);
	gauge(t, "kubering_lists_stale", "Lists that are kept but not live.", s.stale);
	gauge(t, "kubering_lists_parked",
	        "Lists that a server refuses: login, right or resource is missing.", s.parked);
	gauge(t, "kubering_lists_unresolved",
	        "Lists of the configuration that are not open: their cluster does not say that it "
	        "has "
	        "such a resource.",
	        s.unresolved);
	gauge(t, "kubering_lists_quiet", "Live lists without a byte for three minutes.", s.quiet);
	family(t, "kubering_lists_failing", "gauge",
	        "Lists that are not live, by their last error.");
	for (int e = 1; e < ERR_COUNT; e++)
		if (s.failing[e])
			report_printf(t, "kubering_lists_failing{error=\"%s\"} %llu\n",
			        err_name((err_t)e), (unsigned long long)s.failing[e]);
	gauge(t, "kubering_objects", "Objects in all lists.", s.objects);
	gauge(t, "kubering_object_bytes", "JSON bytes of all objects.", s.bytes);
	gauge(t, "kubering_open_lists_events", "Events applied to the lists that are open now.",
	        s.events);
	gauge(t, "kubering_open_lists_relists", "Relists of the lists that are open now.",
	        s.relists);
	family(t, "kubering_audits_total", "counter",
	        "Self-audits of lists (auditSeconds, kubering audit) by what came of them.");
	for (int v = 0; v < AUDIT_VERDICTS; v++)
		report_printf(t, "kubering_audits_total{verdict=\"%s\"} %llu\n",
		        audits_word((enum reactor_verdict)v),
		        (unsigned long long)c->audits.count[v]);
}

/* --- clusters ---------------------------------------------------------------------------- */

static void write_certificates(const struct control *c, struct report *t)
{
	int64_t now = (int64_t)time(NULL), next = INT64_MAX;
	uint64_t expired = 0;
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++) {
		int64_t at = c->clusters.by_name.rows[i]->cert_expires_s;
		expired += at <= now;
		if (at > now && at < next)
			next = at;
	}
	gauge(t, "kubering_client_certificates_expired",
	        "Clusters whose client certificate has expired.", expired);
	family(t, "kubering_client_certificate_next_expiry_timestamp_seconds", "gauge",
	        "When the next client certificate expires; absent when none will.");
	if (next != INT64_MAX)
		report_printf(t, "kubering_client_certificate_next_expiry_timestamp_seconds %lld\n",
		        (long long)next);
}

static void write_clusters(const struct control *c, struct report *t)
{
	uint64_t down = 0, broken = 0, login = 0;
	for (uint32_t i = 0; i < c->clusters.by_name.count; i++) {
		const struct known_cluster *k = c->clusters.by_name.rows[i];
		broken += k->broken.code != ERR_OK;
		down += k->down;
		login += k->login_failed || clusters_credential_error(k);
	}
	gauge(t, "kubering_clusters",
	        "Clusters that the configuration or a Headlamp backend names.",
	        c->clusters.by_name.count);
	gauge(t, "kubering_clusters_unreachable", "Clusters that were tried and do not answer.",
	        down);
	gauge(t, "kubering_clusters_login_failing",
	        "Clusters whose credential is refused or cannot be renewed.", login);
	gauge(t, "kubering_clusters_broken", "Clusters that cannot be used as they are configured.",
	        broken);
	write_certificates(c, t);
	gauge(t, "kubering_headlamp_backends", "Headlamp backends.", c->backends.count);
	gauge(t, "kubering_headlamp_backends_answering",
	        "Headlamp backends whose last list of clusters was good.", backends_answering(c));
}

/* --- memory and reactors ----------------------------------------------------------------- */

static void write_shards(const struct control *c, struct report *t)
{
	struct store_usage u, all = {0};
	uint64_t max = c->config.settings->limits.shard_bytes, fullest = 0;
	double memory = 0;
	for (uint32_t i = 0; i < CONTROL_SHARDS_MAX; i++) {
		if (!c->shards[i])
			continue;
		store_usage_told(c->shards[i], &u);
		all.live_bytes += u.live_bytes;
		all.retained_bytes += u.retained_bytes;
		all.segment_bytes += u.segment_bytes;
		all.relists += u.relists;
		fullest = u.live_bytes > fullest ? u.live_bytes : fullest;
		if (u.memory_bytes_max)
			memory = (double)u.memory_bytes / (double)u.memory_bytes_max;
	}
	counter(t, "kubering_relists_total", "Lists that were taken again.", all.relists);
	gauge(t, "kubering_shm_live_bytes", "Shared memory in use by objects.", all.live_bytes);
	gauge(t, "kubering_shm_retained_bytes", "Replaced objects kept for followers.",
	        all.retained_bytes);
	gauge(t, "kubering_shm_segment_bytes", "Size of all segments.", all.segment_bytes);
	fraction(t, "kubering_shm_fullest_shard_ratio",
	        "Of the shard with the most objects: its part of limits.shardBytes.",
	        max ? (double)fullest / (double)max : 0);
	fraction(t, "kubering_shm_memory_ratio",
	        "What objects have ever taken, of the memory that kuberingd may have for them.",
	        memory);
}

static uint64_t silence_ns(const struct control *c)
{
	uint64_t now = loop_now_ns(c->loop), worst = 0;
	for (uint32_t i = 0; i < c->config.reactor_count; i++) {
		uint64_t turned = reactor_turned_ns(c->reactors[i]);
		worst = now > turned && now - turned > worst ? now - turned : worst;
	}
	return worst;
}

static void write_reactors(const struct control *c, struct report *t)
{
	struct reactor_counts n, all = {0};
	family(t, "kubering_reactor_busy_seconds_total", "counter",
	        "Time that a reactor has worked; near 1 a second, events wait for each other.");
	for (uint32_t i = 0; i < c->config.reactor_count; i++) {
		reactor_counts_told(c->reactors[i], &n);
		all.events += n.events;
		all.bytes += n.bytes;
		all.errors += n.errors;
		all.left_out += n.left_out;
		report_printf(t, "kubering_reactor_busy_seconds_total{reactor=\"%u\"} %.3f\n", i,
		        (double)n.busy_ns / 1e9);
	}
	counter(t, "kubering_events_total", "Watch events received, bookmarks too.", all.events);
	counter(t, "kubering_received_bytes_total", "Bytes received from servers.", all.bytes);
	counter(t, "kubering_stream_errors_total", "Requests and streams that ended badly.",
	        all.errors);
	counter(t, "kubering_objects_left_out_total",
	        "Objects that a list left out: a name that cannot be held, or too many levels.",
	        all.left_out);
	fraction(t, "kubering_reactor_silence_seconds", "Longest time since a reactor turned.",
	        (double)silence_ns(c) / 1e9);
}

/* --- the process ------------------------------------------------------------------------- */

/* 0: it cannot be read. */
static uint64_t resident_bytes(void)
{
	unsigned long long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f && fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds_of(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void write_process(const struct control *c, struct report *t)
{
	struct rusage used = {0};
	(void)getrusage(RUSAGE_SELF, &used);
	family(t, "process_cpu_seconds_total", "counter", "CPU time of user and system.");
	report_printf(t, "process_cpu_seconds_total %.3f\n",
	        seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime));
	gauge(t, "process_resident_memory_bytes", "Resident memory, the shared one with it.",
	        resident_bytes());
	gauge(t, "process_start_time_seconds", "When it started.", (uint64_t)c->started_wall_s);
	counter(t, "kubering_log_lines_lost_total", "Log lines that stderr did not take.",
	        log_lost());
}

static void write_configuration(const struct control *c, struct report *t)
{
	gauge(t, "kubering_config_last_reload_successful",
	        "0: the last reload failed, and the configuration before it is in force.",
	        c->reload.failed.code == ERR_OK);
	gauge(t, "kubering_config_last_reload_success_timestamp_seconds",
	        "When the configuration in force was read.", (uint64_t)c->reload.good_wall_s);
	gauge(t, "kubering_consumers", "Attached processes.", c->consumers.count);
	gauge(t, "kubering_consumers_max", "How many may be: limits.consumersMax.",
	        c->config.settings->limits.consumers_max);
	counter(t, "kubering_consumers_refused_total",
	        "Processes that were turned away by a limit.", c->consumers.refused);
	counter(t, "kubering_consumers_cut_off_total",
	        "Processes that were cut off: they did not read their answers, spoke another "
	        "protocol, or may no longer see what they had open.",
	        c->consumers.cut_off);
}

/* --- all of it --------------------------------------------------------------------------- */

void metrics_write(const struct control *c, struct report *t)
{
	family(t, "kubering_build_info", "gauge", "Version of the daemon.");
	report_printf(t, "kubering_build_info{version=\"%s\"} 1\n", KR_VERSION);
	family(t, "kubering_io_backend_info", "gauge", "How the reactors talk to the kernel.");
	report_printf(t, "kubering_io_backend_info{backend=\"%s\"} 1\n", io_kind_name(c->io_kind));
	write_configuration(c, t);
	write_clusters(c, t);
	write_lists(c, t);
	write_shards(c, t);
	write_reactors(c, t);
	write_process(c, t);
}

bool metrics_is_live(const struct control *c)
{
	return silence_ns(c) < METRICS_STUCK_NS;
}

bool metrics_is_ready(const struct control *c)
{
	struct sums s;
	if (loop_now_ns(c->loop) - c->started_ns > METRICS_READY_S * 1000000000ull)
		return true; /* one dead cluster must not keep the others from being served */
	sum_up(c, &s);
	return s.pinned_waiting == 0 && s.unresolved == 0 && backends_were_asked(c);
}
