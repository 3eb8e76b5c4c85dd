#include "control/clusters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "config/config.h"
#include "control/backends.h"
#include "control/core.h"
#include "control/questions.h"
#include "headlamp/backend.h"
#include "kube/discovery.h"
#include "wire/tls.h"

enum {
	CLUSTERS_CONNECTS_PER_S = 50,     /* where the settings say nothing */
	CLUSTERS_COOKIE_BYTES = 48 << 10, /* of one request, whose head may have 64 KiB */
};
#define CLUSTERS_AGAIN_NS 1000000000ull /* there was no memory for what a reactor waits for */

/* --- rows and their orders --------------------------------------------------------------- */

/* rows, with room for one more. false: out of memory; nothing has changed. */
static bool make_room(struct known_cluster ***rows, uint32_t count, uint32_t *capacity)
{
	if (count < *capacity)
		return true;
	uint32_t more = *capacity ? *capacity * 2 : 64;
	struct known_cluster **p = realloc(*rows, more * sizeof(struct known_cluster *));
	if (!p)
		return false;
	*rows = p;
	*capacity = more;
	return true;
}

static const char *key_of(const struct cluster_index *x, const struct known_cluster *k)
{
	return x->by_context ? k->conf.context : k->name;
}

uint32_t cluster_index_at(const struct cluster_index *x, const char *key)
{
	uint32_t a = 0, b = x->count;
	while (a < b) {
		uint32_t at = a + (b - a) / 2;
		if (strcmp(key_of(x, x->rows[at]), key) < 0)
			a = at + 1;
		else
			b = at;
	}
	return a;
}

err_t cluster_index_add(struct cluster_index *x, struct known_cluster *k)
{
	if (!make_room(&x->rows, x->count, &x->capacity))
		return ERR_NO_MEMORY;
	uint32_t at = cluster_index_at(x, key_of(x, k));
	memmove(x->rows + at + 1, x->rows + at, (x->count - at) * sizeof(struct known_cluster *));
	x->rows[at] = k;
	x->count++;
	return ERR_OK;
}

void cluster_index_remove(struct cluster_index *x, const struct known_cluster *k)
{
	uint32_t at = cluster_index_at(x, key_of(x, k));
	if (at >= x->count || x->rows[at] != k)
		return;
	x->count--;
	memmove(x->rows + at, x->rows + at + 1, (x->count - at) * sizeof(struct known_cluster *));
}

void cluster_index_fini(struct cluster_index *x)
{
	free(x->rows);
	*x = (struct cluster_index){0};
}

struct known_cluster *clusters_new(struct clusters *t)
{
	struct list *old = list_pop(&t->unused);
	struct known_cluster *k = NULL;
	if (old) {
		k = CONTAINER_OF(old, struct known_cluster, unused);
		*k = (struct known_cluster){.id = k->id, .epoch = k->epoch};
	} else if (make_room(&t->rows, t->count, &t->capacity)) {
		k = calloc(1, sizeof *k);
	}
	if (!k)
		return NULL;
	if (!old) {
		k->id = t->count;
		t->rows[t->count++] = k;
	}
	list_init(&k->unused);
	k->fresh = true;
	k->qps = CLUSTERS_CONNECTS_PER_S;
	k->cert_expires_s = INT64_MAX;
	list_init(&k->discovery_waiters);
	list_init(&k->questions);
	list_init(&k->lists);
	return k;
}

struct known_cluster *clusters_find(const struct control *c, const char *name)
{
	const struct cluster_index *x = &c->clusters.by_name;
	uint32_t at = cluster_index_at(x, name);
	return at < x->count && strcmp(x->rows[at]->name, name) == 0 ? x->rows[at] : NULL;
}

struct known_cluster *clusters_require(const struct control *c, const char *name, struct errmsg *m)
{
	struct known_cluster *k = clusters_find(c, name);
	if (!k && !backends_excuse(c, name, m))
		(void)errmsg_set(m, ERR_UNKNOWN_CLUSTER,
		        "\"%s\"; known clusters are listed by: kubering clusters", name);
	return k;
}

static void on_again(struct loop_timer *t);

/* --- what the configuration names -------------------------------------------------------- */

bool clusters_set_options(struct known_cluster *k, const struct config_cluster *from)
{
	struct known_cluster old = *k;
	k->name = from->name;
	k->qps = from->qps ? from->qps : CLUSTERS_CONNECTS_PER_S;
	k->audit_s = from->audit_s;
	k->watch_list = from->watch_list == SETTINGS_WATCH_LIST_AUTO;
	k->gzip = from->gzip;
	k->way = from->strategy == SETTINGS_STRATEGY_WEBSOCKET ? STRATEGY_WEBSOCKET
	                                                       : STRATEGY_DIRECT;
	return k->qps != old.qps || k->watch_list != old.watch_list || k->gzip != old.gzip ||
	       k->way != old.way || k->audit_s != old.audit_s;
}

err_t clusters_add(struct control *c, struct config_cluster *from)
{
	if (from->backend)
		return backends_add_named(c, from);
	struct known_cluster *k = clusters_new(&c->clusters);
	if (!k)
		return ERR_NO_MEMORY;
	(void)clusters_set_options(k, from);
	k->broken = from->error;
	k->conf = config_take(&from->conf);
	return cluster_index_add(&c->clusters.by_name, k);
}

err_t clusters_load(struct control *c, struct errmsg *m)
{
	discovery_pool_init(&c->clusters.discoveries);
	struct config *from = c->config.config;
	list_init(&c->clusters.unused);
	cluster_log_init(c);
	loop_timer_init(&c->clusters.again, on_again);
	c->clusters.ca_seed = prng_next(&c->rng);
	err_t err = backends_load(c);
	for (size_t i = 0; !err && i < from->cluster_count; i++)
		err = clusters_add(c, &from->clusters[i]);
	return err ? errmsg_set(m, err, "%zu clusters", from->cluster_count) : ERR_OK;
}

/* --- whose credential a source is -------------------------------------------------------- */

static uint64_t hash_of_source(const struct clusters *t, const struct credential_source *s)
{
	return hash_of_span((struct span){(const char *)&s, sizeof(s)}, t->ca_seed);
}

static err_t set_source(struct control *c, struct known_cluster *k)
{
	struct clusters *t = &c->clusters;
	err_t err = hash_index_reserve(&t->by_source);
	if (!err)
		err = credential_source_open(c->credentials, &k->conf.credential,
		        loop_now_ns(c->loop), (int64_t)time(NULL), &k->source);
	if (!err)
		hash_index_add(&t->by_source, &k->by_source, hash_of_source(t, k->source));
	return err;
}

/* Whoever asks for it closes it. */
static struct credential_source *take_source(struct clusters *t, struct known_cluster *k)
{
	struct credential_source *s = k->source;
	if (s)
		hash_index_remove(&t->by_source, &k->by_source);
	k->source = NULL;
	return s;
}

static void give_source_back(
        struct clusters *t, struct known_cluster *k, struct credential_source *s)
{
	k->source = s;
	if (s) /* there is room: it was in there before */
		hash_index_add(&t->by_source, &k->by_source, hash_of_source(t, s));
}

static void release(struct clusters *t, struct known_cluster *k)
{
	struct credential_source *source = take_source(t, k);
	if (source)
		credential_source_close(&source);
	if (k->cluster_source)
		credential_source_close(&k->cluster_source);
	credential_put(&k->credential);
	cluster_drop_roots(t, k);
	discovery_free(&k->discovery);
	discovery_free(&k->discovery_next);
	cluster_conf_fini(&k->conf);
}

void clusters_fini(struct control *c)
{
	struct clusters *t = &c->clusters;
	if (t->again.on_due)
		loop_timer_set(c->loop, &t->again, UINT64_MAX);
	for (uint32_t i = 0; i < t->count; i++) {
		release(t, t->rows[i]);
		free(t->rows[i]);
	}
	cluster_log_fini(c);
	tls_roots_put(&t->system_roots);
	tls_config_put(&t->share);
	free(t->rows);
	cluster_index_fini(&t->by_name);
	hash_index_fini(&t->by_ca);
	hash_index_fini(&t->by_source);
	*t = (struct clusters){0};
}

/* --- credentials and TLS ----------------------------------------------------------------- */

static bool add_field(struct auth *a, struct span name, struct span value)
{
	if (a->field_count == AUTH_FIELDS_MAX)
		return false;
	struct auth_field *p = realloc(a->fields, (a->field_count + 1) * sizeof *p);
	if (!p)
		return false;
	a->fields = p;
	p[a->field_count] = (struct auth_field){strndup(name.p, name.n), strndup(value.p, value.n)};
	a->field_count++;
	return p[a->field_count - 1].name && p[a->field_count - 1].value;
}

static bool add_line(struct auth *a, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	if (!colon)
		return false;
	const char *value = colon + 1;
	value += *value == ' ';
	return add_field(a, (struct span){line, (size_t)(colon - line)},
	        (struct span){value, (size_t)(line + n - value)});
}

/* impersonate: header lines, each with CR LF, as config/ wrote them. */
static bool add_fields(struct auth *a, const char *impersonate)
{
	for (const char *p = impersonate; p && *p;) {
		size_t n = strcspn(p, "\r\n");
		if (n && !add_line(a, p, n))
			return false;
		p += n;
		p += strspn(p, "\r\n");
	}
	return true;
}

static bool is_through(const struct known_cluster *k)
{
	return k->backend || k->is_backend;
}

/* The source of its credential: the backend's, of a cluster behind one. */
static struct credential_source *source_of(const struct known_cluster *k)
{
	return k->backend ? k->backend->source : k->source;
}

const struct errmsg *clusters_credential_error(const struct known_cluster *k)
{
	const struct credential_source *s = source_of(k);
	return s ? credential_source_error(s) : NULL;
}

/* The multiplexer dials every cluster with the cookies that its own upgrade had. ERR_LIMIT: those
 * that fit are there. */
static err_t write_cookies(const struct control *c, const struct known_cluster *k,
        struct span token, char *out, size_t *n)
{
	err_t err = ERR_OK;
	if (k->backend)
		return backend_add_cookie(
		        span_of(k->conf.context), token, out, CLUSTERS_COOKIE_BYTES, n);
	for (uint32_t i = 0; !err && i < c->clusters.count; i++)
		if (c->clusters.rows[i]->backend == k)
			err = backend_add_cookie(span_of(c->clusters.rows[i]->conf.context), token,
			        out, CLUSTERS_COOKIE_BYTES, n);
	return err;
}

/* The backend is asked all the same, and the other ways carry one cookie each. */
static void warn_of_cookies(struct control *c, const struct known_cluster *home)
{
	char line[320];
	snprintf(line, sizeof line,
	        "Headlamp backend \"%.60s\": the cookies with headlamp.clusterToken for all its "
	        "contexts are over 48 KiB, so its multiplexer cannot log in to some of them: name "
	        "fewer contexts, or let these go by strategy auto or legacy",
	        home->name);
	cluster_log_other(c, line);
}

/* All of them are for the multiplexer alone: a proxy may refuse as long a header, and GET /config
 * needs none. */
static bool add_cookie(struct auth *a, const struct known_cluster *k, struct span cookies)
{
	if (k->backend)
		return add_field(a, SPAN("Cookie"), cookies);
	a->upgrade_cookie = strndup(cookies.p, cookies.n);
	return a->upgrade_cookie;
}

/* What the clusters behind a backend ask for, when its kubeconfig does not have it: it takes a
 * cluster's token from a cookie. */
static err_t add_cookies(
        struct control *c, struct auth *a, const struct known_cluster *k, struct errmsg *m)
{
	const struct known_cluster *home = k->backend ? k->backend : k;
	if (!home->cluster_source)
		return ERR_OK;
	const struct errmsg *why = credential_source_error(home->cluster_source);
	struct credential *cred = credential_source_get(home->cluster_source);
	char *text = malloc(CLUSTERS_COOKIE_BYTES);
	size_t n = 0;
	err_t err = !text ? ERR_NO_MEMORY : !cred ? (why ? why->code : ERR_CRED_FILE) : ERR_OK;
	if (!err)
		err = write_cookies(c, k, credential_token(cred), text, &n);
	if (err == ERR_LIMIT && n) {
		warn_of_cookies(c, home);
		err = ERR_OK;
	}
	if (!err && n && !add_cookie(a, k, (struct span){text, n}))
		err = ERR_NO_MEMORY;
	if (err)
		(void)errmsg_set(m, err, "headlamp.clusterToken of backend \"%.60s\": %.160s",
		        home->name, !cred && why ? why->text : "it cannot be sent as a cookie");
	if (text)
		explicit_bzero(text, CLUSTERS_COOKIE_BYTES); /* one that did not fit is behind n */
	free(text);
	credential_put(&cred);
	return err;
}

/* What a backend asks for, and keeps: it has credentials of its own for the clusters behind it. */
static bool add_backend_fields(
        struct auth *a, const struct known_cluster *k, const struct credential *cred)
{
	struct span token = cred ? credential_token(cred) : SPAN_NONE;
	return (token.n == 0 || add_field(a, SPAN("X-HEADLAMP_BACKEND-TOKEN"), token)) &&
	       (!k->user || add_field(a, SPAN("X-HEADLAMP-USER-ID"), span_of(k->user)));
}

static struct auth *auth_of(const struct known_cluster *k, const struct credential *cred)
{
	struct auth *a = auth_new();
	if (!a)
		return NULL;
	bool ok = add_fields(a, k->conf.credential.impersonate);
	if (ok && is_through(k)) {
		ok = add_backend_fields(a, k, cred);
	} else if (ok && cred && cred->authorization.n) {
		a->authorization = strndup(cred->authorization.p, cred->authorization.n);
		ok = a->authorization;
	}
	if (!ok)
		auth_put(&a);
	return a;
}

/* The reactor, and with it all who wait for the cluster, gets it when there is memory. */
static void owe(struct control *c, struct known_cluster *k, unsigned what)
{
	k->owed |= what;
	if (c->clusters.again.timer.at_ns == UINT64_MAX)
		loop_timer_set(
		        c->loop, &c->clusters.again, loop_now_ns(c->loop) + CLUSTERS_AGAIN_NS);
}

void clusters_owe_addresses(struct control *c, uint32_t id)
{
	owe(c, c->clusters.rows[id], OWED_ADDRESSES);
}

void clusters_send_credential(struct control *c, struct known_cluster *k)
{
	if (!k->placed)
		return;
	struct reactor_msg *msg = reactor_msg_new(REACTOR_CLUSTER_CREDENTIAL);
	if (!msg) {
		owe(c, k, OWED_CREDENTIAL);
		return;
	}
	struct errmsg m = {0};
	const struct errmsg *why = credential_source_error(source_of(k));
	struct credential *cred = credential_source_get(source_of(k));
	bool again = k->renew || (k->sent && k->is_backend && k->cluster_source);
	msg->cluster = k->id;
	if (!cred && !why) { /* its plugin still runs; its end is news */
		reactor_msg_free(&msg);
		return;
	}
	if (!cred) {
		msg->err = why->code;
		snprintf(msg->text, sizeof msg->text, "%s", why->text);
	} else {
		msg->err = cluster_tls(c, k, cred, &msg->credential.tls, &m);
		msg->credential.auth = auth_of(k, cred);
		if (!msg->err && !msg->credential.auth)
			msg->err = errmsg_set(&m, ERR_NO_MEMORY, "credential of %s", k->name);
		if (!msg->err && is_through(k))
			msg->err = add_cookies(c, msg->credential.auth, k, &m);
		snprintf(msg->text, sizeof msg->text, "%s", m.text);
	}
	if (!msg->err && k->asked_401 && why) { /* the refresh failed; what we have was refused */
		msg->err = why->code;
		snprintf(msg->text, sizeof msg->text, "%s", why->text);
	}
	msg->credential.renewed = !msg->err && k->credential && cred &&
	                          (again || !credential_same_certificate(k->credential, cred));
	if (msg->err ==
	        ERR_NO_MEMORY) { /* what the reactor has stays, and what is to be said of it */
		owe(c, k, OWED_CREDENTIAL);
		credential_put(&cred);
	} else {
		credential_put(&k->credential);
		k->credential = cred;
		k->renew = false;
	}
	k->asked_401 = false;
	k->sent = true;
	if (!msg->err)
		questions_on_answers(k);
	/* What a backend's clusters have not got, its own line tells. */
	cluster_log_login(c, k, is_through(k) ? ERR_OK : msg->err, msg->text);
	control_post(c, k->reactor, msg);
}

/* A 401 through a backend is the cluster's answer, to the credential that the backend has for it
 * (a wrong backend token is 403): nothing of ours would change that. */
static void say_401(char *text, size_t size, const struct known_cluster *k)
{
	if (k->backend && k->backend->cluster_source)
		snprintf(text, size,
		        "the cluster behind context \"%s\" of backend \"%s\" refused "
		        "headlamp.clusterToken (401): renew it",
		        k->conf.context, k->backend->name);
	else if (k->backend)
		snprintf(text, size,
		        "the cluster refused the credential that backend \"%s\" has for context "
		        "\"%s\" (401): log in there, or fix its kubeconfig",
		        k->backend->name, k->conf.context);
	else if (k->is_backend)
		snprintf(text, size,
		        "backend \"%s\" refused the request (401): fix headlamp.backendToken, or "
		        "what stands before it",
		        k->name);
	else
		snprintf(text, size,
		        "the server refused the credential of context \"%s\" (401), and it cannot "
		        "be renewed: log in again, or fix user \"%s\" in the kubeconfig",
		        k->name, k->conf.credential.user ? k->conf.credential.user : "");
}

void clusters_on_wants_credential(struct control *c, uint32_t id)
{
	struct known_cluster *k = c->clusters.rows[id];
	k->asked_401 = true;
	if (!k->backend &&
	        credential_source_refresh(k->source, k->credential, loop_now_ns(c->loop)))
		return;
	struct reactor_msg *msg = reactor_msg_new(REACTOR_CLUSTER_CREDENTIAL);
	if (!msg) {
		owe(c, k, OWED_401);
		return;
	}
	msg->cluster = id;
	msg->err = ERR_KUBE_UNAUTHORIZED;
	say_401(msg->text, sizeof msg->text, k);
	k->asked_401 = false;
	cluster_log_login(c, k, msg->err, msg->text);
	control_post(c, k->reactor, msg);
}

static void on_again(struct loop_timer *t)
{
	struct control *c = CONTAINER_OF(t, struct control, clusters.again);
	for (uint32_t i = 0; i < c->clusters.count; i++) {
		struct known_cluster *k = c->clusters.rows[i];
		unsigned owed = k->owed;
		k->owed = 0;
		if (!k->placed || k->gone)
			continue;
		if (owed & OWED_CREDENTIAL)
			clusters_send_credential(c, k);
		if (owed & OWED_401)
			clusters_on_wants_credential(c, i);
		if (owed & OWED_ADDRESSES)
			clusters_on_wants_addresses(c, i);
	}
	clusters_on_credentials(c);
}

/* A backend's are those of all clusters behind it. */
static void spread_behind(
        struct control *c, const struct backend *b, const struct credential_source *s)
{
	if (b->self->source != s && b->self->cluster_source != s)
		return;
	clusters_send_credential(c, b->self);
	for (uint32_t i = 0; i < b->clusters.count; i++)
		clusters_send_credential(c, b->clusters.rows[i]);
}

static void spread(struct control *c, const struct credential_source *s)
{
	struct hash_node *n =
	        hash_index_first(&c->clusters.by_source, hash_of_source(&c->clusters, s));
	for (; n; n = hash_index_next(n)) {
		struct known_cluster *k = CONTAINER_OF(n, struct known_cluster, by_source);
		if (k->source == s && !k->is_backend)
			clusters_send_credential(c, k);
	}
	for (uint32_t i = 0; i < c->backends.count; i++)
		spread_behind(c, c->backends.rows[i], s);
}

/* Gives the news of the pool to whom they concern; but: to be left out, or NULL. With ten thousand
 * clusters that each have a file of their own there are as many news: none may cost a walk over
 * all. */
static void spread_credentials(struct control *c, const struct known_cluster *but)
{
	for (struct credential_source *s; (s = credential_pool_pop(c->credentials));)
		if (!but || (s != but->source && s != but->cluster_source))
			spread(c, s);
}

void clusters_on_credentials(struct control *c)
{
	spread_credentials(c, NULL);
	loop_timer_set(c->loop, &c->credentials_timer, credential_pool_deadline(c->credentials));
}

/* --- placing ----------------------------------------------------------------------------- */

static uint32_t least_loaded(const struct control *c)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i < c->config.reactor_count; i++)
		if (c->reactor_load[i] < c->reactor_load[best])
			best = i;
	return best;
}

static err_t post_cluster(struct control *c, struct known_cluster *k, enum reactor_msg_type type)
{
	struct reactor_msg *msg = reactor_msg_new(type);
	if (!msg)
		return ERR_NO_MEMORY;
	msg->cluster = k->id;
	msg->cluster_spec = (struct cluster_spec){.cluster = k->id,
	        .name = strdup(k->name),
	        .host = strdup(k->conf.server.authority),
	        .prefix = strdup(k->conf.server.path),
	        .context = k->backend ? strdup(k->conf.context) : NULL,
	        .user = k->user ? strdup(k->user) : NULL,
	        .backend = k->backend ? k->backend->id : REACTOR_NO_CLUSTER,
	        .way = k->way,
	        .way_auto = k->way_auto,
	        .tls = k->conf.server.tls,
	        .gzip = k->gzip,
	        .connects_per_s = k->qps,
	        .connects_burst = k->qps * 2,
	        .audit_s = k->audit_s,
	        .watch_list = k->watch_list,
	        .bytes_max = c->config.settings->limits.cluster_bytes};
	const struct cluster_spec *spec = &msg->cluster_spec;
	if (!spec->name || !spec->host || !spec->prefix || (k->backend && !spec->context) ||
	        (k->user && !spec->user)) {
		reactor_msg_free(&msg);
		return ERR_NO_MEMORY;
	}
	control_post(c, k->reactor, msg);
	return ERR_OK;
}

static err_t open_source(struct control *c, struct known_cluster *k, struct errmsg *m)
{
	err_t err = k->source ? ERR_OK : set_source(c, k);
	if (!err && k->cluster_credential && !k->cluster_source)
		err = credential_source_open(c->credentials, k->cluster_credential,
		        loop_now_ns(c->loop), (int64_t)time(NULL), &k->cluster_source);
	/* What opening it said is sent below; left in the pool, it would be taken for the answer to
	 * a later 401. To those who share the source and have it already it says nothing new: told
	 * each time, ten thousand clusters of one user are fifty million messages. */
	spread_credentials(c, k);
	/* A plugin may have been started: whoever kills it when it hangs is this timer. */
	loop_timer_set(c->loop, &c->credentials_timer, credential_pool_deadline(c->credentials));
	return err ? errmsg_set(m, err, "credential of context \"%s\"", k->name) : ERR_OK;
}

err_t clusters_place(struct control *c, struct known_cluster *k, struct errmsg *m)
{
	if (k->broken.code) {
		*m = k->broken;
		return m->code;
	}
	if (k->placed)
		return ERR_OK;
	/* The reactor must have the backend first, and all clusters of one share its sockets. */
	err_t err = k->backend ? clusters_place(c, k->backend, m) : open_source(c, k, m);
	if (err)
		return err;
	k->reactor = k->backend ? k->backend->reactor : least_loaded(c);
	err = post_cluster(c, k, REACTOR_CLUSTER_ADD);
	if (err)
		return errmsg_set(m, err, "cluster \"%s\"", k->name);
	k->placed = true;
	c->reactor_load[k->reactor]++;
	clusters_send_credential(c, k);
	clusters_on_wants_addresses(c, k->id);
	return ERR_OK;
}

void clusters_on_missing(struct control *c, struct known_cluster *k)
{
	if (k->placed)
		c->reactor_load[k->reactor]--;
	k->placed = false;
}

void clusters_on_wants_addresses(struct control *c, uint32_t id)
{
	const struct known_cluster *k = c->clusters.rows[id];
	resolver_ask(c->resolver, clusters_question(k), k->conf.server.host, k->conf.server.port);
}

uint32_t clusters_question(const struct known_cluster *k)
{
	_Static_assert((int)CONFIG_CLUSTERS_MAX < 1 << 16, "ids leave room for the epoch");
	return k->id | k->epoch << CLUSTERS_EPOCH_SHIFT;
}

struct known_cluster *clusters_asked(const struct control *c, uint32_t question)
{
	return c->clusters.rows[question & ((1u << CLUSTERS_EPOCH_SHIFT) - 1)];
}

/* --- a reload ---------------------------------------------------------------------------- */

static void renew_source(struct control *c, struct known_cluster *k)
{
	struct errmsg m = {0};
	struct credential_source *old = take_source(&c->clusters, k);
	k->sent = false; /* what opening the new one says is sent below */
	cluster_drop_roots(&c->clusters, k);
	if (open_source(c, k, &m)) { /* out of memory: what there was goes on */
		struct credential_source *half = take_source(&c->clusters, k);
		if (half)
			credential_source_close(&half);
		give_source_back(&c->clusters, k, old);
		c->config.warn(m.text);
		return;
	}
	if (old) /* after the new one: a plugin that both share keeps its answer */
		credential_source_close(&old);
}

void clusters_change(struct control *c, struct known_cluster *k, bool moved, bool login)
{
	if (!k->placed)
		return;
	if (moved) {
		k->epoch++;
		discovery_free(&k->discovery);
		k->down = k->logged_down = false; /* that was the server before */
		k->logged_ns = 0;
	}
	if (post_cluster(c, k, REACTOR_CLUSTER_CHANGE)) {
		c->config.warn("out of memory: a changed cluster goes on as it was");
		return;
	}
	if (!login && !moved)
		return;
	k->renew = true;
	renew_source(c, k);
	if (!k->sent)
		clusters_send_credential(c, k);
	if (!moved)
		return;
	clusters_on_wants_addresses(c, k->id);
	questions_moved(c, k);
}

static void give_back(struct control *c, struct known_cluster *k)
{
	release(&c->clusters, k);
	k->epoch++;
	list_push(&c->clusters.unused, &k->unused);
}

void clusters_remove(struct control *c, struct known_cluster *k, const char *why)
{
	struct reactor_msg *m = k->placed ? reactor_msg_new(REACTOR_CLUSTER_REMOVE) : NULL;
	cluster_index_remove(&c->clusters.by_name, k);
	questions_end_cluster(k, why);
	lists_end_cluster(c, k, why);
	if (k->backend)
		backends_forget_cluster(c, k);
	k->gone = true;
	k->backend = NULL;
	k->name = "(removed)"; /* the configuration that held it goes */
	if (!k->placed) {
		give_back(c, k);
		return;
	}
	c->reactor_load[k->reactor]--;
	if (!m) {
		c->config.warn("out of memory: a removed cluster still costs its connections");
		return;
	}
	m->cluster = k->id;
	m->err = ERR_UNKNOWN_CLUSTER;
	snprintf(m->text, sizeof m->text, "%s", why);
	control_post(c, k->reactor, m);
}

void clusters_on_removed(struct control *c, uint32_t id)
{
	lists_forget_cluster(c, c->clusters.rows[id]);
	give_back(c, c->clusters.rows[id]);
}
