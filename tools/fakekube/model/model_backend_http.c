/* The backend's HTTP side: who may ask, routes, and what it makes of a request before it passes it
 * on (Headlamp 0.45.0, backend/cmd/headlamp.go, stateless.go, backend/pkg/auth). */
#include "model/model_backend_priv.h"

#include "base/check.h"
#include "model/model_envelope.h"
#include "model/model_word.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define TOKEN_BODY_MAX   65536
#define COOKIE_PART      3800
#define BACKEND_PROTOCOL "base64url.headlamp.backend.authorization.k8s.io."
#define USER_PROTOCOL    "base64url.headlamp.authorization.k8s.io."
#define BEARER_PROTOCOL  "base64url.bearer.authorization.k8s.io."
#define MUX_PROTOCOL     "headlamp.multiplexer.k8s.io"

/* --- heads --- */

bool head_line(struct span *head, struct span *line)
{
	const char *end = head->n ? memchr(head->p, '\n', head->n) : NULL;
	if (!end)
		return false;
	*line = (struct span){head->p, (size_t)(end - head->p)};
	head->n -= line->n + 1;
	head->p = end + 1;
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	return line->n > 0;
}

bool head_field(struct span line, struct span *name, struct span *value)
{
	const char *colon = memchr(line.p, ':', line.n);
	if (!colon || colon == line.p || colon[-1] == ' ' || colon[-1] == '\t' ||
	        memchr(line.p, 0, line.n))
		return false;
	*name = (struct span){line.p, (size_t)(colon - line.p)};
	*value = model_word_trim((struct span){colon + 1, line.n - name->n - 1});
	return true;
}

bool head_name_is(struct span name, const char *what)
{
	return name.n == strlen(what) && strncasecmp(name.p, what, name.n) == 0;
}

/* A part of a list; false: it is used up. by: what separates. */
static bool next_part(struct span *list, const char *by, struct span *part)
{
	if (list->n == 0)
		return false;
	const char *at = memmem(list->p, list->n, by, strlen(by));
	*part = (struct span){list->p, at ? (size_t)(at - list->p) : list->n};
	size_t used = part->n + (at ? strlen(by) : 0);
	list->p += used;
	list->n -= used;
	*part = model_word_trim(*part);
	return true;
}

/* What the backend looks at in a request. Spans point into the head. */
struct ask {
	struct span method, target, path, query, host, upgrade, key, authorization, type;
	struct model_text protocols, cookies; /* lines joined by ", " and ";" */
	struct model_text bearer;             /* of the sub-protocol */
	struct model_text kept;               /* the sub-protocols that go on */
	size_t body_bytes, backend_tokens, backend_protocols;
	bool backend_wrong, close, connection_upgrade, chunked;
};

static void ask_fini(struct ask *a)
{
	model_text_fini(&a->protocols);
	model_text_fini(&a->cookies);
	model_text_fini(&a->bearer);
	model_text_fini(&a->kept);
}

static bool has_word(struct span v, const char *w)
{
	struct span part;
	while (next_part(&v, ",", &part))
		if (head_name_is(part, w))
			return true;
	return false;
}

static void read_field(const struct front *f, struct ask *a, struct span name, struct span v)
{
	uint64_t n;
	if (head_name_is(name, "Host")) {
		a->host = v;
	} else if (head_name_is(name, "Connection")) {
		a->close = has_word(v, "close");
		a->connection_upgrade = has_word(v, "upgrade");
	} else if (head_name_is(name, "Upgrade")) {
		a->upgrade = v;
	} else if (head_name_is(name, "Sec-WebSocket-Key")) {
		a->key = v;
	} else if (head_name_is(name, "Authorization")) {
		a->authorization = v;
	} else if (head_name_is(name, "Content-Length")) {
		if (model_word_u64(v, &n))
			a->body_bytes = (size_t)n;
	} else if (head_name_is(name, "Transfer-Encoding")) {
		a->chunked = true;
	} else if (head_name_is(name, "Cookie")) {
		model_text_span(&a->cookies, v);
		TEXT_LIT(&a->cookies, ";");
	} else if (head_name_is(name, "X-HEADLAMP_BACKEND-TOKEN")) {
		a->backend_tokens++;
		a->backend_wrong |= !f->backend->token || !span_is(v, f->backend->token);
	} else if (head_name_is(name, "Sec-WebSocket-Protocol")) {
		if (a->protocols.n)
			TEXT_LIT(&a->protocols, ", ");
		model_text_span(&a->protocols, v);
	}
}

static bool read_line(struct ask *a, struct span line)
{
	const char *sp = memchr(line.p, ' ', line.n);
	if (!sp)
		return false;
	a->method = (struct span){line.p, (size_t)(sp - line.p)};
	struct span rest = {sp + 1, line.n - a->method.n - 1};
	sp = memchr(rest.p, ' ', rest.n);
	if (!sp || rest.p[0] != '/')
		return false;
	a->target = (struct span){rest.p, (size_t)(sp - rest.p)};
	struct span proto = {sp + 1, rest.n - a->target.n - 1};
	const char *q = memchr(a->target.p, '?', a->target.n);
	a->path = (struct span){a->target.p, q ? (size_t)(q - a->target.p) : a->target.n};
	a->query = (struct span){q ? q + 1 : NULL, q ? a->target.n - a->path.n - 1 : 0};
	a->close = span_is(proto, "HTTP/1.0");
	return span_starts(proto, SPAN("HTTP/1."));
}

static bool read_head(const struct front *f, struct ask *a, struct span head)
{
	struct span line, name, value;
	if (!head_line(&head, &line) || !read_line(a, line))
		return false;
	while (head_line(&head, &line)) {
		if (!head_field(line, &name, &value))
			return false;
		read_field(f, a, name, value);
	}
	return true;
}

/* --- answers of its own --- */

void front_answer(struct front *f, unsigned code, const char *fields, struct span body)
{
	struct model_conn *c = f->conn;
	struct model_text t = {0};
	model_text_printf(
	        &t, "HTTP/1.1 %u %s\r\n%sDate: ", code, model_status_phrase(code), fields);
	model_text_http_date(&t, model_conn_wall_s(c));
	model_text_printf(&t, "\r\nContent-Length: %zu\r\n%s\r\n", body.n,
	        f->keep ? "" : "Connection: close\r\n");
	if (c->hits)
		c->hits->head_bytes = t.n;
	model_text_span(&t, body);
	model_reply_raw(c, t.p, t.n);
	model_text_fini(&t);
	if (!f->keep)
		c->closed = MODEL_CLOSED_FIN;
}

/* http.Error of Go. */
static void front_text(struct front *f, unsigned code, const char *text)
{
	front_answer(f, code,
	        "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n",
	        span_of(text));
}

static void answer_config(struct front *f)
{
	struct model_text t = {0};
	TEXT_LIT(&t, "{\"clusters\":[");
	const char *sep = "";
	LIST_EACH (it, &f->backend->contexts) {
		const struct context *x = CONTAINER_OF(it, struct context, link);
		if (x->state == CONTEXT_INVALID)
			continue;
		model_text_printf(&t, "%s{\"name\":", sep);
		model_text_quoted(&t, span_of(x->name));
		TEXT_LIT(&t, ",\"server\":");
		model_text_quoted(&t, span_of(x->server));
		TEXT_LIT(&t, ",\"auth_type\":\"\",\"meta_data\":{\"source\":\"kubeconfig\"}}");
		sep = ",";
	}
	TEXT_LIT(&t, "],\"isDynamicClusterEnabled\":false}\n");
	front_answer(f, 200, "Content-Type: application/json\r\n", model_text_as_span(&t));
	model_text_fini(&t);
}

static void answer_mux(struct front *f, const struct ask *a)
{
	if (f->backend->mux == MUX_REFUSE) {
		front_text(f, 404, "404 page not found\n");
		return;
	}
	if (!a->connection_upgrade || !head_name_is(a->upgrade, "websocket") || a->key.n == 0 ||
	        !span_is(a->method, "GET")) {
		front_answer(f, 400,
		        "Content-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: "
		        "13\r\nX-Content-Type-Options: nosniff\r\n",
		        SPAN("Bad Request\n"));
		return;
	}
	struct model_fault_what w = {.verb = MODEL_VERB_MUX, .cluster = SPAN("headlamp")};
	model_conn_strike(f->conn, &w);
	if (model_conn_hit(f->conn, MODEL_FAULT_CLOSE)) {
		f->conn->closed = MODEL_CLOSED_CUT;
		return;
	}
	model_text_span(&f->cookies, model_text_as_span(&a->cookies));
	mux_start(f, a->key, has_word(model_text_as_span(&a->protocols), MUX_PROTOCOL));
}

/* --- set-token --- */

static void put_cookies(struct model_text *t, const char *cluster, struct span token)
{
	size_t part = 0, at = 0;
	do {
		size_t n = token.n - at < COOKIE_PART ? token.n - at : COOKIE_PART;
		model_text_printf(t,
		        "Set-Cookie: headlamp-auth-%s.%zu=%.*s; Path=/clusters/%s; Max-Age=%d; "
		        "HttpOnly; SameSite=Strict\r\n",
		        cluster, part++, (int)n, token.n ? token.p + at : "", cluster,
		        token.n ? 86400 : 0);
		at += n;
	} while (at < token.n);
	TEXT_LIT(t, "\0");
}

void front_token_body(struct front *f)
{
	struct model_conn *c = f->conn;
	if (c->in.n < f->token_left)
		return;
	struct model_text token = {0}, fields = {0};
	struct span body = {c->in.p, f->token_left};
	f->state = FRONT_HTTP;
	if (!model_envelope_member(body, "token", &token)) {
		front_text(f, 400, "invalid request body\n");
	} else {
		put_cookies(&fields, f->token_name, model_text_as_span(&token));
		front_answer(f, 200, fields.p, SPAN_NONE);
	}
	memmove(c->in.p, c->in.p + f->token_left, c->in.n - f->token_left);
	c->in.n -= f->token_left;
	model_text_fini(&token);
	model_text_fini(&fields);
}

static void start_token(struct front *f, struct span name, const struct ask *a)
{
	free(f->token_name);
	f->token_name = strndup(name.n ? name.p : "", name.n);
	CHECK(f->token_name);
	f->token_left = a->body_bytes;
	if (a->body_bytes > TOKEN_BODY_MAX || a->chunked) {
		f->keep = false;
		front_text(f, 400, "invalid request body\n");
		return;
	}
	f->state = FRONT_TOKEN;
}

/* --- what is passed on --- */

/* Sorts the sub-protocols: those of the backend come out (the one of the user only if the list is
 * written with comma and space), the rest goes on. */
static void sort_protocols(const struct front *f, struct ask *a, bool legacy)
{
	struct span list = model_text_as_span(&a->protocols), part;
	while (next_part(&list, ", ", &part)) {
		struct model_text plain = {0};
		bool ours = f->backend->token && span_starts(part, SPAN(BACKEND_PROTOCOL));
		if (ours) {
			size_t n = sizeof BACKEND_PROTOCOL - 1;
			a->backend_protocols++;
			a->backend_wrong |= !model_ws_base64_decode(&plain,
			                            (struct span){part.p + n, part.n - n}) ||
			                    !span_is(model_text_as_span(&plain), f->backend->token);
		} else if (legacy && span_starts(part, SPAN(BEARER_PROTOCOL))) {
			size_t n = sizeof BEARER_PROTOCOL - 1;
			struct span token = {part.p + n, part.n - n};
			ours = true;
			a->bearer.n = 0;
			if (!model_ws_base64_decode(&a->bearer, token)) {
				a->bearer.n = 0; /* used verbatim */
				model_text_span(&a->bearer, token);
			}
		} else {
			ours = legacy && span_starts(part, SPAN(USER_PROTOCOL));
		}
		model_text_fini(&plain);
		if (ours || part.n == 0)
			continue;
		if (a->kept.n)
			TEXT_LIT(&a->kept, ", ");
		model_text_span(&a->kept, part);
	}
}

static bool passed_on(struct span name, bool upgrade)
{
	static const char *const own[] = {"Host", "Connection", "Keep-Alive", "Proxy-Connection",
	        "Te", "Trailer", "Upgrade", "Authorization", "Sec-WebSocket-Protocol",
	        "X-HEADLAMP_BACKEND-TOKEN", "X-Forwarded-Host"};
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (head_name_is(name, own[i]))
			return false;
	return !(upgrade && head_name_is(name, "User-Agent"));
}

static void put_authorization(struct model_text *t, const struct context *x, const struct ask *a)
{
	struct model_text cookie = {0};
	backend_cookie(model_text_as_span(&a->cookies), span_of(x->name), &cookie);
	if (cookie.n)
		model_text_printf(t, "Authorization: Bearer %.*s\r\n", (int)cookie.n, cookie.p);
	else if (a->authorization.n)
		model_text_printf(t, "Authorization: %.*s\r\n", SPAN_ARG(a->authorization));
	else if (a->bearer.n)
		model_text_printf(
		        t, "Authorization: Bearer %.*s\r\n", (int)a->bearer.n, a->bearer.p);
	else if (x->token)
		model_text_printf(t, "Authorization: Bearer %s\r\n", x->token);
	model_text_fini(&cookie);
}

/* The request as the cluster sees it. rest: the path below /clusters/NAME. */
static void put_request(struct model_text *t, const struct context *x, const struct ask *a,
        struct span rest, struct span head, bool upgrade)
{
	struct span line, name, value;
	model_text_printf(t, "%.*s %s%.*s%s%.*s HTTP/1.1\r\nHost: %s\r\n", SPAN_ARG(a->method),
	        x->prefix, SPAN_ARG(rest), a->query.p ? "?" : "", SPAN_ARG(a->query), x->address);
	head_line(&head, &line);
	while (head_line(&head, &line))
		if (head_field(line, &name, &value) && passed_on(name, upgrade))
			model_text_printf(t, "%.*s\r\n", SPAN_ARG(line));
	put_authorization(t, x, a);
	if (a->kept.n)
		model_text_printf(t, "Sec-WebSocket-Protocol: %.*s\r\n", (int)a->kept.n, a->kept.p);
	model_text_printf(t, "X-Forwarded-Host: %.*s\r\n%s\r\n", SPAN_ARG(a->host),
	        upgrade ? "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	                : "Connection: close\r\n");
}

/* /clusters/NAME/... with NAME decoded. */
static void answer_cluster(struct front *f, struct ask *a, struct span head)
{
	struct span rest = {a->path.p + 10, a->path.n - 10};
	struct model_text name = {0};
	while (rest.n && rest.p[0] != '/') {
		char hex[3] = {rest.p[0]};
		size_t used = 1;
		if (rest.p[0] == '%' && rest.n > 2) {
			memcpy(hex, rest.p + 1, 2);
			hex[0] = (char)strtoul(hex, NULL, 16);
			used = 3;
		}
		model_text_put(&name, hex, 1);
		rest.p += used;
		rest.n -= used;
	}
	if (span_is(rest, "/set-token") && span_is(a->method, "POST")) {
		start_token(f, model_text_as_span(&name), a);
		model_text_fini(&name);
		return;
	}
	struct context *x = backend_context(f->backend, model_text_as_span(&name));
	model_text_fini(&name);
	if (!x || x->state == CONTEXT_INVALID) {
		f->keep = f->keep && !a->body_bytes && !a->chunked;
		front_text(f, 404, "key not found\n");
		return;
	}
	/* exactly so, as the real one compares it */
	bool upgrade = a->connection_upgrade && span_is(a->upgrade, "websocket");
	f->keep = f->keep && !a->chunked;
	put_request(&f->relay.ask, x, a, rest.n ? rest : SPAN("/"), head, upgrade);
	relay_start(f, x, upgrade, span_is(a->method, "HEAD"), a->body_bytes);
}

/* --- the whole --- */

static bool host_is_ours(const struct model_backend *b, struct span host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]", "::1"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char with_port[32];
		int n = snprintf(with_port, sizeof with_port, "%s:%u", names[i], b->port);
		CHECK(n > 0 && (size_t)n < sizeof with_port);
		if (head_name_is(host, names[i]) || head_name_is(host, with_port))
			return true;
	}
	return false;
}

static void route(struct front *f, struct ask *a, struct span head)
{
	const struct model_backend *b = f->backend;
	bool cluster = span_starts(a->path, SPAN("/clusters/"));
	sort_protocols(f, a, cluster);
	bool body = a->body_bytes || a->chunked;
	if (!cluster)
		f->keep = f->keep && !body; /* it is not read, so nothing after it can be */
	if (b->check_host && !host_is_ours(b, a->host)) {
		f->keep = f->keep && !body;
		front_text(f, 403, "invalid Host header\n");
	} else if (b->token &&
	           (a->backend_wrong || a->backend_tokens > 1 || a->backend_protocols > 1 ||
	                   a->backend_tokens + a->backend_protocols == 0)) {
		f->keep = f->keep && !body;
		front_text(f, 403, "access denied\n");
	} else if (span_is(a->path, "/wsMultiplexer")) {
		answer_mux(f, a);
	} else if (span_is(a->path, "/config")) {
		answer_config(f);
	} else if (cluster) {
		answer_cluster(f, a, head);
	} else {
		front_text(f, 404, "404 page not found\n");
	}
}

bool front_request(struct front *f)
{
	struct model_conn *c = f->conn;
	const char *end = c->in.n ? memmem(c->in.p, c->in.n, "\r\n\r\n", 4) : NULL;
	if (!end) {
		if (c->in.n > MODEL_HEAD_BYTES_MAX)
			c->closed = MODEL_CLOSED_CUT;
		return false;
	}
	struct model_text head = {0};
	size_t n = (size_t)(end - c->in.p) + 4;
	model_text_put(&head, c->in.p, n);
	memmove(c->in.p, c->in.p + n, c->in.n - n);
	c->in.n -= n;
	if (c->in.n == 0)
		model_text_fini(&c->in);
	c->requests++;
	c->server->requests++;
	struct ask a = {0};
	bool ok = read_head(f, &a, model_text_as_span(&head));
	f->keep = ok && !a.close;
	if (ok)
		route(f, &a, model_text_as_span(&head));
	else
		front_answer(f, 400, "Content-Type: text/plain; charset=utf-8\r\n",
		        SPAN("400 Bad Request"));
	ask_fini(&a);
	model_text_fini(&head);
	return true;
}
