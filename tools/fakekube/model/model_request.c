#include "model/model_request.h"

#include "base/check.h"
#include "model/model_word.h"
#include "model/model_ws.h"

#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded, '+' as a space in a query; borrowed where nothing had to be decoded. r->text
 * never moves: it was reserved. */
static struct span decode(struct model_request *r, struct span s, bool query)
{
	bool plain = true;
	for (size_t i = 0; i < s.n && plain; i++)
		plain = s.p[i] != '%' && !(query && s.p[i] == '+');
	if (plain)
		return s;
	char *at = r->text.p + r->text.n;
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 &&
		        hex_digit(s.p[i + 2]) >= 0) {
			at[n++] = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
			i += 2;
		} else {
			at[n++] = query && s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	r->text.n += n;
	CHECK(r->text.n <= r->text.cap);
	return (struct span){at, n};
}

static struct span next_segment(struct span *path)
{
	if (path->n && path->p[0] == '/') {
		path->p++;
		path->n--;
	}
	struct span s = {path->p, 0};
	while (s.n < path->n && s.p[s.n] != '/')
		s.n++;
	path->p += s.n;
	path->n -= s.n;
	return s;
}

/* What follows the version: RESOURCE[/NAME] or namespaces/NS/RESOURCE[/NAME]. */
static void parse_resource(struct model_request *r, struct span rest)
{
	struct span s = next_segment(&rest);
	r->target = MODEL_TARGET_RESOURCE;
	r->resource = s;
	if (span_is(s, "namespaces") && rest.n > 1) {
		struct span ns = next_segment(&rest);
		if (rest.n <= 1) { /* the Namespace itself */
			r->name = decode(r, ns, false);
			return;
		}
		r->ns = decode(r, ns, false);
		r->resource = next_segment(&rest);
	}
	r->name = decode(r, next_segment(&rest), false);
	if (rest.n > 1) /* a subresource */
		r->target = MODEL_TARGET_OTHER;
}

static void parse_path(struct model_request *r)
{
	struct span rest = r->path, first = next_segment(&rest);
	if (span_is(first, "clusters")) {
		r->cluster = decode(r, next_segment(&rest), false);
		r->path = rest.n ? rest : SPAN("/");
		first = next_segment(&rest);
	}
	r->target = MODEL_TARGET_OTHER;
	if (span_is(first, "version") && rest.n <= 1) {
		r->target = MODEL_TARGET_VERSION;
	} else if (span_is(first, "readyz") || span_is(first, "livez") ||
	           span_is(first, "healthz")) {
		r->target = MODEL_TARGET_HEALTH;
	} else if (span_is(first, "api") || span_is(first, "apis")) {
		bool core = first.n == 3;
		if (!core)
			r->group = next_segment(&rest);
		r->version = next_segment(&rest);
		if (!core && r->group.n == 0)
			r->target = MODEL_TARGET_APIS;
		else if (r->version.n == 0)
			r->target = core ? MODEL_TARGET_API : MODEL_TARGET_GROUP;
		else if (rest.n <= 1)
			r->target = MODEL_TARGET_VERSION_OF;
		else
			parse_resource(r, rest);
	}
}

/* The server takes everything but these for true, also "watch=" (conversion of url.Values to bool).
 */
static bool truth(struct span v)
{
	return !(span_is(v, "0") || span_is(v, "false"));
}

static void parse_param(struct model_request *r, struct span key, struct span v)
{
	if (span_is(key, "watch"))
		r->watch = truth(v);
	else if (span_is(key, "allowWatchBookmarks"))
		r->bookmarks = truth(v);
	else if (span_is(key, "sendInitialEvents"))
		r->initial = truth(v) ? MODEL_TRUE : MODEL_FALSE;
	else if (span_is(key, "resourceVersion"))
		r->rv = v;
	else if (span_is(key, "resourceVersionMatch"))
		r->match = v;
	else if (span_is(key, "limit"))
		r->limit = v;
	else if (span_is(key, "continue"))
		r->token = v;
	else if (span_is(key, "labelSelector"))
		r->labels = v;
	else if (span_is(key, "fieldSelector"))
		r->fields = v;
	else if (span_is(key, "timeoutSeconds"))
		r->timeout = v;
	else if (span_is(key, "pretty"))
		r->pretty = truth(v);
}

static void parse_query(struct model_request *r, struct span q)
{
	while (q.n) {
		const char *amp = memchr(q.p, '&', q.n);
		struct span one = {q.p, amp ? (size_t)(amp - q.p) : q.n};
		q.p += one.n + (amp != NULL);
		q.n -= one.n + (amp != NULL);
		const char *eq = memchr(one.p, '=', one.n);
		struct span key = {one.p, eq ? (size_t)(eq - one.p) : one.n};
		struct span value = {eq ? eq + 1 : one.p + one.n, eq ? one.n - key.n - 1 : 0};
		parse_param(r, decode(r, key, true), decode(r, value, true));
	}
}

static bool contains(struct span s, const char *what)
{
	return s.n && memmem(s.p, s.n, what, strlen(what));
}

static bool is_json(struct span type)
{
	return span_is(type, "application/json") || span_is(type, "*/*") ||
	       span_is(type, "application/*");
}

/* The first clause that can be served. q-values are not weighed: clients of Kubernetes list by
 * preference. */
static enum model_accept accept_of(struct span v, bool *protobuf)
{
	if (v.n == 0)
		return MODEL_ACCEPT_JSON;
	while (v.n) {
		const char *comma = memchr(v.p, ',', v.n);
		struct span clause = {v.p, comma ? (size_t)(comma - v.p) : v.n};
		v.p += clause.n + (comma != NULL);
		v.n -= clause.n + (comma != NULL);
		clause = model_word_trim(clause);
		const char *semi = memchr(clause.p, ';', clause.n);
		struct span type = model_word_trim(
		        (struct span){clause.p, semi ? (size_t)(semi - clause.p) : clause.n});
		if (span_is(type, "application/vnd.kubernetes.protobuf") &&
		        !contains(clause, "as="))
			*protobuf = true;
		if (!is_json(type))
			continue;
		if (contains(clause, "as=PartialObjectMetadata"))
			return MODEL_ACCEPT_META;
		if (contains(clause, "as=APIGroupDiscoveryList") && contains(clause, "v=v2") &&
		        !contains(clause, "v=v2beta1"))
			return MODEL_ACCEPT_DISCOVERY;
		if (!contains(clause, "as="))
			return MODEL_ACCEPT_JSON;
	}
	return MODEL_ACCEPT_NONE;
}

static bool name_is(struct span s, const char *name)
{
	return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

/* As url.ParseRequestURI takes it (tried on 1.37.2): "*", a path, or what begins with a scheme;
 * "null" and a bare host are none. */
static bool is_uri(struct span v)
{
	if (span_is(v, "*") || (v.n && v.p[0] == '/'))
		return true;
	size_t n = 0;
	for (; n < v.n && v.p[n] != ':'; n++) {
		char c = v.p[n], lower = (char)(c | 0x20);
		bool letter = lower >= 'a' && lower <= 'z';
		bool rest = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
		if (!letter && (n == 0 || !rest))
			return false;
	}
	return n > 0 && n < v.n && !memchr(v.p, ' ', v.n);
}

/* Several lines are one list. */
static void add_protocols(struct model_request *r, struct span v)
{
	while (v.n) {
		const char *comma = memchr(v.p, ',', v.n);
		struct span one = {v.p, comma ? (size_t)(comma - v.p) : v.n};
		v.p += one.n + (comma != NULL);
		v.n -= one.n + (comma != NULL);
		one = model_word_trim(one);
		if (one.n) {
			model_text_span(&r->protocols, one);
			TEXT_LIT(&r->protocols, ",");
		}
	}
}

/* The token among the sub-protocols is the bearer token of a client that cannot send headers; it is
 * taken out, and must not have been alone (else 401). */
static void take_token(struct model_request *r)
{
	static const struct span prefix = SPAN("base64url.bearer.authorization.k8s.io.");
	for (size_t at = 0, end; at < r->protocols.n; at = end) {
		const char *p = r->protocols.p + at;
		end = at + (size_t)((const char *)memchr(p, ',', r->protocols.n - at) - p) + 1;
		if (!span_starts((struct span){p, end - at - 1}, prefix))
			continue;
		struct span token = {p + prefix.n, end - at - 1 - prefix.n};
		r->bad_protocol_token = token.n == 0 || end - at == r->protocols.n ||
		                        !model_ws_base64_decode(&r->token_text, token);
		r->bearer = model_text_as_span(&r->token_text);
		r->has_auth = true;
		memmove(r->protocols.p + at, r->protocols.p + end, r->protocols.n - end);
		r->protocols.n -= end - at;
		return;
	}
}

static void parse_field(struct model_request *r, struct span name, struct span v)
{
	if (name_is(name, "Accept")) {
		r->accept = accept_of(v, &r->protobuf);
	} else if (name_is(name, "Accept-Encoding")) {
		r->gzip = contains(v, "gzip");
	} else if (name_is(name, "Connection")) {
		r->close = contains(v, "close");
		r->may_upgrade = contains(v, "pgrade");
	} else if (name_is(name, "Upgrade")) {
		r->upgrade = name_is(v, "websocket");
	} else if (name_is(name, "Origin")) {
		r->has_origin = is_uri(v);
	} else if (name_is(name, "Sec-WebSocket-Key")) {
		r->ws_key = v;
	} else if (name_is(name, "Sec-WebSocket-Protocol")) {
		add_protocols(r, v);
	} else if (name_is(name, "User-Agent")) {
		r->pretty = span_starts(v, SPAN("curl/")) || span_starts(v, SPAN("Wget/")) ||
		            span_starts(v, SPAN("Mozilla/5.0"));
	} else if (name_is(name, "Authorization")) {
		r->has_auth = true;
		if (span_starts(v, SPAN("Bearer ")))
			r->bearer = model_word_trim((struct span){v.p + 7, v.n - 7});
	} else if (name_is(name, "Content-Length")) {
		for (size_t i = 0; i < v.n && r->body_bytes < MODEL_HEAD_BYTES_MAX; i++)
			if (v.p[i] >= '0' && v.p[i] <= '9')
				r->body_bytes = r->body_bytes * 10 + (size_t)(v.p[i] - '0');
	}
}

static bool next_line(struct span *head, struct span *line)
{
	const char *end = head->n ? memmem(head->p, head->n, "\r\n", 2) : NULL;
	if (!end)
		return false;
	*line = (struct span){head->p, (size_t)(end - head->p)};
	head->p = end + 2;
	head->n -= line->n + 2;
	return true;
}

static bool parse_line(struct model_request *r, struct span line)
{
	const char *sp = memchr(line.p, ' ', line.n);
	if (!sp)
		return false;
	r->method = (struct span){line.p, (size_t)(sp - line.p)};
	struct span url = {sp + 1, line.n - r->method.n - 1};
	sp = memchr(url.p, ' ', url.n);
	if (!sp)
		return false;
	struct span proto = {sp + 1, url.n - (size_t)(sp - url.p) - 1};
	url.n = (size_t)(sp - url.p);
	if (!span_starts(proto, SPAN("HTTP/1.")) || url.n == 0 || url.p[0] != '/')
		return false;
	r->close = span_is(proto, "HTTP/1.0");
	const char *q = memchr(url.p, '?', url.n);
	r->path = (struct span){url.p, q ? (size_t)(q - url.p) : url.n};
	struct span query = {q ? q + 1 : NULL, q ? url.n - r->path.n - 1 : 0};
	if (r->path.n > MODEL_PATH_BYTES_MAX || query.n > MODEL_QUERY_BYTES_MAX)
		return false;
	model_text_reserve(&r->text, url.n); /* decoding never makes longer */
	parse_path(r);
	parse_query(r, query);
	return true;
}

bool model_request_parse(struct model_request *r, struct span head)
{
	memset(r, 0, sizeof *r);
	struct span line;
	if (!next_line(&head, &line) || !parse_line(r, line))
		return false;
	bool pretty = r->pretty;
	while (next_line(&head, &line) && line.n) {
		const char *colon = memchr(line.p, ':', line.n);
		if (!colon)
			return false;
		struct span name = {line.p, (size_t)(colon - line.p)};
		parse_field(
		        r, name, model_word_trim((struct span){colon + 1, line.n - name.n - 1}));
	}
	r->pretty |= pretty;
	r->has_token = r->token.n > 0;
	r->upgrade = r->upgrade && r->may_upgrade;
	if (r->upgrade && !r->has_auth)
		take_token(r);
	return true;
}

void model_request_fini(struct model_request *r)
{
	model_text_fini(&r->text);
	model_text_fini(&r->protocols);
	model_text_fini(&r->token_text);
}
