#include "host/command.h"

#include "base/check.h"
#include "model/model_blast.h"
#include "model/model_list.h"
#include "model/model_render.h"
#include "model/model_word.h"

#include <stdlib.h>

#define WORDS_MAX 24

/* One command being run. words[0] is its name. */
struct call {
	struct command_target *t;
	struct span words[WORDS_MAX];
	size_t count;
	struct model_cluster *cluster; /* those that need one */
	const struct model_kind *kind;
	struct model_text *out;
	uint64_t now_ns;
	bool later; /* try again after the next turn */
};

struct command {
	const char *name, *help;
	unsigned words_min; /* with the name */
	bool needs_cluster, needs_kind;
	void (*run)(struct call *c);
};

static void problem(struct call *c, const char *what, struct span which)
{
	c->out->n = 0;
	model_text_printf(c->out, "error %s: %.*s", what, SPAN_ARG(which));
}

static struct span arg(const struct call *c, size_t i)
{
	return i < c->count ? c->words[i] : SPAN_NONE;
}

/* The value of KEY=VALUE among the words; none: empty. */
static struct span option(const struct call *c, const char *key)
{
	size_t n = strlen(key);
	for (size_t i = 1; i < c->count; i++) {
		struct span w = c->words[i];
		if (w.n > n && memcmp(w.p, key, n) == 0 && w.p[n] == '=')
			return (struct span){w.p + n + 1, w.n - n - 1};
	}
	return SPAN_NONE;
}

static char *text_of(struct span s)
{
	char *p = s.n ? strndup(s.p, s.n) : NULL;
	CHECK(!s.n || p);
	return p;
}

static void wrote(struct call *c, uint64_t rv)
{
	if (rv)
		model_text_printf(c->out, "ok rv=%llu", (unsigned long long)rv);
	else
		TEXT_LIT(c->out, "error nothing to do it to (or the name is taken)");
}

/* --- writes --- */

static void write_spec(struct call *c, bool create)
{
	struct span key = arg(c, 3);
	const char *slash = memchr(key.p, '/', key.n);
	uint64_t bytes = 0;
	struct span size = option(c, "bytes");
	if (size.n && (!model_word_u64(size, &bytes) || bytes > 8u << 20)) {
		problem(c, "not a size of up to 8388608", size);
		return;
	}
	char *ns = text_of((struct span){key.p, slash ? (size_t)(slash - key.p) : 0});
	char *name = text_of((struct span){
	        slash ? slash + 1 : key.p, key.n - (slash ? (size_t)(slash - key.p) + 1 : 0)});
	char *labels = text_of(option(c, "labels")),
	     *annotations = text_of(option(c, "annotations"));
	struct model_spec s = {.namespace_ = ns,
	        .name = name,
	        .labels = labels,
	        .annotations = annotations,
	        .bytes = (uint32_t)bytes};
	if (!name || (ns == NULL) == c->kind->namespaced)
		problem(c,
		        c->kind->namespaced ? "the key is NAMESPACE/NAME here"
		                            : "the key is NAME here",
		        key);
	else
		wrote(c, create ? model_create(c->cluster, c->kind, &s, c->now_ns)
		                : model_update(c->cluster, c->kind, &s, c->now_ns));
	free(ns);
	free(name);
	free(labels);
	free(annotations);
}

static void cmd_create(struct call *c)
{
	write_spec(c, true);
}
static void cmd_update(struct call *c)
{
	write_spec(c, false);
}
static void cmd_status(struct call *c)
{
	wrote(c, model_patch_status(c->cluster, c->kind, arg(c, 3), c->now_ns));
}
static void cmd_delete(struct call *c)
{
	wrote(c, model_delete(c->cluster, c->kind, arg(c, 3), c->now_ns));
}
static void cmd_recreate(struct call *c)
{
	wrote(c, model_recreate(c->cluster, c->kind, arg(c, 3), c->now_ns));
}

static void cmd_labels(struct call *c)
{
	char *labels = text_of(arg(c, 4));
	wrote(c, model_set_labels(c->cluster, c->kind, arg(c, 3), labels, c->now_ns));
	free(labels);
}

static void cmd_run(struct call *c)
{
	uint64_t n;
	struct model_workload *w = load_find(c->t->load, c->cluster, c->kind);
	if (!w)
		problem(c, "no workload was made for it (see --resources)", arg(c, 2));
	else if (!model_word_u64(arg(c, 4), &n) || !model_workload_run(w, arg(c, 3), n, c->now_ns))
		problem(c, "not create|update|status|delete|recreate|labels|burst and a number",
		        arg(c, 3));
	else
		model_text_printf(c->out, "ok rv=%llu", (unsigned long long)c->cluster->rv);
}

static void cmd_burst(struct call *c)
{
	uint64_t n, made = 0;
	if (!model_word_u64(arg(c, 3), &n)) {
		problem(c, "not a number", arg(c, 3));
		return;
	}
	for (size_t i = 0; i < c->t->model->cluster_count; i++) {
		struct model_cluster *cluster = c->t->model->clusters[i];
		struct model_workload *w = NULL;
		if (!c->cluster || c->cluster == cluster)
			w = load_find(c->t->load, cluster, load_resource(cluster, arg(c, 2)));
		made += w && model_workload_run(w, SPAN("burst"), n, c->now_ns);
	}
	if (made == 0)
		problem(c, "not a resource with a workload", arg(c, 2));
	else if (c->cluster)
		model_text_printf(c->out, "ok rv=%llu", (unsigned long long)c->cluster->rv);
	else
		model_text_printf(c->out, "ok clusters=%llu", (unsigned long long)made);
}

#define BLAST_BYTES (256u << 20) /* text of all clusters together, about */

static void blast_all(struct call *c, uint64_t n)
{
	const struct model_server *m = c->t->model;
	size_t region = BLAST_BYTES / m->cluster_count;
	uint64_t clusters = 0, bytes = 0;
	for (size_t i = 0; i < m->cluster_count; i++) {
		struct model_cluster *cluster = m->clusters[i];
		const struct model_kind *k = load_resource(cluster, arg(c, 2));
		struct model_blast_result r;
		if (!k || !model_blast(cluster, k, n, c->now_ns, region, &r))
			continue;
		clusters++;
		bytes += r.bytes;
	}
	if (clusters == 0)
		problem(c, "no cluster has objects of it (or they are busy)", arg(c, 2));
	else
		model_text_printf(c->out, "ok clusters=%llu events=%llu bytes=%llu",
		        (unsigned long long)clusters, (unsigned long long)(clusters * n),
		        (unsigned long long)bytes);
}

static void cmd_blast(struct call *c)
{
	uint64_t n;
	struct model_blast_result result;
	if (!model_word_u64(arg(c, 3), &n) || n == 0)
		problem(c, "not a number", arg(c, 3));
	else if (!c->cluster)
		blast_all(c, n);
	else if (!model_blast(c->cluster, c->kind, n, c->now_ns, 0, &result))
		problem(c, "not a resource with objects, or it is being blasted", arg(c, 2));
	else
		model_text_printf(c->out,
		        "ok events=%llu first=%llu last=%llu objects=%llu bytes=%llu",
		        (unsigned long long)n, (unsigned long long)result.first_rv,
		        (unsigned long long)result.last_rv, (unsigned long long)result.objects,
		        (unsigned long long)result.bytes);
}

static void cmd_rate(struct call *c)
{
	char *end;
	double rate = strtod(arg(c, 1).p, &end);
	if (end != arg(c, 1).p + arg(c, 1).n || rate < 0) {
		problem(c, "not a rate", arg(c, 1));
		return;
	}
	struct model_weights w = {0};
	for (size_t i = 2; i < c->count; i++) {
		const char *eq = memchr(c->words[i].p, '=', c->words[i].n);
		uint64_t v = 0;
		struct span key = {c->words[i].p, eq ? (size_t)(eq - c->words[i].p) : 0};
		if (!eq || !model_word_u64((struct span){eq + 1, c->words[i].n - key.n - 1}, &v) ||
		        !model_weights_set(&w, key, (uint32_t)v)) {
			problem(c, "not a weight", c->words[i]);
			return;
		}
	}
	if (c->count > 2)
		load_set_weights(c->t->load, &w);
	load_set_rate(c->t->load, rate, c->now_ns);
	TEXT_LIT(c->out, "ok");
}

/* --- the server's life --- */

static void cmd_cut(struct call *c)
{
	enum model_closed how = MODEL_CLOSED_RST;
	const struct model_kind *k = NULL;
	for (size_t i = 2; i < c->count; i++) {
		if (span_is(c->words[i], "rst"))
			how = MODEL_CLOSED_RST;
		else if (span_is(c->words[i], "cut"))
			how = MODEL_CLOSED_CUT;
		else if (span_is(c->words[i], "fin"))
			how = MODEL_CLOSED_FIN;
		else if (!c->cluster || !(k = load_resource(c->cluster, c->words[i]))) {
			problem(c, "not rst, cut, fin or a resource of that cluster", c->words[i]);
			return;
		}
	}
	model_text_printf(c->out, "ok connections=%zu", serve_cut(c->t->serve, c->cluster, k, how));
}

static void cmd_restart(struct call *c)
{
	uint64_t ms = 0;
	if (c->count > 2 && !model_word_u64(arg(c, 2), &ms)) {
		problem(c, "not a number of milliseconds", arg(c, 2));
		return;
	}
	const struct model_server *m = c->t->model;
	for (size_t i = 0; i < m->cluster_count; i++)
		if (!c->cluster || c->cluster == m->clusters[i])
			m->clusters[i]->down_until_ns = c->now_ns + ms * 1000000;
	model_text_printf(c->out, "ok connections=%zu",
	        serve_cut(c->t->serve, c->cluster, NULL, MODEL_CLOSED_RST));
}

/* One that comes back is as after a restart: what it left without an answer is cut. */
static void set_silent(struct call *c, struct model_cluster *cluster, bool silent)
{
	bool back = cluster->silent && !silent;
	cluster->silent = silent;
	if (back)
		serve_cut(c->t->serve, cluster, NULL, MODEL_CLOSED_RST);
}

/* A share is spread over the clusters, the same ones each time. */
static void cmd_dead(struct call *c)
{
	struct span what = arg(c, 1), digits = {what.p, what.n ? what.n - 1 : 0};
	const struct model_server *m = c->t->model;
	struct model_cluster *one = model_server_cluster(m, what);
	uint64_t percent = 0, dead = 0;
	bool share = !one && what.p[what.n - 1] == '%' && model_word_u64(digits, &percent) &&
	             percent <= 100;
	if (!one && !share && !span_is(what, "none")) {
		problem(c, "not a cluster, a share like 10% or none", what);
		return;
	}
	for (size_t i = 0; i < m->cluster_count; i++) {
		struct model_cluster *cluster = m->clusters[i];
		if (one != cluster && one)
			continue;
		set_silent(c, cluster, one || (i + 1) * percent / 100 > i * percent / 100);
	}
	for (size_t i = 0; i < m->cluster_count; i++)
		dead += m->clusters[i]->silent;
	model_text_printf(c->out, "ok dead=%llu", (unsigned long long)dead);
}

static void cmd_drained(struct call *c)
{
	c->later = !serve_drained(c->t->serve);
	if (!c->later)
		model_text_printf(c->out, "ok events=%llu bytes=%llu",
		        (unsigned long long)c->t->model->events,
		        (unsigned long long)c->t->model->bytes);
}

/* Runs it for one cluster, or for all with "*". */
static void each_cluster(
        struct call *c, void (*run)(struct model_cluster *cluster, uint64_t n), uint64_t n)
{
	for (size_t i = 0; i < c->t->model->cluster_count; i++)
		if (!c->cluster || c->cluster == c->t->model->clusters[i])
			run(c->t->model->clusters[i], n);
	TEXT_LIT(c->out, "ok");
}

static void compact(struct model_cluster *cluster, uint64_t rv)
{
	model_cluster_compact(cluster, rv ? rv : cluster->rv);
}
static void skip(struct model_cluster *cluster, uint64_t n)
{
	model_cluster_skip(cluster, n);
}

static void cmd_compact(struct call *c)
{
	uint64_t rv = 0;
	if (c->count > 2 && !model_word_u64(arg(c, 2), &rv))
		problem(c, "not a version", arg(c, 2));
	else
		each_cluster(c, compact, rv);
}

static void cmd_skip(struct call *c)
{
	uint64_t n;
	if (!model_word_u64(arg(c, 2), &n))
		problem(c, "not a number", arg(c, 2));
	else
		each_cluster(c, skip, n);
}

static void cmd_restore(struct call *c)
{
	uint64_t rv;
	if (!c->cluster || !model_word_u64(arg(c, 2), &rv) || rv < c->cluster->horizon ||
	        rv > c->cluster->rv) {
		problem(c, "not a version between the horizon and the present of one cluster",
		        arg(c, 2));
		return;
	}
	model_cluster_restore(c->cluster, rv);
	model_text_printf(c->out, "ok rv=%llu", (unsigned long long)rv);
}

static void cmd_crd_remove(struct call *c)
{
	if (!c->kind->custom) {
		problem(c, "built in", arg(c, 2));
		return;
	}
	model_cluster_remove_crd(c->cluster, c->kind, c->now_ns);
	model_text_printf(c->out, "ok rv=%llu", (unsigned long long)c->cluster->rv);
}

static void cmd_crd_add(struct call *c)
{
	const struct model_kind *k = load_add_custom(c->cluster, arg(c, 2), c->now_ns);
	if (!k)
		problem(c, "not NAME.VERSION.GROUP", arg(c, 2));
	else
		model_text_printf(c->out, "ok rv=%llu", (unsigned long long)c->cluster->rv);
}

static void cmd_fault(struct call *c)
{
	struct model_fault rule;
	struct model_text error = {0};
	struct span rest = {arg(c, 1).p,
	        (size_t)(c->words[c->count - 1].p + c->words[c->count - 1].n - arg(c, 1).p)};
	if (!model_fault_parse(rest, &rule, &error) || rule.id == MODEL_FAULT_COUNT)
		problem(c, "not a fault", model_text_as_span(&error));
	else if (!model_fault_add(&c->t->model->faults, &rule))
		problem(c, "too many rules", rest);
	else
		TEXT_LIT(c->out, "ok");
	model_text_fini(&error);
}

static void cmd_faults(struct call *c)
{
	const struct model_faults *f = &c->t->model->faults;
	model_text_printf(c->out, "ok fired=%llu", (unsigned long long)f->fired);
	for (size_t i = 0; i < f->count; i++) {
		TEXT_LIT(c->out, "; ");
		model_fault_print(&f->rules[i], c->out);
		model_text_printf(c->out, " seen=%u fired=%u", f->rules[i].seen, f->rules[i].fired);
	}
}

static void cmd_clear(struct call *c)
{
	model_fault_clear(&c->t->model->faults);
	TEXT_LIT(c->out, "ok");
}

static void cmd_token(struct call *c)
{
	char *token = text_of(arg(c, 2)), *user = text_of(arg(c, 3));
	bool ok = false;
	if (span_is(arg(c, 1), "add"))
		ok = model_server_add_token(c->t->model, token, user ? user : "admin");
	else if (span_is(arg(c, 1), "remove"))
		ok = model_server_remove_token(c->t->model, token);
	free(token);
	free(user);
	if (ok)
		TEXT_LIT(c->out, "ok");
	else
		problem(c, "not add TOKEN [USER] or remove TOKEN", arg(c, 1));
}

static void put_name(struct span s, char *buf, size_t bytes)
{
	size_t n = s.n < bytes ? s.n : bytes - 1;
	memcpy(buf, n ? s.p : "", n);
	buf[n] = 0;
}

static void cmd_deny(struct call *c)
{
	struct model_deny d = {0};
	put_name(arg(c, 1), d.verb, sizeof d.verb);
	put_name(arg(c, 2), d.resource, sizeof d.resource);
	put_name(arg(c, 3), d.namespace_, sizeof d.namespace_);
	if (model_server_add_deny(c->t->model, &d))
		TEXT_LIT(c->out, "ok");
	else
		problem(c, "too many rules", arg(c, 2));
}

static void cmd_allow(struct call *c)
{
	model_server_clear_deny(c->t->model);
	TEXT_LIT(c->out, "ok");
}

/* --- questions --- */

/* The list that words from first on describe: [NS|-] [selector=LABELS]. False: answered. */
static bool query_of(
        struct call *c, size_t first, struct model_query *q, struct model_selector **selector)
{
	struct model_text error = {0};
	struct span ns = arg(c, first);
	if (memchr(ns.p ? ns.p : "", '=', ns.n) || span_is(ns, "-"))
		ns = SPAN_NONE;
	bool ok = model_selector_parse(option(c, "selector"), SPAN_NONE, c->kind, selector, &error);
	*q = (struct model_query){.kind = c->kind, .ns = ns, .selector = *selector};
	if (!ok)
		problem(c, "selector", model_text_as_span(&error));
	model_text_fini(&error);
	return ok;
}

static void put_digest(struct call *c, const struct model_query *q)
{
	struct model_list_sum sum;
	if (model_list_digest(c->cluster, q, &sum))
		model_text_printf(c->out, "ok digest=%016llx objects=%llu rv=%llu",
		        (unsigned long long)sum.digest, (unsigned long long)sum.objects,
		        (unsigned long long)sum.rv);
	else
		model_text_printf(c->out,
		        "error version %llu is not between the horizon %llu and the present %llu",
		        (unsigned long long)q->rv, (unsigned long long)c->cluster->horizon,
		        (unsigned long long)c->cluster->rv);
}

static void cmd_digest(struct call *c)
{
	struct model_query q;
	struct model_selector *selector;
	if (!query_of(c, 3, &q, &selector))
		return;
	put_digest(c, &q);
	model_selector_free(&selector);
}

static bool query_at(struct call *c, struct model_query *q, struct model_selector **selector)
{
	uint64_t rv;
	if (!model_word_u64(arg(c, 3), &rv)) {
		problem(c, "not a version", arg(c, 3));
		return false;
	}
	if (!query_of(c, 4, q, selector))
		return false;
	q->rv = rv;
	return true;
}

static void cmd_digest_at(struct call *c)
{
	struct model_query q;
	struct model_selector *selector;
	if (!query_at(c, &q, &selector))
		return;
	put_digest(c, &q);
	model_selector_free(&selector);
}

static bool put_item(void *context, const struct model_version *v)
{
	struct model_text *out = context;
	TEXT_LIT(out, " ");
	model_text_span(out, model_object_key(v->object));
	TEXT_LIT(out, ":");
	model_render_uid(v, out);
	model_text_printf(out, ":%llu", (unsigned long long)v->rv);
	return true;
}

static void cmd_list_at(struct call *c)
{
	struct model_query q;
	struct model_selector *selector;
	if (!query_at(c, &q, &selector))
		return;
	TEXT_LIT(c->out, "ok");
	if (!model_list_at(c->cluster, &q, put_item, c->out))
		problem(c, "not a version between the horizon and the present", arg(c, 3));
	model_selector_free(&selector);
}

static void cmd_rv(struct call *c)
{
	model_text_printf(c->out, "ok rv=%llu horizon=%llu timeline=%u",
	        (unsigned long long)c->cluster->rv, (unsigned long long)c->cluster->horizon,
	        c->cluster->timeline);
}

static void cmd_stats(struct call *c)
{
	const struct model_server *m = c->t->model;
	model_text_printf(c->out,
	        "ok clusters=%zu connections=%zu watches=%zu requests=%llu events=%llu "
	        "bookmarks=%llu bytes=%llu accepted=%llu "
	        "writes=%llu faults=%llu handshakes=%llu refused=%llu blocked=%zu backlog=%u",
	        m->cluster_count, m->connections, m->watches, (unsigned long long)m->requests,
	        (unsigned long long)m->events, (unsigned long long)m->bookmarks,
	        (unsigned long long)m->bytes, (unsigned long long)c->t->serve->accepted,
	        (unsigned long long)(c->t->load->main.made + c->t->load->trickle.made),
	        (unsigned long long)m->faults.fired, (unsigned long long)c->t->serve->handshakes,
	        (unsigned long long)c->t->serve->refused, c->t->serve->blocked,
	        c->t->serve->backlog);
}

static void cmd_quit(struct call *c)
{
	c->t->quit = true;
	TEXT_LIT(c->out, "ok");
}

static void cmd_headlamp(struct call *c)
{
	if (!c->t->backend) {
		problem(c, "there is none without --headlamp", arg(c, 1));
		return;
	}
	struct span rest = {c->words[1].p,
	        (size_t)(c->words[c->count - 1].p + c->words[c->count - 1].n - c->words[1].p)};
	model_backend_command(c->t->backend, rest, c->now_ns, c->out);
	c->t->serve->now_ns = c->now_ns;
	serve_flush_ready(c->t->serve); /* what it did is done before it is answered */
}

static void cmd_help(struct call *c);

/* --- the table --- */

static const struct command commands[] = {
        {"create", "CLUSTER RESOURCE [NS/]NAME [labels=a=b,...] [annotations=...] [bytes=N]", 4,
                true, true, cmd_create},
        {"update", "CLUSTER RESOURCE KEY [labels=...] [annotations=...]", 4, true, true,
                cmd_update},
        {"status", "CLUSTER RESOURCE KEY", 4, true, true, cmd_status},
        {"labels", "CLUSTER RESOURCE KEY a=b,...", 5, true, true, cmd_labels},
        {"delete", "CLUSTER RESOURCE KEY", 4, true, true, cmd_delete},
        {"recreate", "CLUSTER RESOURCE KEY", 4, true, true, cmd_recreate},
        {"run", "CLUSTER RESOURCE create|update|status|delete|recreate|labels|burst N", 5, true,
                true, cmd_run},
        {"burst", "CLUSTER|* RESOURCE N", 4, true, true, cmd_burst},
        {"blast", "CLUSTER|* RESOURCE N", 4, true, true, cmd_blast},
        {"rate", "R [status=W] [create=W] ...", 2, false, false, cmd_rate},
        {"cut", "CLUSTER|* [rst|cut|fin] [RESOURCE]", 2, true, false, cmd_cut},
        {"restart", "CLUSTER|* [MS]", 2, true, false, cmd_restart},
        {"dead", "CLUSTER|PERCENT%|none", 2, false, false, cmd_dead},
        {"compact", "CLUSTER|* [RV]", 2, true, false, cmd_compact},
        {"skip", "CLUSTER|* N", 3, true, false, cmd_skip},
        {"restore", "CLUSTER RV", 3, true, false, cmd_restore},
        {"crd-add", "CLUSTER NAME.VERSION.GROUP", 3, true, false, cmd_crd_add},
        {"crd-remove", "CLUSTER RESOURCE", 3, true, true, cmd_crd_remove},
        {"fault", "NAME [a=N] [b=N] [verb=...] [resource=R] [cluster=C] [nth=N] [count=N]", 2,
                false, false, cmd_fault},
        {"faults", "", 1, false, false, cmd_faults},
        {"clear", "", 1, false, false, cmd_clear},
        {"token", "add TOKEN [USER] | remove TOKEN", 3, false, false, cmd_token},
        {"deny", "VERB|* RESOURCE|* [NS]", 3, false, false, cmd_deny},
        {"allow", "", 1, false, false, cmd_allow},
        {"digest", "CLUSTER RESOURCE [NS|-] [selector=LABELS]", 3, true, true, cmd_digest},
        {"digest-at", "CLUSTER RESOURCE RV [NS|-] [selector=LABELS]", 4, true, true, cmd_digest_at},
        {"list-at", "CLUSTER RESOURCE RV [NS|-] [selector=LABELS]", 4, true, true, cmd_list_at},
        {"rv", "CLUSTER", 2, true, false, cmd_rv},
        {"stats", "", 1, false, false, cmd_stats},
        {"drained", "", 1, false, false, cmd_drained},
        {"headlamp",
                "status | clear | mux ok|refuse|silent | context NAME ok|refuse|hang [MS]|invalid "
                "| "
                "drop-data [N] | restart [MS]",
                2, false, false, cmd_headlamp},
        {"quit", "", 1, false, false, cmd_quit},
        {"help", "", 1, false, false, cmd_help},
};

static void cmd_help(struct call *c)
{
	TEXT_LIT(c->out, "ok");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		model_text_printf(
		        c->out, "%s %s %s", i ? ";" : "", commands[i].name, commands[i].help);
}

static bool takes_all(const struct command *cmd)
{
	return cmd->run == cmd_cut || cmd->run == cmd_compact || cmd->run == cmd_skip ||
	       cmd->run == cmd_burst || cmd->run == cmd_blast || cmd->run == cmd_restart;
}

static bool resolve(struct call *c, const struct command *cmd)
{
	if (c->count < cmd->words_min) {
		problem(c, "usage", span_of(cmd->help));
		return false;
	}
	if (!cmd->needs_cluster)
		return true;
	c->cluster = model_server_cluster(c->t->model, arg(c, 1));
	if (!c->cluster && !(takes_all(cmd) && span_is(arg(c, 1), "*"))) {
		problem(c, "no such cluster", arg(c, 1));
		return false;
	}
	if (!cmd->needs_kind || !c->cluster)
		return true;
	c->kind = load_resource(c->cluster, arg(c, 2));
	if (!c->kind)
		problem(c, "no such resource in that cluster", arg(c, 2));
	return c->kind != NULL;
}

bool command_run(struct command_target *t, struct span line, struct model_text *out)
{
	struct call c = {.t = t, .out = out, .now_ns = serve_clock_ns()};
	for (struct span w; c.count < WORDS_MAX && (w = model_word_take(&line)).n;)
		c.words[c.count++] = w;
	if (c.count == 0) {
		TEXT_LIT(out, "error empty line; try help");
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!span_is(c.words[0], commands[i].name))
			continue;
		if (resolve(&c, &commands[i]))
			commands[i].run(&c);
		return !c.later;
	}
	problem(&c, "no such command (try help)", c.words[0]);
	return true;
}
