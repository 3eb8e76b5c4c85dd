#include "control/backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/config.h"
#include "config/pattern.h"
#include "control/core.h"
#include "headlamp/backend.h"

#define SECOND_NS 1000000000ull
enum {
	BACKENDS_PREFIX_BYTES = SERVER_URL_BYTES_MAX + 3 * BACKEND_NAME_MAX + 16,
	BACKENDS_CONF_BYTES = 64 << 10,
};

static void on_due(struct loop_timer *t);

/* --- rows -------------------------------------------------------------------------------- */

/* What it borrows. */
static void take_over(struct backend *b, struct config_backend *from)
{
	struct known_cluster *k = b->self;
	b->conf = from;
	k->name = from->name;
	k->user = from->entry->headlamp->user;
	k->cluster_credential =
	        from->cluster_credential.token || from->cluster_credential.token_file
	                ? &from->cluster_credential
	                : NULL;
	cluster_conf_fini(&k->conf);
	k->conf = config_take(&from->conf);
}

err_t backends_add(struct control *c, struct config_backend *from, struct backend **out)
{
	struct backends *t = &c->backends;
	struct backend **rows = realloc(t->rows, (t->count + 1) * sizeof(struct backend *));
	if (!rows)
		return ERR_NO_MEMORY;
	t->rows = rows;
	struct backend *b = calloc(1, sizeof *b);
	struct known_cluster *k = b ? clusters_new(&c->clusters) : NULL;
	if (!k) {
		free(b);
		return ERR_NO_MEMORY;
	}
	*b = (struct backend){.control = c, .self = k};
	b->clusters.by_context = true;
	loop_timer_init(&b->timer, on_due);
	k->is_backend = true;
	if (from->entry->qps)
		k->qps = (uint32_t)from->entry->qps;
	k->broken = from->error;
	take_over(b, from);
	t->rows[t->count++] = b;
	if (out)
		*out = b;
	return ERR_OK;
}

err_t backends_load(struct control *c)
{
	struct config *from = c->config.config;
	err_t err = ERR_OK;
	for (size_t i = 0; !err && i < from->backend_count; i++)
		err = backends_add(c, &from->backends[i], NULL);
	return err;
}

static void release(struct backend *b)
{
	loop_timer_set(b->control->loop, &b->timer, UINT64_MAX);
	cluster_index_fini(&b->clusters);
	free(b);
}

void backends_fini(struct control *c)
{
	for (uint32_t i = 0; i < c->backends.count; i++)
		release(c->backends.rows[i]);
	free(c->backends.rows);
	c->backends = (struct backends){0};
}

static enum strategy_way way_of(unsigned strategy)
{
	switch ((enum settings_strategy)strategy) {
	case SETTINGS_STRATEGY_LEGACY: return STRATEGY_LEGACY;
	case SETTINGS_STRATEGY_HTTP: return STRATEGY_HTTP;
	case SETTINGS_STRATEGY_AUTO: /* the first to be tried */
	case SETTINGS_STRATEGY_MULTIPLEXED:
	case SETTINGS_STRATEGY_DIRECT: /* the last two: settings_headlamp.c lets neither through */
	case SETTINGS_STRATEGY_WEBSOCKET: break;
	}
	return STRATEGY_MULTIPLEXED;
}

/* The backend's address, and a path of its own there. */
static err_t describe_server(const struct server_url *home, struct cluster_conf *conf)
{
	char prefix[BACKENDS_PREFIX_BYTES];
	size_t n =
	        backend_prefix(span_of(home->path), span_of(conf->context), prefix, sizeof prefix);
	if (!n)
		return ERR_LIMIT;
	conf->server = *home;
	conf->server.path = arena_copy(&conf->arena, (struct span){prefix, n});
	conf->server.text = arena_format(&conf->arena, "http%s://%s%.*s", home->tls ? "s" : "",
	        home->authority, (int)n, prefix);
	return conf->server.path && conf->server.text ? ERR_OK : ERR_NO_MEMORY;
}

/* at: its name at the backend. */
static err_t describe(
        const struct backend *b, struct known_cluster *k, const char *name, const char *at)
{
	struct cluster_conf *conf = &k->conf;
	arena_init(&conf->arena, BACKENDS_CONF_BYTES);
	conf->namespace_ = "default";
	conf->insecure = b->self->conf.insecure;
	conf->context = arena_copy(&conf->arena, span_of(at));
	k->name = arena_copy(&conf->arena, span_of(name));
	if (!conf->context || !k->name)
		return ERR_NO_MEMORY;
	return k->broken.code ? ERR_OK : describe_server(&b->self->conf.server, conf);
}

static void set_options(const struct backend *b, struct known_cluster *k)
{
	const struct settings_cluster *entry = b->conf->entry;
	k->qps = b->self->qps;
	k->audit_s = (uint32_t)entry->audit_s;
	k->watch_list = entry->watch_list == SETTINGS_WATCH_LIST_AUTO;
	k->gzip = entry->compression == SETTINGS_COMPRESSION_AUTO;
	k->way = way_of(entry->strategy);
	k->way_auto = entry->strategy == SETTINGS_STRATEGY_AUTO;
	k->backend = b->self;
	k->user = b->self->user;
}

static bool is_full(const struct clusters *t)
{
	return t->count >= CONFIG_CLUSTERS_MAX && list_empty(&t->unused);
}

static err_t add_cluster(struct backend *b, const char *name, const char *at,
        const struct errmsg *broken, struct known_cluster **out)
{
	struct clusters *t = &b->control->clusters;
	if (is_full(t))
		return ERR_LIMIT;
	struct known_cluster *k = clusters_new(t);
	if (!k)
		return ERR_NO_MEMORY;
	k->broken = *broken;
	set_options(b, k);
	err_t err = describe(b, k, name, at);
	if (!err)
		err = cluster_index_add(&b->clusters, k);
	if (!err)
		err = cluster_index_add(&t->by_name, k);
	if (err)
		clusters_remove(b->control, k, "");
	*out = k;
	return err;
}

err_t backends_add_named(struct control *c, const struct config_cluster *from)
{
	char at[BACKEND_NAME_MAX + 1];
	struct known_cluster *k;
	struct backend *b = backends_find(c, from->backend->name);
	struct errmsg broken = b->self->broken;
	size_t n = backend_cluster_name(span_of(from->context), at, sizeof at - 1);
	if (!n)
		(void)errmsg_set(&broken, ERR_CONFIG,
		        "context \"%.60s...\" is longer than a backend's names are", from->context);
	at[n] = 0;
	return add_cluster(b, from->name, n ? at : from->context, &broken, &k);
}

/* --- its answers ------------------------------------------------------------------------- */

static void warn(const struct backend *b, const char *what, const char *which)
{
	char text[ERRMSG_BYTES + 320];
	snprintf(text, sizeof text, "Headlamp backend \"%.60s\" %.160s: %s", b->self->name, what,
	        which);
	cluster_log_other(b->control, text);
}

static bool is_wanted(const struct backend *b, const char *context)
{
	const struct fields_texts *p = &b->conf->entry->headlamp->contexts;
	for (size_t i = 0; i < p->count; i++)
		if (pattern_is_glob(p->items[i]) && pattern_match(p->items[i], context))
			return true;
	return p->count == 0;
}

/* It goes into paths, keys, tables and logs. */
static bool is_name(const char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return n > 0 && n <= BACKEND_NAME_MAX;
}

/* false: it cannot be taken. */
static bool take(struct backend *b, const char *context, struct known_cluster **out)
{
	char full[2 * BACKEND_NAME_MAX + 2];
	const char *name = context;
	if (!is_name(context))
		return false;
	if (clusters_find(b->control, name)) {
		snprintf(full, sizeof full, "%s/%s", b->self->name, context);
		name = full;
	}
	return strlen(name) <= CLUSTER_CONF_NAME_MAX && !clusters_find(b->control, name) &&
	       add_cluster(b, name, context, &b->self->broken, out) == ERR_OK;
}

static void set_unlisted(struct known_cluster *k, const struct backend_cluster *row, bool before)
{
	if (row && !row->error)
		k->unlisted = (struct errmsg){0};
	else if (row)
		(void)errmsg_set(&k->unlisted, ERR_HEADLAMP_REFUSED,
		        "the backend cannot use context \"%.100s\": %.200s", k->conf.context,
		        row->error);
	else if (k->unlisted.code != ERR_UNKNOWN_CLUSTER) /* else it is said already */
		(void)errmsg_set(&k->unlisted, ERR_UNKNOWN_CLUSTER,
		        "the backend %s context \"%.100s\"",
		        before ? "no longer lists" : "does not list", k->conf.context);
}

static struct backend_cluster *row_of(const struct backend_clusters *list, const char *context)
{
	size_t a = 0, b = list->count;
	while (a < b) {
		size_t at = a + (b - a) / 2;
		int order = strcmp(list->rows[at].name, context);
		if (order == 0)
			return &list->rows[at];
		if (order < 0)
			a = at + 1;
		else
			b = at;
	}
	return NULL;
}

/* Those that are known, against the list. */
static void compare(struct backend *b, const struct backend_clusters *list)
{
	for (uint32_t i = 0; i < b->clusters.count; i++) {
		struct known_cluster *k = b->clusters.rows[i];
		bool was_listed = !k->unlisted.code && b->answered;
		set_unlisted(k, row_of(list, k->conf.context), b->answered);
		if (was_listed && k->unlisted.code)
			warn(b, "lost a cluster", k->unlisted.text);
	}
}

/* Of all backends: what is no longer listed keeps its row only while there are enough of them, or
 * somebody uses it. Contexts that come and go would take all of them in time. A cluster that a
 * reactor has gives its row back a little later. */
static void drop_unlisted(struct control *c)
{
	for (uint32_t i = c->clusters.by_name.count; i-- > 0;) {
		struct known_cluster *k = c->clusters.by_name.rows[i];
		if (k->found && k->unlisted.code == ERR_UNKNOWN_CLUSTER && list_empty(&k->lists) &&
		        list_empty(&k->questions))
			clusters_remove(c, k, "its Headlamp backend no longer lists it");
	}
}

/* Those that are not known yet. */
static void adopt(struct backend *b, const struct backend_clusters *list)
{
	const char *first = "";
	uint32_t refused = 0, taken = 0;
	bool dropped = false;
	for (size_t i = 0; i < list->count; i++) {
		const struct backend_cluster *row = &list->rows[i];
		uint32_t at = cluster_index_at(&b->clusters, row->name);
		struct known_cluster *k = NULL;
		if (at < b->clusters.count &&
		        strcmp(b->clusters.rows[at]->conf.context, row->name) == 0)
			continue;
		if (!is_wanted(b, row->name))
			continue;
		if (!dropped && is_full(&b->control->clusters)) {
			drop_unlisted(b->control);
			dropped = true;
		}
		if (!take(b, row->name, &k)) {
			first = refused++ ? first : row->name;
			continue;
		}
		taken++;
		k->found = true;
		set_unlisted(k, row, true);
		lists_pin_cluster(b->control, k);
	}
	/* The multiplexer's socket says who we are for each of them, once, when it is made. */
	if (b->self->cluster_source && taken)
		clusters_send_credential(b->control, b->self);
	if (refused && refused != b->refused)
		warn(b,
		        "lists contexts that cannot be served (a broken or taken name, or too many "
		        "clusters); the first",
		        is_name(first) ? first : "no name at all");
	b->refused = refused;
}

static void on_list(struct backend *b, const struct backend_clusters *list)
{
	char listed[16];
	snprintf(listed, sizeof listed, "%zu", list->count);
	if (b->failed.code)
		warn(b, "answers; contexts that it lists", listed);
	b->failed = (struct errmsg){0};
	b->logged_ns = 0;
	b->listed = (uint32_t)list->count;
	compare(b, list);
	b->answered = true;
	adopt(b, list);
}

static void on_failure(struct backend *b, const struct errmsg *m)
{
	uint64_t now = loop_now_ns(b->control->loop);
	b->failed = *m;
	if (b->logged_ns && now - b->logged_ns < BACKENDS_LOG_S * SECOND_NS)
		return;
	b->logged_ns = now;
	warn(b,
	        b->answered ? "does not tell its clusters"
	                    : "has not answered yet, so its clusters are not known",
	        m->text);
}

/* --- asking ------------------------------------------------------------------------------ */

static void ask_in(struct backend *b, uint64_t seconds)
{
	loop_timer_set(
	        b->control->loop, &b->timer, loop_now_ns(b->control->loop) + seconds * SECOND_NS);
}

static void ask(struct backend *b)
{
	struct reactor_msg *m = reactor_msg_new(REACTOR_FETCH);
	/* An answer comes within 30 s; where a message was lost for want of memory, it is asked
	 * again. */
	ask_in(b, BACKENDS_ASK_S);
	b->asked_ns = loop_now_ns(b->control->loop);
	if (!m)
		return;
	m->cluster = b->self->id;
	m->id = clusters_question(b->self);
	m->fetch.accept = strdup("application/json");
	if (asprintf(&m->fetch.target, "%s/config", b->self->conf.server.path) < 0)
		m->fetch.target = NULL;
	if (!m->fetch.target || !m->fetch.accept) {
		reactor_msg_free(&m);
		return;
	}
	b->asking = true;
	control_post(b->control, b->self->reactor, m);
}

static void on_due(struct loop_timer *t)
{
	ask(CONTAINER_OF(t, struct backend, timer));
}

static struct backend *backend_of(const struct control *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->backends.count; i++)
		if (c->backends.rows[i]->self->id == id)
			return c->backends.rows[i];
	CHECK(false);
	return NULL;
}

void backends_start_one(struct backend *b)
{
	struct errmsg m = {0};
	if (clusters_place(b->control, b->self, &m))
		on_failure(b, &m); /* it is broken, for good */
	else
		ask(b);
}

void backends_start(struct control *c)
{
	for (uint32_t i = 0; i < c->backends.count; i++)
		backends_start_one(c->backends.rows[i]);
}

static err_t read_answer(
        const struct reactor_note *n, struct backend_clusters *list, struct errmsg *m)
{
	if (n->err) {
		*m = (struct errmsg){.code = n->err};
		snprintf(m->text, sizeof m->text, "%s", n->text[0] ? n->text : err_text(n->err));
		return m->code;
	}
	if (n->http_status != 200)
		return errmsg_set(m, ERR_HTTP_STATUS, "%d to GET /config%s", n->http_status,
		        n->http_status == 401 || n->http_status == 403
		                ? ": check headlamp.backendToken, and that the url names it as it "
		                  "listens"
		                : ": check headlamp.url");
	return backend_read_config((struct span){n->body, n->body_bytes}, list, m);
}

void backends_on_fetched(struct control *c, const struct reactor_note *n)
{
	struct backend *b = backend_of(c, clusters_asked(c, n->id)->id);
	struct backend_clusters list = {0};
	struct errmsg m = {0};
	if (c->stopping)
		return;
	b->asking = false;
	err_t err = read_answer(n, &list, &m);
	if (err)
		on_failure(b, &m);
	else
		on_list(b, &list);
	backend_clusters_fini(&list);
	ask_in(b, err ? BACKENDS_AGAIN_S : BACKENDS_ASK_S);
}

void backends_on_answers(struct control *c, const struct known_cluster *self)
{
	struct backend *b = backend_of(c, self->id);
	uint64_t at = b->asked_ns + BACKENDS_SOON_S * SECOND_NS;
	if (!b->asking && !c->stopping && at < b->timer.timer.at_ns)
		loop_timer_set(c->loop, &b->timer, at);
}

/* --- a reload ---------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_texts(const struct fields_texts *a, const struct fields_texts *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

static bool same_entry(const struct settings_cluster *a, const struct settings_cluster *b)
{
	return a->strategy == b->strategy && a->qps == b->qps && a->audit_s == b->audit_s &&
	       a->watch_list == b->watch_list && a->compression == b->compression &&
	       same_text(a->headlamp->user, b->headlamp->user) &&
	       same_texts(&a->headlamp->contexts, &b->headlamp->contexts);
}

/* A cluster behind it has the backend's address, in the backend's words. */
static void follow_server(struct known_cluster *k, const struct server_url *home)
{
	k->conf.server.host = home->host;
	k->conf.server.authority = home->authority;
	k->user = k->backend->user;
}

bool backends_keep(struct backend *b, struct config_backend *from)
{
	struct known_cluster *self = b->self;
	if (from->error.code || self->broken.code || !same_entry(b->conf->entry, from->entry) ||
	        !cluster_conf_same_server(&self->conf, &from->conf) ||
	        !cluster_conf_same_login(&self->conf, &from->conf) ||
	        !credential_conf_equal(&b->conf->cluster_credential, &from->cluster_credential))
		return false;
	take_over(b, from);
	for (uint32_t i = 0; i < b->clusters.count; i++)
		follow_server(b->clusters.rows[i], &self->conf.server);
	return true;
}

struct backend *backends_find(const struct control *c, const char *name)
{
	for (uint32_t i = 0; i < c->backends.count; i++)
		if (strcmp(c->backends.rows[i]->self->name, name) == 0)
			return c->backends.rows[i];
	return NULL;
}

struct known_cluster *backends_cluster(const struct backend *b, const char *context)
{
	uint32_t at = cluster_index_at(&b->clusters, context);
	bool found =
	        at < b->clusters.count && strcmp(b->clusters.rows[at]->conf.context, context) == 0;
	return found ? b->clusters.rows[at] : NULL;
}

void backends_forget_cluster(struct control *c, const struct known_cluster *k)
{
	cluster_index_remove(&backend_of(c, k->backend->id)->clusters, k);
}

void backends_remove(struct control *c, struct backend *b, const char *why)
{
	struct backends *t = &c->backends;
	while (b->clusters.count)
		clusters_remove(c, b->clusters.rows[b->clusters.count - 1], why);
	clusters_remove(c, b->self, why);
	uint32_t at = 0;
	while (t->rows[at] != b)
		at++;
	memmove(t->rows + at, t->rows + at + 1, (--t->count - at) * sizeof(struct backend *));
	release(b);
}

/* --- what others ask --------------------------------------------------------------------- */

bool backends_excuse(const struct control *c, const char *cluster, struct errmsg *m)
{
	for (uint32_t i = 0; i < c->backends.count; i++) {
		const struct backend *b = c->backends.rows[i];
		if (strcmp(b->self->name, cluster) == 0) {
			(void)errmsg_set(m, ERR_UNKNOWN_CLUSTER,
			        "\"%.100s\" is a Headlamp backend; the clusters behind it are "
			        "listed by: kubering clusters",
			        cluster);
			return true;
		}
	}
	for (uint32_t i = 0; i < c->backends.count; i++) {
		const struct backend *b = c->backends.rows[i];
		if (b->answered || !b->conf->discovers)
			continue;
		(void)errmsg_set(m, ERR_UNKNOWN_CLUSTER,
		        "\"%.100s\" is not known: backend \"%.60s\" has not answered yet: %.200s",
		        cluster, b->self->name,
		        b->failed.code ? b->failed.text : "it has been asked just now");
		return true;
	}
	return false;
}

bool backends_were_asked(const struct control *c)
{
	for (uint32_t i = 0; i < c->backends.count; i++)
		if (!c->backends.rows[i]->answered && !c->backends.rows[i]->failed.code)
			return false;
	return true;
}

uint32_t backends_answering(const struct control *c)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < c->backends.count; i++)
		n += c->backends.rows[i]->answered && !c->backends.rows[i]->failed.code;
	return n;
}
