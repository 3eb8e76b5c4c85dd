/* Who may ask, and what is asked for: the way from a request to the file that answers it. */
#include "model/model_conn_priv.h"
#include "model/model_proto.h"

void model_not_found_page(struct model_conn *c)
{
	struct model_head h = {.code = 404,
	        .type = "text/plain; charset=utf-8",
	        .after = "X-Content-Type-Options: nosniff\r\n"};
	model_reply_whole(c, &h, SPAN("404 page not found\n"));
}

void model_bad_request(struct model_conn *c, const struct model_request *r, struct span message)
{
	struct model_status s = {.code = 400, .reason = "BadRequest", .message = message};
	model_reply_status(c, &s, r->pretty);
}

/* NULL: 401. */
static const char *user_of(const struct model_conn *c, const struct model_request *r)
{
	const struct model_server *s = c->server;
	if (s->token_count == 0 && !r->bad_protocol_token)
		return "admin";
	if (r->bad_protocol_token)
		return NULL;
	for (size_t i = 0; r->bearer.n && i < s->token_count; i++)
		if (span_is(r->bearer, s->tokens[i].token))
			return s->tokens[i].user;
	if (r->has_auth)
		return NULL;
	return c->user ? c->user : "system:anonymous";
}

static const char *rbac_verb(const struct model_request *r)
{
	return r->watch ? "watch" : r->name.n ? "get" : "list";
}

static bool glob(const char *pattern, struct span s)
{
	return pattern[0] == 0 || strcmp(pattern, "*") == 0 || span_is(s, pattern);
}

static bool denied(const struct model_server *s, const char *user, const struct model_request *r)
{
	if (strcmp(user, "system:anonymous") == 0)
		return true;
	for (size_t i = 0; r->target == MODEL_TARGET_RESOURCE && i < s->deny_count; i++) {
		const struct model_deny *d = &s->deny[i];
		if (glob(d->user, span_of(user)) && glob(d->verb, span_of(rbac_verb(r))) &&
		        glob(d->group, r->group) && glob(d->resource, r->resource) &&
		        glob(d->namespace_, r->ns))
			return true;
	}
	return false;
}

static void forbidden(struct model_conn *c, const char *user, const struct model_request *r)
{
	struct model_text m = {0}, d = {0};
	char group[128] = "";
	if (r->group.n < sizeof group)
		memcpy(group, r->group.p ? r->group.p : "", r->group.n);
	struct model_status s = {.code = 403, .reason = "Forbidden", .details = "{}"};
	if (r->target == MODEL_TARGET_RESOURCE) {
		model_text_printf(
		        &m, "%.*s%s%s", SPAN_ARG(r->resource), group[0] ? "." : "", group);
		if (r->name.n)
			model_text_printf(&m, " \"%.*s\"", SPAN_ARG(r->name));
		model_text_printf(&m,
		        " is forbidden: User \"%s\" cannot %s resource \"%.*s\" in API group "
		        "\"%s\"",
		        user, rbac_verb(r), SPAN_ARG(r->resource), group);
		if (r->ns.n)
			model_text_printf(&m, " in the namespace \"%.*s\"", SPAN_ARG(r->ns));
		else
			TEXT_LIT(&m, " at the cluster scope");
		model_status_details(&d, r->name, group, r->resource);
		TEXT_LIT(&d, "\0");
		s.details = d.p;
	} else {
		model_text_printf(&m, "forbidden: User \"%s\" cannot get path \"%.*s\"", user,
		        SPAN_ARG(r->path));
	}
	s.message = model_text_as_span(&m);
	struct model_text body = {0};
	model_status_json(&s, r->pretty, &body);
	if (!r->pretty)
		TEXT_LIT(&body, "\n");
	struct model_head h = {.code = 403, .after = "X-Content-Type-Options: nosniff\r\n"};
	model_reply_whole(c, &h, model_text_as_span(&body));
	model_text_fini(&body);
	model_text_fini(&m);
	model_text_fini(&d);
}

/* True: the request may go on. */
static bool admit(struct model_conn *c, const struct model_request *r)
{
	const char *user = user_of(c, r);
	if (!user) {
		struct model_status s = {
		        .code = 401, .reason = "Unauthorized", .message = SPAN("Unauthorized")};
		model_reply_status(c, &s, r->pretty);
		return false;
	}
	if (r->target == MODEL_TARGET_VERSION || r->target == MODEL_TARGET_HEALTH ||
	        !denied(c->server, user, r))
		return true;
	forbidden(c, user, r);
	return false;
}

static void not_acceptable(struct model_conn *c)
{
	struct model_status s = {.code = 406,
	        .reason = "NotAcceptable",
	        .details = "{}",
	        .message =
	                SPAN("406: Not Acceptable\n\nAvailable representations: application/json, "
	                     "application/yaml, application/vnd.kubernetes.protobuf, "
	                     "application/json;stream=watch, "
	                     "application/vnd.kubernetes.protobuf;stream=watch")};
	model_reply_status(c, &s, true);
}

static bool serves_group(struct model_cluster *cluster, struct span group)
{
	for (size_t i = 0; i < model_kind_count; i++)
		if (span_is(group, model_kinds[i].group))
			return true;
	const struct model_kind *k;
	for (size_t at = 0; (k = model_cluster_custom(cluster, &at));)
		if (span_is(group, k->group))
			return true;
	return false;
}

/* An unknown resource of a group that is served is a Status; an unknown group a page of text. */
static void unknown(
        struct model_conn *c, struct model_cluster *cluster, const struct model_request *r)
{
	if (!serves_group(cluster, r->group)) {
		model_not_found_page(c);
		return;
	}
	struct model_status s = {.code = 404,
	        .reason = "NotFound",
	        .details = "{}",
	        .message = SPAN("the server could not find the requested resource")};
	model_reply_status(c, &s, r->pretty);
}

static void act_on_cluster(struct model_conn *c, struct model_cluster *cluster)
{
	const struct model_hit *back = model_conn_hit(c, MODEL_FAULT_RESTORE);
	if (model_conn_hit(c, MODEL_FAULT_COMPACT))
		model_cluster_compact(cluster, cluster->rv);
	if (!back)
		return;
	uint64_t rv = cluster->rv > back->a ? cluster->rv - back->a : 1;
	model_cluster_restore(cluster, rv < cluster->horizon ? cluster->horizon : rv);
}

static void answer_resource(
        struct model_conn *c, struct model_cluster *cluster, const struct model_request *r)
{
	const struct model_kind *k = model_cluster_kind(cluster, r->group, r->version, r->resource);
	struct model_store *st = k ? model_cluster_store(cluster, k) : NULL;
	if (!st || (r->ns.n && !k->namespaced) || (r->name.n && k->namespaced && !r->ns.n)) {
		unknown(c, cluster, r);
		return;
	}
	bool proto = r->protobuf && model_proto_of(k);
	if (!proto && (r->accept == MODEL_ACCEPT_NONE || r->accept == MODEL_ACCEPT_DISCOVERY))
		not_acceptable(c);
	else if (r->watch)
		model_watch_open(c, cluster, st, r);
	else if (r->name.n)
		model_get_object(c, cluster, st, r);
	else
		model_get_list(c, cluster, st, r);
	if (c->answer)
		list_push(&cluster->answering, &c->of_cluster);
}

/* True: there is no answer. */
static bool hangs_or_restarts(struct model_conn *c, struct model_cluster *cluster)
{
	if (cluster->down_until_ns > c->now_ns)
		model_conn_cut(c, MODEL_CLOSED_RST);
	else if (cluster->silent) {
		c->mute = true;
		list_push(&cluster->answering, &c->of_cluster);
	}
	return c->mute || c->closed != MODEL_OPEN;
}

void model_answer(struct model_conn *c, const struct model_request *r)
{
	struct model_cluster *cluster =
	        c->only && !r->cluster.n ? c->only : model_server_cluster(c->server, r->cluster);
	if (!cluster || (c->only && r->cluster.n)) {
		model_not_found_page(c);
		return;
	}
	if (hangs_or_restarts(c, cluster) || !admit(c, r))
		return;
	if (!span_is(r->method, "GET")) {
		struct model_status s = {.code = 405,
		        .reason = "MethodNotAllowed",
		        .details = "{}",
		        .message = SPAN(
		                "the server does not allow this method on the requested resource")};
		model_reply_status(c, &s, r->pretty);
		return;
	}
	act_on_cluster(c, cluster);
	if (model_discovery_answer(c, cluster, r))
		return;
	if (r->target == MODEL_TARGET_RESOURCE)
		answer_resource(c, cluster, r);
	else
		model_not_found_page(c);
}
