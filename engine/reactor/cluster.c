#include "reactor/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reactor/audit.h"
#include "reactor/core.h"
#include "reactor/mux_link.h"
#include "wire/tls.h"

enum {
	CLUSTER_RESOLVE_AGAIN_S = 30,
	CLUSTER_ASK_AGAIN_S = 1, /* there was no memory to ask control */
};

/* Only through a backend there is anything to choose. false: no memory. */
static bool make_strategy(const struct cluster_spec *spec, struct strategy **out)
{
	*out = NULL;
	if (!spec->context)
		return true;
	struct strategy *s = malloc(sizeof *s);
	if (s)
		strategy_init(s, spec->way, spec->way_auto);
	*out = s;
	return s != NULL;
}

struct cluster *cluster_new(struct reactor *r, struct cluster_spec *spec)
{
	struct strategy *way = NULL;
	struct cluster *c = calloc(1, sizeof *c);
	if (!c || !make_strategy(spec, &way)) {
		free(c);
		return NULL;
	}
	c->strategy = way;
	c->reactor = r;
	c->spec = *spec;
	*spec = (struct cluster_spec){0};
	c->rng = (struct prng){prng_next(&r->rng)};
	gate_init(&c->gate, c->spec.connects_per_s, c->spec.connects_burst);
	wheel_timer_init(&c->timer, CORE_TIMER_CLUSTER);
	list_init(&c->waiting);
	list_init(&c->admit);
	list_init(&c->conns);
	list_init(&c->caps);
	list_init(&c->feeds);
	list_init(&c->fetches);
	list_init(&c->audits);
	c->budget = (struct store_budget){.name = c->spec.name, .bytes_max = c->spec.bytes_max};
	list_push(&r->clusters, &c->link);
	return c;
}

/* Those that no list has. */
static void forget_caps(struct cluster *c)
{
	LIST_EACH_SAFE (it, &c->caps) {
		struct cluster_caps *k = CONTAINER_OF(it, struct cluster_caps, link);
		if (k->lists)
			continue;
		list_unlink(it);
		free(k->key);
		free(k);
		c->caps_count--;
	}
}

void cluster_free(struct cluster **cp)
{
	struct cluster *c = *cp;
	*cp = NULL;
	if (c->mux)
		mux_link_free(&c->mux);
	CHECK(list_empty(&c->waiting) && list_empty(&c->conns) && list_empty(&c->feeds));
	if (c->removed)
		core_note(c->reactor, c->removed);
	wheel_set(&c->reactor->wheel, &c->timer, UINT64_MAX);
	list_unlink(&c->link);
	list_unlink(&c->admit);
	forget_caps(c);
	CHECK(list_empty(&c->caps));
	auth_put(&c->auth);
	tls_config_put(&c->tls);
	free(c->spec.name);
	free(c->spec.host);
	free(c->spec.prefix);
	free(c->spec.context);
	free(c->spec.user);
	free(c->strategy);
	free(c->address);
	free(c->text);
	free(c);
}

struct watch_caps *cluster_caps_of(
        struct cluster *c, const char *group, const char *version, const char *resource)
{
	char *key = NULL;
	if (asprintf(&key, "%s/%s/%s", group, version, resource) < 0)
		return NULL;
	LIST_EACH (it, &c->caps) {
		struct cluster_caps *k = CONTAINER_OF(it, struct cluster_caps, link);
		if (strcmp(k->key, key) == 0) {
			free(key);
			k->lists++;
			return &k->caps;
		}
	}
	if (c->caps_count >= CLUSTER_CAPS_KEPT) /* resources come and go, or never were */
		forget_caps(c);
	struct cluster_caps *k = calloc(1, sizeof *k);
	if (!k) {
		free(key);
		return NULL;
	}
	k->key = key;
	k->lists = 1;
	c->caps_count++;
	list_push(&c->caps, &k->link);
	return &k->caps;
}

void cluster_caps_put(struct watch_caps *caps)
{
	struct cluster_caps *k = CONTAINER_OF(caps, struct cluster_caps, caps);
	CHECK(k->lists > 0);
	k->lists--;
}

/* --- what stands in its way ------------------------------------------------------------------- */

static const char *why(const struct cluster *c)
{
	return c->text ? c->text : err_text(c->err);
}

/* Most clusters never fail: the text is memory of its own. host NULL: the text names it. */
static void set_why(struct cluster *c, err_t err, const char *host, const char *text)
{
	c->err = err;
	if (!c->text)
		c->text = malloc(ERRMSG_BYTES);
	if (c->text)
		snprintf(c->text, ERRMSG_BYTES, "%s%s%s", host ? host : "", host ? ": " : "", text);
}

/* --- the queue -------------------------------------------------------------------------------- */

static void ask_again(struct cluster *c)
{
	wheel_set(&c->reactor->wheel, &c->timer, c->reactor->now_ns + CLUSTER_ASK_AGAIN_S * KUBE_S);
}

static void want_addresses(struct cluster *c)
{
	if (c->addresses_asked)
		return;
	struct reactor_note *n = core_note_new(c->reactor, REACTOR_WANTS_ADDRESSES, 0);
	if (!n) {
		ask_again(c);
		return;
	}
	n->cluster = c->spec.cluster;
	c->addresses_asked = true;
	core_note(c->reactor, n);
}

void cluster_want_credential(struct cluster *c)
{
	if (c->credential_asked)
		return;
	struct reactor_note *n = core_note_new(c->reactor, REACTOR_WANTS_CREDENTIAL, 0);
	c->credential_unasked = !n;
	if (!n) {
		ask_again(c);
		return;
	}
	n->cluster = c->spec.cluster;
	c->credential_asked = true;
	core_note(c->reactor, n);
}

/* Known now that nothing will be granted soon, and why. When the time of the next probe has come,
 * whoever asks is the probe. */
static bool is_down(const struct cluster *c)
{
	if (!c->err)
		return false;
	if (!c->has_credential)
		return c->credential_failed;
	return c->gate.shut && (c->gate.probing || c->reactor->now_ns < c->gate.open_at_ns);
}

void cluster_wait(struct cluster *c, struct cluster_waiter *w)
{
	if (list_empty(&w->link))
		list_push(&c->waiting, &w->link);
	if (w->refused && is_down(c))
		w->refused(w, c->err, why(c));
	cluster_admit(c, c->reactor->now_ns);
}

void cluster_unwait(struct cluster_waiter *w)
{
	list_unlink(&w->link);
}

void cluster_admit(struct cluster *c, uint64_t now_ns)
{
	if (c->credential_unasked)
		cluster_want_credential(c);
	if (list_empty(&c->waiting)) {
		if (!c->credential_unasked)
			wheel_set(&c->reactor->wheel, &c->timer, UINT64_MAX);
		return;
	}
	if (!c->has_credential)
		return; /* control sends one as soon as there is one */
	if (!c->address_count) {
		/* The question is the probe of a cluster whose name is not known. */
		if (c->gate.shut && now_ns < c->gate.open_at_ns)
			wheel_set(&c->reactor->wheel, &c->timer, c->gate.open_at_ns);
		else
			want_addresses(c);
		return;
	}
	uint64_t retry_ns = UINT64_MAX;
	while (!list_empty(&c->waiting)) {
		if (c->reactor->connects >= CORE_CONNECTS_PER_TURN) {
			/* The others first, and streams that are up: the next turn goes on here. */
			if (list_empty(&c->admit))
				list_push(&c->reactor->admitting, &c->admit);
			return;
		}
		if (!gate_take(&c->gate, now_ns, &retry_ns))
			break;
		struct list *it = list_pop(&c->waiting);
		struct cluster_waiter *w = CONTAINER_OF(it, struct cluster_waiter, link);
		c->reactor->connects++;
		w->granted(w);
		retry_ns = UINT64_MAX;
	}
	if (!list_empty(&c->waiting) || !c->credential_unasked)
		wheel_set(&c->reactor->wheel, &c->timer,
		        list_empty(&c->waiting) ? UINT64_MAX : retry_ns);
}

/* For the log and the metrics. */
static void tell_control(struct cluster *c, enum reactor_note_type type)
{
	struct reactor_note *n = core_note_new(c->reactor, type, 0);
	if (!n)
		return;
	n->cluster = c->spec.cluster;
	n->err = c->err;
	snprintf(n->text, sizeof n->text, "%s", c->err ? why(c) : "");
	core_note(c->reactor, n);
}

void cluster_on_answer(struct cluster *c, uint64_t now_ns)
{
	c->err = ERR_OK;
	if (!gate_on_answer(&c->gate, now_ns))
		return;
	if (c->strategy) /* what was away is back, perhaps in a new version */
		strategy_on_restart(c->strategy, now_ns);
	tell_control(c, REACTOR_CLUSTER_TURNED);
	cluster_admit(c, now_ns);
}

static void tell_waiting(struct cluster *c)
{
	LIST_EACH_SAFE (it, &c->waiting) {
		struct cluster_waiter *w = CONTAINER_OF(it, struct cluster_waiter, link);
		if (w->refused)
			w->refused(w, c->err, why(c));
	}
}

void cluster_on_failure(struct cluster *c, err_t err, const char *text, uint64_t now_ns)
{
	set_why(c, err, c->spec.host, text);
	bool was_shut = c->gate.shut;
	uint64_t at = gate_on_failure(&c->gate, &c->rng, now_ns);
	if (!was_shut)
		tell_control(c, REACTOR_CLUSTER_TURNED);
	if (now_ns - c->resolved_ns > CLUSTER_RESOLVE_AGAIN_S * KUBE_S)
		want_addresses(
		        c); /* it may have moved; the old addresses stay good until the answer */
	tell_waiting(c);
	if (!list_empty(&c->waiting))
		wheel_set(&c->reactor->wheel, &c->timer, at);
}

const char *cluster_on_no_socket(struct cluster *c, err_t err, uint64_t now_ns)
{
	const char *text = err == ERR_LIMIT
	                           ? "no socket is left: raise kuberingd's limit of open files "
	                             "(LimitNOFILE of its unit, ulimit -n), or use more reactors"
	                           : err_text(err);
	cluster_on_failure(c, err, text, now_ns);
	return text;
}

void cluster_on_abandoned(struct cluster *c)
{
	gate_on_abandoned(&c->gate);
	if (!list_empty(&c->waiting))
		wheel_set(&c->reactor->wheel, &c->timer, c->gate.open_at_ns);
}

/* false: out of memory; the old ones stay. */
static bool take_addresses(struct cluster *c, const struct reactor_msg *m)
{
	struct cluster_address *a = calloc(m->addresses.count, sizeof *a);
	if (!a)
		return false;
	for (uint32_t i = 0; i < m->addresses.count; i++) {
		a[i].bytes = m->addresses.bytes[i];
		CHECK(a[i].bytes <= offsetof(struct cluster_address, bytes));
		memcpy(&a[i].any, &m->addresses.at[i], a[i].bytes);
	}
	free(c->address);
	c->address = a;
	c->address_count = m->addresses.count;
	return true;
}

void cluster_set_addresses(struct cluster *c, const struct reactor_msg *m, uint64_t now_ns)
{
	c->addresses_asked = false;
	c->resolved_ns = now_ns;
	err_t err = m->err;
	if (m->addresses.count && !take_addresses(c, m))
		err = ERR_NO_MEMORY;
	if (!c->address_count) {
		bool was_shut = c->gate.shut;
		set_why(c, err, NULL, m->text[0] ? m->text : err_text(err));
		c->gate.probing = was_shut; /* else it is the failure that shut it, once more */
		gate_on_failure(&c->gate, &c->rng, now_ns);
		if (!was_shut)
			tell_control(c, REACTOR_CLUSTER_TURNED);
		tell_waiting(c);
		wheel_set(&c->reactor->wheel, &c->timer, c->gate.open_at_ns);
		return;
	}
	cluster_admit(c, now_ns);
}

/* As client-go: whoever was let in by the old certificate logs in anew. */
static void retire_conns(struct cluster *c)
{
	LIST_EACH_SAFE (it, &c->conns)
		conn_retire(CONTAINER_OF(it, struct conn, link));
}

void cluster_set_credential(struct cluster *c, struct reactor_msg *m, uint64_t now_ns)
{
	bool ok = !m->err;
	c->credential_asked = false;
	c->credential_failed = !ok;
	if (ok) {
		auth_put(&c->auth);
		tls_config_put(&c->tls);
		c->auth = m->credential.auth;
		c->tls = m->credential.tls;
		m->credential.auth = NULL;
		m->credential.tls = NULL;
		c->has_credential = true;
		if (m->credential.renewed) {
			fetch_on_renewed(c);
			retire_conns(c);
		}
	} else {
		set_why(c, m->err, NULL, m->text);
		if (!c->has_credential)
			tell_waiting(c);
	}
	LIST_EACH_SAFE (it, &c->feeds) {
		struct feed *f = CONTAINER_OF(it, struct feed, cluster_link);
		if (f->credential_wanted || ok)
			feed_on_credential(f, ok, m->text);
	}
	while (fetch_on_credential(c, ok, m->text))
		;
	cluster_admit(c, now_ns);
}

void cluster_on_login(struct cluster *c)
{
	if (c->credential_failed)
		tell_control(c, REACTOR_CLUSTER_LETS_IN);
	c->credential_failed = false;
	LIST_EACH_SAFE (it, &c->feeds) {
		struct feed *f = CONTAINER_OF(it, struct feed, cluster_link);
		if (!f->credential_wanted)
			feed_on_credential(f, true, NULL);
	}
}

/* The other server knows none of our versions, and may hold other objects under the same ones. */
static void move(struct cluster *c)
{
	c->address_count = c->address_next = 0;
	c->addresses_asked = true; /* they are on their way, and the credential too */
	c->has_credential = c->credential_asked = c->credential_failed = false;
	auth_put(&c->auth);
	tls_config_put(&c->tls);
	c->err = ERR_OK;
	LIST_EACH (it, &c->caps)
		CONTAINER_OF(it, struct cluster_caps, link)->caps = (struct watch_caps){0};
	LIST_EACH_SAFE (it, &c->feeds)
		feed_on_moved(CONTAINER_OF(it, struct feed, cluster_link));
	LIST_EACH_SAFE (it, &c->conns)
		conn_leave(CONTAINER_OF(it, struct conn, link),
		        "the configuration names another server for this cluster");
	if (c->gate.shut) /* by the server before: nothing is known of this one */
		tell_control(c, REACTOR_CLUSTER_TURNED);
	gate_init(&c->gate, c->spec.connects_per_s, c->spec.connects_burst);
}

void cluster_change(struct cluster *c, struct cluster_spec *spec, uint64_t now_ns)
{
	struct cluster_spec old = c->spec;
	bool moved = strcmp(old.host, spec->host) != 0 || strcmp(old.prefix, spec->prefix) != 0 ||
	             old.tls != spec->tls;
	c->spec = *spec;
	*spec = old;
	c->gate.rate_per_s = c->spec.connects_per_s;
	c->gate.burst = c->spec.connects_burst;
	c->budget.name = c->spec.name;
	c->budget.bytes_max = c->spec.bytes_max;
	if (c->strategy && (old.way != c->spec.way || old.way_auto != c->spec.way_auto))
		strategy_init(c->strategy, c->spec.way, c->spec.way_auto);
	LIST_EACH (it, &c->feeds) {
		struct feed *f = CONTAINER_OF(it, struct feed, cluster_link);
		f->conf.prefix = c->spec.prefix;
		f->conf.watch_list = c->spec.watch_list;
		if (old.audit_s != c->spec.audit_s)
			audit_plan(f);
	}
	if (moved)
		move(c);
	cluster_admit(c, now_ns);
}

void cluster_status_of(const struct cluster *c, struct cluster_status *out)
{
	*out = (struct cluster_status){.cluster = c->spec.cluster,
	        .lists = c->list_count,
	        .connections = c->conn_count,
	        .err = c->err,
	        .bytes = c->budget.bytes};
	const struct cluster *backend = core_cluster(c->reactor, c->spec.backend);
	bool up = c->mux_lists && backend && backend->mux && backend->mux->state == MUX_LINK_OPEN;
	LIST_EACH (it, &c->conns)
		up |= CONTAINER_OF(it, struct conn, link)->state == CONN_OPEN;
	LIST_EACH (it, &c->caps)
		out->no_watch_list |=
		        CONTAINER_OF(it, struct cluster_caps, link)->caps.no_watch_list;
	out->state = up                       ? CLUSTER_UP
	             : c->gate.shut || c->err ? CLUSTER_DOWN
	             : c->list_count          ? CLUSTER_CONNECTING
	                                      : CLUSTER_IDLE;
	if (out->state == CLUSTER_DOWN)
		out->next_probe_ns = c->gate.open_at_ns;
	snprintf(out->text, sizeof out->text, "%s", c->err ? why(c) : "");
	out->way = c->strategy ? c->strategy->way : c->spec.way;
	snprintf(out->way_text, sizeof out->way_text, "%s", c->strategy ? c->strategy->text : "");
}
