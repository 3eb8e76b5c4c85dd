/* settings_headlamp.c - an entry of `clusters:` that names a Headlamp backend, and which strategies
 * go with it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "config/settings_priv.h"
#include "config/text.h"

static const struct fields_row headlamp_rows[] = {
        FIELDS_ROW("url", TEXT, struct settings_headlamp, url),
        FIELDS_ROW("backendToken", TEXT, struct settings_headlamp, token),
        FIELDS_ROW("backendTokenFile", PATH, struct settings_headlamp, token_file),
        FIELDS_ROW("clusterToken", TEXT, struct settings_headlamp, cluster_token),
        FIELDS_ROW("clusterTokenFile", PATH, struct settings_headlamp, cluster_token_file),
        FIELDS_ROW("user", TEXT, struct settings_headlamp, user),
        FIELDS_ROW("contexts", TEXTS, struct settings_headlamp, contexts),
        FIELDS_ROW("certificateAuthority", PATH, struct settings_headlamp, certificate_authority),
        FIELDS_ROW("insecureSkipTlsVerify", BOOL, struct settings_headlamp, insecure),
};

struct settings_headlamp_at { /* one `headlamp` mapping and where it is */
	struct fields *f;
	const struct yaml_node *node;
	const char *path;
	struct settings_headlamp *h;
};

/* What travels to it does not leave the machine. */
static bool settings_is_loopback(const struct server_url *u)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (!u->host_is_address)
		return strcmp(u->host, "localhost") == 0;
	if (inet_pton(AF_INET, u->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, u->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool settings_has_token(const struct settings_headlamp *h)
{
	return h->token || h->token_file || h->cluster_token || h->cluster_token_file;
}

static void settings_check_url(const struct settings_headlamp_at *a)
{
	struct settings_headlamp *h = a->h;
	const struct yaml_node *at = yaml_get(a->node, "url");
	if (!h->url) {
		fields_fail(a->f, a->node, a->path,
		        "url is missing: where the Headlamp backend is, such as https://hub:4466");
		return;
	}
	const char *wrong = server_url_parse(h->url, true, a->f->arena, &h->server);
	if (wrong)
		fields_fail(a->f, at, a->path, "url: %s", wrong);
	else if (settings_has_token(h) && !h->server.tls && !settings_is_loopback(&h->server))
		fields_fail(a->f, at, a->path,
		        "url: the backend token would travel in the clear to %.100s: use https, or "
		        "a loopback address",
		        h->server.host);
}

/* One of the two tokens: field is its name, file_field that of its file. */
static void settings_check_one(const struct settings_headlamp_at *a, const char *field,
        const char *token, const char *file_field, const char *file)
{
	if (token && file)
		fields_fail(a->f, yaml_get(a->node, file_field), a->path,
		        "%s is given together with %s; only one is allowed", file_field, field);
	if (token && !text_is_header(span_of(token)))
		fields_fail(a->f, yaml_get(a->node, field), a->path, "%s has a control character",
		        field);
}

static void settings_check_token(const struct settings_headlamp_at *a)
{
	const struct settings_headlamp *h = a->h;
	settings_check_one(a, "backendToken", h->token, "backendTokenFile", h->token_file);
	settings_check_one(
	        a, "clusterToken", h->cluster_token, "clusterTokenFile", h->cluster_token_file);
	/* what the backend takes out of the sub-protocol again (headlamp/backend.h) */
	if (h->user && strspn(h->user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                               "0123456789-_") != strlen(h->user))
		fields_fail(a->f, yaml_get(a->node, "user"), a->path,
		        "user may have letters, digits, '-' and '_' only");
}

static void settings_check_rest(const struct settings_headlamp_at *a)
{
	const struct settings_headlamp *h = a->h;
	const struct yaml_node *contexts = yaml_get(a->node, "contexts");
	if (!yaml_is_null(contexts) && contexts->kind == YAML_KIND_LIST && contexts->count == 0)
		fields_fail(a->f, contexts, a->path,
		        "contexts names nothing; leave it out to serve all that the backend has");
	if (h->certificate_authority && h->insecure)
		fields_fail(a->f, yaml_get(a->node, "certificateAuthority"), a->path,
		        "certificateAuthority is not allowed together with insecureSkipTlsVerify");
}

/* Which ways there are depends on what is at the other end. */
static void settings_check_strategy(
        struct fields *f, const struct yaml_node *at, const char *path, struct settings_cluster *c)
{
	bool through = c->strategy == SETTINGS_STRATEGY_MULTIPLEXED ||
	               c->strategy == SETTINGS_STRATEGY_LEGACY ||
	               c->strategy == SETTINGS_STRATEGY_HTTP;
	if (c->headlamp && !through && c->strategy != SETTINGS_STRATEGY_AUTO)
		fields_fail(f, at, path,
		        "strategy: goes straight to a kube-apiserver, but this entry names a "
		        "Headlamp backend: use auto, multiplexed, legacy or http, or take "
		        "headlamp out");
	if (!c->headlamp && through)
		fields_fail(f, at, path,
		        "strategy: goes through a Headlamp backend: add headlamp: {url: "
		        "https://HOST:PORT} to this entry, or use direct or websocket");
	if (!c->headlamp && c->strategy == SETTINGS_STRATEGY_AUTO)
		c->strategy = SETTINGS_STRATEGY_DIRECT;
}

static void settings_check_entry(struct fields *f, const struct yaml_node *item, const char *path,
        struct settings_cluster *c)
{
	if (!c->name)
		fields_fail(f, item, path, "needs a name: that of the Headlamp backend");
	if (c->context)
		fields_fail(f, yaml_get(item, "context"), path,
		        "context: is of a kubeconfig; contexts of a backend are named in "
		        "headlamp.contexts");
	if (c->kubeconfig)
		fields_fail(f, yaml_get(item, "kubeconfig"), path,
		        "kubeconfig: the clusters of a Headlamp backend come from the backend's "
		        "own kubeconfig");
	c->context = NULL;
}

void settings_read_headlamp(struct fields *f, const struct yaml_node *item,
        const struct yaml_node *node, const char *path, struct settings_cluster *c)
{
	char sub[FIELDS_PATH_BYTES + 16];
	snprintf(sub, sizeof sub, "%s.headlamp", path);
	struct settings_headlamp *h = node ? arena_alloc(f->arena, sizeof *h) : NULL;
	struct settings_headlamp_at a = {f, node, sub, h};
	if (node && !h)
		fields_fail(f, node, sub, "out of memory");
	if (h) {
		fields_read(f, node, sub, headlamp_rows, ARRAY_LEN(headlamp_rows), h);
		if (node->kind == YAML_KIND_MAP) {
			settings_check_url(&a);
			settings_check_token(&a);
			settings_check_rest(&a);
		}
		c->headlamp = h;
		settings_check_entry(f, item, path, c);
	}
	const struct yaml_node *at = yaml_get(item, "strategy");
	settings_check_strategy(f, at ? at : item, path, c);
}
