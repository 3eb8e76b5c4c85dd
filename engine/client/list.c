#include "client/list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "client/session.h"
#include "client/sized.h"
#include "client/wait.h"

enum {
	WAIT_SLICE_MS = 50, /* bookmarks move a version without waking anyone */
	OWED_FIRST = 64,
};

/* --- open and close -------------------------------------------------------------------------- */

/* The strings of a spec in the order of enum attach_spec_string. */
static void spec_strings(const struct kr_list_spec *spec, const char *s[ATTACH_STRINGS])
{
	s[ATTACH_CLUSTER] = spec->cluster;
	s[ATTACH_GROUP] = spec->group;
	s[ATTACH_API_VERSION] = spec->version;
	s[ATTACH_RESOURCE] = spec->resource;
	s[ATTACH_NAMESPACE] = spec->namespace_;
	s[ATTACH_LABELS] = spec->label_selector;
	s[ATTACH_FIELDS] = spec->field_selector;
	for (int i = 0; i < ATTACH_STRINGS; i++)
		if (!s[i])
			s[i] = "";
}

static int spec_check(struct kr_client *c, const char *const s[ATTACH_STRINGS])
{
	size_t all = 0;
	if (!*s[ATTACH_CLUSTER] || !*s[ATTACH_API_VERSION] || !*s[ATTACH_RESOURCE])
		return client_fail(c, KR_ERR_ARGUMENT,
		        "kr_list_open: cluster, version and resource are needed (kr_query "
		        "\"resolve\" finds "
		        "the version)");
	if (strchr(s[ATTACH_API_VERSION], '/'))
		return client_fail(c, KR_ERR_ARGUMENT,
		        "kr_list_open: the group of \"%.100s\" belongs into kr_list_spec.group, "
		        "version is what stands behind the slash",
		        s[ATTACH_API_VERSION]);
	for (int i = 0; i < ATTACH_STRINGS; i++) {
		size_t n = strlen(s[i]);
		if (n > ATTACH_STRING_MAX)
			return client_fail(c, KR_ERR_ARGUMENT,
			        "kr_list_open: a string is longer than %d bytes",
			        ATTACH_STRING_MAX);
		all += n;
	}
	if (all > ATTACH_BYTES_MAX - sizeof(struct attach_spec))
		return client_fail(
		        c, KR_ERR_ARGUMENT, "kr_list_open: the strings are too long together");
	return KR_OK;
}

static struct kr_list *list_new(
        struct kr_client *c, const struct kr_list_spec *spec, const char *const s[ATTACH_STRINGS])
{
	size_t all = 0;
	for (int i = 0; i < ATTACH_STRINGS; i++)
		all += strlen(s[i]);
	struct kr_list *l = calloc(1, sizeof *l);
	char *text = malloc(all + 1);
	if (!l || !text) {
		free(l);
		free(text);
		return NULL;
	}
	l->refs = 1;
	l->text = text;
	l->form = spec->metadata_only ? ATTACH_FORM_METADATA : ATTACH_FORM_OBJECT;
	l->flags = spec->keep_managed_fields ? ATTACH_KEEP_MANAGED_FIELDS : 0;
	for (int i = 0; i < ATTACH_STRINGS; i++) {
		l->length[i] = (uint16_t)strlen(s[i]);
		memcpy(text, s[i], l->length[i]);
		text += l->length[i];
	}
	l->client = c;
	c->refs++;
	list_push(&c->lists, &l->node);
	return l;
}

void list_ask_open(struct kr_list *l, uint32_t id)
{
	struct link *link = &l->client->link;
	size_t all = 0;
	link_begin(link, ATTACH_OPEN_LIST, id, sizeof link->out.spec);
	link->out.spec.form = l->form;
	link->out.spec.flags = l->flags;
	memcpy(link->out.spec.length, l->length, sizeof l->length);
	for (int i = 0; i < ATTACH_STRINGS; i++)
		all += l->length[i];
	(void)link_add(link, l->text, all); /* spec_check saw that it fits */
}

/* False: the queue is full. Another failure is the end of the socket, and that closes all of them.
 */
static bool send_close(struct kr_client *c, uint32_t handle)
{
	link_begin(&c->link, ATTACH_CLOSE_LIST, client_id(c), sizeof c->link.out.ref);
	c->link.out.ref.handle = handle;
	return link_send(&c->link) != -EAGAIN;
}

void list_tell_close(struct kr_client *c, uint32_t handle)
{
	if (c->phase != CLIENT_UP || (c->owed_count == 0 && send_close(c, handle)))
		return;
	if (c->owed_count == c->owed_room) {
		size_t room = c->owed_room ? c->owed_room * 2 : OWED_FIRST;
		uint32_t *more = realloc(c->owed, room * sizeof *more);
		if (!more)
			return; /* it stays open until the client goes */
		c->owed = more;
		c->owed_room = room;
	}
	c->owed[c->owed_count++] = handle;
}

void list_tell_owed(struct kr_client *c)
{
	while (c->owed_count > 0 && send_close(c, c->owed[c->owed_count - 1]))
		c->owed_count--;
}

static void tell_close(struct kr_client *c, const struct home *h)
{
	if (h->life == c->life)
		list_tell_close(c, h->handle);
}

int kr_list_open(struct kr_client *client, const struct kr_list_spec *spec, struct kr_list **list)
{
	const char *s[ATTACH_STRINGS];
	struct kr_list_spec known;
	if (!client)
		return KR_ERR_ARGUMENT;
	if (list)
		*list = NULL;
	if (!list || !spec || !sized_take(&known, sizeof known, spec))
		return client_fail(client, KR_ERR_ARGUMENT,
		        "kr_list_open: an argument is NULL, or kr_list_spec.size is wrong");
	spec_strings(&known, s);
	int r = spec_check(client, s);
	if (r != KR_OK)
		return r;
	session_pump(client, client_clock_ns());
	r = session_attach(client);
	if (r != KR_OK)
		return r;
	struct kr_list *l = list_new(client, &known, s);
	if (!l)
		return client_fail(client, KR_ERR_MEMORY, "out of memory");
	list_ask_open(l, client_id(client));
	uint64_t life = client->life;
	r = client_ask(client, ATTACH_LIST);
	if (r == KR_OK) {
		struct attach_list got = client->link.in.list;
		l->home = (struct home){NULL, got.list, got.list_gen, got.handle, life};
		r = mapping_get(client, got.shard, &l->home.shard);
	}
	if (r != KR_OK) {
		l->closed = true;
		list_unlink(&l->node);
		tell_close(client, &l->home); /* granted, but not to be mapped */
		list_put(&l);
		return r;
	}
	*list = l;
	return KR_OK;
}

void home_drop(struct home *h)
{
	mapping_put(&h->shard);
	*h = (struct home){0};
}

bool home_same(const struct home *a, const struct home *b)
{
	return a->shard == b->shard && a->row == b->row && a->gen == b->gen;
}

void list_put(struct kr_list **list)
{
	struct kr_list *l = *list;
	*list = NULL;
	if (!l || --l->refs > 0)
		return;
	home_drop(&l->home);
	home_drop(&l->next);
	mapping_put(&l->retired);
	object_buf_fini(&l->buf);
	free(l->text);
	client_put(&l->client);
	free(l);
}

void kr_list_close(struct kr_list *list)
{
	if (!list || list->closed)
		return;
	struct kr_client *c = list->client;
	list->closed = true;
	list_unlink(&list->node);
	if (list->offered)
		list_tell_close(c, list->offer.handle);
	else if (list->next.life == c->life)
		tell_close(c, &list->next);
	else
		tell_close(c, &list->home);
	list_put(&list);
}

int list_usable(struct kr_list *l)
{
	if (!l)
		return KR_ERR_ARGUMENT;
	if (l->closed || l->client->closed)
		return client_fail(l->client, KR_ERR_CLOSED, "the list was closed by this program");
	return KR_OK;
}

/* --- change of home -------------------------------------------------------------------------- */

/* Out of the way: rows are large, and whoever only asks whether there is a next one cleared two. */
static __attribute__((noinline)) bool settle(struct kr_list *l)
{
	struct shm_list now, then;
	struct home *next = &l->next, *home = &l->home;
	if (!home_same(next, home)) {
		enum read_result r = mapping_row(next->shard, next->row, next->gen, &then);
		if (r != READ_OK ||
		        (then.whole && then.last_change > read_commit(&next->shard->read)))
			return false;
		if (!then.whole &&
		        mapping_row(home->shard, home->row, home->gen, &now) == READ_OK &&
		        now.whole)
			return false; /* the old state is better than none */
	}
	/* A loan holds the memory that it is out of, which may be gigabytes that nobody else has
	 * any more: that one, and no other. */
	if (l->lent && !l->retired)
		l->retired = home->shard;
	else
		mapping_put(&home->shard);
	*home = *next;
	*next = (struct home){0};
	wait_signal(l->client); /* its follows have a difference to tell */
	return true;
}

bool list_settle(struct kr_list *l)
{
	return l->next.shard && settle(l);
}

/* --- status ---------------------------------------------------------------------------------- */

static int64_t age(uint64_t then_ns, int64_t now_ns)
{
	if (then_ns == 0)
		return -1;
	return then_ns >= (uint64_t)now_ns ? 0 : now_ns - (int64_t)then_ns;
}

static void set_error(struct kr_list_status *s, const char *name, const char *text)
{
	snprintf(s->error_name, sizeof s->error_name, "%s", name);
	snprintf(s->error_text, sizeof s->error_text, "%.*s", (int)sizeof s->error_text - 1, text);
}

static void from_row(struct kr_list_status *s, const struct shm_list *row, int64_t now_ns)
{
	_Static_assert(sizeof s->resource_version == sizeof row->rv, "version");
	_Static_assert(sizeof s->error_text == sizeof row->error_text, "text");
	_Static_assert(sizeof s->error_name == sizeof row->error_name, "name");
	s->state = row->state <= KR_LIST_CLOSED ? (enum kr_list_state)row->state : KR_LIST_STALE;
	s->whole = row->whole != 0;
	memcpy(s->resource_version, row->rv, sizeof row->rv);
	s->digest = row->digest;
	s->objects = row->objects;
	s->bytes = row->bytes;
	s->events = row->events;
	s->relists = row->relists;
	s->sync_objects = row->sync_objects;
	s->byte_age_ns = age(row->last_byte_ns, now_ns);
	s->event_age_ns = age(row->last_event_ns, now_ns);
	s->bookmark_age_ns = age(row->last_bookmark_ns, now_ns);
	s->stale_ns = row->stale_since_ns ? age(row->stale_since_ns, now_ns) : 0;
	if (s->state != KR_LIST_LIVE && s->stale_ns == 0)
		s->stale_ns = 1; /* not live is never 0 */
	memcpy(s->error_name, row->error_name, sizeof row->error_name);
	memcpy(s->error_text, row->error_text, sizeof row->error_text);
}

static void stale(struct kr_list_status *s, int64_t for_ns)
{
	s->state = KR_LIST_STALE;
	if (for_ns > s->stale_ns)
		s->stale_ns = for_ns;
}

/* What the row cannot know: that nobody writes it any more. Never a stale list that looks fresh. */
static void overlay(struct kr_list *l, struct kr_list_status *s, int64_t now_ns)
{
	struct kr_client *c = l->client;
	struct shm_list then;
	int64_t beat = mapping_beat_age_ns(l->home.shard, now_ns);
	if (c->phase != CLIENT_UP) {
		stale(s, now_ns - c->down_since_ns);
		set_error(s, "DAEMON_GONE", c->why);
	} else if (l->home.life != c->life) {
		stale(s, now_ns - c->down_since_ns);
		set_error(s, "DAEMON_REPLACED",
		        "kuberingd was replaced; it is taking this list again");
		if (l->refusal[0] != '\0')
			set_error(s, "DAEMON_REFUSED", l->refusal);
		if (l->next.shard &&
		        mapping_row(l->next.shard, l->next.row, l->next.gen, &then) == READ_OK) {
			s->sync_objects = then.sync_objects;
			if (then.error_name[0] != '\0')
				set_error(s, then.error_name, then.error_text);
			if (then.state == SHM_LIST_PARKED)
				s->state = KR_LIST_PARKED;
		}
	} else if (beat > CLIENT_BEAT_MAX_MS * NS_PER_MS && s->state != KR_LIST_CLOSED) {
		stale(s, beat);
		set_error(s, "DAEMON_HANGS",
		        "kuberingd is there, but has not moved for over a second");
	}
}

static int status_now(struct kr_list *l, struct kr_list_status *s, uint64_t *last_change)
{
	struct shm_list row;
	(void)list_settle(l);
	int64_t now = client_clock_ns();
	enum read_result r = mapping_row(l->home.shard, l->home.row, l->home.gen, &row);
	bool orphan =
	        r == READ_STUCK && !mapping_current(l->home.shard); /* died in the middle of it */
	if (r != READ_OK && !orphan)
		return mapping_fail(l->home.shard, r);
	if (orphan)
		memset(&row, 0, sizeof row);
	memset(s, 0, sizeof *s);
	from_row(s, &row, now);
	overlay(l, s, now);
	*last_change = row.last_change;
	return KR_OK;
}

int kr_list_status(struct kr_list *list, struct kr_list_status *status)
{
	struct kr_list_status s;
	uint64_t last;
	int r = list_usable(list);
	if (r != KR_OK)
		return r;
	if (!status)
		return client_fail(list->client, KR_ERR_ARGUMENT, "kr_list_status: status is NULL");
	session_glance(list->client);
	r = status_now(list, &s, &last);
	if (r == KR_OK && !sized_give(status, &s, sizeof s))
		r = client_fail(list->client, KR_ERR_ARGUMENT, "kr_list_status: size is not set");
	return r;
}

/* --- waits ----------------------------------------------------------------------------------- */

/* Longer wins, then bytewise: decimal numbers without leading zeros (KEP-5504). */
static bool decimal(const char *s)
{
	size_t n = strspn(s, "0123456789");
	return n > 0 && s[n] == '\0' && (s[0] != '0' || n == 1);
}

static bool version_at_least(const char *have, const char *want)
{
	if (!decimal(have) || !decimal(want))
		return strcmp(have, want) == 0;
	size_t n = strlen(have), m = strlen(want);
	return n != m ? n > m : strcmp(have, want) >= 0;
}

/* One of the strings that name the list. */
static struct span spec_string(const struct kr_list *l, int which)
{
	const char *at = l->text;
	for (int i = 0; i < which; i++)
		at += l->length[i];
	return (struct span){at, l->length[which]};
}

static int parked(struct kr_list *l, const struct kr_list_status *s)
{
	struct span resource = spec_string(l, ATTACH_RESOURCE), of = spec_string(l, ATTACH_CLUSTER);
	bool absent = strcmp(s->error_name, "KUBE_NOT_FOUND") == 0;
	return client_fail(l->client, KR_ERR_STALE,
	        "%.*s of cluster %.*s are parked and asked for again only now and then: %s%s",
	        SPAN_ARG(resource), SPAN_ARG(of),
	        s->error_text[0] ? s->error_text : "no reason given",
	        absent ? " (are group, version, plural and namespace right? kr_query \"resolve\" "
	                 "knows)"
	               : "");
}

/* Is it so? KR_OK, KR_TIMEOUT (not yet), or an error. version NULL: live. */
static int reached(struct kr_list *l, const char *version)
{
	struct kr_list_status s;
	uint64_t last = 0;
	int r = status_now(l, &s, &last);
	if (r != KR_OK)
		return r;
	if (s.state == KR_LIST_CLOSED)
		return client_fail(l->client, KR_ERR_CLOSED,
		        "the list was closed by the daemon%s%s", s.error_text[0] ? ": " : "",
		        s.error_text);
	if (!version && s.state == KR_LIST_PARKED)
		return parked(l, &s);
	bool yes = s.whole && (version ? version_at_least(s.resource_version, version)
	                               : s.state == KR_LIST_LIVE);
	/* The row is ahead of commit in the middle of a batch. */
	return yes && last <= read_commit(&l->home.shard->read) ? KR_OK : KR_TIMEOUT;
}

/* The caller's time is up: what it waited for, and what the list does instead. */
static int late(struct kr_list *l, const char *version)
{
	struct kr_list_status s;
	uint64_t last;
	if (status_now(l, &s, &last) != KR_OK)
		return KR_TIMEOUT;
	struct span resource = spec_string(l, ATTACH_RESOURCE), of = spec_string(l, ATTACH_CLUSTER);
	const char *colon = s.error_text[0] ? ": " : "", *state = shm_list_state_word(s.state);
	if (version && s.whole)
		return client_fail(l->client, KR_TIMEOUT,
		        "gave up waiting for version %.64s of %.*s of cluster %.*s: %s at %s%s%s",
		        version, SPAN_ARG(resource), SPAN_ARG(of), state, s.resource_version, colon,
		        s.error_text);
	return client_fail(l->client, KR_TIMEOUT,
	        "gave up waiting for %.*s of cluster %.*s: %s%s%s", SPAN_ARG(resource),
	        SPAN_ARG(of), state, colon, s.error_text);
}

static int wait_until(struct kr_list *l, const char *version, int64_t timeout_ns)
{
	struct kr_client *c = l->client;
	int64_t until = client_deadline(timeout_ns);
	for (;;) {
		int64_t now = client_clock_ns();
		session_pump(c, now);
		wait_arm(c);
		int r = reached(l, version);
		if (r != KR_TIMEOUT || now >= until) {
			wait_disarm(c);
			wait_signal(c); /* what wait_arm took back was for a follow, perhaps */
			return r == KR_TIMEOUT ? late(l, version) : r;
		}
		int64_t slice = now + WAIT_SLICE_MS * NS_PER_MS;
		wait_block(c, until < slice ? until : slice);
	}
}

int kr_list_wait_live(struct kr_list *list, int64_t timeout_ns)
{
	int r = list_usable(list);
	return r == KR_OK ? wait_until(list, NULL, timeout_ns) : r;
}

int kr_list_wait_version(struct kr_list *list, const char *resource_version, int64_t timeout_ns)
{
	int r = list_usable(list);
	if (r != KR_OK)
		return r;
	if (!resource_version || !*resource_version)
		return client_fail(
		        list->client, KR_ERR_ARGUMENT, "kr_list_wait_version: a version is needed");
	return wait_until(list, resource_version, timeout_ns);
}
