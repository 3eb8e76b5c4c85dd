/* LIST and GET: which version answers, in pages, as it is sent
 * (apiserver: pkg/storage/cacher/delegator, pkg/storage/continue.go). */
#include "model/model_conn_priv.h"

#include "base/check.h"
#include "model/model_list.h"
#include "model/model_proto.h"
#include "model/model_token.h"
#include "model/model_word.h"

#include <stdio.h>
#include <stdlib.h>

/* How many objects are counted one by one for remainingItemCount; beyond it the number is the
 * index's estimate. */
#define COUNT_EXACT_MAX 4096

/* A list being sent. Items that lie behind the cursor are out; the cursor is a key, since the index
 * may change between two calls. */
struct get_list {
	struct model_answer a;
	struct model_pin pin;
	struct model_store *store;
	struct model_selector *selector; /* own */
	struct model_text ns, next;      /* own; next: the key to go on from */
	struct model_text tail;          /* own; sorted kinds: metadata comes after the items */
	uint64_t rv, limit, sent, until; /* until: items of this page, UINT64_MAX = all */
	uint64_t need_rv;                /* wait until the server has seen it */
	uint32_t timeline;
	uint64_t raw_bytes; /* protobuf: of the whole list */
	bool exact, meta, gzip, opened, proto;
};

static void list_free(struct model_conn *c, struct model_answer *a)
{
	struct get_list *l = CONTAINER_OF(a, struct get_list, a);
	list_unlink(&l->pin.link);
	model_selector_free(&l->selector);
	model_text_fini(&l->ns);
	model_text_fini(&l->next);
	model_text_fini(&l->tail);
	list_unlink(&c->watcher.link);
	list_unlink(&c->watcher.ready_link);
	free(l);
}

/* The next object from the cursor that is in the list at its version; NULL at the end. */
static struct model_object *next_item(
        const struct get_list *l, struct model_index_at *at, bool seek)
{
	const struct model_index *x = &l->store->index;
	struct span ns = model_text_as_span(&l->ns);
	struct model_object *o = seek ? model_index_seek(x, model_text_as_span(&l->next), at)
	                              : model_index_next(x, at);
	for (; o && model_list_in(ns, o); o = model_index_next(x, at)) {
		const struct model_version *v = model_object_at(o, l->rv);
		if (v && model_selector_match(l->selector, v))
			return o;
	}
	return NULL;
}

static uint64_t count_rest(const struct get_list *l, struct model_index_at at)
{
	if (l->ns.n == 0 && model_index_rest(&l->store->index, at) > COUNT_EXACT_MAX)
		return model_index_rest(&l->store->index, at);
	uint64_t n = 1; /* at is on one */
	while (next_item(l, &at, false))
		n++;
	return n;
}

/* --- the head --- */

static void put_token(
        const struct get_list *l, struct span key, bool after, struct model_text *token)
{
	/* The key relative to the prefix of the list: /NAME, or /NS/NAME of all namespaces. */
	size_t skip = l->ns.n ? l->ns.n + 1 : 0;
	struct model_text t = {0};
	TEXT_LIT(&t, "/");
	model_text_put(&t, key.p + skip, key.n - skip);
	model_token_make(token, (int64_t)l->rv, after, model_text_as_span(&t));
	model_text_fini(&t);
}

/* Walks over the page to learn what its head has to say: whether more follows, and after which key.
 */
static void look_ahead(
        struct model_conn *c, struct get_list *l, struct model_text *token, uint64_t *rest)
{
	struct model_index_at at;
	struct model_object *o = next_item(l, &at, true), *last = NULL;
	if (o && model_conn_hit(c, MODEL_FAULT_PAGE_EMPTY)) {
		*rest = count_rest(l, at);
		put_token(l, model_object_key(o), false, token);
		l->until = 0;
		return;
	}
	if (!l->limit)
		return;
	for (uint64_t n = 0; o && n < l->limit; n++) {
		last = o;
		o = next_item(l, &at, false);
	}
	l->until = l->limit;
	if (!o || !last)
		return;
	*rest = count_rest(l, at);
	put_token(l, model_object_key(last), true, token);
}

/* resourceVersion, continue and remainingItemCount in the order of the kind. */
static void put_list_meta(const struct get_list *l, const struct model_text *token, uint64_t rest,
        struct model_text *t)
{
	bool sorted = l->a.kind->custom && !l->meta;
	TEXT_LIT(t, "\"metadata\":{");
	if (!sorted)
		model_text_printf(t, "\"resourceVersion\":\"%llu\"", (unsigned long long)l->rv);
	if (token->n)
		model_text_printf(
		        t, "%s\"continue\":\"%.*s\"", sorted ? "" : ",", (int)token->n, token->p);
	if (token->n && !l->selector)
		model_text_printf(t, ",\"remainingItemCount\":%llu", (unsigned long long)rest);
	if (sorted)
		model_text_printf(t, "%s\"resourceVersion\":\"%llu\"", token->n ? "," : "",
		        (unsigned long long)l->rv);
	TEXT_LIT(t, "}");
}

static size_t item_bytes(
        struct model_conn *c, const struct get_list *l, const struct model_object *o)
{
	struct model_text *t = &c->server->scratch;
	t->n = 0;
	model_render_proto(
	        &c->server->library, model_object_at(o, l->rv), (struct model_look){0}, t);
	return t->n;
}

/* Protobuf has lengths in front: the items are written twice, the first time to learn how long they
 * are. */
static void put_proto_head(struct model_conn *c, struct get_list *l)
{
	struct model_text token = {0}, meta = {0}, list = {0}, head = {0};
	uint64_t rest = 0, bytes = 0, n = 0;
	struct model_index_at at;
	char api[128], kind[80];
	const struct model_kind *k = l->a.kind;
	model_kind_api_version(k, api, sizeof api);
	snprintf(kind, sizeof kind, "%sList", k->kind);
	look_ahead(c, l, &token, &rest);
	put_list_meta(l, &token, rest, &meta);
	CHECK(model_proto_members(model_proto_list_of(k), model_text_as_span(&meta), &list, NULL));
	struct model_object *o = l->until ? next_item(l, &at, true) : NULL;
	for (; o && n < l->until; n++, o = next_item(l, &at, false)) {
		size_t one = item_bytes(c, l, o);
		bytes += 1 + model_proto_varint_bytes(one) + one;
	}
	model_proto_unknown_head(&head, api, kind, list.n + bytes);
	model_text_span(&head, model_text_as_span(&list));
	model_reply_write(c, head.p, head.n);
	model_proto_unknown_tail(&l->tail);
	model_text_fini(&token);
	model_text_fini(&meta);
	model_text_fini(&list);
	model_text_fini(&head);
}

static void put_head(struct model_conn *c, struct get_list *l, struct model_text *t)
{
	const struct model_kind *k = l->a.kind;
	struct model_text token = {0};
	uint64_t rest = 0;
	char api[128];
	model_kind_api_version(k, api, sizeof api);
	look_ahead(c, l, &token, &rest);
	if (k->custom && !l->meta) {
		model_text_printf(t, "{\"apiVersion\":\"%s\",\"items\":[", api);
		model_text_printf(&l->tail, "],\"kind\":\"%sList\",", k->kind);
		put_list_meta(l, &token, rest, &l->tail);
		TEXT_LIT(&l->tail, "}\n");
	} else {
		if (l->meta)
			TEXT_LIT(t, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta."
			            "k8s.io/v1\",");
		else
			model_text_printf(
			        t, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",", k->kind, api);
		put_list_meta(l, &token, rest, t);
		TEXT_LIT(t, ",\"items\":[");
		TEXT_LIT(&l->tail, "]}\n");
	}
	model_text_fini(&token);
}

/* --- the items --- */

#define ITEM_BATCH 64

static unsigned quirks_of(const struct model_conn *c, uint64_t item)
{
	const struct model_hit *h = model_conn_hit(c, MODEL_FAULT_LIST_QUIRK);
	return h && (h->a == 0 || h->a == item) ? (unsigned)h->b : 0;
}

static void put_item(struct model_conn *c, struct get_list *l, const struct model_object *o,
        struct model_text *t)
{
	struct model_look look = {.meta_only = l->meta,
	        .quirks = quirks_of(c, l->sent + 1),
	        .wrote_ns = model_conn_wrote_ns(c)};
	if (l->sent)
		TEXT_LIT(t, ",");
	model_render_object(&c->server->library, model_object_at(o, l->rv), look, t);
}

static void put_proto_item(struct model_conn *c, struct get_list *l, const struct model_object *o,
        struct model_text *t)
{
	struct model_look look = {.wrote_ns = model_conn_wrote_ns(c)};
	size_t at = model_proto_open(t, 2, 2);
	model_render_proto(&c->server->library, model_object_at(o, l->rv), look, t);
	model_proto_close(t, at, 2);
}

/* A batch of items; false at the end of the page. */
static bool put_items(struct model_conn *c, struct get_list *l, struct model_text *t)
{
	struct model_index_at at;
	struct model_object *o = l->sent < l->until ? next_item(l, &at, true) : NULL;
	for (unsigned n = 0; o; n++) {
		if (n == ITEM_BATCH) { /* the cursor: this one comes first in the next batch */
			l->next.n = 0;
			model_text_span(&l->next, model_object_key(o));
			return true;
		}
		if (l->proto)
			put_proto_item(c, l, o, t);
		else
			put_item(c, l, o, t);
		model_reply_write(c, t->p, t->n);
		t->n = 0;
		l->sent++;
		o = l->sent < l->until ? next_item(l, &at, false) : NULL;
	}
	return false;
}

static void fail_too_large(struct model_conn *c, const struct get_list *l, uint64_t seen)
{
	struct model_text t = {0};
	model_status_too_large(&t, l->need_rv, seen);
	TEXT_LIT(&t, "\n");
	model_reply_whole(c, &(struct model_head){.code = 504, .after = "Retry-After: 1\r\n"},
	        model_text_as_span(&t));
	model_text_fini(&t);
}

/* False: it has to wait, or was answered with 504 (then l->opened is set). */
static bool list_ready(struct model_conn *c, struct get_list *l)
{
	uint64_t seen = model_conn_seen_rv(c, l->a.cluster);
	bool refuse = model_conn_hit(c, MODEL_FAULT_TOO_LARGE_RV) != NULL;
	if (seen < l->need_rv || refuse) {
		l->opened = refuse || c->now_ns >= l->a.deadline_ns;
		if (l->opened)
			fail_too_large(c, l, seen);
		return false;
	}
	l->a.deadline_ns = UINT64_MAX;
	if (!l->exact)
		l->rv = seen;
	l->pin.rv = l->rv;
	list_push(&l->a.cluster->pins, &l->pin.link);
	return true;
}

static enum model_pumped list_pump(struct model_conn *c, struct model_answer *a)
{
	struct get_list *l = CONTAINER_OF(a, struct get_list, a);
	struct model_text *t = &c->server->scratch;
	if (l->timeline != a->cluster->timeline) {
		model_reply_abort(c); /* the server was restored: what it was sending is gone */
		return MODEL_PUMP_DONE;
	}
	t->n = 0;
	if (!l->opened) {
		if (!list_ready(c, l))
			return l->opened ? MODEL_PUMP_DONE : MODEL_PUMP_WAIT;
		l->opened = true;
		model_reply_begin(c, &(struct model_head){.code = 200,
		                             .may_gzip = l->gzip,
		                             .type = l->proto ? MODEL_PROTO_TYPE : NULL});
		if (l->proto)
			put_proto_head(c, l);
		else
			put_head(c, l, t);
		model_reply_write(c, t->p, l->proto ? 0 : t->n);
		t->n = 0;
	}
	if (put_items(c, l, t))
		return MODEL_PUMP_MORE;
	model_reply_write(c, l->tail.p, l->tail.n);
	model_reply_end(c);
	return MODEL_PUMP_DONE;
}

/* --- the request --- */

static void gone(
        struct model_conn *c, const struct model_request *r, struct span message, const char *token)
{
	struct model_status s = {
	        .code = 410, .reason = "Expired", .message = message, .continue_token = token};
	model_reply_status(c, &s, r->pretty);
}

/* 410 of a page: with a token that goes on from the same key at the newest version. */
static void gone_continue(
        struct model_conn *c, const struct model_request *r, const struct get_list *l)
{
	struct model_text token = {0};
	struct span key = model_text_as_span(&l->next);
	size_t skip = l->ns.n ? l->ns.n + 1 : 0;
	bool after = key.n && key.p[key.n - 1] == 0;
	model_token_make(&token, -1, after, (struct span){key.p + skip, key.n - skip - after});
	gone(c, r,
	        SPAN("The provided continue parameter is too old to display a consistent list "
	             "result. You can start "
	             "a new list without the continue parameter, or use the continue token in this "
	             "response to "
	             "retrieve the remainder of the results. Continuing with the provided token "
	             "results in an "
	             "inconsistent list - objects that were created, modified, or deleted between "
	             "the time the "
	             "first chunk was returned and now may show up in the list."),
	        token.p);
	model_text_fini(&token);
}

static void recreate_between_pages(struct model_conn *c, struct get_list *l)
{
	struct model_index_at at;
	struct model_text keep = l->next;
	l->next = (struct model_text){0};
	model_text_span(&l->next, model_text_as_span(&l->ns));
	uint64_t rv = l->rv;
	l->rv = l->a.cluster->rv;
	struct model_object *first = next_item(l, &at, true),
	                    *second = first ? next_item(l, &at, false) : NULL;
	struct model_text a = {0}, b = {0};
	if (first)
		model_text_span(&a, model_object_key(first));
	if (second)
		model_text_span(&b, model_object_key(second));
	if (first)
		model_recreate(l->a.cluster, l->a.kind, model_text_as_span(&a), c->now_ns);
	if (second)
		model_delete(l->a.cluster, l->a.kind, model_text_as_span(&b), c->now_ns);
	model_text_fini(&a);
	model_text_fini(&b);
	model_text_fini(&l->next);
	l->next = keep;
	l->rv = rv;
}

/* Page 2 and later: one snapshot, that of the token. False: answered. */
static bool open_page(struct model_conn *c, struct get_list *l, const struct model_request *r)
{
	struct model_text error = {0}, key = {0};
	int64_t rv = 0;
	bool ok = true;
	if (r->rv.n && !span_is(r->rv, "0")) {
		TEXT_LIT(&error, "specifying resource version is not allowed when using continue");
		ok = false;
	} else {
		ok = model_token_parse(r->token, &rv, &key, &error);
	}
	if (!ok) {
		model_bad_request(c, r, model_text_as_span(&error));
	} else {
		l->next.n = 0;
		model_text_span(&l->next, model_text_as_span(&l->ns));
		if (l->ns.n)
			TEXT_LIT(&l->next, "/");
		model_text_span(&l->next, model_text_as_span(&key));
		l->exact = rv > 0;
		l->rv = l->need_rv = rv > 0 ? (uint64_t)rv : 0;
		if (model_conn_hit(c, MODEL_FAULT_RECREATE))
			recreate_between_pages(c, l);
		if (model_conn_hit(c, MODEL_FAULT_GONE_CONTINUE) ||
		        (l->exact && l->rv < l->a.cluster->horizon)) {
			gone_continue(c, r, l);
			ok = false;
		}
	}
	model_text_fini(&error);
	model_text_fini(&key);
	return ok;
}

/* The first page: which version, by resourceVersion and its match. False: answered. */
static bool open_first(struct model_conn *c, struct get_list *l, const struct model_request *r)
{
	uint64_t rv = 0;
	if (r->rv.n && !model_word_u64(r->rv, &rv)) {
		struct model_text t = {0};
		model_text_printf(&t,
		        "invalid resource version: resourceVersion: Invalid value: \"%.*s\": "
		        "strconv.ParseUint: parsing "
		        "\"%.*s\": invalid syntax",
		        SPAN_ARG(r->rv), SPAN_ARG(r->rv));
		model_bad_request(c, r, model_text_as_span(&t));
		model_text_fini(&t);
		return false;
	}
	bool exact = span_is(r->match, "Exact"), not_older = span_is(r->match, "NotOlderThan");
	l->exact = exact || (rv > 0 && !not_older && l->limit > 0);
	if (r->rv.n && (rv == 0 || not_older)) /* answered by the cache, which has no pages */
		l->limit = 0;
	l->rv = l->need_rv = rv;
	if (!l->exact || rv >= l->a.cluster->horizon)
		return true;
	gone(c, r, SPAN("The resourceVersion for the provided list is too old."), NULL);
	return false;
}

static void refuse_invalid(struct model_conn *c, const struct model_cause *causes, size_t n)
{
	struct model_text t = {0};
	model_status_invalid(&t, causes, n);
	TEXT_LIT(&t, "\n");
	model_reply_whole(c, &(struct model_head){.code = 422}, model_text_as_span(&t));
	model_text_fini(&t);
}

/* ValidateListOptions of k8s.io/apimachinery. False: answered. */
static bool validate(struct model_conn *c, const struct model_request *r)
{
	static const char field[] = "resourceVersionMatch";
	struct model_cause causes[5];
	size_t n = 0;
	struct model_text value = {0};
	if (r->match.n && !r->rv.n)
		causes[n++] = (struct model_cause){field,
		        "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is "
		        "provided",
		        false};
	if (r->match.n && r->has_token)
		causes[n++] = (struct model_cause){field,
		        "Forbidden: resourceVersionMatch is forbidden when continue is provided",
		        false};
	if (r->match.n && !span_is(r->match, "Exact") && !span_is(r->match, "NotOlderThan")) {
		model_text_printf(&value,
		        "Unsupported value: \"%.*s\": supported values: \"Exact\", "
		        "\"NotOlderThan\", \"\"",
		        SPAN_ARG(r->match));
		causes[n++] = (struct model_cause){field, value.p, true};
	}
	if (span_is(r->match, "Exact") && span_is(r->rv, "0"))
		causes[n++] = (struct model_cause){field,
		        "Forbidden: resourceVersionMatch \"exact\" is forbidden for "
		        "resourceVersion \"0\"",
		        false};
	if (r->initial != MODEL_UNSET)
		causes[n++] = (struct model_cause){"sendInitialEvents",
		        "Forbidden: sendInitialEvents is forbidden for list", false};
	if (value.p)
		TEXT_LIT(&value, "\0");
	if (n)
		refuse_invalid(c, causes, n);
	model_text_fini(&value);
	return n == 0;
}

/* limit: 400 unless it is a number; a negative one means none. */
static bool parse_limit(struct model_conn *c, const struct model_request *r, uint64_t *limit)
{
	bool negative = r->limit.n > 1 && r->limit.p[0] == '-';
	struct span digits = {r->limit.p + negative, r->limit.n - negative};
	*limit = 0;
	if (r->limit.n == 0 || model_word_u64(digits, limit)) {
		if (negative)
			*limit = 0;
		return true;
	}
	struct model_text t = {0};
	model_text_printf(
	        &t, "strconv.ParseInt: parsing \"%.*s\": invalid syntax", SPAN_ARG(r->limit));
	model_bad_request(c, r, model_text_as_span(&t));
	model_text_fini(&t);
	return false;
}

void model_get_list(struct model_conn *c, struct model_cluster *cluster, struct model_store *st,
        const struct model_request *r)
{
	uint64_t limit;
	struct model_selector *selector;
	struct model_text error = {0};
	if (!parse_limit(c, r, &limit) || !validate(c, r))
		return;
	if (!model_selector_parse(r->labels, r->fields, st->kind, &selector, &error)) {
		model_bad_request(c, r, model_text_as_span(&error));
		model_text_fini(&error);
		return;
	}
	/* A hostile item is JSON. */
	bool proto = r->protobuf && model_proto_list_of(st->kind) &&
	             !model_conn_hit(c, MODEL_FAULT_LIST_QUIRK);
	struct get_list *l = calloc(1, sizeof *l);
	CHECK(l);
	*l = (struct get_list){.store = st,
	        .selector = selector,
	        .limit = limit,
	        .until = UINT64_MAX,
	        .timeline = cluster->timeline,
	        .meta = r->accept == MODEL_ACCEPT_META && !proto,
	        .proto = proto,
	        .gzip = r->gzip};
	l->a = (struct model_answer){.pump = list_pump,
	        .free = list_free,
	        .kind = st->kind,
	        .cluster = cluster,
	        .verb = r->has_token ? MODEL_VERB_CONTINUE : MODEL_VERB_LIST,
	        .deadline_ns = c->now_ns + c->server->options.freshness_ns};
	list_init(&l->pin.link);
	model_text_span(&l->ns, r->ns);
	model_text_span(&l->next, r->ns);
	if (!(r->has_token ? open_page(c, l, r) : open_first(c, l, r))) {
		list_free(c, &l->a);
		return;
	}
	if (l->need_rv > model_conn_seen_rv(c, cluster))
		list_push(&st->watchers, &c->watcher.link);
	c->answer = &l->a;
}

static void reply_object(struct model_conn *c, const struct model_kind *k,
        const struct model_version *v, const struct model_request *r)
{
	struct model_text t = {0}, fields = {0};
	struct model_head h = {.code = 200, .may_gzip = r->gzip};
	struct model_look look = {.typed = true, .wrote_ns = model_conn_wrote_ns(c)};
	if (r->protobuf && model_proto_of(k)) {
		char api[128];
		model_kind_api_version(k, api, sizeof api);
		model_render_proto(&c->server->library, v, look, &fields);
		model_proto_unknown_head(&t, api, k->kind, fields.n);
		model_text_span(&t, model_text_as_span(&fields));
		model_proto_unknown_tail(&t);
		h.type = MODEL_PROTO_TYPE;
	} else {
		look.meta_only = r->accept == MODEL_ACCEPT_META;
		model_render_object(&c->server->library, v, look, &t);
		TEXT_LIT(&t, "\n");
	}
	model_reply_whole(c, &h, model_text_as_span(&t));
	model_text_fini(&t);
	model_text_fini(&fields);
}

void model_get_object(struct model_conn *c, struct model_cluster *cluster, struct model_store *st,
        const struct model_request *r)
{
	struct model_text key = {0}, t = {0};
	if (r->ns.n) {
		model_text_span(&key, r->ns);
		TEXT_LIT(&key, "/");
	}
	model_text_span(&key, r->name);
	const struct model_object *o = model_index_find(&st->index, model_text_as_span(&key));
	const struct model_version *v =
	        o ? model_object_at(o, model_conn_seen_rv(c, cluster)) : NULL;
	if (v) {
		reply_object(c, st->kind, v, r);
	} else {
		struct model_text m = {0};
		const struct model_kind *k = st->kind;
		model_text_printf(&m, "%s%s%s \"%.*s\" not found", k->resource,
		        k->group[0] ? "." : "", k->group, SPAN_ARG(r->name));
		model_status_details(&t, r->name, k->group, span_of(k->resource));
		TEXT_LIT(&t, "\0");
		struct model_status s = {.code = 404,
		        .reason = "NotFound",
		        .message = model_text_as_span(&m),
		        .details = t.p};
		model_reply_status(c, &s, r->pretty);
		model_text_fini(&m);
	}
	model_text_fini(&key);
	model_text_fini(&t);
}
