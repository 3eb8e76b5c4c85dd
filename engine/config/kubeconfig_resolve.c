#include "config/kubeconfig.h"

#include <string.h>

#include "config/file.h"
#include "config/pem.h"
#include "config/resolve.h"

/* --- cluster ----------------------------------------------------------------------------- */

static err_t resolve_ca_file(struct resolver *r, const struct yaml_node *at)
{
	struct cluster_conf *c = r->out;
	struct file_bytes bytes;
	const char *why;
	if (file_read(c->ca_file, CLUSTER_CONF_CA_BYTES_MAX, &c->arena, &bytes, &why) != ERR_OK) {
		struct problem_place p = yaml_place(&r->entry->file->yaml, at);
		return errmsg_set(r->m, ERR_CRED_FILE,
		        "%s:%u:%u: %s: certificate-authority: %.100s %s", p.file, p.line, p.column,
		        r->what, c->ca_file, why);
	}
	c->ca_pem = (struct span){bytes.p, bytes.n};
	return ERR_OK;
}

static err_t resolve_ca(struct resolver *r, const struct yaml_node *body)
{
	struct cluster_conf *c = r->out;
	err_t e = resolve_data_or_file(r, body, "certificate-authority", &c->ca_pem, &c->ca_file);
	if (e != ERR_OK)
		return e;
	const char *field = c->ca_file ? "certificate-authority" : "certificate-authority-data";
	const struct yaml_node *at = yaml_get(body, field);
	if (!c->ca_file && c->ca_pem.n == 0)
		return ERR_OK;
	if (c->insecure)
		return resolve_fail(
		        r, at, field, "is not allowed together with insecure-skip-tls-verify", "");
	if (c->ca_file)
		e = resolve_ca_file(r, at);
	if (e == ERR_OK && !pem_has_block(c->ca_pem, "CERTIFICATE"))
		return resolve_fail(r, at, field, "no PEM certificate inside", "");
	return e;
}

static err_t resolve_server(struct resolver *r, const struct yaml_node *body, bool has_client_cert)
{
	struct cluster_conf *c = r->out;
	const char *server, *proxy;
	err_t e = resolve_text(r, body, "server", &server);
	if (e == ERR_OK && !server)
		return resolve_fail(r, body, "server", "is missing", "");
	if (e == ERR_OK)
		e = resolve_text(r, body, "proxy-url", &proxy);
	if (e != ERR_OK)
		return e;
	if (proxy)
		return resolve_fail(r, yaml_get(body, "proxy-url"), "proxy-url",
		        "proxies are not supported yet; kubering can only connect directly", "");
	bool tls_by_default = c->ca_pem.n > 0 || c->insecure || has_client_cert;
	const char *wrong = server_url_parse(server, tls_by_default, &c->arena, &c->server);
	return wrong ? resolve_fail(r, yaml_get(body, "server"), "server", wrong, "") : ERR_OK;
}

static err_t resolve_cluster(struct resolver *r, bool has_client_cert)
{
	struct cluster_conf *c = r->out;
	const struct yaml_node *body = r->entry->body;
	err_t e = resolve_bool(r, body, "insecure-skip-tls-verify", &c->insecure);
	if (e == ERR_OK)
		e = resolve_ca(r, body);
	if (e == ERR_OK)
		e = resolve_server(r, body, has_client_cert);
	if (e == ERR_OK)
		e = resolve_text(r, body, "tls-server-name", &c->tls_server_name);
	if (e == ERR_OK)
		e = resolve_bool(r, body, "disable-compression", &c->disable_compression);
	if (e != ERR_OK)
		return e;
	if (c->tls_server_name && !server_url_is_host(span_of(c->tls_server_name)) &&
	        !server_url_is_address6(c->tls_server_name))
		return resolve_fail(r, yaml_get(body, "tls-server-name"), "tls-server-name",
		        "is not a host name", "");
	return ERR_OK;
}

/* --- contexts ---------------------------------------------------------------------------- */

/* "only try to read the auth information if we are secure" (client-go): over http nothing but
 * impersonation is sent. */
static void resolve_drop_credential(struct resolver *r)
{
	struct credential_conf *c = &r->out->credential;
	bool any = c->exec || resolve_has_credential(c);
	*c = (struct credential_conf){.user = c->user, .impersonate = c->impersonate};
	if (any)
		resolve_warn(r, "its credential is not used, because the server is plain http");
}

static err_t resolve_find(struct resolver *r, const struct kubeconfig *kc,
        enum kubeconfig_kind kind, const struct kubeconfig_entry **out)
{
	const char *field = kind == KUBECONFIG_KIND_CLUSTER ? "cluster" : "user", *name;
	err_t e = resolve_text(r, r->entry->body, field, &name);
	*out = NULL;
	if (e != ERR_OK)
		return e;
	if (!name && kind == KUBECONFIG_KIND_USER)
		return ERR_OK; /* anonymous */
	if (!name)
		return resolve_fail(r, r->entry->body, field, "is missing", "");
	*out = kubeconfig_find(kc, kind, name);
	if (!*out)
		return resolve_fail(r, yaml_get(r->entry->body, field), field,
		        "no such entry in the kubeconfig: ", name);
	return ERR_OK;
}

static err_t resolve_context(
        struct resolver *r, const struct kubeconfig *kc, const struct kubeconfig_entry *context)
{
	const struct kubeconfig_entry *cluster, *user;
	struct cluster_conf *c = r->out;
	resolve_enter(r, context, "context");
	c->context = arena_copy(&c->arena, span_of(context->name));
	err_t e = c->context ? ERR_OK : resolve_memory(r);
	if (e == ERR_OK &&
	        (context->name[0] == '\0' || strlen(context->name) > CLUSTER_CONF_NAME_MAX))
		e = resolve_fail(r, NULL, "name", "is empty or longer than 253 bytes", "");
	if (e == ERR_OK)
		e = resolve_text(r, context->body, "namespace", &c->namespace_);
	if (e == ERR_OK && !c->namespace_)
		c->namespace_ = "default";
	if (e == ERR_OK)
		e = resolve_find(r, kc, KUBECONFIG_KIND_CLUSTER, &cluster);
	if (e == ERR_OK)
		e = resolve_find(r, kc, KUBECONFIG_KIND_USER, &user);
	if (e == ERR_OK && user) {
		resolve_enter(r, user, "user");
		e = resolve_user(r);
	}
	if (e == ERR_OK) {
		resolve_enter(r, cluster, "cluster");
		e = resolve_cluster(r, c->credential.cert_pem.n > 0 || c->credential.cert_file);
	}
	if (e == ERR_OK && user) {
		resolve_enter(r, user, "user");
		e = resolve_exec(r, user->body, cluster->body);
	}
	if (e == ERR_OK && user && !c->server.tls)
		resolve_drop_credential(r);
	return e;
}

static err_t resolve_in_cluster(struct resolver *r, const struct kubeconfig *kc)
{
	struct cluster_conf *c = r->out;
	bool v6 = strchr(kc->service_host, ':') != NULL;
	const char *url = arena_format(&c->arena, "https://%s%s%s:%s", v6 ? "[" : "",
	        kc->service_host, v6 ? "]" : "", kc->service_port);
	c->context = KUBECONFIG_IN_CLUSTER;
	c->namespace_ = "default";
	c->credential.user = KUBECONFIG_IN_CLUSTER;
	c->credential.token_file = arena_format(&c->arena, "%s/token", kc->service_dir);
	c->ca_file = arena_format(&c->arena, "%s/ca.crt", kc->service_dir);
	const char *namespace_file = arena_format(&c->arena, "%s/namespace", kc->service_dir);
	if (!url || !c->credential.token_file || !c->ca_file || !namespace_file)
		return resolve_memory(r);
	const char *wrong = server_url_parse(url, true, &c->arena, &c->server);
	if (wrong)
		return errmsg_set(r->m, ERR_CONFIG,
		        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT: %s", wrong);
	struct file_bytes bytes;
	const char *why;
	/* As client-go: a CA that cannot be read is told, not fatal; system roots then. */
	if (file_read(c->ca_file, CLUSTER_CONF_CA_BYTES_MAX, &c->arena, &bytes, &why) == ERR_OK &&
	        pem_has_block((struct span){bytes.p, bytes.n}, "CERTIFICATE")) {
		c->ca_pem = (struct span){bytes.p, bytes.n};
	} else {
		resolve_warn(
		        r, "ca.crt of the service account cannot be used; system roots are used");
		c->ca_file = NULL;
	}
	if (kc->pod_namespace) {
		c->namespace_ = arena_copy(&c->arena, span_of(kc->pod_namespace));
		return c->namespace_ ? ERR_OK : resolve_memory(r);
	}
	if (file_read(namespace_file, CLUSTER_CONF_NAME_MAX, &c->arena, &bytes, &why) == ERR_OK) {
		bytes.p[strcspn(bytes.p, " \t\r\n")] = '\0';
		if (bytes.p[0] != '\0')
			c->namespace_ = bytes.p;
	}
	return ERR_OK;
}

err_t kubeconfig_resolve(const struct kubeconfig *kc, const char *context, struct cluster_conf *out,
        struct errmsg *m)
{
	struct resolver r = {.out = out, .m = m, .what = KUBECONFIG_IN_CLUSTER};
	*out = (struct cluster_conf){0};
	arena_init(&out->arena, CLUSTER_CONF_BYTES_MAX);
	err_t e;
	const struct kubeconfig_entry *entry =
	        kubeconfig_find(kc, KUBECONFIG_KIND_CONTEXT, context);
	if (kc->service_dir && strcmp(context, KUBECONFIG_IN_CLUSTER) == 0)
		e = resolve_in_cluster(&r, kc);
	else if (entry)
		e = resolve_context(&r, kc, entry);
	else
		e = errmsg_set(m, ERR_UNKNOWN_CLUSTER,
		        "context \"%.100s\" is in none of the kubeconfig files", context);
	if (e != ERR_OK)
		cluster_conf_fini(out);
	return e;
}
