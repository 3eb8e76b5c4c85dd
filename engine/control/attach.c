/* attach.c - what consumers say: every message is hostile until its lengths are checked. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "control/core.h"
#include "control/questions.h"
#include "include/kubering.h"
#include "store/store.h"

static void refuse(struct consumer *k, uint32_t request, const char *text)
{
	consumer_fail(k, request, KR_ERR_ARGUMENT, ERR_ARGUMENT, text);
}

static int32_t code_of(err_t err)
{
	switch (err) {
	case ERR_UNKNOWN_CLUSTER: return KR_ERR_UNKNOWN_CLUSTER;
	case ERR_UNKNOWN_RESOURCE: return KR_ERR_UNKNOWN_RESOURCE;
	case ERR_DENIED: return KR_ERR_DENIED;
	case ERR_LIMIT:
	case ERR_BUDGET: return KR_ERR_LIMIT;
	case ERR_NO_MEMORY: return KR_ERR_MEMORY;
	case ERR_ARGUMENT: return KR_ERR_ARGUMENT;
	default: return KR_ERR_DAEMON;
	}
}

/* --- hello ------------------------------------------------------------------------------- */

static void on_hello(struct consumer *k, const struct attach_hello *h)
{
	if (h->layout_major != SHM_LAYOUT_MAJOR) {
		char text[200];
		snprintf(text, sizeof text,
		        "libkubering reads layout %u.%u, this kuberingd %s writes %u.%u: install "
		        "the library and the daemon from one release",
		        h->layout_major, h->layout_minor, KR_VERSION, SHM_LAYOUT_MAJOR,
		        SHM_LAYOUT_MINOR);
		consumer_fail(k, h->head.id, KR_ERR_VERSION, ERR_VERSION, text);
		return;
	}
	memcpy(k->name, h->name, sizeof k->name - 1);
	k->greeted = true;
	struct attach_welcome w = {
	        .head = {.type = ATTACH_WELCOME, .id = h->head.id, .bytes = sizeof w},
	        .incarnation = {k->control->config.incarnation[0],
	                k->control->config.incarnation[1]},
	        .consumer = k->id,
	        .layout_major = SHM_LAYOUT_MAJOR,
	        .layout_minor = SHM_LAYOUT_MINOR};
	snprintf(w.version, sizeof w.version, "%s", KR_VERSION);
	consumer_welcome(k, &w.head);
}

/* --- lists ------------------------------------------------------------------------------- */

static struct opening *opening_of(const struct consumer *k, uint32_t handle)
{
	struct hash_node *n = hash_index_first(&k->by_handle, handle);
	return n ? CONTAINER_OF(n, struct opening, by_handle) : NULL;
}

static void drop_opening(struct opening *o)
{
	list_unlink(&o->link);
	list_unlink(&o->waiting);
	hash_index_remove(&o->consumer->by_handle, &o->by_handle);
	o->consumer->opening_count--;
	o->consumer->user->openings--;
	free(o);
}

void attach_on_opened(struct opening *o, err_t err, const char *text)
{
	struct consumer *k = o->consumer;
	if (err) {
		uint32_t request = o->request;
		drop_opening(o);
		consumer_fail(
		        k, request, code_of(err), err, text && text[0] ? text : err_text(err));
		return;
	}
	struct attach_list a = {.head = {.type = ATTACH_LIST, .id = o->request, .bytes = sizeof a},
	        .handle = o->handle,
	        .shard = o->list->shard,
	        .list = o->list->row,
	        .list_gen = o->list->gen};
	consumer_send(k, &a.head, -1);
}

/* Copies the strings of a spec out of the packet; false: the lengths do not fit, or a string holds
 * a NUL. */
static bool take_strings(const char *bytes, size_t n, const uint16_t *length, size_t count,
        char *out, char **strings)
{
	for (size_t i = 0; i < count; i++) {
		if (length[i] > n || length[i] > ATTACH_STRING_MAX || memchr(bytes, 0, length[i]))
			return false;
		memcpy(out, bytes, length[i]);
		out[length[i]] = 0;
		strings[i] = out;
		out += length[i] + 1;
		bytes += length[i];
		n -= length[i];
	}
	return n == 0;
}

/* The policy, and what it makes of the wish: Secrets without a grant for their values are mirrored
 * as metadata. */
static const struct settings_realm *admit(const struct consumer *k, struct list_want *w)
{
	const struct settings *s = k->control->config.settings;
	struct settings_target target = {w->cluster, w->group, w->resource, w->namespace_};
	struct settings_peer peer = {k->uid, k->groups, k->group_count};
	const struct settings_realm *realm = settings_admit(s, &target, &peer);
	if (realm && !w->group[0] && strcmp(w->resource, "secrets") == 0 &&
	        !settings_secret_values(s, realm))
		w->metadata_only = true;
	return realm;
}

/* These become path segments. A proxy may read "%2F" and ".." as a path, and then the policy has
 * judged another list than the one that is read. */
static bool is_segment(const char *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
	               strlen(s) &&
	       s[0] != '.';
}

static void deny(struct consumer *k, uint32_t request, const char *resource, const char *cluster)
{
	char text[256];
	snprintf(text, sizeof text,
	        "user %u may not see %.64s of cluster \"%.100s\": grant it in `realms` of "
	        "kubering.yaml",
	        k->uid, resource, cluster);
	consumer_fail(k, request, KR_ERR_DENIED, ERR_DENIED, text);
}

static void open_list(struct consumer *k, uint32_t request, struct list_want *w)
{
	struct control *c = k->control;
	struct errmsg m = {0};
	const struct settings_realm *realm = admit(k, w);
	if (!realm) {
		deny(k, request, w->resource, w->cluster);
		return;
	}
	if (k->opening_count >= CONSUMER_OPENINGS_MAX || k->user->openings >= USER_OPENINGS_MAX) {
		consumer_fail(k, request, KR_ERR_LIMIT, ERR_LIMIT,
		        "this consumer, or its user with all consumers, has too many lists open");
		return;
	}
	bool room = !hash_index_reserve(&k->by_handle) && !hash_index_reserve(&k->by_list);
	struct opening *o = room ? calloc(1, sizeof *o) : NULL;
	if (!o) {
		consumer_fail(k, request, KR_ERR_MEMORY, ERR_NO_MEMORY,
		        "kuberingd is out of memory for a list more");
		return;
	}
	*o = (struct opening){.handle = ++k->next_handle, .request = request, .consumer = k};
	list_init(&o->link);
	list_init(&o->waiting);
	list_push(&k->openings, &o->link);
	hash_index_add(&k->by_handle, &o->by_handle, o->handle);
	k->opening_count++;
	k->user->openings++;
	err_t err = lists_open(c, w, (uint32_t)(realm - c->config.settings->realms), o, &m);
	if (err) {
		drop_opening(o);
		consumer_fail(k, request, code_of(err), err, m.text);
	}
}

static void on_open_list(struct consumer *k, const char *bytes, size_t n)
{
	struct attach_spec s;
	char out[ATTACH_BYTES_MAX];
	char *p[ATTACH_STRINGS];
	if (n < sizeof s) {
		refuse(k, 0, "OPEN_LIST is too short");
		return;
	}
	memcpy(&s, bytes, sizeof s);
	if (s.form > ATTACH_FORM_METADATA || s.flags & ~(uint32_t)ATTACH_KEEP_MANAGED_FIELDS ||
	        !take_strings(bytes + sizeof s, n - sizeof s, s.length, ATTACH_STRINGS, out, p)) {
		refuse(k, s.head.id, "OPEN_LIST is malformed");
		return;
	}
	struct list_want w = {p[ATTACH_CLUSTER], p[ATTACH_GROUP], p[ATTACH_API_VERSION],
	        p[ATTACH_RESOURCE], p[ATTACH_NAMESPACE], p[ATTACH_LABELS], p[ATTACH_FIELDS],
	        s.form == ATTACH_FORM_METADATA, s.flags & ATTACH_KEEP_MANAGED_FIELDS};
	if (!w.version[0] || !w.resource[0] || !w.cluster[0]) {
		refuse(k, s.head.id, "a list needs cluster, version and resource");
		return;
	}
	if (!is_segment(w.group) || !is_segment(w.version) || !is_segment(w.resource) ||
	        !is_segment(w.namespace_)) {
		refuse(k, s.head.id,
		        "group, version, resource and namespace are names of letters, digits, '-' "
		        "and '.'");
		return;
	}
	open_list(k, s.head.id, &w);
}

static void on_close_list(struct consumer *k, const struct attach_ref *r)
{
	struct opening *o = opening_of(k, r->handle);
	if (!o) {
		refuse(k, r->head.id, "CLOSE_LIST names no open list");
		return;
	}
	lists_leave(k->control, o);
	drop_opening(o);
	struct attach_head ok = {.type = ATTACH_OK, .id = r->head.id, .bytes = sizeof ok};
	consumer_send(k, &ok, -1);
}

/* --- segments ---------------------------------------------------------------------------- */

/* Permission is by realm: a shard's descriptors go to whoever has a list open in it, and to nobody
 * else. */
static bool may_map(const struct consumer *k, uint32_t shard)
{
	LIST_EACH (it, &k->openings) {
		const struct opening *o = CONTAINER_OF(it, struct opening, link);
		if (o->list && o->list->phase == LIST_OPEN && o->list->shard == shard)
			return true;
	}
	return false;
}

static void on_segment(struct consumer *k, const struct attach_segment *r)
{
	struct control *c = k->control;
	const struct store *s =
	        r->shard < CONTROL_SHARDS_MAX && may_map(k, r->shard) ? c->shards[r->shard] : NULL;
	uint64_t bytes = 0;
	int fd = s ? store_segment(s, r->segment, &bytes) : -1;
	int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (copy < 0) {
		consumer_fail(k, r->head.id, s ? KR_ERR_LIMIT : KR_ERR_DENIED,
		        s ? ERR_LIMIT : ERR_DENIED,
		        s ? "no such segment, or no descriptor left"
		          : "open a list of that shard first");
		return;
	}
	struct attach_segment a = {
	        .head = {.type = ATTACH_SEGMENT_FD, .id = r->head.id, .bytes = sizeof a},
	        .shard = r->shard,
	        .segment = r->segment,
	        .bytes = bytes};
	consumer_send(k, &a.head, copy);
}

/* --- questions --------------------------------------------------------------------------- */

/* Names of clusters and their errors are for those who may see at least one list: by default
 * nobody may see anything. */
static bool may_ask(const struct consumer *k)
{
	const struct settings *s = k->control->config.settings;
	for (size_t i = 0; i < s->realm_count; i++)
		if (settings_allows(s, &s->realms[i], k->uid, k->groups, k->group_count))
			return true;
	return false;
}

/* To resolve a name is to connect to the cluster and to tell of its API. */
static void on_resolve(
        struct consumer *k, uint32_t request, const char *cluster, const char *resource)
{
	struct settings_peer peer = {k->uid, k->groups, k->group_count};
	if (settings_sees_cluster(k->control->config.settings, cluster, &peer))
		questions_resolve(k->control, k, request, cluster, resource);
	else
		deny(k, request, resource, cluster);
}

static void on_query(struct consumer *k, const char *bytes, size_t n)
{
	struct attach_query q;
	char out[ATTACH_BYTES_MAX];
	char *p[2];
	if (n < sizeof q) {
		refuse(k, 0, "QUERY is too short");
		return;
	}
	memcpy(&q, bytes, sizeof q);
	if (!take_strings(bytes + sizeof q, n - sizeof q, q.length, 2, out, p)) {
		refuse(k, q.head.id, "QUERY is malformed");
		return;
	}
	if (!may_ask(k)) {
		char text[160];
		snprintf(text, sizeof text,
		        "user %u may see nothing: grant it in `realms` of kubering.yaml", k->uid);
		consumer_fail(k, q.head.id, KR_ERR_DENIED, ERR_DENIED, text);
		return;
	}
	switch (q.kind) {
	case ATTACH_QUERY_STATUS: questions_status(k->control, k, q.head.id); break;
	case ATTACH_QUERY_RESOLVE: on_resolve(k, q.head.id, p[0], p[1]); break;
	case ATTACH_QUERY_AUDIT: questions_audit(k->control, k, q.head.id, p[0], p[1]); break;
	default: refuse(k, q.head.id, "QUERY of an unknown kind"); break;
	}
}

/* --- dispatch ---------------------------------------------------------------------------- */

static void dispatch(struct consumer *k, const struct attach_head *h, const char *bytes, size_t n)
{
	union {
		struct attach_ref ref;
		struct attach_segment segment;
	} m;
	size_t want = h->type == ATTACH_CLOSE_LIST ? sizeof m.ref
	              : h->type == ATTACH_SEGMENT  ? sizeof m.segment
	                                           : 0;
	if (want && n != want) {
		refuse(k, h->id, "message of a wrong length");
		return;
	}
	memcpy(&m, bytes, want);
	switch (h->type) {
	case ATTACH_OPEN_LIST: on_open_list(k, bytes, n); break;
	case ATTACH_CLOSE_LIST: on_close_list(k, &m.ref); break;
	case ATTACH_SEGMENT: on_segment(k, &m.segment); break;
	case ATTACH_QUERY: on_query(k, bytes, n); break;
	default: refuse(k, h->id, "unknown message type"); break;
	}
}

void attach_on_message(struct consumer *k, const char *bytes, size_t n)
{
	struct attach_head h;
	struct attach_hello hello;
	if (n < sizeof h) {
		consumer_cut_off(k); /* not our protocol */
		return;
	}
	memcpy(&h, bytes, sizeof h);
	if (h.magic != ATTACH_MAGIC || h.bytes != n) {
		consumer_cut_off(k);
		return;
	}
	if (h.version != ATTACH_VERSION) {
		consumer_fail(k, h.id, KR_ERR_VERSION, ERR_VERSION,
		        "library and daemon speak different attach protocols: install them from "
		        "one release");
		return;
	}
	if (h.type == ATTACH_HELLO && n == sizeof hello && !k->greeted) {
		memcpy(&hello, bytes, sizeof hello);
		on_hello(k, &hello);
	} else if (!k->greeted) {
		refuse(k, h.id, "HELLO comes first, and once");
	} else {
		dispatch(k, &h, bytes, n);
	}
}
