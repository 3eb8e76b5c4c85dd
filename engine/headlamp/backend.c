#include "headlamp/backend.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "kube/url.h"
#include "json/json.h"

#define WEBSOCKET_BINARY "base64.binary.k8s.io"
#define MULTIPLEXER      "headlamp.multiplexer.k8s.io"
#define USER_PREFIX      "base64url.headlamp.authorization.k8s.io."

size_t backend_cluster_name(struct span context, char *out, size_t cap)
{
	struct url u;
	url_init(&u, out, cap);
	for (size_t i = 0; i < context.n; i++) {
		struct span one = {context.p + i, 1};
		url_text(&u, *one.p == '/' ? SPAN("--") : *one.p == ' ' ? SPAN("__") : one);
	}
	return url_end(&u);
}

size_t backend_prefix(struct span base, struct span name, char *out, size_t cap)
{
	struct url u;
	url_init(&u, out, cap);
	url_text(&u, base);
	url_text(&u, SPAN("/clusters/"));
	url_encoded(&u, name);
	return url_end(&u);
}

/* --- Sub-protocols -------------------------------------------------------------------------- */

/* What the backend takes out again (its cmd/stateless.go); with anything else in it, it stays in
 * the list and the kube-apiserver refuses two. */
static bool user_ok(struct span user)
{
	for (size_t i = 0; i < user.n; i++) {
		char c = user.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		            c == '_' || c == '-'))
			return false;
	}
	return true;
}

err_t backend_legacy_protocols(struct span user, struct backend_protocols *out)
{
	out->at[0] = SPAN(WEBSOCKET_BINARY);
	out->count = 1;
	if (!user.n)
		return ERR_OK;
	struct span prefix = SPAN(USER_PREFIX);
	if (!user_ok(user))
		return ERR_ARGUMENT;
	if (user.n > BACKEND_PROTOCOL_BYTES_MAX - prefix.n)
		return ERR_LIMIT;
	memcpy(out->bytes, prefix.p, prefix.n);
	memcpy(out->bytes + prefix.n, user.p, user.n);
	out->at[out->count++] = (struct span){out->bytes, prefix.n + user.n};
	return ERR_OK;
}

void backend_mux_protocols(struct backend_protocols *out)
{
	out->at[0] = SPAN(MULTIPLEXER);
	out->count = 1;
}

/* --- Cookies ----------------------------------------------------------------------------- */

/* RFC 6265 4.1.1 cookie-octet: a token of any form fits. */
static bool cookie_ok(struct span token)
{
	for (size_t i = 0; i < token.n; i++) {
		unsigned char c = (unsigned char)token.p[i];
		if (c <= ' ' || c >= 0x7F || c == '"' || c == ',' || c == ';' || c == '\\')
			return false;
	}
	return token.n > 0;
}

static void cookie_name(struct url *u, struct span name)
{
	size_t kept = 0;
	url_text(u, SPAN("headlamp-auth-"));
	for (size_t i = 0; i < name.n && kept < BACKEND_COOKIE_NAME_MAX; i++) {
		struct span one = {name.p + i, 1};
		if (!user_ok(one))
			continue;
		url_text(u, one);
		kept++;
	}
}

err_t backend_add_cookie(struct span name, struct span token, char *out, size_t cap, size_t *n)
{
	struct url u;
	if (!cookie_ok(token))
		return ERR_ARGUMENT;
	url_init(&u, out, cap);
	u.n = *n;
	for (size_t at = 0, piece = 0; at < token.n; at += BACKEND_COOKIE_PIECE, piece++) {
		char number[32];
		size_t left = token.n - at;
		snprintf(number, sizeof number, ".%zu=", piece);
		url_text(&u, u.n ? SPAN("; ") : SPAN(""));
		cookie_name(&u, name);
		url_text(&u, span_of(number));
		url_text(&u, (struct span){token.p + at,
		                     left < BACKEND_COOKIE_PIECE ? left : BACKEND_COOKIE_PIECE});
	}
	if (u.full)
		return ERR_LIMIT;
	*n = u.n;
	return ERR_OK;
}

/* --- The list of clusters ------------------------------------------------------------------- */

static const char *const type_names[] = {
        [JSON_NULL] = "null",
        [JSON_BOOL] = "a boolean",
        [JSON_INT] = "a number",
        [JSON_DOUBLE] = "a number",
        [JSON_STRING] = "a string",
        [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
};

static const char *type_name(struct json_node n)
{
	return json_dom_exists(n) ? type_names[json_dom_type(n)] : "nothing";
}

/* Kubernetes names no cluster with a NUL; it would be another one here. */
static bool is_name(struct json_node n)
{
	struct span s = json_dom_string(n);
	return s.n && !memchr(s.p, 0, s.n);
}

static bool copy_row(struct backend_cluster *row, struct span name, struct span error)
{
	if (!error.n && name.n > BACKEND_NAME_MAX)
		error = SPAN("the name of this context is too long");
	row->name = strndup(name.p, name.n);
	row->error = error.n ? strndup(error.p, error.n) : NULL;
	return row->name && (row->error || !error.n);
}

/* By name; of two with one name the one that can be used is first. */
static int by_name(const void *a, const void *b)
{
	const struct backend_cluster *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : (x->error != NULL) - (y->error != NULL);
}

static void sort_and_unite(struct backend_clusters *c)
{
	size_t kept = 0;
	if (c->count)
		qsort(c->rows, c->count, sizeof c->rows[0], by_name);
	for (size_t i = 0; i < c->count; i++) {
		if (kept && !strcmp(c->rows[kept - 1].name, c->rows[i].name)) {
			free(c->rows[i].name);
			free(c->rows[i].error);
		} else {
			c->rows[kept++] = c->rows[i];
		}
	}
	c->count = kept;
}

static err_t read_rows(struct json_node list, struct backend_clusters *out, struct errmsg *m)
{
	struct json_iter it = {0};
	struct json_node row;
	size_t capacity = 0;
	while (json_dom_next(list, &it, NULL, &row)) {
		struct json_node name = json_dom_get(row, "name");
		if (!is_name(name))
			return errmsg_set(m, ERR_HEADLAMP_CONFIG,
			        "entry %zu of \"clusters\" needs a \"name\" that is a string, and "
			        "has %s%s",
			        out->count,
			        json_dom_type(name) == JSON_STRING ? "an unusable one, " : "",
			        type_name(name));
		if (out->count == capacity) {
			capacity = capacity ? capacity * 2 : 16;
			void *more = realloc(out->rows, capacity * sizeof out->rows[0]);
			if (!more)
				return errmsg_set(m, ERR_NO_MEMORY, "Headlamp's list of clusters");
			out->rows = more;
		}
		struct span error = json_dom_string(json_dom_get(row, "error"));
		if (!copy_row(&out->rows[out->count++], json_dom_string(name), error))
			return errmsg_set(m, ERR_NO_MEMORY, "Headlamp's list of clusters");
	}
	sort_and_unite(out);
	return ERR_OK;
}

static err_t read_dom(
        struct json_dom *dom, struct span json, struct backend_clusters *out, struct errmsg *m)
{
	struct json_node root, list;
	err_t e = dom ? json_dom_parse(dom, json, &root) : ERR_NO_MEMORY;
	if (e == ERR_NO_MEMORY)
		return errmsg_set(m, e, "Headlamp's list of clusters");
	char first = json.n ? json.p[0] : 0;
	if (e) /* most often the page of a frontend, because of a wrong base path */
		return errmsg_set(m, ERR_HEADLAMP_CONFIG,
		        "/config should be JSON; there came %zu bytes that start with '%c' (is the "
		        "base path of the URL right?)",
		        json.n, first > ' ' && first < 0x7F ? first : '?');
	if (json_dom_type(root) != JSON_OBJECT)
		return errmsg_set(m, ERR_HEADLAMP_CONFIG, "/config should be an object; it is %s",
		        type_name(root));
	list = json_dom_get(root, "clusters");
	if (json_dom_exists(list) && json_dom_type(list) == JSON_NULL)
		return ERR_OK; /* a Go server's empty list */
	if (!json_dom_exists(list) || json_dom_type(list) != JSON_ARRAY)
		return errmsg_set(m, ERR_HEADLAMP_CONFIG,
		        "/config should have an array \"clusters\"; there is %s", type_name(list));
	return read_rows(list, out, m);
}

err_t backend_read_config(struct span json, struct backend_clusters *out, struct errmsg *m)
{
	*out = (struct backend_clusters){0};
	struct json_dom *dom = json_dom_new();
	err_t e = read_dom(dom, json, out, m);
	json_dom_free(&dom);
	if (e)
		backend_clusters_fini(out);
	return e;
}

void backend_clusters_fini(struct backend_clusters *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->rows[i].name);
		free(c->rows[i].error);
	}
	free(c->rows);
	*c = (struct backend_clusters){0};
}
