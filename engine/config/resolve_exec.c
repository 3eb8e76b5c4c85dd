#include "config/resolve.h"

#include <string.h>

#include "config/text.h"
#include "config/yaml_json.h"

/* An environment string may have 128 KiB (MAX_ARG_STRLEN); KUBERNETES_EXEC_INFO is one. */
enum { RESOLVE_EXEC_INFO_MAX = 96 << 10 };

#define RESOLVE_EXEC_GROUP     "client.authentication.k8s.io"
#define RESOLVE_EXEC_EXTENSION "client.authentication.k8s.io/exec"

static err_t resolve_exec_version(
        struct resolver *r, const struct yaml_node *exec, struct credential_exec_conf *x)
{
	const char *mode;
	err_t e = resolve_text(r, exec, "apiVersion", &x->api_version);
	if (e == ERR_OK)
		e = resolve_text(r, exec, "interactiveMode", &mode);
	if (e != ERR_OK)
		return e;
	if (!x->api_version)
		return resolve_fail(r, exec, "exec.apiVersion", "is missing", "");
	bool v1 = strcmp(x->api_version, RESOLVE_EXEC_GROUP "/v1") == 0;
	if (!v1 && strcmp(x->api_version, RESOLVE_EXEC_GROUP "/v1beta1") != 0)
		return resolve_fail(r, yaml_get(exec, "apiVersion"), "exec.apiVersion",
		        "must be " RESOLVE_EXEC_GROUP "/v1 or /v1beta1; update the plugin's entry",
		        "");
	const struct yaml_node *at = yaml_get(exec, "interactiveMode");
	if (!mode && v1)
		return resolve_fail(r, exec, "exec.interactiveMode",
		        "is missing (Never, IfAvailable or Always)", "");
	if (mode && strcmp(mode, "Always") == 0)
		return resolve_fail(r, at, "exec.interactiveMode",
		        "standard input is unavailable in a daemon; the plugin must work with "
		        "Never "
		        "or IfAvailable",
		        "");
	if (mode && strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
		return resolve_fail(
		        r, at, "exec.interactiveMode", "must be Never, IfAvailable or Always", "");
	return ERR_OK;
}

static err_t resolve_exec_env(
        struct resolver *r, const struct yaml_node *exec, struct credential_exec_conf *x)
{
	const struct yaml_node *list = yaml_get(exec, "env");
	if (yaml_is_null(list))
		return ERR_OK;
	if (list->kind != YAML_KIND_LIST || list->count > RESOLVE_STRINGS_MAX)
		return resolve_fail(r, list, "exec.env", "expected a list of {name, value}", "");
	struct credential_env *env = arena_array(&r->out->arena, list->count, sizeof *env);
	if (!env)
		return resolve_memory(r);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct yaml_node *item = list->items[i];
		if (item->kind != YAML_KIND_MAP)
			return resolve_fail(r, item, "exec.env", "expected {name, value}", "");
		err_t e = resolve_text(r, item, "name", &env[i].name);
		if (e == ERR_OK)
			e = resolve_text(r, item, "value", &env[i].value);
		if (e != ERR_OK)
			return e;
		if (!env[i].name || strchr(env[i].name, '='))
			return resolve_fail(
			        r, item, "exec.env", "a name is missing or has '='", "");
		if (!env[i].value)
			env[i].value = "";
	}
	x->env = env;
	x->env_count = list->count;
	return ERR_OK;
}

/* The cluster extension that is meant for the plugin. */
static const struct yaml_node *resolve_exec_extension(const struct yaml_node *cluster)
{
	const struct yaml_node *list = yaml_get(cluster, "extensions");
	if (!list || list->kind != YAML_KIND_LIST)
		return NULL;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct yaml_node *name = yaml_get(list->items[i], "name");
		if (name && name->kind == YAML_KIND_SCALAR &&
		        span_is(name->text, RESOLVE_EXEC_EXTENSION))
			return yaml_get(list->items[i], "extension");
	}
	return NULL;
}

/* spec.cluster of the ExecCredential that the plugin gets. */
static err_t resolve_exec_cluster(
        struct resolver *r, const struct yaml_node *cluster, struct credential_exec_conf *x)
{
	const struct cluster_conf *c = r->out;
	struct text t = {.bytes_max = RESOLVE_EXEC_INFO_MAX};
	text_push(&t, SPAN("{\"server\":"));
	text_push_json(
	        &t, yaml_get(cluster, "server")->text); /* as written, as client-go gives it */
	if (c->tls_server_name) {
		text_push(&t, SPAN(",\"tls-server-name\":"));
		text_push_json(&t, span_of(c->tls_server_name));
	}
	if (c->insecure)
		text_push(&t, SPAN(",\"insecure-skip-tls-verify\":true"));
	if (c->ca_pem.n > 0) {
		text_push(&t, SPAN(",\"certificate-authority-data\":\""));
		text_push_base64(&t, c->ca_pem);
		text_push(&t, SPAN("\""));
	}
	if (c->disable_compression)
		text_push(&t, SPAN(",\"disable-compression\":true"));
	const struct yaml_node *config = resolve_exec_extension(cluster);
	if (!yaml_is_null(config)) {
		text_push(&t, SPAN(",\"config\":"));
		yaml_json_push(&t, config);
	}
	text_push(&t, SPAN("}"));
	err_t e = ERR_OK;
	if (t.broken) {
		e = resolve_fail(r, NULL, "exec.provideClusterInfo",
		        "the cluster information is too large for an environment variable", "");
	} else {
		x->cluster_info = arena_copy(&r->out->arena, (struct span){t.p, t.n});
		if (!x->cluster_info)
			e = resolve_memory(r);
	}
	text_fini(&t);
	return e;
}

err_t resolve_exec(
        struct resolver *r, const struct yaml_node *body, const struct yaml_node *cluster)
{
	const struct yaml_node *exec = yaml_get(body, "exec");
	if (yaml_is_null(exec))
		return ERR_OK;
	if (exec->kind != YAML_KIND_MAP)
		return resolve_fail(
		        r, exec, "exec", "expected a mapping, found ", yaml_kind_text(exec));
	struct credential_exec_conf *x = arena_alloc(&r->out->arena, sizeof *x);
	if (!x)
		return resolve_memory(r);
	bool provide;
	err_t e = resolve_text(r, exec, "command", &x->command);
	if (e == ERR_OK && !x->command)
		return resolve_fail(r, exec, "exec.command", "is missing", "");
	if (e == ERR_OK && strchr(x->command, '/'))
		e = resolve_path(r, exec, "command", &x->command);
	if (e == ERR_OK)
		e = resolve_strings(r, exec, "args", &x->args, &x->arg_count);
	if (e == ERR_OK)
		e = resolve_exec_env(r, exec, x);
	if (e == ERR_OK)
		e = resolve_exec_version(r, exec, x);
	if (e == ERR_OK)
		e = resolve_text(r, exec, "installHint", &x->install_hint);
	if (e == ERR_OK)
		e = resolve_bool(r, exec, "provideClusterInfo", &provide);
	if (e == ERR_OK && provide)
		e = resolve_exec_cluster(r, cluster, x);
	if (e != ERR_OK)
		return e;
	/* As client-go does it (exec.go, UpdateTransportConfig). */
	if (resolve_has_credential(&r->out->credential))
		resolve_warn(r, "its exec plugin is never run, because it has another credential");
	else
		r->out->credential.exec = x;
	return ERR_OK;
}
