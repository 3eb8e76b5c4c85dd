#include "host/load.h"

#include "base/check.h"
#include "model/model_warm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WRITES_PER_TURN 16 /* then they are sent: what is in the cache is still there */
#define SECOND_NS       1000000000.0

static bool is_version(struct span s)
{
	return s.n >= 2 && s.p[0] == 'v' && s.p[1] >= '1' && s.p[1] <= '9';
}

static void split(struct span text, struct span *resource, struct span *version, struct span *group)
{
	const char *dot = memchr(text.p, '.', text.n);
	*version = *group = SPAN_NONE;
	*resource = (struct span){text.p, dot ? (size_t)(dot - text.p) : text.n};
	if (!dot)
		return;
	struct span rest = {dot + 1, text.n - resource->n - 1};
	dot = memchr(rest.p, '.', rest.n);
	struct span first = {rest.p, dot ? (size_t)(dot - rest.p) : rest.n};
	if (is_version(first)) {
		*version = first;
		*group = (struct span){
		        dot ? dot + 1 : rest.p + rest.n, dot ? rest.n - first.n - 1 : 0};
	} else {
		*group = rest;
	}
}

const struct model_kind *load_resource(struct model_cluster *c, struct span text)
{
	struct span resource, version, group;
	split(text, &resource, &version, &group);
	const struct model_kind *k = model_cluster_kind(c, group, version, resource);
	if (k || group.n)
		return k;
	for (size_t i = 0; i < model_kind_count;
	        i++) /* the group may be left out where the name says enough */
		if (span_is(resource, model_kinds[i].resource))
			return &model_kinds[i];
	for (size_t at = 0; (k = model_cluster_custom(c, &at));)
		if (span_is(resource, k->resource))
			return k;
	return NULL;
}

/* --- the first objects --- */

/* widgets.v1.example.com → Widget. */
const struct model_kind *load_add_custom(struct model_cluster *c, struct span text, uint64_t now_ns)
{
	struct span resource, version, group;
	split(text, &resource, &version, &group);
	if (!version.n || !group.n || resource.n < 3)
		return NULL;
	char r[64], v[16], g[128], singular[64], kind[64];
	snprintf(r, sizeof r, "%.*s", SPAN_ARG(resource));
	snprintf(v, sizeof v, "%.*s", SPAN_ARG(version));
	snprintf(g, sizeof g, "%.*s", SPAN_ARG(group));
	snprintf(singular, sizeof singular, "%.*s",
	        (int)resource.n - (resource.p[resource.n - 1] == 's'), r);
	snprintf(kind, sizeof kind, "%s", singular);
	kind[0] = (char)(kind[0] & ~0x20);
	struct model_kind k = {.group = g,
	        .version = v,
	        .resource = r,
	        .singular = singular,
	        .kind = kind,
	        .namespaced = true};
	return model_cluster_add_crd(c, &k, now_ns);
}

static void add_namespaces(struct model_cluster *c, uint32_t n, uint64_t now_ns)
{
	const struct model_kind *k = model_kind_find(SPAN(""), SPAN("v1"), SPAN("namespaces"));
	for (uint32_t i = 0; i < n; i++) {
		char name[32];
		snprintf(name, sizeof name, "ns-%03u", i);
		model_create(c, k, &(struct model_spec){.name = name}, now_ns);
	}
}

static bool add_work(struct load *l, struct model_cluster *c, const struct options *o,
        struct span text, uint64_t now_ns)
{
	const struct model_kind *k = load_resource(c, text);
	if (!k)
		k = load_add_custom(c, text, now_ns);
	if (!k) {
		fprintf(stderr,
		        "fakekube: --resources: \"%.*s\" is neither a built-in resource nor "
		        "NAME.VERSION.GROUP\n",
		        SPAN_ARG(text));
		return false;
	}
	struct model_workload_options w = {.seed = prng_next(&l->random),
	        .namespaces = o->namespaces,
	        .bytes = o->object_bytes};
	struct model_workload *work = &l->works[l->work_count++];
	model_workload_init(work, c, k, &w);
	model_workload_fill(work, o->objects, now_ns);
	return true;
}

static bool add_cluster(struct load *l, struct model_server *s, const struct options *o, uint32_t i,
        uint64_t now_ns)
{
	char name[32];
	snprintf(name, sizeof name, "fake-%u", i + 1);
	struct model_cluster_options co = {
	        .name = name, .seed = prng_next(&l->random), .history_max = o->history};
	struct model_cluster *c = model_server_add_cluster(s, &co);
	CHECK(c);
	add_namespaces(c, o->namespaces, now_ns);
	for (const char *p = o->resources; *p;) {
		size_t n = strcspn(p, ",");
		if (n && !add_work(l, c, o, (struct span){p, n}, now_ns))
			return false;
		p += n + (p[n] == ',');
	}
	return true;
}

bool load_init(struct load *l, struct model_server *s, const struct options *o, uint64_t now_ns)
{
	*l = (struct load){.random = {o->seed}};
	for (const char *p = o->resources; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
		l->per_cluster += *p != ',';
	l->clusters = o->clusters;
	l->works = calloc((size_t)o->clusters * l->per_cluster + 1, sizeof *l->works);
	CHECK(l->works);
	for (uint32_t i = 0; i < o->clusters; i++)
		if (!add_cluster(l, s, o, i, now_ns))
			return false;
	load_set_rate(l, o->rate, now_ns);
	return true;
}

void load_fini(struct load *l)
{
	for (size_t i = 0; i < l->command_count; i++)
		free(l->commands[i]);
	free(l->commands);
	free(l->phases);
	free(l->works);
	*l = (struct load){0};
}

/* Works lie cluster by cluster, in the order in which the clusters were made. */
struct model_workload *load_find(
        struct load *l, const struct model_cluster *c, const struct model_kind *k)
{
	size_t first = c->number * l->per_cluster;
	for (size_t i = first; i < first + l->per_cluster && i < l->work_count; i++)
		if (l->works[i].cluster == c && l->works[i].kind == k)
			return &l->works[i];
	return NULL;
}

/* --- profiles --- */

static const struct {
	const char *name, *text;
} builtin[] = {
        {"steady", "phase 10 rate=1000 status=90 update=5 create=2 delete=2 labels=1\nrepeat\n"},
        {"rollout", "phase 5 rate=500 status=100\nphase 5 rate=5000 create=30 delete=30 "
                    "status=40\nrepeat\n"},
        {"heartbeat", "phase 10 rate=200 burst=100 burst-size=1000\nrepeat\n"},
        {"mass-delete", "phase 10 rate=1000 status=100\nphase 5 rate=5000 delete=100\nphase 10 "
                        "rate=5000 create=100\nrepeat\n"},
        {"gone-storm", "phase 5 rate=2000 status=90 recreate=10\nphase 1 rate=2000 status=100\ndo "
                       "compact *\ndo cut * rst\nrepeat\n"},
        {"cut-storm", "phase 5 rate=2000 status=100\nphase 1 rate=2000 status=100\ndo cut * "
                      "rst\nphase 1 rate=2000 status=100\ndo cut * cut\nrepeat\n"},
        {"rolling-restart", "phase 5 rate=1000 status=100\nphase 30 rate=1000 status=100 restart=1 "
                            "down=500\nrepeat\n"},
        {"dead", "phase 10 rate=1000 status=100\nphase 30 rate=1000 status=100 dead=10\nrepeat\n"},
        {"flood", "phase 5 rate=1000 status=100\nphase 15 rate=50000 status=100 flood=1 "
                  "trickle=1000\nrepeat\n"},
};

static bool profile_problem(const char *name, unsigned line, const char *what)
{
	fprintf(stderr, "fakekube: profile %s, line %u: %s\n", name, line, what);
	return false;
}

static struct span word(struct span *s)
{
	while (s->n && (s->p[0] == ' ' || s->p[0] == '\t')) {
		s->p++;
		s->n--;
	}
	struct span w = {s->p, 0};
	while (w.n < s->n && s->p[w.n] != ' ' && s->p[w.n] != '\t')
		w.n++;
	s->p += w.n;
	s->n -= w.n;
	return w;
}

static bool set_key(struct load_phase *p, struct span key, double v)
{
	if (span_is(key, "rate"))
		p->rate = v;
	else if (span_is(key, "trickle"))
		p->trickle = v;
	else if (span_is(key, "flood"))
		p->flood = v != 0;
	else if (span_is(key, "restart"))
		p->restart = v != 0;
	else if (span_is(key, "down"))
		p->down_ms = (uint64_t)v;
	else if (span_is(key, "dead") && v <= 100)
		p->dead = (uint64_t)v;
	else
		return model_weights_set(&p->weights, key, (uint32_t)v);
	return true;
}

static bool parse_phase(struct load *l, struct span line)
{
	char *end;
	if (l->phase_count == LOAD_PHASES_MAX)
		return false;
	struct load_phase *p = &l->phases[l->phase_count++];
	*p = (struct load_phase){.first_command = l->command_count};
	struct span w = word(&line);
	p->seconds = w.n ? strtod(w.p, &end) : 0;
	if (p->seconds <= 0 || end != w.p + w.n)
		return false;
	while ((w = word(&line)).n) {
		const char *eq = memchr(w.p, '=', w.n);
		if (!eq)
			return false;
		struct span key = {w.p, (size_t)(eq - w.p)};
		double v = strtod(eq + 1, &end);
		if (end != w.p + w.n || v < 0)
			return false;
		if (!set_key(p, key, v))
			return false;
	}
	return true;
}

static bool parse_do(struct load *l, struct span line)
{
	if (l->phase_count == 0 || l->command_count == LOAD_COMMANDS_MAX)
		return false;
	while (line.n && line.p[0] == ' ') {
		line.p++;
		line.n--;
	}
	l->commands[l->command_count] = strndup(line.p, line.n);
	CHECK(l->commands[l->command_count]);
	l->command_count++;
	l->phases[l->phase_count - 1].command_count++;
	return true;
}

static bool parse_profile(struct load *l, const char *name, const char *text)
{
	unsigned number = 0;
	while (*text) {
		size_t n = strcspn(text, "\n"), keep = strcspn(text, "#\n");
		struct span line = {text, keep < n ? keep : n};
		text += n + (text[n] == '\n');
		number++;
		struct span first = word(&line);
		if (first.n == 0)
			continue;
		if (span_is(first, "repeat"))
			l->repeat = true;
		else if (span_is(first, "phase") ? !parse_phase(l, line)
		         : span_is(first, "do")  ? !parse_do(l, line)
		                                 : true)
			return profile_problem(name, number,
			        "not understood: phase SECONDS [name=value...] | do COMMAND | "
			        "repeat");
	}
	return l->phase_count ? true : profile_problem(name, number, "it has no phase");
}

static char *read_file(const char *name)
{
	FILE *f = fopen(name, "r");
	if (!f)
		return NULL;
	char *text = calloc(1, 65536);
	CHECK(text);
	size_t n = fread(text, 1, 65535, f);
	text[n] = 0;
	fclose(f);
	return text;
}

bool load_read_profile(struct load *l, const char *name)
{
	l->phases = calloc(LOAD_PHASES_MAX, sizeof *l->phases);
	l->commands = calloc(LOAD_COMMANDS_MAX, sizeof(char *));
	CHECK(l->phases && l->commands);
	for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
		if (strcmp(name, builtin[i].name) == 0)
			return parse_profile(l, name, builtin[i].text);
	char *text = read_file(name);
	if (!text) {
		fprintf(stderr,
		        "fakekube: --profile %s: %s, and there is no built-in profile of that "
		        "name\n",
		        name, strerror(errno));
		return false;
	}
	bool ok = parse_profile(l, name, text);
	free(text);
	return ok;
}

/* --- as time goes on --- */

static void stream_set(
        struct load_stream *s, double rate, size_t first, size_t count, uint64_t now_ns)
{
	*s = (struct load_stream){.rate = rate, .begun_ns = now_ns, .first = first, .count = count};
}

void load_set_rate(struct load *l, double rate, uint64_t now_ns)
{
	l->main.rate = l->trickle.rate = 0;
	stream_set(&l->main, rate, 0, l->work_count, now_ns);
}

void load_set_weights(struct load *l, const struct model_weights *w)
{
	for (size_t i = 0; i < l->work_count; i++) {
		l->works[i].options.weights = *w;
		if (w->burst_size == 0)
			l->works[i].options.weights.burst_size = 100;
	}
}

static void enter_phase(struct load *l, uint64_t begin_ns, load_command_fn command, void *arg)
{
	const struct load_phase *p = &l->phases[l->phase];
	l->phase_end_ns = begin_ns + (uint64_t)(p->seconds * SECOND_NS);
	load_set_weights(l, &p->weights);
	load_set_rate(l, p->rate, begin_ns);
	if (p->flood) {
		size_t one = l->per_cluster < l->work_count ? l->per_cluster : l->work_count;
		stream_set(&l->main, p->rate, 0, one, begin_ns);
		stream_set(&l->trickle, p->trickle, one, l->work_count - one, begin_ns);
	}
	stream_set(&l->restarts, p->restart ? (double)l->clusters / p->seconds : 0, 0, l->clusters,
	        begin_ns);
	l->down_ms = p->down_ms;
	if (p->dead != l->dead) {
		char line[32];
		snprintf(line, sizeof line, "dead %llu%%", (unsigned long long)p->dead);
		command(arg, line);
	}
	l->dead = p->dead;
	for (size_t i = 0; i < p->command_count; i++)
		command(arg, l->commands[p->first_command + i]);
}

/* When the next of a stream is due; UINT64_MAX: never. */
static uint64_t stream_due(const struct load_stream *s)
{
	if (s->rate <= 0 || s->count == 0)
		return UINT64_MAX;
	return s->begun_ns + (uint64_t)((double)s->made * (SECOND_NS / s->rate));
}

/* Until when writes belong to what is asked for now: a phase's to itself, however late they are. */
static uint64_t load_end(const struct load *l)
{
	return l->started && l->phase < l->phase_count ? l->phase_end_ns : UINT64_MAX;
}

static bool owes(const struct load *l, uint64_t end_ns)
{
	return stream_due(&l->main) < end_ns || stream_due(&l->trickle) < end_ns;
}

/* A phase begins when it is due, and not before the last one's writes are made. */
static void turn_profile(struct load *l, uint64_t now_ns, load_command_fn command, void *arg)
{
	uint64_t end = load_end(l);
	if (!l->phase_count)
		return;
	if (!l->started) {
		l->started = true;
		enter_phase(l, now_ns, command, arg);
	} else if (now_ns >= end && !owes(l, end)) {
		l->phase++;
		if (l->phase == l->phase_count && l->repeat)
			l->phase = 0;
		if (l->phase < l->phase_count)
			enter_phase(l, end, command, arg);
		else
			load_set_rate(l, l->restarts.rate = 0, now_ns);
	}
}

/* The writes that follow, as far as they are due: what they touch comes into the cache. */
static void warm(struct load *l, const struct load_stream *s, uint64_t now_ns)
{
	struct model_workload *next[WRITES_PER_TURN];
	struct load_stream ahead = *s;
	struct prng random = l->random;
	size_t n = 0;
	for (; n < WRITES_PER_TURN && stream_due(&ahead) <= now_ns; ahead.made++)
		next[n++] = &l->works[s->first + prng_below(&random, s->count)];
	model_warm(next, n);
}

/* Writes what is due, some of it. Returns when the next is. */
static uint64_t turn_writes(struct load *l, struct load_stream *s, uint64_t now_ns)
{
	warm(l, s, now_ns);
	for (int i = 0; i < WRITES_PER_TURN; i++) {
		uint64_t due = stream_due(s);
		if (due > now_ns || due >= load_end(l))
			return due;
		struct model_workload *w = &l->works[s->first + prng_below(&l->random, s->count)];
		uint64_t made = model_workload_step(w, now_ns, due);
		s->made += made ? made : 1;
	}
	return now_ns;
}

/* One round of restarts. */
static uint64_t turn_restarts(struct load *l, uint64_t now_ns, load_command_fn command, void *arg)
{
	struct load_stream *s = &l->restarts;
	for (; s->made < s->count && stream_due(s) <= now_ns; s->made++) {
		char line[64];
		snprintf(line, sizeof line, "restart fake-%llu %llu",
		        (unsigned long long)s->made + 1, (unsigned long long)l->down_ms);
		command(arg, line);
	}
	return s->made < s->count ? stream_due(s) : UINT64_MAX;
}

uint64_t load_turn(struct load *l, uint64_t now_ns, load_command_fn command, void *arg)
{
	turn_profile(l, now_ns, command, arg);
	uint64_t next = load_end(l);
	const uint64_t more[] = {turn_restarts(l, now_ns, command, arg),
	        turn_writes(l, &l->trickle, now_ns), turn_writes(l, &l->main, now_ns)};
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		next = more[i] < next ? more[i] : next;
	return next > now_ns ? next : now_ns;
}
